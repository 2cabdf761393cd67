package handler

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"openruntimes/handler/internal/testbed"
)

// numbers are the payers' and payees' in testdata, in whole or in their last nine
// digits.
var numbers = regexp.MustCompile(`[71]000000(0[1-9]|[1-9]\d)`)

// checkLog holds every line that a world logged to what a log may hold. It runs
// at the end of each test that has a world.
func checkLog(t testing.TB, w *world) {
	var names []string
	for _, d := range w.Appwrite.Documents("daraja", "disbursements") {
		if name, ok := d.Data["receiverName"].(string); ok {
			names = append(names, strings.FieldsFunc(name, func(c rune) bool { return c < 'A' })...)
		}
	}
	for _, e := range w.Appwrite.Executions() {
		for _, line := range strings.Split(e.Logs+"\n"+e.Errors, "\n") {
			if problem := unfit(w, line, names); problem != "" {
				t.Errorf("the log holds %s: %s", problem, line)
			}
		}
	}
}

// unfit names what must not be in a line. The id in an UNSETTLED line is the one
// exception.
func unfit(w *world, line string, names []string) string {
	if rest, marked := strings.CutPrefix(line, unsettledMark); marked {
		var u struct {
			Route, UID, ID string
			Data           map[string]any
		}
		if json.Unmarshal([]byte(rest), &u) != nil {
			return "half an UNSETTLED line"
		}
		u.ID, u.Data["checkoutRequestId"], u.Data["originatorConversationId"] = "", "", ""
		u.UID = ""
		without, _ := json.Marshal(u)
		line = string(without)
	}
	for _, name := range names {
		if len(name) > 3 && strings.Contains(line, name) {
			return "a name"
		}
	}
	for _, secret := range append(w.config.Secrets, testbed.FunctionKey, "127.0.0.1", "/databases/", "user:") {
		if len(secret) > 4 && strings.Contains(line, secret) {
			return "a secret, a URL or a user"
		}
	}
	if numbers.MatchString(line) {
		return "a number"
	}
	return ""
}
