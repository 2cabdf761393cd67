// Package testbed is the one harness of the tests: the function on loopback, behind
// the surface of Appwrite's runtime, with an Appwrite for it. It knows the function as
// something that serves requests, and imports none of its code.
package testbed

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
)

// Serve answers one request, as Main does.
type Serve func(openruntimes.Context) openruntimes.Response

// World is the function and what is around it.
type World struct {
	*Machine

	t        testing.TB
	start    func(getenv func(string) string) Serve
	settings map[string]string
	serve    Serve
}

// New starts a world, which ends with its test. The function is started with the
// settings that [Machine.Environment] lists. At the end, every line that it
// logged is held to what a log may hold.
func New(t testing.TB, start func(getenv func(string) string) Serve) *World {
	t.Helper()
	w := &World{t: t, start: start}
	m, err := NewMachine(ReadFile(t, "appwrite.json"), w.main, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Machine, w.settings = m, m.Environment()
	AtEnd(t, func() {
		m.Close()
		w.checkLog()
	})
	w.Restart()
	return w
}

// main serves a request, which must not hang.
func (w *World) main(ctx openruntimes.Context) openruntimes.Response {
	defer Watch(w.t)()
	return w.serve(ctx)
}

// Set changes a variable of the function and restarts it, as deploying it again does.
// No request may be under way.
func (w *World) Set(name, value string) {
	w.settings[name] = value
	w.Restart()
}

// Restart starts the function again, with the settings that there are now.
func (w *World) Restart() { w.serve = w.start(w.Getenv) }

// Getenv returns a variable of the function.
func (w *World) Getenv(name string) string { return w.settings[name] }

// Limit is what nothing takes in a test, however slow the machine is: the function's
// own rounds end within 25 s. What takes longer hangs, and fails its test.
const Limit = 50 * time.Second

// Client is Safaricom, an app or the console.
var Client = &http.Client{Timeout: Limit}

// Watch fails the tests, by the name of the one that hangs, unless it is stopped.
func Watch(t testing.TB) (stop func()) { return watch(t, Limit) }

func watch(t testing.TB, limit time.Duration) (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(t.Name() + " hangs")
	})
	return func() { timer.Stop() }
}

// AtEnd does something when the test ends, which must not hang.
func AtEnd(t testing.TB, do func()) {
	t.Cleanup(func() {
		defer Watch(t)()
		do()
	})
}

// Root returns the folder of the module.
func Root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no folder above this one has a go.mod")
		}
		folder = parent
	}
}

// ReadFile reads a file of the module.
func ReadFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Files lists the files of testdata that match, each as FOLDER/NAME without its ending.
func Files(t testing.TB, pattern string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(t), "testdata", filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata has no %s: %v", pattern, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		names = append(names, filepath.Base(filepath.Dir(file))+"/"+name)
	}
	return names
}

// Payloads lists those of testdata, folder by folder, such as "stk/paid".
func Payloads(t testing.TB) []string {
	t.Helper()
	return append(append(Files(t, "stk/*.json"), Files(t, "b2c/*.json")...), Files(t, "timeout/*.json")...)
}

// Payload reads one of them.
func Payload(t testing.TB, name string) string {
	t.Helper()
	return string(ReadFile(t, "testdata/"+name+".json"))
}

// Path returns the path that a payload is posted to.
func Path(payload string) string {
	folder, _, _ := strings.Cut(payload, "/")
	return map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}[folder]
}

// Reply is what a sender got.
type Reply struct {
	Status int
	Body   string
	Header http.Header
}

// The bodies of two replies.
const (
	Accepted    = `{"ResultCode":0,"ResultDesc":"Accepted"}`
	NotRecorded = `{"ResultCode":1,"ResultDesc":"not recorded"}`
)

// Send sends a request to the function's domain.
func (w *World) Send(method, target, body string) Reply {
	w.t.Helper()
	req, err := http.NewRequest(method, w.FunctionURL+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(req)
}

func (w *World) do(req *http.Request) Reply {
	w.t.Helper()
	resp, err := Client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	sent, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return Reply{resp.StatusCode, string(sent), resp.Header}
}

// Post posts a callback and returns the reply's status. The reply's body must be the
// one that goes with it.
func (w *World) Post(target, body string) int {
	w.t.Helper()
	r := w.Send(http.MethodPost, target, body)
	if want := map[int]string{200: Accepted, 503: NotRecorded}[r.Status]; want != "" && r.Body != want {
		w.t.Errorf("%d %s, want the body %s", r.Status, r.Body, want)
	}
	return r.Status
}

// PostPayload posts a payload of testdata as amina's.
func (w *World) PostPayload(name string) int {
	w.t.Helper()
	return w.Post(Path(name)+"?uid=amina", Payload(w.t, name))
}

// Handle hands a request to the runtime's surface, without net/http's own checks.
func (w *World) Handle(method, path, query string, header http.Header, body string) Reply {
	rec := httptest.NewRecorder()
	w.Runtime.ServeHTTP(rec, &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: header,
		Host: "function.example", RemoteAddr: "203.0.113.7:4711", Body: io.NopCloser(strings.NewReader(body))})
	return Reply{rec.Code, rec.Body.String(), rec.Header()}
}

// The collections of appwrite.json.
const (
	database      = "daraja"
	payments      = "payments"
	disbursements = "disbursements"
)

// Document returns the only document that there is.
func (w *World) Document() fakeappwrite.Document {
	w.t.Helper()
	all := w.Stored()
	if len(all) != 1 {
		w.t.Fatalf("%d documents are stored, want 1: %v", len(all), all)
	}
	return all[0]
}

// Status is that of the only document: "none" if there is none, and "several".
func (w *World) Status() string {
	all := w.Stored()
	switch len(all) {
	case 0:
		return "none"
	case 1:
		return fmt.Sprint(all[0].Data["status"])
	default:
		return "several"
	}
}

// Readers says who may read a document: "user:amina", or "" for nobody.
func Readers(d fakeappwrite.Document) string {
	return strings.NewReplacer(`read("`, "", `")`, "").Replace(strings.Join(d.Permissions, ","))
}

// Read gets a document as an app does: over HTTP, with a user's session. ok is false
// if the user may not.
func (w *World) Read(d fakeappwrite.Document, user string) (body string, ok bool) {
	w.t.Helper()
	w.Appwrite.AddSession("session-of-"+user, user)
	collection := payments
	if d.Data["checkoutRequestId"] == nil {
		collection = disbursements
	}
	r := w.api(http.MethodGet, collection, d.ID, "X-Appwrite-Session", "session-of-"+user)
	return r.Body, r.Status == http.StatusOK
}

// Remove deletes a payment, as its owner does in the console.
func (w *World) Remove(id string) {
	w.t.Helper()
	if r := w.api(http.MethodDelete, payments, id, "X-Appwrite-Key", FunctionKey); r.Status != http.StatusNoContent {
		w.t.Errorf("DELETE of %s: %d, want 204", id, r.Status)
	}
}

func (w *World) api(method, collection, id, header, value string) Reply {
	w.t.Helper()
	req, err := http.NewRequest(method, w.AppwriteURL+"/databases/"+database+"/collections/"+collection+"/documents/"+id, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set(header, value)
	return w.do(req)
}

// Later lets so much time pass, and what is due in the queue run.
func (w *World) Later(d time.Duration) { w.RunUntil(w.Clock.Now().Add(d)) }
