"""A campaign's records on disk. This file is the only writer of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import filelock

from xpm_alchem.errors import CampaignError, CampaignLockedError, FormatError, WorkspaceError
from xpm_alchem.files import Journal, atomic_write, read_record, write_record
from xpm_alchem.network import Network, load_network
from xpm_alchem.network_index import Edge, Index, Leg, TransformationRecord
from xpm_alchem.plan import Plan, parse_plan
from xpm_alchem.processes import ProcessIdentity
from xpm_alchem.task_state import CampaignState, TaskState

INDEX, INDEX_VERSION = "xpm-alchem network index", 1
DRIVER, DRIVER_VERSION = "xpm-alchem driver state", 1
GIVEN = "given.yaml"  # the plan as a file gave it last
EXPERIMENTAL, EXPERIMENTAL_VERSION = "xpm-alchem experimental values", 1
TASKS, INBOX = "xpm-alchem tasks", "xpm-alchem inbox"
_HEARTBEAT_SECONDS = 90.0  # a driver on another host whose heartbeat is younger than this is taken to be alive


@attrs.frozen
class Holder:
    """The process that drives a campaign."""

    process: ProcessIdentity
    since: float

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"host {self.process.host}, pid {self.process.pid}, since {began}"


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
        self.path = path.absolute()
        self.workspace = self.path.parent.parent
        self._held: filelock.FileLock | None = None
        self._journal = Journal(self.path / "tasks.jsonl", TASKS)
        self._offset = 0
        self._state = CampaignState()

    # ----------------------------------------------------------------------------------------- making and opening
    @classmethod
    def create(cls, workspace: Path, plan: Plan, plan_text: str, network: Network) -> CampaignRecords:
        """Make a campaign's directory; it appears whole or not at all.

        Raises
        ------
        WorkspaceError
            It cannot be written.
        """
        path = campaign_path(workspace, plan.name)
        temporary = path.with_name(f".{plan.name}.{os.getpid()}.tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            with atomic_write(temporary / "network.json", "wb") as out:
                out.write(network.content)
            write_record(temporary / "index.json", INDEX, INDEX_VERSION, _index_record(network.index))
            for name in ("campaign.yaml", GIVEN):
                with atomic_write(temporary / name) as out:
                    out.write(plan_text)
            write_record(temporary / "driver.json", DRIVER, DRIVER_VERSION, {})
            temporary.rename(path)
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
        if not (path / "index.json").is_file():
            raise CampaignError(
                f"{path}: not a campaign. `xpm-alchem list --workspace DIR` shows those of a workspace."
            )
        return cls(path)

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.path.name

    @property
    def network_path(self) -> Path:
        """The network as given."""
        return self.path / "network.json"

    @property
    def cache_path(self) -> Path:
        """What may be deleted at any time: it can be made again."""
        return self.path / "cache"

    @cached_property
    def index(self) -> Index:
        """The network's index.

        Raises
        ------
        FormatError
            It is damaged or newer.
        """
        path = self.path / "index.json"
        record = read_record(path, INDEX, INDEX_VERSION)
        try:
            return _index_from(record)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(path, f"damaged ({type(error).__name__}: {error}).") from None

    @cached_property
    def network(self) -> Network:
        """The network."""
        return load_network(self.network_path, self.plan().trusted_modules)

    def plan(self) -> Plan:
        """Read the plan in force."""
        path = self.path / "campaign.yaml"
        return parse_plan(path.read_text(), path)

    def given_plan(self) -> Plan | None:
        """Read the plan as a file gave it last, whatever commands have changed since; None if that is not known."""
        path = self.path / GIVEN
        try:
            return parse_plan(path.read_text(), path)
        except (OSError, ValueError):
            return None

    def set_plan(self, text: str, *, given: bool = False) -> None:
        """Put another plan in force; `given` says that a file gave it, and not a command."""
        self._require_lock()
        for name in ("campaign.yaml", *((GIVEN,) if given else ())):
            with atomic_write(self.path / name) as out:
                out.write(text)

    def experimental(self) -> tuple[Path, str] | None:
        """Return the file of measured values that the campaign was given, and its text: as it was, if it is gone."""
        try:
            record = read_record(self.path / "experimental.json", EXPERIMENTAL, EXPERIMENTAL_VERSION)
            path, text = Path(record["file"]), str(record["text"])
        except FileNotFoundError:
            return None
        except (KeyError, TypeError) as error:
            raise FormatError(self.path / "experimental.json", f"damaged: {error}.") from None
        with suppress(OSError, UnicodeDecodeError):
            text = path.read_text()
        return path, text

    def set_experimental(self, path: Path | None) -> None:
        """Remember a file of measured values, or that there is none."""
        self._require_lock()
        kept = self.path / "experimental.json"
        if path is None:
            kept.unlink(missing_ok=True)
        else:
            content = {"file": str(path), "text": path.read_text()}
            write_record(kept, EXPERIMENTAL, EXPERIMENTAL_VERSION, content)

    # ------------------------------------------------------------------------------------------------- the journal
    def state(self) -> CampaignState:
        """Return the tasks, reading only what the journal gained since the last call."""
        records, self._offset = self._journal.read(self._offset)
        for record in records:
            self._state.apply(record)
        return self._state

    @property
    def position(self) -> int:
        """How far `state` has read the journal, in bytes."""
        return self._offset

    def write(self, *events: Mapping[str, Any]) -> None:
        """Append events to the journal; only the holder of the lock may."""
        self._require_lock()
        now = time.time()
        self._journal.append(*({"time": now, **event} for event in events))

    def imported_directory(self, name: str) -> str:
        """Return the directory of a task whose result was imported, relative to the workspace."""
        return f"campaigns/{self.name}/imported/{name}"

    def task_path(self, task: TaskState) -> Path:
        """Return a task's directory."""
        return self.workspace / task.directory

    def driver_state(self) -> dict[str, Any]:
        """Return what the driver remembers."""
        return read_record(self.path / "driver.json", DRIVER, DRIVER_VERSION)

    def set_driver_state(self, content: Mapping[str, Any]) -> None:
        """Write what the driver remembers."""
        self._require_lock()
        write_record(self.path / "driver.json", DRIVER, DRIVER_VERSION, content)

    # --------------------------------------------------------------------------------------------------- the inbox
    def ask(self, **request: Any) -> None:
        """Leave a request for the driver; needs no lock."""
        Journal(self.path / "inbox.jsonl", INBOX).append({"time": time.time(), **request})

    def requests(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return the requests from byte `offset` on, and the offset to go on from."""
        return Journal(self.path / "inbox.jsonl", INBOX).read(offset)

    # ---------------------------------------------------------------------------------------------------- the lock
    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer.

        Raises
        ------
        CampaignLockedError
            Another process is; it is named.
        WorkspaceError
            The campaign cannot be written by this user.
        """
        if self._held is not None:
            yield
            return
        lock = filelock.FileLock(self.path / "lock")
        holder = self.holder()
        if holder is not None and not holder.process.is_here and self._heartbeat_is_fresh():
            raise self._locked(holder)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise self._locked(holder) from None
        except OSError as error:
            raise WorkspaceError(f"{self.path}: this campaign is read-only for you ({error.strerror}).") from None
        try:
            me = ProcessIdentity.of()
            write_record(self._holder_path, DRIVER, DRIVER_VERSION, {**attrs.asdict(me), "since": time.time()})
            self._held = lock
            yield
        finally:
            self._held = None
            with suppress(OSError):
                self._holder_path.unlink(missing_ok=True)
            lock.release()

    def holder(self) -> Holder | None:
        """Return who drives the campaign, or None if nobody does (or the last one was killed)."""
        try:
            record = read_record(self._holder_path, DRIVER, DRIVER_VERSION)
            process = ProcessIdentity(str(record["host"]), int(record["pid"]), float(record["start"]))
            holder = Holder(process, float(record["since"]))
        except (OSError, FormatError, KeyError, TypeError, ValueError):
            return None
        alive = process.is_alive() if process.is_here else self._heartbeat_is_fresh()
        return holder if alive else None

    def beat(self) -> None:
        """Tell other hosts that the driver is alive."""
        with suppress(OSError):
            os.utime(self._holder_path)

    @property
    def _holder_path(self) -> Path:
        return self.path / "holder.json"

    def _heartbeat_is_fresh(self) -> bool:
        try:
            return time.time() - self._holder_path.stat().st_mtime < _HEARTBEAT_SECONDS
        except OSError:
            return False

    def _locked(self, holder: Holder | None) -> CampaignLockedError:
        who = f" ({holder})" if holder else ""
        return CampaignLockedError(
            f"campaign '{self.name}' is driven by another process{who}. Watch it with "
            f"`xpm-alchem attach {self.path}`, or end that process first; nothing was changed."
        )

    def _require_lock(self) -> None:
        if self._held is None:
            raise RuntimeError("a campaign's records are written by the holder of its lock only")


def campaign_path(workspace: Path, name: str) -> Path:
    """Return where a campaign of that name is."""
    return workspace / "campaigns" / name


def list_campaigns(workspace: Path) -> list[CampaignRecords]:
    """Return the campaigns of a workspace by name."""
    return [CampaignRecords(path.parent) for path in sorted((workspace / "campaigns").glob("[!.]*/index.json"))]


def _index_record(index: Index) -> dict[str, Any]:
    return attrs.asdict(index)


def _index_from(record: Mapping[str, Any]) -> Index:
    def edges(items: Iterable[Mapping[str, Any]]) -> Iterator[Edge]:
        for item in items:
            yield Edge(item["ligand_a"], item["ligand_b"], tuple(Leg(**leg) for leg in item["legs"]))

    return Index(
        name=record["name"],
        transformations=tuple(TransformationRecord(**item) for item in record["transformations"]),
        components=tuple(tuple(part) for part in record["components"]),
        edges=tuple(edges(record["edges"])),
        unpaired=dict(record["unpaired"]),
        modules=tuple(record["modules"]),
    )
