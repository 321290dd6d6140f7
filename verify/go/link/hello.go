package link

import (
	"bytes"
	"crypto/hmac"
	"slices"
)

// The messages of the handshake.
var (
	ClientHelloSchema = Schema{{"core", "bytes"}, {"binder", "bytes"}}
	ClientCoreSchema  = Schema{
		{"version", "uint32"}, {"client_random", "bytes"}, {"offers", "bytes*"}, {"pinned_server_id", "bytes"},
		{"ticket_id", "bytes"}, {"resume_mode", "uint32"}, {"client_features", "uint32"},
	}
	OfferSchema       = Schema{{"suite", "uint32"}, {"public_key", "bytes"}}
	ServerHelloSchema = Schema{
		{"core", "bytes"}, {"signature_algorithm", "uint32"}, {"signature", "bytes"}, {"server_confirm", "bytes"},
	}
	ServerCoreSchema = Schema{
		{"version", "uint32"}, {"server_random", "bytes"}, {"link_id", "bytes"}, {"suite", "uint32"},
		{"kem_ciphertext", "bytes"}, {"server_keys", "bytes"}, {"ticket_accepted", "bool"}, {"policy", "bytes"},
	}
	ServerKeysSchema = Schema{{"ed25519", "bytes"}, {"ml_dsa_65", "bytes"}}
	PolicySchema     = Schema{
		{"min_suite", "uint32"}, {"rekey_records", "uint32"}, {"rekey_bytes", "uint32"}, {"lifetime_s", "uint32"},
		{"next_server_id", "bytes"},
	}
	ClientFinishedSchema = Schema{{"client_confirm", "bytes"}}
	AlertSchema          = Schema{{"code", "uint32"}}
	KeyUpdateSchema      = Schema{{"requested", "bool"}}
	TicketSchema         = Schema{{"ticket_id", "bytes"}, {"lifetime_s", "uint32"}}
)

const (
	PskKem  = 1
	PskOnly = 2
	coreMax = 8000
)

// Suite of the table in 11.4; Strength is what promises are compared by. [ENV-26] [ENV-34]
type Suite struct {
	Kem, Aead string
	Strength  int
}

var Suites = map[uint64]Suite{
	1: {"rsa", "aes-128-gcm", 1},
	2: {"xwing", "aes-256-gcm", 2},
	3: {"xwing", "chacha20-poly1305", 2},
}

func isAtLeast(suite, minimum uint64) bool {
	ours, isKnown := Suites[suite]
	demanded, isDemandKnown := Suites[minimum]
	return isKnown && isDemandKnown && ours.Strength >= demanded.Strength
}

// Ticket as either side keeps it.
type Ticket struct {
	ID, Psk []byte
	Suite   uint64
}

// Offer of a suite.
type Offer struct {
	Suite     uint64
	PublicKey []byte
}

// ClientHello, read.
type ClientHello struct {
	CoreBytes, Binder, Random, PinnedID, TicketID []byte
	Mode, Features                                uint64
	Offers                                        []Offer
}

func need(holds bool, detail string) error {
	if holds {
		return nil
	}
	return faultf("parse", "%s", detail)
}

func firstOf(faults ...error) error {
	for _, fault := range faults {
		if fault != nil {
			return fault
		}
	}
	return nil
}

func isEmptyOr(data []byte, length int) bool { return len(data) == 0 || len(data) == length }

// ReadClientHello judges the form of a ClientHello. [ENV-12]
func ReadClientHello(body []byte) (*ClientHello, error) {
	outer, err := DecodeWhole(ClientHelloSchema, body)
	if err != nil {
		return nil, err
	}
	core, err := Decode(ClientCoreSchema, outer.Bytes["core"])
	if err != nil {
		return nil, err
	}
	hello := &ClientHello{
		CoreBytes: outer.Bytes["core"],
		Binder:    outer.Bytes["binder"],
		Random:    core.Bytes["client_random"],
		PinnedID:  core.Bytes["pinned_server_id"],
		TicketID:  core.Bytes["ticket_id"],
		Mode:      core.Numbers["resume_mode"],
		Features:  core.Numbers["client_features"],
	}
	for _, data := range core.Lists["offers"] {
		offer, err := Decode(OfferSchema, data)
		if err != nil {
			return nil, err
		}
		hello.Offers = append(hello.Offers, Offer{offer.Numbers["suite"], offer.Bytes["public_key"]})
	}
	return hello, firstOf(need(core.Numbers["version"] == 1, "version"), hello.fault())
}

func (h *ClientHello) fault() error {
	seen := map[uint64]bool{}
	areNumbers := true
	for _, offer := range h.Offers {
		seen[offer.Suite] = true
		areNumbers = areNumbers && offer.Suite >= 1 && offer.Suite <= 0xffff
	}
	binderBytes, isMode := 0, h.Mode == 0
	if len(h.TicketID) > 0 {
		binderBytes, isMode = 32, h.Mode == PskKem || h.Mode == PskOnly
	}
	return firstOf(
		need(len(h.CoreBytes) <= coreMax, "a core that is too long"),
		need(len(h.Random) == 32, "client_random"),
		need(len(h.Offers) <= 8, "too many offers"),
		need(len(seen) == len(h.Offers), "a suite is offered twice"),
		need(areNumbers, "an offer that is no suite"),
		need(isEmptyOr(h.PinnedID, 32), "pinned_server_id"),
		need(isEmptyOr(h.TicketID, 16), "ticket_id"),
		need(len(h.Binder) == binderBytes, "binder"),
		need(isMode, "resume_mode"),
		need(len(h.Offers) > 0 || h.Mode == PskOnly, "nothing is offered"),
	)
}

// ServerHello, read.
type ServerHello struct {
	CoreBytes, Signature, Confirm, Random, LinkID, Ciphertext []byte
	Algorithm, Suite                                          uint64
	TicketAccepted                                            bool
	Keys                                                      Identity
	Policy                                                    Policy
}

// Policy of a link.
type Policy struct {
	MinSuite, RekeyRecords, RekeyBytes, LifetimeS uint64
	NextServerID                                  []byte
}

// ReadServerHello judges the form of a ServerHello: the first step of [ENV-16].
func ReadServerHello(body []byte) (*ServerHello, error) {
	outer, err := DecodeWhole(ServerHelloSchema, body)
	if err != nil {
		return nil, err
	}
	core, err := Decode(ServerCoreSchema, outer.Bytes["core"])
	if err != nil {
		return nil, err
	}
	keys, err := Decode(ServerKeysSchema, core.Bytes["server_keys"])
	if err != nil {
		return nil, err
	}
	policy, err := Decode(PolicySchema, core.Bytes["policy"])
	if err != nil {
		return nil, err
	}
	n := policy.Numbers
	hello := &ServerHello{
		CoreBytes: outer.Bytes["core"], Signature: outer.Bytes["signature"], Confirm: outer.Bytes["server_confirm"],
		Random: core.Bytes["server_random"], LinkID: core.Bytes["link_id"], Ciphertext: core.Bytes["kem_ciphertext"],
		Algorithm: outer.Numbers["signature_algorithm"], Suite: core.Numbers["suite"],
		TicketAccepted: core.Numbers["ticket_accepted"] != 0,
		Keys:           Identity{keys.Bytes["ed25519"], keys.Bytes["ml_dsa_65"]},
		Policy: Policy{
			n["min_suite"], n["rekey_records"], n["rekey_bytes"], n["lifetime_s"], policy.Bytes["next_server_id"],
		},
	}
	return hello, firstOf(need(core.Numbers["version"] == 1, "version"), hello.fault())
}

func (h *ServerHello) fault() error {
	isWithin := func(value, least, most uint64) bool { return value >= least && value <= most }
	p := h.Policy
	return firstOf(
		need(len(h.CoreBytes) <= coreMax, "a core that is too long"),
		need(len(h.Random) == 32, "server_random"),
		need(len(h.LinkID) == 16, "link_id"),
		need(len(h.Keys.Ed25519) == 32, "ed25519"),
		need(isEmptyOr(h.Keys.MlDsa65, 1952), "ml_dsa_65"),
		need(isWithin(p.RekeyRecords, 2, 1<<20), "rekey_records"),
		need(isWithin(p.RekeyBytes, 1<<21, 1<<30), "rekey_bytes"),
		need(isWithin(p.LifetimeS, 1, 86_400), "lifetime_s"),
		need(isEmptyOr(p.NextServerID, 32), "next_server_id"),
		need(len(h.Confirm) == 32, "server_confirm"),
	)
}

// Device is what a device knows and wants.
type Device struct {
	Suites     []uint64
	Pins       [][]byte // nil: anybody
	MinSuite   uint64   // 0: nothing is remembered
	Ticket     *Ticket
	TicketOnly bool
}

// ChooseSuite returns the suite in force. [ENV-13] [ENV-34] [ENV-45]
func (d *Device) ChooseSuite(hello *ServerHello) (uint64, error) {
	refused := func(detail string) (uint64, error) { return 0, faultf("policy", "%s", detail) }
	number := hello.Suite
	if hello.TicketAccepted && d.Ticket == nil {
		return refused("a ticket that was not shown")
	}
	if number == 0 {
		if !hello.TicketAccepted || !d.TicketOnly {
			return refused("a ticket alone")
		}
		number = d.Ticket.Suite
	} else if d.TicketOnly || !slices.Contains(d.Suites, number) {
		return refused("a suite that was not offered")
	}
	if hello.TicketAccepted && d.Ticket.Suite != number {
		return refused("a ticket of another suite")
	}
	promise := hello.Policy.MinSuite
	if !isAtLeast(number, promise) || (d.MinSuite != 0 && !isAtLeast(promise, d.MinSuite)) {
		return refused("a weaker suite than was promised")
	}
	return number, nil
}

// JudgeServer goes through suite, pin and signature, in this order. [ENV-16]
func (d *Device) JudgeServer(client *ClientHello, hello *ServerHello) (uint64, error) {
	number, err := d.ChooseSuite(hello)
	if err != nil {
		return 0, err
	}
	id := ServerID(hello.Keys.Ed25519, hello.Keys.MlDsa65)
	isThis := func(pin []byte) bool { return bytes.Equal(pin, id) }
	if d.Pins != nil && !slices.ContainsFunc(d.Pins, isThis) {
		return 0, faultf("policy", "another identity")
	}
	text := ServerSignedText([3][]byte{client.CoreBytes, client.Binder, hello.CoreBytes})
	return number, hello.Keys.Verify(hello.Algorithm, text, hello.Signature)
}

// Service is what a service accepts.
type Service struct {
	Suites           []uint64
	MinSuite         uint64
	AllowsTicketOnly bool
	Tickets          []*Ticket
}

// Choice of a service: the number on the wire, the suite in force, the ticket in force.
type Choice struct {
	Wire, Suite uint64
	Ticket      *Ticket
	PublicKey   []byte
}

// JudgeClient chooses a suite. [ENV-13] [ENV-21] [ENV-44] [ENV-46]
func (s *Service) JudgeClient(hello *ClientHello) (Choice, error) {
	ticket := s.ticketOf(hello)
	accepts := func(n uint64) bool { return slices.Contains(s.Suites, n) && isAtLeast(n, s.MinSuite) }
	mayBeAlone := hello.Mode == PskOnly && s.AllowsTicketOnly
	if mayBeAlone && ticket != nil && accepts(ticket.Suite) {
		return Choice{0, ticket.Suite, ticket, nil}, nil
	}
	for _, offer := range hello.Offers {
		if !accepts(offer.Suite) {
			continue
		}
		if hello.Mode != PskKem || ticket == nil || ticket.Suite != offer.Suite {
			ticket = nil
		}
		return Choice{offer.Suite, offer.Suite, ticket, offer.PublicKey}, judgeKey(offer)
	}
	return Choice{}, faultf("policy", "no offer is accepted")
}

func (s *Service) ticketOf(hello *ClientHello) *Ticket {
	for _, ticket := range s.Tickets {
		if bytes.Equal(ticket.ID, hello.TicketID) {
			if hmac.Equal(Binder(ticket.Psk, hello.CoreBytes), hello.Binder) {
				return ticket
			}
		}
	}
	return nil
}

func judgeKey(offer Offer) error {
	if Suites[offer.Suite].Kem == "rsa" {
		return RsaJudge(offer.PublicKey)
	}
	_, _, err := XWingEncapsulate(offer.PublicKey, nil)
	return err
}

// ReadClientFinished returns the confirm. [ENV-18]
func ReadClientFinished(body []byte) ([]byte, error) {
	finished, err := DecodeWhole(ClientFinishedSchema, body)
	if err != nil {
		return nil, err
	}
	confirm := finished.Bytes["client_confirm"]
	return confirm, need(len(confirm) == 32, "client_confirm")
}

// EncodeAlert is the content of an alert. [ENV-49]
func EncodeAlert(code uint64) []byte {
	message := newMessage()
	message.Numbers["code"] = code
	return Encode(AlertSchema, message)
}

// EncodeFinished is the body of a ClientFinished. [ENV-17]
func EncodeFinished(clientConfirm []byte) []byte {
	message := newMessage()
	message.Bytes["client_confirm"] = clientConfirm
	return Encode(ClientFinishedSchema, message)
}
