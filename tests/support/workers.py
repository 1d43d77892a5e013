"""Workers of a test's workspace: real ones, each a process that starts its attempts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import forked
import psutil
from patience import end_of
from places import SUPPORT


class Workers:
    """Starts workers, freezes and thaws them, and ends those that are left.

    Parameters
    ----------
    workspace
        Whose tasks they take.
    log
        A file for what they say.

    Attributes
    ----------
    started
        All that were started, dead ones among them.
    """

    def __init__(self, workspace: Path, log: Path) -> None:
        self._workspace, self.log = workspace, log
        self.started: list[subprocess.Popen[bytes]] = []
        self._frozen: dict[int, float] = {}  # pids, until when

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(
        self,
        *options: object,
        before: Sequence[str] = (),
        durations: Mapping[str, float] | None = None,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """Start ``xpm-alchem work OPTIONS``.

        Parameters
        ----------
        before
            A command that starts it: faketime, unshare.
        durations
            Durations in it that are others than usual, see `tuned`.
        environment
            More variables.
        """
        program = [str(SUPPORT / "tuned.py"), json.dumps(durations), "0"] if durations else ["-m", "xpm_alchem"]
        words = [*before, sys.executable, *program, "work", "-w", str(self._workspace), *map(str, options)]
        self._workspace.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            started = forked.Popen(
                words, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.started.append(started)
        return started

    def alive(self, *, frozen: bool = True) -> list[subprocess.Popen[bytes]]:
        """Return those that have not ended; frozen ones only if that is wanted."""
        return [one for one in self.started if (frozen or one.pid not in self._frozen) and one.poll() is None]

    def freeze(self, pids: Sequence[int], seconds: float) -> None:
        """Stop processes for some time; `thaw` lets them go on."""
        for pid in pids:
            send(pid, signal.SIGSTOP)
            self._frozen[pid] = time.monotonic() + seconds

    def thaw(self, *, all_of_them: bool = False) -> None:
        """Let frozen processes go on whose time has come."""
        for pid, until in list(self._frozen.items()):
            if all_of_them or time.monotonic() >= until:
                send(pid, signal.SIGCONT)
                del self._frozen[pid]

    def end(self) -> None:
        """End all that are left, as a user does."""
        self.thaw(all_of_them=True)
        for one in self.alive():
            one.terminate()
        for one in self.started:
            end_of(one)

    def said(self) -> str:
        """Return what they have said."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def tree(pid: int) -> list[int]:
    """Return a process and all that it has started, itself first."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return [pid]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def in_pool(workspace: Path, pool: str = "main") -> list[str]:
    """Return the files of a pool: offers, what was taken, what workers have left."""
    path = workspace / "pools" / pool
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file() and one.name != "clock")
