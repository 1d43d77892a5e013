"""What is of no use in a pool any more: of dead workers, and of tasks that have moved on or were decided on."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.launchers.workers.leftovers import clear_ends, leftovers
from xpm_alchem.launchers.workers.members import Member, Members, new_name
from xpm_alchem.launchers.workers.pool import Offer, Pool, launch_of, new_task


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path, "main")
    made.make()
    return made


def offer(pool: Pool) -> tuple[str, Path]:
    """Offer a task; return its name in the pool, and its directory."""
    task = new_task(1)
    directory = pool.workspace / "jobs" / "xpm_alchem.run" / task
    made = Offer(str(directory / "run.py"), launch_of(pool.name, task), "c", margin=60.0)
    give_orders(directory, launch=made.launch)
    pool.offer(made, task)
    return task, directory


def work_on(directory: Path, decision: str | None) -> None:
    """Write what an attempt does, and what its driver decides."""
    log = AttemptLog(TaskDirectory(directory).attempts)
    attempt = log.start(limit=None, versions={})
    log.end(attempt, Outcome.COMPLETE)
    if decision is not None:
        log.decide(attempt, decision, "")


def left(pool: Pool, campaign: str = "c") -> list[Path]:
    return list(leftovers(pool, campaign))


def test_files_of_dead_workers_and_not_those_of_living_ones(pool):
    members = Members(pool)
    with subprocess.Popen(["sleep", "100"]) as process:
        identity = ProcessIdentity.of(process.pid)
        process.kill()
    living, dead, gone = (Member(new_name(), one, 0.0, 1) for one in (ProcessIdentity.of(), identity, identity))
    for member in (living, dead, gone):
        members.join(member)
    members.files(gone.name)[0].unlink()
    long_ago = time.time() - 60
    os.utime(members.files(dead.name)[1], (long_ago, long_ago))
    assert set(left(pool)) == {*members.files(dead.name), members.files(gone.name)[1]}


def test_offers_of_tasks_that_have_moved_on_and_of_this_campaign_alone(pool):
    offer(pool)
    moved, directory = offer(pool)
    give_orders(directory, launch="another")
    assert left(pool) == [pool.offers / moved]
    assert left(pool, "another") == []


def test_an_end_is_needed_until_it_was_decided_on(pool):
    (told, first), (waiting, second) = offer(pool), offer(pool)
    for task in (told, waiting):
        pool.take(task, "w")
        pool.end(task, "w", "c", 0)
    work_on(first, "done")
    work_on(second, None)
    assert left(pool) == [pool.ended_path / "c" / f"{told}@w=0"]


def test_a_driver_that_goes_clears_the_ends_that_it_needs_no_more(pool):
    (told, first), (waiting, _) = offer(pool), offer(pool)
    for task in (told, waiting):
        pool.take(task, "w")
        pool.end(task, "w", "c", 0)
    work_on(first, "done")
    clear_ends(pool, "another")
    assert len(pool.places("c")) == 2
    clear_ends(pool, "c")
    assert set(pool.places("c")) == {waiting}


def test_what_a_worker_had_is_not_needed_when_its_attempt_went_on_alone_to_its_end(pool):
    task, directory = offer(pool)
    pool.take(task, "w")
    assert left(pool) == []
    work_on(directory, "done")
    assert left(pool) == [pool.taken_path / f"{task}@w"]


def test_an_end_is_needed_that_came_after_the_last_decision(pool):
    directory = offer(pool)[1]
    pool.withdraw(directory.name)
    work_on(directory, "resume")
    task = new_task(1)
    pool.offer(Offer(str(directory / "run.py"), launch_of(pool.name, task), "c", margin=60.0), task)
    give_orders(directory, launch=launch_of(pool.name, task))
    pool.take(task, "w")
    pool.end(task, "w", "c", 1)  # it ended before it began
    assert left(pool) == []


def test_orders_to_end_a_process_are_needed_while_a_worker_has_it(pool):
    (has, _), (had, _) = offer(pool), offer(pool)
    for task in (has, had):
        pool.take(task, "w")
        pool.kill(task, "w")
    pool.end(had, "w", "c", -9)
    assert left(pool) == [pool.kills_path / f"{had}@w"]


def test_what_cannot_be_read_is_left(pool):
    task, _ = offer(pool)
    (pool.offers / task).write_text("{")
    assert left(pool) == []
