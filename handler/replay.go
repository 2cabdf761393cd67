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
	d, started, err := settle.ParseUnsettled(line, f.config.anonymousRead, f.clock.now())
	if err != nil {
		return Replayed{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if started && d.Status == "" {
		outcome, err := settle.NameStarted(ctx, f.documents(key), d.DocumentID, d.ID)
		return Replayed{d.DocumentID, outcome}, err
	}
	id := ""
	if started {
		id = d.DocumentID
	}
	result, err := f.settle(ctx, f.documents(key), id, &d)
	return Replayed{maskedID(&d), result.Outcome}, err
}
