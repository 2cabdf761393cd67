package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"openruntimes/handler/parse"
)

const unsettledMark = "UNSETTLED "

// unsettledLine is what follows the mark on an error-log line that holds a
// document which could not be stored. It is a wire format: what one version
// logs, a later one must be able to replay.
type unsettledLine struct {
	Route string `json:"route"`
	UID   string `json:"uid"` // "" if nobody could read by it
	ID    string `json:"id"`
	Data  logged `json:"data"`
}

// logged are the attributes without the payee's name, which a nil of the same
// name hides: it has no business in a log.
type logged struct {
	attributes
	ReceiverName *string `json:"receiverName,omitempty"`
}

// unsettled is the line for the delivery's document. It must fit into the 8,000
// bytes at which the runtime cuts a line, and does: no attribute has over 255
// characters.
func (dl *delivery) unsettled() string {
	d := dl.document
	line, _ := json.Marshal(unsettledLine{dl.route.name, dl.validUID(), d.id, logged{attributes: d.attributes()}})
	return unsettledMark + string(line)
}

// ErrNotUnsettled says that a line holds no document.
var ErrNotUnsettled = errors.New("no UNSETTLED line")

// Replay settles the document in an UNSETTLED line by the rule that the function
// follows, and returns the masked id and what it did, in the words of the log. It
// is safe to repeat. The key needs the scopes documents.read and documents.write.
func (c Config) Replay(key, line string) (id, did string, err error) {
	d, err := c.unsettledDocument(line)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := c.settle(ctx, &appwrite{config: &c, key: key}, d)
	return d.masked(), string(out.action), err
}

// unsettledDocument reads a line back.
func (c Config) unsettledDocument(line string) (document, error) {
	rest, marked := strings.CutPrefix(line, unsettledMark)
	var u struct {
		unsettledLine
		Data struct {
			CheckoutRequestID        string       `json:"checkoutRequestId"`
			OriginatorConversationID string       `json:"originatorConversationId"`
			ConversationID           string       `json:"conversationId"`
			Status                   parse.Status `json:"status"`
			ResultCode               int          `json:"resultCode"`
			Receipt                  string       `json:"receipt"`
			Amount                   int64        `json:"amount"`
			FailureReason            string       `json:"failureReason"`
			MpesaTimestamp           *time.Time   `json:"mpesaTimestamp"`
		} `json:"data"`
	}
	if !marked || json.Unmarshal([]byte(rest), &u) != nil {
		return document{}, ErrNotUnsettled
	}
	d := document{
		kind:         parse.Payment,
		id:           u.ID,
		transaction:  u.Data.CheckoutRequestID,
		status:       u.Data.Status,
		code:         u.Data.ResultCode,
		receipt:      u.Data.Receipt,
		amount:       u.Data.Amount,
		conversation: u.Data.ConversationID,
		reason:       u.Data.FailureReason,
		settledAt:    c.clock.now(),
	}
	if u.Route != "callback" {
		d.kind, d.transaction = parse.Disbursement, u.Data.OriginatorConversationID
	}
	if u.Data.MpesaTimestamp != nil {
		d.at = *u.Data.MpesaTimestamp
	}
	if !isID(d.id) || d.transaction == "" || d.rank() == 0 {
		return document{}, fmt.Errorf("%w: id, transaction or status is missing", ErrNotUnsettled)
	}
	d.reader = c.reader(d.kind, u.UID)
	return d, nil
}
