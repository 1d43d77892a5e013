"""A campaign of an ordinary user on a real SLURM whose commands lie: see lying_program.py."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import forked
from ordinary_user import USER, UsersCampaign, open_cluster, open_place, users_python
from patience import Patience, end_of
from places import SUPPORT, python_path

from xpm_alchem.execution.attempts import Outcome

PROGRAMS = ("squeue", "sacct", "sbatch", "scancel")
REPEATS, STEPS, NODES = 10, 4, 4


def install(place: Path, *, seed: int, rate: float, spell: float, late: float) -> Path:
    """Make a directory of programs that lie; it is to stand first on PATH.

    Parameters
    ----------
    rate
        How often an answer is not simply true, from 0 to 1.
    spell, late
        Most seconds for which nothing is answered at all, and for which an answer takes.
    """
    place.mkdir()
    (place / "answers").mkdir()
    real = {name: shutil.which(name) for name in PROGRAMS}
    content = {"seed": seed, "rate": rate, "spells": 0.03, "spell": spell, "late": late, "real": real}
    (place / "lie.json").write_text(json.dumps(content))
    body = (SUPPORT / "lying_program.py").read_text()
    for name in PROGRAMS:
        (place / name).write_text(f"#!{users_python()} -IS\n{body}")
        (place / name).chmod(0o755)
    for path in [place, *place.rglob("*")]:
        os.chown(path, USER, USER)
    return place


def lying_site(
    *, tasks: int, seconds: float, seed: int, accounting: bool, rate: float = 0.4, patience: float = 300.0
) -> list[str]:
    """Run a campaign there to its end and print what was seen.

    Parameters
    ----------
    tasks
        A multiple of `REPEATS`.
    seconds
        How long it takes at the least, about.
    patience
        Seconds without any change that count as hung.

    Returns
    -------
    list
        What was wrong, in sentences.
    """
    before, wrong = dict(os.environ), list[str]()
    with open_place() as place:
        cluster = open_cluster(place, nodes=NODES, accounting=accounting)
        try:
            os.environ |= {"SLURM_CONF": str(cluster.conf), "PYTHONPATH": python_path(), "XPM_ALCHEM_TEST_REAL": "1"}
            cluster.start()
            campaign = _campaign(place / "c", tasks=tasks, seconds=seconds)
            lies = install(
                place / "lies", seed=seed, rate=rate, spell=min(60.0, seconds / 2), late=min(8.0, seconds / 6)
            )
            os.environ["PATH"] = f"{lies}{os.pathsep}{before['PATH']}"
            began = time.time()
            driver = campaign.start("--quiet")
            _wait(campaign, driver, patience, wrong)
            os.environ["PATH"] = before["PATH"]
            took = time.time() - began
            told = Counter(line.split(" ", 1)[1] for line in (lies / "lies.log").read_text().splitlines())
            print(f"{tasks} tasks in {took:.0f} s; the driver ended with {driver.returncode}")
            for what, count in sorted(told.items()):
                print(f"  {what}: {count}")
            if driver.returncode != 0:
                wrong.append(
                    f"the driver ended with {driver.returncode}: {(driver.stdout.read() if driver.stdout else '')}"
                )
            _check(campaign, tasks, wrong)
            _check_jobs(cluster, tasks, wrong)
        finally:
            cluster.stop()
            os.environ.clear()
            os.environ |= before
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    return wrong


def _campaign(path: Path, *, tasks: int, seconds: float) -> UsersCampaign:
    edges = list(itertools.islice(itertools.combinations(range(60), 2), tasks // REPEATS))
    at_once = 2 * NODES
    uniform = {"name": "uniform", "settings": {"repeats": REPEATS}, "max_tasks_per_transformation": REPEATS}
    return UsersCampaign(
        path,
        edges=edges,
        profile={"slots": 5 * at_once, "cpus": 1},
        plan={"strategy": uniform},
        n_steps=STEPS,
        step_seconds=seconds * at_once / tasks / STEPS,
    )


def _wait(campaign: UsersCampaign, driver: forked.Popen, patience: float, wrong: list[str]) -> None:
    """Wait for the driver's end; a campaign in which nothing happens any more hangs."""
    seen, hung, told = -1, Patience(patience), time.time()
    while driver.poll() is None:
        tasks = campaign.records.state().tasks.values() if campaign.is_made else ()
        done = sum(task.status == "complete" for task in tasks)
        if done != seen:
            seen, hung = done, Patience(patience)
        elif hung.is_over():
            wrong.append(f"hung: nothing was completed for {hung}, after {done} tasks")
            driver.terminate()
            end_of(driver, 60)
            return
        if time.time() - told > 60:
            told = time.time()
            print(f"  {time.strftime('%H:%M:%S')} {done} complete", flush=True)
        time.sleep(0.5)


def _check(campaign: UsersCampaign, tasks: int, wrong: list[str]) -> None:
    """Check that every task was completed by its only attempt, and none was fenced off."""
    attempts = campaign.attempts()
    outcomes = Counter(str(attempt.outcome) for several in attempts.values() for attempt in several)
    once = sum([attempt.outcome for attempt in several] == [Outcome.COMPLETE] for several in attempts.values())
    fenced = len(list((campaign.path / "workspace").glob("jobs/*/*/shared/*.generation-*")))
    print(f"attempts: {dict(outcomes)}; tasks completed by their only attempt: {once} of {tasks}; fenced off: {fenced}")
    if once != tasks or len(attempts) != tasks:
        odd = {
            task: [f"{attempt.outcome}: {attempt.reason}" for attempt in several]
            for task, several in attempts.items()
            if [attempt.outcome for attempt in several] != [Outcome.COMPLETE]
        }
        wrong.append(f"not every one of {tasks} tasks was completed once: {odd}")
    if fenced:
        wrong.append(f"{fenced} healthy attempts were given up")


def _check_jobs(cluster, tasks: int, wrong: list[str]) -> None:  # type: ignore[no-untyped-def]
    patience = Patience(90)
    while alive := [job for job in cluster.jobs() if job["state"] in ("PENDING", "RUNNING", "COMPLETING")]:
        if patience.is_over():
            wrong.append(f"left behind: {alive}")
            break
        time.sleep(1.0)
    jobs = cluster.jobs()
    print(f"jobs: {len(jobs)} for {tasks} tasks ({dict(Counter(job['state'] for job in jobs))}); left: {len(alive)}")
