"""Processes: an identity beyond the pid, and no orphans."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import attrs
import psutil
import pytest

from xpm_alchem.processes import HOST, ProcessIdentity, kill_session, session_members

SLEEP = "import time; time.sleep(600)"
WITH_CHILDREN = (
    "import subprocess, sys, time\n"
    f"children = [subprocess.Popen([sys.executable, '-c', {SLEEP!r}]) for _ in range(2)]\n"
    "print(*(child.pid for child in children), flush=True)\n"
    "time.sleep(600)\n"
)


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


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
    wait_until(lambda: all(gone(pid) for pid in children))


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
    again = ProcessIdentity(**attrs.asdict(identity))
    assert again == identity and again.is_alive()


def test_a_process_that_ended_is_not_alive_even_as_a_zombie(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    sleeper.kill()
    wait_until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)
    assert not identity.is_alive()
    sleeper.wait()
    assert not identity.is_alive()


def test_a_recycled_pid_is_another_process(sleeper):
    earlier = attrs.evolve(ProcessIdentity.of(sleeper.pid), start=psutil.Process(sleeper.pid).create_time() - 60)
    assert not earlier.is_alive()


def test_a_small_change_of_the_clock_makes_no_other_process(sleeper):
    identity = ProcessIdentity.of(sleeper.pid)
    assert attrs.evolve(identity, start=identity.start + 0.5).is_alive()


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
    assert kill_session(process.pid, ProcessIdentity.of(process.pid).start) == 3
    wait_until(lambda: all(gone(pid) for pid in (process.pid, *children)))


def test_the_children_of_a_dead_leader_are_killed(family):
    process, children = family
    start = ProcessIdentity.of(process.pid).start
    process.kill()
    process.wait()
    assert not any(gone(pid) for pid in children)
    assert kill_session(process.pid, start) == 2
    wait_until(lambda: all(gone(pid) for pid in children))


def test_a_dead_leader_that_nobody_waited_for_is_not_counted(family):
    process, children = family
    start = ProcessIdentity.of(process.pid).start
    process.kill()
    wait_until(lambda: gone(process.pid))
    assert kill_session(process.pid, start) == len(children)


def test_a_session_older_than_the_one_that_is_meant_is_left_alone(sleeper):
    assert kill_session(sleeper.pid, time.time() + 3600) == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("started", [0.0, -1.0, 1e9])
def test_numbers_of_a_damaged_file_kill_nothing(sleeper, started):
    for session in (-1, 0, 1, sleeper.pid, os.getsid(0), 2**70):
        assert kill_session(session, started) == 0
    assert kill_session(sleeper.pid, None) == 0  # not this process's own
    assert sleeper.poll() is None


def test_an_empty_session_is_no_error(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert kill_session(sleeper.pid, time.time()) == 0


def test_a_process_does_not_kill_itself_with_its_session():
    program = (
        "import os, subprocess, sys; from xpm_alchem.processes import kill_session\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(kill_session(os.getsid(0), None), child.wait())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], start_new_session=True, capture_output=True, text=True)
    assert ended.stdout.split() == ["1", str(-signal.SIGKILL)], ended.stderr
