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

	// Unverified says that the callback had a signature that could not be verified. Its
	// replay writes to no document but one of its own.
	Unverified bool `json:"unverified,omitempty"`
}

// statusRoute is where Transaction Status answers.
const statusRoute = "b2c/status"

// Origin says what the callback in an UNSETTLED line came with.
type Origin int

const (
	Unsigned   Origin = iota
	Signed            // for the started payment of the line's id
	Unverified        // its signature may be anybody's
	Answered          // by Transaction Status, for the started payout of the line's id
)

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
	u := d.unsettledLine(route, started)
	if IsID(uid) {
		u.UID = uid
	}
	return mark(u)
}

// UnsettledUnverified returns the line for a document that came for the started payment
// of that id with a signature that could not be verified.
func (d *Document) UnsettledUnverified(route, started string) string {
	u := d.unsettledLine(route, started)
	u.Unverified = true
	return mark(u)
}

// unsettledLine returns what both lines have. It has the document's own id where started
// is no id.
func (d *Document) unsettledLine(route, started string) unsettledLine {
	u := unsettledLine{Route: route, ID: d.DocumentID, Data: redacted{Attributes: d.Attributes()}}
	if IsID(started) {
		u.ID, u.Started = started, true
	}
	return u
}

// mark returns the line. Safaricom's words, or whoever's they are, may hold the mark:
// within the document it is spelt in another way, or of a line that is cut somewhere the
// rest could be taken for a document of its own.
func mark(document any) string {
	line, _ := json.Marshal(document)
	return Mark + strings.ReplaceAll(string(line), Mark, `UNSETTLED\u0020`)
}

func (u *unsettledLine) origin() Origin {
	switch {
	case u.Unverified:
		return Unverified
	case u.Started && u.Route == statusRoute:
		return Answered
	case u.Started:
		return Signed
	default:
		return Unsigned
	}
}

// UnsettledName returns the line for what was started and whose name at Safaricom could
// not be stored. It has no verdict.
func (d *Document) UnsettledName(route string) string {
	data := map[string]string{"checkoutRequestId": sanitize(d.ID, 255)}
	if d.Kind == parse.Disbursement {
		data = map[string]string{"originatorConversationId": sanitize(d.ID, 36), "conversationId": sanitize(d.Conversation, 50)}
	}
	return mark(struct {
		Route   string            `json:"route"`
		ID      string            `json:"id"`
		Started bool              `json:"started"`
		Data    map[string]string `json:"data"`
	}{route, d.DocumentID, true, data})
}

// ErrNotUnsettled says that a line holds no document.
var ErrNotUnsettled = errors.New("no UNSETTLED line")

// ParseUnsettled reads a line back, as the document to be settled at that time. A signed
// one without a status only says what Safaricom calls what was started.
func ParseUnsettled(line, anonymousRead string, now time.Time) (d Document, origin Origin, err error) {
	rest, marked := strings.CutPrefix(line, Mark)
	var u unsettledLine
	if !marked || json.Unmarshal([]byte(rest), &u) != nil {
		return Document{}, Unsigned, ErrNotUnsettled
	}
	kind := parse.Payment
	if u.Data.OriginatorConversationID != "" {
		kind = parse.Disbursement
	}
	v, err := u.Data.verdict(kind)
	if err != nil {
		return Document{}, Unsigned, ErrNotUnsettled
	}
	origin = u.origin()
	d = Document{Verdict: v, DocumentID: u.ID, SettledAt: now}
	named := origin == Signed && d.Status == "" && d.Name() != ""
	unnamed := d.ID == "" && (origin != Signed || d.Rank() == 0) // of what was never sent nobody has a name
	if !IsID(d.DocumentID) || unnamed || d.Rank() == 0 && !named {
		return Document{}, Unsigned, fmt.Errorf("%w: id, transaction or status is missing", ErrNotUnsettled)
	}
	if origin == Unsigned {
		d.ReadRole = ReadRole(d.Kind, u.UID, anonymousRead)
	}
	return d, origin, nil
}
