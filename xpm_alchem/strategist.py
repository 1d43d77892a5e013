"""Between a campaign and its strategy: what is known goes in as results, weights come back by stable id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.network import Network
from xpm_alchem.plan import Plan
from xpm_alchem.protocol_results import ProtocolResults, ResultsByKey
from xpm_alchem.results import CountedResult, TransformationResult, transformation_results
from xpm_alchem.strategies import make_strategy
from xpm_alchem.strategies.base import Strategy
from xpm_alchem.strategy import Counts, Proposal, StrategyState, Weights, iterate
from xpm_alchem.task_state import CampaignState, TaskState, TaskStatus, grouped


class Strategist:
    """Asks the plan's strategy about the campaign's network.

    Our own strategies get counts and means, made from summaries; any other gets gufe ProtocolResults, each one made
    when it is asked for.

    Parameters
    ----------
    plan, network, workspace
        What the campaign is of.
    strategy
        An instance of a strategy instead of the one that the plan names.
    cache, read_only
        Where gathered ProtocolResults are kept, if anywhere, and whether to write nothing there.
    """

    def __init__(
        self,
        plan: Plan,
        network: Network,
        workspace: Path,
        strategy: Any = None,
        *,
        cache: Path | None = None,
        read_only: bool = False,
    ) -> None:
        self.plan = plan
        self._network = network
        self.strategy = strategy or make_strategy(plan.strategy.name, plan.strategy.settings, plan.trusted_modules)
        self._results = ProtocolResults(network, workspace, plan.trusted_modules, cache, read_only=read_only)

    def iterate(self, state: StrategyState, campaign: CampaignState, now: float) -> Proposal:
        """Make one iteration of the strategy (see `strategy.iterate`)."""
        tasks = grouped(campaign.tasks.values())
        counts = task_counts(self._network, tasks)
        return iterate(self.plan.strategy, state, counts, self._propose(tasks), now)

    def _propose(self, tasks: Mapping[str, list[TaskState]]) -> Callable[[Mapping[str, int]], Weights]:
        known = transformation_results(self._network.index, tasks)
        id_of_key = self._network.id_of_key

        def propose(to_come: Mapping[str, int]) -> Weights:
            def result(key: str) -> Any:
                stable_id = id_of_key[key]
                return self._result(known[stable_id], tasks.get(stable_id, []), to_come.get(stable_id, 0))

            results = ResultsByKey(id_of_key, result)
            answer = self.strategy.propose(self._network.alchemical_network, results)
            weights = answer.weights if hasattr(answer, "weights") else answer.resolve()
            return {id_of_key[str(key)]: weight for key, weight in weights.items()}

        return propose

    def _result(self, known: TransformationResult, tasks: list[TaskState], to_come: int) -> Any:
        if not isinstance(self.strategy, Strategy):
            return self._results.of(known.id, tasks, to_come)
        count = to_come + sum(task.status is TaskStatus.COMPLETE for task in tasks)
        return CountedResult(count, known) if count else None


def task_counts(network: Network, tasks: Mapping[str, list[TaskState]]) -> dict[str, Counts]:
    """Return the counts of every transformation by stable id."""
    counts = {}
    for record in network.index.transformations:
        group = tasks.get(record.id, [])
        counts[record.id] = Counts(
            complete=sum(task.status is TaskStatus.COMPLETE for task in group),
            waiting=sum(task.status is TaskStatus.WAITING and task.actioned for task in group),
            running=sum(task.status is TaskStatus.RUNNING for task in group),
            error=sum(task.status is TaskStatus.ERROR for task in group),
        )
    return counts
