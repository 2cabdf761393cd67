package handler

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
		"a`":                               false, // what stands beside the letters and digits
		"a{":                               false,
		"a@":                               false,
		"a[":                               false,
		"a/":                               false,
		"a:":                               false,
		"1":                                true,
		"0":                                false,
		strings.Repeat("x", 36):            true,
		"7c1e-4a79.a5e6_6bd6":              true,
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
		"a%2Fb":                            false,
		"é":                                false,
		"a\x00":                            false,
		"a\n":                              false,
		"ws_CO_1/amount/increment":         false,
		`{"method":"increment"}`:           false,
		strings.Repeat("x", 35) + "\u00e9": false,
	} {
		got := documentID(id)
		if (got == id) != own || !isID(got) || got != documentID(id) {
			t.Errorf("documentID(%q) = %q, want its own: %t", id, got, own)
		}
		if !own && got != hashID(id) {
			t.Errorf("documentID(%q) = %q, want %q", id, got, hashID(id))
		}
	}
	// Documents of an earlier version must be found again.
	if got, want := hashID(long), "0fface556effea097466123e6c790bbbaa9b"; got != want {
		t.Errorf("hashID = %s, want %s", got, want)
	}
	if got, want := hashID("ws_CO_1", "UKN7X1Q9ZK"), "dce575135415b3b093f73f0b16744ce76369"; got != want {
		t.Errorf("hashID of two parts = %s, want %s", got, want)
	}
	if hashID("a", "b") == hashID("ab") || len(hashID("a", "b")) != 36 {
		t.Errorf("hashID(a, b) = %s, hashID(ab) = %s", hashID("a", "b"), hashID("ab"))
	}
}

func TestText(t *testing.T) {
	tests := []struct {
		in   string
		size int
		want string
	}{
		{"Request cancelled by user", 255, "Request cancelled by user"},
		{"jambo", 3, "jam"},
		{"jambo", 4, "jamb"},
		{"jambo", 5, "jambo"},
		{"{jambo", 7, "'{jambo"},
		{"{jambo", 6, "'{jamb"},
		{"ñññññ", 3, "ñññ"},
		{"ñññ", 3, "ñññ"}, // six bytes, three characters
		{"a\x00b", 9, "a\uFFFDb"},
		{`{"method":"increment"}`, 255, `'{"method":"increment"}`},
		{" \n\t{}", 255, "' \n\t{}"},
		{"{abc", 3, "'{a"},
		{"\u00a0{", 255, "'\u00a0{"},
		{"a{", 255, "a{"},
		{"", 255, ""},
	}
	for _, tt := range tests {
		got := text(tt.in, tt.size)
		if got != tt.want {
			t.Errorf("text(%q, %d) = %q, want %q", tt.in, tt.size, got, tt.want)
		}
		if again := text(got, tt.size); again != got {
			t.Errorf("text(%q, %d) = %q: what was read back is another id", got, tt.size, again)
		}
	}
}

// TestAttributes has every attribute, so that a replacement leaves none behind.
func TestAttributes(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 5, 678e6, time.FixedZone("EAT", 3*60*60))
	v := parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Timeout, Code: parse.NoCode}
	empty := `{"checkoutRequestId":"ws_CO_1","status":"TIMEOUT","resultCode":-1,"receipt":null,"amount":null,` +
		`"failureReason":null,"mpesaTimestamp":null,"settledAt":"2026-11-23T06:30:05.678Z"}`
	if got, err := json.Marshal(newDocument(v, "", now).attributes()); string(got) != empty {
		t.Errorf("attributes = %s, %v, want %s", got, err, empty)
	}

	v = parse.Verdict{Kind: parse.Disbursement, ID: "o-1", Conversation: "AG_1", Status: parse.Success, Receipt: "UKN",
		Amount: 500, Receiver: "Amina", At: time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)}
	full := `{"originatorConversationId":"o-1","status":"SUCCESS","resultCode":0,"receipt":"UKN","amount":500,` +
		`"failureReason":null,"mpesaTimestamp":"2026-11-23T06:30:00Z","settledAt":"2026-11-23T06:30:05.678Z",` +
		`"conversationId":"AG_1","receiverName":"Amina"}`
	if got, err := json.Marshal(newDocument(v, "", now).attributes()); string(got) != full {
		t.Errorf("attributes = %s, %v, want %s", got, err, full)
	}
}

func TestMasked(t *testing.T) {
	for _, tt := range []struct {
		kind     parse.Kind
		id, want string
	}{
		{parse.Payment, "ws_CO_23112026093005123700000001", "ws_CO_23112026093005123*********"},
		{parse.Payment, "123456789", "*********"},
		{parse.Payment, "1", "*********"},
		{parse.Payment, "1234567890", "1*********"},
		{parse.Disbursement, "7c1e-4a79-a5e6-6bd68fe3b14e5682", "7c1e-4a79-a5e6-6bd68fe*********"},
		{parse.Disbursement, "254700000001-2026-11-23-0001", "************-2026-1*********"},
		{parse.Disbursement, "p-700000001.12345678-x.y.z.0.1", "p-*********.12345678-*********"},
	} {
		if got := (document{kind: tt.kind, id: tt.id}).masked(); got != tt.want {
			t.Errorf("masked id of %s %s = %s, want %s", tt.kind, tt.id, got, tt.want)
		}
	}
}

func TestReader(t *testing.T) {
	tests := []struct {
		kind           parse.Kind
		uid, anonymous string
		want           string
	}{
		{parse.Payment, "amina", "", "user:amina"},
		{parse.Payment, "amina", "any", "user:amina"},
		{parse.Payment, "", "", ""},
		{parse.Payment, "", "any", "any"},
		{parse.Payment, "", "yes", ""},
		{parse.Payment, `amina")`, "", ""},
		{parse.Payment, `x"),read("any`, "", ""},
		{parse.Payment, "0", "", ""},
		{parse.Payment, "amina/verified", "", ""},
		{parse.Payment, strings.Repeat("x", 37), "", ""},
		{parse.Disbursement, "amina", "", "user:amina"},
		{parse.Disbursement, "", "any", ""},
	}
	for _, tt := range tests {
		c := Config{AnonymousRead: tt.anonymous}
		if got := c.reader(tt.kind, tt.uid); got != tt.want {
			t.Errorf("reader(%s, %q) with anonymous read %q = %q, want %q", tt.kind, tt.uid, tt.anonymous, got, tt.want)
		}
	}
}
