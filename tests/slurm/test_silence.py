"""What SLURM does not say proves nothing: answers that are empty, lost, false, or of a program that does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import held
from patience import communicate, hear, wait_for
from slurm_campaigns import SlurmCampaign, calls, finished, kill_with_its_job, wrap

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.launchers.slurm import absence, cancellation

pytestmark = pytest.mark.slurm
TWO = [(0, 1), (1, 2)]
POLLS = 8  # in vain; the first half a minute of them
SOON = {f"{absence.__name__}:{name}": 3.0 for name in ("_SURE_SECONDS", "_UNKNOWN_SECONDS", "_UNDER_WAY_SECONDS")}


def silence(monkeypatch: pytest.MonkeyPatch, place: Path, begun: Path) -> Path:
    """Let squeue answer nothing, with code 0, once a file is there; return where its empty answers are counted."""
    polls = place / "polls"
    wrap(monkeypatch, place / "bin", "squeue", f"test -e {begun} && {{ echo x >> {polls}; exit 0; }}")
    return polls


def all_once(campaign: SlurmCampaign) -> bool:
    """Whether each task was completed by its only attempt."""
    return all([a.outcome for a in attempts] == [Outcome.COMPLETE] for attempts in campaign.attempts().values())


@pytest.mark.parametrize("accounting", [False, True])
def test_nothing_that_runs_is_given_up_while_squeue_answers_nothing(
    start_cluster, tmp_path: Path, monkeypatch, accounting: bool
) -> None:
    cluster = start_cluster(accounting=accounting)
    silent, go_on = tmp_path / "silent", tmp_path / "go on"
    polls = silence(monkeypatch, tmp_path, silent)
    campaign = SlurmCampaign(tmp_path / "c", edges=TWO, script=held(until=go_on))
    driver = campaign.start()
    campaign.wait_until_at_work(2, units=1)
    silent.touch()
    wait_for(lambda: calls(polls) >= POLLS, seconds=240, what="questions in vain")
    assert len(campaign.at_work()) == 2
    driver.kill()  # the next driver has never heard of these jobs
    communicate(driver)
    driver, heard = campaign.start(), calls(polls)
    wait_for(lambda: calls(polls) >= heard + POLLS, seconds=240, what="questions of the next driver")
    assert len(campaign.at_work()) == 2
    go_on.touch()
    finished(driver)
    assert all_once(campaign)
    silent.unlink()
    assert len(cluster.jobs()) == 2


def test_nothing_that_waits_is_given_up_while_squeue_answers_nothing(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    silent = tmp_path / "silent"
    silent.touch()
    polls = silence(monkeypatch, tmp_path, silent)
    campaign = SlurmCampaign(tmp_path / "c", edges=TWO, together=2)
    driver = campaign.start()
    wait_for(lambda: calls(polls) >= POLLS, seconds=240, what="questions in vain")
    assert not any(campaign.attempts().values())
    cluster.call("scancel", "-n", "others")
    finished(driver)
    assert all_once(campaign)
    silent.unlink()
    assert len([job for job in cluster.jobs() if job["name"] != "others"]) == 2


def test_a_job_that_nobody_knows_and_that_shows_no_life_is_given_up_fenced_off_and_told(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    start_cluster()
    lost = tmp_path / "lost"
    forget = f'$real "$@" | grep -v "^$(cat {lost})|"; exit 0'
    unknown = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
    wrap(
        monkeypatch,
        tmp_path / "bin",
        "squeue",
        f'test -e {lost} && {{ case "$*" in *" -j "*) {unknown} ;; esac; {forget}; }}',
    )
    campaign = SlurmCampaign(tmp_path / "c", script=held(times=1), durations=SOON)
    driver = campaign.start()
    attempt = campaign.wait_for_one()
    lost.write_text(str(attempt.launched_as))
    kill_with_its_job(attempt)
    finished(driver)
    first, second = campaign.one_task()
    assert first.outcome is Outcome.LOST and "SLURM does not know its job" in first.reason
    assert "last sign of life" in first.reason
    assert second.outcome is Outcome.COMPLETE
    (directory,) = (campaign.records.task_path(task) for task in campaign.records.state().tasks.values())
    assert list((directory / "shared").glob("*.generation-1"))


@pytest.mark.parametrize(
    "answer",
    [
        'echo "sbatch: error: the weather is bad" >&2; exit 1',
        "exit 1",
        'echo "sbatch: error: Batch job submission failed: Unexpected message received" >&2; exit 1',
        "exit 0",
        "kill -9 $$",
    ],
)
def test_a_job_that_was_made_although_sbatch_says_otherwise_is_found(
    start_cluster, tmp_path: Path, monkeypatch, answer: str
) -> None:
    cluster = start_cluster()
    made = f'case "$*" in *--test-only*) ;; *) $real "$@" > /dev/null; {answer} ;; esac'
    wrap(monkeypatch, tmp_path / "bin", "sbatch", made)
    campaign = SlurmCampaign(tmp_path / "c", edges=TWO, together=2)
    done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all_once(campaign) and len(cluster.jobs()) == 2


def test_a_job_that_turns_up_when_its_tasks_were_given_to_another_is_cancelled(
    start_cluster, tmp_path: Path, monkeypatch
) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    once, seen = tmp_path / "once", tmp_path / "seen"
    lose = f'test -e {once} || {{ $real "$@" | tee {once} > /dev/null; exit 1; }}'
    wrap(monkeypatch, tmp_path / "bin", "sbatch", f'case "$*" in *--test-only*) ;; *) {lose} ;; esac')
    hide = f'test -e {seen} || {{ $real "$@" | grep -v "^$(cat {once})_"; exit 0; }}'
    wrap(monkeypatch, tmp_path / "bin", "squeue", hide)
    campaign = SlurmCampaign(tmp_path / "c", edges=TWO, together=2, durations=SOON)
    driver = campaign.start()
    lost = wait_for(lambda: once.exists() and once.read_text().strip(), seconds=120, what="the first submission")
    wait_for(
        lambda: len([job for job in cluster.jobs("PD") if job["id"].partition("_")[0] != lost]) == 2,
        seconds=120,
        what="the second submission, beside what is hidden",
    )
    seen.touch()
    wait_for(
        lambda: {job["state"] for job in cluster.jobs() if job["id"].partition("_")[0] == lost} == {"CANCELLED"},
        seconds=120,
        what="the end of the jobs that nobody needs",
    )
    cluster.call("scancel", "-n", "others")
    finished(driver)
    assert all_once(campaign)


def test_scancel_is_run_again_where_it_has_done_nothing(start_cluster, tmp_path: Path, monkeypatch) -> None:
    cluster = start_cluster(nodes=1)
    cluster.call("sbatch", "-c2", "--wrap", "sleep 7200", "-o", "/dev/null", "-J", "others")
    tries = tmp_path / "tries"
    nothing = f"echo x >> {tries}; test $(wc -l < {tries}) -le 2 && exit 0"
    wrap(monkeypatch, tmp_path / "bin", "scancel", nothing)
    again = {f"{cancellation.__name__}:_AGAIN_LEAST": 0.5}
    campaign = SlurmCampaign(tmp_path / "c", edges=TWO, together=2, durations=again)
    driver = campaign.start()
    hear(driver, "submitted", times=2)
    wait_for(lambda: len(cluster.jobs("PD")) == 2, what="their jobs in the queue")
    assert campaign.call("stop", campaign.file).returncode == 3
    communicate(driver)
    wait_for(lambda: calls(tries) > 2 and not cluster.jobs("PD"), what="an empty queue")
