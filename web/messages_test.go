package web

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

var update = flag.Bool("update", false, "write messages.js anew")

// TestMessages: the page has the words of the one table of codes. With -update it gets
// them.
func TestMessages(t *testing.T) {
	want, err := messages()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("messages.js", []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("messages.js")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("messages.js has other words than parse/codes.go: go test ./web -update")
	}
}

// messages writes the table as a module.
func messages() (string, error) {
	var b strings.Builder
	b.WriteString("// What to tell the person, for each result code. Written by go test ./web -update,\n" +
		"// from the table in parse/codes.go. A row without a code is for all others of its status.\n\n" +
		"export const messages = [\n")
	for _, c := range parse.Codes() {
		if c.Kind != parse.Payment {
			continue
		}
		row, err := json.Marshal(struct {
			Status   parse.Status `json:"status"`
			Code     string       `json:"code"`
			English  string       `json:"en"`
			Swahili  string       `json:"sw"`
			AskAgain bool         `json:"askAgain"`
			Cause    parse.Cause  `json:"cause"`
		}{c.Status, c.Code, c.English, c.Swahili, c.AskAgain, c.Cause})
		if err != nil {
			return "", err
		}
		b.WriteString("  " + string(row) + ",\n")
	}
	b.WriteString("];\n")
	receipt, err := json.Marshal(struct {
		English string `json:"en"`
		Swahili string `json:"sw"`
	}{parse.ReceiptFollows, parse.ReceiptFollowsSW})
	if err != nil {
		return "", err
	}
	b.WriteString("\n// What to say of a SUCCESS whose receipt is still to come.\nexport const receiptFollows = " + string(receipt) + ";\n")
	return b.String(), nil
}
