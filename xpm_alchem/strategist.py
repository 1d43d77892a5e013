"""Between a campaign and its strategy: what is known goes in as results, weights come back by stable id."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.changes import counts_of, mean_seconds
from xpm_alchem.explanation import Explanation
from xpm_alchem.network import Network
from xpm_alchem.plan import Plan
from xpm_alchem.results import CountedResult, ProtocolResults, TransformationResult, transformation_results
from xpm_alchem.strategies import make_strategy
from xpm_alchem.strategies.base import Strategy
from xpm_alchem.strategy import Counts, Proposal, StrategyState, Weights, iterate
from xpm_alchem.task_state import CampaignState, TaskState, TaskStatus, grouped

ToCome = Mapping[str, int]


@attrs.frozen
class Outlook:
    """What is known of a transformation beside its results.

    Attributes
    ----------
    to_come
        How many of the counted results are on their way.
    blocked
        Whether a task is in error: it gets nothing new until a user deals with it.
    mean_seconds
        Cost of its complete tasks, None before the first.
    """

    to_come: int
    blocked: bool
    mean_seconds: float | None


class Strategist:
    """Asks the plan's strategy about the campaign's network.

    Our own strategies get counts and means, made from summaries; any other gets gufe ProtocolResults.
    An instance of a strategy may be given instead of the one that the plan names.
    """

    def __init__(self, plan: Plan, network: Network, workspace: Path, strategy: Any = None) -> None:
        self.plan = plan
        self._network = network
        self.strategy = strategy or _strategy(plan)
        self._results = ProtocolResults(network, workspace, plan.trusted_modules)

    def with_plan(self, plan: Plan) -> Strategist:
        """Return a strategist with another plan, that keeps what was gathered."""
        here, there = self.plan.strategy, plan.strategy
        other = copy.copy(self)
        other.plan = plan
        if (here.name, here.settings) != (there.name, there.settings):
            other.strategy = _strategy(plan)
        return other

    def iterate(self, state: StrategyState, campaign: CampaignState, now: float) -> Proposal:
        """Make one iteration of the strategy (see `strategy.iterate`)."""
        tasks = grouped(campaign.tasks.values())
        counts = task_counts(self._network, tasks)
        return iterate(self.plan.strategy, state, counts, self._propose(tasks), now)

    def explain(self, state: StrategyState, campaign: CampaignState, now: float) -> Explanation:
        """Return what an iteration would do now, and all that says why."""
        tasks = grouped(campaign.tasks.values())
        counts = task_counts(self._network, tasks)
        if self.strategy is None:
            return Explanation(self.plan.strategy, counts, Proposal(state))
        propose = self._propose(tasks)
        proposal = iterate(self.plan.strategy, state, counts, propose, now)
        if proposal.state.exception is not None:
            return Explanation(self.plan.strategy, counts, proposal)
        results = self._asked(tasks)({t: count.in_flight for t, count in counts.items()})
        sentences, remarks = self._own_words(results)
        return Explanation(
            self.plan.strategy,
            counts,
            proposal,
            alone=propose(dict.fromkeys(counts, 0)),
            sentences=sentences,
            remarks=remarks,
        )

    def _own_words(self, results: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return what the strategy itself says of transformations and of the whole, where it has methods for that."""
        network, id_of_key = self._network.alchemical_network, self._network.id_of_key
        explain: Any = getattr(self.strategy, "explain", lambda *_: {})
        remarks: Any = getattr(self.strategy, "remarks", lambda *_: ())
        try:
            sentences = {id_of_key[str(key)]: str(sentence) for key, sentence in explain(network, results).items()}
            return sentences, tuple(str(remark) for remark in remarks(network, results))
        except Exception as error:  # it is somebody else's code, and only words are missing
            return {}, (f"the strategy could not explain itself: {type(error).__name__}: {error}",)

    def _propose(self, tasks: Mapping[str, list[TaskState]]) -> Callable[[ToCome], Weights]:
        id_of_key, results = self._network.id_of_key, self._asked(tasks)

        def propose(to_come: ToCome) -> Weights:
            answer = self.strategy.propose(self._network.alchemical_network, results(to_come))
            weights = answer.weights if hasattr(answer, "weights") else answer.resolve()
            return {id_of_key[str(key)]: weight for key, weight in weights.items()}

        return propose

    def _asked(self, tasks: Mapping[str, list[TaskState]]) -> Callable[[ToCome], dict[str, Any]]:
        """Return a function of the results to come that gives what a strategy is shown, by gufe key."""
        known = transformation_results(self._network.index, tasks)
        outlooks = {stable_id: outlook(tasks.get(stable_id, [])) for stable_id in known}

        def results(to_come: ToCome) -> dict[str, Any]:
            return {
                key: self._result(
                    known[stable_id],
                    tasks.get(stable_id, []),
                    attrs.evolve(outlooks[stable_id], to_come=to_come.get(stable_id, 0)),
                )
                for key, stable_id in self._network.id_of_key.items()
            }

        return results

    def _result(self, known: TransformationResult, tasks: list[TaskState], ahead: Outlook) -> Any:
        if not isinstance(self.strategy, Strategy):
            return self._results.of(known.id, tasks, ahead.to_come)
        count = ahead.to_come + sum(task.status is TaskStatus.COMPLETE for task in tasks)
        return CountedResult(count, known) if count else None


def _strategy(plan: Plan) -> Any:
    given = plan.strategy
    return None if given.name is None else make_strategy(given.name, given.settings, plan.trusted_modules)


def outlook(tasks: list[TaskState]) -> Outlook:
    """Return the outlook of a transformation with nothing to come."""
    return Outlook(0, any(task.status is TaskStatus.ERROR for task in tasks), mean_seconds(tasks))


def task_counts(network: Network, tasks: Mapping[str, list[TaskState]]) -> dict[str, Counts]:
    """Return the counts of every transformation by stable id."""
    return {record.id: counts_of(tasks.get(record.id, [])) for record in network.index.transformations}
