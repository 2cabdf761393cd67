package settle

import (
	"context"
	"errors"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

const payoutID = "11111111-2222-4333-8444-5555555555a1"

// sentOut is a started payout of 100 shillings as it stands once it may have been sent.
func sentOut(change ...func(*Document)) Document {
	d := Claim(parse.Disbursement, payoutID, Started{UserID: "zawadi", RequestedAmount: 100, RequestKey: "key", PhoneKey: "phone",
		NextCheckAt: settled.Add(90 * time.Second)}, settled)
	d.Reason, d.Conversation = "", "AG_1"
	for _, f := range change {
		f(&d)
	}
	return d
}

// answered is what Transaction Status says of it.
func answered(status parse.Status, receipt string, amount int64) *Document {
	v := parse.Verdict{Kind: parse.Disbursement, ID: payoutID, Conversation: "AG_1", Status: status, Receipt: receipt, Amount: amount}
	d := New(v, "", settled)
	return &d
}

// TestClaimOfPayout: the id that the caller chose is the payout's at Safaricom, and no
// attribute of payments alone is written.
func TestClaimOfPayout(t *testing.T) {
	d := Claim(parse.Disbursement, payoutID, Started{UserID: "zawadi", RequestedAmount: 100, RequestKey: "key", PhoneKey: "phone", NextCheckAt: settled}, settled)
	const want = `{"originatorConversationId":"` + payoutID + `","status":"PENDING","resultCode":null,"receipt":null,"amount":null,"failureReason":"NOT_SENT: interrupted",` +
		`"mpesaTimestamp":null,"settledAt":"2026-11-23T06:30:05.678Z","conversationId":null,"receiverName":null,` +
		`"userId":"zawadi","requestedAmount":100,"requestKey":"key","phoneKey":"phone","nextCheckAt":"2026-11-23T06:30:05.678Z"}`
	if got := asJSON(t, d.ClaimAttributes()); got != want {
		t.Errorf("the claim is\n%s, want\n%s", got, want)
	}
	if got := asJSON(t, Name(parse.Disbursement, "AG_1")); got != `{"conversationId":"AG_1"}` {
		t.Errorf("its name is %s", got)
	}
}

// TestSettleStatus: an answer counts with the amount that was asked for, and lowers
// nothing.
func TestSettleStatus(t *testing.T) {
	success := stands(parse.Success, 0, "UKN8D3R6YM", 100)
	for name, tt := range map[string]struct {
		stored   []Document
		incoming *Document
		want     Outcome
		calls    string
	}{
		"completed":               {[]Document{sentOut()}, answered(parse.Success, "UKN8D3R6YM", 100), Replaced, "get amend"},
		"completed, unknown":      {[]Document{sentOut(stands(parse.Timeout, -1, "", 0))}, answered(parse.Success, "UKN8D3R6YM", 100), Replaced, "get amend"},
		"completed, failed":       {[]Document{sentOut(stands(parse.Failed, 1, "", 0))}, answered(parse.Success, "UKN8D3R6YM", 100), Replaced, "get amend"},
		"completed, known":        {[]Document{sentOut(success)}, answered(parse.Success, "UKN8D3R6YM", 100), Duplicate, "get"},
		"completed, of less":      {[]Document{sentOut()}, answered(parse.Success, "UKN8D3R6YM", 99), NotFinal, "get"},
		"completed, of more":      {[]Document{sentOut(success)}, answered(parse.Success, "OTHER", 101), NotFinal, "get"},
		"declined":                {[]Document{sentOut()}, answered(parse.Failed, "", 0), Replaced, "get amend"},
		"declined, paid":          {[]Document{sentOut(success)}, answered(parse.Failed, "", 0), Conflict, "get"},
		"completed, deleted":      {nil, answered(parse.Success, "UKN8D3R6YM", 100), Created, "get create"},
		"completed, by a receipt": {[]Document{sentOut(success)}, answered(parse.Success, "OTHER", 100), Collision, "get create"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(tt.stored...)
			result, err := SettleStatus(context.Background(), m, payoutID, tt.incoming)
			if err != nil || result.Outcome != tt.want {
				t.Errorf("SettleStatus = %s, %v, want %s", result.Outcome, err, tt.want)
			}
			if m.String() != tt.calls {
				t.Errorf("calls = %q, want %q", m, tt.calls)
			}
		})
	}
}

// TestNamePayout: a ConversationID is only ever filled in, also from its line.
func TestNamePayout(t *testing.T) {
	for name, tt := range map[string]struct {
		stored string
		want   Outcome
		after  string
	}{"none": {"", Replaced, "AG_1"}, "the same": {"AG_1", Duplicate, "AG_1"}, "another": {"AG_2", Mismatch, "AG_2"}} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(sentOut(func(d *Document) { d.Conversation = tt.stored }))
			d := sentOut()
			line := d.UnsettledName("b2c/pay")
			if want := `UNSETTLED {"route":"b2c/pay","id":"` + payoutID + `","started":true,"data":{"conversationId":"AG_1","originatorConversationId":"` + payoutID + `"}}`; line != want {
				t.Errorf("UnsettledName =\n%s, want\n%s", line, want)
			}
			read, origin, err := ParseUnsettled(line, "", settled)
			if err != nil || origin != Signed {
				t.Fatalf("ParseUnsettled = %d, %v", origin, err)
			}
			outcome, err := NameStarted(context.Background(), m, read.Kind, read.DocumentID, read.Name())
			if err != nil || outcome != tt.want || m.documents[payoutID].Conversation != tt.after {
				t.Errorf("NameStarted = %s, %v, and it is called %q", outcome, err, m.documents[payoutID].Conversation)
			}
		})
	}
}

// TestUnsettledAnswer: what Transaction Status has answered is settled as such, from its
// line too.
func TestUnsettledAnswer(t *testing.T) {
	d := answered(parse.Success, "UKN8D3R6YM", 100)
	for route, want := range map[string]Origin{"b2c/status": Answered, "b2c/result": Signed} {
		if _, origin, err := ParseUnsettled(d.Unsettled(route, "", payoutID), "", settled); err != nil || origin != want {
			t.Errorf("%s: %d, %v, want %d", route, origin, err, want)
		}
	}
	if _, origin, err := ParseUnsettled(d.UnsettledUnverified("b2c/status", payoutID), "", settled); err != nil || origin != Unverified {
		t.Errorf("unverified: %d, %v", origin, err)
	}
	if _, _, err := ParseUnsettled(`UNSETTLED {"route":"b2c/pay","id":"`+payoutID+`","started":true,"data":{"originatorConversationId":"x"}}`, "", settled); !errors.Is(err, ErrNotUnsettled) {
		t.Errorf("without a name: %v", err)
	}
}
