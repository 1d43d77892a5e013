"""Campaigns whose driver's calls on the workspace fail, and what became of them.

    python tests/support/failing_files.py --faults 1000 --seed 1

It prints how many calls failed, and of how many drivers went on or ended with one sentence and its code; it exits with
1 if anything else happened, or if a result is not that of a calm run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import forked
from campaigns import SmallCampaign, calm_estimates
from patience import communicate
from places import SUPPORT

EDGES = [(0, 1), (1, 2)]
ERRORS = ("ESTALE", "EIO", "ENOSPC")
MOST_DRIVERS = 6  # of one campaign: those that end with a sentence are followed by another
_SENTENCE = re.compile(r"Error: .+|.*The driver has ended after .+")


@attrs.define
class Trial:
    """A driver whose calls fail."""

    campaign: SmallCampaign
    log: Path
    order: dict[str, Any]

    @classmethod
    def of(cls, campaign: SmallCampaign, log: Path, **order: Any) -> Trial:
        """Return a trial; `order` as for `faults.install`."""
        root = campaign.path / "workspace"
        root.mkdir(exist_ok=True)
        return cls(campaign, log, {"root": str(root), "log": str(log), **order})

    def run(self) -> tuple[str, int]:
        """Run the driver to its end; return what it printed and its exit code."""
        process = self.start()
        said, _ = communicate(process, 300)
        return said, process.returncode

    def start(self) -> forked.Popen:
        """Start the driver."""
        command = [sys.executable, str(SUPPORT / "faults.py"), json.dumps(self.order), "run", str(self.campaign.file)]
        return forked.Popen(
            command,
            cwd=self.campaign.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
        )

    @property
    def failed(self) -> list[str]:
        """The calls that failed: 'number name errno path' each."""
        return self.log.read_text().splitlines() if self.log.exists() else []


def calm(path: Path, edges: list[tuple[int, int]], repeats: int = 1) -> dict[str, list[float | None]]:
    """Return the estimates of a campaign in which nothing fails."""
    return calm_estimates(path, edges, repeats)


def count_calls(path: Path) -> int:
    """Return how many calls on the workspace a driver makes where nothing fails."""
    campaign = SmallCampaign(path / "counted", edges=EDGES)
    trial = Trial.of(campaign, path / "none", errors=["EIO"], at=[], count=str(path / "count"))
    said, code = trial.run()
    assert code == 0, said
    return int((path / "count").read_text())


def try_faults(
    path: Path, *, faults: int, rounds: int, seed: int, told: Callable[[str], None] = lambda sentence: None
) -> dict[str, Any]:
    """Let calls fail, spread over all that a driver makes, several in each of some campaigns; return what happened.

    Returns
    -------
    dict
        'calls' of a calm driver, 'injected', 'drivers', those that 'went on' and those that ended with one 'sentence',
        and what was 'wrong', in words.
    """
    calls, expected = count_calls(path), calm(path / "calm", EDGES)
    chance, found = random.Random(seed), {"calls": calls, "injected": 0, "drivers": 0, "went on": 0, "sentence": 0}
    wrong: list[str] = []
    numbers = list(range(calls))
    chance.shuffle(numbers)
    each = -(-faults // rounds)
    for turn in range(10 * rounds):
        if found["injected"] >= faults:
            break
        campaign = SmallCampaign(path / f"c{turn}", edges=EDGES)
        left = [numbers[(turn * each + n) % calls] for n in range(each)]
        told(f"{found}, {len(wrong)} wrong")
        for driver in range(MOST_DRIVERS):
            errors = [chance.choice(ERRORS) for _ in left] or ["EIO"]
            trial = Trial.of(campaign, path / f"log{turn}.{driver}", errors=errors, at=left)
            said, code = trial.run()
            found["drivers"] += 1
            found["injected"] += len(trial.failed)
            done = {int(line.split()[0]) for line in trial.failed}
            left = [number for number in left if number not in done and number > max(done, default=-1)]
            if code == 0:
                found["went on"] += 1
                break
            last = said.strip().splitlines()[-1:] or [""]
            if code in (2, 5) and _SENTENCE.fullmatch(last[0]) and "Traceback" not in said:
                found["sentence"] += 1
            else:
                wrong.append(f"c{turn}: code {code} after {trial.failed}\n{said[-3000:]}")
                break
        else:
            wrong.append(f"c{turn}: {MOST_DRIVERS} drivers did not end it")
        if not wrong or not wrong[-1].startswith(f"c{turn}:"):
            wrong += [f"c{turn}: {sentence}" for sentence in _differences(campaign, expected)]
        told("\n".join(sentence for sentence in wrong if sentence.startswith(f"c{turn}:")))
    return {**found, "wrong": wrong}


def _differences(campaign: SmallCampaign, expected: dict[str, list[float | None]]) -> list[str]:
    estimates = campaign.estimates()
    found = [] if estimates == expected else [f"its results are {estimates}, not {expected}"]
    twice = {task: dict(counts) for task, counts in campaign.units_done().items() if set(counts.values()) != {1}}
    return found + ([f"units were made twice: {twice}"] if twice else [])


def main() -> int:
    """Try as many faults as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--each", type=int, default=50, help="faults in one campaign")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    path = Path(tempfile.mkdtemp(prefix="failing-files-"))
    os.environ.update(HOME=str(path), XPM_WORKDIR=str(path / "xpm"), COLUMNS="200")
    found = try_faults(
        path, faults=given.faults, rounds=max(1, given.faults // given.each), seed=given.seed, told=print
    )
    for sentence in found.pop("wrong"):
        print("WRONG", sentence)
        found["wrong"] = found.get("wrong", 0) + 1
    print(", ".join(f"{key} {value}" for key, value in found.items()), f"(in {path})")
    return 1 if found.get("wrong") else 0


if __name__ == "__main__":
    sys.exit(main())
