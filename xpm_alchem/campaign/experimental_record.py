"""experimental.json: which file of measured values a campaign was given, and what was in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_record, remove, write_record
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.campaign.experimental import read_text

EXPERIMENTAL, EXPERIMENTAL_VERSION = "xpm-alchem experimental values", 1


def read_experimental(path: Path) -> tuple[Path, str] | None:
    """Return the file that the campaign was given, and its text: as it was, if it is gone; None without one.

    Raises
    ------
    FormatError
        The record is damaged, or was written by a newer version.
    """
    try:
        record = read_record(path, EXPERIMENTAL, EXPERIMENTAL_VERSION)
    except FileNotFoundError:
        return None
    file, text = record.get("file"), record.get("text")
    if not (isinstance(file, str) and isinstance(text, str) and file.isprintable()):
        raise FormatError(path, "damaged. It can be removed: `xpm-alchem run` makes it again.")
    with suppress(OSError, FormatError, UnicodeDecodeError):
        text = read_text(Path(file))
    return Path(file), text


def write_experimental(path: Path, file: Path | None) -> None:
    """Note a file of measured values, as readable as that is, or that there is none."""
    if file is None:
        remove(path)
    else:
        content = {"file": str(file), "text": read_text(file)}
        write_record(path, EXPERIMENTAL, EXPERIMENTAL_VERSION, content, permissions=permissions_of(file))
