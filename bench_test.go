package handler

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
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

// BenchmarkPush starts payments one at a time and 64 at a time, in three ways:
// by=safaricom is the request to Safaricom alone, by=floor sends the bytes of all the
// calls that Main makes, one after another and with net/http alone, and by=main is
// Main. Appwrite and Safaricom answer at once, and share the processors.
func BenchmarkPush(b *testing.B) {
	api := newPushAPI(b)
	for _, atATime := range []int{1, 64} {
		for _, way := range []struct {
			name string
			main serve
		}{{"safaricom", api.safaricom}, {"floor", api.floor}, {"main", api.main}} {
			b.Run(fmt.Sprintf("at-a-time=%d/by=%s", atATime, way.name), func(b *testing.B) {
				b.ReportAllocs()
				if atATime == 1 {
					for range b.N {
						mustStart(b, way.main)
					}
					return
				}
				b.SetParallelism(max(1, atATime/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						mustStart(b, way.main)
					}
				})
			})
		}
	}
}

func mustStart(b *testing.B, f serve) {
	if reply := f(openruntimes.Context{}); reply.StatusCode != http.StatusOK {
		b.Errorf("answered %d %s", reply.StatusCode, reply.Body)
	}
}

// pushAPI answers for Appwrite and for Safaricom.
type pushAPI struct {
	client *http.Client
	jwt    string

	keeping  atomic.Bool
	requests []pushCall // of one push, whose calls come one after another
}

type pushCall struct {
	method, url string
	header      http.Header
	body        []byte
}

func newPushAPI(b *testing.B) *pushAPI {
	api := &pushAPI{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	api.jwt = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"userId":"amina","sessionId":"s"}`)) + ".c2ln"
	server := httptest.NewServer(api)
	b.Cleanup(server.Close)
	setEnvironment(b, server.URL)
	for name, value := range map[string]string{
		"DARAJA_CONSUMER_KEY": "key", "DARAJA_CONSUMER_SECRET": "secret", "DARAJA_SHORTCODE": "174379", "DARAJA_PASSKEY": "passkey",
		"DARAJA_ENVIRONMENT": "sandbox", "DARAJA_BASE_URL": server.URL, "DARAJA_SIGNING_KEY": strings.Repeat("5e", 32),
		"DARAJA_PUBLIC_URL": "https://shop.example",
	} {
		b.Setenv(name, value)
	}
	b.Cleanup(restart)     // after which Main reads its environment again
	mustStart(b, api.main) // asks for version and token as well
	api.keeping.Store(true)
	mustStart(b, api.main)
	api.keeping.Store(false)
	if len(api.requests) != 7 {
		b.Fatalf("a push makes %d calls, want 6 of Appwrite and 1 of Safaricom", len(api.requests))
	}
	return api
}

func (api *pushAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if api.keeping.Load() {
		api.requests = append(api.requests, pushCall{r.Method, "http://" + r.Host + r.URL.RequestURI(), r.Header.Clone(), body})
	}
	const document = `{"$id":"000000000000000000a1","$sequence":1,"$createdAt":"2026-11-23T11:07:50.123+00:00",` +
		`"$updatedAt":"2026-11-23T11:07:50.123+00:00","$permissions":["read(\"user:amina\")"],"status":"PENDING","checkoutRequestId":"",` +
		`"settledAt":"2026-11-23T11:07:50.123Z","userId":"amina","reference":"Order 7","requestedAmount":10,"requestKey":"a","phoneKey":"b"}`
	answer := document
	switch path := r.URL.Path; {
	case path == "/v1/health/version":
		answer = `{"version":"1.9.6"}`
	case path == "/v1/account":
		answer = `{"$id":"amina","labels":[],"emailVerification":true,"phoneVerification":false}`
	case path == "/oauth/v1/generate":
		answer = `{"access_token":"token-1","expires_in":"3599"}`
	case path == "/mpesa/stkpush/v1/processrequest":
		answer = `{"MerchantRequestID":"1-2-1","CheckoutRequestID":"ws_CO_23112026140731772700000011","ResponseCode":"0",` +
			`"ResponseDescription":"Success. Request accepted for processing","CustomerMessage":"Success. Request accepted for processing"}`
	case r.Method == http.MethodGet:
		answer = `{"total":1,"documents":[` + document + `]}`
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost && answer == document {
		w.WriteHeader(http.StatusCreated)
	}
	io.WriteString(w, answer)
}

// main has Main start a payment.
func (api *pushAPI) main(openruntimes.Context) openruntimes.Response {
	ctx := openruntimes.NewContext(openruntimes.Logger{})
	ctx.Req = openruntimes.ContextRequest{Method: http.MethodPost, Path: "/stk/push",
		Headers: map[string]string{"x-appwrite-key": "key", "x-appwrite-user-jwt": api.jwt}}
	ctx.Req.SetBodyBinary([]byte(`{"id":"000000000000000000a1","phone":"0700000011","amount":10,"reference":"Order 7"}`))
	return Main(ctx)
}

// floor sends what Main sends.
func (api *pushAPI) floor(openruntimes.Context) openruntimes.Response {
	for _, c := range api.requests {
		if err := api.send(c); err != nil {
			return openruntimes.Response{StatusCode: http.StatusInternalServerError, Body: []byte(err.Error())}
		}
	}
	return openruntimes.Response{StatusCode: http.StatusOK}
}

// safaricom sends what Main sends to Safaricom.
func (api *pushAPI) safaricom(openruntimes.Context) openruntimes.Response {
	for _, c := range api.requests {
		if !strings.Contains(c.url, "/mpesa/") {
			continue
		}
		if err := api.send(c); err != nil {
			return openruntimes.Response{StatusCode: http.StatusInternalServerError, Body: []byte(err.Error())}
		}
	}
	return openruntimes.Response{StatusCode: http.StatusOK}
}

func (api *pushAPI) send(c pushCall) error {
	r, err := http.NewRequest(c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	r.Header = c.header
	resp, err := api.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
