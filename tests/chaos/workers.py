"""A storm over workers: some are kept at work, of different kinds, and killed, told to end, frozen and thawed."""

from __future__ import annotations

import signal
from typing import Any

from patience import scaled
from storm import Storm, Victim
from workers import Workers, send, tree

WORKERS = 3


class WorkersStorm(Storm):
    """Breaks workers as well.

    Its own faults: 'worker' (SIGKILL of it alone), 'worker tree' (with its attempts), 'worker term' and 'worker usr1'
    (SIGTERM and SIGUSR1), 'worker frozen' and 'worker tree frozen' (SIGSTOP, and SIGCONT later).

    Parameters
    ----------
    workers
        Started here, at most `WORKERS` at once.
    frozen
        Least and most seconds for which they are.
    """

    def __init__(self, workers: Workers, *args: Any, frozen: tuple[float, float], **more: Any) -> None:
        super().__init__(*args, **more)
        self._workers, self._frozen = workers, frozen

    def mend(self, until: float = float("inf")) -> None:
        """Thaw what was frozen long enough, and start what is missing."""
        self._workers.thaw(all_of_them=until == float("inf"))
        while len(self._workers.alive()) < WORKERS:
            options = self._options()
            started = self._workers.start(*options)
            self.note(f"worker {started.pid} is started: {' '.join(map(str, options))}")

    def end(self) -> None:
        """End all workers."""
        self._workers.end()

    def _options(self) -> list[object]:
        """Return what a worker is told: its time ends also attempts that hang."""
        options: list[object] = ["--slots", self._rng.choice((1, 1, 2, 3))]
        options += ["--time", f"{scaled(self._rng.uniform(50, 120)):.0f}s"]
        options += ["--idle", self._rng.choice(("5s", "30s", "never"))]
        if self._rng.random() < 0.2:
            options += ["--max-tasks", self._rng.randint(1, 4)]
        return options

    def _strike(self, fault: str, driver: Victim | None) -> str | None:
        if not fault.startswith("worker"):
            return super()._strike(fault, driver)
        alive = self._workers.alive(frozen=False)
        if not alive:
            return None
        pid = self._rng.choice(alive).pid
        pids = tree(pid) if "tree" in fault else [pid]
        if "frozen" in fault:
            seconds = self._rng.uniform(*self._frozen)
            self._workers.freeze(pids, seconds)
            return f"pids {pids} for {seconds:.0f} s"
        number = {"worker term": signal.SIGTERM, "worker usr1": signal.SIGUSR1}.get(fault, signal.SIGKILL)
        for each in pids:
            send(each, number)
        return f"pids {pids}"
