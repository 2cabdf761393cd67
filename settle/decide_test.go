package settle

import (
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

// payment is a complete, paid document; each test changes what it is about.
func payment(change ...func(*Document)) Document {
	d := Document{DocumentID: "ws_CO_1", ReadRole: "user:amina",
		Verdict: parse.Verdict{Kind: parse.Payment, ID: "ws_CO_1", Status: parse.Success, Receipt: "UKN7X1Q9ZK", Amount: 100}}
	for _, f := range change {
		f(&d)
	}
	return d
}

// said makes a document that says this and no more.
func said(status parse.Status, code int, receipt string, amount int64) Document {
	return payment(func(d *Document) { d.Status, d.Code, d.Receipt, d.Amount = status, code, receipt, amount })
}

// TestDecide has every pair of what can be stored and what can come.
func TestDecide(t *testing.T) {
	documents := map[string]Document{
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
	outcomes := map[string]Outcome{"+": Created, "b": Collision, "R": Replaced, "=": Duplicate, "x": Conflict}
	const table = `
		stored/new  T1037 Tword F1 F2001 C1032 S Sa S100 Sa100 Sa200 Sb Sb100
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
	incoming := strings.Fields(rows[0])[1:]
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		for i, cell := range cells[1:] {
			t.Run(cells[0]+"/"+incoming[i], func(t *testing.T) {
				stored, d := documents[cells[0]], documents[incoming[i]]
				if got := decide(&stored, &d); got != outcomes[cell] {
					t.Errorf("decide = %s, want %s", got, outcomes[cell])
				}
			})
		}
	}
	if pairs := len(incoming) * (len(rows) - 1); pairs != 12*14 {
		t.Errorf("the table has %d pairs, want %d", pairs, 12*14)
	}
}
