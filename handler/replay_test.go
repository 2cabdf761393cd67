package handler

import (
	"errors"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// unsettled has a world log the UNSETTLED line of a payload, and heals it.
func (w *world) unsettled(t *testing.T, target, name string) string {
	t.Helper()
	w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
	if got := w.Post(target, payload(t, name)); got != 503 {
		t.Fatalf("reply %d, want 503", got)
	}
	w.Appwrite.Heal()
	_, errors := w.Logged()
	return errors[0]
}

// TestReplay: what is in the log can be settled from it, once and then again.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"stk/paid":       "ws_CO_23112026140731772*********",
		"stk/paid-id-37": "6603120bd2fee3f93688aa3f5bc*********",
		"b2c/paid":       "daa6-4d1a-af61-120b12394*********",
		"timeout/flat":   "6441-4a2b-ac33-9bb52a6a5*********",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			line := w.unsettled(t, target(name), name)
			for _, want := range []settle.Outcome{settle.Created, settle.Duplicate} {
				got, err := w.function.Replay(testbed.FunctionKey, line)
				if err != nil {
					t.Fatal(err)
				}
				if got.Outcome != want {
					t.Errorf("outcome = %s, want %s", got.Outcome, want)
				}
				if got.ID != id {
					t.Errorf("id = %s, want %s", got.ID, id)
				}
			}
			if got := testbed.Readers(w.Document()); got != "user:amina" {
				t.Errorf("the document is read by %q, want amina", got)
			}
		})
	}
}

// TestReplayReader: who reads what is replayed is decided by the settings of today.
func TestReplayReader(t *testing.T) {
	t.Parallel()
	for uid, want := range map[string]string{"amina": "user:amina", "": "any", "any": "user:any"} {
		t.Run(uid, func(t *testing.T) {
			w := newWorld(t)
			w.Set("DARAJA_ANONYMOUS_READ", "any")
			line := w.unsettled(t, "/callback?uid="+uid, "stk/paid")
			if _, err := w.function.Replay(testbed.FunctionKey, line); err != nil {
				t.Fatal(err)
			}
			if got := testbed.Readers(w.Document()); got != want {
				t.Errorf("the document is read by %q, want %s", got, want)
			}
		})
	}
}

// TestReplayFails: what cannot be settled is said, and nothing is called for a line
// that holds no document.
func TestReplayFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	line := w.unsettled(t, target("stk/paid"), "stk/paid")
	w.Operations()
	for _, tt := range []struct {
		name, key, line, collection string
		want                        string
		calls                       string
	}{
		{"no line", testbed.FunctionKey, "", "payments", "no UNSETTLED line", ""},
		{"half a line", testbed.FunctionKey, line[:40], "payments", "no UNSETTLED line", ""},
		{"no collection", testbed.FunctionKey, line, "", "configuration: DARAJA_COLLECTION_ID is missing", ""},
		{"no key", "", line, "payments", "create: 401 user_unauthorized", "create"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.Set("DARAJA_COLLECTION_ID", tt.collection)
			got, err := w.function.Replay(tt.key, tt.line)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Replay = %v, want %s", err, tt.want)
			}
			if got.Outcome != "" {
				t.Errorf("outcome = %s beside an error", got.Outcome)
			}
			if notUnsettled := errors.Is(err, settle.ErrNotUnsettled); notUnsettled != strings.HasPrefix(tt.want, "no ") {
				t.Errorf("the line has no document: %t", notUnsettled)
			}
			if got := w.Operations(); got != tt.calls {
				t.Errorf("calls = %q, want %q", got, tt.calls)
			}
		})
	}
}
