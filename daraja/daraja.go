// Package daraja asks Safaricom's Daraja API for payments (STK Push), for what
// became of them, and for payouts (B2C).
//
// It knows that API and nothing else: no Appwrite, no environment, no state but
// a [Client]'s token. Every call returns a value and no error, because what
// matters is what happened to the money, and an error does not say that: see
// [Outcome]. What a result code means is decided in package parse.
//
// What Safaricom does that its documentation does not say, or denies:
//   - A token that it no longer takes comes back as 401, as 404 with 404.001.03
//     or as 400 with 400.003.01.
//   - 500.001.1001 is said of a merchant that does not exist, of a payer who is
//     busy and of a payment that is under way: words tell them apart.
//   - Keys of the sandbox, used in production, are a 400 without a body.
//   - Errors have one of three shapes: errorCode, an Apigee fault, or a SOAP
//     fault turned into JSON. A firewall before all of it answers with HTML.
//   - expires_in is text, and a number in the documentation.
package daraja

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Where Safaricom's API is.
const (
	Sandbox    = "https://sandbox.safaricom.co.ke"
	Production = "https://api.safaricom.co.ke"
)

// How long one request may take, within the caller's context. A call is one
// request, or eight at most: a token and the request, and both again each time that
// Safaricom refuses the token, three times at most.
const (
	tokenTimeout = 5 * time.Second
	queryTimeout = 10 * time.Second
	moneyTimeout = 15 * time.Second
)

// Credentials are what Safaricom gave a business. Payouts usually run under
// another shortcode, which may be of another app: see [Client.With].
type Credentials struct {
	ConsumerKey    string
	ConsumerSecret string
	Shortcode      string // of a till: the store's or head office's number

	Passkey string // Push and Query: the shortcode's
	Till    string // Push: buy goods; without it pay bill

	Initiator          string // Pay and TransactionStatus
	SecurityCredential string // likewise: see the function of that name
}

// Client asks as one shortcode of an app at Safaricom. It may be used by many
// goroutines; they share its token.
type Client struct {
	base        string
	credentials Credentials
	http        *http.Client
	now         func() time.Time
	tokens      *tokens // the app's
}

// New returns a client of the API at base, which is [Sandbox], [Production] or
// a simulator's address. Of client a copy is used that follows no redirects. Its
// transport should drop idle connections within seconds: what is written to one
// that died unnoticed is an [Unknown].
func New(base string, credentials Credentials, client *http.Client, now func() time.Time) *Client {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base:        strings.TrimRight(base, "/"),
		credentials: credentials,
		http:        &own,
		now:         now,
		tokens:      newTokens(),
	}
}

// With returns a client of the same API for other credentials. Those with the same
// consumer key and secret are of the same app, whose tokens may void each other:
// such a client shares c's token. Any other has its own.
func (c *Client) With(credentials Credentials) *Client {
	other := *c
	other.credentials = credentials
	if credentials.ConsumerKey != c.credentials.ConsumerKey || credentials.ConsumerSecret != c.credentials.ConsumerSecret {
		other.tokens = newTokens()
	}
	return &other
}

// PushRequest asks a phone for a payment.
type PushRequest struct {
	Phone       string // as ParseMSISDN returns it
	Amount      int64  // whole shillings
	Reference   string // the payer sees it; 12 characters at most
	Description string // 13 characters at most, and never empty: that is refused
	CallbackURL string // https
}

// Push sends the prompt for a payment. Accepted comes with a CheckoutRequestID.
func (c *Client) Push(ctx context.Context, r PushRequest) Answer {
	kind, receiver := "CustomerPayBillOnline", c.credentials.Shortcode
	if c.credentials.Till != "" {
		kind, receiver = "CustomerBuyGoodsOnline", c.credentials.Till
	}
	timestamp, password := c.password()
	answer, _ := c.ask(ctx, push, fields{
		"BusinessShortCode": c.credentials.Shortcode,
		"Password":          password,
		"Timestamp":         timestamp,
		"TransactionType":   kind,
		"Amount":            strconv.FormatInt(r.Amount, 10),
		"PartyA":            r.Phone,
		"PartyB":            receiver,
		"PhoneNumber":       r.Phone,
		"CallBackURL":       r.CallbackURL,
		"AccountReference":  r.Reference,
		"TransactionDesc":   r.Description,
	})
	return answer
}

// QueryAnswer is what Safaricom says of a payment.
type QueryAnswer struct {
	// Answered: HTTP 200, ResponseCode "0", the CheckoutRequestID asked for and a
	// ResultCode. Otherwise nothing is known yet, and Detail says why.
	Answered bool
	Body     []byte // the whole answer, if Answered
	Detail
}

// Query asks what became of a payment. Whether its ResultCode is final is
// for package parse to say.
func (c *Client) Query(ctx context.Context, checkoutRequestID string) QueryAnswer {
	timestamp, password := c.password()
	answer, body := c.ask(ctx, query, fields{
		"BusinessShortCode": c.credentials.Shortcode,
		"Password":          password,
		"Timestamp":         timestamp,
		"CheckoutRequestID": checkoutRequestID,
	})
	q := QueryAnswer{Detail: answer.Detail}
	if answer.Outcome != Accepted {
		return q
	}
	said := read(body)
	var code text
	_ = json.Unmarshal(said.ResultCode, &code) // of what is neither text nor number nothing is left
	switch {
	case q.HTTPStatus != http.StatusOK, said.ErrorCode != "":
		q.Reason = "neither an answer nor a refusal"
	case answer.CheckoutRequestID != checkoutRequestID:
		q.Reason = "the answer names another CheckoutRequestID"
	case code == "":
		q.Reason = "the answer has no ResultCode"
	default:
		q.Answered, q.Body = true, body
	}
	return q
}

// PayRequest asks for a payout.
type PayRequest struct {
	ID         string // OriginatorConversationID: the caller's, once for each payout
	CommandID  string // BusinessPayment, SalaryPayment or PromotionPayment
	Phone      string // as ParseMSISDN returns it
	Amount     int64  // whole shillings, from 10
	Remarks    string // 2 to 100 characters
	Occasion   string // 1 to 100 characters, or empty to leave it out
	ResultURL  string
	TimeoutURL string
}

// Pay asks for a payout by B2C v3, which knows a repeat by the request's ID.
func (c *Client) Pay(ctx context.Context, r PayRequest) Answer {
	answer, _ := c.ask(ctx, pay, fields{
		"OriginatorConversationID": r.ID,
		"InitiatorName":            c.credentials.Initiator,
		"SecurityCredential":       c.credentials.SecurityCredential,
		"CommandID":                r.CommandID,
		"Amount":                   strconv.FormatInt(r.Amount, 10),
		"PartyA":                   c.credentials.Shortcode,
		"PartyB":                   r.Phone,
		"Remarks":                  r.Remarks,
		"Occassion":                r.Occasion, // spelt so here, and only here
		"QueueTimeOutURL":          r.TimeoutURL,
		"ResultURL":                r.ResultURL,
	})
	return answer
}

// StatusRequest asks what became of a payout.
type StatusRequest struct {
	OriginalConversationID string // a payout's OriginatorConversationID
	Remarks                string
	ResultURL              string // where the answer goes
	TimeoutURL             string
}

// TransactionStatus asks for a status that comes later, to the ResultURL. The
// ids of the [Answer] are the question's own, and its Outcome is about the
// question: no money moves.
func (c *Client) TransactionStatus(ctx context.Context, r StatusRequest) Answer {
	answer, _ := c.ask(ctx, status, fields{
		"Initiator":              c.credentials.Initiator,
		"SecurityCredential":     c.credentials.SecurityCredential,
		"CommandID":              "TransactionStatusQuery",
		"OriginalConversationID": r.OriginalConversationID,
		"PartyA":                 c.credentials.Shortcode,
		"IdentifierType":         "4", // PartyA is a shortcode
		"Remarks":                r.Remarks,
		"QueueTimeOutURL":        r.TimeoutURL,
		"ResultURL":              r.ResultURL,
	})
	return answer
}

// password makes the password of a push or query, and the time within it: East
// Africa Time, which has no daylight saving, whatever the machine's zone is.
func (c *Client) password() (timestamp, password string) {
	timestamp = c.now().In(time.FixedZone("EAT", 3*60*60)).Format("20060102150405")
	plain := c.credentials.Shortcode + c.credentials.Passkey + timestamp
	return timestamp, base64.StdEncoding.EncodeToString([]byte(plain))
}

// fields are a request's. All are text: production takes numbers so, and some
// simulators take nothing else. An empty one is left out.
type fields map[string]string

// encode writes f as JSON. The & of a URL stays as it is: other clients in
// production send it so, and of \u0026 nobody has told.
func (f fields) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	maps.DeleteFunc(f, func(_, value string) bool { return value == "" })
	_ = e.Encode(f) // text always can be written
	return b.Bytes()
}
