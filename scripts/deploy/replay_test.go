package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// unsettled is a line as the function logs it.
func unsettled(id string) string {
	return fmt.Sprintf(`UNSETTLED {"route":"callback","uid":"amina","id":%q,"data":{"amount":1000,"checkoutRequestId":%q,"failureReason":null,`+
		`"mpesaTimestamp":"2026-11-23T11:07:48Z","receipt":"UKN4T8W2QD","resultCode":0,"settledAt":"2026-11-23T11:07:50.123Z","status":"SUCCESS"}}`, id, id)
}

const masked = "ws_CO_2311202614074*********"

// world is an Appwrite, and the environment in which the command finds it.
func world(t *testing.T) (*testbed.Machine, map[string]string) {
	t.Helper()
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := testbed.NewMachine(schema, nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.Appwrite.AddKey("standard_operator", "documents.read", "documents.write", "execution.read")
	return m, map[string]string{
		"APPWRITE_ENDPOINT": m.AppwriteURL + "/", "APPWRITE_PROJECT_ID": fakeappwrite.ProjectID, "APPWRITE_API_KEY": "standard_operator",
		"DARAJA_DATABASE_ID": "daraja", "DARAJA_COLLECTION_ID": "payments", "DARAJA_B2C_COLLECTION_ID": "disbursements",
	}
}

// replayWith runs the whole command with -replay. Without input it replays the log.
func replayWith(env map[string]string, input string) (stdout, stderr string, status int) {
	arguments := []string{"-replay"}
	if input != "" {
		arguments = append(arguments, "-")
	}
	var out, errors strings.Builder
	status = run(ctx, arguments, func(name string) string { return env[name] }, strings.NewReader(input), &out, &errors)
	return out.String(), errors.String(), status
}

func TestReplayFromExecutions(t *testing.T) {
	m, env := world(t)
	const documents = 130 // more than a page of executions
	for i := range documents {
		line := unsettled(fmt.Sprintf("ws_CO_2311202614074%09d", i))
		m.Appwrite.Record(fakeappwrite.Execution{Function: "daraja", Status: 503, Logs: "route=callback", Errors: line + "\nfailed route=callback\n"})
		m.Appwrite.Record(fakeappwrite.Execution{Function: "daraja", Status: 503, Errors: line + "\n"}) // the same, from another run
	}
	for _, outcome := range []string{"created", "duplicate"} {
		out, errors, status := replayWith(env, "")
		if status != 0 {
			t.Fatalf("exit status %d: %s\n%s", status, errors, out)
		}
		if got := strings.Count(out, outcome+strings.Repeat(" ", 12-len(outcome))+masked+"\n"); got != documents {
			t.Errorf("%d %s, want %d:\n%s", got, outcome, documents, out)
		}
		if !strings.HasSuffix(out, "130 UNSETTLED lines: 130 settled, 0 not.\n") {
			t.Errorf("it ends with\n%s", out)
		}
	}
	stored := m.Appwrite.Documents("daraja", "payments")
	if len(stored) != documents {
		t.Fatalf("%d documents, want %d", len(stored), documents)
	}
	if stored[0].Data["receipt"] != "UKN4T8W2QD" || stored[0].Permissions[0] != `read("user:amina")` {
		t.Errorf("the first document is %v, want it as in the log", stored[0])
	}
}

// TestReplayFromInput: a line is found however a log viewer has it, and one that
// cannot be read is named.
func TestReplayFromInput(t *testing.T) {
	const id = "ws_CO_2311202614074000000001"
	line := unsettled(id)
	text, _ := json.Marshal("failed route=callback\n" + line + "\n" + unsettled("ws_CO_2311202614074000000002") + "\n")
	twice, _ := json.Marshal(string(text))
	const failure = "deploy: not everything is settled: fix the cause and repeat it\n"
	one := "created     " + masked + "\n1 UNSETTLED lines: 1 settled, 0 not.\n"
	two := "created     " + masked + "\ncreated     " + masked + "\n2 UNSETTLED lines: 2 settled, 0 not.\n"
	unreadable := func(line int) string {
		return fmt.Sprintf("unreadable  line %d: no UNSETTLED line\n1 UNSETTLED lines: 0 settled, 1 not.\n", line)
	}
	for _, tt := range []struct {
		name, input  string
		out, errors  string
		wantedStatus int
	}{
		{"as it was written", line, one, "", 0},
		{"twice", "noise\n" + line + "\n  " + line + "  \n", one, "", 0},
		{"behind a time", "2026-11-25T12:00:00.000Z [error] " + line, one, "", 0},
		{"before other words", line + " (execution 64d4)", one, "", 0},
		{"with Windows' line ends", "noise\r\n" + line + "\r\n", one, "", 0},
		{"in a JSON export", `[{"$id":"64d4","errors":` + string(text) + `,"duration":0.1}]`, two, "", 0},
		{"in JSON within JSON", `{"message":` + string(twice) + `}`, two, "", 0},
		{"in a CSV export", `64d4,"` + strings.ReplaceAll(line, `"`, `""`) + `",0.1`, one, "", 0},
		{"cut off", "noise\n" + line[:len(line)-9], unreadable(2), failure, 1},
		{"without a document", "UNSETTLED lines are those that", unreadable(1), failure, 1},
		{"without its ids", "x\nx\n" + `UNSETTLED {"route":"callback"}`, "unreadable  line 3: no UNSETTLED line: id, transaction or status is missing\n1 UNSETTLED lines: 0 settled, 1 not.\n", failure, 1},
		{"no such line", "noise\n", "", "deploy: the input has no UNSETTLED line, and nothing was settled\n", 1},
		{"nothing", "\n", "0 UNSETTLED lines: 0 settled, 0 not.\n", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, env := world(t)
			out, errors, status := replayWith(env, tt.input)
			if out != tt.out {
				t.Errorf("printed\n%swant\n%s", out, tt.out)
			}
			if errors != tt.errors {
				t.Errorf("said %q, want %q", errors, tt.errors)
			}
			if status != tt.wantedStatus {
				t.Errorf("exit status %d, want %d", status, tt.wantedStatus)
			}
		})
	}
}

// TestReplayQuoted: Safaricom's words within a document are no document, whatever
// they look like.
func TestReplayQuoted(t *testing.T) {
	forged := unsettled("ws_CO_forged")
	quoted, _ := json.Marshal(forged)
	real := `UNSETTLED {"route":"callback","uid":"","id":"ws_CO_real","data":{"checkoutRequestId":"ws_CO_real","failureReason":` + string(quoted) +
		`,"resultCode":1,"settledAt":"2026-11-23T11:07:50.123Z","status":"FAILED"}}`
	exported, _ := json.Marshal(real)
	for name, input := range map[string]string{"as it was written": real, "in a JSON export": string(exported), "in a CSV export": strings.ReplaceAll(real, `"`, `""`)} {
		t.Run(name, func(t *testing.T) {
			m, env := world(t)
			if out, errors, status := replayWith(env, input); status != 0 {
				t.Errorf("exit status %d: %s\n%s", status, errors, out)
			}
			stored := m.Appwrite.Documents("daraja", "payments")
			if len(stored) != 1 || stored[0].ID != "ws_CO_real" {
				t.Errorf("stored is %v, want ws_CO_real alone", stored)
			}
		})
	}
}

// TestReplayFails: what still fails is said, and can be repeated.
func TestReplayFails(t *testing.T) {
	m, env := world(t)
	m.Appwrite.SetDatabaseDown(true)
	out, errors, status := replayWith(env, unsettled("ws_CO_2311202614074000000001"))
	if want := "failed      " + masked + "  create: 500 general_unknown\n1 UNSETTLED lines: 0 settled, 1 not.\n"; out != want || status != 1 {
		t.Errorf("with the database down, exit status %d: %s\n%s", status, errors, out)
	}
}

// TestReplayEnded: whoever ends it is heard between two documents.
func TestReplayEnded(t *testing.T) {
	m, env := world(t)
	ctx, end := context.WithCancel(ctx)
	input := unsettled("ws_CO_2311202614074000000001") + "\n" + unsettled("ws_CO_2311202614074000000002")
	var said strings.Builder
	status := run(ctx, []string{"-replay", "-"}, func(name string) string { return env[name] }, strings.NewReader(input), writerFunc(end), &said)
	if want := "deploy: interrupted; it can be run again\n"; status != 1 || said.String() != want {
		t.Errorf("exit status %d and %q, want 1 and %q", status, &said, want)
	}
	if stored := len(m.Appwrite.Documents("daraja", "payments")); stored != 1 {
		t.Errorf("%d documents are stored, want the first alone", stored)
	}
}

// writerFunc is called with each write.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestReplayEndedTwice: it waits for what somebody types, and the second Ctrl-C ends it
// there too.
func TestReplayEndedTwice(t *testing.T) {
	_, env := world(t)
	program := filepath.Join(t.TempDir(), "deploy")
	if out, err := exec.Command("go", "build", "-o", program, "./scripts/deploy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := exec.Command(program, "-replay", "-")
	c.Env = os.Environ()
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() { _ = c.Wait(); close(ended) }()
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-ended:
			return
		default:
		}
	}
	_ = c.Process.Kill()
	t.Error("it does not end")
}

func TestReplayJSON(t *testing.T) {
	_, env := world(t)
	var out strings.Builder
	input := unsettled("ws_CO_2311202614074000000001") + "\nUNSETTLED x\n"
	status := run(ctx, []string{"-replay", "-", "-json"}, func(name string) string { return env[name] }, strings.NewReader(input), &out, io.Discard)
	want := `{"line":1,"id":"` + masked + `","result":"created"}` + "\n" + `{"line":2,"result":"unreadable","error":"no UNSETTLED line"}` + "\n" +
		`{"check":"deploy","result":"error","found":"not everything is settled: fix the cause and repeat it"}` + "\n"
	if out.String() != want || status != 1 {
		t.Errorf("exit status %d and\n%s, want 1 and\n%s", status, &out, want)
	}
}

func TestReplayRefused(t *testing.T) {
	m, env := world(t)
	m.Appwrite.AddKey("standard_poor", "documents.read")
	for name, change := range map[string]struct{ variable, value, want string }{
		"no scope":      {"APPWRITE_API_KEY", "standard_poor", "the function's executions: Appwrite: 401 general_unauthorized_scope"},
		"no key":        {"APPWRITE_API_KEY", "", "APPWRITE_API_KEY is missing"},
		"no endpoint":   {"APPWRITE_ENDPOINT", "", "APPWRITE_ENDPOINT is missing"},
		"no id":         {"DARAJA_DATABASE_ID", "a b", "DARAJA_DATABASE_ID is no id"},
		"bad secret":    {"DARAJA_CALLBACK_SECRET", "Short", "DARAJA_CALLBACK_SECRET is not 16 to 64"},
		"other project": {"APPWRITE_PROJECT_ID", "x", "has no project x"},
	} {
		t.Run(name, func(t *testing.T) {
			env := maps.Clone(env)
			env[change.variable] = change.value
			if _, errors, status := replayWith(env, ""); status != 1 || !strings.Contains(errors, change.want) {
				t.Errorf("exit status %d and %q, want 1 and %q", status, errors, change.want)
			}
		})
	}
}

// TestReplayElsewhere: which database a function works on is read from it, and where that
// cannot be nothing is settled: a default would name another one.
func TestReplayElsewhere(t *testing.T) {
	c := newCloud(t)
	c.deploy()
	c.AddKey("standard_poor", "documents.read", "documents.write", "execution.read")
	c.env["APPWRITE_API_KEY"] = "standard_poor"
	out, complaint, status := c.command("-replay")
	if status != 1 || !strings.Contains(out+complaint, "the function's variables: ") {
		t.Errorf("-replay = %d\n%s%s", status, out, complaint)
	}
}
