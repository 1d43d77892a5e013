"""A batch: tasks that are submitted to SLURM together, by one sbatch. Its directory is the record of the intent.

    <workspace>/slurm/<batch>/
      batch.json     written before sbatch runs: the tasks, the job's name, how many jobs
      script.sh      the batch script
      job            SLURM's id; written by whoever knows it first, the driver or the first job that starts
      claims/<n>     which job took on task n, where jobs take on several; written by that job
      alive/<n>      touched every few seconds by the job while task n's process runs
      ended/<n>      the exit code of task n's process, written by its job, which then tells the driver (ended_jobs.py)
      <n>.log        what was printed before a task's own output begins

Every try of an sbatch is a batch of its own with a name of its own, so that it can be found in SLURM's queue, and with
launches of its own, so that a job that turns up after all, when its tasks have been given to another batch, does
nothing (see fence.py).
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import atomic_write, read_bytes, read_record, remove, write_record
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.paths import are_same
from xpm_alchem.base.permissions import private
from xpm_alchem.base.values import is_count, is_text, number_or_none, short
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.container import Container
from xpm_alchem.launchers.slurm.ended_jobs import EndedJobs

BATCH = "xpm-alchem slurm batch"
BATCH_VERSION = 1
_JOB = re.compile(r"[0-9]+(_[0-9]+)?")


@attrs.frozen
class Batch:
    """A batch as its record has it.

    Attributes
    ----------
    path
        Its directory.
    job_name
        Under which SLURM knows it; like no other batch's.
    made
        When the intent was written, seconds since the epoch.
    scripts
        The task scripts, absolute; task n is launched as '<batch>/<n>'.
    jobs
        How many jobs it is, the elements of the job array.
    is_array
        Whether it is submitted as an array.
    tasks_per_job, side_by_side
        See `SlurmProfile`. With one task a job, job n works on task n.
    pool
        Jobs take on tasks of other batches of the same pool when their own batch has none left.
    margin, limit
        Of a job, in seconds; the limit None where the profile leaves it to the site.
    campaign
        Whose driver is told when a task has ended; '' for a batch of version 0.1.
    tasks_per_gpu, mps, nodes, platform, container
        See `SlurmProfile`.
    """

    path: Path
    job_name: str
    made: float
    scripts: tuple[str, ...]
    jobs: int
    is_array: bool
    tasks_per_job: int
    pool: str
    margin: float
    limit: float | None
    side_by_side: int = 1
    campaign: str = ""
    tasks_per_gpu: int = 1
    mps: bool = False
    nodes: int = 1
    platform: str | None = None
    container: Container | None = None
    _words: dict[str, list[str]] = attrs.field(factory=dict, init=False, eq=False, repr=False)  # what is written once

    @classmethod
    def make(
        cls,
        root: Path,
        campaign: str,
        scripts: Sequence[str],
        *,
        is_array: bool = True,
        tasks_per_job: int = 1,
        pool: str = "",
        margin: float,
        limit: float | None,
        **jobs: Any,
    ) -> Batch:
        """Make a batch's directory; `write` makes it count. `jobs`: what else its record says of its jobs."""
        token = uuid.uuid4().hex[:10]
        path = root / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{token}"
        for name in ("claims", "ended"):
            (path / name).mkdir(parents=True)
        return cls(
            path=path,
            job_name=f"{campaign[:40]}-{token}",
            made=time.time(),
            scripts=tuple(scripts),
            jobs=-(-len(scripts) // tasks_per_job),
            is_array=is_array,
            tasks_per_job=tasks_per_job,
            pool=pool,
            margin=margin,
            limit=limit,
            campaign=campaign,
            **jobs,
        )

    def write(self, script: str) -> None:
        """Write the batch script, then the record of the intent."""
        with atomic_write(self.script, permissions=private(self.path.parent.parent)) as out:
            out.write(script)
        content = {key: value for key, value in attrs.asdict(self).items() if key in _FIELDS}
        write_record(self.path / "batch.json", BATCH, BATCH_VERSION, content)

    @classmethod
    def read(cls, path: Path) -> Batch | None:
        """Read a batch; None if its intent was never written, or in another workspace, of which this one is a copy.

        Raises
        ------
        FormatError
            It is damaged or was written by a newer version.
        """
        try:
            content = read_record(path / "batch.json", BATCH, BATCH_VERSION)
        except FileNotFoundError:
            return None
        try:
            values = {key: content[key] for key in _FIELDS if key in content or key not in _OPTIONAL}
            if wrong := [key for key, fits in _FIELDS.items() if key in values and not fits(values[key])]:
                raise ValueError(f"'{wrong[0]}' is {short(values[wrong[0]])}")
            values["container"] = Container.from_record(values.get("container"))
        except (KeyError, ValueError) as error:
            raise FormatError(path / "batch.json", f"damaged ({error}). Restore it from a backup.") from None
        batch = cls(path=path, **{**values, "scripts": tuple(values["scripts"])})
        return batch if batch.is_of_this_workspace() else None

    def is_of_this_workspace(self) -> bool:
        """Whether its tasks are in the workspace that it is in: not in a copy of a workspace."""
        jobs = self.path.parent.parent / "jobs"
        parents = [Path(script).parents for script in self.scripts]
        return all(len(above) > 2 for above in parents) and all(
            are_same(path, jobs) for path in {above[2] for above in parents}
        )

    @property
    def script(self) -> Path:
        """The batch script."""
        return self.path / "script.sh"

    def launch(self, number: int) -> str:
        """Return what the orders of task `number` call its launch."""
        return f"{self.path.name}/{number}"

    # -------------------------------------------------------------------------------------------------- the job's id
    def job(self) -> str | None:
        """Return SLURM's id of the job or array, None while nobody knows it."""
        return next(iter(self._written_once("job")), None)

    def _written_once(self, name: str) -> list[str]:
        """Return the words of a file that is written once and for all and begins with a job, none before that."""
        if name not in self._words:
            words = (_word(self.path / name) or "").split()
            if not words or not _JOB.fullmatch(words[0]):
                return []
            self._words[name] = words
        return self._words[name]

    def set_job(self, job: str) -> None:
        """Note SLURM's id."""
        with atomic_write(self.path / "job") as out:
            out.write(job + "\n")

    def job_of(self, index: int) -> str | None:
        """Return the id of one of its jobs as squeue prints it."""
        job = self.job()
        if job is None:
            return None
        return f"{job}_{index}" if self.is_array else job

    def all_jobs(self) -> list[str]:
        """Return the ids of all its jobs, none if nobody knows them."""
        return [job for index in range(self.jobs) if (job := self.job_of(index)) is not None]

    # -------------------------------------------------------------------------------------------------------- claims
    def claim(self, number: int, job: str, name: str, node: str = "") -> bool:
        """Take on a task for a job; return False if another job has. A job that was requeued finds its own again.

        Parameters
        ----------
        number
            The task's.
        job, name
            The job's id, and its name.
        node
            Which of its nodes asks, where it has several.
        """
        claim = [job, name, *([node] if node else [])]
        target = self.path / "claims" / str(number)
        partial = target.with_name(f".{number}.{uuid.uuid4().hex[:8]}")
        try:
            patiently(lambda: partial.write_text("".join(f"{word}\n" for word in claim)))
            patiently(lambda: os.link(partial, target))
            return True
        except FileExistsError:  # or done by a call that said it had failed
            return self._written_once(f"claims/{number}") == claim
        finally:
            with suppress(OSError):
                remove(partial)

    def claimed_by(self, number: int) -> str | None:
        """Return the job that took on a task, None if none has."""
        return next(iter(self._written_once(f"claims/{number}")), None)

    def name_for(self, number: int) -> str:
        """Return the name of the jobs that work or may work on a task: an id alone may have been given away again."""
        claim = [] if self.tasks_per_job == 1 else self._written_once(f"claims/{number}")
        return claim[1] if len(claim) > 1 else self.job_name

    def signs(self, number: int) -> tuple[Path, Path]:
        """Return the files that a task's job writes while it is alive."""
        return self.path / "alive" / str(number), self.path / "claims" / str(number)

    def note_alive(self, number: int) -> None:
        """Note that a task's process is alive: a sign of life that needs nothing of the process itself."""
        path = self.path / "alive" / str(number)
        with suppress(OSError):  # a full disk: only this sign is lost
            path.parent.mkdir(exist_ok=True)
            path.touch()

    def set_ended(self, number: int, code: int) -> None:
        """Note that a task's process has ended, with its exit code, negative for a signal; and tell the driver."""
        with atomic_write(self.path / "ended" / str(number)) as out:
            out.write(f"{code}\n")
        if self.campaign:
            EndedJobs(self.path.parent, self.campaign).tell(self.launch(number))

    def ended(self, number: int) -> int | None:
        """Return the exit code of a task's process, None while it is not known to have ended."""
        code = _word(self.path / "ended" / str(number)) or ""
        return int(code) if re.fullmatch(r"-?[0-9]{1,3}", code) else None

    def jobs_for(self, number: int) -> list[str] | None:
        """Return the jobs that work or may work on a task; None while nobody knows the batch's."""
        if self.tasks_per_job == 1:
            job = self.job_of(number)
            return None if job is None else [job]
        if (claimed := self.claimed_by(number)) is not None:
            return [claimed]
        return self.all_jobs() or None

    def has_work(self, job: str) -> bool:
        """Return whether any task is still for one of its jobs, by the orders of the tasks."""
        index = job.partition("_")[2]
        whole = range(len(self.scripts))
        numbers = whole[int(index) : int(index) + 1] if self.tasks_per_job == 1 and index.isdigit() else whole
        return any(Orders.read(Path(self.scripts[n]).parent).launch == self.launch(n) for n in numbers)


def _word(path: Path) -> str | None:
    """Return what a small file says, None if it is not there or no text."""
    try:
        return read_bytes(path, most=1000).decode().strip()
    except (FileNotFoundError, FormatError, UnicodeDecodeError):
        return None


def _is_whole(value: Any) -> bool:
    return is_count(value, 10**7) and value > 0


def _is_text(value: Any) -> bool:
    return is_text(value) and "\0" not in value


_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "job_name": _is_text,
    "made": lambda value: number_or_none(value) is not None,
    "scripts": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "jobs": _is_whole,
    "is_array": lambda value: isinstance(value, bool),
    "tasks_per_job": _is_whole,
    "side_by_side": _is_whole,
    "pool": _is_text,
    "margin": lambda value: number_or_none(value) is not None,
    "limit": lambda value: value is None or number_or_none(value) is not None,
    "tasks_per_gpu": _is_whole,
    "mps": lambda value: isinstance(value, bool),
    "nodes": _is_whole,
    "platform": lambda value: value is None or _is_text(value),
    "container": lambda value: value is None or isinstance(value, dict),
    "campaign": lambda value: _is_text(value) and Path(value).name == value,
}
_OPTIONAL = {"campaign", "tasks_per_gpu", "mps", "nodes", "platform", "container"}


def parse_launch(root: Path, launch: str) -> tuple[Path, int] | None:
    """Return the batch's directory and the task's number, None if `launch` names no batch of `root`."""
    name, _, number = launch.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or not re.fullmatch(r"[0-9]{1,9}", number):
        return None
    return root / name, int(number)
