"""Waiting for the end of a process that may be nobody's child, without asking for it again and again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from xpm_alchem.execution.descriptors import is_to_spare

_POLL_SECONDS = 0.2  # between two looks at a process that has just ended, or may have
_SLOW_POLL_SECONDS = 2.0  # between two looks where the system does not tell of an end
_DOUBT_SECONDS = 300.0  # after which it is looked although the system has told of none


async def end_of(pid: int, is_alive: Callable[[], bool]) -> None:
    """Wait until a process has ended.

    Linux tells of an end by a descriptor (``pidfd_open``, since 5.3); elsewhere it is looked every two seconds.

    Parameters
    ----------
    is_alive
        Whether the process that is meant is alive; the number may have been given to another one.
    """
    descriptor, is_told = _descriptor(pid), False
    try:
        while is_alive():
            if descriptor is None:
                await asyncio.sleep(_SLOW_POLL_SECONDS)
            elif is_told:
                await asyncio.sleep(_POLL_SECONDS)
            else:
                is_told = await _tells(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _descriptor(pid: int) -> int | None:
    """Return a descriptor of a process, None where there is none to be had or few are left."""
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, AttributeError, ValueError, OverflowError):
        return None
    if is_to_spare(descriptor):
        return descriptor
    os.close(descriptor)
    return None


async def _tells(descriptor: int) -> bool:
    """Wait until a descriptor tells of its process's end; return False if it has not for minutes."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(descriptor, told.set)
    try:
        await asyncio.wait_for(told.wait(), _DOUBT_SECONDS)
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
