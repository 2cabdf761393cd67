// Package web holds the page for the browser, so that scripts/local can serve it from a
// program that needs no other file. It is not deployed with the function: any host of
// static files has it.
package web

import "embed"

// Files are what a browser loads, as they lie in this folder.
//
//go:embed daraja.js messages.js chama
var Files embed.FS
