package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"openruntimes/handler/parse"
)

// document is a payment's or payout's, as Appwrite shows it.
type document struct {
	id, collection string
	status         parse.Status
	code           int
	name           string // Safaricom's id for it
	receipt        string
	amount         int64
	requested      int64
	reference      string
	reason         string
	receiver       string
	createdAt      time.Time
	settledAt      time.Time
	mpesaAt        time.Time
}

// readDocument reads one, and takes whatever type a field comes in: a field that makes no
// sense is absent, and the status counts all the same. ok is false if there is no id.
func readDocument(text []byte) (d document, ok bool) {
	var fields map[string]json.RawMessage
	if !decode(text, &fields) {
		return document{}, false
	}
	str := func(name string) string { return scalar(fields[name]) }
	number := func(name string) int64 {
		n, err := strconv.ParseFloat(str(name), 64)
		if err != nil {
			return 0
		}
		return int64(n)
	}
	at := func(name string) time.Time {
		t, err := time.Parse(time.RFC3339, str(name))
		if err != nil {
			return time.Time{}
		}
		return t.UTC()
	}
	d = document{
		id: str("$id"), collection: str("$collectionId"), status: parse.Status(str("status")), code: parse.NoCode,
		name: cmp.Or(str("checkoutRequestId"), str("conversationId")), receipt: str("receipt"),
		amount: number("amount"), requested: number("requestedAmount"), reference: str("reference"),
		reason: str("failureReason"), receiver: str("receiverName"),
		createdAt: at("$createdAt"), settledAt: at("settledAt"), mpesaAt: at("mpesaTimestamp"),
	}
	if code, err := strconv.Atoi(str("resultCode")); err == nil {
		d.code = code
	}
	return d, d.id != ""
}

// decode reads JSON as far as it fits v: parts of another type stay zero. It reports
// whether it was JSON.
func decode(text []byte, v any) bool {
	var syntax *json.SyntaxError
	return !errors.As(json.Unmarshal(text, v), &syntax)
}

// scalar is a text, or a number as it is written; anything else is empty.
func scalar(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && strings.ContainsRune("-0123456789", rune(raw[0])) {
		return string(raw)
	}
	return ""
}

// unsent reports whether it was refused, or given up, before Safaricom had named it, or
// has only been noted down so far. The reply to whoever asked for it says more.
func (d document) unsent() bool {
	return d.name == "" && (d.status == parse.Failed || d.status == "PENDING" && strings.HasPrefix(d.reason, parse.NotSent))
}
