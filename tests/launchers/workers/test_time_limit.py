"""How long a worker may work, by what schedulers print: recorded of Grid Engine, else as their manuals have it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpm_alchem.launchers.workers import scheduler_jobs, time_limit
from xpm_alchem.launchers.workers.scheduler_jobs import SchedulerJob, grid_engine_limit, lsf_left, pbs_times
from xpm_alchem.launchers.workers.time_limit import TimeLimit, find_limit

HOUR = 3600.0
PBS_PRO = """Job Id: 1234[5].pbs
    Job_Name = workers
    Job_Owner = ada@login
    resources_used.cput = 00:59:10
    resources_used.walltime = {used}
    job_state = R
    Resource_List.ncpus = 4
    Resource_List.select = 1:ncpus=4:ngpus=1
    Resource_List.walltime = {whole}
    stime = Sun Nov 29 21:34:15 2026
    Submit_arguments = -v A=Resource_List.walltime=1 -J 1-20 workers.pbs
    Variable_List = PBS_O_HOME=/home/ada,PBS_O_LOGNAME=ada,
\tPBS_O_PATH=/usr/bin
"""
GRID_ENGINE = """==============================================================
job_number:                 1
merge:                      y
hard resource_list:         h_rt=60,gpu=1,s_rt=20
mail_list:                  ada@login
notify:                     TRUE
job_name:                   workers
env_list:                   OLD_h_rt=5,h_rt=7,SGE_CELL=default
job-array tasks:            1-2:1
usage         1:            cpu=00:00:00, mem=0.00003 GB s, io=0.00069 GB, vmem=5.043M, maxvmem=5.098M
scheduling info:            There are no messages available
"""
QUEUE = """qname                 all.q
hostlist              @allhosts
min_cpu_interval      00:05:00
s_rt                  INFINITY
h_rt                  48:00:00,[node-12.cluster=24:00:00], \\
                      [@slow=96:00:00]
h_cpu                 INFINITY
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the time, which stands still but for what a test lets pass."""
    clock = Clock()
    for module in (scheduler_jobs, time_limit):
        monkeypatch.setattr(module, "steady_time", lambda: clock.now)
    monkeypatch.setattr(scheduler_jobs, "_job_began", lambda: clock.began)
    return clock


class Clock:
    now = 1000.0
    began = 1000.0  # the job


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a program on PATH which prints a text, and notes how it was called."""
    here = tmp_path / "bin"
    here.mkdir()
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, text: str, code: int = 0) -> Path:
        (here / f"{name}.txt").write_text(text)
        calls = here / f"{name}.calls"
        (here / name).write_text(f'#!/bin/sh\necho "$@" >> {calls}\ncat {here}/{name}.txt\nexit {code}\n')
        (here / name).chmod(0o755)
        return calls

    return put


def test_without_a_scheduler_the_limit_is_what_the_user_says(clock):
    assert find_limit(None, {}).left() is None
    limit = find_limit(HOUR, {})
    clock.now += 600
    assert limit.left() == HOUR - 600
    assert limit.job is None and limit.is_known


# ----------------------------------------------------------------------------------------------------------------- PBS
@pytest.mark.parametrize(
    ("used", "whole", "left"),
    [("01:00:00", "08:00:00", 7 * HOUR), ("00:00:00", "100:00:00", 100 * HOUR), ("25:30:00", "25:00:00", -1800.0)],
)
def test_pbs(clock, program, used, whole, left):
    calls = program("qstat", PBS_PRO.format(used=used, whole=whole))
    limit = find_limit(None, {"PBS_JOBID": "1234[5].pbs"})
    assert (limit.left(), limit.job) == (left, "PBS 1234[5].pbs")
    assert calls.read_text() == "-f 1234[5].pbs\n"


def test_a_job_of_pbs_without_a_walltime_has_no_limit(clock, program):
    program("qstat", "Job Id: 7.pbs\n    job_state = R\n    Resource_List.soft_walltime = 01:00:00\n")
    limit = find_limit(None, {"PBS_JOBID": "7.pbs"})
    assert limit.left() is None and limit.is_known


def test_what_pbs_says_was_used_may_be_minutes_late_and_the_limit_counts_from_the_start_of_the_job(clock, program):
    program("qstat", PBS_PRO.format(used="00:00:00", whole="01:00:00"))
    clock.now += 300  # a prologue
    assert find_limit(None, {"PBS_JOBID": "1"}).left() == HOUR - 300


def test_torque_on_a_node_without_qstat_says_it_in_a_variable(clock, program):
    program("qstat", "", code=1)
    clock.now += 100
    assert find_limit(None, {"PBS_JOBID": "1", "PBS_WALLTIME": "3600"}).left() == HOUR - 100


def test_times_of_pbs_as_seconds():
    assert pbs_times("    Resource_List.walltime = 3600\n    resources_used.walltime = 60\n") == (3600, 60)


# ----------------------------------------------------------------------------------------------------------------- LSF
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("5:20 L^2400 second(s)^360.0\n", 5 * HOUR + 1200),
        ("05:20:30 L^00:39:30^06:00:00\n", 5 * HOUR + 1230),  # with LSB_HMS_TIME_FORMAT
        ("0:00 L^3600 second(s)^60.0\n", 0.0),
        ("100:05 L^1 second(s)^6006.0/hostA\n", 100 * HOUR + 300),
        ("0:10 E^3000 second(s)^120.0/hostA\n", 4200.0),  # an estimate of -We is no limit; the one of -W is
        ("00:00:00 X^00:50:00^02:00:00\n", 4200.0),
        ("0:10 E^3000 second(s)^-\n", math.inf),
        ("-^3000 second(s)^-\n", math.inf),
        ("", math.inf),
    ],
)
def test_lsf(text, left):
    assert lsf_left(text) == left


def test_an_element_of_an_array_of_lsf_is_asked_for_by_its_index(clock, program):
    calls = program("bjobs", "1:00 L^0 second(s)^60.0")
    limit = find_limit(None, {"LSB_JOBID": "77", "LSB_JOBINDEX": "3"})
    assert (limit.left(), limit.job) == (HOUR, "LSF 77[3]")
    assert calls.read_text().split()[-1] == "77[3]"
    assert find_limit(None, {"LSB_JOBID": "77", "LSB_JOBINDEX": "0"}).job == "LSF 77"


def test_an_end_told_in_whole_minutes_does_not_come_nearer_by_being_told_again(clock, program):
    program("bjobs", "0:10 L^0 second(s)^10.0")
    limit = find_limit(None, {"LSB_JOBID": "77"})
    assert limit.left() == 600
    clock.now += 70  # 10:50 or so were left
    program("bjobs", "0:08 L^0 second(s)^10.0")
    assert limit.left() == 530
    clock.now += 70
    program("bjobs", "0:08 L^0 second(s)^10.0")
    assert limit.left() == 480
    clock.now += 70
    program("bjobs", "0:02 L^0 second(s)^10.0")  # bmod has made it shorter
    assert limit.left() == 120


# --------------------------------------------------------------------------------------------------------- Grid Engine
def test_grid_engine(clock, program):
    qstat = program("qstat", GRID_ENGINE)
    qconf = program("qconf", QUEUE)
    clock.began -= 5
    environment = {"JOB_ID": "1", "SGE_TASK_ID": "2", "QUEUE": "all.q"}
    limit = find_limit(None, environment)
    assert (limit.left(), limit.job) == (15.0, "Grid Engine 1.2")
    assert (qstat.read_text(), qconf.read_text()) == ("-j 1\n", "-sq all.q\n")
    assert find_limit(None, {"JOB_ID": "1", "SGE_TASK_ID": "undefined"}).job == "Grid Engine 1"


def test_without_one_of_its_own_a_job_of_grid_engine_has_its_queues_limit():
    job = GRID_ENGINE.replace("h_rt=60,gpu=1,s_rt=20", "gpu=1")
    assert grid_engine_limit(job) == math.inf
    assert grid_engine_limit(job + QUEUE) == 24 * HOUR
    assert grid_engine_limit(QUEUE.replace("s_rt                  INFINITY", "s_rt  0:59:0")) == 3540.0


@pytest.mark.parametrize(("written", "seconds"), [("3600", 3600), ("1:0:0", 3600), ("00:30:00", 1800)])
def test_times_of_grid_engine(written, seconds):
    assert grid_engine_limit(f"hard resource_list:         s_rt={written},h_rt=48:00:00\n") == seconds
    assert grid_engine_limit(f"soft resource_list:         h_rt={written}\n") == seconds


# ------------------------------------------------------------------------------------------------------ asked again
def test_a_limit_that_is_extended_is_heard_of(clock, program):
    program("qstat", PBS_PRO.format(used="00:00:00", whole="01:00:00"))
    limit = find_limit(None, {"PBS_JOBID": "1"})
    assert limit.left() == HOUR
    clock.now += 0.9 * HOUR
    program("qstat", PBS_PRO.format(used="00:54:00", whole="05:00:00"))
    assert limit.left() == pytest.approx(4.1 * HOUR)


@pytest.mark.parametrize(("end", "questions"), [(100 * HOUR, 6), (1200.0, 60), (None, 60)])
def test_it_is_asked_each_minute_while_the_end_is_near_or_not_known_and_each_ten_while_it_is_far(clock, end, questions):
    asked = []

    def ask() -> float | None:
        asked.append(clock.now)
        return None if end is None else 1000.0 + end - clock.now

    limit = TimeLimit(None, SchedulerJob("SLURM 1", ask))
    while clock.now < 1000.0 + HOUR:
        limit.left()
        clock.now += 5
    assert questions * 0.9 <= len(asked) <= questions


def test_a_scheduler_that_does_not_answer_is_believed_what_it_said_last(clock, program):
    program("qstat", PBS_PRO.format(used="00:00:00", whole="01:00:00"))
    limit = find_limit(None, {"PBS_JOBID": "1"})
    assert limit.left() == HOUR
    clock.now += 700
    program("qstat", "cannot connect to server pbs (errno=111)", code=255)
    assert limit.left() == HOUR - 700


def test_one_that_never_answered_leaves_the_users_time(clock, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for environment in ({"PBS_JOBID": "1"}, {"LSB_JOBID": "1"}, {"JOB_ID": "1", "SGE_TASK_ID": "1", "QUEUE": "all.q"}):
        limit = find_limit(None, environment)
        assert limit.left() is None and not limit.is_known
        assert find_limit(60.0, environment).left() == 60.0


def test_one_that_hangs_is_given_up(clock, program, monkeypatch):
    program("bjobs", "")
    Path(os.environ["PATH"].split(os.pathsep)[0], "bjobs").write_text("#!/bin/sh\nexec sleep 1000\n")
    monkeypatch.setattr(scheduler_jobs, "_ANSWER_SECONDS", 0.2)
    assert find_limit(None, {"LSB_JOBID": "1"}).left() is None


@pytest.mark.slow
def test_a_job_began_when_its_session_did():
    told = "from xpm_alchem.launchers.workers import scheduler_jobs as s; print(s.steady_time() - s._job_began())"
    script = f"import os, sys, time; time.sleep(1); os.execv(sys.executable, [sys.executable, '-c', '{told}'])"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    assert float(done.stdout) > 0.5
