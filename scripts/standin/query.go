package standin

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
	for _, q := range queries {
		switch q.method {
		case "equal":
			documents, err = c.equal(documents, q)
		case "orderAsc", "orderDesc":
			err = c.sort(documents, q)
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
	if cursor != "" {
		i := slices.IndexFunc(documents, func(d *Document) bool { return strings.EqualFold(d.ID, cursor) })
		if i < 0 {
			return nil, 0, &apiError{400, "general_cursor_not_found", "The cursor is invalid."}
		}
		documents = documents[i+1:]
	}
	documents = documents[min(offset, len(documents)):]
	return documents[:min(limit, len(documents))], total, nil
}

func (c *collection) equal(documents []*Document, q query) ([]*Document, error) {
	if len(q.values) == 0 {
		return nil, invalidQuery("Equal queries require at least one value.")
	}
	if !c.has(q.attribute) {
		return nil, invalidQuery("Attribute not found in schema: " + q.attribute)
	}
	at, ok := c.attribute(q.attribute)
	wanted := map[any]bool{}
	for _, v := range q.values {
		if !isScalar(v) || ok && at.check(v) != nil {
			return nil, invalidQuery("Query value is invalid for attribute \"" + q.attribute + "\"")
		}
		if s, text := v.(string); text && q.attribute == "$id" {
			v = strings.ToLower(s)
		}
		wanted[v] = true
	}
	return slices.DeleteFunc(documents, func(d *Document) bool { return !wanted[d.value(q.attribute)] }), nil
}

// isScalar reports whether v is a JSON value that can be compared, and is not null.
func isScalar(v any) bool {
	switch v.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
}

func (c *collection) sort(documents []*Document, q query) error {
	if !c.has(q.attribute) {
		return invalidQuery("Attribute not found in schema: " + q.attribute)
	}
	slices.SortStableFunc(documents, func(x, y *Document) int {
		if q.method == "orderDesc" {
			x, y = y, x
		}
		return compare(x.value(q.attribute), y.value(q.attribute))
	})
	return nil
}

// has reports whether queries may name an attribute. Lists are left out.
func (c *collection) has(attribute string) bool {
	switch attribute {
	case "$id", "$sequence", "$createdAt", "$updatedAt":
		return true
	}
	at, ok := c.attribute(attribute)
	return ok && !at.Array
}

// value returns what queries compare. Ids are equal whatever their case.
func (d *Document) value(attribute string) any {
	switch attribute {
	case "$id":
		return strings.ToLower(d.ID)
	case "$sequence":
		return int64(d.Sequence)
	case "$createdAt":
		return d.CreatedAt.Format(timeLayout)
	case "$updatedAt":
		return d.UpdatedAt.Format(timeLayout)
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
