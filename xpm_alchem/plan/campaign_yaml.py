"""campaign.yaml: the plan of a campaign, read safely and checked key by key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import yaml

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import short
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.default_rules import RULE_NAMES
from xpm_alchem.plan.notify import Notify

MODES = ("partial", "full", "disabled")
SCALINGS = ("linear", "exponential")
NORMALIZATIONS = ("max", "sum")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_BYTES = 1 << 20  # of a campaign.yaml: reading 1 MB of YAML takes seconds


def _whole(where: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CampaignError(f"{where}: {short(value)} is not a whole number of at least {least}.")
    return value


def _share(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CampaignError(f"{where}: {short(value)} is not a number from 0 to 1.")
    return float(value)


def _one_of(where: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise CampaignError(f"{where}: {short(value)} is not one of {', '.join(known)}.")
    return str(value)


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise CampaignError(f"{where}: {short(value)} is not a text.")
    return value.strip()


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CampaignError(f"{where}: {short(value)} is not a mapping of keys to values.")
    return value


@attrs.frozen
class StrategyPlan:
    """Which strategy decides, and how its weights become tasks; alchemiscale's names and defaults unless said.

    Attributes
    ----------
    name
        'uniform', 'connectivity', 'radial-growth', 'a-optimal', or 'module:Class' of a stratocaster Strategy. None:
        there is no strategy, nothing is proposed; the mode is then 'disabled'.
    settings
        Of the strategy.
    mode
        'partial' (tasks are only added), 'full' (tasks nobody wants any more are cancelled), 'disabled'.
    task_scaling
        'exponential' int((1 + m)**w) or 'linear' int(1 + w m), for a weight w and m = max_tasks_per_transformation.
    normalization
        'max' divides the weights by the largest, so that the scalings see numbers up to 1; 'sum' is alchemiscale's.
    max_tasks_per_transformation, max_tasks_per_network
        How many tasks may be waiting or running at once.
    sleep_interval
        Least seconds between two iterations.
    extends_preference
        Share of a transformation's tasks that extend a complete one instead of being new repeats, as far as there is
        one to extend: 0 none, 1 all.
    patience
        Mode 'full': seconds for which a running task must have been unwanted before it is cancelled.
    """

    name: str | None = "uniform"
    settings: dict[str, Any] = attrs.field(factory=dict)
    mode: str = "partial"
    task_scaling: str = "exponential"
    normalization: str = "max"
    max_tasks_per_transformation: int = 3
    max_tasks_per_network: int | None = None
    sleep_interval: float = 0.0
    extends_preference: float = 0.0
    patience: float = 600.0

    @classmethod
    def parse(cls, value: Any, where: str) -> StrategyPlan:
        """Check the 'strategy' section; a text alone is its name."""
        given = {"name": value} if isinstance(value, str) else _mapping(where, value)
        check_keys(given, tuple(field.name for field in attrs.fields(cls)), where)
        checks: dict[str, Callable[[str, Any], Any]] = {
            "name": lambda at, v: None if v is None else _text(at, v),
            "settings": _mapping,
            "mode": lambda at, v: _one_of(at, v, MODES),
            "task_scaling": lambda at, v: _one_of(at, v, SCALINGS),
            "normalization": lambda at, v: _one_of(at, v, NORMALIZATIONS),
            "max_tasks_per_transformation": lambda at, v: _whole(at, v, 1),
            "max_tasks_per_network": lambda at, v: None if v is None else _whole(at, v, 1),
            "sleep_interval": lambda at, v: duration(v, at),
            "extends_preference": _share,
            "patience": lambda at, v: duration(v, at),
        }
        plan = cls(**{key: checks[key](f"{where}.{key}", item) for key, item in given.items()})
        if plan.name is None and plan.mode != "disabled":
            raise CampaignError(f"{where}: there is no strategy (name: null), so mode must be 'disabled'. Give a name.")
        return plan


@attrs.frozen
class RestartPattern:
    """Restart a task whose failure matches `pattern`, at most `allowed` times.

    Attributes
    ----------
    pattern
        Regular expression, searched (re.search, no flags) in each text of `restarts.words_of` of the failed attempt.
    allowed
        Restarts of one task.
    from_scratch
        Whether the restarted task sets aside what it has computed, instead of going on from there.
    """

    pattern: str
    allowed: int
    from_scratch: bool = False

    @classmethod
    def parse(cls, value: Any, where: str) -> RestartPattern:
        """Check one entry of 'restarts'."""
        given = _mapping(where, value)
        check_keys(given, ("pattern", "allowed", "from_scratch"), where)
        for key in ("pattern", "allowed"):
            if key not in given:
                raise CampaignError(f"{where}: '{key}' is missing; an entry is {{pattern: 'CUDA', allowed: 3}}.")
        pattern = given["pattern"]
        if not isinstance(pattern, str) or not pattern:
            raise CampaignError(f"{where}.pattern: {short(pattern)} is not a text.")
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise CampaignError(f"{where}.pattern: {short(pattern)} is no regular expression ({error}).") from None
        fresh = given.get("from_scratch", False)
        if not isinstance(fresh, bool):
            raise CampaignError(f"{where}.from_scratch: {short(fresh)} is neither true nor false.")
        return cls(pattern, _whole(f"{where}.allowed", given["allowed"], 1), fresh)


@attrs.frozen
class Plan:
    """A checked campaign.yaml.

    Attributes
    ----------
    name
        Of the campaign: letters, digits, '.', '_' and '-'.
    network
        The network file; absolute.
    workspace
        Id of a workspace in settings.yaml, or a directory; None for the default one of settings.yaml.
    launcher
        A profile's name, a find_launcher requirement, or a profile in place.
    max_retries
        Retries after the first attempt of a task; None takes the workspace's.
    restarts
        The user's restart patterns.
    default_restarts
        Names of the rules of default_rules.py that are in force.
    budget
        What it may cost.
    experimental
        The file of measured values, for the results only; absolute.
    notify
        Whom to tell when it is satisfied, in error, or has used up its budget.
    file
        Where it was read, for messages; no key of it.
    """

    name: str
    network: Path
    workspace: str | None = None
    launcher: str | dict[str, Any] = "local"
    strategy: StrategyPlan = attrs.field(factory=StrategyPlan)
    max_retries: int | None = None
    restarts: tuple[RestartPattern, ...] = ()
    default_restarts: tuple[str, ...] = RULE_NAMES
    budget: Budget = attrs.field(factory=Budget)
    trusted_modules: tuple[str, ...] = ()
    experimental: Path | None = None
    notify: Notify = attrs.field(factory=Notify)
    file: Path | None = attrs.field(default=None, eq=False)

    def differences(self, other: Plan) -> list[str]:
        """Return how `other` differs from this plan, a line each: 'key: here -> there'."""
        mine, theirs = attrs.asdict(self), attrs.asdict(other)
        lines = []
        for key, value in mine.items():
            if key in ("name", "network", "workspace", "experimental", "file") or value == theirs[key]:
                continue
            if isinstance(value, dict) and isinstance(theirs[key], dict):
                names = sorted({*value, *theirs[key]})
                lines += [
                    f"{key}.{name}: {value.get(name)} -> {theirs[key].get(name)}"
                    for name in names
                    if value.get(name) != theirs[key].get(name)
                ]
            else:
                lines.append(f"{key}: {value} -> {theirs[key]}")
        return lines


def read_plan(path: Path) -> Plan:
    """Read and check a campaign.yaml.

    Raises
    ------
    CampaignError
        Says the file, the key and what to do.
    """
    return parse_plan(read_plan_text(path), path)


def read_plan_text(path: Path) -> str:
    """Return the text of a campaign.yaml.

    Raises
    ------
    CampaignError
        There is none, or it is no text.
    FormatError, WorkspaceError
        It is no file, or too large; it cannot be read.
    """
    if path.is_dir():
        raise CampaignError(f"{path}: a directory; give the campaign.yaml in it.")
    try:
        return read_bytes(path, most=_MOST_BYTES).decode()
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: there is no such campaign file. `xpm-alchem init NETWORK.json` writes one."
        ) from None
    except UnicodeDecodeError as error:
        raise CampaignError(f"{path}: cannot be read: it is not UTF-8 text ({error.reason}).") from None


def parse_plan(text: str, path: Path) -> Plan:
    """Check the text of a campaign.yaml; relative paths in it are relative to `path`'s directory."""
    where = str(path)
    try:
        content = safe_yaml.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date like 2026-02-30
        raise CampaignError(f"{where}: not valid YAML: {safe_yaml.what_is_wrong(error)}.") from None
    if not isinstance(content, dict):
        raise CampaignError(f"{where}: not a campaign: it holds no keys. `xpm-alchem init NETWORK.json` writes one.")
    check_keys(content, [field.name for field in attrs.fields(Plan) if field.name != "file"], where)
    for key in ("name", "network"):
        if key not in content:
            raise CampaignError(f"{where}: '{key}' is missing; a campaign needs at least 'name' and 'network'.")
    name = _text(f"{where}: name", content["name"])
    if not _NAME.fullmatch(name):
        raise CampaignError(
            f"{where}: name: {short(name)} may hold letters, digits, '.', '_' and '-' only (at most 100)."
        )
    given: dict[str, Any] = {"name": name, "file": path}
    given["network"] = _path(f"{where}: network", content["network"], path)
    if content.get("experimental") is not None:
        given["experimental"] = _path(f"{where}: experimental", content["experimental"], path)
    if content.get("workspace") is not None:
        given["workspace"] = _text(f"{where}: workspace", content["workspace"])
    if "launcher" in content:
        launcher = content["launcher"]
        given["launcher"] = launcher if isinstance(launcher, dict) else _text(f"{where}: launcher", launcher)
    if "strategy" in content:
        given["strategy"] = StrategyPlan.parse(content["strategy"], f"{where}: strategy")
    if content.get("max_retries") is not None:
        given["max_retries"] = _whole(f"{where}: max_retries", content["max_retries"], 0)
    given["budget"] = Budget.parse(content.get("budget"), f"{where}: budget")
    given["notify"] = Notify.parse(content.get("notify"), f"{where}: notify")
    given["restarts"] = _restarts(f"{where}: restarts", content.get("restarts"))
    if content.get("default_restarts") is not None:
        given["default_restarts"] = _default_restarts(f"{where}: default_restarts", content["default_restarts"])
    given["trusted_modules"] = tuple(
        _text(f"{where}: trusted_modules[{i}]", item)
        for i, item in enumerate(_list(f"{where}: trusted_modules", content.get("trusted_modules")))
    )
    return Plan(**given)


def _restarts(where: str, value: Any) -> tuple[RestartPattern, ...]:
    patterns = [RestartPattern.parse(item, f"{where}[{i}]") for i, item in enumerate(_list(where, value))]
    for i, pattern in enumerate(patterns):
        if any(pattern.pattern == other.pattern for other in patterns[:i]):
            raise CampaignError(f"{where}[{i}]: the pattern {pattern.pattern!r} is there twice; keep one of them.")
    return tuple(patterns)


def _default_restarts(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return RULE_NAMES if value else ()
    for i, name in enumerate(_list(where, value)):
        check_keys({_text(f"{where}[{i}]", name): None}, RULE_NAMES, where)
    return tuple(name for name in RULE_NAMES if name in value)


def _path(where: str, value: Any, file: Path) -> Path:
    try:
        return (file.absolute().parent / Path(_text(where, value)).expanduser()).resolve()
    except (RuntimeError, ValueError) as error:  # an unknown ~user, a null byte
        if isinstance(error, CampaignError):
            raise
        raise CampaignError(f"{where}: {short(value)} is no path ({error}).") from None


def _list(where: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise CampaignError(f"{where}: {short(value)} is not a list.")
    return value
