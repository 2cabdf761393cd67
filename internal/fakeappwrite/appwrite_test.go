package fakeappwrite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// newAppwrite returns a server with the project's own schema.
func newAppwrite(t testing.TB) *Appwrite {
	t.Helper()
	schema, err := os.ReadFile("../../appwrite.json")
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(schema)
	if err != nil {
		t.Fatal(err)
	}
	a.AddKey("standard_all", "documents.read", "documents.write")
	a.AddKey("standard_read", "documents.read")
	a.AddKey("standard_write", "documents.write")
	a.AddKey("standard_rows", "rows.read", "rows.write")
	a.AddSession("ada-secret", "ada")
	return a
}

// newRequest is one with the key, for a path under the payments collection.
func newRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "/v1/databases/daraja/collections/payments"+path, strings.NewReader(body))
	r.Header.Set("X-Appwrite-Project", ProjectID)
	r.Header.Set("X-Appwrite-Key", "standard_all")
	r.Header.Set("Content-Type", "application/json")
	return r
}

// serve answers a request and decodes the reply, of a page only the status.
func serve(t testing.TB, a *Appwrite, r *http.Request) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	var body map[string]any
	if w.Header().Get("Content-Type") == htmlType {
		return w.Code, nil
	}
	if w.Body.Len() > 0 && json.Unmarshal(w.Body.Bytes(), &body) != nil {
		t.Fatalf("%s %s: %d with %q", r.Method, r.URL, w.Code, w.Body)
	}
	return w.Code, body
}

// seed creates a document.
func seed(t testing.TB, a *Appwrite, id, data string) {
	t.Helper()
	if status, body := serve(t, a, newRequest("POST", "/documents", `{"documentId":"`+id+`","data":`+data+`}`)); status != 201 {
		t.Fatalf("seed %s: %d %v", id, status, body)
	}
}

// clock returns a clock that stands until it is moved.
func clock() (now func() time.Time, move func(time.Duration)) {
	var mu sync.Mutex
	at := time.Date(2025, 1, 1, 9, 0, 0, 123_456_789, time.UTC)
	return func() time.Time { mu.Lock(); defer mu.Unlock(); return at },
		func(d time.Duration) { mu.Lock(); defer mu.Unlock(); at = at.Add(d) }
}

func TestDocument(t *testing.T) {
	a := newAppwrite(t)
	a.Now, _ = clock()
	seed(t, a, "Mixed", paid)
	seed(t, a, "second", minimal)

	got, ok := a.Document("daraja", "payments", "mIXED")
	at := time.Date(2025, 1, 1, 9, 0, 0, 123_000_000, time.UTC)
	want := Document{ID: "Mixed", Sequence: 1, CreatedAt: at, UpdatedAt: at, Permissions: []string{}, Data: map[string]any{
		"checkoutRequestId": "ws_CO_1", "status": "SUCCESS", "resultCode": int64(0), "receipt": "NLJ7RT61SV",
		"amount": int64(1), "failureReason": nil, "mpesaTimestamp": nil, "settledAt": "2025-01-01T00:00:00Z",
		"userId": nil, "reference": nil, "requestedAmount": nil, "requestKey": nil, "phoneKey": nil, "nextCheckAt": nil}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("Document = %+v, %v; want %+v", got, ok, want)
	}
	got.Data["status"] = "changed"
	if again, _ := a.Document("daraja", "payments", "mixed"); again.Data["status"] != "SUCCESS" {
		t.Error("Document returned what is stored and not a copy")
	}
	if all := a.Documents("daraja", "payments"); len(all) != 2 || all[0].ID != "Mixed" || all[1].ID != "second" {
		t.Errorf("Documents = %+v; want Mixed, second", all)
	}
	if _, ok := a.Document("daraja", "nope", "mixed"); ok || a.Documents("nope", "payments") != nil {
		t.Error("found a document in a collection that is not there")
	}
}

func TestReplyForm(t *testing.T) {
	for _, test := range []struct {
		version, format string
		always          bool
		want            string
	}{
		{version: "1.9.6", format: "1.8.0", want: `1`},
		{version: "1.9.6", format: "1.9.0", want: `"1"`},
		{version: "1.9.6", want: `"1"`},
		{version: "1.8.1", want: `1`},
		{version: "1.8.1", format: "1.9.0", want: `1`},
		{version: "1.9.6", format: "1.8.0", always: true, want: `"1"`},
	} {
		t.Run(fmt.Sprintf("%s asked for %q always=%t", test.version, test.format, test.always), func(t *testing.T) {
			a := newAppwrite(t)
			a.Version, a.StringSequence = test.version, test.always
			a.Now, _ = clock()
			seed(t, a, "x", minimal)
			r := newRequest("GET", "/documents/x", "")
			if test.format != "" {
				r.Header.Set("X-Appwrite-Response-Format", test.format)
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			want := `{"$collectionId":"payments","$createdAt":"2025-01-01T09:00:00.123+00:00","$databaseId":"daraja","$id":"x",` +
				`"$permissions":[],"$sequence":` + test.want + `,"$updatedAt":"2025-01-01T09:00:00.123+00:00","amount":null,` +
				`"checkoutRequestId":"ws_CO_1","failureReason":null,"mpesaTimestamp":null,"nextCheckAt":null,"phoneKey":null,"receipt":null,` +
				`"reference":null,"requestKey":null,"requestedAmount":null,"resultCode":null,` +
				`"settledAt":"2025-01-01T00:00:00Z","status":"TIMEOUT","userId":null}`
			if got := w.Body.String(); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json; charset=UTF-8" {
				t.Errorf("Content-Type = %q", got)
			}
		})
	}
}

func TestErrorMessages(t *testing.T) {
	a := newAppwrite(t)
	_, got := serve(t, a, newRequest("GET", "/documents/x", ""))
	want := map[string]any{"message": "Document with the requested ID 'x' could not be found.", "code": 404.0, "version": "1.9.6", "type": noDoc}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("1.9.6: %v; want %v", got, want)
	}
	a.Version = "1.8.1"
	if _, got := serve(t, a, newRequest("GET", "/documents/x", "")); got["message"] != "Document with the requested ID could not be found." {
		t.Errorf("1.8.1: %v", got["message"])
	}
	r := newRequest("GET", "/documents/x", "")
	r.Header.Set("X-Appwrite-Key", "standard_write")
	if _, got := serve(t, a, r); got["message"] != `app.fake@service.example.com (role: applications) missing scopes (["documents.read"])` {
		t.Errorf("scope: %v", got["message"])
	}
}

func TestUpdatedAt(t *testing.T) {
	a := newAppwrite(t)
	now, move := clock()
	a.Now = now
	seed(t, a, "x", minimal)
	start := a.Documents("daraja", "payments")[0].UpdatedAt
	for _, test := range []struct {
		body string
		want time.Duration
	}{
		{`{"data":{"status":"TIMEOUT"}}`, 0},
		{`{"permissions":[]}`, 0},
		{`{"data":{"status":"FAILED"}}`, 3 * time.Second},
		{`{"permissions":["read(\"any\")"]}`, 4 * time.Second},
	} {
		t.Run(test.body, func(t *testing.T) {
			move(time.Second)
			if status, body := serve(t, a, newRequest("PATCH", "/documents/x", test.body)); status != 200 {
				t.Fatalf("PATCH = %d %v", status, body)
			}
			if d, _ := a.Document("daraja", "payments", "x"); d.UpdatedAt.Sub(start) != test.want {
				t.Errorf("UpdatedAt moved by %v, want %v", d.UpdatedAt.Sub(start), test.want)
			}
		})
	}
	want := []string{"create payments/x", "update payments/x", "update payments/x", "update payments/x", "update payments/x"}
	if got := published(a); !slices.Equal(got, want) {
		t.Errorf("Events = %v; want %v", got, want)
	}
}

// published names what Realtime would have sent.
func published(a *Appwrite) []string {
	var names []string
	for _, e := range a.Events() {
		names = append(names, e.Action+" "+e.Collection+"/"+e.ID)
	}
	return names
}

func TestPermissionsStored(t *testing.T) {
	a := newAppwrite(t)
	body := `{"documentId":"x","data":` + minimal + `,"permissions":["write(\"user:ada\")","read(\"any\")","update(\"user:ada\")"]}`
	if status, got := serve(t, a, newRequest("POST", "/documents", body)); status != 201 {
		t.Fatal(status, got)
	}
	want := []string{`update("user:ada")`, `delete("user:ada")`, `read("any")`}
	if d, _ := a.Document("daraja", "payments", "x"); !slices.Equal(d.Permissions, want) {
		t.Errorf("Permissions = %q; want %q", d.Permissions, want)
	}
}

// TestEmptyID: a caller with an empty id would change every document. It is failed,
// and can be found among the calls.
func TestEmptyID(t *testing.T) {
	for _, test := range []struct{ method, path string }{
		{"PATCH", "/documents/"},
		{"PUT", "/documents//"},
		{"DELETE", "/documents"},
	} {
		t.Run(test.method, func(t *testing.T) {
			a := newAppwrite(t)
			seed(t, a, "x", minimal)
			a.Reset()
			if status, got := serve(t, a, newRequest(test.method, test.path, `{"data":{"status":"GONE"}}`)); status != 500 {
				t.Errorf("%d %v, want 500", status, got)
			}
			if calls := a.Calls(); len(calls) != 1 || calls[0].Operation != "bulk" {
				t.Errorf("Calls = %+v, want one bulk", calls)
			}
			if d, ok := a.Document("daraja", "payments", "x"); !ok || d.Data["status"] != "TIMEOUT" {
				t.Errorf("the document became %v", d)
			}
		})
	}
}

// TestOperators: what Appwrite would execute is refused where it would, and stored
// where it would be.
func TestOperators(t *testing.T) {
	for _, test := range []struct {
		name, text string
		status     int
	}{
		{"operator", `{"method":"increment","values":[1]}`, 400},
		{"behind space", " \n{\"method\":\"toggle\"}", 400},
		{"other JSON", `{"method":"explode"}`, 400},
		{"cut off", `{`, 400},
		{"behind an apostrophe", `'{"method":"toggle"}`, 200},
		{"list", `["method"]`, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAppwrite(t)
			text, err := json.Marshal(test.text)
			if err != nil {
				t.Fatal(err)
			}
			seed(t, a, "x", with(`"failureReason":`+string(text)))
			status, got := serve(t, a, newRequest("PATCH", "/documents/x", `{"data":{"failureReason":`+string(text)+`}}`))
			if status != test.status {
				t.Errorf("PATCH = %d %v, want %d", status, got, test.status)
			}
			if status == 400 && got["type"] != "general_bad_request" {
				t.Errorf("type = %v, want general_bad_request", got["type"])
			}
			if d, _ := a.Document("daraja", "payments", "x"); d.Data["failureReason"] != test.text {
				t.Errorf("stored %q, want %q", d.Data["failureReason"], test.text)
			}
		})
	}
}

func TestList(t *testing.T) {
	a := newAppwrite(t)
	for i := range 30 {
		seed(t, a, fmt.Sprintf("d%d", i), with(fmt.Sprintf(`"amount":%d`, i%3)))
	}
	for _, test := range []struct {
		queries     []string
		total       int
		first, last string
		length      int
	}{
		{nil, 30, "d0", "d24", 25},
		{[]string{`{"method":"limit","values":[2]}`}, 30, "d0", "d1", 2},
		{[]string{`{"method":"limit","values":[100]}`}, 30, "d0", "d29", 30},
		{[]string{`{"method":"equal","attribute":"amount","values":[1,2]}`}, 20, "d1", "d29", 20},
		{[]string{`{"method":"cursorAfter","values":["d4"]}`, `{"method":"limit","values":[2]}`}, 30, "d5", "d6", 2},
		{[]string{`{"method":"orderDesc","attribute":"amount"}`, `{"method":"limit","values":[1]}`}, 30, "d2", "d2", 1},
		{[]string{`{"method":"cursorAfter","values":["d29"]}`}, 30, "", "", 0},
	} {
		t.Run(strings.Join(test.queries, " "), func(t *testing.T) {
			r := newRequest("GET", "/documents", "")
			params := r.URL.Query()
			for _, q := range test.queries {
				params.Add("queries[]", q)
			}
			r.URL.RawQuery = params.Encode()
			status, got := serve(t, a, r)
			if status != 200 {
				t.Errorf("%d %v", status, got)
				return
			}
			var first, last string
			page := got["documents"].([]any)
			if len(page) > 0 {
				first, _ = page[0].(map[string]any)["$id"].(string)
				last, _ = page[len(page)-1].(map[string]any)["$id"].(string)
			}
			if got["total"] != float64(test.total) || len(page) != test.length || first != test.first || last != test.last {
				t.Errorf("total %v, %d from %s to %s; want %+v", got["total"], len(page), first, last, test)
			}
		})
	}
	for _, attribute := range []string{"$id", "status"} {
		for _, value := range []string{`null`, `["d1"]`, `{"d1":1}`} {
			r := newRequest("GET", "/documents", "")
			query := fmt.Sprintf(`{"method":"equal","attribute":%q,"values":[%s]}`, attribute, value)
			r.URL.RawQuery = url.Values{"queries[]": {query}}.Encode()
			if status, got := serve(t, a, r); status != 400 || got["type"] != "general_query_invalid" {
				t.Errorf("%s: %d %v, want general_query_invalid", query, status, got)
			}
		}
	}
}

// started is a server whose documents are due at a time, or at none.
func started(t *testing.T) *Appwrite {
	t.Helper()
	a, err := New([]byte(`{"databases":[{"$id":"daraja","enabled":true}],"collections":[{"$id":"payments","databaseId":"daraja","enabled":true,"attributes":[
		{"key":"status","type":"string","size":20},
		{"key":"nextCheckAt","type":"datetime"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a.Now, _ = clock()
	a.AddKey("standard_all", "documents.read", "documents.write")
	return a
}

// ids lists documents and returns their ids, or the type of the error.
func ids(t *testing.T, a *Appwrite, queries ...string) string {
	t.Helper()
	r := newRequest("GET", "/documents", "")
	r.URL.RawQuery = url.Values{"queries[]": queries}.Encode()
	status, got := serve(t, a, r)
	if status != 200 {
		return got["type"].(string)
	}
	var found []string
	for _, d := range got["documents"].([]any) {
		found = append(found, d.(map[string]any)["$id"].(string))
	}
	return strings.Join(found, " ")
}

// TestSweepQueries lists what is due, as whoever looks after started documents
// does: by a date, null where nothing is due, and page by page.
func TestSweepQueries(t *testing.T) {
	a := started(t)
	for _, d := range []string{"late 2025-01-01T03:00:00Z", "none ", "early 2025-01-01T04:00:00.500+03:00", "same 2025-01-01T03:00:00.000+00:00", "far 2025-06-01 00:00:00"} {
		id, at, _ := strings.Cut(d, " ")
		data := `{"status":"PENDING"}`
		if at != "" {
			data = `{"status":"PENDING","nextCheckAt":"` + at + `"}`
		}
		seed(t, a, id, data)
	}
	const (
		due   = `{"method":"lessThan","attribute":"nextCheckAt","values":["2025-02-01T00:00:00.000Z"]}`
		first = `{"method":"orderAsc","attribute":"nextCheckAt"}`
		last  = `{"method":"orderDesc","attribute":"nextCheckAt"}`
	)
	after := func(id string) string { return `{"method":"cursorAfter","values":["` + id + `"]}` }
	for _, test := range []struct {
		name    string
		queries []string
		want    string
	}{
		{"due", []string{due}, "late early same"},
		{"due in order", []string{due, first}, "early late same"},
		{"nulls first", []string{first}, "none early late same far"},
		{"backwards", []string{last}, "far late same early none"},
		{"two orders", []string{`{"method":"orderDesc","attribute":"status"}`, last, `{"method":"orderDesc","attribute":"$sequence"}`}, "far same late early none"},
		{"after one", []string{due, first, after("early")}, "late same"},
		{"after its equal", []string{due, first, after("late")}, "same"},
		{"after one that does not match", []string{due, first, after("far")}, ""},
		{"after the last", []string{first, after("far")}, ""},
		{"backwards after one", []string{last, after("late")}, "same early"},
		{"after one that has none", []string{first, after("none")}, "database_query_order_null"},
		{"not due", []string{`{"method":"isNull","attribute":"nextCheckAt"}`}, "none"},
		{"exactly then", []string{`{"method":"equal","attribute":"nextCheckAt","values":["2025-01-01T06:00:00+03:00"]}`}, "late same"},
		{"due before no date", []string{`{"method":"lessThan","attribute":"nextCheckAt","values":["soon"]}`}, "general_query_invalid"},
		{"due before nothing", []string{`{"method":"lessThan","attribute":"nextCheckAt","values":[]}`}, "general_query_invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ids(t, a, test.queries...); got != test.want {
				t.Errorf("list = %q; want %q", got, test.want)
			}
		})
	}

	// A cursor stands where its document has moved to.
	if status, body := serve(t, a, newRequest("PATCH", "/documents/early", `{"data":{"nextCheckAt":"2025-05-01T00:00:00Z"}}`)); status != 200 {
		t.Fatal(status, body)
	}
	if got := ids(t, a, due, first, after("early")); got != "" {
		t.Errorf("after a document that moved on = %q; want nothing", got)
	}
}

func TestSelect(t *testing.T) {
	a := started(t)
	seed(t, a, "x", `{"status":"PENDING"}`)
	r := newRequest("GET", "/documents", "")
	r.URL.RawQuery = url.Values{"queries[]": {`{"method":"select","values":["nextCheckAt","$id"]}`}}.Encode()
	_, got := serve(t, a, r)
	want := []any{map[string]any{"$id": "x", "nextCheckAt": nil, "$sequence": "1", "$permissions": []any{}, "$databaseId": "daraja", "$collectionId": "payments",
		"$createdAt": "2025-01-01T09:00:00.123+00:00", "$updatedAt": "2025-01-01T09:00:00.123+00:00"}}
	if !reflect.DeepEqual(got["documents"], want) {
		t.Errorf("documents = %v; want %v", got["documents"], want)
	}
}

// TestDates writes dates and reads them.
func TestDates(t *testing.T) {
	for _, test := range []struct {
		name, value string
		status      int
		want        any
	}{
		{"with a zone", `"2025-01-01T04:00:00.5678+03:00"`, 200, "2025-01-01T01:00:00.567+00:00"},
		{"without a zone", `"2025-01-01 04:00:00"`, 200, "2025-01-01T04:00:00.000+00:00"},
		{"null", `null`, 200, nil},
		{"empty is now", `""`, 200, "2025-01-01T09:00:00.123+00:00"},
		{"no date", `"soon"`, 400, nil},
		{"a number", `5`, 400, nil},
		{"an operator", `"{\"method\":\"dateSetNow\",\"values\":[]}"`, 400, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, method := range []string{"PATCH", "POST"} {
				a := started(t)
				path, status := "/documents/x", test.status
				if method == "POST" {
					path = "/documents"
					status = map[int]int{200: 201, 400: 400}[status]
				} else {
					seed(t, a, "x", `{"nextCheckAt":"2024-01-01T00:00:00Z"}`)
				}
				got, body := serve(t, a, newRequest(method, path, `{"documentId":"x","data":{"status":"s","nextCheckAt":`+test.value+`}}`))
				if got != status || got < 400 && body["nextCheckAt"] != test.want {
					t.Errorf("%s = %d %v; want %d %v", method, got, body, status, test.want)
				}
			}
		})
	}
}

// TestDocumentSecurity has what a session may read where documents' own
// permissions count, and where they do not. It may write nowhere.
func TestDocumentSecurity(t *testing.T) {
	for _, test := range []struct {
		name        string
		security    bool
		permissions string
		own, list   int
		total       float64
	}{
		{"documents decide", true, `[]`, 200, 200, 1},
		{"nothing counts", false, `[]`, 404, 401, 0},
		{"collection lets users read", false, `["read(\"users\")"]`, 200, 200, 2},
		{"collection lets users create", true, `["create(\"users\")"]`, 200, 200, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema := fmt.Sprintf(`{"databases":[{"$id":"daraja","enabled":true}],"collections":[{"$id":"payments","databaseId":"daraja",
				"enabled":true,"documentSecurity":%v,"$permissions":%s,"attributes":[{"key":"s","type":"string","size":9}]}]}`, test.security, test.permissions)
			a, err := New([]byte(schema))
			if err != nil {
				t.Fatal(err)
			}
			a.AddKey("standard_all", "documents.read", "documents.write")
			a.AddSession("ada-secret", "ada")
			seed(t, a, "own", `{"s":"1"}`)
			serve(t, a, newRequest("PATCH", "/documents/own", `{"permissions":["read(\"user:ada\")"]}`))
			seed(t, a, "other", `{"s":"1"}`)

			if got, _ := serve(t, a, as("ada-secret", newRequest("GET", "/documents/own", ""))); got != test.own {
				t.Errorf("get = %d, want %d", got, test.own)
			}
			list, body := serve(t, a, as("ada-secret", newRequest("GET", "/documents", "")))
			if total, _ := body["total"].(float64); list != test.list || total != test.total {
				t.Errorf("list = %d with %v, want %d with %v", list, total, test.list, test.total)
			}
			if got, _ := serve(t, a, as("ada-secret", newRequest("POST", "/documents", `{"documentId":"new","data":{"s":"2"}}`))); got != 401 {
				t.Errorf("create = %d, want 401", got)
			}
		})
	}
}

// as makes a session the sender of r.
func as(session string, r *http.Request) *http.Request {
	r.Header.Del("X-Appwrite-Key")
	r.Header.Set("X-Appwrite-Session", session)
	return r
}

func TestAttributes(t *testing.T) {
	a, err := New([]byte(`{"databases":[{"$id":"daraja","enabled":true}],"collections":[{"$id":"payments","databaseId":"daraja","enabled":true,"attributes":[
		{"key":"small","type":"integer","min":1,"max":10},
		{"key":"half","type":"integer","max":2147483647},
		{"key":"whole","type":"integer","min":-9223372036854775808,"max":9223372036854775807}],
		"indexes":[{"key":"by_small","type":"key","attributes":["small"],"orders":["ASC"]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	a.AddKey("standard_all", "documents.write")
	for _, test := range []struct {
		data string
		want int
	}{
		{`{"small":1}`, 201}, {`{"small":0}`, 400}, {`{"small":11}`, 400},
		{`{"half":2147483647}`, 201}, {`{"half":2147483648}`, 400}, {`{"half":-2147483649}`, 400},
		{`{"whole":9223372036854775807}`, 201}, {`{"whole":-9223372036854775808}`, 201},
	} {
		t.Run(test.data, func(t *testing.T) {
			status, got := serve(t, a, newRequest("POST", "/documents", fmt.Sprintf(`{"documentId":"unique()","data":%s}`, test.data)))
			if status != test.want {
				t.Errorf("create = %d %v; want %d", status, got["message"], test.want)
			}
		})
	}
	d := a.Documents("daraja", "payments")[1]
	if want := (map[string]any{"small": nil, "half": int64(2147483647), "whole": nil}); !reflect.DeepEqual(d.Data, want) {
		t.Errorf("stored %v; want %v", d.Data, want)
	}
}

// TestNewRefuses has schemas in which something cannot be checked.
func TestNewRefuses(t *testing.T) {
	in := func(more string) string {
		return `{"databases":[{"$id":"d"}],"collections":[{"$id":"c","databaseId":"d",` + more + `}]}`
	}
	for name, schema := range map[string]string{
		"no JSON":     ``,
		"no database": `{"collections":[{"$id":"c","databaseId":"nope"}]}`,
		"type":        in(`"attributes":[{"key":"a","type":"double"}]`),
		"array":       in(`"attributes":[{"key":"a","type":"string","size":1,"array":true}]`),
		"format":      in(`"attributes":[{"key":"a","type":"string","format":"email"}]`),
		"encrypt":     in(`"attributes":[{"key":"a","type":"string","encrypt":true}]`),
		"default":     in(`"attributes":[{"key":"a","type":"string","size":1,"default":"x"}]`),
		"index":       in(`"indexes":[{"key":"a","type":"unique"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			if a, err := New([]byte(schema)); err == nil || a != nil {
				t.Errorf("New = %v, %v; want an error", a, err)
			}
		})
	}
}

// TestCompareAndSet lets writers race who all read the same $updatedAt.
func TestCompareAndSet(t *testing.T) {
	a := newAppwrite(t)
	now, move := clock()
	a.Now = now
	seed(t, a, "x", minimal)
	read := a.Documents("daraja", "payments")[0].UpdatedAt.Format(timeLayout)
	move(2 * time.Millisecond)

	const writers = 16
	statuses := make(chan int, writers)
	for i := range writers {
		go func() {
			r := newRequest("PATCH", "/documents/x", fmt.Sprintf(`{"data":{"amount":%d}}`, i))
			r.Header.Set("X-Appwrite-Timestamp", read)
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			statuses <- w.Code
		}()
	}
	count := map[int]int{}
	for range writers {
		count[<-statuses]++
	}
	if count[200] != 1 || count[409] != writers-1 {
		t.Errorf("statuses %v; want one 200 and %d 409", count, writers-1)
	}
}

// TestCachedRow: two writers have read the same, and write one after the other.
// A server before 1.9.5 may let both through, and the second takes back what the
// first one wrote.
func TestCachedRow(t *testing.T) {
	for _, test := range []struct {
		version string
		cached  bool
		second  int
		status  any
		amount  any
	}{
		{"1.8.1", true, 200, "FAILED", nil},
		{"1.9.0", true, 200, "FAILED", nil},
		{"1.9.6", true, 409, "SUCCESS", int64(7)},
		{"1.8.1", false, 409, "SUCCESS", int64(7)},
	} {
		t.Run(fmt.Sprintf("%s cached=%t", test.version, test.cached), func(t *testing.T) {
			a := newAppwrite(t)
			a.Version, a.CachedRow = test.version, test.cached
			now, move := clock()
			a.Now = now
			seed(t, a, "x", minimal)
			_, read := serve(t, a, newRequest("GET", "/documents/x", ""))
			write := func(data string) int {
				move(2 * time.Millisecond)
				r := newRequest("PATCH", "/documents/x", `{"data":`+data+`}`)
				r.Header.Set("X-Appwrite-Timestamp", read["$updatedAt"].(string))
				status, _ := serve(t, a, r)
				return status
			}
			if got := write(`{"status":"SUCCESS","amount":7}`); got != 200 {
				t.Errorf("the first PATCH = %d; want 200", got)
			}
			if got := write(`{"status":"FAILED"}`); got != test.second {
				t.Errorf("the second PATCH = %d; want %d", got, test.second)
			}
			d, _ := a.Document("daraja", "payments", "x")
			if d.Data["status"] != test.status || d.Data["amount"] != test.amount {
				t.Errorf("the document says %v %v; want %v %v", d.Data["status"], d.Data["amount"], test.status, test.amount)
			}
			serve(t, a, newRequest("GET", "/documents/x", ""))
			r := newRequest("PATCH", "/documents/x", `{"data":{"status":"x"}}`)
			r.Header.Set("X-Appwrite-Timestamp", read["$updatedAt"].(string))
			if got, _ := serve(t, a, r); got != 409 {
				t.Errorf("a PATCH with the old timestamp after another GET = %d; want 409", got)
			}
		})
	}
}

// TestNUL: the reply has all of a string with a NUL in it, the database does not.
func TestNUL(t *testing.T) {
	a := newAppwrite(t)
	seed(t, a, "x", minimal)
	for _, test := range []struct{ method, path, body string }{
		{"POST", "/documents", `{"documentId":"y","data":` + with(`"receipt":"a\u0000b","failureReason":"c\u0000"`) + `}`},
		{"PATCH", "/documents/x", `{"data":{"receipt":"a\u0000b","failureReason":"c\u0000"}}`},
	} {
		t.Run(test.method, func(t *testing.T) {
			_, got := serve(t, a, newRequest(test.method, test.path, test.body))
			if got["receipt"] != "a\x00b" || got["failureReason"] != "c\x00" {
				t.Errorf("the answer is %v; want what was sent", got)
			}
		})
	}
	for _, id := range []string{"x", "y"} {
		if d, _ := a.Document("daraja", "payments", id); d.Data["receipt"] != "a" || d.Data["failureReason"] != "c" {
			t.Errorf("%s: stored %q and %q; want a and c", id, d.Data["receipt"], d.Data["failureReason"])
		}
	}
}

// TestDisabledCollection: what is disabled is so for all but API keys.
func TestDisabledCollection(t *testing.T) {
	a := newAppwrite(t)
	a.Databases["daraja"].Collections["payments"].Enabled = false
	seed(t, a, "x", minimal)
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/documents/x", "", 200},
		{"PATCH", "/documents/x", `{"data":{"status":"x"}}`, 200},
		{"DELETE", "/documents/x", "", 204},
	} {
		t.Run(test.method, func(t *testing.T) {
			if status, body := serve(t, a, as("ada-secret", newRequest(test.method, test.path, test.body))); status != 404 || body["type"] != "collection_not_found" {
				t.Errorf("by a user = %d %v; want collection_not_found", status, body)
			}
			if status, body := serve(t, a, newRequest(test.method, test.path, test.body)); status != test.status {
				t.Errorf("by a key = %d %v; want %d", status, body, test.status)
			}
		})
	}
}

// TestSameMillisecond shows the limit of the compare-and-set: two writes within
// a millisecond of the read both go through.
func TestSameMillisecond(t *testing.T) {
	a := newAppwrite(t)
	a.Now, _ = clock()
	seed(t, a, "x", minimal)
	for _, status := range []string{"FAILED", "SUCCESS"} {
		r := newRequest("PATCH", "/documents/x", `{"data":{"status":"`+status+`"}}`)
		r.Header.Set("X-Appwrite-Timestamp", a.Documents("daraja", "payments")[0].UpdatedAt.Format(timeLayout))
		if status, got := serve(t, a, r); status != 200 {
			t.Errorf("PATCH = %d %v; want 200", status, got)
		}
	}
}

func TestConcurrentCreate(t *testing.T) {
	a := newAppwrite(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 50 {
				body := fmt.Sprintf(`{"documentId":"d%d","data":%s}`, n, minimal)
				a.ServeHTTP(httptest.NewRecorder(), newRequest("POST", "/documents", body))
				a.Document("daraja", "payments", "d0")
				if i == 0 {
					a.Calls()
					a.Events()
				}
			}
		}()
	}
	wg.Wait()
	if n := len(a.Documents("daraja", "payments")); n != 50 {
		t.Errorf("%d documents; want 50", n)
	}
	if n := len(a.Events()); n != 50 {
		t.Errorf("%d events; want 50", n)
	}
	if n := len(a.Calls()); n != 400 {
		t.Errorf("%d calls; want 400", n)
	}
}

func TestFaultReplies(t *testing.T) {
	for _, test := range []struct {
		name        string
		reply       http.HandlerFunc
		status      int
		kind        string
		contentType string
	}{
		{"timeout", Status(408, "database_timeout", "x"), 408, "database_timeout", "application/json; charset=UTF-8"},
		{"busy", Status(429, "general_rate_limit_exceeded", "x"), 429, "general_rate_limit_exceeded", "application/json; charset=UTF-8"},
		{"broken", Status(500, "general_unknown", "Server Error"), 500, "general_unknown", "application/json; charset=UTF-8"},
		{"paused", Status(403, "project_paused", "x"), 403, "project_paused", "application/json; charset=UTF-8"},
		{"gateway", HTML(502), 502, "", "text/html; charset=UTF-8"},
		{"page", HTML(200), 200, "", "text/html; charset=UTF-8"},
		{"empty", Empty(201), 201, "", "application/json; charset=UTF-8"},
		{"moved", Redirect(301, "https://example.com/"), 301, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAppwrite(t)
			a.Inject(Fault{Reply: test.reply})
			w := httptest.NewRecorder()
			a.ServeHTTP(w, newRequest("GET", "/documents/x", ""))
			if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType {
				t.Errorf("%d %s; want %d %s", w.Code, w.Header().Get("Content-Type"), test.status, test.contentType)
			}
			calls := a.Calls()
			if len(calls) != 1 || calls[0].Status != test.status || calls[0].Type != test.kind {
				t.Errorf("Calls = %+v; want one with %d %q", calls, test.status, test.kind)
			}
			if limited := w.Header().Get("X-RateLimit-Remaining") == "0"; limited != (test.status == 429) {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

func TestFaultBeforeAndAfter(t *testing.T) {
	a := newAppwrite(t)
	create := func(id string) int {
		status, _ := serve(t, a, newRequest("POST", "/documents", `{"documentId":"`+id+`","data":`+minimal+`}`))
		return status
	}
	a.Inject(Fault{Operation: "create", Times: 2, Reply: Status(500, "general_unknown", "x")})
	a.Inject(Fault{Operation: "create", Times: 1, After: true, Reply: Status(408, "database_timeout", "x")})
	var got []int
	for _, id := range []string{"a", "b", "c", "d"} {
		if status, _ := serve(t, a, newRequest("GET", "/documents/"+id, "")); status != 404 {
			t.Errorf("GET %s = %d; the fault is for create", id, status)
		}
		got = append(got, create(id))
	}
	if want := []int{500, 500, 408, 201}; !slices.Equal(got, want) {
		t.Errorf("statuses %v; want %v", got, want)
	}
	var stored []string
	for _, d := range a.Documents("daraja", "payments") {
		stored = append(stored, d.ID)
	}
	if want := []string{"c", "d"}; !slices.Equal(stored, want) {
		t.Errorf("stored %v; want %v", stored, want)
	}
	if want := []string{"create payments/c", "create payments/d"}; !slices.Equal(published(a), want) {
		t.Errorf("Events = %v; want %v", published(a), want)
	}

	a.Inject(Fault{Reply: Status(503, "general_server_error", "x")})
	if n := create("e"); n != 503 {
		t.Errorf("create = %d; want 503", n)
	}
	a.Heal()
	if n := create("e"); n != 201 {
		t.Errorf("create after Heal = %d; want 201", n)
	}
}

func TestInjectPanics(t *testing.T) {
	for name, f := range map[string]Fault{
		"nothing":               {},
		"nothing, after":        {After: true},
		"a delay alone, after":  {After: true, Delay: time.Second},
		"less often than never": {Times: -1, Reply: Hang()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("Inject(%+v) did not panic", f)
				}
			}()
			newAppwrite(t).Inject(f)
		})
	}
}

func TestDelay(t *testing.T) {
	a := newAppwrite(t)
	a.Inject(Fault{Delay: 20 * time.Millisecond, Times: 1})
	start := time.Now()
	seed(t, a, "x", minimal)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("took %v; want 20ms at least", took)
	}

	a.Inject(Fault{Delay: time.Hour, Times: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	a.ServeHTTP(httptest.NewRecorder(), newRequest("DELETE", "/documents/x", "").WithContext(ctx))
	if _, ok := a.Document("daraja", "payments", "x"); !ok {
		t.Error("a request was carried out after its client had left")
	}
}

func TestHangAndHangup(t *testing.T) {
	a := newAppwrite(t)
	server := httptest.NewServer(a)
	defer server.Close()
	send := func(timeout time.Duration) error {
		r := newRequest("POST", "/documents", `{"documentId":"`+NewID()+`","data":`+minimal+`}`)
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		out, err := http.NewRequestWithContext(ctx, r.Method, server.URL+r.URL.Path, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		out.Header = r.Header
		res, err := http.DefaultClient.Do(out)
		if err == nil {
			res.Body.Close()
		}
		return err
	}

	a.Inject(Fault{Times: 1, After: true, Reply: Hang()})
	if err := send(30 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Hang: %v; want a deadline exceeded", err)
	}
	a.Inject(Fault{Times: 1, After: true, Reply: Hangup()})
	if err := send(time.Minute); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("Hangup: %v; want a connection reset", err)
	}
	if n := len(a.Documents("daraja", "payments")); n != 2 {
		t.Errorf("%d documents; want 2, since both were carried out", n)
	}
	for _, c := range a.Calls() {
		if c.Status != 0 || c.Operation != "create" {
			t.Errorf("call %+v; want a create without status", c)
		}
	}
}

func TestCalls(t *testing.T) {
	a := newAppwrite(t)
	seed(t, a, "x", minimal)
	serve(t, a, newRequest("GET", "/documents/y.", ""))
	serve(t, a, newRequest("PATCH", "/documents/x", `{"data":{"status":"x"}}`))
	serve(t, a, newRequest("PUT", "/documents/x", `{"data":{}}`))
	serve(t, a, newRequest("DELETE", "/documents/", ""))
	serve(t, a, newRequest("GET", "/documents", ""))
	serve(t, a, newRequest("DELETE", "/documents/x", ""))
	serve(t, a, newRequest("PATCH", "/documents/x/amount/increment", ""))
	var got []string
	for _, c := range a.Calls() {
		if c.Header.Get("X-Appwrite-Key") != "standard_all" {
			t.Errorf("call %+v without its headers", c)
		}
		got = append(got, strings.TrimSpace(fmt.Sprintln(c.Operation, c.Method, c.Path[len("/v1/databases/daraja/collections/payments"):], c.Status, c.Type)))
	}
	want := []string{
		"create POST /documents 201",
		"get GET /documents/y. 404 document_not_found",
		"replace PATCH /documents/x 200",
		"upsert PUT /documents/x 500 general_unknown",
		"bulk DELETE /documents/ 500 general_unknown",
		"list GET /documents 200",
		"delete DELETE /documents/x 204",
		"PATCH /documents/x/amount/increment 404",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Calls:\n got %q\nwant %q", got, want)
	}
	a.Reset()
	if len(a.Calls()) != 0 || len(a.Events()) != 0 {
		t.Error("Reset left calls or events")
	}
}

// TestPostgreSQL: an id in other capitals is taken where one creates, and unknown
// where one reads, changes or deletes.
func TestPostgreSQL(t *testing.T) {
	for _, tt := range []struct {
		method, path, body  string
		mariaDB, postgreSQL int
	}{
		{"POST", "/documents", `{"documentId":"ADA","data":` + minimal + `}`, 409, 409},
		{"GET", "/documents/ADA", "", 200, 404},
		{"PATCH", "/documents/ADA", `{"data":{"status":"FAILED"}}`, 200, 404},
		{"DELETE", "/documents/ADA", "", 204, 404},
		{"GET", "/documents/ada", "", 200, 200},
		{"PATCH", "/documents/ada", `{"data":{"status":"FAILED"}}`, 200, 200},
		{"DELETE", "/documents/ada", "", 204, 204},
	} {
		for postgreSQL, want := range map[bool]int{false: tt.mariaDB, true: tt.postgreSQL} {
			t.Run(fmt.Sprintf("%s %s PostgreSQL=%t", tt.method, tt.path, postgreSQL), func(t *testing.T) {
				a := newAppwrite(t)
				a.PostgreSQL = postgreSQL
				seed(t, a, "ada", minimal)
				status, body := serve(t, a, newRequest(tt.method, tt.path, tt.body))
				if status != want {
					t.Errorf("%d, want %d", status, want)
				}
				if status == 404 && body["type"] != "document_not_found" {
					t.Errorf("type %v, want document_not_found", body["type"])
				}
			})
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	a := newAppwrite(t)
	w := httptest.NewRecorder()
	r := newRequest("POST", "/documents", "")
	r.Body = io.NopCloser(bytes.NewReader(make([]byte, maxBody+1)))
	a.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("status %d; want 413", w.Code)
	}
}

func BenchmarkCreate(b *testing.B) {
	a := newAppwrite(b)
	b.ReportAllocs()
	for range b.N {
		a.ServeHTTP(httptest.NewRecorder(), newRequest("POST", "/documents", `{"documentId":"unique()","data":`+paid+`}`))
	}
}

// TestConsoleProject: every server has the project console, where a guest may ask
// for the version, and no API key counts.
func TestConsoleProject(t *testing.T) {
	for _, test := range []struct {
		name, path, key string
		status          int
		kind            string
	}{
		{"version", "/v1/health/version", "", 200, ""},
		{"version with a key", "/v1/health/version", "standard_all", 401, "user_unauthorized"},
		{"documents", "/v1/databases/daraja/collections/payments/documents", "", 401, "general_unauthorized_scope"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", test.path, nil)
			r.Header.Set("X-Appwrite-Project", "console")
			r.Header.Set("X-Appwrite-Key", test.key)
			status, body := serve(t, newAppwrite(t), r)
			kind, _ := body["type"].(string)
			if status != test.status || kind != test.kind {
				t.Errorf("%d %s, want %d %s", status, kind, test.status, test.kind)
			}
		})
	}
}
