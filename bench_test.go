package handler

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

// The two benchmarks post the same bytes to the same server: BenchmarkMain through
// the function, BenchmarkFloor with net/http alone: go test -run '^$' -bench .

// atATime is how many requests are under way at once.
const atATime = 64

// benchmarkServer answers every write at once, as Appwrite would, and keeps the
// last request that it got.
func benchmarkServer(b *testing.B) (server *httptest.Server, sent *http.Request, body []byte) {
	answer := []byte(`{"$id":"ws_CO_23112026140731772700000011","$sequence":1,"$createdAt":"2026-11-23T11:07:50.123+00:00",` +
		`"$updatedAt":"2026-11-23T11:07:50.123+00:00","$permissions":["read(\"user:amina\")"],"status":"SUCCESS"}`)
	record := true
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		if record {
			record, sent, body = false, r.Clone(r.Context()), content
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.WriteHeader(http.StatusCreated)
		w.Write(answer)
	}))
	b.Cleanup(server.Close)
	for name, value := range map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": server.URL + "/v1", "APPWRITE_FUNCTION_PROJECT_ID": "p", "APPWRITE_FUNCTION_ID": "f",
		"DARAJA_DATABASE_ID": "daraja", "DARAJA_COLLECTION_ID": "payments", "DARAJA_CALLBACK_SECRET": "",
	} {
		b.Setenv(name, value)
	}
	if r := callMain(callback(b)); r.StatusCode != http.StatusOK {
		b.Fatalf("Main answers %d %s", r.StatusCode, r.Body)
	}
	return server, sent, body
}

func callback(b *testing.B) []byte {
	content, err := os.ReadFile("testdata/stk/paid.json")
	if err != nil {
		b.Fatal(err)
	}
	return content
}

func callMain(body []byte) openruntimes.Response {
	ctx := openruntimes.NewContext(openruntimes.Logger{})
	ctx.Req = openruntimes.ContextRequest{Method: http.MethodPost, Path: "/callback", Query: map[string]string{"uid": "amina"},
		Headers: map[string]string{"x-appwrite-key": "key"}}
	ctx.Req.SetBodyBinary(body)
	return Main(ctx)
}

func BenchmarkMain(b *testing.B) {
	benchmarkServer(b)
	body := callback(b)
	b.ReportAllocs()
	b.SetParallelism(atATime / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := callMain(body); r.StatusCode != http.StatusOK {
				b.Errorf("%d %s", r.StatusCode, r.Body)
			}
		}
	})
}

func BenchmarkFloor(b *testing.B) {
	server, sent, body := benchmarkServer(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atATime}}
	b.ReportAllocs()
	b.SetParallelism(atATime / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequest(http.MethodPost, server.URL+sent.URL.Path, bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header = sent.Header.Clone()
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
