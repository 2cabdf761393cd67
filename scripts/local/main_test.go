package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// setenv sets variables for one test, and clears the others that the command reads
// or sets.
func setenv(t *testing.T, values map[string]string) {
	t.Helper()
	for name := range (&testbed.Machine{}).Environment() {
		t.Setenv(name, values[name])
	}
}

// runCommand returns what the command prints and its exit code. It does not stay up.
func runCommand(arguments ...string) (out, errOut string, code int) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var stdout, stderr strings.Builder
	code = command(ctx, arguments, &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// newTestStage serves the function and its Appwrite on ports of their own.
func newTestStage(t *testing.T, out io.Writer) *stage {
	t.Helper()
	setenv(t, nil)
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := startMachine(schema, 0, 0, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return newStage(out, m)
}

// A page collects what the command prints while it runs.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// await returns the submatches of the pattern once the page has it.
func (p *page) await(t *testing.T, pattern string) []string {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(5 * time.Millisecond) {
		if match := regexp.MustCompile(pattern).FindStringSubmatch(p.String()); match != nil {
			return match
		}
	}
	t.Fatalf("nothing matches %s in\n%s", pattern, p)
	return nil
}

func TestHelp(t *testing.T) {
	for _, argument := range []string{"-h", "-help", "--help"} {
		out, errOut, code := runCommand(argument)
		if code != 0 {
			t.Errorf("%s: exit code %d, want 0", argument, code)
		}
		if out != usage {
			t.Errorf("%s prints %q", argument, out)
		}
		if errOut != "" {
			t.Errorf("%s prints %q to standard error", argument, errOut)
		}
	}
	(&options{}).flags().VisitAll(func(f *flag.Flag) {
		if !strings.Contains(usage, "\n  -"+f.Name+" ") {
			t.Errorf("the usage does not describe -%s", f.Name)
		}
	})
	for name := range events {
		if !regexp.MustCompile(`[ ,]` + name + `\b`).MatchString(usage) {
			t.Errorf("the usage does not name %s", name)
		}
	}
	checkWidth(t, usage)
}

// checkWidth holds lines to a terminal's 80 columns.
func checkWidth(t *testing.T, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns, want 80 at most: %s", n, line)
		}
	}
}

// TestArguments: what would otherwise be ignored is refused.
func TestArguments(t *testing.T) {
	for _, tt := range []struct{ arguments, want string }{
		{"stk/paid", `unknown argument "stk/paid"`},
		{"-once stk/paid", `unknown argument "stk/paid"`},
		{"-nonsense", "flag provided but not defined: -nonsense"},
		{"-outage -5s", "-outage must not be negative"},
		{"-outage 5", `invalid value "5" for flag -outage`},
		{"-trigger nonsense", "-trigger nonsense is not known"},
		{"-trigger paid -amount 0", "-amount must be 1 or more"},
		{"-trigger paid -once", "-once does not go with -trigger"},
		{"-trigger paid -outage 1s", "-outage does not go with -trigger"},
		{"-amount 250", "-amount needs -trigger"},
		{"-uid me", "-uid needs -trigger"},
		{"-id x", "-id needs -trigger"},
	} {
		t.Run(tt.arguments, func(t *testing.T) {
			out, errOut, code := runCommand(strings.Fields(tt.arguments)...)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.HasPrefix(errOut, "local: "+tt.want) {
				t.Errorf("it prints %q, want %q first", errOut, tt.want)
			}
			if !strings.HasSuffix(errOut, "\n\n"+usage) {
				t.Errorf("there is no usage in %q", errOut)
			}
			if out != "" {
				t.Errorf("it prints %q to standard output", out)
			}
		})
	}
}

// TestVariables: a variable is honoured or refused, never ignored.
func TestVariables(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"DARAJA_DATABASE_ID", "other", `DARAJA_DATABASE_ID is "other", but here it is "daraja"`},
		{"DARAJA_COLLECTION_ID", "other", `DARAJA_COLLECTION_ID is "other", but here it is "payments"`},
		{"DARAJA_B2C_COLLECTION_ID", "other", `DARAJA_B2C_COLLECTION_ID is "other", but here it is "disbursements"`},
		{"DARAJA_CALLBACK_SECRET", "short", "DARAJA_CALLBACK_SECRET is not 16 to 64 of"},
		{"DARAJA_ANONYMOUS_READ", "yes", "DARAJA_ANONYMOUS_READ is neither"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, map[string]string{tt.name: tt.value})
			out, errOut, code := runCommand("-once", "-port", "0")
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(errOut, tt.want) {
				t.Errorf("it prints %q, want %q", errOut, tt.want)
			}
			if out != "" {
				t.Errorf("it begins all the same:\n%s", out)
			}
		})
	}
	t.Run("the ids of appwrite.json", func(t *testing.T) {
		setenv(t, map[string]string{"DARAJA_DATABASE_ID": "daraja", "DARAJA_COLLECTION_ID": "payments"})
		if _, errOut, code := runCommand("-once", "-port", "0"); code != 0 {
			t.Errorf("exit code %d: %s", code, errOut)
		}
	})
	t.Run("another folder", func(t *testing.T) {
		home, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chdir(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		defer os.Chdir(home)
		if _, errOut, code := runCommand("-once"); code != 1 || !strings.Contains(errOut, "run it in the project's own folder") {
			t.Errorf("exit code %d: %s", code, errOut)
		}
	})
}

// TestSamples checks the table that a person sees first.
func TestSamples(t *testing.T) {
	setenv(t, nil)
	// A port that is taken is stepped over and named.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	printed, errOut, code := runCommand("-once", "-port", strconv.Itoa(port))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if want := fmt.Sprintf("  (port %d is not free)\n", port); !strings.Contains(printed, want) {
		t.Errorf("it does not say %q:\n%s", want, printed)
	}
	checkWidth(t, printed)
	for _, name := range append([]string{"POSTED"}, samples...) {
		if n := strings.Count(printed, "\n"+name+" "); n != 1 {
			t.Errorf("%d lines for %s, want one", n, name)
		}
	}
	for _, line := range []string{
		"POSTED                   HTTP  OUTCOME    STATUS     RECEIPT     AMOUNT  READER",
		"stk/paid                 200   created    SUCCESS    UKN4T8W2QD   1,000  amina",
		"stk/paid-again           200   duplicate  SUCCESS    UKN4T8W2QD   1,000  amina",
		"stk/paid-id-37           200   created    SUCCESS    UGU3WZ30Z6       5  amina",
		"stk/fail-2001-then-1019  200   conflict   FAILED     -                -  amina",
		"b2c/type-1               200   not-final  -          -                -  -",
		"timeout/envelope         200   created    TIMEOUT    -                -  amina",
		"b2c/paid                 200   replaced   SUCCESS    UKN8D3R6YM     500  amina",
		"stk/no-id                400   Body.stkCallback.CheckoutRequestID: missing",
	} {
		if !strings.Contains(printed, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, printed)
		}
	}
	// The second payment under one id: its own receipt, and nobody's to read.
	if !regexp.MustCompile(`(?m)^stk/collision-paid-b +200 +\S+ +SUCCESS +UBR1U6DHBA +500  nobody$`).MatchString(printed) {
		t.Errorf("the second payment is not shown as it is:\n%s", printed)
	}
	if regexp.MustCompile(`7000000\d\d`).MatchString(printed) {
		t.Errorf("a payer's number is shown:\n%s", printed)
	}
}

// TestSampleQueued has a sample that is queued instead of stored, as on a machine
// that is too slow.
func TestSampleQueued(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "create", Times: 1, Reply: fakeappwrite.Status(404, "collection_not_found", "")})
	if err := s.showSamples(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"stk/paid                 200   queued     -          -                -  -",
		"stk/paid-again           200   created    SUCCESS    UKN4T8W2QD   1,000  amina",
	} {
		if !strings.Contains(out.String(), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

// TestStayUp does what the command suggests while it stays up.
func TestStayUp(t *testing.T) {
	for _, secret := range []string{"", "0123456789abcdef,fedcba9876543210"} {
		t.Run("secret="+secret, func(t *testing.T) {
			setenv(t, map[string]string{"DARAJA_CALLBACK_SECRET": secret})
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			var out page
			ended := make(chan int, 1)
			go func() { ended <- command(ctx, []string{"-port", "0"}, &out, &out) }()

			suggested := out.await(t, `(?m)^  go run ./scripts/local (-trigger paid -amount 250 -uid me -port (\d+))$`)
			look := out.await(t, `curl -H "(\S+): (\S+)" \\\n    -H "(\S+): (\S+)" \\\n    (http\S+)\n`)
			out.await(t, `Ctrl-C stops`)
			checkWidth(t, out.String())
			if strings.Contains(out.String(), "same DARAJA_CALLBACK_SECRET") != (secret != "") {
				t.Errorf("with the secret %q it says\n%s", secret, out.String())
			}
			if strings.Contains(out.String(), "\nstk/paid                 404") {
				t.Errorf("the samples do not know the secret %q:\n%s", secret, out.String())
			}

			printed, errOut, code := runCommand(strings.Fields(suggested[1])...)
			if code != 0 {
				t.Fatalf("%s ends with %d: %s", suggested[1], code, errOut)
			}
			match := regexp.MustCompile(`"CheckoutRequestID": "(\S+)"`).FindStringSubmatch(printed)
			if match == nil || !strings.HasSuffix(printed, "\n200 {\"ResultCode\":0,\"ResultDesc\":\"Accepted\"}\n") {
				t.Fatalf("it prints\n%s", printed)
			}
			id := match[1]
			out.await(t, `(?m)^\d\d:\d\d:\d\d log    route=callback id=`+id[:len(id)-9]+`\*{9} status=SUCCESS outcome=created `)

			req, err := http.NewRequest(http.MethodGet, look[5], nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(look[1], look[2])
			req.Header.Set(look[3], look[4])
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			documents, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{`"$id":"` + id + `"`, `"amount":250`, `read(\"user:me\")`} {
				if !strings.Contains(string(documents), want) {
					t.Errorf("no %s in what the suggested curl returns: %s", want, documents)
				}
			}

			// The same transaction again.
			if _, errOut, code := runCommand("-trigger", "failed", "-id", id, "-port", suggested[2]); code != 0 {
				t.Fatalf("-id %s ends with %d: %s", id, code, errOut)
			}
			out.await(t, `(?m)^\d\d:\d\d:\d\d error  conflict route=callback id=`+id[:len(id)-9])

			stop()
			if code := <-ended; code != 0 {
				t.Errorf("after Ctrl-C it ends with %d", code)
			}
		})
	}
}

// TestOutage: what is posted during an outage, a user's own callback too, comes
// back out of the queue.
func TestOutage(t *testing.T) {
	var out page
	s := newTestStage(t, &out)
	over := make(chan time.Time)
	ended := make(chan error, 1)
	go func() { ended <- s.showOutage(context.Background(), time.Minute, over) }()
	port := out.await(t, `-trigger paid .* -port (\d+)\n`)[1]
	if _, errOut, code := runCommand("-trigger", "paid", "-amount", "250", "-uid", "me", "-port", port); code != 0 {
		t.Fatalf("during the outage -trigger ends with %d: %s", code, errOut)
	}
	out.await(t, `(?m)^\d\d:\d\d:\d\d log    route=callback .* outcome=queued `)
	select {
	case err := <-ended:
		t.Fatalf("it ended before the outage was over: %v", err)
	case over <- time.Now():
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	printed := out.String()
	for _, pattern := range []string{
		`(?m)^stk/paid-2541            200   \d+ \w{3} \d\d:\d\d, (\d+ \w{3} )?\d\d:\d\d, (\d+ \w{3} )?\d\d:\d\d$`,
		`(?m)^stk/no-id                400   Body.stkCallback.CheckoutRequestID: missing$`,
		`(?m)^The database is back. The fake's clock is moved on to \d+ \w{3} \d\d:\d\d,$`,
		`(?m)^payments +SUCCESS    UCU1VRL1BC      50  amina$`,
		`(?m)^payments +CANCELLED  -                -  amina$`,
		`(?m)^payments +SUCCESS    TRY\w{7}     250  me$`,
		`(?m)^disbursements +SUCCESS    UD87VIEBE1   3,200  amina$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(printed) {
			t.Errorf("nothing matches %s in\n%s", pattern, printed)
		}
	}
	if n := strings.Count(printed, "\npayments "); n != 3 {
		t.Errorf("%d payments, want 3:\n%s", n, printed)
	}

	// What is posted afterwards does not meet the outage's documents.
	if err := s.showSamples(); err != nil {
		t.Fatal(err)
	}
	if after := out.String()[len(printed):]; strings.Count(after, " duplicate ") != 1 {
		t.Errorf("after the outage more than stk/paid-again is a duplicate:\n%s", after)
	}
}

// TestOutageStopped: Ctrl-C does not wait for the outage's end.
func TestOutageStopped(t *testing.T) {
	setenv(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	var out page
	ended := make(chan int, 1)
	go func() { ended <- command(ctx, []string{"-port", "0", "-outage", "1h"}, &out, &out) }()
	out.await(t, `-trigger paid`)
	stop()
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("it ends with %d:\n%s", code, out.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
}

// TestComesBack names each day once.
func TestComesBack(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 5, 0, 0, time.Local) }
	waiting := []fakeappwrite.Execution{
		{Body: "a", ScheduledAt: at(23, 22)}, {Body: "b", ScheduledAt: at(23, 22)},
		{Body: "a", ScheduledAt: at(23, 23)}, {Body: "a", ScheduledAt: at(24, 22)},
	}
	if got, want := comesBack(waiting, "a"), "23 Nov 22:05, 23:05, 24 Nov 22:05"; got != want {
		t.Errorf("comesBack = %q, want %q", got, want)
	}
}

// TestFirstCopies has callbacks of which one came later than the others.
func TestFirstCopies(t *testing.T) {
	var waiting []fakeappwrite.Execution // in the order in which they are due
	for _, minute := range []int{2, 2, 3, 62, 62, 63, 1442, 1442, 1443} {
		waiting = append(waiting, fakeappwrite.Execution{ScheduledAt: time.Unix(0, 0).Add(time.Duration(minute) * time.Minute)})
	}
	for callbacks, want := range map[int]int{1: 2, 3: 3} {
		var due []fakeappwrite.Execution
		for copies := range 3 {
			due = append(due, waiting[3*copies:3*copies+callbacks]...)
		}
		if got := firstCopies(due); !got.Equal(time.Unix(0, 0).Add(time.Duration(want) * time.Minute)) {
			t.Errorf("of %d callbacks the first copies have come back at %v, want minute %d", callbacks, got.Sub(time.Unix(0, 0)), want)
		}
	}
}

// TestReader has the readers that the samples do not have.
func TestReader(t *testing.T) {
	for permission, want := range map[string]string{`read("any")`: "anyone", `read("user:u-1")`: "u-1"} {
		if got := reader([]string{permission}); got != want {
			t.Errorf("reader(%s) = %q, want %q", permission, got, want)
		}
	}
}

func TestInstead(t *testing.T) {
	for _, tt := range []struct {
		address string
		port    int
		want    string
	}{
		{"http://127.0.0.1:4000/v1", 4000, ""},
		{"http://127.0.0.1:3000", 3000, ""},
		{"http://127.0.0.1:4001/v1", 4000, "  (port 4000 is not free)"},
		{"http://127.0.0.1:4000/v1", 400, "  (port 400 is not free)"},
		{"http://127.0.0.1:41234", 0, ""},
	} {
		if got := instead(tt.address, tt.port); got != tt.want {
			t.Errorf("instead(%s, %d) = %q, want %q", tt.address, tt.port, got, tt.want)
		}
	}
}
