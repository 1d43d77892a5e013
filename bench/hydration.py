"""Seconds of MD to the same precision: the hydration campaign with `uniform` and with `a-optimal`.

Both run on this machine until every ligand's value (ddG of hydration, relative to the mean) has the target standard
error by the same estimator: a-optimal by itself, uniform with one more repeat of everything until it is there.

    python bench/hydration.py [--target 0.008] [--small]
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import yaml
from common import ROOT, options, own_place, print_table

from xpm_alchem.campaign.task_state import TaskStatus, grouped
from xpm_alchem.client import Campaign
from xpm_alchem.results.estimates import CountedResult, transformation_results
from xpm_alchem.strategies.choose import make_strategy

EXPERIMENT = ROOT / "experiments" / "hydration"
PILOT = 3


def main() -> int:
    """Print the table."""
    parser = options(__doc__)
    parser.add_argument("--target", type=float, default=0.008, help="standard error in kcal/mol")
    parser.add_argument("--small", action="store_true", help="the demo's network instead of the full one")
    given = parser.parse_args()
    if given.quick:
        given.small, given.target = True, 0.05
    settings = {"target_standard_error": given.target, "tau": 0.0, "pilot": PILOT, "max_runs": 100}
    rows = []
    with own_place() as place:
        network = place / "network.json"
        size = "--small" if given.small else "--full"
        subprocess.run([sys.executable, EXPERIMENT / "build_network.py", size, "--out", network], check=True)
        for name in ("a-optimal", "uniform"):
            values = settings if name == "a-optimal" else {"repeats": PILOT}
            plan = place / f"{name}.yaml"
            section = {"name": name, "settings": values}
            text = {"name": name, "network": "network.json", "workspace": f"./{name}", "strategy": section}
            plan.write_text(yaml.safe_dump(text))
            campaign = Campaign.create(plan)
            repeats = PILOT
            while (code := campaign.run(progress=False)) == 0 and name == "uniform":
                if _largest_error(campaign, settings) <= given.target:
                    break
                repeats += 1
                campaign.set_network_strategy("uniform", {"repeats": repeats})
            if code:
                print(f"{name}: the campaign ended with {code}", file=sys.stderr)
                return 1
            rows.append((name, *_row(campaign, settings)))
    print_table(
        f"to a standard error of {given.target:g} kcal/mol",
        ("strategy", "tasks", "seconds of MD", "largest std. error", "repeats of a transformation"),
        rows,
    )
    return 0


def _largest_error(campaign: Campaign, settings: dict[str, Any]) -> float:
    network, tasks = campaign.records.network, grouped(campaign.records.state().tasks.values())
    known = transformation_results(network.index, tasks)
    results = {key: CountedResult.of(known[i], tasks.get(i, [])) for key, i in network.id_of_key.items()}
    fit = make_strategy("a-optimal", settings).plan(network.alchemical_network, results).fit
    return float(fit.standard_errors.max())


def _row(campaign: Campaign, settings: dict[str, Any]) -> tuple[str, str, str, str]:
    done = [t for t in campaign.records.state().tasks.values() if t.status is TaskStatus.COMPLETE]
    counts = sorted(len(group) for group in grouped(done).values())
    seconds = sum(task.seconds for task in done)
    return str(len(done)), f"{seconds:.0f}", f"{_largest_error(campaign, settings):.4f}", f"{counts[0]} to {counts[-1]}"


if __name__ == "__main__":
    sys.exit(main())
