package fakeappwrite

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/http"
	"reflect"
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

	// Data has every attribute of the collection, nil where it is not set.
	// Integers are int64, dates the text that is answered.
	Data map[string]any
}

// Document returns what is stored under an id, in whatever case it is spelt.
func (a *Appwrite) Document(database, collection, id string) (Document, bool) {
	a.schema.RLock()
	defer a.schema.RUnlock()
	c := a.stored(database, collection)
	if c == nil {
		return Document{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := c.documents[strings.ToLower(id)]
	if !ok {
		return Document{}, false
	}
	return d.clone(), true
}

// Documents returns what is stored in a collection, in order of creation.
func (a *Appwrite) Documents(database, collection string) []Document {
	a.schema.RLock()
	defer a.schema.RUnlock()
	c := a.stored(database, collection)
	if c == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	documents := make([]Document, len(c.order))
	for i, d := range c.order {
		documents[i] = d.clone()
	}
	return documents
}

func (a *Appwrite) stored(database, collection string) *collection {
	if db := a.databases[database]; db != nil {
		return db.collections[collection]
	}
	return nil
}

func (d *Document) clone() Document {
	c := *d
	c.Permissions = slices.Clone(d.Permissions)
	c.Data = maps.Clone(d.Data)
	for k, v := range c.Data {
		if list, ok := v.([]any); ok {
			c.Data[k] = slices.Clone(list)
		}
	}
	return c
}

func (a *Appwrite) create(q *request) (reply, error) {
	id, err := q.newDocumentID()
	if err != nil {
		return reply{}, err
	}
	data, permissions, err := q.dataParams()
	if err != nil {
		return reply{}, err
	}
	if q.params["transactionId"] != nil {
		return reply{}, invalidParam("transactionId", "The stand-in has no transactions, which write nothing until they are committed.")
	}
	if q.params["documents"] != nil {
		return reply{}, &apiError{400, "general_bad_request", "You can only send one of the following parameters: data, documents"}
	}
	if len(data) == 0 {
		return reply{}, missingData("The document data is missing. Try again with document data populated")
	}
	if empty(id) {
		return reply{}, missingData("Document ID is required when creating a single document.")
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	if permissions == nil {
		permissions = q.caller.ownPermissions()
	}
	if err := q.caller.mayGrant(permissions); err != nil {
		return reply{}, err
	}
	if !q.caller.may("create", c, nil) {
		return reply{}, denied("create")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := &Document{ID: id, Permissions: permissions}
	if err := a.fill(c, d, data, q.caller); err != nil {
		return reply{}, err
	}
	if c.documents[strings.ToLower(id)] != nil {
		return reply{}, &apiError{409, "document_already_exists", "Document with the requested ID" + a.quoted(id) +
			" already exists. Try again with a different ID or use ID.unique() to generate a unique ID."}
	}
	c.insert(d)
	return a.published(q, c, d, "create", http.StatusCreated), nil
}

// newDocumentID returns the id for a new document, empty if none was given.
func (q *request) newDocumentID() (string, error) {
	if err := q.collectionParams(); err != nil {
		return "", err
	}
	v := q.params["documentId"]
	if v == nil {
		return "", nil
	}
	if v == "unique()" {
		return newID(), nil
	}
	id, ok := v.(string)
	if !ok || !validKey(id) {
		return "", invalidParam("documentId", customIDRule)
	}
	return id, nil
}

func (a *Appwrite) get(q *request) (reply, error) {
	if err := q.pathParams(); err != nil {
		return reply{}, err
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	if queries, err := queriesParam(q.http.URL.Query()); err != nil || len(queries) > 0 {
		return reply{}, invalidQuery("a document is read without queries here")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.find(c, q.id)
	if d == nil || !q.caller.may("read", c, d.Permissions) {
		return reply{}, a.notFound("document", q.id)
	}
	if a.CachedRow {
		c.cache(d)
	}
	return reply{status: http.StatusOK, body: a.render(q, c, d)}, nil
}

// find returns the document that a path names, or nil.
func (a *Appwrite) find(c *collection, id string) *Document {
	d := c.documents[strings.ToLower(id)]
	if d != nil && a.PostgreSQL && d.ID != id {
		return nil
	}
	return d
}

// replace is PATCH: it merges the data into the document and validates the
// whole. The header X-Appwrite-Timestamp makes it a compare-and-set on
// $updatedAt: 1.9.6 let exactly one writer through in each of 200 rounds, 1.9.0
// and 1.8.1 not always (see [Appwrite.CachedRow]).
func (a *Appwrite) replace(q *request) (reply, error) {
	data, permissions, err := q.writeParams()
	if err != nil {
		return reply{}, err
	}
	read, err := requestTimestamp(q.http)
	if err != nil {
		return reply{}, err
	}
	if len(data) == 0 && permissions == nil {
		return reply{}, missingPayload()
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.find(c, q.id)
	if old == nil {
		return reply{}, a.notFound("document", q.id)
	}
	if permissions == nil {
		permissions = old.Permissions
	} else if err := q.caller.mayGrant(permissions); err != nil {
		return reply{}, err
	}
	if !q.caller.may("update", c, old.Permissions) {
		return reply{}, denied("update")
	}
	row := a.rowToChange(c, old)
	if newer(row, read) {
		return reply{}, updateConflict()
	}
	d, err := a.merge(c, row, data, permissions, q.caller)
	if err != nil {
		return reply{}, err
	}
	c.put(d)
	return a.published(q, c, d, "update", http.StatusOK), nil
}

// rowToChange is the row that a PATCH starts from, of the document that stands.
func (a *Appwrite) rowToChange(c *collection, stands *Document) *Document {
	cached := c.cached[strings.ToLower(stands.ID)]
	if a.CachedRow && older(a.Version, "1.9.5") && cached != nil && cached.Sequence == stands.Sequence {
		return cached
	}
	return stands
}

// cache keeps a row for those who read it later.
func (c *collection) cache(d *Document) {
	if c.cached == nil {
		c.cached = map[string]*Document{}
	}
	c.cached[strings.ToLower(d.ID)] = d
}

// upsert is PUT, which creates or replaces. It never conflicts, and it wants
// every required attribute even for a document that has them.
func (a *Appwrite) upsert(q *request) (reply, error) {
	data, permissions, err := q.writeParams()
	if err != nil {
		return reply{}, err
	}
	if _, err := requestTimestamp(q.http); err != nil {
		return reply{}, err // read, and then not used
	}
	if q.params["data"] == nil && older(a.Version, "1.9.0") {
		// 1.8.1 answered general_argument_invalid to a PUT of {}.
		return reply{}, &apiError{400, "general_argument_invalid", `Param "data" is not optional.`}
	}
	if len(data) == 0 && permissions == nil {
		return reply{}, missingPayload()
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := c.documents[strings.ToLower(q.id)]
	if permissions == nil {
		permissions = q.caller.ownPermissions()
		if old != nil {
			permissions = old.Permissions
		}
	}
	if err := q.caller.mayGrant(permissions); err != nil {
		return reply{}, err
	}
	d, err := a.upserted(q, c, old, data, permissions)
	if err != nil {
		return reply{}, err
	}
	return a.published(q, c, d, "upsert", http.StatusOK), nil
}

func (a *Appwrite) upserted(q *request, c *collection, old *Document, data map[string]any, permissions []string) (*Document, error) {
	if old != nil {
		if !q.caller.may("update", c, old.Permissions) {
			return nil, denied("update")
		}
		if err := c.checkRequired(data); err != nil {
			return nil, err
		}
		d, err := a.merge(c, old, data, permissions, q.caller)
		if err == nil {
			c.put(d)
		}
		return d, err
	}
	if !q.caller.may("create", c, nil) {
		return nil, denied("create")
	}
	d := &Document{ID: q.id, Permissions: permissions}
	if d.ID == "unique()" {
		d.ID = newID()
	}
	data, err := c.operate(nil, data)
	if err != nil {
		return nil, err
	}
	if err := a.fill(c, d, data, q.caller); err != nil {
		return nil, err
	}
	c.insert(d)
	return d, nil
}

func (a *Appwrite) delete(q *request) (reply, error) {
	if err := q.pathParams(); err != nil {
		return reply{}, err
	}
	read, err := requestTimestamp(q.http)
	if err != nil {
		return reply{}, err
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.find(c, q.id)
	if d == nil {
		return reply{}, a.notFound("document", q.id)
	}
	if !q.caller.may("delete", c, d.Permissions) {
		return reply{}, denied("delete")
	}
	if newer(d, read) {
		return reply{}, updateConflict()
	}
	c.remove(d)
	a.events = append(a.events, Event{c.id, d.ID, "delete", d.clone()})
	return reply{status: http.StatusNoContent, header: a.rateLimit()}, nil
}

func (a *Appwrite) list(q *request) (reply, error) {
	if err := q.collectionParams(); err != nil {
		return reply{}, err
	}
	c, err := a.collection(q)
	if err != nil {
		return reply{}, err
	}
	queries, err := queriesParam(q.http.URL.Query())
	if err != nil {
		return reply{}, err
	}
	if !c.documentSecurity && !q.caller.may("read", c, nil) {
		return reply{}, denied("read")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	readable := slices.DeleteFunc(slices.Clone(c.order), func(d *Document) bool {
		return !q.caller.may("read", c, d.Permissions)
	})
	page, total, err := c.search(readable, queries, defaultLimit)
	if err != nil {
		return reply{}, err
	}
	selected, err := c.selection(queries)
	if err != nil {
		return reply{}, err
	}
	if total, err = a.totalParam(q.http.URL.Query().Get("total"), total); err != nil {
		return reply{}, err
	}
	body := a.renderList(q, c, page, total)
	if selected != nil {
		for _, d := range body["documents"].([]any) {
			maps.DeleteFunc(d.(map[string]any), func(key string, _ any) bool {
				return !selected[key] && !strings.HasPrefix(key, "$")
			})
		}
	}
	return reply{status: http.StatusOK, body: body}, nil
}

// totalParam is the total that is shown to who sent that parameter. The text
// false is true to PHP, and so it was to 1.8.1 and 1.9.6, which counted; 1.9.0
// answered 0. The text 0 is false to all.
func (a *Appwrite) totalParam(sent string, total int) (int, error) {
	switch sent {
	case "", "1", "true":
		return total, nil
	case "0":
		return 0, nil
	case "false":
		if !older(a.Version, "1.9.0") && older(a.Version, "1.9.1") {
			return 0, nil
		}
		return total, nil
	}
	return 0, invalidParam("total", "Value must be a valid boolean")
}

// bulkUpdate is PATCH without a document id. It changes every document that the
// queries in the body let through, so all of them if there are none.
func (a *Appwrite) bulkUpdate(q *request) (reply, error) {
	data, _, err := q.dataParams()
	if err != nil {
		return reply{}, err
	}
	if len(data) == 0 {
		return reply{}, missingPayload()
	}
	c, err := a.bulk(q)
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := c.selected(q.params)
	if err != nil {
		return reply{}, err
	}
	changed := make([]*Document, len(found))
	for i, old := range found {
		if changed[i], err = a.merge(c, old, data, old.Permissions, q.caller); err != nil {
			return reply{}, err
		}
	}
	for _, d := range changed {
		c.put(d)
		a.events = append(a.events, Event{c.id, d.ID, "update", d.clone()})
	}
	return reply{status: http.StatusOK, header: a.rateLimit(), body: a.renderList(q, c, changed, len(changed))}, nil
}

// bulkDelete is DELETE without a document id.
func (a *Appwrite) bulkDelete(q *request) (reply, error) {
	c, err := a.bulk(q)
	if err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := c.selected(q.params)
	if err != nil {
		return reply{}, err
	}
	for _, d := range found {
		c.remove(d)
		a.events = append(a.events, Event{c.id, d.ID, "delete", d.clone()})
	}
	return reply{status: http.StatusOK, header: a.rateLimit(), body: a.renderList(q, c, found, len(found))}, nil
}

// bulk finds the collection of a bulk request. Only an API key sees databases
// there: a guest's PATCH was answered 404 database_not_found by every version.
func (a *Appwrite) bulk(q *request) (*collection, error) {
	if err := q.collectionParams(); err != nil {
		return nil, err
	}
	if !q.caller.key {
		return nil, a.notFound("database", q.database)
	}
	return a.collection(q)
}

// collection finds the collection that a request names. Only API keys see what
// is disabled, and write to it as to any other.
func (a *Appwrite) collection(q *request) (*collection, error) {
	db := a.databases[q.database]
	if db == nil || !db.enabled && !q.caller.key {
		return nil, a.notFound("database", q.database)
	}
	c := db.collections[q.collection]
	if c == nil || !c.enabled && !q.caller.key {
		return nil, a.notFound("collection", q.collection)
	}
	return c, nil
}

func (q *request) collectionParams() error {
	if !validKey(q.database) {
		return invalidParam("databaseId", uidRule)
	}
	if !validKey(q.collection) {
		return invalidParam("collectionId", uidRule)
	}
	return nil
}

func (q *request) pathParams() error {
	if err := q.collectionParams(); err != nil {
		return err
	}
	if q.operation == "upsert" && q.id == "unique()" {
		return nil
	}
	if !validKey(q.id) {
		return invalidParam("documentId", uidRule)
	}
	return nil
}

func (q *request) writeParams() (data map[string]any, permissions []string, err error) {
	if err := q.pathParams(); err != nil {
		return nil, nil, err
	}
	return q.dataParams()
}

// dataParams returns data and permissions. As everywhere in Appwrite, null is
// the same as absent, and data may also be an object within a string.
func (q *request) dataParams() (data map[string]any, permissions []string, err error) {
	v := q.params["data"]
	if s, ok := v.(string); ok {
		v, _ = decodeJSON([]byte(s))
		if v == nil {
			v = false // neither an object nor absent
		}
	}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		data = v
	case []any:
		// PHP has one type for lists and objects.
		data = map[string]any{}
		for i, item := range v {
			data[strconv.Itoa(i)] = item
		}
	default:
		return nil, nil, invalidParam("data", "Value must be a valid JSON string")
	}
	permissions, err = permissionsParam(q.params["permissions"])
	return data, permissions, err
}

// fill gives a new document its data and dates.
func (a *Appwrite) fill(c *collection, d *Document, data map[string]any, by caller) error {
	data, dates, err := split(data, by)
	if err != nil {
		return err
	}
	d.CreatedAt = a.now()
	d.UpdatedAt = d.CreatedAt
	dates.apply(d)
	c.encodeDates(data, d.CreatedAt)
	d.Data = c.row(data, true)
	return c.check(d.Data)
}

// merge returns old with the changes. A document that they leave as it was
// keeps its $updatedAt.
func (a *Appwrite) merge(c *collection, old *Document, data map[string]any, permissions []string, by caller) (*Document, error) {
	data, dates, err := split(data, by)
	if err != nil {
		return nil, err
	}
	if data, err = c.operate(old.Data, data); err != nil {
		return nil, err
	}
	c.encodeDates(data, a.now())
	d := *old
	d.Permissions = permissions
	d.Data = maps.Clone(old.Data)
	maps.Copy(d.Data, data)
	d.Data = c.row(d.Data, false)
	if err := c.check(d.Data); err != nil {
		return nil, err
	}
	dates.apply(&d)
	if dates.updated == nil && !d.same(old) {
		d.UpdatedAt = a.now()
	}
	return &d, nil
}

func (d *Document) same(as *Document) bool {
	return d.CreatedAt.Equal(as.CreatedAt) && reflect.DeepEqual(d.Data, as.Data) &&
		slices.Equal(slices.Sorted(slices.Values(d.Permissions)), slices.Sorted(slices.Values(as.Permissions)))
}

// dates are those that an API key may set in a document's data. An $updatedAt
// written that way defeats whoever relies on it to notice a change.
type dates struct{ created, updated *time.Time }

func (t dates) apply(d *Document) {
	if t.created != nil {
		d.CreatedAt = *t.created
	}
	if t.updated != nil {
		d.UpdatedAt = *t.updated
	}
}

// split takes out of data what Appwrite overwrites or drops, and the dates.
func split(data map[string]any, by caller) (map[string]any, dates, error) {
	data = maps.Clone(data)
	var t dates
	for key, to := range map[string]**time.Time{"$createdAt": &t.created, "$updatedAt": &t.updated} {
		v := data[key]
		delete(data, key)
		if v == nil || !by.key {
			continue
		}
		s, _ := v.(string)
		at, err := parseTime(s)
		if err != nil {
			return nil, dates{}, invalidStructure(`Attribute "%s" has invalid type. Value must be valid date`, key)
		}
		at = at.UTC().Truncate(time.Millisecond)
		*to = &at
	}
	for _, key := range []string{"$id", "$permissions", "$sequence", "$databaseId", "$collectionId"} {
		delete(data, key)
	}
	return data, t, nil
}

const timeLayout = "2006-01-02T15:04:05.000-07:00"

// encodeDates gives the dates in data the form in which they are stored. The
// empty text is now, as it is to PHP. What is no date stays, for check to refuse.
func (c *collection) encodeDates(data map[string]any, now time.Time) {
	for _, at := range c.attributes {
		s, ok := data[at.Key].(string)
		if !ok || at.Type != "datetime" {
			continue
		}
		t, err := now, error(nil)
		if s != "" {
			t, err = parseTime(s)
		}
		if err == nil {
			data[at.Key] = formatTime(t.UTC())
		}
	}
}

// parseTime takes a small part of what PHP does.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02 15:04:05", s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// requestTimestamp reads X-Appwrite-Timestamp. It is zero without the header.
func requestTimestamp(r *http.Request) (time.Time, error) {
	s := r.Header.Get("X-Appwrite-Timestamp")
	if s == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return time.Time{}, &apiError{400, "general_argument_invalid", "Invalid X-Appwrite-Timestamp header value"}
	}
	return t, nil
}

// newer reports whether d was changed after the time at which its writer says
// it was read. Two writes within a millisecond cannot be told apart.
func newer(d *Document, read time.Time) bool {
	return !read.IsZero() && d.UpdatedAt.After(read)
}

func updateConflict() error {
	return &apiError{409, "document_update_conflict", "Remote document is newer than local."}
}

func missingData(message string) error {
	return &apiError{400, "document_missing_data", message}
}

func missingPayload() error {
	return &apiError{400, "document_missing_payload", "The document data and permissions are missing. You must provide either document data or permissions to be updated."}
}

func denied(action string) error {
	return unauthorized("No permissions provided for action '" + action + "'")
}

func (c *collection) insert(d *Document) {
	c.sequence++
	d.Sequence = c.sequence
	d = d.cutAtNUL()
	c.documents[strings.ToLower(d.ID)] = d
	c.order = append(c.order, d)
}

func (c *collection) put(d *Document) {
	d = d.cutAtNUL()
	c.documents[strings.ToLower(d.ID)] = d
	c.order[c.index(d)] = d
}

// cutAtNUL is the document as PostgreSQL stores it: a string ends before its
// first NUL, though the reply to the write has all of it. MariaDB stores the
// whole. The stand-in does what loses more.
func (d *Document) cutAtNUL() *Document {
	for key, v := range d.Data {
		s, _ := v.(string)
		if text, _, found := strings.Cut(s, "\x00"); found {
			stored := d.clone()
			stored.Data[key] = text
			return stored.cutAtNUL() // there may be others
		}
	}
	return d
}

func (c *collection) remove(d *Document) {
	delete(c.documents, strings.ToLower(d.ID))
	i := c.index(d)
	c.order = slices.Delete(c.order, i, i+1)
}

// index finds a document in the order of creation, which its sequence gives.
func (c *collection) index(d *Document) int {
	i, _ := slices.BinarySearchFunc(c.order, d.Sequence, func(d *Document, n int) int { return d.Sequence - n })
	return i
}

// published notes the event of a write and returns its reply.
func (a *Appwrite) published(q *request, c *collection, d *Document, action string, status int) reply {
	a.events = append(a.events, Event{c.id, d.ID, action, d.clone()})
	return reply{status: status, header: a.rateLimit(), body: a.render(q, c, d)}
}

// rateLimit returns headers that Appwrite sends with every write, though the
// limit is not for API keys.
func (a *Appwrite) rateLimit() map[string]string {
	return map[string]string{
		"X-RateLimit-Limit":     "120",
		"X-RateLimit-Remaining": "119",
		"X-RateLimit-Reset":     strconv.FormatInt(a.now().Unix()+60, 10),
	}
}

func (a *Appwrite) render(q *request, c *collection, d *Document) map[string]any {
	body := maps.Clone(d.Data)
	body["$id"] = d.ID
	body["$sequence"] = a.sequence(q.http, d.Sequence)
	body["$createdAt"] = formatTime(d.CreatedAt)
	body["$updatedAt"] = formatTime(d.UpdatedAt)
	body["$permissions"] = d.Permissions
	body["$databaseId"] = c.database
	body["$collectionId"] = c.id
	return body
}

func (a *Appwrite) renderList(q *request, c *collection, page []*Document, total int) map[string]any {
	documents := make([]any, len(page))
	for i, d := range page {
		documents[i] = a.render(q, c, d)
	}
	return map[string]any{"total": total, "documents": documents}
}

// sequence is a number for callers from before 1.9.0, and a string since. An
// SDK that expects the number fails on the string after its write was done.
func (a *Appwrite) sequence(r *http.Request, n int) any {
	format := r.Header.Get("X-Appwrite-Response-Format")
	if format == "" {
		format = a.Version
	}
	if !a.StringSequence && (older(a.Version, "1.9.0") || older(format, "1.9.0")) {
		return n
	}
	return strconv.Itoa(n)
}

// newID returns an id like those that Appwrite makes: 20 hexadecimal digits.
func newID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails on any system that Go runs on
	return hex.EncodeToString(b[:])
}
