package secure

import (
	"crypto/hmac"

	"posthorn/verify/link"
)

func fields(kinds ...string) link.Schema {
	var schema link.Schema
	for at := 0; at < len(kinds); at += 2 {
		schema = append(schema, link.Field{Name: kinds[at], Kind: kinds[at+1]})
	}
	return schema
}

var (
	packetSchema = fields("offer", "bytes", "accept", "bytes", "confirm", "bytes", "message", "bytes")
	outerSchemas = map[string]link.Schema{
		"offer":   fields("core", "bytes", "signature", "bytes"),
		"accept":  fields("core", "bytes", "signature", "bytes", "tag", "bytes"),
		"confirm": fields("core", "bytes", "tag", "bytes"),
	}
	coreSchemas = map[string]link.Schema{
		"offer": fields("version", "uint32", "suite", "uint32", "session_id", "bytes", "from_device", "bytes",
			"to_device", "bytes", "ratchet_key", "bytes", "nonce", "bytes", "created_ms", "uint64", "ttl_s", "uint32",
			"parameters", "bytes*"),
		"accept": fields("version", "uint32", "suite", "uint32", "session_id", "bytes", "from_device", "bytes",
			"to_device", "bytes", "ciphertext", "bytes", "ratchet_key", "bytes", "nonce", "bytes", "parameters", "bytes*"),
		"confirm": fields("version", "uint32", "session_id", "bytes", "ciphertext", "bytes"),
	}
	parametersSchema = fields("rekey_messages", "uint32", "rekey_s", "uint32", "lifetime_s", "uint32", "franking", "bool")
	lengths          = map[string]int{
		"session_id": 16, "from_device": 32, "to_device": 32, "ratchet_key": 1216, "ciphertext": 1120, "nonce": 32,
		"signature": SignatureBytes, "tag": 32,
	}
	mostOf = map[string]uint64{"rekey_messages": 128, "rekey_s": 86_400, "lifetime_s": 604_800}
)

// Parameters by their names; franking is 0 or 1.
type Parameters map[string]uint64

// Lesser of each. [SEC-18]
func (p Parameters) Lesser(other Parameters) Parameters {
	lesser := Parameters{}
	for _, field := range parametersSchema {
		lesser[field.Name] = min(p[field.Name], other[field.Name])
	}
	return lesser
}

func (p Parameters) Same(other Parameters) bool {
	for _, field := range parametersSchema {
		if p[field.Name] != other[field.Name] {
			return false
		}
	}
	return true
}

// Packet in its parts; a message is in Message alone.
type Packet struct {
	Kind           string
	CoreBytes      []byte
	Signature, Tag []byte
	Core           *link.Message
	Parameters     Parameters
	Message        []byte
}

// ReadPacket [SEC-14]
func ReadPacket(data []byte) (*Packet, error) {
	packet, err := readPacket(data)
	return packet, as(malformed, err)
}

func readPacket(data []byte) (*Packet, error) {
	outer, err := link.DecodeWhole(packetSchema, data)
	if err != nil {
		return nil, err
	}
	if len(outer.Bytes) != 1 || len(data) > 73_728 {
		return nil, faultf(malformed, "not one kind, or too long")
	}
	for kind, value := range outer.Bytes {
		if kind == "message" {
			return &Packet{Kind: kind, Message: value}, nil
		}
		return readHandshake(kind, value)
	}
	return nil, nil
}

func hasLengths(schema link.Schema, message *link.Message) error {
	for _, field := range schema {
		length, has := lengths[field.Name]
		if has && len(message.Bytes[field.Name]) != length {
			return faultf(malformed, "%s of %d bytes", field.Name, len(message.Bytes[field.Name]))
		}
	}
	return nil
}

func readHandshake(kind string, value []byte) (*Packet, error) {
	said, err := link.DecodeWhole(outerSchemas[kind], value)
	if err != nil {
		return nil, err
	}
	p := &Packet{Kind: kind, CoreBytes: said.Bytes["core"], Signature: said.Bytes["signature"], Tag: said.Bytes["tag"]}
	if p.Core, err = link.Decode(coreSchemas[kind], p.CoreBytes); err != nil {
		return nil, err
	}
	if err := hasLengths(outerSchemas[kind], said); err != nil {
		return nil, err
	}
	if err := hasLengths(coreSchemas[kind], p.Core); err != nil {
		return nil, err
	}
	isOne := p.Core.Numbers["version"] == 1 && (kind == "confirm" || p.Core.Numbers["suite"] == 1)
	if !isOne || len(p.CoreBytes) > 4096 {
		return nil, faultf(malformed, "another version or suite, or too long")
	}
	if kind == "confirm" {
		return p, nil
	}
	return p, p.readParameters()
}

func (p *Packet) readParameters() error {
	lists := p.Core.Lists["parameters"]
	if len(lists) != 1 {
		return faultf(malformed, "no parameters")
	}
	said, err := link.Decode(parametersSchema, lists[0])
	if err != nil {
		return err
	}
	p.Parameters = said.Numbers
	for name, most := range mostOf {
		if value := p.Parameters[name]; value < 1 || value > most {
			return faultf(malformed, "%s is %d", name, value)
		}
	}
	ttl := p.Core.Numbers["ttl_s"]
	if p.Kind == "offer" && (ttl < 1 || ttl > 86_400 || p.Core.Numbers["created_ms"] == 0) {
		return faultf(malformed, "times")
	}
	return nil
}

// Party is a side with its private inputs; of ML-DSA-65 there is nothing.
type Party struct {
	Keys        Keys
	Fingerprint []byte
	Seed        []byte
}

func (p Party) decapsulate(ciphertext []byte) ([]byte, error) {
	key, err := link.NewXWingKey(p.Seed)
	if err != nil {
		return nil, err
	}
	secret, err := key.Decapsulate(ciphertext)
	return secret, as("SECURE_KEY_INVALID", err)
}

// Handshake is both sides at once: each packet is judged by whom it is for.
type Handshake struct {
	Offering, Accepting    Party
	Offer, Accept, Confirm *Packet
	Secrets                Secrets
}

// Take returns a *link.Fault for what is refused.
func (h *Handshake) Take(data []byte, nowMs uint64) error {
	packet, err := ReadPacket(data)
	if err != nil {
		return err
	}
	switch packet.Kind {
	case "offer":
		return h.takeOffer(packet, nowMs)
	case "accept":
		return h.takeAccept(packet, nowMs)
	case "confirm":
		return h.takeConfirm(packet, nowMs)
	}
	return faultf(malformed, "a message")
}

func (h *Handshake) endMs() uint64 {
	return h.Offer.Core.Numbers["created_ms"] + 1000*h.Offer.Core.Numbers["ttl_s"]
}

func judgeKey(public []byte) error {
	_, _, err := link.XWingEncapsulate(public, nil)
	return as("SECURE_KEY_INVALID", err)
}

// takeOffer [SEC-17]
func (h *Handshake) takeOffer(p *Packet, nowMs uint64) error {
	from, to := p.Core.Bytes["from_device"], p.Core.Bytes["to_device"]
	created := p.Core.Numbers["created_ms"]
	ends := created + 1000*p.Core.Numbers["ttl_s"] + skewMs
	switch {
	case !equal(to, h.Accepting.Fingerprint) || equal(from, to):
		return faultf("SECURE_PEER_UNKNOWN", "for another device")
	case created > nowMs+skewMs || nowMs >= ends:
		return faultf("SECURE_EXPIRED", "not in its time")
	case h.Offer != nil:
		return faultf("SECURE_REPLAYED", "here before")
	case !equal(from, h.Offering.Fingerprint):
		return faultf("SECURE_PEER_UNKNOWN", "of another sender")
	}
	th1 := TH(P, p.CoreBytes)
	if err := h.Offering.Keys.Verify("offer", th1, p.Signature); err != nil {
		return err
	}
	if err := judgeKey(p.Core.Bytes["ratchet_key"]); err != nil {
		return err
	}
	h.Offer, h.Secrets = p, Secrets{"th1": th1}
	return nil
}

// takeAccept [SEC-19]
func (h *Handshake) takeAccept(p *Packet, nowMs uint64) error {
	isOther := !equal(p.Core.Bytes["from_device"], h.Accepting.Fingerprint) ||
		!equal(p.Core.Bytes["to_device"], h.Offering.Fingerprint)
	switch {
	case !equal(p.Core.Bytes["session_id"], h.Offer.Core.Bytes["session_id"]):
		return faultf("SECURE_SESSION_UNKNOWN", "no such offer")
	case h.Accept != nil:
		return faultf("SECURE_REPLAYED", "accepted before")
	case nowMs >= h.endMs():
		return faultf("SECURE_EXPIRED", "late")
	case isOther:
		return faultf("SECURE_PEER_UNKNOWN", "other devices")
	case !p.Parameters.Same(p.Parameters.Lesser(h.Offer.Parameters)):
		return faultf(malformed, "above the offer's")
	}
	heard := [4][]byte{h.Offer.CoreBytes, h.Offer.Signature, p.CoreBytes, p.Signature}
	th2 := TH(P, heard[:3]...)
	if err := h.Accepting.Keys.Verify("accept", th2, p.Signature); err != nil {
		return err
	}
	z1, err := h.Offering.decapsulate(p.Core.Bytes["ciphertext"])
	if err != nil {
		return err
	}
	secrets := FirstSecrets(heard, z1)
	if !hmac.Equal(secrets["tag_r"], p.Tag) {
		return faultf("SECURE_TAG_INVALID", "the accept's tag")
	}
	if err := judgeKey(p.Core.Bytes["ratchet_key"]); err != nil {
		return err
	}
	h.Accept = p
	h.add(secrets)
	h.Secrets["th2"] = th2
	return nil
}

// takeConfirm [SEC-20]
func (h *Handshake) takeConfirm(p *Packet, nowMs uint64) error {
	switch {
	case !equal(p.Core.Bytes["session_id"], h.Offer.Core.Bytes["session_id"]):
		return faultf("SECURE_SESSION_UNKNOWN", "no such handshake")
	case h.Confirm != nil:
		return faultf("SECURE_REPLAYED", "confirmed before")
	case nowMs >= h.endMs()+skewMs:
		return faultf("SECURE_EXPIRED", "late")
	}
	z2, err := h.Accepting.decapsulate(p.Core.Bytes["ciphertext"])
	if err != nil {
		return err
	}
	heard := [4][]byte{h.Offer.CoreBytes, h.Offer.Signature, h.Accept.CoreBytes, h.Accept.Signature}
	secrets := LastSecrets(heard, h.Accept.Tag, p.CoreBytes, h.Secrets["rk0"], z2)
	if !hmac.Equal(secrets["tag_i"], p.Tag) {
		return faultf("SECURE_TAG_INVALID", "the confirm's tag")
	}
	h.Confirm = p
	h.add(secrets)
	return nil
}

func (h *Handshake) add(secrets Secrets) {
	for name, value := range secrets {
		h.Secrets[name] = value
	}
}
