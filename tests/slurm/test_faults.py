"""What goes wrong on a real cluster, one fault a test: right outcome, right retry, nothing lost, nothing doubled."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from campaigns import SmallCampaign, deaf, held, wake
from patience import communicate, end_of, hear, wait_for, whole_minutes
from slurm_campaigns import SUBMISSION, SlurmCampaign, calls, finished, kill_with_its_job, wrap
from slurm_cluster import whole_seconds

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.launchers.slurm import absence

pytestmark = pytest.mark.slurm

HELD = held(times=1)  # the first attempt waits at its third step, and only its end ends that
MINUTE = 60.0


def fast() -> dict[str, int]:
    """Return settings with which a node fails soon, and what does not end is killed soon."""
    return {"SlurmdTimeout": whole_seconds(10), "KillWait": whole_seconds(3)}


def undisturbed(campaign: SmallCampaign, path: Path) -> bool:
    """Whether a campaign's numbers are those of a local run, and no unit was finished twice."""
    local = SmallCampaign(path / "local", edges=[(0, 1)])
    assert local.run().returncode == 0
    once = all(set(units.values()) == {1} for units in campaign.units_done().values())
    return once and campaign.estimates() == local.estimates()


# ------------------------------------------------------------------------------------------------------- the walltime
def test_a_task_is_stopped_before_its_walltime_and_goes_on_for_free(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    minutes = whole_minutes()
    profile = {"time": f"{minutes}min", "margin": "35s"}
    campaign = SlurmCampaign(tmp_path / "c", profile=profile, plan={"max_retries": 0}, script=HELD)
    assert campaign.run(seconds=300).returncode == 0
    *slices, last = campaign.one_task()
    assert slices and all(a.outcome is Outcome.TIMEOUT and a.progress for a in slices)
    assert all("a slice" in (a.decision_reason or "") for a in slices)
    assert last.outcome is Outcome.COMPLETE and 0 < slices[0].limit <= minutes * MINUTE
    assert set(campaign.units_done().popitem()[1].values()) == {1}


def test_a_task_deaf_to_the_warning_ends_by_sigterm_at_its_walltime(start_cluster, tmp_path: Path) -> None:
    start_cluster(settings={**fast(), "KillWait": whole_seconds(30)})
    profile = {"time": f"{whole_minutes(enough_for=8)}min", "margin": "5s"}
    campaign = SlurmCampaign(tmp_path / "c", script=deaf(tmp_path / "never", signals=["SIGUSR1"]), profile=profile)
    assert campaign.run(seconds=300).returncode == 0
    first, second = campaign.one_task()
    assert first.outcome is Outcome.TIMEOUT and first.reason == "the time limit is near"
    assert second.outcome is Outcome.COMPLETE


def test_a_task_deaf_to_everything_is_killed_at_its_walltime(start_cluster, tmp_path: Path) -> None:
    start_cluster(settings=fast())
    profile = {"time": f"{whole_minutes(enough_for=8)}min", "margin": "5s"}
    campaign = SlurmCampaign(tmp_path / "c", script=deaf(tmp_path / "never"), profile=profile)
    assert campaign.run(seconds=300).returncode == 0
    first, second = campaign.one_task()
    assert first.outcome is Outcome.TIMEOUT and "ended as TIMEOUT" in first.reason
    assert first.progress and "a slice" in (first.decision_reason or "")  # its setup unit was finished
    assert second.outcome is Outcome.COMPLETE


def test_a_limit_that_is_raised_while_a_task_runs_is_used(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    minutes, margin, go_on = whole_minutes(), 30.0, tmp_path / "go on"
    profile = {"time": f"{minutes}min", "margin": f"{margin:g}s"}
    campaign = SlurmCampaign(tmp_path / "c", profile=profile, script=held(until=go_on))
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    cluster.call("scontrol", "update", f"jobid={attempt.launched_as}", f"TimeLimit={minutes + 60}")
    would_have_ended = attempt.start + attempt.limit - margin
    wait_for(lambda: time.time() > would_have_ended + 5.0, seconds=2 * MINUTE * minutes, what="the old limit")
    go_on.touch()
    finished(driver)
    (only,) = campaign.one_task()
    assert only.outcome is Outcome.COMPLETE and only.start + only.seconds > would_have_ended


def test_a_limit_that_is_lowered_while_a_task_runs_is_kept(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(settings=fast())
    campaign = SlurmCampaign(tmp_path / "c", profile={"time": "30min", "margin": "20s"}, script=HELD)
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    ahead = 30.0  # seconds that are left at least, more than the margin: SLURM is to warn it, not to kill it at once
    minutes = math.ceil((time.time() - attempt.start + ahead) / MINUTE)
    cluster.call("scontrol", "update", f"jobid={attempt.launched_as}", f"TimeLimit={minutes}")
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.TIMEOUT and first.progress and first.reason == "the time limit is near"
    assert second.outcome is Outcome.COMPLETE


# --------------------------------------------------------------------------------------------- ended from outside
def test_a_job_that_its_user_cancels_is_told_from_a_failure_and_tried_again(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(accounting=True)
    campaign = SlurmCampaign(tmp_path / "c", plan={"max_retries": 1}, script=HELD)
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    cluster.call("scancel", str(attempt.launched_as))
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.CANCELLED and "ended as CANCELLED" in first.reason
    assert "being cancelled: retry 1 of 1" in str(first.decision_reason)
    assert second.outcome is Outcome.COMPLETE
    assert undisturbed(campaign, tmp_path)


def test_a_job_that_is_cancelled_while_it_waits_is_submitted_again(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    polls = tmp_path / "polls"
    note = f'case "$*" in *"-u "*) echo begin >> {polls}; $real "$@"; code=$?; echo end >> {polls}; exit $code ;; esac'
    wrap(monkeypatch, tmp_path / "bin", "squeue", note)
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], together=2)
    driver = campaign.start()
    ours = wait_for(lambda: [j for j in cluster.jobs("PD") if j["name"].startswith("small-")], what="pending jobs")
    before = calls(polls)

    def has_polled() -> bool:
        """Whether a poll of the driver's that began from then on has ended."""
        since = polls.read_text().splitlines()[before:] if polls.exists() else []
        return "begin" in since and "end" in since[since.index("begin") :]

    wait_for(has_polled, seconds=120, what="the driver to see that they wait")
    cluster.call("scancel", ours[0]["id"])
    cluster.call("scancel", "-n", "others")
    finished(driver)
    outcomes = sorted([a.outcome for a in attempts] for attempts in campaign.attempts().values())
    assert outcomes == [[Outcome.CANCELLED, Outcome.COMPLETE], [Outcome.COMPLETE]]


def test_a_job_that_is_killed_without_a_word_is_tried_again(start_cluster, tmp_path: Path) -> None:
    start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", script=HELD)
    driver = campaign.start()
    psutil.Process(campaign.wait_for_one().process.pid).kill()
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.LOST and "was killed by SIGKILL" in first.reason
    assert second.outcome is Outcome.COMPLETE
    assert undisturbed(campaign, tmp_path)


def test_preemption_with_grace_time_keeps_the_checkpoint(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(
        nodes=1,
        settings={"PreemptType": "preempt/partition_prio", "PreemptMode": "CANCEL"},
        partitions=(
            "low Nodes=n1 Default=YES State=UP PriorityTier=1 GraceTime=5 MaxTime=1-0 DefaultTime=10",
            "high Nodes=n1 State=UP PriorityTier=10 MaxTime=1-0 DefaultTime=10",
        ),
    )
    campaign = SlurmCampaign(tmp_path / "c", profile={"cpus": 2, "partition": "low"}, script=HELD)
    driver = campaign.start()
    campaign.wait_for_one()
    cluster.call("sbatch", "-p", "high", "-c2", "--wrap", "sleep 2", "-o", "/dev/null")
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.PREEMPTED and first.progress
    assert second.outcome is Outcome.COMPLETE
    assert undisturbed(campaign, tmp_path)


def test_a_requeue_from_outside_makes_no_second_attempt_beside_ours(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster()
    campaign = SlurmCampaign(tmp_path / "c", script=HELD)
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    cluster.call("scontrol", "update", f"jobid={attempt.launched_as}", "requeue=1")
    cluster.call("scontrol", "requeue", str(attempt.launched_as))
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.CANCELLED
    assert second.outcome is Outcome.COMPLETE
    assert undisturbed(campaign, tmp_path)


# ------------------------------------------------------------------------------------------------------ dead nodes
def test_a_node_that_is_set_down_is_avoided_by_the_next_attempt(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(settings=fast())
    campaign = SlurmCampaign(tmp_path / "c", script=HELD)
    driver = campaign.start()
    node = campaign.wait_for_one().node
    cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    cluster.call("scontrol", "update", f"nodename={node}", "state=resume", check=False)  # it may be up again by itself
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome in (Outcome.NODE_FAILURE, Outcome.CANCELLED)  # where its process could say so itself
    assert second.outcome is Outcome.COMPLETE
    assert first.outcome is Outcome.CANCELLED or second.node != node
    assert undisturbed(campaign, tmp_path)


def test_an_orphan_of_a_dead_node_changes_nothing_any_more(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(settings=fast())
    fifo = tmp_path / "fifo"
    campaign = SlurmCampaign(tmp_path / "c", script=deaf(fifo, at="simulate 0 step 3"))
    driver = campaign.start()
    first = campaign.wait_for_one()
    cluster.end(str(first.node))  # kill -9 of slurmd; its job's process lives on
    finished(driver)
    orphan = first.process
    assert orphan.is_alive()
    directory = campaign.records.task_path(next(iter(campaign.records.state().tasks.values())))
    files = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    wake(fifo)
    wait_for(lambda: not orphan.is_alive(), seconds=150, what="the orphan's end")
    its_own = ("checkpoint.json", "run.1.err", "run.1.out")  # in directories and logs of its own, read by nobody
    changed = {path for path, content in files.items() if path.read_bytes() != content}
    assert all(path.name in its_own and ".generation-" not in path.parent.name for path in changed), changed
    one, two = campaign.one_task()
    assert one.outcome is Outcome.NODE_FAILURE and one.node != two.node
    assert two.outcome is Outcome.COMPLETE
    assert undisturbed(campaign, tmp_path)


# --------------------------------------------------------------------------------------------- SLURM's own daemons
def test_a_controller_that_is_down_for_a_minute_during_submission_loses_nothing(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(settings={"MessageTimeout": whole_seconds(3)})
    tries = tmp_path / "tries"
    wrap(monkeypatch, tmp_path / "bin", "squeue", f"echo x >> {tries}")  # asked once nobody knows what sbatch did
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)])
    cluster.end("slurmctld")
    driver = campaign.start()
    wait_for(lambda: calls(tries) >= 3, seconds=120, what="three questions in vain")  # as many as in a minute
    assert driver.poll() is None
    cluster.start_slurmctld()
    out = finished(driver)
    assert "SLURM does not answer" in out
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())
    wait_for(lambda: len(cluster.jobs("CD")) == 3, what="the end of the jobs")
    assert len(cluster.jobs()) == 3


def test_a_controller_that_is_down_does_not_keep_running_tasks_from_finishing(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(settings={"MessageTimeout": whole_seconds(3)})
    go_on = tmp_path / "go on"
    campaign = SlurmCampaign(tmp_path / "c", script=held(until=go_on))
    driver = campaign.start()
    campaign.wait_for_one()
    cluster.end("slurmctld")
    go_on.touch()
    finished(driver)  # with the controller still down: what the disk says counts
    (only,) = campaign.one_task()
    assert only.outcome is Outcome.COMPLETE
    cluster.start_slurmctld()


def test_a_graceful_stop_works_while_the_controller_is_down_for_a_minute(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(nodes=1, settings={"MessageTimeout": whole_seconds(3)})
    tries = tmp_path / "tries"
    wrap(monkeypatch, tmp_path / "bin", "scancel", f'$real "$@" || {{ code=$?; echo x >> {tries}; exit $code; }}; exit')
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2), (2, 3)], script=held(times=2))
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    cluster.end("slurmctld")
    stop = campaign.path / "stop.out"
    with open(stop, "w") as out:
        stopping = subprocess.Popen(campaign.command("stop", campaign.file), stdout=out, stderr=out)

    def outcomes() -> list[Outcome | None]:
        return [attempt.outcome for attempts in campaign.attempts().values() for attempt in attempts]

    # they keep their state without SLURM's help
    wait_for(lambda: outcomes() == [Outcome.CANCELLED] * 2, seconds=120, what="the end of both attempts")
    wait_for(lambda: calls(tries) >= 2, seconds=120, what="two tries in vain to cancel what waits")
    assert stopping.poll() is None and outcomes() == [Outcome.CANCELLED] * 2
    cluster.start_slurmctld()
    assert end_of(stopping, 120) == 3, stop.read_text()
    communicate(driver, 30)
    wait_for(lambda: not cluster.jobs("PD,R,CG"), what="an empty queue")
    assert campaign.json("status")["tasks"]["waiting"] == 3


def test_a_job_id_that_a_crashed_controller_gives_away_again_is_not_taken_for_ours(
    start_cluster, tmp_path: Path
) -> None:
    cluster = start_cluster(nodes=1)
    filler = cluster.call(
        "sbatch", "--parsable", "-c2", "-J", "filler", "-o", "/dev/null", "--wrap", "sleep 7200"
    ).strip()
    wait_for(lambda: cluster.jobs("R"), what="the filler")
    cluster.call("scontrol", "update", f"jobid={filler}", "Comment=it runs")
    saved = cluster.path / "state" / "job_state"
    wait_for(lambda: saved.exists() and b"it runs" in saved.read_bytes(), what="the controller's saving of its state")
    shutil.copytree(cluster.path / "state", tmp_path / "state")
    campaign = SlurmCampaign(tmp_path / "c")
    driver = campaign.start()
    batches = campaign.path / "workspace" / "slurm"
    ours = wait_for(lambda: [path.read_text().strip() for path in batches.glob("*/job")], what="our job")[0]
    cluster.end("slurmctld")
    shutil.rmtree(cluster.path / "state")
    shutil.copytree(tmp_path / "state", cluster.path / "state")  # as after a crash just after our sbatch
    cluster.start_slurmctld()
    wait_for(lambda: cluster.call("squeue", "-h", check=False), what="the controller")
    go_on = tmp_path / "go on"  # until then the job that has our id is at work, whatever the driver does
    waits = f"test $SLURM_JOB_ID -lt {ours} || while [ ! -e '{go_on}' ]; do sleep 0.2; done"
    theirs = ("sbatch", "--parsable", "-J", "theirs", "-o", "/dev/null", "--wrap", waits)
    while int(cluster.call(*theirs)) < int(ours):
        pass
    cluster.call("scancel", "-n", "filler")
    finished(driver, 180)
    assert campaign.one_task()[-1].outcome is Outcome.COMPLETE
    go_on.touch()
    named = [job["id"] for job in cluster.jobs() if job["name"] == "theirs"]
    wait_for(lambda: {job["id"] for job in cluster.jobs("CD")} >= set(named), what="the end of their jobs")
    assert ours in named


def test_accounting_that_is_down_delays_and_confuses_nothing(start_cluster, tmp_path: Path) -> None:
    cluster = start_cluster(accounting=True, settings={"MinJobAge": 2})
    go_on = tmp_path / "go on"
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], script=held(until=go_on))
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    cluster.end("slurmdbd")
    driver.kill()
    communicate(driver)
    driver = campaign.start()
    hear(driver, "taken up again", times=2)
    go_on.touch()
    finished(driver)
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_sacct_that_is_missing_for_a_while_is_waited_for(start_cluster, tmp_path: Path, monkeypatch) -> None:
    start_cluster(accounting=True, settings={"MinJobAge": 2})
    broken = tmp_path / "broken"
    broken.touch()
    asked, forgotten = tmp_path / "asked", tmp_path / "forgotten"
    fail = f'echo x >> {asked}; echo "sacct: error: dlopen" >&2; exit 1'
    wrap(monkeypatch, tmp_path / "bin", "sacct", f"test -e {broken} && {{ {fail}; }}")
    forget = f'$real "$@" | grep -v "^$(cat {forgotten})|"; exit 0'
    wrap(monkeypatch, tmp_path / "bin", "squeue", f"test -e {forgotten} && {{ {forget}; }}")
    campaign = SlurmCampaign(tmp_path / "c", script=HELD)
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    forgotten.write_text(str(attempt.launched_as))  # as a controller that has forgotten the job
    kill_with_its_job(attempt)
    wait_for(lambda: calls(asked) >= 3, seconds=120, what="three questions in vain")
    assert campaign.one_task()[-1].outcome is None  # not knowing is not knowing that it is over
    broken.unlink()
    wait_for(lambda: campaign.one_task()[0].outcome, what="the verdict")
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.LOST and "ended as FAILED" in first.reason
    assert second.outcome is Outcome.COMPLETE


@pytest.mark.parametrize("accounting", [False, True])
def test_a_prologue_that_fails_tells_its_code_and_its_cause(start_cluster, tmp_path: Path, accounting: bool) -> None:
    start_cluster(accounting=accounting)
    profile = {"prologue": ["echo the licence server is down >&2", "exit 3"]}
    campaign = SlurmCampaign(tmp_path / "c", plan={"max_retries": 0}, profile=profile)
    assert campaign.run().returncode == 1
    (attempt,) = campaign.one_task()
    assert re.search("exit code 3(:0)? before the attempt began", attempt.reason), attempt.reason
    assert attempt.reason.endswith("its log ends with: the licence server is down")
    for arguments in (("why", campaign.file, "ligand_0_ligand_1_vacuum:1"), ("failures", campaign.file)):
        assert "the licence server is down" in " ".join(campaign.call(*arguments).stdout.split())


def test_an_sbatch_that_fails_five_times_is_tried_a_sixth_time(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster()
    count = tmp_path / "count"
    fail = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    wrap(
        monkeypatch,
        tmp_path / "bin",
        "sbatch",
        f'case "$*" in *--test-only*) ;; *) echo x >> {count}; test $(wc -l < {count}) -le 5 && {{ {fail}; }} ;; esac',
    )
    soon = {f"{SUBMISSION}:_RETRY_LEAST": 0.2, f"{absence.__name__}:_UNDER_WAY_SECONDS": 3.0}  # after each failure
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], together=2, durations=soon)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(count.read_text().split()) == 6
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_an_sbatch_whose_answer_is_lost_submits_nothing_twice(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster()
    once = tmp_path / "once"
    wrap(
        monkeypatch,
        tmp_path / "bin",
        "sbatch",
        f'case "$*" in *--test-only*) ;; *) test -e {once} || {{ touch {once}; /usr/bin/sbatch "$@" > /dev/null; '
        'echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1; } ;; esac',
    )
    campaign = SlurmCampaign(tmp_path / "c", edges=[(0, 1), (1, 2)], together=2)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cluster.jobs()) == 2
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def time_zone_of_midnight() -> str:
    """Return a POSIX time zone in which it was midnight a second ago."""
    now = datetime.now(UTC)
    ahead = timedelta(days=1, seconds=1) - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    return f"XXX-{ahead // timedelta(hours=1)}:{ahead.seconds // 60 % 60:02d}:{ahead.seconds % 60:02d}"


def test_a_job_that_ended_before_midnight_while_no_driver_runs_gets_its_outcome(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(accounting=True, settings={"MinJobAge": 2})
    campaign = SlurmCampaign(tmp_path / "c", script=held())
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    driver.kill()
    communicate(driver)
    kill_with_its_job(attempt)
    wait_for(lambda: not cluster.jobs(), seconds=90, what="the controller's forgetting")
    monkeypatch.setenv("TZ", time_zone_of_midnight())
    assert subprocess.check_output(["date", "+%H:%M"], text=True).strip() == "00:00"
    driver = campaign.start()
    wait_for(lambda: campaign.one_task()[0].outcome, seconds=90, what="the verdict")
    driver.terminate()
    communicate(driver, 30)
    first = campaign.one_task()[0]
    assert first.outcome is Outcome.LOST and "ended as FAILED" in first.reason


def test_a_node_on_which_different_tasks_fail_is_avoided(start_cluster, tmp_path: Path) -> None:
    start_cluster(nodes=2)
    campaign = SlurmCampaign(
        tmp_path / "c",
        edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)],
        script={"simulate 0": {"do": "raise", "message": "the fan is loud", "on": "n1"}},
        profile={"cpus": 1},
        plan={"restarts": [{"pattern": "the fan is loud", "allowed": 20}]},
        n_steps=4,
        step_seconds=0.5,
    )
    done = campaign.run(seconds=300)
    assert done.returncode == 0, done.stdout
    assert "n1: " in done.stdout and "no tasks are sent there for 24 h" in done.stdout
    (failing,) = campaign.json("status")["failing_hosts"]
    assert (failing["host"], failing["avoided"]) == ("n1", True)
    attempts = [attempt for task in campaign.attempts().values() for attempt in task]
    assert {a.node for a in attempts if a.outcome is Outcome.COMPLETE} == {"n2"}
    batches = [path.read_text() for path in (tmp_path / "c" / "workspace" / "slurm").rglob("*.sh")]
    assert any("--exclude=n1" in batch for batch in batches)


def test_where_every_node_would_be_avoided_none_is(start_cluster, tmp_path: Path) -> None:
    start_cluster(nodes=1)
    campaign = SlurmCampaign(tmp_path / "c", script={"setup": {"do": "kill", "times": 1}})
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no node is left beside those that are avoided" in done.stdout
    first, second = campaign.one_task()
    assert (first.outcome, second.outcome) == (Outcome.LOST, Outcome.COMPLETE)
    assert (first.node, second.node) == ("n1", "n1")
