package handler

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"openruntimes/handler/appwrite"
)

// caller says who asks: the user whose session Appwrite proves. No other header counts,
// since a caller may forge any of them.
func (f *Function) caller(ctx context.Context, r *request, api appwrite.Documents) (appwrite.Account, *problem) {
	account, err := api.AsUser(r.ctx.Req.Headers["x-appwrite-user-jwt"]).Account(ctx)
	switch status := appwrite.Status(err); {
	case err == nil:
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		return account, &problem{Type: unauthenticated, Message: "sign in first: the function must be called with a session of this project"}
	default:
		return account, &problem{Type: unavailable, Message: "who asks could not be seen, and nothing was sent", log: err.Error()}
	}
	return account, nil
}

// mayPush refuses users who have proven no address: anyone can make a thousand accounts,
// and ring a thousand phones.
func (f *Function) mayPush(account appwrite.Account) *problem {
	if !account.EmailVerification && !account.PhoneVerification && f.config.unverifiedPush != "any" {
		return &problem{Type: forbidden, Message: "verify your e-mail address or phone number first"}
	}
	return nil
}

// cashier is the label of users who may ask for any number of payments.
func (c *config) cashier() string { return cmp.Or(c.cashierLabel, "cashier") }

const notReady = "this function is not set up to start payments"

// ready says what keeps the function from starting payments at all. Before 1.9.5 two who
// change one document may both succeed, and our own bookkeeping could overwrite a
// verdict; so could a server whose version nobody knows.
func (f *Function) ready(ctx context.Context, api appwrite.Documents) *problem {
	if problems := append(f.config.missing(""), f.config.pushProblems()...); len(problems) > 0 {
		return &problem{Type: notConfigured, Message: notReady, log: strings.Join(problems, "; ")}
	}
	f.version.Lock()
	defer f.version.Unlock()
	if f.version.known == "" {
		version, err := api.Version(ctx)
		if err != nil {
			return &problem{Type: notConfigured, Message: notReady, log: "the server's version is not known: " + err.Error()}
		}
		f.version.known = version
	}
	if slices.Compare(appwrite.ParseVersion(f.version.known), []int{1, 9, 5}) < 0 {
		return &problem{Type: notConfigured, Message: notReady, log: "the server is Appwrite " + f.version.known + "; payments are started from 1.9.5 on"}
	}
	return nil
}
