"""Looking at a node before a task's first unit: does the platform that its profile names work there, with OpenMM?

Without, OpenMM takes another one, and a GPU's task may compute on a CPU for days.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.interpreter import python
from xpm_alchem.base.values import is_count, printable, text
from xpm_alchem.devices.device import Device
from xpm_alchem.devices.slots import Given
from xpm_alchem.execution import platform_trial

DEFAULT_PLATFORM = "OPENMM_DEFAULT_PLATFORM"  # OpenMM's variable: what a protocol gets that names none
_SECONDS = 120.0  # for an answer: OpenMM's import from a slow file system, a driver that wakes up
_KILL_SECONDS = 5.0  # for a process to go that may hang in the kernel, where nothing ends it
_POLL_SECONDS = 0.1
_LONGEST = 400  # characters of what is said


@attrs.frozen
class Look:
    """What a look has found.

    Attributes
    ----------
    platform
        OpenMM's, which was tried.
    trouble
        Why it does not work here, in a sentence; '' if it does.
    """

    platform: str
    trouble: str = ""


def look(
    given: Given,
    machine: str,
    stop: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> Look | None:
    """Try what must work, in a process of its own; None where there is nothing to try.

    Parameters
    ----------
    given
        Platform and devices. One that the profile names must work. Without a name that is the one the devices are for,
        where they are known to be here and OpenMM is installed.
    machine
        What to call this machine.
    stop
        Called again and again while it is tried; what it raises ends it.
    environment
        Of the attempt; None: this process's.
    seconds
        For an answer.
    """
    environment = os.environ if environment is None else environment
    names = given.platforms(environment.get(DEFAULT_PLATFORM))
    if not names or (given.platform is None and find_spec("openmm") is None):
        return None
    with _started(names, len(given.devices), environment, seconds) as trial:
        said, complaint = _heard(trial, stop, seconds)
    stop()  # before what SLURM's signals to all processes of a job have done to it is taken for a fault
    answer = _answer(said)
    platform = text(answer.get("platform")) or names[0]
    if answer and not answer.get("trouble"):
        return Look(platform)
    devices, trouble = given.devices, text(answer.get("trouble"))
    if is_count(number := answer.get("device"), len(devices) - 1):
        devices = (devices[number],)
    if not trouble and said is None:
        trouble = f"no answer within {seconds:g} s; the trial was killed (does the driver hang?)"
    return Look(platform, _sentence(platform, devices, machine, trouble or _end(trial.returncode, complaint)))


def _sentence(platform: str, devices: tuple[Device, ...], machine: str, trouble: str) -> str:
    where = f"{', '.join(map(str, devices))} of {machine}" if devices else machine
    words = printable(" ".join(trouble.split()))
    return f"{platform} does not work on {where}: {words if len(words) <= _LONGEST else words[:_LONGEST] + '...'}"


@contextmanager
def _started(
    names: tuple[str, ...], devices: int, environment: Mapping[str, str], seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """Start a trial: in the session of this process, with which a launcher ends it, but in a group of its own."""
    arguments = (",".join(names), devices, int(seconds + _KILL_SECONDS) + 1)
    trial = subprocess.Popen(
        python(Path(platform_trial.__file__), *arguments),
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # settings.yaml adds to it here
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        process_group=0,
    )
    try:
        yield trial
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(trial.pid, signal.SIGKILL)  # and what it has started, a compiler say
        with suppress(subprocess.TimeoutExpired):
            trial.wait(_KILL_SECONDS)
        for stream in (trial.stdout, trial.stderr):
            if stream is not None:
                stream.close()


def _heard(trial: subprocess.Popen[str], stop: Callable[[], None], seconds: float) -> tuple[str | None, str]:
    """Return what a trial has printed on stdout and stderr by its end; None of one that does not end in time."""
    until = time.monotonic() + seconds
    while True:
        stop()
        try:
            return trial.communicate(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > until:
                return None, ""


def _answer(said: str | None) -> Mapping[str, Any]:
    """Return what a trial has answered: its last line, as libraries may print too."""
    try:
        answer = json.loads(((said or "").strip().splitlines() or [""])[-1])
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _end(code: int, complaint: str) -> str:
    """Return what there is to say of a trial that ended without an answer."""
    last = (complaint.strip().splitlines() or [""])[-1]
    how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with code {code}"
    return f"the trial {how} and gave no answer{f'; its last words: {last}' if last else ''}"
