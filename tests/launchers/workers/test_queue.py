"""A driver's tasks in a pool: each is over when its worker says so, or worker and attempt are gone, never before."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import psutil
import pytest
from patience import wait_for

from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.launchers.workers import members as members_module
from xpm_alchem.launchers.workers import queue as queue_module
from xpm_alchem.launchers.workers.members import Member, Members
from xpm_alchem.launchers.workers.pool import Offer, Place, Pool, launch_of, new_task
from xpm_alchem.launchers.workers.queue import Entry, PoolQueue


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver look often."""
    for name in ("_STEP_SECONDS", "_WORKERS_SECONDS"):
        monkeypatch.setattr(queue_module, name, 0.05)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path, "main")
    made.make()
    return made


@pytest.fixture
def queue(pool: Pool) -> Iterator[PoolQueue]:
    made = PoolQueue(pool, "c")
    yield made
    made.close()


def offer(pool: Pool) -> tuple[str, Path]:
    """Offer a task; return its name in the pool, and its directory."""
    task = new_task(1)
    directory = pool.workspace / "jobs" / "xpm_alchem.run" / task
    made = Offer(str(directory / "run.py"), launch_of(pool.name, task), "c", margin=60.0)
    give_orders(directory, launch=made.launch)
    pool.offer(made, task)
    return task, directory


def offered(queue: PoolQueue) -> Entry:
    """Offer a task that the queue looks after; return its entry when it was seen."""
    task, directory = offer(queue.pool)
    entry = queue.add(task, directory)
    wait_for(lambda: entry.place == Place())
    return entry


def join(pool: Pool, process: ProcessIdentity, *, silent: float = 0.0) -> str:
    """Let a worker be there, its last sign of life so long ago."""
    members = Members(pool)
    members.join(Member("w", process, 0.0, 1))
    then = time.time() - silent
    os.utime(members.files("w")[1], (then, then))
    return "w"


def ended_process() -> ProcessIdentity:
    with subprocess.Popen(["sleep", "100"]) as process:
        identity = ProcessIdentity.of(process.pid)
        process.kill()
    return identity


def begin(directory: Path, process: ProcessIdentity | None = None, *, silent: float = 0.0) -> AttemptLog:
    """Write what an attempt writes when it begins: of this process, or of another one; silent since then."""
    log = AttemptLog(TaskDirectory(directory).attempts)
    log.start(limit=None, versions={}, launched=Launched("w"))
    if process is not None:
        path, me = TaskDirectory(directory).attempts, ProcessIdentity.of()
        text = path.read_text().replace(f'"host": "{me.host}"', f'"host": "{process.host}"')
        path.write_text(text.replace(f'"pid": {me.pid}', f'"pid": {process.pid}'))
    then = time.time() - silent
    for path in directory.iterdir():
        os.utime(path, (then, then))
    return log


def looks(queue: PoolQueue, times: int = 5) -> None:
    """Wait until the driver has looked at its workers so often."""
    for _ in range(times):
        before = queue._asked
        wait_for(lambda before=before: queue._asked > before)


def test_what_a_worker_says_is_seen(pool, queue):
    entry = offered(queue)
    assert queue.is_settled()
    pool.take(entry.task, join(pool, ProcessIdentity.of()))
    wait_for(lambda: entry.place == Place("w"))
    assert not entry.ended
    pool.end(entry.task, "w", "c", 3)
    wait_for(lambda: queue.ended() == {entry.directory})
    assert entry.place == Place("w", 3)
    queue.forget(entry.directory)
    assert queue.ended() == set()
    assert not queue.holds(entry)
    assert pool.places("c") == {}


def test_a_driver_takes_up_what_an_earlier_one_has_offered(pool, queue):
    (waiting, first), (ended, second), (_, third) = offer(pool), offer(pool), offer(pool)
    pool.take(ended, "w")
    pool.end(ended, "w", "c", 0)
    give_orders(third, launch="batch/3")
    assert queue.find(first).task == waiting
    assert queue.find(second).ended
    assert queue.find(third) is None
    assert queue.find(pool.workspace / "jobs" / "unknown") is None
    assert queue.find(first) is queue.find(first)


def test_a_task_is_taken_back_before_a_worker_takes_it(pool, queue):
    entry = offered(queue)
    queue.withdraw(entry.directory)
    assert (entry.ended, entry.lost) == (True, "it was taken back before a worker took it")
    assert pool.places("c") == {}


def test_a_worker_is_told_to_end_what_it_has(pool, queue):
    entry = offered(queue)
    pool.take(entry.task, join(pool, ProcessIdentity.of()))
    queue.withdraw(entry.directory)
    assert not entry.ended
    assert list(pool.kills("w")) == [entry.task]


def test_the_task_of_a_worker_that_died_before_it_began_is_over(pool, queue):
    entry = offered(queue)
    pool.take(entry.task, join(pool, ended_process()))
    wait_for(lambda: entry.ended)
    assert (entry.lost, entry.is_proved) == ("its worker w ended before it began", True)


def test_an_attempt_goes_on_without_its_worker(pool, queue):
    entry = offered(queue)
    begin(entry.directory)
    pool.take(entry.task, join(pool, ended_process()))
    looks(queue)
    assert not entry.ended


def test_an_attempt_that_died_with_its_worker_is_lost(pool, queue):
    entry = offered(queue)
    begin(entry.directory, ended_process())
    pool.take(entry.task, join(pool, ended_process()))
    wait_for(lambda: entry.ended)
    assert "ended without a word" in entry.lost
    assert entry.is_proved


def test_what_an_attempt_without_its_worker_has_left_behind_is_ended(pool, queue):
    entry = offered(queue)
    command = ["sh", "-c", "sleep 500 >&- & echo $!; read word"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **streams) as process:
        identity, left = ProcessIdentity.of(process.pid), psutil.Process(int(process.stdout.readline()))
    begin(entry.directory, identity)
    assert left.is_running()
    pool.take(entry.task, join(pool, ended_process()))
    wait_for(lambda: entry.ended)
    wait_for(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)


def test_an_attempt_that_told_its_end_is_not_lost_with_its_worker(pool, queue):
    entry = offered(queue)
    log = begin(entry.directory)
    log.end(log.read()[-1], Outcome.COMPLETE)
    pool.take(entry.task, join(pool, ended_process()))
    wait_for(lambda: entry.ended)
    assert entry.lost == ""


ELSEWHERE = attrs.evolve(ProcessIdentity.of(), host="elsewhere")


@pytest.mark.parametrize(
    ("worker_silent", "attempt_silent", "is_over"),
    [(0, 100, False), (100, 0, False), (40, 100, False), (100, 100, True)],
)
def test_what_is_elsewhere_is_over_when_worker_and_attempt_are_silent(
    pool, queue, monkeypatch, worker_silent, attempt_silent, is_over
):
    monkeypatch.setattr(members_module, "SILENT_SECONDS", 50.0)
    monkeypatch.setattr(queue_module, "SILENT_SECONDS", 50.0)
    entry = offered(queue)
    begin(entry.directory, ELSEWHERE, silent=attempt_silent)
    pool.take(entry.task, join(pool, ELSEWHERE, silent=worker_silent))
    if is_over:
        wait_for(lambda: entry.ended)
        assert "no sign of life of its worker w" in entry.lost
        assert not entry.is_proved
    else:
        looks(queue)
        assert not entry.ended


def test_what_is_seen_nowhere_for_long_is_over(pool, queue, monkeypatch):
    entry = offered(queue)
    (pool.offers / entry.task).unlink()  # by somebody's hand
    looks(queue)
    assert not entry.ended  # it may be on its way
    monkeypatch.setattr(queue_module, "_NOWHERE_SECONDS", 0.1)
    monkeypatch.setattr(queue_module, "SILENT_SECONDS", 0.0)
    wait_for(lambda: entry.ended)
    assert "no sign of life" in entry.lost


def test_a_user_is_told_what_waits_for_a_worker_and_why(pool, queue, monkeypatch):
    monkeypatch.setattr(queue_module, "_WAITING_SECONDS", 0.0)
    entry = offered(queue)
    (said,) = queue.waiting().values()
    assert "a worker takes it when it has a free slot" in said.words

    def away(self: Pool, campaign: str) -> dict[str, Place]:
        raise OSError("the server is away")

    with monkeypatch.context() as trouble:
        trouble.setattr(Pool, "places", away)
        wait_for(lambda: "cannot be seen now (the server is away)" in queue.waiting()[entry.directory].words)
    pool.take(entry.task, join(pool, ProcessIdentity.of()))
    wait_for(lambda: queue.waiting() == {})
