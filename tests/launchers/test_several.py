"""Several launchers: the first is filled, then the next; each task is its launcher's."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.launchers.several import SeveralLaunchers
from xpm_alchem.launchers.workers.launcher import WorkersLauncher

FIRST = {"kind": "local", "slots": 2}
SECOND = {"kind": "workers", "pool": "night", "slots": 3}


def chosen(*given: object) -> SeveralLaunchers:
    launcher = choose_launcher(list(given), {})
    assert isinstance(launcher, SeveralLaunchers)
    return launcher


def directories(workspace: Path, number: int) -> list[Path]:
    made = [workspace / "jobs" / "xpm_alchem.run" / str(n) for n in range(number)]
    for directory in made:
        directory.mkdir(parents=True)
    return made


@pytest.fixture
def opened(tmp_path: Path):
    launcher = chosen(FIRST, SECOND)
    (tmp_path / "campaigns" / "c").mkdir(parents=True)
    launcher.open(tmp_path, "c")
    yield launcher
    launcher.close()


def test_the_first_is_filled_and_then_the_next(opened, tmp_path):
    tasks = directories(tmp_path, 6)
    taken = [opened.reserve(task, Demand(), 10) for task in tasks]
    assert taken == [True] * 5 + [False]
    kinds = [type(opened.of(task)) for task in tasks[:5]]
    assert kinds == [LocalLauncher] * 2 + [WorkersLauncher] * 3
    assert opened.slots == 5
    assert opened.is_full()
    opened.forget(tasks[0], again=True)
    assert not opened.is_full()
    assert opened.reserve(tasks[5], Demand(), 10)
    assert isinstance(opened.of(tasks[5]), LocalLauncher)


def test_another_driver_finds_by_the_orders_whose_a_task_is(opened, tmp_path):
    tasks = directories(tmp_path, 3)
    for task in tasks:
        opened.reserve(task, Demand(), 10)
        opened.prepare(task)
    script = tasks[2] / "run.py"
    script.touch()
    opened.of(tasks[2]).offer(script)
    again = chosen(FIRST, SECOND)
    again.open(tmp_path, "c")
    kinds = [type(again.of(task)) for task in tasks]
    assert kinds == [LocalLauncher, LocalLauncher, WorkersLauncher]
    assert again.has_launched(tasks[2])
    assert (Orders.read(tasks[2]).launch or "").startswith("pool/night/")
    again.close()


def test_the_dearest_price_is_what_a_budget_reckons_with():
    price = {"job_hour": 2.0, "unit": "EUR"}
    launcher = chosen({**FIRST, "price": {**price, "job_hour": 0.5}}, {**SECOND, "price": price})
    assert (launcher.cost_per_hour, launcher.cost_unit) == (2.0, "EUR")


def test_launchers_that_count_in_different_units_are_refused():
    with pytest.raises(CampaignError, match=r"count in different units \(core-h, gpu-h\)"):
        chosen(FIRST, {**SECOND, "gpus": 1})


def test_one_of_one_is_that_one():
    assert isinstance(choose_launcher([FIRST], {}), LocalLauncher)
