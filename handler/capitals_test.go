package handler

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// The ids of two transactions that differ in capitals alone.
const (
	lower = "ws_CO_3110202617380012700000001a"
	upper = "ws_CO_3110202617380012700000001A"
)

// stkCallback is a callback with that result code and receipt, if it has one.
func stkCallback(id string, code int, receipt string) string {
	metadata := ""
	if receipt != "" {
		metadata = fmt.Sprintf(`,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":100},{"Name":"MpesaReceiptNumber","Value":%q}]}`, receipt)
	}
	return fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":%q,"ResultCode":%d,"ResultDesc":"d"%s}}}`, id, code, metadata)
}

// TestCapitals: two transactions whose ids differ in capitals alone are settled
// side by side, on either database, by the function alone.
func TestCapitals(t *testing.T) {
	t.Parallel()
	type post struct {
		id      string
		code    int
		receipt string
		outcome action

		// calls are those of the API, on MariaDB and on PostgreSQL.
		calls, postgreSQLCalls string
	}
	const taken = "create get create get " // twice: it might have been deleted in between
	first := post{lower, 0, "AAA", create, "create", "create"}
	tests := []struct {
		name  string
		posts []post
		want  []string // id, status, receipt and readers of each document
	}{
		{"lower first", []post{first, {upper, 0, "BBB", create, "create get create", taken + "create"}},
			[]string{lower + " SUCCESS AAA user:amina", hashID(upper) + " SUCCESS BBB user:amina"}},
		{"upper first", []post{{upper, 0, "BBB", create, "create", "create"}, {lower, 0, "AAA", create, "create get create", taken + "create"}},
			[]string{upper + " SUCCESS BBB user:amina", hashID(lower) + " SUCCESS AAA user:amina"}},
		{"repeats of both", []post{first, {upper, 0, "BBB", create, "create get create", taken + "create"},
			{lower, 0, "AAA", duplicate, "create get", "create get"},
			{upper, 0, "BBB", duplicate, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashID(upper) + " SUCCESS BBB user:amina"}},
		{"a timeout, then its success", []post{first, {upper, 1037, "", create, "create get create", taken + "create"},
			{upper, 0, "BBB", replace, "create get create get replace", taken + "create get replace"},
			{upper, 1037, "", duplicate, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashID(upper) + " SUCCESS BBB user:amina"}},
		{"a success, then a failure", []post{first, {upper, 0, "BBB", create, "create get create", taken + "create"},
			{upper, 1, "", conflict, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashID(upper) + " SUCCESS BBB user:amina"}},
		{"two receipts", []post{first, {upper, 0, "BBB", create, "create get create", taken + "create"},
			{upper, 0, "CCC", beside, "create get create get create", taken + "create get create"},
			{upper, 0, "CCC", duplicate, "create get create get create get", taken + "create get create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashID(upper) + " SUCCESS BBB user:amina", hashID(upper, "CCC") + " SUCCESS CCC "}},
	}
	for _, tt := range tests {
		for _, postgreSQL := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/postgresql=%t", tt.name, postgreSQL), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.Appwrite.PostgreSQL = postgreSQL
				for i, p := range tt.posts {
					if got := w.post("/callback?uid=amina", stkCallback(p.id, p.code, p.receipt)); got != 200 {
						t.Errorf("post %d: %d, want 200", i, got)
					}
					calls := p.calls
					if postgreSQL {
						calls = p.postgreSQLCalls
					}
					if got := w.operations(); got != calls {
						t.Errorf("post %d took the calls %q, want %q", i, got, calls)
					}
					logs, errors := w.Logged()
					if len(logs) != 1 || !strings.Contains(logs[0], " outcome="+string(p.outcome)+" ") {
						t.Errorf("post %d: log %q, want the outcome %s", i, logs, p.outcome)
					}
					if strings.Contains(strings.Join(errors, ""), "failed ") {
						t.Errorf("post %d: error log %q, want nothing for an operator to mend", i, errors)
					}
				}
				var got []string
				for _, d := range w.stored() {
					readers := strings.NewReplacer(`read("`, "", `")`, "").Replace(strings.Join(d.Permissions, ","))
					got = append(got, fmt.Sprintf("%s %s %s %s", d.ID, d.Data["status"], d.Data["receipt"], readers))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("stored are\n%q, want\n%q", got, tt.want)
				}
				if waiting := len(w.Appwrite.Waiting()); waiting != 0 {
					t.Errorf("%d executions wait, want none", waiting)
				}
			})
		}
	}
}

// TestDeletedMeanwhile: a document that somebody deletes between two calls of ours
// is the other reason for a 404 after a 409. The payment is stored under its own id.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ before, calls string }{
		{"get", "create get delete create"},
		{"replace", "create get replace delete get create"},
	} {
		for _, postgreSQL := range []bool{false, true} {
			t.Run(fmt.Sprintf("before %s/postgresql=%t", tt.before, postgreSQL), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.Appwrite.PostgreSQL = postgreSQL
				w.post("/callback?uid=amina", stkCallback(lower, 1037, ""))
				w.operations()
				w.Appwrite.Inject(fakeappwrite.Fault{Operation: tt.before, Times: 1, Reply: func(rw http.ResponseWriter, r *http.Request) {
					w.remove(lower)
					fakeappwrite.Status(404, "document_not_found", lower)(rw, r)
				}})
				if got := w.post("/callback?uid=amina", stkCallback(lower, 0, "AAA")); got != 200 {
					t.Errorf("reply %d, want 200", got)
				}
				if got := w.operations(); got != tt.calls {
					t.Errorf("calls = %q, want %q", got, tt.calls)
				}
				if all := w.stored(); len(all) != 1 || all[0].ID != lower || all[0].Data["receipt"] != "AAA" {
					t.Errorf("stored are %v, want the payment under its own id", all)
				}
			})
		}
	}
}

// remove deletes a payment, as its owner does in the console.
func (w *world) remove(id string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, w.AppwriteURL+"/databases/daraja/collections/payments/documents/"+id, nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Key", testbed.FunctionKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		w.t.Errorf("DELETE of %s: %d, want 204", id, resp.StatusCode)
	}
}
