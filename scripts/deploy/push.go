package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cliVersion is that of the Appwrite CLI which this command was tested with.
const cliVersion = "12.0.1"

// findCLI returns the command with which the Appwrite CLI is run: what APPWRITE_CLI
// names, a path or a command with arguments, else the published one, which npx
// fetches. It changes nothing.
func (s settings) findCLI() ([]string, error) {
	given := s.get("APPWRITE_CLI")
	if _, err := exec.LookPath(given); given != "" && err == nil {
		return []string{given}, nil
	}
	words := strings.Fields(given)
	if len(words) == 0 {
		words = []string{"npx", "appwrite-cli@" + cliVersion}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		if given == "" {
			return nil, errors.New("npx is not installed, which fetches the Appwrite CLI: install Node.js 18 or newer, or set APPWRITE_CLI to the CLI's executable")
		}
		return nil, fmt.Errorf("APPWRITE_CLI: there is no %s", words[0])
	}
	return words, nil
}

// pushWithCLI uploads the code with the Appwrite CLI, and returns what that said.
// It does not wait for the build.
//
// The CLI writes into the folder that it packs and keeps the API key in its home,
// and npm logs its command line. So the CLI works on a copy of the code, has a home
// beside that and not within, and is given no key: it talks to a relay on this
// machine, which adds the key to what it passes on. What the CLI knows is a password
// for the relay, which is worth nothing once this process has ended, however it
// ended.
func pushWithCLI(ctx context.Context, p *project) (string, error) {
	cli, err := p.findCLI()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "daraja-deploy-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	code, home := filepath.Join(dir, "code"), filepath.Join(dir, "home")
	count, err := p.copyTo(ctx, code)
	if err != nil {
		return "", err
	}
	endpoint, password, stop, err := p.relay()
	if err != nil {
		return "", err
	}
	defer stop()
	preferences := map[string]any{"current": "deploy", "deploy": map[string]string{"endpoint": endpoint, "key": password}}
	if err := writeJSON(filepath.Join(home, ".appwrite", "prefs.json"), preferences); err != nil {
		return "", err
	}
	if cli, err = p.fetchCLI(ctx, cli); err != nil {
		return "", err
	}
	p.say("code: uploading %d files with the Appwrite CLI", count)
	said, err := p.run(ctx, cli, []string{"push", "functions", "--function-id", p.target.FunctionID, "--async", "--force"}, func(c *exec.Cmd) {
		c.Dir = code
		c.Env = append(withoutKey(os.Environ()), "HOME="+home, "USERPROFILE="+home, "NO_COLOR=1", "CI=1")
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, said)
	}
	return said, nil
}

// fetchCLI returns the command to run the CLI with. If that is npx, it fetches the
// package first, in the user's own home with its settings for npm, and then stands
// back: the CLI has another home.
func (p *project) fetchCLI(ctx context.Context, cli []string) ([]string, error) {
	if strings.TrimSuffix(filepath.Base(cli[0]), ".cmd") != "npx" {
		return cli, nil
	}
	p.say("code: npx fetches %s, which can take a minute the first time", cli[len(cli)-1])
	var paths strings.Builder // npm's notices go to standard error
	said, err := p.run(ctx, cli[:1], []string{"--yes", "--package", cli[len(cli)-1], "-c", "node -p process.env.PATH"}, func(c *exec.Cmd) {
		c.Env, c.Stdout = withoutKey(os.Environ()), &paths
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	for _, dir := range filepath.SplitList(strings.TrimSpace(paths.String())) {
		if path, err := exec.LookPath(filepath.Join(dir, "appwrite")); err == nil {
			return []string{path}, nil
		}
	}
	return nil, fmt.Errorf("npx fetched %s, and there is no appwrite in it", cli[len(cli)-1])
}

// run runs a command, and ends it with ctx. It returns all that the command said,
// but for what configure sends elsewhere.
func (p *project) run(ctx context.Context, command, arguments []string, configure func(*exec.Cmd)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], arguments...)...)
	c.WaitDelay = 5 * time.Second // for its children, which may hold the pipe
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	configure(c)
	err := c.Run()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return said.String(), err
}

// withoutKey takes the API key out of an environment: neither npm nor the CLI has
// any use for it.
func withoutKey(environment []string) []string {
	return slices.DeleteFunc(environment, func(v string) bool { return strings.HasPrefix(v, "APPWRITE_API_KEY=") })
}

// relay passes requests that carry the password on to Appwrite, with the API key in
// its place. It serves on loopback until stop is called.
func (p *project) relay() (endpoint, password string, stop func(), err error) {
	target, err := url.Parse(p.target.Endpoint)
	if err != nil {
		return "", "", nil, err
	}
	password = randomHex(32)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			query := r.In.URL.RawQuery
			r.Out.URL = target.JoinPath(strings.TrimPrefix(r.In.URL.EscapedPath(), "/v1"))
			r.Out.URL.RawQuery = query
			r.Out.Host = ""
			r.Out.Header.Set("X-Appwrite-Key", p.key)
		},
		ErrorLog: log.New(io.Discard, "", 0), // the CLI is told, and says it
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Appwrite-Key")), []byte(password)) != 1 {
			http.Error(w, "this is not Appwrite", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(listener)
	return "http://" + listener.Addr().String() + "/v1", password, func() { server.Close() }, nil
}

// copyTo writes what is deployed to a folder, and an appwrite.json that names this
// project and this function as it is now. It returns how many files are deployed.
func (p *project) copyTo(ctx context.Context, dir string) (int, error) {
	files, err := p.deployed()
	if err != nil {
		return 0, err
	}
	for name, content := range files {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), content); err != nil {
			return 0, err
		}
	}
	// What the function is like was fixed before, and the CLI would undo it.
	f, err := p.function(ctx)
	if err != nil {
		return 0, err
	}
	f = f.withoutDeployments()
	entry := struct {
		ID     string   `json:"$id"`
		Path   string   `json:"path"`
		Ignore []string `json:"ignore"`
		function
	}{p.target.FunctionID, ".", []string{"appwrite.json"}, f}
	config := map[string]any{"projectId": p.target.ProjectID, "functions": []any{entry}}
	return len(files), writeJSON(filepath.Join(dir, "appwrite.json"), config)
}

func writeJSON(name string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(name, content)
}

// writeFile writes a file that nobody else can read, with the folders it needs.
func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o600)
}
