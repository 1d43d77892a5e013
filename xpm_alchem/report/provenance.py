"""The section that says where the numbers come from."""

from __future__ import annotations

import yaml

from xpm_alchem.report.page import Block, Sentences, Table, Verbatim
from xpm_alchem.views.overview import View
from xpm_alchem.views.rows import Rows


def provenance(view: View) -> list[Block]:
    """Return the blocks of a `provenance_view`."""
    network = view["network"]
    protocols = ", ".join(f"{name} ({count} transformations)" for name, count in network["protocols"].items())
    sentences = [
        f"Network {network['name']}, sha256 of the file as it was given: {network['sha256'] or 'it cannot be read'}.",
        f"Protocols: {protocols}.",
        f"{view['attempts']} attempt(s) on {len(view['hosts'])} host(s). Directory: {view['path']}.",
        "Intervals of statistics come from resamples that are the same every time.",
    ]
    blocks: list[Block] = [Sentences(sentences), Table(_versions(view))]
    if view["hosts"]:
        hosts = [(host, str(count)) for host, count in view["hosts"].items()]
        blocks.append(Table(Rows("hosts", ("host", "attempts"), hosts, range(1, 2))))
    if view["devices"]:
        models = [(model, str(count)) for model, count in view["devices"].items()]
        blocks.append(Table(Rows("GPUs", ("model", "attempts"), models, range(1, 2))))
    if view["imported"]:
        imported = [(one["task"], one["said"], one["sha256"] or "-") for one in view["imported"]]
        title = "results imported from earlier runs"
        blocks.append(Table(Rows(title, ("repeat", "from", "sha256"), imported, range(0))))
    strategy = {key: value for key, value in view["strategy"].items() if key != "campaign"}
    ids = [(one["transformation"], one["id"]) for one in network["transformations"]]
    return [
        *blocks,
        Verbatim("Strategy and its settings, defaults included", _as_yaml(strategy)),
        Verbatim("campaign.yaml, as it is in force", view["plan"]),
        Table(Rows("ids of the transformations", ("transformation", "id"), ids, range(0))),
    ]


def _versions(view: View) -> Rows:
    """Return the versions here, and those that attempts wrote down: results may be older than what is installed."""
    here = {"Python": view["python"], **view["versions"]}
    rows = []
    for package in dict.fromkeys([*here, *view["recorded"]]):
        recorded = view["recorded"].get(package, {})
        told = ", ".join(f"{found} ({count})" for found, count in recorded.items())
        rows.append((package, here.get(package, "-"), told or "-"))
    return Rows("versions", ("package", "where the report was made", "recorded by attempts (how many)"), rows, range(0))


def _as_yaml(content: View) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip()
