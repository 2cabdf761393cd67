package handler

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// shown is what the published client (package daraja 0.1.2) makes of a document: the
// casts are those of its _parseDocument, and "crash" is where one fails.
func shown(document string) string {
	var doc struct {
		Status     any             `json:"status"`
		ResultCode json.RawMessage `json:"resultCode"`
		Receipt    json.RawMessage `json:"receipt"`
		Amount     json.RawMessage `json:"amount"`
		SettledAt  string          `json:"settledAt"`
		Timestamp  *string         `json:"mpesaTimestamp"`
	}
	if json.Unmarshal([]byte(document), &doc) != nil {
		return "crash"
	}
	switch doc.Status {
	case "SUCCESS":
		_, err := time.Parse("2006-01-02T15:04:05Z", doc.SettledAt) // takes fractions of a second
		if err == nil && doc.Timestamp != nil {
			_, err = time.Parse("2006-01-02T15:04:05Z", *doc.Timestamp)
		}
		if err != nil || !isString(doc.Receipt) || !isInteger(doc.Amount) {
			return "crash"
		}
		return fmt.Sprintf("success %s %s", doc.Receipt, doc.Amount)
	case "FAILED":
		if !isInteger(doc.ResultCode) {
			return "crash"
		}
		return "failed " + string(doc.ResultCode)
	case "CANCELLED":
		return "cancelled"
	case "TIMEOUT":
		return "unknown"
	}
	return "nothing"
}

func isString(v json.RawMessage) bool { return strings.HasPrefix(string(v), `"`) }

// isInteger reports whether Dart's jsonDecode makes an int of v, and not a double, a
// String or null.
func isInteger(v json.RawMessage) bool {
	return len(v) > 0 && strings.Trim(string(v), "-0123456789") == ""
}

// TestClientContract reads documents as the client does, as the user it is for.
func TestClientContract(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"stk/paid":                    `success "UKN4T8W2QD" 1000`,
		"stk/paid-all-text":           `success "UB596CT0UA" 1200`,
		"stk/paid-merchant-id-old":    `success "UIR4B2XKUM" 95`,
		"stk/cancelled":               "cancelled",
		"stk/fail-2001-wrong-pin":     "failed 2001",
		"stk/fail-sfc-ic0003":         "failed -1",
		"stk/unknown-bw-jms":          "unknown",
		"stk/unknown-4999-processing": "unknown",
		"b2c/paid":                    `success "UKN8D3R6YM" 500`,
		"b2c/fail-2001-initiator":     "failed 2001",
		"b2c/unknown-17-internal":     "unknown",
		"timeout/envelope-code-0":     "unknown",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.PostPayload(name)
			d := w.Document()
			body, ok := w.Read(d, "amina")
			if !ok {
				t.Fatal("amina may not read it")
			}
			if got := shown(body); got != want {
				t.Errorf("the client shows %s, want %s", got, want)
			}
			// The client knows the id from Safaricom's answer to its request.
			if id := d.Data["checkoutRequestId"]; id != nil && id != d.ID {
				t.Errorf("the client waits for the document %v, and it is %s", id, d.ID)
			}
		})
	}
}

// TestClientShowsAll: the client makes sense of every document there is, but of a
// SUCCESS without receipt or amount, whose place a complete one takes.
func TestClientShowsAll(t *testing.T) {
	t.Parallel()
	for _, name := range testbed.Payloads(t) {
		t.Run(name, func(t *testing.T) {
			for _, rt := range routes() {
				if rt.path != testbed.Path(name) {
					continue
				}
				v, _, _, err := read(&rt, []byte(payload(t, name)))
				if err != nil {
					return // it makes no document
				}
				d := settle.New(v, "", time.Now())
				text, err := json.Marshal(d.Attributes())
				if err != nil {
					t.Fatal(err)
				}
				got := shown(string(text))
				if got == "nothing" {
					t.Errorf("the client makes nothing of %s", text)
				}
				if complete := v.Status != "SUCCESS" || d.Rank() == settle.Complete; got == "crash" && complete {
					t.Errorf("the client crashes at %s", text)
				}
			}
		})
	}
}

// TestNobodyElseReads: another user does not see the document, and without a uid nobody
// does.
func TestNobodyElseReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		uid, user string
		want      bool
	}{{"amina", "amina", true}, {"amina", "juma", false}, {"", "amina", false}, {"any", "amina", false}} {
		t.Run(tt.user+" reads what is of "+tt.uid, func(t *testing.T) {
			w := newWorld(t)
			w.Post("/callback?uid="+tt.uid, payload(t, "stk/paid"))
			if _, ok := w.Read(w.Document(), tt.user); ok != tt.want {
				t.Errorf("%t, want %t", ok, tt.want)
			}
		})
	}
}
