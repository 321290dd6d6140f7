#!/usr/bin/env python3
"""
Talks to a running service over a sealed link, with nothing of the service's own code.

    python3 verify/python/live.py HOST PORT PIN USER [SUITE]

Shakes hands, attaches a fresh device of USER, sends a message to USER, and waits until it comes
back; then changes its key and does so again. Prints one line, or says what went wrong with status 1.
"""

import secrets
import sys

from checks import read_pin
from faults import Fault
from sealed_link import SealedLink
from session import Session


def talk(address, pin, user, suites):
    """Returns the suite in force and the text that came back."""
    link = SealedLink(address, pin, suites)
    session = Session(link, user, f"verify-{secrets.token_hex(8)}")
    session.attach()
    for turn in ("once", "under the next key"):
        text = f"{turn}, {secrets.token_hex(8)}"
        session.say(user, text)
        heard = session.hear()
        if heard != text:
            raise ConnectionError(f"{heard!r} came back for {text!r}")
        link.update_key(True)
    session.close()
    return link.suite, heard


def main(host, port, pin, user, suite=None):
    suites = (2, 3, 1) if suite is None else (int(suite),)
    try:
        number, text = talk((host, int(port)), read_pin(pin), user, suites)
    except (Fault, OSError) as wrong:
        print(f"failed: {wrong}")
        return 1
    print(f"suite {number}: {text!r} came back")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
