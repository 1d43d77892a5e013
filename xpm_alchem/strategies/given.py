"""A strategy that is there as an object, as the strategy section of a plan: the driver makes it again from that."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.strategies.choose import BUILT_IN, settings_fields

STRATOCASTER = {"ConnectivityStrategy": "connectivity", "RadialGrowthStrategy": "radial-growth"}
_OURS = {place: name for name, place in BUILT_IN.items()}


def strategy_section(given: Any) -> Any:
    """Return the strategy section of a plan for what a program gives.

    Parameters
    ----------
    given
        A strategy (one of ours, or any stratocaster Strategy), the name of one, or the keys of the section, with either
        under `name`.

    Returns
    -------
    str or dict
        To be checked as that of a file is. stratocaster's own strategies are named as ours, which weigh alike.

    Raises
    ------
    CampaignError
        It is no strategy, or one that no other process can make again.
    """
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        name = given.get("name")
        made = {} if name is None or isinstance(name, str) else _section(name)
        if made and given.get("settings"):
            raise CampaignError("strategy: has settings of its own; leave out 'settings', or give its name only.")
        return {**given, **made}
    return _section(given)


def _section(strategy: Any) -> dict[str, Any]:
    cls = type(strategy)
    if isinstance(strategy, type) or not hasattr(strategy, "propose") or not hasattr(strategy, "settings"):
        called = strategy.__name__ if isinstance(strategy, type) else cls.__name__
        raise CampaignError(
            f"strategy: '{called}' is no strategy. Give a name such as 'connectivity', or an instance: "
            "ConnectivityStrategy(ConnectivityStrategy.default_settings())."
        )
    module, name = cls.__module__, cls.__qualname__
    settings = settings_fields(strategy.settings)
    if (module, name) in _OURS:
        return {"name": _OURS[module, name], "settings": settings}
    if module.split(".")[0] == "stratocaster" and name in STRATOCASTER:
        return {"name": STRATOCASTER[name], "settings": settings}
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not cls:
        raise CampaignError(
            f"strategy: the class '{cls.__name__}' is not in a module that a driver can import. Put it into a file "
            "of its own, and import it from there."
        )
    return {"name": f"{module}:{name}", "settings": settings}
