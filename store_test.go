package handler

import (
	"strings"
	"testing"

	"openruntimes/handler/internal/testbed"
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
		for _, secret := range []string{"70000", "10000", testbed.FunctionKey, "AMINA", "Amina", "amina", "127.0.0.1"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q holds %q", line, secret)
			}
		}
	}
}
