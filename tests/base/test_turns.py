"""Looking in turns: everything comes in its turn, and no more a second however much there is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base import turns
from xpm_alchem.base.turns import Turns
from xpm_alchem.views.looks import ANEW, SparingLooks


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.sampled_from([1.0, 2.0, 3.0]), st.lists(st.floats(0.1, 3.0), min_size=40, max_size=60))
def test_no_more_than_so_many_a_second_and_all_of_them_in_turn(names, a_second, pauses):
    now = 1000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: now))
        made, taken = Turns(a_second), []
        for pause in pauses:
            now += pause
            turn = made.take([f"n{number}" for number in range(names)])
            assert len(turn) <= a_second
            taken += sorted(turn)
        assert len(taken) <= a_second * (sum(pauses) + 1)
        counts = [taken.count(f"n{number}") for number in range(names)]
        assert max(counts) - min(counts) <= 1  # nobody waits twice as long as another


def test_who_is_new_comes_first_and_who_is_gone_is_forgotten(clock):
    made = Turns(1.0)
    for _ in range(3):
        clock.now += 1
        made.take(["a", "b", "c"])
    clock.now += 1
    assert made.take(["a", "b", "c", "d"]) == {"d"}
    clock.now += 1
    assert made.take(["a", "c"]) == {"a"}


def test_sparing_looks_remember_what_is_not_in_turn(clock):
    tasks = [SimpleNamespace(task=name, submitted=1.0) for name in "abc"]
    looks, read = SparingLooks(), []

    def look(task):
        return looks.at(task, "summary", lambda: read.append(task.task) or len(read))

    looks.begin(tasks)
    first = [look(task) for task in tasks]
    assert read == ["a", "b", "c"]
    read.clear()
    looks._turn = set()
    assert [look(task) for task in tasks] == first and read == []
    clock.now += 1
    (turn,) = looks.begin(tasks)
    for task in tasks:
        look(task)
    assert read == [turn]
    read.clear()
    looks._turn = set()
    again = SimpleNamespace(task="b", submitted=2.0)
    look(again)
    looks.forget("c")
    look(tasks[2])
    assert read == ["b", "c"]
    assert ANEW.at(tasks[0], "summary", lambda: "anew") == "anew"
