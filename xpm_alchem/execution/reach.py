"""How far a unit is, as the checkpoints of protocols that are known tell it: what the next attempt need not do again.

That a file was written proves nothing: the protocols of OpenFE write trajectories and structures long before their
first checkpoint, and open an old checkpoint to write before they go beyond it.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

_HEAD = 4096  # bytes of a state's XML that hold its first element
_STATE = re.compile(rb"<State\b[^>]*\bstepCount=\"(\d+)\"")
_CHECKPOINT = re.compile(r"checkpoint|\.chk$|\.cpt$", re.IGNORECASE)


@attrs.frozen
class Reach:
    """How far a unit is by its last checkpoint.

    Attributes
    ----------
    steps
        Iterations or steps, as the protocol counts them; 0: the next attempt begins again.
    when
        When that checkpoint was written, in seconds since the epoch; None where nothing says.
    """

    steps: int
    when: float | None = None


def reach_of(shared: Path) -> Reach | None:
    """Return how far a unit is by the files in its shared directory; None if none of them says.

    Read are the storage of openmmtools' samplers (RelativeHybridTopology, the absolute protocols, SepTop) and states
    of OpenMM in XML (PlainMD). To be called while no other process works on the unit.
    """
    storages = [found for path in sorted(shared.glob("*.nc")) if (found := _sampler_storage(path)) is not None]
    if storages:
        return max(storages, key=lambda found: found.steps)
    states = [found for path in sorted(shared.glob("*.xml")) if (found := _openmm_state(path)) is not None]
    return max(states, key=lambda found: found.steps, default=None)


def checkpoints_in(shared: Path) -> list[Path]:
    """Return the files in a unit's shared directory that are checkpoints by their names."""
    with suppress(OSError):
        return [path for path in shared.iterdir() if _CHECKPOINT.search(path.name)]
    return []


def is_sampler_at_work(shared: Path) -> bool:
    """Return whether a unit has the storage of an openmmtools sampler, by the names of its files."""
    return any(shared.glob("*.nc")) and bool(checkpoints_in(shared))


def _sampler_storage(path: Path) -> Reach | None:
    """Read the storage of an openmmtools sampler: it goes on from the last iteration that has a checkpoint."""
    try:
        from netCDF4 import Dataset
    except ImportError:
        return None
    with suppress(Exception):  # no NetCDF, cut short, or still open: it says nothing
        with Dataset(path) as storage:
            last = int(storage.variables["last_iteration"][0])
            interval = int(storage.CheckpointInterval)
        written = last // interval
        return Reach(written * interval, _time_of_checkpoint(path, written))
    return None


def _time_of_checkpoint(storage: Path, number: int) -> float | None:
    """Return when a sampler wrote its `number`-th checkpoint, which it notes in words beside the coordinates."""
    from netCDF4 import Dataset

    for path in checkpoints_in(storage.parent):
        with suppress(Exception), Dataset(path) as checkpoint:
            times: Any = checkpoint.variables["timestamp"]
            return time.mktime(time.strptime(str(times[number])))
    return None


def _openmm_state(path: Path) -> Reach | None:
    """Read a State that OpenMM wrote as XML."""
    with suppress(OSError):
        with open(path, "rb") as file:
            found = _STATE.search(file.read(_HEAD))
        if found is not None:
            return Reach(int(found[1]), path.stat().st_mtime)
    return None
