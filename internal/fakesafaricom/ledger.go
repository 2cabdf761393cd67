package fakesafaricom

import (
	"slices"
	"time"
)

// A Kind is what an [Entry] of the ledger says.
type Kind string

const (
	Prompted Kind = "prompted" // a prompt was shown; no money moved
	Paid     Kind = "paid"     // a phone paid a merchant
	PaidOut  Kind = "paid out" // a merchant paid a phone
)

// An Entry is one thing that happened.
type Entry struct {
	Kind      Kind
	At        time.Time
	ID        string // CheckoutRequestID, or the OriginatorConversationID that the caller gave
	Receipt   string // empty for a prompt
	Shortcode string // the merchant's: pay bill, till or account of payouts
	Phone     string
	Amount    int64  // whole shillings
	Reference string // AccountReference; Remarks of a payout
	URL       string // where the result is posted, lost or not
}

// record adds an entry. It needs the lock.
func (s *Safaricom) record(e Entry) {
	e.At = s.Now()
	s.ledger = append(s.ledger, e)
}

// Ledger returns what is true: every prompt that was shown and every shilling that
// moved, in order, whatever the caller was told of it.
func (s *Safaricom) Ledger() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// Paid returns the money that moved under a CheckoutRequestID or an
// OriginatorConversationID, if any has.
func (s *Safaricom) Paid(id string) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.ledger, func(e Entry) bool { return e.ID == id && e.Kind != Prompted })
	if i < 0 {
		return Entry{}, false
	}
	return s.ledger[i], true
}

// Collected returns what a merchant was paid, in whole shillings.
func (s *Safaricom) Collected(shortcode string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.merchants[shortcode]; m != nil {
		return m.collected
	}
	return 0
}

// Float returns what a merchant can still pay out, in whole shillings.
func (s *Safaricom) Float(shortcode string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.merchants[shortcode]; m != nil {
		return m.Float
	}
	return 0
}
