package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
)

// TestWords: whatever is wrong with endpoint, project or key, -check says it in one
// line and how to fix it in another, ends with 1, and changes nothing.
func TestWords(t *testing.T) {
	t.Parallel()
	const endpoint = "        Fix: set APPWRITE_ENDPOINT: Console → Overview → Integrations → API endpoint, which ends in /v1\n"
	page := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	const keys = "        Fix: Console → Overview → Integrations → API keys"
	for _, tt := range []struct {
		name   string
		change func(*cloud) // of an empty project
		want   string       // all that is printed, with URL for the endpoint
	}{
		{"no /v1 on 1.9.6", withoutV1("1.9.6"), "WRONG   server version: URL is not Appwrite's endpoint: it answers 404 to /health/version\n" + endpoint},
		{"no /v1 on 1.9.0", withoutV1("1.9.0"), "WRONG   server version: URL is not Appwrite's endpoint: it answers 404 to /health/version\n" + endpoint},
		{"no /v1 on 1.8.1", withoutV1("1.8.1"), "WRONG   server version: URL is not Appwrite's endpoint: it answers 404 to /health/version\n" + endpoint},
		{"a proxy's page", func(c *cloud) { c.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.HTML(200)}) },
			"WRONG   server version: URL is not Appwrite's endpoint: it says no version\n" + endpoint},
		{"another API", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "version", Reply: page(200, "application/json", `{"databases":5}`)})
		}, "WRONG   server version: URL is not Appwrite's endpoint: it says no version\n" + endpoint},
		{"a redirect", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.Redirect(301, "https://elsewhere.example/")})
		}, "WRONG   server version: URL is not Appwrite's endpoint: it answers 301 to /health/version\n" + endpoint},
		{"a server with a fault", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.Status(500, "general_unknown", "Server Error")})
		}, "WRONG   server version: URL answers 500: the server has a fault, whatever the settings\n        Fix: try again when it is up\n"},
		{"a proxy without a server", func(c *cloud) { c.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.HTML(502)}) },
			"WRONG   server version: URL answers 502: the server has a fault, whatever the settings\n        Fix: try again when it is up\n"},
		{"silence", func(c *cloud) {
			silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			c.t.Cleanup(silent.Close)
			c.env["APPWRITE_ENDPOINT"] = silent.URL + "/v1"
		}, "WRONG   server version: URL does not answer within 5s\n" + endpoint},
		{"nobody listens", func(c *cloud) {
			c.env["APPWRITE_ENDPOINT"] = nobody + "/v1"
		}, "WRONG   server version: URL cannot be reached: connection refused\n" + endpoint},
		{"no such project", func(c *cloud) { c.env["APPWRITE_PROJECT_ID"] = "other" },
			"WRONG   server version: URL has no project other\n        Fix: set APPWRITE_PROJECT_ID: Console → Overview → Settings → Project ID\n"},
		{"a paused project", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "version", Reply: fakeappwrite.Status(403, "project_paused", "Project is paused due to inactivity.")})
		}, "WRONG   server version: the project is paused: nothing is stored or queued, and every payment is lost\n        Fix: Console → restore the project\n"},

		{"a key that is none", func(c *cloud) { c.env["APPWRITE_API_KEY"] = "standard_other" },
			"ok      server version: 1.9.6\nWRONG   key scopes: Appwrite does not take APPWRITE_API_KEY in the project fake: it is no key, or another project's (401 user_unauthorized)\n" + keys + "\n"},
		{"a key of another kind", func(c *cloud) { c.env["APPWRITE_API_KEY"] = "foo_bar" },
			"ok      server version: 1.9.6\nWRONG   key scopes: APPWRITE_API_KEY has none of the scopes it needs, or is no key: it lacks databases.read, collections.read, functions.read, execution.read, rules.read\n" + keys + " → this key → Scopes\n"},
		{"an expired key", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "GET databases", Reply: fakeappwrite.Status(401, "project_key_expired", "The project key has expired.")})
		}, "ok      server version: 1.9.6\nWRONG   key scopes: the API key has expired\n" + keys + " → Create API key\n"},
		{"a proxy that lets the version through alone", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "GET databases", Reply: fakeappwrite.HTML(404)})
		},
			"ok      server version: 1.9.6\nWRONG   key scopes: URL is not Appwrite's endpoint: it answers 404 to /databases\n" + endpoint},
		{"a fault behind the version", func(c *cloud) {
			c.Inject(fakeappwrite.Fault{Operation: "GET databases", Reply: fakeappwrite.HTML(503)})
		},
			"ok      server version: 1.9.6\nWRONG   key scopes: URL answers 503 to GET /databases: the server has a fault, whatever the settings\n        Fix: try again when it is up\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			tt.change(c)
			out, errors, status := c.command("-check")
			url := c.env["APPWRITE_ENDPOINT"]
			out = strings.ReplaceAll(out, url, "URL")
			if out != tt.want {
				t.Errorf("printed\n%swant\n%s", out, tt.want)
			}
			if errors != "deploy: not everything is right\n" {
				t.Errorf("said %q", errors)
			}
			if status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			for _, call := range c.Calls() {
				if call.Method != http.MethodGet && call.Status < 300 {
					t.Errorf("it changed something: %s %s", call.Method, call.Path)
				}
			}
		})
	}
}

// TestListsEverything: what is wrong in several places is all named by one run, and
// what only follows from it is not.
func TestListsEverything(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	p := c.project(false)
	type body = map[string]any
	for path, b := range map[string]body{
		"/databases/daraja/collections/payments": {"name": "payments", "permissions": []string{`read("any")`}},
		"/functions/daraja":                      functionWith("execute", []string{}),
	} {
		if err := p.call(ctx, "PUT", path, b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.call(ctx, "DELETE", "/databases/daraja/collections/disbursements", nil, nil); err != nil {
		t.Fatal(err)
	}
	out, _, status := c.command("-check")
	for _, want := range []string{
		"WRONG   collection of payments: payments has the permissions read(\"any\"): whoever they name reads, or writes, everybody's documents; " +
			"documentSecurity of payments is off: no user can read a payment by its own permissions\n",
		"ok      attributes of payments: 8\n",
		"WRONG   collection of disbursements: there is no collection disbursements: nothing can be stored\n",
		"skipped attributes of disbursements: cannot be seen before this is fixed: collection of disbursements\n",
		"WRONG   function: execute access is empty (→ Execute access → Any): Safaricom gets 401 and every payment is lost\n",
		"ok      variables: 4 of 5 set\n",
		"ok      code: build ",
		"skipped health: cannot be seen before this is fixed: collection of payments\n",
		"skipped self-test: cannot be seen before this is fixed: collection of payments\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "WRONG"); n != 3 || status != 1 {
		t.Errorf("%d are wrong and the exit status is %d, want 3 and 1:\n%s", n, status, out)
	}
}

// TestMissingScope: what a key may not look at is named once.
func TestMissingScope(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	c.AddKey("standard_deployer", "databases.read", "collections.read", "documents.read", "documents.write", "functions.read", "execution.read")
	out, _, status := c.command("-check")
	if n := strings.Count(out, "WRONG"); n != 1 || status != 1 || !strings.Contains(out, "WRONG   key scopes: the API key lacks rules.read\n") ||
		!strings.Contains(out, "skipped domain: the API key lacks the scope to look at it\n") || !strings.Contains(out, "ok      code: ") {
		t.Errorf("exit status %d and\n%s", status, out)
	}
}

// TestDomainWords: a domain that the server does not take, or that leads elsewhere.
func TestDomainWords(t *testing.T) {
	const where = "        Fix: Console → Functions → daraja → Domains → Add domain\n"
	const none = "WRONG   domain: the function has no domain: Safaricom cannot reach it\n" + where
	for _, tt := range []struct {
		name, domain string
		out, errors  string
	}{
		{"two labels below", "a.b.functions.example.com", none,
			"deploy: domain could not be fixed: the server does not take the domain a.b.functions.example.com: APPWRITE_FUNCTION_DOMAIN must be exactly one label before its _APP_DOMAIN_FUNCTIONS (daraja.functions.example.com)\n"},
		{"another domain", "pay.example.com", none,
			"deploy: domain could not be fixed: the server does not take the domain pay.example.com: APPWRITE_FUNCTION_DOMAIN must be exactly one label before its _APP_DOMAIN_FUNCTIONS (daraja.functions.example.com)\n"},
		{"somebody else's", "taken.functions.example.com", none,
			"deploy: domain could not be fixed: the domain taken.functions.example.com belongs to something else already: set APPWRITE_FUNCTION_DOMAIN to another\n"},
		{"none given", "", none,
			"deploy: domain could not be fixed: set APPWRITE_FUNCTION_DOMAIN to one label before the server's _APP_DOMAIN_FUNCTIONS (daraja.functions.example.com)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.Domain = "functions.example.com"
			p := c.project(false)
			err := p.call(ctx, "POST", "/functions", map[string]any{"functionId": "other", "name": "x", "runtime": "node-22"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.call(ctx, "POST", "/proxy/rules/function", map[string]any{"domain": "taken.functions.example.com", "functionId": "other"}, nil); err != nil {
				t.Fatal(err)
			}
			c.env["APPWRITE_FUNCTION_DOMAIN"], c.env["APPWRITE_CLI"] = tt.domain, "go"
			out, errors, status := c.command()
			if !strings.HasSuffix(out, tt.out) {
				t.Errorf("printed\n%swant at its end\n%s", out, tt.out)
			}
			if errors != tt.errors {
				t.Errorf("said %q, want %q", errors, tt.errors)
			}
			if status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
		})
	}
	t.Run("another domain, which the server takes", func(t *testing.T) {
		c := newCloud(t)
		c.Domain, c.OtherDomains = "functions.example.com", true
		c.env["APPWRITE_FUNCTION_DOMAIN"] = "Pay.example.com"
		p := c.project(false)
		c.must("POST", "/functions", map[string]any{"functionId": "daraja", "name": "x", "runtime": "go-1.23"})
		if err := fixDomain(ctx, p); err != nil {
			t.Fatal(err)
		}
		found, err := checkDomain(ctx, p)
		if want := "pay.example.com, which the server calls unverified: does its DNS lead there?"; found != want || err != nil {
			t.Errorf("found %q, %v; want %q", found, err, want)
		}
	})
	t.Run("several", func(t *testing.T) {
		for given, want := range map[string]string{
			"":                             "Daraja.functions.example.com", // which the server calls verified
			"daraja.functions.example.com": "Daraja.functions.example.com",
			"PAY.example.com":              "pay.example.com, which the server calls unverified: does its DNS lead there?",
		} {
			c := newCloud(t)
			c.Domain, c.OtherDomains = "functions.example.com", true
			c.env["APPWRITE_FUNCTION_DOMAIN"] = given
			c.must("POST", "/functions", map[string]any{"functionId": "daraja", "name": "x", "runtime": "go-1.23"})
			for _, domain := range []string{"pay.example.com", "Daraja.functions.example.com"} {
				c.must("POST", "/proxy/rules/function", map[string]any{"domain": domain, "functionId": "daraja"})
			}
			if found, err := checkDomain(ctx, c.project(false)); found != want || err != nil {
				t.Errorf("of two, given %q, it found %q, %v; want %q", given, found, err, want)
			}
		}
	})
	t.Run("in capitals", func(t *testing.T) {
		for _, version := range fakeappwrite.Versions {
			c := newCloud(t)
			c.Version = version
			c.env["APPWRITE_FUNCTION_DOMAIN"] = strings.Replace(c.env["APPWRITE_FUNCTION_DOMAIN"], "127.0.0.1", "LOCALHOST", 1)
			c.deploy()
		}
	})
	t.Run("another one leads to it", func(t *testing.T) {
		c := newCloud(t)
		c.deploy()
		live := c.env["APPWRITE_FUNCTION_DOMAIN"]
		c.env["APPWRITE_FUNCTION_DOMAIN"] = "other.example.com"
		out, _, status := c.command("-check")
		if want := "WRONG   domain: other.example.com does not lead to the function; " + live + " does\n"; !strings.Contains(out, want) || status != 1 {
			t.Errorf("exit status %d, want 1 and %q in\n%s", status, want, out)
		}
	})
}

// TestSessionWords: a session that cannot read is not blamed on the collection.
func TestSessionWords(t *testing.T) {
	for _, tt := range []struct{ name, user, session, want string }{
		{"no session", "amina", "garbage", "WRONG   self-test: APPWRITE_TEST_SESSION is no session of this project: Appwrite: 401 general_unauthorized_scope (User (role: guests) missing scopes ([\"account\"]))\n        Fix: set both in the environment, or neither\n"},
		{"somebody else's", "brian", "session-of-amina", "WRONG   self-test: APPWRITE_TEST_SESSION is a session of amina, and APPWRITE_TEST_USER is brian\n        Fix: set both in the environment, or neither\n"},
		{"its user cannot read", "amina", "session-of-amina", "WRONG   self-test: its own user amina cannot read a payment\n        Fix: Console → Databases → daraja → payments → Settings → Document security\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.deploy()
			c.env["APPWRITE_TEST_USER"], c.env["APPWRITE_TEST_SESSION"] = tt.user, tt.session
			if tt.name == "its user cannot read" {
				p := c.project(true)
				c.afterCallback = func() {
					if err := p.call(ctx, "PUT", "/databases/daraja/collections/payments", map[string]any{"name": "payments"}, nil); err != nil {
						t.Error(err)
					}
				}
			}
			out, _, status := c.command("-check")
			if !strings.HasSuffix(out, tt.want) || status != 1 {
				t.Errorf("exit status %d, want 1 and at the end\n%sin\n%s", status, tt.want, out)
			}
			if n := len(c.Documents("daraja", "payments")); n != 0 {
				t.Errorf("the self-test left %d documents behind", n)
			}
		})
	}
}

// TestSecretVariables read back empty, which is nothing wrong: whether the function
// has the right callback secret, it says itself.
func TestSecretVariables(t *testing.T) {
	const value = "0123456789abcdef-secret"
	for _, tt := range []struct{ name, given, want string }{
		{"not given", "", "ok      variables: 4 of 5 set, of which nobody can read DARAJA_CALLBACK_SECRET. Set DARAJA_CALLBACK_SECRET for the checks that post a callback\n"},
		{"not given, self-test", "", "ok      self-test: not done, since it needs the DARAJA_CALLBACK_SECRET, which nobody can read: set it in the environment\n"},
		{"given", value, "ok      self-test: posted, stored"},
		{"another given", "0123456789abcdef-other", "WRONG   health: the function does not know the DARAJA_CALLBACK_SECRET that was given\n" +
			"        Fix: Console → Functions → daraja → Settings → Variables: put it first in the list, then redeploy\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.env["DARAJA_CALLBACK_SECRET"] = value
			c.deploy()
			p := c.project(false)
			remote, err := p.remoteVariables(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.call(ctx, "PUT", "/functions/daraja/variables/"+idOf(remote, handler.CallbackSecret), map[string]any{"key": handler.CallbackSecret, "secret": true}, nil); err != nil {
				t.Fatal(err)
			}
			c.uploadAndWait(source(t), true, "ready")
			c.env["DARAJA_CALLBACK_SECRET"] = tt.given
			out, _, status := c.command("-check")
			wrong := strings.HasPrefix(tt.want, "WRONG")
			if !strings.Contains(out, tt.want) || (status == 1) != wrong {
				t.Errorf("exit status %d and\n%swant\n%s", status, out, tt.want)
			}
			c.env["APPWRITE_CLI"] = "go"
			if out, _, status := c.command(); changed(out) || (status == 1) != wrong {
				t.Errorf("deploy, exit status %d:\n%s", status, out)
			}
		})
	}
}

// TestNoCLI: that there is no CLI is noticed before anything is changed.
func TestNoCLI(t *testing.T) {
	for _, tt := range []struct{ name, cli, want string }{
		{"none", "", "deploy: npx is not installed, which fetches the Appwrite CLI: install Node.js 18 or newer, or set APPWRITE_CLI to the CLI's executable\n"},
		{"given", "/no/such/appwrite", "deploy: APPWRITE_CLI: there is no /no/such/appwrite\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.env["APPWRITE_CLI"] = tt.cli
			t.Setenv("PATH", t.TempDir())
			out, errors, status := c.command()
			if out != "" || errors != tt.want || status != 1 {
				t.Errorf("exit status %d, %q, %q; want 1 and %q", status, out, errors, tt.want)
			}
			if n := len(c.Calls()); n != 0 {
				t.Errorf("it made %d calls first", n)
			}
		})
	}
}

// withoutV1 takes the end off the endpoint of a server of that version.
func withoutV1(version string) func(*cloud) {
	return func(c *cloud) {
		c.Version = version
		c.env["APPWRITE_ENDPOINT"] = strings.TrimSuffix(c.env["APPWRITE_ENDPOINT"], "/v1")
	}
}

// nobody listens there, and no test that runs at the same time can come to.
const nobody = "http://127.0.0.1:1"
