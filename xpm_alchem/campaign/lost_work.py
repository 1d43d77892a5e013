"""How much of a task's time was lost: computed, and not there for the next attempt to go on from. Pure.

Of an attempt that ended before its task was complete, what came after its last finished unit or written checkpoint is
lost. When a later attempt sets a checkpoint aside, or begins from scratch, what it could have gone on from is lost too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpm_alchem.execution.attempts import ALL_UNITS, Attempt, Outcome, within


def lost_seconds(attempts: Sequence[Attempt]) -> dict[int, float]:
    """Return the lost seconds of each attempt of a task by its number.

    Parameters
    ----------
    attempts
        The task's, oldest first. One at work has lost nothing yet.
    """
    kept = {attempt.number: _kept(attempt) for attempt in attempts}
    for position, attempt in enumerate(attempts):
        earlier = attempts[:position]
        for unit in attempt.units:
            if unit.get("name") == ALL_UNITS and unit.get("fresh"):
                kept |= {other.number: 0.0 for other in earlier}
            elif (unit.get("set_aside") or unit.get("fresh")) and not _has_finished_before(attempt, unit):
                kept |= {other.number: _in_units(other) for other in _at_work_on_it(earlier)}
    return {attempt.number: max(0.0, attempt.seconds - kept[attempt.number]) for attempt in attempts}


def _kept(attempt: Attempt) -> float:
    if attempt.outcome in (None, Outcome.COMPLETE):
        return attempt.seconds
    return _in_units(attempt) if attempt.kept_seconds is None else attempt.kept_seconds


def _in_units(attempt: Attempt) -> float:
    """Return the seconds up to the last unit that it finished."""
    return within(attempt.seconds_in_units, attempt.seconds)


def _has_finished_before(attempt: Attempt, unit: Mapping[str, Any]) -> bool:
    """Whether the attempt had finished another unit by then: earlier attempts did not work on this one."""
    before = attempt.units[: attempt.units.index(unit)]
    return any(other.get("ok") for other in before)


def _at_work_on_it(earlier: Sequence[Attempt]) -> list[Attempt]:
    """Return the last attempts that worked on the unit that was at work in the last of them."""
    found = []
    for attempt in reversed(earlier):
        found.append(attempt)
        if attempt.units_done:
            break
    return found
