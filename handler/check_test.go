package handler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// checkAs has a user's app ask what became of a payment.
func (s *shop) checkAs(user, id string) reply {
	return s.execute("/stk/check", fmt.Sprintf(`{"id":%q}`, id), "X-Appwrite-Session", sessionOf(user))
}

// TestCheck has an app ask about a payment whose callback never comes.
func TestCheck(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.later(61 * time.Second)
	s.Operations()
	s.Logged()
	want := fmt.Sprintf(`{"id":%q,"status":"SUCCESS","checkoutRequestId":%q,"customerMessage":""}`, first, s.prompt().CheckoutRequestID)
	if got := s.checkAs("amina", first); got.status != 200 || got.body != want {
		t.Errorf("the app is told %d %s, want 200 %s", got.status, got.body, want)
	}
	if got, want := s.Operations(), "execute account get replace replace"; got != want {
		t.Errorf("the calls are %s, want %s", got, want)
	}
	if logs, errors := s.Logged(); len(errors) != 1 || !strings.HasPrefix(errors[0], "odd route=stk/check id="+first+" reason=\"paid, ") || len(logs) != 1 || !strings.HasPrefix(logs[0], "route=stk/check id="+first+" status=SUCCESS outcome=found calls=4 ms=") {
		t.Errorf("logged are %q and %q", logs, errors)
	}
	if got := s.checkAs("amina", first); got.body != want || s.Operations() != "execute account get" {
		t.Errorf("asked again, the app is told %d %s", got.status, got.body)
	}
}

// TestCheckSpacing: nobody asks about a payment that was touched within ten seconds, and
// the sweep goes on with what an app has asked about.
func TestCheckSpacing(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Asks)
	queries := func() int { return len(s.safaricom.Calls(fakesafaricom.Query)) }
	s.later(9 * time.Second)
	if got := s.checkAs("amina", first); got.kind() != "PENDING" || queries() != 0 {
		t.Errorf("after 9 s the app is told %s, and Safaricom was asked %d times", got.body, queries())
	}
	s.later(3 * time.Second)
	if got := s.checkAs("amina", first); got.kind() != "PENDING" || queries() != 1 {
		t.Errorf("after 12 s the app is told %s, and Safaricom was asked %d times", got.body, queries())
	}
	if got := s.nextCheckAt(first); got != 27*time.Second {
		t.Errorf("the next check is at %v, want 15 s ahead", got)
	}
	s.checkAs("amina", first)
	if queries() != 1 {
		t.Errorf("Safaricom was asked %d times, want once", queries())
	}
	s.later(11 * time.Second)
	s.checkAs("amina", first)
	if queries() != 2 {
		t.Errorf("Safaricom was asked %d times, want twice", queries())
	}
}

// TestCheckRefused has who may not ask, and what is no question.
func TestCheckRefused(t *testing.T) {
	s := newShop(t)
	s.signIn(fakeappwrite.User{ID: "berta", EmailVerification: true})
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.Post("/"+doorSecret+"/callback?uid=amina", payload(t, "stk/fail-1-funds")) // no started payment, and amina's
	other := s.Stored()[1].ID
	s.later(2 * time.Minute)
	for _, tt := range []struct {
		name, user, body, want string
		status                 int
	}{
		{"another's", "berta", fmt.Sprintf(`{"id":%q}`, first), "not_found", 404},
		{"none", "amina", fmt.Sprintf(`{"id":%q}`, third), "not_found", 404},
		{"one that was not started here", "amina", fmt.Sprintf(`{"id":%q}`, other), "invalid_argument", 400},
		{"no session", "nobody", fmt.Sprintf(`{"id":%q}`, first), "unauthenticated", 401},
		{"no id", "amina", `{}`, "invalid_argument", 400},
		{"no JSON", "amina", `id`, "invalid_argument", 400},
		{"an id that is a number", "amina", `{"id":7}`, "invalid_argument", 400},
		{"too large", "amina", fmt.Sprintf(`{"id":%q}`, first) + strings.Repeat(" ", maxBody), "invalid_argument", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.execute("/stk/check", tt.body, "X-Appwrite-Session", sessionOf(tt.user))
			if tt.user == "nobody" {
				got = s.execute("/stk/check", tt.body)
			}
			if got.kind() != tt.want || got.status != tt.status {
				t.Errorf("the app is told %d %s, want %d %s", got.status, got.body, tt.status, tt.want)
			}
		})
	}
	if one, none := s.checkAs("berta", first).body, s.checkAs("berta", third).body; one != none {
		t.Errorf("another's payment is told apart from none: %s, %s", one, none)
	}
	if n := len(s.safaricom.Calls(fakesafaricom.Query)); n != 0 || s.state(first) != "PENDING" {
		t.Errorf("Safaricom was asked %d times, and the payment is %s", n, s.state(first))
	}
	s.Set("DARAJA_PASSKEY", "")
	if got := s.checkAs("amina", first); got.kind() != "not_configured" || got.status != 501 {
		t.Errorf("without a passkey the app is told %d %s", got.status, got.body)
	}
}

// TestCheckUnverified: who has started a payment may ask about it, whatever became of
// their address.
func TestCheckUnverified(t *testing.T) {
	s := newShop(t)
	s.lose(first, phoneA, fakesafaricom.Pays)
	s.signIn(fakeappwrite.User{ID: "amina"})
	s.later(2 * time.Minute)
	if got := s.checkAs("amina", first); got.kind() != "SUCCESS" {
		t.Errorf("the app is told %s", got.body)
	}
}

// TestCheckBreaks breaks each call of a check, before and after it is carried out. The app
// is told what is true, and can ask again.
func TestCheckBreaks(t *testing.T) {
	const calls = 5 // account, get, claim, query, verdict
	for n := 1; n <= calls; n++ {
		for _, b := range breakages() {
			t.Run(fmt.Sprintf("call %d, %s", n, b.name), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				s.lose(first, phoneA, fakesafaricom.Pays)
				s.later(61 * time.Second)
				s.setSpoil(func(call int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
					if call != n || safaricom && (b.store || b.hangs) {
						return false
					}
					if b.done {
						carryOut()
					}
					b.reply(w, r)
					return true
				})
				got := s.checkAs("amina", first)
				if kind := got.kind(); kind != "PENDING" && kind != "SUCCESS" && kind != "unavailable" && kind != "unauthenticated" && kind != "not_found" {
					t.Errorf("the app is told %d %s", got.status, got.body)
				}
				if got.kind() == "SUCCESS" && s.state(first) != "SUCCESS" {
					t.Errorf("the app is told %s, and the payment is %s", got.body, s.state(first))
				}
				s.setSpoil(nil)
				s.later(16 * time.Second)
				if got := s.checkAs("amina", first); got.kind() != "SUCCESS" {
					t.Errorf("asked again, the app is told %s", got.body)
				}
				if s.prompts("") != 1 {
					t.Errorf("%d prompts were shown", s.prompts(""))
				}
			})
		}
	}
}
