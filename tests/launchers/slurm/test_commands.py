"""SLURM's commands as they answer in practice: programs on PATH that print what SLURM 22.05 prints."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.launchers.slurm.commands import JobState, Slurm, SlurmError, Trouble, parse_time_left

SUBMISSION = "sbatch: error: Batch job submission failed: "


class Programs:
    """A directory of programs, first on PATH."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def add(self, name: str, body: str) -> None:
        """Write a shell script; what it was called with is kept."""
        target = self.path / name
        note = shlex.quote(str(self.path / f"{name}.arguments"))
        target.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {note}\n{body}\n")
        target.chmod(0o755)

    def says(self, name: str, out: str = "", err: str = "", code: int = 0) -> None:
        """Let a program print `out` and `err` and end with `code`."""
        self.add(name, f"printf '%s' {shlex.quote(out)}\nprintf '%s' {shlex.quote(err)} >&2\nexit {code}")

    def arguments(self, name: str) -> list[str]:
        """Return what a program was called with last."""
        return (self.path / f"{name}.arguments").read_text().splitlines()


@pytest.fixture
def programs(tmp_path, monkeypatch):
    programs = Programs(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{programs.path}:/usr/bin:/bin")
    return programs


def trouble_of(call, *arguments) -> Trouble:
    with pytest.raises(SlurmError) as caught:
        call(*arguments)
    return caught.value.trouble


# ----------------------------------------------------------------------------------------------------------- time left
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00", 0),
        ("0:09", 9),
        ("59:59", 3599),
        ("1:00:00", 3600),
        ("23:59:59", 86399),
        ("1-00:00:00", 86400),
        ("12-03:04:05", 1047845),
        ("  5:00\n", 300),
        ("INVALID", 0),
        ("UNLIMITED", float("inf")),
        ("UNLIMITED\n", float("inf")),
    ],
)
def test_the_time_left_is_read_in_every_form(text, seconds):
    assert parse_time_left(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "\n", "NOT_SET", "N/A", "Partition_Limit", "5", "-1:00", "5:00\n6:00", "1-5", "a:b"]
)
def test_what_says_nothing_is_none_and_not_no_time(text):
    assert parse_time_left(text) is None


@settings(deadline=None, derandomize=True)
@given(seconds=st.integers(0, 10**7))
def test_any_time_as_squeue_writes_it_is_read_back(seconds):
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    text = f"{minutes % 60:02d}:{seconds % 60:02d}"
    if days:
        text = f"{days}-{hours % 24:02d}:{text}"
    elif hours:
        text = f"{hours}:{text}"
    assert parse_time_left(text) == seconds


# ------------------------------------------------------------------------------------------------------------ failures
TROUBLES = {
    Trouble.UNREACHABLE: [
        SUBMISSION + "Unable to contact slurm controller (connect failure)",
        SUBMISSION + "Socket timed out on send/recv operation",
        SUBMISSION + "Zero Bytes were transmitted or received",
        SUBMISSION + "Unexpected message received",
        SUBMISSION + "Transport endpoint is not connected",
        SUBMISSION + "Slurm backup controller in standby mode",
        SUBMISSION + "Resource temporarily unavailable",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n" + SUBMISSION + "timed out",
        "sbatch: error: If munged is up, restart with --num-threads=10\nsbatch: error: Munge encode failed: Failed to "
        'access "/run/munge/munge.socket.2": No such file or directory\nsbatch: error: authentication: Invalid '
        "authentication credential\n" + SUBMISSION + "Protocol authentication error",
        "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:db:6819: "
        "Connection refused\nsacct: error: Sending PersistInit msg: Connection refused\n"
        "sacct: error: Problem talking to the database: Connection refused",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "scancel: error: Kill job error on job id 7: Communication connection failure",
    ],
    Trouble.TOO_MANY: [
        SUBMISSION + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
        + SUBMISSION
        + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "sbatch: error: AssocMaxSubmitJobLimit\n"
        + SUBMISSION
        + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    ],
    Trouble.TOO_LARGE_ARRAY: [SUBMISSION + "Invalid job array specification"],
    Trouble.NO_ACCOUNTING: ["Slurm accounting storage is disabled"],
    Trouble.NO_NODE: [
        SUBMISSION + "Requested node configuration is not available",
        "sbatch: error: Memory specification can not be satisfied\n"
        + SUBMISSION
        + "Requested node configuration is not available",
    ],
    Trouble.REFUSED: [
        "sbatch: error: invalid partition specified: nope\n" + SUBMISSION + "Invalid partition name specified",
        SUBMISSION + "Invalid account or account/partition combination specified",
        SUBMISSION + "Requested time limit is invalid (missing or exceeds some limit)",
        SUBMISSION + "Invalid qos specification",
        SUBMISSION + "Invalid feature specification",
        "sbatch: error: Invalid directive found in batch script: work/0.log",
        "sbatch: fatal: script.sh: line 2: Unmatched `'` in [--account=o'neil]",
        "sbatch: error: Invalid --signal specification",
        "sbatch: unrecognized option '--partion=gpu'\nTry \"sbatch --help\" for more information",
        "slurm_load_jobs error: Invalid job id specified",
    ],
}


@pytest.mark.parametrize(
    ("trouble", "said"), [(trouble, said) for trouble, texts in TROUBLES.items() for said in texts]
)
def test_what_a_command_says_tells_what_kind_of_failure_it_is(programs, trouble, said):
    programs.says("sbatch", err=said + "\n", code=1)
    with pytest.raises(SlurmError) as caught:
        Slurm().submit(Path("script.sh"))
    assert caught.value.trouble is trouble
    assert str(caught.value) == f"sbatch: {' '.join(said.split())}"


def test_a_path_in_a_message_is_not_taken_for_a_kind_of_failure(programs):
    programs.says("sbatch", err="sbatch: error: Unable to open file /home/munger/ws/script.sh", code=1)
    assert trouble_of(Slurm().submit, Path("/home/munger/ws/script.sh")) is Trouble.REFUSED


def test_what_stands_on_stdout_counts_if_nothing_else_was_said(programs):
    programs.says("sbatch", out="Unable to contact slurm controller", code=1)
    assert trouble_of(Slurm().submit, Path("script.sh")) is Trouble.UNREACHABLE
    programs.says("sbatch", code=3)
    with pytest.raises(SlurmError, match="sbatch: exit code 3"):
        Slurm().submit(Path("script.sh"))


def test_what_is_not_utf_8_is_told_all_the_same(programs):
    programs.add("sbatch", "printf 'f\\374nf' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"sbatch: f.nf"):
        Slurm().submit(Path("script.sh"))


def test_a_command_that_is_killed_may_have_done_its_work(programs):
    programs.add("sbatch", "kill -9 $$")
    assert trouble_of(Slurm().submit, Path("script.sh")) is Trouble.UNREACHABLE


def test_a_command_that_hangs_is_given_up(programs):
    programs.add("sbatch", "exec sleep 600")
    with pytest.raises(SlurmError, match=r"sbatch did not answer within 0\.5 s") as caught:
        Slurm(timeout=0.5).submit(Path("script.sh"))
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_a_command_that_asks_gets_no_answer_from_the_terminal(programs):
    programs.add("sbatch", "read answer && exit 1\necho 5")
    assert Slurm(timeout=30.0).submit(Path("script.sh")) == "5"


@pytest.mark.parametrize(
    ("name", "call", "trouble"),
    [
        ("sbatch", lambda: Slurm().submit(Path("script.sh")), Trouble.REFUSED),
        ("squeue", lambda: Slurm().queue(), Trouble.REFUSED),
        ("sacct", lambda: Slurm().accounts(["1"], [], 0.0), Trouble.NO_ACCOUNTING),
    ],
)
def test_without_slurm_every_question_is_refused(programs, monkeypatch, name, call, trouble):
    monkeypatch.setenv("PATH", str(programs.path))
    with pytest.raises(SlurmError, match=f"{name} is not on PATH") as caught:
        call()
    assert caught.value.trouble is trouble


def test_slurm_is_installed_where_its_three_commands_are_on_path(programs, monkeypatch):
    monkeypatch.setenv("PATH", str(programs.path))
    found = []
    for name in ("sbatch", "squeue", "scancel"):
        found.append(Slurm.is_installed())
        programs.says(name)
    assert [*found, Slurm.is_installed()] == [False, False, False, True]


# --------------------------------------------------------------------------------------------------------- environment
def test_what_an_enclosing_job_set_is_not_passed_on(programs, monkeypatch, tmp_path):
    theirs = (
        "SLURM_JOB_ID",
        "SLURM_CPUS_PER_TASK",
        "SBATCH_PARTITION",
        "SQUEUE_FORMAT",
        "SACCT_FORMAT",
        "SLURM_MEM_PER_CPU",
    )
    for name in theirs:
        monkeypatch.setenv(name, "7")
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_CONF_SERVER": "head", "MY_OWN": "x y", "SLURMISH": "z"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    programs.add("sbatch", f"env -0 > {tmp_path}/seen\necho 1")
    Slurm().submit(Path("script.sh"))
    seen = dict(item.split("=", 1) for item in (tmp_path / "seen").read_text().split("\0") if item)
    assert not set(theirs) & set(seen)
    assert {name: seen.get(name) for name in kept} == kept
    assert os.environ["SLURM_JOB_ID"] == "7"  # this process keeps its own


def test_commands_speak_the_language_that_is_understood_here(programs, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    programs.add("sbatch", 'test "$LC_ALL" = C && echo 1')
    assert Slurm().submit(Path("script.sh")) == "1"


# ---------------------------------------------------------------------------------------------------------- submitting
@pytest.mark.parametrize(
    ("out", "job"),
    [
        ("123\n", "123"),
        ("123", "123"),
        ("123;cluster\n", "123"),
        ("  123  \n", "123"),
        ("sbatch: your group has 12 hours left\n123\n", "123"),
    ],
)
def test_the_job_s_id_is_found_in_the_answer(programs, out, job):
    programs.says("sbatch", out, err="sbatch: warning: can't run 1 processes on 2 nodes\n")
    assert Slurm().submit(Path("/ws/my batch/script.sh"), "--hold") == job
    assert programs.arguments("sbatch") == ["--parsable", "--hold", "/ws/my batch/script.sh"]


@pytest.mark.parametrize("out", ["", "\n", "Submitted batch job", "ok\n", "12a\n", "job 12 3\n"])
def test_an_answer_without_an_id_leaves_open_whether_it_was_done(programs, out):
    programs.says("sbatch", out)
    with pytest.raises(SlurmError, match="instead of a job id") as caught:
        Slurm().submit(Path("script.sh"))
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_a_check_submits_nothing(programs):
    programs.says("sbatch", err="sbatch: Job 3 to start at 2026-11-22T03:48:50 using 1 processors on nodes n1\n")
    assert Slurm().check(Path("script.sh")) is None
    assert programs.arguments("sbatch") == ["--test-only", "script.sh"]
    programs.says("sbatch", err="allocation failure: Invalid feature specification\n", code=1)
    assert trouble_of(Slurm().check, Path("script.sh")) is Trouble.REFUSED


# ----------------------------------------------------------------------------------------------------------- the queue
QUEUE = """\
12_0|tyk2-ab|RUNNING|n1|None
12_1|tyk2-ab|PENDING||Priority
13|tyk2-cd|PENDING||ReqNodeNotAvail, UnavailableNodes:n[1-2]|odd

14|other|COMPLETED|n3|None
15|other|NODE_FAIL|n[1-2]|NodeDown
half a li
"""


def test_the_queue_is_read_line_by_line(programs):
    programs.says("squeue", QUEUE)
    assert Slurm().queue() == [
        JobState("12_0", "tyk2-ab", "RUNNING", "n1", "None"),
        JobState("12_1", "tyk2-ab", "PENDING", "", "Priority"),
        JobState("13", "tyk2-cd", "PENDING", "", "ReqNodeNotAvail, UnavailableNodes:n[1-2]|odd"),
        JobState("14", "other", "COMPLETED", "n3", "None"),
        JobState("15", "other", "NODE_FAIL", "n[1-2]", "NodeDown"),
    ]
    arguments = programs.arguments("squeue")
    assert {"-h", "-r"} <= set(arguments)
    assert arguments[arguments.index("-t") + 1] == "all"
    assert arguments[arguments.index("-u") + 1] == str(os.getuid())


def test_an_empty_queue_is_no_failure_and_a_failure_no_empty_queue(programs):
    programs.says("squeue", "")
    assert Slurm().queue() == []
    programs.says("squeue", "12_0|tyk2-ab|RUNNING|n1|None\n", "slurm_load_jobs error: timed out", 1)
    assert trouble_of(Slurm().queue) is Trouble.UNREACHABLE


ALIVE = [
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "COMPLETING",
    "CONFIGURING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "SOME_STATE_OF_2030",
]


@pytest.mark.parametrize("state", ALIVE)
def test_a_job_that_has_not_surely_ended_is_alive(state):
    assert JobState("1", "x", state).is_alive


@pytest.mark.parametrize(
    ("state", "outcome", "is_certain"),
    [
        ("COMPLETED", Outcome.LOST, True),
        ("FAILED", Outcome.LOST, True),
        ("CANCELLED", Outcome.CANCELLED, True),
        ("TIMEOUT", Outcome.TIMEOUT, True),
        ("DEADLINE", Outcome.TIMEOUT, True),
        ("PREEMPTED", Outcome.PREEMPTED, True),
        ("OUT_OF_MEMORY", Outcome.OUT_OF_MEMORY, True),
        ("NODE_FAIL", Outcome.NODE_FAILURE, False),
        ("BOOT_FAIL", Outcome.NODE_FAILURE, False),
    ],
)
def test_the_state_of_a_job_that_ended_tells_how_its_attempt_did(state, outcome, is_certain):
    job = JobState("1", "x", state)
    assert (job.is_alive, job.outcome, job.is_certain) == (False, outcome, is_certain)


# ------------------------------------------------------------------------------------------------------------ accounts
ACCOUNTS = """\
12_0|tyk2-ab|CANCELLED by 0|n1|0:15
12_1|tyk2-ab|TIMEOUT|n2|0:0
13|tyk2-cd|COMPLETED|n1|1:0
99|somebody|RUNNING|n4|0:0
14|tyk2-ef|OUT_OF_MEMORY|n[1-2]|0:125
"""


def test_accounts_are_read_and_who_cancelled(programs):
    programs.says("sacct", ACCOUNTS)
    found = Slurm().accounts(["12_0", "14"], ["tyk2-cd"], 1.7e9)
    assert found == [
        JobState("12_0", "tyk2-ab", "CANCELLED", "n1", exit_code="0:15", by=0),
        JobState("13", "tyk2-cd", "COMPLETED", "n1", exit_code="1:0"),
        JobState("14", "tyk2-ef", "OUT_OF_MEMORY", "n[1-2]", exit_code="0:125"),
    ]
    assert found[0].outcome is Outcome.CANCELLED


def test_accounts_of_jobs_alone_are_asked_by_their_ids_and_others_by_the_time(programs):
    programs.says("sacct", ACCOUNTS)
    Slurm().accounts(["13", "12_0"], [], 1.7e9)
    arguments = programs.arguments("sacct")
    assert arguments[arguments.index("-j") + 1] == "12_0,13"
    assert arguments[arguments.index("-S") + 1] == "uts1699996400"  # an hour earlier: clocks differ
    Slurm().accounts(["13"], ["tyk2-cd"], 1.7e9)
    assert "-j" not in programs.arguments("sacct")


def test_a_cluster_without_accounts_says_so(programs):
    programs.says("sacct", err="Slurm accounting storage is disabled\n", code=1)
    assert trouble_of(Slurm().accounts, ["1"], [], 0.0) is Trouble.NO_ACCOUNTING


# --------------------------------------------------------------------------------------------------- cancel, time left
def test_cancelling_what_has_ended_is_no_error_but_silence_is(programs):
    programs.says("scancel", err="scancel: error: Kill job error on job id 7: Invalid job id specified\n", code=1)
    Slurm().cancel(["7", "12_3"])
    assert programs.arguments("scancel") == ["7", "12_3"]
    programs.says("scancel", err="scancel: error: Unable to contact slurm controller (connect failure)\n", code=1)
    assert trouble_of(Slurm().cancel, ["7"]) is Trouble.UNREACHABLE


def test_the_time_left_is_asked_of_one_job_and_unknown_without_an_answer(programs):
    programs.says("squeue", "1-00:00:00\n")
    assert Slurm().time_left("12_3") == 86400.0
    assert "12_3" in programs.arguments("squeue")
    programs.says("squeue", f"1:00:00|{int(time.time()) + 600}\n")  # from a cache of 50 minutes ago
    assert 0 < Slurm().time_left("12_3") <= 600
    programs.says("squeue", f"1:00|{int(time.time()) + 600}\n")  # clocks may differ
    assert Slurm().time_left("12_3") == 60.0
    programs.says("squeue", "1:00|N/A\n")
    assert Slurm().time_left("12_3") == 60.0
    for out, err, code in [
        ("", "slurm_load_jobs error: Invalid job id specified", 1),
        ("", "", 0),
        ("NOT_SET\n", "", 0),
    ]:
        programs.says("squeue", out, err, code)
        assert Slurm().time_left("12_3") is None
    programs.add("squeue", "exec sleep 600")
    assert Slurm(timeout=0.3).time_left("12_3") is None
