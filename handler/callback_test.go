package handler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// stored is what a test wants of a document.
type stored struct {
	status  string
	code    any
	receipt any
	amount  any
	readers string
}

// TestSequences posts payloads that belong together, one after another.
func TestSequences(t *testing.T) {
	t.Parallel()
	amina := "user:amina"
	var (
		paid      = stored{"SUCCESS", 0, "UKN4T8W2QD", 1000, amina}
		paidOut   = stored{"SUCCESS", 0, "UKN8D3R6YM", 500, amina}
		late      = stored{"SUCCESS", 0, "UFM48XKF72", 720, amina}
		answered  = stored{"SUCCESS", 0, "UGK2VAPUXK", 1850, amina}
		expired   = stored{"FAILED", 1019, nil, nil, amina}
		first     = stored{"SUCCESS", 0, "UBR5NJ8M8V", 500, amina}
		second    = stored{"SUCCESS", 0, "UBR1U6DHBA", 500, ""}
		caseFirst = stored{"SUCCESS", 0, "UHJ6JYET73", 1500, amina}
		caseOther = stored{"SUCCESS", 0, "UHJ1CX91O1", 50, amina}
	)
	tests := []struct {
		name    string
		posts   []string
		want    []stored
		calls   string // of the last delivery
		outcome settle.Outcome
		error   string // the beginning of its line in the error log, or ""
	}{
		{"a repeat", []string{"stk/paid", "stk/paid-again"}, []stored{paid}, "create get", settle.Duplicate, ""},
		{"a result after its timeout", []string{"timeout/envelope", "b2c/paid"}, []stored{paidOut}, "create get replace", settle.Replaced, ""},
		{"a timeout after its result", []string{"b2c/paid", "timeout/envelope"}, []stored{paidOut}, "create get", settle.Duplicate, ""},
		{"paid after failed", []string{"stk/fail-1019-expired", "stk/paid-after-expired"}, []stored{late}, "create get replace", settle.Replaced, ""},
		{"failed after paid", []string{"stk/paid-after-expired", "stk/fail-1019-expired"}, []stored{late}, "create get", settle.Conflict,
			`conflict route=callback id=ws_CO_22062026102438839********* stored="status=SUCCESS code=0 receipt=UFM48XKF72 amount=720" new="status=FAILED code=1019 receipt= amount=0"`},
		{"paid after no answer", []string{"stk/unknown-1037-no-response", "stk/paid-after-no-response"}, []stored{answered}, "create get replace", settle.Replaced, ""},
		{"two failures", []string{"stk/fail-2001-wrong-pin", "stk/fail-2001-then-1019"}, []stored{{"FAILED", 2001, nil, nil, amina}}, "create get", settle.Conflict,
			"conflict route=callback "},
		{"a failure after an unknown", []string{"stk/unknown-1037-ds", "stk/expired-late"}, []stored{expired}, "create get replace", settle.Replaced, ""},
		{"a collision without receipts", []string{"stk/collision-a", "stk/collision-b"}, []stored{expired}, "create get replace", settle.Replaced, ""},
		{"a collision of payments", []string{"stk/collision-paid-a", "stk/collision-paid-b"}, []stored{first, second}, "create get create", settle.Collision,
			`collision route=callback id=`},
		{"a collision of payments, again", []string{"stk/collision-paid-a", "stk/collision-paid-b", "stk/collision-paid-b"}, []stored{first, second},
			"create get create get", settle.Duplicate, ""},
		{"ids that differ in capitals", []string{"stk/id-case-a", "stk/id-case-b", "stk/id-case-b"}, []stored{caseFirst, caseOther},
			"create get create get", settle.Duplicate, ""},
		{"B2C ids that differ in capitals", []string{"b2c/id-case-a", "b2c/id-case-b"},
			[]stored{{"SUCCESS", 0, "UBG1RV6IJQ", 250, amina}, {"SUCCESS", 0, "UCH1RKX3AT", 100, amina}}, "create get create", settle.Created, ""},
		{"B2C paid after unknown", []string{"b2c/unknown-17-internal", "b2c/paid-after-17"},
			[]stored{{"SUCCESS", 0, "UD87VIEBE1", 3200, amina}}, "create get replace", settle.Replaced, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, name := range tt.posts {
				w.Operations()
				w.Logged()
				if got := w.PostPayload(name); got != 200 {
					t.Errorf("%s: %d, want 200", name, got)
				}
			}
			calls := w.Operations()
			if calls != tt.calls {
				t.Errorf("calls = %q, want %q", calls, tt.calls)
			}
			logs, errors := w.Logged()
			if want := fmt.Sprintf(" outcome=%s attempt=0 calls=%d ms=", tt.outcome, len(strings.Fields(calls))); !strings.Contains(logs[0], want) {
				t.Errorf("log = %q, want %q in it", logs[0], want)
			}
			line := strings.Join(errors, "\n")
			if !strings.HasPrefix(line, tt.error) {
				t.Errorf("error log = %q, want %q", line, tt.error)
			}
			if (line == "") != (tt.error == "") {
				t.Errorf("error log = %q, want a line: %t", line, tt.error != "")
			}
			var got []stored
			for _, d := range w.Stored() {
				got = append(got, stored{fmt.Sprint(d.Data["status"]), d.Data["resultCode"], d.Data["receipt"], d.Data["amount"], testbed.Readers(d)})
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("stored %v, want %v", got, tt.want)
			}
		})
	}
}

// TestReplacement: what is replaced leaves nothing behind, but for its id.
func TestReplacement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Post("/b2c/timeout?uid=juma", payload(t, "timeout/envelope"))
	before := w.Document()
	w.Post("/b2c/result?uid=amina", payload(t, "b2c/paid"))
	after := w.Document()
	if before.Data["failureReason"] == nil {
		t.Error("the timeout has no reason")
	}
	if reason := after.Data["failureReason"]; reason != nil {
		t.Errorf("failureReason = %v, want null: it was paid", reason)
	}
	if after.ID != before.ID {
		t.Errorf("the id %s has become %s", before.ID, after.ID)
	}
	if after.Data["settledAt"].(string) < before.Data["settledAt"].(string) {
		t.Errorf("settledAt was %v and is %v", before.Data["settledAt"], after.Data["settledAt"])
	}
	if after.Data["receiverName"] == nil {
		t.Error("the payee's name is missing")
	}
	if got := testbed.Readers(after); got != "user:amina" {
		t.Errorf("it is read by %q, want by whom the callback names that now stands", got)
	}
	var actions []string
	for _, e := range w.Appwrite.Events() {
		actions = append(actions, e.Action)
	}
	if want := []string{"create", "update"}; !slices.Equal(actions, want) {
		t.Errorf("Realtime would have sent %v, want %v", actions, want)
	}
}

// TestReplacementWithoutUID keeps the reader there is, and makes nothing public.
func TestReplacementWithoutUID(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?uid=", "?uid=%22)", "?user=amina"} {
		for _, anonymousRead := range []string{"", "any"} {
			t.Run(query+"/anonymous="+anonymousRead, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.Set("DARAJA_ANONYMOUS_READ", anonymousRead)
				w.PostPayload("stk/unknown-1037-no-response")
				w.Post("/callback"+query, payload(t, "stk/paid-after-no-response"))
				if got := w.Status(); got != "SUCCESS" {
					t.Errorf("the document says %s, want SUCCESS", got)
				}
				if got := testbed.Readers(w.Document()); got != "user:amina" {
					t.Errorf("it is read by %q, want amina", got)
				}
			})
		}
	}
}

// TestPermissions: who may read the first document of a transaction. All that a uid can
// be is tested in settle.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, payload, query, anonymousRead string
		want                                string
	}{
		{"a user", "stk/paid", "?uid=amina", "", "user:amina"},
		{"two users", "stk/paid", "?uid=amina&uid=juma", "", "user:amina"},
		{"nobody", "stk/paid", "", "", ""},
		{"an empty uid", "stk/paid", "?uid=", "", ""},
		{"a uid that is a permission", "stk/paid", "?uid=x%22),read(%22any", "", ""},
		{"a uid with a NUL", "stk/paid", "?uid=a%00", "", ""},
		{"anybody", "stk/paid", "", "any", "any"},
		{"a malformed uid, and anybody", "stk/paid", "?uid=%22", "any", "any"},
		{"a user, though anybody may", "stk/paid", "?uid=amina", "any", "user:amina"},
		{"a malformed setting", "stk/paid", "", "ANY", ""},
		{"a disbursement", "b2c/paid", "?uid=amina", "any", "user:amina"},
		{"a disbursement of nobody's", "b2c/paid", "", "any", ""},
		{"a queue timeout of nobody's", "timeout/envelope", "", "any", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Set("DARAJA_ANONYMOUS_READ", tt.anonymousRead)
			if got := w.Post(testbed.Path(tt.payload)+tt.query, payload(t, tt.payload)); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if got := testbed.Readers(w.Document()); got != tt.want {
				t.Errorf("it is read by %q, want %q", got, tt.want)
			}
			line := w.errorLog()
			const nobody = `reason="no valid uid in the callback's URL: only the server can read this document"`
			if said := strings.HasSuffix(line, nobody); said != (tt.want == "") {
				t.Errorf("error log = %q, want it said that nobody can read it: %t", line, tt.want == "")
			}
		})
	}
}

// TestReplies has every route, method and reply.
func TestReplies(t *testing.T) {
	t.Parallel()
	const (
		unknown  = `{"ResultCode":1,"ResultDesc":"unknown path"}`
		postOnly = `{"ResultCode":1,"ResultDesc":"POST only"}`
		getOnly  = `{"ResultCode":1,"ResultDesc":"GET only"}`
		tooLarge = `{"ResultCode":1,"ResultDesc":"body too large"}`
		healthy  = `{"status":"ok","version":"` + Version + `"}`
		noSTK    = `{"ResultCode":1,"ResultDesc":"Body.stkCallback.CheckoutRequestID: missing"}`
	)
	stk, b2c, timeout := payload(t, "stk/paid"), payload(t, "b2c/paid"), payload(t, "timeout/envelope")
	atLimit := stk + strings.Repeat(" ", 16<<10-len(stk))
	tests := []struct {
		method, target, body string
		status               int
		want                 string
		documents            int
		allow                string
	}{
		{"POST", "/callback?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "/callback/?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "/?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "//callback?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "/callback//?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "///callback///?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "//?uid=amina", stk, 200, testbed.Accepted, 1, ""},
		{"POST", "/b2c//result", b2c, 200, testbed.Accepted, 1, ""},
		{"POST", "//b2c///timeout/", timeout, 200, testbed.Accepted, 1, ""},
		{"POST", "/b2c/result?uid=amina", b2c, 200, testbed.Accepted, 1, ""},
		{"POST", "/b2c/result/", b2c, 200, testbed.Accepted, 1, ""},
		{"POST", "/b2c/timeout?uid=amina", timeout, 200, testbed.Accepted, 1, ""},
		{"POST", "/b2c/timeout/", timeout, 200, testbed.Accepted, 1, ""},
		{"GET", "/health", "", 200, healthy, 0, ""},
		{"GET", "/health/", "", 200, healthy, 0, ""},
		{"GET", "//health", "", 200, healthy, 0, ""},
		{"HEAD", "/health", "", 200, "", 0, ""}, // net/http leaves the body out
		{"HEAD", "/health/", "", 200, "", 0, ""},

		{"POST", "/callback", "", 400, `{"ResultCode":1,"ResultDesc":"not JSON at byte 0"}`, 0, ""},
		{"POST", "/callback", "{}", 400, noSTK, 0, ""},
		{"POST", "/callback", b2c, 400, noSTK, 0, ""},
		{"POST", "/b2c/result", stk, 400, `{"ResultCode":1,"ResultDesc":"Result.OriginatorConversationID: missing"}`, 0, ""},
		{"POST", "/b2c/timeout", stk, 400, `{"ResultCode":1,"ResultDesc":"OriginatorConversationID, in Result or at the top level: missing"}`, 0, ""},
		{"POST", "/b2c/result", payload(t, "b2c/type-1"), 200, testbed.Accepted, 0, ""},

		{"POST", "/callback", atLimit, 200, testbed.Accepted, 1, ""},
		{"POST", "/callback", atLimit + " ", 413, tooLarge, 0, ""},
		{"POST", "/b2c/result", strings.Repeat("x", 1<<20), 413, tooLarge, 0, ""},

		{"GET", "/callback", "", 405, postOnly, 0, "POST"},
		{"GET", "/", "", 405, postOnly, 0, "POST"},
		{"PUT", "/callback", stk, 405, postOnly, 0, "POST"},
		{"DELETE", "/b2c/result", "", 405, postOnly, 0, "POST"},
		{"GET", "/b2c/timeout", "", 405, postOnly, 0, "POST"},
		{"POST", "/health", "", 405, getOnly, 0, "GET, HEAD"},
		{"DELETE", "/health", "", 405, getOnly, 0, "GET, HEAD"},
		{"HEAD", "/callback", "", 405, "", 0, "POST"},
		{"HEAD", "/nowhere", "", 404, "", 0, ""},

		{"POST", "/nowhere", stk, 404, unknown, 0, ""},
		{"GET", "/nowhere", "", 404, unknown, 0, ""},
		{"POST", "/call/back", stk, 404, unknown, 0, ""},
		{"POST", "/callback&uid=amina", stk, 404, unknown, 0, ""},
		{"POST", "/Callback", stk, 404, unknown, 0, ""},
		{"POST", "/callback/x", stk, 404, unknown, 0, ""},
		{"POST", "/b2c", b2c, 404, unknown, 0, ""},
		{"POST", "/x/health", "", 404, unknown, 0, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s of %d bytes", tt.method, tt.target, len(tt.body)), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.Send(tt.method, tt.target, tt.body)
			if r.Status != tt.status {
				t.Errorf("reply %d, want %d", r.Status, tt.status)
			}
			if r.Body != tt.want {
				t.Errorf("reply %s, want %s", r.Body, tt.want)
			}
			if got := r.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if got := r.Header.Get("Allow"); got != tt.allow {
				t.Errorf("Allow %q, want %q", got, tt.allow)
			}
			if n := len(w.Stored()); n != tt.documents {
				t.Errorf("%d documents, want %d", n, tt.documents)
			}
			if calls := w.Operations(); tt.documents == 0 && calls != "" {
				t.Errorf("calls = %q, for nothing", calls)
			}
		})
	}
}

// TestRefusedIsLogged: an operator sees why, and sees no value.
func TestRefusedIsLogged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, body, want string }{
		{"/callback", `{"Phone":254700000001,"Body":{"x":"Amina"},"254700000001":1}`,
			`refused route=callback reason="Body.stkCallback.CheckoutRequestID: missing" bytes=60 keys=?,Body,Phone`},
		{"/b2c/result", `Amina`, `refused route=b2c/result reason="not JSON at byte 1" bytes=5 keys=-`},
		{"/callback", strings.Repeat("x", 20_000), `refused route=callback reason="body too large" bytes=20000`},
	} {
		t.Run(fmt.Sprintf("%.20s", tt.body), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Send("POST", tt.target, tt.body)
			if got := w.errorLog(); got != tt.want {
				t.Errorf("error log = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestStringSequence: servers from 1.9 may send $sequence as text, and a client that
// wants an int fails after the write was done.
func TestStringSequence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Appwrite.StringSequence = true
	for _, name := range []string{"timeout/envelope", "b2c/paid", "b2c/paid-again"} {
		if got := w.PostPayload(name); got != 200 {
			t.Errorf("%s: %d, want 200", name, got)
		}
	}
	if got := w.Operations(); got != "create create get replace create get" {
		t.Errorf("calls = %q", got)
	}
}

// TestNothingPersonalIsLogged posts everything, of a user's and of nobody's. What the
// log may not hold is looked for at the end of each world.
func TestNothingPersonalIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range testbed.Payloads(t) {
		for _, query := range []string{"uid=amina", ""} {
			w.Handle("POST", testbed.Path(name), query, nil, payload(t, name))
		}
	}
	if n := len(w.Appwrite.Executions()); n < 2*len(testbed.Payloads(t)) {
		t.Errorf("%d requests were logged, want all", n)
	}
}
