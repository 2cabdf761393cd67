package handler

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"openruntimes/handler/appwrite"
	"openruntimes/handler/parse"
)

// caller says who asks: the user whose session Appwrite proves. No other header counts,
// since a caller may forge any of them.
func (r *request) caller(ctx context.Context) (appwrite.Account, *problem) {
	account, err := r.api.AsUser(r.ctx.Req.Headers["x-appwrite-user-jwt"]).Account(ctx)
	switch status := appwrite.Status(err); {
	case err == nil:
	case appwrite.IsPaused(err):
		return account, &problem{Type: unavailable, Message: "the project is paused, and nothing was sent", log: err.Error()}
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		return account, &problem{Type: unauthenticated, Message: "sign in first: the function must be called with a session of this project"}
	default:
		return account, &problem{Type: unavailable, Message: "who asks could not be seen, and nothing was sent", log: err.Error()}
	}
	return account, nil
}

func verifyFirst() *problem {
	return &problem{Type: forbidden, Message: "verify your e-mail address or phone number first"}
}

// cashier is the label of users who may ask for any number of payments.
func (c *config) cashier() string { return cmp.Or(c.cashierLabel, "cashier") }

func notReady(kind parse.Kind) string {
	if kind == parse.Disbursement {
		return "this function is not set up to pay out"
	}
	return "this function is not set up to start payments"
}

// ready says what keeps the function from starting anything of that kind, or from asking
// about it, with the problems that its settings have for that. Before Appwrite 1.9.5 two who
// change one document may both succeed, and our own bookkeeping could overwrite a verdict.
// A server whose version is not known counts as one of those.
func (r *request) ready(ctx context.Context, kind parse.Kind, problems []string) *problem {
	f := r.function
	if problems = append(f.config.missing(kind), problems...); len(problems) > 0 {
		return &problem{Type: notConfigured, Message: notReady(kind), log: strings.Join(problems, "; ")}
	}
	f.version.Lock()
	defer f.version.Unlock()
	if f.version.known == "" {
		version, err := r.api.Version(ctx)
		if err != nil {
			return &problem{Type: notConfigured, Message: notReady(kind), log: "the server's version is not known: " + err.Error()}
		}
		f.version.known = version
	}
	if slices.Compare(appwrite.ParseVersion(f.version.known), []int{1, 9, 5}) < 0 {
		return &problem{Type: notConfigured, Message: notReady(kind), log: "the server is Appwrite " + f.version.known + "; payments are started from 1.9.5 on"}
	}
	return nil
}
