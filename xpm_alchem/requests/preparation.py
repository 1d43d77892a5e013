"""A campaign.yaml with everything it names, checked before anything is made or started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.paths import absolute, is_there
from xpm_alchem.campaign.experimental import read_experimental
from xpm_alchem.campaign.records import CampaignRecords, campaign_path
from xpm_alchem.campaign.task_state import CampaignState, grouped, number_repeats
from xpm_alchem.campaign.workspace import UserSettings, check_writable, find_workspace, read_settings
from xpm_alchem.network.loading import Network, load_network, read_network
from xpm_alchem.plan.campaign_yaml import Plan, read_plan, read_plan_text


@attrs.frozen
class Forecast:
    """What `Campaign.run` would do; nothing was changed to find out.

    Attributes
    ----------
    tasks
        (transformation name, repeat) of each task the strategy would create now, in order.
    launcher
        Where attempts would run, in a few words.
    seconds_each
        Least and largest seconds of the tasks that are complete, or None before the first.
    cost, cost_unit
        Least and largest expected cost of the tasks to be created and of those that wait; None before the first result.
    changes
        How the plan given differs from the one in force.
    kept
        How the plan in force differs from the file, and stays: the file says nothing new, commands have changed it.
    """

    tasks: tuple[tuple[str, int], ...]
    waiting: int
    launcher: str
    script: str
    seconds_each: tuple[float, float] | None
    changes: tuple[str, ...]
    kept: tuple[str, ...] = ()
    cost: tuple[float, float] | None = None
    cost_unit: str = ""


@attrs.frozen
class Preparation:
    """A campaign.yaml with all it names, checked.

    Attributes
    ----------
    workspace
        The workspace's directory.
    launcher
        The plan's, or the one given instead.
    """

    plan: Plan
    text: str
    network: Network
    workspace: Path
    settings: UserSettings
    launcher: Any

    @classmethod
    def read(cls, path: Path, workspace: str | None = None, launcher: str | None = None) -> Preparation:
        """Read and check everything; nothing is made.

        Raises
        ------
        InputError
            Something cannot be used: says what, where and what to do.
        """
        plan = read_plan(path)
        return cls.checked(plan, read_plan_text(path), workspace_path(plan, path, workspace), launcher=launcher)

    @classmethod
    def checked(
        cls, plan: Plan, text: str, root: Path, *, launcher: str | None = None, network: Network | None = None
    ) -> Preparation:
        """Check everything that a plan names; nothing is made.

        Parameters
        ----------
        root
            The workspace's directory.
        launcher
            Instead of the plan's.
        network
            Instead of the file that the plan names.

        Raises
        ------
        InputError
            See `read`.
        """
        from xpm_alchem.launchers.choose import choose_launcher
        from xpm_alchem.strategies.choose import planned_strategy

        settings = read_settings()
        chosen = choose_launcher(launcher or plan.launcher, settings.launchers)
        plan.budget.check(chosen.cost_per_hour, chosen.cost_unit, chosen.longest)
        planned_strategy(plan)  # an error if it cannot be made
        if plan.experimental is not None:
            read_experimental(plan.experimental)
        network = load_network(plan.network, plan.trusted_modules) if network is None else network
        network.alchemical_network  # noqa: B018 - decoding it is the check
        return cls(plan, text, network, root, settings, chosen)

    def make(self) -> CampaignRecords:
        """Make the campaign, or put this plan in force where it exists already.

        Raises
        ------
        WorkspaceError
            The workspace cannot be written.
        CampaignError
            The campaign exists with another network.
        CampaignLockedError
            The plan would change while another process drives the campaign.
        """
        check_writable(self.workspace)
        path = campaign_path(self.workspace, self.plan.name)
        if not is_there(path):
            records = CampaignRecords.create(self.workspace, self.plan, self.text, self.network)
        else:
            records = CampaignRecords.open(path)
            self.check_same_network(records)
            if self.changes(records):
                with records.lock(is_brief=True):
                    records.set_plan(self.text, given=self.plan)
        known = records.experimental()
        if (None if known is None else known[0]) != self.plan.experimental:
            with records.lock(is_brief=True):
                records.set_experimental(self.plan.experimental)
        if self.network.content == read_network(records.network_path):
            records.network = self.network  # decoded once is enough
        return records

    def check_same_network(self, records: CampaignRecords) -> None:
        """Raise CampaignError if the campaign that exists was made from another network."""
        here = {record.id for record in self.network.index.transformations}
        there = {record.id for record in records.index.transformations}
        if here != there:
            raise CampaignError(
                f"{records.path}: campaign '{self.plan.name}' was made from another network ({len(here - there)} "
                f"transformations are new, {len(there - here)} are gone). Give the campaign another 'name'; results of "
                "transformations that are the same are taken over."
            )

    def says_nothing_new(self, records: CampaignRecords) -> bool:
        """Return whether the file is as it was last given: what commands have changed since stays in force then."""
        given = records.given_plan()
        return given is not None and not given.differences(self.plan)

    def changes(self, records: CampaignRecords) -> list[str]:
        """Return how the plan in force would change."""
        return [] if self.says_nothing_new(records) else records.plan().differences(self.plan)

    def kept(self, records: CampaignRecords) -> list[str]:
        """Return how the plan in force differs from the file, and stays, as commands have changed it."""
        return self.plan.differences(records.plan()) if self.says_nothing_new(records) else []

    def forecast(self) -> Forecast:
        """Say what running would do, changing nothing."""
        from xpm_alchem.strategies.strategist import Strategist
        from xpm_alchem.strategy import Proposal, StrategyState

        path = campaign_path(self.workspace, self.plan.name)
        changes: list[str] = []
        kept: list[str] = []
        plan, state = self.plan, CampaignState()
        if is_there(path):
            records = CampaignRecords.open(path)
            self.check_same_network(records)
            changes, kept, state = self.changes(records), self.kept(records), records.state()
            plan = records.plan() if kept else plan
        proposal = Proposal(StrategyState())
        if plan.strategy.mode != "disabled":
            cache = CampaignRecords(path).cache_path
            strategist = Strategist(plan, self.network, self.workspace, cache=cache, read_only=True)
            proposal = strategist.iterate(StrategyState(), state, time.time())
            if strategist.broken_results():  # the driver has them made again
                proposal = Proposal(StrategyState())
        if proposal.state.exception:
            raise CampaignError(f"the strategy '{plan.strategy.name}' raised {proposal.state.exception}")
        names = {record.id: record.name for record in self.network.index.transformations}
        created = list(number_repeats(proposal.create, grouped(state.tasks.values())))
        to_come = [*(t for t, _ in created), *(task.transformation for task in state.tasks.values() if task.in_flight)]
        seconds = [task.seconds for task in state.tasks.values() if task.seconds]
        return Forecast(
            tasks=tuple((names[transformation], repeat) for transformation, repeat in created),
            waiting=sum(task.in_flight for task in state.tasks.values()),
            launcher=self.launcher.describe(),
            script=self.launcher.script(self.workspace),
            seconds_each=(min(seconds), max(seconds)) if seconds else None,
            changes=tuple(changes),
            kept=tuple(kept),
            cost=self._expected_cost(state, to_come),
            cost_unit=self.launcher.cost_unit,
        )

    def _expected_cost(self, state: CampaignState, transformations: list[str]) -> tuple[float, float] | None:
        """Return what one more task of each is expected to cost: if all were as cheap, or as dear, as one was."""
        from xpm_alchem.costs.expected_costs import ExpectedSeconds

        expected = ExpectedSeconds(self.network.index, state.tasks.values())
        seconds = [one for t in transformations if (one := expected.of(t)) is not None]
        if len(seconds) < len(transformations) or not seconds:
            return None
        hour = self.launcher.cost_per_hour / 3600
        return sum(one.least for one in seconds) * hour, sum(one.most for one in seconds) * hour


def workspace_path(plan: Plan, plan_file: Path, given: str | None) -> Path:
    """Return the workspace's directory; a relative one in campaign.yaml is relative to that file."""
    if given is None and plan.workspace is not None and plan.workspace.startswith("."):
        return absolute(absolute(plan_file).parent / plan.workspace)
    return Path(find_workspace(given or plan.workspace, read_settings()).path)
