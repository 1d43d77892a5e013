"""Journals survive kills, lines cut short and newer versions."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.journal import Journal

KIND = "xpm-alchem test"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "event"]), JSON_VALUES), max_size=5)


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
        "import os, signal, sys; from pathlib import Path; from xpm_alchem.base.journal import Journal\n"
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
