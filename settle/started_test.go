package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// startedID is the id of the started payment of these tests.
const startedID = "000000000000000000a1"

// claimed is a started payment of 100 shillings as it stands once it may have been sent.
func claimed(change ...func(*Document)) Document {
	d := Claim(parse.Payment, startedID, Started{UserID: "amina", Reference: "Order 7", RequestedAmount: 100, RequestKey: "key", PhoneKey: "phone",
		NextCheckAt: settled.Add(90 * time.Second)}, settled)
	d.Reason = ""
	for _, f := range change {
		f(&d)
	}
	return d
}

func named(id string) func(*Document) { return func(d *Document) { d.ID = id } }

func stands(status parse.Status, code int, receipt string, amount int64) func(*Document) {
	return func(d *Document) { d.Status, d.Code, d.Receipt, d.Amount = status, code, receipt, amount }
}

// TestSettleStarted: settling over a started payment begins with a read, and what does
// not belong to it has a document beside.
func TestSettleStarted(t *testing.T) {
	beside := func(receipt string) string { return hashID("ws_CO_1", receipt) }
	paid := stands(parse.Success, 0, "UKN7X1Q9ZK", 100)
	for _, tt := range []struct {
		name     string
		stored   []Document
		incoming Document
		want     Outcome
		calls    string
		beside   string // the id of another document, "" for none
	}{
		{"first", []Document{claimed(named("ws_CO_1"))}, payment(), Replaced, "get amend", ""},
		{"first, before the acknowledgement", []Document{claimed()}, payment(), Replaced, "get amend", ""},
		{"unknown", []Document{claimed()}, said(parse.Timeout, 1037, "", 0), Replaced, "get amend", ""},
		{"again", []Document{claimed(named("ws_CO_1"), paid)}, payment(), Duplicate, "get", ""},
		{"less", []Document{claimed(named("ws_CO_1"), paid)}, said(parse.Timeout, 1037, "", 0), Duplicate, "get", ""},
		{"with space around its id", []Document{claimed(named("ws_CO_1"))}, func() Document { d := payment(); d.ID = " " + d.ID + " "; return d }(), Replaced, "get amend", ""},
		{"contradiction", []Document{claimed(named("ws_CO_1"), paid)}, said(parse.Failed, 1, "", 0), Conflict, "get", ""},
		{"another transaction", []Document{claimed(named("ws_CO_2"))}, payment(), Mismatch, "get create", beside("UKN7X1Q9ZK")},
		{"another transaction, unknown", []Document{claimed(named("ws_CO_2"))}, said(parse.Timeout, 1037, "", 0), Mismatch, "get create", beside("")},
		{"another receipt", []Document{claimed(named("ws_CO_1"), stands(parse.Success, 0, "OTHER", 100))}, payment(), Collision, "get create", beside("UKN7X1Q9ZK")},
		{"deleted", nil, payment(), Created, "get create", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored...)
			incoming := tt.incoming
			result, err := SettleStarted(context.Background(), m, startedID, &incoming)
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
			want := map[bool]int{true: 2, false: 1}[tt.beside != ""]
			if len(m.documents) != want {
				t.Errorf("%d documents are stored, want %d", len(m.documents), want)
			}
			if d, found := m.documents[tt.beside]; tt.beside != "" && (!found || d.ReadRole != "") {
				t.Errorf("beside is %+v, want it under %s, read by nobody", d, tt.beside)
			}
		})
	}
}

// TestSettleStartedOvertaken: somebody writes between our read and our write.
func TestSettleStartedOvertaken(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile func(*memory)
		want      Outcome
		calls     string
	}{
		"named":   {func(m *memory) { m.put(claimed(named("ws_CO_1"))) }, Replaced, "get amend get amend"},
		"renamed": {func(m *memory) { m.put(claimed(named("ws_CO_2"))) }, Mismatch, "get amend get create"},
		"settled": {func(m *memory) { m.put(claimed(named("ws_CO_1"), stands(parse.Success, 0, "UKN7X1Q9ZK", 100))) }, Duplicate, "get amend get"},
		"deleted": {func(m *memory) { delete(m.documents, startedID) }, Created, "get amend get create"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(claimed())
			m.before = func(call string) error {
				if call == "amend" {
					m.before = nil
					tt.meanwhile(m)
				}
				return nil
			}
			d := payment()
			result, err := SettleStarted(context.Background(), m, startedID, &d)
			if err != nil || result.Outcome != tt.want {
				t.Errorf("SettleStarted = %s, %v, want %s", result.Outcome, err, tt.want)
			}
			if m.String() != tt.calls {
				t.Errorf("calls = %q, want %q", m, tt.calls)
			}
		})
	}
	t.Run("created", func(t *testing.T) {
		m := newMemory()
		m.before = func(call string) error {
			if call == "create" {
				m.before = nil
				m.put(payment(func(d *Document) { d.DocumentID = startedID }))
			}
			return nil
		}
		d := payment()
		result, err := SettleStarted(context.Background(), m, startedID, &d)
		if err != nil || result.Outcome != Duplicate || m.String() != "get create get" {
			t.Errorf("SettleStarted = %s, %v by %q, want a duplicate", result.Outcome, err, m)
		}
	})
}

// TestSettleStartedContended: a payment that changes without end does not keep us.
func TestSettleStartedContended(t *testing.T) {
	m := newMemory(claimed())
	m.before = func(call string) error {
		if call == "amend" {
			m.put(claimed())
		}
		return nil
	}
	d := payment()
	if _, err := SettleStarted(context.Background(), m, startedID, &d); !errors.Is(err, ErrContended) {
		t.Errorf("SettleStarted = %v, want %v", err, ErrContended)
	}
	if len(m.calls) > 2*maxSteps {
		t.Errorf("it took %d calls, want at most %d", len(m.calls), 2*maxSteps)
	}
	m.calls = nil
	if outcome, err := NameStarted(context.Background(), m, parse.Payment, startedID, "ws_CO_1"); !errors.Is(err, ErrContended) || outcome != NotKept {
		t.Errorf("NameStarted = %s, %v, want %v", outcome, err, ErrContended)
	}
	if len(m.calls) > 2*maxSteps+1 {
		t.Errorf("naming took %d calls, want at most %d", len(m.calls), 2*maxSteps+1)
	}
}

// TestSettleStartedErrors: no error is swallowed, whichever call it comes from.
func TestSettleStartedErrors(t *testing.T) {
	broken := errors.New("broken")
	for failing, stored := range map[string][]Document{
		"get":    {claimed()},
		"amend":  {claimed()},
		"create": {claimed(named("ws_CO_2"))},
	} {
		t.Run(failing, func(t *testing.T) {
			m := newMemory(stored...)
			m.before = func(call string) error {
				if call == failing {
					return fmt.Errorf("%s: %w", call, broken)
				}
				return nil
			}
			d := payment()
			result, err := SettleStarted(context.Background(), m, startedID, &d)
			if !errors.Is(err, broken) || result != (Result{}) {
				t.Errorf("SettleStarted = %+v, %v, want the error of %s", result, err, failing)
			}
		})
	}
}

// TestPayoutTransaction: a result may carry an OriginatorConversationID that Safaricom
// has made. Then the ConversationID of the acknowledgement decides, if there is one.
func TestPayoutTransaction(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		stored                      string // ConversationID
		originator, conversation    string // of the result
		want                        Outcome
		originatorAfter, convsAfter string
	}{
		{"its own", "AG_1", startedID, "AG_1", Replaced, startedID, "AG_1"},
		{"made by the server", "AG_1", "made", "AG_1", Replaced, startedID, "AG_1"},
		{"another conversation alone", "AG_1", startedID, "AG_2", Replaced, startedID, "AG_1"},
		{"without a conversation", "AG_1", startedID, "", Replaced, startedID, "AG_1"},
		{"both differ", "AG_1", "made", "AG_2", Mismatch, startedID, "AG_1"},
		{"none stored", "", "made", "AG_2", Replaced, startedID, "AG_2"},
		{"none at all", "", "made", "", Replaced, startedID, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stored := claimed(named(startedID), func(d *Document) { d.Kind, d.Conversation = parse.Disbursement, tt.stored })
			m := newMemory(stored)
			d := New(parse.Verdict{Kind: parse.Disbursement, ID: tt.originator, Conversation: tt.conversation, Status: parse.Success, Receipt: "UKN8D3R6YM", Amount: 100}, "", settled)
			result, err := SettleStarted(context.Background(), m, startedID, &d)
			if err != nil || result.Outcome != tt.want {
				t.Errorf("SettleStarted = %s, %v, want %s", result.Outcome, err, tt.want)
			}
			after := m.documents[startedID]
			if after.ID != tt.originatorAfter || after.Conversation != tt.convsAfter {
				t.Errorf("it names %q, %q, want %q, %q", after.ID, after.Conversation, tt.originatorAfter, tt.convsAfter)
			}
		})
	}
}

// TestChanges has what a verdict writes over a started payment.
func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		name     string
		incoming Document
		stored   Document
		want     string
	}{
		{"a success", payment(), claimed(named("ws_CO_1")),
			`{"status":"SUCCESS","resultCode":0,"receipt":"UKN7X1Q9ZK","amount":100,"failureReason":null,"mpesaTimestamp":null,"settledAt":"0001-01-01T00:00:00.000Z","nextCheckAt":null}`},
		{"the first that names it", said(parse.Failed, 1, "", 0), claimed(),
			`{"checkoutRequestId":"ws_CO_1","status":"FAILED","resultCode":1,"receipt":null,"amount":null,"failureReason":null,"mpesaTimestamp":null,"settledAt":"0001-01-01T00:00:00.000Z","nextCheckAt":null}`},
		{"where the collection has an attribute of payouts", said(parse.Timeout, 1037, "", 0), claimed(named("ws_CO_1"), func(d *Document) { d.Conversation = "AG_1" }),
			`{"status":"TIMEOUT","resultCode":1037,"receipt":null,"amount":null,"failureReason":null,"mpesaTimestamp":null,"settledAt":"0001-01-01T00:00:00.000Z"}`},
		{"an unknown outcome", said(parse.Timeout, 1037, "", 0), claimed(named("ws_CO_1")),
			`{"status":"TIMEOUT","resultCode":1037,"receipt":null,"amount":null,"failureReason":null,"mpesaTimestamp":null,"settledAt":"0001-01-01T00:00:00.000Z"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := asJSON(t, tt.incoming.changes(&tt.stored)); got != tt.want {
				t.Errorf("changes =\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// TestSettleUnverified: what may be anybody's touches nothing, and is kept.
func TestSettleUnverified(t *testing.T) {
	own := hashID("unverified", "ws_CO_1", "UKN7X1Q9ZK")
	for _, tt := range []struct {
		name   string
		stored []Document
		want   Outcome
		calls  string
	}{
		{"waiting", []Document{claimed(named("ws_CO_1"))}, Created, "get create"},
		{"not named", []Document{claimed()}, Created, "get create"},
		{"known", []Document{claimed(named("ws_CO_1"), stands(parse.Success, 0, "UKN7X1Q9ZK", 100))}, Duplicate, "get"},
		{"another receipt", []Document{claimed(named("ws_CO_1"), stands(parse.Success, 0, "OTHER", 100))}, Created, "get create"},
		{"another transaction", []Document{claimed(named("ws_CO_2"), stands(parse.Success, 0, "UKN7X1Q9ZK", 100))}, Created, "get create"},
		{"an unsigned one of that transaction", []Document{said(parse.Timeout, 1037, "", 0)}, Created, "get create"},
		{"deleted", nil, Created, "get create"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored...)
			d := payment(func(d *Document) { d.DocumentID = startedID })
			result, err := SettleUnverified(context.Background(), m, &d)
			if err != nil || result.Outcome != tt.want {
				t.Errorf("SettleUnverified = %s, %v, want %s", result.Outcome, err, tt.want)
			}
			if m.String() != tt.calls {
				t.Errorf("calls = %q, want %q", m, tt.calls)
			}
			for _, before := range tt.stored {
				if after := m.documents[strings.ToLower(before.DocumentID)]; after.Status != before.Status || after.ID != before.ID {
					t.Errorf("%+v has become %+v", before, after)
				}
			}
			if beside, found := m.documents[own]; found != (tt.want == Created) || beside.ReadRole != "" {
				t.Errorf("beside is %+v, want it read by nobody", beside)
			}
		})
	}
	t.Run("not read", func(t *testing.T) {
		m := newMemory(claimed())
		broken := errors.New("broken")
		m.before = func(string) error { return broken }
		d := payment(func(d *Document) { d.DocumentID = startedID })
		if result, err := SettleUnverified(context.Background(), m, &d); !errors.Is(err, broken) || result != (Result{}) {
			t.Errorf("SettleUnverified = %+v, %v, want the error of get", result, err)
		}
	})
}

// TestNameStarted: a name is only ever filled in.
func TestNameStarted(t *testing.T) {
	for _, tt := range []struct {
		name      string
		stored    Document
		meanwhile func(*memory)
		want      Outcome
		after     string
	}{
		{"none", claimed(), nil, Replaced, "ws_CO_1"},
		{"the same", claimed(named("ws_CO_1")), nil, Duplicate, "ws_CO_1"},
		{"another", claimed(named("ws_CO_2")), nil, Mismatch, "ws_CO_2"},
		{"the same meanwhile", claimed(), func(m *memory) { m.put(claimed(named("ws_CO_1"))) }, Duplicate, "ws_CO_1"},
		{"another meanwhile", claimed(), func(m *memory) { m.put(claimed(named("ws_CO_2"))) }, Mismatch, "ws_CO_2"},
		{"changed meanwhile", claimed(), func(m *memory) { m.put(claimed(stands(parse.Timeout, 1037, "", 0))) }, Replaced, "ws_CO_1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored)
			m.before = func(call string) error {
				if call == "amend" && tt.meanwhile != nil {
					m.before = nil
					tt.meanwhile(m)
				}
				return nil
			}
			outcome, err := NameStarted(context.Background(), m, parse.Payment, startedID, "ws_CO_1")
			if err != nil || outcome != tt.want {
				t.Errorf("NameStarted = %s, %v, want %s", outcome, err, tt.want)
			}
			if got := m.documents[startedID].ID; got != tt.after {
				t.Errorf("it is called %q, want %q", got, tt.after)
			}
		})
	}
	t.Run("longer than its attribute", func(t *testing.T) {
		m, name := newMemory(claimed()), strings.Repeat("x", 300)
		for _, want := range []Outcome{Replaced, Duplicate} {
			if outcome, err := NameStarted(context.Background(), m, parse.Payment, startedID, name); outcome != want || err != nil {
				t.Errorf("NameStarted = %s, %v, want %s", outcome, err, want)
			}
		}
	})
	t.Run("deleted", func(t *testing.T) {
		if outcome, err := NameStarted(context.Background(), newMemory(), parse.Payment, startedID, "ws_CO_1"); !errors.Is(err, ErrNotFound) || outcome != NotKept {
			t.Errorf("NameStarted = %s, %v, want %v", outcome, err, ErrNotFound)
		}
	})
}

// TestUnsettledStarted has the lines of started payments, and what is read back.
func TestUnsettledStarted(t *testing.T) {
	d := payment(func(d *Document) { d.SettledAt = settled })
	const data = `"data":{"checkoutRequestId":"ws_CO_1","status":"SUCCESS",`
	for _, tt := range []struct {
		name, line string
		begin, end string
		id         string
		want       Origin
		readRole   string
	}{
		{"unsigned", d.Unsettled("callback", "amina", ""), `{"route":"callback","uid":"amina","id":"ws_CO_1",` + data, `Z"}}`, "ws_CO_1", Unsigned, "user:amina"},
		{"signed", d.Unsettled("callback", "amina", startedID), `{"route":"callback","uid":"amina","id":"` + startedID + `",` + data, `Z"},"started":true}`, startedID, Signed, ""},
		{"for no id", d.Unsettled("callback", "", `a"b`), `{"route":"callback","uid":"","id":"ws_CO_1",` + data, `Z"}}`, "ws_CO_1", Unsigned, "any"},
		{"unverified", d.UnsettledUnverified("callback", startedID), `{"route":"callback","uid":"","id":"` + startedID + `",` + data, `Z"},"started":true,"unverified":true}`, startedID, Unverified, ""},
		{"unverified, for no id", d.UnsettledUnverified("callback", "../x"), `{"route":"callback","uid":"","id":"ws_CO_1",` + data, `Z"},"unverified":true}`, "ws_CO_1", Unverified, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.HasPrefix(tt.line, Mark+tt.begin) || !strings.HasSuffix(tt.line, tt.end) {
				t.Errorf("the line is\n%s, want\n%s%s…%s", tt.line, Mark, tt.begin, tt.end)
			}
			got, origin, err := ParseUnsettled(tt.line, "any", settled)
			if err != nil || origin != tt.want {
				t.Fatalf("ParseUnsettled = %d, %v, want %d", origin, err, tt.want)
			}
			if got.DocumentID != tt.id || got.ID != "ws_CO_1" || got.ReadRole != tt.readRole {
				t.Errorf("read back as %s of %s for %q, want %s of ws_CO_1 for %q", got.DocumentID, got.ID, got.ReadRole, tt.id, tt.readRole)
			}
		})
	}
}

// TestUnsettledNames: only a signed line may lack a verdict, and PENDING is none.
func TestUnsettledNames(t *testing.T) {
	d := Document{DocumentID: startedID, Verdict: parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1"}}
	line := d.UnsettledName("stk/push")
	if want := `UNSETTLED {"route":"stk/push","id":"` + startedID + `","started":true,"data":{"checkoutRequestId":"ws_CO_1"}}`; line != want {
		t.Errorf("UnsettledName =\n%s, want\n%s", line, want)
	}
	got, origin, err := ParseUnsettled(line, "", settled)
	if err != nil || origin != Signed || got.Status != "" || got.ID != "ws_CO_1" || got.DocumentID != startedID {
		t.Errorf("ParseUnsettled = %+v, %d, %v", got, origin, err)
	}
	for name, change := range map[string][2]string{
		"not started": {`,"started":true`, ``},
		"unverified":  {`"started":true`, `"started":true,"unverified":true`},
		"pending":     {`"data":{`, `"data":{"status":"PENDING",`},
		"a payout":    {`checkoutRequestId`, `originatorConversationId`},
		"no name":     {`"ws_CO_1"`, `""`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, origin, err := ParseUnsettled(strings.Replace(line, change[0], change[1], 1), "", settled); !errors.Is(err, ErrNotUnsettled) || got != (Document{}) || origin != Unsigned {
				t.Errorf("ParseUnsettled = %+v, %d, %v, want %v", got, origin, err, ErrNotUnsettled)
			}
		})
	}
}
