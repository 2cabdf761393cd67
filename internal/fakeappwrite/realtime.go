package fakeappwrite

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Realtime is what goes wrong with it, by [Appwrite.SetRealtime]. To refuse or delay
// connections before they are sockets, inject a [Fault] for the operation realtime.
type Realtime struct {
	// Refuse is the code of the error with which new sockets are closed.
	Refuse int

	// Forget loses all events, without a sign: after its own connection to the
	// broker broke, the server does so for 5 s while all sockets stay open.
	Forget bool

	// Duplicate sends each event twice.
	Duplicate bool

	// Stall makes all sockets half-open: they stay, and nothing comes or goes.
	Stall bool

	// ObjectLists sends the lists of an event as objects with the indices for keys,
	// as Cloud did in March 2026.
	ObjectLists bool

	// Compress sends compressed frames to whoever agreed on that or not.
	Compress bool

	// AuthenticateFirst finishes an authentication before the message behind it, which
	// two coroutines of the server else do the other way round.
	AuthenticateFirst bool
}

// SetRealtime makes this go wrong from now on, and nothing else.
func (a *Appwrite) SetRealtime(r Realtime) { a.Do(func() { a.realtime = r }) }

// DropSockets ends all sockets, as the server always does: without a close frame. Up
// to 1.9.6 its library drops the code and closes the connection.
func (a *Appwrite) DropSockets() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.sockets {
		s.cut()
	}
}

// Sockets counts those that are open.
func (a *Appwrite) Sockets() (n int) {
	a.Do(func() { n = len(a.sockets) })
	return n
}

// Limits of the server.
const (
	maxFrame    = 64_000
	maxOpens    = 128 // of one address in a minute
	maxMessages = 32  // of one socket in a minute, pings included
	maxSession  = 2048
)

// unread is how many messages may wait for a client before it is cut.
const unread = 1024

// authenticates is how long the server takes for an authentication message, in which it
// reads the database. Another message behind it overtakes it.
const authenticates = 20 * time.Millisecond

// A socket is one connection to Realtime. Its fields are guarded by the Appwrite's lock.
type socket struct {
	conn     *websocket.Conn
	out      chan []byte
	cut      context.CancelFunc // ends it, without a close frame
	messages []time.Time        // when they came

	caller  caller
	guest   bool           // 1.8.1 leaves the guest's registration beside the user's
	forgot  bool           // what project and user it is of: see authenticate
	granted []subscription // in the order in which they came
}

// A subscription is a slot of the URL, or what a message asked for.
type subscription struct {
	id       string
	slot     int // of the URL
	channels []string
}

// frame is a message to the client.
func frame(kind string, data any) []byte {
	body := Model{"type": kind}
	if data != nil {
		body["data"] = data
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // everything stored came out of JSON
	}
	return text
}

// socketError is an error as sockets have it: 1003 for a wrong format, 1008 for policy,
// 1013 for too many, or one like those of HTTP.
type socketError struct {
	code    int
	message string
}

// frame hides the message of all errors of 500 and more, as the server does in
// production: of those on opening policy violations are excepted, from 1.9.0.
func (e *socketError) frame(opening bool, version string) []byte {
	shown := e.message
	if e.code >= 500 && !(opening && e.code == 1008 && !Older(version, "1.9.0")) {
		shown = "Error: Server Error"
	}
	return frame("error", Model{"code": e.code, "message": shown})
}

// serveRealtime is GET /v1/realtime: a socket for as long as it lasts.
func (a *Appwrite) serveRealtime(w http.ResponseWriter, r *http.Request) {
	options := &websocket.AcceptOptions{InsecureSkipVerify: true} // the origin is looked at in open
	a.mu.Lock()
	if a.realtime.Compress {
		w, r = unagreed(w, r)
		options.CompressionMode = websocket.CompressionContextTakeover
		options.CompressionThreshold = 1
	}
	a.mu.Unlock()
	conn, err := websocket.Accept(w, r, options)
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxFrame)
	ctx, cut := context.WithCancel(context.Background())
	s := &socket{conn: conn, out: make(chan []byte, unread), cut: cut}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.write(ctx)
	}()
	if a.open(s, r) {
		a.read(ctx, s)
	}
	a.Do(func() { delete(a.sockets, s) })
	close(s.out) // nobody sends to one that is not among the sockets
	<-done
	cut()
}

// unagreed makes a handshake one that asks for compression, and hides from the client
// that the server agreed.
func unagreed(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	r = r.Clone(r.Context())
	r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	return &withoutExtensions{w}, r
}

type withoutExtensions struct{ http.ResponseWriter }

func (w *withoutExtensions) WriteHeader(status int) {
	w.Header().Del("Sec-WebSocket-Extensions")
	w.ResponseWriter.WriteHeader(status)
}

func (w *withoutExtensions) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// write sends what waits until there will be no more, or the socket is cut.
func (s *socket) write(ctx context.Context) {
	defer s.conn.CloseNow()
	for {
		select {
		case <-ctx.Done():
			return
		case message, more := <-s.out:
			if !more || s.conn.Write(ctx, websocket.MessageText, message) != nil {
				return
			}
		}
	}
}

// send puts a message behind those that wait. A client that does not read is cut. It
// needs the lock.
func (a *Appwrite) send(s *socket, message []byte) {
	if a.realtime.Stall {
		return
	}
	select {
	case s.out <- message:
	default:
		s.cut()
	}
}

// open lets a socket in: first it is registered, then connected is sent.
func (a *Appwrite) open(s *socket, r *http.Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if failed := a.register(s, r); failed != nil {
		a.send(s, failed.frame(true, a.Version))
		return false
	}
	var channels []string
	for _, granted := range s.granted {
		channels = append(channels, granted.channels...)
	}
	connected := Model{"channels": emptyList(channels), "user": a.userModel(s.caller.user)}
	if !Older(a.Version, "1.9.0") {
		connected["subscriptions"] = slotIDs(s.granted)
	}
	a.send(s, frame("connected", connected))
	if a.sockets == nil {
		a.sockets = map[*socket]bool{}
	}
	a.sockets[s] = true
	return true
}

// slotIDs are the ids of the subscriptions in a URL, in a PHP array by their slots:
// a list if these are 0, 1, 2, …, and else an object.
func slotIDs(granted []subscription) any {
	list, object := []string{}, map[string]string{}
	for i, g := range granted {
		if g.slot == i {
			list = append(list, g.id)
		}
		object[strconv.Itoa(g.slot)] = g.id
	}
	if len(list) == len(granted) {
		return list
	}
	return object
}

func emptyList(s []string) []string { return append([]string{}, s...) }

// register checks what a handshake asks for.
func (a *Appwrite) register(s *socket, r *http.Request) *socketError {
	query := r.URL.Query()
	project := r.Header.Get("X-Appwrite-Project")
	if project == "" {
		project = query.Get("project")
	}
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	if a.opens == nil {
		a.opens = map[string][]time.Time{}
	}
	opens, tooMany := a.inLastMinute(a.opens[address], maxOpens)
	a.opens[address] = opens
	refusal := a.refuseOrigin(r)
	switch {
	case project != ProjectID:
		return &socketError{1008, "Missing or unknown project ID"}
	case tooMany:
		return &socketError{1013, "Too many requests"}
	case a.realtime.Refuse != 0:
		return &socketError{a.realtime.Refuse, "refused"}
	case refusal != "":
		return &socketError{1008, refusal}
	}
	jwt := r.Header.Get("X-Appwrite-JWT")
	if jwt != "" && a.sessionSecret(r) != "" && !Older(a.Version, "1.9.0") {
		return &socketError{403, "user_jwt_and_cookie_set"}
	}
	user, err := a.userOf(r)
	if e, failed := err.(*Error); failed {
		return &socketError{e.Status, e.Message}
	}
	s.caller = caller{user: user, verified: a.users[user].isVerified()} // no key counts here
	slots, failed := readSlots(query, a.Version)
	if failed != nil {
		return failed
	}
	if len(slots) == 0 && Older(a.Version, "1.9.5") {
		return &socketError{1008, "Missing channels"}
	}
	s.granted = slots
	return nil
}

// inLastMinute adds now to times, and says whether they are too many in one minute.
func (a *Appwrite) inLastMinute(times []time.Time, limit int) ([]time.Time, bool) {
	now := a.now()
	times = slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(now.Add(-time.Minute)) })
	return append(times, now), len(times) >= limit
}

// slotForm is a query parameter that puts a channel into slots, from 1.9.0: PHP makes
// the dots of its name underscores.
var slotForm = regexp.MustCompile(`^([^\[]+)\[(\d+)\]\[\d*\]$`)

// readSlots reads the channels in a URL. Those without a slot share slot 0.
func readSlots(query url.Values, version string) ([]subscription, *socketError) {
	channels := slices.Concat(query["channels[]"], query["channels"])
	for name, values := range query {
		if strings.HasPrefix(name, "channels[") && name != "channels[]" {
			channels = append(channels, values...)
		}
	}
	slots := map[int][]string{}
	for _, channel := range channels {
		var in []int
		for name, queries := range query {
			part := slotForm.FindStringSubmatch(name)
			if part == nil || part[1] != strings.ReplaceAll(channel, ".", "_") || Older(version, "1.9.0") {
				continue
			}
			for _, q := range queries {
				if !selectsAll(q) {
					return nil, &socketError{1003, "Invalid query: the fake knows select(*) alone"}
				}
			}
			slot, _ := strconv.Atoi(part[2])
			in = append(in, slot)
		}
		if len(in) == 0 {
			in = []int{0}
		}
		for _, slot := range in {
			slots[slot] = append(slots[slot], channel)
		}
	}
	var granted []subscription
	for slot, channels := range slots {
		granted = append(granted, subscription{id: NewID(), slot: slot, channels: channels})
	}
	slices.SortFunc(granted, func(x, y subscription) int { return x.slot - y.slot })
	return granted, nil
}

// selectsAll reports whether a query is select("*"), the one that everybody sends.
func selectsAll(text string) bool {
	var q struct {
		Method string
		Values []string
	}
	return json.Unmarshal([]byte(text), &q) == nil && q.Method == "select" && slices.Equal(q.Values, []string{"*"})
}

// read answers the client's messages until the socket ends.
func (a *Appwrite) read(ctx context.Context, s *socket) {
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil || !a.message(s, text) {
			return
		}
	}
}

// message carries one out, and says whether the socket goes on: an error ends it only
// if it is of policy.
func (a *Appwrite) message(s *socket, text []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.realtime.Stall {
		return true
	}
	var m struct {
		Type string
		Data json.RawMessage
	}
	var tooMany bool
	s.messages, tooMany = a.inLastMinute(s.messages, maxMessages)
	failed := &socketError{1003, "Message format is not valid."}
	switch {
	case tooMany:
		failed = &socketError{1013, "Too many messages."}
	case json.Unmarshal(text, &m) != nil:
	case m.Type == "ping":
		a.send(s, frame("pong", nil))
		failed = nil
	case m.Type == "authentication":
		failed = a.authenticateSocket(s, m.Data)
	case m.Type == "subscribe" && !Older(a.Version, "1.9.5"):
		failed = a.subscribe(s, m.Data)
	case m.Type == "unsubscribe" && !Older(a.Version, "1.9.5"):
		failed = a.unsubscribe(s, m.Data)
	default:
		failed = &socketError{1003, "Message type is not valid."}
	}
	if failed != nil {
		a.send(s, failed.frame(false, a.Version))
	}
	return failed == nil || failed.code != 1008
}

// authenticateSocket makes the socket a user's. It takes no JWT.
func (a *Appwrite) authenticateSocket(s *socket, data []byte) *socketError {
	var given struct{ Session string }
	user, known := "", false
	if json.Unmarshal(data, &given) == nil && len(given.Session) <= maxSession {
		user, known = a.sessions[given.Session]
	}
	if !known {
		return &socketError{1003, "Session is not valid."}
	}
	if a.realtime.AuthenticateFirst {
		a.authenticated(s, user)
		return nil
	}
	time.AfterFunc(authenticates, func() {
		a.Do(func() {
			if a.sockets[s] {
				a.authenticated(s, user)
			}
		})
	})
	return nil
}

// authenticated ends an authentication. From 1.9.5 on it clears what the server knows of
// the socket, and makes that anew from the subscriptions: without any, project and user
// are forgotten, and the next subscribe is refused. 1.9.0 knows of several slots the last
// one alone.
func (a *Appwrite) authenticated(s *socket, user string) {
	s.guest = Older(a.Version, "1.9.0")
	s.caller = caller{user: user, verified: a.users[user].isVerified()}
	switch {
	case !Older(a.Version, "1.9.5"):
		s.forgot = len(s.granted) == 0
	case len(s.granted) > 1 && !Older(a.Version, "1.9.0"):
		s.granted = s.granted[len(s.granted)-1:]
	}
	a.send(s, frame("response", Model{"to": "authentication", "success": true, "user": a.userModel(user)}))
}

// subscribe adds subscriptions. One whose id is known takes the place of that.
func (a *Appwrite) subscribe(s *socket, data []byte) *socketError {
	var asked []struct {
		SubscriptionID string
		Channels       *[]string
		Queries        []string
	}
	if err := json.Unmarshal(data, &asked); err != nil {
		return &socketError{1003, "Payload is not valid."}
	}
	if s.forgot {
		return &socketError{1008, "Missing project context. Reconnect to the project first."}
	}
	made := []Model{}
	for _, wish := range asked {
		switch {
		case wish.Channels == nil:
			return &socketError{1003, "channels is not present in payload."}
		case wish.SubscriptionID != "" && !ValidKey(wish.SubscriptionID):
			return &socketError{1003, "subscriptionId is not valid."}
		case slices.ContainsFunc(wish.Queries, func(q string) bool { return !selectsAll(q) }):
			return &socketError{1003, "Invalid query: the fake knows select(*) alone"}
		}
		id := wish.SubscriptionID
		if id == "" {
			id = NewID()
		}
		s.granted = slices.DeleteFunc(s.granted, func(g subscription) bool { return g.id == id })
		s.granted = append(s.granted, subscription{id: id, channels: *wish.Channels})
		made = append(made, Model{"subscriptionId": id, "channels": emptyList(*wish.Channels), "queries": emptyList(wish.Queries)})
	}
	a.send(s, frame("response", Model{"to": "subscribe", "success": true, "subscriptions": made}))
	return nil
}

func (a *Appwrite) unsubscribe(s *socket, data []byte) *socketError {
	var asked []struct{ SubscriptionID string }
	if err := json.Unmarshal(data, &asked); err != nil {
		return &socketError{1003, "Payload is not valid."}
	}
	ended := []Model{}
	for _, wish := range asked {
		before := len(s.granted)
		s.granted = slices.DeleteFunc(s.granted, func(g subscription) bool { return g.id == wish.SubscriptionID })
		ended = append(ended, Model{"subscriptionId": wish.SubscriptionID, "removed": len(s.granted) < before})
	}
	a.send(s, frame("response", Model{"to": "unsubscribe", "success": true, "subscriptions": ended}))
	return nil
}

// broadcast sends the event of a write to whoever subscribed and may read the document
// as it is now. It needs the lock.
func (a *Appwrite) broadcast(c *Collection, d *Document, action string) {
	if len(a.sockets) == 0 || a.realtime.Forget {
		return
	}
	channels := a.channels(c, d, action)
	data := Model{
		"events": a.listOf(eventNames(c, d, action)), "channels": a.listOf(channels),
		"timestamp": formatTime(a.now()), "payload": a.render(&http.Request{}, c, d),
	}
	for s := range a.sockets {
		matching := []string{}
		for _, granted := range s.granted {
			if slices.ContainsFunc(granted.channels, func(name string) bool { return slices.Contains(channels, name) }) {
				matching = append(matching, granted.id)
			}
		}
		guest := s.guest && (caller{}).mayRead(c, d.Permissions)
		if len(matching) == 0 || !guest && (s.forgot || !s.caller.mayRead(c, d.Permissions)) {
			continue
		}
		if !Older(a.Version, "1.9.0") {
			data["subscriptions"] = matching
		}
		event := frame("event", data)
		a.send(s, event)
		if a.realtime.Duplicate {
			a.send(s, event)
		}
	}
}

// listOf is one of an event's, as it is sent.
func (a *Appwrite) listOf(names []string) any {
	if !a.realtime.ObjectLists {
		return names
	}
	object := map[string]string{}
	for i, name := range names {
		object[strconv.Itoa(i)] = name
	}
	return object
}

// channels are those on which the event of a document goes out. 1.9.0 added those of
// tablesdb, and 1.9.5 one with the action behind each.
func (a *Appwrite) channels(c *Collection, d *Document, action string) []string {
	bases := [][2]string{
		{"rows", "databases." + c.DatabaseID + ".tables." + c.ID + ".rows"},
		{"documents", "databases." + c.DatabaseID + ".collections." + c.ID + ".documents"},
	}
	if !Older(a.Version, "1.9.0") {
		bases = append(bases, [2]string{"", "tablesdb." + c.DatabaseID + ".tables." + c.ID + ".rows"})
	}
	var names []string
	for _, base := range bases {
		if base[0] != "" {
			names = append(names, base[0])
		}
		names = append(names, base[1], base[1]+"."+d.ID)
	}
	if !Older(a.Version, "1.9.5") {
		for _, name := range slices.Clone(names) {
			names = append(names, name+"."+action)
		}
	}
	return names
}

// eventNames are the concrete one, and then those with wildcards.
func eventNames(c *Collection, d *Document, action string) []string {
	var names []string
	for _, id := range []string{d.ID, "*"} {
		for _, collection := range []string{c.ID, "*"} {
			for _, database := range []string{c.DatabaseID, "*"} {
				for _, end := range []string{"." + action, ""} {
					names = append(names,
						"databases."+database+".collections."+collection+".documents."+id+end,
						"databases."+database+".tables."+collection+".rows."+id+end)
				}
			}
		}
	}
	return names
}
