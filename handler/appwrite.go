package handler

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/appwrite/sdk-for-go/client"

	"openruntimes/handler/parse"
)

// transport is shared by all invocations of the process, so that a write rarely
// waits for a connection. net/http's default keeps two idle ones to a host.
var transport = &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	MaxIdleConns:        64,
	MaxIdleConnsPerHost: 64,
	IdleConnTimeout:     30 * time.Second,
}

// appwrite is the store that Appwrite's Databases API is, for one invocation.
// It uses the SDK's client and not its typed services: those decode $sequence
// as an int, servers from 1.9 may send a string, and the call then fails after
// the write was done.
type appwrite struct {
	config *Config
	key    string // header x-appwrite-key of the request
	calls  atomic.Int32
}

func (a *appwrite) create(ctx context.Context, d document) error {
	_, err := a.call(ctx, "create", http.MethodPost, a.address(d.kind, ""), nil, map[string]any{
		"documentId":  d.id,
		"data":        d.attributes(),
		"permissions": d.permissions(),
	})
	if status(err) == http.StatusConflict {
		return errExists
	}
	return err
}

func (a *appwrite) get(ctx context.Context, kind parse.Kind, id string) (document, error) {
	body, err := a.call(ctx, "get", http.MethodGet, a.address(kind, id), nil, nil)
	if isDocumentNotFound(err) {
		return document{}, errNotFound
	}
	if err != nil {
		return document{}, err
	}
	var stored struct {
		ID                       string       `json:"$id"`
		UpdatedAt                string       `json:"$updatedAt"`
		CheckoutRequestID        string       `json:"checkoutRequestId"`
		OriginatorConversationID string       `json:"originatorConversationId"`
		Status                   parse.Status `json:"status"`
		ResultCode               *int         `json:"resultCode"`
		Receipt                  string       `json:"receipt"`
		Amount                   int64        `json:"amount"`
	}
	if err := json.Unmarshal([]byte(body), &stored); err != nil || stored.UpdatedAt == "" {
		return document{}, &failure{call: "get", status: http.StatusOK, cause: "a document of another form"}
	}
	d := document{
		kind:        kind,
		id:          stored.ID,
		transaction: stored.CheckoutRequestID,
		status:      stored.Status,
		code:        parse.NoCode,
		receipt:     stored.Receipt,
		amount:      stored.Amount,
		updatedAt:   stored.UpdatedAt,
	}
	if kind == parse.Disbursement {
		d.transaction = stored.OriginatorConversationID
	}
	if stored.ResultCode != nil {
		d.code = *stored.ResultCode
	}
	return d, nil
}

// replace compares and sets: the server refuses the PATCH with 409 where
// $updatedAt is newer than the header X-Appwrite-Timestamp says. That is atomic
// from Appwrite 1.9.5; 1.8.1 and 1.9.0 may compare with a cached row.
func (a *appwrite) replace(ctx context.Context, d document, updatedAt string) error {
	// The server compares milliseconds, and misses a change within the one that
	// was read. Waiting keeps our own change out of it.
	if err := sleep(ctx, 2*time.Millisecond); err != nil {
		return &failure{call: "replace", cause: cause(err)}
	}
	data := d.attributes()
	data.CheckoutRequestID, data.OriginatorConversationID = "", "" // stays as it is
	params := map[string]any{"data": data}
	if strings.HasPrefix(d.reader, "user:") {
		params["permissions"] = d.permissions()
	}
	_, err := a.call(ctx, "replace", http.MethodPatch, a.address(d.kind, d.id),
		map[string]any{"X-Appwrite-Timestamp": updatedAt}, params)
	if status(err) == http.StatusConflict || isDocumentNotFound(err) {
		return errChanged
	}
	return err
}

// execute queues a POST to this function by itself, for a whole minute to come.
func (a *appwrite) execute(ctx context.Context, path string, body []byte, at time.Time) error {
	_, err := a.call(ctx, "queue", http.MethodPost, a.config.Endpoint+"/functions/"+url.PathEscape(a.config.FunctionID)+"/executions", nil, map[string]any{
		"async":       true,
		"method":      http.MethodPost,
		"path":        path,
		"body":        string(body),
		"scheduledAt": at.UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	return err
}

// address is the URL of a document, or of the collection's documents for the id "".
// The SDK escapes nothing.
func (a *appwrite) address(kind parse.Kind, id string) string {
	address := a.config.Endpoint + "/databases/" + url.PathEscape(a.config.DatabaseID) +
		"/collections/" + url.PathEscape(a.config.collection(kind)) + "/documents"
	if id != "" {
		address += "/" + url.PathEscape(id)
	}
	return address
}

// call makes one call of the API and returns the document that it answers,
// undecoded. Every error is a *failure.
func (a *appwrite) call(ctx context.Context, name, method, address string, headers, params map[string]any) (string, error) {
	ctx, cancel := a.config.clock.timeout(ctx, a.config.clock.call)
	defer cancel()
	a.calls.Add(1)
	if headers == nil {
		headers = map[string]any{}
	}
	headers["content-type"] = "application/json"
	headers["X-Appwrite-Project"] = a.config.ProjectID
	headers["X-Appwrite-Key"] = a.key
	headers["X-Appwrite-Response-Format"] = "1.8.0"
	// The SDK has less to copy and to join if the headers come with the call, and
	// the address is whole.
	api := client.Client{Client: &http.Client{Transport: withContext{ctx}}, Endpoint: address}
	resp, err := api.Call(method, "", headers, params)
	if err != nil {
		f := newFailure(name, err)
		if f.status == 0 {
			// The connections beside a dead one are as dead: a container that
			// was frozen, a NAT that forgot. Each would eat a try of ours.
			transport.CloseIdleConnections()
		}
		return "", f
	}
	// The SDK takes a redirect for a success, and so it would a proxy's page.
	body, isJSON := resp.Result.(string)
	if resp.StatusCode >= 300 {
		return "", &failure{call: name, status: resp.StatusCode, cause: "redirected: is the endpoint right?"}
	}
	var named struct {
		ID string `json:"$id"`
	}
	if !isJSON || json.Unmarshal([]byte(body), &named) != nil || named.ID == "" {
		return "", &failure{call: name, status: resp.StatusCode, cause: "no document in the answer"}
	}
	return body, nil
}

// failure is a call of the API that did not do what it was to do, or did it and
// could not say so. Its text is fit for the log: no URL and no server's message,
// both of which may hold the payer's number.
type failure struct {
	call   string // create, get, replace or queue
	status int    // 0 if there was no answer
	kind   string // Appwrite's error type, if it gave one
	cause  string // what else is known
}

func (f *failure) Error() string {
	var parts []string
	if f.status != 0 {
		parts = append(parts, fmt.Sprint(f.status))
	}
	for _, s := range []string{f.kind, f.cause} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return f.call + ": " + strings.Join(parts, " ")
}

// newFailure turns an error of the SDK into one that holds nothing secret.
func newFailure(call string, err error) *failure {
	var refused *client.AppwriteError
	if errors.As(err, &refused) {
		var body struct{ Type string }
		_ = json.Unmarshal([]byte(refused.GetResponse()), &body)
		return &failure{call: call, status: refused.GetStatusCode(), kind: word(body.Type)}
	}
	return &failure{call: call, cause: cause(err)}
}

// cause says in our own words why there was no answer. The texts of net/http
// quote URLs, and so the document's id, and what a server sent.
func cause(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
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

// status is the HTTP status of a failed call, 0 if there is none.
func status(err error) int {
	if err == nil { // as almost always, and f would be allocated
		return 0
	}
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return 0
}

// isDocumentNotFound reports whether the collection is there and the document is
// not. A missing collection or database is a 404 of another type.
func isDocumentNotFound(err error) bool {
	var f *failure
	return err != nil && errors.As(err, &f) && f.status == http.StatusNotFound && f.kind == "document_not_found"
}

// withContext gives each request of the SDK a context, and so a deadline: the
// SDK's own functions take none. It also takes the Location from a redirect, which
// net/http would follow, with a GET in place of the POST, or else quote.
type withContext struct{ ctx context.Context }

func (w withContext) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(r.WithContext(w.ctx))
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Location")
	return resp, nil
}

// sleep waits, or returns the context's error if that ends sooner.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
