// Local runs the function on this machine, beside a fake Appwrite and a fake
// Safaricom. It posts samples of what Safaricom sends, lets a user ask for payments,
// and shows what became of each. It needs nothing but Go; go run ./scripts/local -h
// says what it can do.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
)

const usage = `Usage:
  go run ./scripts/local [-once] [-auto] [-outage 10s] [-port 3000]
  go run ./scripts/local -trigger paid [-amount 1000] [-uid amina] [-id ID]
                         [-port 3000]

The first runs the function on this machine, beside a fake Appwrite and a fake
Safaricom, with a page in the browser on which people split a bill, and their
phones beside it. It posts samples of what Safaricom sends, lets a user ask for
payments, and shows what became of each. You answer the phones: p pays, c
cancels, and Enter ignores the prompt. It then stays up for requests of your
own, with the function's log, until Ctrl-C. While the page is open, what it
asks for is answered there.

  -once           stop after the samples and payments
  -auto           let the phones answer by themselves, as they do where this is
                  no terminal
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
                          commands, or for neither, and it is
                          only-on-this-machine
  DARAJA_ANONYMOUS_READ   "any" lets everybody read payments without a valid uid
`

// options are the command line.
type options struct {
	once, auto    bool
	outage        time.Duration
	port          int // the function's; 0 is any
	appwritePort  int // likewise
	safaricomPort int
	pagePort      int

	trigger string // the name of an event, or "" to serve
	amount  int64
	uid, id string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], terminal(os.Stdin), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// terminal returns the file if a person may be typing there, else nil.
func terminal(f *os.File) io.Reader {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// command does what the arguments say and returns the exit code: 2 where they are
// wrong. In is nil if nobody answers the phones.
func command(ctx context.Context, arguments []string, in io.Reader, out, errOut io.Writer) int {
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
		err = run(ctx, in, out, o)
	}
	if err != nil {
		fmt.Fprintln(errOut, "local:", err)
		return 1
	}
	return 0
}

// parseOptions reads the command line. It refuses what would otherwise be ignored.
func parseOptions(arguments []string) (options, error) {
	o := options{appwritePort: 4000, safaricomPort: 5000, pagePort: 8000}
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
		case "once", "auto", "outage":
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
	flags.BoolVar(&o.auto, "auto", false, "")
	flags.DurationVar(&o.outage, "outage", 0, "")
	flags.IntVar(&o.port, "port", 3000, "")
	flags.StringVar(&o.trigger, "trigger", "", "")
	flags.Int64Var(&o.amount, "amount", 1000, "")
	flags.StringVar(&o.uid, "uid", "amina", "")
	flags.StringVar(&o.id, "id", "", "")
	return flags
}

// run serves Appwrite, Safaricom and the function, shows the samples and the payments,
// and stays up until ctx ends.
func run(ctx context.Context, in io.Reader, out io.Writer, o options) error {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	m, err := startMachine(schema, o, os.Getenv)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprintf(out, "Page and phones    %s/%s\n", m.pageURL, instead(m.pageURL, o.pagePort))
	fmt.Fprintf(out, "Fake Appwrite      %s%s\n", m.AppwriteURL, instead(m.AppwriteURL, o.appwritePort))
	fmt.Fprintf(out, "Fake Safaricom     %s%s\n", m.safaricomURL, instead(m.safaricomURL, o.safaricomPort))
	fmt.Fprintf(out, "Function           %s%s\n\n", m.FunctionURL, instead(m.FunctionURL, o.port))

	go m.passTime(ctx)
	s := newStage(out, m)
	if in != nil && !o.auto {
		s.typed = readLines(in)
	}
	if o.outage > 0 {
		if err := s.showOutage(ctx, o.outage, time.After(o.outage)); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if err := s.showSamples(); err != nil {
		return err
	}
	if err := s.showPayments(ctx); err != nil || ctx.Err() != nil && !o.once {
		return err
	}
	if err := s.showPayouts(); err != nil || o.once || ctx.Err() != nil {
		return err
	}
	fmt.Fprintf(out, "\nTo post a callback of your own, in another terminal:\n%s", triggerCommand(m.Machine))
	fmt.Fprintf(out, "To ask for a payment as juma, with another id for each:\n%s", pushCommand(m.Machine, fakeappwrite.NewID()))
	fmt.Fprintf(out, "To look at the documents, with the function's API key:\n%s", lookCommand(m.Machine))
	fmt.Fprint(out, "Ctrl-C stops. What the function logs from here on:\n")
	s.log.follow()
	s.stayUp(ctx)
	return nil
}

// machine is the function with all that is around it.
type machine struct {
	*testbed.Machine
	safaricom    *fakesafaricom.Safaricom
	safaricomURL string
	site         *site
	pageURL      string
}

// Close ends all servers. Nothing is posted any more.
func (m *machine) Close() {
	m.safaricom.Close()
	m.Machine.Close()
}

// localSecret is the callback secret where the user sets none. Without one, what is not
// signed would be refused.
const localSecret = "only-on-this-machine"

// startMachine serves Appwrite, Safaricom and the function. Two of the function's
// settings are the user's to choose. The ids are not: the fake has the database and the
// collections that appwrite.json names. Nor are Safaricom's: payments are started at its
// fake.
func startMachine(schema []byte, o options, getenv func(string) string) (*machine, error) {
	var f *handler.Function
	bed, err := testbed.NewMachine(schema, func(ctx openruntimes.Context) openruntimes.Response { return f.Serve(ctx) }, o.appwritePort, o.port)
	if err != nil {
		return nil, err
	}
	m := &machine{Machine: bed, safaricom: newSafaricom()}
	if m.safaricomURL, err = m.Serve(o.safaricomPort, m.safaricom); err != nil {
		m.Close()
		return nil, err
	}
	environment, err := m.settings(getenv)
	if err != nil {
		m.Close()
		return nil, err
	}
	f = handler.New(func(name string) string { return environment[name] })
	f.UseClock(m.Clock.Now, func(d time.Duration) { time.Sleep(min(d, time.Second/2)) })
	if problems := f.Problems(); len(problems) > 0 {
		m.Close()
		return nil, errors.New(strings.Join(problems, "; "))
	}
	m.addUsers()
	m.site = newSite(m)
	if m.pageURL, err = m.Serve(o.pagePort, m.site.handler()); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// settings returns the function's variables, or an error that names one of the user's
// that would be ignored.
func (m *machine) settings(getenv func(string) string) (map[string]string, error) {
	environment := m.Environment()
	for _, name := range []string{"DARAJA_DATABASE_ID", "DARAJA_COLLECTION_ID", "DARAJA_B2C_COLLECTION_ID"} {
		if given := getenv(name); given != "" && given != environment[name] {
			return nil, fmt.Errorf("%s is %q, but here it is %q, as in appwrite.json: unset it", name, given, environment[name])
		}
	}
	for _, v := range handler.Variables() {
		if v.Starts() && getenv(v.Name) != "" {
			return nil, fmt.Errorf("%s is set, but here payments are started at a fake Safaricom: unset it", v.Name)
		}
	}
	environment[handler.CallbackSecret] = cmp.Or(getenv(handler.CallbackSecret), localSecret)
	environment["DARAJA_ANONYMOUS_READ"] = getenv("DARAJA_ANONYMOUS_READ")
	maps.Copy(environment, m.pushSettings())
	payouts, err := m.payoutSettings()
	maps.Copy(environment, payouts)
	return environment, err
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
	question string // that stands at the end of out, unanswered
}

// log receives the lines of one request.
func (j *journal) log(logs, errors string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.printing {
		j.kept += logs
		return
	}
	if j.question != "" {
		fmt.Fprintln(j.out)
		defer fmt.Fprint(j.out, j.question)
	}
	now := time.Now().Format("15:04:05")
	for _, stream := range []struct{ name, text string }{{"log  ", logs}, {"error", errors}} {
		for _, line := range strings.FieldsFunc(stream.text, func(c rune) bool { return c == '\n' }) {
			fmt.Fprintf(j.out, "%s %s  %s\n", now, stream.name, line)
		}
	}
}

// ask prints a question. Lines that come before its answer do not bury it.
func (j *journal) ask(question string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.question = question
	fmt.Fprint(j.out, question)
}

// answered ends a question.
func (j *journal) answered() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.question = ""
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
