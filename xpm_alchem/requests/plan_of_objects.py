"""A campaign from what a program has in memory: its plan's text and its network's JSON, checked as files are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError, MissingPackageError, UntrustedModuleError
from xpm_alchem.base.interpreter import python
from xpm_alchem.base.paths import absolute, expanded
from xpm_alchem.campaign.records import campaign_path
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.gufe_seam.keyed_chain import modules_in
from xpm_alchem.network.loading import Network, load_network, network_of
from xpm_alchem.network.trust import TRUSTED, VALUE_TYPES, check_module
from xpm_alchem.plan.campaign_yaml import name_from, parse_plan
from xpm_alchem.plan.restart_patterns import RestartPattern
from xpm_alchem.plan.text import whole_text
from xpm_alchem.requests.preparation import Preparation
from xpm_alchem.strategies.given import strategy_section

_WHERE = "Campaign.create"


def prepare(
    network: Any,
    *,
    name: str | None = None,
    workspace: str | Path | None = None,
    strategy: Any = None,
    trusted_modules: str | Iterable[str] = (),
    **sections: Any,
) -> Preparation:
    """Check a network and a plan's sections; nothing is made.

    The plan lies in the campaign's directory and names what lies there relative to it: as a file, it runs the campaign.

    Parameters
    ----------
    network
        A gufe AlchemicalNetwork, or the path of the JSON of one.
    name
        The campaign's; None: the network's.
    workspace
        Id or directory; None: the first of settings.yaml.
    strategy
        See `strategies.given.strategy_section`.
    trusted_modules
        Packages that the network may name. Of one in memory those are trusted that its program has imported.
    sections
        Others of campaign.yaml; None: not given.

    Raises
    ------
    InputError
        Something cannot be used: says what, where and what to do.
    """
    root = Path(find_workspace(workspace, read_settings()).path)
    trusted = [trusted_modules] if isinstance(trusted_modules, str) else [str(module) for module in trusted_modules]
    section = strategy_section(strategy)
    if section != strategy:
        module, colon, _ = str(section["name"]).partition(":")
        trusted += _imported([module] if colon else [], trusted)
    if isinstance(network, str | Path):
        source = absolute(expanded(network))
        loaded = load_network(source, trusted)
    else:
        source, loaded = None, _in_memory(network, name, trusted)
        trusted += _imported(loaded.index.modules, trusted)
    _check_found(loaded.index.modules)
    called = str(name or name_from(loaded.index.name))
    given = {**sections, "strategy": section, "trusted_modules": sorted({*trusted}) or None}
    if given.get("experimental") is not None:
        given["experimental"] = str(absolute(expanded(given["experimental"])))
    if given.get("restarts") is not None:
        given["restarts"] = [_plain(pattern) for pattern in given["restarts"]]
    kept = {key: value for key, value in given.items() if value is not None}
    text = whole_text({"name": called, "network": "network.json", "workspace": "../..", **kept})
    file = campaign_path(root, called) / "campaign.yaml"
    plan = attrs.evolve(parse_plan(text, file, _WHERE), file=None)
    if source is not None:
        plan = attrs.evolve(plan, network=source)
    return Preparation.checked(plan, text, root, network=loaded)


def _in_memory(network: Any, name: str | None, trusted: list[str]) -> Network:
    from xpm_alchem import gufe_seam

    if not isinstance(network, gufe_seam.AlchemicalNetwork):
        raise CampaignError(
            f"{_WHERE}: network: {type(network).__name__} is no AlchemicalNetwork. Give one of gufe's, or the path of "
            "its JSON."
        )
    called = name_from(str(name or network.name or ""))
    if not called:
        raise CampaignError(f"{_WHERE}: the network has no name. Give the campaign one: name='...'.")
    content = gufe_seam.to_text(network).encode()
    modules = modules_in(json.loads(content))
    return network_of(content, Path(called), [*trusted, *_imported(modules, trusted)])


def _imported(modules: Iterable[str], trusted: Iterable[str]) -> set[str]:
    """Return the packages of modules that are not trusted, but that this program works with anyway."""
    check = check_module(_WHERE, trusted)
    found = set()
    for module in modules:
        package = module.split(".")[0]
        try:
            check(module)
        except UntrustedModuleError:
            if package == "__main__":
                raise CampaignError(
                    f"{_WHERE}: the network has objects of a class that is defined in this program or notebook. "
                    "Attempts are processes of their own: put the class into a module, and import it from there."
                ) from None
            if package in sys.modules and package not in sys.stdlib_module_names:
                found.add(package)
    return found


def _check_found(modules: Iterable[str]) -> None:
    """Refuse modules that attempts would not find: a notebook imports from its own directory, they do not."""
    packages = sorted({module.split(".")[0] for module in modules} - {*TRUSTED, *VALUE_TYPES})
    if not packages:
        return
    look = "import importlib.util, sys; print(*(m for m in sys.argv[1:] if importlib.util.find_spec(m) is None))"
    done = subprocess.run(python("-c", look, *packages), capture_output=True, text=True, check=False)
    if done.returncode == 0 and (missing := done.stdout.split()):
        raise MissingPackageError(
            f"{_WHERE}: attempts are processes of their own and would not find the module '{missing[0]}', which is "
            "imported here from this program's own directory. Install it, or put its directory into PYTHONPATH: "
            "os.environ['PYTHONPATH'] = '/the/directory' before anything is run."
        )


def _plain(pattern: Any) -> Any:
    return attrs.asdict(pattern) if isinstance(pattern, RestartPattern) else pattern
