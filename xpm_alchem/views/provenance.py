"""Where the numbers of a campaign come from: versions, plan, network, machines, imported files. Plain data."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import FormatError
from xpm_alchem.base.files import read_bytes
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.plan.secrets import hidden_text, hidden_variables
from xpm_alchem.views.overview import View, task_name
from xpm_alchem.views.strategy import strategy_view

_OWN = ("xpm-alchem", "experimaestro", "gufe", "stratocaster")


def provenance_view(records: CampaignRecords) -> View:
    """Return how a campaign's results were made; every task's history is read.

    `versions`: of the packages here and now. `recorded`: those that attempts wrote down, with the number of attempts
    of each. Files that are damaged count for nothing.
    """
    recorded: dict[str, Counter[str]] = {}
    hosts, models, attempts, imported = Counter[str](), Counter[str](), 0, []
    for task in records.state().tasks.values():
        if task.imported:
            files = TaskDirectory(records.task_path(task))
            copy = files.quickrun if task.lacks_dag_result else files.result
            imported.append({"task": task_name(records, task), "said": task.reason, "sha256": _sha256(copy)})
            continue
        for attempt in _attempts(records, task):
            attempts += 1
            hosts[attempt.machine] += 1
            models.update({device.model or "GPU of an unknown model" for device in attempt.devices})
            for package, found in attempt.versions.items():
                recorded.setdefault(package, Counter())[found] += 1
    index, plan = records.index, records.plan()
    return {
        "path": str(records.path),
        "python": platform.python_version(),
        "versions": dict(_versions(index.modules)),
        "recorded": {package: dict(found.most_common()) for package, found in sorted(recorded.items())},
        "attempts": attempts,
        "hosts": dict(hosts.most_common()),
        "devices": dict(models.most_common()),
        "imported": imported,
        "network": {
            "name": index.name,
            "sha256": _sha256(records.network_path),
            "transformations": [{"id": record.id, "transformation": record.name} for record in index.transformations],
            "protocols": dict(Counter(record.protocol for record in index.transformations).most_common()),
        },
        "plan": _text(records),
        "strategy": strategy_view(records),
        "launcher": _launcher(plan.launcher),
        "trusted_modules": list(plan.trusted_modules),
    }


def _attempts(records: CampaignRecords, task: TaskState) -> list[Attempt]:
    try:
        return AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()
    except (OSError, FormatError):
        return []


def _versions(modules: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the packages on which the campaign depends, and their versions, as far as they are installed here."""
    tops = {module.split(".")[0] for module in modules}
    of_modules = {name for top, names in packages_distributions().items() if top in tops for name in names}
    for name in (*_OWN, *sorted(of_modules - set(_OWN))):
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except (OSError, FormatError):
        return None


def _launcher(given: Any) -> Any:
    if isinstance(given, list):
        return [_launcher(one) for one in given]
    if isinstance(given, dict) and isinstance(given.get("env"), dict):
        return {**given, "env": hidden_variables(given["env"])}
    return given


def _text(records: CampaignRecords) -> str:
    """Return the plan in force as it is written, but for what may be secret."""
    return hidden_text(read_bytes(records.path / "campaign.yaml").decode(errors="replace"))
