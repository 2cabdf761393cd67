package testbed

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// Shop is a world whose function starts payments, with Safaricom and phones that wait to
// be answered.
type Shop struct {
	*World
	Safaricom *fakesafaricom.Safaricom // its clock stands
}

// NewShop starts one, which ends with its test.
func NewShop(t testing.TB, start func(getenv func(string) string) Serve) *Shop {
	t.Helper()
	s := &Shop{World: New(t, start)}
	s.Safaricom = fakesafaricom.NewAt(s.Clock.Now())
	s.Safaricom.AllowLoopback = true
	s.Safaricom.AllowRepeats = true // two requests alike make two payments, which is what must not happen
	s.Safaricom.Strangers = fakesafaricom.Phone{Answer: fakesafaricom.Asks}
	s.Safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Shop", ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "174379", Passkey: "passkey"})
	server := httptest.NewServer(s.Safaricom)
	t.Cleanup(func() {
		s.Safaricom.Close()
		server.Close()
	})
	for name, value := range map[string]string{
		"DARAJA_CONSUMER_KEY": "key", "DARAJA_CONSUMER_SECRET": "secret", "DARAJA_SHORTCODE": "174379", "DARAJA_PASSKEY": "passkey",
		"DARAJA_ENVIRONMENT": "sandbox", "DARAJA_BASE_URL": server.URL, "DARAJA_SIGNING_KEY": strings.Repeat("5e", 32),
		"DARAJA_PUBLIC_URL": s.FunctionURL, "DARAJA_CALLBACK_SECRET": "0123456789abcdef",
	} {
		s.Set(name, value)
	}
	return s
}

// SignUp adds a user with a session, whom no number of payments is too many.
func (s *Shop) SignUp(user string) {
	s.Appwrite.AddUser(fakeappwrite.User{ID: user, Email: user + "@example.com", Password: PasswordOf(user), EmailVerification: true, Labels: []string{"cashier"}})
	s.Appwrite.AddSession(SessionOf(user), user)
}

// SessionOf is a user's session, and PasswordOf the password.
func SessionOf(user string) string  { return "session-of-" + user }
func PasswordOf(user string) string { return "password-of-" + user }

// Prompt is what was shown on a phone, 2547…, and must be all.
func (s *Shop) Prompt(phone string) string {
	s.t.Helper()
	prompts := s.Safaricom.Prompts(phone)
	if len(prompts) != 1 {
		s.t.Fatalf("%d prompts on %s, want 1", len(prompts), phone)
	}
	return prompts[0].CheckoutRequestID
}

// Pay has a phone pay, and the callback posted.
func (s *Shop) Pay(phone string) {
	s.t.Helper()
	if err := s.Safaricom.Pay(s.Prompt(phone), "1234"); err != nil {
		s.t.Fatal(err)
	}
	s.Safaricom.Advance(2 * time.Second)
}

// Until waits for something that another goroutine is about to do.
func Until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(Limit); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not happen: %s", what)
		}
	}
}
