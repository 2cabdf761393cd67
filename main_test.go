package handler

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// limit is what no request takes here, however slow the machine is: the function's
// own rounds end within 25 s. What takes longer hangs, and fails its test.
const limit = 50 * time.Second

var httpClient = &http.Client{Timeout: limit}

// watch fails the tests, by the name of the one that hangs, unless it is stopped.
func watch(t testing.TB) (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(t.Name() + " hangs")
	})
	return func() { timer.Stop() }
}

// world is the function behind the runtime's surface, and an Appwrite for it.
type world struct {
	*testbed.Machine
	t testing.TB
}

// newWorld starts one, with the environment that Main reads.
func newWorld(t testing.TB) *world {
	t.Helper()
	schema, err := os.ReadFile("appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	main := func(ctx openruntimes.Context) openruntimes.Response {
		defer watch(t)()
		return Main(ctx)
	}
	m, err := testbed.NewMachine(schema, main, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	for name, value := range m.Environment() {
		t.Setenv(name, value)
	}
	return &world{m, t}
}

// reply is what the sender got.
type reply struct {
	status int
	body   string
	header http.Header
}

func (w *world) send(method, target, body string) reply {
	w.t.Helper()
	req, err := http.NewRequest(method, w.FunctionURL+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	sent, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, string(sent), resp.Header}
}

func (w *world) post(target, body string) reply { return w.send(http.MethodPost, target, body) }

// postFile posts a payload of testdata as amina's.
func (w *world) postFile(name string) reply {
	w.t.Helper()
	return w.post(target(name)+"?uid=amina", payload(w.t, name))
}

func payload(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// target is the path that payloads of that name's folder are posted to.
func target(name string) string {
	return map[string]string{"stk": "/callback", "b2c": "/b2c/result", "timeout": "/b2c/timeout"}[filepath.Dir(name)]
}

// stored returns all documents, payments first.
func (w *world) stored() []fakeappwrite.Document {
	return append(w.Appwrite.Documents("daraja", "payments"), w.Appwrite.Documents("daraja", "disbursements")...)
}

// document returns the only document that there is.
func (w *world) document() fakeappwrite.Document {
	w.t.Helper()
	all := w.stored()
	if len(all) != 1 {
		w.t.Fatalf("%d documents are stored, want 1: %v", len(all), all)
	}
	return all[0]
}

// operations names the calls of the API since the last time.
func (w *world) operations() string {
	var names []string
	for _, call := range w.Appwrite.Calls() {
		names = append(names, call.Operation)
	}
	w.Appwrite.Reset()
	return strings.Join(names, " ")
}

const (
	acceptedBody = `{"ResultCode":0,"ResultDesc":"Accepted"}`
	notRecorded  = `{"ResultCode":1,"ResultDesc":"not recorded"}`
)

// payloads lists testdata, folder by folder.
func payloads(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, folder := range []string{"stk", "b2c", "timeout"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no payloads in testdata/%s: %v", folder, err)
		}
		for _, file := range files {
			names = append(names, folder+"/"+filepath.Base(file))
		}
	}
	return names
}

// TestGolden posts each payload to an empty database and compares all that came
// of it: the reply, the document, who may read it, and what was logged.
func TestGolden(t *testing.T) {
	for _, name := range payloads(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.postFile(name)
			compareGolden(t, name, "POST "+target(name)+"?uid=amina\n"+w.describe(r))
		})
	}
}

// compareGolden compares what came of a file of testdata with the file beside it.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", strings.TrimSuffix(name, filepath.Ext(name))+".golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s became\n%s\nwant\n%s", name, got, want)
	}
}

// describe writes down what came of a request, without what differs each time.
func (w *world) describe(r reply) string {
	w.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", r.status, r.body)
	for _, d := range w.stored() {
		settled, err := time.Parse("2006-01-02T15:04:05.000Z", d.Data["settledAt"].(string))
		if err != nil || time.Since(settled) > time.Minute {
			w.t.Errorf("settledAt = %v (%v), want the time of writing", d.Data["settledAt"], err)
		}
		d.Data["settledAt"] = "now"
		data, err := json.MarshalIndent(d.Data, "", "  ")
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n", d.ID, strings.Join(d.Permissions, " "), data)
	}
	logs, errors := w.Logged()
	milliseconds := regexp.MustCompile(` ms=\d+$`)
	for _, line := range logs {
		fmt.Fprintf(&b, "\nlog: %s", milliseconds.ReplaceAllString(line, " ms=n"))
	}
	for _, line := range errors {
		fmt.Fprintf(&b, "\nerror log: %s", line)
	}
	return b.String() + "\n"
}

// TestPayloadList: testdata/README.md says of each payload where its shape comes
// from, and nothing else has a row there or a golden file.
func TestPayloadList(t *testing.T) {
	names := append(payloads(t), hostile(t)...)
	slices.Sort(names)
	var listed []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(payload(t, "README.md"), -1) {
		listed = append(listed, match[1])
	}
	slices.Sort(listed)
	if !slices.Equal(names, listed) {
		t.Errorf("testdata/README.md lists\n%v\nwant\n%v", listed, names)
	}
	goldens, err := filepath.Glob("testdata/*/*.golden")
	if err != nil || len(goldens) != len(names) {
		t.Errorf("there are %d golden files, want %d: %v", len(goldens), len(names), err)
	}
	for _, name := range names {
		if golden := "testdata/" + strings.TrimSuffix(name, filepath.Ext(name)) + ".golden"; !slices.Contains(goldens, golden) {
			t.Errorf("there is no %s", golden)
		}
	}
}

// TestSequences posts payloads that belong together, one after another.
func TestSequences(t *testing.T) {
	tests := []struct {
		name  string
		posts string
		want  string // the documents, as status:code:receipt:amount:permissions
		calls string // of the last delivery
		did   string // its outcome in the log
		error string // what begins its line in the error log, if there is one
	}{
		{"repeat", "stk/paid stk/paid-again", "SUCCESS:0:UKN4T8W2QD:1000:user:amina", "create get", "duplicate", ""},
		{"result after timeout", "timeout/envelope b2c/paid", "SUCCESS:0:UKN8D3R6YM:500:user:amina", "create get replace", "replaced", ""},
		{"timeout after result", "b2c/paid timeout/envelope", "SUCCESS:0:UKN8D3R6YM:500:user:amina", "create get", "duplicate", ""},
		{"paid after failed", "stk/fail-1019-expired stk/paid-after-expired", "SUCCESS:0:*:user:amina", "create get replace", "replaced", ""},
		{"failed after paid", "stk/paid-after-expired stk/fail-1019-expired", "SUCCESS:0:*:user:amina", "create get", "conflict",
			"conflict route=callback id=ws_CO_22062026102438839********* stored: status=SUCCESS code=0 receipt=UFM48XKF72 amount=720 new: status=FAILED code=1019 receipt= amount=0"},
		{"paid after no answer", "stk/unknown-1037-no-response stk/paid-after-no-response", "SUCCESS:0:*:user:amina", "create get replace", "replaced", ""},
		{"two failures", "stk/fail-2001-wrong-pin stk/fail-2001-then-1019", "FAILED:2001:<nil>:<nil>:user:amina", "create get", "conflict", "conflict route=callback"},
		{"failure after unknown", "stk/unknown-1037-ds stk/expired-late", "FAILED:1019:<nil>:<nil>:user:amina", "create get replace", "replaced", ""},
		{"collision without receipts", "stk/collision-a stk/collision-b", "FAILED:1019:<nil>:<nil>:user:amina", "create get replace", "replaced", ""},
		{"collision of payments", "stk/collision-paid-a stk/collision-paid-b",
			"SUCCESS:0:*:user:amina SUCCESS:0:*:nobody", "create get create", "beside", "collision route=callback"},
		{"collision of payments, again", "stk/collision-paid-a stk/collision-paid-b stk/collision-paid-b",
			"SUCCESS:0:*:user:amina SUCCESS:0:*:nobody", "create get create get", "duplicate", ""},
		{"ids that differ in case", "stk/id-case-a stk/id-case-b stk/id-case-b",
			"SUCCESS:0:*:user:amina SUCCESS:0:*:user:amina", "create get create get", "duplicate", ""},
		{"B2C ids that differ in case", "b2c/id-case-a b2c/id-case-b",
			"SUCCESS:0:*:user:amina SUCCESS:0:*:user:amina", "create get create", "created", ""},
		{"B2C paid after unknown", "b2c/unknown-17-internal b2c/paid-after-17", "SUCCESS:0:*:user:amina", "create get replace", "replaced", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var calls string
			var logs, errors []string
			for _, name := range strings.Fields(tt.posts) {
				if r := w.postFile(name + ".json"); r.status != 200 || r.body != acceptedBody {
					t.Errorf("%s: %d %s, want 200 %s", name, r.status, r.body, acceptedBody)
				}
				calls = w.operations()
				logs, errors = w.Logged()
			}
			if !strings.Contains(logs[0], " outcome="+tt.did+" attempt=0 calls="+fmt.Sprint(len(strings.Fields(calls)))+" ms=") {
				t.Errorf("log = %q, want the outcome %s", logs, tt.did)
			}
			if complaint := strings.Join(errors, "\n"); !strings.HasPrefix(complaint, tt.error) || (complaint == "") != (tt.error == "") {
				t.Errorf("error log = %q, want %q", complaint, tt.error)
			}
			if calls != tt.calls {
				t.Errorf("the last delivery took the calls %q, want %q", calls, tt.calls)
			}
			var got []string
			for _, d := range w.stored() {
				readers := strings.NewReplacer(`read("`, "", `")`, "").Replace(strings.Join(d.Permissions, ","))
				if readers == "" {
					readers = "nobody"
				}
				got = append(got, fmt.Sprintf("%v:%v:%v:%v:%s", d.Data["status"], d.Data["resultCode"], d.Data["receipt"], d.Data["amount"], readers))
			}
			wants := strings.Fields(tt.want)
			for i := range max(len(got), len(wants)) {
				if len(got) != len(wants) || !regexp.MustCompile("^"+strings.ReplaceAll(wants[i], "*", ".+:[1-9][0-9]*")+"$").MatchString(got[i]) {
					t.Fatalf("documents = %v, want %v", got, wants)
				}
			}
		})
	}
}

// TestReplacement: what is replaced leaves nothing behind, but for its id.
func TestReplacement(t *testing.T) {
	w := newWorld(t)
	w.post("/b2c/timeout?uid=juma", payload(t, "timeout/envelope.json"))
	before := w.document()
	w.post("/b2c/result?uid=amina", payload(t, "b2c/paid.json"))
	after := w.document()
	if before.Data["failureReason"] == nil || after.Data["failureReason"] != nil {
		t.Errorf("failureReason was %v and is %v, want null: it was paid", before.Data["failureReason"], after.Data["failureReason"])
	}
	if after.ID != before.ID || after.Data["settledAt"].(string) < before.Data["settledAt"].(string) || after.Data["receiverName"] == nil {
		t.Errorf("%v became %v", before.Data, after.Data)
	}
	if want := []string{`read("user:amina")`}; !slices.Equal(after.Permissions, want) {
		t.Errorf("permissions = %v, want %v: those of the callback that now stands", after.Permissions, want)
	}
	if events := w.Appwrite.Events(); len(events) != 2 || events[0].Action != "create" || events[1].Action != "update" {
		t.Errorf("Realtime would have sent %v, want a create and an update", events)
	}
}

// TestReplacementWithoutUid keeps the reader there is, and makes nothing public.
func TestReplacementWithoutUid(t *testing.T) {
	for _, query := range []string{"", "?uid=", "?uid=%22)", "?user=amina"} {
		for _, anonymous := range []string{"", "any"} {
			w := newWorld(t)
			t.Setenv("DARAJA_ANONYMOUS_READ", anonymous)
			w.postFile("stk/unknown-1037-no-response.json")
			w.post("/callback"+query, payload(t, "stk/paid-after-no-response.json"))
			d := w.document()
			if want := []string{`read("user:amina")`}; d.Data["status"] != "SUCCESS" || !slices.Equal(d.Permissions, want) {
				t.Errorf("after %q, anonymous read %q: %v readable by %v, want SUCCESS by %v",
					query, anonymous, d.Data["status"], d.Permissions, want)
			}
		}
	}
}

// TestPermissions: who may read the first document of a transaction.
func TestPermissions(t *testing.T) {
	tests := []struct {
		file, query, anonymous string
		want                   string
		complaint              bool
	}{
		{"stk/paid.json", "?uid=amina", "", `read("user:amina")`, false},
		{"stk/paid.json", "?uid=amina&uid=juma", "", `read("user:amina")`, false},
		{"stk/paid.json", "", "", "", true},
		{"stk/paid.json", "?uid=", "", "", true},
		{"stk/paid.json", "?uid=any", "", `read("user:any")`, false},
		{"stk/paid.json", "?uid=x%22),read(%22any", "", "", true},
		{"stk/paid.json", "?uid=_amina", "", "", true},
		{"stk/paid.json", "?uid=a%00", "", "", true},
		{"stk/paid.json", "?uid=amina%20", "", "", true},
		{"stk/paid.json", "?uid=" + strings.Repeat("x", 37), "", "", true},
		{"stk/paid.json", "", "any", `read("any")`, false},
		{"stk/paid.json", "?uid=%22", "any", `read("any")`, false},
		{"stk/paid.json", "?uid=amina", "any", `read("user:amina")`, false},
		{"stk/paid.json", "", "ANY", "", true},
		{"b2c/paid.json", "", "any", "", true},
		{"timeout/envelope.json", "", "any", "", true},
		{"b2c/paid.json", "?uid=amina", "any", `read("user:amina")`, false},
	}
	for _, tt := range tests {
		w := newWorld(t)
		t.Setenv("DARAJA_ANONYMOUS_READ", tt.anonymous)
		r := w.post(target(tt.file)+tt.query, payload(t, tt.file))
		got := strings.Join(w.document().Permissions, " ")
		if r.status != 200 || got != tt.want {
			t.Errorf("%s%s, anonymous read %q: %d and permissions %q, want 200 and %q",
				tt.file, tt.query, tt.anonymous, r.status, got, tt.want)
		}
		if _, errors := w.Logged(); (len(errors) > 0) != tt.complaint {
			t.Errorf("%s%s, anonymous read %q: error log %q, want a complaint: %t", tt.file, tt.query, tt.anonymous, errors, tt.complaint)
		}
	}
}

// TestReplies has every route, method and reply.
func TestReplies(t *testing.T) {
	const (
		unknown  = `{"ResultCode":1,"ResultDesc":"unknown path"}`
		postOnly = `{"ResultCode":1,"ResultDesc":"POST only"}`
		getOnly  = `{"ResultCode":1,"ResultDesc":"GET only"}`
		tooLarge = `{"ResultCode":1,"ResultDesc":"body too large"}`
		healthy  = `{"status":"ok","version":"` + handler.Version + `"}`
	)
	stk, b2c, timeout := payload(t, "stk/paid.json"), payload(t, "b2c/paid.json"), payload(t, "timeout/envelope.json")
	atLimit := stk + strings.Repeat(" ", 16<<10-len(stk))
	tests := []struct {
		method, target, body string
		status               int
		want                 string
		documents            int
	}{
		{"POST", "/callback?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "/callback/?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "/?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "//callback?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "/callback//?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "///callback///?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "//?uid=amina", stk, 200, acceptedBody, 1},
		{"POST", "/b2c//result", b2c, 200, acceptedBody, 1},
		{"POST", "//b2c///timeout/", timeout, 200, acceptedBody, 1},
		{"POST", "/b2c/result?uid=amina", b2c, 200, acceptedBody, 1},
		{"POST", "/b2c/result/", b2c, 200, acceptedBody, 1},
		{"POST", "/b2c/timeout?uid=amina", timeout, 200, acceptedBody, 1},
		{"POST", "/b2c/timeout/", timeout, 200, acceptedBody, 1},
		{"GET", "/health", "", 200, healthy, 0},
		{"GET", "/health/", "", 200, healthy, 0},
		{"GET", "//health", "", 200, healthy, 0},
		{"HEAD", "/health", "", 200, "", 0}, // net/http leaves the body out
		{"HEAD", "/health/", "", 200, "", 0},

		{"POST", "/callback", "", 400, `{"ResultCode":1,"ResultDesc":"not JSON at byte 0"}`, 0},
		{"POST", "/callback", "{}", 400, `{"ResultCode":1,"ResultDesc":"Body.stkCallback.CheckoutRequestID: missing"}`, 0},
		{"POST", "/callback", b2c, 400, `{"ResultCode":1,"ResultDesc":"Body.stkCallback.CheckoutRequestID: missing"}`, 0},
		{"POST", "/b2c/result", stk, 400, `{"ResultCode":1,"ResultDesc":"Result.OriginatorConversationID: missing"}`, 0},
		{"POST", "/b2c/timeout", stk, 400, `{"ResultCode":1,"ResultDesc":"OriginatorConversationID, in Result or at the top level: missing"}`, 0},
		{"POST", "/b2c/result", payload(t, "b2c/type-1.json"), 200, acceptedBody, 0},

		{"POST", "/callback", atLimit, 200, acceptedBody, 1},
		{"POST", "/callback", atLimit + " ", 413, tooLarge, 0},
		{"POST", "/b2c/result", strings.Repeat("x", 1<<20), 413, tooLarge, 0},

		{"GET", "/callback", "", 405, postOnly, 0},
		{"GET", "/", "", 405, postOnly, 0},
		{"PUT", "/callback", stk, 405, postOnly, 0},
		{"DELETE", "/b2c/result", "", 405, postOnly, 0},
		{"GET", "/b2c/timeout", "", 405, postOnly, 0},
		{"POST", "/health", "", 405, getOnly, 0},
		{"DELETE", "/health", "", 405, getOnly, 0},
		{"HEAD", "/callback", "", 405, "", 0},
		{"HEAD", "/nowhere", "", 404, "", 0},

		{"POST", "/nowhere", stk, 404, unknown, 0},
		{"GET", "/nowhere", "", 404, unknown, 0},
		{"POST", "/call/back", stk, 404, unknown, 0},
		{"POST", "/callback&uid=amina", stk, 404, unknown, 0},
		{"POST", "/Callback", stk, 404, unknown, 0},
		{"POST", "/callback/x", stk, 404, unknown, 0},
		{"POST", "/b2c", b2c, 404, unknown, 0},
		{"POST", "/x/health", "", 404, unknown, 0},
	}
	for _, tt := range tests {
		w := newWorld(t)
		r := w.send(tt.method, tt.target, tt.body)
		if r.status != tt.status || r.body != tt.want || len(w.stored()) != tt.documents {
			t.Errorf("%s %s: %d %s and %d documents, want %d %s and %d",
				tt.method, tt.target, r.status, r.body, len(w.stored()), tt.status, tt.want, tt.documents)
		}
		if got := r.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.target, got)
		}
		allow := map[string]string{postOnly: "POST", getOnly: "GET, HEAD"}[tt.want]
		if tt.method == "HEAD" && tt.status == 405 {
			allow = "POST"
		}
		if got := r.header.Get("Allow"); got != allow {
			t.Errorf("%s %s: Allow %q, want %q", tt.method, tt.target, got, allow)
		}
		if tt.documents == 0 && w.operations() != "" {
			t.Errorf("%s %s called the API for nothing", tt.method, tt.target)
		}
	}
}

// TestHead: whoever only wants the status gets that of GET. The body is the
// platform's to leave out: it takes an empty one of an error for one that lacks its
// page.
func TestHead(t *testing.T) {
	w := newWorld(t)
	for _, databaseID := range []string{"daraja", ""} {
		t.Setenv("DARAJA_DATABASE_ID", databaseID)
		get := w.serve("GET", "/health", "", http.Header{}, "")
		head := w.serve("HEAD", "/health", "", http.Header{}, "")
		if head.Code != get.Code {
			t.Errorf("HEAD with the database %q: %d, want %d", databaseID, head.Code, get.Code)
		}
		if head.Body.Len() == 0 || head.Body.String() != get.Body.String() {
			t.Errorf("HEAD with the database %q has the body %q, want %q", databaseID, head.Body, get.Body)
		}
		if r := w.send("HEAD", "/health", ""); r.status != get.Code || r.body != "" {
			t.Errorf("HEAD over HTTP: %d %q, want %d and no body", r.status, r.body, get.Code)
		}
	}
}

// TestRefusedIsLogged: an operator sees why, and sees no value.
func TestRefusedIsLogged(t *testing.T) {
	w := newWorld(t)
	w.post("/callback", `{"Phone":254700000001,"Body":{"x":"Amina"},"254700000001":1}`)
	_, errors := w.Logged()
	want := []string{`refused route=callback reason="Body.stkCallback.CheckoutRequestID: missing" bytes=60 keys=?,Body,Phone`}
	if !slices.Equal(errors, want) {
		t.Errorf("error log = %q, want %q", errors, want)
	}
	w.post("/b2c/result", `Amina`)
	if _, errors = w.Logged(); !slices.Equal(errors, []string{`refused route=b2c/result reason="not JSON at byte 1" bytes=5 keys=-`}) {
		t.Errorf("error log = %q", errors)
	}
	w.post("/callback", strings.Repeat("x", 20_000))
	if _, errors = w.Logged(); !slices.Equal(errors, []string{`refused route=callback reason="body too large" bytes=20000`}) {
		t.Errorf("error log = %q", errors)
	}
	many := "{"
	for c := 'a'; c <= 'z'; c++ {
		many += fmt.Sprintf("%q:1,", string(c))
	}
	w.post("/callback", many+`"aa":1}`)
	if _, errors = w.Logged(); len(errors) != 1 || !strings.HasSuffix(errors[0], "keys=a,aa,b,c,d,e,f,g,h,i,...") {
		t.Errorf("error log = %q, want ten keys", errors)
	}
}

// TestMisconfigured: every missing variable is named at once, and what can be
// queued is.
func TestMisconfigured(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"DARAJA_DATABASE_ID", "DARAJA_COLLECTION_ID", "DARAJA_B2C_COLLECTION_ID"} {
		t.Setenv(name, "")
	}
	for name, missing := range map[string]string{
		"stk/paid.json": "DARAJA_DATABASE_ID is missing; DARAJA_COLLECTION_ID is missing",
		"b2c/paid.json": "DARAJA_DATABASE_ID is missing; DARAJA_B2C_COLLECTION_ID is missing",
	} {
		r := w.postFile(name)
		if _, errors := w.Logged(); r.status != 200 || len(errors) != 1 || !strings.Contains(errors[0], missing) {
			t.Errorf("%s: %d with error log %q, want 200 and %q", name, r.status, errors, missing)
		}
	}
	if r := w.post("/callback", "{"); r.status != 400 {
		t.Errorf("a bad callback: %d, want 400: it is looked at before the settings", r.status)
	}
	r := w.send("GET", "/health", "")
	if want := `{"status":"misconfigured","version":"` + handler.Version + `"}`; r.status != 503 || r.body != want {
		t.Errorf("health: %d %s, want 503 %s", r.status, r.body, want)
	}
	if _, errors := w.Logged(); !slices.Contains(errors, "configuration: DARAJA_DATABASE_ID is missing; DARAJA_COLLECTION_ID is missing") {
		t.Errorf("error log of health = %q, want what is missing", errors)
	}
	if waiting := len(w.Appwrite.Waiting()); waiting != 6 {
		t.Errorf("%d executions wait, want three for each callback", waiting)
	}
}

// TestHealthWithoutB2C: who pays nobody out needs no collection for it.
func TestHealthWithoutB2C(t *testing.T) {
	w := newWorld(t)
	t.Setenv("DARAJA_B2C_COLLECTION_ID", "")
	if r := w.send("GET", "/health", ""); r.status != 200 {
		t.Errorf("health: %d %s, want 200", r.status, r.body)
	}
	t.Setenv("DARAJA_ANONYMOUS_READ", "everybody")
	if r := w.send("GET", "/health", ""); r.status != 503 {
		t.Errorf("health with a malformed setting: %d %s, want 503", r.status, r.body)
	}
	if r := w.postFile("stk/paid.json"); r.status != 200 {
		t.Errorf("a payment with a malformed setting: %d, want 200: it can be stored", r.status)
	}
}
