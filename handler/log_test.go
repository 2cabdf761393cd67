package handler

import (
	"strings"
	"testing"

	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// TestDescribeBody: at most ten keys, each a name of at most 60 letters.
func TestDescribeBody(t *testing.T) {
	t.Parallel()
	keys := func(names string) string { return `{"` + strings.ReplaceAll(names, ",", `":1,"`) + `":1}` }
	long := strings.Repeat("k", 60)
	for body, want := range map[string]string{
		keys("b,a,Z,z_A"):              "bytes=27 keys=Z,a,b,z_A",
		keys("a,b,c,d,e,f,g,h,i,j"):    "bytes=61 keys=a,b,c,d,e,f,g,h,i,j",
		keys("a,b,c,d,e,f,g,h,i,j,k"):  "bytes=67 keys=a,b,c,d,e,f,g,h,i,j,...",
		keys(long):                     "bytes=66 keys=" + long,
		keys(long + "k"):               "bytes=67 keys=?",
		keys("a1,a-b,a b,@,[,`,{,é,^"): "bytes=61 keys=?,?,?,?,?,?,?,?,?",
		"{}":                           "bytes=2 keys=",
		"[]":                           "bytes=2 keys=-",
	} {
		t.Run(body, func(t *testing.T) {
			if got := describeBody([]byte(body)); got != want {
				t.Errorf("describeBody(%s) = %s, want %s", body, got, want)
			}
		})
	}
}

func TestMaskedID(t *testing.T) {
	for _, tt := range []struct {
		kind     parse.Kind
		id, want string
	}{
		{parse.Payment, "ws_CO_23112026093005123700000001", "ws_CO_23112026093005123*********"},
		{parse.Payment, "123456789", "*********"},
		{parse.Payment, "1", "*********"},
		{parse.Payment, "1234567890", "1*********"},
		{parse.Disbursement, "7c1e-4a79-a5e6-6bd68fe3b14e5682", "7c1e-4a79-a5e6-6bd68fe*********"},
		{parse.Disbursement, "254700000001-2026-11-23-0001", "************-2026-1*********"},
		{parse.Disbursement, "p-700000001.12345678-x.y.z.0.1", "p-*********.12345678-*********"},
	} {
		t.Run(string(tt.kind)+" "+tt.id, func(t *testing.T) {
			d := settle.Document{DocumentID: tt.id, Verdict: parse.Verdict{Kind: tt.kind}}
			if got := maskedID(&d); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
