"""summary.json of an attempt that goes on: not written for every unit, and yet soon true."""

from __future__ import annotations

from pathlib import Path

import pytest
from one_task import Task, ended
from patience import wait_for

from xpm_alchem.execution import summary_file
from xpm_alchem.execution.directory import TaskSummary
from xpm_alchem.execution.summary_file import SummaryFile

FIRST = TaskSummary("0123456789abcdef", 1, "running", units_total=3)


def stop() -> None:
    raise InterruptedError("the task was given to another attempt")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "summary.json"


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pace by which a second write never comes in a test."""
    monkeypatch.setattr(summary_file, "_PACE_SECONDS", 3600.0)


def test_what_comes_soon_after_waits_and_the_last_of_it_is_written(path, hour, monkeypatch):
    writer = SummaryFile(path, lambda: None)
    for done in range(3):
        writer.show(FIRST.evolve(units_done=done))
    writer.catch_up()
    assert TaskSummary.read(path).units_done == 0
    monkeypatch.setattr(summary_file, "_PACE_SECONDS", 0.0)
    writer.catch_up()
    shown = TaskSummary.read(path)
    assert shown.units_done == 2 and shown.updated > 0
    path.unlink()
    writer.catch_up()
    assert not path.exists()  # nothing new


def test_the_end_is_written_at_once_and_nothing_after_it(path, hour, monkeypatch):
    writer = SummaryFile(path, lambda: None)
    for done in range(2):
        writer.show(FIRST.evolve(units_done=done))
    writer.close(FIRST.evolve(status="complete", units_done=3))
    monkeypatch.setattr(summary_file, "_PACE_SECONDS", 0.0)
    writer.catch_up()
    assert TaskSummary.read(path).status == "complete"


def test_what_could_not_be_written_is_tried_again(path, monkeypatch):
    monkeypatch.setattr(summary_file, "_PACE_SECONDS", 0.0)
    writer = SummaryFile(path / "summary.json", lambda: None)
    with pytest.raises(FileNotFoundError):
        writer.show(FIRST)
    path.mkdir()
    writer.catch_up()
    assert TaskSummary.read(path / "summary.json").units_total == 3


def test_an_attempt_that_may_write_no_more_writes_none(path):
    writer = SummaryFile(path, stop)
    for write in (writer.show, writer.close):
        with pytest.raises(InterruptedError):
            write(FIRST)
    assert not path.exists()


@pytest.mark.slow
def test_a_unit_that_takes_its_time_is_shown_while_it_is_at_work(tmp_path, monkeypatch):
    """It begins soon after the one before, of which the file tells then."""
    monkeypatch.setattr("xpm_alchem.execution.interrupts._ORDERS_SECONDS", 0.05)
    task = Task(tmp_path)
    over = tmp_path / "over"
    task.script(analyse={"do": "wait", "file": str(over)})
    pid = task.fork()
    try:
        wait_for(lambda: task.files.summary.exists() and task.summary.unit == "analyse", what="the unit at work")
        assert (task.summary.status, task.summary.units_done) == ("running", 2)
    finally:
        over.touch()
        assert ended(pid) == 0
    assert (task.summary.status, task.summary.unit, task.summary.units_done) == ("complete", None, 3)
