// Pay asks a deployed function for one payment, as a signed-in user of the project, and
// shows live what becomes of it. Its -h says how.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"openruntimes/handler/client"
	"openruntimes/handler/parse"
)

const usage = `Usage:
  go run ./scripts/pay [-lang sw] [-reference TEXT] [-again] PHONE AMOUNT
  go run ./scripts/pay [-lang sw] -resume [ID]

The first asks the function for a payment, and shows what becomes of it: in one
line if this is a terminal, else in one line for each change. Ctrl-C leaves the
payment as it is, and says how to go on with it; a second one ends the program
at once.

  PHONE            the payer's, such as 0712345678
  AMOUNT           whole shillings
  -reference TEXT  what it is for, which the payer sees: up to 12 letters,
                   digits, spaces and hyphens (default: TEST)
  -again           ask even though an identical payment has no known outcome: the
                   payer may be charged for both
  -resume          go on with a payment that was asked for before; without an ID
                   with the one that is pending, or list them if there are several
  -lang sw         in Swahili

Exit status: 0 paid, 1 not paid, 2 not known yet, 3 nothing was asked. A payment
that the function refuses is not paid; nothing is asked if the command line, the
environment or the session is wrong, or -resume has not one payment to go on
with. The go command turns all but 0 into 1; for scripts:
go build -o pay ./scripts/pay

Environment variables:

  APPWRITE_ENDPOINT      https://fra.cloud.appwrite.io/v1, say
  APPWRITE_PROJECT_ID    Console → Overview → Settings
  APPWRITE_EMAIL, APPWRITE_PASSWORD
                         of a user of the project: nobody's of the console. Or:
  APPWRITE_SESSION       the token of a session of theirs
  APPWRITE_FUNCTION_ID, DARAJA_DATABASE_ID, DARAJA_COLLECTION_ID
                         default: daraja, daraja, payments
`

// What the exit status says.
const (
	paid     = 0
	notPaid  = 1 // whatever the function, Safaricom or the payer had against it
	notKnown = 2
	notAsked = 3 // the function has heard nothing
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	out, _ := os.Stdout.Stat()
	terminal := out != nil && out.Mode()&os.ModeCharDevice != 0
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr, terminal)
	stop()
	os.Exit(status)
}

// options are what the command line says.
type options struct {
	payment client.Payment
	resume  bool
	id      string
	lang    client.Language
}

func readOptions(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("pay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	lang := flags.String("lang", "en", "")
	flags.StringVar(&o.payment.Reference, "reference", "TEST", "")
	flags.BoolVar(&o.payment.Again, "again", false, "")
	flags.BoolVar(&o.resume, "resume", false, "")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	o.lang = client.Language(*lang)
	if o.lang != client.English && o.lang != client.Swahili {
		return o, fmt.Errorf("-lang is en or sw, not %s", *lang)
	}
	if o.resume {
		o.id = flags.Arg(0)
		if flags.NArg() > 1 {
			return o, errors.New("-resume takes one ID")
		}
		return o, nil
	}
	if flags.NArg() != 2 {
		return o, errors.New("PHONE and AMOUNT are needed, in this order and behind all options")
	}
	o.payment.Phone = flags.Arg(0)
	if o.payment.Amount, err = strconv.ParseInt(flags.Arg(1), 10, 64); err != nil {
		return o, fmt.Errorf("AMOUNT is no whole number of shillings: %s", flags.Arg(1))
	}
	return o, nil
}

// run is the whole command. It returns the exit status.
func run(ctx context.Context, arguments []string, getenv func(string) string, stdout, stderr io.Writer, terminal bool) int {
	o, err := readOptions(arguments)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "pay: %v\n\n%s", err, usage)
		return notAsked
	}
	c, signOut, err := signIn(ctx, getenv)
	if err != nil {
		fmt.Fprintln(stderr, "pay:", err)
		return notAsked
	}
	defer signOut()
	s := screen{out: stdout, terminal: terminal, lang: o.lang}
	if !o.resume {
		return s.show(ctx, c.Pay(ctx, o.payment), o.payment)
	}
	if o.id == "" {
		if o.id, err = only(ctx, c, stdout); err != nil {
			fmt.Fprintln(stderr, "pay:", err)
			return notAsked
		}
	}
	return s.show(ctx, c.Resume(ctx, parse.Payment, o.id), client.Payment{})
}

// signIn returns a client with a session, which signOut ends if it was made here.
func signIn(ctx context.Context, getenv func(string) string) (c *client.Client, signOut func(), err error) {
	config := client.Config{
		Endpoint: getenv("APPWRITE_ENDPOINT"), Project: getenv("APPWRITE_PROJECT_ID"), Session: getenv("APPWRITE_SESSION"),
		Function: getenv("APPWRITE_FUNCTION_ID"), Database: getenv("DARAJA_DATABASE_ID"),
		Payments: getenv("DARAJA_COLLECTION_ID"),
	}
	email, password := getenv("APPWRITE_EMAIL"), getenv("APPWRITE_PASSWORD")
	var missing []string
	for _, name := range []string{"APPWRITE_ENDPOINT", "APPWRITE_PROJECT_ID"} {
		if getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if config.Session == "" && (email == "" || password == "") {
		missing = append(missing, "APPWRITE_EMAIL and APPWRITE_PASSWORD, or APPWRITE_SESSION")
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("set in the environment: %s", strings.Join(missing, ", "))
	}
	signOut = func() {}
	if config.Session == "" {
		if config.Session, err = client.SignIn(ctx, config, email, password); err != nil {
			return nil, nil, fmt.Errorf("signing in: %w", err)
		}
		signOut = func() {
			_ = c.SignOut(context.WithoutCancel(ctx)) // a session that stays ends by itself
		}
	}
	if c, err = client.New(config); err != nil {
		return nil, nil, err
	}
	if err := c.SignedIn(ctx); err != nil {
		return nil, nil, fmt.Errorf("the session is none: %w", err)
	}
	return c, signOut, nil
}

// only is the id of the one payment that is pending. Several are listed.
func only(ctx context.Context, c *client.Client, out io.Writer) (id string, err error) {
	open, err := c.Pending(ctx, parse.Payment)
	if err != nil {
		return "", err
	}
	switch len(open) {
	case 0:
		return "", errors.New("no payment is pending")
	case 1:
		return open[0].ID, nil
	}
	for _, state := range open {
		fmt.Fprintf(out, "%s  %s  KES %d  %s\n", state.ID, state.StartedAt.Format("2006-01-02 15:04:05"), state.Requested, state.Reference)
	}
	return "", errors.New("several payments are pending: add the ID of one")
}

// A screen shows states.
type screen struct {
	out      io.Writer
	terminal bool // lines can be redrawn
	lang     client.Language
	last     string
}

// show shows the states until the last one, and returns the exit status. The payment is
// what was asked for; a resumed one asked for nothing.
func (s *screen) show(ctx context.Context, states iter.Seq[client.State], asked client.Payment) int {
	var state client.State
	for next := range states {
		if state.ID == "" {
			fmt.Fprintf(s.out, "Payment %s\n", next.ID)
		}
		state = next
		s.draw(state)
	}
	if s.terminal {
		fmt.Fprintln(s.out)
	}
	if !state.Final() && ctx.Err() != nil {
		fmt.Fprintf(s.out, "Left. The payment goes on. To see what became of it:\n  go run ./scripts/pay -resume %s\n", state.ID)
		return notKnown
	}
	if state.Instead {
		fmt.Fprintf(s.out, "This is payment %s, which was asked for before (KES %d, %s); nothing else was sent.\n", state.ID, state.Requested, state.Reference)
	}
	if state.MayPayAgain {
		fmt.Fprintln(s.out, "To pay again, though the earlier one may still be charged: add -again.")
	}
	switch {
	case state.Name == client.Success && state.Instead && (state.Requested != asked.Amount || state.Reference != asked.Reference):
		return notPaid // but another one is
	case state.Name == client.Success:
		return paid
	case state.Name == client.Timeout:
		fmt.Fprintf(s.out, "To see later what became of it:\n  go run ./scripts/pay -resume %s\n", state.ID)
		return notKnown
	}
	return notPaid
}

// width is what a terminal has at least. A longer line could not be drawn over.
const width = 79

// draw shows one state: over the last one in a terminal, else in a line of its own if it
// says something new.
func (s *screen) draw(state client.State) {
	line := string(state.Name) + "  " + state.Message(s.lang)
	if state.Name == client.Success {
		line = fmt.Sprintf("%s  %s  KES %d  %s", line, cmp.Or(state.Receipt, "-"), cmp.Or(state.Amount, state.Requested), state.Reference)
	}
	if state.Reason != "" && state.Final() {
		line += "  (M-Pesa: " + plain(state.Reason) + ")"
	}
	if s.terminal && !state.Live && !state.Final() {
		line += "  [offline]"
	}
	if state.Err != nil {
		line += "  (" + plain(state.Err.Error()) + ")"
	}
	if s.terminal {
		if shown := []rune(line); len(shown) > width && !state.Final() {
			line = string(shown[:width-1]) + "…"
		}
		fmt.Fprint(s.out, "\r\x1b[K"+line)
		return
	}
	if line != s.last {
		fmt.Fprintln(s.out, line)
	}
	s.last = line
}

// plain takes out what could move a terminal's cursor.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
