"""Campaigns on a real SLURM cluster when nothing goes wrong: submission, limits of the site, packing, stopping."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import held
from patience import Patience, communicate, hear, wait_for
from slurm_campaigns import ONE_EDGE, SlurmCampaign, wrap

from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempts import Outcome

pytestmark = pytest.mark.slurm

TWO_REPEATS = {"strategy": {"name": "uniform", "settings": {"repeats": 2}}}
EIGHT_REPEATS = {"strategy": {"name": "uniform", "settings": {"repeats": 8}, "max_tasks_per_transformation": 8}}


@pytest.mark.parametrize("accounting", [False, True], ids=["squeue only", "with accounting"])
def test_ready_tasks_go_out_as_one_job_array(start_cluster, tmp_path: Path, accounting: bool) -> None:
    cluster = start_cluster(accounting=accounting)
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)], plan=TWO_REPEATS, together=0)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = cluster.jobs()
    assert len(jobs) == 6
    assert len({job["id"].partition("_")[0] for job in jobs}) == 1  # one sbatch
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    assert {attempt.launched_as for (attempt,) in campaign.attempts().values()} == {job["id"] for job in jobs}
    assert {attempt.node for (attempt,) in campaign.attempts().values()} <= {"n1", "n2", "n3", "n4"}


def test_a_job_gets_what_its_profile_asks_for(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    seen = tmp_path / "environment.json"
    campaign = SlurmCampaign(
        tmp_path / "c",
        script={"setup": {"do": "environment", "file": str(seen)}},
        profile={
            "time": "00:07:00",
            "cpus": 2,
            "mem": "300M",
            "exclude": "n1",
            "prologue": ["export FROM_PROLOGUE=yes"],
            "sbatch": ["--comment=hello"],
            "env": {"GREETING": "good day"},
        },
    )
    assert campaign.run().returncode == 0
    environment = seen.read_text()
    assert '"FROM_PROLOGUE": "yes"' in environment
    assert '"GREETING": "good day"' in environment
    assert '"OMP_NUM_THREADS": "2"' in environment
    job = cluster.call("scontrol", "show", "job", cluster.jobs()[0]["id"])
    for asked in (
        "TimeLimit=00:07:00",
        "NumCPUs=2",
        "MinMemoryNode=300M",
        "ExcNodeList=n1",
        "Comment=hello",
        "Requeue=0",
    ):
        assert asked in job


def test_a_profile_that_the_site_refuses_is_told_before_anything_is_submitted(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", profile={"partition": "gpu"})
    for options in (["--dry-run"], []):
        done = campaign.run(*options)
        assert done.returncode == 2
        assert "SLURM would refuse its jobs" in done.stderr and "invalid partition specified: gpu" in done.stderr
    assert cluster.jobs() == []
    campaign.plan["launcher"]["partition"] = "main"
    campaign.write_plan()
    assert campaign.run().returncode == 0


def test_a_requirement_of_find_launcher_gives_our_slurm_launcher(start_cluster, tmp_path: Path, own_home: Path) -> None:
    cluster = start_cluster()
    (own_home / ".config/experimaestro").mkdir(parents=True)
    (own_home / ".config/experimaestro/launchers.py").write_text(
        "from experimaestro.launchers.slurm import SlurmLauncher, SlurmOptions\n"
        "def find_launcher(requirements, tags=set()):\n"
        "    return SlurmLauncher(options=SlurmOptions(partition='main', time='0:9:0', mem='150M'))\n"
    )
    campaign = SlurmCampaign(tmp_path / "c", plan={"launcher": "duration=2h & cpu(cores=1)"})
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [job["limit"] for job in cluster.jobs()] == ["9:00"]
    assert campaign.one_task()[0].launched_as == cluster.jobs()[0]["id"]


def test_limits_of_the_site_on_arrays_and_jobs_are_found_out_and_kept(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(accounting=True, settings={"MaxArraySize": 4, "AccountingStorageEnforce": "limits"})
    cluster.call("sacctmgr", "-i", "add", "account", "chem")
    cluster.call("sacctmgr", "-i", "add", "user", "root", "account=chem", check=False)
    cluster.call("sacctmgr", "-i", "modify", "user", "root", "set", "account=chem", "DefaultAccount=chem", check=False)
    cluster.call("sacctmgr", "-i", "modify", "user", "root", "where", "account=chem", "set", "MaxSubmitJobs=3")
    go_on = tmp_path / "go on"  # no task ends before too many were submitted
    script = held(until=go_on)
    campaign = SlurmCampaign(tmp_path / "c", plan=EIGHT_REPEATS, profile={"account": "chem"}, script=script, together=8)
    campaign.plan["launcher"]["margin"] = "5s"
    campaign.write_plan()
    wait_for(lambda: "MaxSubmit" in cluster.call("sacctmgr", "show", "assoc", "format=user,account,maxsubmit%20"))
    driver = campaign.start()
    hear(driver, "the cluster takes no more jobs of yours now")
    go_on.touch()
    out, _ = communicate(driver, 400)
    assert driver.returncode == 0, out
    assert campaign.json("status")["tasks"]["complete"] == 8
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_a_cap_keeps_the_number_of_our_jobs_in_the_queue_down(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster()
    log = tmp_path / "sbatch.log"
    wrap(monkeypatch, tmp_path / "bin", "sbatch", f'squeue -h -r -t PD,R | wc -l >> {log}; cat "${{@: -1}}" >> {log}')
    campaign = SlurmCampaign(tmp_path / "c", plan=EIGHT_REPEATS, profile={"slots": 2})
    assert campaign.run().returncode == 0
    arrays = [line for line in log.read_text().splitlines() if line.startswith("#SBATCH --array")]
    assert len(arrays) >= 4 and set(arrays) <= {"#SBATCH --array=0-0", "#SBATCH --array=0-1"}
    assert len(cluster.jobs()) == 8


def test_packing_runs_several_tasks_in_a_job_and_no_task_twice(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    profile = {"tasks_per_job": 4, "side_by_side": 2, "cpus": 2}
    go_on = tmp_path / "go on"  # both jobs take on tasks before one of them could have run all
    script = held(until=go_on)
    campaign = SlurmCampaign(tmp_path / "c", plan=EIGHT_REPEATS, profile=profile, script=script, together=8)
    driver = campaign.start()
    campaign.wait_until_at_work(4)
    go_on.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    assert {attempt.launched_as for (attempt,) in campaign.attempts().values()} == {job["id"] for job in cluster.jobs()}
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())


def test_a_packed_job_that_is_killed_costs_only_what_it_was_at(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    profile = {"tasks_per_job": 4, "cpus": 2}
    plan = {"strategy": {"name": "uniform", "settings": {"repeats": 4}, "max_tasks_per_transformation": 4}}
    script = {"analyse": {"do": "meet", "directory": str(tmp_path), "number": 2}}  # the second task stays there
    campaign = SlurmCampaign(tmp_path / "c", plan=plan, profile=profile, script=script, together=4)
    driver = campaign.start()
    wait_for((tmp_path / "2").exists, what="the second task", seconds=120)
    cluster.call("scancel", cluster.jobs("R")[0]["id"])
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
    assert sum(len(attempts) for attempts in campaign.attempts().values()) <= 5


def test_stop_takes_back_tasks_whose_packed_job_still_waits(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    wait_for(lambda: cluster.jobs("R"), what="the others' job")
    campaign = SlurmCampaign(tmp_path / "c", plan=EIGHT_REPEATS, profile={"tasks_per_job": 4, "cpus": 2}, together=8)
    driver = campaign.start()
    wait_for(lambda: len(cluster.jobs("PD")) == 2, what="two jobs that wait")
    assert campaign.call("stop", campaign.file).returncode == 3
    out, _ = communicate(driver, 60)
    assert driver.returncode == 3, out
    wait_for(lambda: not cluster.jobs("PD"), what="an empty queue")
    assert campaign.json("status")["tasks"]["waiting"] == 8
    assert not any(campaign.attempts().values())
    cluster.call("scancel", "-n", "others")
    assert campaign.run().returncode == 0


def test_full_mode_takes_back_jobs_that_wait_in_the_queue_before_it_stops_one_that_runs(
    start_cluster, tmp_path: Path
) -> None:
    """Two of eight jobs have a place, then three results are wanted: five that wait are cancelled, none that runs."""
    cluster = start_cluster(nodes=1)
    go_on = tmp_path / "go on"
    script = {"simulate 0": {"do": "wait", "file": str(go_on)}}
    campaign = SlurmCampaign(tmp_path / "c", plan=EIGHT_REPEATS, script=script)
    driver = campaign.start()
    wait_for(lambda: len(cluster.jobs("R")) == 2 and len(cluster.jobs("PD")) == 6, what="eight jobs")
    campaign.wait_until_at_work(2, units=1)
    wanted = ("uniform", campaign.file, "-s", "repeats=3", "--mode", "full", "--patience", "0")
    assert campaign.call("strategy", "set", *wanted).returncode == 0
    wait_for(lambda: len(cluster.jobs("PD")) == 1, what="a queue without what is unwanted")
    assert len(cluster.jobs("R")) == 2
    go_on.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    tasks = campaign.records.state().tasks.values()
    assert sorted(str(task.status) for task in tasks) == ["complete"] * 3 + ["waiting"] * 5
    assert all(task.spare for task in tasks if task.status == "waiting")
    ran = [attempts for attempts in campaign.attempts().values() if any(attempt.units for attempt in attempts)]
    assert [attempt.outcome for attempts in ran for attempt in attempts] == [Outcome.COMPLETE] * 3
    assert not cluster.jobs("PD,R,CG")


def test_stop_keeps_checkpoints_cancels_what_waits_and_run_goes_on(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1)
    plan = {"strategy": {"name": "uniform", "settings": {"repeats": 4}, "max_tasks_per_transformation": 4}}
    campaign = SlurmCampaign(tmp_path / "c", plan=plan, script=held(times=2))
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    stop = campaign.call("stop", campaign.file)
    assert stop.returncode == 3, stop.stdout + stop.stderr
    out, _ = communicate(driver, 60)
    assert driver.returncode == 3, out
    wait_for(lambda: not cluster.jobs("PD,R,CG"), what="an empty queue")
    status = campaign.json("status")
    assert status["tasks"]["waiting"] == 4 and status["tasks"]["running"] == 0
    begun = [attempts for attempts in campaign.attempts().values() if attempts and attempts[-1].units_done]
    assert [(a[-1].outcome, a[-1].reason) for a in begun] == [("cancelled", "stopped by the user")] * 2
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())


def test_cancel_now_cancels_the_job_of_an_attempt_that_heeds_nothing(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    go_on = tmp_path / "go on"
    script = {"simulate 0 step 3": {"do": "insist", "file": str(go_on), "times": 1}}
    plan = {"strategy": {"name": "uniform", "settings": {"repeats": 1}, "mode": "disabled"}}
    campaign = SlurmCampaign(tmp_path / "c", script=script, plan=plan)
    Campaign.create(campaign.file).create_tasks("ligand_0_ligand_1_vacuum")
    driver = campaign.start()
    campaign.wait_for_one()
    cancelled = campaign.call("cancel", campaign.file, "ligand_0_ligand_1_vacuum:1", "--now")
    assert cancelled.returncode == 0, cancelled.stdout + cancelled.stderr
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    (attempt,) = campaign.one_task()
    assert (attempt.outcome, attempt.decision) == ("cancelled", "stopped")
    assert not go_on.exists()
    wait_for(lambda: not cluster.jobs("PD,R"), what="an empty queue")
    assert campaign.call("retry", campaign.file, "ligand_0_ligand_1_vacuum:1").returncode == 0
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(next(iter(campaign.units_done().values())).values()) == {1}


def test_cancel_now_of_one_task_of_a_shared_job_leaves_the_others_alone(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    go_on = tmp_path / "go on"
    script = {"simulate 0 step 3": {"do": "wait", "file": str(go_on)}}
    plan = {"strategy": {"name": "uniform", "settings": {"repeats": 1}, "mode": "disabled"}}
    profile = {"tasks_per_job": 2, "side_by_side": 2, "cpus": 2}
    campaign = SlurmCampaign(tmp_path / "c", script=script, plan=plan, profile=profile, together=2)
    Campaign.create(campaign.file).create_tasks("ligand_0_ligand_1_vacuum", count=2)
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    assert campaign.call("cancel", campaign.file, "ligand_0_ligand_1_vacuum:1", "--now").returncode == 0
    wait_for(lambda: next(iter(campaign.attempts().values()))[0].outcome, what="the end of the attempt")
    go_on.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    (first,), (second,) = campaign.attempts().values()
    assert (first.outcome, first.reason, second.outcome) == ("cancelled", "cancelled by the user", "complete")
    assert first.launched_as == second.launched_as


def test_cron_calls_alone_finish_a_campaign_in_which_a_task_dies_without_a_word(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    script = {"simulate 0": {"do": "kill", "times": 1}}
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=script)
    codes, patience = [], Patience(240)
    while (not codes or codes[-1] != 0) and not patience.is_over():
        codes.append(campaign.run("--once").returncode)
    assert codes[-1] == 0 and set(codes[:-1]) == {3}
    assert sorted(len(attempts) for attempts in campaign.attempts().values()) == [1, 2]
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())


def test_a_second_driver_is_refused_and_a_second_campaign_runs_no_task_again(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    go_on = tmp_path / "go on"
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=held(until=go_on))
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    refused = campaign.run()
    assert refused.returncode == 2 and "is driven by another process" in refused.stderr
    campaign.write_plan(name="other")
    other = campaign.start()
    said = hear(other, "taken up again", times=2)
    go_on.touch()
    first, _ = communicate(driver, 120)
    second, _ = communicate(other, 120)
    assert (driver.returncode, other.returncode) == (0, 0), first + said + second
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_a_driver_that_is_killed_leaves_its_jobs_and_the_next_one_takes_them_up(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(nodes=1)
    go_on = tmp_path / "go on"
    edges = [(0, 1), (1, 2), (2, 3)]
    campaign = SlurmCampaign(tmp_path / "c", edges=edges, script=held(until=go_on), together=3)
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    driver.kill()
    communicate(driver)
    assert len(cluster.jobs("R")) == 2 and len(cluster.jobs("PD")) == 1
    driver = campaign.start()
    hear(driver, "taken up again", times=3)
    go_on.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0, out
    assert len(cluster.jobs()) == 3  # nothing was submitted twice
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_an_sbatch_loop_of_one_edge_needs_no_array(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(settings={"MaxArraySize": 0})
    campaign = SlurmCampaign(tmp_path / "c", edges=ONE_EDGE, plan=TWO_REPEATS)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cluster.jobs()) == 2 and not any("_" in job["id"] for job in cluster.jobs())
