package fakeconsole

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
)

// TestCLI drives the published Appwrite CLI if APPWRITE_CLI names its
// executable: what it pushes from the project's appwrite.json has to be there,
// and a second push must not cost anything. It was written with version 12.0.1.
func TestCLI(t *testing.T) {
	cli := os.Getenv("APPWRITE_CLI")
	if cli == "" {
		t.Log("not run: APPWRITE_CLI names no Appwrite CLI")
		return
	}
	c := newConsole(t)
	server := httptest.NewServer(c)
	defer server.Close()
	project, home := projectCopy(t), t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(cli, args...)
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		t.Logf("%s:\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	run("client", "--endpoint", server.URL+"/v1", "--project-id", fakeappwrite.ProjectID, "--key", consoleKey)
	file := readProject(t, project)

	run("push", "collections", "--all", "--force")
	first := file.checkCollections(c)
	const documents = "/v1/databases/daraja/collections/payments/documents"
	c.ok("POST", documents, `{"documentId":"ws_1","data":{"checkoutRequestId":"ws_1","status":"paid","amount":9007199254740993,"settledAt":"x"}}`)
	c.Reset()
	run("push", "collections", "--all", "--force")
	if second := file.checkCollections(c); !reflect.DeepEqual(first, second) {
		t.Errorf("the second push changed the collections:\n%v\n%v", first, second)
	}
	for _, call := range c.Calls() {
		if call.Method != "GET" {
			t.Errorf("the second push: %s %s", call.Method, call.Path)
		}
	}
	d, found := c.Document("daraja", "payments", "ws_1")
	if !found || d.Data["amount"] != int64(9007199254740993) || d.Data["status"] != "paid" {
		t.Errorf("the document after the second push: %v", d)
	}

	// With an API key the CLI's first push of a function ends after it was
	// made, with exit status 0, since it asks for the domain as somebody who
	// is logged in.
	c.Reset()
	out := run("push", "functions", "--all", "--force")
	if c.Uploaded() != nil || !called(c, "POST functions") || !strings.Contains(out, "Error fetching console variables") {
		t.Error("the first push of a function went through")
	}
	c.ok("DELETE", "/v1/functions/daraja", "")

	c.ok("POST", "/v1/functions", `{"functionId":"daraja","name":"daraja","runtime":"go-1.23"}`)
	c.ok("POST", "/v1/proxy/rules/function", `{"domain":"daraja.functions.localhost","functionId":"daraja"}`)
	for range 2 {
		c.Reset()
		if out := run("push", "functions", "--all", "--force"); !strings.Contains(out, "daraja.functions.localhost") {
			t.Error("the CLI did not name the function's domain")
		}
		f := c.ok("GET", "/v1/functions/daraja", "")
		file.checkFunction(t, f)
		if f["deploymentId"] == "" || f["deploymentId"] != f["latestDeploymentId"] || f["latestDeploymentStatus"] != "ready" {
			t.Errorf("the push left the deployment %v, and the latest is %v, %v", f["deploymentId"], f["latestDeploymentId"], f["latestDeploymentStatus"])
		}
	}
	checkUpload(t, c.Uploaded())

	c.FailBuilds("go: no")
	before := c.ok("GET", "/v1/functions/daraja", "")["deploymentId"]
	run("push", "functions", "--all", "--force") // exits with 0
	after := c.ok("GET", "/v1/functions/daraja", "")
	if after["deploymentId"] != before || after["latestDeploymentStatus"] != "failed" {
		t.Errorf("after a failed build: %v", after)
	}
}

func called(c console, operation string) bool {
	return slices.ContainsFunc(c.Calls(), func(c fakeappwrite.Call) bool { return c.Operation == operation })
}

// projectCopy copies the project's Go files and a few others, and things that must
// not be uploaded.
func projectCopy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, pattern := range []string{"go.mod", "go.sum", "appwrite.json", "*.md", "docs/*.md", "*.go", "*/*.go", "*/*/*.go"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel("../..", name)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, rel), b)
		}
	}
	for _, name := range []string{".env", ".env.local", ".git/config", ".github/x.yml", ".ci/run", "testdata/x.json"} {
		writeFile(t, filepath.Join(dir, name), []byte("x"))
	}
	return dir
}

// deployed returns the folders of the function's packages, as the go command says.
func deployed(t *testing.T) []string {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", ".")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, name := range strings.Fields(string(out)) {
		folders = append(folders, strings.TrimPrefix(strings.TrimPrefix(name, "openruntimes/handler"), "/"))
	}
	return folders
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A projectFile is an appwrite.json, with its numbers as they are written.
type projectFile struct{ Functions, Collections []map[string]any }

func readProject(t *testing.T, dir string) projectFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "appwrite.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file projectFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkCollections compares the server's collections with the file's, and
// returns them.
func (file projectFile) checkCollections(c console) []map[string]any {
	t := c.t
	t.Helper()
	var all []map[string]any
	for _, want := range file.Collections {
		got := c.ok("GET", "/v1/databases/daraja/collections/"+want["$id"].(string), "")
		for _, index := range got["indexes"].([]any) {
			for _, key := range []string{"status", "$createdAt", "$updatedAt"} { // the server's own
				delete(index.(map[string]any), key)
			}
		}
		for _, key := range []string{"name", "enabled", "documentSecurity", "$permissions", "databaseId", "indexes"} {
			if !reflect.DeepEqual(got[key], want[key]) {
				t.Errorf("collection %v: %s is %v, want %v", want["$id"], key, got[key], want[key])
			}
		}
		attributes, _ := got["attributes"].([]any)
		wanted := want["attributes"].([]any)
		if len(attributes) != len(wanted) {
			t.Fatalf("collection %v has %d attributes, want %d", want["$id"], len(attributes), len(wanted))
		}
		for i, w := range wanted {
			at := attributes[i].(map[string]any)
			for key, v := range w.(map[string]any) {
				if !reflect.DeepEqual(at[key], v) {
					t.Errorf("attribute %v: %s is %v, want %v", at["key"], key, at[key], v)
				}
			}
		}
		all = append(all, got)
	}
	return all
}

// checkFunction compares what the server has with the file, apart from what the
// CLI keeps to itself.
func (file projectFile) checkFunction(t *testing.T, got map[string]any) {
	t.Helper()
	for key, want := range file.Functions[0] {
		if key == "path" || key == "ignore" || key == "vars" {
			continue
		}
		if !reflect.DeepEqual(got[key], want) {
			t.Errorf("function: %s is %v, want %v", key, got[key], want)
		}
	}
}

// checkUpload looks at the names in a .tar.gz.
func checkUpload(t *testing.T, archive []byte) {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			names = append(names, path.Clean(header.Name))
		}
	}
	if len(archive) > 200<<10 || !slices.Contains(names, "main.go") || !slices.Contains(names, "go.sum") {
		t.Errorf("the upload has %d bytes in %v", len(archive), names)
	}
	folders := append(deployed(t), ".") // path.Dir names the root so
	for _, name := range names {
		source := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && slices.Contains(folders, path.Dir(name))
		if !source && name != "go.mod" && name != "go.sum" {
			t.Errorf("the upload has %s", name)
		}
	}
}
