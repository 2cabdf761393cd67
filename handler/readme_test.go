package handler

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/settle"
)

// section returns the text of the README between a heading and the next one that is not
// below it.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(string(testbed.ReadFile(t, "README.md")), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	level := strings.Count(heading, "#")
	for above := level; above > 0; above-- {
		text, _, _ = strings.Cut(text, "\n"+strings.Repeat("#", above)+" ")
	}
	return text
}

// TestReadmeOutcomes: the README lists every outcome that the log can have.
func TestReadmeOutcomes(t *testing.T) {
	_, table, found := strings.Cut(section(t, "### Find a payment from a log line"), "\n| `outcome` | |\n|---|---|\n")
	if !found {
		t.Fatal("the README has no table of outcomes")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| .+ \\|$").FindAllStringSubmatch(table, -1) {
		listed = append(listed, row[1])
	}
	var want []string
	for _, outcome := range settle.Outcomes {
		want = append(want, string(outcome))
	}
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("the README lists\n%q, want\n%q", listed, want)
	}
}

// TestVariables: the README, appwrite.json and .env.example have the variables that the
// function reads, but for those that the platform sets.
func TestVariables(t *testing.T) {
	required := map[string]string{} // in the README's words
	for _, v := range Variables() {
		switch {
		case v.Platform:
		case v.Required && v.Push:
			required[v.Name] = "To start payments"
		case v.Required && v.Payouts:
			required[v.Name] = "To pay out"
		case v.Required:
			required[v.Name] = "Yes"
		default:
			required[v.Name] = ""
		}
	}
	want := slices.Sorted(maps.Keys(required))

	vars := map[string]string{}
	for _, v := range readSchema(t).Functions[0].Vars {
		vars[v.Key] = v.Value
	}
	if got := slices.Sorted(maps.Keys(vars)); !slices.Equal(got, want) {
		t.Errorf("appwrite.json has\n%q, want\n%q", got, want)
	}

	example := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^(DARAJA_\w+)=(.*)$`).FindAllStringSubmatch(string(testbed.ReadFile(t, ".env.example")), -1) {
		example[line[1]] = line[2]
	}
	if !maps.Equal(example, vars) {
		t.Errorf(".env.example has\n%q, and appwrite.json\n%q", example, vars)
	}

	described := map[string]string{}
	text := section(t, "## Environment Variables")
	for _, heading := range regexp.MustCompile("(?m)^### `(\\w+)`$").FindAllStringSubmatch(text, -1) {
		row := regexp.MustCompile(`(?m)^\| Required \| (Yes|To start payments|To pay out|) ?`).FindStringSubmatch(section(t, heading[0]))
		if row == nil {
			t.Fatalf("the README does not say whether %s is required", heading[1])
		}
		described[heading[1]] = row[1]
	}
	if !maps.Equal(described, required) {
		t.Errorf("the README describes, required or not,\n%v, want\n%v", described, required)
	}
}

// TestVersion: the version that /health says has its entry in the changelog.
func TestVersion(t *testing.T) {
	if changes := string(testbed.ReadFile(t, "CHANGELOG.md")); !strings.Contains(changes, "\n## "+Version+" ") {
		t.Errorf("CHANGELOG.md has no entry for %s", Version)
	}
}
