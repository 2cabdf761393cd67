package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"openruntimes/handler/handler"
)

// settings are what the command works with.
type settings struct {
	config  handler.Config // where the function is and what it works on
	key     string         // an API key
	session string         // a user's session instead, for the self-test
	get     func(name string) string
}

// readSettings takes each setting from the environment, else from the file. The
// ids of function, database and collections have the names in appwrite.json where
// none are given.
func readSettings(getenv func(string) string, file string) (settings, error) {
	inFile, err := readEnvFile(file)
	if err != nil {
		return settings{}, err
	}
	get := func(name string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return inFile[name]
	}
	values := map[string]string{
		// What the platform tells the function under names of its own.
		"APPWRITE_FUNCTION_API_ENDPOINT": strings.TrimSuffix(get("APPWRITE_ENDPOINT"), "/"),
		"APPWRITE_FUNCTION_PROJECT_ID":   get("APPWRITE_PROJECT_ID"),
		"APPWRITE_FUNCTION_ID":           "daraja",
		"DARAJA_DATABASE_ID":             "daraja",
		"DARAJA_COLLECTION_ID":           "payments",
		"DARAJA_B2C_COLLECTION_ID":       "disbursements",
	}
	config, err := handler.FromEnv(func(name string) string {
		if v := get(name); v != "" && name != "APPWRITE_FUNCTION_API_ENDPOINT" && name != "APPWRITE_FUNCTION_PROJECT_ID" {
			return v
		}
		return values[name]
	})
	if err != nil {
		text := strings.NewReplacer("APPWRITE_FUNCTION_API_ENDPOINT", "APPWRITE_ENDPOINT",
			"APPWRITE_FUNCTION_PROJECT_ID", "APPWRITE_PROJECT_ID").Replace(err.Error())
		return settings{}, fmt.Errorf("%s (set it in the environment or in %s)", text, file)
	}
	s := settings{config: config, key: get("APPWRITE_API_KEY"), get: get}
	if s.key == "" {
		return settings{}, fmt.Errorf("APPWRITE_API_KEY is missing (Console → Overview → Integrations → API keys)")
	}
	return s, nil
}

// readEnvFile reads lines of NAME=value. A file that is not there has none.
func readEnvFile(name string) (map[string]string, error) {
	values := map[string]string{}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if ok && !strings.HasPrefix(line, "#") {
			values[strings.TrimSpace(name)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return values, scanner.Err()
}

// executionLog returns all lines of the error logs that Appwrite still has of the
// function.
func (s settings) executionLog() ([]string, error) {
	var lines []string
	queries := []string{`{"method":"limit","values":[100]}`}
	for {
		page, last, err := s.executions(queries...)
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
func (s settings) executions(queries ...string) (lines []string, last string, err error) {
	var page struct {
		Executions []struct {
			ID     string `json:"$id"`
			Errors string `json:"errors"`
		} `json:"executions"`
	}
	path := "/functions/" + url.PathEscape(s.config.FunctionID) + "/executions?" + url.Values{"queries[]": queries}.Encode()
	if err := s.call(http.MethodGet, path, nil, &page); err != nil {
		return nil, "", fmt.Errorf("the function's executions: %w", err)
	}
	for _, e := range page.Executions {
		lines, last = append(lines, strings.Split(e.Errors, "\n")...), e.ID
	}
	return lines, last, nil
}
