"""What of a campaign can be handed over to alchemiscale, and what cannot, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.exports.handed_strategy import HandedStrategy
from xpm_alchem.network.trust import TRUSTED
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.strategies.choose import BUILT_IN, most_results, planned_strategy, settings_fields

FORMAT, FORMAT_VERSION = "xpm-alchem hand-over to alchemiscale", 1  # as submit_to_alchemiscale.py has them


@attrs.frozen
class HandedTasks:
    """What is to be computed of one transformation.

    Attributes
    ----------
    key, name
        Of the transformation in the network's file; it may have no name.
    tasks
        Those that wait or run: each a mapping of its priority, its weight and those that extend it.
    missing
        How many more the strategy would ask for in the end.
    complete
        How many results there are.
    """

    key: str
    name: str
    tasks: list[dict[str, Any]]
    missing: int
    complete: int


@attrs.frozen
class HandOver:
    """What is written for submit.py, under the names that it has there."""

    campaign: str
    network: str
    state: str
    weight: float
    strategy: dict[str, Any] | None
    restart_patterns: list[dict[str, Any]]
    transformations: list[HandedTasks]
    left_out: list[str]

    @classmethod
    def of(
        cls, records: CampaignRecords, groups: Mapping[str, list[TaskState]], keys: Mapping[str, str], network: str
    ) -> HandOver:
        """Say what can be handed over.

        Parameters
        ----------
        groups
            The tasks by transformation.
        keys
            Of the transformations in the network's file, by stable id.
        network
            The name of the network's file beside it.
        """
        plan = records.plan()
        handed = HandedStrategy.of(plan.strategy, _settings(plan))
        most = None if plan.strategy.mode == "disabled" else most_results(plan)
        contents = {entry[0]: entry[1] for entry in records.network.chain}
        transformations, stay = [], list[TaskState]()
        for record in records.index.transformations:
            tasks = groups.get(record.id, [])
            trees, stays = _trees(tasks)
            stay += stays
            results = sum(task.status is TaskStatus.COMPLETE for task in tasks)
            missing = 0 if most is None else max(most - results - sum(map(_size, trees)), 0)
            name = str(contents[record.key].get("name") or "")
            transformations.append(HandedTasks(keys[record.id], name, trees, missing, results))
        standing = records.state().standing
        left_out = [*handed.left_out, *_left_out(plan), *_left_behind(stay, groups)]
        if complete := sum(one.complete for one in transformations):
            sentence = f"{complete} finished result(s): alchemiscale's client takes none in; they stay in the archive"
            if handed.asked is not None:
                sentence += (
                    ". A strategy there begins from nothing and computes as many again; with `submit.py --tasks-only` "
                    "only the repeats that are missing are computed"
                )
            left_out.insert(0, sentence)
        return cls(
            campaign=records.name,
            network=network,
            state=str(standing.state),
            weight=standing.weight,
            strategy=handed.asked,
            restart_patterns=[{"pattern": one.pattern, "allowed": one.allowed} for one in plan.restarts],
            transformations=transformations,
            left_out=left_out,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **attrs.asdict(self)}


def _settings(plan: Plan) -> dict[str, Any]:
    """Return the settings of a plan's strategy, with our defaults where it is one of ours."""
    if plan.strategy.name not in BUILT_IN:
        return plan.strategy.settings
    return settings_fields(planned_strategy(plan).settings)


def _trees(tasks: Sequence[TaskState]) -> tuple[list[dict[str, Any]], list[TaskState]]:
    """Return the tasks in flight with those that extend them, and those whose parent cannot be handed over."""
    in_flight = {task.task: task for task in tasks if task.in_flight}
    extending: dict[str, list[TaskState]] = {}
    for task in in_flight.values():
        if task.extends is not None:
            extending.setdefault(task.extends, []).append(task)

    def tree(task: TaskState) -> dict[str, Any]:
        children = [tree(other) for other in extending.get(task.task, ())]
        return {"priority": task.priority, "weight": task.weight, "extended_by": children}

    trees = [tree(task) for task in in_flight.values() if task.extends is None]
    stay = [task for parent, found in extending.items() if parent not in in_flight for task in found]
    return trees, stay


def _size(tree: Mapping[str, Any]) -> int:
    return 1 + sum(map(_size, tree["extended_by"]))


def _left_behind(stay: Sequence[TaskState], groups: Mapping[str, Iterable[TaskState]]) -> Iterator[str]:
    """Say which tasks stay here."""
    tasks = [task for group in groups.values() for task in group]
    if stay:
        yield f"{len(stay)} task(s) that extend what the server does not have: they stay here, with what extends them"
    if failed := sum(task.status is TaskStatus.ERROR for task in tasks):
        yield f"{failed} task(s) in error: their failures stay here, and their repeats count as missing"
    paused = sum(task.status is TaskStatus.WAITING and not task.actioned for task in tasks)
    if paused:
        yield f"{paused} task(s) that are cancelled or paused: they stay here"
    if running := sum(task.status is TaskStatus.RUNNING for task in tasks):
        yield (
            f"what {running} running task(s) have computed so far: they are handed over, and begin anew there. Stop "
            "the campaign (`xpm-alchem stop`), or they are computed twice"
        )


def _left_out(plan: Plan) -> Iterator[str]:
    """Say what of a plan alchemiscale has no counterpart for."""
    if any(pattern.from_scratch for pattern in plan.restarts):
        yield "from_scratch of restart patterns: alchemiscale begins every restarted task anew"
    if plan.default_restarts:
        rules = ", ".join(plan.default_restarts)
        yield f"the default rules of restarts ({rules}): add restart patterns for those that you want"
    if plan.max_retries is not None:
        yield "max_retries: a task whose compute service is lost is taken up again without end"
    if plan.budget != Budget():
        yield "budget: alchemiscale has none; it computes whatever is actioned"
    yield "launcher: what computes there is up to the server's compute services and their scopes"
    if plan.experimental is not None:
        yield "experimental values: `xpm-alchem results` has them again when the results are imported"
    if plan.notify.command or plan.notify.url:
        yield "notify: alchemiscale sends no messages"
    if strange := [module for module in plan.trusted_modules if module.split(".")[0] not in TRUSTED]:
        yield f"the code of {', '.join(strange)}: it must be installed on the server and its compute services"
