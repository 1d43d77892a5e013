"""Progress is what the next attempt need not do again."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from one_task import TIMED_OUT, TOLD_TO_END, Task, ended, task_of, wait_until

from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.execution.progress import UnitAtWork
from xpm_alchem.execution.reach import reach_of
from xpm_alchem.failures.restarts import RESUME, STOP, RestartPolicy, decide

BODIES = {  # what a unit does that is stopped before it is done; `shared` is its directory, `halt` waits for that
    "writes once, at its start": """
        (shared / "system.xml").write_text(str(time.time()))
        halt()
    """,
    "writes all the time and reads nothing": """
        for number in range(20):
            (shared / "checkpoint.txt").write_text(str(time.time()))
            time.sleep(0.01)
        halt()
    """,
    "replaces its checkpoint and reads nothing": """
        for number in range(20):
            (shared / "new").write_text(str(number))
            (shared / "new").rename(shared / "checkpoint.chk")
            time.sleep(0.01)
        halt()
    """,
    "keeps what it prepared and simulates again": """
        system = shared / "system.xml"
        if not system.exists():
            system.write_text("system")
        system.read_text()
        (shared / "trajectory.dcd").write_bytes(b"0" * 1000)
        halt()
    """,
    "reads a file that nobody writes again": """
        system = shared / "deep" / "system.xml"
        system.parent.mkdir(exist_ok=True)
        if system.exists():
            system.read_bytes()
        else:
            system.write_text("system")
        for number in range(3):
            (shared / "positions.npz").write_bytes(bytes(number))
        halt()
    """,
    "goes on from its checkpoint": """
        checkpoint = shared / "state"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for number in range(done + 1, done + 5):
            checkpoint.write_text(f"{number:06}")
        halt()
    """,
    "goes on from its checkpoint, replaced each time": """
        checkpoint = shared / "state"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        (shared / "new").write_text(f"{done + 1:06}")
        (shared / "new").rename(checkpoint)
        halt()
    """,
    "numbers its checkpoints": """
        number = len(list(shared.glob("checkpoint_*")))
        (shared / f"checkpoint_{number}").write_text("state")
        halt()
    """,
    "goes on in a process of its own": """
        checkpoint = shared / "state"
        subprocess.run(["sh", "-c", f'cat {checkpoint}; date +%s%N > {checkpoint}'], capture_output=True)
        halt()
    """,
    "goes on from the older of two": """
        older, newer = shared / "a", shared / "b"
        if older.exists():
            older.read_text()
        older.write_text(str(time.time()))
        newer.write_text(str(time.time()))
        halt()
    """,
}
GETS_NOWHERE = list(BODIES)[:5]
GOES_ON = list(BODIES)[5:]
WRITES_EVERY_OTHER_TIME = """
        checkpoint, times = shared / "state", Path(ctx.scratch).parent / "times"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        times.write_text(times.read_text() + "x" if times.exists() else "x")
        if len(times.read_text()) % 2:
            checkpoint.write_text(f"{done + 1:06}")
        halt()
    """

NUMBERS = itertools.count(1)


@pytest.fixture
def unknown(tmp_path, monkeypatch):
    """Return a function that makes a task of a protocol that nobody knows."""
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"unknown_protocol_{next(NUMBERS)}"  # gufe remembers classes by module and name

    def make(body: str) -> Task:
        (tmp_path / f"{name}.py").write_text(
            textwrap.dedent("""
            import subprocess, time
            from pathlib import Path
            import dummy_protocol as dummy
            from xpm_alchem import gufe_seam as seam

            def halt():
                Path(HALTS).touch()
                while True:
                    time.sleep(0.01)

            class Unknown(seam.ProtocolUnitBase):
                @staticmethod
                def _execute(ctx, **inputs):
                    shared = Path(ctx.shared)
                    BODY

            class UnknownProtocol(dummy.DummyProtocol):
                def _create(self, stateA, stateB, mapping=None, extends=None):
                    return [Unknown(name="analyse")]
            """)
            .replace("BODY", textwrap.indent(textwrap.dedent(body), " " * 8).strip())
            .replace("HALTS", repr(str(halts(tmp_path / "mine"))))
        )
        module = __import__(name)
        return task_of(module.UnknownProtocol(module.dummy.DummySettings()), tmp_path / "mine", name)

    yield make
    sys.modules.pop(name, None)


def halts(path: Path) -> Path:
    """Return the file that is there once the unit does nothing any more."""
    return path / "halts"


def slice_of(task: Task) -> None:
    """Work on the task until its unit has done what it does; then its time is over."""
    file = halts(task.files.path.parent)
    file.unlink(missing_ok=True)
    assert task.run_forked(deadline=Deadline(lambda: 0.0 if file.exists() else 1.0, margin=0.0)) == TIMED_OUT


@pytest.mark.slow
@pytest.mark.parametrize("body", GETS_NOWHERE)
def test_a_unit_that_begins_again_each_time_makes_no_progress(unknown, body):
    task = unknown(BODIES[body])
    policy = RestartPolicy(max_retries=1)
    for _ in range(5):
        slice_of(task)
        if decide(task.attempts, policy).what == STOP:
            break
    attempts = task.attempts
    assert decide(attempts, policy).what == STOP and len(attempts) <= 4
    assert {attempt.outcome for attempt in attempts} == {Outcome.TIMEOUT}
    assert not any(attempt.progress for attempt in attempts[1:])
    assert all(attempt.kept_seconds == 0 for attempt in attempts[1:])


@pytest.mark.slow
@pytest.mark.parametrize("body", GOES_ON)
def test_a_unit_that_goes_on_makes_progress_in_every_slice(unknown, body):
    task = unknown(BODIES[body])
    for _ in range(4):
        slice_of(task)
        assert decide(task.attempts, RestartPolicy(max_retries=0)).what == RESUME
    assert all(attempt.progress for attempt in task.attempts)
    assert not any(unit.get("fresh") for attempt in task.attempts for unit in attempt.units)


@pytest.mark.slow
def test_an_attempt_that_was_stopped_before_it_wrote_anything_takes_nothing_from_those_before_it(unknown):
    task = unknown(WRITES_EVERY_OTHER_TIME)
    for _ in range(4):
        slice_of(task)
    assert [attempt.progress for attempt in task.attempts] == [True, False, True, False]
    assert not any(unit.get("fresh") for attempt in task.attempts for unit in attempt.units)


def test_a_unit_that_is_told_to_end_each_time_uses_up_its_retries(unknown):
    task = unknown(BODIES["writes once, at its start"])
    for _ in range(4):
        for left in task.files.path.glob("shared/*/system.xml"):
            os.utime(left, (0, 0))
        pid = task.fork()
        wait_until(lambda: any(p.stat().st_mtime for p in task.files.path.glob("shared/*/system.xml")))
        os.kill(pid, signal.SIGTERM)
        assert ended(pid) == TOLD_TO_END
        if decide(task.attempts, RestartPolicy(max_retries=2)).what == STOP:
            break
    assert len(task.attempts) == 3
    assert "being cancelled" in decide(task.attempts, RestartPolicy(max_retries=2)).reason


def at_work(shared, earlier=(), **options) -> UnitAtWork:
    return UnitAtWork(shared, SimpleNamespace(name="simulation", key="Unit-1"), earlier, **options)


def state(shared, steps: int) -> None:
    (shared / "checkpoint.xml").write_text(f'<State stepCount="{steps}" time="0">')


def ended_at(steps: int) -> Attempt:
    process = ProcessIdentity("host", 7, 1.0)
    return Attempt(1, process, 1.0, outcome=Outcome.TIMEOUT, at_work="Unit-1", reached=steps)


@pytest.mark.parametrize(
    ("before", "start", "end", "moved"),
    [
        (None, None, 100, True),  # the first attempt
        (None, None, 0, False),
        (100, 100, 200, True),
        (100, 100, 100, False),  # not as far as the next checkpoint
        (100, None, 100, False),  # it cannot go on from its checkpoint: set aside, begun again, no further
        (100, None, 150, True),
        (1000, 100, 200, True),  # what was far ahead was set aside long ago: it goes on all the same
    ],
)
def test_steps_that_the_next_attempt_need_not_do_again_are_progress(tmp_path, before, start, end, moved):
    if start is not None:
        state(tmp_path, start)
    unit = at_work(tmp_path, [] if before is None else [ended_at(before)], anew=before is not None and start is None)
    state(tmp_path, end)
    found, kept_until, facts = unit.progress()
    assert (found, facts["reached"], facts["at_work"]) == (moved, end, "Unit-1")
    assert (kept_until > 0) == (end > (start or 0))


def test_a_sampler_that_has_no_checkpoint_at_half_time_says_so_once(tmp_path):
    unit = at_work(tmp_path)
    (tmp_path / "simulation.nc").touch()
    (tmp_path / "checkpoint.chk").touch()
    unit.is_best_moment(600.0)  # its storage was made
    assert unit.warning(299.0, 300.0) == ""
    assert "half of its time is over (301 s) and it has no checkpoint yet" in unit.warning(301.0, 299.0)
    assert unit.warning(302.0, 298.0) == ""


@pytest.mark.parametrize("files", [["checkpoint.xml"], ["trajectory.nc"], []])
def test_what_is_no_sampler_is_not_warned_of(tmp_path, files):
    unit = at_work(tmp_path)
    for name in files:
        (tmp_path / name).touch()
    assert unit.warning(500.0, 100.0) == ""


def test_a_sampler_that_has_written_checkpoints_or_goes_on_is_not_warned_of(tmp_path):
    unit = at_work(tmp_path)
    (tmp_path / "simulation.nc").touch()
    for number in range(3):
        (tmp_path / "checkpoint.chk").touch()
        os.utime(tmp_path / "checkpoint.chk", ns=(number + 1, number + 1))
        unit.is_best_moment(600.0)
    assert unit.warning(500.0, 100.0) == ""


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (
            '<?xml version="1.0" ?>\n<State openmmVersion="8" stepCount="12000" time="24" type="State" version="1">',
            12000,
        ),
        ('<State stepCount="0" time="0">', 0),
        ("<System></System>", None),
        ("", None),
    ],
)
def test_the_steps_of_an_openmm_state_are_read(tmp_path, text, steps):
    (tmp_path / "checkpoint.xml").write_text(text)
    found = reach_of(tmp_path)
    assert (None if found is None else found.steps) == steps


def test_a_file_that_is_no_netcdf_says_nothing(tmp_path):
    (tmp_path / "simulation.nc").write_bytes(b"CDF" + b"\0" * 100)
    assert reach_of(tmp_path) is None
