package appwrite

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/appwrite/sdk-for-go/client"

	"openruntimes/handler/settle"
)

// Failure is a call of the API that did not do what it was to do, or did it and could
// not say so. Its text is fit for the log: no URL and no server's message, both of
// which may hold the payer's number.
type Failure struct {
	Call    string
	Status  int    // 0 if there was no answer
	Type    string // Appwrite's error type, if it gave one
	Message string // Appwrite's words, which may hold an id and are not part of the text
	cause   string // what else is known
}

func (f *Failure) Error() string {
	var parts []string
	if f.Status != 0 {
		parts = append(parts, fmt.Sprint(f.Status))
	}
	for _, s := range []string{f.Type, f.cause} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return f.Call + ": " + strings.Join(parts, " ")
}

// newFailure turns an error of the SDK into one that holds nothing secret.
func newFailure(call string, err error) *Failure {
	var refused *client.AppwriteError
	if errors.As(err, &refused) {
		var body struct{ Type, Message string }
		_ = json.Unmarshal([]byte(refused.GetResponse()), &body)
		return &Failure{Call: call, Status: refused.GetStatusCode(), Type: SafeName(body.Type), Message: body.Message}
	}
	return &Failure{Call: call, cause: cause(err)}
}

// SafeName returns s if it is a name, letters and underscores alone, and "?" if it could
// be somebody's data: it is fit for the log.
func SafeName(s string) string {
	if len(s) > 60 || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "?"
	}
	return s
}

// cause says in our own words why there was no answer. The texts of net/http quote
// URLs, and so the document's id, and what a server sent.
func cause(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "no time was left"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return "host not found"
	case errors.As(err, &certificate):
		return "certificate not trusted"
	default:
		return "connection broken"
	}
}

// Status returns the HTTP status of a failed call, 0 if there is none.
func Status(err error) int {
	if err == nil { // as almost always, and f would be allocated
		return 0
	}
	var f *Failure
	if errors.As(err, &f) {
		return f.Status
	}
	return 0
}

// isDocumentNotFound reports whether the collection is there and the document is not.
// A missing collection or database is a 404 of another type.
func isDocumentNotFound(err error) bool {
	var f *Failure
	return err != nil && errors.As(err, &f) && f.Status == http.StatusNotFound && f.Type == "document_not_found"
}

// IsPaused reports whether Appwrite refuses every call, since the project is paused.
func IsPaused(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Type == "project_paused"
}

// Class says what a failed write asks for, in the log's words. People set alerts on
// that of Permanent.
type Class string

const (
	Transient Class = "passes by itself"  // try again at once
	Permanent Class = "needs an operator" // it can only wait in the queue
	Throttled Class = "too busy"          // trying again at once would make it worse: wait in the queue
)

// Classify sorts every way in which a write can fail. It is the only place that does.
func Classify(err error) Class {
	var f *Failure
	if !errors.As(err, &f) {
		if errors.Is(err, settle.ErrContended) {
			return Transient
		}
		return Permanent // a missing setting, an id that holds another transaction
	}
	switch {
	case f.Status == 0: // network, deadline
		return Transient
	case f.Status >= 200 && f.Status < 300: // not JSON, no $id: a proxy's page
		return Transient
	case f.Status == http.StatusRequestTimeout || f.Status >= 500:
		return Transient
	case f.Status == http.StatusTooManyRequests:
		return Throttled
	default: // scope, key, paused project, missing collection, structure, redirect
		return Permanent
	}
}
