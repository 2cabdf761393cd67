package appwrite

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openruntimes/handler/internal/testbed"
)

// TestHeaders: who is asked for goes with every call, and nobody else.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ key, session string }{
		"a key":     {"key", ""},
		"a session": {"", "session"},
		"a guest":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, 201, stored)
			s := w.documents()
			s.Key, s.Session = tt.key, tt.session
			if err := s.Create(context.Background(), payment()); err != nil {
				t.Fatal(err)
			}
			for header, want := range map[string]string{
				"X-Appwrite-Project": "project",
				"X-Appwrite-Key":     tt.key,
				"X-Appwrite-Session": tt.session,
				"X-Appwrite-Jwt":     "",
				"Content-Type":       "application/json",
				// Answers of later formats name fields otherwise.
				"X-Appwrite-Response-Format": "1.8.0",
			} {
				if got := w.requests[0].Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
				if _, sent := w.requests[0].Header[header]; sent != (want != "") {
					t.Errorf("%s is sent: %t", header, sent)
				}
			}
		})
	}
}

// TestCall has what a call of any other kind sends and returns.
func TestCall(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, path        string
		params              map[string]any
		contentType, answer string
		body                any
	}{
		"a list":    {"GET", "/functions?limit=5", nil, "application/json", `{"total":0}`, nil},
		"a change":  {"PUT", "/functions/f", map[string]any{"name": "x"}, "application/json", `{"$id":"f"}`, map[string]any{"name": "x"}},
		"a removal": {"DELETE", "/functions/f", nil, "", "", nil},
		"a file":    {"GET", "/functions/f/deployments/d/download", nil, "application/gzip", "\x1f\x8b", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, 200, tt.answer)
			w.contentType = tt.contentType
			c := w.client()
			got, err := c.Call(context.Background(), "call", tt.method, tt.path, tt.params)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.answer {
				t.Errorf("Call = %q, want %q", got, tt.answer)
			}
			if r := w.requests[0]; r.Method != tt.method || r.URL.String() != "/v1"+tt.path {
				t.Errorf("%s %s, want %s /v1%s", r.Method, r.URL, tt.method, tt.path)
			}
			if body, sent := w.bodies[0].(map[string]any); sent && len(body) != len(tt.params) {
				t.Errorf("sent %v, want %v", body, tt.params)
			}
			if c.Calls() != 1 {
				t.Errorf("%d calls were counted, want 1", c.Calls())
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		c := newWire(t, 404, `{"type":"function_not_found","message":"Function with the requested ID could not be found."}`).client()
		got, err := c.Call(context.Background(), "look up", "GET", "/functions/f", nil)
		if got != nil {
			t.Errorf("Call = %q beside an error", got)
		}
		var f *Failure
		if !errors.As(err, &f) {
			t.Fatalf("Call = %v, want a *Failure", err)
		}
		if want := (Failure{Call: "look up", Status: 404, Type: "function_not_found", Message: "Function with the requested ID could not be found."}); *f != want {
			t.Errorf("Call = %+v, want %+v", *f, want)
		}
	})
}

// TestAnswers: what a proxy answers, or a server that says nothing, is no success, and
// the failure has the status that there was.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		status      int
		contentType string
		answer      string
		want        string
	}{
		{"a page", 200, "text/html", "<html>", "create: 200 no document in the answer"},
		{"a page with a document", 200, "text/html", stored, "create: 200 no document in the answer"},
		{"an empty object", 201, "application/json", "{}", "create: 201 no document in the answer"},
		{"nothing", 204, "application/json", "", "create: 204 no document in the answer"},
		{"not JSON", 201, "application/json", "{", "create: 201 no document in the answer"},
		{"an id that is none", 201, "application/json", `{"$id":7}`, "create: 201 no document in the answer"},
		{"an error of a proxy's", 502, "text/html", "<html>", "create: 502"},
		{"an error without a type", 500, "application/json", "{}", "create: 500"},
		{"a type that could be data", 500, "application/json", `{"type":"254700000001"}`, "create: 500 ?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, tt.status, tt.answer)
			w.contentType = tt.contentType
			if err := w.documents().Create(context.Background(), payment()); err == nil || err.Error() != tt.want {
				t.Errorf("Create = %v, want %s", err, tt.want)
			}
		})
	}
}

// TestRedirectIsRefused: following it would turn a POST into a GET, whose 200 looks
// like a success.
func TestRedirectIsRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		301: "create: 301 redirected: is the endpoint right?",
		302: "create: 302 redirected: is the endpoint right?",
		307: "create: 307 redirected: is the endpoint right?",
		308: "create: 308 redirected: is the endpoint right?",
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			w := newWire(t, status, stored)
			if err := w.documents().Create(context.Background(), payment()); err == nil || err.Error() != want {
				t.Errorf("Create = %v, want %s", err, want)
			}
			if len(w.requests) != 1 {
				t.Errorf("%d requests, want 1", len(w.requests))
			}
		})
	}
}

// TestDeadline: a call ends after what one call may take, or what is left for all of
// them, whichever is sooner.
func TestDeadline(t *testing.T) {
	t.Parallel()
	const short = 20 * time.Millisecond
	after := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	for name, tt := range map[string]struct {
		call func(context.Context) (context.Context, context.CancelFunc)
		all  time.Duration
	}{
		"one call":              {after(short), time.Hour},
		"all calls":             {after(time.Hour), short},
		"all calls, one is nil": {nil, short},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, 201, stored)
			w.hang = true
			s := w.documents()
			s.Timeout = tt.call
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), tt.all)
			defer cancel()
			err := s.Create(ctx, payment())
			if err == nil || err.Error() != "create: no answer in time" {
				t.Errorf("Create = %v, want no answer in time", err)
			}
			if took := time.Since(start); took < short {
				t.Errorf("given up after %v, want %v", took, short)
			}
		})
	}
	t.Run("none is left", func(t *testing.T) {
		w := newWire(t, 201, stored)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.documents().Create(ctx, payment()); err == nil {
			t.Error("Create with its time over was carried out")
		}
		if len(w.requests) != 0 {
			t.Errorf("%d requests, want none", len(w.requests))
		}
	})
}

// TestBroken: what is said of a call that got no answer is in our own words. Those of
// net/http quote the URL, and so the document's id.
func TestBroken(t *testing.T) {
	t.Parallel()
	// Nobody listens there, and no test that runs at the same time can come to.
	const refusing = "http://127.0.0.1:1"
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = nil
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for name, tt := range map[string]struct{ endpoint, want string }{
		"refused":                 {refusing, "create: connection refused"},
		"a host that is none":     {"http://appwrite.invalid", "create: host not found"},
		"a certificate of nobody": {untrusted.URL, "create: certificate not trusted"},
		"no URL":                  {"http://appwrite:port", "create: connection broken"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Documents{Client: &Client{Endpoint: tt.endpoint + "/v1", Transport: NewTransport()}, Database: "d", Payments: "p"}
			s.Transport.Proxy = nil
			err := s.Create(context.Background(), payment())
			if err == nil || err.Error() != tt.want {
				t.Errorf("Create = %v, want %s", err, tt.want)
			}
			if got := Classify(err); got != Transient {
				t.Errorf("%s, want %s", got, Transient)
			}
		})
	}
}

// TestConnections: one after another share a connection, and two hundred at once do not
// leave two hundred open.
func TestConnections(t *testing.T) {
	defer testbed.Watch(t)()
	const atOnce = 200
	var opened, open, waiting atomic.Int32
	all := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("X-Appwrite-Key") == "with all" {
			if waiting.Add(1) == atOnce {
				close(all)
			}
			<-all
		}
		rw.Header().Set("Content-Type", "application/json")
		io.WriteString(rw, `{"$id":"x"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := NewTransport()
	create := func(key string) {
		s := Documents{Client: &Client{Endpoint: server.URL, Key: key, Transport: transport}, Database: "d", Payments: "c"}
		if err := s.Create(context.Background(), payment()); err != nil {
			t.Error(err)
		}
	}
	for range 20 {
		create("")
	}
	// net/http lets go of a connection whose request it has not seen the end of after
	// 50 ms, as on a machine that stands still.
	if n := opened.Load(); n > 5 {
		t.Errorf("20 calls in turn opened %d connections, want 1", n)
	}
	var wg sync.WaitGroup
	for range atOnce {
		wg.Add(1)
		go func() {
			defer wg.Done()
			create("with all")
		}()
	}
	wg.Wait()
	for open.Load() > 64 { // closing takes a moment; if it never ends, the test hangs
		time.Sleep(time.Millisecond)
	}
	if n := open.Load(); n < 32 {
		t.Errorf("%d at once left %d connections open, want 64 for the next burst", atOnce, n)
	}
}

// TestBrokenPool: after a call without an answer no idle connection is used again. If
// one is dead, the rest probably are.
func TestBrokenPool(t *testing.T) {
	t.Parallel()
	defer testbed.Watch(t)()
	var opened atomic.Int32
	var both sync.WaitGroup
	both.Add(2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Appwrite-Key") {
		case "hang":
			testbed.Hang(rw, r)
			return
		case "with the other":
			both.Done()
			both.Wait()
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusInternalServerError)
		io.WriteString(rw, `{}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := NewTransport()
	call := func(key string) {
		c := &Client{Endpoint: server.URL, Key: key, Transport: transport, Timeout: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return testbed.UntilHung(ctx, 0)
		}}
		if _, err := c.Call(context.Background(), "call", "GET", "/x", nil); err == nil {
			t.Error("the call succeeded")
		}
	}
	var calls sync.WaitGroup
	for range 2 {
		calls.Add(1)
		go func() {
			defer calls.Done()
			call("with the other")
		}()
	}
	calls.Wait()
	call("hang") // on one of the two
	before := opened.Load()
	call("")
	if opened.Load() == before {
		t.Error("after a call without an answer the other connection was used, want a new one")
	}
}

// TestHTTP1: a server that speaks HTTP/2 too is spoken to in HTTP/1.1, over which net/http
// repeats no POST that was sent.
func TestHTTP1(t *testing.T) {
	proto := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { proto <- r.Proto }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	transport.ForceAttemptHTTP2 = true // else net/http would not, with a TLS configuration of ours
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	resp, err := (&http.Client{Transport: transport}).Post(server.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-proto; got != "HTTP/1.1" {
		t.Errorf("it was asked by %s, want HTTP/1.1", got)
	}
}
