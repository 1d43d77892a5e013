"""A batch is its directory: the intent is found again, a task is taken on by one job, a launch leads nowhere else."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import attrs
import pytest
from patience import scaled

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import write_json
from xpm_alchem.launchers.slurm.batch import Batch, parse_launch

FORK = multiprocessing.get_context("fork")


def make(root: Path, tasks: int = 3, **values) -> Batch:
    scripts = [f"{root.parent}/jobs/task/{n}/task.py" for n in range(tasks)]
    return Batch.make(root, values.pop("campaign", "tyk2"), scripts, **{"margin": 120.0, "limit": 3600.0, **values})


def written(root: Path, tasks: int = 3, **values) -> Batch:
    batch = make(root, tasks, **values)
    batch.write("#!/bin/bash\n")
    return batch


# ---------------------------------------------------------------------------------------------------------- the record
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"limit": None, "is_array": False, "tasks": 1},
        {"tasks_per_job": 4, "side_by_side": 2, "pool": "abc", "tasks": 9, "margin": 90.5},
    ],
)
def test_a_batch_is_read_as_it_was_written(tmp_path, values):
    batch = make(tmp_path, **values)
    batch.write("#!/bin/bash\necho ü\n")
    assert Batch.read(batch.path) == batch
    assert batch.script.read_text() == "#!/bin/bash\necho ü\n"


def test_a_batch_counts_only_when_its_intent_is_written(tmp_path):
    batch = make(tmp_path)
    assert Batch.read(batch.path) is None
    assert Batch.read(tmp_path / "none") is None
    batch.write("")
    assert Batch.read(batch.path) is not None


def test_every_batch_has_a_directory_and_a_name_of_its_own(tmp_path):
    batches = [make(tmp_path) for _ in range(20)]
    assert len({batch.path for batch in batches}) == len({batch.job_name for batch in batches}) == 20
    assert all(batch.path.parent == tmp_path and batch.job_name.startswith("tyk2-") for batch in batches)


def test_a_long_campaign_s_name_is_cut_but_stays_like_no_other(tmp_path):
    names = [make(tmp_path, campaign="c" * 100).job_name for _ in range(2)]
    assert names[0] != names[1] and all(len(name) < 60 for name in names)


@pytest.mark.parametrize(("tasks", "tasks_per_job", "jobs"), [(1, 1, 1), (7, 1, 7), (7, 7, 1), (8, 7, 2), (1, 9, 1)])
def test_there_are_as_many_jobs_as_the_tasks_need(tmp_path, tasks, tasks_per_job, jobs):
    assert make(tmp_path, tasks, tasks_per_job=tasks_per_job).jobs == jobs


def test_a_batch_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    batch = written(tmp_path)
    path = batch.path / "batch.json"
    write_json(path, json.loads(path.read_text()) | {"format_version": 99})
    before = path.read_bytes()
    with pytest.raises(FormatError, match="newer xpm-alchem") as caught:
        Batch.read(batch.path)
    assert caught.value.newer and path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "empty", "another kind", "no scripts", "a number for scripts"])
def test_a_damaged_batch_is_told_with_its_file(tmp_path, damage):
    batch = written(tmp_path)
    path = batch.path / "batch.json"
    content = json.loads(path.read_text())
    if damage == "no scripts":
        del content["scripts"]
    text = {
        "cut": path.read_text()[:-30],
        "empty": "",
        "another kind": json.dumps(content | {"format": "xpm-alchem orders"}),
        "no scripts": json.dumps(content),
        "a number for scripts": json.dumps(content | {"scripts": 5}),
    }[damage]
    path.write_text(text)
    with pytest.raises(FormatError, match=r"batch\.json") as caught:
        Batch.read(batch.path)
    assert not caught.value.newer


# --------------------------------------------------------------------------------------------------------- job's ids
def test_the_jobs_of_a_batch_are_unknown_until_somebody_knows_its_id(tmp_path):
    batch = make(tmp_path)
    assert (batch.job(), batch.job_of(0), batch.all_jobs(), batch.jobs_for(1)) == (None, None, [], None)
    batch.set_job("17")
    assert batch.job() == "17"
    assert batch.all_jobs() == ["17_0", "17_1", "17_2"]
    assert batch.jobs_for(1) == ["17_1"]


def test_a_plain_job_has_no_index(tmp_path):
    batch = make(tmp_path, 1, is_array=False)
    batch.set_job("17")
    assert (batch.job_of(0), batch.all_jobs(), batch.jobs_for(0)) == ("17", ["17"], ["17"])


def test_an_id_that_was_cut_short_is_not_known(tmp_path):
    batch = make(tmp_path)
    (batch.path / "job").write_text("")
    assert batch.job() is None and batch.all_jobs() == []


def test_the_same_id_may_be_noted_by_the_driver_and_by_the_job(tmp_path):
    batch = make(tmp_path)
    for _ in range(2):
        batch.set_job("17")
    assert batch.job() == "17"


def test_any_job_of_a_packed_batch_may_take_on_a_task_until_one_has(tmp_path):
    batch = make(tmp_path, 5, tasks_per_job=2)
    assert batch.jobs_for(4) is None
    batch.set_job("17")
    assert batch.jobs_for(4) == ["17_0", "17_1", "17_2"]
    batch.claim(4, "17_1", "small-0")
    assert batch.jobs_for(4) == ["17_1"]
    assert batch.jobs_for(3) == ["17_0", "17_1", "17_2"]


def test_a_task_that_a_job_of_another_batch_took_on_belongs_to_that_job(tmp_path):
    batch = make(tmp_path, 5, tasks_per_job=2)
    batch.claim(0, "99_0", "small-0")
    assert batch.jobs_for(0) == ["99_0"]  # although nobody knows this batch's own id


# -------------------------------------------------------------------------------------------------------------- claims
def test_a_task_is_taken_on_by_the_first_job_and_by_no_other(tmp_path):
    batch = make(tmp_path, 2, tasks_per_job=2)
    assert batch.claimed_by(0) is None
    assert batch.claim(0, "17_0", "small-0")
    assert not batch.claim(0, "17_1", "small-0")
    assert (batch.claimed_by(0), batch.claimed_by(1)) == ("17_0", None)


def test_a_job_that_was_requeued_finds_its_own_claim(tmp_path):
    batch = written(tmp_path, 2, tasks_per_job=2)
    assert batch.claim(0, "17_0", "small-0")
    again = Batch.read(batch.path)
    assert again.claim(0, "17_0", "small-0")
    assert not again.claim(0, "17_1", "small-0")


def test_a_claim_that_a_kill_cut_short_claims_nothing(tmp_path):
    batch = make(tmp_path, 2, tasks_per_job=2)
    (batch.path / "claims" / ".0.12345678").write_text("17_1\n")  # killed before it got its name
    assert batch.claimed_by(0) is None
    assert batch.claim(0, "17_0", "small-0") and batch.claimed_by(0) == "17_0"


def _take_on_all(path: Path, job: str, barrier, answers) -> None:
    batch = Batch.read(path)
    mine, unknown = [], 0
    for number in range(len(batch.scripts)):
        barrier.wait(60)  # all of them want this one now
        if batch.claim(number, job, "small-0"):
            mine.append(number)
        unknown += batch.claimed_by(number) is None  # whoever was first: it is known at once
    answers.put((job, mine, unknown))


def test_jobs_that_come_at_once_share_the_tasks_each_exactly_once(tmp_path):
    batch = written(tmp_path, 50, tasks_per_job=50)
    jobs = [f"17_{n}" for n in range(8)]
    barrier, answers = FORK.Barrier(len(jobs)), FORK.Queue()
    processes = [FORK.Process(target=_take_on_all, args=(batch.path, job, barrier, answers)) for job in jobs]
    for process in processes:
        process.start()
    found = [answers.get(timeout=scaled(60)) for _ in jobs]
    for process in processes:
        process.join()
    assert sorted(number for _, mine, _ in found for number in mine) == list(range(50))
    assert all(batch.claimed_by(number) == job for job, mine, _ in found for number in mine)
    assert sum(unknown for *_, unknown in found) == 0
    assert sorted(path.name for path in (batch.path / "claims").iterdir()) == sorted(str(n) for n in range(50))


# ------------------------------------------------------------------------------------------------------------ launches
def test_a_launch_leads_back_to_its_batch_and_task(tmp_path):
    batch = make(tmp_path, 12)
    assert parse_launch(tmp_path, batch.launch(11)) == (batch.path, 11)


@pytest.mark.parametrize(
    "launch",
    [
        "",
        "not launched yet",
        "batch",
        "batch/",
        "batch/x",
        "batch/-1",
        "batch/1.5",
        "batch/1/2",
        "batch/²",
        "/0",
        "./0",
        "../0",
        "a/../b/0",
        "../../etc/0",
        "/etc/0",
    ],
)
def test_a_launch_that_names_no_batch_is_none(tmp_path, launch):
    assert parse_launch(tmp_path, launch) is None


def test_a_batch_of_another_path_is_the_same_but_for_its_path(tmp_path):
    batch = written(tmp_path / "here")
    (tmp_path / "there").mkdir()
    moved = tmp_path / "there" / batch.path.name
    batch.path.rename(moved)
    assert Batch.read(moved) == attrs.evolve(batch, path=moved)


def test_the_job_that_took_on_a_task_of_another_batch_is_known_by_that_batchs_name(tmp_path):
    batch = make(tmp_path, tasks_per_job=4)
    assert batch.name_for(0) == batch.job_name
    batch.claim(0, "17_0", "other-1234567890")
    assert batch.name_for(0) == "other-1234567890" and batch.name_for(1) == batch.job_name


def test_a_batch_script_holds_env_and_is_for_its_owner_or_the_workspace_s_group(tmp_path: Path) -> None:
    for permissions, expected in ((0o755, 0o600), (0o2775, 0o640)):
        workspace = tmp_path / f"{permissions:o}"
        workspace.mkdir()
        workspace.chmod(permissions)
        batch = Batch.make(workspace / "slurm", "c", [str(workspace / "jobs/a/b/run.py")], margin=1.0, limit=None)
        batch.write("export TOKEN=sesame\n")
        assert stat.S_IMODE(batch.script.stat().st_mode) == expected
