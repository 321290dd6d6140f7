package link

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Types of records. [ENV-3]
const (
	TypeClientHello    = 1
	TypeServerHello    = 2
	TypeClientFinished = 3
	TypeSealed         = 4
	TypeAlert          = 5

	HeaderBytes = 16
	clearMax    = 8192
	innerMax    = 16_640
	seqMax      = 1<<53 - 1
	epochMax    = 65_535
	hardStop    = 4
)

// Contents are the types of sealed content, from 1. [ENV-8]
var Contents = []string{"frames", "key_update", "ticket", "alert", "close"}

// Header is what the first 16 bytes of a record say.
type Header struct {
	Type   byte
	Epoch  uint16
	Seq    uint64
	Length uint32
}

func (h Header) Encode() []byte {
	out := []byte{h.Type, 1}
	out = binary.BigEndian.AppendUint16(out, h.Epoch)
	out = binary.BigEndian.AppendUint64(out, h.Seq)
	return binary.BigEndian.AppendUint32(out, h.Length)
}

// DecodeHeader judges 16 bytes. [ENV-3] [ENV-4]
func DecodeHeader(data []byte) (Header, error) {
	h := Header{
		Type:   data[0],
		Epoch:  binary.BigEndian.Uint16(data[2:]),
		Seq:    binary.BigEndian.Uint64(data[4:]),
		Length: binary.BigEndian.Uint32(data[12:]),
	}
	isSealed := h.Type == TypeSealed
	most := uint32(clearMax)
	if isSealed {
		most = innerMax + TagBytes
	}
	switch {
	case h.Type < TypeClientHello || h.Type > TypeAlert:
		return h, faultf("parse", "a record of type %d", h.Type)
	case data[1] != 1:
		return h, faultf("parse", "a record of version %d", data[1])
	case h.Seq > seqMax:
		return h, faultf("parse", "record %d", h.Seq)
	case isSealed && h.Epoch == 0:
		return h, faultf("parse", "a sealed record of epoch 0")
	case !isSealed && (h.Epoch != 0 || h.Seq != 0):
		return h, faultf("parse", "a clear record %d of epoch %d", h.Seq, h.Epoch)
	case h.Length > most:
		return h, faultf("parse", "a body of %d bytes", h.Length)
	}
	return h, nil
}

// ClearRecord is a whole record that is not sealed.
func ClearRecord(kind byte, body []byte) []byte {
	return append(Header{Type: kind, Length: uint32(len(body))}.Encode(), body...)
}

// Split returns whole records of a stream, the fault behind them if there is one, and what is left.
func Split(stream []byte) (records [][]byte, fault error, rest []byte) {
	for len(stream) >= HeaderBytes {
		header, err := DecodeHeader(stream)
		if err != nil {
			return records, err, stream
		}
		end := HeaderBytes + int(header.Length)
		if end > len(stream) {
			break
		}
		records = append(records, stream[:end])
		stream = stream[end:]
	}
	return records, nil, stream
}

func roundUp(value, step int) int { return (value + step - 1) / step * step }

// Padded is the length of content with its type and its padding. [ENV-9]
func Padded(contentBytes int) int {
	length := contentBytes + 1
	if length <= 1024 {
		return roundUp(length, 64)
	}
	e := bits.Len(uint(length)) - 1
	s := bits.Len(uint(e))
	return min(roundUp(length, 1<<(e-s)), innerMax)
}

// EncodeInner adds type and padding to content.
func EncodeInner(kind string, content []byte) []byte {
	inner := make([]byte, Padded(len(content)))
	copy(inner, content)
	inner[len(content)] = byte(slices.Index(Contents, kind) + 1)
	return inner
}

// DecodeInner finds type and content. [ENV-8]
func DecodeInner(inner []byte) (kind string, content []byte, err error) {
	at := len(inner) - 1
	for at >= 0 && inner[at] == 0 {
		at--
	}
	if at < 0 {
		return "", nil, faultf("padding", "no content type")
	}
	if int(inner[at]) > len(Contents) {
		return "", nil, faultf("parse", "content of type %d", inner[at])
	}
	return Contents[inner[at]-1], inner[:at], nil
}

// NonceOf is the iv with the record's number in its last eight bytes. [ENV-5]
func NonceOf(iv []byte, seq uint64) []byte {
	nonce := slices.Clone(iv)
	number := binary.BigEndian.AppendUint64(make([]byte, 4), seq)
	for at := range nonce {
		nonce[at] ^= number[at]
	}
	return nonce
}

// Limits of one key. [ENV-37]
type Limits struct{ Records, Bytes uint64 }

// Direction is the key of one direction and how far it is. It seals, or opens in order.
type Direction struct {
	name    string
	secret  []byte
	limits  Limits
	aead    *Aead
	Key, Iv []byte
	Epoch   uint16
	Seq     uint64
	bytes   uint64
}

func NewDirection(name string, secret []byte, limits Limits) *Direction {
	d := &Direction{name: name, secret: secret, limits: limits, Epoch: 1}
	d.begin()
	return d
}

func (d *Direction) begin() {
	d.Key = XL(d.secret, "key", nil, KeyBytes[d.name])
	d.Iv = XL(d.secret, "iv", nil, 12)
	d.aead, _ = NewAead(d.name, d.Key) // The length is right.
	d.Seq, d.bytes = 0, 0
}

// Update goes to the next epoch. [ENV-39] [ENV-40]
func (d *Direction) Update() error {
	if d.Epoch == epochMax {
		return faultf("policy", "epochs do not wrap")
	}
	d.secret = xl32(d.secret, "traffic upd", nil)
	d.Epoch++
	d.begin()
	return nil
}

// Seal writes one record; a key update is followed by the next key.
func (d *Direction) Seal(kind string, content []byte) ([]byte, error) {
	inner := EncodeInner(kind, content)
	length := uint32(len(inner) + TagBytes)
	header := Header{TypeSealed, d.Epoch, d.Seq, length}.Encode()
	body := d.aead.Seal(NonceOf(d.Iv, d.Seq), header, inner)
	d.used(len(inner))
	if kind == "key_update" {
		if err := d.Update(); err != nil {
			return nil, err
		}
	}
	return append(header, body...), nil
}

// HasRoom says whether content fits, and the key update behind it. [ENV-37]
func (d *Direction) HasRoom(contentBytes int) bool {
	needed := uint64(Padded(contentBytes) + Padded(2))
	return d.Seq+2 <= d.limits.Records && d.bytes+needed <= d.limits.Bytes
}

// Open takes the one record that may come now. [ENV-6] [ENV-38]
func (d *Direction) Open(record []byte) (kind string, content []byte, err error) {
	h, err := DecodeHeader(record)
	if err != nil {
		return "", nil, err
	}
	body := record[HeaderBytes:]
	innerBytes := uint64(max(0, len(body)-TagBytes))
	switch {
	case h.Type != TypeSealed:
		return "", nil, faultf("order", "a clear record among sealed ones")
	case h.Epoch != d.Epoch:
		return "", nil, faultf("order", "epoch %d, not %d", h.Epoch, d.Epoch)
	case h.Seq < d.Seq:
		return "", nil, faultf("replay", "record %d, not %d", h.Seq, d.Seq)
	case h.Seq > d.Seq:
		return "", nil, faultf("order", "record %d, not %d", h.Seq, d.Seq)
	case d.Seq >= hardStop*d.limits.Records || d.bytes+innerBytes > hardStop*d.limits.Bytes:
		return "", nil, faultf("policy", "the key is used up")
	}
	inner, err := d.aead.Open(NonceOf(d.Iv, d.Seq), record[:HeaderBytes], body)
	if err != nil {
		return "", nil, err
	}
	d.used(len(inner))
	kind, content, err = DecodeInner(inner)
	if err == nil && kind == "key_update" {
		err = d.Update()
	}
	return kind, content, err
}

func (d *Direction) used(innerBytes int) {
	d.Seq++
	d.bytes += uint64(innerBytes)
}
