package fakeappwrite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const ofPayments = "databases.daraja.collections.payments.documents"

// A listener is a client of Realtime.
type listener struct {
	t    *testing.T
	conn *websocket.Conn
	ctx  context.Context
}

// listen opens a socket with this query and these headers.
func listen(t *testing.T, a *Appwrite, query string, headers ...string) *listener {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	conn, _, err := websocket.Dial(ctx, server.URL+"/v1/realtime?project="+ProjectID+query,
		&websocket.DialOptions{HTTPHeader: header, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &listener{t, conn, ctx}
}

// next reads a message, or says that there will be none.
func (l *listener) next() (kind string, data map[string]any) {
	l.t.Helper()
	_, text, err := l.conn.Read(l.ctx)
	if err != nil {
		if l.ctx.Err() != nil {
			l.t.Fatal("nothing came")
		}
		return fmt.Sprintf("closed %d", websocket.CloseStatus(err)), nil
	}
	var m struct {
		Type string
		Data map[string]any
	}
	if err := json.Unmarshal(text, &m); err != nil {
		l.t.Fatalf("%s: %v", text, err)
	}
	return m.Type, m.Data
}

func (l *listener) want(kind string) map[string]any {
	l.t.Helper()
	got, data := l.next()
	if got != kind {
		l.t.Fatalf("%s %v came, want %s", got, data, kind)
	}
	return data
}

func (l *listener) say(message string) {
	l.t.Helper()
	if err := l.conn.Write(l.ctx, websocket.MessageText, []byte(message)); err != nil {
		l.t.Fatal(err)
	}
}

// ping waits until the server has read all that was said.
func (l *listener) ping() {
	l.t.Helper()
	l.say(`{"type":"ping"}`)
	l.want("pong")
}

// channel is the query for one.
func channel(name string) string { return "&channels[]=" + url.QueryEscape(name) }

// seedFor creates a payment that this user may read.
func seedFor(t *testing.T, a *Appwrite, id, user string) {
	t.Helper()
	body := fmt.Sprintf(`{"documentId":%q,"data":%s,"permissions":["read(\"user:%s\")"]}`, id, minimal, user)
	if status, got := serve(t, a, newRequest("POST", "/documents", body)); status != 201 {
		t.Fatalf("seed %s: %d %v", id, status, got)
	}
}

// TestRealtimeByURL: channels in the URL and the session on the handshake, the one way
// that works on every version.
func TestRealtimeByURL(t *testing.T) {
	for _, version := range Versions {
		t.Run(version, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = version
			l := listen(t, a, channel(ofPayments), "X-Appwrite-Session", "ada-secret")
			connected := l.want("connected")
			if user, _ := connected["user"].(map[string]any); user["$id"] != "ada" {
				t.Errorf("connected as %v, want ada", connected["user"])
			}
			if _, has := connected["subscriptions"]; has != (version != "1.8.1") {
				t.Errorf("connected says subscriptions: %t", has)
			}
			seedFor(t, a, "x1", "ada")
			event := l.want("event")
			if payload, _ := event["payload"].(map[string]any); payload["$id"] != "x1" || payload["status"] == nil {
				t.Errorf("the payload is %v, want the document", payload)
			}
			if _, has := event["subscriptions"]; has != (version != "1.8.1") {
				t.Errorf("the event says subscriptions: %t", has)
			}
			channels := fmt.Sprint(event["channels"])
			for name, since := range map[string]string{
				"documents": "1.8.1", "rows": "1.8.1", ofPayments: "1.8.1", ofPayments + ".x1": "1.8.1",
				"databases.daraja.tables.payments.rows.x1": "1.8.1", "tablesdb.daraja.tables.payments.rows": "1.9.0",
				ofPayments + ".x1.create": "1.9.5", ofPayments + ".create": "1.9.5",
			} {
				if got := strings.Contains(" "+strings.Trim(channels, "[]")+" ", " "+name+" "); got != !Older(version, since) {
					t.Errorf("channel %s: %t", name, got)
				}
			}
			if names, _ := event["events"].([]any); len(names) == 0 || names[0] != ofPayments+".x1.create" {
				t.Errorf("events %v, want the concrete one first", names)
			}
			serve(t, a, newRequest("PATCH", "/documents/x1", `{"data":{"status":"FAILED"}}`))
			if names, _ := l.want("event")["events"].([]any); names[0] != ofPayments+".x1.update" {
				t.Errorf("events %v, want an update", names)
			}
		})
	}
}

// TestRealtimePermissions: an event goes to whoever may read the document as it is now.
func TestRealtimePermissions(t *testing.T) {
	for _, test := range []struct {
		name, reader string
		headers      []string
		want         bool
	}{
		{"own", "user:ada", []string{"X-Appwrite-Session", "ada-secret"}, true},
		{"another's", "user:bob", []string{"X-Appwrite-Session", "ada-secret"}, false},
		{"a guest", "user:ada", nil, false},
		{"a wrong session is a guest's", "user:ada", []string{"X-Appwrite-Session", "nope"}, false},
		{"an API key is a guest's", "user:ada", []string{"X-Appwrite-Key", "standard_all"}, false},
		{"a cookie", "user:ada", []string{"Cookie", "a_session_fake=ada-secret"}, true},
		{"the older cookie", "user:ada", []string{"Cookie", "a_session_fake_legacy=ada-secret"}, true},
		{"a fallback cookie", "user:ada", []string{"X-Fallback-Cookies", `{"a_session_fake":"ada-secret"}`}, true},
		{"anybody", "any", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAppwrite(t)
			l := listen(t, a, channel(ofPayments), test.headers...)
			l.want("connected")
			body := fmt.Sprintf(`{"documentId":"x1","data":%s,"permissions":["read(\"%s\")"]}`, minimal, test.reader)
			serve(t, a, newRequest("POST", "/documents", body))
			serve(t, a, newRequest("PATCH", "/documents/x1", `{"permissions":["read(\"any\")"],"data":{"status":"FAILED"}}`))
			data := l.want("event")
			names, _ := data["events"].([]any)
			if got := strings.HasSuffix(fmt.Sprint(names[0]), ".create"); got != test.want {
				t.Errorf("the first event is %v; told of the document that was not for everybody: %t, want %t", names[0], got, test.want)
			}
		})
	}
}

// TestRealtimeRefused: what the server says before it closes, and that no close frame
// comes.
func TestRealtimeRefused(t *testing.T) {
	for _, test := range []struct {
		name, version, query string
		headers              []string
		code                 float64
		message              string
	}{
		{"no channels", "1.8.1", "", nil, 1008, "Error: Server Error"},
		{"no channels", "1.9.0", "", nil, 1008, "Missing channels"},
		{"JWT and session", "1.9.6", channel("documents"), []string{"X-Appwrite-Session", "ada-secret", "X-Appwrite-JWT", "x"}, 403, "user_jwt_and_cookie_set"},
		{"garbled JWT", "1.9.6", channel("documents"), []string{"X-Appwrite-JWT", "x"}, 401, "The JWT token is invalid. Please check the value of the X-Appwrite-JWT header."},
		{"foreign page", "1.9.6", channel("documents"), []string{"Origin", "https://evil.example"}, 1008, "Invalid Origin. Register your new client (evil.example) as a new Web platform on your project console dashboard"},
		{"another project", "1.9.6", channel("documents"), []string{"X-Appwrite-Project", "other"}, 1008, "Missing or unknown project ID"},
		{"a query", "1.9.6", channel("documents") + "&documents[0][]=" + url.QueryEscape(`{"method":"equal","values":[1]}`), nil, 1003, "Error: Server Error"},
	} {
		t.Run(test.name+" "+test.version, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = test.version
			l := listen(t, a, test.query, test.headers...)
			if data := l.want("error"); data["code"] != test.code || data["message"] != test.message {
				t.Errorf("error %v, want %v %s", data, test.code, test.message)
			}
			l.want("closed -1")
			if n := a.Sockets(); n != 0 {
				t.Errorf("%d sockets are open", n)
			}
		})
	}
	t.Run("too often", func(t *testing.T) {
		a := newAppwrite(t)
		a.Now, _ = clock()
		for range maxOpens {
			listen(t, a, channel("documents")).want("connected")
		}
		if data := listen(t, a, channel("documents")).want("error"); data["code"] != 1013.0 {
			t.Errorf("error %v, want 1013", data)
		}
	})
}

// TestRealtimeMessages: what clients may say, from which version on.
func TestRealtimeMessages(t *testing.T) {
	subscribe := `{"type":"subscribe","data":[{"subscriptionId":"mine","channels":["` + ofPayments + `"],"queries":["{\"method\":\"select\",\"values\":[\"*\"]}"]}]}`
	for _, test := range []struct {
		name, version, message string
		want                   string
		code                   float64
	}{
		{"ping", "1.8.1", `{"type":"ping"}`, "pong", 0},
		{"authentication", "1.8.1", `{"type":"authentication","data":{"session":"ada-secret"}}`, "response", 0},
		{"a session that is none", "1.9.6", `{"type":"authentication","data":{"session":"x"}}`, "error", 1003},
		{"subscribe", "1.9.0", subscribe, "error", 1003},
		{"subscribe", "1.9.5", subscribe, "response", 0},
		{"subscribe without a list", "1.9.5", `{"type":"subscribe","data":{"channels":[]}}`, "error", 1003},
		{"subscribe without channels", "1.9.5", `{"type":"subscribe","data":[{}]}`, "error", 1003},
		{"subscribe with a strange id", "1.9.5", `{"type":"subscribe","data":[{"subscriptionId":"!","channels":[]}]}`, "error", 1003},
		{"subscribe with a filter", "1.9.5", `{"type":"subscribe","data":[{"channels":[],"queries":["{\"method\":\"equal\"}"]}]}`, "error", 1003},
		{"unsubscribe", "1.9.5", `{"type":"unsubscribe","data":[{"subscriptionId":"x"}]}`, "response", 0},
		{"unknown", "1.9.5", `{"type":"hello"}`, "error", 1003},
		{"no JSON", "1.9.5", `hello`, "error", 1003},
	} {
		t.Run(test.name+" "+test.version, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = test.version
			l := listen(t, a, channel("documents"))
			l.want("connected")
			l.say(test.message)
			data := l.want(test.want)
			if code, _ := data["code"].(float64); code != test.code {
				t.Errorf("code %v, want %v", code, test.code)
			}
			l.ping() // none of these ends the socket
		})
	}
	t.Run("too many", func(t *testing.T) {
		a := newAppwrite(t)
		a.Now, _ = clock()
		l := listen(t, a, channel("documents"))
		l.want("connected")
		for range maxMessages {
			l.ping()
		}
		l.say(`{"type":"ping"}`)
		if data := l.want("error"); data["code"] != 1013.0 {
			t.Errorf("error %v, want 1013", data)
		}
	})
}

// TestRealtimeBySubscribing is the way of newer SDKs: a socket without channels, then
// authentication and subscribe in one breath. If the first is done before the second
// comes, servers from 1.9.5 on have forgotten whose the socket is.
func TestRealtimeBySubscribing(t *testing.T) {
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprintf("authentication is done first: %t", first), func(t *testing.T) {
			a := newAppwrite(t)
			a.SetRealtime(Realtime{AuthenticateFirst: first})
			l := listen(t, a, "")
			l.want("connected")
			l.say(`{"type":"authentication","data":{"session":"ada-secret"}}`)
			l.say(`{"type":"subscribe","data":[{"subscriptionId":"mine","channels":["` + ofPayments + `"]}]}`)
			if data := l.want("response"); first {
				if data["to"] != "authentication" {
					t.Errorf("response %v, want that to authentication", data)
				}
				if data := l.want("error"); data["code"] != 1008.0 || data["message"] != "Error: Server Error" {
					t.Errorf("error %v, want 1008 without words", data)
				}
				l.want("closed -1")
				return
			}
			if data := l.want("response"); data["to"] != "authentication" {
				t.Errorf("response %v, want that to authentication last", data)
			}
			seedFor(t, a, "x1", "ada")
			if got := fmt.Sprint(l.want("event")["subscriptions"]); got != "[mine]" {
				t.Errorf("subscriptions %s, want [mine]", got)
			}
			l.say(`{"type":"unsubscribe","data":[{"subscriptionId":"mine"}]}`)
			l.want("response")
			seedFor(t, a, "x2", "ada")
			l.ping() // and no event before
		})
	}
}

// TestRealtimeGuestBeside: up to 1.8.1 the guest stays beside the user whom an
// authentication message makes of it.
func TestRealtimeGuestBeside(t *testing.T) {
	for _, version := range []string{"1.8.1", "1.9.0", "1.9.6"} {
		t.Run(version, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = version
			l := listen(t, a, channel(ofPayments))
			l.want("connected")
			l.say(`{"type":"authentication","data":{"session":"ada-secret"}}`)
			l.want("response")
			body := fmt.Sprintf(`{"documentId":"x1","data":%s,"permissions":["read(\"guests\")"]}`, minimal)
			serve(t, a, newRequest("POST", "/documents", body))
			if version == "1.8.1" {
				l.want("event")
			}
			seedFor(t, a, "x2", "ada")
			if payload, _ := l.want("event")["payload"].(map[string]any); payload["$id"] != "x2" {
				t.Errorf("%v came, want the user's own", payload["$id"])
			}
		})
	}
}

// TestRealtimeSlots: newer SDKs put a channel into slots of the URL.
func TestRealtimeSlots(t *testing.T) {
	all := url.QueryEscape(`{"method":"select","values":["*"]}`)
	for _, test := range []struct{ version, slot, want string }{
		{"1.9.0", "1", "map[1:"},
		{"1.9.0", "0", "["},
		{"1.8.1", "1", "<nil>"},
	} {
		t.Run(test.version+" slot "+test.slot, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = test.version
			l := listen(t, a, channel("documents")+"&documents["+test.slot+"][]="+all)
			if got := fmt.Sprint(l.want("connected")["subscriptions"]); !strings.HasPrefix(got, test.want) {
				t.Errorf("subscriptions %s, want %s…", got, test.want)
			}
		})
	}
}

// TestRealtimeVerbs: what tests make go wrong does so.
func TestRealtimeVerbs(t *testing.T) {
	start := func(t *testing.T, r Realtime) (*Appwrite, *listener) {
		a := newAppwrite(t)
		l := listen(t, a, channel(ofPayments), "X-Appwrite-Session", "ada-secret")
		l.want("connected")
		a.SetRealtime(r)
		return a, l
	}
	t.Run("drop", func(t *testing.T) {
		a, l := start(t, Realtime{})
		a.DropSockets()
		l.want("closed -1")
	})
	t.Run("duplicate", func(t *testing.T) {
		a, l := start(t, Realtime{Duplicate: true})
		seedFor(t, a, "x1", "ada")
		l.want("event")
		l.want("event")
		l.ping()
	})
	t.Run("forget", func(t *testing.T) {
		a, l := start(t, Realtime{Forget: true})
		seedFor(t, a, "x1", "ada")
		l.ping()
	})
	t.Run("stall", func(t *testing.T) {
		a, l := start(t, Realtime{Stall: true})
		seedFor(t, a, "x1", "ada")
		if n := a.Sockets(); n != 1 {
			t.Errorf("%d sockets, want the one to stay", n)
		}
		a.SetRealtime(Realtime{})
		l.ping()
	})
	t.Run("refuse", func(t *testing.T) {
		a, _ := start(t, Realtime{Refuse: 1013})
		l := listen(t, a, channel(ofPayments))
		if data := l.want("error"); data["code"] != 1013.0 {
			t.Errorf("error %v, want 1013", data)
		}
		l.want("closed -1")
	})
	t.Run("objects for lists", func(t *testing.T) {
		a, l := start(t, Realtime{ObjectLists: true})
		seedFor(t, a, "x1", "ada")
		if names, _ := l.want("event")["events"].(map[string]any); names["0"] != ofPayments+".x1.create" {
			t.Errorf("events %v, want an object", names)
		}
	})
	t.Run("compress", func(t *testing.T) {
		a := newAppwrite(t)
		a.SetRealtime(Realtime{Compress: true})
		l := listen(t, a, channel(ofPayments))
		if _, _, err := l.conn.Read(l.ctx); err == nil || !strings.Contains(err.Error(), "rsv bits") {
			t.Errorf("%v, want that a client which agreed on nothing cannot read it", err)
		}
	})
	t.Run("handshake", func(t *testing.T) {
		a := newAppwrite(t)
		a.Inject(Fault{Operation: "realtime", Times: 1, Reply: HTML(502)})
		server := httptest.NewServer(a)
		defer server.Close()
		_, response, err := websocket.Dial(context.Background(), server.URL+"/v1/realtime?project=fake", nil)
		if err == nil || response == nil || response.StatusCode != 502 {
			t.Errorf("%v, want 502", err)
		}
	})
	t.Run("a client that does not read is cut", func(t *testing.T) {
		a, _ := start(t, Realtime{})
		for a.Sockets() > 0 {
			a.Do(func() {
				for s := range a.sockets {
					for range unread + 1 {
						a.send(s, frame("event", strings.Repeat("x", maxFrame)))
					}
				}
			})
			time.Sleep(time.Millisecond) // for the socket to end
		}
	})
}

// TestSignIn: both carriers of a session that a browser may keep, and what they open.
func TestSignIn(t *testing.T) {
	a := newAppwrite(t)
	a.AddUser(User{ID: "bob", Email: "bob@example.com", Password: "secret-of-bob"})
	server := httptest.NewServer(a)
	defer server.Close()
	call := func(method, path, body string, headers ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, server.URL+"/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Appwrite-Project", ProjectID)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	if got := call("POST", "/account/sessions/email", `{"email":"bob@example.com","password":"wrong"}`); got.StatusCode != 401 {
		t.Errorf("a wrong password: %d, want 401", got.StatusCode)
	}
	if got := call("POST", "/account/sessions/email", `{"email":"ada@example.com","password":""}`); got.StatusCode != 400 {
		t.Errorf("no password: %d, want 400", got.StatusCode)
	}
	for _, made := range []*http.Response{
		call("POST", "/account/sessions/email", `{"email":"bob@example.com","password":"secret-of-bob"}`),
		call("POST", "/account/sessions/anonymous", `{}`),
	} {
		if made.StatusCode != 201 || len(made.Cookies()) != 2 {
			t.Fatalf("sign in: %d with %d cookies, want 201 with 2", made.StatusCode, len(made.Cookies()))
		}
		for _, cookie := range made.Cookies() {
			carried := []string{"Cookie", cookie.Name + "=" + cookie.Value}
			if got := call("GET", "/account", "", carried...); got.StatusCode != 200 {
				t.Errorf("account by %s: %d, want 200", cookie.Name, got.StatusCode)
			}
			if got := call("POST", "/account/sessions/anonymous", `{}`, carried...); got.StatusCode != 401 {
				t.Errorf("a second session: %d, want 401", got.StatusCode)
			}
		}
		carried := []string{"X-Fallback-Cookies", made.Header.Get("X-Fallback-Cookies")}
		if got := call("POST", "/account/jwts", `{}`, carried...); got.StatusCode != 201 {
			t.Errorf("JWT: %d, want 201", got.StatusCode)
		}
		if got := call("DELETE", "/account/sessions/current", "", carried...); got.StatusCode != 204 {
			t.Errorf("sign out: %d, want 204", got.StatusCode)
		}
		if got := call("GET", "/account", "", carried...); got.StatusCode != 401 {
			t.Errorf("account afterwards: %d, want 401", got.StatusCode)
		}
	}
}

// TestCORS: pages and apps of the project's platforms may call, and others are told no.
func TestCORS(t *testing.T) {
	a := newAppwrite(t)
	for _, test := range []struct {
		method, origin string
		status         int
		allowed        bool
	}{
		{"OPTIONS", "http://localhost:8080", 204, true},
		{"OPTIONS", "https://evil.example", 204, false},
		{"GET", "http://127.0.0.1:8080", 200, true},
		{"GET", "https://evil.example", 403, false},
		{"GET", "appwrite-android://com.example.shop", 200, true},
		{"GET", "appwrite-windows://com.example.shop", 403, false},
		{"GET", "file://localhost", 403, false},
		{"GET", "", 200, false},
	} {
		t.Run(test.method+" "+test.origin, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/v1/account", nil)
			r.Header.Set("X-Appwrite-Project", ProjectID)
			r.Header.Set("X-Appwrite-Session", "ada-secret")
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			h := w.Header()
			allowed := h.Get("Access-Control-Allow-Origin") == test.origin && h.Get("Access-Control-Allow-Credentials") == "true"
			if w.Code != test.status || test.origin != "" && allowed != test.allowed {
				t.Errorf("%d, allowed %t; want %d, %t", w.Code, allowed, test.status, test.allowed)
			}
			if test.method == "OPTIONS" && !strings.Contains(strings.ToLower(h.Get("Access-Control-Allow-Headers")), "x-fallback-cookies") {
				t.Errorf("allowed headers %s", h.Get("Access-Control-Allow-Headers"))
			}
			if got := h.Get("Access-Control-Expose-Headers") != ""; got != test.allowed {
				t.Errorf("headers exposed: %t", got)
			}
		})
	}
}
