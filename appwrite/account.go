package appwrite

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Account is a user of the project, as far as it matters here.
type Account struct {
	ID                string   `json:"$id"`
	Labels            []string `json:"labels"`
	EmailVerification bool     `json:"emailVerification"`
	PhoneVerification bool     `json:"phoneVerification"`
}

// AsUser returns a client with the rights of the user that a JWT is of, and no key:
// with one as well Appwrite refuses the account, and on documents a key would switch
// authorisation off. Its calls count as the client's.
func (c *Client) AsUser(jwt string) *Client {
	return &Client{Endpoint: c.Endpoint, ProjectID: c.ProjectID, JWT: jwt, Transport: c.Transport, Timeout: c.Timeout, owner: c}
}

// AsGuest returns a client without any rights of its own.
func (c *Client) AsGuest() *Client { return c.AsUser("") }

// Account returns the user whom the client's JWT proves. Appwrite signs the JWTs of all
// projects of a server with one key, and takes one of another project for our user of
// the same id, unless it names a session: that, it looks for in this project. So a JWT
// counts only if its payload has a session, and the user whom Appwrite answers.
func (c *Client) Account(ctx context.Context) (Account, error) {
	notProven := &Failure{Call: "account", Status: http.StatusUnauthorized, cause: "no JWT of a session in this project"}
	var payload struct{ UserID, SessionID string }
	parts := strings.Split(c.JWT, ".")
	if len(parts) != 3 {
		return Account{}, notProven
	}
	content, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(content, &payload) != nil || payload.SessionID == "" {
		return Account{}, notProven
	}
	body, err := c.document(ctx, "account", http.MethodGet, "/account", nil, nil)
	if err != nil {
		return Account{}, err
	}
	var account Account
	if json.Unmarshal(body, &account) != nil || account.ID != payload.UserID {
		return Account{}, notProven
	}
	return account, nil
}

// Version returns the server's version. Appwrite tells guests alone: the route's scope
// is one that API keys never have.
func (c *Client) Version(ctx context.Context) (string, error) {
	body, err := c.AsGuest().Call(ctx, "version", http.MethodGet, "/health/version", nil)
	if err != nil {
		return "", err
	}
	var found struct{ Version string }
	if json.Unmarshal(body, &found) != nil || found.Version == "" {
		return "", &Failure{Call: "version", Status: http.StatusOK, cause: "no version in the answer"}
	}
	return found.Version, nil
}

// ParseVersion returns the numbers of a version such as 1.9.6 or 2.0.0-rc.1, up to what is
// none, to be compared with slices.Compare. It returns nil if there are none.
func ParseVersion(version string) []int {
	var parts []int
	for _, s := range strings.Split(version, ".") {
		n, err := strconv.Atoi(s)
		if err != nil {
			break
		}
		parts = append(parts, n)
	}
	return parts
}
