package daraja

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// BenchmarkPush sends a push to a server on this machine in two ways: by=floor with
// net/http and encoding/json alone, by=client with what this package adds to them.
func BenchmarkPush(b *testing.B) {
	_, acceptance := parts(b, "push/200")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"access_token":"token-1","expires_in":"3599"}`)
			return
		}
		w.Write(acceptance)
	}))
	defer server.Close()

	b.Run("by=floor", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			body, _ := json.Marshal(pushRequest)
			r, err := http.NewRequest(http.MethodPost, server.URL+"/mpesa/stkpush/v1/processrequest", strings.NewReader(string(body)))
			if err != nil {
				b.Fatal(err)
			}
			res, err := server.Client().Do(r)
			if err != nil {
				b.Fatal(err)
			}
			var accepted struct{ CheckoutRequestID string }
			answer, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || json.Unmarshal(answer, &accepted) != nil || accepted.CheckoutRequestID == "" {
				b.Fatalf("%v: %s", err, answer)
			}
		}
	})
	b.Run("by=client", func(b *testing.B) {
		c := New(server.URL, credentials, server.Client(), time.Now)
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			if got := c.Push(context.Background(), pushRequest); got.Outcome != Accepted {
				b.Fatalf("%+v", got)
			}
		}
	})
}
