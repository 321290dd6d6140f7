package secure

import (
	"posthorn/verify/link"
)

const (
	window   = 256
	keptMost = 512
	dayMs    = 86_400_000
	hourMs   = 3_600_000
)

// chain has the keys of the other side's messages of an epoch.
type chain struct {
	epoch, next       uint64
	key               []byte
	pn, end, oldSince *uint64
	offered, answered []byte
}

// reach returns the keys of all places up to n, from next on, and the chain's behind it.
func (c *chain) reach(n uint64) (keys [][]byte, behind []byte) {
	behind = c.key
	for place := c.next; place <= n; place++ {
		keys = append(keys, MessageKey(behind, place))
		behind = NextChain(behind, place)
	}
	return keys, behind
}

func (c *chain) growOld(nowMs uint64, end *uint64) {
	if c.oldSince == nil {
		c.oldSince = &nowMs
	}
	if c.end == nil {
		c.end = end
	}
	c.dropAtEnd()
}

func (c *chain) dropAtEnd() {
	if c.end != nil && c.next >= *c.end {
		c.key = nil
	}
}

// holds a place that was not passed yet. [SEC-53] [SEC-61]
func (c *chain) holds(n, nowMs uint64) bool {
	isOld := c.oldSince != nil && nowMs >= *c.oldSince+hourMs
	return c.key != nil && !isOld && (c.end == nil || n < *c.end) && n-c.next <= window
}

type place struct{ epoch, n uint64 }

type keptKey struct {
	place
	key   []byte
	until uint64
}

type carried struct {
	isKey bool
	bytes []byte
	count int
}

// Drawn is what a side would draw for one call.
type Drawn struct{ Seed, FrankingKey, Randomness []byte }

// Session is one side, with what it would draw given.
type Session struct {
	id                             []byte
	isInitiator                    bool
	parameters                     Parameters
	establishedMs, lastMs, sinceMs uint64
	epoch, n, pn, count            uint64
	Unanswered                     uint64
	Open                           bool
	sending, salt, seed            []byte
	chains                         []*chain
	kept                           []keptKey
	carried                        *carried
	// Answered is the last ciphertext that was made here, and its secret.
	Answered [2][]byte
}

func NewSession(id, root []byte, isInitiator bool, parameters Parameters, establishedMs uint64) *Session {
	s := &Session{id: id, isInitiator: isInitiator, parameters: parameters, Open: true}
	s.establishedMs, s.lastMs = establishedMs, establishedMs
	s.begin(root, 1, establishedMs, nil)
	return s
}

func (s *Session) theirs() string {
	if s.isInitiator {
		return "r2i"
	}
	return "i2r"
}

func (s *Session) own() string {
	if s.isInitiator {
		return "i2r"
	}
	return "r2i"
}

// begin [SEC-41] [SEC-57] [SEC-58]
func (s *Session) begin(root []byte, epoch, nowMs uint64, begun *chain) {
	s.pn, s.n, s.epoch = s.n, 0, epoch
	s.sending = ChainStart(root, s.own(), epoch)
	if begun == nil {
		begun = &chain{epoch: epoch, key: ChainStart(root, s.theirs(), epoch)}
	}
	s.chains = append(s.chains, begun)
	if len(s.chains) > 3 {
		s.chains = s.chains[1:]
	}
	s.salt = NextSalt(root, epoch+1)
	s.sinceMs, s.count, s.carried, s.seed = nowMs, 0, nil, nil
}

// offers [SEC-55]
func offers(epoch uint64, isInitiator bool) bool { return (epoch%2 == 1) == isInitiator }

// expire [SEC-64]
func (s *Session) expire(nowMs uint64) error {
	if nowMs >= min(s.establishedMs+1000*min(s.parameters["lifetime_s"], 604_800), s.lastMs+dayMs) {
		s.Open = false
	}
	return need(s.Open, "SECURE_NOT_OPEN", "the session is over")
}

// IsDue says whether the next message carries a fresh key. [SEC-55]
func (s *Session) IsDue(nowMs uint64) bool {
	isOld := nowMs-s.sinceMs >= 1000*s.parameters["rekey_s"]
	isTurn := s.carried == nil && offers(s.epoch, s.isInitiator)
	return isTurn && (isOld || s.count >= s.parameters["rekey_messages"])
}

// Seal a content; isEmpty for those that carry a step in any case. [SEC-56]
func (s *Session) Seal(content []byte, drawn Drawn, nowMs uint64, isEmpty bool) ([]byte, error) {
	if err := s.expire(nowMs); err != nil {
		return nil, err
	}
	if s.IsDue(nowMs) {
		key, err := link.NewXWingKey(drawn.Seed)
		if err != nil {
			return nil, err
		}
		s.seed, s.carried = drawn.Seed, &carried{isKey: true, bytes: key.Public}
	}
	header := &Header{SessionID: s.id, Epoch: s.epoch, N: s.n, Pn: s.pn}
	inner, err := EncodeInner(content, drawn.FrankingKey)
	if err != nil {
		return nil, err
	}
	if s.parameters["franking"] == 1 {
		header.Commitment = Commitment(drawn.FrankingKey, inner[32:])
	}
	s.carry(header, isEmpty)
	message, err := Seal(MessageKey(s.sending, s.n), header.Encode(), inner)
	s.sending = NextChain(s.sending, s.n)
	s.n, s.count, s.Unanswered = s.n+1, s.count+1, 0
	s.lastMs = max(s.lastMs, nowMs)
	return message, err
}

func (s *Session) carry(header *Header, isEmpty bool) {
	if s.carried == nil {
		return
	}
	count := s.carried.count
	s.carried.count++
	if !isEmpty && count >= 3 && count%8 != 2 {
		return
	}
	if s.carried.isKey {
		header.RatchetKey = s.carried.bytes
	} else {
		header.Ciphertext = s.carried.bytes
	}
}

// Opened is what a message was.
type Opened struct {
	Epoch, N uint64
	Content  []byte
	Kind     string
}

type found struct {
	key, behind, root []byte
	keys              [][]byte
	chain             *chain
	kept              int
}

// Receive [SEC-51]
func (s *Session) Receive(message []byte, drawn Drawn, nowMs uint64) (*Opened, error) {
	if err := s.expire(nowMs); err != nil {
		return nil, err
	}
	parts, err := Split(message)
	if err != nil {
		return nil, err
	}
	header, err := ReadHeader(parts.Header)
	if err != nil {
		return nil, err
	}
	isFranked := s.parameters["franking"] == 1
	if !equal(header.SessionID, s.id) {
		return nil, faultf("SECURE_SESSION_UNKNOWN", "another session")
	}
	if (header.Commitment != nil) != isFranked {
		return nil, faultf(malformed, "franking is not as agreed on")
	}
	at, err := s.locate(header, nowMs)
	if err != nil {
		return nil, err
	}
	inner, err := parts.Open(at.key)
	if err != nil {
		return nil, err
	}
	content, frankingKey, err := DecodeInner(inner, isFranked)
	if err != nil {
		return nil, err
	}
	if isFranked && !equal(Commitment(frankingKey, inner[32:]), header.Commitment) {
		return nil, faultf(malformed, "the commitment")
	}
	if err := s.take(header, at, drawn, nowMs); err != nil {
		s.Open = false
		return nil, err
	}
	kind, _, err := ReadContent(content)
	if kind == "close" {
		s.Open = false
	}
	return &Opened{header.Epoch, header.N, content, kind}, err
}

func (s *Session) chainOf(epoch uint64) *chain {
	for _, one := range s.chains {
		if one.epoch == epoch {
			return one
		}
	}
	return nil
}

func (s *Session) locate(header *Header, nowMs uint64) (*found, error) {
	if header.Epoch == s.epoch+1 {
		return s.locateNext(header)
	}
	c := s.chainOf(header.Epoch)
	for at, one := range s.kept {
		if one.place == (place{header.Epoch, header.N}) && nowMs < one.until {
			return &found{key: one.key, chain: c, kept: at}, nil
		}
	}
	if c != nil && header.N < c.next {
		return nil, faultf("SECURE_REPLAYED", "here before")
	}
	if c == nil || !c.holds(header.N, nowMs) {
		return nil, faultf("SECURE_OUT_OF_WINDOW", "too far away")
	}
	keys, behind := c.reach(header.N)
	return &found{key: keys[len(keys)-1], keys: keys, behind: behind, chain: c}, nil
}

// locateNext [SEC-58]
func (s *Session) locateNext(header *Header) (*found, error) {
	if s.seed == nil || header.Ciphertext == nil || header.N > window {
		return nil, faultf("SECURE_OUT_OF_WINDOW", "an epoch that has not begun")
	}
	own, err := link.NewXWingKey(s.seed)
	if err != nil {
		return nil, err
	}
	secret, err := own.Decapsulate(header.Ciphertext)
	if err != nil {
		return nil, as("SECURE_KEY_INVALID", err)
	}
	root := NextRoot(s.salt, secret, EpochTranscript(s.id, header.Epoch, own.Public, header.Ciphertext))
	c := &chain{epoch: header.Epoch, key: ChainStart(root, s.theirs(), header.Epoch), answered: header.Ciphertext}
	keys, behind := c.reach(header.N)
	return &found{key: keys[len(keys)-1], keys: keys, behind: behind, chain: c, root: root}, nil
}

// contradict [SEC-55] [SEC-59] [SEC-60]
func (s *Session) contradict(header *Header, c *chain) error {
	if c == nil {
		return nil
	}
	before := s.chainOf(c.epoch - 1)
	isFirst := c.offered == nil && c.epoch == s.epoch
	detail := ""
	switch {
	case c.pn == nil && before != nil && header.Pn < before.next, c.pn != nil && *c.pn != header.Pn:
		detail = "another pn"
	case header.Ciphertext != nil && !equal(header.Ciphertext, c.answered):
		detail = "another ciphertext"
	case header.RatchetKey != nil && !offers(c.epoch, !s.isInitiator):
		detail = "a key out of turn"
	case header.RatchetKey != nil && !isFirst && !equal(header.RatchetKey, c.offered):
		detail = "another key"
	}
	return need(detail == "", "SECURE_RATCHET_BROKEN", detail)
}

func (s *Session) take(header *Header, at *found, drawn Drawn, nowMs uint64) error {
	if err := s.contradict(header, at.chain); err != nil {
		return err
	}
	if at.root != nil {
		s.begin(at.root, header.Epoch, nowMs, at.chain)
	}
	if at.keys == nil {
		s.kept = append(s.kept[:at.kept:at.kept], s.kept[at.kept+1:]...)
	} else {
		s.passBy(at, header, nowMs)
	}
	if at.chain != nil {
		at.chain.pn = &header.Pn
	}
	for _, earlier := range s.chains {
		if earlier.epoch+1 == header.Epoch {
			earlier.growOld(nowMs, &header.Pn)
		} else if earlier.epoch < header.Epoch {
			earlier.growOld(nowMs, nil)
		}
	}
	if header.Epoch == s.epoch {
		s.count++
		if s.carried != nil && !s.carried.isKey {
			s.carried = nil
		}
	}
	s.lastMs = max(s.lastMs, nowMs)
	if header.RatchetKey != nil && at.chain != nil && at.chain.offered == nil {
		return s.answer(header.RatchetKey, at.chain, drawn, nowMs)
	}
	return nil
}

// passBy [SEC-53]
func (s *Session) passBy(at *found, header *Header, nowMs uint64) {
	for index, key := range at.keys[:len(at.keys)-1] {
		where := place{header.Epoch, at.chain.next + uint64(index)}
		s.kept = append(s.kept, keptKey{where, key, nowMs + dayMs})
	}
	s.kept = s.kept[max(0, len(s.kept)-keptMost):]
	at.chain.key, at.chain.next = at.behind, header.N+1
	at.chain.dropAtEnd()
}

// answer [SEC-57]
func (s *Session) answer(public []byte, c *chain, drawn Drawn, nowMs uint64) error {
	ciphertext, secret, err := link.XWingEncapsulate(public, drawn.Randomness)
	if err != nil {
		return as("SECURE_RATCHET_BROKEN", err)
	}
	s.Answered = [2][]byte{ciphertext, secret}
	c.offered = public
	epoch := s.epoch + 1
	s.begin(NextRoot(s.salt, secret, EpochTranscript(s.id, epoch, public, ciphertext)), epoch, nowMs, nil)
	s.carried = &carried{bytes: ciphertext}
	return nil
}

// OwesReply: only heard, for so long. [SEC-62]
func (s *Session) OwesReply() bool { return s.Unanswered >= s.parameters["rekey_messages"] }
