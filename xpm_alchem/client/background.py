"""Starting a driver in the background, and hearing what became of it."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError, XpmAlchemError
from xpm_alchem.base.files import not_through_links, one_sentence, read_bytes
from xpm_alchem.base.interpreter import python
from xpm_alchem.base.passing import patiently

DRIVES = "XPM_ALCHEM_DRIVES"  # the number of the pipe on which a driver in the background says that it drives
_ENDINGS = (0, 1, 3, 4, 5)  # exit codes of a driver that drove
SECONDS = 60.0  # to wait until it drives
_ENDED_SECONDS = 1.0  # for a driver that has nothing to do, or whose pipe was closed by its end
_LAST_LINES = 5


@attrs.frozen
class BackgroundDriver:
    """A driver that was started in the background.

    Attributes
    ----------
    log
        What it prints.
    drives
        Whether it has said that it drives; one that is slow has not yet.
    code
        What it has ended with; None while it runs.
    words
        The last lines it has printed, if it has ended.
    """

    pid: int
    log: Path
    drives: bool
    code: int | None = None
    words: str = ""

    @property
    def sentence(self) -> str:
        """What became of it."""
        if self.code is not None:
            return f"the driver has ended already{f': {self.words}' if self.words else ''}"
        if self.drives:
            return f"detached: pid {self.pid}"
        return f"detached: pid {self.pid}, which does not drive yet; what it says is in {self.log}"


def start_driver(log: Path, *arguments: object) -> BackgroundDriver:
    """Start a driver in the background; what it ends with is the campaign's only if it has said that it drives.

    Parameters
    ----------
    log
        The file that it prints to.
    arguments
        Of Python: the driver's module and what that needs.

    Raises
    ------
    XpmAlchemError
        It did not start to drive, or was killed: says what it has printed.
    """
    heard, told = os.pipe()
    with one_sentence(log), patiently(lambda: open(log, "ab", opener=not_through_links)) as stream:
        before = stream.tell()
        process = subprocess.Popen(
            python(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            pass_fds=(told,),
            env={**os.environ, DRIVES: str(told)},
        )
    os.close(told)
    is_heard = bool(select.select([heard], [], [], SECONDS)[0])
    drives = is_heard and os.read(heard, 1) != b""
    os.close(heard)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDED_SECONDS if is_heard else 0.0)
    if process.returncode is None:
        threading.Thread(target=process.wait, daemon=True).start()  # it is nobody's zombie where this process goes on
        return BackgroundDriver(process.pid, log, drives)
    words = _last_words(log, before)
    if drives and process.returncode in _ENDINGS:
        return BackgroundDriver(process.pid, log, drives, process.returncode, words)
    ended = f"was killed by signal {-process.returncode}" if process.returncode < 0 else "ended at once"
    began = "ended before it was detached" if drives else "did not start"
    raise XpmAlchemError(
        f"the driver {began}: {words or f'it {ended}, with exit code {process.returncode}, and printed nothing'} "
        f"(see {log})"
    )


def tell_that_it_drives() -> None:
    """Tell whoever has started this process in the background, and may not wait for it any more."""
    if told := os.environ.pop(DRIVES, ""):
        with suppress(OSError, ValueError), open(int(told), "wb", buffering=0) as pipe:
            pipe.write(b"1")


def _last_words(log: Path, since: int) -> str:
    """Return the last lines that a driver has printed, '' if it has printed nothing."""
    try:
        printed = read_bytes(log, offset=since).decode(errors="replace")
    except (OSError, FormatError):
        return ""
    return "\n".join(printed.strip().splitlines()[-_LAST_LINES:])
