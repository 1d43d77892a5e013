"""What `client.Campaign` does with budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xpm_alchem.base.errors import InputError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.workspace import UserSettings
from xpm_alchem.client.shown import Shown
from xpm_alchem.plan.budget import Budget
from xpm_alchem.requests import inbox
from xpm_alchem.requests.change import Change
from xpm_alchem.tables.budget import budget_table
from xpm_alchem.views import budget as budget_views
from xpm_alchem.views.overview import View

if TYPE_CHECKING:
    from xpm_alchem.launchers.base import AttemptLauncher


class BudgetMethods:
    """What the campaign may cost, and what it has."""

    _records: CampaignRecords

    if TYPE_CHECKING:

        @property
        def _settings(self) -> UserSettings: ...

    def set_budget(self, **changes: Any) -> Change:
        """Change keys of the budget; what is in force at once, also for a driver that waits.

        Parameters
        ----------
        changes
            Keys of the section in campaign.yaml: total, rate, per_result, grace, until, on_exhausted; None takes a key
            away.

        Raises
        ------
        InputError
            A value is not valid, or the launcher counts in another unit. Nothing is changed then.
        """
        launcher = self._launcher()
        return Change(inbox.set_budget(self._records, changes, lambda budget: _check(budget, launcher)))

    def budget(self) -> View:
        """Return the budget, what is spent by leg, transformation and task, what is in flight, and what is allowed."""
        return Shown(budget_views.budget_view(self._records, self._priced()), budget_table)

    def _priced(self) -> budget_views.PricedLauncher:
        """Return what is known of the plan's launcher; nothing if its profile is gone, or on another machine."""
        try:
            launcher = self._launcher()
        except InputError:
            return budget_views.PricedLauncher()
        known = (launcher.cost_per_hour, launcher.cost_unit, launcher.longest, launcher.slots)
        return budget_views.PricedLauncher(*known)

    def _check_budget(self, launcher: str | None) -> None:
        """Raise CampaignError if a launcher's attempts cannot be counted in the budget in force."""
        _check(self._records.plan().budget, self._launcher(launcher))

    def _launcher(self, name: str | None = None) -> AttemptLauncher:
        profiles = self._settings.launchers  # first: that imports experimaestro quietly
        from xpm_alchem.launchers.choose import choose_launcher

        return choose_launcher(name or self._records.plan().launcher, profiles)


def _check(budget: Budget, launcher: AttemptLauncher) -> None:
    budget.check(launcher.cost_per_hour, launcher.cost_unit, launcher.longest)
