package link

import (
	"crypto/aes"
	"crypto/cipher"
)

// TagBytes is the length of every tag. [ENV-5]
const TagBytes = 16

// KeyBytes of the algorithms by their names in the vectors.
var KeyBytes = map[string]int{"aes-128-gcm": 16, "aes-256-gcm": 32, "chacha20-poly1305": 32}

type sealing interface {
	seal(nonce, header, text []byte) []byte
	open(nonce, header, body []byte) ([]byte, bool)
}

// Aead is one key of an algorithm.
type Aead struct{ inner sealing }

func NewAead(name string, key []byte) (*Aead, error) {
	if len(key) != KeyBytes[name] {
		return nil, faultf("policy", "a key of %d bytes for %s", len(key), name)
	}
	if name == "chacha20-poly1305" {
		return &Aead{chachaPoly{key}}, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return &Aead{galois{gcm}}, err
}

func (a *Aead) Seal(nonce, header, text []byte) []byte { return a.inner.seal(nonce, header, text) }

func (a *Aead) Open(nonce, header, body []byte) ([]byte, error) {
	if len(body) < TagBytes {
		return nil, faultf("tag", "a body of %d bytes", len(body))
	}
	text, ok := a.inner.open(nonce, header, body)
	if !ok {
		return nil, faultf("aead", "the tag does not fit")
	}
	return text, nil
}

type galois struct{ gcm cipher.AEAD }

func (g galois) seal(nonce, header, text []byte) []byte { return g.gcm.Seal(nil, nonce, text, header) }

func (g galois) open(nonce, header, body []byte) ([]byte, bool) {
	text, err := g.gcm.Open(nil, nonce, body, header)
	return text, err == nil
}
