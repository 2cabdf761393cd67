package main

import (
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakesafaricom"
)

// payoutsKey is Safaricom's key for the initiator's password, and its certificate.
var payoutsKey = sync.OnceValues(func() (*rsa.PrivateKey, string) {
	key, certificate, err := fakesafaricom.NewKey()
	if err != nil {
		panic(err)
	}
	return key, certificate
})

// payOut gives what an operator gives for payouts, beside what payments need, and a
// Safaricom that takes it and whose time flies.
func (c *cloud) payOut() *fakesafaricom.Safaricom {
	c.t.Helper()
	safaricom := c.startPayments()
	safaricom.AllowLoopback = true
	key, certificate := payoutsKey()
	safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Duka", ConsumerKey: "key-of-payouts", ConsumerSecret: "secret-of-payouts", Shortcode: "600997",
		Products:  []fakesafaricom.Operation{fakesafaricom.B2C, fakesafaricom.Status},
		Initiator: "daraja-api", InitiatorPassword: "Nyoka#2026%", Key: key, Float: 1000})
	for name, value := range map[string]string{
		payoutKey: "key-of-payouts", payoutSecret: "secret-of-payouts", payoutShortcode: "600997",
		initiator: "daraja-api", initiatorPassword: "Nyoka#2026%", handler.Certificate: strings.ReplaceAll(certificate, "\n", ""),
		"DARAJA_PAYOUT_MAX": "20000", "DARAJA_PAYOUT_DAILY": "100000",
	} {
		c.env[name] = value
	}
	return safaricom
}

// checkPayouts looks once, with little patience.
func (c *cloud) checkPayouts(patience time.Duration) (string, error) {
	c.t.Helper()
	var out strings.Builder
	p := c.project(true)
	p.patience = patience
	err := p.diagnose(ctx, report{&out, false})
	return out.String(), err
}

// TestPayingOut: what payouts need is set, and proven by a question and its answer.
func TestPayingOut(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	safaricom := c.payOut()
	out := c.deploy()
	if got := line(out, "paying out"); !strings.HasPrefix(got, "ok      paying out: the initiator was not proven, since nobody can read "+handler.SigningKey) &&
		!strings.HasPrefix(got, "ok      paying out: Safaricom gives a token (sandbox) and has answered a question (ResultCode 2032)") {
		t.Errorf("%s\n%s", got, out)
	}
	if got := line(out, "started payouts"); !strings.HasPrefix(got, "fixed ") || strings.Contains(got, notNeeded) {
		t.Errorf("%s", got)
	}
	for _, name := range []string{payoutKey, payoutSecret, initiatorPassword} {
		if v := c.remote(name); !v.Secret || v.Value != "" {
			t.Errorf("%s is %+v, want it secret", name, v)
		}
	}
	if v := c.remote("DARAJA_PAYOUT_DAILY"); v.Value != "100000" || v.Secret {
		t.Errorf("the ceiling is %+v", v)
	}
	if out := c.deploy(); changed(out) {
		t.Errorf("a second run fixed something:\n%s", out)
	}
	if n := len(safaricom.Calls(fakesafaricom.B2C)); n != 0 {
		t.Errorf("%d payouts were sent", n)
	}
	if out, err := c.run(true); err != nil || !strings.Contains(line(out, "unresolved payouts"), "0 still asked about, 0 given up") {
		t.Errorf("-check = %v\n%s", err, out)
	}
}

// TestPayingOutWithOneApp: where payments and payouts are of two shortcodes of one app, one
// run asks for one token, since each new one voids what the function may hold.
func TestPayingOutWithOneApp(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	safaricom := c.payOut()
	c.env[handler.SigningKey] = strings.Repeat("5e", 32)
	key, _ := payoutsKey()
	safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Duka", ConsumerKey: c.env[consumerKey], ConsumerSecret: c.env[consumerSecret], Shortcode: "600997",
		Initiator: "daraja-api", InitiatorPassword: "Nyoka#2026%", Key: key, Float: 1000})
	delete(c.env, payoutKey)
	delete(c.env, payoutSecret)
	out := c.deploy()
	if got := line(out, "paying out"); !strings.Contains(got, "has answered a question (ResultCode 2032)") {
		t.Errorf("%s\n%s", got, out)
	}
	if tokens := len(safaricom.Calls(fakesafaricom.OAuth)); tokens != 1 {
		t.Errorf("%d tokens were asked for, want 1", tokens)
	}
}

// TestSweepStandsForPayouts: a payout waits to be asked about, and nobody asks.
func TestSweepStandsForPayouts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.payOut()
	var shift time.Duration
	c.Now = func() time.Time { return time.Now().Add(shift) }
	c.deploy()
	shift = -2 * time.Hour
	c.must("POST", "/databases/daraja/collections/disbursements/documents", map[string]any{"documentId": "payout", "permissions": []string{}, "data": map[string]any{
		"originatorConversationId": "payout", "settledAt": "2026-11-26T09:00:00.000Z", "status": "PENDING", "requestedAmount": 10, "requestKey": "k", "nextCheckAt": "2026-11-26T10:00:00.000Z",
	}})
	shift = 0
	out, err := c.run(true)
	if got := line(out, "unresolved payouts"); !errors.Is(err, errWrong) || !strings.HasPrefix(got, "WRONG   unresolved payouts: 1 still asked about, 0 given up; in the last day the sweep ran 0 times") {
		t.Errorf("-check = %v\n%s", err, out)
	}
	if got := line(out, "unresolved payments"); !strings.HasPrefix(got, "ok ") {
		t.Errorf("no payment waits: %s", got)
	}
}

// TestPayingOutWrong: each setting that is wrong is named.
func TestPayingOutWrong(t *testing.T) {
	signing := strings.Repeat("5e", 32)
	for name, tt := range map[string]struct {
		prepare func(*cloud, *fakesafaricom.Safaricom)
		want    string
		state   string // how the line begins
	}{
		"right": {want: "has answered a question (ResultCode 2032): keys, initiator, password and shortcode are right", state: "ok"},
		"a wrong password": {func(c *cloud, s *fakesafaricom.Safaricom) { c.env[initiatorPassword] = "wrong"; c.anew = true },
			"Safaricom refuses DARAJA_INITIATOR, or DARAJA_INITIATOR_PASSWORD or DARAJA_CERTIFICATE (that of the other environment?) (ResultCode 2001", "WRONG"},
		"an old password": {func(c *cloud, s *fakesafaricom.Safaricom) { c.env[initiatorPassword] = "old" },
			"; that is what was given here, and the function may have a newer one, which nobody can read", "WRONG"},
		"a wrong name": {func(c *cloud, s *fakesafaricom.Safaricom) { c.env[initiator] = "nobody"; c.run(false) }, "Safaricom refuses DARAJA_INITIATOR", "WRONG"},
		"no product":   {func(c *cloud, s *fakesafaricom.Safaricom) { s.Always(fakesafaricom.Status, fakesafaricom.NoProduct()) }, "it needs B2C and Transaction Status", "WRONG"},
		"the shortcode": {func(c *cloud, s *fakesafaricom.Safaricom) {
			s.Always(fakesafaricom.Status, fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PartyA"))
		}, "Safaricom refuses DARAJA_B2C_SHORTCODE (sandbox)", "WRONG"},
		"no answer": {func(c *cloud, s *fakesafaricom.Safaricom) {
			s.Always(fakesafaricom.Status, fakesafaricom.CallbackLost())
		}, "Safaricom's answer about the initiator has not come", "WRONG"},
		"the keys":        {func(c *cloud, s *fakesafaricom.Safaricom) { c.env[payoutSecret] = "wrong" }, "Safaricom refuses DARAJA_B2C_CONSUMER_KEY and DARAJA_B2C_CONSUMER_SECRET (sandbox)", "WRONG"},
		"nobody can read": {func(c *cloud, s *fakesafaricom.Safaricom) { delete(c.env, initiatorPassword) }, "the initiator was not proven, since nobody can read DARAJA_INITIATOR_PASSWORD", "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			safaricom := c.payOut()
			c.env[handler.SigningKey] = signing
			c.deploy()
			if tt.prepare != nil {
				tt.prepare(c, safaricom)
			}
			patience := 20 * time.Second
			if name == "no answer" {
				patience = time.Millisecond
			}
			out, err := c.checkPayouts(patience)
			got := line(out, "paying out")
			if !strings.HasPrefix(strings.ToLower(got), strings.ToLower(tt.state)) || !strings.Contains(got, tt.want) {
				t.Errorf("%v\n%s\nwant %s … %s", err, out, tt.state, tt.want)
			}
			if (err == nil) != (tt.state == "ok") {
				t.Errorf("-check = %v", err)
			}
			if n := len(safaricom.Calls(fakesafaricom.B2C)); n != 0 {
				t.Errorf("%d payouts were sent", n)
			}
		})
	}
}

// TestPayoutsPartlyGiven: of the variables for payouts all that are required are set, or
// none, and keys that Safaricom refuses are not put where nobody can read them.
func TestPayoutsPartlyGiven(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.payOut()
	delete(c.env, "DARAJA_PAYOUT_DAILY")
	if out, err := c.run(false); !errors.Is(err, errWrong) || !strings.Contains(out, "DARAJA_PAYOUT_DAILY is missing") {
		t.Errorf("deploy = %v\n%s", err, out)
	}
	if v := c.remote(payoutKey); v.Key != "" {
		t.Errorf("%s is set", payoutKey)
	}
	c.env["DARAJA_PAYOUT_DAILY"], c.env[payoutSecret] = "100000", "wrong"
	if out, err := c.run(false); err == nil || !strings.Contains(out+err.Error(), "Safaricom refuses DARAJA_B2C_CONSUMER_KEY") {
		t.Errorf("deploy = %v\n%s", err, out)
	}
	if v := c.remote(payoutKey); v.Key != "" {
		t.Errorf("%s is set", payoutKey)
	}
}
