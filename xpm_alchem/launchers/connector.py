"""How experimaestro reaches this machine, with a lock of a job's directory that is in nobody's way for good."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

import psutil
from experimaestro.connectors.local import AsyncLock, LocalConnector

from xpm_alchem.base.files import exists, remove
from xpm_alchem.base.passing import PAUSES, passes


class _DirectoryLock(AsyncLock):  # type: ignore[misc]
    """A lock that is given back although the call for it fails: the attempt just started waits for it."""

    async def _aio_release(self) -> None:
        for pause in PAUSES:
            try:
                return await super()._aio_release()
            except OSError as error:
                if not (self.acquired and passes(error)):
                    break
            await asyncio.sleep(pause)
        await asyncio.to_thread(remove, Path(self.path))  # others get a new file, which is free


class PatientConnector(LocalConnector):  # type: ignore[misc]
    """Files and processes of this machine."""

    def async_lock(self, path: Path, max_delay: int = -1) -> _DirectoryLock:
        """Return a lock of a job's directory."""
        return _DirectoryLock(path, timeout=max_delay if max_delay > 0 else -1)


@cache
def this_machine() -> PatientConnector:
    """Return the one connector."""
    return PatientConnector()


def remove_kept(lock: Path) -> None:
    """Remove a lock that this process still has because giving it back failed; leave what others hold.

    experimaestro takes it a second time when a job has ended, where no connector is asked.
    """
    if exists(lock) and str(lock.resolve()) in {file.path for file in psutil.Process().open_files()}:
        remove(lock)
