"""The dummy protocol whose setup unit also records what environment the attempt has."""

from __future__ import annotations

import os
from typing import Any

import dummy_protocol as dummy

NAMES = ("LAB_MODULE", "LAB_SCRATCH", "LAB_QUEUE", "PATH")


class Setup(dummy.Setup):
    @staticmethod
    def _execute(ctx: Any, **inputs: Any) -> dict[str, Any]:
        found = {name: os.environ.get(name) for name in NAMES}
        return {**dummy.Setup._execute(ctx, **inputs), "environment": found}


class RecordingProtocol(dummy.DummyProtocol):
    """Of one unit only: no sampling is needed to see the environment."""

    _settings_cls = dummy.DummySettings

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[Any]:
        names = ("script",)
        return [Setup(name="setup", settings={name: getattr(self.settings, name) for name in names}, true_dg=1.0)]

    def _gather(self, protocol_dag_results: Any) -> dict[str, Any]:
        return {"dgs": [1.0 for _ in protocol_dag_results]}
