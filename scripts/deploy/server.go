package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"openruntimes/handler/appwrite"
)

// firstAnswer is how long the server may take for the first call, of which nobody
// knows yet whether it goes to Appwrite.
const firstAnswer = 5 * time.Second

// sound is the first version on which of two who change one document only one succeeds.
var sound = []int{1, 9, 5}

// checkServer asks for the server's version, which proves that the endpoint is
// Appwrite's and the project there. API keys may not ask: the route has the scope
// "public", which is the guests' alone, so that with a key it is a 401.
func checkServer(ctx context.Context, p *project) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	guest := p.settings
	guest.key = ""
	endpoint, where := p.target.Endpoint, "Console → Overview → Integrations → API endpoint, which ends in /v1"
	answer, err := guest.raw(ctx, http.MethodGet, "/health/version", nil)
	var e *appwrite.Failure
	errors.As(err, &e)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", absent(fmt.Sprintf("%s does not answer within %v", endpoint, firstAnswer), "set APPWRITE_ENDPOINT: "+where)
	case e != nil && e.Status == 0:
		return "", absent(fmt.Sprintf("%s cannot be reached: %s", endpoint, why(e)), "set APPWRITE_ENDPOINT: "+where)
	case e != nil && e.Type == "project_not_found":
		return "", absent(endpoint+" has no project "+p.target.ProjectID, "set APPWRITE_PROJECT_ID: Console → Overview → Settings → Project ID")
	case e != nil && e.Type == "project_paused":
		return "", absent("the project is paused: nothing is stored or queued, and every payment is lost", "Console → restore the project")
	case e != nil && e.Status >= 500:
		return "", absent(fmt.Sprintf("%s answers %d: the server has a fault, whatever the settings", endpoint, e.Status), "try again when it is up")
	case e != nil && (e.Type == "" || e.Type == "general_route_not_found"):
		return "", absent(fmt.Sprintf("%s is not Appwrite's endpoint: it answers %d to /health/version", endpoint, e.Status), "set APPWRITE_ENDPOINT: "+where)
	case e != nil:
		return "", absent(fmt.Sprintf("%s refuses to say its version: %s", endpoint, why(e)), "set APPWRITE_ENDPOINT and APPWRITE_PROJECT_ID: "+where)
	}
	var found struct{ Version string }
	if json.Unmarshal(answer, &found) != nil || len(appwrite.ParseVersion(found.Version)) < 2 {
		return "", absent(endpoint+" is not Appwrite's endpoint: it says no version", "set APPWRITE_ENDPOINT: "+where)
	}
	p.version = appwrite.ParseVersion(found.Version)
	if slices.Compare(p.version, sound) < 0 {
		return found.Version + ", on which compare-and-set and the queue are weaker than from 1.9.5 on (docs/durability.md), and no payment is started", nil
	}
	return found.Version, nil
}

// why says what a failure is, without the name of its call.
func why(f *appwrite.Failure) string { return strings.TrimPrefix(f.Error(), f.Call+": ") }

// checkScopes asks for something of each kind. Appwrite checks the scope before
// anything else, so the ids need not exist and the empty bodies change nothing.
func checkScopes(ctx context.Context, p *project) (string, error) {
	read := [...]struct{ scope, method, path string }{
		{"databases.read", http.MethodGet, "/databases"},
		{"collections.read", http.MethodGet, "/databases/x/collections/x"},
		{"documents.read", http.MethodGet, "/databases/x/collections/x/documents/x"},
		{"documents.write", http.MethodDelete, "/databases/x/collections/x/documents/x"},
		{"functions.read", http.MethodGet, "/functions"},
		{"execution.read", http.MethodGet, "/functions/x/executions"},
		{"rules.read", http.MethodGet, "/proxy/rules"},
		{"databases.write", http.MethodPost, "/databases"},
		{"collections.write", http.MethodPost, "/databases/x/collections"},
		{"functions.write", http.MethodPost, "/functions"},
		{"rules.write", http.MethodPost, "/proxy/rules/function"},
	}
	const where = "Console → Overview → Integrations → API keys"
	var missing []string
	for _, r := range read {
		if p.dryRun && strings.HasSuffix(r.scope, ".write") && r.scope != "documents.write" {
			continue
		}
		var body any
		if r.method == http.MethodPost {
			body = map[string]any{}
		}
		answered, cancel := context.WithTimeout(ctx, firstAnswer)
		_, err := p.raw(answered, r.method, r.path, body)
		cancel()
		var e *appwrite.Failure
		errors.As(err, &e)
		switch {
		case e == nil:
		case e.Status == 0:
			return "", absent(fmt.Sprintf("%s cannot be reached: %s", p.target.Endpoint, why(e)), "try again")
		case e.Type == "general_unauthorized_scope":
			missing = append(missing, r.scope)
		case e.Type == "project_key_expired":
			return "", absent("the API key has expired", where+" → Create API key")
		case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
			// The same answer for a key that is none, for one of another
			// project, and for every key in the project "console".
			return "", absent(fmt.Sprintf("Appwrite does not take APPWRITE_API_KEY in the project %s: it is no key, or another project's (%s)", p.target.ProjectID, why(e)), where)
		case e.Status >= 500:
			return "", absent(fmt.Sprintf("%s answers %d to %s %s: the server has a fault, whatever the settings", p.target.Endpoint, e.Status, r.method, r.path), "try again when it is up")
		case e.Type == "":
			return "", absent(fmt.Sprintf("%s is not Appwrite's endpoint: it answers %d to %s", p.target.Endpoint, e.Status, r.path), "set APPWRITE_ENDPOINT: Console → Overview → Integrations → API endpoint, which ends in /v1")
		}
	}
	inherited := p.inherit(ctx) // which needs the key, and comes before all that is looked at
	switch {
	case slices.Contains(missing, "databases.read") && slices.Contains(missing, "functions.read") && slices.Contains(missing, "rules.read"):
		// A text that only looks like a key makes its sender a guest, who may
		// read and write documents and nothing else.
		return "", absent("APPWRITE_API_KEY has none of the scopes it needs, or is no key: it lacks "+strings.Join(missing, ", "), where+" → this key → Scopes")
	case len(missing) > 0:
		return "", wrong("the API key lacks "+strings.Join(missing, ", "), where+" → this key → Scopes")
	}
	return "", inherited
}
