package fakesafaricom

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestB2CFields(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   string // the field, empty if it is taken
	}{
		{"right", set("x"), ""},
		{"an occasion", set("Occassion", "Easter"), ""},
		{"an empty occasion", set("Occassion", ""), ""},
		{"occasion spelt otherwise", set("Occasion", "Easter"), "Occasion"},
		{"no id", set("OriginatorConversationID"), "OriginatorConversationID"},
		{"id of 37", set("OriginatorConversationID", strings.Repeat("a", 37)), "OriginatorConversationID"},
		{"no initiator", set("InitiatorName", ""), "InitiatorName"},
		{"password as it is", set("SecurityCredential", "P#ss1"), "SecurityCredential"},
		{"credential too short", set("SecurityCredential", "UCNzczE="), "SecurityCredential"},
		{"command unknown", set("CommandID", "Pay"), "CommandID"},
		{"salary", set("CommandID", "SalaryPayment"), ""},
		{"promotion", set("CommandID", "PromotionPayment"), ""},
		{"amount 10", set("Amount", "10"), ""},
		{"amount 9", set("Amount", "9"), "Amount"},
		{"amount 250001", set("Amount", "250001"), "Amount"},
		{"amount as a number", set("Amount", 10), "Amount"},
		{"payer not a shortcode", set("PartyA", ada), "PartyA"},
		{"payee with 07", set("PartyB", "0712345678"), "PartyB"},
		{"remarks of 1", set("Remarks", "x"), "Remarks"},
		{"remarks of 101", set("Remarks", strings.Repeat("x", 101)), "Remarks"},
		{"timeout URL", set("QueueTimeOutURL", "http://x.example/"), "QueueTimeOutURL"},
		{"result URL", set("ResultURL"), "ResultURL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := w.call(B2C, w.payoutBody(test.name, test.change))
			if test.want == "" {
				if status != 200 {
					t.Errorf("= %d %s; want 200", status, body)
				}
				return
			}
			if got, want := refusal(body), "400.002.02 Bad Request - Invalid "+test.want; status != 400 || got != want {
				t.Errorf("= %d %s; want 400 %s", status, got, want)
			}
		})
	}
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"another app's shortcode", set("PartyA", "600999"), "404 404.001.03 Invalid Access Token"},
		{"the same id", set("OriginatorConversationID", "right"), "500 500.002.1001 Duplicate OriginatorConversationID."},
		{"remarks with &", set("Remarks", "A & B"), "500 " + envelopeFault().body},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := w.call(B2C, w.payoutBody("new", test.change))
			if got := itoa(status) + " " + refusal(body); got != test.want {
				t.Errorf("= %s; want %s", got, test.want)
			}
		})
	}
	t.Run("content type", func(t *testing.T) {
		r := w.newRequest(B2C, "{}")
		r.Header.Del("Content-Type")
		if status, body := w.do(r); status != 400 || refusal(body) != "400.002.02 Bad Request - Invalid OriginatorConversationID" {
			t.Errorf("= %d %s", status, body)
		}
	})
	t.Run("acknowledgement", func(t *testing.T) {
		_, body := w.call(B2C, w.payoutBody("mine"))
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != 4 || got["OriginatorConversationID"] != "mine" || got["ResponseCode"] != "0" ||
			got["ResponseDescription"] != "Accept the service request successfully." || !strings.HasPrefix(got["ConversationID"], "AG_20260220_") {
			t.Errorf("= %s", body)
		}
	})
}

func TestPayout(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    func(*world)
		change func(map[string]any)
		code   string
		desc   string
	}{
		{name: "paid", code: "0", desc: "The service request is processed successfully."},
		{name: "float too small", change: set("Amount", "1001"), code: "1", desc: "The balance is insufficient for the transaction."},
		{name: "all of the float", change: set("Amount", "1000"), code: "0"},
		{name: "unknown initiator", change: set("InitiatorName", "nobody"), code: "2001", desc: "The initiator information is invalid."},
		{name: "no customer", set: func(w *world) { w.SetPhone(ada, Phone{Payout: "2040"}) }, code: "2040",
			desc: "Credit Party customer type (Unregistered or Registered Customer) can't be supported by the service ."},
		{name: "internal failure", set: func(w *world) { w.SetPhone(ada, Phone{Payout: "17"}) }, code: "17", desc: "System internal error."},
		{name: "a word", set: func(w *world) { w.SetPhone(ada, Phone{Payout: "TP40153"}) }, code: `"TP40153"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.set != nil {
				test.set(w)
			}
			if test.change == nil {
				test.change = set("x")
			}
			w.payout("mine", test.change)
			w.advance(5*time.Second - 1)
			if got := w.received(); len(got) != 0 {
				t.Errorf("before 5 s: %v", got)
			}
			w.advance(time.Hour)
			bodies := w.received()
			if len(bodies) != 1 || w.got[0].URL.Path != "/result" {
				t.Fatalf("%d callbacks; want 1 at /result", len(bodies))
			}
			if _, sent := w.got[0].Header["Businessshortcode"]; sent {
				t.Error("a result has the header Businessshortcode")
			}
			r := readResult(t, bodies[0])
			if got := string(r.Result.ResultCode); got != test.code || string(r.Result.ResultType) != "0" {
				t.Errorf("ResultCode = %s; want %s", got, test.code)
			}
			if got := r.Result.ResultDesc; test.desc != "" && got != test.desc {
				t.Errorf("ResultDesc = %s; want %s", got, test.desc)
			}
			if r.Result.OriginatorConversationID != "mine" {
				t.Errorf("OriginatorConversationID = %s", r.Result.OriginatorConversationID)
			}
			entry, paid := w.Paid("mine")
			if paid != (test.code == "0") || (r.Result.ResultParameters != nil) != paid {
				t.Errorf("Paid = %v with %s", paid, bodies[0])
			}
			switch got := r.Result.TransactionID; {
			case paid && got != entry.Receipt:
				t.Errorf("TransactionID = %s; want %s", got, entry.Receipt)
			case test.code == "1" && !regexp.MustCompile(`^UBK[A-Z0-9]{7}$`).MatchString(got):
				t.Errorf("TransactionID = %s; want one like a receipt", got)
			case !paid && test.code != "1" && got != "UBK0000000":
				t.Errorf("TransactionID = %s; want a placeholder", got)
			}
			if strings.Contains(bodies[0], "http://") || !strings.Contains(bodies[0], `http:\/\/internalapi`) {
				t.Errorf("slashes in %s", bodies[0])
			}
			if paid == (w.Float("174379") == 1000) {
				t.Errorf("Float = %d", w.Float("174379"))
			}
		})
	}
}

func TestPayoutParameters(t *testing.T) {
	w := newWorld(t)
	w.SetPhone(ada, Phone{Name: "Wangari O'BRIEN"})
	seen := map[string]bool{}
	for i := range 20 {
		id := "id-" + itoa(i)
		w.payout(id, set("Amount", "10"))
		w.Advance(time.Minute)
		r := readResult(t, w.received()[i])
		entry, _ := w.Paid(id)
		want := map[string]string{
			"TransactionAmount":                   "10",
			"TransactionReceipt":                  `"` + entry.Receipt + `"`,
			"TransactionCompletedDateTime":        `"` + entry.At.UTC().Add(3*time.Hour).Format("02.01.2006 15:04:05") + `"`,
			"B2CUtilityAccountAvailableFunds":     itoa(1000-10*(i+1)) + ".00",
			"B2CWorkingAccountAvailableFunds":     "0.00",
			"B2CRecipientIsRegisteredCustomer":    `"Y"`,
			"B2CChargesPaidAccountAvailableFunds": "-1980.00",
		}
		list := r.Result.ResultParameters.ResultParameter
		for i, p := range list {
			switch {
			case p.Key == "ReceiverPartyPublicName":
				seen[string(p.Value)] = true
			case want[p.Key] != string(p.Value):
				t.Errorf("%s = %s; want %s", p.Key, p.Value, want[p.Key])
			}
			if p.Key == "TransactionReceipt" {
				seen["receipt "+itoa(i)] = true
			}
		}
		if len(list) != len(want)+1 {
			t.Errorf("%d parameters; want %d", len(list), len(want)+1)
		}
	}
	for _, form := range []string{`"254712345678 - Wangari O'BRIEN"`, `"0712345678 - Wangari O'BRIEN"`, "receipt 1", "receipt 7"} {
		if !seen[form] {
			t.Errorf("never seen: %s", form)
		}
	}
}

func TestInitiatorLocked(t *testing.T) {
	w := newWorld(t)
	codes := func() (codes []string) {
		for _, body := range w.received() {
			codes = append(codes, string(readResult(t, body).Result.ResultCode))
		}
		return codes
	}
	wrong := set("SecurityCredential", w.credential("old"))
	w.payout("1", wrong)
	w.payout("2", wrong)
	w.Advance(time.Minute)
	w.payout("3")
	w.Advance(time.Minute)
	if got := strings.Join(codes(), " "); got != "2001 2001 0" {
		t.Errorf("codes %s; want 2001 2001 0: a wrong password is accepted and fails later", got)
	}
	for _, id := range []string{"4", "5", "6"} {
		w.payout(id, wrong)
		w.Advance(time.Minute)
	}
	w.payout("7")
	w.call(Status, w.statusBody("3"))
	w.Advance(time.Minute)
	if got := strings.Join(codes()[3:], " "); got != "2001 2001 8006 8006 8006" {
		t.Errorf("codes %s; want 2001 2001 8006 8006 8006: the third wrong one locks", got)
	}
	if n := w.Float("174379"); n != 900 {
		t.Errorf("Float = %d; want 900", n)
	}
	w.push(ada)
	m := w.merchants["174379"].Merchant
	m.InitiatorPassword = "old"
	w.AddMerchant(m)
	w.payout("8", wrong)
	w.Advance(time.Minute)
	if _, paid := w.Paid("8"); !paid {
		t.Error("still locked after AddMerchant")
	}
	if n := w.Collected("174379"); n != 10 {
		t.Errorf("Collected = %d; want 10: a payment under way when the merchant changed", n)
	}
	t.Run("another name locks nobody", func(t *testing.T) {
		w := newWorld(t)
		for _, id := range []string{"1", "2", "3"} {
			w.payout(id, set("InitiatorName", "nobody"))
		}
		w.payout("4")
		w.Advance(time.Minute)
		if got := string(readResult(t, w.received()[3]).Result.ResultCode); got != "0" {
			t.Errorf("ResultCode = %s; want 0", got)
		}
	})
	t.Run("encrypted otherwise", func(t *testing.T) {
		w := newWorld(t)
		w.payout("1", set("SecurityCredential", strings.Repeat("A", 342)+"=="))
		w.Advance(time.Minute)
		if got := string(readResult(t, w.received()[0]).Result.ResultCode); got != "2001" {
			t.Errorf("ResultCode = %s; want 2001", got)
		}
	})
}

func TestServerMadeIDs(t *testing.T) {
	w := newWorld(t, func(s *Safaricom) { s.ServerMadeIDs = true })
	_, ack := w.call(B2C, w.payoutBody("mine"))
	if !strings.Contains(ack, `"OriginatorConversationID":"mine"`) {
		t.Errorf("acknowledged as %s", ack)
	}
	w.Advance(time.Minute)
	r := readResult(t, w.received()[0]).Result
	if r.OriginatorConversationID == "mine" || len(r.OriginatorConversationID) < 12 || !strings.Contains(ack, r.ConversationID) {
		t.Errorf("result of %s, %s; want an id of Safaricom's and the ConversationID of %s", r.OriginatorConversationID, r.ConversationID, ack)
	}
	if _, paid := w.Paid("mine"); !paid {
		t.Error("the ledger does not know the caller's id")
	}
}

func TestQueueTimeout(t *testing.T) {
	for _, moved := range []bool{true, false} {
		w := newWorld(t)
		shapes := map[string]bool{}
		w.Times(9, B2C, QueueTimeout(moved))
		for i := range 9 {
			w.payout(itoa(i))
			w.Advance(2 * time.Minute)
			body := w.received()[i]
			if r := w.got[i]; r.URL.Path != "/timeout" {
				t.Errorf("posted to %s", r.URL.Path)
			}
			_, paid := w.Paid(itoa(i))
			if paid != moved {
				t.Errorf("Paid = %v; want %v", paid, moved)
			}
			switch {
			case body == "":
				shapes["empty"] = true
			case strings.HasPrefix(body, `{"Result":{`):
				shapes["envelope"] = true
			case strings.HasPrefix(body, `{"ResultType":1`):
				shapes["flat"] = true
			}
			if body != "" && (!json.Valid([]byte(body)) || !strings.Contains(body, `"OriginatorConversationID":"`+itoa(i)+`"`)) {
				t.Errorf("body %s", body)
			}
		}
		if len(shapes) != 3 {
			t.Errorf("shapes %v; want the three that are claimed", shapes)
		}
		if n := len(w.received()); n != 9 {
			t.Errorf("%d callbacks; want 9: no result follows", n)
		}
	}
}
