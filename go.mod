module openruntimes/handler

// Appwrite 1.8 builds with Go 1.23 and nothing newer.
go 1.23.0

require (
	github.com/appwrite/sdk-for-go v1.0.0
	github.com/open-runtimes/types-for-go/v4 v4.0.8
)

// For the client and the fakes alone: the function does not need it.
require github.com/coder/websocket v1.8.14
