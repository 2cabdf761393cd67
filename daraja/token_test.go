package daraja

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// issuer is a Safaricom whose tokens can be voided.
type issuer struct {
	*safaricom
	mu     sync.Mutex
	issued int
	void   map[string]bool
}

// newIssuer issues token-1, token-2, …; with rotates each voids the one before, as
// the documentation says.
func newIssuer(t *testing.T, rotates bool) *issuer {
	i := &issuer{safaricom: newSafaricom(t), void: map[string]bool{}}
	i.token = func(request) []byte {
		i.mu.Lock()
		defer i.mu.Unlock()
		if rotates {
			i.void[fmt.Sprintf("token-%d", i.issued)] = true
		}
		i.issued++
		return tokenResponse(fmt.Sprintf("token-%d", i.issued), `"3599"`)
	}
	refusal, acceptance := fixture(t, "push/404.001.03"), fixture(t, "push/200")
	i.answer = func(r request) []byte {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.void[strings.TrimPrefix(r.authorization, "Bearer ")] {
			return refusal
		}
		return acceptance
	}
	return i
}

func (i *issuer) revoke(token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.void[token] = true
}

// TestTokenLife: a token is used until 60 s before its end.
func TestTokenLife(t *testing.T) {
	const hour = 3600 * time.Second
	for _, e := range []struct {
		expires string        // as JSON
		reused  time.Duration // the last moment at which it is used again; 0 is never
	}{
		{`"3599"`, 3538 * time.Second},
		{`3599`, 3538 * time.Second},
		{`" 3599 "`, 3538 * time.Second},
		{`"120"`, 59 * time.Second},
		{`62`, 1 * time.Second},
		{`"60"`, 0},
		{`"59"`, 0},
		{`0`, 0},
		{`-9223372037`, 0}, // in nanoseconds more than an int64 holds
		{`null`, hour - 61*time.Second},
		{`"soon"`, hour - 61*time.Second},
		{`"86400"`, hour - 61*time.Second}, // longer than any is documented to live
		{`99999999999999999999`, hour - 61*time.Second},
	} {
		t.Run(e.expires, func(t *testing.T) {
			s := newSafaricom(t)
			s.token = func(request) []byte { return tokenResponse(fmt.Sprintf("token-%d", len(s.asked)), e.expires) }
			at := now
			c := New(s.url, credentials, single(), func() time.Time { return at })
			use := func(want int) {
				t.Helper()
				if got := c.Token(context.Background()); got.Outcome != Accepted {
					t.Fatalf("%+v", got)
				}
				if len(s.asked) != want {
					t.Errorf("%v later: %d tokens asked for, want %d", at.Sub(now), len(s.asked), want)
				}
			}
			use(1)
			if e.reused == 0 {
				use(2)
				return
			}
			at = now.Add(e.reused)
			use(1)
			at = now.Add(e.reused + time.Second)
			use(2)
		})
	}
}

// TestFreshToken: a token that is refused is replaced, and the request sent once more.
func TestFreshToken(t *testing.T) {
	i := newIssuer(t, false)
	c := newClient(i.safaricom)
	c.Token(context.Background())
	i.revoke("token-1")
	if got := c.Push(context.Background(), pushRequest); got.Outcome != Accepted {
		t.Errorf("%+v", got)
	}
	if len(i.requests) != 2 || i.requests[0].authorization != "Bearer token-1" || i.requests[1].authorization != "Bearer token-2" {
		t.Fatalf("sent %+v", i.requests)
	}
	if i.requests[0].body != i.requests[1].body {
		t.Errorf("sent\n%s\nand then\n%s", i.requests[0].body, i.requests[1].body)
	}
	if got := c.Push(context.Background(), pushRequest); got.Outcome != Accepted || i.issued != 2 {
		t.Errorf("%+v after %d tokens", got, i.issued)
	}
}

// TestVoidedBeforeUse: another process with the same keys fetches tokens too, and each
// voids ours before it is used. Up to three fresh ones are tried in one call.
func TestVoidedBeforeUse(t *testing.T) {
	for _, e := range []struct {
		voided int // of the first tokens
		sent   int
		want   Outcome
	}{
		{voided: 0, sent: 1, want: Accepted},
		{voided: 1, sent: 2, want: Accepted},
		{voided: 2, sent: 3, want: Accepted},
		{voided: 3, sent: 4, want: Accepted},
		{voided: 4, sent: 4, want: NotSent},
	} {
		t.Run(fmt.Sprint(e.voided, " voided"), func(t *testing.T) {
			i := newIssuer(t, true)
			for n := range e.voided {
				i.revoke(fmt.Sprintf("token-%d", n+1))
			}
			got := newClient(i.safaricom).Push(context.Background(), pushRequest)
			if got.Outcome != e.want || got.Credentials != (e.want == NotSent) {
				t.Errorf("%+v, want %s", got, e.want)
			}
			if i.posts() != e.sent || i.issued != e.sent {
				t.Errorf("sent %d times with %d tokens, want %d with one each", i.posts(), i.issued, e.sent)
			}
		})
	}
}

// TestNoTimeForAFreshToken: the caller's time ends when a token was refused. Nothing
// more is asked for, and nothing was sent.
func TestNoTimeForAFreshToken(t *testing.T) {
	i := newIssuer(t, false)
	i.revoke("token-1")
	ctx, cancel := context.WithCancel(context.Background())
	c := newClient(i.safaricom)
	c.now = func() time.Time { // a refused token is remembered with its time
		if len(i.requests) == 1 {
			cancel()
		}
		return now
	}
	got := c.Push(ctx, pushRequest)
	if got.Outcome != NotSent || len(i.requests) != 1 || i.issued != 1 {
		t.Errorf("%+v, sent %d times with %d tokens", got, len(i.requests), i.issued)
	}
}

// TestTooLateForAFreshToken: the time to begin ends while a token is refused, and while a
// fresh one is fetched. Nothing more is sent, though the caller waits on.
func TestTooLateForAFreshToken(t *testing.T) {
	for name, e := range map[string]struct {
		late   func(i *issuer) bool
		issued int
	}{
		"before it is fetched": {func(i *issuer) bool { return i.posts() == 1 }, 1},
		"when it is there": {func(i *issuer) bool {
			i.mu.Lock()
			defer i.mu.Unlock()
			return i.issued == 2
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, false)
			i.revoke("token-1")
			ctx := OnlyWhile(context.Background(), func() bool { return !e.late(i) })
			got := newClient(i.safaricom).Push(ctx, pushRequest)
			if want := (Answer{Outcome: NotSent, Detail: Detail{Reason: "no time left"}}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if i.posts() != 1 || i.issued != e.issued {
				t.Errorf("sent %d times with %d tokens, want once with %d", i.posts(), i.issued, e.issued)
			}
		})
	}
}

// TestRefusedEachTime: what was refused is never used again, by a later call either.
func TestRefusedEachTime(t *testing.T) {
	s := newSafaricom(t)
	s.answer = always(fixture(t, "push/404.001.03"))
	c := newClient(s)
	for range 2 {
		got := c.Push(context.Background(), pushRequest)
		want := Answer{Outcome: NotSent, Detail: because(404, "404.001.03", "Invalid Access Token").keys("ConsumerKey")}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	var sent, want []string
	for n, r := range s.requests {
		sent = append(sent, r.authorization)
		want = append(want, fmt.Sprintf("Bearer token-%d", n+1))
	}
	if len(sent) != 8 || !slices.Equal(sent, want) {
		t.Errorf("sent with %q, want another token each of eight times", sent)
	}
}

// TestRefusedAndHandedOutAgain: Safaricom may issue the same token for as long as it
// lives, refused or not. It is not used again, until it must be another one.
func TestRefusedAndHandedOutAgain(t *testing.T) {
	s := newSafaricom(t)
	s.token = always(tokenResponse("token-0", `"3599"`))
	s.answer = always(fixture(t, "push/401-fault"))
	at := now
	c := New(s.url, credentials, single(), func() time.Time { return at })
	want := Answer{Outcome: NotSent, Detail: because(200, "", "Safaricom gives out a token that it refuses").keys("ConsumerKey")}
	for range 2 {
		if got := c.Push(context.Background(), pushRequest); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if s.posts() != 1 {
		t.Errorf("sent %d times with a token that was refused, want once", s.posts())
	}
	at = now.Add(time.Hour)
	c.tokens.refuse("another", at)
	if len(c.tokens.refused) != 1 {
		t.Errorf("remembered after an hour: %v", c.tokens.refused)
	}
}

// TestNoFreshToken: the first request was refused, and there is no token for a second.
func TestNoFreshToken(t *testing.T) {
	s := newSafaricom(t)
	s.token = func(request) []byte {
		if len(s.asked) == 1 {
			return tokenResponse("token-1", "3599")
		}
		return fixture(t, "token/503-html")
	}
	s.answer = always(fixture(t, "pay/401"))
	got := newClient(s).Pay(context.Background(), payRequest)
	if want := (Answer{Outcome: NotSent, Detail: because(503, "", "HTTP 503 with an HTML page")}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if s.posts() != 1 || len(s.asked) != 2 {
		t.Errorf("%d requests and %d for a token", s.posts(), len(s.asked))
	}
}

// TestSecondUnknown: what is unknown of the second request is unknown, though the
// first was refused.
func TestSecondUnknown(t *testing.T) {
	s := newSafaricom(t)
	s.answer = func(r request) []byte {
		if r.authorization == "Bearer token-1" {
			return fixture(t, "pay/401")
		}
		return nil
	}
	if got := newClient(s).Pay(context.Background(), payRequest); got.Outcome != Unknown || got.Credentials {
		t.Errorf("%+v", got)
	}
}

// TestManyAtOnce: where each new token voids the former, many who find theirs void
// get one new token between them.
func TestManyAtOnce(t *testing.T) {
	i := newIssuer(t, true)
	c := newClient(i.safaricom)
	together := func() {
		var all sync.WaitGroup
		for range 20 {
			all.Add(1)
			go func() {
				defer all.Done()
				if got := c.Push(context.Background(), pushRequest); got.Outcome != Accepted {
					t.Errorf("%+v", got)
				}
			}()
		}
		all.Wait()
	}
	together()
	if i.issued != 1 {
		t.Errorf("%d tokens issued at first, want 1", i.issued)
	}
	i.revoke("token-1")
	together()
	if i.issued != 2 {
		t.Errorf("%d tokens issued, want 2", i.issued)
	}
}

// TestLateRefusal: two send with the same token; one has its new token before the
// other hears of the refusal. The new one stays.
func TestLateRefusal(t *testing.T) {
	i := newIssuer(t, false)
	i.void["token-1"] = true
	answer := i.answer
	received, held := make(chan struct{}), make(chan struct{})
	i.answer = func(r request) []byte {
		response := answer(r)
		if strings.Contains(r.body, `"Amount":"7"`) && r.authorization == "Bearer token-1" {
			close(received)
			<-held
		}
		return response
	}
	c := newClient(i.safaricom)
	late := make(chan Answer)
	go func() {
		r := pushRequest
		r.Amount = 7
		late <- c.Push(context.Background(), r)
	}()
	<-received
	if got := c.Push(context.Background(), pushRequest); got.Outcome != Accepted {
		t.Errorf("%+v", got)
	}
	close(held)
	if got := <-late; got.Outcome != Accepted {
		t.Errorf("%+v", got)
	}
	if i.issued != 2 {
		t.Errorf("%d tokens issued, want 2", i.issued)
	}
}

// TestWaiting: who waits for another's token does so for no longer than he has, and
// gets one of his own if the other gives up.
func TestWaiting(t *testing.T) {
	s := newSafaricom(t)
	asked, held := make(chan struct{}, 2), make(chan struct{})
	s.token = func(request) []byte {
		asked <- struct{}{}
		<-held
		return tokenResponse("token-1", "3599")
	}
	c := newClient(s)
	first, giveUp := context.WithCancel(context.Background())
	fetching := make(chan Answer)
	go func() { fetching <- c.Token(first) }()
	<-asked

	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	want := Answer{Outcome: NotSent, Detail: Detail{Reason: "no time left to wait for a token"}}
	if got := c.Token(impatient); got != want {
		t.Errorf("impatient: got  %+v\nwant %+v", got, want)
	}

	waiting := make(chan Answer)
	go func() { waiting <- c.Token(context.Background()) }()
	giveUp()
	if got := <-fetching; got.Outcome != NotSent {
		t.Errorf("first: %+v", got)
	}
	<-asked // the one who waited asks for himself
	close(held)
	if got := <-waiting; got.Outcome != Accepted {
		t.Errorf("second: %+v", got)
	}
}

// TestUnfitToken: what cannot stand in a header is no token.
func TestUnfitToken(t *testing.T) {
	for _, value := range []string{"two words", "line\nbreak", "\x00", "ümlaut"} {
		s := newSafaricom(t)
		s.token = always(tokenResponse(value, "3599"))
		got := newClient(s).Push(context.Background(), pushRequest)
		if got.Outcome != NotSent || s.posts() != 0 {
			t.Errorf("%q: %+v", value, got)
		}
	}
}

// TestWith: a client for other credentials of the same app has its token, whatever else
// differs, and one of another app has its own.
func TestWith(t *testing.T) {
	for name, e := range map[string]struct {
		change func(*Credentials)
		tokens int
	}{
		"another shortcode": {func(k *Credentials) { k.Shortcode = "600999" }, 1},
		"another key":       {func(k *Credentials) { k.ConsumerKey = "payouts-key" }, 2},
		"another secret":    {func(k *Credentials) { k.ConsumerSecret = "payouts-secret" }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, false)
			c := newClient(i.safaricom)
			payouts := credentials
			e.change(&payouts)
			p := c.With(payouts)
			for range 2 {
				c.Push(context.Background(), pushRequest)
				p.Pay(context.Background(), payRequest)
			}
			if len(i.asked) != e.tokens || len(i.requests) != 4 {
				t.Fatalf("%d tokens for %d requests, want %d for 4", len(i.asked), len(i.requests), e.tokens)
			}
			if e.tokens == 2 && i.asked[0].authorization == i.asked[1].authorization {
				t.Errorf("both tokens were asked for with %s", i.asked[0].authorization)
			}
			if got := received(t, i.requests[0])["BusinessShortCode"]; got != credentials.Shortcode {
				t.Errorf("the push is of %s", got)
			}
			if got := received(t, i.requests[1])["PartyA"]; got != payouts.Shortcode {
				t.Errorf("the payout is of %s", got)
			}
		})
	}
}
