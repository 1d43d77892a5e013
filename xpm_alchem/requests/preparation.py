"""A campaign.yaml with everything it names, checked before anything is made or started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.paths import absolute, are_same, is_there
from xpm_alchem.campaign.experimental import read_experimental
from xpm_alchem.campaign.records import CampaignRecords, campaign_path, is_campaign
from xpm_alchem.campaign.scope_record import ScopeRecord
from xpm_alchem.campaign.task_state import CampaignState, grouped, number_repeats
from xpm_alchem.campaign.workspace import UserSettings, check_writable, find_workspace, read_settings
from xpm_alchem.network.index import Index
from xpm_alchem.network.loading import Network, load_network, read_network
from xpm_alchem.network.merging import Change
from xpm_alchem.plan.campaign_yaml import Plan, read_plan, read_plan_text
from xpm_alchem.requests.growth import Growth, growth_by_file, state_with
from xpm_alchem.requests.inbox import grow
from xpm_alchem.requests.taking_over import results_there


@attrs.frozen(repr=False)
class Forecast:
    """What `Campaign.run` would do; nothing was changed to find out.

    Attributes
    ----------
    tasks
        (transformation name, repeat) of each task the strategy would create now, in order.
    there
        How many results the workspace has that would be taken over.
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
    growth
        What would become of the network of a campaign that exists.
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
    there: int = 0
    growth: Growth | None = None

    def __repr__(self) -> str:
        """Return how much there is to do, where, and at what cost."""
        growth = [] if self.growth is None or not self.growth.change else [f"network: {self.growth.sentence}"]
        cost = [] if self.cost is None else [f"{self.cost[0]:.3g} to {self.cost[1]:.3g} {self.cost_unit}"]
        counts = {"task(s) to create": len(self.tasks), "in flight": self.waiting, "result(s) there": self.there}
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        return f"<{'; '.join([told, *cost, self.launcher, *growth, *self.changes])}>"


@attrs.frozen
class Made:
    """A campaign that is made, or that there was.

    Attributes
    ----------
    is_asked
        Whether a driver that runs was asked to let its network grow: it is as it was until then.
    told
        What has changed by it, and what stays other than it was given, a sentence each.
    """

    records: CampaignRecords
    is_asked: bool = False
    told: tuple[str, ...] = ()


@attrs.frozen
class Preparation:
    """A campaign.yaml with all it names, checked.

    Attributes
    ----------
    workspace
        The workspace's directory.
    launcher
        The plan's, or the one given instead.
    is_own
        Whether the plan is the one in the campaign's own directory: the network is what is in force there.
    """

    plan: Plan
    text: str
    network: Network
    workspace: Path
    settings: UserSettings
    launcher: Any
    is_own: bool = False

    @classmethod
    def read(cls, path: Path, workspace: str | Path | None = None, launcher: str | None = None) -> Preparation:
        """Read and check everything; nothing is made.

        Raises
        ------
        InputError
            Something cannot be used: says what, where and what to do.
        """
        plan, text = read_plan(path), read_plan_text(path)
        root = workspace_path(plan, path, workspace)
        own = campaign_path(root, plan.name)
        if not (are_same(absolute(path).parent, own) and is_campaign(own)):
            return cls.checked(plan, text, root, launcher=launcher)
        network = CampaignRecords.open(own).network
        return attrs.evolve(cls.checked(plan, text, root, launcher=launcher, network=network), is_own=True)

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
        settings = read_settings()  # first: it imports experimaestro quietly
        from xpm_alchem.launchers.choose import choose_launcher
        from xpm_alchem.strategies.choose import planned_strategy

        chosen = choose_launcher(launcher or plan.launcher, settings.launchers)
        plan.budget.check(chosen.cost_per_hour, chosen.cost_unit, chosen.longest)
        planned_strategy(plan)  # an error if it cannot be made
        if plan.experimental is not None:
            read_experimental(plan.experimental)
        network = load_network(plan.network, plan.trusted_modules) if network is None else network
        network.alchemical_network  # noqa: B018 - decoding it is the check
        return cls(plan, text, network, root, settings, chosen)

    def make(self, scope: ScopeRecord | None = None, *, anew: bool = False) -> Made:
        """Make the campaign, or put this plan and network in force where it exists already.

        Parameters
        ----------
        scope
            Of one that is made for alchemiscale's client.
        anew
            Whether nothing of the network need stay.

        Raises
        ------
        WorkspaceError
            The workspace cannot be written.
        CampaignError
            The campaign exists, and nothing of its network would stay.
        CampaignLockedError
            The plan would change while another process drives the campaign.
        """
        check_writable(self.workspace)
        path = campaign_path(self.workspace, self.plan.name)
        is_asked = False
        told: list[str] = []
        if not is_there(path):
            records = CampaignRecords.create(self.workspace, self.plan, self.text, self.network, scope)
        else:
            records = CampaignRecords.open(path)
            growth = self.growth(records, anew=anew)
            told += [f"plan changed: {change}" for change in self.changes(records)]
            told += [f"stays as commands have set it: {change}" for change in self.kept(records)]
            if self.changes(records):
                with records.lock(is_brief=True):
                    records.set_plan(self.text, given=self.plan)
            if growth.is_to_be_done(records):
                is_asked = grow(records, self.network, by="file")
            if growth.change:
                later = " (the driver takes it in within seconds)" if is_asked else ""
                told.append(f"network changed: {growth.sentence}{later}")
        known = records.experimental()
        if (None if known is None else known[0]) != self.plan.experimental:
            with records.lock(is_brief=True):
                records.set_experimental(self.plan.experimental)
        if self.network.content == read_network(records.network_path):
            records.network = self.network  # decoded once is enough
        return Made(records, is_asked, tuple(told))

    def growth(self, records: CampaignRecords, *, anew: bool = False) -> Growth:
        """Return what becomes of the network of the campaign that exists.

        Raises
        ------
        CampaignError
            Nothing of it would stay, and `anew` is not given.
        NetworkError
            The file and commands say different things of a transformation.
        """
        if self.is_own:
            return Growth(None, Change.of(records.index.by_id, records.index.by_id), {})
        growth = growth_by_file(records, self.network)
        if growth.is_another and not anew:
            raise CampaignError(
                f"{records.path}: campaign '{self.plan.name}' is of another network altogether: {growth.sentence}. "
                "Give the campaign another 'name', or --yes if this is to be its network from now on."
            )
        return growth

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

    def forecast(self, *, anew: bool = False) -> Forecast:
        """Say what running would do, changing nothing; `anew` as for `make`."""
        from xpm_alchem.strategies.strategist import Strategist
        from xpm_alchem.strategy import Proposal, StrategyState

        path = campaign_path(self.workspace, self.plan.name)
        changes: list[str] = []
        kept: list[str] = []
        plan, network, state, growth = self.plan, self.network, CampaignState(), None
        if is_there(path):
            records = CampaignRecords.open(path)
            growth = self.growth(records, anew=anew)
            network = growth.network or records.network
            changes, kept, state = self.changes(records), self.kept(records), state_with(records, network)
            plan = records.plan() if kept else plan
        begun = {task.transformation for task in state.everything.values()}
        there = 0
        for events in results_there(network.index, network.path, self.workspace, begun):
            there += len(events) // 2
            for event in events:
                state.apply({"time": time.time(), **event})
        proposal = Proposal(StrategyState())
        if plan.strategy.mode != "disabled":
            cache = CampaignRecords(path).cache_path
            strategist = Strategist(plan, network, self.workspace, cache=cache, read_only=True)
            proposal = strategist.iterate(StrategyState(), state, time.time())
            if strategist.broken_results():  # the driver has them made again
                proposal = Proposal(StrategyState())
        if proposal.state.exception:
            raise CampaignError(f"the strategy '{plan.strategy.name}' raised {proposal.state.exception}")
        names = {record.id: record.name for record in network.index.transformations}
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
            cost=self._expected_cost(network.index, state, to_come),
            cost_unit=self.launcher.cost_unit,
            there=there,
            growth=growth,
        )

    def _expected_cost(
        self, index: Index, state: CampaignState, transformations: list[str]
    ) -> tuple[float, float] | None:
        """Return what one more task of each is expected to cost: if all were as cheap, or as dear, as one was."""
        from xpm_alchem.costs.expected_costs import ExpectedSeconds

        expected = ExpectedSeconds(index, state.tasks.values())
        seconds = [one for t in transformations if (one := expected.of(t)) is not None]
        if len(seconds) < len(transformations) or not seconds:
            return None
        hour = self.launcher.cost_per_hour / 3600
        return sum(one.least for one in seconds) * hour, sum(one.most for one in seconds) * hour


def workspace_path(plan: Plan, plan_file: Path, given: str | Path | None) -> Path:
    """Return the workspace's directory; a relative one in campaign.yaml is relative to that file."""
    if given is None and plan.workspace is not None and plan.workspace.startswith("."):
        return absolute(absolute(plan_file).parent / plan.workspace)
    return Path(find_workspace(given or plan.workspace, read_settings()).path)
