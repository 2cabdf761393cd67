package standin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
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

// TestQueueParams has what Appwrite refuses to queue.
func TestQueueParams(t *testing.T) {
	a := newAppwrite(t)
	a.AddKey("standard_all", "execution.write", "execution.read")
	clock := &Clock{}
	a.Now = clock.Now
	whole := clock.Now().Truncate(time.Minute)
	for _, tt := range []struct {
		name, body, kind string
		status           int
	}{
		{"in two minutes", scheduled(whole.Add(2*time.Minute), "/"), "", 202},
		{"in a year", scheduled(whole.Add(365*24*time.Hour), "/"), "", 202},
		{"43 KiB", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "{}", strings.Repeat("x", 43<<10), 1), "", 202},
		{"50 KiB", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "{}", strings.Repeat("x", 50<<10), 1), "general_unknown", 500},
		{"this minute", scheduled(whole, "/"), "general_bad_request", 400},
		{"less than a minute ahead", scheduled(whole.Add(time.Minute), "/"), "general_bad_request", 400},
		{"not a whole minute", scheduled(whole.Add(150*time.Second), "/"), "general_bad_request", 400},
		{"not a whole second", scheduled(whole.Add(3*time.Minute+time.Millisecond), "/"), "general_bad_request", 400},
		{"no date", `{"async":true,"scheduledAt":"soon"}`, "general_bad_request", 400},
		{"not async", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "true", "false", 1), "general_bad_request", 400},
		{"a path too long", scheduled(whole.Add(2*time.Minute), "/"+strings.Repeat("x", 2048)), "general_argument_invalid", 400},
		{"a method that is none", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), "POST", "POKE", 1), "general_argument_invalid", 400},
		{"a body that is no text", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), `"{}"`, "{}", 1), "general_argument_invalid", 400},
		{"a header of the platform's", strings.Replace(scheduled(whole.Add(2*time.Minute), "/"), `"async"`, `"headers":{"x-appwrite-key":"k"},"async"`, 1), "general_argument_invalid", 400},
	} {
		status, body := queueing(t, a, tt.body)
		if kind, _ := body["type"].(string); status != tt.status || kind != tt.kind {
			t.Errorf("%s: %d %q, want %d %q", tt.name, status, kind, tt.status, tt.kind)
		}
	}
	if n := len(a.Waiting()); n != 3 {
		t.Errorf("%d wait, want 3", n)
	}
	a.AddKey("standard_all", "documents.write")
	if status, body := queueing(t, a, scheduled(whole.Add(2*time.Minute), "/")); status != 401 || body["type"] != "general_unauthorized_scope" {
		t.Errorf("without the scope: %d %v", status, body)
	}
}

// TestRunUntil: executions run at their time, in its order, those included that
// are queued meanwhile, and each once.
func TestRunUntil(t *testing.T) {
	a := newAppwrite(t)
	a.AddKey("standard_all", "execution.write")
	clock := &Clock{}
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

// TestExecute: what comes out of the queue reaches the function as the platform
// sends it.
func TestExecute(t *testing.T) {
	var got openruntimes.ContextRequest
	rt := &Runtime{Key: "k", Main: func(c openruntimes.Context) openruntimes.Response {
		got = c.Req
		return c.Res.Text("", c.Res.WithStatusCode(503))
	}}
	status := rt.Execute(Execution{Method: "POST", Path: "/b2c/result?attempt=1&uid=u", Body: "{}", Headers: map[string]string{"X-Appwrite-Key": "forged", "X-Other": "o"}})
	if status != 503 || got.Method != "POST" || got.Path != "/b2c/result" || got.Query["attempt"] != "1" || got.BodyText() != "{}" ||
		got.Headers["x-appwrite-trigger"] != "schedule" || got.Headers["x-appwrite-key"] != "k" || got.Headers["x-other"] != "o" {
		t.Errorf("status %d of %+v", status, got)
	}
}
