"""Numbers in settings that nobody can mean: refused in one sentence with their key, or harmless; never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns import SmallCampaign
from click.testing import CliRunner

from xpm_alchem.cli import main

NUMBERS: list[Any] = [1e300, -1e300, 1e160, 10**400, 10**18, 1e-320, 0, -1, float("inf"), float("nan")]
NUMBERS += ["1e300", "1e18 hours", "1e400", "9" * 30 + "h", True, [], "-5"]
KEYS = [
    "max_retries",
    *(f"strategy.{key}" for key in ("max_tasks_per_transformation", "max_tasks_per_network", "sleep_interval")),
    *(f"strategy.{key}" for key in ("patience", "extends_preference", "settings.repeats")),
    *(f"budget.{key}" for key in ("total", "rate", "per_result", "grace", "until")),
    *(f"launcher.{key}" for key in ("slots", "threads", "gpus", "time_limit", "margin", "grace")),
    *(f"launcher.price.{key}" for key in ("core_hour", "job_hour")),
    *(f"a-optimal.{key}" for key in ("target_standard_error", "least_gain", "pilot", "max_runs", "batch", "tau")),
    *(f"connectivity.{key}" for key in ("decay_rate", "cutoff", "max_runs")),
    *(f"radial-growth.{key}" for key in ("max_runs", "candidacy_max_distance", "decay_repeat_rate")),
]


def with_number(plan: dict[str, Any], key: str, number: Any) -> dict[str, Any]:
    """Return a plan with a number at a key; a strategy's name stands for its settings."""
    first, *rest = key.split(".")
    plan = {**plan, "launcher": {"kind": "local", "slots": 2}}
    if first in ("a-optimal", "connectivity", "radial-growth"):
        return {**plan, "strategy": {"name": first, "settings": {rest[0]: number}}}
    place = plan
    for part in (first, *rest)[:-1]:
        place[part] = dict(place.get(part) or {})
        place = place[part]
    place[(first, *rest)[-1]] = number
    return plan


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> SmallCampaign:
    return SmallCampaign(tmp_path_factory.mktemp("absurd") / "c", edges=[(0, 1), (1, 2), (2, 0)])


@pytest.mark.parametrize("key", KEYS)
def test_no_number_is_a_traceback(campaign: SmallCampaign, key: str) -> None:
    for number in NUMBERS:
        text = yaml.safe_dump(with_number(campaign.plan, key, number))
        campaign.file.write_text(text)
        result = CliRunner().invoke(main, ["run", "--dry-run", str(campaign.file)])
        assert result.exception is None or isinstance(result.exception, SystemExit), (number, result.exc_info)
        assert result.exit_code in (0, 2), (number, result.output)
        if result.exit_code:
            last = result.output.strip().splitlines()[-1]
            assert last.startswith("Error: ") and key.rpartition(".")[2] in last, (number, result.output)
        else:
            assert len(result.output) < 20_000


@pytest.mark.parametrize(
    ("key", "number", "said"),
    [
        ("strategy.settings.repeats", 10**9, "repeats: 1000000000"),
        ("strategy.max_tasks_per_transformation", 10**7, "is too many; 1000000 is the most"),
        ("strategy.sleep_interval", "1000000000000 h", "is too long; 100 years are the most"),
        ("launcher.slots", 10**12, "is too many"),
        ("launcher.price.core_hour", 1e300, "is too much; it must be below 1e+12"),
        ("budget.total", "1e300 gpu-h", "is too much; 1e+12 is the most"),
        ("a-optimal.target_standard_error", 1e-300, "target_standard_error: 1e-300"),
    ],
)
def test_what_nobody_can_mean_is_refused(campaign: SmallCampaign, key: str, number: Any, said: str) -> None:
    campaign.file.write_text(yaml.safe_dump(with_number(campaign.plan, key, number)))
    result = CliRunner().invoke(main, ["run", "--dry-run", str(campaign.file)])
    assert result.exit_code == 2 and said in result.output, result.output


def test_a_plan_is_left_as_it_was(campaign: SmallCampaign, tmp_path: Path) -> None:
    campaign.file.write_text(yaml.safe_dump(campaign.plan))
    assert CliRunner().invoke(main, ["run", "--dry-run", str(campaign.file)]).exit_code == 0
