package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/handler"
)

// variable is one of the function's. The value of a secret one is for the function
// alone: it reads back empty.
type variable struct {
	ID     string `json:"$id,omitempty"`
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`

	UpdatedAt string `json:"$updatedAt,omitempty"`
}

// find returns the variable of that name.
func find(variables []variable, key string) (variable, bool) {
	i := slices.IndexFunc(variables, func(v variable) bool { return v.Key == key })
	if i < 0 {
		return variable{}, false
	}
	return variables[i], true
}

// mostListed is the query of a page of a hundred, where Appwrite's own has 25. Its variables
// have pages from 1.9.5 on; before, what is asked for here is not looked at.
func mostListed(selecting ...appwrite.Query) string {
	params := url.Values{}
	for _, q := range append(selecting, appwrite.Limit(100)) {
		params.Add("queries[]", q.String())
	}
	return params.Encode()
}

func (s settings) remoteVariables(ctx context.Context) ([]variable, error) {
	var found struct{ Variables []variable }
	err := s.call(ctx, http.MethodGet, s.functionPath()+"/variables?"+mostListed(), nil, &found)
	return found.Variables, err
}

// inherit takes what was not given from the function, if that is there: what it
// works on is what there is to look at. Where that cannot be known nothing may be looked
// at in its place: a default names another database.
func (s *settings) inherit(ctx context.Context) error {
	remote, err := s.remoteVariables(ctx)
	sets := func(which func(handler.Variable) bool) bool {
		return slices.ContainsFunc(handler.Variables(), func(v handler.Variable) bool {
			r, there := find(remote, v.Name)
			return which(v) && (s.get(v.Name) != "" || there && (r.Secret || r.Value != ""))
		})
	}
	s.startsAny = sets(handler.Variable.Starts)
	s.startsPayouts = sets(func(v handler.Variable) bool { return v.Payouts && !v.Push })
	s.startsPayments = s.startsAny && !s.startsPayouts || sets(func(v handler.Variable) bool { return v.Push && !v.Payouts })
	has, _ := find(remote, environment)
	s.newEnvironment = has.Value != "" && s.get(environment) != "" && has.Value != s.get(environment)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("the function's variables: %w", err)
	}
	for name, to := range map[string]*string{
		"DARAJA_DATABASE_ID": &s.target.DatabaseID, "DARAJA_COLLECTION_ID": &s.target.PaymentsID,
		"DARAJA_B2C_COLLECTION_ID": &s.target.DisbursementsID, "DARAJA_ANONYMOUS_READ": &s.target.AnonymousRead,
	} {
		switch v, there := find(remote, name); {
		case s.get(name) != "" || !there:
		case v.Secret:
			return fmt.Errorf("the function's variable %s is secret, and nobody can read it: set %s in the environment to what it is", name, name)
		case v.Value != "":
			*to = v.Value
		}
	}
	return nil
}

// given is what this run was given for a variable, or has made itself.
func (p *project) given(name string) string { return cmp.Or(p.get(name), p.made[name]) }

// wantedVariables are those that shall stand: as they were given, else as they
// stand in Appwrite, else as appwrite.json has them. Of a secret one nobody can say
// how it stands.
func (p *project) wantedVariables(remote []variable) []variable {
	var wanted []variable
	for _, v := range p.variables {
		given := p.given(v.Key)
		r, there := find(remote, v.Key)
		switch {
		case there && r.Secret:
			v.Value = given
		case given != "" && isList(v.Key) && there && !strings.Contains(given, ","):
			v.Value = rotated(given, r.Value)
		case given != "":
			v.Value = given
		case r.Value != "":
			v.Value = r.Value
		case p.startsAny && v.Key == publicURL && p.domain != "":
			v.Value = p.url("")
		}
		if there {
			v.Secret = r.Secret
		}
		if v.Value != "" || there && v.Secret || p.startsAny && v.Key == handler.SigningKey {
			wanted = append(wanted, v)
		}
	}
	return wanted
}

const publicURL = "DARAJA_PUBLIC_URL"

// isList reports whether the variable holds several values, separated by commas, the
// old ones of which are still in use.
func isList(key string) bool { return key == handler.CallbackSecret || key == handler.SigningKey }

// rotated puts a new secret before those that apps in the field and requests in
// the queue still carry. To drop them, give a list (one with a comma is enough).
func rotated(given, list string) string {
	for _, secret := range strings.Split(list, ",") {
		if strings.TrimSpace(secret) == given {
			return list
		}
	}
	if list == "" {
		return given
	}
	return given + "," + list
}

// isDue reports whether a secret variable that is there is to be set anew, since that was
// asked for or Safaricom's other environment was given: nobody can see whether it is what was
// given. A list is replaced by a list alone, since what it holds cannot be kept.
func (p *project) isDue(v variable) bool {
	return (p.anew || p.newEnvironment) && !p.dryRun && v.Value != "" && !p.set[v.Key] && (!isList(v.Key) || strings.Contains(v.Value, ","))
}

// checkVariables compares the function's variables with those that shall stand.
func checkVariables(ctx context.Context, p *project) (string, error) {
	remote, err := p.remoteVariables(ctx)
	if err != nil {
		return "", err
	}
	wanted := p.wantedVariables(remote)
	c := p.compare(wanted, remote)
	f, err := p.function(ctx)
	if err != nil {
		return "", err
	}
	secret, hasSecret := find(wanted, handler.CallbackSecret)
	if !hasSecret && f.DeploymentID == "" {
		c.problems = append(c.problems, "there is no "+handler.CallbackSecret+": anybody can post payments")
	}
	hopeless, err := p.hopeless(ctx, f, wanted, remote)
	if err != nil {
		return "", err
	}
	if problems := append(c.problems, hopeless...); len(problems) > 0 {
		return "", wrong(strings.Join(problems, "; "), p.inConsole("Settings → Variables, then redeploy"))
	}
	found := fmt.Sprintf("%d of %d set", len(wanted), p.countVariables())
	if len(c.secrets) > 0 {
		found += ", of which nobody can read " + strings.Join(c.secrets, ", ")
	}
	switch {
	case !hasSecret && p.startsAny:
		found += ", and no " + handler.CallbackSecret + ": only signed callbacks are taken"
	case !hasSecret:
		// Apps in the field post without one, and a new one would shut them out.
		found += ", and no " + handler.CallbackSecret + ": anybody can post payments. To end that, deploy a second function for new versions of the app (docs/go-live.md)"
	case secret.Value == "":
		found += ". Set " + handler.CallbackSecret + " for the checks that post a callback"
		p.secretUnknown = true
	default:
		first, _, _ := strings.Cut(secret.Value, ",")
		p.prefix = "/" + strings.TrimSpace(first)
	}
	if len(c.exposed) > 0 {
		found += ". Whoever may see the function's settings can read " + strings.Join(c.exposed, ", ") + ": mark it secret"
	}
	if len(c.left) > 0 {
		found += ". Left as they are, whatever was given (deploy -secrets sets them anew): " + strings.Join(c.left, ", ")
	}
	return found, nil
}

// comparison is how the function's variables differ from those that shall stand.
type comparison struct {
	problems []string // what the command fixes

	// The names of some:
	secrets []string // nobody can read them
	left    []string // given all the same, and left as they are
	exposed []string // to be read, and should not be
}

// compare also notes down what is known of each.
func (p *project) compare(wanted, remote []variable) (c comparison) {
	p.known, p.hidden = map[string]string{}, map[string]bool{}
	var missing, missingPush, missingPayout []string
	for _, v := range wanted {
		p.known[v.Key] = v.Value
		r, there := find(remote, v.Key)
		switch {
		case !there && isForStarting(v.Key) && !variableNamed(v.Key).Push:
			missingPayout = append(missingPayout, v.Key)
		case !there && isForStarting(v.Key):
			missingPush = append(missingPush, v.Key)
		case !there:
			missing = append(missing, v.Key)
		case r.Secret && p.isDue(v):
			c.problems = append(c.problems, v.Key+" may not be what was given")
		case r.Secret:
			c.secrets = append(c.secrets, v.Key)
			p.hidden[v.Key] = !p.set[v.Key]
			if p.get(v.Key) != "" && isForStarting(v.Key) && p.hidden[v.Key] {
				c.left = append(c.left, v.Key)
			}
		case r.Value != v.Value:
			c.problems = append(c.problems, v.Key+" is not what was given")
		case isSecret(v.Key):
			c.exposed = append(c.exposed, v.Key)
		}
	}
	if len(missing) > 0 {
		c.problems = append(c.problems, "missing, without which callbacks can only be queued: "+strings.Join(missing, ", "))
	}
	if len(missingPush) > 0 {
		c.problems = append(c.problems, "missing, without which no payment can be started: "+strings.Join(missingPush, ", "))
	}
	if len(missingPayout) > 0 {
		c.problems = append(c.problems, "missing, without which nothing can be paid out: "+strings.Join(missingPayout, ", "))
	}
	return c
}

// countVariables counts those that the function may have: without those for starting
// payments or payouts, if it starts none.
func (p *project) countVariables() (n int) {
	for _, v := range p.variables {
		if of := variableNamed(v.Key); !of.Starts() || of.Push && p.startsPayments || of.Payouts && p.startsPayouts {
			n++
		}
	}
	return n
}

// longestValue is the length, in characters, of the longest value that Appwrite takes for a
// variable: Functions/Http/Variables/Create.php of 1.8.1 to 1.9.6.
const longestValue = 8192

// hopeless names what only a person can fix: values that are malformed, those for
// starting payments that are neither given nor there, and a door that would be shut. Of
// what nobody can read nothing is said.
func (p *project) hopeless(ctx context.Context, f function, wanted, remote []variable) ([]string, error) {
	// The function's own idea of what is malformed.
	problems := handler.New(func(name string) string {
		v, ok := find(wanted, name)
		switch {
		case v.Value != "":
			return v.Value
		case !isForStarting(name):
			return p.target.getenv(name)
		case ok || p.startsAny && name == publicURL:
			return wellFormed[name]
		}
		return ""
	}).Problems()
	problems = slices.DeleteFunc(problems, func(problem string) bool {
		name, _, _ := strings.Cut(problem, " ")
		v, ok := find(wanted, name)
		return ok && v.Secret && v.Value == ""
	})
	for _, v := range wanted {
		if utf8.RuneCountInString(v.Value) > longestValue {
			problems = append(problems, fmt.Sprintf("%s has more than %d characters, which Appwrite does not take", v.Key, longestValue))
		}
	}
	if old := p.ofOldEnvironment(remote); len(old) > 0 {
		problems = append(problems, "with another "+environment+" the function would keep what belongs to the old one: set "+strings.Join(old, ", ")+" too, or delete it in the console")
	}
	shutting := shutsDoor(wanted, remote)
	if shutting == "" || f.DeploymentID == "" {
		return problems, nil
	}
	open, err := p.doorIsOpen(ctx)
	if open {
		problems = append(problems, "the function that is deployed takes callbacks without a secret, and with "+shutting+" it would refuse those of the apps in the field: "+
			"leave it as it is, and deploy a second function for new apps (APPWRITE_FUNCTION_ID=daraja2)")
	}
	return problems, err
}

// ofOldEnvironment names what Safaricom gave for its other environment, and the function
// would keep: not only secrets, since a certificate of the sandbox makes each payout of
// production fail.
func (p *project) ofOldEnvironment(remote []variable) (names []string) {
	if !p.newEnvironment {
		return nil
	}
	for _, v := range p.variables {
		r, _ := find(remote, v.Key)
		has := r.Secret || r.Value != ""
		ours := v.Key == handler.SigningKey || v.Key == publicURL || variableNamed(v.Key).Limits
		if has && isForStarting(v.Key) && !ours && p.given(v.Key) == "" {
			names = append(names, v.Key)
		}
	}
	return names
}

// shutsDoor names the variable that would have the function refuse callbacks without a
// secret, "" for none. Where it has one of the two the door is shut, or will be whatever is
// done here.
func shutsDoor(wanted, remote []variable) (name string) {
	for _, shuts := range []string{handler.CallbackSecret, handler.SigningKey} {
		if _, there := find(remote, shuts); there {
			return ""
		}
		if _, wants := find(wanted, shuts); wants {
			name = shuts
		}
	}
	return name
}

// wellFormed stands in for what nobody can read, or what is still to be made.
var wellFormed = map[string]string{
	"DARAJA_CONSUMER_KEY": "secret", "DARAJA_CONSUMER_SECRET": "secret", "DARAJA_PASSKEY": "secret",
	handler.SigningKey: strings.Repeat("0", 64), publicURL: "https://unknown",
	payoutKey: "secret", payoutSecret: "secret", initiatorPassword: "secret",
	securityCredential: base64.StdEncoding.EncodeToString(make([]byte, 256)),
}

// doorIsOpen asks the function that is deployed whether it takes a callback without a
// secret: it then looks at the body, which is none.
func (p *project) doorIsOpen(ctx context.Context) (bool, error) {
	if p.domain == "" {
		return false, nil // nobody posts to it
	}
	status, _, err := p.ask(ctx, http.MethodPost, "/callback", "{}")
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("it answers %d", status)
	}
	if err != nil {
		return false, fmt.Errorf("whether the function takes callbacks without a secret: %s: %w", p.domain, err)
	}
	return status == http.StatusBadRequest, nil
}

// isForStarting reports whether a variable is for starting payments or payouts, and
// isSecret whether nobody but the function should be able to read it.
func isForStarting(name string) bool { return variableNamed(name).Starts() }
func isSecret(name string) bool      { return variableNamed(name).Secret }

func variableNamed(name string) handler.Variable {
	for _, v := range handler.Variables() {
		if v.Name == name {
			return v
		}
	}
	return handler.Variable{}
}

// fixVariables sets one variable after another, and never deletes any. If there is one
// that only a person can fix it sets none: of those that start payments the function
// needs all or none.
func fixVariables(ctx context.Context, p *project) error {
	remote, err := p.remoteVariables(ctx)
	if err != nil {
		return err
	}
	wanted := p.wantedVariables(remote)
	f, err := p.function(ctx)
	if err != nil {
		return err
	}
	if hopeless, err := p.hopeless(ctx, f, wanted, remote); err != nil || len(hopeless) > 0 {
		return err // the second look says so
	}
	if _, ok := find(wanted, handler.CallbackSecret); !ok && f.DeploymentID == "" {
		wanted = append(wanted, variable{Key: handler.CallbackSecret, Value: randomHex(16)})
	}
	wanted = slices.DeleteFunc(wanted, func(v variable) bool {
		r, there := find(remote, v.Key)
		return there && (r.Secret && !p.isDue(v) || !r.Secret && r.Value == v.Value)
	})
	if slices.ContainsFunc(wanted, func(v variable) bool { return isForStarting(v.Key) }) {
		// What Safaricom refuses is not put where nobody can read it.
		if answer, asked := p.token(ctx); asked && answer.Credentials {
			return errors.New(p.refusal(answer))
		}
		if answer, asked := p.payoutToken(ctx); asked && answer.Credentials {
			return errors.New(p.payoutRefusal(answer.Detail))
		}
	}
	// The environment comes last. Should the command end before that, the next run still sees
	// that it is another, and sets the secrets that go with it.
	if v, due := find(wanted, environment); due {
		wanted = append(slices.DeleteFunc(wanted, func(v variable) bool { return v.Key == environment }), v)
	}
	for _, v := range wanted {
		if err := p.setVariable(ctx, v, remote); err != nil {
			return fmt.Errorf("%s: %w", v.Key, err)
		}
	}
	return nil
}

// setVariable sets one. A signing key that was not given is made.
func (p *project) setVariable(ctx context.Context, v variable, remote []variable) error {
	if v.Value == "" {
		v.Value = randomHex(32)
		p.made[v.Key] = v.Value
	}
	p.set[v.Key] = true
	body := map[string]any{"key": v.Key, "value": v.Value, "secret": v.Secret}
	if r, there := find(remote, v.Key); there {
		return p.call(ctx, http.MethodPut, p.functionPath()+"/variables/"+r.ID, body, nil)
	}
	return p.call(ctx, http.MethodPost, p.functionPath()+"/variables", body, nil)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails on any system that Go runs on
	return hex.EncodeToString(b)
}
