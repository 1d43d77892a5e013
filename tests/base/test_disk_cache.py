"""The cache of texts on disk."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from xpm_alchem.base.disk_cache import DiskCache

MADE_OF = {"of": ["this", 1, 2.5, None]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty directory."""
    path = tmp_path / "cache"
    path.mkdir()
    return path


def sizes(cache: DiskCache) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in cache.path.iterdir()}


def age(cache: DiskCache, *names: str) -> None:
    """Let the entries have been used long ago, the first one longest."""
    for seconds, name in enumerate(names):
        os.utime(cache.path / f"{name}.cached", (seconds, seconds))


def test_an_entry_is_found_by_another_process_and_after_more_writes(tmp_path):
    DiskCache(tmp_path / "a" / "b", 10_000).put("x", MADE_OF, "text\nof two lines, ä")
    other = DiskCache(tmp_path / "a" / "b", 10_000)
    assert other.get("x", MADE_OF) == "text\nof two lines, ä"
    assert other.get("y", MADE_OF) is None
    other.put("x", MADE_OF, "another")
    assert DiskCache(tmp_path / "a" / "b", 10_000).get("x", MADE_OF) == "another"
    assert len(sizes(other)) == 1


def test_an_entry_made_of_something_else_is_dropped(place):
    cache = DiskCache(place, 10_000)
    cache.put("x", MADE_OF, "text")
    assert cache.get("x", {"of": ["this", 1, 2.5]}) is None
    assert sizes(cache) == {}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def newer(path: Path) -> None:
    header, _, text = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(header), "format_version": 99}).encode() + b"\n" + text)


def foreign(path: Path) -> None:
    path.write_text('{"format": "something else"}\ntext')


def nested(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


@pytest.mark.parametrize("damage", [cut, flip, zero, newer, foreign, nested, lambda path: path.write_bytes(b"")])
def test_a_damaged_entry_is_dropped(place, damage):
    cache = DiskCache(place, 10_000)
    cache.put("x", MADE_OF, "text")
    damage(place / "x.cached")
    assert cache.get("x", MADE_OF) is None
    assert sizes(cache) == {}
    cache.put("x", MADE_OF, "text")
    assert cache.get("x", MADE_OF) == "text"


def test_the_least_recently_used_entries_go_when_the_bound_is_reached(place):
    cache = DiskCache(place, 10_000)
    for name in "abc":
        cache.put(name, MADE_OF, "x" * 2_700)
    age(cache, "a", "b", "c")
    assert cache.get("a", MADE_OF)  # used now
    cache.put("d", MADE_OF, "x" * 2_700)
    assert set(sizes(cache)) == {"a.cached", "c.cached", "d.cached"}
    assert sum(sizes(cache).values()) <= 10_000


def test_the_bound_holds_whatever_is_written_and_for_entries_that_were_there(place):
    for number in range(40):
        DiskCache(place, 10**6).put(f"old{number}", MADE_OF, "x" * 500)
    cache = DiskCache(place, 5_000)
    for number in range(60):
        cache.put(f"e{number % 23}", MADE_OF, "x" * (37 * number % 1_500))
        assert sum(sizes(cache).values()) <= 5_000


def test_what_a_killed_write_left_counts_and_goes(place):
    (place / ".x.cached.12.abc.tmp").write_bytes(bytes(4_000))
    os.utime(place / ".x.cached.12.abc.tmp", (0, 0))
    (place / "notes.txt").write_bytes(bytes(9_000))  # nothing of ours: neither counted nor removed
    cache = DiskCache(place, 5_000)
    cache.put("a", MADE_OF, "x" * 2_000)
    assert set(sizes(cache)) == {"a.cached", "notes.txt"}


def test_an_entry_that_would_take_all_the_room_is_not_written(place):
    cache = DiskCache(place, 5_000)
    cache.put("a", MADE_OF, "x" * 2_000)
    cache.put("b", MADE_OF, "x" * 20_000)
    assert set(sizes(cache)) == {"a.cached"}
    cache.put("a", MADE_OF, "x" * 20_000)
    assert sizes(cache) == {}  # the older text is none of this name any more


def test_read_only_leaves_everything_as_it_is(tmp_path):
    DiskCache(tmp_path / "cache", 5_000).put("a", MADE_OF, "text")
    entry = tmp_path / "cache" / "a.cached"
    os.utime(entry, (7, 7))
    cache = DiskCache(tmp_path / "cache", 5_000, read_only=True)
    assert cache.get("a", MADE_OF) == "text"
    cache.put("b", MADE_OF, "text")
    assert cache.get("a", {}) is None and entry.stat().st_mtime == 7
    DiskCache(tmp_path / "none", 5_000, read_only=True).put("a", MADE_OF, "text")
    assert sizes(cache).keys() == {"a.cached"} and not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file", 5_000)
    cache.put("a", MADE_OF, "text")
    assert cache.get("a", MADE_OF) is None
    cache.drop("a")
    cache = DiskCache(tmp_path / "cache", 5_000)
    (cache.path / "a.cached").mkdir(parents=True)
    cache.put("a", MADE_OF, "text")
    assert cache.get("a", MADE_OF) is None


def test_a_disk_that_takes_no_more_is_no_error_and_leaves_the_older_entry(place):
    cache = DiskCache(place, 100_000)
    cache.put("a", MADE_OF, "text")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        cache.put("a", MADE_OF, "x" * 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache.get("a", MADE_OF) == "text"
    assert set(sizes(cache)) == {"a.cached"}


def test_a_name_does_not_lead_out_of_the_directory(tmp_path):
    with pytest.raises(ValueError, match="cannot name a file"):
        DiskCache(tmp_path / "cache", 5_000).put("../a", MADE_OF, "text")
