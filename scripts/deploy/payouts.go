package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/daraja"
	"openruntimes/handler/handler"
)

const (
	payoutKey          = "DARAJA_B2C_CONSUMER_KEY"
	payoutSecret       = "DARAJA_B2C_CONSUMER_SECRET"
	payoutShortcode    = "DARAJA_B2C_SHORTCODE"
	initiator          = "DARAJA_INITIATOR"
	initiatorPassword  = "DARAJA_INITIATOR_PASSWORD"
	securityCredential = "DARAJA_SECURITY_CREDENTIAL"
)

// payoutToken asks Safaricom for a token with the keys of payouts, as far as they are
// known. asked is false where too little is known to ask.
func (p *project) payoutToken(ctx context.Context) (answer daraja.Answer, asked bool) {
	base := p.safaricomURL()
	if !p.startsPayouts || base == "" || len(p.unreadableOfPayouts()) > 0 {
		return daraja.Answer{}, false
	}
	if p.payer == nil { // one for the whole run, as of payments
		p.payer = p.client(base).With(p.asFunction().PayoutCredentials())
	}
	return p.payer.Token(ctx), true
}

// asFunction is the function with what is known of its variables.
func (p *project) asFunction() *handler.Function {
	return handler.New(func(name string) string { return p.known[name] })
}

// unreadableOfPayouts names what a question about a payout needs and is not known here.
func (p *project) unreadableOfPayouts() (names []string) {
	key, secret := payoutKey, payoutSecret
	_, own := p.known[payoutKey]
	if _, ownSecret := p.known[payoutSecret]; !own && !ownSecret {
		key, secret = consumerKey, consumerSecret
	}
	needed := []string{key, secret}
	if _, ready := p.known[securityCredential]; ready {
		needed = append(needed, securityCredential)
	} else {
		needed = append(needed, initiatorPassword, handler.Certificate)
	}
	shortcode := payoutShortcode
	if _, own := p.known[payoutShortcode]; !own {
		shortcode = "DARAJA_SHORTCODE"
	}
	needed = append(needed, shortcode, initiator, publicURL)
	for _, name := range needed {
		if p.known[name] == "" {
			names = append(names, name)
		}
	}
	return append(names, p.unreadablePlace()...)
}

// checkPayingOut proves the settings of payouts as far as no money moves: Safaricom gives
// a token for the keys, and answers a question about a payout that never was. A wrong
// initiator or password shows only in the answer, which it posts to the function.
func checkPayingOut(ctx context.Context, p *project) (string, error) {
	console := "developer.safaricom.co.ke → My Apps, org.ke.m-pesa.com, and " + environment + "; then go run ./scripts/deploy -secrets"
	if slices.Compare(p.version, sound) < 0 {
		return "", wrong("nothing is paid out on this server: before 1.9.5 two who change one document may both succeed, and a verdict could be overwritten", "update Appwrite to 1.9.5 or later")
	}
	token, asked := p.payoutToken(ctx)
	keys := p.known[handler.SigningKey]
	switch {
	case asked && token.Credentials:
		return "", wrong(p.payoutRefusal(token.Detail), console)
	case asked && token.Outcome != daraja.Accepted:
		return "", wrong(p.payoutRefusal(token.Detail), "try again in some minutes, or from another network: that of the function may be let through")
	case !asked || keys == "":
		unknown := p.unreadableOfPayouts()
		if keys == "" {
			unknown = append(unknown, handler.SigningKey)
		}
		return "the initiator was not proven, since nobody can read " + strings.Join(unknown, ", ") + ": set them in the environment", nil
	}
	id := randomUUID()
	answerTo, timeoutTo := p.asFunction().StatusURLs(id)
	answer := p.payer.TransactionStatus(ctx, daraja.StatusRequest{OriginalConversationID: id, Remarks: "Check of the settings", ResultURL: answerTo, TimeoutURL: timeoutTo})
	if answer.Outcome != daraja.Accepted {
		return "", wrong("Safaricom does not take a question about a payout: "+p.payoutRefusal(answer.Detail), console)
	}
	said, err := p.awaitAnswer(ctx, id)
	switch {
	case err != nil:
		return "", err
	case strings.Contains(said, "the initiator is refused"):
		return "", wrong(p.initiatorRefusal(said), console)
	case strings.Contains(said, "no answer to the question"):
		return "", errors.New("the question timed out at Safaricom, so that nothing is proven; try again")
	}
	found := "Safaricom gives a token (" + cmp.Or(p.known[environment], p.known[baseURL]) + ") and has answered a question (" + said + "): keys, initiator, password and shortcode are right"
	if p.hidden[payoutKey] || p.hidden[payoutSecret] || p.hidden[initiatorPassword] || p.hidden[securityCredential] {
		found += ", as they were given. Whether the function has the same nobody can read"
	}
	return found + ". Whether there is money to pay out shows with the first payout", nil
}

// whosePassword says that the function may have another password than the one that was
// refused, where nobody can read which it has.
func (p *project) whosePassword() string {
	if !p.hidden[initiatorPassword] && !p.hidden[securityCredential] {
		return ""
	}
	return "; that is what was given here, and the function may have a newer one, which nobody can read"
}

// initiatorRefusal names the setting that is wrong.
func (p *project) initiatorRefusal(said string) string {
	credential := initiatorPassword + " or " + handler.Certificate + " (that of the other environment?)"
	if p.known[securityCredential] != "" {
		credential = securityCredential
	}
	switch {
	case strings.Contains(said, "2001"):
		return "Safaricom refuses " + initiator + ", or " + credential + " (" + said + ")" + p.whosePassword()
	case strings.Contains(said, "8006"):
		return "Safaricom has locked " + initiator + " after wrong passwords: unlock it, and set " + credential + " (" + said + ")"
	default:
		return initiator + " lacks a role: it needs ORG B2C API Initiator and Transaction Status query ORG API (" + said + ")"
	}
}

// payoutRefusal says why Safaricom does not do what it was asked, in the names of the
// settings of payouts.
func (p *project) payoutRefusal(d daraja.Detail) string {
	key, secret, shortcode := payoutKey, payoutSecret, payoutShortcode
	if p.known[payoutKey] == "" {
		key, secret = consumerKey, consumerSecret
	}
	if p.known[payoutShortcode] == "" {
		shortcode = "DARAJA_SHORTCODE"
	}
	credential := securityCredential
	if p.known[securityCredential] == "" {
		credential = initiatorPassword + " and " + handler.Certificate
	}
	name := map[string]string{
		"BaseURL": baseURL, "Product": "the products of the app of " + key + " (it needs B2C and Transaction Status)", "ConsumerKey": key + " and " + secret,
		"PartyA": shortcode, "Initiator": initiator, "InitiatorName": initiator, "SecurityCredential": credential, "ResultURL": publicURL, "QueueTimeOutURL": publicURL,
	}[d.Field]
	said := strings.TrimSuffix(fmt.Sprintf("HTTP %d %s; %s", d.HTTPStatus, d.Reason, d.Hint), "; ")
	where := cmp.Or(p.known[environment], "Safaricom")
	if name == "" {
		return "Safaricom refuses (" + where + "): " + said
	}
	return "Safaricom refuses " + name + " (" + where + "): " + said
}

// awaitAnswer returns what Safaricom has answered about that id, as the function has
// logged it.
func (p *project) awaitAnswer(ctx context.Context, id string) (said string, err error) {
	fmt.Fprintln(p.progress, "waiting for Safaricom's answer about the initiator …")
	mark := "route=b2c/status id=" + id + " outcome=not-final said="
	asked := time.Now()
	for {
		found := ""
		err := p.eachExecution(ctx, func(e execution) {
			for _, line := range strings.Split(e.Logs, "\n") {
				if rest, ok := strings.CutPrefix(line, mark); ok {
					found = strings.Trim(rest, `"`)
				}
			}
		}, appwrite.After("$createdAt", asked.Add(-time.Minute))) // the server's clock may be behind
		switch {
		case err != nil:
			return "", err
		case found != "":
			return strings.TrimSuffix(found, ": not final"), nil
		case time.Since(asked) > p.patience:
			return "", errors.New("Safaricom's answer about the initiator has not come within " + p.patience.String() + ": whether " + initiator + " and its password are right is not known; try again")
		}
		if err := sleep(ctx, p.pause); err != nil {
			return "", err
		}
	}
}

// randomUUID returns a UUID of version 4.
func randomUUID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}
