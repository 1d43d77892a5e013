"""Random events of a campaign's journal, of every kind and with what makes no sense, and all that a state holds."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from xpm_alchem.campaign.hosts import HostHistory
from xpm_alchem.campaign.spending import Ledger
from xpm_alchem.campaign.task_state import NETWORK, REQUEST, CampaignState, TaskStatus

TRANSFORMATIONS = ("a" * 16, "b" * 16)
_TASKS = [f"{t}-{repeat}" for t in TRANSFORMATIONS for repeat in (1, 2, 3)]
_TEXTS = st.sampled_from(["", "so", "ein Grund: ½ \U0001f600", "\ud800", "n1", "n2", "gpu-h", "GPU hours"]) | st.text(
    max_size=3
)
_NUMBERS = st.sampled_from([0, 1, 2.5, -1.0, 1e300, 2**63, float("inf"), float("nan"), 0.1 + 0.2]) | st.floats()
_ANYTHING = st.none() | st.booleans() | _NUMBERS | _TEXTS | st.just([]) | st.just({"a": 1})
_TIMES = st.floats(0, 2e9) | _ANYTHING


def _either(sound: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is sound."""
    return st.one_of(*[sound] * 9, _ANYTHING)


def _event(kind: str, /, **facts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    needed = {"event": st.just(kind), "task": _either(st.sampled_from(_TASKS)), "time": _TIMES}
    return st.fixed_dictionaries(
        needed, optional={"reason": _either(_TEXTS)} | {k: _either(v) for k, v in facts.items()}
    )


def _created(task: str, extends: str | None, priority: Any, imported: Any, directory: str) -> dict[str, Any]:
    transformation, _, repeat = task.rpartition("-")
    facts = {"event": "created", "task": task, "transformation": transformation, "repeat": int(repeat)}
    return facts | {"directory": directory, "extends": extends, "priority": priority, "imported": imported}


_SPENT = st.lists(
    _either(
        st.fixed_dictionaries(
            {
                "attempt": _either(st.integers(0, 4)),
                "start": _either(st.floats(0, 100)),
                "seconds": _either(st.floats(0, 100)),
                "cost": _either(st.floats(0, 100)),
                "unit": _either(st.sampled_from(["gpu-h", "GPU hours", "EUR"])),
            }
        )
    ),
    max_size=3,
)
_ENDING = {
    "spent": _SPENT,
    "lost": st.dictionaries(st.sampled_from(["gpu-h", "EUR"]), _either(st.floats(0, 9)), max_size=2),
    "machine": st.sampled_from(["n1", "n2", "laptop"]),
    "node": st.sampled_from(["n1", "n2"]),
    "outcome": st.sampled_from(["complete", "timeout", "error", "lost", "node failure", "cancelled"]),
    "progress": st.booleans(),
    "by": st.sampled_from(["user", "driver"]),
    "not_before": st.floats(0, 2e9),
    "seconds": st.floats(0, 1e6),
    "attempts": st.integers(0, 9),
    "estimate": st.floats(-9, 9),
    "uncertainty": st.floats(0, 2),
    "left_out": _TEXTS,
}
_CHANGES = st.one_of(
    st.builds(
        _created,
        st.sampled_from([*_TASKS, f"{'c' * 16}-1"]),
        st.sampled_from([None, *_TASKS]),
        _either(st.integers(1, 20)),
        _either(st.sampled_from(["", "sha"])),
        st.sampled_from(["jobs/x/1", "jobs/x/2", "campaigns/c/imported/t", "../outside", "/etc"]),
    ),
    _event("status", status=st.sampled_from([str(s) for s in TaskStatus]), **_ENDING),
    _event("ended", **{key: _ENDING[key] for key in ("spent", "lost")}),
    _event(
        "submitted",
        attempts=st.integers(0, 3),
        cost_per_hour=st.floats(0, 5),
        cost_unit=st.sampled_from(["gpu-h", "GPU hours", "EUR"]),
        longest=st.floats(0, 1e5),
    ),
    _event("actioned"),
    _event("cancelled", by=st.sampled_from(["user", "strategy", "budget", "network"]), at_once=st.booleans()),
    _event("trouble"),
    _event("notified", what=_TEXTS, of=_TEXTS),
    _event("priority", priority=st.integers(1, 20)),
    _event("of a version to come"),
)
_MADE = [_created(task, None, 10, "", f"jobs/x/{place}") for place, task in enumerate(_TASKS)]
_LINES = st.lists(
    st.one_of(
        _CHANGES,
        st.fixed_dictionaries(
            {
                "event": st.sampled_from(["iteration", REQUEST, NETWORK]),
                "changes": _either(st.lists(_CHANGES, max_size=4)),
            },
            optional={
                "id": _either(st.sampled_from(["r1", "r2"])),
                "time": _TIMES,
                "number": _either(st.integers(1, 9)),
                "state": _either(st.sampled_from(["active", "inactive", "invalid", "deleted"])),
                "weight": _either(st.floats(0, 1)),
            },
        ),
    ),
    max_size=40,
)


def _failed(task: str, attempt: int) -> list[dict[str, Any]]:
    """Return that a task was submitted, and failed."""
    price = {"attempts": 0, "cost_per_hour": 1.5, "cost_unit": "gpu-h", "longest": 3600.0}
    spent = {"attempt": attempt, "start": 10.0 - attempt, "seconds": 3.0, "cost": 0.1, "unit": "EUR"}
    ending = {"machine": "n1", "node": "n1", "outcome": "error", "spent": [spent], "lost": {"EUR": 0.1}}
    return [
        {"event": "submitted", "task": task, "time": 5.0, **price},
        {"event": "status", "task": task, "time": 9.0, "status": "error", "reason": "NaN", **ending},
    ]


_AT_WORK = [{"event": "submitted", "task": task, "time": 5.0, "attempts": 0} for task in _TASKS]
TROUBLED = [
    *_MADE,
    *(event for attempt, task in enumerate(reversed(_TASKS[1:]), 1) for event in _failed(task, attempt)),
    _failed(_TASKS[0], 1)[0],
]
"""Two in a row on a machine, in no order of the alphabet; costs; one at work."""
EVENTS = st.builds(
    lambda made, lines: [*made, *lines], st.sampled_from([[], _MADE, [*_MADE, *_AT_WORK], TROUBLED]), _LINES
)


def contents(thing: Any) -> Any:
    """Return all that is in a state, with the kinds of things and the order of what has one; for comparisons."""
    if isinstance(thing, CampaignState):
        return [(key, contents(value)) for key, value in vars(thing).items() if key != "_transformations"]
    if isinstance(thing, (HostHistory, Ledger)):
        return [(key, contents(value)) for key, value in vars(thing).items()]
    if attrs.has(type(thing)):
        return type(thing), [(field.name, contents(getattr(thing, field.name))) for field in attrs.fields(type(thing))]
    if isinstance(thing, dict):
        return type(thing), [(contents(key), contents(value)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple)):
        return type(thing), [contents(item) for item in thing]
    return type(thing), sorted(thing) if isinstance(thing, set) else repr(thing)
