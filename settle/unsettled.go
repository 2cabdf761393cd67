package settle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"openruntimes/handler/parse"
)

// Mark begins an error-log line that holds a document which could not be stored.
const Mark = "UNSETTLED "

// unsettledLine is what follows the mark. It is a wire format: what one version logs,
// a later one must be able to replay.
type unsettledLine struct {
	Route string   `json:"route"`
	UID   string   `json:"uid"` // "" if nobody could read by it
	ID    string   `json:"id"`
	Data  redacted `json:"data"`
}

// redacted are the attributes without the payee's name, which a nil of the same name
// hides: it has no business in a log.
type redacted struct {
	Attributes
	ReceiverName *string `json:"receiverName,omitempty"`
}

// Unsettled returns the line for a document that came by that route with that uid. It
// fits into the 8,000 bytes at which the runtime cuts a line, since no attribute has
// over 255 characters.
func (d *Document) Unsettled(route, uid string) string {
	if !IsID(uid) {
		uid = ""
	}
	line, _ := json.Marshal(unsettledLine{route, uid, d.DocumentID, redacted{Attributes: d.Attributes()}})
	return Mark + string(line)
}

// ErrNotUnsettled says that a line holds no document.
var ErrNotUnsettled = errors.New("no UNSETTLED line")

// ParseUnsettled reads a line back, as the document to be settled at that time.
func ParseUnsettled(line, anonymousRead string, now time.Time) (Document, error) {
	rest, marked := strings.CutPrefix(line, Mark)
	var u unsettledLine
	if !marked || json.Unmarshal([]byte(rest), &u) != nil {
		return Document{}, ErrNotUnsettled
	}
	kind := parse.Payment
	if u.Data.OriginatorConversationID != "" {
		kind = parse.Disbursement
	}
	v, err := u.Data.verdict(kind)
	if err != nil {
		return Document{}, ErrNotUnsettled
	}
	d := Document{Verdict: v, DocumentID: u.ID, SettledAt: now}
	if !IsID(d.DocumentID) || d.ID == "" || d.Rank() == 0 {
		return Document{}, fmt.Errorf("%w: id, transaction or status is missing", ErrNotUnsettled)
	}
	d.ReadRole = ReadRole(d.Kind, u.UID, anonymousRead)
	return d, nil
}
