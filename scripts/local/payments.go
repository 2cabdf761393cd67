package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
)

// A payment is one that a user asks for.
type payment struct {
	reference string
	phone     string
	amount    int64
	answer    fakesafaricom.Answer // of the phone, if nobody answers it
	lost      bool                 // Safaricom's acknowledgement
	untold    bool                 // Safaricom never posts what became of it
}

// payments are asked for in this order.
var payments = []payment{
	{reference: "ORDER-001", phone: "0700000031", amount: 1000, answer: fakesafaricom.Pays},
	{reference: "ORDER-002", phone: "0700000032", amount: 500, answer: fakesafaricom.Cancels},
	{reference: "ORDER-003", phone: "0700000033", amount: 250, answer: fakesafaricom.Silent},
	{reference: "ORDER-004", phone: "0700000034", amount: 1500, answer: fakesafaricom.Pays, lost: true},
	{reference: "ORDER-005", phone: "0700000035", amount: 750, answer: fakesafaricom.Pays, untold: true},
}

// outcomeKnown is when the outcome of every prompt is known, and its callback was
// posted. The fake's clock is moved on by so much: nobody waits for a minute.
const outcomeKnown = 62 * time.Second

// merchant is who is paid, under the sandbox's shortcode.
func merchant() fakesafaricom.Merchant {
	return fakesafaricom.Merchant{
		Name: "Duka la Amina", ConsumerKey: "key-of-the-fake", ConsumerSecret: "secret-of-the-fake",
		Shortcode: "174379", Passkey: "passkey-of-the-fake",
	}
}

// newSafaricom returns a Safaricom whose clock is so far behind that, moved on for each
// payment and payout, it never says of anything that it happened in the future.
func newSafaricom() *fakesafaricom.Safaricom {
	s := fakesafaricom.NewAt(time.Now().Add(-time.Duration(len(payments)+2*len(payouts)+1) * outcomeKnown))
	s.AllowLoopback = true
	s.Strangers = fakesafaricom.Phone{Answer: fakesafaricom.Asks}
	s.AddMerchant(merchant())
	return s
}

// pushSettings are the variables for starting payments.
func (m *machine) pushSettings() map[string]string {
	return map[string]string{
		"DARAJA_CONSUMER_KEY":    merchant().ConsumerKey,
		"DARAJA_CONSUMER_SECRET": merchant().ConsumerSecret,
		"DARAJA_SHORTCODE":       merchant().Shortcode,
		"DARAJA_PASSKEY":         merchant().Passkey,
		"DARAJA_ENVIRONMENT":     "sandbox",
		"DARAJA_BASE_URL":        m.safaricomURL,
		"DARAJA_SIGNING_KEY":     strings.Repeat("0123456789abcdef", 4),
		"DARAJA_PUBLIC_URL":      m.FunctionURL,
		"DARAJA_UNVERIFIED_PUSH": "any", // the page goes on without an account
	}
}

// amina asks for the payments shown, and for those of the page. As a cashier she may ask
// for as many as she likes.
var amina = fakeappwrite.User{ID: "amina", Name: "Amina", Email: "amina@example.com", Password: password, EmailVerification: true, Labels: []string{"cashier"}}

// addUsers adds amina, and juma, as whom a person at a shell may ask.
func (m *machine) addUsers() {
	for _, user := range []fakeappwrite.User{amina, {ID: "juma", EmailVerification: true}} {
		m.Appwrite.AddUser(user)
		m.Appwrite.AddSession(session(user.ID), user.ID)
	}
}

func session(user string) string { return "session-of-" + user }

// showPayments has amina ask for all payments, and prints how the document of each goes
// from PENDING to its verdict.
func (s *stage) showPayments(ctx context.Context) error {
	fmt.Fprint(s.out, "\n")
	fmt.Fprintf(s.out, row, "ASKED FOR BY A USER", "HTTP", "OUTCOME", "STATUS", "RECEIPT", "AMOUNT", "READER")
	for _, p := range payments {
		if err := s.showPayment(ctx, p); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// showPayment prints two lines: of what the app was told, and of the verdict.
func (s *stage) showPayment(ctx context.Context, p payment) error {
	if p.lost {
		s.safaricom.Once(fakesafaricom.Push, fakesafaricom.LostAck())
	}
	if p.untold {
		s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLost())
	}
	id := fakeappwrite.NewID()
	s.log.take()
	status, reply, err := ask(s.Machine, "amina", pushBody(id, p.phone, p.amount, p.reference))
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		var failed struct{ Error struct{ Type string } }
		_ = json.Unmarshal([]byte(reply), &failed) // without a type, the status says it all
		fmt.Fprintf(s.out, refused, p.reference, status, failed.Error.Type)
		return nil
	}
	s.print(p.reference, status, outcome(s.log.take()), s.started(id))
	if p.lost {
		fmt.Fprint(s.out, "  (Safaricom's answer was lost; its callback is signed, and finds the payment)\n")
	}
	prompts := s.safaricom.Prompts("254" + p.phone[1:])
	if len(prompts) == 0 {
		fmt.Fprint(s.out, "  (it has not reached the phone)\n") // the function gave up, or Safaricom has
		return nil
	}
	prompt := prompts[len(prompts)-1]
	answer := s.answer(ctx, prompt, p.answer)
	if ctx.Err() != nil {
		return nil
	}
	if s.press(prompt, answer) != nil {
		fmt.Fprint(s.out, "  (too late: the prompt has gone)\n")
		answer = fakesafaricom.Silent
	}
	s.safaricom.Advance(outcomeKnown)
	if p.untold {
		fmt.Fprintf(s.out, "%s\n  (its callback never comes; two minutes later the sweep asks Safaricom)\n", did[answer])
		s.Clock.MoveTo(s.Clock.Now().Add(2 * time.Minute))
		s.sweep()
		s.print("  the sweep", "", outcome(s.log.take()), s.started(id))
		return nil
	}
	s.print(did[answer], "", outcome(s.log.take()), s.started(id))
	return nil
}

// sweep runs the function on its schedule, as Appwrite does every five minutes.
func (m *machine) sweep() {
	m.Runtime.Execute(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
}

// did says what a phone did.
var did = map[fakesafaricom.Answer]string{
	fakesafaricom.Pays: "  the phone pays", fakesafaricom.Cancels: "  the phone cancels", fakesafaricom.Silent: "  the phone is silent",
}

// started returns the document of a payment that was asked for.
func (s *stage) started(id string) fakeappwrite.Document {
	for _, d := range s.Appwrite.Documents("daraja", "payments") {
		if d.ID == id {
			return d
		}
	}
	return fakeappwrite.Document{}
}

// answer asks the person what the phone is to do. Without one, or when they are gone, it
// does what it does by itself.
func (s *stage) answer(ctx context.Context, p fakesafaricom.Prompt, byItself fakesafaricom.Answer) fakesafaricom.Answer {
	if s.typed == nil {
		return byItself
	}
	defer s.log.answered()
	question := fmt.Sprintf("  On the phone: pay KES %s to %s for %s?\n  p pays, c cancels, Enter ignores: ", shillings(p.Amount), p.Business, p.Reference)
	for {
		s.log.ask(question)
		select {
		case line, more := <-s.typed:
			if !more {
				s.typed = nil
				fmt.Fprintln(s.out)
				return byItself
			}
			switch strings.ToLower(strings.TrimSpace(line)) {
			case "p":
				return fakesafaricom.Pays
			case "c":
				return fakesafaricom.Cancels
			case "":
				return fakesafaricom.Silent
			}
		case <-ctx.Done():
			return byItself
		}
	}
}

// press does on the phone what was decided.
func (s *stage) press(p fakesafaricom.Prompt, answer fakesafaricom.Answer) error {
	switch answer {
	case fakesafaricom.Pays:
		return s.safaricom.Pay(p.CheckoutRequestID, "1234")
	case fakesafaricom.Cancels:
		return s.safaricom.Cancel(p.CheckoutRequestID)
	default:
		return s.safaricom.Ignore(p.CheckoutRequestID)
	}
}

// passTime lets the time of Safaricom and of the platform pass, its queue and its
// schedule, until ctx ends.
func (m *machine) passTime(ctx context.Context) {
	tick, sweep := time.NewTicker(100*time.Millisecond), time.NewTicker(time.Minute) // nobody waits for five here
	defer tick.Stop()
	defer sweep.Stop()
	for last := time.Now(); ; {
		select {
		case now := <-tick.C:
			m.safaricom.Advance(now.Sub(last))
			m.RunUntil(m.Clock.Now())
			last = now
		case <-sweep.C:
			m.sweep()
		case <-ctx.Done():
			return
		}
	}
}

// stayUp answers the phones of what others ask for, until ctx ends, but for those that
// somebody has on a screen.
func (s *stage) stayUp(ctx context.Context) {
	prompts := make(chan fakesafaricom.Prompt, 100)
	stop := s.safaricom.OnPrompt(func(p fakesafaricom.Prompt) {
		if p.Open {
			prompts <- p
		}
	})
	defer stop()
	for {
		select {
		case p := <-prompts:
			if s.site.watched() {
				continue
			}
			answer := s.answer(ctx, p, fakesafaricom.Pays)
			if ctx.Err() != nil {
				return
			}
			if err := s.press(p, answer); err != nil {
				fmt.Fprintln(s.out, err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// readLines hands over what is typed, line by line, and closes the channel at its end.
func readLines(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// pushBody is what an app posts.
func pushBody(id, phone string, amount int64, reference string) string {
	return fmt.Sprintf(`{"id":%s,"phone":%s,"amount":%d,"reference":%s}`, quoted(id), quoted(phone), amount, quoted(reference))
}

// ask calls the function as an app does: with createExecution and the session of a user.
// It returns the function's own status and reply.
func ask(m *testbed.Machine, user, body string) (status int, reply string, err error) {
	return call(m, "/stk/push", user, body)
}

// call does the same at any path.
func call(m *testbed.Machine, path, user, body string) (status int, reply string, err error) {
	params, err := json.Marshal(map[string]any{"async": false, "method": http.MethodPost, "path": path, "body": body})
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequest(http.MethodPost, executionsURL(m), bytes.NewReader(params))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Session", session(user))
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", err
	}
	var execution struct {
		ResponseStatusCode int
		ResponseBody       string
	}
	if err := json.Unmarshal(answer, &execution); err != nil || resp.StatusCode != http.StatusCreated {
		return 0, "", fmt.Errorf("createExecution: %d %s", resp.StatusCode, answer)
	}
	return execution.ResponseStatusCode, execution.ResponseBody, nil
}

func executionsURL(m *testbed.Machine) string {
	return m.AppwriteURL + "/functions/" + testbed.FunctionID + "/executions"
}

// pushCommand returns the command that asks for a payment, for a shell. The body is a
// string within JSON, and two lines long.
func pushCommand(m *testbed.Machine, id string) string {
	return fmt.Sprintf(`  body='{\"id\":\"%s\",\"phone\":\"0712345678\"'
  body=$body',\"amount\":250,\"reference\":\"ORDER-006\"}'
  curl -H "X-Appwrite-Project: %s" -H "X-Appwrite-Session: %s" \
    -H "Content-Type: application/json" \
    -d '{"async":false,"method":"POST","path":"/stk/push","body":"'"$body"'"}' \
    %s
`, id, fakeappwrite.ProjectID, session("juma"), executionsURL(m))
}
