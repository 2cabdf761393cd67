package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"openruntimes/handler/parse"
)

// callback is one request that Safaricom makes, and the verdict in it.
type callback struct {
	path    string
	body    string
	verdict parse.Verdict
}

// outcome is a result code with its description, and how often it was seen.
type outcome struct {
	code, description string
	count             int
}

const paid = "The service request is processed successfully."

// stkOutcomes are from 10,932 STK callbacks in public capture logs of 2018 to 2026,
// almost all of them from one merchant's log of 2023-24.
var stkOutcomes = []outcome{
	{"1032", "Request cancelled by user", 4774},
	{"1037", "DS timeout user cannot be reached", 2545},
	{"1", "The balance is insufficient for the transaction.", 1706},
	{"0", paid, 1269},
	{"2001", "The initiator information is invalid.", 527},
	{"1019", "Transaction has expired", 46},
	{"1025", "Error Occurred while sending push request", 22},
	{"2026", "The channel session ID has expired.", 18},
	{"1031", "Request cancelled by user", 9},
	{"17", "Rule limited.", 4},
	{"8006", "The security credential is locked.", 4},
	{`"BW-JMS-100039"`, "There was an unexpected error while sending a message.", 4},
	{"1001", "Unable to lock subscriber.", 2},
	{"11", "The DebitParty is in an invalid state.", 1},
}

// b2cOutcomes have the ratio of successes and failures in 26 production results of
// one business, 2023. How frequent each failure is, nobody has published.
var b2cOutcomes = []outcome{
	{"0", paid, 16},
	{"1", "The balance is insufficient for the transaction.", 3},
	{"2001", "The initiator information is invalid.", 3},
	{"2040", "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service .", 3},
	{"17", "System internal error.", 1},
}

// traffic draws what Safaricom posts. The seed decides which payments there are.
// Their ids begin with the time, so that no two runs share one.
type traffic struct {
	*rand.Rand
	begin time.Time // East Africa Time, whole seconds
	made  int       // transactions so far
}

// draw returns n callbacks in the order of their arrival. A repeated one comes up to
// three places after the first, as in the logs. A 1019 comes as many places late as it
// came seconds late in the logs: 78 in the median, 215 at most.
func (t *traffic) draw(n int) []callback {
	type arrival struct {
		place int
		callback
	}
	var arrivals []arrival
	for place := 0; len(arrivals) < n+300; place++ { // more than n: some of the last come late and are cut off
		at, late := place, false
		for i, c := range t.transaction() {
			if i > 0 {
				at += 1 + t.IntN(3)
			}
			if c.verdict.Code == 1019 && !late {
				at, late = at+t.late(), true
			}
			arrivals = append(arrivals, arrival{at, c})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.place - b.place })
	callbacks := make([]callback, n)
	for i := range callbacks {
		callbacks[i] = arrivals[i].callback
	}
	return callbacks
}

// probes returns a payment and a disbursement, neither of them a success.
func (t *traffic) probes() []callback {
	t.made++
	return []callback{
		t.stk(t.checkoutRequestID(), outcome{"1032", "Request cancelled by user", 0}),
		t.b2c(fmt.Sprintf("probe-%d", t.begin.Unix()), "", outcome{"2001", "The initiator information is invalid.", 0}),
	}
}

// late returns how many places late a 1019 comes: 78 or less for half of them.
func (t *traffic) late() int {
	if t.IntN(2) == 0 {
		return t.IntN(79)
	}
	return 78 + t.IntN(215-78+1)
}

// transaction draws all callbacks of one transaction. One in ten is a disbursement.
func (t *traffic) transaction() []callback {
	t.made++
	if t.IntN(10) == 0 {
		return t.disbursement()
	}
	id := t.checkoutRequestID()
	first := t.stk(id, t.pick(stkOutcomes))
	callbacks := []callback{first}
	switch code := first.verdict.Code; {
	case code == 1019 && t.IntN(100) < 58, t.IntN(1000) < 3:
		callbacks = append(callbacks, first)
	case (code == 1037 || code == 2001) && t.IntN(1000) == 0:
		callbacks = append(callbacks, t.stk(id, outcome{"1019", "Transaction has expired", 0}))
	}
	return callbacks
}

// disbursement draws a B2C result. In one of fifty a queue timeout comes first: that
// these exist is documented, how frequent they are is not.
func (t *traffic) disbursement() []callback {
	id := fmt.Sprintf("%04x-%04x-%04x-%012x%06x", t.IntN(1<<16), t.IntN(1<<16), t.IntN(1<<16), t.begin.Unix(), t.made)
	conversationID := fmt.Sprintf("AG_%s_%020x", t.begin.Format("20060102"), t.Int64())
	result := t.b2c(id, conversationID, t.pick(b2cOutcomes))
	callbacks := []callback{result}
	switch n := t.IntN(1000); {
	case n < 20:
		timeout := fmt.Sprintf(`{"Result":{"ResultType":0,"ResultCode":1,"ResultDesc":"The request waited too long.",`+
			`"OriginatorConversationID":%q,"ConversationID":%q}}`, id, conversationID)
		callbacks = []callback{newCallback("/b2c/timeout", timeout, parse.B2CTimeout), result}
	case n < 23:
		callbacks = append(callbacks, result)
	}
	return callbacks
}

// pick draws one of the outcomes, as often as it was seen.

func (t *traffic) pick(outcomes []outcome) outcome {
	total := 0
	for _, o := range outcomes {
		total += o.count
	}
	n := t.IntN(total)
	for _, o := range outcomes {
		if n -= o.count; n < 0 {
			return o
		}
	}
	panic("unreachable")
}

// checkoutRequestID returns an id in the form of 2022 and later. A few have one digit
// of the second's fraction instead of three. The phone number in it is nobody's: no
// subscriber's begins with 000.
func (t *traffic) checkoutRequestID() string {
	at := t.begin.Add(time.Duration(t.made) * time.Millisecond)
	fraction := fmt.Sprintf("%03d", at.Nanosecond()/1e6)
	if t.IntN(25) == 0 {
		fraction = fraction[:1]
	}
	return fmt.Sprintf("ws_CO_%s%s000%06d", at.Format("02012006150405"), fraction, t.made%1e6)
}

// stk returns an STK Push callback.
func (t *traffic) stk(id string, o outcome) callback {
	metadata := ""
	if o.code == "0" {
		amount := fmt.Sprint(1 + t.IntN(5000))
		if t.IntN(25) > 0 {
			amount += ".00"
		}
		balance := `{"Name":"Balance"},`
		if t.IntN(3) == 0 {
			balance = ""
		}
		metadata = fmt.Sprintf(`,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":%s},{"Name":"MpesaReceiptNumber","Value":"%s"},%s`+
			`{"Name":"TransactionDate","Value":%s},{"Name":"PhoneNumber","Value":254000%06d}]}`,
			amount, t.receipt(), balance, t.begin.Format("20060102150405"), t.made%1e6)
	}
	merchantRequestID := fmt.Sprintf("%04x-%04x-%04x-%012x%d", t.IntN(1<<16), t.IntN(1<<16), t.IntN(1<<16), t.Int64N(1<<48), 50000000+t.made)
	return newCallback("/callback", fmt.Sprintf(`{"Body":{"stkCallback":{"MerchantRequestID":%q,"CheckoutRequestID":%q,`+
		`"ResultCode":%s,"ResultDesc":%q%s}}}`, merchantRequestID, id, o.code, o.description, metadata), parse.STK)
}

// b2c returns a B2C result.
func (t *traffic) b2c(id, conversationID string, o outcome) callback {
	receipt, parameters := t.receipt(), ""
	if o.code != "0" && t.IntN(2) == 0 {
		receipt = "LDT0000000" // failures share such placeholders
	}
	if o.code == "0" {
		parameters = fmt.Sprintf(`"ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":%d},`+
			`{"Key":"ReceiverPartyPublicName","Value":"254000%06d - Load Test"},{"Key":"TransactionCompletedDateTime","Value":%q},`+
			`{"Key":"B2CUtilityAccountAvailableFunds","Value":%d.57},{"Key":"B2CWorkingAccountAvailableFunds","Value":0.00},`+
			`{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-%d.00},`+
			`{"Key":"TransactionReceipt","Value":%q}]},`,
			10+t.IntN(5000), t.made%1e6, t.begin.Format("02.01.2006 15:04:05"), t.IntN(1e6), t.IntN(5000), receipt)
	}
	return newCallback("/b2c/result", fmt.Sprintf(`{"Result":{"ResultType":0,"ResultCode":%s,"ResultDesc":%q,"OriginatorConversationID":%q,`+
		`"ConversationID":%q,"TransactionID":%q,%s"ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL",`+
		`"Value":"http:\/\/internalapi.safaricom.co.ke\/mpesa\/b2cresults\/v1\/submit"}}}}`, o.code, o.description, id, conversationID, receipt, parameters), parse.B2C)
}

// receipt returns an invented M-Pesa receipt of a month that is long past.
func (t *traffic) receipt() string { return fmt.Sprintf("LDT%07X", t.IntN(1<<28)) }

// newCallback adds the verdict to a body, read from it as the function does.
func newCallback(path, body string, read func([]byte) (parse.Verdict, error)) callback {
	verdict, err := read([]byte(body))
	if err != nil || !json.Valid([]byte(body)) {
		panic(fmt.Sprintf("%v: %s", err, body))
	}
	return callback{path, body, verdict}
}
