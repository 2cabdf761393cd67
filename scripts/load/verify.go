package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"openruntimes/handler/parse"
)

// target is the function, and the Appwrite in which its documents must stand.
type target struct {
	function, endpoint, project, key, database string
	collections                                map[string]string // by the attribute that holds the transaction's id
}

// wanted is what must stand: by attribute and transaction.
type wanted map[string]map[string]*transaction

// transaction is all that was said about one, and whether any of it was answered
// 200.
type transaction struct {
	said     []parse.Verdict
	accepted bool
}

func newWanted(callbacks []callback, accepted []bool) wanted {
	w := wanted{"checkoutRequestId": {}, "originatorConversationId": {}}
	for i, c := range callbacks {
		attribute := "checkoutRequestId"
		if c.verdict.Kind == parse.Disbursement {
			attribute = "originatorConversationId"
		}
		t := w[attribute][c.verdict.ID]
		if t == nil {
			t = &transaction{}
			w[attribute][c.verdict.ID] = t
		}
		t.said = append(t.said, c.verdict)
		t.accepted = t.accepted || accepted[i]
	}
	return w
}

// stored is a document as it stands.
type stored struct {
	ID                       string       `json:"$id"`
	CheckoutRequestID        string       `json:"checkoutRequestId"`
	OriginatorConversationID string       `json:"originatorConversationId"`
	Status                   parse.Status `json:"status"`
	ResultCode               int          `json:"resultCode"`
	Receipt                  string       `json:"receipt"`
	Amount                   int64        `json:"amount"`
	Permissions              []string     `json:"$permissions"`
}

func (d stored) transaction() string { return d.CheckoutRequestID + d.OriginatorConversationID }

// found is what stands of what must.
type found struct {
	transactions int
	lost         int                 // accepted, and without a document
	refused      int                 // not accepted, and without a document
	doubled      int                 // with more than one
	wrong        int                 // with one that says something else, or is another's to read
	documents    map[string][]stored // by attribute, as in wanted
}

func (v found) complete() bool { return v.lost+v.refused+v.doubled+v.wrong == 0 }

// verify looks for the documents of all transactions.
func (t target) verify(progress io.Writer, w wanted) (v found, err error) {
	all := 0
	for _, transactions := range w {
		all += len(transactions)
	}
	var looked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		v, err = t.look(w, &looked)
	}()
	follow(progress, done, func() string {
		return fmt.Sprintf("%s of %s transactions looked for", thousands(int(looked.Load())), thousands(all))
	})
	return v, err
}

// look reads the documents of fifty transactions at a time, and counts these.
func (t target) look(w wanted, looked *atomic.Int64) (found, error) {
	v := found{documents: map[string][]stored{}}
	for attribute, transactions := range w {
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(transactions)), 50) {
			documents, err := t.documents(attribute, ids)
			if err != nil {
				return found{}, err
			}
			for _, id := range ids {
				v.documents[attribute] = append(v.documents[attribute], documents[id]...)
				v.judge(documents[id], transactions[id])
			}
			looked.Add(int64(len(ids)))
		}
	}
	return v, nil
}

// judge compares the documents of one transaction with what was said about it.
func (v *found) judge(documents []stored, t *transaction) {
	v.transactions++
	switch {
	case len(documents) == 0 && t.accepted:
		v.lost++
	case len(documents) == 0:
		v.refused++
	case len(documents) > 1:
		v.doubled++
	case !slices.ContainsFunc(best(t.said), documents[0].says):
		v.wrong++
	}
}

// says reports whether the document has that verdict, for the user who is posted
// as its reader.
func (d stored) says(v parse.Verdict) bool {
	return d.Status == v.Status && d.ResultCode == v.Code && d.Receipt == v.Receipt && d.Amount == v.Amount &&
		slices.Equal(d.Permissions, []string{`read("user:load")`})
}

// best returns those verdicts that none of the others outdoes: a result outdoes an
// unknown outcome, and a success a failure.
func best(said []parse.Verdict) []parse.Verdict {
	rank := map[parse.Status]int{parse.Timeout: 1, parse.Failed: 2, parse.Cancelled: 2, parse.Success: 3}
	highest := 0
	for _, s := range said {
		highest = max(highest, rank[s.Status])
	}
	return slices.DeleteFunc(slices.Clone(said), func(s parse.Verdict) bool { return rank[s.Status] < highest })
}

func (v found) print(out io.Writer) {
	fmt.Fprintf(out, "Documents    of %s transactions: %s accepted and lost, %s refused, %s doubled, %s wrong\n",
		thousands(v.transactions), thousands(v.lost), thousands(v.refused), thousands(v.doubled), thousands(v.wrong))
}

func (v found) err() error {
	if v.complete() {
		return nil
	}
	return fmt.Errorf("of %d transactions %d were accepted and lost, %d refused, %d have several documents, %d a wrong one",
		v.transactions, v.lost, v.refused, v.doubled, v.wrong)
}

// documents returns the documents of these transactions, by transaction.
func (t target) documents(attribute string, ids []string) (map[string][]stored, error) {
	equal, err := json.Marshal(map[string]any{"method": "equal", "attribute": attribute, "values": ids})
	if err != nil {
		return nil, err
	}
	query := url.Values{"queries[]": {string(equal), `{"method":"limit","values":[100]}`}}
	body, err := t.call(http.MethodGet, t.path(attribute)+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	var page struct{ Documents []stored }
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("%s: %w", t.endpoint, err)
	}
	byID := map[string][]stored{}
	for _, d := range page.Documents {
		byID[d.transaction()] = append(byID[d.transaction()], d)
	}
	return byID, nil
}

// remove deletes documents.
func (t target) remove(documents map[string][]stored) (removed int, err error) {
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

// call makes one call of Appwrite's API and returns the answer. It tries three
// times: what a run stored would stay if it could not be found again.
func (t target) call(method, path string) (body []byte, err error) {
	for try := range 3 {
		time.Sleep(time.Duration(try) * 300 * time.Millisecond)
		var status int
		if body, status, err = t.once(method, path); err == nil && (status < 300 || method == http.MethodDelete && status == http.StatusNotFound) {
			return body, nil
		}
		if err == nil {
			err = fmt.Errorf("%s of documents at %s: answered %d: %.200s", method, t.endpoint, status, body)
		}
		if status >= 300 && status < 500 && status != http.StatusTooManyRequests {
			break
		}
	}
	return nil, err
}

func (t target) once(method, path string) (body []byte, status int, err error) {
	req, err := http.NewRequest(method, t.endpoint+path, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("X-Appwrite-Response-Format", "1.8.0")
	req.Header.Set("X-Appwrite-Project", t.project)
	req.Header.Set("X-Appwrite-Key", t.key)
	// A redirect would take the key elsewhere.
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return body, resp.StatusCode, err
}
