package daraja

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// shape is what kind of body an answer has.
type shape int

const (
	_        shape = iota
	coded          // {"errorCode":"400.002.02","errorMessage":…}
	fault          // {"fault":{"faultstring":…,"detail":{"errorcode":…}}}, from Apigee
	other          // any other JSON
	empty          // nothing
	garbage        // not JSON, or half of it
	page           // HTML
	firewall       // Incapsula's, before all of Safaricom's API
)

// reply is the body of any answer, as far as it is known.
type reply struct {
	shape shape
	words string // what went wrong, in small letters without spaces

	AccessToken text `json:"access_token"`
	ExpiresIn   text `json:"expires_in"`

	ResponseCode, ResponseDescription, CustomerMessage text
	MerchantRequestID, CheckoutRequestID               text
	ConversationID, OriginatorConversationID           text

	ResultCode json.RawMessage

	ErrorCode, ErrorMessage text
	Fault                   struct {
		FaultString text
		Detail      struct{ ErrorCode text }
	}
	Envelope struct {
		Body struct {
			Fault struct {
				FaultString text
				Detail      struct {
					Source struct{ ErrorCode text }
				}
			}
		}
	}
}

// text is a JSON string without the space around it, or a number as it is
// written. Anything else leaves it as it is, empty.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case b[0] == '"':
		var s string
		_ = json.Unmarshal(b, &s)
		*t = text(strings.TrimSpace(s))
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = text(b)
	}
	return nil
}

// read reads a body. What has another JSON type than expected stays empty.
func read(body []byte) reply {
	var r reply
	var another *json.UnmarshalTypeError
	err := json.Unmarshal(body, &r)
	switch start := bytes.TrimSpace(body); {
	case len(start) == 0:
		r.shape = empty
	case bytes.Contains(body, []byte("Incapsula")):
		r.shape = firewall
	case start[0] == '<':
		r.shape = page
	case err != nil && !errors.As(err, &another):
		r.shape = garbage
	case isErrorCode(string(r.ErrorCode)):
		r.shape = coded
	case r.Fault.FaultString+r.Fault.Detail.ErrorCode != "":
		r.shape = fault
	default:
		r.shape = other
	}
	r.words = strings.ToLower(strings.Join(strings.Fields(r.reason()+r.code()), ""))
	return r
}

// isErrorCode reports whether s begins as Safaricom's error codes do: 400.002.02.
func isErrorCode(s string) bool {
	return len(s) > 4 && strings.Trim(s[:3], "0123456789") == "" && s[3] == '.'
}

// accepts reports whether the body says that the request was taken, and by which
// name. HTTP's word is not enough: a 200 may hold a page or an error.
func (r *reply) accepts(to call) bool {
	switch to {
	case token:
		return r.AccessToken != "" && !strings.ContainsFunc(string(r.AccessToken), unfitForHeader)
	case push, query:
		return r.ResponseCode == "0" && r.CheckoutRequestID != ""
	default:
		return r.ResponseCode == "0" && r.ConversationID+r.OriginatorConversationID != ""
	}
}

func unfitForHeader(c rune) bool { return c <= ' ' || c > '~' }

// code is the most particular code in the body.
func (r *reply) code() string {
	return string(cmp.Or(r.ErrorCode, r.Fault.Detail.ErrorCode, r.Envelope.Body.Fault.Detail.Source.ErrorCode, r.ResponseCode))
}

// reason is what the body says went wrong.
func (r *reply) reason() string {
	return string(cmp.Or(r.ErrorMessage, r.Fault.FaultString, r.Envelope.Body.Fault.FaultString, r.ResponseDescription))
}

// throttled reports whether the body says that there were too many requests. It
// does so with 500.003.02 as documented, and as an Apigee fault, as observed.
func (r *reply) throttled() bool {
	return r.shape == coded && (strings.HasPrefix(r.code(), "500.003.02") || strings.HasPrefix(r.code(), "500.003.03")) ||
		r.shape == fault && (strings.Contains(r.words, "spikearrest") || strings.Contains(r.words, "quotaviolation"))
}

// describe says what came instead of a reason.
func (r *reply) describe(status int) string {
	what := "no reason in its JSON"
	switch {
	case r.shape == firewall:
		what = "the page of Safaricom's firewall, Incapsula: it blocks the addresses of this host"
	case status/100 == 3:
		what = "a redirect, which is not followed"
	case r.shape == page:
		what = "an HTML page"
	case r.shape == empty:
		what = "no body"
	case r.shape == garbage:
		what = "a body that is not JSON"
	case status/100 == 2:
		what = "JSON that accepts nothing"
	}
	return fmt.Sprintf("HTTP %d with %s", status, what)
}
