"""A worker: which offers it takes and which not, in which order, how it ends, and what of its attempts is told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from patience import wait_for

from xpm_alchem.devices.slots import Slot
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.processes import HOST, ProcessIdentity
from xpm_alchem.launchers.workers import worker as worker_module
from xpm_alchem.launchers.workers.limits import VARIABLE
from xpm_alchem.launchers.workers.members import Member, Members
from xpm_alchem.launchers.workers.pool import Offer, Place, Pool, launch_of, new_task
from xpm_alchem.launchers.workers.time_limit import TimeLimit
from xpm_alchem.launchers.workers.worker import Terms, Worker

NOTE = """
import os
directory = os.path.dirname(__file__)
with open(os.path.join(os.path.dirname(directory), "begun"), "a") as begun:
    begun.write(os.path.basename(directory) + "\\n")
"""
SLEEP = NOTE + "import time; time.sleep(600)\n"
HEED = f"""{NOTE}
import signal
signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
open({{!r}}, "w")
signal.pause()
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers look often."""
    for name, seconds in {"_LOOK_LEAST": 0.05, "_LOOK_MOST": 0.1, "_STEP_SECONDS": 0.02, "ALIVE_SECONDS": 0.1}.items():
        monkeypatch.setattr(worker_module, name, seconds)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path / "w", "main")
    made.make()
    return made


def offer(pool: Pool, name: str, code: str = NOTE, *, priority: int = 10, **changes: object) -> str:
    """Offer a task whose script is some code; return its name in the pool."""
    script = pool.workspace / "jobs" / "xpm_alchem.run" / name / "run.py"
    script.parent.mkdir(parents=True)
    script.write_text(code)
    task = new_task(priority)
    made = Offer(str(script), launch_of("main", task), "c", margin=1.0)
    give_orders(script.parent, launch=made.launch)
    pool.offer(attrs.evolve(made, **changes), task)
    return task


def worker(
    pool: Pool, *, slots: int = 1, seconds: float | None = None, idle: float | None = 0.3, most: int | None = None
) -> tuple[Worker, list[str]]:
    """Return a worker, and what it says."""
    said: list[str] = []
    terms = Terms(TimeLimit(seconds), idle, most)
    return Worker(pool, [Slot(n) for n in range(slots)], terms, scope=str(pool.path), say=said.append), said


def begun(pool: Pool) -> list[str]:
    """Return the tasks that were begun, in their order."""
    path = pool.workspace / "jobs" / "xpm_alchem.run" / "begun"
    return path.read_text().split() if path.exists() else []


def meanwhile(condition: Callable[[], object], action: Callable[[], object]) -> threading.Thread:
    """Do something as soon as a condition holds, beside a worker in this process."""
    thread = threading.Thread(target=lambda: (wait_for(condition), action()))
    thread.start()
    return thread


def code_of(pool: Pool, task: str) -> int | None:
    return pool.places("c")[task].code


def test_tasks_are_taken_by_urgency_and_their_ends_are_told(pool):
    late = offer(pool, "late", priority=20)
    offer(pool, "second", NOTE + "raise SystemExit(3)", priority=5)
    soon = offer(pool, "soon", NOTE + "os.kill(os.getpid(), 9)", priority=1)
    one, said = worker(pool)
    assert one.run() == 3
    assert begun(pool) == ["soon", "second", "late"]
    assert pool.places("c")[late] == Place(one.name, 0)
    assert code_of(pool, soon) == -9
    assert sorted(place.code for place in pool.places("c").values()) == [-9, 0, 3]
    assert "had nothing to do" in said[-1]
    assert [path.name for path in pool.workers.iterdir() if one.name in path.name] == []


def test_an_attempt_is_told_of_its_worker_and_its_variables(pool):
    code = NOTE + f"print(os.environ['{VARIABLE}'], os.environ['A'], os.getsid(0) == os.getpid())"
    offer(pool, "t", code, env={"A": "a value"})
    one, _ = worker(pool, seconds=1000.0)
    one.run()
    (out,) = (pool.workspace / "jobs").rglob("run.out")
    assert one.name in out.read_text()
    assert out.read_text().strip().endswith("a value True")


def test_no_more_than_it_should_are_taken(pool):
    for name in "abcd":
        offer(pool, name)
    one, said = worker(pool, slots=3, idle=None, most=2)
    assert one.run() == 2
    assert len(pool.offered()) == 2
    assert "as many as it should" in said[-1]


@pytest.mark.parametrize(
    "change",
    [
        lambda pool, task: {"script": str(pool.workspace.parent / "run.py")},
        lambda pool, task: {"script": str(pool.workspace / "jobs" / ".." / ".." / "run.py")},
        lambda pool, task: {"script": "run.py"},
        lambda pool, task: {"launch": launch_of("main", new_task(1))},
        lambda pool, task: {"launch": launch_of("another", task)},
    ],
)
def test_an_offer_that_is_not_sound_is_not_run(pool, change):
    (pool.workspace.parent / "run.py").write_text(f"open({str(pool.workspace / 'evil')!r}, 'w')")
    task = offer(pool, "t")
    found, _, _ = pool.look_at(task)
    pool.offer(attrs.evolve(found, **change(pool, task)), task)
    offer(pool, "good")
    assert worker(pool)[0].run() == 1
    assert begun(pool) == ["good"]
    assert pool.offered() == [task]
    assert not (pool.workspace / "evil").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to others")
def test_an_offer_of_another_user_is_not_run(pool):
    task = offer(pool, "t")
    os.chown(pool.offers / task, 12345, -1)
    assert worker(pool)[0].run() == 0
    assert pool.offered() == [task]


def test_a_damaged_offer_is_left_and_others_are_run(pool):
    damaged = offer(pool, "t", priority=1)
    (pool.offers / damaged).write_text("{")
    offer(pool, "good")
    assert worker(pool)[0].run() == 1
    assert pool.offered() == [damaged]


def test_what_was_given_to_others_is_not_run(pool):
    task = offer(pool, "t")
    give_orders(Path(pool.look_at(task)[0].script).parent, launch="another")
    assert worker(pool)[0].run() == 0
    assert begun(pool) == []
    assert pool.offered() == []


def test_an_offer_that_avoids_this_machine_is_left_for_two_minutes_to_workers_elsewhere(pool):
    elsewhere = Member("elsewhere-1", attrs.evolve(ProcessIdentity.of(), host="elsewhere"), 0.0, 1)
    Members(pool).join(elsewhere)
    task = offer(pool, "t", avoid={HOST: ()})
    assert worker(pool)[0].run() == 0
    assert pool.offered() == [task]
    status = (pool.offers / task).stat()
    os.utime(pool.offers / task, (status.st_atime, status.st_mtime - 121))
    assert worker(pool)[0].run() == 1


def test_an_offer_that_avoids_this_machine_is_taken_where_no_other_worker_is(pool):
    offer(pool, "t", avoid={HOST: ()})
    assert worker(pool)[0].run() == 1


def test_an_offer_that_avoids_another_machine_is_taken(pool):
    offer(pool, "t", avoid={"another": ()})
    assert worker(pool)[0].run() == 1


def test_a_task_for_which_the_time_is_too_short_is_left(pool):
    long = offer(pool, "t", margin=100.0)
    offer(pool, "short", margin=1.0)
    assert worker(pool, seconds=100.0)[0].run() == 1
    assert pool.offered() == [long]


def test_a_worker_without_time_ends_at_once(pool):
    offer(pool, "t")
    one, said = worker(pool, seconds=10.0, idle=None)
    assert one.run() == 0
    assert "its time is nearly over" in said[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_as_a_warning(pool, tmp_path, number):
    ready = tmp_path / "ready"
    task = offer(pool, "t", HEED.format(str(ready)))
    left = offer(pool, "left")
    one, said = worker(pool, idle=None)
    thread = meanwhile(ready.exists, lambda: os.kill(os.getpid(), number))
    assert one.run() == 1
    thread.join()
    assert code_of(pool, task) == 7
    assert pool.offered() == [left]  # none is taken by one that ends
    assert signal.Signals(number).name in said[-1]


def test_an_attempt_that_does_not_listen_is_killed_after_a_while(pool, monkeypatch):
    monkeypatch.setattr(worker_module, "_GRACE_SECONDS", 0.5)
    task = offer(pool, "t", SLEEP)  # SIGUSR1 is ignored
    one, _ = worker(pool, idle=None)
    thread = meanwhile(lambda: begun(pool), lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert one.run() == 1
    thread.join()
    assert code_of(pool, task) == -9


def test_an_attempt_is_killed_when_the_time_is_over(pool, monkeypatch):
    monkeypatch.setattr(worker_module, "_LEAST_SECONDS", 0.1)
    task = offer(pool, "t", SLEEP)
    one, _ = worker(pool, idle=None, seconds=3.0)
    assert one.run() == 1
    assert code_of(pool, task) == -9


def test_one_task_is_killed_with_what_it_started_and_others_go_on(pool, tmp_path):
    code = (
        NOTE
        + "import subprocess, time; subprocess.Popen(['sleep', '500'], cwd=os.path.dirname(__file__)); time.sleep(500)"
    )
    doomed = offer(pool, "doomed", code, priority=1)
    other = offer(pool, "other", NOTE + f"import time\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.02)")
    one, _ = worker(pool, slots=2)

    def kill() -> None:
        pool.kill(doomed, one.name)
        wait_for(lambda: code_of(pool, doomed) == -9)
        wait_for(lambda: not list(pool.kills(one.name)), what="the order is cleared away")
        (tmp_path / "go").touch()

    thread = meanwhile(lambda: len(begun(pool)) == 2, kill)
    assert one.run() == 2
    thread.join()
    assert code_of(pool, other) == 0


def test_an_end_that_cannot_be_written_now_is_written_later(pool, monkeypatch):
    task = offer(pool, "t")
    real, failures = Pool.end, [OSError("the server is away")] * 3

    def end(*arguments: object) -> None:
        if failures:
            raise failures.pop()
        real(*arguments)

    monkeypatch.setattr(Pool, "end", end)
    assert worker(pool)[0].run() == 1
    assert code_of(pool, task) == 0


def test_a_pool_that_cannot_be_seen_is_looked_at_again(pool, monkeypatch):
    offer(pool, "t")
    real, failures = Pool.offered, [OSError("the server is away")] * 2
    monkeypatch.setattr(
        Pool, "offered", lambda self: real(self) if not failures else (_ for _ in ()).throw(failures.pop())
    )
    one, said = worker(pool)
    assert one.run() == 1
    assert sum("cannot be seen now" in line for line in said) == 1  # once while it lasts


def test_a_task_that_cannot_be_begun_is_given_back(pool, tmp_path):
    task = offer(pool, "t")
    (out,) = [Path(pool.look_at(task)[0].script).with_suffix(".out")]
    out.mkdir()  # nothing can be written there
    one, said = worker(pool)
    assert one.run() == 0
    assert pool.offered() == [task]
    assert "could not be begun" in said[0]
