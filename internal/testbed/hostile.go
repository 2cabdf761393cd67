package testbed

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"runtime/metrics"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// Request reads a request of testdata, such as "hostile/nul", and its body.
func Request(t testing.TB, name string) (*http.Request, string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(ReadFile(t, "testdata/"+name+".http"))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// maxAllocated is what one request may allocate, the fake's part included.
const maxAllocated = 4 << 20

// LimitAllocations holds every request to come to what it may allocate. No other test
// may run meanwhile.
func (w *World) LimitAllocations() {
	main := w.Runtime.Main
	w.Runtime.Main = func(ctx openruntimes.Context) openruntimes.Response {
		before := allocated()
		defer func() {
			if n := allocated() - before; n > maxAllocated {
				w.t.Errorf("%d bytes were allocated, want at most %d", n, maxAllocated)
			}
		}()
		return main(ctx)
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// maxCalls is how often one callback may make the function call the API while that
// works: create and get under the transaction's id and under the one made for it, and a
// replacement.
const maxCalls = 5

// own is all that a callback may make the function call.
var own = regexp.MustCompile(`^/v1/databases/daraja/collections/(payments|disbursements)/documents(/[A-Za-z0-9][A-Za-z0-9._-]{0,35})?$`)

// CheckCalls holds the calls since the last time to what one request may do to a server
// that works: a few, in the two collections, with the function's own key, none refused.
func (w *World) CheckCalls() {
	w.t.Helper()
	calls := w.Appwrite.Calls()
	if len(calls) > maxCalls {
		w.t.Errorf("%d calls of the API, want at most %d", len(calls), maxCalls)
	}
	for _, call := range calls {
		if !own.MatchString(call.Path) || call.Operation != "create" && call.Operation != "get" && call.Operation != "replace" {
			w.t.Errorf("%s %s: not for a callback to call", call.Method, call.Path)
		}
		if call.Status >= 400 && call.Status != http.StatusConflict {
			w.t.Errorf("%s %s: %d %s", call.Method, call.Path, call.Status, call.Type)
		}
		if got := call.Header.Get("X-Appwrite-Key"); got != FunctionKey {
			w.t.Errorf("%s %s with the key %q, want the platform's", call.Method, call.Path, got)
		}
	}
	w.Appwrite.Reset()
}

// Report makes the world report to another test, such as one input of a fuzz target.
func (w *World) Report(t testing.TB) { w.t = t }
