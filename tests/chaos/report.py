"""What a run survived: a table."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs


@attrs.define
class Report:
    """What a run survived, and what was wrong."""

    faults: Counter[str] = attrs.field(factory=Counter)
    facts: dict[str, Any] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)

    def print(self) -> None:
        """Print a table."""
        for kind, number in sorted(self.faults.items(), reverse=True):
            print(f"  {kind:<28}{number:>6}")
        print(f"  {'faults survived':<28}{self.faults.total():>6}")
        for name, value in self.facts.items():
            if isinstance(value, Counter):
                value = ", ".join(f"{number} {kind}" for kind, number in value.most_common()) or "none"
            print(f"  {name:<28}{value}")
        for sentence in self.wrong:
            print(f"WRONG: {sentence}")
