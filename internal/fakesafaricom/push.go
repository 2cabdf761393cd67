package fakesafaricom

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	payBill  = "CustomerPayBillOnline"
	buyGoods = "CustomerBuyGoodsOnline"
)

// The texts of 500.001.1001, which share code and status (documented and
// observed); [BeingProcessed] and [DoesNotExist] are those of queries.
const (
	MerchantMissing  = "Merchant does not exist"
	WrongCredentials = "[MerchantValidate] - Wrong credentials"
	SubscriberLocked = "Unable to lock subscriber, a transaction is already in process for the current subscriber"
	BeingProcessed   = "The transaction is being processed"
	DoesNotExist     = "The transaction does not Exist"
)

// callbackDelay is from a transaction's end to its callback: 0 to 1 s (observed).
const callbackDelay = time.Second

// push is a request for a payment that was accepted.
type push struct {
	Prompt
	merchant *merchant
	n        int
	shown    bool
	outcome  outcome
	ended    time.Time // of its transaction
	receipt  string
	queries  int // since then
	fault    Fault
	told     chan struct{}
}

// pushRules are the fields of a push, all required (documented; for TransactionDesc
// observed, and named Remarks in the refusal). All as text was observed in
// production, and is the only form that every simulator decodes; BusinessShortCode
// is a number in the documentation's sample, Amount, PartyA, PartyB and
// PhoneNumber in other clients.
func (s *Safaricom) pushRules() []rule {
	return []rule{
		{name: "BusinessShortCode", fits: shortcode, number: true},
		{name: "Password", fits: base64Text},
		{name: "Timestamp", fits: timestamp},
		{name: "TransactionType", fits: oneOf(payBill, buyGoods)},
		{name: "Amount", fits: amount(1), number: true},
		{name: "PartyA", fits: msisdn, number: true},
		{name: "PartyB", fits: shortcode, number: true},
		{name: "PhoneNumber", fits: msisdn, number: true},
		{name: "CallBackURL", fits: s.callbackURL},
		{name: "AccountReference", fits: text(1, 12)}, // documented; 15 were taken once
		{name: "TransactionDesc", fits: text(1, 13), says: "Remarks"},
	}
}

// push shows a prompt on a phone. It needs the lock.
func (s *Safaricom) push(r request) reply {
	key, f, refusal := s.enter(r, s.pushRules())
	if refusal != nil {
		return *refusal
	}
	if f["PartyA"] != f["PhoneNumber"] {
		return s.invalid("PartyA") // no fact: nobody was seen to send two numbers
	}
	m, refusal := s.authenticate(key, f)
	if refusal != nil {
		return *refusal
	}
	phone := s.phone(f["PhoneNumber"])
	if phone.Locked || s.busy(f["PhoneNumber"]) {
		return s.refuse(http.StatusInternalServerError, "500.001.1001", SubscriberLocked)
	}
	p := s.accept(m, phone, f)

	// Observed, odd white space included.
	answer := jsonReply(http.StatusOK, fmt.Sprintf("{\n  \"MerchantRequestID\":%q,\n  \"CheckoutRequestID\":%q,\n  \"ResponseCode\": \"0\",\n"+
		"  \"ResponseDescription\":%[3]q,\n  \"CustomerMessage\":%[3]q\n}\n",
		p.MerchantRequestID, p.CheckoutRequestID, "Success. Request accepted for processing"))
	answer.told = p.told
	return answer
}

// authenticate finds the merchant of a push or a query, whose password is
// base64(shortcode + passkey + timestamp) (documented).
func (s *Safaricom) authenticate(key string, f fields) (*merchant, *reply) {
	refuse := func(answer reply) (*merchant, *reply) { return nil, &answer }
	at, err := time.ParseInLocation("20060102150405", f["Timestamp"], eat(s.Now()).Location())
	if !s.AnyTimestamp && (err != nil || s.Now().Sub(at).Abs() > time.Hour) {
		return refuse(s.invalid("Timestamp"))
	}
	m := s.merchants[f["BusinessShortCode"]]
	if m == nil || m.ConsumerKey != key || m.Passkey == "" {
		return refuse(s.refuse(http.StatusInternalServerError, "500.001.1001", MerchantMissing))
	}
	want := base64.StdEncoding.EncodeToString([]byte(m.Shortcode + m.Passkey + f["Timestamp"]))
	if f["Password"] != want {
		return refuse(s.refuse(http.StatusInternalServerError, "500.001.1001", WrongCredentials))
	}
	return m, nil
}

// accept begins the transaction of a push and says when it ends.
func (s *Safaricom) accept(m *merchant, phone Phone, f fields) *push {
	n := s.next()
	value, _ := strconv.ParseInt(f["Amount"], 10, 64) // a rule has seen to it
	p := &push{
		Prompt: Prompt{
			MerchantRequestID: requestID(n),
			CheckoutRequestID: s.checkoutRequestID(n, f["PhoneNumber"]),
			Business:          m.Name,
			Shortcode:         f["PartyB"],
			Phone:             f["PhoneNumber"],
			Amount:            value,
			Reference:         f["AccountReference"],
			Description:       f["TransactionDesc"],
			CallBackURL:       f["CallBackURL"],
			At:                s.Now(),
		},
		merchant: m,
		n:        n,
		fault:    s.takeFault(Push, true),
	}
	p.outcome = s.foresee(p, phone, f["TransactionType"])
	s.pushes = append(s.pushes, p)
	s.pushesTo[p.Phone] = append(s.pushesTo[p.Phone], p)
	s.pushByID[p.CheckoutRequestID] = p
	if !p.outcome.noPrompt {
		p.shown, p.Open = true, true
		s.record(Entry{Kind: Prompted, ID: p.CheckoutRequestID, Shortcode: p.Shortcode, Phone: p.Phone, Amount: p.Amount,
			Reference: p.Reference, URL: p.CallBackURL})
		s.changed(p)
	}
	delay := p.outcome.after
	if p.fault.post == postBeforeAck {
		p.told = make(chan struct{})
		if phone.Answer != Asks {
			delay = 0
		}
	}
	s.clock.after(delay, func() { s.locked(func() { s.finish(p, p.outcome) }) })
	return p
}

// foresee says how a push will end if nobody answers its prompt by hand.
func (s *Safaricom) foresee(p *push, phone Phone, transactionType string) outcome {
	m := p.merchant
	switch {
	case (m.Till != "") != (transactionType == buyGoods):
		return Answer("2028").outcome() // documented
	case m.Till != "" && p.Shortcode != m.Till, m.Till == "" && p.Shortcode != m.Shortcode:
		return Answer("SFC_IC0003").outcome() // observed: accepted, and the callback's code is text
	case s.repeated(p) && !s.AllowRepeats:
		return Answer("17").outcome()
	}
	o := phone.Answer.outcome()
	if phone.After > 0 {
		o.after = phone.After
	}
	return o
}

// repeated reports whether the phone has paid this amount to this merchant within
// two minutes (documented). Whether requests count that were not paid is not
// known; here they do not.
func (s *Safaricom) repeated(p *push) bool {
	for _, old := range s.pushesTo[p.Phone] {
		if old.Code == "0" && old.merchant == p.merchant && old.Amount == p.Amount &&
			s.Now().Sub(old.ended) < 2*time.Minute {
			return true
		}
	}
	return false
}

// checkoutRequestID returns an id in one of the two shapes of these years: the
// time in Nairobi to a millisecond, or to a tenth of a second, and the last nine
// digits of the phone (observed). Two pushes to one phone in one millisecond were
// given the same id; here they are not.
func (s *Safaricom) checkoutRequestID(n int, phone string) string {
	shape, step := "02012006150405.000", time.Millisecond
	if coin("checkout", n) {
		shape, step = "02012006150405.0", 100*time.Millisecond
	}
	for at := eat(s.Now()); ; at = at.Add(step) {
		t := at.Format(shape)
		id := "ws_CO_" + t[:14] + t[15:] + phone[3:]
		if s.pushByID[id] == nil {
			return id
		}
	}
}

// finish ends the transaction of a push, unless it has ended. It needs the lock.
func (s *Safaricom) finish(p *push, o outcome) {
	if p.Code != "" {
		return
	}
	p.Open, p.Code, p.outcome, p.ended = false, o.code, o, s.Now()
	if o.code == "0" {
		p.receipt = receipt(s.next(), p.ended)
		p.merchant.collected += p.Amount
		s.record(Entry{Kind: Paid, ID: p.CheckoutRequestID, Receipt: p.receipt, Shortcode: p.Shortcode, Phone: p.Phone,
			Amount: p.Amount, Reference: p.Reference, URL: p.CallBackURL})
	}
	s.changed(p)
	if o.noCallback {
		if p.told != nil {
			close(p.told)
		}
		return
	}
	s.send(&callback{operation: Push, id: p.CheckoutRequestID, url: p.CallBackURL, shortcode: p.merchant.Shortcode,
		body: p.callback(o), fault: p.fault, told: p.told, twice: o.twice}, callbackDelay)
}

type item struct {
	Name  string
	Value json.RawMessage `json:",omitempty"`
}

// callback is what Safaricom posts about a push (observed): metadata on success
// alone; Amount a whole number or one with two decimals; Balance without a value,
// or absent; date and phone as numbers; nothing that the caller chose.
func (p *push) callback(o outcome) []byte {
	type metadata struct{ Item []item }
	type stkCallback struct {
		MerchantRequestID, CheckoutRequestID string
		ResultCode                           json.RawMessage
		ResultDesc                           string
		CallbackMetadata                     *metadata `json:",omitempty"`
	}
	c := stkCallback{p.MerchantRequestID, p.CheckoutRequestID, code(o.code), o.desc, nil}
	if o.code == "1032" && coin("cancelled", p.n) {
		c.ResultDesc = "Request cancelled by user" // the wording of earlier years (observed)
	}
	if o.code == "0" {
		sum := strconv.FormatInt(p.Amount, 10)
		if coin("decimals", p.n) {
			sum += ".00"
		}
		items := []item{{"Amount", json.RawMessage(sum)}, {"MpesaReceiptNumber", json.RawMessage(quote(p.receipt))}}
		if coin("balance", p.n) {
			items = append(items, item{Name: "Balance"})
		}
		c.CallbackMetadata = &metadata{append(items,
			item{"TransactionDate", json.RawMessage(eat(p.ended).Format("20060102150405"))},
			item{"PhoneNumber", json.RawMessage(p.Phone)})}
	}
	return encode(map[string]any{"Body": map[string]any{"stkCallback": c}})
}

// code is a result code as a callback writes it: digits as a number, words as text
// (observed).
func code(c string) json.RawMessage {
	if digits(c, 1, 9) {
		return json.RawMessage(c)
	}
	return json.RawMessage(quote(c))
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own values
	}
	return b
}
