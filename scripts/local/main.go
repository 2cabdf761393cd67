// Local runs the function and a stand-in for Appwrite on this machine, posts
// samples of what Safaricom sends, and shows what became of them. It needs
// nothing but Go.
//
//	go run ./scripts/local              stay up afterwards, for requests of your own
//	go run ./scripts/local -once        end after the samples
//	go run ./scripts/local -outage 10s  first let the database fail for so long
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

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

func main() {
	once := flag.Bool("once", false, "end after the samples")
	outage := flag.Duration("outage", 0, "let the database fail for so long while the samples come")
	flag.Parse()
	if err := run(os.Stdout, 4000, 3000, *outage, *once); err != nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run serves Appwrite and the function on these ports of loopback, or on the
// next ones that are free; 0 is any.
func run(out io.Writer, appwritePort, functionPort int, outage time.Duration, once bool) error {
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		return fmt.Errorf("%w (run it in the project's own folder)", err)
	}
	m, err := standin.NewMachine(schema, handler.Main, appwritePort, functionPort)
	if err != nil {
		return err
	}
	defer m.Close()
	for name, value := range m.Environment() {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "Appwrite stand-in   %s   schema: appwrite.json%s\n", m.AppwriteURL, instead(m.AppwriteURL, appwritePort))
	fmt.Fprintf(out, "Function            %s%s\n\n", m.FunctionURL, instead(m.FunctionURL, functionPort))

	if outage > 0 {
		if err := showOutage(out, m, outage); err != nil {
			return err
		}
	}
	if err := postSamples(out, m); err != nil {
		return err
	}
	if once {
		return nil
	}
	m.Runtime.Logs = func(logs, errors string) { fmt.Fprint(out, prefixed("log    ", logs), prefixed("error  ", errors)) }
	fmt.Fprintf(out, "\nTry:  curl -d @testdata/stk/paid.json '%s/callback?uid=me'\nCtrl-C stops.\n", strings.TrimPrefix(m.FunctionURL, "http://"))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}

// instead names a port that was taken.
func instead(address string, port int) string {
	if port == 0 || strings.Contains(address, fmt.Sprintf(":%d", port)) {
		return ""
	}
	return fmt.Sprintf("   (port %d is taken)", port)
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

func postSamples(out io.Writer, m *standin.Machine) error {
	fmt.Fprintf(out, row, "POSTED", "REPLY", "DOCUMENT", "STATUS", "RECEIPT", "AMOUNT", "READ BY")
	for _, names := range samples {
		m.Appwrite.Reset()
		var replies []string
		var reason string
		for _, name := range names {
			status, text, err := post(m.FunctionURL, name)
			if err != nil {
				return err
			}
			replies, reason = append(replies, strconv.Itoa(status)), text
		}
		posted, replied := strings.Join(names, ", then "), strings.Join(replies, " ")
		d, ok := lastDocument(m.Appwrite)
		if !ok {
			fmt.Fprintf(out, "%-50s  %-8s -  %s\n", posted, replied, reason)
			continue
		}
		fmt.Fprintf(out, row, posted, replied, short(d.ID), text(d.Data["status"]), text(d.Data["receipt"]),
			shillings(d.Data["amount"]), readers(d.Permissions))
	}
	return nil
}

// showOutage posts samples while no document can be read or written, and follows
// them through the queue.
func showOutage(out io.Writer, m *standin.Machine, outage time.Duration) error {
	for _, operation := range []string{"create", "get", "replace"} {
		m.Appwrite.Inject(standin.Fault{Operation: operation, Reply: standin.HTML(http.StatusServiceUnavailable)})
	}
	end := time.Now().Add(outage)
	fmt.Fprintf(out, "Outage: for %v every call for a document is answered 503. The queue works.\n\n", outage)
	fmt.Fprintf(out, "%-50s  %-8s %s\n", "POSTED", "REPLY", "COMES BACK AT")
	var first time.Time // when the last of the first copies comes back
	for _, name := range []string{"stk/paid", "stk/cancelled", "timeout/envelope", "b2c/paid", "stk/no-id"} {
		before := len(m.Appwrite.Waiting())
		status, reason, err := post(m.FunctionURL, name)
		if err != nil {
			return err
		}
		if waiting := m.Appwrite.Waiting(); len(waiting) > before {
			reason = comesBack(waiting, name)
			first = waiting[(len(waiting)-1)/3].ScheduledAt
		}
		fmt.Fprintf(out, "%-50s  %-8d %s\n", name, status, reason)
	}
	time.Sleep(time.Until(end))
	m.Appwrite.Heal()
	fmt.Fprintf(out, "\nThe database is back. The stand-in's clock is moved on to %s, when the first copies come back.\n\n", first.Local().Format("15:04"))
	m.RunUntil(first)
	fmt.Fprintf(out, row, "DOCUMENTS NOW", "", "", "STATUS", "RECEIPT", "AMOUNT", "READ BY")
	for _, collection := range []string{"payments", "disbursements"} {
		for _, d := range m.Appwrite.Documents("daraja", collection) {
			fmt.Fprintf(out, row, collection, "", short(d.ID), text(d.Data["status"]), text(d.Data["receipt"]), shillings(d.Data["amount"]), readers(d.Permissions))
		}
	}
	fmt.Fprintln(out)
	return nil
}

// comesBack lists the times at which the copies of a payload are due.
func comesBack(waiting []standin.Execution, name string) string {
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		return err.Error()
	}
	var times []string
	for _, e := range waiting {
		if e.Body == string(body) {
			times = append(times, e.ScheduledAt.Local().Format("Mon 15:04"))
		}
	}
	return strings.Join(times, ", ")
}

// post sends a payload of testdata where Safaricom would send it.
func post(function, name string) (status int, reason string, err error) {
	body, err := os.Open(filepath.Join("testdata", name+".json"))
	if err != nil {
		return 0, "", err
	}
	defer body.Close()
	paths := map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}
	resp, err := http.Post(function+paths[filepath.Dir(name)]+"?uid=amina", "application/json", body)
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
