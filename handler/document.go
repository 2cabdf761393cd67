package handler

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"openruntimes/handler/parse"
)

// document is one transaction as the database holds it. Its attributes are the
// published client's contract (package daraja 0.1.2): neither their names nor
// their types are ours to alter.
type document struct {
	kind   parse.Kind
	id     string // the document's own
	reader string // who may read it: "user:ID", "any", or "" for nobody but the server

	transaction string // CheckoutRequestID or OriginatorConversationID
	status      parse.Status
	code        int
	receipt     string // "" is null, here and below
	amount      int64  // 0 is null

	conversation string // disbursements only
	receiver     string // disbursements only
	reason       string
	at           time.Time // zero is null
	settledAt    time.Time

	updatedAt string // $updatedAt as read from the server; "" if it was not read
}

// newDocument turns a verdict into the document that shall stand.
func newDocument(v parse.Verdict, reader string, now time.Time) document {
	return document{
		kind:         v.Kind,
		id:           documentID(v.ID),
		reader:       reader,
		transaction:  v.ID,
		status:       v.Status,
		code:         v.Code,
		receipt:      v.Receipt,
		amount:       v.Amount,
		conversation: v.Conversation,
		receiver:     v.Receiver,
		reason:       v.Reason,
		at:           v.At,
		settledAt:    now,
	}
}

// attributes is a document's data on the wire. All of its kind are written, nulls
// included, but for the transaction's id where a document is replaced: a
// replacement must leave nothing of what it replaces.
type attributes struct {
	CheckoutRequestID        string       `json:"checkoutRequestId,omitempty"`        // payments
	OriginatorConversationID string       `json:"originatorConversationId,omitempty"` // disbursements
	Status                   parse.Status `json:"status"`
	ResultCode               int          `json:"resultCode"`
	Receipt                  *string      `json:"receipt"`
	Amount                   *int64       `json:"amount"`
	FailureReason            *string      `json:"failureReason"`
	MpesaTimestamp           *string      `json:"mpesaTimestamp"`
	SettledAt                string       `json:"settledAt"`
	*payee
}

// payee is what disbursements have beside.
type payee struct {
	ConversationID *string `json:"conversationId"`
	ReceiverName   *string `json:"receiverName"`
}

func (d document) attributes() attributes {
	data := attributes{
		Status:        d.status,
		ResultCode:    d.code,
		Receipt:       nullable(d.receipt),
		Amount:        nullable(d.amount),
		FailureReason: nullable(text(d.reason, 255)),
		SettledAt:     d.settledAt.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	if !d.at.IsZero() {
		data.MpesaTimestamp = nullable(d.at.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if d.kind == parse.Disbursement {
		data.OriginatorConversationID = d.transactionText()
		data.payee = &payee{nullable(text(d.conversation, 50)), nullable(text(d.receiver, 255))}
	} else {
		data.CheckoutRequestID = d.transactionText()
	}
	return data
}

// transactionText is the transaction's id as its attribute holds it. One that is
// too long is cut, never refused.
func (d document) transactionText() string {
	if d.kind == parse.Disbursement {
		return text(d.transaction, 36)
	}
	return text(d.transaction, 255)
}

// permissions lists who may read the document, in Appwrite's grammar.
func (d document) permissions() []string {
	if d.reader == "" {
		return []string{}
	}
	return []string{`read("` + d.reader + `")`}
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

// text makes s fit a string attribute of so many characters (Appwrite counts
// characters, not bytes). NUL is replaced, which Postgres cannot store. Invalid
// UTF-8 was replaced when the JSON was read. Text that begins like a JSON
// object gets an apostrophe, since Appwrite executes some of those as operators
// instead of storing them.
func text(s string, size int) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		s = "'" + s
	}
	if utf8.RuneCountInString(s) > size {
		s = string([]rune(s)[:size])
	}
	return s
}

// documentID is the transaction's own id where Appwrite takes it as a document's.
func documentID(transaction string) string {
	if isID(transaction) {
		return transaction
	}
	return hashID(transaction)
}

// hashID makes a document id that Appwrite takes and that is always the same
// for the same parts, so that a repeated callback meets its document.
func hashID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])[:36]
}

// isID reports whether Appwrite takes s as the id of a document or a user:
// 1 to 36 of A-Z, a-z, 0-9, period, hyphen and underscore, the first of them a
// letter or digit (utopia-php/database, Validator/Key.php). "0" is none: PHP's
// empty("0") is true, and Appwrite answers 400 as if there were no id.
func isID(s string) bool {
	for i, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return s != "" && s != "0" && len(s) <= 36
}

// stars stand in the log for the last nine characters of an id.
const stars = "*********"

// masked is the document's id for the log. The last nine characters are hidden,
// which of a CheckoutRequestID are the payer's number, and whatever else could be
// a number in an id that the business chose itself.
func (d document) masked() string { return d.shown() + stars }

// shown is what the stars leave of the id.
func (d document) shown() string {
	id := d.id[:max(0, len(d.id)-len(stars))]
	if d.kind == parse.Payment {
		return id
	}
	masked := []byte(id)
	for start := 0; start < len(masked); start++ {
		end := start
		for end < len(masked) && masked[end] >= '0' && masked[end] <= '9' {
			end++
		}
		if end-start >= len(stars) {
			copy(masked[start:end], strings.Repeat("*", end-start))
		}
		start = end
	}
	return string(masked)
}
