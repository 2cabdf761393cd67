package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// clock is all that the client knows of time. Tests have one that stands still.
type clock struct {
	now     func() time.Time
	wall    func() time.Time // what a clock on the wall shows: it goes on while the machine sleeps
	at      func(time.Time) (passed <-chan time.Time, stop func())
	timeout func(context.Context, time.Duration) (context.Context, context.CancelFunc) // around one call
	random  func() float64                                                             // 0 to 1
}

func realClock() clock {
	return clock{now: time.Now, wall: func() time.Time { return time.Now().Round(0) }, timeout: context.WithTimeout, random: rand.Float64,
		at: func(t time.Time) (<-chan time.Time, func()) {
			timer := time.NewTimer(time.Until(t))
			return timer.C, func() { timer.Stop() }
		},
	}
}

// How long a call may take. The platform lets an execution that is waited for run 30 s,
// and answers 408 then.
const (
	readTakes   = 10 * time.Second
	askingTakes = 40 * time.Second
)
