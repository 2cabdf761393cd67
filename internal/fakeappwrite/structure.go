package fakeappwrite

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// errNUL is what a NUL in a list of strings comes to, a 500. Nobody has looked what
// the databases make of it.
var errNUL = errors.New("NUL in a list of strings")

// A database is one of the schema's databases.
type database struct {
	id, name         string
	created, updated time.Time
	enabled          bool
	collections      map[string]*collection
}

// A collection is one of the schema's collections and the documents in it.
type collection struct {
	database, id     string
	name             string
	created, updated time.Time
	enabled          bool
	documentSecurity bool
	permissions      []string
	attributes       []attribute

	// Guarded by Appwrite.mu. A stored document is never changed, only
	// replaced by another.
	documents map[string]*Document // by lower-cased id
	order     []*Document          // by creation
	cached    map[string]*Document // what was last read, by lower-cased id; see Appwrite.CachedRow
	sequence  int
}

// An attribute is one as appwrite.json declares it.
type attribute struct {
	Key      string   `json:"key"`
	Type     string   `json:"type"`
	Format   string   `json:"format"`
	Required bool     `json:"required"`
	Array    bool     `json:"array"`
	Encrypt  bool     `json:"encrypt"`
	Size     int      `json:"size"`
	Min      *float64 `json:"min"` // of a double
	Max      *float64 `json:"max"`
	Default  any      `json:"default"`

	least, most int64 // of an integer, as declared
	low, high   int64 // what its column takes of that

	created, updated time.Time
}

// UnmarshalJSON reads the limits of an integer without loss: the default ones
// are 64-bit numbers that no float64 can hold.
func (at *attribute) UnmarshalJSON(b []byte) error {
	type plain attribute
	if err := json.Unmarshal(b, (*plain)(at)); err != nil {
		return err
	}
	if at.Type != "integer" {
		return nil
	}
	limits := struct{ Min, Max *int64 }{}
	if err := json.Unmarshal(b, &limits); err != nil {
		return err
	}
	at.limit(limits.Min, limits.Max)
	return nil
}

// limit sets the limits of an integer; nil is none.
func (at *attribute) limit(least, most *int64) {
	at.least, at.most = math.MinInt64, math.MaxInt64
	if least != nil {
		at.least = *least
	}
	if most != nil {
		at.most = *most
	}
	at.low, at.high = at.least, at.most
	if at.high <= math.MaxInt32 { // the column is then a 32-bit one
		at.low = max(at.low, math.MinInt32)
	}
}

// readSchema reads the databases and collections of an appwrite.json.
func readSchema(schema []byte) (map[string]*database, error) {
	var file struct {
		Databases []struct {
			ID      string `json:"$id"`
			Name    string `json:"name"`
			Enabled bool   `json:"enabled"`
		} `json:"databases"`
		Collections []struct {
			ID               string      `json:"$id"`
			DatabaseID       string      `json:"databaseId"`
			Name             string      `json:"name"`
			Enabled          bool        `json:"enabled"`
			DocumentSecurity bool        `json:"documentSecurity"`
			Permissions      []string    `json:"$permissions"`
			Attributes       []attribute `json:"attributes"`
			Indexes          []any       `json:"indexes"`
		} `json:"collections"`
	}
	if err := json.Unmarshal(schema, &file); err != nil {
		return nil, err
	}
	databases := map[string]*database{}
	for _, d := range file.Databases {
		databases[d.ID] = &database{id: d.ID, name: d.Name, enabled: d.Enabled, collections: map[string]*collection{}}
	}
	for _, c := range file.Collections {
		db := databases[c.DatabaseID]
		if db == nil {
			return nil, fmt.Errorf("collection %q is in no database", c.ID)
		}
		if len(c.Indexes) > 0 {
			return nil, fmt.Errorf("collection %q: the stand-in knows no indexes, of which some refuse documents", c.ID)
		}
		for _, at := range c.Attributes {
			if err := at.known(); err != nil {
				return nil, fmt.Errorf("collection %q: %w", c.ID, err)
			}
		}
		db.collections[c.ID] = &collection{
			database:         c.DatabaseID,
			id:               c.ID,
			name:             c.Name,
			enabled:          c.Enabled,
			documentSecurity: c.DocumentSecurity,
			permissions:      c.Permissions,
			attributes:       c.Attributes,
			documents:        map[string]*Document{},
		}
	}
	return databases, nil
}

// known reports an attribute that the stand-in cannot check, since to take
// whatever comes would make it more lenient than the server.
func (at attribute) known() error {
	switch at.Type {
	case "string", "integer", "double", "boolean":
	case "datetime":
		if at.Array || at.Default != nil {
			return fmt.Errorf("attribute %q: a list of dates or a default is not supported", at.Key)
		}
	default:
		return fmt.Errorf("attribute %q: unknown type %q", at.Key, at.Type)
	}
	if at.Format != "" || at.Encrypt {
		return fmt.Errorf("attribute %q: format and encrypt are not supported", at.Key)
	}
	if at.Required && at.Default != nil {
		return fmt.Errorf("attribute %q: a required attribute has no default", at.Key)
	}
	return nil
}

func (c *collection) attribute(key string) (attribute, bool) {
	for _, at := range c.attributes {
		if at.Key == key {
			return at, true
		}
	}
	return attribute{}, false
}

// check validates a document as Appwrite does: first whether all that is
// required is there, then whether there is anything unknown, then the values.
func (c *collection) check(data map[string]any) error {
	if err := c.checkRequired(data); err != nil {
		return err
	}
	for _, key := range sortedKeys(data) {
		if _, ok := c.attribute(key); !ok {
			return invalidStructure(`Unknown attribute: "%s"`, key)
		}
	}
	for _, at := range c.attributes {
		if err := at.check(data[at.Key]); err != nil {
			return err
		}
	}
	return nil
}

// checkRequired finds required attributes that are absent or null.
func (c *collection) checkRequired(data map[string]any) error {
	for _, at := range c.attributes {
		if at.Required && data[at.Key] == nil {
			return invalidStructure(`Missing required attribute "%s"`, at.Key)
		}
	}
	return nil
}

func (at attribute) check(v any) error {
	if v == nil {
		return nil // required ones have been checked
	}
	if !at.Array {
		return at.checkOne(at.Key, v)
	}
	list, ok := v.([]any)
	if !ok {
		return invalidStructure(`Attribute "%s" must be an array`, at.Key)
	}
	for i, v := range list {
		if v == nil && !at.Required {
			continue
		}
		if err := at.checkOne(fmt.Sprintf("%s['%d']", at.Key, i), v); err != nil {
			return err
		}
		if s, ok := v.(string); ok && strings.Contains(s, "\x00") {
			return errNUL
		}
	}
	return nil
}

// checkOne validates one value. Nothing is converted: "1", 1.0 and 1e3 are not
// integers.
func (at attribute) checkOne(name string, v any) error {
	switch at.Type {
	case "string":
		s, ok := v.(string)
		if !ok || utf8.RuneCountInString(s) > at.Size {
			return invalidStructure(`Attribute "%s" has invalid type. Value must be a valid string and no longer than %d chars`, name, at.Size)
		}
	case "integer":
		n, ok := v.(int64)
		if !ok {
			return invalidStructure(`Attribute "%s" has invalid format. Value must be a valid integer`, name)
		}
		if n < at.low || n > at.high {
			return invalidStructure(`Attribute "%s" has invalid format. Value must be a valid range between %d and %d`, name, at.low, at.high)
		}
	case "double":
		f, ok := v.(float64)
		if n, whole := v.(int64); whole {
			f, ok = float64(n), true
		}
		if !ok || math.IsInf(f, 0) || at.Min != nil && f < *at.Min || at.Max != nil && f > *at.Max {
			return invalidStructure(`Attribute "%s" has invalid format. Value must be a valid float in its range`, name)
		}
	case "datetime":
		s, _ := v.(string)
		if _, err := time.Parse(timeLayout, s); err != nil {
			return invalidStructure(`Attribute "%s" has invalid type. Value must be valid date`, name)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return invalidStructure(`Attribute "%s" has invalid type. Value must be a valid boolean`, name)
		}
	}
	return nil
}

// row fills data up so that it has every attribute. Defaults are for new
// documents only.
func (c *collection) row(data map[string]any, isNew bool) map[string]any {
	row := make(map[string]any, len(c.attributes))
	for _, at := range c.attributes {
		v := data[at.Key]
		if v == nil && isNew {
			v = at.defaultValue()
		}
		if v == nil && at.Array {
			v = []any{}
		}
		row[at.Key] = v
	}
	for k, v := range data {
		if _, ok := row[k]; !ok {
			row[k] = v // unknown, for check to find
		}
	}
	return row
}

// defaultValue is the default with integers as documents have them.
func (at attribute) defaultValue() any {
	if f, ok := at.Default.(float64); ok && at.Type == "integer" {
		return int64(f)
	}
	return at.Default
}

func invalidStructure(format string, args ...any) error {
	return &apiError{400, "document_invalid_structure", "Invalid document structure: " + fmt.Sprintf(format, args...)}
}
