package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/handler"
)

const (
	consumerKey    = "DARAJA_CONSUMER_KEY"
	consumerSecret = "DARAJA_CONSUMER_SECRET"
	environment    = "DARAJA_ENVIRONMENT"
	baseURL        = "DARAJA_BASE_URL"
)

// safaricomURL is where the function asks Safaricom, "" if that is not known.
func (p *project) safaricomURL() string {
	switch p.known[environment] {
	case "sandbox":
		return cmp.Or(p.known[baseURL], daraja.Sandbox)
	case "production":
		return cmp.Or(p.known[baseURL], daraja.Production)
	}
	return p.known[baseURL]
}

// token asks Safaricom for a token with what is known of the function's variables. A
// token moves no money. asked is false where too little is known to ask.
func (p *project) token(ctx context.Context) (answer daraja.Answer, asked bool) {
	base := p.safaricomURL()
	if base == "" || len(p.unreadable()) > 0 {
		return daraja.Answer{}, false
	}
	return p.client(base).Token(ctx), true
}

// client asks Safaricom with the keys of payments. It is one for the whole run: each new
// token voids the former, which the function may hold.
func (p *project) client(base string) *daraja.Client {
	if p.safaricom == nil {
		p.safaricom = daraja.New(base, daraja.Credentials{ConsumerKey: p.known[consumerKey], ConsumerSecret: p.known[consumerSecret]},
			&http.Client{Transport: appwrite.NewTransport()}, time.Now)
	}
	return p.safaricom
}

// unreadable names what a token needs and is not known here.
func (p *project) unreadable() (names []string) {
	for _, name := range []string{consumerKey, consumerSecret} {
		if p.known[name] == "" {
			names = append(names, name)
		}
	}
	return append(names, p.unreadablePlace()...)
}

// unreadablePlace names what says where Safaricom is asked, and is there and cannot be read.
func (p *project) unreadablePlace() (names []string) {
	for _, name := range []string{environment, baseURL} {
		if value, there := p.known[name]; there && value == "" {
			names = append(names, name)
		}
	}
	return names
}

// refusal says why Safaricom gave no token, in the names of the settings.
func (p *project) refusal(a daraja.Answer) string {
	said := a.Reason
	if a.HTTPStatus != 0 && !strings.HasPrefix(said, "HTTP ") {
		said = fmt.Sprintf("HTTP %d %s", a.HTTPStatus, said)
	}
	if a.Hint != "" {
		said += "; " + a.Hint
	}
	where := cmp.Or(p.known[environment], "Safaricom")
	switch {
	case a.Credentials && a.Field == "BaseURL" && p.known[baseURL] != "":
		return baseURL + " is not the address of Safaricom's API: " + said
	case a.Credentials && a.Field == "Product":
		return "the app of " + consumerKey + " lacks the product for payments (" + where + "): " + said
	case a.Credentials && a.Field == "ConsumerKey":
		return "Safaricom refuses " + consumerKey + " and " + consumerSecret + " (" + where + "): " + said
	}
	return "Safaricom gives no token (" + where + "): " + said
}

// checkStarting says whether the server is one on which payments are started, and
// whether Safaricom takes the keys. The function says of itself whether its variables
// are complete.
func checkStarting(ctx context.Context, p *project) (string, error) {
	var problems, fixes []string
	add := func(what, fix string) { problems, fixes = append(problems, what), append(fixes, fix) }
	if slices.Compare(p.version, sound) < 0 {
		add("no payment is started on this server: before 1.9.5 two who change one document may both succeed, and a verdict could be overwritten", "update Appwrite to 1.9.5 or later")
	}
	answer, asked := p.token(ctx)
	switch {
	case asked && answer.Credentials:
		add(p.refusal(answer), "developer.safaricom.co.ke → My Apps, and "+environment+"; then go run ./scripts/deploy -secrets")
	case asked && answer.Outcome != daraja.Accepted:
		add(p.refusal(answer), "try again in some minutes, or from another network: that of the function may be let through")
	}
	if len(problems) > 0 {
		return "", wrong(strings.Join(problems, "; "), strings.Join(fixes, "; "))
	}
	if !asked && len(p.unreadable()) > 0 {
		return "Safaricom was not asked for a token, since nobody can read " + strings.Join(p.unreadable(), " and ") + ": set them in the environment", nil
	}
	if !asked {
		return "Safaricom was not asked for a token: " + environment + " is not known", nil
	}
	found := "Safaricom gives a token (" + cmp.Or(p.known[environment], p.known[baseURL]) + "). That proves the consumer key and secret"
	if p.hidden[consumerKey] || p.hidden[consumerSecret] {
		found += " that were given, not that the function has the same"
	}
	return found + ". Whether product, shortcode, passkey and till are right shows with the first payment", nil
}

// checkSigned says whether the address that Safaricom is given for started payments
// leads to the function, and whether it takes what the signing keys sign. It posts a
// callback without a body, of which nothing is stored.
func checkSigned(ctx context.Context, p *project) (string, error) {
	console := p.inConsole("Settings → Variables, then redeploy")
	if p.known[publicURL] == "" {
		return "where they come to nobody can read: set " + publicURL + " in the environment to have it looked at", nil
	}
	address := strings.TrimRight(p.known[publicURL], "/")
	status, body, err := ask(ctx, http.MethodGet, address+"/health", "")
	if err == nil && !saysVersion(body) {
		err = fmt.Errorf("it answers %d and is not this function", status)
	}
	if err != nil {
		return "", wrong(publicURL+" is "+address+", and what becomes of a started payment would not arrive there: "+err.Error(), console)
	}
	keys := p.known[handler.SigningKey]
	if keys == "" {
		return "they come to " + address + ". What the function signs them with nobody can read: set " + handler.SigningKey + " to have it looked at", nil
	}
	for _, key := range strings.FieldsFunc(keys, func(c rune) bool { return c == ',' || c == ' ' }) {
		taken, err := p.takes(ctx, key)
		if err != nil {
			return "", err
		}
		if !taken {
			return "", wrong("the function does not know the "+handler.SigningKey+" that was given. Nobody can read those that it has, and to replace them would lose what they signed",
				"go run ./scripts/deploy -secrets with the whole list, "+handler.SigningKey+"=new,old, and the old one in it for four weeks; or without "+handler.SigningKey)
		}
	}
	return "they come to " + address + ", signed with a key that the function knows", nil
}

// takes reports whether the function verifies what a key signs.
func (p *project) takes(ctx context.Context, key string) (bool, error) {
	signer := handler.New(func(name string) string {
		return map[string]string{handler.SigningKey: key, publicURL: p.known[publicURL]}[name]
	})
	status, _, err := ask(ctx, http.MethodPost, signer.CallbackURL(randomHex(10)), "{}")
	switch {
	case err != nil:
		return false, fmt.Errorf("a signed callback is not answered: %w", err)
	case status == http.StatusBadRequest: // it came as far as the body
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	}
	return false, errors.New("a signed callback is answered " + fmt.Sprint(status))
}
