// Deploy brings the function and its database into a project of Appwrite, looks
// whether everything is right, and settles what the function could not.
//
//	go run ./scripts/deploy              look, mend, deploy the code, look again
//	go run ./scripts/deploy -check       mend nothing; end with 1 if something is wrong
//	go run ./scripts/deploy -replay      settle the UNSETTLED lines of the execution log
//	go run ./scripts/deploy -replay -    those on standard input
//
// With -json the report is one JSON object a line. All of it is safe to repeat.
//
// It reads APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID, APPWRITE_API_KEY and the
// DARAJA_* variables from the environment or else from the file .env.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"openruntimes/handler/handler"
)

func main() {
	check := flag.Bool("check", false, "only look")
	replay := flag.Bool("replay", false, "settle every UNSETTLED line of the log")
	asJSON := flag.Bool("json", false, "print the report as JSON, an object a line")
	flag.Parse()
	if flag.NArg() > 1 || flag.NArg() == 1 && (flag.Arg(0) != "-" || !*replay) || *check && *replay {
		fmt.Fprintln(os.Stderr, "usage: go run ./scripts/deploy [-check | -replay [-]] [-json]")
		os.Exit(2)
	}
	s, err := readSettings(os.Getenv, ".env")
	switch {
	case err != nil:
	case *replay && flag.NArg() == 1:
		err = s.replayFrom(os.Stdout, os.Stdin)
	case *replay:
		err = s.replayFrom(os.Stdout, nil)
	default:
		err = deploy(s, report{os.Stdout, *asJSON}, *check)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

// deploy goes through all checks, and ends with what to put into the app.
func deploy(s settings, r report, onlyLook bool) error {
	s.adopt()
	p, err := newProject(s)
	if err != nil {
		return err
	}
	p.onlyLook = onlyLook
	if err := p.goThrough(r); err != nil {
		return err
	}
	if !r.asJSON {
		fmt.Fprintf(r.out, "Live. In the app:  callbackDomain: %q\n", p.url(p.prefix))
	}
	return nil
}

// replayFrom replays the lines of in or, without it, those of the function's
// executions.
func (s settings) replayFrom(out io.Writer, in io.Reader) error {
	s.adopt()
	if in == nil {
		lines, err := s.executionLog()
		if err != nil {
			return err
		}
		return s.replay(out, lines)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return s.replay(out, strings.Split(string(text), "\n"))
}

// replay settles each document once, and says what became of it.
func (s settings) replay(out io.Writer, lines []string) error {
	seen := map[string]bool{}
	settled, failed := 0, 0
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "UNSETTLED ") || seen[line] {
			continue
		}
		seen[line] = true
		id, did, err := s.config.Replay(s.key, line)
		switch {
		case errors.Is(err, handler.ErrNotUnsettled):
			failed++
			fmt.Fprintf(out, "unreadable  %v\n", err)
		case err != nil:
			failed++
			fmt.Fprintf(out, "failed      %s  %v\n", id, err)
		default:
			settled++
			fmt.Fprintf(out, "%-10s  %s\n", did, id)
		}
	}
	fmt.Fprintf(out, "%d UNSETTLED lines: %d settled, %d not.\n", len(seen), settled, failed)
	if failed > 0 {
		return errors.New("not everything is settled: mend the cause and repeat it")
	}
	return nil
}
