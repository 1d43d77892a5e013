"""The workers of a pool: who they are, and whether they live.

A worker writes one record when it begins, and touches a file every few seconds. One of this machine is dead when its
process is gone and it touches nothing any more; one of another machine when nothing was heard of it for long, by the
clock of the file system.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import exists, names_in, read_record, remove, write_record
from xpm_alchem.base.values import count, number, text_or_none
from xpm_alchem.execution.life_signs import FileClock
from xpm_alchem.execution.processes import HOST, ProcessIdentity
from xpm_alchem.launchers.workers.pool import Pool

_WORKER, _WORKER_VERSION = "xpm-alchem worker", 1
ALIVE_SECONDS = 10.0  # between two signs of life
SILENT_SECONDS = 300.0  # without one a worker on another machine is taken for dead


@attrs.frozen
class Member:
    """A worker, as its record has it.

    Attributes
    ----------
    name
        Like no other worker's.
    process
        Its own.
    since
        When it began, seconds since the epoch, by the clock of the file system.
    slots
        How many tasks it works on at once.
    devices
        What it gives them, in words.
    job
        The scheduler's name for it, None for one that was started by hand.
    ends
        When its time is over, by the clock of the file system; None if it has no limit.
    """

    name: str
    process: ProcessIdentity
    since: float
    slots: int
    devices: tuple[str, ...] = ()
    job: str | None = None
    ends: float | None = None


def new_name() -> str:
    """Return a name for a worker of this process."""
    host = "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in HOST)[:60]
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Members:
    """The workers of a pool.

    Parameters
    ----------
    pool
        Theirs.
    """

    def __init__(self, pool: Pool) -> None:
        self._path = pool.workers
        self.clock = FileClock(self._path / "clock")
        self._read: dict[str, Member] = {}  # what a worker writes once
        self._unseen: dict[str, float] = {}  # workers without any file, since when, by a clock that nobody sets

    def join(self, member: Member) -> None:
        """Become a worker of the pool."""
        content: dict[str, Any] = {**attrs.asdict(member), "process": member.process.to_record()}
        write_record(self._record(member.name), _WORKER, _WORKER_VERSION, content)
        self.say_alive(member.name)

    def say_alive(self, name: str) -> None:
        """Give a sign of life."""
        with suppress(OSError):  # a full disk, a server that is away: the next one may come through
            self._sign(name).touch()

    def has(self, name: str) -> bool:
        """Return whether a worker's record is there, or cannot be seen now."""
        try:
            return exists(self._record(name))
        except OSError:
            return True

    def leave(self, name: str) -> None:
        """Be a worker no more."""
        for path in self.files(name):
            with suppress(OSError):
                remove(path)

    def files(self, name: str) -> tuple[Path, Path]:
        """Return the files of a worker."""
        return self._record(name), self._sign(name)

    def names(self) -> list[str]:
        """Return the names of all workers, dead ones among them.

        Raises
        ------
        OSError
            They cannot be seen now.
        """
        return sorted(name.removesuffix(".json") for name in names_in(self._path) if name.endswith(".json"))

    def get(self, name: str) -> Member | None:
        """Return a worker; None if it has left, or its record cannot be used."""
        if name not in self._read:
            try:
                content = read_record(self._record(name), _WORKER, _WORKER_VERSION)
                devices = content.get("devices")
                process = ProcessIdentity.from_record(content.get("process") or {})
                if not process.host or process.pid <= 0:  # damaged: it would be taken for a process that is gone
                    return None
                self._read[name] = Member(
                    name=name,
                    process=process,
                    since=number(content.get("since")),
                    slots=count(content.get("slots")),
                    devices=tuple(map(str, devices)) if isinstance(devices, list) else (),
                    job=text_or_none(content.get("job")),
                    ends=number(content["ends"]) if content.get("ends") is not None else None,
                )
            except (OSError, FormatError, AttributeError):
                return None
        return self._read[name]

    def all(self) -> Iterator[Member]:
        """Yield the workers, dead ones among them."""
        for name in self.names():
            if (member := self.get(name)) is not None:
                yield member

    def quiet(self, name: str) -> float:
        """Return the seconds since a worker's last sign of life, infinity if there is none."""
        return self.clock.quiet((self._sign(name),))

    def is_dead(self, name: str) -> bool | None:
        """Return whether a worker is gone; None while that is not sure.

        A process that is not seen here proves nothing alone: it may be in a container, or on a machine of the same
        name. One whose files are not there (any more, or yet) is not known; see `watched_dead`.
        """
        member = self.get(name)
        is_here = member is not None and member.process.is_here
        if member is not None and is_here and member.process.is_alive():
            return False  # it may be stopped: then it goes on
        quiet = self.quiet(name)
        if quiet == float("inf"):
            return None
        if quiet > (2 * ALIVE_SECONDS if is_here else SILENT_SECONDS):
            return True
        return None if is_here or quiet > 3 * ALIVE_SECONDS else False

    def watched_dead(self, name: str) -> bool | None:
        """Return as `is_dead`; a worker of which nothing is there is dead when that was seen for long.

        Another machine may see files late, and a name that is asked for too soon is remembered as absent.
        """
        if self.quiet(name) != float("inf"):
            self._unseen.pop(name, None)
            return self.is_dead(name)
        since = self._unseen.setdefault(name, time.monotonic())
        return True if time.monotonic() - since > SILENT_SECONDS else None

    def _record(self, name: str) -> Path:
        return self._path / f"{name}.json"

    def _sign(self, name: str) -> Path:
        return self._path / f"{name}.alive"
