"""One short process on a node, through a launcher's profile, that no task is for: started, watched, ended."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.files import atomic_write, exists
from xpm_alchem.base.interpreter import python
from xpm_alchem.base.permissions import private
from xpm_alchem.execution.processes import HOST, ProcessIdentity, kill_session
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.launchers.slurm.commands import Slurm, SlurmError, Trouble
from xpm_alchem.launchers.slurm.launcher import SlurmLauncher
from xpm_alchem.launchers.slurm.reasons import meaning_of, reason_of

_JOB_SECONDS = 600.0  # the most that is asked of SLURM: a short job begins earlier
_MARGIN_SECONDS = 10.0
_ASK_SECONDS = 5.0  # between two questions to SLURM
_SLURM_SECONDS = 30.0  # for an answer


@attrs.frozen
class JobNow:
    """How a job is: in words, and whether it is over."""

    words: str
    is_over: bool = False


class NodeJob(ABC):
    """A process that a launcher starts: ``python ARGUMENTS``; what it prints is in ``0.log``.

    Attributes
    ----------
    name
        What it is called.
    patience
        Seconds for which what it wrote may be on its way after its end.
    """

    name: str
    patience: float

    @abstractmethod
    def start(self) -> None:
        """Start it.

        Raises
        ------
        CampaignError
            It cannot be started, in words.
        """

    @abstractmethod
    def now(self) -> JobNow:
        """Return how it is."""

    @abstractmethod
    def end(self) -> None:
        """End it, if it was started and is not over."""


def job_of(launcher: AttemptLauncher, directory: Path, *arguments: object) -> NodeJob:
    """Return what runs ``python ARGUMENTS`` through a launcher.

    Raises
    ------
    CampaignError
        The launcher has none.
    """
    if isinstance(launcher, LocalLauncher):
        return _LocalJob(launcher, directory, python(*arguments))
    if isinstance(launcher, SlurmLauncher):
        return _SlurmJob(launcher, directory, python(*arguments))
    raise CampaignError(f"launcher {launcher.name}: its kind has no nodes that could be looked at.")


class _LocalJob(NodeJob):
    patience = 0.0

    def __init__(self, launcher: LocalLauncher, directory: Path, command: Sequence[str]) -> None:
        self._launcher, self._log, self._command = launcher, directory / "0.log", command
        self._process: subprocess.Popen[bytes] | None = None
        self.name = f"a process on {HOST}"

    def start(self) -> None:
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._launcher.environment_of_all(),
                start_new_session=True,
            )
        self.name = f"process {self._process.pid} on {HOST}"

    def now(self) -> JobNow:
        code = None if self._process is None else self._process.poll()
        return JobNow("at work") if code is None else JobNow(f"ended with exit code {code}", is_over=True)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            kill_session(ProcessIdentity.of(self._process.pid))
            self._process.wait()


class _SlurmJob(NodeJob):
    patience = 60.0

    def __init__(self, launcher: SlurmLauncher, directory: Path, command: Sequence[str]) -> None:
        self._launcher, self._directory, self._command = launcher, directory, command
        self._slurm = Slurm(_SLURM_SECONDS)
        self._job: str | None = None
        self._may_be_there = False
        self._asked, self._now = 0.0, JobNow("submitted")
        self.name = f"xpm-alchem-doctor-{directory.name}"

    def start(self) -> None:
        self._launcher.check()
        given = self._launcher.profile
        profile = attrs.evolve(
            given,
            time=min(given.time or _JOB_SECONDS, _JOB_SECONDS),
            margin=_MARGIN_SECONDS,
            tasks_per_job=1,
            side_by_side=1,
        )
        text = profile.script(name=self.name, directory=self._directory, jobs=None, command=self._command)
        (self._directory / "ended").mkdir()
        script = self._directory / "script.sh"
        with atomic_write(script, permissions=private(self._directory.parent.parent)) as out:
            out.write(text)
        self._may_be_there = True
        try:
            self._job = self._slurm.submit(script)
        except SlurmError as error:
            self._may_be_there = error.trouble is Trouble.UNREACHABLE
            raise CampaignError(f"launcher {self._launcher.name}: no job could be submitted: {error}") from None
        self.name = f"SLURM job {self._job}"

    def now(self) -> JobNow:
        if not self._now.is_over and time.monotonic() - self._asked > _ASK_SECONDS:
            self._now = self._told()
            self._asked = time.monotonic()
        return self._now

    def _told(self) -> JobNow:
        assert self._job is not None
        try:
            states = self._slurm.queue_of(self._job)
        except SlurmError as error:
            return JobNow(f"SLURM does not answer ({error})")
        if not states:
            return JobNow("SLURM does not know it any more", is_over=True)
        state = states[0]
        if not state.is_alive:
            if exists(self._directory / "ended" / "0"):  # its script's own word: there is no answer on its way
                self.patience = 0.0
            meaning = meaning_of(state.state)
            return JobNow(f"ended as {state.state}{f' ({meaning})' if meaning else ''}", is_over=True)
        if state.state == "RUNNING":
            return JobNow(f"runs on {state.node}")
        reason = reason_of(state.reason)
        return JobNow(f"waits: {state.state}, {reason.word or 'no reason'} ({reason.words})")

    def end(self) -> None:
        if not self._may_be_there or self._now.is_over:
            return
        with suppress(SlurmError):  # it ends by itself, soon
            jobs = [self._job] if self._job is not None else []
            if not jobs:  # interrupted while it was being submitted
                jobs = [state.job for state in self._slurm.queue() if state.name == self.name and state.is_alive]
            if jobs:
                self._slurm.cancel(jobs)
