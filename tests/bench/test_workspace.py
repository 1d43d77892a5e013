"""The benchmark of one driver for all campaigns: its table says who had what of the slots."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import ROOT


@pytest.mark.slow
def test_shares_are_measured_and_a_paused_campaign_has_none() -> None:
    options = ["--quick", "--only", "shares", "--seconds", "8"]
    done = subprocess.run([sys.executable, ROOT / "bench" / "workspace.py", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line[:2] in ("0.", "1.")]
    assert [float(row[0]) for row in rows] == [0.0, 0.05, 1.0]
    paused, light, heavy = (float(row[2]) for row in rows)  # slot seconds
    assert paused == 0 and heavy > light
    assert "largest deviation" in done.stdout
