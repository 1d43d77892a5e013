"""Machines, and devices of machines, on which tasks fail one after another. Pure.

What fails is avoided when two different tasks in a row have failed on it and others get on elsewhere: where everything
fails everywhere, it is not the machine's fault. One broken device of several makes no broken machine: the device is
avoided, and the machine after two of its devices.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import attrs

from xpm_alchem.execution.attempts import Outcome

IN_A_ROW = 2  # different tasks
AVOIDED_SECONDS = 24 * 3600.0  # after its last failure what is avoided gets another chance
_FAILURES = frozenset(map(str, (Outcome.ERROR, Outcome.LOST, Outcome.NODE_FAILURE)))


@attrs.define
class Course:
    """What happened in one place.

    Attributes
    ----------
    failed
        Different tasks that failed there, in a row, since an attempt got on there, the last one at the end; each with
        the device that it had for itself, '' for none.
    last_failure
        Seconds since the epoch.
    succeeded
        Whether any attempt ever got on there.
    """

    failed: dict[str, str] = attrs.field(factory=dict)  # tasks, in order: all of a campaign may be in it
    last_failure: float = 0.0
    succeeded: bool = False

    @property
    def is_failing(self) -> bool:
        """Whether different tasks fail there, one after another."""
        return len(self.failed) >= IN_A_ROW

    def note(self, task: str, event: Mapping[str, Any], when: float) -> None:
        """Take in how an attempt ended."""
        outcome = event["outcome"]
        if outcome == Outcome.COMPLETE or (outcome == Outcome.TIMEOUT and event.get("progress")):
            self.failed, self.succeeded = {}, True
        elif outcome in _FAILURES:
            self.failed.pop(task, None)
            self.failed[task] = _device_of(event) or ""
            self.last_failure = when

    def is_recent(self, now: float) -> bool:
        """Whether the last failure counts still."""
        return now - self.last_failure < AVOIDED_SECONDS

    def to_plain(self) -> list[Any]:
        """Return all that is in it, as JSON has it."""
        return [self.failed, self.last_failure, self.succeeded]

    @classmethod
    def from_plain(cls, plain: Any) -> Course:
        """Return the course of which `to_plain` was made."""
        failed, last_failure, succeeded = plain
        return cls(dict(failed.items()), last_failure, succeeded)


@attrs.define
class HostRecord:
    """What happened on one machine.

    Attributes
    ----------
    course
        On any of its devices, or none.
    devices
        On each device that an attempt had for itself, by its identity.
    has_several
        Whether it was seen to have more than one device.
    is_node
        Whether the launcher knows it by this name, and can keep tasks away from it.
    """

    course: Course = attrs.field(factory=Course)
    devices: dict[str, Course] = attrs.field(factory=dict)
    has_several: bool = False
    is_node: bool = False

    @property
    def is_failing(self) -> bool:
        """Whether different tasks have failed there in a row, and not all on one device of several."""
        blamed = set(self.course.failed.values())
        return self.course.is_failing and (len(blamed) > 1 or "" in blamed or not self.has_several)


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
        for name, (course, devices, *rest) in plain.items():
            known = {device: Course.from_plain(one) for device, one in devices.items()}
            history.hosts[name] = HostRecord(Course.from_plain(course), known, *rest)
        return history

    def to_plain(self) -> dict[str, Any]:
        """Return all that is in it, as JSON has it."""
        return {
            name: [
                record.course.to_plain(),
                {device: course.to_plain() for device, course in record.devices.items()},
                record.has_several,
                record.is_node,
            ]
            for name, record in self.hosts.items()
        }

    def note(self, task: str, event: Mapping[str, Any], when: float) -> None:
        """Take in how an attempt ended, as a journal's event tells.

        It has 'machine', 'node', 'outcome', 'progress', and 'devices': those that the attempt had, and 'devices_there',
        how many there were.
        """
        machine = event.get("machine")
        if not isinstance(machine, str) or not isinstance(event.get("outcome"), str):
            return
        record = self.hosts.setdefault(machine, HostRecord())
        record.is_node = event.get("node") == machine
        record.course.note(task, event, when)
        if (device := _device_of(event)) is not None:
            record.devices.setdefault(device, Course()).note(task, event, when)
        there = event.get("devices_there")
        record.has_several |= len(record.devices) > 1 or (isinstance(there, int) and there > 1)

    def failing(self) -> dict[str, HostRecord]:
        """Return the machines on which different tasks have failed in a row; the only one there is is not to blame."""
        if len(self.hosts) == 1 and not any(record.is_node for record in self.hosts.values()):
            return {}  # a node is one of a cluster
        return {name: record for name, record in self.hosts.items() if record.is_failing}

    def avoided_nodes(self, now: float) -> tuple[str, ...]:
        """Return the nodes that are to be avoided now, the one that failed last at the end."""
        failing = self.failing()
        if not any(record.course.succeeded for name, record in self.hosts.items() if name not in failing):
            return ()
        recent = [name for name, record in failing.items() if record.is_node and record.course.is_recent(now)]
        return tuple(sorted(recent, key=lambda name: (failing[name].course.last_failure, name)))

    def avoided_devices(self, now: float) -> dict[str, list[str]]:
        """Return the devices that are to be avoided now, by machine."""
        avoided: dict[str, list[str]] = {}
        for machine, record in self.hosts.items():
            if record.is_failing or not record.has_several:
                continue
            for name, course in record.devices.items():
                if course.is_failing and course.is_recent(now) and self._others_get_on(machine, name):
                    avoided.setdefault(machine, []).append(name)
        return avoided

    def _others_get_on(self, machine: str, device: str) -> bool:
        """Whether any attempt got on somewhere else than on one device."""
        for name, record in self.hosts.items():
            courses = [course for other, course in record.devices.items() if (name, other) != (machine, device)]
            if any(course.succeeded for course in courses) or (not record.devices and record.course.succeeded):
                return True
        return False

    def sentences(self, now: float) -> dict[Hashable, str]:
        """Return what is to be said of each place where tasks fail, by a key that changes with what is done."""
        avoided = self.avoided_nodes(now)
        said: dict[Hashable, str] = {(name, name in avoided): self.sentence(name, now) for name in self.failing()}
        devices = [(name, device) for name, found in self.avoided_devices(now).items() for device in found]
        return said | {(name, device): self.device_sentence(name, device) for name, device in devices}

    def device_sentence(self, name: str, device: str) -> str:
        """Return what is to be said of a device that is avoided."""
        failed = len(self.hosts[name].devices[device].failed)
        return (
            f"{name}, GPU {device}: {failed} different tasks failed there one after another, while others get on "
            f"elsewhere: no tasks are sent there for {AVOIDED_SECONDS / 3600:.0f} h"
        )

    def sentence(self, name: str, now: float) -> str:
        """Return what is to be said of a machine that fails."""
        record = self.hosts[name]
        said = f"{name}: {len(record.course.failed)} different tasks failed there one after another"
        if name in self.avoided_nodes(now):
            return f"{said}, while others get on elsewhere: no tasks are sent there for {AVOIDED_SECONDS / 3600:.0f} h"
        if record.is_node:
            return f"{said}; it is not avoided, as no attempt has got on elsewhere yet"
        return f"{said}: look at it (`xpm-alchem doctor`, `xpm-alchem failures`)"


def _device_of(event: Mapping[str, Any]) -> str | None:
    """Return the device that an attempt had for itself, None if it had none, or several."""
    match event.get("devices"):
        case [str(device)] if device:
            return device
    return None
