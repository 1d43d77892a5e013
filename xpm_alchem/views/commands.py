"""The commands that a view suggests, ready to be copied into a shell."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from xpm_alchem.base.shell import command_line
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

    def command(self, verb: str, *arguments: str, options: Sequence[str] = ()) -> str:
        """Return ``xpm-alchem VERB CAMPAIGN ARGUMENTS OPTIONS`` as a shell takes it."""
        where = [] if self.workspace is None else ["--workspace", self.workspace]
        return command_line(verb, self.campaign, *arguments, options=[*options, *where])
