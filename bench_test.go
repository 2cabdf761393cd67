package handler

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/scripts/standin"
)

// BenchmarkMain is the function, BenchmarkFloor one that does nothing but post the
// same bytes to the same API with net/http alone. Both are measured in two ways:
// called as the runtime calls them, by themselves (bare) and over loopback through
// the runtime's surface (served); and the API answers at once, or as late as a
// server with a database would. ./scripts/bench compares them.

// atATime is how many requests are under way at once.
const atATime = 64

func BenchmarkMain(b *testing.B) {
	benchmark(b, func(api *benchmarkAPI) main { return Main })
}

func BenchmarkFloor(b *testing.B) {
	benchmark(b, func(api *benchmarkAPI) main { return api.floor })
}

type main func(openruntimes.Context) openruntimes.Response

func benchmark(b *testing.B, function func(*benchmarkAPI) main) {
	for _, late := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond} {
		api := newBenchmarkAPI(b, late)
		f := function(api)
		b.Run("bare/api="+late.String(), func(b *testing.B) {
			run(b, func() int { return call(f, api.callback).StatusCode })
		})
		server := httptest.NewServer(&standin.Runtime{Main: f, Key: "key"})
		b.Cleanup(server.Close)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atATime}}
		b.Run("served/api="+late.String(), func(b *testing.B) {
			run(b, func() int {
				resp, err := client.Post(server.URL+"/callback?uid=amina", "application/json", bytes.NewReader(api.callback))
				if err != nil {
					return 0
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				return resp.StatusCode
			})
		})
	}
}

func run(b *testing.B, deliver func() int) {
	b.ReportAllocs()
	b.SetParallelism(atATime / 2)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status := deliver(); status != http.StatusOK {
				b.Errorf("answered %d", status)
			}
		}
	})
}

func call(f main, body []byte) openruntimes.Response {
	ctx := openruntimes.NewContext(openruntimes.Logger{})
	ctx.Req = openruntimes.ContextRequest{Method: http.MethodPost, Path: "/callback", Query: map[string]string{"uid": "amina"},
		Headers: map[string]string{"x-appwrite-key": "key"}}
	ctx.Req.SetBodyBinary(body)
	return f(ctx)
}

// benchmarkAPI answers every write as Appwrite would, after a while.
type benchmarkAPI struct {
	callback []byte
	url      string
	client   *http.Client
	header   http.Header // of the first request that it got
	body     []byte
}

func newBenchmarkAPI(b *testing.B, late time.Duration) *benchmarkAPI {
	callback, err := os.ReadFile("testdata/stk/paid.json")
	if err != nil {
		b.Fatal(err)
	}
	api := &benchmarkAPI{callback: callback, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atATime}}}
	answer := []byte(`{"$id":"ws_CO_23112026140731772700000011","$sequence":1,"$createdAt":"2026-11-23T11:07:50.123+00:00",` +
		`"$updatedAt":"2026-11-23T11:07:50.123+00:00","$permissions":["read(\"user:amina\")"],"status":"SUCCESS"}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if api.body == nil {
			api.url, api.header, api.body = "http://"+r.Host+r.URL.Path, r.Header.Clone(), body
		}
		if late > 0 {
			time.Sleep(late)
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
	if r := call(Main, callback); r.StatusCode != http.StatusOK {
		b.Fatalf("Main answers %d %s", r.StatusCode, r.Body)
	}
	return api
}

// floor is the least that a function can do: it posts what Main posts.
func (api *benchmarkAPI) floor(openruntimes.Context) openruntimes.Response {
	req, err := http.NewRequest(http.MethodPost, api.url, bytes.NewReader(api.body))
	if err != nil {
		return openruntimes.Response{StatusCode: http.StatusInternalServerError}
	}
	req.Header = api.header.Clone()
	resp, err := api.client.Do(req)
	if err != nil {
		return openruntimes.Response{StatusCode: http.StatusInternalServerError}
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return openruntimes.Response{StatusCode: http.StatusOK, Body: []byte("ok")}
}
