"""SLURM's commands: run with a time-out, parsed, their failures told apart. Nothing here remembers anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path

import attrs

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.execution.attempts import Outcome

_ENDED = {
    "COMPLETED": Outcome.LOST,  # of an attempt that did not say how it ended
    "FAILED": Outcome.LOST,
    "CANCELLED": Outcome.CANCELLED,
    "REVOKED": Outcome.CANCELLED,
    "TIMEOUT": Outcome.TIMEOUT,
    "DEADLINE": Outcome.TIMEOUT,
    "PREEMPTED": Outcome.PREEMPTED,
    "OUT_OF_MEMORY": Outcome.OUT_OF_MEMORY,
    "NODE_FAIL": Outcome.NODE_FAILURE,
    "BOOT_FAIL": Outcome.NODE_FAILURE,
}
WAITING_STATES = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
_UNREACHABLE = re.compile(
    r"unable to contact|connection (refused|reset|timed out)|timed out|zero bytes|transport endpoint|"
    r"communication|temporarily unable|protocol authentication|unexpected message|resource temporarily|"
    r"backup controller|no route to host|munge|try again",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(
    r"submit.{0,20}limit|maxsubmit|violates accounting/qos policy|too many|maxjobcount", re.IGNORECASE
)
_TOO_BIG = re.compile(r"(QOS|Assoc)\w*(Wall|Cpu|Mem|Node|TRES|Gres|Time)\w*", re.IGNORECASE)  # of one job: lasting
_TOO_LARGE_ARRAY = re.compile(r"invalid job array specification", re.IGNORECASE)
_NO_NODE = re.compile(r"node configuration is not available", re.IGNORECASE)
# what says that sbatch has made no job, beside what SLURM says in so many words
_NOT_SUBMITTED = re.compile(
    r"submission failed|allocation failure|invalid|unrecognized|unable to open|unmatched|ambiguous|not on PATH|"
    r"requires an argument|must specify|cli_filter|denied|not permitted|plugin",
    re.IGNORECASE,
)
_UNKNOWN_JOB = re.compile(r"invalid job id|job.{0,20}(not found|does not exist)", re.IGNORECASE)
_KEPT_VARIABLES = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_TIME_FORMAT")


class Trouble(Enum):
    """Why a SLURM command failed."""

    UNREACHABLE = "the controller did not answer: perhaps done, perhaps not"
    TOO_MANY = "a limit on the number of jobs"
    TOO_LARGE_ARRAY = "arrays are limited in size"
    NO_ACCOUNTING = "this cluster keeps no accounts"
    NO_NODE = "no node that is up and not excluded could ever run the job"
    REFUSED = "refused"


class SlurmError(XpmAlchemError):
    """A SLURM command failed.

    Attributes
    ----------
    trouble
        What kind of failure it is.
    out
        What it printed on stdout all the same.
    """

    def __init__(self, trouble: Trouble, message: str, out: str = "") -> None:
        self.trouble, self.out = trouble, out
        super().__init__(message)


@attrs.frozen
class JobState:
    """What SLURM says of one job, or one element of a job array.

    Attributes
    ----------
    job
        The id under which squeue and scancel know it, '12_3' for an element of an array.
    name
        The job's name.
    state
        SLURM's long name of its state.
    node
        Where it ran, '' before.
    reason
        Why it pends.
    exit_code
        'status:signal', where known.
    by
        The id of the user who ended it with scancel, where known.
    """

    job: str
    name: str
    state: str
    node: str = ""
    reason: str = ""
    exit_code: str = ""
    by: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs, will run, or may run again."""
        return self.state not in _ENDED

    @property
    def outcome(self) -> Outcome:
        """How an attempt ended whose job ended so, if it could not say so itself."""
        return _ENDED[self.state]

    @property
    def is_certain(self) -> bool:
        """Whether its processes are known to be gone: on a node that failed they may live on."""
        return self.outcome is not Outcome.NODE_FAILURE


def parse_time_left(text: str) -> float | None:
    """Return seconds from what squeue's %L prints, infinity for no limit, None where it says nothing.

    'INVALID' is printed while a job overruns its limit: nothing is left.
    """
    text = text.strip()
    if text == "UNLIMITED":
        return float("inf")
    if text == "INVALID":
        return 0.0
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


class Slurm:
    """The cluster that the commands on PATH belong to.

    Parameters
    ----------
    timeout
        Seconds after which a command is given up.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self._timeout = timeout

    @staticmethod
    def is_installed() -> bool:
        """Whether sbatch, squeue and scancel are on PATH."""
        return all(shutil.which(name) for name in ("sbatch", "squeue", "scancel"))

    def version(self) -> str:
        """Return SLURM's name and version.

        Raises
        ------
        SlurmError
            sbatch cannot be run.
        """
        return self._call("sbatch", "--version").strip()

    def submit(self, script: Path, *options: str) -> str:
        """Submit a batch script and return the job's id.

        Raises
        ------
        SlurmError
            It was refused, or (`Trouble.UNREACHABLE`) nobody knows: a job may have been made.
        """
        try:
            out = self._call("sbatch", "--parsable", *options, str(script))
        except SlurmError as error:
            if (job := _job_id(error.out)) is not None:
                return job  # it failed after it had done its work
            if error.trouble is Trouble.REFUSED and not _NOT_SUBMITTED.search(str(error)):
                raise SlurmError(Trouble.UNREACHABLE, str(error)) from None
            raise
        if (job := _job_id(out)) is not None:
            return job
        raise SlurmError(Trouble.UNREACHABLE, f"sbatch answered {out.strip()[:200]!r} instead of a job id")

    def check(self, script: Path) -> None:
        """Ask whether a batch script would be accepted; nothing is submitted.

        Raises
        ------
        SlurmError
            It would not, or SLURM cannot be asked.
        """
        self._call("sbatch", "--test-only", str(script))

    def queue(self) -> list[JobState]:
        """Return this user's jobs that the controller remembers: waiting, running, and ended not long ago.

        Also those in partitions that are hidden from this user. That a job is not among them proves nothing.

        Raises
        ------
        SlurmError
            SLURM cannot be asked.
        """
        return self._queue("-u", str(os.getuid()))

    def queue_of(self, job: str) -> list[JobState] | None:
        """Return what the controller says of one job, or of all elements of an array; None if it knows no such job.

        Raises
        ------
        SlurmError
            SLURM cannot be asked.
        """
        try:
            return self._queue("-j", job)
        except SlurmError as error:
            if _UNKNOWN_JOB.search(str(error)):
                return None
            raise

    def _queue(self, *which: str) -> list[JobState]:
        out = self._call("squeue", "--all", "-h", "-r", "-t", "all", *which, "-o", "%i|%j|%T|%N|%r")
        jobs = []
        for line in out.splitlines():
            parts = line.strip().split("|")
            if len(parts) >= 5:
                jobs.append(JobState(parts[0], parts[1], parts[2], parts[3], "|".join(parts[4:])))
        return jobs

    def accounts(self, jobs: Iterable[str], names: Iterable[str], since: float) -> list[JobState]:
        """Return what accounting says of jobs, by id or by name, that were submitted after `since`.

        Raises
        ------
        SlurmError
            SLURM cannot be asked, or (`Trouble.NO_ACCOUNTING`) it keeps no accounts.
        """
        form = "JobID,JobName%200,State%40,NodeList,ExitCode"
        options = ["-n", "-P", "-X", "-S", f"uts{int(since) - 3600}", "-u", str(os.getuid()), "-o", form]
        wanted_jobs, wanted_names = set(jobs), set(names)
        if not wanted_names:  # sacct joins the two with 'and'
            options += ["-j", ",".join(sorted(wanted_jobs))]
        out = self._call("sacct", *options)
        states = []
        for line in out.splitlines():
            parts = line.strip().split("|")
            if len(parts) >= 5 and (parts[0] in wanted_jobs or parts[1] in wanted_names):
                state, *by = parts[2].split() or [""]  # 'CANCELLED by 1000'
                user = int(by[1]) if len(by) == 2 and by[1].isdecimal() else None
                states.append(JobState(parts[0], parts[1], state, parts[3], exit_code=parts[4], by=user))
        return states

    def cancel(self, jobs: Iterable[str]) -> None:
        """End jobs; those that have ended already are no error.

        Raises
        ------
        SlurmError
            SLURM cannot be asked.
        """
        try:
            self._call("scancel", *jobs)
        except SlurmError as error:
            if error.trouble is Trouble.UNREACHABLE:
                raise  # of all other failures nobody knows whether they concern all of the jobs: the queue tells

    def has_nodes_up(self, partition: str | None) -> bool:
        """Return whether a node of a partition (None: of any) can run jobs at this moment, as far as SLURM can say."""
        options = [] if partition is None else ["-p", partition]
        try:
            states = self._call("sinfo", "--all", "-h", "-o", "%T", *options).split()
        except SlurmError:
            return False
        return any(re.fullmatch(r"(idle|mixed|allocated|completing)[^a-z*]*", state) for state in states)

    def time_left(self, job: str) -> float | None:
        """Return the seconds until a running job's limit, infinity for no limit, None if SLURM cannot say.

        An answer from a cache gives more seconds than are left, but the same end: what is less counts.
        """
        arguments = ("--all", "-h", "-j", job, "-o", "%L|%e")
        try:
            left, _, end = self._call("squeue", *arguments, SLURM_TIME_FORMAT="%s").strip().partition("|")
        except SlurmError:
            return None
        seconds = parse_time_left(left)
        if seconds is not None and end.isdecimal():
            return min(seconds, max(0.0, int(end) - time.time()))
        return seconds

    def _call(self, program: str, *arguments: str, **variables: str) -> str:
        try:
            done = subprocess.run(
                [program, *arguments],
                env={**_clean(os.environ), **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout,
                start_new_session=True,  # Ctrl-C on the driver must not end an sbatch half way
            )
        except FileNotFoundError:
            trouble = Trouble.NO_ACCOUNTING if program == "sacct" else Trouble.REFUSED
            raise SlurmError(trouble, f"{program} is not on PATH: is this a machine of a SLURM cluster?") from None
        except subprocess.TimeoutExpired as late:
            out = (late.stdout or b"").decode(errors="replace") if not isinstance(late.stdout, str) else late.stdout
            message = f"{program} did not answer within {self._timeout:g} s"
            raise SlurmError(Trouble.UNREACHABLE, message, out) from None
        except OSError as error:
            raise SlurmError(Trouble.UNREACHABLE, f"{program} could not be run: {error.strerror}") from None
        if done.returncode == 0:
            return done.stdout
        said = " ".join((done.stderr or done.stdout).split())[-500:] or f"exit code {done.returncode}"
        raise SlurmError(_trouble(said, done.returncode), f"{program}: {said}", done.stdout)


def _job_id(out: str) -> str | None:
    """Return the id in what ``sbatch --parsable`` prints, which a site's own words may stand around."""
    found = (re.fullmatch(r"(\d+)(?:;.*)?", line.strip()) for line in out.splitlines())
    return next((match[1] for match in found if match), None)


def _trouble(said: str, code: int) -> Trouble:
    if "accounting storage is disabled" in said.lower():
        return Trouble.NO_ACCOUNTING
    words = re.sub(r"/\S+", "", said)  # without paths
    if code < 0 or _UNREACHABLE.search(words):
        return Trouble.UNREACHABLE
    if _TOO_LARGE_ARRAY.search(words):
        return Trouble.TOO_LARGE_ARRAY
    if _NO_NODE.search(words):
        return Trouble.NO_NODE
    return Trouble.TOO_MANY if _TOO_MANY.search(words) and not _TOO_BIG.search(words) else Trouble.REFUSED


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what SLURM gave a driver that itself runs in a job (scrontab, salloc): sbatch would inherit it."""
    kept = {
        key: value
        for key, value in environment.items()
        if key in _KEPT_VARIABLES or not key.startswith(("SLURM_", "SBATCH_", "SQUEUE_", "SACCT_", "SRUN_"))
    }
    return {**kept, "LC_ALL": "C"}
