package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// function is what there is of the function, as far as it matters.
type function struct {
	Name          string   `json:"name"`
	Runtime       string   `json:"runtime"`
	Execute       []string `json:"execute"`
	Events        []string `json:"events"`
	Schedule      string   `json:"schedule"`
	Timeout       int      `json:"timeout"`
	Enabled       bool     `json:"enabled"`
	Logging       bool     `json:"logging"`
	Entrypoint    string   `json:"entrypoint"`
	Commands      string   `json:"commands"`
	Scopes        []string `json:"scopes"`
	Specification string   `json:"specification,omitempty"`

	// Those of a function that is connected to a repository.
	InstallationID        string `json:"installationId,omitempty"`
	ProviderRepositoryID  string `json:"providerRepositoryId,omitempty"`
	ProviderBranch        string `json:"providerBranch,omitempty"`
	ProviderSilentMode    bool   `json:"providerSilentMode,omitempty"`
	ProviderRootDirectory string `json:"providerRootDirectory,omitempty"`

	DeploymentID        string `json:"deploymentId,omitempty"`
	DeploymentCreatedAt string `json:"deploymentCreatedAt,omitempty"`
}

// withoutDeployments is what of a function a person sets.
func (f function) withoutDeployments() function {
	f.DeploymentID, f.DeploymentCreatedAt = "", ""
	return f
}

func (s settings) functionPath() string { return "/functions/" + url.PathEscape(s.target.FunctionID) }

func (p *project) function(ctx context.Context) (function, error) {
	var f function
	err := p.call(ctx, http.MethodGet, p.functionPath(), nil, &f)
	return f, err
}

func checkFunction(ctx context.Context, p *project) (string, error) {
	f, err := p.function(ctx)
	settings := "Console → Functions → " + p.target.FunctionID + " → Settings"
	if isStatus(err, http.StatusNotFound) {
		return "", absent("there is no function "+p.target.FunctionID, "Console → Functions → Create function")
	}
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(f.Runtime, "go-") {
		return "", wrong("its runtime is "+f.Runtime+", which cannot be changed: delete the function, or name another in APPWRITE_FUNCTION_ID", settings)
	}
	if problems := p.functionProblems(f); len(problems) > 0 {
		return "", wrong(strings.Join(problems, "; "), settings)
	}
	return f.Runtime, nil
}

// functionProblems lists the settings that lose payments.
func (p *project) functionProblems(f function) (problems []string) {
	add := func(isWrong bool, format string, args ...any) {
		if isWrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(p.wanted.Scopes), func(s string) bool { return slices.Contains(f.Scopes, s) })
	add(!f.Enabled, "it is disabled (→ Enabled): Safaricom gets an error and every payment is lost")
	add(!slices.Contains(f.Execute, "any"), "execute access is %s (→ Execute access → Any): Safaricom gets 401 and every payment is lost", orEmpty(f.Execute))
	add(len(missing) > 0, "its scopes lack %s (→ Scopes): what it cannot write or queue is lost", strings.Join(missing, ", "))
	add(f.Timeout < p.wanted.Timeout, "its timeout is %d s, not %d (→ Timeout): it is stopped before it has kept a payment", f.Timeout, p.wanted.Timeout)
	add(!f.Logging, "logging is off (→ Execution logs): documents in UNSETTLED lines are lost")
	add(p.startsAny && f.Schedule == "", "it has no schedule (→ Schedule → Custom: %s): a payment whose callback never comes is never found", p.wanted.Schedule)
	add(f.Entrypoint == "", "it has no entrypoint (→ Entrypoint: main.go): it cannot be built")
	return problems
}

func orEmpty(list []string) string {
	if len(list) == 0 {
		return "empty"
	}
	return strings.Join(list, ", ")
}

func fixFunction(ctx context.Context, p *project) error {
	body := p.wanted
	f, err := p.function(ctx)
	if isStatus(err, http.StatusNotFound) {
		return p.call(ctx, http.MethodPost, "/functions", struct {
			ID string `json:"functionId"`
			function
		}{p.target.FunctionID, body}, nil)
	}
	if err != nil {
		return err
	}
	// What a person added stays, and a PUT resets what it does not name.
	body = f.withoutDeployments()
	body.Enabled, body.Logging, body.Timeout = true, true, max(f.Timeout, p.wanted.Timeout)
	body.Execute, body.Scopes = union(f.Execute, p.wanted.Execute), union(f.Scopes, p.wanted.Scopes)
	if body.Entrypoint == "" {
		body.Entrypoint = p.wanted.Entrypoint
	}
	if body.Schedule == "" {
		body.Schedule = p.wanted.Schedule
	}
	return p.call(ctx, http.MethodPut, p.functionPath(), body, nil)
}

// union adds to a list what it lacks.
func union(list, needed []string) []string {
	list = slices.Clone(list)
	for _, s := range needed {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
