package handler

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// about says how long to wait before each attempt, from 1.
var about = append([]time.Duration{
	time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
}, day, day, day, day, day, day, day, day, day, day, day, day)

// TestNextAttempts walks the three runs: 25 attempts, each once and after its delay.
func TestNextAttempts(t *testing.T) {
	for failed, want := range map[int]string{
		-1: "[]", 0: "[1 9 14]", 1: "[2]", 7: "[8]", 8: "[]", 9: "[10]", 12: "[13]", 13: "[]", 14: "[15]", 24: "[25]", 25: "[]", 26: "[]",
	} {
		t.Run(fmt.Sprint(failed), func(t *testing.T) {
			numbers := []int{}
			for _, a := range nextAttempts(failed) {
				numbers = append(numbers, a.number)
			}
			if got := fmt.Sprint(numbers); got != want {
				t.Errorf("after attempt %d come %s, want %s", failed, got, want)
			}
		})
	}
	seen := map[int]bool{}
	for failed := range 26 {
		for _, a := range nextAttempts(failed) {
			if seen[a.number] {
				t.Errorf("attempt %d comes twice", a.number)
			}
			seen[a.number] = true
			if want := about[a.number-1]; a.delay != want {
				t.Errorf("attempt %d comes after %v, want %v", a.number, a.delay, want)
			}
		}
	}
	if len(seen) != 25 {
		t.Errorf("the runs have %d attempts, want 25", len(seen))
	}
}

// TestDueTime: every attempt is at a whole minute, more than a minute away by a
// server's clock that is half a minute ahead, and about when it should be.
func TestDueTime(t *testing.T) {
	start := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)
	for i, delay := range about {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			least := max(delay, 90*time.Second)
			for offset := time.Duration(0); offset < 2*time.Minute; offset += 777 * time.Millisecond {
				now := start.Add(offset)
				at := dueTime(delay, now)
				if at.Truncate(time.Minute) != at {
					t.Errorf("from %v: %v is no whole minute", now, at)
				}
				if wait := at.Sub(now); wait < least {
					t.Errorf("from %v: after %v, want at least %v", now, wait, least)
				}
				if wait := at.Sub(now); wait > least+time.Minute {
					t.Errorf("from %v: after %v, want at most %v", now, wait, least+time.Minute)
				}
			}
		})
	}
	t.Run("in another zone", func(t *testing.T) {
		at := dueTime(time.Minute, start.In(time.FixedZone("", 5*60*60+30*60)))
		if want := start.Add(2 * time.Minute); !at.Equal(want) {
			t.Errorf("%v, want %v", at, want)
		}
	})
}

func TestAttemptNumber(t *testing.T) {
	for query, want := range map[string]int{
		"": 0, "1": 1, "25": 25, "26": 0, "0": 0, "-1": 0, "+1": 1, "1.0": 0, " 1": 0, "x": 0, "99999999999999999999": 0,
	} {
		t.Run(query, func(t *testing.T) {
			if got := attemptNumber(query); got != want {
				t.Errorf("attemptNumber(%q) = %d, want %d", query, got, want)
			}
		})
	}
}

// TestClock holds the clock to the promises: an answer within 5 s unless keeping needs
// longer, and one before 25 s in any case.
func TestClock(t *testing.T) {
	c := newClock()
	if c.oneCall > 1400*time.Millisecond {
		t.Errorf("one call may take %v", c.oneCall)
	}
	if first := c.store + c.queue; first > 5*time.Second {
		t.Errorf("the first round may take %v, want at most 5 s", first)
	}
	if c.store < 2*c.oneCall {
		t.Errorf("the store has %v, want time for two calls of %v", c.store, c.oneCall)
	}
	if want := [4]time.Duration{0, 6 * time.Second, 12 * time.Second, 18 * time.Second}; c.rounds != want {
		t.Errorf("rounds = %v, want %v", c.rounds, want)
	}
	if end := c.rounds[3] + c.store + c.queue; end > 25*time.Second {
		t.Errorf("the last round may end after %v, want within 25 s", end)
	}
	t.Run("wait", func(t *testing.T) {
		start := time.Now()
		c.wait(start, 20*time.Millisecond)
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("it waited %v", took)
		}
		c.wait(start.Add(-time.Hour), time.Minute) // which is over: no wait, or this test hangs
	})
	t.Run("timeout", func(t *testing.T) {
		ctx, cancel := c.call(context.Background())
		defer cancel()
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Fatal("a call has no deadline")
		}
		if left := time.Until(deadline); left > c.oneCall {
			t.Errorf("a call has %v left, want at most %v", left, c.oneCall)
		}
	})
	t.Run("now", func(t *testing.T) {
		before := time.Now()
		if now := c.now(); now.Before(before) || now.After(time.Now()) {
			t.Errorf("it is %v at %v", now, before)
		}
	})
}
