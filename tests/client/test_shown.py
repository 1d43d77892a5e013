"""What a campaign returns is a dict with stable keys, and reads well in a terminal and in a notebook."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.client.shown import Shown
from xpm_alchem.tables.console import told

VIEWS = ("status", "show", "summary", "failures", "get_tasks", "results", "budget", "restarts")


@pytest.fixture
def campaign(standing_campaign) -> Campaign:
    """A campaign with tasks in every state, which may only be looked at."""
    (path,) = (standing_campaign / "workspace" / "campaigns").iterdir()
    return Campaign(CampaignRecords.open(path))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_reads_well_and_stays_a_dict(campaign: Campaign, name: str) -> None:
    view = getattr(campaign, name)()
    assert isinstance(view, dict) and type(view) is not dict
    assert not repr(view).startswith("{")
    assert "<pre" in view._repr_html_() or "<table>" in view._repr_html_()
    assert json.loads(json.dumps(view)) == json.loads(json.dumps(dict(view)))
    for copied in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert type(copied) is dict and json.dumps(copied) == json.dumps(view)


def test_views_of_tasks_too(campaign: Campaign) -> None:
    names = [row["task"] for row in campaign.get_tasks()["rows"]][:2]
    one, two = campaign.why(names)
    assert [f"{view['transformation']}:{view['repeat']}" for view in (one, two)] == names
    assert names[0].split(":")[0] in repr(campaign.why(names[0]))
    workspace = campaign.path.parent.parent
    assert campaign.name in repr(Campaign.list_all(str(workspace)))


def test_the_campaign_shows_itself(campaign: Campaign) -> None:
    assert repr(campaign) == f"<Campaign '{campaign.name}' in {campaign.path}>"
    page = campaign._repr_html_()
    assert campaign.show()["rows"][0]["transformation"] in page and "strategy" in page


def test_a_campaign_that_is_gone_still_has_a_name(tmp_path) -> None:
    gone = Campaign(CampaignRecords(tmp_path / "campaigns" / "gone"))
    assert "gone" in repr(gone) and "gone" in gone._repr_html_()


def test_a_view_that_a_program_has_changed_is_a_dict_again(campaign: Campaign) -> None:
    view = campaign.status()
    del view["strategy"]
    assert repr(view).startswith("{") and view._repr_html_() is None


def test_a_long_view_is_cut_in_a_terminal_only() -> None:
    view = Shown({}, lambda view: told(*(f"line {n}" for n in range(500))))
    assert len(repr(view).split("\n")) == 60 and repr(view).endswith("... and 441 more lines")
    assert "line 499" in view._repr_html_()
