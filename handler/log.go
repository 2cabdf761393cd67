package handler

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// Every line of either log is a mark and then keys with their values, those quoted that
// may hold a space. The log has one line for each request, without a mark. Marks of the
// error log are refused, failed, odd, conflict, collision, mismatch, CHARGED-TWICE,
// UNRESOLVED, panic and UNSETTLED. Never logged are keys, secrets, bodies, phone numbers
// and names. An id that Safaricom made is masked, but in an UNSETTLED line; one that an app
// made is not.

// line is the log's one line for a request. name has the route and the document, and
// outcome may have further keys behind it.
func (r *request) line(name string, status parse.Status, outcome string) string {
	return name + " status=" + cmp.Or(string(status), "-") + " outcome=" + outcome +
		" calls=" + strconv.Itoa(r.api.Calls()) + " ms=" + strconv.FormatInt(time.Since(r.start).Milliseconds(), 10)
}

// done is the log's line for a delivery.
func (d *delivery) done(outcome settle.Outcome) string {
	return d.line(d.name, d.document.Status, string(outcome)+" attempt="+strconv.Itoa(d.attempt))
}

// logFailure writes the line for what was not done. The reason is a class of failures or
// a problem's type, or what else people may look for; what is an error or a text.
func (r *request) logFailure(name string, reason, what any) {
	r.ctx.Error(fmt.Sprintf("failed %s reason=%q error=%q", name, reason, what))
}

// nameOf returns route and document, for the log.
func (r *request) nameOf(id string) string { return "route=" + r.route.name + " id=" + safeID(id) }

// logDisagreement writes the lines for two documents of which only one can be right, or
// that came under one id.
func (d *delivery) logDisagreement(result settle.Result) {
	stored, conflict := &result.Stored, result.Outcome == settle.Conflict
	if !conflict && result.Outcome != settle.Collision && result.Outcome != settle.Mismatch {
		return
	}
	d.ctx.Error(fmt.Sprintf("%s %s stored=%q new=%q", result.Outcome, d.name, summary(stored), summary(&d.document)))
	if d.started == "" {
		return
	}
	one, other := stored.Receipt, d.document.Receipt
	switch {
	case conflict && stored.Status == parse.Success && (one == "" || stored.Kind == parse.Disbursement):
		// A SUCCESS without a receipt is what Safaricom said when it was asked. Of a payout
		// it says both with a receipt.
		d.ctx.Error(unresolved(d.route.name, stored, fmt.Sprintf("%s says status=%s code=%d", d.route.name, d.document.Status, d.document.Code)))
	case !conflict && one != "" && other != "" && one != other:
		d.ctx.Error(fmt.Sprintf("CHARGED-TWICE %s receipts=%q", d.name, one+" "+other))
	}
}

// unresolved is the line for a started payment of which the function cannot find out more.
func unresolved(route string, d *settle.Document, why string) string {
	return fmt.Sprintf("UNRESOLVED route=%s id=%s status=%s asked=%d reason=%q", route, safeID(d.DocumentID), d.Status, d.RequestedAmount, why)
}

// safeID returns an id of the kind that an app makes for a started payment, and "?" for
// what could be somebody's data, or is no id.
func safeID(id string) string {
	if !isRequestID(id) {
		return "?"
	}
	return id
}

// summary says what a document says.
func summary(d *settle.Document) string {
	return fmt.Sprintf("status=%s code=%d receipt=%s amount=%d", d.Status, d.Code, d.Receipt, d.Amount)
}

// warn writes a line for each warning.
func (d *delivery) warn(v parse.Verdict, result settle.Result) {
	for _, warning := range d.warnings(v, result) {
		d.ctx.Error(fmt.Sprintf("odd %s reason=%q", d.name, warning))
	}
}

// refused is the line for a body that is not settled. What is too large is not read
// for it.
func refused(route, reason string, body []byte) string {
	line := fmt.Sprintf("refused route=%s reason=%q ", route, reason)
	if len(body) > maxBody {
		return line + fmt.Sprintf("bytes=%d", len(body))
	}
	return line + describeBody(body) + recognize(body)
}

// couldBeCallback reports whether a body that is refused may be somebody's payment:
// JSON, be it cut off or too long, or compressed.
func couldBeCallback(body []byte) bool {
	begin := bytes.TrimLeft(body, " \t\r\n")
	return bytes.HasPrefix(begin, []byte("{")) || bytes.HasPrefix(begin, []byte("[")) || isGzip(body)
}

// isGzip reports whether a body is compressed. Such a body is refused: HTTP lets nobody
// compress a request unasked, and nobody was seen to.
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte("\x1f\x8b")) }

// recognize says of a callback which route takes it and its masked id, so that the
// payment can be found, and of what is compressed that it is.
func recognize(body []byte) string {
	if isGzip(body) {
		return " looks=gzip"
	}
	for _, rt := range routes() {
		// The bare domain takes what /callback takes, and what looks like an answer about
		// a payout looks like a result.
		if rt.parse == nil || rt.path == "" || rt.signed {
			continue
		}
		if v, _, _, err := read(&rt, body); err == nil {
			d := settle.New(v, "", time.Time{})
			return " looks=" + rt.name + " id=" + maskedID(&d)
		}
	}
	return ""
}

// describeBody describes a body without quoting it: its length and the sorted names of
// its members, those left out that could be anything but a name.
func describeBody(body []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return fmt.Sprintf("bytes=%d keys=-", len(body))
	}
	var keys []string
	for key := range members {
		keys = append(keys, appwrite.SafeName(key))
	}
	slices.Sort(keys)
	if len(keys) > 10 {
		keys = append(keys[:10], "...")
	}
	return fmt.Sprintf("bytes=%d keys=%s", len(body), strings.Join(keys, ","))
}

// maskSuffix stands for the last nine characters of an id.
const maskSuffix = "*********"

// maskedID returns the document's id for the log. The last nine characters are hidden,
// which of a CheckoutRequestID are the payer's number, and whatever else could be a
// number in an id that the business chose itself.
func maskedID(d *settle.Document) string {
	id := d.DocumentID[:max(0, len(d.DocumentID)-len(maskSuffix))]
	if d.Kind == parse.Payment {
		return id + maskSuffix
	}
	masked := []byte(id)
	for start := 0; start < len(masked); start++ {
		end := start
		for end < len(masked) && masked[end] >= '0' && masked[end] <= '9' {
			end++
		}
		if end-start >= len(maskSuffix) {
			copy(masked[start:end], strings.Repeat("*", end-start))
		}
		start = end
	}
	return string(masked) + maskSuffix
}
