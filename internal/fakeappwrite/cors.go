package fakeappwrite

import (
	"net/http"
	"net/url"
	"slices"
)

// What Appwrite lets pages of other origins send, ask and read.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Origin, Cookie, Set-Cookie, Content-Type, Range, X-Requested-With, X-Appwrite-Project, X-Appwrite-Key, X-Appwrite-Session, " +
		"X-Appwrite-JWT, X-Appwrite-Locale, X-Appwrite-Mode, X-Appwrite-Response-Format, X-Appwrite-Timestamp, X-Appwrite-ID, X-Fallback-Cookies, " +
		"X-SDK-Name, X-SDK-Platform, X-SDK-Language, X-SDK-Version, X-SDK-GraphQL, X-SDK-Profile, Cache-Control"
	corsExposed = "X-Appwrite-Session, X-Fallback-Cookies"
)

// knowsOrigin reports whether a page of that origin may call: its host, of which the
// port is ignored, is that of a web platform of the project. Programs send no origin.
func (a *Appwrite) knowsOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin == "" || err == nil && slices.Contains(a.Platforms, u.Hostname())
}

// cors answers the preflight of a page of another origin, or sets the headers that the
// reply to its request needs. It reports whether the request is answered.
func (a *Appwrite) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	if a.knowsOrigin(r) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", corsExposed)
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	return false
}
