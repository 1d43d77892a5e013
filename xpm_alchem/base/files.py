"""Reading and writing files so that a kill leaves the old content or the new, never half of it."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from xpm_alchem.base.errors import FormatError, WorkspaceError
from xpm_alchem.base.passing import passes, patiently
from xpm_alchem.base.permissions import ANYBODY, make_file, permissions_of
from xpm_alchem.base.values import is_count, short

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_CHUNK = 1 << 16
Migration = Callable[[dict[str, Any]], dict[str, Any]]


@contextmanager
def atomic_write(
    path: Path, mode: str = "w", *, exclusive: bool = False, permissions: int = ANYBODY
) -> Iterator[IO[Any]]:
    """Gather what a block writes; when it ends well that is written beside `path`, fsynced and renamed to `path`.

    What fails with an error that passes is tried again.

    Parameters
    ----------
    permissions
        Of the new file, at most: a file that it replaces, and the umask, may allow less.

    Raises
    ------
    FileExistsError
        `exclusive`, and `path` exists when the block has ended.
    """
    content = io.BytesIO()
    out: IO[Any] = content if "b" in mode else io.TextIOWrapper(content)
    yield out
    out.flush()
    replace_file(path, content.getvalue(), exclusive=exclusive, permissions=permissions)


def replace_file(
    path: Path,
    content: bytes | Iterable[str],
    *,
    exclusive: bool = False,
    permissions: int = ANYBODY,
    is_synced: bool = True,
) -> int:
    """Write a file whole or not at all: beside `path`, fsynced, and renamed to it; see `atomic_write`.

    Parameters
    ----------
    content
        All of it, or pieces of its text, which are iterated anew with each try.
    is_synced
        Whether it must outlive a machine that stops; without that it may be empty then.

    Returns
    -------
    int
        The size of the content in bytes.
    """
    tmp = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    allowed = permissions & permissions_of(path)
    try:
        size = patiently(lambda: _write(tmp, content, allowed, is_synced))
        if exclusive and _linked(tmp, path):
            remove(tmp)
        else:
            rename(tmp, path)
    except BaseException:
        with suppress(OSError):
            remove(tmp)
        raise
    return size


def _write(path: Path, content: bytes | Iterable[str], permissions: int, is_synced: bool) -> int:
    pieces = (content,) if isinstance(content, bytes) else map(str.encode, content)
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, permissions)) as out:
        size = sum(map(out.write, pieces))
        out.flush()
        if is_synced:
            os.fsync(out.fileno())
    return size


def rename(tmp: Path, path: Path) -> None:
    """Rename a file, over another if there is one. Tried again, it may be done already: an answer can get lost."""
    tries = itertools.count()

    def replace() -> None:
        again = next(tries) > 0
        try:
            os.replace(tmp, path)
        except FileNotFoundError:
            if not again or exists(tmp) or not exists(path):
                raise

    patiently(replace)


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Make one sentence of an OSError that comes up while `path` is written.

    Raises
    ------
    WorkspaceError
        Instead of it.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, WorkspaceError):
            raise
        named = error.filename if error.filename and not str(error.filename).endswith(".tmp") else path
        raise WorkspaceError(f"{named}: cannot be written ({error.strerror}).").because(error) from None


def _linked(tmp: Path, path: Path) -> bool:
    """Give `tmp` the name `path` if that is free; return False on a file system without hard links."""

    def link() -> bool:
        try:
            os.link(tmp, path)
        except FileExistsError:
            if not os.path.samestat(tmp.lstat(), path.lstat()):  # else an earlier try of ours has done it
                raise
        except OSError as error:
            if passes(error):
                raise
            if exists(path):
                raise FileExistsError(errno.EEXIST, "exists already", str(path)) from None
            return False
        return True

    return patiently(link)


def read_bytes(path: Path, *, offset: int = 0, most: int | None = None) -> bytes:
    """Return the content of a file; never waits, as for a pipe.

    Parameters
    ----------
    offset
        The first byte.
    most
        The most bytes the file may have.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        It is no file, or larger.
    WorkspaceError
        It cannot be read (now, or by this user).
    """

    def read() -> bytes:
        with open(path, "rb", buffering=0, opener=_without_waiting) as content:
            status = os.fstat(content.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FormatError(path, "not a file. Put the file back, from a backup if there is one.")
            if most is not None and status.st_size > most:
                raise FormatError(path, f"damaged: it has {status.st_size} bytes. Restore it from a backup.")
            if offset:
                content.seek(offset)
            return _rest(content, status.st_size - offset)

    try:
        return patiently(read)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        message = "a directory, where a file should be. Put the file back, or remove it."
        raise FormatError(path, message, broken=True) from None
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror}).").because(error) from None


def _rest(content: io.FileIO, size: int) -> bytes:
    """Return what is left of a file, about so many bytes; `read` of all would ask for their number again."""
    parts = []
    while part := content.read(max(size, _CHUNK)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def not_through_links(path: str, flags: int) -> int:
    """Open a file to write; a symbolic link could lead anywhere."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise WorkspaceError(
                f"{path}: a symbolic link, and nothing is written through one. Put the file itself in its place."
            ) from None
        raise


def exists(path: Path, *, follow_links: bool = True) -> bool:
    """Whether there is something of that name; an error is not taken for an absence.

    Raises
    ------
    OSError
        That cannot be known (now, or by this user).
    """
    return _mode(path, follow_links) is not None


def is_directory(path: Path) -> bool:
    """Whether a path leads to a directory.

    Raises
    ------
    OSError
        That cannot be known (now, or by this user).
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path, follow_links: bool = True) -> int | None:
    try:
        return patiently(lambda: path.stat(follow_symlinks=follow_links)).st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def names_in(directory: Path) -> list[str]:
    """Return what is in a directory, by name; nothing where there is none.

    Raises
    ------
    OSError
        That cannot be known (now, or by this user): an error is not taken for an absence, as `glob` does.
    """
    try:
        return patiently(lambda: sorted(os.listdir(directory)))  # noqa: PTH208 - a Path of each would take its time
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise


def remove(path: Path) -> None:
    """Remove a file if there is one."""
    patiently(lambda: path.unlink(missing_ok=True))


def make_directories(path: Path) -> None:
    """Make a directory and those above it that are lacking."""
    patiently(lambda: path.mkdir(parents=True, exist_ok=True))


def make_empty_directory(path: Path) -> None:
    """Make a directory, and those above it that are lacking; what is in it is removed as far as it can be."""
    try:
        patiently(lambda: path.mkdir(parents=True))
    except FileExistsError:
        shutil.rmtree(path, ignore_errors=True)
        make_directories(path)


def remove_directory(path: Path) -> None:
    """Remove a directory with all in it, as far as that can be removed."""
    try:
        path.rmdir()  # most often it is empty, and that is all
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


def remove_if_empty(path: Path) -> None:
    """Remove a directory that has nothing in it; what cannot be removed stays."""
    with suppress(OSError):
        path.rmdir()


def first_free(path_of: Callable[[int], Path], start: int = 1) -> Path:
    """Return the path of the lowest number, from `start` on, that does not exist."""
    return next(path for path in map(path_of, itertools.count(start)) if not exists(path))


def set_aside(path: Path) -> Path:
    """Rename a file or directory to '<name>.set-aside-<number>', which is kept, and return its new path."""
    target = first_free(lambda number: path.with_name(f"{path.name}.set-aside-{number}"))
    rename(path, target)
    return target


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy a file, its times and its permissions; what was there is replaced, also a link."""
    Path(target).unlink(missing_ok=True)
    make_file(Path(target), permissions_of(Path(source)))
    shutil.copyfile(source, target)
    shutil.copystat(source, target)


def write_json(path: Path, content: Any, *, permissions: int = ANYBODY, is_synced: bool = True) -> None:
    """Write `content` as JSON, whole or not at all; see `replace_file`."""
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    replace_file(path, text.encode(), permissions=permissions, is_synced=is_synced)


def write_record(
    path: Path,
    kind: str,
    version: int,
    content: Mapping[str, Any],
    *,
    permissions: int = ANYBODY,
    is_synced: bool = True,
) -> None:
    """Write a record of ours: JSON that says its kind and the version of its format; see `replace_file`."""
    whole = {"format": kind, "format_version": version, **content}
    write_json(path, whole, permissions=permissions, is_synced=is_synced)


def read_record(
    path: Path,
    kind: str,
    version: int,
    migrations: Mapping[int, Migration] | None = None,
    *,
    oldest: int | None = None,
) -> dict[str, Any]:
    """Read a record written by `write_record`.

    Parameters
    ----------
    path, kind, version
        The file, the kind it must have, and the newest version that is understood.
    migrations
        From version n to n + 1. A file of an older version is copied to ``<name>.v<n>.bak`` and rewritten.
    oldest
        The oldest version that is returned as it is, with its `format_version`; default `version`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FormatError
        The file is no record of this kind, is damaged, or was written by a newer version.
    WorkspaceError
        It cannot be read (now, or by this user).
    """
    try:
        content: dict[str, Any] = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise FormatError(path, f"damaged: not valid JSON ({error}). Restore it from a backup.") from None
    if not isinstance(content, dict) or content.get("format") != kind:
        raise FormatError(path, f"not a '{kind}' file of xpm-alchem. Restore it from a backup.")
    found = content.get("format_version")
    if not is_count(found) or found < 1:
        raise FormatError(path, f"damaged: 'format_version' is {short(found)}. Restore it from a backup.")
    if found > version:
        raise FormatError(
            path,
            f"written by a newer xpm-alchem (format {found}, this one reads up to {version}). "
            "Upgrade xpm-alchem; nothing was changed.",
            newer=True,
        )
    if found < (version if oldest is None else oldest):
        for step in range(found, version):
            migrate = (migrations or {}).get(step)
            if migrate is None:
                raise FormatError(path, f"format {found} can no longer be migrated to {version}.")
            content = migrate(content)
        content |= {"format": kind, "format_version": version}
        with suppress(OSError):  # a reader who may not write, or cannot now, goes on with what was read
            copy_file(path, path.with_name(f"{path.name}.v{found}.bak"))
            write_json(path, content)
    return content
