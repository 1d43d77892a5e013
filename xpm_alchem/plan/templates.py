"""The campaign.yaml that `init` writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import yaml

from xpm_alchem.base.paths import absolute, are_same
from xpm_alchem.base.shell import quoted
from xpm_alchem.base.values import printable
from xpm_alchem.network.loading import Network
from xpm_alchem.plan.campaign_yaml import name_from

_TEMPLATE = """\
# A campaign of xpm-alchem: {transformations} transformations of {network_name}.
# Run it, or go on with it after any interruption, with: xpm-alchem run {file}

name: {name}
network: {network}            # gufe AlchemicalNetwork JSON, relative to this file

# Where everything is kept: an id in experimaestro's settings.yaml, or a directory (./... is relative to this file).
workspace: {workspace}

# Where attempts run: a profile of settings.yaml, a find_launcher requirement such as 'duration=2h & cpu(cores=4)',
# or a profile in place:
launcher: local
# launcher:
#   kind: local
#   slots: 2                  # attempts at once (default: all cores)
#   threads: 1                # of each attempt
#   time_limit: 4h            # of each attempt; it stops before and goes on in the next one
#   margin: 60s               # how long before

strategy:
  name: uniform               # or a-optimal, connectivity, radial-growth, module:Class of a stratocaster Strategy
  settings: {{repeats: 3}}      # results for every transformation
  mode: partial               # partial: only adds tasks; full: also cancels; disabled: does nothing
  max_tasks_per_transformation: 3
  # max_tasks_per_network: 100
  # task_scaling: exponential # or linear
  # normalization: max        # or sum, as alchemiscale has it
  # sleep_interval: 0         # least seconds between two iterations
  # extends_preference: 0     # share of tasks that extend a complete one (0 to 1)
  # patience: 10min           # mode full: how long a running task is unwanted before it is cancelled

max_retries: 3                # of a task that dies without progress; time-outs with progress are free

# Restart a task whose traceback matches a regular expression, so many times:
restarts: []
# restarts:
#   - {{pattern: 'CUDA_ERROR', allowed: 5}}

# What it may cost (docs/budget.md), in the unit of the launcher's price: by default GPU hours, or core hours:
# budget: {{total: 200, rate: 10/h, per_result: 12, until: 2030-12-24, on_exhausted: finish}}

# Whom to tell when it is satisfied, in error, or has used up its budget (docs/campaign.md):
# notify: {{command: [mail, -s, xpm-alchem, me@example.org], on: [satisfied, error, budget]}}
{trusted}"""

_TRUSTED = "\n# Python packages that the network may name beside gufe, openfe and feflow:\ntrusted_modules:\n"


def campaign_template(
    network: Network, file: Path, *, name: str | None, workspace: str | None, trusted: Iterable[str]
) -> str:
    """Return the text of a campaign.yaml for a network, to be written to `file`."""
    trust = "".join(f"  - {module}\n" for module in trusted)
    return _TEMPLATE.format(
        transformations=len(network.index.transformations),
        network_name=printable(network.path.name),
        file=printable(quoted(file.name)),
        name=name_from(name or network.index.name) or "campaign",
        network=_scalar(_path_from(file, network.path)),
        workspace=_scalar(workspace or "./workspace"),
        trusted=_TRUSTED + trust if trust else "",
    )


def _scalar(text: str) -> str:
    """Return a text as a value in YAML, quoted where it would be something else."""
    written: str = yaml.safe_dump(text, allow_unicode=True, width=10**6)
    return written.removesuffix("...\n").rstrip("\n")


def _path_from(file: Path, network: Path) -> str:
    """Return a network's path relative to the directory of a file, or as it is where links are in between."""
    directory, there = absolute(file).parent, absolute(network)
    relative = os.path.relpath(there, directory)
    return relative if are_same(directory / relative, there) else str(there)
