package handler

import (
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
)

// TestMain lets more tests run at once than there are processors: they wait for
// each other's ends of a connection rather than compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// limit is what nothing takes here, however slow the machine is. What takes longer
// hangs, and fails its test.
const limit = 50 * time.Second

// httpClient is Safaricom, an app or the console.
var httpClient = &http.Client{Timeout: limit}

// watch fails the tests, by the name of the one that hangs, unless it is stopped.
func watch(t testing.TB) (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(t.Name() + " hangs")
	})
	return func() { timer.Stop() }
}

// world is the function and what stands around it.
type world struct {
	*fakeappwrite.Machine
	t      testing.TB
	config Config // what each request is served with
}

// patient is a clock for tests: between the rounds is no pause, and a call takes too
// long when the server hangs, and not when the machine is slow.
func patient(now func() time.Time) clock {
	return clock{now: now, timeout: untilHung, wait: func(time.Time, time.Duration) {},
		call: time.Hour, store: time.Hour, queue: time.Hour}
}

// calls has what ends the call that is under way on a connection, by the addresses
// of both its ends.
var calls sync.Map

// untilHung takes the place of context.WithTimeout: see [hang].
func untilHung(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	onConnection := func(c httptrace.GotConnInfo) { calls.Store(ends(c.Conn.LocalAddr(), c.Conn.RemoteAddr()), cancel) }
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: onConnection}), func() { cancel(context.Canceled) }
}

// hang never answers. The time that the call may take is over at once.
func hang(_ http.ResponseWriter, r *http.Request) {
	giveUp(r.RemoteAddr + " " + r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	<-r.Context().Done()
}

// giveUp ends the call on that connection as its deadline would.
func giveUp(connection string) {
	if cancel, ok := calls.Load(connection); ok {
		cancel.(context.CancelCauseFunc)(context.DeadlineExceeded)
	}
}

func ends(client, server net.Addr) string { return client.String() + " " + server.String() }

func newWorld(t testing.TB) *world {
	t.Helper()
	schema, err := os.ReadFile("../appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	if w.Machine, err = fakeappwrite.NewMachine(schema, w.serve, 0, 0); err != nil {
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

func (w *world) serve(ctx openruntimes.Context) openruntimes.Response {
	defer watch(w.t)()
	return w.config.Serve(ctx)
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
	resp, err := httpClient.Do(req)
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
func (w *world) stored() []fakeappwrite.Document {
	return append(w.Appwrite.Documents("daraja", "payments"), w.Appwrite.Documents("daraja", "disbursements")...)
}

// status is that of the only document, or says how many there are.
func (w *world) status() string {
	all := w.stored()
	if len(all) != 1 {
		return []string{"none", "", "several"}[min(len(all), 2)]
	}
	return all[0].Data["status"].(string)
}

// operations names the calls of the API since the last time.
func (w *world) operations() string {
	var names []string
	for _, call := range w.Appwrite.Calls() {
		names = append(names, call.Operation)
	}
	w.Appwrite.Reset()
	return strings.Join(names, " ")
}

// later lets so much time pass, and what is due in the queue run.
func (w *world) later(d time.Duration) { w.RunUntil(w.Clock.Now().Add(d)) }
