package testbed

import (
	"encoding/json"
	"regexp"
	"strings"
)

// numbers are the payers' and payees' in testdata, in whole or in their last nine
// digits.
var numbers = regexp.MustCompile(`[71]000000(0[1-9]|[1-9]\d)`)

// checkLog holds every line that the function logged to what a log may hold.
func (w *World) checkLog() {
	w.t.Helper()
	var names []string
	for _, d := range w.Appwrite.Documents(database, disbursements) {
		if name, ok := d.Data["receiverName"].(string); ok {
			names = append(names, strings.FieldsFunc(name, func(c rune) bool { return c < 'A' })...)
		}
	}
	for _, e := range w.Appwrite.Executions() {
		for _, line := range strings.Split(e.Logs+"\n"+e.Errors, "\n") {
			if problem := w.unfit(line, names); problem != "" {
				w.t.Errorf("the log has %s: %s", problem, line)
			}
		}
	}
}

// unfit names what must not be in a line, or returns "". The ids in an UNSETTLED line
// are the one exception.
func (w *World) unfit(line string, names []string) string {
	if rest, marked := strings.CutPrefix(line, "UNSETTLED "); marked {
		var u struct{ Data map[string]any }
		if json.Unmarshal([]byte(rest), &u) != nil || u.Data == nil {
			return "half an UNSETTLED line"
		}
		delete(u.Data, "checkoutRequestId")
		delete(u.Data, "originatorConversationId")
		without, _ := json.Marshal(u.Data)
		line = string(without)
	}
	for _, name := range names {
		if len(name) > 3 && name[0] <= 'Z' && strings.Contains(line, name) { // no name begins small
			return "a name"
		}
	}
	secrets := strings.Split(w.Getenv("DARAJA_CALLBACK_SECRET"), ",")
	for _, secret := range append(secrets, FunctionKey, "127.0.0.1", "/databases/", "user:", "amina") {
		if secret = strings.TrimSpace(secret); len(secret) > 4 && strings.Contains(line, secret) {
			return "a secret, a URL or a user"
		}
	}
	if numbers.MatchString(line) {
		return "a number"
	}
	return ""
}
