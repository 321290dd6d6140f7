package main

import (
	"errors"

	"posthorn/verify/link"
	"posthorn/verify/secure"
)

// What a mistake gives must not come out.
func mistaken(c Case, name string, ours []byte) error {
	err := derived(c, name, ours)
	var fault *link.Fault
	if errors.As(err, &fault) {
		fault.Kind = "MISTAKE"
	}
	return err
}

func refuse(holds bool, kind, detail string) error {
	if holds {
		return nil
	}
	return &link.Fault{Kind: kind, Detail: detail}
}

func init() {
	for kind, check := range map[string]func(Case) error{
		"expand-sha512":     checkExpand512,
		"transcript-sha512": checkTranscript512,
		"padded":            checkPadded,
		"inner-text":        checkInnerText,
		"device":            checkDevice,
		"account":           checkAccount,
		"certificate":       checkCertificate,
		"safety-number":     checkSafetyNumber,
		"safety-code":       checkSafetyCode,
		"chat-schedule":     checkSchedule,
		"chat-handshake":    checkChatHandshake,
		"chain":             checkChain,
		"message":           checkMessage,
		"salamander":        checkSalamander,
		"session":           checkSession,
		"epochs":            checkEpochs,
		"report":            checkReport,
		"passive-client":    checkPassive,
	} {
		checks[kind] = check
	}
}

func (c Case) flag(name string) bool { return c[name].(bool) }

// maybe is nil for bytes that are not there.
func (c Case) maybe(name string) []byte {
	if !c.has(name + "_hex") {
		return nil
	}
	return c.data(name)
}

func (c Case) objects(name string) (found []Case) {
	for _, one := range c.list(name) {
		found = append(found, one.(map[string]any))
	}
	return found
}

func checkExpand512(c Case) error {
	length := int(c.number("length"))
	return mistaken(c, "out", secure.XL(c.data("secret"), c.text("label"), c.data("context"), length))
}

func checkTranscript512(c Case) error {
	name := "messages_hex"
	if !c.has(name) {
		name = "messages" // A list of no bytes has no suffix.
	}
	var messages [][]byte
	for _, message := range c.list(name) {
		messages = append(messages, unhex(message.(string)))
	}
	return mistaken(c, "out", secure.TH(c.text("label"), messages...))
}

func checkPadded(c Case) error {
	before := uint64(4)
	if c.flag("franking") {
		before = 36
	}
	size := secure.Bucket(c.number("content_bytes") + before)
	if err := refuse(size > 0, "MESSAGE_TOO_LARGE", "too much"); err != nil {
		return err
	}
	return same("inner_bytes", size, c.number("inner_bytes"))
}

func checkInnerText(c Case) error {
	content, key, err := secure.DecodeInner(c.data("inner"), c.flag("franking"))
	if err != nil {
		return err
	}
	again, err := secure.EncodeInner(content, key)
	return errors.Join(err,
		agree("content", content, c.data("content")),
		agree("franking_key", key, c.maybe("franking_key")),
		agree("inner", again, c.data("inner")),
	)
}

func checkDevice(c Case) error {
	device := secure.ReadDevice(c.data("device"))
	if device == nil {
		return refuse(false, "CERTIFICATE_INVALID", "no device")
	}
	return errors.Join(
		same("user_id", device.UserID, c.text("user_id")),
		same("device_id", device.DeviceID, c.text("device_id")),
		agree("ed25519", device.Ed25519, c.data("ed25519")),
		agree("ml_dsa_65", device.MlDsa65, c.data("ml_dsa_65")),
		agree("fingerprint", secure.DeviceFingerprint(c.data("device")), c.data("fingerprint")),
		agree("device", device.Encode(), c.data("device")),
	)
}

func keysOf(c Case) secure.Keys {
	return secure.Keys{Ed25519: c.data("ed25519"), MlDsa65: c.data("ml_dsa_65")}
}

func checkAccount(c Case) error {
	keys := keysOf(c)
	return agree("fingerprint", secure.AccountFingerprint(keys.Ed25519, keys.MlDsa65), c.data("fingerprint"))
}

// isUnlooked: the signature is to be refused, and its Ed25519 half is right.
func isUnlooked(c Case) bool {
	return c.wanted() == "SECURE_SIGNATURE_INVALID" || c.wanted() == "CERTIFICATE_INVALID"
}

func checkCertificate(c Case) error {
	core, signature := c.data("core"), c.data("signature")
	account := keysOf(c.object("account"))
	found, err := secure.ReadCertificate(core, signature, account, c.text("user_id"), c.number("now_ms"))
	if err != nil {
		return err
	}
	if isUnlooked(c) {
		return link.MlDsa65
	}
	certified := c.object("certified")
	half := secure.Sign(c.data("ed25519_seed"), "certificate", secure.TH(secure.P, core))
	return errors.Join(
		same("device_id", found.DeviceID, certified.text("device_id")),
		same("created_ms", found.CreatedMs, certified.number("created_ms")),
		same("expires_ms", found.ExpiresMs, certified.number("expires_ms")),
		agree("fingerprint", found.Fingerprint, certified.data("fingerprint")),
		agree("Ed25519", half, signature[:64]),
	)
}

func personOf(c Case) secure.Person { return secure.Person{UserID: c.text("user_id"), Keys: keysOf(c)} }

func checkSafetyNumber(c Case) error {
	digits := secure.SafetyNumber(personOf(c.object("own")), personOf(c.object("peer")))
	return refuse(digits == c.text("digits"), "MISTAKE", digits)
}

func checkSafetyCode(c Case) error {
	own, peer := personOf(c.object("own")), personOf(c.object("peer"))
	return errors.Join(
		agree("what is shown", secure.SafetyCode(own, peer), c.data("shows")),
		same("verdict", secure.JudgeCode(c.data("scanned"), own, peer), c.text("verdict")),
	)
}

func checkKeys(c Case) error {
	keys := secure.NewSealingKeys(c.data("message_key"))
	return errors.Join(
		agree("enc", keys.Enc, c.data("enc")),
		agree("nonce", keys.Nonce, c.data("nonce")),
		agree("tag_key", keys.TagKey, c.data("tag_key")),
	)
}

func checkChain(c Case) error {
	at, n := secure.ChainStart(c.data("root"), c.text("direction"), c.number("epoch")), uint64(0)
	for _, keys := range c.objects("keys") {
		for ; n < keys.number("n"); n++ {
			at = secure.NextChain(at, n)
		}
		err := errors.Join(
			agree("chain", at, keys.data("chain")),
			agree("message_key", secure.MessageKey(at, n), keys.data("message_key")),
			checkKeys(keys),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func checkMessage(c Case) error {
	parts, err := secure.Split(c.data("message"))
	if err != nil {
		return err
	}
	header, err := secure.ReadHeader(parts.Header)
	if err != nil {
		return err
	}
	inner, err := parts.Open(c.data("message_key"))
	if err != nil {
		return err
	}
	sealed, err := secure.Seal(c.data("message_key"), c.data("header"), c.data("inner"))
	return errors.Join(err, checkKeys(c),
		agree("header", parts.Header, c.data("header")),
		agree("header again", header.Encode(), parts.Header),
		agree("ciphertext", parts.Ciphertext, c.data("ciphertext")),
		agree("tag", parts.Tag, c.data("tag")),
		agree("inner", inner, c.data("inner")),
		agree("message", sealed, c.data("message")),
	)
}

func checkSalamander(c Case) error {
	header, ciphertext := c.data("header"), c.data("ciphertext")
	tags := map[string]bool{}
	for _, one := range c.objects("keys") {
		keys := secure.NewSealingKeys(one.data("message_key"))
		if _, err := keys.GcmOpen(header, ciphertext); err != nil {
			return err
		}
		tag := keys.Tag(header, ciphertext)
		tags[string(tag)] = true
		if err := agree("tag", tag, one.data("tag")); err != nil {
			return err
		}
	}
	return same("different TAGs", len(tags), 2)
}

func checkEpochs(c Case) error {
	root := c.data("root")
	for _, of := range c.objects("epochs") {
		key, err := link.NewXWingKey(of.data("ratchet_seed"))
		if err != nil {
			return err
		}
		secret, err := key.Decapsulate(of.data("ciphertext"))
		if err != nil {
			return err
		}
		epoch := of.number("epoch")
		salt := secure.NextSalt(root, epoch)
		transcript := secure.EpochTranscript(c.data("session_id"), epoch, key.Public, of.data("ciphertext"))
		root = secure.NextRoot(salt, secret, transcript)
		err = errors.Join(
			checkAnswer(of, key.Public),
			agree("ratchet_key", key.Public, of.data("ratchet_key")),
			agree("secret", secret, of.data("secret")),
			agree("salt", salt, of.data("salt")),
			agree("transcript", transcript, of.data("transcript")),
		)
		if err != nil {
			return err
		}
		if err := mistaken(of, "root", root); err != nil {
			return err
		}
		chains := of.object("chains")
		for _, direction := range []string{"i2r", "r2i"} {
			chain := secure.ChainStart(root, direction, epoch)
			if err := agree(direction, chain, chains.data(direction)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkAnswer encapsulates again where randomness is given.
func checkAnswer(c Case, public []byte) error {
	if !c.has("randomness_hex") {
		return nil
	}
	ciphertext, secret, err := link.XWingEncapsulate(public, c.data("randomness"))
	return errors.Join(err,
		agree("ciphertext", ciphertext, c.data("ciphertext")),
		agree("secret", secret, c.data("secret")),
	)
}

func checkReport(c Case) error {
	commitment := c.data("commitment")
	stamp := secure.Stamp(c.data("service_key"), commitment, c.data("from"), c.data("to"), c.number("time_ms"))
	isCommitted := string(secure.Commitment(c.data("franking_key"), c.data("inner"))) == string(commitment)
	return refuse(isCommitted && string(stamp) == string(c.data("stamp")), "REPORT", "it proves nothing")
}
