package daraja

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
)

// SecurityCredential encrypts an initiator's password for Safaricom: RSA with
// PKCS #1 v1.5, base64. key is Safaricom's certificate, in PEM or DER, or a public
// key in PEM. Dates are not looked at: the certificates in use expired in 2016
// (sandbox) and 2018 (production). One credential may be used again and again.
func SecurityCredential(password string, key []byte) (string, error) {
	if password == "" {
		return "", errors.New("security credential: the password is empty")
	}
	public, err := publicKey(key)
	if err != nil {
		return "", fmt.Errorf("security credential: %w", err)
	}
	encrypted, err := rsa.EncryptPKCS1v15(rand.Reader, public, []byte(password))
	if err != nil {
		return "", fmt.Errorf("security credential: %w", err)
	}
	return base64.StdEncoding.EncodeToString(encrypted), nil
}

// publicKey reads an RSA key in any of the forms that SecurityCredential takes.
func publicKey(key []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		block = &pem.Block{Type: "CERTIFICATE", Bytes: key} // DER
	}
	var public any
	var err error
	switch block.Type {
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	rsaKey, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("neither a certificate nor a public key with RSA")
	}
	return rsaKey, nil
}
