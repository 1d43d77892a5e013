"""Who may work on a task: an attempt that was given up, but may still be alive, must change nothing any more.

A node that is cut off, or a SLURM daemon that was killed, leaves processes that nobody can end. Before a task is given
to another attempt, `fence_off` raises the generation in orders.json: the new attempt works in directories of its own
(a copy of the checkpoints of the unit at work), and the old one finds at its next look that it is superseded, stops,
and writes nothing. What it still writes into its own directories is never read.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError, SupersededError
from xpm_alchem.base.files import copy_file, exists, is_directory, read_record, write_record
from xpm_alchem.base.stamps import Stamp, stamp_of
from xpm_alchem.base.values import is_count, is_text, number_or_none, short
from xpm_alchem.execution.attempts import Priced
from xpm_alchem.execution.directory import TaskDirectory

ORDERS = "xpm-alchem orders"
ORDERS_VERSION = 1
_MOST_GENERATIONS = 100_000  # more were never made: the file is damaged
_COPY_TRIES = 5
_COPY_PAUSE = 10.0  # seconds


@attrs.frozen
class Orders:
    """What the attempts of a task must heed.

    Attributes
    ----------
    launch
        The launch that may work on the task: '<batch>/<number>' for SLURM, None for any.
    generation
        How often an attempt was fenced off.
    stop
        Why the attempt at work is to stop at its next chance, or None.
    afresh_after
        The first attempt after this number that begins sets aside all that was computed before; 0: none does.
    cost_per_hour, cost_unit
        What an hour of the next attempt costs.
    """

    launch: str | None = None
    generation: int = 0
    stop: str | None = None
    afresh_after: int = 0
    cost_per_hour: float | None = None
    cost_unit: str | None = None

    @classmethod
    def read(cls, directory: Path) -> Orders:
        """Read the orders of a task; none were given where there is no file.

        Raises
        ------
        FormatError
            They are damaged or were written by a newer version.
        """
        try:
            content = read_record(TaskDirectory(directory).orders, ORDERS, ORDERS_VERSION)
        except FileNotFoundError:
            return cls()
        for key in ("launch", "generation", "stop", "afresh_after", "cost_per_hour", "cost_unit"):
            value = content.get(key, 0 if key == "afresh_after" else None)
            if key in ("generation", "afresh_after"):
                fits = is_count(value, _MOST_GENERATIONS)
            elif key == "cost_per_hour":
                fits = value is None or (number_or_none(value) is not None and value >= 0)
            else:
                fits = value is None or is_text(value)
            if not fits:
                path = TaskDirectory(directory).orders
                raise FormatError(path, f"damaged: '{key}' is {short(value)}. Restore it from a backup.")
        known = {field.name for field in attrs.fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in known})


def current(directory: Path) -> TaskDirectory:
    """Return the files of a task as its current generation of attempts has them.

    Raises
    ------
    FormatError
        Its orders are damaged or were written by a newer version.
    """
    return TaskDirectory(directory, Orders.read(directory).generation)


def give_orders(directory: Path, **changes: Any) -> Orders:
    """Change a task's orders; only whoever drives the task may."""
    before = Orders.read(directory)
    orders = attrs.evolve(before, **changes)
    if orders != before:
        directory.mkdir(parents=True, exist_ok=True)
        write_record(TaskDirectory(directory).orders, ORDERS, ORDERS_VERSION, attrs.asdict(orders))
    return orders


def fence_off(directory: Path) -> None:
    """Give up the attempts there have been: from now on none of them may change anything, and their locks are void."""
    files = TaskDirectory(directory)
    give_orders(directory, generation=Orders.read(directory).generation + 1, launch=None)
    for lock in (files.lock, *directory.glob("*.lock")):  # held by a process that cannot be ended; a new file is free
        lock.unlink(missing_ok=True)


class Fence:
    """The side of an attempt: what it was allowed when it began, and whether that still holds.

    Parameters
    ----------
    directory
        The task's.
    launch
        As what this attempt was launched; None for a process that the driver started itself.

    Raises
    ------
    SupersededError
        Another launch is to work on the task.
    """

    def __init__(self, directory: Path, launch: str | None) -> None:
        self._directory, self._launch, self._path = directory, launch, TaskDirectory(directory).orders
        self._read: Stamp | None = None
        self._orders = orders = Orders.read(directory)
        self.generation, self.afresh_after = orders.generation, orders.afresh_after
        self.priced = Priced(orders.cost_per_hour, orders.cost_unit)
        if not self._allowed_by(orders):
            mine = launch or "started by hand"
            raise SupersededError(f"{directory}: this attempt ({mine}) came too late: {orders.launch} is to work here.")

    def orders(self) -> Orders | None:
        """Return what this attempt must heed, None if the task was given to another one: it may not go on."""
        if (stamp := self._stamp()) is None or stamp != self._read:
            self._orders = Orders.read(self._directory)
            self._read = stamp  # of before: what is written meanwhile is read the next time
        return self._orders if self._allowed_by(self._orders) else None

    def _stamp(self) -> Stamp | None:
        """Return what tells one file of orders from the next, None where that is not known: each is a new file."""
        try:
            return stamp_of(self._path, is_asked_anew=True)
        except OSError:
            return None

    def _allowed_by(self, orders: Orders) -> bool:
        return orders.generation == self.generation and orders.launch in (None, self._launch)


def inherit(files: TaskDirectory, unit: str) -> bool:
    """Copy the checkpoints that an earlier generation's attempt left of a unit, unless it still writes to them.

    Returns
    -------
    bool
        False if nothing could be taken over although there was something: the unit starts fresh.
    """
    target = files.shared(unit)
    if files.generation == 0 or exists(target):
        return True
    for generation in range(files.generation - 1, -1, -1):
        source = attrs.evolve(files, generation=generation).shared(unit)
        if is_directory(source):
            return _copy_at_rest(source, target)
    return True


def _copy_at_rest(source: Path, target: Path) -> bool:
    """Copy a directory; one that changes meanwhile would give a torn checkpoint, so wait for its writer to stop."""
    partial = target.with_name(f"{target.name}.partial")
    last_time: dict[str, Stamp] | None = None
    for _ in range(_COPY_TRIES):
        shutil.rmtree(partial, ignore_errors=True)
        before = _stamps(source)
        try:
            shutil.copytree(source, partial, copy_function=copy_file)
        except (OSError, shutil.Error):
            continue  # a file vanished while it was copied
        finally:
            after = _stamps(source)
        newest = max((stamp.modified_ns for stamp in before.values()), default=0) / 1e9
        if before == after and (before == last_time or time.time() - newest > _COPY_PAUSE):
            partial.rename(target)
            return True
        last_time = after
        time.sleep(_COPY_PAUSE)
    shutil.rmtree(partial, ignore_errors=True)
    return False


def _stamps(directory: Path) -> dict[str, Stamp]:
    stamps = {}
    for path in directory.rglob("*"):
        try:
            if path.is_file():
                stamps[str(path)] = stamp_of(path)
        except OSError:
            continue
    return stamps
