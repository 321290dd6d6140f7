package main

import (
	"errors"
	"strconv"

	"posthorn/verify/link"
)

func checkSeal(c Case) error {
	seq, err := strconv.ParseUint(c.text("seq"), 10, 64)
	if err != nil {
		return err
	}
	inner, nonce := c.data("inner"), link.NonceOf(c.data("iv"), seq)
	header := link.Header{
		Type: link.TypeSealed, Epoch: uint16(c.number("epoch")), Seq: seq, Length: uint32(len(inner) + link.TagBytes),
	}.Encode()
	aead, err := link.NewAead(c.text("aead"), c.data("key"))
	if err != nil {
		return err
	}
	opened, err := aead.Open(nonce, header, c.data("record")[link.HeaderBytes:])
	if err != nil {
		return err
	}
	return errors.Join(
		agree("nonce", nonce, c.data("nonce")),
		agree("record", append(header, aead.Seal(nonce, header, inner)...), c.data("record")),
		agree("inner", opened, inner),
	)
}

func checkOpen(c Case) error {
	limits := link.Limits{Records: c.number("rekey_records"), Bytes: c.number("rekey_bytes")}
	direction := link.NewDirection(c.text("aead"), c.data("secret"), limits)
	records, opens := c.list("records_hex"), c.list("opens")
	expected := len(records)
	if c.wanted() != "" {
		expected--
	}
	if err := errors.Join(
		agree("key", direction.Key, c.data("key")),
		agree("iv", direction.Iv, c.data("iv")),
		same("records that open", len(opens), expected),
	); err != nil {
		return err
	}
	for at, opened := range opens {
		if err := checkOpened(direction, unhex(records[at].(string)), opened.(map[string]any)); err != nil {
			return err
		}
	}
	if len(opens) == len(records) {
		return nil
	}
	_, _, err := direction.Open(unhex(records[len(opens)].(string)))
	return err
}

func checkOpened(direction *link.Direction, record []byte, opens Case) error {
	kind, content, err := direction.Open(record)
	if err != nil {
		return disagreef("a record before is refused: %v", err)
	}
	return errors.Join(same("type", kind, opens.text("type")), agree("content", content, opens.data("content")))
}

func checkStream(c Case) error {
	stream := c.data("stream")
	found, fault, rest := link.Split(stream)
	expected, length := c.list("records_hex"), 0
	if err := same("records", len(found), len(expected)); err != nil {
		return err
	}
	for at, record := range found {
		length += len(record)
		if err := agree("record", record, unhex(expected[at].(string))); err != nil {
			return err
		}
	}
	if err := agree("rest", rest, stream[length:]); err != nil {
		return err
	}
	return fault
}

// checkDraft judges a link of envelope-handshake.json: its cores are any bytes, its values one by one.
func checkDraft(c Case) error {
	secret, err := draftSecret(c)
	if err != nil {
		return err
	}
	hellos := [3][]byte{c.data("ch_core"), c.data("binder"), c.data("sh_core")}
	text := link.ServerSignedText(hellos)
	if err := link.Ed25519Verify(c.data("server_ed25519_pk"), text, c.data("signature")); err != nil {
		return err
	}
	secrets := link.LinkSecrets(hellos, c.data("signature"), c.data("psk"), secret)
	wrong := []error{agree("kem_secret", secret, c.data("kem_secret")), agree("sig_input", text, c.data("sig_input"))}
	for name, value := range secrets {
		wrong = append(wrong, agree(name, value, c.data(name)))
	}
	next := link.XL(secrets["c_traffic_1"], "traffic upd", nil, 32)
	wrong = append(wrong, agree("c_traffic_2", next, c.data("c_traffic_2")))
	sources := [][]byte{secrets["c_traffic_1"], secrets["s_traffic_1"], next}
	for _, record := range c.list("records") {
		wrong = append(wrong, checkDraftRecord(c.number("suite"), sources, record.(map[string]any)))
	}
	return errors.Join(wrong...)
}

func draftSecret(c Case) ([]byte, error) {
	if c.number("suite") == 1 {
		key, err := link.NewRsaKey(c.data("rsa_pkcs8"))
		if err != nil {
			return nil, err
		}
		return key.Decrypt(c.data("kem_ct"))
	}
	key, err := link.NewXWingKey(c.data("kem_seed"))
	if err != nil {
		return nil, err
	}
	return key.Decapsulate(c.data("kem_ct"))
}

func checkDraftRecord(suite uint64, sources [][]byte, record Case) error {
	name := link.Suites[suite].Aead
	isOurs := false
	for _, source := range sources {
		key := link.XL(source, "key", nil, link.KeyBytes[name])
		iv := link.XL(source, "iv", nil, 12)
		isOurs = isOurs || (string(key) == string(record.data("key")) && string(iv) == string(record.data("iv")))
	}
	header, err := link.DecodeHeader(record.data("header_aad"))
	if err != nil {
		return err
	}
	aead, err := link.NewAead(name, record.data("key"))
	if err != nil {
		return err
	}
	nonce := link.NonceOf(record.data("iv"), header.Seq)
	return errors.Join(
		same("the key of a record is one of the link's", isOurs, true),
		agree("nonce", nonce, record.data("nonce")),
		agree("body", aead.Seal(nonce, record.data("header_aad"), record.data("plaintext")), record.data("body")),
	)
}
