"""One check for each kind of vector: what it says against what is computed here."""

import base64

import primitives
import records
import schedule
from faults import Disagreement, Fault, agree


def data(case, name):
    return bytes.fromhex(case[name + "_hex"])


def check_expand(case):
    out = schedule.xl(data(case, "secret"), case["label"], data(case, "context"), case["length"])
    compare(case, "out", out)


def check_transcript(case):
    messages = [bytes.fromhex(message) for message in case["messages_hex"]]
    compare(case, "out", schedule.th(case["label"], *messages))


def compare(case, name, ours, kind="confirm"):
    """Right or wrong, a derived value is in the vector: wrong ones are what a mistake gives."""
    if ours != data(case, name):
        raise Fault(kind, f"{name} is {ours.hex()}")


def check_padding(case):
    agree("inner_bytes", records.padded(case["content_bytes"]), case["inner_bytes"])


def check_inner(case):
    kind, content = records.decode_inner(data(case, "inner"))
    agree("type", kind, case["type"])
    agree("content", content, data(case, "content"))


def check_seal(case):
    seq, inner = int(case["seq"]), data(case, "inner")
    nonce = records.nonce_of(data(case, "iv"), seq)
    agree("nonce", nonce, data(case, "nonce"))
    length = len(inner) + primitives.TAG_BYTES
    header = records.encode_header(records.SEALED, case["epoch"], seq, length)
    aead = primitives.Aead(case["aead"], data(case, "key"))
    agree("record", header + aead.seal(nonce, header, inner), data(case, "record"))
    body = data(case, "record")[records.HEADER_BYTES :]
    agree("inner", aead.open(nonce, header, body), inner)


def check_open(case):
    limits = (case["rekey_records"], case["rekey_bytes"])
    direction = records.Direction(case["aead"], data(case, "secret"), *limits)
    agree("key", direction.key, data(case, "key"))
    agree("iv", direction.iv, data(case, "iv"))
    *before, last = case["records_hex"]
    opens = case["opens"]
    agree("records that open", len(opens), len(before) + (case["expect"] == "valid"))
    for at, record in enumerate(before):
        check_opened(direction, record, opens[at])
    if len(opens) > len(before):
        check_opened(direction, last, opens[-1])
    else:
        direction.open(bytes.fromhex(last))


def check_opened(direction, record, opens):
    try:
        kind, content = direction.open(bytes.fromhex(record))
    except Fault as fault:
        raise Disagreement(f"a record before is refused: {fault}") from None
    agree("type", kind, opens["type"])
    agree("content", content, data(opens, "content"))


def check_stream(case):
    stream = data(case, "stream")
    found, fault, rest = records.split(stream)
    agree("records", [record.hex() for record in found], case["records_hex"])
    agree("rest", rest, stream[sum(map(len, found)) :])
    if fault is not None:
        raise fault


def check_rsa_decrypt(case):
    key = primitives.RsaKey(data(case, "private_key"))
    agree("public_key", key.public, data(case, "public_key"))
    agree("secret", key.decrypt(data(case, "ciphertext")), data(case, "secret"))


def check_rsa_key(case):
    primitives.rsa_judge(data(case, "public_key"))


def check_xwing_decapsulate(case):
    key = primitives.XWingKey(data(case, "seed"))
    agree("public_key", key.public, data(case, "public_key"))
    agree("secret", key.decapsulate(data(case, "ciphertext")), data(case, "secret"))


def check_xwing_encapsulate(case):
    """Without a derandomized form of ML-KEM what was encapsulated is taken apart instead."""
    primitives.xwing_judge(data(case, "public_key"))
    check_xwing_decapsulate(case)


def check_signature(case):
    keys = (data(case, "ed25519"), data(case, "ml_dsa_65"))
    signature = data(case, "signature")
    primitives.verify_identity(keys, case["algorithm"], data(case, "text"), signature)


def pin_text(server_id):
    """[ENV-28]"""
    return base64.b32encode(server_id).decode("ascii").rstrip("=").lower()


def read_pin(text):
    """[ENV-28]"""
    letters = text.replace(" ", "").replace("-", "").upper()
    if len(letters) != 52 or "=" in letters:
        raise Fault("parse", f"a pin of {len(letters)} letters")
    try:
        server_id = base64.b32decode(letters + "====")
    except ValueError:
        raise Fault("parse", "a letter that base32 does not have") from None
    if pin_text(server_id).upper() != letters:
        raise Fault("parse", "bits beyond the 256")
    return server_id


def check_pin(case):
    server_id = schedule.server_id(data(case, "ed25519"), data(case, "ml_dsa_65"))
    agree("server_id", server_id, data(case, "server_id"))
    agree("text", pin_text(server_id), case["text"])
    agree("what is read", read_pin(case["text"]), server_id)


def check_pin_text(case):
    agree("server_id", read_pin(case["text"]), data(case, "server_id"))


def check_login(case):
    text = schedule.login_text(data(case, "channel_binding"), case["account"], case["device_id"])
    primitives.ed25519_verify(data(case, "public_key"), text, data(case, "signature"))


def check_login_answer(case):
    secret, binding = data(case, "registration_secret"), data(case, "channel_binding")
    compare(case, "mac", schedule.login_mac(secret, binding))


def check_ticket(case):
    psk = schedule.ticket_secret(data(case, "resumption"), data(case, "ticket_id"))
    compare(case, "psk", psk)


def check_binder(case):
    compare(case, "binder", schedule.binder(data(case, "psk"), data(case, "core")))


def check_draft(case):
    """A link of envelope-handshake.json: its cores are any bytes, its values one by one."""
    ciphertext = data(case, "kem_ct")
    if case["suite"] == 1:
        secret = primitives.RsaKey(data(case, "rsa_pkcs8")).decrypt(ciphertext)
    else:
        secret = primitives.XWingKey(data(case, "kem_seed")).decapsulate(ciphertext)
    agree("kem_secret", secret, data(case, "kem_secret"))
    hellos = [data(case, name) for name in ("ch_core", "binder", "sh_core")]
    text = schedule.server_signed_text(*hellos)
    agree("sig_input", text, data(case, "sig_input"))
    signature = data(case, "signature")
    primitives.ed25519_verify(data(case, "server_ed25519_pk"), text, signature)
    secrets = schedule.link_secrets([*hellos, signature], data(case, "psk"), secret)
    for name, value in secrets.items():
        agree(name, value, data(case, name))
    ticking = schedule.xl(secrets["c_traffic_1"], "traffic upd")
    agree("c_traffic_2", ticking, data(case, "c_traffic_2"))
    aead = {1: "aes-128-gcm", 2: "aes-256-gcm"}[case["suite"]]
    sources = [secrets["c_traffic_1"], secrets["s_traffic_1"], ticking]
    for record in case["records"]:
        check_draft_record(aead, sources, record)


def check_draft_record(aead, sources, record):
    length = primitives.AEADS[aead]
    keys = [(schedule.xl(s, "key", length=length), schedule.xl(s, "iv", length=12)) for s in sources]
    key, iv = data(record, "key"), data(record, "iv")
    if (key, iv) not in keys:
        raise Disagreement("a record's key belongs to no direction")
    header = data(record, "header_aad")
    agree("nonce", records.nonce_of(iv, int.from_bytes(header[4:12], "big")), data(record, "nonce"))
    sealed = primitives.Aead(aead, key).seal(data(record, "nonce"), header, data(record, "plaintext"))
    agree("body", sealed, data(record, "body"))
