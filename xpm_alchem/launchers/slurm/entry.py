"""A task in SLURM's hands, as a driver knows it, and what its end means."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.values import printable
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.life_signs import files_of
from xpm_alchem.execution.processes import ended_with
from xpm_alchem.launchers.slurm.absence import Absence
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import JobState
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.slurm.reasons import meaning_of

_SHELLS_SIGNALS = 128  # a shell's exit code for what a signal has killed is this and the signal's number
_TAIL_BYTES, _LONGEST = 4096, 200  # of a job's log, and of its last line that is told
_OF_SIGNALS = {"SIGTERM": " (as scancel does)", "SIGKILL": " (as scancel does, or a node that is short of memory)"}
_log = logging.getLogger("xpm.alchem.slurm")


@attrs.define
class Entry:
    """A task that was handed to SLURM, or is about to be.

    Attributes
    ----------
    script
        experimaestro's script of the task.
    profile
        What its job asks for; None if an earlier driver launched it.
    campaign
        Whose driver has launched it.
    batch, number
        Its launch; the batch None while it is gathered.
    state
        What SLURM said last; None while it has not been asked.
    is_steady
        Whether SLURM gave the same reason for its state twice in a row: at first it may give another one.
    ended
        Whether it is over, by its own word or by SLURM's.
    lost
        Whether no job will ever come of its launch.
    code, seen
        The exit code of its process, where its job could note it, and when that was seen.
    asked, asked_since
        Whether somebody wants to know how its job ended although the attempt has said that it did, and since when.
    heard
        When SLURM was asked for what it said last; both by a clock that nobody sets.
    absence
        Of its job in what SLURM lists; None while it is listed.
    given_up
        Why nobody waits for its job any more although no end was proved; '' if that is not so.
    looked
        Whether it was looked whether its job has noted an end.
    """

    script: Path
    profile: SlurmProfile | None = None
    campaign: str = ""
    batch: Batch | None = None
    number: int = 0
    gathered: float = 0.0
    state: JobState | None = None
    is_steady: bool = False
    ended: bool = False
    lost: bool = False
    asked: bool = False
    asked_since: float = float("inf")
    heard: float = 0.0
    code: int | None = None
    seen: float = 0.0
    absence: Absence | None = None
    given_up: str = ""
    looked: bool = False

    @property
    def directory(self) -> Path:
        """The task's directory."""
        return self.script.parent

    def base_job(self) -> str | None:
        """Return the id of its job, of an array's element that of the array; None while nobody knows it."""
        jobs = self.jobs()
        return jobs[0].partition("_")[0] if jobs else None

    def jobs(self) -> list[str]:
        """Return the ids of the jobs that work or may work on it; none while nobody knows them."""
        return [] if self.batch is None else self.batch.jobs_for(self.number) or []

    def signs(self) -> tuple[Path, ...]:
        """Return the files that are written while its attempt lives."""
        own = () if self.batch is None else self.batch.signs(self.number)
        return *own, *files_of(self.directory)

    @property
    def is_undecided(self) -> bool:
        """Whether SLURM has not said that its job has ended."""
        return self.state is None or self.state.is_alive

    @property
    def is_answered(self) -> bool:
        """Whether SLURM has said something of its job since somebody wants to know how that ended."""
        return self.asked and self.heard >= self.asked_since

    @property
    def is_open(self) -> bool:
        """Whether SLURM is to be asked about its job."""
        return self.asked or not self.ended


def outcome_of(entry: Entry, *, begun: bool) -> tuple[Outcome, str, bool]:
    """Return how an attempt ended that did not say so: outcome, reason, whether its processes are surely gone.

    Parameters
    ----------
    begun
        Whether the attempt has said that it began.
    """
    state = entry.state
    words = "" if begun else _last_words(entry)  # a module or a prologue that failed says why in the job's log
    if entry.code is not None and not begun and (state is None or entry.is_undecided):
        by_signal = _SHELLS_SIGNALS < entry.code < _SHELLS_SIGNALS + 65
        end = ended_with(_SHELLS_SIGNALS - entry.code if by_signal else entry.code, _OF_SIGNALS)
        return Outcome.LOST, f"its job {end}{words or ' before the attempt began'}", True
    if entry.code is not None and (state is None or entry.is_undecided or (begun and state.outcome is Outcome.LOST)):
        return Outcome.LOST, f"its process {ended_with(entry.code, _OF_SIGNALS)} without a word", True
    if state is not None and state.state == "PENDING" and not begun:  # of a cancelled element SLURM keeps no record
        told = f" ({entry.given_up})" if entry.given_up else ""
        return Outcome.CANCELLED, f"SLURM job {state.job} was cancelled or forgotten while it waited{told}", True
    if state is None or entry.is_undecided:
        return Outcome.LOST, entry.given_up or "its SLURM job is gone, and SLURM does not say how it ended", False
    where = f" on {state.node}" if state.node else ""
    code = f", exit code {state.exit_code}" if state.exit_code not in ("", "0:0") else ""
    means = f" ({what})" if (what := meaning_of(state.state, state.by)) else ""
    return state.outcome, f"SLURM job {state.job}{where} ended as {state.state}{means}{code}{words}", state.is_certain


def _last_words(entry: Entry) -> str:
    """Return the last line of what a job printed that has not come to its task, as a part of a sentence."""
    if entry.batch is None:
        return ""
    log = entry.batch.path / f"{entry.number if entry.batch.is_array and entry.batch.tasks_per_job == 1 else 0}.log"
    try:
        with open(log, "rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - _TAIL_BYTES))
            said = lines.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" before the attempt began; its log ends with: {printable(said[-1])[:_LONGEST]}" if said else ""


@contextmanager
def passing(entry: Entry) -> Iterator[None]:
    """Pass over an entry whose files cannot be read now: that is no other's concern, and it is looked at again."""
    try:
        yield
    except (OSError, FormatError) as error:
        _log.warning("%s: %s", entry.directory, error)
