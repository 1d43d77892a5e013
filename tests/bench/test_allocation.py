"""The benchmark of allocation: it reads the public table as the facts say, and its oracle knows what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

TABLE = "industry2024_per_repeat_pymbar3.csv.gz"
COLUMNS = (
    "group,system,ligandA,ligandB,repeat,dg_solvent,err_solvent,dg_complex,err_complex,overlap_solvent,"
    "overlap_complex,exp_ddg,ddg,err_ddg\n"
)


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "bench" / "allocation.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


@pytest.mark.data
def test_the_public_table_has_the_systems_that_were_counted(data, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    from allocation import read_systems

    systems = read_systems(data(TABLE))
    assert len(systems) == 35 and sum(len(system.edges) for system in systems) == 1067


@pytest.mark.data
@pytest.mark.slow
def test_every_policy_has_its_figures(data) -> None:
    done = bench(data(TABLE), "--json", "--quick")
    assert done.returncode == 0, done.stderr
    policies = json.loads(done.stdout)["policies"]
    names = {"uniform", "connectivity-sum", "connectivity-max", "radial-growth", "variance-greedy", "d-optimal"}
    assert names | {"a-optimal", "a-optimal-legs", "oracle"} <= policies.keys()
    figures = {"gain", "p10", "p90", "tasks_to_match", "cost_to_match", "calibration", "regret", "propose_ms"}
    assert all(figures <= values.keys() for values in policies.values())
    assert policies["uniform"]["gain"] == 1.0 and policies["oracle"]["regret"] == 0.0
    assert policies["radial-growth"]["gain"] == 1.0  # ends with the same six repeats of everything


@pytest.mark.parametrize(
    ("rows", "message"),
    [(None, "there is no such table"), ("a,b,c\n", "lacks the column"), (COLUMNS, "no system with 10 connected edges")],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, rows: str | None, message: str) -> None:
    if rows is not None:
        (tmp_path / "table.csv").write_text(rows)
    done = bench(tmp_path / "table.csv", "--json")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
