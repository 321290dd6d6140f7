package link

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"
)

// Preface of a raw link [LNK-2]; records follow in place of frames. [ENV-48]
var Preface = []byte{0xf0, 0x9f, 0x93, 0xaf, 1}

const (
	handshakeTime = 10 * time.Second // [ENV-19]
	// contentBytes go into one record at most. [ENV-9]
	contentBytes = 16_384
)

// Client is a device's end of a sealed link. Its errors are *Fault where the chapter says to refuse.
type Client struct {
	Suite          uint64
	ChannelBinding []byte
	conn           net.Conn
	up, down       *Direction
	updateAsked    bool
	ended          bool
}

// Dial connects and shakes hands with the service of a pin.
func Dial(address string, pin []byte, suites []uint64) (*Client, error) {
	conn, err := net.DialTimeout("tcp", address, handshakeTime)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(handshakeTime))
	client := &Client{conn: conn}
	if err := client.shakeHands(&Device{Suites: suites, Pins: [][]byte{pin}}); err != nil {
		return nil, client.refuse(err)
	}
	conn.SetDeadline(time.Time{})
	return client, nil
}

func (c *Client) shakeHands(device *Device) error {
	keys := PrivateKeys{XWingSeed: make([]byte, 32)}
	rand.Read(keys.XWingSeed)
	hello, err := c.sayHello(device, &keys)
	if err != nil {
		return err
	}
	record, err := c.readRecord()
	if err != nil {
		return err
	}
	if record[0] == TypeAlert {
		return errors.New("the service refuses the handshake")
	}
	if record[0] != TypeServerHello {
		return faultf("order", "a record of type %d", record[0])
	}
	answer, err := ReadServerHello(record[HeaderBytes:])
	if err != nil {
		return err
	}
	if c.Suite, err = device.JudgeServer(hello, answer); err != nil {
		return err
	}
	kemSecret, err := keys.Secret(answer)
	if err != nil {
		return err
	}
	hellos := [3][]byte{hello.CoreBytes, nil, answer.CoreBytes}
	return c.finish(answer, LinkSecrets(hellos, answer.Signature, Absent, kemSecret))
}

func (c *Client) sayHello(device *Device, keys *PrivateKeys) (*ClientHello, error) {
	core := newMessage()
	core.Numbers["version"] = 1
	core.Bytes["client_random"] = make([]byte, 32)
	rand.Read(core.Bytes["client_random"])
	core.Bytes["pinned_server_id"] = device.Pins[0]
	for _, suite := range device.Suites {
		public, err := keys.public(suite)
		if err != nil {
			return nil, err
		}
		offer := newMessage()
		offer.Numbers["suite"], offer.Bytes["public_key"] = suite, public
		core.Lists["offers"] = append(core.Lists["offers"], Encode(OfferSchema, offer))
	}
	hello := &ClientHello{CoreBytes: Encode(ClientCoreSchema, core)}
	outer := newMessage()
	outer.Bytes["core"] = hello.CoreBytes
	record := ClearRecord(TypeClientHello, Encode(ClientHelloSchema, outer))
	_, err := c.conn.Write(append(Preface, record...))
	return hello, err
}

// public makes the RSA key when it is offered: for this link alone. [ENV-23]
func (k *PrivateKeys) public(suite uint64) ([]byte, error) {
	if suite != 1 {
		key, err := NewXWingKey(k.XWingSeed)
		if err != nil {
			return nil, err
		}
		return key.Public, nil
	}
	private, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, err
	}
	if k.Rsa, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(&private.PublicKey)
}

func (c *Client) finish(answer *ServerHello, secrets Secrets) error {
	if !hmac.Equal(secrets["server_confirm"], answer.Confirm) {
		return faultf("confirm", "the service does not have the link's keys")
	}
	record := ClearRecord(TypeClientFinished, EncodeFinished(secrets["client_confirm"]))
	if _, err := c.conn.Write(record); err != nil {
		return err
	}
	limits := Limits{answer.Policy.RekeyRecords, answer.Policy.RekeyBytes}
	aead := Suites[c.Suite].Aead
	c.up = NewDirection(aead, secrets["c_traffic_1"], limits)
	c.down = NewDirection(aead, secrets["s_traffic_1"], limits)
	c.ChannelBinding = secrets["channel_binding"]
	return nil
}

// Send seals frames, and changes the key before it is used up. [ENV-37] [ENV-39]
func (c *Client) Send(frames []byte) error {
	for len(frames) > 0 {
		content := frames[:min(contentBytes, len(frames))]
		frames = frames[len(content):]
		if c.updateAsked || !c.up.HasRoom(len(content)) {
			if err := c.UpdateKey(false); err != nil {
				return err
			}
		}
		if err := c.seal("frames", content); err != nil {
			return err
		}
	}
	return nil
}

// UpdateKey takes a new key; requested asks the other side for one of its own. [ENV-39]
func (c *Client) UpdateKey(requested bool) error {
	c.updateAsked = false
	update := newMessage()
	if requested {
		update.Numbers["requested"] = 1
	}
	return c.seal("key_update", Encode(KeyUpdateSchema, update))
}

func (c *Client) seal(kind string, content []byte) error {
	record, err := c.up.Seal(kind, content)
	if err == nil {
		_, err = c.conn.Write(record)
	}
	return err
}

// Receive returns the next piece of the stream of frames; io.EOF when the service has ended it in order.
func (c *Client) Receive() ([]byte, error) {
	for !c.ended {
		record, err := c.readRecord()
		if err != nil {
			return nil, c.refuse(err)
		}
		kind, content, err := c.down.Open(record)
		if err != nil {
			return nil, c.refuse(err)
		}
		switch kind {
		case "frames":
			if len(content) > 0 {
				return content, nil
			}
		case "key_update":
			update, err := Decode(KeyUpdateSchema, content)
			if err != nil {
				return nil, c.refuse(err)
			}
			c.updateAsked = c.updateAsked || update.Numbers["requested"] == 1
		case "alert":
			return nil, errors.New("the service could not open a record")
		case "close":
			c.ended = true
		}
	}
	return nil, io.EOF
}

// Close ends the link in order. [ENV-51]
func (c *Client) Close() error {
	if !c.ended {
		if err := c.seal("close", nil); err != nil {
			return err
		}
	}
	return c.conn.Close()
}

// refuse answers a fault with one alert, and ends the link. [ENV-20] [ENV-50]
func (c *Client) refuse(why error) error {
	var fault *Fault
	if errors.As(why, &fault) {
		if c.up == nil {
			c.conn.Write(ClearRecord(TypeAlert, EncodeAlert(40)))
		} else {
			c.seal("alert", EncodeAlert(20))
		}
	}
	c.conn.Close()
	return why
}

func (c *Client) readRecord() ([]byte, error) {
	record := make([]byte, HeaderBytes)
	if _, err := io.ReadFull(c.conn, record); err != nil {
		return nil, truncated(err)
	}
	header, err := DecodeHeader(record)
	if err != nil {
		return nil, err
	}
	record = append(record, make([]byte, header.Length)...)
	_, err = io.ReadFull(c.conn, record[HeaderBytes:])
	return record, truncated(err)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the link ended without a sealed close")
	}
	return err
}
