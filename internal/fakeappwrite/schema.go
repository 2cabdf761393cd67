package fakeappwrite

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// A Database is one of the project's.
type Database struct {
	ID      string `json:"$id"`
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`

	Times
	Collections map[string]*Collection `json:"-"` // by id
}

// A Collection is one of a database's, with the documents in it.
type Collection struct {
	ID               string      `json:"$id"`
	DatabaseID       string      `json:"databaseId"`
	Name             string      `json:"name"`
	Enabled          bool        `json:"enabled"`
	DocumentSecurity bool        `json:"documentSecurity"`
	Permissions      []string    `json:"$permissions"`
	Attributes       []Attribute `json:"attributes"`
	Indexes          []Index     `json:"indexes"`

	Times

	// A stored document is never changed, only replaced by another.
	documents map[string]*Document // by lower-cased id
	order     []*Document          // by creation
	cached    map[string]*Document // what was last read, by lower-cased id; see Appwrite.CachedRow
	sequence  int
}

// An Attribute is one as appwrite.json declares it.
type Attribute struct {
	Key      string  `json:"key"`
	Type     string  `json:"type"`
	Format   *string `json:"format,omitempty"` // of a datetime, where it is empty (attribute model of Appwrite)
	Required bool    `json:"required"`
	Array    bool    `json:"array"`
	Encrypt  *bool   `json:"encrypt,omitempty"` // of a string
	Size     int     `json:"size,omitempty"`    // of a string
	Min      *int64  `json:"min,omitempty"`     // of an integer
	Max      *int64  `json:"max,omitempty"`     // of an integer
	Default  any     `json:"default"`
	Status   string  `json:"status"`
	Times
}

// An Index is one as appwrite.json declares it.
type Index struct {
	Key        string   `json:"key"`
	Type       string   `json:"type"`
	Attributes []string `json:"attributes"`
	Orders     []string `json:"orders"`
	Status     string   `json:"status"`
	Times
}

// Times are when something was made and last changed.
type Times struct {
	Created Time `json:"$createdAt"`
	Updated Time `json:"$updatedAt"`
}

// A Time is written as the API does.
type Time struct{ time.Time }

func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + formatTime(t.Time) + `"`), nil }

// A Function is what there is to know of one for whoever calls it.
type Function struct {
	ID      string   `json:"$id"`
	Execute []string `json:"execute"` // the roles that may
	Scopes  []string `json:"scopes"`  // of its own key

	Schedule string `json:"schedule"` // a cron expression; see Appwrite.Cron
}

// every is the time from one run of a function's schedule to the next, 0 if it has none.
func (f *Function) every() (time.Duration, error) {
	if f.Schedule == "" {
		return 0, nil
	}
	var minutes int
	if _, err := fmt.Sscanf(f.Schedule, "*/%d * * * *", &minutes); err != nil || minutes < 1 || 60%minutes != 0 {
		return 0, fmt.Errorf("the fake does not know the schedule %q", f.Schedule)
	}
	return time.Duration(minutes) * time.Minute, nil
}

// readSchema reads the databases, collections and functions of an appwrite.json.
func (a *Appwrite) readSchema(schema []byte) error {
	var file struct {
		Databases   []*Database
		Collections []*Collection
		Functions   []*Function
	}
	if err := json.Unmarshal(schema, &file); err != nil {
		return err
	}
	for _, f := range file.Functions {
		if _, err := f.every(); err != nil {
			return fmt.Errorf("function %q: %w", f.ID, err)
		}
		a.Functions[f.ID] = f
	}
	for _, db := range file.Databases {
		db.Collections = map[string]*Collection{}
		a.Databases[db.ID] = db
	}
	for _, c := range file.Collections {
		if a.Databases[c.DatabaseID] == nil {
			return fmt.Errorf("collection %q is in no database", c.ID)
		}
		for _, at := range c.Attributes {
			if err := at.Known(); err != nil {
				return fmt.Errorf("collection %q: %w", c.ID, err)
			}
		}
		for _, ix := range c.Indexes {
			if err := ix.Known(); err != nil {
				return fmt.Errorf("collection %q: %w", c.ID, err)
			}
		}
		a.Databases[c.DatabaseID].Collections[c.ID] = c
	}
	return nil
}

// Known reports an attribute that the fake cannot check, since to take whatever
// comes would make it more lenient than the server.
func (at Attribute) Known() error {
	if !slices.Contains([]string{"string", "varchar", "text", "integer", "datetime"}, at.Type) {
		return fmt.Errorf("attribute %q: the fake does not know the type %q", at.Key, at.Type)
	}
	if at.Array || at.Encrypt != nil && *at.Encrypt || at.Format != nil && *at.Format != "" || at.Default != nil {
		return fmt.Errorf("attribute %q: the fake knows no array, encrypt, format and default", at.Key)
	}
	return nil
}

// Known reports an index other than one that makes queries fast: the others
// refuse documents, or answer other queries.
func (ix Index) Known() error {
	if ix.Type != "key" {
		return fmt.Errorf("index %q: the fake does not know the type %q", ix.Key, ix.Type)
	}
	return nil
}

func (c *Collection) attribute(key string) (Attribute, bool) {
	for _, at := range c.Attributes {
		if at.Key == key {
			return at, true
		}
	}
	return Attribute{}, false
}

// RemoveAttribute drops the column of c.Attributes[i], with what every document
// has there, and the indexes on it.
func (c *Collection) RemoveAttribute(i int) {
	key := c.Attributes[i].Key
	c.Attributes = slices.Delete(slices.Clone(c.Attributes), i, i+1)
	c.Indexes = slices.DeleteFunc(c.Indexes, func(ix Index) bool { return slices.Contains(ix.Attributes, key) })
	for _, old := range slices.Clone(c.order) {
		d := old.clone()
		delete(d.Data, key)
		c.put(&d)
	}
}

// check validates a document as Appwrite does: first whether all that is
// required is there, then whether there is anything unknown, then the values.
func (c *Collection) check(data map[string]any) error {
	for _, at := range c.Attributes {
		if at.Required && data[at.Key] == nil {
			return invalidStructure(`Missing required attribute "%s"`, at.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if _, ok := c.attribute(key); !ok {
			return invalidStructure(`Unknown attribute: "%s"`, key)
		}
	}
	for _, at := range c.Attributes {
		if err := at.check(data[at.Key]); err != nil {
			return err
		}
	}
	return nil
}

// check validates one value. Nothing is converted: "1", 1.0 and 1e3 are not
// integers. That a required one is there has been checked.
func (at Attribute) check(v any) error {
	if v == nil {
		return nil
	}
	switch at.Type {
	case "string", "varchar", "text":
		size := at.Size
		if at.Type == "text" {
			size = 16383 // appwrite/appwrite 1.9.0, Databases/Http/Databases/Collections/Attributes/Text
		}
		s, ok := v.(string)
		if !ok || utf8.RuneCountInString(s) > size {
			return invalidStructure(`Attribute "%s" has invalid type. Value must be a valid string and no longer than %d chars`, at.Key, size)
		}
	case "integer":
		n, ok := v.(int64)
		if !ok {
			return invalidStructure(`Attribute "%s" has invalid format. Value must be a valid integer`, at.Key)
		}
		if low, high := at.bounds(); n < low || n > high {
			return invalidStructure(`Attribute "%s" has invalid format. Value must be a valid range between %d and %d`, at.Key, low, high)
		}
	case "datetime":
		s, _ := v.(string)
		if _, err := time.Parse(timeLayout, s); err != nil {
			return invalidStructure(`Attribute "%s" has invalid type. Value must be valid date`, at.Key)
		}
	}
	return nil
}

// bounds are what an integer's column takes.
func (at Attribute) bounds() (low, high int64) {
	low, high = math.MinInt64, math.MaxInt64
	if at.Min != nil {
		low = *at.Min
	}
	if at.Max != nil {
		high = *at.Max
	}
	if high <= math.MaxInt32 { // the column is then a 32-bit one
		low = max(low, math.MinInt32)
	}
	return low, high
}

func invalidStructure(format string, args ...any) error {
	return &Error{400, "document_invalid_structure", "Invalid document structure: " + fmt.Sprintf(format, args...)}
}
