"""Files that only grow, a line an event: a kill loses no line that is whole, and no later one."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import not_through_links, read_bytes
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.values import is_count, short


class Journal:
    """An append-only file of JSON lines whose first line says its kind and format version.

    A line that a kill cut short is skipped when reading, and the next append starts on a new line.
    """

    def __init__(self, path: Path, kind: str, version: int = 1) -> None:
        self.path, self.kind, self.version = path, kind, version

    def append(self, *records: Mapping[str, Any]) -> None:
        """Add records at the end and fsync them; what fails with an error that passes is gone on with.

        Raises
        ------
        OSError
            They could not be written, or not to the end: whoever reads them, or appends, gets by with that.
        """
        lines = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records).encode()
        first: list[tuple[int, bytes]] = []  # where the first try began to write, and what

        def add() -> None:
            with open(self.path, "ab+", opener=not_through_links) as out:
                size = out.seek(0, os.SEEK_END)
                if not first:
                    first.append((size, self._at_the_end(out, size, lines)))
                begin, content = first[0]
                out.seek(begin)
                there = out.read(len(content))
                if content.startswith(there):  # nothing, or as far as an earlier try has come
                    out.write(content[len(there) :])
                else:
                    out.write(self._at_the_end(out, size, lines))
                out.flush()
                os.fsync(out.fileno())

        patiently(add)

    def _at_the_end(self, out: IO[bytes], size: int, lines: bytes) -> bytes:
        """Return what makes lines a part of the journal as it ends now."""
        if size == 0:
            return json.dumps({"format": self.kind, "format_version": self.version}).encode() + b"\n" + lines
        out.seek(size - 1)
        return lines if out.read(1) == b"\n" else b"\n" + lines

    def read(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the whole records from byte `offset` on, and the offset to go on from; raises as `stream`."""
        records, end = self.stream(offset)
        return list(records), end

    def stream(self, offset: int = 0) -> tuple[Iterator[dict[str, Any]], int]:
        """Return the same with every record made when it is asked for: all at once take many times the file's size.

        Raises
        ------
        FormatError
            The file is of another kind or of a newer version.
        WorkspaceError
            It cannot be read (now, or by this user).
        """
        lines, end = self.whole_lines(offset)
        return self.records(lines, from_start=offset == 0), end

    def whole_lines(self, offset: int = 0) -> tuple[bytes, int]:
        """Return the whole lines from byte `offset` on, and the offset to go on from: 0 where there is no file.

        Raises
        ------
        WorkspaceError
            It cannot be read (now, or by this user).
        """
        try:
            data = read_bytes(self.path, offset=offset)
        except FileNotFoundError:
            return b"", 0
        end = data.rfind(b"\n") + 1
        return data[:end], offset + end

    def records(self, lines: bytes, *, from_start: bool) -> Iterator[dict[str, Any]]:
        """Return the records of whole lines, one after another: there may be very many.

        Parameters
        ----------
        from_start
            Whether they are the file's first ones, so that the first is to say its kind and version.

        Raises
        ------
        FormatError
            At once: the file is of another kind or of a newer version.
        """
        found = _records(lines)
        first = next(found, None) if from_start else None
        if first is None:
            return found
        if "format" not in first:
            return itertools.chain((first,), found)
        self._check(first)
        return found

    def _check(self, header: dict[str, Any]) -> None:
        if header["format"] != self.kind:
            raise FormatError(self.path, f"not a '{self.kind}' journal of xpm-alchem. Restore it from a backup.")
        found = header.get("format_version")
        if is_count(found) and found > self.version:
            raise FormatError(
                self.path,
                f"written by a newer xpm-alchem (format {found}, this one reads up to {self.version}). "
                "Upgrade xpm-alchem; nothing was changed.",
                newer=True,
            )
        if found != self.version:
            raise FormatError(
                self.path, f"damaged: 'format_version' in its first line is {short(found)}. Restore it from a backup."
            )


def _records(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in io.BytesIO(lines):
        try:
            record = json.loads(line.decode(errors="replace"))
        except (ValueError, RecursionError):  # cut short, or empty
            continue
        if isinstance(record, dict):
            yield record
