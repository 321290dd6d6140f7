#!/usr/bin/env python3
"""Checks the vectors with a reader of its own.

Written from chapters 2 and 3 and the tables of fields alone; needs nothing but Python 3. Judges framing,
decoding, frame rules, sniffing and the byte pipe; of the sessions it compares bytes with JSON. Prints
a count, or the first case that disagrees and exits with status 1.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent
COUNTER_MAX = 2**53 - 1
ENUM_NAMES = {
    "CursorStart": ["CURSOR_START_UNSPECIFIED", "CURSOR_START_EARLIEST", "CURSOR_START_LATEST"],
    "LostReason": ["LOST_REASON_UNSPECIFIED", "LOST_REASON_RETENTION"],
    "PresenceState": [
        "PRESENCE_STATE_" + state for state in ["UNSPECIFIED", "OFFLINE", "AWAY", "BUSY", "ONLINE"]
    ],
}


class Fault(Exception):
    """A violation, by the name of its code."""


def malformed():
    raise Fault("FRAME_MALFORMED")


def cut(stream, frame_bytes_max):
    """[FRM-1] to [FRM-3]: frames, then the fault if there is one."""
    frames, at = [], 0
    while at < len(stream):
        length, start = 0, None
        for index in range(5):
            if at + index == len(stream):
                return frames, None
            byte = stream[at + index]
            length |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                start = at + index + 1
                break
        if start is None or (start - at > 1 and stream[start - 1] == 0):
            return frames, "LENGTH_INVALID"
        if length > frame_bytes_max:
            return frames, "FRAME_TOO_LARGE"
        if start + length > len(stream):
            return frames, None
        frames.append(stream[start : start + length])
        at = start + length
    return frames, None


def table(text):
    """Fields of a message by number: (JSON name, type, repeated)."""
    rows = {}
    for number, row in enumerate(text.split(), start=1):
        name, kind = row.split(":")
        rows[number] = (name, kind.rstrip("*"), kind.endswith("*"))
    return rows


MESSAGES = {
    "Hello": table(
        "versionMin:uint32 versionMax:uint32 token:string userId:string deviceId:string"
        " outbox:OutboxPosition cursor:CursorPosition timers:Timers deliveryWindow:Window agent:string"
        " loginProof:LoginProof registration:LoginRegistration"
    ),
    "LoginProof": table("account:string deviceId:string signature:bytes"),
    "LoginRegistration": table("loginKey:bytes registrationSecret:bytes"),
    "OutboxPosition": table("epoch:uint64 resultsThrough:uint64 next:uint64"),
    "CursorPosition": table("epoch:uint64 seq:uint64 start:CursorStart"),
    "Timers": table("keepaliveMs:uint32 idleMs:uint32 ageMs:uint32"),
    "Window": table("count:uint32 bytes:uint32"),
    "Welcome": table(
        "version:uint32 sessionId:bytes generation:uint64 outbox:OutboxState timeline:TimelineState"
        " resume:ResumeResult timers:Timers submitWindow:Window limits:Limits userId:string nowMs:uint64"
    ),
    "OutboxState": table("epoch:uint64 through:uint64 resultsThrough:uint64 results:SubmitResult*"),
    "SubmitResult": table(
        "code:ErrorCode conversationSeq:uint64 committedMs:uint64 digest:fixed32"
    ),
    "TimelineState": table("epoch:uint64 head:uint64 floor:uint64"),
    "ResumeResult": table(
        "cursor:uint64 resumed:Empty replaying:Replaying lost:Lost epochChanged:EpochChanged"
    ),
    "Empty": {},
    "Replaying": table("count:uint64"),
    "Lost": table("from:uint64 to:uint64 reason:LostReason"),
    "EpochChanged": table("oldEpoch:uint64"),
    "Limits": table("frameBytes:uint32 contentBytes:uint32 calls:uint32"),
    "Submit": table("seq:uint64 operation:bytes"),
    "SubmitAck": table("through:uint64 results:SubmitResult*"),
    "Deliver": table("seq:uint64 conversationSeq:uint64 committedMs:uint64 event:bytes"),
    "Ack": table("deliveredThrough:uint64 resultsThrough:uint64"),
    "Ping": table("id:uint32 sentThrough:uint64"),
    "Credit": table("window:Window"),
    "Drain": table("slotMs:uint32 graceMs:uint32 alternatives:string*"),
    "Close": table("code:ErrorCode detail:string requirement:string"),
    "Call": table("id:uint64 method:string request:bytes"),
    "Reply": table("id:uint64 code:ErrorCode response:bytes"),
    "Signal": table("typing:Typing setPresence:SetPresence watch:Watch"),
    "Typing": table("conversationId:string active:bool"),
    "SetPresence": table("state:PresenceState"),
    "Watch": table("userIds:string*"),
    "Hints": table("typing:TypingHint* presence:PresenceHint* heads:HeadHint*"),
    "TypingHint": table("conversationId:string userId:string active:bool"),
    "PresenceHint": table("userId:string state:PresenceState lastSeenMs:uint64"),
    "HeadHint": table("conversationId:string head:uint64"),
}
ONEOFS = {
    "ResumeResult": {"resumed", "replaying", "lost", "epochChanged"},
    "Signal": {"typing", "setPresence", "watch"},
}

# Kinds by field number: JSON name, message, senders, phases of the receiver.
DEVICE, SERVICE, BOTH = {"device"}, {"service"}, {"device", "service"}
KINDS = {
    1: ("hello", "Hello", DEVICE, {"opening"}),
    2: ("welcome", "Welcome", SERVICE, {"opening"}),
    3: ("ready", "Empty", DEVICE, {"joining"}),
    4: ("submit", "Submit", DEVICE, {"open"}),
    5: ("submitAck", "SubmitAck", SERVICE, {"open"}),
    6: ("deliver", "Deliver", SERVICE, {"open"}),
    7: ("ack", "Ack", DEVICE, {"open"}),
    8: ("ping", "Ping", BOTH, {"open"}),
    9: ("pong", "Ping", BOTH, {"open"}),
    10: ("credit", "Credit", BOTH, {"open"}),
    11: ("drain", "Drain", SERVICE, {"open"}),
    12: ("close", "Close", BOTH, {"opening", "joining", "open"}),
    13: ("call", "Call", DEVICE, {"open"}),
    14: ("reply", "Reply", SERVICE, {"open"}),
    15: ("signal", "Signal", DEVICE, {"open"}),
    16: ("hints", "Hints", SERVICE, {"open"}),
}
WIRE_TYPES = {"uint32": 0, "uint64": 0, "bool": 0, "ErrorCode": 0, "fixed32": 5}
WIRE_TYPES |= dict.fromkeys(ENUM_NAMES, 0)


def varint(data, at):
    """Protobuf's own: up to ten bytes, in any form."""
    value = 0
    for index in range(10):
        if at + index >= len(data):
            malformed()
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value % 2**64, at + index + 1
    return malformed()


def fields(data):
    """The fields of a message as (number, wire type, value)."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            malformed()
        if wire == 0:
            value, at = varint(data, at)
        else:
            length, at = varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            if at + length > len(data):
                malformed()
            value, at = data[at : at + length], at + length
        yield number, wire, value


def scalar(kind, value):
    """A field's value as Protobuf's JSON; None for a default."""
    if kind == "uint64":
        if value > COUNTER_MAX:
            raise Fault("COUNTER_OUT_OF_RANGE")
        return str(value) if value else None
    if kind == "string":
        try:
            return value.decode("utf-8") or None
        except UnicodeDecodeError:
            return malformed()
    if kind == "bytes":
        return base64.b64encode(value).decode("ascii") or None
    if kind == "fixed32":
        return int.from_bytes(value, "little") or None
    if kind == "bool":
        return value != 0 or None
    if kind == "uint32":
        return value % 2**32 or None
    if kind == "ErrorCode":
        return ERROR_NAMES.get(value, value) if value else None
    names = ENUM_NAMES[kind]
    return (names[value] if value < len(names) else value) if value else None


def message(name, data):
    """A message as Protobuf's JSON. [FRM-9]"""
    result = {}
    for number, wire, value in fields(data):
        if number not in MESSAGES[name]:
            continue
        key, kind, repeated = MESSAGES[name][number]
        if wire != WIRE_TYPES.get(kind, 2):
            malformed()
        item = message(kind, value) if kind in MESSAGES else scalar(kind, value)
        if key in ONEOFS.get(name, ()):
            for other in ONEOFS[name] - {key}:
                result.pop(other, None)
        if repeated:
            result.setdefault(key, []).append(item)
        elif item is None:
            result.pop(key, None)
        else:
            result[key] = item
    return result


def short_varint(data, at):
    value, end = varint(data, at)
    if end - at > 1 and data[end - 1] == 0:
        malformed()
    return value, end


def decode(frame, sender=None, phase=None):
    """[FRM-5] to [FRM-9]: the frame as JSON, or the code that it fails with."""
    try:
        tag, at = short_varint(frame, 0)
        if tag & 7 != 2 or tag >> 3 not in KINDS:
            malformed()
        length, at = short_varint(frame, at)
        if at + length != len(frame):
            malformed()
        kind, name, senders, phases = KINDS[tag >> 3]
        if sender is not None and sender not in senders:
            raise Fault("FRAME_WRONG_SENDER")
        if phase is not None and phase not in phases:
            raise Fault("FRAME_WRONG_PHASE")
        content = message(name, frame[at:])
        if kind in ("submit", "deliver") and "seq" not in content:
            raise Fault("COUNTER_OUT_OF_RANGE")
    except Fault as fault:
        return {"fails": str(fault)}
    return {"json": {kind: content}}


def read_error_names():
    """The numbers of the codes, from the reference beside the chapters."""
    names = {}
    for line in (FOLDER.parent / "generated" / "errors.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and cells[1].isdigit() and cells[2].strip("`").isupper():
            names[int(cells[1])] = "ERROR_CODE_" + cells[2].strip("`")
    return names


ERROR_NAMES = read_error_names()
PREFACE = bytes([0xF0, 0x9F, 0x93, 0xAF, 0x01])


def sniff(data):
    """[LNK-2] [LNK-3]"""
    if not data:
        return "more"
    if data[0] == 0x16:
        return "tls"
    if 0x41 <= data[0] <= 0x5A:
        return "http"
    if data[:5] == PREFACE:
        return "raw"
    return "more" if PREFACE.startswith(data) else "refused"


class Pipe:
    """[LNK-7] to [LNK-10]: the service's half."""

    def __init__(self, setup):
        self.setup, self.now = setup, 0
        self.down, self.base, self.up, self.ended = b"", 0, b"", False
        self.hanging = None
        self.answers = {}

    def send(self, offset, data):
        if len(data) > self.setup["send_bytes_max"]:
            return {"fails": "REQUEST_INVALID"}
        if offset + len(data) > COUNTER_MAX:
            return {"fails": "COUNTER_OUT_OF_RANGE"}
        if offset <= len(self.up) < offset + len(data):
            self.up += data[len(self.up) - offset :]
        return {"received_offset": len(self.up)}

    def poll(self, name, received):
        if received > COUNTER_MAX:
            self.answers[name] = {"fails": "COUNTER_OUT_OF_RANGE"}
        elif not self.base <= received <= self.base + len(self.down):
            self.answers[name] = {"fails": "OFFSET_INVALID"}
        else:
            self.down, self.base = self.down[received - self.base :], received
            if self.hanging:
                self.answers[self.hanging[0]] = {"fails": "POLL_SUPERSEDED"}
            self.hanging = (name, self.now + self.setup["hold_ms"])

    def settle(self):
        """Answers the hanging poll when there is something to say."""
        if not self.hanging:
            return
        name, until = self.hanging
        if self.down or self.ended or self.now >= until:
            data = self.down[: self.setup["poll_bytes_max"]]
            answer = {"offset": self.base, "data_hex": data.hex()}
            if self.ended and data == self.down:
                answer["ended"] = True
            self.answers[name], self.hanging = answer, None


def check_framing(case, _):
    frames, fault = cut(bytes.fromhex(case["stream_hex"]), case["frame_bytes_max"])
    expect = case["expect"]
    return [f.hex() for f in frames] == expect["frames_hex"] and fault == expect.get("fails")


def check_decoding(case, _):
    outcome = decode(bytes.fromhex(case["frame_hex"]), case["sender"], case["phase"])
    return outcome == case["expect"]


def check_sniffing(case, _):
    return sniff(bytes.fromhex(case["bytes_hex"])) == case["expect"]


def check_pipe(case, setup):
    pipe = Pipe(setup)
    for step in case["steps"]:
        pipe.answers = {}
        pipe.now = step.get("at_ms", pipe.now)
        pipe.down += bytes.fromhex(step.get("write_hex", ""))
        pipe.ended |= step.get("ends", False)
        if "send" in step:
            send = step["send"]
            if pipe.send(int(send["offset"]), bytes.fromhex(send["data_hex"])) != step["sent"]:
                return False
        if "poll" in step:
            pipe.poll(step["poll"]["name"], int(step["poll"]["received_offset"]))
        if pipe.hanging and pipe.hanging[0] == step.get("cut"):
            pipe.hanging = None
        pipe.settle()
        if pipe.answers != step.get("answers", {}):
            return False
    return pipe.up.hex() == case["up_hex"]


def check_session(case, _):
    for step in case["steps"]:
        for frame in step.get("receive", []):
            if "json" not in frame:
                continue
            frames, fault = cut(bytes.fromhex(frame["hex"]), 2**20)
            said = decode(frames[0]) if len(frames) == 1 and fault is None else None
            # A lie about a number is told in JSON all the same.
            if said != {"json": frame["json"]} and said != {"fails": "COUNTER_OUT_OF_RANGE"}:
                return False
    return True


def hashed(label, items):
    """Chapter 11: TH."""
    text = bytes([len(label)]) + label.encode()
    return hashlib.sha256(text + b"".join(len(i).to_bytes(4, "big") + i for i in items)).digest()


def expanded(secret, label, context=b"", length=32):
    """Chapter 11: XL, one block of HKDF-Expand."""
    name = b"phorn1 " + label.encode()
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", "sha256")[:length]


def check_envelope(case, _setup):
    """The hashes and secrets of a sealed link; Python has no AEAD and no X-Wing of its own."""
    of = lambda name: bytes.fromhex(case[name + "_hex"])
    if "secret_hex" in case:
        return expanded(of("secret"), case["label"], of("context"), case["length"]) == of("out")
    if "messages_hex" in case:
        return hashed(case["label"], map(bytes.fromhex, case["messages_hex"])) == of("out")
    heard = [of("ch_core"), of("binder"), of("sh_core")]
    hashes = [hashed("phorn-link-1", heard)]
    for name in ("signature", "server_confirm", "client_confirm"):
        heard.append(of(name))
        hashes.append(hashed("phorn-link-1", heard))
    th1, th2, th3, th4 = hashes
    prk = hmac.digest(th2, of("psk") + of("kem_secret"), "sha256")
    signed = b" " * 64 + b"Posthorn link v1 server signature\0" + th1
    up = expanded(prk, "c traffic", th4)
    said = {
        "sig_input": signed,
        "server_confirm": hmac.digest(expanded(prk, "s confirm", th2), th2, "sha256"),
        "client_confirm": hmac.digest(expanded(prk, "c confirm", th2), th3, "sha256"),
        "c_traffic_1": up,
        "c_traffic_2": expanded(up, "traffic upd"),
        "s_traffic_1": expanded(prk, "s traffic", th4),
        "resumption": expanded(prk, "resumption", th4),
        "channel_binding": expanded(expanded(prk, "exporter", th4), "channel binding"),
    }
    return all(value == of(name) for name, value in said.items())


CHECKS = {
    "framing.json": check_framing,
    "decoding.json": check_decoding,
    "frame-rules.json": check_decoding,
    "sniffing.json": check_sniffing,
    "byte-pipe.json": check_pipe,
    "envelope-handshake.json": check_envelope,
    "service.json": check_session,
    "device.json": check_session,
}


def main():
    count = 0
    for name, check in CHECKS.items():
        file = json.loads((FOLDER / name).read_text())
        for case in file["cases"]:
            if not check(case, file.get("setup")):
                print(f"{name}: {case['name']}: {case['description']}")
                return 1
            count += 1
    print(f"{count} vectors agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
