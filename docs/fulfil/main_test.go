package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// shopWorld is this function beside a fake Appwrite with the payments of appwrite.json
// and the shop's two collections.
type shopWorld struct {
	*testbed.Machine
	t *testing.T
}

func newShop(t *testing.T) *shopWorld {
	t.Helper()
	var schema map[string]json.RawMessage
	var collections []json.RawMessage
	if err := json.Unmarshal(testbed.ReadFile(t, "appwrite.json"), &schema); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(schema["collections"], &collections); err != nil {
		t.Fatal(err)
	}
	for id, attributes := range map[string]string{
		"orders": `{"key":"price","type":"integer","required":true}`,
		"sales": `{"key":"order","type":"string","required":true,"size":12},
			{"key":"payment","type":"string","required":true,"size":36},
			{"key":"amount","type":"integer","required":true}`,
	} {
		collections = append(collections, json.RawMessage(fmt.Sprintf(
			`{"$id":%q,"databaseId":"daraja","name":%[1]q,"enabled":true,"$permissions":[],"attributes":[%s]}`, id, attributes)))
	}
	schema["collections"] = encode(t, collections)
	text := encode(t, schema)
	m, err := testbed.NewMachine(text, Main, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	t.Setenv("APPWRITE_FUNCTION_API_ENDPOINT", m.AppwriteURL)
	t.Setenv("APPWRITE_FUNCTION_PROJECT_ID", fakeappwrite.ProjectID)
	w := &shopWorld{m, t}
	w.create("orders", "ORDER-001", `{"price":1000}`)
	w.create("orders", "ORDER-2", `{"price":250}`)
	w.create("orders", "GIFT", `{"price":0}`)
	return w
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// create makes a document as the shop does, or the daraja function.
func (w *shopWorld) create(collection, id, data string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"documentId":%q,"data":%s}`, id, data)
	req, err := http.NewRequest(http.MethodPost, w.AppwriteURL+"/databases/daraja/collections/"+collection+"/documents", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Key", testbed.FunctionKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		w.t.Fatalf("creating %s/%s: %d", collection, id, resp.StatusCode)
	}
}

// pay makes a payment's document, with what it has otherwise and with changes.
func (w *shopWorld) pay(id, changes string) {
	w.t.Helper()
	data := map[string]any{"checkoutRequestId": "ws_CO_" + id, "status": "SUCCESS", "settledAt": "2026-11-23T11:07:49.210Z",
		"userId": "amina", "reference": "ORDER-001", "requestedAmount": 1000, "requestKey": strings.Repeat("5", 64),
		"receipt": "UKN4T8W2QD", "amount": 1000}
	if err := json.Unmarshal([]byte("{"+changes+"}"), &data); err != nil {
		w.t.Fatal(err)
	}
	w.create("payments", id, string(encode(w.t, data)))
}

// event runs the function on a body, and returns what it logs, or its error.
func (w *shopWorld) event(body string) (logged string, status int) {
	w.t.Helper()
	w.Logged()
	status = w.Runtime.Execute(fakeappwrite.Execution{Method: http.MethodPost, Path: "/", Body: body})
	logs, errors := w.Logged()
	return strings.Join(append(logs, errors...), "\n"), status
}

// sales lists the receipts that were turned into sales.
func (w *shopWorld) sales() string {
	var receipts []string
	for _, d := range w.Appwrite.Documents("daraja", "sales") {
		receipts = append(receipts, fmt.Sprintf("%s for %v", d.ID, d.Data["order"]))
	}
	return strings.Join(receipts, ", ")
}

const event = `{"$id":"64d4f0b1c2d3e4f5a6b7","status":"SUCCESS"}`

// TestFulfil changes one thing of a payment that fulfils its order.
func TestFulfil(t *testing.T) {
	for _, tt := range []struct {
		name, changes string
		logged        string
		status        int
		sales         string
	}{
		{"paid", ``, "fulfilled", 200, "UKN4T8W2QD for ORDER-001"},
		{"paid more", `"amount":1001`, "fulfilled", 200, "UKN4T8W2QD for ORDER-001"},
		{"asked for less, and paid in full all the same", `"requestedAmount":1`, "fulfilled", 200, "UKN4T8W2QD for ORDER-001"},
		{"another order", `"reference":"ORDER-2","amount":250`, "fulfilled", 200, "UKN4T8W2QD for ORDER-2"},

		{"pending", `"status":"PENDING","receipt":null,"amount":null`, "nothing to fulfil yet", 200, ""},
		{"failed", `"status":"FAILED"`, "nothing to fulfil yet", 200, ""},
		{"cancelled", `"status":"CANCELLED"`, "nothing to fulfil yet", 200, ""},
		{"unknown", `"status":"TIMEOUT"`, "nothing to fulfil yet", 200, ""},
		{"posted by somebody", `"requestKey":null`, "nothing to fulfil yet", 200, ""},
		{"receipt to follow", `"receipt":null`, "nothing to fulfil yet", 200, ""},

		{"asked for too little", `"requestedAmount":1,"amount":1`, "paid with UKN4T8W2QD, and 1 are too little", 500, ""},
		{"paid a shilling too little", `"amount":999`, "paid with UKN4T8W2QD, and 999 are too little", 500, ""},
		{"no amount", `"amount":null`, "paid with UKN4T8W2QD, and 0 are too little", 500, ""},
		{"no such order", `"reference":"ORDER-9"`, `paid with UKN4T8W2QD, and the order "ORDER-9" cannot be read`, 500, ""},
		{"an order with a space", `"reference":"ORDER 2"`, `paid with UKN4T8W2QD, and the order "ORDER 2" cannot be read`, 500, ""},
		{"no order", `"reference":null`, `paid with UKN4T8W2QD, and the order "" cannot be read`, 500, ""},
		{"an order without a price", `"reference":"GIFT"`, "paid with UKN4T8W2QD, and 1000 are too little", 500, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newShop(t)
			w.pay("64d4f0b1c2d3e4f5a6b7", tt.changes)
			logged, status := w.event(event)
			if !strings.HasPrefix(logged, "64d4f0b1c2d3e4f5a6b7: "+tt.logged) {
				t.Errorf("it logs %q, want %q", logged, tt.logged)
			}
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if got := w.sales(); got != tt.sales {
				t.Errorf("sales: %q, want %q", got, tt.sales)
			}
		})
	}
}

// TestEvents has bodies that are not the document's own.
func TestEvents(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "no JSON": "SUCCESS", "no id": `{"status":"SUCCESS","receipt":"UKN4T8W2QD"}`, "a number": `{"$id":5}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newShop(t)
			if _, status := w.event(body); status != http.StatusBadRequest {
				t.Errorf("status %d, want 400", status)
			}
		})
	}
	t.Run("a lie", func(t *testing.T) {
		w := newShop(t)
		w.pay("64d4f0b1c2d3e4f5a6b7", `"status":"PENDING","receipt":null`)
		w.event(`{"$id":"64d4f0b1c2d3e4f5a6b7","status":"SUCCESS","receipt":"UKN4T8W2QD","amount":1000,"requestKey":"5"}`)
		if got := w.sales(); got != "" {
			t.Errorf("the event is believed: %q", got)
		}
	})
	for _, id := range []string{"../x", "64d4f0b1c2d3e4f5a6b7?", "another"} {
		t.Run(id, func(t *testing.T) {
			w := newShop(t)
			w.pay("64d4f0b1c2d3e4f5a6b7", "")
			if logged, status := w.event(fmt.Sprintf(`{"$id":%q}`, id)); status != 500 || !strings.Contains(logged, "the payment cannot be read") {
				t.Errorf("%d %s", status, logged)
			}
		})
	}
}

// TestRepeated: an event that comes twice, or a run that is repeated by hand, sells
// nothing twice.
func TestRepeated(t *testing.T) {
	w := newShop(t)
	w.pay("64d4f0b1c2d3e4f5a6b7", "")
	w.event(event)
	logged, status := w.event(event)
	if status != 200 || !strings.HasSuffix(logged, ": fulfilled before") {
		t.Errorf("the second time: %d %s", status, logged)
	}
	if got := w.sales(); got != "UKN4T8W2QD for ORDER-001" {
		t.Errorf("sales: %q", got)
	}
}

// TestPaidTwice: who pays for an order that was paid already gets told of, by name of
// the receipt.
func TestPaidTwice(t *testing.T) {
	w := newShop(t)
	w.pay("64d4f0b1c2d3e4f5a6b7", "")
	w.event(event)
	w.pay("74d4f0b1c2d3e4f5a6b7", `"receipt":"UKN5Z0C3AB"`)
	logged, status := w.event(strings.Replace(event, "64d4", "74d4", 1))
	if status != 500 || !strings.Contains(logged, `paid with UKN5Z0C3AB, and the order "ORDER-001" has 2 sales`) {
		t.Errorf("%d %s", status, logged)
	}
}

// TestFails breaks each call, before it is carried out and after. What was not done is
// said, and done when the run is repeated.
func TestFails(t *testing.T) {
	for _, operation := range []string{"get", "create", "list"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%t", operation, after), func(t *testing.T) {
				w := newShop(t)
				w.pay("64d4f0b1c2d3e4f5a6b7", "")
				w.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, Times: 1, After: after, Reply: fakeappwrite.HTML(http.StatusServiceUnavailable)})
				if logged, status := w.event(event); status != 500 || !strings.Contains(logged, "status 503") {
					t.Errorf("%d %s", status, logged)
				}
				if logged, status := w.event(event); status != 200 || !strings.Contains(logged, ": fulfilled") {
					t.Errorf("repeated: %d %s", status, logged)
				}
				if got := w.sales(); got != "UKN4T8W2QD for ORDER-001" {
					t.Errorf("sales: %q", got)
				}
			})
		}
	}
}
