"""What ``run --detach`` starts: drives the campaign whose directory is given, printing to a log."""

from __future__ import annotations

import sys

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.streams import make_lasting
from xpm_alchem.cli.display import Display
from xpm_alchem.cli.options import console
from xpm_alchem.client import Campaign
from xpm_alchem.client.background import tell_that_it_drives


def main(path: str, launcher: str | None = None) -> int:
    """Drive the campaign; return the exit code of ``run``."""
    make_lasting()
    out = console()
    try:
        campaign = Campaign.open(path)
        with Display(out, campaign.records, units=False) as display:
            return campaign.run(launcher=launcher, observe=display, begun=tell_that_it_drives)
    except XpmAlchemError as error:
        out.print(f"Error: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
