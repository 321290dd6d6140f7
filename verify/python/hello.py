"""The messages of the handshake, and how both sides judge them: 11.3 to 11.5."""

from faults import Fault
from primitives import rsa_judge, verify_identity, xwing_judge
from protobuf import decode, decode_whole, encode
from schedule import binder, equal, server_id, server_signed_text

CLIENT_HELLO = {1: ("core", "bytes"), 2: ("binder", "bytes")}
CLIENT_CORE = {
    1: ("version", "uint32"),
    2: ("client_random", "bytes"),
    3: ("offers", "bytes*"),
    4: ("pinned_server_id", "bytes"),
    5: ("ticket_id", "bytes"),
    6: ("resume_mode", "uint32"),
    7: ("client_features", "uint32"),
}
OFFER = {1: ("suite", "uint32"), 2: ("public_key", "bytes")}
SERVER_HELLO = {
    1: ("core", "bytes"),
    2: ("signature_algorithm", "uint32"),
    3: ("signature", "bytes"),
    4: ("server_confirm", "bytes"),
}
SERVER_CORE = {
    1: ("version", "uint32"),
    2: ("server_random", "bytes"),
    3: ("link_id", "bytes"),
    4: ("suite", "uint32"),
    5: ("kem_ciphertext", "bytes"),
    6: ("server_keys", "bytes"),
    7: ("ticket_accepted", "bool"),
    8: ("policy", "bytes"),
}
SERVER_KEYS = {1: ("ed25519", "bytes"), 2: ("ml_dsa_65", "bytes")}
POLICY = {
    1: ("min_suite", "uint32"),
    2: ("rekey_records", "uint32"),
    3: ("rekey_bytes", "uint32"),
    4: ("lifetime_s", "uint32"),
    5: ("next_server_id", "bytes"),
}
CLIENT_FINISHED = {1: ("client_confirm", "bytes")}
ALERT = {1: ("code", "uint32")}
KEY_UPDATE = {1: ("requested", "bool")}
TICKET = {1: ("ticket_id", "bytes"), 2: ("lifetime_s", "uint32")}

PSK_KEM, PSK_ONLY = 1, 2
CORE_MAX = 8000
# Number to (how the secret is agreed, AEAD, strength). [ENV-26] [ENV-34]
SUITES = {
    1: ("rsa", "aes-128-gcm", 1),
    2: ("xwing", "aes-256-gcm", 2),
    3: ("xwing", "chacha20-poly1305", 2),
}


def need(holds, detail, kind="parse"):
    if not holds:
        raise Fault(kind, detail)


def has_length(data, *lengths):
    return len(data) in lengths


def is_at_least(suite, minimum):
    """A promise of an unknown suite is kept by none. [ENV-34]"""
    return suite in SUITES and minimum in SUITES and SUITES[suite][2] >= SUITES[minimum][2]


def read_client_hello(body):
    """[ENV-12]: the outer message and its core."""
    hello = decode_whole(CLIENT_HELLO, body)
    need(len(hello["core"]) <= CORE_MAX, "a core that is too long")
    core = decode(CLIENT_CORE, hello["core"])
    core["offers"] = [decode(OFFER, offer) for offer in core["offers"]]
    numbers = [offer["suite"] for offer in core["offers"]]
    mode, has_ticket = core["resume_mode"], core["ticket_id"] != b""
    need(core["version"] == 1, f"version {core['version']}")
    need(has_length(core["client_random"], 32), "client_random")
    need(len(numbers) <= 8, f"{len(numbers)} offers")
    need(len(set(numbers)) == len(numbers), "a suite is offered twice")
    need(all(1 <= number <= 0xFFFF for number in numbers), "an offer that is no suite")
    need(has_length(core["pinned_server_id"], 0, 32), "pinned_server_id")
    need(has_length(core["ticket_id"], 0, 16), "ticket_id")
    need(has_length(hello["binder"], 32 if has_ticket else 0), "binder")
    need(mode in ((PSK_KEM, PSK_ONLY) if has_ticket else (0,)), f"resume_mode {mode}")
    need(numbers != [] or mode == PSK_ONLY, "nothing is offered")
    return hello, core


def read_server_hello(body):
    """The form of a ServerHello, the first step of [ENV-16]."""
    hello = decode_whole(SERVER_HELLO, body)
    need(len(hello["core"]) <= CORE_MAX, "a core that is too long")
    core = decode(SERVER_CORE, hello["core"])
    keys = decode(SERVER_KEYS, core["server_keys"])
    policy = decode(POLICY, core["policy"])
    core["keys"], core["rules"] = keys, policy
    need(core["version"] == 1, f"version {core['version']}")
    need(has_length(core["server_random"], 32), "server_random")
    need(has_length(core["link_id"], 16), "link_id")
    need(has_length(keys["ed25519"], 32), "ed25519")
    need(has_length(keys["ml_dsa_65"], 0, 1952), "ml_dsa_65")
    need(2 <= policy["rekey_records"] <= 2**20, "rekey_records")
    need(2**21 <= policy["rekey_bytes"] <= 2**30, "rekey_bytes")
    need(1 <= policy["lifetime_s"] <= 86_400, "lifetime_s")
    need(has_length(policy["next_server_id"], 0, 32), "next_server_id")
    need(has_length(hello["server_confirm"], 32), "server_confirm")
    return hello, core


def choose_suite(device, core):
    """
    The suite in force, or a fault: was it offered, is the ticket ours, is it strong enough.
    [ENV-13] [ENV-34] [ENV-45]
    """
    number, ticket, accepted = core["suite"], device.get("ticket"), core["ticket_accepted"]
    need(ticket is not None or not accepted, "a ticket that was not shown", "policy")
    if number == 0:
        need(accepted and device.get("ticket_only", False), "a ticket alone", "policy")
        number = ticket["suite"]
    else:
        is_offered = not device.get("ticket_only", False) and number in device["suites"]
        need(is_offered, f"suite {number} was not offered", "policy")
    need(not accepted or ticket["suite"] == number, "a ticket of another suite", "policy")
    promise, remembered = core["rules"]["min_suite"], device.get("min_suite")
    need(is_at_least(number, promise), f"a promise of suite {promise}", "policy")
    if remembered is not None:
        need(is_at_least(promise, remembered), f"less than suite {remembered}", "policy")
    return number


def judge_server(device, client, hello, core):
    """
    Suite, pin and signature, in this order. [ENV-16]

    device: suites, pins (None: anybody), and what else a vector gives a device
    client: the outer ClientHello
    """
    number = choose_suite(device, core)
    keys = (core["keys"]["ed25519"], core["keys"]["ml_dsa_65"])
    pins = device.get("pins")
    need(pins is None or server_id(*keys) in pins, "another identity", "policy")
    text = server_signed_text(client["core"], client["binder"], hello["core"])
    verify_identity(keys, hello["signature_algorithm"], text, hello["signature"])
    return number


def judge_client(service, hello, core):
    """
    What a service makes of a ClientHello: (suite on the wire, suite in force, ticket or None).
    [ENV-13] [ENV-21] [ENV-44] to [ENV-46]
    """
    ticket = next((t for t in service["tickets"] if t["ticket_id"] == core["ticket_id"]), None)
    if ticket is not None and not equal(binder(ticket["psk"], hello["core"]), hello["binder"]):
        ticket = None
    accepts = lambda n: n in service["suites"] and is_at_least(n, service["min_suite"])
    may_be_alone = core["resume_mode"] == PSK_ONLY and service["allows_ticket_only"]
    if may_be_alone and ticket is not None and accepts(ticket["suite"]):
        return 0, ticket["suite"], ticket
    for offer in core["offers"]:
        number = offer["suite"]
        if not accepts(number):
            continue
        judge = rsa_judge if SUITES[number][0] == "rsa" else xwing_judge
        judge(offer["public_key"])
        is_for_this = core["resume_mode"] == PSK_KEM and ticket and ticket["suite"] == number
        return number, number, ticket if is_for_this else None
    raise Fault("policy", "no offer is accepted")


def read_client_finished(body):
    finished = decode_whole(CLIENT_FINISHED, body)
    need(has_length(finished["client_confirm"], 32), "client_confirm")
    return finished["client_confirm"]


def encode_alert(code):
    return encode(ALERT, {"code": code})
