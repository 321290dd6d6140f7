"""A device's end of a sealed link over TCP: 11.2, 11.3 and 11.7 on a real connection."""

import os
import socket

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import hello
import primitives
import records
import schedule
from faults import Fault
from protobuf import decode, encode

# [LNK-2]; records follow in place of frames. [ENV-48]
PREFACE = bytes.fromhex("f09f93af01")
# [ENV-19]
HANDSHAKE_S = 10
# How much content goes into one record at most. [ENV-9]
CONTENT_BYTES = 16_384


def fresh_rsa_key():
    """For this link alone. [ENV-23]"""
    key = rsa.generate_private_key(65537, 3072)
    form = serialization.PrivateFormat.PKCS8
    encryption = serialization.NoEncryption()
    return primitives.RsaKey(key.private_bytes(serialization.Encoding.DER, form, encryption))


class SealedLink:
    """Connects, shakes hands and carries frames. Raises Fault where the chapter says to refuse."""

    def __init__(self, address, pin, suites=(2, 3, 1)):
        self._socket = socket.create_connection(address, HANDSHAKE_S)
        self._socket.settimeout(HANDSHAKE_S)
        self._held = b""
        self._update_asked = False
        self.ended = False
        self._device = {"suites": list(suites), "pins": [pin]}
        try:
            self._shake_hands()
        except Fault as fault:
            self._refuse(fault)

    def _shake_hands(self):
        xwing = primitives.XWingKey(os.urandom(32))
        keys = {n: fresh_rsa_key() if n == 1 else xwing for n in self._device["suites"]}
        client = self._say_hello(keys)
        kind, body = self._read_record()
        if kind == records.ALERT:
            raise ConnectionError("the service refuses the handshake")
        hello.need(kind == records.SERVER_HELLO, f"a record of type {kind}", "order")
        answer, core = hello.read_server_hello(body)
        self.suite = hello.judge_server(self._device, client, answer, core)
        secret = agreed_secret(keys[core["suite"]], core)
        heard = [client["core"], client["binder"], answer["core"], answer["signature"]]
        secrets = schedule.link_secrets(heard, schedule.NONE, secret)
        is_right = schedule.equal(secrets["server_confirm"], answer["server_confirm"])
        hello.need(is_right, "the service does not have the link's keys", "confirm")
        finished = encode(hello.CLIENT_FINISHED, {"client_confirm": secrets["client_confirm"]})
        self._socket.sendall(records.clear_record(records.CLIENT_FINISHED, finished))
        limits = (core["rules"]["rekey_records"], core["rules"]["rekey_bytes"])
        aead = hello.SUITES[self.suite][1]
        self._up = records.Direction(aead, secrets["c_traffic_1"], *limits)
        self._down = records.Direction(aead, secrets["s_traffic_1"], *limits)
        self.channel_binding = secrets["channel_binding"]

    def _say_hello(self, keys):
        offers = [
            encode(hello.OFFER, {"suite": number, "public_key": key.public})
            for number, key in keys.items()
        ]
        core = encode(
            hello.CLIENT_CORE,
            {
                "version": 1,
                "client_random": os.urandom(32),
                "offers": offers,
                "pinned_server_id": self._device["pins"][0],
            },
        )
        client = {"core": core, "binder": b""}
        body = encode(hello.CLIENT_HELLO, client)
        self._socket.sendall(PREFACE + records.clear_record(records.CLIENT_HELLO, body))
        return client

    def send(self, frames):
        """Seals frames, and changes the key before it is used up. [ENV-37] [ENV-39]"""
        for at in range(0, len(frames), CONTENT_BYTES):
            content = frames[at : at + CONTENT_BYTES]
            if self._update_asked or not self._up.has_room(len(content)):
                self.update_key(False)
            self._socket.sendall(self._up.seal("frames", content))

    def update_key(self, requested):
        """A new key of our own; `requested` asks for one of the other side. [ENV-39]"""
        self._update_asked = False
        content = encode(hello.KEY_UPDATE, {"requested": requested})
        self._socket.sendall(self._up.seal("key_update", content))

    def receive(self):
        """The next piece of the stream of frames; empty when the service has ended it in order."""
        while not self.ended:
            try:
                kind, content = self._down.open(self._read_whole())
            except Fault as fault:
                self._refuse(fault)
            if kind == "frames" and content:
                return content
            if kind == "key_update":
                self._update_asked |= decode(hello.KEY_UPDATE, content)["requested"]
            elif kind == "alert":
                raise ConnectionError("the service could not open a record")
            elif kind == "close":
                self.ended = True
        return b""

    def close(self):
        """[ENV-51]"""
        if not self.ended:
            self._socket.sendall(self._up.seal("close", b""))
        self._socket.close()

    def _refuse(self, fault):
        """One alert, and the end. [ENV-20] [ENV-50]"""
        if hasattr(self, "_up"):
            alert = self._up.seal("alert", hello.encode_alert(20))
        else:
            alert = records.clear_record(records.ALERT, hello.encode_alert(40))
        self._socket.sendall(alert)
        self._socket.close()
        raise fault

    def _read_record(self):
        record = self._read_whole()
        return record[0], record[records.HEADER_BYTES :]

    def _read_whole(self):
        while True:
            found, fault, _ = records.split(self._held)
            if found:
                self._held = self._held[len(found[0]) :]
                return found[0]
            if fault is not None:
                raise fault
            piece = self._socket.recv(65_536)
            if piece == b"":
                raise ConnectionError("the link ended without a sealed close")
            self._held += piece


def agreed_secret(key, core):
    """[ENV-22] [ENV-24] [ENV-25]"""
    ciphertext = core["kem_ciphertext"]
    if core["suite"] != 1:
        return key.decapsulate(ciphertext)
    hello.need(len(ciphertext) == key.size, "an RSA ciphertext of another length", "kem")
    try:
        return key.decrypt(ciphertext)
    except Fault:
        return os.urandom(32)
