package client

import (
	"time"

	"openruntimes/handler/parse"
)

// Name is which of the eight states it is: those of the published Flutter client.
type Name string

const (
	Idle       Name = "idle"       // nothing is known under this id
	Initiating Name = "initiating" // it is being asked for
	Pending    Name = "pending"    // money may move at any moment

	// The final ones.
	Success   Name = "success"
	Failed    Name = "failed"    // no money moved
	Cancelled Name = "cancelled" // by the payer, or ignored; no money moved
	Timeout   Name = "timeout"   // not known: money may have moved, or may yet
	Error     Name = "error"     // nothing was sent under this id: Err says why
)

// State is what is known of one payment or payout. It is comparable; a zero field is not
// known.
type State struct {
	Name Name
	Kind parse.Kind
	ID   string // of the document: keep it to resume

	// Live says that Realtime is connected, so that a change shows at once. While
	// offline the document is read now and then, which takes longer and loses nothing.
	Live bool

	// Err is why nothing was sent, of an [Error]. Of any other state it is what goes
	// wrong at present, such as a lost connection, and says nothing about the money.
	// It may be a *[Refusal], an *[AppwriteError] or a *[RealtimeError].
	Err error

	CheckoutRequestID string // Safaricom's id; of a payout its ConversationID
	Reference         string // what the payment is for
	Requested         int64  // whole shillings that were asked for
	Amount            int64  // whole shillings that were paid
	Receipt           string // M-Pesa's; empty of a [Success] for which it is still to come
	Code              int    // Safaricom's result code, parse.NoCode for a word
	Reason            string // Safaricom's words
	Receiver          string // of a payout: personal data

	StartedAt time.Time // by Appwrite's clock, UTC
	SettledAt time.Time // when the verdict was written, UTC
	MpesaAt   time.Time // when M-Pesa did it, UTC

	// Instead says that what was asked for was not sent, since this other payment, of
	// the same user, stood in the way. Compare Reference and Requested before you take
	// it for what was asked for.
	Instead bool

	// MayPayAgain says that this other payment has no known outcome, so that only a new
	// request with Again can be sent: if the person wants that, told that the earlier
	// one may still be charged.
	MayPayAgain bool
}

// Final reports whether a stream ends with this state.
func (s State) Final() bool {
	switch s.Name {
	case Success, Failed, Cancelled, Timeout, Error:
		return true
	}
	return false
}

// statuses are those of documents, by what a stream makes of them. A document of any
// other status says nothing.
var statuses = [...]struct {
	status parse.Status
	name   Name
	rank   int // a better verdict may replace a lower one, and never the reverse
}{
	{"PENDING", Pending, 1},
	{parse.Timeout, Timeout, 2},
	{parse.Failed, Failed, 3},
	{parse.Cancelled, Cancelled, 3},
	{parse.Success, Success, 4},
}

// nameOf returns the state that a status makes, and how high it stands; 0 if nobody knows
// it.
func nameOf(status parse.Status) (name Name, rank int) {
	for _, row := range statuses {
		if row.status == status {
			return row.name, row.rank
		}
	}
	return "", 0
}

// apply makes s say what its document says.
func (s *State) apply(d document) {
	name, rank := nameOf(d.status)
	if d.id != s.ID || rank == 0 {
		return
	}
	s.Name = name
	s.MayPayAgain = s.Instead && name == Timeout
	if d.name != "" {
		s.CheckoutRequestID = d.name
	}
	s.Reference, s.Requested, s.Amount, s.Receipt = d.reference, d.requested, d.amount, d.receipt
	s.Code, s.Receiver, s.StartedAt = d.code, d.receiver, d.createdAt
	s.Reason, s.SettledAt, s.MpesaAt = d.reason, d.settledAt, d.mpesaAt
	if name == Pending { // what is written before the verdict is no part of it
		s.Reason, s.SettledAt = "", time.Time{}
	}
}

// code is the row of the table of codes that explains s.
func (s State) code() parse.Code {
	status := parse.Timeout
	for _, row := range statuses {
		if row.name == s.Name {
			status = row.status
		}
	}
	return parse.Explain(s.Kind, status, s.Code, s.Reason)
}

// NotEnoughFunds reports whether the payment failed because the payer's balance was too
// low.
func (s State) NotEnoughFunds() bool { return s.failedBy(parse.NotEnoughFunds) }

// WrongPIN reports whether it failed because the PIN was wrong, or the number has no
// M-Pesa.
func (s State) WrongPIN() bool { return s.failedBy(parse.WrongPIN) }

// SubscriberLocked reports whether it failed because another transaction was open on the
// phone. That passes within a minute.
func (s State) SubscriberLocked() bool { return s.failedBy(parse.SubscriberLocked) }

func (s State) failedBy(cause parse.Cause) bool { return s.Name == Failed && s.code().Cause == cause }

// AskAgain reports whether the same may be asked for again, by a new request, without the
// danger that it is paid twice.
func (s State) AskAgain() bool {
	if s.Name == Error || s.Name == Idle {
		return s.Name == Error
	}
	return s.Final() && s.code().AskAgain
}
