"""A strategy by its name: one of ours, or any of stratocaster's interface as MODULE:CLASS."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import CampaignError, MissingPackageError
from xpm_alchem.base.near_miss import check_keys, unknown_key
from xpm_alchem.base.values import short
from xpm_alchem.network.trust import check_module
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.strategies.base import Strategy

# imported when one is chosen: scipy, which one of them needs, takes its time
BUILT_IN = {
    "uniform": ("xpm_alchem.strategies.uniform", "UniformStrategy"),
    "connectivity": ("xpm_alchem.strategies.connectivity", "ConnectivityStrategy"),
    "radial-growth": ("xpm_alchem.strategies.radial_growth", "RadialGrowthStrategy"),
    "a-optimal": ("xpm_alchem.strategies.a_optimal", "AOptimalStrategy"),
}


def strategy_class(name: str) -> type[Strategy[Any]]:
    """Return the class of one of our strategies."""
    module, attribute = BUILT_IN[name]
    found: type[Strategy[Any]] = getattr(importlib.import_module(module), attribute)
    return found


def make_strategy(
    name: str, settings: Mapping[str, Any], trusted: tuple[str, ...] = (), file: Path | None = None
) -> Any:
    """Return a strategy: one of ours, or the class a 'module:Class' names with its default settings changed.

    Parameters
    ----------
    file
        Where it is named, for messages.

    Raises
    ------
    CampaignError
        There is no such strategy, or a setting is unknown or has a bad value.
    MissingPackageError
        Its module is not installed.
    UntrustedModuleError
        Its module is not trusted.
    """
    of_file = "" if file is None else f"{file}: "
    where = f"{of_file}strategy '{name}'"
    if ":" not in name:
        if name not in BUILT_IN:
            known = [*BUILT_IN, "module:Class"]
            raise CampaignError(unknown_key(name, known, f"{of_file}strategy.name", what="there is no"))
        cls: Any = strategy_class(name)
    else:
        cls = _imported(name, where, trusted)
    try:
        defaults = cls.default_settings()
        known_settings = settings_fields(defaults)
        check_keys(settings, known_settings, f"{where}: settings")
        return cls(_changed(defaults, known_settings, settings))
    except CampaignError:
        raise
    except (ValueError, TypeError) as error:
        raise CampaignError(f"{where}: bad settings: {_words(error)}") from None


def planned_strategy(plan: Plan) -> Any:
    """Return the strategy that a plan names, None where it names none; raises as `make_strategy` does."""
    given = plan.strategy
    return None if given.name is None else make_strategy(given.name, given.settings, plan.trusted_modules, plan.file)


def most_results(plan: Plan) -> int | None:
    """Return how many results a strategy of ours wants of a transformation at most; None where that is not known."""
    if plan.strategy.name not in BUILT_IN:
        return None
    strategy: Strategy[Any] = planned_strategy(plan)
    return strategy.most_results


def _changed(defaults: Any, known: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """Return settings with some changed; an error names the one that is bad by itself, if there is such a one."""
    try:
        return type(defaults)(**{**known, **settings})
    except (ValueError, TypeError):
        for key, value in settings.items():
            try:
                type(defaults)(**{**known, key: value})
            except (ValueError, TypeError) as error:
                raise ValueError(f"{key}: {short(value)}: {_words(error)}") from None
        raise


def _words(error: Exception) -> str:
    """Return what a settings class says is wrong: pydantic's and attrs' errors hold more than the sentence."""
    if hasattr(error, "errors"):
        return "; ".join(str(one["msg"]) for one in error.errors())
    return str(error.args[0] if error.args else error)


def _imported(name: str, where: str, trusted: tuple[str, ...]) -> Any:
    module, _, attribute = name.partition(":")
    check_module(where, trusted)(module)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise MissingPackageError(
            f"{where}: the module '{module}' cannot be imported ({error}). Install it in this environment."
        ) from None
    except AttributeError:
        raise CampaignError(f"{where}: the module '{module}' has no '{attribute}'.") from None
    except Exception as error:  # whatever the module raises while it is imported
        raise CampaignError(
            f"{where}: the module '{module}' cannot be imported ({type(error).__name__}: {error})."
        ) from None
    if not (inspect.isclass(found) and hasattr(found, "propose") and hasattr(found, "default_settings")):
        raise CampaignError(f"{where}: not a stratocaster Strategy (it needs propose() and default_settings()).")
    return found


def settings_fields(settings: Any) -> dict[str, Any]:
    """Return the settings of a strategy by name, ours or stratocaster's."""
    if hasattr(settings, "model_dump"):  # pydantic, as stratocaster has it
        return dict(settings.model_dump())
    return {field.name: getattr(settings, field.name) for field in settings.__attrs_attrs__}
