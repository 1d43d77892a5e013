"""One task in one directory: a kill anywhere costs at most the unit at work, and everything that happened is told."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path

import pytest
from dummy_protocol import times_left
from one_task import SLEEP, TIMED_OUT, TOLD_TO_END, TRUSTED, Task, ended, task_of, wait_until

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.errors import FormatError, TaskBusyError
from xpm_alchem.base.files import write_json
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Launched, Outcome
from xpm_alchem.execution.dag_run import TaskSpec, UnitsFailed, run
from xpm_alchem.execution.deadline import Deadline
from xpm_alchem.execution.directory import TaskDirectory, TaskSummary
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.interrupts import Interrupts, Stopped
from xpm_alchem.execution.measures import Durations
from xpm_alchem.execution.processes import HOST
from xpm_alchem.network.trust import check_module


@pytest.fixture
def task(tmp_path):
    return Task(tmp_path / "mine", n_simulations=2)


@pytest.fixture
def undisturbed(tmp_path):
    """What the same task gives when nothing happens to it."""
    other = Task(tmp_path / "undisturbed", n_simulations=2)
    summary = other.run()
    return summary, other.outputs()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module beside the dummy protocol and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return __import__(name)

    return write


# ------------------------------------------------------------------------------------------------- a complete run
def test_a_complete_run(task):
    events = []
    summary = task.run(on_unit=events.append, launched=Launched(job="job 7"), deadline=Deadline(lambda: 3600.0))
    assert [(e.ok, e.units_done, e.units_total) for e in events] == [(True, n, 4) for n in (1, 2, 3, 4)]
    names = [e.name for e in events]  # gufe orders independent units by their keys, which are random
    assert (names[0], sorted(names[1:3]), names[3]) == ("setup", ["simulate 0", "simulate 1"], "analyse")
    assert summary == task.summary
    assert (summary.status, summary.units_done, summary.units_total, summary.unit) == ("complete", 4, 4, None)
    assert (summary.transformation, summary.repeat, summary.attempts) == ("0123456789abcdef", 1, 1)
    assert (summary.set_aside, summary.message) == (0, None)
    (attempt,) = task.attempts
    assert (attempt.number, attempt.outcome, attempt.units_done, attempt.progress) == (1, Outcome.COMPLETE, 4, True)
    assert (attempt.limit, attempt.launched_as, attempt.traceback) == (3600.0, "job 7", None)
    assert (attempt.process.host, attempt.process.pid) == (HOST, os.getpid())


def test_what_an_attempt_used_is_measured(task):
    task.run_forked()
    (attempt,), summary = task.attempts, task.summary
    assert attempt.cpu_seconds > 0
    assert 0 < attempt.seconds <= attempt.end - attempt.start
    assert 10e6 < attempt.peak_memory_bytes < 1e11
    assert (summary.cpu_seconds, summary.peak_memory_bytes) == (attempt.cpu_seconds, attempt.peak_memory_bytes)
    assert summary.seconds == pytest.approx(attempt.seconds)
    assert attempt.versions == summary.versions
    assert {"xpm-alchem", "gufe"} <= set(attempt.versions)
    assert [(unit["kind"], unit["resumed"]) for unit in attempt.units] == [
        ("Setup", False),
        ("Simulate", False),
        ("Simulate", False),
        ("Analyse", False),
    ]
    assert all(0 <= unit["seconds"] <= attempt.seconds for unit in attempt.units)


def test_the_estimate_is_that_of_the_protocol(task):
    summary = task.run()
    result = seam.load(task.files.result, check_module("a test", TRUSTED))
    assert seam.dag_ok(result) and len(result.protocol_unit_results) == 4
    assert summary.estimate == task.outputs()["analyse"]["dg"]
    assert summary.estimate == pytest.approx(3.0, abs=1.0)  # the dummy's truth, with its noise
    assert summary.uncertainty == 0.0


def test_repeats_differ_and_each_is_reproducible(tmp_path):
    estimates = [Task(tmp_path / str(n), repeat=repeat).run().estimate for n, repeat in enumerate((1, 1, 2))]
    assert estimates[0] == estimates[1] != estimates[2]


def test_a_complete_task_is_not_touched_again(task):
    before = task.run()
    written = {path: path.read_bytes() for path in task.files.path.rglob("*") if path.is_file()}
    spec = TaskSpec("0123456789abcdef", 1, lambda: pytest.fail("the transformation is not needed"), None, TRUSTED)
    assert run(task.files.path, spec) == before
    assert {path: path.read_bytes() for path in task.files.path.rglob("*") if path.is_file()} == written


def test_scratch_is_removed_and_shared_is_kept(task):
    task.run()
    assert not (task.files.path / "scratch").exists()
    assert (task.files.shared(task.key("setup")) / "system.json").is_file()


def test_a_task_outside_of_the_main_thread_runs_without_handlers(task):
    found = []
    thread = threading.Thread(target=lambda: found.append(task.run(deadline=Deadline(lambda: 3600.0))))
    thread.start()
    thread.join()
    assert found[0].status == "complete"


def test_signal_handlers_are_put_back(task):
    numbers = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    task.run(deadline=Deadline(lambda: 3600.0))
    assert [signal.getsignal(number) for number in numbers] == before


# ---------------------------------------------------------------------------------------------------------- kills
PLACES = ["create", "setup", "simulate_0", "simulate_0_step_3", "simulate_1", "simulate_1_step_1", "analyse"]


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_in_any_unit_costs_at_most_that_unit(task, undisturbed, place):
    task.script(**{place: {"do": "kill", "times": 1}})
    assert task.run_forked() == -signal.SIGKILL
    assert task.summary.status == "running" if task.files.summary.exists() else place == "create"
    assert task.run_forked() == 0
    assert [attempt.outcome for attempt in task.attempts] == [Outcome.LOST, Outcome.COMPLETE]
    assert sorted(task.units_done()) == ["analyse", "setup", "simulate 0", "simulate 1"]  # each once, in all
    assert (task.summary.estimate, task.outputs()) == (undisturbed[0].estimate, undisturbed[1])


def test_a_kill_everywhere_gives_the_same_result_bit_by_bit(task, undisturbed):
    task.script(**{place: {"do": "kill", "times": 1} for place in PLACES})
    codes = [task.run_forked() for _ in range(len(PLACES) + 1)]
    assert codes == [-signal.SIGKILL] * len(PLACES) + [0]
    assert sorted(task.units_done()) == ["analyse", "setup", "simulate 0", "simulate 1"]
    assert (task.summary.estimate, task.outputs()) == (undisturbed[0].estimate, undisturbed[1])
    assert task.summary.attempts == len(PLACES) + 1


def test_a_unit_goes_on_from_its_checkpoint(tmp_path):
    task = Task(tmp_path)
    task.script(simulate_0_step_3={"do": "kill", "times": 1})
    task.run_forked()
    assert task.attempts[0].outcome is None
    task.run_forked()
    lost, complete = task.attempts
    assert lost.progress and lost.units_done == 1
    assert {unit["name"]: unit["resumed"] for unit in complete.units} == {
        "simulate 0": True,
        "analyse": False,
    }
    assert task.starts("simulate 0") == 2


def test_a_kill_before_anything_was_made_is_no_progress(task):
    task.script(setup={"do": "kill", "times": 1})
    task.run_forked()
    task.run_forked()
    assert not task.attempts[0].progress


@pytest.mark.parametrize(("what", "code"), [("segfault", -signal.SIGSEGV), ("exit", 0), ("kill", -signal.SIGKILL)])
def test_a_process_that_ends_without_a_word_is_recorded_as_lost_by_the_next(tmp_path, what, code):
    task = Task(tmp_path)
    task.script(simulate_0={"do": what, "times": 1})
    assert task.run_forked() == code
    assert (task.summary.status, task.attempts[0].outcome) == ("running", None)
    assert not task.files.result.exists()
    task.run()
    lost = task.attempts[0]
    assert (lost.outcome, lost.reason, lost.units_done) == (Outcome.LOST, "ended without a word", 1)


@pytest.mark.slow
def test_fresh_interpreters_killed_after_every_second_step_give_the_same_result(tmp_path):
    expected = Task(tmp_path / "undisturbed", n_steps=8)
    expected.run()
    task = Task(tmp_path / "mine", n_steps=8)
    seam.save(task.transformation, tmp_path / "transformation.json")
    program = textwrap.dedent(f"""
        from pathlib import Path
        from xpm_alchem import gufe_seam as seam
        from xpm_alchem.execution.dag_run import TaskSpec, run
        from xpm_alchem.network.trust import check_module
        check = check_module("x", ("dummy_protocol",))
        load = lambda: seam.load(Path({str(tmp_path / "transformation.json")!r}), check)
        run(Path({str(task.files.path)!r}), TaskSpec("0123456789abcdef", 1, load, None, ("dummy_protocol",)))
    """)
    kills = 0
    for step in ("simulate 0 step 3", "simulate 0 step 5", "simulate 0 step 7"):
        task.script(**{step: SLEEP})
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program])
        wait_until(lambda name=step: times_left(task.script_path, name) == 0)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    task.script()
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program]).returncode == 0
    assert task.summary.status == "complete"
    assert kills == 3 and task.starts("simulate 0") == 4
    assert task.outputs() == expected.outputs()
    assert task.units_done() == ["setup", "simulate 0", "analyse"]


# -------------------------------------------------------------------------------------------------------- failures
def test_units_that_do_not_depend_on_the_failed_one_still_run(tmp_path):
    task = Task(tmp_path, n_simulations=3)
    task.script(simulate_1={"do": "raise", "message": "CUDA_ERROR_42"})
    with pytest.raises(UnitsFailed, match="RuntimeError: CUDA_ERROR_42"):
        task.run()
    assert sorted(task.units_done()) == ["setup", "simulate 0", "simulate 2"]
    task.script()
    assert task.run().status == "complete"
    assert sorted(task.units_done()) == ["analyse", "setup", "simulate 0", "simulate 1", "simulate 2"]


def test_a_failure_is_kept_with_its_traceback(task):
    task.script(simulate_1={"do": "raise", "message": "CUDA_ERROR_42"})
    with pytest.raises(UnitsFailed) as caught:
        task.run()
    assert task.failures() == [f"{task.key('simulate 1')}.0.json"]
    failure = seam.load(task.files.failure(task.key("simulate 1"), 0), check_module("a test", TRUSTED))
    (attempt,), summary = task.attempts, task.summary
    for text in (failure.traceback, attempt.traceback, caught.value.traceback):
        assert "Traceback" in text and "in misbehave" in text and "CUDA_ERROR_42" in text
    assert not failure.ok()
    assert (attempt.outcome, attempt.reason) == (Outcome.ERROR, "RuntimeError: CUDA_ERROR_42")
    assert (summary.status, summary.message) == ("error", "RuntimeError: CUDA_ERROR_42")
    assert summary.units_done == 2 and not task.files.result.exists()


def test_every_failure_is_kept(task):
    task.script(setup={"do": "raise"})
    for _ in range(3):
        with pytest.raises(UnitsFailed):
            task.run()
    assert task.failures() == [f"{task.key('setup')}.{n}.json" for n in range(3)]
    assert [attempt.outcome for attempt in task.attempts] == [Outcome.ERROR] * 3
    assert task.summary.attempts == 3
    assert task.summary.seconds == pytest.approx(sum(attempt.seconds for attempt in task.attempts))


def test_an_exception_in_create_is_an_error_with_its_traceback(task):
    task.script(create={"do": "raise", "message": "no mapping", "times": 1})
    with pytest.raises(RuntimeError, match="no mapping"):
        task.run()
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.reason, attempt.progress) == (Outcome.ERROR, "RuntimeError: no mapping", False)
    assert "in _create" in attempt.traceback
    assert task.summary.status == "error" and not task.files.dag.exists()
    assert task.run().status == "complete"


def test_an_inherited_checkpoint_that_makes_a_unit_fail_is_set_aside_and_the_unit_starts_fresh(task, undisturbed):
    task.script(simulate_0_step_3={"do": "kill", "times": 1})
    task.run_forked()
    shared = task.files.shared(task.key("simulate 0"))
    (shared / "checkpoint.json").write_text('{"step": 2, "sam')
    summary = task.run()
    aside = shared.with_name(f"{shared.name}.set-aside-1")
    assert (aside / "checkpoint.json").read_text() == '{"step": 2, "sam'
    assert (summary.status, summary.set_aside, task.summary.set_aside) == ("complete", 1, 1)
    (event,) = [unit for unit in task.attempts[-1].units if "set_aside" in unit]
    assert event["set_aside"] == aside.name and "JSONDecodeError" in event["reason"] and not event["ok"]
    assert task.failures() == [f"{task.key('simulate 0')}.0.json"]
    assert task.starts("simulate 0") == 1 and task.outputs() == undisturbed[1]


def test_a_unit_is_started_fresh_once_only(task):
    task.script(simulate_0_step_3={"do": "kill", "times": 1})
    task.run_forked()
    task.script(simulate_0={"do": "raise"})
    with pytest.raises(UnitsFailed):
        task.run()
    assert len(task.failures()) == 2  # with the checkpoint, and without
    assert task.summary.set_aside == 1
    with pytest.raises(UnitsFailed):
        task.run()
    assert task.summary.set_aside == 1 and len(task.failures()) == 3  # there is no checkpoint any more


def test_a_failure_without_a_checkpoint_is_not_repeated(task):
    task.script(simulate_0={"do": "raise", "times": 1})
    with pytest.raises(UnitsFailed):
        task.run()
    assert len(task.failures()) == 1 and task.summary.set_aside == 0


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def damage_other_json(path: Path) -> None:
    path.write_text("{}")


def damage_unknown_class(path: Path) -> None:
    path.write_text('[["X-1", {"__qualname__": "X", "__module__": "gufe.no_such_module"}]]')


def damage_other_object(path: Path) -> None:
    seam.save(seam.SolventComponent(), path)


def damage_result_of_another_unit(path: Path) -> None:
    other = next(p for p in path.parent.iterdir() if p != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_empty,
        damage_zeros,
        damage_other_json,
        damage_unknown_class,
        damage_other_object,
        damage_result_of_another_unit,
    ],
    ids=lambda function: function.__name__,
)
def test_a_damaged_result_of_a_unit_is_set_aside_and_the_unit_run_again(task, undisturbed, damage):
    task.script(analyse={"do": "raise", "times": 1})
    with pytest.raises(UnitsFailed):
        task.run()
    path = task.files.unit_result(task.key("simulate 1"))
    damage(path)
    damaged = path.read_bytes()
    assert task.run().status == "complete"
    assert path.with_name(f"{path.name}.set-aside-1").read_bytes() == damaged
    assert [unit["damaged"] for unit in task.attempts[-1].units if "damaged" in unit] == [f"{path.name}.set-aside-1"]
    assert sorted(task.units_done()) == ["analyse", "setup", "simulate 0", "simulate 1", "simulate 1"]
    assert task.outputs() == undisturbed[1]


def test_a_result_that_is_a_link_to_nowhere_is_set_aside_and_the_unit_run_again(task, undisturbed):
    task.script(analyse={"do": "raise", "times": 1})
    with pytest.raises(UnitsFailed):
        task.run()
    path = task.files.unit_result(task.key("simulate 1"))
    path.unlink()
    path.symlink_to("nowhere")
    assert task.run().status == "complete"
    assert path.is_file() and path.with_name(f"{path.name}.set-aside-1").is_symlink()
    assert task.outputs() == undisturbed[1]


def test_a_protocol_that_gives_no_estimate_loses_no_result(tmp_path, module):
    silent = module(
        "silent_protocol",
        """
        import dummy_protocol as dummy

        class SilentResult(dummy.DummyResult):
            def get_estimate(self):
                raise ValueError("too few samples")

        class SilentProtocol(dummy.DummyProtocol):
            result_cls = SilentResult
        """,
    )
    task = task_of(silent.SilentProtocol(silent.dummy.DummySettings()), tmp_path / "mine", "silent_protocol")
    summary = task.run()
    assert (summary.status, summary.estimate, summary.uncertainty) == ("complete", None, None)
    assert summary.message == "complete, but the protocol gave no estimate: ValueError: too few samples"
    assert task.files.result.exists() and task.attempts[0].outcome is Outcome.COMPLETE


ABSURD = {
    "1e160": "its estimate is 1e+160 kcal/mol",
    "10**400": "its estimate is inf kcal/mol",
    "float('nan')": "its estimate is not a number",
    "float('-inf')": "its estimate is -inf kcal/mol",
    "1 + 2j": "its estimate is (1+2j), which is no energy",
    "[1.0, 2.0]": "its estimate is [1.0, 2.0], which is no energy",
    "__import__('openff.units', fromlist=['Quantity']).Quantity(5, 'nm')": "nanometer",
}


@pytest.mark.parametrize("number", ABSURD)
def test_a_repeat_whose_number_is_no_energy_is_complete_and_left_out(tmp_path, module, number):
    name = f"absurd_protocol_{list(ABSURD).index(number)}"
    absurd = module(
        name,
        f"""
        import dummy_protocol as dummy

        class AbsurdResult(dummy.DummyResult):
            def get_estimate(self):
                return {number}

            def get_uncertainty(self):
                return 0.1

        class AbsurdProtocol(dummy.DummyProtocol):
            result_cls = AbsurdResult
        """,
    )
    task = task_of(absurd.AbsurdProtocol(absurd.dummy.DummySettings()), tmp_path / "mine", name)
    summary = task.run()
    assert (summary.status, summary.estimate, summary.uncertainty, summary.simulations) == ("complete", None, None, [])
    assert summary.left_out == summary.message and ABSURD[number] in summary.message
    assert task.files.result.exists()


def test_what_follows_a_damaged_result_is_computed_again(task):
    assert task.run().status == "complete"
    damage_truncate(task.files.unit_result(task.key("setup")))
    task.files.result.unlink()
    task.run()
    assert sorted(task.units_done()) == sorted(["setup", "simulate 0", "simulate 1", "analyse"] * 2)


def test_a_kill_between_the_result_and_the_summary_only_repeats_the_end(task):
    before = task.run()
    task.summary.evolve(status="running", estimate=None).write(task.files.summary)
    after = task.run()
    assert (after.status, after.estimate) == ("complete", before.estimate)
    assert len(task.units_done()) == 4


def test_a_summary_of_a_newer_version_stops_an_older_program(task):
    task.run()
    content = json.loads(task.files.summary.read_text())
    write_json(task.files.summary, content | {"format_version": 99})
    with pytest.raises(FormatError, match="newer xpm-alchem"):
        task.run()


# ------------------------------------------------------------------------------------------------ deadlines, signals
def test_a_unit_that_does_not_fit_into_the_time_left_is_not_begun(tmp_path):
    task = Task(tmp_path, n_simulations=3, n_steps=2, step_seconds=0.05)
    left = [1000.0]

    def shrink(event):
        if event.name.startswith("simulate"):
            left[0] = 0.05  # and a simulation takes 0.1 s at least

    with pytest.raises(Stopped, match=r"simulate \d takes about 0 s and 0 s are left") as caught:
        task.run(deadline=Deadline(lambda: left[0], margin=0.0), on_unit=shrink)
    assert caught.value.timeout
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.progress, attempt.units_done) == (Outcome.TIMEOUT, True, 2)
    assert (task.summary.status, task.summary.message) == ("stopped", attempt.reason)
    with pytest.raises(Stopped):  # the first unit of an attempt is always begun
        task.run(deadline=Deadline(lambda: left[0], margin=0.0))
    assert [name.split()[0] for name in task.units_done()] == ["setup", "simulate", "simulate"]


def test_no_unit_is_begun_after_the_deadline(task):
    with pytest.raises(Stopped, match="the time limit is near"):
        task.run(deadline=Deadline(lambda: 5.0, margin=10.0))
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.progress, attempt.units_done) == (Outcome.TIMEOUT, False, 0)


def test_the_deadline_interrupts_a_unit_which_goes_on_later(tmp_path):
    task = Task(tmp_path)
    task.script(simulate_0_step_3=SLEEP)

    def remaining() -> float:
        asleep = times_left(task.script_path, "simulate 0 step 3") == 0
        return 0.5 if asleep else 0.7

    assert task.run_forked(deadline=Deadline(remaining, margin=0.5)) == TIMED_OUT
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.progress, attempt.reason) == (Outcome.TIMEOUT, True, "the time limit is near")
    assert not task.failures()
    assert task.run().status == "complete"
    assert task.starts("simulate 0") == 2


def in_sleep(task: Task, **options: object) -> int:
    """Start an attempt that sleeps in a unit; return its pid when it does."""
    pid = task.fork(**options)
    wait_until(lambda: not any(times_left(task.script_path, name) for name in json.loads(task.script_path.read_text())))
    return pid


@pytest.mark.parametrize(
    ("number", "code", "outcome", "reason"),
    [
        (signal.SIGUSR1, TIMED_OUT, Outcome.TIMEOUT, "the time limit is near"),
        (signal.SIGTERM, TOLD_TO_END, Outcome.CANCELLED, "told to end by SIGTERM"),
        (signal.SIGINT, TOLD_TO_END, Outcome.CANCELLED, "told to end by SIGINT"),
    ],
)
def test_a_signal_stops_a_unit_and_says_why(task, undisturbed, number, code, outcome, reason):
    task.script(simulate_0_step_3=SLEEP)
    pid = in_sleep(task)
    os.kill(pid, number)
    assert ended(pid) == code
    (attempt,) = task.attempts
    assert (attempt.outcome, attempt.reason, task.summary.message) == (outcome, reason, reason)
    assert task.summary.status == "stopped" and not task.failures()
    assert task.run().status == "complete" and task.outputs() == undisturbed[1]


def test_sigterm_after_the_deadline_is_a_time_out(task):
    task.script(simulate_0=SLEEP)
    left = task.script_path.with_name("left")
    left.write_text("100")
    pid = in_sleep(task, deadline=Deadline(lambda: float(left.read_text()), margin=10.0))
    left.with_name("new").write_text("5")
    left.with_name("new").rename(left)
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == TIMED_OUT
    assert task.attempts[0].outcome is Outcome.TIMEOUT


def test_a_second_sigterm_does_not_disturb_what_obeys_the_first():
    interrupts, cleaned_up = Interrupts(None), []

    def _execute():  # gufe's name of a unit's own code
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            wait_until(lambda: False)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned_up.append(True)

    with pytest.raises(Stopped, match="told to end by SIGTERM"), interrupts.watch(), interrupts.unit():
        _execute()
    assert cleaned_up == [True]


@pytest.mark.slow
def test_an_interrupt_that_is_lost_in_a_callback_comes_again(monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.interrupts._AGAIN_SECONDS", 0.05)
    interrupts, lost = Interrupts(None), []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: lost.append(dropped.exc_type))

    class Thing:
        pass

    def careless(reference):  # of a weak reference: Python drops what is raised here
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: False)

    def _execute():
        thing = Thing()
        reference = weakref.ref(thing, careless)
        del thing
        wait_until(lambda: reference is None)

    with pytest.raises(Stopped, match="told to end by SIGTERM"), interrupts.watch(), interrupts.unit():
        _execute()
    assert lost == [seam.ExecutionInterrupt]


@pytest.mark.slow
def test_an_interrupt_just_before_a_unit_s_own_code_comes_again(monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.interrupts._AGAIN_SECONDS", 0.05)
    interrupts, requests = Interrupts(None), []

    def _execute():
        requests.append(interrupts.request)
        wait_until(lambda: False)

    with pytest.raises(Stopped, match="told to end by SIGTERM"), interrupts.watch(), interrupts.unit():
        os.kill(os.getpid(), signal.SIGTERM)  # gufe is about to begin the unit
        _execute()
    assert [str(request) for request in requests] == ["told to end by SIGTERM"]


def test_an_interrupt_does_not_come_again_while_the_unit_keeps_its_state(monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.interrupts._AGAIN_SECONDS", 0.01)
    left, kept = [0.05], []
    interrupts = Interrupts(Deadline(lambda: left[0], margin=0.0))

    def _execute():
        left[0] = 0.0
        try:
            wait_until(lambda: False)
        finally:
            time.sleep(0.5)
            kept.append(True)

    with pytest.raises(Stopped, match="the time limit is near"), interrupts.watch(), interrupts.unit():
        _execute()
    assert kept == [True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, TOLD_TO_END), (signal.SIGUSR1, TIMED_OUT)])
def test_a_protocol_that_makes_a_failure_of_the_interrupt_is_stopped_all_the_same(task, number, code):
    task.script(simulate_0_step_3={**SLEEP, "do": "swallow"})
    pid = in_sleep(task)
    os.kill(pid, number)
    assert ended(pid) == code
    assert not task.failures() and task.summary.set_aside == 0
    assert task.run().status == "complete"
    assert task.starts("simulate 0") == 2


def test_a_signal_after_a_unit_s_own_code_loses_no_result(tmp_path, module):
    late = module(
        "late_protocol",
        """
        import functools, os, signal
        import dummy_protocol as dummy

        class LateSetup(dummy.Setup):
            @functools.wraps(dummy.Setup.execute)
            def execute(self, *arguments, **options):
                result = super().execute(*arguments, **options)
                os.kill(os.getpid(), signal.SIGTERM)  # gufe is not done with the unit yet
                return result

        class LateProtocol(dummy.DummyProtocol):
            def _create(self, stateA, stateB, mapping=None, extends=None):
                setup = LateSetup(name="setup", settings={"script": ""}, true_dg=1.0)
                return [setup, dummy.Setup(name="another", settings={"script": ""}, true_dg=1.0, after=setup)]
        """,
    )
    task = task_of(late.LateProtocol(late.dummy.DummySettings()), tmp_path / "mine", "late_protocol")
    with pytest.raises(Stopped, match="told to end by SIGTERM"):
        task.run()
    assert task.units_done() == ["setup"]
    task.run()
    assert task.units_done() == ["setup", "another"]


def test_a_protocol_that_interrupts_itself_stops_resumable(tmp_path, module):
    own = module(
        "interrupting_protocol",
        """
        from pathlib import Path
        import dummy_protocol as dummy
        from xpm_alchem import gufe_seam as seam

        class Interrupting(seam.ProtocolUnitBase):
            @staticmethod
            def _execute(ctx, **inputs):
                flag = Path(ctx.shared) / "flag"
                if not flag.exists():
                    flag.touch()
                    raise seam.ExecutionInterrupt("enough for today")
                return {"dg": 1.0}

        class InterruptingProtocol(dummy.DummyProtocol):
            def _create(self, stateA, stateB, mapping=None, extends=None):
                return [Interrupting(name="analyse")]
        """,
    )
    protocol = own.InterruptingProtocol(own.dummy.DummySettings())
    task = task_of(protocol, tmp_path / "mine", "interrupting_protocol")
    with pytest.raises(Stopped, match="interrupted: enough for today") as caught:
        task.run()
    assert not caught.value.timeout
    assert task.run().estimate == 1.0


def test_a_request_to_end_between_units_is_remembered_until_the_next_unit():
    interrupts = Interrupts(None)
    with interrupts.watch():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.request is not None  # and nothing was raised
        with pytest.raises(Stopped, match="told to end by SIGTERM"), interrupts.unit():
            pytest.fail("no unit is begun any more")


def test_the_margin_is_taken_off_the_time_left():
    assert Deadline(lambda: 60.0).left() == 50.0
    assert Deadline(lambda: 60.0, margin=0.0).left() == 60.0
    assert Deadline(lambda: None).left() is None


def test_durations_expect_the_longest_fresh_run_of_a_kind_and_nothing_of_one_that_resumes():
    durations = Durations([])
    assert durations.of("Simulate") is None
    durations.add("Simulate", 5.0, resumed=False, ok=True)
    durations.add("Simulate", 9.0, resumed=False, ok=True)
    durations.add("Simulate", 7.0, resumed=False, ok=True)
    durations.add("Simulate", 99.0, resumed=False, ok=False)
    assert (durations.of("Simulate"), durations.of("Setup")) == (9.0, None)
    durations.add("Simulate", 1.0, resumed=True, ok=True)
    assert durations.of("Simulate") is None


# ------------------------------------------------------------------------------------------------ two at one task
def test_two_attempts_at_one_task_are_not_possible(task, monkeypatch):
    monkeypatch.setattr("xpm_alchem.execution.dag_run._BUSY_SECONDS", 0.2)
    task.script(simulate_0=SLEEP)
    pid = in_sleep(task)
    try:
        with pytest.raises(TaskBusyError, match="another attempt is at work here"):
            task.run()
        assert len(task.attempts) == 1 and task.attempts[0].outcome is None
    finally:
        os.kill(pid, signal.SIGKILL)
        ended(pid)
    assert task.run().status == "complete"


# ---------------------------------------------------------------------------------------------------------- extends
def test_a_task_continues_from_the_result_of_another(tmp_path, module):
    counting = module(
        "counting_protocol",
        """
        import dummy_protocol as dummy
        from xpm_alchem import gufe_seam as seam

        class Count(seam.ProtocolUnitBase):
            @staticmethod
            def _execute(ctx, *, begin, **inputs):
                return {"dg": begin + 1.0}

        class CountingProtocol(dummy.DummyProtocol):
            def _create(self, stateA, stateB, mapping=None, extends=None):
                begin = 0.0 if extends is None else extends.protocol_unit_results[-1].outputs["dg"]
                return [Count(name="analyse", begin=begin)]
        """,
    )
    protocol = counting.CountingProtocol(counting.dummy.DummySettings())
    before = None
    for number in (1, 2, 3):
        task = task_of(protocol, tmp_path / str(number), "counting_protocol", repeat=number, extends=before)
        assert task.run().estimate == float(number)
        before = task.files.path
    if not seam.IS_GUFE_0_4:
        check = check_module("a test", ("dummy_protocol", "counting_protocol"))
        results = [seam.load(TaskDirectory(tmp_path / str(n) / "task").result, check) for n in (1, 2)]
        assert results[0].extends_key is None and results[1].extends_key == results[0].key


def test_a_task_whose_predecessor_has_no_result_fails_with_the_name_of_the_file(tmp_path):
    task = Task(tmp_path / "second", extends=tmp_path / "first")
    with pytest.raises(FileNotFoundError, match=r"first/result\.json"):
        task.run()
    assert task.attempts[0].outcome is Outcome.ERROR


# -------------------------------------------------------------------------------------------------------- disk full
@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    path = tmp_path / "small disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def fill(path: Path) -> Path:
    """Fill the disk to the last byte."""
    filler = path / "filler"
    with open(filler, "wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"\0" * 4096)
    return filler


def test_a_full_disk_leaves_old_files_whole_and_is_told(small_disk, tmp_path):
    expected = Task(tmp_path / "undisturbed", n_simulations=2)
    expected.run()
    task = Task(small_disk, n_simulations=2)
    task.script(simulate_1={"do": "raise", "times": 1})
    with pytest.raises(UnitsFailed):
        task.run()
    check = check_module("a test", TRUSTED)
    before = {p: p.read_bytes() for p in [task.files.dag, task.files.summary, *task.files.results.iterdir()]}
    filler = fill(small_disk)
    with pytest.raises((OSError, UnitsFailed), match="No space left on device"):
        task.run()
    for path, content in before.items():
        if path == task.files.summary:
            assert TaskSummary.read(path).status in ("error", "running")
        else:
            assert path.read_bytes() == content
            seam.load(path, check)
    assert not list(task.files.path.rglob(".*.tmp"))
    filler.unlink()
    assert task.run().status == "complete"
    assert task.outputs() == expected.outputs()
    assert sorted(task.units_done()) == ["analyse", "setup", "simulate 0", "simulate 1"]


def test_a_disk_that_fills_up_inside_a_unit_does_not_cost_the_checkpoint(small_disk):
    task = Task(small_disk)
    task.script(simulate_0_step_3={"do": "kill", "times": 1})
    assert task.run_forked() == -signal.SIGKILL
    checkpoint = task.files.shared(task.key("simulate 0")) / "checkpoint.json"
    before = checkpoint.read_bytes()
    filler = fill(small_disk)
    with pytest.raises((OSError, UnitsFailed), match="No space left on device"):
        task.run()
    assert checkpoint.read_bytes() == before
    filler.unlink()
    assert task.run().status == "complete"
    assert (task.summary.set_aside, task.starts("simulate 0")) == (0, 2)


def test_a_unit_that_needs_more_than_the_disk_has_keeps_its_checkpoint(small_disk, module):
    large = module(
        "large_protocol",
        """
        from pathlib import Path
        import dummy_protocol as dummy
        from xpm_alchem import gufe_seam as seam

        class Large(seam.ProtocolUnitBase):
            @staticmethod
            def _execute(ctx, **inputs):
                with open(Path(ctx.shared) / "checkpoint", "a") as checkpoint:
                    checkpoint.write("x")
                trajectory = Path(ctx.shared) / "trajectory"
                try:
                    trajectory.write_bytes(bytes(4_000_000))
                except OSError:
                    trajectory.unlink()
                    raise
                return {"dg": float(len((Path(ctx.shared) / "checkpoint").read_text()))}

        class LargeProtocol(dummy.DummyProtocol):
            def _create(self, stateA, stateB, mapping=None, extends=None):
                return [Large(name="analyse")]
        """,
    )
    task = task_of(large.LargeProtocol(large.dummy.DummySettings()), small_disk, "large_protocol")
    for _ in range(2):
        with pytest.raises(UnitsFailed, match="No space left on device"):
            task.run()
    assert task.summary.set_aside == 0 and len(task.failures()) == 2
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert task.run().estimate == 3.0  # three times at the same checkpoint


def test_an_order_to_begin_from_scratch_outlives_an_attempt_that_never_began(task):
    task.script(simulate_0_step_3={"do": "raise", "times": 1})
    with pytest.raises(UnitsFailed):
        task.run()
    give_orders(task.files.path, afresh_after=1)
    AttemptLog(task.files.attempts).never_began(Outcome.CANCELLED, "while it waited", None, since=time.time())
    task.run()
    first, second, third = AttemptLog(task.files.attempts).read()
    assert (first.outcome, second.outcome, third.outcome) == (Outcome.ERROR, Outcome.CANCELLED, Outcome.COMPLETE)
    assert third.units[0]["reason"].startswith("from scratch; kept:")
    assert {"setup", "analyse"} < {unit["name"] for unit in third.units if unit.get("ok")}
