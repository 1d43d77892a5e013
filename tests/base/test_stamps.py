"""A stamp changes with a file, however small the change, and is the same as long as nothing happens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xpm_alchem.base.stamps import NO_FILE, stamp_of


def written(path: Path) -> None:
    path.write_text("anew")  # as many bytes


def replaced(path: Path) -> None:
    path.with_name("b").write_text("made")
    path.with_name("b").replace(path)


def edited_and_dated_back(path: Path) -> None:
    before = path.stat()
    path.write_text("anew")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def grown(path: Path) -> None:
    with open(path, "a") as out:
        out.write("!")


@pytest.mark.parametrize("change", [written, replaced, edited_and_dated_back, grown, Path.unlink])
@pytest.mark.parametrize("is_asked_anew", [False, True])
def test_a_stamp_changes_with_its_file_alone(tmp_path, change, is_asked_anew):
    path = tmp_path / "a"
    path.write_text("made")
    os.utime(path, (1e9, 1e9))  # long ago: clocks of file systems may be coarse
    before = stamp_of(path, is_asked_anew=is_asked_anew)
    assert stamp_of(path, is_asked_anew=not is_asked_anew) == before
    change(path)
    assert stamp_of(path, is_asked_anew=is_asked_anew) != before


@pytest.mark.parametrize("is_asked_anew", [False, True])
def test_no_file_is_no_error_and_one_that_cannot_be_seen_is(tmp_path, is_asked_anew):
    assert stamp_of(tmp_path / "a", is_asked_anew=is_asked_anew) == NO_FILE
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError):
        stamp_of(tmp_path / "a" / "b", is_asked_anew=is_asked_anew)


def test_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a")
    assert stamp_of(tmp_path / "a", is_asked_anew=True) == stamp_of(tmp_path / "a")
