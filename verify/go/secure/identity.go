package secure

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"posthorn/verify/link"
)

const (
	mlDsaKeyBytes  = 1952
	SignatureBytes = 64 + 3309
	skewMs         = 300_000
)

var (
	userID   = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\z`)
	deviceID = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)
)

// Keys of who signs.
type Keys struct{ Ed25519, MlDsa65 []byte }

// Device in its parts. [SEC-3]
type Device struct {
	UserID, DeviceID string
	Keys
}

// ReadDevice takes the layout D apart, or returns nil. [SEC-3]
func ReadDevice(data []byte) *Device {
	if len(data) == 0 || data[0] != 1 {
		return nil
	}
	rest := data[1:]
	var names []string
	for _, form := range []*regexp.Regexp{userID, deviceID} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) || !form.Match(rest[1:1+int(rest[0])]) {
			return nil
		}
		end := 1 + int(rest[0])
		names = append(names, string(rest[1:end]))
		rest = rest[end:]
	}
	if len(rest) != 32+mlDsaKeyBytes || !link.IsSoundPoint(rest[:32]) {
		return nil
	}
	return &Device{names[0], names[1], Keys{rest[:32], rest[32:]}}
}

// Encode writes the layout D. [SEC-3]
func (d *Device) Encode() []byte {
	return slices.Concat([]byte{1}, lv8([]byte(d.UserID)), lv8([]byte(d.DeviceID)), d.Ed25519, d.MlDsa65)
}

// Unchecked counts the ML-DSA-65 halves of signatures that nobody could look at; Ed25519's were right.
var Unchecked int

// Verify looks at the Ed25519 half of a composite signature: before Go 1.27 there is no ML-DSA-65. [SEC-6]
func (k Keys) Verify(purpose string, hash, signature []byte) error {
	const code = "SECURE_SIGNATURE_INVALID"
	if len(signature) != SignatureBytes {
		return faultf(code, "a signature of %d bytes", len(signature))
	}
	if err := link.Ed25519Verify(k.Ed25519, signedText(purpose, hash), signature[:64]); err != nil {
		return as(code, err)
	}
	Unchecked++
	return nil
}

var certificateCore = link.Schema{{Name: "device", Kind: "bytes"}, {Name: "created_ms", Kind: "uint64"}, {Name: "expires_ms", Kind: "uint64"}}

// Certified is what a certificate says.
type Certified struct {
	*Device
	Fingerprint          []byte
	CreatedMs, ExpiresMs uint64
}

// ReadCertificate [SEC-8] [SEC-9]
func ReadCertificate(core, signature []byte, account Keys, user string, nowMs uint64) (*Certified, error) {
	const code = "CERTIFICATE_INVALID"
	said, err := link.Decode(certificateCore, core)
	if err != nil {
		return nil, as(code, err)
	}
	created, expires := said.Numbers["created_ms"], said.Numbers["expires_ms"]
	device := ReadDevice(said.Bytes["device"])
	switch {
	case device == nil:
		return nil, faultf(code, "what it certifies is no device")
	case created == 0 || (expires != 0 && expires <= created):
		return nil, faultf(code, "its times")
	case device.UserID != user:
		return nil, faultf(code, "a device of somebody else")
	case created > nowMs+skewMs:
		return nil, faultf(code, "not in force yet")
	case expires != 0 && expires+skewMs < nowMs:
		return nil, faultf("SECURE_EXPIRED", "expired")
	}
	if err := account.Verify("certificate", TH(P, core), signature); err != nil {
		return nil, as(code, err)
	}
	return &Certified{device, DeviceFingerprint(said.Bytes["device"]), created, expires}, nil
}

// Person is whom one compares with.
type Person struct {
	UserID string
	Keys
}

func (p Person) groups() string {
	keys := slices.Concat(p.Ed25519, p.MlDsa65)
	hash := Sha512(slices.Concat([]byte{0, 1}, keys, []byte(p.UserID), keys))
	for range 5199 {
		hash = Sha512(slices.Concat(hash, keys))
	}
	var groups []string
	for at := 0; at < 30; at += 5 {
		number := binary.BigEndian.Uint64(slices.Concat(make([]byte, 3), hash[at:at+5]))
		groups = append(groups, fmt.Sprintf("%05d", number%100_000))
	}
	return strings.Join(groups, " ")
}

// SafetyNumber [SEC-12]
func SafetyNumber(a, b Person) string {
	sides := []string{a.groups(), b.groups()}
	slices.Sort(sides)
	return strings.Join(sides, " ")
}

func (p Person) side() []byte {
	return slices.Concat(lv8([]byte(p.UserID)), AccountFingerprint(p.Ed25519, p.MlDsa65))
}

// SafetyCode [SEC-13]
func SafetyCode(own, peer Person) []byte { return slices.Concat([]byte{1}, own.side(), peer.side()) }

func readSide(data []byte) (user, fingerprint, rest []byte) {
	if len(data) == 0 || len(data) < 33+int(data[0]) || !userID.Match(data[1:1+int(data[0])]) {
		return nil, nil, nil
	}
	end := 1 + int(data[0])
	return data[1:end], data[end : end+32], data[end+32:]
}

// JudgeCode [SEC-13]
func JudgeCode(scanned []byte, own, peer Person) string {
	if len(scanned) == 0 || scanned[0] != 1 {
		return "unreadable"
	}
	theirs, theirPrint, rest := readSide(scanned[1:])
	mine, ownPrint, rest := readSide(rest)
	switch {
	case mine == nil || len(rest) > 0:
		return "unreadable"
	case string(theirs) != peer.UserID || string(mine) != own.UserID:
		return "other-people"
	case bytes.Equal(slices.Concat(theirPrint, ownPrint), slices.Concat(peer.side()[1+len(theirs):], own.side()[1+len(mine):])):
		return "same"
	}
	return "different"
}

// Sign makes the Ed25519 half. [SEC-6]
func Sign(seed []byte, purpose string, hash []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(seed), signedText(purpose, hash))
}

func Ed25519Public(seed []byte) []byte {
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}
