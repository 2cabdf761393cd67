package parse

import (
	"errors"
	"strings"
	"testing"
)

// answered is a query's answer that is right in every part.
const answered = `{"ResponseCode":"0","ResponseDescription":"The service request has been accepted successfully",
	"MerchantRequestID":"1","CheckoutRequestID":"ws_CO_1","ResultCode":"0","ResultDesc":"Done."}`

func TestQuery(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		status         Status
		code           int
		reason         string
	}{
		{"paid", "", "", Success, 0, ""},
		{"a code that is a number", `"ResultCode":"0"`, `"ResultCode":0`, Success, 0, ""},
		{"cancelled", `"ResultCode":"0","ResultDesc":"Done."`, `"ResultCode":"1032","ResultDesc":"Request Cancelled by user."`, Cancelled, 1032, "Request Cancelled by user."},
		{"wrong PIN", `"ResultCode":"0"`, `"ResultCode":"2001"`, Failed, 2001, "Done."},
		{"no answer", `"ResultCode":"0"`, `"ResultCode":"1037"`, Timeout, 1037, "Done."},
		{"a word", `"ResultCode":"0"`, `"ResultCode":"E3008"`, Timeout, NoCode, "E3008: Done."},
		{"a fraction", `"ResultCode":"0"`, `"ResultCode":0.5`, Timeout, NoCode, "0.5: Done."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, Query, with(t, answered, tt.old, tt.new), Verdict{Kind: Payment, ID: "ws_CO_1", Status: tt.status, Code: tt.code, Reason: tt.reason})
		})
	}
}

func TestQueryErrors(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"under way", strings.Replace(answered, `"ResultCode":"0"`, `"ResultCode":"4999"`, 1), ErrNotFinal},
		{"under way, as a number", strings.Replace(answered, `"ResultCode":"0"`, `"ResultCode":4999`, 1), ErrNotFinal},
		{"no code", strings.Replace(answered, `"ResultCode":"0",`, "", 1), ErrMissing},
		{"an empty code", strings.Replace(answered, `"ResultCode":"0"`, `"ResultCode":" "`, 1), ErrMissing},
		{"no id", strings.Replace(answered, "ws_CO_1", "", 1), ErrMissing},
		{"nothing", "", ErrSyntax},
		{"a page", "<html>", ErrSyntax},
		{"half of it", answered[:60], ErrSyntax},
		{"a callback", paid, ErrMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v, err := Query([]byte(tt.body)); !errors.Is(err, tt.want) || v != (Verdict{}) {
				t.Errorf("%+v, %v; want %v", v, err, tt.want)
			}
		})
	}
}
