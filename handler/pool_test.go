package handler

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"openruntimes/handler/internal/testbed"
)

// TestDeadPool: every idle connection died without a word, as those of a container that
// was frozen. The second try must not take another one.
func TestDeadPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	line := newForgetfulLine(t, w)
	paid := payload(t, "stk/paid")
	line.fill(func(i int) {
		w.Post("/callback?uid=amina", strings.Replace(paid, "ws_CO_", fmt.Sprintf("ws_CO_%d", i), 1))
	})
	line.forget()
	w.Logged()
	if got := w.PostPayload("b2c/paid"); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	logs, errors := w.Logged()
	if len(errors) != 0 {
		t.Errorf("error log = %q, want nothing", errors)
	}
	if len(logs) != 1 || !strings.Contains(logs[0], "outcome=created attempt=0 calls=2 ") {
		t.Errorf("log = %q, want it stored by the second call", logs)
	}
}

// forgetfulLine passes bytes on to a server until it forgets its connections: they stay
// open, and nothing passes any more. New ones work.
type forgetfulLine struct {
	net.Listener
	mu    sync.Mutex
	lines []*atomic.Bool // true once forgotten
	full  chan struct{}  // closed when there are as many as fill wants
}

// filled is how many connections fill makes.
const filled = 16

// newForgetfulLine puts one before w's API, for the calls to come.
func newForgetfulLine(t testing.TB, w *world) *forgetfulLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &forgetfulLine{Listener: listener, full: make(chan struct{})}
	t.Cleanup(func() { listener.Close() })
	server := strings.TrimSuffix(strings.TrimPrefix(w.AppwriteURL, "http://"), "/v1")
	w.Set("APPWRITE_FUNCTION_API_ENDPOINT", "http://"+listener.Addr().String()+"/v1")
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				from.Close()
				return
			}
			go l.pass(from, to, l.add())
		}
	}()
	return l
}

// add counts a connection, and returns what is true once it is forgotten.
func (l *forgetfulLine) add() *atomic.Bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	forgotten := &atomic.Bool{}
	if l.lines = append(l.lines, forgotten); len(l.lines) == filled {
		close(l.full)
	}
	return forgotten
}

// pass passes bytes both ways, the first when there are enough connections.
func (l *forgetfulLine) pass(from, to net.Conn, forgotten *atomic.Bool) {
	go io.Copy(from, to)
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		<-l.full
		if forgotten.Load() {
			testbed.HangUp(from)
			continue
		}
		to.Write(buffer[:n])
	}
}

// fill makes so many calls at once that each needs a connection of its own. They are
// idle then.
func (l *forgetfulLine) fill(call func(i int)) {
	var wg sync.WaitGroup
	for i := range filled {
		wg.Add(1)
		go func() {
			defer wg.Done()
			call(i)
		}()
	}
	wg.Wait()
}

// forget makes all connections dead that there are.
func (l *forgetfulLine) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, forgotten := range l.lines {
		forgotten.Store(true)
	}
}
