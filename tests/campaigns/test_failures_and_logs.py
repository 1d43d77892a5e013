"""What failed and what was printed, on campaigns that really run."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from campaigns import SmallCampaign
from patience import communicate, end_of, wait_for

from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.task_logs import kept_printed

TASK = "ligand_0_ligand_1_vacuum:1"
KERNEL = {"do": "raise", "message": "GPU kernel timed out at 0x7f12ab, step 3"}


class Following:
    """`xpm-alchem logs -f` of the one task of a campaign, and what it has printed so far."""

    def __init__(self, campaign: SmallCampaign, *options: str) -> None:
        self.process = subprocess.Popen(
            campaign.command("logs", campaign.file, TASK, "-f", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=campaign.path,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed a text."""
        wait_for(lambda: text in "".join(self.lines), seconds=120, what=f"{text!r} in {self.lines}")

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended; return its code and all that it printed."""
        code = end_of(self.process, 120)
        self._reader.join()
        return code, "".join(self.lines)


def directory(campaign: SmallCampaign) -> TaskDirectory:
    (task,) = campaign.records.state().tasks.values()
    return TaskDirectory(campaign.records.task_path(task))


def test_failures_are_grouped_restarted_and_remembered(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1), (1, 2), (2, 3)],
        script={"analyse": KERNEL, "setup": {"do": "kill", "times": 1}},
        plan={"max_retries": 1},
    )
    assert campaign.run().returncode == 1
    view = campaign.json("failures")
    assert view["in_error"] == 3
    (group,) = view["failures"]
    assert len(group["tasks"]) == group["attempts"] == 3
    assert group["example"] == f"RuntimeError: {KERNEL['message']}"
    assert list(group["hosts"].values()) == [3]
    assert group["passing"]
    pattern = shlex.split(group["commands"][0])[4]
    tracebacks = [attempts[-1].traceback or "" for attempts in campaign.attempts().values()]
    assert all(re.search(pattern, traceback) for traceback in tracebacks)
    shown = campaign.call("failures", campaign.file)
    assert shown.returncode == 0
    assert "3 task(s) in error, 1 kind of failure" in shown.stdout
    assert f"restarts add {campaign.file}" in shown.stdout

    campaign.script.unlink()
    done = campaign.call(*shlex.split(group["commands"][0])[1:])
    assert done.returncode == 0, done.stderr
    assert campaign.json("status")["tasks"]["waiting"] == 3
    assert campaign.run().returncode == 0
    view = campaign.json("failures")
    assert view["in_error"] == 0
    assert {group["outcome"]: (len(group["tasks"]), group["now"]) for group in view["restarted"]} == {
        "error": (3, {"complete": 3}),
        "lost": (1, {"complete": 1}),
    }
    assert "no task is in error" in campaign.call("failures", campaign.file).stdout


def test_why_tells_the_story_of_a_task(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        n_steps=2,
        script={
            "simulate 0 step 1": {"do": "print", "text": "stepping"},
            "simulate 0 step 2": {"do": "segfault", "times": 1},
            "analyse": {"do": "raise", "message": "no such overlap"},
        },
    )
    assert campaign.run().returncode == 1
    shown = campaign.call("why", campaign.file, TASK)
    assert shown.returncode == 0
    assert "lost: its process on" in shown.stdout
    assert "-> resume: a lost attempt: retry 1 of 3" in shown.stdout
    assert "-> stop: an error that no restart pattern matches" in shown.stdout
    assert "RuntimeError: no such overlap" in shown.stdout
    view = campaign.json("why", TASK)
    assert [attempt["units_so_far"] for attempt in view["attempts"]] == [1, 2]
    assert view["units_total"] == 3
    assert Path(view["files"]["stderr"]).is_file()
    assert len(view["files"]["unit_failures"]) == 1
    for item in view["commands"]:
        if item["command"].split()[1] != "retry":
            assert (
                subprocess.run(
                    campaign.command(*shlex.split(item["command"])[1:]), cwd=campaign.path, capture_output=True
                ).returncode
                == 0
            )


def test_what_earlier_attempts_printed_is_kept(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        n_steps=2,
        script={
            "setup": {"do": "print", "text": "the first attempt"},
            "simulate 0 step 1": {"do": "kill", "times": 1},
            "analyse": {"do": "print", "text": "the second attempt"},
        },
    )
    assert campaign.run().returncode == 0
    (attempts,) = campaign.attempts().values()
    assert [attempt.outcome for attempt in attempts] == [Outcome.LOST, Outcome.COMPLETE]
    assert set(kept_printed(directory(campaign), "stdout")) == {1}
    latest = campaign.call("logs", campaign.file, TASK)
    first = campaign.call("logs", campaign.file, TASK, "--attempt", 1, "--stream", "stdout")
    assert first.returncode == latest.returncode == 0
    assert latest.stdout.count("the second attempt") == 2  # on stdout and on stderr
    assert "the first attempt" not in latest.stdout
    assert "--attempt 1" in latest.stderr
    assert first.stdout.splitlines()[1:2] == ["the first attempt"]


def test_following_goes_on_over_a_restart_and_ends_with_the_task(tmp_path: Path) -> None:
    kill, end = tmp_path / "kill", tmp_path / "end"
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        n_steps=3,
        script={
            "simulate 0": {"do": "print", "text": "a simulation begins"},
            "simulate 0 step 1": {"do": "wait", "file": str(kill)},
            "simulate 0 step 2": {"do": "kill", "times": 1},
            "simulate 0 step 3": {"do": "wait", "file": str(end)},
            "analyse": {"do": "print", "text": "the last words"},
        },
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and _began(campaign, 1), what="an attempt at work")
    following = Following(campaign)
    following.wait_for("a simulation begins")
    kill.touch()
    following.wait_for("attempt 1 ended: lost")
    following.wait_for("attempt 2 began")
    following.wait_for("run.out (stdout of attempt 2) <==\na simulation begins")
    (shared,) = (path for path in (directory(campaign).path / "shared").iterdir() if path.name.startswith("Simulate"))
    with open(shared / "simulation.log", "w") as log:
        log.write("unit log, line 1\nhalf a line")
        log.flush()
        following.wait_for("unit log, line 1\n")
        log.write(", now whole\n")
    following.wait_for("half a line, now whole\n")
    end.touch()
    code, text = following.ended()
    assert code == 0
    assert "Traceback" not in text
    assert "stdout of attempt 1" in text
    assert text.count("the last words") == 2
    assert text.count("unit log, line 1") == 1
    assert text.endswith("--- the task is complete\n")
    out, _ = communicate(driver, 120)
    assert driver.returncode == 0, out


def _began(campaign: SmallCampaign, number: int) -> bool:
    try:
        return any(len(attempts) >= number for attempts in campaign.attempts().values())
    except Exception:
        return False


@pytest.mark.parametrize("stream", ["stdout", "unit"])
def test_ctrl_c_ends_following_and_nothing_else(tmp_path: Path, stream: str) -> None:
    end = tmp_path / "end"
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, 1)],
        script={
            "setup": {"do": "print", "text": "before"},
            "simulate 0 step 1": {"do": "wait", "file": str(end)},
        },
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and _began(campaign, 1), what="an attempt at work")
    wait_for(lambda: list((directory(campaign).path / "shared").glob("Simulate*")), what="a unit at work")
    (shared,) = (directory(campaign).path / "shared").glob("Simulate*")
    (shared / "unit.log").write_text("before\n")
    following = Following(campaign, "--stream", stream)
    following.wait_for("before")
    following.process.send_signal(signal.SIGINT)
    code, text = following.ended()
    assert code == 0
    assert "Traceback" not in text
    assert "left; the task goes on" in text
    end.touch()
    out, _ = communicate(driver, 120)
    assert driver.returncode == 0, out
    (attempts,) = campaign.attempts().values()
    assert len(attempts) == 1


def test_following_ends_when_the_driver_and_the_attempt_are_gone(tmp_path: Path) -> None:
    campaign = SmallCampaign(
        tmp_path / "c", edges=[(0, 1)], script={"simulate 0": {"do": "wait", "file": str(tmp_path / "never")}}
    )
    driver = campaign.start()
    wait_for(lambda: campaign.is_made and _began(campaign, 1), what="an attempt at work")
    following = Following(campaign)
    following.wait_for("stderr of attempt 1")
    driver.kill()
    driver.communicate()
    ((attempt,),) = campaign.attempts().values()
    psutil.Process(attempt.process.pid).kill()
    code, text = following.ended()
    assert code == 0
    assert text.endswith("--- attempt 1 is over, and nobody drives the campaign: `xpm-alchem run` goes on\n")
