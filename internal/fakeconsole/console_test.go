package fakeconsole

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
)

const consoleKey = "standard_console"

var consoleScopes = []string{
	"databases.read", "databases.write", "collections.read", "collections.write", "functions.read", "functions.write",
	"rules.read", "rules.write", "execution.read", "execution.write", "documents.read", "documents.write",
}

// A console calls an API with consoleKey.
type console struct {
	*Console
	t *testing.T
}

// newConsole returns one whose server is empty. At the test's end no build is left.
func newConsole(t *testing.T) console {
	c := console{New(), t}
	c.AddKey(consoleKey, consoleScopes...)
	t.Cleanup(c.WaitForBuilds)
	return c
}

// call sends a JSON body and returns the status and the body of the answer,
// with numbers as they are written.
func (c console) call(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return c.send(r)
}

func (c console) send(r *http.Request) (int, map[string]any) {
	c.t.Helper()
	r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	r.Header.Set("X-Appwrite-Key", consoleKey)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	var body map[string]any
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	if err := d.Decode(&body); err != nil {
		c.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return w.Code, body
}

// ok is a call that must succeed.
func (c console) ok(method, path, body string) map[string]any {
	c.t.Helper()
	status, got := c.call(method, path, body)
	if status >= 300 {
		c.t.Fatalf("%s %s: %d %v", method, path, status, got)
	}
	return got
}

// payments makes a collection with three attributes.
func (c console) payments() {
	c.t.Helper()
	c.ok("POST", "/v1/databases", `{"databaseId":"d","name":"d"}`)
	c.ok("POST", "/v1/databases/d/collections", `{"collectionId":"c","name":"c","documentSecurity":true,"permissions":["create(\"any\")"]}`)
	const attributes = "/v1/databases/d/collections/c/attributes/"
	c.ok("POST", attributes+"string", `{"key":"s","size":10,"required":true}`)
	c.ok("POST", attributes+"integer", `{"key":"n","required":false,"min":-9223372036854775808,"max":9223372036854775807}`)
	c.ok("POST", attributes+"integer", `{"key":"five","required":false,"max":10}`)
}

// archive is a .tar.gz of files.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, content)
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

var goodSource = map[string]string{
	"./go.mod":     "module openruntimes/handler\n\ngo 1.23.0\n",
	"main.go":      "package handler\n",
	"main_test.go": "package handler_test\n",
	"sub/sub.go":   "package sub\n",
}

// upload deploys an archive and waits for the end of its build.
func (c console) upload(code []byte) map[string]any {
	c.t.Helper()
	status, d := c.send(uploadRequest(c.t, code))
	if status != 202 || d["status"] != "waiting" {
		c.t.Fatalf("upload: %d %v", status, d)
	}
	return c.built(d)
}

func (c console) built(d map[string]any) map[string]any {
	c.t.Helper()
	c.WaitForBuilds()
	return c.ok("GET", "/v1/functions/f/deployments/"+d["$id"].(string), "")
}

func uploadRequest(t *testing.T, code []byte) *http.Request {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	form.WriteField("entrypoint", "main.go")
	form.WriteField("activate", "true")
	part, err := form.CreateFormFile("code", "code.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(code)
	form.Close()
	r := httptest.NewRequest("POST", "/v1/functions/f/deployments", &b)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

func TestConsole(t *testing.T) {
	c := newConsole(t)
	c.payments()
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","execute":["any"],"entrypoint":"main.go"}`)
	c.ok("POST", "/v1/functions/f/variables", `{"key":"A","value":"1"}`)
	const in = "/v1/databases/d/collections/c"
	for _, test := range []struct {
		method, path, body string
		status             int
		errorType          string
	}{
		{"GET", "/v1/databases", "", 200, ""},
		{"GET", "/v1/databases/d", "", 200, ""},
		{"GET", "/v1/databases/no", "", 404, "database_not_found"},
		{"POST", "/v1/databases", `{"databaseId":"d","name":"d"}`, 409, "database_already_exists"},
		{"POST", "/v1/databases", `{"databaseId":"e"}`, 400, "general_argument_invalid"},
		{"POST", "/v1/databases", `{"databaseId":"_e","name":"e"}`, 400, "general_argument_invalid"},
		{"PUT", "/v1/databases/no", `{"name":"e"}`, 404, "database_not_found"},
		{"POST", "/v1/databases", `{"databaseId":"unique()","name":"e"}`, 201, ""},
		{"DELETE", "/v1/databases/no", "", 404, "database_not_found"},

		{"GET", "/v1/databases/d/collections/no", "", 404, "collection_not_found"},
		{"POST", "/v1/databases/d/collections", `{"collectionId":"c","name":"c"}`, 409, "collection_already_exists"},
		{"POST", "/v1/databases/d/collections", `{"collectionId":"x","name":"c","permissions":["drop(\"any\")"]}`, 400, "general_argument_invalid"},
		{"POST", "/v1/databases/d/collections", `{"collectionId":"x","name":"c","permissions":["write(\"any\")"]}`, 201, ""},
		{"DELETE", "/v1/databases/d/collections/x", "", 204, ""},
		{"GET", in + "/indexes", "", 200, ""},

		{"POST", in + "/attributes/string", `{"key":"s","size":10,"required":true}`, 409, "attribute_already_exists"},
		{"POST", in + "/attributes/string", `{"key":"t","size":0,"required":true}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"t","required":true}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"t","size":9}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"t","size":9,"required":true,"default":"x"}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"t","size":9,"required":false,"default":"x"}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/integer", `{"key":"t","required":false,"min":2,"max":1}`, 400, "attribute_value_invalid"},
		{"POST", in + "/attributes/point", `{"key":"t","required":false}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/boolean", `{"key":"b","required":false}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"b","required":false,"size":9,"array":true}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/string", `{"key":"b","required":false,"size":9,"encrypt":true}`, 400, "general_argument_invalid"},
		{"POST", in + "/attributes/datetime", `{"key":"at","required":false}`, 202, ""},
		{"POST", in + "/attributes/string", `{"key":"a b","required":false,"size":9}`, 400, "general_argument_invalid"},
		{"PATCH", in + "/attributes/integer/s", `{"required":true,"default":null}`, 404, "attribute_not_found"},
		{"PATCH", in + "/attributes/string/no", `{"required":true,"default":null}`, 404, "attribute_not_found"},
		{"PATCH", in + "/attributes/string/s", `{"required":true,"default":null,"size":12}`, 200, ""},
		{"PATCH", in + "/attributes/integer/five", `{"required":false,"default":11}`, 400, "general_argument_invalid"},
		{"DELETE", in + "/attributes/no", "", 404, "attribute_not_found"},

		{"GET", "/v1/functions", "", 200, ""},
		{"GET", "/v1/functions/no", "", 404, "function_not_found"},
		{"POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23"}`, 409, "function_already_exists"},
		{"POST", "/v1/functions", `{"functionId":"g","name":"f"}`, 400, "general_argument_invalid"},
		{"POST", "/v1/functions", `{"functionId":"g","name":"f","runtime":"go-1.22"}`, 400, "general_argument_invalid"},
		{"PUT", "/v1/functions/f", `{"name":"f","timeout":901}`, 400, "general_argument_invalid"},
		{"PUT", "/v1/functions/f", `{"name":"f","execute":["anybody"]}`, 400, "general_argument_invalid"},
		{"PUT", "/v1/functions/f", `{"name":"f","scopes":["documents"]}`, 400, "general_argument_invalid"},
		{"PUT", "/v1/functions/f", `{}`, 400, "general_argument_invalid"},

		{"GET", "/v1/functions/f/variables", "", 200, ""},
		{"POST", "/v1/functions/f/variables", `{"key":"A","value":"2"}`, 409, "variable_already_exists"},
		{"POST", "/v1/functions/no/variables", `{"key":"A","value":"2"}`, 404, "function_not_found"},
		{"PUT", "/v1/functions/f/variables/no", `{"key":"A"}`, 404, "variable_not_found"},
		{"GET", "/v1/functions/f/deployments", "", 200, ""},
		{"GET", "/v1/functions/f/deployments/no", "", 404, "deployment_not_found"},
		{"PATCH", "/v1/functions/f/deployment", `{"deploymentId":"no"}`, 404, "deployment_not_found"},
		{"POST", "/v1/functions/f/deployments", `{}`, 400, "general_argument_invalid"},

		{"GET", "/v1/proxy/rules", "", 200, ""},
		{"POST", "/v1/proxy/rules/function", `{"domain":"f.localhost","functionId":"no"}`, 404, "rule_resource_not_found"},
		{"POST", "/v1/proxy/rules/function", `{"domain":"f.localhost","functionId":"f"}`, 201, ""},
		{"POST", "/v1/proxy/rules/function", `{"domain":"f.localhost","functionId":"f"}`, 409, "rule_already_exists"},
		{"GET", "/v1/console/variables", "", 401, "general_unauthorized_scope"},
		{"DELETE", "/v1/databases/d", "", 204, ""},
		{"GET", in, "", 404, "database_not_found"},
	} {
		t.Run(test.method+" "+test.path+" "+test.body, func(t *testing.T) {
			status, body := c.call(test.method, test.path, test.body)
			errorType, _ := body["type"].(string)
			if status < 400 {
				errorType = ""
			}
			if status != test.status || errorType != test.errorType {
				t.Errorf("%d %v, want %d %s", status, body, test.status, test.errorType)
			}
		})
	}
}

func TestConsoleScopes(t *testing.T) {
	for _, test := range []struct{ method, path, scope string }{
		{"GET", "/v1/databases", "databases.read"},
		{"POST", "/v1/databases", "databases.write"},
		{"GET", "/v1/databases/d/collections/c", "collections.read"},
		{"PUT", "/v1/databases/d/collections/c", "collections.write"},
		{"GET", "/v1/databases/d/collections/c/attributes", "collections.read"},
		{"GET", "/v1/databases/d/collections/c/attributes", "attributes.read"},
		{"DELETE", "/v1/databases/d/collections/c/attributes/k", "attributes.write"},
		{"GET", "/v1/functions", "functions.read"},
		{"POST", "/v1/functions/f/variables", "functions.write"},
		{"PATCH", "/v1/functions/f/deployment", "functions.write"},
		{"GET", "/v1/proxy/rules", "rules.read"},
		{"POST", "/v1/proxy/rules/function", "rules.write"},
		{"POST", "/v1/databases/d/collections/c/indexes", "indexes.write"},
		{"GET", "/v1/functions/f/executions", "execution.read"},
	} {
		t.Run(test.method+" "+test.path+" "+test.scope, func(t *testing.T) {
			for _, has := range []bool{false, true} {
				c := newConsole(t)
				scopes := []string{"documents.read", "documents.write"}
				if has {
					scopes = []string{test.scope}
				}
				c.AddKey(consoleKey, scopes...)
				_, body := c.call(test.method, test.path, "")
				if missing := body["type"] == "general_unauthorized_scope"; missing == has {
					t.Errorf("with %v: %v", scopes, body)
				}
			}
			r := httptest.NewRequest(test.method, test.path, nil)
			r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
			w := httptest.NewRecorder()
			if newConsole(t).ServeHTTP(w, r); w.Code != 401 {
				t.Errorf("without a key: %d", w.Code)
			}
		})
	}
}

func TestConsoleList(t *testing.T) {
	c := newConsole(t)
	c.payments()
	got := c.ok("GET", `/v1/databases/d/collections/c/attributes?queries[0]={"method":"limit","values":[1]}&queries[1]={"method":"offset","values":[1]}`, "")
	page := got["attributes"].([]any)
	if fmt.Sprint(got["total"]) != "3" || len(page) != 1 || page[0].(map[string]any)["key"] != "n" {
		t.Errorf("got %v", got)
	}
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23"}`)
	c.Domain = "functions.localhost"
	for _, domain := range []string{"pay.example.com", "functions.localhost", "a.f.functions.localhost", ".functions.localhost", "f.functions.localhost/", ""} {
		if status, body := c.call("POST", "/v1/proxy/rules/function", `{"domain":"`+domain+`","functionId":"f"}`); status != 400 || body["type"] != "general_argument_invalid" {
			t.Errorf("a rule for %q: %d %v", domain, status, body)
		}
	}
	c.ok("POST", "/v1/proxy/rules/function", `{"domain":"f.functions.localhost","functionId":"f"}`)
	c.ok("POST", "/v1/proxy/rules/function", `{"domain":"g.functions.localhost","functionId":"f"}`)
	for query, want := range map[string]string{
		`{"method":"equal","attribute":"deploymentResourceId","values":["f"]}`:       "2",
		`{"method":"equal","attribute":"deploymentResourceId","values":["g"]}`:       "0",
		`{"method":"equal","attribute":"domain","values":["g.functions.localhost"]}`: "1",
		`{"method":"equal","attribute":"deploymentResourceType","values":["x"]}`:     "0",
	} {
		if got := c.ok("GET", "/v1/proxy/rules?queries[0]="+query, ""); fmt.Sprint(got["total"]) != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	c.ok("DELETE", "/v1/functions/f", "")
	if got := c.ok("GET", "/v1/proxy/rules", ""); fmt.Sprint(got["total"]) != "0" {
		t.Errorf("the rules of a deleted function: %v", got)
	}
}

func TestConsoleCollection(t *testing.T) {
	c := newConsole(t)
	c.payments()
	const documents = "/v1/databases/d/collections/c/documents"
	c.ok("POST", documents, `{"documentId":"one","data":{"s":"x","n":9223372036854775807},"permissions":["read(\"any\")"]}`)
	readable := func() bool {
		r := httptest.NewRequest("GET", documents+"/one", nil)
		r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w.Code == 200
	}
	if !readable() {
		t.Error("any cannot read the document")
	}
	got := c.ok("PUT", "/v1/databases/d/collections/c", `{"name":"renamed"}`)
	if got["documentSecurity"] != false || got["enabled"] != true || fmt.Sprint(got["$permissions"]) != `[create("any")]` || readable() {
		t.Errorf("after a PUT of the name: %v", got)
	}

	// Numbers are whole to the last digit.
	page := c.ok("GET", "/v1/databases/d/collections/c/attributes", "")["attributes"].([]any)
	if n := page[1].(map[string]any); n["min"] != json.Number("-9223372036854775808") || n["max"] != json.Number("9223372036854775807") || n["status"] != "available" {
		t.Errorf("the integer attribute: %v", n)
	}

	// A column goes with its data, and comes back empty.
	c.ok("DELETE", "/v1/databases/d/collections/c/attributes/n", "")
	c.ok("POST", "/v1/databases/d/collections/c/attributes/integer", `{"key":"n","required":false}`)
	d := c.ok("GET", documents+"/one", "")
	if n, there := d["n"]; n != nil || !there || d["s"] != "x" {
		t.Errorf("the document after its attribute was made anew: %v", d)
	}
}

func TestConsoleFunction(t *testing.T) {
	c := newConsole(t)
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","execute":["any"],"events":["users.*.create"],"schedule":"0 0 * * *",
		"timeout":30,"enabled":false,"logging":false,"scopes":["documents.read"],"commands":"ls","entrypoint":"main.go","specification":"s-0.5vcpu-512mb"}`)
	f := c.ok("PUT", "/v1/functions/f", `{"name":"g"}`)
	for key, want := range map[string]string{
		"name": "g", "runtime": "go-1.23", "execute": "[]", "events": "[]", "schedule": "", "timeout": "15", "scopes": "[]", "commands": "",
		"enabled": "true", "logging": "true", "entrypoint": "main.go", "specification": defaultSpecification, "deploymentId": "",
	} {
		t.Run(key, func(t *testing.T) {
			if fmt.Sprint(f[key]) != want {
				t.Errorf("%v, want %s", f[key], want)
			}
		})
	}
	v := c.ok("POST", "/v1/functions/f/variables", `{"key":"A","value":"1"}`)
	if v["value"] != "" || v["secret"] != true {
		t.Errorf("a secret variable: %v", v)
	}
	id := v["$id"].(string)
	if status, body := c.call("PUT", "/v1/functions/f/variables/"+id, `{"key":"A","secret":false}`); status != 400 {
		t.Errorf("making a secret public: %d %v", status, body)
	}
	c.ok("PUT", "/v1/functions/f/variables/"+id, `{"key":"B"}`)
	if f := c.ok("GET", "/v1/functions/f", ""); f["vars"].([]any)[0].(map[string]any)["key"] != "B" {
		t.Errorf("the function with a changed variable: %v", f)
	}
	c.ok("DELETE", "/v1/functions/f/variables/"+id, "")
}

// TestUploadInPieces: what is larger than 5 MB comes in pieces. On 1.9.6 it is then
// never active by itself, and neither is any other build under way.
func TestUploadInPieces(t *testing.T) {
	large := map[string]string{"noise": noise(6 << 20)}
	maps.Copy(large, goodSource)
	code := archive(t, large)
	for version, active := range map[string]bool{"1.8.1": true, "1.9.0": true, "1.9.6": false} {
		t.Run(version, func(t *testing.T) {
			c := newConsole(t)
			c.Version = version
			c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go"}`)
			first := pieceRequest(t, code, 0, "")
			status, d := c.send(first)
			id, _ := d["$id"].(string)
			if status != 202 || id == "" {
				t.Fatalf("the first piece: %d %v", status, d)
			}
			if status, d := c.send(pieceRequest(t, code, 0, id)); status != 400 {
				t.Errorf("the first piece again: %d %v", status, d)
			}
			if status, d := c.send(pieceRequest(t, code, pieceSize, "another")); status != 400 {
				t.Errorf("the second piece of another upload: %d %v", status, d)
			}
			if status, d := c.send(pieceRequest(t, code, pieceSize, id)); status != 202 || d["$id"] != id {
				t.Fatalf("the second piece: %d %v", status, d)
			}
			c.WaitForBuilds()
			f := c.ok("GET", "/v1/functions/f", "")
			if f["latestDeploymentStatus"] != "ready" || f["latestDeploymentId"] != id {
				t.Errorf("the newest build is %v, %v", f["latestDeploymentId"], f["latestDeploymentStatus"])
			}
			if got := f["deploymentId"] == id; got != active {
				t.Errorf("it is active: %t, want %t", got, active)
			}
			if !bytes.Equal(c.Uploaded(), code) {
				t.Error("what arrived is not what was sent")
			}
		})
	}
}

// noise is text that cannot be made smaller.
func noise(size int) string {
	b := make([]byte, size)
	rand.Read(b)
	return string(b)
}

// pieceRequest is an upload of 5 MB of code at most.
func pieceRequest(t *testing.T, code []byte, from int, id string) *http.Request {
	t.Helper()
	to := min(from+pieceSize, len(code))
	r := uploadRequest(t, code[from:to])
	r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(code)))
	if id != "" {
		r.Header.Set("X-Appwrite-Id", id)
	}
	return r
}

// TestOrderOfBuilds: one that ends after a newer one is not made active.
func TestOrderOfBuilds(t *testing.T) {
	c := newConsole(t)
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go"}`)
	older := c.upload(archive(t, goodSource))
	newer := c.upload(archive(t, goodSource))
	f := c.functions["f"]
	f.deployments[0].Status = "waiting"
	c.build(f, f.deployments[0])
	if f := c.ok("GET", "/v1/functions/f", ""); f["deploymentId"] != newer["$id"] {
		t.Errorf("%v is active, want %v and not %v", f["deploymentId"], newer["$id"], older["$id"])
	}
}

// TestVariables: the active deployment has them as they were when it became active.
func TestVariables(t *testing.T) {
	c := newConsole(t)
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go","execute":["guests"],"scopes":["documents.read"]}`)
	v := c.ok("POST", "/v1/functions/f/variables", `{"key":"A","value":"1","secret":true}`)["$id"].(string)
	first := c.upload(archive(t, goodSource))
	has := func(want string) {
		t.Helper()
		admission, err := c.Admit("f")
		if err != nil {
			t.Fatal(err)
		}
		if got := admission.Environment["A"]; got != want {
			t.Errorf("A = %q, want %q", got, want)
		}
		r := httptest.NewRequest("GET", "/v1/databases/d/collections/c/documents", nil)
		r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
		r.Header.Set("X-Appwrite-Key", admission.Key)
		w := httptest.NewRecorder()
		if c.ServeHTTP(w, r); w.Code != 404 { // but not 401
			t.Errorf("with the function's key: %d %s", w.Code, w.Body)
		}
	}
	has("1")
	c.ok("PUT", "/v1/functions/f/variables/"+v, `{"key":"A","value":"2"}`)
	has("1")
	c.FailBuilds("does not compile")
	failed := c.upload(archive(t, goodSource))
	f := c.ok("GET", "/v1/functions/f", "")
	if failed["buildLogs"] != "does not compile" || f["latestDeploymentId"] != failed["$id"] || f["latestDeploymentStatus"] != "failed" {
		t.Errorf("after a failed build: %v, %v", failed, f)
	}
	if f["deploymentId"] != first["$id"] {
		t.Errorf("after a failed build: %v", f)
	}
	has("1")
	if status, body := c.call("PATCH", "/v1/functions/f/deployment", `{"deploymentId":"`+failed["$id"].(string)+`"}`); body["type"] != "build_not_ready" {
		t.Errorf("activating a failed build: %d %v", status, body)
	}
	c.FailBuilds("")
	second := c.upload(archive(t, goodSource))
	if f := c.ok("GET", "/v1/functions/f", ""); f["deploymentId"] != second["$id"] {
		t.Errorf("after a deployment: %v", f)
	}
	has("2")
	c.ok("PATCH", "/v1/functions/f/deployment", `{"deploymentId":"`+first["$id"].(string)+`"}`)
	if f := c.ok("GET", "/v1/functions/f", ""); f["deploymentId"] != first["$id"] {
		t.Errorf("after an activation: %v", f)
	}
}

// TestDownload: what was uploaded comes back as it was.
func TestDownload(t *testing.T) {
	c := newConsole(t)
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go"}`)
	code := archive(t, goodSource)
	d := c.upload(code)
	r := httptest.NewRequest("GET", "/v1/functions/f/deployments/"+d["$id"].(string)+"/download?type=source", nil)
	r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
	r.Header.Set("X-Appwrite-Key", consoleKey)
	w := httptest.NewRecorder()
	if c.ServeHTTP(w, r); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), code) {
		t.Errorf("the download: %d with %d bytes, want %d", w.Code, w.Body.Len(), len(code))
	}
	if !bytes.Equal(c.Uploaded(), code) {
		t.Error("Uploaded is not what was uploaded")
	}
	if d := c.upload([]byte("no archive")); d["status"] != "failed" {
		t.Errorf("what is no archive: %v", d)
	}
}

// TestIndexes are made on attributes that are built, and go with them.
func TestIndexes(t *testing.T) {
	c := newConsole(t)
	c.payments()
	const in = "/v1/databases/d/collections/c"
	for _, test := range []struct {
		name, body string
		status     int
		errorType  string
	}{
		{"in the making", `{"key":"by_n","type":"key","attributes":["n"],"orders":["ASC"]}`, 400, "attribute_not_available"},
		{"built", `{"key":"by_n","type":"key","attributes":["n"],"orders":["ASC"]}`, 202, ""},
		{"again", `{"key":"by_n","type":"key","attributes":["s"]}`, 409, "index_already_exists"},
		{"unknown attribute", `{"key":"by_x","type":"key","attributes":["x"]}`, 400, "attribute_unknown"},
		{"unique", `{"key":"one_s","type":"unique","attributes":["s"]}`, 400, "general_argument_invalid"},
		{"without attributes", `{"key":"by","type":"key"}`, 400, "general_argument_invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "built" {
				c.ok("GET", in+"/attributes", "")
			}
			status, body := c.call("POST", in+"/indexes", test.body)
			if status != test.status || test.errorType != "" && body["type"] != test.errorType {
				t.Errorf("%d %v, want %d %s", status, body, test.status, test.errorType)
			}
		})
	}
	got := c.ok("GET", in+"/indexes", "")
	if page := got["indexes"].([]any); len(page) != 1 || fmt.Sprint(page[0].(map[string]any)["attributes"]) != "[n]" || page[0].(map[string]any)["status"] != "available" {
		t.Errorf("indexes = %v, want by_n alone", got)
	}
	c.ok("DELETE", in+"/attributes/n", "")
	if got := c.ok("GET", in+"/indexes", ""); fmt.Sprint(got["total"]) != "0" {
		t.Errorf("indexes = %v, want none without their attribute", got)
	}
}

func TestConsoleFaults(t *testing.T) {
	c := newConsole(t)
	c.Inject(fakeappwrite.Fault{Operation: "POST databases", Times: 1, After: true, Reply: fakeappwrite.Status(500, "general_unknown", "Server Error")})
	const body = `{"databaseId":"d","name":"d"}`
	for _, want := range []int{500, 409} {
		if status, got := c.call("POST", "/v1/databases", body); status != want {
			t.Errorf("%d %v, want %d", status, got, want)
		}
	}
	if calls := c.Calls(); len(calls) != 2 || calls[1].Operation != "POST databases" || calls[1].Type != "database_already_exists" {
		t.Errorf("calls: %v", calls)
	}
}

// TestConsoleConcurrent is for the race detector: documents are written and the
// function is asked for while the collection and the function change.
func TestConsoleConcurrent(t *testing.T) {
	c := newConsole(t)
	c.payments()
	c.ok("POST", "/v1/functions", `{"functionId":"f","name":"f","runtime":"go-1.23","entrypoint":"main.go","execute":["any"]}`)
	c.upload(archive(t, goodSource))
	const in = "/v1/databases/d/collections/c"
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 20 {
				c.call("POST", in+"/documents", fmt.Sprintf(`{"documentId":"%d-%d","data":{"s":"x"}}`, i, n))
				c.call("PUT", in, `{"name":"c"}`)
				c.call("POST", in+"/attributes/integer", `{"key":"b","required":false}`)
				c.call("DELETE", in+"/attributes/b", "")
				c.call("PUT", "/v1/functions/f", `{"name":"f","execute":["any"],"scopes":["documents.read"]}`)
				c.Admit("f")
				c.call("GET", in+"/documents", "")
			}
		}()
	}
	wg.Wait()
	if n := len(c.Documents("d", "c")); n != 80 {
		t.Errorf("%d documents, want 80", n)
	}
}
