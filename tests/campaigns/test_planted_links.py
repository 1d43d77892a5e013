"""What is printed into a campaign's files goes to no other place, whatever somebody has put there."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "options"), [("driver.log", []), ("driver.out", ["--detach"])])
@pytest.mark.parametrize("there", [True, False])
def test_a_driver_prints_through_no_link(tmp_path: Path, name: str, options: list[str], there: bool) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    victim = tmp_path / "victim"
    if there:
        victim.write_text("mine\n")
    (campaign.records.path / name).unlink(missing_ok=True)
    (campaign.records.path / name).symlink_to(victim)
    run = campaign.run(*options)
    assert run.returncode == 2
    assert f"{name}: a symbolic link, and nothing is written through one." in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert victim.read_text() == "mine\n" if there else not victim.exists()
    (campaign.records.path / name).unlink()
    assert campaign.run().returncode == 0


def test_an_attempt_prints_through_no_link(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script={"analyse": {"do": "raise", "times": 1}})
    assert campaign.run().returncode in (0, 1)
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    (task,) = campaign.records.state().tasks.values()
    for stream in ("run.out", "run.err"):
        path = campaign.records.task_path(task) / stream
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
    campaign.call("retry", campaign.file, "--all")
    campaign.run()
    assert victim.read_text() == "mine\n"
