package fakeappwrite

import (
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A consoleRoute is a route of the API with which a project is set up.
type consoleRoute struct {
	kind   string // of resource
	method string
	path   string // without /v1; {name} stands for any segment
	handle func(*Appwrite, *request) (reply, error)
}

var consoleRoutes = []consoleRoute{
	{"databases", "GET", "databases", (*Appwrite).listDatabases},
	{"databases", "POST", "databases", (*Appwrite).createDatabase},
	{"databases", "GET", "databases/{database}", (*Appwrite).getDatabase},
	{"databases", "PUT", "databases/{database}", (*Appwrite).updateDatabase},
	{"databases", "DELETE", "databases/{database}", (*Appwrite).deleteDatabase},

	{"collections", "GET", "databases/{database}/collections", (*Appwrite).listCollections},
	{"collections", "POST", "databases/{database}/collections", (*Appwrite).createCollection},
	{"collections", "GET", "databases/{database}/collections/{collection}", (*Appwrite).getCollection},
	{"collections", "PUT", "databases/{database}/collections/{collection}", (*Appwrite).updateCollection},
	{"collections", "DELETE", "databases/{database}/collections/{collection}", (*Appwrite).deleteCollection},
	{"indexes", "GET", "databases/{database}/collections/{collection}/indexes", (*Appwrite).listIndexes},

	{"attributes", "GET", "databases/{database}/collections/{collection}/attributes", (*Appwrite).listAttributes},
	{"attributes", "GET", "databases/{database}/collections/{collection}/attributes/{key}", (*Appwrite).getAttribute},
	{"attributes", "POST", "databases/{database}/collections/{collection}/attributes/{type}", (*Appwrite).createAttribute},
	{"attributes", "PATCH", "databases/{database}/collections/{collection}/attributes/{type}/{key}", (*Appwrite).updateAttribute},
	{"attributes", "DELETE", "databases/{database}/collections/{collection}/attributes/{key}", (*Appwrite).deleteAttribute},

	{"functions", "GET", "functions", (*Appwrite).listFunctions},
	{"functions", "POST", "functions", (*Appwrite).createFunction},
	{"functions", "GET", "functions/{function}", (*Appwrite).getFunction},
	{"functions", "PUT", "functions/{function}", (*Appwrite).updateFunction},
	{"functions", "DELETE", "functions/{function}", (*Appwrite).deleteFunction},

	{"variables", "GET", "functions/{function}/variables", (*Appwrite).listVariables},
	{"variables", "POST", "functions/{function}/variables", (*Appwrite).createVariable},
	{"variables", "GET", "functions/{function}/variables/{variable}", (*Appwrite).getVariable},
	{"variables", "PUT", "functions/{function}/variables/{variable}", (*Appwrite).updateVariable},
	{"variables", "DELETE", "functions/{function}/variables/{variable}", (*Appwrite).deleteVariable},

	{"deployments", "GET", "functions/{function}/deployments", (*Appwrite).listDeployments},
	{"deployments", "POST", "functions/{function}/deployments", (*Appwrite).createDeployment},
	{"deployments", "POST", "functions/{function}/deployments/duplicate", (*Appwrite).duplicateDeployment},
	{"deployments", "GET", "functions/{function}/deployments/{deployment}", (*Appwrite).getDeployment},
	{"deployments", "GET", "functions/{function}/deployments/{deployment}/download", (*Appwrite).downloadDeployment},
	{"deployments", "PATCH", "functions/{function}/deployment", (*Appwrite).activateDeployment},

	{"executions", "GET", "functions/{function}/executions/{execution}", (*Appwrite).getExecution},
	{"executions", "DELETE", "functions/{function}/executions/{execution}", (*Appwrite).deleteExecution},

	{"rules", "GET", "proxy/rules", (*Appwrite).listRules},
	{"rules", "POST", "proxy/rules/function", (*Appwrite).createRule},
	{"rules", "GET", "proxy/rules/{rule}", (*Appwrite).getRule},
	{"rules", "DELETE", "proxy/rules/{rule}", (*Appwrite).deleteRule},

	{"console", "GET", "console/variables", nil}, // answered before anything else
}

// findConsoleRoute finds the route of a path's segments.
func findConsoleRoute(method string, segments []string) route {
	if len(segments) == 0 || segments[0] != "v1" {
		return route{}
	}
	for i := range consoleRoutes {
		c := &consoleRoutes[i]
		if c.method != method {
			continue
		}
		if vars, ok := matchPath(c.path, segments[1:]); ok {
			return route{
				operation:  method + " " + c.kind,
				database:   vars["database"],
				collection: vars["collection"],
				console:    c,
				vars:       vars,
			}
		}
	}
	return route{}
}

func matchPath(pattern string, segments []string) (map[string]string, bool) {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, part := range parts {
		switch {
		case strings.HasPrefix(part, "{"):
			vars[strings.Trim(part, "{}")] = segments[i]
		case part != segments[i]:
			return nil, false
		}
	}
	return vars, true
}

// scopes are those of which a key needs one.
func (c *consoleRoute) scopes() []string {
	action := ".write"
	if c.method == http.MethodGet {
		action = ".read"
	}
	switch c.kind {
	case "collections":
		return []string{"collections" + action, "tables" + action}
	case "attributes", "indexes":
		return []string{"collections" + action, "tables" + action, c.kind + action}
	case "variables", "deployments":
		return []string{"functions" + action}
	case "executions":
		return []string{"execution" + action}
	}
	return []string{c.kind + action}
}

// console carries out a request that only an API key may make.
func (a *Appwrite) console(q *request) (reply, error) {
	if !q.caller.key {
		return reply{}, missingScope("User (role: guests)", q.scopes())
	}
	a.schema.Lock()
	defer a.schema.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.databaseDown {
		return reply{}, &apiError{500, "general_unknown", "Server Error"}
	}
	return q.route.console.handle(a, q)
}

// A model is a resource as the API shows it.
type model = map[string]any

func okReply(m model) (reply, error)       { return reply{status: http.StatusOK, body: m}, nil }
func createdReply(m model) (reply, error)  { return reply{status: http.StatusCreated, body: m}, nil }
func acceptedReply(m model) (reply, error) { return reply{status: http.StatusAccepted, body: m}, nil }
func deletedReply() (reply, error)         { return reply{status: http.StatusNoContent}, nil }

func formatTime(t time.Time) string { return t.Format(timeLayout) }

// list replies with one page of all, which are in order of creation. The queries
// are limit, offset, equal, and one order, by whatever attribute, which is taken
// for that of creation.
func list(q *request, key string, all []model) (reply, error) {
	queries, err := queriesParam(q.http.URL.Query())
	if err != nil {
		return reply{}, err
	}
	limit, offset := defaultLimit, 0
	for _, query := range queries {
		switch query.method {
		case "limit":
			limit, err = query.count(1)
		case "offset":
			offset, err = query.count(0)
		case "equal":
			all = slices.DeleteFunc(all, func(m model) bool { return !slices.Contains(query.values, m[query.attribute]) })
		case "orderAsc":
		case "orderDesc":
			slices.Reverse(all)
		default:
			err = invalidQuery("the stand-in does not know " + query.method)
		}
		if err != nil {
			return reply{}, err
		}
	}
	total := len(all)
	all = all[min(offset, total):]
	return okReply(model{"total": total, key: all[:min(limit, len(all))]})
}

// A reader reads the parameters of a request. It keeps the first error, in the
// order in which they are read.
type reader struct {
	params map[string]any
	err    error
}

func (q *request) reader() *reader { return &reader{params: q.params} }

// get returns a parameter, nil if it is not there. Null is the same as absent.
func (r *reader) get(name string) any { return r.params[name] }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) required(name string) {
	if r.get(name) == nil {
		r.fail(&apiError{400, "general_argument_invalid", `Param "` + name + `" is not optional.`})
	}
}

func (r *reader) text(name string, limit int) string {
	s, ok := r.get(name).(string)
	if !ok && r.get(name) != nil || utf8.RuneCountInString(s) > limit {
		r.fail(invalidParam(name, "Value must be a valid string and no longer than "+strconv.Itoa(limit)+" chars"))
	}
	return s
}

// name reads a required text, which must not be empty.
func (r *reader) name(name string) string {
	r.required(name)
	s := r.text(name, 128)
	if s == "" {
		r.fail(invalidParam(name, "Value must be a valid string and at least 1 chars and no longer than 128 chars"))
	}
	return s
}

func (r *reader) flag(name string, byDefault bool) bool {
	v := r.get(name)
	if v == nil {
		return byDefault
	}
	b, ok := v.(bool)
	if !ok {
		r.fail(invalidParam(name, "Value must be a valid boolean"))
	}
	return b
}

// whole reads an integer, which is nil if it is absent.
func (r *reader) whole(name string) *int64 {
	v := r.get(name)
	if v == nil {
		return nil
	}
	n, ok := v.(int64)
	if !ok {
		r.fail(invalidParam(name, "Value must be a valid integer"))
	}
	return &n
}

// texts reads an array of strings, which is empty if it is absent.
func (r *reader) texts(name string, valid func(string) bool) []string {
	texts := []string{}
	v, isList := r.get(name).([]any)
	if !isList && r.get(name) != nil || len(v) > 100 {
		r.fail(invalidParam(name, "Value must a valid array no longer than 100 items"))
	}
	for _, v := range v {
		s, ok := v.(string)
		if !ok || !valid(s) {
			r.fail(invalidParam(name, "Value must a valid array, and its items be valid"))
		}
		texts = append(texts, s)
	}
	return texts
}

// id reads the id for something new.
func (r *reader) id(name string) string {
	r.required(name)
	id := r.text(name, maxKey)
	if id == "unique()" {
		return newID()
	}
	if !validKey(id) {
		r.fail(invalidParam(name, customIDRule))
	}
	return id
}

func alreadyExists(kind string) error {
	return &apiError{409, kind + "_already_exists", "A " + kind + " with the requested ID already exists."}
}

// sorted returns the values of m by id, where Appwrite has the order of
// creation.
func sorted[T any](m map[string]T) []T {
	values := make([]T, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[id])
	}
	return values
}

func models[T interface{ model() model }](all []T) []model {
	models := make([]model, len(all))
	for i, v := range all {
		models[i] = v.model()
	}
	return models
}

func (db *database) model() model {
	return model{
		"$id": db.id, "name": db.name, "$createdAt": formatTime(db.created), "$updatedAt": formatTime(db.updated),
		"enabled": db.enabled, "type": "legacy",
	}
}

func (a *Appwrite) findDatabase(q *request) (*database, error) {
	if db := a.databases[q.database]; db != nil {
		return db, nil
	}
	return nil, a.notFound("database", q.database)
}

func (a *Appwrite) listDatabases(q *request) (reply, error) {
	return list(q, "databases", models(sorted(a.databases)))
}

func (a *Appwrite) getDatabase(q *request) (reply, error) {
	db, err := a.findDatabase(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(db.model())
}

func (a *Appwrite) createDatabase(q *request) (reply, error) {
	r := q.reader()
	now := a.now()
	db := &database{
		id: r.id("databaseId"), name: r.name("name"), enabled: r.flag("enabled", true),
		created: now, updated: now, collections: map[string]*collection{},
	}
	if r.err != nil {
		return reply{}, r.err
	}
	if a.databases[db.id] != nil {
		return reply{}, alreadyExists("database")
	}
	a.databases[db.id] = db
	return createdReply(db.model())
}

func (a *Appwrite) updateDatabase(q *request) (reply, error) {
	r := q.reader()
	name, enabled := r.name("name"), r.flag("enabled", true)
	if r.err != nil {
		return reply{}, r.err
	}
	db, err := a.findDatabase(q)
	if err != nil {
		return reply{}, err
	}
	db.name, db.enabled, db.updated = name, enabled, a.now()
	return okReply(db.model())
}

func (a *Appwrite) deleteDatabase(q *request) (reply, error) {
	if _, err := a.findDatabase(q); err != nil {
		return reply{}, err
	}
	delete(a.databases, q.database)
	return deletedReply()
}

func (c *collection) model() model {
	return model{
		"$id": c.id, "$createdAt": formatTime(c.created), "$updatedAt": formatTime(c.updated),
		"$permissions": append([]string{}, c.permissions...), "databaseId": c.database, "name": c.name,
		"enabled": c.enabled, "documentSecurity": c.documentSecurity,
		"attributes": models(c.attributes), "indexes": []model{},
	}
}

func (a *Appwrite) listCollections(q *request) (reply, error) {
	db, err := a.findDatabase(q)
	if err != nil {
		return reply{}, err
	}
	return list(q, "collections", models(sorted(db.collections)))
}

func (a *Appwrite) getCollection(q *request) (reply, error) {
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(c.model())
}

// createCollection takes no attributes and indexes, which 1.8 ignores.
func (a *Appwrite) createCollection(q *request) (reply, error) {
	r := q.reader()
	now := a.now()
	c := &collection{
		id: r.id("collectionId"), database: q.database, name: r.name("name"), created: now, updated: now,
		permissions: r.permissions(), documentSecurity: r.flag("documentSecurity", false), enabled: r.flag("enabled", true),
		documents: map[string]*Document{},
	}
	if r.err != nil {
		return reply{}, r.err
	}
	db, err := a.findDatabase(q)
	if err != nil {
		return reply{}, err
	}
	if db.collections[c.id] != nil {
		return reply{}, alreadyExists("collection")
	}
	db.collections[c.id] = c
	return createdReply(c.model())
}

// permissions reads those of a collection, nil if they are absent.
func (r *reader) permissions() []string {
	permissions, err := readPermissions(r.get("permissions"), "create", "read", "update", "delete", "write")
	if err != nil {
		r.fail(err)
	}
	return permissions
}

// updateCollection is PUT. What is absent gets its default again, except for
// permissions: a request with only a name ends documentSecurity.
func (a *Appwrite) updateCollection(q *request) (reply, error) {
	r := q.reader()
	name, permissions := r.name("name"), r.permissions()
	security, enabled := r.flag("documentSecurity", false), r.flag("enabled", true)
	if r.err != nil {
		return reply{}, r.err
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	if permissions != nil {
		c.permissions = permissions
	}
	c.name, c.documentSecurity, c.enabled, c.updated = name, security, enabled, a.now()
	return okReply(c.model())
}

func (a *Appwrite) deleteCollection(q *request) (reply, error) {
	if _, err := a.collection(q); err != nil {
		return reply{}, err
	}
	delete(a.databases[q.database].collections, q.collection)
	return deletedReply()
}

func (a *Appwrite) listIndexes(q *request) (reply, error) {
	if _, err := a.collection(q); err != nil {
		return reply{}, err
	}
	return list(q, "indexes", []model{})
}

func (at attribute) model() model {
	m := model{
		"key": at.Key, "type": at.Type, "status": "available", "error": "", "required": at.Required, "array": at.Array,
		"default": at.defaultValue(), "$createdAt": formatTime(at.created), "$updatedAt": formatTime(at.updated),
	}
	switch at.Type {
	case "string":
		m["size"], m["encrypt"] = at.Size, at.Encrypt
	case "integer":
		m["min"], m["max"] = at.least, at.most
	case "double":
		m["min"], m["max"] = -math.MaxFloat64, math.MaxFloat64
		if at.Min != nil {
			m["min"] = *at.Min
		}
		if at.Max != nil {
			m["max"] = *at.Max
		}
	}
	return m
}

func (a *Appwrite) listAttributes(q *request) (reply, error) {
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	return list(q, "attributes", models(c.attributes))
}

// findAttribute returns the collection and the place of the attribute in it.
func (a *Appwrite) findAttribute(q *request) (*collection, int, error) {
	c, err := a.collection(q)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(c.attributes, func(at attribute) bool { return at.Key == q.vars["key"] })
	if i < 0 {
		return nil, 0, a.notFound("attribute", q.vars["key"])
	}
	return c, i, nil
}

func (a *Appwrite) getAttribute(q *request) (reply, error) {
	c, i, err := a.findAttribute(q)
	if err != nil {
		return reply{}, err
	}
	return okReply(c.attributes[i].model())
}

// createAttribute answers that the attribute is in the making. By the next
// request it is there.
func (a *Appwrite) createAttribute(q *request) (reply, error) {
	r := q.reader()
	now := a.now()
	at := attribute{Key: r.name("key"), Type: q.attributeType(), created: now, updated: now}
	at.limit(nil, nil)
	if r.err == nil && !validKey(at.Key) {
		r.fail(invalidParam("key", customIDRule))
	}
	r.required("required")
	if at.Type == "string" {
		r.required("size")
		at.Encrypt = r.flag("encrypt", false)
	}
	at.Array = r.flag("array", false)
	at = r.attribute(at)
	if r.err != nil {
		return reply{}, r.err
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	same := func(other attribute) bool { return strings.EqualFold(other.Key, at.Key) } // as columns are
	if slices.ContainsFunc(c.attributes, same) {
		return reply{}, alreadyExists("attribute")
	}
	c.attributes = append(c.attributes, at)
	c.rewrite()
	m := at.model()
	m["status"] = "processing"
	return acceptedReply(m)
}

// attributeType is the type in the path, where a double is a float.
func (q *request) attributeType() string {
	if q.vars["type"] == "float" {
		return "double"
	}
	return q.vars["type"]
}

// attribute reads what may be changed in an attribute, and checks the whole. A
// size or limit that is absent stays as it is in at.
func (r *reader) attribute(at attribute) attribute {
	at.Required = r.flag("required", false)
	at.Default = r.get("default")
	switch at.Type {
	case "string":
		if size := r.whole("size"); size != nil {
			at.Size = int(*size)
		}
		if at.Size < 1 || at.Size > 1<<30 {
			r.fail(invalidParam("size", "Value must be a valid range between 1 and 1,073,741,824"))
		}
	case "integer":
		least, most := at.least, at.most
		if n := r.whole("min"); n != nil {
			least = *n
		}
		if n := r.whole("max"); n != nil {
			most = *n
		}
		at.limit(&least, &most)
		if at.least > at.most {
			r.fail(&apiError{400, "attribute_value_invalid", "Minimum value must be lesser than maximum value"})
		}
	case "double":
		r.float("min", &at.Min)
		r.float("max", &at.Max)
	}
	if at.Required && at.Default != nil {
		r.fail(&apiError{400, "attribute_default_unsupported", "Default value cannot be set for required attributes."})
	}
	if at.Default != nil && (at.Array || at.check(at.Default) != nil) {
		r.fail(&apiError{400, "attribute_value_invalid", "The default value is invalid."})
	}
	if err := at.known(); err != nil {
		r.fail(invalidParam("type", "The stand-in does not know this: "+err.Error()))
	}
	return at
}

func (r *reader) float(name string, to **float64) {
	switch v := r.get(name).(type) {
	case nil:
	case float64:
		*to = &v
	case int64:
		f := float64(v)
		*to = &f
	default:
		r.fail(invalidParam(name, "Value must be a valid float"))
	}
}

// updateAttribute is PATCH of what may be changed without a new column: not of
// the type, array and encrypt.
func (a *Appwrite) updateAttribute(q *request) (reply, error) {
	c, i, err := a.findAttribute(q)
	if err != nil {
		return reply{}, err
	}
	old := c.attributes[i]
	if old.Type != q.attributeType() {
		return reply{}, &apiError{400, "attribute_type_invalid", "The attribute type is invalid."}
	}
	r := q.reader()
	r.required("required")
	if key := r.text("newKey", maxKey); key != "" && key != old.Key {
		r.fail(invalidParam("newKey", "The stand-in renames no attribute."))
	}
	at := r.attribute(old)
	if r.err != nil {
		return reply{}, r.err
	}
	for _, d := range c.order {
		if at.Size < old.Size && at.check(d.Data[at.Key]) != nil {
			return reply{}, &apiError{400, "attribute_invalid_resize", "Existing data is too large for new size."}
		}
	}
	at.updated = a.now()
	c.attributes = slices.Clone(c.attributes)
	c.attributes[i] = at
	return okReply(at.model())
}

// deleteAttribute drops the column, and with it what every document has there.
func (a *Appwrite) deleteAttribute(q *request) (reply, error) {
	c, i, err := a.findAttribute(q)
	if err != nil {
		return reply{}, err
	}
	c.attributes = slices.Delete(slices.Clone(c.attributes), i, i+1)
	c.rewrite()
	return deletedReply()
}

// rewrite gives every document the columns that the collection has now. A new
// one is empty, whatever its default.
func (c *collection) rewrite() {
	for _, old := range slices.Clone(c.order) {
		d := *old
		d.Data = maps.Clone(old.Data)
		maps.DeleteFunc(d.Data, func(key string, _ any) bool {
			_, kept := c.attribute(key)
			return !kept
		})
		d.Data = c.row(d.Data, false)
		if !reflect.DeepEqual(d.Data, old.Data) {
			c.put(&d)
		}
	}
}
