"""Seconds of one iteration of the strategist, for networks of 10 to 10,000 transformations with 10 results each.

Every row is a process of its own. `load` reads and indexes network.json, `decode` makes gufe's objects of it (once per
driver), `first` is an iteration without any results, `later` one with 10 results for every transformation, `next` one
after a single further result; `next cpu` is the CPU seconds of that, `then` those of version 0.1.0 on an idle core, and
`inverse` those of a peer that only inverts the Laplacian once, dense (numpy). The last row has 5,000 ligands: see its
peak memory.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import make_network, measured, mebibytes, options, own_place, peak_rss, write_campaign

RESULTS = 10
STRATEGIES = {
    "uniform": {"repeats": RESULTS + 3},
    "connectivity": {"max_runs": RESULTS + 3},
    "radial-growth": {"max_runs": RESULTS + 3},
    "a-optimal": {"target_standard_error": 0.01},
}
TIMES = ("load", "decode", "first", "later", "next", "journal", "next cpu", "inverse")
HEAD = ("transformations", "strategy", *TIMES, "then", "tasks", "peak MiB")
THEN = {(10_000, "a-optimal"): 8.6}
MANY_LIGANDS = 15_000  # transformations between 5,000 ligands


def main() -> None:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--one", nargs=3, metavar=("DIR", "STRATEGY", "OUT"), help="measure one row (internal)")
    given = parser.parse_args()
    if given.one:
        Path(given.one[2]).write_text(json.dumps(one(Path(given.one[0]), given.one[1])))
        return
    print(f"strategist, seconds of one iteration ({RESULTS} results each)")
    print("  ".join(name.rjust(14) for name in HEAD), flush=True)
    with own_place() as place:
        for size in (10, 100) if given.quick else (10, 100, 1000, 10000, MANY_LIGANDS):
            write_campaign(place / str(size), make_network(size), {"trusted_modules": ["dummy_protocol"]})
            for strategy in STRATEGIES if size != MANY_LIGANDS else ["a-optimal"]:
                out = place / "row.json"
                measured([sys.executable, __file__, "--one", place / str(size), strategy, out])
                row = json.loads(out.read_text())
                seconds = [f"{row[key]:.3f}" if key in row else "" for key in TIMES]
                then = THEN.get((size, strategy), "")
                cells = (size, strategy, *seconds, then, row["created"], mebibytes(row["peak"]))
                print("  ".join(str(cell).rjust(14) for cell in cells), flush=True)


def one(directory: Path, strategy: str) -> dict[str, Any]:
    """Return the measurements of one network and strategy."""
    import attrs

    from xpm_alchem.campaign.task_state import CampaignState
    from xpm_alchem.network.loading import load_network
    from xpm_alchem.plan.campaign_yaml import read_plan
    from xpm_alchem.plan.strategy import StrategyPlan
    from xpm_alchem.strategies.strategist import Strategist
    from xpm_alchem.strategy import StrategyState

    plan = read_plan(directory / "campaign.yaml")
    plan = attrs.evolve(plan, strategy=StrategyPlan(name=strategy, settings=STRATEGIES[strategy]))
    found: dict[str, Any] = {}
    network = _timed(found, "load", lambda: load_network(plan.network, plan.trusted_modules))
    _timed(found, "decode", lambda: network.id_of_key)
    strategist = Strategist(plan, network, directory)
    first = _timed(found, "first", lambda: strategist.iterate(StrategyState(), CampaignState(), 0.0))
    state = _timed(found, "journal", lambda: _with_results(CampaignState(), network.index))
    later = _timed(found, "later", lambda: strategist.iterate(first.state, state, 1.0))
    _add_result(state, network.index.transformations[0].id, RESULTS + 1, 0.5)
    began = time.process_time()
    after = _timed(found, "next", lambda: strategist.iterate(later.state, state, 2.0))
    found["next cpu"] = time.process_time() - began
    for proposal in (first, later, after):
        if proposal.state.exception:
            raise RuntimeError(proposal.state.traceback)
    found["created"] = f"{len(first.create)} + {len(later.create)}"
    found["peak"] = peak_rss()
    if strategy == "a-optimal":
        began = time.process_time()
        _invert(network)
        found["inverse"] = time.process_time() - began
    return found


def _invert(network: Any) -> None:
    """Invert the Laplacian of the network, dense and on one thread."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from xpm_alchem.strategies.legs import network_legs

    topology = network_legs(network.alchemical_network).topology
    laplacian = topology.laplacian(np.ones(len(topology.heads))).toarray()
    with threadpool_limits(1):
        np.linalg.inv(laplacian + np.eye(len(laplacian)))


def _with_results(state: Any, index: Any) -> Any:
    """Fold the journal's records of complete tasks, as a driver does when it comes back."""
    choose = random.Random(1)
    for record in index.transformations:
        spread = choose.lognormvariate(-1.5, 0.7)
        for repeat in range(1, RESULTS + 1):
            _add_result(state, record.id, repeat, choose.gauss(0.0, spread))
    return state


def _add_result(state: Any, transformation: str, repeat: int, estimate: float) -> None:
    task = {"task": f"{transformation}-{repeat}", "time": 1.0}
    created = {"event": "created", "transformation": transformation, "repeat": repeat, "directory": "jobs/x"}
    done = {"event": "status", "status": "complete", "estimate": estimate, "uncertainty": 0.1, "seconds": 60.0}
    for event in (created, {"event": "submitted", "attempts": 0}, done):
        state.apply({**task, **event})


def _timed(found: dict[str, Any], name: str, call: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    answer = call()
    found[name] = time.perf_counter() - began
    return answer


if __name__ == "__main__":
    main()
