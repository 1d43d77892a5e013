"""One driver for campaigns on a real SLURM: they share slots and one squeue, and none disturbs another's jobs."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from campaigns import held
from patience import communicate, hear, wait_for, whole_minutes
from slurm_campaigns import wrap
from workspaces import SmallWorkspace

from xpm_alchem.execution.attempts import Outcome

pytestmark = pytest.mark.slurm


def slurm(**profile: Any) -> dict[str, Any]:
    """Return a plan of a profile of SLURM."""
    return {"launcher": {"kind": "slurm", "time": "30min", "margin": "10s", **profile}}


def workspace(path: Path, *names: str, **given: Any) -> SmallWorkspace:
    made = SmallWorkspace(path)
    for name in names:
        made.add(name, **given)
    return made


def jobs_of(cluster: Any, states: str = "PD,R") -> Counter[str]:
    """Return how many jobs each campaign has, by the jobs' names."""
    return Counter(job["name"].rpartition("-")[0] for job in cluster.jobs(states))


def wait_for_end(driver: Any, code: int = 0) -> None:
    out, _ = communicate(driver, 240)
    assert driver.returncode == code, out


def each_once(made: SmallWorkspace) -> bool:
    """Whether every task has one attempt, and finished every unit once."""
    return all(
        all(len(found) == 1 for found in campaign.attempts().values())
        and all(set(units.values()) == {1} for units in campaign.units_done().values())
        for campaign in made.made.values()
    )


def test_campaigns_share_slots_and_one_squeue_and_one_that_is_done_leaves_the_others_alone(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(nodes=4)
    log = tmp_path / "squeue.log"
    spoken = f'echo begun >> {log}; sleep 0.5; $real "$@"; code=$?; echo ended >> {log}; exit $code'
    wrap(monkeypatch, tmp_path / "bin", "squeue", spoken)
    gate = tmp_path / "gate"
    made = SmallWorkspace(tmp_path)
    made.add("heavy", repeats=4, gate=gate, plan=slurm(slots=4))
    made.add("light", repeats=4, gate=gate, plan=slurm(slots=4))
    made.add("short", repeats=1, plan=slurm(slots=20))
    made.call("network", "weight", "heavy", 0.9)
    made.call("network", "weight", "light", 0.3)
    driver = made.start()
    wait_for(lambda: made.tasks("short", "complete") == 1 and not made.shown()["short"]["driver"])
    wait_for(lambda: jobs_of(cluster) == {"heavy": 3, "light": 1})
    gate.touch()
    wait_for_end(driver)
    assert [made.tasks(name, "complete") for name in made.made] == [4, 4, 1]
    assert each_once(made)
    said = log.read_text().split()
    assert len(said) >= 4 and said == ["begun", "ended"] * (len(said) // 2)  # never two of them side by side


def test_a_killed_driver_s_jobs_are_taken_up_and_shared_tasks_are_computed_once(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=2)
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "c", gate=gate, plan=slurm())
    made.add("b", plan={**slurm(), "network": str(tmp_path / "a" / "network.json")})  # its task is a's too
    driver = made.start()
    for campaign in made.made.values():
        campaign.wait_until_at_work(1, units=1)
    driver.send_signal(signal.SIGKILL)
    communicate(driver)
    driver = made.start()
    said = hear(driver, "taken up again", times=3)
    gate.touch()
    wait_for_end(driver)
    assert each_once(made), said
    assert all(made.tasks(name, "complete") == 1 for name in "abc") and len(cluster.jobs()) == 2


def test_attempts_of_all_go_on_after_their_walltime(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    plan = slurm(time=f"{whole_minutes()}min", margin="35s")
    made = workspace(tmp_path, "a", "b", script=held(times=1), plan={**plan, "max_retries": 0})
    made.call("run", "--all")
    for campaign in made.made.values():
        (attempts,) = campaign.attempts().values()
        *slices, last = attempts
        assert slices and all(one.outcome is Outcome.TIMEOUT and one.progress for one in slices)
        assert last.outcome is Outcome.COMPLETE
        assert all(set(units.values()) == {1} for units in campaign.units_done().values())


def test_a_stop_of_one_cancels_only_its_jobs(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1)
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "b", repeats=3, gate=gate, plan=slurm())
    driver = made.start()
    wait_for(lambda: len(cluster.jobs("R")) == 2 and len(cluster.jobs("PD")) == 4, what="six jobs")
    made.call("stop", "a", code=3)
    wait_for(lambda: jobs_of(cluster) == {"b": 3}, what="the jobs of b alone")
    assert made.opened("a").get_network_state() == "inactive"
    wait_for(lambda: len(made.made["b"].at_work(units=1)) == 2, what="b in the slots that a has left", seconds=120)
    gate.touch()
    wait_for_end(driver, code=3)  # a is not finished
    assert made.tasks("b", "complete") == 3 and made.tasks("a", "complete") == 0
    assert all(len(attempts) == 1 for attempts in made.made["b"].attempts().values())
    made.call("network", "state", "a", "active")
    made.call("run", "--all")
    assert made.tasks("a", "complete") == 3
    ended = [attempt.outcome for attempts in made.made["a"].attempts().values() for attempt in attempts]
    assert set(ended) <= {Outcome.CANCELLED, Outcome.COMPLETE} and ended.count(Outcome.COMPLETE) == 3
