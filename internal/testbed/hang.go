package testbed

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// A call that hangs ends by its deadline. In tests no deadline passes by itself: a
// server that hangs says so, and the call on its connection ends at once, as it would
// after its time. So nothing waits, and a slow machine fails no test.

// calls has the *call that is under way on a connection, by the addresses of both its
// ends.
var calls sync.Map

type call struct{ end context.CancelCauseFunc }

// UntilHung takes the place of [context.WithTimeout] around one call. Its context ends
// with [context.DeadlineExceeded] when the server hangs.
func UntilHung(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &call{cancel}
	var connections []string // more than one if net/http tries again by itself
	gotConnection := func(info httptrace.GotConnInfo) {
		connection := ends(info.Conn.LocalAddr(), info.Conn.RemoteAddr())
		connections = append(connections, connection)
		calls.Store(connection, c)
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: gotConnection}), func() {
		cancel(context.Canceled)
		for _, connection := range connections {
			calls.CompareAndDelete(connection, c)
		}
	}
}

// Hang is a server that never answers. A call that [UntilHung] does not end would wait
// without limit: its connection breaks instead.
func Hang(_ http.ResponseWriter, r *http.Request) {
	if !hangUp(r.RemoteAddr + " " + r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()) {
		panic(http.ErrAbortHandler)
	}
	<-r.Context().Done()
}

// HangUp ends the call on that connection, of which this is the server's end, as its
// deadline would.
func HangUp(c net.Conn) { hangUp(ends(c.RemoteAddr(), c.LocalAddr())) }

// hangUp reports whether there was a call to end.
func hangUp(connection string) bool {
	c, found := calls.Load(connection)
	if found {
		c.(*call).end(context.DeadlineExceeded)
	}
	return found
}

func ends(client, server net.Addr) string { return client.String() + " " + server.String() }
