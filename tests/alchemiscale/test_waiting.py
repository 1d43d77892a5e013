"""A driver that does not come to what was asked, or is killed before it does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import patience
import pytest
from scoped import ScopedWorkspace

from xpm_alchem.alchemiscale import AlchemiscaleClient, AlchemiscaleConnectionError

pytestmark = pytest.mark.slow
HOLDER = """
import sys
from pathlib import Path
from xpm_alchem.campaign.records import CampaignRecords
with CampaignRecords.open(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def driver_that_does_nothing(campaign: Path) -> Iterator[subprocess.Popen[str]]:
    """Have a process hold a campaign as a driver does, and take in nothing."""
    command = [sys.executable, "-c", HOLDER, str(campaign)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        patience.communicate(process, 60)


def test_a_driver_that_does_not_come_to_it_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    here = ScopedWorkspace(tmp_path)
    network = here.create([(0, 1)])
    hasty = AlchemiscaleClient(here.path, max_retries=1, retry_max_seconds=0.2)
    (edge,) = hasty.get_network_transformations(network)
    with driver_that_does_nothing(here.campaigns[0].path):
        for ask in (lambda: hasty.set_network_weight(network, 0.7), lambda: hasty.create_tasks(edge, count=2)):
            with pytest.raises(AlchemiscaleConnectionError, match="has not taken in"):
                ask()
        assert hasty.get_network_weight(network) == 0.5
    assert here.asc.set_network_state(network, "inactive") == network  # who comes next does what was asked before
    assert here.asc.get_network_weight(network) == 0.7
    assert len(here.asc.get_network_tasks(network)) == 2


def test_what_a_killed_driver_was_asked_is_done_by_who_waits(tmp_path: Path) -> None:
    here = ScopedWorkspace(tmp_path)
    network = here.create([(0, 1)])
    (edge,) = here.asc.get_network_transformations(network)
    campaign = here.campaigns[0]
    with driver_that_does_nothing(campaign.path) as driver:

        def kill_when_asked() -> None:
            patience.wait_for(lambda: campaign.inbox_size() > 0, what="a request")
            driver.kill()

        killer = threading.Thread(target=kill_when_asked)
        killer.start()
        tasks = here.asc.create_tasks(edge, count=2)
        killer.join()
    assert here.asc.get_network_tasks(network) == tasks
    assert len(tasks) == 2
    assert here.asc.action_tasks(tasks, network) == tasks
