// Package fakeconsole adds to a fake Appwrite the API with which a project is set
// up, as scripts/deploy and the Appwrite CLI use it: databases, collections,
// attributes, indexes, functions, their variables and deployments, and domains.
package fakeconsole

import (
	"maps"
	"net/http"
	"slices"
	"sync"

	"openruntimes/handler/internal/fakeappwrite"
)

type (
	request  = fakeappwrite.Request
	reply    = fakeappwrite.Reply
	model    = fakeappwrite.Model
	apiError = fakeappwrite.Error
)

// Console is an Appwrite that begins without databases and functions.
type Console struct {
	*fakeappwrite.Appwrite

	// Domain is the server's _APP_DOMAIN_FUNCTIONS, such as functions.localhost.
	// A function's domain must be exactly one label below it. Without it any
	// domain will do. It must be set before the first request.
	Domain string

	// OtherDomains takes domains that are not below Domain as well, and does not call
	// them verified. So it is in the source (Modules/Proxy/Action.php of 1.9.6); what a
	// real server said reads as if it refused them.
	OtherDomains bool

	// Appwrite.Do guards what follows.
	functions    map[string]*function
	rules        []*rule
	buildFailure string
	uploaded     []byte
	pieces       map[string]*upload // by the deployment's id

	builds sync.WaitGroup
	hold   sync.RWMutex // held while no build may end
}

// New returns an empty one.
func New() *Console {
	c := &Console{
		Appwrite:  fakeappwrite.NewEmpty(),
		functions: map[string]*function{},
		pieces:    map[string]*upload{},
	}
	c.handleAll()
	return c
}

// handleAll adds the routes. The operations are the methods and the kinds of
// resources; "PATCH deployments" makes one active.
func (c *Console) handleAll() {
	const (
		databases   = "/v1/databases"
		database    = databases + "/{database}"
		collections = database + "/collections"
		collection  = collections + "/{collection}"
		attributes  = collection + "/attributes"
		functions   = "/v1/functions"
		function    = functions + "/{function}"
		variables   = function + "/variables"
		deployments = function + "/deployments"
	)
	var (
		databasesRead, databasesWrite     = []string{"databases.read"}, []string{"databases.write"}
		collectionsRead, collectionsWrite = []string{"collections.read", "tables.read"}, []string{"collections.write", "tables.write"}
		attributesRead, attributesWrite   = append(collectionsRead, "attributes.read"), append(collectionsWrite, "attributes.write")
		indexesRead, indexesWrite         = append(collectionsRead, "indexes.read"), append(collectionsWrite, "indexes.write")
		functionsRead, functionsWrite     = []string{"functions.read"}, []string{"functions.write"}
		rulesRead, rulesWrite             = []string{"rules.read"}, []string{"rules.write"}
	)
	c.Handle("GET", databases, "GET databases", databasesRead, c.listDatabases)
	c.Handle("POST", databases, "POST databases", databasesWrite, c.createDatabase)
	c.Handle("GET", database, "GET databases", databasesRead, with(c.findDatabase, get))
	c.Handle("PUT", database, "PUT databases", databasesWrite, with(c.findDatabase, c.updateDatabase))
	c.Handle("DELETE", database, "DELETE databases", databasesWrite, with(c.findDatabase, c.deleteDatabase))

	c.Handle("POST", collections, "POST collections", collectionsWrite, with(c.findDatabase, c.createCollection))
	c.Handle("GET", collection, "GET collections", collectionsRead, with(c.Collection, get))
	c.Handle("PUT", collection, "PUT collections", collectionsWrite, with(c.Collection, c.updateCollection))
	c.Handle("DELETE", collection, "DELETE collections", collectionsWrite, with(c.Collection, c.deleteCollection))

	c.Handle("GET", attributes, "GET attributes", attributesRead, with(c.Collection, c.listAttributes))
	c.Handle("POST", attributes+"/{type}", "POST attributes", attributesWrite, with(c.Collection, c.createAttribute))
	c.Handle("PATCH", attributes+"/{type}/{key}", "PATCH attributes", attributesWrite, with(c.Collection, c.updateAttribute))
	c.Handle("DELETE", attributes+"/{key}", "DELETE attributes", attributesWrite, with(c.Collection, c.deleteAttribute))
	c.Handle("GET", collection+"/indexes", "GET indexes", indexesRead, with(c.Collection, c.listIndexes))
	c.Handle("POST", collection+"/indexes", "POST indexes", indexesWrite, with(c.Collection, c.createIndex))

	c.Handle("GET", functions, "GET functions", functionsRead, c.listFunctions)
	c.Handle("POST", functions, "POST functions", functionsWrite, c.createFunction)
	c.Handle("GET", function, "GET functions", functionsRead, with(c.findFunction, get))
	c.Handle("PUT", function, "PUT functions", functionsWrite, with(c.findFunction, c.updateFunction))
	c.Handle("DELETE", function, "DELETE functions", functionsWrite, with(c.findFunction, c.deleteFunction))

	c.Handle("GET", variables, "GET variables", functionsRead, with(c.findFunction, c.listVariables))
	c.Handle("POST", variables, "POST variables", functionsWrite, with(c.findFunction, c.createVariable))
	c.Handle("PUT", variables+"/{variable}", "PUT variables", functionsWrite, with(c.findFunction, c.updateVariable))
	c.Handle("DELETE", variables+"/{variable}", "DELETE variables", functionsWrite, with(c.findFunction, c.deleteVariable))

	c.Handle("GET", deployments, "GET deployments", functionsRead, with(c.findFunction, c.listDeployments))
	c.Handle("POST", deployments, "POST deployments", functionsWrite, with(c.findFunction, c.createDeployment))
	c.Handle("GET", deployments+"/{deployment}", "GET deployments", functionsRead, with(c.findDeployment, get))
	c.Handle("GET", deployments+"/{deployment}/download", "GET deployments", functionsRead, with(c.findDeployment, c.downloadDeployment))
	c.Handle("PATCH", function+"/deployment", "PATCH deployments", functionsWrite, with(c.findFunction, c.activateDeployment))

	c.Handle("GET", "/v1/proxy/rules", "GET rules", rulesRead, c.listRules)
	c.Handle("POST", "/v1/proxy/rules/function", "POST rules", rulesWrite, c.createRule)

	// The CLI asks this as somebody who is logged in, which nobody is here.
	c.Handle("GET", "/v1/console/variables", "GET console", []string{"projects.read"}, nobody)
}

func nobody(*request) (reply, error) {
	return reply{}, &apiError{Status: 401, Type: "general_unauthorized_scope", Message: "nobody is logged in"}
}

// answer replies with what v is now.
func answer(status int, v any) (reply, error) {
	return reply{Status: status, Body: fakeappwrite.Shown[model](v)}, nil
}

func deletedReply() (reply, error) { return reply{Status: http.StatusNoContent}, nil }

func get[T any](_ *request, found T) (reply, error) { return answer(http.StatusOK, found) }

// with finds what the path names before anything else.
func with[T any](find func(*request) (T, error), handle func(*request, T) (reply, error)) fakeappwrite.Handler {
	return func(q *request) (reply, error) {
		found, err := find(q)
		if err != nil {
			return reply{}, err
		}
		return handle(q, found)
	}
}

// list replies with one page of a slice.
func list(q *request, kind string, all any) (reply, error) {
	return q.Page(kind, fakeappwrite.Shown[[]model](all))
}

// sorted returns the values of m by id, where Appwrite has the order of creation.
func sorted[T any](m map[string]T) []T {
	values := []T{}
	for _, id := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[id])
	}
	return values
}

// newID reads the id for something new of that kind.
func newID[T any](q *request, kind string, taken map[string]T) (string, error) {
	name := kind + "Id"
	id, _ := q.Params[name].(string)
	if id == "unique()" {
		return fakeappwrite.NewID(), nil
	}
	if !fakeappwrite.ValidKey(id) {
		return "", fakeappwrite.InvalidParam(name, fakeappwrite.CustomIDRule)
	}
	if _, exists := taken[id]; exists {
		return "", alreadyExists(kind)
	}
	return id, nil
}

func badRequest(errorType, message string) error {
	return &apiError{Status: 400, Type: errorType, Message: message}
}

func alreadyExists(kind string) error {
	return &apiError{Status: 409, Type: kind + "_already_exists", Message: "A " + kind + " with the requested ID already exists."}
}
