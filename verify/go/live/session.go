package main

import (
	"encoding/binary"
	"fmt"

	"posthorn/verify/link"
)

// As much of a session as sends one message and receives it: chapters 2, 4, 5 and 6.

var kinds = []string{
	"", "hello", "welcome", "ready", "submit", "submit_ack", "deliver", "ack", "ping", "pong", "credit", "drain", "close",
	"call", "reply", "signal", "hints",
}

var (
	outboxSchema = link.Schema{{Name: "epoch", Kind: "uint64"}, {Name: "results_through", Kind: "uint64"}, {Name: "next", Kind: "uint64"}}
	cursorSchema = link.Schema{{Name: "epoch", Kind: "uint64"}, {Name: "seq", Kind: "uint64"}, {Name: "start", Kind: "uint32"}}
	windowSchema = link.Schema{{Name: "count", Kind: "uint32"}, {Name: "bytes", Kind: "uint32"}}
	helloSchema  = link.Schema{
		{Name: "version_min", Kind: "uint32"}, {Name: "version_max", Kind: "uint32"}, {Name: "token", Kind: "string"},
		{Name: "user_id", Kind: "string"}, {Name: "device_id", Kind: "string"}, {Name: "outbox", Kind: "bytes"},
		{Name: "cursor", Kind: "bytes"}, {Name: "timers", Kind: "bytes"}, {Name: "delivery_window", Kind: "bytes"},
		{Name: "agent", Kind: "string"},
	}
	submitSchema    = link.Schema{{Name: "seq", Kind: "uint64"}, {Name: "operation", Kind: "bytes"}}
	submitAckSchema = link.Schema{{Name: "through", Kind: "uint64"}, {Name: "results", Kind: "bytes*"}}
	resultSchema    = link.Schema{{Name: "code", Kind: "uint32"}}
	deliverSchema   = link.Schema{
		{Name: "seq", Kind: "uint64"}, {Name: "conversation_seq", Kind: "uint64"}, {Name: "committed_ms", Kind: "uint64"},
		{Name: "event", Kind: "bytes"},
	}
	ackSchema   = link.Schema{{Name: "delivered_through", Kind: "uint64"}, {Name: "results_through", Kind: "uint64"}}
	pingSchema  = link.Schema{{Name: "id", Kind: "uint32"}, {Name: "sent_through", Kind: "uint64"}}
	closeSchema = link.Schema{{Name: "code", Kind: "uint32"}, {Name: "detail", Kind: "string"}}
	// An Operation and an Event hold one kind each, in field 1, and a Content text in its field 1.
	onlySchema    = link.Schema{{Name: "only", Kind: "bytes"}}
	directSchema  = link.Schema{{Name: "to_user_id", Kind: "string"}, {Name: "content", Kind: "bytes"}}
	messageSchema = link.Schema{
		{Name: "conversation_id", Kind: "string"}, {Name: "sender_user_id", Kind: "string"},
		{Name: "sender_device_id", Kind: "string"}, {Name: "content", Kind: "bytes"},
	}
)

const (
	startLatest = 2
	goodbye     = 19
)

// Session is one attachment of a fresh device.
type Session struct {
	link                                  *link.Client
	user, device                          string
	held                                  []byte
	submitted, answered, deliveredThrough uint64
	texts                                 []string
}

func numbers(schema link.Schema, values map[string]uint64) []byte {
	return link.Encode(schema, &link.Message{Numbers: values})
}

func only(content []byte) []byte {
	return link.Encode(onlySchema, &link.Message{Bytes: map[string][]byte{"only": content}})
}

// Attach says Hello and, after Welcome, Ready.
func (s *Session) Attach() error {
	hello := &link.Message{
		Numbers: map[string]uint64{"version_min": 1, "version_max": 1},
		Bytes: map[string][]byte{
			"user_id":         []byte(s.user),
			"device_id":       []byte(s.device),
			"outbox":          numbers(outboxSchema, map[string]uint64{"next": 1}),
			"cursor":          numbers(cursorSchema, map[string]uint64{"start": startLatest}),
			"delivery_window": numbers(windowSchema, map[string]uint64{"count": 100, "bytes": 1_000_000}),
			"agent":           []byte("posthorn verify (Go)"),
		},
	}
	if err := s.send("hello", link.Encode(helloSchema, hello)); err != nil {
		return err
	}
	kind, content, err := s.next()
	if err != nil {
		return err
	}
	if kind != "welcome" {
		return fmt.Errorf("%s in place of welcome: %x", kind, content)
	}
	return s.send("ready", nil)
}

// Say sends a text and returns once it is durable.
func (s *Session) Say(toUser, text string) error {
	direct := &link.Message{Bytes: map[string][]byte{"to_user_id": []byte(toUser), "content": only([]byte(text))}}
	operation := only(link.Encode(directSchema, direct))
	s.submitted++
	submit := &link.Message{
		Numbers: map[string]uint64{"seq": s.submitted},
		Bytes:   map[string][]byte{"operation": operation},
	}
	if err := s.send("submit", link.Encode(submitSchema, submit)); err != nil {
		return err
	}
	for s.answered < s.submitted {
		if err := s.take(); err != nil {
			return err
		}
	}
	return nil
}

// Hear returns the next text that is delivered.
func (s *Session) Hear() (string, error) {
	for len(s.texts) == 0 {
		if err := s.take(); err != nil {
			return "", err
		}
	}
	text := s.texts[0]
	s.texts = s.texts[1:]
	return text, nil
}

func (s *Session) Close() error {
	if err := s.send("close", numbers(closeSchema, map[string]uint64{"code": goodbye})); err != nil {
		return err
	}
	return s.link.Close()
}

// take judges the next frame; what is durable is acknowledged at once.
func (s *Session) take() error {
	kind, content, err := s.next()
	if err != nil {
		return err
	}
	switch kind {
	case "submit_ack":
		err = s.takeResults(content)
	case "deliver":
		err = s.takeEvent(content)
	case "close":
		closing, err := link.Decode(closeSchema, content)
		if err != nil {
			return err
		}
		return fmt.Errorf("closed with code %d: %s", closing.Numbers["code"], closing.Bytes["detail"])
	default:
		return nil
	}
	if err != nil {
		return err
	}
	done := map[string]uint64{"delivered_through": s.deliveredThrough, "results_through": s.answered}
	return s.send("ack", numbers(ackSchema, done))
}

func (s *Session) takeResults(content []byte) error {
	ack, err := link.Decode(submitAckSchema, content)
	if err != nil {
		return err
	}
	for _, data := range ack.Lists["results"] {
		result, err := link.Decode(resultSchema, data)
		if err != nil || result.Numbers["code"] != 0 {
			return fmt.Errorf("refused with code %v", result)
		}
	}
	s.answered = ack.Numbers["through"]
	return nil
}

func (s *Session) takeEvent(content []byte) error {
	deliver, err := link.Decode(deliverSchema, content)
	if err != nil {
		return err
	}
	event, err := link.Decode(onlySchema, deliver.Bytes["event"])
	if err != nil {
		return err
	}
	s.deliveredThrough = deliver.Numbers["seq"]
	// Whatever else happens to a user is acknowledged all the same.
	if len(event.Bytes["only"]) == 0 {
		return nil
	}
	message, err := link.Decode(messageSchema, event.Bytes["only"])
	if err != nil {
		return err
	}
	text, err := link.Decode(onlySchema, message.Bytes["content"])
	if err != nil {
		return err
	}
	s.texts = append(s.texts, string(text.Bytes["only"]))
	return nil
}

// next returns the next frame that is not a Ping, which is answered.
func (s *Session) next() (kind string, content []byte, err error) {
	for {
		frame, err := s.cut()
		if err != nil {
			return "", nil, err
		}
		if frame == nil {
			piece, err := s.link.Receive()
			if err != nil {
				return "", nil, err
			}
			s.held = append(s.held, piece...)
			continue
		}
		kind, content, err := kindOf(frame)
		if err != nil || kind != "ping" {
			return kind, content, err
		}
		ping, err := link.Decode(pingSchema, content)
		if err != nil {
			return "", nil, err
		}
		pong := map[string]uint64{"id": ping.Numbers["id"], "sent_through": s.submitted}
		if err := s.send("pong", numbers(pingSchema, pong)); err != nil {
			return "", nil, err
		}
	}
}

// kindOf a frame: one field and no more. [FRM-6]
func kindOf(frame []byte) (kind string, content []byte, err error) {
	tag, n := binary.Uvarint(frame)
	if n <= 0 || tag&7 != 2 || tag>>3 == 0 || tag>>3 >= uint64(len(kinds)) {
		return "", nil, fmt.Errorf("not a frame: %x", frame)
	}
	length, m := binary.Uvarint(frame[n:])
	if m <= 0 || uint64(len(frame)-n-m) != length {
		return "", nil, fmt.Errorf("not one field: %x", frame)
	}
	return kinds[tag>>3], frame[n+m:], nil
}

// cut takes a frame from what has come, if there is a whole one. [FRM-2]
func (s *Session) cut() ([]byte, error) {
	length, n := binary.Uvarint(s.held)
	if n < 0 || n > 5 {
		return nil, fmt.Errorf("not a length: %x", s.held[:5])
	}
	if n == 0 || uint64(len(s.held)-n) < length {
		return nil, nil
	}
	frame := s.held[n : n+int(length)]
	s.held = s.held[n+int(length):]
	return frame, nil
}

func (s *Session) send(kind string, content []byte) error {
	number := uint64(0)
	for at, name := range kinds {
		if name == kind {
			number = uint64(at)
		}
	}
	frame := binary.AppendUvarint(nil, number<<3|2)
	frame = append(binary.AppendUvarint(frame, uint64(len(content))), content...)
	return s.link.Send(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...))
}
