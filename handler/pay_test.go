package handler

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// What the business has for payouts. It is of another app than that of its payments.
const (
	payoutKey         = "consumer-key-of-payouts"
	payoutSecret      = "consumer-secret-of-payouts"
	payoutShortcode   = "600997"
	initiator         = "daraja-api"
	initiatorPassword = "Nyoka#2026%"
)

// The ids of payouts.
const (
	payoutA = "11111111-2222-4333-8444-5555555555a1"
	payoutB = "11111111-2222-4333-8444-5555555555a2"
	payoutC = "11111111-2222-4333-8444-5555555555a3"
)

// initiatorKey is Safaricom's, and its certificate, which has expired.
var initiatorKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, certificate, err := fakesafaricom.NewKey()
	if err != nil {
		panic(err)
	}
	return key, certificate
})

// newPayer is a shop that pays out as well. Zawadi may ask for that.
func newPayer(t testing.TB) *shop {
	t.Helper()
	return payer(newShop(t))
}

// payer has a shop pay out.
func payer(s *shop) *shop {
	key, certificate := initiatorKey()
	s.employ(fakesafaricom.Merchant{Key: key})
	for name, value := range map[string]string{
		"DARAJA_B2C_CONSUMER_KEY":    payoutKey,
		"DARAJA_B2C_CONSUMER_SECRET": payoutSecret,
		"DARAJA_B2C_SHORTCODE":       payoutShortcode,
		"DARAJA_INITIATOR":           initiator,
		"DARAJA_INITIATOR_PASSWORD":  initiatorPassword,
		"DARAJA_CERTIFICATE":         certificate,
		"DARAJA_PAYOUT_MAX":          "20000",
		"DARAJA_PAYOUT_DAILY":        "100000",
	} {
		s.Set(name, value)
	}
	s.signIn(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"staff", "payouts"}})
	return s
}

// employ makes the business an account of payouts at Safaricom. What is not said is
// right.
func (s *shop) employ(m fakesafaricom.Merchant) {
	m.Name, m.ConsumerKey, m.ConsumerSecret, m.Shortcode = "Shop", payoutKey, payoutSecret, payoutShortcode
	m.Products = []fakesafaricom.Operation{fakesafaricom.B2C, fakesafaricom.Status}
	if m.Key == nil {
		m.Key, _ = initiatorKey()
	}
	if m.Initiator == "" {
		m.Initiator = initiator
	}
	if m.InitiatorPassword == "" {
		m.InitiatorPassword = initiatorPassword
	}
	if m.Float == 0 {
		m.Float = 1_000_000
	}
	s.safaricom.AddMerchant(m)
}

// payOut has a user's app ask for a payout.
func (s *shop) payOut(user, body string) reply {
	return s.execute("/b2c/pay", body, "X-Appwrite-Session", sessionOf(user))
}

// salary is a request to pay out 500 shillings.
func salary(id, phone string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"phone":%q,"amount":500,"remarks":"Salary of November"%s}`, id, phone, strings.Join(more, ""))
}

// payout is the started payout of an id.
func (s *shop) payout(id string) fakeappwrite.Document {
	s.t.Helper()
	d, found := s.Appwrite.Document("daraja", "disbursements", id)
	if !found {
		s.t.Fatalf("there is no payout %s", id)
	}
	return d
}

// payoutState is the status of a payout, with its reason.
func (s *shop) payoutState(id string) string {
	s.t.Helper()
	d := s.payout(id)
	if d.Data["failureReason"] == nil {
		return fmt.Sprint(d.Data["status"])
	}
	return fmt.Sprintf("%v %v", d.Data["status"], d.Data["failureReason"])
}

// wantPayout holds a payout to a status and reason.
func (s *shop) wantPayout(id, want string) {
	s.t.Helper()
	if got := s.payoutState(id); got != want {
		s.t.Errorf("the payout says %q, want %q", got, want)
	}
}

// sent are the payouts that came to Safaricom, whatever became of them.
func (s *shop) sent() (ids []string) {
	for _, call := range s.safaricom.Calls(fakesafaricom.B2C) {
		var body struct{ OriginatorConversationID string }
		if err := json.Unmarshal(call.Body, &body); err != nil {
			s.t.Error(err)
		}
		ids = append(ids, body.OriginatorConversationID)
	}
	return ids
}

// paidOut is the money that was paid out under an id, each time.
func (s *shop) paidOut(id string) (entries []fakesafaricom.Entry) {
	for _, e := range s.safaricom.Ledger() {
		if e.Kind == fakesafaricom.PaidOut && (id == "" || e.ID == id) {
			entries = append(entries, e)
		}
	}
	return entries
}

// TestPay follows a payout from the app's request to its receipt.
func TestPay(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	got := s.payOut("zawadi", salary(payoutA, "0700 000 011", `,"occasion":"Good work","commandId":"SalaryPayment"`))
	d := s.payout(payoutA)
	conversation := d.Data["conversationId"]
	if want := fmt.Sprintf(`{"id":%q,"status":"PENDING","conversationId":%q,"customerMessage":""}`, payoutA, conversation); got.status != 200 || got.body != want {
		t.Errorf("the app is told %d %s, want 200 %s", got.status, got.body, want)
	}
	if text, _ := conversation.(string); !strings.HasPrefix(text, "AG_") {
		t.Errorf("conversationId = %v, want the acknowledgement's", conversation)
	}
	var sent map[string]string
	if err := json.Unmarshal(s.safaricom.Calls(fakesafaricom.B2C)[0].Body, &sent); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"OriginatorConversationID": payoutA, "InitiatorName": initiator, "CommandID": "SalaryPayment", "Amount": "500",
		"PartyA": payoutShortcode, "PartyB": phoneA, "Remarks": "Salary of November", "Occassion": "Good work",
	} {
		if sent[field] != want {
			t.Errorf("%s = %q, want %q", field, sent[field], want)
		}
	}
	for field, path := range map[string]string{"ResultURL": "/b2c/result", "QueueTimeOutURL": "/b2c/timeout"} {
		if want := s.FunctionURL + "/" + doorSecret + path + "?id=" + payoutA + "&sig="; !strings.HasPrefix(sent[field], want) {
			t.Errorf("%s = %q, want it to begin with %s", field, sent[field], want)
		}
	}
	if got := fmt.Sprint(d.Permissions); got != `[read("user:zawadi")]` {
		t.Errorf("permissions = %s", got)
	}
	for key, want := range map[string]any{
		"status": "PENDING", "originatorConversationId": payoutA, "failureReason": nil, "resultCode": nil, "receipt": nil, "amount": nil,
		"receiverName": nil, "mpesaTimestamp": nil, "userId": "zawadi", "requestedAmount": int64(500),
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

	s.later(time.Minute)
	paid := s.paidOut(payoutA)
	if len(paid) != 1 || paid[0].Amount != 500 || paid[0].Phone != phoneA {
		t.Fatalf("paid out were %v", paid)
	}
	after := s.payout(payoutA)
	for key, want := range map[string]any{
		"status": "SUCCESS", "receipt": paid[0].Receipt, "amount": int64(500), "resultCode": int64(0), "failureReason": nil, "nextCheckAt": nil,
		"originatorConversationId": payoutA, "conversationId": conversation, "userId": "zawadi", "requestedAmount": int64(500),
		"requestKey": d.Data["requestKey"], "phoneKey": d.Data["phoneKey"],
	} {
		if after.Data[key] != want {
			t.Errorf("after it was made, %s = %v, want %v", key, after.Data[key], want)
		}
	}
	if name, _ := after.Data["receiverName"].(string); !strings.HasSuffix(name, " - Jane WANJIKU") {
		t.Errorf("receiverName = %q", name)
	}
	if !reflect.DeepEqual(after.Permissions, d.Permissions) || len(s.Stored()) != 1 {
		t.Errorf("permissions = %v, and %d documents are stored", after.Permissions, len(s.Stored()))
	}
	again := s.payOut("zawadi", salary(payoutA, "+254700000011", `,"occasion":"Good work","commandId":"SalaryPayment"`))
	if want := fmt.Sprintf(`{"id":%q,"status":"SUCCESS","conversationId":%q,"customerMessage":""}`, payoutA, conversation); again.body != want {
		t.Errorf("asked again, the app is told %d %s", again.status, again.body)
	}
}

// TestPayCost counts calls: six of Appwrite and one of Safaricom for each payout, once the
// version is known and the token there.
func TestPayCost(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.payOut("zawadi", salary(payoutA, phoneA))
	if got, want := s.Operations(), "execute version account create list list replace replace"; got != want {
		t.Errorf("the first: %s, want %s", got, want)
	}
	s.Logged()
	s.payOut("zawadi", salary(payoutB, phoneB))
	if got, want := s.Operations(), "execute account create list list replace replace"; got != want {
		t.Errorf("the next: %s, want %s", got, want)
	}
	if got := len(s.safaricom.Calls(fakesafaricom.Any)); got != 3 {
		t.Errorf("%d calls of Safaricom, want a token and two payouts", got)
	}
	logs, errors := s.Logged()
	if len(logs) != 1 || !strings.HasPrefix(logs[0], "route=b2c/pay id="+payoutB+" status=PENDING outcome=started calls=6 ms=") || len(errors) != 0 {
		t.Errorf("logged are %q and %q", logs, errors)
	}
	s.later(time.Minute)
	if got, want := s.Operations(), "get replace get replace"; got != want {
		t.Errorf("both results: %s, want %s", got, want)
	}
	s.payOut("zawadi", salary(payoutB, phoneB))
	if got, want := s.Operations(), "execute account create get"; got != want {
		t.Errorf("a repeat: %s, want %s", got, want)
	}
}

// TestPayFields has what is wrong with a request. Each is said by its name, all at once,
// and nothing is called for it.
func TestPayFields(t *testing.T) {
	t.Parallel()
	const (
		id        = "must be a UUID of version 4, in small letters"
		phone     = "must be a Kenyan mobile number, such as 0712345678"
		amount    = "must be whole shillings, 10 to 250000"
		remarks   = "must be 2 to 100 letters, digits, spaces and hyphens"
		occasion  = "must be 1 to 100 letters, digits, spaces and hyphens"
		commandID = "must be BusinessPayment, SalaryPayment or PromotionPayment"
	)
	s := newPayer(t)
	s.payOut("zawadi", salary(payoutC, "0700000021")) // from here on the version is known
	s.Operations()
	with := func(old, new string) string { return strings.Replace(salary(payoutA, phoneA), old, new, 1) }
	for _, tt := range []struct {
		name, body string
		want       map[string]any // nil: the body as a whole is wrong
	}{
		{"nothing", ``, nil},
		{"a list", `[]`, nil},
		{"two values", salary(payoutA, phoneA) + `{}`, nil},
		{"an empty object", `{}`, map[string]any{"id": id, "phone": phone, "amount": amount, "remarks": remarks}},
		{"every type wrong", `{"id":1,"phone":700000011,"amount":"500","remarks":[],"occasion":{},"commandId":7,"again":"yes"}`,
			map[string]any{"id": id, "phone": phone, "amount": amount, "remarks": remarks, "occasion": occasion, "commandId": commandID, "again": "must be true or false"}},
		{"unknown", salary(payoutA, phoneA, `,"reference":"Order 7","userId":"berta"`), map[string]any{"reference": "is not known", "userId": "is not known"}},
		{"an id of ID.unique()", salary("68f1b2c3d4e5f6a7b8c9", phoneA), map[string]any{"id": id}},
		{"a UUID in capitals", salary(strings.ToUpper(payoutA), phoneA), map[string]any{"id": id}},
		{"a UUID of version 1", salary("11111111-2222-1333-8444-5555555555a1", phoneA), map[string]any{"id": id}},
		{"a UUID of another variant", salary("11111111-2222-4333-c444-5555555555a1", phoneA), map[string]any{"id": id}},
		{"a UUID with braces", salary("{1111111-2222-4333-8444-5555555555a}", phoneA), map[string]any{"id": id}},
		{"a UUID with its hyphens elsewhere", salary("111111112-222-4333-8444-5555555555a1", phoneA), map[string]any{"id": id}},
		{"a UUID with a hyphen more", salary("11111111-2222-4333-8444-55555-5555a1", phoneA), map[string]any{"id": id}},
		{"a UUID without hyphens", salary(strings.ReplaceAll(payoutA, "-", ""), phoneA), map[string]any{"id": id}},
		{"another country", salary(payoutA, "+255700000011"), map[string]any{"phone": phone}},
		{"amount 9", with(":500", ":9"), map[string]any{"amount": amount}},
		{"amount 250001", with(":500", ":250001"), map[string]any{"amount": amount}},
		{"amount with cents", with(":500", ":500.5"), map[string]any{"amount": amount}},
		{"remarks of 1", with("Salary of November", "S"), map[string]any{"remarks": remarks}},
		{"remarks of 101", with("Salary of November", strings.Repeat("S", 101)), map[string]any{"remarks": remarks}},
		{"remarks with an &", with("Salary of November", "A&B"), map[string]any{"remarks": remarks}},
		{"occasion of 101", salary(payoutA, phoneA, fmt.Sprintf(`,"occasion":%q`, strings.Repeat("S", 101))), map[string]any{"occasion": occasion}},
		{"another command", salary(payoutA, phoneA, `,"commandId":"BusinessPayBill"`), map[string]any{"commandId": commandID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.payOut("zawadi", tt.body)
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
		got := s.payOut("zawadi", salary(payoutA, phoneA)+strings.Repeat(" ", maxBody))
		if got.status != 413 || got.kind() != "invalid_argument" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	for i, body := range []string{
		strings.Replace(salary(payoutA, "0110000012"), ":500", ":10", 1),
		strings.Replace(salary(payoutB, "+254 700 000 014", `,"occasion":null,"again":false`), "Salary of November", strings.Repeat("S", 100), 1),
	} {
		if got := s.payOut("zawadi", body); got.kind() != "PENDING" {
			t.Errorf("good request %d: %d %s", i, got.status, got.body)
		}
	}
}

// TestPayReplies has every way in which a payout is not made, and what the app is told,
// what the document says and what the error log says of it.
func TestPayReplies(t *testing.T) {
	always := func(op fakesafaricom.Operation, f fakesafaricom.Fault) func(*shop) {
		return func(s *shop) { s.safaricom.Always(op, f) }
	}
	failed := func(rest string) string { return `{"error":{` + rest + `}}` }
	const notSetUp = `"type":"not_configured","message":"this function is not set up to pay out","claimed":false`
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		guest   bool
		body    string // a salary if empty
		status  int
		want    string // the body
		state   string // of the document
		line    string // in the error log; "" for none at all
	}{
		{name: "unauthenticated", status: 401, state: "none", line: `failed route=b2c/pay id=` + payoutA + ` reason="unauthenticated" error="somebody asked for a payout who may not: sign in first`,
			prepare: func(*shop) {}, guest: true,
			want: failed(`"type":"unauthenticated","message":"sign in first: the function must be called with a session of this project","claimed":false`)},
		{name: "forbidden: no label", status: 403, state: "none", line: `reason="forbidden" error="somebody asked for a payout who may not: this user may not pay out"`,
			prepare: func(s *shop) {
				s.signIn(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"payout", "cashier"}})
			},
			want: failed(`"type":"forbidden","message":"this user may not pay out","claimed":false`)},
		{name: "forbidden: over what may be paid at once", status: 403, line: "DARAJA_PAYOUT_MAX is 499, and asked for were 500",
			prepare: func(s *shop) { s.Set("DARAJA_PAYOUT_MAX", "499") },
			state:   "FAILED NOT_SENT: the amount is over what this function may pay out at once",
			want:    failed(`"type":"forbidden","message":"the amount is over what this function may pay out at once","claimed":true`)},
		{name: "forbidden: over what may be paid in a day", status: 403, line: "DARAJA_PAYOUT_DAILY is 499, and with this one asked for were 500",
			prepare: func(s *shop) { s.Set("DARAJA_PAYOUT_DAILY", "499") },
			state:   "FAILED NOT_SENT: this would be over what this function may pay out within 24 hours",
			want:    failed(`"type":"forbidden","message":"this would be over what this function may pay out within 24 hours","claimed":true`)},
		{name: "conflict: another request", status: 409, state: "PENDING",
			prepare: func(s *shop) { s.payOut("zawadi", salary(payoutA, phoneB)) },
			want:    failed(`"type":"conflict","message":"this id belongs to another request","claimed":false`)},
		{name: "conflict: another user's", status: 409, state: "PENDING",
			prepare: func(s *shop) {
				s.signIn(fakeappwrite.User{ID: "juma", EmailVerification: true, Labels: []string{"payouts"}})
				s.payOut("juma", salary(payoutA, phoneA))
			},
			want: failed(`"type":"conflict","message":"this id belongs to another request","claimed":false`)},
		{name: "busy", status: 429, body: salary(payoutB, phoneA), state: "FAILED NOT_SENT: the same payout was asked for before; what became of it is not known",
			prepare: func(s *shop) { s.payOut("zawadi", salary(payoutA, phoneA)) },
			want:    failed(`"type":"busy","message":"the same payout was asked for before; what became of it is not known","claimed":true,"id":"` + payoutA + `","retryAfter":SECONDS`)},
		{name: "rejected", status: 422, state: "FAILED Bad Request - Invalid PartyB", line: "400.002.02",
			prepare: always(fakesafaricom.B2C, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PartyB")),
			want:    failed(`"type":"rejected","message":"Bad Request - Invalid PartyB","claimed":true,"responseCode":"400.002.02"`)},
		{name: "credentials: at the token", status: 502, state: "FAILED NOT_SENT: Safaricom refuses the settings of this function", line: "ConsumerKey",
			prepare: func(s *shop) { s.Set("DARAJA_B2C_CONSUMER_SECRET", "another") },
			want:    failed(`"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true`)},
		{name: "credentials: no product", status: 502, state: "FAILED NOT_SENT: Safaricom refuses the settings of this function", line: "Product",
			prepare: always(fakesafaricom.B2C, fakesafaricom.NoProduct()),
			want:    failed(`"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true,"responseCode":"keymanagement.service.InvalidAPICallAsNoApiProductMatchFound"`)},
		{name: "credentials: the initiator", status: 502, state: "FAILED Bad Request - Invalid InitiatorName", line: "InitiatorName",
			prepare: always(fakesafaricom.B2C, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid InitiatorName")),
			want:    failed(`"type":"credentials","message":"Safaricom refuses the settings of this function","claimed":true,"responseCode":"400.002.02"`)},
		{name: "unavailable: no token", status: 503, state: "FAILED NOT_SENT: Safaricom could not be asked, and nothing was sent", line: "connection",
			prepare: always(fakesafaricom.OAuth, fakesafaricom.Torn()),
			want:    failed(`"type":"unavailable","message":"Safaricom could not be asked, and nothing was sent","claimed":true`)},
		{name: "unavailable: no claim", status: 503, state: "none", line: "passes by itself",
			prepare: func(s *shop) {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)})
			},
			want: failed(`"type":"unavailable","message":"the payout could not be noted down, and nothing was sent","claimed":false`)},
		{name: "unavailable: no ceilings", status: 503, state: "FAILED NOT_SENT: the ceilings could not be looked at, and nothing was sent", line: "passes by itself",
			prepare: func(s *shop) {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "list", Times: 1, Reply: fakeappwrite.HTML(503)})
			},
			want: failed(`"type":"unavailable","message":"the ceilings could not be looked at, and nothing was sent","claimed":true`)},
		{name: "not configured: a variable", status: 501, state: "none", line: "DARAJA_PAYOUT_DAILY is missing; DARAJA_B2C_SHORTCODE is missing",
			prepare: func(s *shop) {
				s.Set("DARAJA_PAYOUT_DAILY", "")
				s.Set("DARAJA_B2C_SHORTCODE", "")
				s.Set("DARAJA_SHORTCODE", "")
			}, want: failed(notSetUp)},
		{name: "not configured: a ceiling", status: 501, state: "none", line: "DARAJA_PAYOUT_MAX is not a whole number of shillings, from 1",
			prepare: func(s *shop) { s.Set("DARAJA_PAYOUT_MAX", "10.000") }, want: failed(notSetUp)},
		{name: "not configured: the collection", status: 501, state: "none", line: "DARAJA_B2C_COLLECTION_ID is missing",
			prepare: func(s *shop) { s.Set("DARAJA_B2C_COLLECTION_ID", "") }, want: failed(notSetUp)},
		{name: "not configured: attributes", status: 501, state: "none", line: "the collection of disbursements lacks an attribute: run scripts/deploy",
			prepare: func(s *shop) {
				s.Appwrite.Do(func() {
					c := s.Appwrite.Databases["daraja"].Collections["disbursements"]
					c.RemoveAttribute(len(c.Attributes) - 1)
				})
			}, want: failed(notSetUp)},
		{name: "not configured: the signing key", status: 501, state: "none", line: "DARAJA_SIGNING_KEY is not 64 hex digits",
			prepare: func(s *shop) { s.Set("DARAJA_SIGNING_KEY", "5e5e") }, want: failed(notSetUp)},
		{name: "not configured: http", status: 501, state: "none", line: "DARAJA_PUBLIC_URL does not begin with https://",
			prepare: func(s *shop) { s.Set("DARAJA_PUBLIC_URL", "http://x.appwrite.run") }, want: failed(notSetUp)},
		{name: "not configured: no environment", status: 501, state: "none", line: "DARAJA_ENVIRONMENT is missing",
			prepare: func(s *shop) { s.Set("DARAJA_ENVIRONMENT", "") }, want: failed(notSetUp)},
		{name: "not configured: a server of unknown version", status: 501, state: "none", line: "version is not known",
			prepare: func(s *shop) {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.HTML(404)})
			}, want: failed(notSetUp)},
		{name: "not configured: an old server", status: 501, state: "none", line: "Appwrite 1.9.0",
			prepare: func(s *shop) { s.SetVersion("1.9.0") }, want: failed(notSetUp)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			tt.prepare(s)
			s.Logged()
			sent, id, body := len(s.sent()), payoutA, tt.body
			if body == "" {
				body = salary(payoutA, phoneA)
			} else {
				id = payoutB
			}
			ask := func() reply { return s.payOut("zawadi", body) }
			if tt.guest {
				ask = func() reply { return s.execute("/b2c/pay", body) }
			}
			got := ask()
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
				state = s.payoutState(id)
			}
			if state != tt.state {
				t.Errorf("the document is %s, want %s", state, tt.state)
			}
			s.safaricom.Heal()
			s.later(time.Minute)
			if strings.HasPrefix(state, "FAILED") {
				if d := s.payout(id).Data; d["resultCode"] != int64(-1) || d["nextCheckAt"] != nil || d["status"] != "FAILED" {
					t.Errorf("resultCode = %v, nextCheckAt = %v, want -1 and null", d["resultCode"], d["nextCheckAt"])
				}
				if paid := s.paidOut(id); len(paid) != 0 {
					t.Errorf("paid out were %v", paid)
				}
			}
			if n := len(s.sent()); n != sent && tt.status != 422 && tt.status != 502 {
				t.Errorf("%d payouts were sent", n-sent)
			}
			if errors := s.errorLog(); !strings.Contains(errors, tt.line) || tt.line == "" && errors != "" {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
		})
	}
}

// TestPayUnknown: whatever Safaricom answers that is not a clear no, a payout may have
// been made. It is never called failed, and never sent again under its id.
func TestPayUnknown(t *testing.T) {
	for name, fault := range map[string]fakesafaricom.Fault{
		"torn":                fakesafaricom.Torn(),
		"a page":              fakesafaricom.HTML(200),
		"502 page":            fakesafaricom.HTML(502),
		"empty":               fakesafaricom.Empty(200),
		"empty 500":           fakesafaricom.Empty(500),
		"the firewall":        fakesafaricom.Incapsula(),
		"an envelope":         fakesafaricom.Envelope(),
		"a system error":      fakesafaricom.Error(500, "500.002.1001", "System internal error."),
		"an internal error":   fakesafaricom.Error(500, "500.003.1001", "Internal Server Error"),
		"busy":                fakesafaricom.Error(500, "500.003.02", "System is busy. Please try again in few minutes."),
		"quota":               fakesafaricom.Error(500, "500.003.03", "Quota Violation"),
		"wrong credentials":   fakesafaricom.Error1001(fakesafaricom.WrongCredentials),
		"no merchant":         fakesafaricom.Error1001(fakesafaricom.MerchantMissing),
		"conflict":            fakesafaricom.Error(409, "409.001.01", "Conflict"),
		"a duplicate":         fakesafaricom.Error(500, "500.002.1001", "Duplicate OriginatorConversationID."),
		"a duplicate as 200":  fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"1","ResponseDescription":"Duplicate OriginatorConversationID"}`),
		"a duplicate as 400":  fakesafaricom.Error(400, "400.002.02", "Duplicate OriginatorConversationID"),
		"accepted, half said": fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"`),
		"accepted, nameless":  fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0","ResponseDescription":"Accept the service request successfully."}`),
	} {
		for _, made := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, made %t", name, made), func(t *testing.T) {
				t.Parallel()
				s := newPayer(t)
				spoils := fault
				if made {
					spoils = fault.CarriedOut()
				}
				s.safaricom.Once(fakesafaricom.B2C, spoils)
				for range 3 {
					if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.status != 200 || got.kind() != "PENDING" {
						t.Errorf("%d %s", got.status, got.body)
					}
				}
				if sent := s.sent(); len(sent) != 1 {
					t.Errorf("%d payouts were sent: %v", len(sent), sent)
				}
				if errors := s.errorLog(); !strings.Contains(errors, "failed route=b2c/pay id="+payoutA+" reason=") {
					t.Errorf("the error log is %q", errors)
				} else if strings.Contains(errors, "Safaricom has this id already") != strings.Contains(name, "duplicate") {
					t.Errorf("of a duplicate the error log says %q", errors)
				}
				s.later(time.Minute)
				want := "PENDING"
				if made {
					want = "SUCCESS"
				}
				s.wantPayout(payoutA, want)
				if paid := s.paidOut(payoutA); len(paid) != map[bool]int{true: 1}[made] {
					t.Errorf("paid out were %v", paid)
				}
			})
		}
	}
}

// TestPayTokenVoid: a token that Safaricom no longer takes is exchanged, and the payout
// sent once more. If the first one was carried out all the same, it is a duplicate.
func TestPayTokenVoid(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakesafaricom.Fault{"refused": fakesafaricom.InvalidToken(401), "carried out all the same": fakesafaricom.InvalidToken(401).CarriedOut()} {
		t.Run(name, func(t *testing.T) {
			s := newPayer(t)
			s.safaricom.Once(fakesafaricom.B2C, fault)
			if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
				t.Errorf("%d %s", got.status, got.body)
			}
			s.later(time.Minute)
			s.wantPayout(payoutA, "SUCCESS")
			if paid := s.paidOut(payoutA); len(paid) != 1 {
				t.Errorf("paid out were %v", paid)
			}
		})
	}
}

// TestPayWho has every kind of caller who may not pay out. Nothing is written or sent for
// them, and the error log says that they came.
func TestPayWho(t *testing.T) {
	for name, tt := range map[string]struct {
		user    fakeappwrite.User
		set     [2]string
		headers []string
		forged  func(*shop) map[string]any
		want    string
	}{
		"without the label":                                   {user: fakeappwrite.User{EmailVerification: true, Labels: []string{"cashier", "payout", "Payouts"}}, want: "forbidden"},
		"with another label than is set":                      {user: fakeappwrite.User{EmailVerification: true, Labels: []string{"payouts"}}, set: [2]string{"DARAJA_PAYOUT_LABEL", "treasurer"}, want: "forbidden"},
		"with the label, unverified":                          {user: fakeappwrite.User{Labels: []string{"payouts"}}, want: "forbidden"},
		"with the label, where payments need no verification": {user: fakeappwrite.User{Labels: []string{"payouts"}}, set: [2]string{"DARAJA_UNVERIFIED_PUSH", "any"}, want: "forbidden"},
		"blocked": {user: fakeappwrite.User{EmailVerification: true, Labels: []string{"payouts"}, Blocked: true}, want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": s.Appwrite.SessionJWT(sessionOf("juma"))}
			}},
		"another project's JWT of the same user id": {user: fakeappwrite.User{EmailVerification: true, Labels: []string{"payouts"}}, want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": s.Appwrite.ForeignJWT("juma")}
			}},
		"forged headers": {user: fakeappwrite.User{EmailVerification: true}, want: "forbidden",
			forged: func(*shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Id": "zawadi", "X-Appwrite-Trigger": "schedule", "X-Appwrite-User-Labels": "payouts"}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			tt.user.ID = "juma"
			s.signIn(tt.user)
			if tt.set[0] != "" {
				s.Set(tt.set[0], tt.set[1])
			}
			params := map[string]any{"async": false, "method": "POST", "path": "/b2c/pay", "body": salary(payoutA, phoneA)}
			headers := []string{"X-Appwrite-Session", sessionOf("juma")}
			if tt.forged != nil {
				params["headers"] = tt.forged(s)
				if tt.want == "unauthenticated" {
					headers = nil // as a guest
				}
			}
			got := s.executeWith(params, headers...)
			if got.kind() != tt.want || got.field("claimed") != false {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			if stored := s.Stored(); len(stored) != 0 {
				t.Errorf("stored is %v", stored)
			}
			if n := len(s.safaricom.Calls(fakesafaricom.Any)); n != 0 {
				t.Errorf("%d calls of Safaricom", n)
			}
			s.wantLine("failed route=b2c/pay id="+payoutA, "somebody asked for a payout who may not")
		})
	}
	t.Run("with the label that is set", func(t *testing.T) {
		s := newPayer(t)
		s.Set("DARAJA_PAYOUT_LABEL", "treasurer")
		s.signIn(fakeappwrite.User{ID: "juma", PhoneVerification: true, Labels: []string{"treasurer"}})
		if got := s.payOut("juma", salary(payoutA, phoneA)); got.kind() != "PENDING" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("by the domain", func(t *testing.T) {
		s := newPayer(t)
		for _, path := range []string{"/b2c/pay", "/" + doorSecret + "/b2c/pay"} {
			if r := s.Send("POST", path, salary(payoutA, phoneA)); r.Status != 401 || len(s.Stored()) != 0 {
				t.Errorf("%s: %d %s", path, r.Status, r.Body)
			}
		}
		if r := s.Send("GET", "/b2c/pay", ""); r.Status != 405 || r.Header.Get("Allow") != "POST" {
			t.Errorf("GET: %d, Allow %q", r.Status, r.Header.Get("Allow"))
		}
	})
}

// TestPayNotSetUp: who starts payments alone pays out to nobody, and the reverse.
func TestPayNotSetUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"payouts"}})
	if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.status != 501 || got.kind() != "not_configured" {
		t.Errorf("%d %s", got.status, got.body)
	}
	s.wantLine("DARAJA_INITIATOR is missing; ", "DARAJA_PAYOUT_MAX is missing; DARAJA_PAYOUT_DAILY is missing; DARAJA_INITIATOR_PASSWORD is missing")
	if problems := s.function.Problems(); len(problems) != 0 {
		t.Errorf("problems = %q", problems)
	}

	p := newPayer(t)
	for _, name := range []string{"DARAJA_CONSUMER_KEY", "DARAJA_CONSUMER_SECRET", "DARAJA_SHORTCODE", "DARAJA_PASSKEY"} {
		p.Set(name, "")
	}
	if problems := p.function.Problems(); len(problems) != 0 {
		t.Errorf("problems = %q", problems)
	}
	if got := p.ask("amina", wish(first, phoneA)); got.status != 501 {
		t.Errorf("a payment: %d %s", got.status, got.body)
	}
	if got := p.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
		t.Errorf("a payout: %d %s", got.status, got.body)
	}
	if r := p.Send("GET", "/"+doorSecret+"/health", ""); r.Status != 200 || strings.Contains(r.Body, "DARAJA_PASSKEY") || !strings.Contains(r.Body, `"DARAJA_INITIATOR":true`) {
		t.Errorf("health: %d %s", r.Status, r.Body)
	}
}

// TestPayDefaults: a business with one app at Safaricom sets its keys once.
func TestPayDefaults(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	for name, value := range map[string]string{
		"DARAJA_CONSUMER_KEY": payoutKey, "DARAJA_CONSUMER_SECRET": payoutSecret, "DARAJA_SHORTCODE": payoutShortcode,
		"DARAJA_B2C_CONSUMER_KEY": "", "DARAJA_B2C_CONSUMER_SECRET": "", "DARAJA_B2C_SHORTCODE": "",
	} {
		s.Set(name, value)
	}
	s.payOut("zawadi", salary(payoutA, phoneA))
	s.later(time.Minute)
	s.wantPayout(payoutA, "SUCCESS")
	s.Set("DARAJA_B2C_CONSUMER_KEY", payoutKey)
	if got := s.payOut("zawadi", salary(payoutB, phoneB)); got.status != 501 {
		t.Errorf("a key without its secret: %d %s", got.status, got.body)
	}
	s.wantLine("DARAJA_B2C_CONSUMER_SECRET is missing")
}

// TestPayWithOneApp: where payments and payouts are of two shortcodes of one app, they use
// the same token. Each new one would void the other's, one request after the other.
func TestPayWithOneApp(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	key, _ := initiatorKey()
	s.safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Shop", ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, Shortcode: payoutShortcode,
		Initiator: initiator, InitiatorPassword: initiatorPassword, Key: key, Float: 1_000_000})
	s.Set("DARAJA_B2C_CONSUMER_KEY", "")
	s.Set("DARAJA_B2C_CONSUMER_SECRET", "")
	s.ask("amina", wish(first, phoneA))
	s.payOut("zawadi", salary(payoutA, phoneA))
	s.ask("amina", wish(second, phoneB))
	s.payOut("zawadi", salary(payoutB, phoneB))
	if prompts, sent := s.prompts(""), s.sent(); prompts != 2 || len(sent) != 2 {
		t.Errorf("%d prompts and %d payouts, want 2 of each", prompts, len(sent))
	}
	if tokens := len(s.safaricom.Calls(fakesafaricom.OAuth)); tokens != 1 {
		t.Errorf("%d tokens were fetched, want 1", tokens)
	}
	s.later(time.Minute)
	s.wantPayout(payoutA, "SUCCESS")
	s.wantPayout(payoutB, "SUCCESS")
}

// TestPayCredential: each form in which the initiator's password may be given.
func TestPayCredential(t *testing.T) {
	t.Parallel()
	_, certificate := initiatorKey()
	lines := strings.Split(strings.TrimSpace(certificate), "\n")
	for name, value := range map[string]string{
		"as it is":                 certificate,
		"with Windows' lines":      strings.Join(lines, "\r\n"),
		"with its lines as \\n":    strings.Join(lines, `\n`),
		"in one line":              strings.Join(lines, ""),
		"with its lines as spaces": strings.Join(lines, " "),
		"with words before it":     "subject=fake\n" + certificate,
	} {
		t.Run(name, func(t *testing.T) {
			s := newPayer(t)
			s.Set("DARAJA_CERTIFICATE", value)
			s.payOut("zawadi", salary(payoutA, phoneA))
			s.later(time.Minute)
			s.wantPayout(payoutA, "SUCCESS")
		})
	}
	t.Run("ready-made", func(t *testing.T) {
		s := newPayer(t)
		credential := s.function.PayoutCredentials().SecurityCredential
		s.Set("DARAJA_CERTIFICATE", "")
		s.Set("DARAJA_INITIATOR_PASSWORD", "")
		s.Set("DARAJA_SECURITY_CREDENTIAL", credential)
		s.payOut("zawadi", salary(payoutA, phoneA))
		s.later(time.Minute)
		s.wantPayout(payoutA, "SUCCESS")
	})
}

// TestPayInitiator: a wrong password is accepted, and fails in the result. Whoever reads
// that looks for the fault at the business, and not at the payee.
func TestPayInitiator(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.Set("DARAJA_INITIATOR_PASSWORD", "wrong")
	if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
		t.Errorf("%d %s", got.status, got.body)
	}
	s.later(time.Minute)
	s.wantPayout(payoutA, "FAILED the business's own initiator, not the payee: The initiator information is invalid.")
	if code := s.payout(payoutA).Data["resultCode"]; code != int64(2001) {
		t.Errorf("resultCode = %v", code)
	}
	s.wantLine(`failed route=b2c/result id=`+payoutA+` reason="credentials"`, "DARAJA_INITIATOR")
	if paid := s.paidOut(""); len(paid) != 0 {
		t.Errorf("paid out were %v", paid)
	}
}

// TestPayCeilings has sequences of requests, and which of them are sent.
func TestPayCeilings(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("%08x-2222-4333-8444-555555555555", i+1) }
	type request struct {
		after  time.Duration
		user   string
		amount int
		phone  int
		want   string
	}
	for _, tt := range []struct {
		name       string
		most, day  string
		phone      fakesafaricom.Phone
		requests   []request
		breakToken int // before which request no token can be had, from 1
	}{
		{name: "at once", most: "1000", day: "100000", requests: []request{
			{amount: 1000, phone: 1, want: "PENDING"}, {amount: 1001, phone: 2, want: "forbidden"}, {amount: 999, phone: 3, want: "PENDING"},
		}},
		{name: "in a day, over all users", most: "1000", day: "2000", requests: []request{
			{user: "zawadi", amount: 1000, phone: 1, want: "PENDING"}, {user: "juma", amount: 900, phone: 2, want: "PENDING"},
			{user: "zawadi", amount: 101, phone: 3, want: "forbidden"}, {user: "juma", amount: 100, phone: 3, want: "PENDING"},
			{after: 23 * time.Hour, user: "juma", amount: 10, phone: 4, want: "forbidden"},
			{after: time.Hour + time.Minute, user: "juma", amount: 1000, phone: 1, want: "PENDING"},
		}},
		{name: "what Safaricom has failed counts", most: "1000", day: "2000", phone: fakesafaricom.Phone{Payout: "2040"}, requests: []request{
			{amount: 1000, phone: 1, want: "PENDING"}, {after: time.Minute, amount: 1000, phone: 2, want: "PENDING"},
			{after: time.Minute, amount: 10, phone: 3, want: "forbidden"},
		}},
		{name: "what was not sent does not", most: "1000", day: "2000", breakToken: 1, requests: []request{
			{amount: 1000, phone: 1, want: "unavailable"}, {amount: 1000, phone: 2, want: "PENDING"}, {amount: 1000, phone: 3, want: "PENDING"},
			{amount: 10, phone: 4, want: "forbidden"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.signIn(fakeappwrite.User{ID: "juma", EmailVerification: true, Labels: []string{"payouts"}})
			s.Set("DARAJA_PAYOUT_MAX", tt.most)
			s.Set("DARAJA_PAYOUT_DAILY", tt.day)
			s.safaricom.Strangers = tt.phone
			for i, r := range tt.requests {
				s.later(r.after)
				if i+1 == tt.breakToken {
					s.safaricom.Once(fakesafaricom.OAuth, fakesafaricom.HTML(503))
				}
				if r.user == "" {
					r.user = "zawadi"
				}
				sent := len(s.sent())
				body := strings.Replace(salary(id(i), fmt.Sprintf("2547000000%02d", r.phone)), ":500", fmt.Sprintf(":%d", r.amount), 1)
				if got := s.payOut(r.user, body); got.kind() != r.want {
					t.Errorf("request %d: %d %s, want %s", i+1, got.status, got.body, r.want)
				}
				if now := len(s.sent()); (now > sent) != (r.want == "PENDING") {
					t.Errorf("request %d: %d payouts were sent", i+1, now-sent)
				}
			}
		})
	}
}

// TestPayCeilingOverPages: a day's payouts may be more than one page holds, and a page
// that fails lets nothing through. Documents of results alone do not count.
func TestPayCeilingOverPages(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	for i := range 250 {
		started := ""
		if i%2 == 0 {
			started = `,"requestKey":"k"`
		}
		s.writeTo("disbursements", "POST", "", fmt.Sprintf(`{"documentId":"p%d","data":{"originatorConversationId":"x","status":"SUCCESS","settledAt":"x","requestedAmount":100%s}}`, i, started))
	}
	for want, most := range map[string]string{"forbidden": "12999", "PENDING": "13000"} { // 125 of 100, and this one of 500
		s.Set("DARAJA_PAYOUT_DAILY", most)
		id := map[string]string{"forbidden": payoutA, "PENDING": payoutB}[want]
		s.Operations()
		if got := s.payOut("zawadi", salary(id, phoneA)); got.kind() != want {
			t.Errorf("with %s: %d %s, want %s", most, got.status, got.body, want)
		}
		if operations := s.Operations(); !strings.Contains(operations, "create list list list") {
			t.Errorf("calls: %s, want three pages", operations)
		}
	}
	s.setSpoil(func(n int, _ bool, _ func(), w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.RawQuery, "cursorAfter") {
			return false
		}
		fakeappwrite.HTML(503)(w, r)
		return true
	})
	if got := s.payOut("zawadi", salary(payoutC, phoneB)); got.kind() != "unavailable" || got.field("claimed") != true {
		t.Errorf("a page fails: %d %s", got.status, got.body)
	}
}

// TestPayCeilingInParallel has 50 payouts asked for at once, by two users: of what may be
// paid in a day not a shilling more is paid.
func TestPayCeilingInParallel(t *testing.T) {
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.signIn(fakeappwrite.User{ID: "juma", EmailVerification: true, Labels: []string{"payouts"}})
			s.Set("DARAJA_PAYOUT_DAILY", "4999") // nine of 500
			var wait sync.WaitGroup
			for i := range 50 {
				wait.Add(1)
				go func() {
					defer wait.Done()
					user := []string{"zawadi", "juma"}[i%2]
					got := s.payOut(user, salary(fmt.Sprintf("%08x-2222-4333-8444-555555555555", i), fmt.Sprintf("2547000000%02d", i+1)))
					if got.kind() != "PENDING" && (got.kind() != "forbidden" || got.field("claimed") != true) {
						t.Errorf("%d %s", got.status, got.body)
					}
				}()
			}
			wait.Wait()
			s.later(time.Minute)
			if paid := s.paidOut(""); len(paid) > 9 {
				t.Errorf("%d payouts of 500 were made, want nine at most", len(paid))
			}
			for _, d := range s.Stored() {
				if paid := s.paidOut(d.ID); (d.Data["status"] == "SUCCESS") != (len(paid) == 1) {
					t.Errorf("%s says %v, and was paid %d times", d.ID, d.Data["status"], len(paid))
				}
			}
			// When they have all ended as not sent, there is room for others.
			for i := range 12 {
				s.payOut("zawadi", salary(fmt.Sprintf("%08x-2222-4333-8444-666666666666", i), fmt.Sprintf("2547000000%02d", i+51)))
			}
			s.later(time.Minute)
			if paid := s.paidOut(""); len(paid) != 9 {
				t.Errorf("%d payouts of 500 were made, want nine", len(paid))
			}
		})
	}
}

// TestPayAlike: a payout of which nobody knows what became is not made again under
// another id, whoever asks, however old it is and whether or not it was given up, unless
// the app says so.
func TestPayAlike(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*shop)
		body    string // of the second; a salary if empty
		want    string
		open    bool // the app is told the id of the other: it is the user's own
	}{
		"pending":             {want: "busy", open: true},
		"another user's":      {prepare: func(s *shop) { s.patchPayout(payoutA, `{"userId":"juma"}`) }, want: "busy"},
		"a month old":         {prepare: func(s *shop) { s.later(30 * day) }, want: "busy", open: true},
		"unknown":             {prepare: func(s *shop) { s.patchPayout(payoutA, `{"status":"TIMEOUT","resultCode":-1}`) }, want: "busy", open: true},
		"given up":            {prepare: func(s *shop) { s.patchPayout(payoutA, `{"status":"TIMEOUT","resultCode":-1,"nextCheckAt":null}`) }, want: "busy", open: true},
		"asked for again":     {prepare: func(s *shop) { s.later(90 * time.Second) }, body: salary(payoutB, phoneA, `,"again":true`), want: "PENDING"},
		"asked for at once":   {body: salary(payoutB, phoneA, `,"again":true`), want: "busy", open: true},
		"unknown, and again":  {prepare: func(s *shop) { s.patchPayout(payoutA, `{"status":"TIMEOUT","resultCode":-1}`) }, body: salary(payoutB, phoneA, `,"again":true`), want: "PENDING"},
		"of another amount":   {body: strings.Replace(salary(payoutB, phoneA), ":500", ":501", 1), want: "PENDING"},
		"to another phone":    {body: salary(payoutB, phoneB), want: "PENDING"},
		"for another reason":  {body: strings.Replace(salary(payoutB, phoneA), "November", "December", 1), want: "PENDING"},
		"on another occasion": {body: salary(payoutB, phoneA, `,"occasion":"Twice"`), want: "PENDING"},
		"of another kind":     {body: salary(payoutB, phoneA, `,"commandId":"SalaryPayment"`), want: "PENDING"},
		"of the same kind":    {body: salary(payoutB, phoneA, `,"commandId":"BusinessPayment"`), want: "busy", open: true},
		"made":                {prepare: func(s *shop) { s.patchPayout(payoutA, `{"status":"SUCCESS"}`) }, want: "PENDING"},
		"failed":              {prepare: func(s *shop) { s.patchPayout(payoutA, `{"status":"FAILED"}`) }, want: "PENDING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.safaricom.Always(fakesafaricom.B2C, fakesafaricom.CallbackLost())
			s.payOut("zawadi", salary(payoutA, phoneA))
			if tt.prepare != nil {
				tt.prepare(s)
			}
			if tt.body == "" {
				tt.body = salary(payoutB, phoneA)
			}
			got := s.payOut("zawadi", tt.body)
			if got.kind() != tt.want {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			if id := got.field("id"); tt.want == "busy" && (id == payoutA) != tt.open {
				t.Errorf("id = %v", id)
			}
			if n, want := len(s.sent()), map[string]int{"busy": 1, "PENDING": 2}[tt.want]; n != want {
				t.Errorf("%d payouts were sent, want %d", n, want)
			}
		})
	}
}

// patchPayout changes a payout as another process of the function, or the console, does.
func (s *shop) patchPayout(id, data string) {
	s.writeTo("disbursements", "PATCH", "/"+id, `{"data":`+data+`}`)
}

// TestPayAlikeInParallel has one payout asked for under many ids at once: it is made once
// at most.
func TestPayAlikeInParallel(t *testing.T) {
	for round := range 4 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			again := []string{"", `,"again":true`}[round%2] // which is meant for one of before
			var wait sync.WaitGroup
			for i := range 25 {
				wait.Add(1)
				go func() {
					defer wait.Done()
					got := s.payOut("zawadi", salary(fmt.Sprintf("%08x-2222-4333-8444-555555555555", i), phoneA, again))
					if got.kind() != "PENDING" && got.kind() != "busy" {
						t.Errorf("%d %s", got.status, got.body)
					}
				}()
			}
			wait.Wait()
			s.later(time.Minute)
			if paid := s.paidOut(""); len(paid) > 1 {
				t.Errorf("%d payouts were made, want one at most", len(paid))
			}
		})
	}
}

// TestPayTwoMeet: of two claims that see each other, the first waits until the other has
// yielded, and is then sent; if the other has not, it yields too.
func TestPayTwoMeet(t *testing.T) {
	for _, tt := range []struct {
		name         string
		at           int // before which of the first one's calls the other claim is made
		yields       bool
		want         string
		sent, pauses int
	}{
		{name: "the other yields", at: 5, yields: true, want: "PENDING", sent: 1, pauses: 1},
		{name: "the other stays", at: 5, want: "busy", pauses: 1},
		{name: "the other was first", at: 1, want: "busy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newPayer(t)
			c := &s.function.config
			pauses := 0
			s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
				if n == tt.at {
					s.writeTo("disbursements", "POST", "", fmt.Sprintf(`{"documentId":%q,"data":{"originatorConversationId":%q,"status":"PENDING","settledAt":"x",`+
						`"failureReason":"NOT_SENT: interrupted","userId":"juma","requestedAmount":500,"requestKey":%q,"phoneKey":%q,"nextCheckAt":"2030-01-01T00:00:00.000Z"}}`,
						payoutB, payoutB, c.keyedHashes(forRequest, phoneA, "500", "Salary of November", "", "BusinessPayment")[0], c.keyedHashes(forPhone, phoneA)[0]))
				}
				return false
			})
			s.function.clock.pause = func(d time.Duration) {
				pauses++
				if tt.yields {
					s.patchPayout(payoutB, `{"status":"FAILED"}`)
				}
			}
			if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != tt.want {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			if n := len(s.sent()); n != tt.sent || pauses != tt.pauses {
				t.Errorf("%d payouts and %d pauses, want %d and %d", n, pauses, tt.sent, tt.pauses)
			}
		})
	}
}

// TestPayOneID has many ask for one payout at once.
func TestPayOneID(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	var wait sync.WaitGroup
	for range 20 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
				t.Errorf("%d %s", got.status, got.body)
			}
		}()
	}
	wait.Wait()
	s.later(time.Minute)
	if sent := s.sent(); len(sent) != 1 || len(s.paidOut("")) != 1 {
		t.Errorf("sent were %v, and paid out %v", sent, s.paidOut(""))
	}
	s.wantPayout(payoutA, "SUCCESS")
}

// TestEveryPayCallBreaks breaks every call that a payout needs, in every way, once or with
// all that come after it. Whatever happens: it is made once at most, is never called
// failed if it may be made, the id can be asked for again, and what was paid is found in
// the document.
func TestEveryPayCallBreaks(t *testing.T) {
	const calls = 9 // version, account, create, list, list, token, go-ahead, payout, name
	for n := 1; n <= calls; n++ {
		for _, b := range breakages() {
			for _, outage := range []bool{false, true} {
				t.Run(fmt.Sprintf("call %d, %s, outage %t", n, b.name, outage), func(t *testing.T) {
					t.Parallel()
					breakPayCall(t, n, b, outage)
				})
			}
		}
	}
}

func breakPayCall(t *testing.T, n int, b breakage, outage bool) {
	s := newPayer(t)
	goesOn := true // nothing broke before the payout
	s.setSpoil(func(call int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
		if call < n || call > n && !outage || safaricom && (b.store || b.hangs) {
			return false
		}
		repeated := r.Method == http.MethodGet && strings.HasSuffix(b.name, "connection broken") // by net/http itself
		if call < 8 && !repeated {
			goesOn = false
		}
		if b.done {
			carryOut()
		}
		b.reply(w, r)
		return true
	})
	told := s.payOut("zawadi", salary(payoutA, phoneA))
	sent := len(s.sent())
	if sent > 1 || sent > 0 && !goesOn {
		t.Errorf("%d payouts were sent", sent)
	}
	if sent > 0 && told.kind() != "PENDING" {
		t.Errorf("it was sent, and the app is told %s", told.body)
	}
	if told.field("claimed") == true && (sent > 0 || !strings.HasPrefix(s.payoutState(payoutA), "FAILED NOT_SENT: ")) {
		t.Errorf("the app is told %s, and %d were sent", told.body, sent)
	}
	s.setSpoil(nil)
	again := s.payOut("zawadi", salary(payoutA, phoneA))
	if again.status != 200 {
		t.Errorf("asked again, the app is told %d %s", again.status, again.body)
	}
	s.later(time.Minute)
	paid := s.paidOut(payoutA)
	if len(paid) > 1 {
		t.Fatalf("paid out were %v", paid)
	}
	d := s.payout(payoutA).Data
	if len(paid) == 1 && (d["status"] != "SUCCESS" || d["receipt"] != paid[0].Receipt || len(s.Stored()) != 1) {
		t.Errorf("after it was paid, stored is %v", s.Stored())
	}
	if len(paid) == 0 && d["status"] == "SUCCESS" {
		t.Errorf("nothing was paid, and stored is %v", d)
	}
}

// TestDuplicateNames: a duplicate that is refused has a ConversationID too, which is not that
// of the payout that was made.
func TestDuplicateNames(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.safaricom.Once(fakesafaricom.B2C, fakesafaricom.Reply(200, "application/json", `{"ConversationID":"AG_of_the_duplicate","OriginatorConversationID":"`+payoutA+
		`","ResponseCode":"1","ResponseDescription":"Duplicate OriginatorConversationID"}`))
	if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
		t.Fatal(got.body)
	}
	s.post(s.signedFor(forResult, payoutA), b2cResult(serverMadeID, otherConversation, 0, paidReceipt))
	s.wantPayout(payoutA, "SUCCESS")
}
