package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// apiError is what Appwrite answers where something is wrong.
type apiError struct {
	Status  int
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Type, e.Message) }

// isStatus reports whether err is an answer of the API with that status.
func isStatus(err error, status int) bool {
	var e *apiError
	return errors.As(err, &e) && e.Status == status
}

// call makes one call of the API. body is sent as JSON unless it is nil, and the
// answer decoded into into unless that is nil.
func (s settings) call(method, path string, body, into any) error {
	answer, err := s.raw(method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: not JSON: %w", method, path, err)
	}
	return nil
}

// raw makes one call of the API and returns the answer undecoded.
func (s settings) raw(method, path string, body any) ([]byte, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, s.config.Endpoint+path, sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Appwrite-Response-Format", "1.8.0") // later ones name fields otherwise
	req.Header.Set("X-Appwrite-Project", s.config.ProjectID)
	if s.key != "" {
		req.Header.Set("X-Appwrite-Key", s.key)
	}
	if s.session != "" {
		req.Header.Set("X-Appwrite-Session", s.session)
	}
	// A redirect would turn a POST into a GET, and take the key elsewhere.
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		e := &apiError{Status: resp.StatusCode}
		_ = json.Unmarshal(answer, e) // a proxy's page has neither type nor message
		return nil, e
	}
	return answer, nil
}
