"""Checks of a campaign's own files: plan, index, network, driver's state, journals, lock, cache."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs

from xpm_alchem.base.disk_cache import is_whole
from xpm_alchem.base.errors import CampaignError, FormatError, NetworkError, UntrustedModuleError, XpmAlchemError
from xpm_alchem.base.journal import Journal
from xpm_alchem.campaign.driver_state import DRIVER, DRIVER_VERSION, read_driver_state
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.campaign.index_record import FIRST_NETWORK, NETWORKS, read_network_in_force
from xpm_alchem.campaign.records import GIVEN, INBOX, TASKS, CampaignRecords
from xpm_alchem.campaign.snapshot import is_whole as is_whole_snapshot
from xpm_alchem.doctor import mending
from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning
from xpm_alchem.doctor.journals import JournalLines
from xpm_alchem.doctor.litter import entries_of, is_stale, size_of, stale_temporaries
from xpm_alchem.doctor.pools import pools
from xpm_alchem.launchers.slurm.batch import Batch
from xpm_alchem.network.index import Index
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.notify import missing_program

_RESTORE = "restore it from a backup"


class CampaignFiles:
    """The checks of a campaign's own files.

    Parameters
    ----------
    records
        The campaign.
    holder
        Who drives it, the doctor itself excepted.
    is_fixing
        Whether the doctor holds its lock.
    """

    def __init__(self, records: CampaignRecords, holder: Holder | None, *, is_fixing: bool = False) -> None:
        self.records, self.holder, self._is_fixing = records, holder, is_fixing

    def checks(self) -> list[tuple[str, Check]]:
        """Return the checks by name."""
        return [
            ("campaign.yaml", self.plan),
            ("index.json", self.index),
            ("network.json", self.network),
            ("driver.json", self.driver_state),
            ("alchemiscale.json", self.scope),
            ("tasks.jsonl", partial(self.journal, "tasks.jsonl", TASKS)),
            ("tasks.snapshot", self.snapshot),
            ("inbox.jsonl", partial(self.journal, "inbox.jsonl", INBOX)),
            ("driver", self.driver),
            ("slurm batches", self.slurm_batches),
            ("workers", lambda: pools(self.records.workspace, self.records.name)),
            ("cache", self.cache),
            ("temporary files", self.temporary_files),
        ]

    def plan(self) -> Iterator[Finding]:
        """Check the plan in force."""
        path = self.records.path / "campaign.yaml"
        try:
            plan = self.records.plan()
        except (CampaignError, ValueError) as error:
            found = str(error) if path.exists() else f"{path}: missing"
            yield fault(found, f"correct it, or: {self._copy_plan()}")
        else:
            yield ok("can be read, and every key is known")
            if word := missing_program(plan.notify):
                yield warning(
                    word, "correct notify.command in your campaign.yaml (or install the program), and `run` it"
                )
        if (self.records.path / GIVEN).exists() and self.records.given_plan() is None:
            yield warning(
                f"{self.records.path / GIVEN}: damaged: it is not known what commands have changed since `run FILE`",
                f"rm {shlex.quote(str(self.records.path / GIVEN))}; the next `xpm-alchem run FILE` puts FILE in force",
            )

    def _copy_plan(self) -> str:
        given, path = self.records.path / GIVEN, shlex.quote(str(self.records.path / "campaign.yaml"))
        if self.records.given_plan() is None:
            return f"cp your own campaign.yaml to {path}"
        return f"cp {shlex.quote(str(given))} {path}; what commands have changed since `run FILE` is lost then"

    def index(self) -> Iterator[Finding]:
        """Check the index."""
        path = self.records.path / "index.json"
        try:
            in_force = read_network_in_force(path)
        except (FileNotFoundError, FormatError) as error:
            if isinstance(error, FormatError) and error.newer:
                yield self._wrong(error)
                return
            found = str(error) if isinstance(error, FormatError) else f"{path}: missing"
            last = "the last of its network files" if (self.records.path / NETWORKS).is_dir() else FIRST_NETWORK
            yield warning(f"{found} {last} is read in its place", f"{_RESTORE}; every command is slower without")
            return
        index, gone = in_force.index, len(in_force.gone)
        more = f"; network {in_force.number}, {gone} transformation(s) are gone" if in_force.number > 1 else ""
        yield ok(f"{len(index.transformations)} transformation(s), {len(index.edges)} edge(s){more}")

    def network(self) -> Iterator[Finding]:
        """Check that the network can be read, and holds what the index says."""
        try:
            trusted = self.records.plan().trusted_modules
            there = names_by_id(self.records.index).keys()
        except (XpmAlchemError, OSError, ValueError, TypeError):
            yield warning("not looked at, as campaign.yaml or index.json cannot be read", "mend these first")
            return
        try:
            network = load_network(self.records.network_path, trusted)
        except UntrustedModuleError as error:
            yield fault(str(error), "see 'protocol modules'")
            return
        except NetworkError as error:
            yield fault(str(error), f"{_RESTORE}, or copy the file here again that the campaign was made from")
            return
        here, file = {record.id for record in network.index.transformations}, self.records.in_force.file
        mend = f"restore {file} and index.json from a backup"
        if missing := sorted(there - here):
            found = f"{len(missing)} transformation(s) of index.json are not in {file}"
            yield fault(found, mend, places=tuple(missing))
        if more := sorted(here - there):
            found = f"{len(more)} transformation(s) of {file} are not in index.json"
            yield fault(found, mend, places=tuple(more))
        if here == there:
            yield ok(f"can be read, and agrees with index.json ({len(network.content) / 1e6:.1f} MB)")
        yield from self._gone(trusted)

    def _gone(self, trusted: tuple[str, ...]) -> Iterator[Finding]:
        """Check that what was in the network once is still in its files."""
        gone = self.records.in_force.gone
        for file in sorted({one.file for one in gone.values()}):
            wanted = {stable_id for stable_id, one in gone.items() if one.file == file}
            try:
                lost = wanted - load_network(self.records.path / file, trusted).index.by_id.keys()
                why = f"{self.records.path / file} does not hold them"
            except XpmAlchemError as error:
                lost, why = wanted, str(error)
            if lost:
                found = f"{len(lost)} transformation(s) that are gone are lost with their network file: {why}"
                yield warning(found, f"{_RESTORE}; without one their results cannot be gathered", places=tuple(lost))

    def driver_state(self) -> Iterator[Finding]:
        """Check what the driver remembers."""
        path = self.records.path / "driver.json"
        inbox = self.records.path / "inbox.jsonl"
        size = inbox.stat().st_size if inbox.exists() else 0
        empty = json.dumps({"format": DRIVER, "format_version": DRIVER_VERSION, "inbox": size})
        write = f"echo {shlex.quote(empty)} > {shlex.quote(str(path))}"
        again = f"without one: {write}; the strategy begins anew, no result is lost"
        try:
            read = int(read_driver_state(path).get("inbox", 0))
        except FileNotFoundError:
            yield warning(f"{path}: missing: the strategy begins anew, no result is lost", _RESTORE)
            return
        except FormatError as error:
            yield self._wrong(error, again)
            return
        if read > size:
            found = f"the driver has read {read} bytes of an inbox that has {size}: what you ask for would be missed"
            yield fault(found, f"restore {inbox} from a backup, or set 'inbox' in {path} to {size} while nobody drives")
            return
        waiting, _ = self.records.requests(read)
        more = f"; {len(waiting)} request(s) wait for a driver" if waiting else ""
        yield ok(f"can be read{more}")

    def scope(self) -> Iterator[Finding]:
        """Check in which Scope alchemiscale's client has made the campaign."""
        try:
            scope = self.records.scope()
        except FormatError as error:
            yield self._wrong(error)
            return
        yield ok("none: made from a file" if scope is None else f"in the Scope {scope.scope}")

    def journal(self, name: str, kind: str) -> Iterator[Finding]:
        """Check the lines of a journal."""
        path = self.records.path / name
        try:
            Journal(path, kind).read()
            lines = JournalLines.read(path)
            self.records.state()
        except FileNotFoundError:
            yield ok("none yet")
            return
        except FormatError as error:
            yield self._wrong(error)
            return
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            yield fault(f"{path}: has values that make no sense ({type(error).__name__}: {error})", _RESTORE)
            return
        if lines.damaged:
            numbers = ", ".join(map(str, lines.damaged[:10])) + (", ..." if len(lines.damaged) > 10 else "")
            found = f"{len(lines.damaged)} damaged line(s) are passed over ({numbers}): what they said is lost"
            mend = f"{_RESTORE}; without one, look at 'orphans': a repeat that a campaign has lost is taken over again"
            yield fault(found, mend, places=(str(path),))
        elif not lines.records:
            yield fault("empty: a file that is there has at least one line", _RESTORE, places=(str(path),))
        if lines.is_torn and self.holder is None:
            yield warning(
                "the last line was cut short by a kill or a full disk, and is not in force",
                "closed with --fix (a copy is kept), or by the next driver",
                places=(str(path),),
                repairs=(partial(mending.close_last_line, path),),
            )
        elif not lines.damaged and lines.records:
            cut = f"; {len(lines.cut)} that a kill cut short are passed over" if lines.cut else ""
            yield ok(f"{lines.records} whole line(s){cut}")

    def snapshot(self) -> Iterator[Finding]:
        """Check that what is kept of the journal is what the journal tells."""
        path = self.records.snapshot_path
        if not path.exists():
            yield ok("none")
        elif not is_whole_snapshot(path):
            yield self._wrong_snapshot("damaged; it is not used", "made again when it is needed")
        elif (agrees := self.records.agrees_with_snapshot()) is None:
            yield ok("of the journal as it was, another version or another user: not used, and made again when needed")
        elif agrees:
            yield ok("tells what the journal tells")
        else:
            yield self._wrong_snapshot(
                "tells other tasks than the journal", "what commands show may be wrong until then"
            )

    def _wrong_snapshot(self, what: str, more: str) -> Finding:
        path = self.records.snapshot_path
        repairs = (partial(mending.drop_snapshot, path),)
        return warning(f"{path}: {what}", f"removed with --fix; {more}", places=(str(path),), repairs=repairs)

    def driver(self) -> Iterator[Finding]:
        """Tell who drives, or who did and was killed."""
        if self.holder is not None:
            yield ok(f"driven by {self.holder}")
        elif (self.records.path / "holder.json").exists() and not self._is_fixing:
            yield ok("nobody drives; the last driver was killed, and the next one takes over from it")
        else:
            yield ok("nobody drives")

    def slurm_batches(self) -> Iterator[Finding]:
        """Check the records of what was submitted to SLURM from this workspace."""
        wrong, count = [], 0
        for path in (Path(entry) for entry in entries_of(self.records.workspace / "slurm") if entry.is_dir()):
            count += 1
            try:
                Batch.read(path)  # None while it is being made
            except (FormatError, OSError, ValueError, KeyError, TypeError) as error:
                wrong.append(f"{path}: {error}")
        if wrong:
            found = f"{len(wrong)} of {count} batch(es) cannot be read: their jobs are not found again"
            yield warning(
                found, f"{_RESTORE}, or let their jobs end: their tasks are submitted again", places=tuple(wrong)
            )
        else:
            yield ok(f"{count} batch(es) in this workspace, all whole")

    def cache(self) -> Iterator[Finding]:
        """Check the entries of the cache."""
        entries = [Path(e) for e in entries_of(self.records.cache_path) if e.name.endswith(".cached")]
        wrong = [path for path in entries if path.exists() and not is_whole(path)]
        if wrong:
            yield warning(
                f"{len(wrong)} of {len(entries)} entries are damaged; they are not used",
                "removed with --fix, or by the next driver",
                places=tuple(map(str, wrong)),
                repairs=tuple(partial(mending.drop_cache_entry, path) for path in wrong),
            )
        else:
            yield ok(f"{len(entries)} entries, all whole")

    def temporary_files(self) -> Iterator[Finding]:
        """Look for what writers that were killed left in the campaign's directory, and beside it."""
        own = self.records.path
        left = [*stale_temporaries(own), *stale_temporaries(self.records.cache_path), *self._networks_of_nobody()]
        begun = f".{own.name}."  # as CampaignRecords.create names what it has begun
        for entry in entries_of(own.parent):
            parts = entry.name.removeprefix(begun).split(".")
            if entry.name.startswith(begun) and parts[0].isdigit() and parts[1:] == ["tmp"] and is_stale(Path(entry)):
                left.append(Path(entry))
        if left:
            yield warning(
                f"{len(left)} file(s) were left by writers that were killed",
                "removed with --fix",
                places=tuple(f"{path} ({size_of(path) / 1e6:.1f} MB)" for path in left),
                repairs=tuple(partial(mending.remove_temporary, path) for path in left),
            )
        else:
            yield ok("none")

    def _networks_of_nobody(self) -> list[Path]:
        """Return the networks that a command has put into its place and, killed, has not asked for."""
        try:
            waiting, _ = self.records.requests(int(self.records.driver_state().get("inbox", 0)))
        except (OSError, FormatError):  # told elsewhere
            return []
        asked_for = {request.get("file") for request in waiting}
        entries = entries_of(self.records.path / NETWORKS)
        found = [Path(entry) for entry in entries if entry.name.startswith("asked-")]
        return [path for path in found if is_stale(path) and f"{NETWORKS}/{path.name}" not in asked_for]

    def _wrong(self, error: FormatError, more: str = "") -> Finding:
        if error.newer:
            return fault(str(error), "upgrade xpm-alchem; nothing is wrong with the file")
        return fault(str(error), f"{_RESTORE}; {more}" if more else _RESTORE)


def names_by_id(index: Index) -> dict[str, str]:
    """Return the names of the transformations by their ids.

    Raises
    ------
    TypeError
        One is no text: the index is damaged.
    """
    for record in index.transformations:
        for value in attrs.astuple(record):
            if not isinstance(value, str):
                raise TypeError(f"{value!r} is not a text")
    return {record.id: record.name for record in index.transformations}
