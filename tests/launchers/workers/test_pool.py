"""A pool: each offer is taken once, the most urgent first, whatever answer gets lost and whatever is damaged."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import communicate

from xpm_alchem.base.errors import FormatError
from xpm_alchem.launchers.workers import pool as pool_module
from xpm_alchem.launchers.workers.pool import (
    Offer,
    Place,
    Pool,
    is_pool_name,
    launch_of,
    new_task,
    parse_launch,
    pools_in,
)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path, "main")
    made.make()
    return made


def offer(pool: Pool, task: str, **changes: object) -> Offer:
    script = pool.workspace / "jobs" / "xpm_alchem.run" / task / "run.py"
    made = Offer(script=str(script), launch=launch_of(pool.name, task), campaign="c", margin=60.0, **changes)
    pool.offer(made, task)
    return made


def offered(pool: Pool, number: int) -> list[str]:
    tasks = [new_task(1) for _ in range(number)]
    for task in tasks:
        offer(pool, task)
    return tasks


TAKE_ALL = """
import pathlib, sys
from xpm_alchem.launchers.workers.pool import Pool
pool, taken = Pool(pathlib.Path(sys.argv[1]), "main"), []
print(flush=True)
sys.stdin.readline()
while tasks := pool.offered():
    taken += [task for task in tasks if pool.take(task, sys.argv[2])]
print(*taken)
"""


def test_each_offer_is_taken_by_one_of_many(pool):
    tasks = offered(pool, 300)
    takers = {
        f"w{number}": subprocess.Popen(
            [sys.executable, "-c", TAKE_ALL, str(pool.workspace), f"w{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    }
    for process in takers.values():
        process.stdout.readline()
    for process in takers.values():  # all are there
        process.stdin.write("\n")
        process.stdin.flush()
    taken = {worker: sorted(communicate(process)[0].split()) for worker, process in takers.items()}
    assert sorted(task for each in taken.values() for task in each) == sorted(tasks)
    assert {worker: sorted(each) for worker, each in pool.taken().items()} == {
        w: each for w, each in taken.items() if each
    }


def test_what_was_offered_is_what_is_read(pool):
    task = new_task(3)
    made = offer(pool, task, platform="CUDA", env={"A": "it's 1"}, avoid={"n1": (), "n2": ("GPU 1",)})
    found, since, owner = pool.look_at(task)
    assert found == made
    assert abs(since - (pool.offers / task).stat().st_mtime) < 1e-6
    assert owner == os.getuid()


@given(st.lists(st.integers(min_value=-5, max_value=10**20), min_size=1, max_size=20))
def test_names_sort_by_priority_then_by_time(priorities):
    tasks = [(new_task(priority), priority) for priority in priorities]
    assert all(parse_launch(launch_of("p", task)) == ("p", task) for task, _ in tasks)
    by_name = [min(max(priority, 0), 10**19 - 1) for _, priority in sorted(tasks)]
    assert by_name == sorted(by_name)


def test_of_equal_ones_the_oldest_comes_first(pool):
    tasks = []
    for _ in range(5):
        tasks += offered(pool, 1)
        time.sleep(0.001)
    urgent = new_task(0)
    offer(pool, urgent)
    assert pool.offered() == [urgent, *tasks]


@pytest.mark.parametrize("launch", [None, "", "3/1", "pool/main", "pool/main/x", "pool/../x", "pool/a/b/c"])
def test_launches_of_others_are_none_of_a_pool(launch):
    assert parse_launch(launch) is None


@pytest.mark.parametrize(
    ("name", "is_one"), [("main", True), ("gpu-2.x", True), ("", False), ("..", False), ("a/b", False), (3, False)]
)
def test_names_of_pools(name, is_one):
    assert is_pool_name(name) is is_one


def test_a_rename_whose_answer_was_lost_is_ours(pool, monkeypatch):
    (task,) = offered(pool, 1)
    real, failures = os.rename, [OSError(errno.EIO, "Input/output error")]

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(pool_module.os, "rename", rename)
    monkeypatch.setattr("xpm_alchem.base.passing.PAUSES", (0.0, 0.0))
    assert pool.take(task, "me")  # the second try finds it gone, and there
    assert not failures
    assert pool.taken() == {"me": [task]}
    assert not pool.take(task, "another")


def test_a_task_that_was_taken_cannot_be_withdrawn(pool):
    mine, theirs = offered(pool, 2)
    assert pool.take(theirs, "w")
    assert pool.withdraw(mine)
    assert not pool.withdraw(theirs)
    assert pool.places("c") == {theirs: Place("w")}


def test_a_task_goes_from_place_to_place(pool):
    (task,) = offered(pool, 1)
    assert pool.places("c") == {task: Place()}
    pool.take(task, "w")
    assert pool.places("c") == {task: Place("w")}
    pool.give_back(task, "w")
    assert pool.places("c") == {task: Place()}
    pool.take(task, "v")
    pool.end(task, "v", "c", -9)
    assert pool.places("c") == {task: Place("v", -9)}
    assert pool.places("another") == {}
    pool.forget("c", task, pool.places("c")[task])
    assert pool.places("c") == {}


def test_what_moved_on_since_it_was_seen_is_forgotten_too(pool):
    (task,) = offered(pool, 1)
    pool.take(task, "w")
    pool.kill(task, "w")
    pool.end(task, "w", "c", 0)
    pool.forget("c", task, Place("w"))  # seen before its end
    assert not [path for path in pool.path.rglob("*") if path.is_file()]


def test_the_end_of_a_task_that_was_given_to_others_is_told_to_nobody(pool):
    (task,) = offered(pool, 1)
    pool.take(task, "w")
    pool.forget("c", task, Place("w"))
    pool.end(task, "w", "c", 1)
    assert pool.places("c") == {}


def test_a_worker_hears_of_its_own_kills_alone(pool):
    first, second = offered(pool, 2)
    pool.kill(first, "w")
    pool.kill(second, "v")
    assert list(pool.kills("w")) == [first]
    pool.forget_kill(first, "w")
    assert list(pool.kills("w")) == []
    assert list(pool.kills("v")) == [second]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("script"),
        lambda content: content.update(launch=3),
        lambda content: content.update(margin="long"),
        lambda content: content.update(env=["A"]),
        lambda content: content.update(avoid="n1"),
        lambda content: content.update(format_version=99),
        lambda content: content.update(format="something else"),
    ],
)
def test_a_damaged_offer_is_said_to_be_one(pool, change):
    task = new_task(1)
    offer(pool, task)
    content = json.loads((pool.offers / task).read_text())
    change(content)
    (pool.offers / task).write_text(json.dumps(content))
    with pytest.raises(FormatError):
        pool.look_at(task)


@given(st.binary(max_size=200))
def test_whatever_stands_in_an_offer_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("offer") / "offer"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        Offer.read(path)


def test_files_of_other_names_are_no_tasks(pool):
    (task,) = offered(pool, 1)
    for directory in (pool.offers, pool.taken_path, pool.kills_path):
        (directory / ".nfs0001").touch()
        (directory / f".{task}.123.abcdef01.tmp").touch()
    assert pool.offered() == [task]
    assert pool.taken() == {}
    assert pool.places("c") == {task: Place()}


def test_the_pools_of_a_workspace(tmp_path):
    assert pools_in(tmp_path) == []
    for name in ("b", "a"):
        Pool(tmp_path, name).make()
    (tmp_path / "pools" / ".hidden").mkdir()
    assert pools_in(tmp_path) == ["a", "b"]
