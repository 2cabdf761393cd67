package settle

import (
	"context"
	"time"

	"openruntimes/handler/parse"
)

// Unresolved reports whether nobody knows yet what became of a started payment.
func (d *Document) Unresolved() bool {
	return d.RequestKey != "" && (d.Status == Pending || d.Status == parse.Timeout)
}

// CheckAt returns the change that sets when Safaricom is to be asked, or for the zero time
// that it never is again.
func CheckAt(t time.Time) any {
	return map[string]any{"nextCheckAt": nullableTime(t)}
}

// GiveUp returns the changes that end the questions about a document whose outcome nobody
// knows. One that was PENDING becomes TIMEOUT.
func GiveUp(d *Document, now time.Time) any {
	if d.Status != Pending {
		return CheckAt(time.Time{})
	}
	return map[string]any{"status": parse.Timeout, "failureReason": "Safaricom has not said what became of it",
		"resultCode": parse.NoCode, "settledAt": FormatTime(now), "nextCheckAt": nil}
}

// SettleAnswer settles what Safaricom answered when it was asked about a started payment,
// whose document was last read as d. Such an answer has no receipt. It only goes where
// nobody knew: what a callback said is kept. It returns the document as it is then, and
// whether the answer is what it says now; with an error it may be either.
func SettleAnswer(ctx context.Context, s Store, d Document, v parse.Verdict, now time.Time) (stored Document, written bool, err error) {
	answer := Document{Verdict: v, SettledAt: now}
	stored, err = Change(ctx, s, d, answer.changes(&d), func(d *Document) bool {
		written = d.Unresolved() && answer.Rank() > d.Rank()
		return written
	})
	return stored, written, err
}
