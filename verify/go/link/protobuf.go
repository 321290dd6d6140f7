package link

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// As much of Protobuf as the messages of the envelope need.

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// Field of a message; Kind is "uint32", "uint64", "bool", "bytes", "string" or "bytes*". Fields stand in the order of their numbers, from 1.
type Field struct{ Name, Kind string }

// Schema of a message.
type Schema []Field

// Message by the names of its fields.
type Message struct {
	Numbers map[string]uint64
	Bytes   map[string][]byte
	Lists   map[string][][]byte
}

func newMessage() *Message {
	return &Message{map[string]uint64{}, map[string][]byte{}, map[string][][]byte{}}
}

func varint(data []byte) (value uint64, rest []byte, err error) {
	value, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, faultf("parse", "a varint that does not end")
	}
	return value, data[n:], nil
}

type rawField struct {
	number, wire, value uint64
	bytes               []byte
}

func nextField(data []byte) (field rawField, rest []byte, err error) {
	tag, rest, err := varint(data)
	if err != nil {
		return field, nil, err
	}
	field.number, field.wire = tag>>3, tag&7
	if field.number == 0 {
		return field, nil, faultf("parse", "field 0")
	}
	var length uint64
	switch field.wire {
	case wireVarint:
		field.value, rest, err = varint(rest)
		return field, rest, err
	case wireBytes:
		if length, rest, err = varint(rest); err != nil {
			return field, nil, err
		}
	case wireFixed64:
		length = 8
	case wireFixed32:
		length = 4
	default:
		return field, nil, faultf("parse", "wire type %d", field.wire)
	}
	if length > uint64(len(rest)) {
		return field, nil, faultf("parse", "a field that is cut")
	}
	field.bytes = rest[:length]
	return field, rest[length:], nil
}

// Decode passes over unknown fields.
func Decode(schema Schema, data []byte) (*Message, error) {
	message := newMessage()
	for len(data) > 0 {
		field, rest, err := nextField(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if field.number > uint64(len(schema)) {
			continue
		}
		if err := message.take(schema[field.number-1], field); err != nil {
			return nil, err
		}
	}
	return message, nil
}

func (m *Message) take(field Field, raw rawField) error {
	isNumber := field.Kind == "uint32" || field.Kind == "uint64" || field.Kind == "bool"
	if (isNumber && raw.wire != wireVarint) || (!isNumber && raw.wire != wireBytes) {
		return nil
	}
	switch field.Kind {
	case "uint32":
		m.Numbers[field.Name] = uint64(uint32(raw.value))
	case "uint64":
		m.Numbers[field.Name] = raw.value
	case "bool":
		m.Numbers[field.Name] = min(raw.value, 1)
	case "bytes*":
		m.Lists[field.Name] = append(m.Lists[field.Name], raw.bytes)
	case "string":
		if !utf8.Valid(raw.bytes) {
			return faultf("parse", "a text that is not UTF-8")
		}
		m.Bytes[field.Name] = raw.bytes
	default:
		m.Bytes[field.Name] = raw.bytes
	}
	return nil
}

// Encode writes fields in the order of their numbers, none with its default value.
func Encode(schema Schema, message *Message) []byte {
	var out []byte
	for at, field := range schema {
		tag := uint64(at+1) << 3
		if number := message.Numbers[field.Name]; number != 0 {
			out = binary.AppendUvarint(binary.AppendUvarint(out, tag|wireVarint), number)
		}
		items := message.Lists[field.Name]
		if data := message.Bytes[field.Name]; len(data) > 0 {
			items = [][]byte{data}
		}
		for _, item := range items {
			out = binary.AppendUvarint(binary.AppendUvarint(out, tag|wireBytes), uint64(len(item)))
			out = append(out, item...)
		}
	}
	return out
}

// DecodeWhole refuses what is not in its one form. [ENV-12]
func DecodeWhole(schema Schema, data []byte) (*Message, error) {
	message, err := Decode(schema, data)
	if err == nil && !bytes.Equal(Encode(schema, message), data) {
		err = faultf("parse", "not in its one form")
	}
	return message, err
}
