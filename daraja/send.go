package daraja

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"
)

// maxBody is the most that is read of an answer; the largest seen, a firewall's
// page, has a few thousand bytes.
const maxBody = 64 << 10

// call is one of the requests of this package; its bits are added up where the
// rules of several are the same.
type call uint8

const (
	token call = 1 << iota
	push
	query
	pay
	status

	payouts = pay | status
	all     = token | push | query | payouts
)

// endpoint returns where a call goes and how long it may take.
func (c call) endpoint() (path string, timeout time.Duration) {
	switch c {
	case push:
		return "/mpesa/stkpush/v1/processrequest", moneyTimeout
	case query:
		return "/mpesa/stkpushquery/v1/query", queryTimeout
	case pay:
		return "/mpesa/b2c/v3/paymentrequest", moneyTimeout
	case status:
		return "/mpesa/transactionstatus/v1/query", queryTimeout
	default:
		return "/oauth/v1/generate?grant_type=client_credentials", tokenTimeout
	}
}

// freshTokens is how often a refused token is replaced within one call. Another
// process with the same consumer key may void a fresh one before it is used, since
// each new token may void the former; of several in a row hardly all are.
const freshTokens = 3

// ask posts a request, and again with a fresh token each time that Safaricom refuses
// the one at hand, up to freshTokens times. That is safe, since the gateway refuses it
// before M-Pesa sees the request, and it is the only repeat that there is. The body is
// the last answer's.
func (c *Client) ask(ctx context.Context, to call, request fields) (Answer, []byte) {
	content := request.encode()
	for fresh := 0; ; fresh++ {
		bearer, failure := c.token(ctx)
		if bearer == "" {
			return failure, nil
		}
		got := c.send(ctx, to, http.MethodPost, content, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+bearer)
			r.Header.Set("Content-Type", "application/json") // without it: 400.002.02
		})
		answer, refused := judge(to, got, c.secrets(bearer, request["Password"]))
		if refused {
			c.tokens.refuse(bearer, c.now())
		}
		if !refused || fresh == freshTokens {
			return answer, got.body
		}
	}
}

// inTime is the key of what [OnlyWhile] has put into a context.
type inTime struct{}

// OnlyWhile returns a context for calls of this package that begin no request once may
// says no: neither a first one, nor one for a fresh token or with it. The call is
// [NotSent] then. A request that has begun is not cut short.
func OnlyWhile(ctx context.Context, may func() bool) context.Context {
	return context.WithValue(ctx, inTime{}, may)
}

// mayBegin reports whether a request may begin.
func mayBegin(ctx context.Context) bool {
	may, bounded := ctx.Value(inTime{}).(func() bool)
	return ctx.Err() == nil && (!bounded || may())
}

// response is what came of one request.
type response struct {
	status  int    // 0 if there was none
	body    []byte // whole, or there is a problem
	problem string // why there is no whole answer
	unsent  bool   // with a problem: no byte of the request can have left
}

// send sends one request and reads the whole answer, in the time that the call has.
func (c *Client) send(ctx context.Context, to call, method string, content []byte, prepare func(*http.Request)) response {
	if !mayBegin(ctx) {
		return response{problem: "no time left", unsent: true}
	}
	path, timeout := to.endpoint()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	// Only what net/http itself says proves that nothing was sent: it looked for a
	// connection and never had one. It may use several, if it can prove that on the
	// first no byte was written; then nothing is proved here. A transport that is
	// not net/http's says nothing, which proves nothing.
	var sought, had atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sought.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { had.Store(true) },
	})
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil || r.URL.Scheme != "https" && r.URL.Scheme != "http" || r.URL.Host == "" {
		return response{problem: "the base URL is not one", unsent: true}
	}
	r.Header.Set("Accept", "application/json")
	prepare(r)

	res, err := c.http.Do(r)
	if err != nil {
		return response{problem: cause(err), unsent: sought.Load() && !had.Load()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return response{status: res.StatusCode, problem: cause(err)}
	case len(body) > maxBody:
		return response{status: res.StatusCode, problem: "answer too long"}
	}
	return response{status: res.StatusCode, body: body}
}

// secrets lists what must not be in any text that leaves this package.
func (c *Client) secrets(more ...string) []string {
	k := c.credentials
	basic := base64.StdEncoding.EncodeToString([]byte(k.ConsumerKey + ":" + k.ConsumerSecret))
	return append(more, k.ConsumerKey, k.ConsumerSecret, basic, k.Passkey, k.Initiator, k.SecurityCredential)
}

// cause says in our own words why there was no answer. Those of net/http quote
// addresses, and what a server sent.
func cause(err error) string {
	var timeout net.Error
	var errno syscall.Errno
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return "given up by the caller"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return "host not found"
	case errors.As(err, &certificate):
		return "certificate not trusted"
	default:
		return "connection broken"
	}
}
