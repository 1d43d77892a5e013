"""Workers of a workspace: being one, and looking at them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.workspace import check_writable, find_workspace, read_settings
from xpm_alchem.client.shown import Shown
from xpm_alchem.devices.asked import Asked
from xpm_alchem.launchers.workers.pool import DEFAULT_POOL, Pool, pools_in
from xpm_alchem.launchers.workers.profile import check_pool
from xpm_alchem.launchers.workers.time_limit import find_limit
from xpm_alchem.launchers.workers.worker import Terms, Worker
from xpm_alchem.launchers.workers.worker_slots import worker_slots
from xpm_alchem.tables.workers import workers_table
from xpm_alchem.views.overview import View
from xpm_alchem.views.workers import workers_view


def work(
    workspace: str | Path | None = None,
    *,
    pool: str = DEFAULT_POOL,
    seconds: float | None = None,
    idle: float | None = 600.0,
    slots: int | None = None,
    gpus: Asked | None = None,
    tasks_per_gpu: int | None = None,
    most: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Take tasks of a pool until the time is over, or nothing is left to do.

    Parameters
    ----------
    workspace
        Its id in settings.yaml, or its directory.
    pool
        Which pool.
    seconds
        The time to work; None: as long as the scheduler lets this job, without one for ever.
    idle
        Seconds without a task after which to end; None: never.
    slots, gpus, tasks_per_gpu
        The places; see `worker_slots`.
    most
        How many tasks to take at most.
    say
        Called with what happens, in words.

    Returns
    -------
    int
        How many tasks were taken.

    Raises
    ------
    CampaignError
        There is no such workspace here, or it cannot be written, or the devices are not here.
    """
    path = find_workspace(workspace, read_settings()).path.resolve()
    if not path.is_dir():
        raise CampaignError(
            f"{path}: there is no such directory here. Mount the workspace under the path that the driver has for it; "
            "`run` makes a new one."
        )
    found = Pool(path, check_pool(pool, "--pool"))
    check_writable(path)
    is_new = found.name not in pools_in(path)
    limit = find_limit(seconds)
    places = worker_slots(slots=slots, gpus=gpus, tasks_per_gpu=tasks_per_gpu)
    scope = f"{path}\n{limit.job or ''}"
    worker = Worker(found, places, Terms(limit, idle, most), scope=scope, say=say)
    devices = dict.fromkeys(str(device) for slot in places for device in slot.devices)
    told = f", on {', '.join(devices)}" if devices else ""
    left = limit.left()
    time_told = "" if left is None else f", {left / 60:.0f} min left" if left > 120 else f", {left:.0f} s left"
    say(printable(f"worker {worker.name}: pool {found.name} of {path}, {len(places)} slot(s){told}{time_told}"))
    if not limit.is_known:
        say(f"{limit.job} does not say how long it may run: give it --time, so that attempts stop in time")
    if is_new:
        others = ", ".join(pools_in(path)) or "none"
        say(f"there was no pool {found.name} until now: is that its name? Others here: {others}")
    return worker.run()


def workers(workspace: str | Path | None = None, pool: str | None = None) -> View:
    """Return the workers of a workspace's pools, and what each does.

    Raises
    ------
    CampaignError
        There is no such workspace, or pool.
    """
    path = find_workspace(workspace, read_settings()).path
    if pool is not None and check_pool(pool, "--pool") not in (there := pools_in(path)):
        raise CampaignError(f"{path}: there is no pool {pool}. Pools there: {', '.join(there) or 'none'}.")
    return Shown(workers_view(path, pool), workers_table)
