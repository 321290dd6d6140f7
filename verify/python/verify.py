#!/usr/bin/env python3
"""
Checks the vectors of the envelope, of secure chat and of conversations with an implementation of its own.

    python3 verify/python/verify.py spec/vectors

Written from chapters 11 to 13 and 16 alone; needs Python and its `cryptography` package. Prints a count for each
file, what was skipped and why, and every case that disagrees; then the status is 1.
"""

import json
import pathlib
import sys

import checks
from conversation_checks import CHECKS as CONVERSATION_CHECKS
from faults import Disagreement, Fault, Skipped
from handshake_check import check_handshake
from link_check import check_link
from secure_checks import CHECKS as SECURE_CHECKS

CHECKS = {
    "expand": checks.check_expand,
    "transcript": checks.check_transcript,
    "padding": checks.check_padding,
    "inner": checks.check_inner,
    "seal": checks.check_seal,
    "open": checks.check_open,
    "stream": checks.check_stream,
    "rsa-decrypt": checks.check_rsa_decrypt,
    "rsa-key": checks.check_rsa_key,
    "xwing-encapsulate": checks.check_xwing_encapsulate,
    "xwing-decapsulate": checks.check_xwing_decapsulate,
    "signature": checks.check_signature,
    "pin": checks.check_pin,
    "pin-text": checks.check_pin_text,
    "login": checks.check_login,
    "login-answer": checks.check_login_answer,
    "ticket": checks.check_ticket,
    "binder": checks.check_binder,
    "link": check_link,
    "draft-link": checks.check_draft,
    "handshake": check_handshake,
    **SECURE_CHECKS,
    **CONVERSATION_CHECKS,
}


def kind_of(case):
    """The files beside the folder have no kinds."""
    if "kind" in case:
        return case["kind"]
    if "side" in case:
        return "handshake"
    if "suite" in case:
        return "draft-link"
    return "expand" if "secret_hex" in case else "transcript"


def judge(case):
    """None when the case agrees, else what is wrong with it. Raises Skipped."""
    expected = case.get("expect", "valid")
    kind = kind_of(case)
    # A handshake compares the code itself.
    wanted = None if expected == "valid" or kind == "handshake" else expected["fails"]
    try:
        CHECKS[kind](case)
    except Fault as fault:
        return None if fault.kind == wanted else f"fails with {fault}, not {wanted}"
    except Disagreement as wrong:
        return str(wrong)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as broken:
        return f"cannot be judged: {broken!r}"
    return None if wanted is None else f"is accepted, but fails with {wanted}"


def name_of(path):
    """Files of the envelope and of secure chat have the same names."""
    folder = path.parent.name
    return f"{folder}/{path.name}" if folder in ("secure", "conversation") else path.name


def check_file(path, skipped, wrong):
    """Returns how many cases agree."""
    agreed, name = 0, name_of(path)
    for case in json.loads(path.read_text())["cases"]:
        try:
            why = judge(case)
        except Skipped as lacking:
            skipped.append(f"{name}: {case['name']}: {lacking}")
            continue
        if why is None:
            agreed += 1
        else:
            wrong.append(f"{name}: {case['name']}: {why}")
    return agreed


def main(folder):
    skipped, wrong, total = [], [], 0
    patterns = ("envelope/*.json", "envelope-*.json", "secure/*.json", "conversation/*.json")
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    files = [path for path in paths if path.name != "schema.json"]
    for path in files:
        agreed = check_file(path, skipped, wrong)
        total += agreed
        print(f"{name_of(path)}: {agreed}")
    for line in skipped:
        print(f"skipped: {line}")
    for line in wrong:
        print(f"wrong: {line}")
    print(f"{total} vectors agree, {len(skipped)} skipped, {len(wrong)} wrong")
    return 0 if total > 0 and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
