package parse

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A Code is one row of the table of result codes: what it means for the money, and what
// to tell the person who pays, or who pays out.
type Code struct {
	Kind    Kind
	Code    string // the number in decimal, or the word; empty for all others of this status
	Status  Status
	Meaning string
	Source  string

	// English and Swahili say it to the person, as short as a bank's SMS. They say
	// "not completed" only where it is known that no money moved.
	English, Swahili string

	// AskAgain says whether the same may be asked for again without the danger that it
	// is paid twice.
	AskAgain bool

	Cause Cause // empty for most
}

// Cause names a failure that an app may want to treat by itself.
type Cause string

const (
	NotEnoughFunds   Cause = "not_enough_funds"
	WrongPIN         Cause = "wrong_pin"
	SubscriberLocked Cause = "subscriber_locked" // another M-Pesa transaction is open on this phone
)

// pending is the status of what was started and has no verdict yet. No code has it.
const pending Status = "PENDING"

// NotSent is the word in place of a code of what was never asked for at Safaricom. Why it
// was not comes behind it, up to a semicolon, and these two reasons have rows of their own:
// the other one may have been paid meanwhile.
const (
	NotSent     = "NOT_SENT"
	AnotherOpen = "another payment is open"
	SamePayout  = "the same payout was asked for before"
)

// What to tell the payer of a [Success] whose receipt is still to come, in English and in
// Swahili: one that was found by asking Safaricom, whose answer names none. No code says so.
const (
	ReceiptFollows   = "Payment completed. The receipt follows."
	ReceiptFollowsSW = "Malipo yamekamilika. Risiti itafuata."
)

// What several codes have in common.
const (
	notPaid    = "Payment not completed: "
	notPaidSW  = "Malipo hayakukamilika: "
	notSent    = "Payout not completed: "
	notSentSW  = "Pesa hazikutumwa: "
	unsure     = "We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again."
	unsureSW   = "Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena."
	unsureOut  = "We do not know yet whether the money was sent. Please make sure before you send it again."
	unsureSWO  = "Bado hatujui kama pesa zimetumwa. Tafadhali hakikisha kabla ya kuzituma tena."
	askOther   = notPaid + "the receiver's M-PESA account cannot take it. Please contact the receiver."
	askOtherSW = notPaidSW + "akaunti ya M-PESA ya mpokeaji haiwezi kuyapokea. Tafadhali wasiliana na mpokeaji."
	declined   = notPaid + "the request was cancelled or not answered."
	declinedSW = notPaidSW + "ombi lilighairiwa au halikujibiwa."
	settings   = notSent + "the business's M-PESA account is not set up for it."
	settingsSW = notSentSW + "akaunti ya M-PESA ya biashara haijaidhinishwa kuzituma."
)

// codes is the one place that knows what a result code means for the money.
// FAILED stands only where Safaricom's own text, or what was observed, says that
// none moved. A code that is not listed is TIMEOUT, as are those listed so here
// because they look like failures and are not known to be.
//
// Sources: "portal" is Safaricom's Daraja 3.0 documentation, by page; "log" is
// a merchant's log of 10,695 callbacks of 2023-24 and smaller public ones;
// "integrators" are notes of people who run this, without a capture.
//
// Each status has a row without a code, for what is not listed, and for what this
// project itself says without Safaricom ("NOT_SENT: …").
var codes = [...]Code{
	{Payment, "0", Success, "paid", "portal MpesaExpressSimulate; log",
		"Payment completed. Thank you.",
		"Malipo yamekamilika. Asante.", false, ""},
	{Payment, "1", Failed, "balance too low", "portal MpesaExpressSimulate; log",
		notPaid + "your M-PESA balance is too low.",
		notPaidSW + "salio halitoshi.", true, NotEnoughFunds},
	{Payment, "2", Failed, "below the least amount", "portal MpesaExpressSimulate",
		notPaid + "the amount is below M-PESA's minimum.",
		notPaidSW + "kiasi ni chini ya kiwango cha chini cha M-PESA.", true, ""},
	{Payment, "3", Failed, "above the largest amount", "portal MpesaExpressSimulate",
		notPaid + "the amount is above M-PESA's maximum.",
		notPaidSW + "kiasi kinazidi kiwango cha juu cha M-PESA.", true, ""},
	{Payment, "4", Failed, "over the payer's daily limit", "portal MpesaExpressSimulate",
		notPaid + "the amount is above your M-PESA limit for one day.",
		notPaidSW + "kiasi kinazidi kikomo chako cha siku cha M-PESA.", true, ""},
	{Payment, "8", Failed, "over the account's largest balance", "portal MpesaExpressSimulate",
		notPaid + "the balance of an M-PESA account would exceed its limit.",
		notPaidSW + "salio lingezidi kikomo cha akaunti ya M-PESA.", true, ""},
	{Payment, "11", Failed, "payer's wallet not active", "log, its own text",
		notPaid + "your M-PESA account is not active. Please contact Safaricom.",
		notPaidSW + "akaunti yako ya M-PESA haifanyi kazi kwa sasa. Tafadhali wasiliana na Safaricom.", true, ""},
	{Payment, "17", Failed, "same amount and customer within two minutes: this request was not done", "portal MpesaExpressSimulate; log",
		"This request was not completed: the same amount was asked for a moment ago. Please check your M-PESA messages before you pay again.",
		"Ombi hili halikukamilika: malipo ya kiasi hicho yaliombwa muda mfupi uliopita. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.", false, ""},
	{Payment, "26", Failed, "system busy, refused on entry", "portal AccountBalance",
		notPaid + "M-PESA is busy. Please try again in a few minutes.",
		notPaidSW + "M-PESA ina shughuli nyingi. Tafadhali jaribu tena baada ya dakika chache.", true, ""},
	{Payment, "1001", Failed, "payer has another transaction open", "portal MpesaExpressSimulate; log",
		notPaid + "another M-PESA transaction is open on your phone. Please try again in a minute.",
		notPaidSW + "muamala mwingine wa M-PESA unaendelea kwenye simu yako. Tafadhali jaribu tena baada ya dakika moja.", true, SubscriberLocked},
	{Payment, "1019", Failed, "expired", "portal MpesaExpressSimulate; log",
		notPaid + "the time to pay ran out. Please try again.",
		notPaidSW + "muda wa kulipa umeisha. Tafadhali jaribu tena.", true, ""},
	{Payment, "1025", Failed, "prompt not sent", "portal MpesaExpressSimulate; log",
		notPaid + "the request could not be sent to your phone. Please try again.",
		notPaidSW + "ombi halikufika kwenye simu yako. Tafadhali jaribu tena.", true, ""},
	{Payment, "1031", Cancelled, "cancelled by the payer", "log, 2020-21",
		declined, declinedSW, true, ""},
	{Payment, "1032", Cancelled, "cancelled by the payer, or ignored", "portal MpesaExpressSimulate; log",
		declined, declinedSW, true, ""},
	{Payment, "1036", Timeout, "the phone's answer came too late", "integrators",
		unsure, unsureSW, false, ""},
	{Payment, "1037", Timeout, "phone not reached, or no answer", "portal MpesaExpressSimulate; log",
		"Your phone was not reached or did not answer. " + unsure,
		"Simu yako haikupatikana au hukujibu. " + unsureSW, false, ""},
	{Payment, "2001", Failed, "wrong PIN, or not an M-Pesa customer", "portal MpesaExpressSimulate; log",
		notPaid + "the PIN was wrong, or this number has no M-PESA.",
		notPaidSW + "PIN si sahihi, au nambari hii haijasajiliwa kwa M-PESA.", true, WrongPIN},
	{Payment, "2026", Timeout, "session expired", "log; documented nowhere",
		unsure, unsureSW, false, ""},
	{Payment, "2028", Failed, "wrong transaction type or receiving party", "portal MpesaExpressSimulate",
		askOther, askOtherSW, true, ""},
	{Payment, "4999", Timeout, "still being processed", "integrators, of the status query",
		"The payment is still being processed. Please wait for the SMS from M-PESA.",
		"Malipo bado yanashughulikiwa. Tafadhali subiri SMS ya M-PESA.", false, ""},
	{Payment, "8006", Failed, "payer's PIN locked", "portal MpesaExpressSimulate; log",
		notPaid + "your M-PESA PIN is locked. Please contact Safaricom.",
		notPaidSW + "PIN yako ya M-PESA imefungwa. Tafadhali wasiliana na Safaricom.", true, ""},
	{Payment, "9999", Timeout, "prompt not sent, or an error nobody explains", "integrators",
		unsure, unsureSW, false, ""},
	{Payment, "SFC_IC0003", Failed, "receiving party not found", "portal MpesaExpressSimulate",
		askOther, askOtherSW, true, ""},
	{Payment, "BW-JMS-100039", Timeout, "a broker's fault half-way", "log; documented nowhere",
		unsure, unsureSW, false, ""},
	{Payment, NotSent + ": " + AnotherOpen, Failed, "not sent: another payment was open, which may have been paid since", "this project",
		"This request was not completed: another payment was still open. Please check your M-PESA messages before you pay again.",
		"Ombi hili halikukamilika: malipo mengine yalikuwa bado yanasubiri. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.", false, ""},
	{Payment, "", Success, "nothing else is paid", "this project",
		"Payment completed. Thank you.",
		"Malipo yamekamilika. Asante.", false, ""},
	{Payment, "", Failed, "not sent, or refused by Safaricom at once", "this project",
		"Payment not completed. No money has moved, and you may try again.",
		"Malipo hayakukamilika. Hakuna pesa zilizokatwa; unaweza kujaribu tena.", true, ""},
	{Payment, "", Cancelled, "nothing else is cancelled", "this project",
		declined, declinedSW, true, ""},
	{Payment, "", Timeout, "not listed", "this project",
		unsure, unsureSW, false, ""},
	{Payment, "", pending, "no verdict yet", "this project",
		"Please look at your phone and enter your M-PESA PIN.",
		"Tafadhali angalia simu yako na uweke PIN yako ya M-PESA.", false, ""},

	{Disbursement, "0", Success, "paid out", "portal BusinessToCustomer; production results of 2023",
		"Payout completed.", "Pesa zimetumwa.", false, ""},
	{Disbursement, "1", Failed, "business's balance too low", "portal BusinessToCustomer; production results of 2023",
		notSent + "the business's M-PESA balance is too low.",
		notSentSW + "salio la biashara halitoshi.", true, ""},
	{Disbursement, "2", Failed, "below the least amount", "portal BusinessToCustomer",
		notSent + "the amount is below M-PESA's minimum.",
		notSentSW + "kiasi ni chini ya kiwango cha chini cha M-PESA.", true, ""},
	{Disbursement, "3", Failed, "above the largest amount", "portal BusinessToCustomer",
		notSent + "the amount is above M-PESA's maximum.",
		notSentSW + "kiasi kinazidi kiwango cha juu cha M-PESA.", true, ""},
	{Disbursement, "4", Failed, "over the daily limit", "portal BusinessToCustomer",
		notSent + "the amount is above the M-PESA limit for one day.",
		notSentSW + "kiasi kinazidi kikomo cha siku cha M-PESA.", true, ""},
	{Disbursement, "8", Failed, "over the receiver's largest balance", "portal BusinessToCustomer",
		notSent + "the receiver's M-PESA balance would exceed its limit.",
		notSentSW + "salio la mpokeaji lingezidi kikomo cha akaunti yake ya M-PESA.", true, ""},
	{Disbursement, "11", Failed, "business's account not active", "portal BusinessToCustomer",
		notSent + "the business's M-PESA account is not active.",
		notSentSW + "akaunti ya M-PESA ya biashara haifanyi kazi kwa sasa.", true, ""},
	{Disbursement, "15", Timeout, "duplicate: the first one may have paid", "portal AccountBalance",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "17", Timeout, "internal failure (on STK the same number means Rule limited)", "portal AccountBalance; integrators",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "19", Timeout, "nobody says what became of the money", "portal AccountBalance",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "21", Failed, "initiator lacks the role", "portal BusinessToCustomer",
		settings, settingsSW, true, ""},
	{Disbursement, "25", Timeout, "bad parameter; at which stage is not known", "integrators",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "26", Failed, "system busy, refused on entry", "portal AccountBalance",
		notSent + "M-PESA is busy. Please try again in a few minutes.",
		notSentSW + "M-PESA ina shughuli nyingi. Tafadhali jaribu tena baada ya dakika chache.", true, ""},
	{Disbursement, "2001", Failed, "initiator's credentials wrong", "portal BusinessToCustomer; production results of 2023",
		settings, settingsSW, true, ""},
	{Disbursement, "2006", Failed, "account not in a state to pay", "portal BusinessToCustomer",
		notSent + "an M-PESA account may not pay or be paid at present.",
		notSentSW + "akaunti ya M-PESA haifanyi kazi kwa sasa.", true, ""},
	{Disbursement, "2028", Failed, "product not assigned to the business", "portal BusinessToCustomer; log",
		settings, settingsSW, true, ""},
	{Disbursement, "2040", Failed, "receiver not registered", "portal BusinessToCustomer; sandbox 2026-01",
		notSent + "the receiver's number has no M-PESA.",
		notSentSW + "nambari ya mpokeaji haijasajiliwa kwa M-PESA.", true, ""},
	{Disbursement, "8006", Failed, "initiator's credential locked", "portal BusinessToCustomer",
		settings, settingsSW, true, ""},
	{Disbursement, "100000000", Timeout, "cached by Safaricom, to be sent again", "integrators",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "SFC_IC0003", Failed, "receiver's number not known", "portal BusinessToCustomer; production",
		notSent + "the receiver's number is not known.",
		notSentSW + "nambari ya mpokeaji haijulikani.", true, ""},
	{Disbursement, "TP40153", Timeout, "operator may not use this API; at which stage is not known", "integrators",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, NotSent + ": " + SamePayout, Failed, "not sent: the same was asked for before, and may have been paid since", "this project",
		"This request was not completed: the same payout was asked for before. Please make sure before you send it again.",
		"Ombi hili halikukamilika: pesa hizo ziliombwa kutumwa awali. Tafadhali hakikisha kabla ya kuzituma tena.", false, ""},
	{Disbursement, "", Success, "nothing else is paid out", "this project",
		"Payout completed.", "Pesa zimetumwa.", false, ""},
	{Disbursement, "", Failed, "not sent, or refused by Safaricom at once", "this project",
		"Payout not completed. No money has moved, and you may try again.",
		"Pesa hazikutumwa. Unaweza kujaribu tena.", true, ""},
	{Disbursement, "", Timeout, "not listed", "this project",
		unsureOut, unsureSWO, false, ""},
	{Disbursement, "", pending, "no verdict yet", "this project",
		"The payout has been asked for. We are waiting for M-PESA to confirm it.",
		"Ombi la kutuma pesa limepokelewa. Tunasubiri uthibitisho wa M-PESA.", false, ""},
}

// Codes returns the table of result codes.
func Codes() []Code { return slices.Clone(codes[:]) }

// statusOf looks up a result code as resultCode returns it. A word beats the
// number, which is NoCode then.
func statusOf(k Kind, n int, word string) Status {
	want := cmp.Or(word, strconv.Itoa(n))
	for i := range codes {
		if codes[i].Kind == k && codes[i].Code == want {
			return codes[i].Status
		}
	}
	return Timeout
}

// Explain returns what to tell the person of a stored document: of its status, its
// result code and its reason, which begins with the code if that is a word, or says why
// nothing was sent. The status decides, and a code says more only if it has that status: a
// queue timeout under code 1 is not a balance that was too low. A status that nobody knows
// is explained like TIMEOUT.
func Explain(k Kind, status Status, code int, reason string) Code {
	want := strconv.Itoa(code)
	if code == NoCode {
		want, _, _ = strings.Cut(reason, ":")
		if want == NotSent {
			want, _, _ = strings.Cut(reason, ";")
		}
	}
	var row Code
	for _, c := range codes {
		switch {
		case c.Kind != k:
		case c.Status == status && c.Code == want:
			return c
		case c.Code == "" && (c.Status == status || c.Status == Timeout && row.Status == ""):
			row = c
		}
	}
	return row
}
