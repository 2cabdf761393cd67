package fakeconsole

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"openruntimes/handler/internal/fakeappwrite"
)

// runtimes are Go's in Appwrite 1.9, of which 1.8 has the first alone, and one
// that is not Go's.
var runtimes = []string{"go-1.23", "go-1.24", "go-1.25", "go-1.26", "node-22"}

const defaultSpecification = "s-1vcpu-512mb"

// A function is one with all that is set of it.
type function struct {
	fakeappwrite.Function
	Name          string   `json:"name"`
	Runtime       string   `json:"runtime"`
	Specification string   `json:"specification"`
	Events        []string `json:"events"`
	Schedule      string   `json:"schedule"`
	Timeout       int      `json:"timeout"` // seconds
	Enabled       bool     `json:"enabled"`
	Logging       bool     `json:"logging"`
	Entrypoint    string   `json:"entrypoint"`
	Commands      string   `json:"commands"`
	state
}

// A state is what becomes of a function.
type state struct {
	fakeappwrite.Times
	Variables         []*variable       `json:"vars"`
	DeploymentID      string            `json:"deploymentId"`
	DeploymentCreated fakeappwrite.Time `json:"deploymentCreatedAt"`
	LatestID          string            `json:"latestDeploymentId"`
	LatestStatus      string            `json:"latestDeploymentStatus"`

	deployments []*deployment
	environment map[string]string // of the containers of the active deployment
	key         string            // for the function there, with whatever scopes it has
}

func (c *Console) findFunction(q *request) (*function, error) {
	if f := c.functions[q.Var("function")]; f != nil {
		return f, nil
	}
	return nil, c.NotFound("function", q.Var("function"))
}

func (c *Console) listFunctions(q *request) (reply, error) {
	return list(q, "functions", sorted(c.functions))
}

func (c *Console) createFunction(q *request) (reply, error) {
	id, err := newID(q, "function", c.functions)
	if err != nil {
		return reply{}, err
	}
	f := &function{state: state{Times: c.Stamp(), Variables: []*variable{}}}
	if err := readFunction(q, f, "runtime"); err != nil {
		return reply{}, err
	}
	f.ID = id
	c.functions[id], c.Functions[id] = f, &f.Function
	return answer(http.StatusCreated, f)
}

// readFunction reads the settings of f. What is absent gets its default, except for
// the runtime and the entrypoint, which stay.
func readFunction(q *request, f *function, required ...string) error {
	settings := function{
		Function: fakeappwrite.Function{Execute: []string{}, Scopes: []string{}},
		Runtime:  f.Runtime, Entrypoint: f.Entrypoint, Specification: defaultSpecification,
		Events: []string{}, Timeout: 15, Enabled: true, Logging: true,
	}
	if err := q.Read(&settings, append(required, "name")...); err != nil {
		return err
	}
	switch {
	case !slices.Contains(runtimes, settings.Runtime):
		return fakeappwrite.InvalidParam("runtime", "Value must be one of ("+strings.Join(runtimes, ", ")+")")
	case slices.ContainsFunc(settings.Execute, func(role string) bool { return !fakeappwrite.ValidRole(role) }):
		return fakeappwrite.InvalidParam("execute", "Value must be roles")
	case settings.Timeout < 1 || settings.Timeout > 900:
		return fakeappwrite.InvalidParam("timeout", "Value must be a valid range between 1 and 900")
	case slices.ContainsFunc(settings.Scopes, invalidScope):
		return fakeappwrite.InvalidParam("scopes", "Value must be scopes")
	}
	settings.ID, settings.state = f.ID, f.state
	*f = settings
	return nil
}

// invalidScope reports whether s does not look like a scope. Appwrite has a list of
// them, which grows with every release.
func invalidScope(s string) bool {
	resource, action, _ := strings.Cut(s, ".")
	return resource == "" || action != "read" && action != "write"
}

func (c *Console) updateFunction(q *request, f *function) (reply, error) {
	if err := readFunction(q, f); err != nil {
		return reply{}, err
	}
	f.Updated = c.Stamp().Updated
	return answer(http.StatusOK, f)
}

func (c *Console) deleteFunction(_ *request, f *function) (reply, error) {
	delete(c.functions, f.ID)
	delete(c.Functions, f.ID)
	c.rules = slices.DeleteFunc(c.rules, func(r *rule) bool { return r.FunctionID == f.ID })
	return deletedReply()
}

// A variable is one of a function's. The function has its value from the next
// deployment on.
type variable struct {
	ID     string `json:"$id"`
	Key    string `json:"key"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
	fakeappwrite.Times

	real string // what the function gets; Value is "" if it is secret
}

// listVariables sends them all up to 1.9.0, where this list has no queries, and a page of
// 25 unless more are asked for from 1.9.5 on (appwrite/appwrite 1.9.5,
// src/Appwrite/Platform/Modules/Functions/Http/Variables/XList.php).
func (c *Console) listVariables(q *request, f *function) (reply, error) {
	if !fakeappwrite.Older(c.Version, "1.9.5") {
		return list(q, "variables", f.Variables)
	}
	return answer(http.StatusOK, model{"total": len(f.Variables), "variables": f.Variables})
}

func (c *Console) createVariable(q *request, f *function) (reply, error) {
	v := &variable{ID: fakeappwrite.NewID(), Secret: true, Times: c.Stamp()}
	if q.Params["value"] == nil {
		return reply{}, badRequest("general_argument_invalid", `Param "value" is not optional.`)
	}
	if err := f.readVariable(q, v); err != nil {
		return reply{}, err
	}
	f.Variables = append(f.Variables, v)
	return answer(http.StatusCreated, v)
}

// readVariable leaves a value that is absent as it is. The longest is that of all versions
// (Functions/Http/Variables/Create.php).
func (f *function) readVariable(q *request, v *variable) error {
	v.Value = v.real
	if err := q.Read(v, "key"); err != nil {
		return err
	}
	if utf8.RuneCountInString(v.Value) > 8192 {
		return badRequest("general_argument_invalid", "Invalid `value` param: Value must be a valid string and no longer than 8192 chars")
	}
	if slices.ContainsFunc(f.Variables, func(other *variable) bool { return other.ID != v.ID && other.Key == v.Key }) {
		return alreadyExists("variable")
	}
	v.real = v.Value
	if v.Secret {
		v.Value = ""
	}
	return nil
}

// variable returns the place of the one in the path.
func (c *Console) variable(q *request, f *function) (int, error) {
	i := slices.IndexFunc(f.Variables, func(v *variable) bool { return v.ID == q.Var("variable") })
	if i < 0 {
		return 0, c.NotFound("variable", q.Var("variable"))
	}
	return i, nil
}

// updateVariable is PUT.
func (c *Console) updateVariable(q *request, f *function) (reply, error) {
	i, err := c.variable(q, f)
	if err != nil {
		return reply{}, err
	}
	v := *f.Variables[i]
	if err := f.readVariable(q, &v); err != nil {
		return reply{}, err
	}
	if f.Variables[i].Secret && !v.Secret {
		return reply{}, badRequest("variable_cannot_unset_secret", "Secret variables cannot be marked as non-secret.")
	}
	shown := v
	v.Updated = c.Stamp().Updated
	if !fakeappwrite.Older(c.Version, "1.9.6") {
		shown = v // 1.8.1 and 1.9.0 answer with the time of the change before
	}
	f.Variables[i] = &v
	return answer(http.StatusOK, shown)
}

func (c *Console) deleteVariable(q *request, f *function) (reply, error) {
	i, err := c.variable(q, f)
	if err != nil {
		return reply{}, err
	}
	f.Variables = slices.Delete(f.Variables, i, i+1)
	return deletedReply()
}

// A rule makes a domain that of a function.
type rule struct {
	ID           string `json:"$id"`
	Domain       string `json:"domain"`
	FunctionID   string `json:"functionId"` // as it is sent, and below as it is shown
	ResourceID   string `json:"deploymentResourceId"`
	ResourceType string `json:"deploymentResourceType"`
	Trigger      string `json:"trigger"`
	Status       string `json:"status"`
	fakeappwrite.Times
}

func (c *Console) listRules(q *request) (reply, error) { return list(q, "rules", c.rules) }

// createRule refuses a domain that is not exactly one label below the server's (seen on
// 1.9.6, see [Console.Domain]). 1.8.1 stores it in lower case (Rules/Function/Create.php).
func (c *Console) createRule(q *request) (reply, error) {
	r := &rule{ID: fakeappwrite.NewID(), ResourceType: "function", Trigger: "manual", Status: "verified", Times: c.Stamp()}
	if err := q.Read(r, "domain", "functionId"); err != nil {
		return reply{}, err
	}
	r.ResourceID = r.FunctionID
	if fakeappwrite.Older(c.Version, "1.9.0") {
		r.Domain = strings.ToLower(r.Domain)
	}
	label, below := strings.CutSuffix(r.Domain, "."+c.Domain)
	other := !below && c.OtherDomains && strings.Contains(r.Domain, ".") && r.Domain != c.Domain
	if other {
		r.Status = "unverified"
	}
	switch {
	case strings.ContainsAny(r.Domain, "/ ") || c.Domain != "" && !other && (!below || label == "" || strings.Contains(label, ".")):
		return reply{}, badRequest("general_argument_invalid", "This domain name is not allowed. Please use a different domain.")
	case c.functions[r.FunctionID] == nil:
		return reply{}, &apiError{Status: 404, Type: "rule_resource_not_found", Message: "Resource could not be found."}
	case slices.ContainsFunc(c.rules, func(other *rule) bool { return other.Domain == r.Domain }):
		return reply{}, &apiError{Status: 409, Type: "rule_already_exists", Message: "Domain is already used. Please try again with a different domain."}
	}
	c.rules = append(c.rules, r)
	return answer(http.StatusCreated, r)
}

// activate makes d the function's active deployment, with the variables as they
// are now.
func (c *Console) activate(f *function, d *deployment) {
	f.environment = map[string]string{}
	for _, v := range f.Variables {
		f.environment[v.Key] = v.real
	}
	maps.Copy(f.environment, map[string]string{
		"APPWRITE_FUNCTION_ID":         f.ID,
		"APPWRITE_FUNCTION_DEPLOYMENT": d.ID,
		"APPWRITE_FUNCTION_PROJECT_ID": fakeappwrite.ProjectID,
		"APPWRITE_VERSION":             c.Version,
	})
	f.key = "ephemeral_" + fakeappwrite.NewID()
	if fakeappwrite.Older(c.Version, "1.9.1") {
		f.key = "dynamic_" + fakeappwrite.NewID()
	}
	f.Updated, f.DeploymentID, f.DeploymentCreated = c.Stamp().Updated, d.ID, d.Created
}

// An Admission is what answers for a request to a function's domain.
type Admission struct {
	Environment map[string]string // of the active deployment
	Key         string            // for the function
	Logging     bool
}

// Admit finds what answers for a function's domain, or why nothing does, and
// makes its key one with the scopes that the function has now.
func (c *Console) Admit(id string) (Admission, error) {
	var f function
	c.Do(func() {
		if found := c.functions[id]; found != nil {
			f = *found
		}
	})
	switch {
	case !f.Enabled:
		return Admission{}, c.NotFound("function", id)
	case f.DeploymentID == "":
		return Admission{}, &apiError{Status: 404, Type: "deployment_not_found", Message: "Deployment with the requested ID could not be found."}
	case !slices.Contains(f.Execute, "any") && !slices.Contains(f.Execute, "guests"):
		return Admission{}, &apiError{Status: 401, Type: "function_execute_permission_missing", Message: `To execute function using domain, execute permissions must include "any" or "guests"`}
	}
	c.AddKey(f.key, f.Scopes...)
	return Admission{f.environment, f.key, f.Logging}, nil
}
