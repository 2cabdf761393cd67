package fakeappwrite

import (
	"fmt"
	"slices"
	"strings"
)

// maxKey is the length of an id in Appwrite's SQL adapters.
const maxKey = 36

const (
	uidRule      = "UID must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, and underscore. Can't start with a leading underscore"
	customIDRule = "Parameter must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, period, hyphen, and underscore. Can't start with a special char"
)

// validKey reports whether s may be an id.
func validKey(s string) bool {
	if s == "" || len(s) > maxKey || strings.IndexByte("_.-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("_.-", s[i]) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// empty is PHP's idea of an empty string, which decides more than one check:
// "0" is no id, neither for a document that is created nor for a user.
func empty(s string) bool { return s == "" || s == "0" }

// permissionsParam checks the permissions that a request gives a document and
// spells them out: write stands for update and delete. Nil means that there were
// none.
func permissionsParam(v any) ([]string, error) {
	return readPermissions(v, "read", "update", "delete", "write")
}

// readPermissions checks permissions that begin with one of the allowed words.
func readPermissions(v any, allowed ...string) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, badPermission("Permissions must be an array of strings.")
	}
	if len(list) > 100 {
		return nil, badPermission("You can only provide up to 100 permissions.")
	}
	permissions := []string{}
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, badPermission("Every permission must be of type string.")
		}
		action, role, err := parsePermission(s, allowed)
		if err != nil {
			return nil, err
		}
		actions := []string{action}
		if action == "write" {
			actions = []string{"update", "delete"}
			if slices.Contains(allowed, "create") {
				actions = []string{"create", "update", "delete"}
			}
		}
		for _, action := range actions {
			if p := action + `("` + role + `")`; !slices.Contains(permissions, p) {
				permissions = append(permissions, p)
			}
		}
	}
	return permissions, nil
}

// parsePermission takes apart a document's permission such as
// read("user:ada").
func parsePermission(s string, allowed []string) (action, role string, err error) {
	switch {
	case s == "*":
		return "", "", badPermission(`Wildcard permission "*" has been replaced. Use "any" instead.`)
	case strings.Contains(s, "role:"):
		return "", "", badPermission(`Permissions using the "role:" prefix have been replaced. Use "users", "guests", or "any" instead.`)
	}
	action, rest, found := strings.Cut(s, `("`)
	if !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(s, a) }) {
		return "", "", badPermission(`Permission "%s" is not allowed. Must be one of: %s.`, s, strings.Join(allowed, ", "))
	}
	role, closed := strings.CutSuffix(rest, `")`)
	if !found || !closed || strings.Contains(role, `"`) {
		return "", "", badPermission(`Invalid permission string format: "%s".`, s)
	}
	if !slices.Contains(allowed, action) {
		return "", "", badPermission(`Invalid permission type: "%s".`, action)
	}
	return action, role, checkRole(role)
}

func badPermission(format string, args ...any) error {
	return invalidParam("permissions", fmt.Sprintf(format, args...))
}

// checkRole returns why a role such as user:ada/verified is not one, or nil.
func checkRole(role string) error {
	head, dimension, dimensioned := strings.Cut(role, "/")
	name, id, identified := strings.Cut(head, ":")
	if dimensioned && empty(dimension) {
		return badPermission("Dimension must not be empty")
	}
	switch name {
	case "any", "guests", "users":
		if identified {
			return badPermission(`Role "%s" can not have an ID value.`, name)
		}
	case "user", "team", "member", "label":
		if empty(id) {
			return badPermission(`Role "%s" must have an ID value.`, name)
		}
		if !validKey(id) || name == "label" && strings.ContainsAny(id, "_.-") {
			return badPermission(`Role "%s" identifier value is invalid: %s`, name, customIDRule)
		}
	default:
		return badPermission(`Role "%s" is not allowed. Must be one of: any, guests, users, user, team, member, label.`, name)
	}
	return checkDimension(name, dimension)
}

func checkDimension(name, dimension string) error {
	if dimension == "" {
		return nil
	}
	switch name {
	case "users", "user":
		if dimension != "verified" && dimension != "unverified" {
			return badPermission(`Role "%s" dimension value is invalid. Must be one of: verified, unverified.`, name)
		}
	case "team":
		if !validKey(dimension) {
			return badPermission(`Role "%s" dimension value is invalid: %s`, name, customIDRule)
		}
	default:
		return badPermission(`Role "%s" can not have a dimension value.`, name)
	}
	return nil
}

// ownPermissions are those that a caller gives to a new document by saying
// nothing. For an API key that is none, so that nobody else can read it.
func (c caller) ownPermissions() []string {
	if c.user == "" {
		return []string{}
	}
	role := `("user:` + c.user + `")`
	return []string{"read" + role, "update" + role, "delete" + role}
}

// mayGrant checks that a caller without key grants only roles that it has.
func (c caller) mayGrant(permissions []string) error {
	if c.key {
		return nil
	}
	roles := c.roles()
	for _, p := range permissions {
		_, role, _ := strings.Cut(p, `("`)
		if !slices.Contains(roles, strings.TrimSuffix(role, `")`)) {
			return unauthorized("Permissions must be one of: (" + strings.Join(roles, ", ") + ")")
		}
	}
	return nil
}

// may reports whether the caller may act on a document with these permissions
// of its own. They count only with documentSecurity, and can only add to what
// the collection allows.
func (c caller) may(action string, in *collection, document []string) bool {
	if c.key || c.granted(action, in.permissions) {
		return true
	}
	return in.documentSecurity && c.granted(action, document)
}

func (c caller) granted(action string, permissions []string) bool {
	for _, role := range c.roles() {
		if slices.Contains(permissions, action+`("`+role+`")`) {
			return true
		}
		if action != "read" && slices.Contains(permissions, `write("`+role+`")`) {
			return true
		}
	}
	return false
}
