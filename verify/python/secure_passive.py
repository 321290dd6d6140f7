"""passive-client.json: all plaintexts, from what one device drew and what went over the wire."""

import primitives
from checks import data
from faults import Disagreement, agree
from secure_handshake import read_packet
from secure_identity import read_device, verify_composite
from secure_message import decode_header, decode_inner, open_message, read_content, split_message
from secure_schedule import (
    P,
    chain_start,
    epoch_transcript,
    first_secrets,
    last_secrets,
    message_key,
    next_chain,
    next_root,
    next_salt,
    th,
)


class Listener:
    def __init__(self, case):
        self.case, self.drawn = case, case["drawn"]
        self.is_initiator = case["role"] == "initiator"
        self.roots, self.keys = {}, {}

    def begin(self, offer, accept, confirm):
        """Who did what depends on the role: one secret was encapsulated here, one over there."""
        (offer, offered), (accept, accepted), (confirm, confirmed) = offer, accept, confirm
        devices = {role: read_device(data(self.case["devices"], role)) for role in ("initiator", "responder")}
        heard = (offer["core"], offer["signature"], accept["core"])
        agree("from", offered["from_device"], devices["initiator"]["fingerprint"])
        agree("to", offered["to_device"], devices["responder"]["fingerprint"])
        verify_composite(devices["initiator"], "offer", th(P, heard[0]), offer["signature"])
        verify_composite(devices["responder"], "accept", th(P, *heard), accept["signature"])
        own, kem = primitives.XWingKey(data(self.drawn, "xwing_seed")), self.drawn["kem"]
        texts = (accepted["ciphertext"], confirmed["ciphertext"])
        opened, sealed = texts if self.is_initiator else texts[::-1]
        key = (offered if self.is_initiator else accepted)["ratchet_key"]
        agree("ratchet_key", own.public, key)
        agree("ciphertext", data(kem, "ciphertext"), sealed)
        secrets = (own.decapsulate(opened), data(kem, "secret"))
        z1, z2 = secrets if self.is_initiator else secrets[::-1]
        first = first_secrets(*heard, accept["signature"], z1)
        agree("tag_r", first["tag_r"], accept["tag"])
        behind = (*heard, accept["signature"], accept["tag"], confirm["core"])
        last = last_secrets(behind, first["rk0"], z2)
        agree("tag_i", last["tag_i"], confirm["tag"])
        self.id, self.roots[1] = offered["session_id"], last["rk1"]

    def next_epoch(self, epoch, text):
        """The one with this number begins with a ciphertext."""
        drawn = next(one for one in self.drawn["epochs"] if one["epoch"] == epoch)
        key = self.keys[epoch - 1]
        if "seed_hex" in drawn:
            own = primitives.XWingKey(data(drawn, "seed"))
            agree("ratchet_key", own.public, key)
            secret = own.decapsulate(text)
        else:
            agree("ciphertext", data(drawn["answer"], "ciphertext"), text)
            secret = data(drawn["answer"], "secret")
        salt = next_salt(self.roots[epoch - 1], epoch)
        self.roots[epoch] = next_root(salt, secret, epoch_transcript(self.id, epoch, key, text))

    def hear(self, sender, message):
        header, ciphertext, tag = split_message(message)
        said = decode_header(header)
        epoch, n = said["epoch"], said["n"]
        if epoch not in self.roots:
            self.next_epoch(epoch, said["ciphertext"])
        chain = chain_start(self.roots[epoch], "i2r" if sender == "initiator" else "r2i", epoch)
        for place in range(n):
            chain = next_chain(chain, place)
        inner = open_message(message_key(chain, n), header, ciphertext, tag)
        kind, value = read_content(decode_inner(inner, False)[0])
        if said["ratchet_key"]:
            agree("the epoch's key", self.keys.setdefault(epoch, said["ratchet_key"]), said["ratchet_key"])
        return {"from": sender, "epoch": epoch, "n": n, kind: value.decode("utf-8")}


def check_passive(case):
    listener = Listener(case)
    packets = [(wired["from"], *read_packet(data(wired, "packet"))) for wired in case["log"]]
    kinds = [kind for _, kind, _, _ in packets]
    agree("kinds", kinds[:3] + sorted(set(kinds[3:])), ["offer", "accept", "confirm", "message"])
    listener.begin(*[(said, core) for _, _, said, core in packets[:3]])
    found = [listener.hear(sender, message) for sender, _, message, _ in packets[3:]]
    if found != case["plaintexts"]:
        raise Disagreement(f"the plaintexts are {found}")
