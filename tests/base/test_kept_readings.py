"""What is kept of a journal is what reading it anew gives; of one that grew only the rest is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from faults import BY_PATH, Faults
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.base import kept_readings
from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.kept_readings import KEPT, KeptReadings
from xpm_alchem.base.prefix import Prefix

KIND = "xpm-alchem test"


class Listed:
    """All records."""

    def __init__(self, path: Path) -> None:
        self.place = path.parent.stat().st_ino if path.parent.exists() else None
        self.records: list[dict[str, Any]] = []

    def take(self, records: Iterable[dict[str, Any]]) -> None:
        self.records.extend(records)


class Anywhere(Listed):
    """The same wherever they are."""

    def __init__(self, path: Path) -> None:
        self.records = []


@pytest.fixture(autouse=True)
def short_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_readings, "WORTH_BYTES", 1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "j" / "j.jsonl", KIND)
    made.path.parent.mkdir()
    made.append({"n": 1}, {"n": 2})
    return made


@pytest.fixture
def offsets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From where journals were read."""
    found: list[int] = []
    whole_lines = Journal.whole_lines

    def noted(self: Journal, offset: int = 0) -> tuple[bytes, int]:
        found.append(offset)
        return whole_lines(self, offset)

    monkeypatch.setattr(Journal, "whole_lines", noted)
    return found


def _append(path: Path, n: int) -> None:
    Journal(path, KIND).append({"n": n})


def _cut_short(path: Path, n: int) -> None:
    with open(path, "a") as out:
        out.write('{"n": ' + str(n)[: n % 3])


def _truncate(path: Path, n: int) -> None:
    if path.exists():
        os.truncate(path, n % (path.stat().st_size + 1))


def _change_in_place(path: Path, n: int) -> None:
    """Change a byte; length, inode and time stay."""
    if path.exists() and (size := path.stat().st_size):
        status = path.stat()
        with open(path, "r+b") as out:
            out.seek(n % size)
            out.write(b"7")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path, n: int) -> None:
    other = path.with_name("other.jsonl")
    Journal(other, KIND).append(*({"n": k} for k in range(n % 9)))
    os.replace(other, path)


def _remove(path: Path, n: int) -> None:
    path.unlink(missing_ok=True)


def _put_copy(path: Path, n: int) -> None:
    if path.exists():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content + json.dumps({"n": n}).encode() + b"\n")


CHANGES = [_append, _append, _append, _cut_short, _truncate, _change_in_place, _replace, _remove, _put_copy]


def read(readings: KeptReadings[Listed], journal: Journal) -> Any:
    try:
        return readings.of(journal).records
    except FormatError as error:
        return str(error)


@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 1000)), max_size=12))
def test_what_is_kept_is_what_reading_anew_gives_whatever_happens_to_the_file(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    readings, journal = KeptReadings(Listed), Journal(path, KIND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        for change, n in changes:
            change(path, n)
            assert read(readings, journal) == read(KeptReadings(Listed), journal)


def test_of_a_journal_that_grew_only_the_rest_is_read(journal, offsets):
    readings = KeptReadings(Listed)
    readings.of(journal)
    size = journal.path.stat().st_size
    journal.append({"n": 3})
    assert [record["n"] for record in readings.of(journal).records] == [1, 2, 3]
    assert offsets == [0, 0, size]  # at first to see that it is long


@pytest.mark.parametrize(("young", "is_read"), [(0.0, False), (1e9, True)])
def test_one_that_has_not_changed_is_not_read_unless_its_times_are_so_young_that_they_say_nothing(
    journal, offsets, monkeypatch, young, is_read
):
    monkeypatch.setattr(kept_readings, "_YOUNG_SECONDS", young)
    readings = KeptReadings(Listed)
    first = readings.of(journal)
    offsets.clear()
    assert readings.of(journal) is first
    assert bool(offsets) == is_read


def test_little_is_kept_and_of_short_journals_nothing(tmp_path, offsets, monkeypatch):
    journals = [Journal(tmp_path / f"{n}.jsonl", KIND) for n in range(KEPT + 1)]
    readings = KeptReadings(Listed)
    for journal in journals:
        journal.append({"n": 1})
        readings.of(journal)
    offsets.clear()
    for journal in reversed(journals):
        readings.of(journal)
    assert [offset > 0 for offset in offsets] == [True] * KEPT + [False, False]
    monkeypatch.setattr(kept_readings, "WORTH_BYTES", 10_000)
    readings = KeptReadings(Listed)
    offsets.clear()
    readings.of(journals[0])
    readings.of(journals[0])
    assert offsets == [0, 0] and not readings._kept


def test_a_file_system_is_asked_once_for_a_short_journal(journal, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_readings, "WORTH_BYTES", 10_000)
    calls = []
    with Faults(tmp_path, lambda number, name, path: calls.append((name, path))).in_force():
        assert len(KeptReadings(Anywhere).of(journal).records) == 2
    assert [call for call in calls if call[0] in BY_PATH] == [("open", str(journal.path))]


def test_a_directory_that_is_another_one_is_looked_at_anew(journal, tmp_path):
    readings = KeptReadings(Listed)
    before = readings.of(journal).place
    place = journal.path.parent
    place.rename(tmp_path / "before")
    place.mkdir()
    os.link(tmp_path / "before" / "j.jsonl", journal.path)  # the same file even
    assert readings.of(journal).place == place.stat().st_ino != before


def test_what_was_interrupted_is_read_anew(journal, monkeypatch):
    readings = KeptReadings(Listed)
    readings.of(journal)
    journal.append({"n": 3}, {"n": 4})

    def interrupted(self: Listed, records: Iterable[dict[str, Any]]) -> None:
        self.records.append(next(iter(records)))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listed, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            readings.of(journal)
    assert [record["n"] for record in readings.of(journal).records] == [1, 2, 3, 4]


# --------------------------------------------------------------------------------------------------------- Prefix
@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_prefix_is_told_by_its_bytes(tmp_path_factory, content, offset, cut):
    path = tmp_path_factory.mktemp("prefix") / "file"
    path.write_bytes(content)
    found = Prefix.of(path, offset)
    if offset > len(content):
        assert found is None
        return
    made = Prefix()
    made.add(content[:offset][:cut])
    made.add(content[:offset][cut:])
    assert found is not None and (found.offset, found.digest) == (made.offset, made.digest)
    found.add(b"x")
    assert found.digest != made.digest


def test_of_what_cannot_be_read_there_is_no_prefix(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert [Prefix.of(tmp_path / name, 0) for name in ("none", "pipe", ".")] == [None] * 3
