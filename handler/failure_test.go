package handler

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// fault is one way in which the API can fail.
type fault struct {
	name  string
	reply http.HandlerFunc
	class appwrite.Class
	log   string // what the log says of it
}

var faults = []fault{
	{"timeout of the database", fakeappwrite.Status(408, "database_timeout", "for ws_CO_1"), appwrite.Transient, "408 database_timeout"},
	{"rate limit", fakeappwrite.Status(429, "general_rate_limit_exceeded", "for ws_CO_1"), appwrite.Throttled, "429 general_rate_limit_exceeded"},
	{"server error", fakeappwrite.Status(500, "general_unknown", "Server Error"), appwrite.Transient, "500 general_unknown"},
	{"proxy without server", fakeappwrite.HTML(502), appwrite.Transient, "502"},
	{"maintenance", fakeappwrite.HTML(503), appwrite.Transient, "503"},
	{"scope", fakeappwrite.Status(401, "general_unauthorized_scope", "missing scopes"), appwrite.Permanent, "401 general_unauthorized_scope"},
	{"guest", fakeappwrite.Status(401, "user_unauthorized", "not authorized"), appwrite.Permanent, "401 user_unauthorized"},
	{"no collection", fakeappwrite.Status(404, "collection_not_found", "not found"), appwrite.Permanent, "404 collection_not_found"},
	{"structure", fakeappwrite.Status(400, "document_invalid_structure", "Unknown attribute"), appwrite.Permanent, "400 document_invalid_structure"},
	{"paused", fakeappwrite.Status(403, "project_paused", "paused"), appwrite.Permanent, "403 project_paused"},
	{"page instead of JSON", fakeappwrite.HTML(200), appwrite.Transient, "200 no document in the answer"},
	{"empty object", fakeappwrite.Empty(201), appwrite.Transient, "201 no document in the answer"},
	{"redirect", fakeappwrite.Redirect(302, "/elsewhere/ws_CO_1"), appwrite.Permanent, "302 redirected"},
	{"permanent redirect", fakeappwrite.Redirect(308, "/elsewhere/ws_CO_1"), appwrite.Permanent, "308 redirected"},
	{"redirect to nowhere", fakeappwrite.Redirect(301, "https://appwrite:port/ws_CO_1"), appwrite.Permanent, "301 redirected"},
	{"reset", fakeappwrite.Hangup(), appwrite.Transient, "connection reset by peer"},
	{"hang", testbed.Hang, appwrite.Transient, "no answer in time"},
	{"cut off", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, appwrite.Transient, "connection broken"},
	{"an odd type", fakeappwrite.Status(500, "254700000001", ""), appwrite.Transient, "500 ?"},
}

// TestFaults breaks each call of the store in each way, before and after it is carried
// out, once and for ever: the sender hears "Accepted", and the success comes to stand,
// once, without going back.
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
		w.PostPayload("timeout/envelope")
	}
	w.Logged()
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, After: after, Times: times, Reply: f.reply})
	if got := w.PostPayload("b2c/paid"); got != 200 {
		t.Fatalf("reply %d, want 200: the queue was there", got)
	}
	// The second try finds what the first one did, though no answer says so.
	if f.class == appwrite.Transient && (times == 1 || operation == "replace" && after) {
		if got := w.Status(); got != "SUCCESS" {
			t.Errorf("the document says %s, want it stored by the second try", got)
		}
		if n := len(w.Appwrite.Waiting()); n != 0 {
			t.Errorf("%d executions wait, want none", n)
		}
		if got := w.errorLog(); got != "" {
			t.Errorf("error log = %q, want nothing", got)
		}
	} else {
		w.checkQueued(t, operation, f)
	}

	w.Appwrite.Heal()
	w.Later(3 * time.Minute)
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("3 minutes after it was mended the document says %s, want SUCCESS", got)
	}
	w.Later(30 * day)
	if n := len(w.Appwrite.Waiting()); n != 0 {
		t.Errorf("%d executions still wait after 30 days", n)
	}
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("after 30 days the document says %s, want SUCCESS", got)
	}
	if events := w.Appwrite.Events(); len(events) > 2 {
		t.Errorf("%d events, want none but a create and an update", len(events))
	}
}

// checkQueued holds a queued delivery to its three copies and its line in the log, in
// which nothing may be that is the server's or the payer's.
func (w *world) checkQueued(t *testing.T, operation string, f fault) {
	t.Helper()
	if n := len(w.Appwrite.Waiting()); n != 3 {
		t.Errorf("%d executions wait, want 3", n)
	}
	line := w.errorLog()
	for _, part := range []string{
		"failed route=b2c/result id=daa6-4d1a-af61-120b12394********* ",
		fmt.Sprintf(" reason=%q ", f.class), ` error="` + operation + ": ", f.log,
	} {
		if !strings.Contains(line, part) {
			t.Errorf("error log = %q, want %q in it", line, part)
		}
	}
	for _, part := range []string{"\n", "http://", "/databases", "ws_CO_1", "AMINA", "254700000001"} {
		if strings.Contains(line, part) {
			t.Errorf("error log = %q, which has %q", line, part)
		}
	}
}

// TestQueueFaults breaks the queue while the database is down, on a server whose queue
// does without it.
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
	w.Appwrite.SetDatabaseDown(true)
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", After: after, Times: times, Reply: f.reply})
	want := 200 // one copy was taken
	if times == 0 {
		want = 503
	}
	if got := w.PostPayload("b2c/paid"); got != want {
		t.Fatalf("reply %d, want %d", got, want)
	}
	_, errors := w.Logged()
	if times == 0 {
		if len(errors) != 2 {
			t.Fatalf("error log = %q, want two lines", errors)
		}
		checkUnsettled(t, errors[0])
		for _, part := range []string{"create: 500", "queue: ", f.log} {
			if !strings.Contains(errors[1], part) {
				t.Errorf("error log = %q, want both failures", errors[1])
			}
		}
	}
	w.Appwrite.Heal()
	w.Appwrite.SetDatabaseDown(false)
	w.Later(30 * day)
	status := "none"
	if times != 0 || after {
		status = "SUCCESS"
	}
	if got := w.Status(); got != status {
		t.Errorf("after 30 days the document says %s, want %s", got, status)
	}
}

// checkUnsettled holds a line to be that of b2c/paid.
func checkUnsettled(t *testing.T, line string) {
	t.Helper()
	const begin = `UNSETTLED {"route":"b2c/result","uid":"amina","id":"daa6-4d1a-af61-120b12394d6e598669",` +
		`"data":{"originatorConversationId":"daa6-4d1a-af61-120b12394d6e598669","status":"SUCCESS","resultCode":0,"receipt":"UKN8D3R6YM","amount":500,`
	if !strings.HasPrefix(line, begin) {
		t.Errorf("%q, want a line that begins with %q", line, begin)
	}
}

// TestRounds follows the rounds of storing and queueing, on a clock that only says how
// long it was asked to wait.
func TestRounds(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, tt := range map[string]struct {
		fault  fakeappwrite.Fault
		healed time.Duration // when everything works again, counted from the request
		reply  int
		status string
		copies int
		waits  []time.Duration
	}{
		"documents hang":           {fakeappwrite.Fault{Operation: "create", Reply: testbed.Hang}, 0, 200, "none", 3, []time.Duration{0}},
		"all hangs, for a moment":  {fakeappwrite.Fault{Reply: testbed.Hang}, 6 * second, 200, "SUCCESS", 0, []time.Duration{0, 6 * second}},
		"all is down for a while":  {fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)}, 12 * second, 200, "SUCCESS", 0, []time.Duration{0, 6 * second, 12 * second}},
		"all is down for longer":   {fakeappwrite.Fault{Reply: fakeappwrite.Hangup()}, 18 * second, 200, "SUCCESS", 0, []time.Duration{0, 6 * second, 12 * second, 18 * second}},
		"all is down for too long": {fakeappwrite.Fault{Reply: fakeappwrite.Hangup()}, 24 * second, 503, "none", 0, []time.Duration{0, 6 * second, 12 * second, 18 * second}},
		"all hangs":                {fakeappwrite.Fault{Reply: testbed.Hang}, 24 * second, 503, "none", 0, []time.Duration{0, 6 * second, 12 * second, 18 * second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.function.clock.rounds = newClock().rounds
			var waits []time.Duration
			w.function.clock.wait = func(_ time.Time, d time.Duration) {
				waits = append(waits, d)
				if tt.healed > 0 && d >= tt.healed {
					w.Appwrite.Heal()
				}
			}
			w.Appwrite.Inject(tt.fault)
			if got := w.PostPayload("b2c/paid"); got != tt.reply {
				t.Errorf("reply %d, want %d", got, tt.reply)
			}
			if got := w.Status(); got != tt.status {
				t.Errorf("the document says %s, want %s", got, tt.status)
			}
			if n := len(w.Appwrite.Waiting()); n != tt.copies {
				t.Errorf("%d executions wait, want %d", n, tt.copies)
			}
			if !slices.Equal(waits, tt.waits) {
				t.Errorf("the rounds began after %v, want %v", waits, tt.waits)
			}
			if _, errors := w.Logged(); tt.reply == 503 {
				checkUnsettled(t, errors[0])
			}
		})
	}
}

// TestRoundsInEarnest goes through all rounds by the clock on the wall, which is only
// wound to go faster.
func TestRoundsInEarnest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.function.clock = newClock()
	w.function.clock.rounds = [4]time.Duration{0, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond}
	w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.Hangup()})
	start := time.Now()
	if got := w.PostPayload("b2c/paid"); got != 503 {
		t.Errorf("with everything down: %d, want 503", got)
	}
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("answered after %v, want it tried until the last round", took)
	}
	_, errors := w.Logged()
	checkUnsettled(t, errors[0])
}

// TestTimeForStore: when all the time of the store is over, it is not tried again.
func TestTimeForStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.function.clock.store = -1
	if got := w.PostPayload("b2c/paid"); got != 200 {
		t.Errorf("reply %d, want 200: it was queued", got)
	}
	if got := w.Operations(); got != "execute execute execute" {
		t.Errorf("calls = %q, want none of the store", got)
	}
	logs, _ := w.Logged()
	if !strings.Contains(logs[0], " calls=4 ") {
		t.Errorf("log = %q, want one try of the store", logs)
	}
}

// TestTimeForQueue: when the time of the queue is over, it is not called.
func TestTimeForQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Set("DARAJA_DATABASE_ID", "")
	w.function.clock.queue = -1
	if got := w.PostPayload("b2c/paid"); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	if got := w.Operations(); got != "" {
		t.Errorf("calls = %q, want none", got)
	}
	if got := w.errorLog(); !strings.Contains(got, "queue: no answer in time") {
		t.Errorf("error log = %q", got)
	}
}

// TestMissingSettings: what an operator forgot costs no verdict. Every missing variable
// is named at once.
func TestMissingSettings(t *testing.T) {
	t.Parallel()
	for name, missing := range map[string]string{
		"stk/paid": "DARAJA_DATABASE_ID is missing; DARAJA_COLLECTION_ID is missing",
		"b2c/paid": "DARAJA_DATABASE_ID is missing; DARAJA_B2C_COLLECTION_ID is missing",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, name := range []string{"DARAJA_DATABASE_ID", "DARAJA_COLLECTION_ID", "DARAJA_B2C_COLLECTION_ID"} {
				w.Set(name, "")
			}
			if got := w.PostPayload(name); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if got := w.Operations(); got != "execute execute execute" {
				t.Errorf("calls = %q, want the queue alone", got)
			}
			if got, want := w.errorLog(), `reason="needs an operator" error="configuration: `+missing+`"`; !strings.HasSuffix(got, want) {
				t.Errorf("error log = %q, want %s", got, want)
			}
			if got := w.Post("/callback", "{"); got != 400 {
				t.Errorf("a bad callback: %d, want 400: it is looked at before the settings", got)
			}
			w.Set("DARAJA_DATABASE_ID", "daraja")
			w.Set("DARAJA_COLLECTION_ID", "payments")
			w.Set("DARAJA_B2C_COLLECTION_ID", "disbursements")
			w.Later(3 * time.Minute)
			if got := w.Status(); got != "SUCCESS" {
				t.Errorf("with the settings the document says %s, want SUCCESS", got)
			}
		})
	}
}

// TestManyAtOnce posts a timeout and its success many times at the same moment, while
// every third call breaks: the success stands, once.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 10 {
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "replace", Times: 1, After: true, Reply: fakeappwrite.HTML(502)})
		w.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Times: 1, Reply: fakeappwrite.HTML(503)})
	}
	var wg sync.WaitGroup
	for range 8 {
		for _, name := range []string{"stk/unknown-1037-no-response", "stk/paid-after-no-response"} {
			body := payload(t, name)
			wg.Add(1)
			go func() {
				defer wg.Done()
				if got := w.Handle("POST", "/callback", "uid=amina", http.Header{}, body); got.Status != 200 {
					t.Errorf("%s: %d, want 200", name, got.Status)
				}
			}()
		}
	}
	wg.Wait()
	w.Later(30 * day)
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("the document says %s, want SUCCESS", got)
	}
	if events := w.Appwrite.Events(); len(events) > 2 {
		t.Errorf("Realtime would have sent %d events, want at most a create and one update", len(events))
	}
}

// TestNoKey: without a key of the platform's nothing can be stored or queued, and
// nothing is called accepted.
func TestNoKey(t *testing.T) {
	t.Parallel()
	for key, tt := range map[string]struct {
		status int
		want   string
	}{
		"":                 {200, "create: 401 user_unauthorized"}, // a guest may queue, not write
		"foreign_key":      {200, "create: 401 user_unauthorized"},
		"standard_unknown": {503, "create: 401 user_unauthorized; queue: 401 user_unauthorized"},
	} {
		t.Run(key, func(t *testing.T) {
			w := newWorld(t)
			w.Runtime.Key = key
			if got := w.PostPayload("stk/paid"); got != tt.status {
				t.Errorf("reply %d, want %d", got, tt.status)
			}
			if got := w.errorLog(); !strings.HasSuffix(got, fmt.Sprintf("error=%q", tt.want)) {
				t.Errorf("error log = %q, want %q", got, tt.want)
			}
		})
	}
}
