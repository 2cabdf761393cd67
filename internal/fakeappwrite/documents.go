package fakeappwrite

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is one stored document.
type Document struct {
	ID                   string
	Sequence             int
	CreatedAt, UpdatedAt time.Time // UTC, to the millisecond
	Permissions          []string

	// Data has every attribute that the collection had when the document was
	// written, nil where it is not set. Integers are int64, dates the text that
	// is answered.
	Data map[string]any
}

// Document returns what is stored under an id, in whatever case it is spelt.
func (a *Appwrite) Document(database, collection, id string) (Document, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.stored(database, collection); c != nil {
		if d := c.documents[strings.ToLower(id)]; d != nil {
			return d.clone(), true
		}
	}
	return Document{}, false
}

// Documents returns what is stored in a collection, in order of creation.
func (a *Appwrite) Documents(database, collection string) []Document {
	a.mu.Lock()
	defer a.mu.Unlock()
	var documents []Document
	if c := a.stored(database, collection); c != nil {
		for _, d := range c.order {
			documents = append(documents, d.clone())
		}
	}
	return documents
}

func (a *Appwrite) stored(database, collection string) *Collection {
	if db := a.Databases[database]; db != nil {
		return db.Collections[collection]
	}
	return nil
}

func (d *Document) clone() Document {
	c := *d
	c.Permissions = slices.Clone(d.Permissions)
	c.Data = maps.Clone(d.Data)
	return c
}

func (a *Appwrite) create(q *Request) (Reply, error) {
	id, err := q.newDocumentID()
	if err != nil {
		return Reply{}, err
	}
	data, permissions, err := q.dataParams()
	if err != nil {
		return Reply{}, err
	}
	if q.Params["documents"] != nil || q.Params["transactionId"] != nil {
		return Reply{}, &Error{400, "general_bad_request", "You can only send one of the following parameters: data, documents"}
	}
	if len(data) == 0 {
		return Reply{}, missingData("The document data is missing. Try again with document data populated")
	}
	if id == "" || id == "0" { // which is empty to PHP
		return Reply{}, missingData("Document ID is required when creating a single document.")
	}
	c, err := a.Collection(q)
	if err != nil {
		return Reply{}, err
	}
	if !q.caller.key {
		return Reply{}, denied("create") // whatever the collection grants
	}
	if permissions == nil {
		permissions = []string{} // nobody but keys
	}
	now := a.now()
	d := &Document{ID: id, CreatedAt: now, UpdatedAt: now, Permissions: permissions, Data: map[string]any{}}
	for _, at := range c.Attributes {
		d.Data[at.Key] = nil
	}
	maps.Copy(d.Data, c.withDates(data, now))
	if err := c.check(d.Data); err != nil {
		return Reply{}, err
	}
	if c.documents[strings.ToLower(id)] != nil {
		return Reply{}, &Error{409, "document_already_exists", "Document with the requested ID" + a.quoted(id) +
			" already exists. Try again with a different ID or use ID.unique() to generate a unique ID."}
	}
	c.insert(d)
	a.publish(c, d, "create")
	return Reply{Status: http.StatusCreated, Body: a.render(q.HTTP, c, d)}, nil
}

// newDocumentID returns the id for a new document, empty if none was given.
func (q *Request) newDocumentID() (string, error) {
	id, _ := q.Params["documentId"].(string)
	switch {
	case id == "unique()":
		return NewID(), nil
	case q.Params["documentId"] != nil && !ValidKey(id):
		return "", InvalidParam("documentId", CustomIDRule)
	}
	return id, nil
}

func (a *Appwrite) get(q *Request) (Reply, error) {
	c, err := a.Collection(q)
	if err != nil {
		return Reply{}, err
	}
	if queries, err := q.queries(); err != nil || len(queries) > 0 {
		return Reply{}, invalidQuery("the fake reads a document without queries")
	}
	d := a.document(q, c)
	if d == nil || !q.caller.mayRead(c, d.Permissions) {
		return Reply{}, a.NotFound("document", q.Var("document"))
	}
	if a.CachedRow {
		c.cache(d)
	}
	return Reply{Status: http.StatusOK, Body: a.render(q.HTTP, c, d)}, nil
}

// document returns the one that the path names, or nil.
func (a *Appwrite) document(q *Request, c *Collection) *Document {
	id := q.Var("document")
	d := c.documents[strings.ToLower(id)]
	if d != nil && a.PostgreSQL && d.ID != id {
		return nil
	}
	return d
}

// toChange returns the collection and the document that a request wants to
// change, which nobody may have changed since it was read. Only keys may change
// anything here.
func (a *Appwrite) toChange(q *Request, action string) (*Collection, *Document, error) {
	c, err := a.Collection(q)
	if err != nil {
		return nil, nil, err
	}
	d := a.document(q, c)
	if d == nil {
		return nil, nil, a.NotFound("document", q.Var("document"))
	}
	if !q.caller.key {
		return nil, nil, denied(action) // whatever it grants
	}
	read, err := requestTimestamp(q.HTTP)
	row := a.rowToChange(c, d)
	// Two writes within a millisecond cannot be told apart.
	if err == nil && !read.IsZero() && row.UpdatedAt.After(read) {
		err = &Error{409, "document_update_conflict", "Remote document is newer than local."}
	}
	return c, row, err
}

// rowToChange is the row that a change starts from, of the stored document.
func (a *Appwrite) rowToChange(c *Collection, stored *Document) *Document {
	cached := c.cached[strings.ToLower(stored.ID)]
	if a.CachedRow && Older(a.Version, "1.9.5") && cached != nil && cached.Sequence == stored.Sequence {
		return cached
	}
	return stored
}

// cache keeps a row for those who read it later.
func (c *Collection) cache(d *Document) {
	if c.cached == nil {
		c.cached = map[string]*Document{}
	}
	c.cached[strings.ToLower(d.ID)] = d
}

// replace is PATCH: it merges the data into the document and validates the
// whole. The header X-Appwrite-Timestamp makes it a compare-and-set on
// $updatedAt: 1.9.6 let exactly one writer through in each of 200 rounds, 1.9.0
// and 1.8.1 not always (see [Appwrite.CachedRow]).
func (a *Appwrite) replace(q *Request) (Reply, error) {
	data, permissions, err := q.dataParams()
	if err != nil {
		return Reply{}, err
	}
	if len(data) == 0 && permissions == nil {
		return Reply{}, &Error{400, "document_missing_payload", "The document data and permissions are missing. You must provide either document data or permissions to be updated."}
	}
	c, old, err := a.toChange(q, "update")
	if err != nil {
		return Reply{}, err
	}
	d, err := a.merge(c, old, data, permissions)
	if err != nil {
		return Reply{}, err
	}
	c.put(d)
	a.publish(c, d, "update")
	return Reply{Status: http.StatusOK, Body: a.render(q.HTTP, c, d)}, nil
}

// merge returns old with the changes. A document that they leave as it was
// keeps its $updatedAt.
func (a *Appwrite) merge(c *Collection, old *Document, data map[string]any, permissions []string) (*Document, error) {
	if err := refuseOperators(data); err != nil {
		return nil, err
	}
	d := old.clone()
	maps.Copy(d.Data, c.withDates(data, a.now()))
	if permissions != nil {
		d.Permissions = permissions
	}
	if err := c.check(d.Data); err != nil {
		return nil, err
	}
	if !c.same(&d, old) {
		d.UpdatedAt = a.now()
	}
	return &d, nil
}

// refuseOperators refuses a text that begins like a JSON object. Appwrite does not
// store one whose method is an operator's, such as {"method":"increment","values":[1]},
// in a PATCH, but executes it (Databases/Action.php), be it the name of a payer.
func refuseOperators(data map[string]any) error {
	for key, v := range data {
		if s, ok := v.(string); ok && strings.HasPrefix(strings.TrimSpace(s), "{") {
			return &Error{400, "general_bad_request", `Invalid operator for attribute "` + key + `": the fake executes none`}
		}
	}
	return nil
}

// same reports whether nothing differs that a change can change.
func (c *Collection) same(x, y *Document) bool {
	differs := func(at Attribute) bool { return x.Data[at.Key] != y.Data[at.Key] }
	return !slices.ContainsFunc(c.Attributes, differs) &&
		slices.Equal(slices.Sorted(slices.Values(x.Permissions)), slices.Sorted(slices.Values(y.Permissions)))
}

func (a *Appwrite) delete(q *Request) (Reply, error) {
	c, d, err := a.toChange(q, "delete")
	if err != nil {
		return Reply{}, err
	}
	delete(c.documents, strings.ToLower(d.ID))
	i := c.index(d)
	c.order = slices.Delete(c.order, i, i+1)
	a.publish(c, d, "delete")
	return Reply{Status: http.StatusNoContent}, nil
}

func (a *Appwrite) list(q *Request) (Reply, error) {
	c, err := a.Collection(q)
	if err != nil {
		return Reply{}, err
	}
	queries, err := q.queries()
	if err != nil {
		return Reply{}, err
	}
	if !c.DocumentSecurity && !q.caller.mayRead(c, nil) {
		return Reply{}, denied("read")
	}
	readable := slices.DeleteFunc(slices.Clone(c.order), func(d *Document) bool {
		return !q.caller.mayRead(c, d.Permissions)
	})
	page, total, err := c.search(readable, queries)
	if err != nil {
		return Reply{}, err
	}
	selected, err := c.selection(queries)
	if err != nil {
		return Reply{}, err
	}
	documents := make([]Model, len(page))
	for i, d := range page {
		documents[i] = a.render(q.HTTP, c, d)
		maps.DeleteFunc(documents[i], func(key string, _ any) bool {
			return selected != nil && !selected[key] && !strings.HasPrefix(key, "$")
		})
	}
	return Reply{Status: http.StatusOK, Body: Model{"total": total, "documents": documents}}, nil
}

// Collection finds the one that a request names. Only API keys see what is
// disabled, and write to it as to any other.
func (a *Appwrite) Collection(q *Request) (*Collection, error) {
	db := a.Databases[q.Var("database")]
	if db == nil || !db.Enabled && !q.caller.key {
		return nil, a.NotFound("database", q.Var("database"))
	}
	c := db.Collections[q.Var("collection")]
	if c == nil || !c.Enabled && !q.caller.key {
		return nil, a.NotFound("collection", q.Var("collection"))
	}
	return c, nil
}

// pathParams checks the ids in the path.
func (q *Request) pathParams() error {
	for _, name := range []string{"database", "collection", "document"} {
		if id, ok := q.vars[name]; ok && !ValidKey(id) {
			return InvalidParam(name+"Id", uidRule)
		}
	}
	return nil
}

// dataParams returns data and permissions. As everywhere in Appwrite, null is
// the same as absent.
func (q *Request) dataParams() (data map[string]any, permissions []string, err error) {
	data, ok := q.Params["data"].(map[string]any)
	if !ok && q.Params["data"] != nil {
		return nil, nil, InvalidParam("data", "Value must be a valid JSON object")
	}
	permissions, err = ReadPermissions(q.Params["permissions"], "read", "update", "delete", "write")
	return data, permissions, err
}

// withDates returns data with its dates in the form in which they are stored. The
// empty text is now, as it is to PHP. What is no date stays, for check to refuse.
func (c *Collection) withDates(data map[string]any, now time.Time) map[string]any {
	data = maps.Clone(data)
	for _, at := range c.Attributes {
		s, ok := data[at.Key].(string)
		if !ok || at.Type != "datetime" {
			continue
		}
		t, err := now, error(nil)
		if s != "" {
			t, err = parseTime(s)
		}
		if err == nil {
			data[at.Key] = formatTime(t)
		}
	}
	return data
}

// requestTimestamp reads X-Appwrite-Timestamp. It is zero without the header.
func requestTimestamp(r *http.Request) (time.Time, error) {
	s := r.Header.Get("X-Appwrite-Timestamp")
	if s == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return time.Time{}, &Error{400, "general_argument_invalid", "Invalid X-Appwrite-Timestamp header value"}
	}
	return t, nil
}

func missingData(message string) error {
	return &Error{400, "document_missing_data", message}
}

func denied(action string) error {
	return unauthorized("No permissions provided for action '" + action + "'")
}

func (c *Collection) insert(d *Document) {
	if c.documents == nil {
		c.documents = map[string]*Document{}
	}
	c.sequence++
	d.Sequence = c.sequence
	c.order = append(c.order, d)
	c.put(d)
}

func (c *Collection) put(d *Document) {
	d = d.cutAtNUL()
	c.documents[strings.ToLower(d.ID)] = d
	c.order[c.index(d)] = d
}

// index finds a document in the order of creation, which its sequence gives.
func (c *Collection) index(d *Document) int {
	i, _ := slices.BinarySearchFunc(c.order, d.Sequence, func(d *Document, n int) int { return d.Sequence - n })
	return i
}

// cutAtNUL is the document as PostgreSQL stores it: a string ends before its
// first NUL, though the reply to the write has all of it. MariaDB stores the
// whole. The fake does what loses more.
func (d *Document) cutAtNUL() *Document {
	stored := d.clone()
	for key, v := range d.Data {
		if s, ok := v.(string); ok {
			stored.Data[key], _, _ = strings.Cut(s, "\x00")
		}
	}
	return &stored
}

// publish notes the event of a write, and sends it to those who listen.
func (a *Appwrite) publish(c *Collection, d *Document, action string) {
	a.events = append(a.events, Event{c.ID, d.ID, action, d.clone()})
	a.broadcast(c, d, action)
}

func (a *Appwrite) render(r *http.Request, c *Collection, d *Document) Model {
	body := Model{
		"$id":           d.ID,
		"$sequence":     a.sequence(r, d.Sequence),
		"$createdAt":    formatTime(d.CreatedAt),
		"$updatedAt":    formatTime(d.UpdatedAt),
		"$permissions":  d.Permissions,
		"$databaseId":   c.DatabaseID,
		"$collectionId": c.ID,
	}
	for _, at := range c.Attributes {
		body[at.Key] = d.Data[at.Key] // null if the document is older than the attribute
	}
	return body
}

// sequence is a number for callers from before 1.9.0, and a string since. An
// SDK that expects the number fails on the string after its write was done.
func (a *Appwrite) sequence(r *http.Request, n int) any {
	format := r.Header.Get("X-Appwrite-Response-Format")
	if format == "" {
		format = a.Version
	}
	if !a.StringSequence && (Older(a.Version, "1.9.0") || Older(format, "1.9.0")) {
		return n
	}
	return strconv.Itoa(n)
}
