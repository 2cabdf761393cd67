// Package handler settles M-Pesa payments: it answers what Safaricom posts, and
// keeps one document in Appwrite for each transaction.
package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/parse"
)

// Version is that of the function, as GET /health says it.
const Version = "0.1.0"

const (
	// maxBody bounds a callback. The largest that was ever seen has 2.2 KiB, and
	// what waits in the platform's queue must fit into 43.
	maxBody = 16 << 10

	// storeTimeout bounds all calls of the API together, so that Safaricom has
	// its answer within 5 s.
	storeTimeout = 3 * time.Second
)

// route is one address that Safaricom may post to.
type route struct {
	name  string // for the log: a path may hold a secret, a name does not
	parse func(body []byte) (parse.Verdict, error)
}

// routeOf returns the route of a path. A trailing slash is allowed, and the bare
// domain is a CallBackURL too.
func routeOf(path string) (route, bool) {
	switch strings.TrimSuffix(path, "/") {
	case "", "/callback":
		return route{"callback", parse.STK}, true
	case "/b2c/result":
		return route{"b2c/result", parse.B2C}, true
	case "/b2c/timeout":
		return route{"b2c/timeout", parse.B2CTimeout}, true
	}
	return route{}, false
}

// Serve answers one request.
func (c Config) Serve(ctx openruntimes.Context) openruntimes.Response {
	if strings.TrimSuffix(ctx.Req.Path, "/") == "/health" {
		if ctx.Req.Method != http.MethodGet {
			return notAllowed(ctx, http.MethodGet)
		}
		return c.health(ctx)
	}
	rt, known := routeOf(ctx.Req.Path)
	if !known {
		return refuse(ctx, http.StatusNotFound, "unknown path")
	}
	if ctx.Req.Method != http.MethodPost {
		return notAllowed(ctx, http.MethodPost)
	}
	body := ctx.Req.BodyBinary()
	if len(body) > maxBody {
		ctx.Error(fmt.Sprintf("refused route=%s reason=%q bytes=%d", rt.name, "body too large", len(body)))
		return refuse(ctx, http.StatusRequestEntityTooLarge, "body too large")
	}
	verdict, err := rt.parse(body)
	switch {
	case errors.Is(err, parse.ErrNotFinal):
		ctx.Log(fmt.Sprintf("route=%s outcome=not-final", rt.name))
		return accepted(ctx)
	case err != nil:
		ctx.Error(fmt.Sprintf("refused route=%s reason=%q bytes=%d keys=%s", rt.name, err, len(body), topLevelKeys(body)))
		return refuse(ctx, http.StatusBadRequest, err.Error())
	}
	return c.record(ctx, rt, verdict)
}

// record settles a verdict and answers.
func (c Config) record(ctx openruntimes.Context, rt route, v parse.Verdict) openruntimes.Response {
	start := time.Now()
	d := newDocument(v, c.reader(v.Kind, ctx.Req.Query["uid"]), start)
	where := fmt.Sprintf("route=%s id=%s", rt.name, mask(d.id))
	for _, note := range oddities(v, d) {
		ctx.Error(fmt.Sprintf("odd %s note=%q", where, note))
	}

	db := &appwrite{config: c, key: ctx.Req.Headers["x-appwrite-key"]}
	out, err := c.settle(db, d)
	if err != nil {
		ctx.Error(unsettled(rt, d))
		ctx.Error(fmt.Sprintf("failed %s status=%s calls=%d error=%q", where, d.status, db.calls, err))
		return refuse(ctx, http.StatusServiceUnavailable, "not recorded")
	}
	switch out.action {
	case conflict:
		ctx.Error(fmt.Sprintf("conflict %s stored: %s new: %s", where, out.have.summary(), d.summary()))
	case beside:
		ctx.Error(fmt.Sprintf("collision %s stored: %s new: %s", where, out.have.summary(), d.summary()))
	}
	ctx.Log(fmt.Sprintf("%s status=%s outcome=%s calls=%d ms=%d",
		where, d.status, out.action, db.calls, time.Since(start).Milliseconds()))
	return accepted(ctx)
}

// oddities says what an operator should know about a document that stands all
// the same.
func oddities(v parse.Verdict, d document) []string {
	var notes []string
	if v.Note != "" {
		notes = append(notes, v.Note)
	}
	if d.status == parse.Success && (d.receipt == "" || d.amount == 0) {
		notes = append(notes, "SUCCESS without receipt or amount: the app shows it to nobody")
	}
	if d.reader == "" {
		notes = append(notes, "no valid uid in the callback's URL: only the server can read this document")
	}
	return notes
}

// settle settles d in time, if the settings allow it.
func (c Config) settle(db *appwrite, d document) (outcome, error) {
	if missing := c.missing(d.kind); len(missing) > 0 {
		return outcome{}, errors.New("configuration: " + strings.Join(missing, "; "))
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return settle(ctx, db, d)
}

// reader says who may read the document of a callback with that uid. Payments
// alone can be opened to everybody: a list of disbursements names their payees.
func (c Config) reader(kind parse.Kind, uid string) string {
	switch {
	case isID(uid):
		return "user:" + uid
	case kind == parse.Payment && c.AnonymousRead == "any":
		return "any"
	default:
		return ""
	}
}

// unsettled is the error-log line that holds a document which could not be
// stored, so that it can be settled later. It must fit into the 8,000 bytes at
// which the runtime cuts a line, and does: no attribute has over 255 characters.
func unsettled(rt route, d document) string {
	name, transaction := d.attribute()
	data := d.data()
	data[name] = transaction
	delete(data, "receiverName")
	line, _ := json.Marshal(map[string]any{
		"route": rt.name,
		"uid":   strings.TrimPrefix(d.reader, "user:"),
		"id":    d.id,
		"data":  data,
	})
	return "UNSETTLED " + string(line)
}

// summary is what a document says, for the log.
func (d document) summary() string {
	return fmt.Sprintf("status=%s code=%d receipt=%s amount=%d", d.status, d.code, d.receipt, d.amount)
}

// topLevelKeys describes a refused body without quoting it: the sorted names of
// its members, those that could hold anything but a name left out.
func topLevelKeys(body []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "-"
	}
	var keys []string
	for key := range members {
		keys = append(keys, word(key))
	}
	slices.Sort(keys)
	if len(keys) > 10 {
		keys = append(keys[:10], "...")
	}
	return strings.Join(keys, ",")
}

// word returns s if it is a name, letters and underscores alone, and "?" if it
// could be somebody's data.
func word(s string) string {
	isName := func(c rune) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	if len(s) > 60 || strings.ContainsFunc(s, func(c rune) bool { return !isName(c) }) {
		return "?"
	}
	return s
}

// health says whether the settings are complete, and nothing else.
func (c Config) health(ctx openruntimes.Context) openruntimes.Response {
	reply := struct {
		Status  string `json:"status"`
		Version string `json:"version"`
	}{"ok", Version}
	code := http.StatusOK
	if err := c.check(); err != nil {
		ctx.Error(err.Error())
		reply.Status, code = "misconfigured", http.StatusServiceUnavailable
	}
	return ctx.Res.Json(reply, ctx.Res.WithStatusCode(code))
}

// acknowledgement is the only form of reply that Safaricom documents.
type acknowledgement struct {
	ResultCode int
	ResultDesc string
}

func accepted(ctx openruntimes.Context) openruntimes.Response {
	return ctx.Res.Json(acknowledgement{0, "Accepted"})
}

// refuse answers with a reason. There is always a body: an empty one becomes
// the platform's HTML page.
func refuse(ctx openruntimes.Context, status int, reason string) openruntimes.Response {
	return ctx.Res.Json(acknowledgement{1, reason}, ctx.Res.WithStatusCode(status))
}

func notAllowed(ctx openruntimes.Context, method string) openruntimes.Response {
	return ctx.Res.Json(acknowledgement{1, method + " only"},
		ctx.Res.WithStatusCode(http.StatusMethodNotAllowed),
		ctx.Res.WithHeaders(map[string]string{"allow": method}))
}
