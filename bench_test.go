package handler

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"

	"openruntimes/handler/internal/fakeruntime"
)

// BenchmarkDelivery is one paid callback, 64 of them at a time, in two ways:
// by=floor posts the bytes that Main posts, with net/http alone; by=main is Main.
// Both are called directly, and served over loopback through the runtime's surface;
// and the API answers at once, or as late as a server with a database.
func BenchmarkDelivery(b *testing.B) {
	for _, late := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond} {
		api := newBenchmarkAPI(b, late)
		for _, f := range []struct {
			name string
			main serve
		}{{"floor", api.floor}, {"main", Main}} {
			b.Run("called/api="+late.String()+"/by="+f.name, func(b *testing.B) {
				run(b, func() int { return call(f.main, api.callback).StatusCode })
			})
		}
		for _, f := range []struct {
			name string
			main serve
		}{{"floor", api.floor}, {"main", Main}} {
			b.Run("served/api="+late.String()+"/by="+f.name, func(b *testing.B) {
				server := httptest.NewServer(&fakeruntime.Runtime{Main: f.main, Key: "key", Logs: func(string, string) {}})
				defer server.Close()
				run(b, func() int { return post(api.client, server.URL, api.callback) })
			})
		}
	}
}

type serve func(openruntimes.Context) openruntimes.Response

// atATime is how many requests are under way at once.
const atATime = 64

func run(b *testing.B, deliver func() int) {
	b.ReportAllocs()
	b.SetParallelism(max(1, atATime/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status := deliver(); status != http.StatusOK {
				b.Errorf("answered %d", status)
			}
		}
	})
}

func post(client *http.Client, url string, body []byte) (status int) {
	resp, err := client.Post(url+"/callback?uid=amina", "application/json", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func call(f serve, body []byte) openruntimes.Response {
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
	setEnvironment(b, server.URL)
	if r := call(Main, callback); r.StatusCode != http.StatusOK {
		b.Fatalf("Main answers %d %s", r.StatusCode, r.Body)
	}
	return api
}

// setEnvironment makes the API at that address the one that Main uses.
func setEnvironment(tb testing.TB, api string) {
	restart()
	for name, value := range map[string]string{
		"APPWRITE_FUNCTION_API_ENDPOINT": api + "/v1", "APPWRITE_FUNCTION_PROJECT_ID": "p", "APPWRITE_FUNCTION_ID": "f",
		"DARAJA_DATABASE_ID": "daraja", "DARAJA_COLLECTION_ID": "payments", "DARAJA_CALLBACK_SECRET": "",
	} {
		tb.Setenv(name, value)
	}
}

// floor is the least that a serve can do: it posts what Main posts.
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
