package appwrite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// TestCreate has what a new document is on the wire.
func TestCreate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ñ", 40)
	disbursement := &settle.Document{DocumentID: "o-1", Verdict: parse.Verdict{Kind: parse.Disbursement, ID: long, Status: parse.Timeout, Code: 1}}
	for name, tt := range map[string]struct {
		document *settle.Document
		path     string
		want     map[string]any
	}{
		"a payment": {payment(), "/v1/databases/da%2Fraja/collections/pay%3Fments/documents", map[string]any{
			"documentId": "ws_CO_1", "permissions": []any{`read("user:amina")`}, "data": map[string]any{
				"checkoutRequestId": "ws_CO_1", "status": "SUCCESS", "resultCode": 0.0, "receipt": "UKN7X1Q9ZK", "amount": 100.0,
				"failureReason": nil, "mpesaTimestamp": nil, "settledAt": "0001-01-01T00:00:00.000Z"}}},
		"a disbursement": {disbursement, "/v1/databases/da%2Fraja/collections/dis%20burse/documents", map[string]any{
			"documentId": "o-1", "permissions": []any{}, "data": map[string]any{
				"originatorConversationId": long[:2*36], "conversationId": nil, "receiverName": nil,
				"status": "TIMEOUT", "resultCode": 1.0, "receipt": nil, "amount": nil,
				"failureReason": nil, "mpesaTimestamp": nil, "settledAt": "0001-01-01T00:00:00.000Z"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, 201, `{"$id":"x","$sequence":"7"}`)
			if err := w.documents().Create(context.Background(), tt.document); err != nil {
				t.Fatal(err)
			}
			r := w.requests[0]
			if r.Method != http.MethodPost {
				t.Errorf("method %s, want POST", r.Method)
			}
			if got := r.URL.EscapedPath(); got != tt.path {
				t.Errorf("path %s, want %s", got, tt.path)
			}
			if got := w.bodies[0]; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("sent %v, want %v", got, tt.want)
			}
		})
	}
}

// TestGet has what a document is on the wire.
func TestGet(t *testing.T) {
	t.Parallel()
	w := newWire(t, 200, stored)
	got, err := w.documents().Get(context.Background(), parse.Payment, "ws_CO_1")
	if err != nil {
		t.Fatal(err)
	}
	want := *said(parse.Timeout, 1037)
	want.ReadRole, want.Server = "", settle.Server{UpdatedAt: "2026-11-23T06:30:05.678+00:00", Sequence: 7}
	if got != want {
		t.Errorf("Get = %+v, want %+v", got, want)
	}
	r := w.requests[0]
	if r.Method != http.MethodGet {
		t.Errorf("method %s, want GET", r.Method)
	}
	if got, want := r.URL.String(), "/v1/databases/da%2Fraja/collections/pay%3Fments/documents/ws_CO_1"; got != want {
		t.Errorf("address %s, want %s", got, want)
	}
	if w.bodies[0] != nil {
		t.Errorf("sent %v with a GET", w.bodies[0])
	}
}

// TestGetAnotherForm: a document whose attributes have other types, or that is none.
func TestGetAnotherForm(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"$id":"ws_CO_1","$updatedAt":"x","amount":"many"}`: "get: 200 a document of another form",
		`{"$id":"ws_CO_1"}`: "get: 200 a document of another form",
		`{"total":0}`:       "get: 200 no document in the answer",
		`[]`:                "get: 200 no document in the answer",
	} {
		t.Run(answer, func(t *testing.T) {
			got, err := newWire(t, 200, answer).documents().Get(context.Background(), parse.Payment, "ws_CO_1")
			if got != (settle.Document{}) {
				t.Errorf("Get = %+v beside an error", got)
			}
			if err == nil || err.Error() != want {
				t.Errorf("Get = %v, want %s", err, want)
			}
		})
	}
}

// TestReplace has what a replacement is on the wire. The transaction's id is not in it,
// and who may read only if the callback named somebody.
func TestReplace(t *testing.T) {
	t.Parallel()
	data := map[string]any{"status": "SUCCESS", "resultCode": 0.0, "receipt": "UKN7X1Q9ZK", "amount": 100.0,
		"failureReason": nil, "mpesaTimestamp": nil, "settledAt": "0001-01-01T00:00:00.000Z"}
	for role, want := range map[string]map[string]any{
		"user:amina": {"data": data, "permissions": []any{`read("user:amina")`}},
		"any":        {"data": data},
		"":           {"data": data},
	} {
		t.Run("read by "+role, func(t *testing.T) {
			w := newWire(t, 200, stored)
			d := payment()
			d.ReadRole = role
			if err := w.documents().Replace(context.Background(), d, "2026-11-23T06:30:05.678+00:00"); err != nil {
				t.Fatal(err)
			}
			r := w.requests[0]
			if r.Method != http.MethodPatch {
				t.Errorf("method %s, want PATCH", r.Method)
			}
			if got, want := r.URL.String(), "/v1/databases/da%2Fraja/collections/pay%3Fments/documents/ws_CO_1"; got != want {
				t.Errorf("address %s, want %s", got, want)
			}
			if got := r.Header.Get("X-Appwrite-Timestamp"); got != "2026-11-23T06:30:05.678+00:00" {
				t.Errorf("X-Appwrite-Timestamp %q, want what was read", got)
			}
			if got := w.bodies[0]; !reflect.DeepEqual(got, want) {
				t.Errorf("sent %v, want %v", got, want)
			}
		})
	}
	t.Run("a disbursement", func(t *testing.T) {
		w := newWire(t, 200, stored)
		d := &settle.Document{DocumentID: "o-1", Verdict: parse.Verdict{Kind: parse.Disbursement, ID: "o-1", Status: parse.Timeout}}
		if err := w.documents().Replace(context.Background(), d, "x"); err != nil {
			t.Fatal(err)
		}
		sent := w.bodies[0].(map[string]any)["data"].(map[string]any)
		if id, found := sent["originatorConversationId"]; found {
			t.Errorf("the transaction's id %v was sent", id)
		}
		if _, found := sent["receiverName"]; !found {
			t.Error("the payee's name was not sent: that of the old document would stay")
		}
	})
}

// TestReplaceWaits: the server misses a change within the millisecond that was read.
func TestReplaceWaits(t *testing.T) {
	t.Parallel()
	w := newWire(t, 200, stored)
	s := w.documents()
	d, err := s.Get(context.Background(), parse.Payment, "ws_CO_1")
	if err != nil {
		t.Fatal(err)
	}
	read := w.answered
	if err := s.Replace(context.Background(), payment(), d.Server.UpdatedAt); err != nil {
		t.Fatal(err)
	}
	if waited := w.at[1].Sub(read); waited < 2*time.Millisecond {
		t.Errorf("replaced %v after it was read, want at least 2 ms", waited)
	}
	// With its time over, nothing is sent at all.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Replace(ctx, payment(), d.Server.UpdatedAt); err == nil || err.Error() != "replace: no time was left" {
		t.Errorf("Replace with its time over = %v", err)
	}
	if len(w.requests) != 2 {
		t.Errorf("%d requests, want no third one", len(w.requests))
	}
}

// TestConflicts: 409 means what the call makes of it.
func TestConflicts(t *testing.T) {
	t.Parallel()
	s := newWire(t, 409, `{"type":"document_already_exists","message":"ws_CO_1"}`).documents()
	t.Run("create", func(t *testing.T) {
		if err := s.Create(context.Background(), payment()); !errors.Is(err, settle.ErrExists) {
			t.Errorf("Create = %v, want %v", err, settle.ErrExists)
		}
	})
	t.Run("replace", func(t *testing.T) {
		if err := s.Replace(context.Background(), payment(), ""); !errors.Is(err, settle.ErrChanged) {
			t.Errorf("Replace = %v, want %v", err, settle.ErrChanged)
		}
	})
	t.Run("get", func(t *testing.T) {
		if _, err := s.Get(context.Background(), parse.Payment, "x"); err == nil || err.Error() != "get: 409 document_already_exists" {
			t.Errorf("Get = %v, want the status and the type", err)
		}
	})
}

// TestNotFound: a document that is not there is another thing than a collection that
// is not there, which an operator has to mend.
func TestNotFound(t *testing.T) {
	t.Parallel()
	t.Run("document", func(t *testing.T) {
		s := newWire(t, 404, `{"type":"document_not_found","message":"ws_CO_1"}`).documents()
		if _, err := s.Get(context.Background(), parse.Payment, "ws_CO_1"); !errors.Is(err, settle.ErrNotFound) {
			t.Errorf("Get = %v, want %v", err, settle.ErrNotFound)
		}
		if err := s.Replace(context.Background(), payment(), ""); !errors.Is(err, settle.ErrChanged) {
			t.Errorf("Replace = %v, want %v", err, settle.ErrChanged)
		}
		if err := s.Create(context.Background(), payment()); Status(err) != 404 {
			t.Errorf("Create = %v, want a 404", err)
		}
	})
	for _, answer := range []string{`{"type":"collection_not_found"}`, `{"type":"database_not_found"}`, `<html>`, ``} {
		t.Run(answer, func(t *testing.T) {
			s := newWire(t, 404, answer).documents()
			_, errGet := s.Get(context.Background(), parse.Payment, "ws_CO_1")
			errReplace := s.Replace(context.Background(), payment(), "")
			for call, err := range map[string]error{"Get": errGet, "Replace": errReplace} {
				if Status(err) != 404 {
					t.Errorf("%s = %v, want a 404", call, err)
				}
				if got := Classify(err); got != Permanent {
					t.Errorf("%s: %s, want %s", call, got, Permanent)
				}
			}
		})
	}
}

// TestCachedRow: from 1.9.5 the second of two who have read the same is refused. An
// older server may let it through, over what the first one wrote: a limit that the
// function cannot mend.
func TestCachedRow(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		err    error
		status string
	}{
		"1.8.1": {nil, "FAILED"},
		"1.9.0": {nil, "FAILED"},
		"1.9.6": {settle.ErrChanged, "SUCCESS"},
	} {
		t.Run(version, func(t *testing.T) {
			w := testbed.New(t, func(func(string) string) testbed.Serve {
				return func(openruntimes.Context) openruntimes.Response { return openruntimes.Response{} }
			})
			w.SetVersion(version)
			w.Appwrite.CachedRow = true
			s := Documents{Client: &Client{Endpoint: w.AppwriteURL, ProjectID: fakeappwrite.ProjectID, Key: testbed.FunctionKey, Transport: NewTransport()},
				Database: "daraja", Payments: "payments"}
			ctx := context.Background()
			if err := s.Create(ctx, said(parse.Timeout, 1037)); err != nil {
				t.Fatal(err)
			}
			read, err := s.Get(ctx, parse.Payment, "ws_CO_1")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Replace(ctx, payment(), read.Server.UpdatedAt); err != nil {
				t.Errorf("the first replacement = %v, want none", err)
			}
			if err := s.Replace(ctx, said(parse.Failed, 1), read.Server.UpdatedAt); !errors.Is(err, want.err) {
				t.Errorf("the second replacement = %v, want %v", err, want.err)
			}
			if got := w.Status(); got != want.status {
				t.Errorf("the document says %s, want %s", got, want.status)
			}
		})
	}
}

// TestEnqueue has what an execution to come is on the wire.
func TestEnqueue(t *testing.T) {
	t.Parallel()
	w := newWire(t, 202, `{"$id":"e-1"}`)
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.FixedZone("EAT", 3*60*60))
	if err := w.client().Enqueue(context.Background(), "fun/ction", "/callback?attempt=1", []byte("{}"), at); err != nil {
		t.Fatal(err)
	}
	r := w.requests[0]
	if r.Method != http.MethodPost {
		t.Errorf("method %s, want POST", r.Method)
	}
	if got, want := r.URL.EscapedPath(), "/v1/functions/fun%2Fction/executions"; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	want := map[string]any{"async": true, "method": "POST", "path": "/callback?attempt=1", "body": "{}", "scheduledAt": "2026-11-23T06:30:00.000Z"}
	if got := w.bodies[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// TestListAll reads pages until there are no more, or enough.
func TestListAll(t *testing.T) {
	t.Parallel()
	w := testbed.New(t, func(func(string) string) testbed.Serve {
		return func(openruntimes.Context) openruntimes.Response { return openruntimes.Response{} }
	})
	store := Documents{Client: &Client{Endpoint: w.AppwriteURL, ProjectID: fakeappwrite.ProjectID, Key: testbed.FunctionKey, Transport: NewTransport()},
		Database: "daraja", Payments: "payments"}
	now := time.Now()
	for i := range 250 {
		d := settle.Claim(parse.Payment, fmt.Sprintf("%020x", i), settle.Started{UserID: "amina", RequestKey: "key", NextCheckAt: now.Add(-time.Duration(i) * time.Minute)}, now)
		if _, err := store.Claim(context.Background(), &d); err != nil {
			t.Fatal(err)
		}
	}
	for most, want := range map[int]struct{ found, calls int }{1000: {250, 3}, 150: {150, 2}, 100: {100, 1}} {
		w.Operations()
		found, err := store.ListAll(context.Background(), parse.Payment, most, Before("nextCheckAt", now.Add(time.Second)), EarliestFirst("nextCheckAt"))
		if err != nil || len(found) != want.found || len(w.Appwrite.Calls()) != want.calls {
			t.Errorf("at most %d: %d documents, %v, in %d calls; want %d in %d", most, len(found), err, len(w.Appwrite.Calls()), want.found, want.calls)
		}
		for i, d := range found {
			if d.DocumentID != fmt.Sprintf("%020x", 249-i) {
				t.Fatalf("at most %d: at %d is %s", most, i, d.DocumentID)
			}
		}
	}
	w.Appwrite.Inject(fakeappwrite.Fault{Operation: "list", Times: 1, After: false, Reply: fakeappwrite.Status(500, "general_unknown", "Server Error")})
	if found, err := store.ListAll(context.Background(), parse.Payment, 10, EarliestFirst("nextCheckAt")); err == nil || found != nil {
		t.Errorf("a list that fails: %d documents, %v", len(found), err)
	}
}
