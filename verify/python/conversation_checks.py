"""One check for each kind of vector in conversation/: chapter 16. Needs Python's own library only."""

import base64
import functools
import hashlib
import re

import event
import number_set
import read_bitmap
from faults import Fault, agree
from protobuf import decode

USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def data(case, name):
    return bytes.fromhex(case[name + "_hex"])


def mistaken(what, ours, theirs):
    """Right or wrong, what is derived is in the vector: wrong is what a mistake gives."""
    if ours != theirs:
        raise Fault("MISTAKE", f"{what} is {ours!r}"[:200])


def direct_id(one, other):
    """[CNV-1]"""
    first, second = sorted((one.encode("ascii"), other.encode("ascii")))
    return f"d:{first.decode()}:{second.decode()}"


def check_direct_id(case):
    one, other = case["user_ids"]
    agree("the id from the other side", direct_id(other, one), direct_id(one, other))
    mistaken("conversation_id", direct_id(one, other), case["conversation_id"])


def check_made_id(case):
    """[CNV-2]"""
    nonce = data(case, "nonce")
    if len(nonce) != 16:
        raise Fault("CONVERSATION_INVALID", f"a nonce of {len(nonce)} bytes")
    text = b"\0".join((b"posthorn conversation 1", case["user_id"].encode("ascii"), nonce))
    letters = base64.b32encode(hashlib.sha256(text).digest()).decode("ascii").lower()
    mistaken("conversation_id", f"g:{letters[:26]}", case["conversation_id"])


def check_id(case):
    text = case["conversation_id"]
    kind, *users = text.split(":")
    if kind == "g" and re.fullmatch("g:[a-z2-7]{26}", text):
        agree("user_ids", None, case.get("user_ids"))
        return
    is_direct = kind == "d" and len(users) == 2 and all(map(USER_ID.fullmatch, users))
    if not is_direct or direct_id(*users) != text:
        raise Fault("CONVERSATION_UNKNOWN", repr(text))
    agree("user_ids", users, case["user_ids"])


def check_set(case):
    ranges = number_set.decode(data(case, "set"))
    agree("ranges", [list(one) for one in ranges], case["ranges"])
    agree("count", number_set.count(ranges), case["count"])
    agree("set", number_set.encode(ranges), data(case, "set"))


def check_mark(case):
    ranges = number_set.decode(data(case, "read"))
    highest = max([case["delivered_through"], *(last for _, last in ranges)])
    if not 0 < highest <= case["newest"]:
        raise Fault("MARK_INVALID", f"{highest} of {case['newest']}")
    agree("ranges", [list(one) for one in ranges], case["ranges"])


def check_sets(case):
    one, other = (number_set.decode(data(case, name)) for name in ("one", "other"))
    both = number_set.bounded(number_set.union(one, other))
    left = number_set.without(one, other)
    for name, ranges in (("union", both), ("difference", left)):
        mistaken(name, number_set.encode(ranges), data(case, name))
        mistaken(f"{name}_count", number_set.count(ranges), case[f"{name}_count"])


def check_marks(case):
    marks = [number_set.decode(bytes.fromhex(mark)) for mark in case["marks_hex"]]
    for order in (marks, marks[::-1], marks + marks):
        merged = functools.reduce(number_set.union, order)
        mistaken("merged", number_set.encode(merged), data(case, "merged"))


def check_bitmap(case):
    bitmap = read_bitmap.decode(data(case, "bitmap"))
    agree("watermark", bitmap[0], case["watermark"])
    agree("above", read_bitmap.above(bitmap), case["above"])
    agree("count", read_bitmap.count(bitmap), case["count"])
    agree("bitmap", read_bitmap.encode(bitmap), data(case, "bitmap"))


def check_bitmaps(case):
    one, other = (read_bitmap.decode(data(case, name)) for name in ("one", "other"))
    merged = read_bitmap.merge(one, other)
    agree("the other way round", read_bitmap.merge(other, one), merged)
    mistaken("merged", read_bitmap.encode(merged), data(case, "merged"))
    mistaken("count", read_bitmap.count(merged), case["count"])


def check_bitmap_adds(case):
    before = read_bitmap.decode(data(case, "before"))
    for order in (case["ordinals"], case["ordinals"][::-1]):
        after = functools.reduce(read_bitmap.add, order, before)
        mistaken("after", read_bitmap.encode(after), data(case, "after"))


INDEX = {
    1: ("seq", "uint64"),
    2: ("first_seq", "uint64"),
    3: ("conversations", "bytes*"),
    4: ("events", "bytes*"),
}
INDEXED = {1: ("conversation_id", "string"), 2: ("told", "bytes"), 3: ("read", "bytes")}
DELIVERED = {1: ("seq", "uint64"), 4: ("event", "bytes")}


def malformed(why):
    raise Fault("INDEX_MALFORMED", why)


def is_id(text):
    kind, *users = text.split(":")
    if kind == "d" and len(users) == 2 and all(map(USER_ID.fullmatch, users)):
        return direct_id(*users) == text
    return re.fullmatch("g:[a-z2-7]{26}", text) is not None


def indexed(one):
    """A conversation of an index, and how many numbers it tells. [CAT-6]"""
    try:
        told, read = (number_set.decode(one[name]) for name in ("told", "read"))
    except Fault as fault:
        malformed(str(fault))
    if not told or not is_id(one["conversation_id"]):
        malformed("nothing is told, or of nothing")
    if read and not (told[0][0] <= read[0][0] and read[-1][1] <= told[-1][1]):
        malformed("what was read is beyond what is told")
    shown = {name: [list(pair) for pair in ranges] for name, ranges in (("told", told), ("read", read))}
    return {"conversation_id": one["conversation_id"], **shown}, number_set.count(told)


def check_index(case):
    """[CAT-5] [CAT-6] [CAT-8]"""
    index = decode(INDEX, data(case, "encoded"))
    first, last = index["first_seq"], index["seq"]
    named = [decode(INDEXED, one) for one in index["conversations"]]
    events = [decode(DELIVERED, one) for one in index["events"]]
    if not 1 <= first <= last or last - first >= 65_536 or not 1 <= len(named) <= 256:
        malformed("it covers or names too little, or too much")
    ids = [one["conversation_id"] for one in named]
    if ids != sorted(set(ids)):
        malformed("ids do not rise")
    shown = [indexed(one) for one in named]
    seqs = [one["seq"] for one in events]
    if seqs != sorted(set(seqs)) or any(not first <= seq <= last for seq in seqs):
        malformed("events do not rise within it")
    if sum(told for _, told in shown) + len(seqs) > last - first + 1:
        malformed("it tells more than it covers")
    agree("conversations", [one for one, _ in shown], case["conversations"])
    agree("numbers", (first, last, seqs), (case["first_seq"], case["seq"], case["event_seqs"]))
    sizes = [len(one[name]) for one in named for name in ("conversation_id", "told", "read")]
    agree("window_bytes", sum(sizes) + sum(len(one["event"]) for one in events), case["window_bytes"])


def check_event(case):
    found = event.decode(data(case, "encoded"))
    mistaken("means", event.meaning(found), case["means"])
    mistaken("event", found, case["event"])
    if case["means"] == "marks":
        read = base64.b64decode(found["marksChanged"].get("read", ""))
        agree("read", [list(one) for one in number_set.decode(read)], case["read"])


def check_shown(case):
    """[CNV-26]"""
    shown = {}
    for delivery in case["deliveries"]:
        found = event.decode(data(delivery, "event"))
        number = delivery["conversation_seq"]
        shown[number] = {"conversation_seq": number, "means": event.meaning(found)}
        text = found["message"].get("content", {}).get("text")
        if text is not None:
            shown[number]["text"] = text
    mistaken("shown", [shown[number] for number in sorted(shown)], case["shown"])


def check_unread(case):
    """[CNV-33]"""
    first, last = case["visible_from"], case["newest"]
    visible = [(first, last)] if first <= last else []
    gone = (number_set.decode(data(case, name)) for name in ("read", "recalled"))
    unread = number_set.without(visible, number_set.union(*gone))
    called = (number_set.decode(bytes.fromhex(one)) for one in case["mentioned_hex"])
    mentions = number_set.common(unread, number_set.union(*called))
    mistaken("unread", number_set.encode(unread), data(case, "unread"))
    mistaken("unread_count", number_set.count(unread), case["unread_count"])
    mistaken("mentions", number_set.encode(mentions), data(case, "mentions"))
    mistaken("mention_count", number_set.count(mentions), case["mention_count"])


CHECKS = {
    "direct-id": check_direct_id,
    "made-id": check_made_id,
    "conversation-id": check_id,
    "number-set": check_set,
    "mark": check_mark,
    "number-sets": check_sets,
    "marks": check_marks,
    "read-bitmap": check_bitmap,
    "read-bitmaps": check_bitmaps,
    "read-bitmap-adds": check_bitmap_adds,
    "index": check_index,
    "event": check_event,
    "shown": check_shown,
    "unread": check_unread,
}
