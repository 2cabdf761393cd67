package fakesafaricom

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestOAuth(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name, auth, query string
		status            int
		want              string
	}{
		{"no keys", "", "grant_type=client_credentials", 400, "400.008.01 Invalid authentication type passed"},
		{"bearer", "Bearer x", "grant_type=client_credentials", 400, "400.008.01 Invalid authentication type passed"},
		{"no grant type", "key:secret", "", 400, "400.008.02 Invalid grant type passed"},
		{"other grant type", "key:secret", "grant_type=password", 400, "400.008.02 Invalid grant type passed"},
		{"keys of the sandbox", "sandbox:secret", "grant_type=client_credentials", 400, ""},
		{"secret of another", "key:others", "grant_type=client_credentials", 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := http.NewRequest("GET", w.host.URL+"/oauth/v1/generate?"+test.query, nil)
			if key, secret, basic := strings.Cut(test.auth, ":"); basic {
				r.SetBasicAuth(key, secret)
			} else {
				r.Header.Set("Authorization", test.auth)
			}
			status, body := w.do(r)
			if status != test.status {
				t.Errorf("status %d; want %d", status, test.status)
			}
			if got := refusal(body); got != test.want {
				t.Errorf("= %q; want %q", got, test.want)
			}
		})
	}
	t.Run("expires_in as text and as a number", func(t *testing.T) {
		seen := map[string]bool{}
		for range 30 {
			r, _ := http.NewRequest("GET", w.host.URL+"/oauth/v1/generate?grant_type=client_credentials", nil)
			r.SetBasicAuth("key", "secret")
			_, body := w.do(r)
			_, life, _ := strings.Cut(body, `"expires_in": `)
			seen[life] = true
		}
		if len(seen) != 2 || !seen["3599}"] || !seen[`"3599"}`] {
			t.Errorf("seen: %v; want both forms", seen)
		}
	})
}

func TestToken(t *testing.T) {
	const (
		as404 = `404 404.001.03 Invalid Access Token`
		as400 = `400 400.003.01 Invalid Access Token`
		as401 = `401 {"fault":{"faultstring":"Invalid Access Token","detail":{"errorcode":"keymanagement.service.invalid_access_token"}}}`
		none  = `401 {"fault":{"faultstring":"Invalid API call as no apiproduct match found","detail":{"errorcode":"keymanagement.service.InvalidAPICallAsNoApiProductMatchFound"}}}`
	)
	only := func(products ...Operation) Merchant {
		return Merchant{ConsumerKey: "few", ConsumerSecret: "secret", Shortcode: "600200", Passkey: "p", Products: products}
	}
	fetch := func(w *world) {
		r, _ := http.NewRequest("GET", w.host.URL+"/oauth/v1/generate?grant_type=client_credentials", nil)
		r.SetBasicAuth("few", "secret")
		_, body := w.do(r)
		w.token = strings.Split(body, `"`)[3]
	}
	for _, test := range []struct {
		name string
		op   Operation
		do   func(*world)
		want string // empty means that the token is taken
	}{
		{"valid", Push, func(w *world) {}, ""},
		{"unknown to push", Push, func(w *world) { w.token = "nope" }, as404},
		{"unknown to query", Query, func(w *world) { w.token = "nope" }, as404},
		{"unknown to payouts", B2C, func(w *world) { w.token = "nope" }, as401},
		{"unknown to status", Status, func(w *world) { w.token = "nope" }, as400},
		{"voided by a new one", Push, func(w *world) { w.fetchToken() }, as404},
		{"kept beside a new one", Push, func(w *world) { w.KeepTokens = true; w.fetchToken() }, ""},
		{"a new one of another app", Push, func(w *world) {
			w.AddMerchant(only(Push))
			token := w.token
			fetch(w)
			w.token = token
		}, ""},
		{"voided elsewhere", Push, func(w *world) { w.VoidTokens("key") }, as404},
		{"about to expire", Push, func(w *world) { w.advance(3599 * time.Second) }, ""},
		{"expired", Push, func(w *world) { w.advance(3600 * time.Second) }, as404},
		{"without the product", B2C, func(w *world) { w.AddMerchant(only(Push)); fetch(w) }, none},
		{"without any product", Query, func(w *world) { w.AddMerchant(only([]Operation{}...)); fetch(w) }, none},
		{"with the product of queries", Query, func(w *world) { w.AddMerchant(only(Push)); fetch(w) }, ""},
		{"from before the product", B2C, func(w *world) {
			w.AddMerchant(only(Push))
			fetch(w)
			w.AddMerchant(only(Push, B2C))
		}, as401},
		{"from after the product", B2C, func(w *world) {
			w.AddMerchant(only(Push))
			w.AddMerchant(only(Push, B2C))
			fetch(w)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.do(w)
			status, body := w.do(w.newRequest(test.op, "{}"))
			got := itoa(status) + " " + refusal(body)
			if strings.HasPrefix(got, "400 400.002.02") { // the API saw it
				got = ""
			}
			if got != test.want {
				t.Errorf("= %q; want %q", got, test.want)
			}
		})
	}
	t.Run("no header", func(t *testing.T) {
		w := newWorld(t)
		r := w.newRequest(Push, "{}")
		r.Header.Del("Authorization")
		if status, body := w.do(r); status != 404 || refusal(body) != "404.001.04 Invalid Authentication Header" {
			t.Errorf("= %d %s", status, body)
		}
	})
}

// TestTwoHolders is of two processes with a cache of their own, which void each
// other's tokens.
func TestTwoHolders(t *testing.T) {
	w := newWorld(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var refused, taken int
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 20 {
				r := w.newRequest(Query, "{}")
				r.Header.Set("Authorization", "Bearer "+w.fetchToken())
				_, body := w.do(r)
				mu.Lock()
				switch got := refusal(body); {
				case got == "404.001.03 Invalid Access Token":
					refused++
				case strings.HasPrefix(got, "400.002.02"):
					taken++
				default:
					t.Errorf("= %s", got)
				}
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
	if refused+taken != 40 || taken == 0 {
		t.Errorf("%d refused, %d taken", refused, taken)
	}
	first, second := w.fetchToken(), w.fetchToken()
	for token, want := range map[string]int{first: 404, second: 400} {
		w.token = token
		if status, _ := w.do(w.newRequest(Push, "{}")); status != want {
			t.Errorf("= %d; want %d: the last token alone lives", status, want)
		}
	}
}

func TestNewKey(t *testing.T) {
	key, text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		t.Error("the certificate is of another key")
	}
	if certificate.NotAfter.After(time.Now()) {
		t.Error("the certificate has not expired")
	}
}
