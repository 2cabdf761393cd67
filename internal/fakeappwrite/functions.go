package fakeappwrite

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// runtimes are Go's in Appwrite 1.9, of which 1.8 has the first alone, and one
// that is not Go's.
var runtimes = []string{"go-1.23", "go-1.24", "go-1.25", "go-1.26", "node-22"}

const defaultSpecification = "s-1vcpu-512mb"

// A function is one of the schema's, or one that was made through the API.
type function struct {
	ID            string   `json:"$id"`
	Name          string   `json:"name"`
	Runtime       string   `json:"runtime"`
	Specification string   `json:"specification"`
	Execute       []string `json:"execute"`
	Events        []string `json:"events"`
	Schedule      string   `json:"schedule"`
	Timeout       int      `json:"timeout"`
	Enabled       bool     `json:"enabled"`
	Logging       bool     `json:"logging"`
	Entrypoint    string   `json:"entrypoint"`
	Commands      string   `json:"commands"`
	Scopes        []string `json:"scopes"`

	created, updated time.Time
	live             bool
	variables        []*variable
	deployments      []*deployment
	active           *activation // nil: nothing to run
}

func readFunctions(schema []byte) (map[string]*function, error) {
	var file struct {
		Functions []*function `json:"functions"`
	}
	if err := json.Unmarshal(schema, &file); err != nil {
		return nil, err
	}
	functions := map[string]*function{}
	for _, f := range file.Functions {
		functions[f.ID] = f
	}
	return functions, nil
}

// functionScopes returns what the function's own key may do: nothing if there is
// no such function.
func (a *Appwrite) functionScopes(id string) []string {
	a.schema.RLock()
	defer a.schema.RUnlock()
	if f := a.functions[id]; f != nil {
		return f.Scopes
	}
	return nil
}

func (f *function) mayExecute(c caller) bool {
	return c.key || slices.ContainsFunc(c.roles(), func(role string) bool { return slices.Contains(f.Execute, role) })
}

func (f *function) model() model {
	m := model{
		"$id": f.ID, "$createdAt": formatTime(f.created), "$updatedAt": formatTime(f.updated), "name": f.Name,
		"runtime": f.Runtime, "specification": f.Specification, "execute": append([]string{}, f.Execute...),
		"events": append([]string{}, f.Events...), "schedule": f.Schedule, "timeout": f.Timeout, "enabled": f.Enabled,
		"logging": f.Logging, "entrypoint": f.Entrypoint, "commands": f.Commands, "scopes": append([]string{}, f.Scopes...),
		"live": f.live, "vars": models(f.variables), "version": "v5",
		"deploymentId": "", "deploymentCreatedAt": "",
		"latestDeploymentId": "", "latestDeploymentCreatedAt": "", "latestDeploymentStatus": "",
		"installationId": "", "providerRepositoryId": "", "providerBranch": "", "providerRootDirectory": "", "providerSilentMode": false,
	}
	if f.active != nil {
		m["deploymentId"] = f.active.deployment.id
		m["deploymentCreatedAt"] = formatTime(f.active.deployment.created)
	}
	if n := len(f.deployments); n > 0 {
		latest := f.deployments[n-1]
		m["latestDeploymentId"] = latest.id
		m["latestDeploymentCreatedAt"] = formatTime(latest.created)
		m["latestDeploymentStatus"] = latest.status
	}
	return m
}

func (a *Appwrite) findFunction(q *request) (*function, error) {
	if f := a.functions[q.vars["function"]]; f != nil {
		return f, nil
	}
	return nil, a.notFound("function", q.vars["function"])
}

func (a *Appwrite) listFunctions(q *request) (reply, error) {
	return list(q, "functions", models(sorted(a.functions)))
}

func (a *Appwrite) getFunction(q *request) (reply, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(f.model())
}

func (a *Appwrite) createFunction(q *request) (reply, error) {
	r := q.reader()
	now := a.now()
	f := &function{ID: r.id("functionId"), created: now, live: true}
	r.required("runtime")
	r.settings(f)
	if r.err != nil {
		return reply{}, r.err
	}
	if a.functions[f.ID] != nil {
		return reply{}, alreadyExists("function")
	}
	f.updated = now
	a.functions[f.ID] = f
	return createdReply(f.model())
}

// settings reads the settings of f. What is absent gets its default, except for
// the runtime and the entrypoint, which stay. f is as good as lost if there is an
// error.
func (r *reader) settings(f *function) {
	f.Name = r.name("name")
	if runtime := r.text("runtime", 128); runtime != "" {
		if !slices.Contains(runtimes, runtime) {
			r.fail(invalidParam("runtime", "Value must be one of ("+strings.Join(runtimes, ", ")+")"))
		}
		f.Runtime = runtime
	}
	f.Execute = r.texts("execute", func(role string) bool { return checkRole(role) == nil })
	f.Events = r.texts("events", func(string) bool { return true })
	f.Schedule = r.text("schedule", 128)
	f.Timeout = 15
	if n := r.whole("timeout"); n != nil {
		f.Timeout = int(*n)
	}
	if f.Timeout < 1 || f.Timeout > 900 {
		r.fail(invalidParam("timeout", "Value must be a valid range between 1 and 900"))
	}
	f.Enabled = r.flag("enabled", true)
	f.Logging = r.flag("logging", true)
	if entrypoint := r.text("entrypoint", 1028); entrypoint != "" {
		f.Entrypoint = entrypoint
	}
	f.Commands = r.text("commands", 8192)
	f.Scopes = r.texts("scopes", validScope)
	f.Specification = defaultSpecification
	if specification := r.text("specification", 128); specification != "" {
		f.Specification = specification
	}
}

// validScope reports whether s looks like a scope. Appwrite has a list of them,
// which grows with every release.
func validScope(s string) bool {
	resource, action, _ := strings.Cut(s, ".")
	return resource != "" && (action == "read" || action == "write")
}

// updateFunction is PUT. It sets live anew, so that a variable that waits for a
// deployment no longer shows.
func (a *Appwrite) updateFunction(q *request) (reply, error) {
	r := q.reader()
	old, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	f := *old
	r.settings(&f)
	if r.err != nil {
		return reply{}, r.err
	}
	f.live = f.Name == old.Name && f.Runtime == old.Runtime && f.Entrypoint == old.Entrypoint && f.Commands == old.Commands
	f.updated = a.now()
	*old = f // deployments in the making point to it
	return okReply(old.model())
}

func (a *Appwrite) deleteFunction(q *request) (reply, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	delete(a.functions, f.ID)
	a.rules = slices.DeleteFunc(a.rules, func(r *rule) bool { return r.function == f.ID })
	return deletedReply()
}

// A variable is one of a function's. The function has its value from the next
// deployment on.
type variable struct {
	id, function     string
	created, updated time.Time
	key, value       string
	secret           bool // its value is for the function only
}

func (v *variable) model() model {
	value := v.value
	if v.secret {
		value = ""
	}
	return model{
		"$id": v.id, "$createdAt": formatTime(v.created), "$updatedAt": formatTime(v.updated), "key": v.key, "value": value,
		"secret": v.secret, "resourceType": "function", "resourceId": v.function,
	}
}

func (a *Appwrite) findVariable(q *request) (*function, int, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(f.variables, func(v *variable) bool { return v.id == q.vars["variable"] })
	if i < 0 {
		return nil, 0, a.notFound("variable", q.vars["variable"])
	}
	return f, i, nil
}

// listVariables sends them all: this list has no queries.
func (a *Appwrite) listVariables(q *request) (reply, error) {
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(model{"total": len(f.variables), "variables": models(f.variables)})
}

func (a *Appwrite) getVariable(q *request) (reply, error) {
	f, i, err := a.findVariable(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(f.variables[i].model())
}

func (a *Appwrite) createVariable(q *request) (reply, error) {
	r := q.reader()
	r.required("value")
	now := a.now()
	v := &variable{
		id: newID(), function: q.vars["function"], created: now, updated: now,
		key: r.variableKey(), value: r.text("value", 8192), secret: r.flag("secret", true),
	}
	if r.err != nil {
		return reply{}, r.err
	}
	f, err := a.findFunction(q)
	if err != nil {
		return reply{}, err
	}
	if f.hasVariable(v) {
		return reply{}, alreadyExists("variable")
	}
	f.variables = append(f.variables, v)
	f.live = false
	return createdReply(v.model())
}

func (r *reader) variableKey() string {
	r.required("key")
	key := r.text("key", 255)
	if key == "" {
		r.fail(invalidParam("key", "Value must be a valid string and at least 1 chars and no longer than 255 chars"))
	}
	return key
}

// hasVariable reports whether another variable has v's key.
func (f *function) hasVariable(v *variable) bool {
	return slices.ContainsFunc(f.variables, func(other *variable) bool { return other.id != v.id && other.key == v.key })
}

// updateVariable is PUT, which leaves a value that is absent as it is.
func (a *Appwrite) updateVariable(q *request) (reply, error) {
	r := q.reader()
	f, i, err := a.findVariable(q)
	if err != nil {
		return reply{}, err
	}
	v := *f.variables[i]
	v.key = r.variableKey()
	if r.get("value") != nil {
		v.value = r.text("value", 8192)
	}
	secret := r.flag("secret", v.secret)
	if r.err != nil {
		return reply{}, r.err
	}
	if v.secret && !secret {
		return reply{}, &apiError{400, "variable_cannot_unset_secret", "Secret variables cannot be marked as non-secret."}
	}
	if f.hasVariable(&v) {
		return reply{}, alreadyExists("variable")
	}
	answer := v.model()
	v.secret, v.updated = secret, a.now()
	f.variables[i] = &v
	f.live = false
	updated := v.model()
	if older(a.Version, "1.9.6") {
		// On 1.8.1 and 1.9.0 the answer has the time of the change before.
		updated["$updatedAt"] = answer["$updatedAt"]
	}
	return okReply(updated)
}

func (a *Appwrite) deleteVariable(q *request) (reply, error) {
	f, i, err := a.findVariable(q)
	if err != nil {
		return reply{}, err
	}
	f.variables = slices.Delete(f.variables, i, i+1)
	f.live = false
	return deletedReply()
}

// A rule makes a domain that of a function.
type rule struct {
	id, domain, function string
	created              time.Time
	status               string
}

func (r *rule) model() model {
	return model{
		"$id": r.id, "$createdAt": formatTime(r.created), "$updatedAt": formatTime(r.created), "domain": r.domain,
		"type": "deployment", "trigger": "manual", "redirectUrl": "", "redirectStatusCode": 0, "deploymentId": "",
		"deploymentResourceType": "function", "deploymentResourceId": r.function, "deploymentVcsProviderBranch": "",
		"status": r.status, "logs": "", "renewAt": "",
	}
}

// SetDomain makes domain the server's _APP_DOMAIN_FUNCTIONS, such as
// functions.localhost. A function's domain must then be exactly one label below it.
// Without it any domain will do.
func (a *Appwrite) SetDomain(domain string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.domain = domain
}

func (a *Appwrite) listRules(q *request) (reply, error) {
	return list(q, "rules", models(a.rules))
}

func (a *Appwrite) createRule(q *request) (reply, error) {
	r := q.reader()
	r.required("domain")
	r.required("functionId")
	made := &rule{id: newID(), domain: r.text("domain", 255), function: r.text("functionId", maxKey), created: a.now(), status: "verified"}
	if r.err != nil {
		return reply{}, r.err
	}
	label, below := strings.CutSuffix(made.domain, "."+a.domain)
	if made.domain == "" || strings.ContainsAny(made.domain, "/ ") || a.domain != "" && (!below || label == "" || strings.Contains(label, ".")) {
		return reply{}, &apiError{400, "general_argument_invalid", "This domain name is not allowed. Please use a different domain."}
	}
	if a.functions[made.function] == nil {
		return reply{}, &apiError{404, "rule_resource_not_found", "Resource could not be found. Check if the resourceId and resourceType are correct, or if the resource actually exists."}
	}
	if slices.ContainsFunc(a.rules, func(other *rule) bool { return other.domain == made.domain }) {
		return reply{}, &apiError{409, "rule_already_exists", "Domain is already used. Please try again with a different domain."}
	}
	a.rules = append(a.rules, made)
	return createdReply(made.model())
}

func (a *Appwrite) findRule(q *request) (int, error) {
	i := slices.IndexFunc(a.rules, func(r *rule) bool { return r.id == q.vars["rule"] })
	if i < 0 {
		return 0, a.notFound("rule", q.vars["rule"])
	}
	return i, nil
}

func (a *Appwrite) getRule(q *request) (reply, error) {
	i, err := a.findRule(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(a.rules[i].model())
}

func (a *Appwrite) deleteRule(q *request) (reply, error) {
	i, err := a.findRule(q)
	if err != nil {
		return reply{}, err
	}
	a.rules = slices.Delete(a.rules, i, i+1)
	return deletedReply()
}

// findExecution returns the place of one that ran.
func (a *Appwrite) findExecution(q *request) (int, error) {
	if _, err := a.findFunction(q); err != nil {
		return 0, err
	}
	i := slices.IndexFunc(a.ran, func(e Execution) bool { return e.ID == q.vars["execution"] && e.Function == q.vars["function"] })
	if i < 0 {
		return 0, a.notFound("execution", q.vars["execution"])
	}
	return i, nil
}

func (a *Appwrite) getExecution(q *request) (reply, error) {
	i, err := a.findExecution(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(a.ran[i].render())
}

func (a *Appwrite) deleteExecution(q *request) (reply, error) {
	i, err := a.findExecution(q)
	if err != nil {
		return reply{}, err
	}
	a.ran = slices.Delete(a.ran, i, i+1)
	return deletedReply()
}
