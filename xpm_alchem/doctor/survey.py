"""One pass over all tasks of a campaign and over the task directories of its workspace."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.doctor.campaign_files import names_by_id
from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning
from xpm_alchem.doctor.file_system import CLOCK_SECONDS
from xpm_alchem.doctor.litter import entries_of, size_of
from xpm_alchem.doctor.problems import CHECKS, Kind, Problem, findings_of
from xpm_alchem.doctor.task_look import ClockSample, TaskLook

JOBS = "jobs/xpm_alchem.run"
Progress = Callable[[int, int], None]


class Survey:
    """What is wrong with a campaign's tasks.

    Parameters
    ----------
    records
        The campaign.
    is_driven
        Whether a driver runs.
    progress
        Called with the number of tasks that were looked at, and of all.
    """

    def __init__(
        self, records: CampaignRecords, *, is_driven: bool, progress: Progress = lambda done, total: None
    ) -> None:
        self.records, self._is_driven, self._progress = records, is_driven, progress
        self._clocks: list[ClockSample] = []
        self._names: dict[str, str] | None = None
        self._trusted: tuple[str, ...] = ()
        try:
            self._trusted = records.plan().trusted_modules
            names_by_id(records.index)
            self._names = records.in_force.names
        except Exception:  # whatever damage does: their own checks tell
            self._names = None

    def checks(self) -> list[tuple[str, Check]]:
        """Return the checks by name; the first one that is made looks at all tasks."""
        try:
            self.records.state()
        except Exception:  # whatever damage does: its own check tells
            found = fault("no task was looked at, as tasks.jsonl cannot be read", "mend tasks.jsonl first")
            return [("tasks", partial(list, [found]))]
        checks: list[tuple[str, Check]] = [(name, partial(self._of, name)) for name in CHECKS]
        return [*checks, ("orphans", self.orphans), ("node clocks", self.node_clocks)]

    def _of(self, check: str) -> Iterator[Finding]:
        return findings_of(check, self._problems, len(self.records.state().everything))

    @cached_property
    def _problems(self) -> list[Problem]:
        tasks = [task for task in self.records.state().everything.values() if task.exists]
        problems: list[Problem] = []
        again = []
        for done, task in enumerate(tasks, 1):
            wrong, clock = self._look(task)
            if wrong:
                again.append(task)
            if clock is not None:
                self._clocks.append(clock)
            self._progress(done, len(tasks))
        self.records.state()  # what happened meanwhile is no problem: whatever was wrong is looked at once more
        for task in again:
            problems += self._look(task)[0]
        return problems

    def _look(self, task: TaskState) -> tuple[list[Problem], ClockSample | None]:
        names = self._names
        name = f"{(names or {}).get(task.transformation, task.transformation)}:{task.repeat}"
        try:
            look = TaskLook(task, self.records.task_path(task), name, is_driven=self._is_driven, trusted=self._trusted)
        except Exception as error:  # a disk that cannot be read, or a kind of damage nobody thought of
            return [Problem(Kind.UNSEEN, name, f"{type(error).__name__}: {error}")], None
        if names is not None and task.transformation not in names:
            look.problems.append(Problem(Kind.STRANGE, name))
        return look.problems, look.clock

    # ---------------------------------------------------------------------------------------------------- orphans
    def orphans(self) -> Iterator[Finding]:
        """Look for directories of this campaign's repeats that no journal of the workspace knows."""
        known, unread = self._known()
        found = [entry for entry in entries_of(self.records.workspace / JOBS) if entry.is_dir()]
        unknown = [Path(entry) for entry in found if entry.name not in known]
        mine = [path for path in unknown if _transformation_of(path) in (self._names or {})]
        if unread:
            yield warning(
                f"the journals of {len(unread)} campaign(s) of this workspace cannot be read: {', '.join(unread)}",
                "look at them with `xpm-alchem doctor` first",
            )
        if mine:
            size = sum(map(size_of, mine))
            yield warning(
                f"{len(mine)} task directories of this network's transformations are in no campaign's journal, "
                f"{size / 1e6:.1f} MB",
                "a campaign that comes to these repeats takes over what is whole there; delete by hand what you do not "
                "want, while no attempt runs",
                places=tuple(map(str, mine)),
            )
        if not unread and not mine:
            others = f"; {len(unknown)} of other networks" if unknown else ""
            yield ok(f"none among {len(found)} task directories of this workspace{others}")

    def _known(self) -> tuple[set[str], list[str]]:
        """Return the names of all task directories that journals know, and the campaigns that cannot be read."""
        known: set[str] = set()
        unread = []
        for entry in entries_of(self.records.path.parent):
            path = Path(entry)
            if entry.name.startswith(".") or not (path / "tasks.jsonl").exists():
                continue
            try:
                tasks = CampaignRecords(path).by_journal_alone().state().everything.values()
            except Exception:
                unread.append(entry.name)
                continue
            known.update(Path(task.directory).name for task in tasks)
        return known, unread

    # ----------------------------------------------------------------------------------------------------- clocks
    def node_clocks(self) -> Iterator[Finding]:
        """Compare the clocks of the hosts where attempts ran with the file server's: the times of summaries."""
        self._problems  # noqa: B018 - looks at all tasks
        hosts = sorted({sample.host for sample in self._clocks})
        off = {}
        for host in hosts:
            skew = statistics.median(sample.seconds for sample in self._clocks if sample.host == host)
            if abs(skew) > CLOCK_SECONDS:
                off[host] = -skew
        if off:
            told = ", ".join(f"{host} {abs(s):.0f} s {'ahead' if s > 0 else 'behind'}" for host, s in off.items())
            yield warning(
                f"clocks of hosts where attempts ran differ from the file server's: {told}",
                "ask your administrator to synchronise them; if the workspace was copied, the copying did it",
                places=tuple(off),
            )
        elif hosts:
            yield ok(f"{len(hosts)} host(s) where attempts ran agree with the file server")
        else:
            yield ok("no attempt has told yet")


def _transformation_of(directory: Path) -> str | None:
    """Return the id of the transformation that a task directory is of, None if nothing there tells."""
    try:
        return str(json.loads((directory / "summary.json").read_bytes())["transformation"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        objects = json.loads((directory / "params.json").read_bytes())["objects"]
        return next(str(o["fields"]["id"]) for o in objects if o.get("type") == "AlchemicalTransformation")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
