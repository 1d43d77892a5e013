"""Commands that look, when what they print cannot be printed: they end quietly, or in one sentence."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forked
import patience
import pytest
from filled_campaign import filled_campaign, network_index, scattered

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.execution.directory import TaskDirectory

COMMANDS = ("status", "show", "summary", "results", "failures", "tasks list", "budget show", "restarts list", "list")
LONG = 3000  # lines: more than any buffer holds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> CampaignRecords:
    index = network_index([("β-lactam", "b"), ("b", "中文"), ("中文", "β-lactam")])
    more = {index.transformations[0].id: "error"}
    made = filled_campaign(tmp_path_factory.mktemp("unread") / "c", index, scattered(index, 2), more=more)
    task = next(iter(made.state().tasks.values()))
    TaskDirectory(made.task_path(task)).printed("stdout").write_text("x" * 99 + "\n" * LONG + "é\n")
    return made


def line(records: CampaignRecords, command: str) -> list[str]:
    verb, *below = command.split()
    end = ["--workspace", str(records.workspace)] if command == "list" else [str(records.path)]
    return [sys.executable, "-P", "-m", "xpm_alchem", verb, *below, *end]


def every(records: CampaignRecords) -> Iterator[list[str]]:
    for command in COMMANDS:
        yield line(records, command)
    task = next(iter(records.state().tasks.values()))
    for command in ("why", "logs"):
        yield [*line(records, command), f"{task.transformation}:{task.repeat}"]
    yield [*line(records, "results"), "--json"]


def is_one_sentence(text: str) -> bool:
    return text.startswith("Error: ") and text.count("\n") == 1 and text.endswith(".\n")


@contextmanager
def gone_terminal() -> Iterator[int]:
    master, terminal = pty.openpty()
    os.close(master)
    try:
        yield terminal
    finally:
        os.close(terminal)


def run(command: list[str], out: int, **variables: str) -> subprocess.CompletedProcess[str]:
    start = subprocess.Popen if variables else forked.Popen
    process = start(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    _, said = patience.communicate(process)
    return subprocess.CompletedProcess(command, process.returncode, "", said)


def test_a_full_disk_is_one_sentence(records: CampaignRecords) -> None:
    with open("/dev/full", "w") as full:
        for command in every(records):
            done = run(command, full.fileno())
            assert (done.returncode, is_one_sentence(done.stderr)) == (2, True), (command, done.stderr)
            assert "No space left" in done.stderr


def test_a_terminal_that_is_gone_is_one_sentence(records: CampaignRecords) -> None:
    with gone_terminal() as terminal:
        for command in every(records):
            done = run(command, terminal)
            assert (done.returncode, is_one_sentence(done.stderr)) == (2, True), (command, done.stderr)


def test_a_reader_that_has_left_is_no_fault(records: CampaignRecords) -> None:
    for command in every(records):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = run(command, writing)
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (141, ""), command


def test_a_reader_that_leaves_in_the_middle(records: CampaignRecords) -> None:
    task = next(iter(records.state().tasks.values()))
    command = [*line(records, "logs"), f"{task.transformation}:{task.repeat}", "--lines", "all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"==> ")
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) in ((141, b""), (0, b""))  # or all was in the pipe already


@pytest.mark.parametrize("encoding", ["ascii"])
def test_any_encoding_will_do(records: CampaignRecords, tmp_path: Path, encoding: str) -> None:
    for number, command in enumerate(every(records)):
        with open(tmp_path / f"{number}", "wb") as out:
            done = run(command, out.fileno(), PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert (tmp_path / f"{number}").read_bytes().decode(encoding)


def test_what_a_command_does_is_done_whoever_reads(records: CampaignRecords, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run([*line(records, "report"), "--out", str(tmp_path / "r.html")], full.fileno())
        assert (tmp_path / "r.html").exists() and done.returncode == 0
        export = [*line(records, "export"), "--format", "csv", "--out", str(tmp_path / "csv")]
        assert run(export, full.fileno()).returncode == 0
    assert (tmp_path / "csv" / "edges.csv").exists()
