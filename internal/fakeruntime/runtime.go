// Package fakeruntime takes the place of Appwrite's Go runtime on one machine: what
// it does around a function, and around a function's domain.
package fakeruntime

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
)

// maxFunctionBody is what the Go runtime takes.
const maxFunctionBody = 20 << 20

// Runtime is the HTTP surface of Appwrite's Go runtime around one function, as
// a request to the function's domain meets it. Two things differ from the real
// one: standard output is not redirected, which would be for the whole process,
// and a panic in Main fails its own request only, with its text in the error
// log.
type Runtime struct {
	Main func(openruntimes.Context) openruntimes.Response

	// Version is the release of the platform. Empty is the newest that the
	// fake knows.
	Version string

	// Key reaches the function as x-appwrite-key.
	Key string

	// Logs receives what one request logged, once, after Main and before
	// the reply is sent. Nil drops it.
	Logs func(logs, errors string)
}

// ServeHTTP runs the function on one request. A caller who sends a key of his own
// gets a page from 1.9.0 on, and the function is not run; 1.8.1 replaces the key.
func (rt *Runtime) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFunctionBody))
	if err != nil {
		page(w, http.StatusRequestEntityTooLarge)
		return
	}
	req, err := contextRequest(r)
	if err != nil {
		page(w, http.StatusInternalServerError)
		return
	}
	if old := rt.Version != "" && fakeappwrite.Older(rt.Version, "1.9.0"); !old && req.Headers["x-appwrite-key"] != "" {
		page(w, http.StatusForbidden)
		return
	}
	maps.Copy(req.Headers, rt.platformHeaders(r))
	if _, ok := req.Headers["authorization"]; !ok {
		req.Headers["authorization"] = executorAuthorization
	}
	req.SetBodyBinary(body)
	writeResponse(w, rt.run(req))
}

// executorAuthorization is the executor's own, with the runtime's secret. It comes
// behind the caller's, and the function sees the first.
const executorAuthorization = "Basic b3ByOnNlY3JldA=="

// Execute runs the function on an execution whose time has come, and returns
// the status of its answer: 0 if the platform had to answer for it.
func (rt *Runtime) Execute(e fakeappwrite.Execution) int { return rt.Answer(e).Status }

// Answer runs the function on an execution and returns what it says.
func (rt *Runtime) Answer(e fakeappwrite.Execution) fakeappwrite.Answer {
	r, err := http.NewRequest(e.Method, "http://function.internal"+e.Path, nil)
	if err != nil {
		return fakeappwrite.Answer{}
	}
	req, err := contextRequest(r)
	if err != nil {
		return fakeappwrite.Answer{}
	}
	maps.Copy(req.Headers, rt.platformHeaders(r))
	if e.ID != "" { // the same in every run of it (Platform/Workers/Functions.php of 1.9.6)
		req.Headers["x-appwrite-execution-id"] = e.ID
	}
	req.Headers["authorization"] = executorAuthorization
	req.Headers["x-appwrite-trigger"] = cmp.Or(e.Trigger, "schedule")
	req.Headers["x-appwrite-user-id"] = e.UserID
	req.Headers["x-appwrite-user-jwt"] = e.UserJWT
	// Headers in other capitals than the platform's reach the function before
	// those, x-appwrite-key included, and the runtime takes the first of a name.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(e.Headers))) {
		req.Headers[strings.ToLower(name)] = e.Headers[name]
	}
	req.SetBodyBinary([]byte(e.Body))
	reply := rt.run(req)
	return fakeappwrite.Answer{Status: reply.StatusCode, Body: string(reply.Body)}
}

// run calls Main and hands over what it logged.
func (rt *Runtime) run(req openruntimes.ContextRequest) openruntimes.Response {
	if rt.Logs == nil {
		return rt.call(openruntimes.Logger{}, req)
	}
	logs, errors := logFile(), logFile()
	reply := rt.call(openruntimes.Logger{StreamLogs: logs, StreamErrors: errors}, req)
	rt.Logs(take(logs), take(errors))
	return reply
}

func (rt *Runtime) call(logger openruntimes.Logger, req openruntimes.ContextRequest) (reply openruntimes.Response) {
	ctx := openruntimes.NewContext(logger)
	ctx.Req = req
	defer func() {
		if p := recover(); p != nil {
			ctx.Error(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			reply = openruntimes.Response{StatusCode: http.StatusInternalServerError}
		}
	}()
	return rt.Main(ctx)
}

var logFiles sync.Pool // of *os.File

// logFile returns an empty file for one of a request's two logs, since the runtime's
// logger takes nothing else. It has no name any more, and is used again and again,
// since making a file takes longer than all the rest.
func logFile() *os.File {
	if f, ok := logFiles.Get().(*os.File); ok {
		return f
	}
	f, err := os.CreateTemp("", "fakeruntime-*.log")
	if err != nil {
		panic(err) // nothing runs on such a machine
	}
	_ = os.Remove(f.Name()) // fails on Windows, where a few stay in the temporary folder
	return f
}

// take returns what was written, and gives the file back.
func take(f *os.File) string {
	_, atStart := f.Seek(0, io.SeekStart)
	text, read := io.ReadAll(f)
	emptied := f.Truncate(0)
	_, again := f.Seek(0, io.SeekStart)
	if err := errors.Join(atStart, read, emptied, again); err != nil {
		panic(err)
	}
	logFiles.Put(f)
	return string(text)
}

// page answers with one of the platform's pages.
func page(w http.ResponseWriter, status int) { fakeappwrite.HTML(status)(w, nil) }

// contextRequest makes what Main is given, as the runtime does.
func contextRequest(r *http.Request) (openruntimes.ContextRequest, error) {
	// A % without two digits or a semicolon is an error to Go, and a 500
	// to the sender.
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return openruntimes.ContextRequest{}, err
	}
	query := map[string]string{}
	for k, v := range values {
		query[k] = v[0]
	}
	req := openruntimes.ContextRequest{
		Headers:     contextHeaders(r.Header),
		Method:      r.Method,
		Scheme:      "http",
		Host:        r.Host,
		Port:        80,
		Path:        r.URL.Path,
		QueryString: r.URL.RawQuery,
		Query:       query,
	}
	if s := r.Header.Get("X-Forwarded-Proto"); s != "" {
		req.Scheme = s
	}
	if req.Scheme == "https" {
		req.Port = 443
	}
	port := ""
	if host, s, found := strings.Cut(r.Host, ":"); found {
		n, err := strconv.Atoi(s)
		if err != nil {
			return openruntimes.ContextRequest{}, err
		}
		if n != req.Port {
			port = ":" + strconv.Itoa(n)
		}
		req.Host, req.Port = host, n
	}
	req.Url = req.Scheme + "://" + req.Host + port + req.Path
	if req.QueryString != "" {
		req.Url += "?" + req.QueryString
	}
	return req, nil
}

// contextHeaders lower-cases names. Several headers of one name come as one, since
// the platform's server has joined them before the runtime sees them.
func contextHeaders(from http.Header) map[string]string {
	values := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		key := strings.ToLower(name)
		values[key] = append(values[key], from[name]...)
	}
	headers := map[string]string{}
	for name, v := range values {
		if !strings.HasPrefix(name, "x-open-runtimes-") {
			headers[name] = strings.Join(v, ", ")
		}
	}
	if v, ok := headers["content-type"]; ok {
		headers["content-type"] = strings.ToLower(v)
	}
	return headers
}

// platformHeaders are those that Appwrite sets. On a domain request they replace
// whatever the caller sent under these names. Any other header passes, also those
// that begin with x-appwrite.
func (rt *Runtime) platformHeaders(r *http.Request) map[string]string {
	peer, _, _ := net.SplitHostPort(r.RemoteAddr) // the server has the leftmost of X-Forwarded-For
	return map[string]string{
		"x-appwrite-trigger":        "http",
		"x-appwrite-key":            rt.Key,
		"x-appwrite-execution-id":   fakeappwrite.NewID(),
		"x-appwrite-user-id":        "",
		"x-appwrite-user-jwt":       "",
		"x-appwrite-client-ip":      peer,
		"x-appwrite-country-code":   "",
		"x-appwrite-continent-code": "",
		"x-appwrite-continent-eu":   "false",
	}
}

// writeResponse sends what Main returned, as the runtime and then the platform
// change it.
func writeResponse(w http.ResponseWriter, reply openruntimes.Response) {
	if reply.StatusCode == 0 {
		reply.StatusCode = http.StatusOK
	}
	if reply.StatusCode < 100 || reply.StatusCode > 999 {
		page(w, http.StatusInternalServerError) // net/http panics on these
		return
	}
	if reply.StatusCode >= 400 && len(reply.Body) == 0 {
		page(w, reply.StatusCode) // the platform's error page
		return
	}
	headers := map[string]string{"content-type": "text/plain"}
	for k, v := range reply.Headers {
		if k = strings.ToLower(k); !strings.HasPrefix(k, "x-open-runtimes-") {
			headers[k] = v
		}
	}
	contentType := strings.ToLower(headers["content-type"])
	if !strings.HasPrefix(contentType, "multipart/") && !strings.Contains(contentType, "charset=") {
		headers["content-type"] = contentType + "; charset=utf-8"
	}
	for k, v := range headers {
		w.Header().Set(k, v)
	}
	w.WriteHeader(reply.StatusCode)
	w.Write(reply.Body)
}
