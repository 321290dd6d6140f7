package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"strings"

	"posthorn/verify/link"
)

// linkCheck is a device and a service in one: both sets of private inputs are known.
type linkCheck struct {
	given, device, service Case
	asDevice               link.Device
	asService              link.Service
	phase                  int
	client                 *link.ClientHello
	choice                 link.Choice
	suite                  uint64
	policy                 link.Policy
	secrets                link.Secrets
	directions             map[string]*link.Direction
}

const (
	phaseHello = iota
	phaseAnswer
	phaseFinish
	phaseOpen
)

var otherSide = map[string]string{"device": "service", "service": "device"}

func newLinkCheck(c Case) *linkCheck {
	l := &linkCheck{given: c, device: c.object("device"), service: c.object("service")}
	l.asDevice = link.Device{Suites: suitesOf(l.device), TicketOnly: l.device.has("ticket_only")}
	if l.device.has("pins_hex") {
		for _, pin := range l.device.list("pins_hex") {
			l.asDevice.Pins = append(l.asDevice.Pins, unhex(pin.(string)))
		}
	}
	if l.device.has("min_suite") {
		l.asDevice.MinSuite = l.device.number("min_suite")
	}
	if l.device.has("ticket") {
		l.asDevice.Ticket = ticketOf(l.device.object("ticket"))
	}
	l.asService = link.Service{
		Suites:           suitesOf(l.service),
		MinSuite:         l.service.object("policy").number("min_suite"),
		AllowsTicketOnly: l.service["allows_ticket_only"].(bool),
	}
	for _, ticket := range l.service.list("tickets") {
		l.asService.Tickets = append(l.asService.Tickets, ticketOf(ticket.(map[string]any)))
	}
	return l
}

func suitesOf(c Case) (suites []uint64) {
	for _, suite := range c.list("suites") {
		suites = append(suites, uint64(suite.(float64)))
	}
	return suites
}

func ticketOf(c Case) *link.Ticket {
	return &link.Ticket{ID: c.data("ticket_id"), Psk: c.data("psk"), Suite: c.number("suite")}
}

// take has one record judged by its receiver. isHonest: its sender says what it has to say, which is checked too.
func (l *linkCheck) take(record []byte, sender string, isHonest bool) (kind string, content []byte, err error) {
	header, err := link.DecodeHeader(record)
	if err != nil {
		return "", nil, err
	}
	if l.phase == phaseOpen {
		return l.directions[sender].Open(record)
	}
	kinds := [3]byte{link.TypeClientHello, link.TypeServerHello, link.TypeClientFinished}
	senders := [3]string{"device", "service", "device"}
	if header.Type != kinds[l.phase] || sender != senders[l.phase] {
		return "", nil, &link.Fault{Kind: "order", Detail: "a record that has no place here"}
	}
	judges := [3]func([]byte, bool) error{l.clientHello, l.serverHello, l.clientFinished}
	if err := judges[l.phase](record[link.HeaderBytes:], isHonest); err != nil {
		return "", nil, err
	}
	l.phase++
	return "", nil, nil
}

func (l *linkCheck) clientHello(body []byte, isHonest bool) (err error) {
	if l.client, err = link.ReadClientHello(body); err != nil {
		return err
	}
	if l.choice, err = l.asService.JudgeClient(l.client); err != nil {
		return err
	}
	if isHonest && l.given["odd"] != "device" {
		return l.checkClientHello()
	}
	return nil
}

// checkClientHello: a device says this and nothing else.
func (l *linkCheck) checkClientHello() error {
	wrong := []error{agree("client_random", l.client.Random, l.device.data("client_random"))}
	suites := l.asDevice.Suites
	mode := uint64(0)
	if ticket := l.asDevice.Ticket; ticket != nil {
		mode = link.PskKem
		if l.asDevice.TicketOnly {
			mode, suites = link.PskOnly, nil
		}
		binder := link.Binder(ticket.Psk, l.client.CoreBytes)
		wrong = append(wrong, agree("ticket_id", l.client.TicketID, ticket.ID), agree("binder", l.client.Binder, binder))
	}
	wrong = append(wrong, same("resume_mode", l.client.Mode, mode), same("offers", len(l.client.Offers), len(suites)))
	var pin []byte
	if len(l.asDevice.Pins) > 0 {
		pin = l.asDevice.Pins[0]
	}
	wrong = append(wrong, agree("pinned_server_id", l.client.PinnedID, pin))
	for at, offer := range l.client.Offers {
		public, err := l.publicKey(offer.Suite)
		wrong = append(wrong, err, same("offer", offer.Suite, suites[at]), agree("public_key", offer.PublicKey, public))
	}
	return errors.Join(wrong...)
}

func (l *linkCheck) publicKey(suite uint64) ([]byte, error) {
	if suite == 1 {
		key, err := link.NewRsaKey(l.device.data("rsa_private_key"))
		if err != nil {
			return nil, err
		}
		return key.Public, nil
	}
	key, err := link.NewXWingKey(l.device.data("xwing_seed"))
	if err != nil {
		return nil, err
	}
	return key.Public, nil
}

func (l *linkCheck) serverHello(body []byte, isHonest bool) error {
	answer, err := link.ReadServerHello(body)
	if err != nil {
		return err
	}
	if l.suite, err = l.asDevice.JudgeServer(l.client, answer); err != nil {
		return err
	}
	keys := link.PrivateKeys{XWingSeed: l.device.data("xwing_seed")}
	if l.device.has("rsa_private_key_hex") {
		keys.Rsa = l.device.data("rsa_private_key")
	}
	secret, err := keys.Secret(answer)
	if err != nil {
		return err
	}
	psk := link.Absent
	if answer.TicketAccepted {
		psk = l.asDevice.Ticket.Psk
	}
	hellos := [3][]byte{l.client.CoreBytes, l.client.Binder, answer.CoreBytes}
	l.secrets = link.LinkSecrets(hellos, answer.Signature, psk, secret)
	if !hmac.Equal(l.secrets["server_confirm"], answer.Confirm) {
		return &link.Fault{Kind: "confirm", Detail: "the service does not have the link's keys"}
	}
	l.secrets["psk"], l.secrets["kem_secret"] = psk, secret
	l.policy = answer.Policy
	if isHonest {
		return l.checkServerHello(answer)
	}
	return nil
}

// checkServerHello: a service says this and nothing else.
func (l *linkCheck) checkServerHello(answer *link.ServerHello) error {
	policy := l.service.object("policy")
	identity := ed25519.NewKeyFromSeed(l.service.data("ed25519_seed"))
	text := link.ServerSignedText([3][]byte{l.client.CoreBytes, l.client.Binder, answer.CoreBytes})
	wrong := []error{
		same("suite", answer.Suite, l.choice.Wire),
		same("suite in force", l.suite, l.choice.Suite),
		same("ticket_accepted", answer.TicketAccepted, l.choice.Ticket != nil),
		agree("server_random", answer.Random, l.service.data("server_random")),
		agree("link_id", answer.LinkID, l.service.data("link_id")),
		agree("ed25519", answer.Keys.Ed25519, identity.Public().(ed25519.PublicKey)),
		agree("signature", answer.Signature[:64], ed25519.Sign(identity, text)),
		same("min_suite", answer.Policy.MinSuite, policy.number("min_suite")),
		same("rekey_records", answer.Policy.RekeyRecords, policy.number("rekey_records")),
		same("rekey_bytes", answer.Policy.RekeyBytes, policy.number("rekey_bytes")),
		same("lifetime_s", answer.Policy.LifetimeS, policy.number("lifetime_s")),
		agree("next_server_id", answer.Policy.NextServerID, policy.data("next_server_id")),
	}
	randomness := l.service.data("kem_randomness")
	switch answer.Suite {
	case 0:
	case 1:
		wrong = append(wrong, agree("kem_secret", l.secrets["kem_secret"], randomness[:32]))
	default:
		ciphertext, _, err := link.XWingEncapsulate(l.choice.PublicKey, randomness)
		wrong = append(wrong, err, agree("kem_ciphertext", answer.Ciphertext, ciphertext))
	}
	return errors.Join(wrong...)
}

func (l *linkCheck) clientFinished(body []byte, _ bool) error {
	confirm, err := link.ReadClientFinished(body)
	if err != nil {
		return err
	}
	if !hmac.Equal(l.secrets["client_confirm"], confirm) {
		return &link.Fault{Kind: "confirm", Detail: "the device does not have the link's keys"}
	}
	aead := link.Suites[l.suite].Aead
	limits := link.Limits{Records: l.policy.RekeyRecords, Bytes: l.policy.RekeyBytes}
	l.directions = map[string]*link.Direction{
		"device":  link.NewDirection(aead, l.secrets["c_traffic_1"], limits),
		"service": link.NewDirection(aead, l.secrets["s_traffic_1"], limits),
	}
	return nil
}

// checkLink: where one side refuses, the last record but one is refused, and the last one says so.
func checkLink(c Case) error {
	l := newLinkCheck(c)
	records := c.list("records")
	honest := len(records)
	if c.wanted() != "" {
		honest -= 2
	}
	for at, record := range records[:honest] {
		err := l.takeHonest(record.(map[string]any))
		var fault *link.Fault
		if errors.As(err, &fault) {
			return disagreef("record %d is refused: %v", at, err)
		}
		if err != nil {
			return err
		}
	}
	if c.wanted() == "" {
		return l.checkSecrets(c.object("secrets"))
	}
	var wrong, answer Case = records[honest].(map[string]any), records[honest+1].(map[string]any)
	if err := same("the sender of what is refused", wrong.text("from"), otherSide[c.text("judge")]); err != nil {
		return err
	}
	_, _, err := l.take(wrong.data("record"), wrong.text("from"), false)
	var fault *link.Fault
	if !errors.As(err, &fault) {
		return err
	}
	if wrong := l.checkAlert(c.text("judge"), answer); wrong != nil {
		return wrong
	}
	return fault
}

func (l *linkCheck) checkSecrets(expected Case) error {
	var wrong []error
	for name, value := range expected {
		ours := hex.EncodeToString(l.secrets[strings.TrimSuffix(name, "_hex")])
		wrong = append(wrong, same(name, ours, value.(string)))
	}
	return errors.Join(wrong...)
}

func (l *linkCheck) takeHonest(said Case) error {
	record, sender := said.data("record"), said.text("from")
	if l.phase != phaseOpen {
		_, _, err := l.take(record, sender, true)
		return err
	}
	// Sealing and opening both use up a number: each has a state of its own.
	twin := *l.directions[sender]
	kind, content, err := l.take(record, sender, true)
	if err != nil {
		return err
	}
	again, err := twin.Seal(kind, content)
	opens := said.object("opens")
	return errors.Join(
		err,
		same("type", kind, opens.text("type")),
		agree("content", content, opens.data("content")),
		agree("record", again, record),
	)
}

// checkAlert: [ENV-20] [ENV-49] [ENV-50]
func (l *linkCheck) checkAlert(judge string, answer Case) error {
	alert := link.ClearRecord(link.TypeAlert, link.EncodeAlert(40))
	if l.phase == phaseOpen {
		var err error
		if alert, err = l.directions[judge].Seal("alert", link.EncodeAlert(20)); err != nil {
			return err
		}
	}
	if !bytes.Equal(alert, answer.data("record")) || answer.text("from") != judge {
		return disagreef("the alert is %x", alert)
	}
	return nil
}
