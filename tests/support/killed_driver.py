"""Run a driver that kills itself with SIGKILL at one point: python killed_driver.py POINT TASKS campaign.yaml.

It submits nothing before it has gathered so many tasks: what is there at a point is no matter of how fast they came.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tuned import gather

from xpm_alchem.client import Campaign
from xpm_alchem.launchers.slurm import queue as slurm_queue
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import Slurm

POINTS = {
    "before the intent": (Batch, "write", "before"),
    "after the intent": (Batch, "write", "after"),
    "after the orders": (Slurm, "submit", "before"),
    "after sbatch": (Slurm, "submit", "after"),
    "after the job's id": (Batch, "set_job", "after"),
    "before the first poll": (Slurm, "queue", "before"),
    "after the first poll": (Slurm, "queue", "after"),
}


def kill_at(point: str) -> None:
    """Make the driver kill itself at a point."""
    owner, name, when = POINTS[point]
    real: Callable[..., Any] = getattr(owner, name)

    def killed(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    assert slurm_queue.Batch is Batch


if __name__ == "__main__":
    kill_at(sys.argv[1])
    gather(int(sys.argv[2]))
    Campaign.create(sys.argv[3]).run()
