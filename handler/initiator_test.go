package handler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// TestInitiatorRefused: a wrong password is accepted first, and several in a row lock the
// initiator. Once Safaricom has said so, nothing is tried in their name for an hour.
func TestInitiatorRefused(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.send(payoutA, phoneA)
	s.employ(fakesafaricom.Merchant{InitiatorPassword: "changed"})
	asked := func() int { return len(s.safaricom.Calls(fakesafaricom.Status)) }
	s.later(2 * time.Minute)
	s.sweep()
	s.later(time.Minute) // and the answer says that the initiator is refused
	if asked() != 1 {
		t.Fatalf("asked %d times, want once", asked())
	}
	s.Logged()
	before := s.payout(payoutA).Data["nextCheckAt"]
	for range 8 {
		s.later(5 * time.Minute)
		s.sweep()
		s.checkPayoutAs("zawadi", payoutA)
	}
	if asked() != 1 || s.payout(payoutA).Data["nextCheckAt"] != before {
		t.Errorf("asked %d times within the hour, and the next check has gone from %v to %v", asked(), before, s.payout(payoutA).Data["nextCheckAt"])
	}
	if log := s.errorLog(); !strings.Contains(log, `failed route=sweep id=? reason="credentials" error="Safaricom has refused DARAJA_INITIATOR`) {
		t.Errorf("the error log says %s", log)
	}
	got := s.payOut("zawadi", salary(payoutB, phoneB))
	if got.kind() != "credentials" || got.status != 502 || got.field("claimed") != true {
		t.Errorf("the app is told %d %s", got.status, got.body)
	}
	s.wantPayout(payoutB, "FAILED NOT_SENT: Safaricom refuses the settings of this function")
	if len(s.safaricom.Calls(fakesafaricom.B2C)) != 1 {
		t.Error("another payout was sent")
	}
	if got := s.payOut("zawadi", salary(payoutA, phoneA)); got.kind() != "PENDING" {
		t.Errorf("the first one, asked for again, is %d %s", got.status, got.body)
	}

	// After an hour it is tried once more, and works.
	s.employ(fakesafaricom.Merchant{})
	s.later(20 * time.Minute)
	s.sweep()
	s.later(time.Minute)
	s.wantPayout(payoutA, "SUCCESS")
	if got := s.payOut("zawadi", salary(payoutC, phoneB)); got.kind() != "PENDING" {
		t.Errorf("the app is told %d %s", got.status, got.body)
	}
}

// TestInitiatorTaken: what Safaricom does in the initiator's name ends that at once.
func TestInitiatorTaken(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.send(payoutA, phoneA) // by another container
	s.function.initiator.refused(s.Clock.Now().Add(-time.Minute))
	s.post(s.signedFor(forResult, payoutA), b2cResult(payoutA, "x", 0, paidReceipt))
	s.wantPayout(payoutA, "SUCCESS")
	if s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("the initiator who has just paid out counts as refused")
	}
}

// TestInitiatorOfCheck: scripts/deploy asks about a payout that never was, with what it was
// given. What Safaricom says to that is not about what the function has.
func TestInitiatorOfCheck(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.post(s.signedFor(forStatus, payoutA), b2cResult("x", "y", 2001, ""))
	if s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("the initiator of a check was refused, and the function's counts as refused")
	}
	s.function.initiator.refused(s.Clock.Now())
	s.post(s.signedFor(forStatus, payoutA), b2cResult("x", "y", 2032, ""))
	if !s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("the initiator of a check was taken, and the function's counts as taken")
	}
	s.function.initiator.taken(s.Clock.Now().Add(time.Second))
	s.send(payoutB, phoneB)
	s.post(s.signedFor(forStatus, payoutB), b2cResult("x", "y", 2001, ""))
	if !s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("the function's own initiator was refused, and does not count as refused")
	}
}

// TestInitiatorForged: nobody but Safaricom can say that the initiator is refused.
func TestInitiatorForged(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	s.Post("/"+doorSecret+"/b2c/result", b2cResult(payoutA, "AG_1", 2001, ""))
	s.Send("POST", "/b2c/status?id="+payoutA+"&sig="+strings.Repeat("0", 32), b2cResult(payoutA, "AG_1", 2001, ""))
	if s.function.initiator.isRefused(s.Clock.Now()) {
		t.Error("an unsigned result says that the initiator is refused, and is believed")
	}
}

// TestInitiatorRefusedOnce: a refusal is news when it comes first. Its redeliveries, by us or
// by Safaricom, do not stop payouts again once the password is mended.
func TestInitiatorRefusedOnce(t *testing.T) {
	t.Parallel()
	s := newPayer(t)
	conversation := s.send(payoutA, phoneA)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Reply: fakeappwrite.HTML(503)})
	refused := func() bool { return s.function.initiator.isRefused(s.Clock.Now()) }
	deliver := func() { s.Post(s.signedFor(forResult, payoutA), b2cResult(payoutA, conversation, 2001, "")) }
	if deliver(); !refused() {
		t.Error("a refusal that can only be queued does not count")
	}
	s.Appwrite.Heal()
	s.function.initiator.taken(s.Clock.Now().Add(time.Second)) // the password was mended
	s.Later(10 * time.Minute)
	if state := s.payoutState(payoutA); !strings.HasPrefix(state, "FAILED") || refused() {
		t.Errorf("after the redelivery of the queue the payout says %q; refused: %t", state, refused())
	}
	if deliver(); refused() {
		t.Error("Safaricom's repeat counts once more")
	}
}

// TestInitiatorOfBefore: what comes late, or twice, of a payout that was made before the
// initiator was refused does not make another wrong try.
func TestInitiatorOfBefore(t *testing.T) {
	t.Parallel()
	for _, settled := range []bool{false, true} {
		t.Run(fmt.Sprintf("settled before %t", settled), func(t *testing.T) {
			t.Parallel()
			s := newPayer(t)
			conversation := s.send(payoutA, phoneA)
			result := b2cResult(payoutA, conversation, 0, paidReceipt)
			if settled {
				s.post(s.signedFor(forResult, payoutA), result)
			}
			s.employ(fakesafaricom.Merchant{InitiatorPassword: "changed"}) // at M-Pesa
			s.later(time.Second)
			s.payOut("zawadi", salary(payoutB, phoneB))
			s.later(time.Minute)
			if !s.function.initiator.isRefused(s.Clock.Now()) {
				t.Fatalf("the initiator is not refused: %s", s.payoutState(payoutB))
			}
			s.post(s.signedFor(forResult, payoutA), result)
			if got := s.payOut("zawadi", salary(payoutC, phoneB)); got.kind() != "credentials" || len(s.sent()) != 2 {
				t.Errorf("%d payouts were sent, want 2; the app is told %s", len(s.sent()), got.body)
			}
		})
	}
}
