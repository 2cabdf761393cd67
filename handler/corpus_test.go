package handler

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// given are the folders' prefixes of payloads that others collected, and where
// each kind is posted to.
var given = []struct{ prefix, target string }{
	{"stk-", "/callback"},
	{"b2c-success-", "/b2c/result"},
	{"b2c-fail-", "/b2c/result"},
	{"b2c-timeout-", "/b2c/timeout"},
}

// TestGivenPayloads posts other people's payloads, where PAYLOADS names a folder
// of them: every one becomes a document with the status that the contract gives.
func TestGivenPayloads(t *testing.T) {
	folder := os.Getenv("PAYLOADS")
	if folder == "" {
		t.Log("PAYLOADS is not set: only the payloads in testdata are tested")
		return
	}
	counts := map[string]int{}
	posted := 0
	for _, g := range given {
		files, err := filepath.Glob(filepath.Join(folder, g.prefix+"*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				body, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t)
				if got := w.Post(g.target+"?uid=amina", string(body)); got != 200 {
					t.Fatalf("reply %d, want 200", got)
				}
				want := contractStatus(t, g.target, body)
				if got := w.Status(); got != want {
					t.Errorf("the document says %s, want %s", got, want)
				}
				posted++
				counts[want]++
			})
		}
	}
	fmt.Printf("given payloads: %d settled, by status %v\n", posted, counts)
	if posted < 60 {
		t.Errorf("%d payloads of %s were settled, want at least 60", posted, folder)
	}
}

// contractStatus reads the status off the code, by the contract's own lists.
func contractStatus(t *testing.T, target string, body []byte) string {
	t.Helper()
	var message struct {
		Body   struct{ StkCallback struct{ ResultCode any } }
		Result struct{ ResultCode any }
	}
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	code, failed, cancelled := message.Result.ResultCode, "1 2 3 4 8 11 21 26 2001 2006 2028 2040 8006 SFC_IC0003", ""
	if target == "/callback" {
		code = message.Body.StkCallback.ResultCode
		failed, cancelled = "1 2 3 4 8 11 17 26 1001 1019 1025 2001 2028 8006 SFC_IC0003", "1031 1032"
	}
	is := func(codes string) bool { return slices.Contains(strings.Fields(codes), fmt.Sprint(code)) }
	switch {
	case target == "/b2c/timeout":
		return "TIMEOUT"
	case is("0"):
		return "SUCCESS"
	case is(cancelled):
		return "CANCELLED"
	case is(failed):
		return "FAILED"
	}
	return "TIMEOUT"
}
