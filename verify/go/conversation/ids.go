// Package conversation is what clients need of chapter 16, written from that chapter with nothing but Go's standard library.
package conversation

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"posthorn/verify/link"
)

func faultf(kind, format string, args ...any) *link.Fault {
	return &link.Fault{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// DirectID of two users, whoever writes first. [CNV-1]
func DirectID(one, other string) string {
	return "d:" + min(one, other) + ":" + max(one, other)
}

// MadeID of what a user makes with a nonce. [CNV-2]
func MadeID(user string, nonce []byte) (string, error) {
	if len(nonce) != 16 {
		return "", faultf("CONVERSATION_INVALID", "a nonce of %d bytes", len(nonce))
	}
	hash := sha256.Sum256(append([]byte("posthorn conversation 1\x00"+user+"\x00"), nonce...))
	return "g:" + strings.ToLower(base32.StdEncoding.EncodeToString(hash[:]))[:26], nil
}

var (
	made = regexp.MustCompile(`\Ag:[a-z2-7]{26}\z`)
	user = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\z`)
)

// ReadID returns the users of a direct conversation, and none of others.
func ReadID(id string) ([]string, error) {
	if made.MatchString(id) {
		return nil, nil
	}
	parts := strings.Split(id, ":")
	isDirect := len(parts) == 3 && user.MatchString(parts[1]) && user.MatchString(parts[2])
	if !isDirect || DirectID(parts[1], parts[2]) != id {
		return nil, faultf("CONVERSATION_UNKNOWN", "%q", id)
	}
	return parts[1:], nil
}
