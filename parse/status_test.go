package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// answer is what Transaction Status says about a payout, with the parameters given.
func answer(parameters ...string) string {
	return `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"of-the-question",` +
		`"ConversationID":"AG_of_the_question","TransactionID":"UJC0000000","ResultParameters":{"ResultParameter":[` + strings.Join(parameters, ",") + `]}}}`
}

func p(key, value string) string { return fmt.Sprintf(`{"Key":%q,"Value":%q}`, key, value) }

// TestB2CStatus: what becomes of a payout is among the parameters, and so are its names.
func TestB2CStatus(t *testing.T) {
	paid := Verdict{Kind: Disbursement, Status: Success, Receipt: "UIR1HNMYXA", Amount: 300}
	with := func(change func(*Verdict)) Verdict {
		v := paid
		change(&v)
		return v
	}
	completed := []string{p("TransactionStatus", "Completed"), p("Amount", "300"), p("ReceiptNo", "UIR1HNMYXA")}
	more := func(parameters ...string) string { return answer(append(completed, parameters...)...) }
	failed := func(word string) Verdict {
		return Verdict{Kind: Disbursement, Status: Failed, Code: NoCode, Reason: word}
	}
	declined := failed("Declined")
	declined.Amount = 300
	for name, tt := range map[string]struct {
		body string
		want Verdict
	}{
		"completed":                {more(), paid},
		"with numbers":             {answer(p("TransactionStatus", "Completed"), `{"Key":"Amount","Value":300}`, p("ReceiptNo", "UIR1HNMYXA")), paid},
		"with its names":           {more(p("OriginatorConversationID", "mine"), p("ConversationID", "AG_1")), with(func(v *Verdict) { v.ID, v.Conversation = "mine", "AG_1" })},
		"with a time":              {more(p("FinalisedTime", "20260927200539")), with(func(v *Verdict) { v.At = time.Date(2026, 9, 27, 17, 5, 39, 0, time.UTC) })},
		"with a time that is none": {more(p("FinalisedTime", "soon")), with(func(v *Verdict) { v.Warning = "FinalisedTime: not a time" })},
		"a fraction":               {answer(p("TransactionStatus", "Completed"), p("Amount", "300.50"), p("ReceiptNo", "UIR1HNMYXA")), with(func(v *Verdict) { v.Warning = "Amount: fraction cut off" })},
		"the payee second":         {more(p("DebitPartyName", "600222 - Duka"), p("DebitPartyName", "254100000077 - HALIMA")), with(func(v *Verdict) { v.Receiver = "254100000077 - HALIMA" })},
		"the payee first":          {more(p("DebitPartyName", "0100000077 - HALIMA"), p("DebitPartyName", "600222 - Duka")), with(func(v *Verdict) { v.Receiver = "0100000077 - HALIMA" })},
		"the payee credited":       {more(p("DebitPartyName", "600222 - Duka"), p("CreditPartyName", "2541*****077 - HALIMA")), with(func(v *Verdict) { v.Receiver = "2541*****077 - HALIMA" })},
		"no payee":                 {more(p("DebitPartyName", "600222 - Duka"), p("DebitPartyName", "254100000077")), paid},
		"an entry without a value": {more(`{"Key":"TransactionReason"}`, `{"Key":"OriginatorConversationID"}`, `7`, `[]`), paid},
		"space around the word":    {answer(p("TransactionStatus", " Completed "), p("Amount", "300"), p("ReceiptNo", "UIR1HNMYXA")), paid},
		"a code as text":           {strings.Replace(more(), `"ResultCode":0`, `"ResultCode":"0"`, 1), paid},
		"declined":                 {answer(p("TransactionStatus", "Declined"), p("Amount", "300"), p("ReceiptNo", "UIR1HNMYXA"), p("FinalisedTime", "20260927200539")), declined},
		"cancelled":                {answer(p("TransactionStatus", "Cancelled")), failed("Cancelled")},
		"expired":                  {answer(p("TransactionStatus", "Expired")), failed("Expired")},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := B2CStatus([]byte(tt.body)); err != nil || got != tt.want {
				t.Errorf("B2CStatus(%s) =\n%+v, %v, want\n%+v", tt.body, got, err, tt.want)
			}
		})
	}
}

// TestB2CStatusSays: the sample in testdata, which Daraja's portal documents.
func TestB2CStatusSays(t *testing.T) {
	body, err := os.ReadFile("../testdata/b2c/txstatus.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := B2CStatus(body)
	want := Verdict{Kind: Disbursement, Status: Success, Receipt: "UIR1HNMYXA", Amount: 300, Receiver: "254100000077 - HALIMA NEKESA BARASA",
		At: time.Date(2026, 9, 27, 17, 5, 39, 0, time.UTC)}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// TestB2CStatusSaysNothing: which answers say nothing of the payout, and why.
func TestB2CStatusSaysNothing(t *testing.T) {
	code := func(code string) string { return strings.Replace(answer(), `"ResultCode":0`, `"ResultCode":`+code, 1) }
	for name, tt := range map[string]struct {
		body, says          string
		initiator, noAnswer bool
	}{
		"initiated":          {body: answer(p("TransactionStatus", "Initiated")), says: "TransactionStatus Initiated: not final"},
		"pending":            {body: answer(p("TransactionStatus", "Pending Authorized")), says: "TransactionStatus Pending Authorized: not final"},
		"a number as a word": {body: answer(p("TransactionStatus", "254700000011")), says: "TransactionStatus ?: not final"},
		"a long word":        {body: answer(p("TransactionStatus", strings.Repeat("x", 31))), says: "TransactionStatus ?: not final"},
		"no receipt":         {body: answer(p("TransactionStatus", "Completed"), p("Amount", "300")), says: "TransactionStatus Completed without receipt or amount: not final"},
		"no amount":          {body: answer(p("TransactionStatus", "Completed"), p("ReceiptNo", "UIR1HNMYXA")), says: "TransactionStatus Completed without receipt or amount: not final"},
		"a placeholder":      {body: answer(p("TransactionStatus", "Completed"), p("Amount", "300"), p("ReceiptNo", "UJC0000000")), says: "TransactionStatus Completed without receipt or amount: not final"},
		"not found":          {body: code("2032"), says: "ResultCode 2032: not final"},
		"a code that fails":  {body: code("1"), says: "ResultCode 1: not final"},
		"a word":             {body: code(`"SFC_IC0003"`), says: "ResultCode SFC_IC0003: not final"},
		"a number too long":  {body: code(`"254700000011"`), says: "ResultCode ?: not final"},
		"wrong password":     {body: code("2001"), says: "ResultCode 2001: the initiator is refused: not final", initiator: true},
		"no role":            {body: code("21"), says: "ResultCode 21: the initiator is refused: not final", initiator: true},
		"locked":             {body: code(`"8006"`), says: "ResultCode 8006: the initiator is refused: not final", initiator: true},
		"no word":            {body: answer(), says: "no TransactionStatus: no answer to the question: not final", noAnswer: true},
		"no code":            {body: `{"Result":{}}`, says: "no ResultCode, or to be continued: no answer to the question: not final", noAnswer: true},
		"to be continued":    {body: strings.Replace(answer(p("TransactionStatus", "Declined")), `"ResultType":0`, `"ResultType":1`, 1), says: "no ResultCode, or to be continued: no answer to the question: not final", noAnswer: true},
		"flat":               {body: `{"ResultCode":0}`, says: "no ResultCode, or to be continued: no answer to the question: not final", noAnswer: true},
		"nothing":            {body: ``, says: "not JSON at byte 0: no answer to the question: not final", noAnswer: true},
		"a page":             {body: `<html>`, says: "not JSON at byte 1: no answer to the question: not final", noAnswer: true},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := B2CStatus([]byte(tt.body))
			if v != (Verdict{}) || !errors.Is(err, ErrNotFinal) || err.Error() != tt.says {
				t.Errorf("%+v, %v, want %s", v, err, tt.says)
			}
			if notJSON := !json.Valid([]byte(tt.body)); errors.Is(err, ErrSyntax) != notJSON {
				t.Errorf("%v: not JSON %t, want %t", err, !notJSON, notJSON)
			}
			if errors.Is(err, ErrInitiator) != tt.initiator || errors.Is(err, ErrNoAnswer) != tt.noAnswer {
				t.Errorf("%v: initiator %t, no answer %t", err, errors.Is(err, ErrInitiator), errors.Is(err, ErrNoAnswer))
			}
		})
	}
}

func TestInitiatorRefused(t *testing.T) {
	for code, want := range map[int]bool{2001: true, 21: true, 8006: true, 0: false, 1: false, 11: false, 2006: false, 2040: false, NoCode: false} {
		if got := InitiatorRefused(code); got != want {
			t.Errorf("InitiatorRefused(%d) = %t, want %t", code, got, want)
		}
	}
}

// FuzzB2CStatus: whatever comes, only what is known of a payout is said of it.
func FuzzB2CStatus(f *testing.F) {
	for _, file := range append(payloads(f, "b2c"), payloads(f, "timeout")...) {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(answer(p("TransactionStatus", "Declined"))))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := B2CStatus(body)
		switch {
		case err != nil && (v != Verdict{} || !errors.Is(err, ErrNotFinal)):
			t.Errorf("%+v, %v", v, err)
		case err == nil && v.Status == Success && (v.Receipt == "" || v.Amount < 1 || v.Code != 0 || v.Reason != ""):
			t.Errorf("a SUCCESS says %+v", v)
		case err == nil && v.Status == Failed && (v.Receipt != "" || v.Amount != 0 || v.Code != NoCode || v.Reason == ""):
			t.Errorf("a FAILED says %+v", v)
		case err == nil && v.Status != Success && v.Status != Failed:
			t.Errorf("the status is %q", v.Status)
		}
	})
}
