"""The campaign's drivers, one after another, and the commands of its user: how each ended, and what it printed."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
from campaigns import SmallCampaign

from tests.chaos.invocation import Invocation
from xpm_alchem.base.errors import XpmAlchemError
from xpm_alchem.launchers.slurm import absence

ALLOWED_CODES = (0, 1, 3, -signal.SIGKILL, -signal.SIGTERM)
MAY_BE_REFUSED = (
    "is driven by another process",  # by a `stop` that began while this one was being started
    "Requested node configuration is not available",  # slurmctld has just come back, and no node has told of itself
)
GRANTED = 0
AS_PROGRAM = 0.08  # share of the calls that start Python anew
# what a command may say that came too late, or asks for what is so already
REFUSALS = (
    "there is nothing to cancel",
    "cannot become",
    "it is not run any more",
    "has no task in error",
    "there is no pattern",
    "mode is disabled",
    "has no strategy",
    "there is no strategy",
)
QUOTING = ("why", "failures", "logs")  # commands that show what tasks have printed
# a controller that crashes may forget jobs: what is waited for then need not take a quarter of an hour
DURATIONS = {f"{absence.__name__}:_PATIENCE_SECONDS": 100.0, f"{absence.__name__}:_UNKNOWN_SECONDS": 60.0}


class Drivers:
    """Keeps a driver at work, and remembers how each ended.

    Attributes
    ----------
    current
        The driver at work, or the last one.
    codes
        How often drivers ended with each exit code.
    held
        While it is set no driver is started.
    wrong
        What was wrong, a sentence each.
    """

    def __init__(self, campaign: SmallCampaign, place: Path, rng: random.Random) -> None:
        self._campaign, self._place, self._rng = campaign, place, rng
        self.current: Invocation | None = None
        self.started = 0
        self.codes: Counter[int] = Counter()
        self.held = threading.Event()
        self.wrong: list[str] = []
        self._noted = 0
        self._next = 0.0

    def step(self) -> None:
        """Note the end of the driver, and start the next one after a moment."""
        code = self.last_code()
        if self.current is not None and code is None:
            return
        if code is not None and self._noted < self.started:
            self._note(code)
            self._next = time.time() + self._rng.uniform(0.1, 2.0)
        if not self.held.is_set() and time.time() >= self._next:
            self.start()

    def start(self) -> None:
        """Start a driver."""
        self.started += 1
        out = self._output(self.started)
        self.current = Invocation(
            ["run", "--quiet", self._campaign.file],
            cwd=self._campaign.path,
            out=out,
            err=out,
            as_program=self._rng.random() < AS_PROGRAM,
            durations=DURATIONS,
        )

    def is_at_work(self) -> bool:
        """Whether a driver runs."""
        return self.current is not None and self.current.poll() is None

    def target(self) -> Invocation | None:
        """Return the driver for a storm to hit: mostly one that has begun to drive."""
        if self.current is None or self._rng.random() < 0.1:
            return self.current
        try:
            holder = self._campaign.records.holder()
        except XpmAlchemError:
            return None
        return self.current if holder is not None and holder.process.pid == self.current.pid else None

    def last_code(self) -> int | None:
        """Return how the last driver ended, None while it runs."""
        return None if self.current is None else self.current.poll()

    def _note(self, code: int) -> None:
        self._noted = self.started
        self.codes[code] += 1
        out = self._output(self.started).read_text(errors="replace")
        is_refused = code == 2 and any(words in out for words in MAY_BE_REFUSED)
        if code not in ALLOWED_CODES and not is_refused:
            self.wrong.append(f"driver {self.started} ended with {code}:\n{out[-3000:]}")
        elif "Traceback" in out:
            self.wrong.append(f"driver {self.started} (code {code}) printed a traceback:\n{out[-3000:]}")

    def _output(self, number: int) -> Path:
        return self._place / f"driver-{number:04}.out"


@attrs.frozen
class Said:
    """How a command ended, and what it printed."""

    words: str
    code: int
    out: str
    err: str


class Commands:
    """Runs commands, and remembers what each said.

    Attributes
    ----------
    counts, refused
        Commands by name, and those that came too late.
    """

    def __init__(self, campaign: SmallCampaign, place: Path, rng: random.Random) -> None:
        self._campaign, self._place, self._rng = campaign, place, rng
        self._numbers = itertools.count(1)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []

    def look(self, command: str, *arguments: Any, codes: tuple[int, ...] = (GRANTED,)) -> str:
        """Run a command that must never fail; return what it prints."""
        said = self._call(command, *arguments)
        if said.code not in codes:
            self._note(said, f"ended with {said.code}")
        return said.out

    def change(self, command: str, *arguments: Any, codes: tuple[int, ...] = (GRANTED,)) -> bool:
        """Run a command that changes something; return whether it was granted. It may have come too late."""
        said = self._call(command, *arguments)
        if said.code in codes:
            return True
        if said.code == 2 and any(refusal in said.err for refusal in REFUSALS):
            self.refused[command] += 1
        else:
            self._note(said, f"ended with {said.code}")
        return False

    def _note(self, said: Said, what: str) -> None:
        self.wrong.append(f"`{said.words}` {what}:\n{(said.out + said.err)[-3000:]}")

    def _call(self, command: str, *arguments: Any) -> Said:
        began, number = time.time(), next(self._numbers)
        words = " ".join([command, *(Path(w).name if isinstance(w, Path) else str(w) for w in arguments)])
        out, err = (self._place / "commands" / f"{number:04}.{name}" for name in ("out", "err"))
        out.parent.mkdir(exist_ok=True)
        process = Invocation(
            [*command.split(), *arguments],
            cwd=self._campaign.path,
            out=out,
            err=err,
            as_program=self._rng.random() < AS_PROGRAM,
        )
        try:
            code = process.wait(600)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            code = process.wait(60)
        said = Said(words, code, out.read_text(errors="replace"), err.read_text(errors="replace"))
        with open(self._place / "commands.txt", "a") as log:
            stamp = time.strftime("%H:%M:%S", time.localtime(began))
            log.write(f"{stamp} {time.time() - began:5.1f} s  {number:4}  {code}  {words}\n")
        self.counts[command] += 1
        if "Traceback" in said.err or ("Traceback" in said.out and command not in QUOTING):
            self._note(said, "printed a traceback")
        return said
