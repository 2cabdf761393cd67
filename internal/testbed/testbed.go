// Package testbed runs a function on one machine: the fake Appwrite that it talks
// to, the fake runtime around it, and a clock that can be moved.
package testbed

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakeruntime"
)

const (
	FunctionID  = "daraja"                       // the function in appwrite.json
	FunctionKey = "standard_key-of-the-function" // what the platform hands to it
)

// A Machine is a function and the Appwrite that it talks to, each on a port of
// loopback.
type Machine struct {
	Appwrite *fakeappwrite.Appwrite
	Runtime  *fakeruntime.Runtime
	Clock    *Clock // the server's

	AppwriteURL string // the endpoint, with /v1
	FunctionURL string

	servers []*http.Server

	mu           sync.Mutex
	logs, errors []string
}

// NewMachine serves both on these ports, or on the next ones that are free; 0 is
// any. The function's key has the scopes that appwrite.json gives it.
func NewMachine(schema []byte, main func(openruntimes.Context) openruntimes.Response, appwritePort, functionPort int) (*Machine, error) {
	appwrite, err := fakeappwrite.New(schema)
	if err != nil {
		return nil, err
	}
	if appwrite.Functions[FunctionID] == nil {
		return nil, fmt.Errorf("appwrite.json has no function %s", FunctionID)
	}
	m := &Machine{Appwrite: appwrite, Clock: &Clock{}}
	appwrite.Now = m.Clock.Now
	appwrite.AddKey(FunctionKey, appwrite.Functions[FunctionID].Scopes...)
	m.Runtime = &fakeruntime.Runtime{Main: main, Key: FunctionKey, Logs: m.log}
	appwrite.Run = m.Runtime.Answer
	api, err := m.Serve(appwritePort, m.Appwrite)
	if err != nil {
		return nil, err
	}
	if m.FunctionURL, err = m.Serve(functionPort, m.Runtime); err != nil {
		m.Close()
		return nil, err
	}
	m.AppwriteURL = api + "/v1"
	return m, nil
}

// Serve starts a server on this port, or on the next one that is free, and returns its
// URL. It ends with the machine.
func (m *Machine) Serve(port int, h http.Handler) (string, error) {
	listener, err := listen(port, net.Listen)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h}
	m.servers = append(m.servers, server)
	go server.Serve(listener)
	return "http://" + listener.Addr().String(), nil
}

// listen takes this port of loopback, or one of the next twenty; 0 is any. It does
// not ask why a port cannot be had: on Windows one that is taken, and one that the
// system keeps for itself, are other errors than elsewhere.
func listen(port int, on func(network, address string) (net.Listener, error)) (net.Listener, error) {
	listener, first := on("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if first == nil || port == 0 {
		return listener, first
	}
	for next := port + 1; next <= port+20; next++ {
		if listener, err := on("tcp", fmt.Sprintf("127.0.0.1:%d", next)); err == nil {
			return listener, nil
		}
	}
	return nil, first
}

// Close ends both servers and their connections.
func (m *Machine) Close() {
	m.Appwrite.DropSockets() // of which their server knows no more
	for _, s := range m.servers {
		s.Close()
	}
}

// Environment is what the platform and the function's settings would give the
// function.
func (m *Machine) Environment() map[string]string {
	return map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": m.AppwriteURL,
		"APPWRITE_FUNCTION_PROJECT_ID":   fakeappwrite.ProjectID,
		"APPWRITE_FUNCTION_ID":           FunctionID,
		"DARAJA_DATABASE_ID":             "daraja",
		"DARAJA_COLLECTION_ID":           "payments",
		"DARAJA_B2C_COLLECTION_ID":       "disbursements",
		"DARAJA_CALLBACK_SECRET":         "",
		"DARAJA_ANONYMOUS_READ":          "",
	}
}

// SetVersion makes the platform another release. It is for before the first
// request.
func (m *Machine) SetVersion(version string) {
	m.Appwrite.Version, m.Runtime.Version = version, version
}

// RunUntil moves the clock on to then, and runs what is due in the queue on the
// way, each at its time.
func (m *Machine) RunUntil(then time.Time) int {
	return m.Appwrite.RunUntil(then, m.Clock, func(e fakeappwrite.Execution) { m.Runtime.Execute(e) })
}

// Stored returns all documents, payments first.
func (m *Machine) Stored() []fakeappwrite.Document {
	return append(m.Appwrite.Documents(database, payments), m.Appwrite.Documents(database, disbursements)...)
}

// Operations names the calls of the API since the last time, and forgets them.
func (m *Machine) Operations() string {
	var names []string
	for _, call := range m.Appwrite.Calls() {
		names = append(names, call.Operation)
	}
	m.Appwrite.Reset()
	return strings.Join(names, " ")
}

// log keeps what a request logged, as the platform does in its executions.
func (m *Machine) log(logs, errors string) {
	m.Appwrite.Record(fakeappwrite.Execution{Function: FunctionID, Status: http.StatusOK, Logs: logs, Errors: errors})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs = append(m.logs, lines(logs)...)
	m.errors = append(m.errors, lines(errors)...)
}

// Logged returns the lines of the function's two logs, and forgets them.
func (m *Machine) Logged() (logs, errors []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	logs, errors = m.logs, m.errors
	m.logs, m.errors = nil, nil
	return logs, errors
}

func lines(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == '\n' })
}

// A Clock is the time plus what was added by hand.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// MoveTo sets the clock forward. It never goes back.
func (c *Clock) MoveTo(t time.Time) {
	if d := t.Sub(c.Now()); d > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ahead += d
	}
}
