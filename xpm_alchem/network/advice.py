"""What a user should know of a network's settings before paying for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xpm_alchem.base.values import number_or_none
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
        for where, interval, length in _checkpoints(settings):
            if interval >= 0.1 * length:
                found[
                    f"{protocol}: {where}checkpoint_interval ({interval:g} ps) is {100 * interval / length:.0f} % of "
                    f"production_length ({length:g} ps): a kill can lose that much. Consider a shorter one."
                ] = None
    return list(found)


def _checkpoints(settings: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Yield interval and length in ps of each simulation, and of which section its output is, where there are several.

    What `solvent_output_settings` says is of the simulation that `solvent_simulation_settings` describes.
    """
    intervals, lengths = (dict(_values(settings, name)) for name in ("checkpoint_interval", "production_length"))
    if len(intervals) == len(lengths) == 1:
        pairs = [("", *intervals.values(), *lengths.values())]
    else:
        of = {section.replace("output", "simulation"): (section, value) for section, value in intervals.items()}
        pairs = [(f"{of[section][0]}.", of[section][1], length) for section, length in lengths.items() if section in of]
    for where, given, long in pairs:
        interval, length = _picoseconds(given), _picoseconds(long)
        if interval and length:
            yield where, interval, length


def _values(settings: Mapping[str, Any], name: str, section: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a name, each with the section that it is in."""
    for key, value in settings.items():
        if key == name:
            yield section, value
        if isinstance(value, Mapping):
            yield from _values(value, name, str(key))


def _picoseconds(value: Any) -> float | None:
    if isinstance(value, Mapping) and value.get("unit") in _PICOSECONDS:
        return number_or_none(value.get("magnitude")) and float(value["magnitude"]) * _PICOSECONDS[value["unit"]]
    return None
