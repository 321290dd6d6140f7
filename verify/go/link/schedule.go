package link

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

const linkLabel = "phorn-link-1"

// Absent stands for a secret that there is none of.
var Absent = make([]byte, 32)

func Sha256(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

func Hmac(key, data []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}

func lv8(data []byte) []byte { return slices.Concat([]byte{byte(len(data))}, data) }

func lv32(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// TH hashes byte strings as they were carried. [ENV-1]
func TH(label string, items ...[]byte) []byte {
	text := lv8([]byte(label))
	for _, item := range items {
		text = append(text, lv32(item)...)
	}
	return Sha256(text)
}

// XL derives a secret for one purpose. [ENV-2]
func XL(secret []byte, label string, context []byte, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = slices.Concat(info, lv8([]byte("phorn1 "+label)), lv8(context))
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		panic(err) // Only for lengths that nobody here asks for.
	}
	return out
}

func xl32(secret []byte, label string, context []byte) []byte { return XL(secret, label, context, 32) }

// SignedText has the form of RFC 8446 §4.4.3. [ENV-14]
func SignedText(context string, meant []byte) []byte {
	spaces := slices.Repeat([]byte{' '}, 64)
	return slices.Concat(spaces, []byte(context), []byte{0}, meant)
}

// ServerSignedText takes both cores with the binder between them.
func ServerSignedText(hellos [3][]byte) []byte {
	return SignedText("Posthorn link v1 server signature", TH(linkLabel, hellos[:]...))
}

// Secrets by the names of chapter 11.
type Secrets map[string][]byte

// LinkSecrets takes both cores with the binder between them, and the signature. [ENV-15]
func LinkSecrets(hellos [3][]byte, signature, psk, kemSecret []byte) Secrets {
	heard := append(hellos[:], signature)
	th2 := TH(linkLabel, heard...)
	prk, err := hkdf.Extract(sha256.New, slices.Concat(psk, kemSecret), th2)
	if err != nil {
		panic(err)
	}
	serverConfirm := Hmac(xl32(prk, "s confirm", th2), th2)
	heard = append(heard, serverConfirm)
	th3 := TH(linkLabel, heard...)
	clientConfirm := Hmac(xl32(prk, "c confirm", th2), th3)
	th4 := TH(linkLabel, append(heard, clientConfirm)...)
	return Secrets{
		"th1":             TH(linkLabel, hellos[:]...),
		"th2":             th2,
		"prk":             prk,
		"server_confirm":  serverConfirm,
		"th3":             th3,
		"client_confirm":  clientConfirm,
		"th4":             th4,
		"c_traffic_1":     xl32(prk, "c traffic", th4),
		"s_traffic_1":     xl32(prk, "s traffic", th4),
		"resumption":      xl32(prk, "resumption", th4),
		"channel_binding": xl32(xl32(prk, "exporter", th4), "channel binding", nil),
	}
}

// TicketSecret is what a ticket stands for. [ENV-42]
func TicketSecret(resumption, ticketID []byte) []byte { return xl32(resumption, "ticket", ticketID) }

// Binder is the proof in a ClientHello. [ENV-43]
func Binder(psk, clientCore []byte) []byte {
	return Hmac(xl32(psk, "binder", nil), TH(linkLabel+" binder", clientCore))
}

// ServerID is what devices pin. [ENV-27]
func ServerID(ed25519, mlDsa65 []byte) []byte { return TH("phorn-pin-1", ed25519, mlDsa65) }

// LoginText is what a device signs. [ENV-35]
func LoginText(channelBinding []byte, account, deviceID string) []byte {
	names := slices.Concat(lv8([]byte(account)), lv8([]byte(deviceID)))
	return SignedText("Posthorn login v1", slices.Concat(channelBinding, names))
}

// LoginMac is the service's answer. [ENV-36]
func LoginMac(registrationSecret, channelBinding []byte) []byte {
	return Hmac(registrationSecret, slices.Concat([]byte("Posthorn login srv v1"), channelBinding))
}
