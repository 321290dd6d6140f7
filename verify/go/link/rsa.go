package link

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
)

const oaepLabel = "posthorn/link/v1/rsa-oaep"

// RsaKey is the key pair of an offer. [ENV-21]
type RsaKey struct {
	private *rsa.PrivateKey
	Public  []byte
}

func NewRsaKey(pkcs8 []byte) (*RsaKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, faultf("policy", "not an RSA key")
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	return &RsaKey{private, public}, err
}

func (k *RsaKey) Size() int { return k.private.Size() }

// Decrypt returns the secret, or the fault that nobody may be shown. [ENV-22] [ENV-24]
func (k *RsaKey) Decrypt(ciphertext []byte) ([]byte, error) {
	// One hash for both uses: the library's MGF1 takes it too.
	secret, err := rsa.DecryptOAEP(sha256.New(), nil, k.private, ciphertext, []byte(oaepLabel))
	if err != nil {
		return nil, faultf("kem", "OAEP refuses the ciphertext")
	}
	if len(secret) != 32 {
		return nil, faultf("kem", "a secret of %d bytes", len(secret))
	}
	return secret, nil
}

// RsaJudge takes a key apart with the library, checks the numbers, and has the library encode it again: there is one
// encoding. [ENV-21]
func RsaJudge(spki []byte) error {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return faultf("policy", "not a SubjectPublicKeyInfo")
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return faultf("policy", "not an RSA key")
	}
	size := key.N.BitLen()
	if (size != 2048 && size != 3072 && size != 4096) || key.N.Bit(0) == 0 {
		return faultf("policy", "a modulus of %d bits", size)
	}
	if key.E != 65537 {
		return faultf("policy", "the exponent %d", key.E)
	}
	again, err := x509.MarshalPKIXPublicKey(key)
	if err != nil || !bytes.Equal(again, spki) {
		return faultf("policy", "another encoding of the key")
	}
	return nil
}
