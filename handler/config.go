package handler

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"openruntimes/handler/daraja"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// Variable is one of the function's environment variables.
type Variable struct {
	Name     string
	Platform bool // set by Appwrite itself, not by a person
	Required bool // without it no payment can be stored or, where Push or Payouts is true, none be started
	Push     bool // for starting payments: all that are required must be set, or none of them
	Payouts  bool // for starting payouts, likewise
	Limits   bool // says who may start one, or how much: not needed to ask Safaricom what became of it
	Secret   bool // nobody but the function should be able to read it

	field   func(*config) *string
	problem func(value string) string // says what is wrong with a value, "" for nothing
}

// CallbackSecret is the variable whose value is part of every callback's URL: secrets,
// separated by commas, any of which opens the door. More than one is a rotation.
// Without one the door is open.
const CallbackSecret = "DARAJA_CALLBACK_SECRET"

const b2cCollection = "DARAJA_B2C_COLLECTION_ID"

// SigningKey is the variable with the keys that sign callback URLs: 64 hex digits each,
// separated by commas. The first signs, all verify and all compare.
const SigningKey = "DARAJA_SIGNING_KEY"

// Certificate is the variable with what encrypts the initiator's password.
const Certificate = "DARAJA_CERTIFICATE"

// Starts reports whether a variable is for starting payments or payouts.
func (v Variable) Starts() bool { return v.Push || v.Payouts }

// startsKind reports whether a variable is for starting what is of that kind.
func (v Variable) startsKind(kind parse.Kind) bool {
	if kind == parse.Disbursement {
		return v.Payouts
	}
	return v.Push
}

// Variables returns all of them.
func Variables() []Variable {
	return []Variable{
		{Name: "APPWRITE_FUNCTION_API_ENDPOINT", Platform: true, Required: true, field: func(c *config) *string { return &c.endpoint }, problem: notURL},
		{Name: "APPWRITE_FUNCTION_PROJECT_ID", Platform: true, Required: true, field: func(c *config) *string { return &c.projectID }},
		{Name: "APPWRITE_FUNCTION_ID", Platform: true, Required: true, field: func(c *config) *string { return &c.functionID }},
		{Name: "DARAJA_DATABASE_ID", Required: true, field: func(c *config) *string { return &c.databaseID }, problem: notID},
		{Name: "DARAJA_COLLECTION_ID", Required: true, field: func(c *config) *string { return &c.paymentsID }, problem: notID},
		{Name: b2cCollection, field: func(c *config) *string { return &c.disbursementsID }, problem: notID},
		{Name: CallbackSecret, field: func(c *config) *string { return &c.callbackSecret }, problem: notSecrets},
		{Name: "DARAJA_ANONYMOUS_READ", field: func(c *config) *string { return &c.anonymousRead }, problem: notAny},

		{Name: "DARAJA_CONSUMER_KEY", Push: true, Required: true, Secret: true, field: func(c *config) *string { return &c.consumerKey }},
		{Name: "DARAJA_CONSUMER_SECRET", Push: true, Required: true, Secret: true, field: func(c *config) *string { return &c.consumerSecret }},
		{Name: "DARAJA_SHORTCODE", Push: true, Required: true, field: func(c *config) *string { return &c.shortcode }, problem: notDigits},
		{Name: "DARAJA_PASSKEY", Push: true, Required: true, Secret: true, field: func(c *config) *string { return &c.passkey }},
		{Name: "DARAJA_TILL", Push: true, field: func(c *config) *string { return &c.till }, problem: notDigits},
		{Name: "DARAJA_ENVIRONMENT", Push: true, Payouts: true, Required: true, field: func(c *config) *string { return &c.environment }, problem: notEnvironment},
		{Name: "DARAJA_BASE_URL", Push: true, Payouts: true, field: func(c *config) *string { return &c.baseURL }, problem: notURL},
		{Name: SigningKey, Push: true, Payouts: true, Required: true, Secret: true, field: func(c *config) *string { return &c.signingKey }, problem: notSigningKeys},
		{Name: "DARAJA_PUBLIC_URL", Push: true, Payouts: true, Required: true, field: func(c *config) *string { return &c.publicURL }, problem: notPublicURL},
		{Name: "DARAJA_UNVERIFIED_PUSH", Push: true, Limits: true, field: func(c *config) *string { return &c.unverifiedPush }, problem: notAny},
		{Name: "DARAJA_CASHIER_LABEL", Push: true, Limits: true, field: func(c *config) *string { return &c.cashierLabel }},

		{Name: "DARAJA_B2C_CONSUMER_KEY", Payouts: true, Secret: true, field: func(c *config) *string { return &c.b2cConsumerKey }},
		{Name: "DARAJA_B2C_CONSUMER_SECRET", Payouts: true, Secret: true, field: func(c *config) *string { return &c.b2cConsumerSecret }},
		{Name: "DARAJA_B2C_SHORTCODE", Payouts: true, field: func(c *config) *string { return &c.b2cShortcode }, problem: notDigits},
		{Name: "DARAJA_INITIATOR", Payouts: true, Required: true, field: func(c *config) *string { return &c.initiator }},
		{Name: "DARAJA_INITIATOR_PASSWORD", Payouts: true, Secret: true, field: func(c *config) *string { return &c.initiatorPassword }},
		{Name: Certificate, Payouts: true, field: func(c *config) *string { return &c.certificate }, problem: notCertificate},
		{Name: "DARAJA_SECURITY_CREDENTIAL", Payouts: true, Secret: true, field: func(c *config) *string { return &c.securityCredential }, problem: notCredential},
		{Name: "DARAJA_PAYOUT_LABEL", Payouts: true, Limits: true, field: func(c *config) *string { return &c.payoutLabel }},
		{Name: "DARAJA_PAYOUT_MAX", Payouts: true, Limits: true, Required: true, field: func(c *config) *string { return &c.payoutMax }, problem: notShillings},
		{Name: "DARAJA_PAYOUT_DAILY", Payouts: true, Limits: true, Required: true, field: func(c *config) *string { return &c.payoutDaily }, problem: notShillings},
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

	consumerKey, consumerSecret  string
	shortcode, passkey, till     string
	environment, baseURL         string
	signingKey, publicURL        string
	unverifiedPush, cashierLabel string

	b2cConsumerKey, b2cConsumerSecret, b2cShortcode               string
	initiator, initiatorPassword, certificate, securityCredential string
	payoutLabel, payoutMax, payoutDaily                           string

	signingKeys [][]byte // those of signingKey that are usable

	payoutCredentials daraja.Credentials
	startProblems     map[parse.Kind][]string // what keeps the function from starting what is of a kind
	askProblems       map[parse.Kind][]string // and from asking what became of it
}

func readConfig(getenv func(string) string) (c config) {
	for _, v := range Variables() {
		*v.field(&c) = strings.TrimSpace(getenv(v.Name))
	}
	c.secrets = splitSecrets(c.callbackSecret)
	c.signingKeys = readSigningKeys(c.signingKey)
	c.payoutCredentials = c.readPayoutCredentials()
	c.startProblems, c.askProblems = map[parse.Kind][]string{}, map[parse.Kind][]string{}
	for _, kind := range []parse.Kind{parse.Payment, parse.Disbursement} {
		c.startProblems[kind] = slices.Clip(c.findProblems(kind, true)) // callers append to it
		c.askProblems[kind] = slices.Clip(c.findProblems(kind, false))
	}
	return c
}

// starts reports whether any variable for starting payments or payouts is set. Without
// one the function only takes callbacks.
func (c *config) starts() bool {
	return c.sets(Variable.Starts)
}

// startsPayouts reports whether a variable is set that is for payouts alone.
func (c *config) startsPayouts() bool {
	return c.sets(func(v Variable) bool { return v.Payouts && !v.Push })
}

// startsPayments reports whether one is set that is for payments, and not only one that
// payouts need as well.
func (c *config) startsPayments() bool {
	return c.sets(func(v Variable) bool { return v.Push && !v.Payouts }) || c.starts() && !c.startsPayouts()
}

func (c *config) sets(which func(Variable) bool) bool {
	return slices.ContainsFunc(Variables(), func(v Variable) bool { return which(v) && *v.field(c) != "" })
}

// findProblems names what keeps the function from starting what is of that kind or,
// without the limits, from asking about it. This may encrypt the initiator's password.
func (c *config) findProblems(kind parse.Kind, limits bool) (problems []string) {
	for _, v := range Variables() {
		switch value := *v.field(c); {
		case !v.startsKind(kind), v.Limits && !limits:
		case value == "" && v.Required:
			problems = append(problems, v.Name+" is missing")
		case value != "" && v.problem != nil:
			if what := v.problem(value); what != "" {
				problems = append(problems, v.Name+" "+what)
			}
		}
	}
	if len(c.secrets) > 0 && (&url.URL{Path: "/" + c.secrets[0]}).EscapedPath() != "/"+c.secrets[0] {
		problems = append(problems, CallbackSecret+" cannot be part of a URL") // and what becomes of it would not arrive
	}
	if kind == parse.Disbursement {
		problems = append(problems, c.payoutProblems()...)
	}
	return problems
}

// problems names every variable that is missing or malformed. A malformed value is
// used all the same: the server knows best what it takes.
func (c *config) problems() []string {
	problems := c.missing(parse.Payment)
	for _, v := range Variables() {
		if value := *v.field(c); value != "" && v.problem != nil && !v.Starts() {
			if what := v.problem(value); what != "" {
				problems = append(problems, v.Name+" "+what)
			}
		}
	}
	if c.paymentsID != "" && c.paymentsID == c.disbursementsID {
		problems = append(problems, b2cCollection+" is the collection of payments")
	}
	var starting []string
	if c.startsPayments() {
		starting = c.startProblems[parse.Payment]
	}
	if c.startsPayouts() {
		if c.disbursementsID == "" {
			starting = append(starting, b2cCollection+" is missing")
		}
		for _, problem := range c.startProblems[parse.Disbursement] {
			if !slices.Contains(starting, problem) { // of what both need
				starting = append(starting, problem)
			}
		}
	}
	return append(problems, starting...)
}

// missing names what must be set before a document of that kind can be stored.
func (c *config) missing(kind parse.Kind) (problems []string) {
	for _, v := range Variables() {
		required := v.Required && !v.Starts()
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
		if !v.Starts() || v.Push && c.startsPayments() || v.Payouts && c.startsPayouts() {
			present[v.Name] = *v.field(c) != ""
		}
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

func notDigits(value string) string {
	if strings.Trim(value, "0123456789") != "" {
		return "is not digits alone"
	}
	return ""
}

func notEnvironment(value string) string {
	if value != "sandbox" && value != "production" {
		return "is neither sandbox nor production"
	}
	return ""
}

func notPublicURL(value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && !isLoopback(u.Hostname()):
		return "does not begin with https://"
	case strings.ContainsAny(value, "?#") || u.User != nil:
		return "has more than a host and a path"
	}
	return ""
}

// isLoopback reports whether a host is this machine, where tests have no TLS.
func isLoopback(host string) bool { return host == "127.0.0.1" || host == "localhost" }

func notSigningKeys(value string) string {
	if keys := readSigningKeys(value); len(keys) == 0 || len(keys) != len(splitSecrets(value)) {
		return "is not 64 hex digits (openssl rand -hex 32)"
	}
	return ""
}

// readSigningKeys returns the usable keys of a list.
func readSigningKeys(list string) (keys [][]byte) {
	for _, s := range splitSecrets(list) {
		if key, err := hex.DecodeString(s); err == nil && len(key) == 32 {
			keys = append(keys, key)
		}
	}
	return keys
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
