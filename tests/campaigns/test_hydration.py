"""The main job on real input: real molecules, real MD, real MBAR, through the whole machine."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from patience import run
from places import HYDRATION

from xpm_alchem.gufe_seam import AlchemicalNetwork, load, save

PART = ("methane_hydration", "ethanol_hydration", "benzene_toluene_vacuum", "benzene_toluene_solvent")


@pytest.mark.long
def test_a_part_of_the_demo_network_gives_the_reference_values(tmp_path: Path) -> None:
    def call(*arguments: object) -> str:
        done = run([sys.executable, *map(str, arguments)], cwd=tmp_path, seconds=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(HYDRATION / "build_network.py", "--small", "--out", "demo-network.json")
    whole = load(tmp_path / "demo-network.json", lambda module: None)
    save(AlchemicalNetwork(edges=[e for e in whole.edges if e.name in PART], name="part"), tmp_path / "part.json")
    plan = (HYDRATION / "demo.yaml").read_text().replace("repeats: 3", "repeats: 1")
    plan = plan.replace("network: demo-network.json", "network: part.json")
    (tmp_path / "demo.yaml").write_text(plan)
    call("-m", "xpm_alchem", "run", "--quiet", "demo.yaml")
    results = json.loads(call("-m", "xpm_alchem", "results", "demo.yaml", "--json"))
    found = {row["transformation"].removesuffix("_hydration"): row["estimate"] for row in results["transformations"]}
    found |= {f"{edge['ligand_a']}_{edge['ligand_b']}": edge["estimate"] for edge in results["edges"]}
    with open(HYDRATION / "reference.csv") as lines:
        rows = list(csv.DictReader(lines))
    reference = {row["name"].removesuffix("_hydration"): float(row["value_kcal_per_mol"]) for row in rows}
    compared = {name: (value, reference[name]) for name, value in found.items() if name in reference}
    assert len(compared) == 3  # two molecules and a mutation
    # one repeat of a quarter of the reference's sampling: three of its own standard deviations are below 0.12
    assert all(abs(value - expected) < 0.15 for value, expected in compared.values()), compared
