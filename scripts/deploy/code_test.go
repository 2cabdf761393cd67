package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestCodeFaults: what runs is what is here.
func TestCodeFaults(t *testing.T) {
	t.Run("older code", func(t *testing.T) {
		c := newCloud(t)
		c.deploy()
		old := source(t)
		old["settle/settle.go"] = append(old["settle/settle.go"], "\n// older\n"...)
		c.uploadAndWait(old, true, "ready")
		c.checkFixed("settle/settle.go differs from what is deployed")
	})
	t.Run("newest build failed", func(t *testing.T) {
		c := newCloud(t)
		c.deploy()
		c.FailBuilds("go: module not found")
		c.uploadAndWait(source(t), true, "failed")
		c.FailBuilds("")
		c.checkFixed("the newest build failed")
	})
	t.Run("variables newer than the code", func(t *testing.T) {
		c := newCloud(t)
		c.deploy()
		p := c.project(false)
		remote, err := p.remoteVariables(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// In the console, say, or by a run that was broken off.
		if err := p.call(ctx, "PUT", "/functions/daraja/variables/"+idOf(remote, "DARAJA_CALLBACK_SECRET"),
			map[string]any{"key": "DARAJA_CALLBACK_SECRET", "value": "0123456789abcdef-new", "secret": false}, nil); err != nil {
			t.Fatal(err)
		}
		c.checkFixed("DARAJA_CALLBACK_SECRET was changed after the function was deployed")
	})
	t.Run("newest is not active", func(t *testing.T) {
		c := newCloud(t)
		c.deploy()
		c.uploadAndWait(source(t), false, "ready")
		c.checkFixed("the newest build is ready, but not the one that is active")
	})
}

func (c *cloud) uploadAndWait(files map[string][]byte, activate bool, status string) {
	c.t.Helper()
	p := c.project(false)
	if err := upload(p, files, activate); err != nil {
		c.t.Fatal(err)
	}
	c.WaitForBuilds()
	if all, err := p.deployments(ctx); err != nil || all[0].Status != status {
		c.t.Fatalf("the newest build is %+v, %v; want %s", all[0], err, status)
	}
}

// TestBuildFails, and an upload that is refused: the CLI exits with 0 in both
// cases, this command does not.
func TestBuildFails(t *testing.T) {
	c := newCloud(t)
	c.FailBuilds("main.go:7: syntax error")
	if out, err := c.run(false); err == nil || !strings.Contains(err.Error(), "the build failed:\nmain.go:7: syntax error") {
		t.Errorf("deploy with a failing build = %v\n%s", err, out)
	}
	c.FailBuilds("")
	c.deploy()

	c = newCloud(t)
	p := c.project(false)
	p.push = func(context.Context, *project) (string, error) { return "Everything is already up to date.", nil }
	var out strings.Builder
	if err := p.deploy(ctx, report{&out, false}); err == nil || !strings.Contains(err.Error(), "nothing was uploaded. The Appwrite CLI said:\nEverything is already up to date.") {
		t.Errorf("deploy with a refused upload = %v\n%s", err, &out)
	}
}

// TestFilesTooMany: what does not belong into the source is named, and the key that
// may be among it.
func TestFilesTooMany(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		want  string
	}{
		{"one", []string{"README.md"}, "what is deployed holds 1 files too many (README.md)\n"},
		{"many", []string{"a", "b", "c", "d"}, "what is deployed holds 4 files too many (a, b, c, …)\n"},
		{"the CLI's home", []string{"home/.appwrite/prefs.json"}, "what is deployed holds 1 files too many (home/.appwrite/prefs.json), and in them the API key that deployed it: delete that deployment and revoke that key\n"},
		{"npm's logs", []string{"home/.npm/_logs/x.log"}, "what is deployed holds 1 files too many (home/.npm/_logs/x.log), and in them the API key that deployed it: delete that deployment and revoke that key\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.deploy()
			files := source(t)
			for _, name := range tt.files {
				files[name] = []byte("x")
			}
			c.uploadAndWait(files, true, "ready")
			out, err := c.run(true)
			if !errors.Is(err, errWrong) || !strings.Contains(out, "WRONG   code: "+tt.want) {
				t.Errorf("-check = %v, want %q in\n%s", err, tt.want, out)
			}
			c.deploy()
			if out, err := c.run(true); err != nil {
				t.Errorf("-check after deploy = %v\n%s", err, out)
			}
		})
	}
}

// TestBloated: an upload of version 0.1.0 still lies there, with the key in it.
func TestBloated(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	files := source(t)
	files["home/.npm/_cacache/x"] = noise(bloated)
	c.uploadAndWait(files, true, "ready")
	c.deploy()
	const want = " has 5 MB: delete it, and if it was made by this command, revoke the API key that deployed it, which is in it\n"
	if out, err := c.run(true); err != nil || !strings.Contains(out, want) {
		t.Errorf("-check = %v, want %q in\n%s", err, want, out)
	}
}

// TestBuildUnderWay: a run that was broken off during the build has uploaded. The
// next one waits for that build and uploads nothing.
func TestBuildUnderWay(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(map[string][]byte)
		uploads int
	}{
		{"what is wanted", func(map[string][]byte) {}, 0},
		{"something else", func(files map[string][]byte) { files["main.go"] = append(files["main.go"], "// older\n"...) }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.deploy()
			p := c.project(false)
			release := c.HoldBuilds()
			files := source(t)
			tt.change(files)
			if err := upload(p, files, true); err != nil {
				t.Fatal(err)
			}
			c.Reset()
			progress := &firstWrite{done: release}
			p.progress = progress
			var out strings.Builder
			if err := p.deploy(ctx, report{&out, false}); err != nil {
				t.Fatalf("deploy = %v\n%s", err, &out)
			}
			if want := "        code: an earlier build is "; !strings.HasPrefix(progress.text, want) {
				t.Errorf("it said %q first, want %q", progress.text, want)
			}
			if n := count(c.Calls(), "POST deployments"); n != tt.uploads {
				t.Errorf("%d uploads, want %d", n, tt.uploads)
			}
			if out, err := c.run(true); err != nil {
				t.Errorf("-check = %v\n%s", err, out)
			}
		})
	}
}

// TestStuckUpload: an upload that broke off waits for ever. Nobody waits for it an hour later.
func TestStuckUpload(t *testing.T) {
	defer testbed.Watch(t)()
	c := newCloud(t)
	var shift time.Duration
	c.Now = func() time.Time { return time.Now().Add(shift) }
	shift = -2 * time.Hour
	c.deploy()
	release := sync.OnceFunc(c.HoldBuilds())
	if err := upload(c.project(false), map[string][]byte{"main.go": []byte("package handler\n")}, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	shift = 0
	p := c.project(false)
	push := p.push
	p.push = func(ctx context.Context, p *project) (string, error) { release(); return push(ctx, p) }
	c.must("DELETE", "/functions/daraja/variables/"+c.remote("DARAJA_COLLECTION_ID").ID, nil) // so that there is something to do
	progress := &firstWrite{done: func() {}}
	p.progress = progress
	if err := p.deploy(ctx, report{io.Discard, false}); err != nil || strings.Contains(progress.text, "earlier build") {
		t.Errorf("deploy = %v, and said %q", err, progress.text)
	}
}

// firstWrite calls done at the first write, and keeps what that was.
type firstWrite struct {
	text string
	done func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.text == "" {
		w.text = string(p)
		w.done()
	}
	return len(p), nil
}

func count(calls []fakeappwrite.Call, operation string) (n int) {
	for _, c := range calls {
		if c.Operation == operation && c.Status < 300 {
			n++
		}
	}
	return n
}

// TestActivates what the server does not: it leaves it be after an upload in pieces,
// and where it was not asked to.
func TestActivates(t *testing.T) {
	c := newCloud(t)
	p := c.project(false)
	p.push = func(_ context.Context, p *project) (string, error) {
		defer c.WaitForBuilds()
		return "uploaded", upload(p, source(t), false)
	}
	var out strings.Builder
	if err := p.deploy(ctx, report{&out, false}); err != nil {
		t.Fatalf("deploy = %v\n%s", err, &out)
	}
	if n := count(c.Calls(), "PATCH deployments"); n != 1 {
		t.Errorf("%d activations, want 1", n)
	}
	if out, err := c.run(true); err != nil {
		t.Errorf("-check = %v\n%s", err, out)
	}
}

// TestQueuedBuild: a first build that no worker has begun is not yet the function's newest
// for 1.9.6, and there all the same.
func TestQueuedBuild(t *testing.T) {
	for _, version := range fakeappwrite.Versions {
		t.Run(version, func(t *testing.T) {
			c := newCloud(t)
			c.Version = version
			defer c.HoldBuilds()()
			p := c.project(false)
			p.push = func(_ context.Context, p *project) (string, error) {
				return "uploaded", errors.Join(upload(p, source(t), true), context.Canceled)
			}
			if err := p.deploy(ctx, report{io.Discard, false}); !errors.Is(err, context.Canceled) {
				t.Fatalf("deploy = %v, want it ended after the upload", err)
			}
			const want = "WRONG   code: the newest build is waiting and not active yet"
			if out, _ := c.run(true); !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		})
	}
}

// TestInterrupted: Ctrl-C ends it at once, in a build too, and it can be run again.
func TestInterrupted(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	defer c.HoldBuilds()()
	p := c.project(false)
	if err := upload(p, source(t), true); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(ctx)
	p.progress = &firstWrite{done: interrupt}
	if err := p.deploy(ctx, report{io.Discard, false}); !errors.Is(err, context.Canceled) {
		t.Errorf("deploy = %v, want %v", err, context.Canceled)
	}
}

// TestSource holds what the function needs and nothing else, as the go command says,
// and builds by itself.
func TestSource(t *testing.T) {
	files := source(t)
	dir := t.TempDir()
	size := 0
	for name, content := range files {
		size += len(content)
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "scripts/") || strings.HasPrefix(name, "internal/") {
			t.Errorf("%s would be deployed", name)
		}
		if err := writeFile(dir+"/"+name, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "main.go", "handler/handler.go", "parse/codes.go"} {
		if files[name] == nil {
			t.Errorf("%s would not be deployed", name)
		}
	}
	if size > 300<<10 {
		t.Errorf("%d bytes would be deployed, want at most 300 KiB", size)
	}
	build := exec.Command("go", "build", "./...")
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Errorf("what is deployed does not build: %v\n%s", err, output)
	}
}

// noise is text that cannot be made smaller.
func noise(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}
