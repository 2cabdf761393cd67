package handler

import (
	"net/http"
	"strings"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// health says whether the settings are complete and, for a caller with the secret,
// which settings are set.
func (f *Function) health(r *request) openruntimes.Response {
	reply := struct {
		Status   string          `json:"status"`
		Version  string          `json:"version"`
		Settings map[string]bool `json:"settings,omitempty"`
	}{Status: "ok", Version: Version}
	code := http.StatusOK
	if problems := f.Problems(); len(problems) > 0 {
		r.ctx.Error("configuration: " + strings.Join(problems, "; "))
		reply.Status, code = "misconfigured", http.StatusServiceUnavailable
	}
	if r.prefix != "" {
		reply.Settings = f.config.present()
	}
	return r.ctx.Res.Json(reply, r.ctx.Res.WithStatusCode(code))
}
