package main

import (
	"encoding/hex"
	"errors"
	"slices"

	"posthorn/verify/link"
)

// Which of our classes a code of the chapter stands for: envelope-link.json names codes.
var codes = map[string][]string{
	"ENVELOPE_MALFORMED":         {"parse", "order"},
	"ENVELOPE_SUITE_REFUSED":     {"policy"},
	"ENVELOPE_KEY_INVALID":       {"kem", "policy"},
	"ENVELOPE_SIGNATURE_INVALID": {"signature"},
	"ENVELOPE_CONFIRM_INVALID":   {"confirm"},
	"ENVELOPE_DOWNGRADED":        {"policy"},
	"SERVER_IDENTITY_CHANGED":    {"policy"},
	"ENVELOPE_RECORD_INVALID":    {"parse", "order", "replay", "aead", "tag", "padding"},
}

// checkHandshake judges a case of envelope-link.json: one side, and the code that it ends with.
func checkHandshake(c Case) error {
	follow := followDevice
	if c.text("side") == "service" {
		follow = judgeService
	}
	err := follow(c)
	var fault *link.Fault
	if errors.As(err, &fault) {
		if slices.Contains(codes[c.wanted()], fault.Kind) {
			return nil
		}
		return disagreef("fails with %v, not %q", fault, c.wanted())
	}
	if err != nil {
		return err
	}
	return same("expect", "", c.wanted())
}

func judgeService(c Case) error {
	record := c.data("client_hello")
	header, err := link.DecodeHeader(record)
	if err != nil {
		return err
	}
	if int(header.Length) != len(record)-link.HeaderBytes {
		return disagreef("a body of %d bytes", header.Length)
	}
	hello, err := link.ReadClientHello(record[link.HeaderBytes:])
	if err != nil {
		return err
	}
	service := link.Service{Suites: []uint64{1, 2, 3}, MinSuite: 1, AllowsTicketOnly: true}
	_, err = service.JudgeClient(hello)
	return err
}

// sides is what a device of envelope-link.json knows; its randomness is random, seed, and what stands in.
func sides(c Case) (Case, error) {
	random := c.text("client_randomness_hex")
	device := map[string]any{
		"suites":            c["suites"],
		"pins_hex":          []any{c["server_id_hex"]},
		"client_random_hex": random[:64],
		"xwing_seed_hex":    random[64:128],
	}
	tickets := []any{}
	if c.has("min_suite") {
		device["min_suite"] = c["min_suite"]
	}
	if c.has("psk_hex") {
		hello, err := link.ReadClientHello(c.data("client_hello")[link.HeaderBytes:])
		if err != nil {
			return nil, disagreef("ClientHello is refused: %v", err)
		}
		id := hex.EncodeToString(hello.TicketID)
		ticket := map[string]any{"ticket_id_hex": id, "psk_hex": c["psk_hex"], "suite": c["ticket_suite"]}
		device["ticket"] = ticket
		tickets = append(tickets, ticket)
		if len(c.list("suites")) == 0 {
			device["ticket_only"] = true
		}
	}
	service := map[string]any{
		"suites":             []any{1.0, 2.0, 3.0},
		"allows_ticket_only": true,
		"tickets":            tickets,
		"policy":             map[string]any{"min_suite": 1.0},
	}
	return Case{"device": device, "service": service}, nil
}

func followDevice(c Case) error {
	given, err := sides(c)
	if err != nil {
		return err
	}
	l := newLinkCheck(given)
	if err := l.takeTrusted(c.data("client_hello")); err != nil {
		return err
	}
	if _, _, err := l.take(c.data("server_hello"), "service", false); err != nil {
		return err
	}
	ours := link.ClearRecord(link.TypeClientFinished, link.EncodeFinished(l.secrets["client_confirm"]))
	if err := errors.Join(
		agree("client_finished", ours, c.data("client_finished")),
		agree("channel_binding", l.secrets["channel_binding"], c.data("channel_binding")),
		l.takeTrusted(ours),
	); err != nil {
		return err
	}
	for _, said := range c.list("records") {
		if err := l.followRecord(said.(map[string]any)); err != nil {
			return err
		}
	}
	return nil
}

func (l *linkCheck) followRecord(said Case) error {
	if said.text("from") == "device" {
		sealed, err := l.directions["device"].Seal("frames", said.data("frames"))
		return errors.Join(err, agree("record", sealed, said.data("record")))
	}
	kind, content, err := l.take(said.data("record"), "service", true)
	if err != nil {
		return err
	}
	if !said.has("frames_hex") {
		return same("content of another type", kind != "frames", true)
	}
	return errors.Join(same("type", kind, "frames"), agree("frames", content, said.data("frames")))
}

func (l *linkCheck) takeTrusted(record []byte) error {
	_, _, err := l.take(record, "device", true)
	var fault *link.Fault
	if errors.As(err, &fault) {
		return disagreef("a record of the device is refused: %v", fault)
	}
	return err
}
