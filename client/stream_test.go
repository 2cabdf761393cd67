package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
)

// TestStates has every way in which a payment can end, from the press of a button to the
// phone and back.
func TestStates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer fakesafaricom.Answer
		want   Name
		said   string
		swahil string
		again  bool
		is     func(State) bool
	}{
		{"paid", fakesafaricom.Pays, Success, "Payment completed. Thank you.", "Malipo yamekamilika. Asante.", false, nil},
		{"too little money", fakesafaricom.NoMoney, Failed, "Payment not completed: your M-PESA balance is too low.", "Malipo hayakukamilika: salio halitoshi.", true, State.NotEnoughFunds},
		{"wrong PIN", fakesafaricom.WrongPIN, Failed, "Payment not completed: the PIN was wrong, or this number has no M-PESA.", "", true, State.WrongPIN},
		{"subscriber locked", "1001", Failed, "Payment not completed: another M-PESA transaction is open on your phone. Please try again in a minute.", "", true, State.SubscriberLocked},
		{"the same a moment ago", "17", Failed, "This request was not completed: the same amount was asked for a moment ago. Please check your M-PESA messages before you pay again.", "", false, nil},
		{"cancelled", fakesafaricom.Cancels, Cancelled, "Payment not completed: the request was cancelled or not answered.", "", true, nil},
		{"no answer", fakesafaricom.Silent, Timeout, "Your phone was not reached or did not answer. We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.", "", false, nil},
		{"a word", "BW-JMS-100039", Timeout, "We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.", "", false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: tt.answer})
			r := s.startPay(s.client("amina"), order(phoneA))
			if first := r.until(Initiating); first.ID == "" || first.Kind != parse.Payment {
				t.Errorf("the first state is %+v, want one with the id", first)
			}
			r.live()
			testbed.Until(t, "a prompt, or its refusal", func() bool { return len(s.Safaricom.Calls(fakesafaricom.Push)) == 1 })
			s.Safaricom.Advance(time.Minute)
			got := r.until(tt.want)
			r.end()
			if got.Reference != "ORDER-1" || got.Requested != 10 || got.StartedAt.IsZero() || got.SettledAt.IsZero() || got.CheckoutRequestID == "" {
				t.Errorf("the state lacks something: %+v", got)
			}
			if paid := got.Receipt != "" && got.Amount == 10 && !got.MpesaAt.IsZero(); paid != (tt.want == Success) {
				t.Errorf("paid: %t: %+v", paid, got)
			}
			if got := got.Message(English); got != tt.said {
				t.Errorf("it says %q, want %q", got, tt.said)
			}
			if got := got.Message(Swahili); tt.swahil != "" && got != tt.swahil {
				t.Errorf("it says %q, want %q", got, tt.swahil)
			}
			if got.AskAgain() != tt.again {
				t.Errorf("safe to ask again: %t, want %t", got.AskAgain(), tt.again)
			}
			for i, is := range []func(State) bool{State.NotEnoughFunds, State.WrongPIN, State.SubscriberLocked} {
				want := tt.is != nil && []string{"too little money", "wrong PIN", "subscriber locked"}[i] == tt.name
				if is(got) != want {
					t.Errorf("reason %d: %t, want %t", i, is(got), want)
				}
			}
		})
	}
}

// TestRefused has refusals to a first ask: nothing was sent, and the state says why.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(*shop)
		payment Payment
		want    RefusalType
		claimed bool
		said    string
	}{
		{"a wrong field", func(*shop) {}, order("12"), InvalidArgument, false, "The payment was not started. Please check number and amount."},
		{"not verified", func(s *shop) { s.Appwrite.AddUser(fakeappwrite.User{ID: "amina"}) }, order(phoneA), Forbidden, false, "The payment was not started. Your account may not do this."},
		{"a locked phone", func(s *shop) { s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Locked: true}) }, order(phoneA), Rejected, true, "The payment was not started. M-PESA refused the request."},
		{"not configured", func(s *shop) { s.Set("DARAJA_PASSKEY", "") }, order(phoneA), NotConfigured, false, "The payment was not started. Please try again later."},
		{"Safaricom away", func(s *shop) { s.Safaricom.Always(fakesafaricom.OAuth, fakesafaricom.HTML(503)) }, order(phoneA), Unavailable, true, "The payment was not started. Please try again later."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			tt.arrange(s)
			r := s.startPay(s.client("amina"), tt.payment)
			got := r.until(Error)
			r.end()
			var refusal *Refusal
			if !errors.As(got.Err, &refusal) || refusal.Type != tt.want || refusal.Claimed != tt.claimed {
				t.Fatalf("the error is %v, want %s, claimed %t", got.Err, tt.want, tt.claimed)
			}
			if tt.want == InvalidArgument && refusal.Fields["phone"] == "" {
				t.Errorf("fields %v, want phone among them", refusal.Fields)
			}
			if got.Message(English) != tt.said || !got.AskAgain() {
				t.Errorf("it says %q, ask again %t; want %q", got.Message(English), got.AskAgain(), tt.said)
			}
			if n := len(s.Safaricom.Prompts("")); n != 0 {
				t.Errorf("%d prompts were shown", n)
			}
		})
	}
}

// TestLostReply: no reply, an error of Appwrite's or a page instead of our JSON leave open
// what was sent. The same id is asked again, and one prompt is shown.
func TestLostReply(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeappwrite.Fault
	}{
		{"the reply torn off", fakeappwrite.Fault{After: true, Reply: fakeappwrite.Hangup()}},
		{"never arrived", fakeappwrite.Fault{Reply: fakeappwrite.Hangup()}},
		{"408 of the platform", fakeappwrite.Fault{After: true, Reply: fakeappwrite.Status(408, "function_synchronous_timeout", "x")}},
		{"no permission", fakeappwrite.Fault{Reply: fakeappwrite.Status(401, "user_unauthorized", "x")}},
		{"a proxy's page", fakeappwrite.Fault{After: true, Reply: fakeappwrite.HTML(502)}},
		{"an execution without our JSON", fakeappwrite.Fault{After: true, Reply: fakeappwrite.Empty(201)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			tt.fault.Operation, tt.fault.Times = "execute", 3
			s.Appwrite.Inject(tt.fault)
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: "realtime", Reply: fakeappwrite.HTML(502)}) // so that only asking tells
			r := s.startPay(s.client("amina"), order(phoneA))
			r.wait("the trouble told", func(s State) bool { return s.Name == Pending && s.Err != nil })
			testbed.Until(t, "a fourth ask", func() bool {
				s.clock.advance(100 * time.Millisecond)
				return s.count("execute") == 4
			})
			testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
			s.Pay(longA) // of one prompt
			s.clock.advance(30 * time.Second)
			if got := r.until(Success); got.Receipt == "" {
				t.Errorf("the state is %+v, want a receipt", got)
			}
			r.end()
		})
	}
}

// TestAsksAgain: 2, 5 and 10 s after an ask that had no answer, and not once more. After
// the last ask without an answer the stream goes on to look, and at
// last it says that nothing is known.
func TestAsksAgain(t *testing.T) {
	s := newShop(t)
	for _, code := range []int{500, 502, 503, 504} { // each is told, so that the test sees when it has come
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, Reply: fakeappwrite.HTML(code)})
	}
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Reply: fakeappwrite.HTML(505)})
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008}) // for good, so that nobody else waits
	r := s.startPay(s.client("amina"), order(phoneA))
	r.wait("the first one told", isTrouble(500))
	s.pass(2 * time.Second)
	r.wait("the second one told", isTrouble(502))
	s.pass(3 * time.Second) // the first read
	s.pass(2 * time.Second)
	r.wait("the third one told", isTrouble(503))
	s.pass(3 * time.Second) // the second read
	testbed.Until(t, "two reads", func() bool { return s.reads() == 2 })
	s.pass(7 * time.Second)
	r.wait("the fourth one told", isTrouble(504))
	testbed.Until(t, "a read after the last ask", func() bool { return s.reads() == 3 })
	s.pass(3 * time.Second) // the read of 20 s, and no more asks
	if n := s.count("execute"); n != 4 {
		t.Errorf("%d asks, want 4", n)
	}
	s.clock.advance(2 * time.Minute)
	got := r.until(Timeout)
	r.end()
	if got.MayPayAgain || got.AskAgain() || strings.Contains(got.Message(English), "not completed") {
		t.Errorf("%+v says %q: nothing is known", got, got.Message(English))
	}
}

// TestRefusalsUnheard: what was refused says so in its document, if no reply ever comes.
func TestRefusalsUnheard(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{"lost": fakeappwrite.HTML(502), "late": fakeappwrite.Hang()} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Locked: true})
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", After: true, Reply: fault})
			r := s.startPay(s.client("amina"), order(phoneA))
			r.until(Initiating)
			testbed.Until(t, "the refusal", func() bool { return len(s.Stored()) == 1 && s.Stored()[0].Data["status"] == "FAILED" })
			if name == "late" {
				s.clock.advance(2 * time.Minute) // the ask goes on for as long as nobody ends it
			} else {
				r.wait("the trouble told", func(s State) bool { return s.Name == Pending && s.Err != nil })
				testbed.Until(t, "a fourth ask", func() bool {
					s.clock.advance(100 * time.Millisecond)
					return s.count("execute") == 4
				})
			}
			if got := r.until(Failed); got.Reason == "" || !got.AskAgain() {
				t.Errorf("%+v, want Safaricom's words", got)
			}
			r.end()
		})
	}
}

// TestLookAgain: what was read before the payment is no answer to a question after it.
func TestLookAgain(t *testing.T) {
	s := newShop(t)
	s.pending()
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008})
	c := s.client("amina")
	first := c.hold(func(r *http.Request, _ string) bool { return strings.HasSuffix(r.URL.Path, someID) })
	r := s.startResume(c, someID)
	<-first.came
	r.wait("Realtime's refusal", func(s State) bool { return s.Err != nil })
	s.paid()
	c.Wake()
	testbed.Until(t, "the waking is heard", func() bool {
		c.realtime.mu.Lock()
		defer c.realtime.mu.Unlock()
		for f := range c.realtime.feeds {
			return !f.news.read && len(f.changed) == 0
		}
		return false
	})
	close(first.goOn)
	r.until(Success)
}

// held is the first reply to some request, which is held back.
type held struct {
	http.RoundTripper
	is         func(*http.Request, string) bool
	once       sync.Once
	came, goOn chan struct{}
}

// hold makes the client wait for the first reply to a request that is so.
func (c *Client) hold(is func(r *http.Request, body string) bool) *held {
	h := &held{RoundTripper: c.http.Transport, is: is, came: make(chan struct{}), goOn: make(chan struct{})}
	c.http.Transport = h
	return h
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.GetBody != nil {
		if reader, err := r.GetBody(); err == nil {
			content, _ := io.ReadAll(reader)
			body = string(content)
		}
	}
	response, err := h.RoundTripper.RoundTrip(r)
	if h.is(r, body) {
		h.once.Do(func() {
			close(h.came)
			<-h.goOn
		})
	}
	return response, err
}

// TestStale: what was asked about the payment that was refused comes late, when the stream
// has gone on with the one in the way. It says nothing about that.
func TestStale(t *testing.T) {
	for name, is := range map[string]func(r *http.Request, body string) bool{
		"read":  func(r *http.Request, _ string) bool { return strings.Contains(r.URL.Path, "/payments/documents/") },
		"check": func(_ *http.Request, body string) bool { return strings.Contains(body, "/stk/check") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			a := s.startPay(s.client("amina"), order(phoneA))
			a.live()
			testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
			s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008})
			c := s.client("amina")
			push := c.hold(func(_ *http.Request, body string) bool { return strings.Contains(body, "/stk/push") })
			late := c.hold(is)
			b := s.startPay(c, order(phoneA))
			<-push.came // it was refused, which the client has not heard
			if name == "check" {
				s.clock.advance(time.Minute)
			} else {
				c.Wake()
			}
			<-late.came
			close(push.goOn)
			b.wait("the other one", func(s State) bool { return s.Instead })
			close(late.goOn)
			b.wait("the other one's document", func(s State) bool { return s.Requested == 10 })
			s.Pay(longA)
			c.Wake()
			b.until(Success)
		})
	}
}

// TestHeld: the function's word on the payment that was refused comes before the refusal, and
// its read after. The word says nothing about the payment in the way.
func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ended bool // the time is up
		want  State
	}{
		{"in time", false, State{Name: Pending}},
		{"at the end", true, State{Name: Timeout, MayPayAgain: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.pending()
			c := s.client("amina")
			ctx, cancel := context.WithCancel(context.Background())
			b := c.newStream(State{Name: Pending, Kind: parse.Payment, ID: "000000000000000000b1"})
			b.ctx, b.asking, b.unasked = ctx, true, 1
			b.feed = c.realtime.join("payments", b.state.ID)
			defer func() {
				cancel()
				b.calls.Wait()
				c.realtime.leave(b.feed)
			}()
			b.hold(reply{status: parse.Failed}) // of a check; it has the document read
			b.ended = tt.ended
			b.asked(reply{refusal: &Refusal{Type: Busy, Claimed: true, ID: someID}}, nil)
			for range 2 { // the read of the refused one, and that of the one in the way
				(<-b.results)()
			}
			got := b.state
			if got.ID != someID || got.Requested != 10 || got.Name != tt.want.Name || got.MayPayAgain != tt.want.MayPayAgain {
				t.Errorf("%s of %s, may pay again %t; want %s of %s, %t", got.Name, got.ID, got.MayPayAgain, tt.want.Name, someID, tt.want.MayPayAgain)
			}
		})
	}
}

// TestPendingList: the newest first, and payments alone, of a project that pays nothing out.
func TestPendingList(t *testing.T) {
	s := newShop(t)
	s.start("000000000000000000b1")
	s.Clock.MoveTo(s.Clock.Now().Add(time.Second))
	s.start("000000000000000000a1")
	s.Appwrite.Do(func() { delete(s.Appwrite.Databases["daraja"].Collections, "disbursements") })
	open, err := s.client("amina").Pending(context.Background(), parse.Payment)
	if err != nil || len(open) != 2 || open[0].ID != "000000000000000000a1" {
		t.Errorf("%+v, %v; want two, and the newest first", open, err)
	}
	s.Appwrite.Do(func() { delete(s.Appwrite.Databases["daraja"].Collections, "payments") })
	if _, err := s.client("amina").Pending(context.Background(), parse.Payment); err == nil {
		t.Error("no error without a collection of payments")
	}
}

// isTrouble reports whether a state tells of this answer of Appwrite.
func isTrouble(code int) func(State) bool {
	return func(s State) bool {
		var failed *AppwriteError
		return s.Name == Pending && errors.As(s.Err, &failed) && failed.Status == code
	}
}

// TestLaterRefusals: when an earlier ask had no answer, a refusal ends the stream only if it
// says that it has closed the document itself.
func TestLaterRefusals(t *testing.T) {
	t.Run("not claimed", func(t *testing.T) {
		s := newShop(t)
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
		r := s.startPay(s.client("amina"), order(phoneA))
		r.wait("the trouble told", func(s State) bool { return s.Name == Pending && s.Err != nil })
		s.Set("DARAJA_PASSKEY", "") // what it now refuses was sent all the same
		s.clock.advance(2 * time.Second)
		var refusal *Refusal
		got := r.wait("the refusal told", func(s State) bool { return errors.As(s.Err, &refusal) })
		if got.Name != Pending || refusal.Type != NotConfigured {
			t.Errorf("%s %v, want it pending, and not_configured", got.Name, got.Err)
		}
		s.Set("DARAJA_PASSKEY", "passkey")
		s.Pay(longA)
		r.until(Success)
	})
	t.Run("claimed", func(t *testing.T) {
		s := newShop(t)
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, Reply: fakeappwrite.Hangup()}) // it never came
		s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Locked: true})
		r := s.startPay(s.client("amina"), order(phoneA))
		r.wait("the trouble told", func(s State) bool { return s.Name == Pending && s.Err != nil })
		s.clock.advance(2 * time.Second)
		if got := r.until(Error); !strings.Contains(got.Err.Error(), "rejected") {
			t.Errorf("%v, want rejected", got.Err)
		}
		r.end()
	})
	t.Run("ranged over twice", func(t *testing.T) {
		s := newShop(t)
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, After: true, Reply: fakeappwrite.Hangup()})
		ctx, end := context.WithCancel(context.Background())
		stream := s.client("amina").Pay(ctx, order(phoneA))
		var id string
		for state := range stream {
			id = state.ID
			if state.Name == Pending && state.Err != nil {
				break
			}
		}
		s.Set("DARAJA_PASSKEY", "")
		r := read(t, func(done context.Context) iter.Seq[State] {
			go func() { <-done.Done(); end() }()
			return stream
		})
		if got := r.wait("the refusal told", func(s State) bool { return s.Err != nil }); got.Name != Pending || got.ID != id {
			t.Errorf("%s %s %v, want %s pending", got.Name, got.ID, got.Err, id)
		}
		s.Set("DARAJA_PASSKEY", "passkey")
		s.Pay(longA)
		r.until(Success)
	})
}

// TestNothingIsSentBeforeTheID: the reader has the id before the function hears of it.
func TestNothingIsSentBeforeTheID(t *testing.T) {
	s := newShop(t)
	for state := range s.client("amina").Pay(context.Background(), order(phoneA)) {
		if state.Name != Initiating || state.ID == "" {
			t.Errorf("the first state is %+v", state)
		}
		break
	}
	if n := s.count("execute"); n != 0 {
		t.Errorf("%d asks, want none before the loop goes on", n)
	}
}

// TestInTheWay: another payment of the same user stands in the way, and the stream goes on
// with that one. Only the person may pay again.
func TestInTheWay(t *testing.T) {
	t.Run("open", func(t *testing.T) {
		s := newShop(t)
		c := s.client("amina")
		a := s.startPay(c, order(phoneA))
		id := a.live().ID
		testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
		b := s.startPay(c, Payment{Phone: phoneA, Amount: 20, Reference: "ORDER-2"})
		got := b.wait("the other one", func(s State) bool { return s.Instead && s.Requested != 0 })
		if got.ID != id || got.Name != Pending || got.Requested != 10 || got.Reference != "ORDER-1" {
			t.Errorf("the stream goes on with %+v, want that of %s", got, id)
		}
		s.Pay(longA)
		if got := b.until(Success); !got.Instead || got.ID != id || got.MayPayAgain {
			t.Errorf("it ends with %+v", got)
		}
		a.until(Success)
		// A program that has kept the first id alone is not told that it may pay once more.
		refused := s.startResume(c, b.seen[0].ID).until(Failed)
		if refused.AskAgain() || !strings.Contains(refused.Message(English), "another payment was still open") {
			t.Errorf("the one that was refused says %q, safe to ask again: %t", refused.Message(English), refused.AskAgain())
		}
	})
	t.Run("not known", func(t *testing.T) {
		s := newShop(t)
		c := s.client("amina")
		s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: fakesafaricom.Unreachable})
		a := s.startPay(c, order(phoneA))
		a.live()
		testbed.Until(t, "the push", func() bool { return len(s.Safaricom.Calls(fakesafaricom.Push)) == 1 })
		s.Safaricom.Advance(time.Minute)
		if got := a.until(Timeout); got.MayPayAgain {
			t.Error("the first one may be paid again")
		}
		s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: fakesafaricom.Asks})
		b := s.startPay(c, order(phoneA))
		got := b.until(Timeout)
		b.end()
		if !got.MayPayAgain || !got.Instead || got.ID != a.seen[0].ID {
			t.Errorf("it ends with %+v, want that it may be paid again", got)
		}
		if n := len(s.Safaricom.Prompts(longA)); n != 0 {
			t.Errorf("%d prompts, want none unless the person says so", n)
		}
		again := order(phoneA)
		again.Again = true
		d := s.startPay(c, again)
		d.live()
		testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
		s.Pay(longA)
		d.until(Success)
	})
	t.Run("open for too long", func(t *testing.T) {
		s := newShop(t)
		c := s.client("amina")
		a := s.startPay(c, order(phoneA))
		a.live()
		b := s.startPay(c, order(phoneA))
		b.wait("the other one", func(s State) bool { return s.Instead && s.Requested != 0 })
		s.clock.advance(2 * time.Minute)
		if got := b.until(Timeout); !got.MayPayAgain {
			t.Errorf("it ends with %+v, want that it may be paid again", got)
		}
	})
	t.Run("another user's", func(t *testing.T) {
		s := newShop(t)
		s.SignUp("juma")
		a := s.startPay(s.client("juma"), order(phoneA))
		a.live()
		testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
		got := s.startPay(s.client("amina"), order(phoneA)).until(Error)
		var refusal *Refusal
		if !errors.As(got.Err, &refusal) || refusal.Type != Busy || refusal.ID != "" || refusal.RetryAfter <= 0 {
			t.Errorf("%+v, want busy, and when to try again", got.Err)
		}
	})
}

// TestSchedule: without Realtime the document is read at set times, the function is asked
// to check, and after two minutes the stream ends, in words that do not say "failed".
func TestSchedule(t *testing.T) {
	s := newShop(t)
	s.pending()
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008}) // for good, so that nobody else waits
	for i := range 4 {                                          // each is told, so that the test sees when it has come
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, Reply: fakeappwrite.HTML(500 + i)})
	}
	r := s.startResume(s.client("amina"), someID)
	r.wait("Realtime's refusal", func(s State) bool { return s.Name == Pending && s.Err != nil })
	reads, checks := 1, 0
	for _, wait := range []time.Duration{5, 5, 10, 10, 15} { // to 5, 10, 20, 30 and 45 s
		s.pass(wait * time.Second)
		reads++
		testbed.Until(t, "a read", func() bool { return s.reads() >= reads })
	}
	for range 4 { // to 60, 75, 90 and 105 s
		s.pass(15 * time.Second)
		r.wait("the outcome of a check", isTrouble(500+checks))
		checks++
	}
	s.pass(15 * time.Second)
	got := r.until(Timeout)
	r.end()
	if s.reads() != reads+1 || s.count("execute") != checks {
		t.Errorf("%d reads and %d checks, want %d and a last one, and %d", s.reads(), s.count("execute"), reads, checks)
	}
	if said := got.Message(English) + got.Message(Swahili); strings.Contains(said, "not completed") || strings.Contains(said, "hayakukamilika") {
		t.Errorf("it says %q: nothing is known", said)
	}
}

// TestNotAfterSleep: the machine slept before an ask was answered. Hours later no phone is
// asked any more, and what is known is said.
func TestNotAfterSleep(t *testing.T) {
	s := newShop(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "execute", Times: 1, Reply: fakeappwrite.HTML(502)})
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008}) // for good, so that nobody else waits
	r := s.startPay(s.client("amina"), order(phoneA))
	r.wait("the trouble told", isTrouble(502))
	s.clock.sleep(2 * time.Hour)
	s.pass(2 * time.Second)
	r.until(Timeout)
	r.end()
	if n := s.count("execute"); n != 1 {
		t.Errorf("%d asks, want 1", n)
	}
	if n := len(s.Safaricom.Prompts(longA)); n != 0 {
		t.Errorf("%d prompts, want none", n)
	}
}

// TestVerdictReadLater: a check's reply says SUCCESS, and the read of the receipt fails. It
// is read once more while there is time; at the end the reply's word is what is known.
func TestVerdictReadLater(t *testing.T) {
	s := newShop(t)
	s.pending()
	s.paid()
	c := s.client("amina")
	ctx, cancel := context.WithCancel(context.Background())
	r := c.newStream(State{Name: Pending, Kind: parse.Payment, ID: someID})
	r.ctx, r.began, r.onWall = ctx, s.clock.now(), s.clock.wall()
	defer func() { cancel(); r.calls.Wait() }()

	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Times: 1, Reply: fakeappwrite.HTML(503)})
	r.hold(reply{status: parse.Success})
	(<-r.results)()
	if r.state.Name != Pending {
		t.Fatalf("without a read it says %+v", r.state)
	}
	if due := r.next().Sub(s.clock.now()); due != 2*time.Second {
		t.Fatalf("it is read again after %s, want 2 s", due)
	}
	s.clock.advance(2 * time.Second)
	r.onTime()
	(<-r.results)()
	if r.state.Name != Success || r.state.Receipt == "" || r.state.Amount == 0 {
		t.Errorf("it says %+v, want receipt and amount", r.state)
	}

	r.state, r.ended = State{Name: Pending, Kind: parse.Payment, ID: someID}, true
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Times: 1, Reply: fakeappwrite.HTML(503)})
	r.hold(reply{status: parse.Success})
	(<-r.results)()
	if r.state.Name != Success {
		t.Errorf("in the end it says %+v", r.state)
	}
}

// TestLastLook: a program that slept through everything says what is known by then.
func TestLastLook(t *testing.T) {
	s := newShop(t)
	s.pending()
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Forget: true})
	r := s.startResume(s.client("amina"), someID)
	r.live()
	s.paid()
	s.clock.advance(time.Hour)
	r.until(Success)
}

// TestCheckFindsIt: the callback never comes; the function asks Safaricom.
func TestCheckFindsIt(t *testing.T) {
	s := newShop(t)
	s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: fakesafaricom.Cancels})
	s.Safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLost())
	ago := time.Now().Add(-30 * time.Second) // nobody is asked about a document that was changed just now
	s.Appwrite.Now = func() time.Time { return ago }
	r := s.startPay(s.client("amina"), order(phoneA))
	r.live()
	testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
	testbed.Until(t, "the push's reply", func() bool {
		d := s.Stored()
		return len(d) == 1 && d[0].Data["checkoutRequestId"] != ""
	})
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Forget: true}) // what is said then is in the reply
	s.Safaricom.Advance(40 * time.Second)
	s.clock.advance(60 * time.Second)
	r.until(Cancelled)
	r.end()
}

// TestEventBeforeReply: the phone was quicker than Safaricom's own answer.
func TestEventBeforeReply(t *testing.T) {
	s := newShop(t)
	s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: fakesafaricom.Pays})
	s.Safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackBeforeAck())
	r := s.startPay(s.client("amina"), order(phoneA))
	r.live()
	testbed.Until(t, "the push", func() bool { return len(s.Safaricom.Calls(fakesafaricom.Push)) == 1 })
	s.Safaricom.Advance(20 * time.Second)
	if got := r.until(Success); got.Receipt == "" {
		t.Errorf("%+v, want a receipt", got)
	}
	r.end()
}

// TestFailureBeforeReply: a failure that a callback told is no refusal, whose reply would
// have to be waited for.
func TestFailureBeforeReply(t *testing.T) {
	s := newShop(t)
	s.Safaricom.SetPhone(longA, fakesafaricom.Phone{Answer: fakesafaricom.WrongPIN})
	c := s.client("amina")
	push := c.hold(func(_ *http.Request, body string) bool { return strings.Contains(body, "/stk/push") })
	r := s.startPay(c, order(phoneA))
	<-push.came
	s.Safaricom.Advance(time.Minute)
	if got := r.until(Failed); !got.WrongPIN() {
		t.Errorf("%+v, want a wrong PIN", got)
	}
	close(push.goOn)
	r.end()
}

// TestKilled: the program ends, and a new one goes on with what the database remembers.
func TestKilled(t *testing.T) {
	s := newShop(t)
	r := s.startPay(s.client("amina"), order(phoneA))
	id := r.live().ID
	testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
	r.stop()
	<-r.ended

	c := s.client("amina")
	open, err := c.Pending(context.Background(), parse.Payment)
	if err != nil {
		t.Fatal(err)
	}
	if len(open) != 1 || open[0].ID != id || open[0].Name != Pending || open[0].Reference != "ORDER-1" || open[0].Requested != 10 {
		t.Fatalf("pending are %+v, want the one of %s", open, id)
	}
	again := s.startResume(c, id)
	if first := again.wait("the first state", func(State) bool { return true }); first.Name != Idle {
		t.Errorf("the first state is %s, want idle", first.Name)
	}
	again.live()
	s.Pay(longA)
	again.until(Success)
	if n := len(s.Safaricom.Prompts("")); n != 1 {
		t.Errorf("%d prompts, want 1", n)
	}
	if open, err := c.Pending(context.Background(), parse.Payment); err != nil || len(open) != 0 {
		t.Errorf("still pending: %v %v", open, err)
	}
	// And when it is over, it can still be looked at.
	if got := s.startResume(c, id).until(Success); got.Receipt == "" {
		t.Errorf("%+v, want a receipt", got)
	}
}

// TestUnknownID: nothing is known, and nothing is claimed of it.
func TestUnknownID(t *testing.T) {
	s := newShop(t)
	r := s.startResume(s.client("amina"), someID)
	var failed *AppwriteError
	got := r.wait("the trouble", func(s State) bool { return s.Err != nil })
	if got.Name != Idle || !errors.As(got.Err, &failed) || failed.Status != http.StatusNotFound || failed.Type != "document_not_found" {
		t.Errorf("%s %v, want idle and 404", got.Name, got.Err)
	}
	s.clock.advance(2 * time.Minute)
	r.until(Timeout)
}

// TestSideBySide: two streams of one client, each with its own payment.
func TestSideBySide(t *testing.T) {
	s := newShop(t)
	c := s.client("amina")
	a, b := s.startPay(c, order(phoneA)), s.startPay(c, order(phoneB))
	a.live()
	b.live()
	testbed.Until(t, "both prompts", func() bool { return len(s.Safaricom.Prompts("")) == 2 })
	if n := s.Appwrite.Sockets(); n != 1 {
		t.Errorf("%d sockets, want one for both", n)
	}
	if err := s.Safaricom.Cancel(s.Prompt(longA)); err != nil {
		t.Fatal(err)
	}
	s.Safaricom.Advance(2 * time.Second)
	a.until(Cancelled)
	a.end()
	s.Pay(longB)
	b.until(Success)
	b.end()
	testbed.Until(t, "no socket", func() bool { return s.Appwrite.Sockets() == 0 })
}

// TestSlowReader: nobody waits for a reader that does not read, and it misses nothing that
// matters.
func TestSlowReader(t *testing.T) {
	s := newShop(t)
	c := s.client("amina")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reading, goOn := make(chan State), make(chan struct{})
	var got []State
	ended := make(chan struct{})
	s.pending()
	go func() {
		defer close(ended)
		for state := range c.Resume(ctx, parse.Payment, someID) {
			got = append(got, state)
			if state.Name == Pending && state.Live && goOn != nil {
				reading <- state
				<-goOn
				goOn = nil
			}
		}
	}()
	<-reading
	quick := s.startResume(c, someID)
	quick.live()
	for i := range 500 {
		s.write(http.MethodPatch, someID, map[string]any{"failureReason": strings.Repeat("x", i%9+1)})
	}
	s.paid()
	s.write(http.MethodPatch, someID, map[string]any{"status": "TIMEOUT"}) // nothing does; it must not count
	quick.until(Success)
	s.Appwrite.DropSockets() // after the event, before its reader has it
	testbed.Until(t, "no socket", func() bool { return s.Appwrite.Sockets() == 0 })
	close(goOn)
	<-ended
	if last := got[len(got)-1]; last.Name != Success || last.Receipt == "" {
		t.Errorf("it ends with %+v, want a receipt", last)
	}
}

// TestContext: the end of the context ends the stream without a word, and the payment
// stays.
func TestContext(t *testing.T) {
	s := newShop(t)
	r := s.startPay(s.client("amina"), order(phoneA))
	r.live()
	r.stop()
	<-r.ended
	for state := range r.states {
		if state.Final() {
			t.Errorf("%s was said", state.Name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for state := range s.client("amina").Pay(ctx, order(phoneB)) {
		t.Errorf("%s was said of a stream that ended before it began", state.Name)
	}
	if n := len(s.Safaricom.Prompts(longB)); n != 0 {
		t.Errorf("%d prompts, want none", n)
	}
}

// TestWake: back in the foreground, all is read at once, and Realtime connected.
func TestWake(t *testing.T) {
	t.Run("reads", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008})
		c := s.client("amina")
		r := s.startResume(c, someID)
		r.until(Pending)
		s.paid()
		c.Wake()
		r.until(Success)
	})
	t.Run("connects", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: "realtime", Times: 1, Reply: fakeappwrite.HTML(502)})
		c := s.client("amina")
		r := s.startResume(c, someID)
		testbed.Until(t, "the wait for another try", func() bool { return s.clock.waitsFor(time.Second) })
		c.Wake()
		r.live()
	})
}

// TestNothingIsLeft: when the loop has ended no call of the stream is under way.
func TestNothingIsLeft(t *testing.T) {
	s := newShop(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Reply: fakeappwrite.Hang()})
	c := s.client("amina")
	calls := &counting{RoundTripper: c.http.Transport}
	c.http.Transport = calls
	for range 20 {
		r := s.startResume(c, someID)
		testbed.Until(t, "a call", func() bool { return calls.underWay.Load() > 0 })
		r.stop()
		<-r.ended
		if n := calls.underWay.Load(); n != 0 {
			t.Fatalf("%d calls are under way", n)
		}
	}
}

// counting counts the calls that are under way.
type counting struct {
	http.RoundTripper
	underWay atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	return c.RoundTripper.RoundTrip(r)
}

// TestThousand: so many streams at once share one connection, and leave nothing behind.
func TestThousand(t *testing.T) {
	const streams = 1000
	s := newShop(t)
	c := s.client("amina")
	r := s.startPay(c, order(phoneB)) // what stays from a first time is no leak
	r.live()
	r.stop()
	<-r.ended
	idle := func() int {
		c.http.CloseIdleConnections()
		return runtime.NumGoroutine()
	}
	testbed.Until(t, "no socket", func() bool { return s.Appwrite.Sockets() == 0 })
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, heapBefore := idle(), heap()
	ids := make([]string, streams)
	for i := range ids {
		ids[i] = fmt.Sprintf("%020x", i)
		s.start(ids[i])
	}
	var wait sync.WaitGroup
	live, done := make(chan string, streams), make([]State, streams)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range ids {
		wait.Add(1)
		go func() {
			defer wait.Done()
			told := false
			for state := range c.Resume(ctx, parse.Payment, ids[i]) {
				done[i] = state
				if state.Name == Pending && state.Live && !told {
					told = true
					live <- ids[i]
				}
			}
		}()
	}
	for range ids {
		<-live
	}
	testbed.Until(t, "all reads", func() bool { return s.reads() >= streams })
	if n := s.Appwrite.Sockets(); n != 1 {
		t.Errorf("%d sockets, want 1", n)
	}
	t.Logf("%d streams: %d goroutines (%d before), %.1f MiB of heap (%.1f before)", streams,
		runtime.NumGoroutine(), before, float64(heap())/(1<<20), float64(heapBefore)/(1<<20))
	for _, id := range ids {
		s.write(http.MethodPatch, id, paidData())
	}
	wait.Wait()
	for i, state := range done {
		if state.Name != Success || state.ID != ids[i] {
			t.Fatalf("stream %d ended with %s of %s", i, state.Name, state.ID)
		}
	}
	testbed.Until(t, "all goroutines gone", func() bool { return idle() <= before })
	s.Appwrite.Reset()
	if after := heap(); after > heapBefore+6<<20 { // the fake has 1,000 documents more
		t.Errorf("%d bytes of heap, and %d before", after, heapBefore)
	}
	t.Logf("afterwards: %d goroutines, %.1f MiB of heap, the fake's 1,000 documents included", idle(), float64(heap())/(1<<20))
}
