// Package appwrite talks to an Appwrite server: it stores documents, queues
// executions, and says what it means when either fails. It is the only importer of
// Appwrite's SDK.
package appwrite

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/appwrite/sdk-for-go/client"
)

// Client calls the API of one project, with the rights of whoever its headers name. It
// uses the SDK's client and not its typed services: those decode $sequence as an int,
// servers from 1.9 may send a string, and the call then fails after the write was done.
type Client struct {
	Endpoint  string // ends in /v1
	ProjectID string
	Key       string // an API key; "" for a guest
	Session   string // of a user, who is asked for instead; "" for none
	JWT       string // of a user likewise; see [Client.AsUser]
	Transport *http.Transport

	// Timeout gives one call its deadline. With nil it has the context's alone.
	Timeout func(context.Context) (context.Context, context.CancelFunc)

	calls atomic.Int32
	owner *Client // whose calls these are too; nil for none
}

// NewTransport returns a transport to share by all clients of a process, so that a
// write rarely waits for a connection. net/http's default keeps two idle ones to a host.
//
// It speaks HTTP/1.1 alone. Over HTTP/2 net/http repeats a POST, as often as there is time,
// whose stream the server has reset with PROTOCOL_ERROR, though the server may have carried it
// out (https://go.dev/issue/47635): one request to start a payment would ring a phone again
// and again.
func NewTransport() *http.Transport {
	return &http.Transport{
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}
}

// Calls returns how many calls were made.
func (c *Client) Calls() int { return int(c.calls.Load()) }

// Call makes one call of the API and returns the body that it answers. The path is
// escaped already, and may have a query; params are sent as JSON, but not with a GET.
// The name of the call is for the text of its error, which is a *Failure.
func (c *Client) Call(ctx context.Context, name, method, path string, params map[string]any) ([]byte, error) {
	resp, err := c.call(ctx, name, method, path, nil, params)
	if err != nil {
		return nil, err
	}
	if body, isJSON := resp.Result.(string); isJSON {
		return []byte(body), nil
	}
	body, _ := resp.Result.([]byte)
	return body, nil
}

// document makes one call that answers a document or an execution, and returns it
// undecoded.
func (c *Client) document(ctx context.Context, name, method, path string, headers, params map[string]any) ([]byte, error) {
	resp, err := c.call(ctx, name, method, path, headers, params)
	if err != nil {
		return nil, err
	}
	// The SDK takes a proxy's page for a success.
	text, isJSON := resp.Result.(string)
	body := []byte(text)
	var named struct {
		ID string `json:"$id"`
	}
	if !isJSON || json.Unmarshal(body, &named) != nil || named.ID == "" {
		return nil, &Failure{Call: name, Status: resp.StatusCode, cause: "no document in the answer"}
	}
	return body, nil
}

// call makes one call. The result in the answer is a string if that says that it is
// JSON, else a []byte.
func (c *Client) call(ctx context.Context, name, method, path string, headers, params map[string]any) (*client.ClientResponse, error) {
	if c.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = c.Timeout(ctx)
		defer cancel()
	}
	for counts := c; counts != nil; counts = counts.owner {
		counts.calls.Add(1)
	}
	if headers == nil {
		headers = map[string]any{}
	}
	headers["content-type"] = "application/json"
	headers["X-Appwrite-Project"] = c.ProjectID
	headers["X-Appwrite-Response-Format"] = "1.8.0" // later ones name fields otherwise
	if c.Key != "" {
		headers["X-Appwrite-Key"] = c.Key
	}
	if c.Session != "" {
		headers["X-Appwrite-Session"] = c.Session
	}
	if c.JWT != "" {
		headers["X-Appwrite-JWT"] = c.JWT
	}
	// The SDK has less to copy and to join if the headers come with the call, and
	// the address is whole.
	api := client.Client{Client: &http.Client{Transport: withContext{ctx, c.Transport}}, Endpoint: c.Endpoint + path}
	resp, err := api.Call(method, "", headers, params)
	if err != nil {
		f := newFailure(name, err)
		if f.Status == 0 {
			// If one pooled connection is dead, the rest probably are: of a container
			// that was frozen, or behind a NAT that forgot. Close them, so that the
			// retry dials.
			c.Transport.CloseIdleConnections()
		}
		return nil, f
	}
	if resp.StatusCode >= 300 { // which the SDK takes for a success
		return nil, &Failure{Call: name, Status: resp.StatusCode, cause: "redirected: is the endpoint right?"}
	}
	return resp, nil
}

// withContext gives each request of the SDK a context, and so a deadline: the SDK's
// own functions take none. It also takes the Location from a redirect, which net/http
// would follow, with a GET in place of the POST, or else quote.
type withContext struct {
	ctx       context.Context
	transport *http.Transport
}

func (w withContext) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.transport.RoundTrip(r.WithContext(w.ctx))
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Location")
	return resp, nil
}
