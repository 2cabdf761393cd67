// Package handler settles M-Pesa payments: it answers what Safaricom posts, and
// keeps one document in Appwrite for each transaction.
package handler

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
)

// Version is that of the function, as GET /health says it.
const Version = "0.2.0"

// maxBody bounds a callback. The largest that was ever seen has 2.2 KiB, and what
// waits in the platform's queue must fit into about 43.
const maxBody = 16 << 10

// Function is the function with its settings. It outlives a request, since its
// connections to Appwrite do.
type Function struct {
	config    config
	routes    []route
	clock     clock
	transport *http.Transport
	pushes    *daraja.Client // holds its token
	payouts   *daraja.Client // likewise; the same one where both are of one app at Safaricom

	redelivered endedWell // of what came out of the queue

	sweeping  sync.Mutex // held by the run of the sweep that is under way
	initiator initiatorState

	version struct {
		sync.Mutex
		known string // the server's, once it was asked for
	}
}

// New reads the settings through getenv. It never fails: what is missing or malformed
// is said by [Function.Problems], by GET /health, and by each request that needs it.
func New(getenv func(string) string) *Function {
	f := &Function{config: readConfig(getenv), routes: routes(), clock: newClock(), transport: appwrite.NewTransport()}
	now := func() time.Time { return f.clock.now() }
	f.pushes = f.config.safaricom(daraja.Credentials{
		ConsumerKey: f.config.consumerKey, ConsumerSecret: f.config.consumerSecret,
		Shortcode: f.config.shortcode, Passkey: f.config.passkey, Till: f.config.till,
	}, now)
	f.payouts = f.pushes.With(f.config.payoutCredentials)
	return f
}

// UseClock has the function take the time from now, and pause by sleep, instead of by
// package time: for a machine on which nobody waits, such as a demonstration.
func (f *Function) UseClock(now func() time.Time, sleep func(time.Duration)) {
	f.clock.now, f.clock.pause = now, sleep
}

// client returns the client of Safaricom's API for payments or for payouts.
func (f *Function) client(kind parse.Kind) *daraja.Client {
	if kind == parse.Disbursement {
		return f.payouts
	}
	return f.pushes
}

// safaricom returns a client of Safaricom's API in the environment that is set.
func (c *config) safaricom(credentials daraja.Credentials, now func() time.Time) *daraja.Client {
	base := daraja.Sandbox
	if c.environment == "production" {
		base = daraja.Production
	}
	// What is written to a connection that died unnoticed has an unknown outcome.
	transport := appwrite.NewTransport()
	transport.IdleConnTimeout = 5 * time.Second
	return daraja.New(cmp.Or(c.baseURL, base), credentials, &http.Client{Transport: transport}, now)
}

// Problems names every setting that is missing or malformed.
func (f *Function) Problems() []string { return f.config.problems() }

// documents returns the store, with the rights of an API key.
func (f *Function) documents(key string) appwrite.Documents {
	c := &f.config
	return appwrite.Documents{
		Client:   &appwrite.Client{Endpoint: c.endpoint, ProjectID: c.projectID, Key: key, Transport: f.transport, Timeout: f.clock.call},
		Database: c.databaseID, Payments: c.paymentsID, Disbursements: c.disbursementsID,
	}
}

// Serve answers one request.
func (f *Function) Serve(ctx openruntimes.Context) openruntimes.Response {
	body := bytes.TrimPrefix(ctx.Req.BodyBinary(), []byte("\uFEFF")) // a byte order mark says nothing
	scheduled := len(body) == 0 && ctx.Req.Method == http.MethodPost && ctx.Req.Headers["x-appwrite-trigger"] == "schedule"
	rt, prefix := f.find(ctx.Req.Path, ctx.Req.Query, scheduled)
	switch {
	case rt == nil:
		return notFound(ctx, body)
	case !slices.Contains(rt.methods, ctx.Req.Method):
		return wrongMethod(ctx, rt, body)
	}
	api := f.documents(ctx.Req.Headers["x-appwrite-key"])
	return rt.serve(f, &request{ctx: ctx, function: f, api: api, route: rt, prefix: prefix, body: body, start: time.Now()})
}

// request is one request to a route.
type request struct {
	ctx      openruntimes.Context
	function *Function
	api      appwrite.Documents // with the rights of the request's key
	route    *route
	prefix   string // "/SECRET", if there is one
	body     []byte // without a byte order mark
	start    time.Time
}

// notFound answers an unknown path, and a known one without the callback secret, in
// the same way. A body that could be a callback is logged: some app may be posting to
// the wrong URL.
func notFound(ctx openruntimes.Context, body []byte) openruntimes.Response {
	if couldBeCallback(body) {
		reason := "unknown path, or without the callback secret"
		if ctx.Req.Query["sig"] != "" {
			reason = "unknown path, or a signature that does not hold"
		}
		ctx.Error(refused("-", reason, body))
	}
	return refuse(ctx, http.StatusNotFound, "unknown path")
}

func wrongMethod(ctx openruntimes.Context, rt *route, body []byte) openruntimes.Response {
	reason := rt.methods[0] + " only"
	if couldBeCallback(body) {
		ctx.Error(refused(rt.name, reason, body))
	}
	return ctx.Res.Json(acknowledgement{1, reason},
		ctx.Res.WithStatusCode(http.StatusMethodNotAllowed),
		ctx.Res.WithHeaders(map[string]string{"allow": strings.Join(rt.methods, ", ")}))
}

// acknowledgement is the form of reply that Safaricom documents for C2B, and for no
// other callback.
type acknowledgement struct {
	ResultCode int
	ResultDesc string
}

func accepted() openruntimes.Response {
	return openruntimes.Response{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       []byte(`{"ResultCode":0,"ResultDesc":"Accepted"}`),
	}
}

// refuse answers with a reason. There is always a body: an empty one becomes the
// platform's HTML page.
func refuse(ctx openruntimes.Context, status int, reason string) openruntimes.Response {
	return ctx.Res.Json(acknowledgement{1, reason}, ctx.Res.WithStatusCode(status))
}
