"""Run xpm-alchem with other durations in it: python tuned.py '{"MODULE:NAME": seconds}' TASKS ARGUMENTS...

For what a test cannot leave to chance on a busy machine, and what it need not wait for on an idle one. TASKS: nothing
is submitted to SLURM before so many tasks are gathered, however long they take to come; then those go out together.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from xpm_alchem.cli import main
from xpm_alchem.launchers.slurm.submission import Submission


def gather(tasks: int) -> None:
    """Make the first submission of this process wait for so many tasks."""
    real, gathered = Submission.submit, []

    def submit(self: Submission, waiting: Sequence[Any]) -> Iterable[Any]:
        if len(waiting) >= tasks:
            gathered.append(True)
        return real(self, waiting) if gathered else ()

    Submission.submit = submit  # type: ignore[assignment,method-assign]


def tune(durations: dict[str, float]) -> None:
    """Set constants of modules, which must be there."""
    for place, seconds in durations.items():
        module, _, name = place.partition(":")
        owner = importlib.import_module(module)
        assert isinstance(getattr(owner, name), float), f"{place} is no duration"
        setattr(owner, name, seconds)


if __name__ == "__main__":
    tune(json.loads(sys.argv[1]))
    gather(int(sys.argv[2]))
    main(sys.argv[3:])
