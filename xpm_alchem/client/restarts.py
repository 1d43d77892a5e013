"""What `client.Campaign` does with restart patterns; named as alchemiscale's client names it."""

from __future__ import annotations

from collections.abc import Iterable

from xpm_alchem.base.values import as_list
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client.shown import Shown
from xpm_alchem.requests import inbox
from xpm_alchem.requests.change import Change
from xpm_alchem.tables.restart import restarts_table
from xpm_alchem.views import restart as restart_views
from xpm_alchem.views.overview import View


class RestartMethods:
    """Restart patterns: regular expressions that say which failed tasks are tried again, and how often.

    Every change takes effect at once, also on tasks in error. Patterns may be given as a list, or one alone.
    """

    _records: CampaignRecords

    def add_task_restart_patterns(
        self, patterns: str | Iterable[str], num_allowed_restarts: int, *, from_scratch: bool = False
    ) -> Change:
        """Add patterns; one that is there already gets the new limit.

        Parameters
        ----------
        patterns
            Regular expressions, searched in the tracebacks of a failed attempt, its outcome, the launcher's reason and
            the end of stderr.
        num_allowed_restarts
            Restarts of one task for each pattern; the next failure leaves it in error.
        from_scratch
            Whether a restarted task sets aside what it has computed, instead of going on from there.

        Raises
        ------
        InputError
            A pattern is no regular expression, or the limit no whole number of at least 1. Nothing is changed then.
        """
        change = {"do": "add", "patterns": as_list(patterns), "allowed": num_allowed_restarts}
        return Change(inbox.change_restarts(self._records, change | ({"from_scratch": True} if from_scratch else {})))

    def get_task_restart_patterns(self) -> dict[str, int]:
        """Return the number of allowed restarts by pattern."""
        return {pattern.pattern: pattern.allowed for pattern in self._records.plan().restarts}

    def set_task_restart_patterns_allowed_restarts(
        self, patterns: str | Iterable[str], num_allowed_restarts: int
    ) -> Change:
        """Set the limit of patterns that are there.

        Raises
        ------
        InputError
            One is not there; nothing is changed then.
        """
        change = {"do": "set", "patterns": as_list(patterns), "allowed": num_allowed_restarts}
        return Change(inbox.change_restarts(self._records, change))

    def remove_task_restart_patterns(self, patterns: str | Iterable[str]) -> Change:
        """Remove patterns.

        Raises
        ------
        InputError
            One is not there; nothing is changed then.
        """
        return Change(inbox.change_restarts(self._records, {"do": "remove", "patterns": as_list(patterns)}))

    def clear_task_restart_patterns(self) -> Change:
        """Remove all patterns; the default rules stay."""
        return Change(inbox.change_restarts(self._records, {"do": "clear"}))

    def restarts(self) -> View:
        """Return the patterns and default rules in force, with the tasks in error that each matches."""
        return Shown(restart_views.restarts_view(self._records), restarts_table)
