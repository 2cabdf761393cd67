package fakesafaricom

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// payoutDelay is from the acknowledgement of a payout or a status query to its
// result, and queueDelay to a timeout. No figures are known.
const (
	payoutDelay = 5 * time.Second
	queueDelay  = time.Minute
)

// payout is a request for one that was accepted.
type payout struct {
	fields
	merchant       *merchant
	n              int
	amount         int64
	shownID        string // the OriginatorConversationID of results
	conversationID string
	initiator      bool // name and password were right
	at, ended      time.Time
	code           string // empty until it has ended
	receipt        string // of a transaction, whether it moved money or not
	fault          Fault
	told           chan struct{}
}

// id is the caller's.
func (p *payout) id() string { return p.fields["OriginatorConversationID"] }

// b2cRules are the fields of a payout (documented), all text as in the
// documentation's sample. That its OriginatorConversationID is shorter than 20
// characters is documented and false: 36 were observed.
func (s *Safaricom) b2cRules() []rule {
	return []rule{
		{name: "OriginatorConversationID", fits: length(1, 36)},
		{name: "InitiatorName", fits: length(1, 64)},
		{name: "SecurityCredential", fits: credential},
		{name: "CommandID", fits: oneOf("BusinessPayment", "SalaryPayment", "PromotionPayment")},
		{name: "Amount", fits: amount(10)},
		{name: "PartyA", fits: shortcode},
		{name: "PartyB", fits: msisdn},
		{name: "Remarks", fits: text(2, 100)},
		{name: "QueueTimeOutURL", fits: s.callbackURL},
		{name: "ResultURL", fits: s.callbackURL},
		{name: "Occassion", fits: text(1, 100), optional: true}, // so spelt: documented
	}
}

// credential takes what a key of 2048 bits encrypts: 344 characters (observed).
func credential(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 256
}

// b2c pays out. It needs the lock.
func (s *Safaricom) b2c(r request) reply {
	key, f, refusal := s.enter(r, s.b2cRules())
	if refusal != nil {
		return *refusal
	}
	m := s.merchants[f["PartyA"]]
	if m == nil || m.ConsumerKey != key {
		return s.invalidToken(Push) // observed: 404.001.03 for another app's shortcode
	}
	if s.payouts[m.Shortcode+"/"+f["OriginatorConversationID"]] != nil {
		// Documented. The code alone is also "System internal error." (observed).
		return s.refuse(http.StatusInternalServerError, "500.002.1001", "Duplicate OriginatorConversationID.")
	}
	p := s.acceptPayout(m, f)
	// Observed: the acknowledgement names the caller's id.
	answer := s.conversation(p.conversationID, p.id())
	answer.told = p.told
	return answer
}

// conversation acknowledges a request whose result follows (documented).
func (s *Safaricom) conversation(id, originator string) reply {
	return jsonReply(http.StatusOK, fmt.Sprintf(`{"ConversationID":%q,"OriginatorConversationID":%s,"ResponseCode":"0",`+
		`"ResponseDescription":"Accept the service request successfully."}`, id, quote(originator)))
}

func (s *Safaricom) acceptPayout(m *merchant, f fields) *payout {
	n := s.next()
	value, _ := strconv.ParseInt(f["Amount"], 10, 64) // a rule has seen to it
	p := &payout{fields: f, merchant: m, n: n, amount: value, conversationID: conversationID(n, s.Now()),
		initiator: m.initiates(f["InitiatorName"], f["SecurityCredential"]), at: s.Now(), fault: s.takeFault(B2C, true)}
	p.shownID = p.id()
	if s.ServerMadeIDs {
		p.shownID = requestID(n)
	}
	s.payouts[m.Shortcode+"/"+p.id()] = p
	delay := payoutDelay - callbackDelay
	if p.fault.post == postBeforeAck {
		p.told, delay = make(chan struct{}), 0
	}
	s.clock.after(delay, func() { s.locked(func() { s.pay(p) }) })
	return p
}

// initiates reports whether a name and an encrypted password are the merchant's:
// RSA with PKCS #1 v1.5 (documented). A wrong password is not refused but fails in
// the result (observed), and several lock the initiator.
func (m *merchant) initiates(name, credential string) bool {
	encrypted, err := base64.StdEncoding.DecodeString(credential)
	if err != nil || m.Key == nil || m.Initiator == "" {
		return false
	}
	password, err := rsa.DecryptPKCS1v15(nil, m.Key, encrypted)
	right := err == nil && name == m.Initiator && string(password) == m.InitiatorPassword
	switch {
	case m.wrong >= lockedAfter: // stays so until an operator unlocks it: AddMerchant
	case right:
		m.wrong = 0
	case name == m.Initiator:
		m.wrong++
	}
	return right
}

// pay ends a payout. It needs the lock.
func (s *Safaricom) pay(p *payout) {
	p.ended = s.Now()
	if p.fault.post == postTimeout && !p.fault.moved {
		p.code = "timeout"
	} else {
		p.code = s.payoutCode(p)
	}
	switch p.code {
	case "0":
		p.receipt = receipt(s.next(), p.ended)
		p.merchant.Float -= p.amount
		s.record(Entry{Kind: PaidOut, ID: p.id(), Receipt: p.receipt, Shortcode: p.merchant.Shortcode, Phone: p.fields["PartyB"],
			Amount: p.amount, Reference: p.fields["Remarks"], URL: p.fields["ResultURL"]})
	case "1": // observed: a failure may carry a TransactionID like a receipt
		p.receipt = receipt(s.next(), p.ended)
	}
	c := &callback{operation: B2C, id: p.id(), url: p.fields["ResultURL"], fault: p.fault, told: p.told}
	if p.fault.post == postTimeout {
		c.url, c.body = p.fields["QueueTimeOutURL"], timeoutBody(p.n, p.shownID, p.conversationID)
		s.send(c, queueDelay)
		return
	}
	c.body = p.result(s.phone(p.fields["PartyB"]).Name)
	s.send(c, callbackDelay)
}

func (s *Safaricom) payoutCode(p *payout) string {
	switch phone := s.phone(p.fields["PartyB"]); {
	case p.merchant.wrong >= lockedAfter:
		return "8006"
	case !p.initiator:
		return "2001"
	case phone.Payout != "" && phone.Payout != "0":
		return phone.Payout
	case p.merchant.Float < p.amount:
		return "1" // the merchant's float, not the payee's balance
	}
	return "0"
}

// resultWords are the texts of results (documented or observed); of these codes
// only 17 means another thing than for a push.
func resultWords(code string) string {
	switch code {
	case "17":
		return "System internal error."
	case "2032":
		return "The transaction receipt number does not exist."
	case "2040": // space before the dot: observed
		return "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service ."
	}
	return Answer(code).outcome().desc
}

// parameter is one of a result's. Some have no value (documented, observed).
type parameter struct {
	Key   string
	Value json.RawMessage `json:",omitempty"`
}

func param(key, value string) parameter { return parameter{key, json.RawMessage(quote(value))} }

func number(key, value string) parameter { return parameter{key, json.RawMessage(value)} }

// encodeResult is the envelope of results: ResultParameters on success alone, one
// ReferenceItem that is an object and not in a list (documented, observed).
func encodeResult(c, originator, conversation, transaction string, parameters []parameter, reference parameter) []byte {
	type list struct{ ResultParameter []parameter }
	result := struct {
		ResultType               int
		ResultCode               json.RawMessage
		ResultDesc               string
		OriginatorConversationID string
		ConversationID           string
		TransactionID            string
		ResultParameters         *list `json:",omitempty"`
		ReferenceData            struct{ ReferenceItem parameter }
	}{0, code(c), resultWords(c), originator, conversation, transaction, nil, struct{ ReferenceItem parameter }{reference}}
	if parameters != nil {
		result.ResultParameters = &list{parameters}
	}
	return encode(map[string]any{"Result": result})
}

// result is what Safaricom posts about a payout (observed): slashes escaped, the
// payee as 2547… or 07… from one hour to the next, the receipt second or last,
// charges that may be below zero, a TransactionID on failures too.
func (p *payout) result(name string) []byte {
	transaction := p.receipt
	var parameters []parameter
	if p.code == "0" {
		payee := p.fields["PartyB"]
		if coin("payee", p.n) {
			payee = "0" + payee[3:]
		}
		receipt := param("TransactionReceipt", p.receipt)
		parameters = []parameter{
			number("TransactionAmount", strconv.FormatInt(p.amount, 10)),
			param("ReceiverPartyPublicName", payee+" - "+name),
			param("TransactionCompletedDateTime", eat(p.ended).Format("02.01.2006 15:04:05")),
			number("B2CUtilityAccountAvailableFunds", strconv.FormatInt(p.merchant.Float, 10)+".00"),
			number("B2CWorkingAccountAvailableFunds", "0.00"),
			param("B2CRecipientIsRegisteredCustomer", "Y"),
			number("B2CChargesPaidAccountAvailableFunds", "-1980.00"),
		}
		if coin("receipt", p.n) {
			parameters = append(parameters, receipt)
		} else {
			parameters = slices.Insert(parameters, 1, receipt)
		}
	} else if transaction == "" {
		transaction = placeholder(p.ended)
	}
	body := encodeResult(p.code, p.shownID, p.conversationID, transaction, parameters,
		param("QueueTimeoutURL", "http://internalapi.safaricom.co.ke/mpesa/b2cresults/v1/submit")) // not the caller's
	return bytes.ReplaceAll(body, []byte("/"), []byte(`\/`))
}

// timeoutBody takes the three shapes in turn that are claimed for what is posted
// to QueueTimeOutURL, of which none was ever captured.
func timeoutBody(n int, originator, conversation string) []byte {
	ids := fmt.Sprintf(`"OriginatorConversationID":%s,"ConversationID":%q`, quote(originator), conversation)
	switch n % 3 {
	case 0:
		return []byte(`{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.",` + ids + `}}`)
	case 1:
		return []byte(`{"ResultType":1,"ResultCode":1,"ResultDesc":"The service request has timed out.",` + ids + `}`)
	}
	return nil
}
