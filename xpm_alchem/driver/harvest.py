"""What became of the tasks that ran: read from the disk, decided, and written to the journal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.passing import patiently, scaled_pause
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus, grouped
from xpm_alchem.driver.rounds import Rounds
from xpm_alchem.driver.submission import Job, failure_reason, stderr_of
from xpm_alchem.driver.troubles import Troubles
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt, Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.execution.fence import Orders, fence_off, give_orders
from xpm_alchem.execution.progress import close_lost
from xpm_alchem.failures.left_out import left_out
from xpm_alchem.failures.restarts import DONE, RETRY, STOP, STOPPED, WAIT, RestartPolicy, decide, pause_after
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.requests.second_look import another_complete, look_again
from xpm_alchem.requests.taking_over import completion, told_of_end

_OVERDUE_SECONDS = 20.0
_STUCK_SECONDS = 5.0
_CAUSE_SECONDS = 60.0  # to wait for the launcher's word why an attempt was told to end
# said by experimaestro, in its log and as exception; a package that is just being imported may catch and reword that
_TERMINATED = re.compile("SIGTERM received, initiating graceful termination|Job cancelled by SIGTERM")
# removed before a launch and written for it: gone, or not seen yet, for a process of an earlier one that begins late,
# or of another driver that wanted the same task in the same moment
_WITHOUT_FILES = re.compile(r"FileNotFoundError: .*/(params\.json|run\.py)'|can't open file '.*/run\.py'")
_KEPT = 4000  # characters of what an attempt printed last
_SINCE_LAUNCH = 256 * 1024  # bytes: all of it, if it only began to import


@attrs.frozen
class DriverEvent:
    """Something happened; `task` is None for what concerns the whole campaign."""

    what: str
    task: TaskState | None = None


class Harvest:
    """Looks at running tasks. Events may repeat, come late or never come: only the disk counts.

    Parameters
    ----------
    jobs
        The attempts of this driver's session by task id; those that have ended are taken out.

    Attributes
    ----------
    resting
        Tasks at work of which nothing can be learned now.
    """

    def __init__(
        self,
        records: CampaignRecords,
        launcher: AttemptLauncher,
        jobs: dict[str, Job],
        observe: Callable[[DriverEvent], None],
        *,
        policy: RestartPolicy,
    ) -> None:
        self.records, self.launcher, self.observe, self.policy = records, launcher, observe, policy
        self._jobs = jobs
        self._rounds = Rounds(records)
        self.resting: set[str] = set()
        self._ended: dict[tuple[str, float], float] = {}
        self._told: set[tuple[str, bool]] = set()
        self._warned: set[tuple[str, str]] = set()
        self.troubles = Troubles(records, lambda sentence, task: self.observe(DriverEvent(sentence, task)))

    def look(self) -> None:
        """Look at every task whose attempt was at work; the journal gains what became of it."""
        at_work = [task for task in self.records.state().everything.values() if task.at_work]
        self._rounds.take_turns(at_work)
        self.resting = {task.task for task in at_work if self._rests(task)}
        ended = self.launcher.ended()
        for task in at_work:
            is_ended = self.records.task_path(task) in ended
            goes_on = not is_ended and self._goes_on(task)
            if goes_on or task.task in self.resting or self.troubles.wait(task):
                continue
            with self.troubles.of(task, self.give_up):
                self._look_at(task, is_ended=is_ended)

    def _goes_on(self, task: TaskState) -> bool:
        """Whether nothing has happened to a task of this session, as far as is known at no cost."""
        job = self._jobs.get(task.task)
        if job is None or job.ended or self._rounds.is_to_be_looked_at(task):
            return False
        return not self.troubles.is_known(task)

    def _rests(self, task: TaskState) -> bool:
        """Whether there is nothing to be learned of a task now: its attempt is not this session's, and out of sight."""
        if task.task in self._jobs:
            return False
        return not self.launcher.is_to_be_asked(self.records.task_path(task)) or self._rounds.rests(task)

    def give_up(self, task: TaskState, sentence: str) -> bool:
        """Put a task in error whose files do not let it go on; return whether that could be done.

        While its attempt may be at work it is left as it is.
        """
        job = self._jobs.get(task.task)
        if task.at_work:
            if job is not None and not job.ended:
                return False
            try:
                if self.launcher.is_running(self.records.task_path(task), None) is not False:
                    return False
            except (OSError, FormatError):
                return False
        self._over(task, TaskStatus.ERROR, sentence)
        return True

    def _look_at(self, task: TaskState, *, is_ended: bool) -> None:
        job = self._jobs.get(task.task)
        directory = self.records.task_path(task)
        if job is not None and not job.ended and not (is_ended and self._is_stuck(task)) and not self._is_overdue(task):
            return
        files = TaskDirectory(directory)
        log = AttemptLog(files.attempts)
        attempts = log.read()
        last = attempts[-1] if len(attempts) > task.attempts_before else None
        self._rounds.found(task, last)
        self._tell_units(task)
        if last is None:
            if job is None and not self.launcher.has_launched(directory):
                self._over(task, TaskStatus.WAITING, "the driver ended before its attempt was started")
                return
            if job is not None and self._was_not_launched(task, job, directory):
                return
            if self.launcher.is_running(directory, None) is not False:
                return
            if len(log.read()) > task.attempts_before:
                return  # it began while it was being looked at
            if not self._never_began(task, directory, log):
                return
        elif last.outcome is None:
            if not last.elsewhere and self.launcher.is_running(directory, last) is not False:
                self.launcher.end_overdue(last)
                return  # alive, or on a machine that cannot be seen from here
            if log.read()[-1].outcome is None:  # it may have said so while it was being looked at
                self._close(files, last)
        elif last.outcome is Outcome.CANCELLED and not self._find_cause(task, directory, log, last):
            return
        self._after_attempt(task, files, log)

    def _was_not_launched(self, task: TaskState, job: Job, directory: Path) -> bool:
        """Deal with an attempt that experimaestro gave up before it was there: no start, or one it could not note."""
        if not job.ended:
            return False
        if job.runs_unnoted:
            job.note_process()
            self._jobs.pop(task.task)  # to be taken up again
            return True
        if not job.cause or self.launcher.has_launched(directory) or failure_reason(directory) is not None:
            return False  # experimaestro forgets the process of a job that has ended
        reason = f"its attempt could not be started ({job.cause})."
        self._over(task, TaskStatus.WAITING, reason)
        self.troubles.begin(task, reason)
        return True

    def take_in(self, task: TaskState) -> None:
        """Look at an attempt that nobody waited for: its driver was killed before it could note its process."""
        files = TaskDirectory(self.records.task_path(task))
        log = AttemptLog(files.attempts)
        last = log.read()[-1]
        if last.outcome is None:
            self._close(files, last)
        self._after_attempt(task, files, log)

    def _close(self, files: TaskDirectory, last: Attempt) -> None:
        """Note how an attempt ended that left no word."""
        if last.elsewhere:
            close_lost(files, last, "it was at work in another directory, of which this one is a copy")
            return
        ending = self.launcher.ending(files.path, last)
        its_own = attrs.evolve(files, generation=Orders.read(files.path).generation)
        if not ending.is_certain:
            fence_off(files.path)
        close_lost(its_own, last, ending.reason, ending.outcome or Outcome.LOST)

    def _find_cause(self, task: TaskState, directory: Path, log: AttemptLog, last: Attempt) -> bool:
        """Ask the launcher why an attempt was told to end; return False while it does not know yet."""
        cause = self.launcher.cause(directory, last)
        if cause is None:
            return time.time() - (last.end or 0.0) > _CAUSE_SECONDS
        if cause.outcome is not None and (cause.outcome, cause.reason) != (last.outcome, last.reason):
            log.correct(last, cause.outcome, cause.reason)
        return True

    def _is_stuck(self, task: TaskState) -> bool:
        """Whether experimaestro waits in vain: for a lock, say, that an orphan holds of an attempt known to be over."""
        since = self._ended.setdefault((task.task, task.submitted), time.time())
        return time.time() - since > _STUCK_SECONDS

    def _is_overdue(self, task: TaskState) -> bool:
        """Whether a task's attempt has said how it ended, some time ago: then nobody waits for experimaestro."""
        last = self._rounds.last(task)
        if last is None:
            return False
        self._tell_units(task)
        if last.outcome is None and not last.elsewhere:
            self.launcher.end_overdue(last)
            self._warn(task, last)
        return self._rounds.seconds_over(task) > _OVERDUE_SECONDS

    def _tell_units(self, task: TaskState) -> None:
        """Tell which units of an attempt have been finished."""
        for name in self._rounds.new_units(task):
            self.observe(DriverEvent(f"unit {name}", task))

    def _warn(self, task: TaskState, attempt: Attempt) -> None:
        """Tell, once, what an attempt at work has found that its user should know."""
        for warning in (unit["warning"] for unit in attempt.units if "warning" in unit):
            if (task.task, warning) not in self._warned:
                self._warned.add((task.task, warning))
                self.observe(DriverEvent(warning, task))

    def _never_began(self, task: TaskState, directory: Path, log: AttemptLog) -> bool:
        """Note an attempt that ended before it could say that it began; return False if there was none at all."""
        ending = self.launcher.ending(directory, None)
        if ending.outcome is None:
            self._over(task, TaskStatus.WAITING, ending.reason)
            return False
        if not ending.is_certain:
            fence_off(directory)
        outcome, said, text = ending.outcome, ending.reason, None
        reason, printed = failure_reason(directory), _tail(stderr_of(directory), _SINCE_LAUNCH)
        if "TaskBusyError" in printed:
            fence_off(directory)
            outcome, said = Outcome.LOST, "a process of an earlier attempt held the task; it was fenced off"
        elif "SupersededError" in printed or _WITHOUT_FILES.search(printed):
            outcome, said = Outcome.LOST, "a process of an earlier launch came too late"
        elif reason in ("cancelled", "timeout") or _TERMINATED.search(printed):
            outcome = Outcome.TIMEOUT if reason == "timeout" else Outcome.CANCELLED
            said = "told to end before it began"
        elif reason is not None or "Traceback" in printed:
            outcome, text = Outcome.ERROR, printed[-_KEPT:] or None
            said = f"ended before it began: {_exception_in(printed) or _last_words(printed, directory, reason)}"
        log.never_began(outcome, said, text, since=task.submitted, launched=ending.launched)
        return True

    def _after_attempt(self, task: TaskState, files: TaskDirectory, log: AttemptLog) -> None:
        attempts = log.read()
        if task.leaving:
            self._after_leaving(task, files, log, attempts)
            return
        stopped = Orders.read(files.path).stop
        if stopped is not None and attempts[-1].outcome in (Outcome.CANCELLED, Outcome.LOST):
            log.decide(attempts[-1], STOPPED, stopped)
            self._over(task, TaskStatus.WAITING, stopped, spent=self._spent(task, attempts))
            return
        last = attempts[-1]
        if last.outcome is not Outcome.COMPLETE and not last.stderr and (printed := _tail(stderr_of(files.path))):
            log.stderr(last, printed)
            attempts = log.read()
        decision = decide(attempts, self.policy, another_complete=another_complete(self.records, task))
        if decision.what == WAIT:
            return
        if decision.from_scratch:
            give_orders(files.path, afresh_after=last.number)
        log.decide(last, decision.what, decision.reason)
        spent = self._spent(task, attempts)
        if decision.what == DONE:
            self._forget(task, again=False)
            if not self.complete(task, files, attempts):
                self._over(task, TaskStatus.WAITING, "complete, but its summary is lost: it is made again", last, spent)
        elif decision.what == STOP:
            self._over(task, TaskStatus.ERROR, f"{last.reason} ({decision.reason})", last, spent)
        else:
            reason = f"{last.outcome}: {decision.reason}"
            if until := _until(attempts):
                spent |= {"not_before": until}
            self._over(task, TaskStatus.WAITING, reason, last, spent)

    def _spent(self, task: TaskState, attempts: list[Attempt]) -> dict[str, Any]:
        """Return what the journal is to say of what the attempts cost."""
        return self.records.state().ledger.account(task.task, attempts)

    def _after_leaving(self, task: TaskState, files: TaskDirectory, log: AttemptLog, attempts: list[Attempt]) -> None:
        """The user gave the task another status meanwhile: that stays, but a late result counts if it is waiting."""
        reason, last = task.reason, attempts[-1]
        if last.outcome is Outcome.COMPLETE and task.exists and self.complete(task, files, attempts):
            log.decide(last, DONE, f"complete all the same ({reason})")
            self._forget(task, again=False)
            return
        if last.outcome is Outcome.COMPLETE:
            log.decide(last, DONE, f"complete, but it does not count ({reason})")
        else:
            log.decide(last, RETRY if task.exists else STOPPED, reason)
        self._over(task, task.status, reason, spent=self._spent(task, attempts))

    def complete(self, task: TaskState, files: TaskDirectory, attempts: list[Attempt]) -> bool:
        """Note that a task is complete, with what its summary says; return False if the summary does not say so.

        Raises
        ------
        FormatError
            The summary was written by a newer version.
        """
        complete = completion(task.task, files, attempts)
        if complete is None:
            return False
        self.records.write({**complete, **self._spent(task, attempts)})
        self.observe(DriverEvent("complete", self.records.state().everything[task.task]))
        self.look_again(task.transformation)
        return True

    def _forget(self, task: TaskState, *, again: bool) -> None:
        self._jobs.pop(task.task, None)
        with suppress(OSError):  # what it keeps of an attempt that is over
            self.launcher.forget(self.records.task_path(task), again=again)

    def _over(
        self,
        task: TaskState,
        status: TaskStatus,
        reason: str,
        attempt: Attempt | None = None,
        spent: Mapping[str, Any] | None = None,
    ) -> None:
        self._forget(task, again=True)
        if task.leaving:  # its status is the user's word
            self.records.write({"event": "ended", "task": task.task, "reason": reason, **(spent or {})})
            self.observe(DriverEvent("its attempt has ended", self.records.state().everything[task.task]))
            return
        what = {"event": "status", "task": task.task, "status": str(status), "reason": reason}
        self.records.write({**what, **told_of_end(attempt), **(spent or {})})
        self.observe(DriverEvent(str(status), self.records.state().everything[task.task]))
        self._tell_what_fails(status)

    def look_again(self, transformation: str | None = None) -> None:
        """Try tasks in error again (of one transformation) that the policy in force would restart now."""
        for task, reason in look_again(self.records, self.policy, transformation):
            self.observe(DriverEvent(reason, task))

    def _tell_what_fails(self, status: TaskStatus) -> None:
        """Tell once of machines on which different tasks fail, and of transformations that fail altogether."""
        state, now = self.records.state(), time.time()
        news: dict[Any, str] = dict(state.hosts.sentences(now))
        if status is TaskStatus.ERROR:
            failed = left_out(self.records.index, grouped(state.tasks.values()))
            news |= {(one.transformation, bool(one.cut_off)): one.sentence for one in failed}
        for about in news.keys() - self._told:
            self.observe(DriverEvent(news[about]))
        self._told = set(news) if status is TaskStatus.ERROR else self._told | set(news)


def _until(attempts: list[Attempt]) -> float | None:
    """Return until when a task waits before it is tried again, None if not at all."""
    pause = scaled_pause(pause_after(attempts))
    now = time.time()
    until = min(now, attempts[-1].end or now) + pause
    return until if until > now else None


def _last_words(printed: str, directory: Path, reason: str | None) -> str:
    """Return what there is to tell of a process that raised nothing: its last line, or where nothing was printed."""
    lines = printed.strip().splitlines()
    return lines[-1] if lines else f"{reason or 'no reason given'}, and nothing is in {stderr_of(directory)}"


def _exception_in(text: str) -> str | None:
    """Return the last line of the last traceback, which log lines may follow."""
    lines = [line for line in text.splitlines() if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
    return lines[-1] if lines else None


def _tail(path: Path, size: int = _KEPT) -> str:
    try:
        return patiently(path.read_bytes)[-size:].decode(errors="replace")
    except OSError:
        return ""
