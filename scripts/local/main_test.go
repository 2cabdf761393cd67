package main

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRun is what a person sees first.
func TestRun(t *testing.T) {
	if err := os.Chdir("../.."); err != nil {
		t.Fatal(err)
	}
	// A port that is taken is stepped over and named.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	var out strings.Builder
	if err := run(&out, taken.Addr().(*net.TCPAddr).Port, 0, time.Millisecond, true); err != nil {
		t.Fatal(err)
	}
	printed := out.String()
	if !regexp.MustCompile(`^Appwrite stand-in   http://127\.0\.0\.1:\d+/v1   schema: appwrite.json   \(port \d+ is taken\)`).MatchString(printed) {
		t.Errorf("it does not say which port is taken:\n%s", printed)
	}
	settled := regexp.MustCompile(`(?m)^\S.* 200 .*(SUCCESS|FAILED|CANCELLED|TIMEOUT)`).FindAllString(printed, -1)
	if len(settled) < 12 || len(settled) != len(samples)-2 {
		t.Errorf("%d settled documents of %d samples, want all but two:\n%s", len(settled), len(samples), printed)
	}
	for _, line := range []string{
		"stk/paid                                            200      ws_CO_2311…*********  SUCCESS    UKN4T8W2QD    1,000  user:amina",
		"timeout/envelope, then b2c/paid                     200 200  daa6…                 SUCCESS    UKN8D3R6YM      500  user:amina",
		"stk/no-id                                           400      -  Body.stkCallback.CheckoutRequestID: missing",
	} {
		if !strings.Contains(printed, line+"\n") {
			t.Errorf("no line %q in\n%s", line, printed)
		}
	}
	// The outage before it: queued three times, and settled.
	for _, pattern := range []string{
		`(?m)^stk/paid +200 +(\w{3} \d\d:\d\d(, )?){3}$`,
		`(?m)^payments +ws_CO_2311…\*{9} +SUCCESS +UKN4T8W2QD +1,000 +user:amina$`,
		`(?m)^disbursements +daa6… +SUCCESS +UKN8D3R6YM +500 +user:amina$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(printed) {
			t.Errorf("nothing matches %s in\n%s", pattern, printed)
		}
	}
	if regexp.MustCompile(`7000000\d\d`).MatchString(printed) {
		t.Errorf("a payer's number is shown:\n%s", printed)
	}
}
