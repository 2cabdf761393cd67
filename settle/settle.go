package settle

import (
	"context"
	"errors"

	"openruntimes/handler/parse"
)

// Store is the database, as far as settling needs it. After any other error than
// those named here the write may or may not have happened.
type Store interface {
	// Create returns ErrExists if the document's id is taken.
	Create(ctx context.Context, d *Document) error
	// Get reads the document of that kind and id, and returns ErrNotFound if
	// there is none.
	Get(ctx context.Context, kind parse.Kind, id string) (Document, error)
	// Replace overwrites the document if it is still the version of that
	// $updatedAt, and returns ErrChanged if it is not, or is gone.
	Replace(ctx context.Context, d *Document, updatedAt string) error
	// Amend changes some attributes of a document if it is still the version that d
	// was read as, and returns ErrChanged if it is not, or is gone; else the document
	// with the changes. They are what becomes a JSON object of attributes: see
	// [GoAhead], [Failure], [Name], [CheckAt] and [GiveUp].
	Amend(ctx context.Context, d *Document, changes any) (Document, error)
}

// What a store answers, and why settling gives up.
var (
	ErrExists    = errors.New("a document with this id exists")
	ErrNotFound  = errors.New("no document has this id")
	ErrChanged   = errors.New("the document was changed meanwhile")
	ErrContended = errors.New("the document was changed too often meanwhile")
	errIDTaken   = errors.New("the document with this id is another transaction's")
	errStarted   = errors.New("the document with this id is of a payment that was started here")
)

// Result says what settling did.
type Result struct {
	Outcome Outcome
	Stored  Document // what was found under the id; the zero Document if nothing was

	// Unsigned says that the id is that of a started payment, which an unsigned
	// callback does not touch.
	Unsigned bool
}

// maxSteps bounds how often one settling looks again after being overtaken.
const maxSteps = 5

// Settle stores d unless the stored document ranks at least as high. It is safe to
// repeat, and to run many times at once.
//
// A first delivery is one call of the store, a duplicate two, a replacement three.
// Where the id is taken by another transaction, two come before these, or four on
// PostgreSQL.
func Settle(ctx context.Context, s Store, incoming *Document) (Result, error) {
	d := *incoming
	result, err := settleUnder(ctx, s, &d)
	if errors.Is(err, errStarted) {
		if d.Kind == parse.Disbursement {
			return Result{Outcome: Ignored, Unsigned: true}, nil
		}
		d.DocumentID, d.ReadRole = hashID(d.ID), ""
		result, err = settleUnder(ctx, s, &d)
		result.Unsigned = true
	}
	if errors.Is(err, errIDTaken) {
		// Appwrite takes ids that differ in capitals alone for the same;
		// Safaricom does not.
		d.DocumentID = hashID(d.ID)
		result, err = settleUnder(ctx, s, &d)
	}
	if err != nil || result.Outcome != Collision {
		return result, err
	}
	// Two payments came under one id. The second gets a document too, but no
	// reader: whose it is, nobody can tell.
	d.DocumentID, d.ReadRole = hashID(d.ID, d.Receipt), ""
	second, err := settleUnder(ctx, s, &d)
	switch {
	case err != nil:
		return Result{}, err
	case second.Outcome == Collision:
		return Result{}, errIDTaken
	case second.Outcome == Created:
		return result, nil
	}
	second.Unsigned = result.Unsigned
	return second, nil
}

// settleUnder settles d under its document id. It returns errIDTaken if that holds
// another transaction, and Collision, without writing, if d is a second payment under
// this id.
func settleUnder(ctx context.Context, s Store, d *Document) (Result, error) {
	var stored Document
	unseen := 0 // how often the id was taken, and nothing was found under it
	for range maxSteps {
		outcome := decide(&stored, d)
		var err error
		switch outcome {
		case Created:
			err = s.Create(ctx, d)
		case Replaced:
			err = s.Replace(ctx, d, stored.Server.UpdatedAt)
		}
		if err == nil {
			return Result{Outcome: outcome, Stored: stored}, nil
		}
		if !errors.Is(err, ErrExists) && !errors.Is(err, ErrChanged) {
			return Result{}, err
		}
		stored, err = s.Get(ctx, d.Kind, d.DocumentID)
		switch {
		case errors.Is(err, ErrNotFound):
			// The document was deleted meanwhile, and creating it works now. Or it
			// has the id in other capitals, on PostgreSQL, where Appwrite compares
			// ids without regard to case when it creates and with regard when it
			// reads. Then creating it fails again.
			if unseen++; unseen == 2 {
				return Result{}, errIDTaken
			}
		case err != nil:
			return Result{}, err
		case stored.RequestKey != "":
			return Result{}, errStarted
		case stored.transactionText() != d.transactionText():
			return Result{}, errIDTaken
		}
	}
	return Result{}, ErrContended
}
