"""Who waits for the end of an entry is woken by its end, and by no other's."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from patience import scaled

from xpm_alchem.launchers.slurm.entry import Entry
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.waiters import Waiters


@pytest.fixture
def waiters() -> Waiters:
    return Waiters(threading.RLock())


def entry(name: str) -> Entry:
    return Entry(Path(name) / "run.py", SlurmProfile())


def has_ended(one: Entry) -> bool:
    return one.ended


def told_elsewhere(waiters: Waiters) -> None:
    """Tell as the queue does: in another thread."""
    thread = threading.Thread(target=waiters.tell, args=(has_ended,))
    thread.start()
    thread.join()


def test_those_are_woken_whose_entry_has_ended(waiters: Waiters) -> None:
    first, second = entry("a"), entry("b")

    async def look() -> None:
        ends = [waiters.add(one) for one in (first, second, first)]
        told_elsewhere(waiters)
        await asyncio.sleep(0)
        assert not any(end.done() for end in ends)
        first.ended = True
        told_elsewhere(waiters)
        await asyncio.wait_for(asyncio.gather(ends[0], ends[2]), scaled(60))
        assert not ends[1].done()
        second.ended = True
        told_elsewhere(waiters)
        await asyncio.wait_for(ends[1], scaled(60))

    asyncio.run(look())


def test_one_that_waits_no_more_is_in_nobodys_way(waiters: Waiters) -> None:
    one = entry("a")

    async def leave() -> None:
        waiters.add(one)

    asyncio.run(leave())  # its loop is closed then

    async def look() -> None:
        gives_up, waits = waiters.add(one), waiters.add(one)
        gives_up.cancel()
        one.ended = True
        told_elsewhere(waiters)
        await asyncio.wait_for(waits, scaled(60))
        assert gives_up.cancelled()

    asyncio.run(look())


def test_whether_an_entry_is_over_is_asked_once_for_each_who_waits(waiters: Waiters) -> None:
    asked = []

    async def look() -> None:
        for name in "abc":
            waiters.add(entry(name))
        waiters.tell(lambda one: asked.append(one.directory.name) or one.directory.name == "b")
        waiters.tell(lambda one: asked.append(one.directory.name))

    asyncio.run(look())
    assert asked == ["a", "b", "c", "a", "c"]
