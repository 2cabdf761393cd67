package settle

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

func TestDocumentID(t *testing.T) {
	const long = "ws_CO_DMZ_250600506_23022026144745852" // 37 characters
	for id, own := range map[string]bool{
		"ws_CO_23112026093005700000001":    true,
		"a":                                true,
		"z":                                true,
		"A":                                true,
		"Z":                                true,
		"9":                                true,
		"0.":                               true,
		"aAzZ09":                           true,
		"1":                                true,
		strings.Repeat("x", 36):            true,
		"7c1e-4a79.a5e6_6bd6":              true,
		"a`":                               false, // the neighbours of the letters and digits
		"a{":                               false,
		"a@":                               false,
		"a[":                               false,
		"a/":                               false,
		"a:":                               false,
		"0":                                false,
		strings.Repeat("x", 37):            false,
		long:                               false,
		"":                                 false,
		"unique()":                         false,
		"_a":                               false,
		".a":                               false,
		"-a":                               false,
		"a/b":                              false,
		"..":                               false,
		"a b":                              false,
		"a?b":                              false,
		"a#b":                              false,
		"a+b":                              false,
		"a%2Fb":                            false,
		"é":                                false,
		"a\x00":                            false,
		"a\n":                              false,
		"ws_CO_1/amount/increment":         false,
		`{"method":"increment"}`:           false,
		strings.Repeat("x", 35) + "\u00e9": false,
	} {
		t.Run(id, func(t *testing.T) {
			if got := IsID(id); got != own {
				t.Errorf("IsID(%q) = %t, want %t", id, got, own)
			}
			want := id
			if !own {
				want = hashID(id)
			}
			d := New(parse.Verdict{ID: id}, "", time.Time{})
			if d.DocumentID != want {
				t.Errorf("the document has the id %q, want %q", d.DocumentID, want)
			}
			if !IsID(d.DocumentID) {
				t.Errorf("Appwrite does not take the id %q", d.DocumentID)
			}
			if d.ID != id {
				t.Errorf("the transaction has the id %q, want it as it came", d.ID)
			}
		})
	}
}

// TestLongIDs: two ids that their attribute cuts to the same text are two documents.
func TestLongIDs(t *testing.T) {
	const begin = "payroll-2026-11-nairobi-west-batch-0" // 36 characters
	a := New(parse.Verdict{Kind: parse.Disbursement, ID: begin + "1"}, "", settled)
	b := New(parse.Verdict{Kind: parse.Disbursement, ID: begin + "2"}, "", settled)
	if a.DocumentID == b.DocumentID {
		t.Errorf("both have the document id %s", a.DocumentID)
	}
	if a.transactionText() != begin || b.transactionText() != begin {
		t.Errorf("their attributes have %q and %q, want %q", a.transactionText(), b.transactionText(), begin)
	}
}

// TestHashID: documents of an earlier version must be found again.
func TestHashID(t *testing.T) {
	if got, want := hashID("ws_CO_DMZ_250600506_23022026144745852"), "0fface556effea097466123e6c790bbbaa9b"; got != want {
		t.Errorf("hashID = %s, want %s", got, want)
	}
	if got, want := hashID("ws_CO_1", "UKN7X1Q9ZK"), "dce575135415b3b093f73f0b16744ce76369"; got != want {
		t.Errorf("hashID of two parts = %s, want %s", got, want)
	}
	if hashID("a", "b") == hashID("ab") {
		t.Error("hashID does not tell a, b from ab")
	}
}

func TestSanitize(t *testing.T) {
	emoji := strings.Repeat("😀", 256) // four bytes each
	tests := []struct {
		name, in string
		size     int
		want     string
	}{
		{"plain", "Request cancelled by user", 255, "Request cancelled by user"},
		{"too long", "jambo", 3, "jam"},
		{"one too many", "jambo", 4, "jamb"},
		{"as long as it may be", "jambo", 5, "jambo"},
		{"a brace that fits", "{jambo", 7, "'{jambo"},
		{"a brace that does not", "{jambo", 6, "'{jamb"},
		{"characters, not bytes", "ñññññ", 3, "ñññ"},
		{"six bytes, three characters", "ñññ", 3, "ñññ"},
		{"the last one of four bytes", emoji, 255, strings.TrimSuffix(emoji, "😀")},
		{"a NUL", "a\x00b", 9, "a\uFFFDb"},
		{"an operator", `{"method":"increment"}`, 255, `'{"method":"increment"}`},
		{"an operator behind white space", " \n\t{}", 255, "' \n\t{}"},
		{"cut behind the apostrophe", "{abc", 3, "'{a"},
		{"a no-break space", "\u00a0{", 255, "'\u00a0{"},
		{"a brace inside", "a{", 255, "a{"},
		{"nothing", "", 255, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sanitize(tt.in, tt.size)
			if got != tt.want {
				t.Errorf("sanitize(%q, %d) = %q, want %q", tt.in, tt.size, got, tt.want)
			}
			if again := sanitize(got, tt.size); again != got {
				t.Errorf("sanitize(%q, %d) = %q: what was read back would be another id", got, tt.size, again)
			}
		})
	}
}

// settled is when the documents of these tests are written.
var settled = time.Date(2026, 11, 23, 9, 30, 5, 678e6, time.FixedZone("EAT", 3*60*60))

// TestAttributes has every attribute both ways. All are written, so that a
// replacement leaves none behind.
func TestAttributes(t *testing.T) {
	for name, tt := range map[string]struct {
		verdict parse.Verdict
		want    string
	}{
		"a payment of which nothing is known": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Timeout, Code: parse.NoCode},
			`{"checkoutRequestId":"ws_CO_1","status":"TIMEOUT","resultCode":-1,"receipt":null,"amount":null,` +
				`"failureReason":null,"mpesaTimestamp":null,"settledAt":"2026-11-23T06:30:05.678Z"}`},
		"a payment": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Success, Receipt: "UKN", Amount: 500, At: settled.UTC().Truncate(time.Second)},
			`{"checkoutRequestId":"ws_CO_1","status":"SUCCESS","resultCode":0,"receipt":"UKN","amount":500,` +
				`"failureReason":null,"mpesaTimestamp":"2026-11-23T06:30:05Z","settledAt":"2026-11-23T06:30:05.678Z"}`},
		"a disbursement": {
			parse.Verdict{Kind: parse.Disbursement, ID: "o-1", Conversation: "AG_1", Status: parse.Success, Receipt: "UKN",
				Amount: 500, At: settled.UTC().Truncate(time.Second)},
			`{"originatorConversationId":"o-1","status":"SUCCESS","resultCode":0,"receipt":"UKN","amount":500,` +
				`"failureReason":null,"mpesaTimestamp":"2026-11-23T06:30:05Z","settledAt":"2026-11-23T06:30:05.678Z",` +
				`"conversationId":"AG_1","receiverName":null}`},
		"a disbursement that failed": {
			parse.Verdict{Kind: parse.Disbursement, ID: "o-1", Status: parse.Failed, Code: 2001, Reason: "Wrong initiator."},
			`{"originatorConversationId":"o-1","status":"FAILED","resultCode":2001,"receipt":null,"amount":null,` +
				`"failureReason":"Wrong initiator.","mpesaTimestamp":null,"settledAt":"2026-11-23T06:30:05.678Z",` +
				`"conversationId":null,"receiverName":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(tt.verdict, "", settled)
			written, err := json.Marshal(d.Attributes())
			if err != nil {
				t.Fatal(err)
			}
			if string(written) != tt.want {
				t.Errorf("written:\n%s, want\n%s", written, tt.want)
			}
			answer := `{"$id":"x","$updatedAt":"y",` + string(written[1:])
			read, err := Decode(tt.verdict.Kind, []byte(answer))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Document{Verdict: tt.verdict, DocumentID: "x", Server: Server{UpdatedAt: "y"}}); read != want {
				t.Errorf("read:\n%+v, want\n%+v", read, want)
			}
		})
	}
}

// TestAttributesCut: what is too long for its attribute is cut, and never refused.
// The payee's name is written, and not read back: nothing depends on it.
func TestAttributesCut(t *testing.T) {
	long := strings.Repeat("ñ", 300)
	payment := New(parse.Verdict{Kind: parse.Payment, ID: long, Status: parse.Failed, Reason: long}, "", settled).attributes(t)
	disbursement := New(parse.Verdict{Kind: parse.Disbursement, ID: long, Conversation: long, Receiver: long}, "", settled).attributes(t)
	for _, tt := range []struct {
		attribute string
		value     any
		size      int
	}{
		{"checkoutRequestId", payment["checkoutRequestId"], 255},
		{"failureReason", payment["failureReason"], 255},
		{"originatorConversationId", disbursement["originatorConversationId"], 36},
		{"conversationId", disbursement["conversationId"], 50},
		{"receiverName", disbursement["receiverName"], 255},
	} {
		t.Run(tt.attribute, func(t *testing.T) {
			if want := strings.Repeat("ñ", tt.size); tt.value != want {
				t.Errorf("%v, want %d characters", tt.value, tt.size)
			}
		})
	}
}

// attributes returns them as a server would.
func (d Document) attributes(t *testing.T) (data map[string]any) {
	t.Helper()
	written, err := json.Marshal(d.Attributes())
	if err == nil {
		err = json.Unmarshal(written, &data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDecode reads what this function never wrote.
func TestDecode(t *testing.T) {
	for name, tt := range map[string]struct {
		kind parse.Kind
		body string
		want parse.Verdict
	}{
		"nothing but nulls": {parse.Payment, `"checkoutRequestId":null,"status":null,"resultCode":null,"receipt":null,"settledAt":null`,
			parse.Verdict{Kind: parse.Payment, Code: parse.NoCode}},
		"no attributes": {parse.Disbursement, `"x":1`, parse.Verdict{Kind: parse.Disbursement, Code: parse.NoCode}},
		"an app's own": {parse.Payment, `"checkoutRequestId":"ws_CO_1","status":"PENDING","phone":"x"`,
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: "PENDING", Code: parse.NoCode}},
		"a time of another form": {parse.Payment, `"checkoutRequestId":"ws_CO_1","status":"FAILED","resultCode":1,"mpesaTimestamp":"yesterday"`,
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Failed, Code: 1}},
		"a payment with the other id too": {parse.Payment, `"checkoutRequestId":"ws_CO_1","originatorConversationId":"o-1","status":"FAILED","resultCode":1`,
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Failed, Code: 1}},
		"a disbursement with the other id alone": {parse.Disbursement, `"checkoutRequestId":"ws_CO_1","status":"FAILED","resultCode":1`,
			parse.Verdict{Kind: parse.Disbursement, Status: parse.Failed, Code: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(tt.kind, []byte(`{"$id":"x","$updatedAt":"y",`+tt.body+`}`))
			if err != nil {
				t.Fatal(err)
			}
			if want := (Document{Verdict: tt.want, DocumentID: "x", Server: Server{UpdatedAt: "y"}}); got != want {
				t.Errorf("Decode = %+v, want %+v", got, want)
			}
		})
	}
	for _, body := range []string{
		`{"$id":"x","$updatedAt":"y","amount":"many"}`,
		`{"$id":"x"}`, `{"$updatedAt":"y"}`, `[]`, `null`, `<html>`, ``,
	} {
		t.Run(body, func(t *testing.T) {
			if got, err := Decode(parse.Payment, []byte(body)); got != (Document{}) || err == nil {
				t.Errorf("Decode = %+v, %v, want an error alone", got, err)
			}
		})
	}
}

func TestReadRole(t *testing.T) {
	tests := []struct {
		name           string
		kind           parse.Kind
		uid, anonymous string
		want           string
	}{
		{"a user", parse.Payment, "amina", "", "user:amina"},
		{"a user, though anybody may read", parse.Payment, "amina", "any", "user:amina"},
		{"nobody", parse.Payment, "", "", ""},
		{"anybody", parse.Payment, "", "any", "any"},
		{"a malformed setting", parse.Payment, "", "yes", ""},
		{"the setting in capitals", parse.Payment, "", "ANY", ""},
		{"a uid that ends the permission", parse.Payment, `amina")`, "", ""},
		{"a uid that adds a permission", parse.Payment, `x"),read("any`, "", ""},
		{"a user of the name any", parse.Payment, "any", "", "user:any"},
		{"the id 0", parse.Payment, "0", "", ""},
		{"a narrower role", parse.Payment, "amina/verified", "", ""},
		{"a leading underscore", parse.Payment, "_amina", "", ""},
		{"white space", parse.Payment, "amina ", "", ""},
		{"a NUL", parse.Payment, "a\x00", "", ""},
		{"36 characters", parse.Payment, strings.Repeat("x", 36), "", "user:" + strings.Repeat("x", 36)},
		{"37 characters", parse.Payment, strings.Repeat("x", 37), "", ""},
		{"malformed, and anybody may read", parse.Payment, `"`, "any", "any"},
		{"a disbursement", parse.Disbursement, "amina", "", "user:amina"},
		{"a disbursement, though anybody may read payments", parse.Disbursement, "", "any", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			role := ReadRole(tt.kind, tt.uid, tt.anonymous)
			if role != tt.want {
				t.Errorf("ReadRole = %q, want %q", role, tt.want)
			}
			d := New(parse.Verdict{Kind: tt.kind, ID: "x"}, role, settled)
			permissions, err := json.Marshal(d.Permissions())
			if err != nil {
				t.Fatal(err)
			}
			want := `["read(\"` + tt.want + `\")"]`
			if tt.want == "" {
				want = "[]"
			}
			if string(permissions) != want {
				t.Errorf("permissions = %s, want %s", permissions, want)
			}
		})
	}
}
