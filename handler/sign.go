package handler

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
)

// Keyed hashes are HMAC-SHA256 over a purpose and fields, each on a line of its own. No
// field may hold a line break.
const (
	forCallback = "callback"
	forResult   = "b2c/result"
	forTimeout  = "b2c/timeout"
	forStatus   = "b2c/status"
	forRequest  = "request"
	forPhone    = "phone"
)

// keyedHash returns 64 hex digits.
func keyedHash(key []byte, purpose string, fields ...string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\n" + strings.Join(fields, "\n")))
	return hex.EncodeToString(mac.Sum(nil))
}

// keyedHashes returns the hash under each signing key, of which the first is what is
// written and all are compared with: that is how a key is exchanged.
func (c *config) keyedHashes(purpose string, fields ...string) []string {
	hashes := make([]string, len(c.signingKeys))
	for i, key := range c.signingKeys {
		hashes[i] = keyedHash(key, purpose, fields...)
	}
	return hashes
}

// signatureLength is how much of a hash is a URL's signature: 128 bits.
const signatureLength = 32

// verifies reports whether sig is that of a started document's id under any key. How
// long it takes does not depend on how much of a signature was guessed.
func (c *config) verifies(purpose, id, sig string) bool {
	verified := false
	for _, hash := range c.keyedHashes(purpose, id) {
		if hmac.Equal([]byte(hash[:signatureLength]), []byte(sig)) {
			verified = true
		}
	}
	return verified
}

// callbackURL returns the URL to which Safaricom posts what becomes of a started
// payment. The callback secret is part of it, so that an older version of the function,
// after a rollback, still keeps the verdict.
func (c *config) callbackURL(purpose, id string) string {
	address := strings.TrimRight(c.publicURL, "/")
	if len(c.secrets) > 0 {
		address += "/" + c.secrets[0]
	}
	query := url.Values{"id": {id}, "sig": {c.keyedHashes(purpose, id)[0][:signatureLength]}}
	return address + "/" + purpose + "?" + query.Encode()
}

// CallbackURL returns the signed URL to which Safaricom posts what becomes of the started
// payment of that id. It panics without a usable signing key, which [Function.Problems]
// names, and is no URL without the public one.
func (f *Function) CallbackURL(id string) string { return f.config.callbackURL(forCallback, id) }

// StatusURLs returns the signed URLs to which Safaricom posts its answer to a question about
// the payout of that id, and that the question has waited too long in its queue. They need
// what CallbackURL needs.
func (f *Function) StatusURLs(id string) (answer, timeout string) { return f.config.statusURLs(id) }
