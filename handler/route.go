package handler

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/parse"
)

// route is one address of the function.
type route struct {
	path    string   // behind the callback secret, if there is one
	name    string   // in the log: a path may hold a secret, a name does not
	wire    string   // in the queue and in UNSETTLED lines, which later versions read
	methods []string // the first is the one to use
	open    bool     // needs no callback secret

	// scheduled is what Appwrite posts by the function's own schedule: nothing, to the
	// bare domain. Anybody may have that posted.
	scheduled bool

	// parse reads a callback. It is nil for what is no callback.
	parse func(body []byte) (parse.Verdict, error)
	serve func(*Function, *request) openruntimes.Response
}

var (
	post = []string{http.MethodPost}
	get  = []string{http.MethodGet, http.MethodHead} // some monitors ask for the status alone
)

// routes returns all of them. The bare domain is a CallBackURL too.
func routes() []route {
	return []route{
		{path: "/callback", name: "callback", wire: "callback", methods: post, parse: parse.STK, serve: (*Function).callback},
		{path: "/b2c/result", name: "b2c/result", wire: "b2c/result", methods: post, parse: parse.B2C, serve: (*Function).callback},
		{path: "/b2c/timeout", name: "b2c/timeout", wire: "b2c/timeout", methods: post, parse: parse.B2CTimeout, serve: (*Function).callback},
		{path: "", name: "sweep", methods: post, open: true, scheduled: true, serve: (*Function).sweep},
		{path: "", name: "callback", wire: "callback", methods: post, parse: parse.STK, serve: (*Function).callback},
		{path: "/stk/push", name: "stk/push", wire: "stk/push", methods: post, open: true, serve: (*Function).push},
		{path: "/stk/check", name: "stk/check", methods: post, open: true, serve: (*Function).check},
		{path: "/health", name: "health", methods: get, open: true, serve: (*Function).health},
	}
}

// find returns the route that a path ends in, and the prefix before it, already checked
// against the secrets. Without one it returns nil. The prefix has no slashes too many. A
// signed callback needs no secret. scheduled is the same as a route's.
func (f *Function) find(path string, query map[string]string, scheduled bool) (rt *route, prefix string) {
	path = clean(path)
	for i := range f.routes {
		rt := &f.routes[i]
		prefix, matches := strings.CutSuffix(path, rt.path)
		switch {
		case !matches, rt.scheduled && !scheduled:
		case f.config.admits(prefix), rt.open && prefix == "", f.config.trusts(rt, query):
			return rt, prefix
		}
	}
	return nil, ""
}

// trusts reports whether a callback's signature is good or, where payments are started
// and no signing key is usable, there is one: then our own settings are at fault. The
// bare domain is never signed for: every path ends in it.
func (c *config) trusts(rt *route, query map[string]string) bool {
	if rt.parse == nil || rt.path == "" || query["sig"] == "" {
		return false
	}
	return c.verifies(rt.wire, query["id"], query["sig"]) || len(c.signingKeys) == 0 && c.startsPayments()
}

// clean drops doubled and trailing slashes. They mean nothing: an app joins its
// callbackDomain and "/callback", and one that ends in a slash doubles it.
func clean(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return strings.TrimSuffix(path, "/")
}

// admits reports whether the clean prefix of a route is right: "/SECRET" with any of the
// secrets, or nothing where there is neither a secret nor a signing key. It takes the
// same time for every wrong one. A secret of slashes alone admits nobody.
func (c *config) admits(prefix string) bool {
	if len(c.secrets) == 0 {
		return prefix == "" && c.signingKey == ""
	}
	given := sha256.Sum256([]byte(prefix))
	admitted := 0
	for _, secret := range c.secrets {
		want := sha256.Sum256([]byte(clean("/" + secret)))
		admitted |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return admitted == 1 && prefix != ""
}
