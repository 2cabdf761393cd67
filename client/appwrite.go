package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"openruntimes/handler/parse"
)

// AppwriteError is an answer of Appwrite that is an error. It does not come from the
// function, and says nothing about the money.
type AppwriteError struct {
	Status  int
	Type    string // such as general_unauthorized_scope; empty if a proxy answered
	Message string
}

func (e *AppwriteError) Error() string {
	return fmt.Sprintf("Appwrite: %d %s: %s", e.Status, e.Type, e.Message)
}

// ErrNoReply is an execution without a reply of the function: it may have done what was
// asked, or not.
var ErrNoReply = errors.New("the function did not reply")

// maxReply is far more than any reply has.
const maxReply = 4 << 20

// call sends a request as the user. An answer that is no success is an *[AppwriteError].
func (c *Client) call(ctx context.Context, method, path string, body any) ([]byte, http.Header, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return nil, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.config.Endpoint+path, bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	c.identify(req.Header)
	req.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, nil, fmt.Errorf("the reply of Appwrite: %w", err)
	}
	if response.StatusCode/100 != 2 {
		failed := &AppwriteError{}
		decode(reply, failed) // a page stays without type and message
		failed.Status = response.StatusCode
		return nil, nil, failed
	}
	return reply, response.Header, nil
}

// identify says who asks. The session may be in the cookies of the HTTP client instead.
func (c *Client) identify(h http.Header) {
	h.Set("X-Appwrite-Project", c.config.Project)
	if c.config.Session != "" {
		h.Set("X-Appwrite-Session", c.config.Session)
	}
}

// collection is that of a kind.
func (c *Client) collection(kind parse.Kind) string {
	if kind == parse.Disbursement {
		return c.config.Disbursements
	}
	return c.config.Payments
}

func (c *Client) documents(kind parse.Kind) string {
	return "/databases/" + url.PathEscape(c.config.Database) + "/collections/" + url.PathEscape(c.collection(kind)) + "/documents"
}

// get reads one document.
func (c *Client) get(ctx context.Context, kind parse.Kind, id string) (document, error) {
	ctx, cancel := c.clock.timeout(ctx, readTakes)
	defer cancel()
	reply, _, err := c.call(ctx, http.MethodGet, c.documents(kind)+"/"+url.PathEscape(id), nil)
	if err != nil {
		return document{}, err
	}
	d, ok := readDocument(reply)
	if !ok {
		return document{}, errors.New("the reply of Appwrite is no document")
	}
	return d, nil
}

// list reads the documents that have no verdict, of which Appwrite shows the user's own.
func (c *Client) list(ctx context.Context, kind parse.Kind) ([]document, error) {
	ctx, cancel := c.clock.timeout(ctx, readTakes)
	defer cancel()
	query := url.Values{}
	for i, q := range []string{
		`{"method":"equal","attribute":"status","values":["PENDING"]}`,
		`{"method":"orderDesc","attribute":"$createdAt"}`,
		`{"method":"limit","values":[100]}`,
	} {
		query.Set(fmt.Sprintf("queries[%d]", i), q)
	}
	reply, _, err := c.call(ctx, http.MethodGet, c.documents(kind)+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Documents []json.RawMessage }
	if err := json.Unmarshal(reply, &page); err != nil {
		return nil, fmt.Errorf("the list of documents: %w", err)
	}
	var all []document
	for _, text := range page.Documents {
		if d, ok := readDocument(text); ok {
			all = append(all, d)
		}
	}
	return all, nil
}

// SignIn makes a session for e-mail address and password, and returns its token for
// [Config]. Without an API key the reply's body has none: it is in a header, or else in a
// cookie.
func SignIn(ctx context.Context, c Config, email, password string) (session string, err error) {
	made, err := New(c)
	if err != nil {
		return "", err
	}
	return made.signIn(ctx, email, password)
}

func (c *Client) signIn(ctx context.Context, email, password string) (session string, err error) {
	ctx, cancel := c.clock.timeout(ctx, readTakes)
	defer cancel()
	_, header, err := c.call(ctx, http.MethodPost, "/account/sessions/email", map[string]string{"email": email, "password": password})
	if err != nil {
		return "", err
	}
	name := "a_session_" + c.config.Project
	var fallback map[string]string
	if decode([]byte(header.Get("X-Fallback-Cookies")), &fallback) && fallback[name] != "" {
		return fallback[name], nil
	}
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		if cookie.Name == name {
			return url.PathUnescape(cookie.Value)
		}
	}
	return "", errors.New("the reply of Appwrite has no session")
}

// SignedIn returns nil if the session is one. Asking for a payment without would only
// tell that nothing is known.
func (c *Client) SignedIn(ctx context.Context) error {
	ctx, cancel := c.clock.timeout(ctx, readTakes)
	defer cancel()
	_, _, err := c.call(ctx, http.MethodGet, "/account", nil)
	return err
}

// SignOut ends the client's session.
func (c *Client) SignOut(ctx context.Context) error {
	ctx, cancel := c.clock.timeout(ctx, readTakes)
	defer cancel()
	_, _, err := c.call(ctx, http.MethodDelete, "/account/sessions/current", nil)
	return err
}
