package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
)

// withNPX reports whether to run the Appwrite CLI as the README has users run it.
// That fetches some 40 MB, and happens where WITH_NPX is set, as in .ci/run.
func withNPX(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WITH_NPX") == "" {
		t.Log("WITH_NPX is not set: the upload is the tests' own")
		return false
	}
	return true
}

// program is the command, built, on a machine of its own: a home, a temporary folder,
// and a copy of the project.
type program struct {
	*cloud
	home, temp, folder, path string
}

const npxKey = "standard_b1946ac92492d2347c6235b4d2611184"

func newProgram(t *testing.T) *program {
	t.Helper()
	p := &program{cloud: newCloud(t), temp: t.TempDir(), folder: t.TempDir(), path: filepath.Join(t.TempDir(), "deploy")}
	p.home = sharedHome(t)
	p.AddKey(npxKey, allScopes...)
	p.env["APPWRITE_API_KEY"] = npxKey
	build := exec.Command("go", "build", "-o", p.path, "./scripts/deploy")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for name, content := range source(t) {
		if err := writeFile(filepath.Join(p.folder, name), content); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"appwrite.json": config, ".env": []byte("APPWRITE_API_KEY=" + npxKey + "\n"), "README.md": config, "testdata/x.json": config,
		"main_test.go": []byte("package handler"), "scripts/x/main.go": []byte("package main"), ".git/config": config,
	} {
		if err := writeFile(filepath.Join(p.folder, name), content); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// sharedHome is the home of all these tests' users, so that npx fetches once. It has
// settings for npm, which must go on to count.
func sharedHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(os.TempDir(), "daraja-npx-home")
	npmrc := "fund=false\n"
	if registry, err := exec.Command("npm", "config", "get", "registry").Output(); err == nil {
		npmrc += "registry=" + string(registry)
	}
	if err := writeFile(filepath.Join(home, ".npmrc"), []byte(npmrc)); err != nil {
		t.Fatal(err)
	}
	return home
}

// command is the program with these arguments, not started.
func (p *program) command(arguments ...string) (c *exec.Cmd, output *bytes.Buffer) {
	c, output = exec.Command(p.path, arguments...), &bytes.Buffer{}
	c.Dir, c.Stdout, c.Stderr = p.folder, output, output
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "HOME" && name != "TMPDIR" && !strings.HasPrefix(name, "npm_config_") {
			c.Env = append(c.Env, v)
		}
	}
	goCache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	set := strings.Split(strings.TrimSpace(string(goCache)), "\n")
	c.Env = append(c.Env, "HOME="+p.home, "TMPDIR="+p.temp, "GOCACHE="+set[0], "GOMODCACHE="+set[1], "GOPROXY="+set[2])
	for name, value := range p.env {
		c.Env = append(c.Env, name+"="+value)
	}
	return c, output
}

// run runs it to its end, which must be that exit status.
func (p *program) run(status int, arguments ...string) string {
	p.t.Helper()
	c, output := p.command(arguments...)
	c.Run()
	if got := c.ProcessState.ExitCode(); got != status {
		p.t.Fatalf("deploy %s: exit status %d, want %d\n%s", strings.Join(arguments, " "), got, status, output)
	}
	if strings.Contains(output.String(), npxKey) {
		p.t.Errorf("it prints the key:\n%s", output)
	}
	return output.String()
}

// checkClean looks for the key in every file of the home and the temporary folder,
// and for what is left there after an ordinary end.
func (p *program) checkClean(nothingLeft bool) {
	p.t.Helper()
	for _, dir := range []string{p.home, p.temp} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // removed meanwhile
			}
			if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(npxKey)) {
				p.t.Errorf("%s holds the key", path)
			}
			return nil
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(p.temp, "daraja-deploy-*"))
	if err != nil || nothingLeft && len(left) > 0 {
		p.t.Errorf("left behind: %v %v", left, err)
	}
}

// checkUpload compares the last archive with what the go command says, and looks for
// the key in it.
func (p *program) checkUpload() {
	p.t.Helper()
	archive := p.Uploaded()
	files, err := unpack(archive)
	if err != nil {
		p.t.Fatal(err)
	}
	if what := compareSource(files, source(p.t)); what != "" {
		p.t.Errorf("the upload: %s", what)
	}
	if len(archive) > 200<<10 {
		p.t.Errorf("the upload has %d bytes", len(archive))
	}
	for name, content := range files {
		if bytes.Contains(content, []byte(npxKey)) {
			p.t.Errorf("%s in the upload holds the key", name)
		}
	}
}

// TestNPX: the README's command, from an empty project to a clean check, on each
// version, and a second run that changes nothing.
func TestNPX(t *testing.T) {
	if !withNPX(t) {
		return
	}
	for _, version := range []string{"1.8.1", "1.9.0", "1.9.6"} {
		t.Run(version, func(t *testing.T) {
			p := newProgram(t)
			p.Version = version
			out := p.run(0)
			for _, want := range []string{"code: npx fetches appwrite-cli@" + cliVersion, "code: uploading ", "made    code: build ", "ok      self-test: ", "\nLive. In the app: "} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			p.checkUpload()
			p.checkClean(true)
			if out := p.run(0); changed(out) {
				t.Errorf("a second run fixed something:\n%s", out)
			}
			p.run(0, "-check")
			p.checkClean(true)
		})
	}
}

// TestNPXFails: a build that fails, an upload that is refused, and the run after.
func TestNPXFails(t *testing.T) {
	if !withNPX(t) {
		return
	}
	p := newProgram(t)
	p.env["APPWRITE_CLI"] = "npx appwrite-cli@" + cliVersion // as the help has it
	p.FailBuilds("go: module not found")
	if out := p.run(1); !strings.HasSuffix(out, "\ndeploy: code could not be fixed: the build failed:\ngo: module not found\n") {
		t.Errorf("with a build that fails:\n%s", out)
	}
	p.checkClean(true)
	p.FailBuilds("")
	p.Inject(fakeappwrite.Fault{Operation: "POST deployments", Reply: fakeappwrite.Status(403, "general_resource_blocked", "blocked")})
	if out := p.run(1); !strings.Contains(out, "\ndeploy: code could not be fixed: nothing was uploaded. The Appwrite CLI said:\n") {
		t.Errorf("with an upload that is refused:\n%s", out)
	}
	p.checkClean(true)
	p.Heal()
	if out := p.run(0); !strings.Contains(out, "fixed   code: the newest build failed") {
		t.Errorf("the run after it:\n%s", out)
	}
	p.checkUpload()
	p.checkClean(true)
}

// TestNPXEnded: whoever ends it in the middle of the upload leaves no key behind,
// also where nothing can be cleaned up any more. While it runs, the key is in no
// command line.
func TestNPXEnded(t *testing.T) {
	if !withNPX(t) {
		return
	}
	for _, tt := range []struct {
		signal syscall.Signal
		status int // -1: ended by the signal
	}{{syscall.SIGINT, 1}, {syscall.SIGTERM, 1}, {syscall.SIGKILL, -1}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			p := newProgram(t)
			arrived := make(chan bool, 8)
			p.Inject(fakeappwrite.Fault{Operation: "POST deployments", Reply: func(w http.ResponseWriter, r *http.Request) {
				arrived <- true
				<-r.Context().Done()
			}})
			c, output := p.command()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			select {
			case <-arrived:
			case err := <-ended:
				t.Fatalf("it ended before the upload: %v\n%s", err, output)
			}
			for _, line := range commandLines(t) {
				if strings.Contains(line, npxKey) {
					t.Errorf("the key is in a command line: %q", line)
				}
			}
			p.checkClean(false)
			if err := c.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			<-ended
			if got := c.ProcessState.ExitCode(); got != tt.status {
				t.Errorf("exit status %d, want %d\n%s", got, tt.status, output)
			}
			if want := "deploy: interrupted; it can be run again\n"; tt.status == 1 && !strings.HasSuffix(output.String(), want) {
				t.Errorf("it ended with\n%s", output)
			}
			p.checkClean(tt.status == 1)
			p.Heal()
			p.run(0)
			p.checkUpload()
		})
	}
}

// commandLines are those of all processes.
func commandLines(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(names) == 0 {
		t.Fatalf("no processes can be seen: %v", err)
	}
	var lines []string
	for _, name := range names {
		if content, err := os.ReadFile(name); err == nil {
			lines = append(lines, string(content))
		}
	}
	return lines
}

// TestRelay passes on what carries its password, with the key in its place, and
// nothing else.
func TestRelay(t *testing.T) {
	c := newCloud(t)
	p := c.project(false)
	endpoint, password, stop, err := p.relay()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(key string) int {
		t.Helper()
		r, err := http.NewRequest("GET", endpoint+"/functions?"+url.Values{"queries[]": {`{"method":"limit","values":[1]}`}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Appwrite-Project", fakeappwrite.ProjectID)
		r.Header.Set("X-Appwrite-Key", key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for key, want := range map[string]int{password: 200, "": 403, "standard_deployer": 403, password + "0": 403} {
		if got := ask(key); got != want {
			t.Errorf("with the key %q: %d, want %d", key, got, want)
		}
	}
	calls := slices.DeleteFunc(c.Calls(), func(call fakeappwrite.Call) bool { return call.Operation != "GET functions" })
	if len(calls) != 1 || calls[0].Header.Get("X-Appwrite-Key") != "standard_deployer" {
		t.Errorf("Appwrite saw %v, want one call with the key", calls)
	}
	stop()
	if _, err := http.Get(endpoint); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after its end: %v, want a refused connection", err)
	}
}
