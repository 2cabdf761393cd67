package fakeappwrite

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// sessionCookie is the name of the cookie, and of the fallback, that hold a session.
const sessionCookie = "a_session_" + ProjectID

// sessionOf returns the session with which a request came. The server looks in this
// order: the cookie, the cookie for browsers that drop the first one, the header of
// native apps, and the header of a page that keeps the session itself, because its own
// host and that of the API are not the same site.
func sessionOf(r *http.Request) string {
	for _, name := range []string{sessionCookie, sessionCookie + "_legacy"} {
		if c, err := r.Cookie(name); err == nil && c.Value != "" {
			return c.Value
		}
	}
	if session := r.Header.Get("X-Appwrite-Session"); session != "" {
		return session
	}
	var fallback map[string]string
	if json.Unmarshal([]byte(r.Header.Get("X-Fallback-Cookies")), &fallback) != nil {
		return ""
	}
	return fallback[sessionCookie]
}

// allowsOrigin reports whether pages of an origin may call: those of localhost, and of
// the project's web platforms. The port does not matter.
func (a *Appwrite) allowsOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Hostname() == "localhost" || slices.Contains(a.Platforms, u.Hostname()))
}

// crossOrigin answers the browser's question whether a page may call, and a call of a
// page that may not. It reports whether that was all. Where a page may call, it adds what
// lets the page see the reply.
func (a *Appwrite) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin, preflight := r.Header.Get("Origin"), r.Method == http.MethodOptions
	if allowed := a.allowsOrigin(origin); origin != "" && allowed {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, X-Appwrite-Project, X-Appwrite-Response-Format, X-Appwrite-Session, "+
			"X-Appwrite-JWT, X-Appwrite-Locale, X-Fallback-Cookies, X-SDK-Name, X-SDK-Platform, X-SDK-Language, X-SDK-Version, X-SDK-Profile")
		h.Set("Access-Control-Expose-Headers", "X-Appwrite-Session, X-Fallback-Cookies")
		h.Set("Access-Control-Max-Age", "86400")
		h.Add("Vary", "Origin")
	} else if origin != "" && !preflight {
		a.Failure(&Error{403, "general_unknown_origin", "Invalid Origin. Register your new client as a new Web platform on your project console dashboard."}).Write(w)
		return true
	}
	if preflight {
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}

// handleSessions adds the routes by which a page signs somebody in and out. They are
// public, since a guest calls them.
func (a *Appwrite) handleSessions() {
	a.Handle("POST", "/v1/account/sessions/anonymous", "sign in", []string{"public"}, a.createAnonymousSession)
	a.Handle("POST", "/v1/account/sessions/email", "sign in", []string{"public"}, a.createEmailSession)
	a.Handle("DELETE", "/v1/account/sessions/current", "sign out", []string{"account"}, a.deleteSession)
}

// createAnonymousSession makes a user of whom neither address nor number is known.
func (a *Appwrite) createAnonymousSession(q *Request) (Reply, error) {
	return a.signIn(q, func() (User, error) { return User{ID: NewID()}, nil })
}

func (a *Appwrite) createEmailSession(q *Request) (Reply, error) {
	var email, password string
	if err := q.Read(&struct{ Email, Password *string }{&email, &password}, "email", "password"); err != nil {
		return Reply{}, err
	}
	return a.signIn(q, func() (User, error) {
		for _, u := range a.users {
			if u.Password != "" && u.Password == password && strings.EqualFold(u.Email, email) {
				return u, nil
			}
		}
		return User{}, &Error{401, "user_invalid_credentials", "Invalid credentials. Please check the email and password."}
	})
}

// signIn makes a session of the user whom find returns, unless the caller has one: every
// way of signing in is then 401. The session's secret goes into cookies and, because the
// machine's own addresses are no site, into the header from which a page may keep it. The
// body never shows it to a page. Of the two cookies the one that is left out is for
// https alone.
func (a *Appwrite) signIn(q *Request, find func() (User, error)) (Reply, error) {
	if q.caller.user != "" {
		return Reply{}, &Error{401, "user_session_already_exists", "Creation of a session is prohibited when a session is active."}
	}
	u, err := find()
	if err != nil {
		return Reply{}, err
	}
	token, err := json.Marshal(map[string]string{"id": u.ID, "secret": NewID() + NewID()})
	if err != nil {
		return Reply{}, err
	}
	secret := base64.StdEncoding.EncodeToString(token)
	fallback, err := json.Marshal(map[string]string{sessionCookie: secret})
	if err != nil {
		return Reply{}, err
	}
	a.users[u.ID], a.sessions[secret] = u, u.ID
	cookie := http.Cookie{Name: sessionCookie + "_legacy", Value: secret, Path: "/", HttpOnly: true}
	return Reply{Status: http.StatusCreated, Header: map[string]string{"Set-Cookie": cookie.String(), "X-Fallback-Cookies": string(fallback)},
		Body: Model{"$id": sessionID(secret), "userId": u.ID, "provider": "email", "current": true, "secret": ""}}, nil
}

func (a *Appwrite) deleteSession(q *Request) (Reply, error) {
	delete(a.sessions, sessionOf(q.HTTP))
	gone := http.Cookie{Name: sessionCookie + "_legacy", Path: "/", HttpOnly: true, MaxAge: -1}
	return Reply{Status: http.StatusNoContent, Header: map[string]string{"Set-Cookie": gone.String(), "X-Fallback-Cookies": "[]"}}, nil
}
