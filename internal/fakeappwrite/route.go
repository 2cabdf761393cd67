package fakeappwrite

import (
	"net/http"
	"strings"
)

// A route is one row of the table of all that the server does.
type route struct {
	method    string
	parts     []string // of the pattern
	operation string
	scopes    []string
	handle    Handler
}

// A Handler carries out a request that was let in. Nothing else happens meanwhile.
type Handler func(*Request) (Reply, error)

// Handle adds a route, where {name} in the pattern stands for any one segment. A
// caller needs one of the scopes. The operation is what [Call] and [Fault] call it.
// Of several routes that fit a request the first one counts. It is for before the
// first request.
func (a *Appwrite) Handle(method, pattern, operation string, scopes []string, do Handler) {
	a.routes = append(a.routes, route{method, strings.Split(pattern, "/")[1:], operation, scopes, do})
}

// handleOwn adds the routes of this package. The newer rows.* scopes do not open
// those of documents.
func (a *Appwrite) handleOwn() {
	const (
		documents  = "/v1/databases/{database}/collections/{collection}/documents"
		document   = documents + "/{document}"
		executions = "/v1/functions/{function}/executions"
	)
	read, write := []string{"documents.read"}, []string{"documents.write"}
	a.Handle("POST", documents, "create", write, a.create)
	a.Handle("GET", documents, "list", read, a.list)
	// Without an id, a request for one document is one for all of them.
	a.Handle("PATCH", documents, "bulk", write, refuse)
	a.Handle("PUT", documents, "bulk", write, refuse)
	a.Handle("DELETE", documents, "bulk", write, refuse)
	a.Handle("GET", document, "get", read, a.get)
	a.Handle("PATCH", document, "replace", write, a.replace)
	a.Handle("PUT", document, "upsert", write, refuse) // it never conflicts: the last writer wins
	a.Handle("DELETE", document, "delete", write, a.delete)
	a.Handle("POST", executions, "execute", []string{"execution.write"}, a.execute)
	a.Handle("GET", executions, "list executions", []string{"execution.read"}, a.listExecutions)
	a.Handle("GET", "/v1/health/version", "version", []string{"public"}, a.version)
	a.Handle("GET", "/v1/account", "account", []string{"account"}, a.account)
	a.Handle("POST", "/v1/account/sessions/email", "sign in", []string{"public"}, a.signIn)
	a.Handle("POST", "/v1/account/sessions/anonymous", "sign in", []string{"public"}, a.signInAnonymously)
	a.Handle("DELETE", "/v1/account/sessions/current", "sign out", []string{"account"}, a.signOut)
	a.Handle("POST", "/v1/account/jwts", "jwt", []string{"account"}, a.createJWT)
	a.Handle("GET", "/v1/realtime", "realtime", nil, refuse) // see serveRealtime
}

// refuse fails what Appwrite does and nobody here may rely on.
func refuse(*Request) (Reply, error) {
	return Reply{}, &Error{500, "general_unknown", "The fake does not do this."}
}

// find reads the path as Appwrite's router does. To find the route it drops empty
// segments, so that a request for the document with an empty id is one for all of
// them. The ids it then takes from their places in the path as it was sent: behind
// a double slash each is another segment, and none is unescaped. All versions
// answered 404 document_not_found to a stored document behind empty segments,
// and found no route for /%64ocuments.
func (a *Appwrite) find(r *http.Request) (route, map[string]string) {
	sent := strings.Split(strings.TrimLeft(r.URL.EscapedPath(), "/"), "/")
	segments := a.segments(sent)
	for _, route := range a.routes {
		if vars, ok := route.match(segments, sent); ok && route.method == r.Method {
			return route, vars
		}
	}
	return route{}, nil
}

// segments returns those of a path that decide its route.
func (a *Appwrite) segments(sent []string) []string {
	var segments []string
	for _, s := range sent {
		// Up to 1.9.0 PHP's array_filter dropped the segment 0 as well.
		if s == "" || s == "0" && Older(a.Version, "1.9.1") {
			continue
		}
		segments = append(segments, s)
	}
	return segments
}

// match compares the pattern with the segments, and takes the ids from sent.
func (r route) match(segments, sent []string) (vars map[string]string, ok bool) {
	if len(r.parts) != len(segments) {
		return nil, false
	}
	vars = map[string]string{}
	for i, part := range r.parts {
		if strings.HasPrefix(part, "{") {
			vars[strings.Trim(part, "{}")] = sent[i]
		} else if part != segments[i] {
			return nil, false
		}
	}
	return vars, true
}

// noRoute answers a request for a route that does not exist: 1.9.6 with a page,
// 1.9.0 and 1.8.1 with an error like any other.
func (a *Appwrite) noRoute(w http.ResponseWriter, r *http.Request) {
	if !Older(a.Version, "1.9.6") {
		HTML(http.StatusNotFound)(w, r)
		return
	}
	a.Failure(&Error{404, "general_route_not_found", "The requested route was not found. Please refer to the API docs and try again."}).Write(w)
}

// version answers guests and users. Its scope is public, which API keys never
// have: with one it was 401 on 1.8.1, 1.9.0 and 1.9.6.
func (a *Appwrite) version(*Request) (Reply, error) {
	return Reply{Status: http.StatusOK, Body: Model{"version": a.Version}}, nil
}
