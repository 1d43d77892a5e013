"""Machines on which tasks fail one after another. Pure.

A machine is avoided when two different tasks in a row have failed on it and others get on elsewhere: where everything
fails everywhere, it is not the machine's fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from xpm_alchem.execution.attempts import Outcome

IN_A_ROW = 2  # different tasks
AVOIDED_SECONDS = 24 * 3600.0  # after its last failure a machine gets another chance
_FAILURES = frozenset(map(str, (Outcome.ERROR, Outcome.LOST, Outcome.NODE_FAILURE)))


@attrs.define
class HostRecord:
    """What happened on one machine.

    Attributes
    ----------
    failed
        Different tasks that failed there, in a row, since an attempt got on there; the last one at the end.
    last_failure
        Seconds since the epoch.
    succeeded
        Whether any attempt ever got on there.
    is_node
        Whether the launcher knows it by this name, and can keep tasks away from it.
    """

    failed: dict[str, None] = attrs.field(factory=dict)  # as a set that keeps the order: all tasks may be in it
    last_failure: float = 0.0
    succeeded: bool = False
    is_node: bool = False


class HostHistory:
    """The machines of a campaign, by name."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostRecord] = {}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> HostHistory:
        """Return the history of which `to_plain` was made.

        Raises
        ------
        LookupError, TypeError, ValueError
            It was made of none.
        """
        history = cls()
        for name, (failed, *rest) in plain.items():
            history.hosts[name] = HostRecord(dict.fromkeys(failed), *rest)
        return history

    def to_plain(self) -> dict[str, Any]:
        """Return all that is in it, as JSON has it."""
        return {
            name: [list(record.failed), record.last_failure, record.succeeded, record.is_node]
            for name, record in self.hosts.items()
        }

    def note(self, task: str, event: Mapping[str, Any], when: float) -> None:
        """Take in how an attempt ended: 'machine', 'node', 'outcome' and 'progress' of a journal's event."""
        machine, outcome = event.get("machine"), event.get("outcome")
        if not isinstance(machine, str) or not isinstance(outcome, str):
            return
        record = self.hosts.setdefault(machine, HostRecord())
        record.is_node = event.get("node") == machine
        if outcome == Outcome.COMPLETE or (outcome == Outcome.TIMEOUT and event.get("progress")):
            record.failed, record.succeeded = {}, True
        elif outcome in _FAILURES:
            record.failed.pop(task, None)
            record.failed[task] = None
            record.last_failure = when

    def failing(self) -> dict[str, HostRecord]:
        """Return the machines on which different tasks have failed in a row; the only one there is is not to blame."""
        if len(self.hosts) == 1 and not any(record.is_node for record in self.hosts.values()):
            return {}  # a node is one of a cluster
        return {name: record for name, record in self.hosts.items() if len(record.failed) >= IN_A_ROW}

    def avoided_nodes(self, now: float) -> tuple[str, ...]:
        """Return the nodes that are to be avoided now, the one that failed last at the end."""
        failing = self.failing()
        if not any(record.succeeded for name, record in self.hosts.items() if name not in failing):
            return ()
        recent = [n for n, r in failing.items() if r.is_node and now - r.last_failure < AVOIDED_SECONDS]
        return tuple(sorted(recent, key=lambda name: (failing[name].last_failure, name)))

    def sentence(self, name: str, now: float) -> str:
        """Return what is to be said of a machine that fails."""
        record = self.hosts[name]
        said = f"{name}: {len(record.failed)} different tasks failed there one after another"
        if name in self.avoided_nodes(now):
            return f"{said}, while others get on elsewhere: no tasks are sent there for {AVOIDED_SECONDS / 3600:.0f} h"
        if record.is_node:
            return f"{said}; it is not avoided, as no attempt has got on elsewhere yet"
        return f"{said}: look at it (`xpm-alchem doctor`, `xpm-alchem failures`)"
