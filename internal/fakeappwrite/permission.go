package fakeappwrite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CustomIDRule is what Appwrite says of an id for something new.
const CustomIDRule = "Parameter must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, period, hyphen, and underscore. Can't start with a special char"

const uidRule = "UID must contain at most 36 chars. Valid chars are a-z, A-Z, 0-9, and underscore. Can't start with a leading underscore"

// key is an id in Appwrite's SQL adapters.
const key = `[A-Za-z0-9][A-Za-z0-9._-]{0,35}`

var (
	keyForm        = regexp.MustCompile(`^` + key + `$`)
	permissionForm = regexp.MustCompile(`^([a-z]+)\("([^"]*)"\)$`)
	roleForm       = regexp.MustCompile(`^(any|guests|(users|user:(` + key + `))(/(un)?verified)?)$`)
)

// ValidKey reports whether s may be an id.
func ValidKey(s string) bool { return keyForm.MatchString(s) }

// ValidRole reports whether s is a role such as user:ada/verified. Those of teams,
// members and labels the fake refuses.
func ValidRole(s string) bool {
	parts := roleForm.FindStringSubmatch(s)
	return parts != nil && parts[3] != "0" // which is empty to PHP
}

// ReadPermissions checks permissions that begin with one of the allowed words, and
// spells them out: write stands for create, if that is allowed, update and delete.
// Nil means that there were none.
func ReadPermissions(v any, allowed ...string) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > 100 {
		return nil, InvalidParam("permissions", "Permissions must be an array of up to 100 strings.")
	}
	permissions := []string{}
	for _, v := range list {
		s, _ := v.(string)
		parts := permissionForm.FindStringSubmatch(s)
		if parts == nil || !slices.Contains(allowed, parts[1]) || !ValidRole(parts[2]) {
			return nil, InvalidParam("permissions", fmt.Sprintf("Permission %q is not allowed. Must be one of: %s.", s, strings.Join(allowed, ", ")))
		}
		actions := parts[1:2]
		if parts[1] == "write" {
			actions = []string{"create", "update", "delete"}
		}
		for _, action := range actions {
			p := action + `("` + parts[2] + `")`
			if slices.Contains(allowed, action) && !slices.Contains(permissions, p) {
				permissions = append(permissions, p)
			}
		}
	}
	return permissions, nil
}

// mayRead reports whether the caller may read a document with these permissions
// of its own. They count only with documentSecurity, and can only add to what
// the collection allows.
func (c caller) mayRead(in *Collection, document []string) bool {
	granted := func(role string) bool {
		p := `read("` + role + `")`
		return slices.Contains(in.Permissions, p) || in.DocumentSecurity && slices.Contains(document, p)
	}
	return c.key || slices.ContainsFunc(c.roles(), granted)
}
