"""What an attempt had achieved, as the one after it shows: what it says itself may be wrong, or missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from xpm_alchem.execution.attempts import ALL_UNITS, Attempt, Outcome, within


def with_hindsight(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return attempts whose `progress` and `kept_seconds` heed what the one after each of them found.

    What an attempt left of a unit was no progress if the next one began that unit again; what one left that could not
    say so was progress if the next one began further on. An attempt that began a unit again, and was killed, has shown
    none.

    Parameters
    ----------
    attempts
        A task's, oldest first.
    """
    found = list(attempts)
    after: Attempt | None = None  # the next one that began
    for i in range(len(found) - 1, -1, -1):
        noted = found[i]
        if noted.outcome is not None:
            found[i] = _seen_from(noted, after)
        after = noted if noted.began else after
    return found


def _seen_from(attempt: Attempt, after: Attempt | None) -> Attempt:
    """Return an attempt that has ended as the next one that began shows it."""
    start, at = _goes_on_at(attempt), _goes_on_at(after)
    if after is not None and attempt.at_work is None and attempt.outcome is not Outcome.COMPLETE:
        attempt = _changed(attempt, kept_seconds=_kept_until(attempt, after))
    if attempt.units_done:
        return attempt
    if after is not None and _begins_again(after):
        return _changed(attempt, progress=False, kept_seconds=0.0)
    if attempt.at_work is None and at is not None:
        return _changed(attempt, progress=at > (start or 0.0))
    if attempt.at_work is None and _begins_again(attempt):
        return _changed(attempt, progress=False)
    return attempt


def _changed(attempt: Attempt, **values: Any) -> Attempt:
    """Return an attempt with other values; itself where it has them."""
    return attempt if all(getattr(attempt, k) == v for k, v in values.items()) else attrs.evolve(attempt, **values)


def _kept_until(attempt: Attempt, after: Attempt) -> float | None:
    """Return the seconds that are kept of an attempt that could not say so: until the checkpoint the next one found."""
    written = _begin_of(after).get("written")
    if written is None:
        return attempt.kept_seconds
    came_further = (_goes_on_at(after) or 0.0) > (_goes_on_at(attempt) or 0.0)
    kept = written - attempt.began_on_disk if came_further else 0.0
    return within(max(kept, attempt.seconds_in_units), attempt.seconds)


def _begins_again(attempt: Attempt) -> bool:
    """Whether it began a unit again that others had begun, before it had finished one itself."""
    return _is_anew(_begin_of(attempt))


def _is_anew(unit: Mapping[str, Any]) -> bool:
    return bool(unit.get("fresh") or unit.get("set_aside")) and unit.get("name") != ALL_UNITS


def _goes_on_at(attempt: Attempt | None) -> float | None:
    """Return the step of the checkpoint from which an attempt went on; None where nothing says."""
    return None if attempt is None else _begin_of(attempt).get("at")


def _begin_of(attempt: Attempt) -> Mapping[str, Any]:
    """Return what an attempt found of the unit that it began with; empty if it found nothing."""
    found = (unit for unit in attempt.units if "seconds" in unit or "at" in unit or _is_anew(unit))
    return next(found, {})
