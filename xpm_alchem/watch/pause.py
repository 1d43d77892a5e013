"""Pausing a campaign's strategy, and letting it go on as it was."""

from __future__ import annotations

from xpm_alchem.base.errors import InputError
from xpm_alchem.client import Campaign

_DISABLED = "disabled"


class Pause:
    """Sets the mode to disabled, and back; what `xpm-alchem strategy mode` does."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._before: str | None = None

    def toggle(self) -> str:
        """Pause, or go on; return what was done in a sentence.

        Raises
        ------
        XpmAlchemError
            It cannot be done: there is no strategy, or the campaign is read-only for this user.
        """
        records = self._campaign.records
        plan = records.plan().strategy
        if plan.name is None:
            raise InputError("there is no strategy to pause; `xpm-alchem strategy set NAME` gives the campaign one.")
        if plan.mode != _DISABLED:
            self._before = plan.mode
            return self._set(_DISABLED, "paused: nothing new is wanted, tasks in flight go on")
        given = records.given_plan()
        before = self._before or (given.strategy.mode if given is not None else _DISABLED)
        mode = "partial" if before == _DISABLED else before
        return self._set(mode, f"goes on: mode {mode}")

    def _set(self, mode: str, done: str) -> str:
        change = self._campaign.set_network_strategy_mode(mode)
        return f"{done} (the driver takes it in within seconds)" if change.later else done
