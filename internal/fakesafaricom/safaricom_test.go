package fakesafaricom

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	ada   = "254712345678"
	berta = "254112345678"
)

// noon is twelve o'clock in Nairobi.
var noon = time.Date(2026, 2, 20, 9, 0, 0, 123_000_000, time.UTC)

// testKey is made once, since that takes longest.
var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	key, _, err := NewKey()
	return key, err
})

// world is a Safaricom with a pay bill that also pays out, a receiver of callbacks
// and a caller.
type world struct {
	*Safaricom
	t     *testing.T
	host  *httptest.Server
	token string

	receiver *httptest.Server
	mu       sync.Mutex
	got      []*http.Request
	bodies   []string
	answer   int // the receiver's
}

func newWorld(t *testing.T, set ...func(*Safaricom)) *world {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Safaricom: NewAt(noon), t: t, answer: http.StatusOK}
	w.AllowLoopback = true
	for _, f := range set {
		f(w.Safaricom)
	}
	w.AddMerchant(Merchant{Name: "Duka", ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "174379", Passkey: "pass",
		Initiator: "api", InitiatorPassword: "P#ss1", Key: key, Float: 1000})
	w.AddMerchant(Merchant{Name: "Till", ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "600100", Passkey: "tillpass", Till: "600101"})
	w.AddMerchant(Merchant{ConsumerKey: "other", ConsumerSecret: "others", Shortcode: "600999", Passkey: "pass"})
	w.host = httptest.NewServer(w.Safaricom)
	t.Cleanup(w.host.Close)
	t.Cleanup(w.Close)
	w.receiver = httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(w.receiver.Close)
	w.token = w.fetchToken()
	return w
}

func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.got, w.bodies = append(w.got, r), append(w.bodies, string(body))
	answer := w.answer
	w.mu.Unlock()
	rw.WriteHeader(answer)
}

// received returns the bodies of the callbacks so far.
func (w *world) received() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.bodies...)
}

// advance moves the clock until t after noon.
func (w *world) advance(after time.Duration) {
	w.t.Helper()
	w.Advance(noon.Add(after).Sub(w.Now()))
}

func (w *world) fetchToken() string {
	w.t.Helper()
	r, _ := http.NewRequest("GET", w.host.URL+"/oauth/v1/generate?grant_type=client_credentials", nil)
	r.SetBasicAuth("key", "secret")
	status, body := w.do(r)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if status != 200 || json.Unmarshal([]byte(body), &answer) != nil || len(answer.AccessToken) != 28 {
		w.t.Fatalf("token: %d %s", status, body)
	}
	return answer.AccessToken
}

// do returns status 0 if the connection broke.
func (w *world) do(r *http.Request) (int, string) {
	w.t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Errorf("%s: %v", r.URL, err)
	}
	return answer.StatusCode, string(body)
}

func paths() map[Operation]string {
	return map[Operation]string{
		OAuth:  "/oauth/v1/generate",
		Push:   "/mpesa/stkpush/v1/processrequest",
		Query:  "/mpesa/stkpushquery/v1/query",
		B2C:    "/mpesa/b2c/v3/paymentrequest",
		Status: "/mpesa/transactionstatus/v1/query",
	}
}

// newRequest is one with the token.
func (w *world) newRequest(op Operation, body string) *http.Request {
	r, err := http.NewRequest("POST", w.host.URL+paths()[op], strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+w.token)
	return r
}

func (w *world) call(op Operation, body map[string]any) (int, string) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(w.newRequest(op, string(b)))
}

func password(shortcode, passkey, timestamp string) string {
	return base64.StdEncoding.EncodeToString([]byte(shortcode + passkey + timestamp))
}

// stamp is the time in Nairobi by Safaricom's clock.
func (w *world) stamp() string { return w.Now().UTC().Add(3 * time.Hour).Format("20060102150405") }

// pushBody is right but for what change breaks.
func (w *world) pushBody(phone string, change ...func(map[string]any)) map[string]any {
	at := w.stamp()
	body := map[string]any{"BusinessShortCode": "174379", "Password": password("174379", "pass", at), "Timestamp": at,
		"TransactionType": "CustomerPayBillOnline", "Amount": "10", "PartyA": phone, "PartyB": "174379", "PhoneNumber": phone,
		"CallBackURL": w.receiver.URL + "/callback?id=1", "AccountReference": "INV-1", "TransactionDesc": "Tea"}
	for _, f := range change {
		f(body)
	}
	return body
}

func (w *world) queryBody(id string) map[string]any {
	at := w.stamp()
	return map[string]any{"BusinessShortCode": "174379", "Password": password("174379", "pass", at), "Timestamp": at, "CheckoutRequestID": id}
}

// push sends one that has to be accepted and returns its CheckoutRequestID.
func (w *world) push(phone string, change ...func(map[string]any)) string {
	w.t.Helper()
	status, body := w.call(Push, w.pushBody(phone, change...))
	var answer struct{ CheckoutRequestID, ResponseCode string }
	if status != 200 || json.Unmarshal([]byte(body), &answer) != nil || answer.ResponseCode != "0" {
		w.t.Fatalf("push: %d %s", status, body)
	}
	return answer.CheckoutRequestID
}

func (w *world) credential(password string) string {
	w.t.Helper()
	key, err := testKey()
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, []byte(password))
	if err != nil {
		w.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (w *world) payoutBody(id string, change ...func(map[string]any)) map[string]any {
	body := map[string]any{"OriginatorConversationID": id, "InitiatorName": "api", "SecurityCredential": w.credential("P#ss1"),
		"CommandID": "BusinessPayment", "Amount": "100", "PartyA": "174379", "PartyB": ada, "Remarks": "Refund",
		"QueueTimeOutURL": w.receiver.URL + "/timeout", "ResultURL": w.receiver.URL + "/result"}
	for _, f := range change {
		f(body)
	}
	return body
}

// payout sends one that has to be accepted.
func (w *world) payout(id string, change ...func(map[string]any)) {
	w.t.Helper()
	if status, body := w.call(B2C, w.payoutBody(id, change...)); status != 200 || !strings.Contains(body, `"ResponseCode":"0"`) {
		w.t.Fatalf("payout: %d %s", status, body)
	}
}

func (w *world) statusBody(id string, change ...func(map[string]any)) map[string]any {
	body := map[string]any{"Initiator": "api", "SecurityCredential": w.credential("P#ss1"), "CommandID": "TransactionStatusQuery",
		"OriginalConversationID": id, "PartyA": "174379", "IdentifierType": "4", "ResultURL": w.receiver.URL + "/status",
		"QueueTimeOutURL": w.receiver.URL + "/status", "Remarks": "Check"}
	for _, f := range change {
		f(body)
	}
	return body
}

// set changes one field, without one leaves it out.
func set(name string, value ...any) func(map[string]any) {
	return func(body map[string]any) {
		delete(body, name)
		if len(value) > 0 {
			body[name] = value[0]
		}
	}
}

func setAll(pairs map[string]any) func(map[string]any) {
	return func(body map[string]any) {
		for name, value := range pairs {
			body[name] = value
		}
	}
}

// refusal returns what errorReply sends, without the request id.
func refusal(body string) string {
	var e struct{ RequestID, ErrorCode, ErrorMessage string }
	if json.Unmarshal([]byte(body), &e) != nil || e.RequestID == "" {
		return body
	}
	return e.ErrorCode + " " + e.ErrorMessage
}

// result is what callbacks of payouts and status queries share.
type result struct {
	Result struct {
		ResultType               json.RawMessage
		ResultCode               json.RawMessage
		ResultDesc               string
		OriginatorConversationID string
		ConversationID           string
		TransactionID            string
		ResultParameters         *struct{ ResultParameter []parameter }
		ReferenceData            struct{ ReferenceItem parameter }
	}
}

func readResult(t *testing.T, body string) result {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	var r result
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// values returns the parameters under a key.
func (r result) values(key string) []string {
	var values []string
	if r.Result.ResultParameters != nil {
		for _, p := range r.Result.ResultParameters.ResultParameter {
			if p.Key == key {
				values = append(values, string(p.Value))
			}
		}
	}
	return values
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name, method, path string
		status             int
		want               string
	}{
		{"unknown", "POST", "/nope", 404, `{"fault":{"faultstring":"Unable to identify proxy for host: secure and url: /nope","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}`},
		{"trailing slash", "POST", "/mpesa/stkpush/v1/processrequest/", 404, "404.001.01 Resource not found"},
		{"payouts of another version", "POST", "/mpesa/b2c/v1/paymentrequest", 404, `{"fault":{"faultstring":"Unable to identify proxy for host: secure and url: /mpesa/b2c/v1/paymentrequest","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}`},
		{"under push", "POST", "/mpesa/stkpush/v1/query", 404, "404.001.01 Resource not found"},
		{"under query", "POST", "/mpesa/stkpushquery/v1/x", 404, "404.001.01 Resource not found"},
		{"under payouts", "POST", "/mpesa/b2c/v3/x", 404, "404.002.01 Resource not found"},
		{"under status", "POST", "/mpesa/transactionstatus/v1/x", 404, "404.003.01 Resource not found"},
		{"under oauth", "GET", "/oauth/v1/token", 404, ""},
		{"token by POST", "POST", "/oauth/v1/generate", 405, "405.001 Method Not Allowed"},
		{"push by GET", "GET", "/mpesa/stkpush/v1/processrequest", 405, "405.001 Method Not Allowed"},
		{"status by PUT", "PUT", "/mpesa/transactionstatus/v1/query", 405, "405.001 Method Not Allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := http.NewRequest(test.method, w.host.URL+test.path, nil)
			r.Header.Set("Authorization", "Bearer "+w.token)
			status, body := w.do(r)
			if status != test.status {
				t.Errorf("%s %s = %d; want %d", test.method, test.path, status, test.status)
			}
			if got := refusal(body); got != test.want {
				t.Errorf("%s %s = %s; want %s", test.method, test.path, got, test.want)
			}
		})
	}
	t.Run("body too long", func(t *testing.T) {
		if status, body := w.do(w.newRequest(Push, strings.Repeat(" ", maxBody+1))); status != 400 || body != "" {
			t.Errorf("= %d %s; want 400 without a body", status, body)
		}
	})
}

func TestPortal(t *testing.T) {
	rec := httptest.NewRecorder()
	Portal().ServeHTTP(rec, httptest.NewRequest("GET", "/oauth/v1/generate?grant_type=client_credentials", nil))
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") || !strings.HasPrefix(rec.Body.String(), "<!DOCTYPE html>") {
		t.Errorf("= %d %q %q; want 200 text/html and a page", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
}

func TestCalls(t *testing.T) {
	w := newWorld(t)
	w.push(ada)
	w.Once(Push, Torn())
	w.call(Push, w.pushBody(berta))
	w.call(Push, map[string]any{})
	calls := w.Calls(Push)
	if len(calls) != 3 || calls[0].Status != 200 || calls[1].Status != 0 || calls[2].Status != 400 {
		t.Fatalf("Calls = %+v; want a 200, one torn and a 400", calls)
	}
	if !bytes.Contains(calls[1].Body, []byte(berta)) || calls[0].At != noon {
		t.Errorf("Calls = %+v; want bodies and times", calls)
	}
	if all := w.Calls(Any); len(all) != 4 || all[0].Operation != OAuth {
		t.Errorf("Calls of all = %+v; want the token's first of 4", all)
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	shapes := map[string]int{}
	count := func(id string, patterns ...string) {
		t.Helper()
		for _, p := range patterns {
			if regexp.MustCompile("^" + p + "$").MatchString(id) {
				shapes[p]++
				if seen[id] {
					t.Errorf("%s twice", id)
				}
				seen[id] = true
				return
			}
		}
		t.Errorf("%s has none of the shapes %v", id, patterns)
	}
	for n := 1; n <= 200; n++ {
		count(requestID(n), `\d{5}-\d{8}-1`, `[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\d{5}`)
		count(conversationID(n, noon), `AG_20260220_20[0-9a-f]{18}`, `AG_20260220_0100101303822[0-9a-z]{7}`)
		count(receipt(n, noon), `UBK[0-9A-Z]{7}`) // February 20, 2026
	}
	for p, n := range shapes {
		if n < 50 {
			t.Errorf("%s: %d of 200; want both shapes often", p, n)
		}
	}
	if got := placeholder(time.Date(2023, 3, 20, 0, 0, 0, 0, time.UTC)); got != "RCK0000000" {
		t.Errorf("placeholder = %s; want RCK0000000", got)
	}
	if got := receipt(1, time.Date(2024, 7, 5, 22, 0, 0, 0, time.UTC))[:3]; got != "SG6" {
		t.Errorf("receipt of the 6th in Nairobi = %s; want SG6", got)
	}
}

// TestMany runs many callers at once; the race detector is what it is for.
func TestMany(t *testing.T) {
	w := newWorld(t, func(s *Safaricom) { s.Parallel, s.KeepTokens = true, true })
	w.SetPhone("254700000003", Phone{Answer: Cancels})
	w.Times(5, Push, LostAck())
	w.Times(5, Push, CallbackLost())
	w.Times(5, Push, CallbackTwice())
	w.Times(5, Push, CallbackOutOfOrder())
	stop := w.OnPrompt(func(p Prompt) { w.Prompts(p.Phone) })
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			w.fetchToken()
			w.call(Push, w.pushBody(fmt.Sprintf("2547000000%02d", i)))
			w.call(B2C, w.payoutBody(fmt.Sprint("id-", i), set("Amount", "20")))
		}()
	}
	wait.Wait()
	w.Advance(10 * time.Minute)
	stop()

	var paid, out int64
	receipts := map[string]bool{}
	for _, e := range w.Ledger() {
		switch e.Kind {
		case Paid:
			paid += e.Amount
		case PaidOut:
			out += e.Amount
		}
		if e.Kind != Prompted && receipts[e.Receipt] {
			t.Errorf("receipt %s twice", e.Receipt)
		}
		receipts[e.Receipt] = true
	}
	if want := int64(39 * 10); paid != want || w.Collected("174379") != want {
		t.Errorf("paid %d, collected %d; want %d: all phones but one pay 10", paid, w.Collected("174379"), want)
	}
	if want := int64(40 * 20); out != want || w.Float("174379") != 1000-want {
		t.Errorf("paid out %d, float %d; want %d and %d", out, w.Float("174379"), want, 1000-want)
	}
	if n := len(w.Prompts("")); n != 40 {
		t.Errorf("%d prompts; want 40, those of lost acknowledgements included", n)
	}
	// 40 pushes and 40 payouts, less the 5 that are lost, and 5 of them twice.
	if n := len(w.Deliveries()); n != 80 || len(w.received()) != n {
		t.Errorf("%d delivered, %d received; want 80", n, len(w.received()))
	}
}

func TestClock(t *testing.T) {
	t.Run("in order, each at its time", func(t *testing.T) {
		s := NewAt(noon)
		var got []string
		note := func(name string) func() {
			return func() { got = append(got, name+" "+s.Now().Sub(noon).String()) }
		}
		s.clock.after(2*time.Second, note("b"))
		s.clock.after(time.Second, func() { note("a")(); s.clock.after(time.Second, note("d")) })
		s.clock.after(2*time.Second, note("c"))
		s.clock.after(time.Hour, note("late"))
		s.Advance(time.Minute)
		if want := "[a 1s b 2s c 2s d 2s]"; fmt.Sprint(got) != want {
			t.Errorf("happened: %v; want %s", got, want)
		}
		if at := s.Now().Sub(noon); at != time.Minute {
			t.Errorf("Now = noon + %v; want 1m", at)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s := NewAt(noon)
		s.clock.after(time.Second, func() { t.Error("happened after Close") })
		s.Close()
		s.Advance(time.Minute)
	})
	t.Run("real time", func(t *testing.T) {
		s := New()
		done := make(chan struct{})
		s.clock.after(0, func() { close(done) })
		<-done
		started, release := make(chan struct{}), make(chan struct{})
		var finished atomic.Bool
		s.clock.after(0, func() {
			close(started)
			<-release
			finished.Store(true)
		})
		<-started
		close(release)
		s.Close()
		if !finished.Load() {
			t.Error("Close did not wait")
		}
		s.clock.run(func() { t.Error("happened after Close") })
		if since := time.Since(s.Now()); since < 0 || since > time.Hour {
			t.Errorf("Now is %v behind", since)
		}
		defer func() {
			if recover() == nil {
				t.Error("Advance did not panic")
			}
		}()
		s.Advance(0)
	})
}
