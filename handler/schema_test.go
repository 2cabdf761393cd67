package handler

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/testbed"
)

// schema is appwrite.json, as far as the function and its users rely on it.
type schema struct {
	Endpoint  *string
	Functions []struct {
		ID                                            string `json:"$id"`
		Path, Entrypoint, Runtime, Schedule, Commands string
		Execute, Events, Scopes, Ignore               []string
		Timeout                                       int
		Enabled, Logging                              *bool
		Vars                                          []struct{ Key, Value string }
	}
	Collections []struct {
		ID               string   `json:"$id"`
		Permissions      []string `json:"$permissions"`
		DocumentSecurity bool
		Enabled          bool
		Attributes       []map[string]any
		Indexes          []struct {
			Key, Type          string
			Attributes, Orders []string
		}
	}
}

func readSchema(t *testing.T) (s schema) {
	t.Helper()
	if err := json.Unmarshal(testbed.ReadFile(t, "appwrite.json"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchema holds what appwrite.json says of the function.
func TestSchema(t *testing.T) {
	s := readSchema(t)
	if s.Endpoint != nil {
		t.Error("it names an endpoint, which beats what appwrite client was told")
	}
	if len(s.Functions) != 1 {
		t.Fatalf("it has %d functions, want 1", len(s.Functions))
	}
	f := s.Functions[0]
	yes := true
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"path", f.Path, "."},
		{"entrypoint", f.Entrypoint, "main.go"},
		{"runtime", f.Runtime, "go-1.23"}, // the only one of Appwrite 1.8
		{"timeout", f.Timeout, 30},        // the longest for a request
		{"enabled", f.Enabled, &yes},
		{"logging", f.Logging, &yes},
		{"events", f.Events, []string{}},
		{"schedule", f.Schedule, "*/5 * * * *"}, // the sweep
		{"commands", f.Commands, ""},
		{"execute", f.Execute, []string{"any"}}, // Safaricom has no account
		{"scopes", f.Scopes, []string{"documents.read", "documents.write", "execution.write"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !reflect.DeepEqual(tt.got, tt.want) {
				t.Errorf("%v, want %v", tt.got, tt.want)
			}
		})
	}
}

// TestCollections holds what appwrite.json says of them: the published client's
// contract, and nothing that opens them to anybody.
func TestCollections(t *testing.T) {
	want := map[string]string{ // attribute: size, or type; those with ! are required
		"payments": "checkoutRequestId:255! status:20! resultCode:integer receipt:20 amount:integer failureReason:255 mpesaTimestamp:50 settledAt:50! " +
			"userId:36 reference:12 requestedAmount:integer requestKey:64 phoneKey:64 nextCheckAt:datetime",
		"disbursements": "originatorConversationId:36! conversationId:50 status:20! resultCode:integer receipt:20 amount:integer " +
			"receiverName:255 failureReason:255 mpesaTimestamp:50 settledAt:50! " +
			"userId:36 requestedAmount:integer requestKey:64 phoneKey:64 nextCheckAt:datetime",
	}
	indexed := map[string]string{"payments": "userId reference phoneKey nextCheckAt", "disbursements": "userId phoneKey nextCheckAt"}
	s := readSchema(t)
	if len(s.Collections) != len(want) {
		t.Errorf("%d collections, want %d", len(s.Collections), len(want))
	}
	for _, c := range s.Collections {
		t.Run(c.ID, func(t *testing.T) {
			if !c.DocumentSecurity {
				t.Error("without document security nobody reads by a document's permissions")
			}
			if !c.Enabled {
				t.Error("it is disabled")
			}
			if c.Permissions == nil || len(c.Permissions) != 0 {
				t.Errorf("permissions = %v, want an empty list", c.Permissions)
			}
			var indexes []string
			for _, ix := range c.Indexes {
				if ix.Type != "key" || !slices.Equal(ix.Attributes, []string{ix.Key}) || !slices.Equal(ix.Orders, []string{"ASC"}) {
					t.Errorf("index %+v, want one for queries, named as its attribute", ix)
				}
				indexes = append(indexes, ix.Key)
			}
			if got := strings.Join(indexes, " "); got != indexed[c.ID] {
				t.Errorf("indexes: %s, want %s", got, indexed[c.ID])
			}
			var attributes []string
			for _, a := range c.Attributes {
				attributes = append(attributes, describeAttribute(t, a))
			}
			if got := strings.Join(attributes, " "); got != want[c.ID] {
				t.Errorf("attributes:\n%s, want\n%s", got, want[c.ID])
			}
		})
	}
}

// describeAttribute also checks that nothing is left out: where the Appwrite CLI misses
// a field, its next push deletes the column and makes it anew.
func describeAttribute(t *testing.T, a map[string]any) string {
	t.Helper()
	required := ""
	if a["required"] == true {
		required = "!"
	}
	written := map[string]any{"key": a["key"], "type": a["type"], "required": a["required"], "array": false, "default": nil}
	size, _ := a["type"].(string)
	switch a["type"] {
	case "string":
		written["encrypt"], written["size"] = false, a["size"]
		n, _ := json.Marshal(a["size"])
		size = string(n)
	case "datetime":
		written["format"] = ""
	default:
		written["min"], written["max"] = -9223372036854775808.0, 9223372036854775807.0
	}
	if !reflect.DeepEqual(a, written) {
		t.Errorf("attribute %v, want every field written out: %v", a, written)
	}
	return a["key"].(string) + ":" + size + required
}

// TestIgnore: what the Appwrite CLI uploads is what the function is built from, and no
// more: the list names every folder that its main package needs.
func TestIgnore(t *testing.T) {
	root := testbed.Root(t)
	list := exec.Command("go", "list", "-deps", "-f", "{{if and .Module .Module.Main}}{{.ImportPath}}{{end}}", ".")
	list.Dir = root
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/*", "!/go.mod", "!/go.sum", "!/main.go", "*_test.go", "testdata"}
	for _, path := range strings.Fields(string(output)) {
		folder, found := strings.CutPrefix(path, "openruntimes/handler/")
		if !found {
			continue // the main package itself
		}
		if strings.Contains(folder, "/") {
			t.Fatalf("%s lies deeper than the list of appwrite.json looks", path)
		}
		want = append(want, "!/"+folder)
	}
	got := readSchema(t).Functions[0].Ignore
	if first := got[0]; first != "/*" {
		t.Errorf("the list begins with %s: nothing is left out before it", first)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the list has\n%q, want\n%q", got, want)
	}
}
