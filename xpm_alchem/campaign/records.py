"""A campaign's records on disk. This file is the only writer of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from xpm_alchem.base.errors import (
    CampaignError,
    RecordsError,
    WorkspaceError,
)
from xpm_alchem.base.files import (
    atomic_write,
    make_directories,
    not_through_links,
    rename,
    write_record,
)
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.passing import passes, patiently
from xpm_alchem.base.paths import absolute, is_there
from xpm_alchem.base.permissions import ANYBODY, permissions_of, private
from xpm_alchem.base.stamps import stamp_of
from xpm_alchem.campaign.driver_state import DRIVER, DRIVER_VERSION, read_driver_state
from xpm_alchem.campaign.experimental_record import read_experimental, write_experimental
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.campaign.index_record import FIRST_NETWORK, NetworkInForce, write_index
from xpm_alchem.campaign.lock import CampaignLock, cannot_be_written
from xpm_alchem.campaign.network_files import NetworkFiles
from xpm_alchem.campaign.queue_record import QueueNote, read_queue, write_queue
from xpm_alchem.campaign.scope_record import ScopeRecord, read_scope, write_scope
from xpm_alchem.campaign.task_state import REQUEST, CampaignState, TaskState
from xpm_alchem.campaign.told_state import ToldState
from xpm_alchem.network.index import Index
from xpm_alchem.network.loading import Network
from xpm_alchem.plan.campaign_yaml import Plan, read_plan
from xpm_alchem.plan.secrets import hidden_text

GIVEN = "given.yaml"  # the plan as a file gave it last
SCOPE_FILE = "alchemiscale.json"
TASKS, INBOX = "xpm-alchem tasks", "xpm-alchem inbox"


class CampaignRecords:
    """The directory ``<workspace>/campaigns/<name>``.

    Attributes
    ----------
    path
        That directory.
    workspace
        The workspace it is in.
    """

    def __init__(self, path: Path) -> None:
        self.path = absolute(path)
        self.workspace = self.path.parent.parent
        self._lock = CampaignLock(self.path)
        self._journal = Journal(self.path / "tasks.jsonl", TASKS)
        self._task_paths: dict[str, Path] = {}  # a driver asks for thousands of them each second
        self._told = ToldState(self._journal, self.snapshot_path)
        self._networks = NetworkFiles(self.path, lambda: self.plan().trusted_modules)

    # ----------------------------------------------------------------------------------------- making and opening
    @classmethod
    def create(
        cls, workspace: Path, plan: Plan, plan_text: str, network: Network, scope: ScopeRecord | None = None
    ) -> CampaignRecords:
        """Make a campaign's directory; it appears whole or not at all.

        Parameters
        ----------
        scope
            Of a campaign of alchemiscale's client.

        Raises
        ------
        WorkspaceError
            It cannot be written.
        """
        path = campaign_path(workspace, plan.name)
        temporary = path.with_name(f".{plan.name}.{os.getpid()}.tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            make_directories(temporary)
            as_network = permissions_of(plan.network)
            with atomic_write(temporary / FIRST_NETWORK, "wb", permissions=as_network) as out:
                out.write(network.content)
            write_index(temporary / "index.json", network.index, permissions=as_network)
            for name in ("campaign.yaml", GIVEN):
                with atomic_write(temporary / name, permissions=_permissions(plan, plan_text, workspace)) as out:
                    out.write(plan_text)
            write_record(temporary / "driver.json", DRIVER, DRIVER_VERSION, {})
            if scope is not None:
                write_scope(temporary / SCOPE_FILE, scope)
            rename(temporary, path)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise WorkspaceError(f"{path}: cannot be written ({error.strerror}). Nothing was started.") from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> CampaignRecords:
        """Open a campaign's directory.

        Raises
        ------
        CampaignError
            It is none.
        """
        if not is_campaign(path):
            raise CampaignError(
                f"{path}: not a campaign: it has no index.json. `xpm-alchem list --workspace DIR` shows those of a "
                "workspace."
            )
        return cls(path)

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.path.name

    @property
    def network_path(self) -> Path:
        """The network in force."""
        return self._networks.path_of(self.in_force.file)

    @property
    def cache_path(self) -> Path:
        """What may be deleted at any time: it can be made again."""
        return self.path / "cache"

    @property
    def snapshot_path(self) -> Path:
        """The state that the journal told up to an offset; may be deleted at any time too."""
        return self.path / "tasks.snapshot"

    # ------------------------------------------------------------------------------------------------- the network
    @property
    def in_force(self) -> NetworkInForce:
        """Which network is in force, and what was in it once.

        Raises
        ------
        FormatError
            It was written by a newer version.
        NetworkError
            Its index is damaged, and so is the network.
        """
        return self._networks.in_force

    @property
    def index(self) -> Index:
        """The index of the network in force; errors as of `in_force`."""
        return self._networks.in_force.index

    @property
    def network(self) -> Network:
        """The network in force.

        Raises
        ------
        NetworkError
            It is damaged, or not the one that was put in force.
        """
        return self._networks.network

    @network.setter
    def network(self, network: Network) -> None:
        self._networks.network = network

    def gone_network(self, stable_id: str) -> Network:
        """Return the network that holds a transformation that is gone; errors as of `network`."""
        return self._networks.of(self.in_force.gone[stable_id].file)

    def put_network_in_force(
        self, network: Network, *, given: Collection[str] | None = None, permissions: int = ANYBODY
    ) -> None:
        """Put another network in force, all at once: what is not in it is gone.

        Parameters
        ----------
        given
            Stable ids of what a file gave, if one did.
        permissions
            Of the network's file.
        """
        self._require_lock()
        number = self.state().network
        with self._own("index.json", "written"):
            self._networks.put_in_force(network, number, given=given, permissions=permissions)
        self._told.look_again()

    def remember_given(self, given: Collection[str]) -> None:
        """Remember what a file gave last, where that leaves the network as it is."""
        self._require_lock()
        with self._own("index.json", "written"):
            self._networks.remember_given(given)

    def plan(self) -> Plan:
        """Read the plan in force."""
        return read_plan(self.path / "campaign.yaml")

    def given_plan(self) -> Plan | None:
        """Read the plan as a file gave it last, whatever commands have changed since; None if that is not known."""
        path = self.path / GIVEN
        try:
            return read_plan(path)
        except CampaignError:
            return None

    def set_plan(self, text: str, *, given: Plan | None = None) -> None:
        """Put another plan in force; `given` is the plan of the file that gave it, None for a command."""
        self._require_lock()
        permissions = ANYBODY if given is None else _permissions(given, text, self.workspace)
        for name in ("campaign.yaml", *((GIVEN,) if given is not None else ())):
            with atomic_write(self.path / name, permissions=permissions) as out:
                out.write(text)

    def experimental(self) -> tuple[Path, str] | None:
        """Return the file of measured values that the campaign was given, and its text: as it was, if it is gone."""
        return read_experimental(self._experimental_path)

    def set_experimental(self, path: Path | None) -> None:
        """Remember a file of measured values, or that there is none."""
        self._require_lock()
        write_experimental(self._experimental_path, path)

    def scope(self) -> ScopeRecord | None:
        """Return in which Scope alchemiscale's client has made the campaign, None if it was made otherwise."""
        return read_scope(self.path / SCOPE_FILE)

    @property
    def _experimental_path(self) -> Path:
        return self.path / "experimental.json"

    # ------------------------------------------------------------------------------------------------- the journal
    def state(self) -> CampaignState:
        """Return the tasks, reading only what the journal gained since the last call.

        Where the network has grown meanwhile, in another process, `in_force` is the new one then.
        """
        state = self._read_state()
        if state.network != self.in_force.number and self._networks.look_again():
            state = self._read_state()
        return state

    def _read_state(self) -> CampaignState:
        with self._own(self._journal.path.name, "read"):
            return self._told.now(self.in_force.known, self.in_force.gone, is_holder=self._lock.is_held)

    def agrees_with_snapshot(self) -> bool | None:
        """Return whether the snapshot leads to the state that the journal tells; None where none is fit to be used."""
        return self._told.agrees_with_snapshot(self.in_force.known, self.in_force.gone)

    def by_journal_alone(self) -> CampaignRecords:
        """Neither use a snapshot of the journal nor leave one, and return these records."""
        self._told.has_snapshots = False
        return self

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the whole journal, each event with its `time`."""
        yield from self._journal.stream()[0]

    @property
    def position(self) -> int:
        """How far `state` has read the journal, in bytes."""
        return self._told.position

    def write(self, *events: Mapping[str, Any]) -> None:
        """Append events to the journal; only the holder of the lock may."""
        self._require_lock()
        now = time.time()
        self._told.look_again()
        with self._own(self._journal.path.name, "written"):
            self._journal.append(*({"time": now, **event} for event in events))

    def imported_directory(self, name: str) -> str:
        """Return the directory of a task whose result was imported, relative to the workspace."""
        return f"campaigns/{self.name}/imported/{name}"

    def task_path(self, task: TaskState) -> Path:
        """Return a task's directory."""
        path = self._task_paths.get(task.directory)
        if path is None:
            path = self._task_paths[task.directory] = self.workspace / task.directory
        return path

    def name_of(self, task: TaskState) -> str:
        """Return what people call a task: 'TRANSFORMATION:REPEAT'."""
        return f"{self.transformation_name(task.transformation)}:{task.repeat}"

    def transformation_name(self, stable_id: str) -> str:
        """Return what people call a transformation, also one that is gone; its id where it is none of this campaign."""
        return self.in_force.names.get(stable_id, stable_id)

    def driver_state(self) -> dict[str, Any]:
        """Return what the driver remembers; without a file nothing, and nothing of the inbox is to be applied again.

        Raises
        ------
        FormatError
            It is damaged, or was written by a newer version.
        """
        try:
            with self._own("driver.json", "read"):
                return read_driver_state(self.path / "driver.json")
        except FileNotFoundError:
            return {"inbox": self.requests(0)[1]}

    def set_driver_state(self, content: Mapping[str, Any]) -> None:
        """Write what the driver remembers."""
        self._require_lock()
        with self._own("driver.json", "written"):
            write_record(self.path / "driver.json", DRIVER, DRIVER_VERSION, content)

    def queue(self) -> dict[str, QueueNote]:
        """Return which tasks waited in a launcher's queue, by task id, when the driver looked last."""
        return read_queue(self.path / "queue.json")

    def set_queue(self, notes: Mapping[str, QueueNote]) -> None:
        """Write which tasks wait in a launcher's queue."""
        self._require_lock()
        write_queue(self.path / "queue.json", notes)

    def open_notices(self) -> IO[bytes]:
        """Open the file that has a line for every notification, on what became of it, to add to it."""
        return patiently(lambda: open(self.path / "notify.log", "ab", opener=not_through_links))

    # --------------------------------------------------------------------------------------------------- the inbox
    def ask(self, **asked: Any) -> None:
        """Leave a request for the driver; needs no lock.

        Parameters
        ----------
        asked
            Under 'request' what is asked for, such as 'stop' or 'retry', and what it needs beside.

        Raises
        ------
        WorkspaceError
            The campaign cannot be written by this user.
        """
        try:
            Journal(self.path / "inbox.jsonl", INBOX).append(
                {"time": time.time(), **_renamed(asked, "request", REQUEST)}
            )
        except OSError as error:
            raise cannot_be_written(self.path, error) from None

    def requests(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the requests from byte `offset` on, each under 'request', and the offset to go on from."""
        path = self.path / "inbox.jsonl"
        with self._own(path.name, "read"):
            if (size := stamp_of(path).size) == offset:
                return [], offset
            lines, offset = Journal(path, INBOX).read(min(offset, size))  # one that was lost and began anew is shorter
        return [_renamed(line, REQUEST, "request") for line in lines], offset

    def inbox_size(self) -> int:
        """Return how many bytes of requests there are."""
        return stamp_of(self.path / "inbox.jsonl").size

    @contextmanager
    def _own(self, name: str, done: str) -> Iterator[None]:
        """Make an error with a file of the campaign's own one sentence that says so."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and done == "read":
                raise
            why = str(error) if isinstance(error, WorkspaceError) else error.strerror
            sentence = why if isinstance(error, WorkspaceError) else f"{self.path / name}: cannot be {done} ({why})."
            raise RecordsError(sentence).because(error) from None

    # ---------------------------------------------------------------------------------------------------- the lock
    @contextmanager
    def lock(self, *, is_brief: bool = False) -> Iterator[None]:
        """Be the one writer; wait for a process that makes one change only.

        Parameters
        ----------
        is_brief
            Whether it is for one change, and others may wait for it.

        Raises
        ------
        CampaignLockedError
            Another process is; it is named.
        WorkspaceError
            The campaign cannot be written by this user.
        """
        if self._lock.is_held:
            yield
            return
        with self._lock.hold(is_brief=is_brief):
            self._told.look_again()
            self._networks.look_again()
            yield

    def holder(self) -> Holder | None:
        """Return who drives the campaign, or None if nobody does (or the last one was killed)."""
        return self._lock.holder()

    def beat(self) -> None:
        """Tell other hosts that the driver is alive."""
        self._lock.beat()

    def _require_lock(self) -> None:
        if not self._lock.is_held:
            raise RuntimeError("a campaign's records are written by the holder of its lock only")


def _permissions(plan: Plan, text: str, workspace: Path) -> int:
    """Return the permissions of the file that a plan is from; of one from no file, those that its secrets allow."""
    if plan.file is not None:
        return permissions_of(plan.file)
    return private(workspace) if hidden_text(text) != text else ANYBODY


def _renamed(record: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in record.items()}


def is_campaign(path: Path) -> bool:
    """Return whether a directory is a campaign's.

    Raises
    ------
    WorkspaceError
        This user may not look into it.
    """
    return is_there(path / "index.json")


def campaign_path(workspace: Path, name: str) -> Path:
    """Return where a campaign of that name is."""
    return workspace / "campaigns" / name


def list_campaigns(workspace: Path) -> list[CampaignRecords]:
    """Return the campaigns of a workspace by name; those that this user may not look into are not among them.

    What cannot be seen now, by an error that passes, is taken for one: whoever opens it is told.

    Raises
    ------
    WorkspaceError
        This user may not look into the workspace.
    """
    campaigns = workspace / "campaigns"
    if not is_there(campaigns):
        return []
    try:
        found = sorted(path for path in campaigns.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise WorkspaceError(f"{campaigns}: cannot be read ({error.strerror}).") from None
    return [CampaignRecords(path) for path in found if _may_look(path)]


def _may_look(path: Path) -> bool:
    try:
        return is_campaign(path)
    except WorkspaceError as error:
        return passes(error)
