package handler

import (
	"cmp"
	"encoding/base64"
	"encoding/pem"
	"strconv"
	"strings"

	"openruntimes/handler/daraja"
)

// readPayoutCredentials returns what Safaricom gave the business for payouts: usually
// the credentials of another shortcode, and so of another app. Where they are not set,
// those of payments are taken, key and secret together.
func (c *config) readPayoutCredentials() daraja.Credentials {
	k := daraja.Credentials{
		ConsumerKey: c.b2cConsumerKey, ConsumerSecret: c.b2cConsumerSecret,
		Shortcode: cmp.Or(c.b2cShortcode, c.shortcode),
		Initiator: c.initiator, SecurityCredential: c.securityCredential,
	}
	if k.ConsumerKey == "" && k.ConsumerSecret == "" {
		k.ConsumerKey, k.ConsumerSecret = c.consumerKey, c.consumerSecret
	}
	if k.SecurityCredential == "" && c.initiatorPassword != "" {
		k.SecurityCredential, _ = daraja.SecurityCredential(c.initiatorPassword, readPEM(c.certificate)) // payoutProblems says why not
	}
	return k
}

// PayoutCredentials are what the function asks Safaricom with about payouts.
func (f *Function) PayoutCredentials() daraja.Credentials { return f.config.payoutCredentials }

// payoutProblems names what is wrong with the settings of payouts besides each of them
// alone.
func (c *config) payoutProblems() (problems []string) {
	k := &c.payoutCredentials
	for _, needed := range []struct{ name, value string }{
		{"DARAJA_B2C_CONSUMER_KEY", k.ConsumerKey}, {"DARAJA_B2C_CONSUMER_SECRET", k.ConsumerSecret}, {"DARAJA_B2C_SHORTCODE", k.Shortcode},
	} {
		if needed.value == "" {
			problems = append(problems, needed.name+" is missing")
		}
	}
	if c.b2cShortcode == "" && notDigits(c.shortcode) != "" {
		problems = append(problems, "DARAJA_SHORTCODE "+notDigits(c.shortcode))
	}
	switch {
	case c.securityCredential != "" && c.initiatorPassword != "":
		// A wrong one locks the initiator, and which of them is the right one nobody knows.
		problems = append(problems, "DARAJA_SECURITY_CREDENTIAL and DARAJA_INITIATOR_PASSWORD are both set")
	case c.securityCredential != "":
	case c.initiatorPassword == "":
		problems = append(problems, "DARAJA_INITIATOR_PASSWORD is missing")
	case c.certificate == "":
		problems = append(problems, Certificate+" is missing")
	case k.SecurityCredential == "" && notCertificate(c.certificate) == "":
		problems = append(problems, "DARAJA_INITIATOR_PASSWORD is too long for the key in "+Certificate)
	}
	return problems
}

// payoutUsers is the label of users who may ask for payouts.
func (c *config) payoutUsers() string { return cmp.Or(c.payoutLabel, "payouts") }

// shillings reads a ceiling. What is malformed is 0, over which everything is.
func shillings(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func notShillings(value string) string {
	if shillings(value) == 0 {
		return "is not a whole number of shillings, from 1"
	}
	return ""
}

func notCertificate(value string) string {
	if _, err := daraja.SecurityCredential("x", readPEM(value)); err != nil {
		return "is neither a certificate nor a public key in PEM, with RSA"
	}
	return ""
}

func notCredential(value string) string {
	if encrypted, err := base64.StdEncoding.DecodeString(value); err != nil || len(encrypted) < 128 {
		return "is not a password encrypted with RSA, in base64"
	}
	return ""
}

// readPEM returns the PEM in the value of a variable, whose lines may have been lost on
// the way: a console's field or a file of variables takes one line. They are then
// written as \n, as spaces, or not at all.
func readPEM(value string) []byte {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	_, rest, _ := strings.Cut(value, begin)
	kind, rest, _ := strings.Cut(rest, dashes)
	content, _, found := strings.Cut(rest, end)
	content = strings.Join(strings.Fields(strings.NewReplacer(`\r`, "", `\n`, "").Replace(content)), "")
	der, err := base64.StdEncoding.DecodeString(content)
	if !found || err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
