package fakesafaricom

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Merchant is a shortcode with the app at Safaricom that it belongs to.
// Merchants with the same consumer key are shortcodes of one app.
type Merchant struct {
	Name           string // what a prompt shows
	ConsumerKey    string
	ConsumerSecret string
	Products       []Operation // of Push (with its queries), B2C and Status; nil means all
	Shortcode      string      // pay bill, a till's store, or the account of payouts
	Passkey        string      // of pushes
	Till           string      // of buy goods; without it the merchant has a pay bill

	Initiator         string // of payouts and their status
	InitiatorPassword string
	Key               *rsa.PrivateKey // decrypts the SecurityCredential; of 2048 bits
	Float             int64           // whole shillings that can be paid out: the Utility account
}

type merchant struct {
	Merchant
	collected int64
	wrong     int // passwords in a row
}

// lockedAfter is how many wrong passwords lock an initiator. That they do is
// documented, their number is not known.
const lockedAfter = 3

// AddMerchant adds a merchant, or changes the one with this shortcode, whose
// initiator it unlocks. Its transactions, what it has collected and its tokens stay.
func (s *Safaricom) AddMerchant(m Merchant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.merchants[m.Shortcode] == nil {
		s.merchants[m.Shortcode] = &merchant{}
	}
	s.merchants[m.Shortcode].Merchant, s.merchants[m.Shortcode].wrong = m, 0
}

// NewKey returns a key for a [Merchant] and the certificate of its public half as
// PEM. The certificate has expired, as those in circulation have (observed: in
// 2016 and 2018).
func NewKey() (*rsa.PrivateKey, string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "fake.invalid"},
		NotBefore:    time.Date(2017, 3, 21, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2018, 3, 21, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, "", err
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// tokenLife is how long a token lives (documented).
const tokenLife = 3600 * time.Second

type token struct {
	key      string // the app's consumer key
	until    time.Time
	products []Operation // the app's when it was issued
}

// oauth issues a token. It needs the lock.
func (s *Safaricom) oauth(r request) reply {
	if r.Method != http.MethodGet {
		return s.refuse(http.StatusMethodNotAllowed, "405.001", "Method Not Allowed") // documented
	}
	key, secret, basic := r.BasicAuth()
	if !basic {
		return s.refuse(http.StatusBadRequest, "400.008.01", "Invalid authentication type passed") // documented
	}
	if r.URL.Query().Get("grant_type") != "client_credentials" {
		return s.refuse(http.StatusBadRequest, "400.008.02", "Invalid grant type passed") // documented
	}
	if !s.knows(key, secret) {
		return empty(http.StatusBadRequest) // observed: sandbox keys in production
	}
	if !s.KeepTokens {
		s.voidTokens(key) // documented: each request invalidates the previous token
	}
	n := s.next()
	text := digest(key, secret, n)[:28] // 28 characters: observed
	s.tokens[text] = &token{key: key, until: s.Now().Add(tokenLife), products: s.products(key)}
	life := "3599" // documented as a number, observed as text
	if coin("expires", n) {
		life = `"3599"`
	}
	return jsonReply(http.StatusOK, fmt.Sprintf(`{"access_token": %q,"expires_in": %s}`, text, life))
}

// VoidTokens ends every token of an app at once, as one does that another process
// fetched.
func (s *Safaricom) VoidTokens(consumerKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.voidTokens(consumerKey)
}

func (s *Safaricom) voidTokens(key string) {
	for text, t := range s.tokens {
		if t.key == key {
			delete(s.tokens, text)
		}
	}
}

func (s *Safaricom) knows(key, secret string) bool {
	for _, m := range s.merchants {
		if m.ConsumerKey == key && m.ConsumerSecret == secret {
			return true
		}
	}
	return false
}

// products returns those of an app: all that its shortcodes have.
func (s *Safaricom) products(key string) []Operation {
	var products []Operation
	for _, m := range s.merchants {
		switch {
		case m.ConsumerKey != key:
		case m.Products == nil:
			return []Operation{Push, B2C, Status}
		default:
			products = append(products, m.Products...)
		}
	}
	return products
}

// admit is what the gateway does with a call before the API behind it sees it. It
// returns the consumer key, or an answer that refuses.
func (s *Safaricom) admit(r request) (key string, refusal *reply) {
	refuse := func(answer reply) (string, *reply) { return "", &answer }
	if r.Method != http.MethodPost {
		return refuse(s.refuse(http.StatusMethodNotAllowed, "405.001", "Method Not Allowed")) // documented
	}
	text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		return refuse(s.refuse(http.StatusNotFound, "404.001.04", "Invalid Authentication Header")) // documented
	}
	t := s.tokens[text]
	if t == nil || !s.Now().Before(t.until) {
		return refuse(s.invalidToken(r.op))
	}
	product := r.op
	if product == Query {
		product = Push
	}
	if !slices.Contains(s.products(t.key), product) {
		return refuse(noProduct())
	}
	if !slices.Contains(t.products, product) {
		// Observed: a token carries the products that the app had when it was
		// issued, and one from before is refused as invalid, with 401.
		return refuse(tokenFault())
	}
	if last, before := s.lastQuery[t.key]; r.op == Query {
		if before && s.Now().Sub(last) < s.QuerySpacing {
			return refuse(spikeArrest())
		}
		s.lastQuery[t.key] = s.Now()
	}
	return t.key, nil
}

// invalidToken refuses a token with the face that is known of each API:
// 404.001.03 for pushes and queries, 400.003.01 for Transaction Status and 401
// for payouts (documented).
func (s *Safaricom) invalidToken(op Operation) reply {
	switch op {
	case Status:
		return s.refuse(http.StatusBadRequest, "400.003.01", "Invalid Access Token")
	case B2C:
		return tokenFault()
	default:
		return s.refuse(http.StatusNotFound, "404.001.03", "Invalid Access Token")
	}
}

func tokenFault() reply {
	return gatewayFault(http.StatusUnauthorized, "Invalid Access Token", "keymanagement.service.invalid_access_token")
}

// noProduct is a gateway's answer to an app without the API's product (observed).
func noProduct() reply {
	return gatewayFault(http.StatusUnauthorized, "Invalid API call as no apiproduct match found",
		"keymanagement.service.InvalidAPICallAsNoApiProductMatchFound")
}

// enter admits a call and reads its fields. It needs the lock.
func (s *Safaricom) enter(r request, rules []rule) (key string, f fields, refusal *reply) {
	refuse := func(answer reply) (string, fields, *reply) { return "", nil, &answer }
	if key, refusal = s.admit(r); refusal != nil {
		return "", nil, refusal
	}
	f, wrong := readFields(r.body, rules)
	header := r.Header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(header); err != nil || t != "application/json" {
		// Of a push or a query a missing content type makes the Timestamp invalid
		// (observed) and another the first field (documented). Of the rest nothing
		// is known.
		wrong = rules[0].name
		if header == "" && (r.op == Push || r.op == Query) {
			wrong = "Timestamp"
		}
	}
	if wrong != "" {
		return refuse(s.invalid(wrong))
	}
	// These broke requests in text (observed once, with this fault in the same
	// thread).
	if strings.ContainsAny(f["AccountReference"]+f["TransactionDesc"]+f["Remarks"]+f["Occassion"]+f["Occasion"], "@#&") {
		return refuse(envelopeFault())
	}
	return key, f, nil
}
