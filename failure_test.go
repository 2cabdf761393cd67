package handler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"openruntimes/handler/scripts/standin"
)

// faults are the ways in which the API can fail, with what the log says of each.
var faults = map[string]struct {
	reply http.HandlerFunc
	want  string
}{
	"timeout of the database": {standin.Status(408, "database_timeout", "for ws_CO_1"), "408 database_timeout"},
	"rate limit":              {standin.Status(429, "general_rate_limit_exceeded", "for ws_CO_1"), "429 general_rate_limit_exceeded"},
	"server error":            {standin.Status(500, "general_unknown", "Server Error"), "500 general_unknown"},
	"proxy without server":    {standin.HTML(502), "502"},
	"maintenance":             {standin.HTML(503), "503"},
	"scope":                   {standin.Status(401, "general_unauthorized_scope", "missing scopes"), "401 general_unauthorized_scope"},
	"guest":                   {standin.Status(401, "user_unauthorized", "not authorized"), "401 user_unauthorized"},
	"no collection":           {standin.Status(404, "collection_not_found", "not found"), "404 collection_not_found"},
	"structure":               {standin.Status(400, "document_invalid_structure", "Unknown attribute"), "400 document_invalid_structure"},
	"paused":                  {standin.Status(403, "project_paused", "paused"), "403 project_paused"},
	"page instead of JSON":    {standin.HTML(200), "200 no document in the answer"},
	"empty object":            {standin.Empty(201), "201 no document in the answer"},
	"redirect":                {standin.Redirect(302, "/elsewhere/ws_CO_1"), "302 redirected"},
	"permanent redirect":      {standin.Redirect(308, "/elsewhere/ws_CO_1"), "308 redirected"},
	"reset":                   {standin.Hangup(), "connection reset by peer"},
	"an odd type":             {standin.Status(500, "254700000001", ""), "500 ?"},
}

// TestStoreFails: whatever breaks, wherever it breaks, nothing is called
// accepted, the log has the document, and no name and no URL gets there.
func TestStoreFails(t *testing.T) {
	for name, fault := range faults {
		for _, operation := range []string{"create", "get", "replace"} {
			t.Run(name+" on "+operation, func(t *testing.T) {
				w := newWorld(t)
				if operation != "create" {
					w.postFile("timeout/envelope.json")
				}
				w.logged()
				w.appwrite.Inject(standin.Fault{Operation: operation, Reply: fault.reply})
				r := w.postFile("b2c/paid.json")
				if r.status != 503 || r.body != notRecorded {
					t.Fatalf("reply %d %s, want 503 %s", r.status, r.body, notRecorded)
				}
				_, errors := w.logged()
				if len(errors) != 2 {
					t.Fatalf("error log = %q, want two lines", errors)
				}
				checkUnsettled(t, errors[0])
				if !strings.Contains(errors[1], `error="`+operation+": ") || !strings.Contains(errors[1], fault.want) {
					t.Errorf("error log = %q, want the call and %q", errors[1], fault.want)
				}
				for _, secret := range []string{"http://", "/databases", "ws_CO_1", "AMINA", key, "254700000001"} {
					if strings.Contains(errors[1], secret) {
						t.Errorf("error log = %q, which holds %q", errors[1], secret)
					}
				}
				w.appwrite.Heal()
				if r := w.postFile("b2c/paid.json"); r.status != 200 || w.document().Data["status"] != "SUCCESS" {
					t.Errorf("posted again: %d and %v, want 200 and the SUCCESS", r.status, w.document().Data)
				}
			})
		}
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
	w := newWorld(t)
	w.appwrite.Inject(standin.Fault{Reply: standin.HTML(503)})
	long := strings.Repeat(`\u0001`, 1200) // six bytes a character, in JSON
	w.post("/callback?uid="+strings.Repeat("u", 36), `{"Body":{"stkCallback":{"CheckoutRequestID":"`+long+`","ResultDesc":"`+long+`"}}}`)
	_, errors := w.logged()
	if len(errors) != 2 || !json.Valid([]byte(strings.TrimPrefix(errors[0], "UNSETTLED "))) {
		t.Errorf("error log = %.200q, want a whole UNSETTLED line", errors)
	}
}

// TestStringSequence: servers from 1.9 may send $sequence as text, and a client
// that wants an int fails after the write was done.
func TestStringSequence(t *testing.T) {
	w := newWorld(t)
	w.appwrite.StringSequence = true
	for _, name := range []string{"timeout/envelope.json", "b2c/paid.json", "b2c/paid-again.json"} {
		if r := w.postFile(name); r.status != 200 {
			t.Errorf("%s: %d %s, want 200", name, r.status, r.body)
		}
	}
	if got := w.operations(); got != "create create get replace create get" {
		t.Errorf("calls = %q", got)
	}
}

// TestKeyMayNotRead: a 404 after a 409 is a key without the scope to read, never
// a missing payment.
func TestKeyMayNotRead(t *testing.T) {
	w := newWorld(t)
	w.postFile("stk/unknown-1037-no-response.json")
	w.appwrite.Inject(standin.Fault{Operation: "get", Reply: standin.Status(404, "document_not_found", "x")})
	if r := w.postFile("stk/paid-after-no-response.json"); r.status != 503 {
		t.Errorf("reply %d, want 503: nothing was recorded", r.status)
	}
}

// TestNoKey: without the platform's key nothing can be stored, and nothing is
// called accepted.
func TestNoKey(t *testing.T) {
	for _, k := range []string{"", "standard_unknown", "unknown", "foreign_key"} {
		w := newWorld(t)
		w.appwrite.AddKey(key) // no scopes: whatever the runtime sends, it may nothing
		function := &standin.Runtime{Main: Main, Key: k, Logs: w.log}
		rec := httptest.NewRecorder()
		req, _ := http.NewRequest(http.MethodPost, "/callback?uid=amina", strings.NewReader(payload(t, "stk/paid.json")))
		function.ServeHTTP(rec, req)
		if _, errors := w.logged(); rec.Code != 503 || len(errors) != 2 || !strings.Contains(errors[1], "create: 401") {
			t.Errorf("with the key %q: %d and error log %q, want 503 and a 401", k, rec.Code, errors)
		}
	}
}

// TestManyAtOnce posts a timeout, a failure of it and its success many times at
// the same moment: the success stands, once.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		for _, name := range []string{"stk/unknown-1037-no-response.json", "stk/paid-after-no-response.json"} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if r := w.postFile(name); r.status != 200 {
					t.Errorf("%s: %d %s", name, r.status, r.body)
				}
			}()
		}
	}
	wg.Wait()
	if d := w.document(); d.Data["status"] != "SUCCESS" || d.Data["receipt"] == nil {
		t.Errorf("the document says %v, want SUCCESS", d.Data)
	}
	if events := w.appwrite.Events(); len(events) > 2 {
		t.Errorf("Realtime would have sent %v, want at most a create and one update", events)
	}
}

// TestNothingPersonalIsLogged posts everything and looks for what must not be in
// the logs: the payer's number, names, the key.
func TestNothingPersonalIsLogged(t *testing.T) {
	w := newWorld(t)
	for _, name := range payloads(t) {
		w.postFile(name)
		w.post(target(name), payload(t, name))
	}
	logs, errors := w.logged()
	for _, line := range append(logs, errors...) {
		for _, secret := range []string{"70000", "10000", key, "AMINA", "Amina", "amina", "127.0.0.1"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q holds %q", line, secret)
			}
		}
	}
}
