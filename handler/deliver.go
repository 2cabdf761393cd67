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

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/settle"
)

// clock has the time, and the limits of what one request may take. Tests put functions of
// their own into it, so that they wait for nothing, and do not depend on how fast a machine
// is.
type clock struct {
	now     func() time.Time
	timeout func(context.Context, time.Duration) (context.Context, context.CancelFunc) // ends a call of the API
	wait    func(start time.Time, d time.Duration)                                     // until so long after the start

	oneCall time.Duration    // of the API
	store   time.Duration    // one try of the database, all its calls
	queue   time.Duration    // one try of the queue
	rounds  [4]time.Duration // when each round of both begins, counted from the request

	pause      func(time.Duration)
	pushBegins time.Duration // no request to Safaricom begins later, counted from the one to the function
	pushLasts  time.Duration // none ends later
	sweepLasts time.Duration // no call of a sweep ends later but those that store its last answer
}

// newClock answers Safaricom within 5 s, unless keeping the verdict needs longer, and
// ends before the 30 s after which Appwrite gives up on the function.
func newClock() clock {
	return clock{
		now:     time.Now,
		timeout: context.WithTimeout,
		wait:    func(start time.Time, d time.Duration) { time.Sleep(time.Until(start.Add(d))) },

		oneCall: 1400 * time.Millisecond,
		store:   3 * time.Second,
		queue:   2 * time.Second,
		rounds:  [4]time.Duration{0, 6 * time.Second, 12 * time.Second, 18 * time.Second},

		pause:      time.Sleep,
		pushBegins: 12 * time.Second,
		pushLasts:  25 * time.Second,
		sweepLasts: 22 * time.Second,
	}
}

// call gives one call of the API its deadline.
func (c *clock) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return c.timeout(ctx, c.oneCall)
}

// forSafaricom is the context of a call to Safaricom, done already where it is too late
// to begin one. None of the call's requests begins later either, such as that with a
// fresh token.
func (c *clock) forSafaricom(ctx context.Context, start time.Time) (context.Context, context.CancelFunc) {
	inTime := func() bool { return time.Since(start) <= c.pushBegins }
	ctx, cancel := context.WithCancel(daraja.OnlyWhile(ctx, inTime))
	if !inTime() {
		cancel()
	}
	return ctx, cancel
}

// errLastAttempt says that nothing comes after this attempt.
var errLastAttempt = errors.New("queue: this was the last attempt of its run")

// storeOrEnqueue stores the verdict or queues its request, in rounds until one of them
// has it. If the outcome is Queued, the error says why storing failed; any other error
// means that nothing was kept. A nil store only queues.
func (d *delivery) storeOrEnqueue(store func(context.Context) (settle.Result, error)) (settle.Result, error) {
	var storeErr, queueErr error
	for _, begin := range d.function.clock.rounds {
		d.function.clock.wait(d.start, begin)
		if store != nil {
			var result settle.Result
			storeErr = d.function.clock.twice(func(ctx context.Context) (err error) {
				result, err = store(ctx)
				return err
			})
			if storeErr == nil {
				return result, nil
			}
		}
		if queueErr = d.enqueue(); queueErr == nil {
			return settle.Result{Outcome: settle.Queued}, storeErr
		}
		if store == nil && errors.Is(queueErr, errLastAttempt) {
			break // no round will change that
		}
	}
	if storeErr == nil {
		return settle.Result{Outcome: settle.NotKept}, queueErr
	}
	return settle.Result{Outcome: settle.NotKept}, fmt.Errorf("%w; %w", storeErr, queueErr)
}

// twice tries the database, and once more if what failed passes by itself and there is
// time. It has a time of its own: what it notes down has happened, whether or not time is
// left to ask.
func (c *clock) twice(try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.store)
	defer cancel()
	err := try(ctx)
	if err != nil && appwrite.Classify(err) == appwrite.Transient && ctx.Err() == nil {
		err = try(ctx)
	}
	return err
}

// enqueue queues the request for later. It returns nil if one copy was taken.
func (d *delivery) enqueue() error {
	attempts := nextAttempts(d.attempt)
	if len(attempts) == 0 {
		return errLastAttempt
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.function.clock.queue)
	defer cancel()
	results := make(chan error, len(attempts))
	for _, a := range attempts {
		go func() { results <- d.enqueueOne(ctx, a) }()
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

// enqueueOne queues one attempt. If the server refuses the time, its clock is ahead of
// ours, and a minute later may do.
func (d *delivery) enqueueOne(ctx context.Context, a attempt) (err error) {
	defer func() {
		// A panic that leaves a goroutine ends the process, and every other
		// delivery in it.
		if p := recover(); p != nil {
			err = fmt.Errorf("queue: panic at %s", panicSite())
		}
	}()
	at := dueTime(a.delay, d.function.clock.now())
	path, function := d.requestURI(a.number), d.function.config.functionID
	err = d.api.Enqueue(ctx, function, path, d.body, at)
	if appwrite.Status(err) == http.StatusBadRequest {
		err = d.api.Enqueue(ctx, function, path, d.body, at.Add(time.Minute))
	}
	return err
}

// requestURI is the address of an attempt.
func (d *delivery) requestURI(attempt int) string {
	address := url.URL{Path: d.prefix + "/" + d.route.wire, RawQuery: d.query(attempt)}
	return address.RequestURI()
}

// query returns what the next delivery gets: a uid that nobody could read by is left
// out, and the attempt set, whatever the query said before. A signature goes with it.
func (d *delivery) query(attempt int) string {
	query := url.Values{"attempt": {strconv.Itoa(attempt)}}
	if settle.IsID(d.uid) {
		query.Set("uid", d.uid)
	}
	if d.sig != "" {
		query.Set("id", d.started)
		query.Set("sig", d.sig)
	}
	return query.Encode()
}

// panicSite says where the panic began that is being recovered: in which function of
// this module, and on which line. What it said is left out, since it may quote a
// payload.
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
			return "unknown"
		}
	}
}
