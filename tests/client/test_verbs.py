"""Verbs of a campaign take one or several, and what they return is true, iterates and reads well."""

from __future__ import annotations

import pytest
from histories import PastCampaign

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.client import Campaign
from xpm_alchem.requests.change import Change, TaskChange

A, B = "ligand_0_ligand_1_vacuum", "ligand_1_ligand_2_vacuum"


@pytest.fixture
def past(tmp_path) -> PastCampaign:
    return PastCampaign(tmp_path / "c", [(0, 1), (1, 2)])


@pytest.fixture
def campaign(past: PastCampaign) -> Campaign:
    return Campaign(past.records)


def statuses(campaign: Campaign) -> dict[str, str]:
    return {row["task"]: row["status"] for row in campaign.get_tasks()["rows"]}


def test_the_network_is_gufes(campaign: Campaign) -> None:
    assert {t.name for t in campaign.network.edges} == {A, B}
    assert type(campaign.network).__name__ == "AlchemicalNetwork"


def test_tasks_of_several_transformations_are_made_at_once(campaign: Campaign) -> None:
    made = campaign.create_tasks([A, B, A], count=2)
    assert list(made) == [f"{A}:1", f"{A}:2", f"{B}:1", f"{B}:2"] and len(made) == 4
    assert list(campaign.create_tasks(A)) == [f"{A}:3"]


@pytest.mark.parametrize("wrong", [{"count": 0}, {"priority": 0}, {"extends": f"{B}:1"}])
def test_all_of_them_are_made_or_none(campaign: Campaign, wrong) -> None:
    campaign.create_tasks(B)
    with pytest.raises(InputError):
        campaign.create_tasks([A, B], **wrong)
    with pytest.raises(InputError):
        campaign.create_tasks([A, "nothing of this name"])
    with pytest.raises(InputError, match="no transformation was named"):
        campaign.create_tasks([])
    assert list(statuses(campaign)) == [f"{B}:1"]


def test_several_tasks_are_extended_each_by_its_own(campaign: Campaign) -> None:
    first = campaign.create_tasks([A, B])
    campaign.extend_task(first)
    assert {row["task"]: row["extends"] for row in campaign.get_tasks()["rows"]} == {
        f"{A}:1": None,
        f"{B}:1": None,
        f"{A}:2": f"{A}:1",
        f"{B}:2": f"{B}:1",
    }


@pytest.mark.parametrize("several", [list, tuple, iter, set, str])
def test_a_verb_takes_one_or_any_series(campaign: Campaign, several) -> None:
    names = list(campaign.create_tasks(A, count=2))
    given = names[0] if several is str else several(names)
    count = 1 if several is str else 2
    assert len(campaign.set_tasks_priority(given, 3)) == count
    given = names[0] if several is str else several(names)
    assert len(campaign.set_tasks_status(given, "invalid")) == count
    assert list(statuses(campaign).values()).count("invalid") == count


def test_a_column_of_a_frame_is_a_series_of_tasks(campaign: Campaign) -> None:
    pandas = pytest.importorskip("pandas")
    names = pandas.Series(list(campaign.create_tasks([A, B])))
    assert len(campaign.cancel_tasks(names)) == 2


def test_rows_are_chosen_by_one_or_several(campaign: Campaign) -> None:
    campaign.create_tasks([A, B])
    campaign.set_tasks_status(f"{B}:1", TaskStatus.INVALID)
    rows = lambda **chosen: [row["task"] for row in campaign.get_tasks(**chosen)["rows"]]  # noqa: E731
    assert rows(status="invalid") == rows(transformation=B) == [f"{B}:1"]
    assert rows(status=["invalid", "waiting"]) == rows(transformation=[A, B]) == [f"{A}:1", f"{B}:1"]
    assert rows(status=[]) == rows(transformation=[]) == []
    explained = campaign.explain_network_strategy
    assert [row["transformation"] for row in explained([B, A])["rows"]] == [B, A]
    assert [row["transformation"] for row in explained(B)["rows"]] == [B]
    with pytest.raises(InputError, match="did you mean 'invalid'"):
        campaign.get_tasks(status=["invalid", "invald"])


def test_results_of_several(campaign: Campaign) -> None:
    assert campaign.get_transformation_results([A, B]) == {A: None, B: None}
    assert campaign.get_network_results(return_protocoldagresults=True) == {A: [], B: []}
    assert campaign.get_task_results(campaign.create_tasks([A, B])) == []


def test_a_pattern_alone_is_one_pattern(campaign: Campaign) -> None:
    campaign.add_task_restart_patterns("CUDA", 3)
    assert campaign.get_task_restart_patterns() == {"CUDA": 3}
    campaign.set_task_restart_patterns_allowed_restarts("CUDA", 4)
    campaign.remove_task_restart_patterns("CUDA")
    assert campaign.get_task_restart_patterns() == {}


def changes_of(campaign: Campaign) -> list[Change]:
    return [
        campaign.set_network_strategy("uniform", {"repeats": 2}),
        campaign.set_network_strategy_mode("full"),
        campaign.set_network_strategy_awake(),
        campaign.set_network_state("inactive"),
        campaign.set_network_weight(0.3),
        campaign.set_budget(total=100),
        campaign.add_task_restart_patterns(["a"], 1),
        campaign.set_task_restart_patterns_allowed_restarts(["a"], 2),
        campaign.remove_task_restart_patterns(["a"]),
        campaign.clear_task_restart_patterns(),
        campaign.create_tasks(A),
        campaign.set_tasks_priority(f"{A}:1", 2),
        campaign.cancel_tasks(f"{A}:1"),
        campaign.action_tasks(f"{A}:1"),
        campaign.retry_tasks(f"{A}:1"),
        campaign.set_tasks_status(f"{A}:1", "deleted"),
    ]


def test_what_is_granted_is_true_done_or_not(campaign: Campaign, past: PastCampaign) -> None:
    changes = changes_of(campaign)
    assert all(changes) and not any(change.later for change in changes)
    assert {repr(change) for change in changes[:10]} == {"<done>"}
    assert repr(changes[10]) == f"<1 task(s): {A}:1; done>"
    other = Campaign(CampaignRecords.open(campaign.path))
    with past.records.lock():  # as a driver has it
        changes = [other.create_tasks(B), other.set_network_weight(0.1), other.set_budget(total=3)]
    assert all(changes) and all(change.later for change in changes)
    assert {repr(change) for change in changes} == {"<the driver does it within seconds>"}
    assert len(changes[0]) == 0 and list(changes[0]) == []


def test_many_tasks_are_not_all_named() -> None:
    change = TaskChange(True, tuple(f"t:{n}" for n in range(1, 9)))
    assert repr(change) == "<8 task(s): t:1, t:2, t:3, t:4, t:5 and 3 more; the driver does it within seconds>"


def test_numbers_may_be_numpys(campaign: Campaign) -> None:
    numpy = pytest.importorskip("numpy")
    two, half = numpy.int64(2), numpy.float64(0.5)
    made = campaign.create_tasks(numpy.array([A, B]), count=two, priority=two)
    assert len(made) == 4 and len(campaign.set_tasks_priority(made, numpy.int32(3))) == 4
    assert campaign.set_network_weight(half) and campaign.get_network_weight() == 0.5
    campaign.set_network_strategy("uniform", {"repeats": two}, max_tasks_per_transformation=two)
    campaign.set_budget(total=numpy.float32(2.5), grace=two)
    campaign.add_task_restart_patterns("CUDA", two)
    plan = campaign.records.plan()
    assert (plan.strategy.settings, plan.budget.total, plan.restarts[0].allowed) == ({"repeats": 2}, 2.5, 2)
    assert all(type(one) is int for one in (plan.strategy.max_tasks_per_transformation, plan.restarts[0].allowed))
