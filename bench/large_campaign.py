"""CPU seconds and peak memory of `results` and `report`, whole processes, for 10,000 transformations x 3 results.

The estimates are in no way consistent: there are as many outliers as are looked for. `then` is version 0.1.0 on an idle
core. The peers do a small part of the same, plainly: read the journal; invert the Laplacian of the network once; find
all distances in it and scale them into the plane.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common import measured, mebibytes, options, own_place, print_table
from status import make_campaign

REPEATS = 3
THEN = {"results": (36, 669), "report": (116, 1024)}  # CPU seconds and MiB


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--peer", nargs=2, metavar=("NAME", "CAMPAIGN"), help="do what a peer does (internal)")
    given = parser.parse_args()
    if given.peer:
        PEERS[given.peer[0]](Path(given.peer[1]))
        return
    size = 100 if given.quick else 10_000
    rows = []
    with own_place() as place:
        campaign = make_campaign(place, size, REPEATS)
        commands: dict[str, list[object]] = {
            "results": [campaign],
            "results --json": [campaign, "--json"],
            "report": [campaign, "--out", place / "report.html", "--force"],
        }
        for name, arguments in commands.items():
            used = measured([sys.executable, "-m", "xpm_alchem", name.split()[0], *arguments])
            then = THEN.get(name, ("", "")) if not given.quick else ("", "")
            rows.append((f"xpm-alchem {name}", f"{used.cpu:.1f}", mebibytes(used.peak), *then))
        for name in PEERS:
            used = measured([sys.executable, __file__, "--peer", name, campaign])
            rows.append((name, f"{used.cpu:.1f}", mebibytes(used.peak), "", ""))
    title = f"{size} transformations x {REPEATS} complete tasks"
    print_table(title, ("process", "CPU s", "peak MiB", "then CPU s", "then MiB"), rows)


def read_journal(campaign: Path) -> None:
    """Read all lines of the journal."""
    with open(campaign / "tasks.jsonl", encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)


def invert(campaign: Path) -> None:
    """Invert the Laplacian of the network, dense."""
    import numpy as np

    adjacency = _adjacency(campaign)
    np.linalg.inv(np.diag(adjacency.sum(axis=1) + 1e-3) - adjacency)


def scale(campaign: Path) -> None:
    """Scale all distances along the edges into the plane (classical scaling)."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import shortest_path

    squares = shortest_path(csr_matrix(_adjacency(campaign)), unweighted=True, directed=False) ** 2
    centred = squares.mean(axis=0) + squares.mean(axis=1, keepdims=True) - squares - squares.mean()
    np.linalg.eigh(centred / 2)


def _adjacency(campaign: Path) -> Any:
    """Return which ligands edges join, shape (K, K)."""
    import numpy as np

    from xpm_alchem.campaign.records import CampaignRecords

    edges = [(edge.ligand_a, edge.ligand_b) for edge in CampaignRecords(campaign).index.edges]
    number = {name: place for place, name in enumerate(dict.fromkeys(name for edge in edges for name in edge))}
    matrix = np.zeros((len(number), len(number)))
    for a, b in edges:
        matrix[number[a], number[b]] = matrix[number[b], number[a]] = 1.0
    return matrix


PEERS: Mapping[str, Callable[[Path], None]] = {
    "json.loads of the journal": read_journal,
    "numpy.linalg.inv": invert,
    "numpy.linalg.eigh of all distances": scale,
}


if __name__ == "__main__":
    main()
