"""Which jobs of a campaign have ended, told in one directory: a look at it costs the same however many there are.

A job that has noted how the process of a task ended (`ended/<n>` of its batch) leaves a file of its task's launch in
`<workspace>/campaigns/<campaign>/ended/`; the campaign's driver removes it when it has looked. So two or three calls
tell a driver of all ends, also where a file system has no events or they come from another machine (a directory that is
opened is asked for anew on NFS). The file hurries a look and proves nothing: without it, as from jobs of version 0.1 or
of another campaign, the driver's round finds the end, or SLURM names it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_SEPARATOR = "."  # in no batch's name


class EndedJobs:
    """The directory.

    Parameters
    ----------
    root
        The directory of the workspace's batches.
    campaign
        The campaign's name.
    """

    def __init__(self, root: Path, campaign: str) -> None:
        self.campaign = campaign
        self.path = root.parent / "campaigns" / campaign / "ended"

    def open(self) -> None:
        """Make the directory where it can be made; without it ends are found more slowly."""
        with suppress(OSError):
            self.path.mkdir(exist_ok=True)

    def tell(self, launch: str) -> None:
        """Tell the driver to look what became of a launch."""
        with suppress(OSError):
            self.file(launch).touch()

    def file(self, launch: str) -> Path:
        """Return the file that tells of a launch."""
        return self.path / launch.replace("/", _SEPARATOR)

    def told(self) -> list[str]:
        """Return the launches that are told of and were not taken note of yet."""
        try:
            return [path.name.replace(_SEPARATOR, "/") for path in self.path.iterdir()]
        except OSError:
            return []

    def heard(self, launch: str) -> None:
        """Take note of what was told."""
        with suppress(OSError):
            self.file(launch).unlink()
