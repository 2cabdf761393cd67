// Local runs the function and a stand-in for Appwrite on this machine, posts
// samples of what Safaricom sends, and shows what became of them. It needs
// nothing but Go.
//
//	go run ./scripts/local         stay up afterwards, for requests of your own
//	go run ./scripts/local -once   end after the samples
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	handler "openruntimes/handler"
	"openruntimes/handler/scripts/standin"
)

// samples are posted in turn, each row's payloads one after another.
var samples = [][]string{
	{"stk/paid"},
	{"stk/paid-again"},
	{"stk/paid-balance-no-value"},
	{"stk/paid-all-text"},
	{"stk/paid-id-37"},
	{"stk/cancelled"},
	{"stk/fail-1-funds"},
	{"stk/fail-2001-wrong-pin"},
	{"stk/unknown-1037-no-response"},
	{"stk/fail-1019-expired", "stk/paid-after-expired"},
	{"stk/unknown-bw-jms"},
	{"stk/collision-paid-a", "stk/collision-paid-b"},
	{"b2c/fail-2040-unregistered"},
	{"b2c/unknown-17-internal"},
	{"timeout/flat"},
	{"timeout/envelope", "b2c/paid"},
	{"stk/no-id"},
	{"b2c/not-json"},
}

const key = "standard_key-of-this-machine"

func main() {
	once := flag.Bool("once", false, "end after the samples")
	flag.Parse()
	if err := run(os.Stdout, 4000, 3000, *once); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run serves Appwrite and the function on these ports of loopback, or on the
// next ones that are free; 0 is any.
func run(out io.Writer, appwritePort, functionPort int, once bool) error {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	appwrite, err := standin.New(schema)
	if err != nil {
		return err
	}
	appwrite.AddKey(key, "documents.read", "documents.write", "execution.write")
	endpoint, err := serve(out, appwritePort, appwrite)
	if err != nil {
		return err
	}

	var live atomic.Bool // the samples' log lines would only be in the way
	function, err := serve(out, functionPort, &standin.Runtime{Main: handler.Main, Key: key, Logs: func(logs, errors string) {
		if live.Load() {
			fmt.Fprint(out, prefixed("log    ", logs), prefixed("error  ", errors))
		}
	}})
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": "http://" + endpoint + "/v1",
		"APPWRITE_FUNCTION_PROJECT_ID":   standin.ProjectID,
		"DARAJA_DATABASE_ID":             "daraja",
		"DARAJA_COLLECTION_ID":           "payments",
		"DARAJA_B2C_COLLECTION_ID":       "disbursements",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "Appwrite stand-in   http://%s/v1   schema: appwrite.json\nFunction            http://%s\n\n", endpoint, function)

	if err := postSamples(out, appwrite, function); err != nil {
		return err
	}
	if once {
		return nil
	}
	live.Store(true)
	fmt.Fprintf(out, "\nTry:  curl -d @testdata/stk/paid.json '%s/callback?uid=me'\nCtrl-C stops.\n", function)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}

// serve starts a server on loopback and returns its address. A port that is
// taken is named and stepped over.
func serve(out io.Writer, port int, h http.Handler) (string, error) {
	for tried := 0; ; tried++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) && tried < 20 {
			fmt.Fprintf(out, "Port %d is taken, trying %d.\n", port, port+1)
			port++
			continue
		}
		if err != nil {
			return "", err
		}
		go http.Serve(listener, h)
		return listener.Addr().String(), nil
	}
}

func prefixed(prefix, text string) string {
	var b strings.Builder
	for _, line := range strings.FieldsFunc(text, func(c rune) bool { return c == '\n' }) {
		b.WriteString(prefix + line + "\n")
	}
	return b.String()
}

// row is one line of the table. Amounts stand to the right.
const row = "%-50s  %-8s %-20s  %-9s  %-10s  %7s  %s\n"

func postSamples(out io.Writer, appwrite *standin.Appwrite, function string) error {
	fmt.Fprintf(out, row, "POSTED", "REPLY", "DOCUMENT", "STATUS", "RECEIPT", "AMOUNT", "READ BY")
	for _, names := range samples {
		appwrite.Reset()
		var replies []string
		var reason string
		for _, name := range names {
			status, text, err := post(function, name)
			if err != nil {
				return err
			}
			replies, reason = append(replies, strconv.Itoa(status)), text
		}
		posted, replied := strings.Join(names, ", then "), strings.Join(replies, " ")
		d, ok := lastDocument(appwrite)
		if !ok {
			fmt.Fprintf(out, "%-50s  %-8s -  %s\n", posted, replied, reason)
			continue
		}
		fmt.Fprintf(out, row, posted, replied, short(d.ID), text(d.Data["status"]), text(d.Data["receipt"]),
			shillings(d.Data["amount"]), readers(d.Permissions))
	}
	return nil
}

// post sends a payload of testdata where Safaricom would send it.
func post(function, name string) (status int, reason string, err error) {
	body, err := os.Open(filepath.Join("testdata", name+".json"))
	if err != nil {
		return 0, "", err
	}
	defer body.Close()
	paths := map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}
	resp, err := http.Post("http://"+function+paths[filepath.Dir(name)]+"?uid=amina", "application/json", body)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var reply struct{ ResultDesc string }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return 0, "", fmt.Errorf("%s: a reply that is not JSON: %w", name, err)
	}
	return resp.StatusCode, reply.ResultDesc, nil
}

// lastDocument returns the document that was written last or, by a duplicate,
// looked at last.
func lastDocument(appwrite *standin.Appwrite) (standin.Document, bool) {
	calls := appwrite.Calls()
	if len(calls) == 0 {
		return standin.Document{}, false
	}
	segments := strings.Split(calls[len(calls)-1].Path, "/") // /v1/databases/D/collections/C/documents/ID
	id := segments[len(segments)-1]
	if events := appwrite.Events(); len(events) > 0 {
		id = events[len(events)-1].ID
	}
	return appwrite.Document(segments[3], segments[5], id)
}

// short cuts an id so that no payer's number is shown: a CheckoutRequestID ends
// in one.
func short(id string) string {
	if strings.HasPrefix(id, "ws_CO_") {
		return id[:min(10, len(id))] + "…*********"
	}
	return id[:min(4, len(id))] + "…"
}

func text(v any) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(v)
}

// shillings writes 1000 as 1,000.
func shillings(v any) string {
	s := text(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func readers(permissions []string) string {
	if len(permissions) == 0 {
		return "nobody"
	}
	return strings.NewReplacer(`read("`, "", `")`, "").Replace(strings.Join(permissions, " "))
}
