"""Files appear whole; records survive kills, damage and newer versions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import atomic_write, read_bytes, read_record, write_json, write_record

KIND = "xpm-alchem test"


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


# ---------------------------------------------------------------------------------------------------- read_bytes
@pytest.mark.parametrize("size", [0, 1, 65536, 200_003])
def test_all_that_is_left_from_an_offset_on_is_read(tmp_path, size):
    content = bytes(n % 251 for n in range(size))
    (tmp_path / "a").write_bytes(content)
    for offset in (0, 1, size, size + 7):
        assert read_bytes(tmp_path / "a", offset=offset) == content[offset:]


def test_a_file_that_does_not_say_how_large_it_is_is_read():
    assert read_bytes(Path("/proc/self/cmdline")) == Path("/proc/self/cmdline").read_bytes() != b""


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
