"""One look at one task's directory: what is wrong there, compared with what the journal says of the task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.doctor import mending
from xpm_alchem.doctor.check import Repair
from xpm_alchem.doctor.gufe_files import Unusable, check_result, check_unit_result, units_of
from xpm_alchem.doctor.journals import JournalLines
from xpm_alchem.doctor.litter import entries_of, size_of, stale_temporaries
from xpm_alchem.doctor.problems import Kind, Problem
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import ALL_UNITS, Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import Orders

_NEWER = "newer"
_FAR_FUTURE = 1e12  # seconds; a file that is damaged may say anything
_FAILED_OFTEN = 2
_WITHOUT_PROGRESS = (Outcome.LOST, Outcome.ERROR, Outcome.OUT_OF_MEMORY, Outcome.TIMEOUT)


@attrs.frozen
class ClockSample:
    """By how many seconds the file server was ahead when an attempt on a host wrote a summary."""

    host: str
    seconds: float


@attrs.frozen
class _Found:
    """The results on disk: whether the summary says 'complete', and what is wrong, None where nothing is."""

    is_finished: bool
    summary: str
    result: str | None
    units: tuple[str, ...] | None
    unit_problems: dict[str, str]


class TaskLook:
    """What is wrong with one task.

    Parameters
    ----------
    task
        As the journal tells it.
    directory, name
        Its directory, and 'TRANSFORMATION:REPEAT'.
    is_driven
        Whether a driver runs: it takes in results and notes lost attempts by itself.
    trusted
        Modules that the campaign's plan trusts, for making a lost result again.

    Attributes
    ----------
    problems
        All that was found.
    clock
        None where no summary tells.
    """

    def __init__(
        self, task: TaskState, directory: Path, name: str, *, is_driven: bool, trusted: tuple[str, ...]
    ) -> None:
        self.task, self.name, self.is_driven, self._trusted = task, name, is_driven, trusted
        self.files = TaskDirectory(directory)
        self.problems: list[Problem] = []
        self.clock: ClockSample | None = None
        self._attempts: list[Attempt] = []
        self._is_complete = task.status is TaskStatus.COMPLETE
        if not directory.is_dir():
            self._no_directory()
            return
        self._look_at_attempts()
        if task.imported:
            self._look_at_import()
            return
        self._look_at_results()
        self._look_at_checkpoints()
        self._look_for_litter()

    def _add(
        self,
        kind: Kind,
        what: str = "",
        path: Path | None = None,
        size: int | None = None,
        repair: Repair | None = None,
    ) -> None:
        where = self.name if path is None else f"{self.name}: {path}"
        self.problems.append(Problem(kind, where, what, size, repair))

    @property
    def _is_at_work(self) -> bool:
        """Whether an attempt may be at work, as far as the disk tells: it did not say how it ended."""
        return bool(self._attempts) and self._attempts[-1].outcome is None

    def _no_directory(self) -> None:
        if self._is_complete:
            self._add(Kind.GONE, path=self.files.path)
        elif self.task.submitted and not (self.is_driven and self.task.status is TaskStatus.RUNNING):
            self._add(Kind.NEVER_MADE, path=self.files.path)

    # --------------------------------------------------------------------------------------------------- attempts
    def _look_at_attempts(self) -> None:
        path = self.files.attempts
        try:
            self._attempts = AttemptLog(path).read()
            lines = JournalLines.read(path)
        except FileNotFoundError:
            if self._is_complete:
                self._add(Kind.HISTORY, "missing", path)
            return
        except FormatError as error:
            self._add(Kind.NEWER if error.newer else Kind.BLOCKED, _reason(error), path)
            return
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            self._add(Kind.BLOCKED, f"damaged ({type(error).__name__}: {error})", path)
            return
        if lines.damaged or not lines.records:
            numbers = ", ".join(map(str, lines.damaged))
            self._add(Kind.HISTORY, f"damaged (line {numbers})" if numbers else "empty", path)
        if self._is_at_work:
            process = self._attempts[-1].process
            if not self.is_driven and process.is_here and not process.is_alive():
                self._add(Kind.LOST, f"attempt {self._attempts[-1].number}, pid {process.pid}")
        elif lines.is_torn:
            self._add(Kind.TORN, path=path, repair=partial(mending.close_last_line, path))

    # ---------------------------------------------------------------------------------------------------- results
    def _look_at_results(self) -> None:
        summary, said = self._summary()
        self._orders()
        units = self._units()
        found = _Found(
            is_finished=summary is not None and summary.status == "complete",
            summary=said,
            result=self._problem_of(check_result, self.files.result),
            units=units,
            unit_problems={unit: p for unit in units or () if (p := self._unit_problem(unit)) is not None},
        )
        if self._is_complete or (found.is_finished and found.result is not None):
            self._complete(found)
        else:
            self._unfinished(found)

    def _look_at_import(self) -> None:
        """Judge a task whose result is that of an earlier run: its file, and what was read of it."""
        if self.task.lacks_dag_result:
            copy, lost = self.files.quickrun, not self.files.quickrun.is_file()
            problem = "the file that was imported is missing" if lost else None
        else:
            copy, problem = self.files.result, self._problem_of(check_result, self.files.result)
        if problem is not None:
            self._add(Kind.NO_RESULT, problem, copy)
            return
        summary, said = self._summary()
        if (summary is None or summary.status != "complete") and said != _NEWER:
            self._add(Kind.NO_SUMMARY, said, self.files.summary)

    def _complete(self, found: _Found) -> None:
        """Judge a task that journal or summary have as complete."""
        for unit, what in found.unit_problems.items():
            self._add(Kind.DAMAGED, what, self.files.unit_result(unit))
        if found.result is not None:
            can_remake = bool(found.units) and not found.unit_problems and not self._is_at_work
            repair = partial(mending.remake_result, self.files, self._trusted) if can_remake else None
            self._add(Kind.NO_RESULT, found.result, self.files.result, repair=repair)
        elif not found.is_finished and found.summary != _NEWER:  # a result that is made again brings its summary
            units = None if self._is_at_work else found.units
            remake = None if units is None else partial(mending.remake_summary, self.files, self.task, len(units))
            self._add(Kind.NO_SUMMARY, found.summary, self.files.summary, repair=remake)

    def _unfinished(self, found: _Found) -> None:
        """Judge a task that the journal does not have as complete: damage that the next attempt mends is no fault."""
        if found.is_finished:
            if not (self.is_driven and self.task.at_work):
                self._add(Kind.LATE if self.task.in_flight else Kind.LATE_ASIDE)
        elif not self._is_at_work:
            if found.summary.startswith("damaged"):
                self._add(Kind.MADE_AGAIN, found.summary, self.files.summary)
            if found.result not in (None, "missing"):
                self._add(Kind.MADE_AGAIN, str(found.result), self.files.result)
        if not self._is_at_work:
            for unit, what in found.unit_problems.items():
                if what != "missing":
                    self._add(Kind.MADE_AGAIN, what, self.files.unit_result(unit))

    def _summary(self) -> tuple[TaskSummary | None, str]:
        path = next(filter(Path.exists, self.files.summaries), self.files.summary)
        try:
            summary = TaskSummary.read(path)
        except FileNotFoundError:
            return None, "missing"
        except FormatError as error:
            if error.newer:
                self._add(Kind.NEWER, "", path)
                return None, _NEWER
            return None, _reason(error)
        if self._attempts and isinstance(summary.updated, int | float) and 0 < summary.updated < _FAR_FUTURE:
            host = str(self._attempts[-1].machine)
            self.clock = ClockSample(host, path.stat().st_mtime - summary.updated)
        return summary, f"says '{summary.status}'"

    def _orders(self) -> None:
        try:
            generation = Orders.read(self.files.path).generation
            self.files = attrs.evolve(self.files, generation=generation)
        except FormatError as error:
            kind = Kind.DAMAGED if self._is_complete else Kind.BLOCKED
            self._add(Kind.NEWER if error.newer else kind, "" if error.newer else "damaged", self.files.orders)

    def _units(self) -> tuple[str, ...] | None:
        """Return the units' keys, None if they are not known."""
        path = self.files.dag
        try:
            return units_of(path)
        except Unusable as error:
            if self._is_complete:
                self._add(Kind.DAMAGED, str(error), path)
            elif str(error) != "missing" or any(self.files.results.glob("*.json")):
                self._add(Kind.BLOCKED, str(error), path)
            return None

    def _problem_of(self, check: Callable[[Path], None], path: Path) -> str | None:
        try:
            check(path)
        except Unusable as error:
            return str(error)
        return None

    def _unit_problem(self, unit: str) -> str | None:
        try:
            path = self.files.unit_result(unit)
        except ValueError as error:
            return str(error)
        return self._problem_of(lambda file: check_unit_result(file, unit), path)

    # ------------------------------------------------------------------------------------- checkpoints and litter
    def _look_at_checkpoints(self) -> None:
        for place in (self.files.path, self.files.results, self.files.path / "shared"):
            for entry in entries_of(place):
                if ".set-aside-" in entry.name:
                    self._add(Kind.SET_ASIDE, path=Path(entry.path), size=size_of(Path(entry.path)))
        if self._is_complete:
            return
        attempts = self._since_scratch()
        failed = Counter(
            str(unit.get("name"))
            for attempt in attempts
            for unit in attempt.units
            if unit.get("ok") is False and (unit.get("set_aside") or unit.get("resumed"))
        )
        for unit, times in failed.items():
            if times >= _FAILED_OFTEN:
                self._add(Kind.POISONED, f"unit '{unit}' failed {times} times on a checkpoint it inherited")
        ended = [attempt for attempt in attempts if attempt.outcome is not None and attempt.process.pid]
        last = ended[-_FAILED_OFTEN:]
        if len(last) == _FAILED_OFTEN and all(self._died_fruitless(attempt) for attempt in last):
            for path in self._unfinished_shared():
                what = f"the last {len(last)} attempts made no progress from it ({last[-1].outcome})"
                self._add(Kind.POISONED, what, path, size=size_of(path))

    def _since_scratch(self) -> list[Attempt]:
        """Return the attempts since all that was computed was set aside, by a restart from scratch."""
        began = [
            number
            for number, attempt in enumerate(self._attempts)
            if any(unit.get("fresh") and unit.get("name") == ALL_UNITS for unit in attempt.units)
        ]
        return self._attempts[began[-1] :] if began else self._attempts

    @staticmethod
    def _died_fruitless(attempt: Attempt) -> bool:
        return attempt.outcome in _WITHOUT_PROGRESS and not attempt.progress and not attempt.units_done

    def _unfinished_shared(self) -> Iterator[Path]:
        """Yield the checkpoints of units that have no result yet."""
        for path in self.files.all_shared():
            unit = path.name.partition(".generation-")[0]
            is_ours = ".set-aside-" not in path.name and not path.name.endswith(".partial")
            if is_ours and any(path.iterdir()) and not self.files.unit_result(unit).exists():
                yield path

    def _look_for_litter(self) -> None:
        if self._is_complete and not self._is_at_work:
            left = entries_of(self.files.path / "scratch")
            if left:
                size = sum(size_of(Path(entry.path)) for entry in left)
                repair = partial(mending.clear_scratch, self.files)
                self._add(Kind.SCRATCH, path=self.files.path / "scratch", size=size, repair=repair)
        if not self._is_at_work:
            for place in (self.files.path, self.files.results, self.files.path / "failures"):
                for path in stale_temporaries(place):
                    remove = partial(mending.remove_temporary, path, self.files.lock)
                    self._add(Kind.TEMPORARY, path=path, size=size_of(path), repair=remove)


def _reason(error: FormatError) -> str:
    """Return what is wrong with a file, in brief: where it is told, its path and what to do stand beside."""
    text = str(error).removeprefix(f"{error.path}: ").removesuffix(" Restore it from a backup.").rstrip(".")
    return text if text.startswith("damaged") else f"damaged ({text})"
