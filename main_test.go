package handler

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/testbed"
)

// start starts Main anew, with the environment that a world gives it.
func start(tb testing.TB) func(getenv func(string) string) testbed.Serve {
	return func(getenv func(string) string) testbed.Serve {
		for _, v := range handler.Variables() {
			tb.Setenv(v.Name, getenv(v.Name))
		}
		restart()
		return Main
	}
}

// restart makes the next request the first one.
func restart() { function = sync.OnceValue(func() *handler.Function { return handler.New(os.Getenv) }) }

// TestMainEndToEnd: what Main is given over HTTP comes to stand in the database.
func TestMainEndToEnd(t *testing.T) {
	w := testbed.New(t, start(t))
	for _, name := range []string{"stk/paid", "stk/paid-again", "timeout/envelope", "b2c/paid"} {
		if got := w.PostPayload(name); got != 200 {
			t.Errorf("%s: %d, want 200", name, got)
		}
	}
	all := w.Stored()
	if len(all) != 2 {
		t.Fatalf("%d documents, want 2", len(all))
	}
	for _, d := range all {
		if status := d.Data["status"]; status != "SUCCESS" {
			t.Errorf("%s says %v, want SUCCESS", d.ID, status)
		}
		if got := testbed.Readers(d); got != "user:amina" {
			t.Errorf("%s is read by %q, want amina", d.ID, got)
		}
	}
	if r := w.Send("GET", "/health", ""); r.Status != 200 {
		t.Errorf("health: %d %s, want 200", r.Status, r.Body)
	}
}

// TestMainReadsEnvironmentOnce: the settings are those of the first request, as a
// container's are, and its connections serve all.
func TestMainReadsEnvironmentOnce(t *testing.T) {
	w := testbed.New(t, start(t))
	if got := w.PostPayload("stk/paid"); got != 200 {
		t.Errorf("reply %d, want 200", got)
	}
	first := function()
	t.Setenv("DARAJA_COLLECTION_ID", "")
	if got := w.PostPayload("stk/cancelled"); got != 200 || len(w.Stored()) != 2 {
		t.Errorf("reply %d and %d documents, want it stored", got, len(w.Stored()))
	}
	if function() != first {
		t.Error("a later request has another function, and connections of its own")
	}
}

// TestMainWithoutEnvironment: without settings the function serves all the same, and
// says what is missing.
func TestMainWithoutEnvironment(t *testing.T) {
	w := testbed.New(t, start(t))
	for _, v := range handler.Variables() {
		w.Set(v.Name, "")
	}
	if got := w.Post("/callback", "{}"); got != 400 {
		t.Errorf("a bad callback: %d, want 400", got)
	}
	if r := w.Send("GET", "/health", ""); r.Status != 503 {
		t.Errorf("health: %d, want 503", r.Status)
	}
}

// TestDirections holds what imports what, and what is deployed to two other modules.
func TestDirections(t *testing.T) {
	const module = "openruntimes/handler"
	allowed := map[string][]string{ // package: what of this module it may import
		".":        {"handler"},
		"handler":  {"appwrite", "daraja", "settle", "parse"},
		"appwrite": {"settle", "parse"},
		"settle":   {"parse"},
		"parse":    {},
		"daraja":   {},
		"client":   {"parse"},

		"docs/fulfil": {}, // an example, to be copied
		"web":         {}, // files
	}
	relative := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }
	for _, line := range goList(t, `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		fields := strings.Fields(line)
		from := relative(fields[0])
		if from == "" {
			from = "."
		}
		may, known := allowed[from]
		tool := strings.HasPrefix(from, "internal/") || strings.HasPrefix(from, "scripts/")
		if !known && !tool {
			t.Errorf("%s has no directions: which packages of this module may it import?", from)
		}
		for _, path := range fields[1:] {
			if path != module && !strings.HasPrefix(path, module+"/") {
				continue
			}
			to := relative(path)
			switch {
			case strings.HasPrefix(from, "internal/") && (to == "" || to == "handler"):
				t.Errorf("%s imports %s: whoever tests the function hands it in", from, path)
			case !tool && !slices.Contains(may, to):
				t.Errorf("%s imports %s", from, path)
			}
		}
	}
	for _, name := range []string{"parse", "daraja"} {
		for _, line := range goList(t, `{{if not .Standard}}{{.ImportPath}}{{end}}`, "-deps", "./"+name) {
			if relative(line) != name {
				t.Errorf("%s needs %s: it should need the standard library alone", name, line)
			}
		}
	}

	modules := goList(t, `{{if and .Module (not .Module.Main)}}{{.Module.Path}}{{end}}`, "-deps", ".")
	slices.Sort(modules)
	want := []string{"github.com/appwrite/sdk-for-go", "github.com/open-runtimes/types-for-go/v4"}
	if modules = slices.Compact(modules); !slices.Equal(modules, want) {
		t.Errorf("what is deployed needs the modules %q, want %q", modules, want)
	}
	for _, line := range goList(t, `{{if and .Module .Module.Main}}{{.ImportPath}}{{end}}`, "-deps", ".") {
		if name := relative(line); strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "scripts/") || name == "web" {
			t.Errorf("%s is deployed", line)
		}
	}
}

// goList returns the lines that the go command prints about packages, but for empty
// ones.
func goList(t *testing.T, format string, args ...string) []string {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-f", format}, args...)...)
	var complaint strings.Builder
	list.Stderr = &complaint
	output, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &complaint)
	}
	lines := strings.Split(string(output), "\n")
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

const (
	callbackSecret = "3f9c0a55d1e84b27a6f0c9e1b2d3f4a5"
	secondSecret   = "0d1c2b3a4f5e6d7c"
)

// FuzzMain sends anything to the function, with and without a callback secret: the
// reply is one of the contract's, whatever is written is what appwrite.json takes, and
// nothing else is called.
func FuzzMain(f *testing.F) {
	for _, name := range testbed.Payloads(f) {
		f.Add(false, "POST", testbed.Path(name), "uid=amina", "x-appwrite-user-id: forged", testbed.Payload(f, name))
	}
	f.Add(false, "POST", "/callback", "uid=amina", "x-appwrite-key: forged", testbed.Payload(f, "stk/paid"))
	for _, name := range testbed.Files(f, "hostile/*.http") {
		r, body := testbed.Request(f, name)
		f.Add(false, r.Method, r.URL.Path, r.URL.RawQuery, "content-type: "+r.Header.Get("Content-Type"), body)
		f.Add(true, r.Method, "/"+callbackSecret+r.URL.Path, r.URL.RawQuery, "x-forwarded-for: 1.2.3.4", body)
		f.Add(true, r.Method, r.URL.Path, r.URL.RawQuery, "x-appwrite-trigger: schedule", body)
	}
	w := testbed.New(f, start(f))
	w.Set(handler.CallbackSecret, callbackSecret+","+secondSecret)
	closed := function()
	w.Set(handler.CallbackSecret, "")
	open := function()
	w.Runtime.Logs = nil
	w.LimitAllocations()
	known := regexp.MustCompile("^/+(health/*$|" + callbackSecret + "|" + secondSecret + ")")
	reader := regexp.MustCompile(`^(user:[A-Za-z0-9][A-Za-z0-9._-]{0,35})?$`)
	f.Fuzz(func(t *testing.T, secured bool, method, path, query, header, body string) {
		w.Report(t)
		function = func() *handler.Function { return open }
		if secured {
			function = func() *handler.Function { return closed }
		}
		name, value, _ := strings.Cut(header, ": ")
		r := w.Handle(method, path, query, http.Header{name: {value}}, body)
		if _, err := url.ParseQuery(query); err != nil && r.Status == 500 || len(body) > 12<<20 {
			return // the runtime's own answer
		}
		if strings.ToLower(name) == "x-appwrite-key" && value != "" {
			if r.Status != 403 {
				t.Errorf("with a key of the sender's: %d, want the platform's 403", r.Status)
			}
			if calls := w.Operations(); calls != "" {
				t.Errorf("with a key of the sender's: calls %q, want none", calls)
			}
			return
		}
		if !inContract(r) {
			t.Errorf("%s %q?%q: %d %s", method, path, query, r.Status, r.Body)
		}
		if secured && !known.MatchString(path) {
			if r.Status != 404 {
				t.Errorf("%s %q without the secret: %d, want 404", method, path, r.Status)
			}
			if n := len(w.Appwrite.Calls()); n != 0 {
				t.Errorf("%s %q without the secret: %d calls, want none", method, path, n)
			}
		}
		for _, e := range w.Appwrite.Events() {
			if readers := testbed.Readers(e.Document); !reader.MatchString(readers) {
				t.Errorf("a document that is read by %q", readers)
			}
		}
		w.CheckCalls()
	})
}

// inContract reports whether a reply is one that the README lists.
func inContract(r testbed.Reply) bool {
	forms := map[int]string{
		200: `\{"ResultCode":0,"ResultDesc":"Accepted"\}|\{"status":"ok","version":"[0-9.]+"(,"settings":\{.*\})?\}`,
		400: `\{"ResultCode":1,"ResultDesc":"(not JSON at byte \d+|.*: missing)"\}`,
		404: `\{"ResultCode":1,"ResultDesc":"unknown path"\}`,
		405: `\{"ResultCode":1,"ResultDesc":"(GET|POST) only"\}`,
		413: `\{"ResultCode":1,"ResultDesc":"body too large"\}`,
	}
	form, listed := forms[r.Status]
	return listed && regexp.MustCompile("^("+form+")$").MatchString(strings.TrimSpace(r.Body))
}
