"""NVIDIA's Multi-Process Service, which lets several processes compute on one GPU at the same time.

References
----------
NVIDIA, Multi-Process Service documentation, "Starting and stopping MPS".
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from xpm_alchem.devices.device import Device
from xpm_alchem.devices.variables import CUDA

_CONTROL = "nvidia-cuda-mps-control"
_SECONDS = 60.0


@contextmanager
def multi_process_service(devices: Sequence[Device]) -> Iterator[bool]:
    """Run the service for this process and those it starts; yield whether it runs.

    Without it tasks that share a GPU take turns. Its sockets and logs are in a directory of its own, so that several
    jobs on a node do not meet.

    Parameters
    ----------
    devices
        Those it is for. Where one has no identity the service is started for all: what its clients see is counted
        within what it sees.
    """
    directory = tempfile.mkdtemp(prefix="xpm-alchem-mps-", dir="/tmp")  # a socket's path has 108 characters
    variables = {"CUDA_MPS_PIPE_DIRECTORY": directory, "CUDA_MPS_LOG_DIRECTORY": directory}
    environment = {key: value for key, value in {**os.environ, **variables}.items() if key != CUDA}
    if devices and all(device.uuid for device in devices):
        environment[CUDA] = ",".join(device.uuid for device in devices)
    is_running = False
    try:
        is_running = _is_done([_CONTROL, "-d"], environment)
        if is_running:
            os.environ.update(variables)
        yield is_running
    finally:
        if is_running:
            _is_done([_CONTROL], environment, "quit\n")
            for name in variables:
                os.environ.pop(name, None)
        with suppress(OSError):
            shutil.rmtree(directory)


def _is_done(command: list[str], environment: dict[str, str], said: str = "") -> bool:
    try:
        done = subprocess.run(
            command,
            env=environment,
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"MPS: {error}\n")
        return False
    if done.returncode:
        sys.stderr.write(f"MPS: {' '.join(command)}: {done.stdout.strip() or f'exit {done.returncode}'}\n")
    return done.returncode == 0
