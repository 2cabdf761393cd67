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

	// Started says that the id is that of a started payment. Its replay begins with
	// a read.
	Started bool `json:"started,omitempty"`
}

// redacted are the attributes without the payee's name, which a nil of the same name
// hides: it has no business in a log.
type redacted struct {
	Attributes
	ReceiverName *string `json:"receiverName,omitempty"`
}

// Unsettled returns the line for a document that came by that route with that uid or,
// signed, for the started payment of that id. It fits into the 8,000 bytes at which the
// runtime cuts a line, since no attribute has over 255 characters.
func (d *Document) Unsettled(route, uid, started string) string {
	if !IsID(uid) {
		uid = ""
	}
	u := unsettledLine{Route: route, UID: uid, ID: d.DocumentID, Data: redacted{Attributes: d.Attributes()}}
	if IsID(started) {
		u.ID, u.Started = started, true
	}
	line, _ := json.Marshal(u)
	return Mark + string(line)
}

// UnsettledName returns the line for a started payment whose id at Safaricom could not
// be stored. It has no verdict.
func (d *Document) UnsettledName(route string) string {
	line, _ := json.Marshal(struct {
		Route   string `json:"route"`
		ID      string `json:"id"`
		Started bool   `json:"started"`
		Data    any    `json:"data"`
	}{route, d.DocumentID, true, Name(d.ID)})
	return Mark + string(line)
}

// ErrNotUnsettled says that a line holds no document.
var ErrNotUnsettled = errors.New("no UNSETTLED line")

// ParseUnsettled reads a line back, as the document to be settled at that time. started
// says that it is for the started payment of its id; without a status it only names that
// payment's transaction.
func ParseUnsettled(line, anonymousRead string, now time.Time) (d Document, started bool, err error) {
	rest, marked := strings.CutPrefix(line, Mark)
	var u unsettledLine
	if !marked || json.Unmarshal([]byte(rest), &u) != nil {
		return Document{}, false, ErrNotUnsettled
	}
	kind := parse.Payment
	if u.Data.OriginatorConversationID != "" {
		kind = parse.Disbursement
	}
	v, err := u.Data.verdict(kind)
	if err != nil {
		return Document{}, false, ErrNotUnsettled
	}
	d = Document{Verdict: v, DocumentID: u.ID, SettledAt: now}
	named := u.Started && d.Status == ""
	if !IsID(d.DocumentID) || d.ID == "" || d.Rank() == 0 && !named {
		return Document{}, false, fmt.Errorf("%w: id, transaction or status is missing", ErrNotUnsettled)
	}
	if !u.Started {
		d.ReadRole = ReadRole(d.Kind, u.UID, anonymousRead)
	}
	return d, u.Started, nil
}
