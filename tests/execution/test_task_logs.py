"""What attempts print is kept within bounds, and read from its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.driver import submission
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.task_logs import (
    KEPT_ATTEMPTS,
    KEPT_BYTES,
    keep_printed,
    kept_printed,
    last_lines,
    tail,
    unit_logs,
)

HUGE = 3 * 2**30


@pytest.fixture
def files(tmp_path: Path) -> TaskDirectory:
    made = TaskDirectory(tmp_path)
    made.make()
    return made


def kept(files: TaskDirectory, stream: str = "stderr") -> dict[int, str]:
    return {number: path.read_text() for number, path in sorted(kept_printed(files, stream).items())}


def test_the_files_are_those_that_experimaestro_writes(files):
    assert submission.stderr_of(files.path) == files.printed("stderr")
    assert submission.pid_file(files.path).stem == files.printed("stdout").stem


def test_what_an_attempt_printed_is_kept_under_its_number(files):
    files.printed("stdout").write_text("out 1\n")
    files.printed("stderr").write_text("err 1\n")
    submission.clear_markers(files.path, 1)
    assert kept(files) == {1: "err 1\n"}
    assert kept(files, "stdout") == {1: "out 1\n"}
    assert not files.printed("stderr").exists()


def test_nothing_is_kept_of_an_attempt_that_printed_nothing(files):
    files.printed("stderr").touch()
    keep_printed(files, 1)
    keep_printed(files, 2)
    assert kept(files) == {}


def test_what_a_process_printed_that_never_became_an_attempt_is_kept_with_the_one_before(files):
    files.printed("stderr").write_text("too early\n")
    keep_printed(files, 0)
    files.printed("stderr").write_text("first\n")
    keep_printed(files, 1)
    files.printed("stderr").write_text("came too late\n")
    keep_printed(files, 1)
    assert kept(files) == {0: "too early\n", 1: "first\ncame too late\n"}


def test_the_last_attempts_are_kept(files):
    for number in range(1, 25):
        files.printed("stderr").write_text(f"{number}\n")
        keep_printed(files, number)
    assert kept(files) == {number: f"{number}\n" for number in range(25 - KEPT_ATTEMPTS, 25)}


def test_of_a_huge_log_the_end_is_kept(files):
    with open(files.printed("stdout"), "wb") as log:
        log.truncate(HUGE)  # a hole: it takes no room
        log.seek(0, os.SEEK_END)
        log.write(b"\nthe end\n")
    keep_printed(files, 1)
    text = kept(files, "stdout")[1]
    assert text.startswith(f"[the first {HUGE + 1} bytes were cut]\n") or len(text) < KEPT_BYTES + 100
    assert text.endswith("the end\n")


def test_whole_lines_are_kept_of_a_long_log(files):
    lines = [f"line {number}\n" for number in range(200_000)]
    files.printed("stdout").write_text("".join(lines))
    keep_printed(files, 1)
    first, *rest = kept(files, "stdout")[1].splitlines(keepends=True)
    assert rest == lines[-len(rest) :]
    assert KEPT_BYTES - 100 < sum(map(len, rest)) <= KEPT_BYTES
    assert first == f"[the first {sum(map(len, lines[: -len(rest)]))} bytes were cut]\n"


# -------------------------------------------------------------------------------------------------------- the end
@settings(deadline=None)
@given(st.text(alphabet="ab\n", max_size=300), st.integers(min_value=0, max_value=12))
def test_the_last_lines_are_the_last_lines(tmp_path_factory, text: str, lines: int) -> None:
    path = tmp_path_factory.mktemp("tail") / "log"
    path.write_text(text)
    expected = text.splitlines(keepends=True)
    assert last_lines(path, lines) == "".join(expected[len(expected) - lines :] if lines < len(expected) else expected)
    assert b"".join(tail(path, None)).decode() == text


@pytest.mark.parametrize("length", [1, 500, 65535, 65536, 65537, 200_000])
def test_the_last_lines_of_a_long_file(tmp_path, length):
    path = tmp_path / "log"
    path.write_text(f"{'x' * length}\n{'y' * length}\n{'z' * length}\n")
    assert last_lines(path, 2) == f"{'y' * length}\n{'z' * length}\n"


def test_a_huge_line_is_not_read_whole(tmp_path):
    path = tmp_path / "log"
    with open(path, "wb") as log:
        log.truncate(HUGE)
    assert len(last_lines(path, 1)) == 1_000_000


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    assert "cannot be read" in last_lines(tmp_path / "nothing", 3)


# ------------------------------------------------------------------------------------------------- logs of units
def test_logs_of_units_are_found_where_units_write(files, tmp_path):
    written = [
        files.log("stdout", "Unit-1") / "anything",
        files.log("stderr", "Unit-1") / "deep" / "er",
        files.shared("Unit-1") / "simulation.log",
        files.shared("Unit-2") / "gmx.out",
        files.scratch("Unit-2") / "tleap.err",
    ]
    for when, path in enumerate(written, start=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("something\n")
        os.utime(path, (when, when))
    (files.shared("Unit-1") / "checkpoint.nc").write_text("no log")
    (files.shared("Unit-1") / "empty.log").touch()
    (files.shared("Unit-1") / "link.log").symlink_to("/etc/passwd")
    os.mkfifo(files.shared("Unit-1") / "pipe.log")
    assert [log.path for log in unit_logs(files)] == written
    assert {log.stream for log in unit_logs(files)} == {"unit"}
