package handler

import (
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

// TestPayoutSettings has what may be wrong with the variables for payouts. Each is named,
// all at once, and those of payments are not.
func TestPayoutSettings(t *testing.T) {
	_, certificate := initiatorKey()
	whole := map[string]string{
		"DARAJA_B2C_CONSUMER_KEY": payoutKey, "DARAJA_B2C_CONSUMER_SECRET": payoutSecret, "DARAJA_B2C_SHORTCODE": payoutShortcode,
		"DARAJA_INITIATOR": initiator, "DARAJA_INITIATOR_PASSWORD": initiatorPassword, "DARAJA_CERTIFICATE": certificate,
		"DARAJA_PAYOUT_MAX": "20000", "DARAJA_PAYOUT_DAILY": "100000",
		"DARAJA_ENVIRONMENT": "sandbox", "DARAJA_SIGNING_KEY": signing, "DARAJA_PUBLIC_URL": "https://x.appwrite.run",
	}
	credential := strings.Repeat("QUJD", 86)
	for name, tt := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"complete":            {nil, nil},
		"a label":             {map[string]string{"DARAJA_PAYOUT_LABEL": "treasurer"}, nil},
		"a ready credential":  {map[string]string{"DARAJA_SECURITY_CREDENTIAL": credential, "DARAJA_INITIATOR_PASSWORD": "", "DARAJA_CERTIFICATE": ""}, nil},
		"no initiator":        {map[string]string{"DARAJA_INITIATOR": ""}, []string{"DARAJA_INITIATOR is missing"}},
		"no ceilings":         {map[string]string{"DARAJA_PAYOUT_MAX": "", "DARAJA_PAYOUT_DAILY": ""}, []string{"DARAJA_PAYOUT_MAX is missing", "DARAJA_PAYOUT_DAILY is missing"}},
		"a ceiling of 0":      {map[string]string{"DARAJA_PAYOUT_DAILY": "0"}, []string{"DARAJA_PAYOUT_DAILY is not a whole number of shillings, from 1"}},
		"a ceiling below":     {map[string]string{"DARAJA_PAYOUT_MAX": "-5"}, []string{"DARAJA_PAYOUT_MAX is not a whole number of shillings, from 1"}},
		"a ceiling in words":  {map[string]string{"DARAJA_PAYOUT_MAX": "20,000"}, []string{"DARAJA_PAYOUT_MAX is not a whole number of shillings, from 1"}},
		"a ceiling too large": {map[string]string{"DARAJA_PAYOUT_MAX": "99999999999999999999"}, []string{"DARAJA_PAYOUT_MAX is not a whole number of shillings, from 1"}},
		"no password":         {map[string]string{"DARAJA_INITIATOR_PASSWORD": ""}, []string{"DARAJA_INITIATOR_PASSWORD is missing"}},
		"no certificate":      {map[string]string{"DARAJA_CERTIFICATE": ""}, []string{"DARAJA_CERTIFICATE is missing"}},
		"both":                {map[string]string{"DARAJA_SECURITY_CREDENTIAL": credential}, []string{"DARAJA_SECURITY_CREDENTIAL and DARAJA_INITIATOR_PASSWORD are both set"}},
		"half a certificate":  {map[string]string{"DARAJA_CERTIFICATE": certificate[:len(certificate)/2]}, []string{"DARAJA_CERTIFICATE is neither a certificate nor a public key in PEM, with RSA"}},
		"no certificate in it": {map[string]string{"DARAJA_CERTIFICATE": "-----BEGIN CERTIFICATE-----QUJD-----END CERTIFICATE-----"},
			[]string{"DARAJA_CERTIFICATE is neither a certificate nor a public key in PEM, with RSA"}},
		"a password too long":     {map[string]string{"DARAJA_INITIATOR_PASSWORD": strings.Repeat("x", 250)}, []string{"DARAJA_INITIATOR_PASSWORD is too long for the key in DARAJA_CERTIFICATE"}},
		"a credential of nothing": {map[string]string{"DARAJA_SECURITY_CREDENTIAL": "Nyoka#2026%", "DARAJA_INITIATOR_PASSWORD": ""}, []string{"DARAJA_SECURITY_CREDENTIAL is not a password encrypted with RSA, in base64"}},
		"a short credential":      {map[string]string{"DARAJA_SECURITY_CREDENTIAL": "QUJD", "DARAJA_INITIATOR_PASSWORD": ""}, []string{"DARAJA_SECURITY_CREDENTIAL is not a password encrypted with RSA, in base64"}},
		"a key alone":             {map[string]string{"DARAJA_B2C_CONSUMER_SECRET": ""}, []string{"DARAJA_B2C_CONSUMER_SECRET is missing"}},
		"no keys at all": {map[string]string{"DARAJA_B2C_CONSUMER_KEY": "", "DARAJA_B2C_CONSUMER_SECRET": "", "DARAJA_B2C_SHORTCODE": ""},
			[]string{"DARAJA_B2C_CONSUMER_KEY is missing", "DARAJA_B2C_CONSUMER_SECRET is missing", "DARAJA_B2C_SHORTCODE is missing"}},
		"a shortcode in words":   {map[string]string{"DARAJA_B2C_SHORTCODE": "six"}, []string{"DARAJA_B2C_SHORTCODE is not digits alone"}},
		"no environment":         {map[string]string{"DARAJA_ENVIRONMENT": ""}, []string{"DARAJA_ENVIRONMENT is missing"}},
		"no collection":          {map[string]string{"DARAJA_B2C_COLLECTION_ID": ""}, []string{"DARAJA_B2C_COLLECTION_ID is missing"}},
		"no public URL, in both": {map[string]string{"DARAJA_PUBLIC_URL": "", "DARAJA_CONSUMER_KEY": "k", "DARAJA_CONSUMER_SECRET": "s", "DARAJA_SHORTCODE": "1", "DARAJA_PASSKEY": "p"}, []string{"DARAJA_PUBLIC_URL is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := New(with(merged(whole, tt.change))).Problems()
			if !slices.Equal(got, tt.want) {
				t.Errorf("problems = %q, want %q", got, tt.want)
			}
		})
	}
}

// merged returns all of both, the latter's where both have one.
func merged(all, change map[string]string) map[string]string {
	m := map[string]string{}
	for name, value := range all {
		m[name] = value
	}
	for name, value := range change {
		m[name] = value
	}
	return m
}

// TestSettingsAreReadOnce: what is wrong with the settings is found out once, and not again
// for each request: to prove a certificate means to encrypt with it.
func TestSettingsAreReadOnce(t *testing.T) {
	_, certificate := initiatorKey()
	f := New(with(map[string]string{"DARAJA_CERTIFICATE": certificate, "DARAJA_INITIATOR_PASSWORD": initiatorPassword}))
	if problems := f.config.startProblems[parse.Disbursement]; len(problems) == 0 {
		t.Error("nothing is wrong with half of the settings")
	}
	once, again := f.PayoutCredentials(), f.PayoutCredentials()
	if once.SecurityCredential == "" || once != again {
		t.Error("the password is encrypted anew each time")
	}
}
