"""What a file says, if it is of the right type: files get damaged, and edited by hand."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeGuard


def text(value: Any, default: str = "") -> str:
    """Return a text that can be printed; `default` for anything else."""
    if type(value) is str and value.isascii():  # most are, and there are millions of them
        return value
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else default


def as_list(given: str | Iterable[str]) -> list[str]:
    """Return texts as a list, also one alone: a text is a series of letters to Python."""
    return [given] if isinstance(given, str) else list(given)


def plain(value: Any) -> Any:
    """Return a value of a program as JSON and YAML have it, as far as it can be: numpy's numbers, paths, tuples."""
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def text_or_none(value: Any) -> str | None:
    """Return a text that can be printed; None for anything else."""
    return text(value) if isinstance(value, str) else None


def is_text(value: Any) -> bool:
    """Whether a value is a text that can be printed."""
    return isinstance(value, str) and text(value) == value


def number(value: Any, default: float = 0.0) -> float:
    """Return a finite number; `default` for anything else."""
    found = number_or_none(value)
    return default if found is None else found


def number_or_none(value: Any) -> float | None:
    """Return a finite number; None for anything else."""
    if type(value) is float:  # most are, and there are millions of them
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float can hold
        return None


def is_count(value: Any, most: int = 1 << 53) -> TypeGuard[int]:
    """Whether a value is a whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def count(value: Any, default: int = 0) -> int:
    """Return a whole number from 0 on; `default` for anything else."""
    return value if is_count(value) else default


def local_time(seconds: float) -> str:
    """Return a moment, given in seconds since the epoch, in local time; '-' for one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "-"


# what moves a cursor, changes the order or is not seen: C0, C1, bidirectional controls, line separators, surrogates,
# and Unicode's Default_Ignorable_Code_Point
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def printable(text: str, keep: str = "") -> str:
    """Return a text that does nothing to a terminal and hides nothing: ESC is shown as ``\\x1b``.

    Parameters
    ----------
    keep
        Control characters that are meant, such as the newlines of a traceback.
    """
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def short(value: Any) -> str:
    """Return a value as messages show it."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
