package handler

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/handler"
)

// TestSchema holds appwrite.json to what the function and its users rely on.
func TestSchema(t *testing.T) {
	content, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Endpoint  *string
		Functions []struct {
			Path, Entrypoint, Runtime, Schedule, Commands string
			Execute, Events, Scopes                       []string
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
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if file.Endpoint != nil {
		t.Error("appwrite.json names an endpoint, which beats what appwrite client was told")
	}
	f := file.Functions[0]
	if f.Path != "." || f.Entrypoint != "main.go" || f.Runtime != "go-1.23" || f.Timeout != 30 ||
		f.Enabled == nil || !*f.Enabled || f.Logging == nil || !*f.Logging || f.Events == nil || f.Schedule != "" || f.Commands != "" {
		t.Errorf("the function is %+v", f)
	}
	if !slices.Equal(f.Execute, []string{"any"}) {
		t.Errorf("execute = %v: Safaricom has no account", f.Execute)
	}
	if want := []string{"documents.read", "documents.write", "execution.write"}; !slices.Equal(f.Scopes, want) {
		t.Errorf("scopes = %v, want %v", f.Scopes, want)
	}
	for _, v := range f.Vars {
		example, err := os.ReadFile(".env.example")
		if err != nil || !strings.Contains(string(example), "\n"+v.Key+"="+v.Value+"\n") {
			t.Errorf("%s=%s is not in .env.example: %v", v.Key, v.Value, err)
		}
	}

	want := map[string]string{ // attribute: size, or type; those with ! are required
		"payments": "checkoutRequestId:255! status:20! resultCode:integer receipt:20 amount:integer failureReason:255 mpesaTimestamp:50 settledAt:50! " +
			"userId:36 reference:12 requestedAmount:integer requestKey:64 phoneKey:64 nextCheckAt:datetime",
		"disbursements": "originatorConversationId:36! conversationId:50 status:20! resultCode:integer receipt:20 amount:integer " +
			"receiverName:255 failureReason:255 mpesaTimestamp:50 settledAt:50! " +
			"userId:36 requestedAmount:integer requestKey:64 phoneKey:64 nextCheckAt:datetime",
	}
	indexed := map[string]string{"payments": "userId reference phoneKey nextCheckAt", "disbursements": "userId phoneKey nextCheckAt"}
	for _, c := range file.Collections {
		if !c.DocumentSecurity || !c.Enabled || c.Permissions == nil || len(c.Permissions) != 0 {
			t.Errorf("collection %s: %+v, want document security and no permissions", c.ID, c)
		}
		var attributes []string
		for _, a := range c.Attributes {
			attributes = append(attributes, describeAttribute(t, a))
		}
		if got := strings.Join(attributes, " "); got != want[c.ID] {
			t.Errorf("attributes of %s:\n%s, want\n%s", c.ID, got, want[c.ID])
		}
		var indexes []string
		for _, ix := range c.Indexes {
			if ix.Type != "key" || !slices.Equal(ix.Attributes, []string{ix.Key}) || !slices.Equal(ix.Orders, []string{"ASC"}) {
				t.Errorf("index of %s: %+v, want one for queries, named as its attribute", c.ID, ix)
			}
			indexes = append(indexes, ix.Key)
		}
		if got := strings.Join(indexes, " "); got != indexed[c.ID] {
			t.Errorf("indexes of %s: %s, want %s", c.ID, got, indexed[c.ID])
		}
	}
	if len(file.Collections) != 2 {
		t.Errorf("%d collections, want 2", len(file.Collections))
	}
}

// describeAttribute also checks that nothing is left out: where the Appwrite CLI
// misses a field, its next push deletes the column and makes it anew.
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

// TestVersion: the version that /health says has its entry in the changelog.
func TestVersion(t *testing.T) {
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil || !strings.Contains(string(changes), "\n## "+handler.Version+" ") {
		t.Errorf("CHANGELOG.md has no entry for %s: %v", handler.Version, err)
	}
}
