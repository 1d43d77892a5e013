"""What a SLURM job does with its tasks when files fail: it goes on, and notes how they ended as soon as it can."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from faults import Faults

from xpm_alchem.execution.fence import give_orders
from xpm_alchem.launchers.slurm import job
from xpm_alchem.launchers.slurm.batch import Batch

JOB = "7_0"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(job, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(job, "_LINGER_SECONDS", 3.0)
    monkeypatch.setattr("xpm_alchem.base.passing.PAUSES", (0.01,) * 3)
    monkeypatch.setenv("SLURM_JOB_ID", "7")


def batch_of(path: Path, codes: list[int], **options: int) -> Batch:
    """Return a batch of tasks that end with these codes."""
    scripts = []
    for number, code in enumerate(codes):
        script = path / "jobs" / "xpm_alchem.run" / str(number) / "run.py"
        script.parent.mkdir(parents=True)
        script.write_text(f"raise SystemExit({code})\n")
        scripts.append(str(script))
    batch = Batch.make(path / "slurm", "c", scripts, margin=1.0, limit=None, **options)
    batch.write("")
    for number, script in enumerate(scripts):
        give_orders(Path(script).parent, launch=batch.launch(number))
    return batch


class Failing:
    """Lets the first calls of a name on paths that end so fail."""

    def __init__(self, root: Path, name: str, end: str, times: int) -> None:
        self._name, self._end, self.left = name, end, times
        self.faults = Faults(root, self._choose)

    def _choose(self, call: int, name: str, path: str) -> int | None:
        if self.left and name == self._name and path.endswith(self._end):
            self.left -= 1
            return errno.EIO
        return None


@pytest.mark.parametrize(("code", "name", "end"), [(3, "replace", "/ended/0"), (0, "open", "/orders.json")])
def test_a_file_of_an_only_task_that_fails_for_a_while_is_used_later(
    tmp_path: Path, code: int, name: str, end: str
) -> None:
    batch = batch_of(tmp_path, [code])
    failing = Failing(tmp_path, name, end, 9)
    with failing.faults.in_force():
        assert job._Worker(batch, JOB, 0).run() == code
    assert failing.left == 0
    assert batch.ended(0) == code


@pytest.mark.parametrize(("name", "end"), [("link", "/claims/1"), ("open", "batch.json"), ("replace", "/ended/0")])
def test_a_file_that_fails_ends_no_other_task_of_a_job(tmp_path: Path, name: str, end: str) -> None:
    batch = batch_of(tmp_path, [0, 0, 0], tasks_per_job=3)
    other = Batch.make(tmp_path / "slurm", "c", batch.scripts, margin=1.0, limit=None, tasks_per_job=3)
    other.write("")  # of the same pool, with nothing to do
    failing = Failing(tmp_path, name, end, 9)
    with failing.faults.in_force():
        assert job._Worker(batch, JOB, None).run() == 0
    assert failing.left == 0
    assert [batch.ended(number) for number in range(3)] == [0, 0, 0]


def test_a_task_that_cannot_be_started_is_told_and_the_next_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = batch_of(tmp_path, [0, 0], tasks_per_job=2)
    failing = Failing(tmp_path, "open", "/0/run.out", 99)
    with failing.faults.in_force():
        assert job._Worker(batch, JOB, None).run() == 1
    assert [batch.ended(0), batch.ended(1)] == [1, 0]
    assert "/0: it could not be started: [Errno 5] Input/output error" in capsys.readouterr().err
