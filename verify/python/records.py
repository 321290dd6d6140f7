"""Records, and the sealing of one direction: 11.2 and 11.7."""

from faults import Fault
from primitives import TAG_BYTES, Aead, AEADS
from schedule import xl

HEADER_BYTES = 16
CLIENT_HELLO, SERVER_HELLO, CLIENT_FINISHED, SEALED, ALERT = 1, 2, 3, 4, 5
CLEAR_MAX, CONTENT_MAX, INNER_MAX = 8192, 16_384, 16_640
SEQ_MAX = 2**53 - 1
CONTENTS = ["frames", "key_update", "ticket", "alert", "close"]
EPOCH_MAX = 65_535
HARD_STOP = 4


def encode_header(kind, epoch, seq, length):
    number = lambda value, width: value.to_bytes(width, "big")
    return bytes([kind, 1]) + number(epoch, 2) + number(seq, 8) + number(length, 4)


def decode_header(header):
    """[ENV-3] [ENV-4]: type, epoch, seq and length."""
    kind, version = header[0], header[1]
    epoch = int.from_bytes(header[2:4], "big")
    seq = int.from_bytes(header[4:12], "big")
    length = int.from_bytes(header[12:16], "big")
    if not CLIENT_HELLO <= kind <= ALERT:
        raise Fault("parse", f"a record of type {kind}")
    if version != 1:
        raise Fault("parse", f"a record of version {version}")
    if seq > SEQ_MAX:
        raise Fault("parse", f"record {seq}")
    if kind == SEALED and epoch == 0:
        raise Fault("parse", "a sealed record of epoch 0")
    if kind != SEALED and (epoch, seq) != (0, 0):
        raise Fault("parse", f"a clear record {seq} of epoch {epoch}")
    if length > (INNER_MAX + TAG_BYTES if kind == SEALED else CLEAR_MAX):
        raise Fault("parse", f"a body of {length} bytes")
    return kind, epoch, seq, length


def clear_record(kind, body):
    return encode_header(kind, 0, 0, len(body)) + body


def split(stream):
    """Whole records of a stream, the fault behind them if there is one, and what is left."""
    records, at = [], 0
    while len(stream) - at >= HEADER_BYTES:
        try:
            length = decode_header(stream[at : at + HEADER_BYTES])[3]
        except Fault as fault:
            return records, fault, stream[at:]
        end = at + HEADER_BYTES + length
        if end > len(stream):
            break
        records.append(stream[at:end])
        at = end
    return records, None, stream[at:]


def padded(content_bytes):
    """[ENV-9]"""
    length = content_bytes + 1
    if length <= 1024:
        return -(-length // 64) * 64
    e = length.bit_length() - 1
    s = e.bit_length()
    step = 2 ** (e - s)
    return min(-(-length // step) * step, INNER_MAX)


def encode_inner(content, kind):
    inner = content + bytes([CONTENTS.index(kind) + 1])
    return inner + bytes(padded(len(content)) - len(inner))


def decode_inner(inner):
    """[ENV-8]"""
    text = inner.rstrip(b"\0")
    if text == b"":
        raise Fault("padding", "no content type")
    kind = text[-1]
    if kind > len(CONTENTS):
        raise Fault("parse", f"content of type {kind}")
    return CONTENTS[kind - 1], text[:-1]


def nonce_of(iv, seq):
    number = bytes(4) + seq.to_bytes(8, "big")
    return bytes(a ^ b for a, b in zip(iv, number))


class Direction:
    """The key of one direction and how far it is. Seals, or opens in order."""

    def __init__(self, aead, secret, records_max, bytes_max):
        self.aead_name, self.secret = aead, secret
        self.records_max, self.bytes_max = records_max, bytes_max
        self.epoch = 1
        self._begin()

    def _begin(self):
        """[ENV-5]"""
        self.key = xl(self.secret, "key", length=AEADS[self.aead_name])
        self.iv = xl(self.secret, "iv", length=12)
        self._aead = Aead(self.aead_name, self.key)
        self.seq = self.bytes = 0

    def update(self):
        """[ENV-39] [ENV-40]"""
        if self.epoch == EPOCH_MAX:
            raise Fault("policy", "epochs do not wrap")
        self.secret = xl(self.secret, "traffic upd")
        self.epoch += 1
        self._begin()

    def seal(self, kind, content):
        inner = encode_inner(content, kind)
        header = encode_header(SEALED, self.epoch, self.seq, len(inner) + TAG_BYTES)
        body = self._aead.seal(nonce_of(self.iv, self.seq), header, inner)
        self._used(len(inner))
        if kind == "key_update":
            self.update()
        return header + body

    def has_room(self, content_bytes):
        """For this content and for the key update behind it. [ENV-37]"""
        needed = padded(content_bytes) + padded(2)
        return self.seq + 2 <= self.records_max and self.bytes + needed <= self.bytes_max

    def open(self, record):
        header, body = record[:HEADER_BYTES], record[HEADER_BYTES:]
        kind, epoch, seq, _ = decode_header(header)
        if kind != SEALED:
            raise Fault("order", "a clear record among sealed ones")
        if epoch != self.epoch:
            raise Fault("order", f"epoch {epoch}, not {self.epoch}")
        if seq != self.seq:
            raise Fault("replay" if seq < self.seq else "order", f"record {seq}, not {self.seq}")
        self._judge_limit(max(0, len(body) - TAG_BYTES))
        inner = self._aead.open(nonce_of(self.iv, seq), header, body)
        self._used(len(inner))
        content_kind, content = decode_inner(inner)
        if content_kind == "key_update":
            self.update()
        return content_kind, content

    def _judge_limit(self, inner_bytes):
        """[ENV-38]"""
        is_over = self.seq >= HARD_STOP * self.records_max
        if is_over or self.bytes + inner_bytes > HARD_STOP * self.bytes_max:
            raise Fault("policy", "the key is used up")

    def _used(self, inner_bytes):
        self.seq += 1
        self.bytes += inner_bytes
