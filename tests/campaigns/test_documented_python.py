"""What docs/python.md shows runs in this order as it is, on a network that the reader has in memory."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import patience
import pytest
from places import NO_SKIPS, ROOT

if not NO_SKIPS:
    pytest.importorskip("pandas", reason="pandas is not installed")

BEGIN = """
from dummy_protocol import dummy_network
network = dummy_network([(0, 1), (1, 2)], environments=("vacuum", "solvent"))
"""
END = """
assert code == 0 and len(change) == 12 and not change.later
assert list(edges["edge"]) == ["ligand_0 -> ligand_1", "ligand_1 -> ligand_2"] and uncertain.empty
assert Campaign.open("first", workspace="./work").get_network_strategy()["settings"] == {"repeats": 5}
"""


def test_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    program = tmp_path / "page.py"
    program.write_text(BEGIN + "\n".join(blocks) + END)
    done = patience.run([sys.executable, "-P", program], cwd=tmp_path, seconds=300)
    assert done.returncode == 0, done.stderr
    assert "12 [" in done.stdout
