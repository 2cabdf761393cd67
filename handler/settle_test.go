package handler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

// payment is a complete, paid document; each test changes what it is about.
func payment(change ...func(*document)) document {
	d := document{kind: parse.Payment, id: "ws_CO_1", transaction: "ws_CO_1", reader: "user:amina",
		status: parse.Success, receipt: "UKN7X1Q9ZK", amount: 100}
	for _, f := range change {
		f(&d)
	}
	return d
}

// said makes a document that says this and no more.
func said(status parse.Status, code int, receipt string, amount int64) document {
	return payment(func(d *document) { d.status, d.code, d.receipt, d.amount = status, code, receipt, amount })
}

// TestDecide has every pair of what can be stored and what can come.
func TestDecide(t *testing.T) {
	documents := map[string]document{
		"none":    {},
		"pending": said("PENDING", parse.NoCode, "", 0), // an app's own
		"T1037":   said(parse.Timeout, 1037, "", 0),
		"Tword":   said(parse.Timeout, parse.NoCode, "", 0),
		"F1":      said(parse.Failed, 1, "", 0),
		"F2001":   said(parse.Failed, 2001, "", 0),
		"C1032":   said(parse.Cancelled, 1032, "", 0),
		"S":       said(parse.Success, 0, "", 0),
		"Sa":      said(parse.Success, 0, "AAA", 0),
		"S100":    said(parse.Success, 0, "", 100),
		"Sa100":   said(parse.Success, 0, "AAA", 100),
		"Sa200":   said(parse.Success, 0, "AAA", 200),
		"Sb":      said(parse.Success, 0, "BBB", 0),
		"Sb100":   said(parse.Success, 0, "BBB", 100),
	}
	actions := map[string]action{"+": create, "b": beside, "R": replace, "=": duplicate, "x": conflict}
	const table = `
		have/want  T1037 Tword F1 F2001 C1032 S Sa S100 Sa100 Sa200 Sb Sb100
		none         +     +   +    +     +   + +   +     +     +   +    +
		pending      R     R   R    R     R   R R   R     R     R   R    R
		T1037        =     =   R    R     R   R R   R     R     R   R    R
		Tword        =     =   R    R     R   R R   R     R     R   R    R
		F1           =     =   =    x     x   R R   R     R     R   R    R
		F2001        =     =   x    =     x   R R   R     R     R   R    R
		C1032        =     =   x    x     =   R R   R     R     R   R    R
		S            =     =   x    x     x   = x   x     R     R   x    R
		Sa           =     =   x    x     x   = =   x     R     R   b    b
		S100         =     =   x    x     x   = x   =     R     R   x    R
		Sa100        =     =   x    x     x   = =   =     =     x   b    b
		Sa200        =     =   x    x     x   = =   x     x     =   b    b
		Sb           =     =   x    x     x   = b   x     b     b   =    R
		Sb100        =     =   x    x     x   = b   =     b     b   =    =`
	rows := strings.Split(strings.TrimSpace(table), "\n")
	wants := strings.Fields(rows[0])[1:]
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		have := documents[cells[0]]
		for i, cell := range cells[1:] {
			if got := decide(have, documents[wants[i]]); got != actions[cell] {
				t.Errorf("decide(%s, %s) = %s, want %s", cells[0], wants[i], got, actions[cell])
			}
		}
	}
	if pairs := len(wants) * (len(rows) - 1); pairs != 12*14 {
		t.Errorf("the table has %d pairs, want %d", pairs, 12*14)
	}
}

// memory is a store that is a map. Ids are compared without regard to case, as
// Appwrite does, but on PostgreSQL where it reads. before, if set, runs before each
// call.
type memory struct {
	documents  map[string]document
	postgreSQL bool
	calls      []string
	before     func(call string) error
}

func newMemory(stored ...document) *memory {
	m := &memory{documents: map[string]document{}}
	for _, d := range stored {
		m.put(d)
	}
	return m
}

// put stores d under a version of its own.
func (m *memory) put(d document) {
	previous, _ := strconv.Atoi(m.documents[strings.ToLower(d.id)].updatedAt)
	d.updatedAt = strconv.Itoa(previous + 1)
	m.documents[strings.ToLower(d.id)] = d
}

func (m *memory) called(call string) error {
	m.calls = append(m.calls, call)
	if m.before == nil {
		return nil
	}
	return m.before(call)
}

func (m *memory) create(_ context.Context, d document) error {
	if err := m.called("create"); err != nil {
		return err
	}
	if _, taken := m.documents[strings.ToLower(d.id)]; taken {
		return errExists
	}
	m.put(d)
	return nil
}

func (m *memory) get(_ context.Context, _ parse.Kind, id string) (document, error) {
	if err := m.called("get"); err != nil {
		return document{}, err
	}
	d, ok := m.documents[strings.ToLower(id)]
	if !ok || m.postgreSQL && d.id != id {
		return document{}, errNotFound
	}
	return d, nil
}

func (m *memory) replace(_ context.Context, d document, updatedAt string) error {
	if err := m.called("replace"); err != nil {
		return err
	}
	if m.documents[strings.ToLower(d.id)].updatedAt != updatedAt {
		return errChanged
	}
	m.put(d)
	return nil
}

func (m *memory) String() string { return strings.Join(m.calls, " ") }

func TestSettle(t *testing.T) {
	tests := []struct {
		name   string
		stored []document
		new    document
		want   action
		calls  string
	}{
		{"first", nil, payment(), create, "create"},
		{"again", []document{payment()}, payment(), duplicate, "create get"},
		{"better", []document{said(parse.Timeout, 1037, "", 0)}, payment(), replace, "create get replace"},
		{"contradiction", []document{payment()}, said(parse.Failed, 1, "", 0), conflict, "create get"},
		{"another receipt", []document{said(parse.Success, 0, "OTHER", 100)}, payment(), beside, "create get create"},
		{"another receipt again", []document{said(parse.Success, 0, "OTHER", 100),
			payment(func(d *document) { d.id = hashID("ws_CO_1", "UKN7X1Q9ZK") })},
			payment(), duplicate, "create get create get"},
		{"another's id but for case", []document{payment(func(d *document) { d.id, d.transaction = "WS_CO_1", "WS_CO_1" })},
			payment(), create, "create get create"},
		{"another's id but for case, again", []document{
			payment(func(d *document) { d.id, d.transaction = "WS_CO_1", "WS_CO_1" }),
			payment(func(d *document) { d.id = hashID("ws_CO_1") })},
			payment(), duplicate, "create get create get"},
	}
	for _, tt := range tests {
		m := newMemory(tt.stored...)
		out, err := settle(context.Background(), m, tt.new)
		if out.action != tt.want || err != nil || m.String() != tt.calls {
			t.Errorf("%s: settle = %s, %v by %q, want %s by %q", tt.name, out.action, err, m, tt.want, tt.calls)
		}
	}
}

// TestSettleBeside: a second payment under one id has a document that nobody
// reads, and the first keeps its own.
func TestSettleBeside(t *testing.T) {
	first := said(parse.Success, 0, "OTHER", 100)
	m := newMemory(first)
	out, err := settle(context.Background(), m, payment())
	if out.action != beside || out.stored.receipt != "OTHER" || err != nil {
		t.Fatalf("settle = %+v, %v, want beside OTHER", out, err)
	}
	if got := m.documents["ws_co_1"]; got.receipt != "OTHER" || got.reader != "user:amina" {
		t.Errorf("the first payment became %+v", got)
	}
	second := m.documents[hashID("ws_CO_1", "UKN7X1Q9ZK")]
	if second.receipt != "UKN7X1Q9ZK" || second.reader != "" {
		t.Errorf("the second payment is %+v, want its receipt and no reader", second)
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
	out, err := settle(context.Background(), m, said(parse.Failed, 1, "", 0))
	if out.action != conflict || err != nil || m.String() != "create get replace get" {
		t.Errorf("settle = %s, %v by %q, want conflict: the payment stands", out.action, err, m)
	}
	if got := m.documents["ws_co_1"].status; got != parse.Success {
		t.Errorf("stored status = %s, want SUCCESS", got)
	}
}

// TestSettleContest: a document that changes without end does not keep us.
func TestSettleContest(t *testing.T) {
	m := newMemory(said(parse.Timeout, 1037, "", 0))
	m.before = func(call string) error {
		if call == "replace" {
			m.put(said(parse.Timeout, 1037, "", 0))
		}
		return nil
	}
	_, err := settle(context.Background(), m, payment())
	if !errors.Is(err, errContest) || len(m.calls) > 2*maxSteps {
		t.Errorf("settle = %v after %d calls, want %v", err, len(m.calls), errContest)
	}
}

// TestSettleForeign: the id that is made for a transaction holds another one.
// Overwriting it would lose that one, and going on for ever would help nobody.
func TestSettleForeign(t *testing.T) {
	stranger := func(id string) document {
		return payment(func(d *document) { d.id, d.transaction = id, "stranger" })
	}
	m := newMemory(stranger("ws_CO_1"), stranger(hashID("ws_CO_1")))
	if _, err := settle(context.Background(), m, payment()); !errors.Is(err, errForeign) {
		t.Errorf("settle = %v, want %v", err, errForeign)
	}
	m = newMemory(said(parse.Success, 0, "OTHER", 100),
		payment(func(d *document) { d.id, d.receipt = hashID("ws_CO_1", "UKN7X1Q9ZK"), "THIRD" }))
	if _, err := settle(context.Background(), m, payment()); !errors.Is(err, errForeign) {
		t.Errorf("settle beside a forged document = %v, want %v", err, errForeign)
	}
}

// TestSettlePostgreSQL: an id that another transaction has in other capitals is
// taken, and nothing is found under it.
func TestSettlePostgreSQL(t *testing.T) {
	another := payment(func(d *document) { d.id, d.transaction = "WS_CO_1", "WS_CO_1" })
	hashed := func(change ...func(*document)) document {
		d := payment(change...)
		d.id = hashID("ws_CO_1")
		return d
	}
	tests := []struct {
		name   string
		stored []document
		want   action
		calls  string
	}{
		{"first", []document{another}, create, "create get create get create"},
		{"again", []document{another, hashed()}, duplicate, "create get create get create get"},
		{"better", []document{another, hashed(func(d *document) { d.status, d.receipt, d.amount = parse.Timeout, "", 0 })},
			replace, "create get create get create get replace"},
		{"another receipt", []document{another, hashed(func(d *document) { d.receipt = "OTHER" })},
			beside, "create get create get create get create"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored...)
			m.postgreSQL = true
			out, err := settle(context.Background(), m, payment())
			if out.action != tt.want || err != nil {
				t.Errorf("settle = %s, %v, want %s", out.action, err, tt.want)
			}
			if m.String() != tt.calls {
				t.Errorf("calls = %q, want %q", m, tt.calls)
			}
			if got := m.documents["ws_co_1"].transaction; got != "WS_CO_1" {
				t.Errorf("the document of WS_CO_1 has become %s's", got)
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
			out, err := settle(context.Background(), m, payment())
			if out.action != create || err != nil {
				t.Errorf("settle = %s, %v, want %s", out.action, err, create)
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
		m := newMemory(said(parse.Timeout, 1037, "", 0))
		m.before = func(call string) error {
			if call == failing {
				return fmt.Errorf("%s: %w", call, broken)
			}
			return nil
		}
		if out, err := settle(context.Background(), m, payment()); !errors.Is(err, broken) || out != (outcome{}) {
			t.Errorf("settle with a broken %s = %+v, %v, want the error alone", failing, out, err)
		}
	}
}
