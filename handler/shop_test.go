package handler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
)

// What must be seen by nobody but the function and Safaricom.
const (
	consumerKey    = "consumer-key-of-the-shop"
	consumerSecret = "consumer-secret-of-the-shop"
	passkey        = "passkey-of-the-shop"
	doorSecret     = "0123456789abcdef"
	emailOfAmina   = "payer@example.com"
)

var signing = strings.Repeat("5e", 32)

// The ids of payments that apps make.
const (
	first  = "000000000000000000a1"
	second = "000000000000000000a2"
	third  = "000000000000000000a3"
)

// Phones, in the form that Safaricom takes.
const (
	phoneA = "254700000011"
	phoneB = "254700000012"
)

// shop is a world whose function starts payments: with Safaricom, phones that wait to be
// answered, and an app in which amina is signed in.
type shop struct {
	*world
	t         testing.TB
	safaricom *fakesafaricom.Safaricom

	mu    sync.Mutex
	told  []string // what apps were told
	calls int      // of the function, of Appwrite and Safaricom together
	spoil spoiling
}

// spoiling may answer the n-th call in the place of Appwrite or Safaricom, and says
// whether it did. carryOut does what the call asks for.
type spoiling func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool

// spoilt has calls spoilt on their way.
func (s *shop) spoilt(next http.Handler, safaricom bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only when the body was read does net/http notice a client that leaves.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		s.calls++
		n, spoil := s.calls, s.spoil
		s.mu.Unlock()
		if spoil == nil || !spoil(n, safaricom, func() { next.ServeHTTP(httptest.NewRecorder(), r) }, w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// setSpoil begins to spoil calls, which are counted from now on. Nil ends it.
func (s *shop) setSpoil(spoil spoiling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.spoil = 0, spoil
}

// newShop opens a shop for one test, which must not hang.
func newShop(t testing.TB) *shop {
	t.Helper()
	t.Cleanup(testbed.Watch(t)) // what is registered first is stopped last
	return openShop(t)
}

// openShop opens one for a test that may take longer, and watches what it waits for.
func openShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{world: newWorld(t), t: t}
	s.safaricom = fakesafaricom.NewAt(s.Clock.Now())
	s.safaricom.Client.Timeout = 0 // to give up on a function that hangs would hide it
	s.safaricom.AllowLoopback = true
	s.safaricom.AllowRepeats = true // two requests alike make two payments, which is what must not happen here
	s.safaricom.Strangers = fakesafaricom.Phone{Answer: fakesafaricom.Asks}
	s.safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Shop", ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, Shortcode: "174379", Passkey: passkey})
	safaricom, api := s.listen(s.spoilt(s.safaricom, true)), s.listen(s.spoilt(s.Appwrite, false))
	testbed.AtEnd(t, func() {
		s.safaricom.Close()
		s.checkSecrets()
	})
	for name, value := range map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": api + "/v1",

		"DARAJA_CONSUMER_KEY":    consumerKey,
		"DARAJA_CONSUMER_SECRET": consumerSecret,
		"DARAJA_SHORTCODE":       "174379",
		"DARAJA_PASSKEY":         passkey,
		"DARAJA_ENVIRONMENT":     "sandbox",
		"DARAJA_BASE_URL":        safaricom,
		"DARAJA_SIGNING_KEY":     signing,
		"DARAJA_PUBLIC_URL":      s.FunctionURL,
		"DARAJA_CALLBACK_SECRET": doorSecret,
	} {
		s.Set(name, value)
	}
	s.signIn(fakeappwrite.User{ID: "amina", Email: emailOfAmina, Phone: "+" + phoneB, EmailVerification: true})
	return s
}

// listen starts a server and returns its URL. It ends with the world, whatever still
// hangs in it: one of httptest's would wait for that.
func (s *shop) listen(h http.Handler) string {
	s.t.Helper()
	address, err := s.Serve(0, h)
	if err != nil {
		s.t.Fatal(err)
	}
	return address
}

// signIn gives a user a session.
func (s *shop) signIn(u fakeappwrite.User) {
	s.Appwrite.AddUser(u)
	s.Appwrite.AddSession(sessionOf(u.ID), u.ID)
}

func sessionOf(user string) string { return "session-of-" + user }

// later lets so much time pass, on every clock, and what is due happen.
func (s *shop) later(d time.Duration) {
	s.Clock.MoveTo(s.Clock.Now().Add(d))
	s.advance(d)
}

// advance moves Safaricom's clock, and must not hang.
func (s *shop) advance(d time.Duration) {
	defer testbed.Watch(s.t)()
	s.safaricom.Advance(d)
}

// reply is what an app is told.
type reply struct {
	status int
	body   string
}

// execute has an app call the function: createExecution, with headers that say who it is.
func (s *shop) execute(path, body string, headers ...string) reply {
	return s.executeWith(map[string]any{"async": false, "method": "POST", "path": path, "body": body}, headers...)
}

func (s *shop) executeWith(params map[string]any, headers ...string) reply {
	content, err := json.Marshal(params)
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	req, err := http.NewRequest("POST", s.AppwriteURL+"/functions/daraja/executions", strings.NewReader(string(content)))
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := testbed.Client.Do(req)
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	var execution struct {
		ResponseStatusCode int
		ResponseBody       string
	}
	if err != nil || json.Unmarshal(answer, &execution) != nil || resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusAccepted {
		s.t.Errorf("createExecution: %d %s %v", resp.StatusCode, answer, err)
		return reply{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, execution.ResponseBody)
	return reply{execution.ResponseStatusCode, execution.ResponseBody}
}

// ask has a user's app ask for a payment.
func (s *shop) ask(user, body string) reply {
	return s.execute("/stk/push", body, "X-Appwrite-Session", sessionOf(user))
}

// wish is a request for 10 shillings.
func wish(id, phone string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"phone":%q,"amount":10,"reference":"Order 7"%s}`, id, phone, strings.Join(more, ""))
}

// kind is the type of an error that an app was told, or the status of its payment.
func (r reply) kind() string {
	var told struct {
		Status string
		Error  struct{ Type string }
	}
	if json.Unmarshal([]byte(r.body), &told) != nil || told.Status+told.Error.Type == "" {
		return fmt.Sprintf("%d %s", r.status, r.body)
	}
	return told.Status + told.Error.Type
}

// field is one of what an app was told.
func (r reply) field(name string) any {
	var told map[string]any
	_ = json.Unmarshal([]byte(r.body), &told)
	if failed, ok := told["error"].(map[string]any); ok {
		told = failed
	}
	return told[name]
}

// payment is the started payment of an id.
func (s *shop) payment(id string) map[string]any {
	s.t.Helper()
	d, found := s.Appwrite.Document("daraja", "payments", id)
	if !found {
		s.t.Fatalf("there is no payment %s", id)
	}
	return d.Data
}

// state is the status of a started payment, with its reason.
func (s *shop) state(id string) string {
	s.t.Helper()
	d := s.payment(id)
	if d["failureReason"] == nil {
		return fmt.Sprint(d["status"])
	}
	return fmt.Sprintf("%v %v", d["status"], d["failureReason"])
}

// prompts counts what was shown on a phone, or on all.
func (s *shop) prompts(phone string) int { return len(s.safaricom.Prompts(phone)) }

// prompt is the only one that was shown.
func (s *shop) prompt() fakesafaricom.Prompt {
	s.t.Helper()
	all := s.safaricom.Prompts("")
	if len(all) != 1 {
		s.t.Fatalf("%d prompts were shown, want 1", len(all))
	}
	return all[0]
}

// pay answers a prompt with the PIN, and the callback is posted.
func (s *shop) pay(p fakesafaricom.Prompt) {
	s.t.Helper()
	if err := s.safaricom.Pay(p.CheckoutRequestID, "1234"); err != nil {
		s.t.Fatal(err)
	}
	s.later(2 * time.Second)
}

// receipt is of the money that moved under a prompt.
func (s *shop) receipt(p fakesafaricom.Prompt) string {
	s.t.Helper()
	e, paid := s.safaricom.Paid(p.CheckoutRequestID)
	if !paid {
		s.t.Fatal("no money has moved")
	}
	return e.Receipt
}

// checkSecrets holds what apps were told, what is stored and what was logged to what
// others may know.
func (s *shop) checkSecrets() {
	secrets := []string{consumerKey, consumerSecret, passkey, doorSecret, signing, emailOfAmina, "eyJ", testbed.FunctionKey, "session-of", s.AppwriteURL, s.FunctionURL}
	for _, p := range s.safaricom.Prompts("") {
		u, err := url.Parse(p.CallBackURL)
		if err != nil {
			s.t.Error(err)
			continue
		}
		secrets = append(secrets, u.Query().Get("sig"), p.Phone)
	}
	var seen []string
	for _, told := range s.told {
		seen = append(seen, withoutNames(told))
	}
	for _, d := range s.Stored() {
		content, _ := json.Marshal(d)
		seen = append(seen, withoutNames(string(content)))
	}
	for _, e := range s.Appwrite.Executions() {
		for _, line := range strings.Split(e.Logs+"\n"+e.Errors, "\n") {
			rest, marked := strings.CutPrefix(line, "UNSETTLED ")
			if marked {
				line = withoutNames(rest)
			}
			seen = append(seen, line)
		}
	}
	for _, secret := range secrets {
		if i := slices.IndexFunc(seen, func(text string) bool { return secret != "" && strings.Contains(text, secret) }); i >= 0 {
			s.t.Errorf("%s is in %s", secret, seen[i])
		}
	}
}

// withoutNames is JSON without its ids of Safaricom, which end in the payer's number and
// are the client's contract.
func withoutNames(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	var strip func(any)
	strip = func(v any) {
		m, _ := v.(map[string]any)
		delete(m, "checkoutRequestId")
		if id, ok := m["id"].(string); ok && strings.HasPrefix(id, "ws_CO_") {
			delete(m, "id")
		}
		if id, ok := m["ID"].(string); ok && strings.HasPrefix(id, "ws_CO_") {
			delete(m, "ID")
		}
		for _, inner := range m {
			strip(inner)
		}
	}
	strip(v)
	stripped, _ := json.Marshal(v)
	return string(stripped)
}
