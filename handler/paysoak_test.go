package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

var paySoakFlags = newSoakFlags("PaySoak", "payouts", 200)

// TestPaySoak has apps ask for payouts, many at once and each again and again, while
// whatever can fail does: calls of Appwrite and of Safaricom, before and after they are
// carried out; requests that arrive when their sender has long given up; results that are
// lost, late, doubled, too early, under another id, or no more than a queue timeout;
// processes that die between two steps; an initiator whose password is wrong for a while;
// and sweeps, whose questions and answers fare no better. Then three days pass. The ledger
// of payouts judges: nothing was paid twice for one id, nothing that was paid is called
// failed, nothing that was not is called paid, no more was paid in a day than may be, and
// each payout of which nobody can tell has its line.
func TestPaySoak(t *testing.T) {
	t.Parallel()
	seed := paySoakFlags.draw()
	total := &payTally{ended: map[string]int{}}
	paySoakFlags.inWorlds(t, seed, func(t *testing.T, world uint64, size int) {
		s := newPaySoak(t, seed, world)
		s.run(size)
		s.judge(total)
	})
	fmt.Printf("soak of payouts: seed %d, %s", seed, total)
	if total.wrong > 0 {
		t.Errorf("repeat it with: %s", paySoakFlags.command(seed))
	}
	// A soak in which nothing happens proves nothing.
	if total.paid < total.payouts/50 || total.ended["SUCCESS"] < total.payouts/50 || total.untold < total.payouts/50 || total.questions == 0 || total.deaths == 0 {
		t.Errorf("too little has happened: %s", total)
	}
}

const soakedDaily = 60_000 // shillings

// paySoak is one business that pays out.
type paySoak struct{ *pushSoak }

func newPaySoak(t *testing.T, seed, world uint64) *paySoak {
	shop := payer(openShop(t))
	shop.Set("DARAJA_PAYOUT_MAX", "2000")
	shop.Set("DARAJA_PAYOUT_DAILY", strconv.Itoa(soakedDaily))
	s := &paySoak{soakOf(shop, "/b2c/pay", seed, world, 0)}
	s.safaricom.ServerMadeIDs = s.rng.IntN(2) == 0
	s.safaricom.HideOwnIDs = s.rng.IntN(3) == 0
	for i := range 6 {
		s.signIn(fakeappwrite.User{ID: fmt.Sprint("user-", i), EmailVerification: true, Labels: []string{"payouts"}})
	}
	return s
}

// run has about that many payouts asked for, in rounds between which time passes, and then
// lets three days pass.
func (s *paySoak) run(payouts int) {
	for len(s.payments) < payouts {
		var todo []*wanted
		for range min(10, payouts-len(s.payments)) {
			p := s.wantOut()
			for range 1 + s.rng.IntN(4) {
				todo = append(todo, p)
			}
		}
		for range 6 {
			todo = append(todo, s.payments[s.rng.IntN(len(s.payments))])
		}
		s.payees()
		s.storm()
		s.askAll(todo, s.gust)
		if s.rng.IntN(2) == 0 {
			s.passTime(time.Duration(s.rng.IntN(300)) * time.Second)
		}
		s.mend()
		s.employ(fakesafaricom.Merchant{})
		// What was late comes while apps ask again.
		s.askAll(append(todo, nil), func() {})
		s.step(time.Duration(1+s.rng.IntN(120))*time.Minute, true)
	}
	s.askAll([]*wanted{nil}, func() {})
	passDays(12*time.Hour, s.step)
	s.passTime(30 * day)
	replayAll(s.t, s.running[0].function, s.errors)
	s.collect()
}

// wantOut draws a payout.
func (s *paySoak) wantOut() *wanted {
	n := s.rng.Uint64()
	p := &wanted{id: fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(n), len(s.payments), uint32(n>>32)%0x1000, uint32(n>>44)%0x1000, n>>16),
		user: fmt.Sprint("user-", s.rng.IntN(6))}
	again := ""
	if s.rng.IntN(10) == 0 {
		again = `,"again":true`
	}
	p.body = fmt.Sprintf(`{"id":%q,"phone":%q,"amount":%d,"remarks":"Salary %d"%s}`, p.id, fmt.Sprintf("2547000000%02d", 1+s.rng.IntN(30)),
		[]int{500, 1000, 2000, 2001}[s.rng.IntN(4)], s.rng.IntN(3), again)
	s.payments = append(s.payments, p)
	return p
}

// payees draws with what payouts end from now on.
func (s *paySoak) payees() {
	for i := range soakedPhones {
		all := []string{"0", "0", "0", "0", "0", "0", "2040", "17", "15", "SFC_IC0003", "100000000", "TP40153"}
		s.safaricom.SetPhone(fmt.Sprintf("2547000000%02d", 1+i), fakesafaricom.Phone{Payout: all[s.rng.IntN(len(all))]})
	}
}

// storm breaks much or little.
func (s *paySoak) storm() {
	switch s.rng.IntN(15) {
	case 0, 1, 2, 3:
		for range 10 {
			s.Appwrite.Inject(s.apiFault(1 + s.rng.IntN(3)))
		}
	case 4:
		s.Appwrite.Inject(s.apiFault(0))
	case 5:
		s.Appwrite.SetDatabaseDown(s.rng.IntN(2) == 0)
	case 6: // the initiator's password was changed, and nobody has told the function
		if s.rng.IntN(2) == 0 { // for an hour after it nothing is paid out
			s.employ(fakesafaricom.Merchant{InitiatorPassword: "changed"})
		}
	}
	for range s.rng.IntN(6) {
		s.safaricom.Once(fakesafaricom.B2C, s.payoutFault())
	}
	for range s.rng.IntN(2) {
		s.safaricom.Once(fakesafaricom.OAuth, s.tokenFault())
	}
	for range s.rng.IntN(8) {
		s.safaricom.Once(fakesafaricom.B2C, s.resultFault())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rng.IntN(2) == 0 {
		s.dying = 1 + s.rng.IntN(25)
	}
	if s.rng.IntN(2) == 0 {
		s.straying = 1 + s.rng.IntN(30)
	}
}

// gust breaks the same call some times in a row while apps ask, or voids the token.
func (s *paySoak) gust() {
	switch s.rng.IntN(100) {
	case 0, 1:
		s.Appwrite.Inject(s.apiFault(2 + s.rng.IntN(5)))
	case 2:
		s.safaricom.VoidTokens(payoutKey)
	}
}

// payoutFault draws one of a payout. Those after which no money moves are never carried
// out; every 5xx may be.
func (s *paySoak) payoutFault() fakesafaricom.Fault {
	refusals := []fakesafaricom.Fault{
		fakesafaricom.InvalidToken(404), fakesafaricom.InvalidToken(400), fakesafaricom.InvalidToken(401), fakesafaricom.NoProduct(), fakesafaricom.SpikeArrest(),
		fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PartyB"), fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid InitiatorName"),
	}
	unclear := []fakesafaricom.Fault{
		fakesafaricom.Torn(), fakesafaricom.HTML(200), fakesafaricom.HTML(502), fakesafaricom.Empty(200), fakesafaricom.Empty(500),
		fakesafaricom.Incapsula(), fakesafaricom.Envelope(), fakesafaricom.Error1001(fakesafaricom.WrongCredentials), fakesafaricom.Error1001(""),
		fakesafaricom.Error(500, "500.002.1001", "System internal error."), fakesafaricom.Error(500, "500.003.1001", "Internal Server Error"),
		fakesafaricom.Error(500, "500.003.02", "System is busy. Please try again in few minutes."), fakesafaricom.Error(500, "500.003.03", "Quota Violation"),
		fakesafaricom.Error(408, "408.001.01", "Timeout"), fakesafaricom.Error(409, "409.001.01", "Conflict"),
		fakesafaricom.Error(500, "500.002.1001", "Duplicate OriginatorConversationID."),
		fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"`), fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"}`),
	}
	switch s.rng.IntN(8) {
	case 0, 1:
		return refusals[s.rng.IntN(len(refusals))]
	case 2:
		return fakesafaricom.LostAck()
	case 3:
		return fakesafaricom.Slow(time.Duration(1+s.rng.IntN(3)) * time.Second)
	case 4, 5:
		return unclear[s.rng.IntN(len(unclear))]
	default:
		return unclear[s.rng.IntN(len(unclear))].CarriedOut()
	}
}

// resultFault draws one of a result.
func (s *paySoak) resultFault() fakesafaricom.Fault {
	all := []fakesafaricom.Fault{
		fakesafaricom.CallbackLost(), fakesafaricom.CallbackLost(), fakesafaricom.CallbackLate(time.Duration(s.rng.IntN(7200)) * time.Second),
		fakesafaricom.CallbackTwice(), fakesafaricom.CallbackBeforeAck(), fakesafaricom.CallbackOutOfOrder(),
		fakesafaricom.QueueTimeout(true), fakesafaricom.QueueTimeout(false),
	}
	return all[s.rng.IntN(len(all))]
}

// questionFault draws what comes of a question, or of its answer.
func (s *paySoak) questionFault() fakesafaricom.Fault {
	all := []fakesafaricom.Fault{
		fakesafaricom.SpikeArrest(), fakesafaricom.HTML(503), fakesafaricom.Empty(500), fakesafaricom.Torn(), fakesafaricom.LostAck(), fakesafaricom.InvalidToken(401),
		fakesafaricom.Error(500, "500.003.02", "System is busy. Please try again in few minutes."), fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"`),
		fakesafaricom.CallbackLost(), fakesafaricom.CallbackTwice(), fakesafaricom.CallbackBeforeAck(), fakesafaricom.QueueTimeout(true),
		fakesafaricom.CallbackLate(time.Duration(s.rng.IntN(7200)) * time.Second),
	}
	return all[s.rng.IntN(len(all))]
}

// step lets time pass and both processes sweep. In rough weather calls fail and processes
// die.
func (s *paySoak) step(d time.Duration, rough bool) {
	s.passTime(d)
	if rough {
		for range s.rng.IntN(3) {
			s.safaricom.Once(fakesafaricom.Status, s.questionFault())
		}
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
	done := make(chan struct{})
	go func() { sweeps.Wait(); close(done) }()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-time.After(50 * time.Millisecond): // an answer may be held back until a callback is due
			s.advance(time.Second)
		}
	}
	s.Appwrite.Heal()
	s.safaricom.Heal()
	s.setDying(0)
	s.passTime(10 * time.Second)
}

// payTally is the oracle's account of all worlds.
type payTally struct {
	mu                                                          sync.Mutex
	payouts, asks, unheard, deaths, strayed, sends, paid        int
	untold, questions, found, unresolved, forbidden, busy       int
	paidTwice, failedAndPaid, successUnpaid, withoutLine, wrong int
	ended                                                       map[string]int
}

func (n *payTally) String() string {
	return fmt.Sprintf(`%d payouts
  asked for %d times, of which %d times without an answer; over a ceiling %d, alike %d
  processes that died %d, requests that arrived late %d
  sent %d, paid out %d, without a result %d
  questions %d, found by them %d, lines of what nobody can tell %d
  paid twice                    %d
  FAILED though paid            %d
  SUCCESS though not paid       %d
  unresolved without its line   %d
  ended: %v
  wrong: %d
`, n.payouts, n.asks, n.unheard, n.forbidden, n.busy, n.deaths, n.strayed, n.sends, n.paid, n.untold, n.questions, n.found, n.unresolved,
		n.paidTwice, n.failedAndPaid, n.successUnpaid, n.withoutLine, n.ended, n.wrong)
}

// fault notes down that something is wrong, in a count of its own if it has one.
func (s *paySoak) fault(n *payTally, count *int, format string, args ...any) {
	n.wrong++
	if count != nil {
		*count++
	}
	s.t.Errorf(format, args...)
}

// outs returns what Safaricom knows of each payout.
func (s *paySoak) outs() map[string]*truth {
	all := map[string]*truth{}
	of := func(id string) *truth {
		if all[id] == nil {
			all[id] = &truth{}
		}
		return all[id]
	}
	for _, call := range s.safaricom.Calls(fakesafaricom.B2C) {
		var body struct{ OriginatorConversationID string }
		if err := json.Unmarshal(call.Body, &body); err != nil {
			s.t.Fatal(err)
		}
		t := of(body.OriginatorConversationID)
		t.calls++
		if call.Status != 400 && call.Status != 401 && call.Status != 404 { // with which tokens are refused
			t.sends++
		}
	}
	for _, e := range s.safaricom.Ledger() {
		of(e.ID).paid = append(of(e.ID).paid, e)
	}
	for _, d := range s.safaricom.Deliveries() {
		if d.Operation == fakesafaricom.B2C && strings.Contains(d.URL, "/"+forResult+"?") {
			of(d.ID).taken = of(d.ID).taken || d.Status == http.StatusOK
			of(d.ID).refused = of(d.ID).refused || d.Status == http.StatusServiceUnavailable
		}
	}
	return all
}

// judge holds every document, every event and every reply to the ledger.
func (s *paySoak) judge(n *payTally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	outs := s.outs()
	n.deaths, n.strayed, n.questions = n.deaths+s.deaths, n.strayed+s.strayed, n.questions+len(s.safaricom.Calls(fakesafaricom.Status))
	events := &pushTally{ended: map[string]int{}}
	s.judgePushEvents(events, outs)
	n.wrong += events.wrong
	for _, p := range s.payments {
		t := outs[p.id]
		if t == nil {
			t = &truth{}
		}
		n.payouts++
		n.asks += len(p.told) + p.unheard
		n.unheard += p.unheard
		n.sends += t.sends
		n.paid += len(t.paid)
		s.judgePayout(n, p, t)
		s.judgeTold(n, p, t)
	}
	s.judgeCeiling(n)
	if stored := s.Appwrite.Documents("daraja", "disbursements"); len(stored) > len(s.payments) {
		s.fault(n, nil, "there are %d documents of %d payouts", len(stored), len(s.payments))
	}
	for _, line := range s.errors {
		if strings.Contains(line, "CHARGED-TWICE") || strings.HasPrefix(line, "panic ") || strings.HasPrefix(line, "mismatch ") {
			s.fault(n, nil, "the error log says %s", line)
		}
	}
}

func (s *paySoak) judgePayout(n *payTally, p *wanted, t *truth) {
	if t.sends > 1 || len(t.paid) > 1 {
		s.fault(n, &n.paidTwice, "%s was sent %d times and paid %d times", p.id, t.sends, len(t.paid))
	}
	d, found := s.Appwrite.Document("daraja", "disbursements", p.id)
	if !found {
		n.ended["no document"]++
		if t.calls > 0 {
			s.fault(n, nil, "%s was sent and has no document", p.id)
		}
		return
	}
	status, _ := d.Data["status"].(string)
	reason, _ := d.Data["failureReason"].(string)
	n.ended[status]++
	if readers := testbed.Readers(d); readers != "user:"+p.user {
		s.fault(n, nil, "%s is read by %q, want %s", p.id, readers, p.user)
	}
	if d.Data["nextCheckAt"] != nil || status == "PENDING" {
		s.fault(n, nil, "three days later %s is %v", p.id, d.Data)
	}
	paid, told := len(t.paid) > 0, t.taken || t.refused
	if t.sends > 0 && !told {
		n.untold++
	}
	line := slices.ContainsFunc(s.errors, func(line string) bool {
		return strings.HasPrefix(line, "UNRESOLVED route=") && strings.Contains(line, " id="+p.id+" ")
	})
	if line {
		n.unresolved++
	}
	switch {
	case status == "SUCCESS" && (!paid || d.Data["receipt"] != t.paid[0].Receipt || d.Data["amount"] != t.paid[0].Amount):
		s.fault(n, &n.successUnpaid, "%s says %v, and the ledger %v", p.id, d.Data, t.paid)
	case status == "SUCCESS" && !told:
		n.found++
	case status == "FAILED" && paid:
		s.fault(n, &n.failedAndPaid, "%s was paid, and says %s %s", p.id, status, reason)
	case paid && told && status != "SUCCESS":
		s.fault(n, nil, "%s was paid, its result came, and it says %s %s", p.id, status, reason)
	case status == "TIMEOUT" && !line:
		s.fault(n, &n.withoutLine, "nobody can tell of %s, and no line names it: %v", p.id, d.Data)
	case strings.HasPrefix(reason, settle.Interrupted) && t.calls > 0:
		s.fault(n, nil, "%s was sent, and says %s", p.id, reason)
	}
}

// judgeTold holds what the app was told of one payout to what is true.
func (s *paySoak) judgeTold(n *payTally, p *wanted, t *truth) {
	for _, told := range p.told {
		switch kind := told.kind(); {
		case len(t.paid) > 0 && (kind == "FAILED" || told.field("claimed") == true):
			s.fault(n, &n.failedAndPaid, "%s was paid, and its app was told %s", p.id, told.body)
		case len(t.paid) == 0 && kind == "SUCCESS":
			s.fault(n, &n.successUnpaid, "%s was not paid, and its app was told %s", p.id, told.body)
		case kind == "forbidden":
			n.forbidden++
		case kind == "busy":
			n.busy++
		}
	}
}

// judgeCeiling: within no 24 hours more was paid than may be, counted from when it was
// asked for.
func (s *paySoak) judgeCeiling(n *payTally) {
	type paid struct {
		at     time.Time
		amount int64
	}
	var all []paid
	for _, e := range s.safaricom.Ledger() {
		d, found := s.Appwrite.Document("daraja", "disbursements", e.ID)
		if !found {
			continue
		}
		all = append(all, paid{d.CreatedAt, e.Amount})
	}
	for _, last := range all {
		total := int64(0)
		for _, p := range all {
			if !p.at.After(last.at) && last.at.Sub(p.at) < ceilingWindow {
				total += p.amount
			}
		}
		if total > soakedDaily {
			s.fault(n, nil, "%d shillings were paid within a day, and %d may be", total, soakedDaily)
			return
		}
	}
}
