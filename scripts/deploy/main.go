// Deploy settles what the function could not: the documents in the UNSETTLED
// lines of its log. It is safe to repeat.
//
//	go run ./scripts/deploy -replay      from the function's executions in Appwrite
//	go run ./scripts/deploy -replay -    from standard input
//
// It reads APPWRITE_ENDPOINT, APPWRITE_PROJECT_ID, APPWRITE_API_KEY and the
// DARAJA_* variables from the environment or else from the file .env. The key
// needs the scopes documents.read, documents.write and execution.read.
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
	replay := flag.Bool("replay", false, "settle every UNSETTLED line of the log")
	flag.Parse()
	if !*replay || flag.NArg() > 1 || flag.NArg() == 1 && flag.Arg(0) != "-" {
		fmt.Fprintln(os.Stderr, "usage: go run ./scripts/deploy -replay [-]")
		os.Exit(2)
	}
	var in io.Reader
	if flag.Arg(0) == "-" {
		in = os.Stdin
	}
	if err := run(os.Stdout, in, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

// run replays the lines of in or, without it, those of the function's executions.
func run(out io.Writer, in io.Reader, getenv func(string) string) error {
	s, err := readSettings(getenv, ".env")
	if err != nil {
		return err
	}
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
