package handler

import (
	"context"
	"time"

	"openruntimes/handler/settle"
)

// Replayed says what became of the document in an UNSETTLED line.
type Replayed struct {
	ID      string // masked; "" if the line cannot be read
	Outcome settle.Outcome
}

// Replay settles the document in an UNSETTLED line by the rule that the function
// follows. It is safe to repeat. The key needs the scopes documents.read and
// documents.write. The error wraps [settle.ErrNotUnsettled] if the line has no
// document.
func (f *Function) Replay(key, line string) (Replayed, error) {
	d, origin, err := settle.ParseUnsettled(line, f.config.anonymousRead, f.clock.now())
	if err != nil {
		return Replayed{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	outcome, err := f.replay(ctx, key, &d, origin)
	if err != nil {
		outcome = ""
	}
	return Replayed{maskedID(&d), outcome}, err
}

func (f *Function) replay(ctx context.Context, key string, d *settle.Document, origin settle.Origin) (settle.Outcome, error) {
	if err := f.config.incomplete(d.Kind); err != nil {
		return "", err
	}
	store := f.documents(key)
	var result settle.Result
	var err error
	switch {
	case origin == settle.Unverified:
		result, err = settle.SettleUnverified(ctx, store, d)
	case origin == settle.Signed && d.Status == "":
		return settle.NameStarted(ctx, store, d.Kind, d.DocumentID, d.Name())
	case origin == settle.Answered:
		result, err = settle.SettleStatus(ctx, store, d.DocumentID, d)
	case origin == settle.Signed:
		result, err = settle.SettleStarted(ctx, store, d.DocumentID, d)
	default:
		result, err = settle.Settle(ctx, store, d)
	}
	return result.Outcome, err
}
