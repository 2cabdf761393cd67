package handler

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

var callbackSoakFlags = newSoakFlags("Soak", "deliveries", 400)

// TestSoak delivers callbacks as they come in earnest (twice, late, in another
// order, many at once) while whatever can fail does, on each version of the
// platform in turn. An oracle that knows every callback judges the end.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := callbackSoakFlags.draw()
	worlds := min(16, max(4, *callbackSoakFlags.size/50)) // four versions, at least once
	soaks := make([]*soak, worlds)
	var wg sync.WaitGroup
	for i := range soaks {
		soaks[i] = newSoak(t, rand.New(rand.NewPCG(seed, uint64(i))), []string{"1.8.1", "1.9.0", "1.9.6", "2.0.0"}[i%4])
		wg.Add(1)
		go func() {
			defer wg.Done()
			soaks[i].run(*callbackSoakFlags.size / worlds)
		}()
	}
	wg.Wait()
	total := newTally()
	for _, s := range soaks {
		s.judge(total)
	}
	fmt.Printf("soak: seed %d, %s", seed, total)
	if total.failed() {
		t.Errorf("repeat it with: %s", callbackSoakFlags.command(seed))
	}
}

// callback is one thing that Safaricom says, and what the oracle knows of it.
type callback struct {
	target, body string
	id           string
	rank         int // 1 unknown, 2 failed or cancelled, 3 paid, 4 paid with receipt and amount
	receipt      string
	accepted     bool // answered 200, at least once
	refused      int  // answered 503, so often
}

// soak is one world under way.
type soak struct {
	*world
	t         *testing.T
	rng       *rand.Rand
	client    *http.Client
	callbacks []*callback
	events    []fakeappwrite.Event

	stuck        atomic.Bool
	logs, errors []string // taken from the world before its end
	queued       int      // first attempts that came due
	alone        int      // of those, without a copy in a later run
	strayed      int      // executions queued by one that were not the next of its run
	frozen       int      // deliveries after a freeze that needed more than two calls
}

func newSoak(t *testing.T, rng *rand.Rand, version string) *soak {
	w := newWorld(t)
	w.Appwrite.Version = version
	w.Appwrite.StringSequence = rng.IntN(2) == 0
	w.Appwrite.PostgreSQL = rng.IntN(2) == 0
	return &soak{world: w, t: t, rng: rng,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: testbed.Limit}}
}

// run makes about that many deliveries, in batches between which the weather
// changes and time passes.
func (s *soak) run(deliveries int) {
	for made := 0; made < deliveries && !s.stuck.Load(); {
		var batch []*callback
		for range 12 {
			batch = append(batch, s.transaction()...)
		}
		s.rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		mend := s.weather()
		s.deliver(batch)
		s.pass(s.rng.IntN(2) == 0)
		mend()
		s.pass(true)
		made += len(batch)
	}
	if s.stuck.Load() {
		return
	}
	s.freeze()
	s.Appwrite.RunUntil(s.Clock.Now().Add(30*day), s.Clock, s.execute)
	s.replay()
	s.collect()
}

// replay settles what is in the error log.
func (s *soak) replay() {
	logs, errors := s.Logged()
	s.logs, s.errors = append(s.logs, logs...), append(s.errors, errors...)
	replayAll(s.t, s.function, s.errors)
}

// freeze is what a container meets that was frozen for a while: its connections
// are dead, and none says so. Each may cost one call, not one each.
func (s *soak) freeze() {
	endpoint := s.Getenv("APPWRITE_FUNCTION_API_ENDPOINT")
	line := newForgetfulLine(s.t, s.world)
	batch := make([]*callback, filled)
	for i := range batch {
		batch[i] = s.stk(fmt.Sprintf("ws_CO_%08x%d", s.rng.Uint32(), i), 0, s.receipt())
	}
	s.callbacks = append(s.callbacks, batch...)
	line.fill(func(i int) { s.deliver(batch[i : i+1]) })
	line.forget()
	logs, errors := s.Logged()
	one := s.stk(fmt.Sprintf("ws_CO_frozen%d", s.rng.Uint32()), 0, s.receipt())
	s.callbacks = append(s.callbacks, one)
	s.deliver([]*callback{one})
	now, more := s.Logged()
	s.logs, s.errors = append(s.logs, append(logs, now...)...), append(s.errors, append(errors, more...)...)
	if len(now) != 1 || !regexp.MustCompile(`outcome=created attempt=0 calls=[12] `).MatchString(now[0]) {
		s.frozen++
		s.t.Errorf("after a freeze: %q, want it stored by the second call", now)
	}
	s.Set("APPWRITE_FUNCTION_API_ENDPOINT", endpoint)
}

// digits draws 26 of them without 1 and 7, with which the phone numbers of these tests
// begin: what looks like one may not be in the log.
func (s *soak) digits() string {
	return strings.NewReplacer("1", "2", "7", "8").Replace(fmt.Sprintf("%026d", s.rng.Int64()))
}

// transaction draws what Safaricom says about one, repeats included.
func (s *soak) transaction() []*callback {
	id := "ws_CO_" + s.digits()
	unknown := s.stk(id, 1037, "")
	failed := s.stk(id, []int{1, 17, 1019, 2001, 1032}[s.rng.IntN(5)], "")
	paid := s.stk(id, 0, s.receipt())
	if s.rng.IntN(3) == 0 {
		id := fmt.Sprintf("%08x-%04x-%s", s.rng.Uint32(), s.rng.IntN(1<<16), s.digits())[:36-s.rng.IntN(2)*4]
		unknown = &callback{target: "/b2c/timeout", id: id, rank: 1, body: fmt.Sprintf(`{"OriginatorConversationID":%q}`, id)}
		failed, paid = s.b2c(id, 2001, ""), s.b2c(id, 0, s.receipt())
	}
	var said []*callback
	switch n := s.rng.IntN(20); {
	case n < 9:
		said = []*callback{paid}
	case n < 12:
		said = []*callback{failed}
	case n < 16:
		said = []*callback{unknown, paid}
	case n < 17:
		said = []*callback{unknown, failed}
	case n < 18:
		said = []*callback{unknown, failed, paid}
	case n < 19: // two payments under one id
		said = []*callback{paid, s.stk(id, 0, s.receipt())}
	default: // ids that differ in case only
		said = []*callback{paid, s.stk(strings.ToUpper(id), 0, s.receipt())}
	}
	s.callbacks = append(s.callbacks, said...)
	for _, c := range said {
		for s.rng.IntN(4) == 0 {
			said = append(said, c)
		}
	}
	return said
}

func (s *soak) receipt() string { return fmt.Sprintf("U%09X", s.rng.Uint32()) }

func (s *soak) stk(id string, code int, receipt string) *callback {
	c := &callback{target: "/callback", id: id, receipt: receipt, rank: map[int]int{0: 4, 1037: 1}[code]}
	if c.rank == 0 {
		c.rank = 2
	}
	c.body = fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":%q,"ResultCode":%d,"ResultDesc":"d"`, id, code)
	if receipt != "" {
		c.body += fmt.Sprintf(`,"CallbackMetadata":{"Item":[{"Name":"Amount","Value":%d.00},{"Name":"MpesaReceiptNumber","Value":%q}]}`, 1+s.rng.IntN(5000), receipt)
	}
	c.body += `}}}`
	return c
}

func (s *soak) b2c(id string, code int, receipt string) *callback {
	c := &callback{target: "/b2c/result", id: id, receipt: receipt, rank: 2}
	c.body = fmt.Sprintf(`{"Result":{"OriginatorConversationID":%q,"ResultCode":%d,"ResultDesc":"d","TransactionID":"UKN0000000"`, id, code)
	if receipt != "" {
		c.rank = 4
		c.body += fmt.Sprintf(`,"ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":500},{"Key":"TransactionReceipt","Value":%q}]}`, receipt)
	}
	c.body += `}}`
	return c
}

// weather breaks something, or nothing, and returns what mends it.
func (s *soak) weather() (mend func()) {
	draw := func() http.HandlerFunc { return faults[s.rng.IntN(len(faults))].reply }
	operations := []string{"create", "get", "replace"}
	switch s.rng.IntN(8) {
	case 0, 1: // gusts
		for range 10 {
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: append(operations, "execute")[s.rng.IntN(4)], Times: 1 + s.rng.IntN(4),
				After: s.rng.IntN(2) == 0, Reply: draw()})
		}
	case 2, 3: // one call of the store fails, always in the same way
		s.Appwrite.Inject(fakeappwrite.Fault{Operation: operations[s.rng.IntN(3)], After: s.rng.IntN(2) == 0, Reply: draw()})
	case 4: // no documents at all
		reply := draw()
		for _, operation := range operations {
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: operation, Reply: reply})
		}
	case 5: // the project's database is down
		s.Appwrite.SetDatabaseDown(true)
	case 6: // slow
		s.Appwrite.Inject(fakeappwrite.Fault{Times: 30, Delay: time.Duration(1+s.rng.IntN(50)) * time.Millisecond})
	}
	return func() {
		s.Appwrite.Heal()
		s.Appwrite.SetDatabaseDown(false)
	}
}

// deliver posts a batch, many at once. What is refused, Safaricom may repeat.
func (s *soak) deliver(batch []*callback) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	todo := make(chan *callback, len(batch))
	for _, c := range batch {
		todo <- c
	}
	close(todo)
	for range 12 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for c := range todo {
				status := s.deliverOne(c)
				mu.Lock()
				switch status {
				case 200:
					c.accepted = true
				case 503:
					c.refused++
				default:
					s.t.Errorf("%s was answered %d", c.body, status)
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
}

func (s *soak) deliverOne(c *callback) int {
	if s.stuck.Load() {
		return 503
	}
	resp, err := s.client.Post(s.FunctionURL+c.target+"?uid=u-"+reader(c.id), "application/json", strings.NewReader(c.body))
	if err != nil {
		s.stuck.Store(true)
		s.t.Error(err)
		return 503
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// reader is the user that a transaction is for.
func reader(id string) string { return hash(strings.ToLower(id))[:8] }

// pass lets time go by: minutes or hours, in which what is due in the queue runs.
// The platform may restart, which on 1.8.1 loses what it held in memory, and
// executions may die. Both hit spare ones alone: a verdict whose every copy is hit
// is lost, and the platform to blame.
func (s *soak) pass(mayLose bool) {
	if mayLose && s.rng.IntN(3) == 0 {
		for _, e := range s.Appwrite.Waiting() {
			if soon := s.Clock.Now().Add(10 * time.Minute); !s.spare(e) && e.ScheduledAt.Before(soon) {
				mayLose = false
			}
		}
		if mayLose {
			s.Clock.MoveTo(s.Clock.Now().Add(time.Duration(s.rng.IntN(90)) * time.Second))
			s.Appwrite.Restart()
		}
	}
	duration := time.Duration(1+s.rng.IntN(10)) * time.Minute
	if s.rng.IntN(4) == 0 {
		duration = time.Duration(1+s.rng.IntN(180)) * time.Minute
	}
	s.Appwrite.RunUntil(s.Clock.Now().Add(duration), s.Clock, func(e fakeappwrite.Execution) {
		spare := s.spare(e)
		if attemptOf(e) == 1 {
			s.queued++
			if !spare {
				s.alone++
			}
		}
		if spare && s.rng.IntN(10) == 0 {
			return // it died
		}
		s.execute(e)
	})
	s.collect()
}

// execute runs what was queued. What that queues in turn must be the next of its
// run, or a verdict could go round for ever.
func (s *soak) execute(e fakeappwrite.Execution) {
	before := map[string]bool{}
	for _, waiting := range s.Appwrite.Waiting() {
		before[waiting.ID] = true
	}
	if s.stuck.Load() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Runtime.Execute(e)
	}()
	select {
	case <-done:
	case <-time.After(testbed.Limit):
		s.stuck.Store(true)
		s.t.Errorf("%s hangs", e.Path)
	}
	for _, queued := range s.Appwrite.Waiting() {
		switch n := attemptOf(queued); {
		case before[queued.ID] || queued.Body != e.Body || n == attemptOf(e)+1:
		default:
			s.strayed++
			s.t.Errorf("%s queued %s", e.Path, queued.Path)
		}
	}
}

// attemptOf reads the number as the runtime would: the first that there is.
func attemptOf(e fakeappwrite.Execution) int {
	n := 0
	if match := regexp.MustCompile(`[?&]attempt=(\d+)`).FindStringSubmatch(e.Path); match != nil {
		fmt.Sscan(match[1], &n)
	}
	return n
}

// spare says whether e may be lost: it is of the first run, and one of a later run
// waits beside it, as there is wherever the platform took all three.
func (s *soak) spare(e fakeappwrite.Execution) bool {
	return attemptOf(e) <= 8 && slices.ContainsFunc(s.Appwrite.Waiting(), func(waiting fakeappwrite.Execution) bool {
		return attemptOf(waiting) > 8 && waiting.Body == e.Body
	})
}

// collect takes the events over, and lets the fake forget its calls.
func (s *soak) collect() {
	s.events = append(s.events, s.Appwrite.Events()...)
	s.Appwrite.Reset()
}

// tally is the oracle's account.
type tally struct {
	deliveries, callbacks int
	lost                  int // accepted and not kept
	doubled               int // documents beyond one for an id and receipt
	backwards             int // events in which a verdict went down
	needless              int // events in which none went up
	unreadable            int // documents that the wrong ones may read, or nobody
	unsaid                int // refused without a line in the log
	strayed               int // executions queued by one that were not the next of its run
	frozen                int // deliveries after a freeze that needed more than two calls
	unreplayed            int // refused, and not settled by the replay of the log either
	queued                int // first attempts that came due
	alone                 int // of those, without a copy in a later run
	refused               int // answered 503 each time, as the platform's limits allow
	outcomes              map[string]int
}

func newTally() *tally { return &tally{outcomes: map[string]int{}} }

func (n *tally) failed() bool {
	return n.lost+n.doubled+n.backwards+n.needless+n.unreadable+n.unsaid+n.unreplayed+n.strayed+n.frozen > 0 || n.alone > 5+n.queued/20
}

func (n *tally) String() string {
	return fmt.Sprintf(`%d deliveries of %d callbacks
  accepted and not kept                  %d
  documents beyond one for a transaction %d
  verdicts gone backwards                %d
  events without a rise                  %d
  documents with the wrong readers       %d
  refused without a line in the log      %d
  refused, and not settled by a replay   %d
  executions beside their run            %d
  freezes that cost more than one call   %d
  first attempts without another copy    %d of %d, where one in twenty may be
  refused for good, as the platform's limits allow: %d
  ended: %v
`, n.deliveries, n.callbacks, n.lost, n.doubled, n.backwards, n.needless, n.unreadable, n.unsaid, n.unreplayed, n.strayed, n.frozen, n.alone, n.queued, n.refused, n.outcomes)
}

// judge holds the end state and every reply to what was said.
func (s *soak) judge(n *tally) {
	logs, errors := s.Logged()
	logs, errors = append(s.logs, logs...), append(s.errors, errors...)
	n.strayed += s.strayed
	n.frozen += s.frozen
	n.queued += s.queued
	n.alone += s.alone
	for _, line := range logs {
		_, outcome, _ := strings.Cut(line, "outcome=")
		outcome, _, _ = strings.Cut(outcome, " ")
		n.outcomes[outcome]++
	}
	unsettled := map[string]int{} // lines in the log, by transaction and receipt
	for _, line := range errors {
		if rest, ok := strings.CutPrefix(line, settle.Mark); ok {
			var u struct{ Data map[string]any }
			if err := json.Unmarshal([]byte(rest), &u); err != nil {
				s.t.Errorf("%q: %v", line, err)
			}
			unsettled[key(transactionOf(u.Data), u.Data["receipt"])]++
		}
	}
	s.judgeEvents(n)

	best := map[string]int{}   // rank that stands, by transaction
	stands := map[string]int{} // documents, by transaction and receipt
	for _, d := range s.Stored() {
		id := transactionOf(d.Data)
		best[id] = max(best[id], rankOf(d.Data))
		stands[key(id, d.Data["receipt"])]++
		readers := strings.Join(d.Permissions, " ")
		if readers != `read("user:u-`+reader(id)+`")` && !(readers == "" && d.ID == hash(id+"\n"+fmt.Sprint(d.Data["receipt"]))) {
			n.unreadable++
			s.t.Errorf("%s is read by %q", d.ID, readers)
		}
	}
	for k, documents := range stands {
		if documents > 1 {
			n.doubled += documents - 1
			s.t.Errorf("%s has %d documents", k, documents)
		}
	}
	n.callbacks += len(s.callbacks)
	for _, c := range s.callbacks {
		kept := best[c.id] >= c.rank && (c.receipt == "" || stands[key(c.id, c.receipt)] == 1)
		switch {
		case c.accepted && !kept:
			n.lost++
			s.t.Errorf("accepted and not kept, on %s: %s", s.Appwrite.Version, c.body)
		case !c.accepted && !kept:
			n.unreplayed++
			s.t.Errorf("refused, and not in the log either, on %s: %s", s.Appwrite.Version, c.body)
		}
		if !c.accepted {
			n.refused++
		}
		if c.refused > 0 && unsettled[key(c.id, orNil(c.receipt))] == 0 {
			n.unsaid++
			s.t.Errorf("answered 503 without an UNSETTLED line: %s", c.body)
		}
	}
	n.deliveries = 0
	for _, count := range n.outcomes {
		n.deliveries += count
	}
}

// judgeEvents follows each document through its events, of which each must be a
// rise: an app shows the first that it understands.
func (s *soak) judgeEvents(n *tally) {
	rank := map[string]int{}
	for _, e := range s.events {
		now := rankOf(e.Document.Data)
		switch k := e.Collection + "/" + strings.ToLower(e.ID); {
		case now < rank[k]:
			n.backwards++
			s.t.Errorf("%s went from rank %d to %d", k, rank[k], now)
		case now == rank[k]:
			n.needless++
			s.t.Errorf("%s had an event and stayed at rank %d", k, now)
		default:
			rank[k] = now
		}
	}
}

// rankOf is the oracle's own idea of how much a document knows.
func rankOf(data map[string]any) int {
	switch data["status"] {
	case "TIMEOUT":
		return 1
	case "FAILED", "CANCELLED":
		return 2
	}
	if data["receipt"] == nil || data["amount"] == nil {
		return 3
	}
	return 4
}

func transactionOf(data map[string]any) string {
	for _, name := range []string{"checkoutRequestId", "originatorConversationId"} {
		if id, ok := data[name].(string); ok {
			return id
		}
	}
	return ""
}

func key(id string, receipt any) string { return fmt.Sprint(id, " ", receipt) }

func orNil(receipt string) any {
	if receipt == "" {
		return nil
	}
	return receipt
}
