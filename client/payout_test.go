package client

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
)

// newInitiator makes Safaricom's key, with which the initiator's password is encrypted.
var newInitiator = sync.OnceValues(func() (fakesafaricom.Merchant, string) {
	key, certificate, err := fakesafaricom.NewKey()
	if err != nil {
		panic(err)
	}
	return fakesafaricom.Merchant{Name: "Shop", ConsumerKey: "payout-key", ConsumerSecret: "payout-secret", Shortcode: "600997",
		Products: []fakesafaricom.Operation{fakesafaricom.B2C, fakesafaricom.Status}, Float: 100_000,
		Initiator: "initiator", InitiatorPassword: "Nyoka-2026", Key: key}, certificate
})

// newPayer is a shop that pays out, and lets zawadi ask for it.
func newPayer(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	business, certificate := newInitiator()
	s.Safaricom.AddMerchant(business)
	for name, value := range map[string]string{
		"DARAJA_B2C_CONSUMER_KEY": "payout-key", "DARAJA_B2C_CONSUMER_SECRET": "payout-secret", "DARAJA_B2C_SHORTCODE": "600997",
		"DARAJA_INITIATOR": "initiator", "DARAJA_INITIATOR_PASSWORD": "Nyoka-2026", "DARAJA_CERTIFICATE": certificate,
		"DARAJA_PAYOUT_MAX": "20000", "DARAJA_PAYOUT_DAILY": "100000",
	} {
		s.Set(name, value)
	}
	s.Appwrite.AddUser(fakeappwrite.User{ID: "zawadi", EmailVerification: true, Labels: []string{"payouts"}})
	s.Appwrite.AddSession(testbed.SessionOf("zawadi"), "zawadi")
	return s
}

func (s *shop) startPayOut(c *Client) *reader {
	s.t.Helper()
	return read(s.t, func(ctx context.Context) iter.Seq[State] {
		return c.PayOut(ctx, Payout{Phone: phoneA, Amount: 500, Remarks: "Salary of November"})
	})
}

// sent waits until Safaricom has so many payouts.
func (s *shop) sent(n int) {
	s.t.Helper()
	testbed.Until(s.t, "a payout", func() bool {
		named := 0
		for _, d := range s.Appwrite.Documents("daraja", "disbursements") {
			if d.Data["conversationId"] != nil {
				named++
			}
		}
		return named == n
	})
}

// TestPayOut has the ends of a payout.
func TestPayOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		code string
		want Name
		said string
	}{
		{"paid out", "0", Success, "Payout completed."},
		{"no M-Pesa", "2040", Failed, "Payout not completed: the receiver's number has no M-PESA."},
		{"not known", "17", Timeout, "We do not know yet whether the money was sent. Please make sure before you send it again."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newPayer(t)
			s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Payout: tt.code})
			r := s.startPayOut(s.client("zawadi"))
			if first := r.until(Initiating); first.Kind != parse.Disbursement || len(first.ID) != 36 || first.ID[14] != '4' {
				t.Errorf("the first state is %+v, want a UUID of version 4", first)
			}
			r.live()
			s.sent(1)
			s.Safaricom.Advance(time.Minute)
			got := r.until(tt.want)
			r.end()
			if got.Message(English) != tt.said || !strings.HasPrefix(got.CheckoutRequestID, "AG_") || got.Requested != 500 {
				t.Errorf("%+v says %q, want %q", got, got.Message(English), tt.said)
			}
			if paid := got.Receipt != "" && got.Amount == 500 && got.Receiver != ""; paid != (tt.want == Success) {
				t.Errorf("paid: %t: %+v", paid, got)
			}
			if got.NotEnoughFunds() || got.WrongPIN() {
				t.Error("it has the reasons of a payment")
			}
		})
	}
}

// TestPayOutRefused: nothing was sent, and the state says why.
func TestPayOutRefused(t *testing.T) {
	s := newPayer(t)
	got := s.startPayOut(s.client("amina")).until(Error)
	var refusal *Refusal
	if !errors.As(got.Err, &refusal) || refusal.Type != Forbidden || got.Message(English) != "The payout was not started. Your account may not do this." {
		t.Errorf("%v, %q", got.Err, got.Message(English))
	}
}

// TestPayOutLostReply: the same id is asked again, and one payout is sent.
func TestPayOutLostReply(t *testing.T) {
	s := newPayer(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
	r := s.startPayOut(s.client("zawadi"))
	r.wait("the trouble told", func(s State) bool { return s.Name == Pending && s.Err != nil })
	s.pass(2 * time.Second)
	testbed.Until(t, "a second ask", func() bool { return s.count("execute") == 2 })
	s.sent(1)
	s.Safaricom.Advance(time.Minute)
	r.until(Success)
	if n := len(s.Safaricom.Calls(fakesafaricom.B2C)); n != 1 {
		t.Errorf("%d payouts were sent, want 1", n)
	}
}

// TestPayOutResumed: after a restart it is found by its kind, and goes on. One in the way
// is gone on with.
func TestPayOutResumed(t *testing.T) {
	s := newPayer(t)
	s.Safaricom.Once(fakesafaricom.B2C, fakesafaricom.CallbackLost())
	r := s.startPayOut(s.client("zawadi"))
	id := r.live().ID
	s.sent(1)
	r.stop()
	<-r.ended
	c := s.client("zawadi")
	open, err := c.Pending(context.Background(), parse.Disbursement)
	if err != nil || len(open) != 1 || open[0].Kind != parse.Disbursement || open[0].ID != id {
		t.Fatalf("pending are %+v, %v, want the payout %s", open, err, id)
	}
	again := read(t, func(ctx context.Context) iter.Seq[State] { return c.Resume(ctx, parse.Disbursement, id) })
	again.live()
	other := s.startPayOut(c)
	if got := other.wait("the first one", func(s State) bool { return s.Instead }); got.ID != id {
		t.Errorf("it goes on with %s, want %s", got.ID, id)
	}
	s.clock.advance(2 * time.Minute)
	if got := other.until(Timeout); !got.MayPayAgain {
		t.Errorf("%+v, want that the person may pay again", got)
	}
	again.until(Timeout)
	if n := len(s.Safaricom.Calls(fakesafaricom.B2C)); n != 1 {
		t.Errorf("%d payouts were sent, want 1", n)
	}
}
