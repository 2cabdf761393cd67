package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// apiError is what Appwrite answers where something is wrong. An answer without a
// type did not come from Appwrite's API, but from a proxy or from its web server.
type apiError struct {
	Status  int
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	if e.Type == "" {
		return fmt.Sprintf("%d without Appwrite's error type", e.Status)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Type, e.Message)
}

// isStatus reports whether err is an answer of the API with that status.
func isStatus(err error, status int) bool {
	var e *apiError
	return errors.As(err, &e) && e.Status == status
}

// isType reports whether err is an answer of the API with that error type.
func isType(err error, name string) bool {
	var e *apiError
	return errors.As(err, &e) && e.Type == name
}

// isTransient reports whether the same call may go through in a moment.
func isTransient(err error) bool {
	var e *apiError
	return !errors.As(err, &e) || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

// call makes one call of the API. body is sent as JSON unless it is nil, and the
// answer decoded into into unless that is nil.
func (s settings) call(ctx context.Context, method, path string, body, into any) error {
	answer, err := s.raw(ctx, method, path, body)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: not JSON: %w", method, path, err)
	}
	return nil
}

// raw makes one call of the API and returns the answer undecoded. It takes 30 s at
// most.
func (s settings) raw(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.config.Endpoint+path, sent)
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
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
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

// withoutURL takes the address out of an error of net/http: a function's holds the
// callback secret.
func withoutURL(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	if u.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return u.Err
}
