package handler

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestReplay: what is replayed from the log is the document that would have been
// stored at once, but for the payee's name, which no log may hold.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	replayed := 0
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		target := target(filepath.Base(filepath.Dir(file)) + "/x")
		direct, later := newWorld(t), newWorld(t)
		later.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.Status(401, "user_unauthorized", "x")})
		if deliver(direct, target, string(body)) != 200 || len(direct.stored()) == 0 {
			continue // refused, or not final
		}
		deliver(later, target+"&attempt=25", string(body)) // the last one
		later.Appwrite.Heal()
		_, errors := later.Logged()
		if _, did, err := later.config.Replay(testbed.FunctionKey, errors[0]); did != "created" || err != nil {
			t.Errorf("%s: Replay(%s) = %s, %v, want created", file, errors[0], did, err)
			continue
		}
		if _, did, err := later.config.Replay(testbed.FunctionKey, errors[0]); did != "duplicate" || err != nil {
			t.Errorf("%s: Replay once more = %s, %v, want duplicate", file, did, err)
		}
		got, want := later.stored()[0], direct.stored()[0]
		if want.Data["receiverName"] != nil {
			want.Data["receiverName"] = nil
		}
		got.Data["settledAt"], want.Data["settledAt"] = nil, nil
		if got.ID != want.ID || !reflect.DeepEqual(got.Data, want.Data) || !reflect.DeepEqual(got.Permissions, want.Permissions) {
			t.Errorf("%s: replayed as\n%v %v, want\n%v %v", file, got.Data, got.Permissions, want.Data, want.Permissions)
		}
		replayed++
	}
	if replayed < 300 {
		t.Errorf("%d payloads were replayed, want most", replayed)
	}
}

// deliver posts to the function without a connection in between.
func deliver(w *world, target, body string) int {
	return w.Runtime.Execute(fakeappwrite.Execution{Method: "POST", Path: target, Body: body})
}

// TestReplayReader: the log holds the uid, not who could read at the time.
func TestReplayReader(t *testing.T) {
	t.Parallel()
	for uid, want := range map[string]string{"amina": `read("user:amina")`, "": `read("any")`, "any": `read("user:any")`} {
		w := newWorld(t)
		w.config.AnonymousRead = "any"
		w.Appwrite.Inject(fakeappwrite.Fault{Reply: fakeappwrite.HTML(503)})
		w.post("/callback?uid="+uid, payload(t, "stk/paid"))
		w.Appwrite.Heal()
		_, errors := w.Logged()
		if _, _, err := w.config.Replay(testbed.FunctionKey, errors[0]); err != nil {
			t.Fatal(err)
		}
		if got := w.stored()[0].Permissions; len(got) != 1 || got[0] != want {
			t.Errorf("uid %q: replayed as readable by %v, want %s", uid, got, want)
		}
	}
}

// TestReplayRefused: nothing is made of a line that is not one of ours.
func TestReplayRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := map[string]any{"route": "callback", "uid": "", "id": "ws_CO_1",
		"data": map[string]any{"checkoutRequestId": "ws_CO_1", "status": "FAILED", "resultCode": 1}}
	line := func(change func(map[string]any)) string {
		encoded, _ := json.Marshal(good)
		var m map[string]any
		json.Unmarshal(encoded, &m)
		change(m)
		encoded, _ = json.Marshal(m)
		return "UNSETTLED " + string(encoded)
	}
	for _, l := range []string{
		"", "UNSETTLED", "UNSETTLED {", "unsettled {}", "UNSETTLED {}",
		strings.TrimPrefix(line(func(map[string]any) {}), "UNSETTLED "),
		line(func(m map[string]any) { m["id"] = "a/b" }),
		line(func(m map[string]any) { m["id"] = "" }),
		line(func(m map[string]any) { m["route"] = "b2c/result" }),
		line(func(m map[string]any) { m["data"].(map[string]any)["status"] = "PAID" }),
		line(func(m map[string]any) { m["data"].(map[string]any)["checkoutRequestId"] = "" }),
	} {
		if _, did, err := w.config.Replay(testbed.FunctionKey, l); !errors.Is(err, ErrNotUnsettled) || did != "" {
			t.Errorf("Replay(%q) = %q, %v, want %v", l, did, err, ErrNotUnsettled)
		}
	}
	if w.operations() != "" {
		t.Error("the API was called for lines that are none")
	}
	if id, did, err := w.config.Replay(testbed.FunctionKey, line(func(map[string]any) {})); id != "*********" || did != "created" || err != nil {
		t.Errorf("Replay = %s, %s, %v, want created", id, did, err)
	}
}
