"""What can be wrong with bytes, and what cannot be judged here."""


class Fault(Exception):
    """A requirement is broken. `kind` is the class that a vector names in `fails`."""

    def __init__(self, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Disagreement(Exception):
    """What a vector says is not what this implementation finds."""


class Skipped(Exception):
    """This platform lacks a primitive; the text names it."""


def agree(what, ours, theirs):
    """Compares what was computed here with what a vector says."""
    if ours != theirs:
        show = lambda value: value.hex() if isinstance(value, (bytes, bytearray)) else repr(value)
        raise Disagreement(f"{what} is {show(ours)[:160]}, the vector says {show(theirs)[:160]}")
