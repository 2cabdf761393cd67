package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"openruntimes/handler/parse"
)

// RealtimeError is an error after which connecting to Realtime is not tried again. Streams
// go on without.
type RealtimeError struct {
	Code    int
	Message string
}

func (e *RealtimeError) Error() string { return fmt.Sprintf("Realtime: %d %s", e.Code, e.Message) }

// When a connection is tried again: 1 s after the first that failed, twice as long each
// time, each between half and all of that.
const (
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
	stands       = 10 * time.Second // a connection that lasted this long counts as a good one
)

// The server sends no pings, and half-open connections stay open.
const (
	pingEvery  = 20 * time.Second
	pongWithin = 10 * time.Second
	dialTakes  = 10 * time.Second
)

// maxMessage is far more than any document has. Appwrite refuses frames over 64,000 bytes
// from clients.
const maxMessage = 1 << 20

// realtime is the one connection of a client, for as long as a stream is there. It
// subscribes to both collections, of which a user gets what he may read, and never to
// single documents: so it is there before anything is asked for, and never has to be
// opened anew.
//
// It reads as fast as messages come, however slow the streams' readers are: for each
// stream it keeps the best that was said of its document.
type realtime struct {
	c *Client

	turn sync.Mutex // of those who join and leave

	mu      sync.Mutex // guards what follows
	feeds   map[*feed]bool
	byKey   map[string]map[*feed]bool
	live    bool
	refused error         // why it is not tried again
	cancel  func()        // ends the connection
	ended   chan struct{} // closed when it has, or when Realtime has refused it for good
	nudged  chan struct{} // ends the wait for the next try
}

// A feed is what one stream hears of its document. Its fields are guarded by the
// realtime's lock.
type feed struct {
	key     string
	changed chan struct{}
	news    news
}

type news struct {
	document *document
	read     bool // the document is to be read: events may have been missed
	live     bool
	refused  error
}

func newRealtime(c *Client) *realtime {
	return &realtime{c: c, feeds: map[*feed]bool{}, byKey: map[string]map[*feed]bool{}, nudged: make(chan struct{}, 1)}
}

func keyOf(collection, id string) string { return collection + "/" + id }

// join begins to listen for one document.
func (r *realtime) join(collection, id string) *feed {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &feed{key: keyOf(collection, id), changed: make(chan struct{}, 1)}
	if len(r.feeds) == 0 {
		r.start()
	}
	r.feeds[f] = true
	if r.byKey[f.key] == nil {
		r.byKey[f.key] = map[*feed]bool{}
	}
	r.byKey[f.key][f] = true
	if r.live || r.refused != nil {
		r.tell(f)
	}
	return f
}

// start opens the connection, for the first stream. It needs the lock.
func (r *realtime) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	r.cancel, r.ended = cancel, ended
	r.live, r.refused = false, nil
	go func() {
		defer close(ended)
		r.run(ctx)
	}()
}

// leave ends listening. The last one ends the connection.
func (r *realtime) leave(f *feed) {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	delete(r.feeds, f)
	delete(r.byKey[f.key], f)
	if len(r.byKey[f.key]) == 0 {
		delete(r.byKey, f.key)
	}
	last := len(r.feeds) == 0
	r.mu.Unlock()
	if last {
		r.cancel()
		<-r.ended
	}
}

// take returns what a feed has heard since the last time.
func (r *realtime) take(f *feed) news {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard := f.news
	heard.live, heard.refused = r.live, r.refused
	f.news = news{}
	return heard
}

// tell says that there is something to take. It needs the lock.
func (r *realtime) tell(f *feed) {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// tellAll changes something for all streams.
func (r *realtime) tellAll(change func(*feed)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.feeds {
		change(f)
		r.tell(f)
	}
}

// wake has all streams read their documents, and the next try come now.
func (r *realtime) wake() {
	r.tellAll(func(f *feed) { f.news.read = true })
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// run keeps the connection, until ctx ends or the server says that it will never do.
func (r *realtime) run(ctx context.Context) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		lasted, err := r.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		r.set(false, err)
		if err != nil {
			return
		}
		if lasted >= stands {
			backoff = firstBackoff
		}
		wait := time.Duration(float64(backoff) * (1 + r.c.clock.random()) / 2)
		passed, stop := r.c.clock.at(r.c.clock.now().Add(wait))
		select {
		case <-ctx.Done():
		case <-passed:
		case <-r.nudged:
		}
		stop()
	}
}

// set says how the connection stands.
func (r *realtime) set(live bool, refused error) {
	r.mu.Lock()
	changed := live || r.live || refused != nil
	r.live, r.refused = live, refused
	r.mu.Unlock()
	if changed {
		r.tellAll(func(f *feed) { f.news.read = f.news.read || live })
	}
}

// url has all channels, which every version from 1.8.1 on takes. Subscribing by messages
// begins with 1.9.5.
func (r *realtime) url() string {
	c := &r.c.config
	query := url.Values{"project": {c.Project}}
	for _, kind := range []parse.Kind{parse.Payment, parse.Disbursement} {
		query.Add("channels[]", "databases."+c.Database+".collections."+r.c.collection(kind)+".documents")
	}
	return c.Endpoint + "/realtime?" + query.Encode()
}

// connect opens the connection and reads it until it ends. It returns how long it stood,
// and an error if the server will never have it.
func (r *realtime) connect(ctx context.Context) (lasted time.Duration, refused error) {
	conn, err := r.dial(ctx)
	if err != nil {
		return 0, nil
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan []byte)
	go readMessages(ctx, conn, messages)
	clock := &r.c.clock
	var connected time.Time
	heard, pinged := clock.now(), false
	for {
		due := heard.Add(pingEvery)
		if pinged {
			due = due.Add(pongWithin)
		}
		passed, stop := clock.at(due)
		select {
		case text, more := <-messages:
			heard, pinged = clock.now(), false
			isConnected, err := r.message(text)
			if isConnected {
				connected = clock.now()
			}
			if err != nil || !more {
				stop()
				return since(connected, clock.now()), err
			}
		case <-passed:
			if pinged || conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
				return since(connected, clock.now()), nil
			}
			pinged = true
		case <-ctx.Done():
			stop()
			return 0, nil
		}
		stop()
	}
}

// readMessages passes on what comes until the connection or ctx ends, and closes messages then.
func readMessages(ctx context.Context, conn *websocket.Conn, messages chan<- []byte) {
	defer close(messages)
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		select {
		case messages <- text:
		case <-ctx.Done():
			return
		}
	}
}

func since(connected, now time.Time) time.Duration {
	if connected.IsZero() {
		return 0
	}
	return now.Sub(connected)
}

// dial opens a socket. It agrees on compression whatever the server says, since some send
// compressed frames that nobody agreed on; it compresses nothing itself.
func (r *realtime) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := r.c.clock.timeout(ctx, dialTakes)
	defer cancel()
	header := http.Header{}
	r.c.identify(header)
	agreeing := *r.c.http
	agreeing.Transport = agreeable{r.c.http.Transport}
	conn, _, err := websocket.Dial(ctx, r.url(), &websocket.DialOptions{
		HTTPClient: &agreeing, HTTPHeader: header,
		CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: maxMessage,
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxMessage)
	return conn, nil
}

// agreeable adds the server's consent to compression where it is missing.
type agreeable struct{ http.RoundTripper }

func (a agreeable) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := a.RoundTripper
	if transport == nil {
		transport = http.DefaultTransport
	}
	response, err := transport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusSwitchingProtocols && response.Header.Get("Sec-WebSocket-Extensions") == "" {
		response.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	}
	return response, err
}

// Errors after which the server will have nobody: no close frame tells, so that the last
// message does.
func neverAgain(code int) bool { return code == 1008 || code == 401 || code == 403 }

// message takes one of the server's. What it does not know it leaves aside. An error means
// that connecting again is of no use.
func (r *realtime) message(text []byte) (connected bool, refused error) {
	var m struct {
		Type string
		Data struct {
			User    json.RawMessage
			Code    json.RawMessage
			Message string
			Events  json.RawMessage // a list, or an object
			Payload json.RawMessage
		}
	}
	decode(text, &m)
	switch m.Type {
	case "connected":
		// A session that the server does not know makes a guest, without an error.
		if user := bytes.TrimSpace(m.Data.User); len(user) == 0 || string(user) == "null" {
			return false, &RealtimeError{http.StatusUnauthorized, "the session was not taken"}
		}
		r.set(true, nil)
		return true, nil
	case "error":
		code, _ := strconv.Atoi(scalar(m.Data.Code))
		if neverAgain(code) {
			return false, &RealtimeError{code, m.Data.Message}
		}
	case "event":
		if d, ok := readDocument(m.Data.Payload); ok && !bytes.Contains(m.Data.Events, []byte(`.delete"`)) {
			r.deliver(d)
		}
	}
	return false, nil
}

// deliver gives a document to the streams that are about it. One that stands higher stays
// until its reader has taken it.
func (r *realtime) deliver(d document) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, rank := nameOf(d.status)
	for f := range r.byKey[keyOf(d.collection, d.id)] {
		if f.news.document != nil {
			if _, stands := nameOf(f.news.document.status); stands > rank {
				continue
			}
		}
		f.news.document = &d
		r.tell(f)
	}
}
