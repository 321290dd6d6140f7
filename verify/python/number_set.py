"""What was read: sets of numbers, section 16.6. A set is a list of (from, through), in order."""

from faults import Fault
from protobuf import encode_varint

NUMBER_MAX = 2**53 - 1
RANGES_MAX = 1024


def _refuse(why):
    raise Fault("MARK_INVALID", why)


def short_varint(data, at):
    """A varint in its shortest form, and where it ends. [CNV-32] [CNV-36]"""
    value = shift = 0
    while True:
        if at >= len(data):
            _refuse("a varint that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    if byte == 0 and shift > 7:
        _refuse("a varint longer than its shortest form")
    return value, at


def decode(data):
    """[CNV-32]"""
    ranges, at, free = [], 0, 1
    while at < len(data):
        gap, at = short_varint(data, at)
        more, at = short_varint(data, at)
        if ranges and gap == 0:
            _refuse("a range that touches the one before")
        first = free + gap
        if first + more > NUMBER_MAX:
            _refuse("a number above 2^53-1")
        ranges.append((first, first + more))
        free = first + more + 1
    if len(ranges) > RANGES_MAX:
        _refuse(f"{len(ranges)} ranges")
    return ranges


def encode(ranges):
    out, free = b"", 1
    for first, last in ranges:
        out += encode_varint(first - free) + encode_varint(last - first)
        free = last + 1
    return out


def union(*sets):
    """[CNV-30]"""
    merged = []
    for first, last in sorted(one for ranges in sets for one in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def bounded(ranges):
    """[CNV-31]"""
    ranges = list(ranges)
    while len(ranges) > RANGES_MAX:
        ranges[:2] = [(ranges[0][0], ranges[1][1])]
    return ranges


def without(ranges, others):
    for first, last in others:
        left = []
        for low, high in ranges:
            left += [(low, min(high, first - 1)), (max(low, last + 1), high)]
        ranges = [(low, high) for low, high in left if low <= high]
    return union(ranges)


def common(ranges, others):
    return without(ranges, without(ranges, others))


def count(ranges):
    return sum(last - first + 1 for first, last in ranges)
