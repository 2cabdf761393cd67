// Package handler settles M-Pesa payments: it answers what Safaricom posts, and
// keeps one document in Appwrite for each transaction.
package handler

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/parse"
)

// Version is that of the function, as GET /health says it.
const Version = "0.1.0"

// maxBody bounds a callback. The largest that was ever seen has 2.2 KiB, and what
// waits in the platform's queue must fit into about 43.
const maxBody = 16 << 10

// route is one address of the function.
type route struct {
	path  string // behind the callback secret, if there is one
	name  string // for the log: a path may hold a secret, a name does not
	parse func(body []byte) (parse.Verdict, error)
}

// routes are all addresses. The bare domain is a CallBackURL too. The last one
// has no parser, nor needs the secret.
var routes = [...]route{
	{"/callback", "callback", parse.STK},
	{"/b2c/result", "b2c/result", parse.B2C},
	{"/b2c/timeout", "b2c/timeout", parse.B2CTimeout},
	{"", "callback", parse.STK},
	{"/health", "health", nil},
}

// read parses a body. Of one that is no JSON the callback is taken that it begins
// with, if it is complete, and what follows is returned as rest: whoever sent too
// much has said it all the same.
func (rt route) read(body []byte) (v parse.Verdict, callback, rest []byte, err error) {
	if v, err = rt.parse(body); !errors.Is(err, parse.ErrSyntax) {
		return v, body, nil, err
	}
	callback, rest = parse.Split(body)
	v, errWithoutRest := rt.parse(callback)
	if errWithoutRest == nil || errors.Is(errWithoutRest, parse.ErrNotFinal) {
		return v, callback, rest, errWithoutRest
	}
	return parse.Verdict{}, body, nil, err
}

// find returns the route that a path ends in, and the prefix before it, already
// checked against the secrets. Neither has slashes too many.
func (c Config) find(path string) (rt route, prefix string, found bool) {
	path = clean(path)
	for _, rt := range routes {
		prefix, matches := strings.CutSuffix(path, rt.path)
		if matches && (c.admits(prefix) || rt.parse == nil && prefix == "") {
			return rt, prefix, true
		}
	}
	return route{}, "", false
}

// clean drops doubled and trailing slashes. They mean nothing: an app joins its
// callbackDomain and "/callback", and one that ends in a slash doubles it.
func clean(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return strings.TrimSuffix(path, "/")
}

// Serve answers one request.
func (c Config) Serve(ctx openruntimes.Context) openruntimes.Response {
	body := bytes.TrimPrefix(ctx.Req.BodyBinary(), []byte("\uFEFF")) // a byte order mark says nothing
	rt, prefix, found := c.find(ctx.Req.Path)
	if !found {
		return turnAway(ctx, body)
	}
	allowed := []string{http.MethodPost}
	if rt.parse == nil {
		allowed = []string{http.MethodGet, http.MethodHead} // some monitors ask for the status alone
	}
	if !slices.Contains(allowed, ctx.Req.Method) {
		reason := allowed[0] + " only"
		if couldBeCallback(body) {
			ctx.Error(refusal(rt.name, reason, body))
		}
		return ctx.Res.Json(acknowledgement{1, reason},
			ctx.Res.WithStatusCode(http.StatusMethodNotAllowed),
			ctx.Res.WithHeaders(map[string]string{"allow": strings.Join(allowed, ", ")}))
	}
	if rt.parse == nil {
		return c.health(ctx, prefix != "")
	}
	if len(body) > maxBody {
		ctx.Error(refusal(rt.name, "body too large", body))
		return refuse(ctx, http.StatusRequestEntityTooLarge, "body too large")
	}
	dl := &delivery{
		config:  c,
		ctx:     ctx,
		api:     appwrite{key: ctx.Req.Headers["x-appwrite-key"]},
		route:   rt,
		prefix:  prefix,
		uid:     ctx.Req.Query["uid"],
		attempt: attemptOf(ctx.Req.Query["attempt"]),
		body:    body,
		start:   time.Now(),
	}
	dl.api.config = &dl.config
	return dl.answer()
}

// turnAway answers an unknown path, and a known one without the callback secret,
// in the same way. If it could be a callback, somebody has to know: an app may have
// another address than the function.
func turnAway(ctx openruntimes.Context, body []byte) openruntimes.Response {
	if couldBeCallback(body) {
		ctx.Error(refusal("-", "unknown path, or without the callback secret", body))
	}
	return refuse(ctx, http.StatusNotFound, "unknown path")
}

// delivery is one callback, from Safaricom or out of the queue.
type delivery struct {
	config  Config
	ctx     openruntimes.Context
	api     appwrite
	route   route
	prefix  string // "/SECRET", if there is one
	uid     string // as it came
	attempt int    // 0 from Safaricom
	body    []byte // once it was read, the callback alone
	rest    []byte // what followed the callback
	start   time.Time

	document document // once the body was read; before, it has no id
	name     string   // route and document, for the log, likewise
}

// answer keeps what a delivery says, and replies. A panic of ours must not cost
// a verdict: the request is queued, for a version that can read it.
func (dl *delivery) answer() (reply openruntimes.Response) {
	defer func() {
		if p := recover(); p != nil {
			reply = dl.panicked(panicSite())
		}
	}()
	verdict, callback, rest, err := dl.route.read(dl.body)
	dl.body, dl.rest = callback, rest
	switch {
	case errors.Is(err, parse.ErrNotFinal):
		dl.ctx.Log(fmt.Sprintf("route=%s outcome=not-final", dl.route.name))
		if len(rest) > 0 {
			dl.ctx.Error(fmt.Sprintf("odd route=%s note=%q", dl.route.name, afterwards(rest)))
		}
		return accepted()
	case err != nil:
		dl.ctx.Error(refusal(dl.route.name, err.Error(), dl.body))
		return refuse(dl.ctx, http.StatusBadRequest, err.Error())
	}
	return dl.record(verdict)
}

// record keeps a verdict and replies.
func (dl *delivery) record(v parse.Verdict) openruntimes.Response {
	dl.document = newDocument(v, dl.config.reader(v.Kind, dl.uid), dl.config.clock.now())
	dl.name = "route=" + dl.route.name + " id=" + dl.document.shown() + stars
	out, err := dl.keep(func(ctx context.Context) (outcome, error) { return dl.config.settle(ctx, &dl.api, dl.document) })
	if err != nil {
		if out.action != queued {
			dl.ctx.Error(dl.unsettled())
		}
		dl.ctx.Error(fmt.Sprintf("failed %s because=%q error=%q", dl.name, classify(err), err))
	}
	for _, note := range dl.oddities(v.Note, out) {
		dl.ctx.Error(fmt.Sprintf("odd %s note=%q", dl.name, note))
	}
	switch out.action {
	case conflict:
		dl.ctx.Error(fmt.Sprintf("conflict %s stored: %s new: %s", dl.name, out.stored.summary(), dl.document.summary()))
	case beside:
		dl.ctx.Error(fmt.Sprintf("collision %s stored: %s new: %s", dl.name, out.stored.summary(), dl.document.summary()))
	}
	return dl.finish(out.action)
}

// panicked queues what this version cannot handle.
func (dl *delivery) panicked(site string) openruntimes.Response {
	if dl.name == "" {
		dl.name = "route=" + dl.route.name
	}
	out, err := dl.keep(nil)
	if out.action != queued && dl.document.id != "" {
		dl.ctx.Error(dl.unsettled())
	}
	dl.ctx.Error(fmt.Sprintf("panic %s at=%q %s", dl.name, site, shape(dl.body)))
	if err != nil {
		dl.ctx.Error(fmt.Sprintf("failed %s because=%q error=%q", dl.name, classify(err), err))
	}
	return dl.finish(out.action)
}

// finish writes the log line of a delivery and replies. Without an action
// nothing was kept; without a document there is no status.
func (dl *delivery) finish(did action) openruntimes.Response {
	if did == "" {
		did = "not-kept"
	}
	dl.ctx.Log(dl.name + " status=" + cmp.Or(string(dl.document.status), "-") + " outcome=" + string(did) +
		" attempt=" + strconv.Itoa(dl.attempt) + " calls=" + strconv.Itoa(int(dl.api.calls.Load())) +
		" ms=" + strconv.FormatInt(time.Since(dl.start).Milliseconds(), 10))
	if did == "not-kept" {
		return refuse(dl.ctx, http.StatusServiceUnavailable, "not recorded")
	}
	return accepted()
}

// oddities says what an operator should know about a document that stands all
// the same.
func (dl *delivery) oddities(note string, out outcome) []string {
	d := &dl.document
	var notes []string
	if note != "" {
		notes = append(notes, note)
	}
	if len(dl.rest) > 0 {
		notes = append(notes, afterwards(dl.rest))
	}
	kept := out.action != "" && out.action != queued // else it is said when it is stored
	if kept && d.status == parse.Success && max(d.rank(), out.stored.rank()) < complete {
		notes = append(notes, "SUCCESS without receipt or amount: the app shows it to nobody")
	}
	if d.reader == "" && out.action == create {
		notes = append(notes, "no valid uid in the callback's URL: only the server can read this document")
	}
	return notes
}

// afterwards describes what followed a callback in the same body.
func afterwards(rest []byte) string {
	return fmt.Sprintf("after the callback: bytes=%d%s", len(rest), looks(rest))
}

// settle settles d, if the settings allow it. It is called with the deepest stack,
// where a copy of the settings would show.
func (c *Config) settle(ctx context.Context, api *appwrite, d document) (outcome, error) {
	if missing := c.missing(d.kind); len(missing) > 0 {
		return outcome{}, errors.New("configuration: " + strings.Join(missing, "; "))
	}
	return settle(ctx, api, d)
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

// validUID is the uid if somebody may read by it, else "".
func (dl *delivery) validUID() string {
	if !isID(dl.uid) {
		return ""
	}
	return dl.uid
}

// summary is what a document says, for the log.
func (d document) summary() string {
	return fmt.Sprintf("status=%s code=%d receipt=%s amount=%d", d.status, d.code, d.receipt, d.amount)
}

// couldBeCallback reports whether a body that is refused may be somebody's payment:
// JSON, be it cut off or too long, or compressed.
func couldBeCallback(body []byte) bool {
	begin := bytes.TrimLeft(body, " \t\r\n")
	return bytes.HasPrefix(begin, []byte("{")) || bytes.HasPrefix(begin, []byte("[")) || isGzip(body)
}

// isGzip reports whether a body is compressed. Such a one is refused: HTTP lets
// nobody compress a request unasked, and nobody was seen to.
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte("\x1f\x8b")) }

// refusal is the error log's line for a body that is not settled. It quotes nothing.
// What is too large is not read for it either.
func refusal(route, reason string, body []byte) string {
	line := fmt.Sprintf("refused route=%s reason=%q ", route, reason)
	if len(body) > maxBody {
		return line + fmt.Sprintf("bytes=%d", len(body))
	}
	return line + shape(body) + looks(body)
}

// looks says of a callback which route takes it and its masked id, so that the
// payment can be found, and of what is compressed that it is.
func looks(body []byte) string {
	if isGzip(body) {
		return " looks=gzip"
	}
	for _, rt := range routes[:3] {
		if v, _, _, err := rt.read(body); err == nil {
			return " looks=" + rt.name + " id=" + newDocument(v, "", time.Time{}).masked()
		}
	}
	return ""
}

// shape describes a body without quoting it: its length and the sorted names of
// its members, those left out that could be anything but a name.
func shape(body []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return fmt.Sprintf("bytes=%d keys=-", len(body))
	}
	var keys []string
	for key := range members {
		keys = append(keys, word(key))
	}
	slices.Sort(keys)
	if len(keys) > 10 {
		keys = append(keys[:10], "...")
	}
	return fmt.Sprintf("bytes=%d keys=%s", len(body), strings.Join(keys, ","))
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

// health says whether the settings are complete and, to who knows the secret,
// which there are.
func (c Config) health(ctx openruntimes.Context, known bool) openruntimes.Response {
	reply := struct {
		Status   string          `json:"status"`
		Version  string          `json:"version"`
		Settings map[string]bool `json:"settings,omitempty"`
	}{Status: "ok", Version: Version}
	code := http.StatusOK
	if err := c.check(); err != nil {
		ctx.Error(err.Error())
		reply.Status, code = "misconfigured", http.StatusServiceUnavailable
	}
	if known {
		reply.Settings = c.present()
	}
	return ctx.Res.Json(reply, ctx.Res.WithStatusCode(code))
}

// acknowledgement is the form of reply that Safaricom documents for C2B, and for
// no other callback.
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

// refuse answers with a reason. There is always a body: an empty one becomes
// the platform's HTML page.
func refuse(ctx openruntimes.Context, status int, reason string) openruntimes.Response {
	return ctx.Res.Json(acknowledgement{1, reason}, ctx.Res.WithStatusCode(status))
}
