"""Several launchers of one campaign: the first is filled, then the next.

Whose a task is stands in its orders: each launcher names its launches in a way of its own. What is said of a task goes
to the launcher that has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.demand import Demand
from xpm_alchem.execution.fence import Orders
from xpm_alchem.launchers.base import AttemptLauncher, Ending, Waiting
from xpm_alchem.launchers.connector import this_machine


class SeveralLaunchers(AttemptLauncher):
    """Hands tasks to the first of some launchers that has a place.

    Parameters
    ----------
    launchers
        In the order in which they are filled; at least one.

    Raises
    ------
    CampaignError
        They count costs in different units: no budget could be kept.
    """

    def __init__(self, launchers: Sequence[AttemptLauncher]) -> None:
        super().__init__(this_machine())
        self.launchers = tuple(launchers)
        self.name = ", ".join(launcher.name for launcher in launchers)
        self._whose: dict[Path, AttemptLauncher] = {}  # tasks at work
        units = dict.fromkeys(launcher.cost_unit for launcher in launchers)
        if len(units) > 1:
            raise CampaignError(
                f"launcher: {self.name} count in different units ({', '.join(units)}). Give them prices in one unit "
                "(docs/budget.md)."
            )

    def launcher_info_code(self) -> str:
        """Return nothing: what is submitted is submitted with one of the launchers."""
        return ""

    # ---------------------------------------------------------------------------------------------- of all together
    @property
    def slots(self) -> int:  # type: ignore[override]
        """Attempts at once."""
        return sum(launcher.slots for launcher in self.launchers)

    @property
    def cost_per_hour(self) -> float:
        """What an hour costs where it costs most; each attempt has its own launcher's price."""
        return max(launcher.cost_per_hour for launcher in self.launchers)

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return self.launchers[0].cost_unit

    @property
    def longest(self) -> float | None:
        """Seconds after which an attempt is surely over."""
        limits = [launcher.longest for launcher in self.launchers]
        return None if None in limits else max(limit for limit in limits if limit is not None)

    def open(self, workspace: Path, campaign: str) -> None:
        """Begin to use all."""
        for launcher in self.launchers:
            launcher.open(workspace, campaign)

    def close(self) -> None:
        """End using them."""
        for launcher in self.launchers:
            launcher.close()

    def check(self) -> str:
        """Return what each says.

        Raises
        ------
        CampaignError
            One of them cannot be used.
        """
        return "; ".join(said for launcher in self.launchers if (said := launcher.check()))

    def avoid(self, devices: Mapping[str, Collection[str]]) -> None:
        """Tell all."""
        for launcher in self.launchers:
            launcher.avoid(devices)

    def ended(self) -> Collection[Path]:
        """Return the tasks of which any has seen the end."""
        return set().union(*(launcher.ended() for launcher in self.launchers))

    def is_settled(self) -> bool:
        """Return whether all have started or handed on what they were given."""
        return all(launcher.is_settled() for launcher in self.launchers)

    def waiting(self) -> dict[Path, Waiting]:
        """Return what waits in any queue."""
        return {path: waiting for launcher in self.launchers for path, waiting in launcher.waiting().items()}

    def news(self) -> list[str]:
        """Return what a user should know and was not told yet."""
        return [sentence for launcher in self.launchers for sentence in launcher.news()]

    def describe(self) -> str:
        """Return all, in order."""
        return "; then ".join(launcher.describe() for launcher in self.launchers)

    def script(self, workspace: Path) -> str:
        """Return what each would run."""
        return "\n".join(launcher.script(workspace) for launcher in self.launchers)

    # ---------------------------------------------------------------------------------------------- who has a place
    def reserve(self, directory: Path, demand: Demand, priority: int) -> bool:
        """Choose the first launcher that has a place."""
        for launcher in self._with_room(apart_from=directory):
            if launcher.reserve(directory, demand, priority):
                self._whose[directory] = launcher
                return True
        return False

    def is_full(self) -> bool:
        """Return whether no launcher has a place."""
        return all(launcher.is_full() for launcher in self._with_room())

    def _with_room(self, apart_from: Path | None = None) -> Iterable[AttemptLauncher]:
        for launcher in self.launchers:
            taken = sum(whose is launcher and path != apart_from for path, whose in self._whose.items())
            if taken < launcher.slots:
                yield launcher

    # -------------------------------------------------------------------------------------------------- of one task
    def of(self, directory: Path) -> AttemptLauncher:
        """Return the launcher that has a task; the first, if none is known to have it."""
        if (whose := self._whose.get(directory)) is not None:
            return whose
        launch = Orders.read(directory).launch
        whose = next((launcher for launcher in self.launchers if launcher.has_made(launch)), None)
        if whose is None:
            return self.launchers[0]
        self._whose[directory] = whose
        return whose

    def prepare(self, directory: Path) -> None:
        """Make a task ready for its launcher."""
        self.of(directory).prepare(directory)

    def has_launched(self, directory: Path) -> bool:
        """Return whether an attempt was started, or may have been."""
        return self.of(directory).has_launched(directory)

    def end_overdue(self, attempt: Attempt) -> bool:
        """End an attempt that outlives its time limit, if it is of this machine's launcher."""
        return attempt.launched_as is None and any(launcher.end_overdue(attempt) for launcher in self.launchers)

    def is_running(self, directory: Path, attempt: Attempt | None) -> bool | None:
        """Return whether an attempt is at work or will be."""
        return self.of(directory).is_running(directory, attempt)

    def is_to_be_asked(self, directory: Path) -> bool:
        """Return whether the task's launcher could say more now."""
        return self.of(directory).is_to_be_asked(directory)

    def ending(self, directory: Path, attempt: Attempt | None) -> Ending:
        """Return how an attempt ended that left no word."""
        return self.of(directory).ending(directory, attempt)

    def cause(self, directory: Path, attempt: Attempt) -> Ending | None:
        """Return why an attempt was told to end."""
        return self.of(directory).cause(directory, attempt)

    def process_spec(self, directory: Path, attempt: Attempt | None) -> dict[str, Any] | None:
        """Return what experimaestro's pid file holds."""
        return self.of(directory).process_spec(directory, attempt)

    def forget(self, directory: Path, *, again: bool) -> None:
        """Take note that the end of a task's attempt was dealt with: its place is free."""
        self.of(directory).forget(directory, again=again)
        self._whose.pop(directory, None)

    def withdraw(self, directory: Path) -> None:
        """End an attempt."""
        self.of(directory).withdraw(directory)

    def ends_alone(self, directory: Path) -> bool:
        """Return whether `withdraw` would end no other task's attempt."""
        return self.of(directory).ends_alone(directory)

    def __str__(self) -> str:
        return f"SeveralLaunchers({self.name})"
