// Load posts callbacks as Safaricom does, many at a time, and then looks whether
// each transaction has its document, once, saying what it should.
//
//	go run ./scripts/load                                against a stand-in of its own
//	go run ./scripts/load -n 100000 -at-a-time 8 -rate 500
//	go run ./scripts/load -url http://127.0.0.1:3000     against go run ./scripts/local
//
// Against a server that is not on this machine, it needs -i-own-this-server, and
// APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID and an APPWRITE_API_KEY with the scopes
// documents.read and documents.write, to look for the documents and to remove
// them; DARAJA_DATABASE_ID, DARAJA_COLLECTION_ID and DARAJA_B2C_COLLECTION_ID
// where they are not called daraja, payments and disbursements. Each callback is
// an execution of your plan. The user with the id load may read the documents, and
// some of them say SUCCESS while they stand: whatever your app or server does
// about a payment, it does about these.
//
// What went through the queue has copies there that come back an hour and a day
// later, and then store its document again. When a day has passed, run the command
// once more with the -remove that it prints at its beginning.
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

	handler "openruntimes/handler"
	"openruntimes/handler/scripts/standin"
)

// options are what the command line says.
type options struct {
	n       int     // callbacks
	rate    float64 // a second; 0 is as fast as they go
	atATime int
	seed    uint64
	url     string // of the function, with the callback secret; "" starts one
	owned   bool
	wait    time.Duration // for documents that are not there yet
	remove  int64         // the run whose documents to remove, instead of posting
}

func main() {
	var o options
	flag.IntVar(&o.n, "n", 5000, "how many callbacks to post")
	flag.Float64Var(&o.rate, "rate", 0, "how many to post a second; 0 is as fast as they go")
	flag.IntVar(&o.atATime, "at-a-time", 64, "how many to post at once")
	flag.Uint64Var(&o.seed, "seed", 1, "what the traffic is drawn from")
	flag.StringVar(&o.url, "url", "", "the function's URL, with /SECRET if it has one; without, one is started beside a stand-in for Appwrite")
	flag.BoolVar(&o.owned, "i-own-this-server", false, "post to a server that is not on this machine")
	flag.DurationVar(&o.wait, "wait", 5*time.Minute, "how long to wait for documents that went through the queue (with -url)")
	flag.Int64Var(&o.remove, "remove", 0, "remove what is there of the run with this number, and post nothing")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	if err := run(ctx, os.Stdout, os.Stderr, o, handler.Main, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run posts, prints the figures and returns an error if a document is missing, or
// not as it should be. main is the function to start where o names none.
func run(ctx context.Context, out, progress io.Writer, o options, main func(openruntimes.Context) openruntimes.Response, getenv func(string) string) error {
	if o.n < 1 || o.atATime < 1 || o.rate < 0 {
		return errors.New("-n and -at-a-time must be 1 or more, -rate 0 or more")
	}
	if o.remove != 0 && o.url == "" {
		return errors.New("-remove needs the -url of the run")
	}
	t := newTarget(o.url, getenv)
	pass := func() { time.Sleep(min(o.wait, 5*time.Second)) } // what is queued comes back in minutes
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
		fmt.Fprintf(out, "To remove, tomorrow, what the queue brings back: the same command with -n %d -seed %d -remove %d\n", o.n, o.seed, begin.Unix())
		if err := t.probe(ctx, probes, o.wait, pass); err != nil {
			return fmt.Errorf("one payment and one disbursement, before all others: %w", err)
		}
	}
	fmt.Fprintf(out, "%s callbacks, %d at a time, to %s\n", thousands(o.n), o.atATime, masked(t.function))
	f := drive(ctx, progress, t.function, callbacks, o.rate, o.atATime)
	f.print(out)
	v, err := t.await(ctx, progress, newWanted(callbacks[:f.sent], f.accepted), o.wait, pass)
	if err == nil {
		v.print(out)
		err = errors.Join(v.err(), f.err())
	}
	if o.url != "" {
		err = errors.Join(err, t.clear(out, progress, everything))
	}
	return err
}

// await verifies until all is there or the time is over. pass lets the queue's time
// go by.
func (t target) await(ctx context.Context, progress io.Writer, w wanted, wait time.Duration, pass func()) (found, error) {
	v, err := t.verify(progress, w)
	for began := time.Now(); err == nil && v.lost+v.wrong > 0 && time.Since(began) < wait && ctx.Err() == nil; {
		pass()
		v, err = t.verify(progress, w)
	}
	return v, err
}

// probe posts one payment and one disbursement, finds and removes them: what cannot
// be found or removed is known before there are thousands.
func (t target) probe(ctx context.Context, probes []callback, wait time.Duration, pass func()) error {
	f := drive(ctx, io.Discard, t.function, probes, 0, 1)
	v, err := t.await(ctx, io.Discard, newWanted(probes[:f.sent], f.accepted), wait, pass)
	if err != nil {
		return err
	}
	_, err = t.remove(v.documents)
	return errors.Join(f.err(), v.err(), err)
}

// clear removes what is there of a run.
func (t target) clear(out, progress io.Writer, callbacks []callback) error {
	v, err := t.verify(progress, newWanted(callbacks, make([]bool, len(callbacks))))
	if err != nil {
		return fmt.Errorf("documents of this run are left: %w", err)
	}
	removed, err := t.remove(v.documents)
	fmt.Fprintf(out, "Removed      %s documents\n", thousands(removed))
	if err != nil {
		return fmt.Errorf("documents of this run are left: %w", err)
	}
	return nil
}

// newTarget reads where the function's Appwrite is. What is not said is that of
// scripts/local.
func newTarget(function string, getenv func(string) string) target {
	get := func(name, local string) string { return strings.TrimSuffix(cmp.Or(getenv(name), local), "/") }
	return target{
		function: strings.TrimSuffix(function, "/"),
		endpoint: get("APPWRITE_ENDPOINT", "http://127.0.0.1:4000/v1"),
		project:  get("APPWRITE_PROJECT_ID", standin.ProjectID),
		key:      get("APPWRITE_API_KEY", standin.FunctionKey),
		database: get("DARAJA_DATABASE_ID", "daraja"),
		collections: map[string]string{
			"checkoutRequestId":        get("DARAJA_COLLECTION_ID", "payments"),
			"originatorConversationId": get("DARAJA_B2C_COLLECTION_ID", "disbursements"),
		},
	}
}

// startMachine serves the function and a stand-in for Appwrite on loopback.
func startMachine(main func(openruntimes.Context) openruntimes.Response) (*standin.Machine, error) {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return nil, fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	m, err := standin.NewMachine(schema, main, 0, 0)
	if err != nil {
		return nil, err
	}
	for name, value := range m.Environment() {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// mayPost returns an error unless the address is this machine's own, or the
// server said to be one's own. This is a tool to break things with.
func mayPost(address string, owned bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is no URL", address)
	}
	if ip := net.ParseIP(u.Hostname()); owned || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s (of -url or APPWRITE_ENDPOINT) is not this machine: say -i-own-this-server if you may load it, and read go doc ./scripts/load first", u.Host)
}

// masked is the URL without its path, which may be the callback secret.
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
