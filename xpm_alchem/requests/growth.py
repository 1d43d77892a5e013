"""A network that changes: what another file, or a command, makes of the one in force, and how that takes force."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import InputError, NetworkError, RecordsError, XpmAlchemError
from xpm_alchem.base.files import atomic_write, make_directories
from xpm_alchem.base.permissions import permissions_of
from xpm_alchem.campaign.index_record import NETWORKS, NetworkInForce
from xpm_alchem.campaign.lock import cannot_be_written
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import NETWORK, CampaignState, TaskState, TaskStatus
from xpm_alchem.execution.fence import give_orders
from xpm_alchem.network.loading import Network, load_network, network_of
from xpm_alchem.network.merging import Change, put_together, wanted

GONE, BACK = "its transformation is gone from the network", "its transformation is in the network again"
_ASKED = re.compile(rf"{NETWORKS}/asked-[0-9a-f]{{32}}\.json")
_UNFINISHED = (TaskStatus.WAITING, TaskStatus.RUNNING)


@attrs.frozen
class Growth:
    """What becomes of a campaign's network; nothing was changed to find out.

    Attributes
    ----------
    network
        The one to put in force; None where it stays as it is.
    change
        How it differs from the one in force.
    names
        By stable id.
    given
        What a file gave, if one did.
    parts
        How many parts that nothing joins there are before and after.
    added_by_commands, dropped_by_commands
        Stable ids: how the network stays other than the file that gave it.
    """

    network: Network | None
    change: Change
    names: Mapping[str, str]
    given: frozenset[str] | None = None
    parts: tuple[int, int] = (1, 1)
    added_by_commands: frozenset[str] = frozenset()
    dropped_by_commands: frozenset[str] = frozenset()

    @property
    def is_another(self) -> bool:
        """Whether nothing of the network stays."""
        return bool(self.change) and not self.change.same

    @property
    def sentence(self) -> str:
        """How many transformations are new, gone, and the same."""
        counts = {"new": self.change.new, "gone": self.change.gone, "the same": self.change.same}
        return ", ".join(f"{len(ids)} {what}" for what, ids in counts.items())

    def is_to_be_done(self, records: CampaignRecords) -> bool:
        """Whether anything is to be written: also that a file says something new which commands have done before."""
        return bool(self.change) or self.given not in (None, records.in_force.given)

    def named(self, ids: Iterable[str]) -> list[str]:
        """Return the names of transformations, in order."""
        return sorted(self.names[stable_id] for stable_id in ids)


def growth_by_file(records: CampaignRecords, network: Network) -> Growth:
    """Return what becomes of the network when the file that gives it is given again.

    What has changed in the file since it was given last changes; what commands have changed since stays.

    Raises
    ------
    NetworkError
        The file and commands say different things of a transformation; no transformation would be left.
    """
    in_force = _now(records)
    now = frozenset(network.index.by_id)
    ids = wanted(in_force.index.by_id, in_force.given, now)
    names = {record.id: record.name for record in network.index.transformations} | in_force.names
    growth = Growth(
        network=None,
        change=Change.of(in_force.index.by_id, ids),
        names=names,
        given=now,
        added_by_commands=ids - now,
        dropped_by_commands=now - ids,
    )
    if not growth.change:
        return growth
    if ids != now:
        _check_names(records, network, ids)
        network = _put_together(records, network, ids)
    return _with_network(records, growth, network)


def growth_by_command(records: CampaignRecords, network: Network) -> Growth:
    """Return what becomes of the network when a command gives another one: that is in force."""
    in_force = _now(records)
    names = {record.id: record.name for record in network.index.transformations} | in_force.names
    growth = Growth(None, Change.of(in_force.index.by_id, network.index.by_id), names)
    return _with_network(records, growth, network) if growth.change else growth


def growth_without(records: CampaignRecords, dropped: Collection[str]) -> Growth:
    """Return what becomes of the network without some transformations.

    Raises
    ------
    NetworkError
        One of them is not in it; no transformation would be left.
    """
    in_force = _now(records)
    if not dropped:
        raise InputError("no transformation was named.")
    for stable_id in dropped:
        if stable_id in in_force.gone:
            raise NetworkError(f"'{in_force.names[stable_id]}' is gone from the network already.")
        if stable_id not in in_force.index.by_id:
            raise NetworkError(f"there is no transformation '{stable_id}'.")
    left = frozenset(in_force.index.by_id) - set(dropped)
    if not left:
        raise NetworkError(
            "no transformation would be left in the network. `xpm-alchem network state CAMPAIGN inactive` lets nothing "
            "be started any more."
        )
    growth = Growth(None, Change.of(in_force.index.by_id, left), in_force.names)
    return _with_network(records, growth, _put_together(records, None, left))


def _now(records: CampaignRecords) -> NetworkInForce:
    """Return which network is in force, also where another process has changed it since the last look."""
    records.state()
    return records.in_force


def _with_network(records: CampaignRecords, growth: Growth, network: Network) -> Growth:
    parts = len(records.index.components), len(network.index.components)
    return attrs.evolve(growth, network=network, parts=parts)


def _check_names(records: CampaignRecords, network: Network, ids: Collection[str]) -> None:
    """Refuse a file whose transformation has the name of another one that a command has put into the network."""
    own = {record.name: record.id for record in records.index.transformations if record.id in ids}
    for record in network.index.transformations:
        if record.id in ids and own.get(record.name, record.id) != record.id:
            raise NetworkError(
                f"{network.path}: '{record.name}' is not the transformation that a command has put into the network "
                "under this name. Drop that one first (`xpm-alchem network drop`), or rename one of them."
            )


def _put_together(records: CampaignRecords, given: Network | None, ids: Collection[str]) -> Network:
    """Return a network of transformations of the one in force, and of one that is given."""
    sources, left = [], set(ids)
    for network in (records.network, given):
        if network is not None:
            here = [record for record in network.index.transformations if record.id in left]
            left -= {record.id for record in here}
            sources.append((network.chain, [record.key for record in here]))
    content = json.dumps(put_together(sources)).encode()
    made = network_of(content, records.network_path, records.network.trusted + (given.trusted if given else ()))
    if made.index.by_id.keys() != set(ids):
        raise NetworkError("the networks cannot be put together: a transformation would become another one.")
    made.index = attrs.evolve(made.index, name=records.index.name)
    return made


def state_with(records: CampaignRecords, network: Network) -> CampaignState:
    """Return the state of a campaign as it would be with another network in force."""
    before = records.state()
    state = CampaignState()
    state.ledger, state.hosts, state.standing = before.ledger, before.hosts, before.standing
    here = network.index.by_id
    for task in before.everything.values():
        if task.transformation in here:
            is_back = task.cancelled_by == NETWORK and task.status in _UNFINISHED
            state.tasks[task.task] = attrs.evolve(task, actioned=True, cancelled_by="") if is_back else task
    return state


# ------------------------------------------------------------------------------------------------------- in force
def place_for_driver(records: CampaignRecords, network: Network) -> str:
    """Put a network's file where whoever takes in the request finds it; return where, relative to the campaign."""
    name = f"{NETWORKS}/asked-{uuid.uuid4().hex}.json"
    try:
        make_directories(records.path / NETWORKS)
        with atomic_write(records.path / name, "wb", permissions=_permissions(records, network.path)) as out:
            out.write(network.content)
    except OSError as error:
        raise cannot_be_written(records.path, error) from None
    return name


def apply_growth(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    """Let the network grow as was asked, unless it was done before; the caller holds the campaign's lock.

    Parameters
    ----------
    request
        `file` (as `place_for_driver` named it) and whether `by` a 'file' or a 'command'; or `dropped`, stable ids.

    Raises
    ------
    InputError
        It makes no sense any more; nothing is changed then.
    """
    file, dropped = request.get("file"), request.get("dropped")
    if isinstance(dropped, list) and all(isinstance(one, str) for one in dropped):
        dropped = [one for one in dropped if one in records.index.by_id]
        dropped = [] if _is_granted(records, request) else dropped
        return bool(dropped) and put_in_force(records, growth_without(records, dropped), request.get("id"))
    if not isinstance(file, str) or not _ASKED.fullmatch(file):
        return False
    place = records.path / file
    try:
        done = not _is_granted(records, request) and _grow(records, place, request)
    except RecordsError:
        raise  # it is asked for again
    except XpmAlchemError:
        place.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        place.unlink()
    return done


def _grow(records: CampaignRecords, file: Path, request: Mapping[str, Any]) -> bool:
    network = load_network(file, records.plan().trusted_modules)
    network.alchemical_network  # noqa: B018 - decoding it is the check
    growth = (growth_by_file if request.get("by") == "file" else growth_by_command)(records, network)
    return put_in_force(records, growth, request.get("id"))


def _is_granted(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    """Whether it was done before: a driver was killed before it noted how far it had read its inbox."""
    return request.get("id") in records.state().requests


def put_in_force(records: CampaignRecords, growth: Growth, asked: object = None) -> bool:
    """Put what was found in force; return whether the network has changed. The caller holds the campaign's lock."""
    if growth.network is not None:
        permissions = _permissions(records, growth.network.path)
        records.put_network_in_force(growth.network, given=growth.given, permissions=permissions)
    elif growth.given is not None and growth.given != records.in_force.given:
        records.remember_given(growth.given)
    agree_with_network(records, asked)
    return growth.network is not None


def agree_with_network(records: CampaignRecords, asked: object = None) -> bool:
    """Let the journal agree with the network in force, after it has changed or whoever changed it was killed.

    Tasks of transformations that are gone are cancelled, those of such as are back are to be run again, and readers are
    told that there is another network. The caller holds the campaign's lock; return whether anything was to be done.
    """
    state, number = records.state(), records.in_force.number
    gone = [task for task in state.everything.values() if task.task not in state.tasks and _is_to_be_cancelled(task)]
    back = [task for task in state.tasks.values() if task.cancelled_by == NETWORK and task.status in _UNFINISHED]
    if not gone and not back and state.network == number:
        return False
    changes = [
        *({"event": "cancelled", "task": task.task, "by": NETWORK, "reason": GONE} for task in gone),
        *({"event": "actioned", "task": task.task, "by": NETWORK, "reason": BACK} for task in back),
    ]
    more = {"id": asked} if isinstance(asked, str) else {}
    records.write({"event": NETWORK, "number": number, **more, "changes": changes})
    tasks = records.state().everything
    for task_id in (task.task for task in gone):
        if tasks[task_id].is_to_end:
            give_orders(records.task_path(tasks[task_id]), stop=GONE)
    return True


def _is_to_be_cancelled(task: TaskState) -> bool:
    return task.actioned and task.status in _UNFINISHED


def _permissions(records: CampaignRecords, *files: Path) -> int:
    return permissions_of(records.network_path, *files)
