// Package client asks the function for M-Pesa payments and payouts as a signed-in user,
// and shows what becomes of each as one stream of states:
//
//	for state := range c.Pay(ctx, client.Payment{Phone: "0712345678", Amount: 10, Reference: "ORDER-001"}) {
//		fmt.Println(state.Message(client.English))
//	}
//
// A stream survives lost connections, lost replies and servers without Realtime, and
// ends with the first state that is final. The payment's document is the only memory:
// whoever keeps [State.ID] of each state can go on with [Client.Resume] after the
// program has ended, and [Client.Pending] finds what was forgotten. The id changes if
// another payment of the same user was in the way: see [State.Instead].
//
// Nothing here says that a payment failed unless it is known that no money moved.
// [Timeout] means that the outcome is not known, however long that has been so.
package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"openruntimes/handler/parse"
)

// Config says where Appwrite is, and who asks.
type Config struct {
	Endpoint string // Appwrite's, with /v1
	Project  string

	// Session is the user's session token, as [SignIn] returns it. It may be empty if
	// HTTP has a cookie jar with a session. A JWT or an API key is no session: for
	// whoever comes with one, Appwrite tells the function of no user.
	Session string

	// HTTP makes all calls, and the connection to Realtime. Nil is one of its own. It
	// is never redirected.
	HTTP *http.Client

	// The ids of the function, its database and both collections. Those of
	// appwrite.json may be left out: daraja, daraja, payments and disbursements.
	Function, Database, Payments, Disbursements string
}

// Client asks for payments as one user. Its methods may be called from several
// goroutines; all its streams share one connection to Realtime, which is there while
// any of them is.
type Client struct {
	config   Config
	http     *http.Client
	clock    clock
	realtime *realtime
}

// New returns a client. It calls nobody.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("client: the endpoint %q is no URL such as https://fra.cloud.appwrite.io/v1", c.Endpoint)
	case c.Project == "":
		return nil, errors.New("client: no project")
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	c.Function, c.Database = cmp.Or(c.Function, "daraja"), cmp.Or(c.Database, "daraja")
	c.Payments, c.Disbursements = cmp.Or(c.Payments, "payments"), cmp.Or(c.Disbursements, "disbursements")
	made := &Client{config: c, http: withoutRedirects(c.HTTP), clock: realClock()}
	made.realtime = newRealtime(made)
	return made, nil
}

// connections is how many an HTTP client of ours has to Appwrite at most. The calls of more
// streams wait for each other.
const connections = 64

// withoutRedirects is a copy of h, or a client of its own, that goes nowhere else with a
// session.
func withoutRedirects(h *http.Client) *http.Client {
	if h == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = connections, connections
		h = &http.Client{Transport: transport}
	}
	made := *h
	made.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &made
}

// A Payment is what a user asks a phone for: the body of POST /stk/push but for the id,
// which the client makes.
type Payment struct {
	Phone       string `json:"phone"`  // of the payer, such as 0712345678
	Amount      int64  `json:"amount"` // whole shillings
	Reference   string `json:"reference"`
	Description string `json:"description,omitempty"`

	// Again asks even though an identical payment has no known outcome. Set it only
	// after the person was told that both may be charged, and wants to pay again: see
	// [State.MayPayAgain].
	Again bool `json:"again,omitempty"`
}

// A Payout is the body of POST /b2c/pay but for the id.
type Payout struct {
	Phone     string `json:"phone"`  // of the receiver
	Amount    int64  `json:"amount"` // whole shillings
	Remarks   string `json:"remarks"`
	Occasion  string `json:"occasion,omitempty"`
	CommandID string `json:"commandId,omitempty"`
	Again     bool   `json:"again,omitempty"` // as of a [Payment]
}

// Pay asks for a payment, and yields its states until one is final. The first one,
// [Initiating], carries the id, and nothing is sent before the loop has taken it. Keep the
// id of each state to be able to resume: it changes where another payment was in the way.
//
// The end of ctx or of the loop ends the stream, not the payment. Ranging over the same
// stream once more asks for the same payment once more, which sends no second prompt.
func (c *Client) Pay(ctx context.Context, p Payment) iter.Seq[State] {
	return c.ask(ctx, parse.Payment, func(id string) any {
		return struct {
			ID string `json:"id"`
			Payment
		}{id, p}
	})
}

// PayOut does the same for a payout.
func (c *Client) PayOut(ctx context.Context, p Payout) iter.Seq[State] {
	return c.ask(ctx, parse.Disbursement, func(id string) any {
		return struct {
			ID string `json:"id"`
			Payout
		}{id, p}
	})
}

func (c *Client) ask(ctx context.Context, kind parse.Kind, request func(id string) any) iter.Seq[State] {
	id := newID()
	body, err := json.Marshal(request(id))
	if err != nil {
		panic(err) // strings, a number and a bool
	}
	var asked atomic.Bool
	return func(yield func(State) bool) {
		s := c.newStream(State{Name: Initiating, Kind: kind, ID: id})
		s.body, s.asking, s.first = string(body), true, !asked.Swap(true)
		s.run(ctx, yield)
	}
}

// Resume yields the states of a payment, or payout, that was asked for before. It begins
// with [Idle] until the document has been read.
func (c *Client) Resume(ctx context.Context, kind parse.Kind, id string) iter.Seq[State] {
	return func(yield func(State) bool) {
		c.newStream(State{Name: Idle, Kind: kind, ID: id}).run(ctx, yield)
	}
}

// Pending lists the payments, or payouts, of this user that have no outcome yet, for
// [Client.Resume], the newest first and at most 100.
func (c *Client) Pending(ctx context.Context, kind parse.Kind) ([]State, error) {
	documents, err := c.list(ctx, kind)
	if err != nil {
		return nil, err
	}
	var open []State
	for _, d := range documents {
		s := State{Kind: kind, ID: d.id}
		s.apply(d)
		open = append(open, s)
	}
	return open, nil
}

// Wake has all streams read their documents now, and reconnect without further delay:
// for when the program comes back to the foreground, or the network is back.
func (c *Client) Wake() { c.realtime.wake() }

// newID returns a UUID v4, as payouts need it. It holds no letters but a to f, so no word
// that Safaricom refuses in a URL.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails on any system that Go runs on
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
