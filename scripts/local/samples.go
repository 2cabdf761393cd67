package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
)

// samples are payloads of testdata, posted in this order. Some are about the same
// transaction as the one before: a repeat, a late result, another failure, a
// second payment.
var samples = []string{
	"stk/paid",
	"stk/paid-again",
	"stk/paid-amount-decimal",
	"stk/paid-all-text",
	"stk/paid-id-37",
	"stk/cancelled",
	"stk/fail-1-funds",
	"stk/unknown-1037-ds",
	"stk/unknown-bw-jms",
	"stk/fail-1019-expired",
	"stk/paid-after-expired",
	"stk/fail-2001-wrong-pin",
	"stk/fail-2001-then-1019",
	"stk/collision-paid-a",
	"stk/collision-paid-b",
	"b2c/fail-2001-initiator",
	"b2c/unknown-19",
	"b2c/type-1",
	"timeout/flat",
	"timeout/envelope",
	"b2c/paid",
	"stk/no-id",
	"b2c/not-json",
}

// outageSamples are posted during an outage, and are not among the others. The
// last one is refused, outage or not.
var outageSamples = []string{"stk/paid-2541", "stk/cancelled-1031", "b2c/unknown-17-internal", "b2c/paid-after-17", "stk/no-id"}

// parsers has the function's own parser for the payloads of each folder of testdata.
var parsers = map[string]func([]byte) (parse.Verdict, error){"stk": parse.STK, "b2c": parse.B2C, "timeout": parse.B2CTimeout}

// routes has the path to which Safaricom would post each folder's payloads.
var routes = map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}

// A stage posts samples to the function and prints what becomes of them.
type stage struct {
	*testbed.Machine
	out io.Writer
	log *journal
}

func newStage(out io.Writer, m *testbed.Machine) *stage {
	s := &stage{Machine: m, out: out, log: &journal{out: out}}
	m.Runtime.Logs = s.log.log
	return s
}

// The tables fit a terminal of 80 columns.
const (
	row     = "%-23s  %-4v  %-9s  %-9s  %-10s  %6s  %s\n"
	refused = "%-23s  %-4v  %s\n"
)

// showSamples posts all samples and prints a line for each.
func (s *stage) showSamples() error {
	fmt.Fprintf(s.out, row, "POSTED", "HTTP", "OUTCOME", "STATUS", "RECEIPT", "AMOUNT", "READER")
	for _, name := range samples {
		p, err := s.post(name)
		if err != nil {
			return err
		}
		d, stored := s.document(p.verdict)
		switch {
		case p.status != http.StatusOK:
			fmt.Fprintf(s.out, refused, name, p.status, p.reason)
		case !stored:
			fmt.Fprintf(s.out, row, name, p.status, p.outcome, "-", "-", "-", "-")
		default:
			s.print(name, p.status, p.outcome, d)
		}
	}
	return nil
}

// print writes a line of the table about a document.
func (s *stage) print(name string, status any, outcome string, d fakeappwrite.Document) {
	fmt.Fprintf(s.out, row, name, status, outcome, text(d.Data["status"]), text(d.Data["receipt"]),
		shillings(d.Data["amount"]), reader(d.Permissions))
}

// showOutage posts samples while no document can be read or written, until over,
// and follows them through the queue.
func (s *stage) showOutage(ctx context.Context, outage time.Duration, over <-chan time.Time) error {
	for _, operation := range []string{"create", "get", "replace"} {
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, Reply: fakeappwrite.HTML(http.StatusServiceUnavailable)})
	}
	fmt.Fprintf(s.out, "Outage: for %v every call for a document is answered 503. The queue works.\n\n", outage)
	fmt.Fprintf(s.out, refused, "POSTED", "HTTP", "THREE COPIES COME BACK AT")
	for _, name := range outageSamples {
		p, err := s.post(name)
		if err != nil {
			return err
		}
		comment := p.reason
		if p.outcome == "queued" {
			comment = comesBack(s.Appwrite.Waiting(), p.body)
		}
		fmt.Fprintf(s.out, refused, name, p.status, comment)
	}
	fmt.Fprintf(s.out, "\nTo post one of your own meanwhile, in another terminal:\n%s", triggerCommand(s.Machine))
	s.log.follow()
	select {
	case <-over:
	case <-ctx.Done():
		return nil
	}
	s.log.hold()
	s.Appwrite.Heal()
	if waiting := s.Appwrite.Waiting(); len(waiting) > 0 {
		due := firstCopies(waiting)
		fmt.Fprintf(s.out, "\nThe database is back. The fake's clock is moved on to %s,\nwhen the first copies have come back.\n\n", due.Local().Format(day))
		s.RunUntil(due)
	}
	fmt.Fprintf(s.out, row, "DOCUMENTS NOW", "", "", "STATUS", "RECEIPT", "AMOUNT", "READER")
	for _, collection := range []string{"payments", "disbursements"} {
		for _, d := range s.Appwrite.Documents("daraja", collection) {
			s.print(collection, "", "", d)
		}
	}
	fmt.Fprintln(s.out)
	s.log.take()
	return nil
}

// firstCopies returns when one copy of each callback has come back. Each callback has
// three in the queue, and the first copies are due before all second ones.
func firstCopies(waiting []fakeappwrite.Execution) time.Time {
	return waiting[(len(waiting)-1)/3].ScheduledAt
}

// day is how times are written that need not be today's.
const day = "2 Jan 15:04"

// comesBack lists the times at which the copies of a body are due, each day once.
func comesBack(waiting []fakeappwrite.Execution, body string) string {
	var times []string
	last := ""
	for _, e := range waiting {
		if e.Body != body {
			continue
		}
		at := e.ScheduledAt.Local()
		format := day
		if today := at.Format("2 Jan"); today == last {
			format = "15:04"
		} else {
			last = today
		}
		times = append(times, at.Format(format))
	}
	return strings.Join(times, ", ")
}

// posted is a sample that was posted, and how it was answered.
type posted struct {
	body    string
	verdict parse.Verdict // zero if the body holds none
	status  int
	reason  string // in the reply
	outcome string // in the function's log; "" if there is none
}

// post sends a payload of testdata where Safaricom would send it.
func (s *stage) post(name string) (posted, error) {
	body, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)+".json"))
	if err != nil {
		return posted{}, err
	}
	p := posted{body: string(body)}
	p.verdict, _ = parsers[path.Dir(name)](body)
	s.log.take()
	var reply string
	if p.status, reply, err = send(s.FunctionURL, http.MethodPost, callbackPath(routes[path.Dir(name)], "amina"), p.body); err != nil {
		return posted{}, err
	}
	var acknowledgement struct{ ResultDesc string }
	if err := json.Unmarshal([]byte(reply), &acknowledgement); err != nil {
		return posted{}, fmt.Errorf("%s: a reply that is not JSON: %w", name, err)
	}
	p.reason, p.outcome = acknowledgement.ResultDesc, outcome(s.log.take())
	return p, nil
}

// outcome returns the one that a request's log line names, or "" if it names none.
func outcome(logs string) string {
	_, after, _ := strings.Cut(logs, " outcome=")
	if words := strings.Fields(after); len(words) > 0 {
		return words[0]
	}
	return ""
}

// document finds the document that holds a verdict. If two payments have the same id,
// the receipt tells their documents apart.
func (s *stage) document(v parse.Verdict) (found fakeappwrite.Document, ok bool) {
	collection, attribute := "payments", "checkoutRequestId"
	if v.Kind == parse.Disbursement {
		collection, attribute = "disbursements", "originatorConversationId"
	}
	for _, d := range s.Appwrite.Documents("daraja", collection) {
		if d.Data[attribute] == v.ID && (!ok || d.Data["receipt"] == v.Receipt) {
			found, ok = d, true
		}
	}
	return found, ok
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

// reader says who may read a document.
func reader(permissions []string) string {
	switch role := strings.Join(permissions, " "); {
	case role == "":
		return "nobody"
	case role == `read("any")`:
		return "anyone"
	default:
		return strings.NewReplacer(`read("user:`, "", `")`, "").Replace(role)
	}
}
