"""The line that says what failed, in a form in which equal failures are equal, and a pattern that finds it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import attrs

_LONGEST = 400  # characters of a line that count
_SHORTEST_NAME = 4  # a shorter one is replaced within quotes only: it may be a word
_TRACEBACK = "Traceback (most recent call last):"
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")  # of the exception: its digits belong to it
_HEX = (
    r"0[xX][0-9a-fA-F]+"
    r"|(?<![A-Za-z0-9])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[0-9]*[a-fA-F])(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}(?![A-Za-z0-9])"
)
_KINDS = {
    "literal": r"\[Errno [0-9]+\]",
    "quoted": r"""(?<!\w)'[^']*'(?!\w)|(?<!\w)"[^"]*"(?!\w)""",
    "path": r"""(?<![\w/:.~])(?:~|\.{1,2})?/[^\s'"`<>|;:,()\[\]{}]+""",
    "hex": _HEX,
    "number": r"(?:(?<![\w.)])[-+])?[0-9]+(?:\.[0-9]+)*(?:[eE][-+]?[0-9]+)?",
    "unprintable": r"[^\x20-\x7e\xa1-\U0010ffff]",
}
# What stands for a kind in a pattern; it matches all that the kind's own expression does.
_PATTERNS = {"name": ".+", "path": r"\S+", "hex": r"[\w-]+", "number": r"[-+\d.eE]+", "unprintable": "."}
_SPECIAL = re.compile(r"[][\\.^$*+?{}|()]")

# Of these more of the same is to be expected; what is wrong must be mended first.
_REPRODUCIBLE = re.compile(
    r"(?:\w+\.)*(?:ImportError|ModuleNotFoundError|AttributeError|TypeError|NameError|SyntaxError|KeyError|IndexError"
    r"|NotImplementedError|FileNotFoundError|PermissionError|AssertionError|ValidationError|UntrustedModuleError)\b"
)
_PASSING = re.compile(
    r"(?i)\b(?:cuda|opencl|hip|gpu|nvml|ecc|driver)|\bnans?\b|NaNError|stale (?:nfs )?file handle|input/output error"
    r"|remote i/o|time[d -]?out|temporar|unavailable|connection|licen[cs]e|bus error|memory"
    r"|\[errno (?:5|11|12|110|116)\]|lock file|device|unreachable|no space left|quota"
)


def failure_line(text: str) -> str:
    """Return the line of a traceback that says what was raised; of any other text the last line that is not blank.

    Of a message of several lines it is the first, as the type of the exception stands there.
    """
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    if begins:
        for line in lines[begins[-1] + 1 :]:
            if line.strip() and not line[0].isspace():
                return line
    return next((line for line in reversed(lines) if line.strip()), "")


def looks_passing(line: str) -> bool:
    """Return whether a failure is of a kind that another try may well survive."""
    return not _REPRODUCIBLE.match(line) and _PASSING.search(line) is not None


@attrs.frozen
class LineShape:
    """A line without what differs between equal failures.

    Attributes
    ----------
    text
        The line with ``<number>``, ``<hex>``, ``<path>``, ``<name>`` and ``<text>`` (in quotes) for what differs.
    expression
        A regular expression for all lines of this shape.
    is_cut
        Whether only the beginning of a very long line counts.
    """

    text: str
    expression: str
    is_cut: bool = False

    @classmethod
    def of(cls, line: str, names: Iterable[str] = ()) -> LineShape:
        """Return the shape of a line.

        Parameters
        ----------
        names
            Of the task, its ligands and hosts: they differ although the failure is the same.
        """
        line = line.strip()
        cut = line[:_LONGEST]
        parts = list(_parts(cut, tuple(sorted({name for name in names if name and name in cut}))))
        return cls("".join(text for text, _ in parts), "".join(pattern for _, pattern in parts), len(line) > _LONGEST)

    @property
    def pattern(self) -> str:
        """A restart pattern: matches a text in which a line has this shape, and no other line."""
        return f"(?m)^{self.expression}" + ("" if self.is_cut else "$")

    @property
    def loose_pattern(self) -> str:
        """The same with blanks around the line."""
        return rf"(?m)^\s*{self.expression}" + ("" if self.is_cut else r"\s*$")


def _parts(line: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a line's parts, each as its text and its pattern."""
    kind = _TYPE.match(line)
    start = kind.end() if kind and kind[0] not in names else 0
    yield line[:start], _escaped(line[:start])
    yield from _tokens(line[start:], names, quoted=True)


def _tokens(text: str, names: tuple[str, ...], *, quoted: bool) -> Iterator[tuple[str, str]]:
    position = 0
    for found in _expression(names if quoted else (), quoted).finditer(text):
        plain = text[position : found.start()]
        yield plain, _escaped(plain)
        position, what = found.end(), str(found.lastgroup)
        if what == "quoted":
            yield from _quoted(found[0], names)
        elif what == "literal":
            yield found[0], _escaped(found[0])
        else:
            yield f"<{what}>", _PATTERNS[what]
    yield text[position:], _escaped(text[position:])


def _quoted(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the parts of a text in quotes: replaced whole if it is a path or names something of the task."""
    mark, content = text[0], text[1:-1]
    if "/" in content or any(_word(name).search(content) for name in names):
        yield f"{mark}<text>{mark}", f"{mark}[^{mark}]*{mark}"
        return
    yield mark, mark
    yield from _tokens(content, (), quoted=False)
    yield mark, mark


@lru_cache(maxsize=1000)
def _expression(names: tuple[str, ...], quoted: bool) -> re.Pattern[str]:
    kinds = [f"(?P<{kind}>{expression})" for kind, expression in _KINDS.items() if quoted or kind != "quoted"]
    long = sorted((name for name in names if len(name) >= _SHORTEST_NAME), key=len, reverse=True)
    if long:
        kinds.insert(0, f"(?P<name>{'|'.join(_word(name).pattern for name in long)})")
    return re.compile("|".join(kinds))


@lru_cache(maxsize=1000)
def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def _escaped(text: str) -> str:
    """Return a text as a pattern; blanks and the like stay readable, unlike with re.escape."""
    return _SPECIAL.sub(r"\\\g<0>", text)
