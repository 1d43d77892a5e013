"""Who may write a campaign's records now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xpm_alchem.base.errors import CampaignLockedError, WorkspaceError
from xpm_alchem.base.files import remove
from xpm_alchem.base.passing import passes, patiently
from xpm_alchem.base.shell import command_line
from xpm_alchem.campaign.holder import Holder

if TYPE_CHECKING:
    import filelock

_BRIEF_SECONDS = 30.0  # how long a command that makes one change is waited for
_HEARTBEAT_SECONDS = 90.0  # a driver on another host whose heartbeat is younger than this is taken to be alive


class CampaignLock:
    """The lock of a campaign, with a note of who holds it.

    Parameters
    ----------
    path
        The campaign's directory.
    what
        What is driven, where that is no campaign.

    Attributes
    ----------
    is_held
        Whether this is the holder.
    """

    def __init__(self, path: Path, what: str = "") -> None:
        self._path, self._holder_path = path, path / "holder.json"
        self._what = what
        self.is_held = False

    @contextmanager
    def hold(self, *, is_brief: bool) -> Iterator[None]:
        """Be the one writer, as `CampaignRecords.lock` has it."""
        import filelock  # with asyncio it takes its time, and what only looks does without it

        lock = filelock.FileLock(self._path / "lock")
        holder = self.holder()
        if holder is not None and not holder.process.is_here and self._heartbeat_is_fresh():
            raise self._locked(holder)
        self._acquire(lock)
        try:
            Holder.write(self._holder_path, is_brief=is_brief)
            self.is_held = True
            yield
        finally:
            self.is_held = False
            with suppress(OSError):
                remove(self._holder_path)
            with suppress(OSError):  # it is given back with the process at the latest
                patiently(lock.release)

    def _acquire(self, lock: filelock.FileLock) -> None:
        import filelock

        until = time.time() + _BRIEF_SECONDS
        while True:
            try:
                patiently(lambda: lock.acquire(timeout=0))
                return
            except filelock.Timeout:
                holder = self.holder()  # None: it has just got the lock, or is about to give it back
                if (holder is not None and not holder.is_brief) or time.time() > until:
                    raise self._locked(holder) from None
            except OSError as error:
                raise cannot_be_written(self._path, error) from None
            time.sleep(0.05)

    def holder(self) -> Holder | None:
        """Return who drives the campaign, or None if nobody does (or the last one was killed)."""
        holder = Holder.read(self._holder_path)
        if holder is None:
            return None
        alive = holder.process.is_alive() if holder.process.is_here else self._heartbeat_is_fresh()
        return holder if alive else None

    def beat(self) -> None:
        """Tell other hosts that the driver is alive."""
        with suppress(OSError):
            os.utime(self._holder_path)

    def _heartbeat_is_fresh(self) -> bool:
        try:
            return time.time() - patiently(self._holder_path.stat).st_mtime < _HEARTBEAT_SECONDS
        except OSError:
            return False

    def _locked(self, holder: Holder | None) -> CampaignLockedError:
        who = f" ({holder})" if holder else ""
        if self._what:
            return CampaignLockedError(
                f"{self._what} is driven by another process{who}. End that one first; nothing was changed."
            )
        return CampaignLockedError(
            f"campaign '{self._path.name}' is driven by another process{who}. Watch it with "
            f"`{command_line('attach', str(self._path))}`, or end that process first; nothing was changed."
        )


def cannot_be_written(path: Path, error: OSError) -> WorkspaceError:
    """Return an error that says in a sentence that a campaign could not be written, and for how long."""
    if isinstance(error, WorkspaceError):
        return error
    if passes(error):
        return WorkspaceError(f"{path}: cannot be written now ({error.strerror}).").because(error)
    return WorkspaceError(f"{path}: this campaign is read-only for you ({error.strerror}).").because(error)
