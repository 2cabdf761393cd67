package testbed

import (
	"errors"
	"fmt"
	"net"
	"testing"
)

// TestListen has ports that cannot be had, for a reason that is not this system's
// name for a port that is taken.
func TestListen(t *testing.T) {
	windows := errors.New("bind: Only one usage of each socket address is normally permitted.")
	for _, tt := range []struct {
		name       string
		port, free int // free is the first that can be had
		want       string
		err        error
	}{
		{name: "free", port: 4000, free: 4000, want: "127.0.0.1:4000"},
		{name: "taken", port: 4000, free: 4002, want: "127.0.0.1:4002"},
		{name: "the last", port: 4000, free: 4020, want: "127.0.0.1:4020"},
		{name: "all taken", port: 4000, free: 4021, err: windows},
		{name: "any", port: 0, free: 1, err: windows},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			_, err := listen(tt.port, func(_, address string) (net.Listener, error) {
				var port int
				if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
					t.Fatal(err)
				}
				if port < tt.free {
					return nil, windows
				}
				got = address
				return nil, nil
			})
			if got != tt.want {
				t.Errorf("listen took %q, want %q", got, tt.want)
			}
			if err != tt.err {
				t.Errorf("listen = %v, want %v", err, tt.err)
			}
		})
	}
}
