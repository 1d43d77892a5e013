"""A machine with one broken device of several is no broken machine."""

from __future__ import annotations

import json
from typing import Any

from xpm_alchem.campaign.hosts import AVOIDED_SECONDS, HostHistory

NOW = 1e9


class History(HostHistory):
    """A history of attempts on nodes of four devices."""

    def ended(self, task: str, device: str | None, outcome: str = "error", node: str = "n1", **more: Any) -> None:
        event = {"machine": node, "node": node, "outcome": outcome}
        if device is not None:
            event |= {"devices": [device], "devices_there": 4}
        event |= more
        self.note(task, event, NOW)


def test_a_device_is_avoided_after_two_tasks_while_others_get_on():
    history = History()
    history.ended("a", "2")
    history.ended("a", "2")  # one task says nothing of the device
    assert history.avoided_devices(NOW) == {}
    history.ended("b", "2")
    assert history.avoided_devices(NOW) == {}  # it may be everything
    history.ended("c", "0", "complete")
    assert history.avoided_devices(NOW) == {"n1": ["2"]}
    assert history.avoided_nodes(NOW) == ()
    assert history.failing() == {}
    (said,) = history.sentences(NOW).values()
    assert said.startswith("n1, GPU 2: 2 different tasks failed there one after another")
    assert history.avoided_devices(NOW + AVOIDED_SECONDS + 1) == {}


def test_others_may_get_on_on_another_machine():
    history = History()
    history.ended("c", None, "complete", node="n2")
    history.ended("a", "2")
    history.ended("b", "2")
    assert history.avoided_devices(NOW) == {"n1": ["2"]}
    assert history.avoided_nodes(NOW) == ()


def test_a_machine_is_avoided_when_two_of_its_devices_fail():
    history = History()
    history.ended("c", "0", "complete", node="n2")
    history.ended("a", "2")
    history.ended("b", "3")
    assert history.avoided_nodes(NOW) == ("n1",)
    assert history.avoided_devices(NOW) == {}
    assert "no tasks are sent there" in history.sentence("n1", NOW)


def test_a_machine_whose_only_device_fails_is_avoided_as_before():
    history = History()
    history.ended("c", "0", "complete", node="n2")
    for task in ("a", "b"):
        history.ended(task, "0", devices_there=1)
    assert history.avoided_nodes(NOW) == ("n1",)


def test_a_device_that_gets_on_again_is_used_again():
    history = History()
    history.ended("c", "0", "complete")
    history.ended("a", "2")
    history.ended("b", "2")
    history.ended("d", "2", "timeout", progress=True)
    assert history.avoided_devices(NOW) == {}


def test_it_is_kept_whole():
    history = History()
    history.ended("c", "0", "complete")
    history.ended("a", "2")
    history.ended("b", "2")
    kept = HostHistory.from_plain(json.loads(json.dumps(history.to_plain())))
    assert kept.hosts == history.hosts
    assert kept.avoided_devices(NOW) == {"n1": ["2"]}
