"""The driver's session with experimaestro: submit a task, hear that something happened, leave its jobs running.

experimaestro gives identity, directories, locks and the adoption of running processes. When a campaign ends, whether
a task is run again, and what its results are, is decided from the disk by the driver: events only say "look".
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from experimaestro import GracefulExperimentExit, experiment
from experimaestro.connectors import Process
from experimaestro.experiments.configuration import DirtyGitAction
from experimaestro.settings import WorkspaceSettings

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import exists, not_through_links, read_bytes, remove, write_json
from xpm_alchem.base.passing import patiently
from xpm_alchem.driver.log import note
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.task_logs import keep_printed
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.launchers.connector import remove_kept
from xpm_alchem.tasks import RunTransformation

_XPM = logging.getLogger("xpm")


class Session:
    """One run of a campaign as an experimaestro experiment.

    Parameters
    ----------
    workspace
        Settings of the workspace, so that its max_retries, env and lock mode apply.
    name
        The campaign's, which becomes the experiment's.
    notify
        Called from any thread when a job has ended.
    running
        An experiment that is open already (``experimaestro run-experiment``), used instead of one of our own.
    init_tasks
        experimaestro LightweightTasks that run in an attempt's process before it begins.
    """

    def __init__(
        self,
        workspace: WorkspaceSettings,
        name: str,
        notify: Callable[[], None],
        *,
        running: experiment | None = None,
        init_tasks: Iterable[Any] = (),
    ) -> None:
        self._notify, self._init_tasks = notify, list(init_tasks)
        self._own = running is None
        self._experiment = running or experiment(
            workspace,
            name,
            register_signals=False,
            no_environmental_impact=True,
            dirty_git=DirtyGitAction.IGNORE,
            project_paths=[],
        )
        self._stack = ExitStack()
        self._causes = _Causes()

    def __enter__(self) -> Session:
        Process.handler("local")  # fills a table now that two threads would fill, and one of them read half full
        if self._own:
            try:
                self._stack.enter_context(self._experiment)
            except BaseException:
                self._leave()
                raise
            self._ask_for_no_events()
        _XPM.addHandler(self._causes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Always detach: what still runs goes on, and experimaestro's own wait() is not trusted with the end.
        _XPM.removeHandler(self._causes)
        if self._own:
            detach = GracefulExperimentExit()
            try:
                self._stack.__exit__(GracefulExperimentExit, detach, None)
            except OSError as failed:  # what it notes of a run's end: nothing depends on it
                note(f"experimaestro could not note the end of its run ({failed})")
                self._leave()

    @property
    def running(self) -> experiment:
        """The experiment that is open: experimaestro has one at a time, and several campaigns may share it."""
        return self._experiment

    def _ask_for_no_events(self) -> None:
        """Let experimaestro not look for events of its jobs: it asks for a directory and a file of each for ever.

        They are for monitors in its own process; those of other processes read the files themselves.
        """
        if (stop := getattr(self._experiment.scheduler, "_stop_job_event_reader", None)) is not None:
            stop(self._experiment.workspace.path)

    def _leave(self) -> None:
        """Undo what experimaestro's `__enter__` has done before it failed: above all its lock."""
        with suppress(Exception):
            self._experiment.__exit__(GracefulExperimentExit, GracefulExperimentExit(), None)
        with suppress(Exception):
            if self._experiment.xplock is not None:
                patiently(self._experiment.xplock.release)
        with suppress(Exception):
            self._experiment.scheduler.unregister_experiment(self._experiment)
        if experiment.CURRENT is self._experiment:
            experiment.CURRENT = self._experiment.old_experiment

    def has(self, task: Any) -> bool:
        """Return whether this process has an attempt of a task that has not ended: that of another campaign, say."""
        job = self._experiment.scheduler.jobs.get(task.__xpm__.identifier.all.hex())
        end = getattr(job, "_future", None)  # none yet where its submission failed: nothing was started
        return end is not None and not end.done()

    def submit(self, task: Any, launcher: AttemptLauncher) -> Job:
        """Start an attempt of a task, or take up the one that is running.

        Parameters
        ----------
        task
            Configuration made by `tasks.make_task`; call `clear_markers` before.
        launcher
            Starts it.
        """
        task.before = self._init_tasks
        scheduler = self._experiment.scheduler
        scheduler.jobs.pop(task.__xpm__.identifier.all.hex(), None)  # a new attempt is a new job for experimaestro
        # 0: GracefulTimeouts are not restarted behind the driver's back
        try:
            task.submit(launcher=launcher, max_retries=0)
        except OSError as error:
            job = scheduler.jobs.get(task.__xpm__.identifier.all.hex())
            if job is None or getattr(job, "_future", None) is None:
                raise
            note(f"experimaestro could not note all of a submission, which goes on ({error})")
        job = scheduler.jobs[task.__xpm__.identifier.all.hex()]
        job.finalState().add_done_callback(lambda _: self._notify())
        return Job(job, self._causes)


class _Causes(logging.Handler):
    """Hears in experimaestro's log why it gave up starting a job; it keeps no exception."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._found: dict[int, BaseException] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record whose first argument is a job."""
        if record.exc_info and record.exc_info[1] is not None and isinstance(record.args, tuple) and record.args:
            self._found[id(record.args[0])] = record.exc_info[1]

    def of(self, job: Any) -> str:
        """Return in words why a job was given up, '' if that is not known."""
        error = self._found.get(id(job))
        if isinstance(error, OSError) and error.strerror:
            return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return "" if error is None else f"{type(error).__name__}: {error}"


class Job:
    """An attempt as experimaestro sees it.

    The task's dynamic outputs are not watched: experimaestro 2.7 dead-locks when a job is submitted while an output of
    another arrives (its event loop waits for watchdog's lock, whose holder waits for the loop), and on NFS and Lustre
    its watch sees nothing. What they would tell is in the attempt's own journal: see rounds.py.
    """

    def __init__(self, job: Any, causes: _Causes) -> None:
        self._job, self._causes = job, causes
        self._end = job.finalState()

    @property
    def ended(self) -> bool:
        """Whether experimaestro is through with it."""
        return bool(self._end.done())

    @property
    def launched(self) -> bool:
        """Whether its process has been started (or it has ended)."""
        return self.ended or exists(self._job.pidpath)

    @property
    def runs_unnoted(self) -> bool:
        """Whether a process was started that experimaestro gave up all the same: it could not write down which."""
        is_alive = getattr(self._job._process, "is_alive", None)
        return is_alive is not None and bool(is_alive())

    def note_process(self) -> None:
        """Write down the process, as experimaestro would have done."""
        write_json(self._job.pidpath, self._job._process.tospec())

    @property
    def cause(self) -> str:
        """Why experimaestro gave it up, in words; '' if that is not known."""
        return self._causes.of(self._job)


def clear_markers(directory: Path, attempt: int) -> None:
    """Make experimaestro forget how an earlier attempt ended; the history is in attempts.jsonl, its output kept.

    What it writes again is removed too: it cannot change the rights of a script that belongs to another user.

    Parameters
    ----------
    attempt
        The number of the last attempt, 0 if there was none.
    """
    for suffix in (".done", ".failed", ".py"):
        remove(_file(directory, suffix))
    remove(directory / "params.json")
    remove(pid_file(directory))
    remove_kept(_file(directory, ".lock"))
    remove(directory / ".experimaestro" / "status.json")
    keep_printed(TaskDirectory(directory), attempt)


def pid_file(directory: Path) -> Path:
    """Return the file in which experimaestro keeps the process of a task."""
    return _file(directory, ".pid")


def failure_reason(directory: Path) -> str | None:
    """Return experimaestro's word for how the last attempt failed, None if it noted no failure."""
    try:
        return str(json.loads(read_bytes(_file(directory, ".failed"))).get("reason", "failed"))
    except FileNotFoundError:
        return None
    except (OSError, FormatError, ValueError, AttributeError, RecursionError):
        return "failed"


def stderr_of(directory: Path) -> Path:
    """Return what a task's last attempt wrote to stderr."""
    return TaskDirectory(directory).printed("stderr")


def _file(directory: Path, suffix: str) -> Path:
    return directory / f"{RunTransformation.__xpmid__.rsplit('.', 1)[-1]}{suffix}"


class _LogFile(logging.FileHandler):
    """A log that is written to no other place than its own."""

    def _open(self) -> io.TextIOWrapper:
        file = io.BufferedWriter(io.FileIO(self.baseFilename, self.mode, opener=not_through_links))
        return io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace")


def quiet_experimaestro(log: Path) -> None:
    """Send experimaestro's log to a file of the campaign instead of the terminal."""
    logger = logging.getLogger("xpm")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handler = _LogFile(log)
    logging.raiseExceptions = False  # a log that cannot be written (a full disk) prints no tracebacks
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logging.getLogger("xpm.experiment").setLevel(logging.ERROR)  # it warns of every change of a queue's length
    logger.propagate = False
