"""Starting the process of an attempt in a slot of a worker."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import not_through_links
from xpm_alchem.base.interpreter import python
from xpm_alchem.devices.claims import Claim
from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders
from xpm_alchem.execution.processes import kill_session
from xpm_alchem.launchers.container import Container, workspace_of


def start_attempt(
    script: Path,
    slot: Slot,
    *,
    platform: str | None,
    container: Container | None = None,
    variables: Mapping[str, str],
    held: Claim | None = None,
    has_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the process of a task's script; what it prints is added to the files beside the script.

    Parameters
    ----------
    slot
        Whose devices and cores it sees.
    platform
        What must work there; see `Slot.variables`.
    container
        Where it runs; None: here.
    variables
        More of its environment, beside this process's.
    held
        A claim on the slot's devices, which lasts as long as the process.
    has_session
        Whether it gets a session of its own, and so no signals of a terminal.

    Raises
    ------
    OSError
        It could not be started.
    """
    command, environment = python(script), {**os.environ, **variables}
    environment |= slot.variables(environment, platform)
    if container is not None:
        workspace = workspace_of(script)
        command, environment = container.started(command, environment, workspace=workspace, cores=slot.cores)
    with (
        open(script.with_suffix(".out"), "ab", opener=not_through_links) as out,
        open(script.with_suffix(".err"), "ab", opener=not_through_links) as err,
    ):
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=has_session,
            pass_fds=() if held is None else held.descriptors,
            preexec_fn=_ignore_warnings,
        )
    slot.bind(process.pid)
    return process


def kill_left_behind(script: Path, launch: str, container: Container | None) -> None:
    """SIGKILL the attempt of a launch whose process has ended: in a container it has a session of its own."""
    if container is None:
        return
    with suppress(OSError, FormatError):
        attempts = AttemptLog(TaskDirectory(script.parent).attempts).read()
        is_ours = Orders.read(script.parent).launch == launch  # else another one may be at work there
        if is_ours and attempts and attempts[-1].outcome is None and attempts[-1].process.is_here:
            kill_session(attempts[-1].process)


def last_outcome(script: Path) -> Outcome | None:
    """Return how the last attempt of a task has ended, as it has noted itself; None where it has not."""
    try:
        attempts = AttemptLog(TaskDirectory(script.parent).attempts).read()
    except (OSError, FormatError):
        return None
    return attempts[-1].outcome if attempts else None


def failed_on_its_node(script: Path) -> bool:
    """Whether the last attempt of a task ended as a fault of its node: the next one would end so in the same place."""
    return last_outcome(script) is Outcome.NODE_FAILURE


def _ignore_warnings() -> None:
    """SIGUSR1 must not kill an attempt that does not handle it yet; it looks at its limit itself when it begins.

    SIGUSR2 is what LSF and Grid Engine send to all processes of a job: the worker makes SIGUSR1 of it.
    """
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
