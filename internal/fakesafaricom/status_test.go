package fakesafaricom

import (
	"strings"
	"testing"
	"time"
)

func TestStatusFields(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"no initiator", set("Initiator"), "400.002.02 Bad Request - Invalid Initiator"},
		{"credential", set("SecurityCredential", "x"), "400.002.02 Bad Request - Invalid SecurityCredential"},
		{"command", set("CommandID", "Status"), "400.002.02 Bad Request - Invalid CommandID"},
		{"command as in the sample", setAll(map[string]any{"Command ID": "TransactionStatusQuery"}), "400.002.02 Bad Request - Invalid Command ID"},
		{"neither id", set("OriginalConversationID"), "400.002.02 Bad Request - Invalid TransactionID"},
		{"both ids", set("TransactionID", "UBK1234567"), "400.002.02 Bad Request - Invalid TransactionID"},
		{"receipt of 9", set("TransactionID", "UBK123456"), "400.002.02 Bad Request - Invalid TransactionID"},
		{"identifier type", set("IdentifierType", "1"), "400.002.02 Bad Request - Invalid IdentifierType"},
		{"identifier type as a number", set("IdentifierType", 4), "400.002.02 Bad Request - Invalid IdentifierType"},
		{"payer", set("PartyA", ""), "400.002.02 Bad Request - Invalid PartyA"},
		{"result URL", set("ResultURL", "x"), "400.002.02 Bad Request - Invalid ResultURL"},
		{"timeout URL", set("QueueTimeOutURL"), "400.002.02 Bad Request - Invalid QueueTimeOutURL"},
		{"remarks", set("Remarks"), "400.002.02 Bad Request - Invalid Remarks"},
		{"occasion spelt otherwise", set("Occassion", "x"), "400.002.02 Bad Request - Invalid Occassion"},
		{"another app's shortcode", set("PartyA", "600999"), "400.003.01 Invalid Access Token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := w.call(Status, w.statusBody("x", test.change))
			if got := refusal(body); status != 400 || got != test.want {
				t.Errorf("= %d %s; want 400 %s", status, got, test.want)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	receipt := func(w *world, id string) string { e, _ := w.Paid(id); return e.Receipt }
	byReceipt := func(r string) func(map[string]any) {
		return func(b map[string]any) { set("OriginalConversationID")(b); b["TransactionID"] = r }
	}
	for _, test := range []struct {
		name string
		set  func(*Safaricom)
		do   func(*world) map[string]any // what to ask
		code string
		word string
	}{
		{name: "paid, by the caller's id", code: "0", word: "Completed", do: func(w *world) map[string]any {
			w.payout("mine")
			w.Advance(time.Minute)
			return w.statusBody("mine")
		}},
		{name: "paid, by ConversationID", code: "0", word: "Completed", do: func(w *world) map[string]any {
			w.payout("mine")
			w.Advance(time.Minute)
			return w.statusBody(readResult(w.t, w.received()[0]).Result.ConversationID)
		}},
		{name: "paid, by receipt", code: "0", word: "Completed", do: func(w *world) map[string]any {
			w.payout("mine")
			w.Advance(time.Minute)
			return w.statusBody("", byReceipt(receipt(w, "mine")))
		}},
		{name: "paid, by Safaricom's id", code: "0", word: "Completed", set: func(s *Safaricom) { s.ServerMadeIDs, s.HideOwnIDs = true, true },
			do: func(w *world) map[string]any {
				w.payout("mine")
				w.Advance(time.Minute)
				return w.statusBody(readResult(w.t, w.received()[0]).Result.OriginatorConversationID)
			}},
		{name: "own ids hidden", code: "2032", set: func(s *Safaricom) { s.HideOwnIDs = true }, do: func(w *world) map[string]any {
			w.payout("mine")
			w.Advance(time.Minute)
			return w.statusBody("mine")
		}},
		{name: "result was lost", code: "0", word: "Completed", do: func(w *world) map[string]any {
			w.Once(B2C, CallbackLost())
			w.payout("mine")
			return w.statusBody("mine")
		}},
		{name: "float too small", code: "0", word: "Declined", do: func(w *world) map[string]any {
			w.payout("mine", set("Amount", "2000"))
			return w.statusBody("mine")
		}},
		{name: "queue timeout, moved", code: "0", word: "Completed", do: func(w *world) map[string]any {
			w.Once(B2C, QueueTimeout(true))
			w.payout("mine")
			return w.statusBody("mine")
		}},
		{name: "queue timeout, not moved", code: "0", word: "Expired", do: func(w *world) map[string]any {
			w.Once(B2C, QueueTimeout(false))
			w.payout("mine")
			return w.statusBody("mine")
		}},
		{name: "initiator of the payout was wrong", code: "2032", do: func(w *world) map[string]any {
			w.payout("mine", set("InitiatorName", "nobody"))
			return w.statusBody("mine")
		}},
		{name: "initiator of the query is wrong", code: "2001", do: func(w *world) map[string]any {
			w.payout("mine")
			return w.statusBody("mine", set("SecurityCredential", w.credential("wrong")))
		}},
		{name: "unknown", code: "2032", do: func(w *world) map[string]any {
			w.SetPhone(ada, Phone{Answer: Asks}) // and nobody pays
			w.push(ada)
			return w.statusBody("other")
		}},
		{name: "a payout of another shortcode", code: "2032", do: func(w *world) map[string]any {
			w.payout("mine")
			return w.statusBody("mine", w.fromElsewhere())
		}},
		{name: "a payment to another shortcode", code: "2032", do: func(w *world) map[string]any {
			id := w.push(ada)
			w.Advance(time.Minute)
			return w.statusBody("", byReceipt(receipt(w, id)), w.fromElsewhere())
		}},
		{name: "unknown receipt", code: "2032", do: func(w *world) map[string]any { return w.statusBody("", byReceipt("UBK1234567")) }},
		{name: "a payment", code: "0", word: "Completed", do: func(w *world) map[string]any {
			id := w.push(ada)
			w.Advance(time.Minute)
			return w.statusBody("", byReceipt(receipt(w, id)))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := test.set
			if set == nil {
				set = func(*Safaricom) {}
			}
			w := newWorld(t, set)
			body := test.do(w)
			status, ack := w.call(Status, body)
			if status != 200 || !strings.Contains(ack, `"ResponseCode":"0"`) || strings.Contains(ack, `"mine"`) {
				t.Fatalf("acknowledged: %d %s", status, ack)
			}
			before := len(w.received())
			w.Advance(4*time.Second + 999*time.Millisecond)
			for _, r := range w.got[before:] {
				if r.URL.Path == "/status" {
					t.Error("answered before 5 s")
				}
			}
			w.Advance(time.Minute)
			var bodies []string
			for i, r := range w.got {
				if r.URL.Path == "/status" {
					bodies = append(bodies, w.bodies[i])
				}
			}
			if len(bodies) != 1 {
				t.Fatalf("%d answers; want 1", len(bodies))
			}
			r := readResult(t, bodies[0])
			if got := string(r.Result.ResultCode); got != test.code {
				t.Errorf("ResultCode = %s; want %s", got, test.code)
			}
			if !strings.Contains(ack, `"`+r.Result.ConversationID+`"`) || !strings.Contains(ack, `"`+r.Result.OriginatorConversationID+`"`) {
				t.Errorf("result of %+v; acknowledged %s", r.Result, ack)
			}
			if r.Result.TransactionID != "UBK0000000" {
				t.Errorf("TransactionID = %s; want a placeholder", r.Result.TransactionID)
			}
			if got := strings.Join(r.values("TransactionStatus"), " "); got != quoted(test.word) {
				t.Errorf("TransactionStatus = %s; want %q", got, test.word)
			}
		})
	}
}

// fromElsewhere asks for another shortcode of the same app.
func (w *world) fromElsewhere() func(map[string]any) {
	w.t.Helper()
	key, err := testKey()
	if err != nil {
		w.t.Fatal(err)
	}
	w.AddMerchant(Merchant{ConsumerKey: "key", ConsumerSecret: "secret", Shortcode: "600400", Initiator: "api", InitiatorPassword: "P#ss1", Key: key})
	return set("PartyA", "600400")
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}

func TestStatusParameters(t *testing.T) {
	w := newWorld(t)
	w.SetPhone(ada, Phone{Name: "Ada"})
	w.payout("mine")
	w.call(Status, w.statusBody("mine", set("Occasion", "Why"))) // answered when the payout is
	w.Advance(time.Minute)
	w.call(Status, w.statusBody("mine"))
	w.Advance(time.Minute)
	entry, _ := w.Paid("mine")
	payout := readResult(t, w.received()[0]).Result
	r := readResult(t, w.received()[2])
	for _, test := range []struct{ key, want string }{
		{"DebitPartyName", `"174379 - Duka" "254712345678 - Ada"`},
		{"OriginatorConversationID", `"mine"`},
		{"ConversationID", quoted(payout.ConversationID)},
		{"InitiatedTime", `"20260220120000"`},
		{"FinalisedTime", `"20260220120004"`},
		{"DebitAccountType", `"Utility Account"`},
		{"TransactionReason", ""}, // there, without a value
		{"Amount", `"100"`},
		{"ReceiptNo", quoted(entry.Receipt)},
	} {
		if got := strings.Join(r.values(test.key), " "); got != test.want || r.values(test.key) == nil {
			t.Errorf("%s = %s; want %s", test.key, got, test.want)
		}
	}
	if item := r.Result.ReferenceData.ReferenceItem; item.Key != "Occasion" || item.Value != nil {
		t.Errorf("ReferenceItem = %+v; want an Occasion without a value", item)
	}
	if item := readResult(t, w.received()[1]).Result.ReferenceData.ReferenceItem; string(item.Value) != `"Why"` {
		t.Errorf("ReferenceItem = %+v; want Why", item)
	}
}

func TestStatusPending(t *testing.T) {
	w := newWorld(t)
	w.Once(Status, CallbackBeforeAck())
	w.payout("mine")
	if status, body := w.call(Status, w.statusBody("mine")); status != 200 {
		t.Fatalf("= %d %s", status, body)
	}
	r := readResult(t, w.received()[0])
	for key, want := range map[string]string{"TransactionStatus": `"Pending Authorized"`, "ReceiptNo": "", "FinalisedTime": ""} {
		if got := strings.Join(r.values(key), " "); got != want || r.values(key) == nil {
			t.Errorf("%s = %s; want %s", key, got, want)
		}
	}
}

func TestStatusTimeout(t *testing.T) {
	w := newWorld(t)
	w.Once(Status, QueueTimeout(false))
	w.payout("mine")
	w.call(Status, w.statusBody("mine", set("QueueTimeOutURL", w.receiver.URL+"/late")))
	w.Advance(10 * time.Minute)
	if len(w.got) != 2 || w.got[1].URL.Path != "/late" {
		t.Errorf("%d callbacks; want the payout's and one at /late", len(w.got))
	}
}
