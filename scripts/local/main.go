// Local runs the function beside a fake Appwrite on this machine, posts
// samples of what Safaricom sends, and shows what became of each. It needs nothing
// but Go; go run ./scripts/local -h says what it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

const usage = `Usage:
  go run ./scripts/local [-once] [-outage 10s] [-port 3000]
  go run ./scripts/local -trigger paid [-amount 1000] [-uid amina] [-id ID]
                         [-port 3000]

The first runs the function and a fake Appwrite on this machine, posts
samples of what Safaricom sends, and shows what became of each. It then stays up
for requests of your own, with the function's log, until Ctrl-C.

  -once           stop after the samples
  -outage 10s     first let the database fail for this long
  -port 3000      the function's port, or the next one that is free

The second posts one callback to the function that the first keeps running in
another terminal.

  -trigger paid   paid, cancelled, failed or timeout: a payment (STK Push)
                  b2c-paid, b2c-failed or b2c-timeout: a disbursement (B2C)
  -amount 1000    in whole shillings
  -uid amina      the user who may read the document
  -id ID          post about this transaction again; the default is a new one
  -port 3000      where the function is

Environment variables:

  DARAJA_CALLBACK_SECRET  the path segment that callbacks need; set it for both
                          commands, or for neither
  DARAJA_ANONYMOUS_READ   "any" lets everybody read payments without a valid uid
`

// options are the command line.
type options struct {
	once         bool
	outage       time.Duration
	port         int // the function's; 0 is any
	appwritePort int // likewise

	trigger string // the name of an event, or "" to serve
	amount  int64
	uid, id string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
		fmt.Fprintf(errOut, "local: %v\n\n%s", err, usage)
		return 2
	case o.trigger != "":
		err = o.post(out)
	default:
		err = run(ctx, out, o)
	}
	if err != nil {
		fmt.Fprintln(errOut, "local:", err)
		return 1
	}
	return 0
}

// parseOptions reads the command line. It refuses what would otherwise be ignored.
func parseOptions(arguments []string) (options, error) {
	o := options{appwritePort: 4000}
	flags := o.flags()
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if _, known := events[o.trigger]; !known && o.trigger != "" {
		return options{}, fmt.Errorf("-trigger %s is not known", o.trigger)
	}
	if o.outage < 0 {
		return options{}, errors.New("-outage must not be negative")
	}
	if o.amount < 1 {
		return options{}, errors.New("-amount must be 1 or more")
	}
	var misplaced error
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "once", "outage":
			if o.trigger != "" {
				misplaced = fmt.Errorf("-%s does not go with -trigger", f.Name)
			}
		case "amount", "uid", "id":
			if o.trigger == "" {
				misplaced = fmt.Errorf("-%s needs -trigger", f.Name)
			}
		}
	})
	return o, misplaced
}

// flags describes the command line. The text for people is in usage.
func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.once, "once", false, "")
	flags.DurationVar(&o.outage, "outage", 0, "")
	flags.IntVar(&o.port, "port", 3000, "")
	flags.StringVar(&o.trigger, "trigger", "", "")
	flags.Int64Var(&o.amount, "amount", 1000, "")
	flags.StringVar(&o.uid, "uid", "amina", "")
	flags.StringVar(&o.id, "id", "", "")
	return flags
}

// run serves Appwrite and the function, shows the samples, and stays up until ctx
// ends.
func run(ctx context.Context, out io.Writer, o options) error {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	m, err := startMachine(schema, o.appwritePort, o.port, os.Getenv)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprintf(out, "Fake Appwrite      %s%s\n", m.AppwriteURL, instead(m.AppwriteURL, o.appwritePort))
	fmt.Fprintf(out, "Function           %s%s\n\n", m.FunctionURL, instead(m.FunctionURL, o.port))

	s := newStage(out, m)
	if o.outage > 0 {
		if err := s.showOutage(ctx, o.outage, time.After(o.outage)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if err := s.showSamples(); err != nil || o.once {
		return err
	}
	fmt.Fprintf(out, "\nTo post a callback of your own, in another terminal:\n%s", triggerCommand(m))
	fmt.Fprintf(out, "To look at the documents, with the function's API key:\n%s", lookCommand(m))
	fmt.Fprint(out, "Ctrl-C stops. What the function logs from here on:\n")
	s.log.follow()
	<-ctx.Done()
	return nil
}

// startMachine serves Appwrite and the function. Two of the function's settings are the
// user's to choose. The ids are not: the fake has the database and the collections
// that appwrite.json names.
func startMachine(schema []byte, appwritePort, port int, getenv func(string) string) (*testbed.Machine, error) {
	var f *handler.Function
	m, err := testbed.NewMachine(schema, func(ctx openruntimes.Context) openruntimes.Response { return f.Serve(ctx) }, appwritePort, port)
	if err != nil {
		return nil, err
	}
	environment := m.Environment()
	for _, name := range []string{"DARAJA_DATABASE_ID", "DARAJA_COLLECTION_ID", "DARAJA_B2C_COLLECTION_ID"} {
		if given := getenv(name); given != "" && given != environment[name] {
			m.Close()
			return nil, fmt.Errorf("%s is %q, but here it is %q, as in appwrite.json: unset it", name, given, environment[name])
		}
	}
	for _, name := range []string{handler.CallbackSecret, "DARAJA_ANONYMOUS_READ"} {
		environment[name] = getenv(name)
	}
	f = handler.New(func(name string) string { return environment[name] })
	if problems := f.Problems(); len(problems) > 0 {
		m.Close()
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return m, nil
}

// instead says so if the address has another port than the one that was asked for.
func instead(address string, port int) string {
	if port == 0 || strings.Contains(address+"/", fmt.Sprintf(":%d/", port)) {
		return ""
	}
	return fmt.Sprintf("  (port %d is not free)", port)
}

// triggerCommand returns the command that posts to this function from another
// terminal.
func triggerCommand(m *testbed.Machine) string {
	command := "  go run ./scripts/local -trigger paid -amount 250 -uid me"
	if port := m.FunctionURL[strings.LastIndexByte(m.FunctionURL, ':')+1:]; port != "3000" {
		command += " -port " + port
	}
	if os.Getenv("DARAJA_CALLBACK_SECRET") != "" {
		command += "\n  (it needs the same DARAJA_CALLBACK_SECRET)"
	}
	return command + "\n"
}

// lookCommand returns the command that lists the payments.
func lookCommand(m *testbed.Machine) string {
	return fmt.Sprintf(`  curl -H "X-Appwrite-Project: %s" \
    -H "X-Appwrite-Key: %s" \
    %s/databases/daraja/collections/payments/documents
`, fakeappwrite.ProjectID, testbed.FunctionKey, m.AppwriteURL)
}

// A journal receives the function's log. It prints it, or holds it until it is taken.
type journal struct {
	mu       sync.Mutex
	out      io.Writer
	printing bool
	kept     string
}

// log receives the lines of one request.
func (j *journal) log(logs, errors string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.printing {
		j.kept += logs
		return
	}
	now := time.Now().Format("15:04:05")
	for _, stream := range []struct{ name, text string }{{"log  ", logs}, {"error", errors}} {
		for _, line := range strings.FieldsFunc(stream.text, func(c rune) bool { return c == '\n' }) {
			fmt.Fprintf(j.out, "%s %s  %s\n", now, stream.name, line)
		}
	}
}

// follow prints the lines from now on.
func (j *journal) follow() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.printing = true
}

// hold stops printing. It forgets what was held before.
func (j *journal) hold() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.printing, j.kept = false, ""
}

// take returns what is held of the log, without the error log, and forgets it.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	kept := j.kept
	j.kept = ""
	return kept
}
