"""A model of the journals of attempts: every decision made again from what was known then, every count counted anew."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import misfortunes

from tests.chaos.journal_model import JournalModel
from tests.chaos.plan_history import PlanHistory
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.failures.restarts import RestartPolicy, decide
from xpm_alchem.plan.default_rules import RULES

UNITS = {"setup", "simulate 0", "analyse"}
RETRIES = 3  # of a workspace that says nothing
_EXPLAINED = (
    misfortunes.KNOWN,
    misfortunes.POISON,
    misfortunes.ODD,
    misfortunes.HOPELESS,
    misfortunes.MEMORY,
    "Particle coordinate is NaN",
    "Stale file handle",
    "No space left on device",
)
_DEADLY = ("segfault", "kill", "exit", "child", "truncated")
_Records = list[dict[str, Any]]


@attrs.define
class AttemptsModel:
    """What the journals of all tasks tell.

    Attributes
    ----------
    outcomes, decisions
        How often each is there.
    """

    history: PlanHistory
    journal: JournalModel
    wrong: list[str] = attrs.field(factory=list)
    outcomes: Counter[str] = attrs.field(factory=Counter)
    decisions: Counter[str] = attrs.field(factory=Counter)
    undecided: Counter[str] = attrs.field(factory=Counter)
    torn: int = 0

    def check(self, task: str, directory: Path, script: Path) -> None:
        """Check a task.

        Parameters
        ----------
        script
            The file of its misfortunes.
        """
        files, records = TaskDirectory(directory), self._records(directory / "attempts.jsonl")
        attempts = AttemptLog(files.attempts).read()
        self.outcomes.update(str(attempt.outcome) for attempt in attempts)
        for i, record in enumerate(records):
            if record.get("event") == "decision":
                self._check_decision(task, records[:i], record)
        for attempt, later in zip(attempts, [*attempts, None][1:], strict=True):
            if attempt.decision is None:
                self.undecided[str(attempt.outcome)] += 1
                if later is not None and attempt.outcome is Outcome.ERROR:
                    self._note(task, f"attempt {attempt.number} failed, nothing was decided, and another one followed")
        self._check_units(task, files, attempts)
        self._check_ends(task, attempts, misfortunes.happened_at(script))

    def _note(self, task: str, what: str) -> None:
        self.wrong.append(f"{task}: {what}")

    def _records(self, path: Path) -> _Records:
        found = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                self.torn += 1
        return found

    # ----------------------------------------------------------------------------------------------------- decisions
    def _check_decision(self, task: str, before: _Records, record: dict[str, Any]) -> None:
        what, reason, when = record["decision"], record["reason"], record["time"]
        attempts = _attempts(before)
        last = attempts[-1]
        self.decisions[_kind(what, reason)] += 1
        if last.number != record["attempt"]:
            self._note(task, f"a decision about attempt {record['attempt']}, and the last one is {last.number}")
        if what in ("retry", "stopped"):
            return
        if what == "done":
            if last.outcome is not Outcome.COMPLETE:
                self._note(task, f"attempt {last.number}: done, and it ended as {last.outcome}")
            return
        plans = self.history.at(when)
        policies = {RestartPolicy.of(plan, RETRIES) for plan in plans}
        possible = [decide(attempts, p, another_complete=other) for p in policies for other in (True, False)]
        if (what, reason) not in [(decision.what, decision.reason) for decision in possible]:
            self._note(task, f"attempt {last.number}: {what} ({reason}), but the model says {possible}")
        transformation = self.journal.tasks[task].transformation
        another = self.journal.completed_before(transformation, task, when)
        if ("'nan', " in reason and not another) or ("taken to be reproducible" in reason and another):
            self._note(
                task, f"attempt {last.number}: {reason}, and another repeat was{'' if another else ' not'} complete"
            )
        self._recount(task, _since_retry(attempts), reason)

    def _recount(self, task: str, attempts: Sequence[Attempt], reason: str) -> None:
        """Count again what a reason counts."""
        failed = [attempt for attempt in attempts if _is_failure(attempt)]
        for pattern, count, allowed in re.findall(r"'([^']+)' (\d+) of (\d+)", reason):
            number = sum(any(re.search(pattern, text) for text in _texts(attempt)) for attempt in failed)
            if number != int(count) or number > int(allowed):
                self._note(task, f"{reason}: the model counts {number} failures")
        if rule := re.match(r"default rule '(\w+)', (\d+) of (\d+)", reason):
            expression = next(each.pattern for each in RULES if each.name == rule[1])
            errors = [attempt for attempt in failed if attempt.outcome is Outcome.ERROR]
            number = sum(bool(re.search(expression, attempt.traceback or attempt.stderr)) for attempt in errors)
            if number != int(rule[2]) or number > int(rule[3]):
                self._note(task, f"{reason}: the model counts {number} errors")
        if retry := re.search(r"retry (\d+) of (\d+)$", reason):
            number = 0
            for attempt in attempts:
                number = 0 if attempt.progress else number
                number += attempt in failed and attempt.outcome is not Outcome.ERROR
            if number != int(retry[1]) or number > int(retry[2]):
                self._note(task, f"{reason}: the model counts {number} retries")

    # --------------------------------------------------------------------------------------------- units and endings
    def _check_units(self, task: str, files: TaskDirectory, attempts: Sequence[Attempt]) -> None:
        """Check that a unit was finished once, and once more after every beginning from scratch."""
        eras: list[Counter[str]] = [Counter()]
        owed: int | None = None  # the attempt after which it was decided to begin from scratch, until one has begun
        for attempt in attempts:
            if _begins_afresh(attempt):
                eras.append(Counter())
            eras[-1].update(unit["name"] for unit in attempt.units if unit.get("ok"))
            if attempt.process.pid != 0:
                if owed is not None and attempt.units and not _begins_afresh(attempt):
                    self._note(task, f"attempt {attempt.number} did not begin from scratch, as decided after {owed}")
                owed = None
            if "from scratch" in (attempt.decision_reason or ""):
                owed = attempt.number
        for era in eras:
            if any(number > 1 for number in era.values()) or set(era) - UNITS:
                self._note(task, f"units finished more than once: {dict(era)}")
        complete = [attempt.number for attempt in attempts if attempt.outcome is Outcome.COMPLETE]
        if self.journal.tasks[task].status == "complete":
            if complete != [attempts[-1].number]:
                self._note(task, f"complete, by attempts {complete} of {len(attempts)}")
            if len(list(files.results.glob("*.json"))) != len(UNITS):
                self._note(task, f"{len(list(files.results.glob('*.json')))} results of units instead of {len(UNITS)}")
        elif complete and self.journal.tasks[task].exists:
            self._note(task, f"attempts {complete} were complete, and the task is not")

    def _check_ends(self, task: str, attempts: Sequence[Attempt], came: Sequence[Mapping[str, Any]]) -> None:
        """Check that every error was scripted, and that everything scripted ended an attempt of its process."""
        for attempt in attempts:
            text = f"{attempt.traceback or ''}{attempt.reason}"
            if attempt.outcome is Outcome.ERROR and not any(words in text for words in _EXPLAINED):
                self._note(task, f"attempt {attempt.number} failed without a reason: {text[-1500:]}")
        for each in came:
            own = [attempt for attempt in attempts if attempt.process.pid == each["pid"]]
            if not own:
                self._note(task, f"{each} came to a process without an attempt")
            elif each["kind"] in _DEADLY and own[-1].outcome in (Outcome.COMPLETE, Outcome.ERROR):
                self._note(task, f"{each} came, and attempt {own[-1].number} ended as {own[-1].outcome}")
        if any(each["kind"] == "truncated" for each in came) and self.journal.tasks[task].status == "complete":
            kept = any(unit.get("set_aside") or unit.get("fresh") for attempt in attempts for unit in attempt.units)
            if not kept:
                self._note(task, "its checkpoint was cut short, and nothing says that it was set aside")


def _begins_afresh(attempt: Attempt) -> bool:
    return any(unit.get("fresh") and str(unit["reason"]).startswith("from scratch") for unit in attempt.units)


def _is_failure(attempt: Attempt) -> bool:
    slice_ = attempt.outcome is Outcome.TIMEOUT and attempt.progress
    return attempt.outcome not in (None, Outcome.COMPLETE) and attempt.decision != "stopped" and not slice_


def _texts(attempt: Attempt) -> tuple[str, ...]:
    return attempt.traceback or "", f"outcome: {attempt.outcome}", attempt.reason, attempt.stderr


def _since_retry(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    marks = [i for i, attempt in enumerate(attempts) if attempt.decision == "retry"]
    return attempts[marks[-1] + 1 :] if marks else attempts


def _attempts(records: _Records) -> list[Attempt]:
    """Return the attempts as they were known after these records."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "attempts.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return AttemptLog(path).read()


def _kind(what: str, reason: str) -> str:
    """Return the kind of a decision, for the table."""
    if what == "stop":
        return "stop: " + ("used up" if "used up" in reason else "NaN" if "reproducible" in reason else "no match")
    if what != "resume":
        return what
    words = {"a slice": "slice", "restart pattern": "pattern", "default rule": "default rule"}
    kind = next((word for start, word in words.items() if reason.startswith(start)), "retry")
    return f"resume: {kind}{', from scratch' if 'from scratch' in reason else ''}"
