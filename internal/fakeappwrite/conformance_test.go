package fakeappwrite

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

// A target is a server that the conformance table runs against.
type target struct {
	endpoint, project, key string
	local                  bool // the fake
	version                string
}

// TestConformance sends each request of the table to the fake, as each of
// its versions, and also to a real server if CONFORMANCE_ENDPOINT,
// CONFORMANCE_PROJECT and CONFORMANCE_KEY name one that has the schema of
// appwrite.json. The key needs documents.read and documents.write.
func TestConformance(t *testing.T) {
	for _, version := range Versions {
		t.Run("fake "+version, func(t *testing.T) {
			a := newAppwrite(t)
			a.Version = version
			server := httptest.NewServer(a)
			defer server.Close()
			testConformance(t, target{server.URL + "/v1", ProjectID, "standard_all", true, version})
		})
	}
	endpoint := os.Getenv("CONFORMANCE_ENDPOINT")
	if endpoint == "" {
		return
	}
	t.Run("server", func(t *testing.T) {
		to := target{
			endpoint: endpoint,
			project:  os.Getenv("CONFORMANCE_PROJECT"),
			key:      os.Getenv("CONFORMANCE_KEY"),
		}
		_, health := to.send(t, "GET", "/v1/health/version", "guest", nil, "")
		to.version, _ = health["version"].(string)
		t.Logf("the server says it is %q", to.version)
		testConformance(t, to)
	})
}

// nearest is the newest of the Versions that is not newer than the server's, since
// a change stays until the next one.
func nearest(version string) string {
	found := Versions[0]
	for _, v := range Versions {
		if !Older(version, v) {
			found = v
		}
	}
	return found
}

func testConformance(t *testing.T, to target) {
	for _, row := range conformance {
		if row.local && !to.local {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			id := NewID()
			if row.seed != "" {
				body := `{"documentId":"` + id + `","data":` + row.seed + `,"permissions":` + cmp.Or(row.grant, "null") + `}`
				if status, got := to.send(t, "POST", "/documents", "key", nil, body); status != http.StatusCreated {
					t.Fatalf("seed: %d %v", status, got)
				}
			}
			place := strings.NewReplacer("{id}", id, "{ID}", strings.ToUpper(id))
			status, got := to.send(t, row.method, place.Replace(row.path), row.as, row.header, place.Replace(row.body))
			kind, _ := got["type"].(string)
			want := answer{row.status, row.kind, row.want}
			if other, ok := row.on[nearest(to.version)]; ok {
				want = other
			}
			if status != want.status || kind != want.kind {
				t.Fatalf("%s %s = %d %s; want %d %s: %v", row.method, row.path, status, kind, want.status, want.kind, got["message"])
			}
			for key, want := range want.want {
				if g := got[key]; g != want {
					t.Errorf("%s %s: %s = %v; want %v", row.method, row.path, key, g, want)
				}
			}
		})
	}
}

// send makes one request. A path that begins with /v1 is whole, any other is
// under the payments collection. The type of a page is htmlPage.
func (to target) send(t *testing.T, method, path, as string, header map[string]string, body string) (int, map[string]any) {
	t.Helper()
	url := to.endpoint + "/databases/daraja/collections/payments" + path
	if rest, ok := strings.CutPrefix(path, "/v1"); ok {
		url = to.endpoint + rest
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Appwrite-Project", to.project)
	req.Header.Set("X-Appwrite-Response-Format", "1.8.0")
	req.Header.Set("Content-Type", "application/json")
	switch kind, value, _ := strings.Cut(as, " "); kind {
	case "", "key":
		req.Header.Set("X-Appwrite-Key", to.key)
	case "other":
		req.Header.Set("X-Appwrite-Key", value)
	case "session":
		req.Header.Set("X-Appwrite-Session", value)
	case "guest":
	default:
		t.Fatalf("unknown caller %q", as)
	}
	for k, v := range header {
		if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return res.StatusCode, map[string]any{"type": htmlPage}
	}
	got := map[string]any{}
	if len(b) > 0 && json.NewDecoder(bytes.NewReader(b)).Decode(&got) != nil {
		t.Fatalf("%s %s: %d with a body that is not JSON: %q", method, path, res.StatusCode, b)
	}
	return res.StatusCode, got
}

// An answer is what a server answers to a request.
type answer struct {
	status int
	kind   string
	want   map[string]any // parts of the reply
}

// A conformanceRow is one request and what Appwrite answers. {id} stands for an
// id of the row's own, {ID} for the same in capitals.
type conformanceRow struct {
	name   string
	local  bool   // needs what only the fake has
	seed   string // the data of a document that is there before
	grant  string // and its permissions
	as     string // "key" if empty; guest, "session S" or "other KEY"
	method string
	path   string
	header map[string]string // an empty value removes the header
	body   string
	status int
	kind   string
	want   map[string]any    // parts of the reply
	on     map[string]answer // of the versions that answer something else
}

const (
	paid    = `{"checkoutRequestId":"ws_CO_1","status":"SUCCESS","resultCode":0,"receipt":"NLJ7RT61SV","amount":1,"settledAt":"2025-01-01T00:00:00Z"}`
	minimal = `{"checkoutRequestId":"ws_CO_1","status":"TIMEOUT","settledAt":"2025-01-01T00:00:00Z"}`
)

// with is the data of a document with one more attribute.
func with(attribute string) string {
	return strings.TrimSuffix(minimal, "}") + "," + attribute + "}"
}

// created is the body of a create request.
func created(data string) string { return `{"documentId":"{id}","data":` + data + `}` }

// own is the query for the row's own document.
const own = `{"method":"equal","attribute":"$id","values":["{id}"]}`

// withQueries is the path of a list. The ids in it are still to come.
func withQueries(queries ...string) string {
	values := url.Values{"queries[]": queries}
	return "/documents?" + strings.NewReplacer("%7Bid%7D", "{id}").Replace(values.Encode())
}

// granting is the body of a create request with one permission, as JSON.
func granting(permission string) string {
	return `{"documentId":"{id}","data":` + minimal + `,"permissions":[` + permission + `]}`
}

var (
	long20  = strings.Repeat("é", 20)
	long21  = strings.Repeat("é", 21)
	long36  = strings.Repeat("a", 36)
	long37  = strings.Repeat("a", 37)
	future  = map[string]string{"X-Appwrite-Timestamp": "2999-01-01T00:00:00.000Z"}
	ancient = map[string]string{"X-Appwrite-Timestamp": "2001-01-01T00:00:00.000+00:00"}
)

const (
	invalid   = "document_invalid_structure"
	argument  = "general_argument_invalid"
	noData    = "document_missing_data"
	noPayload = "document_missing_payload"
	noRoute   = "general_route_not_found"
	noDoc     = "document_not_found"
	stranger  = "user_unauthorized"
	htmlPage  = "a page"
)

// jsonNoRoute are the versions that answer with JSON where there is no route.
var jsonNoRoute = map[string]answer{"1.8.1": {404, noRoute, nil}, "1.9.0": {404, noRoute, nil}}

var conformance = []conformanceRow{
	// Routes.
	{name: "version", as: "guest", method: "GET", path: "/v1/health/version", status: 200},
	{name: "version with a key", method: "GET", path: "/v1/health/version", status: 401, kind: "general_unauthorized_scope"},
	{name: "no such route", method: "GET", path: "/v1/nothing", status: 404, kind: htmlPage, on: jsonNoRoute},
	{name: "no such route for a guest", as: "guest", method: "GET", path: "/v1/console/nothing", status: 404, kind: htmlPage, on: jsonNoRoute},
	{name: "create under an id", method: "POST", path: "/documents/{id}", body: created(minimal), status: 404, kind: htmlPage, on: jsonNoRoute},
	{name: "unknown database", method: "GET", path: "/v1/databases/nope/collections/payments/documents/{id}", status: 404, kind: "database_not_found"},
	{name: "unknown collection", method: "GET", path: "/v1/databases/daraja/collections/nope/documents/{id}", status: 404, kind: "collection_not_found"},
	{name: "create in unknown collection", method: "POST", path: "/v1/databases/daraja/collections/nope/documents", body: created(minimal), status: 404, kind: "collection_not_found"},
	{name: "database id not an id", method: "GET", path: "/v1/databases/%20/collections/payments/documents/{id}", status: 400, kind: argument},
	{name: "empty segments", seed: minimal, method: "GET", path: "//documents///{id}/", status: 404, kind: noDoc},
	{name: "a slash at the end", seed: minimal, method: "GET", path: "/documents/{id}/", status: 200},

	// Projects and keys.
	{name: "no project", method: "GET", path: "/documents/{id}", header: map[string]string{"X-Appwrite-Project": ""}, status: 403, kind: "project_id_missing",
		on: map[string]answer{"1.8.1": {401, stranger, nil}}},
	{name: "no project and no key", as: "guest", method: "GET", path: "/documents/{id}", header: map[string]string{"X-Appwrite-Project": ""}, status: 401, kind: "general_access_forbidden",
		on: map[string]answer{"1.8.1": {401, stranger, nil}}},
	{name: "unknown project", method: "GET", path: "/documents/{id}", header: map[string]string{"X-Appwrite-Project": "nope-nope"}, status: 404, kind: "project_not_found"},
	{name: "unknown standard key", as: "other standard_nope", method: "GET", path: "/documents/{id}", status: 401, kind: stranger},
	{name: "unknown key without prefix", as: "other nope", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: stranger},
	{name: "read with a key of another kind", seed: minimal, as: "other foo_bar", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "create with a key of another kind", as: "other foo_bar", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: stranger},
	{name: "garbled function key reads", seed: minimal, as: "other ephemeral_nope", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "garbled function key reads what any may", seed: minimal, grant: `["read(\"any\")"]`, as: "other ephemeral_nope", method: "GET", path: "/documents/{id}", status: 200},
	{name: "garbled function key creates", as: "other ephemeral_nope", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: stranger},
	{name: "garbled function key updates what is not there", as: "other ephemeral_nope", method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"x"}}`, status: 404, kind: noDoc},
	{name: "garbled function key of 1.8 creates", as: "other dynamic_nope", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: stranger},
	{name: "key may not read", local: true, as: "other standard_write", method: "GET", path: "/documents/{id}", status: 401, kind: "general_unauthorized_scope"},
	{name: "key may not write", local: true, as: "other standard_read", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: "general_unauthorized_scope"},
	{name: "rows scopes do not count", local: true, as: "other standard_rows", method: "PATCH", path: "/documents/{id}", body: `{"data":{}}`, status: 401, kind: "general_unauthorized_scope"},
	{name: "scope before parameters", local: true, as: "other standard_read", method: "POST", path: "/documents", body: `{"documentId":"_"}`, status: 401, kind: "general_unauthorized_scope"},

	// Guests and sessions. The collections grant nothing themselves.
	{name: "guest reads what any may", seed: minimal, grant: `["read(\"any\")"]`, as: "guest", method: "GET", path: "/documents/{id}", status: 200},
	{name: "guest reads what nobody may", seed: minimal, as: "guest", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "guest creates", as: "guest", method: "POST", path: "/documents", body: created(minimal), status: 401, kind: stranger},
	{name: "guest updates", seed: minimal, grant: `["read(\"any\")"]`, as: "guest", method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"SUCCESS"}}`, status: 401, kind: stranger},
	{name: "guest updates what is not there", as: "guest", method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"SUCCESS"}}`, status: 404, kind: noDoc},
	{name: "guest deletes", seed: minimal, grant: `["read(\"any\")"]`, as: "guest", method: "DELETE", path: "/documents/{id}", status: 401, kind: stranger},
	{name: "guest lists", as: "guest", method: "GET", path: "/documents", status: 200},
	{name: "empty key is a guest", seed: minimal, as: "other ", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "user reads own", local: true, seed: minimal, grant: `["read(\"user:ada\")"]`, as: "session ada-secret", method: "GET", path: "/documents/{id}", status: 200},
	{name: "user reads another's", local: true, seed: minimal, grant: `["read(\"user:bob\")"]`, as: "session ada-secret", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "user reads users'", local: true, seed: minimal, grant: `["read(\"users\")"]`, as: "session ada-secret", method: "GET", path: "/documents/{id}", status: 200},
	{name: "user is no guest", local: true, seed: minimal, grant: `["read(\"guests\")"]`, as: "session ada-secret", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "unknown session is a guest", local: true, seed: minimal, grant: `["read(\"users\")"]`, as: "session nope", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "user deletes what grants it", local: true, seed: minimal, grant: `["write(\"user:ada\")"]`, as: "session ada-secret", method: "DELETE", path: "/documents/{id}", status: 401, kind: stranger},

	// Ids.
	{name: "create", method: "POST", path: "/documents", body: created(paid), status: 201, want: map[string]any{
		"amount": 1.0, "failureReason": nil, "$databaseId": "daraja", "$collectionId": "payments"}},
	{name: "create with a generated id", method: "POST", path: "/documents", body: `{"documentId":"unique()","data":` + minimal + `}`, status: 201},
	{name: "create with extra keys", method: "POST", path: "/documents", body: `{"databaseId":"x","collectionId":"y","foo":1,"documentId":"{id}","data":` + minimal + `}`, status: 201},
	{name: "id twice", seed: minimal, method: "POST", path: "/documents", body: created(minimal), status: 409, kind: "document_already_exists"},
	{name: "id twice in capitals", seed: minimal, method: "POST", path: "/documents", body: `{"documentId":"{ID}","data":` + minimal + `}`, status: 409, kind: "document_already_exists"},
	{name: "id twice and bad data", seed: minimal, method: "POST", path: "/documents", body: created(`{"status":"x"}`), status: 400, kind: invalid},
	{name: "id of 37 characters", method: "POST", path: "/documents", body: `{"documentId":"` + long37 + `","data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id begins with an underscore", method: "POST", path: "/documents", body: `{"documentId":"_{id}","data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id begins with a period", method: "POST", path: "/documents", body: `{"documentId":".{id}","data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id with a space", method: "POST", path: "/documents", body: `{"documentId":"a b","data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id not ASCII", method: "POST", path: "/documents", body: `{"documentId":"é","data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id a number", method: "POST", path: "/documents", body: `{"documentId":7,"data":` + minimal + `}`, status: 400, kind: argument},
	{name: "id 0", method: "POST", path: "/documents", body: `{"documentId":"0","data":` + minimal + `}`, status: 400, kind: noData},
	{name: "no id", method: "POST", path: "/documents", body: `{"data":` + minimal + `}`, status: 400, kind: noData},
	{name: "id before data", method: "POST", path: "/documents", body: `{"documentId":"_"}`, status: 400, kind: argument},
	{name: "read in capitals", seed: minimal, method: "GET", path: "/documents/{ID}", status: 200},
	{name: "route word escaped", seed: minimal, method: "GET", path: "/%64ocuments/{id}", status: 404, kind: htmlPage, on: jsonNoRoute},
	{name: "read with a slash in the id", method: "GET", path: "/documents/a%2Fb", status: 400, kind: argument},
	{name: "read with a bad id", method: "GET", path: "/documents/a%20b", status: 400, kind: argument},
	{name: "read with a long id", method: "GET", path: "/documents/" + long37, status: 400, kind: argument},
	{name: "read what is not there", method: "GET", path: "/documents/{id}", status: 404, kind: noDoc},

	// Bodies.
	{name: "not JSON", method: "POST", path: "/documents", body: `{"documentId"`, status: 400, kind: noData},
	{name: "two JSON values", method: "POST", path: "/documents", body: created(minimal) + "{}", status: 400, kind: noData},
	{name: "invalid UTF-8", method: "POST", path: "/documents", body: created(with(`"receipt":"` + "\xff" + `"`)), status: 400, kind: noData},
	{name: "another content type", method: "POST", path: "/documents", header: map[string]string{"Content-Type": "text/plain"}, body: created(minimal), status: 400, kind: noData},
	{name: "content type with charset", method: "POST", path: "/documents", header: map[string]string{"Content-Type": "application/json; charset=utf-8"}, body: created(minimal), status: 201},
	{name: "no data", method: "POST", path: "/documents", body: `{"documentId":"{id}"}`, status: 400, kind: noData},
	{name: "empty data", method: "POST", path: "/documents", body: created(`{}`), status: 400, kind: noData},
	{name: "data a number", method: "POST", path: "/documents", body: created(`5`), status: 400, kind: argument},
	{name: "data and documents", method: "POST", path: "/documents", body: `{"documentId":"{id}","data":` + minimal + `,"documents":[{"$id":"x"}]}`, status: 400, kind: "general_bad_request"},
	{name: "data for a transaction", local: true, method: "POST", path: "/documents", body: `{"documentId":"{id}","transactionId":"x","data":` + minimal + `}`, status: 400, kind: "general_bad_request"},

	// Structure.
	{name: "required absent", method: "POST", path: "/documents", body: created(`{"status":"x","settledAt":"y"}`), status: 400, kind: invalid},
	{name: "required null", method: "POST", path: "/documents", body: created(`{"checkoutRequestId":null,"status":"x","settledAt":"y"}`), status: 400, kind: invalid},
	{name: "required empty", method: "POST", path: "/documents", body: created(`{"checkoutRequestId":"","status":"","settledAt":""}`), status: 201},
	{name: "unknown attribute", method: "POST", path: "/documents", body: created(with(`"phone":"1"`)), status: 400, kind: invalid},
	{name: "unknown attribute null", method: "POST", path: "/documents", body: created(with(`"phone":null`)), status: 400, kind: invalid},
	{name: "optional null", method: "POST", path: "/documents", body: created(with(`"amount":null`)), status: 201},
	{name: "string of 20 characters", method: "POST", path: "/documents", body: created(with(`"receipt":"` + long20 + `"`)), status: 201, want: map[string]any{"receipt": long20}},
	{name: "string of 21 characters", method: "POST", path: "/documents", body: created(with(`"receipt":"` + long21 + `"`)), status: 400, kind: invalid},
	{name: "string a number", method: "POST", path: "/documents", body: created(with(`"receipt":1`)), status: 400, kind: invalid},
	{name: "string a list", method: "POST", path: "/documents", body: created(with(`"receipt":["a"]`)), status: 400, kind: invalid},
	{name: "string is not trimmed", method: "POST", path: "/documents", body: created(with(`"receipt":" a "`)), status: 201, want: map[string]any{"receipt": " a "}},
	{name: "NUL", method: "POST", path: "/documents", body: created(with(`"receipt":"a\u0000b"`)), status: 201, want: map[string]any{"receipt": "a\x00b"}},
	{name: "integer 1.0", method: "POST", path: "/documents", body: created(with(`"amount":1.0`)), status: 400, kind: invalid},
	{name: "integer 1e3", method: "POST", path: "/documents", body: created(with(`"amount":1e3`)), status: 400, kind: invalid},
	{name: "integer -0", method: "POST", path: "/documents", body: created(with(`"amount":-0`)), status: 201, want: map[string]any{"amount": 0.0}},
	{name: "integer a string", method: "POST", path: "/documents", body: created(with(`"amount":"1"`)), status: 400, kind: invalid},
	{name: "integer a boolean", method: "POST", path: "/documents", body: created(with(`"amount":true`)), status: 400, kind: invalid},
	{name: "integer -1", method: "POST", path: "/documents", body: created(with(`"resultCode":-1`)), status: 201, want: map[string]any{"resultCode": -1.0}},
	{name: "integer of 64 bits", method: "POST", path: "/documents", body: created(with(`"amount":9223372036854775807`)), status: 201},
	{name: "integer of 65 bits", method: "POST", path: "/documents", body: created(with(`"amount":9223372036854775808`)), status: 400, kind: invalid},
	{name: "operator in a create is text", method: "POST", path: "/documents", body: created(with(`"failureReason":"{\"method\":\"stringConcat\",\"values\":[\"x\"]}"`)), status: 201, want: map[string]any{"failureReason": `{"method":"stringConcat","values":["x"]}`}},

	// Keys that belong to Appwrite.
	{name: "bad date in data", method: "POST", path: "/documents", body: created(with(`"$updatedAt":"soon"`)), status: 400, kind: invalid},
	{name: "other key with a dollar", method: "POST", path: "/documents", body: created(with(`"$foo":1`)), status: 400, kind: invalid},

	// Permissions.
	{name: "permission for a user", method: "POST", path: "/documents", body: granting(`"read(\"user:ada\")"`), status: 201},
	{name: "permission for a user with a long id", method: "POST", path: "/documents", body: granting(`"read(\"user:` + long36 + `\")"`), status: 201},
	{name: "permission to write", method: "POST", path: "/documents", body: granting(`"write(\"user:ada/verified\")"`), status: 201},
	{name: "no permissions", method: "POST", path: "/documents", body: granting(``), status: 201},
	{name: "permissions null", method: "POST", path: "/documents", body: `{"documentId":"{id}","data":` + minimal + `,"permissions":null}`, status: 201},
	{name: "permission for a user without id", method: "POST", path: "/documents", body: granting(`"read(\"user:\")"`), status: 400, kind: argument},
	{name: "permission for user 0", method: "POST", path: "/documents", body: granting(`"read(\"user:0\")"`), status: 400, kind: argument},
	{name: "permission for a user with a too long id", method: "POST", path: "/documents", body: granting(`"read(\"user:` + long37 + `\")"`), status: 400, kind: argument},
	{name: "permission for a user with a bad id", method: "POST", path: "/documents", body: granting(`"read(\"user:a b\")"`), status: 400, kind: argument},
	{name: "permission to create", method: "POST", path: "/documents", body: granting(`"create(\"any\")"`), status: 400, kind: argument},
	{name: "permission without quotes", method: "POST", path: "/documents", body: granting(`"read(any)"`), status: 400, kind: argument},
	{name: "permission for all", method: "POST", path: "/documents", body: granting(`"*"`), status: 400, kind: argument},
	{name: "permission for an old role", method: "POST", path: "/documents", body: granting(`"read(\"role:all\")"`), status: 400, kind: argument},
	{name: "permission for an unknown role", method: "POST", path: "/documents", body: granting(`"read(\"all\")"`), status: 400, kind: argument},
	{name: "permission for any with id", method: "POST", path: "/documents", body: granting(`"read(\"any:a\")"`), status: 400, kind: argument},
	{name: "permission with a bad dimension", method: "POST", path: "/documents", body: granting(`"read(\"user:a/owner\")"`), status: 400, kind: argument},
	{name: "permission a number", method: "POST", path: "/documents", body: granting(`1`), status: 400, kind: argument},
	{name: "permissions a string", method: "POST", path: "/documents", body: `{"documentId":"{id}","data":` + minimal + `,"permissions":"read(\"any\")"}`, status: 400, kind: argument},
	{name: "permissions over 100", method: "POST", path: "/documents", body: granting(strings.Repeat(`"read(\"any\")",`, 100) + `"read(\"any\")"`), status: 400, kind: argument},

	// PATCH.
	{name: "update", seed: minimal, method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"FAILED","resultCode":1}}`, status: 200, want: map[string]any{
		"status": "FAILED", "resultCode": 1.0, "checkoutRequestId": "ws_CO_1"}},
	{name: "update in capitals", seed: minimal, method: "PATCH", path: "/documents/{ID}", body: `{"data":{"status":"FAILED"}}`, status: 200},
	{name: "update to null", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"amount":null}}`, status: 200, want: map[string]any{"amount": nil}},
	{name: "update required to null", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":null}}`, status: 400, kind: invalid},
	{name: "update unknown attribute", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"phone":"1"}}`, status: 400, kind: invalid},
	{name: "update too long", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"` + long21 + `"}}`, status: 400, kind: invalid},
	{name: "update permissions alone", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"permissions":["read(\"any\")"]}`, status: 200},
	{name: "update with bad permissions", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"x"},"permissions":["read(\"user:\")"]}`, status: 400, kind: argument},
	{name: "update nothing", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{},"permissions":null}`, status: 400, kind: noPayload},
	{name: "update without JSON", seed: paid, method: "PATCH", path: "/documents/{id}", body: `x`, status: 400, kind: noPayload},
	{name: "update what is not there", method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"x"}}`, status: 404, kind: noDoc},
	{name: "update with a bad id", method: "PATCH", path: "/documents/_a", body: `{"data":{"status":"x"}}`, status: 400, kind: argument},
	{name: "update read long ago", seed: paid, method: "PATCH", path: "/documents/{id}", header: ancient, body: `{"data":{"status":"x"}}`, status: 409, kind: "document_update_conflict"},
	{name: "update read long ago without a change", seed: paid, method: "PATCH", path: "/documents/{id}", header: ancient, body: `{"data":{"status":"SUCCESS"}}`, status: 409, kind: "document_update_conflict"},
	{name: "update read just now", seed: paid, method: "PATCH", path: "/documents/{id}", header: future, body: `{"data":{"status":"x"}}`, status: 200},
	{name: "update with a bad timestamp", seed: paid, method: "PATCH", path: "/documents/{id}", header: map[string]string{"X-Appwrite-Timestamp": "nonsense"}, body: `{"data":{"status":"x"}}`, status: 400, kind: argument},

	// Operators.
	{name: "operator without a list", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"status":"{\"method\":\"increment\",\"values\":1}"}}`, status: 400, kind: "general_bad_request"},
	{name: "operator behind an apostrophe", seed: paid, method: "PATCH", path: "/documents/{id}", body: `{"data":{"failureReason":"'{\"method\":\"toggle\"}"}}`, status: 200, want: map[string]any{"failureReason": `'{"method":"toggle"}`}},

	// DELETE.
	{name: "delete", seed: minimal, method: "DELETE", path: "/documents/{id}", status: 204},
	{name: "delete what is not there", method: "DELETE", path: "/documents/{id}", status: 404, kind: noDoc},
	{name: "delete read long ago", seed: minimal, method: "DELETE", path: "/documents/{id}", header: ancient, status: 409, kind: "document_update_conflict"},

	// Lists.
	{name: "list", method: "GET", path: "/documents", status: 200},
	{name: "list with queries", seed: minimal, method: "GET", path: withQueries(own, `{"method":"limit","values":[1]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list with total", local: true, method: "GET", path: "/documents?total=false", status: 400, kind: argument},
	{name: "list of several ids", seed: minimal, method: "GET", path: withQueries(`{"method":"equal","attribute":"$id","values":["nope","{id}"]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list less than", seed: paid, method: "GET", path: withQueries(own, `{"method":"lessThan","attribute":"amount","values":[2]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list less than leaves out its equal", seed: paid, method: "GET", path: withQueries(own, `{"method":"lessThan","attribute":"amount","values":[1]}`), status: 200, want: map[string]any{"total": 0.0}},
	{name: "list less than leaves out null", seed: minimal, method: "GET", path: withQueries(own, `{"method":"lessThan","attribute":"amount","values":[2]}`), status: 200, want: map[string]any{"total": 0.0}},
	{name: "list greater than", seed: paid, method: "GET", path: withQueries(own, `{"method":"greaterThan","attribute":"amount","values":[0]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list greater than leaves out its equal", seed: paid, method: "GET", path: withQueries(own, `{"method":"greaterThan","attribute":"amount","values":[1]}`), status: 200, want: map[string]any{"total": 0.0}},
	{name: "list null", seed: minimal, method: "GET", path: withQueries(own, `{"method":"isNull","attribute":"amount"}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list null leaves out a value", seed: paid, method: "GET", path: withQueries(own, `{"method":"isNull","attribute":"amount"}`), status: 200, want: map[string]any{"total": 0.0}},
	{name: "list created after", seed: minimal, method: "GET", path: withQueries(own, `{"method":"greaterThan","attribute":"$createdAt","values":["2001-01-01T00:00:00.000Z"]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list created in future", seed: minimal, method: "GET", path: withQueries(own, `{"method":"greaterThan","attribute":"$createdAt","values":["2999-01-01T03:00:00+03:00"]}`), status: 200, want: map[string]any{"total": 0.0}},
	{name: "list created after no date", method: "GET", path: withQueries(`{"method":"greaterThan","attribute":"$createdAt","values":["soon"]}`), status: 400, kind: "general_query_invalid"},
	{name: "list less than unknown attribute", method: "GET", path: withQueries(`{"method":"lessThan","attribute":"x","values":[1]}`), status: 400, kind: "general_query_invalid"},
	{name: "list less than two", method: "GET", path: withQueries(`{"method":"lessThan","attribute":"amount","values":[1,2]}`), status: 400, kind: "general_query_invalid"},
	{name: "list a bad selection", method: "GET", path: withQueries(`{"method":"select","values":["x"]}`), status: 400, kind: "general_query_invalid"},
	{name: "list by unknown order", method: "GET", path: withQueries(`{"method":"orderAsc","attribute":"x"}`), status: 400, kind: "general_query_invalid"},
	{name: "list after a cursor that is last", seed: paid, method: "GET", path: withQueries(own, `{"method":"cursorAfter","values":["{id}"]}`), status: 200, want: map[string]any{"total": 1.0}},
	{name: "list with a bad query", method: "GET", path: "/documents?queries%5B%5D=x", status: 400, kind: "general_query_invalid"},
	{name: "list by unknown attribute", method: "GET", path: withQueries(`{"method":"equal","attribute":"x","values":[1]}`), status: 400, kind: "general_query_invalid"},
	{name: "list with limit 0", method: "GET", path: withQueries(`{"method":"limit","values":[0]}`), status: 400, kind: "general_query_invalid"},
	{name: "list after an unknown cursor", method: "GET", path: withQueries(`{"method":"cursorAfter","values":["nope"]}`), status: 400, kind: "general_cursor_not_found"},

	// Without an id, a request for one document is one for all of them. The local
	// rows would change a real server's documents, and the fake fails them.
	{name: "read with an empty id lists", method: "GET", path: "/documents/", status: 200},
	{name: "update with an empty id", local: true, seed: minimal, method: "PATCH", path: "/documents/", body: `{"data":{"status":"x"}}`, status: 500, kind: "general_unknown"},
	{name: "put with an empty id", local: true, seed: minimal, method: "PUT", path: "/documents/", body: `{"data":` + minimal + `}`, status: 500, kind: "general_unknown"},
	{name: "delete with an empty id", local: true, seed: minimal, method: "DELETE", path: "/documents/", status: 500, kind: "general_unknown"},
	{name: "put", local: true, seed: minimal, method: "PUT", path: "/documents/{id}", body: `{"data":` + minimal + `}`, status: 500, kind: "general_unknown"},
}
