"""What root does not see: hidden partitions. Every command here is given by an ordinary user of the cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ordinary_user import UsersCampaign, as_user, open_cluster, open_place, users_python
from patience import run, wait_for
from places import NO_SKIPS
from slurm_cluster import SlurmCluster

from xpm_alchem.execution.attempts import Outcome

pytestmark = pytest.mark.slurm
HIDDEN = ("short Nodes=n[1-2] Default=YES State=UP MaxTime=60 DefaultTime=10 Hidden=YES",)


@pytest.fixture
def place() -> Iterator[Path]:
    if users_python() is None:
        message = "needs root, setpriv, and a Python that an ordinary user may run"
        pytest.fail(message) if NO_SKIPS and os.getuid() == 0 else pytest.skip(message)
    with open_place() as made:
        yield made


@pytest.fixture
def start(place: Path, monkeypatch: pytest.MonkeyPatch, need_slurm: Callable[..., None]) -> Iterator[Any]:
    """Return a function that starts a cluster that an ordinary user may use."""
    clusters: list[SlurmCluster] = []

    def start(**options: Any) -> SlurmCluster:
        need_slurm(accounting=bool(options.get("accounting")))
        clusters.append(open_cluster(place, **options))
        monkeypatch.setenv("SLURM_CONF", str(clusters[-1].conf))
        return clusters[-1].start()

    yield start
    for cluster in clusters:
        cluster.stop()


@pytest.mark.parametrize("accounting", [False, True])
def test_in_a_hidden_partition_every_task_is_run_once(start, place: Path, accounting: bool) -> None:
    cluster = start(nodes=2, partitions=HIDDEN, accounting=accounting)
    listed = run([*as_user(), "squeue", "-h"], seconds=60)
    assert listed.returncode == 0, listed.stderr
    campaign = UsersCampaign(place / "c", edges=[(0, 1), (1, 2), (2, 3), (3, 4)])
    done = campaign.run(seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [[a.outcome for a in attempts] for attempts in campaign.attempts().values()] == [[Outcome.COMPLETE]] * 4
    wait_for(lambda: len(cluster.jobs("CD")) == 4, what="the end of the jobs")
    assert len(cluster.jobs()) == 4
