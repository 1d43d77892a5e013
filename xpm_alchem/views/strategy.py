"""What the commands show of a strategy, as plain data with stable keys (docs/json.md)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import attrs

from xpm_alchem.base.values import as_list
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import CampaignState, TaskStatus, grouped
from xpm_alchem.results.estimates import transformation_results
from xpm_alchem.strategy import StrategyHealth, StrategyState, is_due
from xpm_alchem.views.overview import View, tasks_now


def strategy_view(records: CampaignRecords) -> View:
    """Return the strategy section of the plan in force, defaults included."""
    return {"campaign": records.name, **attrs.asdict(records.plan().strategy)}


def health_view(records: CampaignRecords) -> View:
    """Return the strategy's health."""
    health = StrategyHealth.of(records.plan().strategy, _state(records))
    return {"campaign": records.name, **attrs.asdict(health)}


def explain_view(records: CampaignRecords, transformation: str | Iterable[str] | None = None) -> View:
    """Return what an iteration would do now and why, a row for every transformation, or for those asked for.

    Raises
    ------
    InputError
        There is no such transformation.
    """
    from xpm_alchem.strategies.strategist import Strategist  # scipy takes its time

    chosen = list(records.index.transformations)
    if transformation is not None:
        chosen = [records.index.find(one) for one in as_list(transformation)]
    plan, state, now = records.plan(), _state(records), time.time()
    campaign = CampaignState()
    campaign.tasks, campaign.ledger = tasks_now(records), records.state().ledger
    groups = grouped(campaign.tasks.values())
    explanation = Strategist(plan, records.network, records.workspace).explain(state, campaign, now)
    decisions, results = explanation.decisions(), transformation_results(records.index, groups)
    rows = []
    for record in chosen:
        count, result, decision = explanation.counts[record.id], results[record.id], decisions[record.id]
        rows.append(
            {
                "id": record.id,
                "transformation": record.name,
                "leg": record.environment,
                "results": count.complete,
                "estimate": result.estimate,
                "sd": result.sd,
                "weight": explanation.proposal.weights.get(record.id),
                "target": explanation.proposal.targets.get(record.id, 0),
                "in_flight": count.in_flight,
                "error": count.error,
                "decision": decision.what,
                "why": decision.why,
            }
        )
    complete = sum(task.status is TaskStatus.COMPLETE for task in campaign.tasks.values())
    return {
        **health_view(records),
        "name": plan.strategy.name,
        "unit": "kcal/mol",
        "due": is_due(plan.strategy, state, complete, now),
        "would_raise": explanation.proposal.state.exception if state.exception is None else None,
        "remarks": list(explanation.remarks),
        "rows": rows,
    }


def _state(records: CampaignRecords) -> StrategyState:
    known: dict[str, Any] = records.driver_state().get("strategy", {})
    return StrategyState(**known)
