package daraja

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// received decodes a request's body. It fails if any value is not text.
func received(t *testing.T, r request) map[string]string {
	t.Helper()
	var sent map[string]string
	if err := json.Unmarshal([]byte(r.body), &sent); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	return sent
}

// TestRequests compares what is sent, field by field. At the moment of the test it
// is 01:59:58 of the next day in Nairobi.
func TestRequests(t *testing.T) {
	const timestamp = "20261003015958"
	password := base64.StdEncoding.EncodeToString([]byte("600123" + credentials.Passkey + timestamp))
	push := map[string]string{
		"BusinessShortCode": "600123",
		"Password":          password,
		"Timestamp":         timestamp,
		"TransactionType":   "CustomerPayBillOnline",
		"Amount":            "1500",
		"PartyA":            "254700000019",
		"PartyB":            "600123",
		"PhoneNumber":       "254700000019",
		"CallBackURL":       "https://x1.example/s3cr3t-segment/callback?id=0f3a&sig=9b41",
		"AccountReference":  "INV 2026-19",
		"TransactionDesc":   "School fees",
	}
	till := maps.Clone(push)
	till["TransactionType"], till["PartyB"] = "CustomerBuyGoodsOnline", "4455667"
	pay := map[string]string{
		"OriginatorConversationID": "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
		"InitiatorName":            "pay-operator",
		"SecurityCredential":       credentials.SecurityCredential,
		"CommandID":                "BusinessPayment",
		"Amount":                   "250",
		"PartyA":                   "600123",
		"PartyB":                   "254100000027",
		"Remarks":                  "Refund of order 7",
		"QueueTimeOutURL":          "https://x1.example/b2c/timeout?id=0b6f&sig=88bb",
		"ResultURL":                "https://x1.example/b2c/result?id=0b6f&sig=77aa",
		"Occassion":                "Refund",
	}
	noOccasion := maps.Clone(pay)
	delete(noOccasion, "Occassion")
	status := map[string]string{
		"Initiator":              "pay-operator",
		"SecurityCredential":     credentials.SecurityCredential,
		"CommandID":              "TransactionStatusQuery",
		"OriginalConversationID": "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
		"PartyA":                 "600123",
		"IdentifierType":         "4",
		"Remarks":                "Status of a payout",
		"ResultURL":              "https://x1.example/b2c/status?id=0b6f&sig=99cc",
		"QueueTimeOutURL":        "https://x1.example/b2c/status?id=0b6f&sig=99cc",
	}

	withTill := credentials
	withTill.Till = "4455667"
	for _, e := range []struct {
		name        string
		credentials Credentials
		call        func(*Client)
		path        string
		want        map[string]string
	}{
		{"push", credentials, func(c *Client) { c.Push(context.Background(), pushRequest) }, "/mpesa/stkpush/v1/processrequest", push},
		{"push to a till", withTill, func(c *Client) { c.Push(context.Background(), pushRequest) }, "/mpesa/stkpush/v1/processrequest", till},
		{"query", withTill, func(c *Client) { c.Query(context.Background(), checkoutRequestID) }, "/mpesa/stkpushquery/v1/query", map[string]string{
			"BusinessShortCode": "600123", "Password": password, "Timestamp": timestamp, "CheckoutRequestID": checkoutRequestID,
		}},
		{"pay", credentials, func(c *Client) { c.Pay(context.Background(), payRequest) }, "/mpesa/b2c/v3/paymentrequest", pay},
		{"pay without an occasion", credentials, func(c *Client) {
			r := payRequest
			r.Occasion = ""
			c.Pay(context.Background(), r)
		}, "/mpesa/b2c/v3/paymentrequest", noOccasion},
		{"status", credentials, func(c *Client) { c.TransactionStatus(context.Background(), statusRequest) }, "/mpesa/transactionstatus/v1/query", status},
	} {
		t.Run(e.name, func(t *testing.T) {
			s := newSafaricom(t)
			s.answer = always(ok("{}"))
			// The zone of the clock makes no difference.
			clock := func() time.Time { return now.In(time.FixedZone("UTC-8", -8*60*60)) }
			e.call(New(s.url+"/", e.credentials, single(), clock))
			if len(s.requests) != 1 {
				t.Fatalf("%d requests, want 1", len(s.requests))
			}
			r := s.requests[0]
			if r.method != "POST" || r.path != e.path {
				t.Errorf("%s %s, want POST %s", r.method, r.path, e.path)
			}
			if r.authorization != "Bearer token-1" {
				t.Errorf("Authorization: %s", r.authorization)
			}
			if got := r.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type: %s", got)
			}
			sent := received(t, r)
			for field, want := range e.want {
				if sent[field] != want {
					t.Errorf("%s: %q, want %q", field, sent[field], want)
				}
				delete(sent, field)
			}
			if len(sent) > 0 {
				t.Errorf("also sent: %v", sent)
			}
			if strings.Contains(r.body, `\u0026`) {
				t.Errorf("an & is escaped: %s", r.body)
			}
		})
	}
}

func TestTokenRequest(t *testing.T) {
	s := newSafaricom(t)
	newClient(s).Token(context.Background())
	if len(s.asked) != 1 {
		t.Fatalf("%d requests, want 1", len(s.asked))
	}
	r := s.asked[0]
	if r.method != "GET" || r.path != "/oauth/v1/generate?grant_type=client_credentials" {
		t.Errorf("%s %s", r.method, r.path)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials.ConsumerKey+":"+credentials.ConsumerSecret)); r.authorization != want {
		t.Errorf("Authorization: %s, want %s", r.authorization, want)
	}
	if r.body != "" {
		t.Errorf("body: %q", r.body)
	}
}

// deadlines is a transport that notes how long each request may take.
type deadlines map[string]time.Duration

func (d deadlines) RoundTrip(r *http.Request) (*http.Response, error) {
	end, _ := r.Context().Deadline()
	d[r.URL.Path] = time.Until(end)
	if r.Method == "GET" {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"access_token":"t"}`))}, nil
	}
	return nil, errors.New("broken")
}

func TestDeadlines(t *testing.T) {
	got := deadlines{}
	c := New("https://api.example", credentials, &http.Client{Transport: got}, time.Now)
	c.Push(context.Background(), pushRequest)
	c.Query(context.Background(), checkoutRequestID)
	c.Pay(context.Background(), payRequest)
	c.TransactionStatus(context.Background(), statusRequest)
	for path, want := range map[string]time.Duration{
		"/oauth/v1/generate":                5 * time.Second,
		"/mpesa/stkpush/v1/processrequest":  15 * time.Second,
		"/mpesa/stkpushquery/v1/query":      10 * time.Second,
		"/mpesa/b2c/v3/paymentrequest":      15 * time.Second,
		"/mpesa/transactionstatus/v1/query": 10 * time.Second,
	} {
		if got[path] > want || got[path] <= 0 {
			t.Errorf("%s may take %v, want no more than %v", path, got[path], want)
		}
	}

	// The caller's own deadline is the nearer one.
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	c.Push(ctx, pushRequest)
	if path := "/mpesa/stkpush/v1/processrequest"; got[path] > 12*time.Second {
		t.Errorf("%s may take %v, more than its caller has", path, got[path])
	}
}

// TestNoAnswer tells what is known not to be sent from what may have been.
func TestNoAnswer(t *testing.T) {
	// A client whose token is good already, so that only the push fails.
	withToken := func(base string, transport http.RoundTripper) *Client {
		c := New(base, credentials, &http.Client{Transport: transport}, func() time.Time { return now })
		c.tokens.keep("token-0", now.Add(time.Hour))
		return c
	}
	expect := func(t *testing.T, got Answer, outcome Outcome, reason string) {
		t.Helper()
		if want := (Answer{Outcome: outcome, Detail: Detail{Reason: reason}}); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	// Nobody listens there, and no test that runs at the same time can come to.
	const closed = "127.0.0.1:1"
	// listener serves each connection by f and closes it.
	listener := func(t *testing.T, f func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				f(c)
				c.Close()
			}
		}()
		return l.Addr().String()
	}

	t.Run("nobody listens", func(t *testing.T) {
		c := withToken("http://"+closed, &http.Transport{})
		expect(t, c.Push(context.Background(), pushRequest), NotSent, "connection refused")
		expect(t, c.Pay(context.Background(), payRequest), NotSent, "connection refused")
	})
	t.Run("nobody listens to the request for a token", func(t *testing.T) {
		c := New("http://"+closed, credentials, &http.Client{}, time.Now)
		expect(t, c.Push(context.Background(), pushRequest), NotSent, "connection refused")
	})
	t.Run("no such host", func(t *testing.T) {
		c := withToken("http://api.example", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}}
		}})
		expect(t, c.Push(context.Background(), pushRequest), NotSent, "host not found")
	})
	t.Run("no TLS", func(t *testing.T) {
		address := listener(t, func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 X\r\n\r\n")) })
		c := withToken("https://"+address, &http.Transport{})
		expect(t, c.Push(context.Background(), pushRequest), NotSent, "connection broken")
	})
	t.Run("a certificate of nobody's", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		defer server.Close()
		c := withToken(server.URL, &http.Transport{})
		expect(t, c.Push(context.Background(), pushRequest), NotSent, "certificate not trusted")
	})
	t.Run("no URL", func(t *testing.T) {
		for _, base := range []string{"", "api.example", "localhost:8080", "ftp://api.example", "http://", "http://[::1"} {
			expect(t, withToken(base, &http.Transport{}).Push(context.Background(), pushRequest), NotSent, "the base URL is not one")
		}
	})
	t.Run("given up before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		expect(t, withToken("http://"+closed, &http.Transport{}).Push(ctx, pushRequest), NotSent, "no time left")
	})
	t.Run("given up while connecting", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		c := withToken("http://api.example", &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		expect(t, c.Push(ctx, pushRequest), NotSent, "given up by the caller")
	})

	t.Run("connected, and closed unread", func(t *testing.T) {
		c := withToken("http://"+listener(t, func(net.Conn) {}), &http.Transport{})
		got := c.Push(context.Background(), pushRequest)
		if got.Outcome != Unknown { // the words depend on who is faster
			t.Errorf("%+v", got)
		}
	})
	t.Run("received, and no answer", func(t *testing.T) {
		s := newSafaricom(t)
		s.answer = always(nil)
		expect(t, withToken(s.url, &http.Transport{}).Push(context.Background(), pushRequest), Unknown, "connection broken")
		expect(t, withToken(s.url, &http.Transport{}).Pay(context.Background(), payRequest), Unknown, "connection broken")
		if s.posts() != 2 {
			t.Errorf("%d requests for two calls", s.posts())
		}
	})
	t.Run("received, and given up", func(t *testing.T) {
		s := newSafaricom(t)
		ctx, cancel := context.WithCancel(context.Background())
		s.answer = func(request) []byte { cancel(); return nil }
		got := withToken(s.url, &http.Transport{}).Push(ctx, pushRequest)
		if got.Outcome != Unknown {
			t.Errorf("%+v", got)
		}
	})
	t.Run("half a status line", func(t *testing.T) {
		s := newSafaricom(t)
		s.answer = always([]byte("HTTP/1.1 40"))
		expect(t, withToken(s.url, &http.Transport{}).Push(context.Background(), pushRequest), Unknown, "connection broken")
	})
	t.Run("too long", func(t *testing.T) {
		s := newSafaricom(t)
		s.answer = always(respond(400, `{"errorCode":"400.002.02","errorMessage":"Bad Request"}`+strings.Repeat(" ", maxBody)))
		got := withToken(s.url, &http.Transport{}).Push(context.Background(), pushRequest)
		if want := (Answer{Outcome: Unknown, Detail: because(400, "", "answer too long")}); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
	t.Run("a transport that does not say what it did", func(t *testing.T) {
		c := withToken("https://api.example", deadlines{}) // fails without a trace
		expect(t, c.Push(context.Background(), pushRequest), Unknown, "connection broken")
	})
	t.Run("HTTP/2, received, and reset", func(t *testing.T) {
		var posts atomic.Int32
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				posts.Add(1)
			}
			panic(http.ErrAbortHandler)
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		defer server.Close()
		expect(t, withToken(server.URL, server.Client().Transport).Push(context.Background(), pushRequest), Unknown, "connection broken")
		if posts.Load() != 1 {
			t.Errorf("%d requests by HTTP/2, want 1", posts.Load())
		}
	})
}

// torn is a connection of which the n-th write on fails after some bytes.
type torn struct {
	net.Conn
	good, then int // writes that succeed, and bytes of the next
}

func (c *torn) Write(b []byte) (int, error) {
	if c.good > 0 {
		c.good--
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:min(c.then, len(b))])
	return n, errors.New("torn")
}

// TestDeadConnection: a kept connection that takes no byte is replaced by net/http,
// which is no repeat. One that took a byte is not.
func TestDeadConnection(t *testing.T) {
	for _, e := range []struct {
		name  string
		bytes int
		want  Outcome
		posts int32
	}{
		{"no byte", 0, Accepted, 1},
		{"one byte", 1, Unknown, 0},
		{"half", 300, Unknown, 0},
	} {
		t.Run(e.name, func(t *testing.T) {
			var posts atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					fmt.Fprint(w, `{"access_token":"token-1","expires_in":"3599"}`)
					return
				}
				if _, err := io.ReadAll(r.Body); err == nil {
					posts.Add(1)
				}
				fmt.Fprint(w, `{"ResponseCode":"0","CheckoutRequestID":"ws_CO_1"}`)
			}))
			defer server.Close()
			dials := 0
			transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				if dials++; dials == 1 { // the request for a token passes
					c = &torn{Conn: c, good: 1, then: e.bytes}
				}
				return c, err
			}}
			defer transport.CloseIdleConnections()
			c := New(server.URL, credentials, &http.Client{Transport: transport}, func() time.Time { return now })
			if got := c.Token(context.Background()); got.Outcome != Accepted {
				t.Fatalf("%+v", got)
			}
			if got := c.Push(context.Background(), pushRequest); got.Outcome != e.want {
				t.Errorf("%+v, want %s", got, e.want)
			}
			if posts.Load() != e.posts {
				t.Errorf("%d requests arrived, want %d", posts.Load(), e.posts)
			}
		})
	}
}

// TestRedirect: none is followed, and the client that was given stays as it was.
func TestRedirect(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			elsewhere := newSafaricom(t)
			elsewhere.answer = always(fixture(t, "push/200"))
			s := newSafaricom(t)
			s.answer = always([]byte(fmt.Sprintf("HTTP/1.1 %d X\r\nLocation: %s/there\r\nContent-Length: 0\r\n\r\n", code, elsewhere.url)))
			given := single()
			c := New(s.url, credentials, given, func() time.Time { return now })
			want := Answer{Outcome: Unknown, Detail: because(code, "", fmt.Sprintf("HTTP %d with a redirect, which is not followed", code))}
			if got := c.Push(context.Background(), pushRequest); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if elsewhere.posts() != 0 || len(elsewhere.asked) != 0 {
				t.Error("the redirect was followed")
			}
			if given.CheckRedirect != nil {
				t.Error("the client given was changed")
			}
		})
	}
}
