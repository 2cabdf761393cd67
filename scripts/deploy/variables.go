package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

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

func (s settings) remoteVariables(ctx context.Context) ([]variable, error) {
	var found struct{ Variables []variable }
	err := s.call(ctx, http.MethodGet, s.functionPath()+"/variables", nil, &found)
	return found.Variables, err
}

// inherit takes what was not given from the function, if that is there: what it
// works on is what there is to look at.
func (s *settings) inherit(ctx context.Context) {
	remote, err := s.remoteVariables(ctx)
	if err != nil {
		return // the checks say why
	}
	for name, to := range map[string]*string{
		"DARAJA_DATABASE_ID": &s.target.DatabaseID, "DARAJA_COLLECTION_ID": &s.target.PaymentsID,
		"DARAJA_B2C_COLLECTION_ID": &s.target.DisbursementsID, "DARAJA_ANONYMOUS_READ": &s.target.AnonymousRead,
	} {
		if v, ok := find(remote, name); ok && s.get(name) == "" && v.Value != "" {
			*to = v.Value
		}
	}
}

// wantedVariables are those that shall stand: as they were given, else as they
// stand in Appwrite, else as appwrite.json has them. Of a secret one nobody can say
// how it stands.
func (p *project) wantedVariables(remote []variable) []variable {
	var wanted []variable
	for _, v := range p.variables {
		given := p.get(v.Key)
		r, there := find(remote, v.Key)
		switch {
		case there && r.Secret:
			v.Value, v.Secret = given, true
		case given != "" && v.Key == handler.CallbackSecret && there && !strings.Contains(given, ","):
			v.Value = rotated(given, r.Value)
		case given != "":
			v.Value = given
		case r.Value != "":
			v.Value = r.Value
		}
		if v.Value != "" || v.Secret {
			wanted = append(wanted, v)
		}
	}
	return wanted
}

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

func checkVariables(ctx context.Context, p *project) (string, error) {
	remote, err := p.remoteVariables(ctx)
	if err != nil {
		return "", err
	}
	console := p.inConsole("Settings → Variables, then redeploy")
	wanted := p.wantedVariables(remote)
	var problems, secrets, missing []string
	for _, v := range wanted {
		r, there := find(remote, v.Key)
		switch {
		case !there:
			missing = append(missing, v.Key)
		case r.Secret:
			secrets = append(secrets, v.Key)
		case r.Value != v.Value:
			problems = append(problems, v.Key+" is not what was given")
		}
	}
	if len(missing) > 0 {
		problems = append(problems, "missing, without which callbacks can only be queued: "+strings.Join(missing, ", "))
	}
	f, err := p.function(ctx)
	if err != nil {
		return "", err
	}
	secret, hasSecret := find(wanted, handler.CallbackSecret)
	if !hasSecret && f.DeploymentID == "" {
		problems = append(problems, "there is no "+handler.CallbackSecret+": anybody can post payments")
	}
	// The function's own idea of what is malformed.
	problems = append(problems, handler.New(func(name string) string {
		if v, ok := find(wanted, name); ok && v.Value != "" {
			return v.Value
		}
		return p.target.getenv(name)
	}).Problems()...)
	if len(problems) > 0 {
		return "", wrong(strings.Join(problems, "; "), console)
	}
	found := fmt.Sprintf("%d of %d set", len(wanted), len(p.variables))
	if len(secrets) > 0 {
		found += ", of which nobody can read " + strings.Join(secrets, ", ")
	}
	switch {
	case !hasSecret:
		// Apps in the field post without one, and a new one would shut them out.
		found += ", and no " + handler.CallbackSecret + ": anybody can post payments. Give one once apps carry it"
	case secret.Value == "":
		found += ". Set " + handler.CallbackSecret + " for the checks that post a callback"
		p.secretUnknown = true
	default:
		first, _, _ := strings.Cut(secret.Value, ",")
		p.prefix = "/" + strings.TrimSpace(first)
	}
	return found, nil
}

// fixVariables sets one variable after another, and never deletes any.
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
	if _, ok := find(wanted, handler.CallbackSecret); !ok && f.DeploymentID == "" {
		wanted = append(wanted, variable{Key: handler.CallbackSecret, Value: randomHex(16)})
	}
	for _, v := range wanted {
		r, there := find(remote, v.Key)
		body := map[string]any{"key": v.Key, "value": v.Value, "secret": false}
		switch {
		case there && (r.Secret || r.Value == v.Value):
			continue
		case there:
			err = p.call(ctx, http.MethodPut, p.functionPath()+"/variables/"+r.ID, body, nil)
		default:
			err = p.call(ctx, http.MethodPost, p.functionPath()+"/variables", body, nil)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.Key, err)
		}
	}
	return nil
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails on any system that Go runs on
	return hex.EncodeToString(b)
}
