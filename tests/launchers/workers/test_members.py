"""Workers of a pool: dead by their process where that is here, by their silence where it is not."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import attrs
import pytest

from xpm_alchem.execution.processes import ProcessIdentity
from xpm_alchem.launchers.workers import members as members_module
from xpm_alchem.launchers.workers.members import Member, Members, new_name
from xpm_alchem.launchers.workers.pool import Pool

ELSEWHERE = attrs.evolve(ProcessIdentity.of(), host="elsewhere")


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    made = Pool(tmp_path, "main")
    made.make()
    return made


@pytest.fixture
def members(pool: Pool) -> Members:
    return Members(pool)


def join(members: Members, process: ProcessIdentity | None = None, **facts: object) -> Member:
    member = Member(new_name(), process or ProcessIdentity.of(), members.clock.now(), 2, **facts)
    members.join(member)
    return member


def be_silent(members: Members, member: Member, seconds: float) -> None:
    """Let the last sign of life be so long ago."""
    then = time.time() - seconds
    os.utime(members.files(member.name)[1], (then, then))


def ended_process() -> ProcessIdentity:
    with subprocess.Popen(["sleep", "100"]) as process:
        identity = ProcessIdentity.of(process.pid)
        process.kill()
    return identity


def test_what_a_worker_writes_is_read_by_others(pool, members):
    member = join(members, devices=("GPU 0",), job="SLURM 3", ends=5.0)
    assert list(Members(pool).all()) == [member]
    members.leave(member.name)
    assert Members(pool).names() == []
    assert Members(pool).get(member.name) is None


def test_two_names_are_never_the_same():
    assert len({new_name() for _ in range(1000)}) == 1000


def test_a_worker_of_this_machine_lives_as_long_as_its_process_however_silent(members):
    alive, dead = join(members), join(members, ended_process())
    be_silent(members, alive, 10_000)
    assert members.is_dead(alive.name) is False
    assert members.is_dead(dead.name) is None  # a container's processes are not seen here
    be_silent(members, dead, 60)
    assert members.is_dead(dead.name) is True


def test_a_worker_elsewhere_is_dead_when_it_was_silent_for_long(members, monkeypatch):
    member = join(members, ELSEWHERE)
    assert members.is_dead(member.name) is False
    be_silent(members, member, 100)
    assert members.is_dead(member.name) is None  # not sure yet
    monkeypatch.setattr(members_module, "SILENT_SECONDS", 50.0)
    assert members.is_dead(member.name) is True
    members.say_alive(member.name)
    assert members.is_dead(member.name) is False


def test_a_worker_of_which_nothing_is_seen_is_dead_when_that_has_lasted(members, monkeypatch):
    member = join(members)
    members.leave(member.name)
    assert members.is_dead(member.name) is None  # another machine may see its files late
    assert members.watched_dead(member.name) is None
    monkeypatch.setattr(members_module, "SILENT_SECONDS", 0.0)
    assert members.watched_dead(member.name) is True
    members.join(member)
    assert members.watched_dead(member.name) is False


@pytest.mark.parametrize("content", [b"", b"{}", b"nothing", b'{"format": "xpm-alchem worker", "format_version": 1}'])
def test_a_worker_whose_record_is_damaged_is_judged_by_its_signs(pool, members, content):
    member = join(members)
    members.files(member.name)[0].write_bytes(content)
    others = Members(pool)
    assert others.get(member.name) is None
    assert list(others.all()) == []
    assert others.is_dead(member.name) is False
    be_silent(others, member, 10_000)
    assert others.is_dead(member.name) is True


def test_a_record_that_says_nothing_of_the_process_is_no_worker_of_this_machine(pool, members):
    member = join(members)
    record = members.files(member.name)[0]
    record.write_text(record.read_text().replace(f'"pid": {os.getpid()}', '"pid": "none"'))
    assert Members(pool).is_dead(member.name) is False
    be_silent(members, member, 10_000)
    assert Members(pool).is_dead(member.name) is True
