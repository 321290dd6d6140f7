"""One message of a secure chat: 13.2."""

import primitives
from faults import Fault
from protobuf import fields
from schedule import equal, hmac
from secure_schedule import message_tag, sealing_keys, u32

BUCKETS = [256 << shift for shift in range(9)]
KEY, CIPHERTEXT, COMMITMENT = 1, 2, 4
PARTS = ((KEY, "ratchet_key", 1216), (CIPHERTEXT, "ciphertext", 1120), (COMMITMENT, "commitment", 32))


def need(holds, detail, kind="SECURE_MALFORMED"):
    if not holds:
        raise Fault(kind, detail)


def bucket(length):
    """[SEC-48]"""
    return next((one for one in BUCKETS if length <= one), None)


def encode_inner(content, franking_key=b""):
    said = franking_key + u32(len(content)) + content
    size = bucket(len(said))
    need(size is not None, "too much content", "MESSAGE_TOO_LARGE")
    return said.ljust(size, b"\0")


def decode_inner(inner, is_franked):
    """The content and the franking key. [SEC-48] [SEC-49]"""
    need(len(inner) in BUCKETS, f"an inner text of {len(inner)} bytes")
    begin = 32 if is_franked else 0
    length = int.from_bytes(inner[begin : begin + 4], "big")
    end = begin + 4 + length
    need(end <= len(inner), "a content that is too long")
    need(not any(inner[end:]), "padding that is not zero")
    return inner[begin + 4 : end], inner[:begin]


def encode_header(session_id, epoch, n, pn, parts):
    """parts: of those that PARTS names. [SEC-45]"""
    flags = sum(flag for flag, name, _ in PARTS if parts.get(name))
    behind = b"".join(parts.get(name) or b"" for _, name, _ in PARTS)
    return b"\x01\x10" + flags.to_bytes(2, "big") + session_id + u32(epoch) + u32(n) + u32(pn) + behind


def decode_header(header):
    """[SEC-46] [SEC-47]"""
    number = lambda at, width=4: int.from_bytes(header[at : at + width], "big")
    need(header[:2] == b"\x01\x10" and len(header) >= 32, "another version or type")
    flags = number(2, 2)
    need(flags & ~7 == 0 and flags & 3 != 3, f"flags {flags}")
    said = {"session_id": header[4:20], "epoch": number(20), "n": number(24), "pn": number(28)}
    at = 32
    for flag, name, length in PARTS:
        size = length if flags & flag else 0
        said[name] = header[at : at + size]
        at += size
    need(at == len(header), "another length than the flags say")
    need(said["epoch"] > 0, "epoch 0")
    need(said["epoch"] > 1 or said["pn"] == 0, "pn in epoch 1")
    return said


def encode_message(header, ciphertext, tag):
    return len(header).to_bytes(2, "big") + header + u32(len(ciphertext)) + ciphertext + tag


def split_message(message):
    """Header, ciphertext and TAG. [SEC-44]"""
    at = 2 + int.from_bytes(message[:2], "big")
    need(len(message) >= at + 4, "cut")
    end = at + 4 + int.from_bytes(message[at : at + 4], "big")
    need(len(message) == end + 32, "lengths that do not add up")
    ciphertext = message[at + 4 : end]
    need(len(ciphertext) - 16 in BUCKETS, "another length of the inner text")
    return message[2:at], ciphertext, message[end:]


def open_message(key, header, ciphertext, tag):
    """The inner text: the TAG first, then the AEAD. [SEC-50]"""
    keys = sealing_keys(key)
    fits = equal(message_tag(keys["tag_key"], header, ciphertext), tag)
    need(fits, "the TAG", "SECURE_TAG_INVALID")
    try:
        return primitives.Aead("aes-256-gcm", keys["enc"]).open(keys["nonce"], header, ciphertext)
    except Fault as fault:
        raise Fault("SECURE_TAG_INVALID", str(fault)) from None


def seal_message(key, header, inner):
    keys = sealing_keys(key)
    ciphertext = primitives.Aead("aes-256-gcm", keys["enc"]).seal(keys["nonce"], header, inner)
    return encode_message(header, ciphertext, message_tag(keys["tag_key"], header, ciphertext))


def commitment(franking_key, inner):
    """[SEC-72]; inner without its key."""
    return hmac(franking_key, inner)


KINDS = {3: "text", 4: "custom", 5: "nothing", 6: "close"}


def read_content(content):
    """Its kind, and what it holds. [SEC-68]"""
    kind = value = None
    try:
        for number, wire, found in fields(content):
            if number in KINDS and wire == 2:
                kind, value = KINDS[number], found
        if kind == "text":
            value.decode("utf-8")
    except (Fault, UnicodeDecodeError) as fault:
        raise Fault("SECURE_MALFORMED", str(fault)) from None
    need(kind is not None, "a content without a kind")
    need(kind not in ("text", "custom") or value, "an empty content")
    return kind, value


def nothing(sent_ms, number):
    """A content that says nothing (5), or closes (6)."""
    out, value = bytearray(b"\x08"), sent_ms
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value, number << 3 | 2, 0])
