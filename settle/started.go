package settle

import (
	"context"
	"errors"
	"strings"
	"time"

	"openruntimes/handler/parse"
)

// Pending is the status of a payment that was started here and of which no verdict is
// known: money may move at any moment. It ranks below every verdict.
const Pending parse.Status = "PENDING"

// NotSent begins the reason of a payment that was never asked for at Safaricom.
const NotSent = parse.NotSent + ": "

// Interrupted is the reason of a claim from its creation until the go-ahead. A document
// that still says so a minute later was not sent.
const Interrupted = NotSent + "interrupted"

// Started holds what only the document of a payment or payout has that this function
// started. RequestKey marks such a document.
type Started struct {
	UserID          string    // who asked
	Reference       string    // the caller's; payments only
	RequestedAmount int64     // whole shillings
	RequestKey      string    // keyed hash of what was asked for
	PhoneKey        string    // keyed hash of the phone
	NextCheckAt     time.Time // when Safaricom is to be asked; zero is null: never again
}

// StartedAttributes are a started document's own on the wire.
type StartedAttributes struct {
	UserID          *string `json:"userId,omitempty"`
	Reference       *string `json:"reference,omitempty"`
	RequestedAmount *int64  `json:"requestedAmount,omitempty"`
	RequestKey      *string `json:"requestKey,omitempty"`
	PhoneKey        *string `json:"phoneKey,omitempty"`
	NextCheckAt     *string `json:"nextCheckAt,omitempty"`
}

func (a Attributes) started() (s Started) {
	if a.StartedAttributes == nil {
		return s
	}
	s = Started{UserID: value(a.UserID), Reference: value(a.Reference), RequestedAmount: value(a.RequestedAmount),
		RequestKey: value(a.RequestKey), PhoneKey: value(a.PhoneKey)}
	s.NextCheckAt, _ = time.Parse(time.RFC3339, value(a.NextCheckAt))
	return s
}

// Claim returns the document of a payment or payout that is about to be started, under
// the caller's id. Its user may read it from then on. A payout has that id at Safaricom
// as well.
func Claim(kind parse.Kind, id string, s Started, now time.Time) Document {
	d := Document{
		Verdict:    parse.Verdict{Kind: kind, Status: Pending, Code: parse.NoCode, Reason: Interrupted},
		DocumentID: id, ReadRole: "user:" + s.UserID, SettledAt: now, Started: s,
	}
	if kind == parse.Disbursement {
		d.ID = id
	}
	return d
}

// ClaimAttributes returns the data of a claim. A payment's transaction has no id yet: the
// required attribute is empty.
func (d *Document) ClaimAttributes() any {
	data := d.Attributes()
	data.ResultCode = nil
	data.StartedAttributes = &StartedAttributes{nullable(d.UserID), nullable(d.Reference), nullable(d.RequestedAmount),
		nullable(d.RequestKey), nullable(d.PhoneKey), nullableTime(d.NextCheckAt)}
	if d.Kind == parse.Disbursement {
		return data
	}
	return struct {
		Attributes
		CheckoutRequestID string `json:"checkoutRequestId"`
	}{data, d.ID}
}

// SettleStarted settles a signed callback, which is for the started document of that
// id. A first one is two calls of the store, a duplicate one.
func SettleStarted(ctx context.Context, s Store, id string, incoming *Document) (Result, error) {
	return settleFound(ctx, s, id, incoming, func(*Document) bool { return true })
}

// SettleStatus settles in the same way what Transaction Status answers about a started
// payout. An answer with another amount than was asked for is about something else: the
// outcome is NotFinal then, and nothing is written. Where it failed, none may be named.
func SettleStatus(ctx context.Context, s Store, id string, incoming *Document) (Result, error) {
	said := incoming.Amount
	d := *incoming
	if d.Status == parse.Failed {
		d.Amount = 0 // no money moved
	}
	return settleFound(ctx, s, id, &d, func(stored *Document) bool {
		return said == stored.RequestedAmount || said == 0 && d.Status == parse.Failed
	})
}

// settleFound reads the document of that id and settles over it, if the incoming one
// counts against that. If somebody has deleted it, it is made anew.
func settleFound(ctx context.Context, s Store, id string, incoming *Document, counts func(stored *Document) bool) (Result, error) {
	for range maxSteps {
		var result Result
		stored, err := s.Get(ctx, incoming.Kind, id)
		switch {
		case errors.Is(err, ErrNotFound):
			d := *incoming
			d.DocumentID, d.ReadRole = id, "" // whose it was nobody knows any more
			result, err = Result{Outcome: Created}, s.Create(ctx, &d)
		case err == nil && !counts(&stored):
			result = Result{Outcome: NotFinal, Stored: stored}
		case err == nil:
			result, err = settleOver(ctx, s, &stored, incoming)
		}
		if err == nil {
			return result, nil
		}
		if !errors.Is(err, ErrExists) && !errors.Is(err, ErrChanged) {
			return Result{}, err
		}
	}
	return Result{}, ErrContended
}

// settleOver settles a verdict over the stored document of its id.
func settleOver(ctx context.Context, s Store, stored, incoming *Document) (Result, error) {
	if !sameTransaction(stored, incoming) {
		return settleBeside(ctx, s, stored, incoming, Mismatch)
	}
	outcome := decide(stored, incoming)
	switch outcome {
	case Collision:
		return settleBeside(ctx, s, stored, incoming, Collision)
	case Replaced:
		if _, err := s.Amend(ctx, stored, incoming.changes(stored)); err != nil {
			return Result{}, err
		}
	}
	return Result{Outcome: outcome, Stored: *stored}, nil
}

// sameTransaction reports whether a signed callback is about the transaction that its
// document names, as far as both name one. Space around an id does not matter. The result
// of a payout may carry an OriginatorConversationID that Safaricom's server has made; then
// the ConversationID decides, and where either has none, the signature.
func sameTransaction(stored, incoming *Document) bool {
	if stored.ID == "" || incoming.ID == "" || strings.TrimSpace(stored.transactionText()) == strings.TrimSpace(incoming.transactionText()) {
		return true
	}
	return stored.Kind == parse.Disbursement &&
		(stored.Conversation == "" || incoming.Conversation == "" || stored.Conversation == sanitize(incoming.Conversation, 50))
}

// settleBeside gives a verdict a document of its own, without a reader.
func settleBeside(ctx context.Context, s Store, stored, incoming *Document, outcome Outcome) (Result, error) {
	d := *incoming
	d.DocumentID, d.ReadRole = hashID(d.ID, d.Receipt), ""
	if _, err := settleUnder(ctx, s, &d); err != nil {
		return Result{}, err
	}
	return Result{Outcome: outcome, Stored: *stored}, nil
}

// SettleUnverified settles what came for the started payment of d's document id with a
// signature that could not be verified, and may be anybody's: it has a document of its
// own, without a reader, unless the started one says the same already.
func SettleUnverified(ctx context.Context, s Store, d *Document) (Result, error) {
	stored, err := s.Get(ctx, d.Kind, d.DocumentID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Result{}, err
	}
	if err == nil && stored.transactionText() == d.transactionText() && decide(&stored, d) == Duplicate {
		return Result{Outcome: Duplicate, Stored: stored}, nil
	}
	beside := *d
	beside.DocumentID, beside.ReadRole = hashID("unverified", d.ID, d.Receipt), ""
	return settleUnder(ctx, s, &beside)
}

// changes returns what a verdict writes over a started document: its own attributes,
// nulls included, but what names the transaction only where there was nothing. A final
// one is never asked about again; an unknown outcome still is.
func (d *Document) changes(stored *Document) any {
	data := d.Attributes()
	if stored.ID != "" {
		data.CheckoutRequestID, data.OriginatorConversationID = "", ""
	}
	if data.B2CAttributes != nil && stored.Conversation != "" {
		data.ConversationID = &stored.Conversation
	}
	if d.Status == parse.Timeout {
		return data
	}
	return struct {
		Attributes
		NextCheckAt *string `json:"nextCheckAt"`
	}{Attributes: data}
}

// Change amends a started document if wanted says so of it. If others change it meanwhile
// it is read and asked about again, maxSteps times at most, and then the error is
// ErrContended. It returns the document as it is then, or with an error as it was last
// read.
func Change(ctx context.Context, s Store, d Document, changes any, wanted func(*Document) bool) (Document, error) {
	for range maxSteps {
		if !wanted(&d) {
			return d, nil
		}
		changed, err := s.Amend(ctx, &d, changes)
		if err == nil {
			return changed, nil
		}
		if !errors.Is(err, ErrChanged) {
			return d, err
		}
		stored, err := s.Get(ctx, d.Kind, d.DocumentID)
		if err != nil {
			return d, err
		}
		d = stored
	}
	return d, ErrContended
}

// GoAhead returns the changes to a claim right before it is sent. From then on it does not
// say any more that it was not, and money may move.
func GoAhead() any { return map[string]any{"failureReason": nil} }

// Failure returns the changes to a started document of which it is known that no money
// moved: FAILED, and why. The code is parse.NoCode where Safaricom gave no number.
func Failure(reason string, code int, now time.Time) any {
	return map[string]any{"status": parse.Failed, "failureReason": sanitize(reason, 255), "resultCode": code,
		"settledAt": FormatTime(now), "nextCheckAt": nil}
}

// Name returns the change that gives a started document the name that Safaricom has for
// it: see [Document.Name].
func Name(kind parse.Kind, name string) any {
	if kind == parse.Disbursement {
		return map[string]any{"conversationId": cutName(kind, name)}
	}
	return map[string]any{"checkoutRequestId": cutName(kind, name)}
}

// cutName returns as much of a name as its attribute takes.
func cutName(kind parse.Kind, name string) string {
	if kind == parse.Disbursement {
		return sanitize(name, 50)
	}
	return sanitize(name, 255)
}

// Name is what Safaricom calls a started payment or payout, "" until it is known: its
// CheckoutRequestID or its ConversationID.
func (d *Document) Name() string {
	if d.Kind == parse.Disbursement {
		return d.Conversation
	}
	return d.ID
}

// SetName notes that name down, in memory alone.
func (d *Document) SetName(name string) {
	if d.Kind == parse.Disbursement {
		d.Conversation = name
	} else {
		d.ID = name
	}
}

// NameStarted gives the started document of that kind and id its name, unless it has
// one. One that is called otherwise is a mismatch, and stays.
func NameStarted(ctx context.Context, s Store, kind parse.Kind, id, name string) (Outcome, error) {
	d, err := s.Get(ctx, kind, id)
	if err != nil {
		return NotKept, err
	}
	named := false
	d, err = Change(ctx, s, d, Name(kind, name), func(d *Document) bool {
		named = d.Name() == ""
		return named
	})
	switch {
	case err != nil:
		return NotKept, err
	case named:
		return Replaced, nil
	case d.Name() != cutName(kind, name):
		return Mismatch, nil
	default:
		return Duplicate, nil
	}
}
