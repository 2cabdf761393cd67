package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"openruntimes/handler/handler"
	"openruntimes/handler/settle"
)

// replayed is what became of one document, or of a line that cannot be read.
type replayed struct {
	Line   int    `json:"line,omitempty"` // of the input, if there is one
	ID     string `json:"id,omitempty"`   // masked
	Result string `json:"result"`         // created, replaced, duplicate, conflict, collision, failed or unreadable
	Error  string `json:"error,omitempty"`
}

// replayFrom replays the lines of in or, without it, those of the function's
// executions.
func (s settings) replayFrom(ctx context.Context, r report, in io.Reader) error {
	if _, err := checkServer(ctx, &project{settings: s}); err != nil {
		return err
	}
	if err := s.inherit(ctx); err != nil {
		return err
	}
	if in == nil {
		lines, err := s.executionLog(ctx)
		if err != nil {
			return err
		}
		return s.replay(ctx, r, lines)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(text))) > 0 && !strings.Contains(string(text), settle.Mark) {
		return errors.New("the input has no UNSETTLED line, and nothing was settled")
	}
	return s.replay(ctx, r, strings.Split(string(text), "\n"))
}

// replay settles each document once, and says what became of it. It ends between two of
// them.
func (s settings) replay(ctx context.Context, r report, lines []string) error {
	seen := map[string]bool{}
	settled, failed := 0, 0
	for i, line := range lines {
		for _, found := range findUnsettled(line) {
			if seen[found] {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			seen[found] = true
			one := s.replayOne(found)
			one.Line = i + 1
			if one.Error == "" {
				settled++
			} else {
				failed++
			}
			r.printReplayed(one)
		}
	}
	if !r.asJSON {
		fmt.Fprintf(r.out, "%d UNSETTLED lines: %d settled, %d not.\n", len(seen), settled, failed)
	}
	if failed > 0 {
		return errors.New("not everything is settled: fix the cause and repeat it")
	}
	return nil
}

func (s settings) replayOne(line string) replayed {
	done, err := handler.New(s.getenv).Replay(s.key, line)
	switch {
	case errors.Is(err, settle.ErrNotUnsettled):
		return replayed{Result: "unreadable", Error: err.Error()}
	case err != nil:
		return replayed{ID: done.ID, Result: "failed", Error: err.Error()}
	}
	return replayed{ID: done.ID, Result: string(done.Outcome)}
}

func (r report) printReplayed(one replayed) {
	switch {
	case r.asJSON:
		line, _ := json.Marshal(one)
		fmt.Fprintf(r.out, "%s\n", line)
	case one.ID == "":
		fmt.Fprintf(r.out, "%-10s  line %d: %s\n", one.Result, one.Line, one.Error)
	case one.Error != "":
		fmt.Fprintf(r.out, "%-10s  %s  %s\n", one.Result, one.ID, one.Error)
	default:
		fmt.Fprintf(r.out, "%-10s  %s\n", one.Result, one.ID)
	}
}

// findUnsettled returns the UNSETTLED lines in a text, as the function wrote them.
// The mark may stand anywhere: behind the time that a log viewer puts before a line,
// or within a JSON or CSV export, which escape the quotes. Whatever follows the
// document is cut off, and a mark within a document is only text: Safaricom's words
// must not become a document of their own. A mark without a document is returned
// too, so that it is reported.
func findUnsettled(text string) []string {
	var found []string
	for {
		_, rest, marked := strings.Cut(text, settle.Mark)
		if !marked {
			return found
		}
		object, after := firstObject(rest)
		found = append(found, settle.Mark+object)
		text = after
	}
}

// firstObject returns the JSON object at the start of s and what follows it. The
// object may be escaped as in a JSON string or as in CSV. Without one it is empty.
func firstObject(s string) (object, after string) {
	decoder := json.NewDecoder(strings.NewReader(s))
	var raw json.RawMessage
	if strings.HasPrefix(s, "{") && decoder.Decode(&raw) == nil {
		return string(raw), s[decoder.InputOffset():]
	}
	switch {
	case strings.HasPrefix(s, `{""`):
		return firstObject(strings.ReplaceAll(s, `""`, `"`))
	case strings.HasPrefix(s, `{\`):
		decoder := json.NewDecoder(strings.NewReader(`"` + s))
		var text string
		if decoder.Decode(&text) == nil {
			object, after = firstObject(text)
			return object, after + "\n" + s[decoder.InputOffset()-1:]
		}
	}
	return "", s
}
