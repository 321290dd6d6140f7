package link

import (
	"crypto/ed25519"
	"math/big"
	"slices"
)

const mlDsa65SignatureBytes = 3309

var (
	fieldPrime = hexInt("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed")
	groupOrder = hexInt("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")
	edwardsD   = hexInt("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")
	smallY     = smallOrderY()
)

// smallOrderY finds the y of the points of order 1, 2, 4 and 8: the neutral point has y = 1, that of order 2 y = -1, those of
// order 4 y = 0. A point of order 8 doubles to one of order 4, so x² = -y², and the curve then says d·y⁴ + 2·y² - 1 = 0.
func smallOrderY() []*big.Int {
	p := fieldPrime
	one := big.NewInt(1)
	found := []*big.Int{big.NewInt(0), one, new(big.Int).Sub(p, one)}
	root := new(big.Int).ModSqrt(new(big.Int).Add(edwardsD, one), p)
	inverse := new(big.Int).ModInverse(edwardsD, p)
	for _, sign := range []int64{1, -1} {
		square := new(big.Int).Mul(root, big.NewInt(sign))
		square.Mod(square.Mul(square.Sub(square, one), inverse), p)
		if y := new(big.Int).ModSqrt(square, p); y != nil {
			found = append(found, y, new(big.Int).Sub(p, y))
		}
	}
	return found
}

// IsSoundPoint: in its one form and not of small order. [ENV-31]
func IsSoundPoint(encoded []byte) bool {
	y := littleEndian(encoded)
	y.SetBit(y, 255, 0)
	isSmall := slices.ContainsFunc(smallY, func(small *big.Int) bool { return small.Cmp(y) == 0 })
	return y.Cmp(fieldPrime) < 0 && !isSmall
}

// Ed25519Verify is RFC 8032 with the refusals of [ENV-31].
func Ed25519Verify(key, text, signature []byte) error {
	if len(key) != 32 || len(signature) != 64 {
		return faultf("signature", "a wrong length")
	}
	if !IsSoundPoint(key) || !IsSoundPoint(signature[:32]) {
		return faultf("signature", "a point of small order, or not in its one form")
	}
	if littleEndian(signature[32:]).Cmp(groupOrder) >= 0 {
		return faultf("signature", "S is not below the order")
	}
	if !ed25519.Verify(key, text, signature) {
		return faultf("signature", "Ed25519 refuses it")
	}
	return nil
}

// Identity is the public half of a service's identity; MlDsa65 is empty where there is none.
type Identity struct{ Ed25519, MlDsa65 []byte }

// Verify: the algorithm follows from the keys, and every signature has to be right. [ENV-30]
func (id Identity) Verify(algorithm uint64, text, signature []byte) error {
	wanted, length := uint64(1), 64
	if len(id.MlDsa65) > 0 {
		wanted, length = 2, 64+mlDsa65SignatureBytes
	}
	if algorithm != wanted {
		return faultf("signature", "algorithm %d does not belong to these keys", algorithm)
	}
	if len(signature) != length {
		return faultf("signature", "a signature of %d bytes", len(signature))
	}
	if err := Ed25519Verify(id.Ed25519, text, signature[:64]); err != nil {
		return err
	}
	if wanted == 2 {
		return MlDsa65
	}
	return nil
}
