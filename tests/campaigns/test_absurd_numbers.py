"""Repeats whose numbers are no free energies: each is left out and named; nothing ends for it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from click.testing import CliRunner
from filled_campaign import filled_campaign, network_index, scattered
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.cli import main
from xpm_alchem.results.analysis import Analysis
from xpm_alchem.results.estimates import CountedResult, transformation_results
from xpm_alchem.strategies.observations import observe
from xpm_alchem.views.overview import tasks_now

COMMANDS = ("status", "show", "summary", "results", "failures", "tasks list")
HUGE = 10**160
pytestmark = pytest.mark.slow


def call(records: CampaignRecords, command: str, *options: object) -> str:
    result = CliRunner().invoke(main, [*command.split(), str(records.path), *map(str, options)])
    assert result.exception is None, result.exc_info
    return result.output


@pytest.mark.parametrize("strategy", ["uniform", "a-optimal", "connectivity"])
def test_a_campaign_with_an_estimate_of_1e160_is_satisfied(tmp_path: Path, strategy: str) -> None:
    campaign = SmallCampaign(
        tmp_path,
        edges=[(0, 1), (1, 2), (2, 0), (1, HUGE)],
        environments=("vacuum", "solvent"),
        plan={
            "strategy": {
                "name": strategy,
                "settings": {"uniform": {"repeats": 2}, "a-optimal": {"target_standard_error": 0.4}}.get(strategy, {}),
                "max_tasks_per_network": 40,
            }
        },
    )
    run = campaign.run()
    assert run.returncode == 0, run.stdout + run.stderr
    records = campaign.records
    left = [task for task in records.state().tasks.values() if task.left_out]
    assert left and all(task.status is TaskStatus.COMPLETE for task in left)
    assert {records.index.by_id[task.transformation].name[-3:] for task in left} == {"uum", "ent"}
    for task in left:
        assert f"{records.name_of(task)} is left out: its estimate is 1e+160 kcal/mol" in call(records, "status")
    assert "Traceback" not in run.stdout + run.stderr
    for command in COMMANDS:
        call(records, command)
    assert "left out: its estimate" in call(records, "why", records.name_of(left[0]))
    named = json.loads(call(records, "results", "--json"))["missing"]["repeats_left_out"]
    assert set(named) == {records.name_of(task) for task in left}
    call(records, "report", "--out", tmp_path / "r.html")
    assert "is left out: its estimate" in (tmp_path / "r.html").read_text()


def of_0_1(path: Path, numbers: list[tuple[Any, Any]]) -> CampaignRecords:
    """Return a campaign whose journal holds numbers as 0.1 wrote them."""
    index = network_index([("a", "b"), ("b", "c"), ("c", "a")])
    records = filled_campaign(path, index, scattered(index, 3), histories=False)
    tasks = list(records.state().tasks)
    with records.lock():
        for task, (estimate, uncertainty) in zip(tasks, numbers, strict=False):
            event = {"event": "status", "task": task, "status": "complete"}
            records.write({**event, "estimate": estimate, "uncertainty": uncertainty})
    records.state()
    return records


NUMBERS = [(1e160, 0.1), (-1e200, None), (math.inf, 0.0), (math.nan, 1), (1.0, 1e308), (10**400, 0.1), (1e-320, 5e-324)]


def test_numbers_in_a_journal_of_0_1_end_no_command(tmp_path: Path) -> None:
    records = of_0_1(tmp_path / "c", NUMBERS)
    for command in COMMANDS:
        call(records, command)
    told = call(records, "status")
    assert told.count(" is left out: its ") == 6
    assert "its uncertainty is 1e+308 kcal/mol" in told
    assert "its estimate is not a number" in told
    said = call(records, "show")
    assert said.count("1 left out") + 2 * said.count("2 left out") == 6
    for number, format_ in enumerate(("csv", "json", "openfe-gather", "cinnabar", "openfe-results")):
        if format_ != "openfe-results":
            told = call(records, "export", "--format", format_, "--out", tmp_path / str(number))
            assert " is left out: its " in told


ENERGY = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e-12, -1e-320, 1e6, -1e6, 5e-13, 1e160, math.nan]))
ERROR = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1e-12, 5e-324, 1e6, -1.0]))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.tuples(ENERGY, ERROR), max_size=4), min_size=6, max_size=6))
@example([[], [], *[[(0.0, None), (0.0, None)]] * 3, [(0.0, None), (185364.0, None)]])  # weights of 1e12 and 1e-10
def test_whatever_is_believed_can_be_analysed(repeats: list[list[tuple[float, float | None]]]) -> None:
    from xpm_alchem.base.energies import believed

    index = network_index([("a", "b"), ("b", "c"), ("c", "a")])
    tasks: list[TaskState] = []
    for record, values in zip(index.transformations, repeats, strict=True):
        for repeat, numbers in enumerate(values, start=1):
            found = believed(*numbers)
            task = TaskState(f"{record.id}-{repeat}", record.id, repeat, "jobs/x", status=TaskStatus.COMPLETE)
            task.estimate, task.uncertainty, task.left_out = found
            tasks.append(task)
    analysis = Analysis(index, grouped(tasks))
    for network in analysis.networks:
        assert network.closures is not None and network.edge_outliers is not None and network.residuals is not None
        analysis.running(network)
    assert analysis.repeat_outliers is not None
    for stable_id, result in transformation_results(index, grouped(tasks)).items():
        seen = observe(CountedResult.of(result, grouped(tasks).get(stable_id, ())))
        assert math.isnan(seen.mean) or abs(seen.mean) <= 1e6
        assert math.isfinite(seen.squares)
        assert math.isnan(seen.given_variance) or 1e-24 <= seen.given_variance <= 1e12


def test_what_a_task_says_is_looked_up_on_the_disk_too(tmp_path: Path) -> None:
    from histories import PastCampaign

    past = PastCampaign(tmp_path / "c", [(0, 1)])
    task = past.task()
    past.attempt(task, None)
    past.summary(task, status="complete", units_total=1, units_done=1, estimate=-1e200, simulations=[[1e160, math.nan]])
    (now,) = tasks_now(past.records).values()
    assert (now.estimate, now.status) == (None, TaskStatus.COMPLETE)
    assert now.left_out and now.left_out == now.reason
    assert "its estimate is -1e+200 kcal/mol" in call(past.records, "results")
