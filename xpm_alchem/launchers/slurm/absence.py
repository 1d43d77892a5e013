"""A job that SLURM did not list: what that is worth, and when it is given up. Pure; no answer is believed alone.

An end is proved by the job's or the attempt's own word, or by an end that SLURM names. Where neither comes, a job is
given up only when SLURM was asked again and again, in every way there is, and nothing has been heard of it for long:
neither of the attempt, by what it writes, nor of SLURM, by any of its programs.
"""

from __future__ import annotations

import attrs

_SURE_SECONDS = 60.0  # a sign of life so young says that an answer without the job was wrong
_UNKNOWN_SECONDS = 120.0  # quiet for so long, and the controller says that it knows no such job
_HOLE_SECONDS = 20.0  # quiet for so long, and the controller lists its array without it, or was told to end it
_PATIENCE_SECONDS = 900.0  # quiet for so long, and the controller only does not list it, or sacct contradicts it
_RUNAWAY_SECONDS = 6 * 3600.0  # as long as accounting is believed that a job is alive of which nothing else is heard
_UNDER_WAY_SECONDS = 60.0  # the job of an sbatch may take so long to turn up whose answer nobody has heard
_LEAST_ANSWERS = 4  # that did not list it


def is_sign_of_life(quiet: float) -> bool:
    """Return whether an attempt is surely alive that wrote something so many seconds ago."""
    return quiet < _SURE_SECONDS


@attrs.define
class Absence:
    """What was heard of a job since it was not listed for the first time. Times are of a clock that is never set.

    Attributes
    ----------
    since
        When it was asked.
    answers
        How many answers have not listed it.
    unknown
        Whether the controller, when it was asked for this job, said last that it knows none of that id.
    is_hole
        Whether the last answer listed others of the job's array, or SLURM has taken an order to end the job: of an
        element that is cancelled while it waits no record is kept.
    accounted
        When accounting said last that it is alive.
    asked
        When the controller was asked for this job last.
    """

    since: float
    answers: int = 0
    unknown: bool = False
    is_hole: bool = False
    accounted: float | None = None
    asked: float | None = None

    def is_over(self, now: float, quiet: float) -> bool:
        """Return whether enough was done to find the job.

        Parameters
        ----------
        quiet
            Seconds since the last sign of life of its attempt, infinity if there was none.
        """
        if self.answers < _LEAST_ANSWERS:
            return False
        heard = max(now - quiet, self.since)
        patience = _HOLE_SECONDS if self.is_hole else _UNKNOWN_SECONDS if self.unknown else _PATIENCE_SECONDS
        if self.accounted is not None and self.accounted - self.since < _RUNAWAY_SECONDS:
            if self.unknown:  # accounting never hears of the end of a job that the controller has forgotten
                patience = _PATIENCE_SECONDS
            else:
                heard = max(heard, self.accounted)
        return now - heard > patience

    def is_long(self, now: float) -> bool:
        """Return whether it has lasted so long that nobody waits for SLURM to say how a job ended that has ended."""
        return now - self.since > _UNKNOWN_SECONDS

    def never_was(self, now: float, quiet: float, age: float) -> bool:
        """Return whether an sbatch whose answer nobody has heard made no job, as far as can be seen.

        Parameters
        ----------
        quiet
            As for `is_over`.
        age
            Seconds since sbatch was to be run.
        """
        is_late = min(now - self.since, age) > _UNDER_WAY_SECONDS
        return is_late and self.answers >= _LEAST_ANSWERS and not is_sign_of_life(quiet)
