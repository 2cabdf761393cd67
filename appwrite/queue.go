package appwrite

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"openruntimes/handler/settle"
)

// Enqueue has Appwrite post a body to that path of a function at a time to come: a
// whole minute, more than 60 s ahead by the server's clock. The path is escaped already
// and may have a query.
func (c *Client) Enqueue(ctx context.Context, function, path string, body []byte, at time.Time) error {
	_, err := c.document(ctx, "queue", http.MethodPost, "/functions/"+url.PathEscape(function)+"/executions", nil, map[string]any{
		"async":       true,
		"method":      http.MethodPost,
		"path":        path,
		"body":        string(body),
		"scheduledAt": settle.FormatTime(at),
	})
	return err
}
