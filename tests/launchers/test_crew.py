"""The attempts of a worker, or of a job: whom it warns."""

from __future__ import annotations

import signal
from pathlib import Path

from xpm_alchem.devices.slots import Slot
from xpm_alchem.launchers import crew
from xpm_alchem.launchers.crew import Child, Crew


class Heard:
    """A process that notes its signals."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


def test_attempts_are_warned_when_less_is_left_than_their_margin(monkeypatch, tmp_path: Path) -> None:
    """They know their limit when they begin; it may be made shorter since, or may not have been known."""
    monkeypatch.setattr(crew, "_AGAIN_SECONDS", 0.0)
    members: Crew[str] = Crew([Slot(0), Slot(1)])
    heard = [Heard(), Heard()]
    for number, margin in enumerate((60.0, 600.0)):
        slot = members.slots[number]
        members.children.append(Child(str(number), tmp_path, slot, heard[number], "launch", margin=margin))
    members.warn(700.0)
    assert [process.signals for process in heard] == [[], []]
    members.warn(599.0)
    assert [process.signals for process in heard] == [[], [signal.SIGUSR1]]
    members.warn()
    assert [process.signals for process in heard] == [[signal.SIGUSR1], [signal.SIGUSR1] * 2]
