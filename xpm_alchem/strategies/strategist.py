"""Between a campaign and its strategy: what is known goes in as results, weights come back by stable id."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from xpm_alchem.campaign.task_state import CampaignState, grouped
from xpm_alchem.costs.closing import closed_transformations
from xpm_alchem.network.loading import Network
from xpm_alchem.plan.campaign_yaml import Plan
from xpm_alchem.results.estimates import CountedResult, transformation_results
from xpm_alchem.results.protocol_results import ProtocolResults, ResultsByKey
from xpm_alchem.strategies.base import Strategy
from xpm_alchem.strategies.changes import Groups, counts_of
from xpm_alchem.strategies.choose import planned_strategy
from xpm_alchem.strategies.explanation import Explanation
from xpm_alchem.strategies.for_ever import more_weights
from xpm_alchem.strategy import Counts, Proposal, StrategyState, Weights, iterate

ToCome = Mapping[str, int]


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
        self.strategy = strategy or planned_strategy(plan)
        self._without_end = _without_end(self.strategy)
        self._results = ProtocolResults(network, workspace, plan.trusted_modules, cache, read_only=read_only)

    def with_plan(self, plan: Plan) -> Strategist:
        """Return a strategist with another plan, that keeps what was gathered."""
        here, there = self.plan.strategy, plan.strategy
        other = copy.copy(self)
        other.plan = plan
        if (here.name, here.settings) != (there.name, there.settings):
            other.strategy = planned_strategy(plan)
            other._without_end = _without_end(other.strategy)
        return other

    def with_network(self, network: Network) -> Strategist:
        """Return a strategist of another network, that keeps what was gathered."""
        other = copy.copy(self)
        other._network = network
        other._results.network = network
        return other

    def broken_results(self) -> set[Path]:
        """Return the result files found gone or damaged since the last call."""
        found, self._results.broken = self._results.broken, set()
        return found

    def iterate(self, state: StrategyState, campaign: CampaignState, now: float) -> Proposal:
        """Make one iteration of the strategy (see `strategy.iterate`)."""
        tasks = grouped(campaign.tasks.values())
        closed = closed_transformations(self.plan.budget, campaign.ledger, tasks)
        counts = task_counts(self._network, tasks, closed)
        return iterate(self.plan.strategy, state, counts, self._propose_on(tasks, closed), now)

    def explain(self, state: StrategyState, campaign: CampaignState, now: float) -> Explanation:
        """Return what an iteration would do now, and all that says why."""
        tasks = grouped(campaign.tasks.values())
        closed = closed_transformations(self.plan.budget, campaign.ledger, tasks)
        counts = task_counts(self._network, tasks, closed)
        if self.strategy is None:
            return Explanation(self.plan.strategy, counts, Proposal(state))
        asked = self._asked(tasks, closed)
        propose = self._propose_on(tasks, closed)
        proposal = iterate(self.plan.strategy, state, counts, propose, now)
        if proposal.state.exception is not None:
            return Explanation(self.plan.strategy, counts, proposal)
        results = asked({t: count.in_flight for t, count in counts.items()})
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

    def _propose_on(self, tasks: Groups, closed: Collection[str]) -> Callable[[ToCome], Weights]:
        """Return what is asked for weights, given the results to come: the strategy; without an end what goes on."""
        asked = self._asked(tasks, closed)
        propose = self._propose(self.strategy, asked)
        if not self.plan.budget.is_endless:
            return propose
        if self._without_end is not None:
            go_on = self._propose(self._without_end, asked)
        else:
            counted = self._counted(tasks, closed)

            def go_on(to_come: ToCome) -> Weights:
                return more_weights(counted, to_come)

        def propose_for_ever(to_come: ToCome) -> Weights:
            weights = propose(to_come)
            return go_on(to_come) if all(weight is None for weight in weights.values()) else weights

        return propose_for_ever

    def _propose(self, strategy: Any, results: Callable[[ToCome], Mapping[str, Any]]) -> Callable[[ToCome], Weights]:
        id_of_key = self._network.id_of_key

        def propose(to_come: ToCome) -> Weights:
            answer = strategy.propose(self._network.alchemical_network, results(to_come))
            weights = answer.weights if hasattr(answer, "weights") else answer.resolve()
            return {id_of_key[str(key)]: weight for key, weight in weights.items()}

        return propose

    def _counted(self, tasks: Groups, closed: Collection[str]) -> dict[str, CountedResult]:
        """Return what summaries say of every transformation, by stable id, with nothing to come."""
        known = transformation_results(self._network.index, tasks)
        return {id: CountedResult.of(known[id], tasks.get(id, []), closed=id in closed) for id in known}

    def _asked(self, tasks: Groups, closed: Collection[str]) -> Callable[[ToCome], Mapping[str, Any]]:
        """Return a function of the results to come that gives what a strategy is shown, by gufe key."""
        id_of_key = self._network.id_of_key
        if not isinstance(self.strategy, Strategy):

            def gathered(to_come: ToCome) -> Mapping[str, Any]:
                def result(key: str) -> Any:
                    stable_id = id_of_key[key]
                    return self._results.of(stable_id, tasks.get(stable_id, []), to_come.get(stable_id, 0))

                return ResultsByKey(id_of_key, result)

            return gathered
        counted = self._counted(tasks, closed)
        return lambda to_come: {key: counted[id].with_more(to_come.get(id, 0)) for key, id in id_of_key.items()}


def _without_end(strategy: Any) -> Any:
    return getattr(strategy, "without_end", lambda: None)()


def task_counts(network: Network, tasks: Groups, closed: Collection[str] = ()) -> dict[str, Counts]:
    """Return the counts of every transformation by stable id; `closed`: those to which the budget gives nothing."""
    ids = (record.id for record in network.index.transformations)
    return {id: counts_of(tasks.get(id, []), closed=id in closed) for id in ids}
