package handler

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzMain posts anything to any route, as anybody: the reply is one of the
// contract's, and whatever is written is what appwrite.json takes.
func FuzzMain(f *testing.F) {
	for _, name := range payloads(f) {
		f.Add(target(name), "amina", payload(f, name))
	}
	f.Add("/", `x"),read("any`, `{"Body":{"stkCallback":{"CheckoutRequestID":"unique()","ResultCode":"\u0000"}}}`)
	f.Add("/", "0", `{"Body":{"stkCallback":{"CheckoutRequestID":0}}}`)
	w := newWorld(f)
	w.Runtime.Logs = nil
	f.Fuzz(func(t *testing.T, path, uid, body string) {
		if path != "/b2c/result" && path != "/b2c/timeout" {
			path = "/callback"
		}
		rec := httptest.NewRecorder()
		w.Runtime.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path+"?uid="+url.QueryEscape(uid), strings.NewReader(body)))
		if rec.Code != 200 && rec.Code != 400 && rec.Code != 413 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		for _, call := range w.Appwrite.Calls() {
			switch {
			case call.Operation != "create" && call.Operation != "get" && call.Operation != "replace":
				t.Errorf("%s %s: not an operation of ours", call.Method, call.Path)
			case call.Status >= 400 && call.Status != http.StatusConflict:
				t.Errorf("%s %s: %d %s", call.Method, call.Path, call.Status, call.Type)
			}
		}
		w.Appwrite.Reset()
	})
}
