"""Telling the user, once for each occurrence, that a campaign is satisfied, in error, or has used up its budget."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any

import attrs

from xpm_alchem.base.shell import command_line
from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.driver.messenger import Became, send
from xpm_alchem.plan.amounts import amount_text
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.plan.notify import BUDGET, ERROR, SATISFIED, missing_program

_STANDING, _STUCK, _ENDED = "error", "stuck in a queue", "ended in error"  # kinds of occurrences of the event 'error'
_LONGEST = 200  # characters of a reason
_LAST_WORD_SECONDS = 3.0  # that a driver which ends waits for its messengers


class Notices:
    """Finds out what is to be told, remembers it in the journal, and starts a messenger that nobody waits for.

    What is remembered is written first: a driver that is killed then tells it to nobody rather than twice.
    """

    def __init__(self, records: CampaignRecords, observe: Callable[[DriverEvent], None]) -> None:
        self._records, self._observe = records, observe
        self._messengers: list[tuple[str, subprocess.Popen[bytes]]] = []  # what they tell, and they
        self._untold: set[tuple[str, str]] = set()

    def look(self, plan: Plan, exception: str | None, stuck: str = "") -> None:
        """Tell, while the campaign goes on, that something is in error; again only when nothing was meanwhile.

        Parameters
        ----------
        exception
            What the strategy raised.
        stuck
            What waits in a queue for what never comes by itself, in a sentence: it is told by itself.
        """
        self._hear()
        if not _is_wanted(plan, ERROR):
            return
        if stuck:
            self._tell(plan, ERROR, _STUCK, "yes", stuck[:_LONGEST])
        elif self._records.state().notified.get(_STUCK):
            self._remember(_STUCK, "")
        failed = self._in_error()
        if failed:
            first = min(failed, key=lambda task: task.changed)
            reason = f"{self._records.name_of(first)} is in error: {first.reason[:_LONGEST]}"
            self._tell(plan, ERROR, _STANDING, "yes", f"{reason}; the rest goes on")
        elif exception is not None:
            self._tell(plan, ERROR, _STANDING, "yes", f"the strategy raised {exception[:_LONGEST]}")
        elif self._records.state().notified.get(_STANDING):
            self._remember(_STANDING, "")

    def satisfied(self, plan: Plan) -> None:
        """Tell that the strategy wants no more results."""
        tasks = self._records.state().tasks.values()
        results = sum(task.status is TaskStatus.COMPLETE for task in tasks)
        self._tell(plan, SATISFIED, SATISFIED, str(results), f"satisfied with {results} result(s); {self._spent()}")

    def used_up(self, plan: Plan) -> None:
        """Tell that the budget is used up; another budget may be used up again."""
        self._tell(
            plan, BUDGET, BUDGET, _digest(map(str, attrs.astuple(plan.budget))), f"budget used up; {self._spent()}"
        )

    def in_error(self, plan: Plan, exception: str | None) -> None:
        """Tell that nothing is left to do and something is in error."""
        if not _is_wanted(plan, ERROR):
            return
        failed = self._in_error()
        of = _digest([*sorted(f"{task.task} {task.changed}" for task in failed), exception or ""])
        what = f"the strategy raised {exception[:_LONGEST]}" if exception else f"{len(failed)} task(s) are in error"
        if failed and not self._records.state().notified.get(_STANDING):
            self._remember(_STANDING, "yes")  # this says it
        command = command_line("failures", str(self._records.path))
        self._tell(plan, ERROR, _ENDED, of, f"ended: {what}; `{command}` shows them")

    def in_trouble(self, plan: Plan, sentence: str) -> None:
        """Tell that the campaign's files cannot be used, or can be again; that is remembered nowhere."""
        if not _is_wanted(plan, ERROR):
            return
        self._send(plan, ERROR, sentence)

    def finish(self) -> None:
        """Say what became of what was told last; who does not know within seconds goes on without the driver."""
        until = time.monotonic() + _LAST_WORD_SECONDS
        for _, messenger in self._messengers:
            with suppress(subprocess.TimeoutExpired):
                messenger.wait(max(0.0, until - time.monotonic()))
        self._hear()
        for sentence, _ in self._messengers:
            self._observe(DriverEvent(f"being notified: {sentence}"))
        self._messengers = []

    def _hear(self) -> None:
        """Say what became of what messengers carried."""
        ended = [(sentence, messenger) for sentence, messenger in self._messengers if messenger.poll() is not None]
        self._messengers = [known for known in self._messengers if known not in ended]
        for sentence, messenger in ended:
            code = messenger.returncode
            if code == Became.ARRIVED:
                self._observe(DriverEvent(f"notified: {sentence}"))
            else:
                again = "; it is tried again" if code == Became.TRIED_AGAIN else ""
                self._observe(DriverEvent(f"nobody could be notified (see notify.log{again}): {sentence}"))

    def _in_error(self) -> list[TaskState]:
        return [task for task in self._records.state().tasks.values() if task.status is TaskStatus.ERROR]

    def _spent(self) -> str:
        ledger = self._records.state().ledger
        return f"{amount_text(ledger.total(ledger.unit), ledger.unit)} spent"

    def _tell(self, plan: Plan, event: str, what: str, of: str, sentence: str) -> None:
        if not _is_wanted(plan, event) or self._records.state().notified.get(what) == of:
            return
        missing = missing_program(plan.notify)
        if missing and plan.notify.url is None:  # not remembered: whoever drives next, with the program there, tells it
            if (what, of) not in self._untold:
                self._untold.add((what, of))
                self._observe(DriverEvent(f"nobody could be notified ({missing}): {sentence}"))
            return
        self._remember(what, of)
        self._send(plan, event, sentence)

    def _send(self, plan: Plan, event: str, sentence: str) -> None:
        try:
            with self._log() as log:
                self._messengers.append((sentence, send(self._order(plan, event, sentence), log)))
        except OSError as error:
            self._observe(DriverEvent(f"nobody could be notified ({error.strerror}): {sentence}"))

    def _order(self, plan: Plan, event: str, sentence: str) -> dict[str, Any]:
        """Return what a messenger is to carry."""
        name, notify = self._records.name, plan.notify
        message = {
            "campaign": name,
            "event": event,
            "sentence": printable(f"{name}: {sentence}"),
            "path": str(self._records.path),
        }
        return {"message": message, "command": notify.command, "url": notify.url, "timeout": notify.timeout}

    def _log(self) -> IO[bytes]:
        """Open the file that is told what became of a message; a message is worth more than its line there."""
        try:
            return self._records.open_notices()
        except OSError:
            return open(os.devnull, "wb")

    def _remember(self, what: str, of: str) -> None:
        self._records.write({"event": "notified", "what": what, "of": of})
        self._records.state()


def _is_wanted(plan: Plan, event: str) -> bool:
    return event in plan.notify.on and bool(plan.notify.command or plan.notify.url)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
