#!/usr/bin/env python3
"""Checks framing, decoding, sniffing and byte-pipe vectors with a reader of its own.

Written from chapters 2 and 3 alone; needs nothing but Python 3. Prints a count, or the first case
that disagrees and exits with status 1.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent
COUNTER_MAX = 2**53 - 1


class Fault(Exception):
    """A violation, by the name of its code."""


def read_varint(data, at, longest=10):
    """Returns (value, next position); None when it is not whole."""
    value = 0
    for index in range(longest):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise Fault("LENGTH_INVALID")
            return value, at + index + 1
    raise Fault("LENGTH_INVALID")


def cut(stream, frame_bytes_max):
    """[FRM-1] to [FRM-3]: frames, then the fault if there is one."""
    frames, at = [], 0
    try:
        while at < len(stream):
            prefix = read_varint(stream, at, 5)
            if prefix is None:
                break
            length, start = prefix
            if length > frame_bytes_max:
                raise Fault("FRAME_TOO_LARGE")
            if start + length > len(stream):
                break
            frames.append(stream[start : start + length])
            at = start + length
    except Fault as fault:
        return frames, str(fault)
    return frames, None


# kind by field number: name, senders, phases, then its fields: number -> (wire type, is a counter)
KINDS = {
    1: ("hello", {"device"}, {"opening"}, {}),
    2: ("welcome", {"service"}, {"opening"}, {}),
    3: ("ready", {"device"}, {"joining"}, {}),
    4: ("submit", {"device"}, {"open"}, {1: (0, True), 2: (2, False)}),
    5: ("submit_ack", {"service"}, {"open"}, {1: (0, True)}),
    6: ("deliver", {"service"}, {"open"}, {1: (0, True), 2: (0, True), 3: (0, True), 4: (2, False)}),
    7: ("ack", {"device"}, {"open"}, {1: (0, True), 2: (0, True)}),
    8: ("ping", {"device", "service"}, {"open"}, {}),
    9: ("pong", {"device", "service"}, {"open"}, {}),
    10: ("credit", {"device", "service"}, {"open"}, {}),
    11: ("drain", {"service"}, {"open"}, {}),
    12: ("close", {"device", "service"}, {"opening", "joining", "open"}, {}),
}
NUMBERED = {"submit", "deliver"}


def fields(data):
    """The fields of a message as (number, wire type, value)."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at) or bad()
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = read_varint(data, at) or bad()
        elif kind == 2:
            length, at = read_varint(data, at) or bad()
            if at + length > len(data):
                bad()
            value, at = data[at : at + length], at + length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            if at + width > len(data):
                bad()
            value, at = data[at : at + width], at + width
        else:
            bad()
        yield number, kind, value


def bad():
    raise Fault("FRAME_MALFORMED")


def decode(frame, sender, phase):
    """[FRM-5] to [FRM-9]: the code that it fails with, or None."""
    try:
        try:
            outer = list(fields(frame))
        except Fault:
            bad()
        if len(outer) != 1 or outer[0][1] != 2 or outer[0][0] not in KINDS:
            bad()
        number, _, content = outer[0]
        name, senders, phases, counters = KINDS[number]
        if sender not in senders:
            raise Fault("FRAME_WRONG_SENDER")
        if phase not in phases:
            raise Fault("FRAME_WRONG_PHASE")
        seq = 0
        try:
            for inner, kind, value in fields(content):
                wire, is_counter = counters.get(inner, (kind, False))
                if wire != kind:
                    bad()
                if is_counter and value > COUNTER_MAX:
                    raise Fault("COUNTER_OUT_OF_RANGE")
                if inner == 1 and is_counter:
                    seq = value
        except Fault as fault:
            raise Fault("FRAME_MALFORMED" if str(fault) == "LENGTH_INVALID" else str(fault))
        if name in NUMBERED and seq == 0:
            raise Fault("COUNTER_OUT_OF_RANGE")
    except Fault as fault:
        return str(fault)
    return None


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
    """[LNK-7] to [LNK-9]: the service's half."""

    def __init__(self):
        self.down, self.base, self.up = b"", 0, b""

    def send(self, offset, data):
        if offset + len(data) > COUNTER_MAX:
            return {"fails": "COUNTER_OUT_OF_RANGE"}
        if offset <= len(self.up) < offset + len(data):
            self.up += data[len(self.up) - offset :]
        return {"received_offset": len(self.up)}

    def poll(self, received, most):
        if received > COUNTER_MAX:
            return {"fails": "COUNTER_OUT_OF_RANGE"}
        if not self.base <= received <= self.base + len(self.down):
            return {"fails": "OFFSET_INVALID"}
        self.down, self.base = self.down[received - self.base :], received
        return {"offset": self.base, "data_hex": self.down[:most].hex()}


def check_framing(case):
    frames, fault = cut(bytes.fromhex(case["stream_hex"]), case["frame_bytes_max"])
    expect = case["expect"]
    return [f.hex() for f in frames] == expect["frames_hex"] and fault == expect.get("fails")


def check_decoding(case):
    fails = decode(bytes.fromhex(case["frame_hex"]), case["sender"], case["phase"])
    return fails == case["expect"].get("fails")


def check_sniffing(case):
    return sniff(bytes.fromhex(case["bytes_hex"])) == case["expect"]


def check_pipe(case):
    pipe = Pipe()
    for step in case["steps"]:
        pipe.down += bytes.fromhex(step.get("write_hex", ""))
        answer = None
        if "send" in step:
            answer = pipe.send(int(step["send"]["offset"]), bytes.fromhex(step["send"]["data_hex"]))
        if "poll" in step:
            answer = pipe.poll(int(step["poll"]["received_offset"]), step["poll"]["data_bytes_max"])
        if answer != step.get("expect"):
            return False
    return pipe.up.hex() == case["up_hex"]


CHECKS = {
    "framing.json": check_framing,
    "decoding.json": check_decoding,
    "frame-rules.json": check_decoding,
    "sniffing.json": check_sniffing,
    "byte-pipe.json": check_pipe,
}


def main():
    count = 0
    for name, check in CHECKS.items():
        for case in json.loads((FOLDER / name).read_text())["cases"]:
            if not check(case):
                print(f"{name}: {case['name']}: {case['description']}")
                return 1
            count += 1
    print(f"{count} vectors agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
