"""Which file of measured values a campaign has: read anew as long as it is there, kept as it was."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from xpm_alchem.base.errors import FormatError
from xpm_alchem.campaign.experimental_record import read_experimental, write_experimental


@pytest.fixture
def given(tmp_path: Path) -> Path:
    file = tmp_path / "measured.csv"
    file.write_text("ligand,value\na,-1\n")
    file.chmod(0o600)
    return file


def test_what_the_file_says_now_counts_and_what_it_said_when_it_is_gone(tmp_path, given):
    record = tmp_path / "experimental.json"
    assert read_experimental(record) is None
    write_experimental(record, given)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    given.write_text("ligand,value\na,-2\n")
    assert read_experimental(record) == (given, "ligand,value\na,-2\n")
    given.unlink()
    assert read_experimental(record) == (given, "ligand,value\na,-1\n")


def test_that_there_is_none_is_remembered(tmp_path, given):
    record = tmp_path / "experimental.json"
    for _ in range(2):
        write_experimental(record, given)
        write_experimental(record, None)
        assert read_experimental(record) is None
    write_experimental(record, None)


@pytest.mark.parametrize("old", ['"text"', '"file"'])
def test_a_damaged_record_says_what_to_do(tmp_path, given, old):
    record = tmp_path / "experimental.json"
    write_experimental(record, given)
    record.write_text(record.read_text().replace(old, '"else"'))
    with pytest.raises(FormatError, match="It can be removed"):
        read_experimental(record)
