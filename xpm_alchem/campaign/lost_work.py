"""How much of a task's time was lost: computed, and not there for the next attempt to go on from. Pure.

Of an attempt that ended before its task was complete, what came after its last finished unit or written checkpoint is
lost. When a later attempt sets a checkpoint aside, or begins from scratch, what it could have gone on from is lost too.
"""

from __future__ import annotations

from collections.abc import Sequence

from xpm_alchem.execution.attempts import ALL_UNITS, Attempt, Outcome, within


def lost_seconds(attempts: Sequence[Attempt]) -> dict[int, float]:
    """Return the lost seconds of each attempt of a task by its number.

    Parameters
    ----------
    attempts
        The task's, oldest first. One at work has lost nothing yet.
    """
    kept = _KeptSeconds(attempts)
    last_done: int | None = None  # the last attempt that had finished a unit when this one began
    for position, attempt in enumerate(attempts):
        has_finished = False  # else earlier attempts worked on the unit that is set aside
        for unit in attempt.units:
            if unit.get("name") == ALL_UNITS and unit.get("fresh"):
                kept.lose_all(position)
            elif (unit.get("set_aside") or unit.get("fresh")) and not has_finished:
                kept.lose_unit(position, last_done)
            has_finished = has_finished or bool(unit.get("ok"))
        last_done = position if attempt.units_done else last_done
    return {
        attempt.number: max(0.0, attempt.seconds - seconds)
        for attempt, seconds in zip(attempts, kept.seconds, strict=True)
    }


class _KeptSeconds:
    """What is kept of each attempt, as later ones lose it; of none is it taken away twice, as there may be very many.

    Attributes
    ----------
    seconds
        By position.
    """

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self._attempts = attempts
        self.seconds = [_kept(attempt) for attempt in attempts]
        self._all_lost = self._unit_lost = 0  # up to which position
        self._again: set[int] = set()  # of which something is kept again, although all was lost

    def lose_all(self, position: int) -> None:
        """Lose all that the attempts before a position have left."""
        for earlier in (*range(self._all_lost, position), *self._again):
            self.seconds[earlier] = 0.0
        self._all_lost = position
        self._again.clear()

    def lose_unit(self, position: int, last_done: int | None) -> None:
        """Lose what attempts before a position left of the unit that was at work then: they began after `last_done`.

        Of that one what came after the units that it finished is lost.
        """
        for earlier in range(max(self._unit_lost, 0 if last_done is None else last_done + 1), position):
            self.seconds[earlier] = _in_units(self._attempts[earlier])
        self._unit_lost = position
        if last_done is not None:
            self.seconds[last_done] = _in_units(self._attempts[last_done])
            self._again.add(last_done)


def _kept(attempt: Attempt) -> float:
    if attempt.outcome in (None, Outcome.COMPLETE):
        return attempt.seconds
    return _in_units(attempt) if attempt.kept_seconds is None else attempt.kept_seconds


def _in_units(attempt: Attempt) -> float:
    """Return the seconds up to the last unit that it finished."""
    return within(attempt.seconds_in_units, attempt.seconds)
