"""Budgets on campaigns with real processes: what is shown is what attempts.jsonl says, and no limit is passed."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign, held
from click.testing import CliRunner
from patience import communicate, hear, slowness, wait_for

from xpm_alchem.cli import main
from xpm_alchem.client import Campaign

PRICE = {"core_hour": 3600, "unit": "EUR"}  # an EUR a second
LAUNCHER = {"kind": "local", "slots": 2, "price": PRICE}
ONE_SLOT = {**LAUNCHER, "slots": 1}
THREE = {"name": "uniform", "settings": {"repeats": 3}}


def made(
    path: Path, budget: dict[str, Any], *, strategy: Any = None, launcher: Any = None, **given: Any
) -> SmallCampaign:
    plan = {"launcher": launcher or LAUNCHER, "budget": budget, "strategy": strategy or THREE, **given.pop("plan", {})}
    return SmallCampaign(path / "c", edges=given.pop("edges", [(0, 1)]), plan=plan, **given)


def budget(campaign: SmallCampaign, *arguments: object, code: int = 0) -> str:
    done = campaign.call("budget", "set", campaign.file, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def opened(campaign: SmallCampaign) -> Campaign:
    return Campaign.open(campaign.path / "workspace" / "campaigns" / "small")


def shown(campaign: SmallCampaign) -> dict[str, Any]:
    return opened(campaign).budget()


def tasks(campaign: SmallCampaign, status: str) -> int:
    return opened(campaign).status()["tasks"][status]


def recomputed(campaign: SmallCampaign) -> dict[str, list[dict[str, float]]]:
    """Return start, end, cost and lost cost of every ended attempt of every task, from attempts.jsonl by itself."""
    costs: dict[str, list[dict[str, float]]] = {}
    for task in campaign.records.state().tasks.values():
        path = campaign.records.task_path(task) / "attempts.jsonl"
        starts: dict[int, dict[str, Any]] = {}
        costs[task.task] = []
        for line in path.read_text().splitlines() if path.exists() else ():
            record = json.loads(line)
            if record.get("event") == "start":
                starts[record["attempt"]] = record
            elif record.get("event") == "end":
                start, kept = starts.pop(record["attempt"]), record["kept_seconds"]
                lost = 0.0 if record["outcome"] == "complete" else record["seconds"] - kept
                price = (start["cost_per_hour"] or 0.0) / 3600
                costs[task.task].append(
                    {
                        "start": start["time"],
                        "end": start["time"] + record["seconds"],
                        "cost": record["seconds"] * price,
                        "lost": lost * price,
                    }
                )
    return costs


def total(campaign: SmallCampaign, what: str = "cost") -> float:
    return sum(attempt[what] for attempts in recomputed(campaign).values() for attempt in attempts)


def check_what_is_shown(campaign: SmallCampaign) -> None:
    """Compare `budget show`, `status`, `show`, `summary` and `why` with attempts.jsonl."""
    view, costs = shown(campaign), recomputed(campaign)
    assert view["unit"] == "EUR"
    assert view["spent"] == pytest.approx(total(campaign))
    assert view["lost"] == pytest.approx(total(campaign, "lost"))
    by_task = {row["task"]: row for row in view["tasks"]}
    by_leg: dict[str, float] = defaultdict(float)
    by_transformation: dict[str, float] = defaultdict(float)
    for task in campaign.records.state().tasks.values():
        mine = sum(attempt["cost"] for attempt in costs[task.task])
        assert by_task[task.task]["spent"] == pytest.approx(mine)
        assert by_task[task.task]["lost"] == pytest.approx(sum(a["lost"] for a in costs[task.task]))
        by_transformation[task.transformation] += mine
        by_leg[campaign.records.index.by_id[task.transformation].environment] += mine
    assert {row["id"]: pytest.approx(row["spent"]) for row in view["transformations"]} == by_transformation
    assert {row["leg"]: pytest.approx(row["spent"]) for row in view["legs"]} == by_leg
    assert opened(campaign).status()["budget"]["spent"] == pytest.approx(view["spent"])
    assert opened(campaign).summary()["cost"] == pytest.approx(view["spent"])
    assert {row["id"]: pytest.approx(row["cost"]) for row in opened(campaign).show()["rows"]} == by_transformation
    first = next(iter(campaign.records.state().tasks.values()))
    name = f"{campaign.records.index.by_id[first.transformation].name}:{first.repeat}"
    attempts = opened(campaign).why(name)["attempts"]
    assert [a["cost"] for a in attempts] == [pytest.approx(a["cost"]) for a in costs[first.task]]
    for attempt in attempts:
        assert all(unit["cost"] == pytest.approx(unit["seconds"]) for unit in attempt["units"])
        assert sum(unit["cost"] for unit in attempt["units"]) <= attempt["cost"]


def test_what_is_shown_is_what_the_attempts_say_after_kills_and_slices(tmp_path: Path) -> None:
    script = {
        "simulate 0 step 2": {"do": "kill", "times": 2},
        "simulate 0": {"do": "raise", "message": "CUDA_ERROR", "times": 1},
    }
    plan = {"restarts": [{"pattern": "CUDA", "allowed": 3}]}
    plan["strategy"] = {"name": "uniform", "settings": {"repeats": 2}}
    campaign = made(tmp_path, {}, environments=("vacuum", "solvent"), script=script, plan=plan, step_seconds=0.2)
    done = campaign.run(seconds=600)
    assert done.returncode == 0, done.stdout
    check_what_is_shown(campaign)
    view = shown(campaign)
    assert 0 < view["lost"] < view["spent"]
    assert (view["state"], view["left"], view["in_flight"]["attempts"]) == ("ok", None, 0)
    printed = json.loads(campaign.call("budget", "show", campaign.file, "--json").stdout)
    assert {**printed, "last_hour": 0} == {**view, "last_hour": 0}
    assert "lost work" in campaign.call("budget", "show", campaign.file).stdout
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 3}})
    again = campaign.run("--dry-run").stdout
    least, _, most, unit = again.partition("expected cost: ")[2].split()[:4]
    seconds = [task.seconds for task in campaign.records.state().tasks.values()]
    assert unit == "EUR" and 0 < float(least) <= float(most) <= 2 * max(seconds) * 1.01


def test_the_total_ends_a_campaign_under_kills_and_raising_it_takes_effect_at_once(tmp_path: Path) -> None:
    script = {"simulate 0 step 3": {"do": "kill", "times": 3}}
    campaign = made(tmp_path, {"total": "3 EUR"}, script=script, step_seconds=0.4)
    driver = campaign.start()
    wait_for((campaign.path / "workspace" / "campaigns" / "small").exists, what="a campaign", seconds=300)
    wait_for(lambda: shown(campaign)["spent"] > 0, what="a cost", seconds=300)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    done = campaign.run(seconds=600)
    assert done.returncode == 4, done.stdout
    assert "budget used up: the" in done.stdout and "nothing more is started" in done.stdout
    check_what_is_shown(campaign)
    check_total(campaign, 3.0)
    assert campaign.run(seconds=600).returncode == 4  # at once, and nothing was started
    check_total(campaign, 3.0)
    assert tasks(campaign, "running") == 0
    assert "goes on from there" in budget(campaign, "--total", "none")
    done = campaign.run(seconds=600)
    assert done.returncode == 0, done.stdout
    assert tasks(campaign, "complete") == 3
    check_what_is_shown(campaign)


def check_total(campaign: SmallCampaign, limit: float) -> None:
    """What passed the total was at work when it was reached: nothing began after that.

    A driver decides a moment before it notes that it submits, and costs grow meanwhile: what counts is what was spent
    by what it had noted before, the end of an attempt as a rule, for it looks at the budget after that.
    """
    attempts = [attempt for mine in recomputed(campaign).values() for attempt in mine]
    noted = None
    for line in (campaign.records.path / "tasks.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event.get("event") != "submitted":
            noted = event.get("time", noted)
        elif noted is not None:
            assert sum(max(0.0, min(a["end"], noted) - a["start"]) for a in attempts) < limit


def test_stop_ends_attempts_at_a_checkpoint_and_they_go_on_from_there(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = made(
        tmp_path,
        {"total": "2 EUR", "on_exhausted": "stop"},
        edges=[(0, 1), (1, 2)],
        strategy={"name": "uniform", "settings": {"repeats": 1}},
        script=held(until=go_on),
    )
    done = campaign.run(seconds=600)
    assert done.returncode == 4, done.stdout
    assert "stopping, the budget is used up" in done.stdout
    outcomes = {str(a.outcome) for attempts in campaign.attempts().values() for a in attempts}
    assert outcomes == {"cancelled"}
    assert total(campaign) >= 2.0
    assert shown(campaign)["state"] == "exhausted"
    check_what_is_shown(campaign)
    budget(campaign, "--total", "20000")
    go_on.touch()
    done = campaign.run(seconds=600)
    assert done.returncode == 0, done.stdout
    assert all(max(units.values()) == 1 for units in campaign.units_done().values())  # nothing was finished twice
    check_what_is_shown(campaign)


def test_a_driver_waits_for_the_rate_and_goes_on_when_it_is_raised(tmp_path: Path) -> None:
    """Each attempt may take 8 s, so 8 of the 10 EUR are set aside for it; all of it more on a slow machine."""
    times = math.ceil(slowness())
    launcher = {**LAUNCHER, "time_limit": 6 * times, "margin": 1, "grace": 2 * times}
    campaign = made(tmp_path, {"rate": f"{10 * times} EUR/h"}, launcher=launcher, step_seconds=0.3 * times)
    driver = campaign.start()
    wait_for((campaign.path / "workspace" / "campaigns" / "small").exists, what="a campaign", seconds=300)
    wait_for(lambda: _waits(campaign), what="the rate being used up", seconds=300)
    assert driver.poll() is None
    assert campaign.run("--once").returncode == 2  # it is driven
    attempts = [a for mine in recomputed(campaign).values() for a in mine]
    assert attempts and sum(a["cost"] for a in attempts) <= 10.0 * times
    ordered = sorted(attempts, key=lambda a: a["start"])
    assert all(a["end"] <= b["start"] for a, b in itertools.pairwise(ordered))  # one at a time
    hear(driver, f"the budget's rate of {10 * times} EUR an hour is used up: waiting until about")
    assert "within seconds" in budget(campaign, "--rate", f"{1000 * times} EUR/h")
    out, _ = communicate(driver, 600)
    assert driver.returncode == 0, out
    assert f"plan changed: budget.rate: {10.0 * times} -> {1000.0 * times}" in out
    check_what_is_shown(campaign)


def _waits(campaign: SmallCampaign) -> bool:
    view = shown(campaign)
    return view["state"] == "wait" and view["next_start"] is not None and not view["in_flight"]["attempts"]


def test_once_waits_for_the_rate_too_and_says_when_the_total_is_used_up(tmp_path: Path) -> None:
    times = math.ceil(slowness())
    launcher = {**LAUNCHER, "time_limit": 6 * times, "margin": 1, "grace": 2 * times}
    rate = f"{8.2 * times:g}"
    campaign = made(tmp_path, {"rate": f"{rate} EUR/h"}, launcher=launcher, step_seconds=0.2 * times)
    assert campaign.run("--once").returncode == 3
    wait_for(lambda: tasks(campaign, "complete") == 1, what="a result", seconds=300)
    done = campaign.run("--once")
    assert (done.returncode, f"rate of {rate} EUR an hour is used up" in done.stdout) == (3, True), done.stdout
    assert tasks(campaign, "running") == 0
    budget(campaign, "--rate", "none", "--total", "0.01")
    assert campaign.run("--once").returncode == 4
    check_what_is_shown(campaign)


def test_a_transformation_whose_results_cost_too_much_is_closed_and_opened_again(tmp_path: Path) -> None:
    campaign = made(
        tmp_path,
        {"per_result": "0.01 EUR", "grace": 1},
        launcher=ONE_SLOT,
        strategy={"name": "uniform", "settings": {"repeats": 4}},
        step_seconds=0.05,
    )
    done = campaign.run(seconds=600)
    assert done.returncode == 4, done.stdout
    assert done.stdout.count("ligand_0_ligand_1_vacuum gets no more tasks: ") == 2  # when it was closed, at the end
    status = opened(campaign).status()
    assert status["tasks"]["complete"] == 1
    (closed,) = status["budget"]["closed"]
    assert "is more than per_result (0.01 EUR each)" in closed["sentence"]
    (row,) = opened(campaign).show()["rows"]
    assert row["next"] == "closed: costs more than per_result"
    assert "closed by the budget" in opened(campaign).explain_network_strategy()["rows"][0]["why"]
    assert campaign.run(seconds=600).returncode == 4  # and nothing was started
    assert tasks(campaign, "complete") == 1
    budget(campaign, "--per-result", "none")
    done = campaign.run(seconds=600)
    assert done.returncode == 0, done.stdout
    assert "may have tasks again" not in done.stdout  # the driver before had closed it, this one never did
    assert tasks(campaign, "complete") == 4


def test_after_its_date_nothing_is_started(tmp_path: Path) -> None:
    campaign = made(tmp_path, {"until": "2001-01-01"})
    done = campaign.run(seconds=600)
    assert done.returncode == 4
    assert "the budget's end (2001-01-01) is past" in done.stdout
    assert (total(campaign), campaign.attempts()) == (0.0, {task: [] for task in campaign.attempts()})
    budget(campaign, "--until", "2999-01-01")
    assert campaign.run(seconds=600).returncode == 0


def test_a_campaign_without_an_end_goes_on_until_its_total(tmp_path: Path) -> None:
    times = slowness()  # an attempt costs more on a slow machine
    campaign = made(
        tmp_path,
        {"until": "never", "total": f"{6 * times:g} EUR"},
        edges=[(0, 1), (1, 2)],
        strategy={"name": "uniform", "settings": {"repeats": 1}},
        step_seconds=0.1 * times,
    )
    done = campaign.run(seconds=600)
    assert done.returncode == 4, done.stdout
    assert tasks(campaign, "complete") > 2
    check_total(campaign, 6 * times)
    counts = [len(row["repeats"]) for row in opened(campaign).results()["transformations"]]
    costs = [attempt["cost"] for attempts in recomputed(campaign).values() for attempt in attempts]
    # each repeat where it gains most for its cost; the same work costs more where the machine was busy
    assert max(counts) <= 2 * min(counts) * max(costs) / min(costs)
    budget(campaign, "--until", "none")
    waiting = tasks(campaign, "waiting")
    assert campaign.run(seconds=600).returncode == (
        4 if waiting else 0
    )  # satisfied, but for tasks that there are already


REFUSED = [
    (("--total", "5 gpu-h"), "it is in 'gpu-h', and the launcher counts in 'EUR'"),
    (("--rate", "10/h"), "nothing could ever start"),
    (("--total", "lots"), "is no amount"),
    (("--until", "soon"), "is no date"),
    (("--on-exhausted", "kill"), "is not one of finish, stop"),
    (("--grace", "0"), "is not a number of at least 1"),
    (("--total", "5 EUR", "--per-result", "1 gpu-h"), "two units"),
    ((), "nothing to set"),
]


def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    campaign = made(tmp_path, {"total": "100 eur"})
    here = Campaign.create(campaign.file)
    before = (here.path / "campaign.yaml").read_bytes()
    for arguments, sentence in REFUSED:
        done = CliRunner().invoke(main, ["budget", "set", str(here.path), *arguments])
        assert (done.exit_code, sentence in done.output) == (2, True), done.output
        assert (here.path / "campaign.yaml").read_bytes() == before
    assert here.set_budget(total="200 EUR", rate="4000 EUR/h").later is False
    assert here.budget()["budget"]["rate"] == 4000.0
    assert here.set_budget(total=None, rate=None).later is False
    assert here.budget()["budget"]["total"] is None


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"total": "5 gpu-h"}, "the launcher counts in 'EUR'"),
        ({"rate": "5/h"}, "nothing could ever start"),
        ({"totl": 5}, "did you mean 'total'?"),
    ],
)
def test_a_budget_that_the_launcher_cannot_count_in_is_refused_before_anything_starts(tmp_path, section, sentence):
    campaign = made(tmp_path, section)
    done = campaign.run(seconds=600)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert not (campaign.path / "workspace").exists()
