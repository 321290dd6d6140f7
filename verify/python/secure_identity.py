"""Devices, accounts, certificates, and what people compare: 12.2 and 12.3."""

import re

import primitives
from faults import Fault
from protobuf import decode
from schedule import lv8
from secure_schedule import P, account_fingerprint, device_fingerprint, sha512, signed, th

USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
DEVICE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ED25519_BYTES, ML_DSA_BYTES = 32, primitives.ML_DSA_KEY
SIGNATURE_BYTES = 64 + primitives.ML_DSA_SIGNATURE
SKEW_MS = 300_000
CERTIFICATE_CORE = {
    1: ("device", "bytes"),
    2: ("created_ms", "uint64"),
    3: ("expires_ms", "uint64"),
}


def read_device(data):
    """The layout D, or None. [SEC-3]"""
    if data[:1] != b"\x01":
        return None
    names, at = [], 1
    for form in (USER_ID, DEVICE_ID):
        length = data[at] if at < len(data) else 0
        name = data[at + 1 : at + 1 + length].decode("latin-1")
        if len(name) != length or not form.fullmatch(name):
            return None
        names.append(name)
        at += 1 + length
    keys = data[at:]
    if len(keys) != ED25519_BYTES + ML_DSA_BYTES:
        return None
    if not primitives._is_sound_point(keys[:ED25519_BYTES]):
        return None
    user_id, device_id = names
    return {
        "user_id": user_id,
        "device_id": device_id,
        "ed25519": keys[:ED25519_BYTES],
        "ml_dsa_65": keys[ED25519_BYTES:],
        "fingerprint": device_fingerprint(data),
    }


def encode_device(device):
    names = lv8(device["user_id"].encode("ascii")) + lv8(device["device_id"].encode("ascii"))
    return b"\x01" + names + device["ed25519"] + device["ml_dsa_65"]


def verify_composite(keys, purpose, hashed, signature):
    """Both halves, over the same text. [SEC-6]"""
    if len(signature) != SIGNATURE_BYTES:
        raise Fault("SECURE_SIGNATURE_INVALID", f"a signature of {len(signature)} bytes")
    text = signed(purpose, hashed)
    try:
        primitives.ed25519_verify(keys["ed25519"], text, signature[:64])
        primitives.ml_dsa_65_verify(keys["ml_dsa_65"], text, signature[64:])
    except Fault as fault:
        raise Fault("SECURE_SIGNATURE_INVALID", str(fault)) from None


def read_certificate(core, signature, account, user_id, now_ms):
    """[SEC-8] [SEC-9]"""

    def need(holds, detail, kind="CERTIFICATE_INVALID"):
        if not holds:
            raise Fault(kind, detail)

    try:
        said = decode(CERTIFICATE_CORE, core)
    except Fault as fault:
        raise Fault("CERTIFICATE_INVALID", str(fault)) from None
    created, expires = said["created_ms"], said["expires_ms"]
    device = read_device(said["device"])
    need(device is not None, "what it certifies is no device")
    need(created > 0 and (expires == 0 or expires > created), "its times")
    need(device["user_id"] == user_id, "a device of somebody else")
    need(now_ms >= created - SKEW_MS, "not in force yet")
    need(expires == 0 or now_ms <= expires + SKEW_MS, "expired", "SECURE_EXPIRED")
    try:
        verify_composite(account, "certificate", th(P, core), signature)
    except Fault as fault:
        raise Fault("CERTIFICATE_INVALID", str(fault)) from None
    return {**device, "created_ms": created, "expires_ms": expires}


def safety_groups(user_id, ed25519, ml_dsa_65):
    """One account's six groups. [SEC-12]"""
    keys = ed25519 + ml_dsa_65
    found = sha512(b"\x00\x01" + keys + user_id.encode("ascii") + keys)
    for _ in range(5199):
        found = sha512(found + keys)
    numbers = [int.from_bytes(found[at : at + 5], "big") % 100_000 for at in range(0, 30, 5)]
    return " ".join(f"{number:05d}" for number in numbers)


def safety_number(a, b):
    return " ".join(sorted([safety_groups(*a), safety_groups(*b)]))


def safety_code(own, peer):
    """[SEC-13]"""
    side = lambda user_id, *keys: lv8(user_id.encode("ascii")) + account_fingerprint(*keys)
    return b"\x01" + side(*own) + side(*peer)


def judge_code(scanned, own, peer):
    """What a scanned code says. [SEC-13]"""
    found, at = [], 1
    for _ in range(2):
        length = scanned[at] if at < len(scanned) else 0
        name, print_of = scanned[at + 1 : at + 1 + length], scanned[at + 1 + length :][:32]
        if len(print_of) != 32 or not USER_ID.fullmatch(name.decode("latin-1")):
            return "unreadable"
        found.append((name.decode("ascii"), print_of))
        at += 1 + length + 32
    if scanned[:1] != b"\x01" or at != len(scanned):
        return "unreadable"
    believed = [(user_id, account_fingerprint(*keys)) for user_id, *keys in (peer, own)]
    if [name for name, _ in found] != [name for name, _ in believed]:
        return "other-people"
    return "same" if found == believed else "different"
