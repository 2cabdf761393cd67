package fakesafaricom

import (
	"context"
	"slices"
	"sync"
	"time"
)

// clock is real time, or a time that is moved by hand.
type clock struct {
	byHand bool
	turn   sync.Mutex // held while the time is moved

	mu      sync.Mutex // guards what follows
	at      time.Time  // by hand only
	due     []event    // by hand only, earliest first
	closed  bool
	running sync.WaitGroup
}

type event struct {
	at  time.Time
	run func()
}

// Now returns the time by Safaricom's clock.
func (s *Safaricom) Now() time.Time {
	if !s.clock.byHand {
		return time.Now()
	}
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	return s.clock.at
}

// Advance moves a clock that stands, event by event, and returns when all that
// was due by then has happened: each callback was posted and answered, at its own
// time by [Safaricom.Now]. What such a callback sets off in its receiver must not
// call Advance. It panics in real time.
func (s *Safaricom) Advance(d time.Duration) {
	c := &s.clock
	if !c.byHand {
		panic("fakesafaricom: Advance: the time is real")
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	end := s.Now().Add(d)
	for {
		events := c.take(end, s.Parallel)
		if len(events) == 0 {
			return
		}
		var wait sync.WaitGroup
		for _, e := range events[1:] {
			wait.Add(1)
			go func() { defer wait.Done(); e.run() }()
		}
		events[0].run()
		wait.Wait()
	}
}

// take moves the time to the earliest event until end and returns it, or with all
// set every event of that instant. Without one it moves the time to end.
func (c *clock) take(end time.Time, all bool) []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.due) == 0 || c.due[0].at.After(end) {
		c.at = end
		return nil
	}
	c.at = c.due[0].at
	n := 1
	for all && n < len(c.due) && c.due[n].at.Equal(c.at) {
		n++
	}
	events := slices.Clone(c.due[:n])
	c.due = slices.Delete(c.due, 0, n)
	return events
}

// after runs f when d has passed. It may be called with Safaricom's lock, and f
// runs without.
func (c *clock) after(d time.Duration, f func()) {
	if !c.byHand {
		time.AfterFunc(d, func() { c.run(f) })
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := event{at: c.at.Add(d), run: f}
	i := len(c.due) // after those of the same instant
	for i > 0 && c.due[i-1].at.After(e.at) {
		i--
	}
	c.due = slices.Insert(c.due, i, e)
}

// run runs f unless the clock was closed.
func (c *clock) run(f func()) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.running.Add(1)
	c.mu.Unlock()
	defer c.running.Done()
	f()
}

func (c *clock) close() {
	c.mu.Lock()
	c.closed = true
	c.due = nil
	c.mu.Unlock()
	c.running.Wait()
}

// wait reports whether the caller was still there when d had passed.
func (s *Safaricom) wait(ctx context.Context, d time.Duration) bool {
	passed := make(chan struct{})
	s.clock.after(d, func() { close(passed) })
	return stays(ctx, passed)
}

// waitTold reports whether the caller was still there when told was closed by
// something that is due now.
func (s *Safaricom) waitTold(ctx context.Context, told <-chan struct{}) bool {
	if s.clock.byHand {
		go s.Advance(0)
	}
	return stays(ctx, told)
}

func stays(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
