"""experimaestro's settings.yaml and workspaces, with errors a user can act on."""

from __future__ import annotations

import errno
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import CampaignError, WorkspaceError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.base.near_miss import check_keys, unknown_key
from xpm_alchem.base.paths import absolute, are_same, expanded
from xpm_alchem.base.quiet import quiet
from xpm_alchem.plan.budget import Budget

if TYPE_CHECKING:  # looking at a campaign by its directory needs no experimaestro, whose import takes 0.3 s
    from experimaestro.settings import Settings, WorkspaceSettings

_ADVICE = {  # by what is wrong with a workspace
    (errno.ENOSPC, errno.EDQUOT): "Free some space there, ",
    (errno.EACCES, errno.EPERM): "Ask its owner for the right to write there, ",
}
_MOST_BYTES = 1 << 20  # of a settings.yaml: reading 1 MB of YAML takes seconds


def settings_path() -> Path:
    """Return the path of experimaestro's settings."""
    return expanded("~/.config/experimaestro/settings.yaml")


@attrs.frozen
class UserSettings:
    """What settings.yaml says.

    Attributes
    ----------
    experimaestro
        Its own settings.
    launchers
        Our section ``xpm_alchem: launchers:``, launcher profiles by name, unchecked.
    budget
        Our section ``xpm_alchem: budget:``: what all campaigns of a workspace may cost together.
    alchemiscale
        Our section ``xpm_alchem: alchemiscale:``, ids or directories of workspaces by the URL that scripts name.
    """

    experimaestro: Settings
    launchers: dict[str, Any]
    budget: Budget = attrs.field(factory=Budget)
    alchemiscale: dict[str, str] = attrs.field(factory=dict)


def read_settings() -> UserSettings:
    """Read settings.yaml; one that is not there means defaults.

    Raises
    ------
    CampaignError
        It is damaged or has values that cannot be used.
    """
    path = settings_path()
    try:
        content = safe_yaml.load(read_bytes(path, most=_MOST_BYTES).decode())
    except FileNotFoundError:
        content = {}
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: not UTF-8, a date 2026-02-30
        raise CampaignError(f"{path}: cannot be read: {safe_yaml.what_is_wrong(error)}.") from None
    if not isinstance(content, dict):  # an empty file too: experimaestro refuses it
        raise CampaignError(f"{path}: holds no keys; delete it, or see settings.example.yaml of xpm-alchem.")
    section = content.get("xpm_alchem") or {}
    if not isinstance(section, dict):
        raise CampaignError(f"{path}: xpm_alchem: is not a mapping of keys to values.")
    check_keys(section, ("launchers", "budget", "alchemiscale"), f"{path}: xpm_alchem")
    launchers = section.get("launchers") or {}
    if not isinstance(launchers, dict):
        raise CampaignError(f"{path}: xpm_alchem.launchers: is not a mapping of names to profiles.")
    budget = _budget(section.get("budget"), f"{path}: xpm_alchem.budget")
    urls = section.get("alchemiscale") or {}
    if not (isinstance(urls, dict) and all(isinstance(text, str) for pair in urls.items() for text in pair)):
        raise CampaignError(f"{path}: xpm_alchem.alchemiscale: is not a mapping of URLs to workspaces.")
    with quiet():  # tqdm, which it imports, warns in a notebook without widgets
        from experimaestro.settings import get_settings
    from pydantic import ValidationError

    try:
        get_settings.cache_clear()
        return UserSettings(_as_written(get_settings()), launchers, budget, urls)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CampaignError(f"{path}: {place}: {first['msg']}.") from None


def _budget(value: Any, where: str) -> Budget:
    """Return the budget of a workspace: that of all its campaigns together."""
    if isinstance(value, dict) and "per_result" in value:
        raise CampaignError(f"{where}: per_result is of one campaign's results: give it in its campaign.yaml.")
    budget = Budget.parse(value, where)
    if budget.is_endless:
        raise CampaignError(f"{where}.until: 'never' is of one campaign's strategy; give a date, or leave it out.")
    return budget


def _as_written(settings: Settings) -> Settings:
    """Return settings whose workspaces have the paths that were written: experimaestro resolves links."""
    for workspace in settings.workspaces:
        if not workspace.is_remote:
            workspace.path = absolute(expanded(workspace._raw_path))
    return settings


def find_workspace(name: str | Path | None, settings: UserSettings) -> WorkspaceSettings:
    """Return a workspace by id or directory (a Path is one); None means the first one of settings.yaml.

    Raises
    ------
    CampaignError
        There is no such workspace.
    """
    from experimaestro.settings import WorkspaceSettings

    name = str(absolute(expanded(name))) if isinstance(name, Path) else name
    known = [workspace for workspace in settings.experimaestro.workspaces if not workspace.is_remote]
    if name is None:
        if known:
            return known[0]
        raise CampaignError(
            f"no workspace: {settings_path()} lists none. Give a directory: --workspace DIR, or "
            "'workspace: DIR' in campaign.yaml, or workspace='./DIR' from Python."
        )
    for workspace in known:
        if name in (workspace.id, str(workspace.path)):
            return workspace
    if "/" in name or name.startswith((".", "~")) or Path(name).is_dir():
        path = absolute(expanded(name))
        settings_of = next((one for one in known if are_same(Path(one.path), path)), None)
        made = WorkspaceSettings(id=None, path=path) if settings_of is None else replace(settings_of)
        made.path = path  # as it was given: experimaestro resolves links
        return made
    raise CampaignError(
        unknown_key(name, [str(w.id) for w in known] or ["none"], f"{settings_path()}: workspaces", what="there is no")
        + f" For a directory, write ./{name}."
    )


def check_writable(path: Path) -> None:
    """Make a workspace's directory and try to write in it.

    Raises
    ------
    WorkspaceError
        That is not possible: says why and what to do.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".xpm-alchem-{uuid.uuid4().hex[:8]}"
        with open(probe, "wb") as out:
            out.write(b"\0" * 65536)
            out.flush()
            os.fsync(out.fileno())
        probe.unlink()
    except OSError as error:
        if "probe" in locals():
            probe.unlink(missing_ok=True)
        first = next((advice for numbers, advice in _ADVICE.items() if error.errno in numbers), "")
        raise WorkspaceError(
            f"{path}: cannot be used as a workspace ({error.strerror}). "
            f"{first}{'or choose' if first else 'Choose'} another directory with --workspace."
        ) from None
