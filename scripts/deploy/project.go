package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// project is what the command looks at and mends: one function with its database
// in one project of Appwrite.
type project struct {
	settings
	onlyLook bool
	pause    time.Duration // between two looks at something that takes time

	// push uploads the code and returns what was said about it.
	push func(*project) (said string, err error)

	// What appwrite.json wants.
	wanted    function
	variables []variable
	needed    map[string][]attribute // by collection

	// What was found out on the way.
	domain string
	prefix string // "/SECRET", if there is one
}

// newProject reads appwrite.json.
func newProject(s settings) (*project, error) {
	content, err := os.ReadFile("appwrite.json")
	if err != nil {
		return nil, fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	var file struct {
		Functions []struct {
			function
			Vars []variable
		}
		Collections []struct {
			Name       string
			Attributes []attribute
		}
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("appwrite.json: %w", err)
	}
	p := &project{settings: s, pause: 3 * time.Second, push: pushWithCLI, needed: map[string][]attribute{},
		wanted: file.Functions[0].function, variables: file.Functions[0].Vars}
	for _, c := range file.Collections {
		p.needed[c.Name] = c.Attributes
	}
	return p, nil
}

// result is one line of the report.
type result struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, fixed or wrong
	Found  string `json:"found,omitempty"`
	Mend   string `json:"mend,omitempty"`
}

// report prints results for a person, or as lines of JSON.
type report struct {
	out    io.Writer
	asJSON bool
}

func (r report) print(res result) {
	if r.asJSON {
		line, _ := json.Marshal(res)
		fmt.Fprintf(r.out, "%s\n", line)
		return
	}
	switch res.Result {
	case "wrong":
		fmt.Fprintf(r.out, "WRONG  %s: %s.\n       Mend: %s\n", res.Check, res.Found, res.Mend)
	default:
		fmt.Fprintf(r.out, "%-5s  %s", res.Result, res.Check)
		if res.Found != "" {
			fmt.Fprintf(r.out, ": %s", res.Found)
		}
		fmt.Fprintln(r.out)
	}
}

// errWrong says that the report has what is wrong.
var errWrong = errors.New("not everything is right")

// goThrough looks at everything in turn and mends what is wrong, unless it may
// only look. It ends with the first thing that is wrong and stays so.
func (p *project) goThrough(r report) error {
	for _, c := range checks {
		found, err := c.look(p)
		var w *wrong
		if err == nil {
			r.print(result{c.name, "ok", found, ""})
			continue
		}
		if !errors.As(err, &w) {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if p.onlyLook || c.mend == nil {
			mend := w.console
			if c.mend != nil {
				mend = "go run ./scripts/deploy    or " + mend
			}
			r.print(result{c.name, "wrong", w.what, mend})
			return errWrong
		}
		if err := c.mend(p); err != nil {
			r.print(result{c.name, "wrong", w.what, w.console})
			return fmt.Errorf("%s could not be mended: %w", c.name, err)
		}
		if _, err := c.look(p); err != nil {
			var still *wrong
			if !errors.As(err, &still) {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r.print(result{c.name, "wrong", still.what, still.console})
			return errWrong
		}
		r.print(result{c.name, "fixed", w.what, ""})
	}
	return nil
}
