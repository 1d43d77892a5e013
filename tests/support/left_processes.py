"""Processes that a test left behind, and where they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
from patience import run


def stacks(pid: int) -> str:
    """Return the stacks of a process's threads."""
    command = [str(Path(sys.executable).with_name("py-spy")), "dump", "--nonblocking", "--pid", str(pid)]
    try:
        return run(command, seconds=30).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its stacks cannot be shown: {error}"


def processes_of(path: Path) -> list[psutil.Process]:
    """Return the live processes whose command line, HOME or working directory lies in `path`, this one excepted."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
                continue
            places = [process.environ().get("HOME", ""), process.cwd()]
            named = any(str(path) in part for part in process.info["cmdline"] or [])
            if named or any(place.startswith(str(path)) for place in places):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
