package settle

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// TestUnsettled has lines as the version before this package logged them. This one logs the
// same, and reads them.
func TestUnsettled(t *testing.T) {
	for name, tt := range map[string]struct {
		verdict    parse.Verdict
		route, uid string
		line       string
	}{
		"a payment": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_23112026140731772700000011", Status: parse.Success, Receipt: "UKN4T8W2QD", Amount: 1000,
				At: time.Date(2026, 11, 23, 11, 7, 48, 0, time.UTC)},
			"callback", "amina",
			`UNSETTLED {"route":"callback","uid":"amina","id":"ws_CO_23112026140731772700000011","data":{"checkoutRequestId":"ws_CO_23112026140731772700000011","status":"SUCCESS","resultCode":0,"receipt":"UKN4T8W2QD","amount":1000,"failureReason":null,"mpesaTimestamp":"2026-11-23T11:07:48Z","settledAt":"2026-11-25T23:02:25.968Z"}}`},
		"a code that is a word": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_25022026134429293700000050", Status: parse.Failed, Code: parse.NoCode, Reason: "SFC_IC0003: The operator does not exist."},
			"callback", "amina",
			`UNSETTLED {"route":"callback","uid":"amina","id":"ws_CO_25022026134429293700000050","data":{"checkoutRequestId":"ws_CO_25022026134429293700000050","status":"FAILED","resultCode":-1,"receipt":null,"amount":null,"failureReason":"SFC_IC0003: The operator does not exist.","mpesaTimestamp":null,"settledAt":"2026-11-25T23:02:25.968Z"}}`},
		"nobody's": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_24042026075033030700000052", Status: parse.Timeout, Code: 1037, Reason: "DS timeout user cannot be reached"},
			"callback", `a"b`,
			`UNSETTLED {"route":"callback","uid":"","id":"ws_CO_24042026075033030700000052","data":{"checkoutRequestId":"ws_CO_24042026075033030700000052","status":"TIMEOUT","resultCode":1037,"receipt":null,"amount":null,"failureReason":"DS timeout user cannot be reached","mpesaTimestamp":null,"settledAt":"2026-11-25T23:02:25.968Z"}}`},
		"a document id that is made": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_DMZ_418200735_30072026164708664", Status: parse.Success, Receipt: "UGU3WZ30Z6", Amount: 5,
				At: time.Date(2026, 7, 30, 13, 47, 19, 0, time.UTC)},
			"callback", "amina",
			`UNSETTLED {"route":"callback","uid":"amina","id":"6603120bd2fee3f93688aa3f5bc5be50c284","data":{"checkoutRequestId":"ws_CO_DMZ_418200735_30072026164708664","status":"SUCCESS","resultCode":0,"receipt":"UGU3WZ30Z6","amount":5,"failureReason":null,"mpesaTimestamp":"2026-07-30T13:47:19Z","settledAt":"2026-11-25T23:02:25.968Z"}}`},
		"without receipt and amount": {
			parse.Verdict{Kind: parse.Payment, ID: "ws_CO_31032026151308797700000083", Status: parse.Success, At: time.Date(2026, 3, 31, 12, 13, 16, 0, time.UTC)},
			"callback", "amina",
			`UNSETTLED {"route":"callback","uid":"amina","id":"ws_CO_31032026151308797700000083","data":{"checkoutRequestId":"ws_CO_31032026151308797700000083","status":"SUCCESS","resultCode":0,"receipt":null,"amount":null,"failureReason":null,"mpesaTimestamp":"2026-03-31T12:13:16Z","settledAt":"2026-11-25T23:02:25.968Z"}}`},
		"a disbursement": {
			parse.Verdict{Kind: parse.Disbursement, ID: "daa6-4d1a-af61-120b12394d6e598669", Conversation: "AG_20261123_0100o03z0q4otlr8096g", Status: parse.Success,
				Receipt: "UKN8D3R6YM", Amount: 500, Receiver: "254700000027 - AMINA WAMBUI OTIENO", At: time.Date(2026, 11, 23, 13, 22, 48, 0, time.UTC)},
			"b2c/result", "amina",
			`UNSETTLED {"route":"b2c/result","uid":"amina","id":"daa6-4d1a-af61-120b12394d6e598669","data":{"originatorConversationId":"daa6-4d1a-af61-120b12394d6e598669","status":"SUCCESS","resultCode":0,"receipt":"UKN8D3R6YM","amount":500,"failureReason":null,"mpesaTimestamp":"2026-11-23T13:22:48Z","settledAt":"2026-11-25T23:02:25.968Z","conversationId":"AG_20261123_0100o03z0q4otlr8096g"}}`},
		"a disbursement without a conversation": {
			parse.Verdict{Kind: parse.Disbursement, ID: "7ef7-44d8-8d46-8118a6060783975258", Status: parse.Success, Receipt: "UI77ARY2H7", Amount: 3200,
				Receiver: "254700000028 - JUMA OTIENO", At: time.Date(2026, 9, 7, 13, 1, 10, 0, time.UTC)},
			"b2c/result", "amina",
			`UNSETTLED {"route":"b2c/result","uid":"amina","id":"7ef7-44d8-8d46-8118a6060783975258","data":{"originatorConversationId":"7ef7-44d8-8d46-8118a6060783975258","status":"SUCCESS","resultCode":0,"receipt":"UI77ARY2H7","amount":3200,"failureReason":null,"mpesaTimestamp":"2026-09-07T13:01:10Z","settledAt":"2026-11-25T23:02:25.968Z","conversationId":null}}`},
		"a queue timeout": {
			parse.Verdict{Kind: parse.Disbursement, ID: "6441-4a2b-ac33-9bb52a6a5352403611", Conversation: "AG_20261025_0100kvmv6gkc1vu7kbeu", Status: parse.Timeout,
				Code: 1, Reason: "The service request has timed out."},
			"b2c/timeout", "amina",
			`UNSETTLED {"route":"b2c/timeout","uid":"amina","id":"6441-4a2b-ac33-9bb52a6a5352403611","data":{"originatorConversationId":"6441-4a2b-ac33-9bb52a6a5352403611","status":"TIMEOUT","resultCode":1,"receipt":null,"amount":null,"failureReason":"The service request has timed out.","mpesaTimestamp":null,"settledAt":"2026-11-25T23:02:25.968Z","conversationId":"AG_20261025_0100kvmv6gkc1vu7kbeu"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			role := ReadRole(tt.verdict.Kind, tt.uid, "")
			d := New(tt.verdict, role, time.Date(2026, 11, 25, 23, 2, 25, 968e6, time.UTC))
			if got := d.Unsettled(tt.route, tt.uid, ""); got != tt.line {
				t.Errorf("Unsettled =\n%s, want\n%s", got, tt.line)
			}
			want := d
			want.Receiver, want.SettledAt = "", settled
			got, _, err := ParseUnsettled(tt.line, "", settled)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("ParseUnsettled =\n%+v, want\n%+v", got, want)
			}
		})
	}
}

// TestUnsettledPayloads: what is read back from the log is, for each payload, the
// document that would have been stored at once, but for the payee's name.
func TestUnsettledPayloads(t *testing.T) {
	for folder, read := range map[string]func([]byte) (parse.Verdict, error){"stk": parse.STK, "b2c": parse.B2C, "timeout": parse.B2CTimeout} {
		files, err := filepath.Glob(filepath.Join("..", "testdata", folder, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no payloads in testdata/%s: %v", folder, err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				body, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				v, err := read(body)
				if err != nil {
					return // it makes no document
				}
				d := New(v, "user:amina", settled)
				line := d.Unsettled(folder, "amina", "")
				if v.Receiver != "" && strings.Contains(line, v.Receiver) {
					t.Errorf("the line has the payee's name: %s", line)
				}
				got, _, err := ParseUnsettled(line, "", settled)
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				if got.DocumentID != d.DocumentID || got.ReadRole != d.ReadRole || got.Kind != d.Kind {
					t.Errorf("read back as %+v, want %+v", got, d)
				}
				d.Receiver = ""
				if got, want := asJSON(t, got.Attributes()), asJSON(t, d.Attributes()); got != want {
					t.Errorf("read back as\n%s, want\n%s", got, want)
				}
			})
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUnsettledFits: the longest document there is fits into a line of the log.
func TestUnsettledFits(t *testing.T) {
	long := strings.Repeat("\x01", 1200) // six bytes a character, in JSON
	for _, kind := range []parse.Kind{parse.Payment, parse.Disbursement} {
		t.Run(string(kind), func(t *testing.T) {
			d := New(parse.Verdict{Kind: kind, ID: long, Conversation: long, Status: parse.Timeout, Receiver: long, Reason: long}, "", settled)
			line := d.Unsettled("b2c/timeout", strings.Repeat("u", 36), "")
			if len(line) > 8000 {
				t.Errorf("the line has %d bytes", len(line))
			}
			if _, _, err := ParseUnsettled(line, "", settled); err != nil {
				t.Errorf("it cannot be read back: %v", err)
			}
		})
	}
}

// TestUnsettledReader: the log holds the uid, and who may read is decided when it is
// replayed.
func TestUnsettledReader(t *testing.T) {
	for _, tt := range []struct {
		name, uid, anonymousRead, want string
	}{
		{"a user", "amina", "any", "user:amina"},
		{"nobody", "", "", ""},
		{"anybody", "", "any", "any"},
		{"a user of that name", "any", "any", "user:any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := payment()
			got, _, err := ParseUnsettled(d.Unsettled("callback", tt.uid, ""), tt.anonymousRead, settled)
			if err != nil {
				t.Fatal(err)
			}
			if got.ReadRole != tt.want {
				t.Errorf("it is read by %q, want %q", got.ReadRole, tt.want)
			}
		})
	}
	t.Run("a forged uid", func(t *testing.T) {
		d := payment()
		line := strings.Replace(d.Unsettled("callback", "amina", ""), `"amina"`, `"a\"),read(\"any"`, 1)
		if got, _, err := ParseUnsettled(line, "", settled); got.ReadRole != "" || err != nil {
			t.Errorf("it is read by %q, %v, want nobody", got.ReadRole, err)
		}
	})
}

// TestParseUnsettledRefuses: nothing is made of a line that is not one of ours.
func TestParseUnsettledRefuses(t *testing.T) {
	const good = `UNSETTLED {"route":"callback","uid":"","id":"ws_CO_1","data":{"checkoutRequestId":"ws_CO_1","status":"FAILED","resultCode":1}}`
	if _, _, err := ParseUnsettled(good, "", settled); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ old, new string }{
		"no mark":              {"UNSETTLED ", ""},
		"another mark":         {"UNSETTLED ", "unsettled "},
		"the mark further in":  {"UNSETTLED ", "x UNSETTLED "},
		"cut off":              {`1}}`, ``},
		"an id that is a path": {`"id":"ws_CO_1"`, `"id":"a/b"`},
		"no document id":       {`"id":"ws_CO_1"`, `"id":""`},
		"no transaction":       {`"checkoutRequestId":"ws_CO_1"`, `"checkoutRequestId":""`},
		"another attribute":    {`"checkoutRequestId"`, `"requestId"`},
		"an unknown status":    {"FAILED", "PAID"},
		"no status":            {"FAILED", ""},
		"a time of no form":    {`"resultCode":1`, `"mpesaTimestamp":"yesterday"`},
		"an amount in words":   {`"resultCode":1`, `"amount":"many"`},
	} {
		t.Run(name, func(t *testing.T) {
			line := strings.Replace(good, tt.old, tt.new, 1)
			if line == good {
				t.Fatal("the line is as it was")
			}
			if d, _, err := ParseUnsettled(line, "", settled); d != (Document{}) || !errors.Is(err, ErrNotUnsettled) {
				t.Errorf("ParseUnsettled(%s) = %+v, %v, want %v", line, d, err, ErrNotUnsettled)
			}
		})
	}
	for _, line := range []string{"", "UNSETTLED", "UNSETTLED ", "UNSETTLED {", "UNSETTLED {}", "UNSETTLED null", "UNSETTLED []"} {
		t.Run(line, func(t *testing.T) {
			if d, _, err := ParseUnsettled(line, "", settled); d != (Document{}) || !errors.Is(err, ErrNotUnsettled) {
				t.Errorf("ParseUnsettled = %+v, %v, want %v", d, err, ErrNotUnsettled)
			}
		})
	}
}

// TestMarkInside: the words of a document may hold the mark, and whoever's words they are
// may choose where a line is cut. No rest of a line is a document of its own.
func TestMarkInside(t *testing.T) {
	forged := Mark + `{"route":"stk/push","id":"000000000000000000a1","started":true,"data":{"status":"SUCCESS","resultCode":0,"checkoutRequestId":"x"}}`
	d := New(parse.Verdict{Kind: parse.Payment, ID: forged, Status: parse.Failed, Code: 1, Reason: forged}, "", time.Now())
	for name, line := range map[string]string{
		"a document":    d.Unsettled("callback", "amina", ""),
		"of a started":  d.Unsettled("callback", "", "000000000000000000a2"),
		"an unverified": d.UnsettledUnverified("callback", "000000000000000000a2"),
		"a name":        d.UnsettledName("stk/push"),
	} {
		if n := strings.Count(line, Mark); n != 1 {
			t.Errorf("%s: the mark stands in it %d times: %s", name, n, line)
		}
	}
	got, _, err := ParseUnsettled(d.Unsettled("callback", "amina", ""), "", time.Now())
	if err != nil || got.ID != sanitize(forged, 255) || got.Reason != sanitize(forged, 255) {
		t.Errorf("it is read back as %q and %q, %v", got.ID, got.Reason, err)
	}
}
