"""A real kernel of a notebook, in which a test runs cells."""

from __future__ import annotations

import os
import queue
from pathlib import Path
from types import TracebackType
from typing import Any

import patience
from jupyter_client.manager import KernelManager

_LOOK_SECONDS = 1.0


class Cell:
    """A cell that runs, and what it has shown until now."""

    def __init__(self, kernel: Kernel, message: str) -> None:
        self._kernel, self._message = kernel, message
        self.shown: list[dict[str, Any]] = []  # data by kind; what is updated is there once, as it was last
        self.printed = ""
        self.error = ""
        self.is_over = False
        self._places: dict[str, int] = {}

    def look(self) -> None:
        """Take in what the cell has shown, waiting a moment for more."""
        try:
            message = self._kernel.client.get_iopub_msg(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return
        if message["parent_header"].get("msg_id") != self._message:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self.printed += content["text"]
        elif kind == "error":
            self.error = "\n".join(content["traceback"])
        elif kind in ("display_data", "execute_result", "update_display_data"):
            self._show(content)
        self.is_over = kind == "status" and content["execution_state"] == "idle"

    def _show(self, content: dict[str, Any]) -> None:
        place = content.get("transient", {}).get("display_id")
        if place in self._places:
            self.shown[self._places[place]] = content["data"]
            return
        if place is not None:
            self._places[place] = len(self.shown)
        self.shown.append(content["data"])

    def end(self, seconds: float = 120) -> Cell:
        """Wait until it is over, and return it."""
        waiting = patience.Patience(seconds)
        while not self.is_over:
            assert not waiting.is_over(), f"the cell is not over: {self.printed} {self.shown}"
            self.look()
        return self

    @property
    def texts(self) -> list[str]:
        """What it has shown, as plain text."""
        return [data.get("text/plain", "") for data in self.shown]


class Kernel:
    """A kernel whose working directory is a test's."""

    def __init__(self, path: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(path), env=os.environ.copy())
        self.client = self._manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=patience.scaled(60))

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def begin(self, code: str) -> Cell:
        """Begin to run a cell."""
        return Cell(self, self.client.execute(code))

    def run(self, code: str) -> Cell:
        """Run a cell, which raises nothing, to its end."""
        cell = self.begin(code).end()
        assert not cell.error, cell.error
        return cell

    def interrupt(self) -> None:
        """Interrupt the cell that runs, as the button does."""
        self._manager.interrupt_kernel()
