package secure

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"posthorn/verify/link"
)

const malformed = "SECURE_MALFORMED"

// Bucket is the length of the inner text that holds so many bytes; 0 when none does. [SEC-48]
func Bucket(length uint64) uint64 {
	for size := uint64(256); size <= 65_536; size *= 2 {
		if length <= size {
			return size
		}
	}
	return 0
}

func isBucket(length int) bool { return length > 0 && Bucket(uint64(length)) == uint64(length) }

// EncodeInner [SEC-48]
func EncodeInner(content, frankingKey []byte) ([]byte, error) {
	said := slices.Concat(frankingKey, lv32(content))
	size := Bucket(uint64(len(said)))
	if size == 0 {
		return nil, faultf("MESSAGE_TOO_LARGE", "too much content")
	}
	return append(said, make([]byte, int(size)-len(said))...), nil
}

// DecodeInner returns content and franking key. [SEC-48] [SEC-49]
func DecodeInner(inner []byte, isFranked bool) (content, frankingKey []byte, err error) {
	if !isBucket(len(inner)) {
		return nil, nil, faultf(malformed, "an inner text of %d bytes", len(inner))
	}
	begin := 0
	if isFranked {
		begin = 32
	}
	end := uint64(begin) + 4 + uint64(binary.BigEndian.Uint32(inner[begin:]))
	if end > uint64(len(inner)) {
		return nil, nil, faultf(malformed, "a content that is too long")
	}
	if slices.ContainsFunc(inner[end:], func(b byte) bool { return b != 0 }) {
		return nil, nil, faultf(malformed, "padding that is not zero")
	}
	return inner[begin+4 : end], inner[:begin], nil
}

// Header of a message. [SEC-45]
type Header struct {
	SessionID                          []byte
	Epoch, N, Pn                       uint64
	RatchetKey, Ciphertext, Commitment []byte
}

func (h *Header) Encode() []byte {
	var flags byte
	for at, part := range [][]byte{h.RatchetKey, h.Ciphertext, h.Commitment} {
		if len(part) > 0 {
			flags |= 1 << at
		}
	}
	return slices.Concat([]byte{1, 0x10, 0, flags}, h.SessionID, u32(h.Epoch), u32(h.N), u32(h.Pn),
		h.RatchetKey, h.Ciphertext, h.Commitment)
}

// ReadHeader [SEC-46] [SEC-47]
func ReadHeader(data []byte) (*Header, error) {
	if len(data) < 32 || data[0] != 1 || data[1] != 0x10 || data[2] != 0 {
		return nil, faultf(malformed, "another version, type or flag")
	}
	flags := data[3]
	if flags&^7 != 0 || flags&3 == 3 {
		return nil, faultf(malformed, "flags %d", flags)
	}
	number := func(at int) uint64 { return uint64(binary.BigEndian.Uint32(data[at:])) }
	h := &Header{SessionID: data[4:20], Epoch: number(20), N: number(24), Pn: number(28)}
	rest := data[32:]
	parts := []*[]byte{&h.RatchetKey, &h.Ciphertext, &h.Commitment}
	for at, length := range []int{1216, 1120, 32} {
		if flags&(1<<at) == 0 {
			continue
		}
		if len(rest) < length {
			return nil, faultf(malformed, "a header that is cut")
		}
		*parts[at], rest = rest[:length], rest[length:]
	}
	if len(rest) > 0 || h.Epoch == 0 || (h.Epoch == 1 && h.Pn != 0) {
		return nil, faultf(malformed, "a header that is longer, epoch 0, or pn in epoch 1")
	}
	return h, nil
}

// Parts of a message, as carried.
type Parts struct{ Header, Ciphertext, Tag []byte }

func (p Parts) Encode() []byte {
	length := binary.BigEndian.AppendUint16(nil, uint16(len(p.Header)))
	return slices.Concat(length, p.Header, lv32(p.Ciphertext), p.Tag)
}

// Split [SEC-44]
func Split(message []byte) (parts Parts, err error) {
	if len(message) < 2 {
		return parts, faultf(malformed, "cut")
	}
	at := 2 + int(binary.BigEndian.Uint16(message))
	if len(message) < at+4 {
		return parts, faultf(malformed, "cut")
	}
	length := int(binary.BigEndian.Uint32(message[at:]))
	if len(message) != at+4+length+32 || !isBucket(length-16) {
		return parts, faultf(malformed, "lengths that do not add up, or of no inner text")
	}
	return Parts{message[2:at], message[at+4 : at+4+length], message[at+4+length:]}, nil
}

// GcmOpen opens without looking at a TAG.
func (k SealingKeys) GcmOpen(header, ciphertext []byte) ([]byte, error) {
	aead, err := link.NewAead("aes-256-gcm", k.Enc)
	if err != nil {
		return nil, err
	}
	return aead.Open(k.Nonce, header, ciphertext)
}

// Open returns the inner text: the TAG first, then the AEAD. [SEC-50]
func (p Parts) Open(key []byte) ([]byte, error) {
	keys := NewSealingKeys(key)
	if !hmac.Equal(keys.Tag(p.Header, p.Ciphertext), p.Tag) {
		return nil, faultf("SECURE_TAG_INVALID", "the TAG")
	}
	inner, err := keys.GcmOpen(p.Header, p.Ciphertext)
	return inner, as("SECURE_TAG_INVALID", err)
}

// Seal [SEC-44]
func Seal(key, header, inner []byte) ([]byte, error) {
	keys := NewSealingKeys(key)
	aead, err := link.NewAead("aes-256-gcm", keys.Enc)
	if err != nil {
		return nil, err
	}
	ciphertext := aead.Seal(keys.Nonce, header, inner)
	return Parts{header, ciphertext, keys.Tag(header, ciphertext)}.Encode(), nil
}

// Commitment takes inner without the key. [SEC-72]
func Commitment(frankingKey, inner []byte) []byte { return link.Hmac(frankingKey, inner) }

// Stamp [SEC-74]
func Stamp(serviceKey, commitment, from, to []byte, timeMs uint64) []byte {
	text := slices.Concat([]byte("Posthorn franking stamp v1\x00"), commitment, from, to)
	return link.Hmac(serviceKey, binary.BigEndian.AppendUint64(text, timeMs))
}

var contentSchema = link.Schema{
	{Name: "sent_ms", Kind: "uint64"}, {Name: "lifetime_s", Kind: "uint32"},
	{Name: "text", Kind: "string"}, {Name: "custom", Kind: "bytes"},
	{Name: "nothing", Kind: "bytes"}, {Name: "close", Kind: "bytes"},
}

// ReadContent returns what kind it is, and what it holds. [SEC-68]
func ReadContent(content []byte) (kind string, value []byte, err error) {
	said, err := link.Decode(contentSchema, content)
	if err != nil {
		return "", nil, as(malformed, err)
	}
	for _, name := range []string{"text", "custom", "nothing", "close"} {
		if held, is := said.Bytes[name]; is {
			kind, value = name, held
		}
	}
	isEmpty := (kind == "text" || kind == "custom") && len(value) == 0
	if kind == "" || isEmpty || (kind == "text" && !utf8.Valid(value)) {
		return "", nil, faultf(malformed, "no content")
	}
	return kind, value, nil
}

// Empty is a content that says nothing (field 5), or closes (field 6).
func Empty(sentMs uint64, field byte) []byte {
	return append(binary.AppendUvarint([]byte{8}, sentMs), field<<3|2, 0)
}

func equal(a, b []byte) bool { return bytes.Equal(a, b) }
