package fakeappwrite

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// callAs is a request without the key of newRequest, with these headers.
func callAs(t *testing.T, a *Appwrite, method, path, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, "/v1"+path, strings.NewReader(body))
	r.Header.Set("X-Appwrite-Project", ProjectID)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return serve(t, a, r)
}

func errorType(body map[string]any) string {
	s, _ := body["type"].(string)
	return s
}

// TestAccount has who gets an account, and as whose.
func TestAccount(t *testing.T) {
	now, move := clock()
	session := func(a *Appwrite) string { return a.SessionJWT("ada-secret") }
	block := func(a *Appwrite) { a.AddUser(User{ID: "ada", Blocked: true}) }
	for _, tt := range []struct {
		name    string
		version string
		prepare func(*Appwrite)
		jwt     func(*Appwrite) string
		key     string
		status  int
		kind    string
	}{
		{name: "of a session", jwt: session, status: 200},
		{name: "with a key too", jwt: session, key: "standard_all", status: 401, kind: "general_unauthorized_scope"},
		{name: "with a key too, 1.9.0", version: "1.9.0", jwt: session, key: "standard_all", status: 401, kind: "general_unauthorized_scope"},
		{name: "with a key too, 1.8.1", version: "1.8.1", jwt: session, key: "standard_all", status: 403, kind: "user_key_and_session_set"},
		{name: "garbled", jwt: func(*Appwrite) string { return "a.b.c" }, status: 401, kind: "user_jwt_invalid"},
		{name: "changed", jwt: func(a *Appwrite) string { return "e30." + strings.SplitN(session(a), ".", 2)[1] }, status: 401, kind: "user_jwt_invalid"},
		{name: "expired", jwt: func(a *Appwrite) string { jwt := session(a); move(16 * time.Minute); return jwt }, status: 401, kind: "user_jwt_invalid"},
		{name: "without an end", jwt: func(*Appwrite) string { return SignJWT(Claims{UserID: "ada"}) }, status: 200},
		{name: "none", jwt: func(*Appwrite) string { return "" }, status: 401, kind: "general_unauthorized_scope"},
		{name: "of a session that was deleted", jwt: func(a *Appwrite) string { jwt := session(a); a.EndSession("ada-secret"); return jwt }, status: 401, kind: "general_unauthorized_scope"},
		{name: "of an unknown user", jwt: func(a *Appwrite) string { return a.ForeignJWT("nobody") }, status: 401, kind: "general_unauthorized_scope"},
		{name: "blocked", prepare: block, jwt: session, status: 403, kind: "user_blocked"},
		{name: "blocked, 1.9.0", version: "1.9.0", prepare: block, jwt: session, status: 403, kind: "user_blocked"},
		{name: "blocked, 1.8.1", version: "1.8.1", prepare: block, jwt: session, status: 401, kind: "user_blocked"},
		{name: "another project's API's", jwt: func(a *Appwrite) string { return a.ForeignJWT("ada") }, status: 200},
		{name: "another project's session's", status: 401, kind: "general_unauthorized_scope",
			jwt: func(*Appwrite) string { id := "their-session"; return SignJWT(Claims{UserID: "ada", SessionID: &id}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAppwrite(t)
			a.Now = now
			if tt.version != "" {
				a.Version = tt.version
			}
			if tt.prepare != nil {
				tt.prepare(a)
			}
			status, body := callAs(t, a, "GET", "/account", "", "X-Appwrite-JWT", tt.jwt(a), "X-Appwrite-Key", tt.key)
			if status != tt.status || errorType(body) != tt.kind {
				t.Errorf("%d %v, want %d %s", status, body, tt.status, tt.kind)
			}
			if status == http.StatusOK && body["$id"] != "ada" {
				t.Errorf("it is the account of %v", body["$id"])
			}
		})
	}
}

// TestCallers has what the function is told of who asked for its execution.
func TestCallers(t *testing.T) {
	const at = `,"async":true,"scheduledAt":"2025-01-01T09:05:00Z"`
	for _, tt := range []struct {
		name, schedule string
		headers        []string
		user, claims   string // of the JWT
	}{
		{name: "a session", headers: []string{"X-Appwrite-Session", "ada-secret"}, user: "ada", claims: "user session end"},
		{name: "a session, for later", schedule: at, headers: []string{"X-Appwrite-Session", "ada-secret"}, user: "ada", claims: "user end"},
		{name: "a JWT", headers: []string{"X-Appwrite-JWT", "JWT"}, user: "ada"},
		{name: "a key", headers: []string{"X-Appwrite-Key", "standard_run"}},
		{name: "a guest"},
		{name: "a guest, for later", schedule: at},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAppwrite(t)
			a.Now, _ = clock()
			a.AddKey("standard_run", "execution.write")
			var ran Execution
			a.Run = func(e Execution) Answer { ran = e; return Answer{418, `{"said":"so"}`} }
			for i, h := range tt.headers {
				if h == "JWT" {
					tt.headers[i] = a.SessionJWT("ada-secret")
				}
			}
			status, body := callAs(t, a, "POST", "/functions/daraja/executions", `{"path":"/x","body":"{}"`+tt.schedule+`}`, tt.headers...)
			if tt.schedule == "" {
				if status != 201 || body["responseStatusCode"] != 418.0 || body["responseBody"] != `{"said":"so"}` || body["status"] != "completed" {
					t.Errorf("%d %v", status, body)
				}
			} else if ran = a.Waiting()[0]; status != 202 {
				t.Errorf("%d %v", status, body)
			}
			claims := ""
			if ran.UserJWT != "" {
				c, err := a.readJWT(ran.UserJWT)
				if err != nil || c.UserID != "ada" {
					t.Fatalf("the JWT is of %+v: %v", c, err)
				}
				claims = "user"
				if c.SessionID != nil {
					claims += " session"
				}
				if c.Expires != 0 {
					claims += " end"
				}
			}
			if ran.UserID != tt.user || claims != tt.claims {
				t.Errorf("the function is told the user %q and a JWT with %q, want %q and %q", ran.UserID, claims, tt.user, tt.claims)
			}
		})
	}
}

// TestWholeModels: accounts, sessions and executions have every attribute that Appwrite
// always gives, by its Response/Model/Account.php, Session.php and Execution.php, since SDKs
// of apps fail where one is missing.
func TestWholeModels(t *testing.T) {
	a := newAppwrite(t)
	a.Run = func(Execution) Answer { return Answer{200, "{}"} }
	const text, number, truth, list, object, null = "string", "float64", "bool", "[]interface {}", "map[string]interface {}", "<nil>"
	execution := map[string]string{
		"$id": text, "$createdAt": text, "$updatedAt": text, "$permissions": list, "functionId": text, "deploymentId": text, "trigger": text,
		"status": text, "requestMethod": text, "requestPath": text, "requestHeaders": list, "responseStatusCode": number, "responseBody": text,
		"responseHeaders": list, "logs": text, "errors": text, "duration": number, "scheduledAt": null,
	}
	scheduled := maps.Clone(execution)
	scheduled["scheduledAt"] = text
	session := map[string]string{"current": truth, "factors": list}
	for _, name := range strings.Fields("$id $createdAt $updatedAt userId expire provider providerUid providerAccessToken providerAccessTokenExpiry " +
		"providerRefreshToken ip osCode osName osVersion clientType clientCode clientName clientVersion clientEngine clientEngineVersion " +
		"deviceName deviceBrand deviceModel countryCode countryName secret mfaUpdatedAt") {
		session[name] = text
	}
	for _, test := range []struct {
		name, method, path, body string
		want                     map[string]string
	}{
		{"anonymous session", "POST", "/account/sessions/anonymous", "", session},
		{"account", "GET", "/account", "", map[string]string{
			"$id": text, "$createdAt": text, "$updatedAt": text, "name": text, "registration": text, "status": truth, "labels": list,
			"passwordUpdate": text, "email": text, "phone": text, "emailVerification": truth, "phoneVerification": truth, "mfa": truth,
			"prefs": object, "targets": list, "accessedAt": text,
		}},
		{"execution", "POST", "/functions/daraja/executions", `{"path":"/x"}`, execution},
		{"execution for later", "POST", "/functions/daraja/executions", `{"path":"/x","async":true,"scheduledAt":"2125-01-01T09:05:00Z"}`, scheduled},
	} {
		t.Run(test.name, func(t *testing.T) {
			as := []string{"X-Appwrite-Session", "ada-secret"}
			if strings.HasPrefix(test.path, "/account/sessions") {
				as = nil
			}
			_, body := callAs(t, a, test.method, test.path, test.body, as...)
			for name, want := range test.want {
				if got := fmt.Sprintf("%T", body[name]); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
		})
	}
}
