"""A directory that a unit left empty is the next one's; what is in one stays where it is."""

from __future__ import annotations

from pathlib import Path

from xpm_alchem.base.files import names_in
from xpm_alchem.execution.spare_directories import SpareDirectories


def test_an_empty_directory_is_handed_on_and_none_is_left(tmp_path: Path) -> None:
    with SpareDirectories() as spare:
        for name in ("first", "second", "third"):
            for stream in ("stdout", "stderr"):
                spare.make(tmp_path / stream / name)
            for stream in ("stdout", "stderr"):
                assert names_in(tmp_path / stream) == [name]
                spare.take_back(tmp_path / stream / name)
    assert names_in(tmp_path / "stdout") == names_in(tmp_path / "stderr") == []


def test_what_is_in_one_stays_and_the_next_one_is_empty(tmp_path: Path) -> None:
    with SpareDirectories() as spare:
        spare.make(tmp_path / "first")
        (tmp_path / "first/log").touch()
        spare.take_back(tmp_path / "first")
        spare.make(tmp_path / "second")
        assert names_in(tmp_path / "second") == []
    assert names_in(tmp_path / "first") == ["log"]


def test_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """As a killed attempt has left it."""
    (tmp_path / "a/second").mkdir(parents=True)
    (tmp_path / "a/second/log").touch()
    with SpareDirectories() as spare:
        spare.make(tmp_path / "a/first")
        spare.take_back(tmp_path / "a/first")
        spare.make(tmp_path / "a/second")
    assert names_in(tmp_path / "a") == ["second"] and names_in(tmp_path / "a/second") == ["log"]


def test_one_that_is_gone_is_not_missed(tmp_path: Path) -> None:
    with SpareDirectories() as spare:
        spare.make(tmp_path / "a/first")
        spare.take_back(tmp_path / "a/first")
        (tmp_path / "a/first").rmdir()
        spare.make(tmp_path / "a/second")
        spare.make(tmp_path / "a/third")
        for name in ("second", "third"):
            spare.take_back(tmp_path / "a" / name)
    assert names_in(tmp_path / "a") == []
