package link

import (
	"encoding/base32"
	"strings"
)

var pinLetters = base32.StdEncoding.WithPadding(base32.NoPadding)

// PinText is how people pass a pin on. [ENV-28]
func PinText(serverID []byte) string { return strings.ToLower(pinLetters.EncodeToString(serverID)) }

// ReadPin takes both cases, spaces and hyphens. [ENV-28]
func ReadPin(text string) ([]byte, error) {
	letters := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text))
	id, err := pinLetters.DecodeString(letters)
	if err != nil || len(id) != 32 {
		return nil, faultf("parse", "not a pin")
	}
	if pinLetters.EncodeToString(id) != letters {
		return nil, faultf("parse", "bits beyond the 256")
	}
	return id, nil
}
