"""From what campaign.yaml says to a launcher: a profile's name, a profile in place, or a find_launcher requirement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experimaestro.launcherfinder import LauncherRegistry, parse
from experimaestro.launchers.direct import DirectLauncher
from experimaestro.launchers.slurm import SlurmLauncher as XpmSlurmLauncher

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.base.values import short
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.launchers.local_profile import LocalProfile
from xpm_alchem.launchers.several import SeveralLaunchers
from xpm_alchem.launchers.slurm.launcher import SlurmLauncher
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.workers.launcher import WorkersLauncher
from xpm_alchem.launchers.workers.profile import PoolProfile

_KINDS = ("local", "slurm", "workers")
_SIGNS = "=(&|"  # of a requirement


Given = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def choose_launcher(given: Given, profiles: Mapping[str, Any]) -> AttemptLauncher:
    """Return a launcher.

    Parameters
    ----------
    given
        'local', 'slurm' (with the site's defaults), 'workers', the name of a profile, a profile in place, or a
        requirement such as ``'duration=2h & cpu(cores=4)'`` that experimaestro's find_launcher answers. Or several of
        these: the first is filled, then the next.
    profiles
        The profiles of settings.yaml by name.

    Raises
    ------
    CampaignError
        There is no such launcher, or its profile cannot be used.
    """
    if isinstance(given, Sequence) and not isinstance(given, str):
        chosen = [choose_launcher(one, profiles) for one in given]
        return chosen[0] if len(chosen) == 1 else SeveralLaunchers(chosen)
    if isinstance(given, Mapping):
        return _from_profile("in campaign.yaml", given, "launcher")
    if given in profiles:
        return _from_profile(given, profiles[given], f"settings.yaml: xpm_alchem.launchers.{given}")
    if given == "local":
        return LocalLauncher()
    if given == "slurm":
        return SlurmLauncher()
    if given == "workers":
        return WorkersLauncher()
    if any(sign in given for sign in _SIGNS):
        return _found(given)
    raise CampaignError(unknown_key(given, [*_KINDS, *profiles], "launcher", what="there is no"))


def is_launcher(given: str, profiles: Mapping[str, Any]) -> bool:
    """Return whether a text names a launcher, or is a requirement."""
    return given in profiles or given in _KINDS or any(sign in given for sign in _SIGNS)


def _from_profile(name: str, profile: Any, where: str) -> AttemptLauncher:
    profile = checks.mapping(profile, where)
    if (kind := profile.get("kind", "local")) not in _KINDS:
        raise CampaignError(f"{where}.kind: {short(kind)} is no kind of launcher; known are: {', '.join(_KINDS)}.")
    if kind == "workers":
        return WorkersLauncher(PoolProfile.parse(profile, where), name)
    if kind == "slurm":
        return SlurmLauncher(SlurmProfile.parse(profile, where), name)
    return LocalLauncher(LocalProfile.parse(profile, where), name)


def _found(requirement: str) -> AttemptLauncher:
    try:
        parse(requirement)  # without a launchers.py experimaestro would not look at it
        found = LauncherRegistry.instance().find(requirement)
    except Exception as error:  # the parser's own errors, and whatever the user's launchers.py raises
        raise CampaignError(f"launcher: the requirement {short(requirement)} cannot be used: {error}") from None
    if isinstance(found, AttemptLauncher):
        return found
    if type(found) is DirectLauncher:
        return LocalLauncher(LocalProfile(env=dict(found.environ)), requirement)
    if type(found) is XpmSlurmLauncher:
        return SlurmLauncher(_profile_of(found, f"launcher: {requirement}"), requirement)
    raise CampaignError(
        f"launcher: launchers.py answers the requirement {short(requirement)} with {found}, which xpm-alchem cannot "
        "use; let it return an xpm_alchem.launchers launcher, or experimaestro's DirectLauncher or SlurmLauncher."
    )


def _profile_of(found: XpmSlurmLauncher, where: str) -> SlurmProfile:
    """Return the profile that asks for what an experimaestro SlurmLauncher would; our own SLURM code runs it."""
    given: dict[str, Any] = {}
    more = []
    for key, value in vars(found.options).items():
        if value is None:
            continue
        if key in ("partition", "account", "qos", "time", "mem", "gpus", "constraint", "exclude"):
            given[key] = value
        elif key == "cpus_per_task":
            given["cpus"] = int(value)
        else:
            more.append(f"--{key.replace('_', '-')}={value}")
    return SlurmProfile.parse({**given, "sbatch": more, "env": dict(found.environ)}, where)
