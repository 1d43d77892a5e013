"""Where a campaign runs or would run: workspace, launcher, modules; and what is wrong with their settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from xpm_alchem.base.errors import CampaignError, XpmAlchemError
from xpm_alchem.base.paths import absolute, expanded
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.workspace import UserSettings, find_workspace, read_settings, settings_path
from xpm_alchem.doctor.check import Finding, broken, fault, warning

if TYPE_CHECKING:
    from xpm_alchem.launchers.base import AttemptLauncher


@attrs.frozen
class Site:
    """What the checks of the environment look at.

    Attributes
    ----------
    workspace, launcher
        None where there is none that could be looked at.
    modules, trusted
        Python modules that the campaign's network names, and those its plan trusts.
    troubles
        What was found while this was put together, each with the name of its check.
    """

    workspace: Path | None = None
    launcher: AttemptLauncher | None = None
    modules: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    troubles: tuple[tuple[str, Finding], ...] = ()


def find_site(workspace: str | None, launcher: str | None, records: CampaignRecords | None) -> Site:
    """Put together what is to be looked at.

    Parameters
    ----------
    workspace
        Id or directory; the default's without. A campaign's is where it lies.
    launcher
        Instead of the campaign's, or of 'local'.

    Raises
    ------
    CampaignError
        There is no such workspace or launcher as was given.
    """
    troubles: list[tuple[str, Finding]] = []
    settings = _settings(troubles)
    if records is not None:
        path: Path | None = records.workspace
    else:
        path = _workspace(workspace, settings, troubles)
    asked, modules, trusted = _of_campaign(records)
    chosen = _launcher(launcher, asked, settings, troubles)
    return Site(path, chosen, modules, trusted, tuple(troubles))


def _settings(troubles: list[tuple[str, Finding]]) -> UserSettings | None:
    try:
        return read_settings()
    except CampaignError as error:
        troubles.append(("settings", fault(str(error), f"correct {settings_path()}")))
    except Exception as error:  # experimaestro that cannot be imported
        troubles.append(("settings", broken(error)))
    return None


def _workspace(given: str | None, settings: UserSettings | None, troubles: list[tuple[str, Finding]]) -> Path | None:
    if settings is not None and (given is not None or settings.experimaestro.workspaces):
        return Path(find_workspace(given, settings).path)
    if given is not None and ("/" in given or Path(given).is_dir()):
        return absolute(expanded(given))
    if settings is not None:
        found = f"none to look at: {settings_path()} lists none"
        mend = "give one with --workspace DIR, or list it there (see settings.example.yaml)"
        troubles.append(("workspace", warning(found, mend)))
    return None


def _of_campaign(records: CampaignRecords | None) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Return launcher, modules and trusted modules of a campaign; its own checks tell what cannot be read."""
    launcher: Any = "local"
    modules: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    if records is not None:
        try:
            plan = records.plan()
            launcher, trusted = plan.launcher, plan.trusted_modules
            modules = records.index.modules
        except Exception:  # whatever damage does
            return launcher, (), trusted
    return launcher, modules, trusted


def _launcher(
    given: str | None, asked: Any, settings: UserSettings | None, troubles: list[tuple[str, Finding]]
) -> AttemptLauncher | None:
    if settings is None and (given or asked) != "local":
        return None
    try:
        from xpm_alchem.launchers.choose import choose_launcher

        return choose_launcher(given or asked, {} if settings is None else settings.launchers)
    except XpmAlchemError as error:
        if given is not None:
            raise
        troubles.append(("launcher", fault(str(error), "correct 'launcher' in campaign.yaml, or settings.yaml")))
    except Exception as error:
        troubles.append(("launcher", broken(error)))
    return None
