"""Processes: an identity beyond the pid, and no orphans."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import attrs
import psutil
import pytest
from patience import wait_for

from xpm_alchem.execution.processes import HOST, ProcessIdentity, kill_session, session_members

SLEEP = "import time; time.sleep(600)"
WITH_CHILDREN = (
    "import subprocess, sys, time\n"
    f"children = [subprocess.Popen([sys.executable, '-c', {SLEEP!r}]) for _ in range(2)]\n"
    "print(*(child.pid for child in children), flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def sleeper():
    """A process in a session of its own."""
    process = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def family():
    """A process in a session of its own with two children: (the process, the children's pids)."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_CHILDREN], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    children = [int(pid) for pid in process.stdout.readline().split()]
    yield process, children
    for pid in (process.pid, *children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_for(lambda: all(gone(pid) for pid in children))


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_this_process_is_alive_and_here():
    me = ProcessIdentity.of()
    assert (me.pid, me.host, me.is_here, me.is_alive()) == (os.getpid(), HOST, True, True)


def test_an_identity_survives_being_written_down(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    again = ProcessIdentity.from_record(json.loads(json.dumps(identity.to_record())))
    assert again == identity and again.is_alive()


def test_a_process_that_ended_is_not_alive_even_as_a_zombie(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    wait_for(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)
    assert not identity.is_alive()
    sleeper.wait()
    assert not identity.is_alive()


def test_a_recycled_pid_is_another_process(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    assert not attrs.evolve(identity, since_boot=identity.since_boot - 60).is_alive()
    assert not ProcessIdentity(HOST, sleeper.pid, identity.start - 60).is_alive()  # as earlier versions noted it
    assert not attrs.evolve(identity, boot="another one", start=identity.start - 60).is_alive()


def test_a_small_change_of_the_clock_makes_no_other_process(sleeper):
    identity = ProcessIdentity(HOST, sleeper.pid, ProcessIdentity.of(sleeper.pid).start + 0.5)
    assert identity.is_alive()


@pytest.mark.parametrize("seconds", [-86400.0, 3600.0])
def test_a_process_is_the_same_after_the_clock_was_set(sleeper, monkeypatch, seconds):
    """The start of a process is told as that of the machine by the present clock, and so many seconds."""
    identity = ProcessIdentity.of(sleeper.pid)
    boot_time, create_time = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + seconds)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) + seconds)
    assert identity.is_alive() and ProcessIdentity.from_record(identity.to_record()).is_alive()
    assert not attrs.evolve(identity, since_boot=None).is_alive()  # as earlier versions noted it
    assert kill_session(identity) == 1


def test_a_process_of_another_machine_cannot_be_judged():
    elsewhere = ProcessIdentity("elsewhere", os.getpid(), 0.0)
    assert not elsewhere.is_here
    with pytest.raises(ValueError, match="belongs to elsewhere"):
        elsewhere.is_alive()


def test_a_pid_of_no_process_has_no_identity(sleeper):
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(psutil.NoSuchProcess):
        ProcessIdentity.of(sleeper.pid)


def test_a_session_is_its_leader_and_all_its_children(family):
    process, children = family
    assert {member.pid for member in session_members(process.pid)} == {process.pid, *children}


def test_killing_a_session_kills_them_all(family):
    process, children = family
    assert kill_session(ProcessIdentity.of(process.pid)) == 3
    wait_for(lambda: all(gone(pid) for pid in (process.pid, *children)))


def test_the_children_of_a_dead_leader_are_killed(family):
    process, children = family
    leader = ProcessIdentity.of(process.pid)
    process.kill()
    process.wait()
    assert not any(gone(pid) for pid in children)
    assert kill_session(leader) == 2
    wait_for(lambda: all(gone(pid) for pid in children))


def test_a_dead_leader_that_nobody_waited_for_is_not_counted(family):
    process, children = family
    leader = ProcessIdentity.of(process.pid)
    process.kill()
    wait_for(lambda: gone(process.pid))
    assert kill_session(leader) == len(children)


def test_a_session_older_than_the_one_that_is_meant_is_left_alone(sleeper):
    assert kill_session(ProcessIdentity(HOST, sleeper.pid, time.time() + 3600)) == 0
    identity = ProcessIdentity.of(sleeper.pid)
    assert kill_session(attrs.evolve(identity, since_boot=identity.since_boot + 3600)) == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("started", [0.0, -1.0, 1e9])
def test_numbers_of_a_damaged_file_kill_nothing(sleeper, started):
    for session in (-1, 0, 1, sleeper.pid, os.getsid(0), 2**70):
        assert kill_session(ProcessIdentity(HOST, session, started)) == 0
    assert sleeper.poll() is None


def test_an_empty_session_is_no_error(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert kill_session(ProcessIdentity(HOST, sleeper.pid, time.time())) == 0


def test_a_process_does_not_kill_itself_with_its_session():
    program = (
        "import subprocess, sys; from xpm_alchem.execution.processes import kill_own_session\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(kill_own_session(), child.wait())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], start_new_session=True, capture_output=True, text=True)
    assert ended.stdout.split() == ["1", str(-signal.SIGKILL)], ended.stderr
