"""campaign.yaml: the plan of a campaign, read safely and checked key by key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import yaml

from xpm_alchem.base import checks, safe_yaml
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.files import is_directory, read_bytes
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.paths import absolute, expanded
from xpm_alchem.base.values import short
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.default_rules import RULE_NAMES
from xpm_alchem.plan.notify import Notify
from xpm_alchem.plan.restart_patterns import Patterns, parse_patterns
from xpm_alchem.plan.secrets import hidden_address, hidden_command, hidden_variables
from xpm_alchem.plan.strategy import StrategyPlan

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_BYTES = 1 << 20  # of a campaign.yaml: reading 1 MB of YAML takes seconds


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
        A profile's name, a find_launcher requirement, or a profile in place; or several, the first of which is filled
        before the next.
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
    launcher: str | dict[str, Any] | list[str | dict[str, Any]] = "local"
    strategy: StrategyPlan = attrs.field(factory=StrategyPlan)
    max_retries: int | None = None
    restarts: Patterns = ()
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
                    f"{key}.{name}: {_shown(key, name, value.get(name))} -> {_shown(key, name, theirs[key].get(name))}"
                    for name in names
                    if value.get(name) != theirs[key].get(name)
                ]
            else:
                lines.append(f"{key}: {_shown('', key, value)} -> {_shown('', key, theirs[key])}")
        return lines


def _shown(key: str, name: str, value: Any) -> Any:
    """Return a value of the plan without what may be secret."""
    if name == "launcher" and isinstance(value, list):
        return [_shown(key, name, one) for one in value]
    if name == "launcher" and isinstance(value, dict):
        return {one: _shown(name, one, item) for one, item in value.items()}
    if (key, name) == ("launcher", "env") and isinstance(value, dict):
        return hidden_variables(value)
    if (key, name) == ("notify", "command") and value:
        return hidden_command(value)
    return hidden_address(value) if isinstance(value, str) else value


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
    if is_directory(path):
        raise CampaignError(f"{path}: a directory; give the campaign.yaml in it.")
    try:
        return read_bytes(path, most=_MOST_BYTES).decode()
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: there is no such campaign file. `xpm-alchem init NETWORK.json` writes one."
        ) from None
    except UnicodeDecodeError as error:
        raise CampaignError(f"{path}: cannot be read: it is not UTF-8 text ({error.reason}).") from None


def name_from(text: str) -> str:
    """Return the name of a campaign that is made from any text, such as a network's name; empty if nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100]


def parse_plan(text: str, path: Path, where: str | None = None) -> Plan:
    """Check the text of a campaign.yaml; relative paths in it are relative to `path`'s directory.

    Parameters
    ----------
    where
        What is named in messages instead of `path`, where there is no such file.
    """
    where = str(path) if where is None else where
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
    name = checks.text(content["name"], f"{where}: name")
    if not _NAME.fullmatch(name):
        raise CampaignError(
            f"{where}: name: {short(name)} may hold letters, digits, '.', '_' and '-' only (at most 100)."
        )
    given: dict[str, Any] = {"name": name, "file": path}
    given["network"] = _path(content["network"], f"{where}: network", path)
    if content.get("experimental") is not None:
        given["experimental"] = _path(content["experimental"], f"{where}: experimental", path)
    if content.get("workspace") is not None:
        given["workspace"] = checks.text(content["workspace"], f"{where}: workspace")
    if "launcher" in content:
        given["launcher"] = _launcher(content["launcher"], f"{where}: launcher")
    if "strategy" in content:
        given["strategy"] = StrategyPlan.parse(content["strategy"], f"{where}: strategy")
    if content.get("max_retries") is not None:
        given["max_retries"] = checks.whole(content["max_retries"], f"{where}: max_retries", 0)
    given["budget"] = Budget.parse(content.get("budget"), f"{where}: budget")
    given["notify"] = Notify.parse(content.get("notify"), f"{where}: notify")
    given["restarts"] = parse_patterns(content.get("restarts"), f"{where}: restarts")
    if content.get("default_restarts") is not None:
        given["default_restarts"] = _default_restarts(content["default_restarts"], f"{where}: default_restarts")
    given["trusted_modules"] = tuple(
        checks.text(item, f"{where}: trusted_modules[{i}]")
        for i, item in enumerate(checks.items(content.get("trusted_modules"), f"{where}: trusted_modules"))
    )
    return Plan(**given)


def _default_restarts(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, bool):
        return RULE_NAMES if value else ()
    for i, name in enumerate(checks.items(value, where)):
        check_keys({checks.text(name, f"{where}[{i}]"): None}, RULE_NAMES, where)
    return tuple(name for name in RULE_NAMES if name in value)


def _path(value: Any, where: str, file: Path) -> Path:
    try:
        return absolute(absolute(file).parent / expanded(checks.text(value, where)))
    except ValueError as error:  # an unknown ~user, a null byte
        if isinstance(error, CampaignError):
            raise
        raise CampaignError(f"{where}: {short(value)} is no path ({error}).") from None


def _launcher(value: Any, where: str) -> Any:
    if not isinstance(value, list):
        return value if isinstance(value, dict) else checks.text(value, where)
    if not value:
        raise CampaignError(f"{where}: names none. Give a profile's name, or several: [gpu, pool].")
    return [one if isinstance(one, dict) else checks.text(one, f"{where}[{i}]") for i, one in enumerate(value)]
