"""Errors of a file system that pass: whatever call of whatever function of ours on files fails, all goes on."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Faults

from xpm_alchem.base import files, passing
from xpm_alchem.base.errors import WorkspaceError
from xpm_alchem.base.journal import Journal

OWN_OPEN = open  # not the one that fails
PASSING = (errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ENOLCK, errno.EAGAIN, errno.ENOSPC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "PAUSES", (0.0,) * 5)
    monkeypatch.setattr(passing, "_gave_up", float("-inf"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def each_call_failing(
    root: Path, action: Callable[[], Any], number: int, times: int = 1, check: Callable[[], Any] = lambda: None
) -> list[str]:
    """Do something once for each call that it makes on files, which fails then; return the names of the calls."""
    failed: list[str] = []
    for chosen in range(10_000):
        left = [times]
        place: list[tuple[str, str]] = []

        def choose(call: int, name: str, path: str, chosen: int = chosen, left: Any = left, place: Any = place) -> Any:
            if call == chosen or (place and (name, path) == place[0] and left[0] > 0):
                place[:] = [(name, path)]
                left[0] -= 1
                return number
            return None

        with Faults(root, choose).in_force() as faults:
            action()
        check()
        if not faults.made:
            return failed
        failed.append(faults.made[0][1])
    raise AssertionError("it never ends")


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("times", [1, 3])
def test_a_file_is_replaced_whatever_fails(root: Path, number: int, times: int) -> None:
    path, turn = root / "a.json", iter(range(10_000))
    expected: list[int] = []

    def write() -> None:
        expected[:] = [next(turn)]
        files.write_json(path, expected)

    def check() -> None:
        assert files.names_in(root) == ["a.json"] and json.loads(path.read_text()) == expected

    failed = each_call_failing(root, write, number, times, check)
    assert {"open", "write", "fsync", "replace"} <= set(failed)


@pytest.mark.parametrize("number", PASSING)
def test_a_file_that_is_written_in_pieces_is_whole_whatever_fails(root: Path, number: int) -> None:
    path = root / "a"
    pieces = ["\u00b5m " * 5000, "", "short", "n" * 20_000]  # more than is written at once
    text = "".join(pieces)

    def check() -> None:
        assert files.names_in(root) == ["a"] and path.read_text() == text
        path.unlink()

    def write() -> None:
        assert files.replace_file(path, pieces) == len(text.encode())

    assert each_call_failing(root, write, number, times=2, check=check).count("write") > 1


@pytest.mark.parametrize("number", PASSING)
def test_an_exclusive_file_is_written_once_whatever_fails(root: Path, number: int) -> None:
    path = root / "a"

    def write(content: str) -> None:
        with files.atomic_write(path, exclusive=True) as out:
            out.write(content)

    def check() -> None:
        assert files.names_in(root) == ["a"] and path.read_text() == "mine"
        with pytest.raises(FileExistsError):
            write("another's")
        assert files.names_in(root) == ["a"] and path.read_text() == "mine"
        path.unlink()

    assert "link" in each_call_failing(root, lambda: write("mine"), number, check=check)


@pytest.mark.parametrize("number", PASSING)
@pytest.mark.parametrize("times", [1, 4])
def test_a_journal_has_each_record_once_whatever_fails(root: Path, number: int, times: int) -> None:
    journal, turn = Journal(root / "j.jsonl", "test"), iter(range(10_000))

    def append() -> None:
        journal.append({"at": next(turn)}, {"more": "of it"})

    failed = each_call_failing(root, append, number, times)
    records, offset = journal.read()
    assert [record["at"] for record in records[::2]] == list(range(next(turn)))
    assert offset == journal.path.stat().st_size
    assert journal.path.read_text().count("\n") == len(records) + 1
    assert {"open", "read", "write", "fsync"} <= set(failed)


def test_what_others_append_between_two_tries_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    mine, others = Journal(path, "test"), Journal(path, "test")
    others.append({"of": "another"})
    failing = iter((True,))

    def choose(call: int, name: str, where: str) -> int | None:
        if name == "fsync" and next(failing, False):
            with OWN_OPEN(path, "ab") as out:  # what a process on another machine does meanwhile
                out.write(b'{"of": "another"}\n')
            return errno.EIO
        return None

    with Faults(tmp_path, choose).in_force():
        mine.append({"of": "me"})
    assert [record["of"] for record in mine.read()[0]] == ["another", "me", "another"]


@pytest.mark.parametrize("number", PASSING)
def test_reading_looking_and_removing_go_on_whatever_fails(root: Path, number: int) -> None:
    path = root / "a" / "b.json"

    def use() -> None:
        files.make_directories(path.parent)
        assert files.is_directory(path.parent) and not files.exists(path)
        files.write_record(path, "test", 1, {"x": 1})
        assert files.exists(path) and files.read_record(path, "test", 1)["x"] == 1
        assert files.names_in(path.parent) == ["b.json"] and files.names_in(root / "none") == []
        aside = files.set_aside(path)
        assert not files.exists(path) and aside.name == "b.json.set-aside-1"
        files.remove(aside)
        files.remove(aside)

    failed = set(each_call_failing(root, use, number))
    assert {"mkdir", "stat", "open", "write", "read", "replace", "unlink"} <= failed
    assert failed & {"listdir", "scandir"}  # by the version of Python


def test_an_error_that_stays_is_one_sentence_that_says_whether_it_may_pass(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{}")
    with Faults(tmp_path, lambda *_: errno.ESTALE).in_force() as faults:
        with pytest.raises(WorkspaceError, match=r"a: cannot be read \(Stale file handle\)") as caught:
            files.read_bytes(tmp_path / "a")
        assert passing.passes(caught.value)
        tries = len(faults.made)
        with pytest.raises(OSError, match="Stale"):
            files.exists(tmp_path / "a")
        assert tries == 6 and len(faults.made) == 8  # where nothing works, time is not spent on every file


def test_what_will_not_pass_is_not_tried_again(tmp_path: Path) -> None:
    with Faults(tmp_path, lambda *_: errno.EACCES).in_force() as faults:
        with pytest.raises(WorkspaceError, match="Permission denied") as caught:
            files.read_bytes(tmp_path / "a")
        assert len(faults.made) == 1 and not passing.passes(caught.value)


def test_a_renaming_whose_answer_was_lost_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failing = os.replace, iter((True,))

    def replace(*paths: Any) -> None:
        real(*paths)
        if next(failing, False):
            raise OSError(errno.ETIMEDOUT, "timed out")

    monkeypatch.setattr(os, "replace", replace)
    files.write_json(root / "a", 1)
    assert json.loads((root / "a").read_text()) == 1 and files.names_in(root) == ["a"]
