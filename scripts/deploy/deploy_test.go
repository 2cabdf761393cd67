package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakeconsole"
	"openruntimes/handler/internal/fakeruntime"
)

// TestMain runs the tests where the command runs, in the project's own folder, and
// more at once than there are processors: they wait for builds.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var ctx = context.Background()

var allScopes = []string{"databases.read", "databases.write", "collections.read", "collections.write", "documents.read", "documents.write",
	"functions.read", "functions.write", "execution.read", "rules.read", "rules.write"}

// cloud is an Appwrite without anything in it, and the domain of a function to
// come.
type cloud struct {
	*fakeconsole.Console
	t       *testing.T
	env     map[string]string
	anew    bool         // -secrets
	allowed atomic.Int64 // calls of the command that are answered, before everything breaks off
	made    atomic.Int64 // calls so far

	lostAnswer atomic.Bool // the first call that is not answered is carried out

	afterCallback func()                   // called when the function has answered one
	live          func(name string) string // the variables that the function last ran with
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Console: fakeconsole.New(), t: t}
	c.allowed.Store(1 << 40)
	c.AddKey("standard_deployer", allScopes...)
	c.AddSession("session-of-amina", "amina")
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Appwrite-Key"), "ephemeral_") {
			c.Appwrite.ServeHTTP(w, r) // the function's call, not the command's
			return
		}
		switch n, allowed := c.made.Add(1), c.allowed.Load(); {
		case n == allowed+1 && c.lostAnswer.Load():
			c.Appwrite.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case n > allowed:
			panic(http.ErrAbortHandler)
		}
		c.Appwrite.ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	serve := func(ctx openruntimes.Context, getenv func(string) string) openruntimes.Response {
		c.live = getenv
		reply := handler.New(getenv).Serve(ctx)
		if c.afterCallback != nil && ctx.Req.Method == http.MethodPost && reply.StatusCode == http.StatusOK {
			c.afterCallback()
		}
		return reply
	}
	domain := httptest.NewServer(fakeruntime.Domain(c.Console, "daraja", api.URL+"/v1", serve))
	t.Cleanup(domain.Close)
	c.env = map[string]string{
		"APPWRITE_ENDPOINT": api.URL + "/v1", "APPWRITE_PROJECT_ID": fakeappwrite.ProjectID, "APPWRITE_API_KEY": "standard_deployer",
		"APPWRITE_FUNCTION_DOMAIN": strings.TrimPrefix(domain.URL, "http://"),
		"APPWRITE_TEST_USER":       "amina", "APPWRITE_TEST_SESSION": "session-of-amina",
	}
	return c
}

// project is the command's, with an upload that needs no CLI.
func (c *cloud) project(dryRun bool) *project {
	c.t.Helper()
	s, err := readSettings(func(name string) string { return c.env[name] }, "no such file")
	if err != nil {
		c.t.Fatal(err)
	}
	s.dryRun, s.anew = dryRun, c.anew
	p, err := newProject(s, io.Discard)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = p.inherit(ctx) // the check of the scopes says why not
	p.pause, p.deployed, p.push = 2*time.Millisecond, deployedOnce, func(ctx context.Context, p *project) (string, error) {
		err := upload(p, source(c.t), true)
		c.WaitForBuilds() // so that each run makes the same calls
		return "uploaded", err
	}
	return p
}

// run goes through everything once and returns what was printed.
func (c *cloud) run(dryRun bool) (string, error) {
	c.t.Helper()
	var out strings.Builder
	p := c.project(dryRun)
	if dryRun {
		err := p.diagnose(ctx, report{&out, false})
		return out.String(), err
	}
	err := p.deploy(ctx, report{&out, false})
	return out.String(), err
}

// source is what is deployed. The go command is asked once.
func source(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := deployedOnce()
	if err != nil {
		t.Fatal(err)
	}
	return maps.Clone(files)
}

var deployedOnce = sync.OnceValues(deployed)

// deploy must succeed.
func (c *cloud) deploy() string {
	c.t.Helper()
	out, err := c.run(false)
	if err != nil {
		c.t.Fatalf("deploy: %v\n%s", err, out)
	}
	return out
}

// upload makes a deployment of these files.
func upload(p *project, files map[string][]byte, activate bool) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("entrypoint", "main.go")
	form.WriteField("activate", fmt.Sprint(activate))
	part, err := form.CreateFormFile("code", "code.tar.gz")
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(part)
	archive := tar.NewWriter(zipped)
	for name, content := range files {
		archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
		archive.Write(content)
	}
	if err := errors.Join(archive.Close(), zipped.Close(), form.Close()); err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, p.target.Endpoint+p.functionPath()+"/deployments", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("X-Appwrite-Project", p.target.ProjectID)
	req.Header.Set("X-Appwrite-Key", p.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 {
		answer, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s", resp.StatusCode, answer)
	}
	return nil
}

// TestDeploy: from nothing to live in one run, after which nothing is left to do.
func TestDeploy(t *testing.T) {
	for _, version := range []string{"1.8.1", "1.9.0", "1.9.6"} {
		t.Run(version, func(t *testing.T) { testDeploy(t, version) })
	}
}

func testDeploy(t *testing.T, version string) {
	c := newCloud(t)
	c.Version = version
	if out, err := c.run(true); !errors.Is(err, errWrong) || !strings.Contains(out, "WRONG   database: there is no database daraja\n        Fix: go run ./scripts/deploy    or Console → Databases") {
		t.Errorf("-check of an empty project = %v\n%s", err, out)
	}
	out := c.deploy()
	for _, line := range []string{"ok      server version: " + version, "ok      key scopes\n", "made    database: daraja\n", "made    collection of payments: payments\n", "fixed   attributes of disbursements: none of its 10 attributes is there: ",
		"made    function: go-1.23\n", "fixed   variables: missing, without which callbacks can only be queued: DARAJA_DATABASE_ID, DARAJA_COLLECTION_ID, DARAJA_B2C_COLLECTION_ID; ",
		"made    domain: " + c.env["APPWRITE_FUNCTION_DOMAIN"] + "\n", "made    code: build ", "ok      health: version " + handler.Version,
		"ok      self-test: posted, stored, read by its user, hidden from a guest, refused without the secret, logged, removed"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if len(c.Documents("daraja", "payments")) != 0 {
		t.Error("the self-test left a document behind")
	}

	c.Reset()
	again := c.deploy()
	if changed(again) {
		t.Errorf("a second run fixed something:\n%s", again)
	}
	for _, call := range c.Calls() {
		changes := call.Method != http.MethodGet && call.Status < 300
		if selfTest := call.Operation == "create" || call.Operation == "delete"; changes && !selfTest {
			t.Errorf("a second run changed something: %s %s", call.Method, call.Path)
		}
	}
	if out, err := c.run(true); err != nil {
		t.Errorf("-check = %v\n%s", err, out)
	}
}

// TestLive: what to put into the app is said at the end. Only a run that may have
// made the secret says it.
func TestLive(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	for _, tt := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"deploy", nil, `\nLive\. In the app:  callbackDomain: "http://127\.0\.0\.1:\d+/[0-9a-f]{32}"\n$`},
		{"check", []string{"-check"}, `\nLive\. In the app:  callbackDomain: "http://127\.0\.0\.1:\d+/…", where … is the DARAJA_CALLBACK_SECRET\n$`},
		{"json", []string{"-check", "-json"}, `\n{"check":"callbackDomain","result":"live","found":"http://127\.0\.0\.1:\d+"}\n$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.env["APPWRITE_CLI"] = "go" // any program that is there
			out, errors, status := c.command(tt.flags...)
			if status != 0 {
				t.Errorf("exit status %d: %s", status, errors)
			}
			if !regexp.MustCompile(tt.want).MatchString(out) {
				t.Errorf("it ends with\n%s", out)
			}
			if secret := "[0-9a-f]{32}"; tt.name != "deploy" && regexp.MustCompile(secret).MatchString(out) {
				t.Errorf("it prints the secret:\n%s", out)
			}
		})
	}
}

// TestJSON: each line is an object, errors too.
func TestJSON(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	out, _, status := c.command("-check", "-json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != len(checks)-5+1 {
		t.Errorf("exit status %d and %d lines, want 0 and one for each of %d checks but the five of started payments and payouts, and one more", status, len(lines), len(checks))
	}
	for _, line := range lines {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Result == "" || r.Check == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
	c.env["APPWRITE_API_KEY"] = ""
	out, _, status = c.command("-check", "-json")
	if want := `{"check":"deploy","result":"error","found":"APPWRITE_API_KEY is missing (Console → Overview → Integrations → API keys) (set what is named in the environment or in .env)"}` + "\n"; out != want || status != 1 {
		t.Errorf("without a key: exit status %d and %s, want 1 and %s", status, out, want)
	}
}

// command runs the whole command, as main does.
func (c *cloud) command(arguments ...string) (stdout, stderr string, status int) {
	c.t.Helper()
	var out, errors strings.Builder
	status = run(ctx, arguments, func(name string) string { return c.env[name] }, strings.NewReader(""), &out, &errors)
	return out.String(), errors.String(), status
}

// TestFaults breaks one thing after another: it is named, fixed, and right again.
func TestFaults(t *testing.T) {
	t.Parallel()
	const payments, disbursements, function = "/databases/daraja/collections/payments", "/databases/daraja/collections/disbursements", "/functions/daraja"
	type body = map[string]any
	faults := []struct {
		name         string
		method, path string
		body         body
		want         string // in the line of -check
	}{
		{"documentSecurity", "PUT", payments, body{"name": "payments"}, "documentSecurity of payments is off: no user can read a payment by its own permissions"},
		{"permissions", "PUT", disbursements, body{"name": "d", "documentSecurity": true, "permissions": []string{`read("any")`}}, `disbursements has the permissions read("any")`},
		{"collection disabled", "PUT", payments, body{"name": "p", "documentSecurity": true, "enabled": false}, "payments is disabled"},
		{"collection gone", "DELETE", payments, nil, "there is no collection payments: nothing can be stored"},
		{"database disabled", "PUT", "/databases/daraja", body{"name": "daraja", "enabled": false}, "the database is disabled: apps cannot read a payment"},
		{"database gone", "DELETE", "/databases/daraja", nil, "there is no database daraja"},
		{"attribute gone", "DELETE", payments + "/attributes/mpesaTimestamp", nil, "mpesaTimestamp is missing: Appwrite refuses documents of payments"},
		{"attribute too short", "PATCH", payments + "/attributes/string/failureReason", body{"required": false, "default": nil, "size": 20}, "failureReason holds 20 characters, not 255"},
		{"attribute required", "PATCH", payments + "/attributes/string/receipt", body{"required": true, "default": nil}, "receipt is required, and not every document has it"},
		{"attribute bounded", "PATCH", disbursements + "/attributes/integer/amount", body{"required": false, "default": nil, "min": 0, "max": 1000}, "amount is bounded from 0 to 1000"},
		{"function gone", "DELETE", function, nil, "there is no function daraja"},
		{"function disabled", "PUT", function, functionWith("enabled", false), "it is disabled (→ Enabled): Safaricom gets an error and every payment is lost"},
		{"execute access", "PUT", function, functionWith("execute", []string{}), "execute access is empty (→ Execute access → Any): Safaricom gets 401 and every payment is lost"},
		{"scope", "PUT", function, functionWith("scopes", []string{"documents.write", "documents.read"}), "its scopes lack execution.write"},
		{"timeout", "PUT", function, functionWith("timeout", 15), "its timeout is 15 s, not 30"},
		{"logging", "PUT", function, functionWith("logging", false), "logging is off (→ Execution logs): documents in UNSETTLED lines are lost"},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			if err := c.project(false).call(ctx, f.method, f.path, anyBody(f.body), nil); err != nil {
				t.Fatal(err)
			}
			c.checkFixed(f.want)
		})
	}
}

func anyBody(b map[string]any) any {
	if b == nil {
		return nil
	}
	return b
}

// functionWith is the function as it should be, but for one field.
func functionWith(name string, value any) map[string]any {
	f := map[string]any{"name": "daraja", "runtime": "go-1.23", "execute": []string{"any"}, "timeout": 30, "enabled": true, "logging": true,
		"entrypoint": "main.go", "scopes": []string{"documents.read", "documents.write", "execution.write"}, "specification": "s-0.5vcpu-512mb"}
	f[name] = value
	return f
}

// checkFixed: -check names the fault and changes nothing, deploy fixes it, and
// -check is clean.
func (c *cloud) checkFixed(want string) {
	c.t.Helper()
	for range 2 {
		if out, err := c.run(true); !errors.Is(err, errWrong) || !strings.Contains(out, want) || !strings.Contains(out, "\n        Fix: go run ./scripts/deploy    or Console") {
			c.t.Fatalf("-check = %v, want %q and a fix in\n%s", err, want, out)
		}
	}
	out := c.deploy()
	if isFixed := regexp.MustCompile(`(?m)^fixed   [a-z ]+: .*` + regexp.QuoteMeta(want)); !isFixed.MatchString(out) && !strings.Contains(out, "\nmade    ") {
		c.t.Errorf("deploy did not say that it fixed %q:\n%s", want, out)
	}
	if out, err := c.run(true); err != nil {
		c.t.Errorf("-check after it = %v\n%s", err, out)
	}
}

// TestVariableFaults: what is given beats what stands there, and nothing is
// deleted.
func TestVariableFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*cloud, *project, []variable) error
		want   string
	}{
		"missing": {func(c *cloud, p *project, remote []variable) error {
			return p.call(ctx, "DELETE", "/functions/daraja/variables/"+idOf(remote, "DARAJA_DATABASE_ID"), nil, nil)
		}, "missing, without which callbacks can only be queued: DARAJA_DATABASE_ID\n"},
		"another secret is given": {func(c *cloud, p *project, remote []variable) error {
			c.env["DARAJA_CALLBACK_SECRET"] = "0123456789abcdef-new"
			return nil
		}, "DARAJA_CALLBACK_SECRET is not what was given"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			p := c.project(false)
			if err := p.call(ctx, "POST", "/functions/daraja/variables", map[string]any{"key": "OF_SOMEBODY_ELSE", "value": "x"}, nil); err != nil {
				t.Fatal(err)
			}
			remote, err := p.remoteVariables(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.change(c, p, remote); err != nil {
				t.Fatal(err)
			}
			c.checkFixed(tt.want)
			if remote, err = p.remoteVariables(ctx); err != nil || idOf(remote, "OF_SOMEBODY_ELSE") == "" {
				t.Errorf("a variable of somebody else's is gone: %v %v", remote, err)
			}
		})
	}
}

// TestLiveSecrets: apps in the field must not be shut out. A live function without
// a secret gets none unasked, and a new one stands before the old.
func TestLiveSecrets(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	p := c.project(false)
	remote, err := p.remoteVariables(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := remote[len(remote)-1].Value
	if len(old) != 32 || remote[len(remote)-1].Key != "DARAJA_CALLBACK_SECRET" {
		t.Fatalf("the variables are %v, want a secret at the end", remote)
	}
	c.env["DARAJA_CALLBACK_SECRET"] = "0123456789abcdef-new"
	c.deploy()
	if again := c.deploy(); changed(again) {
		t.Errorf("a second run fixed something:\n%s", again)
	}
	if remote, err = p.remoteVariables(ctx); err != nil || idOf(remote, "DARAJA_CALLBACK_SECRET") == "" {
		t.Fatal(remote, err)
	}
	for _, v := range remote {
		if want := "0123456789abcdef-new," + old; v.Key == "DARAJA_CALLBACK_SECRET" && v.Value != want {
			t.Errorf("the secrets are %q, want %q", v.Value, want)
		}
	}
	c.env["DARAJA_CALLBACK_SECRET"] = "" // and without any
	if err := p.call(ctx, "DELETE", "/functions/daraja/variables/"+idOf(remote, "DARAJA_CALLBACK_SECRET"), nil, nil); err != nil {
		t.Fatal(err)
	}
	c.uploadAndWait(source(t), true, "ready") // until then the function has the old one
	if out := c.deploy(); !strings.Contains(out, "and no DARAJA_CALLBACK_SECRET: anybody can post payments") {
		t.Errorf("deploy of a live function without a secret:\n%s", out)
	}
	if remote, err = p.remoteVariables(ctx); err != nil || idOf(remote, "DARAJA_CALLBACK_SECRET") != "" {
		t.Errorf("a secret was made unasked: %v %v", remote, err)
	}
}

// TestInherit: what a live function works on is what is looked at, also by a run that
// was not told.
func TestInherit(t *testing.T) {
	c := newCloud(t)
	c.env["DARAJA_DATABASE_ID"], c.env["DARAJA_COLLECTION_ID"] = "shop", "tills"
	c.deploy()
	delete(c.env, "DARAJA_DATABASE_ID")
	delete(c.env, "DARAJA_COLLECTION_ID")
	if out, err := c.run(true); err != nil || !strings.Contains(out, "ok      database: shop\n") || !strings.Contains(out, "ok      collection of payments: tills\n") {
		t.Errorf("-check = %v\n%s", err, out)
	}
	if out := c.deploy(); changed(out) {
		t.Errorf("a second run fixed something:\n%s", out)
	}
}

func idOf(variables []variable, key string) string {
	for _, v := range variables {
		if v.Key == key {
			return v.ID
		}
	}
	return ""
}

// TestNoEntrypoint: only a function that was made so has none.
func TestNoEntrypoint(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	p := c.project(false)
	without := functionWith("functionId", "daraja")
	delete(without, "entrypoint")
	if err := errors.Join(p.call(ctx, "DELETE", "/functions/daraja", nil, nil), p.call(ctx, "POST", "/functions", without, nil)); err != nil {
		t.Fatal(err)
	}
	c.checkFixed("it has no entrypoint (→ Entrypoint: main.go): it cannot be built")
}

// TestHopeless: what cannot be fixed without loss is named, and ends the command.
func TestHopeless(t *testing.T) {
	t.Parallel()
	type body = map[string]any
	const attributes = "/databases/daraja/collections/payments/attributes"
	for name, tt := range map[string]struct {
		break_ func(*cloud, *project) error
		want   string
	}{
		"attribute of another type": {func(c *cloud, p *project) error {
			return errors.Join(p.call(ctx, "DELETE", attributes+"/amount", nil, nil), p.call(ctx, "POST", attributes+"/string", body{"key": "amount", "size": 20, "required": false}, nil))
		}, "amount is of the type string, not integer"},
		"attribute nobody knows": {func(c *cloud, p *project) error {
			return p.call(ctx, "POST", attributes+"/string", body{"key": "order", "size": 20, "required": true}, nil)
		}, "order is required, and this function does not know it"},
		"scopes of the key": {func(c *cloud, p *project) error {
			c.AddKey("standard_deployer", allScopes[1:10]...)
			return nil
		}, "the API key lacks databases.read, rules.write"},
		"a key that is none": {func(c *cloud, p *project) error {
			c.env["APPWRITE_API_KEY"] = "standard_other"
			return nil
		}, "Appwrite does not take APPWRITE_API_KEY in the project fake: it is no key, or another project's (401 user_unauthorized"},
		"another project": {func(c *cloud, p *project) error {
			c.env["APPWRITE_PROJECT_ID"] = "other"
			return nil
		}, "has no project other"},
		"another runtime": {func(c *cloud, p *project) error {
			return errors.Join(p.call(ctx, "DELETE", "/functions/daraja", nil, nil), p.call(ctx, "POST", "/functions", body{"functionId": "daraja", "name": "x", "runtime": "node-22"}, nil))
		}, "its runtime is node-22, which cannot be changed"},
		"a malformed secret": {func(c *cloud, p *project) error {
			remote, err := p.remoteVariables(ctx)
			return errors.Join(err, p.call(ctx, "PUT", "/functions/daraja/variables/"+idOf(remote, "DARAJA_CALLBACK_SECRET"),
				body{"key": "DARAJA_CALLBACK_SECRET", "value": "Short", "secret": false}, nil))
		}, "DARAJA_CALLBACK_SECRET is not 16 to 64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			if err := tt.break_(c, c.project(false)); err != nil {
				t.Fatal(err)
			}
			out, err := c.run(false)
			if err == nil || !strings.Contains(out, "WRONG   ") || !strings.Contains(out, tt.want) {
				t.Errorf("deploy = %v, want %q in\n%s", err, tt.want, out)
			}
		})
	}
}

// TestBrokenOff ends the command at each of its calls in turn, before the call took
// effect and after it, and runs it again.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	whole := newCloud(t)
	whole.startPayments()
	whole.deploy()
	if calls := whole.made.Load(); calls < 60 {
		t.Fatalf("a deploy makes %d calls, want many", calls)
	}
	breakOff := func(name string, k int64, lostAnswer bool) {
		t.Run(fmt.Sprintf("%s call %d", name, k+1), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.startPayments()
			c.allowed.Store(k)
			c.lostAnswer.Store(lostAnswer)
			if out, err := c.run(false); err == nil {
				t.Fatalf("deploy succeeded:\n%s", out)
			}
			c.allowed.Store(1 << 40)
			c.deploy()
			if out, err := c.run(true); err != nil {
				t.Errorf("run again, -check = %v\n%s", err, out)
			}
		})
	}
	commands := slices.DeleteFunc(whole.Calls(), func(call fakeappwrite.Call) bool {
		return strings.HasPrefix(call.Header.Get("X-Appwrite-Key"), "ephemeral_")
	})
	for k, call := range commands {
		breakOff("before", int64(k), false)
		if call.Method != http.MethodGet { // else nothing took effect
			breakOff("after", int64(k), true)
		}
	}
}

// TestRedeployBrokenOff is the same where everything stands, one variable is to change
// and others come with it: no run may leave the old ones running and call it right.
func TestRedeployBrokenOff(t *testing.T) {
	t.Parallel()
	for k := int64(0); k < 80; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			c.env["DARAJA_CALLBACK_SECRET"] = "0123456789abcdef-new"
			c.startPayments()
			c.allowed.Store(c.made.Load() + k)
			_, err := c.run(false)
			c.allowed.Store(1 << 40)
			out := c.deploy()
			if err == nil && changed(out) {
				t.Errorf("broken off after %d calls it said that all was right, and then\n%s", k, out)
			}
			if out, err := c.run(true); err != nil {
				t.Errorf("broken off after %d calls and run again, -check = %v\n%s", k, err, out)
			}
		})
	}
}

// TestDomainNames: on Cloud a domain is made up, elsewhere it must be given.
func TestDomainNames(t *testing.T) {
	c := newCloud(t)
	c.env["APPWRITE_FUNCTION_DOMAIN"] = ""
	if out, err := c.run(false); err == nil || !strings.Contains(err.Error(), "set APPWRITE_FUNCTION_DOMAIN to one label before the server's _APP_DOMAIN_FUNCTIONS") {
		t.Errorf("deploy without a domain = %v\n%s", err, out)
	}
	p := c.project(false)
	p.domain = "x.fra.appwrite.run"
	if got := p.url("/s"); got != "https://x.fra.appwrite.run/s" {
		t.Errorf("url = %s, want TLS", got)
	}
}

// TestAdditionsStay: fixing one thing takes nothing away that a person added.
func TestAdditionsStay(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	p := c.project(false)
	added := functionWith("execute", []string{"users"})
	added["scopes"], added["timeout"], added["name"] = []string{"documents.read", "teams.read"}, 60, "Malipo"
	if err := p.call(ctx, "PUT", "/functions/daraja", added, nil); err != nil {
		t.Fatal(err)
	}
	c.Reset()
	c.deploy()
	f, err := p.function(ctx)
	const want = "[users any] [documents.read teams.read documents.write execution.write] 60 Malipo"
	if got := fmt.Sprintf("%v %v %d %s", f.Execute, f.Scopes, f.Timeout, f.Name); got != want || err != nil {
		t.Errorf("the function became %s, %v; want %s", got, err, want)
	}
	for _, call := range c.Calls() {
		// Later formats name a function's fields otherwise.
		command := call.Header.Get("X-Appwrite-Key") == "standard_deployer"
		if got := call.Header.Get("X-Appwrite-Response-Format"); command && got != "1.8.0" {
			t.Errorf("%s %s asks for the format %q, want 1.8.0", call.Method, call.Path, got)
		}
	}
}

// TestPreviewDomain: the domain of one deployment goes on leading to that one, a redirect
// leads elsewhere, and neither is a domain to give to Safaricom.
func TestPreviewDomain(t *testing.T) {
	for name, of := range map[string]string{"a preview": `"type":"deployment","trigger":"deployment"`, "a redirect": `"type":"redirect","trigger":"manual"`} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			c.deploy()
			c.Inject(fakeappwrite.Fault{Operation: "GET rules", Reply: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, `{"total":1,"rules":[{"domain":"other.example","deploymentResourceId":"daraja",`+of+`,"status":"verified"}]}`)
			}})
			if out, err := c.run(true); !errors.Is(err, errWrong) || !strings.Contains(out, "WRONG   domain: the function has no domain") {
				t.Errorf("-check with its domain alone = %v\n%s", err, out)
			}
		})
	}
}

// changed reports whether a run fixed or made anything.
func changed(out string) bool {
	return regexp.MustCompile(`(?m)^(fixed|made) `).MatchString(out)
}

// TestTextTypes: from 1.9.0 on other tools make texts as varchar or text, in which a
// document fits as well as in a string.
func TestTextTypes(t *testing.T) {
	for _, version := range []string{"1.9.0", "1.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.Version = version
			c.deploy()
			for _, at := range []map[string]any{
				{"type": "varchar", "key": "receipt", "size": 20, "required": false},
				{"type": "text", "key": "failureReason", "required": true},
			} {
				c.must("DELETE", aPayment+"/attributes/"+at["key"].(string), nil)
				c.must("POST", aPayment+"/attributes/"+at["type"].(string), at)
			}
			out, err := c.run(true)
			if got := line(out, "attributes of payments"); !errors.Is(err, errWrong) || !strings.Contains(got, "failureReason is required, and not every document has it") || strings.Contains(got, "of the type") {
				t.Errorf("-check = %v\n%s", err, out)
			}
			c.deploy()
			if out, err := c.run(true); err != nil {
				t.Errorf("-check = %v\n%s", err, out)
			}
			c.must("DELETE", aPayment+"/attributes/receipt", nil)
			c.must("POST", aPayment+"/attributes/varchar", map[string]any{"key": "receipt", "size": 5, "required": false})
			c.deploy()
			if out, err := c.run(true); err != nil {
				t.Errorf("a varchar that was too short: -check = %v\n%s", err, out)
			}
		})
	}
}
