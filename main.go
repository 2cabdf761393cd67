// Package handler is the function that Appwrite runs: it settles M-Pesa
// payments. The work is done in the packages handler and parse below it.
package handler

import (
	"os"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
)

// Main answers one request. What is wrong with the settings is reported by the
// requests that need them, and by GET /health.
func Main(Context openruntimes.Context) openruntimes.Response {
	config, _ := handler.FromEnv(os.Getenv)
	return config.Serve(Context)
}
