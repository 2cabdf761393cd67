package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A check is one thing that must be right before payments are settled.
type check struct {
	name string

	// look says in a few words what it found. A *problem is something that is
	// not right; any other error means that it could not be seen.
	look func(context.Context, *project) (found string, err error)

	// fix makes it right. Without it, only a person can.
	fix func(context.Context, *project) error

	// when reports whether there is anything to look at. Without it there always is.
	when func(*project) bool

	// unused reports whether nothing needs the subject so far. It is made all the
	// same, and what is wrong with it is a remark. Without it, something does.
	unused func(*project) bool

	// essential is a check without whose subject nothing else can be seen.
	essential bool

	// needs names the checks without whose subject there is nothing to look at:
	// no attributes without their collection. A check that needs "everything"
	// is left out as soon as anything is wrong.
	needs []string
}

// everything in a check's needs stands for all checks before it.
const everything = "everything"

// problem is what a look found not to be right.
type problem struct {
	what    string // and what follows from it
	console string // where a person fixes it
	absent  bool   // the subject of the check is not there at all
}

func (p *problem) Error() string { return p.what }

// wrong returns a problem with something that is there.
func wrong(what, console string) error { return &problem{what: what, console: console} }

// absent returns the problem that something is not there, so that nothing that
// depends on it can be looked at.
func absent(what, console string) error { return &problem{what: what, console: console, absent: true} }

// checks are in the order in which each needs those before it.
var checks = []check{
	{name: "server version", look: checkServer, essential: true},
	{name: "key scopes", look: checkScopes, essential: true},
	{name: "database", look: checkDatabase, fix: fixDatabase},
	{name: "collection of payments", look: checkCollection(payments), fix: fixCollection(payments), needs: []string{"database"}},
	{name: "attributes of payments", look: checkAttributes(payments), fix: fixAttributes(payments), needs: []string{"collection of payments"}},
	{name: "started payments", look: checkStarted(payments), fix: fixStarted(payments), needs: []string{"attributes of payments"}, unused: startsNone},
	{name: "collection of disbursements", look: checkCollection(disbursements), fix: fixCollection(disbursements), needs: []string{"database"}},
	{name: "attributes of disbursements", look: checkAttributes(disbursements), fix: fixAttributes(disbursements), needs: []string{"collection of disbursements"}},
	{name: "started payouts", look: checkStarted(disbursements), fix: fixStarted(disbursements), needs: []string{"attributes of disbursements"}, unused: always},
	{name: "function", look: checkFunction, fix: fixFunction},
	{name: "domain", look: checkDomain, fix: fixDomain, needs: []string{"function"}},
	{name: "variables", look: checkVariables, fix: fixVariables, needs: []string{"function"}},
	{name: "code", look: checkCode, fix: deployCode, needs: []string{"function"}},
	{name: "health", look: checkHealth, needs: []string{everything}},
	{name: "self-test", look: selfTest, needs: []string{everything}},
	{name: "starting payments", look: checkStarting, needs: []string{"variables"}, when: startsSome},
	{name: "signed callbacks", look: checkSigned, needs: []string{everything}, when: startsSome},
	{name: "unresolved payments", look: checkUnresolved, needs: []string{"started payments", "function"}, when: startsSome},
}

// startsSome reports whether the function is set up to start payments, and startsNone
// whether it is not.
func startsSome(p *project) bool { return p.startsPayments }
func startsNone(p *project) bool { return !p.startsPayments }

// always is for what this version of the function does not do yet.
func always(*project) bool { return true }

func (c check) applies(p *project) bool { return c.when == nil || c.when(p) }

func (c check) isUnused(p *project) bool { return c.unused != nil && c.unused(p) }

// notNeeded begins what is said of a problem with something unused.
const notNeeded = "not needed so far: "

// result is one line of the report.
type result struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, made, fixed, wrong, skipped or error; at the end live
	Found  string `json:"found,omitempty"`
	Fix    string `json:"fix,omitempty"`
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
	label := res.Result
	if label == "wrong" || label == "error" {
		label = "WRONG"
	}
	line := fmt.Sprintf("%-7s %s", label, res.Check)
	if res.Found != "" {
		line += ": " + res.Found
	}
	fmt.Fprintln(r.out, strings.TrimSuffix(line, "."))
	if res.Fix != "" {
		fmt.Fprintf(r.out, "        Fix: %s\n", res.Fix)
	}
}

// errWrong says that the report names what is wrong.
var errWrong = errors.New("not everything is right")

// diagnose looks at everything and changes nothing. It reports everything that is
// wrong, but nothing that only follows from something reported before: whether
// attributes are right cannot be seen without their collection.
func (p *project) diagnose(ctx context.Context, r report) error {
	var wrong, unseen []string
	for _, c := range checks {
		if !c.applies(p) {
			continue
		}
		if missing := c.blockedBy(wrong, unseen); missing != "" {
			unseen = append(unseen, c.name)
			r.print(result{Check: c.name, Result: "skipped", Found: "cannot be seen before this is fixed: " + missing})
			continue
		}
		found, err := c.look(ctx, p)
		var pr *problem
		if errors.As(err, &pr) && c.isUnused(p) {
			found, err = notNeeded+pr.what, nil
		}
		if err == nil {
			r.print(result{Check: c.name, Result: "ok", Found: found})
			continue
		}
		wrong = append(wrong, c.name)
		if isType(err, "general_unauthorized_scope") {
			unseen = append(unseen, c.name)
			r.print(result{Check: c.name, Result: "skipped", Found: "the API key lacks the scope to look at it"})
			continue
		}
		if !errors.As(err, &pr) {
			unseen = append(unseen, c.name)
			r.print(result{Check: c.name, Result: "error", Found: err.Error()})
			continue
		}
		r.print(result{Check: c.name, Result: "wrong", Found: pr.what, Fix: c.advice(pr)})
		if pr.absent && c.essential {
			break
		}
		if pr.absent {
			unseen = append(unseen, c.name)
		}
	}
	if len(wrong) > 0 {
		return errWrong
	}
	return nil
}

// blockedBy returns the check on which c waits: one that is wrong, for a check that
// needs everything, else one whose subject is not there to be looked at.
func (c check) blockedBy(wrong, unseen []string) string {
	if slices.Contains(c.needs, everything) && len(wrong) > 0 {
		return wrong[0]
	}
	for _, need := range c.needs {
		if slices.Contains(unseen, need) {
			return need
		}
	}
	return ""
}

// advice says how to fix a problem.
func (c check) advice(pr *problem) string {
	if c.fix == nil {
		return pr.console
	}
	return "go run ./scripts/deploy    or " + pr.console
}

// deploy looks at everything in turn and fixes what is wrong. It ends with the
// first thing that stays wrong.
func (p *project) deploy(ctx context.Context, r report) error {
	for _, c := range checks {
		if !c.applies(p) {
			continue
		}
		found, err := c.look(ctx, p)
		var pr *problem
		switch {
		case err == nil:
			r.print(result{Check: c.name, Result: "ok", Found: found})
			continue
		case !errors.As(err, &pr):
			return fmt.Errorf("%s: %w", c.name, err)
		case c.fix == nil:
			r.print(result{Check: c.name, Result: "wrong", Found: pr.what, Fix: pr.console})
			return errWrong
		}
		if err := c.fix(ctx, p); err != nil {
			if c.isUnused(p) && ctx.Err() == nil && !isTransient(err) {
				r.print(result{Check: c.name, Result: "ok", Found: notNeeded + pr.what + " (" + err.Error() + ")"})
				continue
			}
			r.print(result{Check: c.name, Result: "wrong", Found: pr.what, Fix: pr.console})
			return fmt.Errorf("%s could not be fixed: %w", c.name, err)
		}
		found, err = c.look(ctx, p)
		var still *problem
		switch {
		case err == nil:
		case !errors.As(err, &still):
			return fmt.Errorf("%s: %w", c.name, err)
		case c.isUnused(p):
			r.print(result{Check: c.name, Result: "ok", Found: notNeeded + still.what})
			continue
		default:
			r.print(result{Check: c.name, Result: "wrong", Found: still.what, Fix: still.console})
			return errWrong
		}
		if pr.absent {
			r.print(result{Check: c.name, Result: "made", Found: found})
		} else {
			r.print(result{Check: c.name, Result: "fixed", Found: pr.what})
		}
	}
	return nil
}
