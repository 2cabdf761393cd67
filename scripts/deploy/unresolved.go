package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
)

// checkUnresolved says how many started payments nobody knows the outcome of, and how
// many the sweep has found in the last day. Neither is anything to fix here.
func checkUnresolved(ctx context.Context, p *project) (string, error) {
	// Only a started payment has a requested amount.
	open := []appwrite.Query{appwrite.Equal("status", "PENDING", "TIMEOUT"), appwrite.MoreThan("requestedAmount", 0)}
	all, err := p.count(ctx, payments, open...)
	if err != nil {
		return "", err
	}
	givenUp, err := p.count(ctx, payments, append(open, appwrite.IsNull("nextCheckAt"))...)
	if err != nil {
		return "", err
	}
	runs, found, err := p.swept(ctx, time.Now().Add(-24*time.Hour))
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%d still asked about, %d given up; in the last day the sweep ran %d times and found %d", all-givenUp, givenUp, runs, found)
	if givenUp > 0 {
		said += ". What became of those given up: docs/durability.md, \"When nobody can tell\""
	}
	return said, nil
}

// count returns how many documents the queries select, as Appwrite counts them: up to
// 5,000.
func (p *project) count(ctx context.Context, k kind, queries ...appwrite.Query) (int, error) {
	params := url.Values{}
	for _, q := range append(queries, appwrite.Limit(1)) {
		params.Add("queries[]", q.String())
	}
	var page struct{ Total int }
	err := p.call(ctx, http.MethodGet, p.collectionPath(k)+"/documents?"+params.Encode(), nil, &page)
	return page.Total, err
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
