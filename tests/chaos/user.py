"""A user who looks at the campaign and changes it while everything is being killed."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import misfortunes
from campaigns import SmallCampaign
from patience import Patience

from tests.chaos.drivers import Commands, Drivers
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.client import Campaign

PATTERNS = (misfortunes.KNOWN, misfortunes.ODD, misfortunes.MEMORY)
STRATEGIES = {"uniform": "repeats", "connectivity": "max_runs", "radial-growth": "max_runs"}
MOST_ALLOWED = 9
LOOKS = (
    "status",
    "show",
    "results",
    "summary",
    "restarts list",
    "strategy show",
    "strategy health",
    "strategy explain",
    "tasks list",
    "failures",
)


class User:
    """Does one thing after another, at random.

    Parameters
    ----------
    repeats
        The results of every transformation that are asked for in the end, and never more.
    """

    def __init__(
        self, campaign: SmallCampaign, commands: Commands, drivers: Drivers, rng: random.Random, *, repeats: int
    ) -> None:
        self._campaign, self._commands, self._drivers, self._rng = campaign, commands, drivers, rng
        self._repeats = repeats
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="user")
        self.wrong: list[str] = []
        self.deeds: dict[str, tuple[float, Callable[[], None]]] = {
            "look": (6.0, self._look),
            "strategy": (2.5, self._change_strategy),
            "mode": (1.5, self._change_mode),
            "patterns": (3.0, self._change_patterns),
            "retry": (3.0, self._retry),
            "cancel": (1.5, self._cancel),
            "room": (1.0, self._make_room),
            "priority": (2.0, self._prioritise),
            "create": (0.3, self._create),
            "set aside": (0.5, self._set_aside),
            "stop": (0.7, self._stop),
        }

    @property
    def _file(self) -> Path:
        return self._campaign.file

    def __enter__(self) -> User:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def goes(self) -> bool:
        """Begin nothing more; return whether the last command has ended."""
        self._ended.set()
        return not self._thread.is_alive()

    def _live(self) -> None:
        while not self._ended.wait(self._rng.uniform(0.2, 2.0)):
            if not (self._campaign.path / "workspace" / "campaigns" / "small" / "index.json").exists():
                continue
            deed = self._rng.choices(list(self.deeds), [weight for weight, _ in self.deeds.values()])[0]
            try:
                self.deeds[deed][1]()
            except Exception as error:  # told at the end, with all that is wrong
                self.wrong.append(f"the user's '{deed}' raised {type(error).__name__}: {error}")

    # ---------------------------------------------------------------------------------------------------- looking
    def _look(self) -> None:
        choice = self._rng.choice((*LOOKS, "why", "logs", "doctor"))
        as_json = ("--json",) if self._rng.random() < 0.5 else ()
        if choice in ("why", "logs"):
            if (name := self._any_task(lambda task: True)) is not None:
                self._commands.look(choice, self._file, name, *as_json)
        elif choice == "doctor":
            self._commands.look("doctor", self._file, *as_json, codes=(0, 1))
        elif (out := self._commands.look(choice, self._file, *as_json)) and as_json:
            json.loads(out)

    def _any_task(self, which: Callable[[TaskState], bool]) -> str | None:
        """Return a task as a user names it, None if there is none of that kind."""
        records = Campaign.open(self._file).records
        names = {record.id: record.name for record in records.index.transformations}
        found = [f"{names[t.transformation]}:{t.repeat}" for t in records.state().tasks.values() if which(t)]
        return self._rng.choice(found) if found else None

    # --------------------------------------------------------------------------------------------------- changing
    def _change_strategy(self) -> None:
        name = self._rng.choice(("uniform", "uniform", *STRATEGIES))
        number = self._rng.randint(1, self._repeats)
        self._commands.change("strategy set", name, self._file, "-s", f"{STRATEGIES[name]}={number}")

    def _change_mode(self) -> None:
        mode = self._rng.choice(("partial", "partial", "full", "full", "disabled"))
        self._commands.change("strategy mode", mode, self._file)
        if mode == "disabled" and self._rng.random() < 0.7:
            self._ended.wait(2.0)
            self._commands.change("strategy mode", self._rng.choice(("partial", "full")), self._file)
        elif self._rng.random() < 0.2:
            self._commands.change("strategy awake", self._file)

    def _change_patterns(self) -> None:
        pattern = self._rng.choice(PATTERNS)
        match self._rng.choice(("add", "add", "add", "set", "remove", "clear")):
            case "add":
                self._commands.change("restarts add", self._file, pattern, "--allowed", self._rng.randint(1, 4))
            case "set":
                self._commands.change("restarts set", self._file, pattern, "--allowed", self._rng.randint(1, 5))
            case "remove":
                self._commands.change("restarts remove", self._file, pattern)
            case _:
                self._commands.change("restarts clear", self._file)
                poison = (misfortunes.POISON, "--allowed", 2, "--from-scratch")
                self._commands.change("restarts add", self._file, *poison)

    def _retry(self) -> None:
        if (choice := self._rng.random()) < 0.4:
            self._commands.change("retry", self._file, "--all")
        elif (name := self._any_task(_can_be_retried if choice < 0.8 else _is_at_work)) is not None:
            self._commands.change("retry", self._file, name)

    def _cancel(self) -> None:
        if (name := self._any_task(lambda task: task.in_flight)) is not None:
            now = ("--now",) if self._rng.random() < 0.4 else ()
            self._commands.change("tasks cancel", self._file, name, *now)

    def _make_room(self) -> None:
        if misfortunes.make_room(self._campaign.path / "scripts"):
            self._commands.change("retry", self._file, "--all")

    def _prioritise(self) -> None:
        if (name := self._any_task(lambda task: task.status is TaskStatus.WAITING)) is not None:
            self._commands.change("tasks priority", self._file, self._rng.randint(1, 20), name)

    def _create(self) -> None:
        records = Campaign.open(self._file).records
        record = self._rng.choice(records.index.transformations)
        self._commands.change("tasks create", self._file, record.name)

    def _set_aside(self) -> None:
        command, *options = self._rng.choice((("tasks invalidate",), ("tasks delete", "--yes")))
        if (name := self._any_task(lambda task: task.exists)) is not None:
            self._commands.change(command, self._file, name, *options)

    def _stop(self) -> None:
        """Stop everything; nothing may be at work then, whatever happened to the driver meanwhile."""
        self._drivers.held.set()
        try:
            self._commands.change("stop", self._file, codes=(3,))
            returned = time.time()
            patience = Patience(20)
            while self._drivers.is_at_work() and not patience.is_over():  # it ends, or was just being started
                time.sleep(0.1)
            if not self._drivers.is_at_work():
                self._check_stopped(returned)
        finally:
            self._drivers.held.clear()

    def _check_stopped(self, when: float) -> None:
        """Check that nothing runs, but for what a driver that was being started has submitted after `stop`."""
        records = Campaign.open(self._file).records
        if records.holder() is not None:
            return
        tasks = records.state().tasks.values()
        running = [task.task for task in tasks if task.status is TaskStatus.RUNNING and task.changed < when]
        if running:
            self.wrong.append(f"`stop` has returned, no driver is at work, and these tasks run: {running}")

    # ---------------------------------------------------------------------------------------------------- the end
    def ask_for_all(self) -> None:
        """Ask for what is wanted in the end."""
        misfortunes.make_room(self._campaign.path / "scripts")
        most = ("--max-tasks-per-transformation", self._repeats)
        setting = ("-s", f"repeats={self._repeats}")
        self._commands.change("strategy set", "uniform", self._file, *setting, "--mode", "partial", *most)
        for pattern in PATTERNS:
            self._commands.change("restarts add", self._file, pattern, "--allowed", MOST_ALLOWED)
        poison = (misfortunes.POISON, "--allowed", MOST_ALLOWED, "--from-scratch")
        self._commands.change("restarts add", self._file, *poison)

    def mend(self) -> None:
        """Try again what was cancelled and what is in error."""
        misfortunes.make_room(self._campaign.path / "scripts")
        records = Campaign.open(self._file).records
        names = {record.id: record.name for record in records.index.transformations}
        for task in list(records.state().tasks.values()):
            if _was_cancelled(task):
                self._commands.change("retry", self._file, f"{names[task.transformation]}:{task.repeat}")
        if any(task.status is TaskStatus.ERROR for task in records.state().tasks.values()):
            self._commands.change("retry", self._file, "--all")


def _was_cancelled(task: TaskState) -> bool:
    return task.status is TaskStatus.WAITING and not task.actioned and task.cancelled_by == "user"


def _is_at_work(task: TaskState) -> bool:
    return task.status is TaskStatus.RUNNING


def _can_be_retried(task: TaskState) -> bool:
    return task.status is TaskStatus.ERROR or _was_cancelled(task)
