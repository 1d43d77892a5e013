"""The state that a campaign's journal tells: read on where the journal grew, begun with a snapshot where one is fit."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from xpm_alchem.base.garbage import without_collecting
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.prefix import Prefix
from xpm_alchem.campaign.snapshot import WORTH_LINES, may_leave_one, read_snapshot, write_snapshot
from xpm_alchem.campaign.task_state import CampaignState

_LOOK_SECONDS = 1.0  # between two looks whether the journal has gained what its only writer did not write
_NEVER = float("-inf")


class ToldState:
    """What a journal tells.

    Parameters
    ----------
    snapshot
        Where a snapshot is, or will be.

    Attributes
    ----------
    has_snapshots
        Whether a snapshot is used, and left; otherwise only the journal counts.
    """

    def __init__(self, journal: Journal, snapshot: Path) -> None:
        self._journal, self._snapshot = journal, snapshot
        self._prefix = Prefix()
        self._state: CampaignState | None = None
        self._made_of: tuple[Collection[str], Collection[str]] = ((), ())
        self._unspared = 0  # lines that were read since the last snapshot
        self._read_at = _NEVER
        self.has_snapshots = True

    @property
    def position(self) -> int:
        """How far the journal was read, in bytes."""
        return self._prefix.offset

    def look_again(self) -> None:
        """Read what the journal has gained when `now` is called next, whoever asks."""
        self._read_at = _NEVER

    def now(self, known: Collection[str], gone: Collection[str] = (), *, is_holder: bool) -> CampaignState:
        """Return the state, reading only what the journal gained since the last call: all of it, for another network.

        Parameters
        ----------
        known
            Stable ids of the transformations there are and were.
        gone
            Of those that were.
        is_holder
            Whether this process holds the campaign's lock: it may leave a snapshot whoever began the journal, and as
            nobody else writes, it is enough to look once a second.

        Raises
        ------
        FormatError
            The journal is of another kind or of a newer version.
        WorkspaceError
            It cannot be read (now, or by this user).
        """
        began = time.monotonic()
        if self._made_of[0] is not known or self._made_of[1] is not gone:
            if self._made_of != (known, gone):
                self._state = None
            self._made_of = (known, gone)
        if is_holder and self._state is not None and began - self._read_at < _LOOK_SECONDS:
            return self._state
        if self._state is None:
            found = read_snapshot(self._snapshot, self._journal.path, known, gone) if self.has_snapshots else None
            self._state, self._prefix = found or (CampaignState(known, gone), Prefix())
        try:
            self._read_on(self._state)
        except BaseException:  # Ctrl-C, say: half of what was read is not to be taken for all of it, nor to be kept
            self._state = None
            raise
        self._read_at = began
        if self._unspared >= max(WORTH_LINES, len(self._state.everything)):
            self._unspared = 0
            if self.has_snapshots and (is_holder or may_leave_one(self._journal.path)):
                write_snapshot(self._snapshot, self._journal.path, self._state, self._prefix, known)
        return self._state

    def _read_on(self, state: CampaignState) -> None:
        lines, offset = self._journal.whole_lines(self._prefix.offset)
        records = self._journal.records(lines, from_start=self._prefix.offset == 0)
        if offset < self._prefix.offset:  # there is no journal any more: what it told is kept in mind, but not on disk
            self._prefix, self.has_snapshots = Prefix(), False
        self._prefix.add(lines)
        with without_collecting():
            for record in records:
                state.apply(record)
        self._unspared += lines.count(b"\n")

    def agrees_with_snapshot(self, known: Collection[str], gone: Collection[str] = ()) -> bool | None:
        """Return whether going on from the snapshot leads to the state of now; None where none is fit to be used.

        Raises
        ------
        FormatError, WorkspaceError
            As from `now`.
        """
        found = read_snapshot(self._snapshot, self._journal.path, known, gone)
        if found is None:
            return None
        kept, prefix = found
        state = self.now(known, gone, is_holder=False)
        lines, _ = self._journal.whole_lines(prefix.offset)
        for record in self._journal.records(lines[: self.position - prefix.offset], from_start=False):
            kept.apply(record)
        return kept.to_plain() == state.to_plain()
