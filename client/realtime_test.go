package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
)

// TestRealtimeVersions: an event shows at once on every version, whatever its lists look
// like, and compressed or not.
func TestRealtimeVersions(t *testing.T) {
	for _, tt := range []struct {
		version string
		wrong   fakeappwrite.Realtime
	}{
		{"1.8.1", fakeappwrite.Realtime{}},
		{"1.9.0", fakeappwrite.Realtime{}},
		{"1.9.5", fakeappwrite.Realtime{}},
		{"1.9.6", fakeappwrite.Realtime{}},
		{"1.9.6", fakeappwrite.Realtime{ObjectLists: true}},
		{"1.9.6", fakeappwrite.Realtime{Duplicate: true}},
		{"1.9.6", fakeappwrite.Realtime{Compress: true}},
	} {
		t.Run(fmt.Sprintf("%s %+v", tt.version, tt.wrong), func(t *testing.T) {
			s := newShop(t)
			s.SetVersion(tt.version)
			s.Appwrite.SetRealtime(tt.wrong)
			s.pending()
			r := s.startResume(s.client("amina"), someID)
			r.live()
			testbed.Until(t, "the first reads", func() bool { return s.reads() >= 1 })
			s.write(http.MethodPost, "other", map[string]any{"checkoutRequestId": "x", "status": "SUCCESS", "settledAt": "x"})
			s.write(http.MethodPatch, someID, map[string]any{"status": "NEW"}) // nobody knows what that means
			s.write(http.MethodPatch, someID, map[string]any{"status": "PENDING", "checkoutRequestId": "ws_CO_2"})
			r.wait("the name", func(s State) bool { return s.CheckoutRequestID == "ws_CO_2" })
			s.paid()
			got := r.until(Success)
			r.end()
			if got.Receipt != "UKN4T8W2QD" || got.Amount != 10 || got.MpesaAt != time.Date(2026, 11, 23, 11, 7, 48, 0, time.UTC) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestDropped has the socket dropped before, between and after the event. Each time the
// document is read after the reconnection, since nothing is repeated.
func TestDropped(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		r := s.startResume(s.client("amina"), someID)
		r.live()
		s.Appwrite.DropSockets()
		r.wait("offline", func(s State) bool { return !s.Live })
		s.pass(time.Second)
		r.live()
		s.paid() // comes by the new one
		r.until(Success)
	})
	t.Run("between", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		r := s.startResume(s.client("amina"), someID)
		r.live()
		s.Appwrite.DropSockets()
		r.wait("offline", func(s State) bool { return !s.Live })
		s.paid()
		s.pass(time.Second)
		r.until(Success) // though it is too early for any other read
		r.end()
	})
	t.Run("after", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		c := s.client("amina")
		r := s.startResume(c, someID)
		r.live()
		s.paid()
		r.until(Success)
		s.Appwrite.DropSockets()
		r.end()
	})
}

// TestSilent: events are lost without a sign, and the document is read all the same.
func TestSilent(t *testing.T) {
	s := newShop(t)
	s.pending()
	r := s.startResume(s.client("amina"), someID)
	r.live()
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Forget: true})
	s.paid()
	s.clock.advance(5 * time.Second)
	r.until(Success)
}

// TestHalfOpen: a connection on which nothing comes any more is given up when a ping has
// no answer, and another one made.
func TestHalfOpen(t *testing.T) {
	s := newShop(t)
	s.pending()
	r := s.startResume(s.client("amina"), someID)
	r.live()
	s.pass(20 * time.Second) // a ping, which is answered
	testbed.Until(t, "the pong", func() bool { return s.clock.waitsFor(20 * time.Second) })
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{Stall: true})
	s.pass(20 * time.Second)
	s.pass(10 * time.Second)
	r.wait("offline", func(s State) bool { return !s.Live })
	s.Appwrite.SetRealtime(fakeappwrite.Realtime{})
	s.pass(time.Second)
	r.live()
}

// TestNeverAgain: after some errors the server will never have the connection. The stream
// says so, goes on without, and nobody rings at the server's door.
func TestNeverAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		make func(*shop) *Client
	}{
		{"policy", 1008, func(s *shop) *Client {
			s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1008})
			return s.client("amina")
		}},
		{"unauthorized", 401, func(s *shop) *Client {
			s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 401})
			return s.client("amina")
		}},
		{"forbidden", 403, func(s *shop) *Client {
			s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 403})
			return s.client("amina")
		}},
		{"a guest", 401, func(s *shop) *Client { return s.client("nobody") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.pending()
			c := tt.make(s)
			r := s.startResume(c, someID)
			var refused *RealtimeError
			got := r.wait("the refusal", func(s State) bool { return errors.As(s.Err, &refused) })
			if refused.Code != tt.code || got.Live || got.Final() {
				t.Errorf("%+v, want %d and no end", got, tt.code)
			}
			<-c.realtime.ended // and nobody tries again
			if n := s.count("realtime"); n != 1 {
				t.Errorf("%d connections were tried, want 1", n)
			}
			if tt.name == "a guest" {
				return // who may not read it either
			}
			s.paid()
			s.clock.advance(5 * time.Second)
			r.until(Success)
		})
	}
}

// TestBackoff: other failures are tried again, more and more rarely, up to twice a minute.
func TestBackoff(t *testing.T) {
	for name, arrange := range map[string]func(*fakeappwrite.Appwrite){
		"too many": func(a *fakeappwrite.Appwrite) { a.SetRealtime(fakeappwrite.Realtime{Refuse: 1013}) },
		"format":   func(a *fakeappwrite.Appwrite) { a.SetRealtime(fakeappwrite.Realtime{Refuse: 1003}) },
		"a proxy's": func(a *fakeappwrite.Appwrite) {
			a.Inject(fakeappwrite.Fault{Operation: "realtime", Reply: fakeappwrite.HTML(502)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			arrange(s.Appwrite)
			c := s.client("amina")
			feed := c.realtime.join("payments", someID)
			defer c.realtime.leave(feed)
			for i, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
				s.pass(wait * time.Second)
				testbed.Until(t, "another try", func() bool { return s.count("realtime") == i+2 })
			}
		})
	}
	t.Run("jitter", func(t *testing.T) {
		s := newShop(t)
		s.Appwrite.SetRealtime(fakeappwrite.Realtime{Refuse: 1013})
		c := s.client("amina")
		c.clock.random = func() float64 { return 0 }
		feed := c.realtime.join("payments", someID)
		defer c.realtime.leave(feed)
		s.pass(500 * time.Millisecond)
		s.pass(time.Second)
	})
	t.Run("a good connection", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		r := s.startResume(s.client("amina"), someID)
		for range 2 { // the second one comes as soon as the first
			r.live()
			s.clock.advance(stands)
			s.Appwrite.DropSockets()
			r.wait("offline", func(s State) bool { return !s.Live })
			s.pass(time.Second)
		}
		r.live()
	})
	t.Run("a bad connection", func(t *testing.T) {
		s := newShop(t)
		s.pending()
		r := s.startResume(s.client("amina"), someID)
		for _, wait := range []time.Duration{1, 2, 4} { // connected, and dropped at once
			r.live()
			s.Appwrite.DropSockets()
			r.wait("offline", func(s State) bool { return !s.Live })
			s.pass(wait * time.Second)
		}
	})
}

// TestDeleted: the event of a deletion has the document in it, and says nothing about the
// money.
func TestDeleted(t *testing.T) {
	r := &realtime{byKey: map[string]map[*feed]bool{}}
	f := &feed{key: "payments/" + someID, changed: make(chan struct{}, 1)}
	r.byKey[f.key] = map[*feed]bool{f: true}
	event := func(action string) string {
		return `{"type":"event","data":{"events":["databases.daraja.collections.payments.documents.` + someID + `.` + action + `"],
			"payload":{"$id":"` + someID + `","$collectionId":"payments","status":"FAILED"}}}`
	}
	r.message([]byte(event("delete")))
	if f.news.document != nil {
		t.Error("the deletion was delivered")
	}
	r.message([]byte(strings.Replace(event("update"), `"payments"`, `"disbursements"`, 1)))
	if f.news.document != nil {
		t.Error("a payout of the same id was delivered")
	}
	r.message([]byte(event("update")))
	if f.news.document == nil {
		t.Error("the update was not delivered")
	}
}

// TestMessages has messages that make no sense. None ends the connection.
func TestMessages(t *testing.T) {
	r := &realtime{c: &Client{}, byKey: map[string]map[*feed]bool{}}
	for _, text := range []string{``, `x`, `null`, `[]`, `{}`, `{"type":1}`, `{"type":"event"}`, `{"type":"event","data":[]}`,
		`{"type":"event","data":{"payload":1}}`, `{"type":"event","data":{"events":{"0":"x"},"payload":{"$id":7,"status":{}}}}`,
		`{"type":"error"}`, `{"type":"error","data":{"code":"x","message":7}}`, `{"type":"response","data":{"to":"x"}}`, `{"type":"pong"}`,
		`{"type":"error","data":{"code":1003,"message":"x"}}`} {
		t.Run(text, func(t *testing.T) {
			if connected, refused := r.message([]byte(text)); connected || refused != nil {
				t.Errorf("connected %t, refused %v", connected, refused)
			}
		})
	}
	for _, text := range []string{`{"type":"error","data":{"code":1008,"message":"Error: Server Error"}}`, `{"type":"error","data":{"code":"1008","message":7}}`} {
		t.Run(text, func(t *testing.T) {
			if _, refused := r.message([]byte(text)); refused == nil {
				t.Error("that is no refusal")
			}
		})
	}
}

// FuzzMessage: whatever comes, only an error of policy or of who asks ends the connection
// for good, and a document is told to nobody but those who are about it.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"type":"event","data":{"events":["x.update"],"payload":{"$id":"other","$collectionId":"payments","status":"SUCCESS","amount":7}}}`))
	f.Add([]byte(`{"type":"error","data":{"code":1008}}`))
	f.Add([]byte(`{"type":"connected","data":{"user":null}}`))
	f.Add([]byte(`{"error":{"type":"busy","retryAfter":7}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newRealtime(&Client{})
		mine := &feed{key: "payments/" + someID, changed: make(chan struct{}, 1)}
		r.byKey[mine.key] = map[*feed]bool{mine: true}
		_, err := r.message(text)
		var refused *RealtimeError
		if err != nil && (!errors.As(err, &refused) || !neverAgain(refused.Code)) {
			t.Errorf("refused by %v", err)
		}
		if d := mine.news.document; d != nil && (d.id != someID || d.collection != "payments") {
			t.Errorf("told of %+v", d)
		}
		if told, err := readReply(text); err == nil && told.refusal == nil && told.status == "" {
			t.Errorf("a reply that says nothing: %+v", told)
		}
	})
}

// TestCookies: a session in the cookies of an HTTP client is one too, for calls and for
// Realtime.
func TestCookies(t *testing.T) {
	s := newShop(t)
	s.Appwrite.AddUser(fakeappwrite.User{ID: "amina", Email: "amina@example.com", Password: "secret-of-amina", EmailVerification: true, Labels: []string{"cashier"}})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Endpoint: s.AppwriteURL, Project: fakeappwrite.ProjectID, HTTP: &http.Client{Jar: jar}}
	token, err := SignIn(context.Background(), config, "amina@example.com", "secret-of-amina")
	if err != nil || token == "" {
		t.Fatalf("SignIn = %q, %v", token, err)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	c.clock = s.clock.clock()
	r := s.startPay(c, order(phoneA))
	r.live()
	testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(longA)) == 1 })
	s.Pay(longA)
	r.until(Success)
	r.end()
	http.DefaultClient.CloseIdleConnections()

	if err := c.SignOut(context.Background()); err != nil {
		t.Error(err)
	}
	var failed *AppwriteError
	if _, err := SignIn(context.Background(), config, "amina@example.com", "wrong"); !errors.As(err, &failed) || failed.Type != "user_invalid_credentials" {
		t.Errorf("a wrong password: %v", err)
	}
}

// TestRedirect: nobody is followed elsewhere with a session.
func TestRedirect(t *testing.T) {
	s := newShop(t)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "get", Reply: fakeappwrite.Redirect(302, s.FunctionURL+"/health")})
	_, err := s.client("amina").get(context.Background(), parse.Payment, someID)
	var failed *AppwriteError
	if !errors.As(err, &failed) || failed.Status != 302 {
		t.Errorf("%v, want 302", err)
	}
}

// TestHungServer: a call outside of all streams ends by itself, too.
func TestHungServer(t *testing.T) {
	s := newShop(t)
	c := s.client("amina")
	for name, call := range map[string]func(context.Context) error{
		"sign in": func(ctx context.Context) error {
			_, err := c.signIn(ctx, "amina@example.com", testbed.PasswordOf("amina"))
			return err
		},
		"account":  c.SignedIn,
		"sign out": c.SignOut,
		"list": func(ctx context.Context) error {
			_, err := c.Pending(ctx, parse.Payment)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.Appwrite.Inject(fakeappwrite.Fault{Operation: name, Times: 1, Reply: testbed.Hang})
			if err := call(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want that the time is up", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		ok     bool
	}{
		{"whole", Config{Endpoint: "https://fra.cloud.appwrite.io/v1", Project: "p"}, true},
		{"a slash", Config{Endpoint: "http://127.0.0.1:4000/v1/", Project: "p"}, true},
		{"no project", Config{Endpoint: "https://fra.cloud.appwrite.io/v1"}, false},
		{"no scheme", Config{Endpoint: "fra.cloud.appwrite.io/v1", Project: "p"}, false},
		{"no endpoint", Config{Project: "p"}, false},
		{"another scheme", Config{Endpoint: "ws://x/v1", Project: "p"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if c, err := New(tt.config); (err == nil) != tt.ok || (c != nil) != tt.ok {
				t.Errorf("New = %v, %v", c, err)
			}
		})
	}
}
