"""What nobody needs any more in a pool: of workers that are dead, of launches that were given to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import names_in, remove
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.workers.members import Members
from xpm_alchem.launchers.workers.pool import Offer, Pool


def leftovers(pool: Pool, campaign: str) -> Iterator[Path]:
    """Yield the files of a pool that are of no use: of dead workers, and of a campaign's tasks that have moved on.

    Raises
    ------
    OSError
        The pool cannot be seen now.
    """
    members = Members(pool)
    for name in members.names():
        if members.is_dead(name):
            yield from members.files(name)
    living = set(members.names())
    for path in (pool.workers / name for name in names_in(pool.workers) if name.endswith(".alive")):
        if path.stem not in living:
            yield path
    for directory in (pool.offers, pool.taken_path, pool.ended_path / campaign):
        yield from _dealt_with(directory, campaign)
    taken = set(names_in(pool.taken_path))
    yield from (pool.kills_path / name for name in names_in(pool.kills_path) if name not in taken)


def clear_ends(pool: Pool, campaign: str) -> None:
    """Remove the ends of a campaign's tasks that were decided on and are left: they came while no driver was there."""
    with suppress(OSError):
        for path in _dealt_with(pool.ended_path / campaign, campaign):
            remove(path)


def _dealt_with(directory: Path, campaign: str) -> Iterator[Path]:
    return (path for name in names_in(directory) if _is_dealt_with(path := directory / name, campaign))


def _is_dealt_with(path: Path, campaign: str) -> bool:
    """Whether a task's orders name another launch than what was offered, or its driver has decided on the attempt.

    What cannot be read may be needed.
    """
    with suppress(OSError, FormatError):
        offer = Offer.read(path)
        directory = Path(offer.script).parent
        if offer.campaign != campaign:
            return False
        return Orders.read(directory).launch != offer.launch or _is_decided(path, directory)
    return False


def _is_decided(path: Path, directory: Path) -> bool:
    """Whether the driver has decided on the attempt of an offer, which began after it by the file system's clock."""
    attempts = AttemptLog(TaskDirectory(directory).attempts).read()
    worker = path.name.partition("@")[2].partition("=")[0]
    if not attempts or attempts[-1].decision is None or attempts[-1].launched_as not in (None, worker):
        return False
    last = attempts[-1]
    return (last.began_on_disk if last.began else last.end or 0.0) >= path.stat().st_mtime
