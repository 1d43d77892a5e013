"""docs/notebook.ipynb runs as it is: from a gufe network in memory, by real MD, to a plot."""

from __future__ import annotations

from pathlib import Path

import patience
import pytest
from places import NO_SKIPS, ROOT

if not NO_SKIPS:
    pytest.importorskip("nbclient", reason="what runs notebooks is not installed")
    pytest.importorskip("ipykernel", reason="a notebook's kernel is not installed")
import nbformat
from nbclient import NotebookClient

from xpm_alchem import Campaign

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
CALCULATED = {"methane": 1.567, "ethane": 1.882, "methanol": -4.620}  # kcal/mol; experiments/hydration/reference.csv


def shown(cell: nbformat.NotebookNode, kind: str) -> list[str]:
    """Return what a cell has shown of a kind."""
    return [out["data"][kind] for out in cell["outputs"] if kind in out.get("data", {})]


def test_it_holds_no_results_of_ours() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.long
def test_it_leads_from_a_network_in_memory_to_a_plot(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=int(patience.scaled(900)),
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    runs = [cell for cell in cells if cell.source == "campaign.run()"]
    assert [shown(cell, "text/plain")[-1] for cell in runs] == ["0"] * len(runs) and runs
    assert all("satisfied" in shown(cell, "text/html")[0] for cell in runs)
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "stream"]
    (figure,) = (one for cell in cells for one in shown(cell, "application/vnd.plotly.v1+json"))
    assert set(figure["data"][0]["text"]) == set(CALCULATED)
    results = Campaign.open("small-molecules", workspace=tmp_path / "workspace").results()
    found = {row["ligand"]: row["estimate"] for row in results["networks"][0]["ligands"]}
    mean = sum(CALCULATED.values()) / len(CALCULATED)
    assert found == {name: pytest.approx(value - mean, abs=0.2) for name, value in CALCULATED.items()}
