package fakesafaricom

import (
	"fmt"
	"slices"
	"time"
)

// An Answer is what a phone does with a prompt: one of those named here, or any
// other result code, with which the transaction then ends.
type Answer string

const (
	Pays        Answer = "0"
	Cancels     Answer = "1032"
	WrongPIN    Answer = "2001"
	NoMoney     Answer = "1"
	Silent      Answer = "1037"
	Unreachable Answer = "unreachable" // 1037 without a prompt: the phone is off
	Expires     Answer = "1019"
	BadDebt     Answer = "E3008"
	Asks        Answer = "asks" // whoever calls Pay, Cancel or Ignore
)

// Phone is a subscriber. The zero Phone pays.
type Phone struct {
	Answer Answer        // to a prompt; empty means Pays
	After  time.Duration // from the push to the answer; 0 means what was observed
	PIN    string        // for Pay; empty means 1234
	Locked bool          // in another session: every push is refused
	Name   string        // of its owner, who is shown in payouts
	Payout string        // the code with which a payout to it ends; empty means 0
}

// SetPhone says how a number (2547… or 2541…) answers from now on.
func (s *Safaricom) SetPhone(number string, p Phone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phones[number] = p
}

func (s *Safaricom) phone(number string) Phone {
	p, ok := s.phones[number]
	if !ok {
		p = s.Strangers
	}
	if p.Answer == "" {
		p.Answer = Pays
	}
	if p.PIN == "" {
		p.PIN = "1234"
	}
	if p.Name == "" {
		p.Name = "Jane WANJIKU"
	}
	return p
}

// outcome is how a push ends.
type outcome struct {
	code, desc string
	after      time.Duration // from the push
	queryAfter time.Duration // when a query knows it before it has ended; 0 means never
	noPrompt   bool
	noCallback bool
	twice      bool // its callback
}

// promptLife is how long a prompt waits for [Safaricom.Pay]: a minute, the time
// that is to pass between requests to one subscriber (documented).
const promptLife = time.Minute

// outcome returns what is known of an answer: the text, and the time that it
// takes (observed unless it says otherwise).
func (a Answer) outcome() outcome {
	o := outcome{code: string(a), desc: "The transaction has failed.", after: 12 * time.Second}
	switch a {
	case Pays, "": // a query says 4999 at 10 s and 0 at 17 s; 6 to 20 s to the callback
		o.code, o.desc = "0", "The service request is processed successfully."
	case Cancels: // a query says nothing at 13 s and 1032 at 27 s
		o.desc, o.after = "Request Cancelled by user.", 20*time.Second
	case WrongPIN: // or not a customer of M-Pesa
		o.desc = "The initiator information is invalid."
	case NoMoney:
		o.desc = "The balance is insufficient for the transaction."
	case Silent: // a query knows it by 14 s, the callback comes at 26 s
		o.desc, o.after, o.queryAfter = "No response from user.", 25*time.Second, 14*time.Second
	case Unreachable:
		o = Silent.outcome()
		o.desc, o.noPrompt = "DS timeout user cannot be reached", true
	case Asks: // nobody did
		o = Silent.outcome()
		o.after, o.queryAfter = promptLife, 0
	case Expires: // 78 s in the median, and twice in 58 of 100
		o.desc, o.after, o.twice = "Transaction has expired", 77*time.Second, true
	case BadDebt: // seen in a query alone, from 10 s on
		o.desc, o.after, o.noCallback = "Error, the user has a bad debt contract.", 10*time.Second, true
	case "11":
		o.desc = "The DebitParty is in an invalid state."
	case "17": // whether a prompt is shown is not known
		o.desc, o.after, o.noPrompt = "Rule limited.", 3*time.Second, true
	case "1001":
		o.desc, o.after, o.noPrompt = "Unable to lock subscriber.", 3*time.Second, true
	case "1025": // the prompt was not sent
		o.desc, o.after, o.noPrompt = "Error Occurred while sending push request", 3*time.Second, true
	case "1031": // the wording of 2020 and 2021
		o.desc = "Request cancelled by user"
	case "2026":
		o.desc = "The channel session ID has expired."
	case "2028": // documented
		o.desc, o.after, o.noPrompt = "The request is not permitted according to product assignment.", 3*time.Second, true
	case "8006":
		o.desc = "The security credential is locked."
	case "SFC_IC0003":
		o.desc, o.after, o.noPrompt = "The operator does not exist.", 3*time.Second, true
	case "BW-JMS-100039":
		o.desc = "There was an unexpected error while sending a message."
	}
	return o
}

// A Prompt is a request for a payment on a phone's screen.
type Prompt struct {
	CheckoutRequestID string
	MerchantRequestID string
	Business          string // the merchant's name
	Shortcode         string // who is paid: pay bill or till
	Phone             string
	Amount            int64 // whole shillings
	Reference         string
	Description       string
	CallBackURL       string
	At                time.Time // when it appeared
	Open              bool      // it can be answered
	Code              string    // the result, empty until there is one
}

// Prompts returns what was shown on a phone, or on all for an empty number, oldest
// first.
func (s *Safaricom) Prompts(number string) []Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	var prompts []Prompt
	for _, p := range s.pushes {
		if p.shown && (number == "" || p.Phone == number) {
			prompts = append(prompts, p.Prompt)
		}
	}
	return prompts
}

// OnPrompt has f called for each prompt that appears or changes, before the push
// is acknowledged, until stop is called. f must not block; it may call Safaricom's
// methods, but for Advance.
func (s *Safaricom) OnPrompt(f func(Prompt)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, &f)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = slices.DeleteFunc(s.watchers, func(w *func(Prompt)) bool { return w == &f })
	}
}

func (s *Safaricom) changed(p *push) {
	if p.shown {
		s.changes = append(s.changes, p.Prompt)
	}
}

// busy reports whether a push to the phone has not ended.
func (s *Safaricom) busy(number string) bool {
	return slices.ContainsFunc(s.pushesTo[number], func(p *push) bool { return p.Code == "" })
}

// Pay answers an open prompt with a PIN. With a wrong one the transaction fails.
// It is an error if no such prompt is open.
func (s *Safaricom) Pay(checkoutRequestID, pin string) error {
	return s.respond(checkoutRequestID, func(p *push) {
		answer := Pays
		if pin != s.phone(p.Phone).PIN {
			answer = WrongPIN
		}
		s.finish(p, answer.outcome())
	})
}

// Cancel answers an open prompt with a no.
func (s *Safaricom) Cancel(checkoutRequestID string) error {
	return s.respond(checkoutRequestID, func(p *push) { s.finish(p, Cancels.outcome()) })
}

// Ignore puts the phone away. The prompt cannot be answered any more and ends with
// the time that it had.
func (s *Safaricom) Ignore(checkoutRequestID string) error {
	return s.respond(checkoutRequestID, func(p *push) {
		p.Open = false
		s.changed(p)
	})
}

func (s *Safaricom) respond(id string, f func(*push)) (err error) {
	s.locked(func() {
		if p := s.pushByID[id]; p != nil && p.Open {
			f(p)
		} else {
			err = fmt.Errorf("fakesafaricom: no open prompt %s", id)
		}
	})
	return err
}
