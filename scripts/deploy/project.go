package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"openruntimes/handler/daraja"
)

// project is what the command looks at and fixes: one function with its database
// in one project of Appwrite.
type project struct {
	settings
	progress io.Writer     // what takes long says here how far it is
	pause    time.Duration // between two looks at something that takes time
	patience time.Duration // how long Safaricom's answer may take; nobody says how long it takes

	// push uploads the code and returns what was said about it.
	push func(context.Context, *project) (said string, err error)

	// deployed returns the files to deploy.
	deployed func() (map[string][]byte, error)

	// What appwrite.json wants.
	wanted     function
	variables  []variable
	attributes map[string][]attribute // by the collection's name
	indexes    map[string][]index     // likewise

	// What was found out on the way.
	version []int // the server's
	domain  string
	prefix  string // "/SECRET", if there is one

	// Of the function's variables: those that this run has made itself, those that it
	// has set, the values as far as they are known, and those that were there before
	// and that nobody can read: of these the known value is only what was given.
	made   map[string]string
	set    map[string]bool
	known  map[string]string
	hidden map[string]bool

	safaricom *daraja.Client // see client
	payer     *daraja.Client // see payoutToken

	// secretUnknown says that the function has a callback secret which cannot be
	// read back and was not given.
	secretUnknown bool
}

// newProject reads appwrite.json, which is in the folder that the command runs in.
func newProject(s settings, progress io.Writer) (*project, error) {
	content, err := os.ReadFile("appwrite.json")
	if err != nil {
		return nil, fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	var file struct {
		Functions []struct {
			ID string `json:"$id"`
			function
			Vars []variable
		}
		Collections []struct {
			Name       string
			Attributes []attribute
			Indexes    []index
		}
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("appwrite.json: %w", err)
	}
	p := &project{settings: s, progress: progress, pause: 3 * time.Second, patience: time.Minute, push: pushWithCLI,
		deployed: sync.OnceValues(deployed), attributes: map[string][]attribute{}, indexes: map[string][]index{},
		made: map[string]string{}, set: map[string]bool{}}
	for _, f := range file.Functions {
		if f.ID == functionID {
			p.wanted, p.variables = f.function, f.Vars
		}
	}
	for i := range p.variables {
		p.variables[i].Secret = isSecret(p.variables[i].Key)
	}
	if p.wanted.Runtime == "" {
		return nil, fmt.Errorf("appwrite.json has no function %s", functionID)
	}
	for _, c := range file.Collections {
		p.attributes[c.Name], p.indexes[c.Name] = c.Attributes, c.Indexes
	}
	return p, nil
}

// say tells how far something is that takes long.
func (p *project) say(format string, args ...any) {
	fmt.Fprintf(p.progress, "        "+format+"\n", args...)
}

func (p *project) databasePath() string { return "/databases/" + url.PathEscape(p.target.DatabaseID) }

func (p *project) collectionPath(k kind) string {
	return p.databasePath() + "/collections/" + url.PathEscape(k.id(p.target))
}

// inConsole names a place in Appwrite's console.
func (p *project) inConsole(place string) string {
	return "Console → Functions → " + p.target.FunctionID + " → " + place
}

// maxWait bounds how long a build or an attribute is waited for. Appwrite ends a
// build after 15 minutes, 45 from 1.9.5 on.
const maxWait = 45 * time.Minute

// wait looks until done says so, or too long, or ctx ends. A look that fails once
// is no reason to give up on something that goes on by itself.
func (p *project) wait(ctx context.Context, what string, done func() (bool, error)) error {
	failures := 0
	for begun := time.Now(); ; {
		ok, err := done()
		switch {
		case ok:
			return nil
		case err == nil:
			failures = 0
		case ctx.Err() != nil || failures == 2 || !isTransient(err):
			return err
		default:
			failures++
		}
		if time.Since(begun) > maxWait {
			return fmt.Errorf("%s: not done after %v", what, maxWait)
		}
		if err := sleep(ctx, p.pause); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
