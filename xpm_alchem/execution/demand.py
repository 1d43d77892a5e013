"""What the history of a task demands of its next attempt: more time, more memory, another node. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from xpm_alchem.execution.attempts import Attempt, Outcome

_FREE_TIMEOUTS = 1  # without progress; the next one asks for more time
_AVOIDED = (Outcome.NODE_FAILURE, Outcome.LOST)
_DEVICE_FAULTS = (*_AVOIDED, Outcome.ERROR)
_MOST_AVOIDED = 8


@attrs.frozen
class Demand:
    """What to change in a launcher's profile, within its bounds.

    Attributes
    ----------
    time_factor, memory_factor
        By how much to multiply the profile's limit of time and memory.
    avoid
        Nodes on which the task died without a word since it last made progress.
    stop_seconds
        The longest time an attempt was seen to need to stop after it was told to.
    margin_factor
        By how much to multiply the time that an attempt is given to stop.
    avoid_devices
        Devices of machines, as (machine, `Device.id`), on which the task failed since it last made progress.
    """

    time_factor: float = 1.0
    memory_factor: float = 1.0
    avoid: tuple[str, ...] = ()
    stop_seconds: float = 0.0
    margin_factor: float = 1.0
    avoid_devices: tuple[tuple[str, str], ...] = ()


def demand(attempts: Sequence[Attempt], failing: Sequence[str] = ()) -> Demand:
    """Return what the next attempt of a task with this history needs.

    Parameters
    ----------
    failing
        Nodes that are to be avoided whatever this task did there.

    Running out of memory doubles the memory each time. Time-outs in a row without progress double the time, from the
    second on; what it grew to is kept when it led to progress. Nodes on which attempts died without a word are avoided
    until there is progress, and so are devices on which they failed in any way, where there are others.
    An attempt that had to be killed at its limit although it was told to stop gets twice the time for it.
    """
    memory, timeouts, longest = 1.0, 0, 0.0
    time_factor = margin_factor = 1.0
    avoid: list[str] = []
    devices: dict[tuple[str, str], None] = {}
    for attempt in attempts:
        longest = max(longest, attempt.stop_seconds or 0.0)
        if attempt.outcome is Outcome.TIMEOUT and attempt.stop_seconds is None:
            margin_factor *= 2
        if attempt.outcome is Outcome.TIMEOUT and not attempt.progress:
            timeouts += 1
            if timeouts > _FREE_TIMEOUTS:
                time_factor *= 2
        elif attempt.progress:
            timeouts, avoid, devices = 0, [], {}
        if attempt.outcome in _DEVICE_FAULTS:
            devices |= dict.fromkeys((attempt.machine, device.id) for device in attempt.devices)
        if attempt.outcome is Outcome.OUT_OF_MEMORY:
            memory *= 2
        elif attempt.outcome in _AVOIDED and attempt.node:
            avoid = [*(node for node in avoid if node != attempt.node), attempt.node]
    avoid = [*(node for node in failing if node not in avoid), *avoid]
    nodes = tuple(sorted(avoid[-_MOST_AVOIDED:]))
    return Demand(time_factor, memory, nodes, longest, margin_factor, tuple(devices))
