"""One campaign in every state a task can have, and what is done with a damaged copy of it."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psutil
from campaigns import SmallCampaign
from damage import Damage, undo
from dummy_protocol import times_left
from gufe.tokenization import TOKENIZABLE_REGISTRY
from patience import wait_for
from rich.console import Console

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.campaign import workspace as settings
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.client import Campaign
from xpm_alchem.driver.loop import Driver
from xpm_alchem.driver.submission import Session
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched
from xpm_alchem.execution.dag_run import TaskSpec, UnitsFailed, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders, give_orders
from xpm_alchem.execution.interrupts import Stopped
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.local import LocalLauncher, LocalProfile
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import Slurm
from xpm_alchem.launchers.slurm.job import _Worker
from xpm_alchem.launchers.slurm.queue import SlurmQueue, remove_old
from xpm_alchem.results.protocol_results import ProtocolResults
from xpm_alchem.tables.overview import list_table, show_table, status_table, summary_table
from xpm_alchem.tables.result import results_table
from xpm_alchem.tables.strategy import explain_table, health_table, strategy_table
from xpm_alchem.tables.why import why_table
from xpm_alchem.views.strategy import strategy_view

TRUSTED = ("dummy_protocol",)
NOT_TO_BE_IMPORTED = "must_not_be_imported"
LONGEST_MESSAGE = 700


def make_campaign(path: Path) -> None:
    """Make a campaign with tasks complete, in error, interrupted with a checkpoint, and waiting; nobody drives it."""
    campaign = SmallCampaign(
        path,
        edges=[(0, 1)],
        environments=("vacuum", "solvent"),
        script={"analyse": {"do": "raise", "message": "NaN in the energy", "times": 1}},
        plan={"launcher": {"kind": "local", "slots": 1}},
        n_steps=3,
    )
    assert campaign.run().returncode == 1
    campaign.script.write_text(json.dumps({"simulate 0 step 2": {"do": "sleep", "seconds": 600, "times": 1}}))
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 3}})
    driver = campaign.start()
    try:
        wait_for(lambda: _second_checkpoint(campaign), seconds=300, what="a checkpoint of the second repeat")
    finally:
        driver.kill()
        driver.communicate()
        for attempts in campaign.attempts().values():
            if attempts and attempts[-1].outcome is None:
                process = psutil.Process(attempts[-1].process.pid)
                process.kill()
                wait_for(lambda process=process: not process.is_running(), what="the attempt's end")
    records = campaign.records
    task = next(iter(records.state().tasks.values()))
    records.ask(request="retry", task=task.task)
    records.ask(request="strategy", changes={"settings": {"repeats": 4}})
    gathered(records, records.cache_path)
    batch = Batch.make(
        records.workspace / "slurm", "small", [str(records.task_path(task) / "run.py")], margin=30, limit=600
    )
    batch.write("#!/bin/bash\n")
    batch.set_job("4242")
    batch.claim(0, "4242_0", batch.job_name)
    give_orders(records.task_path(task), launch=batch.launch(0))
    batch.set_ended(0, 0)


def _second_checkpoint(campaign: SmallCampaign) -> bool:
    attempts = [a for group in campaign.attempts().values() for a in group if a.outcome is None]
    return any(a.units_done == 1 for a in attempts) and "sleep" in campaign.script.read_text() and _slept(campaign)


def _slept(campaign: SmallCampaign) -> bool:
    return times_left(campaign.script, "simulate 0 step 2") == 0


def gathered(records: CampaignRecords, cache: Path | None) -> None:
    """Gather the ProtocolResults of all transformations, as a stratocaster Strategy is given them."""
    network = records.network
    results = ProtocolResults(network, records.workspace, TRUSTED, cache)
    groups = grouped(records.state().tasks.values())
    for transformation in network.index.by_id:
        results.of(transformation, groups.get(transformation, []), 1)


def name_with(campaign: SmallCampaign, status: str) -> str:
    """Return the name of the transformation whose first repeat is 'complete' or in 'error'."""
    records = campaign.records
    found = (t.transformation for t in records.state().tasks.values() if t.repeat == 1 and t.status == status)
    return records.index.by_id[next(found)].name


# ------------------------------------------------------------------------------------------------------------ readers
def look(path: Path) -> None:
    """Do what every command that looks does."""
    campaign = Campaign.open(path)
    render(
        (campaign.status, status_table),
        (campaign.show, show_table),
        (campaign.summary, summary_table),
        (campaign.results, results_table),
        (campaign.get_network_strategy_health, health_table),
    )
    campaign.get_network_strategy_state()


def history(path: Path) -> None:
    """Tell the history of every task."""
    campaign = Campaign.open(path)
    tasks = list(campaign.records.state().tasks)
    if tasks:
        render(*((lambda task=task: campaign.why(task), why_table) for task in tasks))


def think(path: Path) -> None:
    """Show and explain the strategy, list the campaigns."""
    campaign = Campaign.open(path)
    render(
        (lambda: strategy_view(campaign.records), strategy_table),
        (campaign.explain_network_strategy, explain_table),
        (lambda: Campaign.list_all(str(path.parent.parent)), list_table),
    )


_TURN = itertools.count()


def render(*views: tuple[Callable[[], Any], Callable[[Any], Any]]) -> None:
    """Print views as JSON, and one of them, in turn, as a table: laying out all takes long."""
    turn = next(_TURN) % len(views)
    for number, (view, table) in enumerate(views):
        content = view()
        json.dumps(content).encode()
        if number == turn:
            with open(os.devnull, "w", encoding="utf-8") as nowhere:
                Console(width=200, file=nowhere).print(table(content))


def drive(path: Path) -> None:
    """Do what a driver does in a step, up to what it would submit."""
    records = CampaignRecords.open(path)
    user = settings.read_settings()
    workspace = settings.find_workspace(str(records.workspace), user)
    driver = Driver(records, workspace, LocalLauncher(LocalProfile(slots=1)))
    with records.lock():
        driver.steps.planning.remember()
        driver.steps.planning.take_requests()
        driver.steps.harvest.look()
        driver.steps.planning.iterate()
        driver.steps.planning.end_unwanted()
        starts = driver.steps.starts(cast(Session, None))
        for task in records.state().tasks.values():
            starts._configuration(task)


def ask(path: Path) -> None:
    """Change what a user may change."""
    campaign = Campaign.open(path)
    campaign.set_network_strategy("uniform", {"repeats": 5})
    campaign.set_network_strategy_awake()
    for task in list(campaign.records.state().tasks.values()):
        if task.in_flight:
            campaign.cancel_tasks([task.task])
    if campaign.status()["tasks"]["error"]:
        campaign.retry_tasks()


def execute(path: Path) -> None:
    """Go on with the tasks that were interrupted or failed, in this process, as far as units and orders let it."""
    records = CampaignRecords.open(path)
    network = records.network
    for task in records.state().tasks.values():
        directory = records.task_path(task)
        if task.status in (TaskStatus.COMPLETE, TaskStatus.WAITING):
            continue
        load = functools.partial(network.transformation, task.transformation)
        spec = TaskSpec(task.transformation, task.repeat, load, None, TRUSTED)
        with suppress(UnitsFailed, Stopped):
            run(directory, spec, launched=Launched(launch=Orders.read(directory).launch))


def submit(path: Path) -> None:
    """Find the SLURM job of every task and what became of it, as a driver does that takes over."""
    records = CampaignRecords.open(path)
    root = records.workspace / "slurm"
    remove_old(root)
    queue = SlurmQueue(root, Slurm())
    for task in records.state().tasks.values():
        entry = queue._from_disk(records.task_path(task))
        if entry is not None and entry.batch is not None:
            assert entry.directory == records.task_path(task)
            entry.batch.jobs_for(entry.number)
            entry.batch.name_for(entry.number)
            queue._says_it_ended(entry)
    batch = Batch.read(next(root.iterdir()))
    if batch is not None:
        list(_Worker(batch, "4242_0", None)._open())


def configure(path: Path) -> None:
    """Read the user's settings and everything they name."""
    user = settings.read_settings()
    for name in (None, "work", str(path)):
        settings.find_workspace(name, user)
    for name in user.launchers:
        choose_launcher(name, user.launchers)


def gather(path: Path) -> None:
    """Gather what a stratocaster Strategy is shown."""
    gathered(CampaignRecords.open(path), CampaignRecords.open(path).cache_path)


def gather_anew(path: Path) -> None:
    """Gather it without a cache."""
    gathered(CampaignRecords.open(path), None)


# --------------------------------------------------------------------------------------------------------------- cases
class Fuzz:
    """Damages files of a copy of the campaign, one after another, and looks what readers make of them.

    Attributes
    ----------
    cases
        How many damages were looked at.
    """

    def __init__(self, pristine: Path, path: Path) -> None:
        self.pristine, self.path = pristine, path / "campaign"
        self.outside, self.home = path / "outside", Path(os.environ["HOME"])
        self.outside.mkdir()
        (self.outside / "victim").write_text('{"format": "of somebody else"}\n')
        self.cases = 0
        self.failures: list[str] = []
        self._whole = snapshot(pristine)
        shutil.copytree(self.pristine, self.path, symlinks=True)

    def restore(self) -> None:
        """Make the copy as it was, as far as it has changed."""
        now = snapshot(self.path)
        for name in now.keys() - self._whole.keys():
            _remove(self.path / name)
        for name, stamp in self._whole.items():
            if now.get(name) != stamp:
                _remove(self.path / name)
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.pristine / name, self.path / name, follow_symlinks=False)

    @property
    def campaign(self) -> Path:
        """The campaign's directory."""
        return self.path / "workspace" / "campaigns" / "small"

    def tasks(self) -> dict[str, TaskDirectory]:
        """Return the directories of tasks 'complete', 'error', 'interrupted' and 'waiting'."""
        found: dict[str, TaskDirectory] = {}
        records = CampaignRecords.open(self.campaign)
        for task in records.state().tasks.values():
            directory = TaskDirectory(records.task_path(task))
            found.setdefault(_kind(task, directory), directory)
        return found

    def looks(self, path: Path, damages: Iterable[Damage], *readers: Callable[[Path], None]) -> None:
        """Apply damages to a file, and call readers that may change nothing but a cache of what they have read."""
        content, name = path.read_bytes(), str(path.relative_to(self.path))
        cache = self.campaign / "tasks.snapshot"
        others = snapshot(self.path, but=name)
        for damage in damages:
            damage.apply(path)
            before = _stamp(path)
            for reader in readers:
                self._try(path, damage, reader)
            if str(cache.relative_to(self.path)) not in others:
                cache.unlink(missing_ok=True)
            if (after := snapshot(self.path, but=name)) != others or _stamp(path) != before:
                changed = sorted({changed for changed, _ in others.items() ^ after.items()}) or [name]
                self.failures.append(f"{name}, {damage.name}: changed {changed}")
                self.restore()
            undo(path, content)
            self._finish(path, damage, content)

    def changes(self, path: Path, damages: Iterable[Damage], *readers: Callable[[Path], None]) -> None:
        """Apply damages to a file, and call readers that write, one after another."""
        content = path.read_bytes()
        for damage in damages:
            for reader in readers:
                damage.apply(path)
                self._try(path, damage, reader)
                self.restore()
                if not path.is_file() or path.read_bytes() != content:  # the pristine campaign has no such file
                    undo(path, content)
            self._finish(path, damage, content)

    def _try(self, path: Path, damage: Damage, reader: Callable[[Path], None]) -> None:
        case = f"{path.relative_to(self.path)}, {damage.name}, {reader.__name__}"
        TOKENIZABLE_REGISTRY.clear()  # else gufe returns what it has read before under the same key
        try:
            reader(self.campaign)
        except XpmAlchemError as error:
            if fault := fault_of(str(error), path):
                self.failures.append(f"{case}: {fault}: {str(error)[:400]!r}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.failures.append(f"{case}: {place_of(error)}: {type(error).__name__}: {str(error)[:300]}")

    def _finish(self, path: Path, damage: Damage, content: bytes) -> None:
        self.cases += 1
        name = f"{path.name}, {damage.name}"
        if (self.outside / "victim").read_text() != '{"format": "of somebody else"}\n':
            self.failures.append(f"{name}: wrote to a file elsewhere")
            (self.outside / "victim").write_text('{"format": "of somebody else"}\n')
        if (elsewhere := self.outside / "content").exists():
            if elsewhere.read_bytes() != content:
                self.failures.append(f"{name}: wrote through a symbolic link")
            elsewhere.unlink()
        if {p.name for p in self.outside.iterdir()} != {"victim"}:
            self.failures.append(f"{name}: made {sorted(p.name for p in self.outside.iterdir())}")
            for extra in self.outside.iterdir():
                if extra.name != "victim":
                    shutil.rmtree(extra) if extra.is_dir() else extra.unlink()
        if NOT_TO_BE_IMPORTED in sys.modules:
            self.failures.append(f"{name}: imported a module")
            del sys.modules[NOT_TO_BE_IMPORTED]


def _kind(task: TaskState, directory: TaskDirectory) -> str:
    attempts = AttemptLog(directory.attempts).read()
    return "interrupted" if attempts and attempts[-1].outcome is None else str(task.status)


def fault_of(message: str, path: Path) -> str | None:
    """Return what is wrong with a message about a file, None if it is clear."""
    if path.name not in message and path.parent.name not in message:
        return "does not name the file"
    if "\n" in message or "Traceback" in message:
        return "more than one line"
    if len(message) > LONGEST_MESSAGE:
        return "too long"
    if not message.rstrip().endswith((".", ")", "?")):
        return "no sentence"
    return None


def place_of(error: BaseException) -> str:
    """Return where in the package an exception came from."""
    place, trace = "?", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if f"{os.sep}xpm_alchem{os.sep}" in file:
            place = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def snapshot(path: Path, but: str = "") -> dict[str, tuple[int, int]]:
    """Return size and time of every file below a directory, by its relative path, but of one; no time of links."""
    found: dict[str, tuple[int, int]] = {}

    def visit(directory: str, prefix: str) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = prefix + entry.name
                if name == but:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    visit(entry.path, f"{name}/")
                else:
                    status = entry.stat(follow_symlinks=False)
                    found[name] = (status.st_size, 0 if entry.is_symlink() else status.st_mtime_ns)

    visit(str(path), "")
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return (status.st_size, 0 if stat.S_ISLNK(status.st_mode) else status.st_mtime_ns)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
