"""Ends are told in one directory: told ones are looked at, others come in their turn; nothing rests on the telling."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from xpm_alchem.base.errors import FormatError
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.disk_look import DiskLook
from xpm_alchem.launchers.slurm.ended_jobs import EndedJobs
from xpm_alchem.launchers.slurm.entry import Entry
from xpm_alchem.launchers.slurm.profile import SlurmProfile

CAMPAIGN = "c"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "campaigns" / CAMPAIGN).mkdir(parents=True)
    (tmp_path / "jobs" / "xpm_alchem.run").mkdir(parents=True)
    (tmp_path / "slurm").mkdir()
    return tmp_path / "slurm"


def joined(jobs: EndedJobs) -> DiskLook:
    look = DiskLook()
    look.join(jobs)
    return look


def batch_of(root: Path, tasks: int, campaign: str = CAMPAIGN) -> Batch:
    scripts = [str(root.parent / "jobs" / "xpm_alchem.run" / str(number) / "run.py") for number in range(tasks)]
    batch = Batch.make(root, campaign, scripts, margin=1.0, limit=None)
    batch.write("")
    return batch


def entries_of(batch: Batch) -> list[Entry]:
    return [
        Entry(Path(script), campaign=batch.campaign, batch=batch, number=number)
        for number, script in enumerate(batch.scripts)
    ]


def told(root: Path) -> list[str]:
    return EndedJobs(root, CAMPAIGN).told()


def test_what_is_told_is_looked_at_at_once_and_taken_note_of(root):
    look = joined(EndedJobs(root, CAMPAIGN))
    batch = batch_of(root, 50)
    entries = entries_of(batch)
    assert not look.look(entries)  # the first look is at all of them
    batch.set_ended(37, 3)
    assert told(root) == [batch.launch(37)]
    assert look.look(entries)
    assert [(one.number, one.code) for one in entries if one.ended] == [(37, 3)]
    assert told(root) == []


@pytest.mark.parametrize("tell", [lambda root: None, lambda root: (root.parent / "campaigns" / CAMPAIGN).rmdir()])
def test_what_nobody_tells_is_found_in_its_turn(root, tell):
    tell(root)
    look = joined(EndedJobs(root, CAMPAIGN))
    batch = Batch.read(batch_of(root, 20, campaign="").path)
    assert batch is not None
    entries = entries_of(batch)
    look.look(entries)
    batch.set_ended(11, 0)
    assert told(root) == []
    for _ in range(20):
        look.look(entries)
    assert [one.number for one in entries if one.ended] == [11]


def test_what_is_told_of_others_is_taken_note_of_and_changes_nothing(root):
    look, batch = joined(EndedJobs(root, CAMPAIGN)), batch_of(root, 2)
    EndedJobs(root, CAMPAIGN).tell("20260101-000000-abcdef0123/7")
    entries = entries_of(batch)
    assert not look.look(entries) and told(root) == []


def test_what_is_told_before_it_can_be_seen_is_looked_at_again(root):
    look, batch = joined(EndedJobs(root, CAMPAIGN)), batch_of(root, 30)
    entries = entries_of(batch)
    look.look(entries)
    EndedJobs(root, CAMPAIGN).tell(batch.launch(29))
    assert not look.look(entries) and told(root) == [batch.launch(29)]
    batch.set_ended(29, 0)
    assert look.look(entries) and entries[29].ended and told(root) == []


def test_a_batch_of_version_0_1_is_read_and_tells_nobody(root):
    batch = batch_of(root, 1)
    content = json.loads((batch.path / "batch.json").read_text())
    assert content.pop("campaign") == CAMPAIGN
    (batch.path / "batch.json").write_text(json.dumps(content))
    old = Batch.read(batch.path)
    assert old is not None and old.campaign == ""
    joined(EndedJobs(root, CAMPAIGN))
    old.set_ended(0, 0)
    assert old.ended(0) == 0 and told(root) == []


@pytest.mark.parametrize("campaign", ["../../elsewhere", "a/b", 7, None])
def test_a_campaign_that_is_no_name_is_damage(root, campaign):
    batch = batch_of(root, 1)
    content = json.loads((batch.path / "batch.json").read_text())
    (batch.path / "batch.json").write_text(json.dumps({**content, "campaign": campaign}))
    with pytest.raises(FormatError, match="campaign"):
        Batch.read(batch.path)


@pytest.mark.parametrize("jobs", [None, 3])
def test_a_script_that_ends_early_tells_too(root, jobs):
    look, batch = joined(EndedJobs(root, CAMPAIGN)), batch_of(root, 3)
    profile = SlurmProfile(prologue=("exit 7",))
    script = profile.script(name="x", directory=batch.path, jobs=jobs, campaign=CAMPAIGN)
    number = 0 if jobs is None else 2
    done = subprocess.run(["bash"], input=script, text=True, env={"PATH": "/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "2"})
    assert done.returncode == 7
    assert told(root) == [batch.launch(number)]
    entries = entries_of(batch)
    assert look.look(entries) and entries[number].code == 7


def test_an_id_that_is_known_is_not_asked_for_again(root, monkeypatch):
    batch = batch_of(root, 2)
    assert batch.job() is None
    batch.set_job("12")
    assert batch.job_of(1) == "12_1"
    (batch.path / "job").unlink()
    assert batch.job_of(1) == "12_1"
    assert Batch.read(batch.path).job() is None


def test_a_monitor_takes_note_of_nothing(root):
    batch = batch_of(root, 1)
    EndedJobs(root, CAMPAIGN).open()
    batch.set_ended(0, 0)
    entries = entries_of(batch)
    assert DiskLook().look(entries) and entries[0].ended
    assert told(root) == [batch.launch(0)]


def test_of_many_campaigns_a_few_are_looked_at_each_time_and_each_in_its_turn(root, monkeypatch):
    names = [f"c{number}" for number in range(10)]
    look, entries, asked = DiskLook(), [], []
    for name in names:
        (root.parent / "campaigns" / name).mkdir()
        look.join(EndedJobs(root, name))
        entries += entries_of(batch_of(root, 20, campaign=name))
    for _ in range(2):  # all of them
        look.look(entries)
    really = EndedJobs.told
    monkeypatch.setattr(EndedJobs, "told", lambda jobs: asked.append(jobs.campaign) or really(jobs))
    ended = [entries[20 * number + 7] for number in range(10)]
    for entry in ended:
        entry.batch.set_ended(entry.number, 0)
    for count in range(1, 4):
        look.look(entries)
        assert len(asked) == 4 * count
    assert set(asked) == set(names) and all(entry.ended for entry in ended)
