package handler

import (
	"net/http"
	"testing"
)

// TestHealth says whether the settings are complete and well-formed.
func TestHealth(t *testing.T) {
	t.Parallel()
	const ok, misconfigured = `{"status":"ok","version":"` + Version + `"}`, `{"status":"misconfigured","version":"` + Version + `"}`
	for _, tt := range []struct {
		name, variable, value string
		status                int
		body, log             string
	}{
		{"all is well", "DARAJA_ANONYMOUS_READ", "", 200, ok, ""},
		{"who pays nobody out needs no collection for it", "DARAJA_B2C_COLLECTION_ID", "", 200, ok, ""},
		{"one is missing", "DARAJA_COLLECTION_ID", "", 503, misconfigured, "configuration: DARAJA_COLLECTION_ID is missing"},
		{"one is malformed", "DARAJA_ANONYMOUS_READ", "everybody", 503, misconfigured, "configuration: DARAJA_ANONYMOUS_READ is neither empty nor any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Set(tt.variable, tt.value)
			r := w.Send("GET", "/health", "")
			if r.Status != tt.status {
				t.Errorf("reply %d, want %d", r.Status, tt.status)
			}
			if r.Body != tt.body {
				t.Errorf("reply %s, want %s", r.Body, tt.body)
			}
			if got := w.errorLog(); got != tt.log {
				t.Errorf("error log = %q, want %q", got, tt.log)
			}
			if got := w.PostPayload("stk/paid"); got != 200 {
				t.Errorf("a payment: %d, want 200: it is stored or queued", got)
			}
		})
	}
}

// TestHead: whoever only wants the status gets that of GET. The body is the platform's
// to leave out: it takes an empty one of an error for one that lacks its page.
func TestHead(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"daraja", ""} {
		t.Run("database="+database, func(t *testing.T) {
			w := newWorld(t)
			w.Set("DARAJA_DATABASE_ID", database)
			get := w.Handle("GET", "/health", "", http.Header{}, "")
			head := w.Handle("HEAD", "/health", "", http.Header{}, "")
			if head.Status != get.Status {
				t.Errorf("HEAD: %d, want %d", head.Status, get.Status)
			}
			if head.Body == "" || head.Body != get.Body {
				t.Errorf("HEAD has the body %q, want %q", head.Body, get.Body)
			}
			if r := w.Send("HEAD", "/health", ""); r.Status != get.Status || r.Body != "" {
				t.Errorf("HEAD over HTTP: %d %q, want %d and no body", r.Status, r.Body, get.Status)
			}
		})
	}
}

// TestHealthWithSecret: strangers learn nothing, who knows the secret learns which
// settings there are and no value.
func TestHealthWithSecret(t *testing.T) {
	t.Parallel()
	const (
		stranger = `{"status":"ok","version":"` + Version + `"}`
		known    = `{"status":"ok","version":"` + Version + `","settings":{` +
			`"APPWRITE_FUNCTION_API_ENDPOINT":true,"APPWRITE_FUNCTION_ID":true,"APPWRITE_FUNCTION_PROJECT_ID":true,` +
			`"DARAJA_ANONYMOUS_READ":false,"DARAJA_B2C_COLLECTION_ID":false,"DARAJA_CALLBACK_SECRET":true,"DARAJA_COLLECTION_ID":true,"DARAJA_DATABASE_ID":true}}`
	)
	for path, want := range map[string]string{
		"/health": stranger, "/health/": stranger, "/" + secret + "/health": known, "/" + secret + "/health/": known,
	} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t)
			w.Set(CallbackSecret, secret)
			w.Set("DARAJA_B2C_COLLECTION_ID", "")
			if r := w.Send("GET", path, ""); r.Status != 200 || r.Body != want {
				t.Errorf("%d %s, want 200 %s", r.Status, r.Body, want)
			}
		})
	}
}
