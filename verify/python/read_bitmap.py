"""Who has read a message, section 16.8: (watermark, bits), the bits as one number."""

from faults import Fault
from number_set import short_varint
from protobuf import encode_varint

ORDINALS = 2**32


def decode(data):
    """[CNV-36] [CNV-38]"""
    watermark, end = short_varint(data, 0)
    rest = data[end:]
    bits = int.from_bytes(rest, "little")
    if rest and rest[-1] == 0:
        raise Fault("MARK_INVALID", "a byte of 0 at the end")
    if bits & 1:
        raise Fault("MARK_INVALID", "the watermark could be higher")
    if watermark + bits.bit_length() > ORDINALS:
        raise Fault("MARK_INVALID", "an ordinal above 2^32-1")
    return watermark, bits


def encode(bitmap):
    watermark, bits = bitmap
    return encode_varint(watermark) + bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def merge(one, other):
    """[CNV-37]"""
    low, high = sorted((one, other))
    watermark = high[0]
    bits = high[1] | low[1] >> (watermark - low[0])
    while bits & 1:
        watermark, bits = watermark + 1, bits >> 1
    return watermark, bits


def add(bitmap, ordinal):
    watermark, _ = bitmap
    return bitmap if ordinal < watermark else merge(bitmap, (watermark, 1 << (ordinal - watermark)))


def above(bitmap):
    """The ordinals that are told by bits."""
    watermark, bits = bitmap
    return [watermark + at for at in range(bits.bit_length()) if bits >> at & 1]


def count(bitmap):
    return bitmap[0] + bitmap[1].bit_count()
