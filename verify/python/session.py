"""As much of a session as sends one message and receives it: chapters 2, 4, 5 and 6."""

from protobuf import decode, encode, fields
from protobuf import encode_varint as varint

FRAME_KINDS = {
    1: "hello", 2: "welcome", 3: "ready", 4: "submit", 5: "submit_ack", 6: "deliver",
    7: "ack", 8: "ping", 9: "pong", 10: "credit", 11: "drain", 12: "close",
    13: "call", 14: "reply", 15: "signal", 16: "hints", 17: "index",
}  # fmt: skip
NUMBERS = {name: number for number, name in FRAME_KINDS.items()}

OUTBOX = {1: ("epoch", "uint64"), 2: ("results_through", "uint64"), 3: ("next", "uint64")}
CURSOR = {1: ("epoch", "uint64"), 2: ("seq", "uint64"), 3: ("start", "uint32")}
WINDOW = {1: ("count", "uint32"), 2: ("bytes", "uint32")}
HELLO = {
    1: ("version_min", "uint32"),
    2: ("version_max", "uint32"),
    3: ("token", "string"),
    4: ("user_id", "string"),
    5: ("device_id", "string"),
    6: ("outbox", "bytes"),
    7: ("cursor", "bytes"),
    9: ("delivery_window", "bytes"),
    10: ("agent", "string"),
}
WELCOME = {1: ("version", "uint32"), 10: ("user_id", "string")}
SUBMIT = {1: ("seq", "uint64"), 2: ("operation", "bytes")}
SUBMIT_ACK = {1: ("through", "uint64"), 2: ("results", "bytes*")}
RESULT = {1: ("code", "uint32")}
DELIVER = {1: ("seq", "uint64"), 4: ("event", "bytes")}
ACK = {1: ("delivered_through", "uint64"), 2: ("results_through", "uint64")}
PING = {1: ("id", "uint32"), 2: ("sent_through", "uint64")}
CLOSE = {1: ("code", "uint32"), 2: ("detail", "string"), 3: ("requirement", "string")}
OPERATION = {1: ("send_direct", "bytes")}
SEND_DIRECT = {1: ("to_user_id", "string"), 2: ("content", "bytes")}
EVENT = {1: ("message", "bytes")}
MESSAGE = {2: ("sender_user_id", "string"), 4: ("content", "bytes")}
CONTENT = {1: ("text", "string")}

LATEST, GOODBYE = 2, 19


def frame(kind, content):
    """[FRM-1] [FRM-6]"""
    one = varint(NUMBERS[kind] << 3 | 2) + varint(len(content)) + content
    return varint(len(one)) + one


class Session:
    """One attachment of a fresh device, over anything with send and receive."""

    def __init__(self, link, user, device):
        self._link, self._user, self._device = link, user, device
        self._held = b""
        self._submitted = self._answered = self._delivered = 0
        self._texts = []

    def attach(self):
        """Returns the user that the service has authenticated."""
        said = {
            "version_min": 1,
            "version_max": 1,
            "user_id": self._user,
            "device_id": self._device,
            "outbox": encode(OUTBOX, {"next": 1}),
            "cursor": encode(CURSOR, {"start": LATEST}),
            "delivery_window": encode(WINDOW, {"count": 100, "bytes": 1_000_000}),
            "agent": "posthorn verify (Python)",
        }
        self._send("hello", encode(HELLO, said))
        welcome = decode(WELCOME, self._await("welcome"))
        self._send("ready", b"")
        return welcome["user_id"]

    def say(self, to_user, text):
        """Sends a text and returns once it is durable."""
        content = encode(CONTENT, {"text": text})
        direct = encode(SEND_DIRECT, {"to_user_id": to_user, "content": content})
        self._submitted += 1
        submit = {"seq": self._submitted, "operation": encode(OPERATION, {"send_direct": direct})}
        self._send("submit", encode(SUBMIT, submit))
        while self._answered < self._submitted:
            self._take(*self._next())

    def hear(self):
        """The next text that is delivered, acknowledged at once."""
        while not self._texts:
            self._take(*self._next())
        return self._texts.pop(0)

    def close(self):
        self._send("close", encode(CLOSE, {"code": GOODBYE}))
        self._link.close()

    def _take(self, kind, content):
        if kind == "submit_ack":
            ack = decode(SUBMIT_ACK, content)
            codes = [decode(RESULT, result)["code"] for result in ack["results"]]
            if any(codes):
                raise ConnectionError(f"refused with code {codes}")
            self._answered = ack["through"]
        elif kind == "deliver":
            deliver = decode(DELIVER, content)
            self._delivered = deliver["seq"]
            # Whatever else happens to a user is acknowledged all the same.
            if message := decode(EVENT, deliver["event"])["message"]:
                content = decode(MESSAGE, message)["content"]
                self._texts.append(decode(CONTENT, content)["text"])
        elif kind == "close":
            close = decode(CLOSE, content)
            raise ConnectionError(f"closed with code {close['code']}: {close['detail']}")
        if kind in ("submit_ack", "deliver"):
            done = {"delivered_through": self._delivered, "results_through": self._answered}
            self._send("ack", encode(ACK, done))

    def _await(self, wanted):
        kind, content = self._next()
        if kind != wanted:
            self._take(kind, content)
            raise ConnectionError(f"{kind} in place of {wanted}")
        return content

    def _next(self):
        """The next frame that is not a Ping."""
        while True:
            one = self._cut()
            if one is None:
                piece = self._link.receive()
                if piece == b"":
                    raise ConnectionError("the service has closed the link")
                self._held += piece
                continue
            [(number, _, content)] = fields(one)
            if FRAME_KINDS[number] != "ping":
                return FRAME_KINDS[number], content
            pong = {"id": decode(PING, content)["id"], "sent_through": self._submitted}
            self._send("pong", encode(PING, pong))

    def _cut(self):
        """A frame, if there is a whole one. [FRM-2]"""
        length = 0
        for at, byte in enumerate(self._held[:5]):
            length |= (byte & 0x7F) << 7 * at
            if byte >= 0x80:
                continue
            start, end = at + 1, at + 1 + length
            if end > len(self._held):
                return None
            one, self._held = self._held[start:end], self._held[end:]
            return one
        return None

    def _send(self, kind, content):
        self._link.send(frame(kind, content))
