package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// What Safaricom may call the payouts of these tests.
const (
	serverMadeID      = "53e3-4aa8-9fe8-8fb5e4092cdd3405976"
	otherConversation = "AG_20261125_0100101303822z9y8x7"
)

// send starts a payout of which Safaricom says no more than that it has it.
func (s *shop) send(id, phone string) (conversation string) {
	s.t.Helper()
	s.safaricom.Once(fakesafaricom.B2C, fakesafaricom.CallbackLost())
	if got := s.payOut("zawadi", salary(id, phone)); got.kind() != "PENDING" {
		s.t.Fatalf("the app is told %s", got.body)
	}
	s.forget()
	conversation, _ = s.payout(id).Data["conversationId"].(string)
	return conversation
}

// signedFor is the path that Safaricom is given for a payout, behind the secret.
func (s *shop) signedFor(purpose, id string) string {
	return strings.TrimPrefix(s.function.config.callbackURL(purpose, id), s.FunctionURL)
}

// b2cResult is the body of a result, with what was paid out for a SUCCESS.
func b2cResult(originator, conversation string, code int, receipt string) string {
	parameters := ""
	if code == 0 {
		parameters = fmt.Sprintf(`,"ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":500},{"Key":"TransactionReceipt","Value":%q}]}`, receipt)
	}
	return fmt.Sprintf(`{"Result":{"ResultType":0,"ResultCode":%d,"ResultDesc":"what was said of %d","OriginatorConversationID":%q,"ConversationID":%q,"TransactionID":"UKP0000000"%s}}`,
		code, code, originator, conversation, parameters)
}

// statusAnswer is the body of what Transaction Status answers. The outer ids are the
// question's.
func statusAnswer(word, receipt, amount string, more ...string) string {
	parameters := []string{
		`{"Key":"DebitPartyName","Value":"600997 - Shop"}`, `{"Key":"DebitPartyName","Value":"254700000011 - Jane WANJIKU"}`,
		`{"Key":"TransactionReason"}`, `{"Key":"FinalisedTime","Value":"20261125140800"}`,
		fmt.Sprintf(`{"Key":"TransactionStatus","Value":%q}`, word), fmt.Sprintf(`{"Key":"Amount","Value":%q}`, amount),
	}
	if receipt != "" {
		parameters = append(parameters, fmt.Sprintf(`{"Key":"ReceiptNo","Value":%q}`, receipt))
	}
	return fmt.Sprintf(`{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":%q,`+
		`"ConversationID":%q,"TransactionID":"UKP0000000","ResultParameters":{"ResultParameter":[%s]}}}`,
		"1111-of-the-question", otherConversation, strings.Join(append(parameters, more...), ","))
}

// innerIDs are those of the payout in such an answer.
func innerIDs(originator, conversation string) string {
	return fmt.Sprintf(`{"Key":"OriginatorConversationID","Value":%q},{"Key":"ConversationID","Value":%q}`, originator, conversation)
}

// kept holds a payout to what it was.
func (s *shop) kept(was fakeappwrite.Document) {
	s.t.Helper()
	if is := s.payout(was.ID); !reflect.DeepEqual(is, was) {
		s.t.Errorf("the payout has become\n%v, want it left\n%v", is, was)
	}
}

// TestPayoutResults: what the function gives to Safaricom is what it accepts, in whatever
// order and under whatever name it comes.
func TestPayoutResults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault   fakesafaricom.Fault
		faulty  bool
		prepare func(*fakesafaricom.Safaricom)
	}{
		"once":             {},
		"twice":            {fault: fakesafaricom.CallbackTwice(), faulty: true},
		"before the ack":   {fault: fakesafaricom.CallbackBeforeAck(), faulty: true},
		"late":             {fault: fakesafaricom.CallbackLate(time.Hour), faulty: true},
		"the ack lost":     {fault: fakesafaricom.LostAck(), faulty: true},
		"with another id":  {prepare: func(s *fakesafaricom.Safaricom) { s.ServerMadeIDs = true }},
		"both":             {fault: fakesafaricom.LostAck(), faulty: true, prepare: func(s *fakesafaricom.Safaricom) { s.ServerMadeIDs = true }},
		"another id first": {fault: fakesafaricom.CallbackBeforeAck(), faulty: true, prepare: func(s *fakesafaricom.Safaricom) { s.ServerMadeIDs = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			if tt.prepare != nil {
				tt.prepare(s.safaricom)
			}
			if tt.faulty {
				s.safaricom.Once(fakesafaricom.B2C, tt.fault)
			}
			s.payOut("zawadi", salary(payoutA, phoneA))
			s.later(2 * time.Hour)
			s.wantPayout(payoutA, "SUCCESS")
			d := s.payout(payoutA)
			paid := s.paidOut(payoutA)
			if len(paid) != 1 || d.Data["receipt"] != paid[0].Receipt || d.Data["originatorConversationId"] != payoutA || d.Data["nextCheckAt"] != nil {
				t.Errorf("stored is %v, and paid out were %v", d.Data, paid)
			}
			if conversation, _ := d.Data["conversationId"].(string); !strings.HasPrefix(conversation, "AG_") {
				t.Errorf("conversationId = %q", conversation)
			}
			if got := testbed.Readers(d); got != "user:zawadi" || len(s.Stored()) != 1 {
				t.Errorf("it is read by %q, and %d documents are stored", got, len(s.Stored()))
			}
		})
	}
}

// TestPayoutNames: which result is a payout's. Only where both names differ from those
// that are stored is it another's.
func TestPayoutNames(t *testing.T) {
	for name, tt := range map[string]struct {
		originator, conversation string // "same" is the payout's own
		unnamed                  bool   // the acknowledgement was lost
		mismatch                 bool
	}{
		"both its own":                        {payoutA, "same", false, false},
		"another conversation":                {payoutA, otherConversation, false, false},
		"a server-made id":                    {serverMadeID, "same", false, false},
		"a server-made id, no conversation":   {serverMadeID, "", false, false},
		"a server-made id, and no ack":        {serverMadeID, otherConversation, true, false},
		"both another's":                      {serverMadeID, otherConversation, false, true},
		"another payout's, with its own name": {payoutB, otherConversation, false, true},
	} {
		for _, answered := range []bool{false, true} { // by Transaction Status
			t.Run(fmt.Sprintf("%s, answered %t", name, answered), func(t *testing.T) {
				t.Parallel()
				s := newPayer(t)
				conversation := s.send(payoutA, phoneA)
				if tt.unnamed {
					s.patchPayout(payoutA, `{"conversationId":null}`)
				}
				if tt.conversation == "same" {
					tt.conversation = conversation
				}
				was := s.payout(payoutA)
				target, body := s.signedFor(forResult, payoutA), b2cResult(tt.originator, tt.conversation, 0, paidReceipt)
				if answered {
					target, body = s.signedFor(forStatus, payoutA), statusAnswer("Completed", paidReceipt, "500", innerIDs(tt.originator, tt.conversation))
				}
				s.forget()
				s.post(target, body)
				if !tt.mismatch {
					s.wantPayout(payoutA, "SUCCESS")
					want := conversation
					if tt.unnamed {
						want = tt.conversation
					}
					if d := s.payout(payoutA).Data; d["conversationId"] != want || d["originatorConversationId"] != payoutA {
						t.Errorf("it is named %v and %v, want %s", d["originatorConversationId"], d["conversationId"], want)
					}
					s.wantNoLine()
					return
				}
				s.kept(was)
				s.wantLine("mismatch route=b2c/", "id="+payoutA+" stored=")
				if got := s.other(payoutA).Data["receipt"]; got != paidReceipt {
					t.Errorf("the document beside has the receipt %v", got)
				}
			})
		}
	}
}

// TestPayoutTimeout: a queue timeout means that nobody knows, whatever its body is. It is
// never more than that, and never less.
func TestPayoutTimeout(t *testing.T) {
	bodies := map[string]string{
		"an envelope":       b2cResult(payoutA, otherConversation, 1, ""),
		"one that says 0":   b2cResult(payoutA, otherConversation, 0, paidReceipt),
		"flat":              fmt.Sprintf(`{"ResultType":1,"ResultCode":1,"ResultDesc":"timed out","OriginatorConversationID":%q,"ConversationID":"x"}`, payoutA),
		"without ids":       `{"ResultType":1,"ResultDesc":"timed out"}`,
		"an empty object":   `{}`,
		"nothing":           ``,
		"no JSON":           `<html>timeout</html>`,
		"a list":            `[]`,
		"half an envelope":  `{"Result":{"ResultType":0`,
		"with other ids":    `{"OriginatorConversationID":"` + serverMadeID + `"}`,
		"of another payout": `{}`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			was := s.payout(payoutA)
			s.post(s.signedFor(forTimeout, payoutA), body)
			d := s.payout(payoutA)
			if _, coded := d.Data["resultCode"].(int64); d.Data["status"] != "TIMEOUT" || !coded || d.Data["failureReason"] == nil ||
				d.Data["nextCheckAt"] != was.Data["nextCheckAt"] || d.Data["receipt"] != nil {
				t.Errorf("stored is %v", d.Data)
			}
			s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, otherConversation, 0, paidReceipt))
			s.wantPayout(payoutA, "SUCCESS")
			was = s.payout(payoutA)
			s.post(s.signedFor(forTimeout, payoutA), body)
			s.kept(was)
			if len(s.Stored()) != 1 {
				t.Errorf("stored is %v", s.Stored())
			}
		})
	}
	t.Run("unsigned, without ids", func(t *testing.T) {
		t.Parallel()
		s := newPayer(t)
		s.send(payoutA, phoneA)
		was := s.payout(payoutA)
		for _, body := range []string{``, `{}`} {
			if r := s.Send("POST", "/"+doorSecret+"/b2c/timeout?id="+payoutA, body); r.Status != 400 {
				t.Errorf("%q: %d, want 400", body, r.Status)
			}
		}
		s.kept(was)
	})
}

// TestPayoutForged has whatever a stranger may post about a payout that was made, or is
// under way. Nothing changes, and the error log says so.
func TestPayoutForged(t *testing.T) {
	for _, made := range []bool{false, true} {
		s := newPayer(t)
		s.send(payoutA, phoneA)
		if made {
			s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, otherConversation, 0, paidReceipt))
		}
		was := s.payout(payoutA)
		sig := func(purpose, id string) string {
			_, query, _ := strings.Cut(s.signedFor(purpose, id), "?")
			return "?" + query
		}
		secret := "/" + doorSecret
		for name, tt := range map[string]struct {
			target, body string
			status       int
			line         string
		}{
			"unsigned, failed, with the secret":    {secret + "/b2c/result?uid=amina", b2cResult(payoutA, "x", 1, ""), 200, "odd route=b2c/result"},
			"unsigned, paid, with the secret":      {secret + "/b2c/result?uid=amina", b2cResult(payoutA, "x", 0, otherReceipt), 200, "odd route=b2c/result"},
			"unsigned, timed out, with the secret": {secret + "/b2c/timeout", b2cResult(payoutA, "x", 1, ""), 200, "odd route=b2c/timeout"},
			"unsigned, failed":                     {"/b2c/result", b2cResult(payoutA, "x", 1, ""), 404, "refused "},
			"a signature of another route":         {"/b2c/result" + sig(forTimeout, payoutA), b2cResult(payoutA, "x", 1, ""), 404, "refused "},
			"a signature of an answer":             {"/b2c/result" + sig(forStatus, payoutA), b2cResult(payoutA, "x", 1, ""), 404, "refused "},
			"a signature of a payment":             {"/b2c/result" + sig(forCallback, payoutA), b2cResult(payoutA, "x", 1, ""), 404, "refused "},
			"a signature of another payout":        {"/b2c/result?id=" + payoutA + sig(forResult, payoutB)[len("?id=")+36:], b2cResult(payoutA, "x", 1, ""), 404, "refused "},
			"an answer without a signature":        {secret + "/b2c/status?id=" + payoutA, statusAnswer("Declined", "", "500"), 404, "refused "},
			"an answer signed for a result":        {"/b2c/status" + sig(forResult, payoutA), statusAnswer("Declined", "", "500"), 404, "refused "},
		} {
			t.Run(fmt.Sprintf("%s, made %t", name, made), func(t *testing.T) {
				s.forget()
				if r := s.Send("POST", tt.target, tt.body); r.Status != tt.status {
					t.Errorf("%d %s, want %d", r.Status, r.Body, tt.status)
				}
				s.kept(was)
				if n := len(s.Stored()); n != 1 {
					t.Errorf("%d documents are stored", n)
				}
				s.wantLine(tt.line)
			})
		}
	}
}

// TestPayoutAnswers has what Transaction Status may answer about a payout that is under
// way, and what is known then.
func TestPayoutAnswers(t *testing.T) {
	failed := func(code int) string { return b2cResult("x", "y", code, "") }
	for name, tt := range map[string]struct {
		body string
		want string // PENDING if empty
		line string // in the error log; "" for none
	}{
		"completed":                      {body: statusAnswer("Completed", paidReceipt, "500"), want: "SUCCESS"},
		"completed, with cents":          {body: statusAnswer("Completed", paidReceipt, "500.00"), want: "SUCCESS"},
		"completed, of less":             {body: statusAnswer("Completed", paidReceipt, "499"), line: "paid were 499 shillings, and asked for were 500"},
		"completed, of more":             {body: statusAnswer("Completed", paidReceipt, "5000"), line: "paid were 5000 shillings"},
		"completed, of nothing":          {body: statusAnswer("Completed", paidReceipt, "")},
		"completed, without a receipt":   {body: statusAnswer("Completed", "", "500")},
		"completed, with a placeholder":  {body: statusAnswer("Completed", "UKP0000000", "500")},
		"completed, with a strange one":  {body: statusAnswer("Completed", "not a receipt", "500")},
		"declined":                       {body: statusAnswer("Declined", "", "500"), want: "FAILED Declined"},
		"cancelled":                      {body: statusAnswer("Cancelled", "", "500"), want: "FAILED Cancelled"},
		"expired":                        {body: statusAnswer("Expired", "", "500"), want: "FAILED Expired"},
		"initiated":                      {body: statusAnswer("Initiated", "", "500")},
		"authorized":                     {body: statusAnswer("Authorized", "", "500")},
		"pending":                        {body: statusAnswer("Pending Authorized", "", "500")},
		"a word that nobody knows":       {body: statusAnswer("Reversed", paidReceipt, "500")},
		"in small letters":               {body: statusAnswer("completed", paidReceipt, "500")},
		"no word":                        {body: statusAnswer("", paidReceipt, "500")},
		"not found":                      {body: failed(2032)},
		"failed":                         {body: failed(1)},
		"a code that means FAILED":       {body: failed(2040)},
		"the initiator refused":          {body: failed(2001), line: `reason="credentials" error="Safaricom refuses DARAJA_INITIATOR`},
		"the initiator locked":           {body: failed(8006), line: `reason="credentials"`},
		"a word as a code":               {body: strings.Replace(failed(1), `"ResultCode":1`, `"ResultCode":"SFC_IC0003"`, 1)},
		"to be continued":                {body: strings.Replace(statusAnswer("Completed", paidReceipt, "500"), `"ResultType":0`, `"ResultType":1`, 1)},
		"without parameters":             {body: failed(0)},
		"a queue timeout":                {body: `{"ResultType":1,"ResultCode":1,"ResultDesc":"timed out"}`},
		"nothing":                        {body: ``},
		"no JSON":                        {body: `<html></html>`},
		"twice the word, the first wins": {body: statusAnswer("Completed", paidReceipt, "500", `{"Key":"TransactionStatus","Value":"Declined"}`), want: "SUCCESS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			was := s.payout(payoutA)
			s.post(s.signedFor(forStatus, payoutA), tt.body)
			if tt.want == "" {
				s.kept(was)
			} else {
				s.wantPayout(payoutA, tt.want)
			}
			if len(s.Stored()) != 1 || len(s.Appwrite.Waiting()) != 0 {
				t.Errorf("stored is %v, and %d executions wait", s.Stored(), len(s.Appwrite.Waiting()))
			}
			if errors := s.errorLog(); !strings.Contains(errors, tt.line) || tt.line == "" && errors != "" {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
			switch d := s.payout(payoutA).Data; tt.want {
			case "SUCCESS":
				if d["receipt"] != paidReceipt || d["amount"] != int64(500) || d["resultCode"] != int64(0) || d["nextCheckAt"] != nil ||
					d["mpesaTimestamp"] != "2026-11-25T11:08:00Z" || d["receiverName"] != "254700000011 - Jane WANJIKU" {
					t.Errorf("stored is %v", d)
				}
			case "":
			default:
				if d["resultCode"] != int64(-1) || d["receipt"] != nil || d["amount"] != nil || d["nextCheckAt"] != nil {
					t.Errorf("stored is %v", d)
				}
			}
		})
	}
}

// TestPayoutAnswersLate: an answer never lowers a verdict. What contradicts it is for a
// person to look into.
func TestPayoutAnswersLate(t *testing.T) {
	for name, tt := range map[string]struct {
		result, answer string
		want           string
		line           string
	}{
		"paid, then declined":     {b2cResult(payoutA, "x", 0, paidReceipt), statusAnswer("Declined", "", "500"), "SUCCESS", "UNRESOLVED route=b2c/status id=" + payoutA},
		"paid, then the same":     {b2cResult(payoutA, "x", 0, paidReceipt), statusAnswer("Completed", paidReceipt, "500"), "SUCCESS", ""},
		"paid, then by another":   {b2cResult(payoutA, "x", 0, paidReceipt), statusAnswer("Completed", otherReceipt, "500"), "SUCCESS", "CHARGED-TWICE route=b2c/status id=" + payoutA},
		"failed, then completed":  {b2cResult(payoutA, "x", 1, ""), statusAnswer("Completed", paidReceipt, "500"), "SUCCESS", ""},
		"unknown, then declined":  {b2cResult(payoutA, "x", 17, ""), statusAnswer("Declined", "", "500"), "FAILED Declined", ""},
		"unknown, then completed": {b2cResult(payoutA, "x", 17, ""), statusAnswer("Completed", paidReceipt, "500"), "SUCCESS", ""},
		"paid, then unknown":      {b2cResult(payoutA, "x", 0, paidReceipt), statusAnswer("Initiated", "", "500"), "SUCCESS", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.post(s.signedFor(forResult, payoutA), tt.result)
			s.forget()
			s.post(s.signedFor(forStatus, payoutA), tt.answer)
			s.wantPayout(payoutA, tt.want)
			if errors := s.errorLog(); !strings.Contains(errors, tt.line) || tt.line == "" && errors != "" {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
		})
	}
	t.Run("declined, then paid after all", func(t *testing.T) {
		s := newPayer(t)
		s.send(payoutA, phoneA)
		s.post(s.signedFor(forStatus, payoutA), statusAnswer("Declined", "", "500"))
		s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, "x", 0, paidReceipt))
		s.wantPayout(payoutA, "SUCCESS")
	})
	t.Run("completed, then a result that it failed", func(t *testing.T) {
		s := newPayer(t)
		s.send(payoutA, phoneA)
		s.post(s.signedFor(forStatus, payoutA), statusAnswer("Completed", paidReceipt, "500"))
		s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, "x", 1, ""))
		s.wantPayout(payoutA, "SUCCESS")
		s.wantLine("UNRESOLVED route=b2c/result id=" + payoutA)
	})
}

// TestOddAnswers: what is tolerated of a callback is tolerated of an answer about a payout.
func TestOddAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		body, want, line string
	}{
		"trailing bytes":                {statusAnswer("Completed", paidReceipt, "500") + "\n--boundary", "SUCCESS", "after the callback: bytes=10"},
		"a byte order mark":             {"\uFEFF" + statusAnswer("Declined", "", "500"), "FAILED Declined", ""},
		"no JSON at all":                {"<html></html>", "PENDING", ""},
		"not final, and trailing bytes": {statusAnswer("Initiated", "", "500") + "x", "PENDING", "after the callback: bytes=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.forget()
			s.post(s.signedFor(forStatus, payoutA), tt.body)
			s.wantPayout(payoutA, tt.want)
			if tt.line == "" {
				s.wantNoLine()
			} else {
				s.wantLine(tt.line)
			}
		})
	}
}

// nextPayoutCheck is when a payout is to be asked about, counted from its creation; -1 for
// never.
func (s *shop) nextPayoutCheck(id string) time.Duration {
	s.t.Helper()
	d := s.payout(id)
	text, _ := d.Data["nextCheckAt"].(string)
	if text == "" {
		return -1
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		s.t.Fatal(err)
	}
	return at.Sub(d.CreatedAt).Round(time.Second)
}

// sweepFor has the sweep run for so long, every five minutes, and after two hours every
// half an hour, which is often enough then.
func (s *shop) sweepFor(d time.Duration) {
	began := s.Clock.Now()
	for passed := time.Duration(0); passed < d; passed = s.Clock.Now().Sub(began) {
		step := 5 * time.Minute
		if passed > 2*time.Hour {
			step = 30 * time.Minute
		}
		s.later(step)
		s.sweep()
		s.later(10 * time.Second)
	}
}

// TestPayoutSweep has payouts whose result never comes. The sweep asks, and the answer
// comes by itself.
func TestPayoutSweep(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(*fakesafaricom.Safaricom)
		fault   fakesafaricom.Fault
		want    string
		checks  int // at most, before it is known
	}{
		"made":                        {fault: fakesafaricom.CallbackLost(), want: "SUCCESS", checks: 1},
		"made, timed out":             {fault: fakesafaricom.QueueTimeout(true), want: "SUCCESS", checks: 1},
		"not made, timed out":         {fault: fakesafaricom.QueueTimeout(false), want: "FAILED Expired", checks: 1},
		"made, known by another name": {prepare: func(s *fakesafaricom.Safaricom) { s.HideOwnIDs = true }, fault: fakesafaricom.CallbackLost(), want: "SUCCESS", checks: 2},
		"made, under server-made ids": {prepare: func(s *fakesafaricom.Safaricom) { s.ServerMadeIDs = true }, fault: fakesafaricom.CallbackLost(), want: "SUCCESS", checks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			if tt.prepare != nil {
				tt.prepare(s.safaricom)
			}
			s.safaricom.Once(fakesafaricom.B2C, tt.fault)
			s.payOut("zawadi", salary(payoutA, phoneA))
			s.later(89 * time.Second)
			if told := s.sweep(); told.Due != 0 {
				t.Errorf("before it is due, the sweep says %+v", told)
			}
			s.later(2 * time.Second)
			if told := s.sweep(); told.Due != 1 || told.Asked != 1 {
				t.Errorf("the sweep says %+v", told)
			}
			if got := s.nextPayoutCheck(payoutA); got != 5*time.Minute {
				t.Errorf("the next check is at %v", got)
			}
			s.later(time.Minute)
			for range tt.checks - 1 {
				s.sweepFor(5 * time.Minute)
			}
			s.wantPayout(payoutA, tt.want)
			if n := len(s.safaricom.Calls(fakesafaricom.Status)); n > tt.checks {
				t.Errorf("Safaricom was asked %d times, want %d", n, tt.checks)
			}
			if got := s.nextPayoutCheck(payoutA); got != -1 {
				t.Errorf("the next check is at %v, want none", got)
			}
			if len(s.Stored()) != 1 {
				t.Errorf("stored is %v", s.Stored())
			}
		})
	}
}

// TestPayoutGivenUp: when the questions end, and that a person is told.
func TestPayoutGivenUp(t *testing.T) {
	const hour = time.Hour
	for name, tt := range map[string]struct {
		prepare func(*shop)
		until   time.Duration // before then it is asked about
		at      time.Duration // and from then on not
	}{
		"Safaricom does not know it": {func(s *shop) { s.safaricom.HideOwnIDs = true; s.patchPayout(payoutA, `{"conversationId":null}`) }, 23 * hour, 25 * hour},
		"answers never come":         {func(s *shop) { s.safaricom.Always(fakesafaricom.Status, fakesafaricom.CallbackLost()) }, 71 * hour, 73 * hour},
		"questions time out":         {func(s *shop) { s.safaricom.Always(fakesafaricom.Status, fakesafaricom.QueueTimeout(true)) }, 71 * hour, 73 * hour},
		"questions are refused": {func(s *shop) {
			s.safaricom.Always(fakesafaricom.Status, fakesafaricom.Error(500, "500.003.1001", "Internal Server Error"))
		},
			71 * hour, 73 * hour},
		"the initiator is wrong": {func(s *shop) { s.employ(fakesafaricom.Merchant{InitiatorPassword: "changed"}) }, 71 * hour, 73 * hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := payer(openShop(t)) // it lets days pass
			s.send(payoutA, phoneA)
			tt.prepare(s)
			s.sweepFor(tt.until)
			if got := s.nextPayoutCheck(payoutA); got == -1 {
				t.Errorf("after %v it is not asked about any more", tt.until)
			}
			s.wantPayout(payoutA, "PENDING")
			s.Logged()
			s.sweepFor(tt.at - tt.until)
			s.wantPayout(payoutA, "TIMEOUT Safaricom has not said what became of it")
			if got := s.nextPayoutCheck(payoutA); got != -1 {
				t.Errorf("the next check is at %v, want none", got)
			}
			s.wantLine("UNRESOLVED route=", "id="+payoutA)
			asked := len(s.safaricom.Calls(fakesafaricom.Status))
			s.sweepFor(9 * hour)
			if now := len(s.safaricom.Calls(fakesafaricom.Status)); now != asked {
				t.Errorf("Safaricom was asked %d times more", now-asked)
			}
			// What comes after all is taken.
			s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, "x", 0, paidReceipt))
			s.wantPayout(payoutA, "SUCCESS")
		})
	}
}

// TestPayoutInterrupted: a claim that was never marked as sent was not.
func TestPayoutInterrupted(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "replace", Reply: fakeappwrite.HTML(503)})
	s.payOut("zawadi", salary(payoutA, phoneA))
	s.Appwrite.Heal()
	s.wantPayout(payoutA, "PENDING NOT_SENT: interrupted")
	s.later(91 * time.Second)
	if told := s.sweep(); told.NotSent != 1 || told.Asked != 0 {
		t.Errorf("the sweep says %+v", told)
	}
	s.wantPayout(payoutA, "FAILED NOT_SENT: interrupted")
	if sent := s.sent(); len(sent) != 0 {
		t.Errorf("sent were %v", sent)
	}
}

// TestSweepBothKinds: payments and payouts are asked about side by side, each with its own
// keys, and the one does not end the other.
func TestSweepBothKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		set                [2]string
		payment, disbursed string
		line               string
	}{
		"both":                       {payment: "SUCCESS", disbursed: "SUCCESS"},
		"the payments' keys refused": {set: [2]string{"DARAJA_CONSUMER_SECRET", "wrong"}, payment: "PENDING", disbursed: "SUCCESS", line: `reason="credentials"`},
		"the payouts' keys refused":  {set: [2]string{"DARAJA_B2C_CONSUMER_SECRET", "wrong"}, payment: "SUCCESS", disbursed: "PENDING", line: `reason="credentials"`},
		"payouts half set up":        {set: [2]string{"DARAJA_INITIATOR", ""}, payment: "SUCCESS", disbursed: "PENDING", line: "DARAJA_INITIATOR is missing"},
		"payouts stopped":            {set: [2]string{"DARAJA_PAYOUT_MAX", "0"}, payment: "SUCCESS", disbursed: "SUCCESS"},
		"payments, and a typo":       {set: [2]string{"DARAJA_UNVERIFIED_PUSH", "yes"}, payment: "SUCCESS", disbursed: "SUCCESS"},
		"payments half set up":       {set: [2]string{"DARAJA_PASSKEY", ""}, payment: "PENDING", disbursed: "SUCCESS", line: "DARAJA_PASSKEY is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.lose(first, phoneB, fakesafaricom.Pays)
			s.send(payoutA, phoneA)
			if tt.set[0] != "" {
				s.Set(tt.set[0], tt.set[1])
			}
			s.later(2 * time.Minute)
			s.sweep()
			s.later(time.Minute)
			s.wantState(first, tt.payment)
			s.wantPayout(payoutA, tt.disbursed)
			errors := s.errorLog()
			if (strings.Contains(errors, "odd route=sweep id="+first)) != (tt.payment == "SUCCESS") { // which has no receipt yet
				t.Errorf("the error log is %q, and the payment %s", errors, tt.payment)
			}
			if n := strings.Count(errors, "failed "); !strings.Contains(errors, tt.line) || (n == 0) != (tt.line == "") {
				t.Errorf("the error log is %q, want %q in it", errors, tt.line)
			}
		})
	}
	t.Run("cost", func(t *testing.T) {
		s := newPayer(t)
		s.Operations()
		s.sweep()
		s.wantCalls("list list")
		only := newShop(t)
		only.Operations()
		only.sweep()
		only.wantCalls("list")
	})
}

// checkPayoutAs has a user's app ask what became of a payout.
func (s *shop) checkPayoutAs(user, id string) reply {
	return s.execute("/b2c/check", fmt.Sprintf(`{"id":%q}`, id), "X-Appwrite-Session", sessionOf(user))
}

// TestPayoutCheck: an app may ask about its user's payout. What stands is the answer, and
// what Safaricom says comes to the document.
func TestPayoutCheck(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	conversation := s.send(payoutA, phoneA)
	asked := func() int { return len(s.safaricom.Calls(fakesafaricom.Status)) }
	s.later(11 * time.Second)
	s.Operations()
	if got, want := s.checkPayoutAs("zawadi", payoutA), fmt.Sprintf(`{"id":%q,"status":"PENDING","conversationId":%q,"customerMessage":""}`, payoutA, conversation); got.body != want || asked() != 1 {
		t.Errorf("%d %s, want %s; Safaricom was asked %d times", got.status, got.body, want, asked())
	}
	s.wantCalls("execute account get replace")
	s.checkPayoutAs("zawadi", payoutA)
	if asked() != 1 {
		t.Errorf("Safaricom was asked %d times, want once", asked())
	}
	s.later(time.Minute)
	s.wantPayout(payoutA, "SUCCESS")
	if got := s.checkPayoutAs("zawadi", payoutA); got.kind() != "SUCCESS" || asked() != 1 {
		t.Errorf("%d %s; Safaricom was asked %d times", got.status, got.body, asked())
	}
	s.signIn(fakeappwrite.User{ID: "juma", EmailVerification: true, Labels: []string{"payouts"}})
	for name, tt := range map[string]struct {
		user, id, want string
		status         int
	}{
		"another user's": {"juma", payoutA, `{"error":{"type":"not_found","message":"you have no payout with this id","claimed":false}}`, 404},
		"none":           {"zawadi", payoutB, `{"error":{"type":"not_found","message":"you have no payout with this id","claimed":false}}`, 404},
		"a payment":      {"zawadi", first, `{"error":{"type":"not_found","message":"you have no payout with this id","claimed":false}}`, 404},
		"no id":          {"zawadi", "../x", `{"error":{"type":"invalid_argument","message":"some fields are wrong","claimed":false,"fields":{"id":"` + idRule + `"}}}`, 400},
	} {
		if got := s.checkPayoutAs(tt.user, tt.id); got.status != tt.status || got.body != tt.want {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, tt.status, tt.want)
		}
	}
	if got := s.execute("/b2c/check", `{"id":"`+payoutA+`"}`); got.status != 401 {
		t.Errorf("a guest: %d %s", got.status, got.body)
	}
	s.Set("DARAJA_PAYOUT_MAX", "")
	if got := s.checkPayoutAs("zawadi", payoutA); got.kind() != "SUCCESS" {
		t.Errorf("without ceilings: %d %s", got.status, got.body)
	}
	s.Set("DARAJA_INITIATOR", "")
	if got := s.checkPayoutAs("zawadi", payoutA); got.status != 501 {
		t.Errorf("not set up: %d %s", got.status, got.body)
	}
}

// TestPayoutUnsettled: what can be neither stored nor queued is in the error log, and
// settled from it by the rule of its route.
func TestPayoutUnsettled(t *testing.T) {
	for name, tt := range map[string]struct {
		purpose, body string
		outcome       settle.Outcome
		want          string
	}{
		"a result":                  {forResult, b2cResult(serverMadeID, "", 0, paidReceipt), settle.Replaced, "SUCCESS"},
		"a timeout":                 {forTimeout, ``, settle.Replaced, "TIMEOUT timed out in Safaricom's queue"},
		"an answer":                 {forStatus, statusAnswer("Completed", paidReceipt, "500"), settle.Replaced, "SUCCESS"},
		"an answer of other amount": {forStatus, statusAnswer("Completed", paidReceipt, "50"), settle.NotFinal, "PENDING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
			if got := s.Post(s.signedFor(tt.purpose, payoutA), tt.body); got != 503 {
				t.Fatalf("reply %d, want 503", got)
			}
			s.Appwrite.Heal()
			_, lines := s.Logged()
			i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, settle.Mark) })
			if i < 0 {
				t.Fatalf("the error log is %q", lines)
			}
			if got, err := s.function.Replay(testbed.FunctionKey, lines[i]); err != nil || got.Outcome != tt.outcome {
				t.Errorf("replay of %q: %s, %v, want %s", lines[i], got.Outcome, err, tt.outcome)
			}
			s.wantPayout(payoutA, tt.want)
			if len(s.Stored()) != 1 {
				t.Errorf("stored is %v", s.Stored())
			}
		})
	}
	t.Run("its name", func(t *testing.T) {
		t.Parallel()
		s := newPayer(t)
		s.safaricom.Once(fakesafaricom.B2C, fakesafaricom.CallbackLost())
		s.setSpoil(func(n int, safaricom bool, carryOut func(), w http.ResponseWriter, r *http.Request) bool {
			if n < 9 {
				return false
			}
			fakeappwrite.HTML(503)(w, r)
			return true
		})
		s.payOut("zawadi", salary(payoutA, phoneA))
		s.setSpoil(nil)
		_, lines := s.Logged()
		if len(lines) == 0 || !strings.HasPrefix(lines[0], settle.Mark+`{"route":"b2c/pay","id":"`+payoutA+`","started":true,"data":{"conversationId":"AG_`) {
			t.Fatalf("the error log is %q", lines)
		}
		for _, want := range []settle.Outcome{settle.Replaced, settle.Duplicate} {
			if got, err := s.function.Replay(testbed.FunctionKey, lines[0]); err != nil || got.Outcome != want {
				t.Errorf("replay: %s, %v, want %s", got.Outcome, err, want)
			}
		}
		if name, _ := s.payout(payoutA).Data["conversationId"].(string); !strings.Contains(lines[0], name) || name == "" {
			t.Errorf("conversationId = %q", name)
		}
	})
}

// TestPayoutQueue: a result that cannot be stored waits in the queue with its signature,
// and so does a timeout without a body.
func TestPayoutQueue(t *testing.T) {
	for purpose, body := range map[string]string{forResult: b2cResult(payoutA, "x", 0, paidReceipt), forTimeout: "", forStatus: statusAnswer("Completed", paidReceipt, "500")} {
		t.Run(purpose, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: "replace", Reply: fakeappwrite.HTML(503)})
			s.post(s.signedFor(purpose, payoutA), body)
			if n := len(s.Appwrite.Waiting()); n != 3 {
				t.Errorf("%d executions wait, want 3", n)
			}
			s.wantPayout(payoutA, "PENDING")
			s.Appwrite.Heal()
			s.Later(5 * time.Minute)
			s.wantPayout(payoutA, map[string]string{forTimeout: "TIMEOUT timed out in Safaricom's queue"}[purpose]+map[bool]string{true: "SUCCESS"}[purpose != forTimeout])
		})
	}
}

// TestPayoutDeleted: what becomes of a payout that somebody has deleted is kept, and
// nobody reads it.
func TestPayoutDeleted(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.send(payoutA, phoneA)
	s.writeTo("disbursements", "DELETE", "/"+payoutA, "")
	s.post(s.signedFor(forResult, payoutA), b2cResult(serverMadeID, "x", 0, paidReceipt))
	if d := s.payout(payoutA); d.Data["status"] != "SUCCESS" || testbed.Readers(d) != "" {
		t.Errorf("stored is %v, read by %q", d.Data, testbed.Readers(d))
	}
	s.wantLine("odd route=b2c/result id="+payoutA, "there is no document")
}

// TestQuestionTimedOut: a question waits too long in Safaricom's queue. What is posted then
// says nothing, whatever it looks like: neither of the payout nor of the initiator.
func TestQuestionTimedOut(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.send(payoutA, phoneA)
	s.later(25 * time.Hour)
	s.safaricom.Once(fakesafaricom.Status, fakesafaricom.QueueTimeout(true))
	if told := s.sweep(); told.Asked != 1 {
		t.Fatalf("the sweep says %+v", told)
	}
	s.function.initiator.refused(s.Clock.Now())
	s.later(time.Minute)
	calls := s.safaricom.Calls(fakesafaricom.Status)
	var sent struct{ QueueTimeOutURL string }
	if err := json.Unmarshal(calls[len(calls)-1].Body, &sent); err != nil {
		t.Fatal(err)
	}
	s.post(strings.TrimPrefix(sent.QueueTimeOutURL, s.FunctionURL), b2cResult("x", "y", 1, ""))
	s.wantPayout(payoutA, "PENDING")
	if !s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("a timeout counts as something that Safaricom did in the initiator's name")
	}
	if s.nextPayoutCheck(payoutA) < 0 || strings.Contains(s.errorLog(), "UNRESOLVED") {
		t.Error("the payout was given up")
	}
}

// TestPayoutGivenUpByAnswer: which answers end the questions about a payout that is a day
// old.
func TestPayoutGivenUpByAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		age     time.Duration
		body    string
		givenUp bool
	}{
		"not found":             {25 * time.Hour, b2cResult("x", "y", 2032, ""), true},
		"not found, too early":  {23 * time.Hour, b2cResult("x", "y", 2032, ""), false},
		"still pending":         {25 * time.Hour, statusAnswer("Pending Authorized", "", "500"), true},
		"another amount":        {25 * time.Hour, statusAnswer("Completed", paidReceipt, "50"), true},
		"another amount, early": {23 * time.Hour, statusAnswer("Completed", paidReceipt, "50"), false},
		"the initiator refused": {25 * time.Hour, b2cResult("x", "y", 2001, ""), false},
		"a queue timeout":       {25 * time.Hour, `{"ResultType":1,"ResultDesc":"timed out"}`, false},
		"nothing":               {25 * time.Hour, ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.later(tt.age)
			s.post(s.signedFor(forStatus, payoutA), tt.body)
			if !tt.givenUp {
				s.wantPayout(payoutA, "PENDING")
				return
			}
			s.wantPayout(payoutA, "TIMEOUT Safaricom has not said what became of it")
			s.wantLine("UNRESOLVED route=b2c/status id=" + payoutA)
			if got := s.nextPayoutCheck(payoutA); got != -1 {
				t.Errorf("the next check is at %v, want none", got)
			}
			s.forget()
			s.post(s.signedFor(forStatus, payoutA), tt.body)
			if errors := s.errorLog(); strings.Contains(errors, "UNRESOLVED") {
				t.Errorf("it is given up twice: %q", errors)
			}
		})
	}
}

// TestStatusOfAnother: what is said of another amount than was asked for is not about this
// payout, whatever is said.
func TestStatusOfAnother(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"Completed", "Declined", "Cancelled", "Expired"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			s.send(payoutA, phoneA)
			s.post(s.signedFor(forStatus, payoutA), statusAnswer(word, map[bool]string{true: paidReceipt}[word == "Completed"], "9999"))
			s.wantPayout(payoutA, "PENDING")
		})
	}
	t.Run("one that failed, without an amount", func(t *testing.T) {
		s := newPayer(t)
		s.send(payoutA, phoneA)
		s.post(s.signedFor(forStatus, payoutA), statusAnswer("Declined", "", ""))
		s.wantPayout(payoutA, "FAILED Declined")
	})
	t.Run("the amount of one that failed", func(t *testing.T) {
		s := newPayer(t)
		s.send(payoutA, phoneA)
		s.post(s.signedFor(forStatus, payoutA), statusAnswer("Declined", "", "500"))
		s.wantPayout(payoutA, "FAILED Declined")
		if amount := s.payout(payoutA).Data["amount"]; amount != nil {
			t.Errorf("the amount is %v, though nothing was paid", amount)
		}
	})
}
