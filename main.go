// Package handler is the function that Appwrite runs: it settles M-Pesa payments. The
// work is done in the package handler below it.
package handler

import (
	"os"
	"sync"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/handler"
)

// function is made by the first request and kept, since its connections serve them all.
var function = sync.OnceValue(func() *handler.Function { return handler.New(os.Getenv) })

// Main answers one request.
func Main(Context openruntimes.Context) openruntimes.Response { return function().Serve(Context) }
