package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// TestPayments checks the second table that a person sees, and that it is true: by the
// ledger, each phone was asked once.
func TestPayments(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	if err := s.showPayments(context.Background()); err != nil {
		t.Fatal(err)
	}
	checkWidth(t, out.String())
	want := regexp.MustCompile(`^
ASKED FOR BY A USER      HTTP  OUTCOME    STATUS     RECEIPT     AMOUNT  READER
ORDER-001                200   started    PENDING    -                -  amina
  the phone pays               replaced   SUCCESS    [A-Z0-9]{10}   1,000  amina
ORDER-002                200   started    PENDING    -                -  amina
  the phone cancels            replaced   CANCELLED  -                -  amina
ORDER-003                200   started    PENDING    -                -  amina
  the phone is silent          replaced   TIMEOUT    -                -  amina
ORDER-004                200   started    PENDING    -                -  amina
  \(Safaricom's answer was lost; its callback is signed, and finds the payment\)
  the phone pays               replaced   SUCCESS    [A-Z0-9]{10}   1,500  amina
ORDER-005                200   started    PENDING    -                -  amina
  the phone pays
  \(its callback never comes; two minutes later the sweep asks Safaricom\)
  the sweep                    found      SUCCESS    -                -  amina
$`)
	if !want.MatchString(out.String()) {
		t.Errorf("it prints\n%s", out.String())
	}

	asked := map[string]int{}
	for _, e := range s.safaricom.Ledger() {
		asked[fmt.Sprintf("%s %s", e.Reference, e.Kind)]++
	}
	for entry, n := range asked {
		if n != 1 {
			t.Errorf("%s %d times", entry, n)
		}
	}
	if len(asked) != 8 {
		t.Errorf("the ledger has %v, want five prompts and three payments", asked)
	}
	calls := s.safaricom.Calls(fakesafaricom.Push)
	for i, p := range payments {
		if lost := calls[i].Status == 0; lost != p.lost {
			t.Errorf("%s: the acknowledgement was lost: %t, want %t", p.reference, lost, p.lost)
		}
	}
	// The receipts are those of what was paid, also where the acknowledgement was lost.
	for _, d := range s.Appwrite.Documents("daraja", "payments") {
		paid, _ := s.safaricom.Paid(fmt.Sprint(d.Data["checkoutRequestId"]))
		if receipt := text(d.Data["receipt"]); receipt != "-" && receipt != paid.Receipt {
			t.Errorf("%v has the receipt %s, and paid was %+v", d.Data["reference"], receipt, paid)
		}
	}
}

// TestAnswered types the answers. What is none is asked for again, and when there is
// nobody any more, the phones answer by themselves.
func TestAnswered(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	s.typed = readLines(strings.NewReader("\nwhat?\n P \n"))
	if err := s.showPayments(context.Background()); err != nil {
		t.Fatal(err)
	}
	const question = "  p pays, c cancels, Enter ignores: "
	printed := strings.ReplaceAll(out.String(), question, question+"\n") // a terminal shows what is typed
	checkWidth(t, printed)
	statuses := regexp.MustCompile(`(?m)^  the phone \w+(?: silent)? +replaced +(\w+)`).FindAllStringSubmatch(printed, -1)
	var got []string
	for _, match := range statuses {
		got = append(got, match[1])
	}
	if want := []string{"TIMEOUT", "SUCCESS", "TIMEOUT", "SUCCESS"}; !slices.Equal(got, want) {
		t.Errorf("the phones' answers became %v, want %v:\n%s", got, want, out.String())
	}
	if n := strings.Count(printed, question); n != 4 {
		t.Errorf("it asks %d times, want 4: twice for the second payment, and for the fourth not at all", n)
	}
	if line := "  On the phone: pay KES 500 to Duka la Amina for ORDER-002?\n"; !strings.Contains(out.String(), line) {
		t.Errorf("there is no %q in\n%s", line, out.String())
	}
}

// TestAuto: with -auto nobody is asked.
func TestAuto(t *testing.T) {
	setenv(t, nil)
	var out, errOut strings.Builder
	if code := command(context.Background(), []string{"-once", "-auto", "-port", "0"}, strings.NewReader("c\n"), &out, &errOut); code != 0 {
		t.Fatalf("it ends with %d: %s", code, errOut.String())
	}
	if strings.Contains(out.String(), "On the phone") || !strings.Contains(out.String(), "\n  the phone pays ") {
		t.Errorf("it prints\n%s", out.String())
	}
}

// TestAnswerStopped: Ctrl-C does not wait for an answer.
func TestAnswerStopped(t *testing.T) {
	var out page
	s := newTestStage(t, &out)
	s.typed = make(chan string)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.showPayments(ctx) }()
	out.await(t, "Enter ignores: ")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, e := range s.safaricom.Ledger() {
		if e.Kind == fakesafaricom.Paid {
			t.Errorf("%s was paid", e.Reference)
		}
	}
}

// TestPaymentRefused: a refusal is a line of the table.
func TestPaymentRefused(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.Error1001(fakesafaricom.MerchantMissing))
	if err := s.showPayments(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ORDER-001                502   credentials",
		"ORDER-002                200   started    PENDING    -                -  amina",
	} {
		if !strings.Contains(out.String(), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

// TestPaymentUnsent: where Safaricom's answer is lost before it did anything, the
// function cannot know so, and there is no prompt to answer.
func TestPaymentUnsent(t *testing.T) {
	var out strings.Builder
	s := newTestStage(t, &out)
	s.safaricom.Once(fakesafaricom.Push, fakesafaricom.Torn())
	if err := s.showPayment(context.Background(), payments[0]); err != nil {
		t.Fatal(err)
	}
	want := "ORDER-001                200   started    PENDING    -                -  amina\n  (it has not reached the phone)\n"
	if out.String() != want {
		t.Errorf("it prints\n%s, want\n%s", out.String(), want)
	}
}

// TestTerminal: nobody is asked in a pipe or a file.
func TestTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "input"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if in := terminal(f); in != nil {
		t.Errorf("terminal of a file = %v, want nil", in)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if in := terminal(r); in != nil {
		t.Errorf("terminal of a pipe = %v, want nil", in)
	}
}

// A shell command with a body that it takes from a variable is what a person copies.
var copied = regexp.MustCompile(`body='(\S+)'\n *body=\$body'(\S+)'\n *curl -H "(\S+): (\S+)" -H "(\S+): (\S+)" \\\n *-H "(\S+): (\S+)" \\\n *-d '(\S+)'"\$body"'(\S+)' \\\n *(http\S+)\n`)

// runCopied does what the shell would with such a command.
func runCopied(t *testing.T, command string) (status int, reply map[string]any) {
	t.Helper()
	part := copied.FindStringSubmatch(command)
	if part == nil {
		t.Fatalf("there is no such command in\n%s", command)
	}
	req, err := http.NewRequest(http.MethodPost, part[11], strings.NewReader(part[9]+part[1]+part[2]+part[10]))
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 9; i += 2 {
		req.Header.Set(part[i], part[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, reply
}

// TestAsk does what the command suggests, while it stays up and a person answers the
// phones.
func TestAsk(t *testing.T) {
	setenv(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out page
	in, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typing.Close()
	ended := make(chan int, 1)
	go func() { ended <- command(ctx, []string{"-port", "0"}, in, &out, &out) }()
	fmt.Fprint(typing, "p\np\np\np\np\n")
	out.await(t, `Ctrl-C stops`)

	status, execution := runCopied(t, out.String())
	if status != http.StatusCreated || execution["responseStatusCode"] != float64(200) {
		t.Fatalf("createExecution: %d %v", status, execution)
	}
	var reply struct{ ID, Status string }
	if err := json.Unmarshal([]byte(fmt.Sprint(execution["responseBody"])), &reply); err != nil || reply.Status != "PENDING" {
		t.Errorf("the reply is %v: %v", execution["responseBody"], err)
	}
	out.await(t, `On the phone: pay KES 250 to Duka la Amina for ORDER-006\?\n  p pays, c cancels, Enter ignores: `)
	out.await(t, `(?m)^\d\d:\d\d:\d\d log    route=stk/push id=`+reply.ID+` status=PENDING outcome=started .*\n  On the phone: `)
	fmt.Fprint(typing, "c\n")
	out.await(t, `\d\d:\d\d:\d\d log    route=callback id=`+reply.ID+` status=CANCELLED outcome=replaced `)

	// The same command again is the same payment.
	if _, again := runCopied(t, out.String()); !strings.Contains(fmt.Sprint(again["responseBody"]), `"status":"CANCELLED"`) {
		t.Errorf("asked again: %v", again["responseBody"])
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("after Ctrl-C it ends with %d", code)
	}
}

// TestStayUpAlone: where nobody answers the phones, they pay.
func TestStayUpAlone(t *testing.T) {
	s := newTestStage(t, &page{})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan bool)
	go s.passTime(ctx)
	go func() { s.stayUp(ctx); close(ended) }()
	id := fakeappwrite.NewID()
	if status, reply, err := ask(s.Machine, "juma", pushBody(id, "0700000041", 250, "ORDER-005")); status != 200 || err != nil {
		t.Fatalf("%d %s %v", status, reply, err)
	}
	paid := &page{}
	s.log.mu.Lock()
	s.log.out, s.log.printing = paid, true
	s.log.mu.Unlock()
	paid.await(t, `route=callback id=`+id+` status=SUCCESS outcome=replaced `)
	stop()
	<-ended
}
