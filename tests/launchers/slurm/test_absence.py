"""When a job that SLURM does not list is given up: never for one answer, never while anything is heard of it."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.execution.life_signs import FileClock, files_of
from xpm_alchem.launchers.slurm.absence import Absence

HOUR = 3600.0
NEVER = float("inf")


def test_a_job_that_is_only_not_listed_is_waited_for_a_quarter_of_an_hour():
    absence = Absence(since=0.0, answers=100)
    assert not absence.is_over(899.0, NEVER)
    assert absence.is_over(901.0, NEVER)


def test_a_job_that_the_controller_says_it_does_not_know_is_waited_for_two_minutes():
    absence = Absence(since=0.0, answers=100, unknown=True)
    assert not absence.is_over(119.0, NEVER)
    assert absence.is_over(121.0, NEVER)


def test_a_hole_in_an_array_was_cancelled_unless_its_attempt_shows_life():
    absence = Absence(since=0.0, answers=4, is_hole=True)
    assert absence.is_over(25.0, NEVER)
    assert not absence.is_over(25.0, 10.0)
    assert not Absence(since=0.0, answers=3, is_hole=True).is_over(25.0, NEVER)


def test_few_answers_prove_nothing_however_long_ago_the_first_one_was():
    assert not Absence(since=0.0, answers=3, unknown=True).is_over(24 * HOUR, NEVER)


@given(now=st.floats(0, 1e6), quiet=st.floats(0, 119), unknown=st.booleans())
def test_an_attempt_that_shows_signs_of_life_is_never_given_up(now, quiet, unknown):
    assert not Absence(since=0.0, answers=1000, unknown=unknown).is_over(now, quiet)


def test_accounting_that_says_running_is_believed_for_hours_and_not_for_ever():
    absence = Absence(since=0.0, answers=1000, accounted=5 * HOUR)
    assert not absence.is_over(5 * HOUR + 60.0, NEVER)
    absence.accounted = 7 * HOUR
    assert absence.is_over(7 * HOUR + 60.0, NEVER)


def test_accounting_outweighs_a_controller_that_says_it_knows_no_such_job_for_a_quarter_of_an_hour():
    """A controller that lost its state has forgotten the job, and accounting never hears of its end."""
    absence = Absence(since=0.0, answers=1000, unknown=True, accounted=850.0)
    assert not absence.is_over(899.0, NEVER)
    assert not absence.is_over(1000.0, 200.0)  # its attempt was at work 200 s ago
    absence.accounted = 901.0
    assert absence.is_over(902.0, NEVER)


def test_a_lost_answer_of_sbatch_is_looked_for_by_several_questions():
    absence = Absence(since=100.0, answers=10)
    assert not absence.never_was(150.0, NEVER, 150.0)
    assert not absence.never_was(170.0, NEVER, 50.0)  # it may still be under way
    assert not absence.never_was(170.0, 5.0, 170.0)  # it is at work
    assert absence.never_was(170.0, NEVER, 170.0)


def test_signs_of_life_are_compared_by_the_clock_of_the_file_system(tmp_path: Path):
    clock, alive = FileClock(tmp_path / "clock"), tmp_path / "task" / "alive"
    alive.parent.mkdir()
    assert clock.quiet(files_of(alive.parent)) == NEVER
    alive.touch()
    assert clock.quiet(files_of(alive.parent)) < 60.0
    an_hour_ago = clock.now() - HOUR
    os.utime(alive, (an_hour_ago, an_hour_ago))
    assert abs(clock.quiet(files_of(alive.parent)) - HOUR) < 60.0


def test_a_clock_that_cannot_be_written_is_this_machine_s(tmp_path: Path):
    assert FileClock(tmp_path / "gone" / "clock").now() > 0
