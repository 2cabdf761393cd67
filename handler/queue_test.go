package handler

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestRun lets one verdict fail for weeks: three runs of attempts, 25 in all, an
// UNSETTLED line at the end of each, and every request the same but for its attempt.
func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.Status(401, "general_unauthorized_scope", "x")})
	start := w.Clock.Now()
	body := payload(t, "b2c/paid")
	if got := w.Post("/b2c/result?uid=amina&attempt=77&attempt=3&x=y", body); got != 200 {
		t.Fatalf("reply %d, want 200", got)
	}
	w.Logged()
	attempts := map[string]int{}
	var unsettledAt []time.Duration
	w.Appwrite.RunUntil(start.Add(30*day), w.Clock, func(e fakeappwrite.Execution) {
		attempts[strings.TrimSuffix(strings.TrimPrefix(e.Path, "/b2c/result?attempt="), "&uid=amina")]++
		if e.Method != "POST" {
			t.Errorf("%s %s, want a POST", e.Method, e.Path)
		}
		if e.Body != body {
			t.Errorf("%s has the body %q, want it as it came", e.Path, e.Body)
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
	if len(attempts) != 25 {
		t.Errorf("%d attempts, want 25", len(attempts))
	}
	for i := 1; i <= 25; i++ {
		if n := attempts[fmt.Sprint(i)]; n != 1 {
			t.Errorf("attempt %d was made %d times, want once", i, n)
		}
	}
	if len(unsettledAt) != 3 {
		t.Fatalf("UNSETTLED after %v, want three times", unsettledAt)
	}
	for i, latest := range []time.Duration{66 * time.Minute, 29 * time.Hour, 13 * day} {
		if unsettledAt[i] > latest {
			t.Errorf("UNSETTLED after %v, want it by %v", unsettledAt[i], latest)
		}
	}
}

// TestRedelivery: what comes out of the queue follows the same rules.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		attempt    int
		log, calls string
	}{
		{1, "outcome=created attempt=1 calls=1 ", "create"},
		{8, "outcome=duplicate attempt=8 calls=2 ", "create get"},
		{14, "outcome=duplicate attempt=14 calls=2 ", "create get"},
		{25, "outcome=duplicate attempt=25 calls=2 ", "create get"},
	} {
		if got := w.Post(fmt.Sprintf("/b2c/result?attempt=%d&uid=amina", tt.attempt), payload(t, "b2c/paid")); got != 200 {
			t.Errorf("attempt %d: %d, want 200", tt.attempt, got)
		}
		if got := w.Operations(); got != tt.calls {
			t.Errorf("attempt %d: calls %q, want %q", tt.attempt, got, tt.calls)
		}
		logs, errors := w.Logged()
		if len(logs) != 1 || !strings.Contains(logs[0], tt.log) {
			t.Errorf("attempt %d: log %q, want %s", tt.attempt, logs, tt.log)
		}
		if len(errors) != 0 {
			t.Errorf("attempt %d: error log %q, want nothing", tt.attempt, errors)
		}
	}
}

// TestQueuedRequest has what waits: the clean path, in which a later version reads the
// secret and the route, and a query rebuilt from what was understood.
func TestQueuedRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, secret, posted, want string }{
		{"nobody's", "", "/callback", "/callback?attempt=1"},
		{"a user's", "", "/callback?uid=amina", "/callback?attempt=1&uid=amina"},
		{"a uid that is none", "", "/callback?uid=%22bad%22", "/callback?attempt=1"},
		{"a long uid", "", "/callback?uid=" + strings.Repeat("x", 3000), "/callback?attempt=1"},
		{"another attempt", "", "/callback?attempt=99&uid=a.b-c_d&attempt=98", "/callback?attempt=1&uid=a.b-c_d"},
		{"the bare domain", "", "/?uid=amina", "/callback?attempt=1&uid=amina"},
		{"a slash at the end", "", "/callback/?uid=amina", "/callback?attempt=1&uid=amina"},
		{"two slashes", "", "//callback", "/callback?attempt=1"},
		{"slashes alone", "", "//", "/callback?attempt=1"},
		{"many slashes", "", "///callback//", "/callback?attempt=1"},
		{"B2C", "", "/b2c//result/", "/b2c/result?attempt=1"},
		{"with the secret", secret, "//" + secret + "//callback//", "/" + secret + "/callback?attempt=1"},
		{"B2C with the secret", secret, "/" + secret + "///b2c//timeout?uid=a/", "/" + secret + "/b2c/timeout?attempt=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Set("DARAJA_DATABASE_ID", "gone")
			w.Set(CallbackSecret, tt.secret)
			name := "stk/paid"
			if strings.Contains(tt.posted, "b2c") {
				name = "b2c/paid"
			}
			if got := w.Post(tt.posted, payload(t, name)); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			waiting := w.Appwrite.Waiting()
			if len(waiting) != 3 {
				t.Fatalf("%d executions wait, want 3", len(waiting))
			}
			for i, number := range []string{"1", "9", "14"} {
				if want := strings.Replace(tt.want, "attempt=1", "attempt="+number, 1); waiting[i].Path != want {
					t.Errorf("%s waits, want %s", waiting[i].Path, want)
				}
				if waiting[i].Method != "POST" {
					t.Errorf("%s waits for a %s", waiting[i].Path, waiting[i].Method)
				}
			}
		})
	}
}

// TestQueueOfEarlierVersion: what the version before this one queued is still read.
func TestQueueOfEarlierVersion(t *testing.T) {
	t.Parallel()
	for path, name := range map[string]string{
		"/callback?attempt=1&uid=amina":                                      "stk/paid",
		"/" + secret + "/callback?attempt=14&uid=amina":                      "stk/paid",
		"/" + secret + "/b2c/result?attempt=9&uid=amina":                     "b2c/paid",
		"/" + secret + "/b2c/timeout?attempt=25&uid=amina":                   "timeout/envelope",
		"/" + url.PathEscape("odd secret") + "/callback?attempt=8&uid=amina": "stk/paid",
	} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			switch {
			case strings.Contains(path, secret):
				w.Set(CallbackSecret, secret)
			case strings.Contains(path, "odd"):
				w.Set(CallbackSecret, "odd secret")
			}
			if got := w.Runtime.Execute(fakeappwrite.Execution{Method: "POST", Path: path, Body: payload(t, name)}); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if got := testbed.Readers(w.Document()); got != "user:amina" {
				t.Errorf("the document is read by %q, want amina", got)
			}
			if logs, _ := w.Logged(); !strings.Contains(logs[0], regexp.MustCompile(`attempt=\d+`).FindString(path)+" ") {
				t.Errorf("log = %q, want the attempt of %s", logs, path)
			}
		})
	}
}

// TestServerClockAhead: the server refuses what is not a minute ahead by its own clock.
// A minute later does, if that is not ahead by more.
func TestServerClockAhead(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]struct{ reply, copies int }{
		25 * time.Second: {200, 3}, 85 * time.Second: {200, 3}, 5 * time.Minute: {200, 2}, 25 * time.Hour: {503, 0},
	} {
		t.Run(ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			w.Set("DARAJA_COLLECTION_ID", "gone")
			w.function.clock.now = func() time.Time { return w.Clock.Now().Add(-ahead) }
			if got := w.PostPayload("stk/paid"); got != want.reply {
				t.Errorf("reply %d, want %d", got, want.reply)
			}
			if n := len(w.Appwrite.Waiting()); n != want.copies {
				t.Errorf("%d executions wait, want %d", n, want.copies)
			}
		})
	}
}

// TestQueueByVersion: up to 1.9.6 what arrives while the project's database is down can
// be neither stored nor queued, and the sender hears so.
func TestQueueByVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"1.8.1": 503, "1.9.0": 503, "1.9.6": 503, "1.9.7": 200, "2.0.0": 200} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t)
			w.Appwrite.Version = version
			w.Appwrite.SetDatabaseDown(true)
			if got := w.PostPayload("b2c/paid"); got != want {
				t.Errorf("reply %d, want %d", got, want)
			}
			line := w.errorLog()
			if unsettled := strings.HasPrefix(line, "UNSETTLED "); unsettled != (want == 503) {
				t.Errorf("error log = %q after a %d", line, want)
			}
			w.Appwrite.SetDatabaseDown(false)
			w.Later(3 * time.Minute)
			status := "SUCCESS"
			if want == 503 {
				status = "none"
			}
			if got := w.Status(); got != status {
				t.Errorf("the document says %s, want %s", got, status)
			}
		})
	}
}

// TestRestart: on 1.8.1 a restart loses what is due within the minute. The other runs
// have a copy each.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.Version = "1.8.1"
	w.Set("DARAJA_COLLECTION_ID", "gone")
	w.PostPayload("stk/paid")
	w.Clock.MoveTo(w.Appwrite.Waiting()[0].ScheduledAt.Add(-time.Second))
	if lost := w.Appwrite.Restart(); lost != 1 {
		t.Fatalf("the restart lost %d, want 1", lost)
	}
	w.Set("DARAJA_COLLECTION_ID", "payments")
	w.Later(10 * time.Minute)
	if got := w.Status(); got != "none" {
		t.Errorf("after ten minutes the document says %s, want none yet", got)
	}
	w.Later(2 * time.Hour)
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("after two hours the document says %s, want SUCCESS", got)
	}
}

// TestOutage: 200 callbacks come in the ten minutes in which no document can be
// written. Each is settled by its first redelivery after that.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.Version = "2.0.0" // whose queue does without the project's database
	w.Appwrite.SetDatabaseDown(true)
	start := w.Clock.Now()
	for minute := range 10 {
		for i := range 20 {
			id := fmt.Sprintf("ws_CO_%d", minute*20+i)
			body := fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":%q,"ResultCode":1032}}}`, id)
			if got := w.Runtime.Execute(fakeappwrite.Execution{Method: "POST", Path: "/callback?uid=amina", Body: body}); got != 200 {
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
		settledAfter = append(settledAfter, e.ScheduledAt.Sub(end))
	})
	if len(settledAfter) != 200 {
		t.Fatalf("%d of 200 are settled", len(settledAfter))
	}
	slices.Sort(settledAfter)
	t.Logf("settled after the end of the outage: median %v, p90 %v, last %v", settledAfter[100].Round(time.Second),
		settledAfter[180].Round(time.Second), settledAfter[199].Round(time.Second))
	if last := settledAfter[199]; last > 6*time.Minute {
		t.Errorf("the last was settled %v after the outage, want within its next step", last)
	}
}
