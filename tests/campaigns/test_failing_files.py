"""A file system that fails: whichever call of a driver fails, it goes on, or ends with one sentence and its code."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import SmallCampaign
from failing_files import Trial, calm, try_faults
from patience import communicate, wait_for

from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.driver import endurance

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


def notify(path: Path) -> dict[str, object]:
    """Return a plan's section that writes what is told into a file."""
    return {"notify": {"command": ["sh", "-c", f"cat >> {path}"]}}


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
def test_a_disk_that_stays_full_ends_the_driver_with_a_code_of_its_own_and_is_told(tmp_path: Path, error: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, plan=notify(tmp_path / "told"))
    soon = {f"{endurance.__name__}:{name}": 2.0 for name in ("_PASSING_SECONDS", "_LASTING_SECONDS")}
    order = {"path": "tasks.jsonl", "name": "write", "times": 10**9, "durations": soon}
    said, code = Trial.of(campaign, tmp_path / "log", errors=[error], **order).run()
    assert code == 5, said
    words = "No space left on device" if error == "ENOSPC" else "Read-only file system"
    assert words in said and "The driver has ended after" in said and "run the campaign again" in said
    assert "Traceback" not in said
    wait_for(lambda: "The driver has ended" in (tmp_path / "told").read_text(), what="the notice")
    assert campaign.run().returncode == 0
    assert campaign.estimates() == calm(tmp_path / "calm", EDGES)


def test_a_disk_that_is_full_for_a_while_holds_up_a_driver_and_is_told(tmp_path: Path) -> None:
    room, told = tmp_path / "room", tmp_path / "told"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, plan=notify(told))
    order = {"path": "tasks.jsonl", "name": "write", "after": 3, "times": 10**9, "until": str(room)}
    trial = Trial.of(campaign, tmp_path / "log", errors=["ENOSPC"], **order)
    driver = trial.start()
    wait_for(lambda: told.exists() and "No space left on device" in told.read_text(), what="the notice")
    room.touch()
    said, _ = communicate(driver, 300)
    assert driver.returncode == 0, said
    assert "it is tried again until that is mended" in said and "can be used again" in said
    wait_for(lambda: "its files can be used again" in told.read_text(), what="the second notice")
    assert campaign.estimates() == calm(tmp_path / "calm", EDGES)


def test_one_task_whose_files_are_closed_to_its_user_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """Its driver cannot read what its attempt wrote; nothing else can be said of it."""
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    order = {"path": "/summary.json", "name": "open", "times": 10**9, "only_first": True}
    trial = Trial.of(campaign, tmp_path / "log", errors=["EACCES"], **order)
    said, code = trial.run()
    assert code == 1, said
    assert "Permission denied" in said and "Traceback" not in said
    in_error, complete = sorted(
        campaign.records.state().tasks.values(), key=lambda task: task.status is TaskStatus.COMPLETE
    )
    assert (in_error.status, complete.status) == (TaskStatus.ERROR, TaskStatus.COMPLETE)
    assert "Permission denied" in campaign.call("why", campaign.file, campaign.records.name_of(in_error)).stdout
    assert campaign.call("retry", campaign.file, "--all").returncode == 0
    assert campaign.run().returncode == 0  # its files can be read again, and its result is there


def test_sixty_calls_that_fail_spread_over_a_campaign(tmp_path: Path) -> None:
    counts = try_faults(tmp_path, faults=60, rounds=6, seed=12)
    print(counts)
    assert counts["injected"] >= 60
    assert not counts["wrong"], counts["wrong"]
