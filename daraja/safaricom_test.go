package daraja

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// request is one that Safaricom received.
type request struct {
	method, path, authorization string
	header                      http.Header
	body                        string
}

// safaricom listens on a TCP port and answers with whatever bytes it is told to,
// one request to a connection.
type safaricom struct {
	url string

	mu       sync.Mutex
	tokens   int
	requests []request // without those for a token
	asked    []request // those for a token

	// token and answer return a whole response. Without token each request for one
	// gets the next of token-1, token-2, …, all good for an hour.
	token, answer func(request) []byte
}

func newSafaricom(t testing.TB) *safaricom {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &safaricom{url: "http://" + l.Addr().String()}
	var open sync.WaitGroup
	open.Add(1)
	go func() {
		defer open.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			go func() {
				defer open.Done()
				defer c.Close()
				s.serve(c)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return s
}

func (s *safaricom) serve(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	got := request{r.Method, r.URL.String(), r.Header.Get("Authorization"), r.Header, string(body)}
	c.Write(s.reply(got))
}

func (s *safaricom) reply(r request) []byte {
	s.mu.Lock()
	if !strings.HasPrefix(r.path, "/oauth/") {
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		return s.answer(r)
	}
	s.asked = append(s.asked, r)
	s.tokens++
	n := s.tokens
	s.mu.Unlock()
	if s.token != nil {
		return s.token(r)
	}
	return tokenResponse(fmt.Sprintf("token-%d", n), `"3599"`)
}

func tokenResponse(value, expires string) []byte {
	return ok(fmt.Sprintf(`{"access_token":%q,"expires_in":%s}`, value, expires))
}

func ok(body string) []byte { return respond(200, body) }

func respond(status int, body string) []byte {
	return []byte(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
}

// posts counts the requests that are none for a token.
func (s *safaricom) posts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// fixture reads a response in testdata.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)+".http"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// always answers with the same response.
func always(response []byte) func(request) []byte {
	return func(request) []byte { return response }
}

// The moment at which tests run: in Nairobi it is the next day already.
var now = time.Date(2026, 10, 2, 22, 59, 58, 0, time.UTC)

var credentials = Credentials{
	ConsumerKey:        "kGm3xQ9rTzVb2NwYc7LhSd5PfJ8a",
	ConsumerSecret:     "Zr4Kw8Ty",
	Shortcode:          "600123",
	Passkey:            "c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7c0ffee5ec2e7f00d",
	Initiator:          "pay-operator",
	SecurityCredential: "T3BhcXVlIGNyZWRlbnRpYWwgZm9yIHRlc3Rz",
}

var pushRequest = PushRequest{
	Phone:       "254700000019",
	Amount:      1500,
	Reference:   "INV 2026-19",
	Description: "School fees",
	CallbackURL: "https://x1.example/s3cr3t-segment/callback?id=0f3a&sig=9b41",
}

var payRequest = PayRequest{
	ID:         "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
	CommandID:  "BusinessPayment",
	Phone:      "254100000027",
	Amount:     250,
	Remarks:    "Refund of order 7",
	Occasion:   "Refund",
	ResultURL:  "https://x1.example/b2c/result?id=0b6f&sig=77aa",
	TimeoutURL: "https://x1.example/b2c/timeout?id=0b6f&sig=88bb",
}

var statusRequest = StatusRequest{
	OriginalConversationID: "0b6f5a1e-7c2d-4f83-9a40-3d5e8c1b7f26",
	Remarks:                "Status of a payout",
	ResultURL:              "https://x1.example/b2c/status?id=0b6f&sig=99cc",
	TimeoutURL:             "https://x1.example/b2c/status?id=0b6f&sig=99cc",
}

const checkoutRequestID = "ws_CO_02102026093015482700000011"

// newClient returns a client of s at the moment now.
func newClient(s *safaricom) *Client {
	return New(s.url, credentials, single(), func() time.Time { return now })
}

// single returns an HTTP client that takes a new connection for each request, since
// safaricom closes each.
func single() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// names lists the responses in testdata/folder, as fixture takes them.
func names(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no responses in testdata/%s: %v", folder, err)
	}
	for i, file := range files {
		files[i] = folder + "/" + strings.TrimSuffix(filepath.Base(file), ".http")
	}
	return files
}

// parts returns status and body of a response in testdata.
func parts(t testing.TB, name string) (status int, body []byte) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(fixture(t, name))), nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer res.Body.Close()
	body, _ = io.ReadAll(res.Body) // one of them is torn
	return res.StatusCode, body
}
