"""What a file says, if it is of the right type: files get damaged, and edited by hand."""

from __future__ import annotations

import math
import time
from typing import Any, TypeGuard


def text(value: Any, default: str = "") -> str:
    """Return a text that can be printed; `default` for anything else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else default


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
    if isinstance(value, bool) or not isinstance(value, int | float):
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


def printable(text: str) -> str:
    """Return a text on one line that does nothing to a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def short(value: Any) -> str:
    """Return a value as messages show it."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
