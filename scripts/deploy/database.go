package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func checkDatabase(ctx context.Context, p *project) (string, error) {
	var found struct{ Enabled bool }
	err := p.call(ctx, http.MethodGet, p.databasePath(), nil, &found)
	if isStatus(err, http.StatusNotFound) {
		return "", absent("there is no database "+p.target.DatabaseID, "Console → Databases → Create database")
	}
	if err == nil && !found.Enabled {
		return "", wrong("the database is disabled: apps cannot read a payment", "Console → Databases → "+p.target.DatabaseID+" → Settings")
	}
	return p.target.DatabaseID, err
}

func fixDatabase(ctx context.Context, p *project) error {
	body := map[string]any{"databaseId": p.target.DatabaseID, "name": p.target.DatabaseID, "enabled": true}
	err := p.call(ctx, http.MethodPost, "/databases", body, nil)
	if isStatus(err, http.StatusConflict) {
		return p.call(ctx, http.MethodPut, p.databasePath(), body, nil)
	}
	return err
}

// kind is one of the two collections.
type kind struct {
	name string // as in appwrite.json
	id   func(target) string
}

var (
	payments      = kind{"payments", func(t target) string { return t.PaymentsID }}
	disbursements = kind{"disbursements", func(t target) string { return t.DisbursementsID }}
)

func checkCollection(k kind) func(context.Context, *project) (string, error) {
	return func(ctx context.Context, p *project) (string, error) {
		var found struct {
			Enabled          bool
			DocumentSecurity bool
			Permissions      []string `json:"$permissions"`
		}
		id := k.id(p.target)
		where := "Console → Databases → " + p.target.DatabaseID + " → " + id + " → Settings"
		err := p.call(ctx, http.MethodGet, p.collectionPath(k), nil, &found)
		switch {
		case isStatus(err, http.StatusNotFound):
			return "", absent("there is no collection "+id+": nothing can be stored", "Console → Databases → "+p.target.DatabaseID+" → Create collection")
		case err != nil:
			return "", err
		}
		var problems []string
		if len(found.Permissions) > 0 {
			problems = append(problems, fmt.Sprintf("%s has the permissions %s: whoever they name reads, or writes, everybody's documents", id, strings.Join(found.Permissions, " ")))
		}
		if !found.DocumentSecurity {
			problems = append(problems, fmt.Sprintf("documentSecurity of %s is off: no user can read a payment by its own permissions", id))
		}
		if !found.Enabled {
			problems = append(problems, id+" is disabled: apps cannot read a document")
		}
		if len(problems) > 0 {
			return "", wrong(strings.Join(problems, "; "), where)
		}
		return id, nil
	}
}

func fixCollection(k kind) func(context.Context, *project) error {
	return func(ctx context.Context, p *project) error {
		body := map[string]any{"collectionId": k.id(p.target), "name": k.name, "permissions": []string{}, "documentSecurity": true, "enabled": true}
		var found struct{ Name string }
		if p.call(ctx, http.MethodGet, p.collectionPath(k), nil, &found) == nil {
			body["name"] = found.Name // a PUT resets what it does not name
		}
		err := p.call(ctx, http.MethodPost, p.databasePath()+"/collections", body, nil)
		if isStatus(err, http.StatusConflict) {
			return p.call(ctx, http.MethodPut, p.collectionPath(k), body, nil)
		}
		return err
	}
}

// attribute is one of a collection, as far as a document depends on it. Numbers
// stay as they are written, since a float64 cannot hold the bounds of an integer.
type attribute struct {
	Key      string      `json:"key"`
	Type     string      `json:"type"`
	Status   string      `json:"status"`
	Required bool        `json:"required"`
	Array    bool        `json:"array"`
	Size     int         `json:"size"`
	Encrypt  bool        `json:"encrypt"`
	Min      json.Number `json:"min"`
	Max      json.Number `json:"max"`
}

// startedOnly are the attributes that the documents of started payments and payouts
// have, and those of callbacks alone have not.
var startedOnly = []string{"userId", "reference", "requestedAmount", "requestKey", "phoneKey", "nextCheckAt"}

func isStartedOnly(key string) bool { return slices.Contains(startedOnly, key) }

// ofCallbacks are the attributes without which a callback's document is refused: its
// own, and of the others those that are required here, which it does not have.
func (p *project) ofCallbacks(k kind, found []attribute) []attribute {
	return slices.DeleteFunc(slices.Clone(p.attributes[k.name]), func(n attribute) bool {
		required := slices.ContainsFunc(found, func(f attribute) bool { return f.Key == n.Key && f.Required })
		return isStartedOnly(n.Key) && !required
	})
}

// ofStarted are those that a started document has beside them.
func (p *project) ofStarted(k kind) []attribute {
	return slices.DeleteFunc(slices.Clone(p.attributes[k.name]), func(n attribute) bool { return !isStartedOnly(n.Key) })
}

// isText reports whether it is a text of any length. Appwrite has such types from 1.9.0 on,
// beside varchar, which takes the place of string.
func (a attribute) isText() bool {
	return slices.Contains([]string{"text", "mediumtext", "longtext"}, a.Type)
}

// column is the type by the name that appwrite.json has for it.
func (a attribute) column() string {
	if a.Type == "varchar" || a.isText() {
		return "string"
	}
	return a.Type
}

// attributesProblem compares what there is with what there must be. fixable are
// those that are merely missing or not ready, or of which a field can be changed with
// no loss.
func attributesProblem(found, needed []attribute) (problems []string, fixable bool) {
	fixable = true
	unfixable := func(format string, args ...any) {
		problems, fixable = append(problems, fmt.Sprintf(format, args...)), false
	}
	for _, n := range needed {
		i := slices.IndexFunc(found, func(f attribute) bool { return f.Key == n.Key })
		if i < 0 {
			problems = append(problems, n.Key+" is missing")
			continue
		}
		switch f := found[i]; {
		case f.column() != n.Type || f.Array:
			unfixable("%s is of the type %s, not %s", n.Key, f.Type, n.Type)
		case f.Encrypt:
			unfixable("%s is encrypted, which needs more room than there is", n.Key)
		case f.Status == "processing":
			problems = append(problems, n.Key+" is still being made")
		case f.Status != "available":
			unfixable("%s is %s", n.Key, f.Status)
		case f.Required && !n.Required:
			problems = append(problems, n.Key+" is required, and not every document has it")
		case n.Type == "string" && f.Size < n.Size && !f.isText():
			problems = append(problems, fmt.Sprintf("%s holds %d characters, not %d", n.Key, f.Size, n.Size))
		case n.Type == "integer" && (number(f.Min) > number(n.Min) || number(f.Max) < number(n.Max)):
			problems = append(problems, fmt.Sprintf("%s is bounded from %s to %s", n.Key, f.Min, f.Max))
		}
	}
	return problems, fixable
}

// unknownRequired names the attributes that no document of this function has, and
// that are required.
func unknownRequired(found, known []attribute) (problems []string) {
	for _, f := range found {
		if f.Required && !slices.ContainsFunc(known, func(n attribute) bool { return n.Key == f.Key }) {
			problems = append(problems, f.Key+" is required, and this function does not know it")
		}
	}
	return problems
}

func number(n json.Number) int64 {
	v, _ := strconv.ParseInt(n.String(), 10, 64)
	return v
}

func (p *project) remoteAttributes(ctx context.Context, k kind) ([]attribute, error) {
	var found struct{ Attributes []attribute }
	err := p.call(ctx, http.MethodGet, p.collectionPath(k)+"/attributes?"+mostListed(), nil, &found)
	return found.Attributes, err
}

func checkAttributes(k kind) func(context.Context, *project) (string, error) {
	return func(ctx context.Context, p *project) (string, error) {
		found, err := p.remoteAttributes(ctx, k)
		if err != nil {
			return "", err
		}
		needed := p.ofCallbacks(k, found)
		problems, fixable := attributesProblem(found, needed)
		if unknown := unknownRequired(found, p.attributes[k.name]); len(unknown) > 0 {
			problems, fixable = append(problems, unknown...), false
		}
		if len(problems) == 0 {
			return fmt.Sprintf("%d", len(needed)), nil
		}
		if len(found) == 0 {
			problems = []string{fmt.Sprintf("none of its %d attributes is there", len(needed))}
		}
		what := fmt.Sprintf("%s: Appwrite refuses documents of %s", strings.Join(problems, "; "), k.id(p.target))
		if !fixable {
			what += personDecides
		}
		return "", wrong(what, p.collectionInConsole(k, "Attributes"))
	}
}

// personDecides ends what is said of an attribute that cannot be fixed.
const personDecides = "; to change that column loses what is in it, so a person must decide"

// collectionInConsole names a place of a collection in Appwrite's console.
func (p *project) collectionInConsole(k kind, place string) string {
	return "Console → Databases → " + p.target.DatabaseID + " → " + k.id(p.target) + " → " + place
}

func fixAttributes(k kind) func(context.Context, *project) error {
	return func(ctx context.Context, p *project) error {
		found, err := p.remoteAttributes(ctx, k)
		if err != nil {
			return err
		}
		return p.addAttributes(ctx, k, found, p.ofCallbacks(k, found))
	}
}

// addAttributes makes those that are missing, also in a collection that is in use, and
// waits until they can be used. If one of them cannot be fixed it leaves all as they
// are: the second look says so.
func (p *project) addAttributes(ctx context.Context, k kind, found, needed []attribute) error {
	if problems, fixable := attributesProblem(found, needed); len(problems) == 0 || !fixable {
		return nil
	}
	for _, n := range needed {
		if err := p.fixAttribute(ctx, k, n, found); err != nil {
			return fmt.Errorf("%s: %w", n.Key, err)
		}
	}
	return p.wait(ctx, "its attributes", func() (bool, error) {
		found, err := p.remoteAttributes(ctx, k)
		return !slices.ContainsFunc(found, func(f attribute) bool { return f.Status == "processing" }), err
	})
}

// fixAttribute makes one that is missing, or changes what can be changed with the
// column's data in place.
func (p *project) fixAttribute(ctx context.Context, k kind, n attribute, found []attribute) error {
	path := p.collectionPath(k) + "/attributes/"
	body := map[string]any{"key": n.Key, "required": n.Required, "default": nil}
	switch n.Type {
	case "string":
		body["size"] = n.Size
	case "integer":
		body["min"], body["max"] = n.Min, n.Max
	}
	i := slices.IndexFunc(found, func(f attribute) bool { return f.Key == n.Key })
	if i < 0 {
		body["array"] = false
		if n.Type == "string" {
			body["encrypt"] = false
		}
		err := p.call(ctx, http.MethodPost, path+n.Type, body, nil)
		if isStatus(err, http.StatusConflict) {
			return nil // made by an earlier try that broke off
		}
		return err
	}
	if problems, _ := attributesProblem(found[i:i+1], []attribute{n}); len(problems) == 0 || found[i].Status == "processing" {
		return nil
	}
	switch {
	case found[i].isText():
		delete(body, "size")
	case n.Type == "string":
		body["size"] = max(n.Size, found[i].Size)
	}
	return p.call(ctx, http.MethodPatch, path+found[i].Type+"/"+n.Key, body, nil)
}
