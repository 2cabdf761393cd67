package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"openruntimes/handler/handler"
)

// functionID is that of the function in appwrite.json.
const functionID = "daraja"

// settings are what the command works with.
type settings struct {
	config  handler.Config // where the function is and what it works on
	key     string         // an API key
	session string         // a user's session instead, for the self-test
	dryRun  bool           // only look
	get     func(name string) string
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
	values := map[string]string{
		// What the platform tells the function under names of its own.
		"APPWRITE_FUNCTION_API_ENDPOINT": strings.TrimSuffix(get("APPWRITE_ENDPOINT"), "/"),
		"APPWRITE_FUNCTION_PROJECT_ID":   get("APPWRITE_PROJECT_ID"),
		"APPWRITE_FUNCTION_ID":           functionID,
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
	var problems []string
	if err != nil {
		text := strings.NewReplacer("APPWRITE_FUNCTION_API_ENDPOINT is no URL", "APPWRITE_ENDPOINT must begin with https://",
			"APPWRITE_FUNCTION_API_ENDPOINT", "APPWRITE_ENDPOINT",
			"APPWRITE_FUNCTION_PROJECT_ID", "APPWRITE_PROJECT_ID").Replace(err.Error())
		problems = append(problems, strings.TrimPrefix(text, "configuration: "))
	}
	s := settings{config: config, key: get("APPWRITE_API_KEY"), get: get}
	if s.key == "" {
		problems = append(problems, "APPWRITE_API_KEY is missing (Console → Overview → Integrations → API keys)")
	}
	if endpoint, err := url.Parse(config.Endpoint); err == nil && endpoint.Host != "" && endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		problems = append(problems, "APPWRITE_ENDPOINT must begin with https://")
	}
	if domain := get("APPWRITE_FUNCTION_DOMAIN"); strings.ContainsAny(domain, "/ ") {
		bare, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(domain, "https://"), "http://"), "/")
		problems = append(problems, fmt.Sprintf("APPWRITE_FUNCTION_DOMAIN must be a domain alone: write %s", bare))
	}
	if !isID(config.FunctionID) {
		problems = append(problems, fmt.Sprintf("APPWRITE_FUNCTION_ID is no id: %q", config.FunctionID))
	}
	if len(problems) > 0 {
		return settings{}, fmt.Errorf("%s (set what is named in the environment or in %s)", strings.Join(problems, "; "), file)
	}
	return s, nil
}

// isID reports whether Appwrite takes s as an id of something new.
func isID(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return s != "" && len(s) <= 36 && strings.Trim(s, letters+"_.-") == "" && strings.ContainsAny(s[:1], letters)
}

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
