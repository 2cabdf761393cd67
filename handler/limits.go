package handler

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// What keeps one user, or one phone, from being asked too often. A request that was
// refused counts too.
const (
	limitWindow   = 10 * time.Minute
	pushesByUser  = 5
	pushesToPhone = 3
	promptLasts   = 90 * time.Second // how long a phone may still show a prompt
	unresolvedFor = 24 * time.Hour   // how long a payment of unknown outcome stands in the way of its like
	secondLook    = 500 * time.Millisecond
)

// limits counts after the claim was made, and with it, so that requests that come
// together cannot all pass. Times are the server's.
func (w *pushRequest) limits(ctx context.Context, p *starting) *problem {
	if !slices.Contains(p.account.Labels, p.function.config.cashier()) {
		mine, err := p.list(ctx, limitWindow, appwrite.Equal("userId", p.account.ID))
		if err != nil {
			return storeProblem("the limits could not be looked at, and nothing was sent", err)
		}
		if failed := p.tooMany(mine, pushesByUser, "too many payments were asked for; wait some minutes"); failed != nil {
			return failed
		}
	}
	return p.lookTwice(func() ([]settle.Document, *problem) {
		toPhone, err := p.list(ctx, unresolvedFor, appwrite.Equal("phoneKey", p.phoneKeys...))
		if err != nil {
			return nil, storeProblem("the limits could not be looked at, and nothing was sent", err)
		}
		recent := slices.DeleteFunc(slices.Clone(toPhone), func(d settle.Document) bool { return p.age(d) >= limitWindow })
		return toPhone, p.tooMany(recent, pushesToPhone, "this phone was asked too often; wait some minutes")
	}, w.inTheWay)
}

// lookTwice says what stands in the way of the claim, if anything does. Of claims that
// meet, the first looks again when the others have had time to yield, and every other
// yields at once. To let the first pass without looking again would let two pass: a
// claim may be committed after a later one has looked.
func (p *starting) lookTwice(list func() ([]settle.Document, *problem), inTheWay func(*starting, settle.Document) time.Duration) *problem {
	for look := 0; ; look++ {
		open, failed := list()
		if failed != nil {
			return failed
		}
		open = slices.DeleteFunc(open, func(d settle.Document) bool {
			return d.DocumentID == p.claim.DocumentID || inTheWay(p, d) == 0
		})
		if len(open) == 0 {
			return nil
		}
		first := !slices.ContainsFunc(open, func(d settle.Document) bool { return d.Server.Sequence <= p.claim.Server.Sequence })
		if look > 0 || !first {
			return p.standsInTheWay(open[0], inTheWay(p, open[0]))
		}
		p.function.clock.pause(secondLook)
	}
}

// errStaleList passes by itself, as a conflict with others does.
var errStaleList = fmt.Errorf("the list lacks the document that was just created: %w", settle.ErrContended)

// allTime is a window without a beginning.
const allTime = time.Duration(0)

// list returns what was started and a query selects, if there is one, of the time before
// the claim, this one included, the newest first and however many they are. A list that lacks
// this one was read from a copy that is behind, and counts for nothing.
func (p *starting) list(ctx context.Context, window time.Duration, selecting ...appwrite.Query) ([]settle.Document, error) {
	queries := append(selecting, appwrite.NewestFirst())
	if window != allTime {
		queries = append(queries, appwrite.After("$createdAt", p.claim.Server.CreatedAt.Add(-window)))
	}
	found, err := p.api.ListAll(ctx, p.kind, math.MaxInt, queries...)
	if err == nil && !slices.ContainsFunc(found, func(d settle.Document) bool { return d.DocumentID == p.claim.DocumentID }) {
		return nil, errStaleList
	}
	return slices.DeleteFunc(found, func(d settle.Document) bool { return d.RequestKey == "" }), err
}

// age is how much older a document is than the claim.
func (p *starting) age(d settle.Document) time.Duration {
	return p.claim.Server.CreatedAt.Sub(d.Server.CreatedAt)
}

// tooMany says so if there are more than so many documents, and for how long.
func (p *starting) tooMany(documents []settle.Document, limit int, message string) *problem {
	if len(documents) <= limit {
		return nil
	}
	left := limitWindow - p.age(documents[limit-1]) // until all but the newest have left the window
	return &problem{Type: busy, Message: message, RetryAfter: max(1, int(left.Seconds()))}
}

// inTheWay returns for how long another payment keeps this one from being asked for, 0
// if it does not: the phone may still show its prompt, or it asks for the same and nobody
// knows what became of it.
func (w *pushRequest) inTheWay(p *starting, d settle.Document) time.Duration {
	alike := d.Unresolved() && !d.NextCheckAt.IsZero() && slices.Contains(p.requestKeys, d.RequestKey)
	switch {
	case d.Status == settle.Pending && p.age(d) < promptLasts:
		return promptLasts - p.age(d)
	case alike && !w.again:
		return max(0, unresolvedFor-p.age(d))
	}
	return 0
}

// standsInTheWay says that another one is open, and which one if it is the user's
// own: their app goes on with that.
func (p *starting) standsInTheWay(d settle.Document, left time.Duration) *problem {
	message := parse.AnotherOpen + "; finish it first"
	if p.kind == parse.Disbursement {
		message = parse.SamePayout + "; what became of it is not known"
	}
	failed := &problem{Type: busy, Message: message, RetryAfter: max(1, int(left.Seconds()))}
	if d.UserID == p.account.ID {
		failed.ID = d.DocumentID
	}
	return failed
}
