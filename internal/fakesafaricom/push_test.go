package fakesafaricom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestPushFields(t *testing.T) {
	utc := strings.ReplaceAll(noon.Format("2006-01-02-15-04-05"), "-", "")
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   string // the field, empty if it is taken
	}{
		{"right", set("x"), ""},
		{"no shortcode", set("BusinessShortCode"), "BusinessShortCode"},
		{"shortcode with a letter", set("BusinessShortCode", "17437a"), "BusinessShortCode"},
		{"shortcode as a number", set("BusinessShortCode", 174379), ""},
		{"password not base64", set("Password", "?"), "Password"},
		{"no password", set("Password", ""), "Password"},
		{"timestamp of another form", set("Timestamp", "2026-02-20T12:00:00"), "Timestamp"},
		{"timestamp of no day", set("Timestamp", "20260230120000"), "Timestamp"},
		{"timestamp with a fraction", set("Timestamp", "20260220120000.5"), "Timestamp"},
		{"timestamp as a number", set("Timestamp", 20260220120000), "Timestamp"},
		{"timestamp in UTC", setAll(map[string]any{"Timestamp": utc, "Password": password("174379", "pass", utc)}), "Timestamp"},
		{"timestamp of tomorrow", setAll(map[string]any{"Timestamp": "20260221120000", "Password": password("174379", "pass", "20260221120000")}), "Timestamp"},
		{"type unknown", set("TransactionType", "PayBill"), "TransactionType"},
		{"amount as a number", set("Amount", 10), ""},
		{"amount 250000", set("Amount", "250000"), ""},
		{"amount 250001", set("Amount", "250001"), "Amount"},
		{"amount 0", set("Amount", "0"), "Amount"},
		{"amount below 0", set("Amount", "-1"), "Amount"},
		{"amount with a zero before", set("Amount", "010"), "Amount"},
		{"amount with cents", set("Amount", "10.00"), "Amount"},
		{"amount with cents as a number", set("Amount", 10.5), "Amount"},
		{"amount null", set("Amount", nil), "Amount"},
		{"payer as a number", set("PartyA", 254712345678), ""},
		{"payer another", set("PartyA", berta), "PartyA"},
		{"payee not a shortcode", set("PartyB", ada), "PartyB"},
		{"phone as a number", set("PhoneNumber", 254712345678), ""},
		{"phone with 07", setAll(map[string]any{"PhoneNumber": "0712345678", "PartyA": "0712345678"}), "PartyA"},
		{"phone of a fixed line", setAll(map[string]any{"PhoneNumber": "254202345678", "PartyA": "254202345678"}), "PartyA"},
		{"phone with a plus", set("PhoneNumber", "+254712345678"), "PhoneNumber"},
		{"no phone", set("PhoneNumber"), "PhoneNumber"},
		{"callback URL a placeholder", set("CallBackURL", "<url>"), "CallBackURL"},
		{"reference of 13", set("AccountReference", "1234567890123"), "AccountReference"},
		{"reference with a dot", set("AccountReference", "a.b"), "AccountReference"},
		{"reference with a Kelvin sign", set("AccountReference", "\u212a"), "AccountReference"},
		{"no reference", set("AccountReference"), "AccountReference"},
		{"description of 14", set("TransactionDesc", "12345678901234"), "Remarks"},
		{"no description", set("TransactionDesc"), "Remarks"},
		{"a field more", set("Remarks", "x"), "Remarks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			status, body := w.call(Push, w.pushBody(ada, test.change))
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
	for _, test := range []struct{ name, contentType, body, want string }{
		{"no content type", "", "", "Timestamp"},
		{"another content type", "application/x-www-form-urlencoded", "", "BusinessShortCode"},
		{"text", "text/plain; charset=utf-8", "", "BusinessShortCode"},
		{"not JSON", "application/json", "x", "BusinessShortCode"},
		{"a list", "application/json", "[]", "BusinessShortCode"},
		{"two values", "application/json", "{} {}", "BusinessShortCode"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			b, _ := json.Marshal(w.pushBody(ada))
			if test.body != "" {
				b = []byte(test.body)
			}
			r := w.newRequest(Push, string(b))
			r.Header.Set("Content-Type", test.contentType)
			status, body := w.do(r)
			if got, want := refusal(body), "400.002.02 Bad Request - Invalid "+test.want; status != 400 || got != want {
				t.Errorf("= %d %s; want 400 %s", status, got, want)
			}
		})
	}
	t.Run("any timestamp", func(t *testing.T) {
		w := newWorld(t, func(s *Safaricom) { s.AnyTimestamp = true })
		w.push(ada, setAll(map[string]any{"Timestamp": utc, "Password": password("174379", "pass", utc)}))
	})
}

func TestCallbackURL(t *testing.T) {
	for _, test := range []struct {
		url                string
		want, withLoopback bool
	}{
		{"https://x.appwrite.run/0123456789abcdef/callback?id=0f&sig=0f", true, true},
		{"https://41.90.1.1:8443/callback", true, true},
		{"http://x.appwrite.run/callback", false, false},
		{"https://X.appwrite.run/callback", false, false},
		{"https://x.appwrite.run/M-Pesa", false, false},
		{"https://x.appwrite.run/mpesa", false, false},
		{"https://x.appwrite.run/SAFARICOM", false, false},
		{"https://x.appwrite.run/a.exe", false, false},
		{"https://x.appwrite.run/execute", false, false},
		{"https://x.appwrite.run/CMD", false, false},
		{"https://x.appwrite.run/sql", false, false},
		{"https://x.appwrite.run/?uid=myQuery", false, false},
		{"https://x.ngrok.io/callback", false, false},
		{"https://user@x.appwrite.run/", false, false},
		{"https://x.appwrite.run/#part", false, false},
		{"https://intranet/callback", false, false},
		{"https://10.0.0.1/callback", false, false},
		{"https://169.254.1.1/callback", false, false},
		{"/callback", false, false},
		{"", false, false},
		{"http://127.0.0.1:3000/callback", false, true},
		{"http://localhost:3000/callback", false, true},
		{"http://x.functions.localhost/callback", false, true},
		{"https://[::1]/callback", false, true},
		{"ftp://localhost/callback", false, false},
		{"http://localhost/query", false, false},
	} {
		t.Run(test.url, func(t *testing.T) {
			if got := (&Safaricom{}).callbackURL(test.url); got != test.want {
				t.Errorf("callbackURL = %v; want %v", got, test.want)
			}
			if got := (&Safaricom{AllowLoopback: true}).callbackURL(test.url); got != test.withLoopback {
				t.Errorf("callbackURL with AllowLoopback = %v; want %v", got, test.withLoopback)
			}
		})
	}
}

func TestPushRefused(t *testing.T) {
	const envelope = `{"Envelope":{"Body":{"Fault":{"faultcode":"env:Server","faultstring":"Execution of ServiceCallout SCO-AddURLVault failed. Reason: ResponseCode 409 is treated as error"}}}}`
	for _, test := range []struct {
		name   string
		before func(*world)
		change func(*world, map[string]any)
		want   string
	}{
		{"unknown shortcode", nil, func(w *world, b map[string]any) {
			setAll(map[string]any{"BusinessShortCode": "600998", "Password": password("600998", "pass", w.stamp())})(b)
		}, "500.001.1001 Merchant does not exist"},
		{"shortcode of another app", nil, func(w *world, b map[string]any) {
			setAll(map[string]any{"BusinessShortCode": "600999", "Password": password("600999", "pass", w.stamp())})(b)
		}, "500.001.1001 Merchant does not exist"},
		{"shortcode without a passkey", func(w *world) { w.AddMerchant(Merchant{ConsumerKey: "key", Shortcode: "600300"}) }, func(w *world, b map[string]any) {
			setAll(map[string]any{"BusinessShortCode": "600300", "Password": password("600300", "", w.stamp())})(b)
		}, "500.001.1001 Merchant does not exist"},
		{"wrong passkey", nil, func(w *world, b map[string]any) { b["Password"] = password("174379", "wrong", w.stamp()) },
			"500.001.1001 [MerchantValidate] - Wrong credentials"},
		{"password of another time", nil, func(w *world, b map[string]any) { b["Password"] = password("174379", "pass", "20260220115959") },
			"500.001.1001 [MerchantValidate] - Wrong credentials"},
		{"password in another order", nil, func(w *world, b map[string]any) { b["Password"] = password("pass", "174379", w.stamp()) },
			"500.001.1001 [MerchantValidate] - Wrong credentials"},
		{"a prompt is open", func(w *world) { w.push(ada) }, func(*world, map[string]any) {}, "500.001.1001 " + SubscriberLocked},
		{"a prompt is ignored", func(w *world) { w.SetPhone(ada, Phone{Answer: Asks}); w.Ignore(w.push(ada)) }, func(*world, map[string]any) {}, "500.001.1001 " + SubscriberLocked},
		{"in another session", func(w *world) { w.SetPhone(ada, Phone{Locked: true}) }, func(*world, map[string]any) {}, "500.001.1001 " + SubscriberLocked},
		{"reference with &", nil, func(w *world, b map[string]any) { b["AccountReference"] = "A&B" }, envelope},
		{"description with #", nil, func(w *world, b map[string]any) { b["TransactionDesc"] = "No #1" }, envelope},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.before != nil {
				test.before(w)
			}
			before := len(w.Ledger())
			body := w.pushBody(ada)
			test.change(w, body)
			status, answer := w.call(Push, body)
			if got := refusal(answer); status != 500 || got != test.want {
				t.Errorf("= %d %s; want 500 %s", status, got, test.want)
			}
			if n := len(w.Ledger()); n != before {
				t.Errorf("%d entries; want %d: a refused push shows nothing", n, before)
			}
		})
	}
}

func TestAcknowledgement(t *testing.T) {
	w := newWorld(t)
	seen := map[int]bool{}
	for range 20 {
		_, body := w.call(Push, w.pushBody(ada))
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		id := got["CheckoutRequestID"]
		if !regexp.MustCompile(`^ws_CO_20022026\d{6}\d(\d\d)?712345678$`).MatchString(id) {
			t.Errorf("CheckoutRequestID = %s; want time and phone", id)
		}
		seen[len(id)] = true
		const accepted = "Success. Request accepted for processing"
		want := map[string]string{"MerchantRequestID": got["MerchantRequestID"], "CheckoutRequestID": id, "ResponseCode": "0",
			"ResponseDescription": accepted, "CustomerMessage": accepted}
		if !reflect.DeepEqual(got, want) || len(got["MerchantRequestID"]) < 12 {
			t.Errorf("= %v; want %v", got, want)
		}
		w.Advance(3 * time.Minute)
	}
	if !seen[30] || !seen[32] {
		t.Errorf("lengths of CheckoutRequestID: %v; want 30 and 32", seen)
	}
}

func TestSameInstant(t *testing.T) {
	w := newWorld(t)
	w.SetPhone(ada, Phone{Answer: Asks})
	seen := map[string]bool{}
	for range 10 {
		id := w.push(ada)
		if seen[id] {
			t.Errorf("%s twice", id)
		}
		seen[id] = true
		if err := w.Cancel(id); err != nil {
			t.Error(err)
		}
	}
}

// stk is a callback of a push as it must be, key for key.
type stk struct {
	Body struct {
		StkCallback struct {
			MerchantRequestID, CheckoutRequestID string
			ResultCode                           json.RawMessage
			ResultDesc                           string
			CallbackMetadata                     *struct{ Item []item }
		} `json:"stkCallback"`
	}
}

func readSTK(t *testing.T, body string) stk {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	var c stk
	if err := d.Decode(&c); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return c
}

func TestPhone(t *testing.T) {
	for _, test := range []struct {
		answer    Answer
		at        time.Duration // of the callback
		code      string        // as it stands in the callback
		desc      string
		noPrompt  bool
		times     int
		queryWord string // where it differs
	}{
		{answer: "", at: 13 * time.Second, code: `0`, desc: "The service request is processed successfully."},
		{answer: Pays, at: 13 * time.Second, code: `0`, desc: "The service request is processed successfully."},
		{answer: Cancels, at: 21 * time.Second, code: `1032`, desc: "Request Cancelled by user."},
		{answer: WrongPIN, at: 13 * time.Second, code: `2001`, desc: "The initiator information is invalid."},
		{answer: NoMoney, at: 13 * time.Second, code: `1`, desc: "The balance is insufficient for the transaction."},
		{answer: Silent, at: 26 * time.Second, code: `1037`, desc: "No response from user.", queryWord: "DS timeout user cannot be reached."},
		{answer: Unreachable, at: 26 * time.Second, code: `1037`, desc: "DS timeout user cannot be reached", noPrompt: true, queryWord: "DS timeout user cannot be reached."},
		{answer: Asks, at: 61 * time.Second, code: `1037`, desc: "No response from user.", queryWord: "DS timeout user cannot be reached."},
		{answer: Expires, at: 78 * time.Second, code: `1019`, desc: "Transaction has expired", times: 2},
		{answer: BadDebt, at: 13 * time.Second, code: `"E3008"`, desc: "Error, the user has a bad debt contract.", times: -1},
		{answer: "11", at: 13 * time.Second, code: `11`, desc: "The DebitParty is in an invalid state."},
		{answer: "17", at: 4 * time.Second, code: `17`, desc: "Rule limited.", noPrompt: true},
		{answer: "1001", at: 4 * time.Second, code: `1001`, desc: "Unable to lock subscriber.", noPrompt: true},
		{answer: "1025", at: 4 * time.Second, code: `1025`, desc: "Error Occurred while sending push request", noPrompt: true},
		{answer: "1031", at: 13 * time.Second, code: `1031`, desc: "Request cancelled by user"},
		{answer: "2026", at: 13 * time.Second, code: `2026`, desc: "The channel session ID has expired."},
		{answer: "2028", at: 4 * time.Second, code: `2028`, desc: "The request is not permitted according to product assignment.", noPrompt: true},
		{answer: "8006", at: 13 * time.Second, code: `8006`, desc: "The security credential is locked."},
		{answer: "SFC_IC0003", at: 4 * time.Second, code: `"SFC_IC0003"`, desc: "The operator does not exist.", noPrompt: true},
		{answer: "BW-JMS-100039", at: 13 * time.Second, code: `"BW-JMS-100039"`, desc: "There was an unexpected error while sending a message."},
		{answer: "1036", at: 13 * time.Second, code: `1036`, desc: "The transaction has failed."},
	} {
		t.Run(string(test.answer), func(t *testing.T) {
			w := newWorld(t)
			w.SetPhone(ada, Phone{Answer: test.answer})
			id := w.push(ada)
			if n := len(w.Prompts(ada)); (n == 0) != test.noPrompt {
				t.Errorf("%d prompts; want none: %v", n, test.noPrompt)
			}
			w.advance(test.at - time.Millisecond)
			if got := w.received(); len(got) != 0 {
				t.Errorf("before %v: %v", test.at, got)
			}
			w.advance(test.at)
			bodies := w.received()
			if want := max(test.times, 1) - max(-test.times, 0); len(bodies) != want {
				t.Fatalf("%d callbacks; want %d", len(bodies), want)
			}
			desc := test.desc
			if len(bodies) > 0 {
				c := readSTK(t, bodies[0]).Body.StkCallback
				if string(c.ResultCode) != test.code {
					t.Errorf("ResultCode = %s; want %s", c.ResultCode, test.code)
				}
				if c.ResultDesc != test.desc && c.ResultDesc != "Request cancelled by user" {
					t.Errorf("ResultDesc = %s; want %s", c.ResultDesc, test.desc)
				}
				if c.CheckoutRequestID != id {
					t.Errorf("CheckoutRequestID = %s; want %s", c.CheckoutRequestID, id)
				}
				if (c.CallbackMetadata != nil) != (test.code == "0") {
					t.Errorf("metadata with code %s: %s", test.code, bodies[0])
				}
			}
			if test.queryWord != "" {
				desc = test.queryWord
			}
			code := strings.Trim(test.code, `"`)
			want := fmt.Sprintf(`"ResultCode":"%s","ResultDesc":"%s"}`, code, desc)
			if status, body := w.call(Query, w.queryBody(id)); status != 200 || !strings.HasSuffix(body, want) {
				t.Errorf("query = %d %s; want 200 …%s", status, body, want)
			}
			_, paid := w.Paid(id)
			if want := test.code == "0"; paid != want {
				t.Errorf("Paid = %v; want %v", paid, want)
			}
			w.Advance(time.Hour)
			if n := len(w.received()); n != len(bodies) {
				t.Errorf("%d callbacks in the end; want %d", n, len(bodies))
			}
		})
	}
	t.Run("late", func(t *testing.T) {
		w := newWorld(t)
		w.SetPhone(ada, Phone{After: 90 * time.Second})
		id := w.push(ada)
		w.advance(90*time.Second - 1)
		if _, paid := w.Paid(id); paid {
			t.Error("paid early")
		}
		w.advance(90 * time.Second)
		if e, paid := w.Paid(id); !paid || e.At != noon.Add(90*time.Second) {
			t.Errorf("Paid = %+v, %v; want at 90 s", e, paid)
		}
	})
	t.Run("strangers", func(t *testing.T) {
		w := newWorld(t, func(s *Safaricom) { s.Strangers = Phone{Answer: Cancels} })
		w.SetPhone(berta, Phone{})
		a, b := w.push(ada), w.push(berta)
		w.Advance(time.Minute)
		if _, paid := w.Paid(a); paid {
			t.Error("a stranger paid")
		}
		if _, paid := w.Paid(b); !paid {
			t.Error("a phone that was set did not pay")
		}
	})
}

func TestWrongMix(t *testing.T) {
	till := func(w *world, change ...func(map[string]any)) func(map[string]any) {
		return func(b map[string]any) {
			setAll(map[string]any{"BusinessShortCode": "600100", "Password": password("600100", "tillpass", w.stamp()),
				"TransactionType": "CustomerBuyGoodsOnline", "PartyB": "600101"})(b)
			for _, f := range change {
				f(b)
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*world) func(map[string]any)
		want   string
	}{
		{"till", func(w *world) func(map[string]any) { return till(w) }, `0`},
		{"till with its store as payee", func(w *world) func(map[string]any) { return till(w, set("PartyB", "600100")) }, `"SFC_IC0003"`},
		{"till as a pay bill", func(w *world) func(map[string]any) { return till(w, set("TransactionType", "CustomerPayBillOnline")) }, `2028`},
		{"pay bill as a till", func(w *world) func(map[string]any) { return set("TransactionType", "CustomerBuyGoodsOnline") }, `2028`},
		{"pay bill of another", func(w *world) func(map[string]any) { return set("PartyB", "600101") }, `"SFC_IC0003"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.push(ada, test.change(w)) // accepted all the same
			w.Advance(time.Minute)
			bodies := w.received()
			if len(bodies) != 1 {
				t.Fatalf("%d callbacks; want 1", len(bodies))
			}
			if got := string(readSTK(t, bodies[0]).Body.StkCallback.ResultCode); got != test.want {
				t.Errorf("ResultCode = %s; want %s", got, test.want)
			}
			if got := w.got[0].Header.Get("Businessshortcode"); test.name == "till" && got != "600100" {
				t.Errorf("Businessshortcode = %s; want the store's", got)
			}
		})
	}
}

func TestRepeat(t *testing.T) {
	for _, test := range []struct {
		name   string
		first  Answer
		after  time.Duration // from the first payment's end, at 12 s
		change func(map[string]any)
		phone  string
		allow  bool
		want   string
	}{
		{name: "same amount", after: 2*time.Minute - 1, want: "17"},
		{name: "two minutes later", after: 2 * time.Minute, want: "0"},
		{name: "another amount", after: 10 * time.Second, change: set("Amount", "11"), want: "0"},
		{name: "another phone", after: 10 * time.Second, phone: berta, want: "0"},
		{name: "another merchant", after: 10 * time.Second, change: setAll(map[string]any{"BusinessShortCode": "600100", "PartyB": "600101",
			"Password": password("600100", "tillpass", "20260220120022"), "TransactionType": "CustomerBuyGoodsOnline"}), want: "0"},
		{name: "the first was not paid", first: WrongPIN, after: 10 * time.Second, want: "0"},
		{name: "allowed", after: 10 * time.Second, allow: true, want: "0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(s *Safaricom) { s.AllowRepeats = test.allow })
			w.SetPhone(ada, Phone{Answer: test.first})
			w.push(ada)
			w.advance(12*time.Second + test.after)
			w.SetPhone(ada, Phone{})
			phone, change := ada, test.change
			if test.phone != "" {
				phone = test.phone
			}
			if change == nil {
				change = set("x")
			}
			w.push(phone, change)
			w.Advance(time.Minute)
			bodies := w.received()
			if len(bodies) != 2 {
				t.Fatalf("%d callbacks; want 2", len(bodies))
			}
			if got := string(readSTK(t, bodies[1]).Body.StkCallback.ResultCode); got != test.want {
				t.Errorf("ResultCode = %s; want %s", got, test.want)
			}
		})
	}
}

func TestAnsweredByHand(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*world, string) error
		code string
		at   time.Duration // of the callback
	}{
		{"pays", func(w *world, id string) error { return w.Pay(id, "4321") }, "0", 6 * time.Second},
		{"wrong PIN", func(w *world, id string) error { return w.Pay(id, "1234") }, "2001", 6 * time.Second},
		{"cancels", func(w *world, id string) error { return w.Cancel(id) }, "1032", 6 * time.Second},
		{"ignores", func(w *world, id string) error { return w.Ignore(id) }, "1037", 61 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			var seen []Prompt
			stop := w.OnPrompt(func(p Prompt) { seen = append(seen, p) })
			w.SetPhone(ada, Phone{Answer: Asks, PIN: "4321"})
			id := w.push(ada)
			want := Prompt{CheckoutRequestID: id, Business: "Duka", Shortcode: "174379", Phone: ada, Amount: 10, Reference: "INV-1",
				Description: "Tea", CallBackURL: w.receiver.URL + "/callback?id=1", At: noon, Open: true}
			want.MerchantRequestID = seen[0].MerchantRequestID
			if len(seen) != 1 || seen[0] != want {
				t.Errorf("OnPrompt: %+v; want %+v", seen, want)
			}
			if got := w.Prompts(ada); len(got) != 1 || got[0] != want {
				t.Errorf("Prompts = %+v; want %+v", got, want)
			}
			if got := w.Prompts(berta); got != nil {
				t.Errorf("Prompts of another = %+v", got)
			}

			w.advance(5 * time.Second)
			if err := test.do(w, id); err != nil {
				t.Fatal(err)
			}
			if err := w.Pay(id, "4321"); err == nil {
				t.Error("answered twice")
			}
			if len(seen) != 2 || seen[1].Open {
				t.Errorf("OnPrompt: %+v; want the second closed", seen)
			}
			w.advance(test.at - 1)
			if got := w.received(); len(got) != 0 {
				t.Errorf("before %v: %v", test.at, got)
			}
			w.advance(test.at)
			if got := w.received(); len(got) != 1 || string(readSTK(t, got[0]).Body.StkCallback.ResultCode) != test.code {
				t.Errorf("callbacks: %v; want one with %s", got, test.code)
			}
			if got := w.Prompts(ada)[0].Code; got != test.code {
				t.Errorf("Code = %s; want %s", got, test.code)
			}
			if _, paid := w.Paid(id); paid != (test.code == "0") {
				t.Errorf("Paid = %v", paid)
			}
			n := len(seen)
			stop()
			w.Advance(3 * time.Minute)
			if n := len(w.received()); n != 1 {
				t.Errorf("%d callbacks in the end; want 1", n)
			}
			w.push(ada)
			if len(seen) != n {
				t.Error("called after stop")
			}
		})
	}
	t.Run("no such prompt", func(t *testing.T) {
		w := newWorld(t)
		w.SetPhone(ada, Phone{Answer: Unreachable})
		id := w.push(ada)
		if w.Pay("nope", "1234") == nil || w.Cancel(id) == nil || w.Ignore(id) == nil {
			t.Error("answered what is not there")
		}
	})
}

func TestPaymentCallback(t *testing.T) {
	w := newWorld(t)
	w.answer = http.StatusInternalServerError // is not posted again
	seen := map[string]bool{}
	for i := range 40 {
		id := w.push(ada, set("Amount", itoa(i+1)))
		w.Advance(20 * time.Second)
		bodies := w.received()
		if len(bodies) != i+1 {
			t.Fatalf("%d callbacks; want %d", len(bodies), i+1)
		}
		entry, _ := w.Paid(id)
		c := readSTK(t, bodies[i]).Body.StkCallback
		var names []string
		values := map[string]string{}
		for _, it := range c.CallbackMetadata.Item {
			names = append(names, it.Name)
			values[it.Name] = string(it.Value)
		}
		want := []string{"Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber"}
		if !slices.Contains(names, "Balance") {
			want = slices.Delete(want, 2, 3)
			seen["no balance"] = true
		} else {
			seen["balance"] = true
		}
		if !slices.Equal(names, want) {
			t.Errorf("items %v; want %v", names, want)
		}
		if got := values["Amount"]; got == itoa(i+1)+".00" {
			seen["decimals"] = true
		} else if got == itoa(i+1) {
			seen["whole"] = true
		} else {
			t.Errorf("Amount = %s; want %d", got, i+1)
		}
		if got := values["MpesaReceiptNumber"]; got != `"`+entry.Receipt+`"` || len(entry.Receipt) != 10 {
			t.Errorf("MpesaReceiptNumber = %s; want %s", got, entry.Receipt)
		}
		if got := values["TransactionDate"]; got != entry.At.UTC().Add(3*time.Hour).Format("20060102150405") {
			t.Errorf("TransactionDate = %s; paid at %v", got, entry.At)
		}
		if got := values["PhoneNumber"] + values["Balance"]; got != ada {
			t.Errorf("PhoneNumber and Balance = %s; want %s", got, ada)
		}
		if strings.Contains(bodies[i], "INV-1") || strings.Contains(bodies[i], "Tea") {
			t.Errorf("%s repeats what the caller chose", bodies[i])
		}
	}
	if len(seen) != 4 {
		t.Errorf("seen: %v; want all four forms", seen)
	}
	r := w.got[0]
	for name, want := range map[string]string{"User-Agent": "ReactorNetty/1.2.9", "Content-Type": "application/json;charset=UTF-8",
		"Accept": "*/*", "Accept-Encoding": "gzip", "Businessshortcode": "174379"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
	if r.Method != "POST" || r.URL.String() != "/callback?id=1" {
		t.Errorf("%s %s; want the URL as it was given", r.Method, r.URL)
	}
	d := w.Deliveries()[0]
	if d.Operation != Push || d.Status != 500 || d.Err != nil || string(d.Body) != w.received()[0] || d.At != noon.Add(13*time.Second) {
		t.Errorf("Deliveries = %+v", d)
	}
}

func TestReceiverDown(t *testing.T) {
	w := newWorld(t)
	w.push(ada)
	w.receiver.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w.Advance(time.Hour)
	if d := w.Deliveries(); len(d) != 1 || d[0].Err == nil || d[0].Status != 0 {
		t.Errorf("Deliveries = %+v; want one error", d)
	}
	if n := w.Collected("174379"); n != 10 {
		t.Errorf("collected %d; want 10: money does not wait for a callback", n)
	}
}

func TestLedger(t *testing.T) {
	w := newWorld(t)
	w.SetPhone(berta, Phone{Answer: Cancels})
	a, b := w.push(ada), w.push(berta)
	w.payout("out-1")
	w.Advance(time.Minute)
	receipt := func(id string) string { e, _ := w.Paid(id); return e.Receipt }
	url := w.receiver.URL + "/callback?id=1"
	want := []Entry{
		{Prompted, noon, a, "", "174379", ada, 10, "INV-1", url},
		{Prompted, noon, b, "", "174379", berta, 10, "INV-1", url},
		{PaidOut, noon.Add(4 * time.Second), "out-1", receipt("out-1"), "174379", ada, 100, "Refund", w.receiver.URL + "/result"},
		{Paid, noon.Add(12 * time.Second), a, receipt(a), "174379", ada, 10, "INV-1", url},
	}
	if got := w.Ledger(); !reflect.DeepEqual(got, want) {
		t.Errorf("Ledger =\n%+v\nwant\n%+v", got, want)
	}
	if c, f := w.Collected("174379"), w.Float("174379"); c != 10 || f != 900 {
		t.Errorf("Collected = %d, Float = %d; want 10, 900", c, f)
	}
	if c, f := w.Collected("nope"), w.Float("nope"); c != 0 || f != 0 {
		t.Errorf("of nobody: %d, %d", c, f)
	}
}
