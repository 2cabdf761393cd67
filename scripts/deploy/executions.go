package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"openruntimes/handler/appwrite"
)

// executionLog returns all lines of the error logs that Appwrite still has of the
// function.
func (s settings) executionLog(ctx context.Context) (lines []string, err error) {
	err = s.eachExecution(ctx, func(e execution) { lines = append(lines, strings.Split(e.Errors, "\n")...) })
	return lines, err
}

// execution is one run of the function.
type execution struct {
	ID     string `json:"$id"`
	Logs   string `json:"logs"`
	Errors string `json:"errors"`
}

// eachExecution hands over those that the queries select, page by page.
func (s settings) eachExecution(ctx context.Context, do func(execution), queries ...appwrite.Query) error {
	queries = append(queries, appwrite.Limit(100))
	selecting := len(queries)
	for {
		page, err := s.executions(ctx, queries...)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			do(e)
		}
		queries = append(queries[:selecting:selecting], appwrite.CursorAfter(page[len(page)-1].ID))
	}
}

// executions returns one page of the function's.
func (s settings) executions(ctx context.Context, queries ...appwrite.Query) ([]execution, error) {
	params := url.Values{}
	for _, q := range queries {
		params.Add("queries[]", q.String())
	}
	var page struct{ Executions []execution }
	if err := s.call(ctx, http.MethodGet, s.functionPath()+"/executions?"+params.Encode(), nil, &page); err != nil {
		return nil, fmt.Errorf("the function's executions: %w", err)
	}
	return page.Executions, nil
}
