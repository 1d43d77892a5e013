"""The end of a process is told by the system; where it is not, it is looked for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from patience import scaled, wait_for

from xpm_alchem.execution import descriptors, process_end
from xpm_alchem.execution.process_end import end_of

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


def waits(pid: int, is_alive) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(end_of(pid, is_alive))


async def ends(task: asyncio.Task) -> None:
    await asyncio.wait_for(task, scaled(60))


@pytest.mark.parametrize("is_told", [True, False])
def test_the_end_of_a_child_is_seen(monkeypatch, is_told):
    if not is_told:
        monkeypatch.setattr(os, "pidfd_open", lambda *_: (_ for _ in ()).throw(OSError("no such thing")))
        monkeypatch.setattr(process_end, "_SLOW_POLL_SECONDS", 0.05)

    async def look() -> int:
        asked = 0

        def is_alive() -> bool:
            nonlocal asked
            asked += 1
            return child.poll() is None

        child = subprocess.Popen(SLEEP)
        task = waits(child.pid, is_alive)
        await asyncio.sleep(0.5)
        assert not task.done()
        before = asked
        child.kill()
        await ends(task)
        return before

    asked = asyncio.run(look())
    assert asked == 1 if is_told else asked > 1


def test_the_end_of_a_process_that_is_no_child_is_seen():
    shell = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    try:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())

        async def look() -> None:
            task = waits(pid, lambda: psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie")
            await asyncio.sleep(0.2)
            assert not task.done()
            os.kill(pid, 9)
            await ends(task)

        asyncio.run(look())
    finally:
        shell.kill()
        shell.wait()


def test_a_number_that_was_given_to_another_process_is_not_waited_for():
    child = subprocess.Popen(SLEEP)
    try:
        asyncio.run(end_of(child.pid, lambda: False))
    finally:
        child.kill()
        child.wait()


def test_nothing_stays_open():
    child = subprocess.Popen(["true"])
    wait_for(lambda: child.poll() is not None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(end_of(child.pid, lambda: False))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_descriptor_is_taken_where_few_are_left(monkeypatch):
    monkeypatch.setattr(descriptors, "_RESERVED", 10**9)
    assert process_end._descriptor(os.getpid()) is None
