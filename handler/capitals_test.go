package handler

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// The ids of two transactions that differ in capitals alone.
const (
	lower = "ws_CO_3110202617380012700000001a"
	upper = "ws_CO_3110202617380012700000001A"
)

// The ids of their documents, where another one has theirs.
var (
	hashedLower    = hash(lower)
	hashedUpper    = hash(upper)
	hashedUpperCCC = hash(upper + "\nCCC")
)

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:36]
}

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
		outcome settle.Outcome

		// calls are those of the API, on MariaDB and on PostgreSQL.
		calls, postgreSQLCalls string
	}
	const taken = "create get create get " // twice: it might have been deleted in between
	first := post{lower, 0, "AAA", settle.Created, "create", "create"}
	tests := []struct {
		name  string
		posts []post
		want  []string // id, status, receipt and readers of each document
	}{
		{"lower first", []post{first, {upper, 0, "BBB", settle.Created, "create get create", taken + "create"}},
			[]string{lower + " SUCCESS AAA user:amina", hashedUpper + " SUCCESS BBB user:amina"}},
		{"upper first", []post{{upper, 0, "BBB", settle.Created, "create", "create"}, {lower, 0, "AAA", settle.Created, "create get create", taken + "create"}},
			[]string{upper + " SUCCESS BBB user:amina", hashedLower + " SUCCESS AAA user:amina"}},
		{"repeats of both", []post{first, {upper, 0, "BBB", settle.Created, "create get create", taken + "create"},
			{lower, 0, "AAA", settle.Duplicate, "create get", "create get"},
			{upper, 0, "BBB", settle.Duplicate, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashedUpper + " SUCCESS BBB user:amina"}},
		{"a timeout, then its success", []post{first, {upper, 1037, "", settle.Created, "create get create", taken + "create"},
			{upper, 0, "BBB", settle.Replaced, "create get create get replace", taken + "create get replace"},
			{upper, 1037, "", settle.Duplicate, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashedUpper + " SUCCESS BBB user:amina"}},
		{"a success, then a failure", []post{first, {upper, 0, "BBB", settle.Created, "create get create", taken + "create"},
			{upper, 1, "", settle.Conflict, "create get create get", taken + "create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashedUpper + " SUCCESS BBB user:amina"}},
		{"two receipts", []post{first, {upper, 0, "BBB", settle.Created, "create get create", taken + "create"},
			{upper, 0, "CCC", settle.Collision, "create get create get create", taken + "create get create"},
			{upper, 0, "CCC", settle.Duplicate, "create get create get create get", taken + "create get create get"}},
			[]string{lower + " SUCCESS AAA user:amina", hashedUpper + " SUCCESS BBB user:amina", hashedUpperCCC + " SUCCESS CCC "}},
	}
	for _, tt := range tests {
		for _, postgreSQL := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/postgresql=%t", tt.name, postgreSQL), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.Appwrite.PostgreSQL = postgreSQL
				for i, p := range tt.posts {
					if got := w.Post("/callback?uid=amina", stkCallback(p.id, p.code, p.receipt)); got != 200 {
						t.Errorf("post %d: %d, want 200", i, got)
					}
					calls := p.calls
					if postgreSQL {
						calls = p.postgreSQLCalls
					}
					if got := w.Operations(); got != calls {
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
				for _, d := range w.Stored() {
					got = append(got, fmt.Sprintf("%s %s %s %s", d.ID, d.Data["status"], d.Data["receipt"], testbed.Readers(d)))
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
				w.Post("/callback?uid=amina", stkCallback(lower, 1037, ""))
				w.Operations()
				w.Appwrite.Inject(fakeappwrite.Fault{Operation: tt.before, Times: 1, Reply: func(rw http.ResponseWriter, r *http.Request) {
					w.Remove(lower)
					fakeappwrite.Status(404, "document_not_found", lower)(rw, r)
				}})
				if got := w.Post("/callback?uid=amina", stkCallback(lower, 0, "AAA")); got != 200 {
					t.Errorf("reply %d, want 200", got)
				}
				if got := w.Operations(); got != tt.calls {
					t.Errorf("calls = %q, want %q", got, tt.calls)
				}
				if all := w.Stored(); len(all) != 1 || all[0].ID != lower || all[0].Data["receipt"] != "AAA" {
					t.Errorf("stored are %v, want the payment under its own id", all)
				}
			})
		}
	}
}
