"""The pace of checkpoints is learned, and an attempt stops just after one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from one_task import TIMED_OUT, Task

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.checkpoint_pace import CheckpointPace
from xpm_alchem.execution.deadline import Deadline


class Unit:
    """The files of a unit whose checkpoint is written at given times."""

    def __init__(self, shared: Path, name: str = "checkpoint.chk") -> None:
        self.path, self.written = shared / name, 1
        self.pace = CheckpointPace(shared, 0.0)

    def write(self, now: float) -> None:
        self.path.touch()
        self.written += 1
        os.utime(self.path, ns=(self.written, self.written))
        self.pace.look(now)


@pytest.mark.parametrize("name", ["checkpoint.chk", "solvent_checkpoint.nc", "md.cpt", "Checkpoint.xml"])
def test_two_intervals_that_are_alike_make_a_pace(tmp_path, name):
    unit = Unit(tmp_path, name)
    for now, pace in ((20, None), (80, None), (145, 65)):  # the first comes when the unit has started up
        unit.write(now)
        assert unit.pace.seconds == pace
    assert unit.pace.start_up == 20


def test_what_is_no_checkpoint_by_its_name_is_not_looked_at(tmp_path):
    unit = Unit(tmp_path, "trajectory.nc")
    for now in (10, 20, 30, 40):
        unit.write(now)
    assert unit.pace.seconds is None and not unit.pace.is_best_moment(40, 1)


def test_the_best_moment_is_just_after_the_last_checkpoint_that_fits(tmp_path):
    unit = Unit(tmp_path)
    for now in (100, 200, 300):
        unit.write(now)
    assert not unit.pace.is_best_moment(301, 50)  # it may still be written to
    assert unit.pace.is_best_moment(302, 50)
    assert unit.pace.is_best_moment(302, 107)  # the next may take a little longer
    assert not unit.pace.is_best_moment(302, 109)
    unit.pace.look(350)
    assert unit.pace.is_best_moment(350, 50)


def test_a_checkpoint_that_was_only_opened_is_none(tmp_path):
    (tmp_path / "checkpoint.chk").touch()
    unit = Unit(tmp_path)
    unit.pace = CheckpointPace(tmp_path, 0.0, learned=100.0)
    unit.write(10)  # as a NetCDF file is when it is opened to go on
    assert not unit.pace.is_best_moment(20, 30)
    unit.write(110)
    assert unit.pace.is_best_moment(120, 30)
    assert not unit.pace.is_best_moment(120, 300)


def test_a_unit_without_a_pace_runs_to_its_limit(tmp_path):
    unit = Unit(tmp_path)
    assert not unit.pace.is_best_moment(5, 0.1)
    for now in (10, 30, 200):
        unit.write(now)
    assert not unit.pace.is_best_moment(203, 0.1)


@pytest.mark.slow
def test_an_attempt_stops_just_after_a_checkpoint_and_the_next_one_goes_on(tmp_path):
    task = Task(tmp_path, n_steps=60, step_seconds=2.0)

    def left() -> float:  # plenty, until the pace can be known; then never over
        steps = [json.loads(path.read_text())["step"] for path in task.files.path.glob("shared/*/checkpoint.json")]
        return 1.0 if steps and steps[0] >= 3 else 1000.0

    assert task.run_forked(deadline=Deadline(left, margin=0.0)) == TIMED_OUT
    (first,) = task.attempts
    assert first.outcome is Outcome.TIMEOUT and first.progress
    assert first.reason.startswith("just after a checkpoint")
    assert first.checkpoint_seconds is not None and first.checkpoint_seconds >= 2
