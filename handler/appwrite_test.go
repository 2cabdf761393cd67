package handler

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openruntimes/handler/parse"
)

// wire is a server that records what reaches it and answers the same always.
type wire struct {
	*httptest.Server
	status int
	answer string
	delay  time.Duration

	mu       sync.Mutex
	requests []*http.Request
	bodies   []map[string]any
	at       []time.Time // when each request came in
	answered time.Time   // when the last one was answered
}

func newWire(t *testing.T, status int, answer string) *wire {
	t.Helper()
	t.Cleanup(watch(t))
	w := &wire{status: status, answer: answer}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		at := time.Now()
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var body map[string]any
		if len(sent) > 0 && json.Unmarshal(sent, &body) != nil {
			t.Errorf("%s %s: body %q is not JSON", r.Method, r.URL, sent)
		}
		w.mu.Lock()
		w.requests, w.bodies, w.at = append(w.requests, r), append(w.bodies, body), append(w.at, at)
		w.mu.Unlock()
		select {
		case <-time.After(w.delay):
		case <-r.Context().Done():
			return
		}
		rw.Header().Set("Content-Type", "application/json; charset=UTF-8")
		rw.Header().Set("Location", "/elsewhere")
		rw.WriteHeader(w.status)
		w.answered = time.Now()
		io.WriteString(rw, w.answer)
	}))
	t.Cleanup(w.Close)
	return w
}

// store returns the store whose server w is. Its ids need escaping.
func (w *wire) store() *appwrite {
	return &appwrite{key: "key", config: &Config{Endpoint: w.URL + "/v1", ProjectID: "project",
		DatabaseID: "da/raja", PaymentsID: "pay?ments", DisbursementsID: "dis burse", FunctionID: "fun/ction", clock: patient(time.Now)}}
}

const storedAnswer = `{"$id":"ws_CO_1","$sequence":"7","$updatedAt":"2026-11-23T06:30:05.678+00:00","$permissions":[],
	"checkoutRequestId":"ws_CO_1","status":"TIMEOUT","resultCode":1037,"receipt":null,"amount":null}`

func TestWireOfReplacement(t *testing.T) {
	w := newWire(t, 200, storedAnswer)
	s := w.store()
	have, err := s.get(context.Background(), parse.Payment, "ws_CO_1")
	want := document{kind: parse.Payment, id: "ws_CO_1", transaction: "ws_CO_1", status: parse.Timeout, code: 1037,
		updatedAt: "2026-11-23T06:30:05.678+00:00"}
	if have != want || err != nil {
		t.Fatalf("get = %+v, %v, want %+v", have, err, want)
	}
	read := w.answered
	d := payment()
	if err := s.replace(context.Background(), d, have.updatedAt); err != nil {
		t.Fatal(err)
	}
	d.reader = ""
	if err := s.replace(context.Background(), d, have.updatedAt); err != nil {
		t.Fatal(err)
	}
	d.reader = "any"
	if err := s.replace(context.Background(), d, have.updatedAt); err != nil {
		t.Fatal(err)
	}
	if n := s.calls.Load(); n != 4 {
		t.Errorf("%d calls were counted, want 4", n)
	}

	const path = "/v1/databases/da%2Fraja/collections/pay%3Fments/documents/ws_CO_1"
	for i, r := range w.requests {
		if r.URL.EscapedPath() != path || r.URL.RawQuery != "" {
			t.Errorf("request %d went to %s, want %s", i, r.URL, path)
		}
		if r.Header.Get("X-Appwrite-Project") != "project" || r.Header.Get("X-Appwrite-Key") != "key" ||
			r.Header.Get("X-Appwrite-Response-Format") != "1.8.0" {
			t.Errorf("request %d has the headers %v, want project, key and the form of the answer", i, r.Header)
		}
	}
	patch := w.requests[1]
	if patch.Method != "PATCH" || patch.Header.Get("X-Appwrite-Timestamp") != have.updatedAt {
		t.Errorf("%s with X-Appwrite-Timestamp %q, want PATCH with what was read", patch.Method, patch.Header.Get("X-Appwrite-Timestamp"))
	}
	if waited := w.at[1].Sub(read); waited < 2*time.Millisecond {
		t.Errorf("replaced %v after it was read: a change within the same millisecond is not noticed", waited)
	}
	data := map[string]any{"status": "SUCCESS", "resultCode": 0.0, "receipt": "UKN7X1Q9ZK", "amount": 100.0,
		"failureReason": nil, "mpesaTimestamp": nil, "settledAt": "0001-01-01T00:00:00.000Z"}
	for i, permissions := range []any{[]any{`read("user:amina")`}, nil, nil} {
		want := map[string]any{"data": data}
		if permissions != nil {
			want["permissions"] = permissions
		}
		if got := w.bodies[1+i]; !reflect.DeepEqual(got, want) {
			t.Errorf("replacement %d sent %v, want %v", i, got, want)
		}
	}
}

func TestWireOfCreation(t *testing.T) {
	w := newWire(t, 201, `{"$id":"o-1","$sequence":"7"}`)
	d := document{kind: parse.Disbursement, id: "o-1", transaction: strings.Repeat("ñ", 40), status: parse.Timeout, code: 1}
	if err := w.store().create(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/databases/da%2Fraja/collections/dis%20burse/documents"
	if r := w.requests[0]; r.Method != "POST" || r.URL.EscapedPath() != path {
		t.Errorf("%s %s, want POST %s", r.Method, r.URL, path)
	}
	want := map[string]any{"documentId": "o-1", "permissions": []any{}, "data": map[string]any{
		"originatorConversationId": strings.Repeat("ñ", 36), "conversationId": nil, "receiverName": nil,
		"status": "TIMEOUT", "resultCode": 1.0, "receipt": nil, "amount": nil,
		"failureReason": nil, "mpesaTimestamp": nil, "settledAt": "0001-01-01T00:00:00.000Z"}}
	if got := w.bodies[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

func TestWireOfQueue(t *testing.T) {
	w := newWire(t, 202, `{"$id":"e-1"}`)
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.FixedZone("EAT", 3*60*60))
	if err := w.store().execute(context.Background(), "/callback?attempt=1", []byte("{}"), at); err != nil {
		t.Fatal(err)
	}
	if r := w.requests[0]; r.Method != "POST" || r.URL.EscapedPath() != "/v1/functions/fun%2Fction/executions" {
		t.Errorf("%s %s, want the function's executions", r.Method, r.URL)
	}
	want := map[string]any{"async": true, "method": "POST", "path": "/callback?attempt=1", "body": "{}", "scheduledAt": "2026-11-23T06:30:00.000Z"}
	if got := w.bodies[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// TestForeignDocument reads what this function never wrote.
func TestForeignDocument(t *testing.T) {
	w := newWire(t, 200, `{"$id":"ws_CO_1","$updatedAt":"x","checkoutRequestId":null,"status":null,"resultCode":null}`)
	have, err := w.store().get(context.Background(), parse.Payment, "ws_CO_1")
	if want := (document{kind: parse.Payment, id: "ws_CO_1", code: parse.NoCode, updatedAt: "x"}); have != want || err != nil {
		t.Errorf("get = %+v, %v, want %+v", have, err, want)
	}
	for _, w.answer = range []string{`{"$id":"ws_CO_1","$updatedAt":"x","amount":"many"}`, `{"$id":"ws_CO_1"}`} {
		if have, err := w.store().get(context.Background(), parse.Payment, "ws_CO_1"); have != (document{}) || err == nil {
			t.Errorf("get of %s = %+v, %v, want an error", w.answer, have, err)
		}
	}
}

// TestConflicts: 409 means what the call makes of it.
func TestConflicts(t *testing.T) {
	w := newWire(t, 409, `{"type":"document_already_exists","message":"ws_CO_1"}`)
	if err := w.store().create(context.Background(), payment()); !errors.Is(err, errExists) {
		t.Errorf("create = %v, want %v", err, errExists)
	}
	if err := w.store().replace(context.Background(), payment(), ""); !errors.Is(err, errChanged) {
		t.Errorf("replace = %v, want %v", err, errChanged)
	}
	if _, err := w.store().get(context.Background(), parse.Payment, "x"); err == nil || err.Error() != "get: 409 document_already_exists" {
		t.Errorf("get = %v, want the status and the type", err)
	}
}

// TestNotFound: a document that is not there is another thing than a collection
// that is not there, which an operator has to mend.
func TestNotFound(t *testing.T) {
	w := newWire(t, 404, `{"type":"document_not_found","message":"ws_CO_1"}`)
	if _, err := w.store().get(context.Background(), parse.Payment, "ws_CO_1"); !errors.Is(err, errNotFound) {
		t.Errorf("get = %v, want %v", err, errNotFound)
	}
	if err := w.store().replace(context.Background(), payment(), ""); !errors.Is(err, errChanged) {
		t.Errorf("replace = %v, want %v", err, errChanged)
	}
	for _, w.answer = range []string{`{"type":"collection_not_found"}`, `{"type":"database_not_found"}`, `<html>`, ``} {
		if _, err := w.store().get(context.Background(), parse.Payment, "ws_CO_1"); status(err) != 404 || classify(err) != operator {
			t.Errorf("get answered %q = %v, want a 404 that needs an operator", w.answer, err)
		}
		if err := w.store().replace(context.Background(), payment(), ""); status(err) != 404 || classify(err) != operator {
			t.Errorf("replace answered %q = %v, want a 404 that needs an operator", w.answer, err)
		}
	}
}

// TestRedirectIsRefused: following it would turn a POST into a GET, whose 200
// looks like a success.
func TestRedirectIsRefused(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		w := newWire(t, status, storedAnswer)
		err := w.store().create(context.Background(), payment())
		if err == nil || len(w.requests) != 1 {
			t.Errorf("create answered %d = %v after %d requests, want an error after one", status, err, len(w.requests))
		}
	}
}

// TestDeadline: a call ends after what one call may take, or what is left for all of
// them, whichever is sooner; and none is begun too late.
func TestDeadline(t *testing.T) {
	const short = 20 * time.Millisecond
	w := newWire(t, 201, storedAnswer)
	w.delay = time.Hour
	store := func() *appwrite {
		s := w.store()
		s.config.clock = newClock()
		s.config.clock.call = time.Hour
		return s
	}
	t.Run("one call", func(t *testing.T) {
		s := store()
		s.config.clock.call = short
		start := time.Now()
		if err := s.create(context.Background(), payment()); err == nil || err.Error() != "create: no answer in time" {
			t.Errorf("create = %v, want no answer in time", err)
		}
		if took := time.Since(start); took < short {
			t.Errorf("given up after %v, want %v", took, short)
		}
	})
	t.Run("all calls", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		if err := store().create(ctx, payment()); err == nil || err.Error() != "create: no answer in time" {
			t.Errorf("create = %v, want no answer in time", err)
		}
	})
	t.Run("store", func(t *testing.T) {
		dl := &delivery{config: Config{clock: clock{store: 5 * time.Millisecond}}}
		tries := 0
		for range 20 { // which of two timers comes first must not matter
			_, err := dl.try(func(ctx context.Context) (outcome, error) {
				tries++
				return outcome{}, store().create(ctx, payment())
			})
			if err == nil {
				t.Error("a store that does not answer was written to")
			}
		}
		if tries != 20 {
			t.Errorf("tried %d times, want 20: all the time was up after the first try", tries)
		}
	})
	t.Run("queue", func(t *testing.T) {
		s := store()
		s.config.clock.queue = short
		dl := &delivery{config: *s.config, route: routes[0]}
		dl.api.config = &dl.config
		if err := dl.enqueue(); err == nil || err.Error() != "queue: no answer in time" {
			t.Errorf("enqueue = %v, want no answer in time", err)
		}
	})
	w.Close() // waits for the requests to end
	begun := len(w.requests)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := store().replace(ctx, payment(), ""); err == nil || len(w.requests) != begun {
		t.Errorf("replace after the end = %v and %d requests, want an error and no request more than %d", err, len(w.requests), begun)
	}
}

// TestConnections: one after another share a connection, and two hundred at once
// do not leave two hundred open.
func TestConnections(t *testing.T) {
	defer watch(t)()
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
	config := Config{Endpoint: server.URL, ProjectID: "p", DatabaseID: "d", PaymentsID: "c", clock: patient(time.Now)}
	create := func(key string) {
		if err := (&appwrite{config: &config, key: key}).create(context.Background(), payment()); err != nil {
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
	// Closing takes a moment. After 30 s all are closed, also those that are too many.
	for end := time.Now().Add(20 * time.Second); open.Load() > 64 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := open.Load(); n > 64 || n < 32 {
		t.Errorf("%d at once left %d connections open, want 64 for the next burst and no more", atOnce, n)
	}
}
