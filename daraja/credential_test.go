package daraja

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate returns a certificate of its own for a key, in DER. Like those that
// Safaricom's libraries carry it expired years ago.
func certificate(t *testing.T, public, private any) []byte {
	t.Helper()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "apicrypt.example"},
		NotBefore:    time.Date(2015, 11, 11, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2016, 11, 11, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestSecurityCredential has OpenSSL decrypt what was encrypted here. Without
// OpenSSL it fails: nothing else on the machine would know PKCS #1 v1.5 from OAEP.
func TestSecurityCredential(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "private.pem")
	if err := os.WriteFile(private, inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	decrypt := func(t *testing.T, credential string) string {
		t.Helper()
		encrypted, err := base64.StdEncoding.DecodeString(credential)
		if err != nil {
			t.Fatal(err)
		}
		openssl := exec.Command("openssl", "pkeyutl", "-decrypt", "-inkey", private, "-pkeyopt", "rsa_padding_mode:pkcs1")
		openssl.Stdin = bytes.NewReader(encrypted)
		var problem bytes.Buffer
		openssl.Stderr = &problem
		plain, err := openssl.Output()
		if err != nil {
			t.Fatalf("openssl: %v: %s", err, &problem)
		}
		return string(plain)
	}

	der := certificate(t, &key.PublicKey, key)
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	const password = "Nyoka#2026&%$ é"
	for name, given := range map[string][]byte{
		"certificate in PEM":                    inPEM("CERTIFICATE", der),
		"certificate in DER":                    der,
		"PEM with words before it":              append([]byte("Certificate:\n    Data: …\n"), inPEM("CERTIFICATE", der)...),
		"PEM with Windows' lines":               bytes.ReplaceAll(inPEM("CERTIFICATE", der), []byte("\n"), []byte("\r\n")),
		"public key":                            inPEM("PUBLIC KEY", pkix),
		"public key in PKCS #1":                 inPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)),
		"two certificates, one after the other": append(inPEM("CERTIFICATE", der), inPEM("CERTIFICATE", []byte("not read"))...),
	} {
		t.Run(name, func(t *testing.T) {
			credential, err := SecurityCredential(password, given)
			if err != nil {
				t.Fatal(err)
			}
			if len(credential) != 344 { // as Safaricom's portal makes it
				t.Errorf("%d characters, want 344", len(credential))
			}
			if got := decrypt(t, credential); got != password {
				t.Errorf("OpenSSL reads %q, want %q", got, password)
			}
		})
	}
}

func TestNoSecurityCredential(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curvePublic, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := inPEM("CERTIFICATE", certificate(t, &key.PublicKey, key))
	const password = "Nyoka#2026"
	for name, e := range map[string]struct {
		password string
		key      []byte
	}{
		"no password":                {"", good},
		"a password too long":        {strings.Repeat("x", 2048/8-10), good},
		"nothing":                    {password, nil},
		"text":                       {password, []byte("apicrypt.example")},
		"half a certificate":         {password, good[:len(good)/2]},
		"PEM of what is none":        {password, inPEM("CERTIFICATE", []byte("none"))},
		"a broken public key":        {password, inPEM("PUBLIC KEY", []byte("none"))},
		"a broken PKCS #1 key":       {password, inPEM("RSA PUBLIC KEY", []byte("none"))},
		"a private key":              {password, inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))},
		"a certificate with a curve": {password, inPEM("CERTIFICATE", certificate(t, &curve.PublicKey, curve))},
		"a curve's public key":       {password, inPEM("PUBLIC KEY", curvePublic)},
	} {
		t.Run(name, func(t *testing.T) {
			credential, err := SecurityCredential(e.password, e.key)
			if err == nil || credential != "" {
				t.Fatalf("%q, %v, want an error", credential, err)
			}
			if !strings.HasPrefix(err.Error(), "security credential: ") || e.password != "" && strings.Contains(err.Error(), e.password) {
				t.Errorf("the error is %q", err)
			}
		})
	}
}
