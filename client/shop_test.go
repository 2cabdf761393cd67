package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
)

// Phones, as people write them and as Safaricom does.
const (
	phoneA, longA = "0700000011", "254700000011"
	phoneB, longB = "0700000012", "254700000012"
)

// shop has a user, amina, whose client has a clock that stands still.
type shop struct {
	*testbed.Shop
	t     testing.TB
	clock *stoppedClock
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, clock: newStoppedClock()}
	s.Shop = testbed.NewShop(t, func(getenv func(string) string) testbed.Serve { return handler.New(getenv).Serve })
	s.SignUp("amina")
	return s
}

// client is a new one of a user, as after a restart of the program.
func (s *shop) client(user string) *Client {
	s.t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = connections, connections
	s.t.Cleanup(transport.CloseIdleConnections)
	c, err := New(Config{Endpoint: s.AppwriteURL, Project: fakeappwrite.ProjectID, Session: testbed.SessionOf(user),
		HTTP: &http.Client{Transport: transport}})
	if err != nil {
		s.t.Fatal(err)
	}
	c.clock = s.clock.clock()
	return c
}

// order is a payment of 10 shillings.
func order(phone string) Payment { return Payment{Phone: phone, Amount: 10, Reference: "ORDER-1"} }

// count is how often an operation was called.
func (s *shop) count(operation string) (n int) {
	for _, call := range s.Appwrite.Calls() {
		if call.Operation == operation {
			n++
		}
	}
	return n
}

// reads is how often a user read a document: what the function does comes with a key.
func (s *shop) reads() (n int) {
	for _, call := range s.Appwrite.Calls() {
		if call.Operation == "get" && call.Header.Get("X-Appwrite-Session") != "" {
			n++
		}
	}
	return n
}

// write stores a document as the function does, for tests without it.
func (s *shop) write(method, id string, data map[string]any) {
	s.t.Helper()
	path, body := "/documents/"+id, map[string]any{"data": data}
	if method == http.MethodPost {
		path, body = "/documents", map[string]any{"documentId": id, "data": data, "permissions": []string{`read("user:amina")`}}
	}
	content, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/v1/databases/daraja/collections/payments"+path, strings.NewReader(string(content)))
	r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	r.Header.Set("X-Appwrite-Key", testbed.FunctionKey)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.Appwrite.ServeHTTP(w, r)
	if w.Code/100 != 2 && w.Code != http.StatusNoContent {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// start stores a payment that waits.
func (s *shop) start(id string) {
	s.write(http.MethodPost, id, map[string]any{"checkoutRequestId": "ws_CO_1", "status": "PENDING",
		"settledAt": "2026-11-23T11:07:48Z", "userId": "amina", "reference": "ORDER-1", "requestedAmount": 10, "requestKey": "x"})
}

const someID = "000000000000000000a1"

// pending stores a payment that waits, and paid has it paid.
func (s *shop) pending() { s.start(someID) }

func (s *shop) paid() { s.write(http.MethodPatch, someID, paidData()) }

func paidData() map[string]any {
	return map[string]any{"status": "SUCCESS", "receipt": "UKN4T8W2QD", "amount": 10, "resultCode": 0,
		"mpesaTimestamp": "2026-11-23T11:07:48Z", "settledAt": "2026-11-23T11:07:49.210Z"}
}

// A reader ranges over a stream on a goroutine of its own.
type reader struct {
	t      testing.TB
	states chan State
	seen   []State
	stop   context.CancelFunc
	ended  chan struct{}
}

// read begins to range over what a stream is made of.
func read(t testing.TB, stream func(context.Context) iter.Seq[State]) *reader {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &reader{t: t, states: make(chan State, 1000), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		defer close(r.states)
		for state := range stream(ctx) {
			r.states <- state
		}
	}()
	t.Cleanup(func() {
		stop()
		<-r.ended
	})
	return r
}

func (s *shop) startPay(c *Client, p Payment) *reader {
	s.t.Helper()
	return read(s.t, func(ctx context.Context) iter.Seq[State] { return c.Pay(ctx, p) })
}

func (s *shop) startResume(c *Client, id string) *reader {
	s.t.Helper()
	return read(s.t, func(ctx context.Context) iter.Seq[State] { return c.Resume(ctx, parse.Payment, id) })
}

// wait reads on until a state is as it should be. No final one may come before.
func (r *reader) wait(what string, is func(State) bool) State {
	r.t.Helper()
	limit := time.After(testbed.Limit)
	for {
		select {
		case state, more := <-r.states:
			if !more {
				r.t.Fatalf("the stream ended, want %s; it said %s", what, r.said())
			}
			if n := len(r.seen); n > 0 && state == r.seen[n-1] {
				r.t.Errorf("the same came twice: %+v", state)
			}
			r.seen = append(r.seen, state)
			if is(state) {
				return state
			}
			if state.Final() {
				r.t.Fatalf("the stream ended with %s, %v, want %s; it said %s", state.Name, state.Err, what, r.said())
			}
		case <-limit:
			r.t.Fatalf("no state came, want %s; the stream said %s", what, r.said())
		}
	}
}

func (r *reader) until(name Name) State {
	r.t.Helper()
	return r.wait(string(name), func(s State) bool { return s.Name == name })
}

// live waits until Realtime is connected.
func (r *reader) live() State {
	r.t.Helper()
	return r.wait("live", func(s State) bool { return s.Live && s.Name == Pending })
}

// end waits for the end of the stream, which must come with the state that was read last.
func (r *reader) end() {
	r.t.Helper()
	select {
	case state, more := <-r.states:
		if more {
			r.t.Errorf("%s came after the end", state.Name)
		}
	case <-time.After(testbed.Limit):
		r.t.Error("the stream does not end")
	}
}

// said names the states in order, the same name once.
func (r *reader) said() string {
	var names []string
	for _, s := range r.seen {
		names = append(names, string(s.Name))
	}
	return strings.Join(slices.Compact(names), " ")
}

// stoppedClock is a client's. It moves when it is told to.
type stoppedClock struct {
	mu     sync.Mutex
	time   time.Time
	slept  time.Duration // by how much the clock on the wall is ahead
	timers map[chan time.Time]time.Time
}

func newStoppedClock() *stoppedClock {
	return &stoppedClock{time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), timers: map[chan time.Time]time.Time{}}
}

func (c *stoppedClock) clock() clock {
	return clock{now: c.now, wall: c.wall, at: c.at, timeout: testbed.UntilHung, random: func() float64 { return 1 }}
}

func (c *stoppedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *stoppedClock) wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time.Add(c.slept)
}

// sleep has the machine sleep: only the clock on the wall goes on.
func (c *stoppedClock) sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slept += d
}

func (c *stoppedClock) at(t time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	passed := make(chan time.Time, 1)
	if !t.After(c.time) {
		passed <- c.time
		return passed, func() {}
	}
	c.timers[passed] = t
	return passed, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, passed)
	}
}

// advance moves the clock.
func (c *stoppedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
	for passed, t := range c.timers {
		if !t.After(c.time) {
			passed <- c.time
			delete(c.timers, passed)
		}
	}
}

// waitsFor reports whether somebody waits until so much later, counted from now.
func (c *stoppedClock) waitsFor(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		if t.Sub(c.time) == d {
			return true
		}
	}
	return false
}

// pass waits until somebody waits for that long, and lets it pass.
func (s *shop) pass(d time.Duration) {
	s.t.Helper()
	testbed.Until(s.t, fmt.Sprintf("somebody waits for %s", d), func() bool { return s.clock.waitsFor(d) })
	s.clock.advance(d)
}
