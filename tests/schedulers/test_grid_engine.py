"""A campaign whose tasks are done by workers in jobs of a real Grid Engine, by the script of docs/schedulers.md."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import SmallCampaign, held
from documented import scripts
from grid_engine import GridEngine, missing
from patience import communicate, scaled, wait_for
from places import NO_SKIPS, python_path

from xpm_alchem.execution.attempts import Attempt

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[GridEngine]:
    """Return a cluster that runs two jobs of the script at once."""
    lacking = missing() or ([] if os.getuid() == 0 else ["root's rights"])
    if lacking:
        message = f"Grid Engine cannot be started here: {', '.join(lacking)} lacking (see README, Tests)"
        pytest.fail(message) if NO_SKIPS else pytest.skip(message)
    engine = GridEngine(tmp_path / "cluster", slots=8)
    try:
        yield engine.start()
    finally:
        engine.stop()


def installed_in(shared: Path) -> None:
    """Make a conda that activates what runs these tests, for a shell that has nothing of their environment."""
    program = shared / "bin" / "xpm-alchem"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m xpm_alchem "$@"\n')
    program.chmod(0o755)
    conda = shared / "miniforge3" / "etc" / "profile.d" / "conda.sh"
    conda.parent.mkdir(parents=True)
    variables = {"HOME": os.environ["HOME"], "PYTHONPATH": python_path(), "PATH": f"{program.parent}:$PATH"}
    exports = "".join(f"  export {name}={value}\n" for name, value in variables.items())
    conda.write_text(f"conda() {{\n{exports}}}\n")


def test_workers_that_are_ended_by_their_limit_stop_at_checkpoints_and_others_go_on(cluster, tmp_path: Path) -> None:
    shared, go_on = tmp_path / "shared", tmp_path / "go on"
    installed_in(shared)
    campaign = SmallCampaign(
        tmp_path / "c",
        edges=[(0, number + 1) for number in range(4)],
        plan={"launcher": {"kind": "workers", "margin": scaled(5)}},
        script=held(until=go_on),
    )
    (shared / "xpm").symlink_to(campaign.path / "workspace")
    driver = campaign.start()
    wait_for(lambda: campaign.is_made, what="the workspace")
    (script,) = scripts("schedulers.md", "Grid Engine")
    (shared / "workers.sh").write_text(script.replace("/shared/", f"{shared}/"))
    limit = 45 + math.ceil(scaled(10))  # a worker takes no task that would get less than 30 s beside the margin
    cluster.call("qsub", "-wd", str(shared), "-t", "1-4", "-l", f"h_rt={limit}", str(shared / "workers.sh"))

    def stopped() -> list[Attempt]:
        found = [attempts[0] for attempts in campaign.attempts().values() if attempts] if campaign.is_made else []
        return [attempt for attempt in found if attempt.outcome is not None]

    wait_for(lambda: len(stopped()) >= 2, seconds=4 * limit, what="the limit of two workers")
    assert {(attempt.outcome, attempt.progress) for attempt in stopped()} == {("timeout", True)}
    go_on.touch()
    out, _ = communicate(driver, 400)
    assert driver.returncode == 0, out
    assert all(set(units.values()) == {1} for units in campaign.units_done().values())
    workers = {attempt.launched_as for attempts in campaign.attempts().values() for attempt in attempts}
    assert len(workers) >= 3  # the two that were ended, and at least one that went on
    cluster.call("qdel", "1")  # with -notify it sends SIGUSR2, and SIGKILL a minute later
    wait_for(lambda: not cluster.call("qstat"), seconds=30, what="the end of the idle workers")
    said = "".join(path.read_text() for path in shared.glob("workers.o*"))
    assert said.count("its time is nearly over") == 2, said
    assert "told to end by SIGUSR2" in said, said
    assert "exceeded hard wallclock time" not in cluster.log()
    assert not list((shared / "xpm" / "pools" / "main" / "workers").glob("*.json"))
