package appwrite

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAccount has which JWTs count, whatever a server says of them.
func TestAccount(t *testing.T) {
	jwt := func(payload string) string {
		return "h." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".s"
	}
	for _, tt := range []struct {
		name, jwt string
		answer    string // of the server's 200
		want      string // the user, "" for none
		asked     bool
	}{
		{"of a session", jwt(`{"userId":"amina","sessionId":"x"}`), `{"$id":"amina"}`, "amina", true},
		{"of an empty session", jwt(`{"userId":"amina","sessionId":""}`), `{"$id":"amina"}`, "", false},
		{"of no session", jwt(`{"userId":"amina"}`), `{"$id":"amina"}`, "", false},
		{"of a session of another type", jwt(`{"userId":"amina","sessionId":1}`), `{"$id":"amina"}`, "", false},
		{"of another user than the server says", jwt(`{"userId":"berta","sessionId":"x"}`), `{"$id":"amina"}`, "", true},
		{"of no user", jwt(`{"userId":"","sessionId":"x"}`), `{"$id":""}`, "", true},
		{"a page for an answer", jwt(`{"userId":"amina","sessionId":"x"}`), `<html>`, "", true},
		{"none", "", `{"$id":"amina"}`, "", false},
		{"two parts", "a.b", `{"$id":"amina"}`, "", false},
		{"no base64", "a.%.c", `{"$id":"amina"}`, "", false},
		{"no JSON", "a.e30x.c", `{"$id":"amina"}`, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = true
				if r.URL.Path != "/v1/account" || r.Header.Get("X-Appwrite-JWT") != tt.jwt || r.Header["X-Appwrite-Key"] != nil {
					t.Errorf("asked %s with the headers %v", r.URL, r.Header)
				}
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, tt.answer)
			}))
			defer server.Close()
			c := &Client{Endpoint: server.URL + "/v1", ProjectID: "p", Key: "secret", Transport: NewTransport()}
			got, err := c.AsUser(tt.jwt).Account(context.Background())
			if (err == nil) != (tt.want != "") || err == nil && got.ID != tt.want {
				t.Errorf("%+v, %v, want %q", got, err, tt.want)
			}
			var failure *Failure
			if err != nil && !errors.As(err, &failure) {
				t.Errorf("the error is %T", err)
			}
			if asked != tt.asked || c.Calls() != map[bool]int{true: 1}[tt.asked] {
				t.Errorf("asked: %t, calls: %d", asked, c.Calls())
			}
		})
	}
}

// TestVersion: a guest is told.
func TestVersion(t *testing.T) {
	for answer, want := range map[string]string{`{"version":"1.9.6"}`: "1.9.6", `{}`: "", `[]`: "", `<html>`: ""} {
		t.Run(answer, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header["X-Appwrite-Key"] != nil {
					t.Error("it is asked with a key, which is refused")
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, answer)
			}))
			defer server.Close()
			c := &Client{Endpoint: server.URL + "/v1", ProjectID: "p", Key: "secret", Transport: NewTransport()}
			if got, err := c.Version(context.Background()); got != want || (err == nil) != (want != "") {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
}
