//go:build !windows

// There no program can tell another one to end.

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// program builds the command, and returns what starts it.
func program(t *testing.T) func(environment map[string]string, arguments ...string) (*exec.Cmd, io.Reader) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pay")
	if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(environment map[string]string, arguments ...string) (*exec.Cmd, io.Reader) {
		t.Helper()
		c := exec.Command(file, arguments...)
		c.Env = os.Environ()
		for name, value := range environment {
			c.Env = append(c.Env, name+"="+value)
		}
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		return c, out
	}
}

// readUntil reads on until this was printed.
func readUntil(t *testing.T, out io.Reader, want string) {
	t.Helper()
	seen := make([]byte, 4096)
	for text := ""; !strings.Contains(text, want); {
		n, err := out.Read(seen)
		if err != nil {
			t.Fatalf("%v after %q, want %q", err, text, want)
		}
		text += string(seen[:n])
	}
}

// TestKilled ends the real program as nothing else does, and another one goes on.
func TestKilled(t *testing.T) {
	pay := program(t)
	s := newShop(t)
	first, _ := pay(environment(s), phone, "10")
	prompted(t, s)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second, out := pay(environment(s), "-resume")
	readUntil(t, out, "pending  ")
	s.Pay(long)
	rest, _ := io.ReadAll(out)
	if err := second.Wait(); err != nil || !strings.Contains(string(rest), "success  Payment completed.") {
		t.Errorf("%v, %s", err, rest)
	}
}

// TestCtrlCTwice: the second one ends the real program while a server that hangs keeps it
// from signing out.
func TestCtrlCTwice(t *testing.T) {
	pay := program(t)
	s := newShop(t)
	e := withPassword(s)
	s.Appwrite.Inject(fakeappwrite.Fault{Operation: "sign out", Reply: fakeappwrite.Hang()})
	c, out := pay(e, phone, "10")
	prompted(t, s)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	readUntil(t, out, "Left. The payment goes on.")
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	testbed.Until(t, "an end", func() bool { // the first that comes after the program has let go of them ends it
		_ = c.Process.Signal(os.Interrupt)
		return len(ended) == 1
	})
	if err := <-ended; c.ProcessState.Exited() {
		t.Errorf("%v: it ended by itself, want by the signal", err)
	}
}
