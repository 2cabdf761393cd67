package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"openruntimes/handler/parse"
)

// target is the function, and the Appwrite in which its documents must stand.
type target struct {
	function, endpoint, project, key, database string
	collections                                map[string]string // by the attribute that holds the transaction's id
}

// wanted is what must stand: by attribute and transaction, all that was said.
type wanted map[string]map[string][]parse.Verdict

func newWanted(callbacks []callback) wanted {
	w := wanted{"checkoutRequestId": {}, "originatorConversationId": {}}
	for _, c := range callbacks {
		attribute := "checkoutRequestId"
		if c.verdict.Kind == parse.Disbursement {
			attribute = "originatorConversationId"
		}
		w[attribute][c.verdict.ID] = append(w[attribute][c.verdict.ID], c.verdict)
	}
	return w
}

// stored is a document as it stands.
type stored struct {
	ID                       string       `json:"$id"`
	CheckoutRequestID        string       `json:"checkoutRequestId"`
	OriginatorConversationID string       `json:"originatorConversationId"`
	Status                   parse.Status `json:"status"`
	Receipt                  string       `json:"receipt"`
}

func (d stored) transaction() string { return d.CheckoutRequestID + d.OriginatorConversationID }

// found is what stands of what must.
type found struct {
	transactions          int
	missing, doubled, off int
	documents             map[string][]stored // by attribute, as in wanted
}

// verify looks for the documents of all transactions, fifty at a time.
func (t target) verify(w wanted) (found, error) {
	v := found{documents: map[string][]stored{}}
	for attribute, said := range w {
		for ids := range slices.Chunk(slices.Sorted(maps.Keys(said)), 50) {
			documents, err := t.documents(attribute, ids)
			if err != nil {
				return found{}, err
			}
			for _, id := range ids {
				v.documents[attribute] = append(v.documents[attribute], documents[id]...)
				v.judge(documents[id], said[id])
			}
		}
	}
	return v, nil
}

// judge compares the documents of one transaction with what was said about it.
func (v *found) judge(documents []stored, said []parse.Verdict) {
	v.transactions++
	switch {
	case len(documents) == 0:
		v.missing++
	case len(documents) > 1:
		v.doubled++
	case !slices.ContainsFunc(best(said), func(s parse.Verdict) bool {
		return s.Status == documents[0].Status && s.Receipt == documents[0].Receipt
	}):
		v.off++
	}
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
	fmt.Fprintf(out, "Documents    of %s transactions: %s missing, %s doubled, %s with another status or receipt\n",
		thousands(v.transactions), thousands(v.missing), thousands(v.doubled), thousands(v.off))
}

func (v found) err() error {
	if v.missing+v.doubled+v.off > 0 {
		return fmt.Errorf("of %d transactions %d have no document, %d have several, %d the wrong one", v.transactions, v.missing, v.doubled, v.off)
	}
	return nil
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

// remove deletes the documents of a run, as many as it can.
func (t target) remove(out io.Writer, documents map[string][]stored) error {
	removed := 0
	var failed error
	for attribute, ds := range documents {
		for _, d := range ds {
			if _, err := t.call(http.MethodDelete, t.path(attribute)+"/"+url.PathEscape(d.ID)); err != nil {
				failed = err
			} else {
				removed++
			}
		}
	}
	fmt.Fprintf(out, "Removed      %s documents\n", thousands(removed))
	if failed != nil {
		return fmt.Errorf("some documents of this run are left: %w", failed)
	}
	return nil
}

func (t target) path(attribute string) string {
	return "/databases/" + url.PathEscape(t.database) + "/collections/" + url.PathEscape(t.collections[attribute]) + "/documents"
}

// call makes one call of Appwrite's API and returns the answer. It tries three
// times: what a run stored would stay if it could not be found again.
func (t target) call(method, path string) (body []byte, err error) {
	for range 3 {
		var status int
		if body, status, err = t.once(method, path); err == nil && (status < 300 || method == http.MethodDelete && status == http.StatusNotFound) {
			return body, nil
		}
		if err == nil {
			err = fmt.Errorf("%s of documents at %s: answered %d: %.200s", method, t.endpoint, status, body)
		}
		if status >= 400 && status < 500 && status != http.StatusTooManyRequests {
			break
		}
		time.Sleep(time.Second)
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
