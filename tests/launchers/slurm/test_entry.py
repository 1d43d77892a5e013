"""What a task's end in SLURM's hands means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xpm_alchem.execution.attempts import Outcome
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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "its job ended with exit code 3 before the attempt began"),
        (0, "its job ended with exit code 0 before the attempt began"),
        (143, "its job was killed by SIGTERM (as scancel does) before the attempt began"),
    ],
)
def test_a_job_that_fails_early_tells_its_code_where_slurm_does_not(tmp_path: Path, code: int, words: str) -> None:
    batch = Batch.make(tmp_path / "slurm", "c", ["/w/jobs/a/b/run.py"], margin=1.0, limit=None)
    entry = Entry(Path("/w/jobs/a/b/run.py"), None, batch=batch, code=code)
    assert outcome_of(entry, begun=False) == (Outcome.LOST, words, True)
    (batch.path / "0.log").write_text(f"loading\n{LAST}\n")
    assert outcome_of(entry, begun=False)[1] == f"{words}; its log ends with: {LAST}"


@pytest.mark.parametrize(
    ("state", "by", "words"),
    [
        ("CANCELLED", os.getuid(), "ended as CANCELLED (with scancel, by you)"),
        ("CANCELLED", 4_000_000, "ended as CANCELLED (with scancel, by the user with id 4000000)"),
        ("CANCELLED", None, "ended as CANCELLED (with scancel; SLURM keeps no record of whose)"),
        ("TIMEOUT", None, "ended as TIMEOUT (the time that sbatch asked for, `time`, was over)"),
        ("DEADLINE", None, "ended as DEADLINE (the --deadline under `sbatch` was reached)"),
        ("COMPLETED", None, "ended as COMPLETED"),
    ],
)
def test_what_sbatch_or_scancel_had_to_do_with_an_end_is_named(state: str, by: int | None, words: str) -> None:
    entry = Entry(Path("/w/jobs/a/b/run.py"), None, state=JobState("7", "c-1", state, by=by))
    assert f"SLURM job 7 {words}" in outcome_of(entry, begun=True)[1]


def test_what_slurm_said_before_somebody_wanted_to_know_is_no_answer():
    """A job that waited when it was listed last, and has been cancelled since, was not requeued."""
    entry = Entry(Path("/x/run.py"), heard=10.0)
    assert not entry.is_answered
    entry.asked, entry.asked_since = True, 11.0
    assert not entry.is_answered
    entry.heard = 11.5
    assert entry.is_answered
