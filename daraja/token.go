package daraja

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	tokenLife   = time.Hour        // what is documented, and the longest believed
	tokenMargin = 60 * time.Second // before its end a token is no longer used
)

// tokens keeps an app's token. Each new one may void the former, so one is
// fetched only when there is none, by one goroutine at a time, and one that was
// refused is never handed out again.
type tokens struct {
	turn chan struct{} // full while somebody fetches

	mu      sync.Mutex
	value   string
	until   time.Time
	refused map[string]time.Time // when the issuer too has forgotten it
}

func newTokens() *tokens {
	return &tokens{turn: make(chan struct{}, 1), refused: make(map[string]time.Time)}
}

// current returns the token, or "" if there is none that can be used at now.
func (t *tokens) current(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.until) {
		return ""
	}
	return t.value
}

// keep makes value the token. It reports false if that was refused already:
// Safaricom may hand out the same one for as long as it lives.
func (t *tokens) keep(value string, until time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, refused := t.refused[value]; refused {
		return false
	}
	t.value, t.until = value, until
	return true
}

// refuse remembers that Safaricom no longer takes value.
func (t *tokens) refuse(value string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for old, end := range t.refused {
		if !now.Before(end) {
			delete(t.refused, old)
		}
	}
	t.refused[value] = now.Add(tokenLife)
	if t.value == value { // not if another goroutine has got a new one since
		t.value = ""
	}
}

// Token makes sure that a token is at hand. Outcome is Accepted then, else
// NotSent, and Detail says why. It sends nothing that could move money.
func (c *Client) Token(ctx context.Context) Answer {
	if value, failure := c.token(ctx); value == "" {
		return failure
	}
	return Answer{Outcome: Accepted}
}

// token returns the token, a new one if need be. It is "" where there is none to
// be had, and then the Answer says why.
func (c *Client) token(ctx context.Context) (string, Answer) {
	if value := c.tokens.current(c.now()); value != "" {
		return value, Answer{}
	}
	select {
	case c.tokens.turn <- struct{}{}:
		defer func() { <-c.tokens.turn }()
	case <-ctx.Done():
		return "", Answer{Outcome: NotSent, Detail: Detail{Reason: "no time left to wait for a token"}}
	}
	if value := c.tokens.current(c.now()); value != "" { // fetched while we waited
		return value, Answer{}
	}
	return c.fetch(ctx)
}

// fetch asks for a new token and keeps it.
func (c *Client) fetch(ctx context.Context) (string, Answer) {
	asked := c.now()
	got := c.send(ctx, token, http.MethodGet, nil, func(r *http.Request) {
		r.SetBasicAuth(c.credentials.ConsumerKey, c.credentials.ConsumerSecret)
	})
	answer, _ := judge(token, got, c.secrets())
	if answer.Outcome != Accepted {
		return "", answer
	}

	said := read(got.body)
	life := tokenLife
	if seconds, err := strconv.Atoi(string(said.ExpiresIn)); err == nil && seconds < int(tokenLife/time.Second) {
		life = time.Duration(max(seconds, 0)) * time.Second
	}
	value := string(said.AccessToken)
	if !c.tokens.keep(value, asked.Add(life-tokenMargin)) {
		return "", Answer{Outcome: NotSent, Detail: Detail{
			HTTPStatus:  got.status,
			Reason:      "Safaricom gives out a token that it refuses",
			Credentials: true,
			Field:       "ConsumerKey",
			Hint:        hintKeys,
		}}
	}
	return value, Answer{}
}
