package parse

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzSTK(f *testing.F)        { fuzz(f, STK, "stk") }
func FuzzB2C(f *testing.F)        { fuzz(f, B2C, "b2c") }
func FuzzB2CTimeout(f *testing.F) { fuzz(f, B2CTimeout, "timeout") }

// fuzz holds a parser to its contract, from the payloads in testdata on.
func fuzz(f *testing.F, parse func([]byte) (Verdict, error), folder string) {
	for _, file := range payloads(f, folder) {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, rest := Split(body)
		if len(value) > 0 != json.Valid(value) || len(value) == 0 && len(rest) > 0 || len(value)+len(rest) > len(body) {
			t.Errorf("Split(%q) = %q, %q", body, value, rest)
		}
		v, err := parse(body)
		if err != nil {
			if v != (Verdict{}) {
				t.Errorf("%v comes with %+v", err, v)
			}
			if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrMissing) && !errors.Is(err, ErrNotFinal) {
				t.Errorf("%v is none of the three", err)
			}
			if errors.Is(err, ErrSyntax) == json.Valid(body) {
				t.Errorf("%v, and json.Valid says %t", err, json.Valid(body))
			}
			return
		}
		for _, problem := range problems(v) {
			t.Errorf("%s in %+v", problem, v)
		}
		if folder == "timeout" && v.Status != Timeout {
			t.Errorf("a queue timeout says %s", v.Status)
		}
		// Fields that nobody knows change nothing.
		if trimmed := strings.TrimSpace(string(body)); strings.HasPrefix(trimmed, "{") {
			more, err := parse([]byte(`{"Daraja":[{"Result":1}],` + trimmed[1:]))
			if more != v || err != nil {
				t.Errorf("with a field more: %+v, %v, want %+v", more, err, v)
			}
		}
	})
}

// problems lists what no verdict may be.
func problems(v Verdict) []string {
	var found []string
	must := func(ok bool, problem string) {
		if !ok {
			found = append(found, problem)
		}
	}
	known := v.Status == Success || v.Status == Failed || v.Status == Cancelled || v.Status == Timeout
	receipt, isReceipt := readReceipt(scalar{text: v.Receipt})
	must(v.ID != "", "no id")
	must(known, "an unknown status")
	must(v.Code == 0 || v.Status != Success, "a SUCCESS without code 0")
	must(v.Receipt == "" || v.Status == Success, "a receipt of no SUCCESS")
	must(v.Receipt == "" || isReceipt && receipt == v.Receipt, "a receipt that is none")
	must(v.Amount >= 0, "an amount below zero")
	must(v.Reason == "" || v.Status != Success, "a reason for a SUCCESS")
	must(v.At.IsZero() || v.At.Location() == time.UTC && v.At.Nanosecond() == 0, "a time that is not of UTC or has fractions")
	must(v.Kind == Disbursement || v.Conversation == "" && v.Receiver == "", "a payment with B2C's fields")
	for _, s := range []string{v.ID, v.Conversation, v.Receiver, v.Reason} {
		must(utf8.ValidString(s), "invalid UTF-8")
	}
	return found
}
