"""A network grows three times while its driver is killed again and again: every result once, nothing computed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns import SmallCampaign
from doctored import wrong
from dummy_protocol import dummy_network
from growing import grow_under_kills, what_is_wrong
from left_processes import processes_of
from places import HYDRATION
from rdkit import Chem

from xpm_alchem import gufe_seam
from xpm_alchem.client import Campaign
from xpm_alchem.protocols.charged_molecule import charged_molecule
from xpm_alchem.protocols.gb_hydration import GBHydrationProtocol, GBHydrationSettings

MOLECULES = str(HYDRATION / "molecules.sdf")
FIRST = [(0, 1), (1, 2), (2, 0)]
UNIFORM = {"strategy": {"name": "uniform", "settings": {"repeats": 2}}, "max_retries": 100}


def saved(path: Path, edges: Any) -> Path:
    gufe_seam.save(gufe_seam.AlchemicalNetwork(edges=list(edges), name="growing"), path)
    return path


def results(view: dict[str, Any]) -> dict[str, Any]:
    """Return what results say, whoever computed them."""
    return {key: value for key, value in view.items() if key not in ("campaign", "missing")}


def as_one_campaign_with_the_last_network(grown: SmallCampaign, last: Path) -> None:
    """Check that results are those of a campaign that is made with the last network, which computes nothing."""
    fresh = grown.path / "fresh.yaml"
    fresh.write_text(yaml.safe_dump({**grown.plan, "name": "fresh", "network": str(last)}))
    before = what_lies_in(grown.path / "workspace" / "jobs")
    made = Campaign.create(fresh)
    assert made.run() == 0
    assert what_lies_in(grown.path / "workspace" / "jobs") == before
    of_grown = Campaign.open(grown.path / "workspace" / "campaigns" / "small").results()
    assert results(made.results()) == results(of_grown)
    assert made.summary()["complete"] == made.summary()["tasks"]


def what_lies_in(directory: Path) -> dict[str, int]:
    """Return the attempts' journals below a directory, with their sizes."""
    return {str(path): path.stat().st_size for path in directory.rglob("attempts.jsonl")}


@pytest.mark.long
def test_a_network_that_grows_under_twenty_kills_of_its_driver(tmp_path: Path) -> None:
    settings = {"n_steps": 12, "n_simulations": 2, "step_seconds": 0.2}
    campaign = SmallCampaign(tmp_path / "c", edges=FIRST, plan=UNIFORM, **settings)
    parts = [dummy_network(FIRST, **settings), dummy_network([(2, 3)], **settings)]  # a ligand
    parts.append(dummy_network([(3, 0), (3, 1)], **settings))  # two edges
    networks, edges = [campaign.path / "network.json"], [*parts[0].edges]
    for number, part in enumerate(parts[1:], start=2):
        edges += part.edges
        networks.append(saved(tmp_path / f"{number}.json", edges))
    changed = dummy_network([FIRST[0]], **{**settings, "n_steps": 13})
    edges = [edge for edge in edges if edge.name != "ligand_0_ligand_1_vacuum"] + [*changed.edges]
    networks.append(saved(tmp_path / "4.json", edges))
    hits = grow_under_kills(campaign, networks, kills=20, seed=11, longest=4.0)
    assert (hits["driver"], hits["grown"]) == (20, 3)
    records = campaign.records
    assert what_is_wrong(records) == []
    assert records.in_force.index.by_id.keys() == Campaign.open(campaign.file).records.network.index.by_id.keys()
    assert [one.record.name for one in records.in_force.gone.values()] == ["ligand_0_ligand_1_vacuum"]
    assert wrong(campaign.json("doctor")) == {}
    calm = SmallCampaign(tmp_path / "calm", edges=FIRST, plan=UNIFORM)
    saved(calm.path / "network.json", edges)
    assert calm.run().returncode == 0
    assert campaign.estimates() == calm.estimates()  # bit-identical: the seeds are in dag.json
    as_one_campaign_with_the_last_network(campaign, networks[-1])
    assert not processes_of(tmp_path)


@pytest.mark.long
def test_the_hydration_network_grows_under_twenty_kills_of_its_driver(tmp_path: Path) -> None:
    quick = {"n_windows": 4, "production_ps": 6.0, "equilibration_ps": 2.0, "segment_ps": 2.0}
    protocol, changed = (GBHydrationProtocol(GBHydrationSettings(**quick, friction_per_ps=x)) for x in (5.0, 4.0))
    molecules = {mol.GetProp("_Name"): charged_molecule(mol) for mol in Chem.SDMolSupplier(MOLECULES, removeHs=False)}
    water = gufe_seam.SolventComponent(neutralize=False)

    def legs(first: str, second: str, chosen: Any = protocol) -> list[Any]:
        def system(name: str, **more: Any) -> Any:
            return gufe_seam.ChemicalSystem({"ligand": molecules[name], **more}, name=f"{name}_{len(more)}")

        return [
            gufe_seam.Transformation(
                system(first, **more), system(second, **more), chosen, name=f"{first}_{second}_{leg}"
            )
            for leg, more in (("vacuum", {}), ("solvent", {"solvent": water}))
        ]

    campaign = SmallCampaign(tmp_path / "c", edges=FIRST, plan={**UNIFORM, "trusted_modules": []})
    first = [*legs("benzene", "toluene"), *legs("benzene", "phenol")]
    a_ligand = [*first, *legs("benzene", "fluorobenzene")]
    two_edges = [*a_ligand, *legs("toluene", "phenol"), *legs("phenol", "fluorobenzene")]
    settings = [*two_edges[2:], *legs("benzene", "toluene", changed)]
    networks = [
        saved(tmp_path / f"{number}.json", edges)
        for number, edges in enumerate([first, a_ligand, two_edges, settings], start=1)
    ]
    (campaign.path / "network.json").write_bytes(networks[0].read_bytes())
    hits = grow_under_kills(campaign, networks, kills=20, seed=3, longest=3.0)
    assert (hits["driver"], hits["grown"]) == (20, 3)
    assert what_is_wrong(campaign.records) == []
    assert len(campaign.records.state().tasks) == 2 * len(settings)
    assert len(campaign.records.in_force.gone) == 2
    assert wrong(campaign.json("doctor")) == {}
    edges = campaign.json("results")["edges"]
    assert [edge["missing"] for edge in edges] == [[]] * 5
    as_one_campaign_with_the_last_network(campaign, networks[-1])
    assert not processes_of(tmp_path)
