package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakesafaricom"
)

// startPayments gives what an operator gives for that, and a Safaricom that takes it.
func (c *cloud) startPayments() *fakesafaricom.Safaricom {
	c.t.Helper()
	safaricom := fakesafaricom.New()
	c.t.Cleanup(safaricom.Close)
	safaricom.AddMerchant(fakesafaricom.Merchant{Name: "Duka", ConsumerKey: "key-of-the-app", ConsumerSecret: "secret-of-the-app", Shortcode: "600638", Passkey: "passkey-of-600638"})
	server := httptest.NewServer(safaricom)
	c.t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"DARAJA_CONSUMER_KEY": "key-of-the-app", "DARAJA_CONSUMER_SECRET": "secret-of-the-app", "DARAJA_SHORTCODE": "600638",
		"DARAJA_PASSKEY": "passkey-of-600638", "DARAJA_ENVIRONMENT": "sandbox", "DARAJA_BASE_URL": server.URL,
	} {
		c.env[name] = value
	}
	return safaricom
}

// secrets are those that an operator may leave out of the environment once they are set.
var secrets = []string{"DARAJA_CONSUMER_KEY", "DARAJA_CONSUMER_SECRET", "DARAJA_PASSKEY", handler.SigningKey}

func (c *cloud) forgetSecrets() {
	for _, name := range secrets {
		delete(c.env, name)
	}
}

// remote returns a variable as the API shows it.
func (c *cloud) remote(name string) variable {
	c.t.Helper()
	all, err := c.project(false).remoteVariables(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	v, _ := find(all, name)
	return v
}

// must makes a call of the API that must succeed.
func (c *cloud) must(method, path string, body any) {
	c.t.Helper()
	if err := c.project(false).call(ctx, method, path, body, nil); err != nil {
		c.t.Fatal(err)
	}
}

// line returns what a run printed of a check.
func line(out, check string) string {
	return regexp.MustCompile(`(?m)^[a-zA-Z]+ +` + check + `: .*$(\n        Fix: .*$)?`).FindString(out)
}

const aPayment = "/databases/daraja/collections/payments"

// withoutStarted makes both collections what they were before payments were started.
func (c *cloud) withoutStarted() {
	c.t.Helper()
	for _, key := range startedOnly {
		c.must("DELETE", aPayment+"/attributes/"+key, nil)
		if key != "reference" {
			c.must("DELETE", "/databases/daraja/collections/disbursements/attributes/"+key, nil)
		}
	}
}

// TestStartedInUse: what started documents have is added to collections that are in use,
// and their documents stay.
func TestStartedInUse(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	c.withoutStarted()
	for i := range 3 {
		c.must("POST", aPayment+"/documents", map[string]any{"documentId": fmt.Sprintf("ws_CO_%d", i), "permissions": []string{`read("user:amina")`},
			"data": map[string]any{"checkoutRequestId": fmt.Sprintf("ws_CO_%d", i), "status": "SUCCESS", "resultCode": 0, "receipt": "UKN4T8W2QD", "amount": 5, "settledAt": "2026-11-25T10:00:00.000Z"}})
	}
	before := c.Documents("daraja", "payments")

	out, err := c.run(true)
	want := "ok      started payments: not needed so far: userId is missing; reference is missing; requestedAmount is missing; requestKey is missing; phoneKey is missing; nextCheckAt is missing: Appwrite refuses started documents of payments"
	if got := line(out, "started payments"); err != nil || got != want {
		t.Errorf("-check where no payment is started = %v\n%s, want\n%s", err, got, want)
	}
	if got, want := line(out, "attributes of payments"), "ok      attributes of payments: 8"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// An attribute that was just made is not available for a moment.
	c.Inject(fakeappwrite.Fault{Operation: "POST indexes", Times: 2, Reply: fakeappwrite.Status(400, "attribute_not_available", "The requested attribute 'userId' is not yet available. Please try again later.")})
	out = c.deploy()
	for _, check := range []string{"started payments", "started payouts"} {
		if !strings.HasPrefix(line(out, check), "fixed   ") {
			t.Errorf("%s, want it fixed", line(out, check))
		}
	}
	after := c.Documents("daraja", "payments")
	if len(after) != len(before) {
		t.Errorf("%d documents, want %d", len(after), len(before))
	}
	for i, d := range after {
		if d.Data["receipt"] != before[i].Data["receipt"] || d.Data["userId"] != nil || !slices.Equal(d.Permissions, before[i].Permissions) {
			t.Errorf("%v became %v", before[i], d)
		}
	}
	if out := c.deploy(); changed(out) {
		t.Errorf("a second run fixed something:\n%s", out)
	}
	for _, tt := range []struct {
		kind kind
		want string
	}{{payments, "userId reference phoneKey nextCheckAt"}, {disbursements, "userId phoneKey nextCheckAt"}} {
		indexes, err := c.project(false).remoteIndexes(ctx, tt.kind)
		var keys []string
		for _, ix := range indexes {
			keys = append(keys, ix.Key)
		}
		if got := strings.Join(keys, " "); got != tt.want || err != nil {
			t.Errorf("the indexes of %s are %s, %v; want %s", tt.kind.name, got, err, tt.want)
		}
	}
}

// TestStartedFaults: where payments are started, what their documents lack is wrong.
func TestStartedFaults(t *testing.T) {
	t.Parallel()
	type body = map[string]any
	for name, tt := range map[string]struct {
		break_ func(*cloud)
		want   string
	}{
		"attribute gone": {func(c *cloud) { c.must("DELETE", aPayment+"/attributes/requestKey", nil) },
			"requestKey is missing: Appwrite refuses started documents of payments"},
		"attribute too short": {func(c *cloud) {
			c.must("PATCH", aPayment+"/attributes/string/phoneKey", body{"required": false, "default": nil, "size": 32})
		}, "phoneKey holds 32 characters, not 64: Appwrite refuses started documents of payments"},
		"datetime gone": {func(c *cloud) { c.must("DELETE", aPayment+"/attributes/nextCheckAt", nil) },
			"nextCheckAt is missing: Appwrite refuses started documents of payments"},
		"datetime required": {func(c *cloud) {
			c.must("PATCH", aPayment+"/attributes/datetime/nextCheckAt", body{"required": true, "default": nil})
		}, "nextCheckAt is required, and not every document has it: Appwrite refuses documents of payments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.startPayments()
			c.deploy()
			tt.break_(c)
			c.checkFixed(tt.want)
		})
	}
}

// TestInTheMaking: a run that was broken off left what is still being made, which in a
// large collection takes a while: the next one waits for it.
func TestInTheMaking(t *testing.T) {
	for _, tt := range []struct{ kind, check, want string }{
		{"attributes", "attributes of payments", "fixed   attributes of payments: checkoutRequestId is still being made: Appwrite refuses documents of payments"},
		{"indexes", "started payments", "fixed   started payments: the index userId is still being made: each look-up reads every document of payments"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			c := newCloud(t)
			c.deploy()
			list, err := c.project(false).raw(ctx, "GET", aPayment+"/"+tt.kind, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.Reset()
			early := strings.Replace(string(list), `"available"`, `"processing"`, 1)
			c.Inject(fakeappwrite.Fault{Operation: "GET " + tt.kind, Times: 2, Reply: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, early)
			}})
			if got := line(c.deploy(), tt.check); got != tt.want {
				t.Errorf("%s, want\n%s", got, tt.want)
			}
			for _, call := range c.Calls() {
				if call.Method == http.MethodPatch {
					t.Errorf("it changed what is still being made: %s", call.Path)
				}
			}
		})
	}
}

// TestIndexes: one that is missing is made, unless one of another name does its work.
func TestIndexes(t *testing.T) {
	needed := []index{{Key: "userId", Type: "key", Attributes: []string{"userId"}}}
	for _, tt := range []struct {
		name  string
		found []index
		want  string
	}{
		{"none", nil, "there is no index on userId"},
		{"that one", []index{{Key: "userId", Type: "key", Attributes: []string{"userId"}, Status: "available"}}, ""},
		{"of another name", []index{{Key: "by_user", Type: "key", Attributes: []string{"userId", "status"}, Status: "available"}}, ""},
		{"on another attribute", []index{{Key: "userId", Type: "key", Attributes: []string{"status"}, Status: "available"}}, "there is no index on userId"},
		{"of another type", []index{{Key: "userId", Type: "fulltext", Attributes: []string{"userId"}, Status: "available"}}, "there is no index on userId"},
		{"failed", []index{{Key: "userId", Type: "key", Attributes: []string{"userId"}, Status: "failed"}}, "the index userId is failed, so delete it"},
		{"in the making", []index{{Key: "userId", Type: "key", Attributes: []string{"userId"}, Status: "processing"}}, "the index userId is still being made"},
		{"somebody's failed", []index{{Key: "userId", Type: "key", Attributes: []string{"userId"}, Status: "available"}, {Key: "x", Type: "key", Attributes: []string{"x"}, Status: "failed"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(indexProblems(tt.found, needed), "; "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestDartColumns: a collection that was made for another function may have columns of
// the same names. Who starts no payment is not kept from deploying by them.
func TestDartColumns(t *testing.T) {
	t.Parallel()
	type body = map[string]any
	for name, tt := range map[string]struct {
		column     body
		kind       string
		want       string // of the check of started payments, where none is started
		attributes string // of the check of callbacks' attributes
	}{
		"another type": {body{"key": "userId", "required": false}, "integer",
			"ok      started payments: not needed so far: userId is of the type integer, not string: Appwrite refuses started documents of payments; to change that column loses what is in it, so a person must decide", "ok      attributes of payments: 8"},
		"other capitals": {body{"key": "userid", "size": 36, "required": false}, "string",
			"ok      started payments: not needed so far: userId is missing: Appwrite refuses started documents of payments", "ok      attributes of payments: 8"},
		"required": {body{"key": "userId", "size": 36, "required": true}, "string",
			"ok      started payments: 6 attributes and 4 indexes", "fixed   attributes of payments: userId is required, and not every document has it: Appwrite refuses documents of payments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			c.must("DELETE", aPayment+"/attributes/userId", nil)
			c.must("POST", aPayment+"/attributes/"+tt.kind, tt.column)
			out := c.deploy()
			if got := line(out, "started payments"); name != "required" && got != tt.want {
				t.Errorf("%s, want\n%s", got, tt.want)
			}
			if got := line(out, "attributes of payments"); got != tt.attributes {
				t.Errorf("%s, want\n%s", got, tt.attributes)
			}
			out, err := c.run(true)
			if got := line(out, "started payments"); err != nil || got != tt.want {
				t.Errorf("-check = %v\n%s, want\n%s", err, got, tt.want)
			}
			if name == "required" {
				return
			}
			c.startPayments()
			out, err = c.run(false)
			if got := line(out, "started payments"); !errors.Is(err, errWrong) || !strings.HasPrefix(got, "WRONG   started payments: userId is ") {
				t.Errorf("deploy of what starts payments = %v\n%s", err, got)
			}
		})
	}
	t.Run("no room", func(t *testing.T) {
		t.Parallel()
		c := newCloud(t)
		c.deploy()
		c.withoutStarted()
		c.Inject(fakeappwrite.Fault{Operation: "POST attributes", Reply: fakeappwrite.Status(400, "attribute_limit_exceeded", "The maximum number or size of attributes for this collection has been reached.")})
		const why = " is missing: Appwrite refuses started documents of payments (userId: Appwrite: 400 attribute_limit_exceeded (The maximum number or size of attributes for this collection has been reached.))"
		if out := c.deploy(); !strings.HasSuffix(line(out, "started payments"), why) {
			t.Errorf("%s, want at its end\n%s", line(out, "started payments"), why)
		}
		c.startPayments()
		if out, err := c.run(false); err == nil || !strings.HasPrefix(err.Error(), "started payments could not be fixed: userId: ") {
			t.Errorf("deploy of what starts payments = %v\n%s", err, out)
		}
	})
}

// TestPushVariables: what is given is set, and what is secret as secret. The signing key
// is made, the address is the domain's. A second run changes nothing.
func TestPushVariables(t *testing.T) {
	c := newCloud(t)
	safaricom := c.startPayments()
	out := c.deploy()
	if want := "; missing, without which no payment can be started: DARAJA_CONSUMER_KEY, DARAJA_CONSUMER_SECRET, DARAJA_SHORTCODE, DARAJA_PASSKEY, DARAJA_ENVIRONMENT, DARAJA_BASE_URL, DARAJA_SIGNING_KEY, DARAJA_PUBLIC_URL; "; !strings.Contains(line(out, "variables"), want) {
		t.Errorf("%s, want\n%s", line(out, "variables"), want)
	}
	address := "http://" + c.env["APPWRITE_FUNCTION_DOMAIN"]
	for _, want := range []string{
		"ok      starting payments: Safaricom gives a token (sandbox). That proves the consumer key and secret. Whether product, shortcode, passkey and till are right shows with the first payment",
		"ok      signed callbacks: they come to " + address + ", signed with a key that the function knows",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	made := c.live(handler.SigningKey)
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(made) {
		t.Errorf("the signing key is %q, want 64 hex digits", made)
	}
	if strings.Contains(out, made) {
		t.Error("it prints the signing key")
	}
	for name, want := range map[string]variable{
		"DARAJA_CONSUMER_KEY": {Secret: true}, "DARAJA_CONSUMER_SECRET": {Secret: true}, "DARAJA_PASSKEY": {Secret: true}, handler.SigningKey: {Secret: true},
		"DARAJA_SHORTCODE": {Value: "600638"}, "DARAJA_ENVIRONMENT": {Value: "sandbox"}, publicURL: {Value: address},
	} {
		if v := c.remote(name); v.Key != name || v.Secret != want.Secret || v.Value != want.Value {
			t.Errorf("%s became %+v, want %+v", name, v, want)
		}
		if given := c.env[name]; given != "" && c.live(name) != given {
			t.Errorf("the function has %s=%q, want what was given", name, c.live(name))
		}
	}
	if tokens := len(safaricom.Calls(fakesafaricom.OAuth)); tokens != 1 {
		t.Errorf("%d tokens were asked for, want 1: each voids the former", tokens)
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
	want := "ok      variables: 12 of 16 set, of which nobody can read DARAJA_CONSUMER_KEY, DARAJA_CONSUMER_SECRET, DARAJA_PASSKEY, DARAJA_SIGNING_KEY" +
		". Left as they are, whatever was given (deploy -secrets sets them anew): DARAJA_CONSUMER_KEY, DARAJA_CONSUMER_SECRET, DARAJA_PASSKEY"
	if got := line(again, "variables"); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if c.live(handler.SigningKey) != made {
		t.Error("the signing key was replaced")
	}
}

// TestNotAtHand: what nobody can read and nobody gave could not be looked at, and that is
// said.
func TestNotAtHand(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	c.forgetSecrets()
	for _, name := range []string{"DARAJA_SHORTCODE", "DARAJA_ENVIRONMENT", "DARAJA_BASE_URL"} {
		delete(c.env, name)
	}
	out, _, status := c.command("-check")
	for _, want := range []string{
		"ok      variables: 12 of 16 set, of which nobody can read DARAJA_CONSUMER_KEY, DARAJA_CONSUMER_SECRET, DARAJA_PASSKEY, DARAJA_SIGNING_KEY\n",
		"ok      starting payments: Safaricom was not asked for a token, since nobody can read DARAJA_CONSUMER_KEY and DARAJA_CONSUMER_SECRET: set them in the environment\n",
		"ok      signed callbacks: they come to http://" + c.env["APPWRITE_FUNCTION_DOMAIN"] + ". What the function signs them with nobody can read: set DARAJA_SIGNING_KEY to have it looked at\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if out := c.deploy(); changed(out) {
		t.Errorf("a run without the secrets fixed something:\n%s", out)
	}
	// The keys alone are enough to ask: the rest is the function's.
	c.env["DARAJA_CONSUMER_KEY"], c.env["DARAJA_CONSUMER_SECRET"] = "key-of-the-app", "secret-of-the-app"
	out, _, status = c.command("-check")
	const want = "ok      starting payments: Safaricom gives a token (sandbox). That proves the consumer key and secret that were given, not that the function has the same. Whether product, shortcode, passkey and till are right shows with the first payment"
	if got := line(out, "starting payments"); got != want || status != 0 {
		t.Errorf("exit status %d and %s, want 0 and\n%s", status, got, want)
	}
}

// TestTokenWords: whatever keeps Safaricom from giving a token is named by the setting
// that is wrong.
func TestTokenWords(t *testing.T) {
	const keys = "developer.safaricom.co.ke → My Apps, and DARAJA_ENVIRONMENT; then go run ./scripts/deploy -secrets"
	const wait = "try again in some minutes, or from another network: that of the function may be let through"
	const causes = "; usual causes: the product is not enabled for the app of these keys; keys of the sandbox are used in production, or the reverse; the shortcode is another app's"
	for _, tt := range []struct {
		name      string
		change    func(*cloud, *fakesafaricom.Safaricom)
		what, fix string
	}{
		{"wrong keys", func(c *cloud, s *fakesafaricom.Safaricom) { c.env["DARAJA_CONSUMER_SECRET"] = "not-the-secret" },
			"Safaricom refuses DARAJA_CONSUMER_KEY and DARAJA_CONSUMER_SECRET (sandbox): HTTP 400 with no body" + causes, keys},
		{"sandbox keys in production", func(c *cloud, s *fakesafaricom.Safaricom) {
			c.env["DARAJA_CONSUMER_KEY"], c.env["DARAJA_ENVIRONMENT"] = "key-of-the-sandbox", "production"
		}, "Safaricom refuses DARAJA_CONSUMER_KEY and DARAJA_CONSUMER_SECRET (production): HTTP 400 with no body" + causes, keys},
		{"product not enabled", func(c *cloud, s *fakesafaricom.Safaricom) { s.Always(fakesafaricom.OAuth, fakesafaricom.NoProduct()) },
			"the app of DARAJA_CONSUMER_KEY lacks the product for payments (sandbox): HTTP 401 Invalid API call as no apiproduct match found" + causes, keys},
		{"refused in words", func(c *cloud, s *fakesafaricom.Safaricom) {
			s.Always(fakesafaricom.OAuth, fakesafaricom.Error(400, "400.008.01", "Invalid Authentication passed"))
		}, "Safaricom refuses DARAJA_CONSUMER_KEY and DARAJA_CONSUMER_SECRET (sandbox): HTTP 400 Invalid Authentication passed" + causes, keys},
		{"a firewall", func(c *cloud, s *fakesafaricom.Safaricom) { s.Always(fakesafaricom.OAuth, fakesafaricom.Incapsula()) },
			"Safaricom gives no token (sandbox): HTTP 503 with the page of Safaricom's firewall, Incapsula: it blocks the addresses of this host", wait},
		{"too many", func(c *cloud, s *fakesafaricom.Safaricom) { s.Always(fakesafaricom.OAuth, fakesafaricom.SpikeArrest()) },
			"Safaricom gives no token (sandbox): HTTP 429 Spike arrest violation. Allowed rate : … … …", wait},
		{"a fault of Safaricom's", func(c *cloud, s *fakesafaricom.Safaricom) {
			s.Always(fakesafaricom.OAuth, fakesafaricom.Error(500, "500.003.1001", "Internal Server Error"))
		}, "Safaricom gives no token (sandbox): HTTP 500 Internal Server Error", wait},
		{"a web site", func(c *cloud, s *fakesafaricom.Safaricom) {
			portal := httptest.NewServer(fakesafaricom.Portal())
			c.t.Cleanup(portal.Close)
			c.env["DARAJA_BASE_URL"] = portal.URL
		}, "DARAJA_BASE_URL is not the address of Safaricom's API: HTTP 200 with an HTML page", keys},
		{"nobody listens", func(c *cloud, s *fakesafaricom.Safaricom) {
			c.env["DARAJA_BASE_URL"] = nobody
		}, "Safaricom gives no token (sandbox): connection refused", wait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			safaricom := c.startPayments()
			c.deploy()
			safaricom.VoidTokens("key-of-the-app")
			tt.change(c, safaricom)
			out, complaint, status := c.command("-check")
			want := "WRONG   starting payments: " + tt.what + "\n        Fix: " + tt.fix
			if got := line(out, "starting payments"); got != want {
				t.Errorf("%s, want\n%s", got, want)
			}
			if status != 1 || complaint != "deploy: not everything is right\n" {
				t.Errorf("exit status %d, said %q", status, complaint)
			}
			for _, name := range secrets {
				if value := c.env[name]; value != "" && strings.Contains(out, value) {
					t.Errorf("it prints %s:\n%s", name, out)
				}
			}
		})
	}
}

// TestRefusedKeysAreNotSet: keys that Safaricom refuses would stand where nobody can read
// them. What it does not answer is no reason not to deploy.
func TestRefusedKeysAreNotSet(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.env["DARAJA_CONSUMER_SECRET"] = "not-the-secret"
	out, err := c.run(false)
	if err == nil || !strings.HasPrefix(err.Error(), "variables could not be fixed: Safaricom refuses DARAJA_CONSUMER_KEY and DARAJA_CONSUMER_SECRET (sandbox): HTTP 400 with no body; usual causes: ") {
		t.Errorf("deploy = %v\n%s", err, out)
	}
	if v := c.remote("DARAJA_CONSUMER_SECRET"); v.Key != "" {
		t.Errorf("it was set: %+v", v)
	}
	c.env["DARAJA_CONSUMER_SECRET"] = "secret-of-the-app"
	c.deploy()

	c = newCloud(t)
	c.startPayments().Always(fakesafaricom.OAuth, fakesafaricom.Incapsula())
	if out, err := c.run(false); !errors.Is(err, errWrong) || !strings.Contains(out, "\nmade    code: ") || !strings.Contains(out, "\nWRONG   starting payments: Safaricom gives no token") {
		t.Errorf("deploy behind a firewall = %v\n%s", err, out)
	}
}

// TestSecretsAnew: a secret variable that is there is left as it is, and set anew if that
// is asked for.
func TestSecretsAnew(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	key := c.live(handler.SigningKey)
	c.env["DARAJA_PASSKEY"] = "the-right-passkey"
	c.deploy()
	if got := c.live("DARAJA_PASSKEY"); got != "passkey-of-600638" {
		t.Errorf("the passkey became %q unasked", got)
	}
	c.anew = true
	out := c.deploy()
	const want = "fixed   variables: DARAJA_CONSUMER_KEY may not be what was given; DARAJA_CONSUMER_SECRET may not be what was given; DARAJA_PASSKEY may not be what was given"
	if got := line(out, "variables"); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if got := c.live("DARAJA_PASSKEY"); got != "the-right-passkey" {
		t.Errorf("the passkey is %q, want what was given", got)
	}
	if v := c.remote("DARAJA_PASSKEY"); !v.Secret || v.Value != "" {
		t.Errorf("the passkey can be read: %+v", v)
	}
	if got := c.live(handler.SigningKey); got != key {
		t.Error("the signing key was replaced")
	}
}

// TestOtherEnvironment: whoever moves from the sandbox to production gives other secrets,
// which are set although there are some, and needs to give all of them.
func TestOtherEnvironment(t *testing.T) {
	inSandbox := func(t *testing.T) *cloud {
		c := newCloud(t)
		c.payOut()
		c.deploy()
		c.env[environment], c.env["DARAJA_PASSKEY"] = "production", "passkey-of-production"
		return c
	}
	t.Run("all is given", func(t *testing.T) {
		t.Parallel()
		c := inSandbox(t)
		key := c.live(handler.SigningKey)
		c.Reset()
		out := c.deploy()
		// A run that is ended before the environment is set does all of it again.
		var set []string
		for _, call := range c.Calls() {
			if _, id, of := strings.Cut(call.Path, "/variables/"); of && call.Method == http.MethodPut {
				set = append(set, id)
			}
		}
		if len(set) != 7 || set[6] != c.remote(environment).ID {
			t.Errorf("%d variables were set, want 7, and DARAJA_ENVIRONMENT last", len(set))
		}
		const want = "fixed   variables: DARAJA_CONSUMER_KEY may not be what was given; DARAJA_CONSUMER_SECRET may not be what was given; " +
			"DARAJA_PASSKEY may not be what was given; DARAJA_ENVIRONMENT is not what was given; DARAJA_B2C_CONSUMER_KEY may not be what was given; " +
			"DARAJA_B2C_CONSUMER_SECRET may not be what was given; DARAJA_INITIATOR_PASSWORD may not be what was given"
		if got := line(out, "variables"); got != want {
			t.Errorf("%s, want\n%s", got, want)
		}
		if passkey, where := c.live("DARAJA_PASSKEY"), c.live(environment); passkey != "passkey-of-production" || where != "production" {
			t.Errorf("the function has %s and %s", passkey, where)
		}
		if c.live(handler.SigningKey) != key {
			t.Error("the signing key was replaced")
		}
		if again := c.deploy(); changed(again) {
			t.Errorf("a second run fixed something:\n%s", again)
		}
	})
	t.Run("some are missing", func(t *testing.T) {
		t.Parallel()
		c := inSandbox(t)
		for _, name := range []string{"DARAJA_CONSUMER_SECRET", "DARAJA_SHORTCODE", "DARAJA_PASSKEY", "DARAJA_BASE_URL", handler.Certificate, "DARAJA_PAYOUT_MAX"} {
			delete(c.env, name)
		}
		const want = "; with another DARAJA_ENVIRONMENT the function would keep what belongs to the old one: " +
			"set DARAJA_CONSUMER_SECRET, DARAJA_SHORTCODE, DARAJA_PASSKEY, DARAJA_BASE_URL, DARAJA_CERTIFICATE too, or delete it in the console\n"
		for _, dryRun := range []bool{true, false} {
			out, err := c.run(dryRun)
			if !errors.Is(err, errWrong) || !strings.Contains(line(out, "variables"), want) {
				t.Errorf("only looking: %t: %v, want %q in\n%s", dryRun, err, want, out)
			}
		}
		if got := c.remote(environment).Value; got != "sandbox" {
			t.Errorf("the environment became %q", got)
		}
	})
}

// TestPartlyGiven: of what starts payments the function needs all or none, and is given
// none until all is there.
func TestPartlyGiven(t *testing.T) {
	for _, tt := range []struct{ name, variable, value, want string }{
		{"one is missing", "DARAJA_PASSKEY", "", "DARAJA_PASSKEY is missing"},
		{"no environment", "DARAJA_ENVIRONMENT", "", "DARAJA_ENVIRONMENT is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.startPayments()
			c.env[tt.variable] = tt.value
			out, err := c.run(false)
			if !errors.Is(err, errWrong) || !strings.Contains(line(out, "variables"), "; "+tt.want+"\n        Fix: ") {
				t.Errorf("deploy = %v, want %q in\n%s", err, tt.want, out)
			}
			if v := c.remote("DARAJA_SHORTCODE"); v.Key != "" {
				t.Errorf("the others were set: %+v", v)
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		c := newCloud(t)
		c.startPayments()
		c.env["DARAJA_PASSKEY"] = strings.Repeat("x", 8193)
		out, err := c.run(false)
		if want := "; DARAJA_PASSKEY has more than 8192 characters, which Appwrite does not take\n"; !errors.Is(err, errWrong) || !strings.Contains(line(out, "variables"), want) {
			t.Errorf("deploy = %v, want %q in\n%s", err, want, out)
		}
		if v := c.remote("DARAJA_SHORTCODE"); v.Key != "" {
			t.Errorf("the others were set: %+v", v)
		}
	})
	t.Run("malformed", func(t *testing.T) {
		c := newCloud(t)
		c.startPayments()
		c.env[handler.SigningKey], c.env[publicURL] = "short", "http://pay.example.com"
		_, complaint, status := c.command("-check")
		const want = "deploy: DARAJA_SIGNING_KEY is not 64 hex digits (openssl rand -hex 32); DARAJA_PUBLIC_URL does not begin with https:// (set what is named in the environment or in .env)\n"
		if complaint != want || status != 1 {
			t.Errorf("exit status %d and %q, want 1 and %q", status, complaint, want)
		}
	})
}

const newKey, oldKey = "1111111111111111111111111111111111111111111111111111111111111111", "2222222222222222222222222222222222222222222222222222222222222222"

// TestSigningKey: one that is there is never replaced unasked. A new one goes before one
// that can be read; of one that nobody can read the whole list must be given.
func TestSigningKey(t *testing.T) {
	t.Run("readable", func(t *testing.T) {
		c := newCloud(t)
		c.startPayments()
		c.deploy()
		id := c.remote(handler.SigningKey).ID
		c.must("DELETE", "/functions/daraja/variables/"+id, nil)
		c.must("POST", "/functions/daraja/variables", map[string]any{"key": handler.SigningKey, "value": oldKey, "secret": false})
		const want = ". Whoever may see the function's settings can read DARAJA_SIGNING_KEY: mark it secret. Left as they are"
		if out := c.deploy(); !strings.Contains(line(out, "variables"), want) {
			t.Errorf("%s, want in it\n%s", line(out, "variables"), want)
		}
		c.env[handler.SigningKey] = newKey
		c.deploy()
		if got, want := c.live(handler.SigningKey), newKey+","+oldKey; got != want {
			t.Errorf("the signing keys are %s, want %s", got, want)
		}
		if out := c.deploy(); changed(out) {
			t.Errorf("a second run fixed something:\n%s", out)
		}
	})
	t.Run("secret", func(t *testing.T) {
		c := newCloud(t)
		c.startPayments()
		c.env[handler.SigningKey] = oldKey
		c.deploy()
		if out := c.deploy(); changed(out) || !strings.Contains(out, ", signed with a key that the function knows\n") {
			t.Errorf("a second run:\n%s", out)
		}
		c.env[handler.SigningKey] = newKey
		for _, anew := range []bool{false, true} {
			c.anew = anew
			out, err := c.run(false)
			const want = "WRONG   signed callbacks: the function does not know the DARAJA_SIGNING_KEY that was given. Nobody can read those that it has, and to replace them would lose what they signed\n" +
				"        Fix: go run ./scripts/deploy -secrets with the whole list, DARAJA_SIGNING_KEY=new,old, and the old one in it for four weeks; or without DARAJA_SIGNING_KEY"
			if got := line(out, "signed callbacks"); !errors.Is(err, errWrong) || got != want {
				t.Errorf("deploy with another key = %v\n%s, want\n%s", err, got, want)
			}
			if got := c.live(handler.SigningKey); got != oldKey {
				t.Errorf("the signing key became %s", got)
			}
		}
		c.env[handler.SigningKey], c.anew = newKey+","+oldKey, true
		c.deploy()
		if got, want := c.live(handler.SigningKey), newKey+","+oldKey; got != want {
			t.Errorf("the signing keys are %s, want %s", got, want)
		}
		c.anew = false
		if out := c.deploy(); changed(out) {
			t.Errorf("a second run fixed something:\n%s", out)
		}
	})
}

// TestOpenDoor: apps in the field post without a secret, and a signing key would shut
// them out, and so would a first secret. Whoever wants that all the same sets it by hand.
func TestOpenDoor(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	c.must("DELETE", "/functions/daraja/variables/"+c.remote(handler.CallbackSecret).ID, nil)
	c.uploadAndWait(source(t), true, "ready")
	if out, err := c.run(true); err != nil || !strings.Contains(out, "anybody can post payments") {
		t.Fatalf("-check with an open door = %v\n%s", err, out)
	}
	const secret = "0123456789abcdef-new"
	for _, tt := range []struct {
		starts bool
		secret string
		by     string
	}{{false, secret, handler.CallbackSecret}, {true, "", handler.SigningKey}, {true, secret, handler.SigningKey}} {
		if tt.starts {
			c.startPayments()
		}
		c.env[handler.CallbackSecret] = tt.secret
		want := "the function that is deployed takes callbacks without a secret, and with " + tt.by + " it would refuse those of the apps in the field: " +
			"leave it as it is, and deploy a second function for new apps (APPWRITE_FUNCTION_ID=daraja2)\n        Fix: "
		for _, dryRun := range []bool{true, false} {
			out, err := c.run(dryRun)
			if got := line(out, "variables"); !errors.Is(err, errWrong) || !strings.HasPrefix(got, "WRONG   ") || !strings.Contains(got, want) {
				t.Errorf("with the secret %q, -check %t: %v and\n%s, want\n%s", tt.secret, dryRun, err, got, want)
			}
		}
		if v := c.remote(tt.by); v.Key != "" {
			t.Errorf("it was set: %+v", v)
		}
	}
	c.must("POST", "/functions/daraja/variables", map[string]any{"key": handler.CallbackSecret, "value": secret, "secret": false})
	c.deploy()
	if out, err := c.run(true); err != nil {
		t.Errorf("-check after it = %v\n%s", err, out)
	}
}

// TestSignedAlone: with a signing key and no secret nothing unsigned is taken, which is
// nothing wrong where every payment is started by the function.
func TestSignedAlone(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	c.must("DELETE", "/functions/daraja/variables/"+c.remote(handler.CallbackSecret).ID, nil)
	c.uploadAndWait(source(t), true, "ready")
	out, err := c.run(true)
	if err != nil || !strings.Contains(line(out, "variables"), ", and no DARAJA_CALLBACK_SECRET: only signed callbacks are taken") {
		t.Errorf("-check = %v\n%s", err, out)
	}
	if got, want := line(out, "self-test"), "ok      self-test: not done, since without a DARAJA_CALLBACK_SECRET only signed callbacks are taken"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if out := c.deploy(); changed(out) || c.remote(handler.CallbackSecret).Key != "" {
		t.Errorf("a secret was made unasked:\n%s", out)
	}
}

// TestSoundServer: before 1.9.5 no payment is started, and the function still settles
// what others start.
func TestSoundServer(t *testing.T) {
	for version, isSound := range map[string]bool{"1.8.1": false, "1.9.0": false, "1.9.6": true} {
		t.Run(version, func(t *testing.T) {
			c := newCloud(t)
			c.Version = version
			c.startPayments()
			out, err := c.run(false)
			if isSound {
				if err != nil {
					t.Errorf("deploy = %v\n%s", err, out)
				}
				return
			}
			const want = "WRONG   starting payments: no payment is started on this server: before 1.9.5 two who change one document may both succeed, and a verdict could be overwritten\n" +
				"        Fix: update Appwrite to 1.9.5 or later"
			if got := line(out, "starting payments"); !errors.Is(err, errWrong) || got != want {
				t.Errorf("deploy = %v\n%s, want\n%s", err, got, want)
			}
			if !strings.Contains(out, "ok      self-test: ") {
				t.Errorf("callbacks are not settled:\n%s", out)
			}
			if want := "ok      server version: " + version + ", on which compare-and-set and the queue are weaker than from 1.9.5 on (docs/durability.md), and no payment is started\n"; !strings.HasPrefix(out, want) {
				t.Errorf("it begins with %s, want %s", strings.SplitN(out, "\n", 2)[0], want)
			}
		})
	}
}

// TestPublicURL: the address that Safaricom is given must lead to the function.
func TestPublicURL(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	c.env[publicURL] = elsewhere.URL
	out, err := c.run(false)
	want := "WRONG   signed callbacks: DARAJA_PUBLIC_URL is " + elsewhere.URL + ", and what becomes of a started payment would not arrive there: it answers 404 and is not this function\n" +
		"        Fix: Console → Functions → daraja → Settings → Variables, then redeploy"
	if got := line(out, "signed callbacks"); !errors.Is(err, errWrong) || got != want {
		t.Errorf("deploy = %v\n%s, want\n%s", err, got, want)
	}
}

// TestUnresolved says how many payments nobody knows the outcome of, and what the sweep
// has found in the last day.
func TestUnresolved(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	var shift time.Duration
	c.Now = func() time.Time { return time.Now().Add(shift) }
	c.deploy()
	for id, data := range map[string]map[string]any{
		"00000000000000a1": {"status": "PENDING", "requestedAmount": 10, "requestKey": "k", "nextCheckAt": "2026-11-26T10:00:00.000Z"},
		"00000000000000a2": {"status": "TIMEOUT", "requestedAmount": 10, "requestKey": "k"},
		"00000000000000a3": {"status": "TIMEOUT", "requestedAmount": 10, "requestKey": "k"},
		"00000000000000a4": {"status": "SUCCESS", "requestedAmount": 10, "requestKey": "k"},
		"00000000000000a5": {"status": "TIMEOUT"}, // not started here
		"00000000000000a6": {"status": "SUCCESS", "requestedAmount": 10, "requestKey": "k", "receipt": "UKN7X1Q9ZK", "amount": 10},
		"00000000000000a7": {"status": "SUCCESS", "requestedAmount": 10, "requestKey": "k"}, // for two hours
	} {
		shift = 0
		if strings.HasSuffix(id, "a6") || strings.HasSuffix(id, "a7") {
			shift = -2 * time.Hour
		}
		data["checkoutRequestId"], data["settledAt"] = "ws_CO_"+id, "2026-11-26T09:00:00.000Z"
		c.must("POST", aPayment+"/documents", map[string]any{"documentId": id, "permissions": []string{}, "data": data})
	}
	sweep := func(logs string) {
		c.Record(fakeappwrite.Execution{Function: "daraja", Method: "POST", Path: "/", Status: 200, Logs: logs})
	}
	shift = -25 * time.Hour
	sweep("route=sweep due=9 asked=9 found=9 not-sent=0 given-up=0 failed=0 calls=1 ms=2\n")
	shift = 0
	for range 101 {
		sweep("route=sweep due=0 asked=0 found=0 not-sent=0 given-up=0 failed=0 calls=1 ms=2\n")
	}
	sweep("route=sweep id=00000000000000a4 outcome=found\nroute=sweep due=3 asked=3 found=2 not-sent=0 given-up=0 failed=0 calls=7 ms=2\n")
	c.Record(fakeappwrite.Execution{Function: "daraja", Method: "POST", Path: "/callback", Status: 200, Logs: "route=sweep due=5 asked=5 found=5 \n"})
	out, err := c.run(true)
	want := `ok      unresolved payments: 1 still asked about, 2 given up; in the last day the sweep ran 102 times and found 2. 1 paid, says Safaricom, and without a receipt for over an hour: it is in M-Pesa's statement alone. What became of those given up: docs/durability.md, "When nobody can tell"`
	if got := line(out, "unresolved payments"); got != want || err != nil {
		t.Errorf("-check = %v\n%s, want\n%s", err, out, want)
	}
}

// TestUnresolvedMany: Appwrite stops counting at 5,000, and so does what is said.
func TestUnresolvedMany(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	c.open("given-up", nil)
	for n := range 5000 {
		c.open(fmt.Sprint("given-up-", n), nil)
	}
	c.open("asked", "2026-11-26T10:00:00.000Z")
	out, err := c.run(true)
	if got, want := line(out, "unresolved payments"), "unresolved payments: 1 still asked about, 5,000 or more given up;"; err != nil || !strings.Contains(got, want) {
		t.Errorf("-check = %v\n%s, want %s", err, got, want)
	}
}

// open stores a payment that was started, and when it is asked about.
func (c *cloud) open(id string, nextCheckAt any) {
	c.t.Helper()
	c.must("POST", aPayment+"/documents", map[string]any{"documentId": id, "permissions": []string{}, "data": map[string]any{
		"checkoutRequestId": "ws_CO_" + id, "settledAt": "2026-11-26T09:00:00.000Z", "status": "TIMEOUT", "requestedAmount": 10, "requestKey": "k", "nextCheckAt": nextCheckAt,
	}})
}

// TestSweepStands: payments wait to be asked about, and nobody asks.
func TestSweepStands(t *testing.T) {
	t.Parallel()
	const due = "2026-11-26T10:00:00.000Z"
	for name, tt := range map[string]struct {
		age         time.Duration // of a payment
		nextCheckAt any
		swept       time.Duration // before now; 0 is never
		wrong       bool
	}{
		"it never runs":          {age: 2 * time.Hour, nextCheckAt: due, wrong: true},
		"it ran the day before":  {age: 2 * time.Hour, nextCheckAt: due, swept: 25 * time.Hour, wrong: true},
		"it runs":                {age: 2 * time.Hour, nextCheckAt: due, swept: 23 * time.Hour},
		"it may be about to":     {age: 50 * time.Minute, nextCheckAt: due},
		"nothing is asked about": {age: 2 * time.Hour, nextCheckAt: nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.startPayments()
			var shift time.Duration
			c.Now = func() time.Time { return time.Now().Add(shift) }
			c.deploy()
			if tt.swept > 0 {
				shift = -tt.swept
				c.Record(fakeappwrite.Execution{Function: "daraja", Method: "POST", Path: "/", Status: 200, Logs: "route=sweep due=1 asked=1 found=0 not-sent=0\n"})
			}
			shift = -tt.age
			c.open("00000000000000a1", tt.nextCheckAt)
			shift = 0
			out, err := c.run(true)
			got := line(out, "unresolved payments")
			want := "WRONG   unresolved payments: 1 still asked about, 0 given up; in the last day the sweep ran 0 times and found 0: what waits for longer than an hour stays unknown\n" +
				"        Fix: Console → Functions → daraja → Settings → Schedule: */5 * * * *, then redeploy; Settings → Execution logs must be on, and Executions shows why a run failed"
			if (got == want) != tt.wrong || errors.Is(err, errWrong) != tt.wrong || !tt.wrong && !strings.HasPrefix(got, "ok ") {
				t.Errorf("-check = %v\n%s", err, out)
			}
			// To deploy is part of the advice, and does not fail for what it is to help.
			if out, err := c.run(false); err != nil || !strings.HasPrefix(line(out, "unresolved payments"), "ok ") {
				t.Errorf("deploy = %v\n%s", err, out)
			}
		})
	}
}

// TestSchedule: a function that starts payments needs one, and one of the operator's own
// stays.
func TestSchedule(t *testing.T) {
	c := newCloud(t)
	c.startPayments()
	c.deploy()
	for schedule, want := range map[string]string{"": "*/5 * * * *", "*/10 * * * *": "*/10 * * * *"} {
		f, err := c.project(false).function(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f = f.withoutDeployments()
		f.Schedule = schedule
		c.must("PUT", "/functions/daraja", f)
		out, err := c.run(true)
		if wrong := strings.Contains(line(out, "function"), "it has no schedule"); wrong != (schedule == "") || (err != nil) != wrong {
			t.Errorf("with the schedule %q, -check = %v\n%s", schedule, err, out)
		}
		c.deploy()
		if f, _ := c.project(false).function(ctx); f.Schedule != want {
			t.Errorf("the schedule %q has become %q, want %q", schedule, f.Schedule, want)
		}
	}
}

// TestHiddenVariables: Appwrite makes a variable secret unless it is told otherwise. One that
// is there and reads back empty is not missing.
func TestHiddenVariables(t *testing.T) {
	for _, name := range []string{"DARAJA_SHORTCODE", "DARAJA_ENVIRONMENT", "DARAJA_PUBLIC_URL", "DARAJA_BASE_URL", "DARAJA_INITIATOR", "DARAJA_PAYOUT_MAX", "DARAJA_PAYOUT_DAILY",
		"DARAJA_CERTIFICATE", "DARAJA_B2C_SHORTCODE"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.startPayments()
			c.payOut()
			c.env[handler.SigningKey] = strings.Repeat("5e", 32)
			c.deploy()
			v := c.remote(name)
			if v.Value == "" {
				t.Fatal("the operator has given none")
			}
			c.must("PUT", "/functions/daraja/variables/"+v.ID, map[string]any{"key": name, "value": v.Value, "secret": true})
			delete(c.env, name)
			if slices.Contains([]string{"DARAJA_INITIATOR", "DARAJA_CERTIFICATE", "DARAJA_PUBLIC_URL", "DARAJA_B2C_SHORTCODE"}, name) {
				out := c.deploy()
				if got, want := line(out, "paying out"), "ok      paying out: the initiator was not proven, since nobody can read "+name+": set them in the environment"; got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			c.forgetSecrets()
			c.deploy() // for the variable that was changed
			for _, dryRun := range []bool{true, false} {
				if out, err := c.run(dryRun); err != nil || changed(out) {
					t.Errorf("-check %t = %v\n%s", dryRun, err, out)
				}
			}
		})
	}
	for _, name := range []string{"DARAJA_DATABASE_ID", "DARAJA_COLLECTION_ID", "DARAJA_B2C_COLLECTION_ID"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.deploy()
			v := c.remote(name)
			c.must("PUT", "/functions/daraja/variables/"+v.ID, map[string]any{"key": name, "value": v.Value, "secret": true})
			out, err := c.run(false)
			want := "the function's variable " + name + " is secret, and nobody can read it: set " + name + " in the environment to what it is"
			if err == nil || changed(out) || !strings.Contains(out+err.Error(), want) {
				t.Errorf("deploy = %v\n%s", err, out)
			}
			c.env[name] = v.Value
			c.deploy()
			if out, err := c.run(true); err != nil {
				t.Errorf("-check with it = %v\n%s", err, out)
			}
		})
	}
}

// TestManyOthers: a project has more domains, and a function more variables, than Appwrite
// lists at once.
func TestManyOthers(t *testing.T) {
	for _, version := range fakeappwrite.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.Version = version
			c.must("POST", "/functions", map[string]any{"functionId": "site", "name": "site", "runtime": "go-1.23"})
			for n := range 120 {
				c.must("POST", "/proxy/rules/function", map[string]any{"domain": fmt.Sprintf("site-%d.localhost", n), "functionId": "site"})
			}
			c.deploy()
			for n := range 40 {
				c.must("POST", "/functions/daraja/variables", map[string]any{"key": fmt.Sprintf("OWN_%d", n), "value": "x", "secret": false})
			}
			c.env["DARAJA_ANONYMOUS_READ"] = "any"
			c.deploy()
			if out, err := c.run(false); err != nil || changed(out) {
				t.Errorf("a second run = %v\n%s", err, out)
			}
		})
	}
}
