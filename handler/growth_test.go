package handler

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeruntime"
	"openruntimes/handler/internal/testbed"
)

var growthCallbacks = flag.Int("growth.callbacks", 4000, "how many callbacks TestGrowth delivers")

// TestGrowth delivers callbacks over HTTP, 1, 8, 64 and 512 at a time: heap,
// goroutines and connections must be back where they were after the first 1,000.
func TestGrowth(t *testing.T) {
	waiting := runtime.NumGoroutine() // other tests, for their turn
	g := newGrowth(t, 100*time.Millisecond)
	g.deliver(1000, 512) // Go keeps a little of each goroutine that ever was
	before := g.settled(usage{heap: 1 << 30, goroutines: waiting + 10})
	for _, atATime := range []int{1, 8, 64, 512} {
		g.deliver(*growthCallbacks/4, atATime)
	}
	after := g.settled(before)
	t.Logf("after 1,000 callbacks: %v; after %d more: %v", before, *growthCallbacks, after)
	if !after.backAt(before) {
		t.Error("that is not where it was")
	}
}

// TestHeld is what a container needs beside: the runtime keeps hold of a request
// until its timeout is over, however soon it was answered.
func TestHeld(t *testing.T) {
	g := newGrowth(t, time.Minute)
	g.deliver(1000, 8)
	before := measure(g)
	g.deliver(1000, 8)
	held := (measure(g).heap - before.heap) / 1000
	t.Logf("%d bytes are held for each request until the runtime's timeout", held)
	if held < 500 || held > 16<<10 {
		t.Errorf("%d bytes are held for each request, want those of its body and headers", held)
	}
}

// growth is the function on loopback, and an API that stores nothing: what grows
// is the function.
type growth struct {
	t       *testing.T
	timeout time.Duration // for which the runtime holds a request
	url     string
	open    atomic.Int64 // connections to the API
	made    atomic.Int64 // callbacks
}

func newGrowth(t *testing.T, timeout time.Duration) *growth {
	g := &growth{t: t, timeout: timeout}
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"$id":"x"}`)
	}))
	api.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			g.open.Add(1)
		case http.StateClosed:
			g.open.Add(-1)
		}
	}
	api.Start()
	testbed.AtEnd(t, api.Close)
	f := New(with(map[string]string{"APPWRITE_FUNCTION_API_ENDPOINT": api.URL + "/v1", "DARAJA_CALLBACK_SECRET": ""}))
	f.clock.oneCall, f.clock.store, f.clock.queue = time.Hour, time.Hour, time.Hour // a slow machine fails no call
	function := httptest.NewServer(&fakeruntime.Runtime{Key: "key", Main: func(ctx openruntimes.Context) openruntimes.Response {
		time.AfterFunc(timeout, func() { runtime.KeepAlive(ctx) })
		return f.Serve(ctx)
	}})
	testbed.AtEnd(t, function.Close)
	g.url = function.URL + "/callback?uid=amina"
	return g
}

// deliver posts n payments.
func (g *growth) deliver(n, atATime int) {
	transport := &http.Transport{MaxIdleConnsPerHost: atATime}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: testbed.Limit}
	var wg sync.WaitGroup
	var taken atomic.Int64
	for range atATime {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for taken.Add(1) <= int64(n) {
				body := fmt.Sprintf(`{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_%026d","ResultCode":0,"ResultDesc":"d","CallbackMetadata":`+
					`{"Item":[{"Name":"Amount","Value":1.00},{"Name":"MpesaReceiptNumber","Value":"UKN7X1Q9ZK"}]}}}}`, g.made.Add(1))
				resp, err := client.Post(g.url, "application/json", strings.NewReader(body))
				if err != nil {
					g.t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					g.t.Errorf("answered %d", resp.StatusCode)
				}
			}
		}()
	}
	wg.Wait()
}

// usage is what the process holds.
type usage struct {
	heap        int64 // bytes
	goroutines  int   // but for those of the connections to the API
	connections int64 // to the API
}

func (u usage) String() string {
	return fmt.Sprintf("%.2f MB of heap, %d goroutines, %d connections", float64(u.heap)/1e6, u.goroutines, u.connections)
}

// backAt allows for what the collector and the pool of connections do in between: each
// connection has buffers.
func (u usage) backAt(before usage) bool {
	return u.heap <= before.heap+512<<10+max(0, u.connections-before.connections)*32<<10 && u.goroutines <= before.goroutines+10 && u.connections <= 64
}

func measure(g *growth) usage {
	runtime.GC()
	runtime.GC() // what was in a sync.Pool is gone after two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	connections := g.open.Load()
	// Each has two goroutines at our end and one at the server's.
	return usage{int64(m.HeapAlloc), runtime.NumGoroutine() - 3*int(connections), connections}
}

// settled measures until it is back at what was before, or the limit has passed:
// connections take a moment to close.
func (g *growth) settled(before usage) usage {
	time.Sleep(2 * g.timeout) // what is held is let go
	now := measure(g)
	for start := time.Now(); !now.backAt(before) && time.Since(start) < testbed.Limit; now = measure(g) {
		time.Sleep(100 * time.Millisecond)
	}
	return now
}
