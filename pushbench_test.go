package handler

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

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
