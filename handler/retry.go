package handler

import (
	"strconv"
	"time"
)

// A verdict that cannot be stored at once waits in the platform's queue, as a
// scheduled execution of this function by itself, with method, path and body as they
// came. The query holds uid and attempt. That is a wire format: what one version
// queues, a later one must read.

const day = 24 * time.Hour

// delays returns how long to wait before each attempt, in three independent runs: soon,
// within a day, within two weeks. Losing one loses no verdict. Attempts are numbered
// through all three, from 1.
func delays() [3][]time.Duration {
	return [3][]time.Duration{
		// Attempts 1 to 8, 9 to 13, and 14 to 25.
		{time.Minute, time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute},
		{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour},
		{day, day, day, day, day, day, day, day, day, day, day, day},
	}
}

// attempt is one delivery out of the queue.
type attempt struct {
	number int
	delay  time.Duration // before it
}

// nextAttempts lists the attempts to queue when this one fails: after the first
// delivery, 0, the first of each run, else the next of the same run, if there is one.
func nextAttempts(failed int) (next []attempt) {
	number := 1
	for _, run := range delays() {
		for i, delay := range run {
			if failed == 0 && i == 0 || failed != 0 && number == failed+1 && i > 0 {
				next = append(next, attempt{number, delay})
			}
			number++
		}
	}
	return next
}

// attemptNumber reads the number of a delivery out of the queue. Whatever is no such
// number makes it a first delivery, 0.
func attemptNumber(query string) int {
	if query == "" { // as Safaricom posts, and not worth an error
		return 0
	}
	last := 0
	for _, run := range delays() {
		last += len(run)
	}
	n, err := strconv.Atoi(query)
	if err != nil || n < 1 || n > last {
		return 0
	}
	return n
}

// scheduleMargin keeps scheduledAt ahead of the server's clock: Appwrite refuses what
// is not more than 60 s away.
const scheduleMargin = 90 * time.Second

// dueTime returns when an attempt is due that is queued now: a whole minute, since
// Appwrite takes no other.
func dueTime(delay time.Duration, now time.Time) time.Time {
	earliest := now.Add(max(delay, scheduleMargin))
	at := earliest.Truncate(time.Minute)
	if at.Before(earliest) {
		at = at.Add(time.Minute)
	}
	return at
}
