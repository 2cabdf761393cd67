package handler

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/testbed"
)

// TestMain lets more tests run at once than there are processors: they wait for each
// other's ends of a connection rather than compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// world is a testbed whose function waits for nothing and has the server's clock.
type world struct {
	*testbed.World
	function *Function // new after each Set
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{}
	w.World = testbed.New(t, func(getenv func(string) string) testbed.Serve {
		w.function = New(getenv)
		w.function.clock = patient(func() time.Time { return w.Clock.Now() })
		return func(ctx openruntimes.Context) openruntimes.Response { return w.function.Serve(ctx) }
	})
	return w
}

// patient is a clock for tests: between the rounds is no pause, and a call takes too
// long when the server hangs, and not when the machine is slow.
func patient(now func() time.Time) clock {
	return clock{now: now, timeout: testbed.UntilHung, wait: func(time.Time, time.Duration) {},
		oneCall: time.Hour, store: time.Hour, queue: time.Hour,
		pause: func(time.Duration) {}, pushBegins: time.Hour, pushLasts: time.Hour, sweepLasts: time.Hour}
}

// payload reads one of testdata, such as "stk/paid".
func payload(t testing.TB, name string) string {
	t.Helper()
	return testbed.Payload(t, name)
}

// target is where a payload of testdata is posted to as amina's.
func target(payload string) string { return testbed.Path(payload) + "?uid=amina" }

// errorLog returns the error log's lines since the last time, in one.
func (w *world) errorLog() string {
	_, errors := w.Logged()
	return strings.Join(errors, "\n")
}
