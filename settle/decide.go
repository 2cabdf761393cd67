package settle

import "openruntimes/handler/parse"

// Outcome says what became of a verdict, in the log's words.
type Outcome string

const (
	Created   Outcome = "created"   // nothing was stored, and now it is
	Replaced  Outcome = "replaced"  // it ranks higher than what was stored, which it has overwritten
	Duplicate Outcome = "duplicate" // it says nothing new
	Conflict  Outcome = "conflict"  // it contradicts what is stored, and ranks no higher
	Collision Outcome = "collision" // two payments came under one id; the second has a document of its own

	// What becomes of a callback that does not concern the document it came for.
	Mismatch Outcome = "mismatch" // it names another transaction; it has a document of its own
	Ignored  Outcome = "ignored"  // it is not signed, and the payout was started here

	// What becomes of a delivery of which nothing is stored.
	Queued   Outcome = "queued"    // it could not be stored, and waits in the platform's queue
	NotKept  Outcome = "not-kept"  // it could be neither stored nor queued
	NotFinal Outcome = "not-final" // it is no verdict yet, and needs no document
)

// Outcomes lists all of them.
var Outcomes = [...]Outcome{Created, Replaced, Duplicate, Conflict, Collision, Mismatch, Ignored, Queued, NotKept, NotFinal}

// decide compares the stored document (zero if there is none) with the incoming one.
// A verdict only moves up. The first rule that fits decides.
func decide(stored, incoming *Document) Outcome {
	switch {
	case stored.DocumentID == "":
		return Created
	case stored.Status == parse.Success && incoming.Status == parse.Success &&
		stored.Receipt != "" && incoming.Receipt != "" && stored.Receipt != incoming.Receipt:
		return Collision
	case incoming.Rank() > stored.Rank():
		return Replaced
	case incoming.Status == parse.Timeout || incoming.addsNothing(stored):
		return Duplicate
	default:
		return Conflict
	}
}

// Complete is the rank of a SUCCESS with receipt and amount. The client shows no
// other.
const Complete = 4

// Rank orders verdicts by how much they know.
func (d *Document) Rank() int {
	switch d.Status {
	case parse.Timeout:
		return 1
	case parse.Failed, parse.Cancelled:
		return 2
	case parse.Success:
		if d.Receipt != "" && d.Amount != 0 {
			return Complete
		}
		return 3
	default:
		return 0 // not written by this function
	}
}

// addsNothing reports whether the stored document says everything already that d
// says. Zero fields of d are ignored.
func (d *Document) addsNothing(stored *Document) bool {
	return d.Status == stored.Status && d.Code == stored.Code &&
		(d.Receipt == "" || d.Receipt == stored.Receipt) &&
		(d.Amount == 0 || d.Amount == stored.Amount)
}
