package fakesafaricom

import (
	"strconv"
	"time"
)

// statusRules are the fields of a status query (documented; two keys are spelt
// with a space in its sample, a misprint).
func (s *Safaricom) statusRules() []rule {
	return []rule{
		{name: "Initiator", fits: length(1, 64)},
		{name: "SecurityCredential", fits: credential},
		{name: "CommandID", fits: oneOf("TransactionStatusQuery")},
		{name: "TransactionID", fits: length(10, 10), optional: true},
		{name: "OriginalConversationID", fits: length(1, 64), optional: true},
		{name: "PartyA", fits: shortcode},
		{name: "IdentifierType", fits: oneOf("4")},
		{name: "ResultURL", fits: s.callbackURL},
		{name: "QueueTimeOutURL", fits: s.callbackURL},
		{name: "Remarks", fits: text(2, 100)},
		{name: "Occasion", fits: text(1, 100), optional: true}, // so spelt: documented
	}
}

// status looks for a transaction and posts what it finds. It needs the lock.
func (s *Safaricom) status(r request) reply {
	key, f, refusal := s.enter(r, s.statusRules())
	if refusal != nil {
		return *refusal
	}
	// One or the other: documented.
	if (f["TransactionID"] == "") == (f["OriginalConversationID"] == "") {
		return s.invalid("TransactionID")
	}
	m := s.merchants[f["PartyA"]]
	if m == nil || m.ConsumerKey != key {
		return s.invalidToken(Status) // no fact: as payouts with another app's shortcode
	}
	n := s.next()
	c := &callback{operation: Status, id: conversationID(n, s.Now()), url: f["ResultURL"], fault: s.takeFault(Status, true)}
	right, delay := m.initiates(f["Initiator"], f["SecurityCredential"]), payoutDelay
	switch c.fault.post {
	case postTimeout:
		c.url, delay = f["QueueTimeOutURL"], queueDelay
	case postBeforeAck:
		c.told, delay = make(chan struct{}), 0
	}
	s.clock.after(delay, func() {
		s.locked(func() {
			c.body = s.statusResult(m, n, c.id, f, right)
			if c.fault.post == postTimeout {
				c.body = timeoutBody(n, requestID(n), c.id)
			}
			s.send(c, 0)
		})
	})
	answer := s.conversation(c.id, requestID(n)) // the query's own ids (documented)
	answer.told = c.told
	return answer
}

// statusResult is what Safaricom posts about a status query: the ids outside are
// the query's, TransactionID is a placeholder (documented).
func (s *Safaricom) statusResult(m *merchant, n int, conversation string, f fields, right bool) []byte {
	occasion := parameter{Key: "Occasion"} // without a value if there was none: documented
	if f["Occasion"] != "" {
		occasion = param("Occasion", f["Occasion"])
	}
	result := func(code string, parameters []parameter) []byte {
		return encodeResult(code, requestID(n), conversation, placeholder(s.Now()), parameters, occasion)
	}
	switch {
	case m.wrong >= lockedAfter:
		return result("8006", nil)
	case !right:
		return result("2001", nil) // observed
	}
	if p := s.findPayout(m, f); p != nil {
		return result("0", p.status(s.phone(p.fields["PartyB"]).Name))
	}
	if p := s.findPayment(m, f["TransactionID"]); p != nil {
		return result("0", p.status(s.phone(p.Phone).Name))
	}
	return result("2032", nil) // observed for a receipt; for a conversation nothing is known
}

// findPayout finds those that became a transaction: one whose initiator was wrong
// did not.
func (s *Safaricom) findPayout(m *merchant, f fields) *payout {
	for _, p := range s.payouts {
		if p.merchant != m || p.code != "" && p.code != "timeout" && p.receipt == "" {
			continue
		}
		id := f["OriginalConversationID"]
		if id != "" && (id == p.conversationID || id == p.shownID && id != p.id() || id == p.id() && !s.HideOwnIDs) ||
			id == "" && f["TransactionID"] == p.receipt {
			return p
		}
	}
	return nil
}

func (s *Safaricom) findPayment(m *merchant, receipt string) *push {
	for _, p := range s.pushes {
		if p.merchant == m && receipt != "" && p.receipt == receipt {
			return p
		}
	}
	return nil
}

// status says how a payout stands, in the words of TransactionStatus (documented):
// of those Completed, Declined and Expired are final.
func (p *payout) status(name string) []parameter {
	word := "Declined"
	switch p.code {
	case "":
		word = "Pending Authorized"
	case "0":
		word = "Completed"
	case "timeout":
		word = "Expired"
	}
	business := p.merchant.Shortcode + " - " + p.merchant.Name
	parameters := []parameter{param("DebitPartyName", business), param("DebitPartyName", p.fields["PartyB"]+" - "+name)}
	return append(parameters, shared(p.shownID, p.conversationID, "Utility Account",
		"Business Payment to Customer via API", word, p.receipt, p.amount, p.at, p.ended)...)
}

// status says how a payment stands, which has been paid.
func (p *push) status(name string) []parameter {
	parameters := []parameter{param("DebitPartyName", p.Phone+" - "+name),
		param("CreditPartyName", p.Shortcode+" - "+p.Business), {Key: "CreditPartyCharges"}}
	return append(parameters, shared(p.MerchantRequestID, conversationID(p.n, p.At), "MMF Account For Customer",
		"Pay Bill Online", "Completed", p.receipt, p.Amount, p.At, p.ended)...)
}

// shared are the parameters that payments and payouts share: every value
// text, some keys without one (documented). The ids are the transaction's.
func shared(originator, conversation, account, reason, word, receipt string, amount int64, began, ended time.Time) []parameter {
	const layout = "20060102150405"
	final, number := parameter{Key: "FinalisedTime"}, parameter{Key: "ReceiptNo"}
	if !ended.IsZero() {
		final = param("FinalisedTime", eat(ended).Format(layout))
	}
	if receipt != "" {
		number = param("ReceiptNo", receipt)
	}
	return []parameter{
		param("OriginatorConversationID", originator),
		param("InitiatedTime", eat(began).Format(layout)),
		param("DebitAccountType", account),
		{Key: "TransactionReason"},
		param("ReasonType", reason),
		param("TransactionStatus", word),
		final,
		param("Amount", strconv.FormatInt(amount, 10)),
		param("ConversationID", conversation),
		number,
	}
}
