"""What a user should know of a network's settings before paying for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xpm_alchem.network.loading import Network

_PICOSECONDS = {"femtosecond": 1e-3, "picosecond": 1.0, "nanosecond": 1e3, "microsecond": 1e6}


def advice(network: Network) -> list[str]:
    """Return sentences about the protocols' settings; empty where there is nothing to say."""
    found: dict[str, None] = {}
    for _, content in network.chain:
        settings = content.get("settings")
        if not isinstance(settings, Mapping):
            continue
        protocol = content["__qualname__"]
        repeats = settings.get("protocol_repeats")
        if isinstance(repeats, int) and repeats > 1:
            found[
                f"{protocol}: protocol_repeats is {repeats}: every task computes {repeats} repeats one after another. "
                "With protocol_repeats = 1 each repeat is a task of its own that can be placed, resumed and counted."
            ] = None
        intervals = [_picoseconds(value) for value in _values(settings, "checkpoint_interval")]
        lengths = [_picoseconds(value) for value in _values(settings, "production_length")]
        if intervals and lengths and None not in (*intervals, *lengths):
            interval, length = max(filter(None, intervals)), max(filter(None, lengths))
            if interval >= 0.1 * length:
                found[
                    f"{protocol}: checkpoint_interval ({interval:g} ps) is {100 * interval / length:.0f} % of "
                    f"production_length ({length:g} ps): a kill can lose that much. Consider a shorter one."
                ] = None
    return list(found)


def _values(settings: Any, name: str) -> Iterator[Any]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key == name:
                yield value
            yield from _values(value, name)


def _picoseconds(value: Any) -> float | None:
    if isinstance(value, Mapping) and value.get("unit") in _PICOSECONDS:
        return float(value["magnitude"]) * _PICOSECONDS[value["unit"]]
    return None
