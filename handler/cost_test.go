package handler

import (
	"fmt"
	"strings"
	"testing"

	"openruntimes/handler/scripts/standin"
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
		fault             *standin.Fault
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
		{name: "no callback", target: "/callback", body: `{"` + strings.Repeat("k", 60) + `":1}`, logged: 250},
		{name: "too large", target: "/callback", body: strings.Repeat("x", maxBody+1), logged: 100},
		{name: "a first delivery", target: "/callback", body: stk, calls: 1, logged: 350},
		{name: "a duplicate", before: []string{stk}, target: "/callback", body: stk, calls: 2, logged: 150},
		{name: "a replacement", before: []string{strings.Replace(stk, `"ResultCode":0`, `"ResultCode":1037`, 1)}, target: "/callback", body: stk, calls: 3, logged: 150},
		{name: "the most there is", before: []string{upper, stk, otherReceipt}, target: "/callback", body: otherReceipt, calls: 6, logged: 500},
		{name: "the most there is, on PostgreSQL", postgreSQL: true, before: []string{upper, stk, otherReceipt}, target: "/callback", body: otherReceipt, calls: 8, logged: 500},
		{name: "the database is down", target: "/callback", body: stk, calls: 5, executions: 3, logged: 500,
			fault: &standin.Fault{Operation: "create", Reply: standin.HTML(503)}},
		{name: "everything is down", target: "/callback", body: stk, calls: 20, logged: 1500, fault: &standin.Fault{Reply: standin.HTML(503)}},
		{name: "everything is refused", target: "/callback", body: stk, calls: 28, logged: 1500,
			fault: &standin.Fault{Reply: standin.Status(400, "general_bad_request", "x")}},
	}
	for _, tt := range tests {
		w := newWorld(t)
		w.Appwrite.PostgreSQL = tt.postgreSQL
		if tt.secret != "" {
			w.config.Secrets = []string{tt.secret}
		}
		for _, body := range tt.before {
			w.post("/callback?uid=amina", body)
		}
		w.Logged()
		w.operations()
		if tt.fault != nil {
			w.Appwrite.Inject(*tt.fault)
		}
		w.ask("POST", tt.target, tt.body)
		logs, errors := w.Logged()
		logged := len(strings.Join(append(logs, errors...), "\n"))
		calls := len(strings.Fields(w.operations()))
		if executions := len(w.Appwrite.Waiting()); calls != tt.calls || executions != tt.executions || logged > tt.logged {
			t.Errorf("%s: %d calls, %d executions, %d bytes of log; want %d, %d and at most %d",
				tt.name, calls, executions, logged, tt.calls, tt.executions, tt.logged)
		}
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
	for _, code := range []string{`1037`, `1`, `1032`, `"X"`} {
		w := newWorld(t)
		forged := fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_23112026140731772700000011","ResultCode":%s}}}`, code)
		if !strings.Contains(payload(t, "stk/paid"), "ws_CO_23112026140731772700000011") {
			t.Fatal("stk/paid has another id")
		}
		w.post("/callback?uid=mallory", forged)
		w.send("stk/paid")
		d := w.stored()[0]
		if w.status() != "SUCCESS" || len(d.Permissions) != 1 || d.Permissions[0] != `read("user:amina")` {
			t.Errorf("after a forged %s: %s, read by %v, want amina's SUCCESS", code, w.status(), d.Permissions)
		}
	}
}
