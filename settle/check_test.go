package settle

import (
	"context"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// TestSettleAnswer: what Safaricom says when it is asked goes where nobody knew, and
// nowhere else.
func TestSettleAnswer(t *testing.T) {
	name := named("ws_CO_1")
	for _, tt := range []struct {
		name      string
		stored    Document
		answer    Document
		meanwhile *Document
		status    parse.Status
		written   bool
		asked     bool // it is asked about again
	}{
		{"paid", claimed(name), said(parse.Success, 0, "", 0), nil, parse.Success, true, false},
		{"failed", claimed(name), said(parse.Failed, 1, "", 0), nil, parse.Failed, true, false},
		{"not known", claimed(name), said(parse.Timeout, 1037, "", 0), nil, parse.Timeout, true, true},
		{"paid, where nobody knew", claimed(name, stands(parse.Timeout, 1037, "", 0)), said(parse.Success, 0, "", 0), nil, parse.Success, true, false},
		{"not known, again", claimed(name, stands(parse.Timeout, 1037, "", 0)), said(parse.Timeout, 1036, "", 0), nil, parse.Timeout, false, true},
		{"paid, where a callback said that it failed", claimed(name, stands(parse.Failed, 1, "", 0)), said(parse.Success, 0, "", 0), nil, parse.Failed, false, true},
		{"failed, where it was paid", claimed(name, stands(parse.Success, 0, "UKN7X1Q9ZK", 100)), said(parse.Failed, 1, "", 0), nil, parse.Success, false, true},
		{"paid, and a callback says it meanwhile", claimed(name), said(parse.Success, 0, "", 0), pointer(claimed(name, stands(parse.Success, 0, "UKN7X1Q9ZK", 100))), parse.Success, false, true},
		{"paid, and a callback says otherwise meanwhile", claimed(name), said(parse.Success, 0, "", 0), pointer(claimed(name, stands(parse.Cancelled, 1032, "", 0))), parse.Cancelled, false, true},
		{"paid, and something else is changed meanwhile", claimed(name), said(parse.Success, 0, "", 0), pointer(claimed(name)), parse.Success, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory(tt.stored)
			m.before = func(call string) error {
				if call == "amend" && tt.meanwhile != nil {
					m.before = nil
					m.put(*tt.meanwhile)
				}
				return nil
			}
			d, err := m.Get(context.Background(), parse.Payment, startedID)
			if err != nil {
				t.Fatal(err)
			}
			stood, written, err := SettleAnswer(context.Background(), m, d, tt.answer.Verdict, settled)
			after := m.documents[startedID]
			if err != nil || written != tt.written || stood.Status != tt.status || after.Status != tt.status {
				t.Errorf("SettleAnswer = %s, %t, %v, and the document is %s; want %s, %t", stood.Status, written, err, after.Status, tt.status, tt.written)
			}
			if asked := !after.NextCheckAt.IsZero(); asked != tt.asked {
				t.Errorf("it is asked about again: %t, want %t", asked, tt.asked)
			}
			if after.ID != "ws_CO_1" || after.RequestKey != "key" || after.UserID != "amina" {
				t.Errorf("the document is %+v", after)
			}
		})
	}
}

func pointer(d Document) *Document { return &d }

func TestUnresolved(t *testing.T) {
	for status, want := range map[parse.Status]bool{Pending: true, parse.Timeout: true, parse.Success: false, parse.Failed: false, parse.Cancelled: false} {
		d := claimed(stands(status, 0, "", 0))
		if d.Unresolved() != want {
			t.Errorf("%s: %t, want %t", status, d.Unresolved(), want)
		}
		if d.RequestKey = ""; d.Unresolved() {
			t.Errorf("%s, and not started here: unresolved", status)
		}
	}
}

// TestGiveUp: what was never told is TIMEOUT in the end, and what a callback said of it
// stays.
func TestGiveUp(t *testing.T) {
	for _, stored := range []Document{claimed(), claimed(stands(parse.Timeout, 1037, "", 0), func(d *Document) { d.Reason = "no answer" })} {
		m := newMemory(stored)
		d := m.documents[startedID]
		after, err := m.Amend(context.Background(), &d, GiveUp(&d, settled.Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		if after.Status != parse.Timeout || after.Reason == "" || !after.NextCheckAt.IsZero() {
			t.Errorf("%s becomes %+v", stored.Status, after)
		}
		if stored.Status == parse.Timeout && (after.Reason != "no answer" || after.Code != 1037) {
			t.Errorf("what was said of it becomes %+v", after)
		}
	}
}
