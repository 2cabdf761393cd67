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

// platformNames are Appwrite's names of the platforms that a scheme stands for, in its
// Network/Platform.php.
var platformNames = map[string]string{
	"http": "Web", "https": "Web", "appwrite-android": "Android", "appwrite-ios": "iOS",
	"appwrite-linux": "Linux", "appwrite-macos": "macOS", "appwrite-windows": "Windows",
}

// refuseOrigin is what Appwrite says to an origin that may not call, or empty. A page's
// origin counts by its host, of which the port is ignored. That of an app, which the
// Flutter SDK sends as appwrite-android://PACKAGE, counts by its scheme alone: any app
// may call a project that has an Android platform (Network/Validator/Origin.php of 1.8.1,
// 1.9.0 and 1.9.6). Other programs send no origin, and with an API key none is looked at
// (app/controllers/general.php).
func (a *Appwrite) refuseOrigin(r *http.Request) string {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Header.Get("X-Appwrite-Key") != "" {
		return ""
	}
	u, err := url.Parse(origin)
	if err != nil {
		return "Invalid Origin."
	}
	name, platform := platformNames[u.Scheme], u.Scheme
	if name == "Web" {
		platform = u.Hostname()
	}
	switch {
	case slices.Contains(a.Platforms, platform):
		return ""
	case name == "":
		return "Invalid Scheme. The scheme used (" + u.Scheme + ") in the Origin (" + origin + ") is not supported. If you are using a custom scheme, please change it to `appwrite-callback-<PROJECT_ID>`"
	}
	return "Invalid Origin. Register your new client (" + u.Hostname() + ") as a new " + name + " platform on your project console dashboard"
}

// cors answers the preflight of a page of another origin, or sets the headers that the
// reply to its request needs. It reports whether the request is answered.
func (a *Appwrite) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	if a.refuseOrigin(r) == "" {
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
