"""The commands that a view suggests, ready to be copied into a shell."""

from __future__ import annotations

import shlex

import attrs

from xpm_alchem.campaign.records import CampaignRecords


@attrs.frozen
class Address:
    """How a user names a campaign on the command line.

    Attributes
    ----------
    campaign
        A campaign.yaml, a campaign's directory, or its name in a workspace.
    workspace
        The option, where it is needed.
    """

    campaign: str
    workspace: str | None = None

    @classmethod
    def of(cls, records: CampaignRecords) -> Address:
        """Return the address that is right from everywhere."""
        return cls(str(records.path))

    def command(self, verb: str, *arguments: str) -> str:
        """Return ``xpm-alchem VERB CAMPAIGN ARGUMENTS`` as a shell takes it."""
        options = [] if self.workspace is None else ["--workspace", self.workspace]
        return shlex.join(["xpm-alchem", *verb.split(), self.campaign, *arguments, *options])
