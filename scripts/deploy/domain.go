package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"openruntimes/handler/appwrite"
)

func checkDomain(ctx context.Context, p *project) (string, error) {
	var found struct {
		Rules []struct {
			Domain               string
			DeploymentResourceID string `json:"deploymentResourceId"`
			Trigger, Type        string
			Status               string
		}
	}
	// A project with sites has a rule for each of their deployments.
	ofFunction := appwrite.Equal("deploymentResourceId", p.target.FunctionID)
	if err := p.call(ctx, http.MethodGet, "/proxy/rules?"+mostListed(ofFunction), nil, &found); err != nil {
		return "", err
	}
	given := p.givenDomain()
	var others []string
	unverified := ""
	for _, r := range found.Rules {
		// A rule that a deployment made leads to that one for ever, and a redirect elsewhere.
		if r.DeploymentResourceID != p.target.FunctionID || r.Trigger == "deployment" || r.Type == "redirect" {
			continue
		}
		switch {
		case given != "" && !strings.EqualFold(given, r.Domain):
			others = append(others, r.Domain)
		case r.Status == "" || r.Status == "verified":
			p.domain = r.Domain
			return r.Domain, nil
		case unverified == "":
			// Behind a proxy it may lead here all the same, which the next checks show.
			p.domain, unverified = r.Domain, fmt.Sprintf("%s, which the server calls %s: does its DNS lead there?", r.Domain, r.Status)
		}
	}
	if unverified != "" {
		return unverified, nil
	}
	what := "the function has no domain: Safaricom cannot reach it"
	if len(others) > 0 {
		what = fmt.Sprintf("%s does not lead to the function; %s does", given, strings.Join(others, ", "))
	}
	return "", absent(what, p.inConsole("Domains → Add domain"))
}

// givenDomain is in lower case, as 1.8.1 stores what it is given.
func (p *project) givenDomain() string { return strings.ToLower(p.get("APPWRITE_FUNCTION_DOMAIN")) }

func fixDomain(ctx context.Context, p *project) error {
	domain := p.givenDomain()
	if domain == "" {
		endpoint, err := url.Parse(p.target.Endpoint)
		if err != nil {
			return err
		}
		region, isCloud := strings.CutSuffix(endpoint.Hostname(), "cloud.appwrite.io")
		if !isCloud {
			return errors.New("set APPWRITE_FUNCTION_DOMAIN to one label before the server's _APP_DOMAIN_FUNCTIONS (daraja.functions.example.com)")
		}
		domain = randomHex(10) + "." + region + "appwrite.run"
	}
	err := p.call(ctx, http.MethodPost, "/proxy/rules/function", map[string]any{"domain": domain, "functionId": p.target.FunctionID}, nil)
	switch {
	case isStatus(err, http.StatusConflict):
		return fmt.Errorf("the domain %s belongs to something else already: set APPWRITE_FUNCTION_DOMAIN to another", domain)
	case isStatus(err, http.StatusBadRequest):
		// Below its own domain Appwrite takes one label. Whether it takes other domains is
		// not certain: by its source it does, and a server was seen to refuse them.
		return fmt.Errorf("the server does not take the domain %s: APPWRITE_FUNCTION_DOMAIN must be exactly one label before its _APP_DOMAIN_FUNCTIONS (daraja.functions.example.com)", domain)
	}
	return err
}

// url is an address of the function's. Only a server on this machine is asked
// without TLS.
func (p *project) url(path string) string {
	scheme := "https://"
	if strings.HasPrefix(p.domain, "127.0.0.1") || strings.HasPrefix(p.domain, "localhost") {
		scheme = "http://"
	}
	return scheme + p.domain + path
}
