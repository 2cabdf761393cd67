package handler

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// asking is one request of a sequence, so long after the one before.
type asking struct {
	after  time.Duration
	user   string // amina if empty
	phone  string
	amount int
	again  bool
	want   string
	retry  int // seconds, about; 0 for none
	open   int // whose id the app is told: the place of that request, from 1
}

// TestLimits has sequences of requests, and which of them ask a phone. What is refused
// counts like what is not.
func TestLimits(t *testing.T) {
	phone := func(n int) string { return fmt.Sprintf("2547000000%02d", n) }
	const minute = time.Minute
	for _, tt := range []struct {
		name   string
		phones fakesafaricom.Phone
		asks   []asking
	}{
		{name: "six of one user", asks: []asking{
			{phone: phone(1), want: "PENDING"}, {phone: phone(2), want: "PENDING"}, {phone: phone(3), want: "PENDING"},
			{phone: phone(4), want: "PENDING"}, {phone: phone(5), want: "PENDING"},
			{after: minute, phone: phone(6), want: "busy", retry: 540},
			{phone: phone(6), user: "berta", want: "PENDING"},
			{after: 8 * minute, phone: phone(7), want: "busy", retry: 60},
			{after: 3 * minute, phone: phone(8), want: "PENDING"},
		}},
		{name: "what was refused counts", phones: fakesafaricom.Phone{Locked: true}, asks: []asking{
			{phone: phone(1), want: "rejected"}, {phone: phone(2), want: "rejected"}, {phone: phone(3), want: "rejected"},
			{phone: phone(4), want: "rejected"}, {phone: phone(5), want: "rejected"}, {phone: phone(6), want: "busy", retry: 600},
		}},
		{name: "a cashier's many", asks: []asking{
			{user: "zawadi", phone: phone(1), want: "PENDING"}, {user: "zawadi", phone: phone(2), want: "PENDING"}, {user: "zawadi", phone: phone(3), want: "PENDING"},
			{user: "zawadi", phone: phone(4), want: "PENDING"}, {user: "zawadi", phone: phone(5), want: "PENDING"}, {user: "zawadi", phone: phone(6), want: "PENDING"},
			{user: "zawadi", phone: phone(6), amount: 20, want: "busy", retry: 90, open: 6},
		}},
		{name: "four to one phone, each cancelled", phones: fakesafaricom.Phone{Answer: fakesafaricom.Cancels}, asks: []asking{
			{phone: phone(1), want: "PENDING"}, {after: minute, phone: phone(1), want: "PENDING"}, {after: minute, user: "berta", phone: phone(1), want: "PENDING"},
			{after: minute, user: "zawadi", phone: phone(1), want: "busy", retry: 480},
			{user: "zawadi", phone: phone(2), want: "PENDING"},
			// Of the last ten minutes are the second, the third, the fourth, which was
			// refused, and this one.
			{after: 7*minute + time.Second, phone: phone(1), want: "busy", retry: 120},
		}},
		{name: "one after the other, for other amounts", phones: fakesafaricom.Phone{Answer: fakesafaricom.Asks}, asks: []asking{
			{phone: phone(1), want: "PENDING"},
			{after: 58 * time.Second, phone: phone(1), amount: 20, want: "busy", retry: 32, open: 1},
			{after: 33 * time.Second, phone: phone(1), amount: 30, want: "PENDING"},
		}},
		{name: "the same again", phones: fakesafaricom.Phone{Answer: fakesafaricom.Silent}, asks: []asking{
			{phone: phone(1), want: "PENDING"}, // and is TIMEOUT
			{after: 11 * minute, phone: phone(1), want: "busy", retry: 24*3600 - 660, open: 1},
			{after: minute, user: "berta", phone: phone(1), want: "busy", retry: 24*3600 - 720},
			{after: minute, phone: phone(1), again: true, want: "PENDING"},
			{after: 11 * minute, phone: phone(1), amount: 20, want: "PENDING"},
			{after: 24 * time.Hour, phone: phone(1), want: "PENDING"},
		}},
		{name: "the same again, after it was paid", phones: fakesafaricom.Phone{Answer: fakesafaricom.Pays}, asks: []asking{
			{phone: phone(1), want: "PENDING"}, {after: minute, phone: phone(1), want: "PENDING"},
		}},
		{name: "again while the phone is asked", asks: []asking{
			{phone: phone(1), want: "PENDING"}, {after: minute, phone: phone(1), again: true, want: "busy", retry: 30, open: 1},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if tt.phones.Answer == "" {
				tt.phones.Answer = fakesafaricom.Asks
			}
			s.safaricom.Strangers = tt.phones
			s.signIn(fakeappwrite.User{ID: "berta", EmailVerification: true})
			s.signIn(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"cashier"}})
			id := func(i int) string { return fmt.Sprintf("%020x", i+1) }
			for i, a := range tt.asks {
				s.later(a.after)
				if a.amount == 0 {
					a.amount = 10
				}
				if a.user == "" {
					a.user = "amina"
				}
				more := ""
				if a.again {
					more = `,"again":true`
				}
				shown := s.prompts("")
				got := s.ask(a.user, strings.Replace(wish(id(i), a.phone, more), ":10", fmt.Sprintf(":%d", a.amount), 1))
				if got.kind() != a.want {
					t.Fatalf("request %d: %d %s, want %s", i+1, got.status, got.body, a.want)
				}
				if now := s.prompts(""); a.want == "busy" && now != shown {
					t.Errorf("request %d asked a phone all the same", i+1)
				}
				retry, _ := got.field("retryAfter").(float64)
				if int(retry) > a.retry || int(retry) < a.retry-5 {
					t.Errorf("request %d: retryAfter = %v, want %d", i+1, retry, a.retry)
				}
				want := any(nil)
				switch {
				case a.want == "PENDING":
					want = id(i)
				case a.open > 0:
					want = id(a.open - 1)
				}
				if got.field("id") != want {
					t.Errorf("request %d: id = %v, want %v", i+1, got.field("id"), want)
				}
			}
		})
	}
}

// TestLimitsCountStartedOnly: documents of callbacks alone, and of others' collections
// of attributes, are no payments that were started here.
func TestLimitsCountStartedOnly(t *testing.T) {
	s := newShop(t)
	hash := s.function.config.keyedHashes(forPhone, phoneA)[0]
	for i := range 10 {
		s.write("POST", "", fmt.Sprintf(`{"documentId":"other%d","data":{"checkoutRequestId":"x","status":"PENDING","settledAt":"x","userId":"amina","phoneKey":%q}}`, i, hash))
	}
	if got := s.ask("amina", wish(first, phoneA)); got.kind() != "PENDING" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestLimitsOverPages: a phone's payments of a day may be more than one page holds.
func TestLimitsOverPages(t *testing.T) {
	s := newShop(t)
	s.safaricom.Strangers.Answer = fakesafaricom.Silent
	s.ask("amina", wish(first, phoneA)) // is TIMEOUT, and in the way
	s.later(5 * time.Minute)
	if got := s.state(first); !strings.HasPrefix(got, "TIMEOUT") {
		t.Fatal(got)
	}
	c := &s.function.config
	for i := range 150 {
		s.write("POST", "", fmt.Sprintf(`{"documentId":"p%d","data":{"checkoutRequestId":"x","status":"SUCCESS","settledAt":"x","userId":"berta","phoneKey":%q,"requestKey":"k"}}`,
			i, c.keyedHashes(forPhone, phoneA)[0]))
	}
	s.later(11 * time.Minute)
	s.Operations()
	got := s.ask("amina", wish(second, phoneA))
	if got.kind() != "busy" || got.field("id") != first {
		t.Errorf("%d %s, want busy with %s", got.status, got.body, first)
	}
	if operations := s.Operations(); operations != "execute account create list list list replace" {
		t.Errorf("calls: %s", operations)
	}
}

// TestLimitsGivenUp: a payment of which nobody will ever know more is not in the way.
func TestLimitsGivenUp(t *testing.T) {
	s := newShop(t)
	s.safaricom.Strangers.Answer = fakesafaricom.Silent
	s.ask("amina", wish(first, phoneA))
	s.later(11 * time.Minute)
	s.patch(first, `{"nextCheckAt":null}`)
	if got := s.ask("amina", wish(second, phoneA)); got.kind() != "PENDING" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestStaleLists: a list without the document that was just created is from a copy of the
// database that is behind. Nothing is sent on its word.
func TestStaleLists(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.setSpoil(func(_ int, safaricom bool, _ func(), w http.ResponseWriter, r *http.Request) bool {
		if safaricom || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/documents") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"total":0,"documents":[]}`)
		return true
	})
	if got := s.ask("amina", wish(first, phoneA)); got.kind() != "unavailable" || got.field("claimed") != true || s.prompts("") != 0 {
		t.Errorf("a payment: %s, %d prompts", got.body, s.prompts(""))
	}
	if got := s.payOut("zawadi", salary(payoutA, phoneB)); got.kind() != "unavailable" || got.field("claimed") != true || len(s.sent()) != 0 {
		t.Errorf("a payout: %s, %d sent", got.body, len(s.sent()))
	}
	if log := s.errorLog(); strings.Contains(log, "needs an operator") || !strings.Contains(log, "passes by itself") {
		t.Errorf("the error log says %s", log)
	}
}
