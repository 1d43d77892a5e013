"""A pool: the tasks that wait for workers, as files. Whoever renames a task's file has the task.

    <workspace>/pools/<pool>/
      offers/<task>                      nobody has it; names sort by urgency
      taken/<task>@<worker>              a worker has it
      ended/<campaign>/<task>@<worker>=<code>    its process has ended with this code, negative for a signal
      kills/<task>@<worker>              the worker is to end its process at once
      workers/<worker>.json, .alive      who works here: members.py

A rename is one call, done whole or not at all, and only one of many can succeed: no lock, no server, no port. What a
file says (which script, for which launch) never changes after it was offered. An answer that was lost on its way, as on
NFS, is asked for again by the name under which the file would be then.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import exists, make_directories, names_in, read_record, write_record
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.permissions import private
from xpm_alchem.base.values import is_text, number_or_none, text_or_none
from xpm_alchem.launchers.container import Container

POOLS = "pools"
DEFAULT_POOL = "main"
_OFFER, _OFFER_VERSION = "xpm-alchem pool offer", 1
_LAUNCH = "pool"  # begins the names of launches by workers
_TASK = re.compile(r"\d{19}-\d+-[0-9a-f]{8}")
_ENDED = re.compile(rf"({_TASK.pattern})@([A-Za-z0-9_.-]+)=(-?\d{{1,3}})")
_TAKEN = re.compile(rf"({_TASK.pattern})@([A-Za-z0-9_.-]+)")


@attrs.frozen
class Offer:
    """A task that a worker may take.

    Attributes
    ----------
    script
        experimaestro's script of the task, absolute.
    launch
        As which launch it is begun; see execution/fence.py.
    campaign
        Whose driver hears of its end.
    margin
        Seconds before a worker's end at which its attempt is told to stop.
    platform
        OpenMM's, which must work there; see `launchers.platform`.
    container
        Where the attempt runs; None: on the worker's machine itself.
    env
        Environment variables of the attempt.
    avoid
        Machines on which it should not be tried, and devices of others, by machine.
    """

    script: str
    launch: str
    campaign: str
    margin: float
    platform: str | None = None
    container: Container | None = None
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    avoid: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)

    @classmethod
    def read(cls, path: Path) -> Offer:
        """Read an offer.

        Raises
        ------
        FileNotFoundError
            It is not there any more.
        FormatError
            It is damaged or was written by a newer version.
        """
        content = read_record(path, _OFFER, _OFFER_VERSION)
        env, avoid = content.get("env") or {}, content.get("avoid") or {}
        margin = number_or_none(content.get("margin"))
        is_whole = all(is_text(content.get(key)) for key in ("script", "launch", "campaign")) and margin is not None
        try:
            container = Container.from_record(content.get("container"))
        except (ValueError, AttributeError, TypeError):
            is_whole = False
        if not is_whole or not isinstance(env, dict) or not isinstance(avoid, dict):
            raise FormatError(path, "damaged. Delete it; the driver offers the task again.")
        return cls(
            script=content["script"],
            launch=content["launch"],
            campaign=content["campaign"],
            margin=margin or 0.0,
            platform=text_or_none(content.get("platform")),
            container=container,
            env={str(key): str(value) for key, value in env.items()},
            avoid={str(host): tuple(map(str, devices)) for host, devices in avoid.items()},
        )


@attrs.frozen
class Place:
    """Where a task of a pool is.

    Attributes
    ----------
    worker
        Who has it, '' for nobody.
    code
        How its process ended; None while it has not.
    """

    worker: str = ""
    code: int | None = None


class Pool:
    """A pool of a workspace.

    Parameters
    ----------
    workspace
        Its directory.
    name
        The pool's.
    """

    def __init__(self, workspace: Path, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.path = workspace / POOLS / name
        self.workers = self.path / "workers"
        self.offers, self.taken_path = self.path / "offers", self.path / "taken"
        self.ended_path, self.kills_path = self.path / "ended", self.path / "kills"

    def make(self) -> None:
        """Make its directories."""
        for directory in (self.offers, self.taken_path, self.ended_path, self.kills_path, self.workers):
            make_directories(directory)

    # ------------------------------------------------------------------------------------------------ the driver's
    def offer(self, offer: Offer, task: str) -> None:
        """Let workers take a task, whose name `new_task` has made."""
        path, permissions = self.offers / task, private(self.workspace)
        try:
            write_record(path, _OFFER, _OFFER_VERSION, attrs.asdict(offer), permissions=permissions)
        except FileNotFoundError:  # somebody has removed the pool
            self.make()
            write_record(path, _OFFER, _OFFER_VERSION, attrs.asdict(offer), permissions=permissions)

    def withdraw(self, task: str) -> bool:
        """Take back a task; return False if a worker has it, or had it."""
        mine = self.taken_path / f"{task}@driver"
        if not _renamed(self.offers / task, mine):
            return False
        with suppress(OSError):
            mine.unlink()
        return True

    def places(self, campaign: str) -> dict[str, Place]:
        """Return where the tasks of the pool are that are not forgotten, those that have ended of one campaign only.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        found = {task: Place() for task in names_in(self.offers) if _TASK.fullmatch(task)}
        for name in names_in(self.taken_path):
            if match := _TAKEN.fullmatch(name):
                found[match[1]] = Place(match[2])
        for name in names_in(self.ended_path / campaign):  # last: what ended meanwhile is seen
            if match := _ENDED.fullmatch(name):
                found[match[1]] = Place(match[2], int(match[3]))
        return found

    def kill(self, task: str, worker: str) -> None:
        """Have a worker end the process of a task at once; it looks every few seconds."""
        with suppress(OSError):
            (self.kills_path / f"{task}@{worker}").touch()

    def forget(self, campaign: str, task: str, place: Place | None) -> None:
        """Remove what is known of a task that was dealt with.

        Parameters
        ----------
        place
            Where it was seen last; it may have moved since.
        """
        ended = self.ended_path / campaign
        if place is not None and place.code is not None and _unlinked(ended / f"{task}@{place.worker}={place.code}"):
            return
        for directory in (self.offers, self.taken_path, ended, self.kills_path):
            with suppress(OSError):
                for name in names_in(directory):
                    if name.partition("@")[0] == task:
                        _unlinked(directory / name)

    # ------------------------------------------------------------------------------------------------ the worker's
    def offered(self) -> list[str]:
        """Return the tasks that nobody has, the most urgent first, of equal ones the oldest.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        return sorted(task for task in names_in(self.offers) if _TASK.fullmatch(task))

    def look_at(self, task: str) -> tuple[Offer, float, int]:
        """Return what is offered, since when (by the clock of the file system), and by which user.

        Raises
        ------
        OSError, FormatError
            It is not offered any more, or cannot be read.
        """
        path = self.offers / task
        status = path.stat()
        return Offer.read(path), status.st_mtime, status.st_uid

    def take(self, task: str, worker: str) -> bool:
        """Take a task for a worker; return False if another was sooner."""
        return _renamed(self.offers / task, self.taken_path / f"{task}@{worker}")

    def give_back(self, task: str, worker: str) -> None:
        """Offer a task again that its worker cannot begin."""
        _renamed(self.taken_path / f"{task}@{worker}", self.offers / task)

    def end(self, task: str, worker: str, campaign: str, code: int) -> None:
        """Tell the driver that the process of a task has ended; nothing is told of one that was given to others.

        Raises
        ------
        OSError
            That cannot be written now.
        """
        directory = self.ended_path / campaign
        with suppress(FileExistsError):
            directory.mkdir()
        _renamed(self.taken_path / f"{task}@{worker}", directory / f"{task}@{worker}={code}")

    def kills(self, worker: str) -> Iterator[str]:
        """Yield the tasks whose processes a worker is to end at once.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        for name in names_in(self.kills_path):
            if (match := _TAKEN.fullmatch(name)) and match[2] == worker:
                yield match[1]

    def forget_kill(self, task: str, worker: str) -> None:
        """Remove what told a worker to end a process: it has ended."""
        _unlinked(self.kills_path / f"{task}@{worker}")

    # ------------------------------------------------------------------------------------------------ who looks on
    def taken(self) -> dict[str, list[str]]:
        """Return the tasks that workers have, by worker.

        Raises
        ------
        OSError
            That cannot be seen now.
        """
        found: dict[str, list[str]] = {}
        for name in names_in(self.taken_path):
            if match := _TAKEN.fullmatch(name):
                found.setdefault(match[2], []).append(match[1])
        return found

    def taken_offer(self, task: str, worker: str) -> Offer | None:
        """Return what a worker has taken; None where that cannot be seen (any more)."""
        with suppress(OSError, FormatError):
            return Offer.read(self.taken_path / f"{task}@{worker}")
        return None


def new_task(priority: int) -> str:
    """Return a name for a task: names sort by priority, 1 first, then by when they were made."""
    return f"{min(max(priority, 0), 10**19 - 1):019d}-{time.time_ns()}-{uuid.uuid4().hex[:8]}"


def launch_of(pool: str, task: str) -> str:
    """Return the name of a task's launch."""
    return f"{_LAUNCH}/{pool}/{task}"


def parse_launch(launch: str | None) -> tuple[str, str] | None:
    """Return pool and task of a launch, None if it is none by workers."""
    parts = (launch or "").split("/")
    if len(parts) != 3 or parts[0] != _LAUNCH or not is_pool_name(parts[1]) or not _TASK.fullmatch(parts[2]):
        return None
    return parts[1], parts[2]


def is_pool_name(name: Any) -> bool:
    """Whether a pool may be named so: it becomes a directory."""
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name) is not None


def pools_in(workspace: Path) -> list[str]:
    """Return the names of a workspace's pools."""
    with suppress(OSError):
        return sorted(name for name in names_in(workspace / POOLS) if is_pool_name(name))
    return []


def _unlinked(path: Path) -> bool:
    """Remove a file; return whether it was there."""
    try:
        patiently(path.unlink)
    except OSError:
        return False
    return True


def _renamed(source: Path, target: Path) -> bool:
    """Rename a file that others may rename too; return whether it was us."""
    try:
        patiently(lambda: os.rename(source, target))  # noqa: PTH104 - pathlib's would say the same
    except FileNotFoundError:
        return exists(target)  # done by a call that said it had failed
    return True
