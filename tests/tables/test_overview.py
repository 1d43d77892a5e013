"""Tables as a terminal shows them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from xpm_alchem.tables.overview import summary_table

SUMMARY = {
    "campaign": "tyk2",
    "strategy": "awake",
    "driver": True,
    "transformations": 9999,
    "with_result": 9998,
    "complete": 29994,
    "running": 256,
    "waiting": 12345,
    "error": 123,
    "cost": 123456.7,
    "cost_unit": "GPU hours",
    "cost_per_result": 12.345,
    "lost": 0.0,
    "mostly_lost": [],
    "results_last_hour": 1234,
    "cost_last_hour": 255.5,
    "time_left": {"least": 86400 * 12.3, "most": 86400 * 45.6},
}


@pytest.mark.parametrize("changed", [{}, {"time_left": {"least": 86400 * 123.4, "most": None}, "cost_unit": "EUR"}])
def test_a_summary_fits_into_80_columns_with_every_word_whole(changed):
    console = Console(width=80, file=io.StringIO())
    console.print(summary_table(SUMMARY | changed))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    for words in (
        "with result",
        "9998 of 9999",
        "29994 complete",
        "12345 waiting",
        "123 error",
        "12.3",
        "1234 results",
    ):
        assert words in text
    wide = Console(width=400, file=io.StringIO())
    wide.print(summary_table(SUMMARY | changed))
    assert len(lines) == len(wide.file.getvalue().splitlines())  # no cell was broken into more lines
