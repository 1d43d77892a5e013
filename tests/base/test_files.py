"""Files appear whole; journals and records survive kills, damage and newer versions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import Journal, atomic_write, read_record, write_json, write_record

KIND = "xpm-alchem test"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "event"]), JSON_VALUES), max_size=5)


# ------------------------------------------------------------------------------------------------- atomic_write
def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as out:
        out.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_content_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as out:
        out.write("half")
        out.flush()
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.txt"]


def test_an_exception_leaves_no_file_where_there_was_none(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob(".*.tmp"))


def test_kill_9_in_the_middle_of_a_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    program = (
        "import os, signal, sys; from pathlib import Path; from xpm_alchem.base.files import atomic_write\n"
        "os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with atomic_write(Path(sys.argv[1])) as out:\n"
        "    out.write('half of it')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert json.loads(path.read_text()) == {"old": 1}
    assert len(list(tmp_path.glob(".a.json.*.tmp"))) == 1  # the half is there, beside, under a name nobody reads


# ------------------------------------------------------------------------------------------------------- Journal
def test_a_journal_begins_with_its_kind_and_version(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path, KIND, 3).append({"a": 1})
    assert json.loads(path.read_text().splitlines()[0]) == {"format": KIND, "format_version": 3}


def test_a_journal_that_is_not_there_is_empty(tmp_path):
    assert Journal(tmp_path / "none.jsonl", KIND).read() == ([], 0)


def test_reading_goes_on_from_the_offset(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", KIND)
    journal.append({"n": 1}, {"n": 2})
    records, offset = journal.read()
    assert records == [{"n": 1}, {"n": 2}]
    assert journal.read(offset) == ([], offset)
    journal.append({"n": 3})
    assert journal.read(offset)[0] == [{"n": 3}]


def test_a_line_cut_short_is_skipped_and_the_next_append_starts_on_a_new_line(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", KIND)
    journal.append({"n": 1})
    with open(journal.path, "ab") as out:
        out.write(b'{"n": 2, "te')
    records, offset = journal.read()
    assert records == [{"n": 1}]
    journal.append({"n": 3})
    assert journal.read()[0] == [{"n": 1}, {"n": 3}]
    assert journal.read(offset)[0] == [{"n": 3}]


def test_a_line_that_is_still_being_written_is_read_once_it_is_whole(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", KIND)
    journal.append({"n": 1})
    with open(journal.path, "ab") as out:
        out.write(b'{"n": ')
    _, offset = journal.read()
    with open(journal.path, "ab") as out:
        out.write(b"2}\n")
    assert journal.read(offset)[0] == [{"n": 2}]


def test_kill_9_between_two_appends_loses_nothing(tmp_path):
    path = tmp_path / "j.jsonl"
    program = (
        "import os, signal, sys; from pathlib import Path; from xpm_alchem.base.files import Journal\n"
        f"journal = Journal(Path(sys.argv[1]), {KIND!r})\n"
        "for n in range(3): journal.append({'n': n})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert Journal(path, KIND).read()[0] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_header_cut_short_loses_no_later_record(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"format": "xpm-al')
    Journal(path, KIND).append({"n": 1})
    assert Journal(path, KIND).read()[0] == [{"n": 1}]


def test_a_newer_journal_is_refused(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path, KIND, 2).append({"n": 1})
    with pytest.raises(FormatError, match=r"j\.jsonl: written by a newer xpm-alchem \(format 2, .* up to 1\)"):
        Journal(path, KIND, 1).read()


def test_a_foreign_journal_is_refused(tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path, "xpm-alchem something else").append({"n": 1})
    with pytest.raises(FormatError, match=f"not a '{KIND}' journal"):
        Journal(path, KIND).read()


@settings(deadline=None, derandomize=True, max_examples=30)
@given(batches=st.lists(RECORDS, max_size=4))
def test_what_is_appended_is_read_back_in_pieces_as_at_once(tmp_path_factory, batches):
    journal = Journal(tmp_path_factory.mktemp("journal") / "j.jsonl", KIND)
    pieces, offset = [], 0
    for batch in batches:
        journal.append(*batch)
        records, offset = journal.read(offset)
        pieces += records
    expected = [record for batch in batches for record in batch]
    assert journal.read()[0] == expected
    assert pieces == expected


@settings(deadline=None, derandomize=True, max_examples=30)
@given(records=RECORDS.filter(bool), data=st.data())
def test_a_journal_cut_anywhere_keeps_every_whole_line_and_takes_new_ones(tmp_path_factory, records, data):
    journal = Journal(tmp_path_factory.mktemp("journal") / "j.jsonl", KIND)
    journal.append(*records)
    content = journal.path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    journal.path.write_bytes(content[:cut])
    whole = [json.loads(line) for line in content[:cut].split(b"\n")[:-1]][1:]
    assert journal.read()[0] == whole
    journal.append({"event": "after"})
    found = journal.read()[0]
    assert found[: len(whole)] == whole
    assert found[-1] == {"event": "after"}
    assert len(found) - len(whole) <= 2  # the cut line counts where only its newline was cut off


# ------------------------------------------------------------------------------------------------------- records
def test_a_record_comes_back_with_its_kind_and_version(tmp_path):
    write_record(tmp_path / "r.json", KIND, 1, {"a": [1, None]})
    assert read_record(tmp_path / "r.json", KIND, 1) == {"format": KIND, "format_version": 1, "a": [1, None]}


def test_a_newer_record_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "r.json"
    write_record(path, KIND, 7, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(FormatError, match=r"r\.json: .*newer xpm-alchem \(format 7, this one reads up to 2\).*Upgrade"):
        read_record(path, KIND, 2)
    assert path.read_bytes() == before


def test_an_older_record_is_migrated_step_by_step_and_kept_as_a_backup(tmp_path):
    path = tmp_path / "r.json"
    write_record(path, KIND, 1, {"seconds": 60})
    before = path.read_bytes()
    migrations = {
        1: lambda old: {"minutes": old["seconds"] / 60},
        2: lambda old: {"hours": old["minutes"] / 60},
    }
    expected = {"format": KIND, "format_version": 3, "hours": 1 / 60}
    assert read_record(path, KIND, 3, migrations) == expected
    assert json.loads(path.read_text()) == expected
    assert (tmp_path / "r.json.v1.bak").read_bytes() == before
    assert read_record(path, KIND, 3) == expected  # needs no migration any more


def test_an_older_record_without_a_migration_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "r.json"
    write_record(path, KIND, 1, {})
    before = path.read_bytes()
    with pytest.raises(FormatError, match="format 1 can no longer be migrated to 2"):
        read_record(path, KIND, 2)
    assert path.read_bytes() == before and not (tmp_path / "r.json.v1.bak").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b'{"format": "xpm-al', b"\0" * 100, b"\xff\xfe\xfa", b"[" * 100_000],
    ids=["empty", "cut short", "zeros", "not UTF-8", "deep"],
)
def test_a_damaged_record_is_said_to_be_damaged(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"r\.json: damaged: not valid JSON") as caught:
        read_record(path, KIND, 1)
    assert caught.value.path == path


@pytest.mark.parametrize("content", [{}, [], 3, {"format": "other", "format_version": 1}])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    write_json(tmp_path / "r.json", content)
    with pytest.raises(FormatError, match=f"not a '{KIND}' file"):
        read_record(tmp_path / "r.json", KIND, 1)


@pytest.mark.parametrize("version", [None, "1", 0, -1, 1.5])
def test_a_record_with_a_senseless_version_is_damaged(tmp_path, version):
    write_json(tmp_path / "r.json", {"format": KIND, "format_version": version})
    with pytest.raises(FormatError, match="damaged: 'format_version' is"):
        read_record(tmp_path / "r.json", KIND, 1)


def test_a_record_that_is_not_there_is_no_format_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "r.json", KIND, 1)
