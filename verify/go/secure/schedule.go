// Package secure is secure chat, chapters 12 and 13, written from those chapters with nothing but Go's standard library and
// what package link has of chapter 11.
package secure

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"

	"posthorn/verify/link"
)

// P is the label of all transcripts of a handshake.
const P = "phorn-sc-1"

func faultf(code, format string, args ...any) *link.Fault {
	return &link.Fault{Kind: code, Detail: fmt.Sprintf(format, args...)}
}

// need returns no error where something holds.
func need(holds bool, code, detail string) error {
	if holds {
		return nil
	}
	return faultf(code, "%s", detail)
}

// as gives the fault of a part the code that it has here.
func as(code string, err error) error {
	if fault, is := err.(*link.Fault); is {
		return faultf(code, "%v", fault)
	}
	return err
}

func Sha512(data []byte) []byte {
	sum := sha512.Sum512(data)
	return sum[:]
}

func Hmac512(key, data []byte) []byte {
	mac := hmac.New(sha512.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}

func lv8(data []byte) []byte { return slices.Concat([]byte{byte(len(data))}, data) }

func lv32(data []byte) []byte { return slices.Concat(u32(uint64(len(data))), data) }

func u32(number uint64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(number)) }

// TH hashes byte strings as they were carried. [SEC-1]
func TH(label string, items ...[]byte) []byte {
	text := lv8([]byte(label))
	for _, item := range items {
		text = append(text, lv32(item)...)
	}
	return Sha512(text)
}

// XL derives a secret for one purpose. [SEC-2]
func XL(secret []byte, label string, context []byte, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = slices.Concat(info, lv8([]byte("phorn1 "+label)), lv8(context))
	out, err := hkdf.Expand(sha512.New, secret, string(info), length)
	if err != nil {
		panic(err) // Only for lengths that nobody here asks for.
	}
	return out
}

func xl64(secret []byte, label string, context []byte) []byte { return XL(secret, label, context, 64) }

func extract(salt, secret []byte) []byte {
	out, err := hkdf.Extract(sha512.New, secret, salt)
	if err != nil {
		panic(err)
	}
	return out
}

func signedText(purpose string, hash []byte) []byte {
	contexts := map[string]string{
		"certificate": "Posthorn device certificate v1",
		"offer":       "Posthorn secure chat v1 offer",
		"accept":      "Posthorn secure chat v1 accept",
	}
	return link.SignedText(contexts[purpose], hash)
}

// DeviceFingerprint of a layout D. [SEC-4]
func DeviceFingerprint(device []byte) []byte { return TH(P+" device", device)[:32] }

// AccountFingerprint [SEC-5]
func AccountFingerprint(ed25519, mlDsa65 []byte) []byte {
	return TH(P+" account", ed25519, mlDsa65)[:32]
}

func confirmTag(root []byte, label string, transcript []byte) []byte {
	return Hmac512(xl64(root, label, transcript), transcript)[:32]
}

// Secrets by the names of chapter 12.
type Secrets map[string][]byte

// FirstSecrets takes offer and accept, each with its signature. [SEC-15]
func FirstSecrets(heard [4][]byte, z1 []byte) Secrets {
	th2s := TH(P, heard[:]...)
	rk0 := extract(th2s, z1)
	return Secrets{"z1": z1, "th2s": th2s, "rk0": rk0, "tag_r": confirmTag(rk0, "confirm r", th2s)}
}

// LastSecrets takes the same, the accept's tag, and the confirm. [SEC-15]
func LastSecrets(heard [4][]byte, tag, confirm, rk0, z2 []byte) Secrets {
	th3 := TH(P, append(heard[:], tag, confirm)...)
	rk1 := extract(xl64(rk0, "derived", th3), z2)
	return Secrets{"z2": z2, "th3": th3, "rk1": rk1, "tag_i": confirmTag(rk1, "confirm i", th3)}
}

// ChainStart [SEC-40]
func ChainStart(root []byte, direction string, epoch uint64) []byte {
	return xl64(root, "chain "+direction, u32(epoch))
}

func MessageKey(chain []byte, n uint64) []byte { return xl64(chain, "msg", u32(n)) }

func NextChain(chain []byte, n uint64) []byte { return xl64(chain, "next", u32(n)) }

// SealingKeys are what one message is sealed with. [SEC-40]
type SealingKeys struct{ Enc, Nonce, TagKey []byte }

func NewSealingKeys(key []byte) SealingKeys {
	return SealingKeys{XL(key, "enc", nil, 32), XL(key, "nonce", nil, 12), xl64(key, "tag", nil)}
}

// Tag [SEC-50]
func (k SealingKeys) Tag(header, ciphertext []byte) []byte {
	return Hmac512(k.TagKey, slices.Concat(lv32(header), lv32(ciphertext)))[:32]
}

// NextSalt is what is kept of a root for the epoch of this number.
func NextSalt(root []byte, epoch uint64) []byte { return xl64(root, "derived", u32(epoch)) }

func EpochTranscript(sessionID []byte, epoch uint64, key, ciphertext []byte) []byte {
	return TH(P+" epoch", sessionID, u32(epoch), key, ciphertext)
}

// NextRoot 13.4
func NextRoot(salt, secret, transcript []byte) []byte {
	return xl64(extract(salt, secret), "epoch", transcript)
}
