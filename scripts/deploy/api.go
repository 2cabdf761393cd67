package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"openruntimes/handler/appwrite"
)

// isStatus reports whether err is an answer of the API with that status.
func isStatus(err error, status int) bool { return status == appwrite.Status(err) }

// isType reports whether err is an answer of the API with that error type.
func isType(err error, name string) bool {
	var f *appwrite.Failure
	return errors.As(err, &f) && f.Type == name
}

// isTransient reports whether the same call may go through in a moment.
func isTransient(err error) bool { return appwrite.Classify(err) != appwrite.Permanent }

// call makes one call of the API, which takes 30 s at most. body is sent as JSON
// unless it is nil, and the answer decoded into into unless that is nil.
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

// raw makes one call of the API and returns the answer undecoded.
func (s settings) raw(ctx context.Context, method, path string, body any) ([]byte, error) {
	params, err := parameters(body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &appwrite.Client{Endpoint: s.target.Endpoint, ProjectID: s.target.ProjectID, Key: s.key, Session: s.session, Transport: s.transport}
	answer, err := client.Call(ctx, "Appwrite", method, path, params)
	var f *appwrite.Failure
	if errors.As(err, &f) && f.Message != "" {
		return nil, fmt.Errorf("%w (%s)", err, f.Message)
	}
	return answer, err
}

// parameters turns a body into what the SDK sends as JSON. Numbers stay as they are
// written.
func parameters(body any) (params map[string]any, err error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	return params, decoder.Decode(&params)
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
