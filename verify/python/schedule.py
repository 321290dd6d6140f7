"""Hashes, labels and the key schedule: chapter 11, 11.1 and 11.3."""

import hashlib
import hmac as hmac_module

LINK = "phorn-link-1"
NONE = bytes(32)


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac(key, data):
    return hmac_module.new(key, data, hashlib.sha256).digest()


def equal(a, b):
    """In constant time. [ENV-17] [ENV-18]"""
    return hmac_module.compare_digest(a, b)


def lv8(data):
    return len(data).to_bytes(1, "big") + data


def lv32(data):
    return len(data).to_bytes(4, "big") + data


def th(label, *items):
    """[ENV-1]"""
    return sha256(lv8(label.encode("ascii")) + b"".join(lv32(item) for item in items))


def hkdf_extract(salt, secret):
    """RFC 5869 §2.2."""
    return hmac(salt, secret)


def hkdf_expand(secret, info, length):
    """RFC 5869 §2.3."""
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac(secret, block + info + bytes([count]))
        out += block
        count += 1
    return out[:length]


def xl(secret, label, context=b"", length=32):
    """[ENV-2]"""
    full = b"phorn1 " + label.encode("ascii")
    info = length.to_bytes(2, "big") + lv8(full) + lv8(context)
    return hkdf_expand(secret, info, length)


def signed_text(context, meant):
    """The form of RFC 8446 §4.4.3. [ENV-14]"""
    return b" " * 64 + context.encode("ascii") + b"\0" + meant


def server_signed_text(client_core, binder, server_core):
    return signed_text("Posthorn link v1 server signature", th(LINK, client_core, binder, server_core))


def link_secrets(heard, psk=NONE, secret=NONE):
    """
    [ENV-15]

    heard: both cores with the binder between them, and the signature
    """
    th2 = th(LINK, *heard)
    prk = hkdf_extract(th2, psk + secret)
    server_confirm = hmac(xl(prk, "s confirm", th2), th2)
    th3 = th(LINK, *heard, server_confirm)
    client_confirm = hmac(xl(prk, "c confirm", th2), th3)
    th4 = th(LINK, *heard, server_confirm, client_confirm)
    return {
        "th1": th(LINK, *heard[:3]),
        "th2": th2,
        "prk": prk,
        "server_confirm": server_confirm,
        "th3": th3,
        "client_confirm": client_confirm,
        "th4": th4,
        "c_traffic_1": xl(prk, "c traffic", th4),
        "s_traffic_1": xl(prk, "s traffic", th4),
        "resumption": xl(prk, "resumption", th4),
        "channel_binding": xl(xl(prk, "exporter", th4), "channel binding"),
    }


def ticket_secret(resumption, ticket_id):
    """[ENV-42]"""
    return xl(resumption, "ticket", ticket_id)


def binder(psk, client_core):
    """[ENV-43]"""
    return hmac(xl(psk, "binder"), th(LINK + " binder", client_core))


def server_id(ed25519, ml_dsa_65):
    """[ENV-27]"""
    return th("phorn-pin-1", ed25519, ml_dsa_65)


def login_text(channel_binding, account, device_id):
    """[ENV-35]"""
    names = lv8(account.encode("ascii")) + lv8(device_id.encode("ascii"))
    return signed_text("Posthorn login v1", channel_binding + names)


def login_mac(registration_secret, channel_binding):
    """[ENV-36]"""
    return hmac(registration_secret, b"Posthorn login srv v1" + channel_binding)
