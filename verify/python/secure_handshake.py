"""The packets of a handshake, and how both sides judge them: 12.4 and 12.5."""

import primitives
from checks import data
from faults import Disagreement, Fault, agree
from protobuf import decode, decode_whole
from schedule import equal
from secure_identity import SIGNATURE_BYTES, SKEW_MS, read_device, verify_composite
from secure_schedule import P, first_secrets, last_secrets, th

PACKET = {1: ("offer", "bytes"), 2: ("accept", "bytes"), 3: ("confirm", "bytes"), 4: ("message", "bytes")}
SIGNED = {1: ("core", "bytes"), 2: ("signature", "bytes")}
ACCEPT = {**SIGNED, 3: ("tag", "bytes")}
CONFIRM = {1: ("core", "bytes"), 2: ("tag", "bytes")}
PARAMETERS = {
    1: ("rekey_messages", "uint32"),
    2: ("rekey_s", "uint32"),
    3: ("lifetime_s", "uint32"),
    4: ("franking", "bool"),
}
OFFER_CORE = {
    1: ("version", "uint32"),
    2: ("suite", "uint32"),
    3: ("session_id", "bytes"),
    4: ("from_device", "bytes"),
    5: ("to_device", "bytes"),
    6: ("ratchet_key", "bytes"),
    7: ("nonce", "bytes"),
    8: ("created_ms", "uint64"),
    9: ("ttl_s", "uint32"),
    10: ("parameters", "bytes*"),
}
ACCEPT_CORE = {
    1: ("version", "uint32"),
    2: ("suite", "uint32"),
    3: ("session_id", "bytes"),
    4: ("from_device", "bytes"),
    5: ("to_device", "bytes"),
    6: ("ciphertext", "bytes"),
    7: ("ratchet_key", "bytes"),
    8: ("nonce", "bytes"),
    9: ("parameters", "bytes*"),
}
CONFIRM_CORE = {1: ("version", "uint32"), 2: ("session_id", "bytes"), 3: ("ciphertext", "bytes")}
LENGTHS = {
    "session_id": 16,
    "from_device": 32,
    "to_device": 32,
    "ratchet_key": 1216,
    "ciphertext": 1120,
    "nonce": 32,
}
MOST = {"rekey_messages": 128, "rekey_s": 86_400, "lifetime_s": 604_800}
KINDS = {"offer": (SIGNED, OFFER_CORE), "accept": (ACCEPT, ACCEPT_CORE), "confirm": (CONFIRM, CONFIRM_CORE)}


def need(holds, detail, kind="SECURE_MALFORMED"):
    if not holds:
        raise Fault(kind, detail)


def read_packet(packet):
    """Its kind, the outer message and the core; a message has bytes alone. [SEC-14]"""
    try:
        return _read(packet)
    except Fault as fault:
        raise Fault("SECURE_MALFORMED", str(fault)) from None


def _read(packet):
    need(len(packet) <= 73_728, "a packet that is too long")
    outer = decode_whole(PACKET, packet)
    kinds = [kind for kind, value in outer.items() if value]
    need(len(kinds) == 1, "not one kind")
    kind = kinds[0]
    if kind == "message":
        return kind, outer[kind], None
    schema, core_schema = KINDS[kind]
    said = decode_whole(schema, outer[kind])
    need(len(said["core"]) <= 4096, "a core that is too long")
    core = decode(core_schema, said["core"])
    need(core["version"] == 1 and core.get("suite", 1) == 1, "another version or suite")
    for name, length in LENGTHS.items():
        need(len(core.get(name, bytes(length))) == length, name)
    need(len(said.get("signature", bytes(SIGNATURE_BYTES))) == SIGNATURE_BYTES, "signature")
    need(len(said.get("tag", bytes(32))) == 32, "tag")
    if "parameters" in core:
        need(core["parameters"] != [], "no parameters")
        core["parameters"] = decode(PARAMETERS, b"".join(core["parameters"]))
        need(all(1 <= core["parameters"][name] <= most for name, most in MOST.items()), "parameters")
    if kind == "offer":
        need(1 <= core["ttl_s"] <= 86_400 and core["created_ms"] > 0, "times")
    return kind, said, core


def lesser(a, b):
    """[SEC-18]"""
    return {name: min(a[name], b[name]) for name in a}


def decapsulate(seed, ciphertext):
    try:
        return primitives.XWingKey(seed).decapsulate(ciphertext)
    except Fault as fault:
        raise Fault("SECURE_KEY_INVALID", str(fault)) from None


def judge_key(public):
    try:
        primitives.xwing_judge(public)
    except Fault as fault:
        raise Fault("SECURE_KEY_INVALID", str(fault)) from None


class Party:
    """What is known of a side: all of its private inputs, and in valid cases its device."""

    def __init__(self, of):
        self.of = of
        self.fingerprint = data(of, "fingerprint")
        self.seed = data(of, "xwing_seed")
        self.keys = {
            "ed25519": primitives.ed25519_public(data(of, "ed25519_seed")),
            "ml_dsa_65": primitives.ml_dsa_65_public(data(of, "ml_dsa_65_seed")),
        }
        if "device_hex" in of:
            device = read_device(data(of, "device"))
            agree("fingerprint", device["fingerprint"], self.fingerprint)
            agree("keys", {name: device[name] for name in self.keys}, self.keys)


class Handshake:
    """Both sides at once: each packet is judged by whom it is for."""

    def __init__(self, case):
        self.case = case
        self.offering, self.accepting = Party(case["offering"]), Party(case["accepting"])
        self.offer = self.accept = self.confirm = None
        self.secrets = {}
        self.known = set()

    def take(self, packet, now_ms):
        kind, said, core = read_packet(packet)
        getattr(self, "take_" + kind)(said, core, now_ms)

    def take_offer(self, said, core, now_ms):
        """[SEC-17]"""
        own, peer = self.accepting, self.offering
        isours = core["to_device"] == own.fingerprint != core["from_device"]
        need(isours, "for another device", "SECURE_PEER_UNKNOWN")
        need(core["created_ms"] <= now_ms + SKEW_MS, "from the future", "SECURE_EXPIRED")
        ends = core["created_ms"] + 1000 * core["ttl_s"] + SKEW_MS
        need(now_ms < ends, "past its time", "SECURE_EXPIRED")
        need(core["session_id"] not in self.known, "here before", "SECURE_REPLAYED")
        need(core["from_device"] == peer.fingerprint, "of another sender", "SECURE_PEER_UNKNOWN")
        th1 = th(P, said["core"])
        verify_composite(peer.keys, "offer", th1, said["signature"])
        judge_key(core["ratchet_key"])
        self.known.add(core["session_id"])
        self.offer = (said, core)
        self.secrets["th1"] = th1

    def take_accept(self, said, core, now_ms):
        """[SEC-19]"""
        own, peer = self.offering, self.accepting
        offer, offered = self.offer
        need(core["session_id"] == offered["session_id"], "no such offer", "SECURE_SESSION_UNKNOWN")
        need(self.accept is None, "accepted before", "SECURE_REPLAYED")
        need(now_ms < offered["created_ms"] + 1000 * offered["ttl_s"], "late", "SECURE_EXPIRED")
        parties = (core["from_device"], core["to_device"])
        need(parties == (peer.fingerprint, own.fingerprint), "other devices", "SECURE_PEER_UNKNOWN")
        need(lesser(core["parameters"], offered["parameters"]) == core["parameters"], "above the offer's")
        heard = (offer["core"], offer["signature"], said["core"])
        th2 = th(P, *heard)
        verify_composite(peer.keys, "accept", th2, said["signature"])
        z1 = decapsulate(own.seed, core["ciphertext"])
        secrets = first_secrets(*heard, said["signature"], z1)
        need(equal(secrets["tag_r"], said["tag"]), "the tag", "SECURE_TAG_INVALID")
        judge_key(core["ratchet_key"])
        self.accept = (said, core)
        self.secrets.update(secrets, th2=th2)

    def take_confirm(self, said, core, now_ms):
        """[SEC-20]"""
        (offer, offered), (accept, _) = self.offer, self.accept
        need(core["session_id"] == offered["session_id"], "no such one", "SECURE_SESSION_UNKNOWN")
        need(self.confirm is None, "confirmed before", "SECURE_REPLAYED")
        ends = offered["created_ms"] + 1000 * offered["ttl_s"] + SKEW_MS
        need(now_ms < ends, "late", "SECURE_EXPIRED")
        z2 = decapsulate(self.accepting.seed, core["ciphertext"])
        heard = (offer["core"], offer["signature"], accept["core"], accept["signature"])
        secrets = last_secrets((*heard, accept["tag"], said["core"]), self.secrets["rk0"], z2)
        need(equal(secrets["tag_i"], said["tag"]), "the tag", "SECURE_TAG_INVALID")
        self.confirm = (said, core)
        self.secrets.update(secrets)


def check_handshake(case):
    handshake = Handshake(case)
    *before, last = case["packets"]
    for packet in before:
        try:
            handshake.take(data(packet, "packet"), packet["at_ms"])
        except Fault as fault:
            raise Disagreement(f"a packet before is refused: {fault}") from None
    handshake.take(data(last, "packet"), last["at_ms"])
    check_all(case, handshake)


def check_all(case, handshake):
    """What is said follows from the private inputs."""
    for name in ("th1", "th2", "z1", "th2s", "rk0", "tag_r", "z2", "th3", "rk1", "tag_i"):
        agree(name, handshake.secrets[name], data(case["secrets"], name))
    (_, offer), (_, accept) = handshake.offer, handshake.accept
    for core, party in ((offer, handshake.offering), (accept, handshake.accepting)):
        agree("ratchet_key", primitives.XWingKey(party.seed).public, core["ratchet_key"])
        agree("nonce", data(party.of, "nonce"), core["nonce"])
        agree("session_id", data(case, "session_id"), core["session_id"])
    agree("created_ms", offer["created_ms"], case["created_ms"])
    agree("ttl_s", offer["ttl_s"], case["ttl_s"])
    agree("offered", offer["parameters"], case["offering"]["parameters"])
    agreed = lesser(case["offering"]["parameters"], case["accepting"]["parameters"])
    agree("agreed", accept["parameters"], agreed)


def check_schedule(case):
    """Cores and signatures of any bytes. [SEC-15]"""
    heard = [data(case, name) for name in ("offer", "offer_signature", "accept", "accept_signature")]
    given = case["secrets"]
    first = first_secrets(*heard, data(given, "z1"))
    behind = (*heard, first["tag_r"], data(case, "confirm"))
    last = last_secrets(behind, first["rk0"], data(given, "z2"))
    for name, value in {**first, **last}.items():
        agree(name, value, data(given, name))
