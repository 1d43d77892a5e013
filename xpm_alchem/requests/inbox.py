"""What a user asks of a campaign: applied by the driver that runs, else by the command itself, with the same code."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignLockedError, InputError, RecordsError, XpmAlchemError
from xpm_alchem.base.values import plain
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.standing import check_state, check_weight
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.failures.restarts import RestartPolicy
from xpm_alchem.network.loading import Network
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.campaign_yaml import parse_plan, read_plan_text
from xpm_alchem.plan.restart_patterns import changed_patterns
from xpm_alchem.plan.text import with_budget, with_restarts, with_strategy
from xpm_alchem.requests.change import TaskChange
from xpm_alchem.requests.growth import apply_growth, growth_without, place_for_driver
from xpm_alchem.requests.import_results import apply_import
from xpm_alchem.requests.second_look import look_again
from xpm_alchem.requests.task_requests import apply_to_tasks, events_of, is_about_tasks
from xpm_alchem.strategy import DORMANT, StrategyState

STOPPED = "stopped by the user"
_LOOK_SECONDS = 0.1  # between two looks whether a driver has taken in what was asked for


def change_tasks(records: CampaignRecords, request: str, *, patience: float = 0.0, **values: Any) -> TaskChange:
    """Ask for a change of tasks: 'create', 'status', 'retry', 'action', 'cancel' or 'priority'.

    Parameters
    ----------
    patience
        Seconds to wait for a driver that runs, which has done it then.
    values
        `tasks` (a list of task ids), and what each needs beside; see `task_requests`.

    Raises
    ------
    InputError
        It makes no sense for one of the tasks; nothing is asked for then. Or none any more, as the driver came to it.
    CampaignLockedError
        The driver has not done it in that time.
    """
    asked = {"request": request, "id": uuid.uuid4().hex, **plain(values)}
    foreseen = [str(event["task"]) for event in events_of(records, asked)]  # refused here, if it is
    later = _ask(records, asked)
    if later and patience:
        wait_until_taken(records, patience)
        if asked["id"] not in records.state().requests:
            raise InputError(f"campaign '{records.name}': the tasks have changed meanwhile; ask again.")
        later = False
    state = records.state()
    changed = foreseen if later else state.requests[asked["id"]]
    known = state.everything
    names = (records.name_of(known[task]) for task in dict.fromkeys(changed) if task in known)
    return TaskChange(later, () if later and request == "create" else tuple(names))


def wait_until_taken(records: CampaignRecords, patience: float) -> None:
    """Wait until all that was asked of a campaign is taken in by its driver; if that is gone, it is done here.

    Parameters
    ----------
    patience
        Seconds to wait at most.

    Raises
    ------
    CampaignLockedError
        It has not been in that time.
    """
    asked, end = records.inbox_size(), time.monotonic() + patience
    while records.driver_state().get("inbox", 0) < asked:
        if records.holder() is None:
            with suppress(CampaignLockedError), records.lock(is_brief=True):  # another has just begun
                _take_in(records)
        elif time.monotonic() > end:
            raise CampaignLockedError(
                f"campaign '{records.name}': its driver has not taken in what was asked for within {patience:.0f} s; "
                "it will when it goes on. `xpm-alchem doctor` looks what it is at."
            )
        else:
            time.sleep(_LOOK_SECONDS)


def set_strategy(records: CampaignRecords, changes: Mapping[str, Any]) -> bool:
    """Ask that the strategy section of the plan in force be changed; return whether a driver will do it.

    Parameters
    ----------
    changes
        See `plan.text.with_strategy`.

    Raises
    ------
    InputError
        The plan would not be valid, or there is no such strategy or setting; nothing is asked for then.
    """
    changes = plain(changes)
    _changed_plan(records, changes)
    return _ask(records, {"request": "strategy", "changes": changes})


def awake(records: CampaignRecords) -> bool:
    """Ask that the strategy be performed again, also after an error; return whether a driver will do it.

    Raises
    ------
    InputError
        There is none, or it is disabled.
    """
    plan = records.plan().strategy
    if plan.name is None:
        raise InputError(f"campaign '{records.name}' has no strategy; `xpm-alchem strategy set NAME` gives it one.")
    if plan.mode == "disabled":
        raise InputError("the strategy's mode is disabled; `xpm-alchem strategy mode partial` (or full) changes that.")
    return _ask(records, {"request": "awake"})


def change_restarts(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    """Ask that the restart patterns be changed; return whether a driver will do it (else it is done).

    Parameters
    ----------
    change
        See `plan.restart_patterns.changed_patterns`.

    Raises
    ------
    InputError
        The change makes no sense; nothing is asked for then.
    """
    change = plain(change)
    changed_patterns(records.plan().restarts, change)
    return _ask(records, {"request": "restarts", "change": change})


def set_budget(records: CampaignRecords, changes: Mapping[str, Any], check: Callable[[Budget], None]) -> bool:
    """Ask that the budget section of the plan in force be changed; return whether a driver will do it.

    Parameters
    ----------
    changes
        See `plan.text.with_budget`.
    check
        Raises CampaignError for a budget in which the launcher's attempts cannot be counted.

    Raises
    ------
    InputError
        The plan would not be valid; nothing is asked for then.
    """
    path, changes = records.path / "campaign.yaml", plain(changes)
    check(parse_plan(with_budget(read_plan_text(path), path, changes), path).budget)
    return _ask(records, {"request": "budget", "changes": changes})


def import_result(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    """Ask that an earlier run counts as a repeat; return whether a driver will do it (else it is done).

    Parameters
    ----------
    request
        Made by `import_results.Importer.request_for`, its files in place.
    """
    return _ask(records, request)


def set_standing(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    """Ask that a network's state or weight be changed; return whether a driver will do it (else it is done).

    Parameters
    ----------
    change
        `state`, `weight` or both: see `campaign.standing.Standing`.

    Raises
    ------
    InputError
        There is no such state or weight; nothing is asked for then.
    """
    change = plain(change)
    if "state" in change:
        check_state(change["state"])
    if "weight" in change:
        check_weight(change["weight"])
    return _ask(records, {"request": "standing", "change": change})


def grow(records: CampaignRecords, network: Network, *, by: str) -> bool:
    """Ask that the network grow; return whether a driver will do it (else it is done).

    Parameters
    ----------
    by
        'file': as the file that is given to `run` says it (`growth.growth_by_file`); 'command': this is to be it.
    """
    file = place_for_driver(records, network)
    return _ask(records, {"request": "grow", "id": uuid.uuid4().hex, "file": file, "by": by})


def drop(records: CampaignRecords, dropped: Iterable[str]) -> bool:
    """Ask that transformations (stable ids) go from the network; return whether a driver will do it (else it is done).

    Raises
    ------
    NetworkError
        One is not in it, or none would be left; nothing is asked for then.
    """
    dropped = list(dropped)
    growth_without(records, dropped)
    return _ask(records, {"request": "grow", "id": uuid.uuid4().hex, "dropped": dropped})


def _changed_plan(records: CampaignRecords, changes: Mapping[str, Any]) -> str:
    """Return the text of the plan in force with another strategy section, checked in full."""
    from xpm_alchem.strategies.choose import planned_strategy

    path = records.path / "campaign.yaml"
    text = with_strategy(read_plan_text(path), path, changes)
    planned_strategy(parse_plan(text, path))  # an error if it cannot be made
    return text


def _ask(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    try:
        with records.lock(is_brief=True):
            _take_in(records)
            apply(records, request)
            _wake(records)
            return False
    except CampaignLockedError:
        records.ask(**request)
        return True


def _take_in(records: CampaignRecords) -> None:
    """Apply what the inbox holds; the caller holds the lock."""
    offset, _ = apply_inbox(records, records.driver_state().get("inbox", 0))
    records.set_driver_state({**records.driver_state(), "inbox": offset})  # never applied twice


def _wake(records: CampaignRecords) -> None:
    """Let a dormant strategy think again, as a driver does after a request."""
    known = records.driver_state()
    if known.get("strategy", {}).get("status") == DORMANT:
        _apply_awake(records)


def apply_inbox(records: CampaignRecords, offset: int) -> tuple[int, list[Mapping[str, Any]]]:
    """Apply what the inbox holds from byte `offset` on; return the new offset and what changed anything.

    A request to stop is returned too: stopping is the driver's. One that can no longer be granted is returned with its
    reason as 'refused'.
    """
    requests, offset = records.requests(offset)
    taken: list[Mapping[str, Any]] = []
    for request in requests:
        try:
            if request.get("request") == "stop" or apply(records, request):
                taken.append(request)
        except RecordsError:  # nothing is wrong with the request: it is applied again when the disk lets us
            raise
        except XpmAlchemError as error:
            taken.append({**request, "refused": str(error)})
    return offset, taken


def apply(records: CampaignRecords, request: Mapping[str, Any]) -> bool:
    """Apply one request if it still makes sense; return whether it changed anything. The caller holds the lock.

    Raises
    ------
    InputError
        It makes no sense any more; nothing is changed then.
    """
    if is_about_tasks(request):
        return apply_to_tasks(records, request)
    match request.get("request"):
        case "strategy" if isinstance(request.get("changes"), Mapping):
            return _apply_strategy(records, request["changes"])
        case "awake":
            return _apply_awake(records)
        case "restarts" if isinstance(request.get("change"), Mapping):
            return _apply_restarts(records, request["change"])
        case "budget" if isinstance(request.get("changes"), Mapping):
            return _apply_budget(records, request["changes"])
        case "standing" if isinstance(request.get("change"), Mapping):
            return _apply_standing(records, request["change"])
        case "grow":
            return apply_growth(records, request)
        case "import":
            return apply_import(records, request)
    return False


def _apply_strategy(records: CampaignRecords, changes: Mapping[str, Any]) -> bool:
    text = _changed_plan(records, changes)
    if text != read_plan_text(records.path / "campaign.yaml"):
        records.set_plan(text)
    if "name" in changes and changes["name"] is None:  # cleared: what it knew is forgotten
        known = records.driver_state()
        records.set_driver_state({key: known[key] for key in known if key not in ("strategy", "weights", "unwanted")})
        return True
    return _apply_awake(records)


def _apply_restarts(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    path = records.path / "campaign.yaml"
    before = read_plan_text(path)
    text = with_restarts(before, path, changed_patterns(records.plan().restarts, change))
    if text != before:
        records.set_plan(text)
    workspace = find_workspace(str(records.workspace), read_settings())
    look_again(records, RestartPolicy.of(records.plan(), workspace.max_retries))
    return True


def _apply_budget(records: CampaignRecords, changes: Mapping[str, Any]) -> bool:
    path = records.path / "campaign.yaml"
    before = read_plan_text(path)
    if (text := with_budget(before, path, changes)) != before:
        records.set_plan(text)
    return True


def _apply_standing(records: CampaignRecords, change: Mapping[str, Any]) -> bool:
    before = records.state().standing
    after = before.changed(change)
    if after != before:
        records.write({"event": "network", **attrs.asdict(after)})
    return after != before


def _apply_awake(records: CampaignRecords) -> bool:
    known = records.driver_state()
    state = StrategyState(**known.get("strategy", {})).awakened()
    records.set_driver_state({**known, "strategy": attrs.asdict(state)})
    return True
