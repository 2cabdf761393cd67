// Load posts callbacks as Safaricom does, many at a time, and then checks that each
// transaction has one document that says what it should. go run ./scripts/load -h
// says how to use it, and what to know before it loads a server.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

const usage = `Usage:
  go run ./scripts/load [-n 5000] [-at-a-time 64] [-rate 0] [-seed 1]
  go run ./scripts/load -url URL [-i-own-this-server] [-wait 5m] [...]
  go run ./scripts/load -url URL [...] -remove NUMBER

Load posts callbacks as Safaricom does, many at a time. It then checks that each
transaction has one document, with the right status, code, receipt, amount and
reader. Without -url it starts the function and a fake Appwrite itself.

  -n 5000             how many callbacks to post
  -at-a-time 64       how many of them at once
  -rate 0             how many a second; 0 is as fast as possible
  -seed 1             the same seed draws the same payments
  -url URL            the function's address, with /SECRET if it has a secret
  -i-own-this-server  allow a server that is not on this machine
  -wait 5m            how long to wait for documents that were queued
  -remove NUMBER      post nothing, only remove the documents of an earlier run

With -url these say where the function stores. The defaults are what
go run ./scripts/local uses:

  APPWRITE_ENDPOINT         http://127.0.0.1:4000/v1
  APPWRITE_PROJECT_ID       fake
  APPWRITE_API_KEY          a key with documents.read and documents.write
  DARAJA_DATABASE_ID        daraja
  DARAJA_COLLECTION_ID      payments
  DARAJA_B2C_COLLECTION_ID  disbursements

Before you load a server of your own:
- Each callback is one execution of your plan.
- Some documents say SUCCESS until they are removed at the end. Whatever your
  app or shop does about a payment, it does about these. The user with the id
  "load" may read them.
- Of a callback that was queued, two more copies wait in the queue. Within a day
  they come back and store its document again. After that day, run the command
  with the -remove that it prints first.
`

// options are the command line.
type options struct {
	n       int     // callbacks
	rate    float64 // a second; 0 is as fast as possible
	atATime int
	seed    uint64
	url     string // the function's, with the callback secret; "" starts one
	owned   bool   // url need not be on this machine
	wait    time.Duration
	remove  int64 // the number of the run whose documents are to be removed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C stops it at once
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command does what the arguments say and returns the exit code: 2 where they are
// wrong.
func command(ctx context.Context, arguments []string, out, errOut io.Writer) int {
	o, err := parseOptions(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return 0
	case err != nil:
		fmt.Fprintf(errOut, "load: %v\n\n%s", err, usage)
		return 2
	}
	if err := run(ctx, out, errOut, o, asItIs, os.Getenv); err != nil {
		fmt.Fprintln(errOut, "load:", err)
		return 1
	}
	return 0
}

// parseOptions reads the command line. It refuses what would otherwise be ignored.
func parseOptions(arguments []string) (options, error) {
	var o options
	flags := o.flags()
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.n < 1 || o.atATime < 1 || o.rate < 0 {
		return options{}, errors.New("-n and -at-a-time must be 1 or more, -rate 0 or more")
	}
	var misplaced error
	flags.Visit(func(f *flag.Flag) {
		if (f.Name == "remove" || f.Name == "wait" || f.Name == "i-own-this-server") && o.url == "" {
			misplaced = fmt.Errorf("-%s needs -url", f.Name)
		}
	})
	return o, misplaced
}

// flags describes the command line. The text for people is in usage.
func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.n, "n", 5000, "")
	flags.Float64Var(&o.rate, "rate", 0, "")
	flags.IntVar(&o.atATime, "at-a-time", 64, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.url, "url", "", "")
	flags.BoolVar(&o.owned, "i-own-this-server", false, "")
	flags.DurationVar(&o.wait, "wait", 5*time.Minute, "")
	flags.Int64Var(&o.remove, "remove", 0, "")
	return flags
}

// run posts callbacks, prints figures, and returns an error if a document is missing
// or wrong. It starts main if o names no function.
func run(ctx context.Context, out, progress io.Writer, o options, main wrap, getenv func(string) string) error {
	t := newTarget(o.url, getenv)
	pass := func() { time.Sleep(min(o.wait, 5*time.Second)) } // the queue takes minutes
	if o.url == "" {
		m, err := startMachine(main)
		if err != nil {
			return err
		}
		defer m.Close()
		t = newTarget(m.FunctionURL, func(name string) string { return map[string]string{"APPWRITE_ENDPOINT": m.AppwriteURL}[name] })
		pass = func() { m.RunUntil(m.Clock.Now().Add(24 * time.Hour)) }
		o.wait = 100 * time.Millisecond
	}
	for _, address := range []string{t.function, t.endpoint} {
		if err := mayPost(address, o.owned); err != nil {
			return err
		}
	}

	begin := time.Now().Truncate(time.Second)
	if o.remove != 0 {
		begin = time.Unix(o.remove, 0)
	}
	drawn := traffic{Rand: rand.New(rand.NewPCG(o.seed, 0)), begin: begin.In(time.FixedZone("EAT", 3*60*60))}
	probes, callbacks := drawn.probes(), drawn.draw(o.n)
	everything := slices.Concat(probes, callbacks)
	if o.remove != 0 {
		return t.clear(out, progress, everything)
	}
	if o.url != "" {
		fmt.Fprintf(out, "To remove what is queued and comes back, in a day: this command with\n  -n %d -seed %d -remove %d\n", o.n, o.seed, begin.Unix())
		fmt.Fprintf(out, "Documents are looked for in %s.\n", t.place())
		if err := t.probe(ctx, probes, o.wait, pass); err != nil {
			return fmt.Errorf("one payment and one disbursement, before all others: %w", err)
		}
	}
	fmt.Fprintf(out, "%s callbacks, %d at a time, to %s\n", thousands(o.n), o.atATime, masked(t.function))
	f := drive(ctx, progress, t.function, callbacks, o.rate, o.atATime)
	f.print(out)
	r, err := t.await(ctx, progress, newExpected(callbacks[:f.sent], f.accepted), o.wait, pass)
	if err == nil {
		r.print(out)
		err = errors.Join(t.judge(r), f.err())
	}
	if o.url != "" {
		err = errors.Join(err, t.clear(out, progress, everything))
	}
	return err
}

// await verifies again and again, until every accepted callback has the right
// document or the time is over. pass lets the queue's time go by.
func (t target) await(ctx context.Context, progress io.Writer, e expected, wait time.Duration, pass func()) (report, error) {
	r, err := t.verify(progress, e)
	for began := time.Now(); err == nil && r.lost+r.wrong > 0 && time.Since(began) < wait && ctx.Err() == nil; {
		pass()
		r, err = t.verify(progress, e)
	}
	return r, err
}

// probe posts one payment and one disbursement, and finds and removes them, before
// thousands are posted that could not be found. If both are accepted and neither is
// there, the function stores elsewhere, or it only queues, and it makes no sense to
// wait for the queue.
func (t target) probe(ctx context.Context, probes []callback, wait time.Duration, pass func()) error {
	f := drive(ctx, io.Discard, t.function, probes, 0, 1)
	e := newExpected(probes[:f.sent], f.accepted)
	r, err := t.verify(io.Discard, e)
	if err != nil {
		return err
	}
	if r.lost == len(probes) {
		return fmt.Errorf(`both were accepted,
and neither is in %s.
Either the function stores elsewhere: set APPWRITE_ENDPOINT and the others that -h lists.
Or it could not store them and queued them: its error log says why`, t.place())
	}
	if r, err = t.await(ctx, io.Discard, e, wait, pass); err != nil {
		return err
	}
	_, err = t.remove(r.documents)
	return errors.Join(f.err(), t.judge(r), err)
}

// judge returns an error that says where the documents should be, unless they are
// all there and right.
func (t target) judge(r report) error {
	if err := r.err(); err != nil {
		return fmt.Errorf("%w (in %s)", err, t.place())
	}
	return nil
}

// clear removes the documents of a run.
func (t target) clear(out, progress io.Writer, callbacks []callback) error {
	r, err := t.verify(progress, newExpected(callbacks, make([]bool, len(callbacks))))
	if err != nil {
		return fmt.Errorf("documents of this run are left: %w", err)
	}
	removed, err := t.remove(r.documents)
	fmt.Fprintf(out, "Removed      %s documents\n", thousands(removed))
	if err != nil {
		return fmt.Errorf("documents of this run are left: %w", err)
	}
	return nil
}

// newTarget reads where the function's Appwrite is. The defaults are those of
// scripts/local.
func newTarget(function string, getenv func(string) string) target {
	get := func(name, local string) string { return strings.TrimSuffix(cmp.Or(getenv(name), local), "/") }
	return target{
		function: strings.TrimSuffix(function, "/"),
		endpoint: get("APPWRITE_ENDPOINT", "http://127.0.0.1:4000/v1"),
		project:  get("APPWRITE_PROJECT_ID", fakeappwrite.ProjectID),
		key:      get("APPWRITE_API_KEY", testbed.FunctionKey),
		database: get("DARAJA_DATABASE_ID", "daraja"),
		collections: map[string]string{
			"checkoutRequestId":        get("DARAJA_COLLECTION_ID", "payments"),
			"originatorConversationId": get("DARAJA_B2C_COLLECTION_ID", "disbursements"),
		},
		transport: appwrite.NewTransport(),
	}
}

// place says where the documents are looked for.
func (t target) place() string {
	return fmt.Sprintf("project %s at %s, database %s", t.project, t.endpoint, t.database)
}

// serve is the function's own signature.
type serve func(openruntimes.Context) openruntimes.Response

// wrap returns what serves in the function's place, given the function and its
// settings. Tests have functions that misbehave.
type wrap func(f serve, getenv func(string) string) serve

func asItIs(f serve, _ func(string) string) serve { return f }

// startMachine serves the function and a fake Appwrite on loopback.
func startMachine(wrapped wrap) (*testbed.Machine, error) {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return nil, fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	var main serve
	m, err := testbed.NewMachine(schema, func(ctx openruntimes.Context) openruntimes.Response { return main(ctx) }, 0, 0)
	if err != nil {
		return nil, err
	}
	environment := m.Environment()
	getenv := func(name string) string { return environment[name] }
	main = wrapped(handler.New(getenv).Serve, getenv)
	return m, nil
}

// mayPost returns an error unless the address is on this machine, or the user says
// that the server is theirs. This is a tool that can break a server.
func mayPost(address string, owned bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not a URL", address)
	}
	if ip := net.ParseIP(u.Hostname()); owned || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s (in -url or APPWRITE_ENDPOINT) is not this machine: read go run ./scripts/load -h, and say -i-own-this-server if you may load it", u.Host)
}

// masked returns the URL without its path, which may be the callback secret.
func masked(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Scheme + "://" + u.Host
}

// thousands writes 5000 as 5,000.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
