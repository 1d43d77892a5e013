"""stdout and stderr of which no write fails: a terminal may be closed, a disk full, a reader gone, an encoding poor.

`make_lasting` puts them in place of the interpreter's own; whoever prints does so as before. What cannot be written is
dropped, what comes later is tried again, and the first failure of each stream is kept for whoever wants to tell of it
or to end. A character that an encoding lacks becomes a plain one.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LONGEST = 10.0  # seconds
_PLAIN = "xpm_alchem.plain"  # what an encoding lacks, in ASCII
_PLAIN_SIGNS = {  # as wide as what they stand for, so that tables stay tables
    **dict.fromkeys("·•∙", "."),
    **dict.fromkeys("‐‑‒–—―−─━", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys("‘’‚′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("µμ", "u"),
    # beta code, as in names of ligands: alpha and beta must not look alike
    **dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω", "abgdezhqiklmncoprsstufxyw", strict=True)),
    **dict(zip("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ", "ABGDEZHQIKLMNCOPRSTUFXYW", strict=True)),
    "→": ">",
    "←": "<",
    "×": "x",
    "±": "~",
    "…": ".",
}

Heard = Callable[[str, OSError], None]


class LastingOutput(io.FileIO):
    """The file beneath a stream: as far as the writer can tell every write succeeds.

    Parameters
    ----------
    number
        The file descriptor; it stays open.
    label
        What a user calls the stream.

    Attributes
    ----------
    failure
        What went wrong first; None if nothing has.
    """

    def __init__(self, number: int, label: str) -> None:
        super().__init__(number, "wb", closefd=False)
        self.label = label
        self.failure: OSError | None = None
        self._given_up = False

    def write(self, data: Any) -> int:
        """Write bytes, or drop what cannot be written."""
        content, at = memoryview(data).cast("B"), 0
        try:
            while at < len(content):
                self._wait()
                at += super().write(content[at : at + select.PIPE_BUF]) or 0
        except OSError as error:
            if self.failure is None:
                self.failure = error
                _heard(self.label, error)
        return len(content)

    def _wait(self) -> None:
        """Wait for a reader that does not read, or a stopped terminal; where that was in vain, not again."""
        if select.select((), (self,), (), None if _longest is None else 0.0)[1]:
            self._given_up = False
            return
        until = time.monotonic() + (0.0 if self._given_up else _longest or 0.0)
        while not select.select((), (self,), (), max(0.0, until - time.monotonic()))[1]:
            if time.monotonic() >= until:
                self._given_up = True
                raise BlockingIOError(errno.EAGAIN, "nobody reads it")


_outputs: list[LastingOutput] = []
_longest: float | None = None  # seconds to wait for a reader; None: for ever


def _nobody(label: str, error: OSError) -> None:
    """Hear of a failure, and do nothing about it."""


_heard: Heard = _nobody


def make_lasting() -> None:
    """Put streams that never fail in the place of stdout and stderr, unless something else has done so."""
    if _outputs:
        return
    codecs.register_error(_PLAIN, _in_plain_signs)
    _fill_standard_numbers()
    for number, label in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, label)
        if isinstance(stream, io.TextIOWrapper) and _number(stream) == number:
            setattr(sys, label, _lasting(stream, LastingOutput(number, label)))


def _lasting(stream: io.TextIOWrapper, output: LastingOutput) -> io.TextIOWrapper:
    with suppress(OSError, ValueError):
        stream.flush()
    _outputs.append(output)
    return io.TextIOWrapper(
        output if stream.write_through else io.BufferedWriter(output),  # type: ignore[type-var]
        encoding=stream.encoding,
        errors=_PLAIN,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def wait_at_most(seconds: float = _LONGEST) -> None:
    """Wait no longer for a reader from now on, then drop what it does not read: a driver has other things to do."""
    global _longest
    _longest = seconds


def on_failure(heard: Heard) -> None:
    """Have a function called, with the stream's name, when a write to it fails first; what it raises ends the writer.

    It is called for what has failed already too.
    """
    global _heard
    _heard = heard
    for label, error in failures().items():
        heard(label, error)


def failures() -> dict[str, OSError]:
    """Return what went wrong first with each stream of which a write has failed."""
    return {output.label: output.failure for output in _outputs if output.failure is not None}


def _number(stream: io.TextIOWrapper) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _fill_standard_numbers() -> None:
    """Open /dev/null where a standard stream was closed: a campaign's file that took its number would be printed to."""
    with suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(sign: str) -> str:
    if sign in _PLAIN_SIGNS:
        return _PLAIN_SIGNS[sign]
    letter = unicodedata.normalize("NFKD", sign)[0]
    return letter if letter.isascii() else "?"
