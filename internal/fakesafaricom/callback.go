package fakesafaricom

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"time"
)

// callback is one on its way to the caller.
type callback struct {
	operation Operation
	id        string
	url       string
	shortcode string // of a push alone
	body      []byte
	fault     Fault
	told      chan struct{} // closed when it was posted, if somebody waits
	twice     bool
}

// A Delivery is a callback that was posted. Each is posted once: nothing repeats
// one that was refused (documented, and observed for 44 minutes).
type Delivery struct {
	Operation Operation // whose result it is
	ID        string    // CheckoutRequestID, the caller's OriginatorConversationID, or the ConversationID of a status query
	URL       string
	Body      []byte
	At        time.Time
	Status    int   // of the receiver's answer, 0 if there was none
	Err       error // why there was none
}

// Deliveries returns the callbacks that were posted, in the order in which they
// were answered.
func (s *Safaricom) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// heldLife is how long a callback that is to come out of order waits for another
// to come before it.
const heldLife = time.Minute

// send posts a callback when d has passed, as its fault lets it. It needs the
// lock.
func (s *Safaricom) send(c *callback, d time.Duration) {
	times := 1
	switch c.fault.post {
	case postNever:
		return
	case postLate:
		d += c.fault.delay
	case postTwice:
		times = 2
	case postBeforeAck:
		d = 0
	case postOutOfOrder:
		s.held = append(s.held, c)
		s.clock.after(heldLife, func() { s.release(c) })
		return
	default:
		if c.twice {
			times = 2
		}
	}
	for range times {
		s.clock.after(d, func() { s.deliver(c) })
	}
}

// release posts a callback that was held, unless that was done.
func (s *Safaricom) release(c *callback) {
	s.mu.Lock()
	i := slices.Index(s.held, c)
	if i >= 0 {
		s.held = slices.Delete(s.held, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		s.deliver(c)
	}
}

// deliver posts a callback, and after it those that were held for another.
func (s *Safaricom) deliver(c *callback) {
	d := Delivery{Operation: c.operation, ID: c.id, URL: c.url, Body: c.body, At: s.Now()}
	d.Status, d.Err = s.post(c)
	s.mu.Lock()
	s.deliveries = append(s.deliveries, d)
	held := slices.Clone(s.held)
	s.mu.Unlock()
	if c.told != nil {
		close(c.told)
	}
	for _, h := range held {
		s.release(h)
	}
}

// post sends a callback with the headers that were observed on one of a push; of
// those on results nothing is known. There is no signature.
func (s *Safaricom) post(c *callback) (status int, err error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, c.url, bytes.NewReader(c.body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", "ReactorNetty/1.2.9")
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	if c.shortcode != "" {
		r.Header.Set("Businessshortcode", c.shortcode)
	}
	answer, err := s.Client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
