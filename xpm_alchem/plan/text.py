"""The text of a campaign.yaml, made anew or with another section: the rest, comments included, stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import check_keys
from xpm_alchem.base.values import plain, short
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.campaign_yaml import Plan, parse_plan
from xpm_alchem.plan.restart_patterns import RestartPattern
from xpm_alchem.plan.strategy import StrategyPlan


def whole_text(sections: Mapping[str, Any]) -> str:
    """Return the text of a campaign.yaml with these keys, in this order, the same bytes for the same keys.

    Raises
    ------
    CampaignError
        A value is none that YAML has.
    """
    text = "# Written by xpm-alchem for a program: this campaign has no campaign.yaml but this one.\n"
    for name, value in sections.items():
        try:
            text += yaml.dump({name: plain(value)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        except yaml.representer.RepresenterError as error:
            found = error.args[-1]
            raise CampaignError(
                f"{name}: {short(found)} ({type(found).__name__}) is no text, number, list or mapping."
            ) from None
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that is there twice two times: whether it is one object says nothing."""
        return True


def with_strategy(text: str, path: Path, changes: Mapping[str, Any]) -> str:
    """Return the text of a valid campaign.yaml with its strategy section changed.

    Parameters
    ----------
    text, path
        The plan, and the file it is from.
    changes
        Keys of the section. `settings` are added to those there are, unless `name` changes: then they replace them.
        `name` None drops the strategy and sets its mode to 'disabled'; a name given after that takes this mode back.

    Raises
    ------
    CampaignError
        A key or a value is not known.
    """
    before = parse_plan(text, path)
    check_keys(changes, tuple(field.name for field in attrs.fields(StrategyPlan)), "strategy")
    content = safe_yaml.load(text)
    section = _changed(content.get("strategy", {}), changes)
    after = attrs.evolve(before, strategy=StrategyPlan.parse(section, "strategy"))
    return text if after == before else _with_section(text, path, "strategy", section, after)


def with_restarts(text: str, path: Path, patterns: Sequence[RestartPattern]) -> str:
    """Return the text of a valid campaign.yaml with other restart patterns."""
    before = parse_plan(text, path)
    after = attrs.evolve(before, restarts=tuple(patterns))
    section = [
        attrs.asdict(pattern, filter=lambda field, value: field.name != "from_scratch" or value) for pattern in patterns
    ]
    return text if after == before else _with_section(text, path, "restarts", section, after)


def with_budget(text: str, path: Path, changes: Mapping[str, Any]) -> str:
    """Return the text of a valid campaign.yaml with keys of its budget section changed; None takes a key away.

    Raises
    ------
    CampaignError
        A key or a value is not known.
    """
    before = parse_plan(text, path)
    there = {**(safe_yaml.load(text).get("budget") or {}), **changes}
    section = {key: value for key, value in there.items() if value is not None}
    after = attrs.evolve(before, budget=Budget.parse({**section, **changes}, "budget"))
    return text if after == before else _with_section(text, path, "budget", section, after)


def _with_section(text: str, path: Path, name: str, section: Any, after: Plan) -> str:
    block = yaml.safe_dump({name: section}, sort_keys=False, allow_unicode=True)
    changed = _spliced(text, name, block)
    if changed is not None and _is(changed, path, after):
        return changed
    return yaml.safe_dump({**safe_yaml.load(text), name: section}, sort_keys=False, allow_unicode=True)


def _changed(section: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {"name": section} if isinstance(section, str) else dict(section)
    name = given.get("name", StrategyPlan().name)
    settings = changes.get("settings", {})
    if changes.get("name", name) == name and isinstance(settings, Mapping):
        settings = {**given.get("settings", {}), **settings}
    if "name" in changes and name is None:
        given.pop("mode", None)
    made = {"name": name, **given, **changes, "settings": settings}
    if made["name"] is None:
        made |= {"settings": {}, "mode": "disabled" if "name" in changes else made.get("mode")}
    if not made["settings"]:
        del made["settings"]
    return made


def _spliced(text: str, name: str, block: str) -> str | None:
    """Put the block in place of the section, or at the end where there is none; None if the text is too unusual."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return None
    for key, value in root.value:
        if key.value == name:
            end = text.find("\n", _end(value))
            return text[: key.start_mark.index] + block + ("" if end < 0 else text[end + 1 :])
    return f"{text.rstrip()}\n{block}"


def _end(node: yaml.Node) -> int:
    """Return where the last word of a node is: a block's own end mark lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)


def _is(text: str, path: Path, plan: Any) -> bool:
    try:
        return bool(parse_plan(text, path) == plan)
    except ValueError:
        return False
