package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
	"openruntimes/handler/internal/testbed"
)

const phone, long = "0700000011", "254700000011"

func newShop(t *testing.T) *testbed.Shop {
	t.Helper()
	s := testbed.NewShop(t, func(getenv func(string) string) testbed.Serve { return handler.New(getenv).Serve })
	s.SignUp("amina")
	return s
}

// environment is what a person sets.
func environment(s *testbed.Shop) map[string]string {
	return map[string]string{"APPWRITE_ENDPOINT": s.AppwriteURL, "APPWRITE_PROJECT_ID": fakeappwrite.ProjectID, "APPWRITE_SESSION": testbed.SessionOf("amina")}
}

// withPassword is the same without a session.
func withPassword(s *testbed.Shop) map[string]string {
	e := environment(s)
	delete(e, "APPWRITE_SESSION")
	e["APPWRITE_EMAIL"], e["APPWRITE_PASSWORD"] = "amina@example.com", testbed.PasswordOf("amina")
	return e
}

// A command is one that runs.
type command struct {
	t      *testing.T
	stop   context.CancelFunc
	out    buffer
	err    buffer
	status chan int
}

// buffer can be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func start(t *testing.T, environment map[string]string, terminal bool, arguments ...string) *command {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &command{t: t, stop: stop, status: make(chan int, 1)}
	go func() {
		c.status <- run(ctx, arguments, func(name string) string { return environment[name] }, &c.out, &c.err, terminal)
	}()
	t.Cleanup(stop)
	return c
}

// ends waits for the end, and holds the status and what was printed to this.
func (c *command) ends(status int, printed ...string) {
	c.t.Helper()
	select {
	case got := <-c.status:
		if got != status {
			c.t.Errorf("exit status %d, want %d", got, status)
		}
	case <-time.After(testbed.Limit):
		c.t.Fatal("it does not end")
	}
	text := c.out.String() + c.err.String()
	for _, want := range printed {
		if !strings.Contains(text, want) {
			c.t.Errorf("it prints no %q:\n%s", want, text)
		}
	}
}

func prompted(t *testing.T, s *testbed.Shop) {
	t.Helper()
	testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts(long)) == 1 })
}

// TestEnds has the ends of a payment, in words and in exit statuses.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		phone  fakesafaricom.Phone
		status int
		lang   string
		said   string
	}{
		{"paid", fakesafaricom.Phone{Answer: fakesafaricom.Pays}, 0, "en", "success  Payment completed. Thank you.  "},
		{"paid, in Swahili", fakesafaricom.Phone{Answer: fakesafaricom.Pays}, 0, "sw", "success  Malipo yamekamilika. Asante.  "},
		{"cancelled", fakesafaricom.Phone{Answer: fakesafaricom.Cancels}, 1, "sw", "cancelled  Malipo hayakukamilika: ombi lilighairiwa au halikujibiwa.  (M-Pesa: Request "},
		{"no money", fakesafaricom.Phone{Answer: fakesafaricom.NoMoney}, 1, "sw", "failed  Malipo hayakukamilika: salio halitoshi."},
		{"no answer", fakesafaricom.Phone{Answer: fakesafaricom.Silent}, 2, "en", "-resume "},
		{"refused", fakesafaricom.Phone{Locked: true}, 1, "en", "error  The payment was not started. M-PESA refused the request.  (rejected: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.Safaricom.SetPhone(long, tt.phone)
			c := start(t, environment(s), false, "-lang", tt.lang, phone, "10")
			testbed.Until(t, "the push", func() bool { return len(s.Safaricom.Calls(fakesafaricom.Push)) == 1 })
			if !tt.phone.Locked {
				testbed.Until(t, "a line for it", func() bool { return strings.Contains(c.out.String(), "\npending  ") })
			}
			s.Safaricom.Advance(time.Minute)
			c.ends(tt.status, tt.said)
			if tt.status == 0 && !regexp.MustCompile(`(?m)^success  .+  [A-Z0-9]{10}  KES 10  TEST$`).MatchString(c.out.String()) {
				t.Errorf("it prints no receipt:\n%s", c.out.String())
			}
		})
	}
}

// TestWrongField: the function was asked, and its refusal says what is wrong.
func TestWrongField(t *testing.T) {
	s := newShop(t)
	start(t, environment(s), false, "12", "10").ends(1, "error  ", "phone must be a Kenyan mobile number")
}

// TestLeave: Ctrl-C leaves the payment, and what is printed goes on with it.
func TestLeave(t *testing.T) {
	s := newShop(t)
	c := start(t, environment(s), false, "-reference", "ORDER-1", phone, "10")
	prompted(t, s)
	c.stop()
	c.ends(2, "Left. The payment goes on.")
	id := regexp.MustCompile(`-resume (\S+)\n`).FindStringSubmatch(c.out.String())
	if id == nil {
		t.Fatalf("it prints no command to go on:\n%s", c.out.String())
	}
	again := start(t, environment(s), false, "-resume", id[1])
	testbed.Until(t, "it waits", func() bool { return strings.Contains(again.out.String(), "pending  ") })
	s.Pay(long)
	again.ends(0, "KES 10  ORDER-1")
	start(t, environment(s), false, "-resume", id[1]).ends(0, "KES 10  ORDER-1") // and later still
	start(t, environment(s), false, "-resume").ends(3, "no payment is pending")
}

// TestResumeOnly: without an id it is the one that is pending, or they are listed.
func TestResumeOnly(t *testing.T) {
	s := newShop(t)
	for i, number := range []string{phone, "0700000012"} {
		c := start(t, environment(s), false, number, "10")
		testbed.Until(t, "a prompt", func() bool { return len(s.Safaricom.Prompts("")) == i+1 })
		c.stop()
		c.ends(2)
	}
	start(t, environment(s), false, "-resume").ends(3, "several payments are pending", "KES 10  TEST")
	if err := s.Safaricom.Cancel(s.Prompt("254700000012")); err != nil {
		t.Fatal(err)
	}
	s.Safaricom.Advance(2 * time.Second)
	c := start(t, environment(s), false, "-resume")
	testbed.Until(t, "it waits", func() bool { return strings.Contains(c.out.String(), "pending  ") })
	s.Pay(long)
	c.ends(0)
	for _, call := range s.Appwrite.Calls() {
		if strings.Contains(call.Path, "/disbursements/") {
			t.Errorf("%s %s: payouts are none of its business", call.Method, call.Path)
		}
	}
}

// TestInTheWay: a payment that was asked for before is no other order's, and may be paid
// again only if the person says so.
func TestInTheWay(t *testing.T) {
	s := newShop(t)
	s.Safaricom.SetPhone(long, fakesafaricom.Phone{Answer: fakesafaricom.Unreachable})
	c := start(t, environment(s), false, phone, "10")
	testbed.Until(t, "the push", func() bool { return len(s.Safaricom.Calls(fakesafaricom.Push)) == 1 })
	testbed.Until(t, "a line for it", func() bool { return strings.Contains(c.out.String(), "\npending  ") })
	s.Safaricom.Advance(time.Minute)
	c.ends(2)
	s.Safaricom.SetPhone(long, fakesafaricom.Phone{Answer: fakesafaricom.Asks})
	start(t, environment(s), false, phone, "10").ends(2, "which was asked for before (KES 10, TEST)", "add -again")
	c = start(t, environment(s), false, "-again", phone, "10")
	prompted(t, s)
	s.Pay(long)
	c.ends(0)
}

// TestAnotherOrder: a payment that is still open on the phone is paid, which is not what
// was asked for.
func TestAnotherOrder(t *testing.T) {
	s := newShop(t)
	c := start(t, environment(s), false, phone, "10")
	prompted(t, s)
	d := start(t, environment(s), false, "-reference", "OTHER", phone, "20")
	testbed.Until(t, "it waits for the first", func() bool { return strings.Contains(d.out.String(), "pending  ") })
	s.Pay(long)
	c.ends(0)
	d.ends(1, "which was asked for before (KES 10, TEST)")
}

// TestTerminal: there it is one line, drawn over and over.
func TestTerminal(t *testing.T) {
	s := newShop(t)
	c := start(t, environment(s), true, phone, "10")
	testbed.Until(t, "it waits", func() bool { return strings.Contains(c.out.String(), "pending  ") })
	prompted(t, s)
	s.Pay(long)
	c.ends(0)
	lines := strings.Split(strings.TrimSuffix(c.out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[1], "\r\x1b[Kinitiating  ") || !strings.Contains(lines[1], "\r\x1b[Ksuccess  ") {
		t.Errorf("it prints %q, want the id and one line drawn over", lines)
	}
	for _, drawn := range strings.Split(lines[1], "\r\x1b[K") {
		if len([]rune(drawn)) > width && !strings.HasPrefix(drawn, "success") {
			t.Errorf("%q is longer than a line", drawn)
		}
	}
}

// TestPassword: a session is made, and ended.
func TestPassword(t *testing.T) {
	s := newShop(t)
	e := withPassword(s)
	c := start(t, e, false, phone, "10")
	prompted(t, s)
	s.Pay(long)
	c.ends(0)
	ended := false
	for _, call := range s.Appwrite.Calls() {
		ended = ended || call.Operation == "sign out" && call.Status == 204
	}
	if !ended {
		t.Error("the session stays")
	}
	e["APPWRITE_PASSWORD"] = "wrong"
	start(t, e, false, phone, "10").ends(3, "signing in: Appwrite: 401 user_invalid_credentials")
}

// TestNotAsked: what is wrong before anything is asked is neither of the other ends.
func TestNotAsked(t *testing.T) {
	s := newShop(t)
	for _, tt := range []struct {
		name      string
		change    map[string]string
		arguments []string
		said      string
	}{
		{"nothing", nil, nil, "PHONE and AMOUNT are needed"},
		{"no number", nil, []string{phone, "ten"}, "AMOUNT is no whole number"},
		{"a language", nil, []string{"-lang", "fr", phone, "10"}, "-lang is en or sw"},
		{"an option", nil, []string{"-x"}, "-x"},
		{"two ids", nil, []string{"-resume", "a", "b"}, "-resume takes one ID"},
		{"no endpoint", map[string]string{"APPWRITE_ENDPOINT": ""}, []string{phone, "10"}, "set in the environment: APPWRITE_ENDPOINT"},
		{"no user", map[string]string{"APPWRITE_SESSION": ""}, []string{phone, "10"}, "APPWRITE_EMAIL and APPWRITE_PASSWORD, or APPWRITE_SESSION"},
		{"no session", map[string]string{"APPWRITE_SESSION": "x"}, []string{phone, "10"}, "the session is none: Appwrite: 401"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := environment(s)
			for name, value := range tt.change {
				e[name] = value
			}
			start(t, e, false, tt.arguments...).ends(3, tt.said)
		})
	}
	if n := len(s.Safaricom.Calls(fakesafaricom.Push)); n != 0 {
		t.Errorf("%d pushes were sent", n)
	}
}

// TestHelp: it has every variable that the program reads, and says of the exit status what
// the README does.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	read := map[string]bool{}
	run(context.Background(), []string{phone, "10"}, func(name string) string {
		read[name] = true
		return ""
	}, io.Discard, io.Discard, false)
	if status := run(context.Background(), []string{"-h"}, nil, &out, io.Discard, false); status != 0 {
		t.Errorf("exit status %d", status)
	}
	help := strings.Join(strings.Fields(out.String()), " ")
	for name := range read {
		if !strings.Contains(help, name) {
			t.Errorf("it does not name %s", name)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0 paid, 1 not paid, 2 not known yet, 3 nothing was asked", "A payment that the function refuses is not paid"} {
		if !strings.Contains(help, want) {
			t.Errorf("it does not say %q", want)
		}
		if !strings.Contains(strings.Join(strings.Fields(string(readme)), " "), want) {
			t.Errorf("the README does not say %q", want)
		}
	}
}
