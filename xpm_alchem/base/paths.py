"""Paths as a user gives them: absolute, with their symbolic links. Nodes may know a link, and not what it leads to."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from xpm_alchem.base.errors import InputError, WorkspaceError
from xpm_alchem.base.passing import patiently

NOWHERE = "/nonexistent"  # the home directory of users without one
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


def ensure_home() -> None:
    """Give this process a home directory, in name at least, where its user has none: in a container, say."""
    if os.environ.get("HOME", "").startswith("/"):
        return
    try:
        os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        os.environ["HOME"] = NOWHERE


def expanded(given: str | Path) -> Path:
    """Return a path with '~' and '~user' replaced.

    Raises
    ------
    InputError
        There is no such user, or no path can be so.
    """
    if "\0" in str(given):
        raise InputError(f"{str(given)!r}: a null byte, which no path has.")
    try:
        return Path(given).expanduser()
    except RuntimeError:
        ensure_home()
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise InputError(f"{given}: this user, or the user's home directory, is not known here.") from None


def here() -> Path:
    """Return the current directory, by the links through which the user went there: the shell's `PWD`."""
    physical = Path.cwd()
    named = Path(os.environ.get("PWD", ""))
    try:
        return named if named.is_absolute() and ".." not in named.parts and named.samefile(physical) else physical
    except OSError:
        return physical


def absolute(path: str | Path) -> Path:
    """Return a path as an absolute one; links stay, and '..' is taken out where that leads to the same place."""
    whole = Path(path)
    if not whole.is_absolute():
        whole = here() / whole
    if ".." not in whole.parts:
        return whole
    short = Path(os.path.normpath(whole))
    return short if os.path.realpath(short) == os.path.realpath(whole) else whole.resolve()


def are_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same place, which need not be there yet."""
    try:
        return one == other or one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError):
        return False


def is_there(path: Path) -> bool:
    """Return whether there is something; unlike pathlib's, never False only because one may not look.

    Raises
    ------
    WorkspaceError
        This user may not look there, or it cannot be seen now.
    """
    try:
        patiently(path.stat)
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError) or error.errno in _NOTHING_THERE:
            return False
        raise WorkspaceError(f"{path}: cannot be read ({error.strerror}).").because(error) from None
    return True
