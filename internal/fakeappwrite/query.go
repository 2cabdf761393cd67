package fakeappwrite

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	defaultLimit = 25
	maxTotal     = 5000 // where Appwrite stops counting
)

// A query is one of those that the SDKs' Query class writes as JSON.
type query struct {
	method, attribute string
	values            []any
}

// queries reads those of the URL, spelt queries[] or queries[0]. It refuses total,
// which the versions understand differently.
func (q *Request) queries() ([]query, error) {
	var queries []query
	params := q.HTTP.URL.Query()
	if params.Has("total") {
		return nil, InvalidParam("total", "The fake always counts.")
	}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		if !strings.HasPrefix(key, "queries[") {
			continue
		}
		for _, s := range params[key] {
			decoded, _ := decodeJSON([]byte(s))
			object, _ := decoded.(map[string]any)
			var read query
			read.method, _ = object["method"].(string)
			read.attribute, _ = object["attribute"].(string)
			read.values, _ = object["values"].([]any)
			if read.method == "" || len(s) > 4096 {
				return nil, invalidQuery(s)
			}
			queries = append(queries, read)
		}
	}
	if len(queries) > 100 {
		return nil, InvalidParam("queries", "Value must a valid array no longer than 100 items")
	}
	return queries, nil
}

func invalidQuery(reason string) error {
	return &Error{400, "general_query_invalid", "Invalid query: " + reason}
}

func unknownCursor() error {
	return &Error{400, "general_cursor_not_found", "The cursor is invalid."}
}

// Page replies with one page of all resources of a kind, which are in order of
// creation. The queries are limit, offset, cursorAfter, equal, and one order, by
// whatever attribute, which is taken for that of creation.
func (q *Request) Page(kind string, all []Model) (Reply, error) {
	queries, err := q.queries()
	if err != nil {
		return Reply{}, err
	}
	limit, offset, cursor := defaultLimit, 0, ""
	for _, query := range queries {
		switch query.method {
		case "limit":
			limit, err = query.count(1)
		case "offset":
			offset, err = query.count(0)
		case "cursorAfter":
			cursor, err = query.id()
		case "equal":
			all = slices.DeleteFunc(all, func(m Model) bool { return !slices.Contains(query.values, m[query.attribute]) })
		case "greaterThan":
			if query.attribute != "$createdAt" || len(query.values) != 1 {
				err = invalidQuery("the fake compares no " + query.attribute)
				break
			}
			all = slices.DeleteFunc(all, func(m Model) bool { return compare(m[query.attribute], query.values[0]) <= 0 })
		case "orderAsc":
		case "orderDesc":
			slices.Reverse(all)
		default:
			err = invalidQuery("the fake does not know " + query.method)
		}
		if err != nil {
			return Reply{}, err
		}
	}
	total := min(len(all), maxTotal)
	if cursor != "" {
		at := slices.IndexFunc(all, func(m Model) bool { return m["$id"] == cursor })
		if at < 0 {
			return Reply{}, unknownCursor()
		}
		offset = at + 1
	}
	page := append([]Model{}, all[min(offset, len(all)):min(offset+limit, len(all))]...)
	return Reply{Status: http.StatusOK, Body: Model{"total": total, kind: page}}, nil
}

// search applies queries to documents, which it may reorder. It returns one page
// and how many there are on all pages.
func (c *Collection) search(documents []*Document, queries []query) (page []*Document, total int, err error) {
	limit, cursor := defaultLimit, ""
	var by order
	for _, q := range queries {
		switch q.method {
		case "equal", "lessThan", "greaterThan", "isNull":
			documents, err = c.filter(documents, q)
		case "orderAsc", "orderDesc":
			by = append(by, q)
			err = c.checkAttribute(q.attribute)
		case "select":
			// The caller leaves out what is not selected.
		case "limit":
			limit, err = q.count(1)
		case "cursorAfter":
			cursor, err = q.id()
		default:
			err = invalidQuery("the fake does not know " + q.method)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	total = min(len(documents), maxTotal)
	slices.SortFunc(documents, by.compare)
	if cursor != "" {
		if documents, err = c.after(cursor, documents, by); err != nil {
			return nil, 0, err
		}
	}
	return documents[:min(limit, len(documents))], total, nil
}

// filter returns the documents that a query lets through.
func (c *Collection) filter(documents []*Document, q query) ([]*Document, error) {
	if err := c.checkAttribute(q.attribute); err != nil {
		return nil, err
	}
	var value any // the last, which is the only one where the order counts
	wanted := map[any]bool{}
	for _, v := range q.values {
		var err error
		if value, err = c.queryValue(q.attribute, v); err != nil {
			return nil, err
		}
		wanted[value] = true
	}
	switch n := len(q.values); {
	case q.method == "equal" && n == 0, (q.method == "lessThan" || q.method == "greaterThan") && n != 1:
		return nil, invalidQuery(q.method + " queries require another number of values.")
	}
	return slices.DeleteFunc(documents, func(d *Document) bool {
		v := d.value(q.attribute)
		switch q.method {
		case "equal":
			return !wanted[v]
		case "isNull":
			return v != nil
		case "lessThan":
			return v == nil || compare(v, value) >= 0
		default:
			return compare(v, value) <= 0 // null is before everything
		}
	}), nil
}

// queryValue is a query's value in the form that the attribute's values have.
func (c *Collection) queryValue(attribute string, v any) (any, error) {
	at, ok := c.attribute(attribute)
	text, isText := v.(string)
	number, isNumber := v.(int64)
	switch {
	case attribute == "$createdAt" || attribute == "$updatedAt" || at.Type == "datetime":
		if t, err := parseTime(text); err == nil {
			return formatTime(t), nil
		}
	case ok && at.check(v) != nil:
	case isText && attribute == "$id":
		return strings.ToLower(text), nil
	case isText:
		return text, nil
	case isNumber:
		return number, nil
	}
	return nil, invalidQuery(`Query value is invalid for attribute "` + attribute + `"`)
}

// selection is what the select queries name, or nil for everything. The fields
// with a dollar come in any case.
func (c *Collection) selection(queries []query) (map[string]bool, error) {
	queries = slices.DeleteFunc(queries, func(q query) bool { return q.method != "select" })
	if len(queries) == 0 {
		return nil, nil
	}
	selected := map[string]bool{}
	for _, q := range queries {
		for _, v := range q.values {
			name, _ := v.(string)
			if _, ok := c.attribute(name); !ok && !strings.HasPrefix(name, "$") {
				return nil, invalidQuery("Attribute not found in schema: " + name)
			}
			selected[name] = true
		}
	}
	return selected, nil
}

// An order is what order queries ask for, the first one first. What it leaves
// equal stays in the order of creation.
type order []query

func (o order) compare(x, y *Document) int {
	for _, q := range o {
		n := compare(x.value(q.attribute), y.value(q.attribute))
		if q.method == "orderDesc" {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Compare(x.Sequence, y.Sequence)
}

// after returns the documents that come after the cursor's: after the values that
// it has by now, whether or not it is among the documents itself.
func (c *Collection) after(cursor string, documents []*Document, by order) ([]*Document, error) {
	at := c.documents[strings.ToLower(cursor)]
	if at == nil {
		return nil, unknownCursor()
	}
	isNull := func(d *Document) bool {
		return slices.ContainsFunc(by, func(q query) bool { return d.value(q.attribute) == nil })
	}
	if isNull(at) {
		return nil, &Error{400, "database_query_order_null", "Cursor pagination requires all documents order attribute values are non-null."}
	}
	return slices.DeleteFunc(documents, func(d *Document) bool {
		return isNull(d) || by.compare(at, d) >= 0 // null is not after anything, in SQL
	}), nil
}

// checkAttribute reports an attribute that queries may not name.
func (c *Collection) checkAttribute(name string) error {
	switch name {
	case "$id", "$sequence", "$createdAt", "$updatedAt":
		return nil
	}
	if _, ok := c.attribute(name); !ok {
		return invalidQuery("Attribute not found in schema: " + name)
	}
	return nil
}

// value returns what queries compare. Ids are equal whatever their case.
func (d *Document) value(attribute string) any {
	switch attribute {
	case "$id":
		return strings.ToLower(d.ID)
	case "$sequence":
		return int64(d.Sequence)
	case "$createdAt":
		return formatTime(d.CreatedAt)
	case "$updatedAt":
		return formatTime(d.UpdatedAt)
	}
	return d.Data[attribute]
}

// compare orders two values of one attribute; null comes first, as in MariaDB.
func compare(x, y any) int {
	switch x := x.(type) {
	case string:
		if y, ok := y.(string); ok {
			return strings.Compare(x, y)
		}
	case int64:
		if y, ok := y.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return -1
	}
	return 1
}

func (q query) count(least int64) (int, error) {
	if len(q.values) == 1 {
		if n, ok := q.values[0].(int64); ok && least <= n && n <= 1<<31 {
			return int(n), nil
		}
	}
	return 0, invalidQuery("Invalid " + q.method + ": Value must be a valid range")
}

func (q query) id() (string, error) {
	if len(q.values) == 1 {
		if s, ok := q.values[0].(string); ok && ValidKey(s) {
			return s, nil
		}
	}
	return "", invalidQuery("Invalid cursor")
}
