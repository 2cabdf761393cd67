package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"openruntimes/handler/handler"
)

// A check is one thing that must be right before payments are settled.
type check struct {
	name string

	// look says in a few words what it found. An error that is a *wrong is what
	// is not right; any other error means that it could not be seen.
	look func(*project) (found string, err error)

	// mend makes it right. Without it, only a person can.
	mend func(*project) error
}

// wrong is what a look found not to be right.
type wrong struct {
	what    string // and what follows from it
	console string // where a person mends it
}

func (w *wrong) Error() string { return w.what }

// checks are in the order in which each needs those before it.
var checks = []check{
	{"key scopes", lookAtScopes, nil},
	{"server version", lookAtVersion, nil},
	{"database", lookAtDatabase, mendDatabase},
	{"collection of payments", lookAtCollection(payments), mendCollection(payments)},
	{"attributes of payments", lookAtAttributes(payments), mendAttributes(payments)},
	{"collection of disbursements", lookAtCollection(disbursements), mendCollection(disbursements)},
	{"attributes of disbursements", lookAtAttributes(disbursements), mendAttributes(disbursements)},
	{"function", lookAtFunction, mendFunction},
	{"variables", lookAtVariables, mendVariables},
	{"domain", lookAtDomain, mendDomain},
	{"code", lookAtCode, (*project).deployCode},
	{"health", lookAtHealth, nil},
	{"self-test", (*project).selfTest, nil},
}

// lookAtScopes asks for something of each kind. Appwrite checks the scope before
// anything else, so the ids need not exist and the empty bodies change nothing.
func lookAtScopes(p *project) (string, error) {
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
	var missing []string
	for _, r := range read {
		if p.onlyLook && strings.HasSuffix(r.scope, ".write") && r.scope != "documents.write" {
			continue
		}
		var body any
		if r.method == http.MethodPost {
			body = map[string]any{}
		}
		_, err := p.raw(r.method, r.path, body)
		var e *apiError
		switch {
		case err != nil && !errors.As(err, &e):
			return "", fmt.Errorf("%s cannot be reached: %w", p.config.Endpoint, err)
		case e != nil && e.Type == "general_unauthorized_scope":
			missing = append(missing, r.scope)
		case e != nil && (e.Status < 400 || e.Type == "general_route_not_found"):
			return "", &wrong{p.config.Endpoint + " is not Appwrite's endpoint: " + e.Error(), "Console → Overview → Integrations → API endpoint, which ends in /v1"}
		case e != nil && (e.Status == http.StatusUnauthorized || e.Type == "project_not_found" || e.Status >= 500):
			return "", &wrong{"Appwrite does not take the key or the project: " + e.Error(), "Console → Overview → Integrations → API keys, and Settings → Project ID"}
		}
	}
	if len(missing) > 0 {
		return "", &wrong{"the API key lacks " + strings.Join(missing, ", "), "Console → Overview → Integrations → API keys → this key → Scopes"}
	}
	return "", nil
}

// lookAtVersion only tells: an older server works, and promises less.
func lookAtVersion(p *project) (string, error) {
	var found struct{ Version string }
	if err := p.call(http.MethodGet, "/health/version", nil, &found); err != nil {
		return "", err
	}
	if weaker := []int{1, 9, 5}; slices.Compare(versionParts(found.Version), weaker) < 0 {
		return found.Version + ", on which compare-and-set and the queue are weaker than from 1.9.5 on (docs/durability.md)", nil
	}
	return found.Version, nil
}

func versionParts(version string) []int {
	var parts []int
	for _, s := range strings.Split(version, ".") {
		n, _ := strconv.Atoi(s)
		parts = append(parts, n)
	}
	return parts
}

func lookAtDatabase(p *project) (string, error) {
	var found struct{ Enabled bool }
	err := p.call(http.MethodGet, p.databasePath(), nil, &found)
	if isStatus(err, http.StatusNotFound) {
		return "", &wrong{"there is no database " + p.config.DatabaseID, "Console → Databases → Create database"}
	}
	if err == nil && !found.Enabled {
		return "", &wrong{"the database is disabled: apps cannot read a payment", "Console → Databases → " + p.config.DatabaseID + " → Settings"}
	}
	return p.config.DatabaseID, err
}

func mendDatabase(p *project) error {
	body := map[string]any{"databaseId": p.config.DatabaseID, "name": p.config.DatabaseID, "enabled": true}
	err := p.call(http.MethodPost, "/databases", body, nil)
	if isStatus(err, http.StatusConflict) {
		return p.call(http.MethodPut, p.databasePath(), body, nil)
	}
	return err
}

// kind is one of the two collections.
type kind struct {
	name string // as in appwrite.json
	id   func(handler.Config) string
}

var (
	payments      = kind{"payments", func(c handler.Config) string { return c.PaymentsID }}
	disbursements = kind{"disbursements", func(c handler.Config) string { return c.DisbursementsID }}
)

func (p *project) databasePath() string { return "/databases/" + url.PathEscape(p.config.DatabaseID) }

func (p *project) collectionPath(k kind) string {
	return p.databasePath() + "/collections/" + url.PathEscape(k.id(p.config))
}

func lookAtCollection(k kind) func(*project) (string, error) {
	return func(p *project) (string, error) {
		var found struct {
			Enabled          bool
			DocumentSecurity bool
			Permissions      []string `json:"$permissions"`
		}
		id := k.id(p.config)
		settings := "Console → Databases → " + p.config.DatabaseID + " → " + id + " → Settings"
		err := p.call(http.MethodGet, p.collectionPath(k), nil, &found)
		switch {
		case isStatus(err, http.StatusNotFound):
			return "", &wrong{"there is no collection " + id + ": nothing can be stored", "Console → Databases → " + p.config.DatabaseID + " → Create collection"}
		case err != nil:
			return "", err
		case !found.DocumentSecurity:
			return "", &wrong{"documentSecurity of " + id + " is off: nobody but the server can read a document", settings + " → Document security"}
		case len(found.Permissions) > 0:
			return "", &wrong{fmt.Sprintf("%s has the permissions %s: whoever they name reads, or writes, everybody's documents", id, strings.Join(found.Permissions, " ")), settings + " → Permissions"}
		case !found.Enabled:
			return "", &wrong{id + " is disabled: apps cannot read a document", settings}
		}
		return id, nil
	}
}

func mendCollection(k kind) func(*project) error {
	return func(p *project) error {
		body := map[string]any{"collectionId": k.id(p.config), "name": k.name, "permissions": []string{}, "documentSecurity": true, "enabled": true}
		var found struct{ Name string }
		if p.call(http.MethodGet, p.collectionPath(k), nil, &found) == nil {
			body["name"] = found.Name // a PUT resets what it does not name
		}
		err := p.call(http.MethodPost, p.databasePath()+"/collections", body, nil)
		if isStatus(err, http.StatusConflict) {
			return p.call(http.MethodPut, p.collectionPath(k), body, nil)
		}
		return err
	}
}

// attribute is one of a collection, as far as a document depends on it. Numbers
// stay as they are written, since a float64 cannot hold the bounds of an integer.
type attribute struct {
	Key      string      `json:"key"`
	Type     string      `json:"type"`
	Status   string      `json:"status"`
	Required bool        `json:"required"`
	Array    bool        `json:"array"`
	Size     int         `json:"size"`
	Encrypt  bool        `json:"encrypt"`
	Min      json.Number `json:"min"`
	Max      json.Number `json:"max"`
}

// attributesProblem compares what there is with what there must be. mendable are
// those that are merely missing, or of which a field can be changed with no loss.
func attributesProblem(found, needed []attribute) (problems []string, mendable bool) {
	mendable = true
	hopeless := func(format string, args ...any) {
		problems, mendable = append(problems, fmt.Sprintf(format, args...)), false
	}
	for _, n := range needed {
		i := slices.IndexFunc(found, func(f attribute) bool { return f.Key == n.Key })
		if i < 0 {
			problems = append(problems, n.Key+" is missing")
			continue
		}
		switch f := found[i]; {
		case f.Type != n.Type || f.Array:
			hopeless("%s is of the type %s, not %s", n.Key, f.Type, n.Type)
		case f.Encrypt:
			hopeless("%s is encrypted, which needs more room than there is", n.Key)
		case f.Status != "available":
			hopeless("%s is %s", n.Key, f.Status)
		case f.Required && !n.Required:
			problems = append(problems, n.Key+" is required, and not every document has it")
		case n.Type == "string" && f.Size < n.Size:
			problems = append(problems, fmt.Sprintf("%s holds %d characters, not %d", n.Key, f.Size, n.Size))
		case n.Type == "integer" && (number(f.Min) > number(n.Min) || number(f.Max) < number(n.Max)):
			problems = append(problems, fmt.Sprintf("%s is bounded from %s to %s", n.Key, f.Min, f.Max))
		}
	}
	for _, f := range found {
		if f.Required && !slices.ContainsFunc(needed, func(n attribute) bool { return n.Key == f.Key }) {
			hopeless("%s is required, and this function does not know it", f.Key)
		}
	}
	return problems, mendable
}

func number(n json.Number) int64 {
	v, _ := strconv.ParseInt(n.String(), 10, 64)
	return v
}

func (p *project) attributes(k kind) ([]attribute, error) {
	var found struct{ Attributes []attribute }
	err := p.call(http.MethodGet, p.collectionPath(k)+"/attributes?"+url.Values{"queries[]": {`{"method":"limit","values":[100]}`}}.Encode(), nil, &found)
	return found.Attributes, err
}

func lookAtAttributes(k kind) func(*project) (string, error) {
	return func(p *project) (string, error) {
		found, err := p.attributes(k)
		if err != nil {
			return "", err
		}
		problems, mendable := attributesProblem(found, p.needed[k.name])
		if len(problems) == 0 {
			return fmt.Sprintf("%d", len(p.needed[k.name])), nil
		}
		what := fmt.Sprintf("%s: Appwrite refuses documents of %s", strings.Join(problems, "; "), k.id(p.config))
		if !mendable {
			what += "; to change that column loses what is in it, so a person must decide"
		}
		return "", &wrong{what, "Console → Databases → " + p.config.DatabaseID + " → " + k.id(p.config) + " → Attributes"}
	}
}

func mendAttributes(k kind) func(*project) error {
	return func(p *project) error {
		found, err := p.attributes(k)
		if err != nil {
			return err
		}
		if _, mendable := attributesProblem(found, p.needed[k.name]); !mendable {
			return nil // the second look says so
		}
		for _, n := range p.needed[k.name] {
			if err := p.mendAttribute(k, n, found); err != nil {
				return fmt.Errorf("%s: %w", n.Key, err)
			}
		}
		return p.wait("its attributes", func() (bool, error) {
			found, err := p.attributes(k)
			return !slices.ContainsFunc(found, func(f attribute) bool { return f.Status == "processing" }), err
		})
	}
}

// mendAttribute makes one that is missing, or changes what can be changed with the
// column's data in place.
func (p *project) mendAttribute(k kind, n attribute, found []attribute) error {
	path := p.collectionPath(k) + "/attributes/" + n.Type
	body := map[string]any{"key": n.Key, "required": n.Required, "default": nil}
	if n.Type == "string" {
		body["size"] = n.Size
	} else {
		body["min"], body["max"] = n.Min, n.Max
	}
	i := slices.IndexFunc(found, func(f attribute) bool { return f.Key == n.Key })
	if i < 0 {
		body["array"] = false
		if n.Type == "string" {
			body["encrypt"] = false
		}
		err := p.call(http.MethodPost, path, body, nil)
		if isStatus(err, http.StatusConflict) {
			return nil // made by an earlier try that broke off
		}
		return err
	}
	if problems, _ := attributesProblem(found[i:i+1], []attribute{n}); len(problems) == 0 {
		return nil
	}
	if n.Type == "string" {
		body["size"] = max(n.Size, found[i].Size)
	}
	return p.call(http.MethodPatch, path+"/"+n.Key, body, nil)
}

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

	DeploymentID           string `json:"deploymentId,omitempty"`
	DeploymentCreatedAt    string `json:"deploymentCreatedAt,omitempty"`
	LatestDeploymentID     string `json:"latestDeploymentId,omitempty"`
	LatestDeploymentStatus string `json:"latestDeploymentStatus,omitempty"`
}

func (s settings) functionPath() string { return "/functions/" + url.PathEscape(s.config.FunctionID) }

func (p *project) function() (function, error) {
	var f function
	err := p.call(http.MethodGet, p.functionPath(), nil, &f)
	return f, err
}

func lookAtFunction(p *project) (string, error) {
	f, err := p.function()
	settings := "Console → Functions → " + p.config.FunctionID + " → Settings"
	if isStatus(err, http.StatusNotFound) {
		return "", &wrong{"there is no function " + p.config.FunctionID, "Console → Functions → Create function"}
	}
	if err != nil {
		return "", err
	}
	missing := slices.DeleteFunc(slices.Clone(p.wanted.Scopes), func(s string) bool { return slices.Contains(f.Scopes, s) })
	switch {
	case !strings.HasPrefix(f.Runtime, "go-"):
		return "", &wrong{"its runtime is " + f.Runtime + ", which cannot be changed: delete the function, or name another in APPWRITE_FUNCTION_ID", settings}
	case !f.Enabled:
		return "", &wrong{"it is disabled: Safaricom gets an error and every payment is lost", settings + " → Enabled"}
	case !slices.Contains(f.Execute, "any"):
		return "", &wrong{"execute access is " + orEmpty(f.Execute) + ": Safaricom gets 401 and every payment is lost", settings + " → Execute access → Any"}
	case len(missing) > 0:
		return "", &wrong{"its scopes lack " + strings.Join(missing, ", ") + ": what it cannot write or queue is lost", settings + " → Scopes"}
	case f.Timeout < p.wanted.Timeout:
		return "", &wrong{fmt.Sprintf("its timeout is %d s, not %d: it is stopped before it has kept a payment", f.Timeout, p.wanted.Timeout), settings + " → Timeout"}
	case !f.Logging:
		return "", &wrong{"logging is off: documents in UNSETTLED lines are lost", settings + " → Execution logs"}
	case f.Entrypoint == "":
		return "", &wrong{"it has no entrypoint: it cannot be built", settings + " → Configuration → Entrypoint: main.go"}
	}
	return f.Runtime, nil
}

func orEmpty(list []string) string {
	if len(list) == 0 {
		return "empty"
	}
	return strings.Join(list, ", ")
}

func mendFunction(p *project) error {
	body := p.wanted
	f, err := p.function()
	if isStatus(err, http.StatusNotFound) {
		return p.call(http.MethodPost, "/functions", struct {
			ID string `json:"functionId"`
			function
		}{p.config.FunctionID, body}, nil)
	}
	if err != nil {
		return err
	}
	// What a person added stays, and a PUT resets what it does not name.
	body = f
	body.DeploymentID, body.DeploymentCreatedAt, body.LatestDeploymentID, body.LatestDeploymentStatus = "", "", "", ""
	body.Enabled, body.Logging, body.Timeout = true, true, max(f.Timeout, p.wanted.Timeout)
	body.Execute, body.Scopes = union(f.Execute, p.wanted.Execute), union(f.Scopes, p.wanted.Scopes)
	if body.Entrypoint == "" {
		body.Entrypoint = p.wanted.Entrypoint
	}
	return p.call(http.MethodPut, p.functionPath(), body, nil)
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
