package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// fault is one way in which the API can fail.
type fault struct {
	name  string
	reply http.HandlerFunc
	class class
	log   string // what the log says of it
}

var faults = []fault{
	{"timeout of the database", fakeappwrite.Status(408, "database_timeout", "for ws_CO_1"), passes, "408 database_timeout"},
	{"rate limit", fakeappwrite.Status(429, "general_rate_limit_exceeded", "for ws_CO_1"), busy, "429 general_rate_limit_exceeded"},
	{"server error", fakeappwrite.Status(500, "general_unknown", "Server Error"), passes, "500 general_unknown"},
	{"proxy without server", fakeappwrite.HTML(502), passes, "502"},
	{"maintenance", fakeappwrite.HTML(503), passes, "503"},
	{"scope", fakeappwrite.Status(401, "general_unauthorized_scope", "missing scopes"), operator, "401 general_unauthorized_scope"},
	{"guest", fakeappwrite.Status(401, "user_unauthorized", "not authorized"), operator, "401 user_unauthorized"},
	{"no collection", fakeappwrite.Status(404, "collection_not_found", "not found"), operator, "404 collection_not_found"},
	{"structure", fakeappwrite.Status(400, "document_invalid_structure", "Unknown attribute"), operator, "400 document_invalid_structure"},
	{"paused", fakeappwrite.Status(403, "project_paused", "paused"), operator, "403 project_paused"},
	{"page instead of JSON", fakeappwrite.HTML(200), passes, "200 no document in the answer"},
	{"empty object", fakeappwrite.Empty(201), passes, "201 no document in the answer"},
	{"redirect", fakeappwrite.Redirect(302, "/elsewhere/ws_CO_1"), operator, "302 redirected"},
	{"permanent redirect", fakeappwrite.Redirect(308, "/elsewhere/ws_CO_1"), operator, "308 redirected"},
	{"redirect to nowhere", fakeappwrite.Redirect(301, "https://appwrite:port/ws_CO_1"), operator, "301 redirected"},
	{"reset", fakeappwrite.Hangup(), passes, "connection reset by peer"},
	{"hang", fakeappwrite.Hang(), passes, "no answer in time"},
	{"cut off", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, passes, "connection broken"},
	{"an odd type", fakeappwrite.Status(500, "254700000001", ""), passes, "500 ?"},
}

// TestFullLength runs in earnest time, with the database and the queue gone: for
// 7 s, and for ever.
func TestFullLength(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	run := func(scenario func(*world)) {
		w := newWorld(t)
		w.config.clock = newClock()
		w.config.clock.now = w.Clock.Now
		wg.Add(1)
		go func() {
			defer wg.Done()
			scenario(w)
		}()
	}
	run(func(w *world) {
		for _, operation := range []string{"create", "get", "replace"} {
			w.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, Reply: fakeappwrite.Hang()})
		}
		start := time.Now()
		if got := w.send("stk/paid"); got != 200 || len(w.Appwrite.Waiting()) != 3 || time.Since(start) >= 5*time.Second {
			t.Errorf("with documents hanging: %d after %v and %d copies, want 200 within 5 s and 3", got, time.Since(start), len(w.Appwrite.Waiting()))
		}
	})
	run(func(w *world) {
		w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
		time.AfterFunc(7*time.Second, w.Appwrite.Heal)
		if got := w.send("stk/paid"); got != 200 || w.status() != "SUCCESS" {
			t.Errorf("with everything down for 7 s: %d and the document says %s, want 200 and SUCCESS", got, w.status())
		}
	})
	run(func(w *world) {
		w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.Hangup()})
		start := time.Now()
		got := w.send("b2c/paid")
		if took := time.Since(start); got != 503 || took < 18*time.Second || took >= 26*time.Second {
			t.Errorf("with everything down: %d after %v, want 503 after the last round and before 26 s", got, took)
		}
		_, errors := w.Logged()
		checkUnsettled(t, errors[0])
	})
}

// TestFaults breaks each call of the store in each way, before and after it is
// carried out, once and for ever: the sender hears "Accepted", and the success
// comes to stand, once, without going back.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		for _, operation := range []string{"create", "get", "replace"} {
			for _, after := range []bool{false, true} {
				for _, times := range []int{0, 1} {
					t.Run(fmt.Sprintf("%s/%s/after=%t/times=%d", f.name, operation, after, times), func(t *testing.T) {
						t.Parallel()
						testFault(t, f, operation, after, times)
					})
				}
			}
		}
	}
}

func testFault(t *testing.T, f fault, operation string, after bool, times int) {
	w := newWorld(t)
	if operation != "create" {
		w.send("timeout/envelope")
	}
	if f.name == "hang" {
		w.config.clock.hurried()
	}
	w.Logged()
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, After: after, Times: times, Reply: f.reply})
	if got := w.send("b2c/paid"); got != 200 {
		t.Fatalf("reply %d, want 200: the queue was there", got)
	}
	_, errors := w.Logged()
	waiting := len(w.Appwrite.Waiting())
	// The second try finds what the first one did, though no answer says so.
	if tried := f.class == passes && (times == 1 || operation == "replace" && after); tried && (waiting != 0 || len(errors) != 0 || w.status() != "SUCCESS") {
		t.Errorf("%d executions wait, the document says %s, error log %q: want it stored by the second try", waiting, w.status(), errors)
	} else if !tried {
		checkQueued(t, waiting, errors, operation, f)
	}

	w.Appwrite.Heal()
	w.later(3 * time.Minute)
	if got := w.status(); got != "SUCCESS" {
		t.Errorf("3 minutes after it was mended the document says %s, want SUCCESS", got)
	}
	w.later(30 * day)
	if n := len(w.Appwrite.Waiting()); n != 0 {
		t.Errorf("%d executions still wait after 30 days", n)
	}
	if events := w.Appwrite.Events(); w.status() != "SUCCESS" || len(events) > 2 {
		t.Errorf("%s after %d events, want SUCCESS and no event but a create and an update", w.status(), len(events))
	}
}

// checkQueued holds a queued delivery to its three copies and its line in the
// log, in which nothing may be that is the server's or the payer's.
func checkQueued(t *testing.T, waiting int, errors []string, operation string, f fault) {
	t.Helper()
	if waiting != 3 {
		t.Errorf("%d executions wait, want 3", waiting)
	}
	if len(errors) != 1 {
		t.Fatalf("error log = %q, want one line", errors)
	}
	if !strings.Contains(errors[0], fmt.Sprintf("because=%q", f.class)) || !strings.Contains(errors[0], `error="`+operation+": ") || !strings.Contains(errors[0], f.log) {
		t.Errorf("error log = %q, want the call, %q and %q", errors[0], f.class, f.log)
	}
	for _, secret := range []string{"http://", "/databases", "ws_CO_1", "AMINA", testbed.FunctionKey, "254700000001"} {
		if strings.Contains(errors[0], secret) {
			t.Errorf("error log = %q, which holds %q", errors[0], secret)
		}
	}
}

// TestQueueFaults breaks the queue while the database is down, on a server whose
// queue does without it.
func TestQueueFaults(t *testing.T) {
	for _, f := range faults {
		for _, after := range []bool{false, true} {
			for _, times := range []int{0, 2, 3} { // for ever, for two of three copies, for the first round
				t.Run(fmt.Sprintf("%s/after=%t/times=%d", f.name, after, times), func(t *testing.T) {
					t.Parallel()
					testQueueFault(t, f, after, times)
				})
			}
		}
	}
}

func testQueueFault(t *testing.T, f fault, after bool, times int) {
	w := newWorld(t)
	w.Appwrite.Version = "2.0.0"
	if f.name == "hang" {
		w.config.clock.hurried()
	}
	w.Appwrite.SetDatabaseDown(true)
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", After: after, Times: times, Reply: f.reply})
	got := w.send("b2c/paid")
	_, errors := w.Logged()
	if times == 0 {
		if got != 503 || len(errors) != 2 {
			t.Fatalf("reply %d with error log %q, want 503 and two lines", got, errors)
		}
		checkUnsettled(t, errors[0])
		if !strings.Contains(errors[1], "create: 500") || !strings.Contains(errors[1], "queue: ") || !strings.Contains(errors[1], f.log) {
			t.Errorf("error log = %q, want both failures", errors[1])
		}
	} else if got != 200 {
		t.Fatalf("reply %d with error log %q, want 200: one copy was taken", got, errors)
	}
	w.Appwrite.Heal()
	w.Appwrite.SetDatabaseDown(false)
	w.later(30 * day)
	if kept := times != 0 || after; kept && w.status() != "SUCCESS" || !kept && w.status() != "none" {
		t.Errorf("the document says %s", w.status())
	}
}

// checkUnsettled holds a line to the form that the replaying command reads.
func checkUnsettled(t *testing.T, line string) {
	t.Helper()
	rest, found := strings.CutPrefix(line, "UNSETTLED ")
	var unsettled struct {
		Route, Uid, ID string
		Data           map[string]any
	}
	if err := json.Unmarshal([]byte(rest), &unsettled); !found || err != nil || len(line) > 8000 {
		t.Fatalf("%q is no UNSETTLED line: %v", line, err)
	}
	const id = "daa6-4d1a-af61-120b12394d6e598669"
	if unsettled.Route != "b2c/result" || unsettled.Uid != "amina" || unsettled.ID != id || unsettled.Data["originatorConversationId"] != id ||
		unsettled.Data["status"] != "SUCCESS" || unsettled.Data["receipt"] != "UKN8D3R6YM" || unsettled.Data["amount"] != 500.0 {
		t.Errorf("UNSETTLED %+v, want the document of b2c/paid", unsettled)
	}
	if _, found := unsettled.Data["receiverName"]; found {
		t.Errorf("%q holds the payee's name", line)
	}
}

// TestUnsettledFits: the longest document there is fits into a line of the log.
func TestUnsettledFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
	long := strings.Repeat(`\u0001`, 1200) // six bytes a character, in JSON
	got := w.post("/callback?uid="+strings.Repeat("u", 36), `{"Body":{"stkCallback":{"CheckoutRequestID":"`+long+`","ResultDesc":"`+long+`"}}}`)
	_, errors := w.Logged()
	if got != 503 || len(errors) != 2 || !json.Valid([]byte(strings.TrimPrefix(errors[0], "UNSETTLED "))) {
		t.Errorf("reply %d, error log = %.200q, want 503 and a whole UNSETTLED line", got, errors)
	}
}

// TestRun lets one verdict fail for weeks: three runs of attempts, 25 in all, an
// UNSETTLED line at the end of each, and every request the same but for its
// attempt.
func TestRun(t *testing.T) { onVersions(t, testRun) }

func testRun(t *testing.T, w *world) {
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.Status(401, "general_unauthorized_scope", "x")})
	start := w.Clock.Now()
	body := payload(t, "b2c/paid")
	if got := w.post("/b2c/result?uid=amina&attempt=77&attempt=3&x=y", body); got != 200 {
		t.Fatalf("reply %d, want 200", got)
	}
	w.Logged()
	attempts := map[string]int{}
	var unsettledAt []time.Duration
	n := w.Appwrite.RunUntil(start.Add(30*day), w.Clock, func(e fakeappwrite.Execution) {
		attempts[strings.TrimSuffix(strings.TrimPrefix(e.Path, "/b2c/result?attempt="), "&uid=amina")]++
		if e.Method != "POST" || e.Body != body {
			t.Errorf("%s %s with %q, want the request as it came", e.Method, e.Path, e.Body)
		}
		status := w.Runtime.Execute(e)
		_, errors := w.Logged()
		last := strings.HasPrefix(errors[0], "UNSETTLED ")
		if last {
			unsettledAt = append(unsettledAt, w.Clock.Now().Sub(start))
		}
		if (status == 503) != last {
			t.Errorf("%s was answered %d with error log %q", e.Path, status, errors)
		}
	})
	for i := 1; i <= 25; i++ {
		if attempts[fmt.Sprint(i)] != 1 {
			t.Errorf("attempt %d was made %d times, want once: %v", i, attempts[fmt.Sprint(i)], attempts)
		}
	}
	if n != 25 || len(unsettledAt) != 3 || unsettledAt[0] > 66*time.Minute || unsettledAt[1] > 29*time.Hour || unsettledAt[2] > 13*day {
		t.Errorf("%d executions, UNSETTLED after %v; want 25, and after about 1 h, 28 h and 12 days", n, unsettledAt)
	}
}

// TestRedelivery: what comes out of the queue follows the same rules.
func TestRedelivery(t *testing.T) { onVersions(t, testRedelivery) }

func testRedelivery(t *testing.T, w *world) {
	for _, attempt := range []int{1, 8, 14, 25} {
		if got := w.post(fmt.Sprintf("/b2c/result?attempt=%d&uid=amina", attempt), payload(t, "b2c/paid")); got != 200 {
			t.Errorf("attempt %d: %d, want 200", attempt, got)
		}
	}
	logs, errors := w.Logged()
	if w.operations() != "create create get create get create get" || len(errors) != 0 || len(logs) != 4 ||
		!strings.Contains(logs[0], "outcome=created attempt=1 calls=1") || !strings.Contains(logs[3], "outcome=duplicate attempt=25 calls=2") {
		t.Errorf("logs %q, errors %q: want a created and three duplicates", logs, errors)
	}
}

// TestQueuedRequest: the request that waits is rebuilt from what was understood.
func TestQueuedRequest(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                   "/callback?attempt=1",
		"?uid=amina":                         "/callback?attempt=1&uid=amina",
		"?uid=%22bad%22":                     "/callback?attempt=1",
		"?uid=" + strings.Repeat("x", 3000):  "/callback?attempt=1",
		"?attempt=99&uid=a.b-c_d&attempt=98": "/callback?attempt=1&uid=a.b-c_d",
	} {
		w := newWorld(t)
		w.config.DatabaseID = "gone"
		for _, path := range []string{"/callback", "/", "/callback/", "//callback", "//", "///callback//"} {
			if got := w.post(path+query, payload(t, "stk/paid")); got != 200 {
				t.Errorf("%s%s: %d, want 200", path, query, got)
			}
		}
		for i, e := range w.Appwrite.Waiting() {
			if i < 6 && e.Path != want { // the soonest of each
				t.Errorf("%s waits as %s, want %s", query, e.Path, want)
			}
		}
	}
}

// TestQueuedPath: what waits has the clean path, in which a later version reads the
// secret and the route.
func TestQueuedPath(t *testing.T) {
	t.Parallel()
	for posted, want := range map[string]string{
		"//callback":                            "/callback?attempt=1",
		"/b2c//result/":                         "/b2c/result?attempt=1",
		"//" + secret + "//callback//":          "/" + secret + "/callback?attempt=1",
		"/" + secret + "///b2c//timeout?uid=a/": "/" + secret + "/b2c/timeout?attempt=1",
	} {
		w := newWorld(t)
		w.config.DatabaseID = "gone"
		if strings.Contains(posted, secret) {
			w.config.Secrets = []string{secret}
		}
		name := map[bool]string{true: "stk/paid", false: "b2c/paid"}[strings.Contains(posted, "callback")]
		if got := w.post(posted, payload(t, name)); got != 200 {
			t.Errorf("%s: %d, want 200", posted, got)
		}
		if waiting := w.Appwrite.Waiting(); len(waiting) != 3 || waiting[0].Path != want {
			t.Errorf("%s waits as %v, want %s", posted, waiting, want)
		}
	}
}

// TestMissingSettings: what an operator forgot costs no verdict. Every missing
// variable is named at once.
func TestMissingSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.DatabaseID, w.config.PaymentsID = "", ""
	if got := w.send("stk/paid"); got != 200 || len(w.Appwrite.Waiting()) != 3 {
		t.Errorf("reply %d and %d executions wait, want 200 and 3", got, len(w.Appwrite.Waiting()))
	}
	_, errors := w.Logged()
	if len(errors) != 1 || !strings.Contains(errors[0], `because="needs an operator" error="configuration: DARAJA_DATABASE_ID is missing; DARAJA_COLLECTION_ID is missing"`) {
		t.Errorf("error log = %q, want both variables", errors)
	}
	if calls := w.operations(); calls != "execute execute execute" {
		t.Errorf("calls = %q, want the queue alone", calls)
	}
	w.config.DatabaseID, w.config.PaymentsID = "daraja", "payments"
	w.later(3 * time.Minute)
	if got := w.status(); got != "SUCCESS" {
		t.Errorf("with the settings the document says %s, want SUCCESS", got)
	}
}

// TestPanic: a fault of ours costs no verdict either. The log says where it was
// and not what it said, which may be somebody's data.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	w.config.clock.now = func() time.Time {
		if calls.Add(1) == 1 {
			panic("Amina's data")
		}
		return w.Clock.Now()
	}
	if got := w.send("stk/paid"); got != 200 || len(w.Appwrite.Waiting()) != 3 {
		t.Errorf("reply %d and %d executions wait, want 200 and 3", got, len(w.Appwrite.Waiting()))
	}
	logs, errors := w.Logged()
	if len(logs) != 1 || !strings.HasPrefix(logs[0], "route=callback status=- outcome=queued attempt=0 calls=3 ms=") {
		t.Errorf("log = %q, want one line", logs)
	}
	if len(errors) != 1 || !strings.HasPrefix(errors[0], `panic route=callback at="openruntimes/handler/handler.TestPanic.func1:`) ||
		!strings.HasSuffix(errors[0], " bytes=421 keys=Body") || strings.Contains(errors[0], "Amina") {
		t.Errorf("error log = %q, want the place of the panic alone", errors)
	}
	w.later(3 * time.Minute)
	if got := w.status(); got != "SUCCESS" {
		t.Errorf("later the document says %s, want SUCCESS", got)
	}
}

// TestPanicInGoroutine: one that queues must not end the process.
func TestPanicInGoroutine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.PaymentsID = "gone"
	var calls atomic.Int32
	w.config.clock.now = func() time.Time {
		if n := calls.Add(1); n == 2 || n == 3 { // two of the three copies
			panic("Amina's data")
		}
		return w.Clock.Now()
	}
	if got := w.send("stk/paid"); got != 200 || len(w.Appwrite.Waiting()) != 1 {
		t.Errorf("reply %d and %d executions wait, want 200 and the third copy", got, len(w.Appwrite.Waiting()))
	}
	// A panic after the body was read, on the last attempt of a run: the document is
	// in the log.
	w.Logged()
	w.config.clock.now = w.Clock.Now
	w.config.clock.store = -1 // no call is begun
	w.Runtime.Main = func(ctx openruntimes.Context) openruntimes.Response {
		dl := &delivery{config: w.config, ctx: ctx, route: routes[0], attempt: 25, start: time.Now(),
			document: payment(), name: "route=callback id=x"}
		dl.api.config = &dl.config
		return dl.panicked("somewhere")
	}
	if got := w.send("stk/paid"); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	if logs, errors := w.Logged(); len(errors) != 3 || !strings.HasPrefix(errors[0], "UNSETTLED {") ||
		!strings.HasPrefix(errors[1], "panic route=callback id=x at=") || !strings.HasPrefix(errors[2], "failed route=callback id=x because=") ||
		!strings.HasPrefix(logs[0], "route=callback id=x status=SUCCESS outcome=not-kept attempt=25 ") {
		t.Errorf("log = %q, error log = %q, want the document first, and its id in all lines", logs, errors)
	}
	w.Runtime.Main = func(ctx openruntimes.Context) openruntimes.Response { return w.config.Serve(ctx) }

	// And where nothing can be queued, the sender hears so.
	w.config.clock.now = func() time.Time { panic("Amina's data") }
	w.Logged()
	if got := w.send("stk/paid"); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	if _, errors := w.Logged(); len(errors) != 2 || !strings.Contains(errors[1], "queue: panic at openruntimes/handler/handler.TestPanicInGoroutine") {
		t.Errorf("error log = %q, want the place of the panic", errors)
	}
}

// TestServerClockAhead: the server refuses what is not a minute ahead by its own
// clock. A minute later does, if that is not ahead by more.
func TestServerClockAhead(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]int{25 * time.Second: 200, 85 * time.Second: 200, 5 * time.Minute: 200, 25 * time.Hour: 503} {
		w := newWorld(t)
		w.config.clock.now = func() time.Time { return w.Clock.Now().Add(-ahead) }
		w.config.PaymentsID = "gone"
		if got := w.send("stk/paid"); got != want {
			t.Errorf("a server %v ahead: %d, want %d", ahead, got, want)
		}
	}
}

// TestQueueByVersion: up to 1.9.6 what arrives while the project's database is
// down can be neither stored nor queued, and the sender hears so.
func TestQueueByVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"1.8.1": 503, "1.9.0": 503, "1.9.6": 503, "1.9.7": 200, "2.0.0": 200} {
		w := newWorld(t)
		w.SetVersion(version)
		w.Appwrite.SetDatabaseDown(true)
		got := w.send("b2c/paid")
		_, errors := w.Logged()
		if got != want || strings.HasPrefix(errors[0], "UNSETTLED ") != (want == 503) {
			t.Errorf("%s: %d with error log %q, want %d", version, got, errors, want)
		}
		w.Appwrite.SetDatabaseDown(false)
		w.later(3 * time.Minute)
		if kept := w.status() == "SUCCESS"; kept != (want == 200) {
			t.Errorf("%s: the document says %s after a %d", version, w.status(), got)
		}
	}
}

// TestRestart: on 1.8.1 a restart loses what is due within the minute. The other
// runs have a copy each.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.SetVersion("1.8.1")
	w.config.PaymentsID = "gone"
	w.send("stk/paid")
	w.Clock.MoveTo(w.Appwrite.Waiting()[0].ScheduledAt.Add(-time.Second))
	if lost := w.Appwrite.Restart(); lost != 1 || len(w.Appwrite.Waiting()) != 2 {
		t.Fatalf("the restart lost %d and left %d, want 1 and 2", lost, len(w.Appwrite.Waiting()))
	}
	w.config.PaymentsID = "payments"
	w.later(10 * time.Minute)
	if got := w.status(); got != "none" {
		t.Errorf("after ten minutes the document says %s, want none yet", got)
	}
	w.later(2 * time.Hour)
	if got := w.status(); got != "SUCCESS" {
		t.Errorf("after two hours the document says %s, want SUCCESS", got)
	}
}

// TestManyAtOnce posts a timeout and its success many times at the same moment,
// while every third call breaks: the success stands, once.
func TestManyAtOnce(t *testing.T) { onVersions(t, testManyAtOnce) }

func testManyAtOnce(t *testing.T, w *world) {
	for range 10 {
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "replace", Times: 1, After: true, Reply: fakeappwrite.HTML(502)})
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Times: 1, Reply: fakeappwrite.HTML(503)})
	}
	var wg sync.WaitGroup
	for range 8 {
		for _, name := range []string{"stk/unknown-1037-no-response", "stk/paid-after-no-response"} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if got := w.send(name); got != 200 {
					t.Errorf("%s: %d, want 200", name, got)
				}
			}()
		}
	}
	wg.Wait()
	w.later(30 * day)
	if got := w.status(); got != "SUCCESS" {
		t.Errorf("the document says %s, want SUCCESS", got)
	}
	if events := w.Appwrite.Events(); len(events) > 2 {
		t.Errorf("Realtime would have sent %d events, want at most a create and one update", len(events))
	}
}

// TestNoKey: without a key of the platform's nothing can be stored or queued, and
// nothing is called accepted.
func TestNoKey(t *testing.T) {
	for key, want := range map[string]string{
		"":                  "create: 401 user_unauthorized", // a guest may queue, not write
		"foreign_key":       "create: 401 user_unauthorized",
		"ephemeral_expired": "create: 401 user_unauthorized", // the function's own, too old or garbled
		"dynamic_expired":   "create: 401 user_unauthorized", // the same, up to 1.9.0
		"standard_unknown":  "create: 401 user_unauthorized; queue: 401 user_unauthorized",
	} {
		t.Run(key, func(t *testing.T) {
			onVersions(t, func(t *testing.T, w *world) {
				w.Runtime.Key = key
				got := w.send("stk/paid")
				_, errors := w.Logged()
				if refused := strings.Contains(want, "queue"); (got == 503) != refused {
					t.Errorf("reply %d, want 503: %t", got, refused)
				}
				if last := errors[len(errors)-1]; !strings.Contains(last, fmt.Sprintf("error=%q", want)) {
					t.Errorf("error log = %q, want %q", last, want)
				}
			})
		})
	}
}

// TestForgedKey: anybody may have the function run with a key of his own, which
// stands before the platform's. It opens nothing, and what he posts is kept.
func TestForgedKey(t *testing.T) {
	onVersions(t, func(t *testing.T, w *world) {
		execution, err := json.Marshal(map[string]any{
			"async": true, "path": target("stk/paid"), "body": payload(t, "stk/paid"),
			"headers":     map[string]string{"X-Appwrite-Key": "foreign_key"},
			"scheduledAt": w.Clock.Now().Truncate(time.Minute).Add(2 * time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest("POST", w.AppwriteURL+"/functions/"+testbed.FunctionID+"/executions", bytes.NewReader(execution))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("a guest's execution: %d, want 202", resp.StatusCode)
		}
		w.later(2 * time.Minute)
		if _, errors := w.Logged(); len(w.stored()) != 0 || len(errors) != 1 || !strings.Contains(errors[0], `error="create: 401 user_unauthorized"`) {
			t.Errorf("with the forged key: %d documents, error log %q; want none, and the refusal", len(w.stored()), errors)
		}
		w.later(3 * time.Minute)
		if got := w.status(); got != "SUCCESS" {
			t.Errorf("after the redelivery the document says %s, want SUCCESS", got)
		}
	})
}

// TestRunsTwice: on 1.9.6 executions that are due in one minute may all run once
// more. Each verdict is settled once all the same.
func TestRunsTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.RunsTwice = true
	w.config.PaymentsID = "gone"
	for i := range 3 {
		w.post("/callback?uid=amina", strings.Replace(payload(t, "stk/paid"), "ws_CO_", fmt.Sprintf("ws_CO_%d", i), 1))
	}
	w.later(3 * time.Minute) // the first attempts, in vain
	w.Logged()
	w.config.PaymentsID = "payments"
	w.later(30 * day)
	if documents, events := len(w.stored()), len(w.Appwrite.Events()); documents != 3 || events != 3 {
		t.Errorf("%d documents after %d events, want 3 of each", documents, events)
	}
	if _, errors := w.Logged(); len(errors) != 0 {
		t.Errorf("error log = %q, want nothing", errors)
	}
}

// TestDeadPool: every idle connection died without a word, as those of a
// container that was frozen. The second try must not take another one.
func TestDeadPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	line := newForgetfulLine(t, strings.TrimSuffix(strings.TrimPrefix(w.AppwriteURL, "http://"), "/v1"))
	w.config.Endpoint = "http://" + line.Addr().String() + "/v1"
	w.Appwrite.Inject(fakeappwrite.Fault{Times: 16, Delay: 100 * time.Millisecond}) // so that each needs a connection of its own
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.post("/callback?uid=amina", strings.Replace(payload(t, "stk/paid"), "ws_CO_", fmt.Sprintf("ws_CO_%d", i), 1))
		}()
	}
	wg.Wait()
	if n := line.forget(); n < 8 {
		t.Fatalf("%d connections are idle, want many", n)
	}
	w.config.clock.call = 300 * time.Millisecond
	w.Logged()
	got := w.send("b2c/paid")
	if logs, errors := w.Logged(); got != 200 || len(errors) != 0 || !regexp.MustCompile(`outcome=created attempt=0 calls=[12] `).MatchString(logs[0]) {
		// Another test may have closed the dead ones; then it is the first.
		t.Errorf("reply %d, log %q, error log %q: want it stored by the second call", got, logs, errors)
	}
}

// forgetfulLine passes bytes on to a server until it forgets its connections:
// they stay open, and nothing passes any more. New ones work.
type forgetfulLine struct {
	net.Listener
	mu    sync.Mutex
	lines []*atomic.Bool // true once forgotten
}

func newForgetfulLine(t testing.TB, server string) *forgetfulLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &forgetfulLine{Listener: listener}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				from.Close()
				return
			}
			forgotten := &atomic.Bool{}
			l.mu.Lock()
			l.lines = append(l.lines, forgotten)
			l.mu.Unlock()
			go pass(from, to, forgotten)
			go pass(to, from, forgotten)
		}
	}()
	return l
}

func pass(from, to net.Conn, forgotten *atomic.Bool) {
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !forgotten.Load() {
			to.Write(buffer[:n])
		}
	}
}

// forget makes all connections dead that there are, and returns their number.
func (l *forgetfulLine) forget() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, forgotten := range l.lines {
		forgotten.Store(true)
	}
	return len(l.lines)
}

// TestOutage: 1,000 callbacks come in the ten minutes in which no document can be
// written. Each is settled by its first redelivery after that.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.Version = "2.0.0" // whose queue does without the project's database
	w.Appwrite.SetDatabaseDown(true)
	start := w.Clock.Now()
	for minute := range 10 {
		for i := range 100 {
			id := fmt.Sprintf("ws_CO_%d", minute*100+i)
			body := fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":%q,"ResultCode":1032}}}`, id)
			if got := deliver(w, "/callback?uid=amina", body); got != 200 {
				t.Fatalf("minute %d: %d, want 200", minute, got)
			}
		}
		w.RunUntil(start.Add(time.Duration(minute+1) * time.Minute))
	}
	w.Appwrite.SetDatabaseDown(false)
	end := w.Clock.Now()
	var settledAfter []time.Duration
	w.Appwrite.RunUntil(end.Add(30*day), w.Clock, func(e fakeappwrite.Execution) {
		id := regexp.MustCompile(`ws_CO_\d+`).FindString(e.Body)
		if _, before := w.Appwrite.Document("daraja", "payments", id); before {
			return // a copy of another run
		}
		w.Runtime.Execute(e)
		if _, settled := w.Appwrite.Document("daraja", "payments", id); !settled {
			t.Errorf("%s settled nothing", e.Path)
		}
		settledAfter = append(settledAfter, w.Clock.Now().Sub(end))
	})
	if len(settledAfter) != 1000 {
		t.Fatalf("%d of 1000 are settled", len(settledAfter))
	}
	slices.Sort(settledAfter)
	t.Logf("settled after the end of the outage: median %v, p90 %v, p99 %v, last %v", settledAfter[500].Round(time.Second),
		settledAfter[900].Round(time.Second), settledAfter[990].Round(time.Second), settledAfter[999].Round(time.Second))
	if last := settledAfter[999]; last > 6*time.Minute {
		t.Errorf("the last was settled %v after the outage, want within its next step", last)
	}
}
