"""JSON in pieces: of a result of hundreds of megabytes every copy of the text takes its time and its memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii

PIECE = 1 << 20  # characters


class LongString:
    """A string that is encoded as JSON (ASCII alone, as `json.dumps` does) while it is iterated."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __iter__(self) -> Iterator[str]:
        yield '"'
        for piece in _pieces(self._value):  # a character's JSON does not depend on those beside it
            yield encode_basestring_ascii(piece)[1:-1]
        yield '"'


Part = str | LongString


class JsonText:
    """JSON in pieces, some of them made while it is iterated; it can be iterated as often as you like.

    Parameters
    ----------
    begin, end
        The text before and after the items.
    items
        The parts of each; there is a comma between two items.
    """

    def __init__(self, begin: str, items: Iterable[Sequence[Part]], end: str) -> None:
        self._parts: list[Part] = []
        for item in items:
            self._parts += (", ", *item)
        self._parts[:1] = [begin]
        self._parts.append(end)

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            if isinstance(part, LongString):
                yield from part
            elif len(part) > PIECE:
                yield from _pieces(part)
            else:
                yield part

    def __str__(self) -> str:
        return "".join(self)


def _pieces(text: str) -> Iterator[str]:
    return (text[begin : begin + PIECE] for begin in range(0, len(text), PIECE))
