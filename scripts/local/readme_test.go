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
	"openruntimes/handler/internal/fakesafaricom"
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
	_, shown, _ := strings.Cut(readme(t, "## Try it"), "$ go run ./scripts/local -auto\n")
	shown, _, _ = strings.Cut(shown, "```")
	if strings.Count(shown, "\n") < 10 {
		t.Fatalf("the README does not show the command's output: %q", shown)
	}
	setenv(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	var out page
	ended := make(chan int, 1)
	go func() { ended <- command(ctx, []string{"-auto"}, nil, &out, &out) }()
	out.await(t, "Ctrl-C stops.*\n")
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("it ends with %d", code)
	}
	printed := "\n" + anyDay(out.String())
	for _, line := range strings.Split(anyDay(shown), "\n") {
		if line != "…" && !strings.Contains(printed, "\n"+line) {
			t.Errorf("the README has the line %q, which is not printed:\n%s", line, printed)
		}
	}
}

// anyDay takes out what differs from run to run: the ports, since those of the README
// may be taken here, which lines then say at their end; and the receipts of today.
func anyDay(printed string) string {
	printed = regexp.MustCompile(`(127\.0\.0\.1):\d+`).ReplaceAllString(printed, "$1")
	return regexp.MustCompile(`(?m)^(  (?:the phone pays|Safaricom's result|Safaricom's answer) .*SUCCESS    )\w{10} `).ReplaceAllString(printed, "$1RECEIPT")
}

// TestReadmePush runs the README's commands for a shell, and compares what they answer
// with what the README shows.
func TestReadmePush(t *testing.T) {
	section := readme(t, "### From a shell\n")
	s := newTestStage(t, &page{})
	section = strings.ReplaceAll(section, "http://127.0.0.1:4000/v1", s.AppwriteURL)
	id := regexp.MustCompile(`\\"id\\":\\"([0-9a-f]+)\\"`).FindStringSubmatch(section)[1]
	if command := pushCommand(s.Machine, id); !strings.Contains(section, strings.ReplaceAll(strings.TrimPrefix(command, "  "), "\n  ", "\n")) {
		t.Errorf("go run ./scripts/local prints another command than the README has:\n%s", command)
	}
	shown := jsonBlocks(t, section)
	if len(shown) != 2 {
		t.Fatalf("the README has %d answers, want an execution and a document", len(shown))
	}

	status, execution := runCopied(t, section)
	if status != http.StatusCreated {
		t.Fatalf("createExecution: %d %v", status, execution)
	}
	delete(execution, "scheduledAt") // the real server's is null or absent where none was given
	var reply, shownReply map[string]any
	if err := json.Unmarshal([]byte(fmt.Sprint(execution["responseBody"])), &reply); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(fmt.Sprint(shown[0]["responseBody"])), &shownReply); err != nil {
		t.Fatal(err)
	}
	compare(t, "the execution", execution, shown[0], "$id", "$createdAt", "$updatedAt", "deploymentId", "responseHeaders", "responseBody", "duration")
	compare(t, "the function's reply", reply, shownReply, "checkoutRequestId")

	prompts := s.safaricom.Prompts("")
	if err := s.press(prompts[0], fakesafaricom.Pays); err != nil {
		t.Fatal(err)
	}
	s.safaricom.Advance(outcomeKnown)
	compare(t, "the document", shownDocument(t, s.started(id)), shown[1], "checkoutRequestId", "receipt", "mpesaTimestamp", "settledAt")
}

// jsonBlocks returns the JSON that a section of the README shows.
func jsonBlocks(t *testing.T, section string) (blocks []map[string]any) {
	t.Helper()
	for _, sample := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1) {
		var block map[string]any
		if err := json.Unmarshal([]byte(sample[1]), &block); err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// compare holds what is shown to what there is, but for the values that differ from run
// to run. Those must be there all the same.
func compare(t *testing.T, what string, got, shown map[string]any, different ...string) {
	t.Helper()
	for _, name := range different {
		if (got[name] == nil) != (shown[name] == nil) {
			t.Errorf("%s: %s is %v, and in the README %v", what, name, got[name], shown[name])
		}
		delete(got, name)
		delete(shown, name)
	}
	if !reflect.DeepEqual(got, shown) {
		t.Errorf("%s is\n%v, and in the README\n%v", what, got, shown)
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
