package link

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/rand"
	"crypto/sha3"
	"slices"
)

// X-Wing of draft-connolly-cfrg-xwing-kem-10, put together from its parts. [ENV-25]

const (
	kemKeyBytes  = mlkem.EncapsulationKeySize768
	kemTextBytes = mlkem.CiphertextSize768
	pointBytes   = 32
)

// XWingKey is a key pair from its seed of 32 bytes.
type XWingKey struct {
	kem    *mlkem.DecapsulationKey768
	curve  *ecdh.PrivateKey
	Public []byte
}

func NewXWingKey(seed []byte) (*XWingKey, error) {
	expanded := sha3.SumSHAKE256(seed, 96)
	kem, err := mlkem.NewDecapsulationKey768(expanded[:64])
	if err != nil {
		return nil, err
	}
	curve, err := ecdh.X25519().NewPrivateKey(expanded[64:])
	if err != nil {
		return nil, err
	}
	public := slices.Concat(kem.EncapsulationKey().Bytes(), curve.PublicKey().Bytes())
	return &XWingKey{kem, curve, public}, nil
}

func (k *XWingKey) Decapsulate(ciphertext []byte) ([]byte, error) {
	if len(ciphertext) != kemTextBytes+pointBytes {
		return nil, faultf("kem", "an X-Wing ciphertext of %d bytes", len(ciphertext))
	}
	theirs := ciphertext[kemTextBytes:]
	kemSecret, err := k.kem.Decapsulate(ciphertext[:kemTextBytes])
	if err != nil {
		return nil, faultf("kem", "%v", err)
	}
	curveSecret, err := agree(k.curve, theirs)
	if err != nil {
		return nil, err
	}
	return combine(kemSecret, curveSecret, theirs, k.curve.PublicKey().Bytes()), nil
}

func combine(kemSecret, curveSecret, curveText, curveKey []byte) []byte {
	label := []byte(`\.//^\`)
	sum := sha3.Sum256(slices.Concat(kemSecret, curveSecret, curveText, curveKey, label))
	return sum[:]
}

// agree fails for points of low order: the library does, and the chapter asks for it.
func agree(private *ecdh.PrivateKey, point []byte) ([]byte, error) {
	public, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return nil, faultf("kem", "%v", err)
	}
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, faultf("kem", "%v", err)
	}
	return secret, nil
}

// XWingEncapsulate takes 64 bytes of randomness: nil draws them.
func XWingEncapsulate(public, randomness []byte) (ciphertext, secret []byte, err error) {
	if randomness == nil {
		randomness = make([]byte, 64)
		rand.Read(randomness)
	}
	if len(public) != kemKeyBytes+pointBytes {
		return nil, nil, faultf("kem", "an X-Wing key of %d bytes", len(public))
	}
	key, err := mlkem.NewEncapsulationKey768(public[:kemKeyBytes])
	if err != nil {
		return nil, nil, faultf("kem", "%v", err)
	}
	kemSecret, kemText, err := mlkemtest.Encapsulate768(key, randomness[:32])
	if err != nil {
		return nil, nil, err
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(randomness[32:])
	if err != nil {
		return nil, nil, err
	}
	point := public[kemKeyBytes:]
	curveSecret, err := agree(ephemeral, point)
	if err != nil {
		return nil, nil, err
	}
	curveText := ephemeral.PublicKey().Bytes()
	return slices.Concat(kemText, curveText), combine(kemSecret, curveSecret, curveText, point), nil
}
