"""The history of a task is the same whether it is read at once, or bit by bit as it grows."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.base import kept_readings
from xpm_alchem.base.journal import Journal
from xpm_alchem.execution import attempt_log
from xpm_alchem.execution.attempt_log import ATTEMPTS, AttemptLog
from xpm_alchem.execution.attempts import ALL_UNITS, Outcome


@pytest.fixture(autouse=True)
def short_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_readings, "WORTH_BYTES", 1)


_NUMBERS = st.integers(1, 6) | st.sampled_from([None, True, "1", -1])
_OUTCOMES = st.sampled_from([*map(str, Outcome), "nonsense"])


def _event(kind: str, **facts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"event": st.just(kind), "time": st.floats(0, 100)}, optional=facts)


_START = _event("start", pid=st.sampled_from([0, 7, 7]), began_on_disk=st.floats(0, 100), node=st.just("n1"))
_UNIT = _event(
    "unit",
    name=st.sampled_from(["u", "u", ALL_UNITS]),
    ok=st.booleans(),
    fresh=st.booleans(),
    set_aside=st.sampled_from(["", "x"]),
    at=st.floats(0, 9),
    seconds=st.floats(0, 9),
    written=st.floats(0, 100),
)
_END = _event(
    "end",
    outcome=_OUTCOMES,
    progress=st.booleans(),
    seconds=st.floats(-1, 100),
    kept_seconds=st.floats(-1, 100),
    at_work=st.just("u"),
)
_OTHERS = [
    _event("told", outcome=_OUTCOMES),
    _event("verdict", outcome=_OUTCOMES),
    _event("stderr", text=st.text(max_size=2)),
    _event("decision", decision=st.sampled_from(["retry", "resume"])),
    _event("imported"),
]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw events of attempts one after another, now and then one of another attempt among them."""
    found = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        own = [draw(_START), *draw(st.lists(_UNIT, max_size=2)), draw(_END), *draw(st.lists(_OTHERS[3], max_size=1))]
        found += [{"attempt": number, **event} for event in own]
        for event in draw(st.lists(st.one_of(_START, _UNIT, _END, *_OTHERS), max_size=1)):
            found.append({"attempt": draw(_NUMBERS), **event})
    return found


def anew(path: Path) -> list[tuple[Any, ...]]:
    """Return what the whole file tells, by a reading that nothing is kept of."""
    history = attempt_log._History(path)
    history.take(Journal(path, ATTEMPTS).read()[0])
    return [attrs.astuple(attempt) for attempt in history.attempts]


@given(histories(), st.data())
def test_a_history_read_bit_by_bit_is_the_one_read_at_once(tmp_path_factory, events, data):
    path = tmp_path_factory.mktemp("task") / "attempts.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        left = events
        while left:
            step = data.draw(st.integers(1, 6))
            match data.draw(st.sampled_from(["append", "append", "append", "cut", "replace", "correct"])):
                case "cut" if path.exists():
                    os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
                case "replace" if path.exists():
                    shutil.copy(path, path.with_name("copy"))
                    os.replace(path.with_name("copy"), path)
                case "correct" if path.exists():
                    path.write_text(path.read_text().replace('"timeout"', '"preempted"'))  # by hand
            Journal(path, ATTEMPTS).append(*left[:step])
            left = left[step:]
            assert [attrs.astuple(attempt) for attempt in AttemptLog(path).read()] == anew(path)


def test_a_long_history_is_read_once(tmp_path, monkeypatch):
    log, taken = AttemptLog(tmp_path / "attempts.jsonl"), []
    for _ in range(20):
        log.end(log.start(limit=None, versions={}), Outcome.TIMEOUT, progress=True)
    take = attempt_log._History.take

    def noted(self: Any, records: Any) -> None:
        found = list(records)
        taken.append(len(found))
        take(self, found)

    monkeypatch.setattr(attempt_log._History, "take", noted)
    first = log.read()
    log.decide(first[-1], "resume", "a slice")
    assert AttemptLog(log._journal.path).read()[-1].decision == "resume"
    assert taken == [2, 1]  # what it gained: the last start and its end, and the decision


def test_what_is_returned_is_the_callers_own(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    log.end(log.start(limit=None, versions={}), Outcome.TIMEOUT)
    log.read().clear()
    assert len(log.read()) == 1


def test_a_copy_put_in_a_directorys_place_is_told_from_it(tmp_path):
    place = tmp_path / "task"
    place.mkdir()
    log = AttemptLog(place / "attempts.jsonl")
    log.start(limit=None, versions={})
    lines = (place / "attempts.jsonl").read_text()
    moved = lines.replace(str(place), str(tmp_path / "where it was made"))  # so that the inode alone tells
    (place / "attempts.jsonl").write_text(moved)
    assert not log.read()[0].elsewhere
    place.rename(tmp_path / "original")
    shutil.copytree(tmp_path / "original", place)
    assert log.read()[0].elsewhere


def test_a_line_that_is_cut_short_counts_when_it_is_whole(tmp_path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    attempt = log.start(limit=None, versions={})
    end = json.dumps({"event": "end", "attempt": attempt.number, "time": 5.0, "outcome": "lost"}) + "\n"
    for part, outcome in ((end[:30], None), (end[30:], Outcome.LOST)):
        with open(log._journal.path, "a") as out:
            out.write(part)
        assert log.read()[0].outcome is outcome
