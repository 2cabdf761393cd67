package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
)

// readme returns the text of the README between a heading and the next one of the
// same level.
func readme(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading)
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	return section
}

// TestReadmeOutput: what the README shows of this command is what it prints.
func TestReadmeOutput(t *testing.T) {
	_, shown, _ := strings.Cut(readme(t, "## Try it"), "$ go run ./scripts/local\n")
	shown, _, _ = strings.Cut(shown, "```")
	if strings.Count(shown, "\n") < 10 {
		t.Fatalf("the README does not show the command's output: %q", shown)
	}
	setenv(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	var out page
	ended := make(chan int, 1)
	go func() { ended <- command(ctx, nil, nil, &out, &out) }()
	out.await(t, "Ctrl-C stops.*\n")
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("it ends with %d", code)
	}
	// The ports of the README may be taken here, which lines then say at their end.
	port := regexp.MustCompile(`(127\.0\.0\.1):\d+`)
	printed := port.ReplaceAllString("\n"+out.String(), "$1")
	for _, line := range strings.Split(port.ReplaceAllString(shown, "$1"), "\n") {
		if line != "…" && !strings.Contains(printed, "\n"+line) {
			t.Errorf("the README has the line %q, which is not printed:\n%s", line, printed)
		}
	}
}

// TestReadmeSamples posts the README's sample of each route, and compares the
// document with the one that the README shows.
func TestReadmeSamples(t *testing.T) {
	for _, tt := range []struct{ path, collection, id string }{
		{"/callback", "payments", "checkoutRequestId"},
		{"/b2c/result", "disbursements", "originatorConversationId"},
		{"/b2c/timeout", "disbursements", "originatorConversationId"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			section := readme(t, fmt.Sprintf("### `POST %s?uid=USER`\n", tt.path))
			samples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1)
			if len(samples) != 2 {
				t.Fatalf("the README has %d samples, want a body and its document", len(samples))
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(samples[1][1]), &want); err != nil {
				t.Fatal(err)
			}

			s := newTestStage(t, &page{})
			status, reply, err := send(s.FunctionURL, http.MethodPost, callbackPath(tt.path, "amina"), samples[0][1])
			if err != nil {
				t.Fatal(err)
			}
			if status != http.StatusOK {
				t.Fatalf("answered %d %s", status, reply)
			}
			documents := s.Appwrite.Documents("daraja", tt.collection)
			if len(documents) != 1 {
				t.Fatalf("%d documents, want 1", len(documents))
			}
			got := shownDocument(t, documents[0])
			// Every time is another one, of the same form.
			form := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
			if s, _ := want["settledAt"].(string); !form.MatchString(s) {
				t.Errorf("settledAt is %q in the README", s)
			}
			if s, _ := got["settledAt"].(string); !form.MatchString(s) {
				t.Errorf("settledAt is %q", s)
			}
			delete(want, "settledAt")
			delete(got, "settledAt")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the document is\n%v, and in the README\n%v", got, want)
			}
		})
	}
}

// shownDocument is a document as JSON has it, without what Appwrite adds.
func shownDocument(t *testing.T, d fakeappwrite.Document) map[string]any {
	t.Helper()
	text, err := json.Marshal(d.Data)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]any{"$id": d.ID, "$permissions": []any{}}
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	if shown["requestKey"] == nil { // not started here
		for _, name := range []string{"userId", "reference", "requestedAmount", "requestKey", "phoneKey", "nextCheckAt"} {
			delete(shown, name)
		}
	}
	for _, p := range d.Permissions {
		shown["$permissions"] = append(shown["$permissions"].([]any), p)
	}
	return shown
}
