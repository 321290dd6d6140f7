"""One check for each kind of vector in secure/: chapters 12 and 13."""

import secure_identity as identity
import secure_message as message
import secure_schedule as schedule
from checks import data
from faults import Fault, agree
from primitives import Aead, XWingKey, ed25519_key
from schedule import hmac
from secure_handshake import check_handshake, check_schedule
from secure_passive import check_passive
from secure_session import check_session


def derived(case, name, ours):
    """Right or wrong, a derived value is in the vector: wrong ones are what a mistake gives."""
    if ours != data(case, name):
        raise Fault("MISTAKE", f"{name} is {ours.hex()[:160]}")


def check_expand(case):
    secret, context = data(case, "secret"), data(case, "context")
    derived(case, "out", schedule.xl(secret, case["label"], context, case["length"]))


def check_transcript(case):
    # A list of no bytes has no suffix.
    messages = case["messages_hex"] if "messages_hex" in case else case["messages"]
    derived(case, "out", schedule.th(case["label"], *map(bytes.fromhex, messages)))


def check_padded(case):
    size = message.bucket(case["content_bytes"] + (36 if case["franking"] else 4))
    message.need(size is not None, "too much", "MESSAGE_TOO_LARGE")
    agree("inner_bytes", size, case["inner_bytes"])


def check_inner(case):
    content, key = message.decode_inner(data(case, "inner"), case["franking"])
    agree("content", content, data(case, "content"))
    if case["franking"]:
        agree("franking_key", key, data(case, "franking_key"))
    agree("inner", message.encode_inner(content, key), data(case, "inner"))


def check_device(case):
    device = identity.read_device(data(case, "device"))
    message.need(device is not None, "no device", "CERTIFICATE_INVALID")
    for name in ("user_id", "device_id"):
        agree(name, device[name], case[name])
    for name in ("ed25519", "ml_dsa_65", "fingerprint"):
        agree(name, device[name], data(case, name))
    agree("device", identity.encode_device(device), data(case, "device"))


def keys_of(of):
    return data(of, "ed25519"), data(of, "ml_dsa_65")


def check_account(case):
    agree("fingerprint", schedule.account_fingerprint(*keys_of(case)), data(case, "fingerprint"))


def check_certificate(case):
    account = dict(zip(("ed25519", "ml_dsa_65"), keys_of(case["account"])))
    core, signature = data(case, "core"), data(case, "signature")
    given = (account, case["user_id"], case["now_ms"])
    found = identity.read_certificate(core, signature, *given)
    for name in ("device_id", "created_ms", "expires_ms"):
        agree(name, found[name], case["certified"][name])
    agree("fingerprint", found["fingerprint"], data(case["certified"], "fingerprint"))
    text = schedule.signed("certificate", schedule.th(schedule.P, core))
    agree("Ed25519", ed25519_key(data(case, "ed25519_seed")).sign(text), signature[:64])


def person(of):
    return of["user_id"], *keys_of(of)


def check_safety_number(case):
    digits = identity.safety_number(person(case["own"]), person(case["peer"]))
    message.need(digits == case["digits"], f"the digits are {digits}", "MISTAKE")


def check_safety_code(case):
    own, peer = person(case["own"]), person(case["peer"])
    agree("what is shown", identity.safety_code(own, peer), data(case, "shows"))
    agree("verdict", identity.judge_code(data(case, "scanned"), own, peer), case["verdict"])


def check_keys(of):
    for name, value in schedule.sealing_keys(data(of, "message_key")).items():
        agree(name, value, data(of, name))


def check_chain(case):
    at, n = schedule.chain_start(data(case, "root"), case["direction"], case["epoch"]), 0
    for keys in case["keys"]:
        for place in range(n, keys["n"]):
            at = schedule.next_chain(at, place)
        n = keys["n"]
        agree("chain", at, data(keys, "chain"))
        agree("message_key", schedule.message_key(at, n), data(keys, "message_key"))
        check_keys(keys)


def check_message(case):
    check_keys(case)
    header, ciphertext, tag = message.split_message(data(case, "message"))
    agree("header", header, data(case, "header"))
    agree("ciphertext", ciphertext, data(case, "ciphertext"))
    agree("tag", tag, data(case, "tag"))
    key, inner = data(case, "message_key"), data(case, "inner")
    agree("message", message.seal_message(key, header, inner), data(case, "message"))
    agree("inner", message.open_message(key, header, ciphertext, tag), inner)
    said = message.decode_header(header)
    again = message.encode_header(said["session_id"], said["epoch"], said["n"], said["pn"], said)
    agree("header again", again, header)


def check_salamander(case):
    header, ciphertext = data(case, "header"), data(case, "ciphertext")
    tags = []
    for one in case["keys"]:
        keys = schedule.sealing_keys(data(one, "message_key"))
        Aead("aes-256-gcm", keys["enc"]).open(keys["nonce"], header, ciphertext)
        tags.append(schedule.message_tag(keys["tag_key"], header, ciphertext))
        agree("tag", tags[-1], data(one, "tag"))
    agree("different TAGs", len(set(tags)), 2)


def check_epochs(case):
    root = data(case, "root")
    for of in case["epochs"]:
        epoch, key = of["epoch"], XWingKey(data(of, "ratchet_seed"))
        agree("ratchet_key", key.public, data(of, "ratchet_key"))
        secret = key.decapsulate(data(of, "ciphertext"))
        agree("secret", secret, data(of, "secret"))
        salt = schedule.next_salt(root, epoch)
        agree("salt", salt, data(of, "salt"))
        parts = (data(case, "session_id"), epoch, key.public, data(of, "ciphertext"))
        transcript = schedule.epoch_transcript(*parts)
        agree("transcript", transcript, data(of, "transcript"))
        root = schedule.next_root(salt, secret, transcript)
        derived(of, "root", root)
        for direction in ("i2r", "r2i"):
            chain = schedule.chain_start(root, direction, epoch)
            agree(direction, chain, data(of["chains"], direction))


STAMP = b"Posthorn franking stamp v1\0"


def check_report(case):
    """[SEC-74]"""
    fc, time = data(case, "commitment"), case["time_ms"].to_bytes(8, "big")
    text = STAMP + fc + data(case, "from") + data(case, "to") + time
    holds = message.commitment(data(case, "franking_key"), data(case, "inner")) == fc
    is_stamped = hmac(data(case, "service_key"), text) == data(case, "stamp")
    message.need(holds and is_stamped, "it proves nothing", "REPORT")


CHECKS = {
    "expand-sha512": check_expand,
    "transcript-sha512": check_transcript,
    "padded": check_padded,
    "inner-text": check_inner,
    "device": check_device,
    "account": check_account,
    "certificate": check_certificate,
    "safety-number": check_safety_number,
    "safety-code": check_safety_code,
    "chat-schedule": check_schedule,
    "chat-handshake": check_handshake,
    "chain": check_chain,
    "message": check_message,
    "salamander": check_salamander,
    "session": check_session,
    "epochs": check_epochs,
    "report": check_report,
    "passive-client": check_passive,
}
