package handler

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestWhoMayAsk has every kind of caller. None but a user whose session is in this
// project may have a phone asked, and none may do so as somebody else.
func TestWhoMayAsk(t *testing.T) {
	session := []string{"X-Appwrite-Session", sessionOf("amina")}
	later := func(s *shop) string {
		return s.Clock.Now().Add(3 * time.Minute).Truncate(time.Minute).UTC().Format(time.RFC3339)
	}
	for _, tt := range []struct {
		name    string
		prepare func(*shop)
		headers []string                   // of the call
		forged  func(*shop) map[string]any // headers for the function
		want    string
		user    string // whose payment it is
	}{
		{name: "a session", headers: session, want: "PENDING", user: "amina"},
		{name: "a guest", want: "unauthenticated"},
		{name: "a key", prepare: func(s *shop) { s.Appwrite.AddKey("standard_app", "execution.write") },
			headers: []string{"X-Appwrite-Key", "standard_app"}, want: "unauthenticated"},
		{name: "a JWT", headers: []string{"X-Appwrite-JWT", "JWT"}, want: "unauthenticated"},
		{name: "an unverified user", headers: session, want: "forbidden",
			prepare: func(s *shop) { s.signIn(fakeappwrite.User{ID: "amina"}) }},
		{name: "an unverified user, who may", headers: session, want: "PENDING", user: "amina",
			prepare: func(s *shop) {
				s.signIn(fakeappwrite.User{ID: "amina"})
				s.Set("DARAJA_UNVERIFIED_PUSH", "any")
			}},
		{name: "a user of a proven phone", headers: session, want: "PENDING", user: "amina",
			prepare: func(s *shop) { s.signIn(fakeappwrite.User{ID: "amina", PhoneVerification: true}) }},

		{name: "forged: a user's id", want: "unauthenticated",
			forged: func(*shop) map[string]any { return map[string]any{"X-Appwrite-User-Id": "amina"} }},
		{name: "forged: another project's JWT of the same user id", want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": s.Appwrite.ForeignJWT("amina")}
			}},
		{name: "forged: another project's JWT, by a user of this one", headers: session, want: "unauthenticated",
			prepare: func(s *shop) { s.Appwrite.AddUser(fakeappwrite.User{ID: "berta", EmailVerification: true}) },
			forged: func(s *shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": s.Appwrite.ForeignJWT("berta"), "X-Appwrite-User-Id": "berta"}
			}},
		{name: "forged: another project's session", want: "unauthenticated",
			forged: func(*shop) map[string]any {
				id := "their-session"
				return map[string]any{"X-Appwrite-User-Jwt": fakeappwrite.SignJWT(fakeappwrite.Claims{UserID: "amina", SessionID: &id})}
			}},
		{name: "forged: a JWT without a session", want: "unauthenticated",
			forged: func(*shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": fakeappwrite.SignJWT(fakeappwrite.Claims{UserID: "amina"})}
			}},
		{name: "forged: a payload of one user over the signature for another", want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				parts := strings.Split(s.Appwrite.SessionJWT(sessionOf("amina")), ".")
				parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"userId":"berta","sessionId":"x"}`))
				return map[string]any{"X-Appwrite-User-Jwt": strings.Join(parts, ".")}
			}},
		{name: "forged: a garbled JWT", headers: session, want: "unauthenticated",
			forged: func(*shop) map[string]any { return map[string]any{"X-Appwrite-User-Jwt": "a.b.c"} }},
		{name: "forged: a JWT of a session that was deleted", want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				jwt := s.Appwrite.SessionJWT(sessionOf("amina"))
				s.Appwrite.EndSession(sessionOf("amina"))
				return map[string]any{"X-Appwrite-User-Jwt": jwt}
			}},
		{name: "forged: a JWT that has expired", want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				jwt := s.Appwrite.SessionJWT(sessionOf("amina"))
				s.later(16 * time.Minute)
				return map[string]any{"X-Appwrite-User-Jwt": jwt}
			}},
		{name: "forged: a key", headers: session, want: "unavailable",
			forged: func(*shop) map[string]any { return map[string]any{"X-Appwrite-Key": "ephemeral_theirs"} }},
		{name: "a user who was blocked", want: "unauthenticated",
			forged: func(s *shop) map[string]any {
				jwt := s.Appwrite.SessionJWT(sessionOf("amina"))
				s.Appwrite.AddUser(fakeappwrite.User{ID: "amina", EmailVerification: true, Blocked: true})
				return map[string]any{"X-Appwrite-User-Jwt": jwt}
			}},
		{name: "of a project that is paused meanwhile", headers: session, want: "unavailable",
			prepare: func(s *shop) {
				s.Appwrite.Inject(fakeappwrite.Fault{Operation: "account", Reply: fakeappwrite.Status(403, "project_paused", "Project is paused due to inactivity.")})
			}},
		// What the platform hands to the function for a session is as good as the session.
		{name: "one's own session, by hand", want: "PENDING", user: "amina",
			forged: func(s *shop) map[string]any {
				return map[string]any{"X-Appwrite-User-Jwt": s.Appwrite.SessionJWT(sessionOf("amina"))}
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			headers := append([]string{}, tt.headers...)
			for i, h := range headers {
				if h == "JWT" {
					headers[i] = s.Appwrite.SessionJWT(sessionOf("amina"))
				}
			}
			params := map[string]any{"async": false, "method": "POST", "path": "/stk/push", "body": wish(first, phoneA)}
			if tt.forged != nil {
				params["headers"] = tt.forged(s)
			}
			got := s.executeWith(params, headers...)
			if got.kind() != tt.want {
				t.Errorf("%d %s, want %s", got.status, got.body, tt.want)
			}
			want := 0
			if tt.user != "" {
				want = 1
				if p := s.payment(first); p["userId"] != tt.user {
					t.Errorf("it is the payment of %v, want %s", p["userId"], tt.user)
				}
			} else if stored := s.Stored(); len(stored) != 0 {
				t.Errorf("stored is %v", stored)
			}
			if n := s.prompts(""); n != want {
				t.Errorf("%d prompts were shown, want %d", n, want)
			}
		})
	}
	// The Flutter SDK keeps the session in a cookie, names the app as its origin, and a time
	// although there is none (appwrite/sdk-for-flutter 24.2.0, lib/services/functions.dart and lib/src/client_io.dart).
	t.Run("a session, as the Flutter SDK sends it", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		got := s.executeWith(map[string]any{"body": wish(first, phoneA), "async": false, "path": "/stk/push", "method": "POST", "scheduledAt": nil},
			"Cookie", "a_session_"+fakeappwrite.ProjectID+"="+sessionOf("amina"), "Origin", "appwrite-android://com.example.shop",
			"X-SDK-Name", "Flutter", "X-SDK-Platform", "client", "X-SDK-Language", "flutter", "X-SDK-Version", "24.2.0", "X-Appwrite-Response-Format", "1.9.5")
		if got.kind() != "PENDING" || s.prompts("") != 1 || s.payment(first)["userId"] != "amina" {
			t.Errorf("%d %s, and %d prompts were shown", got.status, got.body, s.prompts(""))
		}
	})
	t.Run("a session, for later", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.executeWith(map[string]any{"async": true, "scheduledAt": later(s), "method": "POST", "path": "/stk/push", "body": wish(first, phoneA)}, session...)
		s.Later(5 * time.Minute)
		if n, stored := s.prompts(""), s.Stored(); n != 0 || len(stored) != 0 {
			t.Errorf("%d prompts were shown, and stored is %v", n, stored)
		}
	})
}

// TestBlockedUser: Appwrite itself turns a blocked user's app away, and what is under way
// when a user is blocked is refused here, whatever the server's version calls it.
func TestBlockedUser(t *testing.T) {
	for _, version := range fakeappwrite.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.SetVersion(version)
			// Payments are started from 1.9.5 on. Who asks is looked at all the same.
			s.function.version.known = "1.9.6"
			block := func() { s.Appwrite.AddUser(fakeappwrite.User{ID: "amina", EmailVerification: true, Blocked: true}) }
			s.setSpoil(func(_ int, _ bool, _ func(), _ http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/account") {
					block()
				}
				return false
			})
			got := s.ask("amina", wish(first, phoneA))
			if got.status != 401 || got.kind() != "unauthenticated" || got.field("claimed") != false {
				t.Errorf("blocked meanwhile: %d %s", got.status, got.body)
			}
			if operations := s.Operations(); operations != "execute account" {
				t.Errorf("calls: %s", operations)
			}
			if status, kind := s.refusedExecution(sessionOf("amina")); kind != "user_blocked" || status != 403 && status != 401 {
				t.Errorf("blocked before: %d %s", status, kind)
			}
			if operations := s.Operations(); operations != "execute" {
				t.Errorf("the function ran for a blocked user: %s", operations)
			}
			if len(s.Stored()) != 0 || s.prompts("") != 0 {
				t.Errorf("stored is %v, and %d prompts were shown", s.Stored(), s.prompts(""))
			}
		})
	}
}

// refusedExecution has an app call the function, which Appwrite refuses.
func (s *shop) refusedExecution(session string) (status int, kind string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.AppwriteURL+"/functions/daraja/executions", strings.NewReader(`{"path":"/stk/push","body":"{}"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	req.Header.Set("X-Appwrite-Session", session)
	req.Header.Set("Content-Type", "application/json")
	resp, err := testbed.Client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var refusal struct{ Type string }
	if err := json.NewDecoder(resp.Body).Decode(&refusal); err != nil {
		s.t.Error(err)
	}
	return resp.StatusCode, refusal.Type
}
