package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"posthorn/verify/link"
)

// Disagreement is a vector that says something else than what is found here.
type Disagreement struct{ text string }

func (d *Disagreement) Error() string { return d.text }

func disagreef(format string, args ...any) error { return &Disagreement{fmt.Sprintf(format, args...)} }

// Case is a vector, as JSON has it.
type Case map[string]any

// The readers below panic for members that are missing or of another type: the case cannot be judged then.
func (c Case) text(name string) string { return c[name].(string) }

func (c Case) number(name string) uint64 { return uint64(c[name].(float64)) }

func (c Case) data(name string) []byte { return unhex(c.text(name + "_hex")) }

func (c Case) list(name string) []any { return c[name].([]any) }

func (c Case) object(name string) Case { return c[name].(map[string]any) }

func (c Case) has(name string) bool { _, is := c[name]; return is }

// wanted is the class that the case fails with; empty for a valid one.
func (c Case) wanted() string {
	if expect, is := c["expect"].(map[string]any); is {
		return expect["fails"].(string)
	}
	return ""
}

func unhex(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}

func agree(what string, ours, theirs []byte) error {
	if bytes.Equal(ours, theirs) {
		return nil
	}
	return disagreef("%s is %.80x, the vector says %.80x", what, ours, theirs)
}

func same[T comparable](what string, ours, theirs T) error {
	if ours == theirs {
		return nil
	}
	return disagreef("%s is %v, the vector says %v", what, ours, theirs)
}

// derived compares what may be wrong on purpose: what a mistake gives.
func derived(c Case, name string, ours []byte) error {
	if bytes.Equal(ours, c.data(name)) {
		return nil
	}
	return &link.Fault{Kind: "confirm", Detail: fmt.Sprintf("%s is %x", name, ours)}
}

var checks = map[string]func(Case) error{
	"expand":            checkExpand,
	"transcript":        checkTranscript,
	"padding":           checkPadding,
	"inner":             checkInner,
	"seal":              checkSeal,
	"open":              checkOpen,
	"stream":            checkStream,
	"rsa-decrypt":       checkRsaDecrypt,
	"rsa-key":           func(c Case) error { return link.RsaJudge(c.data("public_key")) },
	"xwing-encapsulate": checkXWingEncapsulate,
	"xwing-decapsulate": checkXWingDecapsulate,
	"signature":         checkSignature,
	"pin":               checkPin,
	"pin-text":          checkPinText,
	"login":             checkLogin,
	"login-answer":      checkLoginAnswer,
	"ticket":            checkTicket,
	"binder":            checkBinder,
	"link":              checkLink,
	"draft-link":        checkDraft,
	"handshake":         checkHandshake,
}

// kind of a case; the files beside the folder have none.
func (c Case) kind() string {
	switch {
	case c.has("kind"):
		return c.text("kind")
	case c.has("side"):
		return "handshake"
	case c.has("suite"):
		return "draft-link"
	case c.has("secret_hex"):
		return "expand"
	}
	return "transcript"
}

// judge returns what is wrong with a case, or the primitive that is lacking.
func judge(c Case) (wrong string, lacking *link.Skipped) {
	defer func() {
		if broken := recover(); broken != nil {
			wrong = fmt.Sprintf("cannot be judged: %v", broken)
		}
	}()
	kind, wanted := c.kind(), c.wanted()
	if kind == "handshake" {
		wanted = "" // It compares the code itself.
	}
	check, isKnown := checks[kind]
	if !isKnown {
		return "is of an unknown kind", nil
	}
	err := check(c)
	var fault *link.Fault
	switch {
	case errors.As(err, &lacking):
		return "", lacking
	case err == nil && wanted != "":
		return "is accepted, but fails with " + wanted, nil
	case err == nil:
		return "", nil
	case !errors.As(err, &fault):
		return err.Error(), nil
	case fault.Kind != wanted:
		return fmt.Sprintf("fails with %v, not %q", fault, wanted), nil
	}
	return "", nil
}

func checkExpand(c Case) error {
	length := int(c.number("length"))
	return derived(c, "out", link.XL(c.data("secret"), c.text("label"), c.data("context"), length))
}

func checkTranscript(c Case) error {
	var messages [][]byte
	for _, message := range c.list("messages_hex") {
		messages = append(messages, unhex(message.(string)))
	}
	return derived(c, "out", link.TH(c.text("label"), messages...))
}

func checkPadding(c Case) error {
	ours := uint64(link.Padded(int(c.number("content_bytes"))))
	return same("inner_bytes", ours, c.number("inner_bytes"))
}

func checkInner(c Case) error {
	kind, content, err := link.DecodeInner(c.data("inner"))
	if err != nil {
		return err
	}
	return errors.Join(same("type", kind, c.text("type")), agree("content", content, c.data("content")))
}

func checkRsaDecrypt(c Case) error {
	key, err := link.NewRsaKey(c.data("private_key"))
	if err != nil {
		return err
	}
	if err := agree("public_key", key.Public, c.data("public_key")); err != nil {
		return err
	}
	secret, err := key.Decrypt(c.data("ciphertext"))
	if err != nil {
		return err
	}
	return agree("secret", secret, c.data("secret"))
}

func checkXWingDecapsulate(c Case) error {
	key, err := link.NewXWingKey(c.data("seed"))
	if err != nil {
		return err
	}
	if err := agree("public_key", key.Public, c.data("public_key")); err != nil {
		return err
	}
	secret, err := key.Decapsulate(c.data("ciphertext"))
	if err != nil {
		return err
	}
	return agree("secret", secret, c.data("secret"))
}

func checkXWingEncapsulate(c Case) error {
	var randomness []byte
	if c.has("randomness_hex") {
		randomness = c.data("randomness")
	}
	ciphertext, secret, err := link.XWingEncapsulate(c.data("public_key"), randomness)
	if err != nil {
		return err
	}
	if err := agree("ciphertext", ciphertext, c.data("ciphertext")); err != nil {
		return err
	}
	if err := agree("secret", secret, c.data("secret")); err != nil {
		return err
	}
	return checkXWingDecapsulate(c)
}

func checkSignature(c Case) error {
	keys := link.Identity{Ed25519: c.data("ed25519"), MlDsa65: c.data("ml_dsa_65")}
	return keys.Verify(c.number("algorithm"), c.data("text"), c.data("signature"))
}

func checkPin(c Case) error {
	id := link.ServerID(c.data("ed25519"), c.data("ml_dsa_65"))
	read, err := link.ReadPin(c.text("text"))
	if err != nil {
		return err
	}
	return errors.Join(
		agree("server_id", id, c.data("server_id")),
		same("text", link.PinText(id), c.text("text")),
		agree("what is read", read, id),
	)
}

func checkPinText(c Case) error {
	id, err := link.ReadPin(c.text("text"))
	if err != nil {
		return err
	}
	return agree("server_id", id, c.data("server_id"))
}

func checkLogin(c Case) error {
	text := link.LoginText(c.data("channel_binding"), c.text("account"), c.text("device_id"))
	return link.Ed25519Verify(c.data("public_key"), text, c.data("signature"))
}

func checkLoginAnswer(c Case) error {
	return derived(c, "mac", link.LoginMac(c.data("registration_secret"), c.data("channel_binding")))
}

func checkTicket(c Case) error {
	return derived(c, "psk", link.TicketSecret(c.data("resumption"), c.data("ticket_id")))
}

func checkBinder(c Case) error {
	return derived(c, "binder", link.Binder(c.data("psk"), c.data("core")))
}
