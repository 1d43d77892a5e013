"""`xpm-alchem logs` on tasks that run no more, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from histories import PastCampaign

from xpm_alchem.cli import main
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.execution.task_logs import keep_printed


@pytest.fixture
def past(tmp_path: Path) -> PastCampaign:
    return PastCampaign(tmp_path / "c", [(0, 1)])


def logs(past: PastCampaign, *options: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["logs", str(past.records.path), past.name(past.task()), *options])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def printed(past: PastCampaign, attempts: int) -> None:
    """Make a task in error with that many attempts, each of which printed on both streams."""
    task = past.task()
    for number in range(1, attempts + 1):
        keep_printed(past.files(task), number - 1)
        past.attempt(task, Outcome.ERROR, "KeyError: 'x'", decision="stop")
        past.files(task).printed("stdout").write_text(f"out {number}\n")
        past.files(task).printed("stderr").write_text(f"err {number}\nend {number}\n")
    past.status(task, "error")


def test_both_streams_of_the_latest_attempt_are_printed_with_their_files(past):
    printed(past, 2)
    files = past.files(past.task())
    done = logs(past)
    assert done.stdout == (
        f"==> {files.printed('stdout')} (stdout of attempt 2) <==\nout 2\n\n"
        f"==> {files.printed('stderr')} (stderr of attempt 2) <==\nerr 2\nend 2\n\n"
    )
    assert "--attempt 1" in done.stderr


def test_earlier_attempts_can_be_asked_for(past):
    printed(past, 3)
    text = logs(past, "--attempt", "2", "--stream", "stderr").stdout
    assert text == f"==> {past.files(past.task()).printed('stderr', 2)} (stderr of attempt 2) <==\nerr 2\nend 2\n\n"


def test_the_last_lines_are_printed(past):
    printed(past, 1)
    assert logs(past, "-n", "1", "--stream", "stderr").stdout.splitlines()[1:] == ["end 1", ""]
    assert logs(past, "-n", "all", "--stream", "stderr").stdout.splitlines()[1:] == ["err 1", "end 1", ""]
    assert logs(past, "-n", "0", "--stream", "stderr").stdout.splitlines()[1:] == [""]


def test_logs_of_units_are_printed_those_written_last_at_the_end(past):
    printed(past, 1)
    shared = past.files(past.task()).shared("Unit-1")
    shared.mkdir(parents=True)
    for number in range(8):
        (shared / f"{number}.log").write_text(f"unit log {number}\n")
        os.utime(shared / f"{number}.log", (number + 1, number + 1))
    done = logs(past)
    assert [n for n in range(8) if f"unit log {n}" in done.stdout] == [3, 4, 5, 6, 7]
    assert "3 more logs of units" in done.stderr
    every = logs(past, "--stream", "unit")
    assert [n for n in range(8) if f"unit log {n}" in every.stdout] == list(range(8))
    assert "err 1" not in every.stdout
    assert "more logs" not in every.stderr


def test_with_an_attempt_its_unit_logs_are_printed(past):
    printed(past, 2)
    task = past.task()
    shared = past.files(task).shared("Unit-1")
    shared.mkdir(parents=True)
    for attempt in AttemptLog(past.files(task).attempts).read():
        path = shared / f"of {attempt.number}.log"
        path.write_text("something\n")
        os.utime(path, (attempt.start, attempt.start))
    view = Campaign(past.records).logs(past.name(task), stream="unit", attempt=1)
    assert [Path(log["path"]).name for log in view["logs"]] == ["of 1.log"]


def test_what_a_slurm_job_printed_is_found_by_its_id(past):
    task, root = past.task(), past.records.workspace / "slurm"
    for batch, job, said in (("20260101-a", "12", "an older job"), ("20260102-b", "12", "module: not found")):
        (root / batch).mkdir(parents=True)
        (root / batch / "job").write_text(f"{job}\n")
        (root / batch / "3.log").write_text(f"{said}\n")
    log = AttemptLog(past.files(task).attempts)
    log.never_began(Outcome.LOST, "SLURM job 12_3 ended as FAILED", None, since=1.0)
    record = past.files(task).attempts
    record.write_text(record.read_text().replace('"launched_as": null', '"launched_as": "12_3"'))
    text = logs(past, "--stream", "job").stdout
    assert text == f"==> {root / '20260102-b' / '3.log'} (job) <==\nmodule: not found\n\n"
    assert "20260102-b/3.log" in json.dumps(Campaign(past.records).why(past.name(task))["files"])


def test_what_a_slurm_job_printed_before_the_attempt_began_is_found_by_its_launch(past):
    task, root = past.task(), past.records.workspace / "slurm" / "20260101-a"
    root.mkdir(parents=True)
    (root / "0.log").write_text("loading modules\n")
    give_orders(past.files(task).path, launch="20260101-a/0")
    assert "loading modules" in logs(past).stdout
    give_orders(past.files(task).path, launch="../../../20260101-a/0")
    assert "loading modules" not in logs(past).stdout


def test_a_task_that_has_printed_nothing_says_so(past):
    assert "attempt 1 has printed nothing" in logs(past).output
    past.attempt(past.task(), None)
    assert "attempt 1 has printed nothing yet" in logs(past).output


def test_a_file_that_vanishes_is_no_traceback(past):
    printed(past, 1)
    view = Campaign(past.records).logs(past.name(past.task()))
    assert [log["stream"] for log in view["logs"]] == ["stdout", "stderr"]
    past.files(past.task()).printed("stdout").unlink()
    assert "err 1" in logs(past).stdout


def test_bytes_that_are_no_text_are_shown(past):
    printed(past, 1)
    past.files(past.task()).printed("stdout").write_bytes(b"\xff\x00\n")
    assert b"\\xff\\x00\n" in logs(past).stdout_bytes


def test_json_names_the_files(past):
    printed(past, 2)
    view = json.loads(logs(past, "--json").stdout)
    assert (view["attempt"], view["attempts_kept"], view["status"]) == (2, [1, 2], "error")
    assert [(log["stream"], log["attempt"], log["size"]) for log in view["logs"]] == [
        ("stdout", 2, 6),
        ("stderr", 2, 12),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--attempt", "7"], "the task has no attempt 7, the latest is 2; there is something of: 1, 2"),
        (["-f", "--attempt", "1"], "--follow goes with neither"),
        (["-f", "--json"], "--follow goes with neither"),
        (["-n", "-3"], "neither a number of lines nor 'all'"),
        (["-n", "many"], "neither a number of lines nor 'all'"),
        (["--stream", "stdin"], "'stdin' is not one of"),
    ],
)
def test_what_is_refused(past, options, said):
    printed(past, 2)
    assert said in " ".join(logs(past, *options, code=2).output.split())


def test_an_attempt_whose_output_was_not_kept_says_so(past):
    printed(past, 12)
    assert "was not kept" in logs(past, "--attempt", "1", code=2).output


# --------------------------------------------------------------------------------------------------- -f, at the end
def test_following_a_task_that_has_ended_prints_the_end_and_leaves(past):
    printed(past, 1)
    text = logs(past, "-f", "-n", "1").stdout
    assert "end 1" in text
    assert "err 1" not in text
    assert text.endswith("--- the task is in error\n")


def test_following_a_task_that_nobody_drives_leaves(past):
    past.write({"event": "actioned", "task": past.task().task})
    assert "nobody drives the campaign" in logs(past, "-f").stdout
    past.attempt(past.task(), Outcome.ERROR, "KeyError: 'x'")
    assert "attempt 1 is over, and nobody drives" in logs(past, "-f").stdout
