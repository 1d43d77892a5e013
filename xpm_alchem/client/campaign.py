"""The Python face of xpm-alchem; the commands are thin over it, and a notebook uses the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.paths import absolute, expanded, is_there
from xpm_alchem.base.shell import command_line
from xpm_alchem.campaign.records import CampaignRecords, campaign_path, is_campaign, list_campaigns
from xpm_alchem.campaign.workspace import UserSettings, find_workspace, read_settings
from xpm_alchem.client.budget import BudgetMethods
from xpm_alchem.client.looking import LookMethods
from xpm_alchem.client.networks import NetworkMethods
from xpm_alchem.client.progress import say
from xpm_alchem.client.restarts import RestartMethods
from xpm_alchem.client.results import ResultMethods
from xpm_alchem.client.running import RunMethods
from xpm_alchem.client.shown import Shown
from xpm_alchem.client.tasks import TaskMethods
from xpm_alchem.plan.campaign_yaml import read_plan
from xpm_alchem.requests import inbox
from xpm_alchem.requests.change import Change
from xpm_alchem.requests.plan_of_objects import prepare
from xpm_alchem.requests.preparation import Forecast, Preparation, workspace_path
from xpm_alchem.strategies.given import strategy_section
from xpm_alchem.tables import overview as tables
from xpm_alchem.tables import strategy as strategy_tables
from xpm_alchem.tables.doctor import doctor_table
from xpm_alchem.views import overview as views
from xpm_alchem.views import strategy as strategy_views
from xpm_alchem.views.overview import View

if TYPE_CHECKING:
    from gufe import AlchemicalNetwork


class Campaign(LookMethods, RunMethods, TaskMethods, RestartMethods, BudgetMethods, ResultMethods, NetworkMethods):
    """One network being computed; docs/python.md is the guide.

    Make one with `Campaign.create`, take up one that exists with `Campaign.open`.

    Examples
    --------
    >>> campaign = Campaign.create(network=network, workspace="./work")  # doctest: +SKIP
    >>> campaign.run()  # doctest: +SKIP
    >>> campaign.results()  # doctest: +SKIP
    >>> campaign.edges  # a pandas DataFrame; doctest: +SKIP
    """

    def __init__(self, records: CampaignRecords) -> None:
        self._records = records

    @cached_property
    def _settings(self) -> UserSettings:
        return read_settings()

    # ----------------------------------------------------------------------------------------- making and opening
    @classmethod
    def create(
        cls,
        plan_file: str | Path | None = None,
        *,
        network: AlchemicalNetwork | str | Path | None = None,
        workspace: str | Path | None = None,
        launcher: str | Mapping[str, Any] | Sequence[Any] | None = None,
        name: str | None = None,
        strategy: Any = None,
        budget: Mapping[str, Any] | None = None,
        restarts: Iterable[Any] | None = None,
        max_retries: int | None = None,
        trusted_modules: str | Iterable[str] = (),
        experimental: str | Path | None = None,
        notify: Mapping[str, Any] | None = None,
        default_restarts: bool | Iterable[str] | None = None,
    ) -> Campaign:
        """Make a campaign in its workspace, from a campaign.yaml or from a network; everything is checked before.

        If the campaign exists, its plan becomes the one given, and its network grows as what gives it has changed:
        what is not in that any more is gone (docs/networks.md). What has changed so is said.

        Parameters
        ----------
        plan_file
            A campaign.yaml; never written. Only `workspace` and `launcher` may be given beside it.
        network
            A gufe AlchemicalNetwork, or the path of the JSON of one.
        workspace
            Id or directory; by default the plan's, or the first of settings.yaml.
        launcher
            Of a network's campaign: a profile's name, a profile, or several; by default 'local'. Beside a campaign.yaml
            the name of one that is checked instead of the plan's.
        name
            The campaign's; by default the network's.
        strategy
            A name such as 'connectivity', an instance of a strategy (stratocaster's or ours), or the keys of the
            section in campaign.yaml, such as ``{"name": ConnectivityStrategy(settings), "mode": "full"}``.
        budget, restarts, max_retries, notify, default_restarts
            As the keys of campaign.yaml (docs/campaign.md).
        trusted_modules
            Packages beside gufe, openfe and feflow that the network may name. Those of objects in memory need not be
            given.
        experimental
            The file of measured values.

        Raises
        ------
        InputError
            Something cannot be used: says what, where and what to do. Nothing is made or changed then.

        Examples
        --------
        >>> Campaign.create(network=network, workspace="./work", strategy="a-optimal")  # doctest: +SKIP
        """
        sections = {
            "name": name,
            "strategy": strategy,
            "budget": budget,
            "restarts": restarts,
            "max_retries": max_retries,
            "trusted_modules": trusted_modules or None,
            "experimental": experimental,
            "notify": notify,
            "default_restarts": default_restarts,
        }
        made = _prepared(plan_file, network, workspace, launcher, sections).make()
        for sentence in made.told:
            say(f"{made.records.name}: {sentence}")
        return cls(made.records)

    @classmethod
    def open(cls, campaign: str | Path, *, workspace: str | Path | None = None) -> Campaign:
        """Take up a campaign by its campaign.yaml, its directory, or its name in a workspace.

        Raises
        ------
        CampaignError
            There is none.
        """
        path = expanded(campaign)
        if is_campaign(path) or (path.is_dir() and absolute(path).parent.name == "campaigns"):
            return cls(CampaignRecords.open(path))
        if is_there(path) and not path.is_dir():
            plan = read_plan(path)
            root = workspace_path(plan, path, workspace)
            found = campaign_path(root, plan.name)
            if not is_there(found):
                command = command_line("run", str(path))
                raise CampaignError(f"{path}: this campaign was not run yet in {root}; `{command}` does.")
            return cls(CampaignRecords.open(found))
        root = find_workspace(workspace, read_settings()).path
        found = campaign_path(root, str(campaign))
        if not is_campaign(found):
            raise CampaignError(f"{root}: has no campaign '{campaign}'. `xpm-alchem list` shows those there are.")
        return cls(CampaignRecords.open(found))

    @staticmethod
    def forecast(
        plan_file: str | Path | None = None,
        *,
        network: AlchemicalNetwork | str | Path | None = None,
        workspace: str | Path | None = None,
        launcher: str | Mapping[str, Any] | Sequence[Any] | None = None,
        **sections: Any,
    ) -> Forecast:
        """Say what `create` and `run` would do, changing nothing; takes what `create` takes."""
        return _prepared(plan_file, network, workspace, launcher, sections).forecast()

    @staticmethod
    def list_all(workspace: str | Path | None = None, *, deleted: bool = False) -> View:
        """Return a row for every campaign of a workspace; of those whose network is deleted only if asked for."""
        root = find_workspace(workspace, read_settings()).path
        view = views.list_view(list_campaigns(root), lambda records: Campaign(records).summary(), deleted=deleted)
        return Shown(view, tables.list_table)

    @staticmethod
    def doctor(
        campaign: str | Path | None = None,
        *,
        workspace: str | None = None,
        launcher: str | None = None,
        fix: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> View:
        """Check the environment, and a campaign if one is given, also a damaged one that `open` refuses.

        Parameters
        ----------
        campaign, workspace
            As for `open`.
        launcher
            To look at, instead of the campaign's or 'local'.
        fix
            Mend what can be mended without losing anything; the campaign must not be driven.
        progress
            Called with the number of tasks that were looked at, and of all.

        Returns
        -------
        View
            Verdicts, what was found, how to mend it; see docs/json.md.

        Raises
        ------
        InputError
            There is no such campaign, workspace or launcher.
        CampaignLockedError
            `fix`, and a driver runs.
        """
        from xpm_alchem.doctor.examination import examine

        view = examine(campaign, workspace=workspace, launcher=launcher, fix=fix, progress=progress)
        return Shown(view, doctor_table)

    @staticmethod
    def doctor_of_node(
        node: str,
        campaign: str | Path | None = None,
        *,
        workspace: str | None = None,
        timeout: float = 600.0,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> View:
        """Look at a node by one short job: devices, platform, packages, workspace, locks, scratch.

        Parameters
        ----------
        node
            A launcher, by its profile's name, or a campaign, for its launcher and workspace.
        campaign, workspace
            As for `open`: where to look from.
        timeout
            Seconds to wait; then the job is cancelled.
        tell
            Called with how the job is, when that changes.

        Returns
        -------
        View
            As that of `doctor`, and the node's name.

        Raises
        ------
        InputError
            There is no such campaign, workspace or launcher.
        """
        from xpm_alchem.doctor.node import examine_node

        return Shown(examine_node(node, campaign, workspace=workspace, timeout=timeout, tell=tell), doctor_table)

    # ------------------------------------------------------------------------- the strategy, named as alchemiscale's
    def set_network_strategy(self, strategy: Any, settings: Mapping[str, Any] | None = None, **options: Any) -> Change:
        """Put another strategy in force; None drops it, and nothing is proposed any more.

        Everything is checked before anything is written. The campaign.yaml in the campaign's directory is changed, not
        the file that was given to `create`.

        Parameters
        ----------
        strategy
            As `strategy.name` in campaign.yaml, or an instance of a strategy, which has its settings.
        settings
            Of a strategy by its name; added to those there are if the name is the same.
        options
            Other keys of the section: mode, max_tasks_per_transformation, task_scaling, ...

        Raises
        ------
        InputError
            Something is not known or not valid; says what, and the nearest that is known.
        """
        changes = {"name": strategy, **options} | ({} if settings is None else {"settings": dict(settings)})
        changes = strategy_section(changes)
        return Change(inbox.set_strategy(self._records, changes))

    def set_network_strategy_mode(self, mode: str) -> Change:
        """Set the mode: partial, full or disabled."""
        return Change(inbox.set_strategy(self._records, {"mode": mode}))

    def set_network_strategy_awake(self) -> Change:
        """Let the strategy be performed again, also after it raised an exception.

        Raises
        ------
        InputError
            There is no strategy, or it is disabled.
        """
        return Change(inbox.awake(self._records))

    def get_network_strategy(self) -> View | None:
        """Return the strategy section of the plan in force, defaults included; None if there is no strategy."""
        view = strategy_views.strategy_view(self._records)
        return None if view["name"] is None else Shown(view, strategy_tables.strategy_table)

    def get_network_strategy_state(self) -> View:
        """Return the health of the strategy, its caps and its task scaling."""
        plan = strategy_views.strategy_view(self._records)
        caps = ("max_tasks_per_transformation", "max_tasks_per_network", "task_scaling")
        return {**self.get_network_strategy_health(), **{key: plan[key] for key in caps}}

    def get_network_strategy_status(self) -> str:
        """Return 'awake', 'dormant' or 'error'."""
        return str(self.get_network_strategy_health()["status"])

    def get_network_strategy_health(self) -> View:
        """Return mode, status, iterations, the last iteration, and what it raised."""
        return Shown(strategy_views.health_view(self._records), strategy_tables.health_table)

    def explain_network_strategy(self, transformation: str | Iterable[str] | None = None) -> View:
        """Return what the strategy would do now for every transformation (or some), and why; nothing is changed."""
        return Shown(strategy_views.explain_view(self._records, transformation), strategy_tables.explain_table)

    # ------------------------------------------------------------------------------------------------- what it is
    @property
    def path(self) -> Path:
        """The campaign's directory."""
        return self._records.path

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self._records.name

    @property
    def network(self) -> AlchemicalNetwork:
        """Its network, as gufe has it."""
        return self._records.network.alchemical_network

    @property
    def records(self) -> CampaignRecords:
        """Its records on disk."""
        return self._records


def _prepared(
    plan_file: str | Path | None,
    network: Any,
    workspace: str | Path | None,
    launcher: Any,
    sections: Mapping[str, Any],
) -> Preparation:
    """Return what `Campaign.create` was given, checked."""
    if (plan_file is None) == (network is None):
        raise CampaignError("Campaign.create: give either a campaign.yaml or network=....")
    given = {key: value for key, value in sections.items() if value is not None}
    if plan_file is None:
        return prepare(network, workspace=workspace, launcher=launcher, **given)
    if given:
        raise CampaignError(f"{plan_file}: says the campaign's {', '.join(given)}; that cannot be given beside it.")
    if not isinstance(launcher, str | None):
        raise CampaignError(f"{plan_file}: launcher: only the name of a profile can be given beside it.")
    return Preparation.read(Path(plan_file), workspace, launcher)
