"""How long an attempt may run."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen
class Deadline:
    """How long an attempt may run.

    Attributes
    ----------
    remaining
        Returns the seconds left, or None where there is no limit. Asked again and again: a limit may change.
    margin
        Seconds before the limit at which a unit is interrupted, so that it can unwind and its state be kept.
    warned
        Called, from a signal handler, for a warning that comes while time seems to be left: it makes `remaining` look
        again. Without it a warning is believed.
    """

    remaining: Callable[[], float | None]
    margin: float = 10.0
    warned: Callable[[], None] | None = None

    def left(self) -> float | None:
        """Return the seconds until a unit would be interrupted, or None."""
        remaining = self.remaining()
        return None if remaining is None else remaining - self.margin
