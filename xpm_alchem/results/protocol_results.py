"""gufe ProtocolResults of a campaign, gathered where a result was added and kept in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from xpm_alchem.base.disk_cache import DiskCache
from xpm_alchem.base.errors import FormatError
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.network.loading import Network
from xpm_alchem.network.trust import check_module

DISK_BOUND_BYTES = 1 << 30  # 1 GiB
MEMORY_BOUND_BYTES = 1 << 28  # 256 MiB of JSON; a few times that of Python objects


class ProtocolResults:
    """The ProtocolResult of every transformation, made of the results of its complete tasks.

    It is gathered again only when a result was added. What was gathered is kept within a bound in memory, and within
    another on disk, where it outlives the process; what is found there is checked as any other gufe JSON, and anything
    that is not what was written is made again.

    Parameters
    ----------
    network, workspace
        The network, and the directory that the tasks' directories are relative to.
    trusted
        Packages that the user trusts.
    cache
        A directory for what was gathered, or None to do without.
    read_only
        Whether to write nothing there.
    disk_bound_bytes, memory_bound_bytes
        Most bytes of JSON to keep there, and in memory.

    Attributes
    ----------
    network
        May become another one: what was gathered is kept.
    broken
        Files of results that were found gone or not even JSON.
    """

    def __init__(
        self,
        network: Network,
        workspace: Path,
        trusted: tuple[str, ...],
        cache: Path | None = None,
        *,
        read_only: bool = False,
        disk_bound_bytes: int = DISK_BOUND_BYTES,
        memory_bound_bytes: int = MEMORY_BOUND_BYTES,
    ) -> None:
        self.network, self._workspace = network, workspace
        self._trusted = trusted
        self._check_entry = check_module("an entry of the cache", trusted)
        self._disk = None if cache is None else DiskCache(cache, disk_bound_bytes, read_only=read_only)
        self._memory = _Memory(memory_bound_bytes)
        self.broken: set[Path] = set()

    def of(self, transformation: str, tasks: Iterable[TaskState], to_come: int) -> Any:
        """Return the ProtocolResult of the complete tasks, or None without any.

        Parameters
        ----------
        transformation
            Its stable id.
        tasks
            Its tasks.
        to_come
            Results that are on their way; they are counted as if they were there.
        """
        from xpm_alchem import gufe_seam

        complete = sorted((t for t in tasks if t.status is TaskStatus.COMPLETE), key=lambda task: task.task)
        result = self._gathered(transformation, complete) if complete else None
        if to_come == 0:
            return result
        return gufe_seam.with_results_to_come(self.network.transformation(transformation).protocol, result, to_come)

    def _gathered(self, transformation: str, complete: Sequence[TaskState]) -> Any:
        from xpm_alchem import gufe_seam

        # with its estimate: a task that was removed and run again has the same name and another result
        made_of = tuple((task.task, task.estimate, *filter(None, [task.left_out])) for task in complete)
        result = self._memory.get(transformation, made_of)
        if result is not None:
            return result
        gufe_object = self.network.transformation(transformation)
        described = {
            "kind": "gathered ProtocolResult",
            "gufe": gufe_seam.GUFE_VERSION,
            "workspace": str(self._workspace),  # the results name paths in it
            "transformation": transformation,
            "results": hashlib.sha256(json.dumps(made_of).encode()).hexdigest(),
        }
        size: int | None
        result, size = self._from_disk(gufe_object, transformation, described, len(complete))
        if result is None:
            counted = [task for task in complete if not task.left_out]
            places = [(TaskDirectory(self._workspace / task.directory), task.lacks_dag_result) for task in counted]
            own = tuple(place for place, is_imported in places if not is_imported)
            files = tuple(place.quickrun for place, is_imported in places if is_imported)
            result = gufe_seam.gather(gufe_object, _DAGResults(own, self._read)) if own else None
            result = self._with_imported(gufe_object.protocol, result, files)
            result = gufe_seam.with_results_to_come(gufe_object.protocol, result, len(complete) - len(counted))
            size = self._to_disk(result, transformation, described)
            if size is None:
                size = sum(path.stat().st_size for path in (*(directory.result for directory in own), *files))
        self._memory.put(transformation, made_of, result, size)
        return result

    def _with_imported(self, protocol: Any, result: Any, files: Iterable[Path]) -> Any:
        """Return a result with those of imported runs; one that cannot be put together with it is counted, no more."""
        from xpm_alchem import gufe_seam

        counted = 0
        for file in files:
            both = None
            with suppress(Exception):  # of another version of the protocol, say: its estimate counts all the same
                found = gufe_seam.load_quickrun_result(file, check_module(str(file), self._trusted))
                if isinstance(found, protocol.result_cls):
                    both = gufe_seam.merged(protocol, [found] if result is None else [result, found])
            counted += both is None
            result = result if both is None else both
        return gufe_seam.with_results_to_come(protocol, result, counted)

    def _read(self, directory: TaskDirectory) -> Any:
        from xpm_alchem import gufe_seam

        path = directory.result
        try:
            result = gufe_seam.load(path, check_module(str(path), self._trusted), directory.relocated)
            if not gufe_seam.is_dag_result(result):
                raise FormatError(path, "damaged: not a ProtocolDAGResult.", broken=True)
            return result
        except FileNotFoundError:
            self.broken.add(path)
            raise FormatError(path, "the result of a complete task is gone.", broken=True) from None
        except FormatError as error:
            if error.broken:
                self.broken.add(path)
            raise

    def _from_disk(
        self, gufe_object: Any, transformation: str, described: Mapping[str, Any], count: int
    ) -> tuple[Any, int]:
        from xpm_alchem import gufe_seam

        text = None if self._disk is None else self._disk.get(transformation, described)
        if self._disk is None or text is None:
            return None, 0
        with suppress(Exception):  # whatever is wrong with it: it can be made again
            key, _, body = text.partition("\n")
            result = gufe_seam.decode(gufe_seam.parse(body, self._check_entry))
            # a ProtocolResult whose class does not read back what it writes has another key then
            if isinstance(result, gufe_object.protocol.result_cls) and str(result.key) == key:
                return gufe_seam.with_count(result, count), len(text)
        self._disk.drop(transformation)
        return None, 0

    def _to_disk(self, result: Any, transformation: str, described: Mapping[str, Any]) -> int | None:
        """Write what was gathered, if it would be read as it is; return the size of its JSON, None if it has none."""
        from xpm_alchem import gufe_seam

        try:
            text = f"{result.key}\n{gufe_seam.to_text(result)}"
        except Exception:  # whatever gufe cannot write
            return None
        if self._disk is not None and _is_plain(result.to_shallow_dict()):
            self._disk.put(transformation, described, text)
        return len(text)


def _is_plain(value: Any) -> bool:
    """Return whether JSON gives mappings and sequences back as they are: no tuples, no keys but texts.

    gufe's own keys do not tell: newer versions make them of the JSON.
    """
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, tuple | set | frozenset)


class ResultsByKey(Mapping[str, Any]):
    """Results by gufe key, each one made when it is asked for, so that never all are in memory.

    Parameters
    ----------
    keys
        The keys there are.
    make
        Returns the result of a key: a ProtocolResult, or None where there is none yet.
    """

    def __init__(self, keys: Iterable[str], make: Callable[[str], Any]) -> None:
        self._keys, self._make = dict.fromkeys(keys), make

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self._make(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the result of a key. A KeyError of a protocol that gathers is not taken for a missing result."""
        return self._make(key) if key in self._keys else default

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class _DAGResults(Sequence[Any]):
    """The ProtocolDAGResults in files, each one read when it is asked for: they may have hundreds of MB."""

    def __init__(self, directories: Sequence[TaskDirectory], read: Callable[[TaskDirectory], Any]) -> None:
        self._directories, self._read = directories, read

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> _DAGResults: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return _DAGResults(self._directories[index], self._read)
        return self._read(self._directories[index])

    def __iter__(self) -> Iterator[Any]:  # Sequence's own takes an IndexError of a class that is read for the end
        return (self[index] for index in range(len(self._directories)))

    def __len__(self) -> int:
        return len(self._directories)


class _Memory:
    """Results by transformation within a bound; the least recently used are dropped."""

    def __init__(self, bound_bytes: int) -> None:
        self._bound, self._bytes = bound_bytes, 0
        self._entries: OrderedDict[str, tuple[Any, Any, int]] = OrderedDict()

    def get(self, transformation: str, made_of: Any) -> Any:
        entry = self._entries.get(transformation)
        if entry is None or entry[0] != made_of:
            return None
        self._entries.move_to_end(transformation)
        return entry[1]

    def put(self, transformation: str, made_of: Any, result: Any, size: int) -> None:
        _, _, before = self._entries.pop(transformation, (None, None, 0))
        self._bytes -= before
        if size > self._bound:
            return
        self._entries[transformation] = (made_of, result, size)
        self._bytes += size
        while self._bytes > self._bound:
            _, (_, _, gone) = self._entries.popitem(last=False)
            self._bytes -= gone
