package handler

import (
	"strings"
	"testing"
	"time"
)

const (
	secret    = "3f9c0a55d1e84b27a6f0c9e1b2d3f4a5"
	oldSecret = "0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5a"
)

// TestSecret: with it everything works as without one. Without it, or with
// another, everything but /health is an unknown path, to the byte, and nothing is
// called.
func TestSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Secrets = []string{secret, oldSecret}
	stk, b2c := payload(t, "stk/paid"), payload(t, "b2c/paid")
	const unknown = `application/json; charset=utf-8{"ResultCode":1,"ResultDesc":"unknown path"}`
	for _, method := range []string{"POST", "GET", "PUT", "DELETE", "OPTIONS"} {
		for _, path := range []string{"/nowhere", "/callback", "/", "/b2c/result", "/b2c/timeout", "/callback/",
			"/" + secret[:31] + "/callback", "/" + secret + "x/callback", "/x" + secret + "/callback", "/" + strings.ToUpper(secret) + "/callback",
			"/" + secret + "," + oldSecret + "/callback", "/" + secret + "/" + secret + "/callback",
			"/" + secret[:16] + "/callback", "/0/callback", "//callback", "/" + secret + "/nowhere", "/" + secret + "/callback/x",
			"/x/health", "/" + secret[:31] + "/health", "/?secret=" + secret, "/callback?" + secret,
			"/" + secret[:16] + "/" + secret[16:] + "/callback", "/" + secret[:16] + "//" + secret[16:] + "/callback", "//" + secret[:31] + "//callback/",
			"/callback//" + secret, "//", "///callback//",
		} {
			if status, reply := w.ask(method, path, stk); status != 404 || reply != unknown {
				t.Errorf("%s %s: %d %s, want 404 %s", method, path, status, reply, unknown)
			}
		}
	}
	if calls := w.operations(); calls != "" || len(w.stored()) != 0 {
		t.Errorf("calls %q and %d documents without the secret, want none", calls, len(w.stored()))
	}

	for path, body := range map[string]string{
		"/" + secret + "/callback?uid=amina":        stk,
		"/" + secret + "/callback/":                 stk,
		"/" + secret:                                stk,
		"/" + secret + "/":                          stk,
		"/" + oldSecret + "/callback":               stk,
		"//" + secret + "/callback":                 stk,
		"/" + secret + "//callback/":                stk,
		"///" + secret + "///callback///":           stk,
		"//" + secret + "//":                        stk,
		"/" + secret + "//b2c//result":              b2c,
		"/" + secret + "/b2c/result?uid=amina":      b2c,
		"/" + oldSecret + "/b2c/timeout/?uid=amina": b2c,
	} {
		if status, reply := w.ask("POST", path, body); status != 200 {
			t.Errorf("POST %s: %d %s, want 200", path, status, reply)
		}
	}
	if len(w.stored()) != 2 {
		t.Errorf("%d documents, want 2", len(w.stored()))
	}
	if status, reply := w.ask("GET", "/"+secret+"/callback", ""); status != 405 || !strings.Contains(reply, "POST only") {
		t.Errorf("GET with the secret: %d %s, want 405", status, reply)
	}
}

// TestHealthWithSecret: strangers learn nothing, who knows the secret learns
// which settings there are and no value.
func TestHealthWithSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.Secrets = []string{secret}
	w.config.DisbursementsID = ""
	if status, reply := w.ask("GET", "/health", ""); status != 200 || !strings.HasSuffix(reply, `{"status":"ok","version":"`+Version+`"}`) {
		t.Errorf("health: %d %s", status, reply)
	}
	const settings = `"settings":{"APPWRITE_FUNCTION_API_ENDPOINT":true,"APPWRITE_FUNCTION_ID":true,"APPWRITE_FUNCTION_PROJECT_ID":true,` +
		`"DARAJA_ANONYMOUS_READ":false,"DARAJA_B2C_COLLECTION_ID":false,"DARAJA_CALLBACK_SECRET":true,"DARAJA_COLLECTION_ID":true,"DARAJA_DATABASE_ID":true}}`
	if status, reply := w.ask("GET", "/"+secret+"/health/", ""); status != 200 || !strings.HasSuffix(reply, settings) {
		t.Errorf("health with the secret: %d %s, want %s", status, reply, settings)
	}
}

// TestMalformedSecret works as it is, and /health says so. No message quotes it.
func TestMalformedSecret(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"short", "With-Capitals-In-It", "has/a/slash/in/it", "has a space in it", strings.Repeat("x", 65), secret + ",", ",", secret + ", short"} {
		w := newWorld(t)
		w.config.Secrets = secrets(list)
		first := strings.ReplaceAll(w.config.Secrets[0], " ", "%20")
		if status, _ := w.ask("POST", "/"+first+"/callback", payload(t, "stk/paid")); status != 200 {
			t.Errorf("POST with the secret of %q: %d, want 200", list, status)
		}
		if status, _ := w.ask("POST", "/callback", payload(t, "stk/paid")); status != 404 {
			t.Errorf("POST without the secret of %q: %d, want 404", list, status)
		}
		want := 503
		if list == secret+"," {
			want = 200
		}
		if status, reply := w.ask("GET", "/health", ""); status != want || list != "," && strings.Contains(reply, w.config.Secrets[0]) {
			t.Errorf("health with %q: %d %s, want %d", list, status, reply, want)
		}
		if logs, errors := w.Logged(); strings.Contains(strings.Join(append(logs, errors...), "\n"), w.config.Secrets[0]) && list != "," {
			t.Errorf("the log quotes the secret %q: %q", list, errors)
		}
	}
}

// TestSlashesInSecret: slashes too many are dropped from a secret as from a path, so
// that a malformed one works too. One of slashes alone would then be none at all,
// and opens nothing.
func TestSlashesInSecret(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]int{"/": 404, "///": 404, "/,//": 404, "a//b": 200, "/a": 200, "a/": 200, "/,a": 200} {
		w := newWorld(t)
		w.config.Secrets = secrets(list)
		last := w.config.Secrets[len(w.config.Secrets)-1]
		if status, _ := w.ask("POST", "/"+last+"/callback", payload(t, "stk/paid")); status != want {
			t.Errorf("POST with the secret of %q: %d, want %d", list, status, want)
		}
		for _, path := range []string{"/callback", "//callback", "/", "//"} {
			if status, _ := w.ask("POST", path, payload(t, "stk/paid")); status != 404 {
				t.Errorf("POST %s, and the secret is %q: %d, want 404", path, list, status)
			}
		}
		if status, _ := w.ask("GET", "/health", ""); status != 503 {
			t.Errorf("health with %q: %d, want 503", list, status)
		}
	}
}

// TestRotation: what waits in the queue carries the secret that it came with, and
// settles as long as that stays in the list.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{oldSecret, "odd secret/%zz"} {
		w := newWorld(t)
		w.config.Secrets = []string{odd}
		w.config.PaymentsID = "gone"
		escaped := strings.NewReplacer(" ", "%20", "%", "%25").Replace(odd)
		if status, _ := w.ask("POST", "/"+escaped+"/callback?uid=amina", payload(t, "stk/paid")); status != 200 || len(w.Appwrite.Waiting()) != 3 {
			t.Fatalf("%d and %d executions wait, want 200 and 3", status, len(w.Appwrite.Waiting()))
		}
		w.config.PaymentsID = "payments"
		w.config.Secrets = []string{secret, odd}
		w.later(3 * time.Minute)
		if got := w.status(); got != "SUCCESS" {
			t.Errorf("with the old secret in the list the document says %s, want SUCCESS", got)
		}
	}
}

// TestTurnedAway: a callback at a wrong address is somebody's payment. The
// operator hears of it, without a number or a path.
func TestTurnedAway(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {secret}} {
		w := newWorld(t)
		w.config.Secrets = secrets
		for name, want := range map[string]string{
			"stk/paid":         "looks=callback id=ws_CO_23112026140731772*********",
			"b2c/paid":         "looks=b2c/result id=daa6-4d1a-af61-120b12394*********",
			"timeout/flat":     "looks=b2c/timeout id=",
			"stk/not-json":     "",
			"stk/no-id":        " keys=Body",
			"stk/empty-object": " bytes=3 keys=",
		} {
			w.ask("POST", "/calback/"+oldSecret, payload(t, name))
			_, errors := w.Logged()
			line := strings.Join(errors, "\n")
			if want == "" && line != "" || !strings.Contains(line, want) || strings.Contains(line, oldSecret) || strings.Contains(line, "calback/") {
				t.Errorf("%s at a wrong address: error log %q, want %q", name, line, want)
			}
		}
	}
}
