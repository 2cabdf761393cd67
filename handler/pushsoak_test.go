package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

var pushSoakFlags = newSoakFlags("PushSoak", "payments", 300)

// TestPushSoak has apps ask for payments, many at once and each again and again, while
// whatever can fail does: calls of Appwrite and of Safaricom, before and after they are
// carried out; requests that arrive when their sender has long given up; callbacks that
// are lost, late, doubled or too early; processes that die between two steps; and two
// of them that void each other's token. Safaricom's ledger judges what documents, events
// and replies said.
func TestPushSoak(t *testing.T) {
	t.Parallel()
	seed := pushSoakFlags.draw()
	total := &pushTally{ended: map[string]int{}}
	pushSoakFlags.inWorlds(t, seed, func(t *testing.T, world uint64, size int) {
		s := newPushSoak(t, seed, world, 0)
		s.run(size)
		s.judge(total)
	})
	fmt.Printf("soak of pushes: seed %d, %s", seed, total)
	if total.wrong > 0 {
		t.Errorf("repeat it with: %s", pushSoakFlags.command(seed))
	}
	// A soak in which nothing happens proves nothing.
	if total.prompts < total.payments/6 || total.ended["SUCCESS"] < total.payments/30 {
		t.Errorf("of %d payments %d were prompted and %v ended, want more to judge", total.payments, total.prompts, total.ended)
	}
}

// wanted is a payment that an app wants, and what the app was told of it.
type wanted struct {
	id, user, body string
	told           []reply // all that came back from the function
	unheard        int     // how often nothing did
}

// container is one process of the function. Its calls go through the gate, which knows
// it by its number.
type container struct {
	function *Function
	dead     atomic.Bool
}

// pushSoak is one shop under way.
type pushSoak struct {
	*shop
	rng      *rand.Rand // of the goroutine that runs the soak
	client   *http.Client
	path     string        // that apps call
	gate     string        // URL
	called   chan struct{} // has one for each call at the gate, by which time passes
	payments []*wanted
	events   []fakeappwrite.Event
	errors   []string      // the error log
	apart    time.Duration // how far the clock of every second process is ahead

	mu         sync.Mutex // guards what follows, and what apps were told
	dice       *rand.Rand
	dying      int // of 1000 requests, at how many the process dies
	straying   int // of 1000, how many arrive late
	containers []*container
	running    [2]*container
	late       []func()
	deaths     int
	strayed    int
}

func newPushSoak(t *testing.T, seed, world uint64, apart time.Duration) *pushSoak {
	return soakOf(openShop(t), "/stk/push", seed, world, apart)
}

// soakOf has the function of a shop run in two processes, whose calls go through a gate.
func soakOf(shop *shop, path string, seed, world uint64, apart time.Duration) *pushSoak {
	s := &pushSoak{shop: shop, path: path, apart: apart, rng: rand.New(rand.NewPCG(seed, world)), dice: rand.New(rand.NewPCG(world, seed)),
		called: make(chan struct{}, 1000),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	s.Appwrite.Version = []string{"1.9.6", "2.0.0"}[s.rng.IntN(2)]
	s.Appwrite.StringSequence = s.rng.IntN(2) == 0
	s.Appwrite.PostgreSQL = s.rng.IntN(2) == 0
	s.Appwrite.RunsTwice = s.rng.IntN(2) == 0
	s.safaricom.Parallel = s.rng.IntN(2) == 0
	for i := range 6 {
		u := fakeappwrite.User{ID: fmt.Sprint("user-", i), EmailVerification: true}
		if i%2 == 0 {
			u.Labels = []string{"cashier"}
		}
		s.signIn(u)
	}
	s.gate = s.listen(http.HandlerFunc(s.pass))
	s.running = [2]*container{s.newContainer(), s.newContainer()}
	s.Runtime.Main = s.serve
	// What a process has logged dies with it.
	keep := s.Runtime.Logs
	s.Runtime.Logs = func(logs, errors string) {
		if !strings.Contains(errors, died) {
			keep(logs, errors)
		}
	}
	return s
}

// newContainer starts a process. It needs the lock once requests come in.
func (s *pushSoak) newContainer() *container {
	base := fmt.Sprintf("%s/%d", s.gate, len(s.containers))
	c := &container{function: New(func(name string) string {
		switch name {
		case "APPWRITE_FUNCTION_API_ENDPOINT":
			return base + "/v1"
		case "DARAJA_BASE_URL":
			return base
		}
		return s.Getenv(name)
	})}
	ahead := time.Duration(len(s.containers)%2) * s.apart
	c.function.clock = patient(func() time.Time { return s.Clock.Now().Add(ahead) })
	s.containers = append(s.containers, c)
	return c
}

const died = "the process has died"

// setDying has the process die at so many of a thousand requests.
func (s *pushSoak) setDying(ofThousand int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dying = ofThousand
}

// serve has either process answer a request. If it dies meanwhile, the sender gets the
// platform's word for it, and nothing that the process did afterwards counts: no call
// of its reaches anybody.
func (s *pushSoak) serve(ctx openruntimes.Context) openruntimes.Response {
	defer testbed.Watch(s.t)()
	s.mu.Lock()
	i := s.dice.IntN(len(s.running))
	if s.running[i].dead.Load() {
		s.running[i] = s.newContainer()
	}
	c := s.running[i]
	s.mu.Unlock()
	reply := c.function.Serve(ctx)
	if c.dead.Load() {
		ctx.Error(died)
		return openruntimes.Response{StatusCode: http.StatusInternalServerError}
	}
	return reply
}

// pass is the gate: every call that a process makes goes through it. What is not let
// through ends as a broken connection.
func (s *pushSoak) pass(w http.ResponseWriter, r *http.Request) {
	select {
	case s.called <- struct{}{}:
	default:
	}
	number, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	r.URL.Path = "/" + path
	var server http.Handler = s.safaricom
	if strings.HasPrefix(path, "v1/") {
		server = s.Appwrite
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err) // an address that newContainer did not make
	}
	s.mu.Lock()
	c := s.containers[n]
	dies, strays, after := s.dice.IntN(1000) < s.dying, s.dice.IntN(1000) < s.straying, s.dice.IntN(2) == 0
	if dies && !c.dead.Swap(true) {
		s.deaths++
	}
	s.mu.Unlock()
	switch {
	case dies && after:
		server.ServeHTTP(httptest.NewRecorder(), r)
	case dies || c.dead.Load():
	case strays:
		s.delay(server, r)
	default:
		server.ServeHTTP(w, r)
		return
	}
	panic(http.ErrAbortHandler)
}

// delay has a request carried out when its sender has long given up.
func (s *pushSoak) delay(server http.Handler, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // it never came whole
	}
	late := r.Clone(context.WithoutCancel(r.Context()))
	late.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strayed++
	s.late = append(s.late, func() { server.ServeHTTP(httptest.NewRecorder(), late) })
}

// run has about that many payments asked for, in rounds between which time passes.
func (s *pushSoak) run(payments int) {
	for len(s.payments) < payments {
		var todo []*wanted
		for range min(10, payments-len(s.payments)) {
			p := s.want()
			for range 1 + s.rng.IntN(4) {
				todo = append(todo, p)
			}
		}
		for range 6 {
			todo = append(todo, s.payments[s.rng.IntN(len(s.payments))])
		}
		s.answers()
		s.weather()
		s.askAll(todo, s.squall)
		if s.rng.IntN(2) == 0 {
			s.passTime(time.Duration(s.rng.IntN(300)) * time.Second)
		}
		s.mend()
		// What was late comes while apps ask again.
		s.askAll(append(todo, nil), func() {})
		s.passTime(time.Duration(s.rng.IntN(30)) * time.Minute)
	}
	s.askAll([]*wanted{nil}, func() {})
	s.passTime(3 * time.Hour)
	s.passTime(30 * day)
	replayAll(s.t, s.running[0].function, s.errors)
	s.collect()
}

// want draws a payment.
func (s *pushSoak) want() *wanted {
	p := &wanted{id: fmt.Sprintf("%016x-%04x", s.rng.Uint64(), len(s.payments)), user: fmt.Sprint("user-", s.rng.IntN(6))}
	p.body = fmt.Sprintf(`{"id":%q,"phone":%q,"amount":%d,"reference":"Order %d"}`, p.id, s.phone(), 1+s.rng.IntN(3), s.rng.IntN(50))
	s.payments = append(s.payments, p)
	return p
}

const soakedPhones = 99

func (s *pushSoak) phone() string { return fmt.Sprintf("2547000000%02d", 1+s.rng.IntN(soakedPhones)) }

// answers draws what the owners of the phones do from now on.
func (s *pushSoak) answers() {
	for i := range soakedPhones {
		all := []fakesafaricom.Answer{fakesafaricom.Pays, fakesafaricom.Pays, fakesafaricom.Pays, fakesafaricom.Pays, fakesafaricom.Pays,
			fakesafaricom.Cancels, fakesafaricom.WrongPIN, fakesafaricom.NoMoney, fakesafaricom.Silent, fakesafaricom.Unreachable,
			fakesafaricom.Expires, fakesafaricom.BadDebt, "17", "1025", "1031", "2026", "SFC_IC0003", "BW-JMS-100039"}
		p := fakesafaricom.Phone{Answer: all[s.rng.IntN(len(all))], Locked: s.rng.IntN(20) == 0}
		if s.rng.IntN(2) == 0 {
			p.After = time.Duration(1+s.rng.IntN(20)) * time.Second
		}
		s.safaricom.SetPhone(fmt.Sprintf("2547000000%02d", 1+i), p)
	}
}

// weather breaks much or little.
func (s *pushSoak) weather() {
	switch s.rng.IntN(15) {
	case 0, 1, 2, 3: // gusts
		for range 10 {
			s.Appwrite.Inject(s.apiFault(1 + s.rng.IntN(3)))
		}
	case 4: // one call always fails, and in the same way
		s.Appwrite.Inject(s.apiFault(0))
	case 5: // slow
		s.Appwrite.Inject(fakeappwrite.Fault{Times: 30, Delay: time.Duration(1+s.rng.IntN(5)) * time.Millisecond})
	case 6: // the project's database is down
		s.Appwrite.SetDatabaseDown(s.rng.IntN(2) == 0)
	}
	for range s.rng.IntN(6) * s.rng.IntN(2) {
		s.safaricom.Once(fakesafaricom.Push, s.pushFault())
	}
	for range s.rng.IntN(2) {
		s.safaricom.Once(fakesafaricom.OAuth, s.tokenFault())
	}
	for range s.rng.IntN(6) {
		s.safaricom.Once(fakesafaricom.Push, s.callbackFault())
	}
	if s.rng.IntN(20) == 0 {
		s.safaricom.Always(fakesafaricom.Push, s.pushFault())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rng.IntN(2) == 0 {
		s.dying = 1 + s.rng.IntN(15)
	}
	if s.rng.IntN(2) == 0 {
		s.straying = 1 + s.rng.IntN(30)
	}
}

// squall breaks the same call some times in a row while apps ask, or voids the token.
func (s *pushSoak) squall() {
	switch s.rng.IntN(100) {
	case 0, 1:
		s.Appwrite.Inject(s.apiFault(2 + s.rng.IntN(5)))
	case 2:
		s.safaricom.VoidTokens(consumerKey)
	}
}

// apiFault draws one of a call of Appwrite.
func (s *pushSoak) apiFault(times int) fakeappwrite.Fault {
	operations := []string{"create", "get", "replace", "replace", "replace", "list", "account", "version", "execute"}
	reply := faults[s.rng.IntN(len(faults))].reply
	if s.rng.IntN(8) == 0 {
		reply = fakeappwrite.Status(409, "document_already_exists", "x")
	}
	return fakeappwrite.Fault{Operation: operations[s.rng.IntN(len(operations))], Times: times, After: s.rng.IntN(2) == 0, Reply: reply}
}

// pushFault draws one of a push. Those after which no money moves are never carried out.
func (s *pushSoak) pushFault() fakesafaricom.Fault {
	refusals := []fakesafaricom.Fault{
		fakesafaricom.InvalidToken(404), fakesafaricom.InvalidToken(400), fakesafaricom.InvalidToken(401), fakesafaricom.NoProduct(),
		fakesafaricom.Error1001(fakesafaricom.SubscriberLocked), fakesafaricom.Error1001(fakesafaricom.WrongCredentials),
		fakesafaricom.Error1001(fakesafaricom.MerchantMissing), fakesafaricom.SpikeArrest(),
		fakesafaricom.Error(500, "500.003.02", "System is busy. Please try again in few minutes."),
		fakesafaricom.Error(500, "500.003.03", "Quota Violation"),
		fakesafaricom.Error(400, "400.002.02", "Bad Request - Invalid PhoneNumber"),
	}
	unclear := []fakesafaricom.Fault{
		fakesafaricom.Torn(), fakesafaricom.HTML(200), fakesafaricom.HTML(502), fakesafaricom.Empty(200), fakesafaricom.Empty(500),
		fakesafaricom.Incapsula(), fakesafaricom.Envelope(), fakesafaricom.Error1001(fakesafaricom.BeingProcessed),
		fakesafaricom.Error1001(fakesafaricom.DoesNotExist), fakesafaricom.Error1001(""), fakesafaricom.Empty1001(),
		fakesafaricom.Error(500, "500.003.1001", "Internal Server Error"), fakesafaricom.Error(408, "408.001.01", "Timeout"),
		fakesafaricom.Error(409, "409.001.01", "Conflict"), fakesafaricom.Reply(200, "application/json", `{"ResponseCode":"0"`),
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

func (s *pushSoak) tokenFault() fakesafaricom.Fault {
	all := []fakesafaricom.Fault{
		fakesafaricom.Torn(), fakesafaricom.LostAck(), fakesafaricom.Slow(time.Second), fakesafaricom.Empty(400), fakesafaricom.HTML(200),
		fakesafaricom.HTML(503), fakesafaricom.Incapsula(), fakesafaricom.SpikeArrest(), fakesafaricom.Empty(200),
	}
	return all[s.rng.IntN(len(all))]
}

func (s *pushSoak) callbackFault() fakesafaricom.Fault {
	all := []fakesafaricom.Fault{
		fakesafaricom.CallbackLost(), fakesafaricom.CallbackLate(time.Duration(s.rng.IntN(7200)) * time.Second), fakesafaricom.CallbackTwice(),
		fakesafaricom.CallbackBeforeAck(), fakesafaricom.CallbackBeforeAck(), fakesafaricom.CallbackOutOfOrder(),
	}
	return all[s.rng.IntN(len(all))]
}

// mend ends the weather.
func (s *pushSoak) mend() {
	s.Appwrite.Heal()
	s.Appwrite.SetDatabaseDown(false)
	s.safaricom.Heal()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dying, s.straying = 0, 0
}

// askAll has apps ask for these payments, twelve at a time, while seconds pass and
// phones answer. A nil stands for the requests that are late. Now and then something
// happens besides.
func (s *pushSoak) askAll(payments []*wanted, something func()) {
	s.rng.Shuffle(len(payments), func(i, j int) { payments[i], payments[j] = payments[j], payments[i] })
	todo := make(chan *wanted, len(payments))
	for _, p := range payments {
		todo <- p
	}
	close(todo)
	var asking sync.WaitGroup
	for range 12 {
		asking.Add(1)
		go func() {
			defer asking.Done()
			for p := range todo {
				if p == nil {
					s.arrive()
				} else {
					s.askFor(p)
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() { asking.Wait(); close(done) }()
	for calls := 1; ; calls++ {
		select {
		case <-done:
			s.collect()
			return
		case <-s.called:
			if calls%3 == 0 {
				s.later(300 * time.Millisecond)
				something()
			}
		case <-time.After(50 * time.Millisecond): // all wait for Safaricom
			s.later(time.Second)
		}
	}
}

// arrive has what is late carried out.
func (s *pushSoak) arrive() {
	s.mu.Lock()
	late := s.late
	s.late = nil
	s.mu.Unlock()
	for _, carryOut := range late {
		stop := testbed.Watch(s.t)
		carryOut()
		stop()
	}
}

// askFor has an app ask once. What goes wrong on its way is for the app to bear.
func (s *pushSoak) askFor(p *wanted) {
	heard, ok := s.request(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		p.unheard++
		return
	}
	p.told = append(p.told, heard)
	s.shop.mu.Lock()
	defer s.shop.mu.Unlock()
	s.shop.told = append(s.shop.told, heard.body)
}

func (s *pushSoak) request(p *wanted) (reply, bool) {
	defer testbed.Watch(s.t)()
	ctx, cancel := testbed.UntilHung(context.Background(), testbed.Limit)
	defer cancel()
	content, err := json.Marshal(map[string]any{"async": false, "method": "POST", "path": s.path, "body": p.body})
	if err != nil {
		s.t.Error(err)
		return reply{}, false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.AppwriteURL+"/functions/daraja/executions", bytes.NewReader(content))
	if err != nil {
		s.t.Error(err)
		return reply{}, false
	}
	r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Appwrite-Session", sessionOf(p.user))
	resp, err := s.client.Do(r)
	if err != nil {
		return reply{}, false
	}
	defer resp.Body.Close()
	var execution struct {
		ResponseStatusCode int
		ResponseBody       string
	}
	if json.NewDecoder(resp.Body).Decode(&execution) != nil || execution.ResponseBody == "" {
		return reply{}, false
	}
	return reply{execution.ResponseStatusCode, execution.ResponseBody}, true
}

// passTime lets time pass, in which callbacks come and what waits in the queue runs.
// Nothing dies of what is queued: a verdict whose every copy is hit is lost, and the
// platform to blame.
func (s *pushSoak) passTime(d time.Duration) {
	s.mu.Lock()
	s.dying = 0
	s.mu.Unlock()
	s.advance(d)
	s.Later(d)
	s.collect()
}

// collect takes events and error log over, and lets the fake forget its calls.
func (s *pushSoak) collect() {
	s.events = append(s.events, s.Appwrite.Events()...)
	s.Appwrite.Reset()
	_, errors := s.Logged()
	s.errors = append(s.errors, errors...)
}

// pushTally is the oracle's account of all worlds.
type pushTally struct {
	mu                                               sync.Mutex
	payments, asks, unheard, deaths, strayed         int
	prompts, paid, delivered, refused, queued, wrong int
	ended                                            map[string]int
}

func (n *pushTally) String() string {
	return fmt.Sprintf(`%d payments
  asked for %d times, of which %d times without an answer
  processes that died %d, requests that arrived late %d
  prompts %d, paid %d
  callbacks taken %d (of those queued %d), refused %d
  ended: %v
  wrong: %d
`, n.payments, n.asks, n.unheard, n.deaths, n.strayed, n.prompts, n.paid, n.delivered, n.queued, n.refused, n.ended, n.wrong)
}

// truth is what Safaricom knows of one payment.
type truth struct {
	sends   int      // requests that were not refused for their token, answered or not
	calls   int      // all of them
	pushed  []string // CheckoutRequestIDs, as far as a prompt or a callback shows them
	prompts int
	paid    []fakesafaricom.Entry
	taken   bool // its callback was answered with 200
	refused bool // or with 503, after which it is in the log
}

// truths returns what Safaricom knows, by the id in the callback's URL.
func (s *pushSoak) truths(n *pushTally) map[string]*truth {
	all := map[string]*truth{}
	of := func(callbackURL string) *truth {
		u, err := url.Parse(callbackURL)
		if err != nil {
			s.t.Fatal(err)
		}
		id := u.Query().Get("id")
		if all[id] == nil {
			all[id] = &truth{}
		}
		return all[id]
	}
	for _, call := range s.safaricom.Calls(fakesafaricom.Push) {
		var body struct{ CallBackURL string }
		if err := json.Unmarshal(call.Body, &body); err != nil {
			s.t.Fatal(err)
		}
		t := of(body.CallBackURL)
		t.calls++
		if call.Status != 400 && call.Status != 401 && call.Status != 404 { // with which tokens are refused
			t.sends++
		}
	}
	for _, e := range s.safaricom.Ledger() {
		switch t := of(e.URL); e.Kind {
		case fakesafaricom.Prompted:
			n.prompts++
			t.prompts++
			t.pushed = append(t.pushed, e.ID)
		case fakesafaricom.Paid:
			n.paid++
			t.paid = append(t.paid, e)
		}
	}
	for _, d := range s.safaricom.Deliveries() {
		t := of(d.URL)
		if !slices.Contains(t.pushed, d.ID) {
			t.pushed = append(t.pushed, d.ID) // of a phone that showed nothing
		}
		switch d.Status {
		case http.StatusOK:
			n.delivered++
			t.taken = true
		case http.StatusServiceUnavailable:
			n.refused++
			t.refused = true
		}
	}
	return all
}

// judge holds every document, every event and every reply to the ledger.
func (s *pushSoak) judge(n *pushTally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deaths += s.deaths
	n.strayed += s.strayed
	s.askAgain(n)
	truths := s.truths(n)
	if stored := s.Appwrite.Documents("daraja", "payments"); len(stored) > len(s.payments) {
		s.wrong(n, "there are %d documents of %d payments", len(stored), len(s.payments))
	}
	for _, p := range s.payments {
		n.payments++
		n.asks += len(p.told) + p.unheard
		n.unheard += p.unheard
		t := truths[p.id]
		if t == nil {
			t = &truth{}
		}
		s.judgePayment(n, p, t)
		s.judgeReplies(n, p, t)
	}
	s.judgePushEvents(n, truths)
	for _, line := range s.errors {
		if strings.Contains(line, "CHARGED-TWICE") || strings.HasPrefix(line, "panic ") {
			s.wrong(n, "the error log says %s", line)
		}
		if strings.HasPrefix(line, "failed route=callback ") {
			n.queued++
		}
	}
}

func (s *pushSoak) wrong(n *pushTally, format string, args ...any) {
	n.wrong++
	s.t.Errorf(format, args...)
}

// askAgain asks once more for every payment that has a document: the answer is what
// stands, and nothing more is sent. Another user, and another amount, are refused.
func (s *pushSoak) askAgain(n *pushTally) {
	for _, p := range s.payments {
		before, found := s.Appwrite.Document("daraja", "payments", p.id)
		if !found {
			continue
		}
		got := s.ask(p.user, p.body)
		if got.kind() != before.Data["status"] || got.field("checkoutRequestId") != before.Data["checkoutRequestId"] {
			s.wrong(n, "asked for again: %s, want what stands: %v", got.body, before.Data)
		}
		if got := s.ask("user-"+string('0'+('5'-p.user[5])), p.body); got.kind() != "conflict" {
			s.wrong(n, "somebody else's ask: %s, want a conflict", got.body)
		}
		if got := s.ask(p.user, strings.Replace(p.body, `"amount":`, `"amount":7`, 1)); got.kind() != "conflict" {
			s.wrong(n, "asked for with another amount: %s, want a conflict", got.body)
		}
		if after, _ := s.Appwrite.Document("daraja", "payments", p.id); !after.UpdatedAt.Equal(before.UpdatedAt) {
			s.wrong(n, "asking for it again has changed %v into %v", before.Data, after.Data)
		}
	}
}

// judgePayment holds one document to what is true.
func (s *pushSoak) judgePayment(n *pushTally, p *wanted, t *truth) {
	if t.prompts > 1 || t.sends > 1 || len(t.paid) > 1 {
		s.wrong(n, "%s was sent %d times, prompted %d times and paid %d times, want once at most", p.id, t.sends, t.prompts, len(t.paid))
	}
	d, found := s.Appwrite.Document("daraja", "payments", p.id)
	if !found {
		n.ended["no document"]++
		if t.calls > 0 {
			s.wrong(n, "%s was sent and has no document", p.id)
		}
		return
	}
	status, _ := d.Data["status"].(string)
	reason, _ := d.Data["failureReason"].(string)
	name, _ := d.Data["checkoutRequestId"].(string)
	n.ended[status]++
	if readers := testbed.Readers(d); readers != "user:"+p.user {
		s.wrong(n, "%s is read by %q, want %s", p.id, readers, p.user)
	}
	// Of a push that no phone showed, and whose callback is lost, nothing is known here.
	if name != "" && !slices.Contains(t.pushed, name) && (t.prompts > 0 || t.sends == 0) {
		s.wrong(n, "%s is named %s, want one of %v", p.id, name, t.pushed)
	}
	if strings.HasPrefix(reason, settle.NotSent) && len(t.pushed) > 0 {
		s.wrong(n, "%s was taken by Safaricom, and says %s %s", p.id, status, reason)
	}
	if strings.HasPrefix(reason, settle.Interrupted) && t.calls > 0 {
		s.wrong(n, "%s was sent, and says %s", p.id, reason)
	}
	s.judgeContract(n, d)
	switch {
	case status == "SUCCESS":
		if len(t.paid) != 1 || d.Data["receipt"] != t.paid[0].Receipt || d.Data["amount"] != t.paid[0].Amount || name != t.paid[0].ID {
			s.wrong(n, "%s says %v, and the ledger %v", p.id, d.Data, t.paid)
		}
	case (t.taken || t.refused) && (len(t.paid) > 0 || status == "PENDING"):
		s.wrong(n, "%s says %s %s, and the callback of %+v came", p.id, status, reason, t)
	case len(t.paid) > 0 && status != "PENDING" && status != "TIMEOUT":
		s.wrong(n, "%s says %s %s, and was paid: %v", p.id, status, reason, t.paid)
	}
}

// judgeContract holds a document to what clients and later checks rely on.
func (s *pushSoak) judgeContract(n *pushTally, d fakeappwrite.Document) {
	_, coded := d.Data["resultCode"].(int64)
	explained, asked := d.Data["failureReason"] != nil, d.Data["nextCheckAt"] != nil
	fits := false
	switch d.Data["status"] {
	case "PENDING":
		fits = !coded && asked
	case "TIMEOUT":
		fits = coded && explained && asked
	case "FAILED", "CANCELLED":
		fits = coded && explained && !asked
	case "SUCCESS":
		fits = coded && !explained && !asked
	}
	if !fits {
		s.wrong(n, "%s is not as clients expect it: %v", d.ID, d.Data)
	}
}

// judgeReplies holds what the app was told of one payment to what is true.
func (s *pushSoak) judgeReplies(n *pushTally, p *wanted, t *truth) {
	sentNothing := p.unheard == 0
	for _, told := range p.told {
		kind, name := told.kind(), told.field("checkoutRequestId")
		if (kind == "FAILED" || kind == "CANCELLED") && len(t.paid) > 0 {
			s.wrong(n, "%s was paid, and its app was told %s", p.id, told.body)
		}
		if told.field("claimed") == true && t.prompts > 0 {
			s.wrong(n, "%s was prompted, and its app was told %s", p.id, told.body)
		}
		if told.status == http.StatusOK {
			sentNothing = false
			if d, _ := s.Appwrite.Document("daraja", "payments", p.id); name != "" && name != d.Data["checkoutRequestId"] {
				s.wrong(n, "%s has the document %v, and its app was told %s", p.id, d.Data, told.body)
			}
		}
	}
	if sentNothing && t.prompts > 0 {
		s.wrong(n, "%s was prompted, and its app was never told but that nothing was sent: %v", p.id, p.told)
	}
}

// judgePushEvents follows each document through its events: apps show the first that
// they understand, so that none may be wrong and no verdict may go back.
func (s *pushSoak) judgePushEvents(n *pushTally, truths map[string]*truth) {
	rank := map[string]int{}
	for _, e := range s.events {
		status, now := e.Document.Data["status"], 0
		if status != "PENDING" {
			now = rankOf(e.Document.Data)
		}
		if now < rank[e.ID] {
			s.wrong(n, "%s went from rank %d to %d", e.ID, rank[e.ID], now)
		}
		rank[e.ID] = now
		if t := truths[e.ID]; t != nil && len(t.paid) > 0 && (status == "FAILED" || status == "CANCELLED") {
			s.wrong(n, "%s was paid, and an event said %v", e.ID, e.Document.Data)
		}
	}
}
