"""What is refused waits by itself, the rest is submitted. The commands are programs that answer as SLURM does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import wait_for

from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.slurm.commands import Slurm
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.slurm.queue import SlurmQueue

REFUSED = "sbatch: error: Batch job submission failed: "
Submit = Callable[[str, SlurmProfile], Path]


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmQueue]:
    programs = tmp_path / "bin"
    programs.mkdir()
    # refuses the partition 'none', and whatever may not run on n1; for the partition 'slow' it waits for the file 'go'
    body = f'''
script=$(eval echo \\${{$#}})
if grep -q partition=none "$script"; then echo "{REFUSED}Invalid partition name specified" >&2; exit 1; fi
if grep -q exclude=n1 "$script"; then echo "{REFUSED}Requested node configuration is not available" >&2; exit 1; fi
if grep -q partition=slow "$script"; then
    touch {tmp_path}/sbatch-runs
    while [ ! -e {tmp_path}/go ]; do sleep 0.05; done
fi
echo 12
'''
    cancel = f'echo "$@" >> {tmp_path}/scancelled\n'
    for name, text in {"sbatch": body, "squeue": "", "sacct": "", "scancel": cancel}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (tmp_path / "slurm").mkdir()
    made = SlurmQueue(tmp_path / "slurm", Slurm())
    made.join("c")
    yield made
    made.close()


@pytest.fixture
def submit(queue: SlurmQueue, tmp_path: Path) -> Submit:
    """Return a function that hands a task to the queue and returns the task's directory."""

    def hand(name: str, profile: SlurmProfile) -> Path:
        script = tmp_path / name / "run.py"
        script.parent.mkdir()
        script.touch()
        queue.submit(script, profile, "c")
        return script.parent

    return hand


def is_submitted(queue: SlurmQueue, task: Path) -> bool:
    entry = queue.find(task)
    return entry is not None and entry.batch is not None


def test_what_is_refused_does_not_hold_up_what_is_not(queue: SlurmQueue, submit: Submit) -> None:
    refused = submit("a", SlurmProfile(partition="none"))
    later = submit("b", SlurmProfile(partition="main"))
    wait_for(lambda: is_submitted(queue, later), what="the other task's submission")
    assert not is_submitted(queue, refused)
    assert any("Invalid partition" in sentence for sentence in queue.news())


def test_nodes_are_avoided_only_as_long_as_any_is_left(queue: SlurmQueue, submit: Submit) -> None:
    task = submit("a", SlurmProfile(avoided=("n1",)))
    wait_for(lambda: is_submitted(queue, task), what="its submission")
    assert queue.news() == ["no node is left beside those that are avoided: jobs are sent to any"]


def test_nodes_that_the_user_excludes_stay_excluded(queue: SlurmQueue, submit: Submit) -> None:
    task = submit("a", SlurmProfile(exclude="n1", avoided=("n2",)))
    news: list[str] = []
    wait_for(lambda: news.extend(queue.news()) or len(news) == 2, what="its refusal without the avoided node")
    assert "no node is left beside those that are avoided" in news[0]
    assert "SLURM refuses the job; tried again" in news[1]
    assert not is_submitted(queue, task)


@pytest.mark.parametrize(("together", "cancelled"), [(1, ["12_0"]), (2, [])])
def test_a_task_that_is_cancelled_while_sbatch_runs_is_not_run(
    queue: SlurmQueue, submit: Submit, tmp_path: Path, together: int, cancelled: list[str]
) -> None:
    slow = SlurmProfile(partition="slow", tasks_per_job=together)
    unwanted, wanted = submit("a", slow), submit("b", slow)
    wait_for((tmp_path / "sbatch-runs").exists, what="sbatch")
    queue.cancel(unwanted)
    assert Orders.read(unwanted).launch == "withdrawn/0"
    (tmp_path / "go").touch()
    wait_for(lambda: is_submitted(queue, wanted), what="the other task's submission")
    (batch,) = (path.name for path in (tmp_path / "slurm").iterdir())
    assert Orders.read(unwanted).launch == "withdrawn/0"
    assert Orders.read(wanted).launch == f"{batch}/1"
    assert queue.ended() == {unwanted}
    later = submit("c", SlurmProfile(partition="main"))
    wait_for(lambda: is_submitted(queue, later), what="a later task's submission, a step after what is cancelled")
    wait_for(lambda: scancelled(tmp_path) == cancelled, what="the cancelled task's job being ended")


def test_a_task_that_is_cancelled_while_another_ones_sbatch_runs_is_not_submitted(
    queue: SlurmQueue, submit: Submit, tmp_path: Path
) -> None:
    first, unwanted = submit("a", SlurmProfile(partition="slow")), submit("b", SlurmProfile(partition="main"))
    wait_for((tmp_path / "sbatch-runs").exists, what="sbatch")
    queue.cancel(unwanted)
    (tmp_path / "go").touch()
    wait_for(lambda: is_submitted(queue, first), what="the first task's submission")
    later = submit("c", SlurmProfile(partition="main"))
    wait_for(lambda: is_submitted(queue, later), what="a later task's submission")
    assert not is_submitted(queue, unwanted)
    assert len(list((tmp_path / "slurm").iterdir())) == 2
    assert scancelled(tmp_path) == []


def scancelled(path: Path) -> list[str]:
    file = path / "scancelled"
    return sorted(file.read_text().split()) if file.exists() else []
