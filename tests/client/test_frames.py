"""Results and tasks as pandas DataFrames: the same numbers as in the views, with the types that they have."""

from __future__ import annotations

import sys

import pytest

from xpm_alchem.base.errors import MissingPackageError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign

pandas = pytest.importorskip("pandas")


@pytest.fixture
def campaign(standing_campaign) -> Campaign:
    """A campaign with tasks in every state, which may only be looked at."""
    (path,) = (standing_campaign / "workspace" / "campaigns").iterdir()
    return Campaign(CampaignRecords.open(path))


def agree(frame, rows, *names: str) -> None:
    """Check that columns hold what the rows of a view do; what is unknown is NaN in numbers."""
    assert len(frame) == len(rows) > 0
    for name in names:
        column = frame[name].astype(object).where(frame[name].notna(), None)
        assert list(column) == [row[name] for row in rows], name


def test_the_frames_hold_what_the_views_do(campaign: Campaign) -> None:
    view = campaign.results()
    agree(campaign.transformations, view["transformations"], "transformation", "leg", "estimate", "sd", "id")
    agree(campaign.edges, view["edges"], "edge", "ligand_b", "estimate", "standard_error", "z", "fitted")
    agree(campaign.ligands, view["networks"][0]["ligands"], "ligand", "part", "estimate", "steadied_estimate")
    agree(campaign.tasks, campaign.get_tasks()["rows"], "task", "status", "priority", "extends", "host", "estimate")
    assert list(campaign.transformations["repeats"]) == [len(row["repeats"]) for row in view["transformations"]]


def test_numbers_are_numbers_also_where_none_is_known(tmp_path) -> None:
    from histories import PastCampaign

    campaign = Campaign(PastCampaign(tmp_path / "c", [(0, 1), (1, 2)]).records)
    transformations, edges, ligands = campaign.results(as_frames=True)
    assert str(transformations["estimate"].dtype) == "float64" and transformations["estimate"].isna().all()
    assert edges.empty and ligands.empty and campaign.tasks.empty
    assert list(edges.columns)[:2] == ["edge", "ligand_a"] and str(edges["z"].dtype) == "float64"
    campaign.create_tasks(list(transformations["transformation"]))
    assert str(campaign.tasks["priority"].dtype) == "int64" and str(campaign.tasks["actioned"].dtype) == "bool"


def test_what_is_gone_from_the_network_is_marked_where_it_is_asked_for(tmp_path) -> None:
    from histories import PastCampaign

    campaign = Campaign(PastCampaign(tmp_path / "c", [(0, 1), (1, 2)]).records)
    first, second = campaign.transformations["transformation"]
    campaign.drop(second)
    assert list(campaign.transformations["transformation"]) == [first]
    frame = campaign.results(as_frames=True, gone=True).transformations
    assert dict(zip(frame["transformation"], frame["gone"], strict=True)) == {first: False, second: True}


def test_tasks_are_chosen_from_a_frame_and_changed(tmp_path) -> None:
    from histories import PastCampaign

    campaign = Campaign(PastCampaign(tmp_path / "c", [(0, 1), (1, 2)]).records)
    campaign.create_tasks(campaign.transformations["transformation"], count=2)
    chosen = campaign.tasks.query("repeat == 2 and status == 'waiting'")["task"]
    assert list(campaign.set_tasks_priority(chosen, 1)) == list(chosen)
    assert sorted(campaign.tasks["priority"]) == [1, 1, 10, 10]


def test_values_are_relative_to_a_ligand(campaign: Campaign) -> None:
    name = campaign.ligands["ligand"][0]
    rows = campaign.results(reference=name)["networks"][0]["ligands"]
    agree(campaign.results(as_frames=True, reference=name).ligands, rows, "ligand", "estimate", "steadied_estimate")


def test_without_pandas_it_says_what_to_install(campaign: Campaign, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in ("transformations", "edges", "ligands", "tasks"):
        with pytest.raises(MissingPackageError, match="pip install pandas"):
            getattr(campaign, name)
