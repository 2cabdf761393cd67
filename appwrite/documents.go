package appwrite

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openruntimes/handler/parse"
	"openruntimes/handler/settle"
)

// Documents implements settle.Store on Appwrite's Databases API.
type Documents struct {
	*Client
	Database      string
	Payments      string // the collection's id
	Disbursements string
}

// Create stores a new document. The server decides whether the id is taken by its
// unique index, so of two at once one wins.
func (s Documents) Create(ctx context.Context, d *settle.Document) error {
	_, err := s.create(ctx, "create", d, d.Attributes())
	return err
}

// Claim stores the document of a payment that is about to be started, and returns it as
// the server has it. It returns settle.ErrExists if the id is taken.
func (s Documents) Claim(ctx context.Context, d *settle.Document) (settle.Document, error) {
	body, err := s.create(ctx, "claim", d, d.ClaimAttributes())
	if err != nil {
		return settle.Document{}, err
	}
	return decode("claim", d.Kind, body)
}

func (s Documents) create(ctx context.Context, name string, d *settle.Document, data any) ([]byte, error) {
	body, err := s.document(ctx, name, http.MethodPost, s.path(d.Kind, ""), nil, map[string]any{
		"documentId":  d.DocumentID,
		"data":        data,
		"permissions": d.Permissions(),
	})
	if Status(err) == http.StatusConflict {
		return nil, settle.ErrExists
	}
	return body, err
}

// Get reads one document.
func (s Documents) Get(ctx context.Context, kind parse.Kind, id string) (settle.Document, error) {
	body, err := s.document(ctx, "get", http.MethodGet, s.path(kind, id), nil, nil)
	if isDocumentNotFound(err) {
		return settle.Document{}, settle.ErrNotFound
	}
	if err != nil {
		return settle.Document{}, err
	}
	return decode("get", kind, body)
}

func decode(call string, kind parse.Kind, body []byte) (settle.Document, error) {
	d, err := settle.Decode(kind, body)
	if err != nil {
		return settle.Document{}, &Failure{Call: call, Status: http.StatusOK, cause: "a document of another form"}
	}
	return d, nil
}

// List returns the documents of that kind that the queries select, one page of them.
func (s Documents) List(ctx context.Context, kind parse.Kind, queries ...Query) ([]settle.Document, error) {
	params := url.Values{}
	for _, q := range queries {
		params.Add("queries[]", q.String())
	}
	body, err := s.Call(ctx, "list", http.MethodGet, s.path(kind, "")+"?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Documents []json.RawMessage }
	if err := json.Unmarshal(body, &page); err != nil || page.Documents == nil {
		return nil, &Failure{Call: "list", Status: http.StatusOK, cause: "no list in the answer"}
	}
	documents := make([]settle.Document, len(page.Documents))
	for i, raw := range page.Documents {
		if documents[i], err = decode("list", kind, raw); err != nil {
			return nil, err
		}
	}
	return documents, nil
}

// ListAll returns what the queries select, page by page and at most so many documents. The
// queries must not bound a page themselves. No document may be changed meanwhile by what
// they order by: a page begins behind the present place of the last one's end.
func (s Documents) ListAll(ctx context.Context, kind parse.Kind, most int, queries ...Query) (found []settle.Document, err error) {
	queries = append(queries, Limit(documentsAPage))
	selecting := len(queries)
	for {
		page, err := s.List(ctx, kind, queries...)
		if err != nil {
			return nil, err
		}
		found = append(found, page...)
		if len(page) < documentsAPage || len(found) >= most {
			return found[:min(most, len(found))], nil
		}
		queries = append(queries[:selecting:selecting], CursorAfter(page[len(page)-1].DocumentID))
	}
}

const documentsAPage = 100

// Query is one of Appwrite's queries for a list.
type Query struct {
	Method    string `json:"method"`
	Attribute string `json:"attribute,omitempty"`
	Values    any    `json:"values,omitempty"` // a list
}

func (q Query) String() string {
	text, _ := json.Marshal(q)
	return string(text)
}

// Equal selects what has one of these values.
func Equal(attribute string, values ...string) Query { return Query{"equal", attribute, values} }

// After selects what has a later time.
func After(attribute string, t time.Time) Query {
	return Query{"greaterThan", attribute, []any{settle.FormatTime(t)}}
}

// MoreThan selects what has a larger number. What has none is not selected.
func MoreThan(attribute string, n int64) Query { return Query{"greaterThan", attribute, []any{n}} }

// IsNull selects what has no value.
func IsNull(attribute string) Query { return Query{Method: "isNull", Attribute: attribute} }

// Before selects what has an earlier time. What has none is not selected.
func Before(attribute string, t time.Time) Query {
	return Query{"lessThan", attribute, []any{settle.FormatTime(t)}}
}

// NewestFirst orders by creation.
func NewestFirst() Query { return Query{Method: "orderDesc", Attribute: "$createdAt"} }

// EarliestFirst orders by a time.
func EarliestFirst(attribute string) Query { return Query{Method: "orderAsc", Attribute: attribute} }

// CursorAfter begins a page behind that document.
func CursorAfter(id string) Query { return Query{Method: "cursorAfter", Values: []any{id}} }

// Limit bounds a page. Appwrite's own default is 25.
func Limit(n int) Query { return Query{Method: "limit", Values: []any{n}} }

// Replace compares and sets: the server refuses the PATCH with 409 where $updatedAt is
// newer than the header X-Appwrite-Timestamp says. That is atomic from Appwrite 1.9.5;
// 1.8.1 and 1.9.0 may compare with a cached row. The transaction's id is never written,
// and who may read only if the new document says so.
func (s Documents) Replace(ctx context.Context, d *settle.Document, updatedAt string) error {
	data := d.Attributes()
	data.CheckoutRequestID, data.OriginatorConversationID = "", ""
	params := map[string]any{"data": data}
	if strings.HasPrefix(d.ReadRole, "user:") {
		params["permissions"] = d.Permissions()
	}
	_, err := s.patch(ctx, "replace", d, updatedAt, params)
	return err
}

// Amend compares and sets in the same way, writes some attributes, and returns the
// document as it then stands.
func (s Documents) Amend(ctx context.Context, d *settle.Document, changes any) (settle.Document, error) {
	body, err := s.patch(ctx, "amend", d, d.Server.UpdatedAt, map[string]any{"data": changes})
	if err != nil {
		return settle.Document{}, err
	}
	return decode("amend", d.Kind, body)
}

func (s Documents) patch(ctx context.Context, name string, d *settle.Document, updatedAt string, params map[string]any) ([]byte, error) {
	// The server compares milliseconds, and misses a change within the one that
	// was read. Waiting keeps our own change out of it.
	if err := sleep(ctx, 2*time.Millisecond); err != nil {
		return nil, &Failure{Call: name, cause: cause(err)}
	}
	body, err := s.document(ctx, name, http.MethodPatch, s.path(d.Kind, d.DocumentID),
		map[string]any{"X-Appwrite-Timestamp": updatedAt}, params)
	if Status(err) == http.StatusConflict || isDocumentNotFound(err) {
		return nil, settle.ErrChanged
	}
	return body, err
}

// path returns the path of a document, or of its collection's documents for the id "".
// The SDK escapes nothing.
func (s Documents) path(kind parse.Kind, id string) string {
	collection := s.Payments
	if kind == parse.Disbursement {
		collection = s.Disbursements
	}
	path := "/databases/" + url.PathEscape(s.Database) + "/collections/" + url.PathEscape(collection) + "/documents"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return path
}

// sleep waits, or returns the context's error if that ends sooner.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
