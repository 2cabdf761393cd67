// Deploy brings the function and its database into a project of Appwrite, looks
// whether everything is right, and settles what the function could not. Its -h says
// how.
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
	"syscall"

	"openruntimes/handler/handler"
)

const usage = `Usage: go run ./scripts/deploy [-secrets | -check | -replay [-]] [-json]

  (nothing)    look at everything, fix what is wrong, deploy the code, look again
  -secrets     likewise, and set anew the secret variables that are given: nobody can
               read whether the function has them
  -check       change nothing, and name everything that is wrong
  -replay      settle the UNSETTLED lines of the function's execution log
  -replay -    settle those on standard input, however a log viewer exported them
  -json        report as JSON, one object a line; the progress goes to standard error

All of it is safe to repeat. Exit status: 0 all is right, 1 something is not, 2 wrong usage.

Settings come from the environment, else from the file .env:

  APPWRITE_ENDPOINT          https://fra.cloud.appwrite.io/v1, say
  APPWRITE_PROJECT_ID        Console → Overview → Settings
  APPWRITE_API_KEY           Console → Overview → Integrations → API keys
  APPWRITE_FUNCTION_ID       default: daraja
  APPWRITE_FUNCTION_DOMAIN   needed on a server of your own: one label before its
                             _APP_DOMAIN_FUNCTIONS, such as daraja.functions.example.com
  APPWRITE_TEST_USER, APPWRITE_TEST_SESSION
                             a user and a session of theirs, with which the self-test reads
  APPWRITE_CLI               an Appwrite CLI to use instead of npx appwrite-cli@` + cliVersion + `
  DARAJA_…                   the function's own variables, as in the README; if one that
                             starts payments is given, a signing key is made
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole command. It returns the exit status.
func run(ctx context.Context, arguments []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	check := flags.Bool("check", false, "")
	secrets := flags.Bool("secrets", false, "")
	replay := flags.Bool("replay", false, "")
	asJSON := flags.Bool("json", false, "")
	err := flags.Parse(arguments)
	fromInput := *replay && flags.Arg(0) == "-"
	if fromInput && err == nil { // -replay - -json
		err = flags.Parse(flags.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "deploy: %v\n\n%s", err, usage)
		return 2
	case flags.NArg() > 0 || *check && *replay || *secrets && (*check || *replay):
		fmt.Fprintf(stderr, "deploy: these do not go together: %s\n\n%s", strings.Join(arguments, " "), usage)
		return 2
	}
	r := report{stdout, *asJSON}
	s, err := readSettings(getenv, ".env")
	switch {
	case err != nil:
	case fromInput:
		err = s.replayFrom(ctx, r, stdin)
	case *replay:
		err = s.replayFrom(ctx, r, nil)
	default:
		s.dryRun, s.anew = *check, *secrets
		err = s.deploy(ctx, r, stderr)
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		err = errors.New("interrupted; it can be run again")
	}
	if *asJSON && !errors.Is(err, errWrong) {
		r.print(result{Check: "deploy", Result: "error", Found: err.Error()})
	} else {
		fmt.Fprintln(stderr, "deploy:", err)
	}
	return 1
}

// deploy goes through all checks, and ends with what to put into the app.
func (s settings) deploy(ctx context.Context, r report, progress io.Writer) error {
	p, err := newProject(s, progress)
	if err != nil {
		return err
	}
	if s.dryRun {
		if err := p.diagnose(ctx, r); err != nil {
			return err
		}
	} else {
		if _, err := s.findCLI(); err != nil {
			return err // before anything is changed
		}
		if err := p.deploy(ctx, r); err != nil {
			return err
		}
	}
	r.printLive(p)
	return nil
}

// printLive says what to put into the app. The secret is in it only if this run may
// have made it: what runs every day ends up in somebody's mail.
func (r report) printLive(p *project) {
	switch {
	case r.asJSON:
		r.print(result{Check: "callbackDomain", Result: "live", Found: p.url("")})
	case p.prefix == "" && !p.secretUnknown:
		fmt.Fprintf(r.out, "Live. In the app:  callbackDomain: %q\n", p.url(""))
	case p.dryRun || p.secretUnknown:
		fmt.Fprintf(r.out, "Live. In the app:  callbackDomain: \"%s/…\", where … is the %s\n", p.url(""), handler.CallbackSecret)
	default:
		fmt.Fprintf(r.out, "Live. In the app:  callbackDomain: %q\n", p.url(p.prefix))
	}
}
