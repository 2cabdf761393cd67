package testbed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestHang makes many calls at once over connections that they share, of which every
// second hangs: each of those ends as after its time, and no other does.
func TestHang(t *testing.T) {
	defer Watch(t)()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does net/http notice a client that leaves
		if r.URL.Path == "/hangs" {
			Hang(w, r)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	call := func(path string) error {
		ctx, cancel := UntilHung(context.Background(), 0)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader("body"))
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 50 {
				if err := call("/hangs"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a call that hangs: %v", err)
				}
				if err := call("/answers"); err != nil {
					t.Errorf("a call that is answered: %v", err)
				}
			}
		}()
	}
	all.Wait()
}

// TestHangWithoutLimit: a call that nothing would end breaks.
func TestHangWithoutLimit(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(Hang))
	defer server.Close()
	resp, err := Client.Get(server.URL)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("%v, want a broken connection", err)
	}
}
