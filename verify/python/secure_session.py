"""One side of a session: chapter 13, with what it would draw given."""

import primitives
from checks import data
from faults import Disagreement, Fault, agree
from secure_message import (
    commitment,
    decode_header,
    decode_inner,
    encode_header,
    encode_inner,
    need,
    nothing,
    open_message,
    read_content,
    seal_message,
    split_message,
)
from secure_schedule import (
    chain_start,
    epoch_transcript,
    message_key,
    next_chain,
    next_root,
    next_salt,
)

WINDOW, KEPT_MOST = 256, 512
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


class Chain:
    """Keys of the other side's messages of an epoch."""

    def __init__(self, epoch, key):
        self.epoch, self.key, self.next = epoch, key, 0
        self.pn = self.offered = self.answered = self.end = self.old_since = None

    def reach(self, n):
        """The keys of all places up to n, and the chain's behind it."""
        keys, at = {}, self.key
        for place in range(self.next, n + 1):
            keys[place] = message_key(at, place)
            at = next_chain(at, place)
        return keys, at

    def grow_old(self, now_ms, end=None):
        self.old_since = now_ms if self.old_since is None else self.old_since
        self.end = end if self.end is None else self.end
        self.drop_at_end()

    def drop_at_end(self):
        if self.end is not None and self.next >= self.end:
            self.key = None

    def holds(self, n, now_ms):
        """[SEC-53] [SEC-61]"""
        if self.key is None or (self.old_since is not None and now_ms >= self.old_since + HOUR_MS):
            return False
        return (self.end is None or n < self.end) and n - self.next <= WINDOW


class Session:
    def __init__(self, case):
        self.id, self.is_initiator = data(case, "session_id"), case["role"] == "initiator"
        self.parameters, self.established = case["parameters"], case["established_ms"]
        self.last_ms, self.messages, self.unanswered, self.is_open = self.established, 0, 0, True
        self.chains, self.kept, self.carried, self.seed = [], {}, None, None
        self.epoch, self.n = 0, 0
        self.begin(data(case, "root"), 1, self.established)

    def directions(self):
        both = ("i2r", "r2i")
        return both if self.is_initiator else both[::-1]

    def begin(self, root, epoch, now_ms, chain=None):
        """[SEC-41] [SEC-57] [SEC-58]"""
        own, theirs = self.directions()
        self.pn, self.n, self.epoch = self.n, 0, epoch
        self.sending = chain_start(root, own, epoch)
        self.chains.append(chain or Chain(epoch, chain_start(root, theirs, epoch)))
        self.chains = [one for one in self.chains if one.epoch >= epoch - 2]
        self.salt = next_salt(root, epoch + 1)
        self.since_ms, self.count, self.carried, self.seed = now_ms, 0, None, None

    def offers(self, epoch, is_initiator):
        """[SEC-55]"""
        return (epoch % 2 == 1) == is_initiator

    def expire(self, now_ms):
        """[SEC-64]"""
        ends = self.established + 1000 * min(self.parameters["lifetime_s"], 604_800)
        if now_ms >= min(ends, self.last_ms + DAY_MS):
            self.is_open = False

    # --- sealing ---

    def is_due(self, now_ms):
        if self.carried is not None or not self.offers(self.epoch, self.is_initiator):
            return False
        if now_ms - self.since_ms >= 1000 * self.parameters["rekey_s"]:
            return True
        return self.count >= self.parameters["rekey_messages"]

    def seal(self, content, given, now_ms, is_empty=False):
        self.expire(now_ms)
        need(self.is_open, "the session is over", "SECURE_NOT_OPEN")
        agree("whether a key is due", self.is_due(now_ms), "seed_hex" in given)
        if self.is_due(now_ms):
            self.seed = data(given, "seed")
            self.carried = ["ratchet_key", primitives.XWingKey(self.seed).public, 0]
        franking_key = data(given, "franking_key") if self.parameters["franking"] else b""
        inner, parts = encode_inner(content, franking_key), {}
        if franking_key:
            parts["commitment"] = commitment(franking_key, inner[32:])
        if self.carried is not None:
            name, value, count = self.carried
            if is_empty or count < 3 or count % 8 == 2:
                parts[name] = value
            self.carried[2] += 1
        header = encode_header(self.id, self.epoch, self.n, self.pn, parts)
        message = seal_message(message_key(self.sending, self.n), header, inner)
        self.sending = next_chain(self.sending, self.n)
        self.n, self.count, self.unanswered = self.n + 1, self.count + 1, 0
        self.messages, self.last_ms = self.messages + 1, max(self.last_ms, now_ms)
        return message

    def close(self, given, now_ms):
        message = self.seal(nothing(now_ms, 6), given, now_ms, True)
        self.is_open = False
        return message

    # --- opening ---

    def open(self, message, given, now_ms):
        """[SEC-51]: epoch, n and content."""
        self.expire(now_ms)
        need(self.is_open, "the session is over", "SECURE_NOT_OPEN")
        header, ciphertext, tag = split_message(message)
        said = decode_header(header)
        is_franked = self.parameters["franking"]
        need(said["session_id"] == self.id, "another session", "SECURE_SESSION_UNKNOWN")
        need((said["commitment"] != b"") == is_franked, "franking is not as agreed on")
        found = self.locate(said, now_ms)
        inner = open_message(found["key"], header, ciphertext, tag)
        content, franking_key = decode_inner(inner, is_franked)
        if is_franked:
            need(commitment(franking_key, inner[32:]) == said["commitment"], "the commitment")
        try:
            self.contradict(said, found["chain"])
            self.take(said, found, given, now_ms)
        except Fault:
            self.is_open = False
            raise
        kind, value = read_content(content)
        if kind == "close":
            self.is_open = False
        return said["epoch"], said["n"], content, kind

    def locate(self, said, now_ms):
        epoch, n = said["epoch"], said["n"]
        if epoch == self.epoch + 1:
            return self.locate_next(said)
        chain = next((one for one in self.chains if one.epoch == epoch), None)
        key, until = self.kept.get((epoch, n), (None, 0))
        if key is not None and now_ms < until:
            return {"key": key, "chain": chain}
        need(chain is None or n >= chain.next, "here before", "SECURE_REPLAYED")
        is_near = chain is not None and chain.holds(n, now_ms)
        need(is_near, "too far away", "SECURE_OUT_OF_WINDOW")
        keys, behind = chain.reach(n)
        return {"key": keys[n], "chain": chain, "keys": keys, "behind": behind}

    def locate_next(self, said):
        """[SEC-58]"""
        epoch, n, text = said["epoch"], said["n"], said["ciphertext"]
        is_asked = self.seed is not None and text != b"" and n <= WINDOW
        need(is_asked, "an epoch that has not begun", "SECURE_OUT_OF_WINDOW")
        own = primitives.XWingKey(self.seed)
        try:
            secret = own.decapsulate(text)
        except Fault as fault:
            raise Fault("SECURE_KEY_INVALID", str(fault)) from None
        root = next_root(self.salt, secret, epoch_transcript(self.id, epoch, own.public, text))
        chain = Chain(epoch, chain_start(root, self.directions()[1], epoch))
        chain.answered = text
        keys, behind = chain.reach(n)
        return {"key": keys[n], "chain": chain, "keys": keys, "behind": behind, "root": root}

    def contradict(self, said, chain):
        """[SEC-55] [SEC-59] [SEC-60]"""
        if chain is None:
            return
        broken = lambda holds, detail: need(holds, detail, "SECURE_RATCHET_BROKEN")
        before = next((one for one in self.chains if one.epoch == chain.epoch - 1), None)
        if chain.pn is None:
            broken(before is None or said["pn"] >= before.next, "pn is too small")
        else:
            broken(said["pn"] == chain.pn, "another pn")
        if said["ciphertext"]:
            broken(said["ciphertext"] == chain.answered, "another ciphertext")
        if said["ratchet_key"]:
            broken(self.offers(chain.epoch, not self.is_initiator), "a key out of turn")
            is_first = chain.offered is None and chain.epoch == self.epoch
            broken(is_first or chain.offered == said["ratchet_key"], "another key")

    def take(self, said, found, given, now_ms):
        epoch, n, chain = said["epoch"], said["n"], found["chain"]
        if "root" in found:
            self.begin(found["root"], epoch, now_ms, chain)
        if "keys" in found:
            self.pass_by(found, epoch, n, now_ms)
        else:
            del self.kept[epoch, n]
        if chain is not None:
            chain.pn = said["pn"]
        for earlier in self.chains:
            if earlier.epoch < epoch:
                earlier.grow_old(now_ms, said["pn"] if earlier.epoch == epoch - 1 else None)
        if epoch == self.epoch:
            self.count += 1
            if self.carried is not None and self.carried[0] == "ciphertext":
                self.carried = None
        self.messages, self.last_ms = self.messages + 1, max(self.last_ms, now_ms)
        if said["ratchet_key"] and chain is not None and chain.offered is None:
            self.answer(said["ratchet_key"], chain, given, now_ms)

    def pass_by(self, found, epoch, n, now_ms):
        """[SEC-53]"""
        chain = found["chain"]
        for place, key in found["keys"].items():
            if place < n:
                self.kept[epoch, place] = (key, now_ms + DAY_MS)
        while len(self.kept) > KEPT_MOST:
            del self.kept[next(iter(self.kept))]
        chain.key, chain.next = found["behind"], n + 1
        chain.drop_at_end()

    def answer(self, public, chain, given, now_ms):
        """
        [SEC-57]

        The package cannot encapsulate with given randomness: what came of it is given too, and
        proves right when the other side has the same root.
        """
        try:
            primitives.xwing_judge(public)
        except Fault as fault:
            raise Fault("SECURE_RATCHET_BROKEN", str(fault)) from None
        if given is None:
            raise Disagreement("a key is to be answered")
        chain.offered = public
        text, secret = data(given, "ciphertext"), data(given, "secret")
        epoch = self.epoch + 1
        transcript = epoch_transcript(self.id, epoch, public, text)
        self.begin(next_root(self.salt, secret, transcript), epoch, now_ms)
        self.carried = ["ciphertext", text, 0]


def follow(session, step):
    """Raises Fault where a message is refused."""
    now_ms = step["at_ms"]
    if "seals" in step:
        sealed = session.seal(data(step["seals"], "content"), step["seals"], now_ms)
        return agree("message", sealed, data(step["seals"], "message"))
    if "closes" in step:
        sealed = session.close(step["closes"], now_ms)
        return agree("close", sealed, data(step["closes"], "message"))
    epoch, n, content, kind = session.open(data(step, "message"), step.get("answer"), now_ms)
    agree("place", (epoch, n), (step["opens"]["epoch"], step["opens"]["n"]))
    agree("content", content, data(step["opens"], "content"))
    session.unanswered += kind in ("text", "custom")
    is_due = kind != "nothing" and session.unanswered >= session.parameters["rekey_messages"]
    agree("whether a reply is due", session.is_open and is_due, "replies" in step)
    if "replies" in step:
        sealed = session.seal(nothing(now_ms, 5), step["replies"], now_ms, True)
        agree("reply", sealed, data(step["replies"], "message"))


def check_session(case):
    session = Session(case)
    *before, last = case["steps"]
    for at, step in enumerate(before):
        check_step(session, at, step)
    if case["expect"] == "valid" or "fails" in last:
        check_step(session, len(before), last)
    else:
        # The case says with what it fails.
        follow(session, last)


def check_step(session, at, step):
    fails = step.get("fails")
    try:
        follow(session, step)
    except Fault as fault:
        if fault.kind != fails:
            raise Disagreement(f"step {at} fails with {fault}, not {fails}") from None
        return
    agree(f"fault of step {at}", None, fails)
