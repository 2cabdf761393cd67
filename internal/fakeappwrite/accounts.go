package fakeappwrite

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A User is one of the project's.
type User struct {
	ID                string
	Name, Password    string
	Labels            []string
	Email, Phone      string // in international form
	EmailVerification bool
	PhoneVerification bool
	Blocked           bool
}

// AddUser adds a user, or changes the one of this id.
func (a *Appwrite) AddUser(u User) {
	a.Do(func() { a.users[u.ID] = u })
}

// AddSession makes secret a session of user, who is added
// if there is none of that id.
func (a *Appwrite) AddSession(secret, user string) {
	a.Do(func() {
		a.sessions[secret] = user
		if _, known := a.users[user]; !known {
			a.users[user] = User{ID: user}
		}
	})
}

// EndSession deletes a session.
func (a *Appwrite) EndSession(secret string) {
	a.Do(func() { delete(a.sessions, secret) })
}

// sessionID is what a JWT calls a session.
func sessionID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:10])
}

// Claims are a JWT's payload, as 1.8.1, 1.9.0 and 1.9.6 wrote it. One that the platform
// makes for a scheduled execution has no sessionId, and one that a project's API makes
// for a user of its own has an empty one.
type Claims struct {
	UserID    string  `json:"userId"`
	SessionID *string `json:"sessionId,omitempty"`
	Expires   int64   `json:"exp,omitempty"` // in Unix seconds; it may be absent
}

// SessionJWT is one of a session, as the platform hands it to a function and as
// POST /account/jwts answers it.
func (a *Appwrite) SessionJWT(secret string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessionJWT(secret, jwtLife)
}

// How long JWTs live: those that are asked for, if no other duration is given, and those
// that a function gets, which is a run, here of 30 s, and a minute more.
const (
	jwtLife = 15 * time.Minute
	runLife = 90 * time.Second
)

// sessionJWT needs the lock.
func (a *Appwrite) sessionJWT(secret string, life time.Duration) string {
	id := sessionID(secret)
	return SignJWT(Claims{UserID: a.sessions[secret], SessionID: &id, Expires: a.now().Add(life).Unix()})
}

// ForeignJWT is one that another project of this server makes, with the API key of that
// project, for a user of its own whose id is that of one of ours. The project's users
// may have any ids that its owner likes.
func (a *Appwrite) ForeignJWT(user string) string {
	none := ""
	return SignJWT(Claims{UserID: user, SessionID: &none, Expires: a.now().Add(time.Hour).Unix()})
}

// SignJWT signs claims with the server's key, which is that of all its projects: no
// version had another one for each.
func SignJWT(claims Claims) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // strings and a number
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(serverSignature(signed))
}

func serverSignature(signed string) []byte {
	mac := hmac.New(sha256.New, []byte("_APP_OPENSSL_KEY_V1"))
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// userOf returns the user whom a request's session or JWT names, "" for a guest.
//
// A JWT that is garbled or has expired is 401 user_jwt_invalid. One of an unknown user
// or of a session that is not one of his makes the caller a guest, and so does an empty
// header. Whether there is such a session in this project is looked at only if the JWT
// names one.
func (a *Appwrite) userOf(r *http.Request) (string, error) {
	id := a.sessions[a.sessionSecret(r)]
	if jwt := r.Header.Get("X-Appwrite-JWT"); jwt != "" {
		claims, err := a.readJWT(jwt)
		if err != nil {
			return "", err
		}
		id = claims.UserID
		if session := claims.SessionID; session != nil && *session != "" && !a.hasSession(id, *session) {
			id = ""
		}
	}
	if _, known := a.users[id]; !known {
		return "", nil
	}
	return id, nil
}

// blocked is what a blocked user gets from every route whose scope users have: 401
// on 1.8.1, 403 from 1.9.0 (app/config/errors.php). The scope is looked at first
// (app/controllers/shared/api.php).
func (a *Appwrite) blocked() error {
	status := http.StatusForbidden
	if Older(a.Version, "1.9.0") {
		status = http.StatusUnauthorized
	}
	return &Error{status, "user_blocked", "The current user has been blocked."}
}

func (a *Appwrite) readJWT(jwt string) (Claims, error) {
	var claims Claims
	invalid := &Error{401, "user_jwt_invalid", "The JWT token is invalid. Please check the value of the X-Appwrite-JWT header."}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return claims, invalid
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, serverSignature(parts[0]+"."+parts[1])) {
		return claims, invalid
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires != 0 && claims.Expires < a.now().Unix() {
		return claims, invalid
	}
	return claims, nil
}

func (a *Appwrite) hasSession(user, id string) bool {
	for secret, of := range a.sessions {
		if of == user && sessionID(secret) == id {
			return true
		}
	}
	return false
}

// account answers users, be it by session or by JWT. A key has not its scope: with a JWT
// and a key as well, 1.9.0 and 1.9.6 said 401 general_unauthorized_scope, and 1.8.1 403
// user_key_and_session_set.
func (a *Appwrite) account(q *Request) (Reply, error) {
	return Reply{Status: http.StatusOK, Body: a.userModel(q.caller.user)}, nil
}

// userSince stands for every date of a user.
const userSince = "2025-01-01T00:00:00.000+00:00"

// userModel is a user as accounts and sockets show him, nil for a guest. It has every
// attribute that an account always has, since the SDKs of apps insist on them
// (Utopia/Response/Model/Account.php of 1.8.1 to 1.9.6).
func (a *Appwrite) userModel(id string) Model {
	u, known := a.users[id]
	if !known {
		return nil
	}
	return Model{
		"$id": u.ID, "$createdAt": userSince, "$updatedAt": userSince, "registration": userSince, "passwordUpdate": userSince, "accessedAt": userSince,
		"name": u.Name, "status": !u.Blocked, "email": u.Email, "phone": u.Phone,
		"labels":            append([]string{}, u.Labels...),
		"emailVerification": u.EmailVerification, "phoneVerification": u.PhoneVerification, "mfa": false,
		"prefs": Model{}, "targets": []Model{},
	}
}

// The cookies of a session. Browsers throw the first one away over http, since it is for
// other sites and not for https alone.
const (
	sessionCookie       = "a_session_" + ProjectID
	legacySessionCookie = sessionCookie + "_legacy"
)

// sessionSecret is the one that a request carries, in the first of these: a cookie, its
// older twin, the header, and what takes the place of cookies in browsers that keep none.
func (a *Appwrite) sessionSecret(r *http.Request) string {
	for _, name := range []string{sessionCookie, legacySessionCookie} {
		if cookie, err := r.Cookie(name); err == nil && cookie.Value != "" {
			return cookie.Value
		}
	}
	if secret := r.Header.Get("X-Appwrite-Session"); secret != "" {
		return secret
	}
	var fallback map[string]string
	if json.Unmarshal([]byte(r.Header.Get("X-Fallback-Cookies")), &fallback) != nil {
		return ""
	}
	return fallback[sessionCookie]
}

// signIn makes a session for e-mail address and password.
func (a *Appwrite) signIn(q *Request) (Reply, error) {
	var given struct{ Email, Password string }
	if err := q.Read(&given, "email", "password"); err != nil {
		return Reply{}, err
	}
	for _, u := range a.users {
		if u.Email == given.Email && u.Password == given.Password && u.Password != "" {
			return a.newSession(q, u, "email", "password")
		}
	}
	return Reply{}, &Error{401, "user_invalid_credentials", "Invalid credentials. Please check the email and password."}
}

// signInAnonymously makes a user without e-mail address and phone, and a session.
func (a *Appwrite) signInAnonymously(q *Request) (Reply, error) {
	return a.newSession(q, User{ID: NewID()}, "anonymous", "anonymous")
}

// newSession answers with a session whose secret is in the cookies and, for pages that
// are not of the same domain, in a header: always on localhost and addresses. The body
// has it for API keys alone.
func (a *Appwrite) newSession(q *Request, u User, provider, factor string) (Reply, error) {
	if q.caller.user != "" {
		return Reply{}, &Error{401, "user_session_already_exists", "Creation of a session is prohibited when a session is active."}
	}
	secret := NewID() + NewID()
	a.users[u.ID], a.sessions[secret] = u, u.ID
	cookie := func(name string, sameSite http.SameSite) *http.Cookie {
		return &http.Cookie{Name: name, Value: secret, Path: "/", HttpOnly: true, SameSite: sameSite, Secure: q.HTTP.TLS != nil && sameSite != 0}
	}
	fallback, err := json.Marshal(map[string]string{sessionCookie: secret})
	if err != nil {
		return Reply{}, err
	}
	return Reply{
		Status: http.StatusCreated,
		Header: map[string]string{"X-Fallback-Cookies": string(fallback)},
		Cookie: []*http.Cookie{cookie(sessionCookie, http.SameSiteNoneMode), cookie(legacySessionCookie, 0)},
		Body:   a.sessionModel(secret, u.ID, provider, factor),
	}, nil
}

// sessionModel has every attribute that a session always has (Response/Model/Session.php of
// 1.8.1 to 1.9.6). Of device and place it says nothing.
func (a *Appwrite) sessionModel(secret, user, provider, factor string) Model {
	now := formatTime(a.now())
	shown := Model{"$id": sessionID(secret), "$createdAt": now, "$updatedAt": now, "userId": user, "expire": formatTime(a.now().AddDate(1, 0, 0)),
		"provider": provider, "factors": []string{factor}, "current": true, "secret": ""}
	for _, name := range []string{"providerUid", "providerAccessToken", "providerAccessTokenExpiry", "providerRefreshToken", "ip", "osCode", "osName", "osVersion",
		"clientType", "clientCode", "clientName", "clientVersion", "clientEngine", "clientEngineVersion", "deviceName", "deviceBrand", "deviceModel",
		"countryCode", "countryName", "mfaUpdatedAt"} {
		shown[name] = ""
	}
	return shown
}

// signOut ends the session of the request.
func (a *Appwrite) signOut(q *Request) (Reply, error) {
	delete(a.sessions, a.sessionSecret(q.HTTP))
	return Reply{Status: http.StatusNoContent}, nil
}

// createJWT makes one of the request's session, which newer servers refuse to whoever
// comes with a JWT.
func (a *Appwrite) createJWT(q *Request) (Reply, error) {
	secret := a.sessionSecret(q.HTTP)
	if a.sessions[secret] == "" {
		return Reply{}, &Error{404, "user_session_not_found", "The current user session could not be found."}
	}
	return Reply{Status: http.StatusCreated, Body: Model{"jwt": a.sessionJWT(secret, jwtLife)}}, nil
}

// as gives an execution what the platform tells a function of who asked for it: of a
// session the user and a JWT, be it run at once or later, but later without the session;
// of a caller with a JWT the user alone; of keys and guests nothing.
func (a *Appwrite) as(q *Request, e *Execution) {
	e.UserID = q.caller.user
	session := a.sessionSecret(q.HTTP)
	switch {
	case e.UserID == "" || q.HTTP.Header.Get("X-Appwrite-JWT") != "":
	case e.ScheduledAt.IsZero():
		e.UserJWT = a.sessionJWT(session, runLife)
	default:
		e.UserJWT = SignJWT(Claims{UserID: e.UserID, Expires: e.ScheduledAt.Add(runLife).Unix()})
	}
}

// An Answer is what a function said.
type Answer struct {
	Status int // 0 if the platform had to answer for it
	Body   string
}

// runNow is an execution that its caller waits for. It goes on without the lock, since
// the function calls the API. Its reply is 201 whatever the function answered. What was
// logged is for keys and the console.
func (a *Appwrite) runNow(e Execution) Reply {
	return Reply{then: func() Reply {
		answer := a.Run(e)
		e.Status = cmp.Or(answer.Status, http.StatusInternalServerError)
		shown := e.model()
		shown["responseBody"] = answer.Body
		shown["responseHeaders"] = []Model{{"name": "x-appwrite-execution-id", "value": e.ID}}
		return Reply{Status: http.StatusCreated, Body: shown}
	}}
}

// isVerified reports whether e-mail address or phone number are proven.
func (u User) isVerified() bool { return u.EmailVerification || u.PhoneVerification }

// wantsAccount reports whether a route is one of the user's own.
func wantsAccount(scopes []string) bool { return slices.Contains(scopes, "account") }
