package main

import (
	"strings"
	"testing"

	"openruntimes/handler/internal/fakesafaricom"
)

// TestShowPayouts: what is printed of the payouts is what the ledger says, each paid once.
func TestShowPayouts(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	if err := s.showPayouts(); err != nil {
		t.Fatal(err)
	}
	for _, p := range payouts {
		e, paid := s.safaricom.Paid(p.id)
		if !paid || e.Amount != p.amount || e.Kind != fakesafaricom.PaidOut {
			t.Errorf("%s: the ledger has %+v", p.remarks, e)
		}
		if d := s.disbursement(p.id); d.Data["status"] != "SUCCESS" || d.Data["receipt"] != e.Receipt || !strings.Contains(out.String(), e.Receipt) {
			t.Errorf("%s: stored is %v, and printed\n%s", p.remarks, d.Data, &out)
		}
	}
	if n := len(s.safaricom.Ledger()); n != len(payouts) {
		t.Errorf("the ledger has %d entries, want %d", n, len(payouts))
	}
	if !strings.Contains(out.String(), "it timed out                 replaced   TIMEOUT") {
		t.Errorf("printed is\n%s", &out)
	}
}

// TestShowPayoutRefused: what is not paid out is printed by its reason.
func TestShowPayoutRefused(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	s.safaricom.Always(fakesafaricom.B2C, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PartyB"))
	if err := s.showPayouts(); err != nil || strings.Count(out.String(), "422   rejected") != len(payouts) {
		t.Errorf("%v, printed is\n%s", err, &out)
	}
}
