package fakeruntime

import (
	"cmp"
	"maps"
	"net/http"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/fakeconsole"
)

// Domain serves the public domain of a function. A request runs main if the
// function is enabled, has an active deployment, and grants execute to any or
// guests; otherwise it is refused as the platform refuses it. main is given the
// environment that the deployment was made active with, whose API endpoint is
// the one given here, and its key has the scopes that the function has now.
//
// Each run is recorded as an execution, without its logs if the function's
// logging is off.
func Domain(c *fakeconsole.Console, function, endpoint string, main func(openruntimes.Context, func(string) string) openruntimes.Response) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admission, err := c.Admit(function)
		if err != nil {
			c.Failure(err).Write(w)
			return
		}
		environment := maps.Clone(admission.Environment)
		environment["APPWRITE_FUNCTION_API_ENDPOINT"] = endpoint
		status := http.StatusInternalServerError // of a panic
		runtime := Runtime{
			Key: admission.Key, Version: c.Version,
			Main: func(ctx openruntimes.Context) openruntimes.Response {
				reply := main(ctx, func(name string) string { return environment[name] })
				status = cmp.Or(reply.StatusCode, http.StatusOK)
				return reply
			},
			Logs: func(logs, errors string) {
				if !admission.Logging {
					logs, errors = "", ""
				}
				c.Record(fakeappwrite.Execution{
					Function: function, Method: r.Method, Path: r.URL.RequestURI(), Trigger: "http",
					Status: status, Logs: logs, Errors: errors,
				})
			},
		}
		runtime.ServeHTTP(w, r)
	})
}
