package handler

import (
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestMain lets more tests run at once than there are processors: they wait for
// deadlines rather than compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// world is the function and what stands around it. Its clock runs short, so that
// tests need not wait for what takes seconds in earnest.
type world struct {
	*testbed.Machine
	t      testing.TB
	config Config // what each request is served with
}

// patient is a clock for tests in which nothing hangs: no pause between the
// rounds, and deadlines that a busy machine does not miss by itself.
func patient(now func() time.Time) clock {
	return clock{now: now, call: 5 * time.Second, store: 11 * time.Second, queue: 7 * time.Second}
}

// hurried shortens what is waited for, where something hangs.
func (c *clock) hurried() {
	c.call, c.store, c.queue = 200*time.Millisecond, 450*time.Millisecond, 400*time.Millisecond
}

func newWorld(t testing.TB) *world {
	t.Helper()
	schema, err := os.ReadFile("../appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	serve := func(ctx openruntimes.Context) openruntimes.Response { return w.config.Serve(ctx) }
	if w.Machine, err = testbed.NewMachine(schema, serve, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		checkLog(t, w)
	})
	environment := w.Environment()
	if w.config, err = FromEnv(func(name string) string { return environment[name] }); err != nil {
		t.Fatal(err)
	}
	w.config.clock = patient(w.Clock.Now)
	return w
}

// onVersions runs a test against each release of Appwrite that the fake knows.
func onVersions(t *testing.T, test func(*testing.T, *world)) {
	for _, version := range fakeappwrite.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.SetVersion(version)
			test(t, w)
		})
	}
}

// payload reads one of testdata.
func payload(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// target is where payloads of that name's folder are posted to, as amina's.
func target(name string) string {
	return map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}[filepath.Dir(name)] + "?uid=amina"
}

// send posts a payload of testdata and returns the status of the reply, whose
// body must be the one that goes with it.
func (w *world) send(name string) int {
	w.t.Helper()
	return w.post(target(name), payload(w.t, name))
}

func (w *world) post(target, body string) int {
	w.t.Helper()
	status, reply := w.ask(http.MethodPost, target, body)
	want := map[int]string{
		200: `{"ResultCode":0,"ResultDesc":"Accepted"}`,
		503: `{"ResultCode":1,"ResultDesc":"not recorded"}`,
	}[status]
	if !strings.HasSuffix(reply, want) {
		w.t.Errorf("%d %s, want the body %q", status, reply, want)
	}
	return status
}

// ask sends a request and returns the reply's status, and its Content-Type, Allow
// and body in one.
func (w *world) ask(method, target, body string) (status int, reply string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.FunctionURL+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type") + resp.Header.Get("Allow") + string(content)
}

// stored returns all documents, payments first.
func (w *world) stored() []fakeappwrite.Document { return w.Stored() }

// status is that of the only document, or says how many there are.
func (w *world) status() string {
	all := w.stored()
	if len(all) != 1 {
		return []string{"none", "", "several"}[min(len(all), 2)]
	}
	return all[0].Data["status"].(string)
}

// operations names the calls of the API since the last time.
func (w *world) operations() string { return w.Operations() }

// later lets so much time pass, and what is due in the queue run.
func (w *world) later(d time.Duration) { w.RunUntil(w.Clock.Now().Add(d)) }
