"""The lines of a journal: which are whole, which a kill cut short, which are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import attrs

_CUT_LITERAL = 5  # signs at the end of a line that may be the beginning of 'false' or of an escape


@attrs.frozen
class JournalLines:
    """What the lines of a journal are like. Lines are counted from 1.

    Attributes
    ----------
    records
        How many lines are whole, the first one with the format included.
    cut
        Lines that are the beginning of a record: a kill or a full disk cut them short, and they were never in force.
    damaged
        Other lines that cannot be read: what they said is lost.
    is_torn
        Whether the last line has no end yet.
    """

    records: int
    cut: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    is_torn: bool = False

    @classmethod
    def read(cls, path: Path) -> JournalLines:
        """Look at all lines of a file; empty ones are none."""
        data = path.read_bytes()
        records, cut, damaged = 0, [], []
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line:
                continue
            try:
                content = json.loads(line)
                whole = isinstance(content, dict) and (number > 1 or "format" in content)
            except json.JSONDecodeError as error:
                whole = False
                if number > 1 and _is_cut(error):
                    cut.append(number)
                    continue
            except (ValueError, RecursionError):
                whole = False
            if whole:
                records += 1
            else:
                damaged.append(number)
        return cls(records, tuple(cut), tuple(damaged), bool(data) and not data.endswith(b"\n"))


def _is_cut(error: json.JSONDecodeError) -> bool:
    """Whether a line begins as a record and ends too early."""
    if not error.doc.startswith("{") or "\0" in error.doc:
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(error.doc) - _CUT_LITERAL
