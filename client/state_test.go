package client

import (
	"strings"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// TestMessage has what is said of each state, where it is not in the table of codes.
func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		name             string
		state            State
		english, swahili string
		again            bool
	}{
		{"idle", State{Name: Idle}, "No payment is known yet.", "Bado hakuna malipo yanayojulikana.", false},
		{"initiating", State{Name: Initiating}, "One moment, please.", "Tafadhali subiri kidogo.", false},
		{"pending", State{Name: Pending, Kind: parse.Payment, Code: parse.NoCode}, "Please look at your phone and enter your M-PESA PIN.", "Tafadhali angalia simu yako na uweke PIN yako ya M-PESA.", false},
		{"a pending payout", State{Name: Pending, Kind: parse.Disbursement, Code: parse.NoCode}, "The payout has been asked for. We are waiting for M-PESA to confirm it.", "Ombi la kutuma pesa limepokelewa. Tunasubiri uthibitisho wa M-PESA.", false},
		{"a receipt to come", State{Name: Success, Kind: parse.Payment}, "Payment completed. The receipt follows.", "Malipo yamekamilika. Risiti itafuata.", false},
		{"a payout's receipt to come", State{Name: Success, Kind: parse.Disbursement}, "Payout completed.", "Pesa zimetumwa.", false},
		{"never sent", State{Name: Failed, Kind: parse.Payment, Code: parse.NoCode, Reason: "NOT_SENT: no token"}, "Payment not completed. No money has moved, and you may try again.", "Malipo hayakukamilika. Hakuna pesa zilizokatwa; unaweza kujaribu tena.", true},
		{"a failure without its document", State{Name: Failed, Kind: parse.Payment}, "Payment not completed. No money has moved, and you may try again.", "Malipo hayakukamilika. Hakuna pesa zilizokatwa; unaweza kujaribu tena.", true},
		{"two minutes without an outcome", State{Name: Timeout, Kind: parse.Payment, Code: parse.NoCode}, "We do not know yet whether the payment was completed. Please check your M-PESA messages before you pay again.", "Bado hatujui kama malipo yamekamilika. Tafadhali angalia SMS za M-PESA kabla ya kulipa tena.", false},
		{"not signed in", State{Name: Error, Kind: parse.Payment, Err: &Refusal{Type: Unauthenticated}}, "The payment was not started. Please sign in.", "Malipo hayakuanzishwa. Tafadhali ingia kwenye akaunti yako.", true},
		{"busy", State{Name: Error, Kind: parse.Disbursement, Err: &Refusal{Type: Busy}}, "The payout was not started. Another request is open. Please try again later.", "Pesa hazikutumwa. Kuna ombi lingine linaloendelea. Tafadhali jaribu tena baadaye.", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.state.Message(English); got != tt.english {
				t.Errorf("it says %q, want %q", got, tt.english)
			}
			if got := tt.state.Message(Swahili); got != tt.swahili {
				t.Errorf("it says %q, want %q", got, tt.swahili)
			}
			if got := tt.state.AskAgain(); got != tt.again {
				t.Errorf("safe to ask again: %t, want %t", got, tt.again)
			}
		})
	}
}

// TestNoFalsehood: nothing but a final state in which no money moved says so, whatever
// else is in it.
func TestNoFalsehood(t *testing.T) {
	for _, kind := range []parse.Kind{parse.Payment, parse.Disbursement} {
		for _, name := range []Name{Idle, Initiating, Pending, Success, Failed, Cancelled, Timeout, Error} {
			for _, row := range parse.Codes() {
				code := parse.NoCode
				if n := number(row.Code); n >= 0 {
					code = n
				}
				s := State{Name: name, Kind: kind, Code: code, Reason: row.Code + ": x", Receipt: "R", Err: &Refusal{Type: Unavailable}}
				none := name == Failed || name == Error || name == Cancelled && kind == parse.Payment
				for _, said := range []string{s.Message(English), s.Message(Swahili)} {
					failed := strings.Contains(said, "not completed") || strings.Contains(said, "not started") || strings.Contains(said, "haya") || strings.Contains(said, "haliku") || strings.Contains(said, "hazikutumwa")
					if failed && !none {
						t.Errorf("%s of a %s, code %s: %s", name, kind, row.Code, said)
					}
				}
				if s.AskAgain() && !none {
					t.Errorf("%s of a %s, code %s: safe to ask again", name, kind, row.Code)
				}
			}
		}
	}
}

// number is a code that is one, else -1.
func number(code string) int {
	n := 0
	for _, digit := range code {
		if digit < '0' || digit > '9' {
			return -1
		}
		n = n*10 + int(digit-'0')
	}
	if code == "" {
		return -1
	}
	return n
}

// TestApply has documents as they come, and what a state takes from them.
func TestApply(t *testing.T) {
	at := time.Date(2026, 11, 23, 11, 7, 49, 210e6, time.UTC)
	for _, tt := range []struct {
		name, document string
		want           State
	}{
		{"what is written before a verdict is no part of it",
			`{"$id":"x","status":"PENDING","failureReason":"NOT_SENT: interrupted","settledAt":"2026-11-23T11:07:49.210Z","requestedAmount":10,"resultCode":null}`,
			State{Name: Pending, Requested: 10, Code: parse.NoCode}},
		{"paid", `{"$id":"x","status":"SUCCESS","receipt":"R1","amount":10,"resultCode":0,"settledAt":"2026-11-23T11:07:49.210Z"}`,
			State{Name: Success, Receipt: "R1", Amount: 10, SettledAt: at}},
		{"numbers as text and in other forms", `{"$id":"x","status":"SUCCESS","receipt":7,"amount":"10","resultCode":"0"}`,
			State{Name: Success, Receipt: "7", Amount: 10}},
		{"fields that make no sense", `{"$id":"x","status":"SUCCESS","receipt":{},"amount":[1],"resultCode":true,"settledAt":5,"failureReason":null}`,
			State{Name: Success, Code: parse.NoCode}},
		{"a status that nobody knows", `{"$id":"x","status":"REVERSED","amount":10}`, State{}},
		{"no status", `{"$id":"x"}`, State{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, ok := readDocument([]byte(tt.document))
			if !ok {
				t.Fatal("that is no document")
			}
			var s State
			if s.apply(d); s != tt.want {
				t.Errorf("%+v, want %+v", s, tt.want)
			}
		})
	}
	named := State{Name: Pending, CheckoutRequestID: "ws_CO_1"}
	if named.apply(document{status: "PENDING"}); named.CheckoutRequestID != "ws_CO_1" {
		t.Error("an older document took Safaricom's id away")
	}
}

// TestRefusalError: whoever reads it learns which fields are wrong, in the same order each
// time, since a stream compares what it tells.
func TestRefusalError(t *testing.T) {
	for want, refusal := range map[string]Refusal{
		"busy: another prompt is open": {Type: Busy, Message: "another prompt is open"},
		"invalid_argument: some fields are wrong; amount must be 1 to 250000; phone must be a number; x is not known": {Type: InvalidArgument,
			Message: "some fields are wrong", Fields: map[string]string{"x": "is not known", "phone": "must be a number", "amount": "must be 1 to 250000"}},
	} {
		for range 20 { // a map has another order each time
			if got := refusal.Error(); got != want {
				t.Fatalf("Error() = %q, want %q", got, want)
			}
		}
	}
}

// TestReadReply has what the function, or somebody in its place, replies.
func TestReadReply(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       reply // its refusal is compared by value
		refusal    Refusal
		ok         bool
	}{
		{"what stands", `{"id":"x","status":"PENDING","checkoutRequestId":"ws_CO_1","customerMessage":"m"}`, reply{status: "PENDING", name: "ws_CO_1"}, Refusal{}, true},
		{"of a payout", `{"id":"x","status":"PENDING","conversationId":"AG_1"}`, reply{status: "PENDING", name: "AG_1"}, Refusal{}, true},
		{"a refusal", `{"error":{"type":"busy","message":"m","claimed":true,"id":"y","retryAfter":71,"responseCode":"1"}}`,
			reply{}, Refusal{Type: Busy, Message: "m", Claimed: true, ID: "y", RetryAfter: 71 * time.Second, ResponseCode: "1"}, true},
		{"Safaricom's form", `{"ResultCode":1,"ResultDesc":"unknown path"}`, reply{}, Refusal{}, false},
		{"a page", `<html>`, reply{}, Refusal{}, false},
		{"nothing", ``, reply{}, Refusal{}, false},
		{"no status", `{"id":"x"}`, reply{}, Refusal{}, false},
		{"an error without a type", `{"error":{"message":"m"}}`, reply{}, Refusal{}, false},
		{"an error that is a text", `{"error":"x"}`, reply{}, Refusal{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readReply([]byte(tt.text))
			if (err == nil) != tt.ok {
				t.Fatalf("readReply: %v", err)
			}
			var refusal Refusal
			if got.refusal != nil {
				refusal, got.refusal = *got.refusal, nil
			}
			if got != tt.want || refusal.Error() != tt.refusal.Error() || refusal.Claimed != tt.refusal.Claimed || refusal.ID != tt.refusal.ID ||
				refusal.RetryAfter != tt.refusal.RetryAfter || refusal.ResponseCode != tt.refusal.ResponseCode {
				t.Errorf("%+v %+v, want %+v %+v", got, refusal, tt.want, tt.refusal)
			}
		})
	}
}

// TestApplyWhileAsking: what has only been noted down so far may still be refused. Nobody is
// told to look at their phone because of it.
func TestApplyWhileAsking(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    document
		want Name
	}{
		{"noted down", document{status: "PENDING", reason: "NOT_SENT: interrupted"}, Initiating},
		{"on its way", document{status: "PENDING"}, Pending},
		{"named", document{status: "PENDING", reason: "NOT_SENT: interrupted", name: "ws_CO_1"}, Pending},
		{"refused", document{status: "FAILED", reason: "NOT_SENT: no token"}, Initiating},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &stream{state: State{Name: Initiating}, asking: true}
			if s.apply(tt.d); s.state.Name != tt.want {
				t.Errorf("the state is %s, want %s", s.state.Name, tt.want)
			}
		})
	}
}
