"""What is made of a file is open to nobody to whom the file is not: from its first moment on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from xpm_alchem.base.files import atomic_write, copy_file, read_record, write_record
from xpm_alchem.base.permissions import no_more_open_than, permissions_of, private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True, params=[0o022, 0o002, 0o027], ids=oct)
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def source(tmp_path: Path):
    """Return a function that makes a file with given permissions."""

    def make(permissions: int, name: str = "source") -> Path:
        path = tmp_path / name
        path.write_text("secret")
        path.chmod(permissions)
        return path

    return make


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o644, 0o664, 0o666, 0o400, 0o755])
def test_a_file_made_of_another_is_open_to_nobody_else(
    source, tmp_path: Path, umask: int, permissions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = permissions_of(source(permissions))
    partial: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: partial.append(stat.S_IMODE(os.fstat(number).st_mode)))
    with atomic_write(tmp_path / "made", permissions=allowed) as out:
        out.write("secret")
    assert partial == [(permissions & 0o666 | 0o600) & ~umask]  # before it has its name
    assert mode(tmp_path / "made") == (permissions & 0o666 | 0o600) & ~umask


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o000])
def test_a_file_that_is_replaced_is_opened_to_nobody(source, umask: int, permissions: int) -> None:
    path = source(permissions)
    write_record(path, "a test", 1, {})
    assert mode(path) == permissions | 0o600


def test_of_several_files_the_strictest_counts(source, tmp_path: Path) -> None:
    both = source(0o640, "a"), source(0o604, "b"), tmp_path / "not there"
    assert permissions_of(*both) == 0o600
    assert permissions_of(tmp_path / "not there") == 0o666


def test_copies_and_backups_are_as_closed_as_what_they_are_of(source, tmp_path: Path) -> None:
    copy_file(source(0o600), tmp_path / "copy")
    assert mode(tmp_path / "copy") == 0o600
    record = tmp_path / "r.json"
    write_record(record, "a test", 1, {})
    record.chmod(0o600)
    read_record(record, "a test", 2, {1: dict})
    assert mode(tmp_path / "r.json.v1.bak") == 0o600
    assert mode(record) == 0o600


def test_a_copy_replaces_a_link_and_not_what_it_leads_to(source, tmp_path: Path) -> None:
    target = source(0o644, "elsewhere")
    (tmp_path / "copy").symlink_to(target)
    copy_file(source(0o600), tmp_path / "copy")
    assert not (tmp_path / "copy").is_symlink()
    assert mode(target) == 0o644


def test_what_may_be_secret_is_for_its_owner_and_a_group_that_shares_the_place(tmp_path: Path) -> None:
    for permissions, expected in ((0o755, 0o600), (0o700, 0o600), (0o775, 0o640), (0o2770, 0o640)):
        tmp_path.chmod(permissions)
        assert private(tmp_path) == expected
    assert private(tmp_path / "not there") == 0o600


def test_all_that_is_written_in_a_block_is_as_closed_as_what_it_is_made_of(source, tmp_path: Path, umask: int) -> None:
    for permissions in (0o600, 0o640, 0o644):
        with no_more_open_than(source(permissions)):
            made = tmp_path / f"made-{permissions:o}"
            made.write_text("by anybody")
            assert mode(made) & ~permissions & 0o044 == 0
            if permissions == 0o644:
                assert mode(made) == 0o666 & ~umask
        assert os.umask(umask) == umask
