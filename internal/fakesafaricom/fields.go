package fakesafaricom

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields are those of a request's body, as text.
type fields map[string]string

// A rule is what one field must be. Rules are tried in their order, and the first
// that fails names its field in the refusal.
type rule struct {
	name     string
	fits     func(string) bool
	number   bool   // a whole number, and not only text, is taken
	optional bool   // it may be absent; an empty text counts as absent
	says     string // the name in the refusal, if it is another
}

// readFields returns what the rules make of a body, or the field that they
// refuse. A field without a rule is refused as well: nothing is known of what
// Safaricom does with one, and a misspelt one would be lost in silence.
func readFields(body []byte, rules []rule) (fields, string) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(body, &raw) != nil {
		return nil, rules[0].name
	}
	values := fields{}
	for _, r := range rules {
		name := r.name
		if r.says != "" {
			name = r.says
		}
		value, ok := r.text(raw[r.name])
		if !ok || (value != "" || !r.optional) && !r.fits(value) {
			return nil, name
		}
		values[r.name] = value
		delete(raw, r.name)
	}
	if len(raw) > 0 {
		return nil, slices.Sorted(maps.Keys(raw))[0]
	}
	return values, ""
}

// text returns a JSON value as text. Absent is empty.
func (r rule) text(value json.RawMessage) (string, bool) {
	var text string
	if len(value) == 0 {
		return "", true
	}
	if value[0] == '"' {
		return text, json.Unmarshal(value, &text) == nil
	}
	return string(value), r.number && digits(string(value), 1, 12)
}

func digits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// shortcode takes pay bill, till and store numbers. Those seen have five to seven
// digits.
func shortcode(s string) bool { return digits(s, 5, 7) }

// msisdn takes 2547… and 2541… with twelve digits (observed, documented).
func msisdn(s string) bool {
	return digits(s, 12, 12) && (strings.HasPrefix(s, "2547") || strings.HasPrefix(s, "2541"))
}

// amount takes whole shillings from least to 250,000 (documented).
func amount(least int64) func(string) bool {
	return func(s string) bool {
		n, err := strconv.ParseInt(s, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == s && n >= least && n <= 250_000
	}
}

// timestamp takes yyyyMMddHHmmss (documented).
func timestamp(s string) bool {
	_, err := time.Parse("20060102150405", s)
	return err == nil && digits(s, 14, 14)
}

func base64Text(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) > 0
}

func oneOf(choices ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(choices, s) }
}

func length(least, most int) func(string) bool {
	return func(s string) bool { return len(s) >= least && len(s) <= most }
}

// text takes letters, digits, spaces and hyphens, and the three characters on
// which requests break (see enter). Of other characters nothing is known.
func text(least, most int) func(string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return func(s string) bool {
		return len(s) >= least && len(s) <= most && strings.Trim(s, letters+"0123456789 -@#&") == ""
	}
}

// callbackURL takes a public https URL (documented) without the words that
// Safaricom refuses in URLs in any case (documented for C2B; the sandbox took one
// with mpesa for a push) or the tunnels that it names (the same), and with its
// host in small letters (observed once, without a cause).
func (s *Safaricom) callbackURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Host != strings.ToLower(u.Host) {
		return false
	}
	lower := strings.ToLower(raw)
	for _, word := range []string{"m-pesa", "mpesa", "safaricom", "exe", "cmd", "sql", "query", "ngrok", "mockbin", "requestbin"} {
		if strings.Contains(lower, word) {
			return false
		}
	}
	host := u.Hostname()
	address, err := netip.ParseAddr(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback() {
		return s.AllowLoopback && (u.Scheme == "http" || u.Scheme == "https")
	}
	public := err != nil && strings.Contains(host, ".") || err == nil && address.IsGlobalUnicast() && !address.IsPrivate()
	return u.Scheme == "https" && public
}
