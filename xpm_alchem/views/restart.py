"""Restart patterns and default rules as plain data, with what they match now."""

from __future__ import annotations

from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.task_state import TaskStatus
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.attempts import Attempt
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.failures.restarts import matches, rule_matches
from xpm_alchem.plan.default_rules import RULES
from xpm_alchem.views.overview import View


def restarts_view(records: CampaignRecords) -> View:
    """Return the patterns and rules, each with the number of tasks in error whose last failure it matches."""
    plan = records.plan()
    failures = list(_last_failures(records))
    return {
        "campaign": records.name,
        "patterns": [
            {
                "pattern": pattern.pattern,
                "allowed": pattern.allowed,
                "from_scratch": pattern.from_scratch,
                "in_error": sum(matches(pattern.pattern, failure) for failure in failures),
            }
            for pattern in plan.restarts
        ],
        "default_rules": [
            {
                "name": rule.name,
                "allowed": rule.allowed,
                "in_force": rule.name in plan.default_restarts,
                "in_error": sum(rule_matches(rule, failure) for failure in failures),
                "meaning": rule.meaning,
            }
            for rule in RULES
        ],
        "tasks_in_error": len(failures),
    }


def _last_failures(records: CampaignRecords) -> list[Attempt]:
    found = []
    for task in records.state().tasks.values():
        if task.status is TaskStatus.ERROR:
            found += AttemptLog(TaskDirectory(records.task_path(task)).attempts).read()[-1:]
    return found
