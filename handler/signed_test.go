package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// started has amina's app ask for a payment, and returns what the phone shows.
func started(t testing.TB) (*shop, fakesafaricom.Prompt) {
	t.Helper()
	s := newShop(t)
	if got := s.ask("amina", wish(first, phoneA)); got.kind() != "PENDING" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s.Operations()
	s.Logged()
	return s, s.prompt()
}

// paid is a callback that says so. Without a receipt it says that nobody answered.
func paid(checkoutRequestID, receipt string, amount int) string {
	if receipt == "" {
		return fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":"1","CheckoutRequestID":%q,"ResultCode":1037,"ResultDesc":"No response from user."}}}`, checkoutRequestID)
	}
	return fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":"1","CheckoutRequestID":%q,"ResultCode":0,"ResultDesc":"Done","CallbackMetadata":{"Item":[`+
		`{"Name":"Amount","Value":%d},{"Name":"MpesaReceiptNumber","Value":%q},{"Name":"TransactionDate","Value":20260205091441}]}}}}`, checkoutRequestID, amount, receipt)
}

const receiptA, receiptB = "UB596CT0UA", "UB596CT0UB"

// signed is where the callback of a started payment is posted, by the rule and not by the
// code: HMAC-SHA256 of the purpose and the id.
func signed(s *shop, prefix, id string) string {
	return prefix + "/callback?id=" + id + "&sig=" + s.sig(id)
}

func (s *shop) sig(id string) string {
	key := s.function.config.signingKeys[0]
	return keyedHash(key, "callback", id)[:32]
}

// TestKeyedHash: openssl's answer to the same question.
// printf 'callback\n000000000000000000a1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:5e5e…
func TestKeyedHash(t *testing.T) {
	s := newShop(t)
	if got, want := keyedHash(s.function.config.signingKeys[0], "callback", first), "09dc19f91be07441254dd794852fac817a685e5f1c78d1692f0cfe8bb4676153"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestSignedCost: two calls of the API for the first callback, one for a duplicate, and
// what an unsigned one has always cost.
func TestSignedCost(t *testing.T) {
	s, p := started(t)
	for _, tt := range []struct{ name, path, body, operations, log string }{
		{"first", s.pathOf(p), paid(p.CheckoutRequestID, receiptA, 10), "get replace", "route=callback id=" + first + " status=SUCCESS outcome=replaced attempt=0 calls=2 ms="},
		{"duplicate", s.pathOf(p), paid(p.CheckoutRequestID, receiptA, 10), "get", "route=callback id=" + first + " status=SUCCESS outcome=duplicate attempt=0 calls=1 ms="},
		{"unsigned, first", "/" + doorSecret + "/callback", paid("ws_CO_1", "", 0), "create", "status=TIMEOUT outcome=created attempt=0 calls=1 ms="},
		{"unsigned, duplicate", "/" + doorSecret + "/callback", paid("ws_CO_1", "", 0), "create get", "status=TIMEOUT outcome=duplicate attempt=0 calls=2 ms="},
		{"unsigned, better", "/" + doorSecret + "/callback", paid("ws_CO_1", receiptB, 10), "create get replace", "status=SUCCESS outcome=replaced attempt=0 calls=3 ms="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Post(tt.path, tt.body); got != 200 {
				t.Errorf("reply %d", got)
			}
			if got := s.Operations(); got != tt.operations {
				t.Errorf("calls: %s, want %s", got, tt.operations)
			}
			if logs, _ := s.Logged(); len(logs) != 1 || !strings.Contains(logs[0], tt.log) {
				t.Errorf("log: %q, want %q", logs, tt.log)
			}
		})
	}
}

// TestDoor has which callbacks get in: by a signature, by the callback secret, or by
// neither where there is neither. What our own settings may be at fault for waits.
func TestDoor(t *testing.T) {
	const settled, waits, closed, created = "replaced", "queued", "404", "created"
	lost := func(s *shop) { s.Set(SigningKey, "") }
	garbled := func(s *shop) { s.Set(SigningKey, "of 64 hex digits") }
	for _, tt := range []struct {
		name string
		set  func(*shop)
		path func(s *shop, p fakesafaricom.Prompt) string
		want string
	}{
		{name: "as Safaricom posts", path: (*shop).pathOf, want: settled},
		{name: "signed, without the secret", path: func(s *shop, _ fakesafaricom.Prompt) string { return signed(s, "", first) }, want: settled},
		{name: "signed, with a former secret", path: func(s *shop, _ fakesafaricom.Prompt) string { return signed(s, "/fedcba9876543210", first) }, want: settled},
		{name: "signed, with slashes", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "//callback/?id=" + first + "&sig=" + s.sig(first)
		}, want: settled},
		{name: "signed, and a uid", path: func(s *shop, _ fakesafaricom.Prompt) string { return signed(s, "", first) + "&uid=berta" }, want: settled},
		{name: "the bare domain", path: func(s *shop, _ fakesafaricom.Prompt) string { return "/?id=" + first + "&sig=" + s.sig(first) }, want: closed},
		{name: "wrong", path: func(*shop, fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + strings.Repeat("0", 32)
		}, want: closed},
		{name: "too short", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + s.sig(first)[:31]
		}, want: closed},
		{name: "too long", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + s.sig(first) + "0"
		}, want: closed},
		{name: "in capitals", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + strings.ToUpper(s.sig(first))
		}, want: closed},
		{name: "empty", path: func(*shop, fakesafaricom.Prompt) string { return "/callback?id=" + first + "&sig=" }, want: closed},
		{name: "none", path: func(*shop, fakesafaricom.Prompt) string { return "/callback?id=" + first }, want: closed},
		{name: "another id's", path: func(s *shop, _ fakesafaricom.Prompt) string { return "/callback?id=" + first + "&sig=" + s.sig(second) }, want: closed},
		{name: "of a payout", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + keyedHash(s.function.config.signingKeys[0], "b2c/result", first)[:32]
		}, want: closed},
		{name: "of a hash that is stored", path: func(s *shop, _ fakesafaricom.Prompt) string {
			return "/callback?id=" + first + "&sig=" + fmt.Sprint(s.payment(first)["requestKey"])[:32]
		}, want: closed},
		{name: "wrong, with the secret", path: func(*shop, fakesafaricom.Prompt) string {
			return "/" + doorSecret + "/callback?id=" + first + "&sig=" + strings.Repeat("0", 32)
		}, want: waits},
		{name: "the key is lost", set: lost, path: (*shop).pathOf, want: waits},
		{name: "the key is garbled", set: garbled, path: (*shop).pathOf, want: waits},
		{name: "the key is lost, without the secret", set: lost, want: waits,
			path: func(s *shop, p fakesafaricom.Prompt) string {
				return strings.Replace(s.pathOf(p), "/"+doorSecret, "", 1)
			}},
		{name: "the key is garbled, unsigned", set: garbled, path: func(*shop, fakesafaricom.Prompt) string { return "/callback?id=" + first }, want: closed},
		{name: "exchanged", set: func(s *shop) { s.Set(SigningKey, strings.Repeat("a7", 32)+","+signing) }, path: (*shop).pathOf, want: settled},
		{name: "exchanged, and the former one dropped", set: func(s *shop) { s.Set(SigningKey, strings.Repeat("a7", 32)) }, path: (*shop).pathOf, want: waits},
		{name: "one garbled key in the list", set: func(s *shop) { s.Set(SigningKey, "x,"+signing) }, path: (*shop).pathOf, want: settled},

		{name: "unsigned, with the secret", path: func(*shop, fakesafaricom.Prompt) string { return "/" + doorSecret + "/callback?uid=amina" }, want: created},
		{name: "unsigned, a key and no secret", set: func(s *shop) { s.Set(CallbackSecret, "") },
			path: func(*shop, fakesafaricom.Prompt) string { return "/callback?uid=amina" }, want: closed},
		{name: "unsigned, the bare domain, a key and no secret", set: func(s *shop) { s.Set(CallbackSecret, "") },
			path: func(*shop, fakesafaricom.Prompt) string { return "/?uid=amina" }, want: closed},
		{name: "signed, a key and no secret", set: func(s *shop) { s.Set(CallbackSecret, "") },
			path: func(s *shop, _ fakesafaricom.Prompt) string { return signed(s, "", first) }, want: settled},
		{name: "unsigned, a garbled key and no secret", set: func(s *shop) { garbled(s); s.Set(CallbackSecret, "") },
			path: func(*shop, fakesafaricom.Prompt) string { return "/callback?uid=amina" }, want: closed},
		{name: "unsigned, neither", set: func(s *shop) { lost(s); s.Set(CallbackSecret, "") },
			path: func(*shop, fakesafaricom.Prompt) string { return "/callback?uid=amina" }, want: created},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p := started(t)
			if tt.set != nil {
				tt.set(s)
			}
			r := s.Send("POST", tt.path(s, p), paid(p.CheckoutRequestID, receiptA, 10))
			logs, errors := s.Logged()
			got := "404"
			if r.Status == 200 && len(logs) == 1 {
				_, got, _ = strings.Cut(logs[0], "outcome=")
				got, _, _ = strings.Cut(got, " ")
			}
			if got != tt.want {
				t.Errorf("%d %s, %q, want %s", r.Status, r.Body, logs, tt.want)
			}
			if want := map[string]string{settled: "SUCCESS"}[tt.want]; want != "" && s.state(first) != want || want == "" && s.state(first) != "PENDING" {
				t.Errorf("the payment is %s", s.state(first))
			}
			switch tt.want {
			case closed:
				if r.Body != `{"ResultCode":1,"ResultDesc":"unknown path"}` {
					t.Errorf("reply %s", r.Body)
				}
				if len(errors) != 1 || !strings.HasPrefix(errors[0], "refused route=- ") || !strings.Contains(errors[0], "looks=callback") {
					t.Errorf("the error log is %q, want a line of what was refused", errors)
				}
				if operations := s.Operations(); operations != "" {
					t.Errorf("calls: %s", operations)
				}
			case waits:
				if len(errors) != 1 || !strings.Contains(errors[0], `reason="needs an operator" error="the signature cannot be verified`) {
					t.Errorf("the error log is %q", errors)
				}
				if operations := s.Operations(); operations != "execute execute execute" {
					t.Errorf("calls: %s", operations)
				}
				if len(s.Stored()) != 1 {
					t.Errorf("stored is %v", s.Stored())
				}
			}
			if d, _ := s.Appwrite.Document("daraja", "payments", first); testbed.Readers(d) != "user:amina" {
				t.Errorf("it is read by %q", testbed.Readers(d))
			}
		})
	}
}

// TestSignedWaits: what could not be verified is settled once the key is back.
func TestSignedWaits(t *testing.T) {
	s, p := started(t)
	s.Set(SigningKey, "")
	s.pay(p)
	if got := s.state(first); got != "PENDING" {
		t.Fatalf("without a key the payment is %s", got)
	}
	s.Later(90 * time.Minute)
	if got := s.state(first); got != "PENDING" {
		t.Fatalf("without a key the payment is %s", got)
	}
	s.Set(SigningKey, strings.Repeat("a7", 32)+","+signing)
	s.Later(4 * time.Hour)
	if d := s.payment(first); d["status"] != "SUCCESS" || d["receipt"] != s.receipt(p) || len(s.Stored()) != 1 {
		t.Errorf("stored is %v", s.Stored())
	}
}

// TestUnverifiedEnds: what is never verified ends in the error log, three times, and its
// replay does not touch the payment that its sender named. Whoever knows the callback
// secret could make a SUCCESS of any payment otherwise.
func TestUnverifiedEnds(t *testing.T) {
	s, p := started(t)
	if got := s.Post("/"+doorSecret+"/callback?id="+first+"&sig="+strings.Repeat("0", 32)+"&uid=mallory", paid(p.CheckoutRequestID, receiptA, 10)); got != 200 {
		t.Fatalf("reply %d", got)
	}
	s.Logged()
	s.Later(30 * day)
	_, errors := s.Logged()
	var lines []string
	for _, line := range errors {
		if strings.HasPrefix(line, settle.Mark) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 3 {
		t.Fatalf("%d UNSETTLED lines, want 3: %q", len(lines), errors)
	}
	if !strings.Contains(lines[0], `"id":"`+first+`"`) || strings.Contains(lines[0], "started") {
		t.Errorf("the line is %s, want the id, and that nobody has proven it", lines[0])
	}
	for _, line := range lines {
		if got, err := s.function.Replay(testbed.FunctionKey, line); err != nil {
			t.Errorf("replay: %v, %v", got, err)
		}
	}
	if got := s.state(first); got != "PENDING" {
		t.Errorf("after the replay the payment is %s", got)
	}
	if all := s.Stored(); len(all) != 2 || testbed.Readers(all[1]) != "" || all[1].Data["receipt"] != receiptA {
		t.Errorf("stored is %v, want the verdict beside, without a reader", all)
	}
}

// TestUnsignedTouchesNothing: whatever an unsigned callback says, a started payment stays
// as it is, and the verdict has a document of its own that nobody reads.
func TestUnsignedTouchesNothing(t *testing.T) {
	const door = "/" + doorSecret + "/callback?uid=mallory"
	for _, tt := range []struct {
		name string
		id   string // in the place of a CheckoutRequestID
		path string
		pg   bool
	}{
		{name: "its id", id: first, path: door},
		{name: "its id in capitals", id: strings.ToUpper(first), path: door},
		{name: "its id in capitals, PostgreSQL", id: strings.ToUpper(first), path: door, pg: true},
		{name: "its id in the URL", id: "CheckoutRequestID", path: door + "&id=" + first},
		{name: "a redelivery", id: first, path: door + "&attempt=3"},
		{name: "with DARAJA_ANONYMOUS_READ", id: first, path: "/" + doorSecret + "/callback"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p := started(t)
			s.Appwrite.PostgreSQL = tt.pg
			s.Set("DARAJA_ANONYMOUS_READ", "any")
			before, _ := s.Appwrite.Document("daraja", "payments", first)
			id := strings.Replace(tt.id, "CheckoutRequestID", p.CheckoutRequestID, 1)
			for range 2 {
				if got := s.Post(tt.path, paid(id, receiptA, 10)); got != 200 {
					t.Errorf("reply %d", got)
				}
			}
			after, _ := s.Appwrite.Document("daraja", "payments", first)
			if fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the payment is %v, was %v", after, before)
			}
			all := s.Stored()
			if len(all) != 2 || all[1].Data["receipt"] != receiptA {
				t.Fatalf("stored is %v", all)
			}
			if strings.EqualFold(id, first) {
				if readers := testbed.Readers(all[1]); readers != "" && !tt.pg {
					t.Errorf("what was forged is read by %q", readers)
				}
				if errors := s.errorLog(); !strings.Contains(errors, "unsigned callback for a payment that was started here") && !tt.pg {
					t.Errorf("the error log is %q", errors)
				}
			}
			s.pay(p)
			if s.state(first) != "SUCCESS" || s.payment(first)["receipt"] != s.receipt(p) {
				t.Errorf("after it was paid: %v", s.payment(first))
			}
		})
	}
	t.Run("the replay of a line", func(t *testing.T) {
		s, p := started(t)
		line := settle.Mark + `{"route":"callback","uid":"mallory","id":"` + first + `","data":{"checkoutRequestId":"` + p.CheckoutRequestID +
			`","status":"SUCCESS","resultCode":0,"receipt":"` + receiptA + `","amount":10,"settledAt":"2026-01-01T00:00:00.000Z"}}`
		got, err := s.function.Replay(testbed.FunctionKey, line)
		if err != nil || got.Outcome != settle.Created || s.state(first) != "PENDING" {
			t.Errorf("%v, %v, and the payment is %s", got, err, s.state(first))
		}
	})
	t.Run("a payout", func(t *testing.T) {
		s := newShop(t)
		s.writeTo("disbursements", http.MethodPost, "", `{"documentId":"`+first+`","data":{"originatorConversationId":"`+first+`","status":"PENDING","settledAt":"x","requestKey":"k"}}`)
		body := strings.NewReplacer("daa6-4d1a-af61-120b12394e6c", first).Replace(payload(t, "b2c/paid"))
		var result struct {
			Result struct{ OriginatorConversationID string }
		}
		if err := json.Unmarshal([]byte(body), &result); err != nil {
			t.Fatal(err)
		}
		body = strings.ReplaceAll(body, result.Result.OriginatorConversationID, first)
		if got := s.Post("/"+doorSecret+"/b2c/result?uid=mallory", body); got != 200 {
			t.Errorf("reply %d", got)
		}
		logs, errors := s.Logged()
		if !strings.Contains(logs[0], "outcome=ignored") || len(errors) != 1 || !strings.Contains(errors[0], "unsigned callback") {
			t.Errorf("logged are %q and %q", logs, errors)
		}
		if all := s.Stored(); len(all) != 1 || all[0].Data["status"] != "PENDING" {
			t.Errorf("stored is %v", all)
		}
	})
}

// TestSignedVerdicts has what signed callbacks make of a started payment, in order.
func TestSignedVerdicts(t *testing.T) {
	const another = "ws_CO_of_another"
	type step struct{ id, receipt string } // an empty id is the payment's own
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		steps   []step
		amount  int // 10 if 0
		state   string
		receipt any
		beside  int    // documents without a reader
		line    string // in the error log
		checks  bool   // it is still to be asked about
	}{
		{name: "paid", steps: []step{{"", receiptA}}, state: "SUCCESS", receipt: receiptA},
		{name: "unknown", steps: []step{{"", ""}}, state: "TIMEOUT No response from user.", checks: true},
		{name: "unknown, then paid", steps: []step{{"", ""}, {"", receiptA}}, state: "SUCCESS", receipt: receiptA},
		{name: "paid, then unknown", steps: []step{{"", receiptA}, {"", ""}}, state: "SUCCESS", receipt: receiptA},
		{name: "paid twice over", steps: []step{{"", receiptA}, {"", receiptB}}, state: "SUCCESS", receipt: receiptA, beside: 1,
			line: `CHARGED-TWICE route=callback id=` + first + ` receipts="` + receiptA + " " + receiptB + `"`},
		{name: "another transaction", steps: []step{{another, receiptA}}, state: "PENDING", beside: 1, checks: true,
			line: "mismatch route=callback id=" + first},
		{name: "another transaction, twice", steps: []step{{another, receiptA}, {another, receiptA}}, state: "PENDING", beside: 1, checks: true,
			line: "mismatch route=callback id=" + first},
		{name: "another amount", steps: []step{{"", receiptA}}, amount: 9, state: "SUCCESS", receipt: receiptA,
			line: "paid were 9 shillings, and asked for were 10"},
		{name: "it has no name yet", prepare: func(s *shop) { s.patch(first, `{"checkoutRequestId":""}`) },
			steps: []step{{"", receiptA}}, state: "SUCCESS", receipt: receiptA},
		{name: "it has no name yet, and nobody answers", prepare: func(s *shop) { s.patch(first, `{"checkoutRequestId":""}`) },
			steps: []step{{"", ""}}, state: "TIMEOUT No response from user.", checks: true},
		{name: "it was called failed", prepare: func(s *shop) {
			s.patch(first, `{"status":"FAILED","failureReason":"NOT_SENT: interrupted","resultCode":-1,"nextCheckAt":null}`)
		}, steps: []step{{"", receiptA}}, state: "SUCCESS", receipt: receiptA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p := started(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			if tt.amount == 0 {
				tt.amount = 10
			}
			before, _ := s.Appwrite.Document("daraja", "payments", first)
			for _, step := range tt.steps {
				if step.id == "" {
					step.id = p.CheckoutRequestID
				}
				if got := s.Post(s.pathOf(p)+"&uid=mallory", paid(step.id, step.receipt, tt.amount)); got != 200 {
					t.Errorf("reply %d", got)
				}
			}
			d, _ := s.Appwrite.Document("daraja", "payments", first)
			if s.state(first) != tt.state || d.Data["receipt"] != tt.receipt || d.Data["checkoutRequestId"] != p.CheckoutRequestID {
				t.Errorf("the payment is %v, want %s with receipt %v", d.Data, tt.state, tt.receipt)
			}
			for _, key := range []string{"userId", "reference", "requestedAmount", "requestKey", "phoneKey"} {
				if d.Data[key] != before.Data[key] {
					t.Errorf("%s = %v, was %v", key, d.Data[key], before.Data[key])
				}
			}
			if want := map[bool]any{true: before.Data["nextCheckAt"]}[tt.checks]; d.Data["nextCheckAt"] != want {
				t.Errorf("nextCheckAt = %v, want %v", d.Data["nextCheckAt"], want)
			}
			if readers := testbed.Readers(d); readers != "user:amina" {
				t.Errorf("it is read by %q", readers)
			}
			beside := 0
			for _, other := range s.Stored() {
				if other.ID != first {
					beside++
					if readers := testbed.Readers(other); readers != "" {
						t.Errorf("the one beside is read by %q", readers)
					}
				}
			}
			if beside != tt.beside {
				t.Errorf("%d documents beside, want %d", beside, tt.beside)
			}
			if errors := s.errorLog(); !strings.Contains(errors, tt.line) || tt.line == "" && errors != "" {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
		})
	}
}

// TestSignedWithoutDocument: somebody has deleted the payment. The verdict is kept under
// its id, for the server alone.
func TestSignedWithoutDocument(t *testing.T) {
	s, p := started(t)
	s.Remove(first)
	s.Logged()
	for range 2 {
		if got := s.Post(s.pathOf(p)+"&uid=mallory", paid(p.CheckoutRequestID, receiptA, 10)); got != 200 {
			t.Errorf("reply %d", got)
		}
	}
	if d := s.Document(); d.ID != first || testbed.Readers(d) != "" || d.Data["status"] != "SUCCESS" || d.Data["checkoutRequestId"] != p.CheckoutRequestID {
		t.Errorf("stored is %v", d)
	}
	if errors := s.errorLog(); strings.Count(errors, "\n") != 0 || !strings.Contains(errors, "there is no document of this started payment any more") {
		t.Errorf("the error log is %q", errors)
	}
	if got := s.ask("amina", wish(first, phoneA)); got.kind() != "conflict" {
		t.Errorf("asked again, the app is told %d %s", got.status, got.body)
	}
}

// TestSignedQueue: a verdict that cannot be stored waits, with what proves it.
func TestSignedQueue(t *testing.T) {
	s, p := started(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Reply: fakeappwrite.Status(500, "general_unknown", "Server Error")})
	s.pay(p)
	waiting := s.Appwrite.Waiting()
	if len(waiting) != 3 {
		t.Fatalf("%d copies wait, want 3", len(waiting))
	}
	for i, attempt := range []string{"1", "9", "14"} {
		u, err := url.Parse(waiting[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if q := u.Query(); u.Path != "/"+doorSecret+"/callback" || q.Get("id") != first || q.Get("sig") != s.sig(first) || q.Get("attempt") != attempt || len(q) != 3 {
			t.Errorf("a copy waits for %s", waiting[i].Path)
		}
	}
	s.Appwrite.Heal()
	s.Later(3 * time.Minute)
	if d := s.payment(first); d["status"] != "SUCCESS" || d["receipt"] != s.receipt(p) {
		t.Errorf("stored is %v", d)
	}
	s.Later(30 * day)
	if len(s.Stored()) != 1 || s.state(first) != "SUCCESS" {
		t.Errorf("after all copies, stored is %v", s.Stored())
	}
}

// TestSignedUnsettled: a verdict that could be neither stored nor queued is replayed from
// its line, over the started payment.
func TestSignedUnsettled(t *testing.T) {
	s, p := started(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
	if got := s.Post(s.pathOf(p)+"&uid=mallory", paid(p.CheckoutRequestID, receiptA, 10)); got != 503 {
		t.Fatalf("reply %d", got)
	}
	s.Appwrite.Heal()
	_, errors := s.Logged()
	if !strings.HasPrefix(errors[0], settle.Mark) || !strings.Contains(errors[0], `"id":"`+first+`"`) || !strings.Contains(errors[0], `"started":true`) {
		t.Fatalf("the error log is %q", errors)
	}
	for _, want := range []settle.Outcome{settle.Replaced, settle.Duplicate} {
		s.Operations()
		got, err := s.function.Replay(testbed.FunctionKey, errors[0])
		if err != nil || got.Outcome != want {
			t.Errorf("replay: %v, %v, want %s", got, err, want)
		}
		if operations := s.Operations(); !strings.HasPrefix(operations, "get") {
			t.Errorf("calls: %s, want the read first", operations)
		}
	}
	if d, _ := s.Appwrite.Document("daraja", "payments", first); d.Data["status"] != "SUCCESS" || testbed.Readers(d) != "user:amina" || len(s.Stored()) != 1 {
		t.Errorf("stored is %v", s.Stored())
	}
}

// TestNameUnsettled: what Safaricom calls the payment could not be stored. It is replayed
// from its line, and no verdict waits for it.
func TestNameUnsettled(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil spoiling
		first bool // the callback comes before the acknowledgement
	}{
		{name: "the PATCH breaks", spoil: func(n int, _ bool, _ func(), w http.ResponseWriter, r *http.Request) bool {
			if n < 9 {
				return false
			}
			fakeappwrite.Status(500, "general_unknown", "x")(w, r)
			return true
		}},
		{name: "after the callback, the GET breaks", first: true, spoil: func(n int, _ bool, _ func(), w http.ResponseWriter, r *http.Request) bool {
			// 8 is the push, 9 and 10 are the callback's, 11 is the PATCH, which
			// finds that the document was changed.
			if n < 12 {
				return false
			}
			fakeappwrite.Status(500, "general_unknown", "x")(w, r)
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			if tt.first {
				s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Answer: fakesafaricom.Silent})
				s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackBeforeAck())
			}
			s.setSpoil(tt.spoil)
			got := s.ask("amina", wish(first, phoneA))
			s.setSpoil(nil)
			p := s.prompt()
			if got.status != 200 || got.field("id") != first || got.field("checkoutRequestId") != p.CheckoutRequestID || got.field("status") == "" {
				t.Errorf("the app is told %d %s", got.status, got.body)
			}
			_, errors := s.Logged()
			want := settle.Mark + `{"route":"stk/push","id":"` + first + `","started":true,"data":{"checkoutRequestId":"` + p.CheckoutRequestID + `"}}`
			if len(errors) != 2 || errors[0] != want {
				t.Fatalf("the error log is %q, want %q first", errors, want)
			}
			outcomes := []settle.Outcome{settle.Replaced, settle.Duplicate}
			if tt.first {
				outcomes = outcomes[1:]
			}
			for _, want := range outcomes {
				if got, err := s.function.Replay(testbed.FunctionKey, errors[0]); err != nil || got.Outcome != want || got.ID != first {
					t.Errorf("replay: %v, %v, want %s", got, err, want)
				}
			}
			if d := s.payment(first); d["checkoutRequestId"] != p.CheckoutRequestID {
				t.Errorf("stored is %v", d)
			}
		})
	}
	t.Run("the payment is gone", func(t *testing.T) {
		s := newShop(t)
		line := settle.Mark + `{"route":"stk/push","id":"` + first + `","started":true,"data":{"checkoutRequestId":"ws_CO_1"}}`
		if got, err := s.function.Replay(testbed.FunctionKey, line); err == nil {
			t.Errorf("replay: %v, want an error", got)
		}
	})
}

// TestRollback: the URL that Safaricom has must be one that a version which knows of no
// signature takes: by the secret, and with parameters that it ignores.
func TestRollback(t *testing.T) {
	_, p := started(t)
	u, err := url.Parse(p.CallBackURL)
	if err != nil {
		t.Fatal(err)
	}
	if u.Path != "/"+doorSecret+"/callback" || len(u.Query()) != 2 {
		t.Errorf("the URL is %s", u.Path)
	}
	// What such a version stores is found by whoever looks for the transaction.
	if d := settle.New(parse.Verdict{Kind: parse.Payment, ID: p.CheckoutRequestID}, "", time.Now()); d.DocumentID == first {
		t.Error("it would be stored over the started payment")
	}
}
