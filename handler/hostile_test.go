package handler

import (
	"fmt"
	"net/http"
	"testing"

	"openruntimes/handler/internal/fakeappwrite"
	"openruntimes/handler/internal/testbed"
)

// TestHostile sends each request of testdata/hostile to the function, on each version
// of the platform, and compares all that came of it. It measures what a request
// allocates, and so runs beside no other test.
func TestHostile(t *testing.T) {
	for _, name := range testbed.Files(t, "hostile/*.http") {
		for _, version := range fakeappwrite.Versions {
			t.Run(version+"/"+name, func(t *testing.T) {
				w := newWorld(t)
				w.SetVersion(version)
				w.LimitAllocations()
				req, body := testbed.Request(t, name)
				r := w.Handle(req.Method, req.URL.Path, req.URL.RawQuery, req.Header, body)
				w.CheckCalls()
				compareGolden(t, "testdata/"+name+".golden", fmt.Sprintf("%s %.80s\n%s", req.Method, req.URL, w.describe(t, r)))
			})
		}
	}
}

// TestForeignKey: a callback whose sender has a key of his own. 1.8.1 puts the
// function's in its place, newer releases do not run the function.
func TestForeignKey(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct{ status, documents int }{"1.8.1": {200, 1}, "1.9.0": {403, 0}, "1.9.6": {403, 0}} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t)
			w.SetVersion(version)
			r := w.Handle("POST", "/callback", "uid=amina", http.Header{"X-Appwrite-Key": {"standard_mine"}}, payload(t, "stk/paid"))
			if r.Status != want.status {
				t.Errorf("reply %d %s, want %d", r.Status, r.Body, want.status)
			}
			if n := len(w.Stored()); n != want.documents {
				t.Errorf("%d documents, want %d", n, want.documents)
			}
			w.CheckCalls()
		})
	}
}
