package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func noEnvironment(string) string { return "" }

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(context.Background(), &out, io.Discard, options{n: 500, atATime: 16, seed: 1}, asItIs, noEnvironment); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{
		`(?m)^500 callbacks, 16 at a time, to http://127\.0\.0\.1:\d+$`,
		`(?m)^Throughput   \d+/s, 500 in \d+\.\d s$`,
		`(?m)^Latency      p50 \S+ ms  p90 \S+ ms  p99 \S+ ms  p99.9 \S+ ms  max \S+ ms$`,
		`(?m)^Replies      200: 500  $`,
		`(?m)^Documents    of 49\d transactions: 0 lost, 0 refused, 0 doubled, 0 wrong$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out.String()) {
			t.Errorf("nothing matches %s in\n%s", pattern, out.String())
		}
	}
}

// TestRunAgainst loads a function that runs already and has a callback secret. It
// removes every document of the run and no other.
func TestRunAgainst(t *testing.T) {
	const secret = "0123456789abcdef"
	m := newMachine(t, func(_ serve, getenv func(string) string) serve {
		return handler.New(func(name string) string {
			if name == handler.CallbackSecret {
				return secret
			}
			return getenv(name)
		}).Serve
	})
	other := callback{path: "/" + secret + "/callback", body: `{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_other","ResultCode":1}}}`}
	if reply := post(http.DefaultClient, m.FunctionURL, other); reply != "200" {
		t.Fatal(reply)
	}
	environment := map[string]string{"APPWRITE_ENDPOINT": m.AppwriteURL}
	getenv := func(name string) string { return environment[name] }
	left := func() string {
		var ids []string
		for _, d := range append(m.Appwrite.Documents("daraja", "payments"), m.Appwrite.Documents("daraja", "disbursements")...) {
			ids = append(ids, d.ID)
		}
		return strings.Join(ids, " ")
	}
	o := options{n: 200, atATime: 8, seed: 2, url: m.FunctionURL + "/" + secret + "/"}
	runNumber := regexp.MustCompile(`^To remove what is queued and comes back, in a day: this command with\n  -n 200 -seed 2 -remove (\d+)\n`)
	number := func(out string) int64 {
		match := runNumber.FindStringSubmatch(out)
		if match == nil {
			t.Fatalf("it does not say how to remove what is left:\n%s", out)
		}
		n, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}

	// While the API is down, only the first two callbacks are posted.
	m.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(http.StatusServiceUnavailable)})
	var out strings.Builder
	err := run(context.Background(), &out, io.Discard, o, nil, getenv)
	place := "project fake at " + m.AppwriteURL + ", database daraja"
	if err == nil || !strings.Contains(err.Error(), "before all others: both were accepted,\nand neither is in "+place+".\n") {
		t.Errorf("with an API that is down: %v", err)
	}
	if !strings.HasSuffix(out.String(), "\nDocuments are looked for in "+place+".\n") {
		t.Errorf("with an API that is down it prints\n%s", out.String())
	}
	m.Appwrite.Heal()
	m.RunUntil(m.Clock.Now().Add(48 * time.Hour))
	o.remove = number(out.String())
	out.Reset()
	if err := run(context.Background(), &out, io.Discard, o, nil, getenv); err != nil || out.String() != "Removed      2 documents\n" || left() != "ws_CO_other" {
		t.Errorf("-remove: %v, %q, and %s is left", err, out.String(), left())
	}

	o.remove = 0
	out.Reset()
	if err := run(context.Background(), &out, io.Discard, o, nil, getenv); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`(?m)^Removed      (19\d|200) documents$`).MatchString(out.String()) || left() != "ws_CO_other" {
		t.Errorf("%s is left after\n%s", left(), out.String())
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("it prints the callback secret:\n%s", out.String())
	}
	// It does not wait for documents of callbacks that were never accepted.
	o.url, o.wait = "http://127.0.0.1:1", time.Hour
	if err := run(context.Background(), io.Discard, io.Discard, o, nil, getenv); err == nil || !strings.Contains(err.Error(), "2 of 2 callbacks were not answered 200") {
		t.Errorf("a function that does not answer: %v", err)
	}

	// A key that may not read is noticed after two callbacks.
	o.url = m.FunctionURL + "/" + secret
	environment["APPWRITE_API_KEY"] = "wrong"
	m.Logged()
	err = run(context.Background(), io.Discard, io.Discard, o, nil, getenv)
	if logs, _ := m.Logged(); err == nil || !strings.Contains(err.Error(), ": 401 user_unauthorized") || len(logs) != 2 {
		t.Errorf("with a wrong key: %v after %d callbacks, want 401 after 2", err, len(logs))
	}
}

// TestRunElsewhere looks for documents where the function does not store them. It
// says so after two callbacks, without waiting.
func TestRunElsewhere(t *testing.T) {
	there := newMachine(t, asItIs)
	here := newMachine(t, asItIs)
	environment := map[string]string{"APPWRITE_ENDPOINT": there.AppwriteURL}
	o := options{n: 200, atATime: 8, seed: 2, url: here.FunctionURL, wait: 20 * time.Millisecond}
	err := run(context.Background(), io.Discard, io.Discard, o, nil, func(name string) string { return environment[name] })
	want := "both were accepted,\nand neither is in project fake at " + there.AppwriteURL + ", database daraja.\n" +
		"Either the function stores elsewhere: set APPWRITE_ENDPOINT"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it ended with %v, want %s", err, want)
	}
	if n := len(here.Appwrite.Documents("daraja", "payments")) + len(here.Appwrite.Documents("daraja", "disbursements")); n != 2 {
		t.Errorf("it posted %d callbacks, want the first two alone", n)
	}
	if n := len(there.Appwrite.Calls()); n != 2 {
		t.Errorf("it looked there with %d calls, want one for each collection, and no second look", n)
	}
}

func TestHelp(t *testing.T) {
	var out, errOut strings.Builder
	if code := command(context.Background(), []string{"-h"}, &out, &errOut); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if out.String() != usage || errOut.String() != "" {
		t.Errorf("it prints %q and %q", out.String(), errOut.String())
	}
	(&options{}).flags().VisitAll(func(f *flag.Flag) {
		if !strings.Contains(usage, "\n  -"+f.Name+" ") {
			t.Errorf("the usage does not describe -%s", f.Name)
		}
	})
	newTarget("", func(name string) string {
		if !strings.Contains(usage, "\n  "+name+" ") {
			t.Errorf("the usage does not describe %s", name)
		}
		return ""
	})
	for _, line := range strings.Split(usage, "\n") {
		if len(line) > 80 {
			t.Errorf("%d columns, want 80 at most: %s", len(line), line)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct{ arguments, want string }{
		{"100", `unknown argument "100"`},
		{"-nonsense", "flag provided but not defined: -nonsense"},
		{"-n 0", "-n and -at-a-time must be 1 or more, -rate 0 or more"},
		{"-at-a-time 0", "-n and -at-a-time must be 1 or more, -rate 0 or more"},
		{"-rate -1", "-n and -at-a-time must be 1 or more, -rate 0 or more"},
		{"-remove 1", "-remove needs -url"},
		{"-wait 1s", "-wait needs -url"},
		{"-i-own-this-server", "-i-own-this-server needs -url"},
	} {
		t.Run(tt.arguments, func(t *testing.T) {
			var out, errOut strings.Builder
			if code := command(context.Background(), strings.Fields(tt.arguments), &out, &errOut); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if want := "load: " + tt.want; !strings.HasPrefix(errOut.String(), want) {
				t.Errorf("it prints %q, want %q first", errOut.String(), want)
			}
			if !strings.HasSuffix(errOut.String(), "\n\n"+usage) {
				t.Errorf("there is no usage in %q", errOut.String())
			}
			if out.String() != "" {
				t.Errorf("it prints %q to standard output", out.String())
			}
		})
	}
}

// TestRunRefused has a function that stores documents but answers 503.
func TestRunRefused(t *testing.T) {
	main := func(f serve, _ func(string) string) serve {
		return func(ctx openruntimes.Context) openruntimes.Response {
			f(ctx)
			return openruntimes.Response{StatusCode: 503, Body: []byte("no")}
		}
	}
	err := run(context.Background(), io.Discard, io.Discard, options{n: 20, atATime: 4, seed: 5}, main, noEnvironment)
	if err == nil || err.Error() != "20 of 20 callbacks were not answered 200" {
		t.Errorf("it ended with %v", err)
	}
}

// TestRunWaits has a callback that cannot be stored at first. Its document is found
// once the callback has come back from the queue.
func TestRunWaits(t *testing.T) {
	var calls atomic.Int32
	main := func(f serve, getenv func(string) string) serve {
		withoutCollections := handler.New(func(name string) string {
			if strings.HasSuffix(name, "COLLECTION_ID") {
				return ""
			}
			return getenv(name)
		})
		return func(ctx openruntimes.Context) openruntimes.Response {
			if calls.Add(1) == 50 {
				return withoutCollections.Serve(ctx)
			}
			return f(ctx)
		}
	}
	if err := run(context.Background(), io.Discard, io.Discard, options{n: 100, atATime: 1, seed: 4}, main, noEnvironment); err != nil {
		t.Error(err)
	}
	if n := calls.Load(); n <= 100 {
		t.Errorf("the function was called %d times for 100 callbacks of which one was queued", n)
	}
}

func newMachine(t *testing.T, main wrap) *testbed.Machine {
	m, err := startMachine(main)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// misbehaving serves with the function at hand.
func misbehaving(main func(serve, openruntimes.Context) openruntimes.Response) wrap {
	return func(f serve, _ func(string) string) serve {
		return func(ctx openruntimes.Context) openruntimes.Response { return main(f, ctx) }
	}
}

// TestRunNotices has functions that mistreat one of 200 callbacks.
func TestRunNotices(t *testing.T) {
	acknowledge := openruntimes.Response{StatusCode: 200, Body: []byte("Accepted")}
	var once atomic.Int32
	tests := map[string]struct {
		main wrap
		want string
	}{
		"acknowledged and not stored": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if once.Add(1) == 100 {
				return acknowledge
			}
			return f(ctx)
		}), "1 were accepted and lost, 0 refused, 0 have several documents, 0 a wrong one"},
		"a second document": {func(f serve, getenv func(string) string) serve {
			return func(ctx openruntimes.Context) openruntimes.Response {
				if ctx.Req.Path == "/callback" && once.Add(1) == 100 {
					storeBeside(ctx, getenv("APPWRITE_FUNCTION_API_ENDPOINT"))
				}
				return f(ctx)
			}
		}, "0 were accepted and lost, 0 refused, 1 have several documents, 0 a wrong one"},
		"another status": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if ctx.Req.Path == "/callback" && once.Add(1) == 100 {
				ctx.Req.SetBodyBinary(regexp.MustCompile(`"ResultCode":[^,]+`).ReplaceAll(ctx.Req.BodyBinary(), []byte(`"ResultCode":4999`)))
			}
			return f(ctx)
		}), "0 were accepted and lost, 0 refused, 0 have several documents, 1 a wrong one"},
		"another receipt": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if receipt := []byte(`"LDT`); bytes.Contains(ctx.Req.BodyBinary(), receipt) && strings.Contains(ctx.Req.BodyText(), `"ResultCode":0,`) && once.Add(1) == 10 {
				ctx.Req.SetBodyBinary(bytes.ReplaceAll(ctx.Req.BodyBinary(), receipt, []byte(`"LDU`)))
			}
			return f(ctx)
		}), "0 were accepted and lost, 0 refused, 0 have several documents, 1 a wrong one"},
		"another amount": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if amount := regexp.MustCompile(`"Amount","Value":`); amount.Match(ctx.Req.BodyBinary()) && once.Add(1) == 10 {
				ctx.Req.SetBodyBinary(amount.ReplaceAll(ctx.Req.BodyBinary(), []byte(`"Amount","Value":1`)))
			}
			return f(ctx)
		}), "0 were accepted and lost, 0 refused, 0 have several documents, 1 a wrong one"},
		"another reader": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if once.Add(1) == 100 {
				ctx.Req.Query["uid"] = "somebody"
			}
			return f(ctx)
		}), "0 were accepted and lost, 0 refused, 0 have several documents, 1 a wrong one"},
		"refused": {misbehaving(func(f serve, ctx openruntimes.Context) openruntimes.Response {
			if once.Add(1) == 100 {
				return openruntimes.Response{StatusCode: 503, Body: []byte("no")}
			}
			return f(ctx)
		}), "0 were accepted and lost, 1 refused, 0 have several documents, 0 a wrong one (in project fake at "},
	}
	for name, tt := range tests {
		once.Store(0)
		err := run(context.Background(), io.Discard, io.Discard, options{n: 200, atATime: 1, seed: 3}, tt.main, noEnvironment)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// storeBeside stores a payment under another id.
func storeBeside(ctx openruntimes.Context, endpoint string) {
	v, err := parse.STK(ctx.Req.BodyBinary())
	if err != nil {
		panic(err)
	}
	store := appwrite.Documents{
		Client: &appwrite.Client{Endpoint: endpoint, ProjectID: fakeappwrite.ProjectID, Key: ctx.Req.Headers["x-appwrite-key"],
			Transport: appwrite.NewTransport()},
		Database: "daraja", Payments: "payments",
	}
	beside := settle.New(v, "", time.Now())
	beside.DocumentID = "beside-" + v.ID[len(v.ID)-9:]
	if err := store.Create(context.Background(), &beside); err != nil {
		panic(err)
	}
}

func TestBest(t *testing.T) {
	unknown := parse.Verdict{Status: parse.Timeout}
	failed, cancelled := parse.Verdict{Status: parse.Failed}, parse.Verdict{Status: parse.Cancelled}
	success := parse.Verdict{Status: parse.Success, Receipt: "UKN7X1Q9ZK"}
	for _, tt := range []struct {
		verdicts []parse.Verdict
		want     int // index of the best
	}{
		{[]parse.Verdict{unknown}, 0},
		{[]parse.Verdict{unknown, failed}, 1},
		{[]parse.Verdict{cancelled, unknown}, 0},
		{[]parse.Verdict{failed, success, unknown}, 1},
	} {
		if got := best(tt.verdicts); len(got) != 1 || got[0] != tt.verdicts[tt.want] {
			t.Errorf("best(%v) = %v, want number %d", tt.verdicts, got, tt.want)
		}
	}
	if got := best([]parse.Verdict{failed, unknown, cancelled}); len(got) != 2 {
		t.Errorf("of two failures %v is best, want both: the first to arrive stands", got)
	}
}

func TestMayPost(t *testing.T) {
	for address, loopback := range map[string]bool{
		"http://127.0.0.1:3000": true, "http://127.9.9.9": true, "http://[::1]:3000": true, "http://localhost:3000/secret": true,
		"https://64d4.appwrite.run": false, "http://10.0.0.1": false, "http://localhost.example": false, "http://127.0.0.1.example": false,
	} {
		if err := mayPost(address, false); (err == nil) != loopback {
			t.Errorf("%s: %v, want loopback only", address, err)
		}
		if err := mayPost(address, true); err != nil {
			t.Errorf("%s, one's own: %v", address, err)
		}
	}
	for _, address := range []string{"nonsense", "", "http://"} {
		if mayPost(address, true) == nil {
			t.Errorf("%q is taken for a URL", address)
		}
	}
	// Both addresses are checked before anything is sent.
	for function, endpoint := range map[string]string{"http://127.0.0.1:1": "https://else.example/v1", "https://else.example": "http://127.0.0.1:1/v1"} {
		environment := map[string]string{"APPWRITE_ENDPOINT": endpoint}
		err := run(context.Background(), io.Discard, io.Discard, options{n: 1, atATime: 1, url: function}, nil,
			func(name string) string { return environment[name] })
		if err == nil || !strings.Contains(err.Error(), "else.example (in -url or APPWRITE_ENDPOINT) is not this machine") {
			t.Errorf("function at %s, Appwrite at %s: %v", function, endpoint, err)
		}
	}
}

// TestTraffic compares the traffic with the logs that it imitates.
func TestTraffic(t *testing.T) {
	const n = 20000
	draw := func(seed uint64, begin time.Time, n int) []callback {
		return (&traffic{Rand: rand.New(rand.NewPCG(seed, 0)), begin: begin}).draw(n)
	}
	now := time.Now()
	drawn := draw(7, now, n)
	if draw(7, now, 1)[0] != drawn[0] || draw(8, now, 1)[0] == drawn[0] || draw(7, now.Add(time.Hour), 1)[0].verdict.ID == drawn[0].verdict.ID {
		t.Error("the traffic does not depend on seed and time alone, or not on both")
	}
	codes, said, bodies := map[int]int{}, map[string]int{}, map[string]int{}
	b2c, largest, twice, late, seen := 0, 0, 0, 0, map[string]int{}
	for place, c := range drawn {
		said[c.verdict.ID]++
		bodies[c.body]++
		largest = max(largest, len(c.body))
		if c.verdict.Kind == parse.Disbursement {
			b2c++
		} else {
			codes[c.verdict.Code]++
		}
		if before, ok := seen[c.body]; ok {
			twice++
			if place-before > 9 { // late ones come between
				t.Errorf("a repeated callback comes %d places behind the first", place-before)
			}
		}
		seen[c.body] = place
		if c.verdict.Code == 1019 && place > 0 && drawn[place-1].verdict.ID > c.verdict.ID {
			late++
		}
	}
	if len(drawn) != n || len(said) > n-50 || len(said) < n*98/100 {
		t.Errorf("%d callbacks of %d transactions, want %d of a few less", len(drawn), len(said), n)
	}
	for code, share := range map[int]float64{1032: .437, 1037: .233, 1: .156, 0: .116, 2001: .048, 1019: .0042 * 1.58} {
		if got := float64(codes[code]) / float64(n-b2c); got < share*.8 || got > share*1.2 {
			t.Errorf("code %d has a share of %.4f, want about %.4f", code, got, share)
		}
	}
	if b2c < n/12 || b2c > n/8 {
		t.Errorf("%d of %d are disbursements, want one in ten", b2c, n)
	}
	if twice < 60 || late < 50 || largest < 850 || largest > 1500 {
		t.Errorf("%d repeated, %d expired ones late, %d bytes the largest", twice, late, largest)
	}
}

// TestCall has an API that fails: the key is sent to no other server, and only what
// may be temporary is tried again.
func TestCall(t *testing.T) {
	var elsewhere, calls atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	statuses := map[string][]int{
		"/moved": {302}, "/refused": {401}, "/gone": {404}, "/busy": {429, 200}, "/dead": {500, 500, 500, 200},
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(statuses[r.URL.Path][calls.Add(1)-1])
	}))
	defer api.Close()
	for _, tt := range []struct {
		method, path string
		calls        int32
		fails        bool
	}{
		{"GET", "/moved", 1, true}, {"GET", "/refused", 1, true}, {"GET", "/gone", 1, true}, {"DELETE", "/gone", 1, false},
		{"GET", "/busy", 2, false}, {"GET", "/dead", 3, true},
	} {
		calls.Store(0)
		_, err := target{endpoint: api.URL, transport: appwrite.NewTransport()}.call(tt.method, tt.path)
		if (err != nil) != tt.fails || calls.Load() != tt.calls {
			t.Errorf("%s %s: %v after %d calls, want %d", tt.method, tt.path, err, calls.Load(), tt.calls)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("the key was taken elsewhere %d times", n)
	}
}

func TestPercentile(t *testing.T) {
	var values []time.Duration
	for i := range 1000 {
		values = append(values, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{50: 500, 90: 900, 99: 990, 99.9: 999, 100: 1000, 0: 1} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%v = %d, want %d", p, got, want)
		}
	}
	if got := percentile(values[:1], 50); got != 1 {
		t.Errorf("p50 of one = %d", got)
	}
	if got := percentile(nil, 99); got != 0 {
		t.Errorf("p99 of none = %d", got)
	}
}

// TestDriveCountsFromDue stalls the first of three callbacks: at a rate, the two that
// had to wait for it count as late too.
func TestDriveCountsFromDue(t *testing.T) {
	const stall = 300 * time.Millisecond
	var first sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		first.Do(func() { time.Sleep(stall) })
	}))
	defer server.Close()
	callbacks := make([]callback, 3)
	f := drive(context.Background(), io.Discard, server.URL, callbacks, 100, 1)
	if f.sent != 3 || f.replies["200"] != 3 || f.latencies[0] < stall-20*time.Millisecond || f.took < 20*time.Millisecond {
		t.Errorf("%+v: those that waited behind a stalled one were not late", f)
	}
}

// TestDriveEndsEarly is what Ctrl-C does: it counts what was sent until then.
func TestDriveEndsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var got atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got.Add(1) == 5 {
			cancel()
		}
	}))
	defer server.Close()
	f := drive(ctx, io.Discard, server.URL, make([]callback, 100000), 0, 2)
	if f.sent != int(got.Load()) || f.sent != f.replies["200"] || f.sent > 1000 {
		t.Errorf("%d were sent, %d arrived, after Ctrl-C at 5", f.sent, got.Load())
	}
}

// TestProgress: it shows how far it has come, both while it posts and while it looks
// for documents.
func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		run        func(progress io.Writer, url string)
	}{
		{"post", "1 of 2   0/s   0 not answered 200\n", func(progress io.Writer, url string) {
			drive(context.Background(), progress, url, make([]callback, 2), 0, 1)
		}},
		{"look", "50 of 51 transactions looked for\n", func(progress io.Writer, url string) {
			transactions := map[string]*transaction{}
			for i := range 51 {
				transactions[strconv.Itoa(i)] = &transaction{}
			}
			if _, err := (target{endpoint: url, transport: appwrite.NewTransport()}).verify(progress, expected{"checkoutRequestId": transactions}); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := make(firstLine, 1)
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "{}")
				if asked.Add(1) == 1 {
					return
				}
				select { // the second is answered once the line is there
				case line := <-told:
					if line != tt.want {
						t.Errorf("progress is %q, want %q", line, tt.want)
					}
				case <-time.After(30 * time.Second):
					t.Error("there is no progress after 30 s")
				}
			}))
			defer server.Close()
			tt.run(told, server.URL)
		})
	}
}

// firstLine is a writer that passes on the first line.
type firstLine chan string

func (f firstLine) Write(p []byte) (int, error) {
	select {
	case f <- string(p):
	default:
	}
	return len(p), nil
}
