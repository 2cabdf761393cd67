package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// TestNext: every attempt is at a whole minute, more than a minute away by a
// server's clock that is half a minute ahead, and about when it should be.
func TestNext(t *testing.T) {
	about := []time.Duration{ // by attempt, from 1
		time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	}
	for len(about) < 25 {
		about = append(about, 24*time.Hour)
	}
	start := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)
	for offset := time.Duration(0); offset < 2*time.Minute; offset += 777 * time.Millisecond {
		now := start.Add(offset)
		for i, want := range about {
			at, ok := next(i+1, now)
			wait := at.Sub(now)
			if !ok || at.Truncate(time.Minute) != at || wait < 90*time.Second || wait < want || wait > max(want, 90*time.Second)+time.Minute {
				t.Errorf("next(%d, %v) = %v, %t: in %v, want about %v", i+1, now, at, ok, wait, want)
			}
		}
	}
	for _, attempt := range []int{-1, 0, 26, 1000} {
		if at, ok := next(attempt, start); ok || !at.IsZero() {
			t.Errorf("next(%d) = %v, %t, want none", attempt, at, ok)
		}
	}
	// A time in another zone is the same time.
	at, _ := next(1, start.In(time.FixedZone("", 5*60*60+30*60)))
	if want := start.Add(2 * time.Minute); !at.Equal(want) {
		t.Errorf("next = %v, want %v", at, want)
	}
}

// TestFollowing walks the three runs: 25 attempts, each once.
func TestFollowing(t *testing.T) {
	if got := fmt.Sprint(following(0)); got != "[1 9 14]" {
		t.Errorf("following(0) = %s, want the first of each run", got)
	}
	seen := map[int]bool{}
	for _, attempt := range following(0) {
		for len(following(attempt)) == 1 {
			seen[attempt] = true
			attempt = following(attempt)[0]
		}
		if seen[attempt] = true; attempt != 8 && attempt != 13 && attempt != 25 {
			t.Errorf("a run ends with attempt %d", attempt)
		}
	}
	if len(seen) != 25 {
		t.Errorf("the runs have %d attempts, want 25", len(seen))
	}
}

func TestAttemptOf(t *testing.T) {
	for query, want := range map[string]int{"": 0, "1": 1, "25": 25, "26": 0, "0": 0, "-1": 0, "1.0": 0, " 1": 0, "x": 0, "99999999999999999999": 0} {
		if got := attemptOf(query); got != want {
			t.Errorf("attemptOf(%q) = %d, want %d", query, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want class
	}{
		{newFailure("create", context.DeadlineExceeded), passes},
		{newFailure("create", io.ErrUnexpectedEOF), passes},
		{&failure{status: 200}, passes},
		{&failure{status: 201}, passes},
		{&failure{status: 301}, operator},
		{&failure{status: 308}, operator},
		{&failure{status: 400}, operator},
		{&failure{status: 401}, operator},
		{&failure{status: 403}, operator},
		{&failure{status: 404}, operator},
		{&failure{status: 408}, passes},
		{&failure{status: 409}, operator},
		{&failure{status: 429}, busy},
		{&failure{status: 500}, passes},
		{&failure{status: 502}, passes},
		{&failure{status: 503}, passes},
		{&failure{status: 599}, passes},
		{errContest, passes},
		{errForeign, operator},
		{errors.New("configuration: X is missing"), operator},
		{fmt.Errorf("%w; %w", &failure{status: 429}, &failure{status: 500}), busy},
	} {
		if got := classify(tt.err); got != tt.want {
			t.Errorf("classify(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}

// TestClock holds the clock to the promises: an answer within 5 s unless keeping
// needs longer, and one before 25 s in any case.
func TestClock(t *testing.T) {
	c := newClock()
	if c.call > 1400*time.Millisecond || c.store+c.queue > 5*time.Second || c.store < 2*c.call {
		t.Errorf("%+v: the first round must end within 5 s, with time for two tries of the store", c)
	}
	if want := [4]time.Duration{0, 6 * time.Second, 12 * time.Second, 18 * time.Second}; c.rounds != want || c.rounds[3]+c.store+c.queue > 25*time.Second {
		t.Errorf("rounds = %v, want %v and the last to end by 25 s", c.rounds, want)
	}
}
