package handler

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	secret    = "3f9c0a55d1e84b27a6f0c9e1b2d3f4a5"
	oldSecret = "0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5a"
)

// TestWithoutSecret: without it, or with another, everything but /health is an unknown
// path, to the byte, and nothing is called.
func TestWithoutSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Set(CallbackSecret, secret+","+oldSecret)
	stk := payload(t, "stk/paid")
	unknown := w.Send("POST", "/nowhere", stk)
	if unknown.Status != 404 || unknown.Body != `{"ResultCode":1,"ResultDesc":"unknown path"}` {
		t.Fatalf("an unknown path: %d %s", unknown.Status, unknown.Body)
	}
	for _, path := range []string{"/nowhere", "/callback", "/", "/b2c/result", "/b2c/timeout", "/callback/",
		"/" + secret[:31] + "/callback", "/" + secret + "x/callback", "/x" + secret + "/callback", "/" + strings.ToUpper(secret) + "/callback",
		"/" + secret + "," + oldSecret + "/callback", "/" + secret + "/" + secret + "/callback",
		"/" + secret[:16] + "/callback", "/0/callback", "//callback", "/" + secret + "/nowhere", "/" + secret + "/callback/x",
		"/x/health", "/" + secret[:31] + "/health", "/?secret=" + secret, "/callback?" + secret,
		"/" + secret[:16] + "/" + secret[16:] + "/callback", "/" + secret[:16] + "//" + secret[16:] + "/callback", "//" + secret[:31] + "//callback/",
		"/callback//" + secret, "//", "///callback//",
	} {
		for _, method := range []string{"POST", "GET", "PUT", "DELETE", "OPTIONS"} {
			t.Run(method+" "+path, func(t *testing.T) {
				path, query, _ := strings.Cut(path, "?")
				r := w.Handle(method, path, query, http.Header{}, stk)
				if r.Status != 404 {
					t.Errorf("reply %d, want 404", r.Status)
				}
				if r.Body != unknown.Body {
					t.Errorf("reply %s, want %s", r.Body, unknown.Body)
				}
				if got := r.Header.Get("Content-Type"); got != unknown.Header.Get("Content-Type") {
					t.Errorf("Content-Type %q, want %q", got, unknown.Header.Get("Content-Type"))
				}
				if got := r.Header.Get("Allow"); got != "" {
					t.Errorf("Allow %q, which says that the path is known", got)
				}
				if calls := w.Operations(); calls != "" {
					t.Errorf("calls = %q, want none", calls)
				}
			})
		}
	}
}

// TestWithSecret: with it everything works as without one.
func TestWithSecret(t *testing.T) {
	t.Parallel()
	for path, name := range map[string]string{
		"/" + secret + "/callback":        "stk/paid",
		"/" + secret + "/callback/":       "stk/paid",
		"/" + secret:                      "stk/paid",
		"/" + secret + "/":                "stk/paid",
		"/" + oldSecret + "/callback":     "stk/paid",
		"//" + secret + "/callback":       "stk/paid",
		"/" + secret + "//callback/":      "stk/paid",
		"///" + secret + "///callback///": "stk/paid",
		"//" + secret + "//":              "stk/paid",
		"/" + secret + "//b2c//result":    "b2c/paid",
		"/" + secret + "/b2c/result":      "b2c/paid",
		"/" + oldSecret + "/b2c/timeout/": "timeout/envelope",
		"/" + oldSecret + "/b2c/timeout":  "timeout/envelope",
		"/" + secret + "/b2c/timeout//":   "timeout/envelope",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Set(CallbackSecret, secret+","+oldSecret)
			if got := w.Post(path+"?uid=amina", payload(t, name)); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if n := len(w.Stored()); n != 1 {
				t.Errorf("%d documents, want 1", n)
			}
		})
	}
	t.Run("another method", func(t *testing.T) {
		w := newWorld(t)
		w.Set(CallbackSecret, secret)
		if r := w.Send("GET", "/"+secret+"/callback", ""); r.Status != 405 || r.Header.Get("Allow") != "POST" {
			t.Errorf("reply %d, Allow %q, want 405 and POST", r.Status, r.Header.Get("Allow"))
		}
	})
}

// TestMalformedSecret works as it is, and /health says so. No message quotes it.
func TestMalformedSecret(t *testing.T) {
	t.Parallel()
	for list, health := range map[string]int{
		"short": 503, "With-Capitals-In-It": 503, "has/a/slash/in/it": 503, "has a space in it": 503, strings.Repeat("x", 65): 503,
		secret + ",": 200, secret + ", short": 503,
	} {
		t.Run(list, func(t *testing.T) {
			w := newWorld(t)
			w.Set(CallbackSecret, list)
			first, _, _ := strings.Cut(list, ",")
			escaped := strings.ReplaceAll(first, " ", "%20")
			if got := w.Post("/"+escaped+"/callback", payload(t, "stk/paid")); got != 200 {
				t.Errorf("with the secret: %d, want 200", got)
			}
			if got := w.Post("/callback", payload(t, "stk/paid")); got != 404 {
				t.Errorf("without the secret: %d, want 404", got)
			}
			r := w.Send("GET", "/health", "")
			if r.Status != health {
				t.Errorf("health: %d, want %d", r.Status, health)
			}
			if strings.Contains(r.Body, first) {
				t.Errorf("health quotes it: %s", r.Body)
			}
			logs, errors := w.Logged()
			if log := strings.Join(append(logs, errors...), "\n"); strings.Contains(log, first) {
				t.Errorf("the log quotes it: %q", log)
			}
		})
	}
}

// TestSlashesInSecret: slashes too many are dropped from a secret as from a path, so
// that a malformed one works too. One of slashes alone would then be none at all, and
// opens nothing.
func TestSlashesInSecret(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]struct {
		last   string
		status int
	}{
		"/": {"/", 404}, "///": {"///", 404}, "/,//": {"//", 404}, ",": {",", 200},
		"a//b": {"a//b", 200}, "/a": {"/a", 200}, "a/": {"a/", 200}, "/,a": {"a", 200},
	} {
		t.Run(list, func(t *testing.T) {
			w := newWorld(t)
			w.Set(CallbackSecret, list)
			if got := w.Post("/"+want.last+"/callback", payload(t, "stk/paid")); got != want.status {
				t.Errorf("with the secret: %d, want %d", got, want.status)
			}
			for _, path := range []string{"/callback", "//callback", "/", "//"} {
				if got := w.Post(path, payload(t, "stk/paid")); got != 404 {
					t.Errorf("POST %s: %d, want 404", path, got)
				}
			}
			if r := w.Send("GET", "/health", ""); r.Status != 503 {
				t.Errorf("health: %d, want 503", r.Status)
			}
		})
	}
}

// TestRotation: what waits in the queue carries the secret that it came with, and
// settles as long as that stays in the list.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{oldSecret, "odd secret/%zz"} {
		t.Run(odd, func(t *testing.T) {
			w := newWorld(t)
			w.Set(CallbackSecret, odd)
			w.Set("DARAJA_COLLECTION_ID", "gone")
			path := url.URL{Path: "/" + odd + "/callback"}
			if got := w.Post(path.EscapedPath()+"?uid=amina", payload(t, "stk/paid")); got != 200 {
				t.Errorf("reply %d, want 200", got)
			}
			if n := len(w.Appwrite.Waiting()); n != 3 {
				t.Errorf("%d executions wait, want 3", n)
			}
			w.Set("DARAJA_COLLECTION_ID", "payments")
			w.Set(CallbackSecret, secret+","+odd)
			w.Later(3 * time.Minute)
			if got := w.Status(); got != "SUCCESS" {
				t.Errorf("with the old secret in the list the document says %s, want SUCCESS", got)
			}
		})
	}
}

// TestTurnedAway: a callback at a wrong address is somebody's payment. The operator
// hears of it, without a number or a path.
func TestTurnedAway(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"", secret} {
		for name, want := range map[string]string{
			"stk/paid":         " looks=callback id=ws_CO_23112026140731772*********",
			"b2c/paid":         " looks=b2c/result id=daa6-4d1a-af61-120b12394*********",
			"timeout/flat":     " looks=b2c/timeout id=6441-4a2b-ac33-9bb52a6a5*********",
			"stk/not-json":     "",
			"stk/no-id":        " keys=Body",
			"stk/empty-object": " bytes=3 keys=",
		} {
			t.Run("secret="+list+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				w.Set(CallbackSecret, list)
				if got := w.Post("/calback/"+oldSecret, payload(t, name)); got != 404 {
					t.Errorf("reply %d, want 404", got)
				}
				line := w.errorLog()
				if !strings.HasSuffix(line, want) {
					t.Errorf("error log = %q, want it to end with %q", line, want)
				}
				if (line == "") != (want == "") {
					t.Errorf("error log = %q, want a line: %t", line, want != "")
				}
				for _, part := range []string{oldSecret, "calback/"} {
					if strings.Contains(line, part) {
						t.Errorf("error log = %q, which quotes the path", line)
					}
				}
			})
		}
	}
}
