// Package fakeappwrite takes Appwrite's place on one machine: [Appwrite] is its
// documents API and what a deploy needs of its console's, and [Runtime] what its
// Go runtime does around a function.
//
// Both are meant to be as strict as the real thing. Where Appwrite's versions
// differ, [Appwrite.Version] decides: most of the conformance table was sent to
// real servers of each of the [Versions]. Where databases differ, or nobody
// looked, the stand-in does what is harder on the caller. Messages are only
// close, since their wording changes with every release.
package fakeappwrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// ProjectID is the one project that an [Appwrite] has.
const ProjectID = "standin"

// consoleProject is the project that every server has, the console's own. Whoever
// logs in there is one of the server's people; no API key of another project
// counts (401 user_unauthorized on 1.9.6). The CLI asks it for the version.
const consoleProject = "console"

// Versions are the releases that the stand-in was compared with, oldest first.
var Versions = [...]string{"1.8.1", "1.9.0", "1.9.6"}

// defaultVersion is the newest of them.
const defaultVersion = "1.9.6"

// maxBody is what Appwrite's HTTP server takes.
const maxBody = 12 << 20

// Appwrite is an in-memory Appwrite server for one project. It is an
// [http.Handler] whose endpoint is at /v1. Its methods may be called from
// several goroutines; its fields must be set before the first request.
type Appwrite struct {
	// Version is the release that the server says it is, and behaves like.
	Version string

	// Now is the server's clock. Nil means time.Now.
	Now func() time.Time

	// CachedRow makes every race lost that a server before 1.9.5 may lose:
	// a PATCH compares with, and merges into, the row that was last read by
	// GET, whatever was written since. Of 200 rounds in which two writers had
	// read the same, 1.9.0 let both through in 28 and 1.8.1 in 14. Without
	// it, and on newer servers always, the row is the one that stands.
	CachedRow bool

	// RunsTwice makes 1.9.6 do what it may do to executions that are due in
	// one minute: its scheduler crashes on them, and on its return all run
	// once more. Seen: nothing was lost, many ran twice.
	RunsTwice bool

	// StringSequence sends $sequence as a string whatever response format
	// the caller asked for, which breaks the models of older SDKs.
	StringSequence bool

	// PostgreSQL makes the server one with that database. Appwrite 1.9.6 then
	// still refuses to create a document under an id that differs from another
	// in capitals alone, but answers GET, PATCH and DELETE of it with 404.
	// MariaDB compares without regard to case in all of them.
	PostgreSQL bool

	// schema guards the databases, collections, functions and rules with all
	// that is set of them. A request holds it to its end: for writing if it
	// is one of the console's, else for reading. It is taken before mu.
	schema    sync.RWMutex
	databases map[string]*database
	functions map[string]*function
	rules     []*rule

	mu           sync.Mutex // guards what follows, and the documents
	databaseDown bool
	queue        []Execution // waiting
	lastDue      time.Time   // when the last of them was due
	ran          []Execution

	keys     map[string][]string
	sessions map[string]string
	faults   []*Fault
	calls    []*Call
	events   []Event

	domain       string // of functions
	buildFailure string
	uploaded     []byte
	pieces       map[string]*upload // by the deployment's id
	builds       sync.WaitGroup
	hold         sync.RWMutex // held while no build may end
}

// Call is one request that came in.
type Call struct {
	// Operation is one of create, get, replace (PATCH), upsert (PUT),
	// delete, list, bulk update, bulk upsert, bulk delete, execute, list
	// executions and version. For the rest it is the method and the kind of
	// resource, as in "POST attributes", where the kinds are databases,
	// collections, attributes, indexes, functions, variables, deployments,
	// executions (of one), rules and console. "PATCH deployments" makes one
	// active. It is empty for a route that does not exist.
	Operation string
	Method    string
	Path      string // as sent, without the query
	Status    int    // 0 if nothing was sent back, or not yet
	Type      string // the error's type, empty if there was none
	Header    http.Header
}

// Event is what Realtime would have published.
type Event struct {
	Collection string
	ID         string
	Action     string // create, update, upsert or delete
	Document   Document
}

// New returns a server with the databases and collections of an appwrite.json,
// and without documents or keys. It is an error if the schema has something
// that the stand-in does not know how to check.
func New(schema []byte) (*Appwrite, error) {
	databases, err := readSchema(schema)
	if err != nil {
		return nil, fmt.Errorf("standin: schema: %w", err)
	}
	functions, err := readFunctions(schema)
	if err != nil {
		return nil, fmt.Errorf("standin: schema: %w", err)
	}
	a := NewEmpty()
	a.databases, a.functions = databases, functions
	return a, nil
}

// NewEmpty returns a server without databases, collections or functions.
func NewEmpty() *Appwrite {
	return &Appwrite{
		Version:   defaultVersion,
		databases: map[string]*database{},
		functions: map[string]*function{},
		keys:      map[string][]string{},
		sessions:  map[string]string{},
		pieces:    map[string]*upload{},
	}
}

// AddKey makes key an API key with these scopes.
func (a *Appwrite) AddKey(key string, scopes ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[key] = slices.Clone(scopes)
}

// AddSession makes secret, sent as X-Appwrite-Session, a session of user.
func (a *Appwrite) AddSession(secret, user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[secret] = user
}

// Calls returns every request that came in since [Appwrite.Reset], spoilt ones
// included, in the order in which they came.
func (a *Appwrite) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := make([]Call, len(a.calls))
	for i, c := range a.calls {
		calls[i] = *c
		calls[i].Header = c.Header.Clone()
	}
	return calls
}

// Events returns what was published since [Appwrite.Reset]: one event for each
// document in each write that went through, whether or not it changed anything.
func (a *Appwrite) Events() []Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

// Reset forgets calls and events, not documents.
func (a *Appwrite) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls, a.events = nil, nil
}

// ServeHTTP answers one request, or lets a fault spoil it.
func (a *Appwrite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The body is read at once: only then does net/http notice a client
	// that leaves.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	route := a.route(r)
	call, fault := a.begin(route.operation, r)
	out := &recorder{ResponseWriter: w}
	defer func() { a.end(call, out) }()

	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		HTML(http.StatusRequestEntityTooLarge)(out, r)
		return
	}
	if err != nil {
		return // the client left
	}
	if fault != nil && !wait(r, fault.Delay) {
		return
	}
	if fault != nil && fault.Reply != nil && !fault.After {
		fault.Reply(out, r)
		return
	}
	rep := a.do(route, r, body)
	if fault != nil && fault.Reply != nil {
		fault.Reply(out, r)
		return
	}
	rep.write(out)
}

// begin records a request and finds the fault that spoils it, if there is one.
func (a *Appwrite) begin(operation string, r *http.Request) (*Call, *Fault) {
	call := &Call{
		Operation: operation,
		Method:    r.Method,
		Path:      r.URL.EscapedPath(),
		Header:    r.Header.Clone(),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
	return call, a.takeFault(operation)
}

// end records what was sent back.
func (a *Appwrite) end(call *Call, sent *recorder) {
	var body struct{ Type string }
	if sent.status >= 400 && json.Unmarshal(sent.body, &body) != nil {
		body.Type = ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	call.Status, call.Type = sent.status, body.Type
}

// A recorder remembers the status that was written, and the body of an error.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.status >= 400 {
		r.body = append(r.body, p...)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets an [http.ResponseController] reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// A route is what the path and method ask for.
type route struct {
	operation                string // empty: no such route
	database, collection, id string

	console *consoleRoute     // nil for the routes of documents
	vars    map[string]string // of console's path
}

// route reads the path as Appwrite's router does. To find the route it drops
// empty segments, so that a request for the document with an empty id is one for
// all of them. The ids it then takes from their places in the path as it was
// sent: behind a double slash each is another segment, and none is unescaped.
// All versions answered 404 document_not_found to a document behind empty
// segments that was there, and found no route for /%64ocuments.
func (a *Appwrite) route(r *http.Request) route {
	sent := strings.Split(strings.TrimLeft(r.URL.EscapedPath(), "/"), "/")
	s := a.segments(sent)
	if r.Method == http.MethodGet && slices.Equal(s, []string{"v1", "health", "version"}) {
		return route{operation: "version"}
	}
	if r.Method == http.MethodGet && slices.Equal(s, []string{"v1", "account"}) {
		return route{operation: "account"}
	}
	if len(s) == 4 && s[1] == "functions" && s[3] == "executions" {
		return route{operation: executionsOperation(r.Method), id: sent[2]}
	}
	if len(s) < 6 || s[0] != "v1" || s[1] != "databases" || s[3] != "collections" || s[5] != "documents" {
		return findConsoleRoute(r.Method, s)
	}
	rt := route{database: sent[2], collection: sent[4]}
	switch len(s) {
	case 6:
		rt.operation = collectionOperation(r.Method)
	case 7:
		rt.operation = documentOperation(r.Method)
		rt.id = sent[6]
	}
	return rt
}

// segments returns those of a path that decide its route.
func (a *Appwrite) segments(sent []string) []string {
	var segments []string
	for _, s := range sent {
		// Up to 1.9.0 PHP's array_filter dropped the segment 0 as well.
		if s == "" || s == "0" && older(a.Version, "1.9.1") {
			continue
		}
		segments = append(segments, s)
	}
	return segments
}

func collectionOperation(method string) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodGet:
		return "list"
	case http.MethodPatch:
		return "bulk update"
	case http.MethodPut:
		return "bulk upsert"
	case http.MethodDelete:
		return "bulk delete"
	}
	return ""
}

func documentOperation(method string) string {
	switch method {
	case http.MethodGet:
		return "get"
	case http.MethodPatch:
		return "replace"
	case http.MethodPut:
		return "upsert"
	case http.MethodDelete:
		return "delete"
	}
	return ""
}

func executionsOperation(method string) string {
	switch method {
	case http.MethodPost:
		return "execute"
	case http.MethodGet:
		return "list executions"
	}
	return ""
}

// scopes are what an API key needs one of for an operation. The newer rows.*
// scopes do not open the routes of documents.
func (rt route) scopes() []string {
	if rt.console != nil {
		return rt.console.scopes()
	}
	switch rt.operation {
	case "get", "list":
		return []string{"documents.read"}
	case "execute":
		return []string{"execution.write"}
	case "list executions":
		return []string{"execution.read"}
	}
	return []string{"documents.write"}
}

// A request is one call of the API on its way through a handler.
type request struct {
	route
	http   *http.Request
	body   []byte
	params map[string]any // the JSON body; empty if it was not JSON
	caller caller
}

// do carries a request out.
func (a *Appwrite) do(rt route, r *http.Request, body []byte) reply {
	switch rt.operation {
	case "":
		return a.noRoute()
	case "version":
		// The route's scope is public, which guests and users have and API keys
		// never: with one it is 401 on 1.8.1, 1.9.0 and 1.9.6.
		if _, err := a.authenticate(r, []string{"public"}); err != nil {
			return a.failure(err)
		}
		return reply{status: http.StatusOK, body: map[string]any{"version": a.Version}}
	case "account":
		caller, err := a.authenticate(r, []string{"account"})
		if err == nil && caller.user == "" {
			err = missingScope("User (role: guests)", []string{"account"})
		}
		if err != nil {
			return a.failure(err)
		}
		return reply{status: http.StatusOK, body: map[string]any{"$id": caller.user}}
	case "GET console":
		// This is asked of another project, the console's own, where no
		// API key counts, only the cookie of somebody who is logged in.
		return a.failure(missingScope("User (role: guests)", []string{"projects.read"}))
	}
	caller, err := a.authenticate(r, rt.scopes())
	if err != nil {
		return a.failure(err)
	}
	q := &request{rt, r, body, decodeBody(r, body), caller}
	handle := a.documents
	switch {
	case rt.console != nil:
		handle = a.console
	case rt.operation == "execute" || rt.operation == "list executions":
		handle = a.executions
	}
	rep, err := handle(q)
	if err != nil {
		return a.failure(err)
	}
	return rep
}

// noRoute answers a request for a route that does not exist: 1.9.6 with a page,
// 1.9.0 and 1.8.1 with an error like any other.
func (a *Appwrite) noRoute() reply {
	if older(a.Version, "1.9.6") {
		return a.failure(&apiError{404, "general_route_not_found", "The requested route was not found. Please refer to the API docs and try again."})
	}
	return reply{status: http.StatusNotFound, header: map[string]string{"Content-Type": htmlType}, body: page(http.StatusNotFound)}
}

func (a *Appwrite) executions(q *request) (reply, error) {
	a.schema.RLock()
	defer a.schema.RUnlock()
	if _, ok := a.functions[q.id]; !ok {
		return reply{}, a.notFound("function", q.id)
	}
	if q.operation == "execute" {
		return a.execute(q)
	}
	return a.listExecutions(q)
}

func (a *Appwrite) documents(q *request) (reply, error) {
	a.mu.Lock()
	down := a.databaseDown
	a.mu.Unlock()
	if down {
		return reply{}, &apiError{500, "general_unknown", "Server Error"}
	}
	a.schema.RLock()
	defer a.schema.RUnlock()
	switch q.operation {
	case "create":
		return a.create(q)
	case "get":
		return a.get(q)
	case "replace":
		return a.replace(q)
	case "upsert":
		return a.upsert(q)
	case "delete":
		return a.delete(q)
	case "list":
		return a.list(q)
	case "bulk update":
		return a.bulkUpdate(q)
	case "bulk delete":
		return a.bulkDelete(q)
	}
	// What is left is bulk upsert, which nobody here may rely on.
	return reply{}, invalidParam("documents", "The stand-in does not write several documents at once.")
}

// decodeBody returns the parameters in a JSON body. Appwrite takes a body that
// is not JSON, or does not say that it is, for one without parameters.
func decodeBody(r *http.Request, body []byte) map[string]any {
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(contentType), "application/json") || !utf8.Valid(body) {
		return nil
	}
	v, err := decodeJSON(body)
	if err != nil {
		return nil
	}
	params, _ := v.(map[string]any)
	return params
}

// decodeJSON decodes one JSON value, with numbers as PHP would have them: int64
// if they are written as a whole number that fits, else float64.
func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		// -0 is 0: every version took it for an integer, and stored 0.
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // too large is infinite, which no attribute takes
		return f
	}
	return v
}

// A caller is who sent a request.
type caller struct {
	key  bool   // an API key, which no permission holds back
	user string // the session's user, else empty
}

// roles returns what the permissions of a caller without key are compared with.
func (c caller) roles() []string {
	if c.user == "" {
		return []string{"any", "guests"}
	}
	user := "user:" + c.user
	return []string{"any", "users", "users/unverified", user, user + "/unverified"}
}

// authenticate finds out who sent r and whether the caller's key has one of the
// scopes. Sessions and guests have those of the documents API by their role.
func (a *Appwrite) authenticate(r *http.Request, scopes []string) (caller, error) {
	project, key := r.Header.Get("X-Appwrite-Project"), r.Header.Get("X-Appwrite-Key")
	if project == "" {
		return caller{}, a.noProject(key)
	}
	switch {
	case project == consoleProject && key != "":
		return caller{}, unauthorized("The current user is not authorized to perform the requested action.")
	case project == consoleProject && !slices.Contains(scopes, "public"):
		return caller{}, missingScope("User (role: guests)", scopes)
	case project == consoleProject:
		return caller{}, nil
	case project != ProjectID:
		return caller{}, a.notFound("project", project)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	has, known := a.keys[key]
	if known && key != "" {
		if !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(has, s) }) {
			return caller{}, missingScope(fmt.Sprintf("app.%s@service.%s (role: applications)", ProjectID, r.Host), scopes)
		}
		return caller{key: true}, nil
	}
	if key == "" {
		return caller{user: a.sessions[r.Header.Get("X-Appwrite-Session")]}, nil
	}
	if kind, _, prefixed := strings.Cut(key, "_"); !prefixed || kind == "standard" {
		return caller{}, unauthorized("The current user is not authorized to perform the requested action.")
	}
	// Any other prefix makes the caller a guest, without an error. So it is with
	// a function's own key (ephemeral_, up to 1.9.0 dynamic_) that is garbled,
	// outlived its execution or belongs to another project: no version ever
	// answered project_key_expired.
	return caller{}, nil
}

// noProject is the error for a request that names no project: 1.8.1 knows nobody
// outside of one, and since 1.9.0 who has a key is told what is missing.
func (a *Appwrite) noProject(key string) error {
	switch {
	case older(a.Version, "1.9.0"):
		return unauthorized("The current user is not authorized to perform the requested action.")
	case key != "":
		return &apiError{403, "project_id_missing", "Project ID is missing. Please check the X-Appwrite-Project header."}
	default:
		return &apiError{401, "general_access_forbidden", "Access to this API is forbidden."}
	}
}

func missingScope(who string, scopes []string) error {
	message := who + ` missing scopes (["` + strings.Join(scopes, `","`) + `"])`
	return &apiError{401, "general_unauthorized_scope", message}
}

// An apiError is an error that Appwrite answers with.
type apiError struct {
	code    int
	kind    string // the type in the body
	message string
}

func (e *apiError) Error() string { return e.kind + ": " + e.message }

func unauthorized(message string) error {
	return &apiError{401, "user_unauthorized", message}
}

func invalidParam(name, reason string) error {
	return &apiError{400, "general_argument_invalid", fmt.Sprintf("Invalid `%s` param: %s", name, reason)}
}

// notFound is the error for something of that kind, such as a document.
func (a *Appwrite) notFound(kind, id string) error {
	name := strings.ToUpper(kind[:1]) + kind[1:]
	return &apiError{404, kind + "_not_found", fmt.Sprintf("%s with the requested ID%s could not be found.", name, a.quoted(id))}
}

// quoted is an id as messages have it since 1.9.0, which is one more reason not
// to log them.
func (a *Appwrite) quoted(id string) string {
	if older(a.Version, "1.9.0") {
		return ""
	}
	return " '" + id + "'"
}

// failure is the reply for an error.
func (a *Appwrite) failure(err error) reply {
	e, ok := err.(*apiError)
	if !ok {
		e = &apiError{500, "general_unknown", "Server Error"}
	}
	return reply{status: e.code, body: errorBody(e, a.Version)}
}

func errorBody(e *apiError, version string) map[string]any {
	return map[string]any{"message": e.message, "code": e.code, "version": version, "type": e.kind}
}

// A reply is what goes back for a request that was carried out.
type reply struct {
	status int
	header map[string]string
	body   any // JSON, or bytes that go out as they are, or nil for none
}

func (rep reply) write(w http.ResponseWriter) {
	for k, v := range rep.header {
		w.Header().Set(k, v)
	}
	if rep.body == nil {
		w.WriteHeader(rep.status)
		return
	}
	if b, ok := rep.body.([]byte); ok {
		w.WriteHeader(rep.status)
		w.Write(b)
		return
	}
	b, err := json.Marshal(rep.body)
	if err != nil {
		panic(err) // everything stored came out of JSON
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(rep.status)
	w.Write(b)
}

func (a *Appwrite) now() time.Time {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// older reports whether version v comes before another. What is not a number
// counts as 0.
func older(v, than string) bool {
	return slices.Compare(parseVersion(v), parseVersion(than)) < 0
}

func parseVersion(v string) []int {
	parts := make([]int, 3)
	for i, s := range strings.SplitN(v, ".", 3) {
		parts[i], _ = strconv.Atoi(s)
	}
	return parts
}

// sortedKeys makes the order of checks, and so messages, repeatable.
func sortedKeys(m map[string]any) []string {
	return slices.Sorted(maps.Keys(m))
}
