package link

// PrivateKeys of a device's offers: the seed of its X-Wing key, the PKCS #8 of its RSA key.
type PrivateKeys struct{ XWingSeed, Rsa []byte }

// Secret is the suite's secret as the device finds it. [ENV-22] [ENV-24] [ENV-25]
func (k PrivateKeys) Secret(hello *ServerHello) ([]byte, error) {
	switch hello.Suite {
	case 0:
		if len(hello.Ciphertext) > 0 {
			return nil, faultf("kem", "a ciphertext without a key")
		}
		return Absent, nil
	case 1:
		return k.rsaSecret(hello.Ciphertext)
	}
	key, err := NewXWingKey(k.XWingSeed)
	if err != nil {
		return nil, err
	}
	return key.Decapsulate(hello.Ciphertext)
}

func (k PrivateKeys) rsaSecret(ciphertext []byte) ([]byte, error) {
	key, err := NewRsaKey(k.Rsa)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) != key.Size() {
		return nil, faultf("kem", "an RSA ciphertext of %d bytes", len(ciphertext))
	}
	secret, err := key.Decrypt(ciphertext)
	if err != nil {
		// Any bytes fail at the confirm, which is the point. [ENV-24]
		return Sha256(ciphertext), nil
	}
	return secret, nil
}
