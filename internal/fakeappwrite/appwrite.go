// Package fakeappwrite takes the place of Appwrite's server on one machine:
// documents and who may read them, Realtime, queued executions, keys and sessions,
// with faults on request and a record of every call. Package fakeconsole adds the API
// that a project is set up with.
//
// It is meant to be as strict as the real server. Where Appwrite's versions
// differ, [Appwrite.Version] decides: most of the conformance table was sent to
// real servers of each of the [Versions]. Where databases differ, or nobody
// looked, the fake does what is harder on the caller, and what nobody here needs
// it refuses. Messages are only close, since their wording changes with every
// release.
package fakeappwrite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ProjectID is the one project that an [Appwrite] has.
const ProjectID = "fake"

// Versions are the releases that the fake was compared with, oldest first.
var Versions = [...]string{"1.8.1", "1.9.0", "1.9.6"}

// maxBody is what Appwrite's HTTP server takes.
const maxBody = 12 << 20

// Appwrite is an in-memory Appwrite server for one project. It is an
// [http.Handler] whose endpoint is at /v1. Its methods may be called from
// several goroutines; its fields must be set before the first request.
type Appwrite struct {
	// Version is the release that the server says it is, and behaves like.
	Version string

	// Now is the server's clock. Nil means time.Now.
	Now func() time.Time

	// CachedRow makes every race lost that a server before 1.9.5 may lose:
	// a PATCH compares with, and merges into, the row that was last read by
	// GET, whatever was written since. Of 200 rounds in which two writers had
	// read the same, 1.9.0 let both through in 28 and 1.8.1 in 14. Without
	// it, and on newer servers always, the row is the stored one.
	CachedRow bool

	// RunsTwice makes 1.9.6 do what it may do to executions that are due in
	// one minute: its scheduler crashes on them, and on its return all run
	// once more. Seen: nothing was lost, many ran twice.
	RunsTwice bool

	// Cron makes [Appwrite.RunUntil] run functions on their schedules too: by
	// UTC, with POST, the path / and nothing else, no user and no body (seen on
	// all three versions). What a schedule missed is not made up for.
	Cron bool

	// StringSequence sends $sequence as a string whatever response format
	// the caller asked for, which breaks the models of older SDKs.
	StringSequence bool

	// PostgreSQL makes the server one with that database. Appwrite 1.9.6 then
	// still refuses to create a document under an id that differs from another
	// in capitals alone, but answers GET, PATCH and DELETE of it with 404.
	// MariaDB compares without regard to case in all of them.
	PostgreSQL bool

	// Databases and Functions have the schema, by id. Only handlers of routes
	// and functions given to [Appwrite.Do] may use them once requests come in.
	Databases map[string]*Database
	Functions map[string]*Function

	// Platforms are the hostnames of the project's web platforms, and the schemes of
	// its apps: other pages and apps may not call the API.
	Platforms []string

	// Run runs a function at once, for whoever waits for it. Nil refuses that.
	Run func(Execution) Answer

	routes []route

	mu           sync.Mutex // guards the schema, the documents, and what follows
	databaseDown bool
	queue        []Execution // waiting
	lastDue      time.Time   // when the last of them was due
	ran          []Execution

	keys     map[string][]string // their scopes
	sessions map[string]string   // their users
	users    map[string]User     // by id
	faults   []*Fault
	calls    []*Call
	events   []Event

	realtime Realtime
	sockets  map[*socket]bool
	opens    map[string][]time.Time // of sockets, by the address
}

// Call is one request that came in.
type Call struct {
	// Operation is that of the route, empty if there is none. Those of
	// documents are create, get, replace (PATCH), delete and list, and two
	// that the fake always fails: upsert (PUT), and bulk, a write without an
	// id. Besides there are execute, list executions, version, account, sign in,
	// sign out, jwt and realtime.
	Operation string
	Method    string
	Path      string // as sent, without the query
	Status    int    // 0 if nothing was sent back, or not yet
	Type      string // the error's type, empty if there was none
	Header    http.Header
}

// Event is what Realtime published, whether anybody listened or not.
type Event struct {
	Collection string
	ID         string
	Action     string // create, update or delete
	Document   Document
}

// New returns a server with the databases, collections and functions of an
// appwrite.json, and without documents or keys. It is an error if the schema has
// something that the fake does not know how to check.
func New(schema []byte) (*Appwrite, error) {
	a := NewEmpty()
	if err := a.readSchema(schema); err != nil {
		return nil, fmt.Errorf("fake Appwrite: schema: %w", err)
	}
	return a, nil
}

// NewEmpty returns a server without databases and functions.
func NewEmpty() *Appwrite {
	a := &Appwrite{
		Version:   Versions[len(Versions)-1],
		Databases: map[string]*Database{},
		Functions: map[string]*Function{},
		keys:      map[string][]string{},
		sessions:  map[string]string{},
		users:     map[string]User{},
		Platforms: []string{"localhost", "127.0.0.1", "appwrite-android", "appwrite-ios", "appwrite-linux"},
	}
	a.handleOwn()
	return a
}

// Do calls f while no request is carried out.
func (a *Appwrite) Do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// AddKey makes key an API key with these scopes.
func (a *Appwrite) AddKey(key string, scopes ...string) {
	a.Do(func() { a.keys[key] = slices.Clone(scopes) })
}

// Calls returns every request that came in since [Appwrite.Reset], spoilt ones
// included, in the order in which they came.
func (a *Appwrite) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := make([]Call, len(a.calls))
	for i, c := range a.calls {
		calls[i] = *c
		calls[i].Header = c.Header.Clone()
	}
	return calls
}

// Events returns what was published since [Appwrite.Reset]: one event for each
// write that went through, whether or not it changed anything.
func (a *Appwrite) Events() (events []Event) {
	a.Do(func() { events = slices.Clone(a.events) })
	return events
}

// Reset forgets calls and events, not documents.
func (a *Appwrite) Reset() {
	a.Do(func() { a.calls, a.events = nil, nil })
}

// SetDatabaseDown makes the project's database fail, or work again. While it is
// down every call that needs it is a 500.
func (a *Appwrite) SetDatabaseDown(down bool) {
	a.Do(func() { a.databaseDown = down })
}

// ServeHTTP answers one request, or lets a fault spoil it.
func (a *Appwrite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cors(w, r) {
		return
	}
	// The body is read at once: only then does net/http notice a client
	// that leaves.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	route, vars := a.find(r)
	call, fault := a.begin(route.operation, r)
	out := &recorder{ResponseWriter: w}
	defer func() { a.end(call, out) }()

	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		HTML(http.StatusRequestEntityTooLarge)(out, r)
		return
	}
	if err != nil {
		return // the client left
	}
	if fault != nil && !wait(r, fault.Delay) {
		return
	}
	if fault != nil && fault.Reply != nil && !fault.After {
		fault.Reply(out, r)
		return
	}
	if route.operation == "realtime" {
		a.serveRealtime(out, r)
		return
	}
	send := a.noRoute
	if route.handle != nil {
		reply := a.do(route, &Request{HTTP: r, Body: body, Params: decodeBody(r, body), vars: vars})
		send = func(w http.ResponseWriter, _ *http.Request) { reply.Write(w) }
	}
	if fault != nil && fault.Reply != nil {
		send = fault.Reply
	}
	send(out, r)
}

// begin records a request and finds the fault that spoils it, if there is one.
func (a *Appwrite) begin(operation string, r *http.Request) (*Call, *Fault) {
	call := &Call{
		Operation: operation,
		Method:    r.Method,
		Path:      r.URL.EscapedPath(),
		Header:    r.Header.Clone(),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call)
	return call, a.takeFault(operation)
}

// end records what was sent back.
func (a *Appwrite) end(call *Call, sent *recorder) {
	var body struct{ Type string }
	if sent.status >= 400 && json.Unmarshal(sent.body, &body) != nil {
		body.Type = ""
	}
	a.Do(func() { call.Status, call.Type = sent.status, body.Type })
}

// A recorder remembers the status that was written, and the body of an error.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.status >= 400 {
		r.body = append(r.body, p...)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets an [http.ResponseController] reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// do carries a request out.
func (a *Appwrite) do(route route, q *Request) Reply {
	reply := a.handle(route, q)
	if reply.then != nil {
		return reply.then()
	}
	return reply
}

// handle lets a request in and hands it over.
func (a *Appwrite) handle(route route, q *Request) Reply {
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal := a.refuseOrigin(q.HTTP); refusal != "" {
		return a.Failure(&Error{403, "general_unknown_origin", refusal})
	}
	var err error
	if q.caller, err = a.authenticate(q.HTTP, route.scopes); err != nil {
		return a.Failure(err)
	}
	if a.databaseDown && route.operation != "version" && (route.operation != "execute" || a.queueNeedsDatabase()) {
		return a.Failure(serverError())
	}
	if err := q.pathParams(); err != nil {
		return a.Failure(err)
	}
	reply, err := route.handle(q)
	if err != nil {
		return a.Failure(err)
	}
	return reply
}

// now is the server's time, in UTC and to the millisecond.
func (a *Appwrite) now() time.Time {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	return now().UTC().Truncate(time.Millisecond)
}

// Stamp is for what is made now.
func (a *Appwrite) Stamp() Times { return Times{Time{a.now()}, Time{a.now()}} }

// Older reports whether version v comes before another. What is not a number
// counts as 0.
func Older(v, than string) bool {
	var x, y [3]int
	fmt.Sscanf(v, "%d.%d.%d", &x[0], &x[1], &x[2])
	fmt.Sscanf(than, "%d.%d.%d", &y[0], &y[1], &y[2])
	return slices.Compare(x[:], y[:]) < 0
}
