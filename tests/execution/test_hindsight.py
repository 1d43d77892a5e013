"""What an attempt left is seen by the one after it."""

from __future__ import annotations

import attrs
import pytest

from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.hindsight import with_hindsight
from xpm_alchem.execution.processes import ProcessIdentity


def killed(*units: dict, progress: bool = True, units_done: int = 0) -> Attempt:
    process = ProcessIdentity("host", 7, 1.0)
    return Attempt(1, process, 1.0, outcome=Outcome.LOST, units=units, progress=progress, units_done=units_done)


AGAIN, AT_0 = {"name": "simulation", "fresh": True}, {"name": "simulation", "at": 0.0, "fresh": True}
AT_10 = {"name": "simulation", "at": 10.0}


@pytest.mark.parametrize(
    ("attempts", "progress"),
    [
        ([killed()], [True]),  # nobody knows better
        ([killed(), killed(AT_0)], [False, False]),  # what it wrote was no checkpoint, nor can the next one's be
        ([killed(), killed(AGAIN)], [False, False]),
        ([killed(progress=False), killed(AT_10)], [True, True]),
        ([killed(AT_10), killed(AT_10)], [False, True]),
        ([killed(units_done=1), killed(AT_0)], [True, False]),  # a finished unit is kept
        ([killed(), killed({"name": "all units", "fresh": True})], [True, True]),  # from scratch, as ordered
        ([killed(), killed({"name": "setup", "seconds": 3.0, "ok": True}, AT_0)], [True, True]),  # of another unit
    ],
)
def test_what_the_next_attempt_finds_shows_what_the_one_before_left(attempts, progress):
    assert [attempt.progress for attempt in with_hindsight(attempts)] == progress


@pytest.mark.parametrize(
    ("begin", "then", "kept"),
    [
        ({}, AT_10 | {"written": 1060.0}, 60.0),  # the checkpoint was 40 s old when it was killed
        (AT_10, AT_10 | {"written": 960.0}, 0.0),  # it wrote none
        ({"name": "setup", "seconds": 30.0, "ok": True, "time": 2030.0}, AT_10 | {"written": 1020.0}, 30.0),
        (AT_10, {"name": "simulation", "at": 20.0, "written": 5000.0}, 100.0),  # a clock was set
        ({}, AT_10, 99.0),  # nothing says when: as was believed
        ({}, AT_0 | {"written": 1060.0}, 0.0),
    ],
)
def test_what_is_kept_of_an_attempt_that_was_killed_ends_with_the_checkpoint_that_the_next_one_found(
    begin: dict, then: dict, kept: float
) -> None:
    known = {"start": 2000.0, "began_on_disk": 1000.0, "seconds": 100.0, "kept_seconds": 99.0}  # two clocks
    first = attrs.evolve(killed(*([begin] if begin else [])), **known)
    assert with_hindsight([first, killed(then)])[0].kept_seconds == kept
