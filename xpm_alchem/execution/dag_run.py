"""Run one ProtocolDAG in one directory, unit by unit, so that any kill costs at most the unit at work.

Knows neither experimaestro nor SLURM: it is given a directory, ways to get at the transformation, and a deadline.
"""

from __future__ import annotations

import errno
import os
import time
import traceback as traceback_module
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import filelock

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import FormatError, NodeFaultError, SupersededError, TaskBusyError
from xpm_alchem.base.files import (
    exists,
    make_directories,
    make_empty_directory,
    names_in,
    remove_directory,
    set_aside,
)
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import ALL_UNITS, Attempt, Launched, Outcome, within
from xpm_alchem.execution.dag_files import DagFiles
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import Fence, inherit
from xpm_alchem.execution.interrupts import Interrupts, Stopped
from xpm_alchem.execution.life_signs import FileClock
from xpm_alchem.execution.measures import Durations, Usage, versions
from xpm_alchem.execution.node_look import DEFAULT_PLATFORM, look
from xpm_alchem.execution.progress import UnitAtWork, close_lost
from xpm_alchem.execution.repeat_estimate import estimate_of
from xpm_alchem.execution.spare_directories import SpareDirectories
from xpm_alchem.execution.summary_file import SummaryFile

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_BUSY_SECONDS = 10.0  # the attempt before may still be on its way out
_AFTER_CHECKPOINT = "just after a checkpoint: the next one would come after the time limit"
_ALIVE_SECONDS = 4.0  # how often an attempt says that it is alive


@attrs.frozen
class TaskSpec:
    """What is to be run.

    Attributes
    ----------
    transformation_id, repeat
        For the summary.
    load_transformation
        Returns the gufe Transformation; called only when it is needed.
    extends
        Directory of the complete task that this one continues.
    trusted
        Packages that the user trusts to be imported.
    """

    transformation_id: str
    repeat: int
    load_transformation: Callable[[], Any]
    extends: Path | None = None
    trusted: tuple[str, ...] = ()


@attrs.frozen
class UnitEvent:
    """A unit ended: its name, whether it succeeded, and how many of the DAG's units are done."""

    name: str
    ok: bool
    units_done: int
    units_total: int


class UnitsFailed(Exception):
    """At least one unit failed; the message is the last line of the last one's traceback."""

    def __init__(self, message: str, traceback: str) -> None:
        self.traceback = traceback
        super().__init__(message)


def run(
    directory: Path,
    spec: TaskSpec,
    *,
    deadline: Deadline | None = None,
    on_unit: Callable[[UnitEvent], None] = lambda event: None,
    launched: Launched | None = None,
) -> TaskSummary:
    """Work on a task until it is complete or cannot go on in this attempt.

    What earlier attempts finished is not run again. `attempts.jsonl` and `summary.json` say what happened.

    Parameters
    ----------
    directory
        The task's directory; made if needed.
    spec
        What to run.
    deadline
        The time limit of this attempt.
    on_unit
        Called after every unit.
    launched
        How this attempt was started.

    Returns
    -------
    TaskSummary
        Of a complete task.

    Raises
    ------
    Stopped
        The time limit is near or the process was told to end; another attempt goes on from here.
    UnitsFailed
        Units failed; independent ones ran nevertheless.
    NodeFaultError
        What the profile promises does not work on this machine; no unit was run.
    TaskBusyError
        Another attempt is at work in the directory.
    SupersededError
        The task was given to another attempt, or this job's attempt failed already.
    Exception
        Whatever the protocol raised while it made the DAG.
    """
    return _Execution(TaskDirectory(directory), spec, deadline, on_unit, launched or Launched()).run()


class _Execution:
    """One attempt."""

    def __init__(
        self,
        files: TaskDirectory,
        spec: TaskSpec,
        deadline: Deadline | None,
        on_unit: Callable[[UnitEvent], None],
        launched: Launched,
    ) -> None:
        self.files, self.spec, self.deadline = files, spec, deadline
        self.on_unit, self.launched = on_unit, launched
        self.log = AttemptLog(files.attempts)
        self.interrupts = Interrupts(deadline, self._orders, self._note_request)
        self.results: dict[str, Any] = {}
        self.failures: list[Any] = []
        self.done_here = 0
        self.kept_seconds = self.said_alive = 0.0
        self.at_work: UnitAtWork | None = None
        self.disk_clock = FileClock(files.alive)

    def run(self) -> TaskSummary:
        self.files.make()
        Fence(self.files.path, self.launched.launch)
        lock = filelock.FileLock(self.files.lock)
        try:
            held = lock.acquire(timeout=_BUSY_SECONDS)
        except filelock.Timeout:
            raise TaskBusyError(f"{self.files.path}: another attempt is at work here; let it end first.") from None
        with held:
            self.fence = Fence(self.files.path, self.launched.launch)  # again: it may have been raised meanwhile
            self.files = attrs.evolve(self.files, generation=self.fence.generation)
            self.dag_files = DagFiles(self.files, self.spec.trusted, self._guard, self._note_damage)
            earlier = self._close_lost()
            if (finished := self._finished()) is not None:
                return finished
            self._refuse_second_start(earlier)
            afresh = self._begin_afresh(earlier)
            self.earlier = earlier
            self.attempt = self.log.start(
                limit=None if self.deadline is None else self.deadline.remaining(),
                launched=self.launched,
                versions=versions(),
                priced=self.fence.priced,
                disk_ahead=self.disk_clock.now() - time.time(),
            )
            self.began = time.monotonic() - (time.time() - self.attempt.start)
            if afresh:
                self.log.unit(self.attempt, name=ALL_UNITS, fresh=True, reason=afresh)
            self.usage = Usage()
            self.summary = TaskSummary(
                transformation=self.spec.transformation_id,
                repeat=self.spec.repeat,
                status="running",
                attempts=self.attempt.number,
                seconds=sum(attempt.seconds for attempt in earlier),
                cpu_seconds=sum(attempt.cpu_seconds for attempt in earlier),
                peak_memory_bytes=max((attempt.peak_memory_bytes for attempt in earlier), default=0),
                set_aside=sum(bool(unit.get("set_aside")) for attempt in earlier for unit in attempt.units),
                devices=", ".join(map(str, self.attempt.devices)),
                versions=dict(self.attempt.versions),
            )
            self.summary_file = SummaryFile(self.files.summary, self._guard)
            self.durations = Durations(earlier)
            with self.interrupts.watch(), SpareDirectories() as self.spare:
                return self._attempt()

    def _attempt(self) -> TaskSummary:
        try:
            dag = self.dag_files.dag(self._create_dag)
            self._units(dag)
            if self.failures:
                texts = [str(failure.traceback).strip() for failure in self.failures]
                raise UnitsFailed(texts[-1].splitlines()[-1], "\n\n".join(texts))
            result = gufe_seam.make_dag_result(dag, self.results.values())
            result = self.dag_files.save_result(result, dag)
            found, simulations, message = estimate_of(result, self.spec.load_transformation)
        except Stopped as stop:
            if stop.superseded:
                raise
            self._end(_outcome_of(stop), "stopped", stop.reason)
            raise
        except NodeFaultError as error:
            self._end(Outcome.NODE_FAILURE, "error", str(error))
            raise
        except UnitsFailed as error:
            self._end(Outcome.ERROR, "error", str(error), error.traceback)
            raise
        except Exception as error:
            last = traceback_module.format_exception_only(error)[-1].strip()
            self._end(Outcome.ERROR, "error", last, traceback_module.format_exc())
            raise
        self.summary = self.summary.evolve(**found._asdict(), simulations=simulations)
        self._end(Outcome.COMPLETE, "complete", message)
        self.files.tidy()
        return self.summary

    # ---------------------------------------------------------------------------------------------- the fence
    def _orders(self) -> Stopped | None:
        orders = self.fence.orders()
        if orders is None:
            return _superseded()
        if (now := time.monotonic()) - self.said_alive > _ALIVE_SECONDS:
            self.said_alive = now
            with suppress(OSError):  # a full disk: only the time of the last sign of life is lost
                self.files.alive.touch()
        with suppress(OSError):  # of the same: the next look tries again
            self.summary_file.catch_up()
        if orders.stop is not None:
            return Stopped(False, orders.stop)
        left = None if self.deadline is None else self.deadline.left()
        if left is None or self.at_work is None:
            return None
        if self.at_work.is_best_moment(left):
            return Stopped(True, _AFTER_CHECKPOINT)
        if warning := self.at_work.warning(time.monotonic() - self.began, left):
            self._note_unit({"warning": warning})
        return None

    def _note_request(self, request: Stopped) -> None:
        if not request.superseded and self.fence.orders() is not None:
            self.log.told(self.attempt, _outcome_of(request), request.reason)

    def _note_unit(self, facts: Mapping[str, Any]) -> None:
        """Note what was found of the unit at work, if anything was."""
        if facts and self.at_work is not None:
            self._guard()
            self.log.unit(self.attempt, name=self.at_work.name, **facts)

    def _guard(self) -> None:
        """Raise `Stopped` if the task was given to another attempt: nothing may be written then."""
        if self.fence.orders() is None:
            raise _superseded()

    # ------------------------------------------------------------------------------------------ what is there
    def _close_lost(self) -> list[Attempt]:
        """Give attempts that were killed without a word their outcome; the lock says that none is alive."""
        for attempt in self.log.read():
            if attempt.outcome is None:
                close_lost(self.files, attempt, "ended without a word")
        return self.log.read()

    def _refuse_second_start(self, earlier: list[Attempt]) -> None:
        """Refuse if this very launch has failed already: a controller that crashed starts jobs again it forgot."""
        last = earlier[-1] if earlier else None
        if last is None or self.launched.job is None or last.launched_as != self.launched.job:
            return
        if last.outcome is Outcome.ERROR and last.decision is None:
            raise SupersededError(
                f"{self.files.path}: attempt {last.number}, of the same job {last.launched_as}, failed; "
                "whether another one follows is not for this process to say."
            )

    def _begin_afresh(self, earlier: list[Attempt]) -> str:
        """Set aside all that was computed, if that was ordered for this attempt; return what was done, in words."""
        after = self.fence.afresh_after
        if not after or any(attempt.number > after and attempt.began for attempt in earlier):
            return ""
        kept = [path for path in (self.files.dag, self.files.results, self.files.path / "shared") if exists(path)]
        names = [set_aside(path).name for path in kept]
        self.files.make()
        return f"from scratch; kept: {', '.join(names)}" if names else "from scratch"

    def _finished(self) -> TaskSummary | None:
        try:
            summary = TaskSummary.of(self.files)
        except FileNotFoundError:
            return None
        except FormatError as error:
            if error.newer:
                raise
            return None  # damaged: everything in it can be made again
        return summary if summary.status == "complete" and exists(self.files.result) else None

    def _create_dag(self) -> Any:
        spec = self.spec
        extends = None if spec.extends is None else self.dag_files.other_result(spec.extends)
        name = f"{spec.transformation_id} repeat {spec.repeat}"
        return gufe_seam.create_dag(spec.load_transformation(), repeat=spec.repeat, extends=extends, name=name)

    def _note_damage(self, what: str, aside: str, reason: str) -> None:
        self.log.unit(self.attempt, name=what, damaged=aside, reason=reason)

    # ---------------------------------------------------------------------------------------------- the units
    def _units(self, dag: Any) -> None:
        units = dag.protocol_units
        self.results = self.dag_files.unit_results(units)
        self._show(units_total=len(units))
        failed: set[str] = set()
        is_looked_at = False
        for unit in units:
            key = str(unit.key)
            if key in self.results:
                continue
            if any(str(parent.key) in failed for parent in unit.dependencies):
                failed.add(key)
                continue
            self.interrupts.check()
            self._check_fits(unit)
            if not is_looked_at:
                self._look_at_node()
                is_looked_at = True
            if not self._unit(unit):
                failed.add(key)

    def _look_at_node(self) -> None:
        """Fail at once where the platform of this attempt does not work; where it does, nobody gets another one."""
        found = look(self.launched.given, self.attempt.machine, self.interrupts.check_known)
        if found is None:
            return
        if found.trouble:
            raise NodeFaultError(found.trouble)
        os.environ.setdefault(DEFAULT_PLATFORM, found.platform)

    def _check_fits(self, unit: Any) -> None:
        left = None if self.deadline is None else self.deadline.left()
        expected = self.durations.of(type(unit).__name__)
        if left is not None and expected is not None and self.done_here and expected > left:
            raise Stopped(True, f"{unit.name} takes about {expected:.0f} s and {max(left, 0):.0f} s are left")

    def _unit(self, unit: Any) -> bool:
        key = str(unit.key)
        self._show(unit=str(unit.name))
        if not inherit(self.files, key):
            reason = "the checkpoints of an attempt that was fenced off are still written to: started fresh"
            self.log.unit(self.attempt, name=unit.name, fresh=True, reason=reason)
        shared = self.files.shared(key)
        inherited = bool(names_in(shared))
        started = time.monotonic()
        result = self._run_unit(unit, shared, inherited=inherited)
        if not result.ok() and inherited and not _disk_full(result):
            self._guard()
            self.dag_files.save_failure(result, key)
            aside = set_aside(shared).name
            self.log.unit(self.attempt, name=unit.name, ok=False, set_aside=aside, reason=str(result.traceback)[-2000:])
            self.summary = self.summary.evolve(set_aside=self.summary.set_aside + 1)
            started, inherited = time.monotonic(), False
            result = self._run_unit(unit, shared, inherited=False, anew=True)
        ok = bool(result.ok())
        self._note_unit({} if self.at_work is None else self.at_work.began_again())
        if ok:
            self.at_work = None
            self.results[key] = self.dag_files.save_unit_result(result, unit)
            self.done_here += 1
            self.kept_seconds = time.monotonic() - self.began
        else:
            self._guard()
            self.dag_files.save_failure(result, key)
            self.failures.append(result)
        seconds = time.monotonic() - started
        kind = type(unit).__name__
        self.log.unit(self.attempt, name=unit.name, kind=kind, ok=ok, seconds=seconds, resumed=inherited)
        self.durations.add(kind, seconds, resumed=inherited, ok=ok)
        self.on_unit(UnitEvent(str(unit.name), ok, len(self.results), self.summary.units_total))
        return ok

    def _run_unit(self, unit: Any, shared: Path, *, inherited: bool, anew: bool = False) -> Any:
        key = str(unit.key)
        scratch = self.files.scratch(key)
        logs = {stream: self.files.log(stream, key) for stream in gufe_seam.STREAMS}
        make_directories(shared)
        make_empty_directory(scratch)
        for path in logs.values():
            self.spare.make(path)
        context = gufe_seam.make_context(shared, scratch, **logs)
        inputs = gufe_seam.resolve_inputs(unit, self.results)
        self.at_work = UnitAtWork(shared, unit, self.earlier, inherited=inherited, anew=anew)
        self._note_unit(self.at_work.begins())
        try:
            with self.at_work.inherited, self.interrupts.unit():
                result = gufe_seam.execute_unit(unit, context, inputs)
            if not result.ok() and self.interrupts.request is not None:
                raise self.interrupts.request  # the unit made a failure of our interrupt
        finally:
            remove_directory(scratch)
            for path in logs.values():
                self.spare.take_back(path)
        return result

    # ------------------------------------------------------------------------------------------------ the end
    def _show(self, **changes: Any) -> None:
        self.summary = self.summary.evolve(units_done=len(self.results), **changes)
        self.summary_file.show(self.summary)

    def _end(self, outcome: Outcome, status: str, reason: str, traceback: str | None = None) -> None:
        self._guard()
        cpu_seconds, peak = self.usage.measure()
        seconds, disk_now = time.monotonic() - self.began, self.disk_clock.now()
        moved, checkpoint = False, 0.0
        found: dict[str, Any] = {}
        if self.at_work is not None:
            self._note_unit(self.at_work.began_again())
            moved, checkpoint, found = self.at_work.progress()
        if checkpoint:
            self.kept_seconds = max(self.kept_seconds, within(seconds - max(disk_now - checkpoint, 0.0), seconds))
        requested_at = self.interrupts.requested_at
        if outcome is Outcome.TIMEOUT and self.at_work is not None and not (moved or self.done_here):
            reason = f"{reason}; {self.at_work.advice(seconds)}"
        self.log.end(
            self.attempt,
            outcome,
            reason=reason,
            traceback=traceback,
            progress=self.done_here > 0 or moved,
            seconds=seconds,
            kept_seconds=self.kept_seconds,
            **found,
            cpu_seconds=cpu_seconds,
            peak_memory_bytes=peak,
            stop_seconds=time.monotonic() - requested_at if requested_at else 0.0,
        )
        self.summary = self.summary.evolve(
            units_done=len(self.results),
            updated=time.time(),
            status=status,
            unit=None,
            message=reason or None,
            seconds=self.summary.seconds + seconds,
            cpu_seconds=self.summary.cpu_seconds + cpu_seconds,
            peak_memory_bytes=max(self.summary.peak_memory_bytes, peak),
        )
        self.summary_file.close(self.summary)


def _superseded() -> Stopped:
    return Stopped(False, "superseded: the task was given to another attempt", superseded=True)


def _outcome_of(stop: Stopped) -> Outcome:
    return Outcome.TIMEOUT if stop.timeout else Outcome.CANCELLED


def _disk_full(failure: Any) -> bool:
    arguments = failure.exception[1]
    return bool(arguments) and arguments[0] in _DISK_FULL
