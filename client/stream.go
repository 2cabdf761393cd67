package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// When a stream does what, counted from its beginning. Realtime repeats nothing, and
// some servers send some clients nothing at all, so that the document is read as well.
var (
	looksAt = [...]time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, 45 * time.Second}
	asksIn  = [...]time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second} // after an ask without an answer
)

const (
	checksFrom  = 60 * time.Second
	checksEvery = 15 * time.Second
	endsAt      = 120 * time.Second

	looksAgainIn = 2 * time.Second // after a read that failed, for a verdict that a reply has told
)

// A stream is one payment on its way to the reader. All of it happens on the reader's
// goroutine, but for the calls, whose outcomes come back through results.
type stream struct {
	c     *Client
	state State
	told  State // what the reader saw last
	feed  *feed

	offline error // why Realtime will not be there

	ctx     context.Context
	calls   sync.WaitGroup
	results chan func()
	began   time.Time
	onWall  time.Time // the same, by the clock on the wall

	// Asking.
	body    string
	asking  bool      // the outcome of asking is not known yet
	first   bool      // a refusal means that nothing was sent under this id
	unasked int       // how many asks had no answer
	nextAsk time.Time // zero while one is under way

	// Reading and checking.
	looks     int // of looksAt
	looking   bool
	lookAgain bool
	nextLook  time.Time // once more, for what was held; zero for never
	held      Name      // what a reply said, or Timeout at the end: unless the document says more
	nextCheck time.Duration
	checking  bool
	ended     bool // the time is up
}

func (c *Client) newStream(s State) *stream {
	return &stream{c: c, state: s, results: make(chan func()), nextCheck: checksFrom}
}

// run tells the states until the last one, or until the reader or ctx has enough. When it
// returns nothing of the stream is left.
func (s *stream) run(ctx context.Context, yield func(State) bool) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.calls.Wait()
	defer cancel()
	s.ctx, s.began, s.onWall = ctx, s.c.clock.now(), s.c.clock.wall()
	// Listening comes before asking, and the first state, with the id, before both.
	if !s.tell(yield) {
		return
	}
	s.feed = s.c.realtime.join(s.c.collection(s.state.Kind), s.state.ID)
	defer func() { s.c.realtime.leave(s.feed) }()
	if s.asking {
		s.ask()
	} else {
		s.look()
	}
	for {
		passed, stop := s.c.clock.at(s.next())
		select {
		case <-ctx.Done():
			stop()
			return
		case <-s.feed.changed:
			s.hear()
		case result := <-s.results:
			result()
		case <-passed:
			s.onTime()
		}
		stop()
		if !s.tell(yield) {
			return
		}
	}
}

// tell yields the state if it says something new. It reports whether the stream goes on.
func (s *stream) tell(yield func(State) bool) bool {
	if s.state == s.told {
		return true
	}
	s.told = s.state
	return yield(s.state) && !s.state.Final()
}

// next is when something is due.
func (s *stream) next() time.Time {
	if s.ended {
		return s.began.Add(24 * time.Hour) // only a last look is under way
	}
	due := s.began.Add(min(s.nextCheck, endsAt))
	if s.looks < len(looksAt) {
		due = s.began.Add(looksAt[s.looks])
	}
	for _, at := range []time.Time{s.nextAsk, s.nextLook} {
		if !at.IsZero() && at.Before(due) {
			due = at
		}
	}
	return due
}

// passed is how long the stream has lasted. The machine may have slept meanwhile, which
// Go's own clock leaves out: nobody is asked hours later.
func (s *stream) passed() time.Duration {
	return max(s.c.clock.now().Sub(s.began), s.c.clock.wall().Sub(s.onWall))
}

// onTime does what is due.
func (s *stream) onTime() {
	now := s.c.clock.now()
	passed := s.passed()
	if passed >= endsAt {
		// A program that slept may have missed everything: what is known is said.
		s.ended, s.asking, s.held = true, false, cmp.Or(s.held, Timeout)
		s.look()
		return
	}
	if s.looks < len(looksAt) && passed >= looksAt[s.looks] {
		for s.looks < len(looksAt) && passed >= looksAt[s.looks] {
			s.looks++
		}
		s.look()
	}
	if passed >= s.nextCheck {
		for passed >= s.nextCheck {
			s.nextCheck += checksEvery
		}
		s.check()
	}
	if !s.nextAsk.IsZero() && !now.Before(s.nextAsk) {
		s.ask()
	}
	if !s.nextLook.IsZero() && !now.Before(s.nextLook) {
		s.look()
	}
}

// do makes a call beside the loop, and has what came of it dealt with in the loop.
func (s *stream) do(call func() func()) {
	s.calls.Add(1)
	go func() {
		defer s.calls.Done()
		result := call()
		select {
		case s.results <- result:
		case <-s.ctx.Done():
		}
	}()
}

// ask asks for the payment. The same id is never sent to a phone twice, so that asking
// again is safe.
func (s *stream) ask() {
	s.nextAsk = time.Time{}
	path, _ := paths(s.state.Kind)
	s.do(func() func() {
		r, err := s.c.execute(s.ctx, path, s.body)
		return func() { s.asked(r, err) }
	})
}

// asked deals with what came of asking. An error of Appwrite, or no reply, leaves open
// whether the payment was sent, and so does a refusal to a later ask: only one that says
// that it has closed the document itself is about all of them.
func (s *stream) asked(r reply, err error) {
	if err == nil && r.refusal == nil {
		s.asking = false
		s.trouble(nil)
		if s.state.CheckoutRequestID == "" {
			s.state.CheckoutRequestID = r.name
		}
		s.hold(r)
		return
	}
	if err == nil {
		err = r.refusal
		if s.first && s.unasked == 0 || r.refusal.Claimed {
			s.refused(r.refusal)
			return
		}
	}
	s.state.Name = Pending
	s.trouble(err)
	if s.unasked == len(asksIn) {
		s.asking = false
		s.look() // for what was held back while asking
		return
	}
	s.nextAsk = s.c.clock.now().Add(asksIn[s.unasked])
	s.unasked++
}

// refused ends the stream, since nothing was sent, or goes on with the user's own payment
// that stood in the way: a busy function names it.
func (s *stream) refused(r *Refusal) {
	s.asking = false
	if r.ID == "" {
		s.state.Name, s.state.Err = Error, r
		return
	}
	s.state = State{Name: Pending, Kind: s.state.Kind, ID: r.ID, Live: s.state.Live, Instead: true}
	s.held = "" // what a check said of the refused one
	if s.ended {
		s.held = Timeout
	}
	was := s.feed
	s.feed = s.c.realtime.join(s.c.collection(s.state.Kind), r.ID)
	s.c.realtime.leave(was)
	s.look()
}

// look reads the document. While that is under way another one may be wanted, since the
// first may have been too early.
func (s *stream) look() {
	if s.looking {
		s.lookAgain = true
		return
	}
	s.looking, s.lookAgain, s.nextLook = true, false, time.Time{}
	kind, id := s.state.Kind, s.state.ID
	s.do(func() func() {
		d, err := s.c.get(s.ctx, kind, id)
		return func() { s.looked(id, d, err) }
	})
}

func (s *stream) looked(id string, d document, err error) {
	s.looking = false
	unread := false
	var failed *AppwriteError
	switch {
	case id != s.state.ID: // the stream has gone on with another
	case err == nil:
		s.trouble(nil)
		s.apply(d)
	case errors.As(err, &failed) && failed.Status == http.StatusNotFound && s.state.Name != Idle:
		// It is not there yet.
	default:
		unread = true
		s.trouble(err)
	}
	switch {
	case s.lookAgain:
		s.look()
	case unread && s.held != "" && !s.ended: // what goes with it is still to be read
		s.nextLook = s.c.clock.now().Add(looksAgainIn)
	case s.held != "" && !s.state.Final():
		s.state.Name = s.held
		s.state.MayPayAgain = s.state.Instead && s.held == Timeout
	}
}

// check has the function ask Safaricom.
func (s *stream) check() {
	if s.checking {
		return
	}
	s.checking = true
	id := s.state.ID
	body, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		panic(err) // a string
	}
	_, path := paths(s.state.Kind)
	s.do(func() func() {
		r, err := s.c.execute(s.ctx, path, string(body))
		return func() {
			s.checking = false
			if id != s.state.ID {
				return
			}
			if err == nil && r.refusal != nil {
				err = r.refusal
			}
			s.trouble(err)
			if err == nil {
				s.hold(r)
			}
		}
	})
}

// hold takes a reply's status, which is final or not. What goes with a final one is in
// the document.
func (s *stream) hold(r reply) {
	name, rank := nameOf(r.status)
	switch {
	case rank > 1:
		s.held = name
		s.look()
	case s.state.Name != Pending:
		s.state.Name = Pending
	}
}

// hear takes what came by Realtime.
func (s *stream) hear() {
	news := s.c.realtime.take(s.feed)
	s.state.Live = news.live
	if news.refused != nil {
		s.offline = news.refused
		s.trouble(nil)
	}
	if news.document != nil {
		s.apply(*news.document)
	}
	if news.read && !s.state.Final() {
		s.look()
	}
}

// apply takes what the document says. If it was never sent, the reply to asking says why,
// and by which other payment: that is waited for.
func (s *stream) apply(d document) {
	if s.asking && d.unsent() {
		return
	}
	s.state.apply(d)
}

// trouble remembers what goes wrong, or that nothing does but what Realtime said for good.
// The same once more is no news.
func (s *stream) trouble(err error) {
	if err == nil {
		err = s.offline
	}
	if err == nil || s.state.Err == nil || s.state.Err.Error() != err.Error() {
		s.state.Err = err
	}
}
