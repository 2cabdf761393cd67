package parse

import (
	"errors"
	"fmt"
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

func TestWhole(t *testing.T) {
	payment := Verdict{Kind: Payment, ID: "ws_CO_1", Status: Success, Receipt: "UKN7X1Q9ZK", Amount: 1000, At: halfPastSix}
	if got, err := STK([]byte(paid)); got != payment || err != nil {
		t.Errorf("STK = %+v, %v, want %+v", got, err, payment)
	}
	disbursement := Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Success, Receipt: "UKN8B20LMN",
		Amount: 500, Receiver: "0700000002 - Amina Wambui", At: halfPastSix}
	if got, err := B2C([]byte(paidOut)); got != disbursement || err != nil {
		t.Errorf("B2C = %+v, %v, want %+v", got, err, disbursement)
	}
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
		{`1e400`, NoCode, Timeout, "1e400: Done."},
		{`1e-400`, NoCode, Timeout, "1e-400: Done."}, // a float64 would say 0, which is "paid"
		{`0.00000000000000000000000000001`, NoCode, Timeout, "0.00000000000000000000000000001: Done."},
		{`true`, NoCode, Timeout, "true: Done."},
		// And these are not even that.
		{`null`, NoCode, Timeout, "Done."},
		{`""`, NoCode, Timeout, "Done."},
		{`"  "`, NoCode, Timeout, "Done."},
		{`{"code":0}`, NoCode, Timeout, "Done."},
		{`[0]`, NoCode, Timeout, "Done."},
	}
	for _, tt := range tests {
		got, err := STK(with(t, paid, `"ResultCode":0`, `"ResultCode":`+tt.code))
		if got.Code != tt.n || got.Status != tt.status || got.Reason != tt.reason || err != nil {
			t.Errorf("STK with ResultCode %s = %d %s %q, %v, want %d %s %q",
				tt.code, got.Code, got.Status, got.Reason, err, tt.n, tt.status, tt.reason)
		}
		if got.Status != Success && got.Receipt != "" {
			t.Errorf("STK with ResultCode %s: a %s has the receipt %s", tt.code, got.Status, got.Receipt)
		}
	}
	got, err := STK(with(t, paid, `"ResultCode":0,`, ``))
	if got.Code != NoCode || got.Status != Timeout || err != nil {
		t.Errorf("STK without ResultCode = %d %s, %v, want %d TIMEOUT", got.Code, got.Status, err, NoCode)
	}
	got, _ = STK(with(t, paid, `"ResultCode":0,"ResultDesc":"Done."`, `"ResultCode":"X"`))
	if got.Reason != "X" {
		t.Errorf("STK with a word and no ResultDesc: Reason = %q, want the word", got.Reason)
	}
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
		for _, w := range words {
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
	for _, c := range codes {
		if c.meaning == "" || c.source == "" {
			t.Errorf("code %s of a %s has no meaning or no source", c.code, c.kind)
		}
		key := string(c.kind) + " " + c.code
		if seen[key] {
			t.Errorf("code %s of a %s is listed twice", c.code, c.kind)
		}
		seen[key] = true
	}
}

func TestAmount(t *testing.T) {
	const cut, odd = "Amount: fraction cut off", "Amount: not a whole number of shillings"
	tests := []struct {
		value string
		want  int64
		note  string
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
		got, err := STK(with(t, paid, `"Amount","Value":1000`, `"Amount","Value":`+tt.value))
		if got.Amount != tt.want || got.Warning != tt.note || err != nil {
			t.Errorf("STK with Amount %s = %d, note %q, %v, want %d, note %q", tt.value, got.Amount, got.Warning, err, tt.want, tt.note)
		}
	}
	got, _ := STK(with(t, paid, `"Amount","Value":1000`, `"Amount"`))
	if got.Amount != 0 || got.Warning != "" {
		t.Errorf("STK with an Amount without Value = %d, note %q, want none", got.Amount, got.Warning)
	}
}

func TestReceipt(t *testing.T) {
	const odd = "MpesaReceiptNumber: not a receipt"
	tests := []struct{ value, want, note string }{
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
		{`""`, "", ""},
		{`null`, "", ""},
	}
	for _, tt := range tests {
		got, err := STK(with(t, paid, `"UKN7X1Q9ZK"`, tt.value))
		if got.Receipt != tt.want || got.Warning != tt.note || err != nil {
			t.Errorf("STK with receipt %s = %q, note %q, %v, want %q, note %q", tt.value, got.Receipt, got.Warning, err, tt.want, tt.note)
		}
	}
}

func TestB2CReceipt(t *testing.T) {
	const odd, oddID = "TransactionReceipt: not a receipt", "TransactionID: not a receipt"
	tests := []struct{ name, receipt, id, want, note string }{
		{"both, and they differ", `"UKN0000001"`, `"UKN0000002"`, "UKN0000001", ""},
		{"no receipt", `null`, `"UKN0000002"`, "UKN0000002", ""},
		{"malformed receipt", `"ukn"`, `"UKN0000002"`, "UKN0000002", odd},
		{"placeholder", `null`, `"UKN0000000"`, "", ""},
		{"six zeros", `null`, `"UKN1000000"`, "UKN1000000", ""},
		{"sixteen zeros", `null`, `"0000000000000000"`, "", ""},
		{"three zeros", `null`, `"000"`, "", ""},
		{"neither", `null`, `null`, "", ""},
		{"malformed id", `null`, `"a b"`, "", oddID},
		{"both malformed", `"ukn"`, `"a b"`, "", odd + "; " + oddID},
	}
	for _, tt := range tests {
		body := with(t, paidOut, `"TransactionID":"UKN8B20LMN"`, `"TransactionID":`+tt.id)
		body = with(t, string(body), `"TransactionReceipt","Value":"UKN8B20LMN"`, `"TransactionReceipt","Value":`+tt.receipt)
		got, err := B2C(body)
		if got.Receipt != tt.want || got.Warning != tt.note || err != nil {
			t.Errorf("%s: B2C = receipt %q, note %q, %v, want %q, note %q", tt.name, got.Receipt, got.Warning, err, tt.want, tt.note)
		}
	}
	failed, _ := B2C(with(t, paidOut, `"ResultCode":0`, `"ResultCode":2001`))
	if failed.Receipt != "" {
		t.Errorf("B2C failure: Receipt = %q, want none: no money moved", failed.Receipt)
	}
}

func TestTime(t *testing.T) {
	const odd = "TransactionDate: not a time"
	tests := []struct {
		value string
		want  time.Time
		note  string
	}{
		{`20261123093005`, halfPastSix, ""},
		{`"20261123093005"`, halfPastSix, ""},
		{`2.0261123093005e13`, halfPastSix, ""},
		{`"20261123093005.75"`, halfPastSix, ""},
		{`20261123013005`, time.Date(2026, 11, 22, 22, 30, 5, 0, time.UTC), ""},
		{`20261323093005`, time.Time{}, odd},
		{`20260230093005`, time.Time{}, odd},
		{`2026112309300`, time.Time{}, odd},
		{`"2026-11-23 09:30:05"`, time.Time{}, odd},
		{`"23.11.2026 09:30:05"`, time.Time{}, odd},
		{`"00000101000000"`, time.Time{}, odd},
		{`0`, time.Time{}, odd},
		{`""`, time.Time{}, ""},
		{`null`, time.Time{}, ""},
	}
	for _, tt := range tests {
		got, err := STK(with(t, paid, `20261123093005`, tt.value))
		if got.At != tt.want || got.Warning != tt.note || got.Receipt == "" || err != nil {
			t.Errorf("STK with TransactionDate %s = %v, note %q, %v, want %v, note %q", tt.value, got.At, got.Warning, err, tt.want, tt.note)
		}
	}
	for value, want := range map[string]time.Time{
		`"01.02.2026 00:00:00"`: time.Date(2026, 1, 31, 21, 0, 0, 0, time.UTC),
		`"31.02.2026 00:00:00"`: {},
		`"01.01.0000 00:00:00"`: {},
		`"01.01.0001 02:59:59"`: {}, // in UTC, a year before Christ
		`"01.01.0001 03:00:01"`: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
		`20261123093005`:        {},
	} {
		got, err := B2C(with(t, paidOut, `"23.11.2026 09:30:05"`, value))
		if got.At != want || err != nil {
			t.Errorf("B2C with TransactionCompletedDateTime %s = %v, %v, want %v", value, got.At, err, want)
		}
	}
}

// TestParameters has lists that are none, and keys that come twice.
func TestParameters(t *testing.T) {
	tests := []struct {
		item    string
		amount  int64
		receipt string
	}{
		{`[]`, 0, ""},
		{`null`, 0, ""},
		{`"none"`, 0, ""},
		{`{"Name":"Amount","Value":7}`, 7, ""},
		{`[{"Name":"MpesaReceiptNumber","Value":"R1"},{"Name":"Amount","Value":7}]`, 7, "R1"},
		{`[{"Name":"Amount"},{"Name":"Amount","Value":null},{"Name":"Amount","Value":"x"},{"Name":"Amount","Value":7},{"Name":"Amount","Value":8}]`, 7, ""},
		{`[{"Name":"MpesaReceiptNumber","Value":"?"},{"Name":"MpesaReceiptNumber","Value":"R1"},{"Name":"MpesaReceiptNumber","Value":"R2"}]`, 0, "R1"},
		{`[null,7,"x",[],{},{"Name":7,"Value":9},{"Name":"Amount","Value":7,"Unit":"KES"}]`, 7, ""},
		{`[{"Key":"Amount","Value":7}]`, 7, ""},
		{`[{"Name":"Amount","Value":7}],"Item":[{"Name":"Amount"}]`, 0, ""}, // nothing is left of the first list
	}
	for _, tt := range tests {
		body := `{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":` + tt.item + `}}}}`
		got, err := STK([]byte(body))
		if got.Amount != tt.amount || got.Receipt != tt.receipt || got.Status != Success || err != nil {
			t.Errorf("STK with Item %s = %d %q %s, %v, want %d %q SUCCESS",
				tt.item, got.Amount, got.Receipt, got.Status, err, tt.amount, tt.receipt)
		}
	}
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
		{`"CheckoutRequestID"`, `"MerchantRequestID":false,"CheckoutRequestID"`},
	} {
		got, err := STK(with(t, paid, change[0], change[1]))
		if got.Status != Success || got.Amount != 1000 || got.Receipt != "UKN7X1Q9ZK" || err != nil {
			t.Errorf("STK with %s = %+v, %v, want the payment all the same", change[1], got, err)
		}
	}
	got, err := STK(with(t, paid, `"CallbackMetadata":{"Item"`, `"CallbackMetadata":"none","Item":{"Item"`))
	if got.Status != Success || got.Amount != 0 || err != nil {
		t.Errorf("STK with CallbackMetadata as text = %+v, %v, want a SUCCESS without amount", got, err)
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
	} {
		if v, err := STK(with(t, paid, "ws_CO_1", literal)); v.ID != want || err != nil {
			t.Errorf("%q is read as %q, %v, want %q", literal, v.ID, err, want)
		}
	}
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
		{"cut off", STK, paid[:100], ErrSyntax, "not JSON at byte 100"},
		{"a form", B2C, `Result=0`, ErrSyntax, "not JSON at byte 1"},
		{"two values", B2CTimeout, `{} {}`, ErrSyntax, "not JSON at byte 4"},
		{"an array", STK, `[]`, ErrMissing, noSTK},
		{"null", STK, `null`, ErrMissing, noSTK},
		{"text", B2C, `"Result"`, ErrMissing, noB2C},
		{"a result on the STK route", STK, paidOut, ErrMissing, noSTK},
		{"an STK callback on the B2C route", B2C, paid, ErrMissing, noB2C},
		{"no id", STK, `{"Body":{"stkCallback":{"ResultCode":0}}}`, ErrMissing, noSTK},
		{"empty id", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":""}}}`, ErrMissing, noSTK},
		{"blank id", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":" \t"}}}`, ErrMissing, noSTK},
		{"id of another type", STK, `{"Body":{"stkCallback":{"CheckoutRequestID":["ws_CO_1"]}}}`, ErrMissing, noSTK},
		{"ConversationID alone", B2C, `{"Result":{"ConversationID":"AG_1","ResultCode":0}}`, ErrMissing, noB2C},
		{"no ids", B2CTimeout, `{"Result":{"ResultCode":1}}`, ErrMissing, noTimeout},
		{"not final", B2C, string(with(t, paidOut, `"ResultType":0`, `"ResultType":1`)), ErrNotFinal, "Result.ResultType 1: not final"},
		{"not final, as text", B2C, string(with(t, paidOut, `"ResultType":0`, `"ResultType":"1"`)), ErrNotFinal, "Result.ResultType 1: not final"},
	}
	for _, tt := range tests {
		got, err := tt.parse([]byte(tt.body))
		if got != (Verdict{}) || !errors.Is(err, tt.want) || err.Error() != tt.text {
			t.Errorf("%s: got %+v, %v, want the zero Verdict, %s", tt.name, got, err, tt.text)
		}
	}
	for _, resultType := range []string{`2`, `null`, `"x"`, `1.5`, `true`, `"+1"`, `"01"`} {
		got, err := B2C(with(t, paidOut, `"ResultType":0`, `"ResultType":`+resultType))
		if got.Status != Success || err != nil {
			t.Errorf("B2C with ResultType %s = %s, %v, want SUCCESS", resultType, got.Status, err)
		}
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
		{`{"a":`, "", `{"a":`},
		{`x{}`, "", `x{}`},
		{" ", "", " "},
		{"", "", ""},
	}
	for _, tt := range tests {
		value, rest := Split([]byte(tt.body))
		if string(value) != tt.value || string(rest) != tt.rest {
			t.Errorf("Split(%q) = %q, %q, want %q, %q", tt.body, value, rest, tt.value, tt.rest)
		}
	}
}

// TestB2CTimeout: whatever the body says, the outcome is unknown.
func TestB2CTimeout(t *testing.T) {
	want := Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Timeout, Code: 1, Reason: "Timed out."}
	for _, body := range []string{
		`{"Result":{"ResultType":1,"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}}`,
		`{"ResultType":1,"ResultCode":"1","ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}`,
		`{"Result":{},"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"}`,
		`{"Result":{"ResultCode":1,"ResultDesc":"Timed out.","OriginatorConversationID":"o-1","ConversationID":"AG_1"},"OriginatorConversationID":"o-2"}`,
	} {
		if got, err := B2CTimeout([]byte(body)); got != want || err != nil {
			t.Errorf("B2CTimeout(%s) = %+v, %v, want %+v", body, got, err, want)
		}
	}
	got, err := B2CTimeout([]byte(paidOut))
	want = Verdict{Kind: Disbursement, ID: "o-1", Conversation: "AG_1", Status: Timeout, Reason: "Done."}
	if got != want || err != nil {
		t.Errorf("B2CTimeout of a paid result = %+v, %v, want %+v", got, err, want)
	}
}
