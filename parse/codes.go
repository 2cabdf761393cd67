package parse

import "strconv"

// code is one row of the table of result codes.
type code struct {
	kind    Kind
	code    string // the number in decimal, or the word
	status  Status
	meaning string
	source  string
}

// codes is the one place that knows what a result code means for the money.
// FAILED stands only where Safaricom's own text, or what was observed, says that
// none moved. A code that is not listed is TIMEOUT, as are those listed so here
// because they look like failures and are not known to be.
//
// Sources: "portal" is Safaricom's Daraja 3.0 documentation, by page; "log" is
// a merchant's log of 10,695 callbacks of 2023-24 and smaller public ones;
// "integrators" are notes of people who run this, without a capture.
var codes = [...]code{
	{Payment, "0", Success, "paid", "portal MpesaExpressSimulate; log"},
	{Payment, "1", Failed, "balance too low", "portal MpesaExpressSimulate; log"},
	{Payment, "2", Failed, "below the least amount", "portal MpesaExpressSimulate"},
	{Payment, "3", Failed, "above the largest amount", "portal MpesaExpressSimulate"},
	{Payment, "4", Failed, "over the payer's daily limit", "portal MpesaExpressSimulate"},
	{Payment, "8", Failed, "over the account's largest balance", "portal MpesaExpressSimulate"},
	{Payment, "11", Failed, "payer's wallet not active", "log, its own text"},
	{Payment, "17", Failed, "same amount and customer within two minutes: this request was not done", "portal MpesaExpressSimulate; log"},
	{Payment, "26", Failed, "system busy, refused on entry", "portal AccountBalance"},
	{Payment, "1001", Failed, "payer has another transaction open", "portal MpesaExpressSimulate; log"},
	{Payment, "1019", Failed, "expired", "portal MpesaExpressSimulate; log"},
	{Payment, "1025", Failed, "prompt not sent", "portal MpesaExpressSimulate; log"},
	{Payment, "1031", Cancelled, "cancelled by the payer", "log, 2020-21"},
	{Payment, "1032", Cancelled, "cancelled by the payer, or ignored", "portal MpesaExpressSimulate; log"},
	{Payment, "1036", Timeout, "the phone's answer came too late", "integrators"},
	{Payment, "1037", Timeout, "phone not reached, or no answer", "portal MpesaExpressSimulate; log"},
	{Payment, "2001", Failed, "wrong PIN, or not an M-Pesa customer", "portal MpesaExpressSimulate; log"},
	{Payment, "2026", Timeout, "session expired", "log; documented nowhere"},
	{Payment, "2028", Failed, "wrong transaction type or receiving party", "portal MpesaExpressSimulate"},
	{Payment, "4999", Timeout, "still being processed", "integrators, of the status query"},
	{Payment, "8006", Failed, "payer's PIN locked", "portal MpesaExpressSimulate; log"},
	{Payment, "9999", Timeout, "prompt not sent, or an error nobody explains", "integrators"},
	{Payment, "SFC_IC0003", Failed, "receiving party not found", "portal MpesaExpressSimulate"},
	{Payment, "BW-JMS-100039", Timeout, "a broker's fault half-way", "log; documented nowhere"},

	{Disbursement, "0", Success, "paid out", "portal BusinessToCustomer; production results of 2023"},
	{Disbursement, "1", Failed, "business's balance too low", "portal BusinessToCustomer; production results of 2023"},
	{Disbursement, "2", Failed, "below the least amount", "portal BusinessToCustomer"},
	{Disbursement, "3", Failed, "above the largest amount", "portal BusinessToCustomer"},
	{Disbursement, "4", Failed, "over the daily limit", "portal BusinessToCustomer"},
	{Disbursement, "8", Failed, "over the receiver's largest balance", "portal BusinessToCustomer"},
	{Disbursement, "11", Failed, "business's account not active", "portal BusinessToCustomer"},
	{Disbursement, "15", Timeout, "duplicate: the first one may have paid", "portal AccountBalance"},
	{Disbursement, "17", Timeout, "internal failure (on STK the same number means Rule limited)", "portal AccountBalance; integrators"},
	{Disbursement, "19", Timeout, "nobody says what became of the money", "portal AccountBalance"},
	{Disbursement, "21", Failed, "initiator lacks the role", "portal BusinessToCustomer"},
	{Disbursement, "25", Timeout, "bad parameter; at which stage is not known", "integrators"},
	{Disbursement, "26", Failed, "system busy, refused on entry", "portal AccountBalance"},
	{Disbursement, "2001", Failed, "initiator's credentials wrong", "portal BusinessToCustomer; production results of 2023"},
	{Disbursement, "2006", Failed, "account not in a state to pay", "portal BusinessToCustomer"},
	{Disbursement, "2028", Failed, "product not assigned to the business", "portal BusinessToCustomer; log"},
	{Disbursement, "2040", Failed, "receiver not registered", "portal BusinessToCustomer; sandbox 2026-01"},
	{Disbursement, "8006", Failed, "initiator's credential locked", "portal BusinessToCustomer"},
	{Disbursement, "100000000", Timeout, "cached by Safaricom, to be sent again", "integrators"},
	{Disbursement, "SFC_IC0003", Failed, "receiver's number not known", "portal BusinessToCustomer; production"},
	{Disbursement, "TP40153", Timeout, "operator may not use this API; at which stage is not known", "integrators"},
}

// statusOf looks up a result code as resultCode returns it. A word beats the
// number, which is NoCode then.
func statusOf(k Kind, n int, word string) Status {
	want := word
	if want == "" {
		want = strconv.Itoa(n)
	}
	for i := range codes {
		if codes[i].kind == k && codes[i].code == want {
			return codes[i].status
		}
	}
	return Timeout
}
