"""Hashes, labels and keys of chapters 12 and 13: over SHA-512."""

import hashlib
import hmac as hmac_module

from schedule import lv8, lv32, signed_text

P = "phorn-sc-1"
HASH_BYTES = 64


def sha512(data):
    return hashlib.sha512(data).digest()


def hmac512(key, data):
    return hmac_module.new(key, data, hashlib.sha512).digest()


def u32(number):
    return number.to_bytes(4, "big")


def th(label, *items):
    """[SEC-1]"""
    return sha512(lv8(label.encode("ascii")) + b"".join(lv32(item) for item in items))


def xl(secret, label, context=b"", length=HASH_BYTES):
    """[SEC-2]: one block of HKDF-Expand, RFC 5869 §2.3."""
    full = b"phorn1 " + label.encode("ascii")
    info = length.to_bytes(2, "big") + lv8(full) + lv8(context)
    return hmac512(secret, info + b"\x01")[:length]


def extract(salt, secret):
    """RFC 5869 §2.2."""
    return hmac512(salt, secret)


CONTEXTS = {
    "certificate": "Posthorn device certificate v1",
    "offer": "Posthorn secure chat v1 offer",
    "accept": "Posthorn secure chat v1 accept",
}


def signed(purpose, hashed):
    """[SEC-7]"""
    return signed_text(CONTEXTS[purpose], hashed)


def device_fingerprint(device):
    """[SEC-4]"""
    return th(P + " device", device)[:32]


def account_fingerprint(ed25519, ml_dsa_65):
    """[SEC-5]"""
    return th(P + " account", ed25519, ml_dsa_65)[:32]


def first_secrets(offer, offer_signature, accept, accept_signature, z1):
    """12.4 up to the accept's tag. [SEC-15]"""
    th2s = th(P, offer, offer_signature, accept, accept_signature)
    rk0 = extract(th2s, z1)
    tag = hmac512(xl(rk0, "confirm r", th2s), th2s)[:32]
    return {"z1": z1, "th2s": th2s, "rk0": rk0, "tag_r": tag}


def last_secrets(heard, rk0, z2):
    """12.4 behind it; heard: both cores with their signatures, the tag, the confirm's core."""
    th3 = th(P, *heard)
    rk1 = extract(xl(rk0, "derived", th3), z2)
    tag = hmac512(xl(rk1, "confirm i", th3), th3)[:32]
    return {"z2": z2, "th3": th3, "rk1": rk1, "tag_i": tag}


def chain_start(root, direction, epoch):
    """[SEC-40]"""
    return xl(root, "chain " + direction, u32(epoch))


def message_key(chain, n):
    return xl(chain, "msg", u32(n))


def next_chain(chain, n):
    return xl(chain, "next", u32(n))


def sealing_keys(key):
    """[SEC-40]"""
    return {
        "enc": xl(key, "enc", length=32),
        "nonce": xl(key, "nonce", length=12),
        "tag_key": xl(key, "tag"),
    }


def next_salt(root, epoch):
    """What is kept of a root for the epoch with this number."""
    return xl(root, "derived", u32(epoch))


def epoch_transcript(session_id, epoch, ratchet_key, ciphertext):
    return th(P + " epoch", session_id, u32(epoch), ratchet_key, ciphertext)


def next_root(salt, secret, transcript):
    """13.4"""
    return xl(extract(salt, secret), "epoch", transcript)


def message_tag(tag_key, header, ciphertext):
    """[SEC-50]"""
    return hmac512(tag_key, lv32(header) + lv32(ciphertext))[:32]
