package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
)

// target is a function and the Appwrite project in which it stores.
type target struct {
	function, endpoint, project, key, database string
	collections                                map[string]string // by the attribute that holds the transaction's id
	transport                                  *http.Transport
}

// expected holds the transactions, by id attribute and id.
type expected map[string]map[string]*transaction

// transaction is one payment or disbursement: every verdict that was posted about
// it, and whether one of these posts was answered 200.
type transaction struct {
	verdicts []parse.Verdict
	accepted bool
}

func newExpected(callbacks []callback, accepted []bool) expected {
	e := expected{"checkoutRequestId": {}, "originatorConversationId": {}}
	for i, c := range callbacks {
		attribute := "checkoutRequestId"
		if c.verdict.Kind == parse.Disbursement {
			attribute = "originatorConversationId"
		}
		t := e[attribute][c.verdict.ID]
		if t == nil {
			t = &transaction{}
			e[attribute][c.verdict.ID] = t
		}
		t.verdicts = append(t.verdicts, c.verdict)
		t.accepted = t.accepted || accepted[i]
	}
	return e
}

// document is a stored document, as far as it is checked.
type document struct {
	ID                       string       `json:"$id"`
	CheckoutRequestID        string       `json:"checkoutRequestId"`
	OriginatorConversationID string       `json:"originatorConversationId"`
	Status                   parse.Status `json:"status"`
	ResultCode               int          `json:"resultCode"`
	Receipt                  string       `json:"receipt"`
	Amount                   int64        `json:"amount"`
	Permissions              []string     `json:"$permissions"`
}

func (d document) transaction() string { return d.CheckoutRequestID + d.OriginatorConversationID }

// report counts how the stored documents compare with the expected ones.
type report struct {
	transactions int
	lost         int                   // accepted, but without a document
	refused      int                   // not accepted, and without a document
	doubled      int                   // with several documents
	wrong        int                   // with a document that has other values or another reader
	documents    map[string][]document // by id attribute
}

func (r report) complete() bool { return r.lost+r.refused+r.doubled+r.wrong == 0 }

// verify compares the stored documents of all transactions with the expected ones,
// and reports its progress.
func (t target) verify(progress io.Writer, e expected) (r report, err error) {
	all := 0
	for _, transactions := range e {
		all += len(transactions)
	}
	var looked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = t.look(e, &looked)
	}()
	follow(progress, done, func() string {
		return fmt.Sprintf("%s of %s transactions looked for", thousands(int(looked.Load())), thousands(all))
	})
	return r, err
}

// look reads the documents of fifty transactions at a time, and adds fifty to looked.
func (t target) look(e expected, looked *atomic.Int64) (report, error) {
	r := report{documents: map[string][]document{}}
	for attribute, transactions := range e {
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(transactions)), 50) {
			documents, err := t.documents(attribute, ids)
			if err != nil {
				return report{}, err
			}
			for _, id := range ids {
				r.documents[attribute] = append(r.documents[attribute], documents[id]...)
				r.count(documents[id], transactions[id])
			}
			looked.Add(int64(len(ids)))
		}
	}
	return r, nil
}

// count compares the documents of one transaction with its verdicts.
func (r *report) count(documents []document, t *transaction) {
	r.transactions++
	switch {
	case len(documents) == 0 && t.accepted:
		r.lost++
	case len(documents) == 0:
		r.refused++
	case len(documents) > 1:
		r.doubled++
	case !slices.ContainsFunc(best(t.verdicts), documents[0].says):
		r.wrong++
	}
}

// says reports whether the document holds that verdict and is readable by the user
// who was posted with it, and by nobody else.
func (d document) says(v parse.Verdict) bool {
	return d.Status == v.Status && d.ResultCode == v.Code && d.Receipt == v.Receipt && d.Amount == v.Amount &&
		slices.Equal(d.Permissions, []string{`read("user:load")`})
}

// best returns the verdicts that no other one outranks: any result outranks an unknown
// outcome, and a success outranks a failure. Of two that are left, the function keeps
// whichever came first.
func best(verdicts []parse.Verdict) []parse.Verdict {
	rank := map[parse.Status]int{parse.Timeout: 1, parse.Failed: 2, parse.Cancelled: 2, parse.Success: 3}
	highest := 0
	for _, v := range verdicts {
		highest = max(highest, rank[v.Status])
	}
	return slices.DeleteFunc(slices.Clone(verdicts), func(v parse.Verdict) bool { return rank[v.Status] < highest })
}

func (r report) print(out io.Writer) {
	fmt.Fprintf(out, "Documents    of %s transactions: %s lost, %s refused, %s doubled, %s wrong\n",
		thousands(r.transactions), thousands(r.lost), thousands(r.refused), thousands(r.doubled), thousands(r.wrong))
}

func (r report) err() error {
	if r.complete() {
		return nil
	}
	return fmt.Errorf("of %d transactions %d were accepted and lost, %d refused, %d have several documents, %d a wrong one",
		r.transactions, r.lost, r.refused, r.doubled, r.wrong)
}

// documents returns the documents of these transactions, by transaction.
func (t target) documents(attribute string, ids []string) (map[string][]document, error) {
	equal, err := json.Marshal(map[string]any{"method": "equal", "attribute": attribute, "values": ids})
	if err != nil {
		return nil, err
	}
	query := url.Values{"queries[]": {string(equal), `{"method":"limit","values":[100]}`}}
	body, err := t.call(http.MethodGet, t.path(attribute)+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	var page struct{ Documents []document }
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("%s: %w", t.endpoint, err)
	}
	byID := map[string][]document{}
	for _, d := range page.Documents {
		byID[d.transaction()] = append(byID[d.transaction()], d)
	}
	return byID, nil
}

// remove deletes documents and returns how many.
func (t target) remove(documents map[string][]document) (removed int, err error) {
	for attribute, ds := range documents {
		for _, d := range ds {
			if _, err := t.call(http.MethodDelete, t.path(attribute)+"/"+url.PathEscape(d.ID)); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}

func (t target) path(attribute string) string {
	return "/databases/" + url.PathEscape(t.database) + "/collections/" + url.PathEscape(t.collections[attribute]) + "/documents"
}

// call makes one call of Appwrite's API and returns the answer. It tries three times
// what passes by itself, since one failed call would leave the documents of the whole
// run behind. What is not there needs no removing.
func (t target) call(method, path string) (body []byte, err error) {
	client := &appwrite.Client{Endpoint: t.endpoint, ProjectID: t.project, Key: t.key, Transport: t.transport}
	for try := range 3 {
		time.Sleep(time.Duration(try) * 300 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		body, err = client.Call(ctx, method+" of documents at "+t.endpoint, method, path, nil)
		cancel()
		switch {
		case err == nil || method == http.MethodDelete && appwrite.Status(err) == http.StatusNotFound:
			return body, nil
		case appwrite.Classify(err) == appwrite.Permanent:
			return nil, err
		}
	}
	return nil, err
}
