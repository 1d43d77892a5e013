"""Campaigns run through the whole machine, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from campaigns import SmallCampaign, deaf, held
from patience import communicate, hear, run, scaled, wait_for

from xpm_alchem.execution.attempts import Outcome

EDGES = [(0, 1), (1, 2)]


def test_a_campaign_runs_until_its_strategy_is_satisfied(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=EDGES,
        environments=("vacuum", "solvent"),
        plan={"strategy": {"name": "uniform", "settings": {"repeats": 2}}},
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "satisfied" in done.stdout
    results = campaign.json("results")
    assert {row["transformation"]: len(row["repeats"]) for row in results["transformations"]} == {
        f"ligand_{a}_ligand_{b}_{leg}": 2 for a, b in EDGES for leg in ("vacuum", "solvent")
    }
    by_name = {row["transformation"]: row for row in results["transformations"]}
    for edge in results["edges"]:
        a, b = edge["ligand_a"][-1], edge["ligand_b"][-1]
        legs = [by_name[f"ligand_{a}_ligand_{b}_{leg}"]["estimate"] for leg in ("solvent", "vacuum")]
        assert edge["estimate"] == pytest.approx(legs[0] - legs[1])
    assert all(set(counter.values()) == {1} for counter in campaign.units_done().values())


def test_running_a_satisfied_campaign_again_starts_nothing(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    before = (campaign.records.path / "tasks.jsonl").read_bytes()
    assert campaign.run().returncode == 0
    assert (campaign.records.path / "tasks.jsonl").read_bytes() == before


def test_more_repeats_asked_for_later_are_added(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    first = campaign.estimates()["ligand_0_ligand_1_vacuum"]
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 3}})
    done = campaign.run()
    assert done.returncode == 0
    assert "plan changed: strategy.settings" in done.stdout
    after = campaign.estimates()["ligand_0_ligand_1_vacuum"]
    assert len(after) == 3
    assert after[:1] == first


def test_a_time_limit_cuts_a_task_into_slices_that_cost_no_retries(tmp_path: Path) -> None:
    free = SmallCampaign(tmp_path / "free", edges=[(0, 1)])
    assert free.run().returncode == 0
    launcher = {"kind": "local", "slots": 2, "time_limit": scaled(15.0), "margin": 1.0, "grace": scaled(20.0)}
    plan = {"launcher": launcher, "max_retries": 0}
    limited = SmallCampaign(tmp_path / "limited", edges=[(0, 1)], plan=plan, script=held(times=1))
    done = limited.run()
    assert done.returncode == 0, done.stdout
    (attempts,) = limited.attempts().values()
    assert [attempt.outcome for attempt in attempts[:-1]] == [Outcome.TIMEOUT] * (len(attempts) - 1)
    assert len(attempts) >= 2
    assert all("slice" in (attempt.decision_reason or "") for attempt in attempts[:-1])
    assert set(limited.units_done()[next(iter(limited.attempts()))].values()) == {1}
    assert limited.estimates() == free.estimates()


def test_slices_that_are_mostly_lost_are_told_while_they_go_on(tmp_path: Path) -> None:
    launcher = {"kind": "local", "slots": 1, "time_limit": scaled(6.0), "margin": 1.0, "grace": scaled(20.0)}
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script=held(until=tmp_path / "go"),
        plan={"launcher": launcher, "max_retries": 9},
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and campaign.json("summary")["mostly_lost"], what="two slices in vain")
    (one,) = campaign.json("summary")["mostly_lost"]
    assert one["sentence"].startswith("ligand_0_ligand_1_vacuum:1: more than half of its time")
    assert "1 mostly lost" in campaign.json("show")["rows"][0]["next"]
    assert "computed in vain" in campaign.call("status", campaign.file).stdout
    assert "lost" in campaign.call("summary", campaign.file).stdout
    (attempts,) = campaign.attempts().values()
    assert "no checkpoint was reached" in attempts[1].reason and "checkpoint_interval" in attempts[1].reason
    (tmp_path / "go").touch()
    assert driver.wait(timeout=scaled(120)) == 0


def test_an_attempt_that_does_not_stop_is_killed_after_its_limit(tmp_path: Path) -> None:
    launcher = {"kind": "local", "slots": 1, "time_limit": scaled(8.0), "margin": 0.5, "grace": 0.5}
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script=deaf(tmp_path / "never"),
        plan={"launcher": launcher, "max_retries": 1},
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    (attempts,) = campaign.attempts().values()
    assert attempts[0].outcome is Outcome.TIMEOUT
    assert "killed at its time limit" in attempts[0].reason


@pytest.mark.parametrize("order", [{"do": "stop"}, {"do": "hold", "seconds": 600}], ids=["stopped", "native code"])
@pytest.mark.parametrize("by", ["the driver", "its watchdog"])
def test_an_attempt_that_cannot_end_itself_is_ended_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: dict, by: str
) -> None:
    """The driver ends it where nothing else can; where no driver runs, a watchdog does."""
    launcher = {"kind": "local", "slots": 1, "time_limit": scaled(8.0), "margin": 0.5, "grace": 0.5}
    plan = {"launcher": launcher, "max_retries": 1}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script={"simulate 0": {**order, "times": 1}}, plan=plan)
    if by == "the driver":
        (tmp_path / "empty").mkdir()
        with monkeypatch.context() as patch:
            patch.setenv("PATH", str(tmp_path / "empty"))  # no `timeout`, and so no watchdog
            done = campaign.run()
    else:
        driver = campaign.start()
        (attempt,) = campaign.wait_until_at_work(units=1)
        driver.kill()
        communicate(driver)
        wait_for(lambda: not attempt.process.is_alive(), what="the end of the attempt")
        done = campaign.run()
    assert done.returncode == 0, done.stdout
    (attempts,) = campaign.attempts().values()
    assert [attempt.outcome for attempt in attempts] == [Outcome.TIMEOUT, Outcome.COMPLETE]
    assert "killed at its time limit" in attempts[0].reason


def test_a_failure_is_told_with_its_traceback_and_the_rest_goes_on(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        n_simulations=2,
        script={"simulate 1": {"do": "raise", "message": "NaN in the energy"}},
    )
    done = campaign.run()
    assert done.returncode == 1
    assert "NaN in the energy" in done.stdout
    assert "Traceback" not in done.stderr
    why = campaign.json("why", "ligand_0_ligand_1_vacuum:1")
    assert why["status"] == "error"
    assert "RuntimeError: NaN in the energy" in why["traceback"]
    assert why["attempts"][0]["decision"] == "stop"
    assert why["attempts"][0]["units_done"] == 2  # setup and the other simulation
    assert campaign.run().returncode == 1  # it stays so, and is not run again
    assert len(campaign.json("why", "ligand_0_ligand_1_vacuum:1")["attempts"]) == 1


def test_a_restart_pattern_restarts_what_it_matches(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script={"simulate 0": {"do": "raise", "message": "CUDA_ERROR 700", "times": 2}},
        plan={"restarts": [{"pattern": "CUDA_ERROR", "allowed": 2}]},
    )
    assert campaign.run().returncode == 0
    (attempts,) = campaign.attempts().values()
    # the second attempt fails on the checkpoint directory it inherited and is tried fresh once
    assert attempts[-1].outcome is Outcome.COMPLETE
    assert campaign.units_done()[next(iter(campaign.attempts()))]["setup"] == 1


@pytest.mark.parametrize("death", ["kill", "segfault", "exit"])
def test_a_process_that_dies_without_a_word_is_tried_again(tmp_path: Path, death: str) -> None:
    campaign = SmallCampaign(
        tmp_path / "c", edges=[(0, 1)], script={"simulate 0": {"do": death, "times": 1}}, plan={"max_retries": 1}
    )
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    (attempts,) = campaign.attempts().values()
    assert [attempt.outcome for attempt in attempts] == [Outcome.LOST, Outcome.COMPLETE]


def test_retries_end(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script={"setup": {"do": "kill"}}, plan={"max_retries": 2})
    done = campaign.run()
    assert done.returncode == 1
    (attempts,) = campaign.attempts().values()
    assert len(attempts) == 3  # the first one and two retries
    assert "max_retries" in (attempts[-1].decision_reason or "")


def test_max_retries_of_the_workspace_counts(tmp_path: Path, own_home: Path) -> None:
    settings = own_home / ".config" / "experimaestro" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"workspaces:\n  - {{id: work, path: {tmp_path / 'c' / 'workspace'}, max_retries: 0}}\n")
    campaign = SmallCampaign(
        tmp_path / "c", edges=[(0, 1)], script={"setup": {"do": "kill"}}, plan={"workspace": "work"}
    )
    assert campaign.run().returncode == 1
    (attempts,) = campaign.attempts().values()
    assert len(attempts) == 1


def test_an_exception_while_the_dag_is_created_is_an_error_not_a_loop(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c", edges=[(0, 1)], script={"create": {"do": "raise", "message": "no such force field"}}
    )
    assert campaign.run().returncode == 1
    (attempts,) = campaign.attempts().values()
    assert len(attempts) == 1
    assert "no such force field" in attempts[0].reason


def test_children_die_with_their_attempt(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        n_steps=2,
        script={
            "simulate 0 step 1": {"do": "child", "seconds": 300, "times": 1},
            "simulate 0 step 2": {"do": "kill", "times": 1},
        },
    )
    assert campaign.run().returncode == 0
    left = [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(300)" in " ".join(p.info["cmdline"] or [])]
    assert not [p for p in left if str(tmp_path) in p.environ().get("HOME", "")]


def test_a_second_driver_is_refused_with_the_first_ones_host_and_pid(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=held(until=go_on))
    first = campaign.start()
    wait_for(lambda: _holder(campaign), what="the lock")
    second = campaign.run()
    assert second.returncode == 2
    assert f"pid {first.pid}" in second.stderr
    assert "host" in second.stderr
    assert "since" in second.stderr
    go_on.touch()
    out, _ = communicate(first, 120)
    assert first.returncode == 0, out


def _holder(campaign: SmallCampaign) -> object:
    try:
        return campaign.records.holder()
    except Exception:
        return None


def test_a_signal_detaches_and_the_next_run_takes_the_tasks_up_again(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(
        tmp_path / "c", edges=EDGES, script={"simulate 0 step 1": {"do": "wait", "file": str(go_on)}}
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        driver = campaign.start()
        hear(driver, "submitted|taken up again")
        wait_for(lambda: _running(campaign), what="two running tasks")
        driver.send_signal(number)
        out, _ = communicate(driver, 30)
        assert driver.returncode == 3
        assert "detached" in out
        assert str(campaign.records.path) in out
    go_on.touch()
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    assert all(set(counter.values()) == {1} for counter in campaign.units_done().values())


def test_a_signal_that_python_drops_detaches_nevertheless(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    script = """
        import os, signal, sys, time
        from xpm_alchem.client import Campaign

        class Careless:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.001)

        def observe(event):
            if event.what == "submitted" and not dropped:
                Careless()

        dropped = []
        sys.unraisablehook = lambda what: dropped.append(what.exc_type.__name__)
        code = Campaign.create(sys.argv[1]).run(observe=observe)
        print(dropped)
        sys.exit(code)
        """
    command = [sys.executable, "-c", textwrap.dedent(script), campaign.path / "campaign.yaml"]
    driver = run(command, seconds=100)
    assert (driver.stdout.strip(), driver.returncode) == ("['KeyboardInterrupt']", 3), driver.stderr
    assert campaign.run().returncode == 0


def _running(campaign: SmallCampaign) -> bool:
    try:
        return sum(1 for attempts in campaign.attempts().values() if attempts) >= 2
    except Exception:
        return False


def test_a_killed_driver_is_replaced_and_nothing_runs_twice(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(
        tmp_path / "c", edges=EDGES, script={"simulate 0 step 1": {"do": "wait", "file": str(go_on)}}
    )
    driver = campaign.start()
    wait_for(lambda: _running(campaign), what="two running tasks")
    driver.kill()
    driver.communicate()
    status = campaign.json("status")
    assert status["driver"] is None
    assert status["tasks"]["running"] == 2
    other = campaign.start()
    hear(other, "taken up again")
    go_on.touch()
    printed = communicate(other, 200)[0]
    assert other.returncode == 0, printed
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_results_are_seen_after_the_driver_died(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], n_steps=4, step_seconds=0.3)
    driver = campaign.start()
    wait_for(lambda: any(campaign.attempts().values()) if _holder(campaign) else False, what="an attempt")
    driver.kill()
    driver.communicate()
    wait_for(lambda: campaign.json("status")["tasks"]["complete"] == 1, what="the task's end")
    assert len(campaign.estimates()["ligand_0_ligand_1_vacuum"]) == 1


def test_once_after_once_finishes_the_campaign(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, n_steps=2, step_seconds=0.2)
    codes = []
    for _ in range(40):
        codes.append(campaign.run("--once").returncode)
        if codes[-1] != 3:
            break
    assert codes[-1] == 0
    assert codes[0] == 3
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_detach_and_attach(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], n_steps=6, step_seconds=0.4)
    done = campaign.run("--detach")
    assert done.returncode == 3, done.stderr
    assert "attach" in done.stdout
    attached = campaign.call("attach", campaign.file)
    assert attached.returncode == 0, attached.stdout
    assert "complete" in attached.stdout


def test_looking_works_while_a_driver_runs(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(
        tmp_path / "c", edges=EDGES, script={"simulate 0 step 1": {"do": "wait", "file": str(go_on)}}
    )
    driver = campaign.start()
    wait_for(lambda: _running(campaign), what="two running tasks")
    status = campaign.json("status")
    assert status["driver"]["pid"] == driver.pid
    assert status["tasks"]["running"] == 2
    rows = campaign.json("show")["rows"]
    assert [row["running"] for row in rows] == [1, 1]
    assert campaign.json("summary")["running"] == 2
    assert all(row["estimate"] is None for row in campaign.json("results")["transformations"])
    assert campaign.call("list", "--workspace", campaign.path / "workspace").returncode == 0
    go_on.touch()
    out, _ = communicate(driver, 120)
    assert driver.returncode == 0, out


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    before = sorted(campaign.path.rglob("*"))
    done = campaign.run("--dry-run")
    assert done.returncode == 0
    assert "2 task(s) would be created" in done.stdout
    assert "ligand_0_ligand_1_vacuum:1" in done.stdout
    assert "unknown until the first task" in done.stdout
    assert sorted(campaign.path.rglob("*")) == before
    campaign.run()
    campaign.write_plan(strategy={"name": "uniform", "settings": {"repeats": 2}})
    again = campaign.run("--dry-run").stdout
    assert "expected cost: " in again
    assert "the plan would change: strategy.settings" in again


def test_another_campaign_of_the_workspace_takes_over_results(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    first = campaign.estimates()
    campaign.write_plan(name="second")
    assert campaign.run().returncode == 0
    assert campaign.estimates() == first
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_another_network_under_the_same_name_is_refused(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    SmallCampaign(tmp_path / "c", edges=[(0, 2)])
    done = campaign.run()
    assert done.returncode == 2
    assert "another network" in done.stderr


def test_a_copied_workspace_is_read_and_goes_on(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    (tmp_path / "c").rename(tmp_path / "moved")
    moved = SmallCampaign(
        tmp_path / "moved", edges=[(0, 1)], plan={"strategy": {"name": "uniform", "settings": {"repeats": 2}}}
    )
    assert len(moved.estimates()["ligand_0_ligand_1_vacuum"]) == 1
    assert moved.run().returncode == 0
    assert len(moved.estimates()["ligand_0_ligand_1_vacuum"]) == 2


def test_init_writes_a_campaign_that_runs(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    campaign.file.unlink()
    done = campaign.call("init", "network.json", "--trust", "dummy_protocol", "--name", "small")
    assert done.returncode == 0, done.stderr
    assert "1 transformations" in done.stdout
    assert "one environment only" in done.stdout
    assert campaign.run().returncode == 0
    again = campaign.call("init", "network.json", "--trust", "dummy_protocol")
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.data
def test_init_looks_at_a_real_network_whose_protocol_is_not_installed(tmp_path: Path, tyk2: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xpm_alchem", "init", str(tyk2)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "44 transformations between 32 systems" in done.stdout
    assert "22 ligand pair(s)" in done.stdout
    assert "checkpoint_interval" in done.stdout


def test_the_environment_is_handed_on_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_OF_THE_USER", "kept")
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script={"setup": {"do": "environment", "file": str(tmp_path / "env.json")}},
        plan={"launcher": {"kind": "local", "env": {"OURS": "1"}, "threads": 1}},
    )
    assert campaign.run().returncode == 0
    seen = json.loads((tmp_path / "env.json").read_text())
    assert seen["SOMETHING_OF_THE_USER"] == "kept"
    assert seen["OURS"] == "1"
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["PATH"] == os.environ["PATH"]


def test_a_task_in_error_is_retried_when_the_user_asks(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script={"analyse": {"do": "raise", "times": 1}})
    assert campaign.run().returncode == 1
    assert campaign.call("retry", campaign.file).returncode == 2
    asked = campaign.call("retry", campaign.file, "ligand_0_ligand_1_vacuum:1")
    assert asked.returncode == 0, asked.stderr
    assert campaign.json("status")["tasks"]["waiting"] == 1
    assert campaign.run().returncode == 0
    (counter,) = campaign.units_done().values()
    assert set(counter.values()) == {1}  # what was finished before is kept
    assert campaign.call("retry", campaign.file, "--all").returncode == 2


def test_a_retry_asked_for_while_a_driver_runs_is_taken_in(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1), (1, 2)],
        script={
            "simulate 0": {"do": "raise", "times": 1},
            "simulate 0 step 1": {"do": "wait", "file": str(tmp_path / "go on")},
        },
    )
    driver = campaign.start()
    wait_for(lambda: _holder(campaign) and campaign.json("status")["tasks"]["error"], what="an error")
    asked = campaign.call("retry", campaign.file, "--all")
    assert "within seconds" in asked.stdout
    (tmp_path / "go on").touch()
    communicate(driver, 300)
    assert driver.returncode == 0


def test_a_process_that_fails_before_it_begins_is_told_with_its_exception(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    broken = broken_experimaestro(tmp_path, "ImportError('libcuda.so.1: cannot open shared object file')")
    environment = {"PYTHONPATH": str(broken)}
    campaign.write_plan(launcher={"kind": "local", "env": environment}, default_restarts=False)
    done = campaign.run()
    assert done.returncode == 1, done.stdout
    (attempts,) = campaign.attempts().values()
    assert attempts[-1].outcome is Outcome.ERROR
    assert "ended before it began: ImportError: libcuda.so.1" in attempts[-1].reason
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        # a package that is being imported may catch the exception that a signal raises, and raise one of its own
        ("SyntaxError('Job cancelled by SIGTERM')", Outcome.CANCELLED, "told to end before it began"),
        ("FileNotFoundError(2, 'No such file', '/w/params.json')", Outcome.LOST, "of an earlier launch came too late"),
        ("FileNotFoundError(2, 'No such file', '/w/run.py')", Outcome.LOST, "of an earlier launch came too late"),
    ],
)
def test_a_process_that_ends_before_it_begins_for_no_fault_of_its_own_is_no_error(
    tmp_path: Path, error: str, outcome: Outcome, reason: str
) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    broken = broken_experimaestro(tmp_path, error)
    launcher = {"kind": "local", "env": {"PYTHONPATH": str(broken)}}
    campaign.write_plan(launcher=launcher, max_retries=1)
    assert campaign.run().returncode == 1
    (attempts,) = campaign.attempts().values()
    assert [a.outcome for a in attempts] == [outcome] * 2
    assert all(reason in attempt.reason for attempt in attempts)


def test_a_signal_that_a_package_takes_for_an_error_of_its_own_is_no_error(tmp_path: Path) -> None:
    """As pint does, which reads its definitions while it is imported: experimaestro's exception is gone then."""
    package = tmp_path / "shadow" / "gufe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import os, signal, sys, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
        "except Exception:\n"
        "    print('x' * 10_000, file=sys.stderr)\n"
        "    raise TypeError('No loader function defined') from None\n"
    )
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    campaign.write_plan(launcher={"kind": "local", "env": {"PYTHONPATH": str(package.parent)}}, max_retries=1)
    assert campaign.run().returncode == 1
    (attempts,) = campaign.attempts().values()
    assert [(a.outcome, a.reason) for a in attempts] == [(Outcome.CANCELLED, "told to end before it began")] * 2


def broken_experimaestro(tmp_path: Path, error: str) -> Path:
    """Return a directory whose `experimaestro.run` cannot be imported, as with a broken installation on a node."""
    package = tmp_path / "broken" / "experimaestro"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "run.py").write_text(f"raise {error}\n")
    return package.parent


def test_a_lost_summary_of_a_complete_task_is_made_again(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    assert campaign.run().returncode == 0
    first = campaign.estimates()
    (task,) = campaign.records.state().tasks.values()
    (campaign.records.task_path(task) / "summary.json").write_text("{")
    campaign.write_plan(name="second")
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert campaign.estimates() == first
    assert set(campaign.units_done()[task.task].values()) == {1}
