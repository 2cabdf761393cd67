package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/handler"
	"openruntimes/handler/settle"
)

// functionID is that of the function in appwrite.json.
const functionID = "daraja"

// settings are what the command works with.
type settings struct {
	target    target
	key       string // an API key
	session   string // a user's session instead, for the self-test
	dryRun    bool   // only look
	anew      bool   // set secret variables anew
	get       func(name string) string
	transport *http.Transport

	// startsAny says that a variable for starting payments or payouts is given or set, and
	// the others of which of the two.
	startsAny, startsPayments, startsPayouts bool

	// newEnvironment says that another DARAJA_ENVIRONMENT is given than the function has:
	// what Safaricom gave for the one is worth nothing in the other.
	newEnvironment bool
}

// target says where the function is and what it works on.
type target struct {
	Endpoint, ProjectID, FunctionID         string
	DatabaseID, PaymentsID, DisbursementsID string
	AnonymousRead                           string
}

// getenv returns the variables that the function has there, as far as they follow from
// the target.
func (t target) getenv(name string) string {
	return map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": t.Endpoint,
		"APPWRITE_FUNCTION_PROJECT_ID":   t.ProjectID,
		"APPWRITE_FUNCTION_ID":           t.FunctionID,
		"DARAJA_DATABASE_ID":             t.DatabaseID,
		"DARAJA_COLLECTION_ID":           t.PaymentsID,
		"DARAJA_B2C_COLLECTION_ID":       t.DisbursementsID,
		"DARAJA_ANONYMOUS_READ":          t.AnonymousRead,
	}[name]
}

// readSettings takes each setting from the environment, else from the file. The
// ids of function, database and collections have the names in appwrite.json where
// none are given. The error names everything that is missing or malformed.
func readSettings(getenv func(string) string, file string) (settings, error) {
	inFile, err := readEnvFile(file)
	if err != nil {
		return settings{}, err
	}
	get := func(name string) string {
		if v := strings.TrimSpace(getenv(name)); v != "" {
			return v
		}
		return inFile[name]
	}
	s := settings{key: get("APPWRITE_API_KEY"), get: get, transport: appwrite.NewTransport(), target: target{
		Endpoint:        strings.TrimSuffix(get("APPWRITE_ENDPOINT"), "/"),
		ProjectID:       get("APPWRITE_PROJECT_ID"),
		FunctionID:      cmp.Or(get("APPWRITE_FUNCTION_ID"), functionID),
		DatabaseID:      cmp.Or(get("DARAJA_DATABASE_ID"), "daraja"),
		PaymentsID:      cmp.Or(get("DARAJA_COLLECTION_ID"), "payments"),
		DisbursementsID: cmp.Or(get("DARAJA_B2C_COLLECTION_ID"), "disbursements"),
		AnonymousRead:   get("DARAJA_ANONYMOUS_READ"),
	}}
	// What starts payments and payouts may be set in the function already.
	problems := slices.DeleteFunc(handler.New(s.getenv).Problems(), func(problem string) bool {
		name, missing := strings.CutSuffix(problem, " is missing")
		return missing && isForStarting(name)
	})
	for i := range problems {
		// What the function says of its own variables, in the names of this command's.
		problems[i] = strings.NewReplacer("APPWRITE_FUNCTION_API_ENDPOINT is no URL", "APPWRITE_ENDPOINT must begin with https://",
			"APPWRITE_FUNCTION_API_ENDPOINT", "APPWRITE_ENDPOINT",
			"APPWRITE_FUNCTION_PROJECT_ID", "APPWRITE_PROJECT_ID").Replace(problems[i])
	}
	if s.key == "" {
		problems = append(problems, "APPWRITE_API_KEY is missing (Console → Overview → Integrations → API keys)")
	}
	if endpoint, err := url.Parse(s.target.Endpoint); err == nil && endpoint.Host != "" && endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		problems = append(problems, "APPWRITE_ENDPOINT must begin with https://")
	}
	if domain := get("APPWRITE_FUNCTION_DOMAIN"); strings.ContainsAny(domain, "/ ") {
		bare, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(domain, "https://"), "http://"), "/")
		problems = append(problems, fmt.Sprintf("APPWRITE_FUNCTION_DOMAIN must be a domain alone: write %s", bare))
	}
	if !settle.IsID(s.target.FunctionID) {
		problems = append(problems, fmt.Sprintf("APPWRITE_FUNCTION_ID is no id: %q", s.target.FunctionID))
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("%s (set what is named in the environment or in %s)", strings.Join(problems, "; "), file)
	}
	return s, nil
}

// getenv returns the variables that the function has, as far as this command knows.
func (s settings) getenv(name string) string { return cmp.Or(s.target.getenv(name), s.get(name)) }

// readEnvFile reads lines of NAME=value, with or without export before and quotes
// around the value. What follows a # is a comment, unless it is within quotes or
// touches the value. A file that is not there has none.
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
		line := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff")) // Windows' Notepad writes a byte order mark
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if ok && !strings.HasPrefix(line, "#") {
			values[strings.TrimSpace(name)] = envValue(strings.TrimSpace(value))
		}
	}
	return values, scanner.Err()
}

// envValue takes quotes and comment off a value.
func envValue(value string) string {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
			return value[1 : 1+end]
		}
	}
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}
