"""What an hour of an attempt costs, by the launcher's profile."""

from __future__ import annotations

from typing import Any

import pytest

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.price import Price, count_gpus

COSTS: list[tuple[dict[str, Any], float, str]] = [
    ({"kind": "local"}, 1.0, "core-h"),
    ({"kind": "local", "threads": 4}, 4.0, "core-h"),
    ({"kind": "local", "threads": 4, "gpus": 0.5}, 0.5, "gpu-h"),
    ({"kind": "local", "threads": 4, "price": {"core_hour": 0.02, "unit": "EUR"}}, 0.08, "EUR"),
    (
        {"kind": "local", "threads": 4, "gpus": 1, "price": {"core_hour": 0.02, "gpu_hour": 1.5, "unit": "EUR"}},
        1.58,
        "EUR",
    ),
    ({"kind": "local", "price": {"job_hour": 3}}, 3.0, "units"),
    ({"kind": "slurm"}, 1.0, "core-h"),
    ({"kind": "slurm", "cpus": 8}, 8.0, "core-h"),
    ({"kind": "slurm", "cpus": 8, "gpus": 1}, 1.0, "gpu-h"),
    ({"kind": "slurm", "cpus": 8, "gres": "gpu:a100:2"}, 2.0, "gpu-h"),
    ({"kind": "slurm", "cpus": 8, "gres": "shard:4"}, 8.0, "core-h"),
    (
        {"kind": "slurm", "cpus": 4, "gpus": "a100:2", "price": {"gpu_hour": 1.5, "job_hour": 0.5, "unit": "€"}},
        3.5,
        "€",
    ),
    ({"kind": "slurm", "gpus": 1, "tasks_per_job": 4, "side_by_side": 4}, 0.25, "gpu-h"),
    ({"kind": "slurm", "gpus": 1, "tasks_per_job": 4}, 1.0, "gpu-h"),
]


@pytest.mark.parametrize(("profile", "cost", "unit"), COSTS)
def test_an_hour_of_an_attempt_costs_what_its_cores_and_gpus_do(profile, cost, unit):
    launcher = choose_launcher(profile, {})
    assert (launcher.cost_per_hour, launcher.cost_unit) == (pytest.approx(cost), unit)


@pytest.mark.parametrize(
    ("gpus", "gres", "count"),
    [
        ("2", None, 2),
        ("a100:2", None, 2),
        ("a100:1,v100:3", None, 4),
        (None, "gpu", 1),
        (None, "gpu:2", 2),
        (None, "gpu:a100", 1),
        (None, "gpu:a100:2(S:0-1)", 2),
        (None, "craynetwork:1,gpu:3", 3),
        (None, "shard:4", 0),
        (None, None, 0),
    ],
)
def test_gpus_are_counted_as_sbatch_is_asked_for_them(gpus, gres, count):
    assert count_gpus(gpus, gres) == count


@pytest.mark.parametrize(
    ("price", "sentence"),
    [
        (3, "is no price. Give for example {core_hour: 0.02"),
        ({"unit": "EUR"}, "says no price"),
        ({"core_hour": "1"}, ".core_hour: '1' is not a number"),
        ({"core_hours": 1}, "unknown key 'core_hours'; did you mean 'core_hour'?"),
        ({"core_hour": 1, "unit": ""}, ".unit: '' is no name of a unit"),
        ({"core_hour": 1, "unit": "5"}, ".unit: '5' is no name of a unit"),
        ({"gpu_hour": 1}, "attempts would cost nothing"),
    ],
)
@pytest.mark.parametrize("kind", ["local", "slurm"])
def test_a_price_that_cannot_be_used_is_refused(kind, price, sentence):
    with pytest.raises(CampaignError) as caught:
        choose_launcher("x", {"x": {"kind": kind, "price": price}})
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("settings.yaml: xpm_alchem.launchers.x.price")


def test_a_price_says_what_it_is():
    assert str(Price(core_hour=0.02, gpu_hour=1.5, unit="EUR")) == "0.02 EUR a core hour and 1.5 EUR a gpu hour"
    assert str(Price()) == "free"


@pytest.mark.parametrize(
    ("profile", "seconds"),
    [
        ({"kind": "local"}, None),
        ({"kind": "local", "time_limit": 60, "grace": 5}, 65.0),
        ({"kind": "slurm"}, None),
        ({"kind": "slurm", "time": "30min", "max_time": "2h"}, 7200.0 + 600.0),
    ],
)
def test_an_attempt_is_over_after_its_limit_however_far_that_may_grow(profile, seconds):
    assert choose_launcher(profile, {}).longest == seconds
