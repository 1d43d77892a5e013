"""tasks.snapshot of a campaign: the state that its journal told up to an offset, so that only the rest must be read.

It is a cache, and nothing depends on it: whatever is wrong with it, the whole journal is read instead, and the file is
made again. It is used only if

- it is whole, of this format, and of the code that folds journals here: not of an older version of it, nor a newer one;
- the campaign's transformations are those it was made with, since tasks of others are passed over;
- the journal begins with the very bytes it was made of: their hash says so (base/prefix.py). A line that was corrected
  by hand, a backup that was put back or a journal that began anew differ in it; a copy of a workspace does not;
- it belongs to this user, or to the journal's owner. Another member of a group who may write here could have made it
  of something else; whose journal it is, is believed anyway.

Who has read many lines that no snapshot spared it leaves one: the driver, and whoever looks. That a command that looks
does so too is for campaigns that nobody drives any more, and those of earlier versions; but it does so only in its own
user's campaigns, as a file of another owner has no place in somebody's campaign. The doctor never does: it reads the
whole journal, and compares. Writers need no lock: a snapshot appears whole, and the last one is as good as another.

The file is JSON, as a pickle could run code: a line that says what it is made of, then the state. It says nothing that
the journal does not say, and may be read by nobody who may not read that.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from xpm_alchem import __version__
from xpm_alchem.base.files import atomic_write
from xpm_alchem.base.garbage import without_collecting
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.base.prefix import Prefix
from xpm_alchem.campaign.task_state import CampaignState

FORMAT, FORMAT_VERSION = "xpm-alchem snapshot of tasks", 1
WORTH_LINES = 5000  # read without a snapshot's help, in about a tenth of a second; with many tasks it may be more
_ROOM = Path(__file__).parent
_FOLDING = (  # what decides what a journal tells
    *(_ROOM / name for name in ("task_state.py", "spending.py", "standing.py", "hosts.py", "snapshot.py")),
    *(_ROOM.parent / "base" / name for name in ("values.py", "energies.py", "files.py")),
)


def read_snapshot(
    path: Path, journal: Path, transformations: Iterable[str], gone: Collection[str] = ()
) -> tuple[CampaignState, Prefix] | None:
    """Return the state up to an offset of the journal, and the journal's bytes up to there; None if none is fit.

    Parameters
    ----------
    path
        The snapshot.
    journal
        The journal it should be one of.
    transformations
        Stable ids of those there are and were.
    gone
        Of those that were.
    """
    known = frozenset(transformations)
    try:
        content = _believed(path, journal)
        if content is None:
            return None
        first, _, state = content.partition(b"\n")
        header = json.loads(first)
        prefix = Prefix.of(journal, header["offset"])
        if prefix is None or header != _header(prefix, known, state):
            return None
        with without_collecting():
            return CampaignState.from_plain(json.loads(state), known, gone), prefix
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        return None  # there is none, or it is damaged


def write_snapshot(path: Path, journal: Path, state: CampaignState, prefix: Prefix, known: Iterable[str]) -> None:
    """Write a snapshot, whole or not at all; without effect if the disk does not let us.

    Parameters
    ----------
    state, prefix
        What was read of the journal, and the very bytes it was read from.
    known
        Stable ids of the transformations there are and were.
    """
    content = json.dumps(state.to_plain(), separators=(",", ":")).encode()
    header = json.dumps(_header(prefix, frozenset(known), content), sort_keys=True).encode()
    with suppress(OSError), atomic_write(path, "wb", permissions=permissions_of(journal)) as out:
        out.write(header + b"\n")
        out.write(content)


def may_leave_one(journal: Path) -> bool:
    """Whether a journal is this user's own, so that a snapshot may lie beside it."""
    with suppress(OSError):
        return journal.stat().st_uid == os.geteuid()
    return False


def is_whole(path: Path) -> bool:
    """Whether a file is a snapshot that is not damaged; one of another version is taken to be whole.

    Raises
    ------
    OSError
        It cannot be read.
    """
    first, _, state = path.read_bytes().partition(b"\n")
    try:
        header = json.loads(first)
        if header["format"] != FORMAT:
            return False
        return header["format_version"] != FORMAT_VERSION or header["state"] == _hash(state)
    except (LookupError, TypeError, ValueError, RecursionError):
        return False


def _believed(path: Path, journal: Path) -> bytes | None:
    """Return the content of a file whose owner is believed; never waits, follows no link."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    with open(path, "rb", opener=lambda name, more: os.open(name, more | flags)) as content:
        status = os.fstat(content.fileno())
        owners = (os.geteuid(), journal.stat().st_uid)
        return content.read() if stat.S_ISREG(status.st_mode) and status.st_uid in owners else None


def _header(prefix: Prefix, known: Iterable[str], state: bytes) -> Mapping[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "folding": _folding(),
        "transformations": _hash("\n".join(sorted(known)).encode()),
        "offset": prefix.offset,
        "journal": prefix.digest,
        "state": _hash(state),
    }


@cache
def _folding() -> str:
    """Return what stands for the code that folds: an installation from a checkout keeps its version number."""
    try:
        return _hash(b"".join(path.read_bytes() for path in _FOLDING))
    except OSError:  # an installation without sources: its version number says it all
        return ""


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()
