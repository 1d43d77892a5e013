"""What was made of journals that were read last, so that of one that grew only the rest is read.

In memory, for one process: a driver looks at the same long history many times in a step. Little is kept: of the
journals that were read last, and of short ones nothing: a file system is asked less to read one anew than to doubt it.
What is kept is doubted: it is used if the file has not changed at all, by its inode, size and times, or if it begins
with the very bytes that were read (prefix.py); one that was cut, replaced or edited is read anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs

from xpm_alchem.base.garbage import without_collecting
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.prefix import Prefix
from xpm_alchem.base.stamps import Stamp, stamp_of

KEPT = 4  # journals
WORTH_BYTES = 1 << 16
_YOUNG_SECONDS = 2.0  # a file can change once more at the same time by its clock, which may be coarse


class Reading(Protocol):
    """What is made of a journal's records."""

    def take(self, records: Iterable[dict[str, Any]]) -> None:
        """Take in what comes next."""


R = TypeVar("R", bound=Reading)


@attrs.define
class _Kept(Generic[R]):
    """What was made of the first bytes of a file in a directory; `stamp` is the file's where that says enough."""

    reading: R
    place: tuple[int, int] | None
    prefix: Prefix = attrs.field(factory=Prefix)
    stamp: Stamp | None = None


class KeptReadings(Generic[R]):
    """Journals by their paths, with what was made of them.

    Parameters
    ----------
    make
        Makes what is nothing yet for a journal of that path; it may depend on which directory it is in.
    """

    def __init__(self, make: Callable[[Path], R]) -> None:
        self._make = make
        self._kept: OrderedDict[Path, _Kept[R]] = OrderedDict()

    def of(self, journal: Journal) -> R:
        """Return what is made of all whole lines of a journal; it is to be left as it is.

        Raises
        ------
        FormatError
            The file is of another kind or of a newer version.
        WorkspaceError
            It cannot be read (now, or by this user).
        """
        path = journal.path
        kept = self._kept.pop(path, None)  # nobody else has it then; if this is interrupted, nobody has it any more
        if kept is None and len(lines := journal.whole_lines()[0]) < WORTH_BYTES:
            return self._short(journal, lines)  # a long one is read once more, after what tells that it changes
        place, stamp = _directory(path.parent), _stamp(path)
        if kept is None or kept.place != place or not (_same(kept.stamp, stamp) or _is_of(kept.prefix, path)):
            kept = _Kept(self._make(path), place)
        if not _same(kept.stamp, stamp):
            self._read_on(kept, journal)
            kept.stamp = stamp
        if kept.prefix.offset >= WORTH_BYTES:
            self._kept[path] = kept
            with suppress(KeyError):
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return kept.reading

    def _short(self, journal: Journal, lines: bytes) -> R:
        reading = self._make(journal.path)
        reading.take(journal.records(lines, from_start=True))
        return reading

    def _read_on(self, kept: _Kept[R], journal: Journal) -> None:
        start = kept.prefix.offset
        lines, _ = journal.whole_lines(start)
        kept.prefix.add(lines)
        with without_collecting():
            kept.reading.take(journal.records(lines, from_start=start == 0))


def _is_of(prefix: Prefix, path: Path) -> bool:
    now = Prefix.of(path, prefix.offset)
    return now is not None and now.digest == prefix.digest


def _same(before: Stamp | None, now: Stamp | None) -> bool:
    return before is not None and before == now


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file does; None where it has changed so lately that it may do so unseen."""
    try:
        found = stamp_of(path, is_asked_anew=True)
    except OSError:
        return None
    is_young = time.time() - max(found.modified_ns, found.changed_ns) / 1e9 < _YOUNG_SECONDS
    return None if is_young else found


def _directory(path: Path) -> tuple[int, int] | None:
    """Return which directory it is, whatever changes in it."""
    try:
        found = stamp_of(path)
    except OSError:
        return None
    return found.device, found.inode
