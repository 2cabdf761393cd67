package handler

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/testbed"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/function and testdata/hostile")

// TestGolden posts a payload to an empty database and compares all that came of it: the
// reply, the document, who may read it, and what was logged. What a parser makes of
// each payload is compared in parse.
func TestGolden(t *testing.T) {
	t.Parallel()
	names := []string{
		"stk/paid", "stk/paid-all-text", "stk/paid-id-37", "stk/cancelled", "stk/fail-1019-expired", "stk/fail-sfc-ic0003",
		"stk/unknown-1037-ds", "stk/amount-fraction", "stk/receipt-amount-missing", "stk/desc-operator", "stk/id-300",
		"stk/trailing-callback", "stk/no-id", "stk/not-json",
		"b2c/paid", "b2c/fail-2001-initiator", "b2c/unknown-17-internal", "b2c/type-1", "b2c/id-long", "b2c/txid-placeholder",
		"timeout/envelope", "timeout/flat", "timeout/envelope-paid", "timeout/conversation-only",
	}
	goldens := map[string]bool{}
	for _, name := range names {
		golden := "testdata/function/" + strings.Replace(name, "/", "-", 1) + ".golden"
		goldens[filepath.Base(golden)] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.Send("POST", target(name), payload(t, name))
			compareGolden(t, golden, "POST "+target(name)+"\n"+w.describe(t, r))
		})
	}
	for _, name := range testbed.Files(t, "function/*.golden") {
		if file := filepath.Base(name) + ".golden"; !goldens[file] {
			t.Errorf("testdata/function/%s belongs to no test", file)
		}
	}
}

// describe writes down what came of a request, without what differs each time.
func (w *world) describe(t *testing.T, r testbed.Reply) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", r.Status, r.Body)
	for _, d := range w.Stored() {
		settled, err := time.Parse("2006-01-02T15:04:05.000Z", d.Data["settledAt"].(string))
		if err != nil || time.Since(settled) > time.Minute {
			t.Errorf("settledAt = %v (%v), want the time of writing", d.Data["settledAt"], err)
		}
		d.Data["settledAt"] = "now"
		// What only started payments have must be null, and is left out.
		for _, key := range []string{"userId", "reference", "requestedAmount", "requestKey", "phoneKey", "nextCheckAt"} {
			if d.Data[key] == nil {
				delete(d.Data, key)
			}
		}
		data, err := json.MarshalIndent(d.Data, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n", d.ID, strings.Join(d.Permissions, " "), data)
	}
	logs, errors := w.Logged()
	milliseconds := regexp.MustCompile(` ms=\d+$`)
	for _, line := range logs {
		fmt.Fprintf(&b, "\nlog: %s", milliseconds.ReplaceAllString(line, " ms=n"))
	}
	for _, line := range errors {
		fmt.Fprintf(&b, "\nerror log: %s", line)
	}
	return b.String() + "\n"
}

// compareGolden compares what came of a request with a file of the module.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join(testbed.Root(t), filepath.FromSlash(name)), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(testbed.ReadFile(t, name)); got != want {
		t.Errorf("it became\n%s\nwant, by %s,\n%s", got, name, want)
	}
}
