package handler

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
)

const byteOrderMark = "\uFEFF"

// callbacks has one payload for each route, and how the log names it.
var callbacks = map[string]string{
	"stk/paid":         "route=callback id=ws_CO_23112026140731772*********",
	"b2c/paid":         "route=b2c/result id=daa6-4d1a-af61-120b12394*********",
	"timeout/envelope": "route=b2c/timeout id=daa6-4d1a-af61-120b12394*********",
}

// TestAroundCallback: a byte order mark before a callback, and anything after it,
// cost no verdict. What came after is said, and not quoted.
func TestAroundCallback(t *testing.T) {
	t.Parallel()
	another := stkCallback("ws_CO_24112026140731772700000012", 1, "")
	tests := []struct {
		name, before, after string
		warning             string
	}{
		{"a byte order mark", byteOrderMark, "", ""},
		{"a byte order mark and white space", byteOrderMark + " \r\n", "\n", ""},
		{"white space", " ", "\n\n\t ", ""},
		{"a brace", "", "}", "after the callback: bytes=1"},
		{"braces and a line break", "", "}}\n", "after the callback: bytes=2"},
		{"a semicolon", "", ";", "after the callback: bytes=1"},
		{"a NUL", "", "\x00", "after the callback: bytes=1"},
		{"a mark and many NULs", byteOrderMark, strings.Repeat("\x00", 300), "after the callback: bytes=300"},
		{"no UTF-8", "", "\xff\xfe", "after the callback: bytes=2"},
		{"a signature", "", "sig=Amina-254700000001", "after the callback: bytes=22"},
		{"half a second body", "", another[:40], "after the callback: bytes=40"},
		{"a second body", "", another, fmt.Sprintf("after the callback: bytes=%d looks=callback id=ws_CO_24112026140731772*********", len(another))},
	}
	for _, tt := range tests {
		for name, logged := range callbacks {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if got := w.Post(target(name), tt.before+payload(t, name)+tt.after); got != 200 {
					t.Errorf("reply %d, want 200", got)
				}
				if got, want := w.Status(), map[bool]string{true: "TIMEOUT", false: "SUCCESS"}[name == "timeout/envelope"]; got != want {
					t.Errorf("the document says %s, want %s", got, want)
				}
				logs, errors := w.Logged()
				if len(logs) != 1 || !strings.HasPrefix(logs[0], logged) {
					t.Errorf("log = %q, want a line of %s", logs, logged)
				}
				if !strings.Contains(logs[0], " outcome=created ") {
					t.Errorf("log = %q, want it created", logs)
				}
				var want []string
				if tt.warning != "" {
					want = []string{fmt.Sprintf("odd %s reason=%q", logged, tt.warning)}
				}
				if !slices.Equal(errors, want) {
					t.Errorf("error log = %q, want %q", errors, want)
				}
			})
		}
	}
}

// TestAroundCallbackQueued: what waits is the callback alone, which no version and
// no server can take amiss.
func TestAroundCallbackQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Set("DARAJA_COLLECTION_ID", "gone")
	body := strings.TrimSpace(payload(t, "stk/paid"))
	if got := w.Post("/callback?uid=amina", byteOrderMark+"\n"+body+"\x00};"); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	waiting := w.Appwrite.Waiting()
	if len(waiting) != 3 {
		t.Fatalf("%d executions wait, want 3", len(waiting))
	}
	for _, e := range waiting {
		if e.Body != body {
			t.Errorf("%q waits, want the callback alone", e.Body)
		}
	}
	w.Logged()
	w.Set("DARAJA_COLLECTION_ID", "payments")
	w.Later(30 * day)
	if got := w.Status(); got != "SUCCESS" {
		t.Errorf("later the document says %s, want SUCCESS", got)
	}
	if _, errors := w.Logged(); len(errors) != 0 {
		t.Errorf("error log = %q, want nothing more", errors)
	}
}

// TestAfterNotFinal: a message that is no verdict yet may have the verdict behind it,
// which is not read, and so an operator must hear of it.
func TestAfterNotFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.Post("/b2c/result", payload(t, "b2c/type-1")+payload(t, "b2c/paid")); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	line := w.errorLog()
	if !strings.HasPrefix(line, `odd route=b2c/result reason="after the callback: bytes=`) {
		t.Errorf("error log = %q, want an odd line", line)
	}
	if !strings.HasSuffix(line, ` looks=b2c/result id=daa6-4d1a-af61-120b12394*********"`) {
		t.Errorf("error log = %q, want what came after", line)
	}
}

// TestNoCallback: what is no JSON at all, or no callback, is refused as before.
func TestNoCallback(t *testing.T) {
	t.Parallel()
	stk := payload(t, "stk/paid")
	for name, tt := range map[string]struct{ body, reason, rest string }{
		"nothing":              {"", "not JSON at byte 0", "bytes=0 keys=-"},
		"a mark alone":         {byteOrderMark, "not JSON at byte 0", "bytes=0 keys=-"},
		"two marks":            {byteOrderMark + byteOrderMark + stk, "not JSON at byte 1", fmt.Sprintf("bytes=%d keys=-", len(stk)+3)},
		"UTF-16":               {"\xff\xfe{\x00}\x00", "not JSON at byte 1", "bytes=6 keys=-"},
		"text":                 {"Amina", "not JSON at byte 1", "bytes=5 keys=-"},
		"text before":          {"x" + stk, "not JSON at byte 1", fmt.Sprintf("bytes=%d keys=-", len(stk)+1)},
		"cut off":              {stk[:100], "not JSON at byte 100", "bytes=100 keys=-"},
		"no id, and a brace":   {"{}}", "not JSON at byte 3", "bytes=3 keys=-"},
		"a number, and text":   {"1 x", "not JSON at byte 3", "bytes=3 keys=-"},
		"the other route's":    {payload(t, "b2c/paid"), "Body.stkCallback.CheckoutRequestID: missing", "keys=Result looks=b2c/result id=daa6-4d1a-af61-120b12394*********"},
		"a mark, and no id":    {byteOrderMark + "{}", "Body.stkCallback.CheckoutRequestID: missing", "bytes=2 keys="},
		"the callback, zipped": {zipped(t, stk), "not JSON at byte 1", "keys=- looks=gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.Send("POST", "/callback", tt.body)
			if r.Status != 400 {
				t.Errorf("reply %d, want 400", r.Status)
			}
			if want := fmt.Sprintf(`{"ResultCode":1,"ResultDesc":%q}`, tt.reason); r.Body != want {
				t.Errorf("reply %s, want %s", r.Body, want)
			}
			line := w.errorLog()
			if want := fmt.Sprintf("refused route=callback reason=%q bytes=", tt.reason); !strings.HasPrefix(line, want) {
				t.Errorf("error log = %q, want it to begin with %s", line, want)
			}
			if !strings.HasSuffix(line, tt.rest) {
				t.Errorf("error log = %q, want it to end with %s", line, tt.rest)
			}
			if calls := w.Operations(); calls != "" {
				t.Errorf("calls = %q, want none", calls)
			}
		})
	}
}

func zipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRefusedElsewhere: whatever could have been a callback leaves a line, also at an
// address or with a method that is none of ours. What could not, leaves none.
func TestRefusedElsewhere(t *testing.T) {
	t.Parallel()
	stk := payload(t, "stk/paid")
	const away = `refused route=- reason="unknown path, or without the callback secret" bytes=`
	const paid = " keys=Body looks=callback id=ws_CO_23112026140731772*********"
	for name, tt := range map[string]struct {
		method, target, body string
		begin, end           string // of the line; empty for none
	}{
		"capitals":             {"POST", "/Callback?uid=amina", stk, away, paid},
		"no question mark":     {"POST", "/callback&uid=amina", stk, away, paid},
		"an older secret":      {"POST", "/" + oldSecret + "/callback", stk, away, paid},
		"with a mark":          {"POST", "/x", byteOrderMark + stk, away, paid},
		"with a brace":         {"POST", "/x", stk + "}", away, " keys=- looks=callback id=ws_CO_23112026140731772*********"},
		"cut off":              {"POST", "/x", stk[:200], away + "200 keys=-", ""},
		"zipped":               {"POST", "/x", zipped(t, stk), away, " keys=- looks=gzip"},
		"within a list":        {"POST", "/x", "[" + stk + "]", away, " keys=-"},
		"too large":            {"POST", "/x", stk + strings.Repeat(" ", maxBody), away + fmt.Sprint(len(stk)+maxBody), ""},
		"as large as allowed":  {"POST", "/x", stk + strings.Repeat(" ", maxBody-len(stk)), away + fmt.Sprint(maxBody), paid},
		"PUT":                  {"PUT", "/callback", stk, `refused route=callback reason="POST only" bytes=`, paid},
		"PUT of a large one":   {"PUT", "/callback", stk + strings.Repeat(" ", maxBody), `refused route=callback reason="POST only" bytes=`, ""},
		"POST to health":       {"POST", "/health", stk, `refused route=health reason="GET only" bytes=`, paid},
		"text":                 {"POST", "/x", "x", "", ""},
		"a form":               {"POST", "/x", "a=%7B", "", ""},
		"nothing":              {"GET", "/x", "", "", ""},
		"another method":       {"GET", "/callback", "", "", ""},
		"text, another method": {"PUT", "/callback", "x", "", ""},
		"large text":           {"POST", "/x", strings.Repeat("x", maxBody+1), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if r := w.Send(tt.method, tt.target, tt.body); r.Status != 404 && r.Status != 405 {
				t.Errorf("%d, want it turned away", r.Status)
			}
			line := w.errorLog()
			if !strings.HasPrefix(line, tt.begin) {
				t.Errorf("error log = %q, want it to begin with %s", line, tt.begin)
			}
			if !strings.HasSuffix(line, tt.end) {
				t.Errorf("error log = %q, want it to end with %s", line, tt.end)
			}
			if (line == "") != (tt.begin == "") {
				t.Errorf("error log = %q, want a line: %t", line, tt.begin != "")
			}
			if strings.Contains(line, oldSecret) || strings.Contains(line, "amina") {
				t.Errorf("error log = %q, which quotes the address", line)
			}
		})
	}
}

// TestIncomplete: an operator hears of a SUCCESS that no app shows, and not of one
// beside which a complete one stands.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	const id = "ws_CO_23112026140731772700000011"
	bare, full := stkCallback(id, 0, ""), stkCallback(id, 0, "UKN4T8W2QD")
	another := strings.Replace(bare, `"ResultDesc"`, `"CallbackMetadata":{"Item":{"Name":"Amount","Value":7}},"ResultDesc"`, 1)
	lost := fakeappwrite.Fault{Operation: "create", Times: 1, After: true, Reply: fakeappwrite.HTML(502)}
	down := fakeappwrite.Fault{Operation: "create", Reply: fakeappwrite.HTML(503)}
	for name, tt := range map[string]struct {
		before []string
		body   string
		fault  *fakeappwrite.Fault
		want   bool
	}{
		"alone":                        {nil, bare, nil, true},
		"after a timeout":              {[]string{stkCallback(id, 1037, "")}, bare, nil, true},
		"once more":                    {[]string{bare}, bare, nil, true},
		"after the complete one":       {[]string{full}, bare, nil, false},
		"contradicting a complete one": {[]string{full}, another, nil, false},
		"the answer was lost":          {nil, bare, &lost, true},
		"it is queued":                 {nil, bare, &down, false},
		"complete":                     {[]string{bare}, full, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, body := range tt.before {
				w.Post("/callback?uid=amina", body)
			}
			if tt.fault != nil {
				w.Appwrite.Inject(*tt.fault)
			}
			w.Logged()
			if got := w.Post("/callback?uid=amina", tt.body); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			_, errors := w.Logged()
			line := `odd route=callback id=ws_CO_23112026140731772********* reason="SUCCESS without receipt or amount: the app shows it to nobody"`
			if got := slices.Contains(errors, line); got != tt.want {
				t.Errorf("error log = %q, that it is not shown: %t, want %t", errors, got, tt.want)
			}
			w.Appwrite.Heal()
			w.Later(3 * time.Minute)
			if _, errors := w.Logged(); tt.fault == &down && !slices.Contains(errors, line) {
				t.Errorf("error log once it is stored = %q, want that it is not shown", errors)
			}
		})
	}
}
