"""The process of a local attempt: how it is started, found again, waited for, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from experimaestro.connectors import Process, ProcessBuilder, ProcessState, RedirectType

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import names_in, not_through_links, read_bytes
from xpm_alchem.base.interpreter import python
from xpm_alchem.base.passing import patiently
from xpm_alchem.devices.claims import Claim
from xpm_alchem.devices.machine import MachineSlots
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.descriptors import Descriptors
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.place import place_of
from xpm_alchem.execution.process_end import end_of
from xpm_alchem.execution.processes import ProcessIdentity, kill_session
from xpm_alchem.launchers.container import (
    Container,
    workspace_of,
)
from xpm_alchem.launchers.local_limits import LAUNCH

LOCAL = "local/"  # begins the names of launches here
descriptors = Descriptors()  # of this process


class LocalAttemptBuilder(ProcessBuilder):  # type: ignore[misc]
    """Starts an attempt with the whole environment of the driver, in a session of its own.

    Parameters
    ----------
    machine
        Where a slot was taken for it, if attempts are given devices.
    platform, container
        The profile's.
    """

    def __init__(
        self,
        machine: MachineSlots | None = None,
        platform: str | None = None,
        container: Container | None = None,
    ) -> None:
        super().__init__()
        self._machine, self._platform, self._container = machine, platform, container

    def start(self, task_mode: bool = False) -> LocalAttempt:
        """Start the process."""
        directory = Path(self.command[-1]).absolute().parent
        environment = {**os.environ, **self.environ, LAUNCH: Orders.read(directory).launch or ""}
        with contextlib.ExitStack() as opened:
            streams: dict[str, Any] = {}
            for name in ("stdout", "stderr"):
                redirect = getattr(self, name)
                if redirect.type == RedirectType.FILE:
                    open_it = partial(open, redirect.path, "wb", opener=not_through_links)
                    streams[name] = opened.enter_context(patiently(open_it))
            slot, held = self._slot(directory)
            opened.callback(held.close)
            environment |= slot.variables(environment, self._platform)
            command = python(*self.command)
            if self._container is not None:
                workspace = workspace_of(Path(self.command[-1]))
                command, environment = self._container.started(
                    command, environment, workspace=workspace, directory=self.workingDirectory, cores=slot.cores
                )
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                cwd=self.workingDirectory,
                env=environment,
                start_new_session=True,
                pass_fds=held.descriptors,
                **streams,
            )
            slot.bind(process.pid)
        descriptors.as_given(process.pid)
        return LocalAttempt(ProcessIdentity.of(process.pid), process, directory)

    def _slot(self, directory: Path) -> tuple[Slot, Claim]:
        """Return the slot that was taken for a task; one without anything of its own where nothing was."""
        taken = None if self._machine is None else self._machine.hand_on(directory)
        return taken or (Slot(0), Claim())


def spec_of(directory: Path) -> dict[str, Any]:
    """Return what experimaestro's pid file, which is named after the type of the task, says."""
    name = next(name for name in names_in(directory) if name.endswith(".pid"))
    return dict(json.loads(read_bytes(directory / name)))


def was_prepared(directory: Path) -> bool:
    """Whether a process may have been started for a task: to look for one takes a while."""
    try:
        return (Orders.read(directory).launch or "").startswith(LOCAL)
    except (OSError, FormatError):
        return True


def running_script(directory: Path) -> LocalAttempt | None:
    """Return the process of this machine, and of this user, that was started with a script in a task's directory."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            is_ours = len(words) > 1 and words[-1].endswith(".py") and Path(words[-1]).parent == directory
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and process.uids().real == os.getuid():
                return LocalAttempt(ProcessIdentity.of(process.pid), directory=directory)
    return None


class LocalAttempt(Process):  # type: ignore[misc]
    """The process of an attempt, started by this driver or taken up again after a restart."""

    def __init__(
        self,
        identity: ProcessIdentity,
        process: subprocess.Popen[bytes] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.identity, self._process, self._directory = identity, process, directory

    @staticmethod
    def fromspec(connector: Any, spec: dict[str, Any]) -> LocalAttempt | None:
        """Return the process a pid file names if it is alive and the same one; a recycled pid is not."""
        identity = ProcessIdentity.from_record(spec)
        return LocalAttempt(identity) if identity.is_here and identity.is_alive() else None

    def tospec(self) -> dict[str, Any]:
        """Return what a pid file holds."""
        return {
            "type": "xpm-alchem-local",
            **self.identity.to_record(),
            **({} if self._directory is None else place_of(self._directory)),
        }

    def is_alive(self) -> bool:
        """Whether it runs; also where nobody waits for it."""
        return self._process.poll() is None if self._process is not None else self.identity.is_alive()

    async def aio_state(self, timeout: float | None = None) -> ProcessState:
        """Return whether it runs."""
        if self._process is not None:
            code = self._process.poll()
            return ProcessState.RUNNING if code is None else ProcessState.DONE if code == 0 else ProcessState.ERROR
        return ProcessState.RUNNING if self.identity.is_alive() else ProcessState.FINISHED

    async def aio_wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end, then end what it left behind; the code is None if another driver started it."""
        await end_of(self.identity.pid, self.is_alive)
        kill_session(self.identity)
        return None if self._process is None else self._process.returncode

    def wait(self) -> int | None:  # type: ignore[override]
        """Wait for its end."""
        return asyncio.run(self.aio_wait())

    def kill(self) -> None:
        """SIGKILL it and its children."""
        kill_session(self.identity)

    def __repr__(self) -> str:
        return f"LocalAttempt(pid={self.identity.pid})"
