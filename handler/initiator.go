package handler

import (
	"sync"
	"time"
)

// initiatorState remembers that Safaricom refuses the one in whose name payouts are made and
// asked about. Several wrong tries in a row lock them, and a wrong password is accepted
// first: who asks on learns of it when it is too late. The zero value is not refused.
// Another deployment, with other settings, begins anew.
type initiatorState struct {
	mu sync.Mutex
	at time.Time // when Safaricom said so; zero if it did not
}

// refusedFor is how long nothing is tried after that.
const refusedFor = time.Hour

func (i *initiatorState) refused(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = now
}

// taken notes that Safaricom has done something in the initiator's name for a payout that
// was started then. What was started before Safaricom refused them proves nothing: its
// result may come late, or twice.
func (i *initiatorState) taken(started time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if started.After(i.at) {
		i.at = time.Time{}
	}
}

func (i *initiatorState) isRefused(now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.at.IsZero() && now.Sub(i.at) < refusedFor
}
