"""A file system that fails: whichever call of a driver fails, it goes on, or ends with one sentence and its code."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from failing_files import Trial, calm, try_faults

pytestmark = pytest.mark.slow
EDGES = [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    ("path", "name", "errors", "times"),
    [
        ("summary.json", "open", ["ESTALE"], 3),
        ("attempts.jsonl", "open", ["EIO"], 12),
        ("tasks.jsonl", "open", ["ETIMEDOUT"], 8),
        ("tasks.jsonl", "write", ["ENOSPC"], 9),
        ("orders.json", "open", ["EAGAIN"], 7),
        ("run.done", None, ["ESTALE"], 2),
        ("run.pid", "write", ["EIO"], 1),
        ("run.pid", "open", ["ENOSPC"], 1),
        ("run.lock", None, ["ENOLCK"], 3),
        ("/small/driver.json", "replace", ["EBUSY"], 7),
        ("status.json", None, ["EIO"], 4),
        ("params.json", None, ["ENOSPC"], 2),
        ("environment.json", None, ["ESTALE"], 1),
    ],
)
def test_a_file_that_fails_a_while_ends_nothing(
    tmp_path: Path, path: str, name: str | None, errors: list[str], times: int
) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    trial = Trial.of(campaign, tmp_path / "log", errors=errors, path=path, name=name, times=times)
    said, code = trial.run()
    assert trial.failed, "nothing has failed: the test shows nothing"
    assert code == 0, said
    assert campaign.estimates() == calm(tmp_path / "calm", EDGES)
    assert all(counts == {1} for counts in (set(done.values()) for done in campaign.units_done().values()))


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_lock_that_cannot_be_given_back_holds_up_nobody(tmp_path: Path, after: int) -> None:
    """Once an attempt is started, and twice when it has ended: what comes next needs the lock."""
    script = {"simulate 0": {"do": "raise", "message": "weird fault", "times": 1}}
    plan = {"restarts": [{"pattern": "weird fault", "allowed": 1}]}
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES[:1], script=script, plan=plan)
    order = {"path": "run.lock", "name": "flock", "after": after, "times": 1}
    trial = Trial.of(campaign, tmp_path / "log", errors=["EIO"], **order)
    said, code = trial.run()
    assert trial.failed, "nothing has failed: the test shows nothing"
    assert code == 0, said


def test_sixty_calls_that_fail_spread_over_a_campaign(tmp_path: Path) -> None:
    counts = try_faults(tmp_path, faults=60, rounds=6, seed=12)
    print(counts)
    assert counts["injected"] >= 60
    assert not counts["wrong"], counts["wrong"]
