package fakeruntime

import (
	"bytes"
	"compress/gzip"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakeconsole"
)

// call sends a request that must succeed.
func call(t *testing.T, c *fakeconsole.Console, method, path, contentType string, body []byte) {
	t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	r.Header.Set("X-Appwrite-Key", "standard_key")
	w := httptest.NewRecorder()
	if c.ServeHTTP(w, r); w.Code > 299 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// deploy makes a build active.
func deploy(t *testing.T, c *fakeconsole.Console) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("activate", "true")
	part, err := form.CreateFormFile("code", "code.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	gzip.NewWriter(part).Close()
	form.Close()
	call(t, c, "POST", "/v1/functions/f/deployments", form.FormDataContentType(), body.Bytes())
	c.WaitForBuilds()
}

// TestDomain follows a function from before it is there until it is disabled.
func TestDomain(t *testing.T) {
	c := fakeconsole.New()
	c.AddKey("standard_key", "functions.read", "functions.write")
	domain := Domain(c, "f", "http://e/v1", func(ctx openruntimes.Context, getenv func(string) string) openruntimes.Response {
		ctx.Log("said")
		return ctx.Res.Text(getenv("A") + " " + getenv("APPWRITE_FUNCTION_API_ENDPOINT") + " " + ctx.Req.Headers["x-appwrite-key"])
	})
	settings := func(more string) func(t *testing.T) {
		return func(t *testing.T) {
			call(t, c, "PUT", "/v1/functions/f", "application/json", []byte(`{"name":"f","scopes":["documents.read"]`+more+`}`))
		}
	}
	for _, step := range []struct {
		name   string
		do     func(*testing.T)
		status int
		body   string // a part of it
		logs   string // of the execution
	}{
		{"no function", func(*testing.T) {}, 404, `"type":"function_not_found"`, ""},
		{"no deployment", func(t *testing.T) {
			call(t, c, "POST", "/v1/functions", "application/json", []byte(`{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go"}`))
			call(t, c, "POST", "/v1/functions/f/variables", "application/json", []byte(`{"key":"A","value":"1"}`))
		}, 404, `"type":"deployment_not_found"`, ""},
		{"nobody may", func(t *testing.T) { deploy(t, c) }, 401, `"type":"function_execute_permission_missing"`, ""},
		{"any may", settings(`,"execute":["any"]`), 200, "1 http://e/v1 ephemeral_", "said\n"},
		{"guests may", settings(`,"execute":["guests"],"logging":false`), 200, "1 http://e/v1 ephemeral_", ""},
		{"disabled", settings(`,"execute":["any"],"enabled":false`), 404, `"type":"function_not_found"`, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.do(t)
			before := len(c.Executions())
			w := httptest.NewRecorder()
			domain.ServeHTTP(w, httptest.NewRequest("GET", "/?a=b", nil))
			if w.Code != step.status || !strings.Contains(w.Body.String(), step.body) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, step.status, step.body)
			}
			ran := c.Executions()[before:]
			if step.status != http.StatusOK {
				if len(ran) != 0 {
					t.Errorf("executions = %v, want none", ran)
				}
				return
			}
			if len(ran) != 1 || ran[0].Path != "/?a=b" || ran[0].Status != 200 || ran[0].Trigger != "http" || ran[0].Logs != step.logs {
				t.Errorf("executions = %+v, want one that logged %q", ran, step.logs)
			}
		})
	}
}
