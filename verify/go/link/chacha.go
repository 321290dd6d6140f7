package link

import (
	"crypto/subtle"
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
)

// ChaCha20-Poly1305 of RFC 8439. Go has it inside crypto/tls only, so it is written out here: for judging vectors and for
// tests, not in constant time.

func quarter(s *[16]uint32, a, b, c, d int) {
	s[a] += s[b]
	s[d] = bits.RotateLeft32(s[d]^s[a], 16)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], 12)
	s[a] += s[b]
	s[d] = bits.RotateLeft32(s[d]^s[a], 8)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], 7)
}

// RFC 8439 §2.3.
func chachaBlock(key, nonce []byte, counter uint32) []byte {
	start := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	for i := range 8 {
		start[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	start[12] = counter
	for i := range 3 {
		start[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	s := start
	for range 10 {
		for i := range 4 {
			quarter(&s, i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(&s, i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	var out []byte
	for i := range s {
		out = binary.LittleEndian.AppendUint32(out, s[i]+start[i])
	}
	return out
}

func chachaXor(key, nonce, text []byte) []byte {
	out := slices.Clone(text)
	for at := 0; at < len(out); at += 64 {
		block := chachaBlock(key, nonce, uint32(1+at/64))
		end := min(at+64, len(out))
		subtle.XORBytes(out[at:end], out[at:end], block)
	}
	return out
}

// littleEndian reads a number whose lowest byte is the first.
func littleEndian(data []byte) *big.Int {
	reversed := slices.Clone(data)
	slices.Reverse(reversed)
	return new(big.Int).SetBytes(reversed)
}

func hexInt(text string) *big.Int {
	number, _ := new(big.Int).SetString(text, 16)
	return number
}

var (
	polyPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	polyClamp = hexInt("0ffffffc0ffffffc0ffffffc0fffffff")
)

// RFC 8439 §2.5.
func poly1305(key, message []byte) []byte {
	r := new(big.Int).And(littleEndian(key[:16]), polyClamp)
	sum := new(big.Int)
	for chunk := range slices.Chunk(message, 16) {
		sum.Add(sum, littleEndian(append(slices.Clone(chunk), 1)))
		sum.Mod(sum.Mul(sum, r), polyPrime)
	}
	sum.Add(sum, littleEndian(key[16:]))
	padded := make([]byte, 32)
	sum.FillBytes(padded)
	slices.Reverse(padded)
	return padded[:16]
}

func pad16(data []byte) []byte { return append(slices.Clone(data), make([]byte, -len(data)&15)...) }

// RFC 8439 §2.8.
func chachaTag(key, nonce, header, ciphertext []byte) []byte {
	oneTime := chachaBlock(key, nonce, 0)[:32]
	message := slices.Concat(pad16(header), pad16(ciphertext))
	message = binary.LittleEndian.AppendUint64(message, uint64(len(header)))
	message = binary.LittleEndian.AppendUint64(message, uint64(len(ciphertext)))
	return poly1305(oneTime, message)
}

type chachaPoly struct{ key []byte }

func (c chachaPoly) seal(nonce, header, text []byte) []byte {
	ciphertext := chachaXor(c.key, nonce, text)
	return append(ciphertext, chachaTag(c.key, nonce, header, ciphertext)...)
}

func (c chachaPoly) open(nonce, header, body []byte) ([]byte, bool) {
	at := len(body) - TagBytes
	if subtle.ConstantTimeCompare(chachaTag(c.key, nonce, header, body[:at]), body[at:]) != 1 {
		return nil, false
	}
	return chachaXor(c.key, nonce, body[:at]), true
}
