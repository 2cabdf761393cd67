// Package handler is an example to copy: a function of your own that fulfils orders. It
// runs on the event of a payment's document, and trusts that document alone.
//
// The shop has two collections in the same database: orders, whose ids are what the app
// sends as reference, each with its price; and sales, which this function fills, and
// from which goods are handed over.
package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// Main runs on databases.daraja.collections.payments.documents.*.update. Of the event it
// takes only which document it is about, and reads that itself, so that it does not
// matter who called. It is safe to repeat.
func Main(Context openruntimes.Context) openruntimes.Response {
	var event struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal(Context.Req.BodyBinary(), &event); err != nil || event.ID == "" {
		return Context.Res.Text("no document", Context.Res.WithStatusCode(http.StatusBadRequest))
	}
	shop := shop{
		endpoint: os.Getenv("APPWRITE_FUNCTION_API_ENDPOINT"),
		project:  os.Getenv("APPWRITE_FUNCTION_PROJECT_ID"),
		key:      Context.Req.Headers["x-appwrite-key"], // the platform's, with this function's scopes
	}
	done, err := shop.fulfil(event.ID)
	if err != nil {
		Context.Error(event.ID + ": " + err.Error())
		return Context.Res.Text("failed", Context.Res.WithStatusCode(http.StatusInternalServerError))
	}
	Context.Log(event.ID + ": " + done)
	return Context.Res.Text(done)
}

// payment is what counts of a document of payments. What is null there is empty here.
type payment struct {
	Status     string `json:"status"`
	RequestKey string `json:"requestKey"`
	Receipt    string `json:"receipt"`
	Reference  string `json:"reference"`
	Amount     int64  `json:"amount"` // what was paid, in whole shillings
}

// proven reports whether money has come: a SUCCESS with a receipt, of a payment that
// the daraja function itself has asked for. A document without requestKey holds what
// somebody has posted.
func (p payment) proven() bool {
	return p.Status == "SUCCESS" && p.RequestKey != "" && p.Receipt != ""
}

// order is what the shop itself says. The amount that was asked for proves nothing: the
// payer's app has chosen it.
type order struct {
	Price int64 `json:"price"` // whole shillings
}

// fulfil turns a proven payment into a sale, once for each receipt: the receipt is the
// id of the sale, and the database lets nobody create an id twice. An error is for a
// person to look at: money has come that bought nothing, or a call has failed.
func (s shop) fulfil(id string) (done string, err error) {
	var p payment
	if err := s.get("payments", id, &p); err != nil {
		return "", fmt.Errorf("the payment cannot be read: %w", err)
	}
	if !p.proven() {
		return "nothing to fulfil yet", nil
	}
	var o order
	if err := s.get("orders", p.Reference, &o); err != nil {
		return "", fmt.Errorf("paid with %s, and the order %q cannot be read: %w", p.Receipt, p.Reference, err)
	}
	if o.Price < 1 || p.Amount < o.Price {
		return "", fmt.Errorf("paid with %s, and %d are too little for the order %q, which costs %d", p.Receipt, p.Amount, p.Reference, o.Price)
	}
	status, err := s.create("sales", p.Receipt, map[string]any{"order": p.Reference, "payment": id, "amount": p.Amount})
	if err != nil {
		return "", fmt.Errorf("paid with %s, and the sale cannot be written: %w", p.Receipt, err)
	}
	sales, err := s.count("sales", "order", p.Reference)
	switch {
	case err != nil:
		return "", fmt.Errorf("paid with %s, and whether others paid for the order %q too cannot be seen: %w", p.Receipt, p.Reference, err)
	case sales > 1:
		return "", fmt.Errorf("paid with %s, and the order %q has %d sales: hand over the goods once, and give the rest back", p.Receipt, p.Reference, sales)
	case status == http.StatusConflict:
		return "fulfilled before", nil
	}
	return "fulfilled", nil
}

// shop is the database, with the rights of this function's key: documents.read and
// documents.write.
type shop struct{ endpoint, project, key string }

func (s shop) get(collection, id string, into any) error {
	if id == "" {
		return errors.New("no id") // its path would be that of the list
	}
	status, err := s.call(http.MethodGet, collection+"/documents/"+url.PathEscape(id), nil, into)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// create returns 201, or 409 if there is a document of this id.
func (s shop) create(collection, id string, data map[string]any) (status int, err error) {
	status, err = s.call(http.MethodPost, collection+"/documents", map[string]any{"documentId": id, "data": data}, nil)
	if err == nil && status != http.StatusCreated && status != http.StatusConflict {
		err = fmt.Errorf("status %d", status)
	}
	return status, err
}

// count returns how many documents have that value.
func (s shop) count(collection, attribute, value string) (total int, err error) {
	query, err := json.Marshal(map[string]any{"method": "equal", "attribute": attribute, "values": []string{value}})
	if err != nil {
		return 0, err
	}
	var list struct{ Total int }
	status, err := s.call(http.MethodGet, collection+"/documents?"+url.Values{"queries[]": {string(query)}}.Encode(), nil, &list)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return list.Total, err
}

var client = &http.Client{Timeout: 10 * time.Second}

// call makes one call of the API, and decodes the answer unless into is nil.
func (s shop) call(method, path string, params, into any) (status int, err error) {
	var body bytes.Buffer
	if params != nil {
		if err := json.NewEncoder(&body).Encode(params); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(method, s.endpoint+"/databases/daraja/collections/"+path, &body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Appwrite-Project", s.project)
	req.Header.Set("X-Appwrite-Key", s.key)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || into == nil || resp.StatusCode >= 300 {
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.Unmarshal(answer, into)
}
