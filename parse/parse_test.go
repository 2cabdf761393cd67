package parse

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// paid is a callback that is right in every part; each test breaks one.
const paid = `{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"ResultDesc":"Done.",
	"CallbackMetadata":{"Item":[{"Name":"Amount","Value":1000},{"Name":"MpesaReceiptNumber","Value":"UKN7X1Q9ZK"},
	{"Name":"TransactionDate","Value":20261123093005},{"Name":"PhoneNumber","Value":254700000001}]}}}}`

// paidOut is the same for a disbursement.
const paidOut = `{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"Done.","OriginatorConversationID":"o-1",
	"ConversationID":"AG_1","TransactionID":"UKN8B20LMN","ResultParameters":{"ResultParameter":[
	{"Key":"TransactionAmount","Value":500},{"Key":"TransactionReceipt","Value":"UKN8B20LMN"},
	{"Key":"ReceiverPartyPublicName","Value":"0700000002 - Amina Wambui"},
	{"Key":"TransactionCompletedDateTime","Value":"23.11.2026 09:30:05"}]}}}`

var halfPastSix = time.Date(2026, 11, 23, 6, 30, 5, 0, time.UTC) // 09:30:05 in Nairobi

// with returns body with the first occurrence of old replaced; it must be there.
func with(t testing.TB, body, old, new string) []byte {
	t.Helper()
	if !strings.Contains(body, old) {
		t.Fatalf("the payload holds no %s", old)
	}
	return []byte(strings.Replace(body, old, new, 1))
}

// check compares what a parser made of a body with the verdict that it should be.
func check(t *testing.T, parse func([]byte) (Verdict, error), body []byte, want Verdict) {
	t.Helper()
	got, err := parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the verdict is\n%+v, want\n%+v", got, want)
	}
}

// payment and disbursement are the verdicts of paid and paidOut, with what a test
// changes.
func payment(change func(*Verdict)) Verdict {
	v := Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success, Receipt: "UKN7X1Q9ZK", Amount: 1000, At: halfPastSix}
	change(&v)
	return v
}

func disbursement(change func(*Verdict)) Verdict {
	v := Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Success, Receipt: "UKN8B20LMN",
		Amount: 500, Receiver: "0700000002 - Amina Wambui", At: halfPastSix}
	change(&v)
	return v
}

func TestWhole(t *testing.T) {
	t.Run("STK", func(t *testing.T) { check(t, STK, []byte(paid), payment(func(*Verdict) {})) })
	t.Run("B2C", func(t *testing.T) { check(t, B2C, []byte(paidOut), disbursement(func(*Verdict) {})) })
}

func TestResultCode(t *testing.T) {
	tests := []struct {
		code   string // as it stands in the JSON
		n      int
		status Status
		reason string
	}{
		{`0`, 0, Success, ""},
		{`"0"`, 0, Success, ""},
		{`" 0 "`, 0, Success, ""},
		{`0.0`, 0, Success, ""},
		{`1032`, 1032, Cancelled, "Done."},
		{`"1032"`, 1032, Cancelled, "Done."},
		{`1032.0`, 1032, Cancelled, "Done."},
		{`1.032e3`, 1032, Cancelled, "Done."},
		{`"2001"`, 2001, Failed, "Done."},
		{`2147483647`, 2147483647, Timeout, "Done."},
		{`-5`, -5, Timeout, "Done."},
		{`-0`, 0, Success, ""},
		{`-1`, -1, Timeout, "Done."}, // which stands for a word, too
		// Everything else is a word.
		{`"SFC_IC0003"`, NoCode, Failed, "SFC_IC0003: Done."},
		{`"BW-JMS-100039"`, NoCode, Timeout, "BW-JMS-100039: Done."},
		{`"sfc_ic0003"`, NoCode, Timeout, "sfc_ic0003: Done."},
		{`"00"`, NoCode, Timeout, "00: Done."},
		{`"01032"`, NoCode, Timeout, "01032: Done."},
		{`"1032.0"`, NoCode, Timeout, "1032.0: Done."},
		{`"-1"`, NoCode, Timeout, "-1: Done."},
		{`"+1"`, NoCode, Timeout, "+1: Done."},
		{`1032.5`, NoCode, Timeout, "1032.5: Done."},
		{`2147483648`, NoCode, Timeout, "2147483648: Done."},
		{`"2147483648"`, NoCode, Timeout, "2147483648: Done."},
		{`-2147483649`, NoCode, Timeout, "-2147483649: Done."},
		{`99999999999999999999999`, NoCode, Timeout, "99999999999999999999999: Done."},
		{`"99999999999999999999999"`, NoCode, Timeout, "99999999999999999999999: Done."},
		{`1e400`, NoCode, Timeout, "1e400: Done."},
		{`1e999999999`, NoCode, Timeout, "1e999999999: Done."},
		{`0.5`, NoCode, Timeout, "0.5: Done."},
		{`1e-400`, NoCode, Timeout, "1e-400: Done."}, // a float64 would say 0, which is "paid"
		{`0.00000000000000000000000000001`, NoCode, Timeout, "0.00000000000000000000000000001: Done."},
		{`"{x"`, NoCode, Timeout, "{x: Done."},
		{`"x\u0000"`, NoCode, Timeout, "x\x00: Done."},
		{`true`, NoCode, Timeout, "true: Done."},
		// And these are not even that.
		{`null`, NoCode, Timeout, "Done."},
		{`""`, NoCode, Timeout, "Done."},
		{`"  "`, NoCode, Timeout, "Done."},
		{`{"code":0}`, NoCode, Timeout, "Done."},
		{`[0]`, NoCode, Timeout, "Done."},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			check(t, STK, with(t, paid, `"ResultCode":0`, `"ResultCode":`+tt.code), payment(func(v *Verdict) {
				v.Code, v.Status, v.Reason = tt.n, tt.status, tt.reason
				if v.Status != Success {
					v.Receipt = "" // though there is one
				}
			}))
		})
	}
	t.Run("no code", func(t *testing.T) {
		check(t, STK, with(t, paid, `"ResultCode":0,`, ``), payment(func(v *Verdict) {
			v.Code, v.Status, v.Reason, v.Receipt = NoCode, Timeout, "Done.", ""
		}))
	})
	t.Run("a failed disbursement", func(t *testing.T) {
		check(t, B2C, with(t, paidOut, `"ResultCode":0`, `"ResultCode":2001`), disbursement(func(v *Verdict) {
			v.Code, v.Status, v.Reason, v.Receipt = 2001, Failed, "Done.", ""
		}))
	})
}

// TestReason has what Safaricom's words may be instead of words.
func TestReason(t *testing.T) {
	for member, want := range map[string]string{
		`"ResultDesc":"Done."`:               "Done.",
		`"ResultDesc":42`:                    "42",
		`"ResultDesc":""`:                    "",
		`"ResultDesc":null`:                  "",
		`"ResultDesc":{"en":"x"}`:            "",
		`"ResultDesc":["x"]`:                 "",
		`"Desc":"x"`:                         "",
		`"ResultDesc":"a\r\nb\u0000\u2028"`:  "a\r\nb\x00\u2028",
		`"ResultDesc":"lone \ud800"`:         "lone \uFFFD",
		"\"ResultDesc\":\"not \xff UTF-8\"":  "not \uFFFD UTF-8",
		`"ResultDesc":" {\"method\":\"x\"}"`: ` {"method":"x"}`,
	} {
		t.Run(member, func(t *testing.T) {
			body := with(t, paid, `"ResultCode":0,"ResultDesc":"Done."`, `"ResultCode":1,`+member)
			check(t, STK, body, payment(func(v *Verdict) { v.Code, v.Status, v.Receipt, v.Reason = 1, Failed, "", want }))
			body = with(t, paidOut, `"ResultCode":0,"ResultDesc":"Done."`, `"ResultCode":1,`+member)
			check(t, B2C, body, disbursement(func(v *Verdict) { v.Code, v.Status, v.Receipt, v.Reason = 1, Failed, "", want }))
			check(t, B2CTimeout, body, Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Timeout, Code: 1, Reason: want})
		})
	}
	t.Run("a word alone", func(t *testing.T) {
		body := with(t, paid, `"ResultCode":0,"ResultDesc":"Done."`, `"ResultCode":"X"`)
		check(t, STK, body, payment(func(v *Verdict) { v.Code, v.Status, v.Receipt, v.Reason = NoCode, Timeout, "", "X" }))
	})
}

// TestStatus holds the table of codes to the contract, code by code, those that
// nobody listed included.
func TestStatus(t *testing.T) {
	contract := map[Kind]map[string]Status{
		Payment: listed("0", "1031 1032",
			"1 2 3 4 8 11 17 26 1001 1019 1025 2001 2028 8006 SFC_IC0003"),
		Disbursement: listed("0", "",
			"1 2 3 4 8 11 21 26 2001 2006 2028 2040 8006 SFC_IC0003"),
	}
	words := []string{"BW-JMS-100039", "TP40153", "R000001", "R000002", "SFC_IC0003", "100000000", ""}
	for n := -10; n < 10_000; n++ {
		words = append(words, fmt.Sprint(n))
	}
	for kind, statuses := range contract {
		for _, w := range words { // 20,000 of them: too many for subtests
			want, known := statuses[w]
			if !known {
				want = Timeout
			}
			n, word := resultCode(scalar{text: w, quoted: true})
			if got := statusOf(kind, n, word); got != want {
				t.Errorf("status of %s %q = %s, want %s", kind, w, got, want)
			}
		}
	}
}

func listed(success, cancelled, failed string) map[string]Status {
	statuses := map[string]Status{}
	for status, codes := range map[Status]string{Success: success, Cancelled: cancelled, Failed: failed} {
		for _, c := range strings.Fields(codes) {
			statuses[c] = status
		}
	}
	return statuses
}

func TestCodesAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes() {
		if c.Meaning == "" || c.Source == "" {
			t.Errorf("code %s of a %s has no meaning or no source", c.Code, c.Kind)
		}
		key := string(c.Kind) + " " + c.Code
		if c.Code == "" {
			key += string(c.Status)
		}
		if seen[key] {
			t.Errorf("code %s of a %s is listed twice", c.Code, c.Kind)
		}
		seen[key] = true
	}
}

// TestMessages holds what people are told to the money: "not completed" is said, and
// asking again called safe, only where it is known that none moved.
func TestMessages(t *testing.T) {
	failure := regexp.MustCompile(`(?i)not completed|failed|cancelled|hayakukamilika|halikukamilika|hazikutumwa|lilighairiwa`)
	success := regexp.MustCompile(`(?i)completed\. Thank|Payout completed|malipo yamekamilika\. Asante|^Pesa zimetumwa`)
	for _, c := range Codes() {
		t.Run(fmt.Sprintf("%s %s %s", c.Kind, c.Status, c.Code), func(t *testing.T) {
			ended := c.Status == Failed || c.Status == Cancelled
			for _, said := range []string{c.English, c.Swahili} {
				if got := failure.MatchString(said); got != ended {
					t.Errorf("says that it failed: %t, want %t: %s", got, ended, said)
				}
				if got := success.MatchString(said); got != (c.Status == Success) {
					t.Errorf("says that it is paid: %t: %s", got, said)
				}
				if len(said) > 160 || !strings.HasSuffix(said, ".") {
					t.Errorf("%d characters, want a sentence that fits into one SMS of 160: %s", len(said), said)
				}
			}
			// An earlier request of the same amount, or the one in the way, may have been paid.
			another := c.Kind == Payment && c.Code == "17" || strings.HasPrefix(c.Code, NotSent)
			if want := ended && !another; c.AskAgain != want {
				t.Errorf("safe to ask again: %t, want %t", c.AskAgain, want)
			}
		})
	}
}

// TestReadmeCodes: the README has the table as it is, and what is said before a receipt is
// there. With -update the table is written anew.
func TestReadmeCodes(t *testing.T) {
	var table strings.Builder
	for _, kind := range []Kind{Payment, Disbursement} {
		fmt.Fprintf(&table, "| Code of a %s | Status | English | Swahili | Safe to ask again |\n|---|---|---|---|---|\n", kind)
		for _, c := range Codes() {
			if c.Kind != kind {
				continue
			}
			again := map[bool]string{true: "yes", false: "no"}[c.AskAgain]
			fmt.Fprintf(&table, "| %s | `%s` | %s | %s | %s |\n", cmp.Or(c.Code, "any other"), c.Status, c.English, c.Swahili, again)
		}
		table.WriteString("\n")
	}
	const file, heading = "../README.md", "\n### What to tell the customer\n"
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(readme), heading)
	section, after, _ := strings.Cut(rest, "\n### ")
	words, got, tabled := strings.Cut(section, "\n| Code of a ")
	if !found || !tabled {
		t.Fatal("the README has no table of codes")
	}
	want := strings.TrimPrefix(table.String(), "| Code of a ")
	for _, said := range []string{ReceiptFollows, ReceiptFollowsSW} {
		if !strings.Contains(strings.Join(strings.Fields(words), " "), said) {
			t.Errorf("the README does not say %q", said)
		}
	}
	if *update {
		anew := before + heading + words + "\n| Code of a " + want + "\n### " + after
		if err := os.WriteFile(file, []byte(strings.Replace(anew, "\n\n\n### ", "\n\n### ", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got != strings.TrimSuffix(want, "\n") && !*update {
		t.Errorf("the README's table of codes is\n%s\nwant\n%s(go test ./parse -run Readme -update writes it)", got, want)
	}
}

func TestExplain(t *testing.T) {
	tests := []struct {
		name   string
		kind   Kind
		status Status
		code   int
		reason string
		want   string // code and status of the row
	}{
		{"a number", Payment, Failed, 2001, "The initiator information is invalid.", "2001 FAILED"},
		{"the other kind", Disbursement, Failed, 2001, "", "2001 FAILED"},
		{"a word", Payment, Failed, NoCode, "SFC_IC0003: no such party", "SFC_IC0003 FAILED"},
		{"a word alone", Payment, Timeout, NoCode, "BW-JMS-100039", "BW-JMS-100039 TIMEOUT"},
		{"a word beside a number", Payment, Failed, 1, "SFC_IC0003: x", "1 FAILED"},
		{"not sent", Payment, Failed, NoCode, "NOT_SENT: no token", " FAILED"},
		{"not sent for another", Payment, Failed, NoCode, "NOT_SENT: another payment is open; finish it first", "NOT_SENT: another payment is open FAILED"},
		{"not sent for its like", Disbursement, Failed, NoCode, "NOT_SENT: the same payout was asked for before; what became of it is not known", "NOT_SENT: the same payout was asked for before FAILED"},
		{"not listed", Payment, Failed, 31, "", " FAILED"},
		{"pending", Payment, pending, NoCode, "NOT_SENT: interrupted", " PENDING"},
		{"a pending payout", Disbursement, pending, NoCode, "", " PENDING"},
		{"paid", Payment, Success, 0, "", "0 SUCCESS"},
		{"a queue timeout under a failure's code", Disbursement, Timeout, 1, "The service request has timed out.", " TIMEOUT"},
		{"a code of another status", Payment, Timeout, 1032, "", " TIMEOUT"},
		{"a status that nobody knows", Payment, "REVERSED", 1, "", " TIMEOUT"},
		{"cancelled under another code", Payment, Cancelled, 9, "", " CANCELLED"},
		{"a payout cannot be cancelled", Disbursement, Cancelled, 1032, "", " TIMEOUT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Explain(tt.kind, tt.status, tt.code, tt.reason)
			if row := got.Code + " " + string(got.Status); row != tt.want || got.Kind != tt.kind || got.English == "" {
				t.Errorf("Explain = %s %q, want %q", got.Kind, row, tt.want)
			}
		})
	}
	causes := map[string]Cause{}
	for _, c := range Codes() {
		if c.Cause != "" {
			causes[string(c.Kind)+" "+c.Code] = c.Cause
		}
	}
	if want := (map[string]Cause{"payment 1": NotEnoughFunds, "payment 2001": WrongPIN, "payment 1001": SubscriberLocked}); !maps.Equal(causes, want) {
		t.Errorf("causes %v, want those of the published client: %v", causes, want)
	}
}

// TestAmount has what the amount may be, in both messages.
func TestAmount(t *testing.T) {
	const cut, odd = "fraction cut off", "not a whole number of shillings"
	tests := []struct {
		value   string
		want    int64
		warning string
	}{
		{`1`, 1, ""},
		{`71.00`, 71, ""},
		{`"71"`, 71, ""},
		{`"71.00"`, 71, ""},
		{`71.0`, 71, ""},
		{`71.000`, 71, ""},
		{`7100.01`, 7100, cut},
		{`"+71"`, 0, odd}, // as its decimals are
		{`"071"`, 0, odd},
		{`"-0"`, 0, odd},
		{`"071.00"`, 0, odd},
		{`"+71.00"`, 0, odd},
		{`" 71 "`, 71, ""},
		{`7.1e1`, 71, ""},
		{`"1E+3"`, 1000, ""},
		{`250000`, 250000, ""},
		{`9007199254740993`, 9007199254740993, ""}, // no float64
		{`71.50`, 71, cut},
		{`"71.99"`, 71, cut},
		{`0.5`, 0, odd},
		{`0`, 0, odd},
		{`-71`, 0, odd},
		{`"1,000"`, 0, odd},
		{`"KES 71"`, 0, odd},
		{`"NaN"`, 0, odd},
		{`"Inf"`, 0, odd},
		{`"0x47"`, 0, odd},
		{`"7/1"`, 0, odd},
		{`"1_000"`, 0, odd},
		{`1e15`, 1000000000000000, ""},
		{`100000000000000e-13`, 10, ""},
		{`10e-100`, 0, odd},
		{`1e999999999`, 0, odd},
		{`1e-999999999`, 0, odd},
		{`9223372036854775808`, 0, odd},
		{`true`, 0, odd},
		{`""`, 0, ""},
		{`null`, 0, ""},
		{`{}`, 0, ""},
		{`[71]`, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			warning := func(name string) string {
				if tt.warning == "" {
					return ""
				}
				return name + ": " + tt.warning
			}
			check(t, STK, with(t, paid, `"Amount","Value":1000`, `"Amount","Value":`+tt.value),
				payment(func(v *Verdict) { v.Amount, v.Warning = tt.want, warning("Amount") }))
			check(t, B2C, with(t, paidOut, `"TransactionAmount","Value":500`, `"TransactionAmount","Value":`+tt.value),
				disbursement(func(v *Verdict) { v.Amount, v.Warning = tt.want, warning("TransactionAmount") }))
		})
	}
	t.Run("no value", func(t *testing.T) {
		check(t, STK, with(t, paid, `"Amount","Value":1000`, `"Amount"`), payment(func(v *Verdict) { v.Amount = 0 }))
		check(t, B2C, with(t, paidOut, `"TransactionAmount","Value":500`, `"TransactionAmount"`), disbursement(func(v *Verdict) { v.Amount = 0 }))
	})
}

func TestReceipt(t *testing.T) {
	const odd = "MpesaReceiptNumber: not a receipt"
	tests := []struct{ value, want, warning string }{
		{`"UKN7X1Q9ZK"`, "UKN7X1Q9ZK", ""},
		{`"A"`, "A", ""},
		{`"ABCDEFGHIJ0123456789"`, "ABCDEFGHIJ0123456789", ""},
		{`1234567890`, "1234567890", ""},
		{`"ABCDEFGHIJ0123456789X"`, "", odd},
		{`"ukn7x1q9zk"`, "", odd},
		{`"UKN7X1Q9Z "`, "", odd},
		{`"UKN7-1Q9ZK"`, "", odd},
		{`"ÜKN7X1Q9ZK"`, "", odd},
		{`12.5`, "", odd},
		{`"UKN7X1Q9Z\u0000"`, "", odd},
		{`" UKN7X1Q9ZK"`, "", odd},
		{`4.8E9`, "", odd},
		{`true`, "", odd},
		{`""`, "", ""},
		{`null`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			check(t, STK, with(t, paid, `"UKN7X1Q9ZK"`, tt.value), payment(func(v *Verdict) { v.Receipt, v.Warning = tt.want, tt.warning }))
		})
	}
}

func TestB2CReceipt(t *testing.T) {
	const odd, oddID = "TransactionReceipt: not a receipt", "TransactionID: not a receipt"
	tests := []struct{ name, receipt, id, want, warning string }{
		{"both, and they differ", `"UKN0000001"`, `"UKN0000002"`, "UKN0000001", ""},
		{"no receipt", `null`, `"UKN0000002"`, "UKN0000002", ""},
		{"malformed receipt", `"ukn"`, `"UKN0000002"`, "UKN0000002", odd},
		{"receipt as a number", `7204815396`, `"UKN0000002"`, "7204815396", ""},
		{"receipt that is a placeholder", `"UKN0000000"`, `"UKN0000002"`, "UKN0000000", ""},
		{"placeholder", `null`, `"UKN0000000"`, "", ""},
		{"six zeros", `null`, `"UKN1000000"`, "UKN1000000", ""},
		{"sixteen zeros", `null`, `"0000000000000000"`, "", ""},
		{"three zeros", `null`, `"000"`, "", ""},
		{"id as a number", `null`, `8159032647`, "8159032647", ""},
		{"neither", `null`, `null`, "", ""},
		{"malformed id", `null`, `"a b"`, "", oddID},
		{"both malformed", `"ukn"`, `"a b"`, "", odd + "; " + oddID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := with(t, paidOut, `"TransactionID":"UKN8B20LMN"`, `"TransactionID":`+tt.id)
			body = with(t, string(body), `"TransactionReceipt","Value":"UKN8B20LMN"`, `"TransactionReceipt","Value":`+tt.receipt)
			check(t, B2C, body, disbursement(func(v *Verdict) { v.Receipt, v.Warning = tt.want, tt.warning }))
		})
	}
	t.Run("no value", func(t *testing.T) {
		body := with(t, paidOut, `"TransactionReceipt","Value":"UKN8B20LMN"`, `"TransactionReceipt"`)
		check(t, B2C, body, disbursement(func(*Verdict) {}))
	})
}

// TestReceiver has what the payee's name may be.
func TestReceiver(t *testing.T) {
	for value, want := range map[string]string{
		`"25470****038 - HALIMA NEKESA"`:            "25470****038 - HALIMA NEKESA",
		`"254700000048 - Z\u00cbWADI \ud83d\ude00"`: "254700000048 - ZËWADI 😀",
		`"ZAWADI \ud800KIOKO"`:                      "ZAWADI \uFFFDKIOKO",
		`"ZAWADI\u0000 KIOKO"`:                      "ZAWADI\x00 KIOKO",
		`"{\"method\":\"x\"}"`:                      `{"method":"x"}`,
		`254100000042`:                              "254100000042",
		`""`:                                        "",
		`"  "`:                                      "",
		`null`:                                      "",
		`{"name":"x"}`:                              "",
	} {
		t.Run(value, func(t *testing.T) {
			body := with(t, paidOut, `"0700000002 - Amina Wambui"`, value)
			check(t, B2C, body, disbursement(func(v *Verdict) { v.Receiver = want }))
		})
	}
	t.Run("no value", func(t *testing.T) {
		body := with(t, paidOut, `,"Value":"0700000002 - Amina Wambui"`, ``)
		check(t, B2C, body, disbursement(func(v *Verdict) { v.Receiver = "" }))
	})
}

// TestConversation has what the id of the conversation may be.
func TestConversation(t *testing.T) {
	for member, want := range map[string]string{
		`"ConversationID":"AG_1"`: "AG_1", `"ConversationID":20260814`: "20260814", `"ConversationID":null`: "", `"Conversation":"AG_1"`: "",
	} {
		t.Run(member, func(t *testing.T) {
			check(t, B2C, with(t, paidOut, `"ConversationID":"AG_1"`, member), disbursement(func(v *Verdict) { v.Conversation = want }))
		})
	}
}

func TestTime(t *testing.T) {
	const odd = "TransactionDate: not a time"
	tests := []struct {
		value   string
		want    time.Time
		warning string
	}{
		{`20261123093005`, halfPastSix, ""},
		{`"20261123093005"`, halfPastSix, ""},
		{`2.0261123093005e13`, halfPastSix, ""},
		{`20261123093005.0`, halfPastSix, ""},
		{`"20261123093005.75"`, halfPastSix, ""},
		{`20261123013005`, time.Date(2026, 11, 22, 22, 30, 5, 0, time.UTC), ""},
		{`20261323093005`, time.Time{}, odd},
		{`20260230093005`, time.Time{}, odd},
		{`20261123243005`, time.Time{}, odd},
		{`2026112309300`, time.Time{}, odd},
		{`202611230930`, time.Time{}, odd},
		{`"2026-11-23 09:30:05"`, time.Time{}, odd},
		{`"2026-11-23T06:30:05Z"`, time.Time{}, odd},
		{`"23.11.2026 09:30:05"`, time.Time{}, odd},
		{`"today"`, time.Time{}, odd},
		{`"00000101000000"`, time.Time{}, odd},
		{`0`, time.Time{}, odd},
		{`""`, time.Time{}, ""},
		{`null`, time.Time{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			check(t, STK, with(t, paid, `20261123093005`, tt.value), payment(func(v *Verdict) { v.At, v.Warning = tt.want, tt.warning }))
		})
	}
}

func TestB2CTime(t *testing.T) {
	const odd = "TransactionCompletedDateTime: not a time"
	tests := []struct {
		value   string
		want    time.Time
		warning string
	}{
		{`"01.02.2026 00:00:00"`, time.Date(2026, 1, 31, 21, 0, 0, 0, time.UTC), ""},
		{`"31.02.2026 00:00:00"`, time.Time{}, odd},
		{`"01.13.2026 00:00:00"`, time.Time{}, odd},
		{`"01.01.0000 00:00:00"`, time.Time{}, odd},
		{`"01.01.0001 02:59:59"`, time.Time{}, odd}, // in UTC, a year before Christ
		{`"01.01.0001 03:00:01"`, time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), ""},
		{`"2026-11-23T06:30:05Z"`, time.Time{}, odd},
		{`20261123093005`, time.Time{}, odd},
		{`""`, time.Time{}, ""},
		{`null`, time.Time{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			check(t, B2C, with(t, paidOut, `"23.11.2026 09:30:05"`, tt.value), disbursement(func(v *Verdict) { v.At, v.Warning = tt.want, tt.warning }))
		})
	}
}

// TestParameters has lists that are none, and keys that come twice, in both messages.
func TestParameters(t *testing.T) {
	tests := []struct {
		name, list string // the names are STK's
		amount     int64
		receipt    string
	}{
		{"empty", `[]`, 0, ""},
		{"null", `null`, 0, ""},
		{"text", `"none"`, 0, ""},
		{"one, without the list", `{"Name":"Amount","Value":7}`, 7, ""},
		{"in another order", `[{"Name":"MpesaReceiptNumber","Value":"R1"},{"Name":"Amount","Value":7}]`, 7, "R1"},
		{"the amount five times", `[{"Name":"Amount"},{"Name":"Amount","Value":null},{"Name":"Amount","Value":"x"},{"Name":"Amount","Value":7},{"Name":"Amount","Value":8}]`, 7, ""},
		{"the receipt three times", `[{"Name":"MpesaReceiptNumber","Value":"?"},{"Name":"MpesaReceiptNumber","Value":"R1"},{"Name":"MpesaReceiptNumber","Value":"R2"}]`, 0, "R1"},
		{"odd elements", `[null,7,"x",[],{},{"Name":7,"Value":9},{"Name":"Amount","Value":7,"Unit":"KES"}]`, 7, ""},
		{"an unknown one that is an object", `[{"Name":"X","Value":{"a":[1]}},{"Name":"Amount","Value":7}]`, 7, ""},
		{"the other message's word", `[{"Key":"Amount","Value":7}]`, 7, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, STK, []byte(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":`+tt.list+`}}}}`),
				Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success, Amount: tt.amount, Receipt: tt.receipt})
			list := strings.NewReplacer(`"Amount"`, `"TransactionAmount"`, `"MpesaReceiptNumber"`, `"TransactionReceipt"`, `"Name":`, `"Key":`).Replace(tt.list)
			check(t, B2C, []byte(`{"Result":{"OriginatorConversationID":"o-1","ResultCode":0,"ResultParameters":{"ResultParameter":`+list+`}}}`),
				Verdict{Kind: Disbursement, ID: "o-1", Status: Success, Amount: tt.amount, Receipt: tt.receipt})
		})
	}
	t.Run("two lists", func(t *testing.T) { // nothing is left of the first one
		check(t, STK, []byte(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":7}],"Item":[{"Name":"Amount"}]}}}}`),
			Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success})
	})
	for _, around := range []string{`null`, `"none"`, `[{"Name":"Amount","Value":7}]`, `{}`, `7`} {
		t.Run("no list in "+around, func(t *testing.T) {
			check(t, STK, []byte(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":`+around+`}}}`),
				Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success})
			check(t, B2C, []byte(`{"Result":{"OriginatorConversationID":"o-1","ResultCode":0,"ResultParameters":`+around+`}}`),
				Verdict{Kind: Disbursement, ID: "o-1", Status: Success})
		})
	}
	t.Run("nothing around it", func(t *testing.T) {
		check(t, STK, []byte(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0}}}`), Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success})
		check(t, B2C, []byte(`{"Result":{"OriginatorConversationID":"o-1","ResultCode":0}}`), Verdict{Kind: Disbursement, ID: "o-1", Status: Success})
	})
}

// TestTolerance breaks what is not identity: the verdict must stand.
func TestTolerance(t *testing.T) {
	for _, change := range [][2]string{
		{`"ResultDesc":"Done."`, `"ResultDesc":7`},
		{`"ResultDesc":"Done."`, `"ResultDesc":{"en":"Done."}`},
		{`"ResultDesc":"Done."`, `"ResultDesc":"Done.","Extra":{"a":[1]}`},
		{`{"Body":`, `{"Meta":1,"Body":`},
		{`"PhoneNumber","Value":254700000001`, `"PhoneNumber","Value":"2547*****001"`},
		{`"PhoneNumber","Value":254700000001`, `"Balance"`},
		{`"PhoneNumber","Value":254700000001`, `"Balance","Value":null`},
		{`"CheckoutRequestID"`, `"MerchantRequestID":false,"CheckoutRequestID"`},
		{`"CheckoutRequestID"`, `"MerchantRequestID":7,"CheckoutRequestID"`},
	} {
		t.Run("STK/"+change[1], func(t *testing.T) { check(t, STK, with(t, paid, change[0], change[1]), payment(func(*Verdict) {})) })
	}
	for _, change := range [][2]string{
		{`"ResultDesc":"Done."`, `"ResultDesc":["Done."]`},
		{`{"Result":{`, `{"Meta":1,"Result":{"Extra":[{}],`},
		{`"ResultType":0`, `"ReferenceData":"none"`},
		{`"ResultType":0`, `"ReferenceData":{"ReferenceItem":[{"Key":"x"}]}`},
		{`"ResultType":0`, `"ResultType":2`},
		{`"ResultType":0`, `"ResultType":null`},
		{`"ResultType":0`, `"ResultType":"x"`},
		{`"ResultType":0`, `"ResultType":1.5`},
		{`"ResultType":0`, `"ResultType":true`},
		{`"ResultType":0`, `"ResultType":"+1"`},
		{`"ResultType":0`, `"ResultType":"01"`},
		{`"ResultType":0,`, ``},
	} {
		t.Run("B2C/"+change[1], func(t *testing.T) {
			check(t, B2C, with(t, paidOut, change[0], change[1]), disbursement(func(*Verdict) {}))
		})
	}
}

// TestStrings has what a string may hold: read as encoding/json reads it, or an id
// would not be the one under which its document stands.
func TestStrings(t *testing.T) {
	for literal, want := range map[string]string{
		`ws_CO_1`:        "ws_CO_1",
		`a b{}[]:,`:      "a b{}[]:,",
		`caf\u00e9`:      "café",
		`café`:           "café",
		`http:\/\/x`:     "http://x",
		`\"quoted\"`:     `"quoted"`,
		"cut\xff\xc3off": "cut\uFFFD\uFFFDoff",
		`lone \ud800`:    "lone \uFFFD",
		`ws_CO_\u0000`:   "ws_CO_\x00",
	} {
		t.Run(literal, func(t *testing.T) {
			check(t, STK, with(t, paid, "ws_CO_1", literal), payment(func(v *Verdict) { v.ID = want }))
			check(t, B2C, with(t, paidOut, "o-1", literal), disbursement(func(v *Verdict) { v.ID = want }))
		})
	}
	t.Run("an id that is a number", func(t *testing.T) {
		check(t, STK, with(t, paid, `"ws_CO_1"`, `12082026143055000700000088`), payment(func(v *Verdict) { v.ID = "12082026143055000700000088" }))
		check(t, B2C, with(t, paidOut, `"o-1"`, `4820193756`), disbursement(func(v *Verdict) { v.ID = "4820193756" }))
	})
}

func TestErrors(t *testing.T) {
	const noSTK = "Body.stkCallback.CheckoutRequestID: missing"
	const noB2C = "Result.OriginatorConversationID: missing"
	const noTimeout = "OriginatorConversationID, in Result or at the top level: missing"
	tests := []struct {
		name  string
		parse func([]byte) (Verdict, error)
		body  string
		want  error
		text  string
	}{
		{"empty", STK, ``, ErrSyntax, "not JSON at byte 0"},
		{"a line break", B2CTimeout, "\n", ErrSyntax, "not JSON at byte 1"},
		{"cut off", STK, paid[:100], ErrSyntax, "not JSON at byte 100"},
		{"cut off, B2C", B2C, paidOut[:100], ErrSyntax, "not JSON at byte 100"},
		{"a form", B2C, `Result=0`, ErrSyntax, "not JSON at byte 1"},
		{"words", B2CTimeout, `timed out`, ErrSyntax, "not JSON at byte 2"},
		{"two values", B2CTimeout, `{} {}`, ErrSyntax, "not JSON at byte 4"},
		{"a byte order mark", STK, "\uFEFF" + paid, ErrSyntax, "not JSON at byte 1"},
		{"an array", STK, `[]`, ErrMissing, noSTK},
		{"an array, B2C", B2C, `[` + paidOut + `]`, ErrMissing, noB2C},
		{"an array, timeout", B2CTimeout, `[]`, ErrMissing, noTimeout},
		{"null", STK, `null`, ErrMissing, noSTK},
		{"an empty object", STK, `{}`, ErrMissing, noSTK},
		{"an empty object, B2C", B2C, `{}`, ErrMissing, noB2C},
		{"an empty object, timeout", B2CTimeout, `{}`, ErrMissing, noTimeout},
		{"text", B2C, `"Result"`, ErrMissing, noB2C},
		{"no envelope", STK, `{"CheckoutRequestID":"ws_CO_1","ResultCode":0}`, ErrMissing, noSTK},
		{"no envelope, B2C", B2C, `{"OriginatorConversationID":"o-1","ResultCode":0}`, ErrMissing, noB2C},
		{"half an envelope", STK, `{"Body":{}}`, ErrMissing, noSTK},
		{"an envelope of null", STK, `{"Body":null}`, ErrMissing, noSTK},
		{"an envelope of null, B2C", B2C, `{"Result":null}`, ErrMissing, noB2C},
		{"an envelope of text", B2CTimeout, `{"Result":"timed out"}`, ErrMissing, noTimeout},
		{"a list of one", STK, `{"Body":{"stkCallback":[{"CheckoutRequestID":"ws_CO_1","ResultCode":0}]}}`, ErrMissing, noSTK},
		{"a list of one, B2C", B2C, `{"Result":[{"OriginatorConversationID":"o-1","ResultCode":0}]}`, ErrMissing, noB2C},
		{"a result on the STK route", STK, paidOut, ErrMissing, noSTK},
		{"an STK callback on the B2C route", B2C, paid, ErrMissing, noB2C},
		{"no id", STK, `{"Body":{"stkCallback":{"ResultCode":0}}}`, ErrMissing, noSTK},
		{"empty id", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":""}}}`, ErrMissing, noSTK},
		{"empty id, B2C", B2C, `{"Result":{"OriginatorConversationID":"","ResultCode":0}}`, ErrMissing, noB2C},
		{"empty id, timeout", B2CTimeout, `{"Result":{"OriginatorConversationID":""}}`, ErrMissing, noTimeout},
		{"blank id", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":" \t"}}}`, ErrMissing, noSTK},
		{"id of null", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":null}}}`, ErrMissing, noSTK},
		{"id of null, B2C", B2C, `{"Result":{"OriginatorConversationID":null,"ResultCode":0}}`, ErrMissing, noB2C},
		{"id of another type", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":["ws_CO_1"]}}}`, ErrMissing, noSTK},
		{"id that is an object", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":{"id":"ws_CO_1"}}}}`, ErrMissing, noSTK},
		{"ConversationID alone", B2C, `{"Result":{"ConversationID":"AG_1","ResultCode":0}}`, ErrMissing, noB2C},
		{"neither id", B2C, `{"Result":{"ResultCode":0}}`, ErrMissing, noB2C},
		{"no ids", B2CTimeout, `{"Result":{"ResultCode":1}}`, ErrMissing, noTimeout},
		{"not final", B2C, string(with(t, paidOut, `"ResultType":0`, `"ResultType":1`)), ErrNotFinal, "Result.ResultType 1: not final"},
		{"not final, as text", B2C, string(with(t, paidOut, `"ResultType":0`, `"ResultType":"1"`)), ErrNotFinal, "Result.ResultType 1: not final"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.parse([]byte(tt.body))
			if got != (Verdict{}) {
				t.Errorf("got %+v beside an error", got)
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want one that wraps %v", err, tt.want)
			}
			if err.Error() != tt.text {
				t.Errorf("error %q, want %q", err, tt.text)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	tests := []struct{ body, value, rest string }{
		{`{"a":1}`, `{"a":1}`, ""},
		{" \n{\"a\":1}\r\n ", `{"a":1}`, ""},
		{`{"a":"}"}}`, `{"a":"}"}`, "}"},
		{`{} ; `, `{}`, ";"},
		{"{}\x00", `{}`, "\x00"},
		{`{"a":1}{"b":2}`, `{"a":1}`, `{"b":2}`},
		{`[1] x`, `[1]`, "x"},
		{`{"a":`, "", ""},
		{`x{}`, "", ""},
		{" ", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			value, rest := Split([]byte(tt.body))
			if string(value) != tt.value || string(rest) != tt.rest {
				t.Errorf("Split = %q, %q, want %q, %q", value, rest, tt.value, tt.rest)
			}
		})
	}
}

// TestB2CTimeout: whatever the body says, the outcome is unknown. The ids may stand in
// the envelope or beside it.
func TestB2CTimeout(t *testing.T) {
	verdict := func(change func(*Verdict)) Verdict {
		v := Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Timeout, Code: 1, Reason: "Timed out."}
		change(&v)
		return v
	}
	for name, tt := range map[string]struct {
		body string
		want Verdict
	}{
		"an envelope":            {`{"Result":{"ResultType":1,"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}}`, verdict(func(*Verdict) {})},
		"flat":                   {`{"ResultType":1,"ResultCode":"1","ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1","X":[1]}`, verdict(func(*Verdict) {})},
		"an empty envelope":      {`{"Result":{},"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}`, verdict(func(*Verdict) {})},
		"an envelope of null":    {`{"Result":null,"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}`, verdict(func(*Verdict) {})},
		"ids at both levels":     {`{"Result":{"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"},"OriginatorConversationID":"o-2"}`, verdict(func(*Verdict) {})},
		"an id that is a number": {`{"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":4820193799,"ConversationID":"AG_1"}`, verdict(func(v *Verdict) { v.ID = "4820193799" })},
		"ids alone":              {`{"OriginatorConversationID":"o-1","ConversationID":"AG_1"}`, verdict(func(v *Verdict) { v.Code, v.Reason = NoCode, "" })},
		"one id alone":           {`{"OriginatorConversationID":"o-1"}`, verdict(func(v *Verdict) { v.Code, v.Reason, v.Conversation = NoCode, "", "" })},
		"a code of null":         {`{"Result":{"ResultCode":null,"OriginatorConversationID":"o-1","ConversationID":"AG_1"}}`, verdict(func(v *Verdict) { v.Code, v.Reason = NoCode, "" })},
		"a code that is a word":  {`{"Result":{"ResultCode":"SFC_IC0003","ResultDesc":"No such operator.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}}`, verdict(func(v *Verdict) { v.Code, v.Reason = NoCode, "SFC_IC0003: No such operator." })},
		"a failure":              {`{"Result":{"ResultCode":2001,"ResultDesc":"Wrong initiator.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}}`, verdict(func(v *Verdict) { v.Code, v.Reason = 2001, "Wrong initiator." })},
		"paid":                   {paidOut, verdict(func(v *Verdict) { v.Code, v.Reason = 0, "Done." })},
	} {
		t.Run(name, func(t *testing.T) { check(t, B2CTimeout, []byte(tt.body), tt.want) })
	}
}
