package main

import (
	"errors"

	"posthorn/verify/link"
	"posthorn/verify/secure"
)

// checkSchedule: cores and signatures of any bytes. [SEC-15]
func checkSchedule(c Case) error {
	heard := [4][]byte{c.data("offer"), c.data("offer_signature"), c.data("accept"), c.data("accept_signature")}
	given := c.object("secrets")
	first := secure.FirstSecrets(heard, given.data("z1"))
	last := secure.LastSecrets(heard, first["tag_r"], c.data("confirm"), first["rk0"], given.data("z2"))
	return errors.Join(agreeAll(first, given), agreeAll(last, given))
}

func agreeAll(ours secure.Secrets, given Case) error {
	for name, value := range ours {
		if err := agree(name, value, given.data(name)); err != nil {
			return err
		}
	}
	return nil
}

func partyOf(c Case) (secure.Party, error) {
	keys := secure.Keys{Ed25519: secure.Ed25519Public(c.data("ed25519_seed"))}
	party := secure.Party{Keys: keys, Fingerprint: c.data("fingerprint"), Seed: c.data("xwing_seed")}
	if !c.has("device_hex") {
		return party, nil
	}
	device := secure.ReadDevice(c.data("device"))
	if device == nil {
		return party, disagreef("no device")
	}
	return party, errors.Join(
		agree("fingerprint", secure.DeviceFingerprint(c.data("device")), party.Fingerprint),
		agree("ed25519", keys.Ed25519, device.Ed25519),
	)
}

func checkChatHandshake(c Case) error {
	offering, err := partyOf(c.object("offering"))
	if err != nil {
		return err
	}
	accepting, err := partyOf(c.object("accepting"))
	if err != nil {
		return err
	}
	handshake := &secure.Handshake{Offering: offering, Accepting: accepting}
	packets := c.objects("packets")
	for at, packet := range packets {
		err := handshake.Take(packet.data("packet"), packet.number("at_ms"))
		if err == nil {
			continue
		}
		if at < len(packets)-1 {
			return disagreef("packet %d is refused: %v", at, err)
		}
		return err
	}
	if isUnlooked(c) {
		return link.MlDsa65
	}
	if !c.has("secrets") {
		return disagreef("nothing is refused, and there are no secrets")
	}
	return errors.Join(agreeAll(handshake.Secrets, c.object("secrets")), checkSaid(c, handshake))
}

// checkSaid: what is said follows from the private inputs.
func checkSaid(c Case, h *secure.Handshake) error {
	offering, accepting := c.object("offering"), c.object("accepting")
	agreed := parametersOf(offering).Lesser(parametersOf(accepting))
	isAgreed := h.Offer.Parameters.Same(parametersOf(offering)) && h.Accept.Parameters.Same(agreed)
	return errors.Join(
		checkPart(c, offering, h.Offer),
		checkPart(c, accepting, h.Accept),
		same("created_ms", h.Offer.Core.Numbers["created_ms"], c.number("created_ms")),
		same("ttl_s", h.Offer.Core.Numbers["ttl_s"], c.number("ttl_s")),
		same("parameters as offered and agreed on", isAgreed, true),
		checkSealed(accepting, h.Offer, h.Accept, h.Secrets["z1"]),
		checkSealed(offering, h.Accept, h.Confirm, h.Secrets["z2"]),
	)
}

func checkPart(c, party Case, packet *secure.Packet) error {
	key, err := link.NewXWingKey(party.data("xwing_seed"))
	if err != nil {
		return err
	}
	said := packet.Core.Bytes
	return errors.Join(
		agree("ratchet_key", key.Public, said["ratchet_key"]),
		agree("nonce", party.data("nonce"), said["nonce"]),
		agree("session_id", c.data("session_id"), said["session_id"]),
	)
}

// checkSealed: a party has encapsulated to a packet's key with its randomness.
func checkSealed(party Case, to, packet *secure.Packet, z []byte) error {
	ciphertext, secret, err := link.XWingEncapsulate(to.Core.Bytes["ratchet_key"], party.data("kem_randomness"))
	return errors.Join(err,
		agree("ciphertext", ciphertext, packet.Core.Bytes["ciphertext"]),
		agree("secret", secret, z),
	)
}

func parametersOf(c Case) secure.Parameters {
	of := c.object("parameters")
	found := secure.Parameters{}
	for _, name := range []string{"rekey_messages", "rekey_s", "lifetime_s"} {
		found[name] = of.number(name)
	}
	if of.flag("franking") {
		found["franking"] = 1
	}
	return found
}
