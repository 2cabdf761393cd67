package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"openruntimes/handler/handler"
)

// settings are what the command works with.
type settings struct {
	config handler.Config
	key    string
}

// readSettings takes each setting from the environment, else from the file.
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
	// What the platform tells the function under names of its own.
	platform := map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": strings.TrimSuffix(get("APPWRITE_ENDPOINT"), "/"),
		"APPWRITE_FUNCTION_PROJECT_ID":   get("APPWRITE_PROJECT_ID"),
		"APPWRITE_FUNCTION_ID":           get("APPWRITE_FUNCTION_ID"),
	}
	if platform["APPWRITE_FUNCTION_ID"] == "" {
		platform["APPWRITE_FUNCTION_ID"] = "daraja"
	}
	config, err := handler.FromEnv(func(name string) string {
		if v, ok := platform[name]; ok {
			return v
		}
		return get(name)
	})
	if err != nil {
		text := strings.NewReplacer("APPWRITE_FUNCTION_API_ENDPOINT", "APPWRITE_ENDPOINT",
			"APPWRITE_FUNCTION_PROJECT_ID", "APPWRITE_PROJECT_ID").Replace(err.Error())
		return settings{}, fmt.Errorf("%s (set it in the environment or in %s)", text, file)
	}
	s := settings{config: config, key: get("APPWRITE_API_KEY")}
	if s.key == "" {
		return settings{}, fmt.Errorf("APPWRITE_API_KEY is missing (console → Overview → Integrations → API keys)")
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
		var page struct {
			Executions []struct {
				ID     string `json:"$id"`
				Errors string `json:"errors"`
			} `json:"executions"`
		}
		path := "/functions/" + url.PathEscape(s.config.FunctionID) + "/executions?" + url.Values{"queries[]": queries}.Encode()
		if err := s.get(path, &page); err != nil {
			return nil, fmt.Errorf("the function's executions: %w", err)
		}
		if len(page.Executions) == 0 {
			return lines, nil
		}
		for _, e := range page.Executions {
			lines = append(lines, strings.Split(e.Errors, "\n")...)
		}
		after, err := json.Marshal(map[string]any{"method": "cursorAfter", "values": []string{page.Executions[len(page.Executions)-1].ID}})
		if err != nil {
			return nil, err
		}
		queries = []string{queries[0], string(after)}
	}
}

// get reads one answer of the API.
func (s settings) get(path string, into any) error {
	req, err := http.NewRequest(http.MethodGet, s.config.Endpoint+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Appwrite-Project", s.config.ProjectID)
	req.Header.Set("X-Appwrite-Key", s.key)
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Message, Type string }
		_ = json.Unmarshal(body, &said)
		return fmt.Errorf("%d %s: %s", resp.StatusCode, said.Type, said.Message)
	}
	return json.Unmarshal(body, into)
}
