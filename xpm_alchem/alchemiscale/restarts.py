"""Restart patterns: which failed tasks of a network are tried again, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpm_alchem.alchemiscale.foundation import Foundation, translated
from xpm_alchem.alchemiscale.scoped_key import ScopedKey
from xpm_alchem.requests import inbox


class RestartMethods(Foundation):
    """Restart patterns. Every change takes effect at once, also on tasks in error.

    Raises
    ------
    AlchemiscaleClientError
        By each method: there is no such network.
    """

    def add_task_restart_patterns(
        self, network_scoped_key: ScopedKey, patterns: list[str], num_allowed_restarts: int
    ) -> ScopedKey:
        """Add patterns; one that is there already gets the new limit.

        Parameters
        ----------
        patterns
            Regular expressions, searched in the tracebacks of a failed attempt.
        num_allowed_restarts
            Restarts of one task for each pattern; the next failure leaves it in error.

        Raises
        ------
        AlchemiscaleClientError
            A pattern is no regular expression, or the limit no whole number of at least 1. Nothing is changed then.
        """
        change = {"do": "add", "patterns": list(patterns), "allowed": num_allowed_restarts}
        return self._change_patterns(network_scoped_key, change)

    def get_task_restart_patterns(self, network_scoped_key: ScopedKey) -> dict[str, int]:
        """Return the number of allowed restarts by pattern."""
        with translated():
            return self._network(network_scoped_key).campaign.get_task_restart_patterns()

    def set_task_restart_patterns_allowed_restarts(
        self, network_scoped_key: ScopedKey, patterns: list[str], num_allowed_restarts: int
    ) -> None:
        """Set the number of restarts that patterns allow.

        Raises
        ------
        AlchemiscaleClientError
            A pattern is not there, or the limit is no whole number of at least 1. Nothing is changed then.
        """
        change = {"do": "set", "patterns": list(patterns), "allowed": num_allowed_restarts}
        self._change_patterns(network_scoped_key, change)

    def remove_task_restart_patterns(self, network_scoped_key: ScopedKey, patterns: list[str]) -> None:
        """Remove patterns; one that is not there is passed over."""
        there = self.get_task_restart_patterns(network_scoped_key)
        chosen = [pattern for pattern in patterns if pattern in there]
        self._change_patterns(network_scoped_key, {"do": "remove", "patterns": chosen})

    def clear_task_restart_patterns(self, network_scoped_key: ScopedKey) -> None:
        """Remove all patterns; xpm-alchem's own default rules stay."""
        self._change_patterns(network_scoped_key, {"do": "clear"})

    def _change_patterns(self, key: ScopedKey, change: Mapping[str, Any]) -> ScopedKey:
        with translated():
            network = self._network(key)
            self._settle(network.records, inbox.change_restarts(network.records, change))
            return network.key
