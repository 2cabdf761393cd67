package handler

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"openruntimes/handler/parse"
)

// Config is what the environment tells the function.
type Config struct {
	Endpoint   string // APPWRITE_FUNCTION_API_ENDPOINT, set by the platform
	ProjectID  string // APPWRITE_FUNCTION_PROJECT_ID, set by the platform
	FunctionID string // APPWRITE_FUNCTION_ID, set by the platform

	DatabaseID      string // DARAJA_DATABASE_ID
	PaymentsID      string // DARAJA_COLLECTION_ID
	DisbursementsID string // DARAJA_B2C_COLLECTION_ID, needed for B2C only
	AnonymousRead   string // DARAJA_ANONYMOUS_READ: "any" or nothing

	// Secrets are those of DARAJA_CALLBACK_SECRET, any of which opens the door.
	// More than one is a rotation. Without one the door is open.
	Secrets []string

	clock clock
}

// FromEnv reads the configuration through getenv. The error names everything
// that is missing or malformed. The Config is usable all the same: its Serve
// does what it can and says what it lacks.
func FromEnv(getenv func(string) string) (Config, error) {
	get := func(name string) string { return strings.TrimSpace(getenv(name)) }
	c := Config{
		Endpoint:        get("APPWRITE_FUNCTION_API_ENDPOINT"),
		ProjectID:       get("APPWRITE_FUNCTION_PROJECT_ID"),
		FunctionID:      get("APPWRITE_FUNCTION_ID"),
		DatabaseID:      get("DARAJA_DATABASE_ID"),
		PaymentsID:      get("DARAJA_COLLECTION_ID"),
		DisbursementsID: get("DARAJA_B2C_COLLECTION_ID"),
		AnonymousRead:   get("DARAJA_ANONYMOUS_READ"),
		Secrets:         secrets(get("DARAJA_CALLBACK_SECRET")),
		clock:           newClock(),
	}
	return c, c.check()
}

// check returns an error that names every setting that is missing or malformed.
func (c Config) check() error {
	problems := append(c.missing(parse.Payment), c.malformed()...)
	if len(problems) == 0 {
		return nil
	}
	return errors.New("configuration: " + strings.Join(problems, "; "))
}

// malformed names what is set and cannot be right. It is used all the same: who
// knows better than the server what the server takes?
func (c Config) malformed() []string {
	var problems []string
	if endpoint, err := url.Parse(c.Endpoint); c.Endpoint != "" && (err != nil || endpoint.Host == "") {
		problems = append(problems, "APPWRITE_FUNCTION_API_ENDPOINT is no URL")
	}
	for _, id := range [...]struct{ name, value string }{
		{"DARAJA_DATABASE_ID", c.DatabaseID},
		{"DARAJA_COLLECTION_ID", c.PaymentsID},
		{"DARAJA_B2C_COLLECTION_ID", c.DisbursementsID},
	} {
		if id.value != "" && !isID(id.value) {
			problems = append(problems, id.name+" is no id")
		}
	}
	if c.PaymentsID != "" && c.PaymentsID == c.DisbursementsID {
		problems = append(problems, "DARAJA_B2C_COLLECTION_ID is the collection of payments")
	}
	if c.AnonymousRead != "" && c.AnonymousRead != "any" {
		problems = append(problems, "DARAJA_ANONYMOUS_READ is neither empty nor any")
	}
	for _, secret := range c.Secrets {
		if !isSecret(secret) {
			problems = append(problems, "DARAJA_CALLBACK_SECRET is not 16 to 64 of a-z, 0-9 and hyphen")
			break
		}
	}
	return problems
}

// secrets splits the list. Of a list without a secret in it, such as ",", the
// whole is one that is malformed: a door that somebody meant to close stays so.
func secrets(list string) []string {
	if list == "" {
		return nil
	}
	var found []string
	for _, secret := range strings.Split(list, ",") {
		if secret = strings.TrimSpace(secret); secret != "" {
			found = append(found, secret)
		}
	}
	if len(found) == 0 {
		return []string{list}
	}
	return found
}

// isSecret reports whether s is long enough, and needs no escaping in a URL.
func isSecret(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) >= 16 && len(s) <= 64
}

// admits reports whether the clean path before a route is a right one: "/SECRET",
// or nothing where there is no secret. It takes the same time for every wrong one.
// A secret of slashes alone admits nobody.
func (c Config) admits(prefix string) bool {
	if len(c.Secrets) == 0 {
		return prefix == ""
	}
	given := sha256.Sum256([]byte(prefix))
	admitted := 0
	for _, secret := range c.Secrets {
		want := sha256.Sum256([]byte(clean("/" + secret)))
		admitted |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return admitted == 1 && prefix != ""
}

// present says which settings there are, for a person who may know.
func (c Config) present() map[string]bool {
	return map[string]bool{
		"APPWRITE_FUNCTION_API_ENDPOINT": c.Endpoint != "",
		"APPWRITE_FUNCTION_PROJECT_ID":   c.ProjectID != "",
		"APPWRITE_FUNCTION_ID":           c.FunctionID != "",
		"DARAJA_DATABASE_ID":             c.DatabaseID != "",
		"DARAJA_COLLECTION_ID":           c.PaymentsID != "",
		"DARAJA_B2C_COLLECTION_ID":       c.DisbursementsID != "",
		"DARAJA_CALLBACK_SECRET":         len(c.Secrets) > 0,
		"DARAJA_ANONYMOUS_READ":          c.AnonymousRead != "",
	}
}

// missing names what must be set before a document of that kind can be stored.
func (c Config) missing(kind parse.Kind) []string {
	needed := [...]struct{ name, value string }{
		{"APPWRITE_FUNCTION_API_ENDPOINT", c.Endpoint},
		{"APPWRITE_FUNCTION_PROJECT_ID", c.ProjectID},
		{"APPWRITE_FUNCTION_ID", c.FunctionID},
		{"DARAJA_DATABASE_ID", c.DatabaseID},
		{collectionVariable(kind), c.collection(kind)},
	}
	var names []string
	for _, n := range needed {
		if n.value == "" {
			names = append(names, fmt.Sprintf("%s is missing", n.name))
		}
	}
	return names
}

// collection is the id of the collection that holds documents of that kind.
func (c Config) collection(kind parse.Kind) string {
	if kind == parse.Disbursement {
		return c.DisbursementsID
	}
	return c.PaymentsID
}

func collectionVariable(kind parse.Kind) string {
	if kind == parse.Disbursement {
		return "DARAJA_B2C_COLLECTION_ID"
	}
	return "DARAJA_COLLECTION_ID"
}
