"""Commands that only look must answer at once on a busy login node: they load neither gufe nor scipy."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("gufe", "openff", "openmm", "scipy", "networkx", "experimaestro.scheduler")
LOOKING = ("look", "failures", "logs", "tasks", "budget", "restarts", "strategy", "change")


def test_what_a_launcher_costs_is_known_without_gufe():
    code = "import sys; import xpm_alchem.launchers.choose; sys.exit('gufe' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_driving_loads_scipy_only_for_a_strategy_that_needs_it():
    code = "import sys; import xpm_alchem.driver.loop; sys.exit('scipy.special' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_looking_loads_nothing_heavy():
    code = (
        "import importlib, json, sys\n"
        f"for name in {LOOKING!r}:\n    importlib.import_module('xpm_alchem.cli.' + name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
