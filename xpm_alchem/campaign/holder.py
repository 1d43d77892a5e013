"""holder.json: the process that drives a campaign."""

from __future__ import annotations

import time
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record, write_record
from xpm_alchem.base.values import local_time, number
from xpm_alchem.execution.place import is_copy, place_of
from xpm_alchem.execution.processes import ProcessIdentity

HOLDER, HOLDER_VERSION = "xpm-alchem driver state", 1


@attrs.frozen
class Holder:
    """The process that drives a campaign, or (`is_brief`) makes one change to it."""

    process: ProcessIdentity
    since: float
    is_brief: bool = False

    def __str__(self) -> str:
        return f"host {self.process.host}, pid {self.process.pid}, since {local_time(self.since)}"

    @staticmethod
    def write(path: Path, *, is_brief: bool = False) -> None:
        """Note that this process drives the campaign in whose directory `path` is."""
        me = {**ProcessIdentity.of().to_record(), "since": time.time(), "is_brief": is_brief}
        write_record(path, HOLDER, HOLDER_VERSION, {**me, **place_of(path.parent)})

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """Return who was noted last; None if nobody was, or in a directory of which this one is a copy."""
        try:
            record = read_record(path, HOLDER, HOLDER_VERSION)
        except (OSError, FormatError):
            return None
        if is_copy(path.parent, record):
            return None
        return cls(ProcessIdentity.from_record(record), number(record.get("since")), record.get("is_brief") is True)
