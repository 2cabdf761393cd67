package fakeappwrite

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Fault spoils requests.
type Fault struct {
	// Operation is what it spoils, as in [Call], or empty for everything.
	Operation string

	// Times is how many requests it spoils; 0 means all until
	// [Appwrite.Heal].
	Times int

	// After means that the request is carried out and only its reply lost.
	After bool

	// Delay passes before anything else happens. If the client leaves in
	// the meantime, nothing more does.
	Delay time.Duration

	// Reply is what the sender gets instead of an answer. Without it the
	// request is only delayed.
	Reply http.HandlerFunc
}

// Inject makes f spoil the requests to come. Of several faults that fit a
// request, the one that was injected first spoils it. Inject panics if f would
// do nothing.
func (a *Appwrite) Inject(f Fault) {
	if f.Reply == nil && (f.After || f.Delay <= 0) || f.Times < 0 {
		panic("fake Appwrite: Inject: a fault that spoils nothing")
	}
	a.Do(func() { a.faults = append(a.faults, &f) })
}

// Heal ends all faults.
func (a *Appwrite) Heal() {
	a.Do(func() { a.faults = nil })
}

// takeFault returns the fault that spoils the next request, or nil. It needs
// the lock.
func (a *Appwrite) takeFault(operation string) *Fault {
	i := slices.IndexFunc(a.faults, func(f *Fault) bool {
		return f.Operation == "" || f.Operation == operation
	})
	if i < 0 {
		return nil
	}
	fault := *a.faults[i]
	a.faults[i].Times--
	if fault.Times == 1 { // one that had 0 goes on below it
		a.faults = slices.Delete(a.faults, i, i+1)
	}
	return &fault
}

// wait reports whether the client was still there when d had passed.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// Status replies with an error as Appwrite writes it. With 429 go the headers
// of a limit that was reached, among which there is no Retry-After.
func Status(code int, errorType, message string) http.HandlerFunc {
	body, err := json.Marshal(errorBody(&Error{code, errorType, message}, Versions[len(Versions)-1]))
	if err != nil {
		panic(err) // strings and numbers
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if h := w.Header(); code == http.StatusTooManyRequests {
			h.Set("X-RateLimit-Limit", "120")
			h.Set("X-RateLimit-Remaining", "0")
			h.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix()+60, 10))
		}
		send(w, code, jsonType, body)
	}
}

const (
	jsonType = "application/json; charset=UTF-8"
	htmlType = "text/html; charset=UTF-8"
)

func send(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	w.Write(body)
}

// HTML replies with a page, as a proxy in front of Appwrite does.
func HTML(code int) http.HandlerFunc {
	text := strconv.Itoa(code) + " " + http.StatusText(code)
	page := "<!DOCTYPE html><html><head><title>" + text + "</title></head><body><h1>" + text + "</h1></body></html>\n"
	return func(w http.ResponseWriter, r *http.Request) { send(w, code, htmlType, []byte(page)) }
}

// Empty replies with the JSON object {}.
func Empty(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { send(w, code, jsonType, []byte("{}")) }
}

// Redirect sends the caller elsewhere.
func Redirect(code int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}

// Hang does not reply until the client leaves.
func Hang() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}
}

// Hangup resets the connection, or only closes it where it cannot be reached.
func Hangup() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // makes Close send a reset
		}
		conn.Close()
	}
}
