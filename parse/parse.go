// Package parse reads what M-Pesa's Daraja API posts: STK Push callbacks, B2C
// results, B2C queue timeouts, and answers of Transaction Status about payouts.
//
// It knows Safaricom's JSON and nothing else: no HTTP, no Appwrite, no clock.
// [STK], [B2C], [B2CTimeout] and [B2CStatus] turn one request body into one [Verdict],
// or return the zero Verdict and an error that wraps [ErrSyntax], [ErrMissing] or
// [ErrNotFinal]. [Split] takes off what follows a body.
//
// It is strict about identity and tolerant of everything else: the id that
// names the transaction must be there; any other part may be absent, of another
// JSON type or malformed, and is then its zero value. A customer who has paid
// matters more than a timestamp.
//
// What is posted differs from Daraja's documentation in these ways, all of them
// read here:
//   - A result code is a number, or text holding a number, or a word that no
//     document lists ("BW-JMS-100039", seen in production).
//   - Amounts come as 71.00, as 71 and, in samples, as "71".
//   - Parameters come in any order; Balance is missing from a third of all paid
//     callbacks and has no Value in the others.
//   - A list with one parameter may be that parameter alone, without the list,
//     and a list may hold the same key twice.
//   - A failed B2C result has a TransactionID that looks like a receipt.
//   - The body of a queue timeout is documented nowhere.
package parse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The reasons why a body holds no verdict. The last two come with ErrNotFinal.
var (
	ErrSyntax   = errors.New("not JSON")
	ErrMissing  = errors.New("missing")
	ErrNotFinal = errors.New("not final")

	ErrInitiator = errors.New("the initiator is refused") // and so has not answered the question
	ErrNoAnswer  = errors.New("no answer to the question")
)

// Kind says which way the money was to go.
type Kind string

const (
	Payment      Kind = "payment"      // customer to business: STK Push
	Disbursement Kind = "disbursement" // business to customer: B2C
)

// Status is what a transaction came to, in the words of the published client.
type Status string

const (
	Success   Status = "SUCCESS"
	Failed    Status = "FAILED"    // it is known that no money moved
	Cancelled Status = "CANCELLED" // the payer declined, so no money moved
	Timeout   Status = "TIMEOUT"   // the outcome is unknown; money may have moved
)

// NoCode is the Code of a verdict whose result code is absent or not a number.
const NoCode = -1

// Verdict is what one callback says about one transaction. It is comparable;
// a zero field was absent or made no sense.
type Verdict struct {
	Kind         Kind
	ID           string // CheckoutRequestID or OriginatorConversationID, never empty but from B2CStatus
	Conversation string // ConversationID, B2C only
	Status       Status
	Code         int       // fits 32 bits; NoCode for a word
	Receipt      string    // only of a SUCCESS
	Amount       int64     // whole shillings, from 1: what was paid; in a FAILED of [B2CStatus], what was asked for
	Receiver     string    // ReceiverPartyPublicName, B2C only: personal data
	Reason       string    // Safaricom's words, a code that is a word first; empty for a SUCCESS
	At           time.Time // when M-Pesa completed it, UTC

	// Warning tells an operator what could not be read. It quotes nothing.
	Warning string
}

// decode fills v as far as the body fits it. Parts of another JSON type than
// expected stay zero, which is encoding/json's own way of going on.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w at byte %d", ErrSyntax, syntax.Offset)
	}
	return nil
}

// Split returns the JSON value that a body begins with, and what follows it but for
// white space. A body that begins with none has neither.
func Split(body []byte) (value, rest []byte) {
	d := json.NewDecoder(bytes.NewReader(body))
	var v json.RawMessage
	if d.Decode(&v) != nil {
		return nil, nil
	}
	return v, bytes.TrimSpace(body[d.InputOffset():])
}

// judge fills in code, status and reason. Words of the description never
// decide: the same code comes with different ones.
func (v *Verdict) judge(code, description scalar) {
	n, word := resultCode(code)
	v.Code = n
	v.Status = statusOf(v.Kind, n, word)
	if v.Status != Success {
		v.Reason = description.text
	}
	if word != "" {
		v.Reason = strings.TrimSuffix(word+": "+description.text, ": ")
	}
}

// warn adds a remark for the operator.
func (v *Verdict) warn(remark string) {
	if v.Warning != "" {
		v.Warning += "; "
	}
	v.Warning += remark
}

// readAmount takes the amount from the first parameter of that name that is one.
func (v *Verdict) readAmount(ps parameters, name string) {
	amount, found := find(ps, name, readAmount)
	switch {
	case found:
		v.Amount = amount.shillings
		if amount.cut {
			v.warn(name + ": fraction cut off")
		}
	case ps.has(name):
		v.warn(name + ": not a whole number of shillings")
	}
}

// readTime takes the time from the first parameter of that name that is one.
func (v *Verdict) readTime(ps parameters, name string, read func(scalar) (time.Time, bool)) {
	at, found := find(ps, name, read)
	if !found && ps.has(name) {
		v.warn(name + ": not a time")
	}
	v.At = at
}

// eastAfrica is how far Safaricom's clock is ahead of UTC. The zone has no daylight
// saving time, and the runtime's image may have no zone files.
const eastAfrica = 3 * time.Hour

// readTimeIn returns a reader of times written in layout, East Africa Time.
func readTimeIn(layout string) func(scalar) (time.Time, bool) {
	return func(s scalar) (time.Time, bool) {
		at, err := time.Parse(layout, s.digits())
		at = at.Add(-eastAfrica).Truncate(time.Second)
		if err != nil || at.Year() < 1 {
			return time.Time{}, false
		}
		return at, true
	}
}
