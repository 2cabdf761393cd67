package daraja

import "strings"

// Outcome is what happened to the money, as far as one call can tell.
type Outcome string

const (
	Accepted Outcome = "accepted" // Safaricom took the request and named it; a result follows
	Refused  Outcome = "refused"  // Safaricom said no, and it is known that no money moves
	NotSent  Outcome = "not sent" // the request did not come to M-Pesa, so no money moves
	Unknown  Outcome = "unknown"  // the rest: money may move, and nobody may call it failed
)

// Answer is what came of one call. It is comparable.
type Answer struct {
	Outcome Outcome

	// The ids that Safaricom gave, which an Unknown may have too.
	MerchantRequestID, CheckoutRequestID     string // Push
	ConversationID, OriginatorConversationID string // Pay, TransactionStatus

	CustomerMessage string // for the payer; may be empty

	// Duplicate: Safaricom has this OriginatorConversationID already, so an earlier
	// Pay was sent. The Outcome is Unknown, and that one's result may still come.
	Duplicate bool

	Detail
}

// Detail says why. No text in it holds a credential, a phone number, a URL or HTML.
type Detail struct {
	HTTPStatus int    // 0 without an answer
	Code       string // errorCode, an Apigee fault's code or the ResponseCode
	Reason     string // in Safaricom's words where there are any; empty only if Accepted
	Throttled  bool   // too many requests, or Safaricom is busy: wait some minutes

	// Field is what is probably wrong, if that can be told: a field of the request,
	// as Safaricom spells it, or ConsumerKey, Product or BaseURL.
	Field string
	// Credentials: Safaricom refuses what is configured here, which Field names, and
	// not this one request.
	Credentials bool
	Hint        string // for an operator, where keys or passkey are refused: the usual causes
}

const hintKeys = "usual causes: the product is not enabled for the app of these keys; " +
	"keys of the sandbox are used in production, or the reverse; the shortcode is another app's"

// row is one line of the table of failures. A zero field fits every one.
type row struct {
	calls     call
	status    int    // HTTP; 4 is any 4xx
	shape     shape  // zero: any but a page or a firewall's
	code      string // how the code begins
	words     string // what the text holds, in small letters without spaces
	outcome   Outcome
	refresh   bool // the token is refused: a fresh one may help
	duplicate bool
	field     string // the setting that is probably wrong
	source    string
}

// rows is the one place that knows after which failures no money moves. The first
// row that fits decides; where none does, the outcome is Unknown.
//
// On payouts no 5xx is a refusal: nothing says which are, and what is called failed
// may be paid again.
//
// Sources: "portal" is Safaricom's Daraja 3.0 documentation, by page; a name with #
// is an issue on GitHub; "integrators" are notes of people who run this.
var rows = [...]row{
	{calls: pay, words: "duplicateoriginatorconversationid", outcome: Unknown, duplicate: true,
		source: "portal BusinessToCustomer: a 500.002.1001, as is System internal error; integrators: a 200"},

	{calls: all, status: 401, words: "noapiproductmatch", outcome: NotSent, refresh: true, field: "Product",
		source: "portal, FAQ; osenco/osen-wc-mpesa#69; integrators: a token has the products of its birth"},
	{calls: all, status: 401, outcome: NotSent, refresh: true, field: "ConsumerKey",
		source: "portal MpesaExpressSimulate; RFC 9110, 15.5.2: the request was not applied"},
	{calls: all, status: 4, shape: coded, code: "401.", outcome: NotSent, refresh: true, field: "ConsumerKey",
		source: "osenco/osen-wc-mpesa#69: 401.003.01, its HTTP status untold"},
	{calls: all, status: 4, shape: fault, code: "keymanagement.service.", outcome: NotSent, refresh: true, field: "ConsumerKey",
		source: "integrators: Apigee's own codes for tokens and products, their HTTP status untold"},
	{calls: all, status: 404, shape: coded, code: "404.001.03", outcome: NotSent, refresh: true, field: "ConsumerKey",
		source: "portal MpesaExpressSimulate; safaricom/LNMOnlineAndroidSample#11: also a product that is missing"},
	{calls: all, status: 400, shape: coded, code: "400.003.01", outcome: NotSent, refresh: true, field: "ConsumerKey",
		source: "portal TransactionStatus"},
	{calls: token, status: 400, outcome: NotSent, field: "ConsumerKey",
		source: "portal Authorization: 400.008.01 and .02; integrators: no body, for keys of the other environment"},
	{calls: token, status: 404, outcome: NotSent, field: "BaseURL",
		source: "integrators: a wrong path, no body; safaricom/mpesa-node-library#30: a wrong host, a fault"},

	{calls: all, status: 408, outcome: Unknown, source: "ours: who gave up waiting may have passed it on"},
	{calls: all, status: 409, outcome: Unknown, source: "ours: a conflict may be with an earlier try"},
	{calls: all, status: 4, shape: coded, code: "404.", words: "resourcenotfound", outcome: Refused, field: "BaseURL",
		source: "portal MpesaExpressSimulate 404.001.01, BusinessToCustomer 404.002.01, TransactionStatus 404.003.01"},
	{calls: all, status: 4, shape: fault, words: "unabletoidentifyproxy", outcome: Refused, field: "BaseURL",
		source: "safaricom/mpesa-node-library#30"},
	{calls: all, status: 4, shape: coded, code: "4", outcome: Refused,
		source: "portal MpesaExpressSimulate, BusinessToCustomer, TransactionStatus"},
	{calls: all, status: 4, shape: fault, outcome: Refused,
		source: "integrators: 429 of a query; Apigee answers so before it asks M-Pesa"},

	{calls: push, status: 500, shape: coded, code: "500.001.1001", words: "unabletolocksubscriber", outcome: Refused,
		source: "portal MpesaExpressSimulate: the payer has another request open"},
	{calls: push, status: 500, shape: coded, code: "500.001.1001", words: "wrongcredentials", outcome: Refused, field: "Password",
		source: "portal MpesaExpressSimulate: passkey and shortcode do not fit"},
	{calls: push, status: 500, shape: coded, code: "500.001.1001", words: "merchantdoesnotexist", outcome: Refused, field: "BusinessShortCode",
		source: "portal MpesaExpressSimulate"},
	{calls: push, status: 500, shape: coded, code: "500.003.02", outcome: Refused,
		source: "portal MpesaExpressSimulate: busy, or spike arrest"},
	{calls: push, status: 500, shape: coded, code: "500.003.03", outcome: Refused,
		source: "portal MpesaExpressSimulate: quota"},
}

// fits reports whether the row speaks of this answer.
func (w *row) fits(to call, status int, r *reply) bool {
	return w.calls&to != 0 &&
		(w.status == 0 || w.status == status || w.status == status/100) &&
		(w.shape == r.shape || w.shape == 0 && r.shape < page) &&
		strings.HasPrefix(r.code(), w.code) &&
		strings.Contains(r.words, w.words)
}

// named are the fields that a refusal may name, "Bad Request - Invalid PartyB", and
// in which calls the field is a setting. A field that begins another comes after it.
var named = [...]struct {
	field   string
	setting call
}{
	{"BusinessShortCode", all}, {"Password", all}, {"TransactionType", push}, {"CallBackURL", all},
	{"PartyA", payouts}, {"PartyB", push}, // the other way round they are payer and payee
	{"InitiatorName", all}, {"Initiator", all}, {"SecurityCredential", all}, {"ResultURL", all}, {"QueueTimeOutURL", all},
	{"Timestamp", 0}, {"PhoneNumber", 0}, {"Amount", 0}, {"AccountReference", 0}, {"TransactionDesc", 0},
	{"Remarks", 0}, // also said of a push without TransactionDesc
	{"Occassion", 0}, {"Occasion", 0}, {"CommandID", 0}, {"CheckoutRequestID", 0},
	{"OriginatorConversationID", 0}, {"OriginalConversationID", 0}, {"TransactionID", 0},
}

// judge decides what happened to the money. refused says that Safaricom no longer
// takes the token.
func judge(to call, got response, secrets []string) (a Answer, refused bool) {
	a = Answer{Outcome: Unknown, Detail: Detail{HTTPStatus: got.status, Reason: got.problem}}
	if to == token || got.unsent { // asking for a token moves no money
		a.Outcome = NotSent
	}
	if got.problem != "" {
		return a, false
	}
	r := read(got.body)
	a.Code = cleanCode(r.code(), secrets)
	a.Throttled = got.status == 429 || r.throttled()
	if got.status/100 == 2 {
		a.MerchantRequestID, a.CheckoutRequestID = string(r.MerchantRequestID), string(r.CheckoutRequestID)
		a.ConversationID, a.OriginatorConversationID = string(r.ConversationID), string(r.OriginatorConversationID)
		a.CustomerMessage = clean(string(r.CustomerMessage), secrets)
		if r.accepts(to) {
			a.Outcome = Accepted
			return a, false
		}
	}
	if a.Reason = clean(r.reason(), secrets); a.Reason == "" {
		a.Reason = r.describe(got.status)
	}
	for i := range rows {
		if w := &rows[i]; w.fits(to, got.status, &r) {
			a.Outcome, a.Duplicate, refused = w.outcome, w.duplicate, w.refresh
			a.Field, a.Credentials = w.field, w.field != ""
			break
		}
	}
	switch {
	case a.Credentials && a.Field != "BaseURL":
		a.Hint = hintKeys
	case to == token && got.status/100 == 2 && (r.shape == page || r.shape == garbage): // a web site, not the API
		a.Field, a.Credentials = "BaseURL", true
	case a.Outcome == Refused && a.Field == "":
		a.Field, a.Credentials = r.names(to)
	}
	if to == token {
		a.Outcome = NotSent // whatever it was
	}
	return a, refused
}

// names returns the field that a refusal names, and whether it is a setting.
func (r *reply) names(to call) (field string, setting bool) {
	for _, n := range named {
		if strings.Contains(r.words, "invalid"+strings.ToLower(n.field)) {
			return n.field, n.setting&to != 0
		}
	}
	return "", false
}
