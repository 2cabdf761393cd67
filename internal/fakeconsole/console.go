// Package fakeconsole adds to a fake Appwrite the API with which a project is set
// up, as scripts/deploy and the Appwrite CLI use it: databases, collections,
// attributes, indexes, functions, their variables and deployments, and domains.
package fakeconsole

import (
	"encoding/json"
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
	c.Handle("GET", database, "GET databases", databasesRead, c.database(c.getDatabase))
	c.Handle("PUT", database, "PUT databases", databasesWrite, c.database(c.updateDatabase))
	c.Handle("DELETE", database, "DELETE databases", databasesWrite, c.database(c.deleteDatabase))

	c.Handle("POST", collections, "POST collections", collectionsWrite, c.database(c.createCollection))
	c.Handle("GET", collection, "GET collections", collectionsRead, c.collection(c.getCollection))
	c.Handle("PUT", collection, "PUT collections", collectionsWrite, c.collection(c.updateCollection))
	c.Handle("DELETE", collection, "DELETE collections", collectionsWrite, c.collection(c.deleteCollection))

	c.Handle("GET", attributes, "GET attributes", attributesRead, c.collection(c.listAttributes))
	c.Handle("POST", attributes+"/{type}", "POST attributes", attributesWrite, c.collection(c.createAttribute))
	c.Handle("PATCH", attributes+"/{type}/{key}", "PATCH attributes", attributesWrite, c.collection(c.updateAttribute))
	c.Handle("DELETE", attributes+"/{key}", "DELETE attributes", attributesWrite, c.collection(c.deleteAttribute))
	c.Handle("GET", collection+"/indexes", "GET indexes", indexesRead, c.collection(c.listIndexes))
	c.Handle("POST", collection+"/indexes", "POST indexes", indexesWrite, c.collection(c.createIndex))

	c.Handle("GET", functions, "GET functions", functionsRead, c.listFunctions)
	c.Handle("POST", functions, "POST functions", functionsWrite, c.createFunction)
	c.Handle("GET", function, "GET functions", functionsRead, c.function(c.getFunction))
	c.Handle("PUT", function, "PUT functions", functionsWrite, c.function(c.updateFunction))
	c.Handle("DELETE", function, "DELETE functions", functionsWrite, c.function(c.deleteFunction))

	c.Handle("GET", variables, "GET variables", functionsRead, c.function(c.listVariables))
	c.Handle("POST", variables, "POST variables", functionsWrite, c.function(c.createVariable))
	c.Handle("PUT", variables+"/{variable}", "PUT variables", functionsWrite, c.function(c.updateVariable))
	c.Handle("DELETE", variables+"/{variable}", "DELETE variables", functionsWrite, c.function(c.deleteVariable))

	c.Handle("GET", deployments, "GET deployments", functionsRead, c.function(c.listDeployments))
	c.Handle("POST", deployments, "POST deployments", functionsWrite, c.function(c.createDeployment))
	c.Handle("GET", deployments+"/{deployment}", "GET deployments", functionsRead, c.function(c.getDeployment))
	c.Handle("GET", deployments+"/{deployment}/download", "GET deployments", functionsRead, c.function(c.downloadDeployment))
	c.Handle("PATCH", function+"/deployment", "PATCH deployments", functionsWrite, c.function(c.activateDeployment))

	c.Handle("GET", "/v1/proxy/rules", "GET rules", rulesRead, c.listRules)
	c.Handle("POST", "/v1/proxy/rules/function", "POST rules", rulesWrite, c.createRule)

	// The CLI asks this as somebody who is logged in, which nobody is here.
	c.Handle("GET", "/v1/console/variables", "GET console", []string{"projects.read"}, nobody)
}

func nobody(*request) (reply, error) {
	return reply{}, &apiError{Status: 401, Type: "general_unauthorized_scope", Message: "nobody is logged in"}
}

func okReply(v any) (reply, error) {
	return reply{Status: http.StatusOK, Body: fakeappwrite.Shown[model](v)}, nil
}

func createdReply(v any) (reply, error) {
	return reply{Status: http.StatusCreated, Body: fakeappwrite.Shown[model](v)}, nil
}

func acceptedReply(v any) (reply, error) {
	return reply{Status: http.StatusAccepted, Body: fakeappwrite.Shown[model](v)}, nil
}

func deletedReply() (reply, error) { return reply{Status: http.StatusNoContent}, nil }

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

// read reads the parameters of a request into a struct that has the defaults. Null
// is the same as absent. The required ones must be there, and not be empty.
func read(q *request, into any, required ...string) error {
	for _, name := range required {
		if v := q.Params[name]; v == nil || v == "" {
			return badRequest("general_argument_invalid", `Param "`+name+`" is not optional.`)
		}
	}
	if len(q.Params) == 0 {
		return nil
	}
	if err := json.Unmarshal(q.Body, into); err != nil {
		return badRequest("general_argument_invalid", err.Error())
	}
	return nil
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
