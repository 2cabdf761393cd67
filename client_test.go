package handler

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
)

// shown is what the published client (package daraja 0.1.2) makes of a document:
// the casts are those of its _parseDocument, and "crash" is where one fails.
func shown(document []byte) string {
	var doc struct {
		Status     any             `json:"status"`
		ResultCode json.RawMessage `json:"resultCode"`
		Receipt    json.RawMessage `json:"receipt"`
		Amount     json.RawMessage `json:"amount"`
		SettledAt  string          `json:"settledAt"`
		Timestamp  *string         `json:"mpesaTimestamp"`
	}
	if json.Unmarshal(document, &doc) != nil {
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

// isInteger reports whether Dart's jsonDecode makes an int of v, and not a
// double, a String or null.
func isInteger(v json.RawMessage) bool {
	return len(v) > 0 && strings.Trim(string(v), "-0123456789") == ""
}

// TestClientContract reads documents as the client does, as the user it is for.
func TestClientContract(t *testing.T) {
	for name, want := range map[string]string{
		"stk/paid.json":                    `success "UKN4T8W2QD" 1000`,
		"stk/paid-amount-decimal.json":     `success "UHT39PSYTD" 430`,
		"stk/paid-all-text.json":           `success "UB596CT0UA" 1200`,
		"stk/amount-exponent.json":         `success "UFT63YN97G" 250`,
		"stk/amount-fraction.json":         `success "UKL4MMWVMV" 99`,
		"stk/receipt-number.json":          `success "4820193765" 2400`,
		"stk/cancelled.json":               "cancelled",
		"stk/cancelled-1031.json":          "cancelled",
		"stk/fail-2001-wrong-pin.json":     "failed 2001",
		"stk/fail-17-rule-limited.json":    "failed 17",
		"stk/fail-sfc-ic0003.json":         "failed -1",
		"stk/unknown-1037-ds.json":         "unknown",
		"stk/unknown-bw-jms.json":          "unknown",
		"stk/unknown-2026-session.json":    "unknown",
		"stk/code-null.json":               "unknown",
		"b2c/paid.json":                    `success "UKN8D3R6YM" 500`,
		"b2c/paid-all-text.json":           `success "UHC74K20ML" 1750`,
		"b2c/fail-2001-initiator.json":     "failed 2001",
		"b2c/unknown-17-internal.json":     "unknown",
		"b2c/unknown-1032.json":            "unknown",
		"timeout/envelope-code-0.json":     "unknown",
		"timeout/envelope-failed.json":     "unknown",
		"timeout/flat-ids-only.json":       "unknown",
		"stk/fail-with-metadata.json":      "failed 1",
		"b2c/fail-code-text.json":          "failed 2001",
		"stk/code-text-1032.json":          "cancelled",
		"stk/paid-merchant-id-old.json":    `success "UIR4B2XKUM" 95`,
		"b2c/receipt-missing.json":         `success "UAH29SZJRH" 3200`,
		"b2c/fail-1-funds.json":            "failed 1",
		"stk/unknown-4999-processing.json": "unknown",
	} {
		w := newWorld(t)
		w.postFile(name)
		d := w.document()
		if got := shown(w.read(d, "amina")); got != want {
			t.Errorf("%s: the client shows %s, want %s", name, got, want)
		}
		if id := d.Data["checkoutRequestId"]; id != nil && id != d.ID {
			t.Errorf("%s: the client waits for the document %v, and it is %s", name, id, d.ID)
		}
	}
}

// read gets a document as the client does: over HTTP, with a user's session.
func (w *world) read(d fakeappwrite.Document, user string) []byte {
	w.t.Helper()
	w.Appwrite.AddSession("session-of-"+user, user)
	collection := "payments"
	if d.Data["checkoutRequestId"] == nil {
		collection = "disbursements"
	}
	req, err := http.NewRequest(http.MethodGet, w.AppwriteURL+
		"/databases/daraja/collections/"+collection+"/documents/"+d.ID, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Session", "session-of-"+user)
	resp, err := httpClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return body
}

// TestNobodyElseReads: another user does not see the document, and without a uid
// nobody does.
func TestNobodyElseReads(t *testing.T) {
	w := newWorld(t)
	w.postFile("stk/paid.json")
	if d := w.document(); w.read(d, "amina") == nil || w.read(d, "juma") != nil {
		t.Error("amina's payment is not read by her alone")
	}
	w = newWorld(t)
	w.post("/callback", payload(t, "stk/paid.json"))
	if d := w.document(); w.read(d, "amina") != nil {
		t.Error("a payment of nobody's is read by amina")
	}
}

// TestClientWithoutReceiptOrAmount: such a SUCCESS must reach the document all
// the same, where a complete one takes its place.
func TestClientWithoutReceiptOrAmount(t *testing.T) {
	for _, name := range payloads(t) {
		w := newWorld(t)
		w.postFile(name)
		for _, d := range w.stored() {
			got := shown(w.read(d, "amina"))
			complete := d.Data["receipt"] != nil && d.Data["amount"] != nil
			if got == "nothing" || got == "crash" && (d.Data["status"] != "SUCCESS" || complete) {
				t.Errorf("%s: the client makes %s of %v", name, got, d.Data)
			}
		}
	}
}
