"""What can be wrong with a task, each kind with its sentence and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

import attrs

from xpm_alchem.doctor.check import Finding, Repair, Verdict, ok

_AGAIN = (
    "restore the files from a backup; without one, move the task's directory away and run the campaign under another "
    "'name': it takes over every repeat that is whole, and computes this one anew"
)
_RETRY = "xpm-alchem retry CAMPAIGN TRANSFORMATION:REPEAT"


class Kind(Enum):
    """A kind of problem: its check, how bad it is, what it is (of `n` places), how to mend it."""

    def __init__(self, check: str, verdict: Verdict, found: str, mend: str) -> None:
        self.check, self.verdict, self.found, self.mend = check, verdict, found, mend

    GONE = ("task directories", Verdict.FAULT, "{n} complete task(s) have no directory any more", _AGAIN)
    NEVER_MADE = (
        "task directories",
        Verdict.WARNING,
        "{n} task(s) were submitted and have no directory: removed, or their driver was killed at that moment",
        "nothing to do: `xpm-alchem run` begins them (anew)",
    )
    STRANGE = (
        "task directories",
        Verdict.FAULT,
        "{n} task(s) belong to no transformation of the network",
        "restore index.json or tasks.jsonl from a backup",
    )
    NEWER = (
        "task files",
        Verdict.FAULT,
        "{n} file(s) were written by a newer xpm-alchem",
        "upgrade xpm-alchem; nothing is wrong with the files",
    )
    DAMAGED = ("task files", Verdict.FAULT, "{n} file(s) of tasks are missing or damaged", _AGAIN)
    BLOCKED = (
        "task files",
        Verdict.FAULT,
        "{n} unfinished task(s) cannot go on, as a file that every attempt needs is missing or damaged",
        f"restore the file; without a backup, move the task's directory away, then: {_RETRY}",
    )
    MADE_AGAIN = (
        "task files",
        Verdict.WARNING,
        "{n} file(s) of unfinished tasks are damaged; the next attempt makes them again",
        "nothing to do: `xpm-alchem run` goes on",
    )
    HISTORY = (
        "task files",
        Verdict.WARNING,
        "the history of {n} task(s) is damaged or gone: attempts that it told of are forgotten",
        "restore attempts.jsonl from a backup; without one nothing needs to be done, no result depends on it",
    )
    TORN = (
        "task files",
        Verdict.WARNING,
        "the history of {n} task(s) ends in a line that a kill cut short",
        "nothing to do: it is passed over; --fix closes it",
    )
    NO_SUMMARY = (
        "results",
        Verdict.WARNING,
        "the summary of {n} complete task(s) is missing, damaged or wrong; their results are whole",
        "made again with --fix",
    )
    NO_RESULT = (
        "results",
        Verdict.FAULT,
        "the result of {n} complete task(s) is missing or damaged",
        f"--fix makes it again where every unit's result is whole; otherwise {_AGAIN}",
    )
    LATE = (
        "late results",
        Verdict.WARNING,
        "{n} task(s) have a complete result that no driver has taken in yet",
        "xpm-alchem run takes them in and computes nothing again",
    )
    LATE_ASIDE = (
        "late results",
        Verdict.WARNING,
        "{n} task(s) in error or cancelled have a complete result all the same",
        f"{_RETRY}, then `xpm-alchem run`: the result is taken in, nothing is computed again",
    )
    LOST = (
        "attempts",
        Verdict.WARNING,
        "{n} attempt(s) look alive, but their process on this host is gone",
        "nothing to do: `xpm-alchem run` notes them as lost and goes on",
    )
    POISONED = (
        "checkpoints",
        Verdict.WARNING,
        "{n} unit(s) failed or died again and again on a checkpoint they inherited",
        "look at `xpm-alchem why`; to begin a unit afresh, stop its task, rename its directory in shared/ to "
        f"NAME.set-aside-by-hand, then: {_RETRY}",
    )
    SET_ASIDE = (
        "checkpoints",
        Verdict.OK,
        "{n} checkpoint(s) or file(s) were set aside after a failure and kept",
        "delete them by hand when you no longer want to look at them",
    )
    SCRATCH = (
        "scratch",
        Verdict.WARNING,
        "{n} complete task(s) have left files in scratch/",
        "removed with --fix",
    )
    TEMPORARY = (
        "temporary task files",
        Verdict.WARNING,
        "{n} file(s) were left by writers that were killed",
        "removed with --fix",
    )
    UNSEEN = ("task files", Verdict.FAULT, "{n} task(s) could not be looked at", "see the message of each")


CHECKS = tuple(dict.fromkeys(kind.check for kind in Kind))
_WELL = {
    "task directories": "every task that was submitted has its directory",
    "task files": "every file of {tasks} task(s) is whole, as far as JSON can tell",
    "results": "what the journal has as complete is there, with a result of every unit",
    "late results": "none that was not taken in",
    "attempts": "none that only looks alive",
    "checkpoints": "none that fails again and again",
    "scratch": "nothing was left by complete tasks",
    "temporary task files": "none",
}


@attrs.frozen
class Problem:
    """Something wrong with a task.

    Attributes
    ----------
    where, what
        The task or file, and what it is about it ('' where the kind says it all).
    size
        Bytes it takes, where that matters.
    """

    kind: Kind
    where: str
    what: str = ""
    size: int | None = None
    repair: Repair | None = None

    @property
    def place(self) -> str:
        """Where, and what."""
        size = "" if self.size is None else f" ({self.size / 1e6:.1f} MB)"
        return f"{self.where}{size}: {self.what}" if self.what else f"{self.where}{size}"


def findings_of(check: str, problems: Iterable[Problem], tasks: int) -> Iterator[Finding]:
    """Yield a finding for every kind of problem of a check, or one that all is well."""
    mine = [problem for problem in problems if problem.kind.check == check]
    for kind in Kind:
        group = [problem for problem in mine if problem.kind is kind]
        if group:
            sizes = [problem.size for problem in group if problem.size is not None]
            yield Finding(
                kind.verdict,
                kind.found.format(n=len(group)) + (f", {sum(sizes) / 1e6:.1f} MB" if sizes else ""),
                kind.mend,
                places=tuple(problem.place for problem in group),
                repairs=tuple(problem.repair for problem in group if problem.repair is not None),
            )
    if not mine:
        yield ok(_WELL[check].format(tasks=tasks))
