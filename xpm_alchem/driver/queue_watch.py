"""Keeping on the disk which tasks wait in the launcher's queue and why: views ask no queue themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import attrs

from xpm_alchem.campaign.queue_record import QueueNote
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.launchers.base import AttemptLauncher


class QueueWatch:
    """Looks what waits in the queue, and notes it when it has changed.

    Attributes
    ----------
    stuck
        A sentence on what waits for a reason that never passes by itself; '' if nothing does.
    """

    def __init__(
        self, records: CampaignRecords, launcher: AttemptLauncher, observe: Callable[[DriverEvent], None]
    ) -> None:
        self._records, self._launcher, self._observe = records, launcher, observe
        self._noted: dict[str, QueueNote] | None = None
        self._told: set[str] = set()
        self.stuck = ""

    def look(self) -> None:
        """Look once; costs nothing where nothing has changed."""
        waiting, notes = self._launcher.waiting(), dict[str, QueueNote]()
        for task in self._records.state().everything.values() if waiting else ():
            if task.at_work and (found := waiting.get(self._records.task_path(task))) is not None:
                notes[task.task] = QueueNote(
                    submitted=task.submitted,
                    place=found.place,
                    job=found.job,
                    since=found.since,
                    seen=0.0,
                    reason=found.reason,
                    words=found.words,
                    is_lasting=found.is_lasting,
                )
        if notes == self._noted:
            return
        self._noted, now = notes, time.time()
        with suppress(OSError):  # a full disk: views say what was known before
            self._records.set_queue({task: attrs.evolve(note, seen=now) for task, note in notes.items()})
        self._tell(notes)

    def _tell(self, notes: dict[str, QueueNote]) -> None:
        """Tell once of each reason that never passes."""
        lasting = [note for note in notes.values() if note.is_lasting]
        reasons = {note.reason: note.words for note in lasting}
        sentences = {}
        for reason, words in sorted(reasons.items()):
            count = sum(note.reason == reason for note in lasting)
            sentences[reason] = f"{count} task(s) wait in {lasting[0].place} and never start so: {reason}: {words}"
        for reason, sentence in sentences.items():
            if reason not in self._told:
                self._observe(DriverEvent(sentence))
        self._told = set(sentences)
        self.stuck = "; ".join(sentences.values())
