package handler

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// Appwrite 1.9.6 may run twice what waited in its queue, if several executions are due in
// one minute. Both runs have the id of the one execution. If each of them queued the next
// attempt, their number would double with every attempt.

// executionKey is a hash of a redelivery's execution id, address and body. Of a first
// delivery, and without an execution's id, there is none.
type executionKey [sha256.Size]byte

func (d *delivery) executionKey() (key executionKey, ok bool) {
	id := d.ctx.Req.Headers["x-appwrite-execution-id"]
	if d.attempt == 0 || id == "" {
		return key, false
	}
	// The id alone proves nothing: a caller may forge it.
	return sha256.Sum256([]byte(strings.Join([]string{id, d.requestURI(d.attempt), string(d.body)}, "\n"))), true
}

// endedWell remembers of a process the last redeliveries whose verdict is stored or was
// queued again, 500 at least and 1,000 at most. What is under way, or has failed, is not
// among them.
type endedWell struct {
	mu          sync.Mutex
	now, before map[executionKey]bool
}

func (e *endedWell) has(key executionKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now[key] || e.before[key]
}

func (e *endedWell) add(key executionKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now == nil || len(e.now) == 500 {
		e.now, e.before = make(map[executionKey]bool), e.now
	}
	e.now[key] = true
}
