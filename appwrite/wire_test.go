package appwrite

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// wire is a server that records what reaches it and gives the same answer always.
type wire struct {
	*httptest.Server
	status      int
	contentType string
	answer      string
	hang        bool

	mu       sync.Mutex
	requests []*http.Request
	bodies   []any       // the JSON that came with each
	at       []time.Time // when each came in
	answered time.Time   // when the last one was answered
}

func newWire(t *testing.T, status int, answer string) *wire {
	t.Helper()
	t.Cleanup(testbed.Watch(t))
	w := &wire{status: status, contentType: "application/json; charset=UTF-8", answer: answer}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		at := time.Now()
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var body any
		if len(sent) > 0 && json.Unmarshal(sent, &body) != nil {
			t.Errorf("%s %s: the body %q is not JSON", r.Method, r.URL, sent)
		}
		w.mu.Lock()
		w.requests, w.bodies, w.at = append(w.requests, r), append(w.bodies, body), append(w.at, at)
		w.mu.Unlock()
		if w.hang {
			<-r.Context().Done()
			return
		}
		rw.Header().Set("Content-Type", w.contentType)
		rw.Header().Set("Location", "/elsewhere")
		rw.WriteHeader(w.status)
		w.answered = time.Now()
		io.WriteString(rw, w.answer)
	}))
	t.Cleanup(w.Close)
	return w
}

// client returns one whose server w is.
func (w *wire) client() *Client {
	return &Client{Endpoint: w.URL + "/v1", ProjectID: "project", Key: "key", Transport: NewTransport()}
}

// documents returns a store whose server w is. Its ids need escaping.
func (w *wire) documents() Documents {
	return Documents{Client: w.client(), Database: "da/raja", Payments: "pay?ments", Disbursements: "dis burse"}
}

// payment is a complete, paid document.
func payment() *settle.Document {
	return &settle.Document{DocumentID: "ws_CO_1", ReadRole: "user:amina",
		Verdict: parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Success, Receipt: "UKN7X1Q9ZK", Amount: 100}}
}

// said is a payment that says this and no more.
func said(status parse.Status, code int) *settle.Document {
	d := payment()
	d.Status, d.Code, d.Receipt, d.Amount = status, code, "", 0
	return d
}

// stored is the answer to a document's being read or written.
const stored = `{"$id":"ws_CO_1","$sequence":"7","$updatedAt":"2026-11-23T06:30:05.678+00:00","$permissions":[],
	"checkoutRequestId":"ws_CO_1","status":"TIMEOUT","resultCode":1037,"receipt":null,"amount":null}`
