package handler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestRunsTwice: 1.9.6 runs twice what shares its minute. Through an outage of two hours
// each attempt of three callbacks is queued once all the same, and settles.
func TestRunsTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.RunsTwice = true
	w.Clock.MoveTo(w.Clock.Now().Truncate(time.Minute).Add(time.Minute)) // so that all three share theirs
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)})
	for i := range 3 {
		w.Post("/callback?uid=amina", stkResult(fmt.Sprintf("ws_CO_%d", i), 1032, "", 0))
	}
	attempts := map[string]map[string]bool{} // by attempt and body, the ids of its executions
	runs := 0
	run := func(e fakeappwrite.Execution) {
		runs++
		key := e.Path + e.Body
		if attempts[key] == nil {
			attempts[key] = map[string]bool{}
		}
		attempts[key][e.ID] = true
		w.Runtime.Execute(e)
	}
	start := w.Clock.Now()
	w.Appwrite.RunUntil(start.Add(2*time.Hour), w.Clock, run)
	w.Appwrite.Heal()
	w.Appwrite.RunUntil(start.Add(30*day), w.Clock, run)
	t.Logf("%d runs", runs)
	for key, ids := range attempts {
		if len(ids) != 1 {
			t.Errorf("%s was queued %d times, want once", key, len(ids))
		}
	}
	// 8 of the first series, 2 and 1 of the others, of three callbacks.
	if len(attempts) != 3*(8+2+1) || runs < len(attempts)*2 {
		t.Errorf("%d attempts were run %d times, want 33, each twice", len(attempts), runs)
	}
	if n := len(w.Stored()); n != 3 {
		t.Errorf("%d documents are stored, want 3", n)
	}
}

// TestRepeatedRun: of two runs with one execution's id the second does nothing if the
// first has kept the verdict, and else all that it would do alone.
func TestRepeatedRun(t *testing.T) {
	t.Parallel()
	const path = "/callback?attempt=1&uid=amina"
	body := stkResult(transaction, 1032, "", 0)
	run := func(w *world, path, body, id string) int {
		return w.Runtime.Execute(fakeappwrite.Execution{ID: id, Method: "POST", Path: path, Body: body})
	}
	for _, tt := range []struct {
		name   string
		before func(*world)
		first  func(*world) int
		after  func(*world)
		second func(*world) int
		want   string // the second's calls
	}{
		{name: "kept", want: ""},
		{name: "queued again", want: "", before: func(w *world) {
			w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)})
		}},
		{name: "failed", want: "create",
			before: func(w *world) { w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)}) },
			after:  func(w *world) { w.Appwrite.Heal() }},
		{name: "the last attempt failed", want: "create",
			before: func(w *world) {
				w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)})
			},
			after:  func(w *world) { w.Appwrite.Heal() },
			first:  func(w *world) int { return run(w, "/callback?attempt=8&uid=amina", body, "e1") },
			second: func(w *world) int { return run(w, "/callback?attempt=8&uid=amina", body, "e1") }},
		{name: "another process", want: "create get", after: func(w *world) { w.Restart() }},
		{name: "another execution", want: "create get", second: func(w *world) int { return run(w, path, body, "e2") }},
		{name: "another attempt", want: "create get", second: func(w *world) int { return run(w, "/callback?attempt=2&uid=amina", body, "e1") }},
		{name: "another user", want: "create get", second: func(w *world) int { return run(w, "/callback?attempt=1&uid=berta", body, "e1") }},
		{name: "another verdict", want: "create get replace",
			second: func(w *world) int { return run(w, path, paid(), "e1") }},
		{name: "another route", want: "create", second: func(w *world) int { return run(w, "/b2c/result?attempt=1", payload(t, "b2c/paid"), "e1") }},
		{name: "from Safaricom", want: "create get",
			first:  func(w *world) int { return run(w, "/callback?uid=amina", body, "e1") },
			second: func(w *world) int { return run(w, "/callback?uid=amina", body, "e1") }},
		{name: "a forged id, then another verdict", want: "create get replace",
			first: func(w *world) int {
				w.Runtime.Execute(fakeappwrite.Execution{ID: "e0", Method: "POST", Path: path, Body: body, Headers: map[string]string{"X-Appwrite-Execution-Id": "e1"}})
				return 200
			},
			second: func(w *world) int { return run(w, path, paid(), "e1") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			do := func(f func(*world)) {
				if f != nil {
					f(w)
				}
			}
			same := func(w *world) int { return run(w, path, body, "e1") }
			if tt.first == nil {
				tt.first = same
			}
			if tt.second == nil {
				tt.second = same
			}
			do(tt.before)
			tt.first(w)
			do(tt.after)
			w.Operations()
			waiting := len(w.Appwrite.Waiting())
			w.Logged()
			if got := tt.second(w); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if got := w.Operations(); got != tt.want {
				t.Errorf("calls = %q, want %q", got, tt.want)
			}
			logs, _ := w.Logged()
			if repeated := strings.HasPrefix(logs[0], "route=callback status=- outcome=repeated attempt=1 calls=0 "); repeated != (tt.want == "") {
				t.Errorf("log = %q", logs)
			}
			if got := len(w.Appwrite.Waiting()); got != waiting {
				t.Errorf("%d executions wait, want %d as before", got, waiting)
			}
		})
	}
}

// TestRepeatedMeanwhile: while the first run is under way, the second does its own work.
func TestRepeatedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	execution := fakeappwrite.Execution{ID: "e1", Method: "POST", Path: "/callback?attempt=1&uid=amina", Body: stkResult(transaction, 1032, "", 0)}
	arrived, goOn := make(chan struct{}), make(chan struct{})
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Times: 1, Reply: func(rw http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		fakeappwrite.HTML(503)(rw, r)
	}})
	first := make(chan int)
	go func() { first <- w.Runtime.Execute(execution) }()
	defer testbed.Watch(t)()
	<-arrived
	if got := w.Runtime.Execute(execution); got != 200 || w.Status() != "CANCELLED" {
		t.Errorf("reply %d, and the document says %s", got, w.Status())
	}
	close(goOn)
	if got := <-first; got != 200 {
		t.Errorf("the first was answered %d, want 200", got)
	}
}

// TestEndedWell: what is remembered is bounded.
func TestEndedWell(t *testing.T) {
	key := func(n int) (k executionKey) {
		copy(k[:], fmt.Sprint(n))
		return k
	}
	var e endedWell
	for n := range 10_000 {
		e.add(key(n))
		if last := max(0, n-499); !e.has(key(n)) || !e.has(key(last)) {
			t.Fatalf("after %d, one of the last 500 is forgotten", n)
		}
		if held := len(e.now) + len(e.before); held > 1000 {
			t.Fatalf("%d are held", held)
		}
	}
	if e.has(key(0)) {
		t.Error("the first of 10,000 is remembered")
	}
}
