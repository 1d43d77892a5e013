"""The directory of one task: the one place where its paths are built, and the short summary of what is in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.energies import believed, believed_pairs
from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import (
    exists,
    first_free,
    is_directory,
    make_directories,
    names_in,
    read_record,
    remove,
    remove_if_empty,
    write_record,
)
from xpm_alchem.base.paths import absolute
from xpm_alchem.base.values import is_count, number, number_or_none, short, text, text_or_none

SUMMARY = "xpm-alchem task summary"
SUMMARY_VERSION = 1


def _absolute(path: Path) -> Path:
    return absolute(path)


def _plain(unit: str) -> str:
    """Return a unit's key, which names files; a damaged dag.json must not lead out of the directory."""
    if "/" in unit or unit in ("", ".", ".."):
        raise ValueError(f"the unit key {unit!r} cannot name a file: dag.json is damaged")
    return unit


@attrs.frozen
class TaskDirectory:
    """Paths of one task.

    Attributes
    ----------
    path
        Absolute: results embed it.
    generation
        How often an attempt was fenced off; every generation of attempts has checkpoints and scratch of its own.
    """

    path: Path = attrs.field(converter=_absolute)
    generation: int = 0

    @property
    def dag(self) -> Path:
        """The ProtocolDAG, written before the first unit runs."""
        return self.path / "dag.json"

    @property
    def result(self) -> Path:
        """The ProtocolDAGResult of a complete task."""
        return self.path / "result.json"

    @property
    def quickrun(self) -> Path:
        """The file that the result of an imported task came from, as it was."""
        return self.path / "quickrun.json"

    @property
    def summary(self) -> Path:
        """What a driver needs to know, in a few hundred bytes; every generation of attempts writes its own."""
        return self.summaries[0]

    @property
    def summaries(self) -> list[Path]:
        """The summaries of this generation and of those before it, which count where this one has not written yet."""
        older = [self.path / f"summary.generation-{number}.json" for number in range(self.generation, 0, -1)]
        return [*older, self.path / "summary.json"]

    @property
    def attempts(self) -> Path:
        """The journal of attempts."""
        return self.path / "attempts.jsonl"

    @property
    def orders(self) -> Path:
        """Who may work on the task; see fence.py."""
        return self.path / "orders.json"

    @property
    def lock(self) -> Path:
        """Held by the attempt that is at work."""
        return self.path / "attempt.lock"

    @property
    def alive(self) -> Path:
        """Written every few seconds by the attempt that is at work: when it was last alive."""
        return self.path / "alive"

    @property
    def results(self) -> Path:
        """The results of finished units."""
        return self.path / "results"

    def unit_result(self, unit: str) -> Path:
        """The result of a finished unit."""
        return self.path.joinpath("results", f"{_plain(unit)}.json")

    def failure(self, unit: str, number: int) -> Path:
        """The `number`-th failure of a unit."""
        return self.path / "failures" / f"{_plain(unit)}.{number}.json"

    def next_failure(self, unit: str) -> Path:
        """The path for the next failure of a unit."""
        return first_free(lambda number: self.failure(unit, number), start=0)

    def shared(self, unit: str) -> Path:
        """What a unit keeps over attempts: checkpoints, and files that later units read."""
        return self.path.joinpath("shared", self._of_generation(unit))

    def scratch(self, unit: str) -> Path:
        """What a unit may lose."""
        return self.path.joinpath("scratch", self._of_generation(unit))

    def all_shared(self) -> list[Path]:
        """Return the shared directories that attempts of this generation write to."""
        suffix = f".generation-{self.generation}."
        shared = self.path / "shared"
        found = (shared / name for name in names_in(shared) if is_directory(shared / name))
        return [p for p in found if (suffix in f"{p.name}." if self.generation else ".generation-" not in p.name)]

    def _of_generation(self, unit: str) -> str:
        return _plain(unit) if self.generation == 0 else f"{_plain(unit)}.generation-{self.generation}"

    def log(self, stream: str, unit: str) -> Path:
        """What a unit writes to 'stdout' or 'stderr' by way of gufe's Context."""
        return self.path.joinpath(stream, self._of_generation(unit))

    def printed(self, stream: str, attempt: int | None = None) -> Path:
        """What an attempt's process wrote to 'stdout' or 'stderr': the latest one's, or the given earlier one's."""
        suffix = {"stdout": "out", "stderr": "err"}[stream]
        return self.path / (f"run.{suffix}" if attempt is None else f"run.{attempt}.{suffix}")

    def relocated(self, path: Path) -> Path:
        """Return where a path that a result names is now: the workspace may have been copied or moved since.

        What was in the directory of this task, or of another one beside it, is looked for there.
        """
        beside = (self.path.parent.parent.name, self.path.parent.name)
        for i in range(len(path.parts) - 2, 1, -1) if path.is_absolute() else ():
            if path.parts[i - 2 : i] == beside and is_directory(self.path.parent / path.parts[i]):
                return self.path.parent.joinpath(*path.parts[i:])
        return path

    def make(self) -> None:
        """Make the directories that every task has."""
        make_directories(self.results)

    def tidy(self) -> None:
        """Remove what a complete task does not need: the sign of life, and directories that have nothing in them."""
        with suppress(OSError):
            remove(self.alive)
        for name in ("shared", "stdout", "stderr", "scratch", "failures"):
            with suppress(OSError):
                for unit in names_in(self.path / name):
                    remove_if_empty(self.path / name / unit)
            remove_if_empty(self.path / name)


@attrs.frozen
class TaskSummary:
    """What summary.json says. Energies in kcal/mol, times in seconds, memory in bytes.

    Attributes
    ----------
    status
        'running' (also after a kill: only the launcher knows), 'complete', 'error' or 'stopped' (resumable).
    estimate, uncertainty
        Of this repeat alone, as the protocol gives them; None while unknown. A protocol's uncertainty of a single
        repeat may be 0.0: that is no certainty.
    left_out
        Why the repeat counts in nothing, as `base.energies.believed` says; '' if it does.
    simulations
        Estimate and the protocol's own error of each simulation inside this repeat, where the protocol tells of them.
    message
        The last line of the traceback of an error, or why it stopped.
    seconds, cpu_seconds
        Over all attempts.
    set_aside
        How often an inherited checkpoint was set aside and its unit started fresh.
    devices
        What the last attempt was given to compute on, in words; '' for nothing.
    """

    transformation: str
    repeat: int
    status: str
    units_total: int = 0
    units_done: int = 0
    unit: str | None = None
    estimate: float | None = None
    uncertainty: float | None = None
    left_out: str = ""
    simulations: list[list[float]] = attrs.field(factory=list)
    message: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    set_aside: int = 0
    updated: float = 0.0
    devices: str = ""
    versions: dict[str, str] = attrs.field(factory=dict)

    def write(self, path: Path, *, is_final: bool = True) -> None:
        """Write it, whole or not at all; one of an attempt that goes on may be lost with the machine."""
        write_record(path, SUMMARY, SUMMARY_VERSION, attrs.asdict(self), is_synced=is_final)

    @classmethod
    def of(cls, files: TaskDirectory) -> TaskSummary:
        """Read a task's, by the files of its current generation (see fence.py): an older one's may be written late.

        Raises
        ------
        FileNotFoundError, FormatError
            There is none; it is damaged or newer.
        """
        return cls.read(next((path for path in files.summaries if exists(path)), files.summary))

    @classmethod
    def read(cls, path: Path) -> TaskSummary:
        """Read it.

        Raises
        ------
        FileNotFoundError, FormatError
            It is not there; it is damaged or newer.
        """
        content = read_record(path, SUMMARY, SUMMARY_VERSION)
        known = {field.name: str(field.type) for field in attrs.fields(cls)}
        values = {}
        for key, value in content.items():
            if key in known:
                fits, read = _READERS[known[key]]
                if not fits(value):
                    raise FormatError(path, f"damaged: '{key}' is {short(value)}. It can be removed: it is made again.")
                values[key] = read(value)
        found = believed(content.get("estimate"), content.get("uncertainty"))
        values |= {"estimate": found.estimate, "uncertainty": found.uncertainty}
        values["left_out"] = values.get("left_out") or found.left_out
        try:
            return cls(**values)
        except TypeError as error:
            raise FormatError(path, f"damaged: {error}. It can be removed: it is made again.") from None

    def evolve(self, **changes: Any) -> TaskSummary:
        """Return a copy with changes."""
        return attrs.evolve(self, **changes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_pairs(value: Any) -> bool:
    pairs = isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
    return pairs and all(_is_number(item) for pair in value for item in pair)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


_READERS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {  # by the annotation of a field
    "str": (lambda value: isinstance(value, str), text),
    "str | None": (lambda value: value is None or isinstance(value, str), text_or_none),
    "int": (is_count, int),
    "float": (_is_number, number),
    "float | None": (lambda value: value is None or _is_number(value), number_or_none),
    "list[list[float]]": (lambda value: _are_pairs(value), believed_pairs),
    "dict[str, str]": (_is_texts, lambda value: {text(key): text(item) for key, item in value.items()}),
}
