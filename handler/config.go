package handler

import (
	"net/url"
	"strings"

	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// Variable is one of the function's environment variables.
type Variable struct {
	Name     string
	Platform bool // set by Appwrite itself, not by a person
	Required bool // without it no payment can be stored

	field   func(*config) *string
	problem func(value string) string // says what is wrong with a value, "" for nothing
}

// CallbackSecret is the variable whose value is part of every callback's URL: secrets,
// separated by commas, any of which opens the door. More than one is a rotation.
// Without one the door is open.
const CallbackSecret = "DARAJA_CALLBACK_SECRET"

const b2cCollection = "DARAJA_B2C_COLLECTION_ID"

// Variables returns all of them.
func Variables() []Variable {
	return []Variable{
		{"APPWRITE_FUNCTION_API_ENDPOINT", true, true, func(c *config) *string { return &c.endpoint }, notURL},
		{"APPWRITE_FUNCTION_PROJECT_ID", true, true, func(c *config) *string { return &c.projectID }, nil},
		{"APPWRITE_FUNCTION_ID", true, true, func(c *config) *string { return &c.functionID }, nil},
		{"DARAJA_DATABASE_ID", false, true, func(c *config) *string { return &c.databaseID }, notID},
		{"DARAJA_COLLECTION_ID", false, true, func(c *config) *string { return &c.paymentsID }, notID},
		{b2cCollection, false, false, func(c *config) *string { return &c.disbursementsID }, notID},
		{CallbackSecret, false, false, func(c *config) *string { return &c.callbackSecret }, notSecrets},
		{"DARAJA_ANONYMOUS_READ", false, false, func(c *config) *string { return &c.anonymousRead }, notAny},
	}
}

// config holds the values of the variables.
type config struct {
	endpoint, projectID, functionID string

	databaseID      string
	paymentsID      string
	disbursementsID string // needed for B2C only
	callbackSecret  string
	anonymousRead   string

	secrets []string // those of callbackSecret
}

func readConfig(getenv func(string) string) (c config) {
	for _, v := range Variables() {
		*v.field(&c) = strings.TrimSpace(getenv(v.Name))
	}
	c.secrets = splitSecrets(c.callbackSecret)
	return c
}

// problems names every variable that is missing or malformed. A malformed value is
// used all the same: the server knows best what it takes.
func (c *config) problems() []string {
	problems := c.missing(parse.Payment)
	for _, v := range Variables() {
		if value := *v.field(c); value != "" && v.problem != nil {
			if what := v.problem(value); what != "" {
				problems = append(problems, v.Name+" "+what)
			}
		}
	}
	if c.paymentsID != "" && c.paymentsID == c.disbursementsID {
		problems = append(problems, b2cCollection+" is the collection of payments")
	}
	return problems
}

// missing names what must be set before a document of that kind can be stored.
func (c *config) missing(kind parse.Kind) (problems []string) {
	for _, v := range Variables() {
		required := v.Required
		if kind == parse.Disbursement && !v.Platform {
			required = v.Name == "DARAJA_DATABASE_ID" || v.Name == b2cCollection
		}
		if required && *v.field(c) == "" {
			problems = append(problems, v.Name+" is missing")
		}
	}
	return problems
}

// present says of each variable whether it is set, for a person who may know.
func (c *config) present() map[string]bool {
	present := map[string]bool{}
	for _, v := range Variables() {
		present[v.Name] = *v.field(c) != ""
	}
	return present
}

func notURL(value string) string {
	if u, err := url.Parse(value); err != nil || u.Host == "" {
		return "is no URL"
	}
	return ""
}

func notID(value string) string {
	if !settle.IsID(value) {
		return "is no id"
	}
	return ""
}

func notAny(value string) string {
	if value != "any" {
		return "is neither empty nor any"
	}
	return ""
}

func notSecrets(value string) string {
	for _, secret := range splitSecrets(value) {
		if !isSecret(secret) {
			return "is not 16 to 64 of a-z, 0-9 and hyphen"
		}
	}
	return ""
}

// splitSecrets splits the list. A list with no secret in it, such as ",", counts as
// one malformed secret, so that a typo never opens the function.
func splitSecrets(list string) []string {
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
	return len(s) >= 16 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
