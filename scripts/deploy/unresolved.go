package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
)

// checkUnresolved says how many of what was started nobody knows the outcome of, and what
// the sweep has found in the last day. Wrong is only that something waits for the sweep
// and it does not run.
func checkUnresolved(k kind) func(context.Context, *project) (string, error) {
	return func(ctx context.Context, p *project) (string, error) { return p.unresolved(ctx, k) }
}

// mostCounted is where Appwrite stops counting.
const mostCounted = 5000

func (p *project) unresolved(ctx context.Context, k kind) (string, error) {
	asked, err := p.countAsked(ctx, k)
	if err != nil {
		return "", err
	}
	givenUp, err := p.countOpen(ctx, k, appwrite.IsNull("nextCheckAt"))
	if err != nil {
		return "", err
	}
	now := time.Now()
	runs, found, err := p.swept(ctx, now.Add(-24*time.Hour))
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%s still asked about, %s given up; in the last day the sweep ran %d times and found %d", counted(asked), counted(givenUp), runs, found)
	if runs == 0 {
		// It runs every five minutes, and asks about what is older than 90 s.
		old, err := p.countAsked(ctx, k, appwrite.Before("$createdAt", now.Add(-time.Hour)))
		switch {
		case err != nil:
			return "", err
		case old > 0 && p.dryRun:
			return "", wrong(said+": what waits for longer than an hour stays unknown",
				p.inConsole("Settings → Schedule: "+p.wanted.Schedule+", then redeploy; Settings → Execution logs must be on, and Executions shows why a run failed"))
		case old > 0: // what this run has put right shows later
			said += ". What waits for longer than an hour stays unknown, unless -check says in ten minutes that the sweep runs"
		}
	}
	unreceipted, err := p.countStarted(ctx, k, appwrite.Equal("status", "SUCCESS"), appwrite.IsNull("receipt"), appwrite.Before("$createdAt", now.Add(-time.Hour)))
	if err != nil {
		return "", err
	}
	if unreceipted > 0 {
		said += fmt.Sprintf(". %s paid, says Safaricom, and without a receipt for over an hour: it is in M-Pesa's statement alone", counted(unreceipted))
	}
	if givenUp > 0 {
		said += ". What became of those given up: docs/durability.md, \"When nobody can tell\""
	}
	return said, nil
}

// countAsked counts what was started and is still asked about: of these a next check is
// noted down, whenever it is.
func (p *project) countAsked(ctx context.Context, k kind, queries ...appwrite.Query) (int, error) {
	return p.countOpen(ctx, k, append(queries, appwrite.After("nextCheckAt", time.Unix(0, 0)))...)
}

// countOpen counts what was started and has no known outcome, and is selected by the
// queries as well.
func (p *project) countOpen(ctx context.Context, k kind, queries ...appwrite.Query) (int, error) {
	return p.countStarted(ctx, k, append(queries, appwrite.Equal("status", "PENDING", "TIMEOUT"))...)
}

// countStarted counts what was started and is selected by the queries, as Appwrite does, up
// to mostCounted.
func (p *project) countStarted(ctx context.Context, k kind, queries ...appwrite.Query) (int, error) {
	// Only what was started here has a requested amount.
	queries = append(queries, appwrite.MoreThan("requestedAmount", 0), appwrite.Limit(1))
	params := url.Values{}
	for _, q := range queries {
		params.Add("queries[]", q.String())
	}
	var page struct{ Total int }
	err := p.call(ctx, http.MethodGet, p.collectionPath(k)+"/documents?"+params.Encode(), nil, &page)
	return page.Total, err
}

// counted says a number that Appwrite counted.
func counted(n int) string {
	if n >= mostCounted {
		return "5,000 or more"
	}
	return strconv.Itoa(n)
}

// swept counts the runs of the sweep since then that have left a line in the log, and
// what they found.
func (p *project) swept(ctx context.Context, since time.Time) (runs, found int, err error) {
	err = p.eachExecution(ctx, func(e execution) {
		for _, line := range strings.Split(e.Logs, "\n") {
			var due, asked, n int
			if _, err := fmt.Sscanf(line, "route=sweep due=%d asked=%d found=%d ", &due, &asked, &n); err == nil {
				runs, found = runs+1, found+n
			}
		}
	}, appwrite.Equal("trigger", "schedule"), appwrite.Equal("requestPath", "/"), appwrite.After("$createdAt", since), appwrite.NewestFirst())
	return runs, found, err
}
