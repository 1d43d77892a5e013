"""The workers of a workspace, as plain data: where they are, what each does, when they gave a sign of life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xpm_alchem.launchers.workers.members import Member, Members
from xpm_alchem.launchers.workers.pool import Pool, pools_in
from xpm_alchem.views.overview import View


def workers_view(workspace: Path, pool: str | None = None) -> View:
    """Return the workers of a pool, None for all pools.

    Raises
    ------
    OSError
        They cannot be seen now.
    """
    names = pools_in(workspace) if pool is None else [pool]
    return {"workspace": str(workspace), "pools": [_pool_view(Pool(workspace, name)) for name in names]}


def _pool_view(pool: Pool) -> dict[str, Any]:
    members, taken = Members(pool), pool.taken()
    now = members.clock.now()
    rows = [_row(pool, members, member, taken.get(member.name, []), now) for member in members.all()]
    return {"pool": pool.name, "waiting": len(pool.offered()), "taken": sum(map(len, taken.values())), "workers": rows}


def _row(pool: Pool, members: Members, member: Member, tasks: list[str], now: float) -> dict[str, Any]:
    offers = [offer for task in tasks if (offer := pool.taken_offer(task, member.name)) is not None]
    dead, quiet = members.is_dead(member.name), members.quiet(member.name)
    return {
        "worker": member.name,
        "host": member.process.host,
        "pid": member.process.pid,
        "job": member.job,
        "since": member.since,
        "age_seconds": max(0.0, now - member.since),
        "ends": member.ends,
        "slots": member.slots,
        "devices": list(member.devices),
        "taken": len(tasks),
        "tasks": [{"campaign": offer.campaign, "task": Path(offer.script).parent.name} for offer in offers],
        "quiet_seconds": None if quiet == float("inf") else quiet,
        "status": "dead" if dead else "silent" if dead is None else "works" if tasks else "waits",
        "left_seconds": None if member.ends is None else max(0.0, member.ends - now),
    }
