package handler

import (
	"net/http"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// problemType names what keeps the function from doing what an app asks. Clients decide
// by it.
type problemType string

const (
	invalidArgument problemType = "invalid_argument"
	unauthenticated problemType = "unauthenticated"
	forbidden       problemType = "forbidden"
	conflicting     problemType = "conflict"
	notFoundHere    problemType = "not_found"
	busy            problemType = "busy"
	rejected        problemType = "rejected"
	badCredentials  problemType = "credentials"
	unavailable     problemType = "unavailable"
	notConfigured   problemType = "not_configured"
)

// statusCode returns the HTTP status that goes with a type.
func (t problemType) statusCode() int {
	switch t {
	case invalidArgument:
		return http.StatusBadRequest
	case unauthenticated:
		return http.StatusUnauthorized
	case forbidden:
		return http.StatusForbidden
	case conflicting:
		return http.StatusConflict
	case notFoundHere:
		return http.StatusNotFound
	case busy:
		return http.StatusTooManyRequests
	case rejected:
		return http.StatusUnprocessableEntity
	case badCredentials:
		return http.StatusBadGateway
	case notConfigured:
		return http.StatusNotImplemented
	default:
		return http.StatusServiceUnavailable
	}
}

// problem is the reply to an app whose request was not done.
type problem struct {
	Type         problemType       `json:"type"`
	Message      string            `json:"message"`
	Claimed      bool              `json:"claimed"`          // this call's own claim was made, and ended as FAILED
	ID           string            `json:"id,omitempty"`     // of the user's own open payment that is in the way
	Fields       map[string]string `json:"fields,omitempty"` // what is wrong, by name
	ResponseCode string            `json:"responseCode,omitempty"`
	RetryAfter   int               `json:"retryAfter,omitempty"` // seconds

	refusal string // Safaricom's words, where it was asked and said no: the document has them
	log     string // for the error log alone
}

// reply answers an app.
func (r *request) reply(status int, body any) openruntimes.Response {
	return r.ctx.Res.Json(body, r.ctx.Res.WithStatusCode(status))
}

// fail answers an app with a problem.
func (r *request) fail(p *problem) openruntimes.Response {
	return r.reply(p.Type.statusCode(), map[string]*problem{"error": p})
}
