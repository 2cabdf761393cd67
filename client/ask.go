package client

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"openruntimes/handler/parse"
)

// RefusalType is what keeps the function from doing what was asked.
type RefusalType string

const (
	InvalidArgument RefusalType = "invalid_argument" // Fields says what is wrong
	Unauthenticated RefusalType = "unauthenticated"
	Forbidden       RefusalType = "forbidden"
	Conflict        RefusalType = "conflict"
	NotFound        RefusalType = "not_found"
	Busy            RefusalType = "busy"
	Rejected        RefusalType = "rejected"    // by Safaricom, in the words of Message
	Credentials     RefusalType = "credentials" // Safaricom refuses those of the function
	Unavailable     RefusalType = "unavailable"
	NotConfigured   RefusalType = "not_configured"
)

// Refusal is an error with which the function replied.
type Refusal struct {
	Type    RefusalType
	Message string

	// Claimed says that the call made the document, and closed it as FAILED.
	Claimed bool

	ID           string            // of the user's own payment that is in the way
	Fields       map[string]string // what is wrong, by the field's name
	ResponseCode string            // Safaricom's
	RetryAfter   time.Duration
}

// Error has the type, Safaricom's or the function's words, and what is wrong with each field.
func (r *Refusal) Error() string {
	text := string(r.Type) + ": " + r.Message
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		text += "; " + name + " " + r.Fields[name]
	}
	return text
}

// reply is what the function says of a payment, or a refusal.
type reply struct {
	status  parse.Status
	name    string // Safaricom's id for it
	refusal *Refusal
}

// paths are the function's, for asking and for checking.
func paths(kind parse.Kind) (ask, check string) {
	if kind == parse.Disbursement {
		return "/b2c/pay", "/b2c/check"
	}
	return "/stk/push", "/stk/check"
}

// execute has the function answer a request as the user's, and waits for it. An error
// means that nothing is known: there was no reply, or none of the function's own.
func (c *Client) execute(ctx context.Context, path, body string) (reply, error) {
	ctx, cancel := c.clock.timeout(ctx, askingTakes)
	defer cancel()
	answer, _, err := c.call(ctx, http.MethodPost, "/functions/"+url.PathEscape(c.config.Function)+"/executions", map[string]any{
		"async": false, "method": http.MethodPost, "path": path, "body": body,
	})
	if err != nil {
		return reply{}, err
	}
	var execution struct{ ResponseBody string }
	if !decode(answer, &execution) {
		return reply{}, ErrNoReply
	}
	return readReply([]byte(execution.ResponseBody))
}

// readReply reads the function's JSON.
func readReply(text []byte) (reply, error) {
	var told struct {
		ID, CheckoutRequestID, ConversationID string
		Status                                parse.Status
		Error                                 *struct {
			Type         RefusalType
			Message      string
			Claimed      bool
			ID           string
			Fields       map[string]string
			ResponseCode string
			RetryAfter   int
		}
	}
	if !decode(text, &told) {
		return reply{}, ErrNoReply
	}
	if e := told.Error; e != nil && e.Type != "" {
		return reply{refusal: &Refusal{Type: e.Type, Message: e.Message, Claimed: e.Claimed, ID: e.ID, Fields: e.Fields,
			ResponseCode: e.ResponseCode, RetryAfter: time.Duration(e.RetryAfter) * time.Second}}, nil
	}
	if told.ID == "" || told.Status == "" {
		return reply{}, ErrNoReply
	}
	return reply{status: told.Status, name: cmp.Or(told.CheckoutRequestID, told.ConversationID)}, nil
}
