package fakeconsole

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"openruntimes/handler/internal/fakeappwrite"
)

type (
	database   = fakeappwrite.Database
	collection = fakeappwrite.Collection
	attribute  = fakeappwrite.Attribute
	index      = fakeappwrite.Index
)

func (c *Console) findDatabase(q *request) (*database, error) {
	if db := c.Databases[q.Var("database")]; db != nil {
		return db, nil
	}
	return nil, c.NotFound("database", q.Var("database"))
}

func (c *Console) listDatabases(q *request) (reply, error) {
	return list(q, "databases", sorted(c.Databases))
}

func (c *Console) createDatabase(q *request) (reply, error) {
	id, err := newID(q, "database", c.Databases)
	if err != nil {
		return reply{}, err
	}
	db := &database{ID: id, Enabled: true, Times: c.Stamp(), Collections: map[string]*collection{}}
	if err := q.Read(db, "name"); err != nil {
		return reply{}, err
	}
	c.Databases[id] = db
	return answer(http.StatusCreated, db)
}

func (c *Console) updateDatabase(q *request, db *database) (reply, error) {
	changed := *db
	changed.Enabled, changed.Updated = true, c.Stamp().Updated
	if err := q.Read(&changed, "name"); err != nil {
		return reply{}, err
	}
	*db = changed
	return answer(http.StatusOK, db)
}

func (c *Console) deleteDatabase(_ *request, db *database) (reply, error) {
	delete(c.Databases, db.ID)
	return deletedReply()
}

// createCollection takes no attributes and indexes, which 1.8 ignores.
func (c *Console) createCollection(q *request, db *database) (reply, error) {
	id, err := newID(q, "collection", db.Collections)
	if err != nil {
		return reply{}, err
	}
	coll := &collection{ID: id, DatabaseID: db.ID, Times: c.Stamp(), Permissions: []string{}}
	if err := readCollection(q, coll); err != nil {
		return reply{}, err
	}
	coll.Attributes, coll.Indexes = []attribute{}, []index{}
	db.Collections[id] = coll
	return answer(http.StatusCreated, coll)
}

// readCollection gives what is absent its default, except for permissions: a PUT
// with only a name ends documentSecurity.
func readCollection(q *request, coll *collection) error {
	coll.DocumentSecurity, coll.Enabled = false, true
	permissions, err := fakeappwrite.ReadPermissions(q.Params["permissions"], "create", "read", "update", "delete", "write")
	if err != nil {
		return err
	}
	if permissions != nil {
		coll.Permissions = permissions
	}
	return q.Read(coll, "name")
}

func (c *Console) updateCollection(q *request, coll *collection) (reply, error) {
	changed := *coll
	if err := readCollection(q, &changed); err != nil {
		return reply{}, err
	}
	changed.Updated, changed.Attributes, changed.Indexes = c.Stamp().Updated, coll.Attributes, coll.Indexes
	*coll = changed
	return answer(http.StatusOK, coll)
}

func (c *Console) deleteCollection(_ *request, coll *collection) (reply, error) {
	delete(c.Databases[coll.DatabaseID].Collections, coll.ID)
	return deletedReply()
}

// listAttributes finds all of them built. On 1.9.6 six took 0.2 s.
func (c *Console) listAttributes(q *request, coll *collection) (reply, error) {
	for i := range coll.Attributes {
		coll.Attributes[i].Status = "available"
	}
	return list(q, "attributes", coll.Attributes)
}

// createAttribute answers that the attribute is in the making. Documents may have
// it at once, and an index once attributes have been listed.
func (c *Console) createAttribute(q *request, coll *collection) (reply, error) {
	at := attribute{Type: q.Var("type"), Status: "processing", Times: c.Stamp()}
	if fakeappwrite.Older(c.Version, "1.9.0") && (at.Type == "varchar" || at.Type == "text") {
		return reply{}, &apiError{Status: 404, Type: "general_route_not_found", Message: "The requested route was not found. Please refer to the API docs and try again."}
	}
	if err := readAttribute(q, &at, "key"); err != nil {
		return reply{}, err
	}
	if !fakeappwrite.ValidKey(at.Key) {
		return reply{}, fakeappwrite.InvalidParam("key", fakeappwrite.CustomIDRule)
	}
	same := func(other attribute) bool { return strings.EqualFold(other.Key, at.Key) } // as columns are
	if slices.ContainsFunc(coll.Attributes, same) {
		return reply{}, alreadyExists("attribute")
	}
	coll.Attributes = append(coll.Attributes, at)
	return answer(http.StatusAccepted, at)
}

// readAttribute leaves a size or limit that is absent as it is, and checks the
// whole. What an attribute of that type does not have is not shown either: the CLI
// deletes and makes anew an attribute that has a field more than appwrite.json.
func readAttribute(q *request, at *attribute, required ...string) error {
	no, plain, least, most := false, "", int64(math.MinInt64), int64(math.MaxInt64)
	switch {
	case at.Type == "datetime" && at.Format == nil:
		at.Format = &plain
	case at.Type == "string" && at.Encrypt == nil:
		at.Encrypt = &no
	case at.Type == "integer" && at.Min == nil:
		at.Min, at.Max = &least, &most
	}
	at.Default = nil
	if err := q.Read(at, append(required, "required")...); err != nil {
		return err
	}
	switch {
	case (at.Type == "string" || at.Type == "varchar") && (at.Size < 1 || at.Size > 1<<30):
		return fakeappwrite.InvalidParam("size", "Value must be a valid range between 1 and 1,073,741,824")
	case at.Type == "integer" && *at.Min > *at.Max:
		return badRequest("attribute_value_invalid", "Minimum value must be lesser than maximum value")
	}
	if err := at.Known(); err != nil {
		return fakeappwrite.InvalidParam("type", err.Error())
	}
	return nil
}

// attribute returns the place of the one in the path, where its type may be.
func (c *Console) attribute(q *request, coll *collection) (int, error) {
	i := slices.IndexFunc(coll.Attributes, func(at attribute) bool {
		return at.Key == q.Var("key") && (q.Var("type") == "" || q.Var("type") == at.Type)
	})
	if i < 0 {
		return 0, c.NotFound("attribute", q.Var("key"))
	}
	return i, nil
}

// updateAttribute is PATCH of what may be changed without a new column: not of
// the key, type, array and encrypt.
func (c *Console) updateAttribute(q *request, coll *collection) (reply, error) {
	i, err := c.attribute(q, coll)
	if err != nil {
		return reply{}, err
	}
	at := coll.Attributes[i]
	if err := readAttribute(q, &at); err != nil {
		return reply{}, err
	}
	at.Key, at.Updated = q.Var("key"), c.Stamp().Updated
	coll.Attributes[i] = at
	return answer(http.StatusOK, at)
}

func (c *Console) deleteAttribute(q *request, coll *collection) (reply, error) {
	i, err := c.attribute(q, coll)
	if err != nil {
		return reply{}, err
	}
	coll.RemoveAttribute(i)
	return deletedReply()
}

func (c *Console) listIndexes(q *request, coll *collection) (reply, error) {
	for i := range coll.Indexes {
		coll.Indexes[i].Status = "available"
	}
	return list(q, "indexes", coll.Indexes)
}

// createIndex wants attributes that are built: of one that was made just before,
// 1.9.6 answered 400 attribute_not_available.
func (c *Console) createIndex(q *request, coll *collection) (reply, error) {
	ix := index{Orders: []string{}, Status: "processing", Times: c.Stamp()}
	if err := q.Read(&ix, "key", "type", "attributes"); err != nil {
		return reply{}, err
	}
	if err := ix.Known(); err != nil {
		return reply{}, fakeappwrite.InvalidParam("type", err.Error())
	}
	if slices.ContainsFunc(coll.Indexes, func(other index) bool { return strings.EqualFold(other.Key, ix.Key) }) {
		return reply{}, alreadyExists("index")
	}
	for _, key := range ix.Attributes {
		i := slices.IndexFunc(coll.Attributes, func(at attribute) bool { return at.Key == key })
		if i < 0 {
			return reply{}, badRequest("attribute_unknown", "The attribute required for the index could not be found: "+key)
		}
		if coll.Attributes[i].Status == "processing" {
			return reply{}, badRequest("attribute_not_available", "The requested attribute '"+key+"' is not yet available. Please try again later.")
		}
	}
	coll.Indexes = append(coll.Indexes, ix)
	return answer(http.StatusAccepted, ix)
}
