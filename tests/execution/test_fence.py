"""An attempt that was given up changes nothing any more, however late it wakes up; the next one loses nothing by it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import multiprocessing
import os
import signal
import textwrap
import threading
import time
from pathlib import Path

import attrs
import filelock
import pytest
from dummy_protocol import times_left
from left_processes import stacks
from one_task import SLEEP, TOLD_TO_END, Task, task_of, wait_until
from patience import Patience, scaled

from xpm_alchem import gufe_seam
from xpm_alchem.base.errors import FormatError, SupersededError, TaskBusyError
from xpm_alchem.base.files import atomic_write, write_json
from xpm_alchem.execution import fence
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched, Outcome
from xpm_alchem.execution.dag_run import UnitsFailed, run
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Fence, Orders, fence_off, give_orders, inherit
from xpm_alchem.execution.interrupts import Stopped
from xpm_alchem.execution.progress import newest_checkpoint

FORK = multiprocessing.get_context("fork")
MINE = Launched(job="7_0", launch="batch-1/0", node="n1")


@pytest.fixture(autouse=True)
def brisk(monkeypatch):
    """Attempts look at their orders all the time, and write of every unit; nobody waits long for anybody."""
    monkeypatch.setattr("xpm_alchem.execution.interrupts._ORDERS_SECONDS", 0.02)
    monkeypatch.setattr("xpm_alchem.execution.summary_file._PACE_SECONDS", 0.0)
    monkeypatch.setattr("xpm_alchem.execution.dag_run._BUSY_SECONDS", 0.2)
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_PAUSE", 0.05)


@pytest.fixture
def task(tmp_path):
    return Task(tmp_path / "mine")


@pytest.fixture
def undisturbed(tmp_path):
    """What the units of the same task give when nothing happens to it."""
    other = Task(tmp_path / "undisturbed")
    other.run()
    return other.outputs()


def contents(path: Path, *but: str) -> dict[str, bytes]:
    """Return every file that counts; scratch, logs and locks do not."""
    void = ("scratch/", "stdout/", "stderr/", "attempt.lock", "orders.json", *but)
    names = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in names.items() if not name.startswith(void)}


def at_work(task: Task, step: int = 3) -> int:
    """Start an attempt in another process; return its pid once it sleeps in this step of a simulation (of 4)."""
    name = f"simulate 0 step {step}"
    task.script(**{name: SLEEP})
    pid = task.fork()
    wait_until(lambda: times_left(task.script_path, name) == 0)
    return pid


def ended(pid: int) -> int:
    """Wait for another process's end and return its exit code; one that does not end fails the test."""
    patience = Patience(60)
    while (found := os.waitpid(pid, os.WNOHANG)) == (0, 0) and not patience.is_over():
        time.sleep(0.005)
    if found == (0, 0):
        where = stacks(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        pytest.fail(f"it does not end:\n{where}")
    return os.waitstatus_to_exitcode(found[1])


@contextlib.contextmanager
def lock_held(path: Path):
    """Hold a lock in another process while the block runs."""
    ready, over = FORK.Event(), FORK.Event()

    def hold() -> None:
        with filelock.FileLock(path):
            ready.set()
            over.wait(600)

    process = FORK.Process(target=hold)
    process.start()
    try:
        assert ready.wait(scaled(60))
        yield
    finally:
        over.set()
        process.join()


# -------------------------------------------------------------------------------------------------------------- orders
def test_without_orders_any_attempt_may_work(tmp_path):
    assert Orders.read(tmp_path) == Orders(launch=None, generation=0, stop=None)
    assert Fence(tmp_path, None).orders() is not None
    assert Fence(tmp_path, "batch-1/0").orders() is not None


@pytest.mark.parametrize(
    "orders",
    [
        Orders(),
        Orders("batch-1/3"),
        Orders(None, 4),
        Orders(None, 0, "cancelled"),
        Orders("b/0", 2, "the user said so"),
    ],
)
def test_orders_are_read_as_they_were_given(tmp_path, orders):
    assert give_orders(tmp_path / "task", **attrs.asdict(orders)) == orders
    assert Orders.read(tmp_path / "task") == orders


def test_orders_change_what_is_named_and_nothing_else(tmp_path):
    give_orders(tmp_path, launch="b/1", generation=3)
    assert give_orders(tmp_path, stop="enough") == Orders("b/1", 3, "enough")
    assert give_orders(tmp_path, stop=None) == Orders.read(tmp_path) == Orders("b/1", 3, None)


def test_orders_that_change_nothing_are_not_written(tmp_path):
    give_orders(tmp_path, launch=None)
    assert not TaskDirectory(tmp_path).orders.exists()
    give_orders(tmp_path, launch="b/1")
    before = TaskDirectory(tmp_path).orders.stat().st_ino
    give_orders(tmp_path, launch="b/1")
    assert TaskDirectory(tmp_path).orders.stat().st_ino == before


def test_orders_of_a_newer_version_stop_an_older_program_before_it_writes(task):
    give_orders(task.files.path, launch="b/1")
    path = task.files.orders
    write_json(path, json.loads(path.read_text()) | {"format_version": 99})
    with pytest.raises(FormatError, match="newer xpm-alchem") as caught:
        task.run(launched=MINE)
    assert caught.value.newer and contents(task.files.path) == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": "x"}', *(json.dumps({"generation": g}) for g in ("many", [1], {"a": 1}))],
)
def test_damaged_orders_are_told_with_their_file(tmp_path, text):
    path = TaskDirectory(tmp_path).orders
    header = {"format": fence.ORDERS, "format_version": fence.ORDERS_VERSION}
    path.write_text(json.dumps(header | json.loads(text)) if "generation" in text else text)
    with pytest.raises(FormatError, match=r"orders\.json"):
        Orders.read(tmp_path)


# ----------------------------------------------------------------------------------------------- who may begin to work
@pytest.mark.parametrize("launched", [None, Launched(), MINE, Launched("8_0", "batch-1/00", "n1")])
def test_an_attempt_of_another_launch_is_refused_before_anything_is_written(task, launched):
    give_orders(task.files.path, launch="batch-2/0")
    with pytest.raises(SupersededError, match=r"came too late: batch-2/0 is to work here"):
        task.run(launched=launched)
    assert contents(task.files.path) == {} and not task.files.lock.exists()


def test_an_older_launch_is_refused_even_where_the_task_is_complete(task):
    task.run()
    give_orders(task.files.path, launch="batch-2/0")
    before = contents(task.files.path)
    with pytest.raises(SupersededError, match=r"\(batch-1/0\) came too late"):
        task.run(launched=MINE)
    assert contents(task.files.path) == before


def test_the_launch_that_is_named_may_work_and_is_noted(task):
    give_orders(task.files.path, launch="batch-1/0")
    assert task.run(launched=MINE).status == "complete"
    (attempt,) = task.attempts
    assert (attempt.launched_as, attempt.node, attempt.outcome) == ("7_0", "n1", Outcome.COMPLETE)


def test_a_job_that_failed_and_is_started_once_more_runs_no_second_attempt_before_a_decision(task):
    give_orders(task.files.path, launch="batch-1/0")
    task.script(**{"simulate 0": {"do": "raise", "times": 2}})
    with pytest.raises(UnitsFailed):
        task.run(launched=MINE)
    with pytest.raises(SupersededError, match=r"attempt 1, of the same job 7_0, failed"):  # a controller had crashed
        task.run(launched=MINE)
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.decision) == (Outcome.ERROR, None)
    AttemptLog(task.files.attempts).decide(attempt, "resume", "pattern")
    with pytest.raises(UnitsFailed):
        task.run(launched=MINE)
    give_orders(task.files.path, launch="batch-2/0")
    assert task.run(launched=Launched("8_0", "batch-2/0", "n1")).status == "complete"


@pytest.mark.parametrize("stop", [False, True])
def test_a_job_that_is_requeued_goes_on_with_an_attempt_that_was_ended(task, stop):
    give_orders(task.files.path, launch="batch-1/0")
    log = AttemptLog(task.files.attempts)
    first = log.start(limit=None, launched=MINE, versions={})
    if stop:
        log.end(first, Outcome.CANCELLED, reason="told to end", progress=False, seconds=1.0, kept_seconds=0.0)
    assert task.run(launched=MINE).status == "complete"
    assert [a.outcome for a in task.attempts] == [Outcome.CANCELLED if stop else Outcome.LOST, Outcome.COMPLETE]


def test_an_attempt_that_waited_for_the_one_before_looks_at_its_orders_again(task, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.dag_run._BUSY_SECONDS", 600.0)
    give_orders(task.files.path, launch="batch-1/0")
    with lock_held(task.files.lock):
        pid = task.fork(launched=MINE)
        wait_until(task.files.results.exists)
        time.sleep(0.2)  # by now it waits; if not, it is refused at once
        give_orders(task.files.path, launch="batch-2/0")
    assert ended(pid) == 99
    assert contents(task.files.path) == {}


# ----------------------------------------------------------------------------------------------------------- fence_off
def test_fencing_off_voids_the_launch_and_keeps_the_request_to_stop(tmp_path):
    give_orders(tmp_path, launch="b/0", stop="cancelled")
    fence_off(tmp_path)
    assert Orders.read(tmp_path) == Orders(None, 1, "cancelled")
    fence_off(tmp_path)
    assert Orders.read(tmp_path) == Orders(None, 2, "cancelled")


def test_a_fence_is_seen_by_the_attempt_before_and_not_by_the_one_after(tmp_path):
    before = Fence(tmp_path, None)
    fence_off(tmp_path)
    after = Fence(tmp_path, None)
    assert before.orders() is None and after.orders() is not None
    give_orders(tmp_path, launch="b/0")
    assert after.orders() is None and Fence(tmp_path, "b/0").orders() is not None


def test_a_lock_that_a_process_holds_for_ever_does_not_block_the_attempt_after_a_fence(task):
    task.files.make()
    with lock_held(task.files.lock):
        with pytest.raises(TaskBusyError):
            task.run()
        fence_off(task.files.path)
        assert task.run().status == "complete"


def test_the_lock_of_experimaestro_is_void_too(task):
    task.files.make()
    path = task.files.path / "script.lock"
    with lock_held(path):
        fence_off(task.files.path)
        with filelock.FileLock(path).acquire(timeout=0):
            pass


def test_an_attempt_that_lets_go_of_a_void_lock_leaves_the_new_one_alone(task, tmp_path):
    pid = at_work(task)
    fence_off(task.files.path)
    with lock_held(task.files.lock):
        assert ended(pid) == TOLD_TO_END
        with pytest.raises(TaskBusyError):
            task.run()


# ------------------------------------------------------------------------------------- fenced off while a unit runs
def test_an_attempt_that_is_fenced_off_while_it_sleeps_ends_without_a_word(task):
    pid = at_work(task)
    before = contents(task.files.path)
    fence_off(task.files.path)
    assert ended(pid) == TOLD_TO_END
    assert contents(task.files.path) == before
    assert task.attempts[0].outcome is None and task.summary.status == "running"


def test_an_attempt_that_works_on_while_it_is_fenced_off_changes_its_own_checkpoint_at_most(tmp_path):
    task = Task(tmp_path, n_steps=100_000, step_seconds=0.001)
    pid = task.fork()
    wait_until(lambda: list(task.files.path.glob("shared/*/checkpoint.json")))
    its_own = f"shared/{task.key('simulate 0')}/"
    before = contents(task.files.path, its_own)
    fence_off(task.files.path)
    assert ended(pid) == TOLD_TO_END
    assert contents(task.files.path, its_own) == before


def test_the_next_attempt_goes_on_from_a_copy_of_the_checkpoint_and_gives_the_same_numbers(task, undisturbed):
    pid = at_work(task)
    key = task.key("simulate 0")
    old = task.files.shared(key)
    before = contents(old)
    assert json.loads(before["checkpoint.json"])["step"] == 2
    fence_off(task.files.path)
    ended(pid)
    assert task.run().status == "complete"
    new = old.with_name(f"{key}.generation-1")
    assert json.loads((new / "checkpoint.json").read_text())["step"] == 4 and contents(old) == before
    assert (task.starts("simulate 0"), task.outputs()) == (2, undisturbed)
    assert [attempt.outcome for attempt in task.attempts] == [Outcome.LOST, Outcome.COMPLETE]
    assert task.units_done() == ["setup", "simulate 0", "analyse"]
    assert [unit["resumed"] for unit in task.attempts[1].units] == [True, False]


def test_a_process_that_was_frozen_does_not_hold_up_the_next_attempt_and_does_no_harm_when_it_wakes(task, undisturbed):
    pid = at_work(task)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(TaskBusyError):
            task.run()
        fence_off(task.files.path)
        summary = task.run()
        before = contents(task.files.path)
    finally:
        os.kill(pid, signal.SIGCONT)
        code = ended(pid)
    assert (summary.status, code, task.outputs()) == ("complete", TOLD_TO_END, undisturbed)
    assert contents(task.files.path) == before
    assert [attempt.outcome for attempt in task.attempts] == [Outcome.LOST, Outcome.COMPLETE]


def test_a_task_may_be_fenced_off_again_and_again(task, undisturbed):
    for step in (2, 3, 4):
        pid = at_work(task, step)
        fence_off(task.files.path)
        assert ended(pid) == TOLD_TO_END
    assert task.run().status == "complete"
    assert task.outputs() == undisturbed and task.starts("simulate 0") == 4
    shared = sorted(path.name for path in (task.files.path / "shared").iterdir() if task.key("simulate 0") in path.name)
    assert shared == [task.key("simulate 0") + suffix for suffix in ("", *(f".generation-{n}" for n in (1, 2, 3)))]


# ------------------------------------------------------------------------------- fenced off before it looked again
@pytest.fixture
def fencing(tmp_path, monkeypatch):
    """Return a function that makes a task whose only unit is fenced off while it runs, and then does as it is told.

    The attempts look at their orders between units only: as if they had been frozen until the unit's end.
    """
    monkeypatch.setattr("xpm_alchem.execution.interrupts._ORDERS_SECONDS", 60.0)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "fencing_protocol.py").write_text(
        textwrap.dedent("""
        import os, shutil, signal
        from pathlib import Path
        import dummy_protocol as dummy
        from xpm_alchem import gufe_seam as seam
        from xpm_alchem.execution.fence import fence_off

        class Fencing(seam.ProtocolUnitBase):
            @staticmethod
            def _execute(ctx, **inputs):
                task = Path(ctx.shared).parent.parent
                order = task.with_name("order").read_text()
                if order == "checkpoint":
                    (Path(ctx.shared) / "checkpoint").write_text("half way")
                    raise seam.ExecutionInterrupt("enough for today")
                fence_off(task)
                shutil.copytree(task, task.with_name("when it was fenced off"))
                if order == "raise":
                    raise RuntimeError("too late")
                if order != "return":
                    os.kill(os.getpid(), signal.Signals[order])
                return {"dg": 1.0}

        class FencingProtocol(dummy.DummyProtocol):
            def _create(self, stateA, stateB, mapping=None, extends=None):
                return [Fencing(name="analyse")]
        """)
    )
    module = __import__("fencing_protocol")

    def make() -> Task:
        return task_of(module.FencingProtocol(module.dummy.DummySettings()), tmp_path / "mine", "fencing_protocol")

    return make


def do(task: Task, order: str) -> None:
    task.script_path.with_name("order").write_text(order)
    with pytest.raises((Stopped, UnitsFailed)):
        task.run()


def is_as_it_was_when_fenced_off(task: Task) -> bool:
    return contents(task.files.path) == contents(task.files.path.with_name("when it was fenced off"))


@pytest.mark.parametrize("order", ["return", "raise", "SIGTERM", "SIGINT", "SIGUSR1"])
def test_however_a_unit_ends_after_the_fence_nothing_is_written(fencing, order):
    """SIGTERM: a node that comes back ends the processes it finds. Its attempt must not even note its own end."""
    task = fencing()
    do(task, order)
    assert is_as_it_was_when_fenced_off(task)
    assert task.attempts[0].outcome is None


@pytest.mark.parametrize("order", ["return", "raise"])
def test_however_a_unit_that_had_a_checkpoint_ends_after_the_fence_nothing_is_written(fencing, order):
    task = fencing()
    do(task, "checkpoint")
    do(task, order)
    assert is_as_it_was_when_fenced_off(task)


@pytest.mark.parametrize("fails", [False, True])
def test_an_attempt_that_is_fenced_off_after_its_last_unit_writes_neither_result_nor_end(task, fails):
    if fails:
        task.script(analyse={"do": "raise"})
    before = {}

    def fence_it(event) -> None:
        if event.name == "analyse":
            fence_off(task.files.path)
            before.update(contents(task.files.path))

    with pytest.raises((Stopped, UnitsFailed)):
        task.run(on_unit=fence_it)
    assert before and contents(task.files.path) == before


@pytest.mark.parametrize("fails", [False, True])
def test_an_attempt_that_is_fenced_off_while_the_dag_is_made_writes_nothing(task, fails):
    before = {}

    def load():
        fence_off(task.files.path)
        before.update(contents(task.files.path))
        if fails:
            raise RuntimeError("the network is gone")
        return task.transformation

    with pytest.raises((Stopped, RuntimeError)):
        run(task.files.path, attrs.evolve(task.spec, load_transformation=load))
    assert before and contents(task.files.path) == before


def test_an_attempt_that_was_frozen_while_it_made_the_dag_does_not_replace_the_one_that_is_worked_on(task, undisturbed):
    """A DAG's units have random keys: with another dag.json every finished unit would be lost."""
    task.script(simulate_0_step_3={"do": "kill", "times": 1})

    def load():
        fence_off(task.files.path)
        assert task.run_forked() == -signal.SIGKILL
        return task.transformation

    with pytest.raises(Stopped):
        run(task.files.path, attrs.evolve(task.spec, load_transformation=load))
    assert task.run().status == "complete"
    assert task.units_done() == ["setup", "simulate 0", "analyse"]
    assert (task.starts("simulate 0"), task.outputs()) == (2, undisturbed)


@pytest.mark.parametrize("frozen_at", ["setup", "simulate 0", "analyse", "the end"])
def test_an_attempt_that_was_frozen_while_it_wrote_a_result_does_not_overwrite_that_of_the_next(
    task, monkeypatch, frozen_at
):
    save, me, newer = gufe_seam.Parts.save, os.getpid(), {}

    def freezing_save(parts, obj, path, **options) -> None:
        is_it = path == task.files.result if frozen_at == "the end" else getattr(obj, "name", "") == frozen_at
        if is_it and os.getpid() == me and not newer:
            fence_off(task.files.path)
            assert task.run_forked() == 0
            newer.update(contents(task.files.path))
        save(parts, obj, path, **options)

    monkeypatch.setattr(gufe_seam.Parts, "save", freezing_save)
    with pytest.raises(Stopped) as caught:
        task.run()
    assert caught.value.superseded and newer
    assert contents(task.files.path) == newer
    assert task.attempts[-1].outcome is Outcome.COMPLETE and task.summary.status == "complete"


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_an_attempt_that_thaws_in_the_middle_of_any_write_changes_nothing_that_is_read(
    tmp_path, undisturbed, monkeypatch, call
):
    """Whatever file it was writing: summary, DAG, results, journal."""
    tried = 0
    for nth in itertools.count(1, 2):
        with monkeypatch.context() as patch:
            if not _thaws_at(Task(tmp_path / str(nth)), undisturbed, patch, call, nth):
                break
        tried += 1
    assert tried >= 2


def _thaws_at(task: Task, undisturbed, monkeypatch, call: str, nth: int) -> bool:
    """Freeze an attempt in its `nth` call, let another one do the task, and go on; False if it calls less often."""
    me, real, calls, newer = os.getpid(), getattr(os, call), [], {}

    def freezing(*arguments, **options):
        if os.getpid() == me and not newer:
            calls.append(arguments)
            if len(calls) == nth:
                fence_off(task.files.path)
                assert task.run_forked() == 0
                newer.update(summary=task.summary, outputs=task.outputs(), ends=_ends(task))
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, freezing)
    try:
        task.run()
    except (Stopped, TaskBusyError) as stop:
        assert getattr(stop, "superseded", True)
    if not newer:
        return False
    assert newer["summary"].status == "complete"
    assert (task.summary, task.outputs(), _ends(task)) == (newer["summary"], newer["outputs"], newer["ends"])
    assert task.outputs() == undisturbed
    assert task.run() == newer["summary"]
    return True


def _ends(task: Task) -> list:
    return [(attempt.number, attempt.outcome, attempt.units_done) for attempt in task.attempts if attempt.outcome]


def test_what_an_orphan_writes_is_not_the_progress_of_the_next_attempt(task):
    """Else a task whose orphan lives on would be tried without end."""
    task.script(setup={"do": "raise"})
    fence_off(task.files.path)
    old = TaskDirectory(task.files.path).shared("Simulate-of-the-orphan")
    old.mkdir(parents=True)

    def write(event) -> None:
        (old / "checkpoint.json").write_text("{}")

    with pytest.raises(UnitsFailed):
        task.run(on_unit=write)
    assert not task.attempts[-1].progress


# ------------------------------------------------------------------------------------------------------- orders to stop
def test_an_order_to_stop_interrupts_a_unit_and_its_checkpoint_is_kept(task, undisturbed):
    pid = at_work(task)
    give_orders(task.files.path, stop="the user cancelled it")
    assert ended(pid) == TOLD_TO_END
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.reason, attempt.progress) == (Outcome.CANCELLED, "the user cancelled it", True)
    assert (task.summary.status, task.summary.message) == ("stopped", "the user cancelled it")
    assert 0 <= attempt.stop_seconds < 600 and not task.failures()
    checkpoint = task.files.shared(task.key("simulate 0")) / "checkpoint.json"
    assert json.loads(checkpoint.read_text())["step"] == 2
    give_orders(task.files.path, stop=None)
    assert task.run().status == "complete"
    assert (task.starts("simulate 0"), task.outputs()) == (2, undisturbed)


def test_an_order_to_stop_between_units_is_heeded_before_the_next(task, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.interrupts._ORDERS_SECONDS", 60.0)
    with pytest.raises(Stopped, match="enough"):
        task.run(on_unit=lambda event: give_orders(task.files.path, stop="enough"))
    assert task.units_done() == ["setup"]
    assert task.attempts[0].outcome is Outcome.CANCELLED


def test_no_unit_is_begun_while_the_order_to_stop_stands(task):
    give_orders(task.files.path, stop="enough")
    with pytest.raises(Stopped, match="enough"):
        task.run()
    assert (task.units_done(), task.attempts[0].outcome) == ([], Outcome.CANCELLED)


def test_a_fence_comes_before_an_order_to_stop(task, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.interrupts._ORDERS_SECONDS", 60.0)

    def both(event) -> None:
        fence_off(task.files.path)
        give_orders(task.files.path, stop="meant for the next attempt")

    with pytest.raises(Stopped) as caught:
        task.run(on_unit=both)
    assert caught.value.superseded and task.attempts[0].outcome is None


# ------------------------------------------------------------------------------------------------------------- inherit
@pytest.fixture
def left(tmp_path):
    """Checkpoints of a unit that earlier generations left; the newest written a while ago."""
    files = TaskDirectory(tmp_path / "task")
    return files, lambda generation, text: leave(files, generation, text)


def leave(files: TaskDirectory, generation: int, text: str, *, age: float = 3600.0) -> Path:
    path = attrs.evolve(files, generation=generation).shared("Unit-1") / "deep" / "checkpoint"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def of(files: TaskDirectory, generation: int) -> TaskDirectory:
    return attrs.evolve(files, generation=generation)


def taken_over(files: TaskDirectory, generation: int) -> str | None:
    """Return the checkpoint that an attempt of this generation finds, None if there is none."""
    path = of(files, generation).shared("Unit-1") / "deep" / "checkpoint"
    return path.read_text() if path.exists() else None


def test_where_there_is_nothing_nothing_is_taken_over(left):
    files, _ = left
    assert inherit(of(files, 2), "Unit-1")
    assert not of(files, 2).shared("Unit-1").exists()


def test_the_first_generation_works_where_it_always_did(left):
    files, leave = left
    leave(0, "mine")
    assert inherit(files, "Unit-1")
    assert taken_over(files, 0) == "mine" and len(list((files.path / "shared").iterdir())) == 1


def test_the_checkpoint_of_the_last_generation_that_has_one_is_taken_over(left):
    files, leave = left
    leave(0, "old"), leave(1, "new")
    assert inherit(of(files, 4), "Unit-1")
    assert [taken_over(files, n) for n in range(5)] == ["old", "new", None, None, "new"]


def test_what_was_taken_over_once_is_not_replaced(left):
    files, leave = left
    leave(0, "old"), leave(1, "mine")
    assert inherit(of(files, 1), "Unit-1")
    assert taken_over(files, 1) == "mine"


def test_a_copy_that_a_kill_cut_short_is_made_anew(left):
    files, leave = left
    leave(0, "whole")
    partial = of(files, 1).shared("Unit-1").with_name("Unit-1.generation-1.partial")
    (partial / "deep").mkdir(parents=True)
    (partial / "deep" / "half").write_text("x")
    assert inherit(of(files, 1), "Unit-1")
    assert taken_over(files, 1) == "whole" and not partial.exists()
    assert not (of(files, 1).shared("Unit-1") / "deep" / "half").exists()


def test_taking_over_a_checkpoint_is_no_progress(left):
    files, leave = left
    leave(0, "old")
    started = time.time() - 10.0
    assert inherit(of(files, 1), "Unit-1")
    assert newest_checkpoint(of(files, 1)) <= started


def test_a_checkpoint_that_was_just_written_is_looked_at_again_before_it_is_taken_over(left):
    files, _ = left
    leave(files, 0, "at rest", age=0.0)
    assert inherit(of(files, 1), "Unit-1")
    assert taken_over(files, 1) == "at rest"


@contextlib.contextmanager
def writer(path: Path, pause: float, times: int = 1_000_000):
    """Write a checkpoint again and again, as an orphan does."""
    began, over = threading.Event(), threading.Event()

    def write() -> None:
        for n in range(times):
            path.write_text(f"{n:9d}" * 1000)
            began.set()
            if over.wait(pause):
                return

    thread = threading.Thread(target=write)
    thread.start()
    assert began.wait(scaled(60))
    try:
        yield thread
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["all the time", "now and then"])
def test_a_checkpoint_that_is_still_written_to_is_not_taken_over(left, monkeypatch, pause):
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_PAUSE", scaled(0.5))
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_TRIES", 3)
    files, leave = left
    path = leave(0, "x")
    with writer(path, pause):
        assert not inherit(of(files, 1), "Unit-1")
    assert [each.name for each in (files.path / "shared").iterdir()] == ["Unit-1"]


def test_a_checkpoint_is_taken_over_when_its_writer_has_stopped(left, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_PAUSE", scaled(0.5))
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_TRIES", 100)
    files, leave = left
    path = leave(0, "x")
    with writer(path, 0.01, times=20) as thread:
        assert inherit(of(files, 1), "Unit-1")
        thread.join()
    assert taken_over(files, 1) == path.read_text()


def test_a_unit_whose_checkpoint_is_still_written_to_starts_fresh_and_says_so(task, undisturbed, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_TRIES", 2)
    monkeypatch.setattr("xpm_alchem.execution.fence._COPY_PAUSE", scaled(0.5))
    pid = at_work(task)
    key = task.key("simulate 0")
    fence_off(task.files.path)
    ended(pid)
    with writer(task.files.shared(key) / "trajectory", 0.0):
        assert task.run().status == "complete"
    assert (task.starts("simulate 0"), task.outputs()) == (1, undisturbed)
    (told,) = [unit for unit in task.attempts[-1].units if unit.get("fresh")]
    assert told["name"] == "simulate 0" and "still written to" in told["reason"]


# ------------------------------------------------------------------------------------------------------ atomic_write
def test_an_exclusive_write_makes_a_file_where_there_is_none(tmp_path):
    path = tmp_path / "files" / "a.txt"
    path.parent.mkdir()
    with atomic_write(path, exclusive=True) as out:
        out.write("new")
    assert contents(path.parent) == {"a.txt": b"new"}


def test_an_exclusive_write_never_replaces_a_file_not_even_one_that_appears_meanwhile(tmp_path):
    path = tmp_path / "files" / "a.txt"
    path.parent.mkdir()
    for attempt in ("there before", "there meanwhile"):
        with pytest.raises(FileExistsError), atomic_write(path, exclusive=True) as out:
            out.write(attempt)
            if not path.exists():
                path.write_text("theirs")
        assert contents(path.parent) == {"a.txt": b"theirs"}


def test_without_hard_links_an_exclusive_write_still_spares_a_file_that_is_there(tmp_path, monkeypatch):
    def no_link(*arguments) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("xpm_alchem.base.files.os.link", no_link)
    path = tmp_path / "files" / "a.txt"
    path.parent.mkdir()
    with atomic_write(path, exclusive=True) as out:
        out.write("first")
    with pytest.raises(FileExistsError), atomic_write(path, exclusive=True) as out:
        out.write("second")
    assert contents(path.parent) == {"a.txt": b"first"}


def _write_exclusively(path: Path, number: int, barrier, answers) -> None:
    barrier.wait(60)
    try:
        with atomic_write(path, exclusive=True) as out:
            out.write(f"{number} " * 100_000)
        answers.put((number, True))
    except FileExistsError:
        answers.put((number, False))


def test_of_many_that_write_at_once_exactly_one_succeeds_and_its_content_is_there(tmp_path):
    path = tmp_path / "files" / "a.txt"
    path.parent.mkdir()
    barrier, answers = FORK.Barrier(8), FORK.Queue()
    processes = [FORK.Process(target=_write_exclusively, args=(path, n, barrier, answers)) for n in range(8)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=scaled(60)) for _ in processes]
    for process in processes:
        process.join()
    (winner,) = [number for number, succeeded in found if succeeded]
    assert contents(path.parent) == {"a.txt": (f"{winner} " * 100_000).encode()}


def test_a_gufe_object_is_saved_exclusively(tmp_path):
    path = tmp_path / "files" / "a.json"
    path.parent.mkdir()
    solvent = gufe_seam.SolventComponent()
    gufe_seam.save(solvent, path, exclusive=True)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        gufe_seam.save(gufe_seam.SolventComponent(positive_ion="K"), path, exclusive=True)
    assert contents(path.parent) == {"a.json": before}
    assert gufe_seam.load(path, lambda module: None) == solvent
