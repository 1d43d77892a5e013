"""What a driver asks of a file system while many attempts are at work: one without events, one where calls are slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from idle_site import batches, begin_all, end_job, make_site
from patience import wait_for
from places import SUPPORT

pytestmark = pytest.mark.slow
TASKS, FEW = 60, 20


class Light:
    """A campaign whose attempts are at work for ever, on a site that has no processes."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, tasks: int, seconds: float = 0.0) -> None:
        monkeypatch.setenv("PATH", os.pathsep.join([str(make_site(path / "bin")), os.environ["PATH"]]))
        launcher = {"kind": "slurm", "time": "24h", "slots": tasks}
        self.campaign = SmallCampaign(path / "c", edges=[(0, n + 1) for n in range(tasks)], plan={"launcher": launcher})
        self.tasks, self.workspace = tasks, (path / "c" / "workspace").resolve()
        self.counts = path / "counts.json"
        order = {"root": str(self.workspace), "seconds": seconds, "counts": str(self.counts)}
        self.command = [sys.executable, str(SUPPORT / "slow_file_system.py"), json.dumps(order)]
        self.driver: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Light:
        with open(self.campaign.path / "driver.out", "wb") as out:
            self.driver = subprocess.Popen(
                [*self.command, "run", str(self.campaign.file)], cwd=self.campaign.path, stdout=out, stderr=out
            )
        jobs = self.workspace / "jobs" / "xpm_alchem.run"
        wait_for(lambda: sum(map(len, batches(self.workspace).values())) == self.tasks)
        wait_for(lambda: len(list(jobs.glob("*/*.pid"))) == self.tasks)
        begin_all(self.workspace)
        return self

    def __exit__(self, *error: object) -> None:
        assert self.driver is not None
        self.driver.terminate()
        self.driver.wait()

    def calls(self) -> Counter[str]:
        return Counter(json.loads(self.counts.read_text())) if self.counts.exists() else Counter()

    def calls_of(self, turns: int) -> Counter[str]:
        """Return the calls of so many turns of the driver's loop: it looks for requests once in each."""
        before = self.calls()
        wait_for(lambda: (self.calls() - before)["/campaigns/small/inbox.jsonl"] >= turns)
        return self.calls() - before

    def ended(self) -> int:
        tasks = self.campaign.records.state().tasks.values()
        return sum(task.status == "error" for task in tasks)


def test_a_driver_asks_no_more_for_many_attempts_than_for_few(tmp_path, monkeypatch):
    with Light(tmp_path, monkeypatch, tasks=TASKS) as light:
        light.calls_of(TASKS)  # until all attempts were looked at once
        calls = light.calls_of(20)
        assert calls.total() < 20 * TASKS / 2, calls.most_common(5)  # it was three for each attempt in each turn


@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_ends_are_noticed_told_or_not_also_where_every_call_takes_a_while(tmp_path, monkeypatch, seconds):
    """Jobs of version 0.1, and of other campaigns, tell nobody: the round finds them."""
    with Light(tmp_path, monkeypatch, tasks=FEW, seconds=seconds) as light:
        batch, scripts = max(batches(light.workspace).items(), key=lambda item: len(item[1]))
        end_job(batch, 0)
        wait_for(lambda: light.ended() == 1)
        told = light.workspace / "campaigns" / "small" / "ended"
        wait_for(lambda: not list(told.iterdir()))
        record = json.loads((batch / "batch.json").read_text())
        del record["campaign"]
        (batch / "batch.json").write_text(json.dumps(record))
        end_job(batch, len(scripts) - 1)
        assert not list(told.iterdir())
        wait_for(lambda: light.ended() == 2)


def test_a_watch_asks_for_the_files_of_a_few_attempts_only(tmp_path, monkeypatch):
    from xpm_alchem.client import Campaign
    from xpm_alchem.watch.picture import Watcher

    with Light(tmp_path, monkeypatch, tasks=TASKS) as light:
        watcher = Watcher(Campaign(light.campaign.records))
        picture = watcher.look()
        assert picture is not None and picture.summary["running"] == TASKS
        from faults import Faults

        asked: list[str] = []
        faults = Faults(light.workspace, lambda call, name, path: asked.append(path))
        with faults.in_force():
            for _ in range(5):
                watcher.look()
        in_tasks = [path for path in asked if "/jobs/" in path]
        assert len(in_tasks) < 5 * TASKS / 2  # it was four for each attempt at work in each look
