package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

var sweepSoakFlags = newSoakFlags("SweepSoak", "payments", 100)

// TestSweepSoak has apps ask for payments of which every fifth loses its callback and
// every twentieth its acknowledgement, and then lets three days pass in which two
// processes, whose clocks are 30 s apart, sweep at the same times: while calls fail,
// processes die, and Safaricom answers questions with too much traffic, pages, another's
// payment, or nothing. In the end each payment says what the ledger says, or there is a
// line that names it.
func TestSweepSoak(t *testing.T) {
	t.Parallel()
	seed := sweepSoakFlags.draw()
	total := &sweepTally{ended: map[string]int{}}
	sweepSoakFlags.inWorlds(t, seed, func(t *testing.T, world uint64, size int) {
		s := &sweepSoak{pushSoak: newPushSoak(t, seed, world, 30*time.Second)}
		s.run(size)
		s.judge(total)
	})
	fmt.Printf("soak of the sweep: seed %d, %s", seed, total)
	if total.wrong > 0 {
		t.Errorf("repeat it with: %s", sweepSoakFlags.command(seed))
	}
	// A soak in which nothing is lost proves nothing.
	if total.untold < total.payments/20 || total.questions < total.payments/5 || total.deaths == 0 {
		t.Errorf("of %d payments %d lost their callback, %d questions were asked and %d processes died: want more to judge",
			total.payments, total.untold, total.questions, total.deaths)
	}
}

// sweepSoak is one shop whose function sweeps.
type sweepSoak struct{ *pushSoak }

// run has about that many payments asked for, and then lets three days pass.
func (s *sweepSoak) run(payments int) {
	for len(s.payments) < payments {
		var todo []*wanted
		for range min(10, payments-len(s.payments)) {
			todo = append(todo, s.want())
			if s.rng.IntN(5) == 0 {
				s.safaricom.Once(fakesafaricom.Push, fakesafaricom.CallbackLost())
			}
			if s.rng.IntN(20) == 0 {
				s.safaricom.Once(fakesafaricom.Push, fakesafaricom.LostAck())
			}
		}
		s.answers()
		if s.rng.IntN(4) == 0 {
			s.Appwrite.Inject(s.apiFault(1 + s.rng.IntN(3)))
		}
		s.setDying(s.rng.IntN(2) * s.rng.IntN(10))
		s.askAll(todo, func() {})
		s.Appwrite.Heal()
		s.step(time.Duration(1+s.rng.IntN(10))*time.Minute, true)
	}
	passDays(20*time.Hour, s.step)
}

// step lets time pass and both processes sweep. In rough weather calls fail and
// processes die.
func (s *sweepSoak) step(d time.Duration, rough bool) {
	s.passTime(d)
	for range s.rng.IntN(3) {
		s.safaricom.Once(fakesafaricom.Query, s.questionFault())
	}
	if rough {
		if s.rng.IntN(3) == 0 {
			s.Appwrite.Inject(s.apiFault(1 + s.rng.IntN(4)))
		}
		if s.rng.IntN(10) == 0 {
			s.safaricom.Once(fakesafaricom.OAuth, s.tokenFault())
		}
		s.setDying(s.rng.IntN(2) * s.rng.IntN(40))
	}
	var sweeps sync.WaitGroup
	for range 2 {
		sweeps.Add(1)
		go func() {
			defer sweeps.Done()
			s.Runtime.Execute(fakeappwrite.Execution{Method: http.MethodPost, Path: "/"})
		}()
	}
	sweeps.Wait()
	s.Appwrite.Heal()
	s.safaricom.Heal()
	s.setDying(0)
	s.collect()
}

// questionFault draws what Safaricom says instead of an answer.
func (s *sweepSoak) questionFault() fakesafaricom.Fault {
	all := []fakesafaricom.Fault{
		fakesafaricom.SpikeArrest(), fakesafaricom.Error(500, "500.003.02", "System is busy. Please try again in few minutes."),
		fakesafaricom.HTML(200), fakesafaricom.HTML(503), fakesafaricom.Incapsula(), fakesafaricom.Empty(200), fakesafaricom.Empty(500), fakesafaricom.Torn(),
		fakesafaricom.LostAck(), fakesafaricom.Empty1001(), fakesafaricom.Error1001(fakesafaricom.BeingProcessed), fakesafaricom.Error1001(fakesafaricom.DoesNotExist),
		fakesafaricom.Envelope(), fakesafaricom.InvalidToken(404), fakesafaricom.InvalidToken(401), fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"`),
		fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0","CheckoutRequestID":"ws_CO_another","ResultCode":"0","ResultDesc":"paid"}`),
		fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0","CheckoutRequestID":"ws_CO_another","ResultCode":"1","ResultDesc":"no money"}`),
		fakesafaricom.Reply(500, "application/json", `{"ResponseCode":"0","CheckoutRequestID":"ws_CO_another","ResultCode":"1032","ResultDesc":"cancelled"}`),
	}
	return all[s.rng.IntN(len(all))]
}

// sweepTally is the oracle's account of all worlds.
type sweepTally struct {
	mu                                                                           sync.Mutex
	payments, untold, prompts, paid, questions, deaths, found, unresolved, wrong int
	ended                                                                        map[string]int
}

func (n *sweepTally) String() string {
	return fmt.Sprintf(`%d payments, of which %d without a callback
  prompts %d, paid %d
  questions answered %d, processes that died %d
  found by the sweep alone %d, lines of what nobody can tell %d
  ended: %v
  wrong: %d
`, n.payments, n.untold, n.prompts, n.paid, n.questions, n.deaths, n.found, n.unresolved, n.ended, n.wrong)
}

func (s *sweepSoak) wrong(n *sweepTally, format string, args ...any) {
	n.wrong++
	s.t.Errorf(format, args...)
}

// judge holds every document to the ledger.
func (s *sweepSoak) judge(n *sweepTally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	events := &pushTally{ended: map[string]int{}}
	truths := s.truths(events)
	n.prompts, n.paid, n.deaths = n.prompts+events.prompts, n.paid+events.paid, n.deaths+s.deaths
	s.judgePushEvents(events, truths)
	n.wrong += events.wrong
	s.judgeQuestions(n)
	for _, p := range s.payments {
		n.payments++
		t := truths[p.id]
		if t == nil {
			t = &truth{}
		}
		s.judgePayment(n, p, t)
	}
	for _, line := range s.errors {
		if strings.Contains(line, "CHARGED-TWICE") || strings.HasPrefix(line, "panic ") {
			s.wrong(n, "the error log says %s", line)
		}
	}
}

func (s *sweepSoak) judgePayment(n *sweepTally, p *wanted, t *truth) {
	d, found := s.Appwrite.Document("daraja", "payments", p.id)
	if !found {
		n.ended["no document"]++
		if t.calls > 0 {
			s.wrong(n, "%s was sent and has no document", p.id)
		}
		return
	}
	status, _ := d.Data["status"].(string)
	name, _ := d.Data["checkoutRequestId"].(string)
	n.ended[status]++
	told := t.taken || t.refused
	if t.sends > 0 && !told {
		n.untold++
	}
	if t.prompts > 1 || t.sends > 1 || len(t.paid) > 1 {
		s.wrong(n, "%s was sent %d times, prompted %d times and paid %d times", p.id, t.sends, t.prompts, len(t.paid))
	}
	if d.Data["nextCheckAt"] != nil || status == "PENDING" {
		s.wrong(n, "three days later %s is %v", p.id, d.Data)
	}
	paid := len(t.paid) == 1
	line := slices.ContainsFunc(s.errors, func(line string) bool {
		return strings.HasPrefix(line, "UNRESOLVED route=sweep id="+p.id+" ")
	})
	if line {
		n.unresolved++
	}
	switch {
	case status == "SUCCESS" && !paid:
		s.wrong(n, "%s says %v, and was not paid", p.id, d.Data)
	case status == "SUCCESS" && told && (d.Data["receipt"] != t.paid[0].Receipt || d.Data["amount"] != t.paid[0].Amount):
		s.wrong(n, "%s says %v, and the ledger %v", p.id, d.Data, t.paid)
	case status == "SUCCESS" && !told:
		n.found++
	case paid && (told || name != "") && status != "SUCCESS":
		s.wrong(n, "%s was paid, and says %v", p.id, d.Data)
	case paid && status != "SUCCESS" && status != "TIMEOUT":
		s.wrong(n, "%s was paid, and says %v", p.id, d.Data)
	case status == "TIMEOUT" && !line:
		s.wrong(n, "nobody can tell of %s, and no line names it: %v", p.id, d.Data)
	}
}

// judgeQuestions: no payment is asked about twice in one step.
func (s *sweepSoak) judgeQuestions(n *sweepTally) {
	last := map[string]time.Time{}
	for _, call := range s.safaricom.Calls(fakesafaricom.Query) {
		var body struct{ CheckoutRequestID string }
		if err := json.Unmarshal(call.Body, &body); err != nil {
			s.t.Fatal(err)
		}
		if call.Status == 400 || call.Status == 401 || call.Status == 404 { // the token is refused, and daraja asks again
			continue
		}
		n.questions++
		if before, asked := last[body.CheckoutRequestID]; asked && call.At.Sub(before) < time.Minute {
			s.wrong(n, "%s was asked about at %v and at %v", body.CheckoutRequestID, before, call.At)
		}
		last[body.CheckoutRequestID] = call.At
	}
}
