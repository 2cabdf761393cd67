package handler

import (
	"context"
	"errors"

	"openruntimes/handler/parse"
)

// store is the database, as far as settling needs it. A call that fails
// otherwise than named here may or may not have been carried out.
type store interface {
	// create returns errExists if the document's id is taken.
	create(ctx context.Context, d document) error
	// get reads the document of that kind and id, and returns errNotFound if
	// there is none.
	get(ctx context.Context, kind parse.Kind, id string) (document, error)
	// replace overwrites the document if it is still the version of that
	// $updatedAt, and returns errChanged if it is not, or is gone.
	replace(ctx context.Context, d document, updatedAt string) error
}

var (
	errExists   = errors.New("a document with this id exists")
	errNotFound = errors.New("no document has this id")
	errChanged  = errors.New("the document was changed meanwhile")
	errForeign  = errors.New("the document with this id is another transaction's")
	errContest  = errors.New("the document was changed too often meanwhile")
)

// action is what becomes of a new verdict, in the log's words.
type action string

// queued is what becomes of one that cannot be stored yet.
const queued action = "queued"

const (
	create    action = "created"   // nothing is stored: store it
	beside    action = "beside"    // two payments under one id: store it under an id of its own
	replace   action = "replaced"  // it knows better: overwrite what is stored
	duplicate action = "duplicate" // it says nothing new
	conflict  action = "conflict"  // it contradicts what is stored, and knows no better
)

// decide compares the stored document (zero if there is none) with the new one.
// A verdict only moves up. The first rule that fits decides.
func decide(have, want document) action {
	switch {
	case have.id == "":
		return create
	case have.status == parse.Success && want.status == parse.Success &&
		have.receipt != "" && want.receipt != "" && have.receipt != want.receipt:
		return beside
	case want.rank() > have.rank():
		return replace
	case want.status == parse.Timeout || want.addsNothing(have):
		return duplicate
	default:
		return conflict
	}
}

// complete is the rank of a SUCCESS with receipt and amount. The client shows no
// other.
const complete = 4

// rank orders verdicts by how much they know.
func (d document) rank() int {
	switch d.status {
	case parse.Timeout:
		return 1
	case parse.Failed, parse.Cancelled:
		return 2
	case parse.Success:
		if d.receipt != "" && d.amount != 0 {
			return complete
		}
		return 3
	default:
		return 0 // not written by this function
	}
}

// addsNothing reports whether have already says everything that d says. What d
// does not know says nothing.
func (d document) addsNothing(have document) bool {
	return d.status == have.status && d.code == have.code &&
		(d.receipt == "" || d.receipt == have.receipt) &&
		(d.amount == 0 || d.amount == have.amount)
}

// outcome is what settle did.
type outcome struct {
	action action
	stored document // what was found under the id; the zero document if nothing was
}

// maxSteps bounds how often one settling looks again after being overtaken.
const maxSteps = 5

// settle brings the database to say what d says, unless it knows better
// already. It is safe to repeat, and to run many times at once.
//
// A first delivery is one call of the store, a duplicate two, a replacement
// three. Where the id is taken by another transaction, two come before these, or
// four on PostgreSQL.
func settle(ctx context.Context, s store, d document) (outcome, error) {
	out, err := settleUnder(ctx, s, d)
	if errors.Is(err, errForeign) {
		// Appwrite takes ids that differ in capitals alone for the same;
		// Safaricom does not.
		d.id = hashID(d.transaction)
		out, err = settleUnder(ctx, s, d)
	}
	if err != nil || out.action != beside {
		return out, err
	}
	// Two payments came under one id. The second gets a document too, but no
	// reader: whose it is, nobody can tell.
	d.id, d.reader = hashID(d.transaction, d.receipt), ""
	second, err := settleUnder(ctx, s, d)
	switch {
	case err != nil:
		return outcome{}, err
	case second.action == beside:
		return outcome{}, errForeign
	case second.action == create:
		return out, nil
	}
	return second, nil
}

// settleUnder settles d under its id. It returns errForeign if that holds
// another transaction, and the action beside, undone, if d belongs beside it.
func settleUnder(ctx context.Context, s store, d document) (outcome, error) {
	var have document
	unseen := 0 // how often the id was taken, and nothing was found under it
	for range maxSteps {
		act := decide(have, d)
		var err error
		switch act {
		case create:
			err = s.create(ctx, d)
		case replace:
			err = s.replace(ctx, d, have.updatedAt)
		}
		if err == nil {
			return outcome{act, have}, nil
		}
		if !errors.Is(err, errExists) && !errors.Is(err, errChanged) {
			return outcome{}, err
		}
		have, err = s.get(ctx, d.kind, d.id)
		switch {
		case errors.Is(err, errNotFound):
			// The document was deleted meanwhile, and creating it works now. Or it
			// has the id in other capitals, on PostgreSQL, where Appwrite compares
			// ids without regard to case when it creates and with regard when it
			// reads. Then creating it fails again.
			if unseen++; unseen == 2 {
				return outcome{}, errForeign
			}
		case err != nil:
			return outcome{}, err
		case !have.sameTransaction(d):
			return outcome{}, errForeign
		}
	}
	return outcome{}, errContest
}

// sameTransaction compares the ids as their attribute holds them.
func (d document) sameTransaction(other document) bool {
	return d.transactionText() == other.transactionText()
}
