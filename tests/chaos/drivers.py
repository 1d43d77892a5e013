"""The campaign's drivers, one after another, and the commands of its user: how each ended, and what it printed."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from campaigns import SmallCampaign

from xpm_alchem.errors import XpmAlchemError

ALLOWED_CODES = (0, 1, 3, -signal.SIGKILL, -signal.SIGTERM)
GRANTED = 0
# what a command may say that came too late, or asks for what is so already
REFUSALS = (
    "there is nothing to cancel",
    "there is nothing to try again",
    "has no task in error",
    "there is no pattern",
    "mode is disabled",
    "has no strategy",
    "there is no strategy",
)


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
        self.current: subprocess.Popen[bytes] | None = None
        self.started = 0
        self.codes: Counter[int] = Counter()
        self.held = threading.Event()
        self.wrong: list[str] = []
        self._noted = 0
        self._next = 0.0

    def step(self) -> None:
        """Note the end of the driver, and start the next one after a moment."""
        if self.current is not None and self.current.poll() is None:
            return
        if self.current is not None and self._noted < self.started:
            self._note(self.current.returncode)
            self._next = time.time() + self._rng.uniform(0.1, 2.0)
        if not self.held.is_set() and time.time() >= self._next:
            self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start a driver."""
        self.started += 1
        with open(self._output(self.started), "wb") as stream:
            self.current = subprocess.Popen(
                self._campaign.command("run", "--quiet", self._campaign.file),
                cwd=self._campaign.path,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        return self.current

    def is_at_work(self) -> bool:
        """Whether a driver runs."""
        return self.current is not None and self.current.poll() is None

    def target(self) -> subprocess.Popen[bytes] | None:
        """Return the driver for a storm to hit: mostly one that has begun to drive, not one that is being imported."""
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
        if code not in ALLOWED_CODES:
            self.wrong.append(f"driver {self.started} ended with {code}:\n{out[-3000:]}")
        elif "Traceback" in out:
            self.wrong.append(f"driver {self.started} (code {code}) printed a traceback:\n{out[-3000:]}")

    def _output(self, number: int) -> Path:
        return self._place / f"driver-{number:04}.out"


class Commands:
    """Runs commands, and remembers what each said.

    Attributes
    ----------
    log
        Words, exit code, when it began and ended.
    counts
        Commands by name.
    """

    def __init__(self, campaign: SmallCampaign, place: Path) -> None:
        self._campaign, self._log = campaign, place / "commands.txt"
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []

    def look(self, command: str, *arguments: Any) -> str:
        """Run a command that must never fail; return what it prints."""
        done = self._call(command, *arguments)
        if done.returncode != 0:
            self._note(done, f"ended with {done.returncode}")
        return str(done.stdout)

    def change(self, command: str, *arguments: Any, codes: tuple[int, ...] = (GRANTED,)) -> bool:
        """Run a command that changes something; return whether it was granted. It may have come too late."""
        done = self._call(command, *arguments)
        if done.returncode in codes:
            return True
        if done.returncode == 2 and any(refusal in done.stderr for refusal in REFUSALS):
            self.refused[command] += 1
        else:
            self._note(done, f"ended with {done.returncode}")
        return False

    def _note(self, done: subprocess.CompletedProcess[str], what: str) -> None:
        self.wrong.append(f"`{' '.join(done.args[3:])}` {what}:\n{(done.stdout + done.stderr)[-3000:]}")

    def _call(self, command: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
        began = time.time()
        done = self._campaign.call(*command.split(), *arguments, timeout=600)
        out = done.stdout + done.stderr
        with self._lock, open(self._log, "a") as log:
            stamps = f"{time.strftime('%H:%M:%S', time.localtime(began))} {time.time() - began:5.1f} s"
            log.write(f"{stamps}  {done.returncode}  {_words(command, arguments)}\n")
            if done.returncode:
                log.write(f"    {out[-500:].strip()}\n")
        self.counts[command] += 1
        if "Traceback" in done.stderr or ("Traceback" in done.stdout and command not in ("why", "failures", "tasks")):
            self._note(done, "printed a traceback")
        return done


def _words(command: str, arguments: tuple[Any, ...]) -> str:
    return " ".join([command, *(Path(word).name if isinstance(word, Path) else str(word) for word in arguments)])
