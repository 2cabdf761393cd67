package appwrite

import (
	"context"
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
	_, err := s.document(ctx, "create", http.MethodPost, s.path(d.Kind, ""), nil, map[string]any{
		"documentId":  d.DocumentID,
		"data":        d.Attributes(),
		"permissions": d.Permissions(),
	})
	if Status(err) == http.StatusConflict {
		return settle.ErrExists
	}
	return err
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
	d, err := settle.Decode(kind, []byte(body))
	if err != nil {
		return settle.Document{}, &Failure{Call: "get", Status: http.StatusOK, cause: "a document of another form"}
	}
	return d, nil
}

// Replace compares and sets: the server refuses the PATCH with 409 where $updatedAt is
// newer than the header X-Appwrite-Timestamp says. That is atomic from Appwrite 1.9.5;
// 1.8.1 and 1.9.0 may compare with a cached row. The transaction's id is never written,
// and who may read only if the new document says so.
func (s Documents) Replace(ctx context.Context, d *settle.Document, updatedAt string) error {
	// The server compares milliseconds, and misses a change within the one that
	// was read. Waiting keeps our own change out of it.
	if err := sleep(ctx, 2*time.Millisecond); err != nil {
		return &Failure{Call: "replace", cause: cause(err)}
	}
	data := d.Attributes()
	data.CheckoutRequestID, data.OriginatorConversationID = "", ""
	params := map[string]any{"data": data}
	if strings.HasPrefix(d.ReadRole, "user:") {
		params["permissions"] = d.Permissions()
	}
	_, err := s.document(ctx, "replace", http.MethodPatch, s.path(d.Kind, d.DocumentID),
		map[string]any{"X-Appwrite-Timestamp": updatedAt}, params)
	if Status(err) == http.StatusConflict || isDocumentNotFound(err) {
		return settle.ErrChanged
	}
	return err
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
