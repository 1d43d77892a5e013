"""driver.json: what a driver remembers, checked when it is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record
from xpm_alchem.base.values import is_count, is_text, number_or_none, short

DRIVER, DRIVER_VERSION = "xpm-alchem driver state", 1
_ADVICE = "Restore it from a backup, or remove it: then the strategy is performed afresh."
Check = Callable[[Any], bool]


def read_driver_state(path: Path) -> dict[str, Any]:
    """Read what a driver remembers.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is damaged, or was written by a newer version.
    WorkspaceError
        It cannot be read (now, or by this user).
    """
    record = read_record(path, DRIVER, DRIVER_VERSION)
    for key, fits in _KEYS.items():
        if key in record and not fits(record[key]):
            raise FormatError(path, f"damaged: '{key}' is {short(record[key])}. {_ADVICE}")
    for key, value in record.get("strategy", {}).items():
        if key not in _STRATEGY or not _STRATEGY[key](value):
            raise FormatError(path, f"damaged: 'strategy.{short(key)[1:-1]}' is {short(value)}. {_ADVICE}")
    return record


def _or_none(fits: Check) -> Check:
    return lambda value: value is None or fits(value)


def _is_number(value: Any) -> bool:
    return number_or_none(value) is not None


def _mapping_to(fits: Check) -> Check:
    return lambda value: isinstance(value, Mapping) and all(is_text(k) and fits(v) for k, v in value.items())


_KEYS: Mapping[str, Check] = {
    "strategy": lambda value: isinstance(value, Mapping),
    "weights": _mapping_to(_or_none(_is_number)),
    "unwanted": _mapping_to(_is_number),
    "inbox": is_count,
    "network": is_count,
}
_STRATEGY: Mapping[str, Check] = {  # the fields of strategy.StrategyState
    "status": lambda value: value in ("awake", "dormant", "error"),
    "iterations": is_count,
    "last_iteration": _or_none(_is_number),
    "last_iteration_result_count": _or_none(is_count),
    "exception": _or_none(is_text),
    "traceback": _or_none(is_text),
}
