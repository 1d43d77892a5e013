"""Where an export is written: nothing is overwritten unless that is asked for, and never what is not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from xpm_alchem.base.errors import FormatError, InputError
from xpm_alchem.base.files import atomic_write, one_sentence, read_record, write_record

MANIFEST, MANIFEST_VERSION = "xpm-alchem export", 1
_NAME = "export.json"


def check_file(path: Path, *, force: bool) -> None:
    """Raise InputError unless a file may be written at `path`."""
    if path.is_dir():
        raise InputError(f"{path}: a directory; this format is one file: give its name.")
    if path.exists() and not force:
        raise InputError(f"{path}: exists already; --force overwrites it.")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with one_sentence(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as out:
            out.write(text)


def check_directory(path: Path, *, force: bool) -> None:
    """Raise InputError unless a directory of an export may be made at `path`, or made again."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: a file; this format is a directory of files: give another name.")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not force:
        raise InputError(f"{path}: exists already and is not empty; --force writes the export there again.")
    if not (path / _NAME).is_file():
        raise InputError(f"{path}: not an export of xpm-alchem (no {_NAME} in it), so nothing in it is overwritten.")
    _listed(path)


def write_directory(path: Path, what: str, files: Iterable[tuple[str, Callable[[Path], None]]]) -> int:
    """Write the files of an export, all of them or none; those of an earlier one that are no longer among them go.

    Parameters
    ----------
    what
        The format, for the list of files that is kept in the directory.
    files
        Relative path of each, and what writes it there.

    Returns
    -------
    int
        How many were written.
    """
    with one_sentence(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        before = _listed(path) if (path / _NAME).is_file() else []
        near = path if path.is_dir() else path.parent  # on the same file system
        with TemporaryDirectory(prefix=".export.", suffix=".tmp", dir=near) as directory:
            made, written = Path(directory) / "made", list[str]()
            made.mkdir()
            for name, write in files:
                target = made / name
                target.parent.mkdir(parents=True, exist_ok=True)
                write(target)
                written.append(name)
            _list(made, what, sorted(written))
            if path.is_dir():
                _put_in_place(made, path, what, before, written)
            else:
                made.replace(path)
    return len(written)


def _put_in_place(made: Path, path: Path, what: str, before: list[str], written: list[str]) -> None:
    """Replace the files of an earlier export by those that were made; the list tells at any moment whose they are."""
    _list(path, what, sorted({*before, *written}))
    for name in written:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).replace(path / name)
    for name in set(before) - set(written):
        (path / name).unlink(missing_ok=True)
    _list(path, what, sorted(written))


def _list(path: Path, what: str, files: list[str]) -> None:
    write_record(path / _NAME, MANIFEST, MANIFEST_VERSION, {"export": what, "files": files})


def _listed(path: Path) -> list[str]:
    """Return the files that an earlier export has written; a list that was tampered with leads nowhere else."""
    try:
        names: Any = read_record(path / _NAME, MANIFEST, MANIFEST_VERSION).get("files")
    except FormatError as error:
        raise InputError(f"{error} Give another directory.") from None
    sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not sound or any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in names):
        raise InputError(f"{path / _NAME}: damaged. Give another directory.")
    return list(names)
