package testbed

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// TestUnfit: the harness notices what no log may hold, and lets pass what it may.
func TestUnfit(t *testing.T) {
	w := New(t, func(func(string) string) Serve {
		return func(openruntimes.Context) openruntimes.Response { return openruntimes.Response{} }
	})
	w.Set("DARAJA_CALLBACK_SECRET", "0123456789abcdef, fedcba9876543210")
	for line, want := range map[string]string{
		"": "",
		"route=callback id=ws_CO_23112026140731772********* status=SUCCESS outcome=created attempt=0 calls=1 ms=12":                     "",
		`UNSETTLED {"route":"callback","uid":"amina","id":"ws_CO_1700000011","data":{"checkoutRequestId":"ws_CO_1700000011"}}`:          "",
		`UNSETTLED {"route":"callback","uid":"amina","id":"ws_CO_1700000011","data":{"checkoutRequestId":"x","failureReason":"AMINA"}}`: "a name",
		`UNSETTLED {"route":"callback","ui`:                     "half an UNSETTLED line",
		"route=callback id=ws_CO_23112026140731772700000011":    "a number",
		"failed route=b2c/result error=\"no such payee AMINA\"": "a name",
		"refused path=/fedcba9876543210/callback":               "a secret, a URL or a user",
		"failed error=\"http://127.0.0.1/v1\"":                  "a secret, a URL or a user",
		"odd uid=amina":                                         "a secret, a URL or a user",
		"failed key=" + FunctionKey:                             "a secret, a URL or a user",
	} {
		t.Run(line, func(t *testing.T) {
			if got := w.unfit(line, []string{"AMINA", "DA"}); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// hanging makes TestWatch hang, in a process of its own.
const hanging = "TESTBED_HANGS"

// TestWatch: what hangs ends the tests, and they say which of them it was.
func TestWatch(t *testing.T) {
	if os.Getenv(hanging) != "" {
		t.Run("inner", func(t *testing.T) {
			defer watch(t, time.Millisecond)()
			select {}
		})
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestWatch$", "-test.timeout="+Limit.String())
	child.Env = append(os.Environ(), hanging+"=yes")
	output, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "panic: TestWatch/inner hangs") {
		t.Errorf("%v, want a panic that names the test:\n%s", err, output)
	}
}
