package handler

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// TestPanic: a bug of ours costs no verdict either. The log says where it was and not
// what it said, which may be somebody's data.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	w.function.clock.now = func() time.Time {
		if calls.Add(1) == 1 {
			panic("Amina's data")
		}
		return w.Clock.Now()
	}
	if got := w.PostPayload("stk/paid"); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	if n := len(w.Appwrite.Waiting()); n != 3 {
		t.Errorf("%d executions wait, want 3", n)
	}
	logs, errors := w.Logged()
	if len(logs) != 1 || !strings.HasPrefix(logs[0], "route=callback status=- outcome=queued attempt=0 calls=3 ms=") {
		t.Errorf("log = %q, want one line", logs)
	}
	if len(errors) != 1 {
		t.Fatalf("error log = %q, want one line", errors)
	}
	if !strings.HasPrefix(errors[0], `panic route=callback at=openruntimes/handler/handler.TestPanic.func1:`) {
		t.Errorf("error log = %q, want the place of the panic", errors[0])
	}
	if !strings.HasSuffix(errors[0], " bytes=421 keys=Body") {
		t.Errorf("error log = %q, want what the body was like", errors[0])
	}
	if strings.Contains(errors[0], "Amina") {
		t.Errorf("error log = %q, which quotes the panic", errors[0])
	}
	w.Later(3 * time.Minute)
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("later the document says %s, want SUCCESS", got)
	}
}

// TestPanicInQueue: one in a goroutine that queues must not end the process.
func TestPanicInQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Set("DARAJA_COLLECTION_ID", "gone")
	var calls atomic.Int32
	w.function.clock.now = func() time.Time {
		if n := calls.Add(1); n == 2 || n == 3 { // two of the three copies
			panic("Amina's data")
		}
		return w.Clock.Now()
	}
	if got := w.PostPayload("stk/paid"); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	if n := len(w.Appwrite.Waiting()); n != 1 {
		t.Errorf("%d executions wait, want the third copy", n)
	}
}

// TestPanicEverywhere: where nothing can be queued, the sender hears so.
func TestPanicEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.function.clock.now = func() time.Time { panic("Amina's data") }
	if got := w.PostPayload("stk/paid"); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	_, errors := w.Logged()
	if len(errors) != 2 {
		t.Fatalf("error log = %q, want two lines", errors)
	}
	if want := "queue: panic at openruntimes/handler/handler.TestPanicEverywhere"; !strings.Contains(errors[1], want) {
		t.Errorf("error log = %q, want %s", errors[1], want)
	}
}

// TestPanicAfterReading: from a panic after the body was read, on the last attempt of a
// run, the document goes into the log.
func TestPanicAfterReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.function.clock.timeout = func(context.Context, time.Duration) (context.Context, context.CancelFunc) { panic("Amina's data") }
	if got := w.Post("/callback?uid=amina&attempt=25", payload(t, "stk/paid")); got != 503 {
		t.Errorf("reply %d, want 503", got)
	}
	logs, errors := w.Logged()
	const name = "route=callback id=ws_CO_23112026140731772*********"
	if len(logs) != 1 || !strings.HasPrefix(logs[0], name+" status=SUCCESS outcome=not-kept attempt=25 ") {
		t.Errorf("log = %q, want %s", logs, name)
	}
	if len(errors) != 3 {
		t.Fatalf("error log = %q, want three lines", errors)
	}
	for i, want := range []string{`UNSETTLED {"route":"callback","uid":"amina",`, "panic " + name + " at=openruntimes/handler/", "failed " + name + " reason="} {
		if !strings.HasPrefix(errors[i], want) {
			t.Errorf("error log = %q, want %s", errors[i], want)
		}
	}
	if d, _, err := settle.ParseUnsettled(errors[0], "", time.Time{}); err != nil || d.Status != parse.Success {
		t.Errorf("the line is read back as %+v, %v", d, err)
	}
}
