package main

import (
	"errors"

	"posthorn/verify/link"
	"posthorn/verify/secure"
)

func checkSession(c Case) error {
	isInitiator := c.text("role") == "initiator"
	session := secure.NewSession(c.data("session_id"), c.data("root"), isInitiator, parametersOf(c), c.number("established_ms"))
	steps := c.objects("steps")
	for at, step := range steps {
		err := follow(session, step)
		var fault *link.Fault
		isRefused := errors.As(err, &fault)
		if at == len(steps)-1 && c.wanted() != "" && !step.has("fails") {
			return err // The case says with what it fails.
		}
		switch {
		case isRefused && (!step.has("fails") || step.text("fails") != fault.Kind):
			return disagreef("step %d fails with %v", at, fault)
		case !isRefused && err != nil:
			return err
		case !isRefused && step.has("fails"):
			return disagreef("step %d is taken", at)
		}
	}
	return nil
}

func drawnFor(step Case) (drawn secure.Drawn) {
	if step.has("answer") {
		drawn.Randomness = step.object("answer").data("randomness")
	}
	return drawn
}

func seal(session *secure.Session, given Case, content []byte, nowMs uint64, isEmpty bool) error {
	if err := same("whether a key is due", session.IsDue(nowMs), given.has("seed_hex")); err != nil {
		return err
	}
	drawn := secure.Drawn{Seed: given.maybe("seed"), FrankingKey: given.maybe("franking_key")}
	message, err := session.Seal(content, drawn, nowMs, isEmpty)
	if err != nil {
		return err
	}
	return agree("message", message, given.data("message"))
}

func follow(session *secure.Session, step Case) error {
	nowMs := step.number("at_ms")
	switch {
	case step.has("seals"):
		return seal(session, step.object("seals"), step.object("seals").data("content"), nowMs, false)
	case step.has("closes"):
		err := seal(session, step.object("closes"), secure.Empty(nowMs, 6), nowMs, true)
		session.Open = false
		return err
	}
	drawn := drawnFor(step)
	session.Answered = [2][]byte{}
	opened, err := session.Receive(step.data("message"), drawn, nowMs)
	if err != nil {
		return err
	}
	if !step.has("opens") {
		return nil // It was to be refused.
	}
	return errors.Join(checkOpening(opened, step.object("opens")), checkAnswered(session, step), reply(session, opened, step))
}

func checkOpening(opened *secure.Opened, opens Case) error {
	return errors.Join(
		same("epoch", opened.Epoch, opens.number("epoch")),
		same("n", opened.N, opens.number("n")),
		agree("content", opened.Content, opens.data("content")),
	)
}

func checkAnswered(session *secure.Session, step Case) error {
	if err := same("whether a key is answered", session.Answered[0] != nil, step.has("answer")); err != nil || !step.has("answer") {
		return err
	}
	answer := step.object("answer")
	return errors.Join(
		agree("ciphertext", session.Answered[0], answer.data("ciphertext")),
		agree("secret", session.Answered[1], answer.data("secret")),
	)
}

// reply [SEC-62]
func reply(session *secure.Session, opened *secure.Opened, step Case) error {
	if opened.Kind == "text" || opened.Kind == "custom" {
		session.Unanswered++
	}
	isDue := session.Open && opened.Kind != "nothing" && session.OwesReply()
	if err := same("whether a reply is due", isDue, step.has("replies")); err != nil || !isDue {
		return err
	}
	nowMs := step.number("at_ms")
	return seal(session, step.object("replies"), secure.Empty(nowMs, 5), nowMs, true)
}

// listener has what one device drew, and the roots that follow.
type listener struct {
	drawn       Case
	isInitiator bool
	id          []byte
	roots, keys map[uint64][]byte
}

func checkPassive(c Case) error {
	l := &listener{c.object("drawn"), c.text("role") == "initiator", nil, map[uint64][]byte{}, map[uint64][]byte{}}
	var packets []*secure.Packet
	for _, wired := range c.objects("log") {
		packet, err := secure.ReadPacket(wired.data("packet"))
		if err != nil {
			return err
		}
		packets = append(packets, packet)
	}
	if err := l.begin(c.object("devices"), packets[0], packets[1], packets[2]); err != nil {
		return err
	}
	plaintexts := c.objects("plaintexts")
	for at, wired := range c.objects("log")[3:] {
		if err := l.hear(wired.text("from"), packets[3+at], plaintexts[at]); err != nil {
			return err
		}
	}
	return same("plaintexts", len(packets)-3, len(plaintexts))
}

func (l *listener) begin(devices Case, offer, accept, confirm *secure.Packet) error {
	heard := [4][]byte{offer.CoreBytes, offer.Signature, accept.CoreBytes, accept.Signature}
	initiator, responder := secure.ReadDevice(devices.data("initiator")), secure.ReadDevice(devices.data("responder"))
	own, err := link.NewXWingKey(l.drawn.data("xwing_seed"))
	if err != nil {
		return err
	}
	kem := l.drawn.object("kem")
	opened, sealed, mine, theirs := accept, confirm, offer, accept
	if !l.isInitiator {
		opened, sealed, mine, theirs = confirm, accept, accept, offer
	}
	z, err := own.Decapsulate(opened.Core.Bytes["ciphertext"])
	if err != nil {
		return err
	}
	z1, z2 := z, kem.data("secret")
	if !l.isInitiator {
		z1, z2 = z2, z1
	}
	first := secure.FirstSecrets(heard, z1)
	last := secure.LastSecrets(heard, accept.Tag, confirm.CoreBytes, first["rk0"], z2)
	l.id, l.roots[1] = offer.Core.Bytes["session_id"], last["rk1"]
	return errors.Join(
		agree("from", secure.DeviceFingerprint(devices.data("initiator")), offer.Core.Bytes["from_device"]),
		agree("to", secure.DeviceFingerprint(devices.data("responder")), offer.Core.Bytes["to_device"]),
		initiator.Keys.Verify("offer", secure.TH(secure.P, heard[0]), offer.Signature),
		responder.Keys.Verify("accept", secure.TH(secure.P, heard[:3]...), accept.Signature),
		agree("ratchet_key", own.Public, mine.Core.Bytes["ratchet_key"]),
		checkAnswer(kem, theirs.Core.Bytes["ratchet_key"]),
		agree("ciphertext", kem.data("ciphertext"), sealed.Core.Bytes["ciphertext"]),
		agree("tag_r", first["tag_r"], accept.Tag),
		agree("tag_i", last["tag_i"], confirm.Tag),
	)
}

// nextEpoch begins with a ciphertext.
func (l *listener) nextEpoch(epoch uint64, ciphertext []byte) error {
	key := l.keys[epoch-1]
	for _, drawn := range l.drawn.objects("epochs") {
		if drawn.number("epoch") != epoch {
			continue
		}
		secret, err := l.secretOf(drawn, key, ciphertext)
		if err != nil {
			return err
		}
		transcript := secure.EpochTranscript(l.id, epoch, key, ciphertext)
		l.roots[epoch] = secure.NextRoot(secure.NextSalt(l.roots[epoch-1], epoch), secret, transcript)
	}
	return nil
}

func (l *listener) secretOf(drawn Case, key, ciphertext []byte) ([]byte, error) {
	if !drawn.has("seed_hex") {
		answer := drawn.object("answer")
		return answer.data("secret"), errors.Join(checkAnswer(answer, key), agree("ciphertext", answer.data("ciphertext"), ciphertext))
	}
	own, err := link.NewXWingKey(drawn.data("seed"))
	if err != nil {
		return nil, err
	}
	if err := agree("ratchet_key", own.Public, key); err != nil {
		return nil, err
	}
	return own.Decapsulate(ciphertext)
}

func (l *listener) hear(from string, packet *secure.Packet, plaintext Case) error {
	parts, err := secure.Split(packet.Message)
	if err != nil {
		return err
	}
	header, err := secure.ReadHeader(parts.Header)
	if err != nil {
		return err
	}
	if l.roots[header.Epoch] == nil {
		if err := l.nextEpoch(header.Epoch, header.Ciphertext); err != nil {
			return err
		}
	}
	chain := secure.ChainStart(l.roots[header.Epoch], map[string]string{"initiator": "i2r", "responder": "r2i"}[from], header.Epoch)
	for n := range header.N {
		chain = secure.NextChain(chain, n)
	}
	inner, err := parts.Open(secure.MessageKey(chain, header.N))
	if err != nil {
		return err
	}
	content, _, err := secure.DecodeInner(inner, false)
	if err != nil {
		return err
	}
	_, text, err := secure.ReadContent(content)
	if header.RatchetKey != nil {
		l.keys[header.Epoch] = header.RatchetKey
	}
	return errors.Join(err,
		same("from", from, plaintext.text("from")),
		same("epoch", header.Epoch, plaintext.number("epoch")),
		same("n", header.N, plaintext.number("n")),
		same("text", string(text), plaintext.text("text")),
	)
}
