"""A task whose job waits in SLURM's queue is shown so everywhere: since when, why, and whether the user must act."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from campaigns import held
from patience import communicate, hear, wait_for
from slurm_campaigns import SlurmCampaign, finished

pytestmark = pytest.mark.slurm
SHORT = ("main Nodes=n[1-4] Default=YES State=UP MaxTime=5 DefaultTime=5",)


def texts(campaign: SlurmCampaign) -> dict[str, str]:
    """Return what the commands print that look at a task."""
    name = campaign.json("show")["rows"][0]["transformation"]
    commands = {"status": (), "show": (), "summary": (), "why": (f"{name}:1",), "tasks list": ()}
    return {
        command: campaign.call(*command.split(), campaign.file, *options).stdout
        for command, options in commands.items()
    }


def test_a_job_that_can_never_start_calls_for_the_user_once_and_is_shown_as_waiting(
    start_cluster, tmp_path: Path
) -> None:
    cluster = start_cluster(partitions=SHORT, settings={"EnforcePartLimits": "NO"})
    told = tmp_path / "told"
    tell = tmp_path / "tell"
    tell.write_text(f"#!/bin/sh\ncat >> {told}\n")
    tell.chmod(0o755)
    notify = {"command": [str(tell)], "on": ["error"]}
    campaign = SlurmCampaign(tmp_path / "c", profile={"time": "30min"}, plan={"notify": notify})
    driver = campaign.start()
    hear(driver, "PartitionTimeLimit")
    wait_for(lambda: told.exists() and "PartitionTimeLimit" in told.read_text(), what="the notification")
    driven = texts(campaign)
    for command in ("status", "show", "summary", "why"):
        assert "PartitionTimeLimit" in driven[command], (command, driven[command])
    assert all("running" not in text for text in driven.values()), driven
    assert "waiting in a queue" in driven["tasks list"]
    status, (row,) = campaign.json("status"), campaign.json("show")["rows"]
    assert (status["tasks"]["running"], status["tasks"]["waiting"], status["queued"]) == (0, 1, 1)
    assert len(status["needs_user"]) == 1 and "a shorter `time`" in status["needs_user"][0]
    assert (row["running"], row["waiting"], row["queued"]) == (0, 1, 1)
    hold = campaign.json("why", f"{row['transformation']}:1")["hold"]
    (job,) = cluster.jobs("PD")
    assert hold["kind"] == "queued" and hold["is_lasting"] and hold["job"] == job["id"]
    report = tmp_path / "report.html"
    assert campaign.call("report", campaign.file, "--out", report).returncode == 0
    assert "Needs you: " in report.read_text() and "PartitionTimeLimit" in report.read_text()
    driver.kill()  # views ask nobody: not the driver, and not SLURM
    communicate(driver)
    alone = texts(campaign)
    assert "as the driver saw it last" in alone["why"] and "PartitionTimeLimit" in alone["show"]
    driver = campaign.start()
    wait_for(lambda: campaign.json("status")["driver"], what="the next driver")
    cluster.call("scontrol", "update", "PartitionName=main", "MaxTime=60")
    finished(driver)
    assert told.read_text().count("PartitionTimeLimit") == 1
    assert campaign.json("status")["queued"] == 0 and not (campaign.records.path / "queue.json").exists()


def test_what_waits_for_others_is_told_and_ends_when_it_starts(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    go_on = tmp_path / "go on"
    campaign = SlurmCampaign(tmp_path / "c", script=held(until=go_on))
    driver = campaign.start()
    wait_for(
        lambda: campaign.is_made and "Resources" in "".join(campaign.json("status")["held_up"]), what="the reason, told"
    )
    shown = texts(campaign)
    assert all("in SLURM's queue since" in shown[command] for command in ("status", "show", "why")), shown
    assert campaign.json("status")["needs_user"] == []
    cluster.call("scancel", "-n", "others")
    campaign.wait_for_one()
    wait_for(lambda: campaign.json("status")["tasks"]["running"] == 1, what="its being shown as running")
    assert campaign.json("status")["queued"] == 0
    go_on.touch()
    finished(driver)


def test_notes_of_the_queue_that_are_damaged_or_of_an_earlier_submission_say_nothing(
    start_cluster, tmp_path: Path
) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    campaign = SlurmCampaign(tmp_path / "c")
    driver = campaign.start()
    notes = wait_for(lambda: campaign.is_made and next(campaign.records.path.glob("queue.json"), None), what="notes")
    kept = shutil.copy(notes, tmp_path / "kept")
    driver.kill()
    communicate(driver)
    for content in ("", "[]", '{"format": "xpm-alchem queue", "format_version": 1, "tasks": [7]}', "{"):
        notes.write_text(content)
        assert campaign.json("status")["queued"] == 0
    record = json.loads(Path(kept).read_text())
    for note in record["tasks"].values():
        note["submitted"] -= 100.0
    notes.write_text(json.dumps(record))
    assert campaign.json("status")["queued"] == 0
    cluster.call("scancel", "-n", "others")
    assert campaign.run().returncode == 0
