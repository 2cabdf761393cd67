package daraja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxReason = 200      // characters; Safaricom's own reasons have at most a hundred
	removed   = "\u2026" // stands for what was taken out
)

// clean makes a text of Safaricom's fit for a log and a reply. Out of it go known
// secrets, tags, addresses, what looks like a key, and any seven digits that no
// letter parts: masked phone numbers have as many. An error code in the text goes
// with them; it has a field of its own.
func clean(s string, secrets []string) string {
	blank := func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }
	s = strings.Join(strings.FieldsFunc(withoutTags(strings.ToValidUTF8(s, " ")), blank), " ")
	words := strings.Split(hide(s, secrets), " ")
	for i, word := range words {
		if isForeign(word) {
			words[i] = removed
		}
	}
	s = withoutNumbers(strings.Join(words, " "))
	if utf8.RuneCountInString(s) > maxReason {
		s = string([]rune(s)[:maxReason-1]) + removed
	}
	return s
}

// withoutTags replaces tags by spaces. One that does not end takes the rest along.
func withoutTags(s string) string {
	for {
		before, rest, found := strings.Cut(s, "<")
		if !found {
			return s
		}
		_, after, _ := strings.Cut(rest, ">")
		s = before + " " + after
	}
}

// isForeign reports whether a word is a URL or a path, as it stands or escaped, or
// may be a token, a password or an id.
func isForeign(word string) bool {
	return strings.ContainsAny(word, `/\`) || strings.Contains(strings.ToLower(word), "%2f") || strings.Contains(strings.ToLower(word), "www.") ||
		len(word) >= 20 && strings.ContainsAny(word, "0123456789")
}

// withoutNumbers takes out each run of seven digits or more, whatever but
// letters stands between them.
func withoutNumbers(s string) string {
	var b strings.Builder
	kept, from, to, digits := 0, 0, 0, 0 // the run is s[from:to]
	for i, c := range s + "x" {          // a letter, which ends the last run
		switch {
		case unicode.IsDigit(c):
			if digits == 0 {
				from = i
			}
			to = i + utf8.RuneLen(c)
			digits++
		case unicode.IsLetter(c):
			if digits >= 7 {
				b.WriteString(s[kept:from] + removed)
				kept = to
			}
			digits = 0
		}
	}
	return b.String() + s[kept:]
}

// hide replaces secrets.
func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, removed)
		}
	}
	return s
}

// cleanCode returns a code as it is, or "" if it is nothing that a code can be.
func cleanCode(code string, secrets []string) string {
	foreign := func(c rune) bool {
		return !strings.ContainsRune(".-_", c) && (c > '~' || !unicode.IsLetter(c) && !unicode.IsDigit(c))
	}
	parts := strings.ReplaceAll(code, ".", "x") // 500.001.1001 is no phone number
	if len(code) > 80 || strings.ContainsFunc(code, foreign) || withoutNumbers(parts) != parts || hide(code, secrets) != code {
		return ""
	}
	return code
}
