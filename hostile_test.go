package handler

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// hostile lists the requests in testdata/hostile.
func hostile(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "hostile", "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no requests in testdata/hostile: %v", err)
	}
	for i, file := range files {
		files[i] = "hostile/" + filepath.Base(file)
	}
	return files
}

// readRequest reads one, body included.
func readRequest(t testing.TB, name string) (*http.Request, string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(payload(t, name))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// TestHostile sends each request to the function and compares all that came of it.
func TestHostile(t *testing.T) {
	for _, name := range hostile(t) {
		for _, version := range fakeappwrite.Versions {
			t.Run(version+"/"+name, func(t *testing.T) {
				w := newWorldOn(t, version)
				w.checkAllocations()
				r, body := readRequest(t, name)
				rec := w.serve(r.Method, r.URL.Path, r.URL.RawQuery, r.Header, body)
				w.checkCalls()
				got := w.describe(reply{rec.Code, rec.Body.String(), rec.Header()})
				compareGolden(t, name, fmt.Sprintf("%s %.80s\n%s", r.Method, r.URL, got))
			})
		}
	}
}

// TestForeignKey: a callback whose sender has a key of his own. 1.8.1 puts the
// function's in its place, newer releases do not run the function.
func TestForeignKey(t *testing.T) {
	for version, status := range map[string]int{"1.8.1": 200, "1.9.0": 403, "1.9.6": 403} {
		t.Run(version, func(t *testing.T) {
			w := newWorldOn(t, version)
			rec := w.serve("POST", "/callback", "uid=amina", http.Header{"X-Appwrite-Key": {"standard_mine"}}, payload(t, "stk/paid.json"))
			if rec.Code != status {
				t.Errorf("%d %s, want %d", rec.Code, rec.Body, status)
			}
			if stored := len(w.stored()) == 1; stored != (status == 200) {
				t.Errorf("%d documents after a %d", len(w.stored()), rec.Code)
			}
			w.checkCalls()
		})
	}
}

// serve hands a request to the runtime's surface, without net/http's own checks.
func (w *world) serve(method, path, query string, header http.Header, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Runtime.ServeHTTP(rec, &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: header,
		Host: "function.example", RemoteAddr: "203.0.113.7:4711", Body: io.NopCloser(strings.NewReader(body))})
	return rec
}

// maxAllocated is what one request may allocate, stand-in included.
const maxAllocated = 4 << 20

// checkAllocations holds every request to come to it.
func (w *world) checkAllocations() {
	main := w.Runtime.Main
	w.Runtime.Main = func(ctx openruntimes.Context) openruntimes.Response {
		before := allocated()
		defer func() {
			if n := allocated() - before; n > maxAllocated {
				w.t.Errorf("%d bytes were allocated, want at most %d", n, maxAllocated)
			}
		}()
		return main(ctx)
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// maxCalls is how often one callback may make the function call the API while that
// works: create and get under the transaction's id and under the one made for it,
// and a replacement.
const maxCalls = 5

// ours is all that the function may call.
var ours = regexp.MustCompile(`^/v1/databases/daraja/collections/(payments|disbursements)/documents(/[A-Za-z0-9][A-Za-z0-9._-]{0,35})?$`)

// checkCalls holds the calls since the last time to what the function may do to a
// server that works: a few, in its two collections, with its own key, none refused.
func (w *world) checkCalls() {
	w.t.Helper()
	calls := w.Appwrite.Calls()
	if len(calls) > maxCalls {
		w.t.Errorf("%d calls of the API, want at most %d", len(calls), maxCalls)
	}
	for _, call := range calls {
		if !ours.MatchString(call.Path) || call.Operation != "create" && call.Operation != "get" && call.Operation != "replace" {
			w.t.Errorf("%s %s: not for us to call", call.Method, call.Path)
		}
		if call.Status >= 400 && call.Status != http.StatusConflict {
			w.t.Errorf("%s %s: %d %s", call.Method, call.Path, call.Status, call.Type)
		}
		if got := call.Header.Get("X-Appwrite-Key"); got != testbed.FunctionKey {
			w.t.Errorf("%s %s with the key %q, want the platform's", call.Method, call.Path, got)
		}
	}
	w.Appwrite.Reset()
}

const callbackSecret = "3f9c0a55d1e84b27a6f0c9e1b2d3f4a5"

// FuzzMain sends anything to the function, with and without a callback secret: the
// reply is one of the contract's, whatever is written is what appwrite.json takes,
// and nothing else is called.
func FuzzMain(f *testing.F) {
	for _, name := range payloads(f) {
		f.Add(false, "POST", target(name), "uid=amina", "x-appwrite-user-id: forged", payload(f, name))
	}
	f.Add(false, "POST", "/callback", "uid=amina", "x-appwrite-key: forged", payload(f, "stk/paid.json"))
	for _, name := range hostile(f) {
		r, body := readRequest(f, name)
		f.Add(false, r.Method, r.URL.Path, r.URL.RawQuery, "content-type: "+r.Header.Get("Content-Type"), body)
		f.Add(true, r.Method, "/"+callbackSecret+r.URL.Path, r.URL.RawQuery, "x-forwarded-for: 1.2.3.4", body)
		f.Add(true, r.Method, r.URL.Path, r.URL.RawQuery, "x-appwrite-trigger: schedule", body)
	}
	w := newWorld(f)
	w.Runtime.Logs = nil
	w.checkAllocations()
	f.Fuzz(func(t *testing.T, secured bool, method, path, query, header, body string) {
		w.t = t
		os.Setenv("DARAJA_CALLBACK_SECRET", "")
		if secured {
			os.Setenv("DARAJA_CALLBACK_SECRET", callbackSecret+",0d1c2b3a4f5e6d7c")
		}
		name, value, _ := strings.Cut(header, ": ")
		rec := w.serve(method, path, query, http.Header{name: {value}}, body)
		if _, err := url.ParseQuery(query); err != nil && rec.Code == 500 || len(body) > 12<<20 {
			return // the runtime's own answer
		}
		if strings.ToLower(name) == "x-appwrite-key" && value != "" {
			if rec.Code != 403 || len(w.Appwrite.Calls()) != 0 {
				t.Errorf("with a key of the sender's: %d and %d calls, want the platform's 403", rec.Code, len(w.Appwrite.Calls()))
			}
			return
		}
		if !inContract(rec) {
			t.Errorf("%s %q?%q: %d %s", method, path, query, rec.Code, rec.Body)
		}
		known := regexp.MustCompile("^/+(health/*$|" + callbackSecret + "|0d1c2b3a4f5e6d7c)").MatchString(path)
		if secured && !known && (rec.Code != 404 || len(w.Appwrite.Calls()) != 0) {
			t.Errorf("%s %q without the secret: %d and %d calls", method, path, rec.Code, len(w.Appwrite.Calls()))
		}
		for _, e := range w.Appwrite.Events() {
			if len(e.Document.Permissions) > 1 || len(e.Document.Permissions) == 1 && !regexp.MustCompile(`^read\("user:[A-Za-z0-9][A-Za-z0-9._-]{0,35}"\)$`).MatchString(e.Document.Permissions[0]) {
				t.Errorf("a document that is read by %q", e.Document.Permissions)
			}
		}
		w.checkCalls()
	})
}

// inContract reports whether a reply is one that the README lists.
func inContract(rec *httptest.ResponseRecorder) bool {
	forms := map[int]string{
		200: `\{"ResultCode":0,"ResultDesc":"Accepted"\}|\{"status":"ok","version":"[0-9.]+"(,"settings":\{.*\})?\}`,
		400: `\{"ResultCode":1,"ResultDesc":"(not JSON at byte \d+|.*: missing)"\}`,
		404: `\{"ResultCode":1,"ResultDesc":"unknown path"\}`,
		405: `\{"ResultCode":1,"ResultDesc":"(GET|POST) only"\}`,
		413: `\{"ResultCode":1,"ResultDesc":"body too large"\}`,
	}
	form, listed := forms[rec.Code]
	return listed && regexp.MustCompile("^("+form+")$").Match(bytes.TrimSpace(rec.Body.Bytes()))
}
