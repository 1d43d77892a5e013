"""The state kept of a journal is the one that the whole journal tells, or it is not used; nothing depends on it."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from histories import PastCampaign
from hypothesis import event, example, given
from hypothesis import strategies as st
from journal_events import EVENTS, TRANSFORMATIONS, TROUBLED, contents
from ordinary_user import USER, needs_root, open_place
from patience import wait_for

from xpm_alchem.base.errors import FormatError, WorkspaceError
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.prefix import Prefix
from xpm_alchem.campaign import snapshot, told_state
from xpm_alchem.campaign.records import TASKS, CampaignRecords
from xpm_alchem.campaign.snapshot import read_snapshot, write_snapshot
from xpm_alchem.campaign.task_state import CampaignState
from xpm_alchem.campaign.told_state import ToldState

FEW = 4  # lines that are worth a snapshot here


@pytest.fixture(autouse=True)
def few_lines_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_state, "WORTH_LINES", FEW)


def created(repeat: int, transformation: str = TRANSFORMATIONS[0]) -> dict[str, Any]:
    facts = {"event": "created", "task": f"{transformation}-{repeat}", "transformation": transformation}
    return {**facts, "repeat": repeat, "directory": f"jobs/x/{repeat}", "time": 1.0}


class Place:
    """A journal and its snapshot."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path, self.journal, self.snapshot = path, path / "tasks.jsonl", path / "tasks.snapshot"

    def write(self, *events: dict[str, Any]) -> None:
        Journal(self.journal, TASKS).append(*events)

    def told(self) -> ToldState:
        return ToldState(Journal(self.journal, TASKS), self.snapshot)

    def look(self, *, is_holder: bool = True) -> Any:
        """Return what a process that begins now is told."""
        return contents(self.told().now(TRANSFORMATIONS, is_holder=is_holder))

    def whole(self) -> Any:
        """Return what the whole journal tells."""
        state = CampaignState(TRANSFORMATIONS)
        for record in Journal(self.journal, TASKS).read()[0]:
            state.apply(record)
        return contents(state)

    def kept(self) -> tuple[CampaignState, Prefix] | None:
        return read_snapshot(self.snapshot, self.journal, TRANSFORMATIONS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A journal of some lines with a snapshot of all of them but the last."""
    made = Place(tmp_path / "c")
    submitted = {"event": "submitted", "task": f"{TRANSFORMATIONS[0]}-1", "time": 2.0, "attempts": 0}
    made.write(*map(created, range(1, 6)), {**submitted, "cost_per_hour": 1.0, "cost_unit": "gpu-h"})
    made.look()
    made.write(created(6))
    assert made.kept() is not None
    return made


# ------------------------------------------------------------------------------------------------ the same state
@given(EVENTS, st.integers(0, 60), st.sampled_from([(), TRANSFORMATIONS[:1], TRANSFORMATIONS]))
@example(TROUBLED, len(TROUBLED), ())
@example(TROUBLED, len(TROUBLED) - 1, TRANSFORMATIONS[:1])
def test_a_state_that_was_kept_goes_on_as_if_all_had_been_read(events, cut, gone):
    events = json.loads(json.dumps(events))
    whole, kept = CampaignState(TRANSFORMATIONS, gone), CampaignState(TRANSFORMATIONS)
    for record in events:
        whole.apply(record)
    for record in events[:cut]:
        kept.apply(record)
    kept = CampaignState.from_plain(json.loads(json.dumps(kept.to_plain())), TRANSFORMATIONS, gone)
    for record in events[cut:]:
        kept.apply(record)
    event(f"tasks: {len(whole.tasks)}")
    assert contents(kept) == contents(whole)
    assert {*whole.tasks} == {key for key, task in whole.everything.items() if task.transformation not in gone}


@given(EVENTS, st.lists(st.integers(1, 15), max_size=5))
def test_looks_at_a_journal_that_grows_see_what_the_whole_journal_tells(tmp_path_factory, events, steps):
    place = Place(tmp_path_factory.mktemp("journal"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        patch.setattr(told_state, "WORTH_LINES", 2)
        lasting, left = place.told(), iter(events)
        for step in [*steps, len(events)]:
            place.write(*itertools.islice(left, step))
            assert place.look() == place.whole() == contents(lasting.now(TRANSFORMATIONS, is_holder=False))
    shutil.rmtree(place.path)


def test_only_the_rest_of_the_journal_is_read(place, monkeypatch):
    offsets = []
    whole_lines = Journal.whole_lines
    monkeypatch.setattr(
        Journal, "whole_lines", lambda self, offset: offsets.append(offset) or whole_lines(self, offset)
    )
    assert place.look() == place.whole()
    kept = place.kept()
    assert offsets[0] == kept[1].offset > 0
    assert len(kept[0].tasks) == 5


def test_a_snapshot_is_left_when_many_lines_were_read_without_one_and_not_before(tmp_path):
    place = Place(tmp_path / "c")
    place.write(created(1), created(2))
    told = place.told()
    told.now(TRANSFORMATIONS, is_holder=True)
    assert not place.snapshot.exists()
    place.write(created(3))
    told.look_again()
    told.now(TRANSFORMATIONS, is_holder=True)  # four lines with the first one
    assert place.snapshot.exists()
    before = place.snapshot.read_bytes()
    place.write(created(4))
    told.look_again()
    told.now(TRANSFORMATIONS, is_holder=True)
    place.look()
    assert place.snapshot.read_bytes() == before


def test_with_many_tasks_more_lines_are_waited_for(tmp_path):
    place = Place(tmp_path / "c")
    place.write(*map(created, range(1, 11)))
    place.look()
    before = place.snapshot.read_bytes()
    place.write(*[{"event": "actioned", "task": created(1)["task"]}] * 9)
    place.look()
    assert place.snapshot.read_bytes() == before
    place.write({"event": "actioned", "task": created(1)["task"]})
    place.look()
    assert place.snapshot.read_bytes() != before


# ------------------------------------------------------------------------------------------------ what is doubted
def _edit_early(place: Place) -> None:
    """Change a line by hand; the file's length, times and inode stay."""
    status = place.journal.stat()
    with open(place.journal, "r+b") as out:
        content = out.read()
        out.seek(content.index(b"jobs/x/2"))
        out.write(b"jobs/x/9")
    os.utime(place.journal, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.journal.stat().st_ino == status.st_ino and place.journal.stat().st_size == status.st_size


def _edit_last(place: Place) -> None:
    text = place.journal.read_text()
    place.journal.write_text(text.replace('"cost_per_hour": 1.0', '"cost_per_hour": 2.0'))


def _shorten(place: Place) -> None:
    lines = place.journal.read_bytes().splitlines(keepends=True)
    place.journal.write_bytes(b"".join(lines[:3]))


def _replace(place: Place) -> None:
    other = Place(place.path / "other")
    other.write(*map(created, range(20, 40)))
    os.replace(other.journal, place.journal)


def _restore(place: Place) -> None:
    """Put an old backup back, and let it go on otherwise until it is longer."""
    _shorten(place)
    place.write(*[created(n, TRANSFORMATIONS[1]) for n in range(1, 9)])


def _remove_line(place: Place) -> None:
    lines = place.journal.read_bytes().splitlines(keepends=True)
    place.journal.write_bytes(b"".join([*lines[:2], *lines[3:]]))


def _truncate(place: Place) -> None:
    os.truncate(place.snapshot, place.snapshot.stat().st_size - 10)


def _flip(place: Place, word: bytes) -> None:
    content = place.snapshot.read_bytes()
    at = content.index(word)
    place.snapshot.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def _header(place: Place, **values: Any) -> None:
    first, _, state = place.snapshot.read_bytes().partition(b"\n")
    place.snapshot.write_bytes(json.dumps({**json.loads(first), **values}, sort_keys=True).encode() + b"\n" + state)


def _write(content: bytes) -> Callable[[Place], None]:
    return lambda place: place.snapshot.write_bytes(content) and None


def _unsound(place: Place) -> None:
    """Write a snapshot in good order with a task that no journal could have made."""
    state, prefix = place.kept()
    next(iter(state.tasks.values())).directory = "../../elsewhere"
    write_snapshot(place.snapshot, place.journal, state, prefix, TRANSFORMATIONS)


def _damaged_state(change: Callable[[dict[str, Any]], Any]) -> Callable[[Place], None]:
    """Write a snapshot in good order whose state another program has made."""

    def spoil(place: Place) -> None:
        state, prefix = place.kept()
        plain = json.loads(json.dumps(state.to_plain()))
        change(plain)
        state.to_plain = lambda: plain
        write_snapshot(place.snapshot, place.journal, state, prefix, TRANSFORMATIONS)

    return spoil


def _instead(make: Callable[[Path], None]) -> Callable[[Place], None]:
    def spoil(place: Place) -> None:
        place.snapshot.unlink()
        make(place.snapshot)

    return spoil


def _link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("elsewhere")))


DOUBTS = {
    "a line was edited, far from the end": _edit_early,
    "a line was edited, near the end": _edit_last,
    "a line was removed": _remove_line,
    "the journal is shorter": _shorten,
    "the journal is another file": _replace,
    "a backup was put back and went on otherwise": _restore,
    "the journal is gone": lambda place: place.journal.unlink(),
    "the journal is empty": lambda place: place.journal.write_bytes(b""),
    "it was cut short": _truncate,
    "a bit of a task is another": lambda place: _flip(place, b"x/3"),
    "a bit of the header is another": lambda place: _flip(place, b"transformations"),
    "its format is newer": lambda place: _header(place, format_version=snapshot.FORMAT_VERSION + 1),
    "its format is older": lambda place: _header(place, format_version=0),
    "it is of another kind": lambda place: _header(place, format="xpm-alchem cache entry"),
    "another version made it": lambda place: _header(place, version="0.1.0"),
    "other code made it": lambda place: _header(place, folding="0" * 40),
    "its offset is another": lambda place: _header(place, offset=place.kept()[1].offset - 1),
    "its offset is none": lambda place: _header(place, offset="0"),
    "its offset is negative": lambda place: _header(place, offset=-1),
    "it is empty": _write(b""),
    "it is no JSON": _write(b"\x80\x04K\x01.\n"),
    "it is a list": _write(b"[]\n{}"),
    "it is nested for ever": _write(b"[" * 200_000 + b"\n{}"),
    "it is a directory": _instead(Path.mkdir),
    "it is a pipe": _instead(os.mkfifo),
    "it is a link": lambda place: _link(place.snapshot),
    "a task would be outside of the workspace": _unsound,
    "fields of tasks are lacking": _damaged_state(lambda plain: plain["task_fields"].pop()),
    "a task has a field too few": _damaged_state(lambda plain: plain["tasks"][0].pop()),
    "a status is none": _damaged_state(lambda plain: plain["tasks"][0].__setitem__(5, ["waiting"])),
    "there is no ledger": _damaged_state(lambda plain: plain.pop("ledger")),
    "a ledger is a list": _damaged_state(lambda plain: plain.update(ledger=[])),
    "a span has no end": _damaged_state(
        lambda plain: plain["ledger"].update(starts=[1], rates=[1], units_of_spans=[0])
    ),
    "requests are a list": _damaged_state(lambda plain: plain.update(requests=[])),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_snapshot_that_is_to_be_doubted_is_not_used_and_made_again(place, doubt):
    DOUBTS[doubt](place)
    assert place.kept() is None
    assert place.look() == place.whole()
    lines = place.journal.read_bytes().count(b"\n") if place.journal.exists() else 0
    if lines >= FEW and not place.snapshot.is_dir():
        assert place.kept() is not None
        assert place.look() == place.whole()


@given(st.booleans(), st.integers(0, 5000), st.integers(0, 3), st.binary(max_size=3))
def test_whatever_damage_does_to_the_file_or_the_journal_the_whole_journal_counts(
    tmp_path_factory, in_journal, at, removed, added
):
    place = Place(tmp_path_factory.mktemp("damaged") / "c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        place.write(*map(created, range(1, 6)))
        place.look()
        damaged = place.journal if in_journal else place.snapshot
        content = damaged.read_bytes()
        at %= len(content)
        damaged.write_bytes(content[:at] + added + content[at + removed :])
        place.write(created(6))
        try:
            whole = place.whole()
        except FormatError:
            with pytest.raises(FormatError):
                place.look()
        else:
            assert place.look() == whole


def test_other_transformations_make_it_unfit(place):
    assert read_snapshot(place.snapshot, place.journal, TRANSFORMATIONS) is not None
    assert read_snapshot(place.snapshot, place.journal, TRANSFORMATIONS[:1]) is None
    assert read_snapshot(place.snapshot, place.journal, [*TRANSFORMATIONS, "d" * 16]) is None


def test_a_new_version_of_the_package_makes_it_unfit(place, monkeypatch):
    monkeypatch.setattr(snapshot, "__version__", "99.0")
    assert place.kept() is None
    assert place.look() == place.whole() and place.kept() is not None
    monkeypatch.setattr(snapshot, "_folding", lambda: "of a checkout with other code")
    assert place.kept() is None


def test_what_folds_journals_is_part_of_what_it_must_be_made_with():
    room = snapshot._ROOM
    assert {path.name for path in snapshot._FOLDING} >= {"task_state.py", "spending.py", "hosts.py", "values.py"}
    assert all(path.is_file() for path in snapshot._FOLDING) and room.name == "campaign"
    assert snapshot._folding()


def test_a_newer_journal_is_refused_also_where_there_is_a_snapshot(place):
    text = place.journal.read_text()
    place.journal.write_text(text.replace('"format_version": 1', '"format_version": 2', 1))
    with pytest.raises(FormatError, match="newer"):
        place.look()


def test_a_copy_of_a_workspace_goes_on_with_its_snapshot(place, tmp_path):
    shutil.copytree(place.path, tmp_path / "copy")
    copy = Place(tmp_path / "copy")
    assert copy.kept() is not None
    copy.write(created(7))
    assert copy.look() == copy.whole() != place.whole()


# ------------------------------------------------------------------------------------------ whose it is, and whether
def test_a_snapshot_of_a_third_user_is_not_believed(place):
    needs_root()
    os.chown(place.snapshot, USER, -1)
    assert place.kept() is None
    os.chown(place.journal, USER, -1)  # whose journal it is, is believed anyway
    assert place.kept() is not None


def test_who_looks_leaves_none_beside_a_journal_of_another_user_but_who_drives_does(place, monkeypatch):
    place.snapshot.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: place.journal.stat().st_uid + 1)
    place.look(is_holder=False)
    assert not place.snapshot.exists()
    place.look(is_holder=True)
    assert place.snapshot.exists()


def test_a_user_who_may_only_read_uses_it_and_goes_on_without():
    needs_root()
    with open_place() as path:
        place = Place(path / "c")
        place.write(*map(created, range(1, 6)))
        told = place.whole()
        assert as_ordinary_user(lambda: place.look(is_holder=True) == told)
        assert not place.snapshot.exists()
        place.look()
        before = place.snapshot.read_bytes()
        assert as_ordinary_user(lambda: place.kept() is not None and place.look(is_holder=True) == told)
        place.snapshot.chmod(0o600)
        assert as_ordinary_user(lambda: place.kept() is None and place.look(is_holder=True) == told)
        assert place.snapshot.read_bytes() == before


def as_ordinary_user(question: Callable[[], bool]) -> bool:
    """Ask in a process of another user."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            code = int(not question())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_it_cannot_be_written_all_goes_on_without(place, monkeypatch, number):
    place.snapshot.unlink()

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("xpm_alchem.base.files._write", fail)
    assert place.look() == place.whole()
    assert [path.name for path in place.path.iterdir()] == ["tasks.jsonl"]


def test_where_it_cannot_be_read_all_goes_on_without(place, monkeypatch):
    real = open

    def fail(path: Any, *arguments: Any, **options: Any) -> Any:
        if Path(path) == place.snapshot:
            raise PermissionError(errno.EACCES, "not yours")
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", fail)
    assert place.kept() is None
    assert place.look() == place.whole()


def test_a_journal_that_cannot_be_read_is_told_of_as_before(place, monkeypatch):
    def fail(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, "not yours")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        place.look()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_nobody_may_read_it_who_may_not_read_the_journal(place, mode):
    place.snapshot.unlink()
    place.journal.chmod(mode)
    before = os.umask(0)
    try:
        place.look()
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.snapshot.stat().st_mode) == mode


# ------------------------------------------------------------------------------------------------ while it is read
def test_what_was_interrupted_is_read_anew_and_not_kept(place, monkeypatch):
    place.snapshot.unlink()
    told = place.told()
    apply, counted = CampaignState.apply, itertools.count(1)

    def interrupted(self: CampaignState, record: dict[str, Any]) -> None:
        if next(counted) == 4:
            raise KeyboardInterrupt
        apply(self, record)

    monkeypatch.setattr(CampaignState, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        told.now(TRANSFORMATIONS, is_holder=True)
    assert not place.snapshot.exists()
    assert contents(told.now(TRANSFORMATIONS, is_holder=True)) == place.whole()


def test_a_journal_that_vanishes_under_a_driver_is_not_kept(place):
    told = place.told()
    told.now(TRANSFORMATIONS, is_holder=True)
    before = place.snapshot.read_bytes()
    place.journal.unlink()
    told.look_again()
    told.now(TRANSFORMATIONS, is_holder=True)
    place.write(*map(created, range(30, 40)), *[{"event": "actioned", "task": created(30)["task"]}] * 20)
    told.look_again()
    assert len(told.now(TRANSFORMATIONS, is_holder=True).tasks) == 16
    assert place.snapshot.read_bytes() == before
    assert place.look() == place.whole()


def test_the_only_writer_looks_once_a_second_and_after_what_it_has_written(place):
    told = place.told()
    before = contents(told.now(TRANSFORMATIONS, is_holder=True))
    place.write(created(30))
    assert contents(told.now(TRANSFORMATIONS, is_holder=True)) == before
    told.look_again()
    assert contents(told.now(TRANSFORMATIONS, is_holder=True)) == place.whole() != before
    place.write(created(31))
    assert contents(told.now(TRANSFORMATIONS, is_holder=False)) == place.whole()
    place.write(created(32))
    wait_for(lambda: contents(told.now(TRANSFORMATIONS, is_holder=True)) == place.whole())


def test_a_line_that_is_cut_short_is_read_when_it_is_whole(place):
    line = json.dumps(created(7)) + "\n"
    with open(place.journal, "a") as out:
        out.write(line[:20])
    assert place.look() == place.whole()
    with open(place.journal, "a") as out:
        out.write(line[20:])
    assert place.look() == place.whole()
    assert place.told().now(TRANSFORMATIONS, is_holder=True).tasks.keys() >= {created(7)["task"]}


def test_without_snapshots_only_the_journal_counts(place):
    state, prefix = place.kept()
    next(iter(state.tasks.values())).reason = "of nowhere"
    write_snapshot(place.snapshot, place.journal, state, prefix, TRANSFORMATIONS)
    assert place.look() != place.whole()
    told = place.told()
    told.has_snapshots = False
    assert contents(told.now(TRANSFORMATIONS, is_holder=True)) == place.whole()
    assert told.agrees_with_snapshot(TRANSFORMATIONS) is False


def test_a_campaigns_records_leave_one_and_use_it_unless_only_the_journal_is_to_count(tmp_path):
    past = PastCampaign(tmp_path / "past", [(0, 1), (1, 2)])
    for repeat in range(1, 4):
        past.task(0, repeat)
    path = past.records.path
    records = CampaignRecords(path)
    size = (path / "tasks.jsonl").stat().st_size
    assert len(records.state().tasks) == 3 and records.position == size
    known = records.index.by_id
    state, prefix = read_snapshot(records.snapshot_path, path / "tasks.jsonl", known)
    assert records.agrees_with_snapshot()
    next(iter(state.tasks.values())).reason = "of nowhere"
    write_snapshot(records.snapshot_path, path / "tasks.jsonl", state, prefix, known)

    def reasons(records: CampaignRecords) -> list[str]:
        return [task.reason for task in records.state().tasks.values()]

    assert reasons(CampaignRecords(path)) == ["of nowhere", "", ""]
    assert CampaignRecords(path).position == 0
    assert reasons(CampaignRecords(path).by_journal_alone()) == ["", "", ""]
    assert CampaignRecords(path).by_journal_alone().agrees_with_snapshot() is False
    assert len(list(CampaignRecords(path).events())) == 3
