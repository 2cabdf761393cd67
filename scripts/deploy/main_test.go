package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"openruntimes/handler/scripts/standin"
)

// unsettled is a line as the function logs it.
func unsettled(id string) string {
	return fmt.Sprintf(`UNSETTLED {"route":"callback","uid":"amina","id":%q,"data":{"amount":1000,"checkoutRequestId":%q,"failureReason":null,`+
		`"mpesaTimestamp":"2026-11-23T11:07:48Z","receipt":"UKN4T8W2QD","resultCode":0,"settledAt":"2026-11-23T11:07:50.123Z","status":"SUCCESS"}}`, id, id)
}

const masked = "ws_CO_2311202614074*********"

// world is an Appwrite, and the environment in which the command finds it.
func world(t *testing.T) (*standin.Machine, map[string]string) {
	t.Helper()
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := standin.NewMachine(schema, nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.Appwrite.AddKey("standard_operator", "documents.read", "documents.write", "execution.read")
	return m, map[string]string{
		"APPWRITE_ENDPOINT": m.AppwriteURL + "/", "APPWRITE_PROJECT_ID": standin.ProjectID, "APPWRITE_API_KEY": "standard_operator",
		"DARAJA_DATABASE_ID": "daraja", "DARAJA_COLLECTION_ID": "payments", "DARAJA_B2C_COLLECTION_ID": "disbursements",
	}
}

// replayWith is what main does for -replay.
func replayWith(out io.Writer, in io.Reader, getenv func(string) string) error {
	s, err := readSettings(getenv, "no such file")
	if err != nil {
		return err
	}
	return s.replayFrom(out, in)
}

func TestReplayFromExecutions(t *testing.T) {
	m, env := world(t)
	getenv := func(name string) string { return env[name] }
	const documents = 130 // more than a page of executions
	for i := range documents {
		line := unsettled(fmt.Sprintf("ws_CO_2311202614074%09d", i))
		m.Appwrite.Record(standin.Execution{Function: "daraja", Status: 503, Logs: "route=callback", Errors: line + "\nfailed route=callback\n"})
		m.Appwrite.Record(standin.Execution{Function: "daraja", Status: 503, Errors: line + "\n"}) // the same, from another run
	}
	for i, did := range []string{"created", "duplicate"} {
		var out strings.Builder
		if err := replayWith(&out, nil, getenv); err != nil {
			t.Fatalf("run %d: %v\n%s", i, err, &out)
		}
		if got := strings.Count(out.String(), did+strings.Repeat(" ", 12-len(did))+masked+"\n"); got != documents ||
			!strings.HasSuffix(out.String(), "130 UNSETTLED lines: 130 settled, 0 not.\n") {
			t.Errorf("run %d printed %d %s, want %d:\n%s", i, got, did, documents, &out)
		}
	}
	stored := m.Appwrite.Documents("daraja", "payments")
	if len(stored) != documents || stored[0].Data["receipt"] != "UKN4T8W2QD" || stored[0].Permissions[0] != `read("user:amina")` {
		t.Errorf("%d documents, the first %v, want %d as in the log", len(stored), stored[0], documents)
	}
}

func TestReplayFromInput(t *testing.T) {
	m, env := world(t)
	getenv := func(name string) string { return env[name] }
	good := unsettled("ws_CO_2311202614074000000001")
	in := "noise\n" + good + "\n  " + good + "  \nUNSETTLED {\"route\":\"callback\"}\nUNSETTLED {cut off"
	var out strings.Builder
	err := replayWith(&out, strings.NewReader(in), getenv)
	want := "created     " + masked + "\n" +
		"unreadable  no UNSETTLED line: id, transaction or status is missing\n" +
		"unreadable  no UNSETTLED line\n" +
		"3 UNSETTLED lines: 1 settled, 2 not.\n"
	if err == nil || out.String() != want {
		t.Errorf("run = %v and printed\n%s, want an error and\n%s", err, &out, want)
	}
	// What still fails is said, and can be repeated.
	m.Appwrite.SetDatabaseDown(true)
	out.Reset()
	if err := replayWith(&out, strings.NewReader(good), getenv); err == nil || !strings.Contains(out.String(), "failed      "+masked+"  create: 500 general_unknown\n") {
		t.Errorf("run with the database down = %v and printed\n%s", err, &out)
	}
}

func TestReplayRefused(t *testing.T) {
	m, env := world(t)
	m.Appwrite.AddKey("standard_poor", "documents.read")
	for name, change := range map[string]struct{ variable, value, want string }{
		"no scope":      {"APPWRITE_API_KEY", "standard_poor", "the function's executions: 401 general_unauthorized_scope"},
		"no key":        {"APPWRITE_API_KEY", "", "APPWRITE_API_KEY is missing"},
		"no endpoint":   {"APPWRITE_ENDPOINT", "", "APPWRITE_ENDPOINT is missing"},
		"no id":         {"DARAJA_DATABASE_ID", "a b", "DARAJA_DATABASE_ID is no id"},
		"bad secret":    {"DARAJA_CALLBACK_SECRET", "Short", "DARAJA_CALLBACK_SECRET is not 16 to 64"},
		"other project": {"APPWRITE_PROJECT_ID", "x", "404 project_not_found"},
	} {
		env := copied(env)
		env[change.variable] = change.value
		err := replayWith(&strings.Builder{}, nil, func(name string) string { return env[name] })
		if err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: run = %v, want %q", name, err, change.want)
		}
	}
}

func copied(env map[string]string) map[string]string {
	c := map[string]string{}
	for k, v := range env {
		c[k] = v
	}
	return c
}

func TestReadEnvFile(t *testing.T) {
	file := t.TempDir() + "/.env"
	content := "# a comment\nA=1\nexport B = \"two words\" \n#C=3\nD='x=y'\nnoise\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readEnvFile(file)
	if err != nil || len(got) != 3 || got["A"] != "1" || got["B"] != "two words" || got["D"] != "x=y" {
		t.Errorf("readEnvFile = %q, %v", got, err)
	}
	if got, err := readEnvFile(file + "x"); len(got) != 0 || err != nil {
		t.Errorf("readEnvFile of no file = %q, %v, want nothing", got, err)
	}
	if _, err := readEnvFile(t.TempDir()); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("readEnvFile of a folder = %v, want an error", err)
	}
}
