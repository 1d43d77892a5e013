"""What `doctor --node` has run on a node: ``python -m xpm_alchem.doctor.node_program DIRECTORY``.

It reads `asked.json` there, makes its checks, and writes `answer.json`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from xpm_alchem.base.files import write_json
from xpm_alchem.base.interpreter import python
from xpm_alchem.doctor.check import NODE, perform
from xpm_alchem.doctor.node_checks import Asked, node_checks
from xpm_alchem.execution.processes import HOST
from xpm_alchem.launchers.container import Container
from xpm_alchem.launchers.inside_container import INSIDE, settle

ANSWER = "answer.json"


def main() -> None:
    """Write what was found."""
    directory = Path(sys.argv[1])
    asked = Asked.read(directory)
    container = Container.from_record(asked.container)
    if container is not None and INSIDE not in os.environ:  # this is the node itself
        command = python("-m", "xpm_alchem.doctor.node_program", directory)
        words, environment = container.started(command, os.environ, workspace=Path(asked.workspace))
        os.execve(words[0], words, environment)
    settle()
    os.environ.update(asked.environment)  # as an attempt's script does
    sys.path[:0] = filter(None, asked.environment.get("PYTHONPATH", "").split(os.pathsep))
    checks = [finding.view() for finding in perform(NODE, node_checks(asked, directory))]
    write_json(directory / ANSWER, {"host": HOST, "job": os.environ.get("SLURM_JOB_ID"), "checks": checks})


if __name__ == "__main__":
    main()
