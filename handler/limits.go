package handler

import (
	"context"
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

// checkLimits counts after the claim was made, and with it, so that requests that come
// together cannot all pass. Times are the server's.
func (p *pushing) checkLimits(ctx context.Context) *problem {
	if !slices.Contains(p.account.Labels, p.function.config.cashier()) {
		mine, err := p.list(ctx, limitWindow, appwrite.Equal("userId", p.account.ID))
		if err != nil {
			return p.storeProblem("the limits could not be looked at, and nothing was sent", err)
		}
		if failed := p.tooMany(mine, pushesByUser, "too many payments were asked for; wait some minutes"); failed != nil {
			return failed
		}
	}
	for look := 0; ; look++ {
		toPhone, err := p.list(ctx, unresolvedFor, appwrite.Equal("phoneKey", anys(p.phoneKeys)...))
		if err != nil {
			return p.storeProblem("the limits could not be looked at, and nothing was sent", err)
		}
		recent := slices.DeleteFunc(slices.Clone(toPhone), func(d settle.Document) bool { return p.age(d) >= limitWindow })
		if failed := p.tooMany(recent, pushesToPhone, "this phone was asked too often; wait some minutes"); failed != nil {
			return failed
		}
		open := slices.DeleteFunc(toPhone, func(d settle.Document) bool { return p.inTheWay(d) == 0 })
		if len(open) == 0 {
			return nil
		}
		// Of claims that meet, the first looks again when the others have had time to
		// yield, and every other yields at once. To let the first pass without looking
		// again would let two pass: a claim may be committed after a later one has looked.
		first := !slices.ContainsFunc(open, func(d settle.Document) bool { return d.Server.Sequence <= p.claim.Server.Sequence })
		if look > 0 || !first {
			return p.standsInTheWay(open[0])
		}
		p.function.clock.pause(secondLook)
	}
}

// list returns the started payments that a query selects of the time before the claim,
// this one included, the newest first and however many they are.
func (p *pushing) list(ctx context.Context, window time.Duration, query appwrite.Query) ([]settle.Document, error) {
	found, err := p.api.ListAll(ctx, parse.Payment, math.MaxInt, query, appwrite.After("$createdAt", p.claim.Server.CreatedAt.Add(-window)), appwrite.NewestFirst())
	return slices.DeleteFunc(found, func(d settle.Document) bool { return d.RequestKey == "" }), err
}

// age is how much older a document is than the claim.
func (p *pushing) age(d settle.Document) time.Duration {
	return p.claim.Server.CreatedAt.Sub(d.Server.CreatedAt)
}

// tooMany says so if there are more than so many documents, and for how long.
func (p *pushing) tooMany(documents []settle.Document, limit int, message string) *problem {
	if len(documents) <= limit {
		return nil
	}
	left := limitWindow - p.age(documents[limit-1]) // until all but the newest have left the window
	return &problem{Type: busy, Message: message, RetryAfter: max(1, int(left.Seconds()))}
}

// inTheWay returns for how long another payment keeps this one from being asked for, 0
// if it does not: the phone may still show its prompt, or it asks for the same and nobody
// knows what became of it.
func (p *pushing) inTheWay(d settle.Document) time.Duration {
	unresolved := d.Status == settle.Pending || d.Status == parse.Timeout
	alike := unresolved && !d.NextCheckAt.IsZero() && slices.Contains(p.requestKeys, d.RequestKey)
	switch {
	case d.DocumentID == p.claim.DocumentID:
		return 0
	case d.Status == settle.Pending && p.age(d) < promptLasts:
		return promptLasts - p.age(d)
	case alike && !p.asked.again:
		return max(0, unresolvedFor-p.age(d))
	}
	return 0
}

// standsInTheWay says that another payment is open, and which one if it is the user's
// own: their app goes on with that.
func (p *pushing) standsInTheWay(d settle.Document) *problem {
	failed := &problem{Type: busy, Message: "another payment is open; finish it first", RetryAfter: max(1, int(p.inTheWay(d).Seconds()))}
	if d.UserID == p.account.ID {
		failed.ID = d.DocumentID
	}
	return failed
}

func anys(texts []string) []any {
	values := make([]any, len(texts))
	for i, s := range texts {
		values[i] = s
	}
	return values
}
