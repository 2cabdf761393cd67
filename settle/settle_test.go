package settle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

// memory is a store that is a map. Appwrite compares ids without regard to case; on
// PostgreSQL it does so when it creates, and not when it reads. before, if set, runs
// before each call.
type memory struct {
	documents  map[string]Document
	postgreSQL bool
	calls      []string
	before     func(call string) error
}

func newMemory(stored ...Document) *memory {
	m := &memory{documents: map[string]Document{}}
	for _, d := range stored {
		m.put(d)
	}
	return m
}

// put stores d under a version of its own.
func (m *memory) put(d Document) {
	previous, _ := strconv.Atoi(m.documents[strings.ToLower(d.DocumentID)].Server.UpdatedAt)
	d.Server.UpdatedAt = strconv.Itoa(previous + 1)
	m.documents[strings.ToLower(d.DocumentID)] = d
}

func (m *memory) called(call string) error {
	m.calls = append(m.calls, call)
	if m.before == nil {
		return nil
	}
	return m.before(call)
}

func (m *memory) Create(_ context.Context, d *Document) error {
	if err := m.called("create"); err != nil {
		return err
	}
	if _, taken := m.documents[strings.ToLower(d.DocumentID)]; taken {
		return ErrExists
	}
	m.put(*d)
	return nil
}

func (m *memory) Get(_ context.Context, _ parse.Kind, id string) (Document, error) {
	if err := m.called("get"); err != nil {
		return Document{}, err
	}
	d, found := m.documents[strings.ToLower(id)]
	if !found || m.postgreSQL && d.DocumentID != id {
		return Document{}, ErrNotFound
	}
	return d, nil
}

func (m *memory) Replace(_ context.Context, d *Document, updatedAt string) error {
	if err := m.called("replace"); err != nil {
		return err
	}
	if m.documents[strings.ToLower(d.DocumentID)].Server.UpdatedAt != updatedAt {
		return ErrChanged
	}
	m.put(*d)
	return nil
}

// Amend writes the changes over the document as Appwrite does: what is absent stays.
func (m *memory) Amend(_ context.Context, d *Document, changes any) (Document, error) {
	if err := m.called("amend"); err != nil {
		return Document{}, err
	}
	stored, ok := m.documents[strings.ToLower(d.DocumentID)]
	if !ok || stored.Server.UpdatedAt != d.Server.UpdatedAt {
		return Document{}, ErrChanged
	}
	row := map[string]any{"$id": stored.DocumentID, "$updatedAt": "x"}
	code := map[string]any{"resultCode": stored.Code} // which a claim does not have
	for _, v := range []any{stored.ClaimAttributes(), code, changes} {
		content, err := json.Marshal(v)
		if err != nil {
			return Document{}, err
		}
		if err := json.Unmarshal(content, &row); err != nil {
			return Document{}, err
		}
	}
	content, err := json.Marshal(row)
	if err != nil {
		return Document{}, err
	}
	amended, err := Decode(stored.Kind, content)
	if err != nil {
		return Document{}, err
	}
	amended.ReadRole = stored.ReadRole
	m.put(amended)
	return m.documents[strings.ToLower(d.DocumentID)], nil
}

func (m *memory) String() string { return strings.Join(m.calls, " ") }

func TestSettle(t *testing.T) {
	upper := payment(func(d *Document) { d.DocumentID, d.ID = "WS_CO_1", "WS_CO_1" })
	hashed := func(change ...func(*Document)) Document {
		d := payment(change...)
		d.DocumentID = hashID("ws_CO_1")
		return d
	}
	timeout := func(d *Document) { d.Status, d.Code, d.Receipt, d.Amount = parse.Timeout, 1037, "", 0 }
	tests := []struct {
		name       string
		postgreSQL bool
		stored     []Document
		incoming   Document
		want       Outcome
		calls      string
	}{
		{"first", false, nil, payment(), Created, "create"},
		{"again", false, []Document{payment()}, payment(), Duplicate, "create get"},
		{"better", false, []Document{payment(timeout)}, payment(), Replaced, "create get replace"},
		{"contradiction", false, []Document{payment()}, said(parse.Failed, 1, "", 0), Conflict, "create get"},
		{"another receipt", false, []Document{said(parse.Success, 0, "OTHER", 100)}, payment(), Collision, "create get create"},
		{"another receipt again", false, []Document{said(parse.Success, 0, "OTHER", 100),
			payment(func(d *Document) { d.DocumentID = hashID("ws_CO_1", "UKN7X1Q9ZK") })},
			payment(), Duplicate, "create get create get"},
		{"another's id but for case", false, []Document{upper}, payment(), Created, "create get create"},
		{"another's id but for case, again", false, []Document{upper, hashed()}, payment(), Duplicate, "create get create get"},

		// On PostgreSQL nothing is found under an id that is taken in other capitals. It
		// is looked for twice, since it could have been deleted in between.
		{"PostgreSQL, another's id", true, []Document{upper}, payment(), Created, "create get create get create"},
		{"PostgreSQL, again", true, []Document{upper, hashed()}, payment(), Duplicate, "create get create get create get"},
		{"PostgreSQL, better", true, []Document{upper, hashed(timeout)}, payment(), Replaced, "create get create get create get replace"},
		{"PostgreSQL, another receipt", true, []Document{upper, hashed(func(d *Document) { d.Receipt = "OTHER" })}, payment(),
			Collision, "create get create get create get create"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored...)
			m.postgreSQL = tt.postgreSQL
			incoming := tt.incoming
			result, err := Settle(context.Background(), m, &incoming)
			if err != nil {
				t.Fatal(err)
			}
			if result.Outcome != tt.want {
				t.Errorf("outcome = %s, want %s", result.Outcome, tt.want)
			}
			if m.String() != tt.calls {
				t.Errorf("calls = %q, want %q", m, tt.calls)
			}
			if incoming != tt.incoming {
				t.Errorf("the caller's document has become %+v", incoming)
			}
			for _, before := range tt.stored {
				after := m.documents[strings.ToLower(before.DocumentID)]
				if after.ID != before.ID {
					t.Errorf("the document of %s has become one of %s", before.ID, after.ID)
				}
			}
		})
	}
}

// TestSettleCollision: a second payment under one id has a document that nobody
// reads, and the first keeps its own.
func TestSettleCollision(t *testing.T) {
	m := newMemory(said(parse.Success, 0, "OTHER", 100))
	d := payment()
	result, err := Settle(context.Background(), m, &d)
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != Collision {
		t.Errorf("outcome = %s, want %s", result.Outcome, Collision)
	}
	if got := result.Stored.Receipt; got != "OTHER" {
		t.Errorf("the result has the stored receipt %q, want that of the first payment", got)
	}
	first := m.documents["ws_co_1"]
	if first.Receipt != "OTHER" {
		t.Errorf("the first payment has the receipt %q now", first.Receipt)
	}
	if first.ReadRole != "user:amina" {
		t.Errorf("the first payment is read by %q now", first.ReadRole)
	}
	second := m.documents[hashID("ws_CO_1", "UKN7X1Q9ZK")]
	if second.Receipt != "UKN7X1Q9ZK" {
		t.Errorf("the second payment has the receipt %q", second.Receipt)
	}
	if second.ReadRole != "" {
		t.Errorf("the second payment is read by %q, want nobody", second.ReadRole)
	}
}

// TestSettleOvertaken: somebody writes between our read and our write.
func TestSettleOvertaken(t *testing.T) {
	m := newMemory(said(parse.Timeout, 1037, "", 0))
	m.before = func(call string) error {
		if call == "replace" {
			m.before = nil
			m.put(payment())
		}
		return nil
	}
	failed := said(parse.Failed, 1, "", 0)
	result, err := Settle(context.Background(), m, &failed)
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != Conflict {
		t.Errorf("outcome = %s, want %s", result.Outcome, Conflict)
	}
	if m.String() != "create get replace get" {
		t.Errorf("calls = %q", m)
	}
	if got := m.documents["ws_co_1"].Status; got != parse.Success {
		t.Errorf("stored status = %s, want SUCCESS", got)
	}
}

// TestSettleContended: a document that changes without end does not keep us.
func TestSettleContended(t *testing.T) {
	m := newMemory(said(parse.Timeout, 1037, "", 0))
	m.before = func(call string) error {
		if call == "replace" {
			m.put(said(parse.Timeout, 1037, "", 0))
		}
		return nil
	}
	d := payment()
	if _, err := Settle(context.Background(), m, &d); !errors.Is(err, ErrContended) {
		t.Errorf("Settle = %v, want %v", err, ErrContended)
	}
	if len(m.calls) > 2*maxSteps {
		t.Errorf("it took %d calls, want at most %d", len(m.calls), 2*maxSteps)
	}
}

// TestSettleIDTaken: the id that is made for a transaction holds another one.
// Overwriting it would lose that one, and going on for ever would help nobody.
func TestSettleIDTaken(t *testing.T) {
	stranger := func(id string) Document {
		return payment(func(d *Document) { d.DocumentID, d.ID = id, "stranger" })
	}
	for name, stored := range map[string][]Document{
		"under both ids": {stranger("ws_CO_1"), stranger(hashID("ws_CO_1"))},
		"under the id of the second payment": {said(parse.Success, 0, "OTHER", 100),
			payment(func(d *Document) { d.DocumentID, d.Receipt = hashID("ws_CO_1", "UKN7X1Q9ZK"), "THIRD" })},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(stored...)
			d := payment()
			result, err := Settle(context.Background(), m, &d)
			if !errors.Is(err, errIDTaken) {
				t.Errorf("Settle = %v, want %v", err, errIDTaken)
			}
			if result != (Result{}) {
				t.Errorf("Settle = %+v beside an error", result)
			}
			for _, before := range stored {
				if after := m.documents[strings.ToLower(before.DocumentID)]; after.ID != before.ID || after.Receipt != before.Receipt {
					t.Errorf("%+v has become %+v", before, after)
				}
			}
		})
	}
}

// TestSettleDeleted: somebody deletes the document between two calls of ours.
func TestSettleDeleted(t *testing.T) {
	for call, want := range map[string]string{
		"get":     "create get create",
		"replace": "create get replace get create",
	} {
		t.Run("before "+call, func(t *testing.T) {
			m := newMemory(said(parse.Timeout, 1037, "", 0))
			m.before = func(next string) error {
				if next == call {
					delete(m.documents, "ws_co_1")
				}
				return nil
			}
			d := payment()
			result, err := Settle(context.Background(), m, &d)
			if err != nil {
				t.Fatal(err)
			}
			if result.Outcome != Created {
				t.Errorf("outcome = %s, want %s", result.Outcome, Created)
			}
			if m.String() != want {
				t.Errorf("calls = %q, want %q", m, want)
			}
			if _, found := m.documents["ws_co_1"]; !found {
				t.Error("the payment is not stored under its own id")
			}
		})
	}
}

// TestSettleErrors: no error is swallowed, whichever call it comes from.
func TestSettleErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, failing := range []string{"create", "get", "replace"} {
		t.Run(failing, func(t *testing.T) {
			m := newMemory(said(parse.Timeout, 1037, "", 0))
			m.before = func(call string) error {
				if call == failing {
					return fmt.Errorf("%s: %w", call, broken)
				}
				return nil
			}
			d := payment()
			result, err := Settle(context.Background(), m, &d)
			if !errors.Is(err, broken) {
				t.Errorf("Settle = %v, want the error of %s", err, failing)
			}
			if result != (Result{}) {
				t.Errorf("Settle = %+v beside an error", result)
			}
		})
	}
	t.Run("create of a second payment", func(t *testing.T) {
		m := newMemory(said(parse.Success, 0, "OTHER", 100))
		m.before = func(call string) error {
			if call == "create" && len(m.calls) > 1 {
				return broken
			}
			return nil
		}
		d := payment()
		result, err := Settle(context.Background(), m, &d)
		if !errors.Is(err, broken) {
			t.Errorf("Settle = %v, want the error of create", err)
		}
		if result != (Result{}) {
			t.Errorf("Settle = %+v beside an error: the payment is not stored", result)
		}
	})
}
