package fakeappwrite

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// consoleProject is the project that every server has, the console's own. Whoever
// logs in there is one of the server's people; no API key of another project
// counts (401 user_unauthorized on 1.9.6). The CLI asks it for the version.
const consoleProject = "console"

// Scopes of callers without a key (app/config/roles.php). What else users have is
// left out.
var (
	guestScopes = []string{"public", "documents.read", "documents.write", "execution.write"}
	userScopes  = append(slices.Clone(guestScopes), "account")
)

// A caller is who sent a request.
type caller struct {
	key  bool   // an API key, which no permission holds back
	user string // whose session or JWT it is, else empty

	verified bool // the user's e-mail address or phone number
}

// roles returns what the permissions of a caller without key are compared with.
func (c caller) roles() []string {
	if c.user == "" {
		return []string{"any", "guests"}
	}
	user, dimension := "user:"+c.user, "/unverified"
	if c.verified {
		dimension = "/verified"
	}
	return []string{"any", "users", "users" + dimension, user, user + dimension}
}

// authenticate finds out who sent r and whether the caller has one of the scopes.
func (a *Appwrite) authenticate(r *http.Request, scopes []string) (caller, error) {
	project, key := r.Header.Get("X-Appwrite-Project"), r.Header.Get("X-Appwrite-Key")
	c, who, has := caller{}, "User (role: guests)", guestScopes
	keyScopes, known := a.keys[key]
	switch {
	case project == "":
		return c, a.noProject(key)
	case project == consoleProject && key != "":
		return c, unauthorized("The current user is not authorized to perform the requested action.")
	case project == consoleProject:
		has = []string{"public"}
	case project != ProjectID:
		return c, a.NotFound("project", project)
	case known && r.Header.Get("X-Appwrite-JWT") != "" && wantsAccount(scopes) && Older(a.Version, "1.9.0"):
		return c, &Error{403, "user_key_and_session_set", "API key and session used in same request. Use either setSession or setKey."}
	case known:
		c.key, has = true, keyScopes
		who = fmt.Sprintf("app.%s@service.%s (role: applications)", ProjectID, r.Host)
	case strings.HasPrefix(key, "standard_"), key != "" && !strings.Contains(key, "_"):
		return c, unauthorized("The current user is not authorized to perform the requested action.")
	case key != "":
		// Any other prefix makes the caller a guest, without an error. So it is
		// with a function's own key (ephemeral_, up to 1.9.0 dynamic_) that is
		// garbled, outlived its execution or belongs to another project: no
		// version ever answered project_key_expired.
	default:
		user, err := a.userOf(r)
		if err != nil {
			return c, err
		}
		if user != "" {
			c.user, c.verified = user, a.users[user].isVerified()
			who, has = "User (role: users)", userScopes
		}
	}
	if !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(has, s) }) {
		message := who + ` missing scopes (["` + strings.Join(scopes, `","`) + `"])`
		return c, &Error{401, "general_unauthorized_scope", message}
	}
	if a.users[c.user].Blocked {
		return c, a.blocked()
	}
	return c, nil
}

// noProject is the error for a request that names no project: 1.8.1 knows nobody
// outside of one, and since 1.9.0 who has a key is told what is missing.
func (a *Appwrite) noProject(key string) error {
	switch {
	case Older(a.Version, "1.9.0"):
		return unauthorized("The current user is not authorized to perform the requested action.")
	case key != "":
		return &Error{403, "project_id_missing", "Project ID is missing. Please check the X-Appwrite-Project header."}
	default:
		return &Error{401, "general_access_forbidden", "Access to this API is forbidden."}
	}
}
