// Package settle has the rules by which what Safaricom says becomes a document:
// what a document holds and who may read it, which of two verdicts is kept, and in
// which order the database is asked.
package settle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openruntimes/handler/parse"
)

// Document is one transaction as the database holds it. Of the embedded verdict, ID
// is the transaction's, and an empty text or a zero is null.
type Document struct {
	parse.Verdict
	DocumentID string    // the document's own id
	ReadRole   string    // who may read it: "user:ID", "any", or "" for nobody but the server
	SettledAt  time.Time // when its verdict is written, or a claim is made

	Started        // by this function; the zero value of what it only hears of
	Server  Server // what the server says of it; the zero value if it was not read
}

// Server is what only the server knows of a document.
type Server struct {
	UpdatedAt string    // $updatedAt as it was sent
	CreatedAt time.Time // UTC
	Sequence  int64     // orders documents by their creation
}

// ChangedAt is when it was written last, UTC.
func (s Server) ChangedAt() time.Time {
	at, _ := time.Parse(time.RFC3339, s.UpdatedAt)
	return at.UTC()
}

// New returns the document that a verdict asks for.
func New(v parse.Verdict, readRole string, now time.Time) Document {
	id := v.ID
	if !IsID(id) {
		id = hashID(id)
	}
	return Document{Verdict: v, DocumentID: id, ReadRole: readRole, SettledAt: now}
}

// ReadRole says who may read the document of a callback whose URL has that uid.
// Where it names no user, nobody but the server reads it, unless anonymousRead is
// "any". That opens payments alone: a list of disbursements names their payees.
func ReadRole(kind parse.Kind, uid, anonymousRead string) string {
	switch {
	case IsID(uid):
		return "user:" + uid
	case kind == parse.Payment && anonymousRead == "any":
		return "any"
	default:
		return ""
	}
}

// Permissions lists who may read the document, in Appwrite's grammar.
func (d *Document) Permissions() []string {
	if d.ReadRole == "" {
		return []string{}
	}
	return []string{`read("` + d.ReadRole + `")`}
}

// Attributes is a document's data on the wire, both ways. Their names and types are
// the published client's contract (package daraja 0.1.2), and not ours to alter. All
// of a kind are written, nulls included, but for the transaction's id where a document
// is replaced: a replacement must leave nothing else of what it replaces.
type Attributes struct {
	CheckoutRequestID        string       `json:"checkoutRequestId,omitempty"`        // payments
	OriginatorConversationID string       `json:"originatorConversationId,omitempty"` // disbursements
	Status                   parse.Status `json:"status"`
	ResultCode               *int         `json:"resultCode"`
	Receipt                  *string      `json:"receipt"`
	Amount                   *int64       `json:"amount"`
	FailureReason            *string      `json:"failureReason"`
	MpesaTimestamp           *string      `json:"mpesaTimestamp"`
	SettledAt                string       `json:"settledAt"`
	*B2CAttributes
	*StartedAttributes
}

// B2CAttributes are the attributes that only disbursements have.
type B2CAttributes struct {
	ConversationID *string `json:"conversationId"`
	ReceiverName   *string `json:"receiverName"`
}

// Attributes returns the document's data with the transaction's id.
func (d *Document) Attributes() Attributes {
	data := Attributes{
		Status:        d.Status,
		ResultCode:    &d.Code,
		Receipt:       nullable(d.Receipt),
		Amount:        nullable(d.Amount),
		FailureReason: nullable(sanitize(d.Reason, 255)),
		SettledAt:     FormatTime(d.SettledAt),
	}
	if !d.At.IsZero() {
		data.MpesaTimestamp = nullable(d.At.UTC().Format(time.RFC3339))
	}
	if d.Kind == parse.Disbursement {
		data.OriginatorConversationID = d.transactionText()
		data.B2CAttributes = &B2CAttributes{nullable(sanitize(d.Conversation, 50)), nullable(sanitize(d.Receiver, 255))}
	} else {
		data.CheckoutRequestID = d.transactionText()
	}
	return data
}

// verdict reads the attributes of that kind back. An absent code is parse.NoCode.
func (a Attributes) verdict(kind parse.Kind) (parse.Verdict, error) {
	v := parse.Verdict{Kind: kind, ID: a.CheckoutRequestID, Status: a.Status, Code: parse.NoCode,
		Receipt: value(a.Receipt), Amount: value(a.Amount), Reason: value(a.FailureReason)}
	if kind == parse.Disbursement {
		v.ID = a.OriginatorConversationID
	}
	if a.ResultCode != nil {
		v.Code = *a.ResultCode
	}
	if a.B2CAttributes != nil {
		v.Conversation = value(a.ConversationID)
	}
	if a.MpesaTimestamp == nil {
		return v, nil
	}
	var err error
	v.At, err = time.Parse(time.RFC3339, *a.MpesaTimestamp)
	return v, err
}

// Decode reads a document of that kind as Appwrite answers it. Whatever an app or an
// older function has written there is read as far as it makes sense.
func Decode(kind parse.Kind, body []byte) (Document, error) {
	var stored struct {
		ID        string   `json:"$id"`
		UpdatedAt string   `json:"$updatedAt"`
		CreatedAt string   `json:"$createdAt"`
		Sequence  sequence `json:"$sequence"`
		Attributes
	}
	if err := json.Unmarshal(body, &stored); err != nil {
		return Document{}, err
	}
	if stored.ID == "" || stored.UpdatedAt == "" {
		return Document{}, errors.New("no document")
	}
	v, _ := stored.verdict(kind) // a time of another form is somebody else's
	created, _ := time.Parse(time.RFC3339, stored.CreatedAt)
	return Document{Verdict: v, DocumentID: stored.ID, Started: stored.started(),
		Server: Server{stored.UpdatedAt, created.UTC(), int64(stored.Sequence)}}, nil
}

// sequence is $sequence: a number on Appwrite 1.8, and text that holds one from 1.9 on.
// Text without one, as on MongoDB, is 0.
type sequence int64

// UnmarshalJSON reads both forms.
func (s *sequence) UnmarshalJSON(b []byte) error {
	n, _ := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*s = sequence(n)
	return nil
}

// transactionText returns the transaction's id as its attribute holds it. One that is
// too long is cut, never refused.
func (d *Document) transactionText() string {
	if d.Kind == parse.Disbursement {
		return sanitize(d.ID, 36)
	}
	return sanitize(d.ID, 255)
}

// nullable returns nil for what is not known.
func nullable[T comparable](v T) *T {
	var unknown T
	if v == unknown {
		return nil
	}
	known := v // not &v, which would be allocated for what is unknown too
	return &known
}

// value returns what p points to, and the zero value for null.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// sanitize makes s fit a string attribute of so many characters (Appwrite counts
// characters, not bytes). NUL is replaced, which PostgreSQL cannot store. Invalid
// UTF-8 was replaced when the JSON was read. Text that begins like a JSON object gets
// an apostrophe, since Appwrite executes some of those as operators instead of storing
// them.
func sanitize(s string, size int) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		s = "'" + s
	}
	if utf8.RuneCountInString(s) > size {
		s = string([]rune(s)[:size])
	}
	return s
}

// hashID makes a document id that Appwrite takes and that is always the same for the
// same parts, so that a repeated callback meets its document.
func hashID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])[:36]
}

// IsID reports whether Appwrite takes s as the id of a document or a user: 1 to 36 of
// A-Z, a-z, 0-9, period, hyphen and underscore, the first of them a letter or digit
// (utopia-php/database, Validator/Key.php). "0" is none: PHP's empty("0") is true, and
// Appwrite answers 400 as if there were no id.
func IsID(s string) bool {
	for i, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && s != "0" && len(s) <= 36
}
