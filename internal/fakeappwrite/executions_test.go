package fakeappwrite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// queueing is a request to queue an execution.
func queueing(t *testing.T, a *Appwrite, body string) (int, map[string]any) {
	t.Helper()
	r := newRequest("POST", "/documents", body)
	r.URL.Path = "/v1/functions/daraja/executions"
	return serve(t, a, r)
}

func scheduled(at time.Time, path string) string {
	return fmt.Sprintf(`{"async":true,"method":"POST","path":%q,"body":"{}","scheduledAt":%q}`, path, at.UTC().Format(time.RFC3339Nano))
}

// withHeader is a request to queue an execution with a header of that name.
func withHeader(now time.Time, name string) string {
	return strings.Replace(scheduled(now.Add(2*time.Minute), "/"), `"async"`, fmt.Sprintf(`"headers":{%q:"k"},"async"`, name), 1)
}

// A queueClock stands until it is moved.
type queueClock struct{ at time.Time }

func newQueueClock() *queueClock { return &queueClock{time.Date(2026, 11, 23, 6, 30, 5, 0, time.UTC)} }

func (c *queueClock) Now() time.Time { return c.at }

func (c *queueClock) MoveTo(t time.Time) { c.at = t }

// TestQueueParams has what Appwrite refuses to queue.
func TestQueueParams(t *testing.T) {
	a := newAppwrite(t)
	a.AddKey("standard_all", "execution.write", "execution.read")
	whole := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)
	a.Now = func() time.Time { return whole.Add(2 * time.Millisecond) }
	const async = "Scheduled executions must run asynchronously. Set scheduledAt to a future date, or set async to true."
	for _, tt := range []struct {
		name, body, kind string
		status           int
	}{
		{"in two minutes", scheduled(whole.Add(2*time.Minute), "/"), "", 202},
		{"in 40 days", scheduled(whole.Add(40*24*time.Hour), "/"), "", 202},
		{"in 2099", scheduled(time.Date(2099, 12, 31, 23, 59, 0, 0, time.UTC), "/"), "", 202},
		{"with async in text", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "true", `"true"`, 1), "", 202},
		{"43 KiB", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "{}", strings.Repeat("x", 43<<10), 1), "", 202},
		{"50 KiB", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "{}", strings.Repeat("x", 50<<10), 1), "general_unknown", 500},
		{"this minute", scheduled(whole, "/"), "general_bad_request", 400},
		{"59.998 s ahead", scheduled(whole.Add(time.Minute), "/"), "general_bad_request", 400},
		{"not a whole minute", scheduled(whole.Add(150*time.Second), "/"), "general_bad_request", 400},
		{"not a whole second", scheduled(whole.Add(3*time.Minute+time.Millisecond), "/"), "general_bad_request", 400},
		{"no date", `{"async":true,"scheduledAt":"soon"}`, "general_bad_request", 400},
		{"not async", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "true", "false", 1), "general_bad_request", 400},
		{"a path too long", scheduled(whole.Add(2*time.Minute), "/"+strings.Repeat("x", 2048)), "general_argument_invalid", 400},
		{"a method that is none", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "POST", "POKE", 1), "general_argument_invalid", 400},
		{"a body that is no text", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), `"{}"`, "{}", 1), "general_argument_invalid", 400},
		{"a header of the platform's", withHeader(whole, "x-appwrite-key"), "general_unknown", 500},
		{"a header of the platform's in other capitals", withHeader(whole, "X-appwrite-key"), "", 202},
		{"a header with a space", withHeader(whole, "a b"), "general_unknown", 500},
		{"headers that are none", strings.Replace(withHeader(whole, "a"), `{"a":"k"}`, `"a"`, 1), "general_argument_invalid", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(a.Waiting())
			status, body := queueing(t, a, tt.body)
			if kind, _ := body["type"].(string); status != tt.status || kind != tt.kind {
				t.Errorf("%d %q, want %d %q", status, kind, tt.status, tt.kind)
			}
			if queued := len(a.Waiting()) > before; queued != (tt.status == 202) {
				t.Errorf("it waits: %t, after a %d", queued, status)
			}
			if message := body["message"]; (message == async) != (tt.name == "not async") {
				t.Errorf("message = %q", message)
			}
		})
	}
	a.Now = func() time.Time { return whole }
	if status, body := queueing(t, a, scheduled(whole.Add(time.Minute), "/")); status != 202 {
		t.Errorf("60 s ahead: %d %v, want 202", status, body)
	}
	a.AddKey("standard_all", "documents.write")
	if status, body := queueing(t, a, scheduled(whole.Add(2*time.Minute), "/")); status != 401 || body["type"] != "general_unauthorized_scope" {
		t.Errorf("without the scope: %d %v", status, body)
	}
}

// TestCron has a function run on its schedule, between what waits in the queue.
func TestCron(t *testing.T) {
	a := newAppwrite(t)
	a.AddKey("standard_all", "execution.write")
	a.Functions["daraja"].Schedule, a.Cron = "*/5 * * * *", true
	clock := newQueueClock()
	a.Now = clock.Now
	start := clock.Now().Truncate(5 * time.Minute)
	if status, body := queueing(t, a, scheduled(start.Add(8*time.Minute), "/queued")); status != 202 {
		t.Fatalf("%d %v", status, body)
	}
	var ran []string
	run := func(e Execution) {
		ran = append(ran, fmt.Sprint(e.Method, " ", e.Path, " ", e.ScheduledAt.Sub(start), " user=", e.UserID))
		if e.Path == "/" && e.Body != "" {
			t.Errorf("a schedule has the body %q", e.Body)
		}
	}
	a.RunUntil(start.Add(11*time.Minute), clock, run)
	want := []string{"POST / 5m0s user=", "POST /queued 8m0s user=", "POST / 10m0s user="}
	if !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	// The platform was down for a quarter of an hour.
	clock.MoveTo(start.Add(27 * time.Minute))
	ran = nil
	if a.RunUntil(start.Add(31*time.Minute), clock, run); !slices.Equal(ran, []string{"POST / 30m0s user="}) {
		t.Errorf("after a pause ran %q", ran)
	}
	for _, schedule := range []string{"0 * * * *", "*/7 * * * *", "soon"} {
		if _, err := New([]byte(`{"functions":[{"$id":"f","schedule":"` + schedule + `"}]}`)); err == nil {
			t.Errorf("the fake takes the schedule %q", schedule)
		}
	}
}

// TestRunUntil: executions run at their time, in its order, those included that
// are queued meanwhile, and each once.
func TestRunUntil(t *testing.T) {
	a := newAppwrite(t)
	a.AddKey("standard_all", "execution.write")
	clock := newQueueClock()
	a.Now = clock.Now
	start := clock.Now().Truncate(time.Minute)
	queue := func(minutes int, path string) {
		if status, body := queueing(t, a, scheduled(start.Add(time.Duration(minutes)*time.Minute), path)); status != 202 {
			t.Fatalf("%s: %d %v", path, status, body)
		}
	}
	queue(60, "/later")
	queue(3, "/b")
	queue(2, "/a")
	queue(3, "/c")
	var ran []string
	run := func(e Execution) {
		if e.Path == "/a" {
			queue(10, "/d")
		}
		ran = append(ran, fmt.Sprint(e.Path, clock.Now().Sub(start).Truncate(time.Minute)))
	}
	if n := a.RunUntil(start.Add(30*time.Minute), clock, run); n != 4 || !slices.Equal(ran, []string{"/a2m0s", "/b3m0s", "/c3m0s", "/d10m0s"}) {
		t.Errorf("RunUntil = %d, %v", n, ran)
	}
	if n := a.RunUntil(start.Add(30*time.Minute), clock, run); n != 0 || len(a.Waiting()) != 1 || clock.Now().Before(start.Add(30*time.Minute)) {
		t.Errorf("RunUntil once more = %d, %d wait, at %v", n, len(a.Waiting()), clock.Now().Sub(start))
	}
}

// TestRestart: on 1.8.1 the scheduler loses what is due within a minute.
func TestRestart(t *testing.T) {
	for version, want := range map[string]int{"1.8.1": 1, "1.9.0": 0, "1.9.6": 0} {
		t.Run(version, func(t *testing.T) {
			a := newAppwrite(t)
			a.AddKey("standard_all", "execution.write")
			clock := newQueueClock()
			a.Version, a.Now = version, clock.Now
			start := clock.Now().Truncate(time.Minute)
			for _, minutes := range []time.Duration{2, 3} {
				queueing(t, a, scheduled(start.Add(minutes*time.Minute), "/"))
			}
			clock.MoveTo(start.Add(time.Minute + time.Second))
			if lost := a.Restart(); lost != want || len(a.Waiting()) != 2-want {
				t.Errorf("Restart = %d and %d wait, want %d lost of 2", lost, len(a.Waiting()), want)
			}
		})
	}
}

// TestRunsTwice: on 1.9.6 what shares its minute may run once more.
func TestRunsTwice(t *testing.T) {
	for version, want := range map[string]string{"1.9.0": "/a /b /c", "1.9.6": "/a /b /b /c /c"} {
		t.Run(version, func(t *testing.T) {
			a := newAppwrite(t)
			a.AddKey("standard_all", "execution.write")
			a.Version, a.RunsTwice = version, true
			clock := newQueueClock()
			a.Now = clock.Now
			start := clock.Now().Truncate(time.Minute)
			for path, minutes := range map[string]time.Duration{"/a": 2, "/b": 3} {
				queueing(t, a, scheduled(start.Add(minutes*time.Minute), path))
			}
			queueing(t, a, scheduled(start.Add(3*time.Minute), "/c"))
			var ran []string
			n := a.RunUntil(start.Add(time.Hour), clock, func(e Execution) { ran = append(ran, e.Path) })
			if got := strings.Join(ran, " "); got != want || n != len(ran) {
				t.Errorf("RunUntil = %d, ran %s; want %s", n, got, want)
			}
		})
	}
}
