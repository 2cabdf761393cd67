package fakeruntime

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
)

func TestRuntimeRequest(t *testing.T) {
	var got openruntimes.ContextRequest
	rt := &Runtime{
		Key: "ephemeral_x",
		Main: func(ctx openruntimes.Context) openruntimes.Response {
			got = ctx.Req
			return ctx.Res.Text("ok")
		},
	}
	r := httptest.NewRequest("POST", "http://pay.example.com:8080/call%20back?uid=a&uid=b&x=%2F", strings.NewReader("Body"))
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header = http.Header{
		"Content-Type":            {"Application/JSON; Charset=UTF-8"},
		"X-Custom":                {"first", "second"},
		"X-Open-Runtimes-Timeout": {"15"},
		"X-Appwrite-Trigger":      {"schedule"},
		"X-Appwrite-User-Id":      {"ada"},
		"X-Appwrite-User-Jwt":     {"jwt"},
		"X-Appwrite-Client-Ip":    {"10.0.0.1"},
		"X-Appwrite-Event":        {"passes"},
		"Authorization":           {"Bearer own"},
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.String() != "ok" {
		t.Fatalf("reply %d %q", w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"content-type":         "application/json; charset=utf-8",
		"x-custom":             "first, second",
		"x-appwrite-key":       "ephemeral_x",
		"x-appwrite-trigger":   "http",
		"x-appwrite-user-id":   "",
		"x-appwrite-user-jwt":  "",
		"x-appwrite-client-ip": "192.0.2.7",
		"x-appwrite-event":     "passes",
		"authorization":        "Bearer own",
	} {
		if v, ok := got.Headers[name]; !ok || v != want {
			t.Errorf("header %s = %q, %v; want %q", name, v, ok, want)
		}
	}
	if v, ok := got.Headers["x-open-runtimes-timeout"]; ok {
		t.Errorf("x-open-runtimes-timeout = %q reached the function", v)
	}
	if id := got.Headers["x-appwrite-execution-id"]; len(id) != 20 {
		t.Errorf("x-appwrite-execution-id = %q; want 20 characters", id)
	}
	if got.Method != "POST" || got.Path != "/call back" || got.Query["uid"] != "a" || got.Query["x"] != "/" ||
		got.QueryString != "uid=a&uid=b&x=%2F" || got.Host != "pay.example.com" || got.Port != 8080 || got.BodyText() != "Body" ||
		got.Url != "http://pay.example.com:8080/call back?uid=a&uid=b&x=%2F" {
		t.Errorf("request = %+v", got)
	}
}

func TestRuntimeDefaults(t *testing.T) {
	var got openruntimes.ContextRequest
	rt := &Runtime{Main: func(ctx openruntimes.Context) openruntimes.Response {
		got = ctx.Req
		return openruntimes.Response{}
	}}
	r := httptest.NewRequest("GET", "http://pay.example.com/", nil)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.RemoteAddr = "192.0.2.7:1234"
	rt.ServeHTTP(httptest.NewRecorder(), r)
	if got.Url != "https://pay.example.com/" || got.Port != 443 || got.Scheme != "https" {
		t.Errorf("Url %q, Port %d, Scheme %q", got.Url, got.Port, got.Scheme)
	}
	if ip := got.Headers["x-appwrite-client-ip"]; ip != "192.0.2.7" {
		t.Errorf("x-appwrite-client-ip = %q; want the peer", ip)
	}
	if !strings.HasPrefix(got.Headers["authorization"], "Basic ") {
		t.Errorf("authorization = %q; want the executor's", got.Headers["authorization"])
	}
}

func TestRuntimeReply(t *testing.T) {
	for _, test := range []struct {
		name        string
		reply       openruntimes.Response
		status      int
		contentType string
		body        string
	}{
		{"nothing", openruntimes.Response{}, 200, "text/plain; charset=utf-8", ""},
		{"text", openruntimes.Response{StatusCode: 201, Body: []byte("x")}, 201, "text/plain; charset=utf-8", "x"},
		{"lower case", openruntimes.Response{StatusCode: 400, Body: []byte("{}"), Headers: map[string]string{"Content-Type": "Application/JSON"}}, 400, "application/json; charset=utf-8", "{}"},
		{"charset", openruntimes.Response{StatusCode: 200, Headers: map[string]string{"content-type": "text/html; charset=Latin1"}}, 200, "text/html; charset=Latin1", ""},
		{"multipart", openruntimes.Response{StatusCode: 200, Headers: map[string]string{"content-type": "multipart/x; boundary=A"}}, 200, "multipart/x; boundary=A", ""},
		{"error with body", openruntimes.Response{StatusCode: 503, Body: []byte("x")}, 503, "text/plain; charset=utf-8", "x"},
		{"error without body", openruntimes.Response{StatusCode: 404, Headers: map[string]string{"content-type": "application/json"}}, 404, "text/html; charset=UTF-8", "<!DOCTYPE html>"},
		{"no status at all", openruntimes.Response{StatusCode: 7}, 500, "text/html; charset=UTF-8", "<!DOCTYPE html>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rt := &Runtime{Main: func(openruntimes.Context) openruntimes.Response { return test.reply }}
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			body := w.Body.String()
			if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType || !strings.HasPrefix(body, test.body) || test.body == "" && body != "" {
				t.Errorf("%d %q %q; want %d %q %q", w.Code, w.Header().Get("Content-Type"), body, test.status, test.contentType, test.body)
			}
		})
	}
	rt := &Runtime{Main: func(ctx openruntimes.Context) openruntimes.Response {
		return ctx.Res.Text("x", ctx.Res.WithHeaders(map[string]string{"X-Open-Runtimes-Secret": "s", "Allow": "POST"}))
	}}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Header().Get("X-Open-Runtimes-Secret") != "" || w.Header().Get("Allow") != "POST" {
		t.Errorf("headers %v", w.Header())
	}
}

// TestRuntimeForeignKey: who sends a key to the function's domain.
func TestRuntimeForeignKey(t *testing.T) {
	for _, test := range []struct {
		version, key string
		status       int
		reaches      string
	}{
		{"1.8.1", "stolen", 200, "own"},
		{"1.9.0", "stolen", 403, ""},
		{"1.9.6", "stolen", 403, ""},
		{"", "stolen", 403, ""},
		{"1.9.6", "", 200, "own"},
	} {
		t.Run(test.version+" "+test.key, func(t *testing.T) {
			var reached string
			rt := &Runtime{Version: test.version, Key: "own", Main: func(ctx openruntimes.Context) openruntimes.Response {
				reached = ctx.Req.Headers["x-appwrite-key"]
				return ctx.Res.Text("ok")
			}}
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("X-Appwrite-Key", test.key)
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != test.status || reached != test.reaches {
				t.Errorf("%d, and the function was run with %q; want %d and %q", w.Code, reached, test.status, test.reaches)
			}
			if isPage := w.Header().Get("Content-Type") == "text/html; charset=UTF-8"; isPage != (test.status == 403) {
				t.Errorf("Content-Type = %q with %d", w.Header().Get("Content-Type"), w.Code)
			}
		})
	}
}

// TestRuntimeRefuses has requests that never reach the function.
func TestRuntimeRefuses(t *testing.T) {
	rt := &Runtime{
		Main: func(openruntimes.Context) openruntimes.Response { panic("Main was called") },
		Logs: func(logs, errors string) { t.Errorf("logged %q and %q", logs, errors) },
	}
	for _, test := range []struct {
		name, url, host string
		body            io.Reader
		want            int
	}{
		{"bad escape", "/callback?uid=%zz", "", nil, 500},
		{"semicolon", "/callback?a=1;b=2", "", nil, 500},
		{"bad port", "/callback", "[::1]:80", nil, 500},
		{"large body", "/callback", "", bytes.NewReader(make([]byte, maxFunctionBody+1)), 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", test.url, test.body)
			if test.host != "" {
				r.Host = test.host
			}
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != test.want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
				t.Errorf("%d %v; want a page with %d", w.Code, w.Header(), test.want)
			}
		})
	}
}

func TestRuntimeLogs(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var logs, errors string
	rt := &Runtime{
		Main: func(ctx openruntimes.Context) openruntimes.Response {
			ctx.Log("one", 2)
			ctx.Log(strings.Repeat("x", 8001))
			ctx.Error("bad")
			if ctx.Req.Path == "/panic" {
				panic("ouch")
			}
			return ctx.Res.Text("ok")
		},
		Logs: func(l, e string) { logs, errors = l, e },
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if want := "one 2\n" + strings.Repeat("x", 8000) + "... Log truncated due to size limit (8000 characters)\n"; logs != want {
		t.Errorf("logs = %q", logs)
	}
	if errors != "bad\n" {
		t.Errorf("errors = %q; want bad", errors)
	}

	w = httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest("GET", "/panic", nil))
	if w.Code != 500 || !strings.HasPrefix(errors, "bad\npanic: ouch\n") || !strings.Contains(errors, "runtime_test.go") {
		t.Errorf("panic: %d, errors %q", w.Code, errors)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "fakeruntime-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRuntimeConcurrent checks that requests do not share their logs.
func TestRuntimeConcurrent(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	rt := &Runtime{
		Main: func(ctx openruntimes.Context) openruntimes.Response {
			ctx.Log(ctx.Req.Path)
			return ctx.Res.Text("ok")
		},
		Logs: func(logs, errors string) {
			mu.Lock()
			defer mu.Unlock()
			seen[logs+errors]++
		},
	}
	var wg sync.WaitGroup
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				rt.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
			}
		}()
	}
	wg.Wait()
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		if seen[path+"\n"] != 20 {
			t.Errorf("%s was logged %d times; want 20: %v", path, seen[path+"\n"], seen)
		}
	}
}

// TestExecute: what comes out of the queue reaches the function as the platform
// sends it.
func TestExecute(t *testing.T) {
	var got openruntimes.ContextRequest
	rt := &Runtime{Key: "k", Main: func(c openruntimes.Context) openruntimes.Response {
		got = c.Req
		return c.Res.Text("", c.Res.WithStatusCode(503))
	}}
	e := fakeappwrite.Execution{Method: "POST", Path: "/b2c/result?attempt=1&uid=u", Body: "{}", Headers: map[string]string{"X-Other": "o"}}
	if status := rt.Execute(e); status != 503 {
		t.Errorf("Execute = %d; want 503", status)
	}
	if got.Method != "POST" || got.Path != "/b2c/result" || got.Query["attempt"] != "1" || got.BodyText() != "{}" {
		t.Errorf("the request is %+v", got)
	}
	if h := got.Headers; h["x-appwrite-trigger"] != "schedule" || h["x-appwrite-key"] != "k" || h["x-other"] != "o" || h["authorization"] != executorAuthorization {
		t.Errorf("the headers are %v", h)
	}

	// What its sender made up stands before what the platform says.
	e.Headers = map[string]string{"X-Appwrite-Key": "forged", "X-Appwrite-Trigger": "event", "Authorization": "own"}
	rt.Execute(e)
	if h := got.Headers; h["x-appwrite-trigger"] != "event" || h["x-appwrite-key"] != "forged" || h["x-appwrite-user-id"] != "" || h["authorization"] != "own" {
		t.Errorf("with forged headers they are %v", h)
	}
}
