"""As much of Protobuf as the messages of the envelope, and events, need."""

from faults import Fault

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
EMPTY = {"uint32": int, "uint64": int, "bool": bool, "bytes": bytes, "string": str, "bytes*": list}
NUMBERS = ("uint32", "uint64", "bool")


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Fault("parse", "a varint that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Yields (number, wire type, value)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise Fault("parse", "field 0")
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            length, at = _varint(data, at)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise Fault("parse", f"wire type {wire}")
        if at + length > len(data):
            raise Fault("parse", "a field that is cut")
        yield number, wire, bytes(data[at : at + length])
        at += length


def packed_varints(data):
    """The numbers of a repeated field that stand in one."""
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def decode(schema, data):
    """
    A message by the names of its fields; unknown fields are passed over.

    schema: number to (name, kind), kind one of EMPTY
    """
    message = {name: EMPTY[kind]() for name, kind in schema.values()}
    for number, wire, value in fields(data):
        name, kind = schema.get(number, (None, None))
        if name is None or wire != (VARINT if kind in NUMBERS else BYTES):
            continue
        if kind == "uint32":
            message[name] = value & 0xFFFF_FFFF
        elif kind == "uint64":
            message[name] = value
        elif kind == "bool":
            message[name] = value != 0
        elif kind == "bytes*":
            message[name].append(value)
        elif kind == "string":
            message[name] = _text(value)
        else:
            message[name] = value
    return message


def _text(value):
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("parse", "a text that is not UTF-8") from None


def encode_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(schema, message):
    """Fields in the order of their numbers, none with its default value."""
    out = b""
    for number, (name, kind) in sorted(schema.items()):
        value = message.get(name)
        for item in value if kind == "bytes*" else [value]:
            if not item and kind != "bytes*":
                continue
            if kind in NUMBERS:
                out += encode_varint(number << 3) + encode_varint(int(item))
            else:
                data = item.encode() if kind == "string" else item
                out += encode_varint(number << 3 | BYTES) + encode_varint(len(data)) + data
    return out


def decode_whole(schema, data):
    """A message with one form only: what differs from its encoding is refused. [ENV-12]"""
    message = decode(schema, data)
    if encode(schema, message) != data:
        raise Fault("parse", "not in its one form")
    return message
