package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// executionLog returns all lines of the error logs that Appwrite still has of the
// function.
func (s settings) executionLog(ctx context.Context) ([]string, error) {
	var lines []string
	queries := []string{`{"method":"limit","values":[100]}`}
	for {
		page, last, err := s.executions(ctx, queries...)
		if err != nil || last == "" {
			return lines, err
		}
		lines = append(lines, page...)
		after, err := json.Marshal(map[string]any{"method": "cursorAfter", "values": []string{last}})
		if err != nil {
			return nil, err
		}
		queries = []string{queries[0], string(after)}
	}
}

// executions returns the lines of the error logs of one page of executions, and
// the id of the last of them: "" if there was none.
func (s settings) executions(ctx context.Context, queries ...string) (lines []string, last string, err error) {
	var page struct {
		Executions []struct {
			ID     string `json:"$id"`
			Errors string `json:"errors"`
		} `json:"executions"`
	}
	path := s.functionPath() + "/executions?" + url.Values{"queries[]": queries}.Encode()
	if err := s.call(ctx, http.MethodGet, path, nil, &page); err != nil {
		return nil, "", fmt.Errorf("the function's executions: %w", err)
	}
	for _, e := range page.Executions {
		lines, last = append(lines, strings.Split(e.Errors, "\n")...), e.ID
	}
	return lines, last, nil
}
