package handler

import (
	"fmt"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestCost holds one request to what it may cost, whoever sends it: calls of the
// API, executions queued, bytes logged. docs/security.md has the same figures.
func TestCost(t *testing.T) {
	t.Parallel()
	stk := payload(t, "stk/paid")
	upper := strings.Replace(stk, "ws_CO_", "WS_CO_", 1)
	otherReceipt := strings.Replace(stk, "UKN4T8W2QD", "UKN4T8W2QE", 1)
	tests := []struct {
		name              string
		secret            string
		before            []string // delivered first
		target, body      string
		fault             *fakeappwrite.Fault
		postgreSQL        bool
		calls, executions int
		logged            int // bytes, at most
	}{
		{name: "a stranger, without the secret", secret: secret, target: "/callback", body: stk, logged: 250},
		{name: "a stranger, an unknown path", target: "/x", body: "x"},
		{name: "a stranger, JSON", target: "/x", body: `{"k":1}`, logged: 250},
		{name: "a stranger, a large body", target: "/x", body: "{" + strings.Repeat("x", maxBody), logged: 250},
		{name: "a stranger, with long keys", target: "/x", body: longKeys(20), logged: 850},
		{name: "no callback, with long keys", target: "/callback", body: longKeys(20), logged: 850},
		{name: "a callback, and long keys", target: "/callback", body: stk + longKeys(20), calls: 1, logged: 500},
		{name: "no callback", target: "/callback", body: `{"` + strings.Repeat("k", 60) + `":1}`, logged: 250},
		{name: "too large", target: "/callback", body: strings.Repeat("x", maxBody+1), logged: 100},
		{name: "a first delivery", target: "/callback", body: stk, calls: 1, logged: 350},
		{name: "a duplicate", before: []string{stk}, target: "/callback", body: stk, calls: 2, logged: 150},
		{name: "a replacement", before: []string{strings.Replace(stk, `"ResultCode":0`, `"ResultCode":1037`, 1)}, target: "/callback", body: stk, calls: 3, logged: 150},
		{name: "the most there is", before: []string{upper, stk, otherReceipt}, target: "/callback", body: otherReceipt, calls: 6, logged: 500},
		{name: "the most there is, on PostgreSQL", postgreSQL: true, before: []string{upper, stk, otherReceipt}, target: "/callback", body: otherReceipt, calls: 8, logged: 500},
		{name: "the database is down", target: "/callback", body: stk, calls: 5, executions: 3, logged: 500,
			fault: &fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)}},
		{name: "everything is down", target: "/callback", body: stk, calls: 20, logged: 1500, fault: &fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)}},
		{name: "everything is refused", target: "/callback", body: stk, calls: 28, logged: 1500,
			fault: &fakeappwrite.Fault{Reply: fakeappwrite.Status(400, "general_bad_request", "x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Appwrite.PostgreSQL = tt.postgreSQL
			w.Set(CallbackSecret, tt.secret)
			for _, body := range tt.before {
				w.Post("/callback?uid=amina", body)
			}
			w.Logged()
			w.Operations()
			if tt.fault != nil {
				w.Appwrite.Inject(*tt.fault)
			}
			w.Send("POST", tt.target, tt.body)
			logs, errors := w.Logged()
			if logged := len(strings.Join(append(logs, errors...), "\n")); logged > tt.logged {
				t.Errorf("%d bytes of log, want at most %d", logged, tt.logged)
			}
			if calls := len(strings.Fields(w.Operations())); calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
			if executions := len(w.Appwrite.Waiting()); executions != tt.executions {
				t.Errorf("%d executions, want %d", executions, tt.executions)
			}
		})
	}
}

// longKeys is an object with so many keys, each as long as the log takes them.
func longKeys(n int) string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("%q:1", strings.Repeat("k", 59)+string(rune('a'+i))))
	}
	return "{" + strings.Join(keys, ",") + "}"
}

// TestForgedFirst: whoever guessed an id and posted first, without a secret to
// keep him out, holds neither the document nor the permission to read it once the
// true result comes.
func TestForgedFirst(t *testing.T) {
	t.Parallel()
	if !strings.Contains(payload(t, "stk/paid"), "ws_CO_23112026140731772700000011") {
		t.Fatal("stk/paid has another id")
	}
	for _, code := range []string{`1037`, `1`, `1032`, `"X"`} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t)
			w.Post("/callback?uid=mallory", fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_23112026140731772700000011","ResultCode":%s}}}`, code))
			w.PostPayload("stk/paid")
			if got := w.Status(); got != "SUCCESS" {
				t.Errorf("the document says %s, want SUCCESS", got)
			}
			if got := testbed.Readers(w.Document()); got != "user:amina" {
				t.Errorf("it is read by %q, want amina", got)
			}
		})
	}
}
