package fakesafaricom

import (
	"fmt"
	"net/http"
	"time"
)

// queryRules are the fields of an STK query (documented).
func queryRules() []rule {
	return []rule{
		{name: "BusinessShortCode", fits: shortcode, number: true},
		{name: "Password", fits: base64Text},
		{name: "Timestamp", fits: timestamp},
		{name: "CheckoutRequestID", fits: length(1, 64)},
	}
}

// query says how a push stands. It needs the lock.
func (s *Safaricom) query(r request) reply {
	key, f, refusal := s.enter(r, queryRules())
	if refusal != nil {
		return *refusal
	}
	m, refusal := s.authenticate(key, f)
	if refusal != nil {
		return *refusal
	}
	p := s.pushByID[f["CheckoutRequestID"]]
	if p == nil || p.merchant != m {
		return s.refuse(http.StatusInternalServerError, "500.001.1001", DoesNotExist) // observed
	}
	return s.standing(p)
}

// standing follows the timelines that were observed: HTTP 500 within the first
// second; while the prompt is open 4999, or for one that will be cancelled 200
// with 500.001.1001 and no message; then the code, which for a prompt that nobody
// answers comes at 14 s, before its callback. Of the polls of a transaction that
// has ended one in five gets HTTP 500 with 500.001.1001.
func (s *Safaricom) standing(p *push) reply {
	age := s.Now().Sub(p.At)
	switch {
	case age < time.Second:
		return s.refuse(http.StatusInternalServerError, "500.001.1001", BeingProcessed)
	case p.Code != "":
		p.queries++
		if p.queries%5 == 0 {
			return s.refuse(http.StatusInternalServerError, "500.001.1001", BeingProcessed)
		}
		return p.result(p.Code, p.outcome.queryWords())
	case p.outcome.queryAfter > 0 && age >= p.outcome.queryAfter:
		return p.result(p.outcome.code, p.outcome.queryWords())
	case p.outcome.code == "1032":
		return empty1001()
	default:
		return p.result("4999", "The transaction is still under processing")
	}
}

// result is a query's answer, with every value as text and neither receipt nor
// amount nor payer (documented).
func (p *push) result(code, words string) reply {
	return jsonReply(http.StatusOK, fmt.Sprintf(`{"ResponseCode":"0","ResponseDescription":"The service request has been accepted successfully",`+
		`"MerchantRequestID":%q,"CheckoutRequestID":%q,"ResultCode":%q,"ResultDesc":%q}`,
		p.MerchantRequestID, p.CheckoutRequestID, code, words))
}

// queryWords is the text of an outcome in a query's answer: for 1037 another than
// the callback's of the same payment (observed).
func (o outcome) queryWords() string {
	if o.code == "1037" {
		return "DS timeout user cannot be reached."
	}
	return o.desc
}

// empty1001 is seen while a prompt is open (observed).
func empty1001() reply {
	return jsonReply(http.StatusOK, `{"errorCode":"500.001.1001","errorMessage":""}`)
}

// spikeArrest is the gateway's 429 (observed in the sandbox; documented is 500
// with 500.003.02).
func spikeArrest() reply {
	return gatewayFault(http.StatusTooManyRequests, "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, "+
		"periodInMicroseconds=60000000, maxBurstMessageCount=1.0}", "policies.ratelimit.SpikeArrestViolation")
}
