"""The hydration experiment for ``experimaestro run-experiment``; see experiment.yaml.

    python build_network.py --small --out network.json
    experimaestro run-experiment --workdir ./workspace experiment.yaml

Annotations stay evaluated here: experimaestro 2.7 cannot resolve a `run` whose annotations are text.
"""

from pathlib import Path

from experimaestro import GracefulExperimentExit
from experimaestro.experiments import ExperimentHelper, configuration
from experimaestro.experiments.configuration import ConfigurationBase

from xpm_alchem.client import Campaign


@configuration()
class Configuration(ConfigurationBase):
    """What experiment.yaml may say beside experimaestro's own keys."""

    campaign: str = "campaign.yaml"
    """The campaign file, relative to this directory."""


def run(helper: ExperimentHelper, configuration: Configuration) -> None:
    """Drive the campaign in the experiment's workspace.

    Raises
    ------
    RuntimeError
        Some tasks are in error.
    GracefulExperimentExit
        The driver was told to detach; tasks that run go on.
    """
    plan = Path(__file__).parent / configuration.campaign
    campaign = Campaign.create(plan, workspace=str(helper.xp.workspace.path))
    code = campaign.run(running=helper.xp)
    if code == 3:
        raise GracefulExperimentExit()
    if code:
        raise RuntimeError(f"some tasks are in error: xpm-alchem show {campaign.path}")
