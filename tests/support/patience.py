"""How much patience this machine needs now: every wait of the tests ends here, and none counts plain seconds.

All durations are given as on a machine that does nothing else. A wait ends as soon as what it waits for has come, so
patience costs nothing where nothing is wrong; pytest-timeout is behind all of it.
"""

from __future__ import annotations

import functools
import math
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import forked

MOST = 20.0  # beyond this something is wrong with the machine
_CORES = len(os.sched_getaffinity(0))
_START_SECONDS = 0.05  # a bare Python, generously
_MEASURED_EVERY = 20.0  # seconds
_LOOK_SECONDS = 5.0  # a wait for a process looks this often how slow the machine is


def slowness() -> float:
    """Return how many times longer things may take now than on a machine that does nothing else.

    It is the largest of three: what has run per core over the last minute, what runs at this moment, and what it takes
    to start Python, which also sees a slow disk and neighbours outside of a container. At least 1, at most `MOST`.
    """
    minute, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    busy = max(float(minute), float(running.partition("/")[0])) / _CORES
    return min(MOST, max(1.0, busy, _start_of_python(int(time.monotonic() / _MEASURED_EVERY)) / _START_SECONDS))


@functools.lru_cache(maxsize=1)
def _start_of_python(when: int) -> float:
    """Return the seconds that it takes to start a bare Python, measured once for each `when`."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.monotonic() - began


def scaled(seconds: float) -> float:
    """Return what takes so long on a machine that does nothing else, for what must be given a number of seconds."""
    return seconds * slowness()


def whole_minutes(*, enough_for: float = 3.0) -> int:
    """Return a time limit for SLURM, which counts minutes: in place of the one minute of a machine at rest.

    Parameters
    ----------
    enough_for
        The slowness up to which one minute is enough.
    """
    return math.ceil(slowness() / enough_for)


class Patience:
    """A wait that lasts as long as the machine needs: it looks again, when it would be over, how slow things are.

    Parameters
    ----------
    seconds
        What is enough on a machine that does nothing else.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began, self._slowest = seconds, time.monotonic(), 1.0

    def is_over(self) -> bool:
        """Whether it has been long enough, also for the machine at its slowest."""
        waited = time.monotonic() - self._began
        if waited < self._seconds * self._slowest:
            return False
        self._slowest = max(self._slowest, slowness())
        return waited >= self._seconds * self._slowest

    def __str__(self) -> str:
        return f"{self._seconds:g} s (of a machine at rest; {time.monotonic() - self._began:.0f} s of this one)"


def wait_for(condition: Callable[[], Any], *, seconds: float = 60, what: str = "it", pause: float = 0.05) -> Any:
    """Return the condition's value as soon as it is true.

    Raises
    ------
    AssertionError
        It has not become true, with all the patience that the machine needs.
    """
    patience = Patience(seconds)
    while not (value := condition()):
        if patience.is_over():
            raise AssertionError(f"{what} did not happen within {patience}")
        time.sleep(pause)
    return value


def communicate(process: subprocess.Popen[Any], seconds: float = 200) -> tuple[Any, Any]:
    """Wait for a process's end; return what it printed on stdout and stderr, as `Popen.communicate` does.

    Raises
    ------
    subprocess.TimeoutExpired
        It has not ended, with all the patience that the machine needs.
    """
    patience = Patience(seconds)
    while True:
        try:
            return process.communicate(timeout=min(_LOOK_SECONDS, seconds))
        except subprocess.TimeoutExpired:
            if patience.is_over():
                raise


def end_of(process: subprocess.Popen[Any], seconds: float = 60) -> int:
    """Wait for a process's end; return its exit code.

    Raises
    ------
    subprocess.TimeoutExpired
        It has not ended, with all the patience that the machine needs.
    """
    patience = Patience(seconds)
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(_LOOK_SECONDS, seconds))
        if patience.is_over():
            raise subprocess.TimeoutExpired(process.args, seconds)


def hear(process: subprocess.Popen[Any], pattern: str, *, times: int = 1, seconds: float = 200) -> str:
    """Wait until a process has printed a text so many times; return all that it has printed until then.

    What it prints later is for `communicate`: nothing is read ahead and lost.

    Raises
    ------
    AssertionError
        It has ended without, or not said it with all the patience that the machine needs.
    """
    assert process.stdout is not None
    patience, said = Patience(seconds), b""
    while len(re.findall(pattern, said.decode(errors="replace"))) < times:
        if select.select([process.stdout], [], [], min(_LOOK_SECONDS, seconds))[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            said += piece
            is_over = not piece
        else:
            is_over = patience.is_over()
        if is_over:
            raise AssertionError(f"{pattern!r} was not said {times} time(s):\n{said.decode(errors='replace')}")
    return said.decode(errors="replace")


def run(command: Sequence[Any], *, seconds: float = 200, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as `subprocess.run` does, forked where it can be; return its end and what it printed, as text.

    Raises
    ------
    subprocess.TimeoutExpired
        It had to be killed: it had not ended, with all the patience that the machine needs.
    """
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    with forked.Popen(command, **options) as process:
        try:
            out, err = communicate(process, seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
