"""What ``run --detach`` starts: drives a campaign, or a workspace, printing to a log."""

from __future__ import annotations

import sys

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.streams import make_lasting
from xpm_alchem.cli.display import Display
from xpm_alchem.cli.options import console
from xpm_alchem.cli.workspace import WorkspaceDisplay
from xpm_alchem.client import Campaign, Workspace
from xpm_alchem.client.background import tell_that_it_drives


def main(path: str, *more: str) -> int:
    """Drive the campaign in a directory, with a launcher instead of its own; or '--all', a workspace, and its options.

    Returns
    -------
    int
        The exit code of ``run``.
    """
    make_lasting()
    out = console()
    try:
        if path == "--all":
            return _drive_all(*more)
        launcher = more[0] if more else None
        campaign = Campaign.open(path)
        with Display(out, campaign.records, units=False) as display:
            return campaign.run(launcher=launcher, observe=display, begun=tell_that_it_drives)
    except XpmAlchemError as error:
        out.print(f"Error: {error}")
        return 2


def _drive_all(workspace: str, *options: str) -> int:
    made = Workspace(workspace)
    with WorkspaceDisplay(console(), made.path, units=False) as display:
        return made.run(stay="--stay" in options, observe=display, begun=tell_that_it_drives)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
