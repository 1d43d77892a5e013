"""A copy of a directory is told from the directory itself, whatever path it is known by; results name paths in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from xpm_alchem.base.errors import UntrustedModuleError
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.place import is_copy, place_of
from xpm_alchem.network.trust import check_module


def test_a_copy_is_one_and_a_directory_that_has_another_name_is_not(tmp_path: Path) -> None:
    here, moved, copy, link = (tmp_path / name for name in ("here", "moved", "copy", "link"))
    here.mkdir()
    record = place_of(here)
    shutil.copytree(here, copy)
    link.symlink_to(here)
    assert not is_copy(here, record)
    assert not is_copy(link, record)
    assert is_copy(copy, record)
    here.rename(moved)
    assert not is_copy(moved, record)


@pytest.mark.parametrize("record", [{}, {"directory": 7, "inode": 1}, {"directory": "/x", "inode": "1"}, {"inode": 1}])
def test_what_does_not_say_where_it_was_written_was_not_copied(tmp_path: Path, record: dict[str, object]) -> None:
    assert not is_copy(tmp_path, record)


def test_attempts_and_holders_of_the_original_are_elsewhere(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    AttemptLog(original / "attempts.jsonl").start(limit=None, versions={})
    Holder.write(original / "holder.json")
    shutil.copytree(original, copy)
    assert [a.elsewhere for a in AttemptLog(original / "attempts.jsonl").read()] == [False]
    assert [a.elsewhere for a in AttemptLog(copy / "attempts.jsonl").read()] == [True]
    assert Holder.read(original / "holder.json") is not None
    assert Holder.read(copy / "holder.json") is None


def test_paths_of_a_task_are_found_where_it_is_now(tmp_path: Path) -> None:
    task = TaskDirectory(tmp_path / "new" / "jobs" / "xpm_alchem.run" / "abc")
    other = task.path.with_name("def")
    task.path.mkdir(parents=True)
    other.mkdir()
    old = Path("/old/jobs/xpm_alchem.run")
    assert task.relocated(old / "abc" / "shared" / "x.nc") == task.path / "shared" / "x.nc"
    assert task.relocated(old / "def" / "result.json") == other / "result.json"  # of a task that it extends
    for path in (old / "gone" / "x", Path("/data/jobs/abc/x"), Path("jobs/xpm_alchem.run/abc/x"), task.path / "x"):
        assert task.relocated(path) == path


@pytest.mark.parametrize("module", ["numpy.f2py.__main__", "gufe.__main__", "pint.__x.y", "__main__"])
def test_a_module_that_does_something_when_it_is_imported_is_refused(module: str) -> None:
    with pytest.raises(UntrustedModuleError, match=module):
        check_module("a file")(module)
    check_module("a file", (module,))(module)  # unless the user names it
