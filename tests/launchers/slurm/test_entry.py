"""What a task's end in SLURM's hands means."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.launchers.slurm.commands import JobState
from xpm_alchem.launchers.slurm.entry import Entry, outcome_of

LAST = "source: env.sh: no such file"


@pytest.mark.parametrize("said", [f"loading\n{LAST}\n\n", f"{'x' * 9000}\n{LAST}"])
def test_a_job_that_fails_before_its_attempt_begins_tells_code_and_last_words(tmp_path: Path, said: str) -> None:
    batch = Batch.make(tmp_path / "slurm", "c", ["/w/jobs/a/b/run.py"] * 2, margin=1.0, limit=None)
    (batch.path / "1.log").write_text(said)
    state = JobState(job="7_1", name="c-1", state="FAILED", exit_code="127:0", node="n1")
    entry = Entry(Path("/w/jobs/a/b/run.py"), None, batch=batch, number=1, state=state)
    _, reason, _ = outcome_of(entry, begun=False)
    assert "ended as FAILED, exit code 127:0 before the attempt began" in reason
    assert reason.endswith("its log ends with: " + LAST)
    assert "its log" not in outcome_of(entry, begun=True)[1]
