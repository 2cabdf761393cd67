package fakeappwrite

import (
	"cmp"
	"maps"
	"net/url"
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

// queriesParam reads the queries of a URL, spelt queries[] or queries[0].
func queriesParam(params url.Values) ([]query, error) {
	var texts []any
	for _, key := range slices.Sorted(maps.Keys(params)) {
		if strings.HasPrefix(key, "queries[") {
			for _, s := range params[key] {
				texts = append(texts, s)
			}
		}
	}
	return parseQueries(texts)
}

func parseQueries(texts []any) ([]query, error) {
	if len(texts) > 100 {
		return nil, invalidParam("queries", "Value must a valid array no longer than 100 items")
	}
	queries := make([]query, len(texts))
	for i, v := range texts {
		s, ok := v.(string)
		if !ok || len(s) > 4096 {
			return nil, invalidParam("queries", "Value must be a valid string and no longer than 4096 chars")
		}
		decoded, _ := decodeJSON([]byte(s))
		object, _ := decoded.(map[string]any)
		queries[i].method, _ = object["method"].(string)
		queries[i].attribute, _ = object["attribute"].(string)
		queries[i].values, _ = object["values"].([]any)
		if queries[i].method == "" {
			return nil, invalidQuery("Invalid query: " + s)
		}
	}
	return queries, nil
}

func invalidQuery(reason string) error {
	return &apiError{400, "general_query_invalid", "Invalid query: " + reason}
}

// selected returns the documents that a bulk request's body is about.
func (c *collection) selected(params map[string]any) ([]*Document, error) {
	texts, ok := params["queries"].([]any)
	if !ok && params["queries"] != nil {
		return nil, invalidParam("queries", "Value must a valid array no longer than 100 items")
	}
	queries, err := parseQueries(texts)
	if err != nil {
		return nil, err
	}
	found, _, err := c.search(slices.Clone(c.order), queries, len(c.order))
	return found, err
}

// search applies queries to documents, which it may reorder. It returns one
// page, of limit documents if no query says otherwise, and how many there are
// on all pages.
func (c *collection) search(documents []*Document, queries []query, limit int) (page []*Document, total int, err error) {
	offset, cursor := 0, ""
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
		case "offset":
			offset, err = q.count(0)
		case "cursorAfter":
			cursor, err = q.text()
		default:
			err = invalidQuery("the stand-in does not know " + q.method)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	total = min(len(documents), maxTotal)
	if len(by) > 0 {
		slices.SortFunc(documents, by.compare)
	}
	if cursor != "" {
		if documents, err = c.after(cursor, documents, by); err != nil {
			return nil, 0, err
		}
	}
	documents = documents[min(offset, len(documents)):]
	return documents[:min(limit, len(documents))], total, nil
}

// filter returns the documents that a query lets through.
func (c *collection) filter(documents []*Document, q query) ([]*Document, error) {
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
func (c *collection) queryValue(attribute string, v any) (any, error) {
	invalid := invalidQuery("Query value is invalid for attribute \"" + attribute + "\"")
	at, ok := c.attribute(attribute)
	text, isText := v.(string)
	switch {
	case attribute == "$createdAt" || attribute == "$updatedAt" || at.Type == "datetime":
		t, err := parseTime(text)
		if err != nil {
			return nil, invalid
		}
		return formatTime(t.UTC()), nil
	case !isScalar(v) || ok && at.check(v) != nil:
		return nil, invalid
	case isText && attribute == "$id":
		return strings.ToLower(text), nil
	}
	return v, nil
}

// selection is what the select queries name, or nil for everything. The fields
// with a dollar come in any case.
func (c *collection) selection(queries []query) (map[string]bool, error) {
	var selected map[string]bool
	for _, q := range queries {
		if q.method != "select" {
			continue
		}
		if selected == nil {
			selected = map[string]bool{}
		}
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

// isScalar reports whether v is a JSON value that can be compared, and is not null.
func isScalar(v any) bool {
	switch v.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
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
func (c *collection) after(cursor string, documents []*Document, by order) ([]*Document, error) {
	at := c.documents[strings.ToLower(cursor)]
	if at == nil {
		return nil, &apiError{400, "general_cursor_not_found", "The cursor is invalid."}
	}
	for _, q := range by {
		if at.value(q.attribute) == nil {
			return nil, &apiError{400, "database_query_order_null", "Cursor pagination requires all documents order attribute values are non-null."}
		}
	}
	return slices.DeleteFunc(documents, func(d *Document) bool {
		null := slices.ContainsFunc(by, func(q query) bool { return d.value(q.attribute) == nil }) // is not after anything, in SQL
		return null || by.compare(at, d) >= 0
	}), nil
}

// checkAttribute reports an attribute that queries may not name. Lists are left out.
func (c *collection) checkAttribute(name string) error {
	switch name {
	case "$id", "$sequence", "$createdAt", "$updatedAt":
		return nil
	}
	if at, ok := c.attribute(name); !ok || at.Array {
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

// compare orders two values of one attribute; null comes first.
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
	case float64:
		if y, ok := y.(float64); ok {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(rank(x), rank(y))
}

func rank(v any) int {
	if v == nil {
		return 0
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

func (q query) text() (string, error) {
	if len(q.values) == 1 {
		if s, ok := q.values[0].(string); ok && validKey(s) {
			return s, nil
		}
	}
	return "", invalidQuery("Invalid cursor")
}
