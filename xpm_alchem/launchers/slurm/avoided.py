"""Devices of nodes on which tasks of a campaign fail: told by its driver, heeded by its jobs.

<workspace>/slurm/avoided/<campaign>.json      {node: [device, ...]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.base.files import read_record, write_record

_KIND, _VERSION = "xpm-alchem avoided devices", 1


class AvoidedDevices:
    """What is avoided in a campaign.

    Parameters
    ----------
    root
        The directory of the workspace's batches.
    campaign
        The campaign's name.
    """

    def __init__(self, root: Path, campaign: str) -> None:
        self._path = root / "avoided" / f"{campaign}.json"
        self._told: dict[str, list[str]] | None = None

    def tell(self, devices: Mapping[str, Collection[str]]) -> None:
        """Tell the jobs which devices are to be avoided, by node; nothing is written where nothing has changed."""
        told = {node: sorted(names) for node, names in devices.items()}
        if told == self._told or (not told and self._told is None and not self._path.exists()):
            return
        self._path.parent.mkdir(exist_ok=True)
        write_record(self._path, _KIND, _VERSION, {"nodes": told})
        self._told = told

    def on(self, node: str) -> set[str]:
        """Return the devices of a node that are to be avoided; none where that cannot be read now."""
        with suppress(OSError, XpmAlchemError, AttributeError, TypeError):
            return set(map(str, read_record(self._path, _KIND, _VERSION)["nodes"].get(node, ())))
        return set()
