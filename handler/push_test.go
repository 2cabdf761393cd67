package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// TestPush follows a payment from the app's request to its receipt.
func TestPush(t *testing.T) {
	s := newShop(t)
	got := s.ask("amina", wish(first, "0700 000 011", `,"description":"Two shirts"`))
	p := s.prompt()
	want := fmt.Sprintf(`{"id":%q,"status":"PENDING","checkoutRequestId":%q,"customerMessage":"Success. Request accepted for processing"}`, first, p.CheckoutRequestID)
	if got.status != 200 || got.body != want {
		t.Errorf("the app is told %d %s, want 200 %s", got.status, got.body, want)
	}
	if p.Phone != phoneA || p.Amount != 10 || p.Reference != "Order 7" || p.Description != "Two shirts" || p.Shortcode != "174379" {
		t.Errorf("the phone shows %+v", p)
	}
	d, _ := s.Appwrite.Document("daraja", "payments", first)
	if got := fmt.Sprint(d.Permissions); got != `[read("user:amina")]` {
		t.Errorf("permissions = %s", got)
	}
	for key, want := range map[string]any{
		"status": "PENDING", "checkoutRequestId": p.CheckoutRequestID, "failureReason": nil, "resultCode": nil, "receipt": nil, "amount": nil,
		"mpesaTimestamp": nil, "userId": "amina", "reference": "Order 7", "requestedAmount": int64(10),
	} {
		if d.Data[key] != want {
			t.Errorf("%s = %v, want %v", key, d.Data[key], want)
		}
	}
	for _, key := range []string{"requestKey", "phoneKey"} {
		if hash, _ := d.Data[key].(string); len(hash) != 64 {
			t.Errorf("%s = %q, want a keyed hash", key, hash)
		}
	}
	if at, err := time.Parse(time.RFC3339, fmt.Sprint(d.Data["nextCheckAt"])); err != nil || at.Sub(d.CreatedAt).Round(10*time.Second) != 90*time.Second {
		t.Errorf("nextCheckAt = %v, want 90 s after %v", d.Data["nextCheckAt"], d.CreatedAt)
	}

	s.pay(p)
	for key, want := range map[string]any{
		"status": "SUCCESS", "checkoutRequestId": p.CheckoutRequestID, "receipt": s.receipt(p), "amount": int64(10), "resultCode": int64(0),
		"failureReason": nil, "nextCheckAt": nil, "userId": "amina", "reference": "Order 7", "requestedAmount": int64(10),
		"requestKey": d.Data["requestKey"], "phoneKey": d.Data["phoneKey"],
	} {
		if now := s.payment(first); now[key] != want {
			t.Errorf("after it was paid, %s = %v, want %v", key, now[key], want)
		}
	}
	if after, _ := s.Appwrite.Document("daraja", "payments", first); !reflect.DeepEqual(after.Permissions, d.Permissions) || len(s.Stored()) != 1 {
		t.Errorf("permissions = %v, and %d documents are stored", after.Permissions, len(s.Stored()))
	}
	if got := s.ask("amina", wish(first, "+254700000011", `,"description":"Two shirts"`)); got.body != fmt.Sprintf(`{"id":%q,"status":"SUCCESS","checkoutRequestId":%q,"customerMessage":""}`, first, p.CheckoutRequestID) {
		t.Errorf("asked again, the app is told %d %s", got.status, got.body)
	}
}

// TestPushCost counts calls: six of Appwrite and one of Safaricom for each payment, once
// the version is known and the token there.
func TestPushCost(t *testing.T) {
	s := newShop(t)
	s.ask("amina", wish(first, phoneA))
	if got, want := s.Operations(), "execute version account create list list replace replace"; got != want {
		t.Errorf("the first: %s, want %s", got, want)
	}
	if got := len(s.safaricom.Calls(fakesafaricom.Any)); got != 2 {
		t.Errorf("the first: %d calls of Safaricom, want a token and a push", got)
	}
	s.Logged()
	s.ask("amina", wish(second, phoneB))
	if got, want := s.Operations(), "execute account create list list replace replace"; got != want {
		t.Errorf("the next: %s, want %s", got, want)
	}
	if got := len(s.safaricom.Calls(fakesafaricom.Any)); got != 3 {
		t.Errorf("the next: %d calls of Safaricom more, want 1", got-2)
	}
	logs, errors := s.Logged()
	if len(logs) != 1 || !strings.HasPrefix(logs[0], "route=stk/push id="+second+" status=PENDING outcome=started calls=6 ms=") || len(errors) != 0 {
		t.Errorf("logged are %q and %q", logs, errors)
	}
	s.ask("amina", wish(second, phoneB))
	if got, want := s.Operations(), "execute account create get"; got != want {
		t.Errorf("a repeat: %s, want %s", got, want)
	}
	if logs, _ := s.Logged(); len(logs) != 1 || !strings.HasPrefix(logs[0], "route=stk/push id="+second+" status=PENDING outcome=repeated calls=3 ms=") {
		t.Errorf("logged is %q", logs)
	}
	s.signIn(fakeappwrite.User{ID: "zawadi", PhoneVerification: true, Labels: []string{"staff", "cashier"}})
	s.ask("zawadi", wish(third, "0110000013"))
	if got, want := s.Operations(), "execute account create list replace replace"; got != want {
		t.Errorf("a cashier: %s, want %s", got, want)
	}
}

// TestPushFields has what is wrong with a request. Each is said by its name, all at once,
// and nothing is called for it.
func TestPushFields(t *testing.T) {
	const (
		id          = "must be 16 to 36 of 0-9, a-f and hyphen, the first and last no hyphen"
		phone       = "must be a Kenyan mobile number, such as 0712345678"
		amount      = "must be whole shillings, 1 to 250000"
		reference   = "must be 1 to 12 letters, digits, spaces and hyphens"
		description = "must be 1 to 13 letters, digits, spaces and hyphens"
	)
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "amina", EmailVerification: true, Labels: []string{"cashier"}})
	s.ask("amina", wish(strings.Repeat("b", 16), "0700000021")) // from here on the version is known
	s.Operations()
	for _, tt := range []struct {
		name, body string
		want       map[string]any // nil: the body as a whole is wrong
	}{
		{"nothing", ``, nil},
		{"no JSON", `id=1`, nil},
		{"a list", `[]`, nil},
		{"null", `null`, nil},
		{"half", `{"id":`, nil},
		{"two values", wish(first, phoneA) + `{}`, nil},
		{"an empty object", `{}`, map[string]any{"id": id, "phone": phone, "amount": amount, "reference": reference}},
		{"every type wrong", `{"id":1,"phone":700000011,"amount":"10","reference":[],"description":{},"again":"yes"}`,
			map[string]any{"id": id, "phone": phone, "amount": amount, "reference": reference, "description": description, "again": "must be true or false"}},
		{"unknown", wish(first, phoneA, `,"userId":"berta","Again":true`), map[string]any{"userId": "is not known", "Again": "is not known"}},
		{"id in capitals", wish("000000000000000000A1", phoneA), map[string]any{"id": id}},
		{"id with a word", wish("0123456789abcdefexec", phoneA), map[string]any{"id": id}},
		{"id of 15", wish("123456789abcdef", phoneA), map[string]any{"id": id}},
		{"id of 37", wish(strings.Repeat("a", 37), phoneA), map[string]any{"id": id}},
		{"id that begins with a hyphen", wish("-0000000000000000001", phoneA), map[string]any{"id": id}},
		{"id with a line break", wish("0000000000000000\n0001", phoneA), map[string]any{"id": id}},
		{"another country", wish(first, "+255700000011"), map[string]any{"phone": phone}},
		{"a fixed line", wish(first, "0200000011"), map[string]any{"phone": phone}},
		{"amount 0", strings.Replace(wish(first, phoneA), "10", "0", 1), map[string]any{"amount": amount}},
		{"amount 250001", strings.Replace(wish(first, phoneA), `:10`, ":250001", 1), map[string]any{"amount": amount}},
		{"amount with cents", strings.Replace(wish(first, phoneA), `:10`, ":10.5", 1), map[string]any{"amount": amount}},
		{"amount in text", strings.Replace(wish(first, phoneA), `:10`, `:"10"`, 1), map[string]any{"amount": amount}},
		{"reference of 13", strings.Replace(wish(first, phoneA), "Order 7", "Order 7890123", 1), map[string]any{"reference": reference}},
		{"reference with an &", strings.Replace(wish(first, phoneA), "Order 7", "A&B", 1), map[string]any{"reference": reference}},
		{"description of 14", wish(first, phoneA, `,"description":"12345678901234"`), map[string]any{"description": description}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.ask("amina", tt.body)
			if got.status != 400 || got.kind() != "invalid_argument" || got.field("claimed") != false {
				t.Errorf("%d %s", got.status, got.body)
			}
			fields, _ := got.field("fields").(map[string]any)
			if !reflect.DeepEqual(fields, tt.want) {
				t.Errorf("fields = %v, want %v", fields, tt.want)
			}
			if operations := s.Operations(); operations != "execute" {
				t.Errorf("calls: %s", operations)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		got := s.ask("amina", wish(first, phoneA)+strings.Repeat(" ", maxBody))
		if got.status != 413 || got.kind() != "invalid_argument" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	s.later(15 * time.Minute)
	for _, body := range []string{
		wish("0-0000000000000000-0", "0700000011"), wish(strings.Repeat("a", 16), "0700000012"), wish(strings.Repeat("f", 36), "254110000013"),
		strings.Replace(wish(second, "+254 700 000 014", `,"description":null,"again":false`), ":10", ":250000", 1),
		strings.Replace(wish(third, "700000015"), ":10", ":1", 1),
	} {
		t.Run("right: "+body, func(t *testing.T) {
			if got := s.ask("amina", body); got.kind() != "PENDING" {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// TestPushReplies has the reply for every way in which a payment is not started, what
// stands then, and what the phone shows. No reply says more than it knows.
func TestPushReplies(t *testing.T) {
	const failed = "FAILED NOT_SENT: "
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		body    string
		status  int
		want    string // the whole body
		state   string // of the document; "none" if there is none
		prompts int
		line    string // in the error log
	}{
		{name: "conflict: another request under the id", body: wish(first, phoneB), status: 409, state: "PENDING", prompts: 1,
			prepare: func(s *shop) { s.ask("amina", wish(first, phoneA)) },
			want:    `{"error":{"type":"conflict","message":"this id belongs to another request","claimed":false}}`},
		{name: "conflict: another user's", status: 409, state: "PENDING", prompts: 1,
			prepare: func(s *shop) {
				s.signIn(fakeappwrite.User{ID: "berta", EmailVerification: true})
				s.ask("berta", wish(first, phoneA))
			},
			want: `{"error":{"type":"conflict","message":"this id belongs to another request","claimed":false}}`},
		{name: "busy: the user's own payment", body: wish(second, phoneA), status: 429, state: failed + "another payment is open; finish it first", prompts: 1,
			prepare: func(s *shop) { s.ask("amina", wish(first, phoneA)) },
			want:    `{"error":{"type":"busy","message":"another payment is open; finish it first","claimed":true,"id":"` + first + `","retryAfter":SECONDS}}`},
		{name: "busy: another user's payment", body: wish(second, phoneA), status: 429, state: failed + "another payment is open; finish it first", prompts: 1,
			prepare: func(s *shop) {
				s.signIn(fakeappwrite.User{ID: "berta", EmailVerification: true})
				s.ask("berta", wish(first, phoneA))
			},
			want: `{"error":{"type":"busy","message":"another payment is open; finish it first","claimed":true,"retryAfter":SECONDS}}`},
		{name: "rejected", status: 422, state: "FAILED " + fakesafaricom.SubscriberLocked,
			prepare: func(s *shop) {
				s.safaricom.SetPhone(phoneA, fakesafaricom.Phone{Locked: true})
			},
			want: `{"error":{"type":"rejected","message":"` + fakesafaricom.SubscriberLocked + `","claimed":true,"responseCode":"500.001.1001"}}`,
			line: `reason="rejected"`},
		{name: "credentials: the keys", status: 502, state: failed + "Safaricom refuses the settings of this function",
			prepare: func(s *shop) { s.Set("DARAJA_CONSUMER_SECRET", "of-the-sandbox") },
			want:    `{"error":{"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true}}`,
			line:    "usual causes: the product is not enabled"},
		{name: "credentials: the passkey", status: 502, state: "FAILED [MerchantValidate] - Wrong credentials",
			prepare: func(s *shop) { s.Set("DARAJA_PASSKEY", "of-the-sandbox") },
			want:    `{"error":{"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true,"responseCode":"500.001.1001"}}`,
			line:    "Password"},
		{name: "credentials: the product", status: 502, state: failed + "Safaricom refuses the settings of this function",
			prepare: func(s *shop) { s.safaricom.Always(fakesafaricom.Push, fakesafaricom.NoProduct()) },
			want:    `{"error":{"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true,"responseCode":"keymanagement.service.InvalidAPICallAsNoApiProductMatchFound"}}`,
			line:    "Product"},
		{name: "unavailable: no token", status: 503, state: failed + "Safaricom could not be asked, and nothing was sent",
			prepare: func(s *shop) { s.safaricom.Always(fakesafaricom.OAuth, fakesafaricom.Incapsula()) },
			want:    `{"error":{"type":"unavailable","message":"Safaricom could not be asked, and nothing was sent","claimed":true}}`,
			line:    "Incapsula: it blocks the addresses of this host"},
		{name: "unavailable: no time left", status: 503, state: failed + "Safaricom could not be asked, and nothing was sent",
			prepare: func(s *shop) { s.function.clock.pushBegins = -time.Hour },
			want:    `{"error":{"type":"unavailable","message":"Safaricom could not be asked, and nothing was sent","claimed":true}}`},
		{name: "not configured: a variable is missing", status: 501, state: "none", line: "DARAJA_PASSKEY is missing",
			prepare: func(s *shop) { s.Set("DARAJA_PASSKEY", "") },
			want:    `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: the signing key is short", status: 501, state: "none", line: "DARAJA_SIGNING_KEY is not 64 hex digits",
			prepare: func(s *shop) { s.Set("DARAJA_SIGNING_KEY", strings.Repeat("5e", 31)) },
			want:    `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: http", status: 501, state: "none", line: "DARAJA_PUBLIC_URL does not begin with https://",
			prepare: func(s *shop) { s.Set("DARAJA_PUBLIC_URL", "http://x.appwrite.run") },
			want:    `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: no environment", status: 501, state: "none", line: "DARAJA_ENVIRONMENT is missing",
			prepare: func(s *shop) { s.Set("DARAJA_ENVIRONMENT", "") },
			want:    `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: an attribute is missing", status: 501, state: "none", line: "lacks an attribute",
			prepare: func(s *shop) {
				s.Appwrite.Do(func() {
					c := s.Appwrite.Databases["daraja"].Collections["payments"]
					c.RemoveAttribute(len(c.Attributes) - 1)
				})
			},
			want: `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: an old server", status: 501, state: "none", line: "Appwrite 1.9.0",
			prepare: func(s *shop) { s.SetVersion("1.9.0") },
			want:    `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
		{name: "not configured: a server of unknown version", status: 501, state: "none", line: "version is not known",
			prepare: func(s *shop) {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.HTML(404)})
			},
			want: `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			tt.prepare(s)
			s.Logged()
			id, body := first, tt.body
			if body == "" {
				body = wish(first, phoneA)
			} else if strings.Contains(body, second) {
				id = second
			}
			got := s.ask("amina", body)
			if after := got.field("retryAfter"); after != nil {
				if n := after.(float64); n < 85 || n > 90 {
					t.Errorf("retryAfter = %v, want up to 90 s", n)
				}
				got.body = strings.Replace(got.body, fmt.Sprintf(`"retryAfter":%v`, after), `"retryAfter":SECONDS`, 1)
			}
			if got.status != tt.status || got.body != tt.want {
				t.Errorf("the app is told %d\n%s, want %d\n%s", got.status, got.body, tt.status, tt.want)
			}
			state := "none"
			if len(s.Stored()) > 0 {
				state = s.state(id)
			}
			if state != tt.state {
				t.Errorf("the document is %s, want %s", state, tt.state)
			}
			if strings.HasPrefix(state, "FAILED") {
				if p := s.payment(id); p["resultCode"] != int64(-1) || p["nextCheckAt"] != nil {
					t.Errorf("resultCode = %v, nextCheckAt = %v, want -1 and null", p["resultCode"], p["nextCheckAt"])
				}
			}
			if n := s.prompts(""); n != tt.prompts {
				t.Errorf("%d prompts were shown, want %d", n, tt.prompts)
			}
			if errors := s.errorLog(); !strings.Contains(errors, tt.line) || tt.line == "" && errors != "" && tt.status != 503 {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
		})
	}
}

// TestPushRefusalWithNumber: the code of a refusal is kept where it is a number.
func TestPushRefusalWithNumber(t *testing.T) {
	s := newShop(t)
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.Reply(400, "application/json", `{"requestId":"1","errorCode":"400.002.02","errorMessage":"Bad Request - Invalid Amount"}`))
	got := s.ask("amina", wish(first, phoneA))
	if got.status != 422 || got.field("responseCode") != "400.002.02" || s.payment(first)["resultCode"] != int64(-1) {
		t.Errorf("%d %s, resultCode %v", got.status, got.body, s.payment(first)["resultCode"])
	}
	if want := "FAILED Bad Request - Invalid Amount"; s.state(first) != want {
		t.Errorf("%s, want %s", s.state(first), want)
	}
}

// TestPushTill asks for a payment to a till, whose store has the passkey.
func TestPushTill(t *testing.T) {
	s := newShop(t)
	s.safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Till", ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, Shortcode: "600000", Passkey: passkey, Till: "812345"})
	s.Set("DARAJA_SHORTCODE", "600000")
	s.Set("DARAJA_TILL", "812345")
	s.ask("amina", wish(first, phoneA))
	s.pay(s.prompt())
	if got := s.safaricom.Collected("600000"); got != 10 || s.state(first) != "SUCCESS" {
		t.Errorf("the till has %d shillings, and the payment is %s", got, s.state(first))
	}
}

// TestPushKeys: keyed hashes tell nobody the phone, differ between keys, and are found
// again while a former key is in the list.
func TestPushKeys(t *testing.T) {
	s := newShop(t)
	s.ask("amina", wish(first, phoneA))
	before := s.payment(first)
	newKey := strings.Repeat("a7", 32)
	s.Set("DARAJA_SIGNING_KEY", newKey+", "+signing)
	if got := s.ask("amina", wish(first, phoneA)); got.kind() != "PENDING" {
		t.Errorf("a repeat after the key was exchanged: %d %s", got.status, got.body)
	}
	if got := s.ask("amina", wish(second, phoneA)); got.kind() != "busy" {
		t.Errorf("another one to the same phone: %d %s", got.status, got.body)
	}
	s.later(2 * time.Minute)
	s.ask("amina", wish(third, phoneA, `,"again":true`))
	if now := s.payment(third); now["phoneKey"] == before["phoneKey"] || now["requestKey"] == before["requestKey"] {
		t.Error("the new key makes the same hashes")
	}
	content, _ := json.Marshal(s.Stored())
	if strings.Contains(strings.ReplaceAll(string(content), "ws_CO_", ""), `"`+phoneA) {
		t.Errorf("the phone is stored: %s", content)
	}
}

// TestPushNotSetUp: where no variable for it is set, a push is refused in words that an
// app can tell from a broken connection, and nothing is called.
func TestPushNotSetUp(t *testing.T) {
	w := newWorld(t)
	w.Set(CallbackSecret, doorSecret)
	for _, path := range []string{"/stk/push", "/" + doorSecret + "/stk/push"} {
		r := w.Send("POST", path, wish(first, phoneA))
		if want := `{"error":{"type":"not_configured","message":"this function is not set up to start payments","claimed":false}}`; r.Status != 501 || r.Body != want {
			t.Errorf("%s: %d %s, want 501 %s", path, r.Status, r.Body, want)
		}
		if operations := w.Operations(); operations != "" {
			t.Errorf("calls: %s", operations)
		}
		if errors := w.errorLog(); !strings.Contains(errors, "DARAJA_CONSUMER_KEY is missing; ") || !strings.Contains(errors, "DARAJA_SIGNING_KEY is missing") {
			t.Errorf("the error log is %q, want what is missing", errors)
		}
	}
	if r := w.Send("POST", "/0000000000000000/stk/push", wish(first, phoneA)); r.Status != 404 {
		t.Errorf("behind a wrong secret: %d %s", r.Status, r.Body)
	}
	if r := w.Send("GET", "/stk/push", ""); r.Status != 405 || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", r.Status, r.Header.Get("Allow"))
	}
}

// TestNoCallbackURL: nothing is sent whose outcome could not arrive.
func TestNoCallbackURL(t *testing.T) {
	for name, tt := range map[string]struct{ variable, value, problem string }{
		"a query in the secret":     {"DARAJA_CALLBACK_SECRET", "0123456789abcdef?x", "DARAJA_CALLBACK_SECRET cannot be part of a URL"},
		"a fragment in the secret":  {"DARAJA_CALLBACK_SECRET", "0123456789abcdef#x", "DARAJA_CALLBACK_SECRET cannot be part of a URL"},
		"a query in the address":    {"DARAJA_PUBLIC_URL", "https://daraja.example.com/?x=1", "DARAJA_PUBLIC_URL has more than a host and a path"},
		"a fragment in the address": {"DARAJA_PUBLIC_URL", "https://daraja.example.com/#x", "DARAJA_PUBLIC_URL has more than a host and a path"},
		"a user in the address":     {"DARAJA_PUBLIC_URL", "https://me:it@daraja.example.com", "DARAJA_PUBLIC_URL has more than a host and a path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.Set(tt.variable, tt.value)
			if got := s.ask("amina", wish(first, phoneA)); got.kind() != "not_configured" || s.prompts("") != 0 {
				t.Errorf("the app is told %d %s, and %d prompts were shown", got.status, got.body, s.prompts(""))
			}
			if log := s.errorLog(); !strings.Contains(log, tt.problem) {
				t.Errorf("the error log says %s", log)
			}
			if problems := strings.Join(s.function.Problems(), "; "); !strings.Contains(problems, tt.problem) {
				t.Errorf("the problems are %s", problems)
			}
		})
	}
}

// TestRefusalNotWritten has the database fail when Safaricom has refused. What it said is
// in the error log, and replayed.
func TestRefusalNotWritten(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	replayed := func(ask func() reply, state func() string, want string) {
		t.Helper()
		sent := func() int { return len(s.safaricom.Calls(fakesafaricom.Push)) + len(s.safaricom.Calls(fakesafaricom.B2C)) }
		before := sent()
		s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || sent() == before {
				return false
			}
			fakeappwrite.Hangup()(w, r)
			return true
		})
		if got := ask(); got.kind() != "rejected" || got.field("claimed") != false {
			t.Errorf("the app is told %d %s", got.status, got.body)
		}
		s.setSpoil(nil)
		if got := state(); got != "PENDING" {
			t.Errorf("it is %s", got)
		}
		_, errors := s.Logged()
		for _, line := range errors {
			if strings.HasPrefix(line, settle.Mark) {
				if _, err := s.function.Replay(testbed.FunctionKey, line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
		}
		if got := state(); got != want {
			t.Errorf("replayed, it is %s, want %s", got, want)
		}
	}
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PhoneNumber"))
	replayed(func() reply { return s.ask("amina", wish(first, phoneA)) }, func() string { return s.state(first) }, "FAILED Bad Request - Invalid PhoneNumber")
	s.safaricom.Once(fakesafaricom.B2C, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid Remarks"))
	replayed(func() reply { return s.payOut("zawadi", salary(payoutA, phoneA)) }, func() string { return s.payoutState(payoutA) }, "FAILED Bad Request - Invalid Remarks")
}
