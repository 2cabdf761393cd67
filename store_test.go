package handler

import (
	"strings"
	"testing"

	"openruntimes/handler/scripts/standin"
)

// TestStringSequence: servers from 1.9 may send $sequence as text, and a client
// that wants an int fails after the write was done.
func TestStringSequence(t *testing.T) {
	w := newWorld(t)
	w.Appwrite.StringSequence = true
	for _, name := range []string{"timeout/envelope.json", "b2c/paid.json", "b2c/paid-again.json"} {
		if r := w.postFile(name); r.status != 200 {
			t.Errorf("%s: %d %s, want 200", name, r.status, r.body)
		}
	}
	if got := w.operations(); got != "create create get replace create get" {
		t.Errorf("calls = %q", got)
	}
}

// TestNoKey: without a key of the platform's nothing can be stored or queued, and
// nothing is called accepted.
func TestNoKey(t *testing.T) {
	w := newWorld(t)
	w.Runtime.Key = "standard_unknown"
	r := w.postFile("stk/paid.json")
	if _, errors := w.Logged(); r.status != 503 || r.body != notRecorded || len(errors) != 2 || !strings.Contains(errors[1], "create: 401 user_unauthorized; queue: 401") {
		t.Errorf("%d %s with error log %q, want 503 %s and both 401", r.status, r.body, errors, notRecorded)
	}
}

// TestNothingPersonalIsLogged posts everything and looks for what must not be in
// the logs: the payer's number, names, the key.
func TestNothingPersonalIsLogged(t *testing.T) {
	w := newWorld(t)
	for _, name := range payloads(t) {
		w.postFile(name)
		w.post(target(name), payload(t, name))
	}
	logs, errors := w.Logged()
	for _, line := range append(logs, errors...) {
		for _, secret := range []string{"70000", "10000", standin.FunctionKey, "AMINA", "Amina", "amina", "127.0.0.1"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q holds %q", line, secret)
			}
		}
	}
}
