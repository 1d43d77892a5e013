"""Profiles of pools: every key is checked."""

from __future__ import annotations

import pytest

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.workers.launcher import WorkersLauncher
from xpm_alchem.launchers.workers.profile import PoolProfile

WHERE = "settings.yaml: xpm_alchem.launchers.pool"


def test_a_whole_profile():
    given = {
        "kind": "workers",
        "pool": "gpus",
        "slots": 50,
        "cpus": 4,
        "gpus": 0.5,
        "platform": "CUDA",
        "margin": "5min",
        "env": {"A": 3},
        "price": {"gpu_hour": 2.0, "unit": "EUR"},
    }
    profile = PoolProfile.parse(given, WHERE)
    assert (profile.pool, profile.slots, profile.cpus, profile.gpus) == ("gpus", 50, 4, 0.5)
    assert (profile.platform, profile.margin, dict(profile.env)) == ("CUDA", 300.0, {"A": "3"})
    launcher = WorkersLauncher(profile)
    assert (launcher.cost_per_hour, launcher.cost_unit) == (1.0, "EUR")


def test_nothing_need_be_said():
    assert PoolProfile.parse({"kind": "workers", "pool": None}, WHERE) == PoolProfile()


def test_a_profile_is_chosen_by_its_kind():
    assert isinstance(choose_launcher({"kind": "workers", "pool": "p"}, {}), WorkersLauncher)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pool": "a/b"}, "pool: 'a/b' is no name of a pool"),
        ({"pool": ".."}, "is no name of a pool"),
        ({"pool": "x" * 65}, "64 at most"),
        ({"slots": 0}, "slots"),
        ({"cpus": 1.5}, "cpus"),
        ({"gpus": -1}, "gpus"),
        ({"platform": "Cuda3"}, "platform"),
        ({"margin": "soon"}, "margin"),
        ({"env": ["A"]}, "is not a mapping of names to values"),
        ({"price": {"gpu_hour": 1}}, "price"),
        ({"slot": 3}, "slots"),
        ({"time": "1h"}, "time"),
    ],
)
def test_what_cannot_be_used_is_said(given, said):
    with pytest.raises(CampaignError) as caught:
        PoolProfile.parse({"kind": "workers", **given}, WHERE)
    assert WHERE in str(caught.value)
    assert said in str(caught.value)


def test_a_value_of_the_environment_is_not_printed():
    with pytest.raises(CampaignError) as caught:
        PoolProfile.parse({"kind": "workers", "env": "TOKEN=geheim"}, WHERE)
    assert "geheim" not in str(caught.value)
