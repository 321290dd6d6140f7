"""envelope-link.json: one side of a link, and the code of chapter 11 that it ends with."""

import hello
import records
from checks import data
from faults import Disagreement, Fault, agree
from link_check import Link
from protobuf import encode

# Which of our classes a code of the chapter stands for: envelope-link.json names codes.
CODES = {
    "ENVELOPE_MALFORMED": ("parse", "order"),
    "ENVELOPE_SUITE_REFUSED": ("policy",),
    "ENVELOPE_KEY_INVALID": ("kem", "policy"),
    "ENVELOPE_SIGNATURE_INVALID": ("signature",),
    "ENVELOPE_CONFIRM_INVALID": ("confirm",),
    "ENVELOPE_DOWNGRADED": ("policy",),
    "SERVER_IDENTITY_CHANGED": ("policy",),
    "ENVELOPE_RECORD_INVALID": ("parse", "order", "replay", "aead", "tag", "padding"),
}


def check_handshake(case):
    """A case of envelope-link.json: one side, and the code that it ends with."""
    try:
        (follow_device if case["side"] == "device" else judge_service)(case)
    except Fault as fault:
        code = case["expect"] != "valid" and case["expect"]["fails"]
        if fault.kind not in CODES.get(code, ()):
            raise Disagreement(f"fails with {fault}, not {code}") from None
        return
    agree("expect", "valid", case["expect"])


def judge_service(case):
    record = data(case, "client_hello")
    kind, _, _, length = records.decode_header(record[: records.HEADER_BYTES])
    agree("type", kind, records.CLIENT_HELLO)
    agree("length", length, len(record) - records.HEADER_BYTES)
    service = {"suites": [1, 2, 3], "min_suite": 1, "allows_ticket_only": True, "tickets": []}
    hello.judge_client(service, *hello.read_client_hello(record[records.HEADER_BYTES :]))


def side_of(case):
    """What a device of envelope-link.json knows; its randomness is random, seed, and what stands in."""
    random = data(case, "client_randomness")
    device = {
        "suites": case["suites"],
        "pins_hex": [case["server_id_hex"]],
        "client_random_hex": random[:32].hex(),
        "xwing_seed_hex": random[32:64].hex(),
    }
    if "min_suite" in case:
        device["min_suite"] = case["min_suite"]
    if "psk_hex" in case:
        core = hello.read_client_hello(data(case, "client_hello")[records.HEADER_BYTES :])[1]
        names = {"ticket_id_hex": core["ticket_id"].hex(), "suite": case["ticket_suite"]}
        device["ticket"] = {**names, "psk_hex": case["psk_hex"]}
        device["ticket_only"] = case["suites"] == []
    policy = {"min_suite": 1}
    service = {"suites": [1, 2, 3], "allows_ticket_only": True, "tickets": [], "policy": policy}
    if "ticket" in device:
        service["tickets"] = [device["ticket"]]
    return {"device": device, "service": service}


def follow_device(case):
    link = Link(side_of(case))
    take_trusted(link, data(case, "client_hello"), "device")
    link.take(data(case, "server_hello"), "service", False)
    finished = {"client_confirm": link.secrets["client_confirm"]}
    body = encode(hello.CLIENT_FINISHED, finished)
    ours = records.clear_record(records.CLIENT_FINISHED, body)
    agree("client_finished", ours, data(case, "client_finished"))
    agree("channel_binding", link.secrets["channel_binding"], data(case, "channel_binding"))
    take_trusted(link, ours, "device")
    for said in case["records"]:
        record, frames = data(said, "record"), said.get("frames_hex")
        if said["from"] == "device":
            sealed = link.directions["device"].seal("frames", bytes.fromhex(frames))
            agree("record", sealed, record)
            continue
        kind, content = link.take(record, "service", True)
        agree("frames", content.hex() if kind == "frames" else None, frames)


def take_trusted(link, record, sender):
    try:
        link.take(record, sender, True)
    except Fault as fault:
        raise Disagreement(f"a record of the {sender} is refused: {fault}") from None
