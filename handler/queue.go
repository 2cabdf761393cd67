package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A verdict that cannot be stored at once waits in the platform's queue, as a
// scheduled execution of this function by itself, with method, path and body as
// they came. The query holds uid and attempt. That is a wire format: what one
// version queues, a later one must read.

// lastAttempt is the number of the last delivery out of the queue.
const lastAttempt = 25

// steps holds how long to wait before each attempt, in three runs that go on
// each by itself: soon, within a day, within two weeks. If one run is lost, the
// others are not.
var steps = [1 + lastAttempt]time.Duration{
	1: time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	9: time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	14: day, day, day, day, day, day, day, day, day, day, day, day,
}

const day = 24 * time.Hour

// scheduleMargin keeps scheduledAt ahead of the server's clock: Appwrite refuses
// what is not more than 60 s away.
const scheduleMargin = 90 * time.Second

// next returns when an attempt is due that is queued now: a whole minute, since
// Appwrite takes no other. ok is false if there is no such attempt.
func next(attempt int, now time.Time) (at time.Time, ok bool) {
	if attempt < 1 || attempt > lastAttempt {
		return time.Time{}, false
	}
	earliest := now.Add(max(steps[attempt], scheduleMargin))
	at = earliest.Truncate(time.Minute)
	if at.Before(earliest) {
		at = at.Add(time.Minute)
	}
	return at, true
}

// following lists the attempts to queue when this one fails: after the first
// delivery the first of each run, else the next of the same run, if there is one.
func following(attempt int) []int {
	switch attempt {
	case 0:
		return []int{1, 9, 14}
	case 8, 13, lastAttempt:
		return nil
	}
	return []int{attempt + 1}
}

// attemptOf reads the number of a delivery out of the queue. Whatever is no such
// number makes it a first delivery, attempt 0.
func attemptOf(query string) int {
	if query == "" { // as Safaricom posts, and not worth an error
		return 0
	}
	n, err := strconv.Atoi(query)
	if err != nil || n < 1 || n > lastAttempt {
		return 0
	}
	return n
}

// class says what a failed write asks for.
type class string

const (
	passes   class = "passes by itself"
	operator class = "needs an operator"
	busy     class = "too busy"
)

// classify sorts every way in which a write can fail. It is the only place that
// does.
func classify(err error) class {
	var f *failure
	if !errors.As(err, &f) {
		if errors.Is(err, errContest) {
			return passes
		}
		return operator // a missing setting, an id that holds another transaction
	}
	switch {
	case f.status == 0: // network, deadline
		return passes
	case f.status >= 200 && f.status < 300: // not JSON, no $id: a proxy's page
		return passes
	case f.status == http.StatusRequestTimeout || f.status >= 500:
		return passes
	case f.status == http.StatusTooManyRequests:
		return busy
	default: // scope, key, paused project, missing collection, structure, redirect
		return operator
	}
}

// clock bounds what one delivery may take. Tests put functions of their own into it,
// so that they wait for nothing, and do not depend on how fast a machine is.
type clock struct {
	now     func() time.Time
	timeout func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) // ends a call of the API
	wait    func(start time.Time, d time.Duration)                                           // until so long after the start

	call   time.Duration    // one call of the API
	store  time.Duration    // one try of the database, all its calls
	queue  time.Duration    // one try of the queue
	rounds [4]time.Duration // when each round of both begins, counted from the request
}

// newClock answers Safaricom within 5 s, unless keeping the verdict needs
// longer, and ends before the 30 s after which Appwrite gives up on the function.
func newClock() clock {
	return clock{
		now:     time.Now,
		timeout: context.WithTimeout,
		wait:    func(start time.Time, d time.Duration) { time.Sleep(time.Until(start.Add(d))) },

		call:   1400 * time.Millisecond,
		store:  3 * time.Second,
		queue:  2 * time.Second,
		rounds: [4]time.Duration{0, 6 * time.Second, 12 * time.Second, 18 * time.Second},
	}
}

// Patient returns c with deadlines that nothing misses. It is for tests of other
// packages: what they see must not depend on how fast the machine is.
func (c Config) Patient() Config {
	c.clock.call, c.clock.store, c.clock.queue = time.Hour, time.Hour, time.Hour
	return c
}

var errLastAttempt = errors.New("queue: this was the last attempt of its run")

// keep stores the verdict or queues its request, in rounds until one of them
// has it. An outcome that is queued has the error of the store beside it; any
// other error means that nothing was kept. A nil store only queues.
func (dl *delivery) keep(store func(context.Context) (outcome, error)) (outcome, error) {
	var stored, kept error
	for _, begin := range dl.config.clock.rounds {
		dl.config.clock.wait(dl.start, begin)
		if store != nil {
			var out outcome
			if out, stored = dl.try(store); stored == nil {
				return out, nil
			}
		}
		if kept = dl.enqueue(); kept == nil {
			return outcome{action: queued}, stored
		}
	}
	if stored == nil {
		return outcome{}, kept
	}
	return outcome{}, fmt.Errorf("%w; %w", stored, kept)
}

// try stores once, and once more if what failed passes by itself.
func (dl *delivery) try(store func(context.Context) (outcome, error)) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dl.config.clock.store)
	defer cancel()
	out, err := store(ctx)
	if err != nil && classify(err) == passes && ctx.Err() == nil {
		out, err = store(ctx)
	}
	return out, err
}

// enqueue queues the request for later. It returns nil if one copy was taken.
func (dl *delivery) enqueue() error {
	attempts := following(dl.attempt)
	if len(attempts) == 0 {
		return errLastAttempt
	}
	ctx, cancel := context.WithTimeout(context.Background(), dl.config.clock.queue)
	defer cancel()
	results := make(chan error, len(attempts))
	for _, attempt := range attempts {
		go func() { results <- dl.enqueueOne(ctx, attempt) }()
	}
	var failed error
	taken := false
	for range attempts {
		if err := <-results; err != nil {
			failed = err
		} else {
			taken = true
		}
	}
	if taken {
		return nil
	}
	return failed
}

// enqueueOne queues one attempt. If the server refuses the time, its clock is
// ahead of ours, and a minute later may do.
func (dl *delivery) enqueueOne(ctx context.Context, attempt int) (err error) {
	defer func() {
		// A panic that leaves a goroutine ends the process, and every other
		// delivery in it.
		if p := recover(); p != nil {
			err = fmt.Errorf("queue: panic at %s", panicSite())
		}
	}()
	at, ok := next(attempt, dl.config.clock.now())
	if !ok {
		return errLastAttempt
	}
	address := url.URL{Path: dl.prefix + "/" + dl.route.name, RawQuery: dl.query(attempt)}
	path := address.RequestURI()
	err = dl.api.execute(ctx, path, dl.body, at)
	if status(err) == http.StatusBadRequest {
		err = dl.api.execute(ctx, path, dl.body, at.Add(time.Minute))
	}
	return err
}

// query is what the next delivery gets: a uid that nobody could read by is left
// out, and the attempt set, whatever the query said before.
func (dl *delivery) query(attempt int) string {
	query := url.Values{"attempt": {strconv.Itoa(attempt)}}
	if uid := dl.validUID(); uid != "" {
		query.Set("uid", uid)
	}
	return query.Encode()
}

// panicSite says where the panic began that is being recovered: in which
// function of this module, and on which line. What it said is left out, since it
// may quote a payload.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	panicked := false
	for {
		frame, more := frames.Next()
		if panicked && strings.HasPrefix(frame.Function, "openruntimes/handler") {
			return fmt.Sprintf("%s:%d", frame.Function, frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
