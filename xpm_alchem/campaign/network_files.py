"""A campaign's network files and index.json. A network file is never changed: another one is put beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

import attrs

from xpm_alchem.base.errors import FormatError, NetworkError
from xpm_alchem.base.files import atomic_write, make_directories
from xpm_alchem.base.permissions import ANYBODY, permissions_of
from xpm_alchem.base.stamps import NO_FILE, stamp_of
from xpm_alchem.campaign.index_record import (
    FIRST_NETWORK,
    NETWORKS,
    GoneTransformation,
    NetworkInForce,
    read_network_in_force,
    write_network_in_force,
)
from xpm_alchem.network.loading import Network, load_network

_NUMBERED = re.compile(r"([1-9][0-9]{0,8})\.json")


class NetworkFiles:
    """Reads them, and puts another network in force.

    Parameters
    ----------
    campaign
        Its directory.
    trusted
        Returns the packages that the user trusts.
    """

    def __init__(self, campaign: Path, trusted: Callable[[], tuple[str, ...]]) -> None:
        self._campaign, self._trusted = campaign, trusted
        self._index = campaign / "index.json"
        self._stamp = NO_FILE
        self._in_force: NetworkInForce | None = None
        self._network: Network | None = None
        self._others: dict[str, Network] = {}

    def path_of(self, file: str) -> Path:
        """Return where a network file is."""
        return self._campaign / file

    @property
    def in_force(self) -> NetworkInForce:
        """Which network is in force; where the index is damaged, what the network files tell."""
        if self._in_force is None:
            self._stamp = stamp_of(self._index)
            try:
                self._in_force = read_network_in_force(self._index)
            except FormatError as error:
                if error.newer:
                    raise
                self._in_force = self._made_again()
        return self._in_force

    def look_again(self) -> bool:
        """Read the index anew if it is another file now; return whether it is."""
        if stamp_of(self._index) == self._stamp:
            return False
        self._in_force = self._network = None
        return True

    @property
    def network(self) -> Network:
        """The network in force."""
        if self._network is None:
            in_force = self.in_force
            if self._network is not None:  # read while the index was made of it
                return self._network
            path = self.path_of(in_force.file)
            network = load_network(path, self._trusted())
            if network.index.by_id.keys() != in_force.index.by_id.keys():
                raise NetworkError(
                    f"{path}: damaged or replaced: its transformations are not those the campaign was made "
                    "from. Restore it from a backup, or from the file that was given to `run` first."
                )
            self._network = network
        return self._network

    @network.setter
    def network(self, network: Network) -> None:
        self._network = network

    def of(self, file: str) -> Network:
        """Return the network of a file, whether it is in force or not."""
        if file == self.in_force.file:
            return self.network
        if file not in self._others:
            self._others[file] = load_network(self.path_of(file), self._trusted())
        return self._others[file]

    def numbers(self) -> list[int]:
        """Return the numbers of the network files there are beside the first, in order."""
        try:
            names = [path.name for path in (self._campaign / NETWORKS).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(found[1]) for name in names if (found := _NUMBERED.fullmatch(name)))

    def put_in_force(
        self, network: Network, told: int, *, given: Collection[str] | None = None, permissions: int = ANYBODY
    ) -> None:
        """Put another network in force, all at once; the caller holds the campaign's lock.

        Parameters
        ----------
        told
            The number that the journal told last: an index that was restored from a backup may have a lower one.
        """
        before = self.in_force
        number = max(before.number, told, *self.numbers(), 1) + 1
        file = f"{NETWORKS}/{number}.json"
        path = self.path_of(file)
        permissions &= permissions_of(self._index, self.path_of(before.file))
        make_directories(path.parent)
        with atomic_write(path, "wb", permissions=permissions) as out:
            out.write(network.content)
        here = network.index.by_id
        gone = {stable_id: one for stable_id, one in before.gone.items() if stable_id not in here}
        gone |= {
            record.id: GoneTransformation(record, before.file)
            for record in before.index.transformations
            if record.id not in here
        }
        after = NetworkInForce(
            network.index,
            number=number,
            file=file,
            gone=gone,
            given=before.given if given is None else frozenset(given),
        )
        self._write(after, permissions)
        self._network = network.at(path)

    def remember_given(self, given: Collection[str]) -> None:
        """Remember what a file gave last; the network stays as it is."""
        self._write(attrs.evolve(self.in_force, given=frozenset(given)), permissions_of(self._index))

    def _write(self, in_force: NetworkInForce, permissions: int) -> None:
        write_network_in_force(self._index, in_force, permissions=permissions)
        self._stamp, self._in_force = stamp_of(self._index), in_force

    def _made_again(self) -> NetworkInForce:
        """Return what the network files tell: the last one is in force, what only others hold is gone."""
        numbers = self.numbers()
        files = [FIRST_NETWORK, *(f"{NETWORKS}/{number}.json" for number in numbers)]
        network = load_network(self.path_of(files[-1]), self._trusted())
        self._network = network
        gone: dict[str, GoneTransformation] = {}
        for file in files[:-1]:
            for record in load_network(self.path_of(file), self._trusted()).index.transformations:
                if record.id not in network.index.by_id:
                    gone[record.id] = GoneTransformation(record, file)
        return NetworkInForce(network.index, number=max([1, *numbers]), file=files[-1], gone=gone)
