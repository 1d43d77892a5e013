"""Checks of a workspace's pools: dead workers, and what was left of tasks that have moved on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from xpm_alchem.base.files import remove
from xpm_alchem.doctor.check import Finding, ok, warning
from xpm_alchem.launchers.workers.leftovers import leftovers
from xpm_alchem.launchers.workers.members import Members
from xpm_alchem.launchers.workers.pool import Pool, pools_in


def pools(workspace: Path, campaign: str) -> Iterator[Finding]:
    """Look at the pools of a workspace for a campaign."""
    names = pools_in(workspace)
    left: list[tuple[Pool, Path]] = []
    alive = dead = 0
    for pool in (Pool(workspace, name) for name in names):
        states = [Members(pool).is_dead(name) for name in Members(pool).names()]
        alive, dead = alive + sum(not state for state in states), dead + sum(state is True for state in states)
        left += [(pool, path) for path in leftovers(pool, campaign)]
    if left:
        yield warning(
            f"{len(left)} file(s) of pools are of no use any more; {dead} worker(s) died without a word",
            "removed with --fix",
            places=tuple(str(path) for _, path in left),
            repairs=tuple(partial(_remove, pool, path, campaign) for pool, path in left),
        )
    else:
        yield ok(f"{len(names)} pool(s) in this workspace, {alive} worker(s) at work; nothing was left behind")


def _remove(pool: Pool, path: Path, campaign: str) -> str | None:
    with suppress(OSError):
        if path not in leftovers(pool, campaign):
            return None
    remove(path)
    return f"removed {path}"
